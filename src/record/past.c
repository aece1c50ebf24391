/* SPDX-License-Identifier: Apache-2.0 */
/* History for windows that go on over a restart: readings by rowid, since there is no index by point or time. */
#include "record/past.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reader.h"

/* Rows looked at in one statement. */
#define PAGE INT64_C(20000)

/* Buses cross in time: the rows before the first one that is late enough may be late enough too. */
#define MARGIN INT64_C(1000)

#define PARTITIONS_MAX 128

static int64_t micros(davy_wall t)
{
    return t.ns / DAVY_NS_PER_US;
}

/* Rows of one partition that are to be looked at: [first, last]. */
struct stretch {
    int64_t partition;
    int64_t first;
    int64_t last;
};

struct past {
    struct reader *reader;
    const struct davy_past_readings *what;
    void (*each)(void *context, const struct davy_reading *reading);
    void *context;
    uint32_t *points; /* by id in the file: index in the configuration, DAVY_NONE: not wanted */
    int64_t point_ids;
    int64_t since_us;
    int64_t time_us;                          /* of the last one given */
    struct stretch stretches[PARTITIONS_MAX]; /* newest first */
    size_t stretch_count;
    int64_t rows_left;
    bool cut;
    davy_wall from;
};

/* "min" or "max" of the rowids of a partition; 0 where it is empty or was dropped meanwhile. */
static int64_t end_of(struct past *past, const char *end, int64_t partition)
{
    char sql[96];
    int64_t value = 0;
    snprintf(sql, sizeof sql, "SELECT coalesce(%s(rowid), 0) FROM reading_%lld", end, (long long)partition);
    return davy_db_number(&past->reader->db, sql, &value) < 0 ? 0 : value;
}

/* ---- which points ---- */

static int64_t furthest(const struct davy_past_readings *what)
{
    int64_t lookback = 0;
    for (size_t p = 0; p < what->config->point_count; p++)
        if (what->lookback[p].ns > lookback)
            lookback = what->lookback[p].ns;
    return lookback;
}

static void take_point(struct past *past, int64_t id, const char *name)
{
    uint32_t point = name ? davy_config_find_point(past->what->config, name) : DAVY_NONE;
    if (point != DAVY_NONE && past->what->lookback[point].ns > 0)
        past->points[id] = point;
}

static int map_points(struct past *past)
{
    sqlite3_stmt *statement = NULL;
    if (davy_db_number(&past->reader->db, "SELECT coalesce(max(id), 0) FROM point", &past->point_ids) < 0)
        return -EIO;
    past->points = calloc((size_t)past->point_ids + 1, sizeof *past->points);
    if (!past->points)
        return -ENOMEM;
    for (int64_t id = 0; id <= past->point_ids; id++)
        past->points[id] = DAVY_NONE;
    int r = davy_reader_prepare(past->reader, "SELECT id, name FROM point WHERE id BETWEEN 0 AND ?1", &statement);
    if (r == 0)
        r = davy_db_bind(statement, "i", past->point_ids);
    while (r == 0) {
        r = davy_reader_step(past->reader, statement);
        if (r == 0)
            take_point(past, sqlite3_column_int64(statement, 0), (const char *)sqlite3_column_text(statement, 1));
    }
    sqlite3_finalize(statement);
    return r < 0 ? r : 0;
}

/* ---- which rows ---- */

static int64_t time_at(struct past *past, sqlite3_stmt *statement, int64_t rowid)
{
    int64_t time = INT64_MAX;
    if (davy_db_bind(statement, "i", rowid) == 0 && davy_reader_step(past->reader, statement) == 0)
        time = sqlite3_column_int64(statement, 0);
    sqlite3_reset(statement);
    return time;
}

/* The first row that is not before a time, by halves; rows are nearly in order of time. */
static int find_row(struct past *past, const struct stretch *stretch, int64_t since_us, int64_t *ret_row)
{
    char sql[128];
    sqlite3_stmt *statement = NULL;
    snprintf(sql, sizeof sql, "SELECT time_us FROM reading_%lld WHERE rowid >= ?1 ORDER BY rowid LIMIT 1",
             (long long)stretch->partition);
    int r = davy_reader_prepare(past->reader, sql, &statement);
    int64_t low = stretch->first, high = stretch->last;
    while (r == 0 && low < high) {
        int64_t middle = low + (high - low) / 2;
        if (time_at(past, statement, middle) < since_us)
            low = middle + 1;
        else
            high = middle;
    }
    sqlite3_finalize(statement);
    *ret_row = low;
    return r;
}

