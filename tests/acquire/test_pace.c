/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "acquire/pace.h"

static void percentiles_are_of_the_last_answers(void **state)
{
    (void)state;
    struct davy_pace pace = {.count = 0};
    assert_int_equal(davy_pace_percentile(&pace, 50).ns, 0);
    davy_pace_add(&pace, davy_span_ms(7));
    assert_int_equal(davy_pace_percentile(&pace, 0).ns, davy_span_ms(7).ns);
    assert_int_equal(davy_pace_percentile(&pace, 95).ns, davy_span_ms(7).ns);
    for (int i = 0; i < 1000; i++)
        davy_pace_add(&pace, davy_span_ms(1000));
    for (int i = DAVY_PACE_WINDOW; i > 0; i--)
        davy_pace_add(&pace, davy_span_ms(i));
    assert_int_equal(davy_pace_percentile(&pace, 50).ns, davy_span_ms(16).ns);
    assert_int_equal(davy_pace_percentile(&pace, 95).ns, davy_span_ms(31).ns);
    assert_int_equal(davy_pace_percentile(&pace, 100).ns, davy_span_ms(32).ns);
    davy_pace_add(&pace, davy_span_s(1000000));
    davy_pace_add(&pace, (davy_span){-1});
    assert_int_equal(davy_pace_percentile(&pace, 100).ns, davy_span_s(3600).ns);
    assert_int_equal(davy_pace_percentile(&pace, 1).ns, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(percentiles_are_of_the_last_answers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
