/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "acquire/connection.h"
#include "acquire/request.h"
#include "support/fake_bus.h"
#include "support/small_config.h"

struct rig {
    struct davy_config *config;
    struct fake_clock clock;
    struct fake_bus bus;
    struct davy_queue blocks;
    struct davy_queue replies;
    struct davy_connection *connection;
};

/* Devices of unit 1 to `devices` with one register each, at 10 × unit. */
static struct davy_config *plan(enum davy_bus_type type, unsigned devices)
{
    static const char *const ids[] = {"", "D1", "D2", "D3", "D4", "D5", "D6", "D7", "D8"};
    struct davy_config *config = small_config_new();
    uint32_t bus = small_bus(config, "bus", type);
    for (unsigned unit = 1; unit <= devices; unit++) {
        small_device(config, ids[unit], bus, (uint8_t)unit);
        small_point(config, "p", (uint16_t)(10 * unit), DAVY_TYPE_UINT16);
    }
    assert_int_equal(davy_requests_plan(config), 0);
    return config;
}

static void rig_init(struct rig *rig, struct davy_config *config)
{
    rig->config = config;
    fake_clock_init(&rig->clock);
    struct davy_bus_link link = fake_bus_init(&rig->bus, &rig->clock);
    assert_int_equal(davy_queue_init(&rig->blocks, sizeof(struct davy_block), 4096, DAVY_QUEUE_DROP_OLDEST, NULL), 0);
    assert_int_equal(
        davy_queue_init(&rig->replies, sizeof(struct davy_poller_demand_reply), 8, DAVY_QUEUE_REFUSE, NULL), 0);
    const struct davy_connection_options options = {.config = config,
                                                    .share = davy_share_all(0),
                                                    .link = link,
                                                    .clock = &rig->clock.clock,
                                                    .blocks = &rig->blocks,
                                                    .demands = &rig->replies,
                                                    .seed = 7};
    assert_int_equal(davy_connection_new(&options, &rig->connection), 0);
}

static void rig_done(struct rig *rig)
{
    assert_null(davy_connection_free(rig->connection));
    assert_int_equal(rig->bus.frees, 1);
    davy_queue_done(&rig->blocks);
    davy_queue_done(&rig->replies);
    davy_config_unref(rig->config);
}

/* Turn the loop for `span` of simulated time. */
static void run_for(struct rig *rig, davy_span span)
{
    int64_t end = rig->clock.now.mono.ns + span.ns;
    while (rig->clock.now.mono.ns < end) {
        davy_span idle = davy_connection_turn(rig->connection);
        assert_true(idle.ns <= DAVY_NS_PER_S);
        int64_t left = end - rig->clock.now.mono.ns;
        if (idle.ns > 0 && left > 0)
            fake_clock_advance(&rig->clock, (davy_span){idle.ns < left ? idle.ns : left});
    }
}

static size_t count_requests(const struct rig *rig, uint8_t unit)
{
    size_t count = 0;
    for (size_t i = 0; i < rig->bus.count; i++)
        count += rig->bus.log[i].unit == unit;
    return count;
}

/* Blocks waiting, by answer; empties the queue. */
static void count_blocks(struct rig *rig, size_t counts[DAVY_ANSWER_COUNT_])
{
    struct davy_block block;
    for (size_t i = 0; i < DAVY_ANSWER_COUNT_; i++)
        counts[i] = 0;
    while (davy_queue_pop(&rig->blocks, &block))
        counts[block.answer]++;
}

static void each_request_is_read_once_an_interval_and_stamped_when_answered(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, plan(DAVY_BUS_RTU, 2));
    run_for(&rig, davy_span_s(10));
    assert_in_range(count_requests(&rig, 1), 10, 11);
    assert_in_range(count_requests(&rig, 2), 9, 10);
    struct davy_block block;
    assert_true(davy_queue_pop(&rig.blocks, &block));
    assert_int_equal(block.answer, DAVY_ANSWER_OK);
    assert_int_equal(block.words[0], 10);
    assert_int_equal(block.generation, 1);
    assert_int_equal(block.at.mono.ns, rig.bus.log[0].at.ns + rig.bus.answer_cost.ns);
    rig_done(&rig);
}

