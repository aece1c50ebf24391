/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When the gateway's alarms about its clock and its load stand (ARCHITECTURE.md, Built-in alarms). Pure: what was seen
 * and when are parameters; to be asked about once a second.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "model/alarm.h"

/* A condition of the gateway; nothing is known of it until it, or its absence, has lasted long enough. */
enum told { TOLD_NOTHING, TOLD_FALSE, TOLD_TRUE };

/*
 * What was told of an alarm of the gateway, and why. Another cause of one that stands is news, too, but only one a
 * minute: each is written into the ledger, which may be what is in trouble.
 */
#define CAUSE_PAUSE (60 * DAVY_NS_PER_S)

struct told_cause {
    enum told told;
    char why[DAVY_NOTE_SIZE];
    davy_mono at; /* of the last other cause; ns = 0: none */
};

/* Whether that is to be told; and that it was. */
bool cause_is_news(const struct told_cause *last, enum told now, const char *why, davy_mono at);
void cause_was_told(struct told_cause *last, enum told now, const char *why, davy_mono at);

/* `clock`: true from a step of more than 1 s, or 10 min unsynchronized; false after a minute synchronized. */
struct clock_watch {
    struct davy_stamp last;         /* mono.ns = 0: not asked yet */
    davy_mono unsynchronized_since; /* ns = 0: it is synchronized */
    davy_mono calm_since;           /* synchronized, and not stepped, since; ns = 0: it is not */
    enum told state;
};

enum told clock_judge(struct clock_watch *watch, bool synchronized, struct davy_stamp now);

/*
 * Steps of the wall clock to be written down beside what was recorded before them: the first at once, others together
 * after CORRECTION_PAUSE, so that a clock that jumps all the time cannot fill the ledger.
 */
#define CORRECTION_PAUSE (60 * DAVY_NS_PER_S)

struct clock_corrections {
    struct davy_stamp last;    /* mono.ns = 0: not asked yet */
    int64_t pending_ns;        /* not written down yet */
    davy_mono written_at;      /* of the last step; ns = 0: none */
    bool begun_unsynchronized; /* and not synchronized since, as far as is written down */
};

/*
 * synchronized  for the first time since a start without: worth a line even without a step
 * ret_moved_ns  by how much the wall clock moved since the last time that this was true
 * Returns whether a correction is due; what was pending counts as written then.
 */
bool clock_corrected(struct clock_corrections *corrections, bool synchronized, struct davy_stamp now,
                     int64_t *ret_moved_ns);

/*
 * Whether ages may be reckoned by the wall clock, so that what is older than its retention may go: after 6 h
 * synchronized without a step of more than a minute; without synchronization, 30 d without one. Till then nobody has
 * had time to see that the year is wrong (a receiver of GPS whose week number rolled over is synchronized, and 20 years
 * off).
 */
struct clock_trust {
    struct davy_stamp last;       /* mono.ns = 0: not asked yet */
    davy_mono steady_since;       /* no step since */
    davy_mono synchronized_since; /* ns = 0: it is not */
};

bool clock_trusted(struct clock_trust *trust, bool synchronized, struct davy_stamp now);

/*
 * Since when the oldest event waits that nobody took. The ledger knows its wall time only, which says nothing across a
 * step: it is asked once, when the event becomes the oldest, and believed between what is known by the monotonic clock.
 */
#define UNCONFIRMED (600 * DAVY_NS_PER_S)

struct unconfirmed_watch {
    davy_wall oldest;     /* ns = 0: none */
    davy_mono not_before; /* it cannot wait for longer; ns = 0: unknown, it was there at the start */
    davy_mono since;
};

/*
 * Whether it waits for 10 min or longer. oldest: its wall time, ns = 0: nothing waits. To be asked about once a second.
 */
bool unconfirmed_judge(struct unconfirmed_watch *watch, davy_wall oldest, struct davy_stamp now);

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
    davy_mono judged;
    uint32_t count;
    bool slow; /* less than half of what should be, in the last whole window */
};

/*
 * count  readings since the last call
 * dead   the device does not answer: it is asked seldom, and that is no overload
 * Returns whether the point is read at less than half its rate.
 */
bool read_rate_judge(struct read_rate *rate, uint32_t count, davy_span interval, bool dead, davy_mono now);

/* Whether a thread turns: when its beats were last seen to change. All zero at first. */
struct heartbeat {
    uint64_t beats;
    davy_mono at; /* ns = 0: not yet looked at */
    davy_mono judged;
};

/*
 * Whether beats came within `patience`. What passed without this being asked for 5 s does not count: the machine slept,
 * or the process stood, and its threads with it. To be asked about once a second.
 */
bool heartbeat_judge(struct heartbeat *heartbeat, uint64_t beats, davy_span patience, davy_mono now);
