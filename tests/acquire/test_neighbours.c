/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What devices that do not answer, or answer late, cost those beside them: a line in simulated time whose exchanges
 * take what the closed formula says, and a connection without a thread.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "acquire/estimate.h"
#include "acquire/connection.h"
#include "acquire/internal.h"
#include "acquire/request.h"
#include "base/log.h"
#include "base/num.h"
#include "support/fake_clock.h"
#include "support/seed.h"
#include "support/small_config.h"

#define UNITS 40

enum mode {
    WELL,
    DEAD,
    SLOW,     /* answers just below the timeout */
    FLAPPING, /* every other request is not answered */
    WAITED,   /* answers well, when the line may be used again after what others did */
    ANY,      /* whatever there is, well or not */
    CODE,     /* a gateway says that the unit does not answer, after the timeout */
};

struct unit {
    enum mode mode;
    uint8_t code;
    uint16_t refused;      /* a register whose reads get exception 2; 0: none */
    uint16_t deaf;         /* a register whose reads are not answered; 0: none */
    unsigned asked, polls; /* those answered since the last reset */
    unsigned unpaid;       /* polls and retries that it missed while the line counted as bad, since the last reset */
    bool silent;           /* missed the last one */
    davy_mono back;        /* when it last answered after a miss; 0: never */
    davy_mono last;
    int64_t longest_ns; /* between answers, since the last reset */
};

struct line {
    const struct davy_config *config;
    struct fake_clock clock;
    struct unit units[UNITS + 1];
    davy_span lost; /* in exchanges that were not answered */
    davy_span free; /* of it in probes that ended before the next poll was due */
    davy_span bad;  /* of it in polls that nobody paid for, since the line counted as bad */
    unsigned noise; /* so many of 1000 exchanges are not understood */
    struct davy_random random;
    struct davy_queue blocks, replies;
    struct davy_connection *connection;
    size_t block_counts[UNITS + 1][DAVY_ANSWER_COUNT_]; /* by device */
};

static int line_open(void *link)
{
    (void)link;
    return 0;
}

static void line_nothing(void *link)
{
    (void)link;
}

static davy_span take_any(struct line *line, davy_span cost, davy_span miss, struct davy_bus_reply *reply)
{
    static const uint8_t codes[] = {1, 2, 3, 4, 5, 6, 10, 11, 77};
    static const enum davy_answer answers[] = {DAVY_ANSWER_OK,      DAVY_ANSWER_OK,      DAVY_ANSWER_OK,
                                               DAVY_ANSWER_TIMEOUT, DAVY_ANSWER_INVALID, DAVY_ANSWER_EXCEPTION,
                                               DAVY_ANSWER_DOWN};
    reply->answer = answers[davy_random_next(&line->random) % DAVY_LENGTH(answers)];
    reply->exception = codes[davy_random_next(&line->random) % DAVY_LENGTH(codes)];
    return reply->answer == DAVY_ANSWER_TIMEOUT || reply->answer == DAVY_ANSWER_INVALID ? miss : cost;
}

static davy_span take(struct line *line, const struct davy_bus_request *request, struct unit *unit,
                      struct davy_bus_reply *reply)
{
    const struct davy_bus *bus = &line->config->buses[0];
    const struct davy_request plain = {.table = request->table, .count = request->count};
    /* The estimate assumes 20 ms of turn-around; here it is 3.5 characters. */
    davy_span cost = {davy_estimate_request(line->config, &plain).ns - 20 * DAVY_NS_PER_MS + 35 * DAVY_NS_PER_S / 9600};
    davy_span miss = request->max_reply.ns > bus->timeout.ns ? request->max_reply : bus->timeout;
    bool deaf = unit->deaf > 0 && unit->deaf >= request->start && unit->deaf < request->start + request->count;
    bool silent = deaf || unit->mode == DEAD || davy_random_next(&line->random) % 1000 < line->noise ||
                  (unit->mode == FLAPPING && unit->asked % 2 == 0);
    reply->answer = silent ? DAVY_ANSWER_TIMEOUT : unit->mode == CODE ? DAVY_ANSWER_EXCEPTION : DAVY_ANSWER_OK;
    reply->exception = unit->code;
    if (unit->refused >= request->start && unit->refused < request->start + request->count && unit->refused > 0) {
        reply->answer = DAVY_ANSWER_EXCEPTION;
        reply->exception = 2;
    }
    if (unit->mode == ANY)
        return take_any(line, cost, miss, reply);
    reply->turn_around = unit->mode == SLOW ? (davy_span){bus->timeout.ns - 10 * DAVY_NS_PER_MS} : davy_span_ms(20);
    reply->took = unit->mode == WAITED ? cost : (davy_span){0};
    if (unit->mode == WAITED)
        return (davy_span){cost.ns + request->max_reply.ns};
    if (silent)
        return miss;
    return unit->mode == SLOW   ? (davy_span){cost.ns + bus->timeout.ns - 30 * DAVY_NS_PER_MS}
           : unit->mode == CODE ? bus->timeout
                                : cost;
}