static void a_bus_that_cannot_be_opened_still_gives_a_block_an_interval(void **state)
{
    (void)state;
    struct rig rig;
    size_t counts[DAVY_ANSWER_COUNT_];
    rig_init(&rig, plan(DAVY_BUS_RTU, 1));
    rig.bus.open_result = -ENOENT;
    run_for(&rig, davy_span_s(60));
    count_blocks(&rig, counts);
    assert_in_range(counts[DAVY_ANSWER_DOWN], 59, 61);
    assert_int_equal(rig.bus.count, 0);
    assert_in_range(rig.bus.opens, 12, 40);
    struct davy_poller_status status;
    davy_connection_status(rig.connection, &status);
    assert_int_equal(status.state, DAVY_LINK_BACKOFF);
    assert_int_equal(status.last_error, -ENOENT);
    rig.bus.open_result = 0; /* the adapter is back: seen within 5 s */
    run_for(&rig, davy_span_s(5));
    davy_connection_status(rig.connection, &status);
    assert_int_equal(status.state, DAVY_LINK_UP);
    rig_done(&rig);
}

static void a_dead_device_still_gives_blocks_and_costs_others_a_tenth(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, plan(DAVY_BUS_RTU, 2));
    rig.bus.answers[1] = DAVY_ANSWER_TIMEOUT;
    run_for(&rig, davy_span_s(30));
    size_t counts[DAVY_ANSWER_COUNT_];
    count_blocks(&rig, counts);
    size_t before = count_requests(&rig, 1);
    run_for(&rig, davy_span_s(300));
    size_t probes = count_requests(&rig, 1) - before;
    assert_in_range(probes, 10, 30); /* of 1 s each */
    count_blocks(&rig, counts);
    assert_in_range(counts[DAVY_ANSWER_TIMEOUT], 270, 301);
    assert_in_range(counts[DAVY_ANSWER_OK], 270, 301);
    rig.bus.answers[1] = DAVY_ANSWER_OK; /* back within 30 s */
    run_for(&rig, davy_span_s(31));
    count_blocks(&rig, counts);
    run_for(&rig, davy_span_s(10));
    count_blocks(&rig, counts);
    assert_int_equal(counts[DAVY_ANSWER_TIMEOUT], 0);
    rig_done(&rig);
}

static void many_dead_devices_together_stay_within_their_budget(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, plan(DAVY_BUS_RTU, 4));
    rig.bus.silence_cost = davy_span_ms(300);
    for (uint32_t i = 0; i < 4; i++)
        rig.config->devices[i].max_reply = davy_span_ms(300);
    for (unsigned unit = 1; unit <= 3; unit++)
        rig.bus.answers[unit] = DAVY_ANSWER_TIMEOUT;
    run_for(&rig, davy_span_s(60));
    size_t before = count_requests(&rig, 1) + count_requests(&rig, 2) + count_requests(&rig, 3);
    size_t alive = count_requests(&rig, 4);
    run_for(&rig, davy_span_s(300));
    size_t probes = count_requests(&rig, 1) + count_requests(&rig, 2) + count_requests(&rig, 3) - before;
    assert_in_range(probes, 24, 110); /* at least once in 30 s each; 0.3 s each: at most 33 of 300 s */
    assert_in_range(count_requests(&rig, 4) - alive, 290, 301);
    rig_done(&rig);
}

static void retries_belong_to_devices_that_answered_before(void **state)
{
    (void)state;
    struct rig rig;
    struct davy_config *config = plan(DAVY_BUS_RTU, 2);
    config->buses[0].retries = 2;
    rig_init(&rig, config);
    run_for(&rig, davy_span_ms(400));
    assert_int_equal(count_requests(&rig, 1), 1);
    rig.bus.answers[1] = DAVY_ANSWER_INVALID;
    rig.bus.silence_cost = davy_span_ms(50);
    run_for(&rig, davy_span_s(1));
    assert_int_equal(count_requests(&rig, 1), 4);
    run_for(&rig, davy_span_s(1));
    assert_int_equal(count_requests(&rig, 1), 5);
    rig_done(&rig);
}

