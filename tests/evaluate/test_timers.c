/* SPDX-License-Identifier: Apache-2.0 */
#include "evaluate/timers.h"

#include "base/num.h"
#include "support/cmocka_all.h"
#include "support/seed.h"

#define OWNERS 40

static void gives_owners_by_time_and_then_by_number(void **unused)
{
    (void)unused;
    struct davy_timers timers;
    assert_int_equal(davy_timers_init(&timers, 3), 0);
    assert_int_equal(davy_timers_next(&timers).ns, INT64_MAX);
    davy_timers_set(&timers, 2, (davy_mono){10});
    davy_timers_set(&timers, 0, (davy_mono){20});
    davy_timers_set(&timers, 1, (davy_mono){10});
    assert_int_equal(davy_timers_first(&timers), 1);
    davy_timers_set(&timers, 1, DAVY_MONO_NEVER);
    assert_int_equal(davy_timers_first(&timers), 2);
    davy_timers_set(&timers, 2, (davy_mono){30});
    assert_int_equal(davy_timers_first(&timers), 0);
    davy_timers_done(&timers);
}

/* Against a scan of all times, over random sets, moves and removals. */
static void agrees_with_a_scan(void **unused)
{
    (void)unused;
    struct davy_random random = {davy_test_seed(1)};
    struct davy_timers timers;
    int64_t due[OWNERS];
    assert_int_equal(davy_timers_init(&timers, OWNERS), 0);
    for (int i = 0; i < OWNERS; i++)
        due[i] = INT64_MAX;
    for (int round = 0; round < 20000; round++) {
        uint32_t owner = (uint32_t)(davy_random_next(&random) % OWNERS);
        due[owner] = davy_random_next(&random) % 4 ? (int64_t)(davy_random_next(&random) % 50) : INT64_MAX;
        davy_timers_set(&timers, owner, (davy_mono){due[owner]});
        int best = 0;
        for (int i = 1; i < OWNERS; i++)
            if (due[i] < due[best])
                best = i;
        assert_int_equal(davy_timers_next(&timers).ns, due[best]);
        if (due[best] != INT64_MAX)
            assert_int_equal(davy_timers_first(&timers), best);
    }
    davy_timers_done(&timers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_owners_by_time_and_then_by_number),
        cmocka_unit_test(agrees_with_a_scan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
