/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strict numbers and durations as text, both ways, in the C locale (the process never calls setlocale).
 * Thread: any.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

/* Enough for davy_num_print() and davy_span_print(), with the end. */
#define DAVY_NUM_TEXT 32

/*
 * The shortest decimal that reads back as the same double ("0.1", "15.2", "1e+22").
 * value     finite
 * returns   text
 */
char *davy_num_print(double value, char text[DAVY_NUM_TEXT]);

/* Whole text as a finite double. 0, or -EINVAL / -ERANGE (infinite) with *ret untouched. */
int davy_num_parse(const char *text, double *ret);

/* Whole text as a whole number in base 10, or 16 behind 0x. 0, -EINVAL or -ERANGE. */
int davy_int_parse(const char *text, int64_t *ret);

/* "250ms" "10s" "15min" "8h" "30d": one whole number and one unit, no sign, no space. 0, -EINVAL or -ERANGE. */
int davy_span_parse(const char *text, davy_span *ret);

/* The same form, in the largest unit that is exact; below one millisecond as "0ms". returns text */
char *davy_span_print(davy_span span, char text[DAVY_NUM_TEXT]);

/* "512MiB" "2GiB" (also KiB, B). 0, -EINVAL or -ERANGE. */
int davy_size_parse(const char *text, int64_t *ret_bytes);

/* A small seedable generator for jitter and tests (splitmix64); not for secrets. */
struct davy_random {
    uint64_t state;
};

/* The next 64 bits. */
uint64_t davy_random_next(struct davy_random *random);

/* Uniform in [0, 1). */
double davy_random_unit(struct davy_random *random);

/* Fill `bytes` from the kernel (getrandom); falls back to the clock where that fails. */
void davy_random_bytes(void *bytes, size_t length);
