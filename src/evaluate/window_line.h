/* SPDX-License-Identifier: Apache-2.0 */
/* The line of least squares through the readings of a window. Thread: one caller at a time per object. */
#pragma once

#include "evaluate/window_slide.h"

/*
 * weight: readings; numbers: mean time (ns) and mean value from the origin, sums of time^2 and of time*value around
 * them
 */
extern const struct davy_slide_kind davy_line_kind;

struct davy_line {
    struct davy_slide window;
    int64_t length;
    int64_t newest;
};

void davy_line_open(struct davy_line *line, int64_t length);
void davy_line_take(struct davy_line *line, int64_t at, bool counts, double value);

struct davy_line_fit {
    double slope; /* per second */
    double level; /* at now */
};

/* False: fewer than three readings, or they span less than half of the window. */
bool davy_line_fit(struct davy_line *line, int64_t now, struct davy_line_fit *ret_fit);
