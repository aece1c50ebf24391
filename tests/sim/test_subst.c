/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sim/subst.h"

static const char *lookup(const char *name)
{
    if (strcmp(name, "DIR") == 0)
        return "/tmp/x";
    if (strcmp(name, "EMPTY") == 0)
        return "";
    return strcmp(name, "EVIL") == 0 ? "a\"; port = 1; b = \"" : NULL;
}

static int subst(const char *text, char *why, size_t size, char **ret)
{
    struct davy_buf buf;
    davy_buf_init(&buf, why, size);
    return davy_sim_subst(text, lookup, &buf, ret);
}

static void good(const char *text, const char *expected)
{
    char why[256];
    char *result = NULL;
    assert_int_equal(subst(text, why, sizeof(why), &result), 0);
    assert_string_equal(result, expected);
    free(result);
}

static void bad(const char *text, const char *expected)
{
    char why[256];
    char *result = NULL;
    assert_int_equal(subst(text, why, sizeof(why), &result), -EINVAL);
    assert_null(result);
    assert_non_null(strstr(why, expected));
}

static void variables_are_replaced(void **state)
{
    (void)state;
    good("link = \"${DIR}/a\"; x = ${EMPTY};", "link = \"/tmp/x/a\"; x = ;");
    good("nothing $ to { do }", "nothing $ to { do }");
    good("${DIR}${DIR}", "/tmp/x/tmp/x");
}

static void defaults_serve_where_a_variable_is_unset_or_empty(void **state)
{
    (void)state;
    good("port = ${PORT:-1502}; ${EMPTY:-2} ${DIR:-3} ${PORT:-}", "port = 1502; 2 /tmp/x ");
}

static void comments_are_left_alone(void **state)
{
    (void)state;
    good("# ${NO}\n// ${NO}\n/* ${NO}\n ${NO} */ ${DIR}", "# ${NO}\n// ${NO}\n/* ${NO}\n ${NO} */ /tmp/x");
    good("a = \"http://${DIR}#${DIR}\";", "a = \"http:///tmp/x#/tmp/x\";");
    good("a = \"\\\"# ${DIR}\";", "a = \"\\\"# /tmp/x\";");
}

static void problems_name_their_line(void **state)
{
    (void)state;
    bad("\n\nx = ${NO};", "3: ${NO}");
    bad("x = \"${DIR\";", "1: ${ without");
    bad("x = \"${EVIL}\";", "quotes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(variables_are_replaced),
        cmocka_unit_test(defaults_serve_where_a_variable_is_unset_or_empty),
        cmocka_unit_test(comments_are_left_alone),
        cmocka_unit_test(problems_name_their_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
