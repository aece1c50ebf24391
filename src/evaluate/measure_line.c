/* SPDX-License-Identifier: Apache-2.0 */
/* What rate and forecast share. */
#include "evaluate/measure_internal.h"

void davy_measure_line_open(struct davy_measure_state *state)
{
    davy_line_open(&state->line, state->options.window.ns);
    davy_measure_cover_open(state);
}

void davy_measure_line_close(struct davy_measure_state *state)
{
    davy_slide_close(&state->line.window);
    davy_slide_close(&state->cover.window);
}

void davy_measure_line_take(struct davy_measure_state *state, int64_t at, bool counts, double value)
{
    davy_line_take(&state->line, at, counts, value);
    davy_timed_take(&state->cover, at, counts, 0);
}

bool davy_measure_line_fit(struct davy_measure_state *state, const struct davy_moment *moment,
                           struct davy_line_fit *ret_fit, struct davy_measured *ret_measured)
{
    ret_measured->coverage = davy_measure_cover_value(state, moment);
    if (!davy_line_fit(&state->line, moment->now.mono.ns, ret_fit))
        return false;
    ret_measured->slope = ret_fit->slope;
    return true;
}

size_t davy_measure_line_bytes(const struct davy_measure_state *state)
{
    return davy_slide_bytes(&state->line.window) + davy_slide_bytes(&state->cover.window);
}

size_t davy_measure_line_bytes_max(const struct davy_measure_setup *setup, int64_t interval)
{
    const int64_t length = setup->options->window.ns;
    return davy_slide_bytes_max(&davy_line_kind, length, davy_slide_stretches(length, interval)) +
           davy_measure_cover_bytes_max(setup, interval);
}
