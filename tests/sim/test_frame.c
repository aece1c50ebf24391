/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/num.h"
#include "sim/frame.h"
#include "support/seed.h"

/* Modbus over serial line V1.02 has no vectors; these are the ones of every calculator: "123456789" and a read. */
static void crc_agrees_with_known_values(void **state)
{
    (void)state;
    assert_int_equal(davy_sim_crc16((const uint8_t *)"123456789", 9), 0x4B37);
    const uint8_t read_ten[] = {0x01, 0x03, 0x00, 0x00, 0x00, 0x0A};
    assert_int_equal(davy_sim_crc16(read_ten, sizeof(read_ten)), 0xCDC5);
    assert_int_equal(davy_sim_crc16(read_ten, 0), 0xFFFF);
}

static void tcp_request_is_found_when_it_is_whole(void **state)
{
    (void)state;
    const uint8_t bytes[] = {0x12, 0x34, 0, 0, 0, 6, 17, 3, 0, 1, 0, 2, 0xFF};
    struct davy_sim_frame frame;
    for (size_t length = 0; length < 12; length++)
        assert_int_equal(davy_sim_frame_tcp(bytes, length, &frame), DAVY_SIM_FRAME_MORE);
    assert_int_equal(davy_sim_frame_tcp(bytes, sizeof(bytes), &frame), 0);
    assert_int_equal(frame.transaction, 0x1234);
    assert_int_equal(frame.unit, 17);
    assert_int_equal(frame.pdu_length, 5);
    assert_ptr_equal(frame.pdu, bytes + 7);
    assert_int_equal(frame.length, 12);
}

static void tcp_stream_that_is_not_modbus_is_bad(void **state)
{
    (void)state;
    struct davy_sim_frame frame;
    const uint8_t protocol[] = {0, 1, 0, 1, 0, 6, 1};
    const uint8_t too_short[] = {0, 1, 0, 0, 0, 1, 1};
    const uint8_t too_long[] = {0, 1, 0, 0, 0, 255, 1};
    assert_int_equal(davy_sim_frame_tcp(protocol, 7, &frame), DAVY_SIM_FRAME_BAD);
    assert_int_equal(davy_sim_frame_tcp(too_short, 7, &frame), DAVY_SIM_FRAME_BAD);
    assert_int_equal(davy_sim_frame_tcp(too_long, 7, &frame), DAVY_SIM_FRAME_BAD);
}

/* Read two registers of unit 5. */
static size_t request(uint8_t *adu)
{
    const uint8_t pdu[] = {3, 0, 1, 0, 2};
    return davy_sim_frame_wrap_rtu(adu, 5, pdu, sizeof(pdu));
}

static void rtu_request_is_found_by_the_length_of_its_function(void **state)
{
    (void)state;
    uint8_t bytes[DAVY_SIM_ADU_MAX];
    size_t length = request(bytes);
    struct davy_sim_frame frame;
    assert_int_equal(length, 8);
    for (size_t part = 0; part < length; part++)
        assert_int_equal(davy_sim_frame_rtu(bytes, part, false, &frame), DAVY_SIM_FRAME_MORE);
    assert_int_equal(davy_sim_frame_rtu(bytes, length, false, &frame), 0);
    assert_int_equal(frame.skip, 0);
    assert_int_equal(frame.unit, 5);
    assert_int_equal(frame.pdu_length, 5);
    assert_int_equal(frame.length, 8);
}

static void rtu_write_of_many_has_the_length_of_its_byte_count(void **state)
{
    (void)state;
    const uint8_t pdu[] = {16, 0, 1, 0, 2, 4, 1, 2, 3, 4};
    uint8_t bytes[DAVY_SIM_ADU_MAX];
    size_t length = davy_sim_frame_wrap_rtu(bytes, 5, pdu, sizeof(pdu));
    struct davy_sim_frame frame;
    assert_int_equal(davy_sim_frame_rtu(bytes, length - 1, false, &frame), DAVY_SIM_FRAME_MORE);
    assert_int_equal(davy_sim_frame_rtu(bytes, length, false, &frame), 0);
    assert_int_equal(frame.pdu_length, sizeof(pdu));
}

static void rtu_request_of_unknown_function_is_found_when_it_is_alone(void **state)
{
    (void)state;
    const uint8_t pdu[] = {0x41, 9, 9};
    uint8_t bytes[DAVY_SIM_ADU_MAX];
    size_t length = davy_sim_frame_wrap_rtu(bytes, 5, pdu, sizeof(pdu));
    struct davy_sim_frame frame;
    assert_int_equal(davy_sim_frame_rtu(bytes, length, false, &frame), 0);
    assert_int_equal(frame.pdu[0], 0x41);
}

