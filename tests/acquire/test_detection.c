/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The detection times of acquire/estimate.h against the connection itself in simulated time: random plans, devices that
 * fall silent together and come back. Of each living device the longest time from the start of a read to the end of the
 * next, which is what the worst step would wait, must not be longer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "acquire/connection.h"
#include "acquire/estimate.h"
#include "acquire/request.h"
#include "base/log.h"
#include "base/num.h"
#include "support/fake_clock.h"
#include "support/small_config.h"

#define UNITS    12
#define ROUNDS   240
#define ROUND_NS (120 * DAVY_NS_PER_S)

struct line {
    const struct davy_config *config;
    struct fake_clock clock;
    struct davy_random random;
    bool silent[UNITS + 1];
    davy_mono began[UNITS + 1]; /* the last read that was answered; ns = 0: none yet */
    int64_t worst_ns[UNITS + 1];
    struct davy_queue blocks;
    struct davy_connection *connection;
};

static int line_open(void *link)
{
    struct line *line = link;
    if (line->config->buses[0].type == DAVY_BUS_TCP)
        fake_clock_advance(&line->clock, davy_span_ms(1));
    return 0;
}

static void line_nothing(void *link)
{
    (void)link;
}

static int64_t longer(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* What the adapter takes for a request that nobody answers. */
static int64_t failure_ns(const struct davy_bus *bus, const struct davy_bus_request *request)
{
    if (bus->type == DAVY_BUS_TCP)
        return bus->timeout.ns;
    int64_t character = (bus->parity == 'N' ? 10 : 11) * DAVY_NS_PER_S / bus->baud;
    int64_t silence = bus->baud > 19200 ? 1750 * DAVY_NS_PER_US : character * 7 / 2;
    return 8 * character +
           longer(bus->timeout.ns + silence, request->max_reply.ns + (5 + 2 * request->count) * character);
}

static void line_read(void *link, const struct davy_bus_request *request, struct davy_bus_reply *ret_reply)
{
    struct line *line = link;
    davy_mono begin = line->clock.now.mono;
    const struct davy_request plain = {.table = request->table, .count = request->count};
    ret_reply->turn_around = davy_span_ms(20);
    if (line->silent[request->unit]) {
        ret_reply->answer = DAVY_ANSWER_TIMEOUT;
        fake_clock_advance(&line->clock, (davy_span){failure_ns(&line->config->buses[0], request)});
        return;
    }
    ret_reply->answer = DAVY_ANSWER_OK;
    fake_clock_advance(&line->clock, davy_estimate_request(line->config, &plain));
    if (line->began[request->unit].ns != 0)
        line->worst_ns[request->unit] =
            longer(line->worst_ns[request->unit], davy_mono_sub(line->clock.now.mono, line->began[request->unit]).ns);
    line->began[request->unit] = begin;
}

static int64_t between(struct davy_random *random, int64_t low, int64_t high)
{
    return low + (int64_t)(davy_random_unit(random) * (double)(high - low));
}

/* Also with intervals shorter than the raster, and a shorter one while in alarm. */
static struct davy_config *plan(struct davy_random *random, enum davy_bus_type type, uint8_t devices)
{
    static const int bauds[] = {9600, 19200, 115200};
    static const char *const ids[] = {"", "D1", "D2", "D3", "D4", "D5", "D6", "D7", "D8", "D9", "D10", "D11", "D12"};
    struct davy_config *config = small_config_new();
    struct davy_bus *bus = &config->buses[small_bus(config, "line", type)];
    bus->baud = bauds[between(random, 0, 3)];
    bus->parity = davy_random_unit(random) < 0.5 ? 'N' : 'E';
    bus->retries = (int)between(random, 0, 4);
    bus->timeout = davy_span_ms(between(random, 50, 300));
    int64_t slowest =
        davy_random_unit(random) < 0.3 ? 300 : 3000; /* the former: more than the line carries, at times */
    for (uint8_t unit = 1; unit <= devices; unit++) {
        uint32_t device = small_device(config, ids[unit], 0, unit);
        config->devices[device].interval = davy_span_ms(between(random, type == DAVY_BUS_TCP ? 20 : 60, slowest));
        config->devices[device].alarm_interval = config->devices[device].interval;
        if (davy_random_unit(random) < 0.3)
            config->devices[device].alarm_interval.ns /= between(random, 2, 5);
        config->devices[device].max_reply = davy_span_ms(between(random, 50, 500));
        small_point(config, "p", 0, DAVY_TYPE_FLOAT32);
    }
    assert_int_equal(davy_requests_plan(config), 0);
    return config;
}

static void line_init(struct line *line, const struct davy_config *config, uint64_t seed)
{
    static const struct davy_bus_ops ops = {
        .open = line_open, .close = line_nothing, .read = line_read, .free = line_nothing};
    *line = (struct line){.config = config, .random.state = seed};
    fake_clock_init(&line->clock);
    assert_int_equal(davy_queue_init(&line->blocks, sizeof(struct davy_block), 16, DAVY_QUEUE_DROP_OLDEST, NULL), 0);
    const struct davy_connection_options options = {.config = config,
                                                    .share = davy_share_all(0),
                                                    .link = {&ops, line},
                                                    .clock = &line->clock.clock,
                                                    .blocks = &line->blocks,
                                                    .seed = seed};
    assert_int_equal(davy_connection_new(&options, &line->connection), 0);
}

static void run_for(struct line *line, int64_t ns)
{
    int64_t end = line->clock.now.mono.ns + ns;
    while (line->clock.now.mono.ns < end) {
        davy_span idle = davy_connection_turn(line->connection);
        int64_t left = end - line->clock.now.mono.ns;
        if (idle.ns > 0 && left > 0)
            fake_clock_advance(&line->clock, (davy_span){idle.ns < left ? idle.ns : left});
    }
}

/* Alarms come and go. */
static void flip_alarms(struct line *line, uint8_t devices)
{
    for (uint8_t device = 0; device < devices; device++)
        if (davy_random_unit(&line->random) < 0.2)
            davy_connection_alarm(line->connection, line->config->generation, device,
                                  davy_random_unit(&line->random) < 0.5);
}

/* The last `dead` devices fall silent and come back, again and again; not sooner again than the window that the estimate
 * speaks of. */
static void live(struct line *line, uint8_t devices, unsigned dead, int64_t window_ns)
{
    run_for(line, 10 * DAVY_NS_PER_S);
    int64_t end = line->clock.now.mono.ns + ROUND_NS;
    while (line->clock.now.mono.ns < end) {
        for (unsigned i = 0; i < dead; i++)
            line->silent[devices - i] = true;
        flip_alarms(line, devices);
        run_for(line, between(&line->random, DAVY_NS_PER_MS, 12 * DAVY_NS_PER_S));
        for (unsigned i = 0; i < dead; i++)
            line->silent[devices - i] = false;
        flip_alarms(line, devices);
        run_for(line, window_ns + between(&line->random, 0, 3 * DAVY_NS_PER_S));
    }
}

/* How near the worst came to what was estimated, of 1. */
static double hold(uint64_t seed, enum davy_bus_type type, enum davy_dead beside)
{
    static const unsigned dead[DAVY_DEAD_COUNT_] = {0, 1, DAVY_DEAD_SOME_DEVICES};
    struct line line;
    struct davy_random random = {.state = seed};
    uint8_t devices = (uint8_t)between(&random, 4, UNITS + 1);
    struct davy_config *config = plan(&random, type, devices);
    int64_t window = 0;
    for (size_t i = 0; i < config->request_count; i++)
        window = longer(window, config->requests[i].detection[beside].ns);
    line_init(&line, config, seed);
    live(&line, devices, dead[beside], window);
    double nearest = 0;
    for (unsigned unit = 1; unit <= devices - dead[beside]; unit++) {
        int64_t estimated = config->requests[unit - 1].detection[beside].ns;
        assert_true(line.worst_ns[unit] > 0);
        if (line.worst_ns[unit] > estimated)
            fail_msg("seed %llu, beside %u: unit %u took %.3f s, estimated %.3f s", (unsigned long long)seed,
                     dead[beside], unit, (double)line.worst_ns[unit] / 1e9, (double)estimated / 1e9);
        double near = (double)line.worst_ns[unit] / (double)estimated;
        nearest = near > nearest ? near : nearest;
    }
    davy_connection_free(line.connection);
    davy_queue_done(&line.blocks);
    davy_config_unref(config);
    return nearest;
}

static void hold_all(enum davy_dead beside, double expected)
{
    double nearest = 0;
    davy_log_set_level(DAVY_LOG_ERROR);
    for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
        double near = hold(seed, seed % 3 == 0 ? DAVY_BUS_TCP : DAVY_BUS_RTU, beside);
        nearest = near > nearest ? near : nearest;
    }
    printf("the nearest came to %.2f of the estimate\n", nearest);
    assert_true(nearest > expected); /* else the estimate says nothing */
}

static void no_reading_is_later_than_estimated_where_all_answer(void **state)
{
    (void)state;
    hold_all(DAVY_DEAD_NONE, 0.9);
}

static void no_reading_is_later_than_estimated_beside_a_dead_device(void **state)
{
    (void)state;
    hold_all(DAVY_DEAD_ONE, 0.6);
}

static void no_reading_is_later_than_estimated_beside_three_dead_devices(void **state)
{
    (void)state;
    hold_all(DAVY_DEAD_SOME, 0.4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_reading_is_later_than_estimated_where_all_answer),
        cmocka_unit_test(no_reading_is_later_than_estimated_beside_a_dead_device),
        cmocka_unit_test(no_reading_is_later_than_estimated_beside_three_dead_devices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
