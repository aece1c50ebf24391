/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The size of readings.db: all of the file is bounded by pages, so that what is freed in it can be used where the disk
 * is full; its -wal by checkpoints, and by a refusal to write while a reader holds it. What is too old or too much
 * goes: of readings the oldest partition, of roll-ups the oldest rows. What went for the size alone is a loss, kept
 * until it is told.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "readings_internal.h"

#define PAGE_BYTES INT64_C(4096)

/* Pages of the -wal that are brought into the file at once. */
#define CHECKPOINT_MAX 1000
#define CHECKPOINT_MIN 16

/* Changes of the disk's room that are smaller are passed over. */
#define ROOM_STEP (INT64_C(256) << 10)

/* Steps of pruning that a commit makes at most, where the next ones would not fit. */
#define STEPS_AT_ONCE 4

/* ---- bounds ---------------------------------------------------------------------------------------------------- */

/* A sixteenth of max_size is the -wal's. */
static int64_t wal_pages(const struct davy_readings *readings)
{
    return readings->max_bytes / 16 / PAGE_BYTES;
}

/* After each commit. An error of a checkpoint is found by the next one, or by the next transaction. */
static int on_wal(void *context, sqlite3 *handle, const char *name, int pages)
{
    struct davy_readings *readings = context;
    readings->commit_pages = pages > readings->wal_pages ? pages - readings->wal_pages : pages;
    readings->wal_pages = pages;
    if (pages >= readings->checkpoint_pages)
        (void)sqlite3_wal_checkpoint_v2(handle, name, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    return SQLITE_OK;
}

static int set_pragma(struct davy_readings *readings, const char *name, int64_t value)
{
    char sql[64];
    int64_t set = 0;
    snprintf(sql, sizeof(sql), "PRAGMA %s=%lld", name, (long long)value);
    return davy_db_number(&readings->db, sql, &set);
}

static int used_pages(struct davy_readings *readings, int64_t *ret_pages)
{
    int64_t pages = 0;
    int64_t free_pages = 0;
    int r = davy_db_number(&readings->db, "PRAGMA page_count", &pages);
    if (r == 0)
        r = davy_db_number(&readings->db, "PRAGMA freelist_count", &free_pages);
    if (r == 0)
        *ret_pages = pages - free_pages;
    return r;
}

/*
 * Where the file has more in it than it may have from now on, it grows a little: without a free page nothing could go,
 * for what goes is rolled up first.
 */
static int set_bound(struct davy_readings *readings)
{
    int64_t used = 0, slack = readings->pages_max / 32, bound = readings->pages_max;
    int r = used_pages(readings, &used);
    if (used > bound - slack / 2)
        bound = used + slack;
    return r == 0 ? set_pragma(readings, "max_page_count", bound) : r;
}

int davy_room_limit(struct davy_readings *readings, const struct davy_storage *storage)
{
    readings->retention_us = storage->retention.ns / DAVY_NS_PER_US;
    readings->max_bytes = storage->max_size_bytes;
    if (readings->disk_bytes > 0 && (readings->max_bytes <= 0 || readings->disk_bytes < readings->max_bytes))
        readings->max_bytes = readings->disk_bytes;
    readings->pages_max = readings->max_bytes / PAGE_BYTES - wal_pages(readings);
    readings->pages_max = readings->pages_max < 64 ? 64 : readings->pages_max;
    int64_t pages = wal_pages(readings) / 4;
    readings->checkpoint_pages = (int)(pages > CHECKPOINT_MAX   ? CHECKPOINT_MAX
                                       : pages < CHECKPOINT_MIN ? CHECKPOINT_MIN
                                                                : pages);
    sqlite3_wal_hook(readings->db.handle, on_wal, readings);
    int r = set_pragma(readings, "journal_size_limit", readings->checkpoint_pages * PAGE_BYTES);
    return r == 0 ? set_bound(readings) : r;
}

int davy_readings_room(struct davy_readings *readings, int64_t bytes)
{
    bool same = readings->disk_bytes / ROOM_STEP == bytes / ROOM_STEP;
    if (same)
        return 0;
    readings->disk_bytes = bytes;
    return readings->db.handle && readings->config ? davy_room_limit(readings, &readings->config->storage) : 0;
}

int davy_room_wal(struct davy_readings *readings)
{
    if (readings->max_bytes <= 0 || readings->wal_pages < wal_pages(readings))
        return 0;
    sqlite3_busy_timeout(readings->db.handle, 0); /* a reader is not waited for */
    int result = sqlite3_wal_checkpoint_v2(readings->db.handle, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    sqlite3_busy_timeout(readings->db.handle, DAVY_DB_BUSY_MS);
    if (result == SQLITE_OK)
        readings->wal_pages = 0;
    return davy_db_result(&readings->db, result);
}

void davy_room_begun(struct davy_readings *readings)
{
    int pages = 0, most = 0;
    (void)sqlite3_db_status(readings->db.handle, SQLITE_DBSTATUS_CACHE_WRITE, &pages, &most, 1);
}

/* What the cache could not hold is in the -wal by now; what it holds, and the commit itself, need the rest. */
bool davy_readings_large(const struct davy_readings *readings)
{
    int pages = 0, most = 0;
    if (readings->max_bytes <= 0 || !readings->db.handle)
        return false;
    (void)sqlite3_db_status(readings->db.handle, SQLITE_DBSTATUS_CACHE_WRITE, &pages, &most, 0);
    return pages > 0 && pages >= wal_pages(readings) / 8;
}

/* ---- losses ---------------------------------------------------------------------------------------------------- */

static bool same(const struct davy_readings_loss *a, const struct davy_readings_loss *b)
{
    return a->count == b->count && a->from.ns == b->from.ns && a->to.ns == b->to.ns;
}

void davy_room_lose(struct davy_readings *readings, enum davy_readings_kind kind, const struct davy_readings_loss *loss)
{
    struct davy_readings_loss *sum = &readings->losses_now[kind];
    if (loss->count == 0)
        return;
    bool first = sum->count == 0;
    sum->count += loss->count;
    sum->from = first || loss->from.ns < sum->from.ns ? loss->from : sum->from;
    sum->to = first || loss->to.ns > sum->to.ns ? loss->to : sum->to;
}

int davy_room_load(struct davy_readings *readings)
{
    sqlite3_stmt *statement = davy_db_use(&readings->db, READINGS_LOSS_ALL);
    int r = 0;
    memset(readings->losses, 0, sizeof(readings->losses));
    while (r == 0) {
        r = davy_db_step(&readings->db, statement);
        if (r != 0)
            break;
        int64_t kind = sqlite3_column_int64(statement, 0);
        if (kind < 0 || kind >= DAVY_READINGS_KIND_COUNT_)
            continue;
        readings->losses[kind].count = (uint64_t)sqlite3_column_int64(statement, 1);
        readings->losses[kind].from.ns = sqlite3_column_int64(statement, 2) * DAVY_NS_PER_US;
        readings->losses[kind].to.ns = sqlite3_column_int64(statement, 3) * DAVY_NS_PER_US;
    }
    davy_room_forget(readings);
    return r < 0 ? r : 0;
}

void davy_room_forget(struct davy_readings *readings)
{
    memcpy(readings->losses_now, readings->losses, sizeof(readings->losses));
}

int davy_room_store(struct davy_readings *readings)
{
    int r = 0;
    for (int kind = 0; r == 0 && kind < DAVY_READINGS_KIND_COUNT_; kind++) {
        const struct davy_readings_loss *now = &readings->losses_now[kind];
        if (!same(now, &readings->losses[kind]))
            r = davy_db_do(&readings->db, READINGS_LOSS_SET, "iiii", (int64_t)kind, (int64_t)now->count,
                           now->from.ns / DAVY_NS_PER_US, now->to.ns / DAVY_NS_PER_US);
    }
    return r;
}

void davy_room_stored(struct davy_readings *readings)
{
    memcpy(readings->losses, readings->losses_now, sizeof(readings->losses));
}

const struct davy_readings_loss *davy_readings_loss(const struct davy_readings *readings, enum davy_readings_kind kind)
{
    return &readings->losses[kind];
}

int davy_readings_told(struct davy_readings *readings, enum davy_readings_kind kind, uint64_t count)
{
    struct davy_readings_loss *loss = &readings->losses_now[kind];
    if (!davy_db_in_transaction(&readings->db))
        return -EINVAL;
    loss->count -= count < loss->count ? count : loss->count;
    if (loss->count == 0)
        *loss = (struct davy_readings_loss){.count = 0};
    else
        loss->from = loss->to; /* what is left is the latest */
    return 0;
}

/* ---- pruning --------------------------------------------------------------------------------------------------- */

enum step { STEP_NONE, STEP_AGE, STEP_DROP, STEP_SHORTEN, STEP_MINUTES, STEP_HOURS };

/* Where fewer than `free_pages` are left, the oldest readings go. */
static int step_for_size(struct davy_readings *readings, int64_t free_pages, enum step *ret_step)
{
    int64_t pages = 0;
    if (readings->partition_count == 0 || readings->max_bytes <= 0)
        return 0;
    int r = used_pages(readings, &pages);
    if (r == 0 && pages > readings->pages_max - free_pages)
        *ret_step = readings->partition_count > 1 ? STEP_DROP : STEP_SHORTEN;
    return r;
}

/*
 * When the oldest was written at the latest. What was recorded by a clock that was not set, or ran ahead, is as old as
 * what follows it.
 */
static int64_t oldest_us(const struct davy_readings *readings, int64_t now_us)
{
    for (size_t i = 0; i < readings->partition_count; i++) {
        int64_t last_us = readings->partitions[i].last_us;
        if (last_us >= DAVY_CLOCK_SET_US && last_us <= now_us)
            return last_us;
    }
    return INT64_MAX;
}

static bool is_too_old(const struct davy_readings *readings, davy_wall now)
{
    int64_t now_us = now.ns / DAVY_NS_PER_US;
    return readings->retention_us > 0 && oldest_us(readings, now_us) < now_us - readings->retention_us;
}

/* The sixteenth that stays free is what the commits until the next call may fill. */
static int next_step(struct davy_readings *readings, davy_wall now, enum step *ret_step)
{
    *ret_step = is_too_old(readings, now) ? STEP_AGE : STEP_NONE;
    int r = *ret_step == STEP_NONE ? step_for_size(readings, readings->pages_max / 16, ret_step) : 0;
    if (r < 0 || *ret_step != STEP_NONE)
        return r;
    r = davy_rollup_excess(readings, ROLLUP_MINUTE, now);
    if (r > 0)
        *ret_step = STEP_MINUTES;
    if (r == 0)
        r = davy_rollup_excess(readings, ROLLUP_HOUR, now);
    if (r > 0 && *ret_step == STEP_NONE)
        *ret_step = STEP_HOURS;
    return r < 0 ? r : 0;
}

static int prune_readings(struct davy_readings *readings, enum step step)
{
    struct davy_readings_loss gone = {.count = 0};
    if (readings->partition_count == 0)
        return 0;
    int r = step == STEP_SHORTEN ? davy_partitions_shorten(readings, &gone) : davy_partitions_drop(readings, &gone);
    if (r == 0 && step != STEP_AGE)
        davy_room_lose(readings, DAVY_READINGS_RAW, &gone);
    return r;
}

static int run_step(struct davy_readings *readings, enum step step, davy_wall now)
{
    switch (step) {
    case STEP_AGE:
    case STEP_DROP:
    case STEP_SHORTEN:
        return prune_readings(readings, step);
    case STEP_MINUTES:
        return davy_rollup_trim(readings, ROLLUP_MINUTE, now);
    case STEP_HOURS:
        return davy_rollup_trim(readings, ROLLUP_HOUR, now);
    case STEP_NONE:
        break;
    }
    return 0;
}

static int prune_step(struct davy_readings *readings, enum step step, davy_wall now)
{
    int r = davy_readings_begin(readings);
    if (r < 0)
        return r;
    r = run_step(readings, step, now);
    return r < 0 ? davy_readings_fail(readings, r) : davy_readings_finish(readings);
}

/* For two commits like the last one at least. What cannot be done now, the next transaction runs into. */
void davy_room_make(struct davy_readings *readings)
{
    int64_t least = readings->pages_max / 32, two = 2 * readings->commit_pages;
    int64_t room = two < least ? least : two < 8 * least ? two : 8 * least;
    for (int i = 0; i < STEPS_AT_ONCE; i++) {
        enum step step = STEP_NONE;
        if (step_for_size(readings, room, &step) < 0 || step == STEP_NONE ||
            prune_step(readings, step, (davy_wall){0}) < 0)
            return;
    }
}

int davy_readings_prune(struct davy_readings *readings, davy_wall now)
{
    enum step step = STEP_NONE;
    if (!readings->db.handle)
        return -EIO;
    davy_partitions_bring_back(readings, now);
    int r = next_step(readings, now, &step);
    if (r < 0 || step == STEP_NONE)
        return r;
    r = prune_step(readings, step, now);
    if (r == 0)
        r = next_step(readings, now, &step);
    return r < 0 ? r : step != STEP_NONE;
}
