/* SPDX-License-Identifier: Apache-2.0 */
/* What stel and twa share. */
#include "evaluate/measure_internal.h"

void davy_measure_dose_open(struct davy_measure_state *state)
{
    davy_dose_open(&state->dose, state->options.window.ns, state->setup.hold.ns);
}

void davy_measure_dose_close(struct davy_measure_state *state)
{
    davy_dose_close(&state->dose);
}

void davy_measure_dose_take(struct davy_measure_state *state, int64_t at, bool counts, double value)
{
    davy_dose_take(&state->dose, at, counts, value);
}

enum davy_lack davy_measure_dose_value(struct davy_measure_state *state, const struct davy_moment *moment,
                                       struct davy_measured *ret_measured)
{
    struct davy_dose_bounds bounds;
    davy_dose_value(&state->dose, moment->now.mono.ns, &bounds);
    ret_measured->value = bounds.lower;
    ret_measured->upper = bounds.upper;
    ret_measured->coverage = bounds.coverage;
    return state->dose.held.any ? DAVY_LACK_NONE : DAVY_LACK_HISTORY; /* 0 would say that nobody was exposed */
}

size_t davy_measure_dose_bytes(const struct davy_measure_state *state)
{
    return davy_dose_bytes(&state->dose);
}

size_t davy_measure_dose_bytes_max(const struct davy_measure_setup *setup, int64_t interval)
{
    return davy_dose_bytes_max(setup->options->window.ns, setup->hold.ns, interval);
}
