/* SPDX-License-Identifier: Apache-2.0 */
#include "publish/session.h"

#include "publish/fixture.h"

#define S(seconds) ((davy_mono){(seconds)*DAVY_NS_PER_S})

/*
 * The whole matrix, written a second time in short: next state and actions of every cell.
 * States o c n d x; actions e=END d=DROP q=DISCONNECT b=BACKOFF c=CONNECT s=BEGIN.
 */
static const char *const matrix[DAVY_SESSION_STATE_COUNT_][DAVY_SESSION_INPUT_COUNT_] = {
    /*                RETRY  CONNECTED REFUSED LOST   STUCK    SWITCH  RENEW  STOP  DRAINED */
    /* offline */ {"c:c", "o:d", "o:", "o:", "o:", "o:", "o:", "x:", "o:"},
    /* connecting */ {"c:", "n:s", "o:b", "o:b", "o:db", "o:d", "c:", "x:d", "c:"},
    /* online */ {"n:", "n:", "n:", "o:eb", "o:edb", "o:eq", "o:eq", "d:", "n:"},
    /* draining */ {"d:", "d:", "d:", "x:e", "x:ed", "d:", "d:", "d:", "x:eq"},
    /* closed */ {"x:", "x:d", "x:", "x:", "x:", "x:", "x:", "x:", "x:"},
};

static void every_cell_of_the_matrix(void **state)
{
    static const char states[] = "ocndx", actions[] = "edqbcs";
    for (int from = 0; from < DAVY_SESSION_STATE_COUNT_; from++)
        for (int input = 0; input < DAVY_SESSION_INPUT_COUNT_; input++) {
            const char *cell = matrix[from][input];
            unsigned expected = 0;
            for (const char *letter = cell + 2; *letter; letter++)
                expected |= 1U << (strchr(actions, *letter) - actions);
            struct davy_random random = {1};
            struct davy_session session = {.state = (enum davy_session_state)from};
            unsigned got = davy_session_step(&session, (enum davy_session_input)input, S(1), &random);
            assert_int_equal(got, expected);
            assert_int_equal(session.state, strchr(states, cell[0]) - states);
        }
    (void)state;
}

static void back_off_has_full_jitter_between_its_bounds(void **state)
{
    struct davy_random random = {42};
    static const int64_t top_ms[] = {1000, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000};
    for (unsigned failures = 0; failures < DAVY_LENGTH(top_ms); failures++) {
        int64_t least = INT64_MAX, most = 0;
        for (int i = 0; i < 500; i++) {
            int64_t ns = davy_session_backoff(failures, &random).ns;
            least = ns < least ? ns : least;
            most = ns > most ? ns : most;
        }
        assert_true(least >= 500 * DAVY_NS_PER_MS);
        assert_true(most <= top_ms[failures] * DAVY_NS_PER_MS);
        assert_true(most > top_ms[failures] * DAVY_NS_PER_MS * 9 / 10); /* the whole range is used */
        assert_true(least < 500 * DAVY_NS_PER_MS + top_ms[failures] * DAVY_NS_PER_MS / 10);
    }
    assert_true(davy_session_backoff(UINT32_MAX, &random).ns <= 30 * DAVY_NS_PER_S);
    (void)state;
}

/* All lose the broker in one instant, and it refuses the first three connects of each. */
static void a_thousand_gateways_come_back_spread_out(void **state)
{
    enum { GATEWAYS = 1000, BIN_MS = 100, BINS = 200 };
    (void)state;
    for (unsigned failures = 1; failures <= 6; failures++) {
        unsigned bins[BINS + 100] = {0}, most = 0;
        for (uint64_t seed = 1; seed <= GATEWAYS; seed++) {
            struct davy_random random = {seed};
            int64_t ns = 0;
            for (unsigned i = 1; i <= failures; i++)
                ns += davy_session_backoff(i, &random).ns;
            size_t bin = (size_t)(ns / DAVY_NS_PER_MS / BIN_MS);
            bin = bin < BINS + 99 ? bin : BINS + 99;
            bins[bin]++;
        }
        for (size_t i = 0; i < BINS + 99; i++)
            most = bins[i] > most ? bins[i] : most;
        assert_true(most <= GATEWAYS / 4 >> (failures > 4 ? 2 : failures > 2 ? 1 : 0));
    }
}

