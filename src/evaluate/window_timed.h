/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values that hold: each counted reading from its time to the next reading of any quality, at most for `hold`; and what
 * the held stretches add up to by time in a window. Thread: one caller at a time per object.
 */
#pragma once

#include "evaluate/window_slide.h"

/* The newest counted reading. `to` is known once its hold has ended. */
struct davy_held {
    struct davy_slide_stretch stretch;
    bool any;
    bool running;
};

/* A reading came at `at`: what ran ends. */
void davy_held_end(struct davy_held *held, int64_t at, int64_t hold);
/* A counted one: it runs from now on. */
void davy_held_begin(struct davy_held *held, int64_t at, double value);
/* The stretch as far as it has come at `now`. */
struct davy_slide_stretch davy_held_until(const struct davy_held *held, int64_t now, int64_t hold);

/* Sums of value by time, in twice the precision of a double: weight in ns; numbers: sum, and what rounding it left. */
extern const struct davy_slide_kind davy_timed_sums;
/* The same of squares of values. */
extern const struct davy_slide_kind davy_timed_squares;
/* Either over `span`. */
double davy_timed_mean(const struct davy_slide_sum *sum, int64_t span);

/* Mean and square deviations, relative to an origin: weight in ns; numbers: mean, sum of squares by time. */
extern const struct davy_slide_kind davy_timed_moments;

/* Covered time alone: no numbers. */
extern const struct davy_slide_kind davy_timed_cover;

struct davy_timed {
    struct davy_slide window;
    struct davy_held held;
    int64_t length;
    int64_t guard;
    int64_t hold;
};

void davy_timed_open(struct davy_timed *timed, const struct davy_slide_kind *kind, int64_t length, int64_t guard,
                     int64_t hold);
void davy_timed_take(struct davy_timed *timed, int64_t at, bool counts, double value);
/* Over (now - length, now - guard]; weight is the covered time. Where it is 0 there is nothing. */
void davy_timed_total(struct davy_timed *timed, int64_t now, struct davy_slide_sum *ret_sum);

/* So much covered time as a part of the window, 0 to 1. */
double davy_timed_coverage(const struct davy_timed *timed, int64_t covered);

/* Gaps in a window, at most. */
size_t davy_timed_gaps(int64_t length, int64_t hold, int64_t interval);
