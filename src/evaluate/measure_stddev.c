/* SPDX-License-Identifier: Apache-2.0 */
/* stddev: the time-weighted standard deviation (of the population) over the covered part of the window. */
#include <math.h>

#include "evaluate/measure_internal.h"

static enum davy_lack value(struct davy_measure_state *state, const struct davy_moment *moment,
                            struct davy_measured *ret_measured)
{
    struct davy_slide_sum sum;
    enum davy_lack lack = davy_measure_timed_covered(state, moment, &sum, ret_measured);
    if (lack == DAVY_LACK_NONE)
        ret_measured->value = sqrt(sum.number[1] / (double)sum.weight);
    return lack;
}

const struct davy_measure_type davy_measure_type_stddev = {
    .open = davy_measure_timed_moments,
    .close = davy_measure_timed_close,
    .take = davy_measure_timed_take,
    .value = value,
    .bytes = davy_measure_timed_bytes,
    .bytes_max = davy_measure_timed_bytes_max,
};
