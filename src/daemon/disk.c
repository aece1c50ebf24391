/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/disk.h"

#include <errno.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>

#include "base/log.h"
#include "record/reserve.h"

/* Less free space than this, or than a twentieth of the file system, is a trouble of the storage. */
#define LEAST_FREE       (INT64_C(64) << 20)
#define LEAST_FREE_SHARE 20

/* A -wal that is not held by a reader has a few MiB. */
#define MOST_WAL (INT64_C(64) << 20)

/* A failure stays the trouble that is named for this long: want of space does not take its place before. */
#define NAMED_FOR (10 * DAVY_NS_PER_S)

/* This part of a file system is the reserve, and as much again the floor of the readings, within bounds. */
#define SHARE        32
#define RESERVE_MOST (INT64_C(8) << 20)
#define FLOOR_MOST   (INT64_C(32) << 20)
#define SHARE_LEAST  (INT64_C(256) << 10)

/* Of the readings, whatever else is on the disk. */
#define ROOM_LEAST (INT64_C(1) << 20)

/* The reserve goes in so many steps, so that whoever fills the disk cannot take all of it at once. */
#define STEPS 16

void disk_trouble(struct disk *disk, const char *what, int rc)
{
    char text[sizeof disk->status.trouble];
    snprintf(text, sizeof text, "%s: %s", what, rc < 0 ? davy_ledger_reason(rc) : "slow");
    if (strcmp(text, disk->status.trouble) != 0)
        davy_error("record", "%s", text);
    memcpy(disk->status.trouble, text, sizeof text);
    disk->status.troubled_at = disk->told_at = davy_clock_now(disk->route->clock).mono;
}

/* Little space is seen at each look; it must not hide a failure that has just been named. */
static void little_space(struct disk *disk)
{
    davy_mono now = davy_clock_now(disk->route->clock).mono;
    const bool of_space = disk->space_told_at.ns == disk->told_at.ns;
    if (disk->told_at.ns != 0 && !of_space && davy_mono_sub(now, disk->told_at).ns < NAMED_FOR) {
        disk->status.troubled_at = now;
        return;
    }
    disk_trouble(disk, "less than 64 MiB or 5 % are free in the state directory", -ENOSPC);
    disk->space_told_at = disk->told_at;
}

void disk_works(struct disk *disk)
{
    disk->status.working_since = davy_clock_now(disk->route->clock).mono;
    davy_cell_put(&disk->route->recorder, &disk->status);
}

void disk_rests(struct disk *disk)
{
    disk->status.working_since = (davy_mono){0};
    davy_cell_put(&disk->route->recorder, &disk->status);
}

void disk_took(struct disk *disk, davy_mono since, davy_span patience, const char *what)
{
    if (davy_mono_sub(davy_clock_now(disk->route->clock).mono, since).ns > patience.ns)
        disk_trouble(disk, what, 0);
}

/* ---- space ----------------------------------------------------------------------------------------------------- */

static int64_t share_of(int64_t total, int64_t most)
{
    int64_t share = total / SHARE;
    return share > most ? most : share < SHARE_LEAST ? SHARE_LEAST : share;
}

/* With a margin on the way back, so that readings do not begin and stop by turns. */
static void judge_space(struct disk *disk, int64_t free_bytes)
{
    bool was_full = disk->full;
    disk->full = free_bytes < (was_full ? disk->floor + disk->floor / 4 : disk->floor);
    if (disk->full && !was_full)
        davy_warning("record", "what space is left is for events: readings are not stored");
    else if (was_full && !disk->full)
        davy_notice("record", "readings are stored again");
}

/* Before their growth brings the disk near to where they must stop, readings use again what they have. */
static int64_t room_of(const struct davy_disk_usage *usage, int64_t floor)
{
    int64_t more = usage->free_bytes - 2 * floor;
    int64_t room = usage->readings_bytes + (more > 0 ? more : 0);
    return room > ROOM_LEAST ? room : ROOM_LEAST;
}

static void keep_reserve(struct disk *disk, int64_t free_bytes)
{
    if (disk->full || free_bytes < disk->floor + disk->reserve)
        return;
    int rc = davy_reserve_keep(disk->directory, disk->reserve);
    if (rc < 0 && rc != -EOPNOTSUPP)
        disk_trouble(disk, "the reserve cannot be kept", rc);
}

/* Gone with the power: said once. */
static void judge_kind(struct disk *disk)
{
    struct statfs found;
    if (disk->warned || statfs(disk->directory, &found) < 0)
        return;
    disk->warned = true;
    if (found.f_type == TMPFS_MAGIC || found.f_type == RAMFS_MAGIC)
        davy_warning("record", "%s is in memory: not durable, events and readings are lost with the power",
                     disk->directory);
}

