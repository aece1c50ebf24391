/* SPDX-License-Identifier: Apache-2.0 */
/* What davy_thread_done_within() gets wrong: registered to fail. A case that holds moves to test_thread.c. */
#include <sched.h>

#include "base/thread.h"
#include "support/cmocka_all.h"

#define STACK (64 * 1024)

static void return_at_once(struct davy_thread *thread, void *context)
{
    (void)thread;
    (void)context;
}

/* Stopping all threads first and then joining one after the other must not cost a deadline each. */
static void one_that_has_returned_is_not_waited_for(void **unused)
{
    (void)unused;
    struct davy_thread thread;
    assert_int_equal(davy_thread_init(&thread, "t"), 0);
    assert_int_equal(davy_thread_start(&thread, STACK, return_at_once, NULL), 0);
    while (!atomic_load(&thread.returned))
        sched_yield();
    struct davy_stamp before = davy_clock_now(&davy_system_clock);
    assert_int_equal(davy_thread_done_within(&thread, davy_span_s(5)), 0);
    assert_true(davy_mono_sub(davy_clock_now(&davy_system_clock).mono, before.mono).ns < 4 * DAVY_NS_PER_S);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(one_that_has_returned_is_not_waited_for)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
