/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "acquire/estimate.h"
#include "acquire/request.h"
#include "acquire/share.h"
#include "base/num.h"
#include "support/small_config.h"

/* By hand: turn-around 20 ms, gap 5 ms, 11 bits a character; tenths of milliseconds at N = 2, 10, 22. */
static void request_times_are_those_of_the_table(void **state)
{
    (void)state;
    static const struct {
        int baud;
        int tenths[3];
    } table[] = {{9600, {445, 628, 903}}, {19200, {347, 439, 577}}, {115200, {266, 282, 304}}};
    static const uint16_t counts[] = {2, 10, 22};
    struct davy_config *config = small_config_new();
    struct davy_bus *bus = &config->buses[small_bus(config, "bus", DAVY_BUS_RTU)];
    bus->parity = 'E';
    bus->pause = davy_span_ms(5);
    for (size_t row = 0; row < DAVY_LENGTH(table); row++)
        for (size_t i = 0; i < DAVY_LENGTH(counts); i++) {
            const struct davy_request request = {.table = DAVY_TABLE_HOLDING, .count = counts[i]};
            bus->baud = table[row].baud;
            int64_t tenths = (davy_estimate_request(config, &request).ns + 50000) / 100000;
            assert_in_range(tenths, table[row].tenths[i] - 1, table[row].tenths[i] + 1);
        }
    bus->type = DAVY_BUS_TCP;
    bus->pause.ns = 0;
    const struct davy_request request = {.count = 100};
    assert_int_equal(davy_estimate_request(config, &request).ns, DAVY_NS_PER_MS);
    davy_config_unref(config);
}

/* Four devices of one register a second on 9600 8N1: (15 characters + 20 ms + 3.5 characters) each. */
static struct davy_config *four_devices(void)
{
    struct davy_config *config = small_config_new();
    small_bus(config, "bus", DAVY_BUS_RTU);
    for (uint8_t unit = 1; unit <= 4; unit++) {
        uint32_t device = small_device(config, "D", 0, unit);
        small_point(config, "p", 0, DAVY_TYPE_UINT16);
        config->devices[device].max_reply = davy_span_ms(unit * 1000);
    }
    assert_int_equal(davy_requests_plan(config), 0);
    return config;
}

static void utilization_is_time_over_interval(void **state)
{
    (void)state;
    struct davy_config *config = four_devices();
    double one = (18.5 * 10 / 9600 + 0.020) / 1.0;
    double got = davy_estimate_utilization(config, 0);
    assert_true(got > 4 * one * 0.999 && got < 4 * one * 1.001);
    assert_true(davy_estimate_utilization(config, 1) == 0);
    davy_config_unref(config);
}

#define US DAVY_NS_PER_US

static void assert_about(davy_span got, double expected_s)
{
    double got_s = (double)got.ns / 1e9;
    if (got_s < expected_s - 1e-6 || got_s > expected_s + 1e-6)
        fail_msg("%.6f s, not %.6f s", got_s, expected_s);
}

/* Of unit u in four_devices(): an exchange without a reply, 15 characters and max_reply, which is u seconds. */
static double failure_s(unsigned unit)
{
    return unit + 15 * 10 / 9600.0;
}

/* The first miss, and two short reads around one when it is back. */
static double dead_s(unsigned unit)
{
    return failure_s(unit) + 2 * (18.5 * 10 / 9600 + 0.020);
}

/* One of several on a line that seems noisy: all three misses, the first with its retries. */
static double noisy_s(unsigned unit, unsigned retries)
{
    return dead_s(unit) + (2 + retries) * failure_s(unit);
}

/* What the account pays: the retries, at least one, and one more with two times max_reply of waiting. */
static double account_s(unsigned unit, unsigned retries)
{
    return (retries + 1) * failure_s(unit) + 2 * unit;
}

static davy_span detection(const struct davy_config *config, uint32_t point, unsigned dead)
{
    return davy_estimate_detection(config, davy_estimate_request_of(config, point), dead);
}

