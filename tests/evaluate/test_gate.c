/* SPDX-License-Identifier: Apache-2.0 */
/* `when`: a rule applies only while its answer is true (ARCHITECTURE.md, When a rule applies). */
#include "support/bench.h"

#define ALARM "h2s:GT-101.h2s"
#define WHEN  1 /* the point that says 1 or 0 */

static struct bench bench;

static struct davy_config *plant_limits(const struct davy_limit *limits, size_t count, davy_span hold)
{
    struct davy_config *config = plant_new(2);
    plant_add_rule(config, "h2s", limits, count);
    bench_points(config, 0, 0, 1);
    bench_when(config, 0, WHEN, 1, hold);
    return config;
}

static struct davy_config *plant_when(struct davy_limit limit, davy_span hold)
{
    return plant_limits(&limit, 1, hold);
}

static void begin(struct davy_limit limit, double hold)
{
    bench_begin(&bench, plant_when(limit, davy_span_ms((int64_t)(hold * 1000))));
}

static struct davy_limit orange(void)
{
    return bench_above(DAVY_LEVEL_ORANGE, 7);
}

static void false_suppresses_and_true_gives_back(void **unused)
{
    (void)unused;
    begin(orange(), 0);
    bench_good(&bench, 1, 0, 8);
    expect(&bench, 1, "raised " ALARM " unacknowledged orange");
    bench_good(&bench, 2, WHEN, 0);
    const struct davy_event *gone = expect(&bench, 2, "suppressed " ALARM " suppressed orange");
    assert_false(gone->active || gone->acknowledged || gone->ends);
    assert_int_equal(gone->previous_state, DAVY_STATE_UNACKNOWLEDGED);
    bench_good(&bench, 3, 0, 9);
    bench_good(&bench, 4, 0, 1);
    expect_silence(&bench);
    bench_good(&bench, 5, WHEN, 1);
    const struct davy_event *back = expect(&bench, 5, "unsuppressed " ALARM " returned orange");
    assert_memory_equal(&back->id, &gone->id, sizeof gone->id);
    expect_silence(&bench);
    bench_end(&bench);
}

static void no_event_where_nothing_occurred(void **unused)
{
    (void)unused;
    begin(orange(), 0);
    bench_good(&bench, 1, WHEN, 0);
    bench_good(&bench, 2, 0, 50);
    bench_good(&bench, 3, 0, 1);
    bench_good(&bench, 4, WHEN, 1);
    assert_int_equal(bench.count, 0);
    bench_end(&bench);
}

static void the_newest_reading_counts_at_once_when_true_again(void **unused)
{
    (void)unused;
    begin(orange(), 0);
    bench_good(&bench, 1, WHEN, 0);
    bench_good(&bench, 2, 0, 50);
    bench_good(&bench, 3, WHEN, 1);
    const struct davy_event *raised = expect(&bench, 3, "raised " ALARM " unacknowledged orange");
    assert_int_equal((int)raised->value, 50);
    assert_int_equal(raised->count, 1);
    bench_good(&bench, 4, WHEN, 0);
    expect(&bench, 4, "suppressed " ALARM " suppressed orange");
    bench_good(&bench, 5, WHEN, 1);
    expect(&bench, 5, "unsuppressed " ALARM " returned orange");
    assert_int_equal(expect(&bench, 5, "raised " ALARM " unacknowledged orange")->count, 2);
    expect_silence(&bench);
    bench_end(&bench);
}

static void a_newest_reading_older_than_max_age_does_not_count(void **unused)
{
    (void)unused;
    for (int late = 0; late < 2; late++) {
        struct davy_config *config = plant_when(orange(), davy_span_s(0));
        config->points[0].max_age = davy_span_s(10);
        bench_begin(&bench, config);
        bench_good(&bench, 1, WHEN, 0);
        bench_good(&bench, 2, 0, 50);
        bench_good(&bench, late ? 12.001 : 12, WHEN, 1); /* exactly max_age old still counts */
        if (late)
            expect_silence(&bench);
        else
            expect(&bench, 12, "raised " ALARM " unacknowledged orange");
        bench_end(&bench);
    }
}

