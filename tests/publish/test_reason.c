/* SPDX-License-Identifier: Apache-2.0 */
#include "publish/reason.h"

#include <string.h>

#include "support/cmocka_all.h"

static void names_what_the_standard_names_and_nothing_else(void **state)
{
    (void)state;
    int named = 0;
    for (int code = 0; code < 256; code++)
        named += strcmp(davy_reason_code_name((uint8_t)code), "unknown reason") != 0;
    assert_int_equal(named, 6 + 35); /* OASIS MQTT 5.0, table 2-6: 00 04 10 11 18 19, and 80 to A2 */
    assert_string_equal(davy_reason_code_name(0x87), "not authorized");
    assert_string_equal(davy_reason_code_name(0xFF), "unknown reason");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(names_what_the_standard_names_and_nothing_else)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
