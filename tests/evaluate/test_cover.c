/* SPDX-License-Identifier: Apache-2.0 */
/* Covers: shelved for a time, out of service without end (ARCHITECTURE.md, States of an alarm). */
#include "support/bench.h"

#define ALARM "h2s:GT-101.h2s"
#define HOUR  3600.0

static struct bench bench;

/* Yellow at 3, orange at 7, red at 14; red may not be shelved and latches. */
static struct davy_config *plant(void)
{
    struct davy_config *config = plant_new(2);
    struct davy_limit limits[] = {bench_above(DAVY_LEVEL_YELLOW, 3), bench_above(DAVY_LEVEL_ORANGE, 7),
                                  bench_above(DAVY_LEVEL_RED, 14)};
    limits[2].shelvable = false;
    limits[2].latch = true;
    plant_add_rule(config, "h2s", limits, 3);
    for (size_t i = 0; i < 2; i++)
        config->points[i].max_age = davy_span_s(1000000);
    return config;
}

static void begin(void)
{
    bench_begin(&bench, plant());
}

static void raised_orange(void)
{
    begin();
    bench_good(&bench, 1, 0, 8);
    expect(&bench, 1, "raised " ALARM " unacknowledged orange");
}

static int shelve(double seconds, double hours)
{
    return bench_command_for(&bench, seconds, DAVY_COMMAND_SHELVE, ALARM, davy_span_ms((int64_t)(hours * 3600e3)),
                             "being repaired");
}

static void shelved_and_unshelved(void **unused)
{
    (void)unused;
    raised_orange();
    assert_int_equal(shelve(2, 1), 0);
    const struct davy_event *on = expect(&bench, 2, "shelved " ALARM " shelved orange");
    assert_string_equal(on->by, "local:test");
    assert_string_equal(on->note, "being repaired");
    assert_int_equal(on->previous_state, DAVY_STATE_UNACKNOWLEDGED);
    assert_true(on->active);
    struct davy_alarm_view view = bench_view(&bench, ALARM);
    assert_int_equal(view.state, DAVY_STATE_SHELVED);
    assert_int_equal(view.below, DAVY_STATE_UNACKNOWLEDGED);
    assert_int_equal(view.shelved_until.ns, bench_at(2 + HOUR).wall.ns);
    assert_string_equal(view.note, "being repaired");
    assert_int_equal(bench_command(&bench, 3, DAVY_COMMAND_UNSHELVE, ALARM), 0);
    const struct davy_event *off = expect(&bench, 3, "unshelved " ALARM " unacknowledged orange");
    assert_string_equal(off->by, "local:test");
    assert_int_equal(bench_command(&bench, 4, DAVY_COMMAND_UNSHELVE, ALARM), DAVY_REFUSED);
    expect_silence(&bench);
    bench_end(&bench);
}

static void default_and_limit_are_8_and_12_hours(void **unused)
{
    (void)unused;
    raised_orange();
    assert_int_equal(DAVY_SHELVE_DEFAULT.ns, 8 * 3600 * DAVY_NS_PER_S);
    assert_int_equal(shelve(2, 12.001), DAVY_REFUSED);
    assert_int_equal(shelve(2, 0), DAVY_REFUSED);
    assert_int_equal(shelve(2, -1), DAVY_REFUSED);
    assert_int_equal(shelve(2, 12), 0);
    expect(&bench, 2, "shelved " ALARM " shelved orange");
    bench_advance(&bench, 2 + 12 * HOUR - 0.001);
    expect_silence(&bench);
    bench_advance(&bench, 2 + 12 * HOUR);
    expect(&bench, 2 + 12 * HOUR, "unshelved " ALARM " unacknowledged orange");
    bench_end(&bench);
}

