/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/num.h"
#include "ctl/trace.h"
#include "support/seed.h"

#define HEADER "time,point,value,quality\n"

struct bench {
    struct davy_config *config;
    struct roster roster;
    int fd;
    struct trace *trace;
    struct trace_row row;
    char error[TRACE_ERROR_SIZE];
};

static int set_up(void **state)
{
    static const char *const names[] = {"h2s", "o2"};
    struct bench *bench = calloc(1, sizeof *bench);
    struct davy_config *config = davy_config_new();
    config->buses = davy_config_alloc(config, 1, sizeof *config->buses);
    config->bus_count = 1;
    config->buses[0].name = "field-1";
    config->devices = davy_config_alloc(config, 1, sizeof *config->devices);
    config->device_count = 1;
    config->devices[0].id = "GT-101";
    config->devices[0].point_count = 2;
    config->points = davy_config_alloc(config, 2, sizeof *config->points);
    config->point_count = 2;
    for (size_t i = 0; i < 2; i++)
        config->points[i].name = names[i];
    bench->config = config;
    assert_int_equal(davy_roster_init(&bench->roster, (const struct davy_config *const[]){config}, 1), 0);
    bench->fd = -1;
    *state = bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    davy_trace_free(bench->trace);
    davy_roster_done(&bench->roster);
    davy_config_unref(bench->config);
    if (bench->fd >= 0)
        close(bench->fd);
    free(bench);
    return 0;
}

static void open_bytes(struct bench *bench, const char *text, size_t length)
{
    bench->trace = davy_trace_free(bench->trace);
    if (bench->fd >= 0)
        close(bench->fd);
    bench->fd = memfd_create("trace", MFD_CLOEXEC);
    assert_int_equal(write(bench->fd, text, length), (ssize_t)length);
    lseek(bench->fd, 0, SEEK_SET);
    assert_int_equal(davy_trace_new(bench->fd, &bench->roster, &bench->trace), 0);
}

static int next(struct bench *bench)
{
    return davy_trace_next(bench->trace, &bench->row, bench->error);
}

/* Open a trace of the header and one row, and read that row. */
static int read_row(struct bench *bench, const char *row)
{
    char text[1024];
    int length = snprintf(text, sizeof text, HEADER "%s", row);
    open_bytes(bench, text, (size_t)length);
    return next(bench);
}

static void reads_a_reading(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(read_row(bench, "1700000000.25,GT-101.o2,-15.25,uncertain:over-range\n"), 0);
    assert_int_equal(bench->row.kind, TRACE_READING);
    assert_int_equal(bench->row.reading.point, 1);
    assert_int_equal(bench->row.reading.at.wall.ns, INT64_C(1700000000250000000));
    assert_int_equal(bench->row.reading.at.mono.ns, INT64_C(1700000000250000001));
    assert_true(bench->row.reading.value == -15.25);
    assert_int_equal(bench->row.reading.quality, DAVY_QUALITY_UNCERTAIN);
    assert_int_equal(bench->row.reading.reason, DAVY_REASON_OVER_RANGE);
    assert_int_equal(next(bench), TRACE_END);
}

static void reads_a_bad_reading_without_a_value(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(read_row(bench, "1,GT-101.h2s,,bad:comm"), 0);
    assert_false(bench->row.reading.has_value);
    assert_int_equal(bench->row.reading.quality, DAVY_QUALITY_BAD);
}

static void an_empty_quality_is_good(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(read_row(bench, "1,GT-101.h2s,0,\r\n"), 0);
    assert_int_equal(bench->row.reading.quality, DAVY_QUALITY_GOOD);
    assert_true(bench->row.reading.has_value);
    assert_int_equal(read_row(bench, "1,GT-101.h2s,0,good:maintenance\n"), 0);
    assert_int_equal(bench->row.reading.reason, DAVY_REASON_MAINTENANCE);
}

static void reads_times_in_every_form_alike(void **state)
{
    struct bench *bench = *state;
    static const char *const forms[] = {
        "1700000000.5",
        "1700000000.500000000",
        "2023-11-14T22:13:20.5Z",
        "2023-11-14T22:13:20.500Z",
        "2023-11-15T06:13:20.5+08:00",
        "2023-11-14t22:13:20.5z",
    };
    char row[128];
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        snprintf(row, sizeof row, "%s,GT-101.h2s,1,\n", forms[i]);
        assert_int_equal(read_row(bench, row), 0);
        assert_int_equal(bench->row.reading.at.wall.ns, INT64_C(1700000000500000000));
    }
}

