/* SPDX-License-Identifier: Apache-2.0 */
#include "evaluate/alarm_fsm.h"

/* clang-format off */
#define DO(next, event, ack) {DAVY_CELL_DO, DAVY_STATE_##next, DAVY_EVENT_##event, DAVY_ACK_##ack, NULL}
#define REFUSE(why)          {DAVY_CELL_REFUSE, DAVY_STATE_STAYS, DAVY_EVENT_COUNT_, DAVY_ACK_KEEP, why}
#define NEVER                {DAVY_CELL_NEVER, DAVY_STATE_STAYS, DAVY_EVENT_COUNT_, DAVY_ACK_KEEP, NULL}
#define BELOW                {DAVY_CELL_BELOW, DAVY_STATE_STAYS, DAVY_EVENT_COUNT_, DAVY_ACK_KEEP, NULL}

/* What is the same in every state that is not a cover. */
#define UNCOVERED                                                            \
    [DAVY_INPUT_SHELVE]          = DO(STAYS, SHELVED, KEEP),                 \
    [DAVY_INPUT_UNSHELVE]        = REFUSE("the alarm is not shelved"),       \
    [DAVY_INPUT_UNSHELVE_ACTIVE] = REFUSE("the alarm is not shelved"),       \
    [DAVY_INPUT_TAKE_OUT]        = DO(STAYS, OUT_OF_SERVICE, KEEP),          \
    [DAVY_INPUT_PUT_BACK]        = REFUSE("the alarm is in service"),        \
    [DAVY_INPUT_PUT_BACK_ACTIVE] = REFUSE("the alarm is in service")

/* What a cover leaves to the state below. */
#define COVER                             \
    [DAVY_INPUT_TRIP]            = BELOW, \
    [DAVY_INPUT_RISE]            = BELOW, \
    [DAVY_INPUT_AGAIN]           = BELOW, \
    [DAVY_INPUT_FALL]            = BELOW, \
    [DAVY_INPUT_RETURN]          = BELOW, \
    [DAVY_INPUT_LATCH]           = BELOW, \
    [DAVY_INPUT_ACK]             = BELOW, \
    [DAVY_INPUT_RESET]           = BELOW, \
    [DAVY_INPUT_RESET_REST]      = BELOW, \
    [DAVY_INPUT_SUPPRESS]        = BELOW, \
    [DAVY_INPUT_RELEASE]         = BELOW, \
    [DAVY_INPUT_RELEASE_SEEN]    = BELOW, \
    [DAVY_INPUT_RELEASE_LATCHED] = BELOW, \
    [DAVY_INPUT_OVERDUE]         = BELOW, \
    [DAVY_INPUT_OVERDUE_RISE]    = BELOW