static void refused_without_reason_twice_or_of_what_may_not_be_shelved(void **unused)
{
    (void)unused;
    raised_orange();
    assert_int_equal(bench_command_for(&bench, 2, DAVY_COMMAND_SHELVE, ALARM, davy_span_s(60), ""), DAVY_REFUSED);
    assert_int_equal(bench_command_for(&bench, 2, DAVY_COMMAND_OUT_OF_SERVICE, ALARM, davy_span_s(0), ""),
                     DAVY_REFUSED);
    assert_int_equal(bench_command(&bench, 2, DAVY_COMMAND_IN_SERVICE, ALARM), DAVY_REFUSED);
    assert_int_equal(shelve(3, 1), 0);
    expect(&bench, 3, "shelved " ALARM " shelved orange");
    assert_int_equal(shelve(4, 1), DAVY_REFUSED);
    bench_end(&bench);

    begin();
    bench_good(&bench, 1, 0, 15);
    expect(&bench, 1, "raised " ALARM " unacknowledged red");
    assert_int_equal(shelve(2, 1), DAVY_REFUSED);
    bench_good(&bench, 3, 0, 8); /* red only held by its latch: still tripped */
    assert_int_equal(shelve(4, 1), DAVY_REFUSED);
    expect_silence(&bench);
    assert_int_equal(bench_command(&bench, 5, DAVY_COMMAND_RESET, ALARM), 0);
    expect(&bench, 5, "reset " ALARM " unacknowledged orange");
    assert_int_equal(shelve(6, 1), 0);
    bench_end(&bench);
}

static void it_ends_by_time_and_nobody_did_it(void **unused)
{
    (void)unused;
    raised_orange();
    bench_ack(&bench, 2, ALARM);
    expect(&bench, 2, "acknowledged " ALARM " acknowledged orange");
    shelve(3, 1);
    expect(&bench, 3, "shelved " ALARM " shelved orange");
    bench_good(&bench, 3 + HOUR, 0, 9);
    const struct davy_event *off = expect(&bench, 3 + HOUR, "unshelved " ALARM " unacknowledged orange");
    assert_string_equal(off->by, "");
    assert_true(off->active && !off->acknowledged);
    assert_int_equal((int)off->value, 8); /* it fell due before the reading */
    expect_silence(&bench);
    bench_end(&bench);
}

static void leaving_with_the_condition_gone_gives_the_state_below(void **unused)
{
    (void)unused;
    raised_orange();
    shelve(2, 1);
    expect(&bench, 2, "shelved " ALARM " shelved orange");
    bench_good(&bench, 3, 0, 1);
    expect(&bench, 3, "cleared " ALARM " shelved orange");
    bench_advance(&bench, 2 + HOUR);
    expect(&bench, 2 + HOUR, "unshelved " ALARM " returned orange");
    bench_ack(&bench, 2 + HOUR, ALARM);
    expect(&bench, 2 + HOUR, "acknowledged " ALARM " normal orange");
    bench_end(&bench);
}

static void without_acknowledge_leaving_gives_acknowledged(void **unused)
{
    (void)unused;
    struct davy_config *config = plant_new(1);
    struct davy_limit limit = bench_above(DAVY_LEVEL_ORANGE, 7);
    limit.acknowledge = false;
    plant_add_rule(config, "h2s", &limit, 1);
    bench_begin(&bench, config);
    bench_good(&bench, 1, 0, 8);
    expect(&bench, 1, "raised " ALARM " acknowledged orange");
    shelve(2, 0.5);
    expect(&bench, 2, "shelved " ALARM " shelved orange");
    bench_advance(&bench, 2 + HOUR / 2);
    expect(&bench, 2 + HOUR / 2, "unshelved " ALARM " acknowledged orange");
    bench_end(&bench);
}

static void a_level_above_that_of_shelving_ends_it(void **unused)
{
    (void)unused;
    begin();
    bench_good(&bench, 1, 0, 4);
    expect(&bench, 1, "raised " ALARM " unacknowledged yellow");
    shelve(2, 1);
    expect(&bench, 2, "shelved " ALARM " shelved yellow");
    bench_good(&bench, 3, 0, 1);
    expect(&bench, 3, "cleared " ALARM " shelved yellow");
    bench_good(&bench, 4, 0, 4);
    expect(&bench, 4, "raised " ALARM " shelved yellow");
    bench_good(&bench, 5, 0, 8);
    const struct davy_event *off = expect(&bench, 5, "unshelved " ALARM " unacknowledged yellow");
    assert_true(off->active);
    assert_string_equal(off->by, "");
    assert_int_equal(expect(&bench, 5, "escalated " ALARM " unacknowledged orange")->previous_level, DAVY_LEVEL_YELLOW);
    expect_silence(&bench);
    bench_end(&bench);
}

