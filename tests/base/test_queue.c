/* SPDX-License-Identifier: Apache-2.0 */
#include "base/queue.h"

#include <poll.h>
#include <sched.h>

#include "base/num.h"
#include "support/cmocka_all.h"

#define WRITERS 4
#define ITEMS   20000

struct item {
    uint32_t writer;
    uint32_t number;
};

static void init(struct davy_queue *queue, size_t capacity, enum davy_queue_full full, struct davy_waker *waker)
{
    *queue = DAVY_QUEUE_INIT;
    assert_int_equal(davy_queue_init(queue, sizeof(struct item), capacity, full, waker), 0);
}

static int push(struct davy_queue *queue, uint32_t number)
{
    return davy_queue_push(queue, &(struct item){.number = number});
}

static uint32_t pop(struct davy_queue *queue)
{
    struct item item;
    assert_true(davy_queue_pop(queue, &item));
    return item.number;
}

static void gives_items_in_order_round_its_end(void **unused)
{
    (void)unused;
    struct davy_queue queue;
    struct item item;
    init(&queue, 3, DAVY_QUEUE_REFUSE, NULL);
    assert_false(davy_queue_pop(&queue, &item));
    uint32_t in = 0, out = 0;
    assert_int_equal(push(&queue, in++), 0);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(push(&queue, in++), 0);
        assert_int_equal(davy_queue_count(&queue), 2);
        assert_int_equal(davy_queue_space(&queue), 1);
        assert_int_equal(pop(&queue), out++);
    }
    assert_int_equal(davy_queue_lost(&queue), 0);
    davy_queue_done(&queue);
    davy_queue_done(&queue);
}

static void full_refuses_the_new_one(void **unused)
{
    (void)unused;
    struct davy_queue queue;
    init(&queue, 2, DAVY_QUEUE_REFUSE, NULL);
    assert_int_equal(push(&queue, 1), 0);
    assert_int_equal(push(&queue, 2), 0);
    assert_int_equal(push(&queue, 3), DAVY_QUEUE_LOST);
    assert_int_equal(push(&queue, 4), DAVY_QUEUE_LOST);
    assert_int_equal(davy_queue_lost(&queue), 2);
    assert_int_equal(davy_queue_space(&queue), 0);
    assert_int_equal(pop(&queue), 1);
    assert_int_equal(pop(&queue), 2);
    davy_queue_done(&queue);
}

static void full_drops_the_oldest(void **unused)
{
    (void)unused;
    struct davy_queue queue;
    init(&queue, 2, DAVY_QUEUE_DROP_OLDEST, NULL);
    for (uint32_t i = 1; i <= 5; i++)
        assert_int_equal(push(&queue, i), i > 2 ? DAVY_QUEUE_LOST : 0);
    assert_int_equal(davy_queue_lost(&queue), 3);
    assert_int_equal(pop(&queue), 4);
    assert_int_equal(pop(&queue), 5);
    davy_queue_done(&queue);
}

static void a_queue_of_one_drops(void **unused)
{
    (void)unused;
    struct davy_queue queue;
    init(&queue, 1, DAVY_QUEUE_DROP_OLDEST, NULL);
    assert_int_equal(push(&queue, 1), 0);
    assert_int_equal(push(&queue, 2), DAVY_QUEUE_LOST);
    assert_int_equal(pop(&queue), 2);
    davy_queue_done(&queue);
}

struct writer {
    struct davy_queue *queue;
    uint32_t index;
    pthread_t id;
};

static void *write_items(void *context)
{
    struct writer *writer = context;
    for (uint32_t i = 0; i < ITEMS; i++) {
        struct item item = {.writer = writer->index, .number = i};
        while (davy_queue_push(writer->queue, &item) == DAVY_QUEUE_LOST && writer->queue->full == DAVY_QUEUE_REFUSE)
            sched_yield();
    }
    return NULL;
}

static void start_writers(struct writer writers[WRITERS], struct davy_queue *queue)
{
    for (uint32_t i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){.queue = queue, .index = i};
        assert_int_equal(pthread_create(&writers[i].id, NULL, write_items, &writers[i]), 0);
    }
}

static void join_writers(struct writer writers[WRITERS])
{
    for (size_t i = 0; i < WRITERS; i++)
        pthread_join(writers[i].id, NULL);
}

/* The reader sleeps for minutes unless it is rung: one lost ring and this test hangs into its timeout. */
static void no_item_and_no_ring_is_lost_between_threads(void **unused)
{
    (void)unused;
    struct davy_waker waker;
    struct davy_queue queue;
    struct writer writers[WRITERS];
    uint32_t next[WRITERS] = {0};
    size_t taken = 0;
    assert_int_equal(davy_waker_init(&waker), 0);
    init(&queue, 8, DAVY_QUEUE_REFUSE, &waker);
    start_writers(writers, &queue);
    while (taken < (size_t)WRITERS * ITEMS) {
        struct item item;
        davy_waker_wait(&waker, davy_span_s(600));
        for (; davy_queue_pop(&queue, &item); taken++) {
            assert_true(item.writer < WRITERS);
            assert_int_equal(item.number, next[item.writer]++);
        }
    }
    join_writers(writers);
    assert_int_equal(davy_queue_count(&queue), 0);
    davy_queue_done(&queue);
    davy_waker_done(&waker);
}