/* Whose it is; never 0. */
static uint16_t word_of(unsigned unit, size_t address)
{
    return (uint16_t)(1000 * unit + address);
}

static bool is_free_probe(const struct line *line, unsigned unit)
{
    const struct davy_patient *patient = davy_quarantine_find(&line->connection->quarantine, unit - 1);
    return patient && patient->misses > 0 &&
           line->clock.now.mono.ns <= davy_schedule_next(&line->connection->schedule).ns;
}

/*
 * A line counts as bad for one and all: then no poll is paid, and those that missed three times are only probed as
 * ever.
 */
static bool is_unpaid(const struct line *line, unsigned unit)
{
    const struct davy_quarantine *quarantine = &line->connection->quarantine;
    const struct davy_patient *patient = davy_quarantine_find(quarantine, unit - 1);
    return patient && patient->misses < 3 && !davy_quarantine_pays(quarantine, unit - 1, true);
}

/* Before the connection hears of it. */
static void count_lost(struct line *line, unsigned unit, davy_span took)
{
    const bool unpaid = is_unpaid(line, unit);
    line->lost.ns += took.ns;
    line->free.ns += !unpaid && is_free_probe(line, unit) ? took.ns : 0;
    line->bad.ns += unpaid ? took.ns : 0;
    line->units[unit].unpaid += unpaid;
    line->units[unit].silent = true;
}

static void line_read(void *link, const struct davy_bus_request *request, struct davy_bus_reply *ret_reply)
{
    struct line *line = link;
    struct unit *unit = &line->units[request->unit];
    davy_span took = take(line, request, unit, ret_reply);
    unit->asked++;
    fake_clock_advance(&line->clock, took);
    if (ret_reply->answer != DAVY_ANSWER_OK) {
        count_lost(line, request->unit, took);
        return;
    }
    if (unit->silent)
        unit->back = line->clock.now.mono;
    unit->silent = false;
    int64_t gap = davy_mono_sub(line->clock.now.mono, unit->last).ns;
    unit->longest_ns = gap > unit->longest_ns ? gap : unit->longest_ns;
    unit->last = line->clock.now.mono;
    unit->polls++;
    for (size_t i = 0; i < request->count; i++)
        ret_reply->words[i] = word_of(request->unit, request->start + i);
}

static const struct davy_bus_ops ops = {
    .open = line_open, .close = line_nothing, .read = line_read, .free = line_nothing};

/* Units 1 to `devices` of two registers each, once a second, timeout 300 ms. */
static struct davy_config *plan(unsigned devices)
{
    static char ids[UNITS + 1][8];
    struct davy_config *config = davy_config_new();
    config->generation = 1;
    config->buses = small_alloc(config, 1, sizeof *config->buses);
    config->devices = small_alloc(config, UNITS, sizeof *config->devices);
    config->points = small_alloc(config, 2 * UNITS, sizeof *config->points);
    small_bus(config, "line", DAVY_BUS_RTU);
    config->buses[0].retries = 1;
    for (unsigned unit = 1; unit <= devices; unit++) {
        snprintf(ids[unit], sizeof ids[unit], "D%u", unit);
        small_device(config, ids[unit], 0, (uint8_t)unit);
        small_point(config, "p", 0, DAVY_TYPE_FLOAT32);
    }
    return config;
}

static void line_init(struct line *line, struct davy_config *config)
{
    memset(line, 0, sizeof *line);
    davy_log_set_level(DAVY_LOG_ERROR);
    line->config = config;
    fake_clock_init(&line->clock);
    assert_int_equal(davy_requests_plan(config), 0);
    assert_int_equal(davy_queue_init(&line->blocks, sizeof(struct davy_block), 256, DAVY_QUEUE_DROP_OLDEST, NULL), 0);
    assert_int_equal(
        davy_queue_init(&line->replies, sizeof(struct davy_poller_demand_reply), 8, DAVY_QUEUE_REFUSE, NULL), 0);
    const struct davy_connection_options options = {.config = config,
                                                    .share = davy_share_all(0),
                                                    .link = {&ops, line},
                                                    .clock = &line->clock.clock,
                                                    .blocks = &line->blocks,
                                                    .demands = &line->replies};
    assert_int_equal(davy_connection_new(&options, &line->connection), 0);
}

static void line_done(struct line *line)
{
    davy_connection_free(line->connection);
    davy_queue_done(&line->blocks);
    davy_queue_done(&line->replies);
    davy_config_unref(line->config);
}

