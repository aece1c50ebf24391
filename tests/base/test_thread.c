/* SPDX-License-Identifier: Apache-2.0 */
#include "base/thread.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>

#include "support/cmocka_all.h"

#define STACK (64 * 1024)

/* What a body saw of itself; read after the join. */
struct seen {
    char name[16];
    bool signals_blocked;
    bool faults_blocked;
    unsigned cycles;
};

static void until_stopped(struct davy_thread *thread, void *context)
{
    struct seen *seen = context;
    sigset_t mask;
    pthread_getname_np(pthread_self(), seen->name, sizeof seen->name);
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    seen->signals_blocked = sigismember(&mask, SIGTERM) == 1 && sigismember(&mask, SIGHUP) == 1;
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    for (size_t i = 0; i < DAVY_LENGTH(faults); i++)
        seen->faults_blocked |= sigismember(&mask, faults[i]) == 1;
    while (!davy_thread_stopping(thread)) {
        davy_thread_beat(thread);
        seen->cycles++;
        davy_waker_wait(&thread->waker, davy_span_s(600));
    }
}

static void a_stop_wakes_the_body_and_done_joins_it(void **unused)
{
    (void)unused;
    struct davy_thread thread;
    struct seen seen = {.cycles = 0};
    assert_int_equal(davy_thread_init(&thread, "poller-with-a-long-name"), 0);
    assert_int_equal(davy_thread_start(&thread, STACK, until_stopped, &seen), 0);
    davy_thread_stop(&thread);
    davy_thread_done(&thread);
    assert_string_equal(seen.name, "poller-with-a-l");
    assert_true(seen.signals_blocked);
    assert_false(seen.faults_blocked); /* else no handler of a sanitizer would tell where */
    assert_int_equal(atomic_load(&thread.beats), seen.cycles);
    davy_thread_done(&thread); /* repeatable */
    assert_false(thread.started);
}

static void the_caller_keeps_its_own_signal_mask(void **unused)
{
    (void)unused;
    struct davy_thread thread;
    struct seen seen = {.cycles = 0};
    sigset_t before, after;
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    assert_int_equal(davy_thread_init(&thread, "t"), 0);
    assert_int_equal(davy_thread_start(&thread, STACK, until_stopped, &seen), 0);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    for (int signal = 1; signal < 32; signal++)
        assert_int_equal(sigismember(&before, signal), sigismember(&after, signal));
    davy_thread_done(&thread);
}

static void one_that_was_never_started_is_done_at_once(void **unused)
{
    (void)unused;
    struct davy_thread thread;
    assert_int_equal(davy_thread_init(&thread, "t"), 0);
    assert_int_equal(davy_thread_bound(&thread), 0);
    davy_thread_stop(&thread);
    assert_int_equal(davy_thread_done_within(&thread, davy_span_s(0)), 0);
    davy_thread_done(&thread);
    assert_int_equal(thread.waker.fd, -1);
}

static void one_that_cannot_start_says_so(void **unused)
{
    (void)unused;
    struct davy_thread thread;
    assert_int_equal(davy_thread_init(&thread, "t"), 0);
    assert_int_equal(davy_thread_start(&thread, 1, until_stopped, NULL), -EINVAL);
    assert_false(thread.started);
    davy_thread_done(&thread);
}

/* Does not look at its stop request until it is let go. */
static void stubborn(struct davy_thread *thread, void *context)
{
    struct davy_waker *let_go = context;
    (void)thread;
    davy_waker_wait(let_go, davy_span_s(600));
}

static void waiting_for_a_stubborn_body_gives_up(void **unused)
{
    (void)unused;
    struct davy_thread thread;
    struct davy_waker let_go;
    assert_int_equal(davy_waker_init(&let_go), 0);
    assert_int_equal(davy_thread_init(&thread, "stubborn"), 0);
    assert_int_equal(davy_thread_bound(&thread), 0);
    assert_int_equal(davy_thread_start(&thread, STACK, stubborn, &let_go), 0);
    assert_int_equal(davy_thread_done_within(&thread, davy_span_ms(20)), -ETIMEDOUT);
    assert_true(thread.started);
    davy_waker_ring(&let_go);
    davy_thread_done(&thread);
    assert_false(thread.started);
    davy_waker_done(&let_go);
}

static void a_join_leaves_the_waker_open_for_others(void **unused)
{
    (void)unused;
    struct davy_thread thread = DAVY_THREAD_INIT;
    struct seen seen = {.cycles = 0};
    davy_thread_join(&thread);
    assert_int_equal(davy_thread_init(&thread, "t"), 0);
    assert_int_equal(davy_thread_start(&thread, STACK, until_stopped, &seen), 0);
    davy_thread_join(&thread);
    davy_thread_join(&thread);
    assert_true(thread.waker.fd >= 0);
    davy_waker_ring(&thread.waker);
    davy_thread_done(&thread);
    assert_int_equal(thread.waker.fd, -1);
}

static void a_ring_makes_the_body_turn_once_more(void **unused)
{
    (void)unused;
    for (int i = 0; i < 200; i++) {
        struct davy_thread thread;
        struct seen seen = {.cycles = 0};
        assert_int_equal(davy_thread_init(&thread, "t"), 0);
        davy_waker_ring(&thread.waker); /* before there is a body: the first wait returns at once */
        assert_int_equal(davy_thread_start(&thread, STACK, until_stopped, &seen), 0);
        while (atomic_load(&thread.beats) < 2)
            sched_yield();
        davy_thread_done(&thread);
        assert_int_equal(seen.cycles, 2);
    }
}

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
    assert_int_equal(davy_thread_bound(&thread), 0);
    assert_int_equal(davy_thread_start(&thread, STACK, return_at_once, NULL), 0);
    while (!atomic_load(&thread.returned))
        sched_yield();
    struct davy_stamp before = davy_clock_now(&davy_system_clock);
    assert_int_equal(davy_thread_done_within(&thread, davy_span_s(5)), 0);
    assert_true(davy_mono_sub(davy_clock_now(&davy_system_clock).mono, before.mono).ns < 4 * DAVY_NS_PER_S);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_has_returned_is_not_waited_for),
        cmocka_unit_test(a_stop_wakes_the_body_and_done_joins_it),
        cmocka_unit_test(the_caller_keeps_its_own_signal_mask),
        cmocka_unit_test(one_that_was_never_started_is_done_at_once),
        cmocka_unit_test(one_that_cannot_start_says_so),
        cmocka_unit_test(waiting_for_a_stubborn_body_gives_up),
        cmocka_unit_test(a_join_leaves_the_waker_open_for_others),
        cmocka_unit_test(a_ring_makes_the_body_turn_once_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
