/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/num.h"
#include "support/cmocka_all.h"
#include "support/fake_clock.h"
#include "support/seed.h"

#define ROUNDS 20000

/* 2262-01-01: the type ends in that year. */
#define LAST_YEAR_S INT64_C(9214646400)

static void a_time_follows_a_clock_that_was_set_since(void **unused)
{
    (void)unused;
    const int64_t s = DAVY_NS_PER_S, year = 31557600;
    const struct davy_stamp boot = {.mono = {20 * s}, .wall = {20 * s}};
    const struct {
        int64_t off; /* what the wall clock was moved by since */
        int64_t wall;
    } cases[] = {
        {0, 20 * s},
        {s, 20 * s},
        {-s, 20 * s},
        {s + 1, 21 * s + 1},
        {-s - 1, 19 * s - 1},
        {56 * year * s, (20 + 56 * year) * s},
        {-year * s, (20 - year) * s},
    };
    for (size_t i = 0; i < DAVY_LENGTH(cases); i++) {
        const struct davy_stamp now = {.mono = {100 * s}, .wall = {100 * s + cases[i].off}};
        assert_int_equal(davy_wall_as_of(boot, now).ns, cases[i].wall);
    }
    const struct davy_stamp last = {.mono = {INT64_MAX}, .wall = {INT64_MIN}};
    assert_int_equal(davy_wall_as_of(boot, last).ns, INT64_MIN);
}

static void times_are_formatted_to_the_nearest_millisecond(void **unused)
{
    (void)unused;
    const struct {
        int64_t ns;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {499999, "1970-01-01T00:00:00.000Z"},
        {500000, "1970-01-01T00:00:00.001Z"},
        {INT64_C(999499999), "1970-01-01T00:00:00.999Z"},
        {INT64_C(999500000), "1970-01-01T00:00:01.000Z"},
        {INT64_C(1798761599999499999), "2026-12-31T23:59:59.999Z"},
        {INT64_C(1798761599999500000), "2027-01-01T00:00:00.000Z"},
        {INT64_C(1709164799999500000), "2024-02-29T00:00:00.000Z"},
        {-1, "1970-01-01T00:00:00.000Z"},
        {-500001, "1969-12-31T23:59:59.999Z"},
        {-1000000, "1969-12-31T23:59:59.999Z"},
        {INT64_MAX, "2262-04-11T23:47:16.855Z"},
    };
    char text[DAVY_WALL_TEXT];
    for (size_t i = 0; i < DAVY_LENGTH(cases); i++)
        assert_string_equal(davy_wall_format((davy_wall){cases[i].ns}, text), cases[i].text);
}

static void dates_are_those_of_the_c_library(void **unused)
{
    (void)unused;
    struct davy_random random = {davy_test_seed(20261125)};
    for (int i = 0; i < ROUNDS; i++) {
        const int64_t ms = (int64_t)davy_random_next(&random) / DAVY_NS_PER_MS; /* all that 64 bits of ns hold */
        const time_t seconds = ms / 1000 - (ms % 1000 < 0);
        char text[DAVY_WALL_TEXT], wanted[DAVY_WALL_TEXT];
        struct tm tm;
        assert_non_null(gmtime_r(&seconds, &tm));
        size_t length = strftime(wanted, sizeof wanted, "%Y-%m-%dT%H:%M:%S", &tm);
        snprintf(wanted + length, sizeof wanted - length, ".%03dZ", (int)(ms - seconds * 1000));
        assert_string_equal(davy_wall_format((davy_wall){ms * DAVY_NS_PER_MS}, text), wanted);
    }
}

static void what_is_formatted_is_parsed_within_half_a_millisecond(void **unused)
{
    (void)unused;
    struct davy_random random = {davy_test_seed(20261125)};
    for (int i = 0; i < ROUNDS; i++) {
        char text[DAVY_WALL_TEXT];
        davy_wall t = {(int64_t)(davy_random_unit(&random) * (double)LAST_YEAR_S) * DAVY_NS_PER_S +
                       (int64_t)(davy_random_next(&random) % (uint64_t)DAVY_NS_PER_S)};
        davy_wall back;
        assert_int_equal(davy_wall_parse(davy_wall_format(t, text), &back), 0);
        assert_true(llabs(back.ns - t.ns) <= DAVY_NS_PER_MS / 2);
        assert_int_equal(back.ns % DAVY_NS_PER_MS, 0);
    }
}

