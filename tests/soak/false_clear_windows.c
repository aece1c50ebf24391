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

/*
 * The part of the window that a sample covers: "each value holds until the next reading of any quality or for max_age".
 */
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

/* ---- the line of least squares ---- */

struct line {
    unsigned count;
    double time, value; /* means; times are seconds before now */
    double slope;
    int64_t first, last;
};

static bool is_on_line(const struct window *window, unsigned i)
{
    return sample_at(window->past, i)->counts && sample_at(window->past, i)->at > window->begin;
}

static double seconds_to(const struct window *window, unsigned i)
{
    return (double)(sample_at(window->past, i)->at - window->now) / 1000;
}

/* "At least 3 readings spanning half of W". */
static bool means_of(const struct window *window, struct line *line)
{
    *line = (struct line){.count = 0};
    for (unsigned i = oldest(window); i < window->past->count; i++) {
        if (!is_on_line(window, i))
            continue;
        line->first = line->count == 0 ? sample_at(window->past, i)->at : line->first;
        line->last = sample_at(window->past, i)->at;
        line->count++;
        line->time += seconds_to(window, i);
        line->value += sample_at(window->past, i)->value;
    }
    if (line->count < 3 || 2 * (line->last - line->first) < window->now - window->begin)
        return false;
    line->time /= line->count;
    line->value /= line->count;
    return true;
}

static bool line_of(const struct window *window, struct line *line)
{
    double across = 0, along = 0;
    if (!means_of(window, line))
        return false;
    for (unsigned i = oldest(window); i < window->past->count; i++) {
        double time = seconds_to(window, i) - line->time;
        if (!is_on_line(window, i))
            continue;
        along += time * time;
        across += time * (sample_at(window->past, i)->value - line->value);
    }
    line->slope = across / along;
    return true;
}

static bool rate_of(const struct window *window, const struct rule_spec *rule, double *ret)
{
    struct line line;
    if (!line_of(window, &line))
        return false;
    *ret = rule->measure == DAVY_MEASURE_RATE ? line.slope * rule->per_ms / 1000
                                              : line.value + line.slope * (rule->horizon_ms / 1e3 - line.time);
    return true;
}

/* ---- stuck, difference, occurrences ---- */

/* "Seconds since the value last moved by more than epsilon from where it then was". */
static bool stuck_of(const struct window *window, double epsilon, double *ret)
{
    const struct sample *moved = NULL;
    for (unsigned i = oldest(window); i < window->past->count; i++) {
        const struct sample *sample = sample_at(window->past, i);
        if (sample->counts && (!moved || fabs(sample->value - moved->value) > epsilon))
            moved = sample;
    }
    if (moved)
        *ret = (double)(window->now - moved->at) / 1000;
    return moved;
}

/* "Either not good or older than max_age: not evaluated"; of one over its range the engine may make more. */
static bool difference_of(const struct oracle *oracle, unsigned point, const struct evidence *evidence, double *ret)
{
    const struct point_past *past = &oracle->points[point];
    int64_t max_age = oracle->spec->devices[point / PLAN_PER_DEVICE].max_age_ms;
    *ret = evidence->value - past->newest.value;
    return evidence->worth == WORTH_GOOD && past->known && past->newest.worth == WORTH_GOOD &&
           oracle->now - past->read_at <= max_age;
}

static double occurrences_of(const struct oracle *oracle, const struct rule_spec *rule, unsigned point, unsigned from)
{
    const struct raises *raises = &oracle->raises[rule->counted][point];
    double count = 0;
    unsigned kept = raises->count > RAISES ? raises->count - RAISES : 0;
    for (unsigned i = from > kept ? from : kept; i < raises->count; i++)
        count += raises->at[i % RAISES] > oracle->now - rule->window_ms;
    return count;
}

unsigned oracle_window_end(const struct oracle *oracle, const struct rule_spec *rule, unsigned point)
{
    return rule->measure == DAVY_MEASURE_OCCURRENCES ? oracle->raises[rule->counted][point].count
                                                     : oracle->points[point].count;
}

/* Of a reading that counts. */
static bool measure_of(const struct oracle *oracle, const struct window *window, const struct rule_spec *rule,
                       unsigned point, const struct evidence *evidence, double *ret)
{
    switch ((int)rule->measure) {
    case DAVY_MEASURE_MEAN:
        return mean_of(window, ret);
    case DAVY_MEASURE_STUCK:
        return stuck_of(window, rule->epsilon, ret);
    case DAVY_MEASURE_RATE:
    case DAVY_MEASURE_FORECAST:
        return rate_of(window, rule, ret);
    case DAVY_MEASURE_DIFFERENCE:
        return difference_of(oracle, rule->other, evidence, ret);
    case DAVY_MEASURE_OCCURRENCES:
        *ret = occurrences_of(oracle, rule, point, window->from);
        return true;
    default:
        return extreme_of(window, rule->measure == DAVY_MEASURE_MAX, ret);
    }
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
    if (plan_is_dose(spec))
        done = dose_of(&window, upper, &seen.value) && (upper || done);
    else if (done)
        done = measure_of(oracle, &window, spec, point, evidence, &seen.value);
    if (!done)
        seen.worth = evidence->worth == WORTH_BAD ? WORTH_BAD : WORTH_HELD;
    else if (seen.worth != WORTH_GOOD)
        seen.worth = WORTH_RAISE;
    return seen;
}
