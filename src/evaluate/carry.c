/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What alarms were, carried over a restart or a reload
 * (ARCHITECTURE.md, Storage; Configuration and reload). A restart reads memories by
 * key; a reload carries the same memories from the old engine to the new one, and what only lives in RAM beside them.
 */
#include <errno.h>
#include <string.h>

#include "evaluate/internal.h"

/* Index of the alarm of a key; DAVY_NONE also for a device that is switched off: nothing is judged there. */
static uint32_t find_by_key(const struct davy_engine *engine, const char *key)
{
    struct davy_subject subject;
    if (!davy_subject_parse(engine->options.config, key, &subject))
        return DAVY_NONE;
    bool off = subject.device != DAVY_NONE && !engine->options.config->devices[subject.device].enabled;
    return off ? DAVY_NONE : davy_engine_find_alarm(engine, &subject);
}

static bool same_kind(const struct davy_limit *limit, const struct davy_limit_memory *memory)
{
    return limit->level == memory->level && limit->condition == memory->condition;
}

/* Limits are the same when level and kind of condition are, else in order. DAVY_LIMITS_MAX: the limit is gone. */
static uint8_t match_limit(const struct alarm *alarm, const struct davy_alarm_memory *memory, uint8_t of)
{
    for (uint8_t i = 0; i < alarm->limit_count; i++)
        if (same_kind(&alarm->limits[i], &memory->limits[of]))
            return i;
    if (of >= alarm->limit_count)
        return DAVY_LIMITS_MAX;
    for (uint8_t i = 0; i < memory->limit_count; i++) /* is the one in this place the match of another? */
        if (same_kind(&alarm->limits[of], &memory->limits[i]))
            return DAVY_LIMITS_MAX;
    return of;
}

static void restore_limits(struct alarm *alarm, const struct davy_alarm_memory *memory, davy_mono restarted)
{
    for (uint8_t i = 0; i < memory->limit_count && i < DAVY_LIMITS_MAX; i++) {
        uint8_t to = match_limit(alarm, memory, i);
        if (to == DAVY_LIMITS_MAX)
            continue;
        const struct davy_limit_memory *from = &memory->limits[i];
        /* Over a restart an off-delay stands still until the next good reading: never a return on old evidence. */
        bool stand = restarted.ns != INT64_MAX && from->timer == DAVY_TIMER_OFF;
        alarm->states[to] = (struct davy_limit_state){
            .condition = from->tripped,
            .held = from->held,
            .uncertain = from->uncertain,
            .timer = stand ? DAVY_TIMER_NONE : from->timer,
            .started = from->started.mono,
            .credit = stand ? davy_mono_sub(restarted, from->started.mono) : (davy_span){0},
            .crossed = from->crossed,
        };
    }
}

static void restore_occurrence(struct alarm *alarm, const struct davy_alarm_memory *memory)
{
    alarm->remembered = true;
    alarm->id = memory->id;
    alarm->count = memory->count;
    alarm->state = memory->state;
    alarm->acknowledged = memory->acknowledged;
    alarm->raised_at = memory->raised.wall;
    alarm->shown_level = memory->level;
    alarm->shown_limit = memory->last_limit < alarm->limit_count ? memory->last_limit : 0;
    alarm->has_value = memory->has_value;
    alarm->value = memory->value;
    alarm->quality = memory->quality;
    alarm->reason = memory->reason;
}

/* A fault whose delay was running has been failing since then. */
static void restore_tracker(struct davy_engine *engine, const struct alarm *alarm)
{
    const struct davy_subject *subject = &alarm->subject;
    if (subject->kind != DAVY_ALARM_FAULT)
        return;
    struct tracker *tracker = subject->point != DAVY_NONE    ? point_tracker(engine, subject->point)
                              : subject->device != DAVY_NONE ? device_tracker(engine, subject->device)
                                                             : bus_tracker(engine, subject->bus);
    tracker->failing = alarm->states[0].condition || alarm->states[0].timer == DAVY_TIMER_ON;
    tracker->since = alarm->states[0].started;
}

