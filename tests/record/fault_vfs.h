/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A VFS between SQLite and the disk that lets the n-th write, truncation or sync fail, once or from then on, or the
 * n-th read; or cuts the power there: of what was written since the last sync of its file, each sector of 512 bytes is
 * lost or not by chance. What a sync that failed should have written is lost for certain, whatever later syncs say,
 * unless its page is written again: that is what Linux does (https://wiki.postgresql.org/wiki/Fsync_Errors).
 */
#pragma once

#include <fcntl.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/num.h"

#define FAULT_SECTOR 512
#define FAULT_PAGE   4096

/* What a sector held before a write that is not synced. */
struct fault_sector {
    struct fault_sector *older;
    char path[128];
    sqlite3_int64 at;
    int length;
    bool doomed; /* a sync of it failed */
    char bytes[FAULT_SECTOR];
};

struct fault {
    int countdown; /* operations until one fails; 0: none */
    int result;    /* SQLITE_IOERR_WRITE, SQLITE_FULL … */
    bool lasting;
    int times; /* it fails so often in a row; 0: once, or for good where it is lasting */
    bool only_syncs;
    int read_countdown; /* likewise, for reads, once */
    bool bounded;       /* files may grow by `space` bytes more */
    sqlite3_int64 space;
    int operations; /* seen so far */
    int fired;
    int read_error;                /* errno of every read; 0: none */
    bool recording;                /* for fault_power_cut() */
    struct fault_sector *unsynced; /* newest first */
    sqlite3_vfs vfs;
    sqlite3_vfs *real;
};

struct fault_file {
    sqlite3_file base;
    struct fault *fault;
    sqlite3_file *real;
    char path[128];
};

static inline int fault_strikes(struct fault *fault)
{
    fault->operations++;
    if (fault->countdown == 0 || --fault->countdown > 0)
        return SQLITE_OK;
    if (fault->lasting || --fault->times > 0)
        fault->countdown = 1;
    fault->fired++;
    return fault->result;
}

static inline int fault_strikes_write(struct fault *fault)
{
    return fault->only_syncs ? SQLITE_OK : fault_strikes(fault);
}

static inline struct fault_file *fault_of(sqlite3_file *file)
{
    return (struct fault_file *)file;
}

static inline sqlite3_file *fault_real(sqlite3_file *file)
{
    return fault_of(file)->real;
}

static inline void fault_record(struct fault_file *file, sqlite3_int64 at, int length)
{
    for (int done = 0; file->fault->recording && done < length;) {
        struct fault_sector *sector = calloc(1, sizeof(*sector));
        int room = (int)(FAULT_SECTOR - (at + done) % FAULT_SECTOR);
        sector->older = file->fault->unsynced;
        snprintf(sector->path, sizeof(sector->path), "%s", file->path);
        sector->at = at + done;
        sector->length = room < length - done ? room : length - done;
        (void)file->real->pMethods->xRead(file->real, sector->bytes, sector->length, sector->at); /* short: zeros */
        file->fault->unsynced = sector;
        done += sector->length;
    }
}

static inline bool fault_page_written(const struct fault *fault, const struct fault_sector *doomed)
{
    for (const struct fault_sector *sector = fault->unsynced; sector; sector = sector->older)
        if (!sector->doomed && sector->at / FAULT_PAGE == doomed->at / FAULT_PAGE &&
            !strcmp(sector->path, doomed->path))
            return true;
    return false;
}

/* A sync failed: what it should have written will never be, unless its page is written once more. */
static inline void fault_doom(struct fault *fault, const char *path)
{
    for (struct fault_sector *sector = fault->unsynced; sector; sector = sector->older)
        sector->doomed |= strcmp(path, sector->path) == 0;
}

/* What was doomed and has been written again is as good as anything that was written. */
static inline void fault_pardon(struct fault *fault, const char *path)
{
    for (struct fault_sector *sector = fault->unsynced; sector; sector = sector->older)
        if (sector->doomed && strcmp(path, sector->path) == 0 && fault_page_written(fault, sector))
            sector->doomed = false;
}

/* The file at `path` (NULL: all) is on the disk now; with `random`, of each sector by chance what was there before. */
static inline void fault_settle(struct fault *fault, const char *path, struct davy_random *random)
{
    for (struct fault_sector **link = &fault->unsynced; *link;) {
        struct fault_sector *sector = *link;
        if ((path && strcmp(path, sector->path) != 0) || (sector->doomed && !random)) {
            link = &sector->older;
            continue;
        }
        bool lost = random && (sector->doomed || davy_random_next(random) % 2);
        int fd = lost ? open(sector->path, O_WRONLY | O_CLOEXEC) : -1;
        if (fd >= 0 && pwrite(fd, sector->bytes, (size_t)sector->length, sector->at) != sector->length)
            abort();
        if (fd >= 0)
            close(fd);
        *link = sector->older;
        free(sector);
    }
}

/* The file is gone, and with it what it held. */
static inline void fault_forget(struct fault *fault, const char *path)
{
    for (struct fault_sector *sector = fault->unsynced; sector; sector = sector->older)
        if (strcmp(path, sector->path) == 0)
            sector->doomed = false;
    fault_settle(fault, path, NULL);
}

static int fault_close(sqlite3_file *file)
{
    sqlite3_file *real = fault_real(file);
    int result = real->pMethods ? real->pMethods->xClose(real) : SQLITE_OK;
    return result;
}

static int fault_read(sqlite3_file *file, void *bytes, int length, sqlite3_int64 at)
{
    struct fault *fault = fault_of(file)->fault;
    if (fault->read_countdown > 0 && --fault->read_countdown == 0) {
        fault->fired++;
        return SQLITE_IOERR_READ;
    }
    if (fault->read_error)
        return SQLITE_IOERR_CORRUPTFS; /* what os_unix.c makes of EIO, ENXIO and ERANGE */
    return fault_real(file)->pMethods->xRead(fault_real(file), bytes, length, at);
}

/* Whether the disk has room for a file up to `end`. */
static inline bool fault_fits(struct fault_file *file, sqlite3_int64 end)
{
    sqlite3_int64 size = 0;
    if (!file->fault->bounded || file->real->pMethods->xFileSize(file->real, &size) != SQLITE_OK || end <= size)
        return true;
    if (end - size > file->fault->space)
        return false;
    file->fault->space -= end - size;
    return true;
}

static int fault_write(sqlite3_file *file, const void *bytes, int length, sqlite3_int64 at)
{
    struct fault *fault = fault_of(file)->fault;
    if (!fault_fits(fault_of(file), at + length))
        return SQLITE_FULL;
    int result = fault_strikes_write(fault);
    bool torn = result != SQLITE_OK && fault->recording && fault->fired == 1; /* under way when the power went */
    if (result != SQLITE_OK && !torn)
        return result;
    fault_record(fault_of(file), at, length);
    int written = fault_real(file)->pMethods->xWrite(fault_real(file), bytes, length, at);
    return torn ? result : written;
}

/* What is cut off may be there again after a power cut, as long as no sync came. */
static int fault_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    sqlite3_int64 before = 0;
    int result = fault_strikes_write(fault_of(file)->fault);
    if (result == SQLITE_OK && fault_real(file)->pMethods->xFileSize(fault_real(file), &before) == SQLITE_OK &&
        before > size)
        fault_record(fault_of(file), size, (int)(before - size));
    return result ? result : fault_real(file)->pMethods->xTruncate(fault_real(file), size);
}

