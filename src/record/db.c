/* SPDX-License-Identifier: Apache-2.0 */
#include "db.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"

/* As journal_size_limit. */
#define WAL_KEPT (INT64_C(4) << 20)

/* Errors that say that this connection saw the disk fail: nothing that it holds in memory is believed any more. */
static int io_error(const struct davy_db *db, int result)
{
    int cause = db->handle ? sqlite3_system_errno(db->handle) : 0;
    if (result == SQLITE_IOERR_NOMEM)
        return -ENOMEM;
    if (cause == ENOSPC || cause == EDQUOT)
        return -ENOSPC;
    return cause == EROFS ? -EROFS : -EIO;
}

static int open_error(const struct davy_db *db)
{
    int cause = db->handle ? sqlite3_system_errno(db->handle) : 0;
    switch (cause) {
    case EACCES:
    case EROFS:
    case ENOSPC:
    case ENOENT:
    case EMFILE:
        return -cause;
    default:
        return -EIO;
    }
}

/* What the last read or write of the database or (JOURNAL_POINTER) of its -wal was refused with; 0: nothing. */
static int last_error(struct davy_db *db, int which)
{
    sqlite3_file *file = NULL;
    int error = 0;
    if (db->handle && sqlite3_file_control(db->handle, NULL, which, &file) == SQLITE_OK && file && file->pMethods)
        (void)file->pMethods->xFileControl(file, SQLITE_FCNTL_LAST_ERRNO, &error);
    return error;
}

/*
 * For SQLite a read that fails with one of these is damage (SQLITE_IOERR_CORRUPTFS in its os_unix.c, which a statement
 * turns into SQLITE_CORRUPT). A disk that is away, or has a bad contact, is no reason to part with a sound file.
 */
static bool unreadable(struct davy_db *db)
{
    int errors[] = {last_error(db, SQLITE_FCNTL_FILE_POINTER), last_error(db, SQLITE_FCNTL_JOURNAL_POINTER)};
    for (size_t i = 0; i < DAVY_LENGTH(errors); i++)
        if (errors[i] == EIO || errors[i] == ENXIO || errors[i] == ERANGE)
            return true;
    return false;
}

static int damage(struct davy_db *db)
{
    db->broken = unreadable(db);
    db->corrupt = !db->broken;
    return db->corrupt ? -EUCLEAN : -EIO;
}

int davy_db_result(struct davy_db *db, int result)
{
    switch (result & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return 0;
    case SQLITE_FULL:
        db->full = true;
        return -ENOSPC;
    case SQLITE_NOMEM:
        return -ENOMEM;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return -EBUSY;
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
        return -EINVAL;
    case SQLITE_TOOBIG:
        return -E2BIG;
    case SQLITE_READONLY:
        db->broken = true;
        return -EROFS;
    case SQLITE_CANTOPEN:
        db->broken = true;
        return open_error(db);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return damage(db);
    case SQLITE_IOERR:
        db->broken = true;
        return io_error(db, result);
    default:
        db->broken = true;
        return -EIO;
    }
}

int davy_db_step(struct davy_db *db, sqlite3_stmt *statement)
{
    int result = sqlite3_step(statement);
    if (result == SQLITE_ROW)
        return 0;
    sqlite3_reset(statement);
    return result == SQLITE_DONE ? DAVY_DB_DONE : davy_db_result(db, result);
}

int davy_db_run(struct davy_db *db, sqlite3_stmt *statement)
{
    for (;;) {
        int r = davy_db_step(db, statement);
        if (r != 0)
            return r == DAVY_DB_DONE ? 0 : r;
    }
}

int davy_db_exec(struct davy_db *db, const char *sql)
{
    return davy_db_result(db, sqlite3_exec(db->handle, sql, NULL, NULL, NULL));
}

int davy_db_number(struct davy_db *db, const char *sql, int64_t *ret)
{
    sqlite3_stmt *statement = NULL;
    int r = davy_db_result(db, sqlite3_prepare_v2(db->handle, sql, -1, &statement, NULL));
    if (r < 0)
        return r;
    r = davy_db_step(db, statement);
    if (r == 0 && sqlite3_column_type(statement, 0) != SQLITE_NULL)
        *ret = sqlite3_column_int64(statement, 0);
    int end = davy_db_result(db, sqlite3_finalize(statement));
    return r < 0 ? r : end;
}

