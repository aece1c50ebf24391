/* SPDX-License-Identifier: Apache-2.0 */
/* A raw Modbus frame in words. Foreign data: every byte may be wrong. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* With its end. */
#define FRAME_TEXT 256

struct frame_text {
    char text[FRAME_TEXT]; /* "unit 3: read 2 of holding from 107", "unit 3: 4 bytes", "crc wrong …" */
    bool bad;              /* not a whole and sound frame, or an exception */
};

/*
 * bytes     `length` of them, from the beginning of the frame
 * whole     the frame's length on the wire; more than `length` where it was cut off
 * tcp       with an MBAP header, else with a CRC
 * request   it was sent by a master; else a reply, or of a foreign frame whatever fits
 */
void davy_frame_text(const uint8_t *bytes, size_t length, size_t whole, bool tcp, bool request,
                     struct frame_text *ret_text);

/* The bytes of a hexadecimal text, at most `size`; the count, or -1 where it is none. */
long davy_frame_bytes(const char *hex, uint8_t *bytes, size_t size);