static void a_latch_holds_over_a_suppression(void **unused)
{
    (void)unused;
    struct davy_limit limit = orange();
    limit.latch = true;
    begin(limit, 0);
    bench_good(&bench, 1, 0, 8);
    expect(&bench, 1, "raised " ALARM " unacknowledged orange");
    bench_good(&bench, 2, 0, 8);
    bench_good(&bench, 3, WHEN, 0);
    assert_true(expect(&bench, 3, "suppressed " ALARM " suppressed orange")->latched);
    assert_int_equal(bench_command(&bench, 4, DAVY_COMMAND_RESET, ALARM), DAVY_REFUSED);
    bench_good(&bench, 5, 0, 1);
    bench_good(&bench, 6, WHEN, 1);
    assert_true(expect(&bench, 6, "unsuppressed " ALARM " latched orange")->latched);
    assert_int_equal(bench_command(&bench, 7, DAVY_COMMAND_RESET, ALARM), 0);
    expect(&bench, 7, "reset " ALARM " normal orange");
    expect_silence(&bench);
    bench_end(&bench);
}

static void an_acknowledged_occurrence_ends_when_true_again(void **unused)
{
    (void)unused;
    begin(orange(), 0);
    bench_good(&bench, 1, 0, 8);
    expect(&bench, 1, "raised " ALARM " unacknowledged orange");
    bench_good(&bench, 2, WHEN, 0);
    expect(&bench, 2, "suppressed " ALARM " suppressed orange");
    assert_int_equal(bench_ack(&bench, 3, ALARM), 0);
    assert_true(expect(&bench, 3, "acknowledged " ALARM " suppressed orange")->acknowledged);
    assert_int_equal(bench_ack(&bench, 3, ALARM), DAVY_REFUSED);
    bench_good(&bench, 4, 0, 1);
    bench_good(&bench, 5, WHEN, 1);
    assert_true(expect(&bench, 5, "unsuppressed " ALARM " normal orange")->ends);
    bench_good(&bench, 6, 0, 8);
    assert_int_equal(expect(&bench, 6, "raised " ALARM " unacknowledged orange")->count, 1);
    bench_end(&bench);
}

static void going_false_must_hold_for_its_time(void **unused)
{
    (void)unused;
    begin(orange(), 10);
    bench_good(&bench, 1, 0, 8);
    expect(&bench, 1, "raised " ALARM " unacknowledged orange");
    bench_good(&bench, 2, WHEN, 0);
    bench_good(&bench, 5, WHEN, 1); /* begins anew */
    bench_good(&bench, 6, WHEN, 0);
    bench_good(&bench, 9, WHEN, 0);
    bench_advance(&bench, 15.999);
    expect_silence(&bench);
    bench_advance(&bench, 16);
    expect(&bench, 16, "suppressed " ALARM " suppressed orange");
    bench_end(&bench);
}

static void going_true_must_hold_for_its_time(void **unused)
{
    (void)unused;
    begin(orange(), 10);
    bench_good(&bench, 1, WHEN, 0);
    bench_good(&bench, 12, 0, 50);
    expect_silence(&bench);
    bench_good(&bench, 20, WHEN, 1);
    bench_good(&bench, 25, WHEN, 0);
    bench_good(&bench, 26, WHEN, 1);
    bench_good(&bench, 35, 0, 60);
    bench_advance(&bench, 60);
    assert_int_equal((int)expect(&bench, 36, "raised " ALARM " unacknowledged orange")->value, 60);
    expect_silence(&bench);
    bench_end(&bench);
}

