/* SPDX-License-Identifier: Apache-2.0 */
/* Rules: which points, which limits, and what else stands there (ARCHITECTURE.md, Rules and limits). */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/internal.h"
#include "config/schema.h"
#include "config/tables.h"

#define RULES_MAX  10000
#define GLOBS_MAX  1000
#define ALARMS_MAX 1000000

static bool has(config_setting_t *group, const char *key)
{
    return config_setting_get_member(group, key) != NULL;
}

/* "_" stands for nothing in topics, and RULE.fault is what the fault of a vote is called. */
static bool is_reserved(const char *name)
{
    const char *dot = strrchr(name, '.');
    if (strcmp(name, "_") == 0 || (dot && strcmp(dot, ".fault") == 0))
        return true;
    for (int kind = DAVY_ALARM_RULE + 1; kind < DAVY_ALARM_COUNT_; kind++)
        if (strcmp(davy_alarm_kind_name((enum davy_alarm_kind)kind), name) == 0)
            return true;
    return false;
}

static void check_name(struct davy_loader *loader, const char *name, config_setting_t *group)
{
    uint32_t twin = davy_config_find_rule(loader->config, name);
    if (is_reserved(name))
        davy_setting_error(davy_setting_at(group, "name"), "\"%s\" is reserved, or the name of a built-in alarm", name);
    if (twin != DAVY_NONE)
        davy_setting_error(davy_setting_at(group, "name"), "\"%s\" is already the name of rules[%u]", name, twin);
}

/* Mark the points that a glob matches. Returns whether any does. */
static bool mark(const struct davy_config *config, const char *glob, bool *marks)
{
    bool any = false;
    for (size_t i = 0; i < config->point_count; i++) {
        const struct davy_point *point = &config->points[i];
        if (davy_point_glob(glob, config->devices[point->device].id, point->name))
            marks[i] = any = true;
    }
    return any;
}

void davy_nearest_point(const struct davy_config *config, const char *name, char ret_nearest[DAVY_KEY_SIZE])
{
    for (size_t i = 0; i < config->point_count && i < 10000; i++) {
        const char *candidate = davy_config_point_name(config, (uint32_t)i, ret_nearest);
        if (davy_nearest(name, &candidate, 1))
            return;
    }
    ret_nearest[0] = '\0';
}

static void no_match(const struct davy_config *config, config_setting_t *setting, const char *glob)
{
    char nearest[DAVY_KEY_SIZE];
    if (!strchr(glob, '.')) {
        davy_setting_error(setting, "\"%s\" has no dot; a glob over DEVICE.POINT is expected, like \"%s.*\"", glob,
                           glob);
        return;
    }
    davy_nearest_point(config, glob, nearest);
    davy_setting_error(setting, "\"%s\" matches no point%s%s%s", glob, nearest[0] ? "; did you mean \"" : "", nearest,
                       nearest[0] ? "\"?" : "");
}

static bool mark_all(const struct davy_config *config, config_setting_t *list, bool *marks)
{
    size_t count = davy_list_length(list, GLOBS_MAX);
    if (list && count == 0)
        davy_setting_error(list, "names no point");
    for (size_t i = 0; i < count; i++) {
        config_setting_t *setting = config_setting_get_elem(list, (unsigned)i);
        const char *glob = davy_read_text(setting, 255);
        if (glob && !mark(config, glob, marks))
            no_match(config, setting, glob);
    }
    return count > 0;
}

static void match(struct davy_loader *loader, config_setting_t *list, struct davy_rule *rule)
{
    const struct davy_config *config = loader->config;
    DAVY_AUTO_FREE bool *marks = calloc(config->point_count + 1, sizeof *marks);
    if (!marks) {
        loader->failed = -ENOMEM;
        return;
    }
    mark_all(config, list, marks);
    size_t count = 0;
    for (size_t i = 0; i < config->point_count; i++)
        count += marks[i];
    uint32_t *points = davy_loader_alloc(loader, count, sizeof *points);
    for (size_t i = 0; points && i < config->point_count; i++)
        if (marks[i]) {
            points[rule->point_count++] = (uint32_t)i;
            loader->point_used[i] = true;
        }
    rule->points = points;
}

