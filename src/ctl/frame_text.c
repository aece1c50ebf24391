/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions and frames: Modbus Application Protocol V1.1b3, 6; Modbus over Serial Line V1.02, 2.3; Messaging on TCP/IP
 * V1.0b, 3.
 */
#include "ctl/frame_text.h"

#include <string.h>

#include "acquire/frame.h"
#include "base/buf.h"

#define HEADER    7 /* transaction, protocol, length, unit */
#define EXCEPTION 0x80U
#define SHOWN     8 /* registers that are shown */

/* What stands between the unit and the end. */
struct pdu {
    uint8_t unit;
    const uint8_t *bytes;
    size_t length;
};

static const struct {
    uint8_t function;
    const char *reads; /* of which table, else NULL */
    const char *text;  /* else what it does */
} functions[] = {
    {1, "coil", NULL},
    {2, "discrete", NULL},
    {3, "holding", NULL},
    {4, "input", NULL},
    {5, NULL, "write one coil"},
    {6, NULL, "write one register"},
    {8, NULL, "diagnostics"},
    {15, NULL, "write coils"},
    {16, NULL, "write registers"},
    {17, NULL, "report server id"},
    {23, NULL, "read and write registers"},
    {43, NULL, "read device identification"},
};

static unsigned word(const uint8_t *bytes)
{
    return (unsigned)bytes[0] << 8 | bytes[1];
}

static const char *table_of(uint8_t function)
{
    for (size_t i = 0; i < DAVY_LENGTH(functions); i++)
        if (functions[i].function == function)
            return functions[i].reads;
    return NULL;
}

static const char *name_of(uint8_t function)
{
    for (size_t i = 0; i < DAVY_LENGTH(functions); i++)
        if (functions[i].function == function)
            return functions[i].text;
    return NULL;
}

/* A read: register and count. A write of one: register and value. */
static void put_request(struct davy_buf *buf, const struct pdu *pdu)
{
    const uint8_t function = pdu->bytes[0];
    const char *table = table_of(function), *name = name_of(function);
    if (table && pdu->length == 5)
        davy_buf_printf(buf, "read %u of %s from %u", word(pdu->bytes + 3), table, word(pdu->bytes + 1));
    else if (name && pdu->length >= 5)
        davy_buf_printf(buf, "%s at %u (%u)", name, word(pdu->bytes + 1), word(pdu->bytes + 3));
    else if (name)
        davy_buf_text(buf, name);
    else
        davy_buf_printf(buf, "function %u, %zu bytes", function, pdu->length);
}

static bool is_data(const struct pdu *pdu)
{
    return table_of(pdu->bytes[0]) && pdu->length >= 2 && pdu->length == 2U + pdu->bytes[1];
}

static void put_data(struct davy_buf *buf, const struct pdu *pdu)
{
    const bool bits = pdu->bytes[0] <= 2;
    const size_t count = pdu->bytes[1];
    davy_buf_printf(buf, "%s", table_of(pdu->bytes[0]));
    for (size_t i = 0; i < count && !bits && i / 2 < SHOWN; i += 2)
        davy_buf_printf(buf, i + 1 < count ? " %02x%02x" : " %02x", pdu->bytes[2 + i], pdu->bytes[3 + i]);
    for (size_t i = 0; i < count && bits && i < SHOWN; i++)
        davy_buf_printf(buf, " %02x", pdu->bytes[2 + i]);
    if (count > SHOWN * (bits ? 1U : 2U))
        davy_buf_printf(buf, " … (%zu bytes)", count);
}

/* Returns whether it is sound and no exception. */
static bool put_reply(struct davy_buf *buf, const struct pdu *pdu)
{
    const uint8_t function = pdu->bytes[0];
    if (function & EXCEPTION) {
        if (pdu->length == 2)
            davy_buf_printf(buf, "exception %u to function %u", pdu->bytes[1], function & ~EXCEPTION);
        else
            davy_buf_printf(buf, "exception to function %u, not of its length", function & ~EXCEPTION);
        return false;
    }
    if (is_data(pdu)) {
        put_data(buf, pdu);
        return true;
    }
    if (table_of(function) && pdu->length != 5) {
        davy_buf_printf(buf, "%s, says %u bytes and has %zu", table_of(function), pdu->length > 1 ? pdu->bytes[1] : 0,
                        pdu->length > 2 ? pdu->length - 2 : 0);
        return false;
    }
    put_request(buf, pdu); /* the answer to a write repeats it; a read is another master's */
    return true;
}

/* Take the frame apart; false, and told, where it is none. */
static bool take_line(struct davy_buf *buf, const uint8_t *bytes, size_t length, struct pdu *ret_pdu)
{
    if (length < 4) {
        davy_buf_printf(buf, "%zu bytes: too short for a frame", length);
        return false;
    }
    const unsigned is = (unsigned)bytes[length - 1] << 8 | bytes[length - 2];
    const unsigned should = davy_frame_crc(bytes, length - 2);
    if (is != should) {
        davy_buf_printf(buf, "crc is %04x, should be %04x: %zu bytes, unit %u, function %u", is, should, length,
                        bytes[0], bytes[1]);
        return false;
    }
    *ret_pdu = (struct pdu){bytes[0], bytes + 1, length - 3};
    return true;
}

static bool take_tcp(struct davy_buf *buf, const uint8_t *bytes, size_t length, struct pdu *ret_pdu)
{
    if (length < HEADER + 1) {
        davy_buf_printf(buf, "%zu bytes: too short for a frame", length);
        return false;
    }
    davy_buf_printf(buf, "#%u ", word(bytes));
    if (word(bytes + 2) != 0 || word(bytes + 4) != length - HEADER + 1) {
        davy_buf_printf(buf, "protocol %u, length %u of %zu: not a Modbus header", word(bytes + 2), word(bytes + 4),
                        length - HEADER + 1);
        return false;
    }
    *ret_pdu = (struct pdu){bytes[HEADER - 1], bytes + HEADER, length - HEADER};
    return true;
}

void davy_frame_text(const uint8_t *bytes, size_t length, size_t whole, bool tcp, bool request,
                     struct frame_text *ret_text)
{
    struct davy_buf buf;
    struct pdu pdu;
    davy_buf_init(&buf, ret_text->text, sizeof ret_text->text);
    ret_text->bad = true;
    if (whole > length) {
        davy_buf_printf(&buf, "%zu bytes: too long for a frame", whole);
        return;
    }
    if (tcp ? !take_tcp(&buf, bytes, length, &pdu) : !take_line(&buf, bytes, length, &pdu))
        return;
    davy_buf_printf(&buf, "unit %u: ", pdu.unit);
    if (request)
        put_request(&buf, &pdu);
    ret_text->bad = !request && !put_reply(&buf, &pdu);
}

static int digit(char c)
{
    const char *digits = "0123456789abcdef", *found = c ? strchr(digits, c) : NULL;
    return found ? (int)(found - digits) : -1;
}

long davy_frame_bytes(const char *hex, uint8_t *bytes, size_t size)
{
    size_t count = 0;
    for (; hex[0] && count < size; hex += 2) {
        const int high = digit(hex[0]), low = digit(hex[1]);
        if (high < 0 || low < 0)
            return -1;
        bytes[count++] = (uint8_t)(high << 4 | low);
    }
    return hex[0] ? -1 : (long)count;
}
