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

static void release_latches(struct alarm *alarm)
{
    for (uint8_t i = 0; i < alarm->limit_count; i++)
        alarm->states[i].held = false;
    davy_engine_measure_levels(alarm);
}

/* The input of the table that the command would be; COUNT_ for a reset with nothing to release. */
static enum davy_alarm_input input_of_command(const struct alarm *alarm, enum davy_command_verb verb)
{
    bool active = alarm->true_level != DAVY_LEVEL_NONE;
    switch (verb) {
    case DAVY_COMMAND_ACK:
        return DAVY_INPUT_ACK;
    case DAVY_COMMAND_RESET:
        if (!active)
            return DAVY_INPUT_RESET;
        return davy_engine_any_held(alarm) ? DAVY_INPUT_RESET_REST : DAVY_INPUT_COUNT_;
    case DAVY_COMMAND_SHELVE:
        return DAVY_INPUT_SHELVE;
    case DAVY_COMMAND_UNSHELVE:
        return active ? DAVY_INPUT_UNSHELVE_ACTIVE : DAVY_INPUT_UNSHELVE;
    case DAVY_COMMAND_OUT_OF_SERVICE:
        return DAVY_INPUT_TAKE_OUT;
    case DAVY_COMMAND_IN_SERVICE:
        return active ? DAVY_INPUT_PUT_BACK_ACTIVE : DAVY_INPUT_PUT_BACK;
    case DAVY_COMMAND_COUNT_:
        break;
    }
    return DAVY_INPUT_COUNT_;
}

/* Why a reset has nothing to release, though the value may look calm. */
static void say_not_yet(const struct davy_engine *engine, const struct alarm *alarm, davy_mono now, char *reason,
                        size_t size)
{
    const struct davy_reading *newest =
        alarm->subject.point == DAVY_NONE ? NULL : davy_engine_newest(engine, alarm->subject.point);
    for (uint8_t i = 0; i < alarm->limit_count; i++) {
        davy_span left = davy_mono_sub(davy_limit_due(&alarm->limits[i], &alarm->states[i]), now);
        if (alarm->states[i].timer != DAVY_TIMER_OFF)
            continue;
        snprintf(reason, size, "not yet: the off-delay of %s has %lld s to go", davy_level_name(alarm->limits[i].level),
                 (long long)((left.ns + DAVY_NS_PER_S - 1) / DAVY_NS_PER_S));
        return;
    }
    if (newest && newest->quality != DAVY_QUALITY_GOOD)
        snprintf(reason, size, "not yet: the newest reading is %s (%s), which clears nothing",
                 davy_quality_name(newest->quality), davy_reason_name(newest->reason));
    else
        snprintf(reason, size, "the condition is still true: there is nothing to release");
}

/* Why the command is refused; NULL: it is not. */
static const char *refusal_of(const struct alarm *alarm, const struct davy_command *command,
                              enum davy_alarm_input input)
{
    const struct davy_alarm_cell *cell = davy_alarm_step(alarm->state, alarm->shelved, alarm->out_of_service, input);
    if (cell->kind != DAVY_CELL_DO)
        return cell->refusal ? cell->refusal : "makes no sense in this state";
    if (command->verb == DAVY_COMMAND_ACK && alarm->acknowledged)
        return "the alarm is acknowledged already";
    if (command->verb == DAVY_COMMAND_SHELVE || command->verb == DAVY_COMMAND_OUT_OF_SERVICE)
        return davy_engine_no_shelf(alarm, command);
    return NULL;
}

/* Whether the person has the alarm now, or hides it; who hides it is not forgotten for an acknowledgement below. */
static bool has_it(const struct alarm *alarm, enum davy_command_verb verb)
{
    bool covered = alarm->shelved || alarm->out_of_service;
    if (verb == DAVY_COMMAND_SHELVE || verb == DAVY_COMMAND_OUT_OF_SERVICE)
        return true;
    return verb == DAVY_COMMAND_ACK && !covered && alarm->state != DAVY_STATE_NORMAL;
}

