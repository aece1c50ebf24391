/* SPDX-License-Identifier: Apache-2.0 */
#include "record_support.h"

#include <errno.h>

#include "model/config.h"
#include "record/past.h"
#include "record/readings.h"

#define NOW 1000000

struct fixture {
    struct folder folder;
    struct davy_ledger *ledger;
    struct davy_readings *readings;
    struct davy_device device;
    struct davy_point points[3];
    struct davy_config config;
    davy_span lookback[3];
    char error[256];
};

enum { H2S, O2, CO };

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    folder_new(&f->folder);
    f->device = (struct davy_device){.id = "GT-101", .point_count = 3};
    f->points[H2S] = (struct davy_point){.name = "h2s"};
    f->points[O2] = (struct davy_point){.name = "o2"};
    f->points[CO] = (struct davy_point){.name = "co"};
    f->config.devices = &f->device;
    f->config.device_count = 1;
    f->config.points = f->points;
    f->config.point_count = 3;
    f->config.storage.max_size_bytes = INT64_C(256) << 20;
    assert_int_equal(davy_ledger_open(f->folder.path, wall_s(0), NULL, &f->ledger), 0);
    assert_int_equal(davy_readings_open(f->folder.path, wall_s(0), NULL, &f->readings), 0);
    assert_int_equal(davy_readings_configure(f->readings, &f->config), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    davy_ledger_close(f->ledger);
    davy_readings_close(f->readings);
    folder_done(&f->folder);
    free(f);
    return 0;
}

/* The value says when it was. */
static void append(struct fixture *f, uint32_t point, int64_t s)
{
    struct davy_reading reading = {.point = point, .has_value = true, .value = (double)s, .at.wall = wall_s(s)};
    assert_int_equal(davy_readings_append(f->readings, &reading), 0);
}

struct seen {
    size_t count;
    struct davy_reading readings[4096];
};

static void see(void *context, const struct davy_reading *reading)
{
    struct seen *seen = context;
    assert_true(seen->count < DAVY_LENGTH(seen->readings));
    for (size_t i = seen->count; i-- > 0;) {
        if (seen->readings[i].point != reading->point)
            continue;
        assert_true(reading->at.wall.ns >= seen->readings[i].at.wall.ns);
        break;
    }
    seen->readings[seen->count++] = *reading;
}

static int ask(struct fixture *f, int64_t rows, struct seen *seen, davy_wall *from)
{
    struct davy_past_readings what = {.config = &f->config, .lookback = f->lookback, .now = wall_s(NOW), .rows = rows};
    seen->count = 0;
    return davy_past_readings(folder_file(&f->folder, "readings.db"), &what, see, seen, from, f->error,
                              sizeof f->error);
}

static void gives_what_is_wanted_of_each_point_in_order(void **state)
{
    struct fixture *f = *state;
    static struct seen seen;
    davy_wall from;
    assert_int_equal(davy_readings_begin(f->readings), 0);
    for (int64_t s = NOW - 5000; s <= NOW; s++)
        for (uint32_t p = 0; p < 3; p++)
            append(f, p, s);
    assert_int_equal(davy_readings_commit(f->readings), 0);
    f->lookback[H2S] = davy_span_s(900);
    f->lookback[CO] = davy_span_s(100);
    assert_int_equal(ask(f, 0, &seen, &from), 0);
    assert_int_equal(seen.count, 2 + 901 + 101); /* and of each the one before */
    assert_int_equal(seen.readings[0].point, H2S);
    assert_true(seen.readings[0].value == NOW - 901);
    assert_int_equal(seen.readings[1].point, CO);
    assert_true(seen.readings[1].value == NOW - 101);
    assert_int_equal(seen.readings[2].point, H2S);
    assert_true(seen.readings[2].value == NOW - 900);
    assert_int_equal(seen.readings[seen.count - 1].point, CO);
    assert_int_equal(seen.readings[seen.count - 1].at.wall.ns, wall_s(NOW).ns);
}

static void nothing_wanted_is_nothing_read(void **state)
{
    struct fixture *f = *state;
    static struct seen seen;
    davy_wall from;
    davy_readings_close(f->readings);
    f->readings = NULL;
    assert_int_equal(unlink(folder_file(&f->folder, "readings.db")), 0);
    assert_int_equal(ask(f, 0, &seen, &from), 0);
    f->lookback[O2] = davy_span_s(1);
    assert_int_equal(ask(f, 0, &seen, &from), -ENOENT);
}

