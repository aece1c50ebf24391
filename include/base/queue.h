/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What threads share, and nothing else: a bounded FIFO of fixed-size items, a cell that holds the latest copy of a
 * struct, and the waker that a stage sleeps on. The only locks of the project are in here.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/clock.h"

/* An eventfd that one thread waits on and any may ring. Several queues may share one. */
struct davy_waker {
    int fd;
};

#define DAVY_WAKER_INIT ((struct davy_waker){.fd = -1})

/* init: 0 or a negative errno. done may be repeated, and works on DAVY_WAKER_INIT. */
int davy_waker_init(struct davy_waker *waker) DAVY_MUST_CHECK;
void davy_waker_done(struct davy_waker *waker);

/* Make the waiting (or next) davy_waker_wait() return. Never blocks. */
void davy_waker_ring(struct davy_waker *waker);

/*
 * Wait until rung or until `timeout` has passed; swallow the ring.
 * timeout   at most a day; zero or less polls
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
    bool ready;
};

#define DAVY_QUEUE_INIT ((struct davy_queue){.ready = false})

/*
 * waker     rung when the queue was empty; must outlive the queue; may be NULL
 * returns   0 or -ENOMEM
 */
int davy_queue_init(struct davy_queue *queue, size_t item_size, size_t capacity, enum davy_queue_full full,
                    struct davy_waker *waker) DAVY_MUST_CHECK;

/* Repeatable; items that are left are forgotten. */
void davy_queue_done(struct davy_queue *queue);

/* Outcome of davy_queue_push(): the item was refused, or the oldest was dropped for it. Counted either way. */
#define DAVY_QUEUE_LOST 1

/*
 * Copy `item` in. Never blocks beyond the copy.
 * returns   0 or DAVY_QUEUE_LOST
 */
int davy_queue_push(struct davy_queue *queue, const void *item);

/* Copy the oldest out. False when empty. */
bool davy_queue_pop(struct davy_queue *queue, void *ret_item);

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
