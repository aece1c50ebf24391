/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "acquire/frame.h"

/* Modbus over Serial Line V1.02 leaves the CRC to its annex; 0x4B37 is the check value of CRC-16/MODBUS. */
static void crc_has_the_published_check_value(void **state)
{
    (void)state;
    assert_int_equal(davy_frame_crc((const uint8_t *)"123456789", 9), 0x4B37);
}

/* Modbus Application Protocol V1.1b3, 6.3: registers 108 to 110 are 022B 0000 0064. */
static const struct davy_bus_request example = {.unit = 17, .table = DAVY_TABLE_HOLDING, .start = 107, .count = 3};
static const uint8_t example_reply[] = {17, 3, 6, 0x02, 0x2B, 0x00, 0x00, 0x00, 0x64};

static size_t rtu(const uint8_t *body, size_t length, uint8_t *frame)
{
    memcpy(frame, body, length);
    uint16_t crc = davy_frame_crc(body, length);
    frame[length] = (uint8_t)crc;
    frame[length + 1] = (uint8_t)(crc >> 8);
    return length + 2;
}

static size_t tcp(const uint8_t *body, size_t length, uint16_t transaction, uint8_t *frame)
{
    const uint8_t head[6] = {(uint8_t)(transaction >> 8), (uint8_t)transaction, 0, 0, 0, (uint8_t)length};
    memcpy(frame, head, sizeof head);
    memcpy(frame + 6, body, length);
    return length + 6;
}

static void requests_are_those_of_the_specification(void **state)
{
    (void)state;
    uint8_t frame[DAVY_FRAME_TCP_REQUEST];
    davy_frame_tcp_request(&example, 0x1501, frame);
    const uint8_t expected[] = {0x15, 0x01, 0, 0, 0, 6, 17, 3, 0x00, 0x6B, 0x00, 0x03};
    assert_memory_equal(frame, expected, sizeof expected);
    uint8_t line[DAVY_FRAME_RTU_REQUEST];
    davy_frame_rtu_request(&example, line);
    /* 11 03 006B 0003 7687: the worked example that all Modbus primers share. */
    const uint8_t with_crc[] = {0x11, 0x03, 0x00, 0x6B, 0x00, 0x03, 0x76, 0x87};
    assert_memory_equal(line, with_crc, sizeof with_crc);
}

static void takes_the_reply_of_the_specification(void **state)
{
    (void)state;
    uint8_t frame[64];
    struct davy_bus_reply reply;
    size_t length = rtu(example_reply, sizeof example_reply, frame);
    assert_int_equal(davy_frame_rtu_reply(&example, frame, length, &reply), DAVY_ANSWER_OK);
    assert_int_equal(reply.words[0], 0x022B);
    assert_int_equal(reply.words[2], 0x0064);
    length = tcp(example_reply, sizeof example_reply, 7, frame);
    assert_int_equal(davy_frame_tcp_reply(&example, 7, frame, length, &reply), DAVY_ANSWER_OK);
    assert_int_equal(reply.words[0], 0x022B);
}

static void any_single_wrong_byte_of_a_serial_reply_is_invalid(void **state)
{
    (void)state;
    uint8_t frame[64];
    struct davy_bus_reply reply;
    size_t length = rtu(example_reply, sizeof example_reply, frame);
    for (size_t i = 0; i < length; i++)
        for (unsigned bit = 0; bit < 8; bit++) {
            frame[i] ^= (uint8_t)(1U << bit);
            assert_int_equal(davy_frame_rtu_reply(&example, frame, length, &reply), DAVY_ANSWER_INVALID);
            frame[i] ^= (uint8_t)(1U << bit);
        }
}

static void any_wrong_byte_of_a_tcp_head_is_invalid(void **state)
{
    (void)state;
    uint8_t frame[64];
    struct davy_bus_reply reply;
    size_t length = tcp(example_reply, sizeof example_reply, 0x0102, frame);
    for (size_t i = 0; i < 9; i++)
        for (unsigned bit = 0; bit < 8; bit++) {
            frame[i] ^= (uint8_t)(1U << bit);
            assert_int_equal(davy_frame_tcp_reply(&example, 0x0102, frame, length, &reply), DAVY_ANSWER_INVALID);
            frame[i] ^= (uint8_t)(1U << bit);
        }
}

static void replies_cut_or_lengthened_are_invalid(void **state)
{
    (void)state;
    uint8_t body[32] = {0}, frame[64];
    struct davy_bus_reply reply;
    memcpy(body, example_reply, sizeof example_reply);
    for (size_t length = 1; length < 20; length++) {
        if (length == sizeof example_reply)
            continue;
        size_t whole = rtu(body, length, frame);
        assert_int_equal(davy_frame_rtu_reply(&example, frame, whole, &reply), DAVY_ANSWER_INVALID);
        whole = tcp(body, length, 1, frame);
        assert_int_equal(davy_frame_tcp_reply(&example, 1, frame, whole, &reply), DAVY_ANSWER_INVALID);
    }
    assert_int_equal(davy_frame_rtu_reply(&example, frame, 0, &reply), DAVY_ANSWER_INVALID);
    assert_int_equal(davy_frame_tcp_reply(&example, 1, frame, 0, &reply), DAVY_ANSWER_INVALID);
}

static void exceptions_are_answers_unless_their_code_is_none(void **state)
{
    (void)state;
    for (unsigned code = 0; code < 256; code++) {
        const uint8_t body[] = {17, 0x83, (uint8_t)code};
        uint8_t frame[16];
        struct davy_bus_reply reply;
        enum davy_answer expected = code == 0 || code == 255 ? DAVY_ANSWER_INVALID : DAVY_ANSWER_EXCEPTION;
        assert_int_equal(davy_frame_rtu_reply(&example, frame, rtu(body, 3, frame), &reply), expected);
        if (expected == DAVY_ANSWER_EXCEPTION)
            assert_int_equal(reply.exception, code);
    }
}

