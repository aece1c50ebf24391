/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/num.h"
#include "sim/device.h"
#include "sim/load.h"

static const char text[] =
    "lines = ( { name = \"a\"; type = \"tcp\"; } );\n"
    "devices = ( { id = \"D\"; line = \"a\"; unit = 1;\n"
    "  ranges = ( { register = 12; count = 8; }, { register = 20; count = 200; }, { register = 4; count = 2; },\n"
    "             { table = \"coil\"; register = 0; count = 20; } );\n"
    "  points = ( { name = \"f\"; register = 10; type = \"float32\"; value = 12.5; },\n"
    "             { name = \"w\"; register = 14; type = \"uint16\"; scale = 0.1;\n"
    "               wave = { type = \"ramp\"; low = 0.0; high = 100.0; period = \"100s\"; }; },\n"
    "             { name = \"t\"; table = \"input\"; register = 0; type = \"int16\"; value = -3; },\n"
    "             { name = \"c\"; table = \"coil\"; register = 9; type = \"bool\"; value = true; } ); } );\n";

static int set_up(void **state)
{
    static struct davy_sim_plant plant;
    *state = &plant;
    return davy_sim_load_text("text", text, stderr, &plant);
}

static int tear_down(void **state)
{
    davy_sim_plant_done(*state);
    return 0;
}

static struct davy_sim_device *device_of(void **state)
{
    const struct davy_sim_plant *plant = *state;
    return &plant->devices[0];
}

#define BYTES(...) ((const uint8_t[]){__VA_ARGS__}), sizeof((const uint8_t[]){__VA_ARGS__})

static void answers_at(void **state, double t_s, const uint8_t *request, size_t length, const uint8_t *expected,
                       size_t expected_length)
{
    uint8_t reply[DAVY_SIM_PDU_MAX];
    assert_int_equal(davy_sim_device_answer(device_of(state), t_s, request, length, reply), expected_length);
    assert_memory_equal(reply, expected, expected_length);
}

static void reads_points_and_plain_registers_in_one_request(void **state)
{
    answers_at(state, 5, BYTES(3, 0, 10, 0, 6), BYTES(3, 12, 0x41, 0x48, 0, 0, 0, 0, 0, 0, 0, 50, 0, 0));
    answers_at(state, 5, BYTES(3, 0, 11, 0, 1), BYTES(3, 2, 0, 0)); /* the lower half of a float */
    answers_at(state, 5, BYTES(4, 0, 0, 0, 1), BYTES(4, 2, 0xFF, 0xFD));
}

static void reads_bits_with_the_lowest_first(void **state)
{
    answers_at(state, 0, BYTES(1, 0, 0, 0, 12), BYTES(1, 2, 0, 2));
    answers_at(state, 0, BYTES(1, 0, 9, 0, 1), BYTES(1, 1, 1));
}

static void refuses_what_is_not_there(void **state)
{
    answers_at(state, 0, BYTES(3, 0, 6, 0, 1), BYTES(0x83, 2));
    answers_at(state, 0, BYTES(3, 0, 9, 0, 2), BYTES(0x83, 2)); /* one of the two is */
    answers_at(state, 0, BYTES(3, 0xFF, 0xFF, 0, 2), BYTES(0x83, 2));
    answers_at(state, 0, BYTES(2, 0, 0, 0, 1), BYTES(0x82, 2));
    answers_at(state, 0, BYTES(6, 0, 6, 0, 1), BYTES(0x86, 2));
}

static void refuses_counts_and_lengths_beyond_the_standard(void **state)
{
    answers_at(state, 0, BYTES(3, 0, 20, 0, 0), BYTES(0x83, 3));
    answers_at(state, 0, BYTES(3, 0, 20, 0, 126), BYTES(0x83, 3));
    answers_at(state, 0, BYTES(1, 0, 0, 7, 0xD1), BYTES(0x81, 3));
    answers_at(state, 0, BYTES(3, 0, 20), BYTES(0x83, 3));
    answers_at(state, 0, BYTES(5, 0, 0, 0x12, 0x34), BYTES(0x85, 3));
    answers_at(state, 0, BYTES(16, 0, 20, 0, 2, 4, 1, 2, 3), BYTES(0x90, 3));
    answers_at(state, 0, BYTES(16, 0, 20, 0, 2, 3, 1, 2, 3), BYTES(0x90, 3));
    answers_at(state, 0, BYTES(0x41, 14, 1, 0), BYTES(0xC1, 1));
}

static void says_who_it_is(void **state)
{
    answers_at(state, 0, BYTES(17), BYTES(17, 2, 'D', 0xFF));
    answers_at(state, 0, BYTES(43, 14, 4, 1), BYTES(43, 14, 4, 0x81, 0, 0, 1, 1, 1, 'D'));
    answers_at(state, 0, BYTES(43, 14, 4, 9), BYTES(0xAB, 2));
    answers_at(state, 0, BYTES(43, 14, 5, 0), BYTES(0xAB, 3));
    answers_at(state, 0, BYTES(43, 13, 1, 0), BYTES(0xAB, 1));
}