static void quality_and_missing_values_come_back(void **state)
{
    struct fixture *f = *state;
    static struct seen seen;
    davy_wall from;
    const struct davy_reading rows[] = {
        {.point = H2S, .has_value = true, .value = 0.1, .at.wall = wall_s(NOW - 3)},
        {.point = H2S, .quality = DAVY_QUALITY_BAD, .reason = DAVY_REASON_COMM, .at.wall = wall_s(NOW - 2)},
        {.point = H2S,
         .quality = DAVY_QUALITY_UNCERTAIN,
         .reason = DAVY_REASON_OVER_RANGE,
         .has_value = true,
         .value = 120,
         .at.wall = wall_s(NOW - 1)},
    };
    assert_int_equal(davy_readings_begin(f->readings), 0);
    for (size_t i = 0; i < DAVY_LENGTH(rows); i++)
        assert_int_equal(davy_readings_append(f->readings, &rows[i]), 0);
    assert_int_equal(davy_readings_commit(f->readings), 0);
    f->lookback[H2S] = davy_span_s(900);
    assert_int_equal(ask(f, 0, &seen, &from), 0);
    assert_int_equal(seen.count, DAVY_LENGTH(rows));
    for (size_t i = 0; i < DAVY_LENGTH(rows); i++) {
        assert_int_equal(seen.readings[i].quality, rows[i].quality);
        assert_int_equal(seen.readings[i].reason, rows[i].reason);
        assert_int_equal(seen.readings[i].has_value, rows[i].has_value);
        assert_true(seen.readings[i].value == rows[i].value);
        assert_int_equal(seen.readings[i].at.wall.ns, rows[i].at.wall.ns);
    }
}

/* A partition is a day. */
static void goes_back_over_partitions(void **state)
{
    struct fixture *f = *state;
    static struct seen seen;
    davy_wall from;
    assert_int_equal(davy_readings_begin(f->readings), 0);
    for (int64_t s = NOW - 5 * 86400; s <= NOW; s += 3600)
        append(f, H2S, s);
    assert_int_equal(davy_readings_commit(f->readings), 0);
    f->lookback[H2S] = davy_span_s(2 * 86400 + 1800);
    assert_int_equal(ask(f, 0, &seen, &from), 0);
    assert_int_equal(seen.count, 1 + 49);
    assert_true(seen.readings[1].value == NOW - 2 * 86400);
}

static void the_newest_rows_are_given_where_there_are_too_many(void **state)
{
    struct fixture *f = *state;
    static struct seen seen;
    davy_wall from = {0};
    assert_int_equal(davy_readings_begin(f->readings), 0);
    for (int64_t s = NOW - 3 * 86400; s <= NOW; s += 3600)
        append(f, s % 7200 == 0 ? H2S : O2, s);
    assert_int_equal(davy_readings_commit(f->readings), 0);
    f->lookback[H2S] = f->lookback[O2] = davy_span_s(3 * 86400);
    assert_int_equal(ask(f, 40, &seen, &from), DAVY_PAST_CUT);
    assert_int_equal(seen.count, 40);
    assert_int_equal(from.ns, wall_s(NOW - 39 * 3600).ns);
    assert_int_equal(seen.readings[0].at.wall.ns, from.ns);
    assert_int_equal(ask(f, 73, &seen, &from), 0); /* just enough */
    assert_int_equal(seen.count, 73);
}

static void rows_that_cross_in_time_are_all_there_and_never_go_back(void **state)
{
    struct fixture *f = *state;
    static struct seen seen;
    davy_wall from;
    assert_int_equal(davy_readings_begin(f->readings), 0);
    for (int64_t s = NOW - 2000; s < NOW - 1; s += 2) { /* two buses, one second apart */
        append(f, H2S, s + 1);
        append(f, O2, s);
    }
    append(f, H2S, NOW + 500); /* of a clock that was stepped back since */
    assert_int_equal(davy_readings_commit(f->readings), 0);
    f->lookback[H2S] = f->lookback[O2] = davy_span_s(1000);
    assert_int_equal(ask(f, 0, &seen, &from), 0); /* see() holds that they do not go back */
    assert_int_equal(seen.count, 2 + 1000);
}

static void append_as(struct fixture *f, uint32_t point, int64_t s, enum davy_reason reason)
{
    enum davy_quality quality = davy_reason_quality(reason);
    struct davy_reading reading = {.point = point,
                                   .quality = quality,
                                   .reason = reason,
                                   .has_value = quality != DAVY_QUALITY_BAD,
                                   .value = quality != DAVY_QUALITY_BAD ? (double)s : 0,
                                   .at.wall = wall_s(s)};
    assert_int_equal(davy_readings_append(f->readings, &reading), 0);
}

