/* SPDX-License-Identifier: Apache-2.0 */
#include "evaluate/limit.h"

#include "support/cmocka_all.h"

static davy_mono s(int64_t seconds)
{
    return (davy_mono){seconds * DAVY_NS_PER_S};
}

static void feed(const struct davy_limit *limit, struct davy_limit_state *state, double value, int64_t at)
{
    davy_limit_feed(limit, state, DAVY_FEED_FULL, value, false, s(at));
}

static void trips_at_the_limit_itself(void **unused)
{
    (void)unused;
    const struct davy_limit above = {.condition = DAVY_CONDITION_ABOVE, .a = 14};
    const struct davy_limit below = {.condition = DAVY_CONDITION_BELOW, .a = 19.5};
    struct davy_limit_state a = {0}, b = {0};
    feed(&above, &a, 13.999, 1);
    assert_false(a.condition);
    feed(&above, &a, 14, 2);
    assert_true(a.condition);
    feed(&below, &b, 19.5, 2);
    assert_true(b.condition);
}

static void returns_only_beyond_limit_and_deadband(void **unused)
{
    (void)unused;
    const struct davy_limit above = {.condition = DAVY_CONDITION_ABOVE, .a = 14, .deadband = 0.5};
    struct davy_limit_state state = {0};
    feed(&above, &state, 15, 1);
    feed(&above, &state, 13.5, 2);
    assert_true(state.condition);
    feed(&above, &state, 13.49, 3);
    assert_false(state.condition);
    feed(&above, &state, 13.8, 4); /* the deadband does not widen the trip side */
    assert_false(state.condition);
}

static void outside_names_the_bound_that_was_crossed(void **unused)
{
    (void)unused;
    const struct davy_limit outside = {.condition = DAVY_CONDITION_OUTSIDE, .a = 19.5, .b = 23.5, .deadband = 0.2};
    struct davy_limit_state state = {0};
    feed(&outside, &state, 23.6, 1);
    assert_true(state.condition);
    assert_true(state.crossed >= 23.5);
    feed(&outside, &state, 19, 2);
    assert_true(state.condition);
    assert_true(state.crossed <= 19.5);
    feed(&outside, &state, 19.6, 3);
    assert_true(state.condition);
    feed(&outside, &state, 20, 4);
    assert_false(state.condition);
}

static void on_delay_is_cancelled_by_a_reading_off_the_trip_side(void **unused)
{
    (void)unused;
    const struct davy_limit limit = {
        .condition = DAVY_CONDITION_ABOVE, .a = 10, .deadband = 2, .on_delay = {5 * DAVY_NS_PER_S}};
    struct davy_limit_state state = {0};
    feed(&limit, &state, 11, 0);
    assert_int_equal(davy_limit_due(&limit, &state).ns, s(5).ns);
    feed(&limit, &state, 9.5, 3); /* inside the deadband, yet off the trip side */
    assert_int_equal(davy_limit_due(&limit, &state).ns, INT64_MAX);
    feed(&limit, &state, 11, 4);
    assert_false(davy_limit_expire(&limit, &state, s(8)));
    assert_true(davy_limit_expire(&limit, &state, s(9)));
    assert_true(state.condition);
}

static void bad_readings_hold_the_on_delay_and_cancel_the_off_delay(void **unused)
{
    (void)unused;
    const struct davy_limit limit = {
        .condition = DAVY_CONDITION_ABOVE, .a = 10, .on_delay = {5 * DAVY_NS_PER_S}, .off_delay = {5 * DAVY_NS_PER_S}};
    struct davy_limit_state state = {0};
    feed(&limit, &state, 11, 0);
    davy_limit_feed(&limit, &state, DAVY_FEED_HOLD, 0, false, s(2));
    assert_true(davy_limit_expire(&limit, &state, s(5)));
    feed(&limit, &state, 1, 6);
    assert_int_equal(state.timer, DAVY_TIMER_OFF);
    davy_limit_feed(&limit, &state, DAVY_FEED_HOLD, 0, false, s(7));
    assert_int_equal(state.timer, DAVY_TIMER_NONE);
    assert_true(state.condition);
}

static void uncertain_readings_raise_but_never_return(void **unused)
{
    (void)unused;
    const struct davy_limit limit = {.condition = DAVY_CONDITION_ABOVE, .a = 10};
    struct davy_limit_state state = {0};
    davy_limit_feed(&limit, &state, DAVY_FEED_RAISE, 12, true, s(1));
    assert_true(state.condition);
    assert_true(state.uncertain);
    davy_limit_feed(&limit, &state, DAVY_FEED_RAISE, 1, true, s(2));
    assert_true(state.condition);
    feed(&limit, &state, 12, 3);
    assert_false(state.uncertain);
}

static void latch_holds_what_returned(void **unused)
{
    (void)unused;
    const struct davy_limit limit = {.condition = DAVY_CONDITION_ABOVE, .a = 10, .latch = true};
    struct davy_limit_state state = {0};
    feed(&limit, &state, 12, 1);
    feed(&limit, &state, 1, 2);
    assert_false(state.condition);
    assert_true(state.held);
    feed(&limit, &state, 12, 3);
    assert_true(state.condition);
    assert_false(state.held);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trips_at_the_limit_itself),
        cmocka_unit_test(returns_only_beyond_limit_and_deadband),
        cmocka_unit_test(outside_names_the_bound_that_was_crossed),
        cmocka_unit_test(on_delay_is_cancelled_by_a_reading_off_the_trip_side),
        cmocka_unit_test(bad_readings_hold_the_on_delay_and_cancel_the_off_delay),
        cmocka_unit_test(uncertain_readings_raise_but_never_return),
        cmocka_unit_test(latch_holds_what_returned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
