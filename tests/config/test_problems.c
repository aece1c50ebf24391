/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "config/problems.h"

static void a_problem_is_one_line_with_what_applies(void **state)
{
    (void)state;
    struct davy_problems problems = {0};
    char text[256];
    davy_problems_add(&problems, DAVY_PROBLEM_ERROR, "a.conf", 12, "buses[0].baud", "%d is wrong", 1);
    davy_problems_add(&problems, DAVY_PROBLEM_WARNING, "a.conf", 0, NULL, "old");
    davy_problems_add(&problems, DAVY_PROBLEM_ERROR, NULL, 3, "x", "y");
    assert_string_equal(davy_problem_format(&problems.items[0], text, sizeof text),
                        "a.conf:12: error: buses[0].baud: 1 is wrong");
    assert_string_equal(davy_problem_format(&problems.items[1], text, sizeof text), "a.conf: warning: old");
    assert_string_equal(davy_problem_format(&problems.items[2], text, sizeof text), "error: x: y");
    assert_int_equal(problems.errors, 2);
    assert_int_equal(problems.warnings, 1);
    davy_problems_done(&problems);
    davy_problems_done(&problems);
    assert_int_equal(problems.count, 0);
}

static void what_is_past_the_bound_is_counted(void **state)
{
    (void)state;
    struct davy_problems problems = {0};
    for (int i = 0; i < 1003; i++)
        davy_problems_add(&problems, DAVY_PROBLEM_ERROR, "f", i, "p", "m");
    assert_int_equal(problems.count, 1000);
    assert_int_equal(problems.left_off, 3);
    assert_int_equal(problems.errors, 1003);
    davy_problems_done(&problems);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_problem_is_one_line_with_what_applies),
        cmocka_unit_test(what_is_past_the_bound_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
