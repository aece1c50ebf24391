/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When the gateway's alarms about its clock and its load stand (ARCHITECTURE.md, Built-in alarms). Pure: what was seen
 * and when are parameters; to be asked about once a second.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

/* A condition of the gateway; nothing is known of it until it, or its absence, has lasted long enough. */
enum told { TOLD_NOTHING, TOLD_FALSE, TOLD_TRUE };

/* `clock`: true from a step of more than 1 s, or 10 min unsynchronized; false after a minute synchronized. */
struct clock_watch {
    struct davy_stamp last;         /* mono.ns = 0: not asked yet */
    davy_mono unsynchronized_since; /* ns = 0: it is synchronized */
    davy_mono calm_since;           /* synchronized, and not stepped, since; ns = 0: it is not */
    enum told state;
};

enum told clock_judge(struct clock_watch *watch, bool synchronized, struct davy_stamp now);

/* `overload`: true once a queue is over half full for 10 s, or points are slow; false after a minute without both. */
struct overload_watch {
    davy_mono full_since; /* ns = 0: no queue is over half full */
    davy_mono calm_since; /* ns = 0: not calm */
    enum told state;
};

enum told overload_judge(struct overload_watch *watch, bool queue_full, bool slow, davy_mono now);

/* How often one point is read. A window of at least 10 s, and of four intervals where those are longer. */
struct read_rate {
    davy_mono begin; /* ns = 0: not begun */
    uint32_t count;
    bool slow; /* less than half of what should be, in the last whole window */
};

/*
 * count  readings since the last call
 * dead   the device does not answer: it is asked seldom, and that is no overload
 * Returns whether the point is read at less than half its rate.
 */
bool read_rate_judge(struct read_rate *rate, uint32_t count, davy_span interval, bool dead, davy_mono now);
