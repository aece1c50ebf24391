/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "acquire/quarantine.h"
#include "acquire/request.h"
#include "base/num.h"
#include "support/seed.h"
#include "support/small_config.h"

static const struct davy_share all = {.connections = 1};
static const struct davy_bus_reply silence = {.answer = DAVY_ANSWER_TIMEOUT};

static davy_mono at_ms(int64_t ms)
{
    return (davy_mono){ms * DAVY_NS_PER_MS};
}

static davy_mono at(int64_t s)
{
    return at_ms(1000 * s);
}

/* Of these devices a miss takes 100 ms. */
static struct davy_config *devices(unsigned count)
{
    static const char *const ids[] = {"A", "B", "C", "D", "E", "F", "G", "H"};
    struct davy_config *config = small_config_new();
    small_bus(config, "bus", DAVY_BUS_RTU);
    config->buses[0].timeout = davy_span_ms(100);
    for (unsigned i = 0; i < count; i++) {
        uint32_t device = small_device(config, ids[i], 0, (uint8_t)(i + 1));
        config->devices[device].max_reply = davy_span_ms(100);
        small_point(config, "p", 0, DAVY_TYPE_UINT16);
    }
    assert_int_equal(davy_requests_plan(config), 0);
    return config;
}

static void init(struct davy_quarantine *quarantine, const struct davy_config *config)
{
    assert_int_equal(davy_quarantine_init(quarantine, config, &all, at(0)), 0);
}

static bool miss(struct davy_quarantine *quarantine, uint32_t device, davy_mono now)
{
    return davy_quarantine_miss(quarantine, device, &silence, now);
}

static void one_miss_makes_it_silent_three_isolate_it_an_answer_ends_it(void **state)
{
    (void)state;
    struct davy_config *config = devices(2);
    struct davy_quarantine quarantine;
    init(&quarantine, config);
    assert_false(davy_quarantine_is_silent(&quarantine, 0, at(0)));
    assert_false(miss(&quarantine, 0, at(0)));
    assert_true(davy_quarantine_is_silent(&quarantine, 0, at(0)));
    assert_false(davy_quarantine_answer(&quarantine, 0, false)); /* it was not in quarantine yet */
    assert_false(miss(&quarantine, 0, at(0)));
    assert_false(miss(&quarantine, 0, at(0)));
    assert_int_equal(quarantine.isolated, 0);
    assert_true(miss(&quarantine, 0, at(0)));
    assert_false(miss(&quarantine, 0, at(0)));
    assert_int_equal(quarantine.isolated, 1);
    assert_false(davy_quarantine_is_silent(&quarantine, 1, at(0)));
    assert_true(davy_quarantine_answer(&quarantine, 0, false));
    assert_false(davy_quarantine_is_silent(&quarantine, 0, at(0)));
    assert_false(miss(&quarantine, 99, at(0)));
    davy_quarantine_done(&quarantine);
    davy_quarantine_done(&quarantine);
    davy_config_unref(config);
}

static void probes_come_after_1_1_1_2_4_and_then_every_5_seconds(void **state)
{
    (void)state;
    static const int64_t periods[] = {1, 1, 1, 2, 4, 5, 5};
    struct davy_config *config = devices(2);
    struct davy_quarantine quarantine;
    init(&quarantine, config);
    int64_t now = 0;
    assert_int_equal(davy_quarantine_next(&quarantine).ns, DAVY_MONO_NEVER.ns);
    miss(&quarantine, 0, at(0));
    for (size_t i = 0; i < DAVY_LENGTH(periods); i++) {
        now += periods[i];
        assert_int_equal(davy_quarantine_next(&quarantine).ns, at(now).ns);
        assert_int_equal(davy_quarantine_probe(&quarantine, at_ms(1000 * now - 1), DAVY_MONO_NEVER), DAVY_NONE);
        assert_int_equal(davy_quarantine_probe(&quarantine, at(now), at(now)), 0);
        miss(&quarantine, 0, at(now));
    }
    davy_quarantine_done(&quarantine);
    davy_config_unref(config);
}

static void an_empty_account_waits_for_a_tenth_of_the_time(void **state)
{
    (void)state;
    struct davy_config *config = devices(2);
    struct davy_quarantine quarantine;
    init(&quarantine, config);
    assert_true(davy_quarantine_can_pay(&quarantine, at(0)));
    davy_quarantine_pay(&quarantine, davy_span_ms(600), at(0)); /* it holds 100 ms */
    miss(&quarantine, 0, at(0));
    assert_false(davy_quarantine_can_pay(&quarantine, at(5)));
    assert_int_equal(davy_quarantine_probe(&quarantine, at_ms(4900), at_ms(4999)), DAVY_NONE);
    assert_int_equal(davy_quarantine_probe(&quarantine, at_ms(4900), at_ms(5000)), 0); /* ends before the next poll */
    assert_true(davy_quarantine_next(&quarantine).ns > at(5).ns);
    assert_int_equal(davy_quarantine_probe(&quarantine, davy_quarantine_next(&quarantine), at(0)), 0);
    assert_true(davy_quarantine_can_pay(&quarantine, at(1000)));
    davy_quarantine_pay(&quarantine, davy_span_ms(100), at(1000)); /* and never more */
    assert_false(davy_quarantine_can_pay(&quarantine, at(1000)));
    davy_quarantine_done(&quarantine);
    davy_config_unref(config);
}