static void reset(struct line *line)
{
    line->lost.ns = line->free.ns = line->bad.ns = 0;
    memset(line->block_counts, 0, sizeof line->block_counts);
    for (unsigned unit = 1; unit <= UNITS; unit++) {
        line->units[unit].polls = line->units[unit].asked = line->units[unit].unpaid = 0;
        line->units[unit].longest_ns = 0;
    }
}

/* Nothing but what the device sent is ever told as an answer. */
static void count_block(struct line *line, const struct davy_block *block)
{
    const struct davy_request *request = &line->config->requests[block->request];
    const struct davy_device *device = &line->config->devices[request->device];
    size_t start = block->count > 0 ? block->start : request->start;
    if (block->answer == DAVY_ANSWER_OK)
        assert_int_equal(block->words[0], word_of(device->unit, start));
    line->block_counts[request->device + 1][block->answer]++;
}

static void run_for(struct line *line, davy_span span)
{
    struct davy_block block;
    int64_t end = line->clock.now.mono.ns + span.ns;
    while (line->clock.now.mono.ns < end) {
        davy_span idle = davy_connection_turn(line->connection);
        int64_t left = end - line->clock.now.mono.ns;
        if (idle.ns > 0 && left > 0)
            fake_clock_advance(&line->clock, (davy_span){idle.ns < left ? idle.ns : left});
        while (davy_queue_pop(&line->blocks, &block))
            count_block(line, &block);
    }
}

static double seconds(int64_t ns)
{
    return (double)ns / 1e9;
}

/* 32 devices at 9600 with 80 % of the time in use; three of them die in the same second. */
static void three_of_thirty_two_that_die_leave_the_others_their_interval(void **state)
{
    (void)state;
    struct line line;
    line_init(&line, plan(32));
    run_for(&line, davy_span_s(20));
    reset(&line);
    line.units[5].mode = line.units[6].mode = line.units[30].mode = DEAD;
    run_for(&line, davy_span_s(20)); /* the transition */
    /* d × C + (retries + 1) × C + T / 10, C = 1 s */
    assert_true(line.lost.ns <= davy_span_s(3 + 2 + 2).ns);
    unsigned fewest = UINT32_MAX;
    for (unsigned unit = 1; unit <= 32; unit++)
        if (line.units[unit].mode == WELL) {
            fewest = line.units[unit].polls < fewest ? line.units[unit].polls : fewest;
            assert_true(line.units[unit].longest_ns <= davy_span_ms(7000).ns);
        }
    print_message("20 s after: %.1f s lost, fewest polls %u\n", seconds(line.lost.ns), fewest);
    reset(&line);
    run_for(&line, davy_span_s(600));
    print_message("600 s: %.1f s lost\n", seconds(line.lost.ns));
    assert_true(line.lost.ns <= davy_span_s(61).ns);
    for (unsigned unit = 1; unit <= 32; unit++) {
        if (line.units[unit].mode == WELL)
            assert_in_range(line.units[unit].polls, 594, 601); /* none is lost */
        else
            assert_in_range(line.units[unit].asked, 15, 30);
        size_t told = line.block_counts[unit][line.units[unit].mode == WELL ? DAVY_ANSWER_OK : DAVY_ANSWER_TIMEOUT];
        assert_in_range(told, 590, 602);
    }
    davy_mono back = line.clock.now.mono;
    line.units[5].mode = line.units[6].mode = line.units[30].mode = WELL;
    for (unsigned unit = 1; unit <= 32; unit++)
        line.units[unit].last = back;
    reset(&line);
    while (line.units[5].polls == 0 || line.units[6].polls == 0 || line.units[30].polls == 0)
        run_for(&line, davy_span_ms(100));
    print_message("all back after %.1f s\n", seconds(davy_mono_sub(line.clock.now.mono, back).ns));
    assert_true(davy_mono_sub(line.clock.now.mono, back).ns <= davy_span_s(11).ns);
    line_done(&line);
}

static void slow_devices_do_not_take_the_others_time(void **state)
{
    (void)state;
    struct line line;
    line_init(&line, plan(32));
    for (unsigned unit = 10; unit < 14; unit++)
        line.units[unit].mode = SLOW; /* 4 × 300 ms and 28 × 25 ms: nearly twice what fits */
    run_for(&line, davy_span_s(60));
    reset(&line);
    run_for(&line, davy_span_s(600));
    for (unsigned unit = 1; unit <= 32; unit++) {
        if (line.units[unit].mode == WELL) {
            assert_in_range(line.units[unit].polls, 594, 601);
            assert_true(line.units[unit].longest_ns <= davy_span_ms(1000 + 2 * 320).ns); /* one blocking, either way */
        } else {
            assert_in_range(line.units[unit].polls, 100, 350);
        }
    }
    struct davy_poller_device row;
    assert_true(davy_connection_device(line.connection, 9, &row));
    assert_int_equal(row.device, 9);
    assert_true(row.slow);
    assert_int_equal(row.p50.ns, 290 * DAVY_NS_PER_MS);
    assert_true(davy_connection_device(line.connection, 0, &row));
    assert_false(row.slow);
    assert_int_equal(row.p95.ns, 20 * DAVY_NS_PER_MS);
    assert_false(davy_connection_device(line.connection, 32, &row));
    line_done(&line);
}

