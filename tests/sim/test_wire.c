/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/attr.h"
#include "base/num.h"
#include "sim/wire.h"

#define US DAVY_NS_PER_US
#define MS DAVY_NS_PER_MS

static davy_mono at(int64_t ns)
{
    return (davy_mono){DAVY_NS_PER_S + ns};
}

static davy_mono after(davy_mono from, int64_t ns)
{
    return davy_mono_add(from, (davy_span){ns});
}

static void characters_and_silence_are_those_of_the_standard(void **state)
{
    (void)state;
    static const struct {
        int baud, bits;
        int64_t character_ns, silence_ns;
    } cases[] = {
        {2400, 11, 4583333, 16041665}, {9600, 11, 1145833, 4010415}, {9600, 10, 1041666, 3645831},
        {19200, 11, 572916, 2005206},  {38400, 11, 286458, 1750000}, {115200, 10, 86805, 1750000},
    };
    for (size_t i = 0; i < DAVY_LENGTH(cases); i++) {
        struct davy_sim_wire wire = davy_sim_wire_make(cases[i].baud, cases[i].bits);
        assert_true(davy_sim_wire_is_timed(&wire));
        assert_int_equal(wire.character.ns, cases[i].character_ns);
        assert_int_equal(wire.silence.ns, cases[i].silence_ns);
    }
    struct davy_sim_wire none = davy_sim_wire_make(0, 10);
    assert_false(davy_sim_wire_is_timed(&none));
}

/* One transaction: 8 characters, the device's turn-around, 5 + 2 * registers, and the silence of the master. */
static int64_t transaction_ns(int baud, int bits, size_t registers, davy_span turn_around)
{
    struct davy_sim_wire wire = davy_sim_wire_make(baud, bits);
    assert_int_equal(davy_sim_wire_hear(&wire, at(0), 8, true), DAVY_SIM_WIRE_CLEAN);
    davy_mono end = davy_mono_add(davy_sim_wire_turn(&wire, turn_around), davy_sim_wire_time(&wire, 5 + 2 * registers));
    assert_int_equal(davy_sim_wire_reply(&wire, davy_mono_add(wire.asked_until, turn_around), end),
                     DAVY_SIM_WIRE_CLEAN);
    return davy_mono_sub(davy_mono_add(end, wire.silence), at(0)).ns;
}

/* To a microsecond: Ttxn = (8 + 5 + 2N) * Tc + max(Tturn, t3.5) + t3.5 with 8E1, N = 2 and 22. */
static void a_transaction_takes_what_the_closed_formula_says(void **state)
{
    (void)state;
    static const struct {
        int baud, bits;
        size_t registers;
        int64_t turn_us, expected_us;
    } cases[] = {
        {9600, 11, 2, 0, 27500},       {9600, 11, 22, 0, 73333},   {2400, 11, 2, 0, 110000},
        {19200, 11, 2, 0, 13750},      {115200, 11, 2, 0, 5123},   {9600, 10, 2, 0, 25000},
        {115200, 10, 2, 0, 4976},      {9600, 11, 2, 4010, 27500}, {9600, 11, 2, 20000, 43490},
        {115200, 11, 2, 20000, 23373},
    };
    for (size_t i = 0; i < DAVY_LENGTH(cases); i++) {
        int64_t took =
            transaction_ns(cases[i].baud, cases[i].bits, cases[i].registers, (davy_span){cases[i].turn_us * US});
        assert_in_range(took / US, cases[i].expected_us - 1, cases[i].expected_us + 1);
    }
}

static void a_request_in_two_writes_takes_as_long_as_in_one(void **state)
{
    (void)state;
    struct davy_sim_wire wire = davy_sim_wire_make(9600, 10);
    (void)davy_sim_wire_hear(&wire, at(0), 3, true);
    assert_int_equal(davy_sim_wire_hear(&wire, at(1 * MS), 5, false), DAVY_SIM_WIRE_CLEAN);
    assert_int_equal(davy_mono_sub(wire.asked_until, at(0)).ns, davy_sim_wire_time(&wire, 8).ns);
    assert_true(davy_sim_wire_is_asking(&wire, at(8 * MS)));
    assert_false(davy_sim_wire_is_asking(&wire, at(9 * MS)));
    (void)davy_sim_wire_hear(&wire, at(20 * MS), 1, false); /* a pause within a frame is waited for */
    assert_int_equal(davy_mono_sub(wire.asked_until, at(20 * MS)).ns, wire.character.ns);
}

