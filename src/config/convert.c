/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The limits of a rule as each of its points has them: the rule's own numbers converted from its unit, and those of its
 * preset from the table's. Where all points come to the same, they share one row.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "config/convert.h"

#define BIT(measure) (1U << DAVY_MEASURE_##measure)
#define OF_THE_VALUE (BIT(VALUE) | BIT(MEAN) | BIT(MIN) | BIT(MAX) | BIT(RMS) | BIT(FORECAST) | BIT(STEL) | BIT(TWA))
#define OF_A_CHANGE  (BIT(STDDEV) | BIT(RATE) | BIT(DIFFERENCE)) /* a unit, but no zero */
#define FORMULAS_MAX 128
#define SOURCE_SIZE  1024

static bool has(config_setting_t *group, const char *key)
{
    return config_setting_get_member(group, key) != NULL;
}

/* The gases that the table knows, for messages. */
static const char *known_gases(struct davy_loader *loader, char *text, size_t size)
{
    struct davy_buf buf;
    davy_buf_init(&buf, text, size);
    for (const struct davy_gas *gas = davy_gases(loader); gas; gas = gas->next)
        davy_buf_printf(&buf, "%s%s", buf.length > 0 ? ", " : "", gas->formula);
    return buf.length > 0 ? text : "none";
}

static const char *nearest_gas(struct davy_loader *loader, const char *quantity)
{
    const char *formulas[FORMULAS_MAX];
    size_t count = 0;
    for (const struct davy_gas *gas = davy_gases(loader); gas && count < FORMULAS_MAX; gas = gas->next)
        formulas[count++] = gas->formula;
    return davy_nearest(quantity, formulas, count);
}

/* Why the gas of a point is not known. */
static void explain_gas(struct davy_loader *loader, const struct davy_place *place, struct davy_buf *buf)
{
    char known[320];
    const struct davy_point *point = place->point;
    if (!davy_gases(loader)) {
        davy_buf_text(buf, "there is no gas table, gases.conf");
        return;
    }
    if (point->kind != DAVY_KIND_GAS)
        davy_buf_printf(buf, "its kind is \"%s\", not \"gas\"", davy_kind_name(point->kind));
    else if (!point->quantity)
        davy_buf_text(buf, "it has no `quantity` that the gas table could know");
    else
        davy_buf_printf(buf, "\"%s\" is not in the gas table", point->quantity);
    const char *nearest = point->quantity ? nearest_gas(loader, point->quantity) : NULL;
    davy_buf_printf(buf, "%s%s%s It has %s", nearest ? "; did you mean \"" : "", nearest ? nearest : "",
                    nearest ? "\"?" : ".", known_gases(loader, known, sizeof known));
}

/* How a unit becomes the point's; reported at `key`. */
static bool find_conversion(const struct davy_work *work, const struct davy_place *place, const char *unit,
                            const char *key, struct davy_conversion *ret)
{
    char text[480], what[160];
    struct davy_buf why, what_buf;
    davy_buf_init(&why, text, sizeof text);
    davy_buf_init(&what_buf, what, sizeof what);
    if (davy_unit_conversion(unit, place->point->unit, place->gas ? &place->gas->substance : NULL, ret, &why) == 0)
        return true;
    if (!place->gas && davy_unit_of_gas(unit) && davy_unit_of_gas(place->point->unit)) {
        davy_buf_text(&why, ": ");
        explain_gas(work->loader, place, &why);
    }
    davy_setting_error(davy_setting_at(work->group, key), "\"%s\" cannot be converted to the unit of %s, \"%s\": %s",
                       unit, place->name, place->point->unit, text);
    return false;
}

/* Words in a quantity that say how a vibration is not measured as the standards on severity have it. */
static bool is_peak(const char *quantity)
{
    static const char *const words[] = {"peak", "Peak", "PEAK", "p-p", "pk", "0-p", "峰"};
    for (size_t i = 0; quantity && i < DAVY_LENGTH(words); i++)
        if (strstr(quantity, words[i]))
            return true;
    return false;
}

