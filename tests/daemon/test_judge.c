/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/judge.h"

#include "base/attr.h"
#include "support/cmocka_all.h"

/* `s` seconds after the start; the wall clock is `ahead` ms ahead of where it should be. */
static struct davy_stamp at(int64_t s, int64_t ahead_ms)
{
    return (struct davy_stamp){{(1000 + s) * DAVY_NS_PER_S},
                               {(1700000000 + s) * DAVY_NS_PER_S + ahead_ms * DAVY_NS_PER_MS}};
}

static davy_mono mono(int64_t s)
{
    return at(s, 0).mono;
}

/* Asked each second over [from, to]; returns the last answer. */
static enum told clock_over(struct clock_watch *watch, int64_t from, int64_t to, bool synchronized, int64_t ahead_ms)
{
    enum told told = TOLD_NOTHING;
    for (int64_t s = from; s <= to; s++)
        told = clock_judge(watch, synchronized, at(s, ahead_ms));
    return told;
}

static void a_clock_is_troubled_after_ten_minutes_unsynchronized(void **unused)
{
    (void)unused;
    struct clock_watch watch = {.state = TOLD_NOTHING};
    assert_int_equal(clock_over(&watch, 0, 59, true, 0), TOLD_NOTHING); /* what stood before the start goes on */
    assert_int_equal(clock_over(&watch, 60, 60, true, 0), TOLD_FALSE);
    assert_int_equal(clock_over(&watch, 61, 660, false, 0), TOLD_FALSE);
    assert_int_equal(clock_over(&watch, 661, 661, false, 0), TOLD_TRUE);
    assert_int_equal(clock_over(&watch, 662, 721, true, 0), TOLD_TRUE);
    assert_int_equal(clock_over(&watch, 722, 722, true, 0), TOLD_FALSE);
}

static void a_moment_of_synchronization_begins_the_ten_minutes_anew(void **unused)
{
    (void)unused;
    struct clock_watch watch = {.state = TOLD_NOTHING};
    clock_over(&watch, 0, 599, false, 0);
    clock_over(&watch, 600, 600, true, 0);
    assert_int_equal(clock_over(&watch, 601, 1200, false, 0), TOLD_NOTHING);
    assert_int_equal(clock_over(&watch, 1201, 1201, false, 0), TOLD_TRUE);
}

static void a_step_of_more_than_a_second_is_a_trouble_for_a_minute(void **unused)
{
    (void)unused;
    const struct {
        int64_t ahead_ms;
        enum told told;
    } rows[] = {{1000, TOLD_FALSE}, {1001, TOLD_TRUE}, {-1000, TOLD_FALSE}, {-1001, TOLD_TRUE}, {-3600000, TOLD_TRUE}};
    for (size_t i = 0; i < DAVY_LENGTH(rows); i++) {
        struct clock_watch watch = {.state = TOLD_NOTHING};
        assert_int_equal(clock_over(&watch, 0, 100, true, 0), TOLD_FALSE);
        assert_int_equal(clock_over(&watch, 101, 101, true, rows[i].ahead_ms), rows[i].told);
        assert_int_equal(clock_over(&watch, 102, 160, true, rows[i].ahead_ms), rows[i].told);
        assert_int_equal(clock_over(&watch, 161, 161, true, rows[i].ahead_ms), TOLD_FALSE);
    }
}

static void slewing_is_no_step_however_far_it_goes(void **unused)
{
    (void)unused;
    struct clock_watch watch = {.state = TOLD_NOTHING};
    clock_over(&watch, 0, 100, true, 0);
    for (int64_t s = 101; s < 10000; s++) /* 500 ppm */
        assert_int_equal(clock_judge(&watch, true, at(s, (s - 100) / 2)), TOLD_FALSE);
}

static void a_step_while_unsynchronized_stays_until_synchronized(void **unused)
{
    (void)unused;
    struct clock_watch watch = {.state = TOLD_NOTHING};
    clock_over(&watch, 0, 5, false, 0);
    assert_int_equal(clock_over(&watch, 6, 300, false, 5000), TOLD_TRUE);
    assert_int_equal(clock_over(&watch, 301, 360, true, 5000), TOLD_TRUE);
    assert_int_equal(clock_over(&watch, 361, 361, true, 5000), TOLD_FALSE);
}

