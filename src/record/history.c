/* SPDX-License-Identifier: Apache-2.0 */
/* The readings of one point from all partitions, as they are or by steps of time. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model/names.h"
#include "reader.h"
#include "record/query.h"

/*
 * Rows looked at in one statement. By rowid, since there is no index by point: a page costs some ms whether the point
 * has rows in it or not.
 */
#define PAGE INT64_C(20000)

struct history {
    struct reader *reader;
    int64_t point;
    int64_t since_us;
    int64_t until_us; /* INT64_MAX: none */
    int64_t every_us; /* 0: each reading */
    bool (*each)(void *context, const struct davy_history_row *row);
    void *context;
    bool stopped;
    bool pending; /* a step is begun */
    int64_t step;
    int64_t with_value;
    double sum;
    int worst;       /* quality of the pending step */
    char reason[32]; /* of the first reading with that quality; "" none */
    struct davy_history_row row;
};

static void emit(struct history *h)
{
    struct davy_history_row *row = &h->row;
    if (!h->pending || h->stopped)
        return;
    h->pending = false;
    row->has_value = h->with_value > 0;
    row->value = row->has_value ? h->sum / (double)h->with_value : 0.0;
    row->quality = davy_quality_name((enum davy_quality)h->worst);
    row->reason = h->reason[0] ? h->reason : NULL;
    h->stopped = !h->each(h->context, row);
}

static void begin_step(struct history *h, int64_t time_us)
{
    int64_t start = time_us;
    if (h->every_us > 0) {
        int64_t rest = time_us % h->every_us;
        start = time_us - (rest < 0 ? rest + h->every_us : rest);
    }
    h->pending = true;
    h->step = start;
    h->with_value = 0;
    h->sum = 0.0;
    h->worst = -1;
    h->row = (struct davy_history_row){.time = {start * DAVY_NS_PER_US}, .min = INFINITY, .max = -INFINITY};
}

static void add_value(struct history *h, double value)
{
    h->sum += value;
    h->with_value++;
    h->row.min = fmin(h->row.min, value);
    h->row.max = fmax(h->row.max, value);
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

/* Columns: rowid, time_us, value, quality, reason. */
static void add_row(struct history *h, sqlite3_stmt *statement)
{
    int64_t time_us = sqlite3_column_int64(statement, 1);
    bool same = h->pending && h->every_us > 0 && time_us >= h->step && time_us - h->step < h->every_us;
    if (!same) {
        emit(h);
        begin_step(h, time_us);
    }
    h->row.count++;
    if (sqlite3_column_type(statement, 2) != SQLITE_NULL)
        add_value(h, sqlite3_column_double(statement, 2));
    add_quality(h, (const char *)sqlite3_column_text(statement, 3), (const char *)sqlite3_column_text(statement, 4));
}

static int page(struct history *h, sqlite3_stmt *statement, int64_t from)
{
    int r = davy_db_bind(statement, "iiiii", from, from + PAGE, h->point, h->since_us, h->until_us);
    while (r == 0 && !h->stopped) {
        r = davy_reader_step(h->reader, statement);
        if (r == 0)
            add_row(h, statement);
    }
    sqlite3_reset(statement);
    return r < 0 ? r : 0;
}

/* First and last rowid of a partition; false where it is empty or was dropped meanwhile. */
static bool extent(struct history *h, int64_t id, int64_t *ret_first, int64_t *ret_last)
{
    char sql[160];
    *ret_first = *ret_last = 0;
    snprintf(sql, sizeof(sql), "SELECT min(rowid) FROM reading_%lld", (long long)id);
    if (davy_db_number(&h->reader->db, sql, ret_first) < 0)
        return false;
    snprintf(sql, sizeof(sql), "SELECT max(rowid) FROM reading_%lld", (long long)id);
    return davy_db_number(&h->reader->db, sql, ret_last) == 0 && *ret_last > 0;
}

static int partition(struct history *h, int64_t id)
{
    char sql[400];
    int64_t first = 0;
    int64_t last = 0;
    sqlite3_stmt *statement = NULL;
    if (!extent(h, id, &first, &last))
        return 0;
    snprintf(sql, sizeof(sql),
             "SELECT r.rowid, r.time_us, r.value, q.quality, q.reason FROM reading_%lld r LEFT JOIN quality q"
             " ON q.code = r.quality WHERE r.rowid >= ?1 AND r.rowid < ?2 AND r.point = ?3 AND r.time_us >= ?4"
             " AND r.time_us < ?5 ORDER BY r.rowid",
             (long long)id);
    int r = davy_reader_prepare(h->reader, sql, &statement);
    for (int64_t from = first; r == 0 && from <= last && !h->stopped; from += PAGE)
        r = page(h, statement, from);
    sqlite3_finalize(statement);
    return r;
}

/* The next partition that may have readings of the time asked for: ids are read one by one, the list may change. */
static int next_partition(struct history *h, int64_t after, int64_t *ret_id)
{
    sqlite3_stmt *statement = NULL;
    int r = davy_reader_prepare(h->reader,
                                "SELECT min(id) FROM partition WHERE id > ?1 AND"
                                " (last_us >= ?2 OR id = (SELECT max(id) FROM partition)) AND first_us < ?3",
                                &statement);
    if (r == 0)
        r = davy_db_bind(statement, "iii", after, h->since_us, h->until_us);
    if (r == 0)
        r = davy_reader_step(h->reader, statement);
    bool found = r == 0 && sqlite3_column_type(statement, 0) != SQLITE_NULL;
    *ret_id = found ? sqlite3_column_int64(statement, 0) : 0;
    sqlite3_finalize(statement);
    return r < 0 ? r : 0;
}

/* History's point is 0 where it has never been recorded: then there is nothing to give. */
static int find_point(struct history *h, const char *name)
{
    sqlite3_stmt *statement = NULL;
    int r = davy_reader_prepare(h->reader, "SELECT id FROM point WHERE name = ?1", &statement);
    if (r == 0)
        r = davy_db_bind(statement, "t", name);
    if (r == 0)
        r = davy_reader_step(h->reader, statement);
    h->point = r == 0 ? sqlite3_column_int64(statement, 0) : 0;
    sqlite3_finalize(statement);
    return r < 0 ? r : 0;
}

static int run(struct history *h, const char *point)
{
    int64_t id = 0;
    int r = find_point(h, point);
    if (r < 0 || h->point == 0)
        return r < 0 ? r : 1;
    for (;;) {
        r = next_partition(h, id, &id);
        if (r < 0 || id == 0 || h->stopped)
            break;
        r = partition(h, id);
        if (r < 0)
            break;
    }
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