static void a_connection_that_held_forgets_the_failures(void **state)
{
    struct davy_random random = {1};
    struct davy_session session = DAVY_SESSION_INIT;
    for (int i = 0; i < 4; i++) {
        davy_session_step(&session, DAVY_SESSION_RETRY, S(i), &random);
        davy_session_step(&session, DAVY_SESSION_REFUSED, S(i), &random);
    }
    assert_int_equal(session.failures, 4);
    davy_session_step(&session, DAVY_SESSION_RETRY, S(10), &random);
    davy_session_step(&session, DAVY_SESSION_CONNECTED, S(10), &random);
    davy_session_step(&session, DAVY_SESSION_LOST, S(12), &random); /* taken over at once by a twin */
    assert_int_equal(session.failures, 5);
    davy_session_step(&session, DAVY_SESSION_RETRY, S(50), &random);
    davy_session_step(&session, DAVY_SESSION_CONNECTED, S(50), &random);
    davy_session_step(&session, DAVY_SESSION_LOST, S(50 + DAVY_SESSION_STABLE_S), &random);
    assert_int_equal(session.failures, 1);
    (void)state;
}

static void a_renewal_connects_at_once_and_forgets_nothing(void **state)
{
    struct davy_random random = {1};
    struct davy_session session = {.state = DAVY_SESSION_ONLINE, .failures = 3, .brief = 2, .entered = S(4)};
    davy_session_step(&session, DAVY_SESSION_RENEW, S(5), &random);
    assert_true(session.retry_at.ns == S(5).ns);
    assert_int_equal(session.failures, 3);
    assert_int_equal(session.brief, 2);
    (void)state;
}

static void connections_that_hold_briefly_are_counted_in_a_row(void **state)
{
    struct davy_random random = {1};
    struct davy_session session = {.state = DAVY_SESSION_ONLINE, .entered = S(0)};
    davy_session_step(&session, DAVY_SESSION_LOST, S(59), &random);
    assert_int_equal(session.brief, 1);
    session.state = DAVY_SESSION_CONNECTING;
    davy_session_step(&session, DAVY_SESSION_REFUSED, S(60), &random);
    assert_int_equal(session.brief, 1); /* was none */
    session.state = DAVY_SESSION_ONLINE;
    session.entered = S(60);
    davy_session_step(&session, DAVY_SESSION_STUCK, S(61), &random);
    assert_int_equal(session.brief, 2);
    session.state = DAVY_SESSION_ONLINE;
    session.entered = S(62);
    davy_session_step(&session, DAVY_SESSION_LOST, S(62 + DAVY_SESSION_STABLE_S), &random);
    assert_int_equal(session.brief, 0);
    (void)state;
}

static void a_switch_connects_at_once(void **state)
{
    struct davy_random random = {1};
    struct davy_session session = {.state = DAVY_SESSION_OFFLINE, .failures = 9, .retry_at = S(100)};
    davy_session_step(&session, DAVY_SESSION_SWITCH, S(5), &random);
    assert_true(session.retry_at.ns == S(5).ns);
    assert_int_equal(session.failures, 0);
    (void)state;
}

static struct davy_flight *fly(struct davy_inflight *window, int64_t row, uint64_t token, int64_t second)
{
    struct davy_message message;
    assert_int_equal(davy_message_new(DAVY_MESSAGE_EVENT, row, "t", "p", &message), 0);
    return davy_inflight_add(window, &message, token, S(second));
}

static void window_finds_by_token_and_resends_in_order(void **state)
{
    struct davy_inflight window = {.limit = 3};
    fly(&window, 1, 11, 1);
    fly(&window, 2, 12, 2);
    assert_true(davy_inflight_open(&window));
    fly(&window, 3, 13, 3);
    assert_false(davy_inflight_open(&window));
    assert_int_equal(davy_inflight_find(&window, 12)->message.row, 2);
    assert_null(davy_inflight_find(&window, 99));
    assert_true(davy_inflight_oldest(&window).ns == S(1).ns);
    davy_inflight_remove(&window, davy_inflight_find(&window, 11));
    davy_inflight_lose(&window);
    assert_null(davy_inflight_find(&window, 12)); /* an answer of the old connection means nothing now */
    assert_true(davy_inflight_oldest(&window).ns == DAVY_MONO_NEVER.ns);
    struct davy_flight *flight = davy_inflight_waiting(&window, DAVY_MESSAGE_EVENT);
    assert_int_equal(flight->message.row, 2);
    davy_inflight_resend(&window, flight, 21, S(9));
    assert_int_equal(davy_inflight_waiting(&window, DAVY_MESSAGE_EVENT)->message.row, 3);
    assert_null(davy_inflight_waiting(&window, DAVY_MESSAGE_TELEMETRY));
    davy_inflight_done(&window);
    assert_int_equal(window.count, 0);
    assert_int_equal(window.sent, 0);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_cell_of_the_matrix),
        cmocka_unit_test(back_off_has_full_jitter_between_its_bounds),
        cmocka_unit_test(a_thousand_gateways_come_back_spread_out),
        cmocka_unit_test(a_connection_that_held_forgets_the_failures),
        cmocka_unit_test(a_switch_connects_at_once),
        cmocka_unit_test(a_renewal_connects_at_once_and_forgets_nothing),
        cmocka_unit_test(connections_that_hold_briefly_are_counted_in_a_row),
        cmocka_unit_test(window_finds_by_token_and_resends_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
