/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "acquire/parts.h"
#include "acquire/request.h"
#include "base/num.h"
#include "support/seed.h"
#include "support/small_config.h"

#define ROOM 4096

/* A device that refuses some registers: any read that touches one. */
struct device {
    bool refuses[ROOM];
    uint8_t exception;
    davy_mono now;
    unsigned reads; /* in this turn */
};

/* What one turn said of each register: how often it was read and how often refused. */
struct turn {
    unsigned read[ROOM];
    unsigned refused[ROOM];
    unsigned events[DAVY_PARTS_BUSY + 1];
};

static struct davy_config *plan(unsigned points, enum davy_type type, unsigned stride)
{
    struct davy_config *config = small_config_new();
    small_bus(config, "bus", DAVY_BUS_TCP);
    small_device(config, "D", 0, 1);
    config->devices[0].max_registers = 125;
    config->devices[0].max_gap = 125;
    for (unsigned i = 0; i < points; i++)
        small_point(config, "p", (uint16_t)(stride * i), type);
    assert_int_equal(davy_requests_plan(config), 0);
    assert_int_equal(config->request_count, 1);
    return config;
}

static void ask(const struct device *device, const struct davy_parts_task *task, struct davy_bus_reply *reply)
{
    reply->answer = DAVY_ANSWER_OK;
    for (unsigned i = task->start; i < (unsigned)task->start + task->count; i++)
        if (device->refuses[i]) {
            reply->answer = DAVY_ANSWER_EXCEPTION;
            reply->exception = device->exception;
        }
}

/* One turn, one second later. */
static void run(struct davy_parts *parts, struct device *device, struct turn *turn)
{
    struct davy_parts_task task;
    enum davy_parts_verdict verdict;
    *turn = (struct turn){.read = {0}};
    device->reads = 0;
    device->now = davy_mono_add(device->now, davy_span_s(1));
    davy_parts_begin(parts);
    assert_false(davy_parts_is_over(parts));
    while ((verdict = davy_parts_next(parts, device->now, &task)) != DAVY_PARTS_NOTHING) {
        struct davy_bus_reply reply = {.answer = DAVY_ANSWER_EXCEPTION};
        enum davy_parts_event event = DAVY_PARTS_TOLD;
        if (verdict == DAVY_PARTS_READ) {
            ask(device, &task, &reply);
            device->reads++;
            event = davy_parts_answer(parts, &reply, device->now);
        }
        turn->events[event]++;
        if (!davy_parts_is_told(event))
            continue;
        for (unsigned i = task.start; i < (unsigned)task.start + task.count; i++)
            (*(reply.answer == DAVY_ANSWER_OK ? &turn->read : &turn->refused))[i]++;
    }
    assert_true(davy_parts_is_over(parts));
}

static void one_refused_value_is_found_in_one_turn_and_the_others_are_read(void **state)
{
    (void)state;
    struct davy_config *config = plan(16, DAVY_TYPE_UINT16, 1);
    struct davy_parts parts;
    struct device device = {.exception = 2};
    struct turn turn;
    davy_parts_init(&parts, config, 0);
    device.refuses[11] = true;
    run(&parts, &device, &turn);
    assert_int_equal(turn.events[DAVY_PARTS_SPLIT], 1);
    assert_int_equal(turn.events[DAVY_PARTS_REFUSED], 1);
    for (unsigned i = 0; i < 16; i++) {
        assert_int_equal(turn.read[i], i != 11);
        assert_int_equal(turn.refused[i], i == 11);
    }
    assert_int_equal(device.reads, 9); /* the whole, and 2 for each of 4 halvings */
    run(&parts, &device, &turn);
    assert_int_equal(device.reads, 4); /* 8, 4, 2 and 1 values */
    davy_parts_done(&parts);
    davy_config_unref(config);
}

