/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Roll-ups are what a recomputation from all readings gives, over random streams: clocks that go back and forth, bad
 * qualities, rolled back transactions, restarts, kills, other intervals, prunes. DAVY_ROLLUP_RUNS: how many streams.
 */
#include "record_support.h"

#include <float.h>

#include <fcntl.h>

#include "model/config.h"
#include "record/query.h"
#include "record/readings.h"

#define POINTS 5
#define MIB    (INT64_C(1) << 20)
#define MINUTE INT64_C(60000000)
#define HOUR   (60 * MINUTE)

/* A reading that was committed, with the interval of its point at that time. */
struct known {
    size_t arrival;
    int64_t time_us;
    int64_t interval_us;
    uint32_t point;
    bool has_value;
    double value;
    enum davy_quality quality;
    enum davy_reason reason;
};

struct world {
    struct folder *folders; /* two: a kill goes on in a copy */
    int folder;
    struct davy_readings *readings;
    struct davy_device device;
    struct davy_point points[POINTS];
    struct davy_config config;
    struct known *known;
    size_t committed;
    size_t count; /* with those of the transaction */
    size_t room;
    int64_t now_us;
    uint64_t random;
};

static uint64_t next_random(struct world *w)
{
    w->random ^= w->random << 13;
    w->random ^= w->random >> 7;
    w->random ^= w->random << 17;
    return w->random;
}

static int64_t below(struct world *w, int64_t n)
{
    return (int64_t)(next_random(w) % (uint64_t)n);
}

static bool one_in(struct world *w, int64_t n)
{
    return below(w, n) == 0;
}

static const char *file_of(struct world *w)
{
    struct folder *folder = &w->folders[w->folder];
    return folder_file(folder, "readings.db");
}

static void open_world(struct world *w)
{
    bool aside = true;
    assert_int_equal(davy_readings_open(w->folders[w->folder].path, wall_s(0), &aside, &w->readings), 0);
    assert_false(aside);
    assert_int_equal(davy_readings_configure(w->readings, &w->config), 0);
}

static struct world *world_new(uint64_t seed, int64_t max_size)
{
    static const char *const names[POINTS] = {"h2s", "o2", "co", "z_rms", "t"};
    struct world *w = calloc(1, sizeof *w);
    w->random = seed ? seed : 1;
    w->now_us = T0 / 1000;
    w->device = (struct davy_device){.id = "GT-101", .name = "GT-101", .point_count = POINTS};
    for (size_t i = 0; i < POINTS; i++)
        w->points[i] = (struct davy_point){.name = names[i], .interval = davy_span_ms((int64_t)(i + 1) * 700)};
    w->config =
        (struct davy_config){.devices = &w->device, .device_count = 1, .points = w->points, .point_count = POINTS};
    w->config.storage.retention = davy_span_s(90 * 86400);
    w->config.storage.event_retention = davy_span_s(1000 * 86400);
    w->config.storage.max_size_bytes = max_size;
    w->folders = calloc(2, sizeof *w->folders);
    folder_new_in(&w->folders[0], "/dev/shm");
    folder_new_in(&w->folders[1], "/dev/shm");
    open_world(w);
    return w;
}

static void world_free(struct world *w)
{
    davy_readings_close(w->readings);
    folder_done(&w->folders[0]);
    folder_done(&w->folders[1]);
    free(w->folders);
    free(w->known);
    free(w);
}

/* ---- what happens ---------------------------------------------------------------------------------------------- */

static void remember(struct world *w, const struct davy_reading *reading)
{
    if (w->count == w->room) {
        w->room = w->room ? 2 * w->room : 1024;
        w->known = reallocarray(w->known, w->room, sizeof *w->known);
        assert_non_null(w->known);
    }
    w->known[w->count] = (struct known){.arrival = w->count,
                                        .time_us = reading->at.wall.ns / 1000,
                                        .interval_us = w->points[reading->point].interval.ns / 1000,
                                        .point = reading->point,
                                        .has_value = reading->has_value,
                                        .value = reading->value,
                                        .quality = reading->quality,
                                        .reason = reading->reason};
    w->count++;
}

static void put(struct world *w, const struct davy_reading *reading)
{
    assert_int_equal(davy_readings_append(w->readings, reading), 0);
    remember(w, reading);
}

