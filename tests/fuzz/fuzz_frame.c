/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reply frames: the first six bytes choose the request, the rest is what came. What is taken for an answer must be one:
 * of this unit and function, with a code that is none of 0 and 255, with no bit beyond the last.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "acquire/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            abort();                                                                                                   \
    } while (0)

static void check(const struct davy_bus_request *request, enum davy_answer answer, const struct davy_bus_reply *reply,
                  const uint8_t *body)
{
    CHECK(answer == reply->answer);
    CHECK(answer == DAVY_ANSWER_OK || answer == DAVY_ANSWER_EXCEPTION || answer == DAVY_ANSWER_INVALID);
    if (answer == DAVY_ANSWER_INVALID)
        return;
    CHECK(body[0] == request->unit);
    if (answer == DAVY_ANSWER_EXCEPTION)
        CHECK(reply->exception != 0 && reply->exception != 255);
    if (answer == DAVY_ANSWER_OK && request->table <= DAVY_TABLE_DISCRETE && request->count % 16 != 0)
        CHECK(reply->words[request->count / 16] >> (request->count % 16) == 0);
}

/* A serial reply must get past the CRC: half of the inputs are given a right one. */
static void check_rtu(const struct davy_bus_request *request, const uint8_t *frame, size_t length, bool mend)
{
    uint8_t mended[300];
    struct davy_bus_reply reply = {.exception = 0};
    if (length > sizeof mended - 2)
        return;
    memcpy(mended, frame, length);
    if (mend) {
        uint16_t crc = davy_frame_crc(frame, length);
        mended[length++] = (uint8_t)crc;
        mended[length++] = (uint8_t)(crc >> 8);
    }
    enum davy_answer answer = davy_frame_rtu_reply(request, mended, length, &reply);
    check(request, answer, &reply, mended);
}

/* All of a line is noise and frames, each behind the other, none longer than what there is. */
static void check_line(const struct davy_bus_request *request, const uint8_t *line, size_t length)
{
    struct davy_frame frame;
    size_t at = 0, missing;
    while (at < length) {
        size_t before = davy_frame_next(line + at, length - at, &frame);
        CHECK(before <= length - at && frame.length <= length - at - before);
        CHECK((frame.kind == DAVY_FRAME_NONE) == (frame.length == 0));
        if (frame.kind == DAVY_FRAME_NONE)
            break;
        CHECK(frame.bytes == line + at + before);
        at += before + frame.length;
    }
    CHECK(davy_frame_begun(request, line + at, length - at, &missing) <= length - at);
    CHECK(missing <= 5 + davy_frame_data_bytes(request));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 7)
        return 0;
    struct davy_bus_request request = {.unit = data[0],
                                       .table = (enum davy_table)(data[1] % DAVY_TABLE_COUNT_),
                                       .start = (uint16_t)(data[2] << 8 | data[3]),
                                       .count = (uint16_t)(data[4] << 8 | data[5])};
    unsigned most = request.table <= DAVY_TABLE_DISCRETE ? 2000 : 125;
    request.count = (uint16_t)(1 + request.count % most);
    struct davy_bus_reply reply = {.exception = 0};
    const uint8_t *frame = data + 6;
    check(&request, davy_frame_tcp_reply(&request, 0x0102, frame, size - 6, &reply), &reply, frame + 6);
    check_rtu(&request, frame, size - 6, data[1] & 0x80U);
    check_line(&request, frame, size - 6);
    struct davy_bus_request probe = davy_frame_probe(&request);
    CHECK(davy_frame_data_bytes(&probe) != davy_frame_data_bytes(&request));
    return 0;
}
