/* SPDX-License-Identifier: Apache-2.0 */
#include "acquire/plan_report.h"

#include "acquire/estimate.h"
#include "base/buf.h"
#include "base/num.h"

/* Above this share a bus has no room to repeat what failed. */
#define FULL 0.8

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

/* The longest way from sensor to alarm over the points of a rule; 0 where none is read. */
static davy_span slowest(const struct davy_config *config, const struct davy_rule *rule, const struct davy_limit *limit,
                         unsigned dead)
{
    davy_span worst = {0};
    for (size_t i = 0; i < rule->point_count; i++) {
        const struct davy_point *point = &config->points[rule->points[i]];
        if (!config->devices[point->device].enabled)
            continue;
        davy_span span = davy_estimate_detection(config, rule->points[i], dead);
        if (span.ns > worst.ns)
            worst = span;
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

static void print_limit(FILE *out, const struct davy_config *config, const struct davy_rule *rule,
                        const struct davy_limit *limit)
{
    if (limit->upper)
        return; /* it is in the file once */
    fprintf(out, "rule %s, %s: %zu points, %s within %.2f s, within %.2f s beside a dead device\n", rule->name,
            davy_level_name(limit->level), rule->point_count, arrival(rule), seconds(slowest(config, rule, limit, 0)),
            seconds(slowest(config, rule, limit, 1)));
}

void davy_plan_report_print(FILE *out, const struct davy_config *config)
{
    fprintf(out, "%zu buses, %zu devices, %zu points, %zu rules, %zu requests\n", config->bus_count,
            config->device_count, config->point_count, config->rule_count, config->request_count);
    for (uint32_t b = 0; b < config->bus_count; b++)
        fprintf(out, "bus %s (%s): %zu requests for %zu points, planned load %.1f %%\n", config->buses[b].name,
                davy_bus_type_name(config->buses[b].type), count_requests(config, b), count_points(config, b),
                100 * davy_estimate_utilization(config, b));
    for (size_t r = 0; r < config->rule_count; r++) {
        const struct davy_rule *rule = &config->rules[r];
        print_rule(out, config, rule);
        for (size_t i = 0; i < rule->limit_count; i++)
            print_limit(out, config, rule, &rule->limits[i]);
    }
}

static void warn_of_limit(const struct davy_config *config, const struct davy_rule *rule,
                          const struct davy_limit *limit, void (*warn)(void *context, const char *text), void *context)
{
    char text[512], within[DAVY_NUM_TEXT];
    const davy_span worst = slowest(config, rule, limit, 1);
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