static void one_that_answers_every_other_time_is_still_read_and_costs_a_tenth(void **state)
{
    (void)state;
    struct line line;
    line_init(&line, plan(32));
    line.units[7].mode = FLAPPING;
    run_for(&line, davy_span_s(60));
    reset(&line);
    run_for(&line, davy_span_s(600));
    print_message("%.1f s lost, %u polls\n", seconds(line.lost.ns), line.units[7].polls);
    assert_true(line.lost.ns <= davy_span_s(70).ns);
    assert_true(line.units[7].polls >= 50);
    for (unsigned unit = 1; unit <= 32; unit++)
        if (unit != 7)
            assert_in_range(line.units[unit].polls, 590, 601);
    line_done(&line);
}

/* A quarter of them: that is no noise, which would be everybody's. */
static void many_that_answer_every_other_time_still_cost_a_tenth(void **state)
{
    (void)state;
    struct line line;
    line_init(&line, plan(32));
    for (unsigned unit = 1; unit <= 32; unit += 4)
        line.units[unit].mode = FLAPPING;
    run_for(&line, davy_span_s(120));
    reset(&line);
    run_for(&line, davy_span_s(600));
    assert_true(line.lost.ns <= davy_span_s(80).ns);
    for (unsigned unit = 1; unit <= 32; unit++) {
        if (line.units[unit].mode == WELL)
            assert_in_range(line.units[unit].polls, 560, 601);
        else
            assert_true(line.units[unit].polls >= 5);
    }
    line_done(&line);
}

/*
 * Others, one dead and one that misses often, take all that there is on the account, for ever: that must not be why
 * one that has answered each time for long is read every 10 s. It may have a read that it never answers.
 */
static void who_answers_again_is_read_at_its_interval(uint16_t deaf)
{
    struct line line;
    struct davy_config *config = plan(31);
    small_device(config, "D32", 0, 32);
    small_point(config, "p", 0, DAVY_TYPE_FLOAT32);
    if (deaf > 0)
        small_point(config, "q", deaf, DAVY_TYPE_FLOAT32);
    line_init(&line, config);
    line.units[1].mode = DEAD;
    line.units[2].mode = FLAPPING;
    line.units[32].deaf = deaf;
    run_for(&line, davy_span_s(300));
    line.units[32].mode = FLAPPING;
    run_for(&line, davy_span_s(300));
    line.units[32].mode = WELL;
    run_for(&line,
            davy_span_s(300)); /* a moving mean of 1000 is below 150 after 15 answers, each of which may take 11 s */
    reset(&line);
    run_for(&line, davy_span_s(600));
    print_message("%u polls\n", line.units[32].polls);
    assert_in_range(line.units[32].polls, 560, 601);
    assert_in_range(line.block_counts[32][DAVY_ANSWER_OK], 560, 601);
    line_done(&line);
}

static void one_that_answers_again_is_read_at_its_interval_beside_a_dead_one(void **state)
{
    (void)state;
    who_answers_again_is_read_at_its_interval(0);
}

static void so_is_one_with_a_read_that_it_never_answers(void **state)
{
    (void)state;
    who_answers_again_is_read_at_its_interval(200);
}

static enum mode draw_mode(struct davy_random *random)
{
    static const enum mode modes[] = {WELL, WELL, ANY, ANY, DEAD, SLOW, FLAPPING, WAITED, CODE};
    return modes[davy_random_next(random) % DAVY_LENGTH(modes)];
}

/* count_block() looks at each block, of whole requests and of their parts. */
static void whatever_devices_do_nothing_is_told_that_they_did_not_send(void **state)
{
    (void)state;
    struct davy_random random = {.state = davy_test_seed(32)};
    for (int round = 0; round < 60; round++) {
        struct line line;
        unsigned devices = 1 + (unsigned)(davy_random_next(&random) % 20);
        struct davy_config *config = plan(devices);
        config->buses[0].retries = (int)(davy_random_next(&random) % 3);
        small_point(config, "q", 4, DAVY_TYPE_FLOAT32); /* of the last device, in one request with its first */
        small_point(config, "r", 300, DAVY_TYPE_FLOAT32);
        line_init(&line, config);
        line.random.state = davy_random_next(&random);
        for (int change = 0; change < 5; change++) {
            for (unsigned unit = 1; unit <= devices; unit++) {
                line.units[unit].mode = draw_mode(&random);
                line.units[unit].code = (uint8_t)(10 + davy_random_next(&random) % 2);
                line.units[unit].refused = davy_random_next(&random) % 4 == 0 ? 4 : 0;
                line.units[unit].deaf = davy_random_next(&random) % 4 == 0 ? 300 : 0;
            }
            run_for(&line, davy_span_s(60));
        }
        line_done(&line);
    }
}

