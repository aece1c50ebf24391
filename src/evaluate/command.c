/* SPDX-License-Identifier: Apache-2.0 */
/* What a person asks of the alarms, and tells them. */
#include <stdio.h>
#include <string.h>

#include "evaluate/internal.h"

static uint32_t find_by_text(const struct davy_engine *engine, const char *text)
{
    struct davy_uuid id;
    bool by_id = davy_uuid_parse(text, &id) == 0 && !davy_uuid_is_nil(&id);
    for (uint32_t i = 0; i < engine->alarm_count; i++) {
        const struct alarm *alarm = &engine->alarms[i];
        char key[DAVY_KEY_SIZE];
        if (by_id ? memcmp(&alarm->id, &id, sizeof id) == 0
                  : strcmp(davy_subject_key(engine->options.config, &alarm->subject, key), text) == 0)
            return i;
    }
    return DAVY_NONE;
}

static bool refuse(char *reason, size_t size, const char *text)
{
    snprintf(reason, size, "%s", text);
    return false;
}

/* Whether the person saw what there is now. */
static bool seen_rightly(const struct alarm *alarm, const struct davy_command *command, char *reason, size_t size)
{
    if (!davy_uuid_is_nil(&command->id) && memcmp(&command->id, &alarm->id, sizeof alarm->id) != 0)
        return refuse(reason, size, "this occurrence is over: list the alarms again");
    if (command->level == DAVY_LEVEL_NONE || alarm->shown_level <= command->level)
        return true;
    snprintf(reason, size, "the alarm has risen from %s to %s since it was listed", davy_level_name(command->level),
             davy_level_name(alarm->shown_level));
    return false;
}

static bool any_held(const struct alarm *alarm)
{
    for (uint8_t i = 0; i < alarm->limit_count; i++)
        if (alarm->states[i].held)
            return true;
    return false;
}

static void release(struct alarm *alarm)
{
    for (uint8_t i = 0; i < alarm->limit_count; i++)
        alarm->states[i].held = false;
    davy_engine_measure_levels(alarm);
}

/* The input of the table that the command would be; COUNT_ for a reset with nothing to release. */
static enum davy_alarm_input input_of_command(const struct alarm *alarm, const struct davy_command *command)
{
    if (command->verb == DAVY_COMMAND_ACK)
        return DAVY_INPUT_ACK;
    if (alarm->true_level == DAVY_LEVEL_NONE)
        return DAVY_INPUT_RESET;
    return any_held(alarm) ? DAVY_INPUT_RESET_REST : DAVY_INPUT_COUNT_;
}

int davy_engine_command(struct davy_engine *engine, const struct davy_command *command, struct davy_stamp now,
                        enum davy_state *ret_state, char *reason, size_t reason_size)
{
    davy_engine_fire_due(engine, now, false);
    uint32_t index = find_by_text(engine, command->alarm);
    if (index == DAVY_NONE) {
        snprintf(reason, reason_size, "no such alarm: %s", command->alarm);
        return DAVY_REFUSED;
    }
    struct alarm *alarm = &engine->alarms[index];
    if (!seen_rightly(alarm, command, reason, reason_size))
        return DAVY_REFUSED;
    if (command->verb == DAVY_COMMAND_ACK && alarm->state == DAVY_STATE_LATCHED && alarm->acknowledged) {
        refuse(reason, reason_size, "the alarm is acknowledged already");
        return DAVY_REFUSED;
    }
    enum davy_alarm_input input = input_of_command(alarm, command);
    const struct davy_alarm_cell *cell = input == DAVY_INPUT_COUNT_ ? NULL : davy_alarm_cell(alarm->state, input);
    if (!cell || cell->kind != DAVY_CELL_DO) {
        refuse(reason, reason_size,
               cell && cell->refusal ? cell->refusal : "the condition is still true: there is nothing to release");
        return DAVY_REFUSED;
    }
    if (command->verb == DAVY_COMMAND_RESET)
        release(alarm);
    davy_engine_transition(engine, alarm, input, now, command);
    davy_engine_tell_memory(engine, alarm);
    if (ret_state)
        *ret_state = alarm->state;
    return 0;
}

size_t davy_engine_alarm_count(const struct davy_engine *engine)
{
    return engine->alarm_count;
}

void davy_engine_alarm(const struct davy_engine *engine, size_t index, struct davy_alarm_view *ret_view)
{
    const struct alarm *alarm = &engine->alarms[index];
    *ret_view = (struct davy_alarm_view){
        .subject = alarm->subject,
        .id = alarm->id,
        .state = alarm->state,
        .level = alarm->shown_level,
        .active = alarm->true_level != DAVY_LEVEL_NONE,
        .acknowledged = alarm->acknowledged,
        .latched = any_held(alarm),
        .raised_at = alarm->raised_at,
        .count = alarm->count,
        .has_value = alarm->has_value,
        .value = alarm->value,
        .has_limit = alarm->subject.kind == DAVY_ALARM_RULE && alarm->state != DAVY_STATE_NORMAL,
        .limit = alarm->states[alarm->shown_limit].crossed,
        .condition = alarm->limits[alarm->shown_limit].condition,
        .limit_index = alarm->shown_limit,
        .quality = alarm->quality,
        .reason = alarm->reason,
    };
}

const struct davy_reading *davy_engine_newest(const struct davy_engine *engine, uint32_t point)
{
    return &engine->newest[point];
}

enum davy_level davy_engine_point_level(const struct davy_engine *engine, uint32_t point)
{
    enum davy_level highest = DAVY_LEVEL_NONE;
    for (uint32_t i = engine->point_first[point]; i < engine->point_first[point + 1]; i++) {
        enum davy_level level = engine->alarms[engine->point_alarms[i]].true_level;
        if (level > highest)
            highest = level;
    }
    return highest;
}
