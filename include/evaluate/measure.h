/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measures: what a rule makes of the readings of one point before its limits see them (ARCHITECTURE.md, Measures).
 * Each measure is one file (measure_NAME.c) and one row of the table in measure.c. Pure: time is a parameter.
 * Taking a reading is amortised O(1); no window is rescanned, and no running sum is ever subtracted from, so nothing
 * drifts. Memory is bounded: davy_measure_bytes_max().
 * Thread: one caller at a time per object.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/clock.h"
#include "model/config.h"
#include "model/names.h"

/*
 * Readings that a window holds at most: an hour at 100 readings a second, and more. Beyond, the oldest fall out early.
 */
#define DAVY_WINDOW_READINGS 524288

/* The state of one measure on one point. */
struct davy_measure_state;

struct davy_measure_setup {
    enum davy_measure type;
    const struct davy_measure_options *options; /* copied */
    davy_span hold;                             /* a value holds until the next reading, at most this: max_age */
};

/*
 * new: 0 or -ENOMEM. `value` and `difference` keep nothing between readings and have a state all the same.
 * free accepts NULL and returns NULL.
 */
int davy_measure_new(const struct davy_measure_setup *setup, struct davy_measure_state **ret_state) DAVY_MUST_CHECK;
struct davy_measure_state *davy_measure_free(struct davy_measure_state *state);

/* Memory of this state now; and the most that a state of this setup can take at `interval` between readings. Bytes. */
size_t davy_measure_bytes(const struct davy_measure_state *state);
size_t davy_measure_bytes_max(const struct davy_measure_setup *setup, davy_span interval);

/* Whether both make the same of the same readings: then a window goes on over a reload. */
bool davy_measure_same(const struct davy_measure_setup *a, const struct davy_measure_setup *b);

/*
 * A reading of any quality; it ends the hold of the one before.
 * counts   it enters the window: good, or over range with the high end as its value
 * Memory that cannot be had makes the window forget its oldest half; it never fails.
 */
void davy_measure_take(struct davy_measure_state *state, davy_mono at, bool counts, double value);

/* occurrences: the rule that is counted was raised on this point. Nothing for other measures. */
void davy_measure_raised(struct davy_measure_state *state, struct davy_stamp at);

/* When it is evaluated. */
struct davy_moment {
    struct davy_stamp now; /* not before the last reading taken */
    double value;          /* of the newest reading that counts */
    bool has_other;        /* difference: `other` is good and not older than its max_age */
    double other;
};

/* Why there is no value. */
enum davy_lack {
    DAVY_LACK_NONE,
    DAVY_LACK_HISTORY,  /* too few readings, or they span too little of the window */
    DAVY_LACK_COVERAGE, /* less of the window is covered than `coverage` asks for */
    DAVY_LACK_SPREAD,   /* deviation: the readings do not differ */
    DAVY_LACK_OTHER,    /* difference: the other point is not good or too old */
    DAVY_LACK_COUNT_
};

struct davy_measured {
    double value;    /* of stel and twa the lower bound */
    double upper;    /* of stel and twa the upper bound; else the value */
    double coverage; /* covered part of the window, 0 to 1; 1 where there is no window */
    double slope;    /* rate and forecast: per second; else 0 */
    double level;    /* forecast: the value of the line at `now`; else 0 */
};

/*
 * The measure at `moment`, which windows look back from.
 * returns   DAVY_LACK_NONE with *ret_measured filled; else what is missing, and only `coverage` of it is filled.
 *           stel and twa have both bounds, and stuck has a value, from the first reading that counts on.
 */
enum davy_lack davy_measure_value(struct davy_measure_state *state, const struct davy_moment *moment,
                                  struct davy_measured *ret_measured);
