/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ctl/units.h"

static void all_are_those_that_modbus_gives_to_devices(void **state)
{
    (void)state;
    struct units units;
    davy_units_all(&units);
    assert_int_equal(units.count, 247);
    assert_false(units.asked[0]);
    assert_true(units.asked[1] && units.asked[247]);
    for (int unit = 248; unit < 256; unit++)
        assert_false(units.asked[unit]);
}

static void takes_lists_and_ranges_each_unit_once(void **state)
{
    (void)state;
    struct units units;
    assert_int_equal(davy_units_parse("3,1-4,200,4-4", 1, 247, &units), 0);
    assert_int_equal(units.count, 5);
    for (int unit = 0; unit < 256; unit++)
        assert_int_equal(units.asked[unit], (unit >= 1 && unit <= 4) || unit == 200);
    assert_int_equal(davy_units_parse("0-255", 0, 255, &units), 0);
    assert_int_equal(units.count, 256);
}

static void refuses_what_is_no_list_and_changes_nothing(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",  "x",   "1-",    "-1", "1,",    ",1",    "1,,2",        "2-1",
                                        "0", "248", "1-248", "1 ", "1-2-3", "00001", "99999999999", "1;2"};
    for (size_t i = 0; i < DAVY_LENGTH(wrong); i++) {
        struct units units = {.count = 77};
        assert_int_equal(davy_units_parse(wrong[i], 1, 247, &units), -EINVAL);
        assert_int_equal(units.count, 77);
    }
}

static void a_scan_takes_longer_where_polls_fill_the_line(void **state)
{
    (void)state;
    const davy_span timeout = davy_span_ms(300);
    assert_int_equal(davy_scan_time(247, timeout, 0).ns, 247 * timeout.ns);
    assert_int_equal(davy_scan_time(60, timeout, 10).ns, 60 * davy_span_ms(3000).ns); /* measured: 50 silent in 150 s */
    assert_int_equal(davy_scan_time(60, timeout, 1000).ns, 60 * davy_span_ms(3000).ns);
    int64_t before = 0;
    for (double polls = 0; polls < 5; polls += 0.1) {
        const int64_t now = davy_scan_time(100, timeout, polls).ns;
        assert_true(now >= before);
        before = now;
    }
}

static void a_gateway_answers_for_who_is_absent(void **state)
{
    (void)state;
    assert_true(davy_scan_is_there("ok", 0));
    for (int exception = 1; exception < 256; exception++)
        assert_int_equal(davy_scan_is_there("exception", exception), exception != 10 && exception != 11);
    assert_false(davy_scan_is_there("timeout", 0));
    assert_false(davy_scan_is_there("invalid", 0));
    assert_false(davy_scan_is_there("down", 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_are_those_that_modbus_gives_to_devices),
        cmocka_unit_test(takes_lists_and_ranges_each_unit_once),
        cmocka_unit_test(refuses_what_is_no_list_and_changes_nothing),
        cmocka_unit_test(a_scan_takes_longer_where_polls_fill_the_line),
        cmocka_unit_test(a_gateway_answers_for_who_is_absent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
