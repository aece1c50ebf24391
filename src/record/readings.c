/* SPDX-License-Identifier: Apache-2.0 */
#include "record/readings.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "readings_internal.h"

#define DAY_US INT64_C(86400000000)

/* Of a row in its page, rounded down: measured 28.6. */
#define ROW_BYTES INT64_C(24)

/* One code of a pair, made where it is new. */
static int load_code(struct davy_readings *readings, const char *quality, const char *reason, int64_t *ret_code)
{
    for (int attempt = 0; attempt < 2; attempt++) {
        sqlite3_stmt *statement = davy_db_use(&readings->db, READINGS_QUALITY_FIND);
        int r = davy_db_bind(statement, "tt", quality, reason);
        if (r == 0)
            r = davy_db_step(&readings->db, statement);
        if (r == 0) {
            *ret_code = sqlite3_column_int64(statement, 0);
            sqlite3_reset(statement);
            return 0;
        }
        if (r == DAVY_DB_DONE)
            r = davy_db_do(&readings->db, READINGS_QUALITY_ADD, "tt", quality, reason);
        if (r < 0)
            return r;
    }
    return -EUCLEAN;
}

static int load_codes(struct davy_readings *readings)
{
    int r = davy_db_begin(&readings->db);
    for (int q = 0; q < DAVY_QUALITY_COUNT_; q++) {
        for (int reason = 0; r == 0 && reason < DAVY_REASON_COUNT_; reason++)
            r = load_code(readings, davy_quality_name((enum davy_quality)q), davy_reason_name((enum davy_reason)reason),
                          &readings->codes[q][reason]);
    }
    if (r == 0)
        return davy_db_commit(&readings->db);
    davy_db_rollback(&readings->db);
    return r;
}

static void close_file(struct davy_readings *readings)
{
    davy_partitions_forget(readings);
    davy_rollup_done(readings); /* ids of points are of the file */
    readings->row_count = 0;
    readings->partition_count = 0;
    davy_db_close(&readings->db);
}

static int open_file(struct davy_readings *readings)
{
    int r = davy_db_open(&readings->db, readings->directory, &davy_readings_schema);
    if (r < 0)
        return r;
    r = load_codes(readings);
    if (r == 0)
        r = davy_partitions_load(readings);
    if (r == 0)
        r = davy_telemetry_load(readings);
    if (r == 0)
        r = davy_rollup_load_points(readings);
    if (r == 0)
        r = davy_room_load(readings);
    davy_rollup_forget(readings);
    if (r < 0)
        close_file(readings);
    return r;
}

/* Of damaged readings only the newest is kept: each may be as large as max_size, and the ledger needs the disk. */
static void remove_older_damaged(const struct davy_readings *readings)
{
    static const char prefix[] = "readings.db.corrupt-";
    DIR *directory = opendir(readings->directory);
    if (!directory)
        return;
    for (const struct dirent *entry = readdir(directory); entry; entry = readdir(directory)) {
        if (strncmp(entry->d_name, prefix, sizeof(prefix) - 1) == 0)
            (void)unlinkat(dirfd(directory), entry->d_name, 0); /* what stays is only space */
    }
    closedir(directory);
}

static int begin_new_file(struct davy_readings *readings)
{
    char aside[DAVY_DB_PATH];
    close_file(readings);
    remove_older_damaged(readings);
    int r = davy_db_set_aside(readings->directory, davy_readings_schema.file, readings->opened, aside);
    return r < 0 && r != -ENOENT ? r : open_file(readings);
}

int davy_readings_open(const char *directory, davy_wall now, bool *ret_set_aside, struct davy_readings **ret_readings)
{
    struct davy_readings *readings = calloc(1, sizeof(*readings));
    if (!readings)
        return -ENOMEM;
    int length = snprintf(readings->directory, sizeof(readings->directory), "%s", directory);
    readings->opened = now;
    readings->length_us = DAY_US;
    readings->rows_max = INT64_MAX;
    int r = length < 0 || (size_t)length >= sizeof(readings->directory) ? -ENAMETOOLONG : open_file(readings);
    bool set_aside = r == -EUCLEAN;
    if (set_aside)
        r = begin_new_file(readings);
    if (r < 0) {
        davy_readings_close(readings);
        return r;
    }
    if (ret_set_aside)
        *ret_set_aside = set_aside;
    *ret_readings = readings;
    return 0;
}

