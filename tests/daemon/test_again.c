/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/again.h"

#include <string.h>

#include "base/attr.h"
#include "base/num.h"
#include "support/cmocka_all.h"
#include "support/seed.h"

#define PATIENCE_S 60

static davy_mono at_ms(int64_t ms)
{
    return (davy_mono){(1000000 + ms) * DAVY_NS_PER_MS};
}

static struct again begun(int64_t settled, int64_t due)
{
    struct again again = {.sent = 0};
    again_begin(&again, davy_span_s(PATIENCE_S), settled, due, at_ms(0));
    return again;
}

/* Send what may be sent at `ms`, every event of the range being there; returns how many. */
static size_t send_all(struct again *again, int64_t ms)
{
    size_t sent = 0;
    int64_t after, upto;
    while (again_next(again, at_ms(ms), &after, &upto)) {
        assert_true(after >= again->settled && upto > after);
        again_sent(again, after + 1, at_ms(ms));
        sent++;
    }
    return sent;
}

static void answer_all(struct again *again, int64_t ms)
{
    if (again->unacknowledged > 0)
        again_answered(again, again->unacknowledged, again->cursor, at_ms(ms));
}

static void nothing_goes_again_before_its_time(void **state)
{
    (void)state;
    struct again again = begun(0, 0);
    for (int64_t seq = 1; seq <= 100; seq++)
        again_acknowledged(&again, seq, at_ms(seq * 100));
    assert_int_equal(send_all(&again, 100 + PATIENCE_S * 1000 - 1), 0);
    assert_false(again_overdue(&again));
    davy_mono due = again_due(&again);
    assert_true(due.ns >= at_ms(100 + PATIENCE_S * 1000).ns);
    assert_true(due.ns <= at_ms(100 + PATIENCE_S * 1000 * 9 / 8).ns);
    assert_true(send_all(&again, 100 + PATIENCE_S * 1000 * 9 / 8) > 0);
    assert_true(again_overdue(&again));
    for (size_t i = 0; i < again.out_count; i++)
        assert_int_equal(again.out[i].seq, (int64_t)i + 1);
}

static void what_is_confirmed_in_time_never_goes_again(void **state)
{
    (void)state;
    struct again again = begun(0, 0);
    for (int64_t seq = 1; seq <= 5000; seq++) {
        again_acknowledged(&again, seq, at_ms(seq * 1000));
        again_confirmed(&again, seq - 20, at_ms(seq * 1000));
        assert_int_equal(send_all(&again, seq * 1000), 0);
        assert_false(again_overdue(&again));
    }
    assert_int_equal(again.sent, 0);
}

static void what_was_there_before_the_start_goes_at_once(void **state)
{
    (void)state;
    struct again again = begun(10, 500);
    assert_true(again_doubtful(&again));
    assert_int_equal(send_all(&again, 0), AGAIN_WINDOW_FIRST);
    assert_int_equal(again.out[0].seq, 11);
    assert_false(again_overdue(&again)); /* since when is not known */
    again_confirmed(&again, 499, at_ms(10));
    assert_true(again_doubtful(&again));
    again_confirmed(&again, 500, at_ms(20));
    assert_false(again_doubtful(&again));
    assert_int_equal(send_all(&again, 30), 0);
}

static void the_window_doubles_with_what_is_confirmed_and_is_bounded(void **state)
{
    (void)state;
    struct again again = begun(0, 100000);
    size_t sent = send_all(&again, 0), rounds = 0;
    for (int64_t ms = 10; again.settled < 100000; ms += 10, rounds++) {
        assert_true(again.out_count <= AGAIN_WINDOW_MAX);
        answer_all(&again, ms);
        again_confirmed(&again, again.cursor, at_ms(ms));
        sent += send_all(&again, ms);
    }
    assert_int_equal(sent, 100000); /* each once */
    assert_true(rounds < 800);
    assert_int_equal(again.window, AGAIN_WINDOW_MAX);
}

static void without_a_confirmation_it_goes_from_the_oldest_on_again_and_less_and_less(void **state)
{
    (void)state;
    struct again again = begun(0, 1000);
    size_t before = SIZE_MAX;
    int64_t ms = 0;
    for (int round = 0; round < 12; round++) {
        size_t sent = send_all(&again, ms);
        assert_true(sent > 0 && (sent < before || sent == 1));
        assert_int_equal(again.out[0].seq, 1);
        before = sent;
        answer_all(&again, ms);
        int64_t wait = PATIENCE_S << (round < 4 ? round : 4);
        wait = wait < 600 ? wait : 600;
        assert_int_equal(send_all(&again, ms + wait * 1000 - 1), 0);
        assert_int_equal(again_due(&again).ns > at_ms(ms).ns, 1);
        ms += wait * 1000;
    }
    assert_int_equal(before, 1);
}

