/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a bus will carry, before it runs: characters, turn-around and silences (Modbus over
 * Serial Line V1.02, 2.5.1.1), summed. Pure. Thread: any.
 */
#pragma once

#include "model/config.h"

/*
 * Time that one request takes on its bus: characters, silences, an assumed turn-around. TCP: a round trip of 1 ms.
 */
davy_span davy_estimate_request(const struct davy_config *config, const struct davy_request *request);

/* Planned share of the bus time, 1.0 is full: sum of request time over interval. */
double davy_estimate_utilization(const struct davy_config *config, uint32_t bus);

/*
 * The longest time from a step at the sensor's register to its reading, for one point: interval plus the longest time
 * that the rest of the bus can hold the line, once; with `dead` devices that do not answer (the slowest first).
 */
davy_span davy_estimate_detection(const struct davy_config *config, uint32_t point, unsigned dead);
