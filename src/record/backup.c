/* SPDX-License-Identifier: Apache-2.0 */
#include "record/backup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reader.h"
#include "record/verify.h"

/* Pages between two looks at whether to stop: some ms. */
#define PAGES 512

struct backup {
    enum davy_backup_kind kind;
    const char *to;
    char part[DAVY_DB_PATH + 8]; /* what it is called until it is whole */
    bool (*step)(void *context, int64_t pages, int64_t of);
    void *context;
    char *error;
    size_t error_size;
};

static int fail(const struct backup *backup, int error, const char *file, const char *what)
{
    snprintf(backup->error, backup->error_size, "%s: %s", file, what);
    return error;
}

/* The folder may be anybody's: the name is taken before anything is written, and never through a link. */
static int make_part(struct backup *backup)
{
    struct stat found;
    int length = snprintf(backup->part, sizeof backup->part, "%s.part", backup->to);
    if (length < 0 || length >= DAVY_DB_PATH)
        return fail(backup, -ENAMETOOLONG, backup->to, "the name is too long");
    if (lstat(backup->to, &found) == 0)
        return fail(backup, -EEXIST, backup->to, "there is a file of that name; nothing is overwritten");
    int fd = open(backup->part, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (fd < 0 && errno == EEXIST)
        return fail(backup, -EEXIST, backup->part, "it is there: another copy runs, or one was killed and left it");
    if (fd < 0)
        return fail(backup, -errno, backup->part, strerror(errno));
    close(fd);
    return 0;
}

static int sqlite_error(const struct backup *backup, sqlite3 *to, int result)
{
    struct davy_db db = {.handle = to};
    return fail(backup, davy_db_result(&db, result), backup->part, sqlite3_errstr(result));
}

/* The reader is in a transaction all the while: else each commit of the daemon would make it begin anew. */
static int copy_pages(const struct backup *backup, sqlite3 *from, sqlite3 *to)
{
    sqlite3_backup *copy = sqlite3_backup_init(to, "main", from, "main");
    if (!copy)
        return sqlite_error(backup, to, sqlite3_errcode(to));
    bool go_on = true;
    int result = SQLITE_OK;
    while (result == SQLITE_OK && go_on) {
        result = sqlite3_backup_step(copy, PAGES);
        int64_t of = sqlite3_backup_pagecount(copy);
        go_on = !backup->step || backup->step(backup->context, of - sqlite3_backup_remaining(copy), of);
    }
    int end = sqlite3_backup_finish(copy);
    if (!go_on && result == SQLITE_OK)
        return fail(backup, -EINTR, backup->to, "stopped");
    if (result == SQLITE_DONE && end == SQLITE_OK)
        return 0;
    return sqlite_error(backup, to, result == SQLITE_DONE ? end : result);
}

/* Who goes on from it must know that numbers may have been given since. Older schemas have no place for that. */
static int sign_copy(const struct backup *backup, const struct reader *reader, sqlite3 *to)
{
    static const char sql[] = "INSERT OR REPLACE INTO head SELECT 'copy', seq, hash FROM head WHERE name = 'event';"
                              " PRAGMA wal_checkpoint(TRUNCATE)";
    if (backup->kind != DAVY_BACKUP_LEDGER || reader->version < DAVY_LEDGER_WHOLE_SINCE)
        return 0;
    int result = sqlite3_exec(to, sql, NULL, NULL, NULL);
    return result == SQLITE_OK ? 0 : sqlite_error(backup, to, result);
}

/* No -wal beside the copy: it is one file. SQLite flushes it at the end. */
static int copy_into(const struct backup *backup, struct reader *reader)
{
    sqlite3 *to = NULL;
    int result = sqlite3_open_v2(backup->part, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    int r = result == SQLITE_OK ? davy_db_exec(&reader->db, "BEGIN; SELECT count(*) FROM sqlite_schema")
                                : sqlite_error(backup, to, result);
    if (r == 0)
        r = copy_pages(backup, reader->db.handle, to);
    if (r == 0)
        r = sign_copy(backup, reader, to);
    (void)!davy_db_exec(&reader->db, "COMMIT"); /* nothing was written */
    int end = sqlite3_close(to);
    return r < 0 || end == SQLITE_OK ? r : sqlite_error(backup, NULL, end);
}

static int check_pages(const struct backup *backup)
{
    sqlite3 *handle = NULL;
    sqlite3_stmt *statement = NULL;
    bool well = sqlite3_open_v2(backup->part, &handle, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK &&
                sqlite3_prepare_v2(handle, "PRAGMA quick_check(1)", -1, &statement, NULL) == SQLITE_OK &&
                sqlite3_step(statement) == SQLITE_ROW &&
                strcmp((const char *)sqlite3_column_text(statement, 0), "ok") == 0;
    sqlite3_finalize(statement);
    sqlite3_close(handle);
    return well ? 0 : fail(backup, -EUCLEAN, backup->to, "the copy is damaged, and so is most likely what was copied");
}

static int check_copy(const struct backup *backup)
{
    struct davy_ledger_check check;
    int r = check_pages(backup);
    if (r < 0 || backup->kind != DAVY_BACKUP_LEDGER)
        return r;
    r = davy_ledger_verify(backup->part, &check, backup->error, backup->error_size);
    if (r > 0) {
        snprintf(backup->error, backup->error_size, "%s: the ledger does not hold at %s %lld: %s", backup->to,
                 check.bad_strand, (long long)check.bad_seq, check.reason);
        r = -EUCLEAN;
    }
    return r;
}

/* Without -wal and -shm that a reader made beside it, and the journal that SQLite leaves where the disk was full. */
static void remove_companions(const struct backup *backup)
{
    static const char *const suffixes[] = {"-wal", "-shm", "-journal"};
    char path[DAVY_DB_PATH + 16];
    for (size_t i = 0; i < DAVY_LENGTH(suffixes); i++) {
        snprintf(path, sizeof path, "%s%s", backup->part, suffixes[i]);
        (void)unlink(path);
    }
}

/*
 * Never over a file that is there: by a link, or on a file system without links (FAT) by a rename that replaces
 * nothing.
 */
static int name_copy(const struct backup *backup)
{
    if (link(backup->part, backup->to) == 0) {
        (void)unlink(backup->part);
        return 0;
    }
    if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS)
        return -errno;
    return renameat2(AT_FDCWD, backup->part, AT_FDCWD, backup->to, RENAME_NOREPLACE) < 0 ? -errno : 0;
}

static int give_name(const struct backup *backup, int64_t *ret_bytes)
{
    struct stat found;
    DAVY_AUTO_FD int fd = open(backup->part, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || fsync(fd) < 0 || fstat(fd, &found) < 0)
        return fail(backup, -errno, backup->part, strerror(errno));
    int r = name_copy(backup);
    if (r < 0)
        return fail(backup, r, backup->to, strerror(-r));
    *ret_bytes = found.st_size;
    r = davy_db_sync_directory(backup->to);
    return r < 0 ? fail(backup, r, backup->to, strerror(-r)) : 0;
}

static int run(struct backup *backup, struct reader *reader, int64_t *ret_bytes)
{
    int r = make_part(backup);
    if (r < 0)
        return r;
    r = copy_into(backup, reader);
    if (r == 0)
        r = check_copy(backup);
    remove_companions(backup);
    if (r == 0)
        r = give_name(backup, ret_bytes);
    if (r < 0)
        (void)unlink(backup->part);
    return r;
}

int davy_backup(enum davy_backup_kind kind, const char *from, const char *to,
                bool (*step)(void *context, int64_t pages, int64_t of), void *context, int64_t *ret_bytes,
                char *ret_error, size_t error_size)
{
    struct reader reader = READER_INIT;
    struct backup backup = {
        .kind = kind, .to = to, .step = step, .context = context, .error = ret_error, .error_size = error_size};
    const struct davy_db_schema *schema = kind == DAVY_BACKUP_LEDGER ? &davy_ledger_schema : &davy_readings_schema;
    int r = davy_reader_open(&reader, from, schema, ret_error, error_size);
    if (r == 0)
        r = run(&backup, &reader, ret_bytes);
    davy_reader_close(&reader);
    return r;
}