static void a_limit_that_may_not_be_shelved_ends_it_at_any_level(void **unused)
{
    (void)unused;
    struct davy_config *config = plant_new(1);
    struct davy_limit limits[] = {bench_above(DAVY_LEVEL_YELLOW, 14), bench_above(DAVY_LEVEL_RED, 7)};
    limits[0].shelvable = false;
    plant_add_rule(config, "h2s", limits, 2);
    bench_begin(&bench, config);
    bench_good(&bench, 1, 0, 8);
    expect(&bench, 1, "raised " ALARM " unacknowledged red");
    shelve(2, 1);
    expect(&bench, 2, "shelved " ALARM " shelved red");
    bench_good(&bench, 3, 0, 15); /* yellow below red: no event of the limits */
    expect(&bench, 3, "unshelved " ALARM " unacknowledged red");
    expect_silence(&bench);
    bench_end(&bench);
}

/* What the first raise under the shelf has is what was shelved. */
static void shelved_before_anything_occurred(void **unused)
{
    (void)unused;
    begin();
    bench_good(&bench, 1, 0, 1);
    assert_int_equal(shelve(2, 1), 0);
    const struct davy_event *on = expect(&bench, 2, "shelved " ALARM " shelved -");
    assert_true(davy_uuid_is_nil(&on->id));
    assert_int_equal(on->count, 0);
    bench_good(&bench, 3, 0, 8);
    const struct davy_event *raised = expect(&bench, 3, "raised " ALARM " shelved orange");
    assert_false(davy_uuid_is_nil(&raised->id));
    assert_int_equal(raised->previous_state, DAVY_STATE_SHELVED);
    assert_false(raised->ends);
    bench_good(&bench, 4, 0, 15);
    expect(&bench, 4, "unshelved " ALARM " unacknowledged orange");
    expect(&bench, 4, "escalated " ALARM " unacknowledged red");
    bench_end(&bench);

    begin();
    shelve(2, 1);
    expect(&bench, 2, "shelved " ALARM " shelved -");
    bench_good(&bench, 3, 0, 15); /* may not be shelved: hidden for no instant */
    expect(&bench, 3, "unshelved " ALARM " normal -");
    expect(&bench, 3, "raised " ALARM " unacknowledged red");
    bench_end(&bench);

    begin();
    shelve(2, 1);
    expect(&bench, 2, "shelved " ALARM " shelved -");
    bench_advance(&bench, 2 + HOUR);
    assert_true(expect(&bench, 2 + HOUR, "unshelved " ALARM " normal -")->ends);
    bench_end(&bench);
}

static void ack_and_reset_act_below_a_cover(void **unused)
{
    (void)unused;
    begin();
    assert_int_equal(bench_command(&bench, 1, DAVY_COMMAND_OUT_OF_SERVICE, ALARM), 0);
    expect(&bench, 1, "out-of-service " ALARM " out-of-service -");
    assert_int_equal(bench_ack(&bench, 1, ALARM), DAVY_REFUSED);
    bench_good(&bench, 2, 0, 15);
    expect(&bench, 2, "raised " ALARM " out-of-service red"); /* red does not end this cover */
    bench_ack(&bench, 3, ALARM);
    assert_true(expect(&bench, 3, "acknowledged " ALARM " out-of-service red")->acknowledged);
    bench_good(&bench, 4, 0, 1);
    assert_true(expect(&bench, 4, "latched " ALARM " out-of-service red")->latched);
    assert_int_equal(bench_view(&bench, ALARM).below, DAVY_STATE_LATCHED);
    assert_int_equal(bench_command(&bench, 5, DAVY_COMMAND_RESET, ALARM), 0);
    const struct davy_event *reset = expect(&bench, 5, "reset " ALARM " out-of-service red");
    assert_false(reset->ends); /* it is over, the cover is not */
    assert_int_equal(bench_view(&bench, ALARM).below, DAVY_STATE_NORMAL);
    assert_int_equal(bench_command(&bench, 6, DAVY_COMMAND_IN_SERVICE, ALARM), 0);
    assert_true(expect(&bench, 6, "in-service " ALARM " normal -")->ends);
    expect_silence(&bench);
    bench_end(&bench);
}

