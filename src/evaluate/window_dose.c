/* SPDX-License-Identifier: Apache-2.0 */
#include "evaluate/window_dose.h"

#include <math.h>

void davy_dose_open(struct davy_dose *dose, int64_t length, int64_t hold)
{
    *dose = (struct davy_dose){.length = length, .hold = hold};
    davy_window_open(&dose->covered, &davy_timed_sums, length);
    davy_window_open(&dose->gaps, &davy_timed_sums, length);
}

void davy_dose_close(struct davy_dose *dose)
{
    davy_window_close(&dose->covered);
    davy_window_close(&dose->gaps);
}

/* What was held until now is done with, and the gap after it ends. */
static void push_held(struct davy_dose *dose, int64_t at, double value)
{
    const struct davy_window_stretch *held = &dose->held.stretch;
    const struct davy_window_stretch gap = {held->to, at, fmax(held->value, value)};
    if (held->to > held->from)
        davy_window_push(&dose->covered, held);
    if (gap.to > gap.from)
        davy_window_push(&dose->gaps, &gap);
}

void davy_dose_take(struct davy_dose *dose, int64_t at, bool counts, double value)
{
    davy_held_end(&dose->held, at, dose->hold);
    if (counts) {
        const double positive = value > 0 ? value : 0;
        if (dose->held.any)
            push_held(dose, at, positive);
        else
            dose->first = positive;
        davy_held_begin(&dose->held, at, positive);
    }
    davy_window_advance(&dose->covered, davy_window_minus(at, dose->length), at);
    davy_window_advance(&dose->gaps, davy_window_minus(at, dose->length), at);
}

/*
 * Of the two ways to count the oldest bucket, whole or as its greatest value over its part inside, the one that makes
 * less: both are never below what is really inside, and a constant value makes exactly itself.
 */
static void total(struct davy_window *window, int64_t start, int64_t now, struct davy_window_sum *ret_sum)
{
    davy_window_total(window, start, now, false, ret_sum);
    if (window->bucket == 0)
        return;
    struct davy_window_sum cut;
    davy_window_total(window, start, now, true, &cut);
    if (cut.weight < ret_sum->weight && cut.number[0] <= ret_sum->number[0])
        *ret_sum = cut;
}

/* Time that is neither in a stretch nor in a gap lies before the first reading. */
static void add_unread(const struct davy_dose *dose, int64_t covered, struct davy_window_sum *gaps)
{
    const int64_t unread = dose->length - covered - gaps->weight;
    davy_window_add(&dose->gaps, &(struct davy_window_stretch){0, unread, dose->first}, 0, unread, gaps);
}

void davy_dose_value(struct davy_dose *dose, int64_t now, struct davy_dose_bounds *ret_bounds)
{
    *ret_bounds = (struct davy_dose_bounds){0};
    if (!dose->held.any)
        return;
    const int64_t start = davy_window_minus(now, dose->length);
    const struct davy_window_stretch held = davy_held_until(&dose->held, now, dose->hold);
    struct davy_window_sum covered, gaps;
    total(&dose->covered, start, now, &covered);
    total(&dose->gaps, start, now, &gaps);
    davy_window_add(&dose->covered, &held, start, now, &covered);
    davy_window_add(&dose->gaps, &(struct davy_window_stretch){held.to, now, held.value}, start, now, &gaps);
    add_unread(dose, covered.weight, &gaps);
    ret_bounds->coverage = fmin((double)covered.weight / (double)dose->length, 1);
    ret_bounds->lower = covered.weight > 0 ? davy_timed_mean(&covered, dose->length) : 0;
    davy_window_merge(&davy_timed_sums, &gaps, &covered);
    ret_bounds->upper = gaps.weight > 0 ? davy_timed_mean(&gaps, dose->length) : 0;
}

size_t davy_dose_bytes(const struct davy_dose *dose)
{
    return davy_window_bytes(&dose->covered) + davy_window_bytes(&dose->gaps);
}

size_t davy_dose_bytes_max(int64_t length, int64_t hold, int64_t interval)
{
    return davy_window_bytes_max(&davy_timed_sums, length, davy_window_stretches(length, interval)) +
           davy_window_bytes_max(&davy_timed_sums, length, davy_timed_gaps(length, hold, interval));
}
