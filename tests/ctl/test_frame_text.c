/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "acquire/frame.h"
#include "base/attr.h"
#include "base/num.h"
#include "ctl/frame_text.h"

/* A line's frame without its CRC, which is put on. */
static struct frame_text line(const char *hex, bool request)
{
    uint8_t bytes[300];
    struct frame_text text;
    const long count = davy_frame_bytes(hex, bytes, sizeof bytes - 2);
    assert_true(count >= 0);
    const uint16_t crc = davy_frame_crc(bytes, (size_t)count);
    bytes[count] = (uint8_t)crc;
    bytes[count + 1] = (uint8_t)(crc >> 8);
    davy_frame_text(bytes, (size_t)count + 2, (size_t)count + 2, false, request, &text);
    return text;
}

static struct frame_text tcp(const char *hex, bool request)
{
    uint8_t bytes[300];
    struct frame_text text;
    const long count = davy_frame_bytes(hex, bytes, sizeof bytes);
    assert_true(count >= 0);
    davy_frame_text(bytes, (size_t)count, (size_t)count, true, request, &text);
    return text;
}

static void frames_of_a_line_are_told_in_words(void **state)
{
    (void)state;
    static const struct {
        const char *hex;
        bool request, bad;
        const char *text;
    } rows[] = {
        {"0303006b0002", true, false, "unit 3: read 2 of holding from 107"},
        {"0b0400640001", true, false, "unit 11: read 1 of input from 100"},
        {"0101000a07d0", true, false, "unit 1: read 2000 of coil from 10"},
        {"03030441a73333", false, false, "unit 3: holding 41a7 3333"},
        {"010201ff", false, false, "unit 1: discrete ff"},
        {"038302", false, true, "unit 3: exception 2 to function 3"},
        {"0383", false, true, "unit 3: exception to function 3, not of its length"},
        {"03030541a73333", false, true, "unit 3: holding, says 5 bytes and has 4"},
        {"0303", false, true, "unit 3: holding, says 0 bytes and has 0"},
        {"0303006b0002", false, false, "unit 3: read 2 of holding from 107"}, /* another master */
        {"0906000a0005", false, false, "unit 9: write one register at 10 (5)"},
        {"0910000a0002040001", false, false, "unit 9: write registers at 10 (2)"},
        {"0911", true, false, "unit 9: report server id"},
        {"09410102", false, false, "unit 9: function 65, 3 bytes"},
    };
    for (size_t i = 0; i < DAVY_LENGTH(rows); i++) {
        const struct frame_text text = line(rows[i].hex, rows[i].request);
        assert_string_equal(text.text, rows[i].text);
        assert_int_equal(text.bad, rows[i].bad);
    }
}

static void frames_with_a_header_have_their_transaction(void **state)
{
    (void)state;
    assert_string_equal(tcp("0007000000060103006b0002", true).text, "#7 unit 1: read 2 of holding from 107");
    assert_string_equal(tcp("000700000007010304c0490fdb", false).text, "#7 unit 1: holding c049 0fdb");
    assert_string_equal(tcp("00070000000301830b", false).text, "#7 unit 1: exception 11 to function 3");
    assert_string_equal(tcp("00070001000601030000", false).text, "#7 protocol 1, length 6 of 4: not a Modbus header");
    assert_true(tcp("000700000006010300", true).bad);
    assert_string_equal(tcp("0007", true).text, "2 bytes: too short for a frame");
}

static void a_broken_line_frame_says_what_is_wrong(void **state)
{
    (void)state;
    struct frame_text text;
    const uint8_t wrong[] = {0x03, 0x03, 0x02, 0x12, 0x34, 0xff, 0xff};
    davy_frame_text(wrong, sizeof wrong, sizeof wrong, false, false, &text);
    assert_true(text.bad);
    char expected[80];
    snprintf(expected, sizeof expected, "crc is ffff, should be %04x: 7 bytes, unit 3, function 3",
             davy_frame_crc(wrong, 5));
    assert_string_equal(text.text, expected);
    davy_frame_text(wrong, 3, 3, false, false, &text);
    assert_string_equal(text.text, "3 bytes: too short for a frame");
    davy_frame_text(wrong, 7, 400, false, false, &text);
    assert_string_equal(text.text, "400 bytes: too long for a frame");
    assert_true(text.bad);
}

static void long_data_is_cut(void **state)
{
    (void)state;
    char hex[2 * 260 + 1] = "0303fa";
    for (int i = 0; i < 250; i++)
        snprintf(hex + 6 + 2 * i, 3, "%02x", i);
    assert_string_equal(line(hex, false).text, "unit 3: holding 0001 0203 0405 0607 0809 0a0b 0c0d 0e0f … (250 bytes)");
}

static void any_bytes_are_survived(void **state)
{
    (void)state;
    struct davy_random random = {0};
    for (int round = 0; round < 200000; round++) {
        const size_t length = davy_random_next(&random) % (round % 100 == 0 ? 261 : 14);
        uint8_t *bytes = malloc(length + 1); /* its end is watched by the sanitizer */
        struct frame_text text;
        for (size_t i = 0; i < length; i++)
            bytes[i] =
                (uint8_t)(davy_random_next(&random) % 3 ? davy_random_next(&random) : davy_random_next(&random) % 8);
        if (length >= 4 && round % 2) {
            const uint16_t crc = davy_frame_crc(bytes, length - 2);
            bytes[length - 2] = (uint8_t)crc;
            bytes[length - 1] = (uint8_t)(crc >> 8);
        } else if (length >= 8) {
            bytes[2] = bytes[3] = 0;
            bytes[4] = (uint8_t)((length - 6) >> 8);
            bytes[5] = (uint8_t)(length - 6);
        }
        davy_frame_text(bytes, length, length, round % 2 == 0, round % 4 < 2, &text);
        assert_true(strlen(text.text) > 0 && strlen(text.text) < FRAME_TEXT);
        free(bytes);
    }
}

static void only_hexadecimal_text_is_bytes(void **state)
{
    (void)state;
    uint8_t bytes[4];
    assert_int_equal(davy_frame_bytes("00ff7f", bytes, 4), 3);
    assert_int_equal(bytes[1], 0xff);
    assert_int_equal(davy_frame_bytes("", bytes, 4), 0);
    assert_int_equal(davy_frame_bytes("0", bytes, 4), -1);
    assert_int_equal(davy_frame_bytes("0g", bytes, 4), -1);
    assert_int_equal(davy_frame_bytes("FF", bytes, 4), -1);
    assert_int_equal(davy_frame_bytes("0001020304", bytes, 4), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_of_a_line_are_told_in_words),
        cmocka_unit_test(frames_with_a_header_have_their_transaction),
        cmocka_unit_test(a_broken_line_frame_says_what_is_wrong),
        cmocka_unit_test(long_data_is_cut),
        cmocka_unit_test(any_bytes_are_survived),
        cmocka_unit_test(only_hexadecimal_text_is_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