/* One needs a second try each time: it is never missed, but when that cannot be paid for any more, it is not asked. */
static void what_was_not_asked_was_not_answered(void **state)
{
    (void)state;
    struct line line;
    line_init(&line, plan(32));
    line.units[1].mode = FLAPPING;
    run_for(&line, davy_span_s(300)); /* count_block() looks at each */
    assert_true(line.block_counts[1][DAVY_ANSWER_OK] > 0);
    assert_true(line.block_counts[1][DAVY_ANSWER_TIMEOUT] > 0);
    line_done(&line);
}

/* The silence that an error of others leaves is paid by who comes next: it is no slowness of that one. */
static void who_waits_for_the_line_is_not_slow(void **state)
{
    (void)state;
    struct line line;
    struct davy_poller_device row;
    line_init(&line, plan(4));
    line.units[2].mode = WAITED;
    run_for(&line, davy_span_s(60));
    for (size_t i = 0; i < 4; i++) {
        assert_true(davy_connection_device(line.connection, i, &row));
        assert_false(row.slow);
    }
    line_done(&line);
}

/* Exceptions 10 and 11 of a gateway: that unit is probed, the others are read. */
static void what_a_gateway_says_of_a_unit_is_of_that_unit_only(void **state)
{
    (void)state;
    struct line line;
    line_init(&line, plan(20));
    line.units[3] = (struct unit){.mode = CODE, .code = 11};
    line.units[4] = (struct unit){.mode = CODE, .code = 10};
    run_for(&line, davy_span_s(60));
    reset(&line);
    run_for(&line, davy_span_s(300));
    for (unsigned unit = 1; unit <= 20; unit++) {
        bool well = line.units[unit].mode == WELL;
        assert_in_range(line.block_counts[unit][well ? DAVY_ANSWER_OK : DAVY_ANSWER_EXCEPTION], 295, 301);
    }
    assert_in_range(line.units[3].asked, 30, 70);
    struct davy_poller_status status;
    davy_connection_status(line.connection, &status);
    assert_int_equal(status.quarantined, 2);
    assert_int_equal(status.state, DAVY_LINK_UP);
    line_done(&line);
}

/* Many devices say nothing at all to a read that they do not know; but one that begins to answer must be seen. */
static void a_read_that_is_never_answered_costs_little_and_is_seen_when_it_is(void **state)
{
    (void)state;
    struct line line;
    struct davy_config *config = plan(2);
    small_device(config, "D3", 0, 3);
    small_point(config, "p", 0, DAVY_TYPE_FLOAT32);
    small_point(config, "q", 200, DAVY_TYPE_FLOAT32);
    line_init(&line, config);
    line.units[3].deaf = 200;
    run_for(&line, davy_span_s(120)); /* until it is known */
    reset(&line);
    run_for(&line, davy_span_s(3600));
    assert_true(line.lost.ns <= davy_span_s(3600 / 20).ns);
    assert_in_range(line.units[3].polls, 3500, 3601); /* the other read, but for those while it is tried */
    assert_in_range(line.block_counts[3][DAVY_ANSWER_TIMEOUT], 3500, 3601);
    line.units[3].deaf = 0;
    run_for(&line, davy_span_s(61));
    reset(&line);
    run_for(&line, davy_span_s(10));
    assert_int_equal(line.block_counts[3][DAVY_ANSWER_TIMEOUT], 0);
    assert_in_range(line.block_counts[3][DAVY_ANSWER_OK], 19, 21);
    line_done(&line);
}

static void a_refused_register_leaves_the_other_values_of_the_device(void **state)
{
    (void)state;
    struct line line;
    struct davy_block block;
    struct davy_config *config = plan(1);
    for (uint16_t i = 1; i < 8; i++)
        small_point(config, "q", (uint16_t)(2 * i), DAVY_TYPE_FLOAT32);
    line_init(&line, config);
    line.units[1].refused = 11; /* half of the value at 10 */
    for (int second = 0; second < 20; second++) {
        unsigned read[16] = {0}, refused[16] = {0};
        int64_t end = line.clock.now.mono.ns + DAVY_NS_PER_S;
        while (line.clock.now.mono.ns < end) {
            davy_span idle = davy_connection_turn(line.connection);
            fake_clock_advance(&line.clock, idle);
            while (davy_queue_pop(&line.blocks, &block))
                for (unsigned i = block.start; i < block.start + (block.count ? block.count : 16U); i++)
                    (*(block.answer == DAVY_ANSWER_OK ? &read : &refused))[i]++;
        }
        for (unsigned i = 0; i < 16; i++) {
            assert_int_equal(read[i], i / 2 != 5);
            assert_int_equal(refused[i], i / 2 == 5);
        }
    }
    struct davy_poller_status status;
    davy_connection_status(line.connection, &status);
    assert_int_equal(status.splits, 1);
    assert_int_equal(status.quarantined, 0);
    line_done(&line);
}