static int bind_one(sqlite3_stmt *statement, int column, char type, va_list *arguments)
{
    switch (type) {
    case 'i':
        return sqlite3_bind_int64(statement, column, va_arg(*arguments, int64_t));
    case 't':
        return sqlite3_bind_text(statement, column, va_arg(*arguments, const char *), -1, SQLITE_STATIC);
    case 'd': {
        double value = va_arg(*arguments, double);
        return isfinite(value) ? sqlite3_bind_double(statement, column, value) : sqlite3_bind_null(statement, column);
    }
    case 'h':
        return sqlite3_bind_blob(statement, column, va_arg(*arguments, const uint8_t *), 32, SQLITE_STATIC);
    default:
        assert(!"unknown type letter");
        return SQLITE_MISUSE;
    }
}

static int bind_all(sqlite3_stmt *statement, const char *types, va_list *arguments)
{
    for (int i = 0; types[i]; i++) {
        int result = bind_one(statement, i + 1, types[i], arguments);
        if (result != SQLITE_OK)
            return result;
    }
    return SQLITE_OK;
}

int davy_db_bind(sqlite3_stmt *statement, const char *types, ...)
{
    va_list arguments;
    va_start(arguments, types);
    int result = bind_all(statement, types, &arguments);
    va_end(arguments);
    return result == SQLITE_OK ? 0 : result == SQLITE_TOOBIG ? -E2BIG : -ENOMEM;
}

sqlite3_stmt *davy_db_use(struct davy_db *db, size_t index)
{
    assert(index < db->schema->statement_count);
    sqlite3_stmt *statement = db->statements[index];
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return statement;
}

int davy_db_do(struct davy_db *db, size_t index, const char *types, ...)
{
    sqlite3_stmt *statement = davy_db_use(db, index);
    va_list arguments;
    va_start(arguments, types);
    int result = bind_all(statement, types, &arguments);
    va_end(arguments);
    return result == SQLITE_OK ? davy_db_run(db, statement) : davy_db_result(db, result);
}

bool davy_db_in_transaction(const struct davy_db *db)
{
    return db->handle && !sqlite3_get_autocommit(db->handle);
}

int davy_db_begin(struct davy_db *db)
{
    if (db->full)
        (void)sqlite3_wal_checkpoint_v2(db->handle, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    db->full = false;
    return davy_db_exec(db, "BEGIN IMMEDIATE");
}

void davy_db_rollback(struct davy_db *db)
{
    for (size_t i = 0; i < DAVY_DB_STATEMENTS_MAX; i++)
        sqlite3_reset(db->statements[i]);
    if (davy_db_in_transaction(db))
        (void)sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL); /* where it fails there is nothing left to undo */
}

struct pragma {
    const char *set; /* NULL: only read */
    const char *read;
    const char *expected;
};

static const struct pragma pragmas[] = {
    {"PRAGMA journal_mode=WAL", "PRAGMA journal_mode", "wal"},
    {"PRAGMA synchronous=FULL", "PRAGMA synchronous", "2"},
    {"PRAGMA secure_delete=OFF", "PRAGMA secure_delete", "0"},
    {"PRAGMA trusted_schema=OFF", "PRAGMA trusted_schema", "0"},
    {"PRAGMA cell_size_check=ON", "PRAGMA cell_size_check", "1"},
    {"PRAGMA foreign_keys=OFF", "PRAGMA foreign_keys", "0"},
    {"PRAGMA mmap_size=0", "PRAGMA mmap_size", "0"}, /* an I/O error under mmap is SIGBUS */
    {"PRAGMA wal_autocheckpoint=1000", "PRAGMA wal_autocheckpoint", "1000"},
    {"PRAGMA journal_size_limit=4194304", "PRAGMA journal_size_limit", "4194304"},
    {"PRAGMA cache_size=-512", "PRAGMA cache_size", "-512"}, /* KiB: rows are appended, old pages are seldom read */
    {"PRAGMA temp_store=MEMORY", "PRAGMA temp_store", "2"},
};