static void count_active(struct davy_engine *engine, const struct alarm *alarm)
{
    uint32_t zone = davy_subject_zone(engine->options.config, &alarm->subject);
    if (alarm->subject.kind == DAVY_ALARM_RULE && alarm->true_level != DAVY_LEVEL_NONE)
        engine->zone_active[zone == DAVY_NONE ? engine->options.config->zone_count : zone]++;
}

/* Whether an occurrence with this memory can go on in this alarm: something is tripped, or it only waits for an ack. */
static bool goes_on(const struct alarm *alarm)
{
    return alarm->level != DAVY_LEVEL_NONE || alarm->state == DAVY_STATE_RETURNED || alarm->state == DAVY_STATE_NORMAL;
}

/* The levels that the memory stands for, under the limits of its time: what differs now is told by the next settle(). */
static void restore_levels(struct alarm *alarm, const struct davy_alarm_memory *memory)
{
    alarm->level = alarm->true_level = DAVY_LEVEL_NONE;
    for (uint8_t i = 0; i < memory->limit_count && i < DAVY_LIMITS_MAX; i++) {
        const struct davy_limit_memory *limit = &memory->limits[i];
        if (limit->tripped && limit->level > alarm->true_level)
            alarm->true_level = limit->level;
        if ((limit->tripped || limit->held) && limit->level > alarm->level)
            alarm->level = limit->level;
    }
}

/*
 * restarted  the instant of a restart; DAVY_MONO_NEVER for a reload, over which timers run on
 * returns    false where the occurrence cannot go on: nothing that is tripped is left
 */
static bool restore(struct davy_engine *engine, uint32_t index, const struct davy_alarm_memory *memory,
                    davy_mono restarted)
{
    struct alarm *alarm = &engine->alarms[index];
    restore_occurrence(alarm, memory);
    restore_limits(alarm, memory, restarted);
    davy_engine_measure_levels(alarm);
    if (!goes_on(alarm))
        return false;
    restore_levels(alarm, memory);
    restore_tracker(engine, alarm);
    count_active(engine, alarm);
    davy_engine_touch(engine, index);
    return true;
}

void davy_engine_restore(struct davy_engine *engine, const struct davy_alarm_memory *memory, struct davy_stamp now)
{
    uint32_t index = find_by_key(engine, memory->key);
    if (index == DAVY_NONE || !davy_engine_at_rest(&engine->alarms[index]))
        return;
    struct alarm *alarm = &engine->alarms[index];
    if (!restore(engine, index, memory, now.mono)) {
        davy_engine_transition(engine, alarm, DAVY_INPUT_RETIRE, now, NULL);
        davy_engine_tell_memory(engine, alarm);
    }
    davy_engine_settle(engine, now);
}

void davy_engine_tell_all(struct davy_engine *engine)
{
    for (uint32_t i = 0; i < engine->alarm_count; i++)
        if (engine->alarms[i].untold || !davy_engine_at_rest(&engine->alarms[i]))
            davy_engine_tell_memory(engine, &engine->alarms[i]);
}

bool davy_engine_knows(const struct davy_engine *engine, const char *key)
{
    return find_by_key(engine, key) != DAVY_NONE;
}

static bool same_limit(const struct davy_limit *a, const struct davy_limit *b)
{
    return a->level == b->level && a->condition == b->condition && a->a <= b->a && a->a >= b->a && a->b <= b->b &&
           a->b >= b->b && a->on_delay.ns == b->on_delay.ns && a->deadband <= b->deadband && a->deadband >= b->deadband;
}