/* A person scans a loaded line: a unit that is not there costs 300 ms. */
static void a_scan_takes_a_tenth_of_a_loaded_line_and_delays_by_one_exchange(void **state)
{
    (void)state;
    struct line line;
    struct davy_poller_demand_reply reply;
    line_init(&line, plan(32));
    line.units[40].mode = DEAD;
    run_for(&line, davy_span_s(20));
    reset(&line);
    unsigned served = 0;
    const davy_mono end = davy_mono_add(line.clock.now.mono, davy_span_s(300));
    while (line.clock.now.mono.ns < end.ns) {
        const struct davy_poller_demand demand = {.unit = 40, .table = DAVY_TABLE_HOLDING, .count = 1};
        (void)!davy_connection_demand(line.connection, &demand);
        run_for(&line, davy_span_ms(50));
        while (davy_queue_pop(&line.replies, &reply))
            served++;
    }
    print_message("%u served, %.1f s\n", served, seconds(line.lost.ns));
    assert_in_range(served, 80, 102);
    for (unsigned unit = 1; unit <= 32; unit++) {
        assert_in_range(line.units[unit].polls, 295, 331);
        assert_true(line.units[unit].longest_ns <= davy_span_ms(1000 + 300 + 60).ns);
    }
    line_done(&line);
}

static void on_an_idle_line_a_scan_runs_as_fast_as_it_can(void **state)
{
    (void)state;
    struct line line;
    struct davy_poller_demand_reply reply;
    struct davy_config *config = plan(1);
    config->devices[0].interval = config->points[0].interval = davy_span_s(10);
    line_init(&line, config);
    line.units[40].mode = DEAD;
    run_for(&line, davy_span_s(10));
    unsigned served = 0;
    const davy_mono end = davy_mono_add(line.clock.now.mono, davy_span_s(60));
    while (line.clock.now.mono.ns < end.ns) {
        const struct davy_poller_demand demand = {.unit = 40, .table = DAVY_TABLE_HOLDING, .count = 1};
        (void)!davy_connection_demand(line.connection, &demand);
        run_for(&line, davy_span_ms(50));
        while (davy_queue_pop(&line.replies, &reply))
            served++;
    }
    assert_in_range(served, 180, 201);
    line_done(&line);
}

static void the_flight_recorder_is_given_as_a_copy(void **state)
{
    (void)state;
    struct line line;
    struct davy_poller_demand_reply reply;
    const struct davy_poller_demand demand = {.ticket = 9, .kind = DAVY_DEMAND_FRAMES};
    line_init(&line, plan(1));
    assert_int_equal(davy_connection_demand(line.connection, &demand), 0);
    run_for(&line, davy_span_ms(10));
    assert_true(davy_queue_pop(&line.replies, &reply));
    assert_int_equal(reply.ticket, 9);
    assert_non_null(reply.capture);
    free(reply.capture);
    line_done(&line);
}

/*
 * Noise is nobody's fault: the devices share what the line can still do, which at a miss of 1 s is one read in
 * 1 / (25 ms + noise × 1 s), and none is left out. Three may as well be dying together: there less is asked of it.
 */
static void on_a_noisy_line_everybody_is_read(void **state)
{
    (void)state;
    static const struct {
        unsigned devices, dead, noise; /* of 1000 */
        double least;                  /* of the best */
    } cases[] = {
        {32, 0, 10, 0.85}, {32, 0, 50, 0.85}, {32, 0, 100, 0.85}, {32, 0, 200, 0.85}, {32, 0, 400, 0.85},
        {32, 3, 50, 0.7},  {32, 3, 200, 0.7}, {8, 0, 50, 0.7},    {8, 0, 200, 0.7},   {3, 0, 50, 0.7},
        {3, 0, 200, 0.5},  {2, 0, 200, 0.7},  {1, 0, 200, 0.7},
    };
    for (size_t i = 0; i < DAVY_LENGTH(cases); i++) {
        struct line line;
        const unsigned alive = cases[i].devices - cases[i].dead;
        line_init(&line, plan(cases[i].devices));
        line.noise = cases[i].noise;
        for (unsigned unit = 1; unit <= cases[i].dead; unit++)
            line.units[unit].mode = DEAD;
        run_for(&line, davy_span_s(120));
        reset(&line);
        run_for(&line, davy_span_s(1200));
        unsigned sum = 0, least = UINT32_MAX;
        for (unsigned unit = cases[i].dead + 1; unit <= cases[i].devices; unit++) {
            sum += line.units[unit].polls;
            least = line.units[unit].polls < least ? line.units[unit].polls : least;
        }
        double noise = cases[i].noise / 1000.0, best = 1200 * (1 - noise) / (0.025 * (1 - noise) + noise);
        best = best < alive * 1200 ? best : alive * 1200;
        print_message("%2u devices, %u dead, noise %4.1f %%: %u of %.0f reads, least %u\n", cases[i].devices,
                      cases[i].dead, 100 * noise, sum, best, least);
        assert_true(sum > cases[i].least * best);
        assert_true(least > sum / alive * 6 / 10);
        line_done(&line);
    }
}

