/* SPDX-License-Identifier: Apache-2.0 */
/* `measure` of a rule: what its readings become before the limits see them. */
#include <math.h>
#include <string.h>

#include "base/num.h"
#include "config/internal.h"
#include "config/schema.h"

#define BIT(measure) (1U << DAVY_MEASURE_##measure)
#define COVERED      (BIT(MEAN) | BIT(STDDEV) | BIT(RMS))
#define LINES        (BIT(RATE) | BIT(FORECAST))
#define WINDOWED     (COVERED | LINES | BIT(MIN) | BIT(MAX) | BIT(DEVIATION) | BIT(OCCURRENCES))

#define STEL_WINDOW ((davy_span){15 * 60 * DAVY_NS_PER_S})
#define TWA_WINDOW  ((davy_span){8 * 3600 * DAVY_NS_PER_S})

/* Which measures take a parameter, and which need it. */
static const struct {
    const char *key;
    unsigned takes, needs;
} parameters[] = {
    {"window", WINDOWED, WINDOWED},
    {"coverage", COVERED, 0},
    {"per", BIT(RATE), 0},
    {"horizon", BIT(FORECAST), BIT(FORECAST)},
    {"guard", BIT(DEVIATION), 0},
    {"epsilon", BIT(STUCK), 0},
    {"other", BIT(DIFFERENCE), BIT(DIFFERENCE)},
    {"rule", BIT(OCCURRENCES), BIT(OCCURRENCES)},
    {"days", BIT(OCCURRENCES), 0},
};

static bool has(config_setting_t *group, const char *key)
{
    return config_setting_get_member(group, key) != NULL;
}

static bool is_any(enum davy_measure measure, unsigned of)
{
    return (of & 1U << measure) != 0;
}

static void check_parameters(config_setting_t *group, enum davy_measure measure)
{
    for (size_t i = 0; i < DAVY_LENGTH(parameters); i++) {
        config_setting_t *setting = config_setting_get_member(group, parameters[i].key);
        if (setting && !is_any(measure, parameters[i].takes))
            davy_setting_error(setting, "has no meaning for the measure \"%s\"", davy_measure_name(measure));
        if (!setting && is_any(measure, parameters[i].needs))
            davy_setting_error(group, "`%s` is missing: the measure \"%s\" needs it", parameters[i].key,
                               davy_measure_name(measure));
    }
}

/* What the type takes, and nothing else: equal options are equal measures. */
static void fill(struct davy_rule *rule, const struct davy_raw_measure *raw, bool has_guard)
{
    const enum davy_measure type = rule->measure;
    struct davy_measure_options *options = &rule->options;
    if (is_any(type, WINDOWED))
        options->window = raw->window;
    if (type == DAVY_MEASURE_STEL)
        options->window = STEL_WINDOW;
    if (type == DAVY_MEASURE_TWA)
        options->window = TWA_WINDOW;
    if (is_any(type, COVERED))
        options->coverage = raw->coverage;
    if (type == DAVY_MEASURE_RATE)
        options->per = raw->per;
    if (type == DAVY_MEASURE_FORECAST)
        options->horizon = raw->horizon;
    if (type == DAVY_MEASURE_DEVIATION)
        options->guard = has_guard ? raw->guard : (davy_span){raw->window.ns / 10};
    if (type == DAVY_MEASURE_STUCK)
        options->epsilon = raw->epsilon;
    options->days = type == DAVY_MEASURE_OCCURRENCES && raw->days;
}

static bool same_unit(const struct davy_point *a, const struct davy_point *b)
{
    return !a->unit || !b->unit || strcmp(a->unit, b->unit) == 0;
}

/* A point less itself is always 0, and units must agree. Reports the first that does not fit. */
static void check_others(const struct davy_config *config, const struct davy_rule *rule, config_setting_t *setting)
{
    for (size_t i = 0; i < rule->point_count; i++) {
        const struct davy_point *point = &config->points[rule->points[i]];
        const struct davy_point *other = &config->points[rule->options.others[i]];
        char name[DAVY_KEY_SIZE], other_name[DAVY_KEY_SIZE];
        davy_config_point_name(config, rule->points[i], name);
        davy_config_point_name(config, rule->options.others[i], other_name);
        if (point == other)
            davy_setting_error(setting, "%s is a point of the rule itself: the difference is always 0", name);
        else if (!same_unit(point, other))
            davy_setting_error(setting, "%s is in \"%s\", but %s is in \"%s\": they have no difference", other_name,
                               other->unit, name, point->unit);
        else
            continue;
        return;
    }
}