static enum told load_over(struct overload_watch *watch, int64_t from, int64_t to, bool full, bool slow)
{
    enum told told = TOLD_NOTHING;
    for (int64_t s = from; s <= to; s++)
        told = overload_judge(watch, full, slow, mono(s));
    return told;
}

static void a_queue_that_stays_over_half_full_is_overload(void **unused)
{
    (void)unused;
    struct overload_watch watch = {.state = TOLD_NOTHING};
    assert_int_equal(load_over(&watch, 0, 59, false, false), TOLD_NOTHING);
    assert_int_equal(load_over(&watch, 60, 60, false, false), TOLD_FALSE);
    assert_int_equal(load_over(&watch, 61, 70, true, false), TOLD_FALSE);
    assert_int_equal(load_over(&watch, 71, 71, true, false), TOLD_TRUE);
    assert_int_equal(load_over(&watch, 72, 131, false, false), TOLD_TRUE);
    assert_int_equal(load_over(&watch, 132, 132, false, false), TOLD_FALSE);
}

static void a_short_burst_is_none_and_slow_points_are_at_once(void **unused)
{
    (void)unused;
    struct overload_watch watch = {.state = TOLD_NOTHING};
    load_over(&watch, 0, 60, false, false);
    load_over(&watch, 61, 69, true, false);
    load_over(&watch, 70, 70, false, false);
    assert_int_equal(load_over(&watch, 71, 79, true, false), TOLD_FALSE);
    assert_int_equal(load_over(&watch, 80, 80, false, true), TOLD_TRUE);
}

/* A point of `interval_s` that is read each `every_s` seconds, judged each second over `for_s`; returns the last. */
static bool slow_after(int64_t interval_s, int64_t every_s, int64_t for_s)
{
    struct read_rate rate = {.count = 0};
    bool slow = false;
    for (int64_t s = 0; s <= for_s; s++)
        slow = read_rate_judge(&rate, s % every_s == 0, davy_span_s(interval_s), false, mono(s));
    return slow;
}

static void a_point_is_slow_at_less_than_half_its_rate(void **unused)
{
    (void)unused;
    assert_false(slow_after(1, 1, 100));
    assert_false(slow_after(1, 2, 100)); /* exactly half */
    assert_true(slow_after(1, 3, 100));
    assert_false(slow_after(1, 100, 9)); /* not for 10 s yet */
    assert_true(slow_after(1, 100, 10));
    assert_false(slow_after(60, 60, 1000));
    assert_false(slow_after(60, 119, 1000));
    assert_false(slow_after(60, 1000, 239)); /* of slow points one is patient */
    assert_true(slow_after(60, 1000, 240));
}

static void a_device_that_is_dead_is_not_slow_nor_when_it_comes_back(void **unused)
{
    (void)unused;
    struct read_rate rate = {.count = 0};
    for (int64_t s = 0; s < 600; s++)
        assert_false(read_rate_judge(&rate, s % 60 == 0, davy_span_s(1), true, mono(s)));
    for (int64_t s = 600; s < 700; s++)
        assert_false(read_rate_judge(&rate, 1, davy_span_s(1), false, mono(s)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_clock_is_troubled_after_ten_minutes_unsynchronized),
        cmocka_unit_test(a_moment_of_synchronization_begins_the_ten_minutes_anew),
        cmocka_unit_test(a_step_of_more_than_a_second_is_a_trouble_for_a_minute),
        cmocka_unit_test(slewing_is_no_step_however_far_it_goes),
        cmocka_unit_test(a_step_while_unsynchronized_stays_until_synchronized),
        cmocka_unit_test(a_queue_that_stays_over_half_full_is_overload),
        cmocka_unit_test(a_short_burst_is_none_and_slow_points_are_at_once),
        cmocka_unit_test(a_point_is_slow_at_less_than_half_its_rate),
        cmocka_unit_test(a_device_that_is_dead_is_not_slow_nor_when_it_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
