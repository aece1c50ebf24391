/* SPDX-License-Identifier: Apache-2.0 */
/* From the limits of an alarm to its transition: all alarms that a cause has touched, in order. */
#include "evaluate/internal.h"

/* Levels as the limits give them now, and the limit that gives the level. */
struct levels {
    enum davy_level level, true_level;
    uint8_t shown;
};

static struct levels levels_of(const struct alarm *alarm)
{
    struct levels levels = {.shown = alarm->shown_limit};
    for (uint8_t i = 0; i < alarm->limit_count; i++) { /* ascending by level */
        const struct davy_limit_state *state = &alarm->states[i];
        if (state->condition)
            levels.true_level = alarm->limits[i].level;
        if (davy_limit_tripped(state)) {
            levels.level = alarm->limits[i].level;
            levels.shown = i;
        }
    }
    if (levels.level != DAVY_LEVEL_NONE && alarm->floor > levels.level)
        levels.level = alarm->floor;
    return levels;
}

bool davy_engine_any_held(const struct alarm *alarm)
{
    for (uint8_t i = 0; i < alarm->limit_count; i++)
        if (alarm->states[i].held)
            return true;
    return false;
}

void davy_engine_measure_levels(struct alarm *alarm)
{
    struct levels levels = levels_of(alarm);
    alarm->level = levels.level;
    alarm->true_level = levels.true_level;
    alarm->shown_limit = levels.shown;
    alarm->held = davy_engine_any_held(alarm);
    alarm->uncertain = levels.level != DAVY_LEVEL_NONE && alarm->states[levels.shown].uncertain;
    if (levels.level == DAVY_LEVEL_NONE)
        alarm->floor = DAVY_LEVEL_NONE;
}

void davy_engine_untrip(struct alarm *alarm)
{
    for (uint8_t i = 0; i < alarm->limit_count; i++) {
        struct davy_limit_state *state = &alarm->states[i];
        state->held |= state->condition && alarm->limits[i].latch;
        state->condition = false;
        state->timer = DAVY_TIMER_NONE;
        state->credit = (davy_span){0};
        state->stood = false;
    }
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
    *davy_engine_zone_count(engine, alarm) += is_active ? 1U : UINT32_MAX;
}

/* `when` is false: nothing is left but what latches hold, and an occurrence says so. */
static void suppress(struct davy_engine *engine, struct alarm *alarm, struct davy_stamp at)
{
    davy_engine_untrip(alarm);
    for (uint32_t i = 0; alarm->vote && i < alarm->vote->count; i++) {
        davy_engine_untrip(&engine->alarms[alarm->vote->first_member + i]);
        davy_engine_touch(engine, alarm->vote->first_member + i); /* a vote of before must not come back */
    }
    davy_engine_measure_levels(alarm);
    if (alarm->state != DAVY_STATE_NORMAL)
        davy_engine_transition(engine, alarm, DAVY_INPUT_SUPPRESS, at, NULL, 0);
}

/* `when` is true again: the newest reading counts at once. */
static void release(struct davy_engine *engine, struct alarm *alarm, struct davy_stamp at)
{
    enum davy_alarm_input input = alarm->level != DAVY_LEVEL_NONE ? DAVY_INPUT_RELEASE_LATCHED
                                  : alarm->acknowledged           ? DAVY_INPUT_RELEASE_SEEN
                                                                  : DAVY_INPUT_RELEASE;
    if (alarm->state == DAVY_STATE_SUPPRESSED)
        davy_engine_transition(engine, alarm, input, at, NULL, 0);
    davy_engine_feed_newest(engine, alarm, at);
}

static void judge_gate(struct davy_engine *engine, struct alarm *alarm, struct davy_stamp at)
{
    alarm->gate.flipped = false;
    bool was_active = alarm->true_level != DAVY_LEVEL_NONE;
    if (alarm->gate.closed)
        suppress(engine, alarm, at);
    else
        release(engine, alarm, at);
    count_in_zone(engine, alarm, was_active);
}

