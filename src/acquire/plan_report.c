/* SPDX-License-Identifier: Apache-2.0 */
#include "acquire/plan_report.h"

#include <string.h>

#include "acquire/estimate.h"
#include "base/buf.h"
#include "base/num.h"

/* Above this share a bus has no room to repeat what failed. */
#define FULL 0.8

/* Different values of a limit that are told. */
#define VALUES 32

static size_t count_requests(const struct davy_config *config, uint32_t bus)
{
    size_t count = 0;
    for (size_t i = 0; i < config->request_count; i++)
        count += config->requests[i].bus == bus;
    return count;
}

static size_t count_points(const struct davy_config *config, uint32_t bus)
{
    size_t count = 0;
    for (size_t i = 0; i < config->request_count; i++)
        count += config->requests[i].bus == bus ? config->requests[i].point_count : 0;
    return count;
}

davy_span davy_plan_report_detection(const struct davy_config *config, const struct davy_rule *rule,
                                     const struct davy_limit *limit, enum davy_dead dead)
{
    davy_span worst = {0};
    for (size_t i = 0; i < rule->point_count; i++) {
        const struct davy_request *request = davy_estimate_request_of(config, rule->points[i]);
        if (request && request->detection[dead].ns > worst.ns)
            worst = request->detection[dead];
    }
    return worst.ns > 0 ? (davy_span){worst.ns + limit->on_delay.ns} : worst;
}

static double seconds(davy_span span)
{
    return (double)span.ns / (double)DAVY_NS_PER_S;
}

static void put_span(struct davy_buf *out, const char *before, davy_span span)
{
    char text[DAVY_NUM_TEXT];
    if (span.ns > 0)
        davy_buf_printf(out, "%s%s", before, davy_span_print(span, text));
}

/* "mean over 10min", "difference to GT-2.h2s"; nothing of the value itself. */
static void put_measure(struct davy_buf *out, const struct davy_config *config, const struct davy_rule *rule)
{
    const struct davy_measure_options *options = &rule->options;
    if (rule->measure == DAVY_MEASURE_VALUE)
        return;
    davy_buf_printf(out, "; %s", davy_measure_name(rule->measure));
    if (options->rule != DAVY_NONE && rule->measure == DAVY_MEASURE_OCCURRENCES)
        davy_buf_printf(out, " of %s%s", config->rules[options->rule].name, options->days ? ", days in a row" : "");
    if (options->others && rule->point_count > 0)
        davy_buf_printf(out, " to %s", config->points[options->others[0]].name);
    put_span(out, " over ", options->window);
    put_span(out, ", ahead ", options->horizon);
    put_span(out, ", per ", options->per);
    put_span(out, " but the newest ", options->guard);
}

/* "; when running equals 1 for 30s" */
static void put_when(struct davy_buf *out, const struct davy_config *config, const struct davy_rule *rule)
{
    char name[DAVY_KEY_SIZE], value[DAVY_NUM_TEXT];
    const struct davy_when *when = &rule->when;
    if (!when->points || rule->point_count == 0)
        return;
    bool one = true;
    for (size_t i = 1; i < rule->point_count; i++)
        one = one && when->points[i] == when->points[0];
    davy_buf_printf(out, "; when %s %s %s",
                    one ? davy_config_point_name(config, when->points[0], name) : config->points[when->points[0]].name,
                    davy_condition_name(when->condition), davy_num_print(when->value, value));
    put_span(out, " for ", when->hold);
}

/* "; overdue after 15min (shift-leader, red), 48h (plant-manager)" */
static void put_ladder(struct davy_buf *out, const struct davy_rule *rule)
{
    char after[DAVY_NUM_TEXT];
    for (size_t i = 0; i < rule->step_count; i++) {
        const struct davy_step *step = &rule->steps[i];
        const char *level = davy_level_name(step->level);
        davy_buf_printf(out, "%s%s unless %s", i == 0 ? "; overdue after " : ", ", davy_span_print(step->after, after),
                        step->unless_cleared ? "cleared" : "acknowledged");
        if (step->owner || level)
            davy_buf_printf(out, " (%s%s%s)", step->owner ? step->owner : "", step->owner && level ? ", " : "",
                            level ? level : "");
    }
}

/* What a rule does beside comparing values with limits, on one line; nothing where that is all. */
static void print_rule(FILE *out, const struct davy_config *config, const struct davy_rule *rule)
{
    char text[1024];
    struct davy_buf buf;
    davy_buf_init(&buf, text, sizeof text);
    put_measure(&buf, config, rule);
    if (rule->vote > 0)
        davy_buf_printf(&buf, "; %u of %zu must agree", rule->vote, rule->point_count);
    put_when(&buf, config, rule);
    put_ladder(&buf, rule);
    if (rule->preset)
        davy_buf_printf(&buf, "; preset %s", rule->preset);
    if (buf.length > 0)
        fprintf(out, "rule %s: %s%s\n", rule->name, text + 2, buf.overflow ? " ..." : "");
}

