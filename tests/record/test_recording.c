/* SPDX-License-Identifier: Apache-2.0 */
#include "record_support.h"

#include <errno.h>

#include "model/config.h"
#include "record/readings.h"
#include "record/recording.h"

#define DAY_S INT64_C(86400)

struct fixture {
    struct folder folder;
    struct davy_readings *readings;
    struct davy_device device;
    struct davy_point points[2];
    struct davy_config config;
    struct davy_recording *recording;
    uint32_t asked; /* names that were numbered */
    char error[256];
};

enum { H2S, O2 };

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    folder_new(&f->folder);
    f->device = (struct davy_device){.id = "GT-101", .point_count = 2};
    f->points[H2S] = (struct davy_point){.name = "h2s"};
    f->points[O2] = (struct davy_point){.name = "o2"};
    f->config.devices = &f->device;
    f->config.device_count = 1;
    f->config.points = f->points;
    f->config.point_count = 2;
    f->config.storage.max_size_bytes = INT64_C(256) << 20;
    f->config.storage.retention = davy_span_s(365 * DAY_S);
    assert_int_equal(davy_readings_open(f->folder.path, wall_s(0), NULL, &f->readings), 0);
    assert_int_equal(davy_readings_configure(f->readings, &f->config), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    davy_recording_close(f->recording);
    davy_readings_close(f->readings);
    folder_done(&f->folder);
    free(f);
    return 0;
}

/* `count` readings from second `s` on, one a second; the value says when. */
static void put(struct fixture *f, uint32_t point, int64_t s, int64_t count)
{
    assert_int_equal(davy_readings_begin(f->readings), 0);
    for (int64_t i = s; i < s + count; i++) {
        struct davy_reading reading = {.point = point, .has_value = true, .value = (double)i, .at.wall = wall_s(i)};
        assert_int_equal(davy_readings_append(f->readings, &reading), 0);
    }
    assert_int_equal(davy_readings_commit(f->readings), 0);
}

/* Numbers that are not those of the file: 7 for h2s, none for others. */
static uint32_t number(void *context, const char *name)
{
    struct fixture *f = context;
    f->asked++;
    return strcmp(name, "GT-101.h2s") == 0 ? 7 : DAVY_NONE;
}

static void begin(struct fixture *f, davy_wall since, davy_wall until)
{
    const struct davy_recording_options options = {
        .file = folder_file(&f->folder, "readings.db"), .since = since, .until = until, .number = number, .context = f};
    assert_int_equal(davy_recording_open(&options, f->error, sizeof(f->error), &f->recording), 0);
}

/* The next reading must be of that second. */
static void expect(struct fixture *f, int64_t s)
{
    struct davy_reading reading;
    assert_int_equal(davy_recording_next(f->recording, &reading), 0);
    assert_true(reading.has_value && reading.value == (double)s);
    assert_int_equal(reading.at.wall.ns, wall_s(s).ns);
    assert_int_equal(reading.at.mono.ns, 0);
}

static void expect_end(struct fixture *f)
{
    struct davy_reading reading;
    assert_int_equal(davy_recording_next(f->recording, &reading), DAVY_RECORDING_END);
    assert_int_equal(davy_recording_next(f->recording, &reading), DAVY_RECORDING_END);
}

static void gives_all_points_in_the_order_of_arrival(void **state)
{
    struct fixture *f = *state;
    struct davy_reading reading;
    put(f, H2S, 10, 1);
    put(f, O2, 9, 1);
    put(f, H2S, 11, 1);
    begin(f, (davy_wall){0}, (davy_wall){0});
    assert_int_equal(f->asked, 2);
    expect(f, 10);
    assert_int_equal(davy_recording_next(f->recording, &reading), 0);
    assert_int_equal(reading.point, DAVY_NONE);
    assert_int_equal(reading.at.wall.ns, wall_s(9).ns);
    assert_int_equal(davy_recording_next(f->recording, &reading), 0);
    assert_int_equal(reading.point, 7);
    expect_end(f);
}

static void goes_over_pages_and_partitions(void **state)
{
    struct fixture *f = *state;
    put(f, H2S, 0, 20000); /* more than two pages */
    for (int64_t day = 6; day < 30; day += 6)
        put(f, H2S, day * DAY_S, 3); /* a partition each */
    begin(f, (davy_wall){0}, (davy_wall){0});
    for (int64_t i = 0; i < 20000; i++)
        expect(f, i);
    for (int64_t day = 6; day < 30; day += 6)
        for (int64_t i = 0; i < 3; i++)
            expect(f, day * DAY_S + i);
    expect_end(f);
    assert_true(look_number(folder_file(&f->folder, "readings.db"), "SELECT count(*) FROM partition") >= 4);
}

static void keeps_to_its_bounds(void **state)
{
    struct fixture *f = *state;
    put(f, H2S, 0, 20000);
    put(f, H2S, 10 * DAY_S, 10);
    put(f, H2S, 20 * DAY_S, 10);
    begin(f, wall_s(19999), wall_s(10 * DAY_S + 2)); /* since, and up to but not until */
    expect(f, 19999);
    expect(f, 10 * DAY_S);
    expect(f, 10 * DAY_S + 1);
    expect_end(f);
}