static void out_of_service_shows_before_shelved(void **unused)
{
    (void)unused;
    raised_orange();
    bench_ack(&bench, 1, ALARM);
    expect(&bench, 1, "acknowledged " ALARM " acknowledged orange");
    assert_int_equal(shelve(2, 1), 0);
    expect(&bench, 2, "shelved " ALARM " shelved orange");
    assert_int_equal(bench_command(&bench, 3, DAVY_COMMAND_OUT_OF_SERVICE, ALARM), 0);
    expect(&bench, 3, "out-of-service " ALARM " out-of-service orange");
    assert_int_equal(bench_command(&bench, 3, DAVY_COMMAND_OUT_OF_SERVICE, ALARM), DAVY_REFUSED);
    bench_advance(&bench, 2 + HOUR);
    /* the state below is unacknowledged, although the other cover is still on */
    expect(&bench, 2 + HOUR, "unshelved " ALARM " out-of-service orange");
    assert_int_equal(bench_view(&bench, ALARM).below, DAVY_STATE_UNACKNOWLEDGED);
    assert_int_equal(shelve(3 + HOUR, 1), 0); /* and the reverse */
    expect(&bench, 3 + HOUR, "shelved " ALARM " out-of-service orange");
    assert_int_equal(bench_command(&bench, 4 + HOUR, DAVY_COMMAND_IN_SERVICE, ALARM), 0);
    expect(&bench, 4 + HOUR, "in-service " ALARM " shelved orange");
    assert_int_equal(bench_command(&bench, 5 + HOUR, DAVY_COMMAND_IN_SERVICE, ALARM), DAVY_REFUSED);
    expect_silence(&bench);
    bench_end(&bench);
}

static void out_of_service_has_no_end_and_leaving_it_is_unacknowledged(void **unused)
{
    (void)unused;
    raised_orange();
    bench_ack(&bench, 2, ALARM);
    expect(&bench, 2, "acknowledged " ALARM " acknowledged orange");
    bench_command(&bench, 3, DAVY_COMMAND_OUT_OF_SERVICE, ALARM);
    expect(&bench, 3, "out-of-service " ALARM " out-of-service orange");
    bench_advance(&bench, 100 * HOUR);
    bench_good(&bench, 101 * HOUR, 0, 15);
    expect(&bench, 101 * HOUR, "escalated " ALARM " out-of-service red");
    bench_command(&bench, 102 * HOUR, DAVY_COMMAND_IN_SERVICE, ALARM);
    const struct davy_event *back = expect(&bench, 102 * HOUR, "in-service " ALARM " unacknowledged red");
    assert_false(back->acknowledged);
    expect_silence(&bench);
    bench_end(&bench);
}

static void a_reload_without_the_rule_retires_what_is_covered(void **unused)
{
    (void)unused;
    for (int occurs = 0; occurs < 2; occurs++) {
        begin();
        if (occurs) {
            bench_good(&bench, 1, 0, 8);
            expect(&bench, 1, "raised " ALARM " unacknowledged orange");
        }
        bench_command(&bench, 2, DAVY_COMMAND_OUT_OF_SERVICE, ALARM);
        expect(&bench, 2,
               occurs ? "out-of-service " ALARM " out-of-service orange" : "out-of-service " ALARM " out-of-service -");
        bench_reload(&bench, 3, plant_new(2));
        assert_true(expect(&bench, 3, occurs ? "retired " ALARM " normal orange" : "retired " ALARM " normal -")->ends);
        bench_reload(&bench, 4, plant());
        bench_good(&bench, 5, 0, 8);
        expect(&bench, occurs ? 4 : 5, "raised " ALARM " unacknowledged orange");
        expect_silence(&bench);
        bench_end(&bench);
    }
}