static void writes_are_read_back(void **state)
{
    answers_at(state, 0, BYTES(6, 0, 30, 0x12, 0x34), BYTES(6, 0, 30, 0x12, 0x34));
    answers_at(state, 0, BYTES(16, 0, 31, 0, 2, 4, 1, 2, 3, 4), BYTES(16, 0, 31, 0, 2));
    answers_at(state, 0, BYTES(3, 0, 30, 0, 3), BYTES(3, 6, 0x12, 0x34, 1, 2, 3, 4));
    answers_at(state, 0, BYTES(5, 0, 3, 0xFF, 0), BYTES(5, 0, 3, 0xFF, 0));
    answers_at(state, 0, BYTES(15, 0, 4, 0, 10, 2, 0x01, 0x02), BYTES(15, 0, 4, 0, 10));
    answers_at(state, 0, BYTES(1, 0, 0, 0, 16), BYTES(1, 2, 0x18, 0x20)); /* the point at 9 was overwritten */
}

static void writing_a_point_stops_it_until_it_is_released(void **state)
{
    struct davy_sim_point *point = davy_sim_plant_point(device_of(state), "f");
    answers_at(state, 0, BYTES(6, 0, 11, 0, 7), BYTES(6, 0, 11, 0, 7));
    answers_at(state, 0, BYTES(3, 0, 10, 0, 2), BYTES(3, 4, 0x41, 0x48, 0, 7)); /* the other half stays */
    point->source = DAVY_SIM_FROM_WAVE;
    answers_at(state, 0, BYTES(3, 0, 10, 0, 2), BYTES(3, 4, 0x41, 0x48, 0, 0));
}

static void ramp_goes_straight_and_holds(void **state)
{
    (void)state;
    const struct davy_sim_point point = {
        .source = DAVY_SIM_FROM_RAMP, .from = 10, .to = 20, .since_s = 100, .ramp_s = 10};
    assert_true(davy_sim_point_value(&point, 99) == 10);
    assert_true(davy_sim_point_value(&point, 105) == 15);
    assert_true(davy_sim_point_value(&point, 110) == 20);
    assert_true(davy_sim_point_value(&point, 1e6) == 20);
}

static void ramp_without_duration_is_there_at_once(void **state)
{
    (void)state;
    const struct davy_sim_point point = {.source = DAVY_SIM_FROM_RAMP, .from = 10, .to = 20, .since_s = 100};
    assert_true(davy_sim_point_value(&point, 100) == 20);
}

static void areas_that_touch_are_one(void **state)
{
    const struct davy_sim_device *device = device_of(state);
    size_t holding = 0;
    for (size_t i = 0; i < device->area_count; i++)
        holding += device->areas[i].table == DAVY_TABLE_HOLDING;
    assert_int_equal(holding, 2); /* 4-5 and 10-219 */
}

static bool declared(const struct davy_sim_device *device, uint32_t address)
{
    for (size_t i = 0; i < device->area_count; i++)
        if (address >= device->areas[i].first && address < device->areas[i].first + device->areas[i].count)
            return true;
    return false;
}

/* Areas in random order are the same set of registers as a plain table of bits says. */
static void declaring_in_any_order_gives_the_union(void **state)
{
    (void)state;
    struct davy_random random = {77};
    for (int round = 0; round < 300; round++) {
        struct davy_sim_plant plant = {.devices = calloc(1, sizeof(*plant.devices)), .device_count = 1};
        bool expected[128] = {false};
        for (int i = 0; i < 12; i++) {
            uint32_t first = (uint32_t)(davy_random_next(&random) % 100);
            uint32_t count = 1 + (uint32_t)(davy_random_next(&random) % 12);
            assert_int_equal(davy_sim_device_declare(plant.devices, DAVY_TABLE_INPUT, first, count), 0);
            memset(expected + first, true, count);
        }
        size_t edges = 0;
        for (uint32_t k = 0; k < 128; k++) {
            assert_int_equal(declared(plant.devices, k), expected[k]);
            edges += expected[k] && (k == 0 || !expected[k - 1]);
        }
        assert_int_equal(plant.devices->area_count, edges);
        davy_sim_plant_done(&plant);
    }
}

static void registers_end_at_65535(void **state)
{
    (void)state;
    struct davy_sim_plant plant = {.devices = calloc(1, sizeof(*plant.devices)), .device_count = 1};
    assert_int_equal(davy_sim_device_declare(plant.devices, DAVY_TABLE_HOLDING, 65535, 2), -ERANGE);
    assert_int_equal(davy_sim_device_declare(plant.devices, DAVY_TABLE_HOLDING, 65535, 1), 0);
    davy_sim_plant_done(&plant);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(reads_points_and_plain_registers_in_one_request),
        CASE(reads_bits_with_the_lowest_first),
        CASE(refuses_what_is_not_there),
        CASE(refuses_counts_and_lengths_beyond_the_standard),
        CASE(says_who_it_is),
        CASE(writes_are_read_back),
        CASE(writing_a_point_stops_it_until_it_is_released),
        CASE(areas_that_touch_are_one),
        cmocka_unit_test(ramp_goes_straight_and_holds),
        cmocka_unit_test(ramp_without_duration_is_there_at_once),
        cmocka_unit_test(declaring_in_any_order_gives_the_union),
        cmocka_unit_test(registers_end_at_65535),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