static void what_is_not_good_counts_as_true(void **unused)
{
    (void)unused;
    static const enum davy_reason reasons[] = {DAVY_REASON_OVER_RANGE,   DAVY_REASON_SETTLING,    DAVY_REASON_NO_STATUS,
                                               DAVY_REASON_WARM_UP,      DAVY_REASON_CALIBRATION, DAVY_REASON_COMM,
                                               DAVY_REASON_DEVICE_FAULT, DAVY_REASON_STALE};
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        begin(orange(), 0);
        bench_good(&bench, 1, WHEN, 0);
        bench_good(&bench, 2, 0, 8);
        expect_silence(&bench);
        bench_read(&bench, 3, WHEN, 0, reasons[i]);
        expect(&bench, 3, "raised " ALARM " unacknowledged orange");
        bench_end(&bench);
    }
    begin(orange(), 0); /* maintenance is good */
    bench_read(&bench, 1, WHEN, 0, DAVY_REASON_MAINTENANCE);
    bench_good(&bench, 2, 0, 8);
    expect_silence(&bench);
    bench_end(&bench);
}

static void a_reading_that_is_not_good_cancels_a_going_false(void **unused)
{
    (void)unused;
    begin(orange(), 10);
    bench_good(&bench, 1, 0, 8);
    expect(&bench, 1, "raised " ALARM " unacknowledged orange");
    bench_good(&bench, 2, WHEN, 0);
    bench_bad(&bench, 11, WHEN);
    bench_good(&bench, 12, WHEN, 0);
    bench_advance(&bench, 21.9);
    expect_silence(&bench);
    bench_advance(&bench, 22);
    expect(&bench, 22, "suppressed " ALARM " suppressed orange");
    bench_end(&bench);
}

static void the_answer_is_true_before_anything_was_read(void **unused)
{
    (void)unused;
    begin(orange(), 0);
    bench_good(&bench, 1, 0, 8);
    expect(&bench, 1, "raised " ALARM " unacknowledged orange");
    bench_end(&bench);
}

static void timers_are_dropped_while_false(void **unused)
{
    (void)unused;
    struct davy_limit limit = orange();
    limit.on_delay = davy_span_s(10);
    limit.off_delay = davy_span_s(10);
    begin(limit, 0);
    bench_good(&bench, 1, 0, 8);
    bench_good(&bench, 5, WHEN, 0);
    bench_advance(&bench, 30);
    bench_good(&bench, 31, WHEN, 1); /* the newest reading starts it anew */
    bench_advance(&bench, 60);
    expect(&bench, 41, "raised " ALARM " unacknowledged orange");
    bench_good(&bench, 61, 0, 1);
    bench_good(&bench, 65, WHEN, 0);
    expect(&bench, 65, "suppressed " ALARM " suppressed orange");
    bench_good(&bench, 66, WHEN, 1);
    expect(&bench, 66, "unsuppressed " ALARM " returned orange");
    bench_advance(&bench, 100);
    expect_silence(&bench);
    bench_end(&bench);
}

static void above_and_below_ask_at_their_bound(void **unused)
{
    (void)unused;
    for (int below = 0; below < 2; below++) {
        struct davy_config *config = plant_when(orange(), davy_span_s(0));
        config->rules[0].when.condition = below ? DAVY_CONDITION_BELOW : DAVY_CONDITION_ABOVE;
        config->rules[0].when.value = 50;
        bench_begin(&bench, config);
        bench_good(&bench, 1, WHEN, below ? 50.1 : 49.9);
        bench_good(&bench, 2, 0, 8);
        expect_silence(&bench);
        bench_good(&bench, 3, WHEN, 50); /* at the bound it is true, and there is no deadband */
        expect(&bench, 3, "raised " ALARM " unacknowledged orange");
        bench_good(&bench, 4, WHEN, below ? 50.1 : 49.9);
        expect(&bench, 4, "suppressed " ALARM " suppressed orange");
        bench_end(&bench);
    }
}

/* The point asks about itself: what it says now counts before it is evaluated. */
static void a_reading_settles_the_question_before_it_is_evaluated(void **unused)
{
    (void)unused;
    struct davy_config *config = plant_when(orange(), davy_span_s(0));
    uint32_t *self = davy_config_alloc(config, 1, sizeof *self);
    config->rules[0].when = (struct davy_when){.points = self, .condition = DAVY_CONDITION_BELOW, .value = 20};
    bench_begin(&bench, config);
    bench_good(&bench, 1, 0, 30); /* above 20: not a matter of this rule */
    expect_silence(&bench);
    bench_good(&bench, 2, 0, 10);
    assert_int_equal((int)expect(&bench, 2, "raised " ALARM " unacknowledged orange")->value, 10);
    bench_good(&bench, 3, 0, 30);
    expect(&bench, 3, "suppressed " ALARM " suppressed orange");
    expect_silence(&bench);
    bench_end(&bench);
}

