/* SPDX-License-Identifier: Apache-2.0 */
/* What min and max share: the greatest reading, of min the greatest of the negated ones. */
#include "evaluate/measure_internal.h"

void davy_measure_peak_open(struct davy_measure_state *state)
{
    davy_peak_open(&state->peak, state->options.window.ns);
    davy_measure_cover_open(state);
}

void davy_measure_peak_take(struct davy_measure_state *state, int64_t at, bool counts, double value)
{
    if (counts)
        davy_peak_take(&state->peak, at, state->setup.type == DAVY_MEASURE_MIN ? -value : value);
    davy_timed_take(&state->cover, at, counts, 0);
}

enum davy_lack davy_measure_peak_value(struct davy_measure_state *state, const struct davy_moment *moment,
                                       struct davy_measured *ret_measured)
{
    double greatest;
    ret_measured->coverage = davy_measure_cover_value(state, moment);
    if (!davy_peak_value(&state->peak, moment->now.mono.ns, &greatest))
        return DAVY_LACK_HISTORY;
    ret_measured->value = state->setup.type == DAVY_MEASURE_MIN ? -greatest : greatest;
    return DAVY_LACK_NONE;
}

void davy_measure_peak_close(struct davy_measure_state *state)
{
    davy_peak_close(&state->peak);
    davy_slide_close(&state->cover.window);
}

size_t davy_measure_peak_bytes(const struct davy_measure_state *state)
{
    return davy_peak_bytes(&state->peak) + davy_slide_bytes(&state->cover.window);
}

size_t davy_measure_peak_bytes_max(const struct davy_measure_setup *setup, int64_t interval)
{
    return davy_peak_bytes_max(setup->options->window.ns, interval) + davy_measure_cover_bytes_max(setup, interval);
}
