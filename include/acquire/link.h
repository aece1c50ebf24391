/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state of one bus's port or connection: when to open it, when to wait. Pure: a table of transitions; no I/O.
 *
 *               OPEN      OPENED  FAILED   ANSWER  MISS      RESET   BROKEN   CLOSE
 *   closed      opening   -       -        -       -         -       -        closed
 *   opening     -         up      backoff  -       -         -       -        closed
 *   up          -         -       -        up      degraded  closed  backoff  closed
 *   degraded    -         -       -        up      degraded  closed  backoff  closed
 *   backoff     opening   -       -        -       -         -       -        closed
 *
 * A Modbus exception is an ANSWER. RESET: we close a connection that may be out of step, to open it again at once.
 * BROKEN: the line or the other end is gone. The first return from BROKEN is at once; without an answer in between
 * the next ones wait 1 s, 2 s, 4 s … with jitter. Thread: one caller at a time per object.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/num.h"

enum davy_link_state {
    DAVY_LINK_CLOSED,
    DAVY_LINK_OPENING,
    DAVY_LINK_UP,
    DAVY_LINK_DEGRADED, /* open, but the last request had no answer */
    DAVY_LINK_BACKOFF,
    DAVY_LINK_STATE_COUNT_
};

enum davy_link_input {
    DAVY_LINK_OPEN,
    DAVY_LINK_OPENED,
    DAVY_LINK_FAILED,
    DAVY_LINK_ANSWER,
    DAVY_LINK_MISS,
    DAVY_LINK_RESET,
    DAVY_LINK_BROKEN,
    DAVY_LINK_CLOSE,
    DAVY_LINK_INPUT_COUNT_
};

struct davy_link {
    enum davy_link_state state;
    unsigned failures; /* in a row, without an answer in between */
    davy_mono retry_at;
    davy_span longest;
    struct davy_random random;
};

/* As status and logs show it. */
const char *davy_link_state_name(enum davy_link_state state);

/*
 * longest   of the waits between attempts
 * first     of the attempts: not before then
 */
void davy_link_init(struct davy_link *link, davy_span longest, uint64_t seed, davy_mono first);

/*
 * One step of the table.
 * returns   0, or -EINVAL for a cell that cannot happen (nothing is changed)
 */
int davy_link_feed(struct davy_link *link, enum davy_link_input input, davy_mono now);

/* True when requests can be sent: the transport is open. */
bool davy_link_is_open(const struct davy_link *link);

/* True when an attempt to open is due. */
bool davy_link_wants_open(const struct davy_link *link, davy_mono now);