static void detection_adds_the_rest_of_the_bus_and_the_slowest_dead(void **state)
{
    (void)state;
    struct davy_config *config = four_devices();
    double cycle = 4 * (18.5 * 10 / 9600 + 0.020), going_on = 18.5 * 10 / 9600 + 0.020;
    assert_about(detection(config, 0, 0), 1 + cycle + going_on);
    double rest = cycle + going_on;
    assert_about(detection(config, 0, 1), 1 + (dead_s(4) + account_s(4, 1) + rest) / 0.9);
    assert_about(detection(config, 0, 2), 1 + (noisy_s(4, 0) + noisy_s(3, 0) + account_s(4, 1) + rest) / 0.9);
    assert_about(detection(config, 3, 1), 1 + (dead_s(3) + account_s(3, 1) + rest) / 0.9);
    assert_int_equal(detection(config, 0, 99).ns, detection(config, 0, 3).ns);
    assert_int_equal(config->requests[0].detection[DAVY_DEAD_NONE].ns, detection(config, 0, 0).ns);
    assert_int_equal(config->requests[3].detection[DAVY_DEAD_ONE].ns, detection(config, 3, 1).ns);
    assert_int_equal(config->requests[0].detection[DAVY_DEAD_SOME].ns, detection(config, 0, 3).ns);
    config->buses[0].retries = 2;
    assert_about(detection(config, 0, 1), 1 + (dead_s(4) + account_s(4, 2) + rest) / 0.9);
    davy_config_unref(config);
}

static void neighbours_are_the_other_devices_of_the_bus(void **state)
{
    (void)state;
    struct davy_config *config = four_devices();
    assert_int_equal(davy_estimate_neighbours(config, 0), 3);
    assert_int_equal(davy_estimate_neighbours(config, 2), 3);
    davy_config_unref(config);
}

/* Devices 0 and 2 are read by one connection, 1 and 3 by the other. */
static void connections_of_a_bus_do_not_wait_for_each_other(void **state)
{
    (void)state;
    struct davy_config *config = four_devices();
    config->buses[0].type = DAVY_BUS_TCP;
    assert_int_equal(davy_requests_plan(config), 0);
    double whole = davy_estimate_utilization(config, 0);
    int64_t alone = detection(config, 0, 0).ns, all_dead = detection(config, 0, 3).ns;
    config->buses[0].connections = 2;
    assert_int_equal(davy_requests_plan(config), 0);
    for (uint32_t i = 0; i < 4; i++) {
        const struct davy_share share = {.connection = config->requests[i].connection, .connections = 2};
        assert_int_equal(davy_share_next(&share, config, config->requests[i].device), config->requests[i].device);
        assert_int_equal(davy_estimate_neighbours(config, i), 1);
    }
    assert_true(davy_estimate_utilization(config, 0) > 0.49 * whole &&
                davy_estimate_utilization(config, 0) < 0.51 * whole);
    assert_int_equal(detection(config, 0, 0).ns, alone - 2 * DAVY_NS_PER_MS);
    assert_int_equal(detection(config, 0, 3).ns, detection(config, 0, 1).ns);
    assert_true(detection(config, 0, 3).ns < all_dead);
    davy_config_unref(config);
}

/*
 * Nine short intervals take all that probes leave of a bus (with their tenth all of it), and many reads wait a day: the
 * waiting grows by steps of milliseconds, to a day. That is not walked step by step.
 */
static void a_bus_that_is_just_full_is_estimated_all_the_same(void **state)
{
    (void)state;
    const size_t fast = 9, slow = 240;
    const davy_span day = davy_span_s(86400);
    struct davy_config *config = small_config_new();
    config->devices = small_alloc(config, fast + slow, sizeof *config->devices);
    config->points = small_alloc(config, fast + slow, sizeof *config->points);
    small_bus(config, "bus", DAVY_BUS_TCP);
    for (size_t i = 0; i < fast + slow; i++) {
        uint32_t device = small_device(config, "D", 0, (uint8_t)(1 + i));
        config->devices[device].interval = config->devices[device].alarm_interval = i < fast ? davy_span_ms(10) : day;
        small_point(config, "p", 0, DAVY_TYPE_UINT16);
    }
    assert_int_equal(davy_requests_plan(config), 0);
    /* Nobody is dead: a tenth is left for 240 reads and the one that goes on. */
    assert_in_range(detection(config, fast, 0).ns - day.ns, 2400 * DAVY_NS_PER_MS, 2500 * DAVY_NS_PER_MS);
    /* Else the short ones are before it until their deadlines are later than its own: a day for all, and a tenth. */
    const int64_t most = day.ns / 10 * 11;
    for (size_t i = fast; i < fast + slow; i++)
        for (size_t k = DAVY_DEAD_ONE; k < DAVY_DEAD_COUNT_; k++)
            assert_in_range(config->requests[i].detection[k].ns, 2 * day.ns, day.ns + most);
    davy_config_unref(config);
}

