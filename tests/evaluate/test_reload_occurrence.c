/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What of an occurrence goes over a reload that leaves it without its limit, or makes its rule a vote (ARCHITECTURE.md,
 * Configuration and reload); a restart with a changed file is one.
 */
#include "support/bench.h"

#define ALARM "h2s:GT-101.h2s"
#define VOTE  "h2s:_"

static struct bench bench;

/* Over a reload, or a restart with another file. */
static void change(bool restart, double seconds, struct davy_config *config)
{
    if (!restart) {
        bench_reload(&bench, seconds, config);
        return;
    }
    davy_config_unref(bench.config);
    bench.config = config;
    bench_restart(&bench, seconds);
}

/* A rule on the first of two points, while the second says so. */
static struct davy_config *plant_when(const struct davy_limit *limits, size_t count)
{
    struct davy_config *config = plant_new(2);
    plant_add_rule(config, "h2s", limits, count);
    bench_points(config, 0, 0, 1);
    bench_when(config, 0, 1, 1, davy_span_s(0));
    return config;
}

/* Suppressed, an occurrence has what a latch holds, if anything: it goes with that. The answer of `when` goes on. */
static void what_is_suppressed_goes_with_its_latch(void **unused)
{
    (void)unused;
    struct davy_limit limits[] = {bench_above(DAVY_LEVEL_ORANGE, 7), bench_above(DAVY_LEVEL_RED, 14)};
    for (int way = 0; way < 4; way++) {
        bool latch = way % 2, restart = way / 2;
        limits[1].latch = latch;
        bench_begin(&bench, plant_when(limits, 2));
        bench_good(&bench, 1, 0, 15);
        expect(&bench, 1, "raised " ALARM " unacknowledged red");
        bench_good(&bench, 2, 1, 0);
        assert_int_equal(expect(&bench, 2, "suppressed " ALARM " suppressed red")->latched, latch);
        change(restart, 3, plant_when(limits, 1));
        if (latch)
            expect(&bench, 3, "retired " ALARM " normal red");
        bench_good(&bench, 3.5, 0, 15); /* `when` is false still */
        expect_silence(&bench);
        bench_good(&bench, 4, 1, 1);
        if (!latch)
            expect(&bench, 4, "unsuppressed " ALARM " returned red");
        expect(&bench, 4, "raised " ALARM " unacknowledged orange");
        expect_silence(&bench);
        bench_end(&bench);
    }
}

/* What is acknowledged is what was told: a latch that is another limit's now is told when the rule applies again. */
static void what_is_suppressed_keeps_its_level(void **unused)
{
    (void)unused;
    struct davy_limit old = bench_above(DAVY_LEVEL_ORANGE, 7), new = bench_above(DAVY_LEVEL_RED, 8);
    old.latch = new.latch = true;
    bench_begin(&bench, plant_when(&old, 1));
    bench_good(&bench, 1, 0, 9);
    expect(&bench, 1, "raised " ALARM " unacknowledged orange");
    bench_good(&bench, 2, 1, 0);
    expect(&bench, 2, "suppressed " ALARM " suppressed orange");
    bench_reload(&bench, 3, plant_when(&new, 1));
    bench_ack(&bench, 4, ALARM);
    expect(&bench, 4, "acknowledged " ALARM " suppressed orange");
    bench_good(&bench, 5, 1, 1);
    expect(&bench, 5, "unsuppressed " ALARM " latched red");
    assert_false(expect(&bench, 5, "raised " ALARM " unacknowledged red")->acknowledged);
    expect_silence(&bench);
    bench_end(&bench);
}

/* An answer that waits for the end of `for` counts at once where that is shorter now, and is told. */
static void a_shorter_for_has_the_answer_of_when_told(void **unused)
{
    (void)unused;
    const struct davy_limit limit = bench_above(DAVY_LEVEL_ORANGE, 7);
    struct davy_config *configs[2];
    for (int i = 0; i < 2; i++) {
        configs[i] = plant_when(&limit, 1);
        configs[i]->rules[0].when.hold = davy_span_s(i ? 2 : 10);
    }
    bench_begin(&bench, configs[0]);
    bench_good(&bench, 1, 0, 8);
    expect(&bench, 1, "raised " ALARM " unacknowledged orange");
    bench_good(&bench, 2, 1, 0);
    bench_reload(&bench, 5, configs[1]);
    expect(&bench, 5, "suppressed " ALARM " suppressed orange");
    expect_silence(&bench);
    bench_end(&bench);
}

