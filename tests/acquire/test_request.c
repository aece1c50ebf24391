/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "acquire/request.h"
#include "base/num.h"
#include "support/seed.h"
#include "support/small_config.h"

static struct davy_config *one_device(void)
{
    struct davy_config *config = small_config_new();
    small_bus(config, "bus", DAVY_BUS_RTU);
    small_device(config, "D", 0, 1);
    return config;
}

static void neighbours_and_small_gaps_are_read_together(void **state)
{
    (void)state;
    struct davy_config *config = one_device();
    small_point(config, "b", 12, DAVY_TYPE_FLOAT32);
    small_point(config, "a", 2, DAVY_TYPE_FLOAT32); /* gap of 8 before b: max_gap */
    small_point(config, "c", 23, DAVY_TYPE_UINT16); /* gap of 9 */
    assert_int_equal(davy_requests_plan(config), 0);
    assert_int_equal(config->request_count, 2);
    assert_int_equal(config->requests[0].start, 2);
    assert_int_equal(config->requests[0].count, 12);
    assert_int_equal(config->requests[0].point_count, 2);
    assert_int_equal(config->requests[0].points[0], 0); /* in file order */
    assert_int_equal(config->requests[1].start, 23);
    assert_int_equal(config->requests[1].count, 1);
    davy_config_unref(config);
}

static void a_gap_that_costs_more_than_a_request_is_not_read(void **state)
{
    (void)state;
    struct davy_config *config = one_device();
    config->devices[0].max_gap = 100;
    config->buses[0].pause = davy_span_ms(5);
    config->buses[0].parity = 'E';
    small_point(config, "a", 0, DAVY_TYPE_UINT16);
    small_point(config, "b", 18, DAVY_TYPE_UINT16); /* gap 17: the longest worth reading at 9600 8E1, 20 and 5 ms */
    small_point(config, "c", 37, DAVY_TYPE_UINT16); /* gap 18 */
    assert_int_equal(davy_requests_plan(config), 0);
    assert_int_equal(config->request_count, 2);
    assert_int_equal(config->requests[0].count, 19);
    config->buses[0].type = DAVY_BUS_TCP;
    assert_int_equal(davy_requests_plan(config), 0);
    assert_int_equal(config->request_count, 1);
    davy_config_unref(config);
}

static void tables_and_intervals_are_kept_apart(void **state)
{
    (void)state;
    struct davy_config *config = one_device();
    small_point(config, "a", 0, DAVY_TYPE_UINT16);
    uint32_t b = small_point(config, "b", 1, DAVY_TYPE_UINT16);
    uint32_t c = small_point(config, "c", 2, DAVY_TYPE_UINT16);
    config->points[b].table = DAVY_TABLE_INPUT;
    config->points[c].interval = davy_span_s(5);
    assert_int_equal(davy_requests_plan(config), 0);
    assert_int_equal(config->request_count, 3);
    davy_config_unref(config);
}

static void no_request_is_longer_than_allowed_and_no_value_is_split(void **state)
{
    (void)state;
    struct davy_config *config = one_device();
    config->devices[0].max_registers = 7;
    for (uint16_t i = 0; i < 20; i++)
        small_point(config, "p", (uint16_t)(2 * i), DAVY_TYPE_FLOAT32);
    assert_int_equal(davy_requests_plan(config), 0);
    assert_int_equal(config->request_count, 7);
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(config->requests[i].count, 6);
    assert_int_equal(config->requests[6].count, 4);
    davy_config_unref(config);
}

static void bits_may_be_sixteen_times_as_many(void **state)
{
    (void)state;
    struct davy_config *config = one_device();
    config->devices[0].max_gap = 1000;
    config->devices[0].max_registers = 125;
    config->buses[0].type = DAVY_BUS_TCP;
    for (uint16_t i = 0; i < 3; i++) {
        uint32_t point = small_point(config, "p", (uint16_t)(1000 * i), DAVY_TYPE_BOOL);
        config->points[point].table = DAVY_TABLE_DISCRETE;
    }
    assert_int_equal(davy_requests_plan(config), 0);
    assert_int_equal(config->request_count, 2);
    assert_int_equal(config->requests[0].count, 1001);
    davy_config_unref(config);
}