/* The first point of `rule` that the rule which it counts does not watch, or DAVY_NONE. Both are ascending. */
static uint32_t find_unwatched(const struct davy_rule *rule, const struct davy_rule *counted)
{
    size_t k = 0;
    for (size_t i = 0; i < rule->point_count; i++) {
        while (k < counted->point_count && counted->points[k] < rule->points[i])
            k++;
        if (k == counted->point_count || counted->points[k] != rule->points[i])
            return rule->points[i];
    }
    return DAVY_NONE;
}

/* Which rule is counted; DAVY_NONE where it cannot be, reported. */
static uint32_t find_counted(const struct davy_config *config, const struct davy_rule *rule, const char *name,
                             config_setting_t *setting)
{
    char text[DAVY_KEY_SIZE];
    uint32_t unwatched, found = davy_config_find_rule(config, name);
    if (strcmp(name, rule->name) == 0)
        davy_setting_error(setting, "\"%s\" is this rule itself; an earlier rule is expected", name);
    else if (found == DAVY_NONE)
        davy_setting_error(setting, "there is no rule \"%s\" earlier in the file", name);
    else if (config->rules[found].vote > 0)
        davy_setting_error(setting, "\"%s\" is a vote: it has one alarm for all its points, not one per point", name);
    else if ((unwatched = find_unwatched(rule, &config->rules[found])) != DAVY_NONE)
        davy_setting_error(setting, "\"%s\" does not watch %s, so that nothing of it could be counted", name,
                           davy_config_point_name(config, unwatched, text));
    else
        return found;
    return DAVY_NONE;
}

/* The part of a window that regular readings cover at the instant of the newest. */
static double reachable_coverage(const struct davy_point *point, davy_span window)
{
    int64_t interval = point->interval.ns, hold = point->max_age.ns < interval ? point->max_age.ns : interval;
    int64_t rest = window.ns % interval - (interval - hold);
    return ((double)(window.ns / interval) * (double)hold + (double)(rest > 0 ? rest : 0)) / (double)window.ns;
}

/* Whether a window suits the readings that come. Reports a rule's first point that it does not suit. */
static bool suits(const struct davy_config *config, const struct davy_rule *rule, size_t index, config_setting_t *group)
{
    const struct davy_point *point = &config->points[rule->points[index]];
    const davy_span window = rule->options.window;
    char name[DAVY_KEY_SIZE], interval[DAVY_NUM_TEXT], age[DAVY_NUM_TEXT];
    davy_config_point_name(config, rule->points[index], name);
    davy_span_print(point->interval, interval);
    config_setting_t *setting = davy_setting_at(group, "window");
    if (is_any(rule->measure, LINES) && window.ns <= 2 * point->interval.ns)
        davy_setting_error(setting, "holds fewer than the 3 readings that a line takes: %s is read every %s", name,
                           interval);
    else if (window.ns < 2 * point->interval.ns)
        davy_setting_warning(setting, "holds too few readings to mean much: %s is read every %s", name, interval);
    else if (is_any(rule->measure, COVERED) && reachable_coverage(point, window) < rule->options.coverage)
        davy_setting_warning(davy_setting_at(group, "coverage"),
                             "cannot be reached: %s is read every %s and its value holds for `max_age`, %s", name,
                             interval, davy_span_print(point->max_age, age));
    else
        return true;
    return false;
}

static void check_window(const struct davy_config *config, const struct davy_rule *rule, config_setting_t *group)
{
    bool of_readings = is_any(rule->measure, WINDOWED) && rule->measure != DAVY_MEASURE_OCCURRENCES;
    if (!of_readings || rule->options.window.ns == 0)
        return;
    for (size_t i = 0; i < rule->point_count && suits(config, rule, i, group); i++) {
    }
    if (rule->measure == DAVY_MEASURE_DEVIATION && rule->options.guard.ns >= rule->options.window.ns)
        davy_setting_error(davy_setting_at(group, "guard"), "leaves nothing of the window");
}

void davy_measure_build(struct davy_loader *loader, config_setting_t *group, struct davy_rule *rule)
{
    struct davy_raw_measure raw = {.type = DAVY_MEASURE_COUNT_};
    rule->options.rule = DAVY_NONE;
    if (!group)
        return;
    davy_schema_read(group, &davy_schema_measure, &raw);
    if (raw.type == DAVY_MEASURE_COUNT_)
        return;
    rule->measure = raw.type;
    check_parameters(group, raw.type);
    fill(rule, &raw, has(group, "guard"));
    if (raw.other && raw.type == DAVY_MEASURE_DIFFERENCE) {
        config_setting_t *setting = davy_setting_at(group, "other");
        rule->options.others = davy_references_build(loader, raw.other, rule, setting);
        if (rule->options.others)
            check_others(loader->config, rule, setting);
    }
    if (raw.rule && raw.type == DAVY_MEASURE_OCCURRENCES)
        rule->options.rule = find_counted(loader->config, rule, raw.rule, davy_setting_at(group, "rule"));
    check_window(loader->config, rule, group);
}
