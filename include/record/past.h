/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happened before the start, for windows that go on over a restart: read once, on read-only connections, newest
 * history first where there is more than can be looked at in the time. Never creates a database. Thread: any; blocks.
 */
#pragma once

#include "base/attr.h"
#include "base/clock.h"
#include "model/config.h"
#include "model/reading.h"

/* Rows of readings that are looked at, whatever points they are of: about a second of work. */
#define DAVY_PAST_READINGS INT64_C(1000000)

/* And for the reading that a gap may have begun with, of each length of lookback. */
#define DAVY_PAST_EARLIER INT64_C(50000)

/* Events that are looked at. */
#define DAVY_PAST_EVENTS INT64_C(200000)

struct davy_past_readings {
    const struct davy_config *config;
    const davy_span *lookback; /* by point of the configuration: how far back from `now`; 0: not at all */
    davy_wall now;             /* later ones are of a clock that went back since: left out */
    int64_t rows;              /* at most, the newest; 0: DAVY_PAST_READINGS */
};

/* Outcome: there is more history than could be looked at; what is before *ret_from is not given. */
#define DAVY_PAST_CUT 1

/*
 * First, of each point, the last reading before the lookback that counts, where it is among the DAVY_PAST_EARLIER rows
 * before that: a gap may have begun with it. Then all since, as they arrived; times of a point never go back (where the
 * clock did, they stand still). `at.mono` is not filled.
 * file       the readings.db
 * ret_from   with DAVY_PAST_CUT: the time from which on they were looked at
 * ret_error  a sentence, when the result is below 0
 * returns    0, DAVY_PAST_CUT or a negative errno (-ENOENT: there is no file)
 */
int davy_past_readings(const char *file, const struct davy_past_readings *what,
                       void (*each)(void *context, const struct davy_reading *reading), void *context,
                       davy_wall *ret_from, char *ret_error, size_t error_size) DAVY_MUST_CHECK;

/*
 * The events `raised` with since <= time <= until, ascending by seq: the key of the alarm and the time, which never
 * goes back. Only of the newest DAVY_PAST_EVENTS events. file: the ledger.db. Returns 0 or a negative errno.
 */
int davy_past_raises(const char *file, davy_wall since, davy_wall until,
                     void (*each)(void *context, const char *alarm, davy_wall time), void *context, char *ret_error,
                     size_t error_size) DAVY_MUST_CHECK;