static void rfc3339_is_parsed_with_any_offset_and_up_to_nine_decimals(void **unused)
{
    (void)unused;
    const struct {
        const char *text;
        int64_t s;
        int64_t ns;
    } cases[] = {
        {"2026-11-23T08:01:02Z", 1795420862, 0},
        {"2026-11-23T08:01:02.5Z", 1795420862, 500000000},
        {"2026-11-23t08:01:02.123456789z", 1795420862, 123456789},
        {"2026-11-23 16:01:02+08:00", 1795420862, 0},
        {"2026-11-22T20:31:02.000-11:30", 1795420862, 0},
        {"2024-02-29T00:00:00Z", 1709164800, 0},
        {"2000-02-29T23:59:59Z", 951868799, 0},
        {"1969-12-31T23:59:59Z", -1, 0},
        {"1795420862", 1795420862, 0},
        {"1795420862.25", 1795420862, 250000000},
        {"0", 0, 0},
    };
    for (size_t i = 0; i < DAVY_LENGTH(cases); i++) {
        davy_wall t = {0};
        if (davy_wall_parse(cases[i].text, &t) != 0)
            fail_msg("%s was refused", cases[i].text);
        assert_int_equal(t.ns, cases[i].s * DAVY_NS_PER_S + cases[i].ns);
    }
}

static void days_and_times_that_do_not_exist_are_refused(void **unused)
{
    (void)unused;
    const char *const bad[] = {
        "2026-02-29T00:00:00Z",
        "2026-02-30T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "2026-04-31T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-01-00T00:00:00Z",
        "2026-01-32T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:60:00Z",
        "2026-01-01T00:00:61Z",
        "2026-01-01T00:00:00",
        "2026-01-01T00:00:00.Z",
        "2026-01-01T00:00Z",
        "2026-01-01T00:00:00+0800",
        "2026-01-01T00:00:00+24:00",
        "2026-01-01T00:00:00+08:60",
        "2026-1-1T00:00:00Z",
        "26-01-01T00:00:00Z",
        "2026-01-01X00:00:00Z",
        "2026-01-01T00:00:00Zz",
        "2026-01-01T00:00:00 Z",
        "2026-01-01T00:00:00.1234567890Z",
        "2026-11-31T10:00:60Z",
        "",
        "abc",
        "12x",
        "-5",
        "1.",
        "1e5",
        "9999999999999999999",
        ":",
        "2026-01-01T00:00:00.1+08:0",
    };
    unsigned taken = 0;
    for (size_t i = 0; i < DAVY_LENGTH(bad); i++) {
        davy_wall t = {-7};
        int rc = davy_wall_parse(bad[i], &t);
        if (rc != -EINVAL || t.ns != -7)
            print_error("\"%s\" was taken\n", bad[i]);
        taken += rc != -EINVAL || t.ns != -7;
    }
    assert_int_equal(taken, 0);
}

static void times_beyond_the_type_are_refused(void **unused)
{
    (void)unused;
    const char *const texts[] = {"9999-01-01T00:00:00Z", "2263-01-01T00:00:00Z", "1600-01-01T00:00:00Z", "9223372037"};
    davy_wall t = {-7};
    for (size_t i = 0; i < DAVY_LENGTH(texts); i++)
        assert_int_equal(davy_wall_parse(texts[i], &t), -EINVAL);
    assert_int_equal(t.ns, -7);
}

static void arithmetic_saturates(void **unused)
{
    (void)unused;
    assert_int_equal(davy_mono_add(DAVY_MONO_NEVER, davy_span_s(1)).ns, INT64_MAX);
    assert_int_equal(davy_mono_add((davy_mono){INT64_MIN}, davy_span_s(-1)).ns, INT64_MIN);
    assert_int_equal(davy_mono_sub((davy_mono){INT64_MAX}, (davy_mono){-1}).ns, INT64_MAX);
    assert_int_equal(davy_mono_sub((davy_mono){INT64_MIN}, (davy_mono){1}).ns, INT64_MIN);
    assert_int_equal(davy_mono_add((davy_mono){5}, davy_span_ms(-1)).ns, 5 - DAVY_NS_PER_MS);
    assert_int_equal(davy_mono_min(DAVY_MONO_NEVER, (davy_mono){3}).ns, 3);
}

static void the_system_clock_never_goes_back(void **unused)
{
    (void)unused;
    struct davy_stamp before = davy_clock_now(&davy_system_clock);
    for (int i = 0; i < 1000; i++) {
        struct davy_stamp now = davy_clock_now(&davy_system_clock);
        assert_true(now.mono.ns >= before.mono.ns);
        before = now;
    }
    assert_true(llabs(before.wall.ns / DAVY_NS_PER_S - time(NULL)) <= 2);
}

static void a_fake_clock_stands_until_it_is_moved(void **unused)
{
    (void)unused;
    struct fake_clock fake;
    fake_clock_init(&fake);
    struct davy_stamp before = davy_clock_now(&fake.clock);
    assert_int_equal(davy_clock_now(&fake.clock).mono.ns, before.mono.ns);
    fake_clock_advance(&fake, davy_span_s(3));
    assert_int_equal(davy_clock_now(&fake.clock).wall.ns - before.wall.ns, 3 * DAVY_NS_PER_S);
}