/* A measure that looks back answers in its own time: what is known is when it is evaluated. */
static const char *arrival(const struct davy_rule *rule)
{
    return rule->measure == DAVY_MEASURE_VALUE || rule->measure == DAVY_MEASURE_DIFFERENCE ? "in alarm" : "evaluated";
}

/* "" of what has none. */
static const char *unit_at(const struct davy_config *config, const struct davy_rule *rule, size_t place)
{
    const char *unit = config->points[rule->points[place]].unit;
    return unit && strcmp(unit, "1") != 0 ? unit : "";
}

/* " ppm", of a rate " ppm/1min": what the numbers of the rule are in at this point. */
static void print_unit(FILE *out, const struct davy_rule *rule, const char *unit)
{
    char per[DAVY_NUM_TEXT];
    const enum davy_measure measure = rule->measure;
    if (measure == DAVY_MEASURE_STUCK)
        fputs(" s", out);
    else if (measure == DAVY_MEASURE_RATE)
        fprintf(out, " %s/%s", unit[0] ? unit : "1", davy_span_print(rule->options.per, per));
    else if (unit[0] && measure != DAVY_MEASURE_DEVIATION && measure != DAVY_MEASURE_OCCURRENCES)
        fprintf(out, " %s", unit);
}

/* "≥ 7.05843 ppm": the limit at the rule's point of this place, six digits of it. */
static void print_condition(FILE *out, const struct davy_config *config, const struct davy_rule *rule, size_t index,
                            size_t place)
{
    static const char *const signs[] = {
        [DAVY_CONDITION_ABOVE] = "≥",
        [DAVY_CONDITION_BELOW] = "≤",
        [DAVY_CONDITION_OUTSIDE] = "outside",
        [DAVY_CONDITION_EQUALS] = "=",
    };
    const struct davy_limit *limit = &davy_rule_limits(rule, place)[index];
    fprintf(out, "%s %.6g", (size_t)limit->condition < DAVY_LENGTH(signs) ? signs[limit->condition] : "", limit->a);
    if (limit->condition == DAVY_CONDITION_OUTSIDE)
        fprintf(out, " to %.6g", limit->b);
    print_unit(out, rule, unit_at(config, rule, place));
}

/* Whether the limit is the same number in the same unit at both places. */
static bool is_alike(const struct davy_config *config, const struct davy_rule *rule, size_t index, size_t one,
                     size_t other)
{
    const struct davy_limit *a = &davy_rule_limits(rule, one)[index], *b = &davy_rule_limits(rule, other)[index];
    return memcmp(&a->a, &b->a, sizeof a->a) == 0 && memcmp(&a->b, &b->b, sizeof a->b) == 0 &&
           strcmp(unit_at(config, rule, one), unit_at(config, rule, other)) == 0;
}

/*
 * The places of the rule that have different values of the limit, the first of each; returns how many, at most `size`.
 */
static size_t find_values(const struct davy_config *config, const struct davy_rule *rule, size_t index, size_t *firsts,
                          size_t size)
{
    size_t count = 0;
    for (size_t place = 0; place < rule->point_count && count < size; place++) {
        size_t known = 0;
        while (known < count && !is_alike(config, rule, index, firsts[known], place))
            known++;
        if (known == count)
            firsts[count++] = place;
    }
    return count;
}

/* "  ≥ 17.2 ppm: GT-203.co, GT-204.co" */
static void print_value(FILE *out, const struct davy_config *config, const struct davy_rule *rule, size_t index,
                        size_t first)
{
    char name[DAVY_KEY_SIZE];
    const char *before = ": ";
    fputs("  ", out);
    print_condition(out, config, rule, index, first);
    for (size_t place = first; place < rule->point_count; place++) {
        if (!is_alike(config, rule, index, first, place))
            continue;
        fprintf(out, "%s%s", before, davy_config_point_name(config, rule->points[place], name));
        before = ", ";
    }
    fputc('\n', out);
}

/* The most devices that share a bus with a point of the rule. */
static unsigned most_neighbours(const struct davy_config *config, const struct davy_rule *rule)
{
    unsigned most = 0;
    for (size_t i = 0; i < rule->point_count; i++) {
        unsigned count = davy_estimate_neighbours(config, rule->points[i]);
        most = count > most ? count : most;
    }
    return most;
}

