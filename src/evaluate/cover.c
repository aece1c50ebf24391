/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Covers: shelved, for a time, and out of service, without end. The alarm lives on below; only the state that the world
 * sees is the cover's (ARCHITECTURE.md, States of an alarm).
 */
#include "evaluate/internal.h"

/* The highest level of a tripped limit that nobody may shelve; NONE. */
static enum davy_level unshelvable(const struct alarm *alarm)
{
    enum davy_level level = DAVY_LEVEL_NONE;
    for (uint8_t i = 0; i < alarm->limit_count; i++)
        if (davy_limit_tripped(&alarm->states[i]) && !alarm->limits[i].shelvable && alarm->limits[i].level > level)
            level = alarm->limits[i].level;
    return level;
}

bool davy_engine_breaks_shelf(const struct alarm *alarm, enum davy_level level)
{
    return unshelvable(alarm) != DAVY_LEVEL_NONE ||
           (alarm->shelved_level != DAVY_LEVEL_NONE && level > alarm->shelved_level);
}

void davy_engine_end_shelf(struct davy_engine *engine, struct alarm *alarm, struct davy_stamp at)
{
    bool active = alarm->true_level != DAVY_LEVEL_NONE;
    davy_engine_transition(engine, alarm, active ? DAVY_INPUT_UNSHELVE_ACTIVE : DAVY_INPUT_UNSHELVE, at, NULL, 0);
}

const char *davy_engine_no_shelf(const struct alarm *alarm, const struct davy_command *command)
{
    static const char *const tripped[] = {
        [DAVY_LEVEL_NONE] = NULL,
        [DAVY_LEVEL_BLUE] = "blue is tripped and may not be shelved (shelvable)",
        [DAVY_LEVEL_YELLOW] = "yellow is tripped and may not be shelved (shelvable)",
        [DAVY_LEVEL_ORANGE] = "orange is tripped and may not be shelved (shelvable)",
        [DAVY_LEVEL_RED] = "red is tripped and may not be shelved (shelvable)",
    };
    _Static_assert(DAVY_LENGTH(tripped) == DAVY_LEVEL_COUNT_, "a refusal for each level");
    if (!command->note[0])
        return "a reason is needed";
    if (command->verb != DAVY_COMMAND_SHELVE)
        return NULL;
    if (command->duration.ns <= 0 || command->duration.ns > DAVY_SHELVE_MAX.ns)
        return "an alarm is shelved for 12h at most";
    return tripped[unshelvable(alarm)];
}

void davy_engine_shelve(struct alarm *alarm, const struct davy_command *command, struct davy_stamp now)
{
    alarm->shelved_level = alarm->shown_level;
    alarm->shelved_until.mono = davy_mono_add(now.mono, command->duration);
    alarm->shelved_until.wall.ns = now.wall.ns + command->duration.ns;
}
