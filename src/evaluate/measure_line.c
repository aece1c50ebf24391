/* SPDX-License-Identifier: Apache-2.0 */
/* What rate and forecast share. */
#include "evaluate/measure_internal.h"

void davy_measure_line_open(struct davy_measure_state *state)
{
    davy_line_open(&state->line, state->options.window.ns);
}

void davy_measure_line_close(struct davy_measure_state *state)
{
    davy_window_close(&state->line.window);
}

void davy_measure_line_take(struct davy_measure_state *state, int64_t at, bool counts, double value)
{
    davy_line_take(&state->line, at, counts, value);
}

size_t davy_measure_line_bytes(const struct davy_measure_state *state)
{
    return davy_window_bytes(&state->line.window);
}

size_t davy_measure_line_bytes_max(const struct davy_measure_setup *setup, int64_t interval)
{
    const int64_t length = setup->options->window.ns;
    return davy_window_bytes_max(&davy_line_kind, length, davy_window_stretches(length, interval));
}
