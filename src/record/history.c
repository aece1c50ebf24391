/* SPDX-License-Identifier: Apache-2.0 */
/* The history of one point, as it is or by steps of time: pieces of readings and roll-ups come, rows go out. */
#include "history.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model/names.h"

static double coverage(const struct history *h)
{
    double share = h->step_us > 0 ? (double)h->covered_us / (double)h->step_us : 0.0;
    return share < 1.0 ? share : 1.0;
}

static void emit(struct history *h)
{
    struct davy_history_row *row = &h->row;
    if (!h->pending || h->stopped)
        return;
    h->pending = false;
    row->has_value = h->with_value > 0;
    row->value = row->has_value ? fmin(fmax(h->sum / (double)h->with_value, row->min), row->max) : 0.0;
    row->coverage = coverage(h);
    row->quality = davy_quality_name((enum davy_quality)h->worst);
    row->reason = h->reason[0] ? h->reason : NULL;
    row->rollup = h->rollup_us == 0 ? NULL : h->rollup_us == HISTORY_HOUR_US ? "1h" : "1min";
    h->stopped = !h->each(h->context, row);
}

static int64_t floor_to(int64_t time_us, int64_t step_us)
{
    int64_t rest = step_us > 0 ? time_us % step_us : 0;
    return time_us - (rest < 0 ? rest + step_us : rest);
}

static void begin_step(struct history *h, int64_t start_us, int64_t step_us)
{
    h->pending = true;
    h->step = start_us;
    h->step_us = step_us;
    h->with_value = h->covered_us = h->rollup_us = 0;
    h->sum = 0.0;
    h->worst = -1;
    h->row = (struct davy_history_row){.time = {start_us * DAVY_NS_PER_US}, .min = INFINITY, .max = -INFINITY};
}

static void add_quality(struct history *h, const char *quality, const char *reason)
{
    int found = quality ? davy_quality_find(quality) : -1;
    found = found < 0 ? DAVY_QUALITY_BAD : found; /* of a later version: not to be trusted */
    if (found <= h->worst)
        return;
    h->worst = found;
    snprintf(h->reason, sizeof(h->reason), "%s", reason ? reason : "");
}

static void add_figures(struct history *h, const struct history_piece *piece)
{
    h->row.count += piece->count;
    h->covered_us += piece->covered_us;
    h->rollup_us = piece->step_us > h->rollup_us ? piece->step_us : h->rollup_us;
    if (piece->with_value > 0) {
        h->with_value += piece->with_value;
        h->sum += piece->sum;
        h->row.min = fmin(h->row.min, piece->min);
        h->row.max = fmax(h->row.max, piece->max);
    }
    add_quality(h, piece->quality, piece->reason);
}

void davy_history_add(void *context, const struct history_piece *piece)
{
    struct history *h = context;
    int64_t step_us = piece->step_us > h->every_us ? piece->step_us : h->every_us;
    int64_t start_us = floor_to(piece->time_us, step_us);
    if (h->stopped)
        return;
    if (!h->pending || h->every_us == 0 || h->step != start_us || h->step_us != step_us) {
        emit(h);
        begin_step(h, start_us, step_us);
    }
    add_figures(h, piece);
}

/* History's point is 0 where it has never been recorded: then there is nothing to give. */
static int find_point(struct history *h, const char *name, bool has_interval)
{
    sqlite3_stmt *statement = NULL;
    int r = davy_reader_prepare(h->reader,
                                has_interval ? "SELECT id, interval_us FROM point WHERE name = ?1"
                                             : "SELECT id, 0 FROM point WHERE name = ?1",
                                &statement);
    if (r == 0)
        r = davy_db_bind(statement, "t", name);
    if (r == 0)
        r = davy_reader_step(h->reader, statement);
    h->point = r == 0 ? sqlite3_column_int64(statement, 0) : 0;
    h->interval_us = r == 0 ? sqlite3_column_int64(statement, 1) : 0;
    sqlite3_finalize(statement);
    return r < 0 ? r : 0;
}

static int run(struct history *h, const char *point)
{
    int64_t version = 0;
    const struct history_rows all = {
        .since_us = h->since_us, .until_us = h->until_us, .each = davy_history_add, .context = h};
    int r = davy_db_number(&h->reader->db, "PRAGMA user_version", &version);
    bool has_rollups = version >= 2;
    if (r == 0)
        r = find_point(h, point, has_rollups);
    if (r < 0 || h->point == 0)
        return r < 0 ? r : 1;
    r = has_rollups && h->every_us > 0 ? davy_history_steps(h) : davy_history_rows(h, &all);
    if (r == 0)
        emit(h);
    return r;
}

int davy_query_history(const char *file, const char *point, davy_wall since, davy_wall until, davy_span every,
                       bool (*each)(void *context, const struct davy_history_row *row), void *context, char *ret_error,
                       size_t error_size)
{
    struct reader reader = READER_INIT;
    struct history history = {
        .reader = &reader,
        .since_us = since.ns != 0 ? since.ns / DAVY_NS_PER_US : INT64_MIN,
        .until_us = until.ns != 0 ? until.ns / DAVY_NS_PER_US : INT64_MAX,
        .every_us = every.ns / DAVY_NS_PER_US,
        .each = each,
        .context = context,
    };
    int r = davy_reader_open(&reader, file, &davy_readings_schema, ret_error, error_size);
    if (r == 0)
        r = run(&history, point);
    davy_reader_close(&reader);
    return r;
}
