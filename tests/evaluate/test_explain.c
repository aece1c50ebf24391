/* SPDX-License-Identifier: Apache-2.0 */
#include "evaluate/explain.h"

#include <string.h>

#include "support/cmocka_all.h"
#include "support/plant.h"

/* An engine over a rule "h2s" on three devices, and what it says about the first alarm. */
struct bench {
    struct davy_config *config;
    struct davy_rule *rule;
    struct davy_limit limits[2];
    struct davy_engine *engine;
    struct davy_explanation answer;
    char sentence[512];
};

static const uint32_t next_point[] = {1, 2, 0};

static void on_event(void *context, const struct davy_event *event)
{
    (void)context;
    (void)event;
}

static struct davy_stamp at(double seconds)
{
    int64_t ns = (int64_t)(seconds * 1e9);
    return (struct davy_stamp){.mono = {ns + 1}, .wall = {ns + 1700000000 * DAVY_NS_PER_S}};
}

/* The rule may be changed between begin() and start(). */
static void begin(struct bench *bench)
{
    static const struct davy_limit limits[] = {
        {.level = DAVY_LEVEL_ORANGE,
         .condition = DAVY_CONDITION_ABOVE,
         .a = 7,
         .deadband = 0.5,
         .acknowledge = true,
         .shelvable = true},
        {.level = DAVY_LEVEL_RED, .condition = DAVY_CONDITION_ABOVE, .a = 14, .deadband = 0.5, .acknowledge = true},
    };
    *bench = (struct bench){.config = plant_new(3)};
    memcpy(bench->limits, limits, sizeof limits);
    plant_add_rule(bench->config, "h2s", limits, 2);
    bench->rule = &bench->config->rules[0];
    bench->rule->fault_name = "h2s.fault";
    bench->rule->options.others = next_point;
    bench->rule->limits = bench->limits;
}

static void start(struct bench *bench)
{
    struct davy_engine_options options = {.config = bench->config, .event = on_event, .context = bench};
    assert_int_equal(davy_engine_new(&options, &bench->engine), 0);
    davy_engine_start(bench->engine, at(0), true);
}

static void end(struct bench *bench)
{
    davy_engine_free(bench->engine);
    davy_config_unref(bench->config);
}

static void read_point(struct bench *bench, uint32_t point, double seconds, double value, enum davy_reason reason)
{
    const bool valued = davy_reason_quality(reason) != DAVY_QUALITY_BAD;
    const struct davy_reading reading = {.point = point,
                                         .quality = davy_reason_quality(reason),
                                         .reason = reason,
                                         .has_value = valued,
                                         .value = valued ? value : 0,
                                         .at = at(seconds)};
    davy_engine_reading(bench->engine, &reading);
}

static void good(struct bench *bench, double seconds, double value)
{
    read_point(bench, 0, seconds, value, DAVY_REASON_NONE);
}

static void command(struct bench *bench, enum davy_command_verb verb, double seconds)
{
    const struct davy_command command = {
        .verb = verb, .duration = davy_span_s(3600), .alarm = "h2s:GT-101.h2s", .by = "local:li", .note = "pump test"};
    char reason[160] = "";
    if (davy_engine_command(bench->engine, &command, at(seconds), NULL, reason, sizeof reason) != 0)
        fail_msg("refused: %s", reason);
}

/* Time passes up to then, and the answer is this one, in a sentence that has these words. */
static void why(struct bench *bench, double seconds, enum davy_why expected, const char *words)
{
    davy_engine_advance(bench->engine, at(seconds));
    davy_engine_explain(bench->engine, 0, at(seconds), &bench->answer);
    davy_explain_sentence(bench->config, &bench->answer, bench->sentence, sizeof bench->sentence);
    assert_string_equal(davy_why_name(bench->answer.why), davy_why_name(expected));
    if (!strstr(bench->sentence, words))
        fail_msg("'%s' does not say '%s'", bench->sentence, words);
}