/* The short ways must give what the long ones give. */
static void agrees_with_the_parsers_of_the_base(void **state)
{
    struct bench *bench = *state;
    struct davy_random random = {davy_test_seed(20261125)};
    for (int i = 0; i < 3000; i++) {
        char time[DAVY_WALL_TEXT], value[64], row[160];
        const davy_wall t = {(int64_t)(davy_random_next(&random) % UINT64_C(4000000000000)) * DAVY_NS_PER_MS};
        snprintf(value, sizeof value, "%s%llu.%0*llu", davy_random_next(&random) % 2 ? "-" : "",
                 (unsigned long long)(davy_random_next(&random) >> (davy_random_next(&random) % 63)),
                 (int)(davy_random_next(&random) % 18), (unsigned long long)(davy_random_next(&random) % 1000));
        snprintf(row, sizeof row, "%s,GT-101.h2s,%s,\n", davy_wall_format(t, time), value);
        double expected;
        assert_int_equal(davy_num_parse(value, &expected), 0);
        assert_int_equal(read_row(bench, row), 0);
        assert_int_equal(bench->row.reading.at.wall.ns, t.ns);
        assert_memory_equal(&bench->row.reading.value, &expected, sizeof expected);
    }
}

static void reads_commands(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(read_row(bench, "1700000100,!ack,h2s GT-101.h2s\n"), 0);
    assert_int_equal(bench->row.kind, TRACE_COMMAND);
    assert_int_equal(bench->row.command.verb, DAVY_COMMAND_ACK);
    assert_string_equal(bench->row.command.alarm, "h2s:GT-101.h2s");
    assert_string_equal(bench->row.command.by, "replay");
    assert_true(davy_uuid_is_nil(&bench->row.command.id));
    assert_int_equal(read_row(bench, "1700000100,!reset,vote _,\n"), 0);
    assert_int_equal(bench->row.command.verb, DAVY_COMMAND_RESET);
    assert_string_equal(bench->row.command.alarm, "vote:_");
    assert_int_equal(read_row(bench, "1700000100,!ack,fault field-1,\n"), 0);
    assert_string_equal(bench->row.command.alarm, "fault:field-1");
}

static void reads_covers_with_duration_and_reason(void **state)
{
    struct bench *bench = *state;
    const struct davy_command *command = &bench->row.command;
    assert_int_equal(read_row(bench, "1,!shelve,h2s GT-101.h2s 90min pump is being changed\n"), 0);
    assert_int_equal(command->verb, DAVY_COMMAND_SHELVE);
    assert_string_equal(command->alarm, "h2s:GT-101.h2s");
    assert_int_equal(command->duration.ns, davy_span_s(5400).ns);
    assert_string_equal(command->note, "pump is being changed");
    assert_string_equal(command->by, "replay");
    assert_int_equal(read_row(bench, "1,!shelve,vote _ 2 detectors out,\n"), 0);
    assert_string_equal(command->alarm, "vote:_");
    assert_int_equal(command->duration.ns, DAVY_SHELVE_DEFAULT.ns);
    assert_string_equal(command->note, "2 detectors out");
    assert_int_equal(read_row(bench, "1,!shelve,h2s GT-101.h2s 30d more than may be,\n"), 0); /* the engine refuses */
    assert_int_equal(command->duration.ns, davy_span_s(30 * 86400).ns);
    assert_int_equal(read_row(bench, "1,!unshelve,h2s GT-101.h2s,\n"), 0);
    assert_int_equal(command->verb, DAVY_COMMAND_UNSHELVE);
    assert_string_equal(command->note, "");
    assert_int_equal(read_row(bench, "1,!out-of-service,h2s GT-101.o2 8h is a word here\n"), 0);
    assert_int_equal(command->verb, DAVY_COMMAND_OUT_OF_SERVICE);
    assert_string_equal(command->note, "8h is a word here");
    assert_int_equal(read_row(bench, "1,!in-service,h2s GT-101.o2\n"), 0);
    assert_int_equal(command->verb, DAVY_COMMAND_IN_SERVICE);
}

static void refuses_texts_that_are_too_long(void **state)
{
    struct bench *bench = *state;
    char row[1024];
    snprintf(row, sizeof row, "1,!shelve,h2s GT-101.h2s %0*d\n", DAVY_NOTE_SIZE, 0);
    assert_true(read_row(bench, row) < 0);
    assert_non_null(strstr(bench->error, "longer than 255 bytes"));
    snprintf(row, sizeof row, "1,!shelve,h2s GT-101.h2s %0*d\n", DAVY_NOTE_SIZE - 1, 0);
    assert_int_equal(read_row(bench, row), 0);
    assert_int_equal(strlen(bench->row.command.note), DAVY_NOTE_SIZE - 1);
    snprintf(row, sizeof row, "1,!ack,%0*d GT-101.h2s\n", DAVY_KEY_SIZE, 0);
    assert_true(read_row(bench, row) < 0);
    assert_non_null(strstr(bench->error, "too long"));
}