/* A day of silence: what lies there costs nothing to speak of, and nothing is ever busy. */
static void a_platform_that_is_gone_costs_little(void **state)
{
    (void)state;
    struct again again = begun(0, 100000);
    size_t turns = 0;
    for (int64_t ms = 0; ms < 86400 * 1000; turns++) {
        send_all(&again, ms);
        answer_all(&again, ms);
        davy_mono due = again_due(&again);
        assert_true(due.ns > at_ms(ms).ns);
        ms = due.ns / DAVY_NS_PER_MS - 1000000 + 1;
    }
    assert_true(again.sent < 200);
    assert_true(turns < 1000);
    assert_true(again_overdue(&again));
}

static void a_sign_of_life_ends_the_long_wait(void **state)
{
    (void)state;
    struct again again = begun(0, 1000);
    int64_t ms = 0;
    for (int round = 0; round < 8; round++, ms += 600 * 1000) {
        send_all(&again, ms);
        answer_all(&again, ms);
    }
    ms -= 600 * 1000;
    again_confirmed(&again, 0, at_ms(ms + 1000)); /* that it has nothing yet */
    assert_int_equal(send_all(&again, ms + PATIENCE_S * 1000 - 1), 0);
    assert_true(send_all(&again, ms + PATIENCE_S * 1000) > 0);
}

static void a_new_connection_ends_the_long_wait(void **state)
{
    (void)state;
    struct again again = begun(0, 1000);
    int64_t ms = 0;
    for (int round = 0; round < 8; round++, ms += 600 * 1000) {
        send_all(&again, ms);
        answer_all(&again, ms);
    }
    ms -= 600 * 1000;
    assert_int_equal(send_all(&again, ms + 300 * 1000), 0);
    again_connected(&again);
    assert_true(send_all(&again, ms + 300 * 1000) > 0);
}

static void a_round_does_not_end_while_the_broker_has_not_answered(void **state)
{
    (void)state;
    struct again again = begun(0, 1000);
    assert_int_equal(send_all(&again, 0), AGAIN_WINDOW_FIRST);
    again_answered(&again, AGAIN_WINDOW_FIRST - 1, 7, at_ms(10));
    assert_int_equal(send_all(&again, 3600 * 1000), 0);
    again_answered(&again, 1, 8, at_ms(3600 * 1000));
    assert_int_equal(send_all(&again, 3600 * 1000 + 1), 0);
    assert_int_equal(send_all(&again, (3600 + PATIENCE_S) * 1000), AGAIN_WINDOW_FIRST / 2);
}

/* A platform that confirms within 200 ms has lost what it does not confirm in 300. */
static void a_loss_is_noticed_as_soon_as_the_platform_is_quick(void **state)
{
    (void)state;
    struct again again = begun(0, 10000);
    int64_t ms = 0;
    for (int round = 0; round < 20; round++, ms += 200) {
        send_all(&again, ms);
        answer_all(&again, ms);
        again_confirmed(&again, again.cursor, at_ms(ms + 200));
    }
    size_t window = again.window;
    assert_int_equal(send_all(&again, ms), window);
    answer_all(&again, ms);
    assert_int_equal(send_all(&again, ms + 299), 0);
    assert_int_equal(send_all(&again, ms + 300), window / 2);
    answer_all(&again, ms + 300);
    assert_int_equal(send_all(&again, ms + 899), 0); /* then it is more patient */
    assert_true(send_all(&again, ms + 900) > 0);
}

static void what_only_the_broker_could_release_is_looked_at_seldom(void **state)
{
    (void)state;
    struct again again = begun(0, 10);
    int64_t after, upto, looks = 0;
    for (int64_t ms = 0; ms < 3600 * 1000; ms += 100)
        if (again_next(&again, at_ms(ms), &after, &upto)) {
            again_none(&again, at_ms(ms)); /* all of it is refused */
            looks++;
        }
    assert_in_range(looks, 5, 12);
}

static void overdue_ends_when_that_event_is_confirmed(void **state)
{
    (void)state;
    struct again again = begun(0, 0);
    again_acknowledged(&again, 1, at_ms(0));
    again_acknowledged(&again, 2, at_ms(50000));
    send_all(&again, PATIENCE_S * 1000 * 9 / 8);
    assert_true(again_overdue(&again));
    again_confirmed(&again, 1, at_ms(70000));
    assert_false(again_overdue(&again)); /* the second is young */
    send_all(&again, 120000);
    assert_true(again_overdue(&again));
    again_confirmed(&again, 2, at_ms(120001));
    assert_false(again_overdue(&again));
}

/*
 * ---- a broker that drops, a platform that is slow or away ---------------------------------------------------------
 */

#define EVENTS 300
#define QUEUE  32

