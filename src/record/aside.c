/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How it is noticed that a file is not what it was; a damaged one and its -wal get another name, so that a new one can
 * begin.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "db.h"

/* Through SQLite's own descriptor: to close another one of the file would take SQLite's locks away. */
static bool has_header(const struct davy_db *db)
{
    static const char expected[] = "SQLite format 3";
    sqlite3_file *file = NULL;
    char found[sizeof expected];
    int r = !db->handle ? SQLITE_MISUSE : sqlite3_file_control(db->handle, "main", SQLITE_FCNTL_FILE_POINTER, &file);
    if (r != SQLITE_OK || !file || !file->pMethods)
        return true;
    r = file->pMethods->xRead(file, found, (int)sizeof found, 0);
    if (r == SQLITE_IOERR_SHORT_READ)
        return false;
    return r != SQLITE_OK || memcmp(found, expected, sizeof found) == 0; /* an error shows itself where it matters */
}

bool davy_db_moved(const struct davy_db *db)
{
    struct stat now;
    return lstat(db->path, &now) < 0 || now.st_dev != db->device || now.st_ino != db->inode || !has_header(db);
}

/*
 * A -wal that stands there alone is of a file that was taken away: beside another one it would be read as that one's.
 */
static bool is_free(const char *path)
{
    char wal[DAVY_DB_PATH + 8];
    snprintf(wal, sizeof(wal), "%s-wal", path);
    return access(path, F_OK) < 0 && access(wal, F_OK) < 0;
}

static int aside_name(const char *path, davy_wall now, char *ret_path)
{
    time_t seconds = (time_t)(now.ns / DAVY_NS_PER_S);
    struct tm utc;
    char stamp[32];
    gmtime_r(&seconds, &utc);
    strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &utc);
    for (int i = 0; i < 1000; i++) {
        int length = i == 0 ? snprintf(ret_path, DAVY_DB_PATH, "%s.corrupt-%s", path, stamp)
                            : snprintf(ret_path, DAVY_DB_PATH, "%s.corrupt-%s.%d", path, stamp, i);
        if (length < 0 || length >= DAVY_DB_PATH - 4)
            return -ENAMETOOLONG;
        if (is_free(ret_path))
            return 0;
    }
    return -EEXIST;
}

/* No reader takes it for whole, or may again. What is no file at all is left as it is. */
static void set_begun(const char *path, bool begun)
{
    struct stat found;
    if (lstat(path, &found) == 0 && S_ISREG(found.st_mode))
        (void)chmod(path, begun ? found.st_mode | S_ISVTX : found.st_mode & ~(mode_t)S_ISVTX);
}

int davy_db_set_aside(const char *directory, const char *file, davy_wall now, char *ret_path)
{
    char path[DAVY_DB_PATH];
    char from[DAVY_DB_PATH + 8];
    char to[DAVY_DB_PATH + 8];
    int length = snprintf(path, sizeof(path), "%s/%s", directory, file);
    if (length < 0 || (size_t)length >= sizeof(path))
        return -ENAMETOOLONG;
    int r = aside_name(path, now, ret_path);
    if (r < 0)
        return r;
    set_begun(path, true); /* without its -wal it is not whole */
    snprintf(from, sizeof(from), "%s-wal", path);
    snprintf(to, sizeof(to), "%s-wal", ret_path);
    (void)rename(from, to); /* there may be none */
    snprintf(from, sizeof(from), "%s-shm", path);
    (void)unlink(from); /* rebuilt by whoever opens the pair */
    if (rename(path, ret_path) < 0)
        return -errno;
    set_begun(ret_path, false);
    return davy_db_sync_directory(path);
}