static struct davy_reading some_reading(struct world *w)
{
    struct davy_reading reading = {.point = (uint32_t)below(w, POINTS)};
    reading.at.wall.ns = (w->now_us - below(w, 300000)) * 1000; /* buses cross */
    reading.has_value = !one_in(w, 8);
    reading.value = reading.has_value ? (double)below(w, 2000000) / 997.0 - 1000.0 : 0.0;
    reading.quality = one_in(w, 5) ? (enum davy_quality)below(w, DAVY_QUALITY_COUNT_) : DAVY_QUALITY_GOOD;
    reading.reason =
        reading.quality == DAVY_QUALITY_GOOD ? DAVY_REASON_NONE : (enum davy_reason)below(w, DAVY_REASON_COUNT_);
    return reading;
}

static void pass_time(struct world *w)
{
    w->now_us += below(w, 1500000);
    if (one_in(w, 600))
        w->now_us -= below(w, 2 * HOUR);
    if (one_in(w, 600))
        w->now_us += below(w, 3 * HOUR);
    if (one_in(w, 80))
        w->now_us -= below(w, 3 * MINUTE);
}

static void batch(struct world *w)
{
    assert_int_equal(davy_readings_begin(w->readings), 0);
    for (int64_t n = below(w, 60); n >= 0; n--) {
        struct davy_reading reading = some_reading(w);
        put(w, &reading);
        pass_time(w);
    }
    if (one_in(w, 12)) {
        davy_readings_rollback(w->readings);
        w->count = w->committed;
        return;
    }
    assert_int_equal(davy_readings_commit(w->readings), 0);
    w->committed = w->count;
}

static void restart(struct world *w)
{
    davy_readings_close(w->readings);
    open_world(w);
}

static void copy_file(const char *from, const char *to)
{
    char buffer[65536];
    int in = open(from, O_RDONLY | O_CLOEXEC), out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (in < 0 || out < 0)
        fail_msg("%s cannot be copied to %s", from, to);
    for (ssize_t n = read(in, buffer, sizeof buffer); n > 0; n = read(in, buffer, sizeof buffer))
        assert_int_equal(write(out, buffer, (size_t)n), n);
    close(in);
    close(out);
}

/* In the middle of a transaction: what the files hold is what there is. */
static void kill_it(struct world *w)
{
    char from[160];
    assert_int_equal(davy_readings_begin(w->readings), 0);
    for (int i = 0; i < 40; i++) {
        struct davy_reading reading = some_reading(w);
        assert_int_equal(davy_readings_append(w->readings, &reading), 0);
    }
    snprintf(from, sizeof from, "%s/readings.db", w->folders[w->folder].path);
    w->folder = !w->folder;
    copy_file(from, folder_file(&w->folders[w->folder], "readings.db"));
    strcat(from, "-wal");
    copy_file(from, folder_file(&w->folders[w->folder], "readings.db-wal"));
    davy_readings_close(w->readings);
    open_world(w);
}

static void other_intervals(struct world *w)
{
    w->points[below(w, POINTS)].interval = davy_span_ms(100 + below(w, 5000));
    assert_int_equal(davy_readings_configure(w->readings, &w->config), 0);
}

static void prune(struct world *w)
{
    int r = 1;
    while (r == 1)
        r = davy_readings_prune(w->readings, (davy_wall){w->now_us * 1000});
    assert_int_equal(r, 0);
}

static void live(struct world *w, int batches)
{
    for (int i = 0; i < batches; i++) {
        batch(w);
        if (one_in(w, 40))
            restart(w);
        if (one_in(w, 40))
            kill_it(w);
        if (one_in(w, 50))
            other_intervals(w);
        if (one_in(w, 15))
            prune(w);
    }
}

/* ---- what must come of it -------------------------------------------------------------------------------------- */

struct expected {
    int64_t step;
    uint32_t point;
    int64_t readings;
    int64_t count;
    int64_t covered_us;
    double sum, min, max;
    enum davy_quality quality;
    enum davy_reason reason;
};

struct expectation {
    struct expected *items; /* by point, then step */
    size_t count;
};

static int64_t order_step; /* of the comparison */

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static int by_step(const void *a, const void *b)
{
    const struct known *left = a, *right = b;
    int64_t left_step = floor_div(left->time_us, order_step), right_step = floor_div(right->time_us, order_step);
    if (left->point != right->point)
        return left->point < right->point ? -1 : 1;
    if (left_step != right_step)
        return left_step < right_step ? -1 : 1;
    return left->arrival < right->arrival ? -1 : 1;
}

