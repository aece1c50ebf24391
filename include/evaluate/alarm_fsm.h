/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of an alarm as a table: state × input → next state and event
 * (ARCHITECTURE.md, States of an alarm; ISA-18.2).
 * Pure. ARCHITECTURE.md shows the same table; a test holds the two against each other.
 *
 * `shelved` and `out-of-service` are covers: what they do not answer themselves is asked of the state below.
 */
#pragma once

#include <stdbool.h>

#include "model/names.h"

/* What can happen to an alarm. The engine derives the first six from the limits, before and after a cause. */
enum davy_alarm_input {
    DAVY_INPUT_TRIP,   /* a condition is true where none was */
    DAVY_INPUT_RISE,   /* active, the level goes up */
    DAVY_INPUT_AGAIN,  /* active at a level that a latch or ladder holds, the highest true condition rises */
    DAVY_INPUT_FALL,   /* active, the level goes down */
    DAVY_INPUT_RETURN, /* nothing is tripped any more */
    DAVY_INPUT_LATCH,  /* no condition is left, a latch holds */
    DAVY_INPUT_ACK,
    DAVY_INPUT_RESET,           /* what latches held is released, nothing else is tripped */
    DAVY_INPUT_RESET_REST,      /* what latches held is released, a condition is still true */
    DAVY_INPUT_SUPPRESS,        /* `when` is false */
    DAVY_INPUT_RELEASE,         /* `when` is true again; nothing holds, nobody has acknowledged */
    DAVY_INPUT_RELEASE_SEEN,    /* likewise, and it is acknowledged */
    DAVY_INPUT_RELEASE_LATCHED, /* likewise, and a latch holds */
    DAVY_INPUT_SHELVE,
    DAVY_INPUT_UNSHELVE,
    DAVY_INPUT_UNSHELVE_ACTIVE, /* while a condition is true */
    DAVY_INPUT_TAKE_OUT,
    DAVY_INPUT_PUT_BACK,
    DAVY_INPUT_PUT_BACK_ACTIVE, /* while a condition is true */
    DAVY_INPUT_OVERDUE,         /* a step of the ladder is due */
    DAVY_INPUT_OVERDUE_RISE,    /* likewise, and raises the level */
    DAVY_INPUT_RETIRE,          /* rule, point or all tripped limits are gone */
    DAVY_INPUT_COUNT_
};

/* What the alarm does about its acknowledgement. */
enum davy_ack_effect { DAVY_ACK_KEEP, DAVY_ACK_SET, DAVY_ACK_CLEAR };

enum davy_cell_kind {
    DAVY_CELL_EMPTY,  /* no cell is */
    DAVY_CELL_NEVER,  /* the engine never asks this */
    DAVY_CELL_REFUSE, /* a command that makes no sense now; `refusal` says why */
    DAVY_CELL_BELOW,  /* a cover: what the state below says */
    DAVY_CELL_DO,
};

/* Of a cell's `next`: the state stays what it is. */
#define DAVY_STATE_STAYS DAVY_STATE_COUNT_

struct davy_alarm_cell {
    enum davy_cell_kind kind;
    enum davy_state next; /* `unacknowledged` where acknowledge = false is `acknowledged` */
    enum davy_event_type event;
    enum davy_ack_effect ack;
    const char *refusal;
};

/* Every (state, input) has a cell. */
const struct davy_alarm_cell *davy_alarm_cell(enum davy_state state, enum davy_alarm_input input);

/* The cell that answers for an alarm in state `below` under its covers: never of kind BELOW. */
const struct davy_alarm_cell *davy_alarm_step(enum davy_state below, bool shelved, bool out_of_service,
                                              enum davy_alarm_input input);

/* For tests, logs and documents: "trip". */
const char *davy_alarm_input_name(enum davy_alarm_input input);
