/* SPDX-License-Identifier: Apache-2.0 */
/* From the limits of an alarm to its transition and event. */
#include "evaluate/internal.h"

#include <string.h>

void davy_engine_measure_levels(struct alarm *alarm)
{
    alarm->level = DAVY_LEVEL_NONE;
    alarm->true_level = DAVY_LEVEL_NONE;
    for (uint8_t i = 0; i < alarm->limit_count; i++) { /* ascending by level */
        const struct davy_limit_state *state = &alarm->states[i];
        if (state->condition)
            alarm->true_level = alarm->limits[i].level;
        if (davy_limit_tripped(state)) {
            alarm->level = alarm->limits[i].level;
            alarm->shown_limit = i;
        }
    }
}

static bool any_held(const struct alarm *alarm)
{
    for (uint8_t i = 0; i < alarm->limit_count; i++)
        if (alarm->states[i].held)
            return true;
    return false;
}

void davy_engine_memory_of(const struct davy_engine *engine, const struct alarm *alarm,
                           struct davy_alarm_memory *ret_memory)
{
    *ret_memory = (struct davy_alarm_memory){
        .id = alarm->id,
        .count = alarm->count,
        .state = alarm->state,
        .level = alarm->shown_level,
        .acknowledged = alarm->acknowledged,
        .raised = {.wall = alarm->raised_at},
        .last_limit = alarm->shown_limit,
        .has_value = alarm->has_value,
        .value = alarm->value,
        .quality = alarm->quality,
        .reason = alarm->reason,
        .limit_count = alarm->limit_count,
    };
    davy_subject_key(engine->options.config, &alarm->subject, ret_memory->key);
    for (uint8_t i = 0; i < alarm->limit_count; i++) {
        const struct davy_limit_state *state = &alarm->states[i];
        ret_memory->limits[i] = (struct davy_limit_memory){
            .level = alarm->limits[i].level,
            .condition = alarm->limits[i].condition,
            .tripped = state->condition,
            .held = state->held,
            .uncertain = state->uncertain,
            .timer = state->timer,
            .started = {.mono = state->started},
            .crossed = state->crossed,
        };
    }
}

/*
 * A fault that is not raised, below something that fails as well, is not worth remembering: the delay above it is, and with
 * each hiccup of a line thousands begin and end.
 */
static bool worth_telling(struct davy_engine *engine, const struct alarm *alarm)
{
    const struct davy_subject *subject = &alarm->subject;
    if (subject->kind != DAVY_ALARM_FAULT || alarm->state != DAVY_STATE_NORMAL || alarm->remembered)
        return true;
    if (subject->device == DAVY_NONE)
        return true;
    bool above = bus_tracker(engine, subject->bus)->failing;
    return !above && (subject->point == DAVY_NONE || !device_tracker(engine, subject->device)->failing);
}

void davy_engine_tell_memory(struct davy_engine *engine, struct alarm *alarm)
{
    if (!engine->options.memory || !worth_telling(engine, alarm))
        return;
    struct davy_alarm_memory memory;
    davy_engine_memory_of(engine, alarm, &memory);
    alarm->untold = !engine->options.memory(engine->options.context, &memory);
    alarm->remembered = alarm->untold || !davy_engine_at_rest(alarm);
}

bool davy_engine_at_rest(const struct alarm *alarm)
{
    for (uint8_t i = 0; i < alarm->limit_count; i++)
        if (davy_limit_tripped(&alarm->states[i]) || alarm->states[i].timer != DAVY_TIMER_NONE)
            return false;
    return alarm->state == DAVY_STATE_NORMAL;
}

/* Active alarms of rules in the zone of this one. */
static uint32_t *zone_count(struct davy_engine *engine, const struct alarm *alarm)
{
    uint32_t zone = davy_subject_zone(engine->options.config, &alarm->subject);
    return &engine->zone_active[zone == DAVY_NONE ? engine->options.config->zone_count : zone];
}

/* The facts of the event that do not depend on the transition. */
static struct davy_event describe(const struct alarm *alarm, struct davy_stamp at, const struct davy_command *command)
{
    const struct davy_limit *limit = &alarm->limits[alarm->shown_limit];
    const struct davy_limit_state *state = &alarm->states[alarm->shown_limit];
    bool of_rule = alarm->subject.kind == DAVY_ALARM_RULE;
    struct davy_event event = {
        .subject = alarm->subject,
        .at = at,
        .has_value = alarm->has_value,
        .value = alarm->value,
        .has_limit = of_rule,
        .limit = of_rule ? state->crossed : 0,
        .condition = limit->condition,
        .limit_index = alarm->shown_limit,
        .quality = alarm->quality,
        .reason = alarm->reason,
        .active = alarm->true_level != DAVY_LEVEL_NONE,
        .latched = any_held(alarm),
        .uncertain = alarm->level != DAVY_LEVEL_NONE && state->uncertain,
        .decided_after = {-1},
    };
    if (command) {
        memcpy(event.by, command->by, sizeof event.by);
        memcpy(event.note, command->note, sizeof event.note);
    }
    return event;
}

/* A new occurrence, or one more raise of the one that is. */
static void count_raise(struct davy_engine *engine, struct alarm *alarm, struct davy_stamp at)
{
    if (alarm->state != DAVY_STATE_NORMAL) {
        alarm->count++;
        return;
    }
    const struct davy_engine_options *options = &engine->options;
    alarm->id = options->new_id ? options->new_id(options->context, at.wall) : davy_uuid_new(at.wall);
    alarm->count = 1;
    alarm->raised_at = at.wall;
    alarm->shown_level = DAVY_LEVEL_NONE;
}

