/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Modbus frames as bytes: a read request, and the reply to exactly that request. Pure; a reply is foreign data, every
 * byte of it may be wrong. Here because libmodbus does not check unit, length and protocol of a TCP reply
 * (Modbus Application Protocol V1.1b3, 6.1 to 6.4 and 7; Modbus over Serial Line V1.02, 2.5).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "acquire/bus.h"

#define DAVY_FRAME_RTU_REQUEST 8
#define DAVY_FRAME_TCP_REQUEST 12

/* CRC-16 of the serial line; its low byte goes first. */
uint16_t davy_frame_crc(const uint8_t *bytes, size_t length);

/* Bytes of data in the reply. */
size_t davy_frame_data_bytes(const struct davy_bus_request *request);

/* The request as it goes over the wire: with its CRC, or behind an MBAP header. */
void davy_frame_rtu_request(const struct davy_bus_request *request, uint8_t frame[DAVY_FRAME_RTU_REQUEST]);
void davy_frame_tcp_request(const struct davy_bus_request *request, uint16_t transaction,
                            uint8_t frame[DAVY_FRAME_TCP_REQUEST]);

/*
 * Check a whole reply against its request and take out what it says.
 * returns   OK or EXCEPTION with *ret_reply filled; else INVALID, with only its `answer` set
 * An exception with code 0 or 255 is no answer. Bits behind the last requested one are cleared.
 */
enum davy_answer davy_frame_rtu_reply(const struct davy_bus_request *request, const uint8_t *frame, size_t length,
                                      struct davy_bus_reply *ret_reply);
enum davy_answer davy_frame_tcp_reply(const struct davy_bus_request *request, uint16_t transaction,
                                      const uint8_t *frame, size_t length, struct davy_bus_reply *ret_reply);

/*
 * A request to the same unit whose reply cannot be taken for one to `request`: other byte count, as near as can be.
 * Whatever complete answer comes to it, also an exception, proves that nothing late is on the line.
 */
struct davy_bus_request davy_frame_probe(const struct davy_bus_request *request);
