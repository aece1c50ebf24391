/* SPDX-License-Identifier: Apache-2.0 */
#include "acquire/pace.h"

#include <stdlib.h>
#include <string.h>

#define LONGEST_US (3600 * INT64_C(1000000))

void davy_pace_add(struct davy_pace *pace, davy_span turn_around)
{
    int64_t us = turn_around.ns / DAVY_NS_PER_US;
    pace->us[pace->count++ % DAVY_PACE_WINDOW] = (uint32_t)(us < 0 ? 0 : us < LONGEST_US ? us : LONGEST_US);
    if (pace->count >= 2 * DAVY_PACE_WINDOW)
        pace->count -= DAVY_PACE_WINDOW; /* never wraps */
}

static int compare(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

davy_span davy_pace_percentile(const struct davy_pace *pace, unsigned percent)
{
    uint32_t sorted[DAVY_PACE_WINDOW];
    size_t count = pace->count < DAVY_PACE_WINDOW ? pace->count : DAVY_PACE_WINDOW;
    if (count == 0)
        return (davy_span){0};
    memcpy(sorted, pace->us, sizeof sorted);
    qsort(sorted, count, sizeof *sorted, compare);
    size_t rank = (count * (percent < 100 ? percent : 100) + 99) / 100;
    return (davy_span){sorted[rank > 0 ? rank - 1 : 0] * DAVY_NS_PER_US};
}