static void what_a_device_refuses_is_answered_from_memory_for_ten_seconds_and_longer(void **state)
{
    (void)state;
    struct rig rig;
    size_t counts[DAVY_ANSWER_COUNT_];
    rig_init(&rig, plan(DAVY_BUS_RTU, 1));
    rig.bus.answers[1] = DAVY_ANSWER_EXCEPTION;
    rig.bus.exception = 2;
    run_for(&rig, davy_span_s(100));
    count_blocks(&rig, counts);
    assert_in_range(counts[DAVY_ANSWER_EXCEPTION], 99, 101);
    assert_in_range(count_requests(&rig, 1), 4, 5); /* at 0, 10, 30 and 70 s */
    struct davy_poller_status status;
    davy_connection_status(rig.connection, &status);
    assert_int_equal(status.state, DAVY_LINK_UP);
    rig.bus.exception = 4; /* it failed: asked again at the next interval */
    run_for(&rig, davy_span_s(100));
    size_t before = count_requests(&rig, 1);
    run_for(&rig, davy_span_s(10));
    assert_in_range(count_requests(&rig, 1) - before, 9, 11);
    rig_done(&rig);
}

static void a_busy_device_is_asked_again_soon_and_tells_nothing_until_the_third_time(void **state)
{
    (void)state;
    struct rig rig;
    size_t counts[DAVY_ANSWER_COUNT_];
    rig_init(&rig, plan(DAVY_BUS_RTU, 1));
    run_for(&rig, davy_span_ms(500));
    rig.bus.answers[1] = DAVY_ANSWER_EXCEPTION;
    rig.bus.exception = 6;
    run_for(&rig, davy_span_ms(1000)); /* at 1.0 and 1.28 s */
    count_blocks(&rig, counts);
    assert_int_equal(counts[DAVY_ANSWER_EXCEPTION], 0);
    assert_int_equal(count_requests(&rig, 1), 3);
    run_for(&rig, davy_span_ms(1000)); /* and 1.81 s: now it fails */
    count_blocks(&rig, counts);
    assert_true(counts[DAVY_ANSWER_EXCEPTION] >= 1);
    run_for(&rig, davy_span_s(100));
    assert_in_range(count_requests(&rig, 1), 12, 20); /* up to 8 s apart */
    rig.bus.answers[1] = DAVY_ANSWER_OK;
    run_for(&rig, davy_span_s(10));
    count_blocks(&rig, counts);
    run_for(&rig, davy_span_s(10));
    count_blocks(&rig, counts);
    assert_int_equal(counts[DAVY_ANSWER_EXCEPTION], 0);
    assert_in_range(counts[DAVY_ANSWER_OK], 9, 11);
    rig_done(&rig);
}

/* Between two "busy" it falls silent: what it was to be asked again for is over, and its rhythm holds. */
static void a_busy_device_that_falls_silent_is_told_of_once_an_interval(void **state)
{
    (void)state;
    const enum davy_answer ends[] = {DAVY_ANSWER_TIMEOUT, DAVY_ANSWER_DOWN};
    for (size_t i = 0; i < DAVY_LENGTH(ends); i++) {
        struct rig rig;
        size_t counts[DAVY_ANSWER_COUNT_], turns = 0;
        rig_init(&rig, plan(DAVY_BUS_RTU, 2));
        run_for(&rig, davy_span_ms(700));
        rig.bus.answers[1] = DAVY_ANSWER_EXCEPTION;
        rig.bus.exception = 6;
        run_for(&rig, davy_span_ms(400)); /* busy once, at 1.0 s */
        count_blocks(&rig, counts);
        rig.bus.answers[1] = ends[i];
        rig.bus.open_result = ends[i] == DAVY_ANSWER_DOWN ? -ENOENT : 0;
        for (int64_t end = rig.clock.now.mono.ns + 10 * DAVY_NS_PER_S; rig.clock.now.mono.ns < end; turns++) {
            assert_true(turns < 1000);
            fake_clock_advance(&rig.clock, davy_connection_turn(rig.connection));
        }
        count_blocks(&rig, counts);
        assert_in_range(counts[ends[i]], 9, ends[i] == DAVY_ANSWER_DOWN ? 23 : 12);
        rig_done(&rig);
    }
}

/*
 * A thread that only waits is not to be taken for one that is stuck: the watchdog waits for the longest between two
 * beats.
 */
