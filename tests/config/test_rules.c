/* SPDX-License-Identifier: Apache-2.0 */
/* Rules as they are built: measures, `when`, votes, ladders, and the limits of stel and twa. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/num.h"
#include "config/internal.h"
#include "config/load.h"
#include "support/seed.h"

static const char head[] =
    "gateway = { id = \"g\"; site = \"s\"; };\n"
    "buses = ( { name = \"plc\"; type = \"tcp\"; host = \"h\"; } );\n"
    "devices = (\n"
    "  { id = \"A\"; bus = \"plc\"; unit = 1; points = (\n"
    "    { name = \"gas\"; unit = \"ppm\"; register = 1; type = \"float32\"; range = [0, 100]; },\n"
    "    { name = \"spare\"; unit = \"ppm\"; register = 3; type = \"float32\"; range = [0, 100]; },\n"
    "    { name = \"slow\"; register = 5; type = \"int16\"; interval = \"10s\"; max_age = \"2s\"; },\n"
    "    { name = \"on\"; kind = \"state\"; table = \"discrete\"; register = 3; type = \"bool\"; } ); },\n"
    "  { id = \"B\"; bus = \"plc\"; unit = 2; points = (\n"
    "    { name = \"gas\"; unit = \"ppm\"; register = 1; type = \"float32\"; range = [0, 100]; },\n"
    "    { name = \"spare\"; unit = \"ppm\"; register = 3; type = \"float32\"; range = [0, 100]; },\n"
    "    { name = \"on\"; kind = \"state\"; table = \"discrete\"; register = 3; type = \"bool\"; } ); }\n"
    ");\n";

enum { A_GAS, A_SPARE, A_SLOW, A_ON, B_GAS, B_SPARE, B_ON };

/* The configuration of `head` and these rules; NULL where it is refused. */
static struct davy_config *load(const char *rules, struct davy_problems *problems)
{
    char text[8192];
    struct davy_config *config = NULL;
    int length = snprintf(text, sizeof text, "%srules = (\n%s\n);\n", head, rules);
    assert_in_range(length, 1, sizeof text - 1);
    int rc = davy_config_load_text("test.conf", text, (size_t)length, problems, &config);
    assert_true(rc == 0 || rc == DAVY_CONFIG_BAD);
    return config;
}

static void print_all(const struct davy_problems *problems)
{
    char line[1024];
    for (size_t i = 0; i < problems->count; i++)
        print_message("    %s\n", davy_problem_format(&problems->items[i], line, sizeof line));
}

/* The same of rules that are right. */
static struct davy_config *load_good(const char *rules)
{
    struct davy_problems problems = {0};
    struct davy_config *config = load(rules, &problems);
    if (!config)
        print_all(&problems);
    assert_non_null(config);
    davy_problems_done(&problems);
    return config;
}

/* A rule over both gas points with these keys. */
static struct davy_config *load_measure(const char *keys)
{
    char text[1024];
    snprintf(text, sizeof text,
             "{ name = \"r\"; points = [\"*.gas\"]; red = { above = 9; }; deadband = 1; measure = { %s }; }", keys);
    return load_good(text);
}

/* Whether these rules load with a warning at `path` that has `fragment`. */
static bool warns(const char *rules, const char *path, const char *fragment)
{
    struct davy_problems problems = {0};
    struct davy_config *config = load(rules, &problems);
    bool found = false;
    for (size_t i = 0; config && i < problems.count; i++)
        found = found || (problems.items[i].path && strcmp(problems.items[i].path, path) == 0 &&
                          strstr(problems.items[i].message, fragment));
    if (!config)
        print_all(&problems);
    davy_config_unref(config);
    davy_problems_done(&problems);
    return found;
}

static int64_t minutes(int64_t n)
{
    return n * 60 * DAVY_NS_PER_S;
}

static void a_rule_without_more_is_the_value_itself(void **state)
{
    (void)state;
    struct davy_config *config =
        load_good("{ name = \"r\"; points = [\"*.gas\"]; red = { above = 9; }; deadband = 1; }");
    const struct davy_rule *rule = &config->rules[0];
    assert_int_equal(rule->measure, DAVY_MEASURE_VALUE);
    assert_int_equal(rule->options.rule, DAVY_NONE);
    assert_int_equal(rule->options.window.ns, 0);
    assert_null(rule->options.others);
    assert_null(rule->when.points);
    assert_int_equal(rule->vote, 0);
    assert_null(rule->fault_name);
    assert_int_equal(rule->step_count, 0);
    davy_config_unref(config);
}