static void do_command(struct davy_engine *engine, struct alarm *alarm, const struct davy_command *command,
                       enum davy_alarm_input input, struct davy_stamp now)
{
    if (command->verb == DAVY_COMMAND_RESET)
        release_latches(alarm);
    davy_engine_transition(engine, alarm, input, now, command, 0);
    if (command->verb == DAVY_COMMAND_SHELVE)
        davy_engine_shelve(alarm, command, now);
    if (has_it(alarm, command->verb))
        davy_engine_remark(alarm, command->by, command->note);
    davy_engine_touch(engine, index_of(engine, alarm));
    davy_engine_settle(engine, now);
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
    enum davy_alarm_input input = input_of_command(alarm, command->verb);
    if (input == DAVY_INPUT_COUNT_) {
        say_not_yet(engine, alarm, now.mono, reason, reason_size);
        return DAVY_REFUSED;
    }
    const char *why = refusal_of(alarm, command, input);
    if (why) {
        snprintf(reason, reason_size, "%s", why);
        return DAVY_REFUSED;
    }
    do_command(engine, alarm, command, input, now);
    if (ret_state)
        *ret_state = shown_state(alarm);
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
        .state = shown_state(alarm),
        .below = alarm->state,
        .shelved_until = alarm->shelved ? alarm->shelved_until.wall : (davy_wall){0},
        .out_of_service = alarm->out_of_service,
        .level = alarm->shown_level,
        .active = alarm->true_level != DAVY_LEVEL_NONE,
        .acknowledged = alarm->acknowledged,
        .latched = davy_engine_any_held(alarm),
        .raised_at = davy_uuid_is_nil(&alarm->id) ? (davy_wall){0} : alarm->raised.wall,
        .count = alarm->count,
        .has_limit = alarm->subject.kind == DAVY_ALARM_RULE && alarm->state != DAVY_STATE_NORMAL,
        .limit = davy_engine_bound_of(alarm, alarm->shown_limit),
        .condition = alarm->limits[alarm->shown_limit].condition,
        .limit_index = alarm->shown_limit,
        .quality = alarm->quality,
        .reason = alarm->reason,
    };
    ret_view->has_value = davy_engine_value_of(alarm, alarm->shown_limit, &ret_view->value);
    if (alarm->remark) {
        memcpy(ret_view->by, alarm->remark->by, sizeof ret_view->by);
        memcpy(ret_view->note, alarm->remark->note, sizeof ret_view->note);
    }
}

const struct davy_reading *davy_engine_newest(const struct davy_engine *engine, uint32_t point)
{
    return &engine->newest[point];
}

enum davy_level davy_engine_point_level(const struct davy_engine *engine, uint32_t point)
{
    enum davy_level highest = DAVY_LEVEL_NONE;
    for (uint32_t i = engine->point_first[point]; i < engine->point_first[point + 1]; i++) {
        const struct alarm *alarm = &engine->alarms[engine->point_alarms[i]];
        enum davy_level level = alarm->vote ? engine->alarms[alarm->vote->alarm].true_level : alarm->true_level;
        if (level > highest)
            highest = level;
    }
    return highest;
}

static bool votes(const struct alarm *member)
{
    for (uint8_t i = 0; i < member->limit_count; i++)
        if (member->states[i].condition)
            return true;
    return false;
}

/* Of a member: it votes, or its group is active. */
static bool is_in_alarm(const struct davy_engine *engine, const struct alarm *alarm)
{
    if (alarm->vote && (votes(alarm) || engine->alarms[alarm->vote->alarm].true_level != DAVY_LEVEL_NONE))
        return true;
    return alarm->true_level != DAVY_LEVEL_NONE;
}

static bool any_in_alarm(const struct davy_engine *engine, const uint32_t *first, const uint32_t *list, uint32_t point)
{
    for (uint32_t i = first[point]; i < first[point + 1]; i++)
        if (is_in_alarm(engine, &engine->alarms[list[i]]))
            return true;
    return false;
}

bool davy_engine_point_in_alarm(const struct davy_engine *engine, uint32_t point)
{
    return any_in_alarm(engine, engine->point_first, engine->point_alarms, point) ||
           any_in_alarm(engine, engine->gate_first, engine->gate_alarms, point) ||
           any_in_alarm(engine, engine->other_first, engine->other_alarms, point);
}

bool davy_engine_alarm_normal(const struct davy_engine *engine, size_t index)
{
    return shown_state(&engine->alarms[index]) == DAVY_STATE_NORMAL;
}
