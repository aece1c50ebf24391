/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/judge.h"

#include <string.h>

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

/* ---- corrections beside ---------------------------------------------------------------------------------------- */

static void a_step_is_written_down_once_and_the_next_ones_together(void **unused)
{
    (void)unused;
    struct clock_corrections corrections = {.pending_ns = 0};
    int64_t moved = 0;
    assert_false(clock_corrected(&corrections, true, at(0, 0), &moved));
    assert_false(clock_corrected(&corrections, true, at(10, 1000), &moved)); /* slewed */
    assert_true(clock_corrected(&corrections, true, at(62, 3601000), &moved));
    assert_int_equal(moved, 3600 * DAVY_NS_PER_S);
    assert_false(clock_corrected(&corrections, true, at(63, 3601000), &moved));
    assert_false(clock_corrected(&corrections, true, at(64, 1000), &moved));
    assert_false(clock_corrected(&corrections, true, at(65, -7199000), &moved));
    assert_false(clock_corrected(&corrections, true, at(121, -7199000), &moved));
    assert_true(clock_corrected(&corrections, true, at(122, -7199000), &moved));
    assert_int_equal(moved, -10800 * DAVY_NS_PER_S);
    assert_false(clock_corrected(&corrections, true, at(1000, -7199000), &moved));
}

static void a_clock_that_is_synchronized_without_a_step_is_worth_a_line_once(void **unused)
{
    (void)unused;
    struct clock_corrections corrections = {.pending_ns = 0};
    int64_t moved = 1;
    assert_false(clock_corrected(&corrections, false, at(0, 0), &moved));
    assert_true(clock_corrected(&corrections, true, at(1, 0), &moved));
    assert_int_equal(moved, 0);
    assert_false(clock_corrected(&corrections, false, at(2, 0), &moved));
    assert_false(clock_corrected(&corrections, true, at(3, 0), &moved));
    assert_true(clock_corrected(&corrections, true, at(4, 5000), &moved)); /* and holds up no step */
}

static void a_clock_that_is_set_after_the_boot_is_written_down_with_how_far_it_was_off(void **unused)
{
    (void)unused;
    struct clock_corrections corrections = {.pending_ns = 0};
    const int64_t off_ms = INT64_C(56) * 365 * 86400 * 1000;
    int64_t moved = 1;
    assert_false(clock_corrected(&corrections, false, at(0, -off_ms), &moved));
    assert_false(clock_corrected(&corrections, false, at(100, -off_ms), &moved));
    assert_true(clock_corrected(&corrections, true, at(101, 0), &moved));
    assert_int_equal(moved, off_ms * DAVY_NS_PER_MS);
    assert_false(clock_corrected(&corrections, false, at(500, 0), &moved));
    assert_false(clock_corrected(&corrections, true, at(501, 0), &moved)); /* it was before */
}

/* ---- trust ----------------------------------------------------------------------------------------------------- */

static bool trusted_over(struct clock_trust *trust, int64_t from, int64_t to, bool synchronized, int64_t ahead_ms)
{
    bool trusted = false;
    for (int64_t s = from; s < to; s += 10)
        clock_trusted(trust, synchronized, at(s, ahead_ms));
    trusted = clock_trusted(trust, synchronized, at(to, ahead_ms));
    return trusted;
}

static void ages_are_reckoned_by_a_clock_that_was_right_for_six_hours(void **unused)
{
    (void)unused;
    struct clock_trust trust = {.steady_since = {0}};
    const int64_t h = 3600, year_ms = INT64_C(365) * 86400 * 1000;
    assert_false(trusted_over(&trust, 0, 6 * h - 1, true, 0));
    assert_true(trusted_over(&trust, 6 * h, 6 * h, true, 0));
    assert_true(trusted_over(&trust, 7 * h, 7 * h, true, 60000));               /* a minute is no step to ages */
    assert_false(trusted_over(&trust, 7 * h + 10, 13 * h, true, 20 * year_ms)); /* synchronized, 20 years on */
    assert_false(trusted_over(&trust, 13 * h + 1, 19 * h, true, 0));            /* and back */
    assert_true(trusted_over(&trust, 19 * h + 1, 19 * h + 1, true, 0));
    assert_false(trusted_over(&trust, 19 * h + 2, 19 * h + 2, false, 0));
}

static void a_clock_that_nobody_keeps_is_believed_after_a_month_without_a_step(void **unused)
{
    (void)unused;
    struct clock_trust trust = {.steady_since = {0}};
    const int64_t day = 86400;
    assert_false(trusted_over(&trust, 0, 30 * day - 1, false, 0));
    assert_true(trusted_over(&trust, 30 * day, 30 * day, false, 0));
    assert_false(trusted_over(&trust, 30 * day + 10, 59 * day, false, 3600000));
}