static void a_measure_has_its_parameters_and_their_defaults(void **state)
{
    (void)state;
    static const struct {
        const char *keys;
        enum davy_measure measure;
        int64_t window, per, horizon, guard;
        double coverage, epsilon;
    } cases[] = {
        {"type = \"value\"", DAVY_MEASURE_VALUE, 0, 0, 0, 0, 0, 0},
        {"type = \"mean\"; window = \"10s\"", DAVY_MEASURE_MEAN, 10, 0, 0, 0, 0.75, 0},
        {"type = \"mean\"; window = \"10s\"; coverage = 0.5", DAVY_MEASURE_MEAN, 10, 0, 0, 0, 0.5, 0},
        {"type = \"min\"; window = \"10s\"", DAVY_MEASURE_MIN, 10, 0, 0, 0, 0, 0},
        {"type = \"max\"; window = \"10s\"", DAVY_MEASURE_MAX, 10, 0, 0, 0, 0, 0},
        {"type = \"stddev\"; window = \"10s\"", DAVY_MEASURE_STDDEV, 10, 0, 0, 0, 0.75, 0},
        {"type = \"rms\"; window = \"10s\"", DAVY_MEASURE_RMS, 10, 0, 0, 0, 0.75, 0},
        {"type = \"rate\"; window = \"10s\"", DAVY_MEASURE_RATE, 10, 60, 0, 0, 0, 0},
        {"type = \"rate\"; window = \"10s\"; per = \"1h\"", DAVY_MEASURE_RATE, 10, 3600, 0, 0, 0, 0},
        {"type = \"forecast\"; window = \"10s\"; horizon = \"5min\"", DAVY_MEASURE_FORECAST, 10, 0, 300, 0, 0, 0},
        {"type = \"stel\"", DAVY_MEASURE_STEL, 900, 0, 0, 0, 0, 0},
        {"type = \"twa\"", DAVY_MEASURE_TWA, 28800, 0, 0, 0, 0, 0},
        {"type = \"deviation\"; window = \"50s\"", DAVY_MEASURE_DEVIATION, 50, 0, 0, 5, 0, 0},
        {"type = \"deviation\"; window = \"50s\"; guard = \"20s\"", DAVY_MEASURE_DEVIATION, 50, 0, 0, 20, 0, 0},
        {"type = \"stuck\"", DAVY_MEASURE_STUCK, 0, 0, 0, 0, 0, 0},
        {"type = \"stuck\"; epsilon = 0.25", DAVY_MEASURE_STUCK, 0, 0, 0, 0, 0, 0.25},
    };
    for (size_t i = 0; i < DAVY_LENGTH(cases); i++) {
        struct davy_config *config = load_measure(cases[i].keys);
        const struct davy_measure_options *options = &config->rules[0].options;
        assert_int_equal(config->rules[0].measure, cases[i].measure);
        assert_int_equal(options->window.ns, cases[i].window * DAVY_NS_PER_S);
        assert_int_equal(options->per.ns, cases[i].per * DAVY_NS_PER_S);
        assert_int_equal(options->horizon.ns, cases[i].horizon * DAVY_NS_PER_S);
        assert_int_equal(options->guard.ns, cases[i].guard * DAVY_NS_PER_S);
        assert_float_equal(options->coverage, cases[i].coverage, 0);
        assert_float_equal(options->epsilon, cases[i].epsilon, 0);
        davy_config_unref(config);
    }
}

static void the_other_of_a_difference_is_of_the_same_device_or_named_in_full(void **state)
{
    (void)state;
    struct davy_config *config = load_measure("type = \"difference\"; other = \"spare\"");
    assert_int_equal(config->rules[0].options.others[0], A_SPARE);
    assert_int_equal(config->rules[0].options.others[1], B_SPARE);
    davy_config_unref(config);
    config = load_measure("type = \"difference\"; other = \"B.spare\"");
    assert_int_equal(config->rules[0].options.others[0], B_SPARE);
    assert_int_equal(config->rules[0].options.others[1], B_SPARE);
    davy_config_unref(config);
}

