/* SPDX-License-Identifier: Apache-2.0 */
/* Inside config/: a rule while its limits are converted (convert.c), and what is said of them then (advise.c). */
#pragma once

#include "config/tables.h"

#define DAVY_GASES_PER_RULE 64 /* more in one rule are cited, and warned of, by the preset alone */

/* A source that was put together for a gas. */
struct davy_citation {
    const struct davy_gas *gas;
    const char *text;
};

/* One rule in work. */
struct davy_work {
    struct davy_loader *loader;
    const struct davy_raw_rule *raw;
    config_setting_t *group;
    struct davy_rule *rule;
    const struct davy_preset *preset; /* NULL: none */
    struct davy_citation citations[DAVY_GASES_PER_RULE];
    size_t citation_count;
};

/* One point of it. */
struct davy_place {
    const struct davy_point *point;
    char name[DAVY_KEY_SIZE];
    const struct davy_gas *gas;   /* NULL: none that the table knows */
    struct davy_conversion own;   /* from the rule's unit */
    struct davy_conversion table; /* from the preset's */
    double share;                 /* of a number of the preset that is not a per cent: 1 */
};

/* Whether the rule has a limit of its own at this level. */
static inline bool davy_work_is_own(const struct davy_work *work, enum davy_level level)
{
    return work->raw->limits[level] != NULL;
}

/* The rule's point of this place, and how numbers get into its unit; false where they cannot, reported. */
bool davy_place_find(const struct davy_work *work, size_t index, struct davy_place *ret_place);

/* A number of the preset in the unit of the point. */
double davy_place_of_table(const struct davy_place *place, double number);

/* Condition, bounds and source of the preset's limit of limit->level. */
void davy_place_take_preset(struct davy_work *work, const struct davy_place *place, struct davy_limit *limit);

/* Warn of rows that are not verified, limits laxer than the preset's, and an odd baseline. */
void davy_limits_advise(struct davy_work *work);
