/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "acquire/request.h"
#include "acquire/schedule.h"
#include "support/small_config.h"

static const davy_mono start = {1000 * DAVY_NS_PER_S};

static davy_mono at(int64_t ms)
{
    return davy_mono_add(start, davy_span_ms(ms));
}

/* Devices A, B, … with one request each of these intervals. */
static struct davy_config *plan(const int64_t *intervals_ms, size_t count)
{
    static const char *const ids[] = {"A", "B", "C", "D"};
    struct davy_config *config = small_config_new();
    small_bus(config, "bus", DAVY_BUS_RTU);
    for (size_t i = 0; i < count; i++) {
        uint32_t device = small_device(config, ids[i], 0, (uint8_t)(i + 1));
        config->devices[device].interval = davy_span_ms(intervals_ms[i]);
        small_point(config, "p", 0, DAVY_TYPE_UINT16);
    }
    assert_int_equal(davy_requests_plan(config), 0);
    return config;
}

static void init(struct davy_schedule *schedule, const struct davy_config *config)
{
    assert_int_equal(davy_schedule_init(schedule, config, 0, start), 0);
}

static void first_reads_are_spread_over_the_interval(void **state)
{
    (void)state;
    static const int64_t intervals[] = {1000, 1000, 1000, 1000};
    struct davy_config *config = plan(intervals, 4);
    struct davy_schedule schedule;
    init(&schedule, config);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(schedule.slots[i].due.ns, at(250 * (int64_t)i).ns);
    davy_schedule_done(&schedule);
    davy_config_unref(config);
}

static void nobody_waits_longer_than_five_seconds_for_the_first_value(void **state)
{
    (void)state;
    static const int64_t intervals[] = {3600000, 3600000, 3600000};
    struct davy_config *config = plan(intervals, 3);
    struct davy_schedule schedule;
    init(&schedule, config);
    for (size_t i = 0; i < 3; i++)
        assert_true(schedule.slots[i].due.ns <= at(5000).ns);
    davy_schedule_done(&schedule);
    davy_config_unref(config);
}

static void over_tcp_reads_lie_on_the_raster_of_the_clock(void **state)
{
    (void)state;
    static const int64_t intervals[] = {1000, 1000, 333, 20};
    struct davy_config *config = plan(intervals, 4);
    struct davy_schedule schedule;
    config->buses[0].type = DAVY_BUS_TCP;
    const davy_mono odd = {start.ns + 7 * DAVY_NS_PER_MS + 3};
    assert_int_equal(davy_schedule_init(&schedule, config, 0, odd), 0);
    for (size_t i = 0; i < 4; i++) {
        int64_t wanted = odd.ns + intervals[i] * DAVY_NS_PER_MS / 4 * (int64_t)i;
        assert_int_equal(schedule.slots[i].due.ns % (50 * DAVY_NS_PER_MS), 0);
        assert_true(schedule.slots[i].due.ns >= wanted && schedule.slots[i].due.ns < wanted + 50 * DAVY_NS_PER_MS);
    }
    assert_int_equal(schedule.skipped, 0);
    davy_schedule_done(&schedule);
    davy_config_unref(config);
}

static void late_turns_do_not_shift_the_raster(void **state)
{
    (void)state;
    static const int64_t intervals[] = {1000};
    struct davy_config *config = plan(intervals, 1);
    struct davy_schedule schedule;
    init(&schedule, config);
    for (int64_t second = 0; second < 1000; second++) {
        assert_int_equal(davy_schedule_next(&schedule).ns, at(1000 * second).ns);
        assert_null(davy_schedule_take(&schedule, at(1000 * second - 1)));
        assert_non_null(davy_schedule_take(&schedule, at(1000 * second + second % 900)));
    }
    assert_int_equal(schedule.skipped, 0);
    davy_schedule_done(&schedule);
    davy_config_unref(config);
}

static void missed_turns_are_skipped_and_counted(void **state)
{
    (void)state;
    static const int64_t intervals[] = {1000};
    struct davy_config *config = plan(intervals, 1);
    struct davy_schedule schedule;
    init(&schedule, config);
    assert_non_null(davy_schedule_take(&schedule, at(5300)));
    assert_int_equal(schedule.skipped, 5);
    assert_null(davy_schedule_take(&schedule, at(5300)));
    assert_int_equal(davy_schedule_next(&schedule).ns, at(6000).ns);
    davy_schedule_done(&schedule);
    davy_config_unref(config);
}

