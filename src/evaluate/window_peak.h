/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The greatest reading of a window: only readings that no later one beats are kept, so the oldest kept is the greatest.
 * Thread: one caller at a time per object.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct davy_peak_reading {
    int64_t at;
    double value;
};

struct davy_peak {
    struct davy_peak_reading *readings; /* a ring */
    size_t capacity;
    size_t first;
    size_t count;
    int64_t length;
    int64_t bucket; /* of readings that lie so close together only one is kept; 0: all */
};

void davy_peak_open(struct davy_peak *peak, int64_t length);
void davy_peak_close(struct davy_peak *peak);
void davy_peak_take(struct davy_peak *peak, int64_t at, double value);
/* False: no reading lies in (now - length, now]. */
bool davy_peak_value(struct davy_peak *peak, int64_t now, double *ret_value);
size_t davy_peak_bytes(const struct davy_peak *peak);
size_t davy_peak_bytes_max(int64_t length, int64_t interval);