static void status_words_join_their_points_where_they_fit(void **state)
{
    (void)state;
    static const struct davy_status near = {.table = DAVY_TABLE_HOLDING, .address = 4, .mask = 1};
    struct davy_config *config = one_device();
    config->devices[0].status = &near;
    config->devices[0].status_count = 1;
    small_point(config, "p", 0, DAVY_TYPE_FLOAT32);
    assert_int_equal(davy_requests_plan(config), 0);
    assert_int_equal(config->request_count, 1);
    assert_int_equal(config->requests[0].count, 5);
    davy_config_unref(config);
}

static void status_words_elsewhere_are_read_once_and_first(void **state)
{
    (void)state;
    static const struct davy_status far[] = {{.table = DAVY_TABLE_INPUT, .address = 900, .mask = 1},
                                             {.table = DAVY_TABLE_INPUT, .address = 900, .mask = 2}};
    struct davy_config *config = one_device();
    config->devices[0].status = far;
    config->devices[0].status_count = 2;
    small_point(config, "p", 0, DAVY_TYPE_FLOAT32);
    uint32_t slow = small_point(config, "q", 2, DAVY_TYPE_FLOAT32);
    config->points[slow].interval = davy_span_s(60);
    assert_int_equal(davy_requests_plan(config), 0);
    assert_int_equal(config->request_count, 3);
    assert_int_equal(config->requests[0].start, 900);
    assert_int_equal(config->requests[0].point_count, 0);
    assert_int_equal(config->requests[0].interval.ns, DAVY_NS_PER_S);
    davy_config_unref(config);
}

static void disabled_devices_get_no_request(void **state)
{
    (void)state;
    struct davy_config *config = one_device();
    small_point(config, "p", 0, DAVY_TYPE_UINT16);
    config->devices[0].enabled = false;
    assert_int_equal(davy_requests_plan(config), 0);
    assert_int_equal(config->request_count, 0);
    davy_config_unref(config);
}

static unsigned width(const struct davy_point *point)
{
    return point->table <= DAVY_TABLE_DISCRETE ? 1 : davy_type_registers(point->type);
}

/* Each point of the configuration is wholly inside exactly one request of its own device, table and interval. */
static void check_plan(const struct davy_config *config)
{
    unsigned found[SMALL_POINTS] = {0};
    for (size_t i = 0; i < config->request_count; i++) {
        const struct davy_request *request = &config->requests[i];
        bool bits = request->table <= DAVY_TABLE_DISCRETE;
        assert_true(request->count >= 1 && request->count <= (bits ? 2000 : 125));
        if (i > 0)
            assert_true(request->bus >= request[-1].bus);
        for (size_t k = 0; k < request->point_count; k++) {
            const struct davy_point *point = &config->points[request->points[k]];
            found[request->points[k]]++;
            assert_int_equal(point->device, request->device);
            assert_int_equal(point->table, request->table);
            assert_int_equal(point->interval.ns, request->interval.ns);
            assert_true(point->address >= request->start);
            assert_true(point->address + width(point) <= (unsigned)request->start + request->count);
        }
    }
    for (size_t i = 0; i < config->point_count; i++)
        assert_int_equal(found[i], config->devices[config->points[i].device].enabled ? 1 : 0);
}

