/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Modbus frames as bytes: a read request, and the reply to exactly that request. Pure; a reply is foreign data, every
 * byte of it may be wrong. Here because libmodbus does not check unit, length and protocol of a TCP reply
 * (Modbus Application Protocol V1.1b3, 6.1 to 6.4 and 7; Modbus over Serial Line V1.02, 2.5).
 */
#pragma once

#include <stdbool.h>
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
 * Whether the six bytes before the unit can be those of a reply to `request`: transaction, protocol, and the length of
 * data or of an exception.
 */
bool davy_frame_tcp_head(const struct davy_bus_request *request, uint16_t transaction, const uint8_t head[6]);

/* What a complete frame on a serial line can be; by its CRC, whoever sent it. */
enum davy_frame_kind {
    DAVY_FRAME_NONE,
    DAVY_FRAME_REPLY,     /* registers or bits */
    DAVY_FRAME_EXCEPTION, /* a refusal of any function */
    DAVY_FRAME_REQUEST,   /* of a master; a confirmed write looks the same */
};

struct davy_frame {
    enum davy_frame_kind kind;
    const uint8_t *bytes; /* into what was searched */
    size_t length;        /* with CRC */
    uint8_t unit;
    uint8_t function; /* without the bit of an exception */
    uint16_t start;   /* of a request */
    uint16_t data;    /* bytes of data of a reply, or of the reply that a request to read asks for; else 0 */
};

/*
 * The next complete frame in `bytes`, which may begin and end with noise. A frame is taken whole: what looks like
 * another one inside of it is none.
 * returns   bytes before it; with kind NONE `length`
 */
size_t davy_frame_next(const uint8_t *bytes, size_t length, struct davy_frame *ret_frame);

/*
 * Where in `bytes`, which hold no complete frame, a reply to `request` may have begun.
 * ret_missing   bytes that it still lacks; 0: it has the length of a reply, but is broken
 * returns       its offset; `length` where nothing looks like one
 */
size_t davy_frame_begun(const struct davy_bus_request *request, const uint8_t *bytes, size_t length,
                        size_t *ret_missing);

/* The table that a function reads; DAVY_TABLE_COUNT_ for one that reads none. */
enum davy_table davy_frame_table(uint8_t function);

/*
 * A request to the same unit whose reply cannot be taken for one to `request`: another byte count, nearly the same, and
 * short where that one is long.
 */
struct davy_bus_request davy_frame_probe(const struct davy_bus_request *request);
