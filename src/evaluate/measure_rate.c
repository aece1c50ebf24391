/* SPDX-License-Identifier: Apache-2.0 */
/* rate: slope of the line of least squares through the readings of the window, per `per`. */
#include "evaluate/measure_internal.h"

static enum davy_lack value(struct davy_measure_state *state, const struct davy_moment *moment,
                            struct davy_measured *ret_measured)
{
    struct davy_line_fit fit;
    if (!davy_measure_line_fit(state, moment, &fit, ret_measured))
        return DAVY_LACK_HISTORY;
    ret_measured->value = fit.slope * ((double)state->options.per.ns / (double)DAVY_NS_PER_S);
    return DAVY_LACK_NONE;
}

const struct davy_measure_type davy_measure_type_rate = {
    .open = davy_measure_line_open,
    .close = davy_measure_line_close,
    .take = davy_measure_line_take,
    .value = value,
    .bytes = davy_measure_line_bytes,
    .bytes_max = davy_measure_line_bytes_max,
};
