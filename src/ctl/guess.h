/* SPDX-License-Identifier: Apache-2.0 */
/* What registers could mean, and what of it looks like a measurement. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/names.h"

/* One way to read some of the registers. */
struct guess {
    unsigned offset; /* of its first register */
    enum davy_type type;
    enum davy_order order;
    double value; /* may be NaN or infinite */
    unsigned doubt;
};

/* Below it a value looks like a measurement; zero is that of a quiet sensor as well as of nothing. */
#define GUESS_ZERO 4

/* 0: looks like a measurement, 9: cannot be one. */
unsigned davy_guess_doubt(enum davy_type type, double value);

/* Guesses per register at most: two orders of the two types of one register, four of the three of two and of four. */
#define GUESSES_PER_REGISTER 16

/*
 * Every type and order at every offset that is a multiple of the type's width, by offset, then plausible ones first.
 * guesses   room for count * GUESSES_PER_REGISTER
 * returns   how many
 */
size_t davy_guess_all(const uint16_t *words, size_t count, struct guess *guesses);

/*
 * Lists that count registers from 1 lead one beside the value. Only floats tell: every whole number looks like one.
 * around    the registers that were asked for, with one more before and behind them
 * count     of those asked for
 * returns   0: floats stand where they were looked for, or nowhere; -1 or 1: more of them stand one before or behind, then
 *           *ret_guess is the first of them, its offset counted from those asked for plus the shift. (A float one behind
 *           looks like one with swapped words here: only the documentation tells these two apart.)
 */
int davy_guess_shift(const uint16_t *around, size_t count, struct guess *ret_guess);