static unsigned count_back(const struct line *line, davy_mono since)
{
    unsigned count = 0;
    for (unsigned unit = 1; unit <= UNITS; unit++)
        count += line->units[unit].back.ns > since.ns;
    return count;
}

/*
 * Both bounds of acquire/quarantine.h, since the last reset, which was `passed` ago; `burst` is that of the first
 * without its last term. Where unit 1 is always well the line counts as bad only when more than three others came back,
 * so lately that their few polls since do not outweigh it: within two minutes.
 */
static void assert_bounds(const struct line *line, int64_t burst, davy_span passed)
{
    const unsigned retries = (unsigned)line->config->buses[0].retries;
    const davy_mono since = {line->clock.now.mono.ns - passed.ns - davy_span_s(120).ns};
    assert_true(line->lost.ns - line->free.ns - line->bad.ns <= burst + passed.ns / 10);
    for (unsigned unit = 1; unit <= UNITS; unit++)
        assert_true(line->units[unit].unpaid <= retries + 3);
    if (line->bad.ns > 0)
        assert_true(count_back(line, since) > 3);
}

/*
 * Ten fall silent, and come back before all of them can be asked three times; that looks like noise for some of their
 * polls. Three others fall silent meanwhile.
 */
static void what_a_line_costs_that_only_seems_bad_has_a_bound_too(void **state)
{
    (void)state;
    struct line line;
    struct davy_config *config = plan(25);
    for (unsigned unit = 11; unit <= 20; unit++)
        config->devices[unit - 1].interval = config->points[unit - 1].interval = davy_span_s(5);
    line_init(&line, config);
    run_for(&line, davy_span_s(60));
    for (unsigned unit = 11; unit <= 20; unit++)
        line.units[unit].mode = DEAD;
    run_for(&line, davy_span_s(30));
    for (unsigned unit = 11; unit <= 20; unit++)
        line.units[unit].mode = WELL;
    run_for(&line, davy_span_s(12)); /* each is asked, at an interval of 5 s at the latest */
    line.units[21].mode = line.units[22].mode = line.units[23].mode = DEAD;
    reset(&line);
    run_for(&line, davy_span_s(60));
    const int64_t burst = davy_span_s(3 + 2).ns; /* C is 1 s, as long as a unit of small_config.h may take */
    assert_true(line.bad.ns > 0);
    assert_bounds(&line, burst, davy_span_s(60));
    run_for(&line, davy_span_s(60));
    reset(&line);
    line.units[24].mode = DEAD;
    run_for(&line, davy_span_s(60));
    assert_int_equal(line.bad.ns, 0); /* it is over */
    assert_bounds(&line, burst, davy_span_s(60));
    line_done(&line);
}

/* On a bad line it is polled until it is in quarantine; that must not make its only read one that it never answers. */
static void one_that_is_back_on_a_bad_line_is_seen_as_soon_as_on_any(void **state)
{
    (void)state;
    struct line line;
    struct davy_poller_status status;
    line_init(&line, plan(25));
    for (unsigned unit = 1; unit <= 16; unit++)
        line.units[unit].mode = FLAPPING;
    run_for(&line, davy_span_s(120));
    line.units[25].mode = DEAD;
    run_for(&line, davy_span_s(300));
    assert_true(line.units[25].unpaid > 0);
    assert_true(line.units[25].unpaid <= 1 + 3);
    davy_connection_status(line.connection, &status);
    assert_int_equal(status.quarantined, 1);
    const davy_mono back = line.clock.now.mono;
    line.units[25].mode = WELL;
    reset(&line);
    while (line.units[25].polls == 0)
        run_for(&line, davy_span_ms(100));
    print_message("back after %.1f s\n", seconds(davy_mono_sub(line.clock.now.mono, back).ns));
    assert_true(davy_mono_sub(line.clock.now.mono, back).ns <=
                davy_span_s(10 + 2).ns); /* 10 C, and who is asked just now */
    line_done(&line);
}