static int check_pragma(struct davy_db *db, const struct pragma *pragma)
{
    sqlite3_stmt *statement = NULL;
    int r = davy_db_result(db, sqlite3_prepare_v2(db->handle, pragma->read, -1, &statement, NULL));
    if (r < 0)
        return r;
    r = davy_db_step(db, statement);
    const char *found = r == 0 ? (const char *)sqlite3_column_text(statement, 0) : NULL;
    bool same = found && strcmp(found, pragma->expected) == 0;
    bool no_row = r == DAVY_DB_DONE; /* mmap_size has none where SQLite was built without */
    int end = davy_db_result(db, sqlite3_finalize(statement));
    if (r < 0 || end < 0)
        return r < 0 ? r : end;
    if (same || no_row)
        return 0;
    db->broken = true;
    return -EIO;
}

/* Our SQL is constant: where it makes no sense to SQLite, the header or the schema of the file is damaged. */
static int exec_at_open(struct davy_db *db, const char *sql)
{
    int r = davy_db_exec(db, sql);
    if (r < 0 && (sqlite3_errcode(db->handle) & 0xff) == SQLITE_ERROR) {
        db->broken = false;
        r = -EUCLEAN;
    }
    return r;
}

/* A damaged schema can be said to lack memory, each time and though there is some; a lack that passes is no damage. */
static int set_pragma(struct davy_db *db, const char *sql)
{
    int r = exec_at_open(db, sql);
    void *probe = r == -ENOMEM ? sqlite3_malloc(1 << 20) : NULL; /* more than opening a sound file takes */
    bool again = probe != NULL;
    sqlite3_free(probe);
    r = again ? exec_at_open(db, sql) : r;
    return again && r == -ENOMEM ? -EUCLEAN : r;
}

/* sqlite3_exec steps to the end, where the switch to WAL reports an I/O error that its first row hides. */
static int set_pragmas(struct davy_db *db)
{
    for (size_t i = 0; i < DAVY_LENGTH(pragmas); i++) {
        int r = set_pragma(db, pragmas[i].set);
        if (r == 0)
            r = check_pragma(db, &pragmas[i]);
        if (r < 0)
            return r;
    }
    return 0;
}

/* SQLite ignores an error of fsync on the directory. */
int davy_db_sync_directory(const char *path)
{
    char directory[DAVY_DB_PATH];
    const char *slash = strrchr(path, '/');
    size_t length = slash && slash > path ? (size_t)(slash - path) : 1;
    memcpy(directory, slash ? path : ".", length);
    directory[length] = '\0';
    DAVY_AUTO_FD int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0)
        return -errno;
    return 0;
}

static bool find_wal(const struct davy_db *db, struct stat *ret_found)
{
    char path[DAVY_DB_PATH + 8];
    snprintf(path, sizeof(path), "%s-wal", db->path);
    return lstat(path, ret_found) == 0;
}

/* The switch to WAL is only proven by a write; and the -wal's name is in the directory from now on. */
static int check_after_write(struct davy_db *db)
{
    if (db->checked)
        return 0;
    int r = check_pragma(db, &pragmas[0]);
    if (r == 0)
        r = check_pragma(db, &pragmas[1]);
    if (r == 0)
        r = davy_db_sync_directory(db->path);
    struct stat wal;
    db->wal_inode = r == 0 && find_wal(db, &wal) ? wal.st_ino : 0;
    db->checked = r == 0;
    db->broken = db->broken || r < 0;
    return r;
}

int davy_db_commit(struct davy_db *db)
{
    int r = davy_db_exec(db, "COMMIT");
    if (r < 0) {
        davy_db_rollback(db);
        return r;
    }
    return check_after_write(db);
}

static int64_t wal_bytes(const struct davy_db *db)
{
    struct stat found;
    return find_wal(db, &found) ? (int64_t)found.st_size : 0;
}

int64_t davy_db_trim_wal(struct davy_db *db)
{
    int64_t bytes = wal_bytes(db);
    if (!db->handle || bytes <= WAL_KEPT)
        return bytes;
    sqlite3_busy_timeout(db->handle, 0);
    (void)sqlite3_wal_checkpoint_v2(db->handle, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL); /* else the next time */
    sqlite3_busy_timeout(db->handle, DAVY_DB_BUSY_MS);
    return wal_bytes(db);
}

