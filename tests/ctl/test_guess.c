/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/attr.h"
#include "base/num.h"
#include "ctl/guess.h"

static const double measured[] = {20.9, 0.35, 12.5, 100, 4.2, -7.25, 71.3, 0.0011, 49999};

/* The words of a float as they come in that order. */
static void put_float(double value, enum davy_order order, uint16_t *words)
{
    const float number = (float)value;
    uint32_t raw;
    memcpy(&raw, &number, sizeof raw);
    const bool bytes = order == DAVY_ORDER_BADC || order == DAVY_ORDER_DCBA;
    const bool swapped = order == DAVY_ORDER_CDAB || order == DAVY_ORDER_DCBA;
    for (unsigned i = 0; i < 2; i++) {
        const uint16_t word = (uint16_t)(raw >> (i == 0 ? 16 : 0));
        words[swapped ? 1 - i : i] = bytes ? (uint16_t)(word << 8 | word >> 8) : word;
    }
}

static void a_float_in_its_order_comes_first(void **state)
{
    (void)state;
    for (size_t v = 0; v < DAVY_LENGTH(measured); v++)
        for (int order = 0; order < DAVY_ORDER_COUNT_; order++) {
            uint16_t words[2];
            struct guess guesses[2 * GUESSES_PER_REGISTER];
            put_float(measured[v], (enum davy_order)order, words);
            const size_t count = davy_guess_all(words, 2, guesses);
            bool found = false;
            for (size_t i = 0; i < count && guesses[i].doubt == 0; i++)
                found = found || (guesses[i].type == DAVY_TYPE_FLOAT32 && guesses[i].order == (enum davy_order)order &&
                                  fabs(guesses[i].value - measured[v]) < 0.01);
            assert_true(found);
        }
}

static void guesses_cover_each_register_and_stay_in_room(void **state)
{
    (void)state;
    uint16_t words[125];
    for (size_t i = 0; i < DAVY_LENGTH(words); i++)
        words[i] = (uint16_t)(i * 2654435761U >> 7);
    for (size_t count = 1; count <= DAVY_LENGTH(words); count++) {
        struct guess *guesses = calloc(count * GUESSES_PER_REGISTER, sizeof *guesses);
        assert_non_null(guesses);
        const size_t made = davy_guess_all(words, count, guesses);
        assert_true(made <= count * GUESSES_PER_REGISTER);
        unsigned next = 0;
        for (size_t i = 0; i < made; i++) {
            assert_true(guesses[i].offset + davy_type_registers(guesses[i].type) <= count);
            next += guesses[i].offset == next;
            if (i > 0 && guesses[i].offset == guesses[i - 1].offset)
                assert_true(guesses[i].doubt >= guesses[i - 1].doubt);
        }
        assert_int_equal(next, count);
        free(guesses);
    }
}

static void extremes_are_doubted(void **state)
{
    (void)state;
    assert_int_equal(davy_guess_doubt(DAVY_TYPE_FLOAT32, (double)NAN), 9);
    assert_int_equal(davy_guess_doubt(DAVY_TYPE_FLOAT32, (double)INFINITY), 9);
    assert_true(davy_guess_doubt(DAVY_TYPE_FLOAT32, 1e-38) > GUESS_ZERO);
    assert_true(davy_guess_doubt(DAVY_TYPE_FLOAT64, -3e30) > GUESS_ZERO);
    assert_int_equal(davy_guess_doubt(DAVY_TYPE_FLOAT32, 0), GUESS_ZERO);
    assert_int_equal(davy_guess_doubt(DAVY_TYPE_UINT16, 0), GUESS_ZERO);
    assert_true(davy_guess_doubt(DAVY_TYPE_UINT16, 209) < GUESS_ZERO);
    assert_true(davy_guess_doubt(DAVY_TYPE_INT32, 2e9) > GUESS_ZERO);
}

static void a_list_that_counts_from_one_is_noticed(void **state)
{
    (void)state;
    for (size_t v = 0; v < DAVY_LENGTH(measured); v++)
        for (int order = 0; order < DAVY_ORDER_COUNT_; order += 2) {
            struct guess before = {.offset = 99};
            uint16_t around[6] = {0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff}; /* asked for: 1 to 4 */
            put_float(measured[v], (enum davy_order)order, around);
            put_float(measured[v] / 3, (enum davy_order)order, around + 2);
            assert_int_equal(davy_guess_shift(around, 4, &before), -1);
            assert_true(fabs(before.value - measured[v]) < 0.01 && before.order == (enum davy_order)order);
        }
    struct guess g;
    uint16_t behind[6] = {0xffff, 0x1234, 0, 0, 0, 0};
    put_float(20.9, DAVY_ORDER_ABCD, behind + 2);
    assert_int_equal(davy_guess_shift(behind, 2, &g), 1);
    assert_int_equal(g.order, DAVY_ORDER_ABCD);
    assert_int_equal(g.offset, 0);
}

static void floats_where_they_belong_and_nothing_give_no_hint(void **state)
{
    (void)state;
    struct guess g;
    uint16_t around[6] = {0};
    assert_int_equal(davy_guess_shift(around, 4, &g), 0);
    memset(around, 0xff, sizeof around);
    assert_int_equal(davy_guess_shift(around, 4, &g), 0);
    put_float(20.9, DAVY_ORDER_ABCD, around + 1);
    assert_int_equal(davy_guess_shift(around, 4, &g), 0);
    assert_int_equal(davy_guess_shift(around, 1, &g), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_float_in_its_order_comes_first),
        cmocka_unit_test(guesses_cover_each_register_and_stay_in_room),
        cmocka_unit_test(extremes_are_doubted),
        cmocka_unit_test(a_list_that_counts_from_one_is_noticed),
        cmocka_unit_test(floats_where_they_belong_and_nothing_give_no_hint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
