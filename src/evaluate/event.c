/* SPDX-License-Identifier: Apache-2.0 */
/* One transition of the table, and the event that tells of it. */
#include <string.h>

#include "evaluate/internal.h"

uint32_t *davy_engine_zone_count(struct davy_engine *engine, const struct alarm *alarm)
{
    uint32_t zone = davy_subject_zone(engine->options.config, &alarm->subject);
    return &engine->zone_active[zone == DAVY_NONE ? engine->options.config->zone_count : zone];
}

bool davy_engine_value_of(const struct alarm *alarm, uint8_t limit, double *ret_value)
{
    bool group = alarm->vote && alarm->subject.point == DAVY_NONE;
    bool upper = alarm->window && alarm->limits[limit].upper;
    *ret_value = group ? alarm->vote->votes[limit] : upper ? alarm->window->last.upper : alarm->value;
    return upper ? alarm->window->measured : alarm->has_value;
}

double davy_engine_bound_of(const struct alarm *alarm, uint8_t limit)
{
    const struct davy_limit *of = &alarm->limits[limit];
    double crossed = alarm->states[limit].crossed;
    if (of->condition == DAVY_CONDITION_VOTE)
        return crossed;
    bool upper = of->condition == DAVY_CONDITION_OUTSIDE && crossed > of->a / 2 + of->b / 2;
    return upper ? of->b : of->a;
}

/* Of a forecast: how long its line needs to trip the limit; below 0: it does not get there, or is no forecast. */
static davy_span time_to_limit(const struct davy_engine *engine, const struct alarm *alarm)
{
    const davy_span unknown = {-1};
    const struct davy_rule *rule = rule_of(engine, alarm);
    if (!rule || rule->measure != DAVY_MEASURE_FORECAST || !alarm->window)
        return unknown;
    const struct davy_measured *last = &alarm->window->last;
    const struct davy_limit *limit = &alarm->limits[alarm->shown_limit];
    double bound = davy_engine_bound_of(alarm, alarm->shown_limit), seconds = (bound - last->level) / last->slope;
    bool upper = limit->condition == DAVY_CONDITION_ABOVE ||
                 (limit->condition == DAVY_CONDITION_OUTSIDE && bound > limit->a / 2 + limit->b / 2);
    bool towards = upper ? last->slope > 0 : last->slope < 0;
    if (!towards || !(seconds >= 0) || seconds > 1e9)
        return unknown;
    return (davy_span){(int64_t)(seconds * (double)DAVY_NS_PER_S)};
}

