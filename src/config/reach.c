/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the limits of a rule fit each other, its measure and its points: each must be able to trip and to return. */
#include <math.h>
#include <string.h>

#include "base/num.h"
#include "config/internal.h"

/* "above 14", "outside [1, 2]" */
static void describe(const struct davy_limit *limit, struct davy_buf *buf)
{
    char a[DAVY_NUM_TEXT], b[DAVY_NUM_TEXT];
    davy_num_print(limit->a, a);
    if (limit->condition == DAVY_CONDITION_OUTSIDE)
        davy_buf_printf(buf, "outside [%s, %s]", a, davy_num_print(limit->b, b));
    else
        davy_buf_printf(buf, "%s %s", davy_condition_name(limit->condition), a);
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

static void report_milder(const struct davy_limit *higher, const struct davy_limit *lower, config_setting_t *group)
{
    char a[96], b[96];
    struct davy_buf higher_text, lower_text;
    davy_buf_init(&higher_text, a, sizeof a);
    davy_buf_init(&lower_text, b, sizeof b);
    describe(higher, &higher_text);
    describe(lower, &lower_text);
    davy_setting_error(davy_setting_at(group, davy_level_name(higher->level)),
                       "%s is milder than the lower level's: `%s` has %s", a, davy_level_name(lower->level), b);
}

/* Of one point. Returns whether one was reported. */
static bool check_ladder(const struct davy_limit *limits, size_t count, config_setting_t *group)
{
    bool reported = false;
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < i; j++) {
            if (limits[i].upper || limits[j].upper || !is_milder(&limits[i], &limits[j]))
                continue;
            report_milder(&limits[i], &limits[j], group);
            reported = true;
        }
    return reported;
}

bool davy_point_extent(const struct davy_point *point, double *ret_low, double *ret_high)
{
    if (point->has_range) {
        *ret_low = point->low;
        *ret_high = point->high;
        return true;
    }
    if (point->type != DAVY_TYPE_BOOL && !point->has_mask)
        return false;
    double last = point->has_mask ? (double)(point->mask >> point->shift) : 1;
    double end = last * point->scale + point->offset;
    *ret_low = fmin(point->offset, end);
    *ret_high = fmax(point->offset, end);
    return true;
}

bool davy_point_takes_equals(const struct davy_point *point)
{
    return point->kind == DAVY_KIND_STATE || (point->type != DAVY_TYPE_FLOAT32 && point->type != DAVY_TYPE_FLOAT64);
}

/* The values that a measure can have while its points are within their ranges. */
struct extent {
    double low, high;
};

/* Of a point without bounds: from minus to plus infinity. */
static struct extent extent_of_point(const struct davy_point *point)
{
    struct extent e = {-(double)INFINITY, (double)INFINITY};
    davy_point_extent(point, &e.low, &e.high);
    return e;
}

/* Local days that a window can touch: one has 23 hours at least. */
static double days_of(davy_span window)
{
    return floor((double)window.ns / (23 * 3600.0 * (double)DAVY_NS_PER_S)) + 2;
}

