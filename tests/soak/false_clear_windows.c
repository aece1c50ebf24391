/* SPDX-License-Identifier: Apache-2.0 */
/* What a limit sees of a reading: measures, worked out from all readings each time. */
#include <math.h>

#include "false_clear_oracle.h"

/* ---- measures, from all readings each time ---- */

struct window {
    const struct point_past *past;
    unsigned from;
    int64_t begin, now, max_age;
};

static const struct sample *sample_at(const struct point_past *past, unsigned i)
{
    return &past->samples[i % SAMPLES];
}

static unsigned oldest(const struct window *window)
{
    unsigned kept = window->past->count > SAMPLES ? window->past->count - SAMPLES : 0;
    return window->from > kept ? window->from : kept;
}

/* The part of the window that a sample covers: "each value holds until the next reading of any quality or for max_age". */
static int64_t covers(const struct window *window, unsigned i, int64_t *ret_until)
{
    const struct sample *sample = sample_at(window->past, i);
    int64_t until = sample->at + window->max_age;
    if (i + 1 < window->past->count && sample_at(window->past, i + 1)->at < until)
        until = sample_at(window->past, i + 1)->at;
    until = until < window->now ? until : window->now;
    int64_t first = sample->at > window->begin ? sample->at : window->begin;
    *ret_until = until;
    return sample->counts && until > first ? until - first : 0;
}

static bool mean_of(const struct window *window, double *ret)
{
    double sum = 0;
    int64_t covered = 0, until;
    for (unsigned i = oldest(window); i < window->past->count; i++) {
        int64_t part = covers(window, i, &until);
        sum += (double)part * sample_at(window->past, i)->value;
        covered += part;
    }
    if (covered == 0 || (double)covered < 0.75 * (double)(window->now - window->begin))
        return false;
    *ret = sum / (double)covered;
    return true;
}

static bool extreme_of(const struct window *window, bool highest, double *ret)
{
    bool any = false;
    for (unsigned i = oldest(window); i < window->past->count; i++) {
        const struct sample *sample = sample_at(window->past, i);
        if (!sample->counts || sample->at <= window->begin)
            continue;
        if (!any || (sample->value > *ret) == highest)
            *ret = sample->value;
        any = true;
    }
    return any;
}

/* "Sum of c dt, negative readings as 0", with uncovered time as 0, or as the greater of the readings beside it. */
static bool dose_of(const struct window *window, bool upper, double *ret)
{
    double sum = 0, before = 0;
    int64_t edge = window->begin, until;
    bool any = false;
    for (unsigned i = oldest(window); i < window->past->count; i++) {
        const struct sample *sample = sample_at(window->past, i);
        if (!sample->counts)
            continue;
        double value = fmax(sample->value, 0);
        if (upper && sample->at > edge)
            sum += (double)(sample->at - edge) * fmax(before, value);
        int64_t part = covers(window, i, &until);
        sum += (double)(sample->cut && !upper ? 0 : part) * value; /* "down time is uncovered" */
        edge = until > edge ? until : edge;
        before = value;
        any = true;
    }
    if (upper && any && window->now > edge)
        sum += (double)(window->now - edge) * before;
    *ret = sum / (double)(window->now - window->begin);
    return any;
}

/* What a limit of the rule sees of a reading: the measure in place of the value, HELD where there is none. */
struct evidence oracle_measured(const struct oracle *oracle, unsigned rule, unsigned point, bool upper,
                                const struct evidence *evidence)
{
    const struct rule_spec *spec = &oracle->spec->rules[rule];
    struct evidence seen = *evidence;
    bool done = evidence->counts;
    const struct window window = {.past = &oracle->points[point],
                                  .from = oracle->slots[slot_of_rule(rule, point)].from,
                                  .begin = oracle->now - spec->window_ms,
                                  .now = oracle->now,
                                  .max_age = oracle->spec->devices[point / PLAN_PER_DEVICE].max_age_ms};
    if (spec->measure == DAVY_MEASURE_VALUE)
        return seen;
    if (spec->measure == DAVY_MEASURE_STEL)
        done = dose_of(&window, upper, &seen.value) && (upper || done);
    else if (done && spec->measure == DAVY_MEASURE_MEAN)
        done = mean_of(&window, &seen.value);
    else if (done)
        done = extreme_of(&window, spec->measure == DAVY_MEASURE_MAX, &seen.value);
    if (!done)
        seen.worth = evidence->worth == WORTH_BAD ? WORTH_BAD : WORTH_HELD;
    else if (seen.worth != WORTH_GOOD)
        seen.worth = WORTH_RAISE;
    return seen;
}
