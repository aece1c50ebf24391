/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What alarms were, taken up from their memories by key: after a restart those of the ledger, over a reload those of
 * the old engine (ARCHITECTURE.md, Storage).
 */
#include <string.h>

#include "evaluate/internal.h"

uint32_t davy_engine_find_key(const struct davy_engine *engine, const char *key)
{
    struct davy_subject subject;
    if (!davy_subject_parse(engine->options.config, key, &subject))
        return DAVY_NONE;
    bool off = subject.device != DAVY_NONE && !engine->options.config->devices[subject.device].enabled;
    return off ? DAVY_NONE : davy_engine_find_alarm(engine, &subject);
}

/* The level in the file: of an upper one that of its lower one, which is the same in order. */
static enum davy_level named_level(const struct davy_limit_memory *limits, size_t count, size_t index)
{
    size_t before = 0;
    for (size_t i = 0; i < index; i++)
        before += limits[i].upper == limits[index].upper;
    for (size_t i = 0; limits[index].upper && i < count; i++)
        if (!limits[i].upper && before-- == 0)
            return limits[i].level;
    return limits[index].level;
}

/* Two alarms' limits, and which have become which. */
struct match {
    const struct davy_alarm_memory *from, *to;
    uint8_t *partners; /* by limit of `from` */
    unsigned taken;    /* limits of `to` */
};

static bool same_kind(const struct match *match, size_t from, size_t to)
{
    const struct davy_limit_memory *a = match->from->limits, *b = match->to->limits;
    return named_level(a, match->from->limit_count, from) == named_level(b, match->to->limit_count, to) &&
           a[from].condition == b[to].condition && a[from].upper == b[to].upper;
}

static bool same_bound(const struct match *match, size_t from, size_t to)
{
    return match->from->limits[from].upper == match->to->limits[to].upper;
}

/* Pair what has no partner yet with the first limit that fits and has none either. */
static void pair_limits(struct match *match, bool (*fits)(const struct match *match, size_t from, size_t to))
{
    for (uint8_t i = 0; i < match->from->limit_count && i < DAVY_LIMITS_MAX; i++)
        for (uint8_t to = 0; to < match->to->limit_count && match->partners[i] == DAVY_LIMITS_MAX; to++) {
            if (match->taken & 1U << to || !fits(match, i, to))
                continue;
            match->partners[i] = to;
            match->taken |= 1U << to;
        }
}

void davy_engine_match_limits(const struct davy_engine *engine, const struct alarm *alarm,
                              const struct davy_alarm_memory *memory, uint8_t partners[DAVY_LIMITS_MAX])
{
    struct davy_alarm_memory to;
    davy_engine_memory_of(engine, alarm, &to);
    struct match match = {.from = memory, .to = &to, .partners = partners};
    memset(partners, DAVY_LIMITS_MAX, DAVY_LIMITS_MAX);
    pair_limits(&match, same_kind);
    pair_limits(&match, same_bound);
}

/* The highest limit that is not above one that is gone, rather of the same kind of bound; the lowest where all are. */
static uint8_t stand_in(const struct davy_alarm_memory *to, const struct davy_limit_memory *gone)
{
    uint8_t found = DAVY_LIMITS_MAX, alike = DAVY_LIMITS_MAX;
    for (uint8_t i = 0; i < to->limit_count; i++) { /* ascending by level */
        if (to->limits[i].level > gone->level)
            continue;
        found = i;
        if (to->limits[i].upper == gone->upper)
            alike = i;
    }
    return alike != DAVY_LIMITS_MAX ? alike : found != DAVY_LIMITS_MAX ? found : 0;
}

uint8_t davy_engine_shown_after(const struct davy_engine *engine, const struct alarm *alarm,
                                const struct davy_alarm_memory *memory)
{
    uint8_t partners[DAVY_LIMITS_MAX], shown = memory->last_limit;
    struct davy_alarm_memory to;
    if (shown >= memory->limit_count)
        return 0;
    davy_engine_match_limits(engine, alarm, memory, partners);
    if (partners[shown] != DAVY_LIMITS_MAX)
        return partners[shown];
    davy_engine_memory_of(engine, alarm, &to);
    return stand_in(&to, &memory->limits[shown]);
}

static void restore_limits(const struct davy_engine *engine, struct alarm *alarm,
                           const struct davy_alarm_memory *memory, davy_mono restarted)
{
    uint8_t partners[DAVY_LIMITS_MAX];
    davy_engine_match_limits(engine, alarm, memory, partners);
    for (uint8_t i = 0; i < memory->limit_count && i < DAVY_LIMITS_MAX; i++) {
        uint8_t to = partners[i];
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
            .stood = stand,
            .credit = stand ? davy_mono_sub(restarted, from->started.mono) : (davy_span){0},
            .crossed = from->crossed,
        };
    }
}