static void the_boot_id_is_the_same_all_along(void **unused)
{
    (void)unused;
    char a[37], b[37];
    davy_boot_id(a);
    davy_boot_id(b);
    assert_string_equal(a, b);
    assert_true(strlen(a) == 36 || strcmp(a, "unknown") == 0);
}

static void check_refused(const char *const *texts, size_t count)
{
    unsigned taken = 0;
    for (size_t i = 0; i < count; i++) {
        davy_wall t = {-7};
        if (davy_wall_parse(texts[i], &t) == -EINVAL && t.ns == -7)
            continue;
        print_error("\"%s\" was taken for %lld ns\n", texts[i], (long long)t.ns);
        taken++;
    }
    assert_int_equal(taken, 0);
}

/* sscanf() and strtoll() skip blanks and take signs. */
static void signs_and_blanks_are_no_digits(void **unused)
{
    (void)unused;
    const char *const texts[] = {
        "+026-01-01T00:00:00Z", " 026-01-01T00:00:00Z", "2026-01-+1T00:00:00Z", "2026-01-01T00: 0:00Z", " 5", "+5"};
    check_refused(texts, DAVY_LENGTH(texts));
}

/* timegm() has carried the second before it is looked at. */
static void a_leap_second_at_midnight_is_the_next_day(void **unused)
{
    (void)unused;
    davy_wall t = {0};
    assert_int_equal(davy_wall_parse("2016-12-31T23:59:60Z", &t), 0);
    assert_int_equal(t.ns, 1483228800 * DAVY_NS_PER_S);
}

static void local_time_is_that_of_the_zone_asked_for(void **state)
{
    (void)state;
    struct tm local;
    time_t start = 0;
    if (access("/usr/share/zoneinfo/Asia/Shanghai", R_OK) != 0)
        skip();
    davy_timezone_use("Asia/Shanghai");
    assert_int_equal(localtime_r(&start, &local)->tm_hour, 8);
    davy_timezone_use(NULL);
    assert_int_equal(localtime_r(&start, &local)->tm_hour, 8);
    davy_timezone_use("UTC");
    assert_int_equal(localtime_r(&start, &local)->tm_hour, 0);
}

static void assert_day(const char *zone, const char *time, int64_t day)
{
    davy_wall t;
    setenv("TZ", zone, 1);
    tzset();
    assert_int_equal(davy_wall_parse(time, &t), 0);
    assert_int_equal(davy_wall_local_day(t), day);
}

static void a_local_day_begins_at_midnight_of_the_place(void **unused)
{
    (void)unused;
    assert_day("UTC", "1970-01-01T00:00:00Z", 0);
    assert_day("UTC", "1970-01-01T23:59:59.999Z", 0);
    assert_day("UTC", "1970-01-02T00:00:00Z", 1);
    assert_int_equal(davy_wall_local_day((davy_wall){-1}), -1);
    assert_day("CST-8", "1970-01-01T15:59:59.999Z", 0);
    assert_day("CST-8", "1970-01-01T16:00:00Z", 1);
    assert_day("EST5EDT,M3.2.0,M11.1.0", "2026-11-01T03:59:59Z", 20757); /* the 31st */
    assert_day("EST5EDT,M3.2.0,M11.1.0", "2026-11-01T04:00:00Z", 20758); /* a day of 25 hours */
    assert_day("EST5EDT,M3.2.0,M11.1.0", "2026-11-02T04:59:59Z", 20758);
    assert_day("EST5EDT,M3.2.0,M11.1.0", "2026-11-02T05:00:00Z", 20759);
    unsetenv("TZ");
    tzset();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signs_and_blanks_are_no_digits),
        cmocka_unit_test(a_leap_second_at_midnight_is_the_next_day),
        cmocka_unit_test(a_time_follows_a_clock_that_was_set_since),
        cmocka_unit_test(times_are_formatted_to_the_nearest_millisecond),
        cmocka_unit_test(dates_are_those_of_the_c_library),
        cmocka_unit_test(what_is_formatted_is_parsed_within_half_a_millisecond),
        cmocka_unit_test(rfc3339_is_parsed_with_any_offset_and_up_to_nine_decimals),
        cmocka_unit_test(days_and_times_that_do_not_exist_are_refused),
        cmocka_unit_test(times_beyond_the_type_are_refused),
        cmocka_unit_test(arithmetic_saturates),
        cmocka_unit_test(a_local_day_begins_at_midnight_of_the_place),
        cmocka_unit_test(the_system_clock_never_goes_back),
        cmocka_unit_test(a_fake_clock_stands_until_it_is_moved),
        cmocka_unit_test(the_boot_id_is_the_same_all_along),
        cmocka_unit_test(local_time_is_that_of_the_zone_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
