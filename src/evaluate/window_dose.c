/* SPDX-License-Identifier: Apache-2.0 */
#include "evaluate/window_dose.h"

#include <math.h>

void davy_dose_open(struct davy_dose *dose, int64_t length, int64_t hold)
{
    *dose = (struct davy_dose){.length = length, .hold = hold};
    davy_slide_open(&dose->covered, &davy_timed_sums, length);
    davy_slide_open(&dose->gaps, &davy_timed_sums, length);
}

void davy_dose_close(struct davy_dose *dose)
{
    davy_slide_close(&dose->covered);
    davy_slide_close(&dose->gaps);
}

/* What was held until now is done with, and the gap after it ends. */
static void push_held(struct davy_dose *dose, int64_t at, double value)
{
    const struct davy_slide_stretch *held = &dose->held.stretch;
    const struct davy_slide_stretch gap = {held->to, at, fmax(held->value, value)};
    if (held->to > held->from)
        davy_slide_push(&dose->covered, held);
    if (gap.to > gap.from)
        davy_slide_push(&dose->gaps, &gap);
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
    davy_slide_advance(&dose->covered, davy_slide_minus(at, dose->length), at);
    davy_slide_advance(&dose->gaps, davy_slide_minus(at, dose->length), at);
}

/*
 * Of the two ways to count the oldest bucket, whole or as its greatest value over its part inside, the one that makes
 * less: both are never below what is really inside, and a constant value makes exactly itself.
 */
static void total(struct davy_slide *window, int64_t start, int64_t now, struct davy_slide_sum *ret_sum)
{
    davy_slide_total(window, start, now, false, ret_sum);
    if (window->bucket == 0)
        return;
    struct davy_slide_sum cut;
    davy_slide_total(window, start, now, true, &cut);
    if (cut.weight < ret_sum->weight && cut.number[0] <= ret_sum->number[0])
        *ret_sum = cut;
}

/* Time that is neither in a stretch nor in a gap lies before the first reading. */
static void add_unread(const struct davy_dose *dose, int64_t covered, struct davy_slide_sum *gaps)
{
    const int64_t unread = dose->length - covered - gaps->weight;
    davy_slide_add(&dose->gaps, &(struct davy_slide_stretch){0, unread, dose->first}, 0, unread, gaps);
}

void davy_dose_value(struct davy_dose *dose, int64_t now, struct davy_dose_bounds *ret_bounds)
{
    *ret_bounds = (struct davy_dose_bounds){0};
    if (!dose->held.any)
        return;
    const int64_t start = davy_slide_minus(now, dose->length);
    const struct davy_slide_stretch held = davy_held_until(&dose->held, now, dose->hold);
    struct davy_slide_sum covered, gaps;
    total(&dose->covered, start, now, &covered);
    total(&dose->gaps, start, now, &gaps);
    davy_slide_add(&dose->covered, &held, start, now, &covered);
    davy_slide_add(&dose->gaps, &(struct davy_slide_stretch){held.to, now, held.value}, start, now, &gaps);
    add_unread(dose, covered.weight, &gaps);
    ret_bounds->coverage = fmin((double)covered.weight / (double)dose->length, 1);
    ret_bounds->lower = covered.weight > 0 ? davy_timed_mean(&covered, dose->length) : 0;
    davy_slide_merge(&davy_timed_sums, &gaps, &covered);
    ret_bounds->upper = gaps.weight > 0 ? davy_timed_mean(&gaps, dose->length) : 0;
}

size_t davy_dose_bytes(const struct davy_dose *dose)
{
    return davy_slide_bytes(&dose->covered) + davy_slide_bytes(&dose->gaps);
}

size_t davy_dose_bytes_max(int64_t length, int64_t hold, int64_t interval)
{
    return davy_slide_bytes_max(&davy_timed_sums, length, davy_slide_stretches(length, interval)) +
           davy_slide_bytes_max(&davy_timed_sums, length, davy_timed_gaps(length, hold, interval));
}