/* A probe that the plan leaves no time for, whether it is not answered. */
static bool probe(struct davy_quarantine *quarantine, uint32_t device, davy_mono now)
{
    if (davy_quarantine_probe(quarantine, now, now) != device)
        return false;
    const davy_mono end = davy_mono_add(now, davy_span_s(1));
    davy_quarantine_pay(quarantine, davy_span_s(1), end);
    miss(quarantine, device, end);
    return true;
}

/* A dead device would take all of the account for ever: a neighbour that missed once needs some of it. */
static void a_dead_device_leaves_a_neighbour_what_a_damaged_reply_costs(void **state)
{
    (void)state;
    struct davy_config *config = devices(3);
    struct davy_quarantine quarantine;
    config->buses[0].timeout = davy_span_s(1);
    init(&quarantine, config);
    for (int i = 0; i < 5; i++)
        miss(&quarantine, 0, at(0));
    int64_t ms = 0, probes = 0;
    for (; ms < 100000; ms += 10) {
        if (!probe(&quarantine, 0, at_ms(ms)))
            continue;
        probes++;
        ms += 1010;
        assert_true(davy_quarantine_may_retry(&quarantine, 1, at_ms(ms)));
    }
    assert_in_range(probes, 9, 10); /* a tenth of the time */
    while (!probe(&quarantine, 0, at_ms(ms)))
        ms += 10;
    miss(&quarantine, 1, at_ms(ms + 1000));
    assert_int_equal(davy_quarantine_next(&quarantine).ns, at_ms(ms + 2000).ns);
    assert_true(probe(&quarantine, 1, at_ms(ms + 2000)));
    assert_false(davy_quarantine_can_pay(&quarantine, at_ms(ms + 3000)));
    assert_true(davy_quarantine_may_retry(&quarantine, 2, at_ms(ms + 3000))); /* it has answered until now */
    assert_false(davy_quarantine_may_retry(&quarantine, 1, at_ms(ms + 3000)));
    assert_false(davy_quarantine_may_retry(&quarantine, 0, at_ms(ms + 3000)));
    for (ms += 3000; !probe(&quarantine, 1, at_ms(ms)); ms += 10) /* the dead one is due for longer */
        assert_false(probe(&quarantine, 0, at_ms(ms)));
    assert_true(davy_quarantine_answer(&quarantine, 1, false));
    while (!probe(&quarantine, 0, at_ms(ms)))
        assert_true((ms += 10) < 150000);
    davy_quarantine_done(&quarantine);
    davy_config_unref(config);
}

static void the_account_holds_as_many_misses_as_there_are_retries(void **state)
{
    (void)state;
    struct davy_config *config = devices(2);
    struct davy_quarantine quarantine;
    config->buses[0].retries = 3;
    init(&quarantine, config);
    for (int i = 0; i < 3; i++) {
        assert_true(davy_quarantine_can_pay(&quarantine, at(0)));
        davy_quarantine_pay(&quarantine, davy_span_ms(100), at(0));
    }
    assert_false(davy_quarantine_can_pay(&quarantine, at(0)));
    davy_quarantine_done(&quarantine);
    davy_config_unref(config);
}

static void where_nobody_answers_each_is_asked_every_two_seconds_without_an_account(void **state)
{
    (void)state;
    struct davy_config *config = devices(2);
    struct davy_quarantine quarantine;
    init(&quarantine, config);
    davy_quarantine_pay(&quarantine, davy_span_s(600), at(0));
    for (int i = 0; i < 20; i++) {
        miss(&quarantine, 0, at(0));
        miss(&quarantine, 1, at(0));
    }
    assert_int_equal(davy_quarantine_probe(&quarantine, at(1), at(0)), DAVY_NONE);
    assert_int_equal(davy_quarantine_probe(&quarantine, at(2), at(0)), 0);
    miss(&quarantine, 0, at(2));
    assert_int_equal(davy_quarantine_probe(&quarantine, at(2), at(0)), 1);
    davy_quarantine_done(&quarantine);
    davy_config_unref(config);
}