bool davy_db_wal_moved(const struct davy_db *db)
{
    struct stat now;
    return db->handle && db->wal_inode != 0 && (!find_wal(db, &now) || now.st_ino != db->wal_inode);
}

int davy_db_leave_wal(struct davy_db *db)
{
    int r = davy_db_result(db, sqlite3_wal_checkpoint_v2(db->handle, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL));
    if (r == 0)
        davy_warning("record", "%s-wal was taken away: what was in it is written into the database", db->path);
    db->broken = db->broken || r == 0;
    return r;
}

/* An empty file that was there before was truncated: SQLite would throw its -wal away. */
static int prepare_file(struct davy_db *db, bool *ret_made)
{
    struct stat found;
    if (lstat(db->path, &found) < 0) {
        DAVY_AUTO_FD int fd = open(db->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, DAVY_DB_BEGUN);
        *ret_made = fd >= 0;
        if (fd < 0 || fchmod(fd, DAVY_DB_BEGUN) < 0 || fstat(fd, &found) < 0)
            return -errno;
    }
    if (!S_ISREG(found.st_mode))
        return S_ISLNK(found.st_mode) ? -ELOOP : -EINVAL;
    db->device = found.st_dev;
    db->inode = found.st_ino;
    db->begun = (found.st_mode & S_ISVTX) != 0;
    return found.st_size == 0 && !db->begun ? -EUCLEAN : 0;
}

/* By name, since to close another descriptor of the file would take SQLite's locks away. */
int davy_db_finish(struct davy_db *db)
{
    if (db->begun && chmod(db->path, DAVY_DB_MODE) < 0)
        return -errno;
    db->begun = false;
    return 0;
}

/* A new file that took nothing, as on a full disk, must not be taken for a truncated one next time. */
static void unmake_file(const struct davy_db *db)
{
    struct stat found;
    if (stat(db->path, &found) == 0 && found.st_size == 0 && found.st_ino == db->inode)
        (void)unlink(db->path);
}

/* The check puts errors of reading, and want of memory, among what it finds: the file may be as sound as ever. */
static int check_finding(struct davy_db *db, const char *text)
{
    if (!text)
        return -ENOMEM;
    if (strcmp(text, "ok") == 0)
        return 0;
    const char *code = strstr(text, "error code");
    int result = code ? (int)strtol(code + sizeof("error code"), NULL, 10) : 0;
    if ((result & 0xff) == SQLITE_INTERRUPT)
        return 0; /* it is late */
    if ((result & 0xff) == SQLITE_IOERR || (result & 0xff) == SQLITE_NOMEM)
        return davy_db_result(db, result);
    db->corrupt = true;
    return -EUCLEAN;
}

/* The start must not wait for a slow disk: what is not checked by then shows itself when it is read. */
#define CHECK_MOST_S 2

static int check_is_late(void *context)
{
    const davy_mono *until = context;
    return davy_clock_now(&davy_system_clock).mono.ns > until->ns;
}

static int run_check(struct davy_db *db)
{
    sqlite3_stmt *statement = NULL;
    int r = davy_db_result(db, sqlite3_prepare_v2(db->handle, "PRAGMA quick_check(1)", -1, &statement, NULL));
    if (r < 0)
        return r;
    int result = sqlite3_step(statement);
    if (result == SQLITE_ROW)
        r = check_finding(db, (const char *)sqlite3_column_text(statement, 0));
    else if (result != SQLITE_INTERRUPT)
        r = davy_db_result(db, result);
    sqlite3_finalize(statement);
    return r;
}

static int quick_check(struct davy_db *db)
{
    struct stat found;
    if (stat(db->path, &found) < 0)
        return -errno;
    if (found.st_size > db->schema->check_below_bytes)
        return 0;
    davy_mono until = davy_mono_add(davy_clock_now(&davy_system_clock).mono, davy_span_s(CHECK_MOST_S));
    sqlite3_progress_handler(db->handle, 10000, check_is_late, &until);
    int r = run_check(db);
    sqlite3_progress_handler(db->handle, 0, NULL, NULL);
    return r;
}

