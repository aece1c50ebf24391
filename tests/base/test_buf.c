/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

#include "base/num.h"
#include "support/cmocka_all.h"
#include "support/seed.h"

#define ROUNDS 20000

static void what_does_not_fit_is_left_out_whole_and_nothing_follows(void **unused)
{
    (void)unused;
    char text[8];
    struct davy_buf buf;
    davy_buf_init(&buf, text, sizeof text);
    assert_string_equal(text, "");
    davy_buf_text(&buf, "1234567");
    assert_false(buf.overflow);
    assert_int_equal(buf.length, 7);
    davy_buf_char(&buf, '8');
    assert_true(buf.overflow);
    assert_string_equal(text, "1234567");

    davy_buf_init(&buf, text, sizeof text);
    davy_buf_text(&buf, "123");
    davy_buf_printf(&buf, "%05d", 4);
    assert_true(buf.overflow);
    assert_string_equal(text, "123");
    davy_buf_char(&buf, '4');
    davy_buf_printf(&buf, "5");
    davy_buf_bytes(&buf, "", 0);
    assert_string_equal(text, "123");
    assert_int_equal(buf.length, 3);
}

static void a_buffer_of_one_byte_holds_the_empty_text(void **unused)
{
    (void)unused;
    char text[1];
    struct davy_buf buf;
    davy_buf_init(&buf, text, sizeof text);
    davy_buf_text(&buf, "");
    davy_buf_printf(&buf, "%s", "");
    assert_false(buf.overflow);
    davy_buf_char(&buf, 'x');
    assert_true(buf.overflow);
    assert_string_equal(text, "");
}

static void commas_stand_between_members_and_items_only(void **unused)
{
    (void)unused;
    char text[256];
    struct davy_buf buf;
    davy_buf_init(&buf, text, sizeof text);
    davy_json_open(&buf, '{');
    davy_json_text(&buf, "a", "x,");
    davy_json_key_open(&buf, "list", '[');
    davy_json_text_item(&buf, "{");
    davy_json_raw(&buf, NULL, "1");
    davy_json_open(&buf, '{');
    davy_json_close(&buf, '}');
    davy_json_open(&buf, '[');
    davy_json_close(&buf, ']');
    davy_json_close(&buf, ']');
    davy_json_bool(&buf, "b", true);
    davy_json_null(&buf, "n");
    davy_json_integer(&buf, "i", INT64_MIN);
    davy_json_raw(&buf, "r", "{}");
    davy_json_close(&buf, '}');
    assert_string_equal(
        text, "{\"a\":\"x,\",\"list\":[\"{\",1,{},[]],\"b\":true,\"n\":null,\"i\":-9223372036854775808,\"r\":{}}");
}

static void what_is_not_known_is_null(void **unused)
{
    (void)unused;
    char text[128];
    struct davy_buf buf;
    davy_buf_init(&buf, text, sizeof text);
    davy_json_open(&buf, '{');
    davy_json_text(&buf, "t", NULL);
    davy_json_number(&buf, "nan", NAN);
    davy_json_number(&buf, "inf", INFINITY);
    davy_json_number(&buf, "min", -INFINITY);
    davy_json_number(&buf, "x", 15.2);
    davy_json_time(&buf, "at", (davy_wall){0});
    davy_json_close(&buf, '}');
    assert_string_equal(text, "{\"t\":null,\"nan\":null,\"inf\":null,\"min\":null,\"x\":15.2,"
                              "\"at\":\"1970-01-01T00:00:00.000Z\"}");
}

/* The value through our writer and jansson's parser; the caller frees the object. */
static json_t *through_json(const char *value, const char **ret_back)
{
    char text[2048];
    struct davy_buf buf;
    davy_buf_init(&buf, text, sizeof text);
    davy_json_open(&buf, '{');
    davy_json_text(&buf, "k", value);
    davy_json_close(&buf, '}');
    assert_false(buf.overflow);
    json_t *object = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    if (!object)
        fail_msg("not JSON: %s", text);
    *ret_back = json_string_value(json_object_get(object, "k"));
    assert_non_null(*ret_back);
    return object;
}

static void check_through_json(const char *value, const char *expected)
{
    const char *back;
    json_t *object = through_json(value, &back);
    assert_string_equal(back, expected);
    json_decref(object);
}

static void every_ascii_character_survives_a_foreign_parser(void **unused)
{
    (void)unused;
    char text[128] = "";
    for (int c = 1; c < 128; c++)
        text[c - 1] = (char)c;
    check_through_json(text, text);
}

