/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One limit with deadband, delays and latch (ARCHITECTURE.md, Rules and limits). Pure: no clock, no allocation.
 * Thread: any, one caller at a time per state.
 */
#pragma once

#include <stdbool.h>

#include "base/clock.h"
#include "model/alarm.h"
#include "model/config.h"

/* Zeros are a limit at rest. */
struct davy_limit_state {
    bool condition; /* on the trip side for on_delay, not yet in the return region for off_delay */
    bool held;      /* the condition is gone, a latch keeps the limit tripped */
    bool uncertain; /* the newest reading that bore the condition was not good */
    enum davy_timer timer;
    davy_mono started; /* of the timer */
    bool stood;        /* an off-delay stood still over a restart; it goes on with the next good reading */
    davy_span credit;  /* how far that had run */
    double crossed;    /* the bound that was crossed */
};

/* How a reading counts (ARCHITECTURE.md, Readings and quality). */
enum davy_feed {
    DAVY_FEED_FULL,  /* good: trips and returns */
    DAVY_FEED_RAISE, /* uncertain but evaluated: trips only, cancels a running off-delay */
    DAVY_FEED_HOLD,  /* not evaluated: a running on-delay goes on, a running off-delay is cancelled */
    DAVY_FEED_TRIP,  /* a bad reading under on_fault = trip: counts as one on the trip side */
};

/*
 * Feed one reading. Timers that were due before must have fired (davy_limit_expire).
 * value      the measure, in the unit of the limit; finite; ignored for HOLD and TRIP
 * uncertain  whether a condition that this reading bears is uncertain
 * returns    true when anything in the state changed
 */
bool davy_limit_feed(const struct davy_limit *limit, struct davy_limit_state *state, enum davy_feed feed, double value,
                     bool uncertain, davy_mono now);

/* Whether a value is on the trip side. */
bool davy_limit_trips(const struct davy_limit *limit, double value);

/* When the running timer fires; DAVY_MONO_NEVER without one. */
davy_mono davy_limit_due(const struct davy_limit *limit, const struct davy_limit_state *state);

/* Fire the timer if it is due at `now`. Returns true when it fired. */
bool davy_limit_expire(const struct davy_limit *limit, struct davy_limit_state *state, davy_mono now);

static inline bool davy_limit_tripped(const struct davy_limit_state *state)
{
    return state->condition || state->held;
}
