/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What threads share, and nothing else: a bounded FIFO of fixed-size items, a cell that holds the latest copy of a
 * struct, and the waker that a stage sleeps on. The only locks of the project are in here.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/clock.h"

/* What the thread that waits is doing. */
enum davy_waker_state {
    DAVY_WAKER_WAITS, /* or may do so without telling, on the descriptor itself: a ring is written */
    DAVY_WAKER_WORKS, /* it will look before it waits: a ring is a mark */
    DAVY_WAKER_WRITTEN,
    DAVY_WAKER_MARKED,
};

/* An eventfd that one thread waits on and any may ring. Several queues may share one. */
struct davy_waker {
    int fd;
    atomic_int state; /* enum davy_waker_state */
};

#define DAVY_WAKER_INIT ((struct davy_waker){.fd = -1})

/* init: 0 or a negative errno. done may be repeated, and works on DAVY_WAKER_INIT. */
int davy_waker_init(struct davy_waker *waker) DAVY_MUST_CHECK;
void davy_waker_done(struct davy_waker *waker);

/* Make the waiting (or next) davy_waker_wait() return. Never blocks; no system call while the thread works. */
void davy_waker_ring(struct davy_waker *waker);

/*
 * Wait until rung or until `timeout` has passed; swallow the ring. May return early now and then.
 * timeout   at most a day; zero or less polls, and the next ring is written to `fd` again, for those who poll that
 */
void davy_waker_wait(struct davy_waker *waker, davy_span timeout);

/* What davy_queue_push() does when the queue is full. */
enum davy_queue_full {
    DAVY_QUEUE_REFUSE,      /* the new item is refused */
    DAVY_QUEUE_DROP_OLDEST, /* the oldest makes room; items must own nothing */
};

struct davy_queue {
    pthread_mutex_t lock;
    unsigned char *items;
    size_t item_size;
    size_t capacity;
    size_t head;
    size_t count;
    uint64_t lost; /* dropped or refused since the start */
    enum davy_queue_full full;
    struct davy_waker *waker; /* of the reader; may be NULL */
    size_t ring_each;         /* ring at each multiple of this count; 0: when it was empty */
    bool ready;
};

#define DAVY_QUEUE_INIT ((struct davy_queue){.ready = false})

/*
 * waker     rung when the queue was empty; must outlive the queue; may be NULL
 * returns   0 or -ENOMEM
 */
int davy_queue_init(struct davy_queue *queue, size_t item_size, size_t capacity, enum davy_queue_full full,
                    struct davy_waker *waker) DAVY_MUST_CHECK;

/*
 * For items that can wait: the reader is rung at each multiple of `items` only. Before any thread uses the queue,
 * or the same again.
 */
void davy_queue_ring_each(struct davy_queue *queue, size_t items);

/* Ring the reader for what is in it. */
void davy_queue_ring(struct davy_queue *queue);

/* Repeatable; items that are left are forgotten. */
void davy_queue_done(struct davy_queue *queue);

/* Outcome of davy_queue_push(): the item was refused, or the oldest was dropped for it. Counted either way. */
#define DAVY_QUEUE_LOST 1

/*
 * Copy `item` in. Never blocks beyond the copy.
 * returns   0 or DAVY_QUEUE_LOST
 */
int davy_queue_push(struct davy_queue *queue, const void *item);

/*
 * Copy the first of `count` items in, as many as fit: nothing is dropped, and what does not fit is not counted as lost.
 * returns   how many
 */
size_t davy_queue_push_some(struct davy_queue *queue, const void *items, size_t count);

/* Copy the oldest out. False when empty. */
bool davy_queue_pop(struct davy_queue *queue, void *ret_item);

/* Copy up to `most` of the oldest out, in order. How many. */
size_t davy_queue_pop_some(struct davy_queue *queue, void *ret_items, size_t most);

/* Items in it, items that still fit, items lost since the start. */
size_t davy_queue_count(struct davy_queue *queue);
size_t davy_queue_space(struct davy_queue *queue);
uint64_t davy_queue_lost(struct davy_queue *queue);

/* The latest copy of a struct: one writer puts, anybody gets. */
struct davy_cell {
    pthread_mutex_t lock;
    void *value;
    size_t size;
};

#define DAVY_CELL_INIT ((struct davy_cell){.value = NULL})

/* The value starts as zeros. 0 or -ENOMEM. */
int davy_cell_init(struct davy_cell *cell, size_t size) DAVY_MUST_CHECK;
void davy_cell_done(struct davy_cell *cell);
void davy_cell_put(struct davy_cell *cell, const void *value);
void davy_cell_get(struct davy_cell *cell, void *ret_value);

/*
 * A cell of rows: another size, all zeros again (0 or -ENOMEM, then it stays as it was); one row of it.
 * returns   false where the cell has no such bytes
 */
int davy_cell_resize(struct davy_cell *cell, size_t size) DAVY_MUST_CHECK;
bool davy_cell_put_at(struct davy_cell *cell, size_t offset, const void *value, size_t size);
bool davy_cell_get_at(struct davy_cell *cell, size_t offset, void *ret_value, size_t size);
