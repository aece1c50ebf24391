/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One SQLite database file with one writing connection: open with pragmas that are read back, schema version, prepared
 * statements, transactions, mapping of result codes to errno. Private to this floor.
 * Thread: one caller at a time per object; calls block on the disk.
 */
#pragma once

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/attr.h"
#include "base/clock.h"

#define DAVY_DB_PATH           4096
#define DAVY_DB_STATEMENTS_MAX 48

/* 2020-01-01 in microseconds: no gateway ran before. A clock that shows less was not set yet. */
#define DAVY_CLOCK_SET_US INT64_C(1577836800000000)

/*
 * Of a file, and of one that was made and does not have yet what it is to have, or that is being set aside: the sticky
 * bit has no other use there. Readers refuse the second.
 */
#define DAVY_DB_MODE  0640
#define DAVY_DB_BEGUN (S_ISVTX | DAVY_DB_MODE)
/* A lock of another process is waited for so long. */
#define DAVY_DB_BUSY_MS 2000

/* What a database is. Tables are constant. */
struct davy_db_schema {
    const char *file; /* "ledger.db" */
    int32_t application_id;
    const char *const *migrations; /* migrations[i] is the SQL from version i to i + 1; append only */
    int version;                   /* their number */
    const char *const *statements; /* prepared at open, named by their index */
    size_t statement_count;        /* at most DAVY_DB_STATEMENTS_MAX */
    int64_t check_below_bytes;     /* a file up to this size is checked whole (quick_check) at open */
    bool filled;                   /* a new one may have to be filled before it says anything: davy_db_finish() */
};

struct davy_db {
    sqlite3 *handle;
    const struct davy_db_schema *schema;
    char path[DAVY_DB_PATH];
    sqlite3_stmt *statements[DAVY_DB_STATEMENTS_MAX];
    dev_t device;
    ino_t inode;
    ino_t wal_inode; /* of the -wal; 0: not known yet */
    bool begun;      /* the file is DAVY_DB_BEGUN */
    bool checked;    /* the pragmas held after the first commit of this connection */
    bool broken;     /* an I/O error: close and open again before the next use */
    bool corrupt;    /* the file is damaged: set it aside */
    bool full;       /* there was no space: the -wal is to be used again before it grows */
    bool doubtful;   /* this or an earlier connection was broken: what is in the -wal may never reach the disk */
};

#define DAVY_DB_INIT ((struct davy_db){.handle = NULL})

/*
 * Open or create DIRECTORY/schema->file, mode 0640, and migrate it forward in one transaction. What is found in the
 * -wal is on the disk when this returns 0. `db` is DAVY_DB_INIT, or was closed.
 * returns   0; -EUCLEAN damaged; -EPROTONOSUPPORT of a newer schema or another program; -ELOOP, -EINVAL no regular
 * file; -EIO where a pragma does not hold; or as of davy_db_result(). On failure nothing is open.
 */
int davy_db_open(struct davy_db *db, const char *directory, const struct davy_db_schema *schema) DAVY_MUST_CHECK;

/*
 * The open file has all that it is to have: from now on it is DAVY_DB_MODE, and readers believe it. davy_db_open() does
 * so itself, unless `filled` is set: then its owner. 0 also where that was done; or a negative errno, and may be tried
 * again.
 */
int davy_db_finish(struct davy_db *db) DAVY_MUST_CHECK;

/* Roll back what is open, finalize, close. Repeatable. */
void davy_db_close(struct davy_db *db);

/*
 * Rename the closed file and its -wal to FILE.corrupt-TIME (a number is added where that exists). Until both have that
 * name no reader takes the file for whole.
 * ret_path   DAVY_DB_PATH bytes: the new name
 * returns    0 or a negative errno (-ENOENT: there was none)
 */
int davy_db_set_aside(const char *directory, const char *file, davy_wall now, char *ret_path) DAVY_MUST_CHECK;

/* Flush the folder that `path` is in. 0 or a negative errno. */
int davy_db_sync_directory(const char *path) DAVY_MUST_CHECK;

/* A result code as negative errno, 0 for OK, ROW and DONE. Notes in `db` what needs a new connection or a new file. */
int davy_db_result(struct davy_db *db, int result);

/*
 * Outside a transaction: empty the -wal where it has grown beyond what is kept of it (journal_size_limit), without
 * waiting: a reader that holds it makes that fail until it is gone. Returns the bytes that the -wal has then.
 */
int64_t davy_db_trim_wal(struct davy_db *db);

/* True where the path no longer leads to the file that is open, or that file is no database any more. */
bool davy_db_moved(const struct davy_db *db);

/* True where the -wal that is open has no name any more: what is in it would be gone with this process. */
bool davy_db_wal_moved(const struct davy_db *db);

/* Write what such a -wal has into the database, which is `broken` then, to be opened again. 0 or a negative errno. */
int davy_db_leave_wal(struct davy_db *db) DAVY_MUST_CHECK;

/* BEGIN IMMEDIATE. After a want of space the -wal is emptied into the database first: that needs the least. */
int davy_db_begin(struct davy_db *db) DAVY_MUST_CHECK;
int davy_db_commit(struct davy_db *db) DAVY_MUST_CHECK; /* rolled back where it fails */
void davy_db_rollback(struct davy_db *db);              /* also without a transaction */
bool davy_db_in_transaction(const struct davy_db *db);

int davy_db_exec(struct davy_db *db, const char *sql) DAVY_MUST_CHECK;

/* The first column of the first row; untouched where there is no row or NULL. */
int davy_db_number(struct davy_db *db, const char *sql, int64_t *ret) DAVY_MUST_CHECK;

/*
 * Bind one argument a letter: i int64_t, t const char * (NULL: NULL), d double (NaN: NULL), h const uint8_t[32].
 * Text and hashes must live until the statement is reset.
 */
int davy_db_bind(sqlite3_stmt *statement, const char *types, ...) DAVY_MUST_CHECK;

/* Statement `index`, reset. */
sqlite3_stmt *davy_db_use(struct davy_db *db, size_t index);

/* Bind and run statement `index` to its end. */
int davy_db_do(struct davy_db *db, size_t index, const char *types, ...) DAVY_MUST_CHECK;

/* No row: outcome of davy_db_step(). */
#define DAVY_DB_DONE 1

/* One step: 0 a row, DAVY_DB_DONE (reset already), or negative (reset already). */
int davy_db_step(struct davy_db *db, sqlite3_stmt *statement) DAVY_MUST_CHECK;

/* Step a statement without rows to its end and reset it. */
int davy_db_run(struct davy_db *db, sqlite3_stmt *statement) DAVY_MUST_CHECK;
