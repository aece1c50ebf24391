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
        .id = last ? last->id + 1 : readings->rollup.taken.partition + 1, /* never one again */
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

void davy_partitions_bring_back(struct davy_readings *readings, davy_wall now)
{
    struct readings_partition *last = last_partition(readings);
    int64_t now_us = now.ns / DAVY_NS_PER_US;
    if (last && now_us >= DAVY_CLOCK_SET_US && last->begin_us > now_us)
        last->begin_us = floor_to(now_us, readings->length_us);
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

/* Rows that go must be in the roll-ups. */
static int roll_up_first(struct davy_readings *readings, int64_t partition)
{
    return readings->rollup.state.written.partition <= partition ? davy_rollup_flush(readings) : 0;
}

static int first_rowid(struct davy_readings *readings, const struct readings_partition *partition, int64_t *ret_row)
{
    char sql[80];
    snprintf(sql, sizeof(sql), "SELECT min(rowid) FROM reading_%lld", (long long)partition->id);
    *ret_row = partition->last_rowid + 1; /* where it is empty */
    return davy_db_number(&readings->db, sql, ret_row);
}

static davy_wall from_us(int64_t time_us)
{
    return (davy_wall){time_us * DAVY_NS_PER_US};
}

static int forget_oldest(struct davy_readings *readings)
{
    int64_t id = readings->partitions[0].id;
    char sql[64];
    if (readings->partition_count == 1)
        davy_partitions_forget(readings);
    readings->partition_count--;
    memmove(readings->partitions, readings->partitions + 1,
            readings->partition_count * sizeof(readings->partitions[0]));
    int r = davy_db_do(&readings->db, READINGS_PARTITION_DELETE, "i", id);
    if (r == 0)
        r = rebuild_view(readings);
    snprintf(sql, sizeof(sql), "DROP TABLE reading_%lld", (long long)id);
    return r == 0 ? davy_db_exec(&readings->db, sql) : r;
}

int davy_partitions_drop(struct davy_readings *readings, struct davy_readings_loss *ret_gone)
{
    const struct readings_partition oldest = readings->partitions[0];
    int64_t first = 0;
    int r = roll_up_first(readings, oldest.id);
    if (r == 0)
        r = first_rowid(readings, &oldest, &first);
    if (r == 0)
        r = forget_oldest(readings);
    if (r == 0)
        *ret_gone = (struct davy_readings_loss){(uint64_t)(oldest.last_rowid - first + 1), from_us(oldest.first_us),
                                                from_us(oldest.last_us)};
    return r;
}

/* The time of a row, NULL's place being 1970. */
static int time_of(struct davy_readings *readings, const struct readings_partition *partition, int64_t row,
                   davy_wall *ret_time)
{
    char sql[96];
    int64_t time_us = 0;
    snprintf(sql, sizeof(sql), "SELECT time_us FROM reading_%lld WHERE rowid = %lld", (long long)partition->id,
             (long long)row);
    int r = davy_db_number(&readings->db, sql, &time_us);
    *ret_time = from_us(time_us);
    return r;
}

/* A partition is never left empty: its rows would count from 1 again. */
int davy_partitions_shorten(struct davy_readings *readings, struct davy_readings_loss *ret_gone)
{
    char sql[96];
    int64_t first = 0;
    struct davy_readings_loss gone = {.count = (uint64_t)DELETE_ROWS};
    const struct readings_partition *oldest = &readings->partitions[0];
    int r = first_rowid(readings, oldest, &first);
    if (r == 0 && oldest->last_rowid < first + DELETE_ROWS)
        return davy_partitions_drop(readings, ret_gone);
    if (r == 0)
        r = roll_up_first(readings, oldest->id);
    if (r == 0)
        r = time_of(readings, oldest, first, &gone.from);
    if (r == 0)
        r = time_of(readings, oldest, first + DELETE_ROWS - 1, &gone.to);
    if (r < 0)
        return r;
    snprintf(sql, sizeof(sql), "DELETE FROM reading_%lld WHERE rowid < %lld", (long long)oldest->id,
             (long long)(first + DELETE_ROWS));
    *ret_gone = gone;
    return davy_db_exec(&readings->db, sql);
}