static void occurrences_know_the_rule_that_they_count(void **state)
{
    (void)state;
    struct davy_config *config =
        load_good("{ name = \"z\"; points = [\"*.on\"]; red = { equals = true; }; },\n"
                  "{ name = \"r\"; points = [\"*.gas\"]; red = { above = 9; }; deadband = 1; },\n"
                  "{ name = \"n\"; points = [\"B.gas\"]; red = { above = 3; }; measure = { type = \"occurrences\"; "
                  "rule = \"r\"; window = \"3d\"; days = true; }; }");
    assert_int_equal(config->rules[2].options.rule, 1);
    assert_true(config->rules[2].options.days);
    assert_int_equal(config->rules[2].options.window.ns, minutes(3 * 24 * 60));
    davy_config_unref(config);
}

static void a_when_without_a_dot_is_of_the_same_device(void **state)
{
    (void)state;
    struct davy_config *config = load_good("{ name = \"r\"; points = [\"*.gas\"]; red = { above = 9; }; deadband = 1;\n"
                                           "  when = { point = \"on\"; equals = true; for = \"30s\"; }; },\n"
                                           "{ name = \"s\"; points = [\"*.gas\"]; red = { above = 9; }; deadband = 1;\n"
                                           "  when = { point = \"B.spare\"; below = 4.5; }; }");
    const struct davy_when *when = &config->rules[0].when;
    assert_int_equal(when->points[0], A_ON);
    assert_int_equal(when->points[1], B_ON);
    assert_int_equal(when->condition, DAVY_CONDITION_EQUALS);
    assert_float_equal(when->value, 1, 0);
    assert_int_equal(when->hold.ns, 30 * DAVY_NS_PER_S);
    when = &config->rules[1].when;
    assert_int_equal(when->points[0], B_SPARE);
    assert_int_equal(when->points[1], B_SPARE);
    assert_int_equal(when->condition, DAVY_CONDITION_BELOW);
    assert_float_equal(when->value, 4.5, 0);
    assert_int_equal(when->hold.ns, 0);
    davy_config_unref(config);
}

static void a_vote_has_a_fault_of_its_own_name(void **state)
{
    (void)state;
    struct davy_config *config =
        load_good("{ name = \"r\"; points = [\"*.gas\"]; red = { above = 9; }; deadband = 1; vote = 2; },\n"
                  "{ name = \"s\"; points = [\"A.gas\", \"A.spare\"]; red = { above = 9; on_fault = \"trip\"; };\n"
                  "  deadband = 1; vote = 1; on_bad = \"abstain\"; when = { point = \"on\"; equals = true; }; }");
    assert_int_equal(config->rules[0].vote, 2);
    assert_int_equal(config->rules[0].on_bad, DAVY_ON_BAD_DEGRADE);
    assert_string_equal(config->rules[0].fault_name, "r.fault");
    assert_int_equal(config->rules[1].on_bad, DAVY_ON_BAD_ABSTAIN);
    assert_int_equal(config->rules[1].when.points[1], A_ON);
    assert_true(config->rules[1].limits[0].trip_on_fault);
    davy_config_unref(config);
}

static void a_ladder_has_its_steps_in_order(void **state)
{
    (void)state;
    struct davy_config *config =
        load_good("{ name = \"r\"; points = [\"*.gas\"]; orange = { above = 9; }; deadband = 1; escalate = (\n"
                  "  { after = \"15min\"; unless = \"acknowledged\"; owner = \"lead\"; level = \"yellow\"; },\n"
                  "  { after = \"15min\"; unless = \"cleared\"; }, { after = \"48h\"; unless = \"cleared\"; level = "
                  "\"red\"; } ); "
                  "}");
    const struct davy_rule *rule = &config->rules[0];
    assert_int_equal(rule->step_count, 3);
    assert_int_equal(rule->steps[0].after.ns, minutes(15));
    assert_false(rule->steps[0].unless_cleared);
    assert_string_equal(rule->steps[0].owner, "lead");
    assert_int_equal(rule->steps[0].level, DAVY_LEVEL_YELLOW);
    assert_true(rule->steps[1].unless_cleared);
    assert_null(rule->steps[1].owner);
    assert_int_equal(rule->steps[1].level, DAVY_LEVEL_NONE);
    assert_int_equal(rule->steps[2].after.ns, minutes(48 * 60));
    davy_config_unref(config);
}

