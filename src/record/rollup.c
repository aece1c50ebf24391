/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Roll-ups: of each point and minute, and of each point and hour, how many readings, how many with a value, mean,
 * least, greatest, covered time, worst quality. What comes within a minute is gathered in memory and merged into both
 * tables when a reading of another minute comes, by the transaction that holds it. Merging is associative, so that it
 * may happen at any time, and a clock that goes back only merges more often. The place up to which rows of readings are
 * merged is written with them: what is behind it after a kill is taken from the rows again, once.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "readings_internal.h"

#define MINUTE_US INT64_C(60000000)
#define HOUR_US   (60 * MINUTE_US)

/* Of a row in its page: measured 41 for minutes, 44 for hours. */
#define ROW_BYTES INT64_C(44)

/* Rows that are deleted at once: some ms of work. */
#define DELETE_ROWS INT64_C(5000)

static const struct level {
    int64_t step_us;
    enum readings_statement add, merge, first, at, delete;
} levels[ROLLUP_LEVEL_COUNT_] = {
    [ROLLUP_MINUTE] = {MINUTE_US, READINGS_MINUTE_ADD, READINGS_MINUTE_MERGE, READINGS_MINUTE_FIRST, READINGS_MINUTE_AT,
                       READINGS_MINUTE_DELETE},
    [ROLLUP_HOUR] = {HOUR_US, READINGS_HOUR_ADD, READINGS_HOUR_MERGE, READINGS_HOUR_FIRST, READINGS_HOUR_AT,
                     READINGS_HOUR_DELETE},
};

static int64_t step_of(int64_t time_us, int64_t step_us)
{
    return time_us / step_us - (time_us % step_us < 0);
}

/* ---- what waits ------------------------------------------------------------------------------------------------ */

static void clear_point(struct rollup_point *point)
{
    *point = (struct rollup_point){.interval_us = point->interval_us, .min = INFINITY, .max = -INFINITY, .worst = -1};
}

static void clear_points(struct readings_rollup *rollup)
{
    rollup->begin_us = rollup->end_us = 0;
    for (size_t i = 0; i < rollup->point_count; i++)
        clear_point(&rollup->points[i]);
}

/* Make room for the point `id`. */
static int grow(struct readings_rollup *rollup, int64_t id)
{
    size_t count = (size_t)id + 1;
    if (count <= rollup->point_count)
        return 0;
    struct rollup_point *points = reallocarray(rollup->points, count, sizeof(*points));
    if (!points)
        return -ENOMEM;
    for (size_t i = rollup->point_count; i < count; i++) {
        points[i].interval_us = 0;
        clear_point(&points[i]);
    }
    rollup->points = points;
    rollup->point_count = count;
    return 0;
}

int davy_rollup_load_points(struct davy_readings *readings)
{
    sqlite3_stmt *statement = davy_db_use(&readings->db, READINGS_POINT_ALL);
    int r = 0;
    while (r == 0) {
        r = davy_db_step(&readings->db, statement);
        if (r != 0)
            break;
        int64_t id = sqlite3_column_int64(statement, 0); /* descending: room is made once */
        r = id < 0 || id > INT32_MAX ? -EUCLEAN : grow(&readings->rollup, id);
        if (r == 0)
            readings->rollup.points[id].interval_us = sqlite3_column_int64(statement, 1);
    }
    sqlite3_reset(statement);
    return r < 0 ? r : 0;
}

void davy_rollup_forget(struct davy_readings *readings)
{
    clear_points(&readings->rollup);
    readings->rollup.behind = true;
}

void davy_rollup_done(struct davy_readings *readings)
{
    free(readings->rollup.points);
    readings->rollup.points = NULL;
    readings->rollup.point_count = 0;
}

static void take(struct rollup_point *point, double value, int64_t code, enum davy_quality quality)
{
    point->count++;
    if (quality == DAVY_QUALITY_GOOD)
        point->covered_us += point->interval_us;
    if ((int)quality > point->worst) {
        point->worst = (int)quality;
        point->code = code;
    }
    if (isnan(value))
        return;
    point->with_value++;
    point->sum += value;
    point->min = value < point->min ? value : point->min;
    point->max = value > point->max ? value : point->max;
}

