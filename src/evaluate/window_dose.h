/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Doses: what readings add up to over a window, once with the uncovered time as 0 and once with each gap at the greater
 * of the readings beside it. Negative readings are 0. Thread: one caller at a time per object.
 */
#pragma once

#include "evaluate/window_timed.h"

struct davy_dose {
    struct davy_slide covered;
    struct davy_slide gaps;
    struct davy_held held;
    double first; /* before the first reading there was this */
    int64_t length;
    int64_t hold;
};

struct davy_dose_bounds {
    double lower;
    double upper;
    double coverage;
};

void davy_dose_open(struct davy_dose *dose, int64_t length, int64_t hold);
void davy_dose_close(struct davy_dose *dose);
void davy_dose_take(struct davy_dose *dose, int64_t at, bool counts, double value);
/* As means over the whole length. */
void davy_dose_value(struct davy_dose *dose, int64_t now, struct davy_dose_bounds *ret_bounds);
size_t davy_dose_bytes(const struct davy_dose *dose);
size_t davy_dose_bytes_max(int64_t length, int64_t hold, int64_t interval);