static void take_acknowledgement(struct alarm *alarm, const struct davy_alarm_cell *cell)
{
    bool needed = alarm->limits[alarm->shown_limit].acknowledge;
    if (cell->ack == DAVY_ACK_SET)
        alarm->acknowledged = true;
    else if (cell->ack == DAVY_ACK_CLEAR)
        alarm->acknowledged = !needed;
    alarm->state = cell->next;
    if (cell->next == DAVY_STATE_UNACKNOWLEDGED && alarm->acknowledged)
        alarm->state = DAVY_STATE_ACKNOWLEDGED;
}

static void forget_occurrence(struct alarm *alarm)
{
    alarm->id = (struct davy_uuid){{0}};
    alarm->count = 0;
    alarm->acknowledged = false;
    alarm->shown_level = DAVY_LEVEL_NONE;
}

void davy_engine_transition(struct davy_engine *engine, struct alarm *alarm, enum davy_alarm_input input,
                            struct davy_stamp at, const struct davy_command *command)
{
    /* A state that does not fit its limits is our bug; where it trips, it must not be a silent one. */
    static const struct davy_alarm_cell raise = {DAVY_CELL_DO, DAVY_STATE_UNACKNOWLEDGED, DAVY_EVENT_RAISED,
                                                 DAVY_ACK_CLEAR, NULL};
    const struct davy_alarm_cell *cell = davy_alarm_cell(alarm->state, input);
    if (cell->kind != DAVY_CELL_DO && alarm->true_level != DAVY_LEVEL_NONE && input <= DAVY_INPUT_AGAIN)
        cell = &raise;
    if (cell->kind != DAVY_CELL_DO)
        return;
    struct davy_event event = describe(alarm, at, command);
    event.type = cell->event;
    event.previous_state = alarm->state;
    if (cell->event == DAVY_EVENT_RAISED) {
        count_raise(engine, alarm, at);
        event.first_out = alarm->subject.kind == DAVY_ALARM_RULE && *zone_count(engine, alarm) == 0;
    }
    if (cell->event == DAVY_EVENT_RETIRED)
        event.active = event.latched = event.uncertain = false;
    take_acknowledgement(alarm, cell);
    event.previous_level = alarm->shown_level;
    if (alarm->level != DAVY_LEVEL_NONE && cell->event != DAVY_EVENT_RETIRED)
        alarm->shown_level = alarm->level;
    event.id = alarm->id;
    event.count = alarm->count;
    event.raised_at = alarm->raised_at;
    event.level = alarm->shown_level;
    event.state = alarm->state;
    event.acknowledged = alarm->acknowledged;
    event.ends = alarm->state == DAVY_STATE_NORMAL;
    if (event.ends)
        forget_occurrence(alarm);
    engine->options.event(engine->options.context, &event);
}

/* What the limits of one cause amount to; COUNT_ for nothing. */
static enum davy_alarm_input input_of(const struct alarm *alarm, enum davy_level before, enum davy_level true_before)
{
    bool was_active = true_before != DAVY_LEVEL_NONE;
    bool is_active = alarm->true_level != DAVY_LEVEL_NONE;
    if (!was_active)
        return is_active ? DAVY_INPUT_TRIP : DAVY_INPUT_COUNT_;
    if (!is_active)
        return alarm->level == DAVY_LEVEL_NONE ? DAVY_INPUT_RETURN : DAVY_INPUT_LATCH;
    if (alarm->level != before)
        return alarm->level > before ? DAVY_INPUT_RISE : DAVY_INPUT_FALL;
    bool held_above = before > true_before;
    return held_above && alarm->true_level > true_before ? DAVY_INPUT_AGAIN : DAVY_INPUT_COUNT_;
}

static void count_in_zone(struct davy_engine *engine, const struct alarm *alarm, bool was_active)
{
    bool is_active = alarm->true_level != DAVY_LEVEL_NONE;
    if (alarm->subject.kind != DAVY_ALARM_RULE || was_active == is_active)
        return;
    *zone_count(engine, alarm) += is_active ? 1U : UINT32_MAX;
}

static void judge(struct davy_engine *engine, struct alarm *alarm, struct davy_stamp at)
{
    enum davy_level before = alarm->level, true_before = alarm->true_level;
    davy_engine_measure_levels(alarm);
    enum davy_alarm_input input = input_of(alarm, before, true_before);
    if (input != DAVY_INPUT_COUNT_)
        davy_engine_transition(engine, alarm, input, at, NULL);
    count_in_zone(engine, alarm, true_before != DAVY_LEVEL_NONE);
}

void davy_engine_touch(struct davy_engine *engine, uint32_t index)
{
    struct alarm *alarm = &engine->alarms[index];
    davy_mono due = DAVY_MONO_NEVER;
    for (uint8_t i = 0; i < alarm->limit_count; i++)
        due = davy_mono_min(due, davy_limit_due(&alarm->limits[i], &alarm->states[i]));
    davy_timers_set(&engine->timers, index, due);
    if (alarm->queued)
        return;
    alarm->queued = true;
    engine->changed[engine->changed_count++] = index;
}

static int ascending(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    return left < right ? -1 : left > right;
}

void davy_engine_settle(struct davy_engine *engine, struct davy_stamp at)
{
    uint32_t count = engine->changed_count;
    if (count > 1)
        qsort(engine->changed, count, sizeof *engine->changed, ascending);
    for (uint32_t i = 0; i < count; i++)
        judge(engine, &engine->alarms[engine->changed[i]], at);
    for (uint32_t i = 0; i < count; i++) {
        struct alarm *alarm = &engine->alarms[engine->changed[i]];
        alarm->queued = false;
        davy_engine_tell_memory(engine, alarm);
    }
    engine->changed_count = 0;
}
