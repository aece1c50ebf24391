/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Another configuration while the engine runs: alarms go on or are retired, windows and timers go along, what has
 * changed is judged against the newest reading (ARCHITECTURE.md, Configuration and reload).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "evaluate/internal.h"

/* A changed scaling, table, type or unit makes another quantity: its newest reading does not count any more. */
static bool same_quantity(const struct davy_point *a, const struct davy_point *b)
{
    return a->table == b->table && a->address == b->address && a->type == b->type && a->order == b->order &&
           a->mask == b->mask && a->shift == b->shift && a->scale <= b->scale && a->scale >= b->scale &&
           a->offset <= b->offset && a->offset >= b->offset && strcmp(a->unit, b->unit) == 0;
}

static void carry_points(struct davy_engine *old, struct davy_engine *new)
{
    const struct davy_config *from = old->options.config, *to = new->options.config;
    for (uint32_t p = 0; p < from->point_count; p++) {
        char name[DAVY_KEY_SIZE];
        uint32_t target = davy_config_find_point(to, davy_config_point_name(from, p, name));
        if (target == DAVY_NONE)
            continue;
        new->seen[target] = old->seen[p];
        *point_tracker(new, target) = *point_tracker(old, p);
        if (old->stale.due[p].ns != INT64_MAX && to->devices[to->points[target].device].enabled)
            davy_timers_set(&new->stale, target, davy_mono_add(old->seen[p], to->points[target].max_age));
        if (old->newest[p].at.mono.ns == 0 || !same_quantity(&from->points[p], &to->points[target]))
            continue;
        new->newest[target] = old->newest[p];
        new->newest[target].point = target;
    }
}

static void carry_trackers(struct davy_engine *old, struct davy_engine *new)
{
    const struct davy_config *from = old->options.config, *to = new->options.config;
    for (uint32_t b = 0; b < from->bus_count; b++) {
        uint32_t target = davy_config_find_bus(to, from->buses[b].name);
        if (target != DAVY_NONE)
            *bus_tracker(new, target) = *bus_tracker(old, b);
    }
    for (uint32_t d = 0; d < from->device_count; d++) {
        uint32_t target = davy_config_find_device(to, from->devices[d].id);
        if (target != DAVY_NONE)
            *device_tracker(new, target) = *device_tracker(old, d);
    }
}

/* Whether the measure makes the same of the same readings. */
static bool same_measure(const struct davy_engine *old, const struct alarm *from, const struct davy_engine *new,
                         const struct alarm *to)
{
    const struct davy_config *before = old->options.config, *after = new->options.config;
    uint32_t point = from->subject.point, target = to->subject.point;
    const struct davy_rule *a = rule_of(old, from), *b = rule_of(new, to);
    if (point == DAVY_NONE || target == DAVY_NONE || !a || !b)
        return a && b && a->measure == b->measure;
    if (!same_quantity(&before->points[point], &after->points[target]))
        return false;
    struct davy_measure_setup was = davy_engine_setup(before, a, point), is = davy_engine_setup(after, b, target);
    char left[DAVY_KEY_SIZE], right[DAVY_KEY_SIZE];
    if (a->measure == DAVY_MEASURE_DIFFERENCE && b->measure == DAVY_MEASURE_DIFFERENCE &&
        strcmp(davy_config_point_name(before, from->window->other, left),
               davy_config_point_name(after, to->window->other, right)) != 0)
        return false;
    if (a->measure == DAVY_MEASURE_OCCURRENCES && b->measure == DAVY_MEASURE_OCCURRENCES &&
        strcmp(before->rules[a->options.rule].name, after->rules[b->options.rule].name) != 0)
        return false;
    return davy_measure_same(&was, &is);
}

/* What only lives in RAM: the latest raises and evidence, the window. */
static void carry_history(struct davy_engine *old, struct alarm *from, struct davy_engine *new, struct alarm *to)
{
    memcpy(to->raises, from->raises, sizeof to->raises);
    to->has_value = from->has_value;
    to->value = from->value;
    to->quality = from->quality;
    to->reason = from->reason;
    if (!from->window || !to->window)
        return;
    to->window->last = from->window->last;
    to->window->measured = from->window->measured;
    if (!same_measure(old, from, new, to))
        return;
    struct window spare = *to->window;
    to->window->state = from->window->state;
    to->window->has_read = from->window->has_read;
    to->window->gap = from->window->gap;
    to->window->read_value = from->window->read_value;
    to->window->read_at = from->window->read_at;
    from->window->state = spare.state;
}

static bool same_limit(const struct davy_limit *a, const struct davy_limit *b)
{
    return a->level == b->level && a->condition == b->condition && a->upper == b->upper && a->a <= b->a &&
           a->a >= b->a && a->b <= b->b && a->b >= b->b && a->on_delay.ns == b->on_delay.ns &&
           a->off_delay.ns == b->off_delay.ns && a->latch == b->latch && a->trip_on_fault == b->trip_on_fault &&
           a->deadband <= b->deadband && a->deadband >= b->deadband;
}

