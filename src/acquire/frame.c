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
    unsigned crc = 0xFFFF;
    for (size_t i = 0; i < length; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1U ? crc >> 1 ^ 0xA001U : crc >> 1;
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

enum davy_answer davy_frame_rtu_reply(const struct davy_bus_request *request, const uint8_t *frame, size_t length,
                                      struct davy_bus_reply *ret_reply)
{
    ret_reply->answer = DAVY_ANSWER_INVALID;
    if (length < 3 + CRC_LENGTH)
        return DAVY_ANSWER_INVALID;
    size_t body = length - CRC_LENGTH;
    uint16_t crc = davy_frame_crc(frame, body);
    if (frame[body] == (crc & 0xFFU) && frame[body + 1] == crc >> 8)
        ret_reply->answer = take_reply(request, frame, body, ret_reply);
    return ret_reply->answer;
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

struct davy_bus_request davy_frame_probe(const struct davy_bus_request *request)
{
    struct davy_bus_request probe = *request;
    uint16_t step = is_bits(request) ? 8 : 1; /* one byte of bits, one register */
    if (request->count > step) {
        probe.count = (uint16_t)(request->count - step);
        return probe;
    }
    probe.count = (uint16_t)(request->count + step);
    if (request->start + probe.count > 65536)
        probe.start = (uint16_t)(request->start - step);
    return probe;
}
