/* SPDX-License-Identifier: Apache-2.0 */
#include "acquire/plan_report.h"

#include "acquire/estimate.h"
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
        if (rule->measure != DAVY_MEASURE_VALUE)
            fprintf(out, "rule %s: NOT watched, its measure is not in effect yet\n", rule->name);
        for (size_t i = 0; rule->measure == DAVY_MEASURE_VALUE && i < rule->limit_count; i++)
            fprintf(out, "rule %s, %s: %zu points, in alarm within %.2f s, within %.2f s beside a dead device\n",
                    rule->name, davy_level_name(rule->limits[i].level), rule->point_count,
                    seconds(slowest(config, rule, &rule->limits[i], 0)),
                    seconds(slowest(config, rule, &rule->limits[i], 1)));
    }
}

static void warn_of_limit(const struct davy_config *config, const struct davy_rule *rule,
                          const struct davy_limit *limit, void (*warn)(void *context, const char *text), void *context)
{
    char text[512], within[DAVY_NUM_TEXT];
    const davy_span worst = slowest(config, rule, limit, 1);
    if (config->gateway.detect_within.ns == 0 || worst.ns <= config->gateway.detect_within.ns)
        return;
    snprintf(text, sizeof text,
             "rule %s, %s: a step is in alarm after up to %.2f s beside a dead device, later than detect_within = %s",
             rule->name, davy_level_name(limit->level), seconds(worst),
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