/* Modbus Application Protocol V1.1b3, 6.2: inputs 197 to 218 are AC DB 35. */
static void bits_come_lowest_first_and_none_beyond_the_last(void **state)
{
    (void)state;
    const struct davy_bus_request request = {.unit = 1, .table = DAVY_TABLE_DISCRETE, .start = 196, .count = 22};
    const uint8_t body[] = {1, 2, 3, 0xAC, 0xDB, 0xF5};
    uint8_t frame[16];
    struct davy_bus_reply reply;
    memset(&reply, 0xFF, sizeof reply);
    assert_int_equal(davy_frame_rtu_reply(&request, frame, rtu(body, sizeof body, frame), &reply), DAVY_ANSWER_OK);
    assert_int_equal(reply.words[0], 0xDBAC);
    assert_int_equal(reply.words[1], 0x0035);
    assert_int_equal(reply.words[2], 0);
}

static void a_probe_never_has_the_shape_of_its_request(void **state)
{
    (void)state;
    static const enum davy_table tables[] = {DAVY_TABLE_HOLDING, DAVY_TABLE_COIL};
    for (size_t t = 0; t < 2; t++)
        for (unsigned count = 1; count <= (t == 0 ? 125U : 2000U); count++) {
            const struct davy_bus_request request = {
                .unit = 1, .table = tables[t], .start = (uint16_t)(65536 - count), .count = (uint16_t)count};
            struct davy_bus_request probe = davy_frame_probe(&request);
            assert_int_not_equal(davy_frame_data_bytes(&probe), davy_frame_data_bytes(&request));
            assert_true(probe.count >= 1 && probe.start + probe.count <= 65536);
        }
}

/* ---- frames on a line ---- */

static void frames_are_found_one_behind_the_other(void **state)
{
    (void)state;
    uint8_t line[128] = {0xFF, 0x00};
    struct davy_frame frame;
    size_t length = 2;
    uint8_t request[DAVY_FRAME_RTU_REQUEST];
    davy_frame_rtu_request(&example, request);
    memcpy(line + length, request, sizeof request);
    length += sizeof request;
    length += rtu(example_reply, sizeof example_reply, line + length);
    const uint8_t exception[] = {17, 0x83, 2};
    length += rtu(exception, sizeof exception, line + length);
    static const struct {
        size_t before, length;
        enum davy_frame_kind kind;
        uint16_t data;
    } expected[] = {{2, 8, DAVY_FRAME_REQUEST, 6}, {0, 11, DAVY_FRAME_REPLY, 6}, {0, 5, DAVY_FRAME_EXCEPTION, 0}};
    size_t at = 0;
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(davy_frame_next(line + at, length - at, &frame), expected[i].before);
        assert_int_equal(frame.kind, expected[i].kind);
        assert_int_equal(frame.length, expected[i].length);
        assert_int_equal(frame.data, expected[i].data);
        assert_int_equal(frame.unit, 17);
        assert_int_equal(frame.function, 3);
        at += expected[i].before + frame.length;
    }
    assert_int_equal(at, length);
    assert_int_equal(davy_frame_next(line + at, 0, &frame), 0);
    assert_int_equal(frame.kind, DAVY_FRAME_NONE);
}

/* Modbus Application Protocol V1.1b3, 6.12: write three registers; with the CRC of the line. */
static void a_write_of_another_master_is_a_request(void **state)
{
    (void)state;
    uint8_t line[32];
    struct davy_frame frame;
    const uint8_t body[] = {9, 16, 0, 1, 0, 2, 4, 0, 0x0A, 1, 2};
    size_t length = rtu(body, sizeof body, line);
    assert_int_equal(davy_frame_next(line, length, &frame), 0);
    assert_int_equal(frame.kind, DAVY_FRAME_REQUEST);
    assert_int_equal(frame.length, length);
    assert_int_equal(frame.data, 0); /* no read */
}

static void what_lacks_bytes_of_a_reply_has_begun(void **state)
{
    (void)state;
    uint8_t line[64] = {0x00, 0xFF};
    size_t missing, whole = 2 + rtu(example_reply, sizeof example_reply, line + 2);
    for (size_t length = 3; length < whole; length++) {
        assert_int_equal(davy_frame_begun(&example, line, length, &missing), 2);
        assert_int_equal(missing, whole - length);
    }
    line[5] ^= 1;
    assert_int_equal(davy_frame_begun(&example, line, whole, &missing), 2);
    assert_int_equal(missing, 0);
    line[2] ^= 1;
    assert_int_equal(davy_frame_begun(&example, line, whole, &missing), whole);
    assert_int_equal(missing, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc_has_the_published_check_value),
        cmocka_unit_test(requests_are_those_of_the_specification),
        cmocka_unit_test(takes_the_reply_of_the_specification),
        cmocka_unit_test(any_single_wrong_byte_of_a_serial_reply_is_invalid),
        cmocka_unit_test(any_wrong_byte_of_a_tcp_head_is_invalid),
        cmocka_unit_test(replies_cut_or_lengthened_are_invalid),
        cmocka_unit_test(exceptions_are_answers_unless_their_code_is_none),
        cmocka_unit_test(bits_come_lowest_first_and_none_beyond_the_last),
        cmocka_unit_test(a_probe_never_has_the_shape_of_its_request),
        cmocka_unit_test(frames_are_found_one_behind_the_other),
        cmocka_unit_test(a_write_of_another_master_is_a_request),
        cmocka_unit_test(what_lacks_bytes_of_a_reply_has_begun),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
