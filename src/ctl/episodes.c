/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/episodes.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void add_rule(struct episodes *episodes, const char *name)
{
    for (size_t i = 0; i < episodes->rule_count; i++)
        if (strcmp(episodes->rules[i], name) == 0)
            return;
    episodes->rules[episodes->rule_count++] = name;
}

void davy_episodes_init(struct episodes *episodes, const struct replay *replay)
{
    size_t rules = DAVY_ALARM_COUNT_;
    *episodes = (struct episodes){.mask = 1023};
    for (size_t i = 0; i < replay->lane_count; i++)
        rules += 2 * replay->lanes[i].config->rule_count;
    episodes->rules = davy_ctl_grow(NULL, rules, sizeof *episodes->rules);
    for (size_t i = 0; i < replay->lane_count; i++) {
        const struct davy_config *config = replay->lanes[i].config;
        for (size_t r = 0; r < config->rule_count; r++) {
            add_rule(episodes, config->rules[r].name);
            if (config->rules[r].fault_name)
                add_rule(episodes, config->rules[r].fault_name);
        }
    }
    for (int kind = DAVY_ALARM_FAULT; kind < DAVY_ALARM_COUNT_; kind++)
        add_rule(episodes, davy_alarm_kind_name((enum davy_alarm_kind)kind));
    episodes->slots = davy_ctl_grow(NULL, episodes->mask + 1, sizeof *episodes->slots);
    memset(episodes->slots, 0xff, (episodes->mask + 1) * sizeof *episodes->slots);
}

void davy_episodes_done(struct episodes *episodes)
{
    for (size_t i = 0; i < episodes->alarm_count; i++)
        free(episodes->alarms[i].key);
    for (size_t i = 0; i < ROSTER_CONFIGS; i++)
        free(episodes->lanes[i].list);
    free(episodes->alarms);
    free(episodes->slots);
    free(episodes->rules);
}

static size_t *find_slot(const struct episodes *episodes, const char *key)
{
    size_t slot = davy_roster_hash(key, strlen(key)) & episodes->mask;
    while (episodes->slots[slot] != SIZE_MAX && strcmp(episodes->alarms[episodes->slots[slot]].key, key) != 0)
        slot = (slot + 1) & episodes->mask;
    return &episodes->slots[slot];
}

static void grow_slots(struct episodes *episodes)
{
    episodes->mask = 2 * episodes->mask + 1;
    episodes->slots = davy_ctl_grow(episodes->slots, episodes->mask + 1, sizeof *episodes->slots);
    memset(episodes->slots, 0xff, (episodes->mask + 1) * sizeof *episodes->slots);
    for (size_t i = 0; i < episodes->alarm_count; i++)
        *find_slot(episodes, episodes->alarms[i].key) = i;
}

/* What is not in the list is not possible: all names are known from the begin. */
static size_t find_rule(const struct episodes *episodes, const char *name)
{
    size_t i = 0;
    while (i + 1 < episodes->rule_count && strcmp(episodes->rules[i], name) != 0)
        i++;
    return i;
}

static size_t number_alarm(struct episodes *episodes, const char *key, const char *rule)
{
    size_t *slot = find_slot(episodes, key);
    if (*slot != SIZE_MAX)
        return *slot;
    if (episodes->alarm_count == episodes->alarm_capacity) {
        episodes->alarm_capacity = episodes->alarm_capacity ? 2 * episodes->alarm_capacity : 64;
        episodes->alarms = davy_ctl_grow(episodes->alarms, episodes->alarm_capacity, sizeof *episodes->alarms);
    }
    const size_t alarm = *slot = episodes->alarm_count++;
    episodes->alarms[alarm] =
        (struct episode_alarm){davy_ctl_copy(key), find_rule(episodes, rule), {SIZE_MAX, SIZE_MAX}};
    if (2 * episodes->alarm_count > episodes->mask)
        grow_slots(episodes);
    return alarm;
}

static void begin(struct episode_list *list, size_t alarm, const struct davy_event *event)
{
    if (list->count == list->capacity) {
        list->capacity = list->capacity ? 2 * list->capacity : 256;
        list->list = davy_ctl_grow(list->list, list->capacity, sizeof *list->list);
    }
    list->list[list->count++] = (struct episode){
        .alarm = alarm,
        .start = event->at.wall,
        .level = event->level,
        .has_value = event->has_value,
        .value = event->value,
        .has_limit = event->has_limit,
        .limit = event->limit,
        .condition = event->condition,
    };
}

void davy_episodes_take(struct episodes *episodes, size_t which, const struct davy_config *config,
                        const struct davy_event *event)
{
    char key[DAVY_KEY_SIZE];
    struct episode_list *list = &episodes->lanes[which];
    const size_t alarm = number_alarm(episodes, davy_subject_key(config, &event->subject, key),
                                      davy_subject_rule_name(config, &event->subject));
    size_t *open = &episodes->alarms[alarm].open[which];
    if (event->active && *open == SIZE_MAX) {
        *open = list->count;
        begin(list, alarm, event);
    } else if (event->active) {
        struct episode *episode = &list->list[*open];
        const bool by_limit = event->type == DAVY_EVENT_ESCALATED || event->type == DAVY_EVENT_RAISED;
        if (by_limit && event->level > episode->level)
            episode->level = event->level;
    } else if (*open != SIZE_MAX) {
        list->list[*open].end = event->at.wall;
        *open = SIZE_MAX;
    }
}

static int compare(const void *left, const void *right)
{
    const struct episode *a = left, *b = right;
    if (a->alarm != b->alarm)
        return a->alarm < b->alarm ? -1 : 1;
    if (a->start.ns != b->start.ns)
        return a->start.ns < b->start.ns ? -1 : 1;
    return a->end.ns < b->end.ns ? -1 : a->end.ns > b->end.ns;
}

static void cut(struct episode_list *list, davy_wall since)
{
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++) {
        struct episode episode = list->list[i];
        episode.before = episode.start.ns < since.ns;
        if (episode.before && episode.end.ns < since.ns)
            continue;
        if (episode.before)
            episode.start = since;
        list->list[kept++] = episode;
    }
    list->count = kept;
    if (kept > 0)
        qsort(list->list, kept, sizeof *list->list, compare);
}

void davy_episodes_finish(struct episodes *episodes, davy_wall since, davy_wall last)
{
    for (size_t which = 0; which < ROSTER_CONFIGS; which++) {
        struct episode_list *list = &episodes->lanes[which];
        for (size_t i = 0; i < episodes->alarm_count; i++) {
            const size_t open = episodes->alarms[i].open[which];
            if (open == SIZE_MAX)
                continue;
            list->list[open].open = true;
            list->list[open].end = last;
        }
        cut(list, since);
    }
}
