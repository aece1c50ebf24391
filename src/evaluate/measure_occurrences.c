/* SPDX-License-Identifier: Apache-2.0 */
/* occurrences: how often another rule was raised in the window, or on how many local days in a row. */
#include "evaluate/measure_internal.h"

static void begin(struct davy_measure_state *state)
{
    davy_count_open(&state->count, state->options.window.ns, state->options.days);
}

static void end(struct davy_measure_state *state)
{
    davy_count_close(&state->count);
}

static void raised(struct davy_measure_state *state, struct davy_stamp at)
{
    davy_count_take(&state->count, at.mono.ns, state->count.days ? davy_wall_local_day(at.wall) : 0);
}

static enum davy_lack value(struct davy_measure_state *state, const struct davy_moment *moment,
                            struct davy_measured *ret_measured)
{
    ret_measured->value = (double)davy_count_value(&state->count, moment->now.mono.ns);
    return DAVY_LACK_NONE;
}

static size_t bytes(const struct davy_measure_state *state)
{
    return davy_count_bytes(&state->count);
}

static size_t bytes_max(const struct davy_measure_setup *setup, int64_t interval)
{
    return davy_count_bytes_max(setup->options->window.ns, setup->options->days, interval);
}

const struct davy_measure_type davy_measure_type_occurrences = {
    .open = begin, .close = end, .raised = raised, .value = value, .bytes = bytes, .bytes_max = bytes_max};