static void nothing_is_in_the_way_of_an_active_alarm(void **state)
{
    (void)state;
    struct bench bench;
    begin(&bench);
    bench.limits[0].off_delay = davy_span_s(30);
    start(&bench);
    good(&bench, 1, 8);
    why(&bench, 2, DAVY_WHY_ACTIVE, "in alarm at orange: 8 ppm, limit ≥ 7 ppm");
    assert_true(bench.answer.limits[0].tripped);
    assert_false(bench.answer.limits[1].tripped);
    assert_int_equal(bench.answer.raised_for.ns, DAVY_NS_PER_S);
    good(&bench, 3, 5);
    why(&bench, 13, DAVY_WHY_ACTIVE, "; the off-delay of orange has 20 s to go");
    assert_int_equal(bench.answer.limits[0].timer, DAVY_TIMER_OFF);
    assert_int_equal(bench.answer.limits[0].left.ns, 20 * DAVY_NS_PER_S);
    end(&bench);
}

static void covers_come_before_what_they_hide(void **state)
{
    (void)state;
    struct bench bench;
    begin(&bench);
    start(&bench);
    good(&bench, 1, 8);
    command(&bench, DAVY_COMMAND_SHELVE, 2);
    why(&bench, 3, DAVY_WHY_SHELVED, "by local:li: pump test; below it is in alarm at orange");
    assert_non_null(strstr(bench.sentence, "shelved until 2023-11-14T23:13:22"));
    command(&bench, DAVY_COMMAND_OUT_OF_SERVICE, 4);
    why(&bench, 5, DAVY_WHY_OUT_OF_SERVICE, "taken out of service by local:li: pump test");
    command(&bench, DAVY_COMMAND_IN_SERVICE, 6);
    command(&bench, DAVY_COMMAND_UNSHELVE, 7);
    why(&bench, 8, DAVY_WHY_ACTIVE, "in alarm");
    end(&bench);
}

static void a_device_that_is_not_enabled_gives_nothing(void **state)
{
    (void)state;
    struct bench bench;
    begin(&bench);
    bench.config->devices[0].enabled = false;
    start(&bench);
    why(&bench, 1, DAVY_WHY_NOT_ENABLED, "not enabled");
    end(&bench);
}

static void when_false_says_what_it_asks_for(void **state)
{
    (void)state;
    struct bench bench;
    begin(&bench);
    bench.rule->when = (struct davy_when){next_point, DAVY_CONDITION_ABOVE, 1, davy_span_s(10)};
    start(&bench);
    good(&bench, 1, 8);
    read_point(&bench, 1, 2, 0.5, DAVY_REASON_NONE);
    why(&bench, 5, DAVY_WHY_ACTIVE, "in alarm"); /* the new answer has not held for long enough */
    assert_true(bench.answer.when_true);
    assert_int_equal(bench.answer.when_left.ns, 7 * DAVY_NS_PER_S);
    why(&bench, 12, DAVY_WHY_WHEN, "does not apply: `when` asks for GT-102.h2s ≥ 1, it is 0.5");
    assert_true(bench.answer.when_used);
    assert_false(bench.answer.when_true);
    assert_true(bench.answer.when_left.ns < 0);
    read_point(&bench, 1, 13, 1, DAVY_REASON_NONE);
    why(&bench, 19, DAVY_WHY_WHEN, "; it applies again in 4.0 s");
    end(&bench);
}

static void without_any_reading_there_is_nothing_to_judge(void **state)
{
    (void)state;
    struct bench bench;
    begin(&bench);
    start(&bench);
    why(&bench, 1, DAVY_WHY_NO_READING, "no reading yet");
    assert_false(bench.answer.has_newest);
    end(&bench);
}

static void silence_is_told_as_such(void **state)
{
    (void)state;
    struct bench bench;
    begin(&bench);
    start(&bench);
    good(&bench, 1, 5);
    why(&bench, 3602, DAVY_WHY_STALE, "silence for longer than max_age");
    end(&bench);
}