/* The facts of the event that do not depend on the transition. */
static struct davy_event describe(const struct davy_engine *engine, const struct alarm *alarm, struct davy_stamp at,
                                  const struct davy_command *command)
{
    const struct davy_limit *limit = &alarm->limits[alarm->shown_limit];
    bool of_rule = alarm->subject.kind == DAVY_ALARM_RULE;
    struct davy_event event = {
        .subject = alarm->subject,
        .at = at,
        .has_limit = of_rule,
        .limit = of_rule ? davy_engine_bound_of(alarm, alarm->shown_limit) : 0,
        .condition = limit->condition,
        .limit_index = alarm->shown_limit,
        .quality = alarm->quality,
        .reason = alarm->reason,
        .active = alarm->true_level != DAVY_LEVEL_NONE,
        .latched = alarm->held,
        .uncertain = alarm->uncertain,
        .time_to_limit = time_to_limit(engine, alarm),
        .decided_after = {-1},
    };
    event.has_value = davy_engine_value_of(alarm, alarm->shown_limit, &event.value);
    if (command) {
        memcpy(event.by, command->by, sizeof event.by);
        memcpy(event.note, command->note, sizeof event.note);
    } else if (alarm->subject.kind == DAVY_ALARM_CHATTER && alarm->remark) {
        memcpy(event.note, alarm->remark->note, sizeof event.note); /* which alarm chatters */
    } else if (engine->why && alarm->subject.kind == engine->why_kind) {
        snprintf(event.note, sizeof event.note, "%s", engine->why);
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
    alarm->raised = at;
    alarm->steps_done = 0;
    alarm->shown_level = DAVY_LEVEL_NONE;
    if (alarm->shelved && alarm->shelved_level == DAVY_LEVEL_NONE)
        alarm->shelved_level = alarm->level;
}

static void take_acknowledgement(struct alarm *alarm, const struct davy_alarm_cell *cell)
{
    bool needed = alarm->limits[alarm->shown_limit].acknowledge;
    if (cell->ack == DAVY_ACK_SET)
        alarm->acknowledged = true;
    else if (cell->ack == DAVY_ACK_CLEAR)
        alarm->acknowledged = !needed;
    if (cell->next != DAVY_STATE_STAYS)
        alarm->state = cell->next;
    if (alarm->state == DAVY_STATE_UNACKNOWLEDGED && alarm->acknowledged)
        alarm->state = DAVY_STATE_ACKNOWLEDGED;
}

static void take_cover(struct alarm *alarm, enum davy_event_type event)
{
    if (event == DAVY_EVENT_OUT_OF_SERVICE || event == DAVY_EVENT_IN_SERVICE)
        alarm->out_of_service = event == DAVY_EVENT_OUT_OF_SERVICE;
    if (event == DAVY_EVENT_SHELVED || event == DAVY_EVENT_UNSHELVED)
        alarm->shelved = event == DAVY_EVENT_SHELVED;
    if (event == DAVY_EVENT_RETIRED && alarm->gone)
        alarm->shelved = alarm->out_of_service = false; /* else the alarm lives on, under its cover */
}

/* Nobody has it any more, and nobody hides it. */
static void forget_person(struct alarm *alarm)
{
    bool person = alarm->remark && alarm->subject.kind != DAVY_ALARM_CHATTER;
    if (person && !alarm->shelved && !alarm->out_of_service)
        *alarm->remark = (struct remark){.by = ""};
}

void davy_engine_forget_occurrence(struct alarm *alarm)
{
    alarm->id = (struct davy_uuid){{0}};
    alarm->count = 0;
    alarm->acknowledged = false;
    alarm->steps_done = 0;
    alarm->floor = DAVY_LEVEL_NONE;
    alarm->shown_level = DAVY_LEVEL_NONE;
    forget_person(alarm);
}

/* A state that does not fit its limits is our bug; where it trips, it must not be a silent one. */
static const struct davy_alarm_cell *cell_of(const struct alarm *alarm, enum davy_alarm_input input)
{
    static const struct davy_alarm_cell raise = {DAVY_CELL_DO, DAVY_STATE_UNACKNOWLEDGED, DAVY_EVENT_RAISED,
                                                 DAVY_ACK_CLEAR, NULL};
    const struct davy_alarm_cell *cell = davy_alarm_step(alarm->state, alarm->shelved, alarm->out_of_service, input);
    if (cell->kind != DAVY_CELL_DO && alarm->true_level != DAVY_LEVEL_NONE && input <= DAVY_INPUT_AGAIN)
        return &raise;
    return cell;
}

/* A raise counts for first-out, for rules of `occurrences`, for flood and chatter. */
static void tell_of_raise(struct davy_engine *engine, struct alarm *alarm, struct davy_stamp at)
{
    if (alarm->subject.kind != DAVY_ALARM_RULE)
        return;
    davy_engine_watch_raise(engine, alarm, at.mono);
    if (!alarm->vote)
        davy_engine_count_raise(engine, alarm, at);
}

/*
 * A suppressed occurrence keeps its level, whatever latches hold and a reload makes of them; the ladder may raise it.
 */
static void show_level(struct alarm *alarm, enum davy_event_type event)
{
    bool keeps = alarm->state == DAVY_STATE_SUPPRESSED;
    enum davy_level level = keeps && event != DAVY_EVENT_SUPPRESSED ? alarm->floor : alarm->level;
    if (davy_uuid_is_nil(&alarm->id) || event == DAVY_EVENT_RETIRED || level == DAVY_LEVEL_NONE)
        return;
    if (!keeps || level > alarm->shown_level)
        alarm->shown_level = level;
}

void davy_engine_transition(struct davy_engine *engine, struct alarm *alarm, enum davy_alarm_input input,
                            struct davy_stamp at, const struct davy_command *command, uint8_t step)
{
    const struct davy_alarm_cell *cell = cell_of(alarm, input);
    if (cell->kind != DAVY_CELL_DO)
        return;
    struct davy_event event = describe(engine, alarm, at, command);
    event.type = cell->event;
    event.step = step;
    event.previous_state = shown_state(alarm);
    if (cell->event == DAVY_EVENT_RAISED) {
        count_raise(engine, alarm, at);
        event.first_out = alarm->subject.kind == DAVY_ALARM_RULE && *davy_engine_zone_count(engine, alarm) == 0;
    }
    if (cell->event == DAVY_EVENT_RETIRED)
        event.active = event.latched = event.uncertain = false;
    take_acknowledgement(alarm, cell);
    take_cover(alarm, cell->event);
    if (cell->ack == DAVY_ACK_CLEAR || cell->event == DAVY_EVENT_UNSHELVED || cell->event == DAVY_EVENT_IN_SERVICE)
        forget_person(alarm);
    event.previous_level = alarm->shown_level;
    show_level(alarm, cell->event);
    event.id = alarm->id;
    event.count = alarm->count;
    event.raised_at = davy_uuid_is_nil(&alarm->id) ? (davy_wall){0} : alarm->raised.wall;
    event.level = alarm->shown_level;
    event.state = shown_state(alarm);
    event.acknowledged = alarm->acknowledged;
    event.has_limit = event.has_limit && event.level != DAVY_LEVEL_NONE;
    event.ends = event.state == DAVY_STATE_NORMAL;
    if (alarm->vote && !is_member(engine, alarm))
        event.members = davy_engine_members(engine, alarm->vote, alarm->shown_limit);
    if (alarm->state == DAVY_STATE_NORMAL)
        davy_engine_forget_occurrence(alarm);
    engine->options.event(engine->options.context, &event);
    davy_members_unref(event.members);
    if (cell->event == DAVY_EVENT_RAISED)
        tell_of_raise(engine, alarm, at);
}