/* ---- what nobody takes ----------------------------------------------------------------------------------------- */

/*
 * Asked each second over [from, to]; the oldest was recorded `age_s` before `to`, by a clock that is `then_ms` ahead.
 */
static bool unconfirmed_over(struct unconfirmed_watch *watch, int64_t from, int64_t to, int64_t born_s, int64_t then_ms,
                             int64_t now_ms)
{
    bool overdue = false;
    for (int64_t s = from; s <= to; s++)
        overdue = unconfirmed_judge(watch, at(born_s, then_ms).wall, at(s, now_ms));
    return overdue;
}

static void an_event_that_nobody_takes_is_overdue_after_ten_minutes_whatever_the_clock_does(void **unused)
{
    (void)unused;
    static const int64_t steps_ms[] = {
        0, 3600000, -3600000, 86400000, INT64_C(20) * 365 * 86400000, -INT64_C(20) * 365 * 86400000};
    for (size_t i = 0; i < DAVY_LENGTH(steps_ms); i++) {
        struct unconfirmed_watch watch = {.since = {0}};
        unconfirmed_judge(&watch, (davy_wall){0}, at(9, 0));
        assert_false(unconfirmed_over(&watch, 10, 100, 10, 0, 0));
        assert_false(unconfirmed_over(&watch, 101, 609, 10, 0, steps_ms[i]));
        assert_true(unconfirmed_over(&watch, 610, 611, 10, 0, steps_ms[i]));
        assert_false(unconfirmed_judge(&watch, (davy_wall){0}, at(612, steps_ms[i])));
    }
}

/* Delivered up to one that was recorded before the step: its wall time is of another clock. */
static void the_next_one_is_no_older_than_those_before_it(void **unused)
{
    (void)unused;
    struct unconfirmed_watch watch = {.since = {0}};
    unconfirmed_judge(&watch, (davy_wall){0}, at(9, 0));
    assert_false(unconfirmed_over(&watch, 10, 300, 10, 0, 0));
    assert_false(unconfirmed_over(&watch, 301, 608, 200, 0, 3600000));
    assert_true(unconfirmed_over(&watch, 609, 609, 200, 0, 3600000)); /* as old as it may be: sooner, not later */
}