static struct davy_config *plant_of(unsigned vote)
{
    const struct davy_limit limit = bench_above(DAVY_LEVEL_ORANGE, 7);
    struct davy_config *config = plant_new(1);
    plant_add_rule(config, "h2s", &limit, 1);
    config->rules[0].vote = vote;
    config->rules[0].fault_name = "h2s.fault";
    return config;
}

/* As members of a vote the points have no occurrence of their own, nor a cover, whatever state it was in. */
static void what_becomes_a_vote_is_retired_in_any_state(void **unused)
{
    (void)unused;
    for (int way = 0; way < 8; way++) {
        bool active = way & 1, covered = way & 2, restart = way & 4;
        bench_begin(&bench, plant_of(0));
        bench_good(&bench, 1, 0, 8);
        bench_good(&bench, 2, 0, active ? 8 : 1);
        if (covered)
            assert_int_equal(bench_command(&bench, 2, DAVY_COMMAND_OUT_OF_SERVICE, ALARM), 0);
        bench.told = bench.count;
        change(restart, 3, plant_of(1));
        const struct davy_event *retired = expect(&bench, 3, "retired " ALARM " normal orange");
        assert_true(retired->ends && !retired->active && !retired->members);
        if (active && !restart)
            expect(&bench, 3, "raised " VOTE " unacknowledged orange");
        expect_silence(&bench);
        bench_good(&bench, 4, 0, 8);
        if (!active || restart)
            expect(&bench, 4, "raised " VOTE " unacknowledged orange");
        expect_silence(&bench);
        bench_end(&bench);
    }
}

/* Likewise a cover over nothing. */
static void a_cover_goes_where_a_vote_comes(void **unused)
{
    (void)unused;
    for (int restart = 0; restart < 2; restart++) {
        bench_begin(&bench, plant_of(0));
        bench_good(&bench, 1, 0, 1);
        assert_int_equal(bench_command(&bench, 2, DAVY_COMMAND_SHELVE, ALARM), 0);
        expect(&bench, 2, "shelved " ALARM " shelved -");
        change(restart, 3, plant_of(1));
        assert_true(expect(&bench, 3, "retired " ALARM " normal -")->ends);
        bench_advance(&bench, 3 + 13 * 3600);
        expect_silence(&bench);
        bench_end(&bench);
    }
}

static struct davy_config *plant_vote(const struct davy_limit *limits, size_t count)
{
    struct davy_config *config = plant_new(3);
    plant_add_rule(config, "h2s", limits, count);
    bench_points(config, 0, 0, 2);
    bench_when(config, 0, 2, 1, davy_span_s(0));
    config->rules[0].vote = 2;
    config->rules[0].fault_name = "h2s.fault";
    return config;
}

/* What was counted of a limit is told of it, wherever it stands now. */
static void the_votes_told_are_those_of_the_limit(void **unused)
{
    (void)unused;
    const struct davy_limit limits[] = {bench_above(DAVY_LEVEL_YELLOW, 5), bench_above(DAVY_LEVEL_ORANGE, 7),
                                        bench_above(DAVY_LEVEL_RED, 14)};
    bench_begin(&bench, plant_vote(&limits[1], 2));
    bench_good(&bench, 1, 0, 15);
    bench_good(&bench, 1, 1, 15);
    expect(&bench, 1, "raised " VOTE " unacknowledged red");
    bench_good(&bench, 2, 2, 0);
    assert_int_equal((int)expect(&bench, 2, "suppressed " VOTE " suppressed red")->value, 2);
    bench_reload(&bench, 3, plant_vote(limits, 3));
    bench_ack(&bench, 4, VOTE);
    assert_int_equal((int)expect(&bench, 4, "acknowledged " VOTE " suppressed red")->value, 2);
    expect_silence(&bench);
    bench_end(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_suppressed_goes_with_its_latch),
        cmocka_unit_test(what_is_suppressed_keeps_its_level),
        cmocka_unit_test(a_shorter_for_has_the_answer_of_when_told),
        cmocka_unit_test(what_becomes_a_vote_is_retired_in_any_state),
        cmocka_unit_test(a_cover_goes_where_a_vote_comes),
        cmocka_unit_test(the_votes_told_are_those_of_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