static int migrate(struct davy_db *db, int64_t from)
{
    char sql[80];
    int r = davy_db_begin(db);
    for (int64_t version = from; r == 0 && version < db->schema->version; version++)
        r = exec_at_open(db, db->schema->migrations[version]);
    if (r == 0) {
        snprintf(sql, sizeof(sql), "PRAGMA application_id=%d; PRAGMA user_version=%d", (int)db->schema->application_id,
                 db->schema->version);
        r = davy_db_exec(db, sql);
    }
    if (r == 0)
        return davy_db_commit(db);
    davy_db_rollback(db);
    return r;
}

static int bring_to_version(struct davy_db *db)
{
    int64_t application = 0;
    int64_t version = 0;
    int64_t tables = 0;
    int r = davy_db_number(db, "PRAGMA application_id", &application);
    if (r == 0)
        r = davy_db_number(db, "PRAGMA user_version", &version);
    if (r == 0)
        r = davy_db_number(db, "SELECT count(*) FROM sqlite_schema", &tables);
    if (r < 0)
        return r;
    bool fresh = application == 0 && version == 0 && tables == 0;
    if (!fresh && application != db->schema->application_id)
        return -EPROTONOSUPPORT;
    if (version < 0 || version > db->schema->version)
        return -EPROTONOSUPPORT;
    return version == db->schema->version ? 0 : migrate(db, version);
}

static int prepare_statements(struct davy_db *db)
{
    assert(db->schema->statement_count <= DAVY_DB_STATEMENTS_MAX);
    for (size_t i = 0; i < db->schema->statement_count; i++) {
        int result = sqlite3_prepare_v3(db->handle, db->schema->statements[i], -1, SQLITE_PREPARE_PERSISTENT,
                                        &db->statements[i], NULL);
        if (result != SQLITE_OK)
            return (result & 0xff) == SQLITE_ERROR ? -EUCLEAN : davy_db_result(db, result);
    }
    return 0;
}

static int open_connection(struct davy_db *db)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    int r = davy_db_result(db, sqlite3_open_v2(db->path, &db->handle, flags, NULL));
    if (r < 0)
        return r;
    sqlite3_busy_timeout(db->handle, DAVY_DB_BUSY_MS);
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    r = set_pragmas(db);
    if (r == 0)
        r = quick_check(db);
    if (r == 0)
        r = bring_to_version(db);
    if (r == 0)
        r = prepare_statements(db);
    return r == 0 ? davy_db_sync_directory(db->path) : r;
}

static int sync_wal(const struct davy_db *db)
{
    char path[DAVY_DB_PATH + 8];
    snprintf(path, sizeof(path), "%s-wal", db->path);
    DAVY_AUTO_FD int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    return fdatasync(fd) < 0 ? -errno : 0;
}

/*
 * What a killed process wrote and did not sync is committed here, and must be on the disk before anybody hears of it.
 * After a sync that failed another one proves nothing: Linux takes the pages for written. So they are written once
 * more, into the database, and the -wal begins anew. Where a reader stands in the way of that, a sync will do if none
 * has failed.
 */
static int settle(struct davy_db *db)
{
    int r = davy_db_result(db, sqlite3_wal_checkpoint_v2(db->handle, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL));
    return r == -EBUSY && !db->doubtful ? sync_wal(db) : r;
}

int davy_db_open(struct davy_db *db, const char *directory, const struct davy_db_schema *schema)
{
    bool doubtful = db->doubtful || db->broken;
    bool made = false;
    *db = DAVY_DB_INIT;
    db->schema = schema;
    db->doubtful = doubtful;
    int length = snprintf(db->path, sizeof(db->path), "%s/%s", directory, schema->file);
    if (length < 0 || (size_t)length >= sizeof(db->path))
        return -ENAMETOOLONG;
    int r = prepare_file(db, &made);
    if (r == 0)
        r = open_connection(db);
    if (r == 0)
        r = settle(db);
    if (r == 0 && !schema->filled)
        r = davy_db_finish(db);
    if (r < 0) {
        davy_db_close(db);
        if (made)
            unmake_file(db);
        return r;
    }
    db->doubtful = false;
    return 0;
}

void davy_db_close(struct davy_db *db)
{
    if (!db->handle)
        return;
    davy_db_rollback(db);
    for (size_t i = 0; i < DAVY_DB_STATEMENTS_MAX; i++) {
        sqlite3_finalize(db->statements[i]);
        db->statements[i] = NULL;
    }
    sqlite3_close_v2(db->handle);
    db->handle = NULL;
}
