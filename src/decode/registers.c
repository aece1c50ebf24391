/* SPDX-License-Identifier: Apache-2.0 */
#include "decode/registers.h"

#include <string.h>

/* What an order does to a big-endian sequence of registers. */
static const struct {
    bool words_reversed;
    bool bytes_swapped;
} orders[DAVY_ORDER_COUNT_] = {
    [DAVY_ORDER_ABCD] = {false, false},
    [DAVY_ORDER_CDAB] = {true, false},
    [DAVY_ORDER_BADC] = {false, true},
    [DAVY_ORDER_DCBA] = {true, true},
};

uint64_t davy_registers_raw(const uint16_t *words, enum davy_type type, enum davy_order order)
{
    unsigned count = davy_type_registers(type);
    uint64_t raw = 0;
    for (unsigned i = 0; i < count; i++) {
        unsigned word = words[orders[order].words_reversed ? count - 1 - i : i];
        if (orders[order].bytes_swapped)
            word = (word >> 8 | word << 8) & 0xFFFFU;
        raw = raw << 16 | word;
    }
    return raw;
}

/* The copies keep the bits of a signalling NaN until the conversion to double. */
static double float32_number(uint64_t raw)
{
    uint32_t bits = (uint32_t)raw;
    float number;
    memcpy(&number, &bits, sizeof number);
    return (double)number;
}

static double float64_number(uint64_t raw)
{
    double number;
    memcpy(&number, &raw, sizeof number);
    return number;
}

double davy_registers_number(uint64_t raw, enum davy_type type)
{
    switch (type) {
    case DAVY_TYPE_BOOL:
        return raw != 0 ? 1.0 : 0.0;
    case DAVY_TYPE_INT16:
        return (double)(int16_t)(uint16_t)raw;
    case DAVY_TYPE_INT32:
        return (double)(int32_t)(uint32_t)raw;
    case DAVY_TYPE_INT64:
        return (double)(int64_t)raw;
    case DAVY_TYPE_FLOAT32:
        return float32_number(raw);
    case DAVY_TYPE_FLOAT64:
        return float64_number(raw);
    case DAVY_TYPE_UINT16:
    case DAVY_TYPE_UINT32:
    case DAVY_TYPE_UINT64:
    case DAVY_TYPE_COUNT_:
        break;
    }
    return (double)raw;
}