/* One more partition, towards the past. */
static int add_stretch(struct past *past, int64_t partition)
{
    struct stretch stretch = {.partition = partition};
    stretch.first = end_of(past, "min", partition);
    stretch.last = end_of(past, "max", partition);
    if (stretch.last == 0)
        return 0;
    int64_t row;
    int r = find_row(past, &stretch, past->since_us, &row);
    if (r == 0 && row - MARGIN > stretch.first)
        stretch.first = row - MARGIN;
    if (stretch.last - stretch.first + 1 > past->rows_left) {
        stretch.first = stretch.last - past->rows_left + 1;
        past->cut = true;
    }
    past->rows_left -= stretch.last - stretch.first + 1;
    past->stretches[past->stretch_count++] = stretch;
    return r;
}

/* Those with rows that are late enough, and the latest one; newest first. */
static int list_partitions(struct past *past, int64_t since_us, int64_t ids[PARTITIONS_MAX], size_t *ret_count)
{
    sqlite3_stmt *statement = NULL;
    *ret_count = 0;
    int r = davy_reader_prepare(past->reader,
                                "SELECT id FROM partition WHERE last_us >= ?1 OR id = (SELECT max(id) FROM partition)"
                                " ORDER BY id DESC LIMIT ?2",
                                &statement);
    if (r == 0)
        r = davy_db_bind(statement, "ii", since_us, (int64_t)PARTITIONS_MAX);
    while (r == 0) {
        r = davy_reader_step(past->reader, statement);
        if (r == 0)
            ids[(*ret_count)++] = sqlite3_column_int64(statement, 0);
    }
    sqlite3_finalize(statement);
    return r < 0 ? r : 0;
}

static int find_stretches(struct past *past)
{
    int64_t ids[PARTITIONS_MAX];
    size_t count = 0;
    int r = list_partitions(past, past->since_us, ids, &count);
    for (size_t i = 0; r == 0 && i < count; i++) {
        past->cut |= past->rows_left == 0;
        if (past->rows_left > 0)
            r = add_stretch(past, ids[i]);
    }
    return r;
}

/* ---- the readings ---- */

#define COLUMNS "r.time_us, r.point, r.value, q.quality, q.reason"

/* `point` is DAVY_NONE where it is not wanted. */
static struct davy_reading reading_of(const struct past *past, sqlite3_stmt *statement)
{
    int64_t time_us = sqlite3_column_int64(statement, 0), id = sqlite3_column_int64(statement, 1);
    const char *quality = (const char *)sqlite3_column_text(statement, 3);
    const char *reason = (const char *)sqlite3_column_text(statement, 4);
    int found = quality ? davy_quality_find(quality) : -1, why = reason ? davy_reason_find(reason) : DAVY_REASON_NONE;
    return (struct davy_reading){
        .point = id >= 0 && id <= past->point_ids ? past->points[id] : DAVY_NONE,
        .quality = found < 0 ? DAVY_QUALITY_BAD : (enum davy_quality)found, /* of a later version: not to be trusted */
        .reason = why < 0 ? DAVY_REASON_NONE : (enum davy_reason)why,
        .has_value = sqlite3_column_type(statement, 2) != SQLITE_NULL,
        .value = sqlite3_column_double(statement, 2),
        .at.wall.ns = time_us * DAVY_NS_PER_US,
    };
}

/* The time from which on readings of a point are wanted. */
static int64_t lookback_us(const struct past *past, uint32_t point)
{
    return micros(past->what->now) - past->what->lookback[point].ns / DAVY_NS_PER_US;
}

static void give(struct past *past, sqlite3_stmt *statement)
{
    struct davy_reading reading = reading_of(past, statement);
    int64_t time_us = sqlite3_column_int64(statement, 0);
    if (reading.point == DAVY_NONE || time_us < lookback_us(past, reading.point))
        return;
    past->time_us = time_us > past->time_us ? time_us : past->time_us;
    reading.at.wall.ns = past->time_us * DAVY_NS_PER_US;
    past->each(past->context, &reading);
}