/* Alarms of the old engine that have no place in the new one end, told under the old configuration. */
static void retire_gone(struct davy_engine *old, struct davy_engine *new, struct davy_stamp now)
{
    for (uint32_t i = 0; i < old->alarm_count; i++) {
        struct alarm *alarm = &old->alarms[i];
        if (davy_engine_at_rest(alarm))
            continue;
        struct davy_alarm_memory memory;
        davy_engine_memory_of(old, alarm, &memory);
        uint32_t index = find_by_key(new, memory.key);
        if (index != DAVY_NONE) {
            if (restore(new, index, &memory, DAVY_MONO_NEVER))
                continue;
            memset(new->alarms[index].states, 0, sizeof(struct davy_limit_state) * new->alarms[index].limit_count);
            new->alarms[index].state = DAVY_STATE_NORMAL;
            new->alarms[index].id = (struct davy_uuid){{0}};
            davy_engine_measure_levels(&new->alarms[index]);
        }
        if (alarm->state != DAVY_STATE_NORMAL)
            davy_engine_transition(old, alarm, DAVY_INPUT_RETIRE, now, NULL);
        memset(alarm->states, 0, sizeof(struct davy_limit_state) * alarm->limit_count);
        davy_engine_tell_memory(old, alarm);
    }
}

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
        if (point_tracker(new, target)->inhibited)
            new->inhibited[to->points[target].device]++;
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

/* Whether the rule watched this point under the old configuration. */
static bool watched_before(const struct davy_config *from, const struct davy_config *to, uint32_t rule, uint32_t point)
{
    char name[DAVY_KEY_SIZE];
    uint32_t old = davy_config_find_point(from, davy_config_point_name(to, point, name));
    for (size_t i = 0; old != DAVY_NONE && i < from->rules[rule].point_count; i++)
        if (from->rules[rule].points[i] == old)
            return true;
    return false;
}

/* The limit of the old configuration that this one was; NULL for a new one. */
static const struct davy_limit *old_limit(const struct davy_config *from, const struct davy_config *to,
                                          const struct alarm *alarm, uint8_t index)
{
    uint32_t rule = davy_config_find_rule(from, to->rules[alarm->subject.rule].name);
    if (rule == DAVY_NONE || !watched_before(from, to, rule, alarm->subject.point))
        return NULL;
    for (size_t i = 0; i < from->rules[rule].limit_count; i++) {
        const struct davy_limit *limit = &from->rules[rule].limits[i];
        if (limit->level == alarm->limits[index].level && limit->condition == alarm->limits[index].condition)
            return limit;
    }
    return NULL;
}

/* New and changed limits are judged against the newest reading at once, to raise only. */
static void judge_changed(struct davy_engine *new, const struct davy_config *from, struct davy_stamp now)
{
    const struct davy_config *to = new->options.config;
    for (uint32_t i = 0; i < new->first.bus_fault; i++) {
        struct alarm *alarm = &new->alarms[i];
        const struct davy_reading *newest = &new->newest[alarm->subject.point];
        bool evaluated = newest->has_value && newest->quality != DAVY_QUALITY_BAD &&
                         newest->reason != DAVY_REASON_WARM_UP && newest->reason != DAVY_REASON_CALIBRATION;
        if (!evaluated)
            continue;
        const struct davy_point *point = &to->points[alarm->subject.point];
        bool over = newest->reason == DAVY_REASON_OVER_RANGE && point->has_range;
        for (uint8_t l = 0; l < alarm->limit_count; l++) {
            const struct davy_limit *before = old_limit(from, to, alarm, l);
            if (before && same_limit(before, &alarm->limits[l]))
                continue;
            davy_limit_feed(&alarm->limits[l], &alarm->states[l], DAVY_FEED_RAISE, over ? point->high : newest->value,
                            newest->quality != DAVY_QUALITY_GOOD, now.mono);
            alarm->has_value = true;
            alarm->value = over ? point->high : newest->value;
            alarm->quality = newest->quality;
            alarm->reason = newest->reason;
            davy_engine_touch(new, i);
        }
    }
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
    retire_gone(engine, new, now);
    if (switched)
        switched(engine->options.context);
    struct davy_engine old = *engine;
    *engine = *new;
    *new = old; /* `new` holds the old engine from here */
    judge_changed(engine, new->options.config, now);
    davy_engine_start(engine, now, engine->live || new->live);
    davy_engine_free(new);
    return 0;
}
