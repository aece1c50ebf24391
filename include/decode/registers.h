/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registers to numbers: word and byte order, width, sign. Pure; every input is legal. Own code since libmodbus's float
 * helpers changed their order between versions.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "model/names.h"

/*
 * The raw bits of a value in registers as they came from the wire, brought into ABCD order.
 * words    davy_type_registers(type) of them
 * returns  16, 32 or 64 bits, right-aligned
 */
uint64_t davy_registers_raw(const uint16_t *words, enum davy_type type, enum davy_order order);

/*
 * Those bits as a number. May be NaN or infinite for the float types; 64-bit integers round to double.
 */
double davy_registers_number(uint64_t raw, enum davy_type type);