static const struct davy_alarm_cell table[DAVY_STATE_COUNT_][DAVY_INPUT_COUNT_] = {
    [DAVY_STATE_NORMAL] = {
        [DAVY_INPUT_TRIP]            = DO(UNACKNOWLEDGED, RAISED, CLEAR),
        [DAVY_INPUT_RISE]            = NEVER,
        [DAVY_INPUT_AGAIN]           = NEVER,
        [DAVY_INPUT_FALL]            = NEVER,
        [DAVY_INPUT_RETURN]          = NEVER,
        [DAVY_INPUT_LATCH]           = NEVER,
        [DAVY_INPUT_ACK]             = REFUSE("the alarm is normal: there is nothing to acknowledge"),
        [DAVY_INPUT_RESET]           = REFUSE("the alarm is normal: there is nothing to reset"),
        [DAVY_INPUT_RESET_REST]      = REFUSE("the alarm is normal: there is nothing to reset"),
        [DAVY_INPUT_SUPPRESS]        = NEVER,
        [DAVY_INPUT_RELEASE]         = NEVER,
        [DAVY_INPUT_RELEASE_SEEN]    = NEVER,
        [DAVY_INPUT_RELEASE_LATCHED] = NEVER,
        [DAVY_INPUT_OVERDUE]         = NEVER,
        [DAVY_INPUT_OVERDUE_RISE]    = NEVER,
        [DAVY_INPUT_RETIRE]          = NEVER,
        UNCOVERED,
    },
    [DAVY_STATE_UNACKNOWLEDGED] = {
        [DAVY_INPUT_TRIP]            = NEVER,
        [DAVY_INPUT_RISE]            = DO(UNACKNOWLEDGED, ESCALATED, CLEAR),
        [DAVY_INPUT_AGAIN]           = DO(UNACKNOWLEDGED, RAISED, CLEAR),
        [DAVY_INPUT_FALL]            = DO(UNACKNOWLEDGED, LOWERED, KEEP),
        [DAVY_INPUT_RETURN]          = DO(RETURNED, CLEARED, KEEP),
        [DAVY_INPUT_LATCH]           = DO(LATCHED, LATCHED, KEEP),
        [DAVY_INPUT_ACK]             = DO(ACKNOWLEDGED, ACKNOWLEDGED, SET),
        [DAVY_INPUT_RESET]           = NEVER,
        [DAVY_INPUT_RESET_REST]      = DO(UNACKNOWLEDGED, RESET, CLEAR),
        [DAVY_INPUT_SUPPRESS]        = DO(SUPPRESSED, SUPPRESSED, KEEP),
        [DAVY_INPUT_RELEASE]         = NEVER,
        [DAVY_INPUT_RELEASE_SEEN]    = NEVER,
        [DAVY_INPUT_RELEASE_LATCHED] = NEVER,
        [DAVY_INPUT_OVERDUE]         = DO(STAYS, OVERDUE, KEEP),
        [DAVY_INPUT_OVERDUE_RISE]    = DO(UNACKNOWLEDGED, OVERDUE, CLEAR),
        [DAVY_INPUT_RETIRE]          = DO(NORMAL, RETIRED, KEEP),
        UNCOVERED,
    },
    [DAVY_STATE_ACKNOWLEDGED] = {
        [DAVY_INPUT_TRIP]            = NEVER,
        [DAVY_INPUT_RISE]            = DO(UNACKNOWLEDGED, ESCALATED, CLEAR),
        [DAVY_INPUT_AGAIN]           = DO(UNACKNOWLEDGED, RAISED, CLEAR),
        [DAVY_INPUT_FALL]            = DO(ACKNOWLEDGED, LOWERED, KEEP),
        [DAVY_INPUT_RETURN]          = DO(NORMAL, CLEARED, KEEP),
        [DAVY_INPUT_LATCH]           = DO(LATCHED, LATCHED, KEEP),
        [DAVY_INPUT_ACK]             = REFUSE("the alarm is acknowledged already"),
        [DAVY_INPUT_RESET]           = NEVER,
        [DAVY_INPUT_RESET_REST]      = DO(UNACKNOWLEDGED, RESET, CLEAR),
        [DAVY_INPUT_SUPPRESS]        = DO(SUPPRESSED, SUPPRESSED, KEEP),
        [DAVY_INPUT_RELEASE]         = NEVER,
        [DAVY_INPUT_RELEASE_SEEN]    = NEVER,
        [DAVY_INPUT_RELEASE_LATCHED] = NEVER,
        [DAVY_INPUT_OVERDUE]         = DO(STAYS, OVERDUE, KEEP),
        [DAVY_INPUT_OVERDUE_RISE]    = DO(UNACKNOWLEDGED, OVERDUE, CLEAR),
        [DAVY_INPUT_RETIRE]          = DO(NORMAL, RETIRED, KEEP),
        UNCOVERED,
    },
    [DAVY_STATE_RETURNED] = {
        [DAVY_INPUT_TRIP]            = DO(UNACKNOWLEDGED, RAISED, CLEAR),
        [DAVY_INPUT_RISE]            = NEVER,
        [DAVY_INPUT_AGAIN]           = NEVER,
        [DAVY_INPUT_FALL]            = NEVER,
        [DAVY_INPUT_RETURN]          = NEVER,
        [DAVY_INPUT_LATCH]           = NEVER,
        [DAVY_INPUT_ACK]             = DO(NORMAL, ACKNOWLEDGED, SET),
        [DAVY_INPUT_RESET]           = REFUSE("no latch holds this alarm: acknowledge it"),
        [DAVY_INPUT_RESET_REST]      = REFUSE("no latch holds this alarm: acknowledge it"),
        [DAVY_INPUT_SUPPRESS]        = DO(SUPPRESSED, SUPPRESSED, KEEP),
        [DAVY_INPUT_RELEASE]         = NEVER,
        [DAVY_INPUT_RELEASE_SEEN]    = NEVER,
        [DAVY_INPUT_RELEASE_LATCHED] = NEVER,
        [DAVY_INPUT_OVERDUE]         = DO(STAYS, OVERDUE, KEEP),
        [DAVY_INPUT_OVERDUE_RISE]    = NEVER,
        [DAVY_INPUT_RETIRE]          = DO(NORMAL, RETIRED, KEEP),
        UNCOVERED,
    },
    [DAVY_STATE_LATCHED] = {
        [DAVY_INPUT_TRIP]            = DO(UNACKNOWLEDGED, RAISED, CLEAR),
        [DAVY_INPUT_RISE]            = NEVER,
        [DAVY_INPUT_AGAIN]           = NEVER,
        [DAVY_INPUT_FALL]            = NEVER,
        [DAVY_INPUT_RETURN]          = NEVER,
        [DAVY_INPUT_LATCH]           = NEVER,
        [DAVY_INPUT_ACK]             = DO(LATCHED, ACKNOWLEDGED, SET),
        [DAVY_INPUT_RESET]           = DO(NORMAL, RESET, SET),
        [DAVY_INPUT_RESET_REST]      = NEVER,
        [DAVY_INPUT_SUPPRESS]        = DO(SUPPRESSED, SUPPRESSED, KEEP),
        [DAVY_INPUT_RELEASE]         = NEVER,
        [DAVY_INPUT_RELEASE_SEEN]    = NEVER,
        [DAVY_INPUT_RELEASE_LATCHED] = NEVER,
        [DAVY_INPUT_OVERDUE]         = DO(STAYS, OVERDUE, KEEP),
        [DAVY_INPUT_OVERDUE_RISE]    = DO(LATCHED, OVERDUE, CLEAR),
        [DAVY_INPUT_RETIRE]          = DO(NORMAL, RETIRED, KEEP),
        UNCOVERED,
    },
    [DAVY_STATE_SUPPRESSED] = {
        [DAVY_INPUT_TRIP]            = NEVER,
        [DAVY_INPUT_RISE]            = NEVER,
        [DAVY_INPUT_AGAIN]           = NEVER,
        [DAVY_INPUT_FALL]            = NEVER,
        [DAVY_INPUT_RETURN]          = NEVER,
        [DAVY_INPUT_LATCH]           = NEVER,
        [DAVY_INPUT_ACK]             = DO(SUPPRESSED, ACKNOWLEDGED, SET),
        [DAVY_INPUT_RESET]           = REFUSE("the rule does not apply now (`when`): reset it when it does"),
        [DAVY_INPUT_RESET_REST]      = REFUSE("the rule does not apply now (`when`): reset it when it does"),
        [DAVY_INPUT_SUPPRESS]        = NEVER,
        [DAVY_INPUT_RELEASE]         = DO(RETURNED, UNSUPPRESSED, KEEP),
        [DAVY_INPUT_RELEASE_SEEN]    = DO(NORMAL, UNSUPPRESSED, KEEP),
        [DAVY_INPUT_RELEASE_LATCHED] = DO(LATCHED, UNSUPPRESSED, KEEP),
        [DAVY_INPUT_OVERDUE]         = DO(STAYS, OVERDUE, KEEP),
        [DAVY_INPUT_OVERDUE_RISE]    = DO(STAYS, OVERDUE, CLEAR),
        [DAVY_INPUT_RETIRE]          = DO(NORMAL, RETIRED, KEEP),
        UNCOVERED,
    },
    [DAVY_STATE_SHELVED] = {
        COVER,
        [DAVY_INPUT_SHELVE]          = REFUSE("the alarm is shelved already: unshelve it first"),
        [DAVY_INPUT_UNSHELVE]        = DO(STAYS, UNSHELVED, KEEP),
        [DAVY_INPUT_UNSHELVE_ACTIVE] = DO(UNACKNOWLEDGED, UNSHELVED, CLEAR),
        [DAVY_INPUT_TAKE_OUT]        = BELOW,
        [DAVY_INPUT_PUT_BACK]        = BELOW,
        [DAVY_INPUT_PUT_BACK_ACTIVE] = BELOW,
        [DAVY_INPUT_RETIRE]          = DO(NORMAL, RETIRED, KEEP),
    },
    [DAVY_STATE_OUT_OF_SERVICE] = {
        COVER,
        [DAVY_INPUT_SHELVE]          = BELOW,
        [DAVY_INPUT_UNSHELVE]        = BELOW,
        [DAVY_INPUT_UNSHELVE_ACTIVE] = BELOW,
        [DAVY_INPUT_TAKE_OUT]        = REFUSE("the alarm is out of service already"),
        [DAVY_INPUT_PUT_BACK]        = DO(STAYS, IN_SERVICE, KEEP),
        [DAVY_INPUT_PUT_BACK_ACTIVE] = DO(UNACKNOWLEDGED, IN_SERVICE, CLEAR),
        [DAVY_INPUT_RETIRE]          = DO(NORMAL, RETIRED, KEEP),
    },
};
/* clang-format on */

