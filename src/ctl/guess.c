/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/guess.h"

#include <math.h>
#include <stdlib.h>

#include "base/attr.h"
#include "decode/registers.h"

/* What sensors give lies between a ten-thousandth and a hundred thousand; a wrong order gives extremes. */
unsigned davy_guess_doubt(enum davy_type type, double value)
{
    const bool is_float = type == DAVY_TYPE_FLOAT32 || type == DAVY_TYPE_FLOAT64;
    const double size = fabs(value);
    if (!isfinite(value))
        return 9;
    if (size < 1e-300)
        return GUESS_ZERO;
    if (is_float)
        return size >= 1e-4 && size <= 1e5 ? 0 : 8;
    return (size <= 1e5 ? 1 : 7) + davy_type_registers(type) / 2;
}

static int compare(const void *left, const void *right)
{
    const struct guess *a = left, *b = right;
    const unsigned keys[2][4] = {{a->offset, a->doubt, a->type, a->order}, {b->offset, b->doubt, b->type, b->order}};
    for (size_t i = 0; i < 4; i++)
        if (keys[0][i] != keys[1][i])
            return keys[0][i] < keys[1][i] ? -1 : 1;
    return 0;
}

/* Swapped words are nothing new in one register. */
static bool is_distinct(enum davy_type type, enum davy_order order)
{
    return davy_type_registers(type) > 1 || order == DAVY_ORDER_ABCD || order == DAVY_ORDER_BADC;
}

static struct guess guess(const uint16_t *words, unsigned offset, enum davy_type type, enum davy_order order)
{
    const double value = davy_registers_number(davy_registers_raw(words + offset, type, order), type);
    return (struct guess){offset, type, order, value, davy_guess_doubt(type, value)};
}

size_t davy_guess_all(const uint16_t *words, size_t count, struct guess *guesses)
{
    size_t made = 0;
    for (int type = DAVY_TYPE_INT16; type < DAVY_TYPE_COUNT_; type++) {
        const unsigned width = davy_type_registers((enum davy_type)type);
        for (int order = 0; order < DAVY_ORDER_COUNT_; order++) {
            if (!is_distinct((enum davy_type)type, (enum davy_order)order))
                continue;
            for (unsigned offset = 0; offset + width <= count; offset += width)
                guesses[made++] = guess(words, offset, (enum davy_type)type, (enum davy_order)order);
        }
    }
    qsort(guesses, made, sizeof *guesses, compare);
    return made;
}

/* How many floats of one order look like measurements; *ret_guess is the first. */
static unsigned count_floats(const uint16_t *words, size_t count, enum davy_order order, struct guess *ret_guess)
{
    unsigned found = 0;
    for (unsigned offset = 0; offset + 2 <= count; offset += 2) {
        const struct guess one = guess(words, offset, DAVY_TYPE_FLOAT32, order);
        if (one.doubt == 0 && found++ == 0)
            *ret_guess = one;
    }
    return found;
}

/*
 * The order that makes the most of them, and how many. Of those with the high word first: with the words swapped each
 * float would be one, of about the same value, at the register before it too.
 */
static unsigned most_floats(const uint16_t *words, size_t count, struct guess *ret_guess)
{
    static const enum davy_order orders[] = {DAVY_ORDER_ABCD, DAVY_ORDER_BADC};
    unsigned most = 0;
    for (size_t i = 0; i < DAVY_LENGTH(orders); i++) {
        struct guess first = {0};
        const unsigned found = count_floats(words, count, orders[i], &first);
        if (found > most) {
            most = found;
            *ret_guess = first;
        }
    }
    return most;
}

int davy_guess_shift(const uint16_t *around, size_t count, struct guess *ret_guess)
{
    struct guess here, before, behind;
    const unsigned found = most_floats(around + 1, count, &here);
    const unsigned earlier = most_floats(around, count, &before), later = most_floats(around + 2, count, &behind);
    if (found >= earlier && found >= later)
        return 0;
    *ret_guess = earlier >= later ? before : behind;
    return earlier >= later ? -1 : 1;
}
