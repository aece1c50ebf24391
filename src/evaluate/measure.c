/* SPDX-License-Identifier: Apache-2.0 */
#include "evaluate/measure.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "evaluate/measure_internal.h"

static const struct davy_measure_type *const types[DAVY_MEASURE_COUNT_] = {
    [DAVY_MEASURE_VALUE] = &davy_measure_type_value,
    [DAVY_MEASURE_MEAN] = &davy_measure_type_mean,
    [DAVY_MEASURE_MIN] = &davy_measure_type_min,
    [DAVY_MEASURE_MAX] = &davy_measure_type_max,
    [DAVY_MEASURE_STDDEV] = &davy_measure_type_stddev,
    [DAVY_MEASURE_RMS] = &davy_measure_type_rms,
    [DAVY_MEASURE_RATE] = &davy_measure_type_rate,
    [DAVY_MEASURE_FORECAST] = &davy_measure_type_forecast,
    [DAVY_MEASURE_STEL] = &davy_measure_type_stel,
    [DAVY_MEASURE_TWA] = &davy_measure_type_twa,
    [DAVY_MEASURE_DEVIATION] = &davy_measure_type_deviation,
    [DAVY_MEASURE_STUCK] = &davy_measure_type_stuck,
    [DAVY_MEASURE_DIFFERENCE] = &davy_measure_type_difference,
    [DAVY_MEASURE_OCCURRENCES] = &davy_measure_type_occurrences,
};

int davy_measure_new(const struct davy_measure_setup *setup, struct davy_measure_state **ret_state)
{
    struct davy_measure_state *state = calloc(1, sizeof *state);
    if (!state)
        return -ENOMEM;
    state->type = types[setup->type];
    state->options = *setup->options;
    state->setup = *setup;
    state->setup.options = &state->options;
    state->newest = INT64_MIN;
    if (state->type->open)
        state->type->open(state);
    *ret_state = state;
    return 0;
}

struct davy_measure_state *davy_measure_free(struct davy_measure_state *state)
{
    if (state && state->type->close)
        state->type->close(state);
    free(state);
    return NULL;
}

size_t davy_measure_bytes(const struct davy_measure_state *state)
{
    return sizeof *state + (state->type->bytes ? state->type->bytes(state) : 0);
}

size_t davy_measure_bytes_max(const struct davy_measure_setup *setup, davy_span interval)
{
    const struct davy_measure_type *type = types[setup->type];
    return sizeof(struct davy_measure_state) + (type->bytes_max ? type->bytes_max(setup, interval.ns) : 0);
}

/* Numbers that the configuration gives: equal as text is equal. */
static bool same_number(double a, double b)
{
    return !(a < b) && !(a > b);
}

/* Without a window no value holds, and occurrences have none. */
static bool uses_hold(const struct davy_measure_setup *setup)
{
    return setup->options->window.ns > 0 && setup->type != DAVY_MEASURE_OCCURRENCES;
}

bool davy_measure_same(const struct davy_measure_setup *a, const struct davy_measure_setup *b)
{
    const struct davy_measure_options *x = a->options, *y = b->options;
    return a->type == b->type && (a->hold.ns == b->hold.ns || (!uses_hold(a) && !uses_hold(b))) &&
           x->window.ns == y->window.ns && same_number(x->coverage, y->coverage) && x->per.ns == y->per.ns &&
           x->horizon.ns == y->horizon.ns && x->guard.ns == y->guard.ns && same_number(x->epsilon, y->epsilon) &&
           x->days == y->days;
}

static int64_t not_before(struct davy_measure_state *state, davy_mono at)
{
    state->newest = at.ns > state->newest ? at.ns : state->newest;
    return state->newest;
}

void davy_measure_take(struct davy_measure_state *state, davy_mono at, bool counts, double value)
{
    const int64_t when = not_before(state, at);
    if (state->type->take)
        state->type->take(state, when, counts && isfinite(value), value);
}

void davy_measure_raised(struct davy_measure_state *state, struct davy_stamp at)
{
    at.mono.ns = not_before(state, at.mono);
    if (state->type->raised)
        state->type->raised(state, at);
}

enum davy_lack davy_measure_value(struct davy_measure_state *state, const struct davy_moment *moment,
                                  struct davy_measured *ret_measured)
{
    struct davy_moment when = *moment;
    when.now.mono.ns = not_before(state, moment->now.mono);
    struct davy_measured measured = {.upper = NAN, .coverage = 1};
    enum davy_lack lack = state->type->value(state, &when, &measured);
    ret_measured->coverage = measured.coverage;
    if (lack != DAVY_LACK_NONE)
        return lack;
    if (isnan(measured.upper))
        measured.upper = measured.value;
    if (!isfinite(measured.value) || !isfinite(measured.upper)) /* readings near the end of what a double holds */
        return DAVY_LACK_HISTORY;
    *ret_measured = measured;
    return DAVY_LACK_NONE;
}