static void a_reading_that_holds_the_limits_says_why(void **state)
{
    (void)state;
    static const struct {
        enum davy_reason reason;
        enum davy_why why;
        const char *words;
    } cases[] = {
        {DAVY_REASON_COMM, DAVY_WHY_COMM, "does not reply"},
        {DAVY_REASON_EXCEPTION, DAVY_WHY_EXCEPTION, "exception"},
        {DAVY_REASON_DEVICE_FAULT, DAVY_WHY_DEVICE_FAULT, "reports a fault"},
        {DAVY_REASON_NOT_A_NUMBER, DAVY_WHY_BAD_VALUE, "gives no value"},
        {DAVY_REASON_BAD_VALUE, DAVY_WHY_BAD_VALUE, "gives no value"},
        {DAVY_REASON_UNDER_RANGE, DAVY_WHY_UNDER_RANGE, "below its range"},
        {DAVY_REASON_WARM_UP, DAVY_WHY_WARM_UP, "warms up"},
        {DAVY_REASON_CALIBRATION, DAVY_WHY_CALIBRATION, "in calibration"},
    };
    struct bench bench;
    begin(&bench);
    start(&bench);
    for (size_t i = 0; i < DAVY_LENGTH(cases); i++) {
        read_point(&bench, 0, 1 + (double)i, 50, cases[i].reason);
        why(&bench, 1 + (double)i, cases[i].why, cases[i].words);
    }
    end(&bench);
}

static void an_alarm_that_stands_is_active_whatever_the_newest_reading_is(void **state)
{
    (void)state;
    struct bench bench;
    begin(&bench);
    start(&bench);
    good(&bench, 1, 8);
    read_point(&bench, 0, 2, 0, DAVY_REASON_COMM);
    why(&bench, 3, DAVY_WHY_ACTIVE, "in alarm at orange: 8 ppm, limit ≥ 7 ppm; the newest reading is bad (comm)");
    end(&bench);
}

static void of_outside_the_bound_is_told_that_was_crossed(void **state)
{
    (void)state;
    struct bench bench;
    begin(&bench);
    bench.limits[0].condition = DAVY_CONDITION_OUTSIDE;
    bench.limits[0].b = 9;
    start(&bench);
    good(&bench, 1, 3);
    why(&bench, 1, DAVY_WHY_ACTIVE, "in alarm at orange: 3 ppm, limit ≤ 7 ppm");
    good(&bench, 2, 10);
    why(&bench, 2, DAVY_WHY_ACTIVE, "in alarm at orange: 10 ppm, limit ≥ 9 ppm");
    end(&bench);
}

static void a_reading_outside_of_the_window_counts_for_value_only(void **state)
{
    (void)state;
    for (int window = 0; window < 2; window++) {
        struct bench bench;
        begin(&bench);
        bench.rule->measure = window ? DAVY_MEASURE_MAX : DAVY_MEASURE_VALUE;
        bench.rule->options.window = davy_span_s(60);
        start(&bench);
        read_point(&bench, 0, 1, 5, DAVY_REASON_SETTLING);
        why(&bench, 2, window ? DAVY_WHY_NOT_IN_WINDOW : DAVY_WHY_NOT_REACHED, window ? "does not count" : "5 ppm");
        end(&bench);
    }
}

static void a_measure_says_what_it_lacks(void **state)
{
    (void)state;
    static const struct {
        enum davy_measure measure;
        enum davy_why why;
        const char *words;
    } cases[] = {
        {DAVY_MEASURE_RATE, DAVY_WHY_HISTORY, "too few readings"},
        {DAVY_MEASURE_MEAN, DAVY_WHY_COVERAGE, "16 % of the window is covered by readings, 75 % is needed"},
        {DAVY_MEASURE_DEVIATION, DAVY_WHY_SPREAD, "do not differ"},
        {DAVY_MEASURE_DIFFERENCE, DAVY_WHY_OTHER, "the other point"},
    };
    for (size_t i = 0; i < DAVY_LENGTH(cases); i++) {
        struct bench bench;
        begin(&bench);
        bench.rule->measure = cases[i].measure;
        bench.rule->options.window = davy_span_s(60);
        bench.rule->options.guard = davy_span_s(2);
        bench.rule->options.per = davy_span_s(60);
        bench.rule->options.coverage = 0.75;
        start(&bench);
        good(&bench, 90, 5);
        why(&bench, 100, cases[i].why, cases[i].words);
        end(&bench);
    }
}

