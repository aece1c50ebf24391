/* SPDX-License-Identifier: Apache-2.0 */
/* value: the reading itself. */
#include "evaluate/measure_internal.h"

static enum davy_lack value(struct davy_measure_state *state, const struct davy_moment *moment,
                            struct davy_measured *ret_measured)
{
    (void)state;
    ret_measured->value = moment->value;
    return DAVY_LACK_NONE;
}

const struct davy_measure_type davy_measure_type_value = {.value = value};