/* ---- into the file --------------------------------------------------------------------------------------------- */

static int bind_point(struct davy_readings *readings, sqlite3_stmt *statement, int64_t step, int64_t id)
{
    const struct rollup_point *point = &readings->rollup.points[id];
    bool none = point->with_value == 0;
    /* A sum may be beyond all numbers. */
    double mean = none ? (double)NAN : fmin(fmax(point->sum / point->with_value, point->min), point->max);
    return davy_db_bind(statement, "iiiiidddii", step, id, (int64_t)point->count, (int64_t)point->with_value,
                        point->covered_us, mean, none ? (double)NAN : point->min, none ? (double)NAN : point->max,
                        (int64_t)point->worst, point->code);
}

/* Whether a row was changed. */
static int write_row(struct davy_readings *readings, enum readings_statement which, int64_t step, int64_t id,
                     bool *ret_written)
{
    sqlite3_stmt *statement = davy_db_use(&readings->db, which);
    int r = bind_point(readings, statement, step, id);
    if (r == 0)
        r = davy_db_run(&readings->db, statement);
    *ret_written = r == 0 && sqlite3_changes64(readings->db.handle) > 0;
    return r;
}

/* A minute is mostly new, an hour mostly there: the likelier of both is tried first. */
static int merge_row(struct davy_readings *readings, enum rollup_level level, int64_t id)
{
    const struct level *kind = &levels[level];
    int64_t step = step_of(readings->rollup.begin_us, kind->step_us);
    bool written = false;
    int r = level == ROLLUP_HOUR ? write_row(readings, kind->merge, step, id, &written) : 0;
    if (r < 0 || written)
        return r;
    r = write_row(readings, kind->add, step, id, &written);
    if (r == 0 && written)
        readings->rollup.state.rows[level]++;
    else if (r == 0)
        r = write_row(readings, kind->merge, step, id, &written);
    return r;
}

static int store_state(struct davy_readings *readings)
{
    const struct rollup_state *state = &readings->rollup.state;
    return davy_db_do(&readings->db, READINGS_ROLLUP_STATE_SET, "iiiii", state->written.partition, state->written.row,
                      state->rows[ROLLUP_MINUTE], state->rows[ROLLUP_HOUR], state->minutes_since_us);
}

int davy_rollup_flush(struct davy_readings *readings)
{
    struct readings_rollup *rollup = &readings->rollup;
    int r = 0;
    if (rollup->begin_us == rollup->end_us)
        return 0;
    for (int level = 0; level < ROLLUP_LEVEL_COUNT_; level++) {
        for (size_t id = 0; r == 0 && id < rollup->point_count; id++) {
            if (rollup->points[id].count > 0)
                r = merge_row(readings, (enum rollup_level)level, (int64_t)id);
        }
    }
    if (r < 0)
        return r;
    rollup->state.written = rollup->taken;
    clear_points(rollup);
    return store_state(readings);
}

static int enter_minute(struct davy_readings *readings, int64_t time_us)
{
    int r = davy_rollup_flush(readings);
    readings->rollup.begin_us = step_of(time_us, MINUTE_US) * MINUTE_US;
    readings->rollup.end_us = readings->rollup.begin_us + MINUTE_US;
    return r;
}

int davy_rollup_add(struct davy_readings *readings, const struct readings_row *row, enum davy_quality quality)
{
    struct readings_rollup *rollup = &readings->rollup;
    const struct readings_partition *last = &readings->partitions[readings->partition_count - 1];
    if (row->time_us < rollup->begin_us || row->time_us >= rollup->end_us) {
        int r = enter_minute(readings, row->time_us);
        if (r < 0)
            return r;
    }
    take(&rollup->points[row->point], row->value, row->code, quality);
    rollup->taken = (struct rollup_place){last->id, last->last_rowid};
    return 0;
}