static void each_limit_of_a_stel_acts_a_second_time_one_level_lower(void **state)
{
    (void)state;
    static const struct {
        enum davy_level level;
        bool upper;
        double a;
    } expected[] = {
        {DAVY_LEVEL_BLUE, true, 1},    {DAVY_LEVEL_BLUE, true, 2},    {DAVY_LEVEL_BLUE, false, 1},
        {DAVY_LEVEL_YELLOW, true, 3},  {DAVY_LEVEL_YELLOW, false, 2}, {DAVY_LEVEL_ORANGE, true, 4},
        {DAVY_LEVEL_ORANGE, false, 3}, {DAVY_LEVEL_RED, false, 4},
    };
    struct davy_config *config =
        load_good("{ name = \"r\"; points = [\"*.gas\"]; measure = { type = \"stel\"; }; on_fault = \"trip\";\n"
                  "  blue = { above = 1; }; yellow = { above = 2; latch = true; owner = \"yo\"; };\n"
                  "  orange = { above = 3; }; red = { above = 4; }; deadband = 0.5; }");
    const struct davy_rule *rule = &config->rules[0];
    assert_int_equal(rule->limit_count, DAVY_LENGTH(expected));
    for (size_t i = 0; i < rule->limit_count; i++) {
        assert_int_equal(rule->limits[i].level, expected[i].level);
        assert_int_equal(rule->limits[i].upper, expected[i].upper);
        assert_float_equal(rule->limits[i].a, expected[i].a, 0);
        assert_float_equal(rule->limits[i].deadband, 0.5, 0);
        assert_int_equal(rule->limits[i].trip_on_fault, !expected[i].upper);
        assert_int_equal(rule->limits[i].latch, expected[i].a == 2);
    }
    assert_string_equal(rule->limits[1].owner, "yo");
    davy_config_unref(config);
}

static void what_is_unwise_about_a_measure_is_warned_of(void **state)
{
    (void)state;
#define SLOW(keys) "{ name = \"r\"; points = [\"A.slow\"]; red = { above = 9; }; measure = { " keys " }; }"
    assert_true(warns(SLOW("type = \"mean\"; window = \"15s\""), "rules[0].measure.window", "too few readings"));
    assert_false(warns(SLOW("type = \"max\"; window = \"20s\""), "rules[0].measure.window", ""));
    assert_true(warns(SLOW("type = \"mean\"; window = \"1min\""), "rules[0].measure", "cannot be reached"));
    assert_true(warns(SLOW("type = \"rms\"; window = \"1min\"; coverage = 0.3"), "rules[0].measure.coverage",
                      "A.slow is read every 10s and its value holds for `max_age`, 2s"));
    assert_false(warns(SLOW("type = \"rms\"; window = \"1min\"; coverage = 0.2"), "rules[0].measure.coverage", ""));
    assert_true(warns(SLOW("type = \"mean\"; window = \"1h\""), "rules[0].red", "deadband of 0"));
    assert_false(warns(SLOW("type = \"stuck\""), "rules[0].red", "deadband of 0"));
}

static void what_is_unwise_about_a_when_is_warned_of(void **state)
{
    (void)state;
#define WHEN(keys) "{ name = \"r\"; points = [\"A.gas\"]; red = { above = 9; }; when = { " keys " }; }"
    assert_true(warns(WHEN("point = \"spare\"; above = 101"), "rules[0].when", "is never true: the range of A.spare"));
    assert_true(warns(WHEN("point = \"spare\"; above = 0"), "rules[0].when", "is always true"));
    assert_true(warns(WHEN("point = \"spare\"; below = -1"), "rules[0].when", "is never true"));
    assert_true(warns(WHEN("point = \"spare\"; below = 100"), "rules[0].when", "is always true"));
    assert_true(warns(WHEN("point = \"on\"; equals = 2"), "rules[0].when", "is never true"));
    assert_false(warns(WHEN("point = \"spare\"; above = 100"), "rules[0].when", ""));
    assert_false(warns(WHEN("point = \"spare\"; below = 0"), "rules[0].when", ""));
    assert_false(warns(WHEN("point = \"on\"; equals = false"), "rules[0].when", ""));
}