static void no_turn_is_longer_than_the_longest(void **state)
{
    (void)state;
    const enum davy_answer ends[] = {DAVY_ANSWER_TIMEOUT, DAVY_ANSWER_DOWN};
    for (size_t i = 0; i < 8; i++) {
        struct rig rig;
        rig_init(&rig, plan(i / 4 ? DAVY_BUS_RTU : DAVY_BUS_TCP, 2));
        struct davy_bus *bus = &rig.config->buses[0];
        const davy_span longest = davy_connection_longest_turn(rig.config, 0);
        const davy_span beat = davy_connection_longest_beat(rig.config, 0);
        rig.bus.answers[1] = rig.bus.answers[2] = ends[i % 2];
        rig.bus.open_result = i / 2 % 2 ? -ETIMEDOUT : 0;
        rig.bus.open_cost.ns = i / 4 ? 0 : 5 * bus->timeout.ns;
        rig.bus.answer_cost = bus->timeout;
        rig.bus.silence_cost.ns =
            i / 4 ? 3 * bus->timeout.ns + 5 * rig.config->devices[0].max_reply.ns : bus->timeout.ns;
        assert_true(rig.bus.open_cost.ns <= beat.ns && rig.bus.silence_cost.ns <= beat.ns);
        for (int turn = 0; turn < 200; turn++) {
            davy_mono before = rig.clock.now.mono;
            davy_span idle = davy_connection_turn(rig.connection);
            assert_true(davy_mono_sub(rig.clock.now.mono, before).ns <= longest.ns);
            assert_int_equal(davy_connection_beats(rig.connection), rig.bus.opens + rig.bus.count); /* before each */
            fake_clock_advance(&rig.clock, idle);
        }
        rig_done(&rig);
    }
}

static void on_tcp_one_dead_unit_does_not_take_the_others_down(void **state)
{
    (void)state;
    struct rig rig;
    size_t counts[DAVY_ANSWER_COUNT_];
    rig_init(&rig, plan(DAVY_BUS_TCP, 3));
    rig.bus.answers[2] = DAVY_ANSWER_TIMEOUT;
    run_for(&rig, davy_span_s(100));
    count_blocks(&rig, counts);
    assert_int_equal(counts[DAVY_ANSWER_DOWN], 0);
    assert_in_range(counts[DAVY_ANSWER_OK], 180, 202);
    assert_in_range(rig.bus.opens, 3, 20); /* a new connection after each loss, and probes are few */
    rig_done(&rig);
}

static void a_server_that_accepts_and_drops_is_asked_more_and_more_rarely(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, plan(DAVY_BUS_TCP, 1));
    rig.bus.answers[1] = DAVY_ANSWER_DOWN;
    run_for(&rig, davy_span_s(300));
    assert_in_range(rig.bus.opens, 10, 40);
    size_t counts[DAVY_ANSWER_COUNT_];
    count_blocks(&rig, counts);
    assert_in_range(counts[DAVY_ANSWER_DOWN], 299, 301);
    rig_done(&rig);
}

/* First connects are spread, and nothing is called down while one waits for its turn. */
static void the_first_connect_waits_for_a_random_part_of_the_spread(void **state)
{
    (void)state;
    int64_t least = INT64_MAX, most = 0;
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct rig rig;
        size_t counts[DAVY_ANSWER_COUNT_];
        rig_init(&rig, plan(DAVY_BUS_TCP, 2));
        davy_connection_free(rig.connection);
        const struct davy_connection_options options = {.config = rig.config,
                                                        .share = davy_share_all(0),
                                                        .link = fake_bus_init(&rig.bus, &rig.clock),
                                                        .clock = &rig.clock.clock,
                                                        .blocks = &rig.blocks,
                                                        .spread = davy_span_ms(250),
                                                        .seed = seed};
        assert_int_equal(davy_connection_new(&options, &rig.connection), 0);
        int64_t begin = rig.clock.now.mono.ns;
        for (davy_span idle; idle = davy_connection_turn(rig.connection), rig.bus.opens == 0;)
            fake_clock_advance(&rig.clock, idle);
        int64_t waited = rig.clock.now.mono.ns - begin;
        least = waited < least ? waited : least;
        most = waited > most ? waited : most;
        run_for(&rig, davy_span_s(3));
        count_blocks(&rig, counts);
        assert_int_equal(counts[DAVY_ANSWER_DOWN], 0);
        assert_in_range(counts[DAVY_ANSWER_OK], 5, 7);
        rig_done(&rig);
    }
    assert_in_range(least, 0, davy_span_ms(20).ns);
    assert_in_range(most, davy_span_ms(210).ns, davy_span_ms(250).ns);
}