/* The occurrence ends under the old configuration; what it was is gone from the new engine too, but for a cover. */
static void retire(struct davy_engine *old, struct alarm *alarm, struct davy_engine *new, struct alarm *to,
                   struct davy_stamp now)
{
    bool member = to && is_member(new, to);
    alarm->gone = !to || member;
    if (member) { /* else nothing is tripped, and what runs goes on */
        davy_engine_clear_limits(to);
        to->shelved = to->out_of_service = false;
    }
    if (to) {
        to->state = DAVY_STATE_NORMAL;
        davy_engine_forget_occurrence(to);
        davy_engine_measure_levels(to);
        davy_engine_touch(new, index_of(new, to));
    }
    if (!is_member(old, alarm) && shown_state(alarm) != DAVY_STATE_NORMAL)
        davy_engine_transition(old, alarm, DAVY_INPUT_RETIRE, now, NULL, 0);
    memset(alarm->states, 0, sizeof *alarm->states * alarm->limit_count);
    alarm->gate = (struct gate){.when = NULL};
    alarm->quality = DAVY_QUALITY_COUNT_;
    alarm->inhibited = alarm->ill = false;
    davy_engine_tell_memory(old, alarm);
}

/* Whether the bound of a limit that was crossed, or would be, is one to be above of. */
static bool was_above(const struct alarm *alarm, uint8_t limit)
{
    const struct davy_limit *was = &alarm->limits[limit];
    if (was->condition == DAVY_CONDITION_OUTSIDE)
        return davy_engine_bound_of(alarm, limit) >= was->b;
    return was->condition == DAVY_CONDITION_ABOVE;
}

/* Of `outside`, the bound that was crossed stays the lower or the upper one, wherever a reload has moved it. */
static void carry_bound(const struct alarm *from, uint8_t limit, struct alarm *to, uint8_t partner)
{
    const struct davy_limit *is = &to->limits[partner];
    if (is->condition == DAVY_CONDITION_OUTSIDE)
        to->states[partner].crossed = was_above(from, limit) ? is->b : is->a;
}

/* An off-delay that stands still since a restart goes on doing so. */
static void carry_stand(const struct davy_limit_state *from, struct davy_limit_state *to)
{
    to->stood = from->stood && to->condition;
    to->credit = to->stood ? from->credit : (davy_span){0};
}

/* As last counted; that is done again where the rule applies. */
static void carry_count(const struct vote *from, uint8_t limit, struct vote *to, uint8_t partner)
{
    to->votes[partner] = from->votes[limit];
    to->needed[partner] = from->needed[limit];
}

/* What was told of each limit is told of what it has become. */
static void carry_told(const struct alarm *from, struct davy_engine *new, struct alarm *to,
                       const struct davy_alarm_memory *memory)
{
    uint8_t partners[DAVY_LIMITS_MAX];
    davy_engine_match_limits(new, to, memory, partners);
    for (uint8_t i = 0; i < from->limit_count; i++) {
        if (partners[i] == DAVY_LIMITS_MAX)
            continue;
        carry_bound(from, i, to, partners[i]);
        carry_stand(&from->states[i], &to->states[partners[i]]);
        if (from->vote && to->vote && !is_member(new, to))
            carry_count(from->vote, i, to->vote, partners[i]);
    }
}

/* Alarms go on under the new configuration; those that have no place there end, told under the old one. */
static void carry_alarms(struct davy_engine *old, struct davy_engine *new, struct davy_stamp now)
{
    for (uint32_t i = 0; i < old->alarm_count + old->member_count; i++) {
        struct alarm *alarm = &old->alarms[i];
        struct davy_alarm_memory memory;
        davy_engine_memory_of(old, alarm, &memory);
        uint32_t index = davy_engine_find_key(new, memory.key);
        struct alarm *to = index == DAVY_NONE ? NULL : &new->alarms[index];
        if (to)
            carry_history(old, alarm, new, to);
        bool rests = davy_engine_at_rest(alarm);
        bool goes = to && (rests || davy_engine_take_up(new, index, &memory, DAVY_MONO_NEVER));
        if (to && !is_member(new, to)) /* `when` is of the rule, not of the occurrence */
            davy_engine_carry_gate(old, alarm, new, to, now.mono);
        if (to && rests) /* else it is taken up */
            to->shown_limit = davy_engine_shown_after(new, to, &memory);
        if (to)
            carry_told(alarm, new, to, &memory);
        if (!goes && !rests)
            retire(old, alarm, new, to, now);
        if (to && (to->gate.flipped || to->gate.closed || to->gate.pending))
            davy_engine_touch(new, index);
    }
}

