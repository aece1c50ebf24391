/* SPDX-License-Identifier: Apache-2.0 */
/* difference: the reading less that of another point. */
#include "evaluate/measure_internal.h"

static enum davy_lack value(struct davy_measure_state *state, const struct davy_moment *moment,
                            struct davy_measured *ret_measured)
{
    (void)state;
    if (!moment->has_other)
        return DAVY_LACK_OTHER;
    ret_measured->value = moment->value - moment->other;
    return DAVY_LACK_NONE;
}

const struct davy_measure_type davy_measure_type_difference = {.value = value};
