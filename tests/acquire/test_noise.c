/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "acquire/noise.h"

static struct davy_noise noise;
static char text[200];

static int setup(void **state)
{
    (void)state;
    noise = (struct davy_noise){.foreign = 0};
    text[0] = '\0';
    return 0;
}

static bool heard(int64_t at_s, uint32_t foreign, uint32_t strangers, uint32_t late)
{
    const struct davy_bus_reply reply = {.foreign = foreign, .strangers = strangers, .late = late};
    return davy_noise_add(&noise, &reply, (davy_mono){(1000 + at_s) * DAVY_NS_PER_S}, text, sizeof text);
}

static void a_quiet_line_is_not_spoken_of(void **state)
{
    (void)state;
    for (int at = 0; at < 1000; at++)
        assert_false(heard(at, 0, 0, 0));
    assert_string_equal(text, "");
}

static void it_is_said_at_once_then_once_a_minute_with_the_count(void **state)
{
    (void)state;
    assert_true(heard(0, 3, 0, 0));
    assert_non_null(strstr(text, "3 bytes"));
    unsigned said = 0;
    for (int at = 1; at <= 600; at++)
        said += heard(at, 1, 0, 0);
    assert_int_equal(said, 10);
    assert_non_null(strstr(text, "60 bytes"));
    assert_false(heard(700, 0, 0, 0));
}

static void another_master_is_named_before_all_else(void **state)
{
    (void)state;
    assert_true(heard(0, 16, 2, 1));
    assert_non_null(strstr(text, "another master"));
    assert_non_null(strstr(text, "2 requests"));
}

static void late_replies_blame_max_reply(void **state)
{
    (void)state;
    assert_true(heard(0, 9, 0, 1));
    assert_non_null(strstr(text, "max_reply"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_quiet_line_is_not_spoken_of, setup),
        cmocka_unit_test_setup(it_is_said_at_once_then_once_a_minute_with_the_count, setup),
        cmocka_unit_test_setup(another_master_is_named_before_all_else, setup),
        cmocka_unit_test_setup(late_replies_blame_max_reply, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
