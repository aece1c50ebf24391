/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/attr.h"
#include "base/num.h"
#include "decode/registers.h"
#include "support/seed.h"

struct vector {
    enum davy_type type;
    enum davy_order order;
    uint16_t words[4];
    double value;
};

/*
 * Bits of the floats after IEEE 754 (123456.0f is 0x47F12000, as in libmodbus' own unit test; pi as float is 0x40490FDB
 * and as double 0x400921FB54442D18; -0.1 as float is 0xBDCCCCCD). Orders as davyd.conf(5) names them.
 */
static const struct vector vectors[] = {
    {DAVY_TYPE_INT16, DAVY_ORDER_ABCD, {0xFFFE}, -2},
    {DAVY_TYPE_INT16, DAVY_ORDER_CDAB, {0xFFFE}, -2},
    {DAVY_TYPE_INT16, DAVY_ORDER_BADC, {0xFEFF}, -2},
    {DAVY_TYPE_INT16, DAVY_ORDER_DCBA, {0x0080}, -32768},
    {DAVY_TYPE_UINT16, DAVY_ORDER_ABCD, {0x8001}, 32769},
    {DAVY_TYPE_UINT16, DAVY_ORDER_CDAB, {0x8001}, 32769},
    {DAVY_TYPE_UINT16, DAVY_ORDER_BADC, {0x0180}, 32769},
    {DAVY_TYPE_UINT16, DAVY_ORDER_DCBA, {0x0180}, 32769},
    {DAVY_TYPE_BOOL, DAVY_ORDER_ABCD, {0x0000}, 0},
    {DAVY_TYPE_BOOL, DAVY_ORDER_ABCD, {0x0100}, 1},
    {DAVY_TYPE_INT32, DAVY_ORDER_ABCD, {0xFFFE, 0x1DC0}, -123456},
    {DAVY_TYPE_INT32, DAVY_ORDER_CDAB, {0x1DC0, 0xFFFE}, -123456},
    {DAVY_TYPE_INT32, DAVY_ORDER_BADC, {0xFEFF, 0xC01D}, -123456},
    {DAVY_TYPE_INT32, DAVY_ORDER_DCBA, {0xC01D, 0xFEFF}, -123456},
    {DAVY_TYPE_UINT32, DAVY_ORDER_ABCD, {0x89AB, 0xCDEF}, 2309737967.0},
    {DAVY_TYPE_UINT32, DAVY_ORDER_CDAB, {0xCDEF, 0x89AB}, 2309737967.0},
    {DAVY_TYPE_UINT32, DAVY_ORDER_BADC, {0xAB89, 0xEFCD}, 2309737967.0},
    {DAVY_TYPE_UINT32, DAVY_ORDER_DCBA, {0xEFCD, 0xAB89}, 2309737967.0},
    {DAVY_TYPE_FLOAT32, DAVY_ORDER_ABCD, {0x47F1, 0x2000}, 123456},
    {DAVY_TYPE_FLOAT32, DAVY_ORDER_CDAB, {0x2000, 0x47F1}, 123456},
    {DAVY_TYPE_FLOAT32, DAVY_ORDER_BADC, {0xF147, 0x0020}, 123456},
    {DAVY_TYPE_FLOAT32, DAVY_ORDER_DCBA, {0x0020, 0xF147}, 123456},
    {DAVY_TYPE_FLOAT32, DAVY_ORDER_ABCD, {0xBDCC, 0xCCCD}, (double)-0.1F},
    {DAVY_TYPE_INT64, DAVY_ORDER_ABCD, {0xFFFF, 0xFFFF, 0xFFFE, 0x1DC0}, -123456},
    {DAVY_TYPE_INT64, DAVY_ORDER_CDAB, {0x1DC0, 0xFFFE, 0xFFFF, 0xFFFF}, -123456},
    {DAVY_TYPE_INT64, DAVY_ORDER_BADC, {0xFFFF, 0xFFFF, 0xFEFF, 0xC01D}, -123456},
    {DAVY_TYPE_INT64, DAVY_ORDER_DCBA, {0xC01D, 0xFEFF, 0xFFFF, 0xFFFF}, -123456},
    {DAVY_TYPE_UINT64, DAVY_ORDER_ABCD, {0x8000, 0, 0, 0x0001}, 9223372036854775808.0},
    {DAVY_TYPE_UINT64, DAVY_ORDER_CDAB, {0x0002, 0x0001, 0, 0}, 65538},
    {DAVY_TYPE_UINT64, DAVY_ORDER_BADC, {0, 0, 0x0100, 0x0200}, 65538},
    {DAVY_TYPE_UINT64, DAVY_ORDER_DCBA, {0x0200, 0x0100, 0, 0}, 65538},
    {DAVY_TYPE_FLOAT64, DAVY_ORDER_ABCD, {0x4009, 0x21FB, 0x5444, 0x2D18}, 3.141592653589793},
    {DAVY_TYPE_FLOAT64, DAVY_ORDER_CDAB, {0x2D18, 0x5444, 0x21FB, 0x4009}, 3.141592653589793},
    {DAVY_TYPE_FLOAT64, DAVY_ORDER_BADC, {0x0940, 0xFB21, 0x4454, 0x182D}, 3.141592653589793},
    {DAVY_TYPE_FLOAT64, DAVY_ORDER_DCBA, {0x182D, 0x4454, 0xFB21, 0x0940}, 3.141592653589793},
};