static void what_waits_since_before_the_start_has_the_age_of_its_wall_time(void **unused)
{
    (void)unused;
    struct unconfirmed_watch watch = {.since = {0}};
    assert_false(unconfirmed_over(&watch, 500, 509, -90, 0, 0));
    assert_true(unconfirmed_over(&watch, 510, 510, -90, 0, 0));
    struct unconfirmed_watch after_1970 = {.since = {0}};
    assert_false(unconfirmed_over(&after_1970, 500, 1099, -90, 0, -INT64_C(50) * 365 * 86400000));
    assert_true(unconfirmed_over(&after_1970, 1100, 1100, -90, 0, -INT64_C(50) * 365 * 86400000));
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

/* After ten hours of sleep few readings were made in ten hours. */
static void a_machine_that_slept_has_no_slow_point(void **unused)
{
    (void)unused;
    struct read_rate rate = {.count = 0};
    for (int64_t s = 0; s < 15; s++)
        assert_false(read_rate_judge(&rate, 1, davy_span_s(1), false, mono(s)));
    for (int64_t s = 36000; s < 36100; s++)
        assert_false(read_rate_judge(&rate, 1, davy_span_s(1), false, mono(s)));
    for (int64_t s = 36100; s < 36120; s++)
        read_rate_judge(&rate, 0, davy_span_s(1), false, mono(s));
    assert_true(read_rate_judge(&rate, 0, davy_span_s(1), false, mono(36120)));
    assert_true(read_rate_judge(&rate, 0, davy_span_s(1), false,
                                mono(72000))); /* what was known stays until it is known anew */
}

static void a_thread_without_a_beat_is_stuck_once_patience_is_over(void **unused)
{
    (void)unused;
    struct heartbeat heartbeat = {0};
    const davy_span patience = davy_span_s(6);
    for (int64_t s = 0; s <= 100; s++)
        assert_true(heartbeat_judge(&heartbeat, (uint64_t)s / 5, patience, mono(s)));
    for (int64_t s = 101; s <= 106; s++)
        assert_true(heartbeat_judge(&heartbeat, 20, patience, mono(s)));
    assert_false(heartbeat_judge(&heartbeat, 20, patience, mono(107)));
    assert_false(heartbeat_judge(&heartbeat, 20, patience, mono(108)));
    assert_true(heartbeat_judge(&heartbeat, 21, patience, mono(109)));
}

/* Who looks wakes first, before any thread has had the time to beat. */
static void after_a_sleep_of_the_machine_nobody_is_stuck(void **unused)
{
    (void)unused;
    struct heartbeat heartbeat = {0};
    const davy_span patience = davy_span_s(6);
    assert_true(heartbeat_judge(&heartbeat, 7, patience, mono(0)));
    assert_true(heartbeat_judge(&heartbeat, 7, patience, mono(3)));
    assert_true(heartbeat_judge(&heartbeat, 7, patience, mono(36003))); /* it stands at 3 s */
    assert_true(heartbeat_judge(&heartbeat, 7, patience, mono(36006)));
    assert_false(heartbeat_judge(&heartbeat, 7, patience, mono(36007)));
}

/* A change is told at once; one that goes to and fro once a minute, with what is so then. */
static void of_an_alarm_that_stands_another_cause_is_told_once_a_minute(void **unused)
{
    (void)unused;
    struct told_cause last = {0};
    assert_false(cause_is_news(&last, TOLD_NOTHING, "", mono(1)));
    assert_true(cause_is_news(&last, TOLD_TRUE, "refused", mono(1)));
    cause_was_told(&last, TOLD_TRUE, "refused", mono(1));
    assert_false(cause_is_news(&last, TOLD_TRUE, "refused", mono(2)));
    assert_false(cause_is_news(&last, TOLD_NOTHING, "expired", mono(2)));
    assert_true(cause_is_news(&last, TOLD_TRUE, "expired", mono(2)));
    cause_was_told(&last, TOLD_TRUE, "expired", mono(2));
    assert_false(cause_is_news(&last, TOLD_TRUE, "refused", mono(61)));
    assert_true(cause_is_news(&last, TOLD_TRUE, "refused", mono(62)));
    assert_true(cause_is_news(&last, TOLD_FALSE, "", mono(3))); /* that it is over waits for nothing */
    cause_was_told(&last, TOLD_FALSE, "", mono(3));
    assert_false(cause_is_news(&last, TOLD_FALSE, "refused", mono(900)));
    assert_true(cause_is_news(&last, TOLD_TRUE, "refused", mono(4)));
    char longest[2 * DAVY_NOTE_SIZE];
    memset(longest, 'x', sizeof longest);
    longest[sizeof longest - 1] = 0;
    cause_was_told(&last, TOLD_TRUE, longest, mono(5)); /* what is cut off is no difference */
    assert_false(cause_is_news(&last, TOLD_TRUE, longest, mono(900)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_clock_is_troubled_after_ten_minutes_unsynchronized),
        cmocka_unit_test(a_moment_of_synchronization_begins_the_ten_minutes_anew),
        cmocka_unit_test(a_step_of_more_than_a_second_is_a_trouble_for_a_minute),
        cmocka_unit_test(slewing_is_no_step_however_far_it_goes),
        cmocka_unit_test(a_step_while_unsynchronized_stays_until_synchronized),
        cmocka_unit_test(a_step_is_written_down_once_and_the_next_ones_together),
        cmocka_unit_test(a_clock_that_is_synchronized_without_a_step_is_worth_a_line_once),
        cmocka_unit_test(a_clock_that_is_set_after_the_boot_is_written_down_with_how_far_it_was_off),
        cmocka_unit_test(ages_are_reckoned_by_a_clock_that_was_right_for_six_hours),
        cmocka_unit_test(a_clock_that_nobody_keeps_is_believed_after_a_month_without_a_step),
        cmocka_unit_test(an_event_that_nobody_takes_is_overdue_after_ten_minutes_whatever_the_clock_does),
        cmocka_unit_test(the_next_one_is_no_older_than_those_before_it),
        cmocka_unit_test(what_waits_since_before_the_start_has_the_age_of_its_wall_time),
        cmocka_unit_test(a_queue_that_stays_over_half_full_is_overload),
        cmocka_unit_test(a_short_burst_is_none_and_slow_points_are_at_once),
        cmocka_unit_test(a_point_is_slow_at_less_than_half_its_rate),
        cmocka_unit_test(a_machine_that_slept_has_no_slow_point),
        cmocka_unit_test(a_thread_without_a_beat_is_stuck_once_patience_is_over),
        cmocka_unit_test(after_a_sleep_of_the_machine_nobody_is_stuck),
        cmocka_unit_test(of_an_alarm_that_stands_another_cause_is_told_once_a_minute),
        cmocka_unit_test(a_device_that_is_dead_is_not_slow_nor_when_it_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
