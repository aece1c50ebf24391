/* SPDX-License-Identifier: Apache-2.0 */
/* deviation: how many standard deviations the reading lies from the mean of the window before the guard. */
#include <math.h>

#include "evaluate/measure_internal.h"

static enum davy_lack value(struct davy_measure_state *state, const struct davy_moment *moment,
                            struct davy_measured *ret_measured)
{
    struct davy_slide_sum sum;
    enum davy_lack lack = davy_measure_timed_covered(state, moment, &sum, ret_measured);
    if (lack != DAVY_LACK_NONE)
        return lack;
    if (!(sum.number[1] > 0))
        return DAVY_LACK_SPREAD;
    const double distance = (moment->value - state->timed.window.origin.value) - sum.number[0];
    ret_measured->value = distance / sqrt(sum.number[1] / (double)sum.weight);
    return DAVY_LACK_NONE;
}

const struct davy_measure_type davy_measure_type_deviation = {
    .open = davy_measure_timed_moments,
    .close = davy_measure_timed_close,
    .take = davy_measure_timed_take,
    .value = value,
    .bytes = davy_measure_timed_bytes,
    .bytes_max = davy_measure_timed_bytes_max,
};
