/* SPDX-License-Identifier: Apache-2.0 */
/* min: the least reading of the window, kept as the greatest of what is negated. */
#include "evaluate/measure_internal.h"

static void take(struct davy_measure_state *state, int64_t at, bool counts, double value)
{
    if (counts)
        davy_peak_take(&state->peak, at, -value);
}

static enum davy_lack value(struct davy_measure_state *state, const struct davy_moment *moment,
                            struct davy_measured *ret_measured)
{
    if (!davy_peak_value(&state->peak, moment->now.mono.ns, &ret_measured->value))
        return DAVY_LACK_HISTORY;
    ret_measured->value = -ret_measured->value;
    return DAVY_LACK_NONE;
}

const struct davy_measure_type davy_measure_type_min = {
    .open = davy_measure_peak_open,
    .close = davy_measure_peak_close,
    .take = take,
    .value = value,
    .bytes = davy_measure_peak_bytes,
    .bytes_max = davy_measure_peak_bytes_max,
};