static void an_on_delay_says_how_long(void **state)
{
    (void)state;
    struct bench bench;
    begin(&bench);
    bench.limits[0].on_delay = davy_span_s(10);
    start(&bench);
    good(&bench, 1, 8);
    why(&bench, 4, DAVY_WHY_ON_DELAY, "waits: the on-delay of orange has 7.0 s to go");
    assert_int_equal(bench.answer.limits[0].left.ns, 7 * DAVY_NS_PER_S);
    why(&bench, 11, DAVY_WHY_ACTIVE, "in alarm");
    end(&bench);
}

static void a_vote_says_how_many_and_who(void **state)
{
    (void)state;
    struct bench bench;
    struct davy_member members[4];
    begin(&bench);
    bench.rule->vote = 2;
    start(&bench);
    why(&bench, 0.5, DAVY_WHY_NO_READING, "no reading");
    good(&bench, 1, 8);
    read_point(&bench, 1, 2, 5, DAVY_REASON_NONE);
    why(&bench, 3, DAVY_WHY_VOTES, "1 of 3 members vote, 2 needed");
    assert_int_equal(bench.answer.healthy, 3);
    assert_int_equal(davy_engine_explain_members(bench.engine, 0, members, 4), 3);
    assert_true(members[0].vote);
    assert_false(members[1].vote);
    assert_int_equal(members[1].point, 1);
    assert_int_equal(davy_engine_explain_members(bench.engine, 0, members, 2), 2);
    read_point(&bench, 2, 4, 8, DAVY_REASON_NONE);
    why(&bench, 5, DAVY_WHY_ACTIVE, "in alarm at orange: 2 of 3 members vote, 2 needed");
    read_point(&bench, 2, 6, 5, DAVY_REASON_NONE);
    why(&bench, 7, DAVY_WHY_RETURNED, "acknowledged");
    end(&bench);
}

static void what_keeps_the_level_up_is_told(void **state)
{
    (void)state;
    static const struct davy_step steps[] = {{.after = {5 * DAVY_NS_PER_S}, .level = DAVY_LEVEL_RED}};
    struct bench bench;
    begin(&bench);
    bench.limits[1].latch = true;
    start(&bench);
    good(&bench, 1, 15);
    good(&bench, 2, 8);
    why(&bench, 3, DAVY_WHY_ACTIVE, "in alarm at red: 8 ppm, limit ≥ 14 ppm; a latch holds red");
    end(&bench);
    begin(&bench);
    bench.rule->steps = steps;
    bench.rule->step_count = 1;
    start(&bench);
    good(&bench, 1, 8);
    why(&bench, 7, DAVY_WHY_ACTIVE, "limit ≥ 7 ppm; raised to red by step 1");
    read_point(&bench, 0, 8, 8, DAVY_REASON_CALIBRATION);
    why(&bench, 9, DAVY_WHY_ACTIVE, "; the device is in calibration, or inhibited: limits are held");
    end(&bench);
}

static void a_bad_member_that_votes_is_told(void **state)
{
    (void)state;
    struct bench bench;
    struct davy_member members[3];
    char unit[32];
    begin(&bench);
    bench.rule->vote = 2;
    bench.rule->on_bad = DAVY_ON_BAD_TRIP;
    start(&bench);
    good(&bench, 1, 8);
    read_point(&bench, 1, 2, 0, DAVY_REASON_COMM);
    why(&bench, 3, DAVY_WHY_ACTIVE, "2 of 3 members vote, 2 needed");
    assert_int_equal(davy_engine_explain_members(bench.engine, 0, members, 3), 3);
    assert_true(members[0].vote && !members[0].by_fault);
    assert_true(members[1].vote && members[1].by_fault);
    assert_string_equal(davy_explain_unit(bench.config, &bench.answer, unit, sizeof unit), "ppm");
    end(&bench);
}