struct davy_readings *davy_readings_close(struct davy_readings *readings)
{
    if (!readings)
        return NULL;
    if (readings->db.handle) {
        davy_db_rollback(&readings->db);
        (void)sqlite3_wal_checkpoint_v2(readings->db.handle, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
        close_file(readings); /* what the checkpoint could not do, the next open does */
    }
    free(readings->point_ids);
    free(readings->text);
    free(readings);
    return NULL;
}

void davy_readings_let_go(struct davy_readings *readings)
{
    close_file(readings);
    readings->now = readings->committed;
}

/* 0 with id and interval, DAVY_DB_DONE where the file does not know the point, or an error. */
static int find_point(struct davy_readings *readings, const char *name, int64_t *ret_id, int64_t *ret_interval_us)
{
    sqlite3_stmt *statement = davy_db_use(&readings->db, READINGS_POINT_FIND);
    int r = davy_db_bind(statement, "t", name);
    if (r == 0)
        r = davy_db_step(&readings->db, statement);
    if (r != 0)
        return r;
    *ret_id = sqlite3_column_int64(statement, 0);
    *ret_interval_us = sqlite3_column_int64(statement, 1);
    sqlite3_reset(statement);
    return 0;
}

/* What came until now is rolled up with the interval until now. */
static int set_interval(struct davy_readings *readings, int64_t id, int64_t interval_us)
{
    int r = davy_rollup_catch_up(readings);
    if (r == 0)
        r = davy_rollup_flush(readings);
    return r == 0 ? davy_db_do(&readings->db, READINGS_POINT_SET, "ii", id, interval_us) : r;
}

static int point_id(struct davy_readings *readings, const char *name, int64_t interval_us, int64_t *ret_id)
{
    int64_t before_us = 0;
    int r = find_point(readings, name, ret_id, &before_us);
    if (r == 0 && before_us != interval_us)
        return set_interval(readings, *ret_id, interval_us);
    if (r != DAVY_DB_DONE)
        return r;
    r = davy_db_do(&readings->db, READINGS_POINT_ADD, "ti", name, interval_us);
    *ret_id = sqlite3_last_insert_rowid(readings->db.handle);
    return r;
}

static int load_points(struct davy_readings *readings, const struct davy_config *config, int64_t *ids)
{
    char name[DAVY_KEY_SIZE];
    int r = davy_db_begin(&readings->db);
    for (size_t i = 0; r == 0 && i < config->point_count; i++)
        r = point_id(readings, davy_config_point_name(config, (uint32_t)i, name),
                     config->points[i].interval.ns / DAVY_NS_PER_US, &ids[i]);
    if (r == 0)
        r = davy_db_commit(&readings->db);
    if (r == 0)
        return davy_rollup_load_points(readings);
    davy_readings_rollback(readings);
    return r;
}

static int take_limits(struct davy_readings *readings, const struct davy_storage *storage)
{
    int r = davy_room_limit(readings, storage);
    readings->length_us = readings->retention_us / 64 > DAY_US ? readings->retention_us / 64 : DAY_US;
    readings->rows_max = storage->max_size_bytes / 64 / ROW_BYTES;
    davy_rollup_limit(readings, storage);
    return r;
}

static int apply_config(struct davy_readings *readings, const struct davy_config *config)
{
    int64_t *ids = calloc(config->point_count + 1, sizeof(*ids));
    if (!ids)
        return -ENOMEM;
    int r = load_points(readings, config, ids);
    if (r < 0) {
        free(ids);
        return r;
    }
    free(readings->point_ids);
    readings->point_ids = ids;
    readings->point_count = config->point_count;
    readings->config = config;
    return take_limits(readings, &config->storage);
}

/* 1 where the file that was opened again lacks a point that it had: it is another one. 0 or an error else. */
static int is_other(struct davy_readings *readings)
{
    char name[DAVY_KEY_SIZE];
    int64_t id, interval_us;
    if (!readings->config || readings->point_count == 0)
        return 0;
    int r = find_point(readings, davy_config_point_name(readings->config, 0, name), &id, &interval_us);
    return r == DAVY_DB_DONE ? 1 : r;
}

/* 0 or a negative errno; after 0 the file is open and usable, perhaps a new one. */
static int repair(struct davy_readings *readings)
{
    bool open = readings->db.handle != NULL;
    bool replace = readings->db.corrupt || (open && davy_db_moved(&readings->db));
    int r = !replace && davy_db_wal_moved(&readings->db) ? davy_db_leave_wal(&readings->db) : 0;
    if (open && !replace && !readings->db.broken && !readings->db.corrupt)
        return r;
    replace = replace || readings->db.corrupt;
    r = -EUCLEAN;
    if (!replace) {
        close_file(readings);
        r = open_file(readings);
        if (r == 0)
            r = is_other(readings);
    }
    readings->renewed |= r == 1 || r == -EUCLEAN;
    if (r == -EUCLEAN)
        r = begin_new_file(readings);
    r = r == 1 ? 0 : r;
    return r == 0 && readings->config ? apply_config(readings, readings->config) : r;
}

int davy_readings_configure(struct davy_readings *readings, const struct davy_config *config)
{
    int r = repair(readings);
    return r == 0 ? apply_config(readings, config) : r;
}

int davy_readings_begin(struct davy_readings *readings)
{
    int r = repair(readings);
    if (r < 0)
        return r;
    r = davy_room_wal(readings);
    if (r == 0)
        r = davy_db_begin(&readings->db);
    if (r == 0)
        davy_room_begun(readings);
    readings->now = readings->committed;
    if (r == 0)
        r = davy_rollup_catch_up(readings);
    if (r < 0)
        return davy_readings_fail(readings, r);
    bool renewed = readings->renewed;
    readings->renewed = false;
    return renewed ? DAVY_READINGS_RENEWED : 0;
}

int davy_readings_finish(struct davy_readings *readings)
{
    int r = davy_rows_flush(readings);
    if (r == 0)
        r = davy_partitions_store(readings);
    if (r == 0)
        r = davy_telemetry_store(readings);
    if (r == 0)
        r = davy_room_store(readings);
    if (r == 0)
        r = davy_db_commit(&readings->db);
    if (r < 0)
        return davy_readings_fail(readings, r);
    readings->committed = readings->now;
    davy_room_stored(readings);
    return 0;
}

int davy_readings_commit(struct davy_readings *readings)
{
    if (!davy_db_in_transaction(&readings->db))
        return -EINVAL;
    int r = davy_readings_finish(readings);
    if (r == 0)
        davy_room_make(readings);
    return r;
}

void davy_readings_rollback(struct davy_readings *readings)
{
    sqlite3_reset(readings->insert);
    sqlite3_reset(readings->insert_many);
    readings->row_count = 0;
    davy_db_rollback(&readings->db);
    readings->now = readings->committed;
    davy_rollup_forget(readings);
    davy_room_forget(readings);
    if (readings->db.handle && davy_partitions_load(readings) < 0)
        readings->db.broken = true; /* the next begin opens it anew */
}

int davy_readings_fail(struct davy_readings *readings, int error)
{
    davy_readings_rollback(readings);
    return error;
}

int davy_readings_append(struct davy_readings *readings, const struct davy_reading *reading)
{
    if (!davy_db_in_transaction(&readings->db))
        return -EINVAL;
    if (reading->point >= readings->point_count)
        return davy_readings_fail(readings, -EINVAL);
    assert(reading->quality < DAVY_QUALITY_COUNT_ && reading->reason < DAVY_REASON_COUNT_);
    int64_t time_us = reading->at.wall.ns / DAVY_NS_PER_US;
    const struct readings_row row = {.time_us = time_us,
                                     .point = readings->point_ids[reading->point],
                                     .value = reading->has_value ? reading->value : (double)NAN,
                                     .code = readings->codes[reading->quality][reading->reason]};
    int r = davy_partitions_ready(readings, time_us);
    if (r == 0)
        r = davy_rollup_add(readings, &row, reading->quality);
    if (r == 0)
        r = davy_rows_add(readings, &row);
    return r < 0 ? davy_readings_fail(readings, r) : 0;
}

static int64_t size_of(const char *directory, const char *file)
{
    char path[DAVY_DB_PATH];
    struct stat found;
    int length = snprintf(path, sizeof(path), "%s/%s", directory, file);
    return length > 0 && (size_t)length < sizeof(path) && stat(path, &found) == 0 ? found.st_size : 0;
}

int davy_storage_measure(const char *directory, struct davy_disk_usage *ret_usage)
{
    struct statvfs volume;
    if (statvfs(directory, &volume) < 0)
        return -errno;
    int64_t readings = size_of(directory, "readings.db") + size_of(directory, "readings.db-wal");
    *ret_usage = (struct davy_disk_usage){
        .bytes = readings + size_of(directory, "ledger.db") + size_of(directory, "ledger.db-wal"),
        .readings_bytes = readings,
        .free_bytes = (int64_t)volume.f_bavail * (int64_t)volume.f_frsize,
        .total_bytes = (int64_t)volume.f_blocks * (int64_t)volume.f_frsize,
    };
    return 0;
}