struct world {
    struct davy_random random;
    int64_t queue[QUEUE];
    size_t queued, limit;
    bool away;
    int64_t patience_ms, take_ms, loss; /* the platform takes one a `take_ms`; one of `loss` is lost on the way */
    bool has[EVENTS + 1];
    int64_t prefix;    /* the platform has all up to here */
    int64_t confirmed; /* it has said so, and we heard it */
};

static uint64_t draw(struct world *w, uint64_t below)
{
    return davy_random_next(&w->random) % below;
}

/* The broker acknowledges whatever it does with it. */
static void publish(struct world *w, int64_t seq)
{
    bool lost = w->loss > 0 && draw(w, (uint64_t)w->loss) == 0;
    if (!lost && w->queued < w->limit)
        w->queue[w->queued++] = seq;
}

static void take_one(struct world *w)
{
    if (w->away || w->queued == 0)
        return;
    w->has[w->queue[0]] = true;
    memmove(w->queue, w->queue + 1, --w->queued * sizeof w->queue[0]);
    while (w->prefix < EVENTS && w->has[w->prefix + 1])
        w->prefix++;
}

static void send_step(struct again *again, struct world *w, int64_t ms, int64_t acknowledged)
{
    int64_t after, upto;
    for (int i = 0; i < 5 && again_next(again, at_ms(ms), &after, &upto); i++) {
        assert_true(after + 1 > w->confirmed && after + 1 <= acknowledged);
        assert_true(again->out_count < AGAIN_WINDOW_MAX);
        publish(w, after + 1);
        again_sent(again, after + 1, at_ms(ms));
    }
    answer_all(again, ms);
}

static struct world new_world(uint64_t seed)
{
    struct world w = {.random = {seed}};
    w.limit = 1 + draw(&w, QUEUE);
    w.patience_ms = 1000 << draw(&w, 4);
    w.take_ms = 1 + (int64_t)draw(&w, 50);
    w.loss = draw(&w, 2) ? 2 + (int64_t)draw(&w, 20) : 0;
    return w;
}

/*
 * Events come for a while, the platform goes and comes; then it stays. Returns the virtual ms until all is confirmed.
 */
static int64_t live(uint64_t seed)
{
    struct world w = new_world(seed);
    struct again again = {.sent = 0};
    int64_t decided = 0, ms = 0;
    again_begin(&again, davy_span_ms(w.patience_ms), 0, 0, at_ms(0));
    for (; w.confirmed < EVENTS; ms += 10) {
        bool busy = decided < EVENTS;
        if (busy && draw(&w, 300) == 0)
            w.away = !w.away;
        if (!busy)
            w.away = false;
        for (int i = 0; i < 3 && decided < EVENTS && draw(&w, 4) == 0; i++) {
            publish(&w, ++decided);
            again_acknowledged(&again, decided, at_ms(ms));
        }
        for (int64_t t = 0; t < 10; t++)
            if ((ms + t) % w.take_ms == 0)
                take_one(&w);
        if (!w.away && w.prefix > w.confirmed && draw(&w, 10) == 0) {
            w.confirmed = w.prefix;
            again_confirmed(&again, w.confirmed, at_ms(ms));
        }
        send_step(&again, &w, ms, decided);
        if (draw(&w, 20000) == 0) /* we restart: all is due at once */
            again_begin(&again, davy_span_ms(w.patience_ms), w.confirmed, decided, at_ms(ms));
        assert_true(ms < 20 * 3600 * 1000);
    }
    assert_int_equal(w.prefix, EVENTS);
    return ms;
}

static void the_platform_ends_with_every_event(void **state)
{
    (void)state;
    const uint64_t seed = davy_test_seed(20261125);
    int64_t longest = 0;
    for (uint64_t i = 0; i < 300; i++) {
        int64_t ms = live(seed + i);
        longest = ms > longest ? ms : longest;
    }
    print_message("300 worlds, the longest took %lld virtual s\n", (long long)(longest / 1000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_goes_again_before_its_time),
        cmocka_unit_test(what_is_confirmed_in_time_never_goes_again),
        cmocka_unit_test(what_was_there_before_the_start_goes_at_once),
        cmocka_unit_test(the_window_doubles_with_what_is_confirmed_and_is_bounded),
        cmocka_unit_test(without_a_confirmation_it_goes_from_the_oldest_on_again_and_less_and_less),
        cmocka_unit_test(a_platform_that_is_gone_costs_little),
        cmocka_unit_test(a_sign_of_life_ends_the_long_wait),
        cmocka_unit_test(a_new_connection_ends_the_long_wait),
        cmocka_unit_test(a_round_does_not_end_while_the_broker_has_not_answered),
        cmocka_unit_test(a_loss_is_noticed_as_soon_as_the_platform_is_quick),
        cmocka_unit_test(what_only_the_broker_could_release_is_looked_at_seldom),
        cmocka_unit_test(overdue_ends_when_that_event_is_confirmed),
        cmocka_unit_test(the_platform_ends_with_every_event),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
