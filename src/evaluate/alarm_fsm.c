/* SPDX-License-Identifier: Apache-2.0 */
#include "evaluate/alarm_fsm.h"

#define DO(next, event, ack)                                                                                           \
    {                                                                                                                  \
        DAVY_CELL_DO, DAVY_STATE_##next, DAVY_EVENT_##event, DAVY_ACK_##ack, NULL                                      \
    }
#define REFUSE(why)                                                                                                    \
    {                                                                                                                  \
        DAVY_CELL_REFUSE, DAVY_STATE_NORMAL, DAVY_EVENT_RETIRED, DAVY_ACK_KEEP, why                                    \
    }

/* Cells that are not named are DAVY_CELL_BUG. Suppressed, shelved and out of service have no way in yet. */
static const struct davy_alarm_cell table[DAVY_STATE_COUNT_][DAVY_INPUT_COUNT_] =
    {
        [DAVY_STATE_NORMAL] =
            {
                [DAVY_INPUT_TRIP] = DO(UNACKNOWLEDGED, RAISED, CLEAR),
                [DAVY_INPUT_ACK] = REFUSE("the alarm is normal: there is nothing to acknowledge"),
                [DAVY_INPUT_RESET] = REFUSE("the alarm is normal: there is nothing to reset"),
                [DAVY_INPUT_RESET_REST] = REFUSE("the alarm is normal: there is nothing to reset"),
            },
        [DAVY_STATE_UNACKNOWLEDGED] =
            {
                [DAVY_INPUT_RISE] = DO(UNACKNOWLEDGED, ESCALATED, CLEAR),
                [DAVY_INPUT_AGAIN] = DO(UNACKNOWLEDGED, RAISED, CLEAR),
                [DAVY_INPUT_FALL] = DO(UNACKNOWLEDGED, LOWERED, KEEP),
                [DAVY_INPUT_RETURN] = DO(RETURNED, CLEARED, KEEP),
                [DAVY_INPUT_LATCH] = DO(LATCHED, LATCHED, KEEP),
                [DAVY_INPUT_ACK] = DO(ACKNOWLEDGED, ACKNOWLEDGED, SET),
                [DAVY_INPUT_RESET_REST] = DO(UNACKNOWLEDGED, RESET, CLEAR),
                [DAVY_INPUT_RETIRE] = DO(NORMAL, RETIRED, KEEP),
            },
        [DAVY_STATE_ACKNOWLEDGED] =
            {
                [DAVY_INPUT_RISE] = DO(UNACKNOWLEDGED, ESCALATED, CLEAR),
                [DAVY_INPUT_AGAIN] = DO(UNACKNOWLEDGED, RAISED, CLEAR),
                [DAVY_INPUT_FALL] = DO(ACKNOWLEDGED, LOWERED, KEEP),
                [DAVY_INPUT_RETURN] = DO(NORMAL, CLEARED, KEEP),
                [DAVY_INPUT_LATCH] = DO(LATCHED, LATCHED, KEEP),
                [DAVY_INPUT_ACK] = REFUSE("the alarm is acknowledged already"),
                [DAVY_INPUT_RESET_REST] = DO(UNACKNOWLEDGED, RESET, CLEAR),
                [DAVY_INPUT_RETIRE] = DO(NORMAL, RETIRED, KEEP),
            },
        [DAVY_STATE_RETURNED] =
            {
                [DAVY_INPUT_TRIP] = DO(UNACKNOWLEDGED, RAISED, CLEAR),
                [DAVY_INPUT_ACK] = DO(NORMAL, ACKNOWLEDGED, SET),
                [DAVY_INPUT_RESET] = REFUSE("no latch holds this alarm: acknowledge it"),
                [DAVY_INPUT_RESET_REST] = REFUSE("no latch holds this alarm: acknowledge it"),
                [DAVY_INPUT_RETIRE] = DO(NORMAL, RETIRED, KEEP),
            },
        [DAVY_STATE_LATCHED] =
            {
                [DAVY_INPUT_TRIP] = DO(UNACKNOWLEDGED, RAISED, CLEAR),
                [DAVY_INPUT_ACK] = DO(LATCHED, ACKNOWLEDGED, SET),
                [DAVY_INPUT_RESET] = DO(NORMAL, RESET, SET),
                [DAVY_INPUT_RETIRE] = DO(NORMAL, RETIRED, KEEP),
            },
};

static const char *const inputs[] = {
    [DAVY_INPUT_TRIP] = "trip",     [DAVY_INPUT_RISE] = "rise",     [DAVY_INPUT_AGAIN] = "again",
    [DAVY_INPUT_FALL] = "fall",     [DAVY_INPUT_RETURN] = "return", [DAVY_INPUT_LATCH] = "latch",
    [DAVY_INPUT_ACK] = "ack",       [DAVY_INPUT_RESET] = "reset",   [DAVY_INPUT_RESET_REST] = "reset-rest",
    [DAVY_INPUT_RETIRE] = "retire",
};
_Static_assert(DAVY_LENGTH(inputs) == DAVY_INPUT_COUNT_, "every input has a name");

const struct davy_alarm_cell *davy_alarm_cell(enum davy_state state, enum davy_alarm_input input)
{
    return &table[state][input];
}

const char *davy_alarm_input_name(enum davy_alarm_input input)
{
    return inputs[input];
}