static int fault_sync(sqlite3_file *file, int flags)
{
    struct fault *fault = fault_of(file)->fault;
    int result = fault_strikes(fault);
    if (result == SQLITE_OK) {
        fault_pardon(fault, fault_of(file)->path);
        fault_settle(fault, fault_of(file)->path, NULL);
    } else {
        fault_doom(fault, fault_of(file)->path);
    }
    return result ? result : fault_real(file)->pMethods->xSync(fault_real(file), flags);
}

static int fault_size(sqlite3_file *file, sqlite3_int64 *size)
{
    return fault_real(file)->pMethods->xFileSize(fault_real(file), size);
}

static int fault_lock(sqlite3_file *file, int level)
{
    return fault_real(file)->pMethods->xLock(fault_real(file), level);
}

static int fault_unlock(sqlite3_file *file, int level)
{
    return fault_real(file)->pMethods->xUnlock(fault_real(file), level);
}

static int fault_reserved(sqlite3_file *file, int *out)
{
    return fault_real(file)->pMethods->xCheckReservedLock(fault_real(file), out);
}

static int fault_control(sqlite3_file *file, int operation, void *argument)
{
    if (operation == SQLITE_FCNTL_LAST_ERRNO && fault_of(file)->fault->read_error) {
        *(int *)argument = fault_of(file)->fault->read_error;
        return SQLITE_OK;
    }
    return fault_real(file)->pMethods->xFileControl(fault_real(file), operation, argument);
}

