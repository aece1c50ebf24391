/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "base/num.h"

void davy_buf_init(struct davy_buf *buf, char *text, size_t size)
{
    *buf = (struct davy_buf){.text = text, .size = size};
    text[0] = '\0';
}

void davy_buf_bytes(struct davy_buf *buf, const char *bytes, size_t length)
{
    if (buf->overflow || length >= buf->size - buf->length) {
        buf->overflow = true;
        return;
    }
    memcpy(buf->text + buf->length, bytes, length);
    buf->length += length;
    buf->text[buf->length] = '\0';
}

void davy_buf_char(struct davy_buf *buf, char c)
{
    davy_buf_bytes(buf, &c, 1);
}

void davy_buf_text(struct davy_buf *buf, const char *text)
{
    davy_buf_bytes(buf, text, strlen(text));
}

void davy_buf_printf(struct davy_buf *buf, const char *format, ...)
{
    if (buf->overflow)
        return;
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(buf->text + buf->length, buf->size - buf->length, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= buf->size - buf->length) {
        buf->text[buf->length] = '\0';
        buf->overflow = true;
        return;
    }
    buf->length += (size_t)length;
}

/* Behind everything but an opening and a colon. */
static void comma(struct davy_buf *buf)
{
    char last = buf->length > 0 ? buf->text[buf->length - 1] : '{';
    if (last != '{' && last != '[' && last != ':' && last != ',')
        davy_buf_char(buf, ',');
}

/* Length of the UTF-8 sequence at `s`, 0 where there is none (RFC 3629: no overlong forms, no surrogates). */
static size_t utf8_length(const unsigned char *s)
{
    if (s[0] < 0x80)
        return 1;
    if (s[0] >= 0xc2 && s[0] < 0xe0)
        return (s[1] & 0xc0) == 0x80 ? 2 : 0;
    if (s[0] >= 0xe0 && s[0] < 0xf0) {
        if ((s[1] & 0xc0) != 0x80 || (s[2] & 0xc0) != 0x80)
            return 0;
        return (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] >= 0xa0) ? 0 : 3;
    }
    if (s[0] >= 0xf0 && s[0] < 0xf5) {
        if ((s[1] & 0xc0) != 0x80 || (s[2] & 0xc0) != 0x80 || (s[3] & 0xc0) != 0x80)
            return 0;
        return (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] >= 0x90) ? 0 : 4;
    }
    return 0;
}

/* How many bytes need no escape and are ASCII. */
static size_t plain_length(const unsigned char *s)
{
    size_t length = 0;
    while (s[length] >= 0x20 && s[length] < 0x7f && s[length] != '"' && s[length] != '\\')
        length++;
    return length;
}

static void quoted(struct davy_buf *buf, const char *value)
{
    davy_buf_char(buf, '"');
    for (const unsigned char *s = (const unsigned char *)value; *s && !buf->overflow;) {
        size_t length = plain_length(s);
        if (length > 0) {
            davy_buf_bytes(buf, (const char *)s, length);
            s += length;
            continue;
        }
        length = utf8_length(s);
        if (length == 0) {
            davy_buf_text(buf, "\xef\xbf\xbd");
            s++;
            continue;
        }
        if (*s == '"' || *s == '\\')
            davy_buf_printf(buf, "\\%c", *s);
        else if (*s == '\n')
            davy_buf_text(buf, "\\n");
        else if (*s < 0x20 || *s == 0x7f)
            davy_buf_printf(buf, "\\u%04x", *s);
        else
            davy_buf_bytes(buf, (const char *)s, length);
        s += length;
    }
    davy_buf_char(buf, '"');
}

void davy_json_key(struct davy_buf *buf, const char *key)
{
    comma(buf);
    davy_buf_char(buf, '"');
    davy_buf_text(buf, key);
    davy_buf_text(buf, "\":");
}

void davy_json_open(struct davy_buf *buf, char bracket)
{
    comma(buf);
    davy_buf_char(buf, bracket);
}

void davy_json_close(struct davy_buf *buf, char bracket)
{
    davy_buf_char(buf, bracket);
}

void davy_json_key_open(struct davy_buf *buf, const char *key, char bracket)
{
    davy_json_key(buf, key);
    davy_buf_char(buf, bracket);
}

void davy_json_null(struct davy_buf *buf, const char *key)
{
    davy_json_key(buf, key);
    davy_buf_text(buf, "null");
}

void davy_json_text(struct davy_buf *buf, const char *key, const char *value)
{
    if (!value) {
        davy_json_null(buf, key);
        return;
    }
    davy_json_key(buf, key);
    quoted(buf, value);
}

void davy_json_number(struct davy_buf *buf, const char *key, double value)
{
    if (!isfinite(value)) {
        davy_json_null(buf, key);
        return;
    }
    char text[DAVY_NUM_TEXT];
    davy_json_key(buf, key);
    davy_buf_text(buf, davy_num_print(value, text));
}

void davy_json_integer(struct davy_buf *buf, const char *key, int64_t value)
{
    davy_json_key(buf, key);
    davy_buf_printf(buf, "%lld", (long long)value);
}

void davy_json_bool(struct davy_buf *buf, const char *key, bool value)
{
    davy_json_key(buf, key);
    davy_buf_text(buf, value ? "true" : "false");
}

void davy_json_time(struct davy_buf *buf, const char *key, davy_wall value)
{
    char text[DAVY_WALL_TEXT];
    davy_json_text(buf, key, davy_wall_format(value, text));
}

void davy_json_text_item(struct davy_buf *buf, const char *value)
{
    comma(buf);
    quoted(buf, value);
}

void davy_json_raw(struct davy_buf *buf, const char *key, const char *json)
{
    if (key)
        davy_json_key(buf, key);
    else
        comma(buf);
    davy_buf_text(buf, json);
}
