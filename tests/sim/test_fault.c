/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sim/fault.h"

static struct davy_sim_fault fault(enum davy_sim_fault_kind kind)
{
    return (struct davy_sim_fault){.kind = kind, .arg = -1, .probability = 1, .count = -1, .duration_s = INFINITY};
}

static unsigned draw(struct davy_sim_faults *faults, double t_s, struct davy_random *random)
{
    struct davy_sim_effect effect = {0};
    davy_sim_faults_draw(faults, t_s, random, &effect);
    return effect.kinds;
}

static void nothing_is_on_at_first_and_after_a_clear(void **state)
{
    (void)state;
    struct davy_sim_faults faults = {0};
    struct davy_random random = {1};
    struct davy_sim_fault timeout = fault(DAVY_SIM_FAULT_TIMEOUT);
    assert_int_equal(draw(&faults, 0, &random), 0);
    davy_sim_faults_add(&faults, &timeout, 0);
    assert_int_equal(draw(&faults, 1e9, &random), 1U << DAVY_SIM_FAULT_TIMEOUT);
    davy_sim_faults_clear(&faults);
    assert_int_equal(draw(&faults, 0, &random), 0);
}

static void count_ends_after_so_many_hits(void **state)
{
    (void)state;
    struct davy_sim_faults faults = {0};
    struct davy_random random = {1};
    struct davy_sim_fault crc = fault(DAVY_SIM_FAULT_CRC);
    crc.count = 2;
    davy_sim_faults_add(&faults, &crc, 0);
    assert_int_not_equal(draw(&faults, 0, &random), 0);
    assert_int_not_equal(draw(&faults, 0, &random), 0);
    assert_int_equal(draw(&faults, 0, &random), 0);
}

static void duration_ends_at_its_time(void **state)
{
    (void)state;
    struct davy_sim_faults faults = {0};
    struct davy_random random = {1};
    struct davy_sim_fault late = fault(DAVY_SIM_FAULT_LATE);
    late.duration_s = 5;
    davy_sim_faults_add(&faults, &late, 10);
    assert_int_not_equal(draw(&faults, 14.9, &random), 0);
    assert_int_equal(draw(&faults, 15, &random), 0);
}

static void probability_is_kept_on_the_whole(void **state)
{
    (void)state;
    struct davy_sim_faults faults = {0};
    struct davy_random random = {1};
    struct davy_sim_fault drip = fault(DAVY_SIM_FAULT_DRIP);
    drip.probability = 0.25;
    davy_sim_faults_add(&faults, &drip, 0);
    int hits = 0;
    for (int i = 0; i < 10000; i++)
        hits += draw(&faults, 0, &random) != 0;
    assert_in_range(hits, 2300, 2700);
}

static void several_kinds_hit_together_and_one_replaces_itself(void **state)
{
    (void)state;
    struct davy_sim_faults faults = {0};
    struct davy_random random = {1};
    struct davy_sim_effect effect = {0};
    struct davy_sim_fault late = fault(DAVY_SIM_FAULT_LATE);
    struct davy_sim_fault unit = fault(DAVY_SIM_FAULT_WRONG_UNIT);
    late.arg = 100;
    davy_sim_faults_add(&faults, &late, 0);
    davy_sim_faults_add(&faults, &unit, 0);
    late.arg = 200;
    davy_sim_faults_add(&faults, &late, 0);
    davy_sim_faults_draw(&faults, 0, &random, &effect);
    assert_true(davy_sim_effect_has(&effect, DAVY_SIM_FAULT_LATE));
    assert_true(davy_sim_effect_has(&effect, DAVY_SIM_FAULT_WRONG_UNIT));
    assert_int_equal(effect.arg[DAVY_SIM_FAULT_LATE], 200);
}

static void freeze_keeps_its_first_moment(void **state)
{
    (void)state;
    struct davy_sim_faults faults = {0};
    struct davy_random random = {1};
    struct davy_sim_fault freeze = fault(DAVY_SIM_FAULT_FREEZE);
    davy_sim_faults_add(&faults, &freeze, 7);
    davy_sim_faults_add(&faults, &freeze, 9);
    assert_true(davy_sim_faults_is_on(&faults, DAVY_SIM_FAULT_FREEZE, 9));
    assert_true(faults.frozen_at_s == 7);
    assert_int_equal(draw(&faults, 10, &random), 0); /* a reply is in order */
}

static void arguments_and_places_are_checked(void **state)
{
    (void)state;
    struct davy_sim_fault f = fault(DAVY_SIM_FAULT_EXCEPTION);
    assert_non_null(davy_sim_fault_check(&f, DAVY_BUS_TCP, false)); /* needs a code */
    f.arg = 256;
    assert_non_null(davy_sim_fault_check(&f, DAVY_BUS_TCP, false));
    f.arg = 4;
    assert_null(davy_sim_fault_check(&f, DAVY_BUS_TCP, false));
    f = fault(DAVY_SIM_FAULT_DISCONNECT);
    assert_null(davy_sim_fault_check(&f, DAVY_BUS_RTU, false));
    assert_int_equal(f.arg, 2000); /* by default */
    f = fault(DAVY_SIM_FAULT_CRC);
    assert_non_null(davy_sim_fault_check(&f, DAVY_BUS_TCP, false));
    assert_null(davy_sim_fault_check(&f, DAVY_BUS_RTU_OVER_TCP, false));
    f.arg = 1;
    assert_non_null(davy_sim_fault_check(&f, DAVY_BUS_RTU, false)); /* takes none */
    f = fault(DAVY_SIM_FAULT_WRONG_TRANSACTION);
    assert_non_null(davy_sim_fault_check(&f, DAVY_BUS_RTU, false));
    f = fault(DAVY_SIM_FAULT_REFUSE);
    assert_non_null(davy_sim_fault_check(&f, DAVY_BUS_TCP, false));
    assert_null(davy_sim_fault_check(&f, DAVY_BUS_TCP, true));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_on_at_first_and_after_a_clear),
        cmocka_unit_test(count_ends_after_so_many_hits),
        cmocka_unit_test(duration_ends_at_its_time),
        cmocka_unit_test(probability_is_kept_on_the_whole),
        cmocka_unit_test(several_kinds_hit_together_and_one_replaces_itself),
        cmocka_unit_test(freeze_keeps_its_first_moment),
        cmocka_unit_test(arguments_and_places_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