static void an_alarm_below_a_cover_is_suppressed_too(void **unused)
{
    (void)unused;
    begin(orange(), 0);
    bench_good(&bench, 1, 0, 8);
    expect(&bench, 1, "raised " ALARM " unacknowledged orange");
    assert_int_equal(bench_command(&bench, 2, DAVY_COMMAND_SHELVE, ALARM), 0);
    expect(&bench, 2, "shelved " ALARM " shelved orange");
    bench_good(&bench, 3, WHEN, 0);
    expect(&bench, 3, "suppressed " ALARM " shelved orange");
    assert_int_equal(bench_view(&bench, ALARM).below, DAVY_STATE_SUPPRESSED);
    assert_int_equal(bench_command(&bench, 4, DAVY_COMMAND_UNSHELVE, ALARM), 0);
    expect(&bench, 4, "unshelved " ALARM " suppressed orange");
    expect_silence(&bench);
    bench_end(&bench);
}

static void a_restart_keeps_answer_and_time(void **unused)
{
    (void)unused;
    begin(orange(), 10);
    bench_good(&bench, 1, 0, 8);
    expect(&bench, 1, "raised " ALARM " unacknowledged orange");
    bench_good(&bench, 2, WHEN, 0);
    bench_advance(&bench, 12);
    expect(&bench, 12, "suppressed " ALARM " suppressed orange");
    bench_restart(&bench, 13);
    bench_good(&bench, 14, 0, 9);
    expect_silence(&bench);
    bench_good(&bench, 15, WHEN, 1); /* a going true runs on while it is down */
    bench_good(&bench, 16, 0, 1);
    bench_restart(&bench, 20);
    bench_good(&bench, 26, 0, 1);
    expect(&bench, 25, "unsuppressed " ALARM " returned orange");
    expect_silence(&bench);
    bench_end(&bench);
}

/* The answer to another question is true at first, also where the file was changed while the daemon was down. */
static void a_restart_with_another_question_forgets_the_answer(void **unused)
{
    (void)unused;
    begin(orange(), 0);
    bench_good(&bench, 1, 0, 8);
    expect(&bench, 1, "raised " ALARM " unacknowledged orange");
    bench_good(&bench, 2, WHEN, 0);
    expect(&bench, 2, "suppressed " ALARM " suppressed orange");
    struct davy_config *config = plant_limits((const struct davy_limit[]){orange()}, 1, davy_span_s(0));
    bench_when(config, 0, WHEN, 2, davy_span_s(0));
    davy_config_unref(bench.config);
    bench.config = config;
    bench_restart(&bench, 3);
    expect(&bench, 3, "unsuppressed " ALARM " returned orange");
    expect_silence(&bench);
    bench_end(&bench);
}

/* It had run for 0 s when it was last stored: it ends 10 s after the next good reading, never sooner. */
static void a_going_false_stands_still_over_a_restart(void **unused)
{
    (void)unused;
    begin(orange(), 10);
    bench_good(&bench, 1, 0, 8);
    expect(&bench, 1, "raised " ALARM " unacknowledged orange");
    bench_good(&bench, 2, WHEN, 0);
    bench_restart(&bench, 8);
    bench_advance(&bench, 100);
    expect_silence(&bench);
    bench_good(&bench, 101, WHEN, 0);
    bench_advance(&bench, 110.9);
    expect_silence(&bench);
    bench_advance(&bench, 111);
    expect(&bench, 111, "suppressed " ALARM " suppressed orange");
    bench_end(&bench);
}