/* The rule of the old configuration that watched the same point, or is the same vote; NULL. */
static const struct davy_rule *old_rule(const struct davy_engine *old, const struct davy_engine *new,
                                        const struct alarm *alarm, const struct alarm **ret_before)
{
    char key[DAVY_KEY_SIZE];
    struct davy_subject subject;
    if (!davy_subject_parse(old->options.config, davy_subject_key(new->options.config, &alarm->subject, key), &subject))
        return NULL;
    uint32_t index = davy_engine_find_alarm(old, &subject);
    if (index == DAVY_NONE)
        return NULL;
    *ret_before = &old->alarms[index];
    return rule_of(old, &old->alarms[index]);
}

static bool same_limit_as_any(const struct alarm *before, const struct davy_limit *limit)
{
    for (uint8_t i = 0; i < before->limit_count; i++)
        if (same_limit(&before->limits[i], limit))
            return true;
    return false;
}

/* The limits that are new or not what they were: a bit set. A changed measure, vote or `on_bad` changes them all. */
static unsigned changed_limits(const struct davy_engine *old, const struct davy_engine *new, const struct alarm *alarm)
{
    const struct alarm *before = NULL;
    const struct davy_rule *is = rule_of(new, alarm), *was = old_rule(old, new, alarm, &before);
    if (!was || was->vote != is->vote || was->on_bad != is->on_bad || !same_measure(old, before, new, alarm))
        return ALL_LIMITS;
    unsigned changed = 0;
    for (uint8_t i = 0; i < alarm->limit_count; i++)
        if (!same_limit_as_any(before, &alarm->limits[i]))
            changed |= 1U << i;
    return changed;
}

/*
 * What has changed for the group or for one member is judged of all: a delay is the group's, the evidence the members'.
 */
static void judge_vote(struct davy_engine *old, struct davy_engine *new, struct alarm *group, struct davy_stamp now)
{
    unsigned changed = changed_limits(old, new, group);
    const uint32_t first = group->vote->first_member, end = first + group->vote->count;
    for (uint32_t i = first; i < end; i++)
        changed |= changed_limits(old, new, &new->alarms[i]);
    for (uint32_t i = first; changed && i < end; i++)
        if (davy_engine_feed_limits(new, &new->alarms[i], changed, now))
            davy_engine_touch(new, i);
    davy_engine_count_votes(new, group->vote, changed, DAVY_FEED_RAISE, now.mono);
}

static void judge_rule(struct davy_engine *old, struct davy_engine *new, uint32_t index, struct davy_stamp now)
{
    struct alarm *alarm = &new->alarms[index];
    if (alarm->vote)
        davy_engine_feed_health(new, alarm->vote);
    if (alarm->vote && !applies(alarm))
        davy_engine_count_votes(new, alarm->vote, 0, DAVY_FEED_RAISE, now.mono); /* for its fault */
    if (!applies(alarm))
        return;
    unsigned limits = alarm->vote ? 0 : changed_limits(old, new, alarm);
    if (alarm->vote)
        judge_vote(old, new, alarm, now);
    else if (limits && davy_engine_feed_limits(new, alarm, limits, now))
        davy_engine_touch(new, index);
    for (uint8_t i = 0; i < alarm->limit_count; i++) /* a delay may be shorter now */
        if (davy_limit_expire(&alarm->limits[i], &alarm->states[i], now.mono))
            davy_engine_touch(new, index);
}

/* New and changed limits are judged against the newest reading at once, to raise only. */
static void judge_changed(struct davy_engine *old, struct davy_engine *new, struct davy_stamp now)
{
    for (uint32_t i = 0; i < new->first.bus_fault; i++)
        judge_rule(old, new, i, now);
    for (uint32_t d = 0; d < new->options.config->device_count; d++) /* an inhibited point may have gone */
        davy_engine_set_condition(new, new->first.inhibit + d, new->inhibited[d] > 0);
    davy_engine_settle(new, now);
}

int davy_engine_reload(struct davy_engine *engine, const struct davy_config *config, struct davy_stamp now,
                       void (*switched)(void *context))
{
    struct davy_engine_options options = engine->options;
    options.config = config;
    struct davy_engine *new;
    int rc = davy_engine_build(&options, &new);
    if (rc < 0)
        return rc;
    davy_engine_fire_due(engine, now, false);
    carry_trackers(engine, new);
    carry_points(engine, new);
    memcpy(new->flood_raises, engine->flood_raises, sizeof new->flood_raises);
    new->chattered_at = engine->chattered_at;
    carry_alarms(engine, new, now);
    if (switched)
        switched(engine->options.context);
    struct davy_engine old = *engine;
    *engine = *new;
    *new = old; /* `new` holds the old engine from here */
    judge_changed(new, engine, now);
    davy_engine_start(engine, now, engine->live || new->live);
    davy_engine_free(new);
    return 0;
}
