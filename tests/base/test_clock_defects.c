/* SPDX-License-Identifier: Apache-2.0 */
/* What davy_wall_parse() gets wrong: registered to fail. A case that holds moves to test_clock.c. */
#include <errno.h>

#include "base/attr.h"
#include "base/clock.h"
#include "support/cmocka_all.h"

static void check_refused(const char *const *texts, size_t count)
{
    unsigned taken = 0;
    for (size_t i = 0; i < count; i++) {
        davy_wall t = {-7};
        if (davy_wall_parse(texts[i], &t) == -EINVAL && t.ns == -7)
            continue;
        print_error("\"%s\" was taken for %lld ns\n", texts[i], (long long)t.ns);
        taken++;
    }
    assert_int_equal(taken, 0);
}

/* sscanf() and strtoll() skip blanks and take signs. */
static void signs_and_blanks_are_no_digits(void **unused)
{
    (void)unused;
    const char *const texts[] = {
        "+026-01-01T00:00:00Z", " 026-01-01T00:00:00Z", "2026-01-+1T00:00:00Z", "2026-01-01T00: 0:00Z", " 5", "+5"};
    check_refused(texts, DAVY_LENGTH(texts));
}

/* timegm() has carried the second before it is looked at. */
static void a_leap_second_at_midnight_is_the_next_day(void **unused)
{
    (void)unused;
    davy_wall t = {0};
    assert_int_equal(davy_wall_parse("2016-12-31T23:59:60Z", &t), 0);
    assert_int_equal(t.ns, 1483228800 * DAVY_NS_PER_S);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signs_and_blanks_are_no_digits),
        cmocka_unit_test(a_leap_second_at_midnight_is_the_next_day),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