/* The evidence of before a restart, as it was told last; over a reload the old engine knows it better. */
static void restore_evidence(struct alarm *alarm, const struct davy_alarm_memory *memory)
{
    alarm->has_value = memory->has_value;
    alarm->value = memory->value;
    alarm->quality = memory->quality;
    alarm->reason = memory->reason;
    if (alarm->window) { /* told of the limit that showed */
        alarm->window->last.upper = memory->value;
        alarm->window->measured = memory->has_value;
    }
}

static void restore_occurrence(const struct davy_engine *engine, struct alarm *alarm,
                               const struct davy_alarm_memory *memory)
{
    alarm->remembered = true;
    alarm->ill = memory->unwell && alarm->vote && alarm->subject.point != DAVY_NONE;
    alarm->id = memory->id;
    alarm->count = memory->count;
    alarm->state = memory->state;
    alarm->acknowledged = memory->acknowledged;
    alarm->raised = memory->raised;
    alarm->shown_level = memory->level;
    alarm->shown_limit = davy_engine_shown_after(engine, alarm, memory);
    if (alarm->vote && alarm->subject.point == DAVY_NONE && memory->value >= 0 && memory->value <= alarm->vote->count)
        alarm->vote->votes[alarm->shown_limit] = (unsigned)memory->value;
    alarm->steps_done = memory->steps_done;
    alarm->floor = memory->floor;
    alarm->out_of_service = memory->out_of_service;
    alarm->shelved = memory->shelved_until.mono.ns != 0;
    alarm->shelved_until = memory->shelved_until;
    alarm->shelved_level = memory->shelved_level;
    if (memory->by[0] || memory->note[0])
        davy_engine_remark(alarm, memory->by, memory->note);
}

/*
 * Over a restart the answer goes on; a going true has run on meanwhile, a going false stands still until the next good
 * reading. Without `when` now, or where it asks something else, the rule applies.
 */
static void restore_gate(const struct davy_engine *engine, struct alarm *alarm, const struct davy_alarm_memory *memory,
                         davy_mono restarted)
{
    struct gate *gate = &alarm->gate;
    const uint64_t question = davy_engine_gate_question(engine->options.config, gate);
    const bool asks = davy_engine_gate_asks(engine->options.config, gate) &&
                      (memory->when_asks == 0 || memory->when_asks == question);
    gate->closed = asks && memory->when_false;
    gate->flipped = alarm->state == DAVY_STATE_SUPPRESSED && !gate->closed;
    if (!asks || memory->when_since.mono.ns == 0)
        return;
    gate->since = memory->when_since.mono;
    gate->pending = gate->closed;
    if (!gate->closed)
        gate->credit = davy_mono_sub(restarted, gate->since);
}

static void restore_read(struct alarm *alarm, const struct davy_alarm_memory *memory)
{
    if (!alarm->window || !memory->has_read)
        return;
    alarm->window->has_read = alarm->window->waits = true;
    alarm->window->read_value = memory->read_value;
    alarm->window->read_at = memory->read_at;
}

/* A fault whose delay was running has been failing since then; a point that was inhibited still is. */
static void restore_tracker(struct davy_engine *engine, const struct alarm *alarm,
                            const struct davy_alarm_memory *memory, bool over_restart)
{
    const struct davy_subject *subject = &alarm->subject;
    if (subject->kind == DAVY_ALARM_CHATTER && alarm->states[0].condition)
        engine->chattered_at = alarm->states[0].started;
    if (subject->kind != DAVY_ALARM_FAULT)
        return;
    if (subject->point != DAVY_NONE)
        davy_engine_set_inhibited(engine, subject->point, memory->unwell);
    if (!over_restart)
        return; /* a reload carries the trackers themselves, of a failure below another one too */
    struct tracker *tracker = subject->point != DAVY_NONE    ? point_tracker(engine, subject->point)
                              : subject->device != DAVY_NONE ? device_tracker(engine, subject->device)
                                                             : bus_tracker(engine, subject->bus);
    tracker->failing = alarm->states[0].condition || alarm->states[0].timer == DAVY_TIMER_ON;
    tracker->since = alarm->states[0].started;
}

static void count_active(struct davy_engine *engine, const struct alarm *alarm)
{
    uint32_t zone = davy_subject_zone(engine->options.config, &alarm->subject);
    if (alarm->subject.kind == DAVY_ALARM_RULE && !is_member(engine, alarm) && alarm->true_level != DAVY_LEVEL_NONE)
        engine->zone_active[zone == DAVY_NONE ? engine->options.config->zone_count : zone]++;
}