static void a_step_that_waits_for_an_acknowledgement_of_nothing_is_warned_of(void **state)
{
    (void)state;
#define STEPS(limits)                                                                                                  \
    "{ name = \"r\"; points = [\"A.gas\"]; deadband = 1; " limits                                                      \
    " escalate = ( { after = \"1min\"; unless = \"acknowledged\"; }, { after = \"2min\"; unless = \"cleared\"; } ); }"
    const char *never = "is never due";
    assert_true(warns(STEPS("acknowledge = false; red = { above = 9; };"), "rules[0].escalate[0]", never));
    assert_false(warns(STEPS("acknowledge = false; red = { above = 9; };"), "rules[0].escalate[1]", never));
    assert_false(warns(STEPS("yellow = { above = 2; acknowledge = false; }; red = { above = 9; };"),
                       "rules[0].escalate[0]", ""));
}

static void everything_is_in_effect(void **state)
{
    (void)state;
    const char *rule = "{ name = \"r\"; points = [\"*.gas\"]; red = { above = 9; }; deadband = 1; vote = 2;\n"
                       "  on_bad = \"trip\"; measure = { type = \"mean\"; window = \"1min\"; };\n"
                       "  when = { point = \"A.on\"; equals = true; };\n"
                       "  escalate = ( { after = \"1h\"; unless = \"cleared\"; } ); }";
    struct davy_problems problems = {0};
    struct davy_config *config = load(rule, &problems);
    assert_non_null(config);
    for (size_t i = 0; i < problems.count; i++) {
        assert_null(strstr(problems.items[i].message, "not in effect"));
        assert_true(!problems.items[i].path || !strstr(problems.items[i].path, "rules"));
    }
    davy_config_unref(config);
    davy_problems_done(&problems);
}

/* The examples of thresholds.conf without their comment signs: what is indented within the comment. */
static void take_the_comments_off(const char *file, struct davy_buf *out)
{
    char line[256];
    DAVY_AUTO_FILE FILE *in = fopen(file, "re");
    assert_non_null(in);
    while (fgets(line, sizeof line, in)) {
        bool example = strncmp(line, "  # , ", 6) == 0 || strncmp(line, "  #   ", 6) == 0;
        davy_buf_text(out, example ? line + 3 : line);
    }
    assert_false(out->overflow);
}

static void the_examples_of_the_shipped_thresholds_load(void **state)
{
    (void)state;
    static const char plant[] =
        "gateway = { id = \"g\"; site = \"s\"; };\n"
        "buses = ( { name = \"plc\"; type = \"tcp\"; host = \"h\"; } );\n"
        "profiles = ( { name = \"gas\"; points = ( { name = \"h2s\"; register = 1; type = \"float32\"; } ); } );\n"
        "devices = ( { id = \"GT-101\"; bus = \"plc\"; unit = 1; profile = \"gas\"; },\n"
        "  { id = \"GT-102\"; bus = \"plc\"; unit = 2; profile = \"gas\"; },\n"
        "  { id = \"VT-201\"; bus = \"plc\"; unit = 3; points = (\n"
        "    { name = \"z_rms\"; register = 1; type = \"float32\"; },\n"
        "    { name = \"running\"; kind = \"state\"; table = \"discrete\"; register = 1; type = \"bool\"; } ); } );\n";
    char text[16384], file[1024];
    struct davy_buf all;
    struct davy_problems problems = {0};
    struct davy_config *config = NULL;
    const char *source = getenv("DAVY_SOURCE");
    snprintf(file, sizeof file, "%s/conf/thresholds.conf", source ? source : ".");
    davy_buf_init(&all, text, sizeof text);
    davy_buf_text(&all, plant);
    take_the_comments_off(file, &all);
    int rc = davy_config_load_text("examples.conf", text, all.length, &problems, &config);
    if (rc != 0)
        print_all(&problems);
    assert_int_equal(rc, 0);
    for (size_t i = 0; i < problems.count; i++)
        assert_null(strstr(problems.items[i].message, "deadband of 0"));
    uint32_t vote = davy_config_find_rule(config, "tank-vote");
    assert_true(vote != DAVY_NONE && config->rules[vote].vote == 2 && config->rules[vote].step_count == 2);
    assert_true(davy_config_find_rule(config, "h2s-stel") != DAVY_NONE);
    assert_true(davy_config_find_rule(config, "vibration-trend") != DAVY_NONE);
    assert_true(davy_config_find_rule(config, "h2s-again") != DAVY_NONE);
    davy_config_unref(config);
    davy_problems_done(&problems);
}

