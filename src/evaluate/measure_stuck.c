/* SPDX-License-Identifier: Apache-2.0 */
/* stuck: seconds since the value last moved by more than epsilon from where it then was. */
#include <math.h>

#include "evaluate/measure_internal.h"

static void take(struct davy_measure_state *state, int64_t at, bool counts, double value)
{
    if (!counts || (state->stuck.any && fabs(value - state->stuck.reference) <= state->options.epsilon))
        return;
    state->stuck.any = true;
    state->stuck.reference = value;
    state->stuck.since = at;
}

static enum davy_lack value(struct davy_measure_state *state, const struct davy_moment *moment,
                            struct davy_measured *ret_measured)
{
    if (!state->stuck.any)
        return DAVY_LACK_HISTORY;
    ret_measured->value = (double)(moment->now.mono.ns - state->stuck.since) / (double)DAVY_NS_PER_S;
    return DAVY_LACK_NONE;
}

const struct davy_measure_type davy_measure_type_stuck = {.take = take, .value = value};