static void every_plan_covers_every_point_once(void **state)
{
    (void)state;
    struct davy_random random = {.state = davy_test_seed(3)};
    for (int round = 0; round < 300; round++) {
        struct davy_config *config = small_config_new();
        small_bus(config, "b0", DAVY_BUS_RTU);
        small_bus(config, "b1", DAVY_BUS_TCP);
        for (unsigned device = 0; device < 6; device++) {
            uint32_t index = small_device(config, "D", (uint32_t)(davy_random_next(&random) % 2), (uint8_t)device);
            config->devices[index].max_gap = (int)(davy_random_next(&random) % 30);
            config->devices[index].max_registers = 4 + (int)(davy_random_next(&random) % 122);
            config->devices[index].enabled = davy_random_next(&random) % 5 != 0;
            for (unsigned i = 0; i < 30; i++) {
                uint32_t point = small_point(config, "p", (uint16_t)(davy_random_next(&random) % 300),
                                             (enum davy_type)(davy_random_next(&random) % DAVY_TYPE_COUNT_));
                config->points[point].table = (enum davy_table)(davy_random_next(&random) % DAVY_TABLE_COUNT_);
                config->points[point].interval = davy_span_s(1 + (int64_t)(davy_random_next(&random) % 2));
            }
        }
        assert_int_equal(davy_requests_plan(config), 0);
        check_plan(config);
        davy_config_unref(config);
    }
}

/* ---- against brute force ---- */

#define FEW 7

/* Section E1 of the serial line's physics, written anew: 9600 8N1, 20 ms of turn-around, 3.5 characters of silence. */
static double time_of(unsigned registers)
{
    const double character = 10.0 / 9600;
    return (13 + 2 * registers) * character + 0.020 + 3.5 * character;
}

/* The time of one request for the points of a set (bits of `set`); negative where the limits forbid it. */
static double time_of_set(const struct davy_config *config, unsigned set)
{
    bool wanted[4096] = {false};
    unsigned low = 4096, high = 0;
    for (unsigned i = 0; i < config->point_count; i++) {
        if (!(set >> i & 1U))
            continue;
        const struct davy_point *point = &config->points[i];
        for (unsigned k = 0; k < width(point); k++)
            wanted[point->address + k] = true;
        low = point->address < low ? point->address : low;
        high = point->address + width(point) > high ? point->address + width(point) : high;
    }
    if (high - low > (unsigned)config->devices[0].max_registers)
        return -1;
    int gap = 0;
    for (unsigned i = low; i < high; i++) {
        gap = wanted[i] ? 0 : gap + 1;
        if (gap > config->devices[0].max_gap)
            return -1;
    }
    return time_of(high - low);
}

/* The least time over all ways to divide the points in `left` into requests. */
static double least_time(const double *times, unsigned left, double *memory)
{
    if (left == 0 || memory[left] > 0)
        return memory[left];
    double least = 1e9;
    const unsigned lowest = left & -left;
    for (unsigned rest = left & ~lowest, set = rest;; set = (set - 1) & rest) {
        if (times[set | lowest] >= 0) {
            double found = times[set | lowest] + least_time(times, left & ~(set | lowest), memory);
            least = found < least ? found : least;
        }
        if (set == 0)
            break;
    }
    return memory[left] = least;
}

static void no_division_of_the_points_takes_less_bus_time(void **state)
{
    (void)state;
    struct davy_random random = {.state = davy_test_seed(11)};
    for (int round = 0; round < 3000; round++) {
        struct davy_config *config = one_device();
        config->devices[0].max_gap = (int)(davy_random_next(&random) % 40);
        config->devices[0].max_registers = 4 + (int)(davy_random_next(&random) % 40);
        unsigned count = 1 + (unsigned)(davy_random_next(&random) % FEW);
        for (unsigned i = 0; i < count; i++)
            small_point(config, "p", (uint16_t)(davy_random_next(&random) % 100),
                        (enum davy_type)(davy_random_next(&random) % DAVY_TYPE_COUNT_));
        double times[1U << FEW], memory[1U << FEW] = {0}, planned = 0;
        for (unsigned set = 1; set < 1U << count; set++)
            times[set] = time_of_set(config, set);
        assert_int_equal(davy_requests_plan(config), 0);
        check_plan(config);
        for (size_t i = 0; i < config->request_count; i++)
            planned += time_of(config->requests[i].count);
        double least = least_time(times, (1U << count) - 1, memory);
        assert_true(planned < least + 1e-6 && planned > least - 1e-6);
        davy_config_unref(config);
    }
}