static void bytes_that_are_not_utf8_become_replacement_characters(void **unused)
{
    (void)unused;
#define R "\xef\xbf\xbd"
    const struct {
        const char *bytes;
        const char *repaired;
    } cases[] = {
        {"caf\xc3\xa9 \xe7\xbd\x90\xe5\x8c\xba \xf0\x9f\x94\xa5",
         "caf\xc3\xa9 \xe7\xbd\x90\xe5\x8c\xba \xf0\x9f\x94\xa5"},
        {"a\x80z", "a" R "z"},
        {"\xc0\x80", R R},             /* overlong NUL */
        {"\xc1\xbf", R R},             /* overlong DEL */
        {"\xe0\x9f\xbf", R R R},       /* overlong of three */
        {"\xf0\x8f\xbf\xbf", R R R R}, /* overlong of four */
        {"\xed\xa0\x80", R R R},       /* surrogate */
        {"\xed\x9f\xbf", "\xed\x9f\xbf"},
        {"\xee\x80\x80", "\xee\x80\x80"},
        {"\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf"}, /* the last code point */
        {"\xf4\x90\x80\x80", R R R R},            /* behind it */
        {"\xf5\x80\x80\x80", R R R R},
        {"\xff\xfe", R R},
        {"\xe7\xbd", R R}, /* cut off */
        {"\xf0\x9f\x94", R R R},
        {"\xc3", R},
        {"\xc3\"", R "\""},
        {"\xe7\xbd\\", R R "\\"},
    };
#undef R
    for (size_t i = 0; i < DAVY_LENGTH(cases); i++)
        check_through_json(cases[i].bytes, cases[i].repaired);
}

static void random_bytes_always_give_json(void **unused)
{
    (void)unused;
    struct davy_random random = {davy_test_seed(20261125)};
    for (int i = 0; i < ROUNDS; i++) {
        char value[64];
        size_t length = davy_random_next(&random) % sizeof value;
        for (size_t b = 0; b < length; b++) {
            uint64_t bits = davy_random_next(&random);
            value[b] = (char)(bits % 3 == 0   ? 0xe0 + (bits >> 8) % 24
                              : bits % 3 == 1 ? 0x80 + (bits >> 8) % 64
                                              : 1 + (bits >> 8) % 255);
        }
        value[length] = '\0';
        const char *back, *again;
        json_t *object = through_json(value, &back);
        json_t *second = through_json(back, &again); /* what is repaired needs no repair */
        assert_string_equal(again, back);
        json_decref(second);
        json_decref(object);
    }
}

static void random_numbers_survive_a_foreign_parser(void **unused)
{
    (void)unused;
    struct davy_random random = {davy_test_seed(20261125)};
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t bits = davy_random_next(&random);
        double value;
        char text[128];
        struct davy_buf buf;
        memcpy(&value, &bits, sizeof value);
        davy_buf_init(&buf, text, sizeof text);
        davy_json_open(&buf, '{');
        davy_json_number(&buf, "k", value);
        davy_json_close(&buf, '}');
        json_t *object = json_loads(text, 0, NULL);
        assert_non_null(object);
        double back = json_number_value(json_object_get(object, "k"));
        if (isfinite(value))
            assert_true(back >= value && back <= value);
        else
            assert_true(json_is_null(json_object_get(object, "k")));
        json_decref(object);
    }
}

static void an_overflow_anywhere_shows_at_the_end(void **unused)
{
    (void)unused;
    char whole[128], text[128];
    struct davy_buf buf;
    for (size_t size = sizeof whole; size >= 1; size--) {
        memset(text, '#', sizeof text);
        davy_buf_init(&buf, size == sizeof whole ? whole : text, size);
        davy_json_open(&buf, '{');
        davy_json_text(&buf, "name", "a\"b\n\x01\xff");
        davy_json_number(&buf, "v", 0.1);
        davy_json_close(&buf, '}');
        assert_int_equal(buf.overflow, size <= strlen(whole));
        assert_true(buf.length < size);
        assert_int_equal(buf.text[buf.length], '\0');
        assert_memory_equal(buf.text, whole, buf.length);
        if (size < sizeof text)
            assert_int_equal(text[size], '#');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_does_not_fit_is_left_out_whole_and_nothing_follows),
        cmocka_unit_test(a_buffer_of_one_byte_holds_the_empty_text),
        cmocka_unit_test(commas_stand_between_members_and_items_only),
        cmocka_unit_test(what_is_not_known_is_null),
        cmocka_unit_test(every_ascii_character_survives_a_foreign_parser),
        cmocka_unit_test(bytes_that_are_not_utf8_become_replacement_characters),
        cmocka_unit_test(random_bytes_always_give_json),
        cmocka_unit_test(random_numbers_survive_a_foreign_parser),
        cmocka_unit_test(an_overflow_anywhere_shows_at_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
