/* SPDX-License-Identifier: Apache-2.0 */
/* `when` and `escalate` of a rule, and the points that a rule names beside its own. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "config/internal.h"
#include "config/schema.h"

static bool has(config_setting_t *group, const char *key)
{
    return config_setting_get_member(group, key) != NULL;
}

/* A point of this device, or DAVY_NONE. */
static uint32_t find_beside(const struct davy_config *config, const struct davy_device *device, const char *name)
{
    for (uint32_t i = device->first_point; i < device->first_point + device->point_count; i++)
        if (strcmp(config->points[i].name, name) == 0)
            return i;
    return DAVY_NONE;
}

/* `device` NULL: it is in the name. */
static void no_point(const struct davy_config *config, config_setting_t *setting, const char *device, const char *name)
{
    char full[DAVY_PATH_SIZE], nearest[DAVY_KEY_SIZE];
    snprintf(full, sizeof full, "%s%s%s", device ? device : "", device ? "." : "", name);
    davy_nearest_point(config, full, nearest);
    davy_setting_error(setting, "there is no point \"%s\"%s%s%s", full, nearest[0] ? "; did you mean \"" : "", nearest,
                       nearest[0] ? "\"?" : "");
}

const uint32_t *davy_references_build(struct davy_loader *loader, const char *name, const struct davy_rule *rule,
                                      config_setting_t *setting)
{
    const struct davy_config *config = loader->config;
    const uint32_t named = strchr(name, '.') ? davy_config_find_point(config, name) : DAVY_NONE;
    uint32_t *points = davy_loader_alloc(loader, rule->point_count, sizeof *points);
    for (size_t i = 0; points && i < rule->point_count; i++) {
        const struct davy_device *device = &config->devices[config->points[rule->points[i]].device];
        bool beside = !strchr(name, '.');
        points[i] = beside ? find_beside(config, device, name) : named;
        if (points[i] == DAVY_NONE) {
            no_point(config, setting, beside ? device->id : NULL, name);
            return NULL;
        }
        loader->point_used[points[i]] = true;
    }
    return points;
}

/* A vote has one `when` for the whole, so that one point must decide. */
static bool is_of_one_device(const struct davy_config *config, const struct davy_rule *rule)
{
    for (size_t i = 1; i < rule->point_count; i++)
        if (config->points[rule->points[i]].device != config->points[rule->points[0]].device)
            return false;
    return true;
}

/* The one condition of the group into *ret; false where there is none, reported. */
static bool read_condition(config_setting_t *group, const struct davy_raw_when *raw, struct davy_when *ret)
{
    size_t conditions = (size_t)has(group, "equals") + has(group, "above") + has(group, "below");
    if (conditions != 1) {
        davy_setting_error(group, "has %zu conditions; exactly one of `equals`, `above`, `below` is required",
                           conditions);
        return false;
    }
    if (has(group, "equals")) {
        ret->condition = DAVY_CONDITION_EQUALS;
        return raw->equals && davy_read_equals(raw->equals, &ret->value);
    }
    ret->condition = has(group, "above") ? DAVY_CONDITION_ABOVE : DAVY_CONDITION_BELOW;
    ret->value = ret->condition == DAVY_CONDITION_ABOVE ? raw->above : raw->below;
    return !isnan(ret->value); /* a wrong one was reported when it was read */
}

/* "never" or "always" true for values within [low, high]; NULL: it depends. */
static const char *certainty(const struct davy_when *when, double low, double high)
{
    switch ((int)when->condition) {
    case DAVY_CONDITION_ABOVE:
        return when->value > high ? "never" : when->value <= low ? "always" : NULL;
    case DAVY_CONDITION_BELOW:
        return when->value < low ? "never" : when->value >= high ? "always" : NULL;
    default:
        return when->value < low || when->value > high ? "never" : NULL;
    }
}

/* Reports the first point that does not fit. */
static void check_points(const struct davy_config *config, const struct davy_rule *rule, config_setting_t *group)
{
    for (size_t i = 0; i < rule->point_count; i++) {
        const struct davy_point *point = &config->points[rule->when.points[i]];
        char name[DAVY_KEY_SIZE], low_text[DAVY_NUM_TEXT], high_text[DAVY_NUM_TEXT];
        double low, high;
        davy_config_point_name(config, rule->when.points[i], name);
        if (rule->when.condition == DAVY_CONDITION_EQUALS && !davy_point_takes_equals(point)) {
            davy_setting_error(davy_setting_at(group, "equals"), DAVY_NO_EQUALS, name, davy_type_name(point->type));
            return;
        }
        const char *certain = davy_point_extent(point, &low, &high) ? certainty(&rule->when, low, high) : NULL;
        if (!certain)
            continue;
        davy_setting_warning(group, "is %s true: the range of %s is [%s, %s]", certain, name,
                             davy_num_print(low, low_text), davy_num_print(high, high_text));
        return;
    }
}

void davy_when_build(struct davy_loader *loader, config_setting_t *group, struct davy_rule *rule)
{
    struct davy_raw_when raw = {.above = (double)NAN, .below = (double)NAN};
    if (!group)
        return;
    davy_schema_read(group, &davy_schema_when, &raw);
    rule->when.hold = raw.hold;
    bool whole = read_condition(group, &raw, &rule->when);
    if (!raw.point)
        return;
    config_setting_t *setting = davy_setting_at(group, "point");
    rule->when.points = davy_references_build(loader, raw.point, rule, setting);
    if (rule->vote > 0 && !strchr(raw.point, '.') && !is_of_one_device(loader->config, rule))
        davy_setting_error(setting,
                           "\"%s\" is a point of each device, and a vote over several devices has one `when`; "
                           "DEVICE.POINT is expected",
                           raw.point);
    else if (whole && rule->when.points)
        check_points(loader->config, rule, group);
}

static bool is_ever_unacknowledged(const struct davy_rule *rule)
{
    for (size_t i = 0; i < rule->limit_count; i++)
        if (rule->limits[i].acknowledge)
            return true;
    return rule->limit_count == 0; /* there is something worse to report */
}

/* Returns whether it is a step at all. */
static bool build_step(config_setting_t *group, const struct davy_rule *rule, struct davy_step *step)
{
    struct davy_raw_step raw = {0};
    if (!davy_schema_read(group, &davy_schema_step, &raw) || !has(group, "after"))
        return false;
    *step = (struct davy_step){
        .after = raw.after, .unless_cleared = raw.unless == 1, .owner = raw.owner, .level = raw.level};
    if (!step->unless_cleared && has(group, "unless") && !is_ever_unacknowledged(rule))
        davy_setting_warning(group, "is never due: with `acknowledge` = false the alarm always counts as acknowledged");
    return true;
}

void davy_escalate_build(struct davy_loader *loader, config_setting_t *list, struct davy_rule *rule)
{
    size_t count = davy_list_length(list, DAVY_STEPS_MAX);
    struct davy_step *steps = count > 0 ? davy_loader_alloc(loader, count, sizeof *steps) : NULL;
    davy_span last = {-1};
    for (size_t i = 0; steps && i < count; i++) {
        config_setting_t *group = config_setting_get_elem(list, (unsigned)i);
        if (!build_step(group, rule, &steps[rule->step_count]))
            continue;
        davy_span after = steps[rule->step_count++].after;
        if (after.ns < last.ns)
            davy_setting_error(davy_setting_at(group, "after"), "comes before the step above it");
        last = after;
    }
    rule->steps = steps;
}
