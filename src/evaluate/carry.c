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

/* Limits are the same when level and kind of condition are, else in order. DAVY_LIMITS_MAX: the limit is gone. */
static void match_limits(const struct davy_engine *engine, const struct alarm *alarm,
                         const struct davy_alarm_memory *memory, uint8_t partners[DAVY_LIMITS_MAX])
{
    struct davy_alarm_memory to;
    davy_engine_memory_of(engine, alarm, &to);
    struct match match = {.from = memory, .to = &to, .partners = partners};
    memset(partners, DAVY_LIMITS_MAX, DAVY_LIMITS_MAX);
    pair_limits(&match, same_kind);
    pair_limits(&match, same_bound);
}

static void restore_limits(const struct davy_engine *engine, struct alarm *alarm,
                           const struct davy_alarm_memory *memory, davy_mono restarted)
{
    uint8_t partners[DAVY_LIMITS_MAX];
    match_limits(engine, alarm, memory, partners);
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

/* The evidence of before a restart, as it was told last; over a reload carry_history() knows it better. */
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

static void restore_occurrence(struct alarm *alarm, const struct davy_alarm_memory *memory)
{
    alarm->remembered = true;
    alarm->ill = memory->unwell && alarm->vote && alarm->subject.point != DAVY_NONE;
    alarm->id = memory->id;
    alarm->count = memory->count;
    alarm->state = memory->state;
    alarm->acknowledged = memory->acknowledged;
    alarm->raised = memory->raised;
    alarm->shown_level = memory->level;
    alarm->shown_limit = memory->last_limit < alarm->limit_count ? memory->last_limit : 0;
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
 * reading. Without `when` now, the rule applies.
 */
static void restore_gate(const struct davy_engine *engine, struct alarm *alarm, const struct davy_alarm_memory *memory,
                         davy_mono restarted)
{
    struct gate *gate = &alarm->gate;
    const bool asks = davy_engine_gate_asks(engine->options.config, gate);
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

/* Whether an occurrence with this memory can go on in this alarm: something is tripped, or it only waits for an ack. */
static bool goes_on(const struct alarm *alarm)
{
    return alarm->level != DAVY_LEVEL_NONE || alarm->state == DAVY_STATE_RETURNED ||
           alarm->state == DAVY_STATE_SUPPRESSED || alarm->state == DAVY_STATE_NORMAL;
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
    if (alarm->level != DAVY_LEVEL_NONE && memory->floor > alarm->level)
        alarm->level = memory->floor;
}

/*
 * A rule that was no vote and is one now, or the reverse, has the same keys: the conditions of a member are no
 * occurrence, and an occurrence cannot go on in a member. Returns whether that was so: nothing of it is a level then.
 */
static bool drop_foreign(struct davy_engine *engine, struct alarm *alarm)
{
    bool member = is_member(engine, alarm), occurs = alarm->state != DAVY_STATE_NORMAL;
    if (alarm->subject.kind != DAVY_ALARM_RULE || member != occurs)
        return false;
    for (uint8_t i = 0; i < alarm->limit_count; i++)
        alarm->states[i].condition = alarm->states[i].held = false;
    return true;
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
    if (restarted.ns != INT64_MAX)
        restore_evidence(alarm, memory);
    restore_limits(engine, alarm, memory, restarted);
    bool foreign = drop_foreign(engine, alarm);
    davy_engine_measure_levels(alarm);
    if (!goes_on(alarm))
        return false;
    if (!foreign)
        restore_levels(alarm, memory);
    if (restarted.ns != INT64_MAX) {
        restore_gate(engine, alarm, memory, restarted);
        restore_read(alarm, memory);
    }
    restore_tracker(engine, alarm, memory, restarted.ns != INT64_MAX);
    count_active(engine, alarm);
    davy_engine_touch(engine, index);
    return true;
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
    uint32_t index = find_by_key(engine, memory->key);
    if (index == DAVY_NONE || !davy_engine_at_rest(&engine->alarms[index]))
        return;
    struct alarm *alarm = &engine->alarms[index];
    engine->started = now.mono;
    if (!restore(engine, index, memory, now.mono)) {
        davy_engine_transition(engine, alarm, DAVY_INPUT_RETIRE, now, NULL, 0);
        davy_engine_tell_memory(engine, alarm);
    }
    if (!waits_for_start(engine, index, now.mono))
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
    uint8_t shown = from->shown_limit;
    if (shown < to->limit_count && to->limits[shown].upper == from->limits[shown].upper)
        to->shown_limit = shown;  /* its bound is what the value is told of */
    if (from->vote && to->vote) { /* counted again where the rule applies */
        memcpy(to->vote->votes, from->vote->votes, sizeof to->vote->votes);
        memcpy(to->vote->needed, from->vote->needed, sizeof to->vote->needed);
    }
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
    alarm->gone = !to;
    if (to) {
        if (is_member(new, to)) /* else nothing is tripped, and what runs goes on */
            memset(to->states, 0, sizeof *to->states * to->limit_count);
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

/* Of `outside`, the bound that was crossed stays the lower or the upper one, wherever a reload has moved it. */
static void carry_bounds(const struct alarm *from, struct davy_engine *new, struct alarm *to,
                         const struct davy_alarm_memory *memory)
{
    uint8_t partners[DAVY_LIMITS_MAX];
    match_limits(new, to, memory, partners);
    for (uint8_t i = 0; i < from->limit_count; i++) {
        const struct davy_limit *was = &from->limits[i];
        const struct davy_limit *is = partners[i] == DAVY_LIMITS_MAX ? was : &to->limits[partners[i]];
        if (is == was || was->condition != DAVY_CONDITION_OUTSIDE || is->condition != DAVY_CONDITION_OUTSIDE)
            continue;
        bool upper = davy_engine_bound_of(from, i) >= was->b;
        to->states[partners[i]].crossed = upper ? is->b : is->a;
    }
}

/* Alarms go on under the new configuration; those that have no place there end, told under the old one. */
static void carry_alarms(struct davy_engine *old, struct davy_engine *new, struct davy_stamp now)
{
    for (uint32_t i = 0; i < old->alarm_count + old->member_count; i++) {
        struct alarm *alarm = &old->alarms[i];
        struct davy_alarm_memory memory;
        davy_engine_memory_of(old, alarm, &memory);
        uint32_t index = find_by_key(new, memory.key);
        struct alarm *to = index == DAVY_NONE ? NULL : &new->alarms[index];
        if (to)
            carry_history(old, alarm, new, to);
        bool rests = davy_engine_at_rest(alarm);
        bool goes = to && (rests || restore(new, index, &memory, DAVY_MONO_NEVER));
        if (!goes && !rests)
            retire(old, alarm, new, to, now);
        if (goes)
            carry_bounds(alarm, new, to, &memory);
        if (goes && !is_member(new, to))
            davy_engine_carry_gate(old, alarm, new, to, now.mono);
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

static void judge_vote(struct davy_engine *old, struct davy_engine *new, struct alarm *group, struct davy_stamp now)
{
    unsigned changed = changed_limits(old, new, group);
    for (uint32_t i = group->vote->first_member; i < group->vote->first_member + group->vote->count; i++) {
        unsigned limits = changed_limits(old, new, &new->alarms[i]);
        if (limits && davy_engine_feed_limits(new, &new->alarms[i], limits, now))
            davy_engine_touch(new, i);
        changed |= limits;
    }
    davy_engine_count_votes(new, group->vote, changed, DAVY_FEED_RAISE, now.mono);
}

static void judge_rule(struct davy_engine *old, struct davy_engine *new, uint32_t index, struct davy_stamp now)
{
    struct alarm *alarm = &new->alarms[index];
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