/* Two configurations: one number for a point that both know. */
static void numbers_the_points_of_two_configurations(void **state)
{
    struct bench *bench = *state;
    static struct davy_device device = {.id = "GT-101", .point_count = 2};
    static struct davy_point points[] = {{.name = "co"}, {.name = "h2s"}};
    static const struct davy_config other = {.devices = &device, .device_count = 1, .points = points, .point_count = 2};
    struct roster roster;
    assert_int_equal(davy_roster_init(&roster, (const struct davy_config *const[]){bench->config, &other}, 2), 0);
    assert_int_equal(roster.count, 3);
    const uint32_t h2s = davy_roster_find(&roster, "GT-101.h2s", 10), co = davy_roster_find(&roster, "GT-101.co", 9);
    assert_int_equal(roster.points[0][h2s], 0);
    assert_int_equal(roster.points[1][h2s], 1);
    assert_int_equal(roster.points[0][co], DAVY_NONE);
    assert_int_equal(roster.points[1][co], 0);
    assert_int_equal(davy_roster_find(&roster, "GT-101.ch4", 10), DAVY_NONE);
    davy_roster_done(&roster);
}

static void refuses_rows_that_are_wrong_with_the_reason(void **state)
{
    struct bench *bench = *state;
    static const struct {
        const char *row;
        const char *reason;
    } wrong[] = {
        {"1,GT-101.co,1,good\n", "unknown point 'GT-101.co'"},
        {"1,,1,good\n", "unknown point ''"},
        {"1,GT-101.h2s,1\n", "columns"},
        {"1,GT-101.h2s,1,good,\n", "columns"},
        {"\n", "columns"},
        {",GT-101.h2s,1,good\n", "not a time"},
        {"now,GT-101.h2s,1,good\n", "not a time"},
        {"1.,GT-101.h2s,1,good\n", "not a time"},
        {"-1,GT-101.h2s,1,good\n", "not a time"},
        {"2023-02-30T00:00:00Z,GT-101.h2s,1,good\n", "not a time"},
        {"2023-02-01T24:00:00Z,GT-101.h2s,1,good\n", "not a time"},
        {"2023-02-01T00:00:00,GT-101.h2s,1,good\n", "not a time"},
        {"1,GT-101.h2s,,good\n", "needs a value"},
        {"1,GT-101.h2s,,\n", "needs a value"},
        {"1,GT-101.h2s,nan,good\n", "not a number"},
        {"1,GT-101.h2s,1e999,good\n", "not a number"},
        {"1,GT-101.h2s,1 ,good\n", "not a number"},
        {"1,GT-101.h2s,--1,good\n", "not a number"},
        {"1,GT-101.h2s,1,fine\n", "not a quality"},
        {"1,GT-101.h2s,1,bad\n", "needs a known reason"},
        {"1,GT-101.h2s,1,bad:\n", "needs a known reason"},
        {"1,GT-101.h2s,1,bad:mood\n", "'mood'"},
        {"1,GT-101.h2s,1,bad:over-range\n", "does not belong to bad"},
        {"1,GT-101.h2s,1,good:comm\n", "does not belong to good"},
        {"1,!ack,h2s\n", "RULE DEVICE.POINT"},
        {"1,!ack,\n", "RULE DEVICE.POINT"},
        {"1,!ack\n", "columns"},
        {"1,!ack,h2s  GT-101.h2s\n", "RULE DEVICE.POINT"},
        {"1,!ack,h2s GT-101.co\n", "unknown point 'GT-101.co'"},
        {"1,!ack,h2s GT-101.h2s,more\n", "more columns"},
        {"1,!shelve,h2s GT-101.h2s\n", "!shelve: a reason is needed; expected 'RULE DEVICE.POINT [DURATION] REASON'"},
        {"1,!shelve,h2s GT-101.h2s 1h\n", "a reason is needed"},
        {"1,!shelve,h2s GT-101.h2s 1h  \n", "a reason is needed"},
        {"1,!shelve,h2s GT-101.h2s 0s why\n", "a duration of nothing: '0s'"},
        {"1,!shelve,h2s GT-101.h2s 1h one, two\n", "more columns"},
        {"1,!shelve,h2s GT-101.co 1h why\n", "unknown point 'GT-101.co'"},
        {"1,!shelve,h2s\n", "a rule and a point are needed"},
        {"1,!unshelve,h2s GT-101.h2s why\n", "!unshelve: nothing may follow: 'why'; expected 'RULE DEVICE.POINT'"},
        {"1,!out-of-service,h2s GT-101.h2s\n", "a reason is needed; expected 'RULE DEVICE.POINT REASON'"},
        {"1,!in-service,h2s GT-101.h2s back\n", "nothing may follow"},
        {"1,!ack,h2s GT-101.h2s note\n", "nothing may follow"},
        {"1,!explode,h2s GT-101.h2s\n", "unknown command"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_true(read_row(bench, wrong[i].row) < 0);
        if (!strstr(bench->error, wrong[i].reason))
            fail_msg("%s: '%s' does not say '%s'", wrong[i].row, bench->error, wrong[i].reason);
        assert_int_equal(davy_trace_line(bench->trace), 2);
    }
}

static void refuses_time_that_goes_back(void **state)
{
    struct bench *bench = *state;
    static const char text[] = HEADER "5,GT-101.h2s,1,\n5,GT-101.h2s,1,\n4.999,GT-101.h2s,1,\n";
    open_bytes(bench, text, sizeof text - 1);
    assert_int_equal(next(bench), 0);
    assert_int_equal(next(bench), 0);
    assert_true(next(bench) < 0);
    assert_non_null(strstr(bench->error, "time goes back"));
    assert_int_equal(davy_trace_line(bench->trace), 4);
}

static void wants_its_header(void **state)
{
    struct bench *bench = *state;
    static const char *const wrong[] = {"", "\n", "1,GT-101.h2s,1,good\n", "time,point,value\n",
                                        "Time,point,value,quality\n"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        open_bytes(bench, wrong[i], strlen(wrong[i]));
        assert_true(next(bench) < 0);
        assert_non_null(strstr(bench->error, "header"));
        assert_int_equal(davy_trace_line(bench->trace), 1);
    }
    open_bytes(bench, "\xef\xbb\xbf" HEADER, 3 + strlen(HEADER));
    assert_int_equal(next(bench), TRACE_END);
}

static void refuses_nul_bytes_and_endless_lines(void **state)
{
    struct bench *bench = *state;
    static const char nul[] = HEADER "1,GT-101.h2s,1\0,good\n";
    open_bytes(bench, nul, sizeof nul - 1);
    assert_true(next(bench) < 0);
    assert_non_null(strstr(bench->error, "NUL"));
    const size_t size = 3 << 20;
    char *text = malloc(size);
    memset(text, 'x', size);
    memcpy(text, HEADER, strlen(HEADER));
    open_bytes(bench, text, size);
    assert_true(next(bench) < 0);
    assert_non_null(strstr(bench->error, "too long"));
    free(text);
}

static void reads_on_over_the_end_of_its_buffer(void **state)
{
    struct bench *bench = *state;
    const int rows = 200000; /* some 5 MB */
    FILE *file = tmpfile();
    fputs(HEADER, file);
    for (int i = 0; i < rows; i++)
        fprintf(file, "%d,GT-101.%s,%d,good\n", 1700000000 + i, i % 2 ? "o2" : "h2s", i);
    fflush(file);
    rewind(file);
    assert_int_equal(davy_trace_new(fileno(file), &bench->roster, &bench->trace), 0);
    for (int i = 0; i < rows; i++) {
        assert_int_equal(next(bench), 0);
        assert_int_equal(bench->row.reading.point, i % 2);
        assert_true(bench->row.reading.value == i);
    }
    assert_int_equal(next(bench), TRACE_END);
    fclose(file);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(reads_a_reading),
        CASE(reads_a_bad_reading_without_a_value),
        CASE(an_empty_quality_is_good),
        CASE(reads_times_in_every_form_alike),
        CASE(agrees_with_the_parsers_of_the_base),
        CASE(reads_commands),
        CASE(reads_covers_with_duration_and_reason),
        CASE(refuses_texts_that_are_too_long),
        CASE(numbers_the_points_of_two_configurations),
        CASE(refuses_rows_that_are_wrong_with_the_reason),
        CASE(refuses_time_that_goes_back),
        CASE(wants_its_header),
        CASE(refuses_nul_bytes_and_endless_lines),
        CASE(reads_on_over_the_end_of_its_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