/* As an event loop does it: sleep on the descriptor, poll the waker, look into the queue. */
static void no_ring_is_lost_to_one_that_sleeps_on_the_descriptor(void **unused)
{
    (void)unused;
    struct davy_waker waker;
    struct davy_queue queue;
    struct writer writers[WRITERS];
    struct item item;
    size_t taken = 0;
    assert_int_equal(davy_waker_init(&waker), 0);
    init(&queue, 8, DAVY_QUEUE_REFUSE, &waker);
    start_writers(writers, &queue);
    while (taken < (size_t)WRITERS * ITEMS) {
        struct pollfd ready = {.fd = waker.fd, .events = POLLIN};
        assert_int_equal(poll(&ready, 1, 600 * 1000), 1);
        davy_waker_wait(&waker, (davy_span){0});
        while (davy_queue_pop(&queue, &item))
            taken++;
    }
    join_writers(writers);
    davy_queue_done(&queue);
    davy_waker_done(&waker);
}

static bool is_written(const struct davy_waker *waker)
{
    struct pollfd ready = {.fd = waker->fd, .events = POLLIN};
    return poll(&ready, 1, 0) == 1;
}

static void a_thread_that_works_is_rung_by_a_mark(void **unused)
{
    (void)unused;
    struct davy_waker waker;
    assert_int_equal(davy_waker_init(&waker), 0);
    davy_waker_ring(&waker);
    assert_true(is_written(&waker)); /* nobody knows yet whether it waits */
    davy_waker_wait(&waker, davy_span_s(600));
    davy_waker_ring(&waker);
    davy_waker_ring(&waker);
    assert_false(is_written(&waker));
    davy_waker_wait(&waker, davy_span_s(600)); /* returns at once: else the test hangs into its timeout */
    davy_waker_wait(&waker, (davy_span){0});
    davy_waker_ring(&waker);
    assert_true(is_written(&waker)); /* who polls may sleep on the descriptor */
    davy_waker_done(&waker);
}

static void a_patient_queue_rings_at_each_multiple(void **unused)
{
    (void)unused;
    struct davy_waker waker;
    struct davy_queue queue;
    const struct item five[5] = {{.number = 5}};
    assert_int_equal(davy_waker_init(&waker), 0);
    init(&queue, 20, DAVY_QUEUE_REFUSE, &waker);
    davy_queue_ring_each(&queue, 4);
    for (uint32_t i = 1; i <= 3; i++)
        push(&queue, i);
    assert_false(is_written(&waker));
    push(&queue, 4);
    assert_true(is_written(&waker));
    davy_waker_wait(&waker, (davy_span){0});
    push(&queue, 5);
    assert_false(is_written(&waker));
    assert_int_equal(davy_queue_push_some(&queue, five, 5), 5); /* from 5 to 10, past 8 */
    assert_true(is_written(&waker));
    davy_waker_wait(&waker, (davy_span){0});
    davy_queue_ring(&queue);
    assert_true(is_written(&waker));
    davy_queue_done(&queue);
    davy_waker_done(&waker);
}

static void many_at_once_keep_their_order_round_the_end(void **unused)
{
    (void)unused;
    struct davy_queue queue;
    struct davy_random random = {7};
    uint32_t in = 0, out = 0;
    init(&queue, 7, DAVY_QUEUE_REFUSE, NULL);
    for (int i = 0; i < ITEMS; i++) {
        struct item items[10];
        size_t wanted = davy_random_next(&random) % 10, most = davy_random_next(&random) % 10;
        size_t space = davy_queue_space(&queue), count = davy_queue_count(&queue);
        for (size_t n = 0; n < wanted; n++)
            items[n] = (struct item){.number = in + (uint32_t)n};
        assert_int_equal(davy_queue_push_some(&queue, items, wanted), wanted < space ? wanted : space);
        in += (uint32_t)(wanted < space ? wanted : space);
        count += wanted < space ? wanted : space;
        assert_int_equal(davy_queue_pop_some(&queue, items, most), most < count ? most : count);
        for (size_t n = 0; n < most && n < count; n++)
            assert_int_equal(items[n].number, out++);
    }
    assert_int_equal(davy_queue_lost(&queue), 0);
    davy_queue_done(&queue);
}

