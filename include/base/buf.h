/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text built into a buffer of fixed size. Overflow is sticky: build all, then ask once. Also the writer of JSON.
 * Thread: one caller at a time per object. Nothing here allocates or fails otherwise.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/clock.h"

struct davy_buf {
    char *text; /* always ends with NUL */
    size_t size;
    size_t length;
    bool overflow;
};

/* A buffer over `size` bytes of `text` (size >= 1), which the caller keeps alive. */
void davy_buf_init(struct davy_buf *buf, char *text, size_t size);

/* Append. What does not fit is left out whole and sets `overflow`; nothing is appended after that. */
void davy_buf_char(struct davy_buf *buf, char c);
void davy_buf_text(struct davy_buf *buf, const char *text);
void davy_buf_bytes(struct davy_buf *buf, const char *bytes, size_t length);
void davy_buf_printf(struct davy_buf *buf, const char *format, ...) DAVY_PRINTF(2, 3);

/*
 * JSON. Keys and values carry their own commas: a comma is written unless the last character opens something.
 * Strings are escaped after RFC 8259; bytes that are not UTF-8 become U+FFFD. A NULL string is null; a number that is
 * not finite is null.
 */
void davy_json_open(struct davy_buf *buf, char bracket);  /* '{' or '['; as an element of a list */
void davy_json_close(struct davy_buf *buf, char bracket); /* '}' or ']' */
void davy_json_key(struct davy_buf *buf, const char *key);
void davy_json_key_open(struct davy_buf *buf, const char *key, char bracket);
void davy_json_text(struct davy_buf *buf, const char *key, const char *value);
void davy_json_number(struct davy_buf *buf, const char *key, double value);
void davy_json_integer(struct davy_buf *buf, const char *key, int64_t value);
void davy_json_bool(struct davy_buf *buf, const char *key, bool value);
void davy_json_null(struct davy_buf *buf, const char *key);
void davy_json_time(struct davy_buf *buf, const char *key, davy_wall value);

/* An element of a list. */
void davy_json_text_item(struct davy_buf *buf, const char *value);

/* An element or, with a key, a member that is JSON already. */
void davy_json_raw(struct davy_buf *buf, const char *key, const char *json);
