/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "acquire/plan_report.h"
#include "acquire/request.h"
#include "support/small_config.h"

static const struct davy_limit limits[] = {
    {.level = DAVY_LEVEL_YELLOW, .condition = DAVY_CONDITION_ABOVE, .a = 8, .upper = true},
    {.level = DAVY_LEVEL_ORANGE, .condition = DAVY_CONDITION_ABOVE, .a = 8, .on_delay = {10 * DAVY_NS_PER_S}},
};
static const uint32_t points[] = {0, 1};
static const uint32_t gates[] = {2, 2};
static const struct davy_step steps[] = {
    {.after = {900 * DAVY_NS_PER_S}, .owner = "lead", .level = DAVY_LEVEL_RED},
    {.after = {2 * 86400 * DAVY_NS_PER_S}, .unless_cleared = true},
};

/* The report over one rule. The caller frees. */
static char *report(struct davy_rule rule)
{
    struct davy_config *config = small_config_new();
    small_bus(config, "bus", DAVY_BUS_TCP);
    small_device(config, "D", 0, 1);
    small_point(config, "a", 0, DAVY_TYPE_UINT16);
    small_point(config, "b", 1, DAVY_TYPE_UINT16);
    small_point(config, "on", 2, DAVY_TYPE_UINT16);
    struct davy_rule rules[] = {{.name = "first"}, rule};
    config->rules = rules;
    config->rule_count = 2;
    assert_int_equal(davy_requests_plan(config), 0);
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    davy_plan_report_print(out, config);
    fclose(out);
    davy_config_unref(config);
    return text;
}

static void assert_says(struct davy_rule rule, const char *line, bool expected)
{
    rule.name = "r";
    rule.points = points;
    rule.point_count = DAVY_LENGTH(points);
    if (!rule.limits) {
        rule.limits = limits;
        rule.limit_count = DAVY_LENGTH(limits);
    }
    DAVY_AUTO_FREE char *text = report(rule);
    if (!strstr(text, line) == expected)
        fail_msg("\"%s\" is %s in:\n%s", line, expected ? "not" : "", text);
}

static void a_plain_rule_is_its_limits(void **state)
{
    (void)state;
    assert_says((struct davy_rule){0}, "rule r: ", false);
    assert_says((struct davy_rule){0}, "no mqtt: alarms are recorded, and shown by davyctl, but nobody is notified\n",
                true);
    assert_says((struct davy_rule){0}, "rule r, orange ≥ 8: 2 points, in alarm within 1", true);
}

static void an_upper_bound_is_not_listed(void **state)
{
    (void)state;
    const struct davy_rule rule = {.measure = DAVY_MEASURE_STEL, .options.window = {900 * DAVY_NS_PER_S}};
    assert_says(rule, "rule r: stel over 15min\n", true);
    assert_says(rule, "rule r, orange ≥ 8: 2 points, evaluated within 1", true);
    assert_says(rule, "yellow", false);
}

static void limits_that_were_converted_are_listed_by_value(void **state)
{
    (void)state;
    static const struct davy_limit converted[] = {
        {.level = DAVY_LEVEL_RED, .condition = DAVY_CONDITION_BELOW, .a = 7.058431},
        {.level = DAVY_LEVEL_RED, .condition = DAVY_CONDITION_BELOW, .a = 10},
    };
    const struct davy_rule rule = {.limits = converted, .limit_count = 1, .per_point = true};
    assert_says(rule, "rule r, red: 2 points, ", true);
    assert_says(rule, "\n  ≤ 7.05843: D.a\n  ≤ 10: D.b\n", true);
}

static void measures_tell_their_parameters(void **state)
{
    (void)state;
    const davy_span minute = davy_span_s(60);
    struct davy_rule rule = {.measure = DAVY_MEASURE_FORECAST, .options = {.window = minute, .horizon = minute}};
    assert_says(rule, "rule r: forecast over 1min, ahead 1min\n", true);
    rule = (struct davy_rule){.measure = DAVY_MEASURE_RATE, .options = {.window = minute, .per = davy_span_s(1)}};
    assert_says(rule, "rule r: rate over 1min, per 1s\n", true);
    rule = (struct davy_rule){.measure = DAVY_MEASURE_OCCURRENCES, .options = {.window = minute, .days = true}};
    assert_says(rule, "rule r: occurrences of first, days in a row over 1min\n", true);
    rule = (struct davy_rule){.measure = DAVY_MEASURE_DIFFERENCE, .options.others = gates};
    assert_says(rule, "rule r: difference to on\n", true);
}

static void votes_gates_and_ladders_are_told_in_a_line(void **state)
{
    (void)state;
    const struct davy_rule rule = {
        .vote = 2,
        .when = {.points = gates, .condition = DAVY_CONDITION_EQUALS, .value = 1, .hold = {30 * DAVY_NS_PER_S}},
        .steps = steps,
        .step_count = DAVY_LENGTH(steps)};
    assert_says(rule,
                "rule r: 2 of 2 must agree; when D.on equals 1 for 30s; overdue after 15min unless acknowledged (lead, "
                "red), 2d unless cleared\n",
                true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plain_rule_is_its_limits),
        cmocka_unit_test(an_upper_bound_is_not_listed),
        cmocka_unit_test(limits_that_were_converted_are_listed_by_value),
        cmocka_unit_test(measures_tell_their_parameters),
        cmocka_unit_test(votes_gates_and_ladders_are_told_in_a_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