/* What no bus carries has an end, too: many times slower than its reads are wanted. */
static void a_bus_that_is_hopelessly_full_is_estimated_without_overflow(void **state)
{
    (void)state;
    struct davy_config *config = small_config_new();
    config->buses[small_bus(config, "bus", DAVY_BUS_RTU)].baud = 300;
    config->buses[0].retries = 10;
    for (size_t i = 0; i < SMALL_DEVICES; i++) {
        uint32_t device = small_device(config, "D", 0, (uint8_t)(1 + i));
        config->devices[device].max_reply = davy_span_s(60);
        config->devices[device].interval = config->devices[device].alarm_interval =
            i + 1 < SMALL_DEVICES ? davy_span_ms(10) : davy_span_s(86400);
        for (uint16_t k = 0; k < SMALL_POINTS / SMALL_DEVICES; k++)
            small_point(config, "p", (uint16_t)(1000 * k), DAVY_TYPE_FLOAT64);
    }
    assert_int_equal(davy_requests_plan(config), 0);
    for (size_t i = 0; i < config->request_count; i++)
        for (size_t k = 0; k < DAVY_DEAD_COUNT_; k++) {
            assert_true(config->requests[i].detection[k].ns > config->requests[i].interval.ns);
            assert_true(k == 0 || config->requests[i].detection[k].ns >= config->requests[i].detection[k - 1].ns);
        }
    davy_config_unref(config);
}

/* ---- against a plain simulation of the schedule ---- */

struct read {
    int64_t due_ns, interval_ns, cost_ns;
};

/* Earliest deadline first, as acquire/schedule.h says it; the longest time from the start of a read of the first to its
 * next reply. */
static int64_t simulate(struct read *reads, size_t count, int64_t until_ns)
{
    int64_t now = 0, began = -1, worst = 0;
    while (now < until_ns) {
        struct read *urgent = NULL;
        int64_t next = INT64_MAX;
        for (size_t i = 0; i < count; i++) {
            next = reads[i].due_ns < next ? reads[i].due_ns : next;
            bool due = reads[i].due_ns <= now;
            if (due && (!urgent || reads[i].due_ns + reads[i].interval_ns < urgent->due_ns + urgent->interval_ns))
                urgent = &reads[i];
        }
        if (!urgent) {
            now = next;
            continue;
        }
        urgent->due_ns += ((now - urgent->due_ns) / urgent->interval_ns + 1) * urgent->interval_ns;
        if (urgent == reads) {
            int64_t took = began < 0 ? 0 : now + urgent->cost_ns - began;
            worst = took > worst ? took : worst;
            began = now;
        }
        now += urgent->cost_ns;
    }
    return worst;
}

/*
 * Random plans, also of more than the bus carries: never later than estimated, and in one of ten later than nine
 * tenths.
 */
static void no_schedule_is_later_than_estimated(void **state)
{
    (void)state;
    struct davy_random random = {.state = 7};
    int close = 0;
    for (int round = 0; round < 300; round++) {
        struct davy_config *config = small_config_new();
        size_t count = 2 + (size_t)(davy_random_unit(&random) * 10);
        small_bus(config, "bus", DAVY_BUS_RTU);
        config->buses[0].parity = 'E';
        struct read reads[16];
        for (size_t i = 0; i < count; i++) {
            small_device(config, "D", 0, (uint8_t)(1 + i));
            small_point(config, "p", 0, DAVY_TYPE_FLOAT32);
            config->points[i].interval.ns =
                (int64_t)(50 + davy_random_unit(&random) * (i % 2 ? 500 : 3000)) * DAVY_NS_PER_MS;
            config->devices[i].alarm_interval = config->points[i].interval;
        }
        assert_int_equal(davy_requests_plan(config), 0);
        for (size_t i = 0; i < count; i++) {
            const struct davy_request *request = &config->requests[i];
            reads[i] = (struct read){(int64_t)(davy_random_unit(&random) * (double)request->interval.ns),
                                     request->interval.ns, davy_estimate_request(config, request).ns};
        }
        int64_t worst = simulate(reads, count, 600 * DAVY_NS_PER_S);
        int64_t estimated = config->requests[0].detection[DAVY_DEAD_NONE].ns;
        if (worst > estimated)
            fail_msg("round %d: %lld us, estimated %lld us", round, (long long)(worst / US),
                     (long long)(estimated / US));
        close += worst > estimated / 10 * 9;
        davy_config_unref(config);
    }
    assert_true(close >= 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(request_times_are_those_of_the_table),
        cmocka_unit_test(utilization_is_time_over_interval),
        cmocka_unit_test(detection_adds_the_rest_of_the_bus_and_the_slowest_dead),
        cmocka_unit_test(neighbours_are_the_other_devices_of_the_bus),
        cmocka_unit_test(connections_of_a_bus_do_not_wait_for_each_other),
        cmocka_unit_test(a_bus_that_is_just_full_is_estimated_all_the_same),
        cmocka_unit_test(a_bus_that_is_hopelessly_full_is_estimated_without_overflow),
        cmocka_unit_test(no_schedule_is_later_than_estimated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
