/* SPDX-License-Identifier: Apache-2.0 */
#include "reader.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

int davy_reader_fail(struct reader *reader, int error, const char *what)
{
    snprintf(reader->error, reader->error_size, "%s: %s", reader->db.path, what);
    return error;
}

static int fail_sqlite(struct reader *reader, int error)
{
    return davy_reader_fail(reader, error, reader->db.handle ? sqlite3_errmsg(reader->db.handle) : strerror(-error));
}

/* A path as a URI; all but the plainest bytes are escaped. */
static int make_uri(const char *path, const char *options, char *uri, size_t size)
{
    int used = snprintf(uri, size, "file:");
    for (const char *p = path; *p && used >= 0 && (size_t)used < size; p++) {
        bool plain = isalnum((unsigned char)*p) || strchr("/._-", *p);
        used += snprintf(uri + used, size - (size_t)used, plain ? "%c" : "%%%02X", (unsigned char)*p);
    }
    if ((size_t)used < size)
        used += snprintf(uri + used, size - (size_t)used, "?%s", options);
    return (size_t)used < size ? 0 : -ENAMETOOLONG;
}

static int connect_with(struct reader *reader, const char *options)
{
    char uri[3 * DAVY_DB_PATH + 64];
    int64_t tables = 0;
    int flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    int r = make_uri(reader->db.path, options, uri, sizeof(uri));
    if (r < 0)
        return davy_reader_fail(reader, r, "path too long");
    r = davy_db_result(&reader->db, sqlite3_open_v2(uri, &reader->db.handle, flags, NULL));
    if (r < 0)
        return fail_sqlite(reader, r);
    sqlite3_busy_timeout(reader->db.handle, 5000);
    sqlite3_db_config(reader->db.handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL); /* one process checkpoints */
    sqlite3_db_config(reader->db.handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_db_config(reader->db.handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    r = davy_db_number(&reader->db, "SELECT count(*) FROM sqlite_schema", &tables);
    return r < 0 ? fail_sqlite(reader, r) : 0;
}

/*
 * Without a daemon there is no -shm, and who may not write the folder cannot make one: a file that was closed cleanly,
 * without a -wal, is then read as one that nobody changes.
 */
static int connect_reader(struct reader *reader)
{
    char wal[DAVY_DB_PATH + 8];
    int r = connect_with(reader, "mode=ro");
    if (r == 0)
        return 0;
    snprintf(wal, sizeof(wal), "%s-wal", reader->db.path);
    if (access(wal, F_OK) == 0 || reader->db.corrupt)
        return r;
    davy_db_close(&reader->db);
    return connect_with(reader, "mode=ro&immutable=1");
}

/*
 * A file that is begun may lack what was to be taken over into it, one that is being set aside its -wal; and behind
 * another file's name it may have got that one's -wal.
 */
static int check_is_whole(struct reader *reader, const struct stat *before)
{
    static const char why[] = "davyd just begins it anew, or was ended while it did: try again, or start davyd";
    struct stat now;
    bool same = stat(reader->db.path, &now) == 0 && now.st_dev == before->st_dev && now.st_ino == before->st_ino;
    return same && !(now.st_mode & S_ISVTX) ? 0 : davy_reader_fail(reader, -EAGAIN, why);
}

static int connect_whole(struct reader *reader, const struct stat *found)
{
    int r = connect_reader(reader);
    int whole = check_is_whole(reader, found); /* it tells more than what came of it */
    return whole < 0 ? whole : r;
}

static int check_schema(struct reader *reader)
{
    int64_t application = 0;
    int64_t version = 0;
    int r = davy_db_number(&reader->db, "PRAGMA application_id", &application);
    if (r == 0)
        r = davy_db_number(&reader->db, "PRAGMA user_version", &version);
    if (r < 0)
        return fail_sqlite(reader, r);
    if (application != reader->db.schema->application_id)
        return davy_reader_fail(reader, -EPROTONOSUPPORT, "is not the expected kind of database");
    if (version < 1 || version > reader->db.schema->version)
        return davy_reader_fail(reader, -EPROTONOSUPPORT, "has a newer schema than this program");
    reader->version = version;
    return 0;
}

int davy_reader_open(struct reader *reader, const char *file, const struct davy_db_schema *schema, char *error,
                     size_t error_size)
{
    struct stat found;
    *reader = (struct reader){.error = error, .error_size = error_size};
    reader->db = DAVY_DB_INIT;
    reader->db.schema = schema;
    int length = snprintf(reader->db.path, sizeof(reader->db.path), "%s", file);
    if (length < 0 || (size_t)length >= sizeof(reader->db.path))
        return davy_reader_fail(reader, -ENAMETOOLONG, "path too long");
    if (stat(file, &found) < 0)
        return davy_reader_fail(reader, -errno, strerror(errno));
    if (!S_ISREG(found.st_mode))
        return davy_reader_fail(reader, -EINVAL, "is not a regular file");
    int r = check_is_whole(reader, &found);
    if (r == 0)
        r = connect_whole(reader, &found);
    if (r == 0)
        r = check_schema(reader);
    if (r < 0)
        davy_reader_close(reader);
    return r;
}

void davy_reader_close(struct reader *reader)
{
    davy_db_close(&reader->db);
}

int davy_reader_prepare(struct reader *reader, const char *sql, sqlite3_stmt **ret_statement)
{
    int r = davy_db_result(&reader->db, sqlite3_prepare_v2(reader->db.handle, sql, -1, ret_statement, NULL));
    return r < 0 ? fail_sqlite(reader, r) : 0;
}

int davy_reader_step(struct reader *reader, sqlite3_stmt *statement)
{
    int r = davy_db_step(&reader->db, statement);
    return r < 0 ? fail_sqlite(reader, r) : r;
}
