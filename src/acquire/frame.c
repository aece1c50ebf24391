/* SPDX-License-Identifier: Apache-2.0 */
#include "acquire/frame.h"

#include <stdbool.h>
#include <string.h>

#define EXCEPTION_BIT 0x80U
#define MBAP_LENGTH   7U
#define CRC_LENGTH    2U

static const uint8_t functions[DAVY_TABLE_COUNT_] = {
    [DAVY_TABLE_COIL] = 1,
    [DAVY_TABLE_DISCRETE] = 2,
    [DAVY_TABLE_INPUT] = 4,
    [DAVY_TABLE_HOLDING] = 3,
};

static bool is_bits(const struct davy_bus_request *request)
{
    return request->table == DAVY_TABLE_COIL || request->table == DAVY_TABLE_DISCRETE;
}

uint16_t davy_frame_crc(const uint8_t *bytes, size_t length)
{
    /* Half a byte a step; the table is what four steps of the polynomial A001 make of the low bits. */
    static const uint16_t steps[16] = {0x0000, 0xCC01, 0xD801, 0x1400, 0xF001, 0x3C00, 0x2800, 0xE401,
                                       0xA001, 0x6C00, 0x7800, 0xB401, 0x5000, 0x9C01, 0x8801, 0x4400};
    unsigned crc = 0xFFFF;
    for (size_t i = 0; i < length; i++) {
        crc ^= bytes[i];
        crc = crc >> 4 ^ steps[crc & 0xFU];
        crc = crc >> 4 ^ steps[crc & 0xFU];
    }
    return (uint16_t)crc;
}

size_t davy_frame_data_bytes(const struct davy_bus_request *request)
{
    return is_bits(request) ? (request->count + 7U) / 8U : 2U * request->count;
}

static void put_word(uint8_t *bytes, uint16_t word)
{
    bytes[0] = (uint8_t)(word >> 8);
    bytes[1] = (uint8_t)word;
}