/* --- any rules -------------------------------------------------------------------------------------------------- */

static uint64_t draw(struct davy_random *random, uint64_t bound)
{
    return davy_random_next(random) % bound;
}

#define PICK(random, list) (list)[draw(random, DAVY_LENGTH(list))]

static void put_measure(struct davy_buf *out, struct davy_random *random)
{
    static const char *const keys[] = {"window = \"1s\"; ", "window = \"3d\"; ",     "coverage = 0.5; ",
                                       "per = \"1h\"; ",    "horizon = \"10min\"; ", "guard = \"2s\"; ",
                                       "epsilon = 0.5; ",   "other = \"spare\"; ",   "other = \"B.gas\"; ",
                                       "rule = \"r0\"; ",   "rule = \"r1\"; ",       "days = true; "};
    static const char *const likely[DAVY_MEASURE_COUNT_] = {
        [DAVY_MEASURE_MEAN] = "window = \"1min\"; ",
        [DAVY_MEASURE_MIN] = "window = \"1min\"; ",
        [DAVY_MEASURE_MAX] = "window = \"1min\"; ",
        [DAVY_MEASURE_STDDEV] = "window = \"1min\"; ",
        [DAVY_MEASURE_RMS] = "window = \"1min\"; ",
        [DAVY_MEASURE_RATE] = "window = \"1min\"; ",
        [DAVY_MEASURE_FORECAST] = "window = \"1min\"; horizon = \"1h\"; ",
        [DAVY_MEASURE_DEVIATION] = "window = \"1min\"; ",
        [DAVY_MEASURE_DIFFERENCE] = "other = \"spare\"; ",
        [DAVY_MEASURE_OCCURRENCES] = "window = \"2d\"; rule = \"r0\"; ",
    };
    enum davy_measure measure = (enum davy_measure)draw(random, DAVY_MEASURE_COUNT_);
    davy_buf_printf(out, "measure = { type = \"%s\"; ", davy_measure_name(measure));
    if (likely[measure] && draw(random, 8) > 0)
        davy_buf_text(out, likely[measure]);
    if (draw(random, 6) == 0)
        davy_buf_text(out, PICK(random, keys));
    davy_buf_text(out, "}; ");
}

static void put_limits(struct davy_buf *out, struct davy_random *random)
{
    static const char *const conditions[] = {"above", "above", "above", "below", "equals"};
    for (int level = DAVY_LEVEL_BLUE; level < DAVY_LEVEL_COUNT_; level++) {
        if (draw(random, 2) == 0)
            continue;
        const char *condition = PICK(random, conditions);
        unsigned bound = (unsigned)(20 * level + (int)draw(random, 20));
        davy_buf_printf(out, "%s = { %s = %u; %s}; ", davy_level_name((enum davy_level)level), condition, bound,
                        draw(random, 4) == 0 ? "deadband = 2; " : "");
    }
}

static void put_rule(struct davy_buf *out, struct davy_random *random, unsigned index)
{
    static const char *const globs[] = {"*.gas", "A.gas", "*.*", "A.*", "*.on", "A.slow", "*.spare", "C.*"};
    static const char *const others[] = {
        "vote = 2; ",
        "vote = 1; on_bad = \"trip\"; ",
        "when = { point = \"on\"; equals = true; }; ",
        "when = { point = \"A.slow\"; above = 3; for = \"1s\"; }; ",
        "escalate = ( { after = \"1min\"; unless = \"acknowledged\"; level = \"red\"; } ); ",
        "escalate = ( { after = \"1h\"; unless = \"cleared\"; }, { after = \"1min\"; unless = \"cleared\"; } ); ",
        "acknowledge = false; ",
        "on_fault = \"trip\"; ",
    };
    davy_buf_printf(out, "%s{ name = \"r%u\"; points = [\"%s\"]; ", index ? ",\n" : "", index, PICK(random, globs));
    put_limits(out, random);
    if (draw(random, 3) > 0)
        put_measure(out, random);
    if (draw(random, 2) == 0)
        davy_buf_text(out, PICK(random, others));
    davy_buf_text(out, "}");
}