/* What counted last before the lookback is found behind whatever did not count, and in another partition (of a day). */
static void the_reading_that_a_gap_began_with_is_given_first(void **state)
{
    struct fixture *f = *state;
    static struct seen seen;
    davy_wall from;
    assert_int_equal(davy_readings_begin(f->readings), 0);
    append_as(f, CO, NOW - 3 * 86400, DAVY_REASON_COMM); /* this one never counted */
    append(f, H2S, NOW - 3 * 86400);
    append_as(f, H2S, NOW - 2 * 86400, DAVY_REASON_OVER_RANGE);
    for (int64_t s = NOW - 2 * 86400 + 1; s < NOW - 10; s += 100) {
        append_as(f, H2S, s, s % 200 == 0 ? DAVY_REASON_COMM : DAVY_REASON_CALIBRATION);
        append(f, O2, s);
    }
    append(f, H2S, NOW - 10);
    append(f, CO, NOW - 9);
    assert_int_equal(davy_readings_commit(f->readings), 0);
    f->lookback[H2S] = f->lookback[CO] = davy_span_s(50);
    assert_int_equal(ask(f, 0, &seen, &from), 0);
    assert_true(seen.count >= 3);
    assert_true(seen.readings[0].point == H2S && seen.readings[0].value == NOW - 2 * 86400);
    assert_int_equal(seen.readings[0].reason, DAVY_REASON_OVER_RANGE);
    assert_true(seen.readings[seen.count - 1].point == CO && seen.readings[seen.count - 2].point == H2S);
    for (size_t i = 1; i < seen.count; i++)
        assert_true(seen.readings[i].at.wall.ns >= wall_s(NOW - 50).ns);
}

static void points_of_another_configuration_are_left_out(void **state)
{
    struct fixture *f = *state;
    static struct seen seen;
    davy_wall from;
    assert_int_equal(davy_readings_begin(f->readings), 0);
    append(f, H2S, NOW - 2);
    append(f, O2, NOW - 1);
    assert_int_equal(davy_readings_commit(f->readings), 0);
    f->points[H2S].name = "gone"; /* and what it was called is now the second */
    f->points[O2].name = "h2s";
    f->lookback[H2S] = f->lookback[O2] = davy_span_s(1000);
    assert_int_equal(ask(f, 0, &seen, &from), 0);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.readings[0].point, O2);
    assert_true(seen.readings[0].value == NOW - 2);
}

/* ---- raises ---- */

struct raises {
    size_t count;
    char alarms[8][64];
    davy_wall times[8];
};

static void see_raise(void *context, const char *alarm, davy_wall time)
{
    struct raises *raises = context;
    assert_true(raises->count < 8);
    snprintf(raises->alarms[raises->count], sizeof raises->alarms[0], "%s", alarm);
    raises->times[raises->count++] = time;
}

static void add_event(struct fixture *f, const char *event, const char *alarm, int64_t s)
{
    struct davy_ledger_event row = {.seq = davy_ledger_next_seq(f->ledger),
                                    .time = wall_s(s),
                                    .event = event,
                                    .value = NAN,
                                    .limit = NAN,
                                    .payload = "{}",
                                    .alarm = alarm};
    assert_int_equal(davy_ledger_append(f->ledger, &row), 0);
}

static void gives_raises_of_the_time_asked_for(void **state)
{
    struct fixture *f = *state;
    struct raises raises = {.count = 0};
    assert_int_equal(davy_ledger_begin(f->ledger), 0);
    add_event(f, "raised", "h2s:GT-101.h2s", 100);
    add_event(f, "raised", "h2s:GT-101.h2s", 200);
    add_event(f, "cleared", "h2s:GT-101.h2s", 210);
    add_event(f, "raised", "o2:GT-101.o2", 300);
    add_event(f, "raised", "o2:GT-101.o2", 290); /* the clock went back: it stands still here */
    add_event(f, "raised", "o2:GT-101.o2", 401);
    assert_int_equal(davy_ledger_commit(f->ledger), 0);
    assert_int_equal(davy_past_raises(folder_file(&f->folder, "ledger.db"), wall_s(200), wall_s(400), see_raise,
                                      &raises, f->error, sizeof f->error),
                     0);
    assert_int_equal(raises.count, 3);
    assert_string_equal(raises.alarms[0], "h2s:GT-101.h2s");
    assert_int_equal(raises.times[0].ns, wall_s(200).ns);
    assert_string_equal(raises.alarms[1], "o2:GT-101.o2");
    assert_int_equal(raises.times[2].ns, wall_s(300).ns);
}

static void an_empty_ledger_has_no_raises(void **state)
{
    struct fixture *f = *state;
    struct raises raises = {.count = 0};
    assert_int_equal(davy_past_raises(folder_file(&f->folder, "ledger.db"), wall_s(0), wall_s(400), see_raise, &raises,
                                      f->error, sizeof f->error),
                     0);
    assert_int_equal(raises.count, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(gives_what_is_wanted_of_each_point_in_order),
        TEST(nothing_wanted_is_nothing_read),
        TEST(quality_and_missing_values_come_back),
        TEST(goes_back_over_partitions),
        TEST(the_newest_rows_are_given_where_there_are_too_many),
        TEST(the_reading_that_a_gap_began_with_is_given_first),
        TEST(rows_that_cross_in_time_are_all_there_and_never_go_back),
        TEST(points_of_another_configuration_are_left_out),
        TEST(gives_raises_of_the_time_asked_for),
        TEST(an_empty_ledger_has_no_raises),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
