/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "config/internal.h"

static void numbers_are_written_as_libconfig_reads_them_exactly(void **state)
{
    (void)state;
    static const struct {
        const char *given, *rewritten; /* NULL: refused */
    } cases[] = {
        {"0", "0"},
        {"+5", "5"},
        {"-2147483648", "-2147483648"},
        {"2147483647", "2147483647"},
        {"2147483648", "2147483648L"},
        {"-2147483649", "-2147483649L"},
        {"4294967297", "4294967297L"},
        {"9223372036854775807", "9223372036854775807L"},
        {"9223372036854775808", NULL},
        {"99999999999999999999L", NULL},
        {"5L", "5"},
        {"5LL", "5"},
        {"0x7FFFFFFF", "0x7FFFFFFF"},
        {"0xffffffff", "0xFFFFFFFFL"},
        {"0xFFFFFFFFFFFFFFFF", NULL},
        {"010", "10"},
        {"0b1", NULL},
        {"5.", "5."},
        {".5", ".5"},
        {"1e5", "1e5"},
        {"1.5e-3", "1.5e-3"},
        {"1e400", NULL},
        {"-1e400", NULL},
        {"1.5L", NULL},
        {"10s", NULL},
        {"-", NULL},
        {".", NULL},
        {"1.2.3", NULL},
        {"0x", NULL},
    };
    for (size_t i = 0; i < DAVY_LENGTH(cases); i++) {
        char text[128];
        struct davy_buf out;
        davy_buf_init(&out, text, sizeof text);
        const char *wrong = davy_literal_rewrite(cases[i].given, &out);
        if (!cases[i].rewritten)
            assert_non_null(wrong);
        else
            assert_string_equal(text, cases[i].rewritten);
    }
}

static void the_nearest_name_is_two_edits_away_at_most(void **state)
{
    (void)state;
    static const char *const names[] = {"baud", "parity", "name", NULL, "timeout"};
    assert_string_equal(davy_nearest("boud", names, DAVY_LENGTH(names)), "baud");
    assert_string_equal(davy_nearest("praity", names, DAVY_LENGTH(names)), "parity");
    assert_string_equal(davy_nearest("time_out", names, DAVY_LENGTH(names)), "timeout");
    assert_null(davy_nearest("colour", names, DAVY_LENGTH(names)));
    assert_null(davy_nearest("", names, DAVY_LENGTH(names)));
    assert_null(davy_nearest("abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz", names, DAVY_LENGTH(names)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_written_as_libconfig_reads_them_exactly),
        cmocka_unit_test(the_nearest_name_is_two_edits_away_at_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