/* ---- out of the file ------------------------------------------------------------------------------------------- */

static int load_state(struct davy_readings *readings)
{
    struct rollup_state *state = &readings->rollup.state;
    sqlite3_stmt *statement = davy_db_use(&readings->db, READINGS_ROLLUP_STATE);
    int r = davy_db_step(&readings->db, statement);
    if (r != 0)
        return r < 0 ? r : -EUCLEAN;
    state->written.partition = sqlite3_column_int64(statement, 0);
    state->written.row = sqlite3_column_int64(statement, 1);
    state->rows[ROLLUP_MINUTE] = sqlite3_column_int64(statement, 2);
    state->rows[ROLLUP_HOUR] = sqlite3_column_int64(statement, 3);
    state->minutes_since_us = sqlite3_column_int64(statement, 4);
    sqlite3_reset(statement);
    readings->rollup.taken = state->written;
    return 0;
}

/* Columns: rowid, time_us, point, value, quality as code, quality as text. */
static int take_row(struct davy_readings *readings, int64_t partition, sqlite3_stmt *statement)
{
    struct readings_rollup *rollup = &readings->rollup;
    int64_t time_us = sqlite3_column_int64(statement, 1);
    int64_t id = sqlite3_column_int64(statement, 2);
    bool has_value = sqlite3_column_type(statement, 3) != SQLITE_NULL;
    const char *name = (const char *)sqlite3_column_text(statement, 5);
    int quality = name ? davy_quality_find(name) : -1;
    if (id < 0 || (size_t)id >= rollup->point_count)
        return -EUCLEAN;
    if (time_us < rollup->begin_us || time_us >= rollup->end_us) {
        int r = enter_minute(readings, time_us);
        if (r < 0)
            return r;
    }
    take(&rollup->points[id], has_value ? sqlite3_column_double(statement, 3) : (double)NAN,
         sqlite3_column_int64(statement, 4), quality < 0 ? DAVY_QUALITY_BAD : (enum davy_quality)quality);
    rollup->taken = (struct rollup_place){partition, sqlite3_column_int64(statement, 0)};
    return 0;
}

static int take_partition(struct davy_readings *readings, int64_t partition, int64_t after)
{
    char sql[256];
    sqlite3_stmt *statement = NULL;
    snprintf(sql, sizeof(sql),
             "SELECT r.rowid, r.time_us, r.point, r.value, r.quality, q.quality FROM reading_%lld r"
             " LEFT JOIN quality q ON q.code = r.quality WHERE r.rowid > ?1 ORDER BY r.rowid",
             (long long)partition);
    int r = davy_db_result(&readings->db, sqlite3_prepare_v2(readings->db.handle, sql, -1, &statement, NULL));
    if (r == 0)
        r = davy_db_bind(statement, "i", after);
    while (r == 0) {
        r = davy_db_step(&readings->db, statement);
        if (r == 0)
            r = take_row(readings, partition, statement);
    }
    sqlite3_finalize(statement);
    return r < 0 ? r : 0;
}

/* A file of version 1 was migrated: what it has is left out. */
static int begin_at_end(struct davy_readings *readings)
{
    struct rollup_place *written = &readings->rollup.state.written;
    written->row = 0;
    for (size_t i = 0; i < readings->partition_count; i++) {
        if (readings->partitions[i].id == written->partition)
            written->row = readings->partitions[i].last_rowid;
    }
    readings->rollup.taken = *written;
    return store_state(readings);
}

int davy_rollup_catch_up(struct davy_readings *readings)
{
    if (!readings->rollup.behind)
        return 0;
    clear_points(&readings->rollup);
    int r = load_state(readings);
    if (r == 0 && readings->rollup.state.written.row < 0)
        r = begin_at_end(readings);
    struct rollup_place from = readings->rollup.state.written;
    for (size_t i = 0; r == 0 && i < readings->partition_count; i++) {
        int64_t id = readings->partitions[i].id;
        if (id >= from.partition)
            r = take_partition(readings, id, id == from.partition ? from.row : 0);
    }
    readings->rollup.behind = r < 0;
    return r;
}

