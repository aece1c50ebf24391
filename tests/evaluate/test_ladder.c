/* SPDX-License-Identifier: Apache-2.0 */
/* The escalation ladder (ARCHITECTURE.md, Escalation): each step once per occurrence, at exactly `after`. */
#include "support/bench.h"

#define ALARM "h2s:GT-101.h2s"

static struct bench bench;

static const struct davy_step leader = {.after = {15 * 60 * DAVY_NS_PER_S}, .owner = "shift-leader"};
static const struct davy_step leader_red = {
    .after = {15 * 60 * DAVY_NS_PER_S}, .owner = "shift-leader", .level = DAVY_LEVEL_RED};
static const struct davy_step manager = {
    .after = {48LL * 3600 * DAVY_NS_PER_S}, .unless_cleared = true, .owner = "plant-manager"};

static struct davy_config *plant_steps(struct davy_limit limit, struct davy_step first, struct davy_step second)
{
    struct davy_config *config = plant_new(2);
    plant_add_rule(config, "h2s", &limit, 1);
    bench_points(config, 0, 0, 1);
    struct davy_step *steps = davy_config_alloc(config, 2, sizeof *steps);
    steps[0] = first;
    steps[1] = second;
    config->rules[0].steps = steps;
    config->rules[0].step_count = 2;
    return config;
}

static struct davy_limit orange(void)
{
    return bench_above(DAVY_LEVEL_ORANGE, 7);
}

/* Raised at 100 s: the first step is due at 1000 s, the second at 172900 s. */
static void begin(struct davy_limit limit, struct davy_step first)
{
    bench_begin(&bench, plant_steps(limit, first, manager));
    bench_good(&bench, 100, 0, 8);
    expect(&bench, 100, "raised " ALARM " unacknowledged orange");
}

static void each_step_comes_once_at_its_time(void **unused)
{
    (void)unused;
    begin(orange(), leader);
    bench_good(&bench, 999.999, 0, 9);
    expect_silence(&bench);
    bench_good(&bench, 1001, 0, 10);
    const struct davy_event *first = expect(&bench, 1000, "overdue " ALARM " unacknowledged orange");
    assert_int_equal(first->step, 1);
    assert_int_equal((int)first->value, 9);
    assert_true(first->active);
    bench_advance(&bench, 172899.9);
    expect_silence(&bench);
    bench_advance(&bench, 400000);
    assert_int_equal(expect(&bench, 172900, "overdue " ALARM " unacknowledged orange")->step, 2);
    expect_silence(&bench);
    bench_end(&bench);
}

/* Timers fire before a reading or command of the same instant. */
static void an_acknowledgement_at_that_instant_is_too_late(void **unused)
{
    (void)unused;
    begin(orange(), leader);
    assert_int_equal(bench_ack(&bench, 1000, ALARM), 0);
    expect(&bench, 1000, "overdue " ALARM " unacknowledged orange");
    expect(&bench, 1000, "acknowledged " ALARM " acknowledged orange");
    bench_end(&bench);
}

static void an_acknowledged_alarm_is_only_overdue_unless_cleared(void **unused)
{
    (void)unused;
    begin(orange(), leader);
    bench_ack(&bench, 999.999, ALARM);
    expect(&bench, 999.999, "acknowledged " ALARM " acknowledged orange");
    bench_advance(&bench, 172900);
    const struct davy_event *second = expect(&bench, 172900, "overdue " ALARM " acknowledged orange");
    assert_int_equal(second->step, 2);
    assert_true(second->acknowledged);
    expect_silence(&bench);
    bench_end(&bench);
}

static void a_cleared_alarm_is_only_overdue_unless_acknowledged(void **unused)
{
    (void)unused;
    begin(orange(), leader);
    bench_good(&bench, 500, 0, 1);
    expect(&bench, 500, "cleared " ALARM " returned orange");
    bench_advance(&bench, 400000);
    assert_int_equal(expect(&bench, 1000, "overdue " ALARM " returned orange")->step, 1);
    expect_silence(&bench);
    bench_end(&bench);
}

static void a_step_that_was_needless_does_not_come_later(void **unused)
{
    (void)unused;
    begin(orange(), leader);
    bench_ack(&bench, 500, ALARM);
    expect(&bench, 500, "acknowledged " ALARM " acknowledged orange");
    bench_advance(&bench, 1000);
    bench_good(&bench, 1100, 0, 1);
    expect(&bench, 1100, "cleared " ALARM " normal orange");
    expect_silence(&bench);
    bench_good(&bench, 2000, 0, 8); /* another occurrence: another ladder */
    expect(&bench, 2000, "raised " ALARM " unacknowledged orange");
    bench_advance(&bench, 2900);
    assert_int_equal(expect(&bench, 2900, "overdue " ALARM " unacknowledged orange")->step, 1);
    bench_end(&bench);
}

