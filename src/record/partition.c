/* SPDX-License-Identifier: Apache-2.0 */
/* Partitions of readings by time: made, listed in the view, dropped whole by age and by size. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "readings_internal.h"

/* Rows that are deleted at once where the only partition is too large: some ms of work. */
#define DELETE_ROWS INT64_C(20000)

/* Enough for a term of the view a partition. */
#define VIEW_SIZE (512 + READINGS_PARTITIONS_MAX * 96)

static struct readings_partition *last_partition(struct davy_readings *readings)
{
    return readings->partition_count > 0 ? &readings->partitions[readings->partition_count - 1] : NULL;
}

static int last_rowid(struct davy_readings *readings, struct readings_partition *partition)
{
    char sql[80];
    snprintf(sql, sizeof(sql), "SELECT max(rowid) FROM reading_%lld", (long long)partition->id);
    partition->last_rowid = 0;
    return davy_db_number(&readings->db, sql, &partition->last_rowid);
}

void davy_partitions_forget(struct davy_readings *readings)
{
    sqlite3_finalize(readings->insert);
    sqlite3_finalize(readings->insert_many);
    readings->insert = readings->insert_many = NULL;
}

int davy_partitions_load(struct davy_readings *readings)
{
    size_t count = 0;
    davy_partitions_forget(readings);
    readings->partition_changed = false;
    sqlite3_stmt *statement = davy_db_use(&readings->db, READINGS_PARTITION_ALL);
    int r = davy_db_bind(statement, "i", (int64_t)READINGS_PARTITIONS_MAX);
    while (r == 0) {
        r = davy_db_step(&readings->db, statement);
        if (r != 0)
            break;
        readings->partitions[count++] = (struct readings_partition){
            .id = sqlite3_column_int64(statement, 0),
            .begin_us = sqlite3_column_int64(statement, 1),
            .first_us = sqlite3_column_int64(statement, 2),
            .last_us = sqlite3_column_int64(statement, 3),
        };
    }
    readings->partition_count = count;
    r = r < 0 ? r : 0;
    for (size_t i = 0; r == 0 && i < count; i++)
        r = last_rowid(readings, &readings->partitions[i]);
    return r;
}

static int rebuild_view(struct davy_readings *readings)
{
    DAVY_AUTO_FREE char *sql = malloc(VIEW_SIZE);
    if (!sql)
        return -ENOMEM;
    int used = snprintf(sql, VIEW_SIZE,
                        "DROP VIEW IF EXISTS readings; CREATE VIEW readings AS SELECT r.time_us,"
                        " p.name AS point, r.value, q.quality, q.reason FROM (");
    for (size_t i = 0; i < readings->partition_count; i++)
        used +=
            snprintf(sql + used, VIEW_SIZE - (size_t)used, "%sSELECT time_us, point, value, quality FROM reading_%lld",
                     i ? " UNION ALL " : "", (long long)readings->partitions[i].id);
    if (readings->partition_count == 0)
        used += snprintf(sql + used, VIEW_SIZE - (size_t)used,
                         "SELECT NULL AS time_us, NULL AS point, NULL AS value, NULL AS quality WHERE 0");
    snprintf(sql + used, VIEW_SIZE - (size_t)used,
             ") r JOIN point p ON p.id = r.point JOIN quality q ON q.code = r.quality");
    return davy_db_exec(&readings->db, sql);
}

static int64_t floor_to(int64_t value, int64_t step)
{
    int64_t rest = value % step;
    return value - (rest < 0 ? rest + step : rest);
}

static int add_partition(struct davy_readings *readings, int64_t time_us)
{
    const struct readings_partition *last = last_partition(readings);
    struct readings_partition made = {
        .id = last ? last->id + 1 : 1,
        .begin_us = floor_to(time_us, readings->length_us),
        .first_us = time_us,
        .last_us = time_us,
    };
    char sql[160];
    snprintf(sql, sizeof(sql),
             "CREATE TABLE reading_%lld (time_us INTEGER NOT NULL, point INTEGER NOT NULL, value REAL,"
             " quality INTEGER NOT NULL) STRICT",
             (long long)made.id);
    int r = davy_db_exec(&readings->db, sql);
    if (r == 0)
        r = davy_db_do(&readings->db, READINGS_PARTITION_ADD, "iiii", made.id, made.begin_us, made.first_us,
                       made.last_us);
    if (r < 0)
        return r;
    readings->partitions[readings->partition_count++] = made;
    davy_partitions_forget(readings);
    return rebuild_view(readings);
}

/* A time before the last partition stays in it: readings of two buses cross, and a clock may be stepped back. */
static bool needs_partition(const struct davy_readings *readings, const struct readings_partition *last,
                            int64_t time_us)
{
    if (!last)
        return true;
    bool full = time_us - readings->length_us >= last->begin_us || last->last_rowid >= readings->rows_max;
    return full && readings->partition_count < READINGS_PARTITIONS_MAX;
}