static void a_new_plan_remembers_devices_by_id(void **state)
{
    (void)state;
    struct davy_config *before = devices(1), *after = devices(3);
    struct davy_quarantine old, quarantine;
    after->devices[0].id = "B"; /* the order changed */
    after->devices[1].id = "A";
    after->devices[1].unit = before->devices[0].unit;
    init(&old, before);
    for (int i = 0; i < 3; i++)
        miss(&old, 0, at(0));
    davy_quarantine_pay(&old, davy_span_s(1), at(0));
    init(&quarantine, after);
    davy_quarantine_keep(&quarantine, &old);
    assert_false(davy_quarantine_is_silent(&quarantine, 0, at(0)));
    assert_true(davy_quarantine_is_silent(&quarantine, 1, at(0)));
    assert_int_equal(quarantine.isolated, 1);
    assert_false(davy_quarantine_can_pay(&quarantine, at(1)));
    davy_quarantine_done(&old);
    davy_quarantine_done(&quarantine);
    davy_config_unref(before);
    davy_config_unref(after);
}

static void a_new_plan_knows_nothing_of_a_device_behind_another_unit_number(void **state)
{
    (void)state;
    struct davy_config *before = devices(2), *after = devices(2);
    struct davy_quarantine old, quarantine;
    after->devices[0].unit = 9;
    init(&old, before);
    for (int i = 0; i < 3; i++)
        miss(&old, 0, at(0));
    init(&quarantine, after);
    davy_quarantine_keep(&quarantine, &old);
    assert_false(davy_quarantine_is_silent(&quarantine, 0, at(0)));
    assert_int_equal(quarantine.isolated, 0);
    davy_quarantine_done(&old);
    davy_quarantine_done(&quarantine);
    davy_config_unref(before);
    davy_config_unref(after);
}

static void a_device_far_over_its_plan_is_slow_until_it_is_not(void **state)
{
    (void)state;
    struct davy_config *config = devices(2);
    struct davy_quarantine quarantine;
    init(&quarantine, config);
    unsigned polls = 0;
    assert_false(davy_quarantine_note(&quarantine, 0, davy_span_ms(40), davy_span_ms(40), false));
    while (!davy_quarantine_note(&quarantine, 0, davy_span_ms(280), davy_span_ms(40), false))
        polls++;
    assert_in_range(polls, 2, 10);
    while (!davy_quarantine_note(&quarantine, 0, davy_span_ms(40), davy_span_ms(40), false))
        polls++;
    assert_in_range(polls, 4, 25);
    for (int i = 0; i < 100; i++) /* quick anyhow */
        assert_false(davy_quarantine_note(&quarantine, 1, davy_span_ms(40), davy_span_ms(1), false));
    davy_quarantine_done(&quarantine);
    davy_config_unref(config);
}

static void a_device_that_misses_often_waits_in_line_while_nobody_pays(void **state)
{
    (void)state;
    struct davy_config *config = devices(2);
    struct davy_quarantine quarantine;
    init(&quarantine, config);
    for (int i = 0; i < 4; i++) {
        davy_quarantine_note(&quarantine, 0, davy_span_ms(100), davy_span_ms(40), i % 2 == 0);
        miss(&quarantine, 0, at(0));
        davy_quarantine_answer(&quarantine, 0, false);
    }
    assert_true(davy_quarantine_find(&quarantine, 0)->flapping);
    assert_false(davy_quarantine_is_silent(&quarantine, 0, at(0)));
    davy_quarantine_pay(&quarantine, davy_span_ms(300), at(0));
    assert_true(davy_quarantine_is_silent(&quarantine, 0, at(1)));
    assert_int_equal(davy_quarantine_probe(&quarantine, at(1), at(1)), DAVY_NONE);
    assert_int_equal(davy_quarantine_probe(&quarantine, at(3), at(3)), 0);
    davy_quarantine_answer(&quarantine, 0, false);
    assert_false(davy_quarantine_is_silent(&quarantine, 0, at(3)));
    davy_quarantine_done(&quarantine);
    davy_config_unref(config);
}