static void build_vote(struct davy_loader *loader, const struct davy_raw_rule *raw, struct davy_rule *rule,
                       config_setting_t *group)
{
    const struct davy_config *config = loader->config;
    char fault[DAVY_KEY_SIZE];
    if (!has(group, "vote")) {
        if (has(group, "on_bad"))
            davy_setting_error(davy_setting_at(group, "on_bad"), "has no meaning without `vote`");
        return;
    }
    config_setting_t *setting = davy_setting_at(group, "vote");
    snprintf(fault, sizeof fault, "%s.fault", rule->name);
    rule->vote = (unsigned)raw->vote;
    rule->on_bad = (enum davy_on_bad)raw->on_bad;
    rule->fault_name = davy_loader_text(loader, fault);
    if ((size_t)raw->vote > rule->point_count && rule->point_count > 0)
        davy_setting_error(setting, "%d of %zu points can never agree", raw->vote, rule->point_count);
    for (size_t i = 1; i < rule->point_count; i++) {
        const struct davy_point *first = &config->points[rule->points[0]], *other = &config->points[rule->points[i]];
        bool same_unit = !first->unit || !other->unit || strcmp(first->unit, other->unit) == 0;
        if (first->zone == other->zone && same_unit)
            continue;
        char a[DAVY_KEY_SIZE], b[DAVY_KEY_SIZE];
        davy_setting_error(setting, "the points of a vote are of one zone and one unit; %s and %s are not",
                           davy_config_point_name(config, rule->points[0], a),
                           davy_config_point_name(config, rule->points[i], b));
        return;
    }
}

/* The row of `preset`; without one the rule needs a limit of its own. */
static void find_preset(struct davy_loader *loader, struct davy_raw_rule *raw, config_setting_t *group)
{
    size_t limits = 0;
    for (int level = DAVY_LEVEL_BLUE; level < DAVY_LEVEL_COUNT_; level++)
        limits += raw->limits[level] != NULL;
    if (raw->preset)
        raw->row = davy_preset_find(loader, davy_setting_at(group, "preset"), raw->preset);
    else if (limits == 0)
        davy_setting_error(group, "has no limit; `blue`, `yellow`, `orange` or `red` is required");
}

static void build_rule(struct davy_loader *loader, config_setting_t *group, struct davy_rule *rule)
{
    struct davy_raw_rule raw = {.behaviour = {.acknowledge = true, .shelvable = true}, .baseline = (double)NAN};
    davy_schema_read(group, &davy_schema_rule, &raw);
    if (raw.name)
        check_name(loader, raw.name, group);
    rule->name = raw.name ? raw.name : davy_loader_text(loader, "?");
    rule->preset = raw.preset;
    match(loader, raw.points, rule);
    build_vote(loader, &raw, rule, group);
    davy_measure_build(loader, raw.measure, rule);
    find_preset(loader, &raw, group);
    davy_limits_build(loader, &raw, group, rule);
    davy_limits_convert(loader, &raw, group, rule);
    davy_when_build(loader, raw.when, rule);
    davy_escalate_build(loader, raw.escalate, rule);
    davy_limits_check(loader, rule, group);
    davy_limits_double(loader, rule);
}

void davy_rules_build(struct davy_loader *loader, config_setting_t *list)
{
    struct davy_config *config = loader->config;
    size_t count = davy_list_length(list, RULES_MAX);
    size_t alarms = 0;
    config->rules = davy_loader_alloc(loader, count, sizeof *config->rules);
    for (size_t i = 0; !loader->failed && i < count && alarms <= ALARMS_MAX; i++) {
        build_rule(loader, config_setting_get_elem(list, (unsigned)i), &config->rules[i]);
        config->rule_count = i + 1;
        alarms += config->rules[i].point_count;
    }
    if (alarms > ALARMS_MAX)
        davy_setting_error(list, "would watch over more than %d pairs of rule and point", ALARMS_MAX);
}
