/* SPDX-License-Identifier: Apache-2.0 */
/* The limits of a rule. */
#include <math.h>
#include <string.h>

#include "config/internal.h"
#include "config/schema.h"
#include "config/tables.h"

static const char *const kinds[] = {"above", "below", "outside", "equals"}; /* as enum davy_condition */

static bool has(config_setting_t *group, const char *key)
{
    return config_setting_get_member(group, key) != NULL;
}

/* Which kind of condition stands there; -1: none or several, reported. */
static int find_condition(config_setting_t *group)
{
    int found = -1;
    size_t count = 0;
    for (size_t i = 0; i < DAVY_LENGTH(kinds); i++)
        if (has(group, kinds[i])) {
            found = (int)i;
            count++;
        }
    if (count == 1)
        return found;
    davy_setting_error(group, "has %zu conditions; exactly one of `above`, `below`, `outside`, `equals` is required",
                       count);
    return -1;
}

bool davy_read_equals(config_setting_t *setting, double *ret)
{
    if (config_setting_type(setting) != CONFIG_TYPE_BOOL)
        return davy_read_real(setting, 0, 0, ret);
    *ret = config_setting_get_bool(setting) ? 1 : 0;
    return true;
}

static bool read_bounds(const struct davy_raw_limit *raw, struct davy_limit *limit)
{
    if (limit->condition == DAVY_CONDITION_OUTSIDE)
        return raw->outside && davy_read_pair(raw->outside, &limit->a, &limit->b);
    if (limit->condition == DAVY_CONDITION_EQUALS)
        return raw->equals && davy_read_equals(raw->equals, &limit->a);
    limit->a = limit->condition == DAVY_CONDITION_ABOVE ? raw->above : raw->below;
    return !isnan(limit->a); /* a wrong one was reported when it was read */
}

static void copy_behaviour(struct davy_limit *limit, const struct davy_raw_behaviour *from)
{
    limit->deadband = from->deadband;
    limit->on_delay = from->on_delay;
    limit->off_delay = from->off_delay;
    limit->latch = from->latch;
    limit->acknowledge = from->acknowledge;
    limit->trip_on_fault = from->on_fault == 1;
    limit->shelvable = from->shelvable;
    limit->owner = from->owner;
    limit->message = from->message;
    limit->source = from->source;
}

/* What a limit has unless it says otherwise. */
static struct davy_raw_behaviour inherited(const struct davy_raw_rule *rule, config_setting_t *rule_group,
                                           enum davy_level level)
{
    struct davy_raw_behaviour behaviour = rule->behaviour;
    if (level == DAVY_LEVEL_RED && !has(rule_group, "shelvable"))
        behaviour.shelvable = false;
    if (rule->row)
        davy_preset_inherit(rule->row, level, rule_group, &behaviour);
    return behaviour;
}

static bool build_limit(const struct davy_raw_rule *rule, config_setting_t *rule_group, enum davy_level level,
                        struct davy_limit *limit)
{
    config_setting_t *group = rule->limits[level];
    struct davy_raw_limit raw = {
        .behaviour = inherited(rule, rule_group, level), .above = (double)NAN, .below = (double)NAN};
    davy_schema_read(group, &davy_schema_limit, &raw);
    int condition = find_condition(group);
    if (condition < 0)
        return false;
    *limit = (struct davy_limit){.level = level, .condition = (enum davy_condition)condition};
    copy_behaviour(limit, &raw.behaviour);
    if (!read_bounds(&raw, limit))
        return false;
    if (limit->condition == DAVY_CONDITION_EQUALS && has(group, "deadband"))
        davy_setting_error(davy_setting_at(group, "deadband"), "has no meaning for `equals`");
    if (limit->condition == DAVY_CONDITION_EQUALS)
        limit->deadband = 0;
    return true;
}

/* A limit that only the preset has; its numbers come with the unit of each point (convert.c). */
static bool take_limit(const struct davy_raw_rule *rule, config_setting_t *rule_group, enum davy_level level,
                       struct davy_limit *limit)
{
    if (!rule->row || !rule->row->limits[level].given)
        return false;
    const struct davy_raw_behaviour behaviour = inherited(rule, rule_group, level);
    *limit = (struct davy_limit){.level = level, .condition = rule->row->limits[level].condition};
    copy_behaviour(limit, &behaviour);
    return true;
}

void davy_limits_build(struct davy_loader *loader, const struct davy_raw_rule *raw, config_setting_t *setting,
                       struct davy_rule *rule)
{
    struct davy_limit *limits = davy_loader_alloc(loader, DAVY_LIMITS_MAX, sizeof *limits);
    for (int level = DAVY_LEVEL_BLUE; limits && level < DAVY_LEVEL_COUNT_; level++) {
        struct davy_limit *limit = &limits[rule->limit_count];
        rule->limit_count += raw->limits[level] ? build_limit(raw, setting, (enum davy_level)level, limit)
                                                : take_limit(raw, setting, (enum davy_level)level, limit);
    }
    rule->limits = limits;
}

/* One of stel and twa for its upper bound: a level lower, blue stays. What is not measured never trips it. */
static struct davy_limit upper_of(const struct davy_limit *limit)
{
    struct davy_limit upper = *limit;
    upper.upper = true;
    upper.trip_on_fault = false;
    if (upper.level > DAVY_LEVEL_BLUE)
        upper.level = (enum davy_level)(upper.level - 1);
    return upper;
}

/* Keeps the order of what is equal. */
static void insert(struct davy_limit *sorted, size_t count, struct davy_limit limit)
{
    size_t i = count;
    for (; i > 0; i--) {
        const struct davy_limit *before = &sorted[i - 1];
        if (before->level < limit.level || (before->level == limit.level && before->upper >= limit.upper))
            break;
        sorted[i] = *before;
    }
    sorted[i] = limit;
}

void davy_limits_double(struct davy_loader *loader, struct davy_rule *rule)
{
    if (rule->measure != DAVY_MEASURE_STEL && rule->measure != DAVY_MEASURE_TWA)
        return;
    const size_t rows = rule->per_point ? rule->point_count : 1, count = rule->limit_count;
    struct davy_limit *doubled = davy_loader_alloc(loader, rows * 2 * count, sizeof *doubled);
    for (size_t r = 0; doubled && r < rows; r++)
        for (size_t i = 0; i < count; i++) {
            const struct davy_limit *limit = &rule->limits[r * count + i];
            insert(&doubled[r * 2 * count], 2 * i, upper_of(limit));
            insert(&doubled[r * 2 * count], 2 * i + 1, *limit);
        }
    if (!doubled)
        return;
    rule->limits = doubled;
    rule->limit_count = 2 * count;
}