/* A value and the status word that is its own: in one request wherever the device's limits let them be. */
static void a_value_and_its_own_status_word_are_read_together(void **state)
{
    (void)state;
    struct davy_random random = {.state = 5};
    for (int round = 0; round < 1000; round++) {
        struct davy_config *config = one_device();
        static struct davy_status words[4];
        config->devices[0].max_gap = (int)(davy_random_next(&random) % 30);
        config->devices[0].max_registers = 8 + (int)(davy_random_next(&random) % 30);
        for (unsigned i = 0; i < 4; i++) { /* four channels of a controller, each with its status word */
            uint16_t base = (uint16_t)(100 * i + davy_random_next(&random) % 20);
            uint32_t point = small_point(config, "p", base, DAVY_TYPE_FLOAT32);
            words[i] = (struct davy_status){.table = DAVY_TABLE_HOLDING,
                                            .address = (uint16_t)(base + 2 + davy_random_next(&random) % 30),
                                            .mask = 1};
            config->points[point].status = &words[i];
            config->points[point].status_count = 1;
        }
        assert_int_equal(davy_requests_plan(config), 0);
        check_plan(config);
        for (unsigned i = 0; i < 4; i++) {
            int gap = words[i].address - config->points[i].address - 2;
            bool fits = gap <= config->devices[0].max_gap && gap + 3 <= config->devices[0].max_registers;
            size_t together = 0;
            for (size_t k = 0; k < config->request_count; k++)
                together += config->requests[k].start <= config->points[i].address &&
                            config->requests[k].start + config->requests[k].count > words[i].address;
            assert_int_equal(together, fits ? 1 : 0);
        }
        davy_config_unref(config);
    }
}

/* max_registers forces a cut between two channels, or within one: between two. */
static void a_cut_that_must_be_does_not_tear_a_value_from_its_status(void **state)
{
    (void)state;
    static const struct davy_status first = {.table = DAVY_TABLE_HOLDING, .address = 6, .mask = 1};
    static const struct davy_status second = {.table = DAVY_TABLE_HOLDING, .address = 13, .mask = 1};
    struct davy_config *config = one_device();
    config->devices[0].max_registers = 13;
    uint32_t a = small_point(config, "a", 0, DAVY_TYPE_FLOAT32);
    uint32_t b = small_point(config, "b", 7, DAVY_TYPE_FLOAT32);
    config->points[a].status = &first;
    config->points[b].status = &second;
    config->points[a].status_count = config->points[b].status_count = 1;
    assert_int_equal(davy_requests_plan(config), 0);
    assert_int_equal(config->request_count, 2);
    assert_int_equal(config->requests[0].count, 7);
    assert_int_equal(config->requests[1].start, 7);
    assert_int_equal(config->requests[1].count, 7);
    davy_config_unref(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(neighbours_and_small_gaps_are_read_together),
        cmocka_unit_test(a_gap_that_costs_more_than_a_request_is_not_read),
        cmocka_unit_test(tables_and_intervals_are_kept_apart),
        cmocka_unit_test(no_request_is_longer_than_allowed_and_no_value_is_split),
        cmocka_unit_test(bits_may_be_sixteen_times_as_many),
        cmocka_unit_test(status_words_join_their_points_where_they_fit),
        cmocka_unit_test(status_words_elsewhere_are_read_once_and_first),
        cmocka_unit_test(disabled_devices_get_no_request),
        cmocka_unit_test(every_plan_covers_every_point_once),
        cmocka_unit_test(no_division_of_the_points_takes_less_bus_time),
        cmocka_unit_test(a_value_and_its_own_status_word_are_read_together),
        cmocka_unit_test(a_cut_that_must_be_does_not_tear_a_value_from_its_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