static void devices_in_alarm_are_read_at_their_alarm_interval(void **state)
{
    (void)state;
    struct rig rig;
    struct davy_config *config = plan(DAVY_BUS_RTU, 2);
    config->devices[0].alarm_interval = davy_span_ms(200);
    rig_init(&rig, config);
    davy_connection_alarm(rig.connection, 1, 0, true);
    davy_connection_alarm(rig.connection, 1, 99, true);
    run_for(&rig, davy_span_s(10));
    assert_in_range(count_requests(&rig, 1), 49, 51);
    assert_in_range(count_requests(&rig, 2), 9, 11);
    davy_connection_alarm(rig.connection, 1, 0, false);
    size_t before = count_requests(&rig, 1);
    run_for(&rig, davy_span_s(10));
    assert_in_range(count_requests(&rig, 1) - before, 9, 11);
    rig_done(&rig);
}

/* The evaluator switches first, and tells of devices by their places in the new configuration. */
static void alarms_told_ahead_of_a_switch_are_those_of_the_new_places(void **state)
{
    (void)state;
    struct rig rig;
    struct davy_config *config = plan(DAVY_BUS_RTU, 2), *next = plan(DAVY_BUS_RTU, 2);
    const struct davy_share share = davy_share_all(0);
    next->generation = 2;
    next->devices[0].id = config->devices[1].id;
    next->devices[0].unit = 2;
    next->devices[1].id = config->devices[0].id;
    next->devices[1].unit = 1;
    for (int i = 0; i < 2; i++)
        config->devices[i].alarm_interval = next->devices[i].alarm_interval = davy_span_ms(200);
    rig_init(&rig, config);
    davy_connection_alarm(rig.connection, 1, 1, true);
    run_for(&rig, davy_span_s(2));
    davy_connection_alarm(rig.connection, 2, 0, true);
    davy_connection_alarm(rig.connection, 2, 1, false);
    run_for(&rig, davy_span_s(2));
    davy_connection_switch(rig.connection, next, &share);
    davy_connection_alarm(rig.connection, 1, 0, true); /* told too late */
    run_for(&rig, davy_span_s(2));
    size_t one = count_requests(&rig, 1), two = count_requests(&rig, 2);
    run_for(&rig, davy_span_s(10));
    assert_in_range(count_requests(&rig, 1) - one, 9, 11);
    assert_in_range(count_requests(&rig, 2) - two, 49, 51);
    davy_config_unref(next);
    rig_done(&rig);
}

static void a_switch_keeps_the_connection_and_the_rhythm(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, plan(DAVY_BUS_RTU, 2));
    run_for(&rig, davy_span_ms(1500));
    struct davy_config *next = plan(DAVY_BUS_RTU, 3);
    const struct davy_share share = davy_share_all(0);
    next->generation = 2;
    davy_connection_switch(rig.connection, next, &share);
    davy_connection_switch(rig.connection, next, &share); /* overtakes the first */
    run_for(&rig, davy_span_ms(8500));
    assert_int_equal(rig.bus.opens, 1);
    assert_in_range(count_requests(&rig, 1), 10, 11);
    assert_in_range(count_requests(&rig, 3), 8, 10);
    struct davy_block block;
    while (davy_queue_pop(&rig.blocks, &block))
        ;
    assert_int_equal(block.generation, 2);
    davy_connection_switch(rig.connection, next, &share); /* not taken any more: given back by free */
    davy_config_unref(next);
    rig_done(&rig);
}

static void a_read_on_demand_runs_between_polls(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, plan(DAVY_BUS_RTU, 1));
    const struct davy_poller_demand good = {
        .ticket = 5, .unit = 9, .table = DAVY_TABLE_HOLDING, .start = 100, .count = 2};
    const struct davy_poller_demand bad = {.ticket = 6, .unit = 9, .table = DAVY_TABLE_HOLDING, .count = 126};
    assert_int_equal(davy_connection_demand(rig.connection, &good), 0);
    assert_int_equal(davy_connection_demand(rig.connection, &bad), 0);
    assert_int_equal(davy_connection_demand(rig.connection, &good), 0);
    assert_int_equal(davy_connection_demand(rig.connection, &good), 0);
    assert_int_equal(davy_connection_demand(rig.connection, &good), -EAGAIN);
    run_for(&rig, davy_span_ms(500));
    struct davy_poller_demand_reply reply;
    assert_true(davy_queue_pop(&rig.replies, &reply));
    assert_int_equal(reply.ticket, 5);
    assert_int_equal(reply.reply.answer, DAVY_ANSWER_OK);
    assert_int_equal(reply.reply.words[1], 101);
    assert_true(davy_queue_pop(&rig.replies, &reply));
    assert_int_equal(reply.ticket, 6);
    assert_int_equal(reply.reply.answer, DAVY_ANSWER_INVALID);
    rig_done(&rig);
}