static void the_whole_is_tried_again_after_one_minute_two_and_so_on_and_ends_the_split(void **state)
{
    (void)state;
    struct davy_config *config = plan(4, DAVY_TYPE_FLOAT32, 2);
    struct davy_parts parts;
    struct device device = {.exception = 3};
    struct turn turn;
    davy_parts_init(&parts, config, 0);
    device.refuses[3] = true;
    unsigned wholes = 0;
    for (int i = 0; i < 4000; i++) {
        run(&parts, &device, &turn);
        wholes += turn.events[DAVY_PARTS_HELD] > 0 && i > 5;
        assert_int_equal(turn.read[0], 1);
        assert_int_equal(turn.read[3], 0);
    }
    assert_int_equal(wholes, 6); /* at 1, 3, 7, 15, 31 and 63 min */
    device.refuses[3] = false;
    unsigned seconds = 0;
    do {
        run(&parts, &device, &turn);
        seconds++;
    } while (turn.events[DAVY_PARTS_MERGED] == 0);
    assert_in_range(seconds, 3300, 3700);
    run(&parts, &device, &turn);
    assert_int_equal(device.reads, 1);
    davy_parts_done(&parts);
    davy_config_unref(config);
}

static void what_is_refused_whole_is_asked_after_ten_seconds_twenty_and_so_on(void **state)
{
    (void)state;
    struct davy_config *config = plan(1, DAVY_TYPE_FLOAT64, 4);
    struct davy_parts parts;
    struct device device = {.exception = 1};
    struct turn turn;
    davy_parts_init(&parts, config, 0);
    device.refuses[2] = true;
    unsigned reads = 0, told = 0, refused = 0;
    for (int i = 0; i < 3600; i++) {
        run(&parts, &device, &turn);
        reads += device.reads;
        told += turn.refused[0];
        refused += turn.events[DAVY_PARTS_REFUSED];
    }
    assert_int_equal(told, 3600); /* each turn is told, also from memory */
    assert_int_equal(refused, 1);
    assert_in_range(reads, 9, 14); /* 10 s, 20 s … 10 min */
    device.refuses[2] = false;
    do
        run(&parts, &device, &turn);
    while (turn.read[0] == 0);
    assert_int_equal(turn.events[DAVY_PARTS_ACCEPTED], 1);
    davy_parts_done(&parts);
    davy_config_unref(config);
}

/* No storm: where the device refuses all of 125 registers. */
static void a_device_that_refuses_everything_is_asked_little(void **state)
{
    (void)state;
    struct davy_config *config = plan(125, DAVY_TYPE_UINT16, 1);
    struct davy_parts parts;
    struct device device = {.exception = 1};
    struct turn turn;
    davy_parts_init(&parts, config, 0);
    memset(device.refuses, true, sizeof device.refuses);
    unsigned reads = 0;
    for (int i = 0; i < 3600; i++) {
        run(&parts, &device, &turn);
        reads += device.reads;
        assert_true(device.reads <= 13);
        for (unsigned k = 0; k < 125; k++)
            assert_int_equal(turn.refused[k], 1);
    }
    assert_true(reads < 3600); /* less than one that answers */
    print_message("%u reads in an hour\n", reads);
    davy_parts_done(&parts);
    davy_config_unref(config);
}

static struct davy_bus_reply exception(uint8_t code)
{
    return (struct davy_bus_reply){.answer = DAVY_ANSWER_EXCEPTION, .exception = code};
}

static void a_busy_device_is_called_failing_at_the_third_time_in_a_row(void **state)
{
    (void)state;
    struct davy_config *config = plan(4, DAVY_TYPE_UINT16, 1);
    struct davy_parts parts;
    struct davy_parts_task task;
    davy_mono now = {davy_span_s(1000).ns}, at;
    const struct davy_bus_reply busy = exception(6), acknowledge = exception(5), good = {.answer = DAVY_ANSWER_OK};
    davy_parts_init(&parts, config, 0);
    for (int times = 0; times < 3; times++) {
        assert_false(davy_parts_wants_again(&parts, &at));
        for (int i = 1; i <= 2; i++) {
            davy_parts_begin(&parts);
            assert_int_equal(davy_parts_next(&parts, now, &task), DAVY_PARTS_READ);
            assert_int_equal(davy_parts_answer(&parts, i == 1 ? &busy : &acknowledge, now), DAVY_PARTS_HELD);
            assert_int_equal(davy_parts_next(&parts, now, &task), DAVY_PARTS_NOTHING);
            assert_true(davy_parts_wants_again(&parts, &at));
            assert_int_equal(davy_mono_sub(at, now).ns, i * 250 * DAVY_NS_PER_MS);
            davy_parts_begin(&parts); /* a turn before: left alone, nothing told */
            assert_int_equal(davy_parts_next(&parts, now, &task), DAVY_PARTS_NOTHING);
            now = at;
        }
        davy_parts_begin(&parts);
        assert_int_equal(davy_parts_next(&parts, now, &task), DAVY_PARTS_READ);
        assert_int_equal(davy_parts_answer(&parts, times == 1 ? &good : &busy, now),
                         times == 1 ? DAVY_PARTS_TOLD : DAVY_PARTS_BUSY);
        if (times == 1)
            continue;
        assert_false(davy_parts_wants_again(&parts, &at));
        davy_parts_begin(&parts);
        assert_int_equal(davy_parts_next(&parts, now, &task), DAVY_PARTS_REMEMBERED);
        assert_int_equal(task.exception, 6);
        assert_int_equal(task.count, 4);
        now = davy_mono_add(now, davy_span_s(1));
        davy_parts_begin(&parts);
        assert_int_equal(davy_parts_next(&parts, now, &task), DAVY_PARTS_READ);
        assert_int_equal(davy_parts_answer(&parts, &good, now), DAVY_PARTS_TOLD);
    }
    davy_parts_done(&parts);
    davy_config_unref(config);
}

