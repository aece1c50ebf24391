/* SPDX-License-Identifier: Apache-2.0 */
/* `measure`, `when` and `escalate` of a rule: all are checked, whether this version evaluates them or not. */
#include <stdio.h>
#include <string.h>

#include "config/internal.h"
#include "config/schema.h"

#define STEPS_MAX 16

#define BIT(measure) (1U << DAVY_MEASURE_##measure)
#define WINDOWED                                                                                                       \
    (BIT(MEAN) | BIT(MIN) | BIT(MAX) | BIT(STDDEV) | BIT(RMS) | BIT(RATE) | BIT(FORECAST) | BIT(DEVIATION) |           \
     BIT(OCCURRENCES))

/* Which measures take a parameter, and which need it. */
static const struct {
    const char *key;
    unsigned takes, needs;
} parameters[] = {
    {"window", WINDOWED, WINDOWED},
    {"coverage", BIT(MEAN) | BIT(STDDEV) | BIT(RMS), 0},
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

/* A point named in full, or one of the device of each point of the rule. Marks what it finds as used. */
static void check_reference(struct davy_loader *loader, const char *name, const struct davy_rule *rule,
                            config_setting_t *setting)
{
    const struct davy_config *config = loader->config;
    bool full = strchr(name, '.') != NULL;
    size_t times = full ? 1 : rule->point_count;
    for (size_t i = 0; i < times; i++) {
        char text[2 * DAVY_KEY_SIZE];
        if (full)
            snprintf(text, sizeof text, "%s", name);
        else
            snprintf(text, sizeof text, "%s.%.*s", config->devices[config->points[rule->points[i]].device].id,
                     DAVY_ID_MAX, name);
        uint32_t found = davy_config_find_point(config, text);
        if (found == DAVY_NONE) {
            davy_setting_error(setting, "there is no point \"%s\"", text);
            return;
        }
        loader->point_used[found] = true;
    }
}

static void check_parameters(config_setting_t *group, enum davy_measure measure)
{
    for (size_t i = 0; i < DAVY_LENGTH(parameters); i++) {
        config_setting_t *setting = config_setting_get_member(group, parameters[i].key);
        if (setting && !(parameters[i].takes & 1U << measure))
            davy_setting_error(setting, "has no meaning for the measure \"%s\"", davy_measure_name(measure));
        if (!setting && (parameters[i].needs & 1U << measure))
            davy_setting_error(group, "`%s` is missing: the measure \"%s\" needs it", parameters[i].key,
                               davy_measure_name(measure));
    }
}

enum davy_measure davy_measure_build(struct davy_loader *loader, config_setting_t *group, const struct davy_rule *rule)
{
    struct davy_raw_measure raw = {.type = DAVY_MEASURE_COUNT_};
    davy_schema_read(group, &davy_schema_measure, &raw);
    if (raw.type == DAVY_MEASURE_COUNT_)
        return DAVY_MEASURE_VALUE;
    if (raw.type != DAVY_MEASURE_VALUE)
        davy_setting_later(group);
    check_parameters(group, raw.type);
    if (raw.other)
        check_reference(loader, raw.other, rule, davy_setting_at(group, "other"));
    if (raw.rule && davy_config_find_rule(loader->config, raw.rule) == DAVY_NONE)
        davy_setting_error(davy_setting_at(group, "rule"), "there is no rule \"%s\" earlier in the file", raw.rule);
    if (has(group, "guard") && raw.guard.ns >= raw.window.ns)
        davy_setting_error(davy_setting_at(group, "guard"), "leaves nothing of the window");
    return raw.type;
}

void davy_when_check(struct davy_loader *loader, config_setting_t *group, const struct davy_rule *rule)
{
    struct davy_raw_when raw = {0};
    double unused;
    davy_schema_read(group, &davy_schema_when, &raw);
    size_t conditions = (size_t)has(group, "equals") + has(group, "above") + has(group, "below");
    if (conditions != 1)
        davy_setting_error(group, "has %zu conditions; exactly one of `equals`, `above`, `below` is required",
                           conditions);
    if (raw.equals && config_setting_type(raw.equals) != CONFIG_TYPE_BOOL)
        davy_read_real(raw.equals, 0, 0, &unused);
    if (raw.point)
        check_reference(loader, raw.point, rule, davy_setting_at(group, "point"));
}

void davy_escalate_check(config_setting_t *list)
{
    size_t count = davy_list_length(list, STEPS_MAX);
    davy_span last = {-1};
    for (size_t i = 0; i < count; i++) {
        struct davy_raw_step raw = {0};
        config_setting_t *group = config_setting_get_elem(list, (unsigned)i);
        if (!davy_schema_read(group, &davy_schema_step, &raw) || !has(group, "after"))
            continue;
        if (raw.after.ns < last.ns)
            davy_setting_error(davy_setting_at(group, "after"), "comes before the step above it");
        last = raw.after;
    }
}