static bool is_for_gas(const struct davy_work *work, const struct davy_place *place, config_setting_t *setting)
{
    const struct davy_preset *preset = work->preset;
    char text[480];
    struct davy_buf why;
    davy_buf_init(&why, text, sizeof text);
    if ((preset->gas || preset->percent_of != DAVY_FIGURE_NONE) && !place->gas) {
        explain_gas(work->loader, place, &why);
        davy_setting_error(setting, "\"%s\" needs to know the gas of %s: %s", preset->name, place->name, text);
        return false;
    }
    if (preset->gas && davy_gas_find(davy_gases(work->loader), preset->gas) != place->gas) {
        davy_setting_error(setting, "\"%s\" is for %s; %s measures %s", preset->name, preset->gas, place->name,
                           place->gas->formula);
        return false;
    }
    if (preset->percent_of == DAVY_FIGURE_NONE || place->gas->figures[preset->percent_of] > 0)
        return true;
    davy_setting_error(setting, "\"%s\" takes the %s of the gas; the gas table has none for %s, the gas of %s",
                       preset->name, davy_figure_name(preset->percent_of), place->gas->formula, place->name);
    return false;
}

/* Whether the preset is for such a point; reported. */
static bool suits_point(const struct davy_work *work, struct davy_place *place)
{
    const struct davy_preset *preset = work->preset;
    config_setting_t *setting = davy_setting_at(work->group, "preset");
    if (place->point->kind != preset->kind) {
        davy_setting_error(setting, "\"%s\" is for points of kind \"%s\"; %s is of kind \"%s\"", preset->name,
                           davy_kind_name(preset->kind), place->name, davy_kind_name(place->point->kind));
        return false;
    }
    if (preset->kind == DAVY_KIND_VIBRATION && is_peak(place->point->quantity)) {
        davy_setting_error(setting, "\"%s\" is for RMS; %s is \"%s\", and a broadband peak cannot be converted",
                           preset->name, place->name, place->point->quantity);
        return false;
    }
    if (!is_for_gas(work, place, setting))
        return false;
    place->share = preset->percent_of == DAVY_FIGURE_NONE ? 1 : place->gas->figures[preset->percent_of] / 100;
    return find_conversion(work, place, preset->unit, "preset", &place->table);
}

/* What only an unchanged, or an only scaled, number can be compared with; reported. */
static bool keeps_meaning(const struct davy_work *work, const struct davy_place *place)
{
    const struct davy_conversion *own = &place->own;
    bool shifted = own->from_zero < own->to_zero || own->from_zero > own->to_zero;
    bool scaled = own->multiplier < own->divisor || own->multiplier > own->divisor;
    bool equals = false;
    for (size_t i = 0; i < work->rule->limit_count; i++)
        equals = equals || work->rule->limits[i].condition == DAVY_CONDITION_EQUALS;
    config_setting_t *setting = davy_setting_at(work->group, "unit");
    if (shifted && work->rule->measure == DAVY_MEASURE_RMS)
        davy_setting_error(setting,
                           "\"%s\" cannot be converted to the unit of %s, \"%s\": their zeros differ, and an RMS "
                           "depends on it",
                           work->raw->unit, place->name, place->point->unit);
    else if (equals && (shifted || scaled))
        davy_setting_error(setting,
                           "\"%s\" cannot be converted to the unit of %s, \"%s\": `equals` takes the number as it is",
                           work->raw->unit, place->name, place->point->unit);
    else
        return true;
    return false;
}

bool davy_place_find(const struct davy_work *work, size_t index, struct davy_place *place)
{
    const struct davy_config *config = work->loader->config;
    const struct davy_point *point = &config->points[work->rule->points[index]];
    *place =
        (struct davy_place){.point = point, .own = DAVY_CONVERSION_NONE, .table = DAVY_CONVERSION_NONE, .share = 1};
    davy_config_point_name(config, work->rule->points[index], place->name);
    if (!point->unit) /* what stands there is no point: reported */
        return false;
    if (point->kind == DAVY_KIND_GAS && point->quantity)
        place->gas = davy_gas_find(davy_gases(work->loader), point->quantity);
    if (work->raw->unit && !find_conversion(work, place, work->raw->unit, "unit", &place->own))
        return false;
    if (!keeps_meaning(work, place))
        return false;
    return !work->preset || suits_point(work, place);
}

double davy_place_of_table(const struct davy_place *place, double number)
{
    return davy_convert(&place->table, number * place->share);
}

static double of_rule(const struct davy_work *work, const struct davy_place *place, double number)
{
    bool change = OF_A_CHANGE & 1U << work->rule->measure;
    return change ? davy_convert_difference(&place->own, number) : davy_convert(&place->own, number);
}