static void rtu_garbage_before_a_request_is_skipped(void **state)
{
    (void)state;
    uint8_t bytes[DAVY_SIM_ADU_MAX] = {0xFF, 0x00, 0x37};
    size_t length = 3 + request(bytes + 3);
    struct davy_sim_frame frame;
    assert_int_equal(davy_sim_frame_rtu(bytes, length, false, &frame), 0);
    assert_int_equal(frame.skip, 3);
    assert_int_equal(frame.unit, 5);
}

/* 16 with a byte count of 200 would swallow the request behind it. */
static void rtu_incomplete_start_is_given_up_after_silence(void **state)
{
    (void)state;
    uint8_t bytes[DAVY_SIM_ADU_MAX] = {1, 16, 0, 0, 0, 100, 200};
    size_t length = 7 + request(bytes + 7);
    struct davy_sim_frame frame;
    assert_int_equal(davy_sim_frame_rtu(bytes, length, false, &frame), DAVY_SIM_FRAME_MORE);
    assert_int_equal(davy_sim_frame_rtu(bytes, length, true, &frame), 0);
    assert_int_equal(frame.skip, 7);
    assert_int_equal(davy_sim_frame_rtu(bytes, 7, true, &frame), DAVY_SIM_FRAME_BAD);
}

static void rtu_request_with_a_wrong_crc_is_no_request(void **state)
{
    (void)state;
    uint8_t bytes[DAVY_SIM_ADU_MAX];
    size_t length = request(bytes);
    bytes[length - 1] ^= 1;
    struct davy_sim_frame frame;
    assert_int_equal(davy_sim_frame_rtu(bytes, length, false, &frame), DAVY_SIM_FRAME_MORE);
    assert_int_equal(davy_sim_frame_rtu(bytes, length, true, &frame), DAVY_SIM_FRAME_BAD);
}

static void random_bytes_stay_within_their_bounds(void **state)
{
    (void)state;
    struct davy_random random = {davy_test_seed(20260101)};
    for (int round = 0; round < 20000; round++) {
        size_t length = davy_random_next(&random) % 300;
        uint8_t *bytes = malloc(length + 1); /* its own block, so that sanitizers see the end */
        for (size_t i = 0; i < length; i++)
            bytes[i] = (uint8_t)(davy_random_next(&random) % 20);
        struct davy_sim_frame frame = {0};
        if (davy_sim_frame_tcp(bytes, length, &frame) == 0)
            assert_true(frame.length <= length && frame.pdu_length >= 1);
        if (davy_sim_frame_rtu(bytes, length, round % 2, &frame) == 0)
            assert_true(frame.skip + frame.length <= length && frame.pdu_length >= 1 && frame.length <= 256);
        free(bytes);
    }
}

static void wrapped_reply_has_its_header(void **state)
{
    (void)state;
    const uint8_t pdu[] = {3, 2, 0, 77};
    const uint8_t expected[] = {0xAB, 0xCD, 0, 0, 0, 5, 9, 3, 2, 0, 77};
    uint8_t adu[DAVY_SIM_ADU_MAX];
    assert_int_equal(davy_sim_frame_wrap_tcp(adu, 0xABCD, 9, pdu, sizeof(pdu)), sizeof(expected));
    assert_memory_equal(adu, expected, sizeof(expected));
    size_t length = davy_sim_frame_wrap_rtu(adu, 9, pdu, sizeof(pdu));
    assert_int_equal(length, 7);
    assert_int_equal(davy_sim_crc16(adu, length), 0); /* a CRC over all and itself is 0 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc_agrees_with_known_values),
        cmocka_unit_test(tcp_request_is_found_when_it_is_whole),
        cmocka_unit_test(tcp_stream_that_is_not_modbus_is_bad),
        cmocka_unit_test(rtu_request_is_found_by_the_length_of_its_function),
        cmocka_unit_test(rtu_write_of_many_has_the_length_of_its_byte_count),
        cmocka_unit_test(rtu_request_of_unknown_function_is_found_when_it_is_alone),
        cmocka_unit_test(rtu_garbage_before_a_request_is_skipped),
        cmocka_unit_test(rtu_incomplete_start_is_given_up_after_silence),
        cmocka_unit_test(rtu_request_with_a_wrong_crc_is_no_request),
        cmocka_unit_test(random_bytes_stay_within_their_bounds),
        cmocka_unit_test(wrapped_reply_has_its_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