static void raised_again_does_not_begin_the_ladder_anew(void **unused)
{
    (void)unused;
    begin(orange(), leader);
    bench_good(&bench, 500, 0, 1);
    expect(&bench, 500, "cleared " ALARM " returned orange");
    bench_good(&bench, 600, 0, 8);
    expect(&bench, 600, "raised " ALARM " unacknowledged orange");
    bench_advance(&bench, 10000);
    expect(&bench, 1000, "overdue " ALARM " unacknowledged orange");
    expect_silence(&bench);
    bench_end(&bench);
}

static void a_step_raises_the_level_until_it_clears(void **unused)
{
    (void)unused;
    begin(orange(), leader_red);
    bench_advance(&bench, 1000);
    const struct davy_event *overdue = expect(&bench, 1000, "overdue " ALARM " unacknowledged red");
    assert_int_equal(overdue->previous_level, DAVY_LEVEL_ORANGE);
    assert_int_equal(overdue->limit_index, 0);
    bench_good(&bench, 1001, 0, 9);
    expect_silence(&bench);
    bench_ack(&bench, 1002, ALARM);
    expect(&bench, 1002, "acknowledged " ALARM " acknowledged red");
    bench_good(&bench, 1003, 0, 1);
    expect(&bench, 1003, "cleared " ALARM " normal red");
    bench_good(&bench, 1004, 0, 8);
    expect(&bench, 1004, "raised " ALARM " unacknowledged orange");
    bench_end(&bench);
}

static void raising_the_level_takes_the_acknowledgement_away(void **unused)
{
    (void)unused;
    struct davy_step hard = leader_red;
    hard.unless_cleared = true;
    begin(orange(), hard);
    bench_ack(&bench, 200, ALARM);
    expect(&bench, 200, "acknowledged " ALARM " acknowledged orange");
    bench_advance(&bench, 1000);
    assert_false(expect(&bench, 1000, "overdue " ALARM " unacknowledged red")->acknowledged);
    bench_end(&bench);
}

/* The floor is of what trips; where nothing does, there is nothing to be raised. */
static void a_returned_alarm_is_not_raised(void **unused)
{
    (void)unused;
    begin(orange(), leader_red);
    bench_good(&bench, 500, 0, 1);
    expect(&bench, 500, "cleared " ALARM " returned orange");
    bench_advance(&bench, 1000);
    expect(&bench, 1000, "overdue " ALARM " returned orange");
    bench_good(&bench, 1001, 0, 8);
    expect(&bench, 1001, "raised " ALARM " unacknowledged orange");
    bench_end(&bench);
}

/* Orange and yellow under a floor of red: yellow, then orange again is raised again. */
static void rises_again_under_a_floor(void **unused)
{
    (void)unused;
    struct davy_config *config = plant_steps(orange(), leader_red, manager);
    struct davy_limit *limits = davy_config_alloc(config, 2, sizeof *limits);
    limits[0] = bench_above(DAVY_LEVEL_YELLOW, 3);
    limits[1] = orange();
    config->rules[0].limits = limits;
    config->rules[0].limit_count = 2;
    bench_begin(&bench, config);
    bench_good(&bench, 100, 0, 8);
    expect(&bench, 100, "raised " ALARM " unacknowledged orange");
    bench_advance(&bench, 1000);
    expect(&bench, 1000, "overdue " ALARM " unacknowledged red");
    bench_ack(&bench, 1001, ALARM);
    expect(&bench, 1001, "acknowledged " ALARM " acknowledged red");
    bench_good(&bench, 1002, 0, 4);
    expect_silence(&bench);
    bench_good(&bench, 1003, 0, 8);
    const struct davy_event *again = expect(&bench, 1003, "raised " ALARM " unacknowledged red");
    assert_int_equal(again->count, 2);
    bench_good(&bench, 1004, 0, 1);
    expect(&bench, 1004, "cleared " ALARM " returned red");
    bench_end(&bench);
}

static void a_latched_alarm_is_tripped_and_climbs(void **unused)
{
    (void)unused;
    struct davy_limit limit = orange();
    limit.latch = true;
    struct davy_step hard = leader_red;
    hard.unless_cleared = true;
    begin(limit, hard);
    bench_ack(&bench, 200, ALARM);
    expect(&bench, 200, "acknowledged " ALARM " acknowledged orange");
    bench_good(&bench, 500, 0, 1);
    expect(&bench, 500, "latched " ALARM " latched orange");
    bench_advance(&bench, 1000);
    assert_false(expect(&bench, 1000, "overdue " ALARM " latched red")->acknowledged);
    assert_int_equal(bench_command(&bench, 1001, DAVY_COMMAND_RESET, ALARM), 0);
    expect(&bench, 1001, "reset " ALARM " normal red");
    bench_end(&bench);
}

