/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the two databases from another process while the daemon writes them (davyctl, replay): read-only connections,
 * short read transactions, pages of rows. Never writes, checkpoints or creates a database; works as well where no
 * daemon runs. A row that is written or pruned meanwhile may be given or not. Thread: any.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/clock.h"

/* Bounds: 0 for none, since <= time < until. NULL or "" for no filter. */
struct davy_event_filter {
    davy_wall since;
    davy_wall until;
    const char *zone;
    const char *level; /* this level or above */
    int64_t after_seq;
    int64_t limit; /* rows at most; 0: all */
};

/*
 * Events ascending by seq, as their stored payload.
 * file       the ledger.db
 * each       returns false to stop
 * ret_error  a sentence, when the result is below 0
 * returns    0 or a negative errno
 */
int davy_query_events(const char *file, const struct davy_event_filter *filter,
                      bool (*each)(void *context, int64_t seq, const char *payload), void *context, char *ret_error,
                      size_t error_size) DAVY_MUST_CHECK;

struct davy_history_row {
    davy_wall time;
    bool has_value;
    double value; /* the mean over the step when `every` is set */
    double min;
    double max;
    int64_t count;       /* readings in the step, with a value or not */
    double coverage;     /* share of the step with good readings, each of which covers an interval between polls */
    const char *quality; /* the worst in the step, and the reason of the first that had it */
    const char *reason;  /* NULL: none */
    const char *rollup;  /* "1min", "1h": from roll-ups of such steps, in part at least; NULL: from readings */
};

/*
 * The readings of one point, ascending by time; with `every` above 0 one row per step that has readings: mean, min and
 * max of those with a value, the worst quality. Roll-ups serve where `every` is a multiple of their step, and where
 * finer ones are gone: there the rows are as coarse as they are. Of roll-ups all steps are given that overlap the time.
 * Where the clock was set back, readings are in the order in which they came, and a step that is no multiple of a
 * minute may be given twice.
 * returns   0; 1: the point has never been recorded; or a negative errno
 */
int davy_query_history(const char *file, const char *point, davy_wall since, davy_wall until, davy_span every,
                       bool (*each)(void *context, const struct davy_history_row *row), void *context, char *ret_error,
                       size_t error_size) DAVY_MUST_CHECK;
