/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers to registers, in every type and order; the counterpart of decode/registers.h, written apart from it so that
 * the two check each other. Pure.
 * Thread: any.
 */
#pragma once

#include <stdint.h>

#include "model/names.h"

/* The most registers that one value occupies. */
#define DAVY_SIM_WORDS_MAX 4

/*
 * value     any double; integers are rounded and saturate, NaN becomes 0 in them
 * returns   davy_type_registers(type) words as they go over the wire; a bool is 0 or 1
 */
void davy_sim_encode(double value, enum davy_type type, enum davy_order order, uint16_t words[DAVY_SIM_WORDS_MAX]);