static const char *const inputs[] = {
    [DAVY_INPUT_TRIP] = "trip",
    [DAVY_INPUT_RISE] = "rise",
    [DAVY_INPUT_AGAIN] = "again",
    [DAVY_INPUT_FALL] = "fall",
    [DAVY_INPUT_RETURN] = "return",
    [DAVY_INPUT_LATCH] = "latch",
    [DAVY_INPUT_ACK] = "ack",
    [DAVY_INPUT_RESET] = "reset",
    [DAVY_INPUT_RESET_REST] = "reset-rest",
    [DAVY_INPUT_SUPPRESS] = "suppress",
    [DAVY_INPUT_RELEASE] = "release",
    [DAVY_INPUT_RELEASE_SEEN] = "release-seen",
    [DAVY_INPUT_RELEASE_LATCHED] = "release-latched",
    [DAVY_INPUT_SHELVE] = "shelve",
    [DAVY_INPUT_UNSHELVE] = "unshelve",
    [DAVY_INPUT_UNSHELVE_ACTIVE] = "unshelve-active",
    [DAVY_INPUT_TAKE_OUT] = "take-out",
    [DAVY_INPUT_PUT_BACK] = "put-back",
    [DAVY_INPUT_PUT_BACK_ACTIVE] = "put-back-active",
    [DAVY_INPUT_OVERDUE] = "overdue",
    [DAVY_INPUT_OVERDUE_RISE] = "overdue-rise",
    [DAVY_INPUT_RETIRE] = "retire",
};
_Static_assert(DAVY_LENGTH(inputs) == DAVY_INPUT_COUNT_, "every input has a name");

const struct davy_alarm_cell *davy_alarm_cell(enum davy_state state, enum davy_alarm_input input)
{
    return &table[state][input];
}

const struct davy_alarm_cell *davy_alarm_step(enum davy_state below, bool shelved, bool out_of_service,
                                              enum davy_alarm_input input)
{
    if (out_of_service && table[DAVY_STATE_OUT_OF_SERVICE][input].kind != DAVY_CELL_BELOW)
        return &table[DAVY_STATE_OUT_OF_SERVICE][input];
    if (shelved && table[DAVY_STATE_SHELVED][input].kind != DAVY_CELL_BELOW)
        return &table[DAVY_STATE_SHELVED][input];
    return &table[below][input];
}

const char *davy_alarm_input_name(enum davy_alarm_input input)
{
    return inputs[input];
}