static int prepare_rows(struct davy_readings *readings, int rows, sqlite3_stmt **ret_statement)
{
    char sql[96 + READINGS_ROWS * sizeof ",(?,?,?,?)"];
    int used = snprintf(sql, sizeof(sql), "INSERT INTO reading_%lld (time_us, point, value, quality) VALUES ",
                        (long long)last_partition(readings)->id);
    for (int i = 0; i < rows; i++)
        used += snprintf(sql + used, sizeof(sql) - (size_t)used, "%s(?,?,?,?)", i ? "," : "");
    return davy_db_result(&readings->db, sqlite3_prepare_v3(readings->db.handle, sql, -1, SQLITE_PREPARE_PERSISTENT,
                                                            ret_statement, NULL));
}

static int prepare_insert(struct davy_readings *readings)
{
    int r = prepare_rows(readings, 1, &readings->insert);
    if (r == 0)
        r = prepare_rows(readings, READINGS_ROWS, &readings->insert_many);
    if (r < 0)
        davy_partitions_forget(readings);
    return r;
}

int davy_partitions_ready(struct davy_readings *readings, int64_t time_us)
{
    int r = 0;
    if (needs_partition(readings, last_partition(readings), time_us)) {
        r = davy_rows_flush(readings);
        if (r == 0)
            r = davy_partitions_store(readings);
        if (r == 0)
            r = add_partition(readings, time_us);
    }
    if (r == 0 && !readings->insert)
        r = prepare_insert(readings);
    if (r < 0)
        return r;
    struct readings_partition *last = last_partition(readings);
    last->last_rowid++;
    last->first_us = time_us < last->first_us ? time_us : last->first_us;
    last->last_us = time_us > last->last_us ? time_us : last->last_us;
    readings->partition_changed = true;
    return 0;
}

int davy_partitions_store(struct davy_readings *readings)
{
    const struct readings_partition *last = last_partition(readings);
    if (!last || !readings->partition_changed)
        return 0;
    readings->partition_changed = false;
    return davy_db_do(&readings->db, READINGS_PARTITION_SET, "iii", last->id, last->first_us, last->last_us);
}

static int drop_oldest(struct davy_readings *readings)
{
    char sql[64];
    int64_t id = readings->partitions[0].id;
    snprintf(sql, sizeof(sql), "DROP TABLE reading_%lld", (long long)id);
    if (readings->partition_count == 1)
        davy_partitions_forget(readings);
    readings->partition_count--;
    memmove(readings->partitions, readings->partitions + 1,
            readings->partition_count * sizeof(readings->partitions[0]));
    int r = davy_db_do(&readings->db, READINGS_PARTITION_DELETE, "i", id);
    if (r == 0)
        r = rebuild_view(readings);
    return r == 0 ? davy_db_exec(&readings->db, sql) : r;
}

static int delete_oldest_rows(struct davy_readings *readings)
{
    char sql[160];
    int64_t id = readings->partitions[0].id;
    snprintf(sql, sizeof(sql), "DELETE FROM reading_%lld WHERE rowid < (SELECT min(rowid) FROM reading_%lld) + %lld",
             (long long)id, (long long)id, (long long)DELETE_ROWS);
    return davy_db_exec(&readings->db, sql);
}

static int used_bytes(struct davy_readings *readings, int64_t *ret_bytes)
{
    int64_t pages = 0;
    int64_t free_pages = 0;
    int64_t page_size = 4096;
    int r = davy_db_number(&readings->db, "PRAGMA page_count", &pages);
    if (r == 0)
        r = davy_db_number(&readings->db, "PRAGMA freelist_count", &free_pages);
    if (r == 0)
        r = davy_db_number(&readings->db, "PRAGMA page_size", &page_size);
    if (r == 0)
        *ret_bytes = (pages - free_pages) * page_size;
    return r;
}

enum step { STEP_NONE, STEP_DROP, STEP_DELETE };

/* The sixteenth below max_size is what the commits until the next call may fill. */
static int next_step(struct davy_readings *readings, davy_wall now, enum step *ret_step)
{
    int64_t bytes = 0;
    const struct readings_partition *oldest = &readings->partitions[0];
    *ret_step = STEP_NONE;
    if (readings->partition_count == 0)
        return 0;
    int r = used_bytes(readings, &bytes);
    bool too_old = readings->retention_us > 0 && oldest->last_us < now.ns / DAVY_NS_PER_US - readings->retention_us;
    bool too_large = readings->max_bytes > 0 && bytes > readings->max_bytes - readings->max_bytes / 16;
    if (too_old || (too_large && readings->partition_count > 1))
        *ret_step = STEP_DROP;
    else if (too_large && oldest->last_rowid > 0)
        *ret_step = STEP_DELETE;
    return r;
}

static int prune_step(struct davy_readings *readings, enum step step)
{
    int r = davy_readings_begin(readings);
    if (r < 0)
        return r;
    if (readings->partition_count > 0)
        r = step == STEP_DROP ? drop_oldest(readings) : delete_oldest_rows(readings);
    return r < 0 ? davy_readings_fail(readings, r) : davy_readings_commit(readings);
}

int davy_readings_prune(struct davy_readings *readings, davy_wall now)
{
    enum step step = STEP_NONE;
    if (!readings->db.handle)
        return -EIO;
    int r = next_step(readings, now, &step);
    if (r < 0 || step == STEP_NONE)
        return r;
    r = prune_step(readings, step);
    if (r == 0)
        r = next_step(readings, now, &step);
    return r < 0 ? r : step != STEP_NONE;
}
