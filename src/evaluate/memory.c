/* SPDX-License-Identifier: Apache-2.0 */
/* What of an alarm survives a restart, and when that is told. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "evaluate/internal.h"

void davy_engine_remark(struct alarm *alarm, const char *by, const char *note)
{
    if (!alarm->remark)
        alarm->remark = calloc(1, sizeof *alarm->remark);
    if (!alarm->remark)
        return; /* the ledger has it all the same */
    snprintf(alarm->remark->by, sizeof alarm->remark->by, "%s", by);
    snprintf(alarm->remark->note, sizeof alarm->remark->note, "%s", note);
}

/*
 * A member of a vote that is bad or inhibited counts otherwise than one that was not read yet; an inhibit of a point
 * stays until the point says otherwise, also over a restart.
 */
static bool is_well(const struct alarm *alarm)
{
    return !alarm->inhibited && !alarm->ill;
}

static struct davy_stamp when_since(const struct gate *gate)
{
    return (struct davy_stamp){.mono = gate->pending ? gate->since : (davy_mono){0}};
}

/* The limits of a vote count votes; what they are in the file tells after a reload which is which. */
static const struct davy_limit *file_limits(const struct davy_engine *engine, const struct alarm *alarm)
{
    bool group = alarm->subject.kind == DAVY_ALARM_RULE && alarm->vote && !is_member(engine, alarm);
    return group ? davy_rule_limits(rule_of(engine, alarm), 0) : alarm->limits;
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
        .raised = alarm->raised,
        .last_limit = alarm->shown_limit,
        .quality = alarm->quality,
        .reason = alarm->reason,
        .steps_done = alarm->steps_done,
        .floor = alarm->floor,
        .when_false = alarm->gate.closed,
        .when_since = when_since(&alarm->gate),
        .when_asks = davy_engine_gate_question(engine->options.config, &alarm->gate),
        .out_of_service = alarm->out_of_service,
        .shelved_level = alarm->shelved_level,
        .unwell = !is_well(alarm),
        .limit_count = alarm->limit_count,
    };
    ret_memory->has_value = davy_engine_value_of(alarm, alarm->shown_limit, &ret_memory->value);
    if (alarm->window && davy_engine_is_exposure(engine, alarm)) {
        ret_memory->has_read = alarm->window->has_read;
        ret_memory->read_value = alarm->window->read_value;
        ret_memory->read_at = alarm->window->read_at;
    }
    if (alarm->shelved)
        ret_memory->shelved_until = alarm->shelved_until;
    if (alarm->remark) {
        memcpy(ret_memory->by, alarm->remark->by, sizeof ret_memory->by);
        memcpy(ret_memory->note, alarm->remark->note, sizeof ret_memory->note);
    }
    davy_subject_key(engine->options.config, &alarm->subject, ret_memory->key);
    const struct davy_limit *limits = file_limits(engine, alarm);
    for (uint8_t i = 0; i < alarm->limit_count; i++) {
        const struct davy_limit_state *state = &alarm->states[i];
        ret_memory->limits[i] = (struct davy_limit_memory){
            .level = limits[i].level,
            .condition = limits[i].condition,
            .upper = limits[i].upper,
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
 * A fault that is not raised, below something that fails as well, is not worth remembering: the delay above it is, and
 * with each hiccup of a line thousands begin and end.
 */
static bool worth_telling(struct davy_engine *engine, const struct alarm *alarm)
{
    const struct davy_subject *subject = &alarm->subject;
    if (subject->kind != DAVY_ALARM_FAULT || alarm->state != DAVY_STATE_NORMAL || alarm->remembered || alarm->inhibited)
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
    const struct gate *gate = &alarm->gate;
    return alarm->state == DAVY_STATE_NORMAL && !alarm->shelved && !alarm->out_of_service && !gate->closed &&
           !gate->pending && is_well(alarm);
}