static void what_a_person_asks_in_vain_is_no_error_of_the_bus(void **state)
{
    (void)state;
    static const enum davy_answer failures[] = {DAVY_ANSWER_TIMEOUT, DAVY_ANSWER_INVALID, DAVY_ANSWER_EXCEPTION};
    struct rig rig;
    struct davy_poller_status status;
    struct davy_poller_demand_reply reply;
    rig_init(&rig, plan(DAVY_BUS_RTU, 1));
    rig.bus.exception = 2;
    for (size_t i = 0; i < DAVY_LENGTH(failures); i++) {
        const struct davy_poller_demand demand = {.unit = 9, .table = DAVY_TABLE_HOLDING, .count = 1};
        rig.bus.answers[9] = failures[i];
        assert_int_equal(davy_connection_demand(rig.connection, &demand), 0);
        run_for(&rig, davy_span_s(20));
        assert_true(davy_queue_pop(&rig.replies, &reply));
        assert_int_equal(reply.reply.answer, failures[i]);
    }
    davy_connection_status(rig.connection, &status);
    assert_int_equal(status.timeouts + status.invalid + status.exceptions, 0);
    rig.bus.answers[1] = DAVY_ANSWER_TIMEOUT; /* of a poll it is one */
    run_for(&rig, davy_span_s(20));
    davy_connection_status(rig.connection, &status);
    assert_true(status.timeouts > 0);
    rig_done(&rig);
}

static void who_waits_for_a_connection_that_ends_is_told(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, plan(DAVY_BUS_RTU, 1));
    const struct davy_poller_demand demands[] = {{.ticket = 1, .unit = 9, .count = 1},
                                                 {.ticket = 2, .kind = DAVY_DEMAND_FRAMES}};
    for (size_t i = 0; i < DAVY_LENGTH(demands); i++)
        assert_int_equal(davy_connection_demand(rig.connection, &demands[i]), 0);
    rig.connection = davy_connection_free(rig.connection);
    struct davy_poller_demand_reply reply;
    for (size_t i = 0; i < DAVY_LENGTH(demands); i++) {
        assert_true(davy_queue_pop(&rig.replies, &reply));
        assert_int_equal(reply.ticket, demands[i].ticket);
        assert_int_equal(reply.reply.answer, DAVY_ANSWER_DOWN);
        assert_null(reply.capture);
    }
    rig_done(&rig);
}

static void utilization_is_the_measured_share(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, plan(DAVY_BUS_RTU, 4));
    rig.bus.answer_cost = davy_span_ms(100);
    run_for(&rig, davy_span_s(25));
    struct davy_poller_status status;
    davy_connection_status(rig.connection, &status);
    assert_in_range((uint64_t)(status.utilization * 1000), 370, 430);
    rig_done(&rig);
}

static void an_overloaded_bus_skips_and_counts_but_starves_nobody(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, plan(DAVY_BUS_RTU, 8));
    rig.bus.answer_cost = davy_span_ms(500);
    run_for(&rig, davy_span_s(80));
    for (uint8_t unit = 1; unit <= 8; unit++)
        assert_in_range(count_requests(&rig, unit), 18, 22);
    struct davy_poller_status status;
    davy_connection_status(rig.connection, &status);
    assert_true(status.skipped > 400);
    rig_done(&rig);
}