static void covers_survive_reload_and_restart(void **unused)
{
    (void)unused;
    raised_orange();
    shelve(2, 1);
    expect(&bench, 2, "shelved " ALARM " shelved orange");
    bench_reload(&bench, 3, plant());
    bench_restart(&bench, 4);
    bench_good(&bench, 5, 0, 1);
    expect(&bench, 5, "cleared " ALARM " shelved orange");
    bench_good(&bench, 6, 0, 8);
    expect(&bench, 6, "raised " ALARM " shelved orange");
    bench_restart(&bench, 2 * HOUR);
    expect(&bench, 2 + HOUR, "unshelved " ALARM " unacknowledged orange");
    bench_command(&bench, 2 * HOUR, DAVY_COMMAND_OUT_OF_SERVICE, ALARM);
    expect(&bench, 2 * HOUR, "out-of-service " ALARM " out-of-service orange");
    bench_restart(&bench, 3 * HOUR);
    assert_string_equal(bench_view(&bench, ALARM).note, "because");
    bench_good(&bench, 3 * HOUR, 0, 1);
    expect(&bench, 3 * HOUR, "cleared " ALARM " out-of-service orange");
    expect_silence(&bench);
    bench_end(&bench);
}

static void built_in_alarms_may_be_covered(void **unused)
{
    (void)unused;
    begin();
    bench.kinds = 1U << DAVY_ALARM_FAULT;
    for (int i = 0; i < 12; i++) {
        bench_bad(&bench, i, 0);
        bench_good(&bench, i, 1, 1);
    }
    expect(&bench, 10, "raised fault:GT-101 acknowledged yellow");
    assert_int_equal(
        bench_command_for(&bench, 20, DAVY_COMMAND_SHELVE, "fault:GT-101", davy_span_s(100), "away for repair"), 0);
    expect(&bench, 20, "shelved fault:GT-101 shelved yellow");
    bench_advance(&bench, 120);
    expect(&bench, 120, "unshelved fault:GT-101 acknowledged yellow");
    expect_silence(&bench);
    bench_end(&bench);
}

static void a_reset_that_comes_too_early_is_told_what_to_wait_for(void **unused)
{
    (void)unused;
    struct davy_limit red = bench_above(DAVY_LEVEL_RED, 14);
    red.latch = true;
    red.off_delay = davy_span_s(5);
    struct davy_config *config = plant_new(1);
    plant_add_rule(config, "h2s", &red, 1);
    bench_begin(&bench, config);
    bench_good(&bench, 1, 0, 20);
    assert_int_equal(bench_command(&bench, 2, DAVY_COMMAND_RESET, ALARM), DAVY_REFUSED);
    assert_string_equal(bench.refusal, "the condition is still true: there is nothing to release");
    bench_bad(&bench, 3, 0);
    assert_int_equal(bench_command(&bench, 3, DAVY_COMMAND_RESET, ALARM), DAVY_REFUSED);
    assert_string_equal(bench.refusal, "not yet: the newest reading is bad (comm), which clears nothing");
    bench_good(&bench, 4, 0, 1);
    assert_int_equal(bench_command(&bench, 6, DAVY_COMMAND_RESET, ALARM), DAVY_REFUSED);
    assert_string_equal(bench.refusal, "not yet: the off-delay of red has 3 s to go");
    bench_good(&bench, 10, 0, 1);
    assert_int_equal(bench_command(&bench, 11, DAVY_COMMAND_RESET, ALARM), 0);
    bench_end(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shelved_and_unshelved),
        cmocka_unit_test(default_and_limit_are_8_and_12_hours),
        cmocka_unit_test(refused_without_reason_twice_or_of_what_may_not_be_shelved),
        cmocka_unit_test(it_ends_by_time_and_nobody_did_it),
        cmocka_unit_test(leaving_with_the_condition_gone_gives_the_state_below),
        cmocka_unit_test(without_acknowledge_leaving_gives_acknowledged),
        cmocka_unit_test(a_level_above_that_of_shelving_ends_it),
        cmocka_unit_test(a_limit_that_may_not_be_shelved_ends_it_at_any_level),
        cmocka_unit_test(shelved_before_anything_occurred),
        cmocka_unit_test(ack_and_reset_act_below_a_cover),
        cmocka_unit_test(out_of_service_shows_before_shelved),
        cmocka_unit_test(out_of_service_has_no_end_and_leaving_it_is_unacknowledged),
        cmocka_unit_test(a_reload_without_the_rule_retires_what_is_covered),
        cmocka_unit_test(covers_survive_reload_and_restart),
        cmocka_unit_test(built_in_alarms_may_be_covered),
        cmocka_unit_test(a_reset_that_comes_too_early_is_told_what_to_wait_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