/* ", in alarm within 1.21 s, 3.36 s beside a dead device, 7.66 s beside 3": as many as there are. */
static void print_detection(FILE *out, const struct davy_config *config, const struct davy_rule *rule,
                            const struct davy_limit *limit)
{
    const unsigned neighbours = most_neighbours(config, rule);
    fprintf(out, ", %s within %.2f s", arrival(rule),
            seconds(davy_plan_report_detection(config, rule, limit, DAVY_DEAD_NONE)));
    if (neighbours >= 1)
        fprintf(out, ", %.2f s beside a dead device",
                seconds(davy_plan_report_detection(config, rule, limit, DAVY_DEAD_ONE)));
    if (neighbours >= DAVY_DEAD_SOME_DEVICES)
        fprintf(out, ", %.2f s beside %d", seconds(davy_plan_report_detection(config, rule, limit, DAVY_DEAD_SOME)),
                DAVY_DEAD_SOME_DEVICES);
    fputc('\n', out);
}

static void print_limit(FILE *out, const struct davy_config *config, const struct davy_rule *rule, size_t index)
{
    const struct davy_limit *limit = &rule->limits[index];
    size_t firsts[VALUES];
    if (limit->upper)
        return; /* it is in the file once */
    const size_t count = find_values(config, rule, index, firsts, VALUES);
    fprintf(out, "rule %s, %s", rule->name, davy_level_name(limit->level));
    if (count == 1) {
        fputc(' ', out);
        print_condition(out, config, rule, index, 0);
    }
    fprintf(out, ": %zu points", rule->point_count);
    print_detection(out, config, rule, limit);
    for (size_t i = 0; count > 1 && i < count; i++)
        print_value(out, config, rule, index, firsts[i]);
    if (count == VALUES)
        fputs("  ...\n", out);
}

/* What the figures rest on, where there is a serial line: nobody has measured yet. */
static void print_assumption(FILE *out, const struct davy_config *config)
{
    char text[DAVY_NUM_TEXT];
    bool lines = false;
    for (size_t b = 0; b < config->bus_count; b++)
        lines = lines || config->buses[b].type == DAVY_BUS_RTU;
    if (lines)
        fprintf(out, "devices on serial lines are taken to turn around within %s; davyctl status tells what they do\n",
                davy_span_print(DAVY_ESTIMATE_TURN_AROUND, text));
}

void davy_plan_report_print(FILE *out, const struct davy_config *config)
{
    fprintf(out, "%zu buses, %zu devices, %zu points, %zu rules, %zu requests\n", config->bus_count,
            config->device_count, config->point_count, config->rule_count, config->request_count);
    for (uint32_t b = 0; b < config->bus_count; b++)
        fprintf(out, "bus %s (%s): %zu requests for %zu points, planned load %.1f %%\n", config->buses[b].name,
                davy_bus_type_name(config->buses[b].type), count_requests(config, b), count_points(config, b),
                100 * davy_estimate_utilization(config, b));
    print_assumption(out, config);
    if (!config->mqtt.enabled)
        fputs("no mqtt: alarms are recorded, and shown by davyctl, but nobody is notified\n", out);
    for (size_t r = 0; r < config->rule_count; r++) {
        const struct davy_rule *rule = &config->rules[r];
        print_rule(out, config, rule);
        for (size_t i = 0; i < rule->limit_count; i++)
            print_limit(out, config, rule, i);
    }
}

static void warn_of_limit(const struct davy_config *config, const struct davy_rule *rule,
                          const struct davy_limit *limit, void (*warn)(void *context, const char *text), void *context)
{
    char text[512], within[DAVY_NUM_TEXT];
    const davy_span worst = davy_plan_report_detection(config, rule, limit, DAVY_DEAD_ONE);
    if (limit->upper || config->gateway.detect_within.ns == 0 || worst.ns <= config->gateway.detect_within.ns)
        return;
    snprintf(text, sizeof text,
             "rule %s, %s: a step is %s after up to %.2f s beside a dead device, later than detect_within = %s",
             rule->name, davy_level_name(limit->level), arrival(rule), seconds(worst),
             davy_span_print(config->gateway.detect_within, within));
    warn(context, text);
}

void davy_plan_report_warn(const struct davy_config *config, void (*warn)(void *context, const char *text),
                           void *context)
{
    char text[512];
    for (uint32_t b = 0; b < config->bus_count; b++) {
        const double load = davy_estimate_utilization(config, b);
        if (load <= FULL)
            continue;
        snprintf(text, sizeof text,
                 "bus %s: the plan takes %.1f %% of its time, more than 80 %%: longer intervals, a "
                 "higher baud rate or another bus",
                 config->buses[b].name, 100 * load);
        warn(context, text);
    }
    for (size_t r = 0; r < config->rule_count; r++)
        for (size_t i = 0; i < config->rules[r].limit_count; i++)
            warn_of_limit(config, &config->rules[r], &config->rules[r].limits[i], warn, context);
}
