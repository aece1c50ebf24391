/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device as a Modbus server: the registers it has, the values of its points, and its answer to a request. Pure apart
 * from what a write changes in it. Function codes 1 2 3 4 5 6 15 16, 17 and 43/14 (who it is); all others are
 * exception 1. Thread: one.
 */
#pragma once

#include <stdint.h>

#include "sim/frame.h"
#include "sim/plant.h"

#define DAVY_SIM_EXCEPTION_FUNCTION 1
#define DAVY_SIM_EXCEPTION_ADDRESS  2
#define DAVY_SIM_EXCEPTION_VALUE    3

/*
 * Declare `count` (1 or more) registers from `first`; areas that touch are joined.
 * returns   0, -ERANGE beyond 65536, -ENOMEM
 */
int davy_sim_device_declare(struct davy_sim_device *device, enum davy_table table, uint32_t first,
                            uint32_t count) DAVY_MUST_CHECK;

/*
 * Give the registers of point `index`, which are declared, to it.
 * returns   0, or -EEXIST when another point has one of them
 */
int davy_sim_device_claim(struct davy_sim_device *device, size_t index) DAVY_MUST_CHECK;

/* The value of a point at plant time `t_s`; of a written one what was last known before. */
double davy_sim_point_value(const struct davy_sim_point *point, double t_s);

/*
 * Write one register or bit. A point that owns it keeps its other registers and stands still until it is released.
 * returns   0, or -ENOENT where nothing is declared
 */
int davy_sim_device_write(struct davy_sim_device *device, enum davy_table table, uint32_t address, uint16_t value,
                          double t_s) DAVY_MUST_CHECK;

/*
 * The answer to a request.
 * request   `length` bytes, at least 1
 * reply     DAVY_SIM_PDU_MAX bytes
 * returns   its length; an exception is an answer too
 */
size_t davy_sim_device_answer(struct davy_sim_device *device, double t_s, const uint8_t *request, size_t length,
                              uint8_t *reply);

/* An exception reply into `reply`. returns its length, 2 */
size_t davy_sim_exception(uint8_t function, int code, uint8_t *reply);