/* The line of a round: units 1 to `devices`, whose misses take up to 1.2 s. */
static struct davy_config *draw_plan(struct davy_random *random, unsigned devices)
{
    struct davy_config *config = plan(devices);
    config->buses[0].retries = (int)(davy_random_next(random) % 3);
    for (unsigned i = 0; i < devices; i++) {
        config->devices[i].max_reply = davy_span_ms(200 + (int64_t)(davy_random_next(random) % 1000));
        config->devices[i].interval = config->points[i].interval =
            davy_span_s(1 + (int64_t)(davy_random_next(random) % 3));
    }
    return config;
}

/* One in six is dead. Returns how many were not before. */
static unsigned draw_dead(struct davy_random *random, struct line *line, bool *ret_was_well)
{
    unsigned fallen = 0;
    for (unsigned unit = 1; unit <= line->config->device_count; unit++) {
        ret_was_well[unit] = line->units[unit].mode != DEAD;
        const bool dies = davy_random_next(random) % 6 == 0 && unit > 1; /* somebody is well */
        line->units[unit].mode = dies ? DEAD : WELL;
        fallen += ret_was_well[unit] && line->units[unit].mode == DEAD;
    }
    return fallen;
}

/* Of the first bound of acquire/quarantine.h, but for its last term, in misses. */
static int64_t burst_of(const struct davy_config *config, unsigned fallen)
{
    const int retries = config->buses[0].retries;
    const int overdrawn = fallen > 1 ? (int)(fallen - 1) * retries : 0;
    return (int)fallen + (retries > 1 ? retries : 1) + 1 + (overdrawn > 0);
}

/*
 * Any mixture on a line that is at most 70 % full, where devices change their ways at random: over two minutes after
 * each change the bounds of acquire/quarantine.h hold for what is lost and not free, and those that are well keep 90 %
 * of their polls once the transition, of the first bound without its last term and what is lost while the line counts as
 * bad, is over.
 */
static void any_mixture_leaves_those_that_are_well_nine_tenths(void **state)
{
    (void)state;
    struct davy_random random = {.state = davy_test_seed(31)};
    for (int round = 0; round < 30; round++) {
        unsigned devices = 3 + (unsigned)(davy_random_next(&random) % 24);
        struct davy_config *config = draw_plan(&random, devices);
        struct line line;
        line_init(&line, config);
        run_for(&line, davy_span_s(10));
        for (int change = 0; change < 4; change++) {
            bool was_well[UNITS + 1];
            const unsigned fallen = draw_dead(&random, &line, was_well);
            reset(&line);
            int64_t longest = davy_span_ms(1200).ns;
            const int64_t burst = burst_of(config, fallen) * longest;
            run_for(&line, (davy_span){burst});
            assert_bounds(&line, burst, (davy_span){burst});
            int64_t bad = line.bad.ns;
            reset(&line);
            run_for(&line, davy_span_s(120));
            assert_bounds(&line, burst, davy_span_s(120));
            bad += line.bad.ns;
            for (unsigned unit = 1; unit <= devices; unit++)
                if (line.units[unit].mode == WELL && was_well[unit])
                    assert_true((line.units[unit].polls + 1) * config->devices[unit - 1].interval.ns >=
                                (davy_span_s(120).ns - bad) * 9 / 10);
        }
        line_done(&line);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_of_thirty_two_that_die_leave_the_others_their_interval),
        cmocka_unit_test(slow_devices_do_not_take_the_others_time),
        cmocka_unit_test(one_that_answers_every_other_time_is_still_read_and_costs_a_tenth),
        cmocka_unit_test(many_that_answer_every_other_time_still_cost_a_tenth),
        cmocka_unit_test(one_that_answers_again_is_read_at_its_interval_beside_a_dead_one),
        cmocka_unit_test(so_is_one_with_a_read_that_it_never_answers),
        cmocka_unit_test(whatever_devices_do_nothing_is_told_that_they_did_not_send),
        cmocka_unit_test(what_was_not_asked_was_not_answered),
        cmocka_unit_test(who_waits_for_the_line_is_not_slow),
        cmocka_unit_test(what_a_gateway_says_of_a_unit_is_of_that_unit_only),
        cmocka_unit_test(a_read_that_is_never_answered_costs_little_and_is_seen_when_it_is),
        cmocka_unit_test(a_refused_register_leaves_the_other_values_of_the_device),
        cmocka_unit_test(a_scan_takes_a_tenth_of_a_loaded_line_and_delays_by_one_exchange),
        cmocka_unit_test(on_an_idle_line_a_scan_runs_as_fast_as_it_can),
        cmocka_unit_test(the_flight_recorder_is_given_as_a_copy),
        cmocka_unit_test(on_a_noisy_line_everybody_is_read),
        cmocka_unit_test(what_a_line_costs_that_only_seems_bad_has_a_bound_too),
        cmocka_unit_test(one_that_is_back_on_a_bad_line_is_seen_as_soon_as_on_any),
        cmocka_unit_test(any_mixture_leaves_those_that_are_well_nine_tenths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