static void a_suppressed_alarm_is_judged_all_the_same(void **unused)
{
    (void)unused;
    for (int acknowledged = 0; acknowledged < 2; acknowledged++) {
        struct davy_config *config = plant_steps(orange(), leader_red, manager);
        bench_when(config, 0, 1, 1, davy_span_s(0));
        config->points[1].max_age = davy_span_s(1000000); /* a stale answer would be a true one */
        bench_begin(&bench, config);
        bench_good(&bench, 100, 0, 8);
        expect(&bench, 100, "raised " ALARM " unacknowledged orange");
        bench_good(&bench, 200, 1, 0);
        expect(&bench, 200, "suppressed " ALARM " suppressed orange");
        if (acknowledged) {
            bench_ack(&bench, 300, ALARM);
            expect(&bench, 300, "acknowledged " ALARM " suppressed orange");
        }
        bench_advance(&bench, 400000);
        if (!acknowledged)
            assert_int_equal(expect(&bench, 1000, "overdue " ALARM " suppressed orange")->step, 1);
        expect_silence(&bench); /* no limit is tripped: the second is needless */
        bench_end(&bench);
    }
}

/* Red is gone and yellow latched, yet the level that a suppressed occurrence keeps is red. */
static void a_step_to_the_level_that_is_kept_raises_nothing(void **unused)
{
    (void)unused;
    struct davy_limit limits[] = {bench_above(DAVY_LEVEL_YELLOW, 3), bench_above(DAVY_LEVEL_RED, 14)};
    limits[0].latch = true;
    struct davy_step step = leader_red;
    step.unless_cleared = true;
    struct davy_config *config = plant_steps(limits[0], step, manager);
    struct davy_limit *copies = davy_config_alloc(config, 2, sizeof *copies);
    memcpy(copies, limits, sizeof limits);
    config->rules[0].limits = copies;
    config->rules[0].limit_count = 2;
    bench_when(config, 0, 1, 1, davy_span_s(0));
    bench_begin(&bench, config);
    bench_good(&bench, 100, 0, 15);
    expect(&bench, 100, "raised " ALARM " unacknowledged red");
    bench_ack(&bench, 150, ALARM);
    expect(&bench, 150, "acknowledged " ALARM " acknowledged red");
    bench_good(&bench, 200, 1, 0);
    expect(&bench, 200, "suppressed " ALARM " suppressed red");
    bench_advance(&bench, 1000);
    assert_true(expect(&bench, 1000, "overdue " ALARM " suppressed red")->acknowledged);
    expect_silence(&bench);
    bench_end(&bench);
}

static void a_step_under_a_shelf_ends_it_where_it_raises_the_level(void **unused)
{
    (void)unused;
    begin(orange(), leader_red);
    assert_int_equal(bench_command(&bench, 200, DAVY_COMMAND_SHELVE, ALARM), 0);
    expect(&bench, 200, "shelved " ALARM " shelved orange");
    bench_advance(&bench, 1000);
    expect(&bench, 1000, "unshelved " ALARM " unacknowledged orange");
    expect(&bench, 1000, "overdue " ALARM " unacknowledged red");
    expect_silence(&bench);
    bench_end(&bench);

    begin(orange(), leader);
    assert_int_equal(bench_command(&bench, 200, DAVY_COMMAND_SHELVE, ALARM), 0);
    expect(&bench, 200, "shelved " ALARM " shelved orange");
    bench_advance(&bench, 1000);
    expect(&bench, 1000, "overdue " ALARM " shelved orange");
    expect_silence(&bench);
    bench_end(&bench);
}

static void steps_go_on_over_a_restart(void **unused)
{
    (void)unused;
    begin(orange(), leader_red);
    bench_restart(&bench, 500);
    bench_good(&bench, 999, 0, 8);
    expect_silence(&bench);
    bench_advance(&bench, 1001);
    expect(&bench, 1000, "overdue " ALARM " unacknowledged red");
    bench_restart(&bench, 2000);
    bench_good(&bench, 2001, 0, 9);
    expect_silence(&bench); /* neither the step again nor a lower level */
    bench_restart(&bench, 200000);
    assert_int_equal(expect(&bench, 172900, "overdue " ALARM " unacknowledged red")->step, 2);
    bench_good(&bench, 200001, 0, 1);
    expect(&bench, 200001, "cleared " ALARM " returned red");
    expect_silence(&bench);
    bench_end(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_step_comes_once_at_its_time),
        cmocka_unit_test(an_acknowledgement_at_that_instant_is_too_late),
        cmocka_unit_test(an_acknowledged_alarm_is_only_overdue_unless_cleared),
        cmocka_unit_test(a_cleared_alarm_is_only_overdue_unless_acknowledged),
        cmocka_unit_test(a_step_that_was_needless_does_not_come_later),
        cmocka_unit_test(raised_again_does_not_begin_the_ladder_anew),
        cmocka_unit_test(a_step_raises_the_level_until_it_clears),
        cmocka_unit_test(raising_the_level_takes_the_acknowledgement_away),
        cmocka_unit_test(a_returned_alarm_is_not_raised),
        cmocka_unit_test(rises_again_under_a_floor),
        cmocka_unit_test(a_latched_alarm_is_tripped_and_climbs),
        cmocka_unit_test(a_suppressed_alarm_is_judged_all_the_same),
        cmocka_unit_test(a_step_to_the_level_that_is_kept_raises_nothing),
        cmocka_unit_test(a_step_under_a_shelf_ends_it_where_it_raises_the_level),
        cmocka_unit_test(steps_go_on_over_a_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
