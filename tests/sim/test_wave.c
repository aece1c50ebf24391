/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sim/wave.h"

static double at(enum davy_sim_wave_type type, double t_s)
{
    const struct davy_sim_wave wave = {.type = type, .mean = 10, .amplitude = 4, .period_s = 8, .duty = 0.25};
    return davy_sim_wave_value(&wave, 1, t_s);
}

static void regular_shapes_have_their_values(void **state)
{
    (void)state;
    static const struct {
        enum davy_sim_wave_type type;
        double t_s, expected;
    } cases[] = {
        {DAVY_SIM_WAVE_CONSTANT, 3, 10}, {DAVY_SIM_WAVE_SINE, 0, 10},     {DAVY_SIM_WAVE_SINE, 2, 14},
        {DAVY_SIM_WAVE_SINE, 6, 6},      {DAVY_SIM_WAVE_SINE, 10, 14},    {DAVY_SIM_WAVE_TRIANGLE, 0, 6},
        {DAVY_SIM_WAVE_TRIANGLE, 4, 14}, {DAVY_SIM_WAVE_TRIANGLE, 6, 10}, {DAVY_SIM_WAVE_RAMP, 0, 6},
        {DAVY_SIM_WAVE_RAMP, 4, 10},     {DAVY_SIM_WAVE_RAMP, 6, 12},     {DAVY_SIM_WAVE_RAMP, 8, 6},
        {DAVY_SIM_WAVE_SQUARE, 1.9, 14}, {DAVY_SIM_WAVE_SQUARE, 2.1, 6},  {DAVY_SIM_WAVE_SQUARE, 8.1, 14},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_true(fabs(at(cases[i].type, cases[i].t_s) - cases[i].expected) < 1e-9);
}

static void phase_shifts_by_a_part_of_the_period(void **state)
{
    (void)state;
    const struct davy_sim_wave wave = {
        .type = DAVY_SIM_WAVE_SINE, .mean = 0, .amplitude = 1, .period_s = 100, .phase = 0.25};
    assert_true(fabs(davy_sim_wave_value(&wave, 1, 0) - 1) < 1e-9);
}

static void all_shapes_stay_within_their_amplitude(void **state)
{
    (void)state;
    for (int type = 0; type < DAVY_SIM_WAVE_COUNT_; type++)
        for (double t_s = -50; t_s < 5000; t_s += 0.37)
            assert_true(fabs(at((enum davy_sim_wave_type)type, t_s) - 10) <= 4);
}

static void random_walk_moves_without_jumps(void **state)
{
    (void)state;
    double low = INFINITY;
    double high = -INFINITY;
    for (double t_s = 0; t_s < 4000; t_s += 0.01) {
        double value = at(DAVY_SIM_WAVE_RANDOM_WALK, t_s);
        assert_true(fabs(value - at(DAVY_SIM_WAVE_RANDOM_WALK, t_s + 0.01)) < 0.1);
        low = fmin(low, value);
        high = fmax(high, value);
    }
    assert_true(high - low > 4); /* half of what it may */
}

static void same_seed_repeats_and_another_does_not(void **state)
{
    (void)state;
    const struct davy_sim_wave wave = {
        .type = DAVY_SIM_WAVE_RANDOM_WALK, .mean = 0, .amplitude = 1, .period_s = 5, .noise = 0.1};
    int same = 0;
    for (int i = 0; i < 100; i++) {
        assert_true(davy_sim_wave_value(&wave, 5, i) == davy_sim_wave_value(&wave, 5, i));
        same += davy_sim_wave_value(&wave, 5, i) == davy_sim_wave_value(&wave, 6, i);
    }
    assert_int_equal(same, 0);
}

static void noise_has_its_standard_deviation(void **state)
{
    (void)state;
    const struct davy_sim_wave wave = {.type = DAVY_SIM_WAVE_CONSTANT, .mean = 3, .period_s = 1, .noise = 0.5};
    const int count = 20000;
    double sum = 0;
    double squares = 0;
    for (int i = 0; i < count; i++) {
        double off = davy_sim_wave_value(&wave, 9, i * 0.1 + 0.05) - 3;
        sum += off;
        squares += off * off;
    }
    assert_true(fabs(sum / count) < 0.02);
    assert_true(fabs(sqrt(squares / count) - 0.5) < 0.02);
}

static void names_are_found(void **state)
{
    (void)state;
    assert_int_equal(davy_sim_wave_find("random-walk"), DAVY_SIM_WAVE_RANDOM_WALK);
    assert_int_equal(davy_sim_wave_find("constant"), DAVY_SIM_WAVE_CONSTANT);
    assert_int_equal(davy_sim_wave_find("sinus"), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(regular_shapes_have_their_values),
        cmocka_unit_test(phase_shifts_by_a_part_of_the_period),
        cmocka_unit_test(all_shapes_stay_within_their_amplitude),
        cmocka_unit_test(random_walk_moves_without_jumps),
        cmocka_unit_test(same_seed_repeats_and_another_does_not),
        cmocka_unit_test(noise_has_its_standard_deviation),
        cmocka_unit_test(names_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