static void the_earliest_deadline_goes_first(void **state)
{
    (void)state;
    static const int64_t intervals[] = {10000, 200};
    struct davy_config *config = plan(intervals, 2);
    struct davy_schedule schedule;
    init(&schedule, config);
    struct davy_slot *first = davy_schedule_take(&schedule, at(150));
    assert_int_equal(first->request, 1);
    assert_int_equal(davy_schedule_take(&schedule, at(150))->request, 0);
    assert_null(davy_schedule_take(&schedule, at(150)));
    davy_schedule_done(&schedule);
    davy_config_unref(config);
}

static void alarm_intervals_hold_at_once_and_end_with_the_alarm(void **state)
{
    (void)state;
    static const int64_t intervals[] = {10000};
    struct davy_config *config = plan(intervals, 1);
    config->devices[0].alarm_interval = davy_span_ms(500);
    struct davy_schedule schedule;
    init(&schedule, config);
    davy_schedule_take(&schedule, at(0));
    davy_schedule_alarm(&schedule, 0, true, at(100));
    assert_int_equal(davy_schedule_next(&schedule).ns, at(600).ns);
    davy_schedule_take(&schedule, at(600));
    assert_int_equal(davy_schedule_next(&schedule).ns, at(1100).ns);
    davy_schedule_alarm(&schedule, 0, false, at(700));
    davy_schedule_take(&schedule, at(1100));
    assert_int_equal(davy_schedule_next(&schedule).ns, at(11100).ns);
    davy_schedule_alarm(&schedule, 77, true, at(700));
    davy_schedule_done(&schedule);
    davy_config_unref(config);
}

static void a_new_plan_keeps_raster_and_alarms_of_what_stayed(void **state)
{
    (void)state;
    static const int64_t before[] = {1000, 1000};
    static const int64_t after[] = {1000, 2000, 1000};
    struct davy_config *old_config = plan(before, 2), *config = plan(after, 3);
    config->devices[1].alarm_interval = davy_span_ms(100);
    struct davy_schedule old, schedule;
    init(&old, old_config);
    davy_schedule_take(&old, at(10));
    davy_schedule_alarm(&old, 1, true, at(10));
    old.skipped = 9;
    assert_int_equal(davy_schedule_init(&schedule, config, 0, at(300)), 0);
    davy_schedule_keep(&schedule, &old);
    assert_int_equal(schedule.slots[0].due.ns, at(1000).ns);
    assert_true(schedule.slots[1].due.ns >= at(300).ns);
    assert_int_equal(schedule.slots[1].interval.ns, 100 * DAVY_NS_PER_MS);
    assert_int_equal(schedule.skipped, 9);
    davy_schedule_done(&old);
    davy_schedule_done(&schedule);
    davy_config_unref(old_config);
    davy_config_unref(config);
}

static void a_bus_without_requests_never_has_anything_due(void **state)
{
    (void)state;
    struct davy_config *config = plan(NULL, 0);
    struct davy_schedule schedule;
    init(&schedule, config);
    assert_int_equal(davy_schedule_next(&schedule).ns, DAVY_MONO_NEVER.ns);
    assert_null(davy_schedule_take(&schedule, at(1000)));
    davy_schedule_done(&schedule);
    davy_schedule_done(&schedule);
    davy_config_unref(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_reads_are_spread_over_the_interval),
        cmocka_unit_test(nobody_waits_longer_than_five_seconds_for_the_first_value),
        cmocka_unit_test(over_tcp_reads_lie_on_the_raster_of_the_clock),
        cmocka_unit_test(late_turns_do_not_shift_the_raster),
        cmocka_unit_test(missed_turns_are_skipped_and_counted),
        cmocka_unit_test(the_earliest_deadline_goes_first),
        cmocka_unit_test(alarm_intervals_hold_at_once_and_end_with_the_alarm),
        cmocka_unit_test(a_new_plan_keeps_raster_and_alarms_of_what_stayed),
        cmocka_unit_test(a_bus_without_requests_never_has_anything_due),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
