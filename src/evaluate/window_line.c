/* SPDX-License-Identifier: Apache-2.0 */
#include "evaluate/window_line.h"

#include "base/clock.h"

enum { TIME, VALUE, TIME_TIME, TIME_VALUE };

static void make_point(struct davy_slide_sum *sum, const struct davy_slide_stretch *stretch,
                       const struct davy_slide_origin *origin)
{
    *sum = (struct davy_slide_sum){.weight = 1};
    sum->number[TIME] = (double)(stretch->from - origin->time);
    sum->number[VALUE] = stretch->value - origin->value;
}

/* Chan, Golub, LeVeque, for a product of two. */
static void merge_points(struct davy_slide_sum *sum, const struct davy_slide_sum *other)
{
    const double a = (double)sum->weight, b = (double)other->weight, share = b / (a + b);
    const double time = other->number[TIME] - sum->number[TIME], value = other->number[VALUE] - sum->number[VALUE];
    sum->weight += other->weight;
    sum->number[TIME] += time * share;
    sum->number[VALUE] += value * share;
    sum->number[TIME_TIME] += other->number[TIME_TIME] + time * time * a * share;
    sum->number[TIME_VALUE] += other->number[TIME_VALUE] + time * value * a * share;
}

static void shift_points(struct davy_slide_sum *sum, double time, double value)
{
    sum->number[TIME] -= time;
    sum->number[VALUE] -= value;
}

const struct davy_slide_kind davy_line_kind = {
    .numbers = 4, .make = make_point, .merge = merge_points, .shift = shift_points, .mean = VALUE};

void davy_line_open(struct davy_line *line, int64_t length)
{
    *line = (struct davy_line){.length = length};
    davy_slide_open(&line->window, &davy_line_kind, length);
}

void davy_line_take(struct davy_line *line, int64_t at, bool counts, double value)
{
    const struct davy_slide_stretch reading = {at, at, value};
    if (counts) {
        davy_slide_push(&line->window, &reading);
        line->newest = at;
    }
    davy_slide_advance(&line->window, davy_slide_minus(at, line->length), at);
}

bool davy_line_fit(struct davy_line *line, int64_t now, struct davy_line_fit *ret_fit)
{
    struct davy_slide_sum sum;
    davy_slide_total(&line->window, davy_slide_minus(now, line->length), now, false, &sum);
    const struct davy_slide_stretch *oldest = davy_slide_oldest(&line->window);
    if (!oldest || sum.weight < 3)
        return false;
    const int64_t span = line->newest - oldest->from;
    if (span < line->length - span)
        return false;
    const double slope = sum.number[TIME_VALUE] / sum.number[TIME_TIME];
    const double since = (double)(now - line->window.origin.time) - sum.number[TIME];
    ret_fit->slope = slope * (double)DAVY_NS_PER_S;
    ret_fit->level = line->window.origin.value + (sum.number[VALUE] + slope * since);
    return true;
}