/* 0, or why the directory takes no writing. */
static int judge_volume(const struct disk *disk)
{
    struct statvfs volume;
    if (statvfs(disk->directory, &volume) < 0)
        return -errno;
    if ((volume.f_flag & ST_RDONLY) != 0)
        return -EROFS;
    return volume.f_files > 0 && volume.f_favail == 0 ? -EDQUOT : 0; /* no inode: only seen when a file is made */
}

/* Somebody reads without end, and nothing that is written meanwhile can leave the -wal. */
static void judge_wal(struct disk *disk)
{
    static const char *const files[] = {"ledger.db-wal", "readings.db-wal"};
    for (size_t i = 0; i < DAVY_LENGTH(files); i++) {
        char path[PATH_MAX], what[64];
        struct stat found;
        snprintf(path, sizeof path, "%s/%s", disk->directory, files[i]);
        snprintf(what, sizeof what, "%s has more than 64 MiB, held by a reader", files[i]);
        if (stat(path, &found) == 0 && found.st_size > MOST_WAL)
            disk_trouble(disk, what, -EBUSY);
    }
}

void disk_measure(struct disk *disk)
{
    struct davy_disk_usage usage;
    if (!disk->ours)
        return;
    int rc = davy_storage_measure(disk->directory, &usage);
    if (rc < 0) {
        disk_trouble(disk, "the state directory cannot be read", rc);
        return;
    }
    disk->status.bytes = usage.bytes;
    disk->status.free_bytes = usage.free_bytes;
    disk->reserve = share_of(usage.total_bytes, RESERVE_MOST);
    disk->floor = share_of(usage.total_bytes, FLOOR_MOST);
    disk->room = room_of(&usage, disk->floor);
    judge_kind(disk);
    judge_wal(disk);
    judge_space(disk, usage.free_bytes);
    rc = judge_volume(disk);
    if (rc < 0)
        disk_trouble(disk, "the state directory takes no new files", rc);
    else
        keep_reserve(disk, usage.free_bytes);
    if (usage.free_bytes < LEAST_FREE || usage.free_bytes < usage.total_bytes / LEAST_FREE_SHARE)
        little_space(disk);
}

bool disk_give_back(struct disk *disk)
{
    int64_t step = disk->reserve > 0 ? disk->reserve / STEPS : SHARE_LEAST / STEPS;
    int64_t given = davy_reserve_release(disk->directory, step);
    if (given > 0)
        disk_trouble(disk, "the disk is full, events go on in the reserve", -ENOSPC);
    disk->full |= given > 0;
    return given > 0;
}

/* ---- losses ---------------------------------------------------------------------------------------------------- */

void disk_lose(struct disk *disk, enum davy_loss_kind kind, int64_t count, davy_wall at, const char *why)
{
    struct disk_loss *loss = &disk->losses[kind];
    if (count <= 0)
        return;
    if (loss->count == 0)
        *loss = (struct disk_loss){.from = at, .why = why};
    loss->count += count;
    loss->to = at;
    disk->status.lost[kind] += (uint64_t)count;
}

static void count_refused(struct disk *disk)
{
    struct evaluator_status evaluator;
    davy_wall now = davy_clock_now(disk->route->clock).wall;
    davy_cell_get(&disk->route->evaluator, &evaluator);
    disk_lose(disk, DAVY_LOSS_READINGS, (int64_t)(evaluator.lost_readings - disk->refused_before), now,
              "the queue is full");
    disk_lose(disk, DAVY_LOSS_EVENTS, (int64_t)(evaluator.lost_records - disk->left_out_before), now,
              "the queue is full");
    disk->refused_before = evaluator.lost_readings;
    disk->left_out_before = evaluator.lost_records;
}

void disk_declare(struct disk *disk, struct davy_ledger *ledger)
{
    struct davy_stamp now = davy_clock_now(disk->route->clock);
    count_refused(disk);
    for (int kind = 0; ledger && kind < DAVY_LOSS_COUNT_; kind++) {
        struct disk_loss *loss = &disk->losses[kind];
        disk->owes[kind] = loss->count > 0 || davy_ledger_owes(ledger, (enum davy_loss_kind)kind);
        if (loss->count == 0)
            continue;
        struct davy_ledger_loss declared = {.kind = (enum davy_loss_kind)kind,
                                            .count = loss->count,
                                            .from = loss->from,
                                            .to = loss->to,
                                            .why = loss->why};
        davy_ledger_declare(ledger, &declared, now);
        *loss = (struct disk_loss){.count = 0};
    }
}
