/* SPDX-License-Identifier: Apache-2.0 */
/* What is legal but unwise about the limits of a rule that come from a table, or stand in place of one's. */
#include <math.h>

#include "base/num.h"
#include "config/convert.h"

#define LAXER_BY 1e-9 /* what rounding may make of the same number */

/* Whether `own` lets through what `shipped` would catch. */
static bool is_laxer(const struct davy_limit *own, const struct davy_limit *shipped)
{
    switch ((int)own->condition) {
    case DAVY_CONDITION_ABOVE:
        return own->a > shipped->a * (1 + LAXER_BY);
    case DAVY_CONDITION_BELOW:
        return own->a < shipped->a * (1 - LAXER_BY);
    case DAVY_CONDITION_OUTSIDE:
        return own->a < shipped->a * (1 - LAXER_BY) || own->b > shipped->b * (1 + LAXER_BY);
    default:
        return false;
    }
}

static void describe(const struct davy_limit *limit, struct davy_buf *buf)
{
    char a[DAVY_NUM_TEXT], b[DAVY_NUM_TEXT];
    davy_num_print(limit->a, a);
    if (limit->condition == DAVY_CONDITION_OUTSIDE)
        davy_buf_printf(buf, "outside [%s, %s]", a, davy_num_print(limit->b, b));
    else
        davy_buf_printf(buf, "%s %s", davy_condition_name(limit->condition), a);
}

/* A limit of the rule in place of the preset's of the same level. Returns whether it was warned of. */
static bool compare(struct davy_work *work, const struct davy_place *place, const struct davy_limit *own)
{
    struct davy_limit shipped = {.level = own->level, .source = ""};
    char mine[96], theirs[96];
    struct davy_buf mine_buf, theirs_buf;
    davy_place_take_preset(work, place, &shipped);
    bool other_kind = shipped.condition != own->condition;
    if (!other_kind && !is_laxer(own, &shipped))
        return false;
    davy_buf_init(&mine_buf, mine, sizeof mine);
    davy_buf_init(&theirs_buf, theirs, sizeof theirs);
    describe(own, &mine_buf);
    describe(&shipped, &theirs_buf);
    davy_setting_warning(work->raw->limits[own->level], "%s %s \"%s\" has for %s: %s %s", mine,
                         other_kind ? "replaces what" : "is laxer than what", work->preset->name, place->name, theirs,
                         place->point->unit);
    return true;
}

/* One warning a level, for the first point that it is true of. */
static void warn_of_laxer(struct davy_work *work)
{
    for (size_t k = 0; k < work->rule->limit_count; k++) {
        enum davy_level level = work->rule->limits[k].level;
        bool warned = !davy_work_is_own(work, level) || !work->preset->limits[level].given;
        for (size_t i = 0; i < work->rule->point_count && !warned; i++) {
            struct davy_place place;
            warned = !davy_place_find(work, i, &place) || compare(work, &place, &davy_rule_limits(work->rule, i)[k]);
        }
    }
}

/* "orange", "red", "orange and red": the limits that are the rule's own, or that are not; NULL: none. */
static const char *grave_levels(const struct davy_work *work, bool own)
{
    static const char *const texts[] = {NULL, "orange", "red", "orange and red"};
    unsigned found = 0;
    for (size_t i = 0; i < work->rule->limit_count; i++) {
        enum davy_level level = work->rule->limits[i].level;
        if (level >= DAVY_LEVEL_ORANGE && davy_work_is_own(work, level) == own)
            found |= level == DAVY_LEVEL_RED ? 2U : 1U;
    }
    return texts[found];
}

static void warn_of_figure(const struct davy_work *work, const char *key, const char *levels, const char *figure,
                           const struct davy_gas *gas, const char *source)
{
    davy_setting_warning(davy_setting_at(work->group, key),
                         "the %s of %s in the gas table is used for %s and is not verified: %s", figure, gas->formula,
                         levels, source);
}

/* The row of the gas table that limits for `gas` rest on. */
static void warn_of_gas(const struct davy_work *work, const struct davy_place *place, const char *from_preset,
                        const char *own)
{
    const struct davy_gas *gas = place->gas;
    const struct davy_preset *preset = work->preset;
    bool lel_point = davy_unit_is_lel(place->point->unit);
    if (from_preset && preset->percent_of != DAVY_FIGURE_NONE && !gas->verified)
        warn_of_figure(work, "preset", from_preset, davy_figure_name(preset->percent_of), gas, gas->source);
    if (gas->lel_verified || !gas->lel_source)
        return;
    if (from_preset && davy_unit_is_lel(preset->unit) != lel_point)
        warn_of_figure(work, "preset", from_preset, "LEL", gas, gas->lel_source);
    if (own && work->raw->unit && davy_unit_is_lel(work->raw->unit) != lel_point)
        warn_of_figure(work, "unit", own, "LEL", gas, gas->lel_source);
}

static void warn_of_unverified(struct davy_work *work)
{
    const struct davy_gas *seen[DAVY_GASES_PER_RULE];
    size_t count = 0;
    const char *from_preset = work->preset ? grave_levels(work, false) : NULL, *own = grave_levels(work, true);
    if (from_preset && !work->preset->verified)
        davy_setting_warning(davy_setting_at(work->group, "preset"), "\"%s\" is used for %s and is not verified: %s",
                             work->preset->name, from_preset, work->preset->source);
    for (size_t i = 0; i < work->rule->point_count && count < DAVY_GASES_PER_RULE; i++) {
        struct davy_place place;
        bool known = !davy_place_find(work, i, &place) || !place.gas;
        for (size_t k = 0; k < count && !known; k++)
            known = seen[k] == place.gas;
        if (known)
            continue;
        seen[count++] = place.gas;
        davy_tables_use_row(work->loader, place.gas);
        warn_of_gas(work, &place, from_preset, own);
    }
}

/* A machine whose usual state is beyond B/C. */
static void warn_of_baseline(const struct davy_work *work)
{
    struct davy_place place;
    char baseline[DAVY_NUM_TEXT], boundary[DAVY_NUM_TEXT];
    if (!work->preset || isnan(work->raw->baseline) || work->preset->baseline_step == 0)
        return;
    for (size_t i = 0; i < work->rule->point_count && davy_place_find(work, i, &place); i++) {
        double own = davy_convert(&place.own, work->raw->baseline);
        double shipped = davy_place_of_table(&place, work->preset->limits[DAVY_LEVEL_ORANGE].a);
        if (own < shipped)
            continue;
        davy_setting_warning(davy_setting_at(work->group, "baseline"),
                             "%s is in zone C of \"%s\", which begins at %s %s for %s", davy_num_print(own, baseline),
                             work->preset->name, davy_num_print(shipped, boundary), place.point->unit, place.name);
        return;
    }
}

void davy_limits_advise(struct davy_work *work)
{
    if (work->preset)
        warn_of_laxer(work);
    warn_of_unverified(work);
    warn_of_baseline(work);
}