/* However devices fall silent, come back and fall again: what does not answer stays within the bound of the header. */
static void the_bound_holds_and_nobody_is_forgotten(void **state)
{
    (void)state;
    struct davy_random random = {.state = davy_test_seed(29)};
    for (int round = 0; round < 50; round++) {
        unsigned count = 2 + (unsigned)(davy_random_next(&random) % 7), alive = count;
        struct davy_config *config = devices(count);
        struct davy_quarantine quarantine;
        config->buses[0].retries = (int)(davy_random_next(&random) % 4);
        init(&quarantine, config);
        bool dead[8] = {false};
        davy_mono probed[8] = {{0}};
        int64_t lost_ms = 0, now = 0, fell = 0;
        const int64_t burst = 100 * (config->buses[0].retries > 1 ? config->buses[0].retries : 1) + 100;
        for (; now < 600000; now += 10) { /* ms; a poll of one device each 10 ms */
            uint32_t device = (uint32_t)(now / 10) % count;
            if (!dead[device] && alive > 1 && davy_random_next(&random) % 20000 == 0) {
                dead[device] = true; /* its next poll is the first miss */
                alive--;
            }
            if (dead[device] && !davy_quarantine_is_silent(&quarantine, device, at_ms(now))) {
                now += 100;
                lost_ms += 100;
                fell++;
                miss(&quarantine, device, at_ms(now));
                probed[device] = at_ms(now);
            }
            uint32_t sick = davy_quarantine_probe(&quarantine, at_ms(now), at_ms(now));
            if (sick != DAVY_NONE) {
                now += 100;
                lost_ms += 100;
                davy_quarantine_pay(&quarantine, davy_span_ms(100), at_ms(now));
                probed[sick] = at_ms(now);
                miss(&quarantine, sick, at_ms(now));
            }
            assert_true(lost_ms <= 100 * fell + burst + now / 10 + 1);
            for (unsigned i = 0; i < count; i++)
                if (dead[i])
                    assert_true(now - probed[i].ns / DAVY_NS_PER_MS <= 5000 + 100 * 11 * (count + 1) ||
                                probed[i].ns == 0);
        }
        davy_quarantine_done(&quarantine);
        davy_config_unref(config);
    }
}

/*
 * Three may as well be dying; a fourth makes it the line, which is to blame then until devices miss three times in a
 * row.
 */
static void a_line_is_bad_when_a_fourth_device_misses_now_and_then(void **state)
{
    (void)state;
    struct davy_config *config = devices(8);
    struct davy_quarantine quarantine;
    init(&quarantine, config);
    davy_quarantine_pay(&quarantine, davy_span_ms(500), at(0));
    for (uint32_t device = 0; device < 4; device++) {
        assert_true(davy_quarantine_pays(&quarantine, 7, true));
        assert_false(davy_quarantine_may_retry(&quarantine, 7, at(0)));
        davy_quarantine_answer(&quarantine, device, true);
    }
    for (int misses = 0; misses < 3; misses++) {
        assert_false(davy_quarantine_is_silent(&quarantine, 7, at(0)));
        assert_false(davy_quarantine_pays(&quarantine, 7, true));
        assert_int_equal(davy_quarantine_may_retry(&quarantine, 7, at(0)), misses == 0);
        miss(&quarantine, 7, at(0));
    }
    assert_true(davy_quarantine_is_silent(&quarantine, 7, at(0)));
    davy_quarantine_done(&quarantine);
    davy_config_unref(config);
}

/* A night of sleep in the middle of an exchange is nothing that the device cost anybody. */
static void a_machine_that_sleeps_in_an_exchange_charges_no_device_for_the_night(void **state)
{
    (void)state;
    struct davy_config *config = devices(4);
    struct davy_quarantine quarantine;
    const davy_span night = davy_span_s(36000);
    init(&quarantine, config);
    assert_false(miss(&quarantine, 0, at(36000)));
    davy_quarantine_pay(&quarantine, night, at(36000));
    assert_false(davy_quarantine_note(&quarantine, 1, night, davy_span_ms(10), false));
    assert_int_equal(davy_quarantine_probe(&quarantine, at(36002), at_ms(36002050)), 0);
    davy_quarantine_done(&quarantine);
    davy_config_unref(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_miss_makes_it_silent_three_isolate_it_an_answer_ends_it),
        cmocka_unit_test(probes_come_after_1_1_1_2_4_and_then_every_5_seconds),
        cmocka_unit_test(an_empty_account_waits_for_a_tenth_of_the_time),
        cmocka_unit_test(a_dead_device_leaves_a_neighbour_what_a_damaged_reply_costs),
        cmocka_unit_test(the_account_holds_as_many_misses_as_there_are_retries),
        cmocka_unit_test(where_nobody_answers_each_is_asked_every_two_seconds_without_an_account),
        cmocka_unit_test(a_new_plan_remembers_devices_by_id),
        cmocka_unit_test(a_new_plan_knows_nothing_of_a_device_behind_another_unit_number),
        cmocka_unit_test(a_device_far_over_its_plan_is_slow_until_it_is_not),
        cmocka_unit_test(a_device_that_misses_often_waits_in_line_while_nobody_pays),
        cmocka_unit_test(a_line_is_bad_when_a_fourth_device_misses_now_and_then),
        cmocka_unit_test(a_machine_that_sleeps_in_an_exchange_charges_no_device_for_the_night),
        cmocka_unit_test(the_bound_holds_and_nobody_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
