/* SPDX-License-Identifier: Apache-2.0 */
/* What min and max share. */
#include "evaluate/measure_internal.h"

void davy_measure_peak_open(struct davy_measure_state *state)
{
    davy_peak_open(&state->peak, state->options.window.ns);
}

void davy_measure_peak_close(struct davy_measure_state *state)
{
    davy_peak_close(&state->peak);
}

size_t davy_measure_peak_bytes(const struct davy_measure_state *state)
{
    return davy_peak_bytes(&state->peak);
}

size_t davy_measure_peak_bytes_max(const struct davy_measure_setup *setup, int64_t interval)
{
    return davy_peak_bytes_max(setup->options->window.ns, interval);
}