/* With honest gaps of any length nothing is counted, a nanosecond less than the silence always is. */
static void gaps_below_the_silence_are_early_and_no_others(void **state)
{
    (void)state;
    struct davy_random random = {.state = 42};
    struct davy_sim_wire wire = davy_sim_wire_make(9600, 11);
    assert_int_equal(davy_sim_wire_hear(&wire, at(0), 8, true), DAVY_SIM_WIRE_CLEAN);
    for (int i = 0; i < 10000; i++) {
        davy_mono last = wire.asked_until;
        if (davy_random_unit(&random) < 0.7) { /* else nobody replies */
            davy_mono start = davy_sim_wire_turn(&wire, (davy_span){(int64_t)(davy_random_unit(&random) * 5e7)});
            last = davy_mono_add(start, davy_sim_wire_time(&wire, 9));
            assert_int_equal(davy_sim_wire_reply(&wire, start, last), DAVY_SIM_WIRE_CLEAN);
        }
        bool early = davy_random_unit(&random) < 0.5;
        int64_t more = (int64_t)(davy_random_unit(&random) * 1e7);
        int64_t gap = early ? wire.silence.ns - 1 - more % wire.silence.ns : wire.silence.ns + more;
        assert_int_equal(davy_sim_wire_hear(&wire, after(last, gap), 8, true),
                         early ? DAVY_SIM_WIRE_EARLY : DAVY_SIM_WIRE_CLEAN);
    }
}

static void a_request_during_a_reply_is_a_collision(void **state)
{
    (void)state;
    struct davy_sim_wire wire = davy_sim_wire_make(9600, 10);
    (void)davy_sim_wire_hear(&wire, at(0), 8, true);
    davy_mono start = davy_sim_wire_turn(&wire, (davy_span){10 * MS});
    davy_mono end = davy_mono_add(start, davy_sim_wire_time(&wire, 9));
    assert_int_equal(davy_sim_wire_reply(&wire, start, end), DAVY_SIM_WIRE_CLEAN);
    struct davy_sim_wire again = wire;
    assert_int_equal(davy_sim_wire_hear(&again, after(end, -1), 8, true), DAVY_SIM_WIRE_COLLISION);
    again = wire;
    assert_int_equal(davy_sim_wire_hear(&again, end, 8, true), DAVY_SIM_WIRE_EARLY);
}

static void a_late_reply_into_a_request_or_another_reply_is_a_collision(void **state)
{
    (void)state;
    struct davy_sim_wire wire = davy_sim_wire_make(9600, 10);
    (void)davy_sim_wire_hear(&wire, at(0), 8, true);
    (void)davy_sim_wire_hear(&wire, at(100 * MS), 8, true);
    struct davy_sim_wire second = wire;
    assert_int_equal(davy_sim_wire_reply(&second, at(105 * MS), at(115 * MS)), DAVY_SIM_WIRE_COLLISION);
    second = wire;
    assert_int_equal(davy_sim_wire_reply(&second, at(120 * MS), at(130 * MS)), DAVY_SIM_WIRE_CLEAN);
    assert_int_equal(davy_sim_wire_reply(&second, at(129 * MS), at(139 * MS)), DAVY_SIM_WIRE_COLLISION);
    assert_int_equal(second.replied_until.ns, at(139 * MS).ns);
}

static void slow_lines_hand_over_single_bytes_fast_ones_a_millisecond_of_them(void **state)
{
    (void)state;
    struct davy_sim_wire slow = davy_sim_wire_make(9600, 10), fast = davy_sim_wire_make(115200, 10);
    assert_int_equal(davy_sim_wire_portion(&slow), 1);
    assert_int_equal(davy_sim_wire_portion(&fast), 11);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(characters_and_silence_are_those_of_the_standard),
        cmocka_unit_test(a_transaction_takes_what_the_closed_formula_says),
        cmocka_unit_test(a_request_in_two_writes_takes_as_long_as_in_one),
        cmocka_unit_test(gaps_below_the_silence_are_early_and_no_others),
        cmocka_unit_test(a_request_during_a_reply_is_a_collision),
        cmocka_unit_test(a_late_reply_into_a_request_or_another_reply_is_a_collision),
        cmocka_unit_test(slow_lines_hand_over_single_bytes_fast_ones_a_millisecond_of_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