static int give_page(struct past *past, sqlite3_stmt *statement, int64_t first, int64_t last)
{
    int r = davy_db_bind(statement, "iiii", first, last, past->since_us, micros(past->what->now));
    while (r == 0) {
        r = davy_reader_step(past->reader, statement);
        if (r == 0)
            give(past, statement);
    }
    sqlite3_reset(statement);
    return r < 0 ? r : 0;
}

static int give_stretch(struct past *past, const struct stretch *stretch)
{
    char sql[320];
    sqlite3_stmt *statement = NULL;
    snprintf(sql, sizeof sql,
             "SELECT " COLUMNS " FROM reading_%lld r LEFT JOIN quality q"
             " ON q.code = r.quality WHERE r.rowid BETWEEN ?1 AND ?2 AND r.time_us BETWEEN ?3 AND ?4 ORDER BY r.rowid",
             (long long)stretch->partition);
    int r = davy_reader_prepare(past->reader, sql, &statement);
    for (int64_t first = stretch->first; r == 0 && first <= stretch->last; first += PAGE)
        r = give_page(past, statement, first, first + PAGE - 1 < stretch->last ? first + PAGE - 1 : stretch->last);
    sqlite3_finalize(statement);
    return r;
}

/* ---- what a gap began with ---- */

/* The search for the last reading that counts, of all points whose lookback begins at one time. */
struct search {
    int64_t before_us;
    int64_t rows_left;
    size_t missing; /* points */
    bool *found;    /* by point */
};

static void give_earlier(struct past *past, struct search *search, sqlite3_stmt *statement)
{
    struct davy_reading reading = reading_of(past, statement);
    uint32_t point = reading.point;
    if (point == DAVY_NONE || search->found[point] || lookback_us(past, point) != search->before_us ||
        !davy_reading_counts(&reading, past->what->config->points[point].has_range))
        return;
    search->found[point] = true;
    search->missing--;
    past->each(past->context, &reading);
}

/* From the beginning of the lookback towards the past. */
static int search_partition(struct past *past, struct search *search, int64_t partition)
{
    struct stretch stretch = {partition, end_of(past, "min", partition), end_of(past, "max", partition)};
    char sql[320];
    sqlite3_stmt *statement = NULL;
    int64_t row;
    int r = find_row(past, &stretch, search->before_us, &row);
    snprintf(sql, sizeof sql,
             "SELECT " COLUMNS " FROM reading_%lld r LEFT JOIN quality q ON q.code = r.quality"
             " WHERE r.rowid BETWEEN ?1 AND ?2 AND r.time_us < ?3 ORDER BY r.rowid DESC",
             (long long)partition);
    int64_t last = row + MARGIN < stretch.last ? row + MARGIN : stretch.last;
    int64_t first = last - search->rows_left + 1 > stretch.first ? last - search->rows_left + 1 : stretch.first;
    search->rows_left -= last - first + 1;
    if (r == 0)
        r = davy_reader_prepare(past->reader, sql, &statement);
    if (r == 0)
        r = davy_db_bind(statement, "iii", first, last, search->before_us);
    while (r == 0 && search->missing > 0) {
        r = davy_reader_step(past->reader, statement);
        if (r == 0)
            give_earlier(past, search, statement);
    }
    sqlite3_finalize(statement);
    return r < 0 ? r : 0;
}

/* Whether a search for an earlier point has looked for this one too. */
static bool is_searched(const struct past *past, uint32_t point)
{
    for (uint32_t p = 0; p < point; p++)
        if (past->what->lookback[p].ns == past->what->lookback[point].ns)
            return true;
    return past->what->lookback[point].ns <= 0;
}

