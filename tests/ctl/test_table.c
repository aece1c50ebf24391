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

#include "ctl/ctl.h"
#include "base/utf8.h"

static void counts_columns_of_every_script(void **state)
{
    (void)state;
    assert_int_equal(davy_ctl_width(""), 0);
    assert_int_equal(davy_ctl_width("GT-101.h2s"), 10);
    assert_int_equal(davy_ctl_width("罐区一"), 6);
    assert_int_equal(davy_ctl_width("Köln ≥ µ"), 8);
    assert_int_equal(davy_ctl_width("e\xcc\x81"), 1); /* a combining accent */
    assert_int_equal(davy_ctl_width("한글カナ"), 8);
    assert_int_equal(davy_ctl_width("ｱ"), 1);  /* half width */
    assert_int_equal(davy_ctl_width("Ａ"), 2); /* full width */
}

static void escapes_what_would_move_the_cursor(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"plain 罐区一 µ", "plain 罐区一 µ"},
        {"\x1b[2J", "\\x1b[2J"},
        {"a\nb\tc\r", "a\\x0ab\\x09c\\x0d"},
        {"\x7f", "\\x7f"},
        {"\xc2\x9b"
         "31m",
         "\\xc2\\x9b31m"},
        {"\xe2\x80\xae", "\\xe2\\x80\\xae"},
        {"\xff\xc0\x80", "\\xff\\xc0\\x80"},
        {"\xed\xa0\x80", "\\xed\\xa0\\x80"},
        {"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"},
        {"\xe7\xbd", "\\xe7\\xbd"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        char *escaped = davy_ctl_escape(pairs[i][0]);
        assert_string_equal(escaped, pairs[i][1]);
        free(escaped);
    }
}

static void decodes_one_code_point_at_a_time(void **state)
{
    (void)state;
    uint32_t code;
    assert_int_equal(davy_utf8_next("A", &code), 1);
    assert_int_equal(code, 'A');
    assert_int_equal(davy_utf8_next("\xe7\xbd\x90", &code), 3);
    assert_int_equal(code, 0x7f50);
    assert_int_equal(davy_utf8_next("\xf0\x9f\x94\xa5", &code), 4);
    assert_int_equal(code, 0x1f525);
    assert_int_equal(davy_utf8_next("\xc3", &code), 1);
    assert_int_equal(code, DAVY_UTF8_BAD);
}

static void a_span_counts_back_from_now(void **state)
{
    (void)state;
    const struct ctl ctl = {.now = {1000000 * DAVY_NS_PER_S}};
    davy_wall t;
    assert_int_equal(davy_ctl_time(&ctl, "1h", &t), 0);
    assert_int_equal(t.ns, 996400 * DAVY_NS_PER_S);
    assert_int_equal(davy_ctl_time(&ctl, "1000", &t), 0);
    assert_int_equal(t.ns, 1000 * DAVY_NS_PER_S);
    assert_int_equal(davy_ctl_time(&ctl, "1970-01-01T00:00:01+00:00", &t), 0);
    assert_int_equal(t.ns, DAVY_NS_PER_S);
    assert_int_equal(davy_ctl_time(&ctl, "30000d", &t), 0);
    assert_int_equal(t.ns, 0);
    assert_true(davy_ctl_time(&ctl, "yesterday", &t) < 0);
}

static void an_age_has_the_unit_that_fits(void **state)
{
    (void)state;
    static const struct {
        double seconds;
        const char *text;
    } ages[] = {{0.44, "0.4s"}, {42, "42s"}, {180, "3min"}, {10800, "3h"}, {864000, "10d"}};
    for (size_t i = 0; i < sizeof ages / sizeof ages[0]; i++) {
        json_t *number = json_real(ages[i].seconds);
        char *text = davy_ctl_age(number);
        assert_string_equal(text, ages[i].text);
        free(text);
        json_decref(number);
    }
    char *none = davy_ctl_age(NULL);
    assert_string_equal(none, "-");
    free(none);
}

static void a_cell_shows_numbers_as_they_were(void **state)
{
    (void)state;
    json_t *object = json_loads("{\"a\":15.2,\"b\":10.0,\"c\":null,\"d\":true,\"e\":\"x\\u001b\",\"f\":7}", 0, NULL);
    static const char *const expected[][2] = {{"a", "15.2"},   {"b", "10"}, {"c", "-"},      {"d", "yes"},
                                              {"e", "x\\x1b"}, {"f", "7"},  {"missing", "-"}};
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        char *cell = davy_ctl_cell(object, expected[i][0]);
        assert_string_equal(cell, expected[i][1]);
        free(cell);
    }
    json_decref(object);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_columns_of_every_script),   cmocka_unit_test(escapes_what_would_move_the_cursor),
        cmocka_unit_test(decodes_one_code_point_at_a_time), cmocka_unit_test(a_span_counts_back_from_now),
        cmocka_unit_test(an_age_has_the_unit_that_fits),    cmocka_unit_test(a_cell_shows_numbers_as_they_were),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