/* The only case with a thread: that it starts, takes what others hand it, beats and ends. For TSan. */
static void the_thread_runs_takes_commands_and_ends(void **state)
{
    (void)state;
    struct rig rig;
    struct davy_waker waker;
    struct davy_block block;
    struct davy_queue blocks;
    assert_int_equal(davy_waker_init(&waker), 0);
    assert_int_equal(davy_queue_init(&blocks, sizeof block, 64, DAVY_QUEUE_DROP_OLDEST, &waker), 0);
    struct davy_config *config = plan(DAVY_BUS_RTU, 2);
    rig_init(&rig, config);
    davy_connection_free(rig.connection);
    const struct davy_connection_options options = {.config = config,
                                                    .share = davy_share_all(0),
                                                    .link = fake_bus_init(&rig.bus, &rig.clock),
                                                    .clock = &davy_system_clock,
                                                    .blocks = &blocks,
                                                    .demands = &rig.replies};
    assert_int_equal(davy_connection_new(&options, &rig.connection), 0);
    assert_int_equal(davy_connection_start(rig.connection), 0);
    const struct davy_poller_demand demand = {.ticket = 1, .unit = 1, .table = DAVY_TABLE_INPUT, .count = 1};
    assert_int_equal(davy_connection_demand(rig.connection, &demand), 0);
    const struct davy_share share = davy_share_all(0);
    davy_connection_alarm(rig.connection, 1, 0, true);
    davy_connection_switch(rig.connection, config, &share);
    unsigned taken = 0;
    for (int waits = 0; waits < 50 && taken < 2; waits++) {
        davy_waker_wait(&waker, davy_span_s(1));
        while (davy_queue_pop(&blocks, &block))
            taken++;
    }
    struct davy_poller_status status;
    davy_connection_status(rig.connection, &status);
    assert_true(taken >= 2);
    assert_true(davy_connection_beats(rig.connection) > 0);
    davy_connection_stop(rig.connection);
    rig_done(&rig);
    davy_queue_done(&blocks);
    davy_waker_done(&waker);
}

/* Lines of the log with `what` in them while `span` passes. */
static unsigned count_told(struct rig *rig, davy_span span, const char *what)
{
    unsigned told = 0;
    char line[512];
    DAVY_AUTO_FILE FILE *log = tmpfile();
    int saved = dup(STDERR_FILENO);
    assert_non_null(log);
    assert_true(dup2(fileno(log), STDERR_FILENO) >= 0);
    run_for(rig, span);
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    close(saved);
    rewind(log);
    while (fgets(line, sizeof line, log))
        told += strstr(line, what) != NULL;
    return told;
}

static void what_nobody_asked_for_is_counted_and_told_once_a_minute(void **state)
{
    (void)state;
    struct rig rig;
    struct davy_poller_status status;
    rig_init(&rig, plan(DAVY_BUS_RTU, 1));
    assert_int_equal(count_told(&rig, davy_span_s(10), "bytes"), 0);
    rig.bus.foreign = 3;
    assert_in_range(count_told(&rig, davy_span_s(200), "bus: "), 4, 4);
    davy_connection_status(rig.connection, &status);
    assert_in_range(status.foreign, 3 * 199, 3 * 201);
    rig_done(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_request_is_read_once_an_interval_and_stamped_when_answered),
        cmocka_unit_test(a_bus_that_cannot_be_opened_still_gives_a_block_an_interval),
        cmocka_unit_test(a_dead_device_still_gives_blocks_and_costs_others_a_tenth),
        cmocka_unit_test(many_dead_devices_together_stay_within_their_budget),
        cmocka_unit_test(retries_belong_to_devices_that_answered_before),
        cmocka_unit_test(what_a_device_refuses_is_answered_from_memory_for_ten_seconds_and_longer),
        cmocka_unit_test(a_busy_device_is_asked_again_soon_and_tells_nothing_until_the_third_time),
        cmocka_unit_test(a_busy_device_that_falls_silent_is_told_of_once_an_interval),
        cmocka_unit_test(no_turn_is_longer_than_the_longest),
        cmocka_unit_test(on_tcp_one_dead_unit_does_not_take_the_others_down),
        cmocka_unit_test(a_server_that_accepts_and_drops_is_asked_more_and_more_rarely),
        cmocka_unit_test(the_first_connect_waits_for_a_random_part_of_the_spread),
        cmocka_unit_test(devices_in_alarm_are_read_at_their_alarm_interval),
        cmocka_unit_test(alarms_told_ahead_of_a_switch_are_those_of_the_new_places),
        cmocka_unit_test(a_switch_keeps_the_connection_and_the_rhythm),
        cmocka_unit_test(a_read_on_demand_runs_between_polls),
        cmocka_unit_test(what_a_person_asks_in_vain_is_no_error_of_the_bus),
        cmocka_unit_test(who_waits_for_a_connection_that_ends_is_told),
        cmocka_unit_test(utilization_is_the_measured_share),
        cmocka_unit_test(what_nobody_asked_for_is_counted_and_told_once_a_minute),
        cmocka_unit_test(the_thread_runs_takes_commands_and_ends),
        cmocka_unit_test(an_overloaded_bus_skips_and_counts_but_starves_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
