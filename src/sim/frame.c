/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/frame.h"

#include <string.h>

#define MBAP_LENGTH    7
#define RTU_LENGTH_MIN 4
#define RTU_LENGTH_MAX 256

uint16_t davy_sim_crc16(const uint8_t *bytes, size_t length)
{
    unsigned crc = 0xFFFF;
    for (size_t i = 0; i < length; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (crc & 1) ? (crc >> 1) ^ 0xA001 : crc >> 1;
    }
    return (uint16_t)crc;
}

int davy_sim_frame_tcp(const uint8_t *bytes, size_t length, struct davy_sim_frame *ret_frame)
{
    if (length < MBAP_LENGTH)
        return DAVY_SIM_FRAME_MORE;
    size_t rest = (size_t)bytes[4] << 8 | bytes[5];
    if (bytes[2] != 0 || bytes[3] != 0 || rest < 2 || rest > DAVY_SIM_PDU_MAX + 1)
        return DAVY_SIM_FRAME_BAD;
    if (length < 6 + rest)
        return DAVY_SIM_FRAME_MORE;
    *ret_frame = (struct davy_sim_frame){
        .transaction = (uint16_t)(bytes[0] << 8 | bytes[1]),
        .unit = bytes[6],
        .pdu = bytes + MBAP_LENGTH,
        .pdu_length = rest - 1,
        .length = 6 + rest,
    };
    return 0;
}

/* Length of a request by its function code; `count_at` is where its byte count is, if it has one. */
static const struct shape {
    uint8_t function;
    uint8_t fixed;
    uint8_t count_at;
} shapes[] = {
    {0x01, 8, 0}, {0x02, 8, 0}, {0x03, 8, 0}, {0x04, 8, 0}, {0x05, 8, 0}, {0x06, 8, 0},  {0x07, 4, 0},   {0x08, 8, 0},
    {0x0B, 4, 0}, {0x0C, 4, 0}, {0x0F, 9, 6}, {0x10, 9, 6}, {0x11, 4, 0}, {0x16, 10, 0}, {0x17, 13, 10}, {0x2B, 7, 0},
};

/* 0: not known, or not yet. */
static size_t request_length(const uint8_t *bytes, size_t length, bool *ret_known)
{
    *ret_known = false;
    if (length < 2)
        return 0;
    for (size_t i = 0; i < DAVY_LENGTH(shapes); i++) {
        if (shapes[i].function != bytes[1])
            continue;
        *ret_known = true;
        if (shapes[i].count_at == 0)
            return shapes[i].fixed;
        return length > shapes[i].count_at ? (size_t)shapes[i].fixed + bytes[shapes[i].count_at] : 0;
    }
    return 0;
}

static bool crc_is_right(const uint8_t *bytes, size_t length)
{
    if (length < RTU_LENGTH_MIN || length > RTU_LENGTH_MAX)
        return false;
    return davy_sim_crc16(bytes, length - 2) == (uint16_t)(bytes[length - 2] | bytes[length - 1] << 8);
}

static void take(const uint8_t *bytes, size_t skip, size_t length, struct davy_sim_frame *ret_frame)
{
    *ret_frame = (struct davy_sim_frame){
        .unit = bytes[skip],
        .pdu = bytes + skip + 1,
        .pdu_length = length - 3,
        .skip = skip,
        .length = length,
    };
}

int davy_sim_frame_rtu(const uint8_t *bytes, size_t length, bool silence, struct davy_sim_frame *ret_frame)
{
    for (size_t skip = 0; skip + RTU_LENGTH_MIN <= length; skip++) {
        bool known;
        size_t whole = request_length(bytes + skip, length - skip, &known);
        bool incomplete = known && (whole == 0 || whole > length - skip) && whole <= RTU_LENGTH_MAX;
        if (!known)
            whole = length - skip;
        if (!incomplete && crc_is_right(bytes + skip, whole)) {
            take(bytes, skip, whole, ret_frame);
            return 0;
        }
        if (incomplete && skip == 0 && !silence)
            return DAVY_SIM_FRAME_MORE;
    }
    return silence && length > 0 ? DAVY_SIM_FRAME_BAD : DAVY_SIM_FRAME_MORE;
}

size_t davy_sim_frame_wrap_tcp(uint8_t *adu, uint16_t transaction, uint8_t unit, const uint8_t *pdu, size_t pdu_length)
{
    const uint8_t header[MBAP_LENGTH] = {
        (uint8_t)(transaction >> 8),
        (uint8_t)transaction,
        0,
        0,
        (uint8_t)((pdu_length + 1) >> 8),
        (uint8_t)((pdu_length + 1) & 255),
        unit,
    };
    memcpy(adu, header, sizeof(header));
    memcpy(adu + MBAP_LENGTH, pdu, pdu_length);
    return MBAP_LENGTH + pdu_length;
}

size_t davy_sim_frame_wrap_rtu(uint8_t *adu, uint8_t unit, const uint8_t *pdu, size_t pdu_length)
{
    adu[0] = unit;
    memcpy(adu + 1, pdu, pdu_length);
    uint16_t crc = davy_sim_crc16(adu, pdu_length + 1);
    adu[pdu_length + 1] = (uint8_t)(crc & 255);
    adu[pdu_length + 2] = (uint8_t)(crc >> 8);
    return pdu_length + 3;
}
