/* SPDX-License-Identifier: Apache-2.0 */
#include "evaluate/window_timed.h"

#include <math.h>

void davy_held_end(struct davy_held *held, int64_t at, int64_t hold)
{
    held->stretch = davy_held_until(held, at, hold);
    held->running = false;
}

void davy_held_begin(struct davy_held *held, int64_t at, double value)
{
    *held = (struct davy_held){.stretch = {at, at, value}, .any = true, .running = true};
}

struct davy_slide_stretch davy_held_until(const struct davy_held *held, int64_t now, int64_t hold)
{
    struct davy_slide_stretch stretch = held->stretch;
    if (held->running) {
        int64_t end = davy_slide_plus(stretch.from, hold);
        stretch.to = end < now ? end : now;
    }
    return stretch;
}

static void make_sum(struct davy_slide_sum *sum, const struct davy_slide_stretch *stretch,
                     const struct davy_slide_origin *origin)
{
    (void)origin;
    const double time = (double)(stretch->to - stretch->from), product = stretch->value * time;
    sum->weight = stretch->to - stretch->from;
    sum->number[0] = product;
    sum->number[1] = fma(stretch->value, time, -product);
}

/* Double-double addition (Dekker, Knuth). */
static void merge_sums(struct davy_slide_sum *sum, const struct davy_slide_sum *other)
{
    const double a = sum->number[0], b = other->number[0];
    const double high = a + b, part = high - a;
    const double error = (a - (high - part)) + (b - part);
    const double low = error + (sum->number[1] + other->number[1]);
    sum->weight += other->weight;
    sum->number[0] = high + low;
    sum->number[1] = low - (sum->number[0] - high);
}

const struct davy_slide_kind davy_timed_sums = {.numbers = 2, .make = make_sum, .merge = merge_sums};

static void make_squares(struct davy_slide_sum *sum, const struct davy_slide_stretch *stretch,
                         const struct davy_slide_origin *origin)
{
    (void)origin;
    const double time = (double)(stretch->to - stretch->from);
    const double square = stretch->value * stretch->value, left = fma(stretch->value, stretch->value, -square);
    const double product = square * time;
    sum->weight = stretch->to - stretch->from;
    sum->number[0] = product;
    sum->number[1] = fma(square, time, -product) + left * time;
}

const struct davy_slide_kind davy_timed_squares = {.numbers = 2, .make = make_squares, .merge = merge_sums};

double davy_timed_mean(const struct davy_slide_sum *sum, int64_t span)
{
    const double time = (double)span, quotient = sum->number[0] / time;
    return quotient + (fma(-quotient, time, sum->number[0]) + sum->number[1]) / time;
}

static void make_moments(struct davy_slide_sum *sum, const struct davy_slide_stretch *stretch,
                         const struct davy_slide_origin *origin)
{
    sum->weight = stretch->to - stretch->from;
    sum->number[0] = stretch->value - origin->value;
    sum->number[1] = 0;
}

/* Chan, Golub, LeVeque. */
static void merge_moments(struct davy_slide_sum *sum, const struct davy_slide_sum *other)
{
    const double a = (double)sum->weight, b = (double)other->weight;
    const double delta = other->number[0] - sum->number[0], share = b / (a + b);
    sum->weight += other->weight;
    sum->number[0] += delta * share;
    sum->number[1] += other->number[1] + delta * delta * a * share;
}

static void shift_moments(struct davy_slide_sum *sum, double time, double value)
{
    (void)time;
    sum->number[0] -= value;
}

const struct davy_slide_kind davy_timed_moments = {
    .numbers = 2, .make = make_moments, .merge = merge_moments, .shift = shift_moments, .mean = 0};

static void make_cover(struct davy_slide_sum *sum, const struct davy_slide_stretch *stretch,
                       const struct davy_slide_origin *origin)
{
    (void)origin;
    sum->weight = stretch->to - stretch->from;
}

static void merge_covers(struct davy_slide_sum *sum, const struct davy_slide_sum *other)
{
    sum->weight += other->weight;
}

const struct davy_slide_kind davy_timed_cover = {.make = make_cover, .merge = merge_covers, .runs = true};

void davy_timed_open(struct davy_timed *timed, const struct davy_slide_kind *kind, int64_t length, int64_t guard,
                     int64_t hold)
{
    *timed = (struct davy_timed){.length = length, .guard = guard, .hold = hold};
    davy_slide_open(&timed->window, kind, length);
}

void davy_timed_take(struct davy_timed *timed, int64_t at, bool counts, double value)
{
    davy_held_end(&timed->held, at, timed->hold);
    if (counts) {
        if (timed->held.stretch.to > timed->held.stretch.from)
            davy_slide_push(&timed->window, &timed->held.stretch);
        davy_held_begin(&timed->held, at, value);
    }
    davy_slide_advance(&timed->window, davy_slide_minus(at, timed->length), davy_slide_minus(at, timed->guard));
}

void davy_timed_total(struct davy_timed *timed, int64_t now, struct davy_slide_sum *ret_sum)
{
    const int64_t start = davy_slide_minus(now, timed->length), end = davy_slide_minus(now, timed->guard);
    const struct davy_slide_stretch held = davy_held_until(&timed->held, now, timed->hold);
    struct davy_slide_sum sum;
    davy_slide_total(&timed->window, start, end, false, &sum);
    if (sum.weight == 0) /* alone it is its own origin */
        timed->window.origin.value = timed->window.count > 0 ? timed->window.origin.value : held.value;
    davy_slide_add(&timed->window, &held, start, end, &sum);
    *ret_sum = sum;
}

double davy_timed_coverage(const struct davy_timed *timed, int64_t covered)
{
    return fmin((double)covered / (double)(timed->length - timed->guard), 1);
}

size_t davy_timed_gaps(int64_t length, int64_t hold, int64_t interval)
{
    /* Where a value holds until the next reading is due, a gap needs a reading that does not count. */
    const size_t readings = davy_slide_stretches(length, interval);
    return hold >= interval ? readings / 2 + 2 : readings;
}