static const struct davy_preset_limit *says_of(const struct davy_preset *preset, enum davy_level level)
{
    return preset->limits[level].given ? &preset->limits[level] : &preset->others;
}

/* The rule's deadband, or the preset's: of the set-point that counts here. */
static double deadband_of(const struct davy_work *work, const struct davy_place *place, const struct davy_limit *limit)
{
    config_setting_t *group = work->raw->limits[limit->level];
    if (!work->preset || has(work->group, "deadband") || (group && has(group, "deadband")))
        return davy_convert_difference(&place->own, limit->deadband);
    if (limit->condition == DAVY_CONDITION_EQUALS)
        return 0;
    const struct davy_preset_limit *said = says_of(work->preset, limit->level);
    if (said->deadband_percent == 0)
        return davy_convert_difference(&place->table, said->deadband * place->share);
    double set_point = limit->condition == DAVY_CONDITION_OUTSIDE ? fmin(fabs(limit->a), fabs(limit->b)) : limit->a;
    return fabs(set_point) * said->deadband_percent / 100;
}

/* "GB/T 50493 …; OEL of H2S: GBZ 2.1 …": the row, and where it took the figure from. */
static const char *cite(struct davy_work *work, const struct davy_gas *gas)
{
    const struct davy_preset *preset = work->preset;
    if (preset->percent_of == DAVY_FIGURE_NONE || !gas->source)
        return preset->source;
    for (size_t i = 0; i < work->citation_count; i++)
        if (work->citations[i].gas == gas)
            return work->citations[i].text;
    if (work->citation_count == DAVY_GASES_PER_RULE)
        return preset->source;
    char text[SOURCE_SIZE];
    struct davy_buf buf;
    davy_buf_init(&buf, text, sizeof text);
    davy_buf_printf(&buf, "%s; %s of %s: %s", preset->source, davy_figure_name(preset->percent_of), gas->formula,
                    gas->source);
    struct davy_citation *added = &work->citations[work->citation_count++];
    *added = (struct davy_citation){gas, davy_loader_text(work->loader, text)};
    return added->text;
}

/* ISO: ALARM = baseline + 0.25 (B/C), not above 1.25 (B/C); both factors are the row's. */
static double alarm_of(const struct davy_work *work, const struct davy_place *place, double boundary)
{
    const struct davy_preset *preset = work->preset;
    if (isnan(work->raw->baseline) || preset->baseline_step == 0)
        return boundary;
    double baseline = davy_convert(&place->own, work->raw->baseline);
    return fmin(baseline + preset->baseline_step * boundary, preset->baseline_max * boundary);
}

void davy_place_take_preset(struct davy_work *work, const struct davy_place *place, struct davy_limit *limit)
{
    const struct davy_preset_limit *row = &work->preset->limits[limit->level];
    limit->condition = row->condition;
    limit->a = davy_place_of_table(place, row->a);
    limit->b = row->condition == DAVY_CONDITION_OUTSIDE ? davy_place_of_table(place, row->b) : 0;
    if (limit->level == DAVY_LEVEL_ORANGE)
        limit->a = alarm_of(work, place, limit->a);
    if (!limit->source)
        limit->source = cite(work, place->gas);
}

/* The limits of one point into `limits`, from those that all have. */
static void fill(struct davy_work *work, const struct davy_place *place, struct davy_limit *limits)
{
    for (size_t i = 0; i < work->rule->limit_count; i++) {
        struct davy_limit *limit = &limits[i];
        *limit = work->rule->limits[i];
        if (!davy_work_is_own(work, limit->level)) {
            davy_place_take_preset(work, place, limit);
        } else if (limit->condition != DAVY_CONDITION_EQUALS) {
            limit->a = of_rule(work, place, limit->a);
            limit->b = limit->condition == DAVY_CONDITION_OUTSIDE ? of_rule(work, place, limit->b) : 0;
        }
        limit->deadband = deadband_of(work, place, limit);
    }
}

static bool same_number(double a, double b)
{
    return !(a < b) && !(a > b);
}

static bool same(const struct davy_limit *a, const struct davy_limit *b, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!same_number(a[i].a, b[i].a) || !same_number(a[i].b, b[i].b) ||
            !same_number(a[i].deadband, b[i].deadband) || a[i].source != b[i].source)
            return false;
    return true;
}