/* ---- bounds ---------------------------------------------------------------------------------------------------- */

void davy_rollup_limit(struct davy_readings *readings, const struct davy_storage *storage)
{
    struct readings_rollup *rollup = &readings->rollup;
    int64_t events_us = storage->event_retention.ns / DAVY_NS_PER_US;
    int64_t minutes_us = readings->retention_us < INT64_MAX / 10 ? 10 * readings->retention_us : INT64_MAX;
    rollup->keep_us[ROLLUP_MINUTE] = minutes_us;
    rollup->keep_us[ROLLUP_HOUR] = events_us > minutes_us ? events_us : minutes_us;
    rollup->rows_max[ROLLUP_MINUTE] = storage->max_size_bytes / 4 / ROW_BYTES;
    rollup->rows_max[ROLLUP_HOUR] = storage->max_size_bytes / 8 / ROW_BYTES;
}

struct excess {
    int64_t first; /* step */
    bool too_many;
    int64_t too_old; /* steps before this one; INT64_MIN: none is */
};

static int find_excess(struct davy_readings *readings, enum rollup_level level, davy_wall now,
                       struct excess *ret_excess)
{
    const struct readings_rollup *rollup = &readings->rollup;
    *ret_excess = (struct excess){.too_old = INT64_MIN};
    sqlite3_stmt *statement = davy_db_use(&readings->db, levels[level].first);
    int r = davy_db_step(&readings->db, statement);
    if (r != 0)
        return r < 0 ? r : 0;
    ret_excess->first = sqlite3_column_int64(statement, 0);
    sqlite3_reset(statement);
    int64_t oldest_us = now.ns / DAVY_NS_PER_US - rollup->keep_us[level];
    int64_t oldest = step_of(oldest_us, levels[level].step_us);
    ret_excess->too_many = rollup->rows_max[level] > 0 && rollup->state.rows[level] > rollup->rows_max[level];
    if (rollup->keep_us[level] > 0 && ret_excess->first < oldest)
        ret_excess->too_old = oldest;
    return 0;
}

int davy_rollup_excess(struct davy_readings *readings, enum rollup_level level, davy_wall now)
{
    struct excess excess;
    int r = find_excess(readings, level, now, &excess);
    return r < 0 ? r : excess.too_many || excess.too_old != INT64_MIN;
}

/* The step of the row after DELETE_ROWS others; INT64_MAX: there are not so many. */
static int find_end(struct davy_readings *readings, enum rollup_level level, int64_t *ret_step)
{
    *ret_step = INT64_MAX;
    sqlite3_stmt *statement = davy_db_use(&readings->db, levels[level].at);
    int r = davy_db_bind(statement, "i", DELETE_ROWS);
    if (r == 0)
        r = davy_db_step(&readings->db, statement);
    if (r == 0)
        *ret_step = sqlite3_column_int64(statement, 0);
    sqlite3_reset(statement);
    return r < 0 ? r : 0;
}

int davy_rollup_trim(struct davy_readings *readings, enum rollup_level level, davy_wall now)
{
    struct excess excess;
    int64_t end = 0;
    int r = find_excess(readings, level, now, &excess);
    if (r == 0)
        r = find_end(readings, level, &end);
    if (r < 0)
        return r;
    if (!excess.too_many)
        end = end < excess.too_old ? end : excess.too_old;
    end = end > excess.first && end != INT64_MAX ? end : excess.first + 1; /* all of a step, however many */
    r = davy_db_do(&readings->db, levels[level].delete, "i", end);
    if (r < 0)
        return r;
    readings->rollup.state.rows[level] -= sqlite3_changes64(readings->db.handle);
    if (level == ROLLUP_MINUTE && end * MINUTE_US > readings->rollup.state.minutes_since_us)
        readings->rollup.state.minutes_since_us = end * MINUTE_US;
    return store_state(readings);
}