static void every_type_and_order_has_its_known_value(void **state)
{
    (void)state;
    for (size_t i = 0; i < DAVY_LENGTH(vectors); i++) {
        const struct vector *vector = &vectors[i];
        double got =
            davy_registers_number(davy_registers_raw(vector->words, vector->type, vector->order), vector->type);
        assert_memory_equal(&got, &vector->value, sizeof got);
    }
}

static void nan_and_infinity_come_through_as_such(void **state)
{
    (void)state;
    assert_true(isnan(davy_registers_number(0x7FC00000, DAVY_TYPE_FLOAT32)));
    assert_true(isnan(davy_registers_number(0x7F800001, DAVY_TYPE_FLOAT32)));
    assert_true(isinf(davy_registers_number(0xFF800000, DAVY_TYPE_FLOAT32)));
    assert_true(isnan(davy_registers_number(0x7FF0000000000001, DAVY_TYPE_FLOAT64)));
    assert_true(isinf(davy_registers_number(0x7FF0000000000000, DAVY_TYPE_FLOAT64)));
}

static void only_the_words_of_the_type_are_used(void **state)
{
    (void)state;
    const uint16_t words[4] = {1, 2, 3, 4};
    assert_int_equal(davy_registers_raw(words, DAVY_TYPE_UINT16, DAVY_ORDER_CDAB), 1);
    assert_int_equal(davy_registers_raw(words, DAVY_TYPE_UINT32, DAVY_ORDER_CDAB), 0x20001);
    assert_int_equal(davy_registers_raw(words, DAVY_TYPE_UINT64, DAVY_ORDER_CDAB), 0x4000300020001);
}

/* Put the bits of `raw` on the wire in an order, apart from how they are taken off: byte by byte by the order's name.
 */
static void put(uint64_t raw, unsigned registers, enum davy_order order, uint16_t *words)
{
    uint8_t bytes[8];
    for (unsigned i = 0; i < 2 * registers; i++)
        bytes[i] = (uint8_t)(raw >> 8 * (2 * registers - 1 - i));
    for (unsigned i = 0; i < registers; i++) {
        bool reversed = order == DAVY_ORDER_CDAB || order == DAVY_ORDER_DCBA;
        bool swapped = order == DAVY_ORDER_BADC || order == DAVY_ORDER_DCBA;
        unsigned from = reversed ? registers - 1 - i : i;
        words[i] = (uint16_t)(bytes[2 * from + swapped] << 8 | bytes[2 * from + !swapped]);
    }
}

static void what_was_put_in_any_order_is_taken_back(void **state)
{
    (void)state;
    struct davy_random random = {.state = davy_test_seed(1)};
    for (int i = 0; i < 10000; i++) {
        enum davy_type type = (enum davy_type)(davy_random_next(&random) % DAVY_TYPE_COUNT_);
        enum davy_order order = (enum davy_order)(davy_random_next(&random) % DAVY_ORDER_COUNT_);
        unsigned registers = davy_type_registers(type);
        uint64_t raw = davy_random_next(&random) >> (64 - 16 * registers);
        uint16_t words[4] = {0};
        put(raw, registers, order, words);
        assert_true(davy_registers_raw(words, type, order) == raw);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_and_order_has_its_known_value),
        cmocka_unit_test(nan_and_infinity_come_through_as_such),
        cmocka_unit_test(only_the_words_of_the_type_are_used),
        cmocka_unit_test(what_was_put_in_any_order_is_taken_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