static struct extent extent_of(const struct davy_config *config, const struct davy_rule *rule, size_t index)
{
    const double infinity = (double)INFINITY;
    const struct extent e = extent_of_point(&config->points[rule->points[index]]);
    switch (rule->measure) {
    case DAVY_MEASURE_VALUE:
    case DAVY_MEASURE_MEAN:
    case DAVY_MEASURE_MIN:
    case DAVY_MEASURE_MAX:
        return e;
    case DAVY_MEASURE_STEL:
    case DAVY_MEASURE_TWA:
        return (struct extent){0, fmax(0, e.high)};
    case DAVY_MEASURE_STDDEV:
        return (struct extent){0, (e.high - e.low) / 2};
    case DAVY_MEASURE_RMS:
        return (struct extent){0, fmax(fabs(e.low), fabs(e.high))};
    case DAVY_MEASURE_STUCK:
        return (struct extent){0, infinity};
    case DAVY_MEASURE_OCCURRENCES:
        return (struct extent){0, rule->options.days ? days_of(rule->options.window) : infinity};
    case DAVY_MEASURE_DIFFERENCE:
        if (rule->options.others) {
            const struct extent other = extent_of_point(&config->points[rule->options.others[index]]);
            return (struct extent){e.low - other.high, e.high - other.low};
        }
        break;
    case DAVY_MEASURE_RATE:
    case DAVY_MEASURE_FORECAST:
    case DAVY_MEASURE_DEVIATION:
    case DAVY_MEASURE_COUNT_:
        break;
    }
    return (struct extent){-infinity, infinity};
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

/* "[0, 100]", "0 or more" */
static void describe_extent(struct extent e, struct davy_buf *buf)
{
    char low[DAVY_NUM_TEXT], high[DAVY_NUM_TEXT];
    if (!isfinite(e.high))
        davy_buf_printf(buf, "%s or more", davy_num_print(e.low, low));
    else if (!isfinite(e.low))
        davy_buf_printf(buf, "%s or less", davy_num_print(e.high, high));
    else
        davy_buf_printf(buf, "[%s, %s]", davy_num_print(e.low, low), davy_num_print(e.high, high));
}

static void check_reach(const struct davy_rule *rule, const struct davy_limit *limit, const char *point,
                        struct extent e, config_setting_t *group)
{
    char text[96], extent[96], deadband[DAVY_NUM_TEXT];
    struct davy_buf buf, extent_buf;
    const bool plain = rule->measure == DAVY_MEASURE_VALUE;
    const char *why = why_never_trips(limit, e);
    if (!why && !never_returns(limit, e))
        return;
    davy_buf_init(&buf, text, sizeof text);
    describe(limit, &buf);
    davy_buf_init(&extent_buf, extent, sizeof extent);
    davy_buf_text(&extent_buf, plain || !isfinite(e.high) || !isfinite(e.low) ? "" : "within ");
    describe_extent(e, &extent_buf);
    const char *what = plain ? "range" : davy_measure_name(rule->measure);
    if (why)
        davy_setting_error(group, "%s %s: the %s of %s is %s", text, why, what, point, extent);
    else
        davy_setting_error(group, "%s with a deadband of %s can never return: the %s of %s is %s", text,
                           davy_num_print(limit->deadband, deadband), what, point, extent);
}

/* Whether the kind of condition suits the measure; reported where not. */
static bool suits_measure(const struct davy_rule *rule, const struct davy_limit *limit, config_setting_t *group)
{
    const char *kind = davy_condition_name(limit->condition), *measure = davy_measure_name(rule->measure);
    bool doubled = rule->measure == DAVY_MEASURE_STEL || rule->measure == DAVY_MEASURE_TWA;
    if (doubled && limit->condition != DAVY_CONDITION_ABOVE)
        davy_setting_error(davy_setting_at(group, kind),
                           "`%s` has no meaning for the measure \"%s\"; only `above` is allowed", kind, measure);
    else if (rule->measure != DAVY_MEASURE_VALUE && limit->condition == DAVY_CONDITION_EQUALS)
        davy_setting_error(davy_setting_at(group, kind),
                           "`equals` has no meaning for the measure \"%s\"; `above`, `below` and `outside` are allowed",
                           measure);
    else
        return true;
    return false;
}

/* Reports the first point that does not fit: the others would only say it again. */
static void check_points(const struct davy_config *config, const struct davy_rule *rule, size_t index,
                         config_setting_t *group)
{
    size_t errors = davy_setting_loader(group)->problems->errors;
    for (size_t i = 0; i < rule->point_count; i++) {
        const struct davy_limit *limit = &davy_rule_limits(rule, i)[index];
        const struct davy_point *point = &config->points[rule->points[i]];
        char name[DAVY_KEY_SIZE];
        davy_config_point_name(config, rule->points[i], name);
        if (limit->condition == DAVY_CONDITION_EQUALS && !davy_point_takes_equals(point))
            davy_setting_error(davy_setting_at(group, "equals"), DAVY_NO_EQUALS, name, davy_type_name(point->type));
        else
            check_reach(rule, limit, name, extent_of(config, rule, i), group);
        if (davy_setting_loader(group)->problems->errors > errors)
            return;
    }
}

/* Seconds and counts grow and fall back by leaps. */
static bool is_analogue(const struct davy_config *config, const struct davy_rule *rule)
{
    if (rule->measure == DAVY_MEASURE_STUCK || rule->measure == DAVY_MEASURE_OCCURRENCES)
        return false;
    for (size_t i = 0; i < rule->point_count; i++) {
        const struct davy_point *point = &config->points[rule->points[i]];
        if (point->kind != DAVY_KIND_STATE && point->type != DAVY_TYPE_BOOL)
            return true;
    }
    return false;
}

void davy_limits_check(struct davy_loader *loader, const struct davy_rule *rule, config_setting_t *setting)
{
    if (loader->failed)
        return;
    const bool analogue = is_analogue(loader->config, rule);
    size_t rows = rule->per_point ? rule->point_count : 1;
    for (size_t i = 0; i < rows; i++)
        if (check_ladder(davy_rule_limits(rule, i), rule->limit_count, setting))
            break;
    for (size_t i = 0; i < rule->limit_count; i++) {
        const struct davy_limit *limit = &rule->limits[i];
        config_setting_t *group = davy_setting_at(setting, davy_level_name(limit->level));
        if (!limit->upper && suits_measure(rule, limit, group))
            check_points(loader->config, rule, i, group);
        if (!limit->upper && analogue && limit->condition != DAVY_CONDITION_EQUALS && limit->deadband == 0)
            davy_setting_warning(group,
                                 "has a deadband of 0: a value that stays near the limit makes the alarm chatter");
    }
}