/* The tripped limit is gone, `when` is not. */
static void the_answer_outlives_an_occurrence_that_a_reload_retires(void **unused)
{
    (void)unused;
    const struct davy_limit limits[] = {orange(), bench_above(DAVY_LEVEL_RED, 20)};
    bench_begin(&bench, plant_limits(limits, 2, davy_span_s(5)));
    bench_good(&bench, 1, 0, 8);
    expect(&bench, 1, "raised " ALARM " unacknowledged orange");
    bench_good(&bench, 2, WHEN, 0);
    bench_reload(&bench, 3, plant_limits(&limits[1], 1, davy_span_s(5)));
    expect(&bench, 3, "retired " ALARM " normal orange");
    bench_good(&bench, 8, 0, 30); /* false since 7 s */
    bench_good(&bench, 9, WHEN, 1);
    expect_silence(&bench);
    bench_advance(&bench, 20);
    expect(&bench, 14, "raised " ALARM " unacknowledged red");
    expect_silence(&bench);
    bench_end(&bench);
}

static void a_shorter_time_counts_at_the_reload(void **unused)
{
    (void)unused;
    begin(orange(), 10);
    bench_good(&bench, 1, 0, 8);
    expect(&bench, 1, "raised " ALARM " unacknowledged orange");
    bench_good(&bench, 2, WHEN, 0);
    bench_reload(&bench, 6, plant_when(orange(), davy_span_s(3)));
    expect(&bench, 6, "suppressed " ALARM " suppressed orange");
    bench_end(&bench);
}

/* What the readings of a point have to settle must outlive a restart where they could end an alarm on another point. */
static void what_could_end_an_alarm_elsewhere_is_in_it(void **unused)
{
    static const uint32_t others[] = {2};
    (void)unused;
    const struct davy_limit limit = orange();
    struct davy_config *config = plant_new(4);
    plant_add_rule(config, "h2s", &limit, 1);
    bench_points(config, 0, 0, 1);
    bench_when(config, 0, WHEN, 1, davy_span_ms(0));
    config->rules[0].measure = DAVY_MEASURE_DIFFERENCE;
    config->rules[0].options.others = others;
    bench_begin(&bench, config);
    bench_good(&bench, 1, 2, 1);
    for (uint32_t p = 0; p < 3; p++)
        assert_false(davy_engine_point_in_alarm(bench.engine, p));
    bench_good(&bench, 2, 0, 9);
    expect(&bench, 2, "raised " ALARM " unacknowledged orange");
    for (uint32_t p = 0; p < 4; p++)
        assert_int_equal(davy_engine_point_in_alarm(bench.engine, p), p < 3);
    bench_end(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(false_suppresses_and_true_gives_back),
        cmocka_unit_test(no_event_where_nothing_occurred),
        cmocka_unit_test(the_newest_reading_counts_at_once_when_true_again),
        cmocka_unit_test(a_newest_reading_older_than_max_age_does_not_count),
        cmocka_unit_test(a_latch_holds_over_a_suppression),
        cmocka_unit_test(an_acknowledged_occurrence_ends_when_true_again),
        cmocka_unit_test(going_false_must_hold_for_its_time),
        cmocka_unit_test(going_true_must_hold_for_its_time),
        cmocka_unit_test(what_is_not_good_counts_as_true),
        cmocka_unit_test(a_reading_that_is_not_good_cancels_a_going_false),
        cmocka_unit_test(the_answer_is_true_before_anything_was_read),
        cmocka_unit_test(timers_are_dropped_while_false),
        cmocka_unit_test(above_and_below_ask_at_their_bound),
        cmocka_unit_test(a_reading_settles_the_question_before_it_is_evaluated),
        cmocka_unit_test(an_alarm_below_a_cover_is_suppressed_too),
        cmocka_unit_test(a_restart_keeps_answer_and_time),
        cmocka_unit_test(a_restart_with_another_question_forgets_the_answer),
        cmocka_unit_test(a_going_false_stands_still_over_a_restart),
        cmocka_unit_test(a_shorter_time_counts_at_the_reload),
        cmocka_unit_test(the_answer_outlives_an_occurrence_that_a_reload_retires),
        cmocka_unit_test(what_could_end_an_alarm_elsewhere_is_in_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
