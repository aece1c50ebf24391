/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "acquire/estimate.h"
#include "acquire/request.h"
#include "acquire/schedule.h"
#include "base/num.h"
#include "support/seed.h"
#include "support/small_config.h"

static const struct davy_share share = {.connections = 1};
static const davy_mono start = {1000 * DAVY_NS_PER_S};

static davy_mono at(int64_t ms)
{
    return davy_mono_add(start, davy_span_ms(ms));
}

/* Devices A, B, … with one request each of these intervals. */
static struct davy_config *plan(const int64_t *intervals_ms, size_t count)
{
    static const char *const ids[] = {"A", "B", "C", "D", "E", "F"};
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
    assert_int_equal(davy_schedule_init(schedule, config, &share, start), 0);
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
    static const int64_t intervals[] = {60000, 1000, 900, 333, 20}, rasters[] = {250, 250, 200, 50, 50};
    const size_t count = DAVY_LENGTH(intervals);
    struct davy_config *config = plan(intervals, count);
    struct davy_schedule schedule;
    config->buses[0].type = DAVY_BUS_TCP;
    const davy_mono odd = {start.ns + 7 * DAVY_NS_PER_MS + 3};
    assert_int_equal(davy_schedule_init(&schedule, config, &share, odd), 0);
    for (size_t i = 0; i < count; i++) {
        const int64_t spread = (intervals[i] < 5000 ? intervals[i] : 5000) * DAVY_NS_PER_MS;
        const int64_t wanted = odd.ns + spread / (int64_t)count * (int64_t)i, raster = rasters[i] * DAVY_NS_PER_MS;
        assert_int_equal(schedule.slots[i].due.ns % raster, 0);
        assert_true(schedule.slots[i].due.ns >= wanted && schedule.slots[i].due.ns < wanted + raster);
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
        assert_null(davy_schedule_take(&schedule, at(1000 * second - 1), false));
        assert_non_null(davy_schedule_take(&schedule, at(1000 * second + second % 900), false));
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
    assert_non_null(davy_schedule_take(&schedule, at(5300), false));
    assert_int_equal(schedule.skipped, 5);
    assert_null(davy_schedule_take(&schedule, at(5300), false));
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
    struct davy_slot *first = davy_schedule_take(&schedule, at(150), false);
    assert_int_equal(first->request, 1);
    assert_int_equal(davy_schedule_take(&schedule, at(150), false)->request, 0);
    assert_null(davy_schedule_take(&schedule, at(150), false));
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
    davy_schedule_take(&schedule, at(0), false);
    davy_schedule_alarm(&schedule, 0, true, at(100));
    assert_int_equal(davy_schedule_next(&schedule).ns, at(600).ns);
    davy_schedule_take(&schedule, at(600), false);
    assert_int_equal(davy_schedule_next(&schedule).ns, at(1100).ns);
    davy_schedule_alarm(&schedule, 0, false, at(700));
    davy_schedule_take(&schedule, at(1100), false);
    assert_int_equal(davy_schedule_next(&schedule).ns, at(11100).ns);
    davy_schedule_alarm(&schedule, 77, true, at(700));
    davy_schedule_done(&schedule);
    davy_config_unref(config);
}

/* By default a device is read in alarm as ever, also those of its points that are read more rarely than the others. */
static void an_alarm_hurries_no_point_unless_the_device_is_to_be_hurried(void **state)
{
    (void)state;
    static const int64_t intervals[] = {1000};
    struct davy_config *config = plan(intervals, 1);
    config->points[0].interval = davy_span_ms(60000);
    config->devices[0].alarm_interval.ns = 0;
    assert_int_equal(davy_requests_plan(config), 0);
    struct davy_schedule schedule;
    init(&schedule, config);
    davy_schedule_take(&schedule, at(0), false);
    davy_schedule_alarm(&schedule, 0, true, at(100));
    assert_int_equal(davy_schedule_next(&schedule).ns, at(60000).ns);
    const int64_t alone = config->requests[0].detection[DAVY_DEAD_NONE].ns;
    assert_int_equal(alone, 60000 * DAVY_NS_PER_MS + 2 * davy_estimate_request(config, &config->requests[0]).ns);
    config->devices[0].alarm_interval = davy_span_ms(500); /* which is what it says */
    davy_schedule_alarm(&schedule, 0, true, at(100));
    assert_int_equal(davy_schedule_next(&schedule).ns, at(600).ns);
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
    davy_schedule_take(&old, at(10), false);
    davy_schedule_alarm(&old, 1, true, at(10));
    old.skipped = 9;
    assert_int_equal(davy_schedule_init(&schedule, config, &share, at(300)), 0);
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

/* Its neighbours need it behind them after a reload, too: that it is slow is told only when that changes. */
static void a_new_plan_keeps_slow_devices_behind_the_others_whatever_changed(void **state)
{
    (void)state;
    static const int64_t before[] = {1000, 1000, 1000}, after[] = {1000, 500, 1000};
    struct davy_config *old_config = plan(before, 3), *config = plan(after, 3);
    config->devices[2].unit = 9; /* another device */
    struct davy_schedule old, schedule;
    init(&old, old_config);
    for (uint32_t device = 0; device < 3; device++)
        davy_schedule_slow(&old, device, true);
    assert_int_equal(davy_schedule_init(&schedule, config, &share, at(300)), 0);
    davy_schedule_keep(&schedule, &old);
    assert_true(schedule.slots[0].slow);
    assert_true(schedule.slots[1].slow);
    assert_false(schedule.slots[2].slow);
    davy_schedule_done(&old);
    davy_schedule_done(&schedule);
    davy_config_unref(old_config);
    davy_config_unref(config);
}

/* Reloads do not make a bus pay anew for a read that nobody answers. */
static void a_new_plan_keeps_what_is_known_of_a_read_that_is_not_answered(void **state)
{
    (void)state;
    static const int64_t before[] = {1000, 1000}, after[] = {1000, 2000};
    struct davy_config *old_config = plan(before, 2), *config = plan(after, 2);
    struct davy_schedule old, schedule;
    init(&old, old_config);
    for (size_t i = 0; i < 2; i++) {
        old.slots[i].misses = 4;
        old.slots[i].mute_until = at(20000);
        old.slots[i].mute_wait = davy_span_ms(20000);
    }
    assert_int_equal(davy_schedule_init(&schedule, config, &share, at(300)), 0);
    davy_schedule_keep(&schedule, &old);
    assert_int_equal(schedule.slots[0].misses, 4);
    assert_int_equal(schedule.slots[0].mute_until.ns, at(20000).ns);
    assert_int_equal(schedule.slots[0].mute_wait.ns, davy_span_ms(20000).ns);
    assert_int_equal(schedule.slots[1].misses, 0); /* a changed read is tried anew */
    assert_int_equal(schedule.slots[1].mute_until.ns, 0);
    davy_schedule_done(&old);
    davy_schedule_done(&schedule);
    davy_config_unref(old_config);
    davy_config_unref(config);
}

static void a_new_plan_knows_nothing_of_a_device_behind_another_unit_number(void **state)
{
    (void)state;
    static const int64_t intervals[] = {1000};
    struct davy_config *old_config = plan(intervals, 1), *config = plan(intervals, 1);
    config->devices[0].unit = 9;
    struct davy_schedule old, schedule;
    init(&old, old_config);
    davy_schedule_alarm(&old, 0, true, at(10));
    struct davy_slot *slot = davy_schedule_take(&old, at(10), false);
    struct davy_parts_task task;
    davy_parts_begin(&slot->parts);
    assert_int_equal(davy_parts_next(&slot->parts, at(10), &task), DAVY_PARTS_READ);
    const struct davy_bus_reply refusal = {.answer = DAVY_ANSWER_EXCEPTION, .exception = 2};
    assert_int_equal(davy_parts_answer(&slot->parts, &refusal, at(10)), DAVY_PARTS_REFUSED);
    assert_int_equal(davy_schedule_init(&schedule, config, &share, at(300)), 0);
    davy_schedule_keep(&schedule, &old);
    slot = davy_schedule_take(&schedule, at(300), false);
    assert_non_null(slot);
    davy_parts_begin(&slot->parts);
    assert_int_equal(davy_parts_next(&slot->parts, at(300), &task), DAVY_PARTS_READ);
    assert_true(schedule.alarms[0]);
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
    assert_null(davy_schedule_take(&schedule, at(1000), false));
    davy_schedule_done(&schedule);
    davy_schedule_done(&schedule);
    davy_config_unref(config);
}

static void a_turn_more_does_not_move_the_raster(void **state)
{
    (void)state;
    static const int64_t intervals[] = {1000, 1000};
    struct davy_config *config = plan(intervals, 2);
    struct davy_schedule schedule;
    init(&schedule, config);
    struct davy_slot *slot = davy_schedule_take(&schedule, at(0), false);
    davy_schedule_again(&schedule, slot, at(400));
    davy_schedule_again(&schedule, slot, at(5000)); /* behind its raster: nothing */
    assert_int_equal(davy_schedule_next(&schedule).ns, at(400).ns);
    assert_ptr_equal(davy_schedule_take(&schedule, at(400), false), slot);
    assert_int_equal(davy_schedule_take(&schedule, at(500), false)->request, 1);
    assert_int_equal(davy_schedule_next(&schedule).ns, at(1000).ns);
    assert_int_equal(schedule.skipped, 0);
    davy_schedule_done(&schedule);
    davy_config_unref(config);
}

/* Status words stand before the values that they qualify: with the same deadline they are read first. */
static void equals_go_in_the_order_of_the_plan(void **state)
{
    (void)state;
    struct davy_config *config = small_config_new();
    small_bus(config, "bus", DAVY_BUS_TCP);
    for (unsigned i = 0; i < SMALL_DEVICES; i++) {
        small_device(config, "D", 0, (uint8_t)(i + 1));
        small_point(config, "p", 0, DAVY_TYPE_UINT16);
    }
    assert_int_equal(davy_requests_plan(config), 0);
    struct davy_schedule schedule;
    init(&schedule, config);
    for (size_t i = 0; i < SMALL_DEVICES; i++)
        davy_schedule_again(&schedule, &schedule.slots[SMALL_DEVICES - 1 - i], start);
    for (size_t i = 0; i < SMALL_DEVICES; i++)
        schedule.slots[i].raster = at(2000);
    for (size_t i = 0; i < SMALL_DEVICES; i++)
        assert_int_equal(davy_schedule_take(&schedule, at(0), false)->request, i);
    davy_schedule_done(&schedule);
    davy_config_unref(config);
}

static void slow_devices_wait_behind_all_others_unless_favoured_and_late(void **state)
{
    (void)state;
    static const int64_t intervals[] = {1000, 10000};
    struct davy_config *config = plan(intervals, 2);
    struct davy_schedule schedule;
    init(&schedule, config);
    davy_schedule_slow(&schedule, 0, true);
    assert_int_equal(davy_schedule_take(&schedule, at(6000), false)->request, 1);
    assert_int_equal(davy_schedule_take(&schedule, at(6000), true)->request, 0);
    assert_int_equal(davy_schedule_take(&schedule, at(12500), true)->request, 0); /* late since 8000 */
    assert_int_equal(davy_schedule_take(&schedule, at(13500), true)->request, 1); /* it is due, but not late */
    assert_int_equal(davy_schedule_take(&schedule, at(13500), true)->request, 0);
    davy_schedule_done(&schedule);
    davy_config_unref(config);
}

/* ---- against a list that is searched from end to end ---- */

struct plain {
    int64_t due, interval;
    bool slow;
};

static uint32_t search(struct plain *list, size_t count, int64_t now, uint64_t *skipped)
{
    uint32_t found = DAVY_NONE;
    for (uint32_t i = 0; i < count; i++) {
        if (list[i].due > now)
            continue;
        if (found == DAVY_NONE || list[i].slow < list[found].slow ||
            (list[i].slow == list[found].slow &&
             list[i].due + list[i].interval < list[found].due + list[found].interval))
            found = i;
    }
    if (found != DAVY_NONE) {
        *skipped += (uint64_t)((now - list[found].due) / list[found].interval);
        list[found].due += ((now - list[found].due) / list[found].interval + 1) * list[found].interval;
    }
    return found;
}

static void heaps_give_what_a_search_of_all_gives(void **state)
{
    (void)state;
    struct davy_random random = {.state = davy_test_seed(17)};
    for (int round = 0; round < 100; round++) {
        struct davy_config *config = small_config_new();
        small_bus(config, "bus", DAVY_BUS_RTU);
        for (unsigned i = 0; i < SMALL_DEVICES; i++) {
            uint32_t device = small_device(config, "D", 0, (uint8_t)(i + 1));
            config->devices[device].interval.ns = 100000 + (int64_t)(davy_random_next(&random) % 10000000);
            small_point(config, "p", 0, DAVY_TYPE_UINT16);
        }
        assert_int_equal(davy_requests_plan(config), 0);
        struct davy_schedule schedule;
        struct plain list[SMALL_DEVICES];
        uint64_t skipped = 0;
        init(&schedule, config);
        for (size_t i = 0; i < SMALL_DEVICES; i++) {
            list[i] = (struct plain){schedule.slots[i].due.ns, schedule.slots[i].interval.ns, i % 5 == 0};
            davy_schedule_slow(&schedule, (uint32_t)i, i % 5 == 0);
        }
        for (int64_t now = start.ns, turn = 0; turn < 2000; turn++) {
            struct davy_slot *slot = davy_schedule_take(&schedule, (davy_mono){now}, false);
            uint32_t expected = search(list, SMALL_DEVICES, now, &skipped);
            assert_int_equal(slot ? slot->request : DAVY_NONE, expected);
            assert_int_equal(schedule.skipped, skipped);
            int64_t next = INT64_MAX;
            for (size_t i = 0; i < SMALL_DEVICES; i++)
                next = list[i].due < next ? list[i].due : next;
            if (next > now)
                assert_int_equal(davy_schedule_next(&schedule).ns, next);
            else
                assert_true(davy_schedule_next(&schedule).ns <= now);
            now += (int64_t)(davy_random_next(&random) % 400000) + (turn % 100 == 0 ? 5000000 : 0);
        }
        davy_schedule_done(&schedule);
        davy_config_unref(config);
    }
}

/* The largest plant: 500 devices of 20 points, each a request of its own, on one bus. */
static void ten_thousand_requests_are_scheduled_cheaply(void **state)
{
    (void)state;
    struct davy_config *config = davy_config_new();
    config->bus_count = 1;
    config->buses = small_alloc(config, 1, sizeof *config->buses);
    config->devices = small_alloc(config, 500, sizeof *config->devices);
    config->requests = small_alloc(config, 10000, sizeof *config->requests);
    for (uint32_t i = 0; i < 500; i++)
        config->devices[i] = (struct davy_device){.id = "D", .enabled = true};
    for (uint32_t i = 0; i < 10000; i++)
        config->requests[i] = (struct davy_request){
            .device = i / 20, .count = 2, .interval = davy_span_ms(1000), .table = DAVY_TABLE_HOLDING};
    config->device_count = 500;
    config->request_count = 10000;
    struct davy_schedule schedule;
    init(&schedule, config);
    davy_mono begin = davy_clock_now(&davy_system_clock).mono;
    unsigned taken = 0;
    for (int64_t us = 0; us < 20000000; us += 50)
        taken += davy_schedule_take(&schedule, davy_mono_add(start, (davy_span){us * 1000}), false) != NULL;
    davy_mono end = davy_clock_now(&davy_system_clock).mono;
    assert_int_equal(schedule.skipped, 0);
    assert_in_range(taken, 199000, 200001);
    print_message("%u turns, %.0f ns each, slot of %zu bytes\n", taken, (double)davy_mono_sub(end, begin).ns / taken,
                  sizeof(struct davy_slot));
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
        cmocka_unit_test(an_alarm_hurries_no_point_unless_the_device_is_to_be_hurried),
        cmocka_unit_test(a_new_plan_keeps_raster_and_alarms_of_what_stayed),
        cmocka_unit_test(a_new_plan_keeps_slow_devices_behind_the_others_whatever_changed),
        cmocka_unit_test(a_new_plan_keeps_what_is_known_of_a_read_that_is_not_answered),
        cmocka_unit_test(a_new_plan_knows_nothing_of_a_device_behind_another_unit_number),
        cmocka_unit_test(a_bus_without_requests_never_has_anything_due),
        cmocka_unit_test(a_turn_more_does_not_move_the_raster),
        cmocka_unit_test(equals_go_in_the_order_of_the_plan),
        cmocka_unit_test(slow_devices_wait_behind_all_others_unless_favoured_and_late),
        cmocka_unit_test(heaps_give_what_a_search_of_all_gives),
        cmocka_unit_test(ten_thousand_requests_are_scheduled_cheaply),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
