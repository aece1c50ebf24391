/* SPDX-License-Identifier: Apache-2.0 */
#include "base/uuid.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/attr.h"
#include "base/num.h"
#include "support/cmocka_all.h"
#include "support/seed.h"

/* RFC 9562, appendix A.6: unix_ts_ms 0x017F22E279B0, rand_a 0xCC3, rand_b 0x18C4DC0C0C07398F. */
static void has_the_layout_of_the_example_in_rfc_9562(void **unused)
{
    (void)unused;
    char text[DAVY_UUID_TEXT];
    davy_wall t = {INT64_C(0x017F22E279B0) * DAVY_NS_PER_MS + 999999};
    struct davy_uuid uuid = davy_uuid_v7(t, 0xCC3, UINT64_C(0x18C4DC0C0C07398F));
    assert_string_equal(davy_uuid_format(&uuid, text), "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
}

static void version_and_variant_stand_whatever_the_bits_are(void **unused)
{
    (void)unused;
    struct davy_uuid ones = davy_uuid_v7((davy_wall){INT64_MAX}, UINT16_MAX, UINT64_MAX);
    struct davy_uuid zeros = davy_uuid_v7((davy_wall){0}, 0, 0);
    assert_int_equal(ones.bytes[6], 0x7f);
    assert_int_equal(ones.bytes[8], 0xbf);
    assert_int_equal(zeros.bytes[6], 0x70);
    assert_int_equal(zeros.bytes[8], 0x80);
}

static void sorts_by_time(void **unused)
{
    (void)unused;
    struct davy_random random = {davy_test_seed(20261125)};
    int64_t ms = 1700000000000;
    struct davy_uuid before = davy_uuid_v7((davy_wall){ms * DAVY_NS_PER_MS}, UINT16_MAX, UINT64_MAX);
    for (int i = 0; i < 1000; i++) {
        ms += 1 + (int64_t)(davy_random_next(&random) % 100000000);
        struct davy_uuid uuid = davy_uuid_v7((davy_wall){ms * DAVY_NS_PER_MS}, (uint16_t)davy_random_next(&random),
                                             davy_random_next(&random));
        assert_true(memcmp(before.bytes, uuid.bytes, sizeof uuid.bytes) < 0);
        before = uuid;
    }
}

static void text_reads_back_in_either_case(void **unused)
{
    (void)unused;
    struct davy_random random = {davy_test_seed(20261125)};
    for (int i = 0; i < 1000; i++) {
        struct davy_uuid uuid, back;
        char text[DAVY_UUID_TEXT];
        for (size_t b = 0; b < sizeof uuid.bytes; b++)
            uuid.bytes[b] = (uint8_t)davy_random_next(&random);
        assert_int_equal(davy_uuid_parse(davy_uuid_format(&uuid, text), &back), 0);
        assert_memory_equal(&back, &uuid, sizeof uuid);
        for (char *c = text; *c; c++)
            *c = (char)toupper((unsigned char)*c);
        assert_int_equal(davy_uuid_parse(text, &back), 0);
        assert_memory_equal(&back, &uuid, sizeof uuid);
    }
}

/* Every byte in every place: a digit, a hyphen where it belongs, or refused. */
static void no_other_byte_is_taken_for_a_digit(void **unused)
{
    (void)unused;
    const char *const good = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f";
    for (size_t place = 0; place < DAVY_UUID_TEXT - 1; place++) {
        for (int c = 0; c < 256; c++) {
            char text[DAVY_UUID_TEXT];
            struct davy_uuid uuid = {{42}};
            memcpy(text, good, sizeof text);
            text[place] = (char)c;
            bool taken = good[place] == '-' ? c == '-' : isxdigit(c) != 0;
            if (davy_uuid_parse(text, &uuid) != (taken ? 0 : -EINVAL))
                fail_msg("byte 0x%02x in place %zu", (unsigned)c, place);
            assert_true(taken || uuid.bytes[0] == 42);
        }
    }
}

static void text_of_another_length_is_refused(void **unused)
{
    (void)unused;
    struct davy_uuid uuid;
    assert_int_equal(davy_uuid_parse("", &uuid), -EINVAL);
    assert_int_equal(davy_uuid_parse("017f22e2-79b0-7cc3-98c4-dc0c0c07398", &uuid), -EINVAL);
    assert_int_equal(davy_uuid_parse("017f22e2-79b0-7cc3-98c4-dc0c0c07398ff", &uuid), -EINVAL);
    assert_int_equal(davy_uuid_parse("{17f22e2-79b0-7cc3-98c4-dc0c0c07398f}", &uuid), -EINVAL);
}

static void new_ones_differ_within_a_millisecond(void **unused)
{
    (void)unused;
    davy_wall t = {1700000000 * DAVY_NS_PER_S};
    struct davy_uuid a = davy_uuid_new(t), b = davy_uuid_new(t);
    assert_memory_not_equal(&a, &b, sizeof a);
    assert_memory_equal(&a, &b, 6);
}

static void only_zeros_are_nil(void **unused)
{
    (void)unused;
    struct davy_uuid uuid = {{0}};
    assert_true(davy_uuid_is_nil(&uuid));
    uuid.bytes[15] = 1;
    assert_false(davy_uuid_is_nil(&uuid));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(has_the_layout_of_the_example_in_rfc_9562),
        cmocka_unit_test(version_and_variant_stand_whatever_the_bits_are),
        cmocka_unit_test(sorts_by_time),
        cmocka_unit_test(text_reads_back_in_either_case),
        cmocka_unit_test(no_other_byte_is_taken_for_a_digit),
        cmocka_unit_test(text_of_another_length_is_refused),
        cmocka_unit_test(new_ones_differ_within_a_millisecond),
        cmocka_unit_test(only_zeros_are_nil),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
