/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Modbus frames as a server sees them: find requests in a stream of bytes, wrap replies. Pure; own code, since a
 * simulator must be able to send what no library would.
 * Thread: any.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

#define DAVY_SIM_PDU_MAX 253
#define DAVY_SIM_ADU_MAX 260 /* MBAP header of 7 and a PDU; an RTU frame is at most 256 */

/* A request inside the caller's bytes. */
struct davy_sim_frame {
    uint16_t transaction; /* TCP only */
    uint8_t unit;
    const uint8_t *pdu;
    size_t pdu_length;
    size_t skip;   /* garbage before the frame */
    size_t length; /* of the frame, without `skip` */
};

/* Outcomes of the two finders. */
#define DAVY_SIM_FRAME_MORE 1 /* nothing complete yet */
#define DAVY_SIM_FRAME_BAD  2 /* not Modbus: close the connection, or drop all bytes of a serial line */

/* CRC-16/MODBUS (Modbus over serial line V1.02, 6.2.2). */
uint16_t davy_sim_crc16(const uint8_t *bytes, size_t length);

/* The first request of a TCP stream. 0, DAVY_SIM_FRAME_MORE or DAVY_SIM_FRAME_BAD. */
int davy_sim_frame_tcp(const uint8_t *bytes, size_t length, struct davy_sim_frame *ret_frame) DAVY_MUST_CHECK;

/*
 * The first request of a serial line. Its length follows from its function code; a code of unknown length is a frame
 * when all bytes together have a right CRC.
 * silence   the line has been quiet since: no more bytes belong to these, so look behind an incomplete start as well
 * returns   0, DAVY_SIM_FRAME_MORE, or with `silence` DAVY_SIM_FRAME_BAD
 */
int davy_sim_frame_rtu(const uint8_t *bytes, size_t length, bool silence,
                       struct davy_sim_frame *ret_frame) DAVY_MUST_CHECK;

/* Wrap `pdu_length` (1 to 253) bytes into `adu` of DAVY_SIM_ADU_MAX bytes. returns the length of the whole. */
size_t davy_sim_frame_wrap_tcp(uint8_t *adu, uint16_t transaction, uint8_t unit, const uint8_t *pdu, size_t pdu_length);
size_t davy_sim_frame_wrap_rtu(uint8_t *adu, uint8_t unit, const uint8_t *pdu, size_t pdu_length);
