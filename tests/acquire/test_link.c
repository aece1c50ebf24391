/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "acquire/link.h"

#define BUG (-1)

/* The table in link.h, written down a second time. */
static void every_cell_of_the_table_is_as_documented(void **state)
{
    (void)state;
    enum { CLOSED, OPENING, UP, DEGRADED, BACKOFF };
    static const int expected[DAVY_LINK_STATE_COUNT_][DAVY_LINK_INPUT_COUNT_] = {
        {OPENING, BUG, BUG, BUG, BUG, BUG, BUG, CLOSED},        {BUG, UP, BACKOFF, BUG, BUG, BUG, BUG, CLOSED},
        {BUG, BUG, BUG, UP, DEGRADED, CLOSED, BACKOFF, CLOSED}, {BUG, BUG, BUG, UP, DEGRADED, CLOSED, BACKOFF, CLOSED},
        {OPENING, BUG, BUG, BUG, BUG, BUG, BUG, CLOSED},
    };
    for (unsigned from = 0; from < DAVY_LINK_STATE_COUNT_; from++)
        for (unsigned input = 0; input < DAVY_LINK_INPUT_COUNT_; input++) {
            struct davy_link link;
            davy_link_init(&link, davy_span_s(30), 1, (davy_mono){0});
            link.state = (enum davy_link_state)from;
            int rc = davy_link_feed(&link, (enum davy_link_input)input, (davy_mono){0});
            assert_int_equal(rc, expected[from][input] == BUG ? -EINVAL : 0);
            assert_int_equal(link.state, expected[from][input] == BUG ? (int)from : expected[from][input]);
        }
}

static void fail_once(struct davy_link *link, davy_mono now)
{
    assert_true(davy_link_wants_open(link, now));
    assert_int_equal(davy_link_feed(link, DAVY_LINK_OPEN, now), 0);
    assert_int_equal(davy_link_feed(link, DAVY_LINK_FAILED, now), 0);
}

static void waits_double_up_to_the_longest_with_half_of_it_jitter(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct davy_link link;
        davy_mono now = {0};
        davy_link_init(&link, davy_span_s(30), seed, (davy_mono){0});
        static const int64_t waits[] = {1, 1, 2, 4, 8, 16, 30, 30, 30, 30, 30, 30, 30, 30};
        for (size_t i = 0; i < sizeof waits / sizeof waits[0]; i++) {
            fail_once(&link, now);
            int64_t wait = davy_mono_sub(link.retry_at, now).ns;
            assert_in_range(wait, waits[i] * DAVY_NS_PER_S / 2, waits[i] * DAVY_NS_PER_S);
            assert_false(davy_link_wants_open(&link, (davy_mono){link.retry_at.ns - 1}));
            now = link.retry_at;
        }
    }
}

static void two_gateways_do_not_come_back_together(void **state)
{
    (void)state;
    struct davy_link a, b;
    davy_link_init(&a, davy_span_s(30), 1, (davy_mono){0});
    davy_link_init(&b, davy_span_s(30), 2, (davy_mono){0});
    fail_once(&a, (davy_mono){0});
    fail_once(&b, (davy_mono){0});
    assert_true(a.retry_at.ns != b.retry_at.ns);
}

static void a_line_that_worked_is_opened_again_at_once(void **state)
{
    (void)state;
    struct davy_link link;
    davy_mono now = {5};
    davy_link_init(&link, davy_span_s(30), 1, (davy_mono){0});
    davy_link_feed(&link, DAVY_LINK_OPEN, now);
    davy_link_feed(&link, DAVY_LINK_OPENED, now);
    davy_link_feed(&link, DAVY_LINK_ANSWER, now);
    davy_link_feed(&link, DAVY_LINK_BROKEN, now);
    assert_true(davy_link_wants_open(&link, now));
    davy_link_feed(&link, DAVY_LINK_OPEN, now);
    davy_link_feed(&link, DAVY_LINK_OPENED, now); /* accepted, and dropped again without an answer */
    davy_link_feed(&link, DAVY_LINK_BROKEN, now);
    assert_false(davy_link_wants_open(&link, now));
}

static void states_have_names(void **state)
{
    (void)state;
    assert_string_equal(davy_link_state_name(DAVY_LINK_DEGRADED), "degraded");
    assert_string_equal(davy_link_state_name(DAVY_LINK_STATE_COUNT_), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_cell_of_the_table_is_as_documented),
        cmocka_unit_test(waits_double_up_to_the_longest_with_half_of_it_jitter),
        cmocka_unit_test(two_gateways_do_not_come_back_together),
        cmocka_unit_test(a_line_that_worked_is_opened_again_at_once),
        cmocka_unit_test(states_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