static void parts_with_status_words_come_first(void **state)
{
    (void)state;
    static const struct davy_status status = {.table = DAVY_TABLE_HOLDING, .address = 20, .mask = 1};
    struct davy_config *config = plan(8, DAVY_TYPE_UINT16, 1);
    config->devices[0].status = &status;
    config->devices[0].status_count = 1;
    assert_int_equal(davy_requests_plan(config), 0);
    struct davy_parts parts;
    struct davy_parts_task task;
    struct device device = {.exception = 2};
    struct turn turn;
    davy_parts_init(&parts, config, 0);
    device.refuses[3] = true;
    run(&parts, &device, &turn);
    assert_int_equal(turn.read[20], 1);
    davy_parts_begin(&parts);
    assert_int_equal(davy_parts_next(&parts, device.now, &task), DAVY_PARTS_READ);
    assert_true(task.start <= 20 && task.start + task.count > 20);
    davy_parts_done(&parts);
    davy_config_unref(config);
}

static void a_reload_keeps_the_split_where_the_values_lie_at_the_same_places(void **state)
{
    (void)state;
    struct davy_config *before = plan(16, DAVY_TYPE_UINT16, 1), *same = plan(16, DAVY_TYPE_UINT16, 1),
                       *other = plan(8, DAVY_TYPE_UINT32, 2);
    struct davy_parts parts, kept, fresh;
    struct device device = {.exception = 2};
    struct turn turn;
    davy_parts_init(&parts, before, 0);
    device.refuses[11] = true;
    run(&parts, &device, &turn);
    davy_parts_init(&kept, same, 0);
    davy_parts_keep(&kept, &parts);
    assert_null(parts.list);
    run(&kept, &device, &turn);
    assert_int_equal(device.reads, 4);
    davy_parts_init(&fresh, other, 0);
    davy_parts_keep(&fresh, &kept);
    run(&fresh, &device, &turn);
    assert_int_equal(turn.events[DAVY_PARTS_SPLIT], 1);
    davy_parts_done(&parts);
    davy_parts_done(&kept);
    davy_parts_done(&fresh);
    davy_config_unref(before);
    davy_config_unref(same);
    davy_config_unref(other);
}

/* ---- random plans and random refusals ---- */

static unsigned width(const struct davy_point *point)
{
    return point->table <= DAVY_TABLE_DISCRETE ? 1 : davy_type_registers(point->type);
}

static bool is_refused(const struct device *device, const struct davy_point *point)
{
    for (unsigned i = 0; i < width(point); i++)
        if (device->refuses[point->address + i])
            return true;
    return false;
}

/* The point shares registers, over one or more others, with one that is refused. */
static bool is_bound(const struct davy_config *config, const struct device *device, const struct davy_point *point)
{
    unsigned low = point->address, high = low + width(point);
    for (bool grown = true; grown;) {
        grown = false;
        for (size_t i = 0; i < config->point_count; i++) {
            const struct davy_point *other = &config->points[i];
            if (other->address >= high || other->address + width(other) <= low)
                continue;
            if (is_refused(device, other))
                return true;
            if (other->address < low || other->address + width(other) > high)
                grown = true;
            low = other->address < low ? other->address : low;
            high = other->address + width(other) > high ? other->address + width(other) : high;
        }
    }
    return false;
}