static uint16_t get_word(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

/* Unit, function, start, count: the part that both transports share. */
static void put_request(const struct davy_bus_request *request, uint8_t bytes[6])
{
    bytes[0] = request->unit;
    bytes[1] = functions[request->table];
    put_word(bytes + 2, request->start);
    put_word(bytes + 4, request->count);
}

void davy_frame_rtu_request(const struct davy_bus_request *request, uint8_t frame[DAVY_FRAME_RTU_REQUEST])
{
    put_request(request, frame);
    uint16_t crc = davy_frame_crc(frame, 6);
    frame[6] = (uint8_t)crc;
    frame[7] = (uint8_t)(crc >> 8);
}

void davy_frame_tcp_request(const struct davy_bus_request *request, uint16_t transaction,
                            uint8_t frame[DAVY_FRAME_TCP_REQUEST])
{
    put_word(frame, transaction);
    put_word(frame + 2, 0);
    put_word(frame + 4, 6);
    put_request(request, frame + 6);
}

static void take_registers(const uint8_t *data, size_t count, uint16_t *words)
{
    for (size_t i = 0; i < count; i++)
        words[i] = get_word(data + 2 * i);
}

static void take_bits(const uint8_t *data, size_t count, uint16_t *words)
{
    memset(words, 0, DAVY_BLOCK_WORDS * sizeof *words);
    for (size_t i = 0; i < count; i++)
        words[i / 16] |= (uint16_t)((data[i / 8] >> (i % 8) & 1U) << (i % 16));
}

static enum davy_answer take_exception(uint8_t code, struct davy_bus_reply *ret_reply)
{
    if (code == 0 || code == 255)
        return DAVY_ANSWER_INVALID;
    ret_reply->exception = code;
    return DAVY_ANSWER_EXCEPTION;
}

/* `bytes`: unit, function and all that follows, without the transport's own. */
static enum davy_answer take_reply(const struct davy_bus_request *request, const uint8_t *bytes, size_t length,
                                   struct davy_bus_reply *ret_reply)
{
    if (length < 3 || bytes[0] != request->unit)
        return DAVY_ANSWER_INVALID;
    if (bytes[1] == (functions[request->table] | EXCEPTION_BIT))
        return length == 3 ? take_exception(bytes[2], ret_reply) : DAVY_ANSWER_INVALID;
    size_t data = davy_frame_data_bytes(request);
    if (bytes[1] != functions[request->table] || bytes[2] != data || length != 3 + data || data > 2 * DAVY_BLOCK_WORDS)
        return DAVY_ANSWER_INVALID;
    if (is_bits(request))
        take_bits(bytes + 3, request->count, ret_reply->words);
    else
        take_registers(bytes + 3, request->count, ret_reply->words);
    return DAVY_ANSWER_OK;
}

static bool has_crc(const uint8_t *frame, size_t length)
{
    uint16_t crc = davy_frame_crc(frame, length - CRC_LENGTH);
    return frame[length - 2] == (crc & 0xFFU) && frame[length - 1] == crc >> 8;
}

enum davy_answer davy_frame_rtu_reply(const struct davy_bus_request *request, const uint8_t *frame, size_t length,
                                      struct davy_bus_reply *ret_reply)
{
    ret_reply->answer = DAVY_ANSWER_INVALID;
    if (length < 3 + CRC_LENGTH)
        return DAVY_ANSWER_INVALID;
    if (has_crc(frame, length))
        ret_reply->answer = take_reply(request, frame, length - CRC_LENGTH, ret_reply);
    return ret_reply->answer;
}

bool davy_frame_tcp_head(const struct davy_bus_request *request, uint16_t transaction, const uint8_t head[6])
{
    uint16_t length = get_word(head + 4);
    return get_word(head) == transaction && get_word(head + 2) == 0 &&
           (length == 3 || length == 3 + davy_frame_data_bytes(request));
}

enum davy_answer davy_frame_tcp_reply(const struct davy_bus_request *request, uint16_t transaction,
                                      const uint8_t *frame, size_t length, struct davy_bus_reply *ret_reply)
{
    ret_reply->answer = DAVY_ANSWER_INVALID;
    if (length < MBAP_LENGTH || get_word(frame) != transaction || get_word(frame + 2) != 0 ||
        get_word(frame + 4) != length - 6)
        return DAVY_ANSWER_INVALID;
    ret_reply->answer = take_reply(request, frame + 6, length - 6, ret_reply);
    return ret_reply->answer;
}

/* Of a longer read the probe is a short one: two registers, which may be a float. */
#define LONG_READ 8

struct davy_bus_request davy_frame_probe(const struct davy_bus_request *request)
{
    struct davy_bus_request probe = *request;
    uint16_t step = is_bits(request) ? 8 : 1; /* one byte of bits, one register */
    if (request->count > LONG_READ * step) {
        probe.count = (uint16_t)(2 * step);
        return probe;
    }
    if (request->count > step) {
        probe.count = (uint16_t)(request->count - step);
        return probe;
    }
    probe.count = (uint16_t)(request->count + step);
    if (request->start + probe.count > 65536)
        probe.start = (uint16_t)(request->start - step);
    return probe;
}

/* ---- what is on a line ---- */

#define EXCEPTION_LENGTH    5U
#define REQUEST_LENGTH      8U
#define WRITE_HEAD          7U  /* write multiple: unit, function, start, count, byte count */
#define LAST_SHORT_FUNCTION 6U  /* 1 to 6 are asked for in 8 bytes */
#define LAST_FUNCTION       43U /* of the public ones; fewer that noise may look like */
#define WRITE_COILS         15U
#define WRITE_REGISTERS     16U

enum davy_table davy_frame_table(uint8_t function)
{
    for (unsigned table = 0; table < DAVY_TABLE_COUNT_; table++)
        if (functions[table] == function)
            return (enum davy_table)table;
    return DAVY_TABLE_COUNT_;
}

static bool is_whole(const uint8_t *bytes, size_t length, size_t frame)
{
    return frame <= length && has_crc(bytes, frame);
}

static bool is_exception(const uint8_t *bytes, size_t length)
{
    return length >= EXCEPTION_LENGTH && bytes[1] > EXCEPTION_BIT && bytes[1] <= (EXCEPTION_BIT | LAST_FUNCTION) &&
           bytes[2] != 0 && has_crc(bytes, EXCEPTION_LENGTH);
}

static size_t reply_length(const uint8_t *bytes, size_t length)
{
    bool reads = length > 3 && bytes[2] != 0 && davy_frame_table(bytes[1]) != DAVY_TABLE_COUNT_;
    size_t frame = reads ? 3U + bytes[2] + CRC_LENGTH : 0;
    return reads && is_whole(bytes, length, frame) ? frame : 0;
}

static size_t request_length(const uint8_t *bytes, size_t length)
{
    bool writes = length > WRITE_HEAD && (bytes[1] == WRITE_COILS || bytes[1] == WRITE_REGISTERS);
    if (writes && is_whole(bytes, length, WRITE_HEAD + bytes[6] + CRC_LENGTH))
        return WRITE_HEAD + bytes[6] + CRC_LENGTH;
    bool is_short = length >= REQUEST_LENGTH && bytes[1] >= 1 &&
                    (bytes[1] <= LAST_SHORT_FUNCTION || bytes[1] == WRITE_COILS || bytes[1] == WRITE_REGISTERS);
    return is_short && has_crc(bytes, REQUEST_LENGTH) ? REQUEST_LENGTH : 0;
}

/* Bytes of data that the reply to a read would have. */
static uint16_t asked_data(const uint8_t *bytes)
{
    const struct davy_bus_request request = {.table = davy_frame_table(bytes[1]), .count = get_word(bytes + 4)};
    return request.table == DAVY_TABLE_COUNT_ ? 0 : (uint16_t)davy_frame_data_bytes(&request);
}

static bool frame_at(const uint8_t *bytes, size_t length, struct davy_frame *ret_frame)
{
    struct davy_frame frame = {.bytes = bytes};
    if (is_exception(bytes, length)) {
        frame.kind = DAVY_FRAME_EXCEPTION;
        frame.length = EXCEPTION_LENGTH;
    } else if ((frame.length = reply_length(bytes, length)) != 0) {
        frame.kind = DAVY_FRAME_REPLY;
        frame.data = bytes[2];
    } else if ((frame.length = request_length(bytes, length)) != 0) {
        frame.kind = DAVY_FRAME_REQUEST;
        frame.start = get_word(bytes + 2);
        frame.data = asked_data(bytes);
    } else {
        return false;
    }
    frame.unit = bytes[0];
    frame.function = bytes[1] & (uint8_t)~EXCEPTION_BIT;
    *ret_frame = frame;
    return true;
}

size_t davy_frame_next(const uint8_t *bytes, size_t length, struct davy_frame *ret_frame)
{
    for (size_t at = 0; at < length; at++)
        if (frame_at(bytes + at, length - at, ret_frame))
            return at;
    *ret_frame = (struct davy_frame){.kind = DAVY_FRAME_NONE};
    return length;
}

/* Length of the reply to `request` that begins here; 0 where none does. */
static size_t begun_length(const struct davy_bus_request *request, const uint8_t *bytes, size_t length)
{
    size_t reply = 3 + davy_frame_data_bytes(request) + CRC_LENGTH;
    if (bytes[0] != request->unit)
        return 0;
    if (length == 1)
        return reply;
    if (bytes[1] == (functions[request->table] | EXCEPTION_BIT))
        return EXCEPTION_LENGTH;
    bool ours = bytes[1] == functions[request->table] && (length == 2 || bytes[2] == davy_frame_data_bytes(request));
    return ours ? reply : 0;
}

size_t davy_frame_begun(const struct davy_bus_request *request, const uint8_t *bytes, size_t length,
                        size_t *ret_missing)
{
    size_t broken = length;
    *ret_missing = 0;
    for (size_t at = 0; at < length; at++) {
        size_t reply = begun_length(request, bytes + at, length - at);
        if (reply > length - at) {
            *ret_missing = reply - (length - at);
            return at;
        }
        if (reply > 0 && broken == length)
            broken = at;
    }
    return broken;
}
