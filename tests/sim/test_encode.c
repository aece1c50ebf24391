/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sim/encode.h"

struct vector {
    double value;
    enum davy_type type;
    enum davy_order order;
    uint16_t words[DAVY_SIM_WORDS_MAX];
};

/* By hand: 12.5f is 0x41480000, 123456.0f 0x47F12000, pi 0x400921FB54442D18. */
static const struct vector vectors[] = {
    {1, DAVY_TYPE_BOOL, DAVY_ORDER_DCBA, {1}},
    {-1234, DAVY_TYPE_INT16, DAVY_ORDER_ABCD, {0xFB2E}},
    {258, DAVY_TYPE_UINT16, DAVY_ORDER_BADC, {0x0201}},
    {258, DAVY_TYPE_UINT16, DAVY_ORDER_CDAB, {0x0102}},
    {12.5, DAVY_TYPE_FLOAT32, DAVY_ORDER_ABCD, {0x4148, 0x0000}},
    {123456, DAVY_TYPE_FLOAT32, DAVY_ORDER_ABCD, {0x47F1, 0x2000}},
    {123456, DAVY_TYPE_FLOAT32, DAVY_ORDER_CDAB, {0x2000, 0x47F1}},
    {123456, DAVY_TYPE_FLOAT32, DAVY_ORDER_BADC, {0xF147, 0x0020}},
    {123456, DAVY_TYPE_FLOAT32, DAVY_ORDER_DCBA, {0x0020, 0xF147}},
    {0x01020304, DAVY_TYPE_UINT32, DAVY_ORDER_DCBA, {0x0403, 0x0201}},
    {-2, DAVY_TYPE_INT32, DAVY_ORDER_ABCD, {0xFFFF, 0xFFFE}},
    {-2, DAVY_TYPE_INT64, DAVY_ORDER_ABCD, {0xFFFF, 0xFFFF, 0xFFFF, 0xFFFE}},
    {3.141592653589793, DAVY_TYPE_FLOAT64, DAVY_ORDER_ABCD, {0x4009, 0x21FB, 0x5444, 0x2D18}},
    {3.141592653589793, DAVY_TYPE_FLOAT64, DAVY_ORDER_DCBA, {0x182D, 0x4454, 0xFB21, 0x0940}},
};

/* Out of range, or no number. */
static const struct vector limits[] = {
    {40000, DAVY_TYPE_INT16, DAVY_ORDER_ABCD, {0x7FFF}},
    {-40000, DAVY_TYPE_INT16, DAVY_ORDER_ABCD, {0x8000}},
    {32767.4, DAVY_TYPE_INT16, DAVY_ORDER_ABCD, {0x7FFF}},
    {-1, DAVY_TYPE_UINT16, DAVY_ORDER_ABCD, {0}},
    {70000, DAVY_TYPE_UINT16, DAVY_ORDER_ABCD, {0xFFFF}},
    {65535.7, DAVY_TYPE_UINT16, DAVY_ORDER_ABCD, {0xFFFF}},
    {NAN, DAVY_TYPE_UINT16, DAVY_ORDER_ABCD, {0}},
    {NAN, DAVY_TYPE_INT32, DAVY_ORDER_ABCD, {0, 0}},
    {1e300, DAVY_TYPE_INT32, DAVY_ORDER_ABCD, {0x7FFF, 0xFFFF}},
    {-1e300, DAVY_TYPE_INT64, DAVY_ORDER_ABCD, {0x8000, 0, 0, 0}},
    {1e300, DAVY_TYPE_UINT64, DAVY_ORDER_ABCD, {0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF}},
    {INFINITY, DAVY_TYPE_FLOAT32, DAVY_ORDER_ABCD, {0x7F80, 0}},
    {0.6, DAVY_TYPE_UINT16, DAVY_ORDER_ABCD, {1}},
};

static void check(const struct vector *vector)
{
    uint16_t words[DAVY_SIM_WORDS_MAX];
    davy_sim_encode(vector->value, vector->type, vector->order, words);
    assert_memory_equal(words, vector->words, 2 * davy_type_registers(vector->type));
}

static void values_have_their_registers_in_every_order(void **state)
{
    (void)state;
    for (size_t i = 0; i < DAVY_LENGTH(vectors); i++)
        check(&vectors[i]);
}

static void integers_round_and_saturate(void **state)
{
    (void)state;
    for (size_t i = 0; i < DAVY_LENGTH(limits); i++)
        check(&limits[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_have_their_registers_in_every_order),
        cmocka_unit_test(integers_round_and_saturate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
