/* SPDX-License-Identifier: Apache-2.0 */
/* Waits on a pipe. What they say of themselves is counted; how long they took is not. */
#include <poll.h>
#include <unistd.h>

#include "../../src/acquire/wait.h"
#include "support/cmocka_all.h"

static davy_mono in_ms(int64_t ms)
{
    return davy_mono_add(davy_wait_now(), davy_span_ms(ms));
}

/* Longer than two slices: whoever watches hears of it meanwhile, not only at its end. */
static void who_waits_long_gives_signs_of_life(void **state)
{
    (void)state;
    int ends[2];
    atomic_uint_fast64_t beats = 0;
    assert_int_equal(pipe(ends), 0);
    davy_wait_beat_into(&beats);
    assert_false(davy_wait_ready(ends[0], POLLIN, in_ms(600), NULL));
    assert_in_range(beats, 3, 100);
    beats = 0;
    davy_wait_until(in_ms(600), NULL);
    assert_in_range(beats, 3, 100);
    davy_wait_beat_into(NULL);
    close(ends[0]);
    close(ends[1]);
}

/* Bytes that drip one by one end each wait at once. */
static void who_is_served_again_and_again_gives_them_too(void **state)
{
    (void)state;
    int ends[2];
    atomic_uint_fast64_t beats = 0;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "x", 1), 1);
    davy_wait_beat_into(&beats);
    for (unsigned i = 1; i <= 10; i++) {
        assert_true(davy_wait_ready(ends[0], POLLIN, in_ms(10000), NULL));
        assert_int_equal(beats, i);
    }
    davy_wait_beat_into(NULL);
    close(ends[0]);
    close(ends[1]);
}

static void without_anybody_who_watches_nothing_is_counted(void **state)
{
    (void)state;
    atomic_uint_fast64_t beats = 0;
    davy_wait_beat_into(&beats);
    davy_wait_beat_into(NULL);
    davy_wait_beat();
    davy_wait_until(in_ms(1), NULL);
    assert_int_equal(beats, 0);
}

static void a_stop_ends_a_wait(void **state)
{
    (void)state;
    int ends[2];
    const atomic_bool stop = true;
    const davy_mono far = in_ms(3600 * 1000);
    assert_int_equal(pipe(ends), 0);
    assert_false(davy_wait_ready(ends[0], POLLIN, far, &stop));
    davy_wait_until(far, &stop);
    assert_true(davy_wait_now().ns < far.ns);
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_waits_long_gives_signs_of_life),
        cmocka_unit_test(who_is_served_again_and_again_gives_them_too),
        cmocka_unit_test(without_anybody_who_watches_nothing_is_counted),
        cmocka_unit_test(a_stop_ends_a_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