static void add_known(struct expected *to, const struct known *from)
{
    to->readings++;
    to->covered_us += from->quality == DAVY_QUALITY_GOOD ? from->interval_us : 0;
    if (to->readings == 1 || from->quality > to->quality) {
        to->quality = from->quality;
        to->reason = from->reason;
    }
    if (!from->has_value)
        return;
    to->min = to->count == 0 || from->value < to->min ? from->value : to->min;
    to->max = to->count == 0 || from->value > to->max ? from->value : to->max;
    to->sum += from->value;
    to->count++;
}

static struct expectation recompute(const struct world *w, int64_t step_us)
{
    struct expectation e = {.items = calloc(w->committed + 1, sizeof *e.items)};
    struct known *sorted = calloc(w->committed + 1, sizeof *sorted);
    memcpy(sorted, w->known, w->committed * sizeof *sorted);
    order_step = step_us;
    qsort(sorted, w->committed, sizeof *sorted, by_step);
    for (size_t i = 0; i < w->committed; i++) {
        int64_t step = floor_div(sorted[i].time_us, step_us);
        struct expected *last = e.count > 0 ? &e.items[e.count - 1] : NULL;
        if (!last || last->point != sorted[i].point || last->step != step) {
            last = &e.items[e.count++];
            *last = (struct expected){.step = step, .point = sorted[i].point};
        }
        add_known(last, &sorted[i]);
    }
    free(sorted);
    return e;
}

static bool near(double a, double b)
{
    return fabs(a - b) <= 1e-9 * (1.0 + fabs(a) + fabs(b));
}

static const char *text_of(sqlite3_stmt *row, int column)
{
    const char *text = (const char *)sqlite3_column_text(row, column);
    return text ? text : "";
}

/* Columns: time_us, mean, min, max, count, readings, coverage, quality, reason. */
static void compare_row(const struct expected *e, int64_t step_us, sqlite3_stmt *row)
{
    const char *reason = davy_reason_name(e->reason);
    double coverage = fmin(1.0, (double)e->covered_us / (double)step_us);
    assert_int_equal(sqlite3_column_int64(row, 0), e->step * step_us);
    assert_int_equal(sqlite3_column_int64(row, 4), e->count);
    assert_int_equal(sqlite3_column_int64(row, 5), e->readings);
    assert_true(near(sqlite3_column_double(row, 6), coverage));
    assert_string_equal(text_of(row, 7), davy_quality_name(e->quality));
    assert_string_equal(text_of(row, 8), reason ? reason : "");
    assert_int_equal(sqlite3_column_type(row, 1) == SQLITE_NULL, e->count == 0);
    assert_int_equal(sqlite3_column_type(row, 2) == SQLITE_NULL, e->count == 0);
    if (e->count == 0)
        return;
    assert_true(near(sqlite3_column_double(row, 1), e->sum / (double)e->count));
    assert_true(sqlite3_column_double(row, 2) == e->min && sqlite3_column_double(row, 3) == e->max);
}