static struct davy_config *random_plan(struct davy_random *random)
{
    static struct davy_status words[SMALL_POINTS];
    struct davy_config *config = small_config_new();
    small_bus(config, "bus", DAVY_BUS_TCP);
    small_device(config, "D", 0, 1);
    config->devices[0].max_registers = 125;
    config->devices[0].max_gap = 125;
    bool bits = davy_random_next(random) % 4 == 0;
    unsigned count = 1 + (unsigned)(davy_random_next(random) % 40);
    for (unsigned i = 0; i < count; i++) {
        uint32_t point = small_point(config, "p", (uint16_t)(davy_random_next(random) % 120),
                                     bits ? DAVY_TYPE_BOOL : (enum davy_type)(1 + davy_random_next(random) % 8));
        config->points[point].table = bits ? DAVY_TABLE_COIL : DAVY_TABLE_HOLDING;
        words[i] = (struct davy_status){
            .table = DAVY_TABLE_HOLDING, .address = (uint16_t)(davy_random_next(random) % 120), .mask = 1};
        config->points[point].status = &words[i];
        config->points[point].status_count = davy_random_next(random) % 3 == 0;
    }
    assert_int_equal(davy_requests_plan(config), 0);
    return config;
}

/*
 * Each point is told exactly once a turn; after some turns each that the device answers is read, each that it refuses
 * is told as refused; and when it refuses nothing any more the split ends within two hours.
 */
static void all_that_a_device_answers_is_read(void **state)
{
    (void)state;
    struct davy_random random = {.state = davy_test_seed(23)};
    for (int round = 0; round < 300; round++) {
        struct davy_config *config = random_plan(&random);
        struct davy_parts parts;
        static struct device device;
        static struct turn turn;
        memset(&device, 0, sizeof device);
        device.exception = (uint8_t)(1 + davy_random_next(&random) % 3);
        unsigned odds = 2 + (unsigned)(davy_random_next(&random) % 40);
        for (unsigned i = 0; i < 200; i++)
            device.refuses[i] = davy_random_next(&random) % odds == 0;
        for (uint32_t r = 0; r < config->request_count; r++) {
            const struct davy_request *request = &config->requests[r];
            davy_parts_init(&parts, config, r);
            bool answered = false;
            for (size_t k = 0; k < request->point_count; k++)
                answered |= !is_bound(config, &device, &config->points[request->points[k]]);
            for (int i = 0; i < 40; i++) {
                run(&parts, &device, &turn);
                for (size_t k = 0; k < request->point_count; k++) {
                    const struct davy_point *point = &config->points[request->points[k]];
                    assert_int_equal(turn.read[point->address] + turn.refused[point->address], 1);
                    for (unsigned n = 1; n < width(point); n++)
                        assert_int_equal(turn.read[point->address + n], turn.read[point->address]);
                    if (i == 39 && answered)
                        assert_int_equal(turn.read[point->address], !is_bound(config, &device, point));
                }
            }
            static struct device cured;
            cured = (struct device){.now = device.now};
            for (int i = 0; i < 7200; i++)
                run(&parts, &cured, &turn);
            assert_int_equal(cured.reads, 1);
            assert_null(parts.list);
            davy_parts_done(&parts);
        }
        davy_config_unref(config);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_refused_value_is_found_in_one_turn_and_the_others_are_read),
        cmocka_unit_test(the_whole_is_tried_again_after_one_minute_two_and_so_on_and_ends_the_split),
        cmocka_unit_test(what_is_refused_whole_is_asked_after_ten_seconds_twenty_and_so_on),
        cmocka_unit_test(a_device_that_refuses_everything_is_asked_little),
        cmocka_unit_test(a_busy_device_is_called_failing_at_the_third_time_in_a_row),
        cmocka_unit_test(parts_with_status_words_come_first),
        cmocka_unit_test(a_reload_keeps_the_split_where_the_values_lie_at_the_same_places),
        cmocka_unit_test(all_that_a_device_answers_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
