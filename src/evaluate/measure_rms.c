/* SPDX-License-Identifier: Apache-2.0 */
/* rms: root of the time-weighted mean of squares over the covered part of the window. */
#include <math.h>

#include "evaluate/measure_internal.h"

static void open_squares(struct davy_measure_state *state)
{
    davy_timed_open(&state->timed, &davy_timed_squares, state->options.window.ns, 0, state->setup.hold.ns);
}

static enum davy_lack value(struct davy_measure_state *state, const struct davy_moment *moment,
                            struct davy_measured *ret_measured)
{
    struct davy_slide_sum sum;
    enum davy_lack lack = davy_measure_timed_covered(state, moment, &sum, ret_measured);
    if (lack == DAVY_LACK_NONE)
        ret_measured->value = sqrt(davy_timed_mean(&sum, sum.weight));
    return lack;
}

const struct davy_measure_type davy_measure_type_rms = {
    .open = open_squares,
    .close = davy_measure_timed_close,
    .take = davy_measure_timed_take,
    .value = value,
    .bytes = davy_measure_timed_bytes,
    .bytes_max = davy_measure_timed_bytes_max,
};