/* The view has these rows and no other, from `since_us` on. */
static void compare_view(struct world *w, const char *view, int64_t step_us, int64_t since_us)
{
    char sql[256];
    sqlite3 *handle = NULL;
    sqlite3_stmt *row = NULL;
    struct expectation e = recompute(w, step_us);
    snprintf(sql, sizeof sql,
             "SELECT time_us, mean, min, max, count, readings, coverage, quality, reason FROM %s"
             " WHERE time_us >= %lld ORDER BY (SELECT id FROM point WHERE name = point), time_us",
             view, (long long)since_us);
    assert_int_equal(sqlite3_open_v2(file_of(w), &handle, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    sqlite3_db_config(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    assert_int_equal(sqlite3_prepare_v2(handle, sql, -1, &row, NULL), SQLITE_OK);
    for (size_t i = 0; i < e.count; i++) {
        if (e.items[i].step * step_us < since_us)
            continue;
        assert_int_equal(sqlite3_step(row), SQLITE_ROW);
        compare_row(&e.items[i], step_us, row);
    }
    assert_int_equal(sqlite3_step(row), SQLITE_DONE);
    sqlite3_finalize(row);
    sqlite3_close(handle);
    free(e.items);
}

struct comparison {
    const struct expected *next;
    const struct expected *end;
    int64_t step_us;
    int64_t rows;
};

static bool compare_history(void *context, const struct davy_history_row *row)
{
    struct comparison *c = context;
    const struct expected *e = c->next++;
    assert_true(e < c->end);
    assert_int_equal(row->time.ns / 1000, e->step * c->step_us);
    assert_int_equal(row->count, e->readings);
    assert_int_equal(row->has_value, e->count > 0);
    assert_string_equal(row->quality, davy_quality_name(e->quality));
    if (c->step_us == MINUTE || c->step_us == HOUR) /* else the first is that of the first minute or hour */
        assert_string_equal(row->reason ? row->reason : "",
                            davy_reason_name(e->reason) ? davy_reason_name(e->reason) : "");
    if (e->count == 0)
        return true;
    assert_true(near(row->value, e->sum / (double)e->count));
    assert_true(row->min == e->min && row->max == e->max);
    return true;
}

/* What davyctl gives, with what is not rolled up yet; coverage only where intervals did not change. */
static void compare_query(struct world *w, int64_t step_us)
{
    struct expectation e = recompute(w, step_us);
    size_t at = 0;
    char error[256] = "", name[DAVY_KEY_SIZE];
    for (uint32_t p = 0; p < POINTS; p++) {
        size_t first = at;
        while (at < e.count && e.items[at].point == p)
            at++;
        struct comparison c = {&e.items[first], &e.items[at], step_us, 0};
        int r =
            davy_query_history(file_of(w), davy_config_point_name(&w->config, p, name), (davy_wall){0}, (davy_wall){0},
                               (davy_span){step_us * 1000}, compare_history, &c, error, sizeof error);
        if (r != 0)
            fail_msg("%d %s", r, error);
        assert_ptr_equal(c.next, c.end);
    }
    free(e.items);
}

/* A reading of a much later time writes all that waits. */
static void write_all(struct world *w)
{
    struct davy_reading reading = {.at.wall.ns = T0 + INT64_C(1000) * 86400 * DAVY_NS_PER_S};
    assert_int_equal(davy_readings_begin(w->readings), 0);
    assert_int_equal(davy_readings_append(w->readings, &reading), 0);
    assert_int_equal(davy_readings_commit(w->readings), 0);
}

static int64_t minutes_since(struct world *w)
{
    return look_number(file_of(w), "SELECT minutes_since_us FROM rollup_state");
}

static void check_counts(struct world *w)
{
    assert_int_equal(look_number(file_of(w), "SELECT minutes - (SELECT count(*) FROM rollup_minute) FROM rollup_state"),
                     0);
    assert_int_equal(look_number(file_of(w), "SELECT hours - (SELECT count(*) FROM rollup_hour) FROM rollup_state"), 0);
}

static void run(uint64_t seed, int64_t max_size, int batches)
{
    struct world *w = world_new(seed, max_size);
    live(w, batches);
    assert_int_equal(minutes_since(w), 0);
    compare_query(w, MINUTE);
    compare_query(w, 5 * MINUTE);
    compare_query(w, HOUR);
    compare_query(w, 24 * HOUR);
    write_all(w);
    compare_view(w, "readings_1min", MINUTE, INT64_MIN);
    compare_view(w, "readings_1h", HOUR, INT64_MIN);
    check_counts(w);
    world_free(w);
}

static int runs(void)
{
    const char *given = getenv("DAVY_ROLLUP_RUNS");
    return given ? atoi(given) : 20;
}

static void they_are_what_a_recomputation_gives(void **state)
{
    (void)state;
    uint64_t seed = davy_test_seed(20261125);
    for (int i = 0; i < runs(); i++)
        run(seed + (uint64_t)i, 64 * MIB, 200);
}

static void they_outlive_the_readings(void **state)
{
    (void)state;
    uint64_t seed = davy_test_seed(20261125);
    struct world *w = world_new(seed, 2 * MIB);
    live(w, 3000);
    assert_true(look_number(file_of(w), "SELECT count(*) FROM readings") < (int64_t)w->committed * 9 / 10);
    assert_int_equal(minutes_since(w), 0);
    compare_query(w, MINUTE);
    compare_query(w, HOUR);
    write_all(w);
    compare_view(w, "readings_1min", MINUTE, INT64_MIN);
    compare_view(w, "readings_1h", HOUR, INT64_MIN);
    check_counts(w);
    world_free(w);
}

static void the_oldest_minutes_go_and_their_hours_stay(void **state)
{
    (void)state;
    uint64_t seed = davy_test_seed(20261125);
    struct world *w = world_new(seed, MIB / 2); /* 2978 minutes */
    w->config.storage.max_size_bytes = MIB / 2;
    for (int i = 0; i < 1500; i++) {
        batch(w);
        w->now_us += 5 * MINUTE;
        prune(w);
    }
    int64_t since_us = minutes_since(w);
    assert_true(since_us > 0);
    compare_query(w, HOUR);
    write_all(w);
    compare_view(w, "readings_1min", MINUTE, since_us + 3 * HOUR); /* before it the clock may have made some again */
    compare_view(w, "readings_1h", HOUR, INT64_MIN);
    check_counts(w);
    world_free(w);
}

/* ---- davyctl history ------------------------------------------------------------------------------------------- */

/* One reading a second of point 0, its value the second, from T0 on. */
static void put_seconds(struct world *w, int64_t from, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        struct davy_reading reading = {.has_value = true, .value = (double)(from + i), .at.wall = wall_s(from + i)};
        if (i % 1000 == 0)
            assert_int_equal(davy_readings_begin(w->readings), 0);
        put(w, &reading);
        if (i % 1000 == 999 || i == count - 1)
            assert_int_equal(davy_readings_commit(w->readings), 0);
    }
    w->committed = w->count;
}

struct tally {
    int64_t rows, readings, minutes, hours, plain;
    int64_t last_us;
    double least_coverage;
};

static bool count_row(void *context, const struct davy_history_row *row)
{
    struct tally *tally = context;
    assert_true(row->time.ns / 1000 > tally->last_us);
    assert_true(!row->has_value || (row->min <= row->value && row->value <= row->max));
    tally->last_us = row->time.ns / 1000;
    tally->rows++;
    tally->readings += row->count;
    tally->minutes += row->rollup && strcmp(row->rollup, "1min") == 0;
    tally->hours += row->rollup && strcmp(row->rollup, "1h") == 0;
    tally->plain += row->rollup == NULL;
    tally->least_coverage = fmin(tally->least_coverage, row->coverage);
    return true;
}

static struct tally history(struct world *w, davy_wall since, davy_wall until, int64_t every_s)
{
    char error[256] = "";
    struct tally tally = {.last_us = INT64_MIN, .least_coverage = 2};
    int r = davy_query_history(file_of(w), "GT-101.h2s", since, until, davy_span_s(every_s), count_row, &tally, error,
                               sizeof error);
    if (r != 0)
        fail_msg("%d %s", r, error);
    return tally;
}

static void short_steps_are_of_readings_and_where_those_are_gone_of_minutes(void **state)
{
    (void)state;
    const int64_t count = 120000;
    struct world *w = world_new(1, 2 * MIB);
    w->points[0].interval = davy_span_s(1);
    assert_int_equal(davy_readings_configure(w->readings, &w->config), 0);
    put_seconds(w, 0, count / 2);
    struct tally all = history(w, (davy_wall){0}, (davy_wall){0}, 10);
    assert_int_equal(all.rows, count / 20);
    assert_int_equal(all.plain, all.rows);
    assert_true(all.least_coverage == 1.0);
    w->now_us = wall_s(count / 2).ns / 1000;
    for (int64_t i = 0; i < 10; i++) {
        put_seconds(w, count / 2 + i * count / 20, count / 20);
        prune(w);
    }
    struct tally part = history(w, (davy_wall){0}, (davy_wall){0}, 10);
    assert_int_equal(part.readings, count);
    assert_true(part.minutes > 100 && part.plain > 1000);
    assert_int_equal(part.hours, 0);
    struct tally raw = history(w, (davy_wall){0}, (davy_wall){0}, 0);
    assert_true(raw.rows < count && raw.rows > count / 4);
    struct tally hours = history(w, (davy_wall){0}, (davy_wall){0}, 7200);
    assert_int_equal(hours.readings, count);
    assert_int_equal(hours.hours, hours.rows);
    world_free(w);
}

static void all_steps_that_overlap_the_time_are_given(void **state)
{
    (void)state;
    struct world *w = world_new(1, 64 * MIB);
    put_seconds(w, 0, 7200);
    struct tally all = history(w, (davy_wall){0}, (davy_wall){0}, 60);
    assert_int_equal(all.readings, 7200);
    int64_t aligned = 60 - T0 / DAVY_NS_PER_S % 60;
    assert_int_equal(history(w, wall_s(aligned), wall_s(aligned + 600), 60).readings, 600);
    assert_int_equal(history(w, wall_s(aligned + 30), wall_s(aligned + 571), 60).readings, 600);
    assert_int_equal(history(w, wall_s(aligned + 30), wall_s(aligned + 571), 10).readings, 541);
    assert_int_equal(history(w, wall_s(7199), (davy_wall){0}, 60).readings,
                     (T0 / DAVY_NS_PER_S + 7200) % 60 ? (T0 / DAVY_NS_PER_S + 7200) % 60 : 60);
    world_free(w);
}

/* A float64 may say anything: its sum is no number any more, its mean is. */
static void values_too_large_to_be_summed_have_a_mean(void **state)
{
    (void)state;
    struct world *w = world_new(1, 64 * MIB);
    assert_int_equal(davy_readings_begin(w->readings), 0);
    for (int64_t i = 0; i < 7200; i++) {
        struct davy_reading reading = {.has_value = true, .value = DBL_MAX, .at.wall = wall_s(i)};
        if (i > 3600 && i % 2)
            reading.value = -DBL_MAX;
        put(w, &reading);
    }
    assert_int_equal(davy_readings_commit(w->readings), 0);
    static const int64_t steps[] = {10, 60, 3600, 7200};
    for (size_t i = 0; i < DAVY_LENGTH(steps); i++)
        assert_int_equal(history(w, (davy_wall){0}, (davy_wall){0}, steps[i]).readings, 7200);
    assert_int_equal(look_number(file_of(w), "SELECT count(*) FROM readings_1min WHERE NOT mean BETWEEN min AND max"),
                     0);
    assert_int_equal(look_number(file_of(w), "SELECT count(*) FROM readings_1h WHERE NOT mean BETWEEN min AND max"), 0);
    world_free(w);
}

/* ---- a file of version 1 --------------------------------------------------------------------------------------- */

static void execute(const char *file, const char *sql)
{
    sqlite3 *handle = NULL;
    assert_int_equal(sqlite3_open_v2(file, &handle, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    if (sqlite3_exec(handle, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(handle));
    sqlite3_close(handle);
}

static void a_file_of_version_1_has_roll_ups_from_the_next_hour_on(void **state)
{
    (void)state;
    struct world *w = world_new(1, 64 * MIB);
    put_seconds(w, 0, 5000);
    w->readings = davy_readings_close(w->readings);
    execute(
        file_of(w),
        "DROP VIEW readings_1min; DROP VIEW readings_1h; DROP TABLE rollup_minute; DROP TABLE rollup_hour;"
        " DROP TABLE rollup_state; DROP TABLE loss; ALTER TABLE point DROP COLUMN interval_us; PRAGMA user_version=1");
    assert_int_equal(history(w, (davy_wall){0}, (davy_wall){0}, 60).readings, 5000); /* no daemon has been here yet */
    open_world(w);
    put_seconds(w, 5000, 100);
    assert_int_equal(history(w, (davy_wall){0}, (davy_wall){0}, 60).readings, 5100);
    restart(w);
    put_seconds(w, 5100, 9900);
    assert_int_equal(history(w, (davy_wall){0}, (davy_wall){0}, 60).readings, 15000);
    assert_int_equal(history(w, (davy_wall){0}, (davy_wall){0}, 3600).readings, 15000);
    assert_int_equal(look_number(file_of(w), "SELECT sum(readings) FROM readings_1h WHERE time_us >="
                                             " (SELECT since_us FROM rollup_state)"),
                     look_number(file_of(w), "SELECT count(*) FROM readings WHERE time_us >="
                                             " (SELECT since_us FROM rollup_state) AND time_us <"
                                             " (SELECT max(time_us) / 60000000 * 60000000 FROM readings)"));
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_are_what_a_recomputation_gives),
        cmocka_unit_test(they_outlive_the_readings),
        cmocka_unit_test(the_oldest_minutes_go_and_their_hours_stay),
        cmocka_unit_test(short_steps_are_of_readings_and_where_those_are_gone_of_minutes),
        cmocka_unit_test(all_steps_that_overlap_the_time_are_given),
        cmocka_unit_test(values_too_large_to_be_summed_have_a_mean),
        cmocka_unit_test(a_file_of_version_1_has_roll_ups_from_the_next_hour_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