static int search_earlier(struct past *past)
{
    int64_t ids[PARTITIONS_MAX];
    size_t count = 0, points = past->what->config->point_count;
    bool *found = calloc(points + 1, sizeof *found);
    int r = found ? list_partitions(past, INT64_MIN, ids, &count) : -ENOMEM;
    for (uint32_t p = 0; r == 0 && p < points; p++) {
        struct search search = {lookback_us(past, p), DAVY_PAST_EARLIER, 0, found};
        if (is_searched(past, p))
            continue;
        for (int64_t id = 0; id <= past->point_ids; id++)
            search.missing += past->points[id] != DAVY_NONE && lookback_us(past, past->points[id]) == search.before_us;
        for (size_t i = 0; r == 0 && i < count && search.missing > 0 && search.rows_left > 0; i++)
            r = search_partition(past, &search, ids[i]);
    }
    free(found);
    return r;
}

/* Where not all can be looked at: the time of the first row that is. */
static void note_cut(struct past *past)
{
    if (!past->cut || past->stretch_count == 0)
        return;
    const struct stretch *oldest = &past->stretches[past->stretch_count - 1];
    char sql[128];
    int64_t time_us = 0;
    snprintf(sql, sizeof sql, "SELECT time_us FROM reading_%lld WHERE rowid >= %lld ORDER BY rowid LIMIT 1",
             (long long)oldest->partition, (long long)oldest->first);
    if (davy_db_number(&past->reader->db, sql, &time_us) == 0)
        past->from.ns = time_us * DAVY_NS_PER_US;
}

static int run_readings(struct past *past)
{
    int r = map_points(past);
    if (r == 0)
        r = find_stretches(past);
    note_cut(past);
    if (r == 0)
        r = search_earlier(past);
    for (size_t i = past->stretch_count; r == 0 && i-- > 0;)
        r = give_stretch(past, &past->stretches[i]);
    free(past->points);
    return r;
}

int davy_past_readings(const char *file, const struct davy_past_readings *what,
                       void (*each)(void *context, const struct davy_reading *reading), void *context,
                       davy_wall *ret_from, char *ret_error, size_t error_size)
{
    struct reader reader = READER_INIT;
    struct past past = {
        .reader = &reader,
        .what = what,
        .each = each,
        .context = context,
        .rows_left = what->rows > 0 ? what->rows : DAVY_PAST_READINGS,
        .since_us = (what->now.ns - furthest(what)) / DAVY_NS_PER_US,
        .time_us = INT64_MIN,
    };
    if (furthest(what) == 0)
        return 0;
    int r = davy_reader_open(&reader, file, &davy_readings_schema, ret_error, error_size);
    if (r == 0)
        r = run_readings(&past);
    davy_reader_close(&reader);
    if (r == 0 && past.cut)
        *ret_from = past.from;
    return r == 0 && past.cut ? DAVY_PAST_CUT : r;
}

/* ---- raises ---- */

static const char raises_sql[] =
    "SELECT alarm, time_us FROM event WHERE seq > max((SELECT max(seq) FROM event) - ?1,"
    " coalesce((SELECT seq FROM event WHERE time_us < ?2 ORDER BY seq DESC LIMIT 1), 0))"
    " AND event = 'raised' AND alarm IS NOT NULL AND time_us BETWEEN ?2 AND ?3 ORDER BY seq";

int davy_past_raises(const char *file, davy_wall since, davy_wall until,
                     void (*each)(void *context, const char *alarm, davy_wall time), void *context, char *ret_error,
                     size_t error_size)
{
    struct reader reader = READER_INIT;
    sqlite3_stmt *statement = NULL;
    int64_t last_us = INT64_MIN;
    int r = davy_reader_open(&reader, file, &davy_ledger_schema, ret_error, error_size);
    if (r == 0)
        r = davy_reader_prepare(&reader, raises_sql, &statement);
    if (r == 0)
        r = davy_db_bind(statement, "iii", DAVY_PAST_EVENTS, micros(since), micros(until));
    while (r == 0) {
        r = davy_reader_step(&reader, statement);
        if (r != 0)
            break;
        int64_t time_us = sqlite3_column_int64(statement, 1);
        last_us = time_us > last_us ? time_us : last_us;
        each(context, (const char *)sqlite3_column_text(statement, 0), (davy_wall){last_us * DAVY_NS_PER_US});
    }
    sqlite3_finalize(statement);
    davy_reader_close(&reader);
    return r < 0 ? r : 0;
}