static void gives_what_is_written_while_it_reads(void **state)
{
    struct fixture *f = *state;
    put(f, H2S, 0, 9000); /* the second page is not read yet */
    begin(f, (davy_wall){0}, (davy_wall){0});
    expect(f, 0);
    put(f, H2S, 9000, 10);
    for (int64_t i = 1; i < 9010; i++)
        expect(f, i);
    expect_end(f);
}

/* 365 days of retention: partitions of five days; the one that is being read is dropped. */
static void leaves_out_what_is_pruned_while_it_reads(void **state)
{
    struct fixture *f = *state;
    put(f, H2S, 0, 20000);
    put(f, H2S, 10 * DAY_S, 3);
    put(f, H2S, 20 * DAY_S, 3);
    begin(f, (davy_wall){0}, (davy_wall){0});
    expect(f, 0);
    while (davy_readings_prune(f->readings, wall_s(377 * DAY_S)) == 1)
        continue;
    struct davy_reading reading;
    int64_t rest = 0;
    while (davy_recording_next(f->recording, &reading) == 0 && reading.value < (double)(20 * DAY_S))
        rest++;
    assert_true(rest >= 1 && rest < 19999); /* what was in its page */
    expect(f, 20 * DAY_S + 1);
    expect(f, 20 * DAY_S + 2);
    expect_end(f);
}

static void keeps_every_quality(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(davy_readings_begin(f->readings), 0);
    for (int reason = 0; reason < DAVY_REASON_COUNT_; reason++) {
        struct davy_reading reading = {.reason = (enum davy_reason)reason,
                                       .quality = davy_reason_quality((enum davy_reason)reason),
                                       .at.wall = wall_s(reason)};
        assert_int_equal(davy_readings_append(f->readings, &reading), 0);
    }
    assert_int_equal(davy_readings_commit(f->readings), 0);
    begin(f, (davy_wall){0}, (davy_wall){0});
    for (int reason = 0; reason < DAVY_REASON_COUNT_; reason++) {
        struct davy_reading reading;
        assert_int_equal(davy_recording_next(f->recording, &reading), 0);
        assert_int_equal(reading.reason, reason);
        assert_int_equal(reading.quality, davy_reason_quality((enum davy_reason)reason));
        assert_false(reading.has_value);
    }
    expect_end(f);
}

static void does_not_trust_what_it_does_not_know(void **state)
{
    struct fixture *f = *state;
    struct davy_reading reading;
    char none[8];
    const char *file = folder_file(&f->folder, "readings.db");
    put(f, H2S, 0, 4);
    look(file, "UPDATE quality SET reason = 'haunted' WHERE quality = 'good' AND reason IS NULL", none, sizeof(none));
    look(file, "UPDATE reading_1 SET quality = 999999 WHERE rowid = 2", none, sizeof(none));
    look(file, "UPDATE reading_1 SET point = 4611686018427387904 WHERE rowid = 3", none, sizeof(none));
    look(file, "UPDATE reading_1 SET time_us = 9223372036854775807 WHERE rowid = 4", none, sizeof(none));
    begin(f, (davy_wall){0}, (davy_wall){0});
    for (int i = 0; i < 3; i++) {
        assert_int_equal(davy_recording_next(f->recording, &reading), 0);
        assert_int_equal(reading.quality, DAVY_QUALITY_BAD);
        assert_int_equal(reading.reason, DAVY_REASON_DEVICE_FAULT);
        assert_int_equal(reading.point, i == 2 ? DAVY_NONE : 7);
    }
    expect_end(f);
}

static void tells_how_far_it_reaches(void **state)
{
    struct fixture *f = *state;
    davy_wall first = {1}, last = {1};
    const char *file = folder_file(&f->folder, "readings.db");
    assert_int_equal(davy_recording_extent(file, &first, &last, f->error, sizeof(f->error)), DAVY_RECORDING_END);
    assert_int_equal(first.ns, 1);
    put(f, H2S, 5, 3);
    put(f, H2S, 20 * DAY_S, 3);
    assert_int_equal(davy_recording_extent(file, &first, &last, f->error, sizeof(f->error)), 0);
    assert_int_equal(first.ns, wall_s(5).ns);
    assert_int_equal(last.ns, wall_s(20 * DAY_S + 2).ns);
    file = folder_file(&f->folder, "missing.db");
    assert_int_equal(davy_recording_extent(file, &first, &last, f->error, sizeof(f->error)), -ENOENT);
    assert_non_null(strstr(f->error, "missing.db"));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(gives_all_points_in_the_order_of_arrival),
        CASE(goes_over_pages_and_partitions),
        CASE(keeps_to_its_bounds),
        CASE(gives_what_is_written_while_it_reads),
        CASE(leaves_out_what_is_pruned_while_it_reads),
        CASE(keeps_every_quality),
        CASE(does_not_trust_what_it_does_not_know),
        CASE(tells_how_far_it_reaches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