static bool was_tripped(const struct davy_alarm_memory *memory)
{
    for (size_t i = 0; i < memory->limit_count && i < DAVY_LIMITS_MAX; i++)
        if (memory->limits[i].tripped || memory->limits[i].held)
            return true;
    return false;
}

/* Whether an occurrence with this memory can go on in this alarm: something is tripped, or nothing was. */
static bool goes_on(const struct alarm *alarm, const struct davy_alarm_memory *memory)
{
    if (alarm->level != DAVY_LEVEL_NONE || alarm->state == DAVY_STATE_NORMAL)
        return true;
    return (alarm->state == DAVY_STATE_RETURNED || alarm->state == DAVY_STATE_SUPPRESSED) && !was_tripped(memory);
}

/*
 * The levels that the memory stands for, under the limits of its time: what differs now is told by the next settle().
 */
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
    if (alarm->level != DAVY_LEVEL_NONE && memory->floor > alarm->level)
        alarm->level = memory->floor;
}

/*
 * A rule that was no vote and is one now, or the reverse, has the same keys: the conditions of a member are no
 * occurrence, and an occurrence cannot go on in a member. Returns whether that was so: nothing of it is a level then.
 */
static bool drop_foreign(struct davy_engine *engine, struct alarm *alarm)
{
    bool member = is_member(engine, alarm), occurs = shown_state(alarm) != DAVY_STATE_NORMAL;
    if (alarm->subject.kind != DAVY_ALARM_RULE || member != occurs)
        return false;
    for (uint8_t i = 0; i < alarm->limit_count; i++)
        alarm->states[i].condition = alarm->states[i].held = false;
    return true;
}

bool davy_engine_take_up(struct davy_engine *engine, uint32_t index, const struct davy_alarm_memory *memory,
                         davy_mono restarted)
{
    struct alarm *alarm = &engine->alarms[index];
    restore_occurrence(engine, alarm, memory);
    if (restarted.ns != INT64_MAX)
        restore_evidence(alarm, memory);
    restore_limits(engine, alarm, memory, restarted);
    bool foreign = drop_foreign(engine, alarm);
    davy_engine_measure_levels(alarm);
    bool goes = !(foreign && is_member(engine, alarm)) && goes_on(alarm, memory);
    if (goes && !foreign)
        restore_levels(alarm, memory);
    if (restarted.ns != INT64_MAX) {
        restore_gate(engine, alarm, memory, restarted);
        restore_read(alarm, memory);
    }
    restore_tracker(engine, alarm, memory, restarted.ns != INT64_MAX);
    count_active(engine, alarm);
    davy_engine_touch(engine, index);
    return goes;
}

/* What fell due while it was down is left to the start, which fires all alarms in order of their due times. */
static bool waits_for_start(struct davy_engine *engine, uint32_t index, davy_mono now)
{
    bool alone = engine->changed_count == 1 && engine->changed[0] == index;
    if (!alone || is_member(engine, &engine->alarms[index]))
        return false;
    davy_engine_set_timer(engine, index);
    if (engine->timers.due[index].ns > now.ns)
        return false;
    engine->changed_count = 0;
    engine->alarms[index].queued = false;
    return true;
}

void davy_engine_restore(struct davy_engine *engine, const struct davy_alarm_memory *memory, struct davy_stamp now)
{
    uint32_t index = davy_engine_find_key(engine, memory->key);
    if (index == DAVY_NONE || !davy_engine_at_rest(&engine->alarms[index]))
        return;
    struct alarm *alarm = &engine->alarms[index];
    engine->started = now.mono;
    if (!davy_engine_take_up(engine, index, memory, now.mono)) {
        alarm->gone = is_member(engine, alarm);
        davy_engine_transition(engine, alarm, DAVY_INPUT_RETIRE, now, NULL, 0);
        davy_engine_tell_memory(engine, alarm);
    }
    if (!waits_for_start(engine, index, now.mono))
        davy_engine_settle(engine, now);
}

void davy_engine_tell_all(struct davy_engine *engine)
{
    for (uint32_t i = 0; i < engine->alarm_count + engine->member_count; i++)
        if (engine->alarms[i].untold || !davy_engine_at_rest(&engine->alarms[i]))
            davy_engine_tell_memory(engine, &engine->alarms[i]);
}

void davy_engine_tell_untold(struct davy_engine *engine)
{
    for (uint32_t i = 0; i < engine->alarm_count + engine->member_count; i++)
        if (engine->alarms[i].untold)
            davy_engine_tell_memory(engine, &engine->alarms[i]);
}

bool davy_engine_knows(const struct davy_engine *engine, const char *key)
{
    return davy_engine_find_key(engine, key) != DAVY_NONE;
}