static void what_is_dropped_between_threads_is_counted(void **unused)
{
    (void)unused;
    struct davy_queue queue;
    struct writer writers[WRITERS];
    struct item item;
    size_t taken = 0;
    uint32_t next[WRITERS] = {0};
    init(&queue, 16, DAVY_QUEUE_DROP_OLDEST, NULL);
    start_writers(writers, &queue);
    for (int i = 0; i < ITEMS; i++) {
        if (!davy_queue_pop(&queue, &item))
            continue;
        taken++;
        assert_true(item.number >= next[item.writer]); /* in order, with holes */
        next[item.writer] = item.number + 1;
    }
    join_writers(writers);
    while (davy_queue_pop(&queue, &item))
        taken++;
    assert_int_equal(taken + davy_queue_lost(&queue), (size_t)WRITERS * ITEMS);
    davy_queue_done(&queue);
}

static void a_ring_before_the_wait_is_not_lost(void **unused)
{
    (void)unused;
    struct davy_waker waker = DAVY_WAKER_INIT;
    assert_int_equal(davy_waker_init(&waker), 0);
    for (int i = 0; i < 1000; i++)
        davy_waker_ring(&waker);
    struct davy_stamp before = davy_clock_now(&davy_system_clock);
    davy_waker_wait(&waker, davy_span_s(600)); /* returns at once, and swallows all rings */
    davy_waker_wait(&waker, davy_span_s(0));
    davy_waker_wait(&waker, davy_span_s(-5));
    davy_waker_wait(&waker, davy_span_ms(1));
    assert_true(davy_mono_sub(davy_clock_now(&davy_system_clock).mono, before.mono).ns < 300 * DAVY_NS_PER_S);
    davy_waker_done(&waker);
    davy_waker_done(&waker);
    assert_int_equal(waker.fd, -1);
}

/* Both halves of the pair are always of one put. */
struct pair {
    uint64_t a[32];
};

static void *put_pairs(void *context)
{
    struct pair pair;
    for (uint64_t i = 1; i <= ITEMS; i++) {
        for (size_t n = 0; n < DAVY_LENGTH(pair.a); n++)
            pair.a[n] = i;
        davy_cell_put(context, &pair);
    }
    return NULL;
}

static void a_cell_is_never_torn_and_keeps_the_latest(void **unused)
{
    (void)unused;
    struct davy_cell cell = DAVY_CELL_INIT;
    struct pair pair = {.a = {42}};
    pthread_t id;
    assert_int_equal(davy_cell_init(&cell, sizeof pair), 0);
    davy_cell_get(&cell, &pair);
    assert_int_equal(pair.a[0], 0);
    assert_int_equal(pthread_create(&id, NULL, put_pairs, &cell), 0);
    uint64_t before = 0;
    for (int i = 0; i < ITEMS; i++) {
        davy_cell_get(&cell, &pair);
        assert_true(pair.a[0] >= before);
        before = pair.a[0];
        for (size_t n = 1; n < DAVY_LENGTH(pair.a); n++)
            assert_true(pair.a[n] == before);
    }
    pthread_join(id, NULL);
    davy_cell_get(&cell, &pair);
    assert_int_equal(pair.a[31], ITEMS);
    davy_cell_done(&cell);
    davy_cell_done(&cell);
}

static void rows_of_a_cell_stay_inside_it(void **unused)
{
    (void)unused;
    struct davy_cell cell = DAVY_CELL_INIT;
    uint32_t row = 7;
    assert_int_equal(davy_cell_init(&cell, 2 * sizeof row), 0);
    assert_true(davy_cell_put_at(&cell, sizeof row, &row, sizeof row));
    assert_false(davy_cell_put_at(&cell, 2 * sizeof row, &row, sizeof row));
    assert_false(davy_cell_get_at(&cell, SIZE_MAX, &row, sizeof row));
    assert_true(davy_cell_get_at(&cell, 0, &row, sizeof row));
    assert_int_equal(row, 0);
    assert_int_equal(davy_cell_resize(&cell, 3 * sizeof row), 0);
    assert_true(davy_cell_get_at(&cell, 2 * sizeof row, &row, sizeof row));
    assert_true(davy_cell_get_at(&cell, sizeof row, &row, sizeof row));
    assert_int_equal(row, 0);
    davy_cell_done(&cell);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_items_in_order_round_its_end),
        cmocka_unit_test(full_refuses_the_new_one),
        cmocka_unit_test(full_drops_the_oldest),
        cmocka_unit_test(a_queue_of_one_drops),
        cmocka_unit_test(no_item_and_no_ring_is_lost_between_threads),
        cmocka_unit_test(no_ring_is_lost_to_one_that_sleeps_on_the_descriptor),
        cmocka_unit_test(a_thread_that_works_is_rung_by_a_mark),
        cmocka_unit_test(a_patient_queue_rings_at_each_multiple),
        cmocka_unit_test(many_at_once_keep_their_order_round_the_end),
        cmocka_unit_test(what_is_dropped_between_threads_is_counted),
        cmocka_unit_test(a_ring_before_the_wait_is_not_lost),
        cmocka_unit_test(a_cell_is_never_torn_and_keeps_the_latest),
        cmocka_unit_test(rows_of_a_cell_stay_inside_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
