/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long a device takes to answer: percentiles over its last 32 answers. Pure. Thread: one caller at a time per
 * object.
 */
#pragma once

#include <stdint.h>

#include "base/clock.h"

#define DAVY_PACE_WINDOW 32

struct davy_pace {
    uint32_t us[DAVY_PACE_WINDOW];
    uint32_t count; /* answers so far */
};

/* One answer; longer than an hour counts as one. */
void davy_pace_add(struct davy_pace *pace, davy_span turn_around);

/* The time that `percent` (0 to 100) of the window do not exceed, by nearest rank; 0 before the first answer. */
davy_span davy_pace_percentile(const struct davy_pace *pace, unsigned percent);
