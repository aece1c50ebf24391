/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Covers: shelved, for a time, and out of service, without end. The alarm lives on below; only the state that the world
 * sees is the cover's (ARCHITECTURE.md, States of an alarm).
 */
#include "evaluate/internal.h"

/* A tripped limit that nobody may shelve. */
static bool any_unshelvable(const struct alarm *alarm)
{
    for (uint8_t i = 0; i < alarm->limit_count; i++)
        if (davy_limit_tripped(&alarm->states[i]) && !alarm->limits[i].shelvable)
            return true;
    return false;
}

bool davy_engine_breaks_shelf(const struct alarm *alarm, enum davy_level level)
{
    return any_unshelvable(alarm) || (alarm->shelved_level != DAVY_LEVEL_NONE && level > alarm->shelved_level);
}

void davy_engine_end_shelf(struct davy_engine *engine, struct alarm *alarm, struct davy_stamp at)
{
    bool active = alarm->true_level != DAVY_LEVEL_NONE;
    davy_engine_transition(engine, alarm, active ? DAVY_INPUT_UNSHELVE_ACTIVE : DAVY_INPUT_UNSHELVE, at, NULL, 0);
}

const char *davy_engine_no_shelf(const struct alarm *alarm, const struct davy_command *command)
{
    if (!command->note[0])
        return "a reason is needed";
    if (command->verb != DAVY_COMMAND_SHELVE)
        return NULL;
    if (command->duration.ns <= 0 || command->duration.ns > DAVY_SHELVE_MAX.ns)
        return "an alarm is shelved for 12h at most";
    return any_unshelvable(alarm) ? "a limit that is tripped may not be shelved" : NULL;
}

void davy_engine_shelve(struct alarm *alarm, const struct davy_command *command, struct davy_stamp now)
{
    alarm->shelved_level = alarm->shown_level;
    alarm->shelved_until.mono = davy_mono_add(now.mono, command->duration);
    alarm->shelved_until.wall.ns = now.wall.ns + command->duration.ns;
}