static int fault_sector(sqlite3_file *file)
{
    return fault_real(file)->pMethods->xSectorSize(fault_real(file));
}

static int fault_traits(sqlite3_file *file)
{
    return fault_real(file)->pMethods->xDeviceCharacteristics(fault_real(file));
}

static int fault_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **out)
{
    return fault_real(file)->pMethods->xShmMap(fault_real(file), page, size, extend, out);
}

static int fault_shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
    return fault_real(file)->pMethods->xShmLock(fault_real(file), offset, n, flags);
}

static void fault_shm_barrier(sqlite3_file *file)
{
    fault_real(file)->pMethods->xShmBarrier(fault_real(file));
}

static int fault_shm_unmap(sqlite3_file *file, int remove)
{
    return fault_real(file)->pMethods->xShmUnmap(fault_real(file), remove);
}

static const sqlite3_io_methods fault_methods = {
    .iVersion = 2,
    .xClose = fault_close,
    .xRead = fault_read,
    .xWrite = fault_write,
    .xTruncate = fault_truncate,
    .xSync = fault_sync,
    .xFileSize = fault_size,
    .xLock = fault_lock,
    .xUnlock = fault_unlock,
    .xCheckReservedLock = fault_reserved,
    .xFileControl = fault_control,
    .xSectorSize = fault_sector,
    .xDeviceCharacteristics = fault_traits,
    .xShmMap = fault_shm_map,
    .xShmLock = fault_shm_lock,
    .xShmBarrier = fault_shm_barrier,
    .xShmUnmap = fault_shm_unmap,
};

static int fault_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out)
{
    struct fault *fault = vfs->pAppData;
    struct fault_file *mine = fault_of(file);
    memset(file, 0, (size_t)vfs->szOsFile);
    mine->fault = fault;
    snprintf(mine->path, sizeof(mine->path), "%s", name ? name : "");
    mine->real = (sqlite3_file *)(mine + 1);
    int result = fault->real->xOpen(fault->real, name, mine->real, flags, out);
    if (mine->real->pMethods)
        mine->base.pMethods = &fault_methods;
    return result;
}

/* A machine without power removes no file. */
static int fault_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
    struct fault *fault = vfs->pAppData;
    if (fault->recording && fault->fired)
        return SQLITE_IOERR_DELETE;
    fault_forget(fault, name);
    return fault->real->xDelete(fault->real, name, sync);
}

/* Becomes the default VFS; everything but files is the real one's. */
static inline int fault_install(struct fault *fault)
{
    memset(fault, 0, sizeof(*fault));
    fault->real = sqlite3_vfs_find(NULL);
    fault->vfs = *fault->real;
    fault->vfs.zName = "fault";
    fault->vfs.szOsFile = (int)sizeof(struct fault_file) + fault->real->szOsFile;
    fault->vfs.pAppData = fault;
    fault->vfs.xOpen = fault_open;
    fault->vfs.xDelete = fault_delete;
    return sqlite3_vfs_register(&fault->vfs, 1);
}

static inline void fault_remove(struct fault *fault)
{
    sqlite3_vfs_unregister(&fault->vfs);
}
