/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/encode.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

static int64_t to_signed(double value, int bits)
{
    double top = ldexp(1, bits - 1);
    if (isnan(value))
        return 0;
    if (value >= top)
        return bits == 64 ? INT64_MAX : (int64_t)top - 1;
    if (value < -top)
        return bits == 64 ? INT64_MIN : -(int64_t)top;
    return llrint(value);
}

static uint64_t to_unsigned(double value, int bits)
{
    double top = ldexp(1, bits);
    if (isnan(value) || value <= 0)
        return 0;
    if (value >= top - 0.5)
        return bits == 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
    return (uint64_t)rint(value);
}

static uint64_t float_bits(double value)
{
    float f = (float)value;
    uint32_t bits;
    memcpy(&bits, &f, sizeof(bits));
    return bits;
}

static uint64_t double_bits(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

static uint64_t raw_bits(double value, enum davy_type type)
{
    switch (type) {
    case DAVY_TYPE_BOOL:
        return value != 0;
    case DAVY_TYPE_INT16:
        return (uint64_t)to_signed(value, 16);
    case DAVY_TYPE_UINT16:
        return to_unsigned(value, 16);
    case DAVY_TYPE_INT32:
        return (uint64_t)to_signed(value, 32);
    case DAVY_TYPE_UINT32:
        return to_unsigned(value, 32);
    case DAVY_TYPE_INT64:
        return (uint64_t)to_signed(value, 64);
    case DAVY_TYPE_UINT64:
        return to_unsigned(value, 64);
    case DAVY_TYPE_FLOAT32:
        return float_bits(value);
    case DAVY_TYPE_FLOAT64:
        return double_bits(value);
    case DAVY_TYPE_COUNT_:
        break;
    }
    return 0;
}

void davy_sim_encode(double value, enum davy_type type, enum davy_order order, uint16_t words[DAVY_SIM_WORDS_MAX])
{
    uint64_t raw = raw_bits(value, type);
    unsigned count = davy_type_registers(type);
    bool swap_words = order == DAVY_ORDER_CDAB || order == DAVY_ORDER_DCBA;
    bool swap_bytes = type != DAVY_TYPE_BOOL && (order == DAVY_ORDER_BADC || order == DAVY_ORDER_DCBA);
    for (unsigned i = 0; i < count; i++) {
        unsigned place = swap_words ? i : count - 1 - i;
        uint16_t word = (uint16_t)(raw >> (16 * place));
        words[i] = swap_bytes ? __builtin_bswap16(word) : word;
    }
}
