/* SPDX-License-Identifier: Apache-2.0 */
/* What mean, rms, stddev and deviation share; and the coverage alone, for the rest. */
#include "evaluate/measure_internal.h"

void davy_measure_timed_sums(struct davy_measure_state *state)
{
    davy_timed_open(&state->timed, &davy_timed_sums, state->options.window.ns, 0, state->setup.hold.ns);
}

void davy_measure_timed_moments(struct davy_measure_state *state)
{
    const bool guarded = state->setup.type == DAVY_MEASURE_DEVIATION;
    davy_timed_open(&state->timed, &davy_timed_moments, state->options.window.ns, guarded ? state->options.guard.ns : 0,
                    state->setup.hold.ns);
}

void davy_measure_timed_close(struct davy_measure_state *state)
{
    davy_slide_close(&state->timed.window);
}

void davy_measure_timed_take(struct davy_measure_state *state, int64_t at, bool counts, double value)
{
    davy_timed_take(&state->timed, at, counts, value);
}

enum davy_lack davy_measure_timed_covered(struct davy_measure_state *state, const struct davy_moment *moment,
                                          struct davy_slide_sum *ret_sum, struct davy_measured *ret_measured)
{
    davy_timed_total(&state->timed, moment->now.mono.ns, ret_sum);
    ret_measured->coverage = davy_timed_coverage(&state->timed, ret_sum->weight);
    const double needed = state->setup.type == DAVY_MEASURE_DEVIATION ? 0 : state->options.coverage;
    return ret_sum->weight == 0 || ret_measured->coverage < needed ? DAVY_LACK_COVERAGE : DAVY_LACK_NONE;
}

size_t davy_measure_timed_bytes(const struct davy_measure_state *state)
{
    return davy_slide_bytes(&state->timed.window);
}

size_t davy_measure_timed_bytes_max(const struct davy_measure_setup *setup, int64_t interval)
{
    const int64_t length = setup->options->window.ns;
    return davy_slide_bytes_max(&davy_timed_sums, length, davy_slide_stretches(length, interval));
}

void davy_measure_cover_open(struct davy_measure_state *state)
{
    davy_timed_open(&state->cover, &davy_timed_cover, state->options.window.ns, 0, state->setup.hold.ns);
}

double davy_measure_cover_value(struct davy_measure_state *state, const struct davy_moment *moment)
{
    struct davy_slide_sum sum;
    davy_timed_total(&state->cover, moment->now.mono.ns, &sum);
    return davy_timed_coverage(&state->cover, sum.weight);
}

size_t davy_measure_cover_bytes_max(const struct davy_measure_setup *setup, int64_t interval)
{
    const int64_t length = setup->options->window.ns;
    return davy_slide_bytes_max(&davy_timed_cover, length, davy_timed_gaps(length, setup->hold.ns, interval) + 1);
}