static void assert_whole(const struct davy_config *config, uint32_t index)
{
    const struct davy_rule *rule = &config->rules[index];
    const struct davy_measure_options *options = &rule->options;
    bool counts = rule->measure == DAVY_MEASURE_OCCURRENCES, differs = rule->measure == DAVY_MEASURE_DIFFERENCE;
    assert_in_range(rule->limit_count, 1, DAVY_LIMITS_MAX);
    for (size_t i = 1; i < rule->limit_count; i++) {
        const struct davy_limit *limit = &rule->limits[i], *before = limit - 1;
        assert_true(before->level < limit->level || (before->level == limit->level && before->upper >= limit->upper));
    }
    assert_int_equal(options->others != NULL, differs);
    assert_int_equal(options->rule != DAVY_NONE, counts);
    assert_true(!counts || (options->rule < index && config->rules[options->rule].vote == 0));
    for (size_t i = 0; i < rule->point_count; i++) {
        assert_true(!differs || options->others[i] < config->point_count);
        assert_true(!rule->when.points || rule->when.points[i] < config->point_count);
        assert_true(!rule->vote || !rule->when.points || rule->when.points[i] == rule->when.points[0]);
    }
    assert_int_equal(rule->fault_name != NULL, rule->vote > 0);
    assert_true(rule->vote <= rule->point_count);
    for (size_t i = 1; i < rule->step_count; i++)
        assert_true(rule->steps[i - 1].after.ns <= rule->steps[i].after.ns);
}

static void any_rules_are_refused_or_whole(void **state)
{
    (void)state;
    struct davy_random random = {.state = davy_test_seed(3)};
    unsigned loaded = 0, refused = 0;
    for (unsigned i = 0; i < 2000; i++) {
        char text[6000];
        struct davy_buf rules;
        struct davy_problems problems = {0};
        davy_buf_init(&rules, text, sizeof text);
        unsigned count = 1 + (unsigned)draw(&random, 3);
        for (unsigned r = 0; r < count; r++)
            put_rule(&rules, &random, r);
        assert_false(rules.overflow);
        struct davy_config *config = load(text, &problems);
        for (uint32_t r = 0; config && r < config->rule_count; r++)
            assert_whole(config, r);
        loaded += config != NULL;
        refused += config == NULL && problems.errors > 0;
        davy_config_unref(config);
        davy_problems_done(&problems);
    }
    assert_int_equal(loaded + refused, 2000);
    assert_in_range(loaded, 100, 1900);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rule_without_more_is_the_value_itself),
        cmocka_unit_test(a_measure_has_its_parameters_and_their_defaults),
        cmocka_unit_test(the_other_of_a_difference_is_of_the_same_device_or_named_in_full),
        cmocka_unit_test(occurrences_know_the_rule_that_they_count),
        cmocka_unit_test(a_when_without_a_dot_is_of_the_same_device),
        cmocka_unit_test(a_vote_has_a_fault_of_its_own_name),
        cmocka_unit_test(a_ladder_has_its_steps_in_order),
        cmocka_unit_test(each_limit_of_a_stel_acts_a_second_time_one_level_lower),
        cmocka_unit_test(what_is_unwise_about_a_measure_is_warned_of),
        cmocka_unit_test(what_is_unwise_about_a_when_is_warned_of),
        cmocka_unit_test(a_step_that_waits_for_an_acknowledgement_of_nothing_is_warned_of),
        cmocka_unit_test(everything_is_in_effect),
        cmocka_unit_test(the_examples_of_the_shipped_thresholds_load),
        cmocka_unit_test(any_rules_are_refused_or_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