static void judge_limits(struct davy_engine *engine, struct alarm *alarm, struct davy_stamp at)
{
    if (alarm->shelved && davy_engine_breaks_shelf(alarm, levels_of(alarm).level))
        davy_engine_end_shelf(engine, alarm, at);
    enum davy_level before = alarm->level, true_before = alarm->true_level;
    davy_engine_measure_levels(alarm);
    enum davy_alarm_input input = input_of(alarm, before, true_before);
    if (input != DAVY_INPUT_COUNT_)
        davy_engine_transition(engine, alarm, input, at, NULL, 0);
    count_in_zone(engine, alarm, true_before != DAVY_LEVEL_NONE);
}

static void judge(struct davy_engine *engine, struct alarm *alarm, struct davy_stamp at)
{
    if (alarm->shelved && alarm->shelved_until.mono.ns <= at.mono.ns)
        davy_engine_end_shelf(engine, alarm, at);
    if (alarm->gate.flipped)
        judge_gate(engine, alarm, at);
    if (engine->begun && (alarm->late || alarm->counted)) /* before, a window may lack what the record has */
        davy_engine_feed_late(engine, alarm, at);
    judge_limits(engine, alarm, at);
    davy_engine_climb(engine, alarm, at);
}

void davy_engine_set_timer(struct davy_engine *engine, uint32_t index)
{
    const struct alarm *alarm = &engine->alarms[index];
    davy_mono due = DAVY_MONO_NEVER;
    for (uint8_t i = 0; i < alarm->limit_count; i++)
        due = davy_mono_min(due, davy_limit_due(&alarm->limits[i], &alarm->states[i]));
    if (alarm->gate.pending)
        due = davy_mono_min(due, davy_engine_gate_due(&alarm->gate));
    if (alarm->shelved)
        due = davy_mono_min(due, alarm->shelved_until.mono);
    if (alarm->subject.kind == DAVY_ALARM_RULE)
        due = davy_mono_min(due, davy_engine_ladder_due(engine, alarm));
    else if (alarm->subject.kind >= DAVY_ALARM_FLOOD)
        due = davy_mono_min(due, davy_engine_flood_due(engine, alarm));
    davy_timers_set(&engine->timers, index, due);
}

void davy_engine_touch(struct davy_engine *engine, uint32_t index)
{
    struct alarm *alarm = &engine->alarms[index];
    if (alarm->queued)
        return;
    alarm->queued = true;
    uint32_t *heap = engine->changed, at = engine->changed_count++;
    for (; at > 0 && heap[(at - 1) / 2] > index; at = (at - 1) / 2)
        heap[at] = heap[(at - 1) / 2];
    heap[at] = index;
}

/* The touched alarm that is first in order. */
static uint32_t take_first(struct davy_engine *engine)
{
    uint32_t *heap = engine->changed, first = heap[0], last = heap[--engine->changed_count], at = 0;
    for (uint32_t child = 1; child < engine->changed_count; child = 2 * at + 1) {
        if (child + 1 < engine->changed_count && heap[child + 1] < heap[child])
            child++;
        if (heap[child] >= last)
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = last;
    return first;
}

void davy_engine_settle(struct davy_engine *engine, struct davy_stamp at)
{
    while (engine->changed_count > 0) {
        uint32_t index = take_first(engine);
        struct alarm *alarm = &engine->alarms[index];
        if (!is_member(engine, alarm)) {
            judge(engine, alarm, at);
            davy_engine_set_timer(engine, index);
        }
        engine->settled[engine->settled_count++] = index;
        alarm->queued = false;
    }
    for (uint32_t i = 0; i < engine->settled_count; i++)
        davy_engine_tell_memory(engine, &engine->alarms[engine->settled[i]]);
    engine->settled_count = 0;
}
