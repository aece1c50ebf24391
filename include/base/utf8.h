/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8 one code point at a time, and how wide it stands on a terminal. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* A byte that begins no valid sequence. */
#define DAVY_UTF8_BAD UINT32_MAX

/*
 * Decode the first code point of `text`, which is not empty (RFC 3629: no overlong forms, no surrogates).
 * ret_code  DAVY_UTF8_BAD for a stray byte
 * returns   its bytes, at least 1
 */
size_t davy_utf8_next(const char *text, uint32_t *ret_code);

/* C0, DEL, C1, and what turns the direction of text around: nothing that a name may do to a terminal. */
bool davy_utf8_is_control(uint32_t code);

/*
 * Foreign text for a line of a log or a terminal: controls, newlines too, and bytes that are not UTF-8 become \xHH.
 * Appended, cut off where there is no room.
 */
void davy_utf8_escape(struct davy_buf *out, const char *text);

/* Columns: 0 for combining marks, 2 for East Asian wide and emoji, else 1. */
unsigned davy_utf8_columns(uint32_t code);