static void a_latch_and_an_acknowledgement_are_waited_for(void **state)
{
    (void)state;
    struct bench bench;
    begin(&bench);
    bench.limits[1].latch = true;
    start(&bench);
    good(&bench, 1, 15);
    good(&bench, 2, 1);
    why(&bench, 3, DAVY_WHY_LATCHED, "a latch holds red until it is reset");
    assert_true(bench.answer.limits[1].held);
    command(&bench, DAVY_COMMAND_RESET, 4);
    good(&bench, 5, 8);
    good(&bench, 6, 1);
    why(&bench, 7, DAVY_WHY_RETURNED, "waits to be acknowledged");
    command(&bench, DAVY_COMMAND_ACK, 8);
    why(&bench, 9, DAVY_WHY_NOT_REACHED, "1 ppm reaches no limit: orange ≥ 7 ppm, red ≥ 14 ppm");
    assert_true(bench.answer.raised_for.ns < 0);
    end(&bench);
}

static void units_are_those_of_the_measure(void **state)
{
    (void)state;
    static const struct {
        enum davy_measure measure;
        const char *unit;
    } cases[] = {{DAVY_MEASURE_VALUE, "ppm"},  {DAVY_MEASURE_RATE, "ppm/1min"}, {DAVY_MEASURE_STUCK, "s"},
                 {DAVY_MEASURE_DEVIATION, ""}, {DAVY_MEASURE_OCCURRENCES, ""},  {DAVY_MEASURE_STEL, "ppm"}};
    struct bench bench;
    begin(&bench);
    bench.rule->options.per = davy_span_s(60);
    start(&bench);
    good(&bench, 1, 5);
    why(&bench, 2, DAVY_WHY_NOT_REACHED, "5 ppm");
    for (size_t i = 0; i < DAVY_LENGTH(cases); i++) {
        char unit[32];
        bench.answer.measure = cases[i].measure;
        assert_string_equal(davy_explain_unit(bench.config, &bench.answer, unit, sizeof unit), cases[i].unit);
    }
    end(&bench);
}

static void every_reason_has_a_name_and_fits_in_any_size(void **state)
{
    (void)state;
    struct bench bench;
    begin(&bench);
    start(&bench);
    good(&bench, 1, 8);
    why(&bench, 2, DAVY_WHY_ACTIVE, "");
    for (int i = 0; i < DAVY_WHY_COUNT_; i++) {
        char text[512], small[8];
        assert_non_null(davy_why_name((enum davy_why)i));
        bench.answer.why = (enum davy_why)i;
        bench.answer.when_point = 1;
        davy_explain_sentence(bench.config, &bench.answer, text, sizeof text);
        assert_true(strlen(text) > 10);
        davy_explain_sentence(bench.config, &bench.answer, small, sizeof small);
        assert_true(strlen(small) < sizeof small);
    }
    assert_null(davy_why_name(DAVY_WHY_COUNT_));
    end(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_in_the_way_of_an_active_alarm),
        cmocka_unit_test(covers_come_before_what_they_hide),
        cmocka_unit_test(a_device_that_is_not_enabled_gives_nothing),
        cmocka_unit_test(when_false_says_what_it_asks_for),
        cmocka_unit_test(without_any_reading_there_is_nothing_to_judge),
        cmocka_unit_test(silence_is_told_as_such),
        cmocka_unit_test(a_reading_that_holds_the_limits_says_why),
        cmocka_unit_test(an_alarm_that_stands_is_active_whatever_the_newest_reading_is),
        cmocka_unit_test(of_outside_the_bound_is_told_that_was_crossed),
        cmocka_unit_test(a_reading_outside_of_the_window_counts_for_value_only),
        cmocka_unit_test(a_measure_says_what_it_lacks),
        cmocka_unit_test(an_on_delay_says_how_long),
        cmocka_unit_test(a_vote_says_how_many_and_who),
        cmocka_unit_test(what_keeps_the_level_up_is_told),
        cmocka_unit_test(a_bad_member_that_votes_is_told),
        cmocka_unit_test(a_latch_and_an_acknowledgement_are_waited_for),
        cmocka_unit_test(units_are_those_of_the_measure),
        cmocka_unit_test(every_reason_has_a_name_and_fits_in_any_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
