/* SPDX-License-Identifier: Apache-2.0 */
/* The limits of a rule, and whether each can trip and return at all. */
#include <math.h>
#include <string.h>

#include "base/num.h"
#include "config/internal.h"
#include "config/schema.h"

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

static bool read_equals(config_setting_t *setting, double *ret)
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
        return raw->equals && read_equals(raw->equals, &limit->a);
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

static bool build_limit(const struct davy_raw_rule *rule, config_setting_t *rule_group, enum davy_level level,
                        struct davy_limit *limit)
{
    config_setting_t *group = rule->limits[level];
    struct davy_raw_limit raw = {.behaviour = rule->behaviour, .above = (double)NAN, .below = (double)NAN};
    if (level == DAVY_LEVEL_RED && !has(rule_group, "shelvable"))
        raw.behaviour.shelvable = false;
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

void davy_limits_build(struct davy_loader *loader, const struct davy_raw_rule *raw, config_setting_t *setting,
                       struct davy_rule *rule)
{
    struct davy_limit *limits = davy_loader_alloc(loader, DAVY_LIMITS_MAX, sizeof *limits);
    for (int level = DAVY_LEVEL_BLUE; limits && level < DAVY_LEVEL_COUNT_; level++)
        if (raw->limits[level] && build_limit(raw, setting, (enum davy_level)level, &limits[rule->limit_count]))
            rule->limit_count++;
    rule->limits = limits;
}

/* "above 14", "outside [1, 2]" */
static void describe(const struct davy_limit *limit, struct davy_buf *buf)
{
    char a[DAVY_NUM_TEXT], b[DAVY_NUM_TEXT];
    davy_num_print(limit->a, a);
    if (limit->condition == DAVY_CONDITION_OUTSIDE)
        davy_buf_printf(buf, "outside [%s, %s]", a, davy_num_print(limit->b, b));
    else
        davy_buf_printf(buf, "%s %s", kinds[limit->condition], a);
}

/* Whether the upper one trips later than the lower one of the same kind would. */
static bool is_milder(const struct davy_limit *higher, const struct davy_limit *lower)
{
    if (higher->condition != lower->condition)
        return false;
    switch ((int)higher->condition) {
    case DAVY_CONDITION_ABOVE:
        return higher->a < lower->a;
    case DAVY_CONDITION_BELOW:
        return higher->a > lower->a;
    case DAVY_CONDITION_OUTSIDE:
        return higher->a > lower->a || higher->b < lower->b;
    default:
        return false;
    }
}

static void check_ladder(const struct davy_rule *rule, config_setting_t *group)
{
    for (size_t i = 0; i < rule->limit_count; i++)
        for (size_t j = 0; j < i; j++) {
            const struct davy_limit *higher = &rule->limits[i], *lower = &rule->limits[j];
            if (!is_milder(higher, lower))
                continue;
            char a[96], b[96];
            struct davy_buf higher_text, lower_text;
            davy_buf_init(&higher_text, a, sizeof a);
            davy_buf_init(&lower_text, b, sizeof b);
            describe(higher, &higher_text);
            describe(lower, &lower_text);
            davy_setting_error(davy_setting_at(group, davy_level_name(higher->level)),
                               "%s is milder than the lower level's: `%s` has %s", a, davy_level_name(lower->level), b);
        }
}

/* The values that a point can have within its range. */
struct extent {
    double low, high;
};

static bool extent_of(const struct davy_point *point, struct extent *ret)
{
    if (point->has_range) {
        *ret = (struct extent){point->low, point->high};
        return true;
    }
    if (point->type != DAVY_TYPE_BOOL && !point->has_mask)
        return false;
    double last = point->has_mask ? (double)(point->mask >> point->shift) : 1;
    double end = last * point->scale + point->offset;
    *ret = (struct extent){fmin(point->offset, end), fmax(point->offset, end)};
    return true;
}

/* A reading above range is evaluated at the high end, so that is the highest there is. */
static const char *why_never_trips(const struct davy_limit *limit, struct extent e)
{
    switch ((int)limit->condition) {
    case DAVY_CONDITION_ABOVE:
        return limit->a > e.high ? "can never trip" : NULL;
    case DAVY_CONDITION_BELOW:
        return limit->a < e.low ? "can never trip" : NULL;
    case DAVY_CONDITION_OUTSIDE:
        if (limit->a < e.low)
            return "can never trip at its lower bound";
        return limit->b > e.high ? "can never trip at its upper bound" : NULL;
    default:
        return limit->a < e.low || limit->a > e.high ? "can never trip" : NULL;
    }
}

static bool never_returns(const struct davy_limit *limit, struct extent e)
{
    double low = limit->a + limit->deadband, high = limit->b - limit->deadband;
    switch ((int)limit->condition) {
    case DAVY_CONDITION_ABOVE:
        return limit->a - limit->deadband <= e.low;
    case DAVY_CONDITION_BELOW:
        return limit->a + limit->deadband >= e.high;
    case DAVY_CONDITION_OUTSIDE:
        return fmax(low, e.low) >= fmin(high, e.high);
    default:
        return false;
    }
}

static void check_reach(const struct davy_limit *limit, const char *point, struct extent e, config_setting_t *group)
{
    char text[96], low[DAVY_NUM_TEXT], high[DAVY_NUM_TEXT], deadband[DAVY_NUM_TEXT];
    struct davy_buf buf;
    davy_buf_init(&buf, text, sizeof text);
    describe(limit, &buf);
    davy_num_print(e.low, low);
    davy_num_print(e.high, high);
    const char *why = why_never_trips(limit, e);
    if (why)
        davy_setting_error(group, "%s %s: the range of %s is [%s, %s]", text, why, point, low, high);
    else if (never_returns(limit, e))
        davy_setting_error(group, "%s with a deadband of %s can never return: the range of %s is [%s, %s]", text,
                           davy_num_print(limit->deadband, deadband), point, low, high);
}

static bool takes_equals(const struct davy_point *point)
{
    return point->kind == DAVY_KIND_STATE || (point->type != DAVY_TYPE_FLOAT32 && point->type != DAVY_TYPE_FLOAT64);
}

/* Reports the first point that does not fit: the others would only say it again. */
static void check_points(const struct davy_config *config, const struct davy_rule *rule, const struct davy_limit *limit,
                         config_setting_t *group)
{
    size_t errors = davy_setting_loader(group)->problems->errors;
    for (size_t i = 0; i < rule->point_count; i++) {
        const struct davy_point *point = &config->points[rule->points[i]];
        char name[DAVY_KEY_SIZE];
        struct extent e;
        davy_config_point_name(config, rule->points[i], name);
        if (limit->condition == DAVY_CONDITION_EQUALS && !takes_equals(point))
            davy_setting_error(davy_setting_at(group, "equals"),
                               "%s is a \"%s\"; only a point of kind \"state\" or of "
                               "whole numbers can equal",
                               name, davy_type_name(point->type));
        else if (extent_of(point, &e))
            check_reach(limit, name, e, group);
        if (davy_setting_loader(group)->problems->errors > errors)
            return;
    }
}

static void warn_of_chatter(const struct davy_config *config, const struct davy_rule *rule,
                            const struct davy_limit *limit, config_setting_t *group)
{
    bool analogue = false;
    for (size_t i = 0; i < rule->point_count; i++) {
        const struct davy_point *point = &config->points[rule->points[i]];
        analogue = analogue || (point->kind != DAVY_KIND_STATE && point->type != DAVY_TYPE_BOOL);
    }
    if (analogue && limit->condition != DAVY_CONDITION_EQUALS && limit->deadband == 0)
        davy_setting_warning(group, "has a deadband of 0: a value that stays near the limit makes the alarm chatter");
}

void davy_limits_check(struct davy_loader *loader, const struct davy_rule *rule, config_setting_t *setting)
{
    if (loader->failed)
        return;
    check_ladder(rule, setting);
    for (size_t i = 0; i < rule->limit_count && rule->measure == DAVY_MEASURE_VALUE; i++) {
        config_setting_t *group = davy_setting_at(setting, davy_level_name(rule->limits[i].level));
        check_points(loader->config, rule, &rule->limits[i], group);
        warn_of_chatter(loader->config, rule, &rule->limits[i], group);
    }
}