/* What the rule as a whole must be; reported. */
static bool suits_rule(const struct davy_work *work)
{
    unsigned measure = 1U << work->rule->measure;
    const char *name = davy_measure_name(work->rule->measure);
    const struct davy_preset *preset = work->preset;
    config_setting_t *at_preset = davy_setting_at(work->group, "preset");
    bool windowed = measure & (BIT(STEL) | BIT(TWA));
    if (work->raw->unit && !(measure & (OF_THE_VALUE | OF_A_CHANGE))) {
        davy_setting_error(davy_setting_at(work->group, "unit"), "has no meaning for the measure \"%s\"", name);
        return false;
    }
    if (!preset)
        return true;
    bool suits = preset->measure == DAVY_MEASURE_VALUE ? (measure & OF_THE_VALUE) && !windowed
                                                       : preset->measure == work->rule->measure;
    if (!suits)
        davy_setting_error(at_preset, "\"%s\" is for the measure \"%s\"; the rule has \"%s\"", preset->name,
                           davy_measure_name(preset->measure), name);
    return suits;
}

/* `baseline` where it cannot act. */
static void check_baseline(const struct davy_work *work)
{
    config_setting_t *setting = config_setting_get_member(work->group, "baseline");
    const struct davy_preset *preset = work->preset;
    if (!setting || (work->raw->preset && !preset)) /* that there is no such preset was reported */
        return;
    if (!preset || preset->baseline_step == 0)
        davy_setting_error(setting, "has no meaning without a preset of vibration that takes one");
    else if (davy_work_is_own(work, DAVY_LEVEL_ORANGE))
        davy_setting_error(setting, "has no meaning where the rule has its own `orange`");
}

/* All points, each into a row of its own; the first row is shared where the others are no different. */
static bool convert(struct davy_work *work)
{
    struct davy_rule *rule = work->rule;
    struct davy_limit first[DAVY_LIMITS_MAX], other[DAVY_LIMITS_MAX];
    bool differ = false;
    for (size_t i = 0; i < rule->point_count; i++) {
        struct davy_place place;
        if (!davy_place_find(work, i, &place))
            return false;
        fill(work, &place, i == 0 ? first : other);
        differ = differ || (i > 0 && !same(first, other, rule->limit_count));
    }
    size_t rows = differ ? rule->point_count : 1;
    struct davy_limit *limits = davy_loader_alloc(work->loader, rows * rule->limit_count, sizeof *limits);
    for (size_t i = 0; limits && i < rows; i++) {
        struct davy_place place;
        if (davy_place_find(work, i, &place))
            fill(work, &place, &limits[i * rule->limit_count]);
    }
    if (!limits)
        return false;
    rule->limits = limits;
    rule->per_point = differ;
    return true;
}

/* Without usable numbers of the preset only the rule's own limits are left to be checked. */
static void drop_preset(const struct davy_work *work)
{
    struct davy_limit own[DAVY_LIMITS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < work->rule->limit_count; i++)
        if (davy_work_is_own(work, work->rule->limits[i].level))
            own[count++] = work->rule->limits[i];
    struct davy_limit *limits = davy_loader_alloc(work->loader, count, sizeof *limits);
    if (limits && count > 0)
        memcpy(limits, own, count * sizeof *limits);
    work->rule->limits = limits;
    work->rule->limit_count = limits ? count : 0;
}

void davy_limits_convert(struct davy_loader *loader, const struct davy_raw_rule *raw, config_setting_t *group,
                         struct davy_rule *rule)
{
    struct davy_work work = {.loader = loader, .raw = raw, .group = group, .rule = rule, .preset = raw->row};
    check_baseline(&work);
    if ((!raw->unit && !raw->row) || rule->limit_count == 0)
        return;
    if (!suits_rule(&work) || rule->point_count == 0 || !convert(&work)) {
        drop_preset(&work);
        return;
    }
    davy_limits_advise(&work);
}

void davy_preset_inherit(const struct davy_preset *preset, enum davy_level level, config_setting_t *rule,
                         struct davy_raw_behaviour *behaviour)
{
    const struct davy_preset_limit *said = says_of(preset, level);
    if (!has(rule, "on_delay"))
        behaviour->on_delay = said->on_delay;
    if (!has(rule, "off_delay"))
        behaviour->off_delay = said->off_delay;
    if (!has(rule, "latch"))
        behaviour->latch = said->latch;
}
