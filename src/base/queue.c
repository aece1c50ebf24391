/* SPDX-License-Identifier: Apache-2.0 */
#include "base/queue.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>

int davy_waker_init(struct davy_waker *waker)
{
    atomic_store(&waker->state, DAVY_WAKER_WAITS);
    waker->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return waker->fd < 0 ? -errno : 0;
}

void davy_waker_done(struct davy_waker *waker)
{
    if (waker->fd >= 0)
        close(waker->fd);
    waker->fd = -1;
}

/* How the one who waits learns of it: by a mark where it looks before it waits, else by the descriptor. */
static int rung(int state)
{
    return state == DAVY_WAKER_WAITS ? DAVY_WAKER_WRITTEN : state == DAVY_WAKER_WORKS ? DAVY_WAKER_MARKED : state;
}

void davy_waker_ring(struct davy_waker *waker)
{
    uint64_t one = 1;
    int before = atomic_load(&waker->state);
    while (rung(before) != before && !atomic_compare_exchange_weak(&waker->state, &before, rung(before)))
        ;
    if (before != DAVY_WAKER_WAITS)
        return;
    ssize_t written = write(waker->fd, &one, sizeof one);
    (void)written; /* EAGAIN: it is ringing already */
}

static void swallow(const struct davy_waker *waker, int64_t ns)
{
    struct timespec wait = {.tv_sec = ns / DAVY_NS_PER_S, .tv_nsec = ns % DAVY_NS_PER_S};
    struct pollfd item = {.fd = waker->fd, .events = POLLIN};
    if (ppoll(&item, 1, &wait, NULL) > 0) {
        uint64_t rings;
        ssize_t size = read(waker->fd, &rings, sizeof rings);
        (void)size;
    }
}

/*
 * Whoever rings has pushed before, and whoever waited looks afterwards: so a mark that is overwritten at the end is no
 * loss. The state is set behind the read, or a ring between the two would be swallowed and still be taken for written.
 */
void davy_waker_wait(struct davy_waker *waker, davy_span timeout)
{
    const int64_t day = 86400 * DAVY_NS_PER_S;
    if (timeout.ns <= 0) {
        swallow(waker, 0);
        atomic_store(&waker->state, DAVY_WAKER_WAITS);
        return;
    }
    if (atomic_exchange(&waker->state, DAVY_WAKER_WAITS) != DAVY_WAKER_MARKED)
        swallow(waker, timeout.ns > day ? day : timeout.ns);
    atomic_store(&waker->state, DAVY_WAKER_WORKS);
}

int davy_queue_init(struct davy_queue *queue, size_t item_size, size_t capacity, enum davy_queue_full full,
                    struct davy_waker *waker)
{
    *queue = (struct davy_queue){.item_size = item_size, .capacity = capacity, .full = full, .waker = waker};
    queue->items = calloc(capacity, item_size);
    if (!queue->items)
        return -ENOMEM;
    int rc = pthread_mutex_init(&queue->lock, NULL);
    if (rc != 0) {
        free(queue->items);
        queue->items = NULL;
        return -rc;
    }
    queue->ready = true;
    return 0;
}

void davy_queue_ring_each(struct davy_queue *queue, size_t items)
{
    if (queue->ring_each != items)
        queue->ring_each = items;
}

void davy_queue_ring(struct davy_queue *queue)
{
    if (queue->waker)
        davy_waker_ring(queue->waker);
}

/* Items that were added to `before`. */
static void ring_for(struct davy_queue *queue, size_t before, size_t count)
{
    size_t each = queue->ring_each;
    if (each ? (before + count) / each > before / each : before == 0 && count > 0)
        davy_queue_ring(queue);
}

void davy_queue_done(struct davy_queue *queue)
{
    if (!queue->ready)
        return;
    pthread_mutex_destroy(&queue->lock);
    free(queue->items);
    *queue = DAVY_QUEUE_INIT;
}

static unsigned char *slot(struct davy_queue *queue, size_t position)
{
    return queue->items + (queue->head + position) % queue->capacity * queue->item_size;
}

int davy_queue_push(struct davy_queue *queue, const void *item)
{
    int outcome = 0;
    pthread_mutex_lock(&queue->lock);
    size_t before = queue->count;
    if (queue->count == queue->capacity) {
        outcome = DAVY_QUEUE_LOST;
        queue->lost++;
        if (queue->full == DAVY_QUEUE_REFUSE) {
            pthread_mutex_unlock(&queue->lock);
            return outcome;
        }
        queue->head = (queue->head + 1) % queue->capacity;
        queue->count--;
    }
    memcpy(slot(queue, queue->count), item, queue->item_size);
    queue->count++;
    pthread_mutex_unlock(&queue->lock);
    ring_for(queue, before, 1);
    return outcome;
}

/* Of `count` slots from `position` on, how many lie in one piece. */
static size_t piece(const struct davy_queue *queue, size_t position, size_t count)
{
    size_t left = queue->capacity - (queue->head + position) % queue->capacity;
    return count < left ? count : left;
}

size_t davy_queue_push_some(struct davy_queue *queue, const void *items, size_t count)
{
    const unsigned char *from = items;
    pthread_mutex_lock(&queue->lock);
    size_t before = queue->count, space = queue->capacity - before;
    size_t taken = count < space ? count : space;
    size_t first = piece(queue, before, taken);
    memcpy(slot(queue, before), from, first * queue->item_size);
    if (taken > first)
        memcpy(queue->items, from + first * queue->item_size, (taken - first) * queue->item_size);
    queue->count += taken;
    pthread_mutex_unlock(&queue->lock);
    ring_for(queue, before, taken);
    return taken;
}

/* Take out what was copied. Begin anew when empty: a queue that is rarely full touches few pages. */
static void drop_first(struct davy_queue *queue, size_t count)
{
    queue->count -= count;
    queue->head = queue->count == 0 ? 0 : (queue->head + count) % queue->capacity;
}

bool davy_queue_pop(struct davy_queue *queue, void *ret_item)
{
    pthread_mutex_lock(&queue->lock);
    bool any = queue->count > 0;
    if (any) {
        memcpy(ret_item, slot(queue, 0), queue->item_size);
        drop_first(queue, 1);
    }
    pthread_mutex_unlock(&queue->lock);
    return any;
}

size_t davy_queue_pop_some(struct davy_queue *queue, void *ret_items, size_t most)
{
    unsigned char *to = ret_items;
    pthread_mutex_lock(&queue->lock);
    size_t taken = queue->count < most ? queue->count : most;
    size_t first = piece(queue, 0, taken);
    memcpy(to, slot(queue, 0), first * queue->item_size);
    if (taken > first)
        memcpy(to + first * queue->item_size, queue->items, (taken - first) * queue->item_size);
    drop_first(queue, taken);
    pthread_mutex_unlock(&queue->lock);
    return taken;
}

size_t davy_queue_count(struct davy_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    size_t count = queue->count;
    pthread_mutex_unlock(&queue->lock);
    return count;
}

size_t davy_queue_space(struct davy_queue *queue)
{
    return queue->capacity - davy_queue_count(queue);
}

uint64_t davy_queue_lost(struct davy_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    uint64_t lost = queue->lost;
    pthread_mutex_unlock(&queue->lock);
    return lost;
}

int davy_cell_init(struct davy_cell *cell, size_t size)
{
    *cell = (struct davy_cell){.size = size, .value = calloc(1, size)};
    if (!cell->value)
        return -ENOMEM;
    return -pthread_mutex_init(&cell->lock, NULL);
}

void davy_cell_done(struct davy_cell *cell)
{
    if (!cell->value)
        return;
    pthread_mutex_destroy(&cell->lock);
    free(cell->value);
    cell->value = NULL;
}

void davy_cell_put(struct davy_cell *cell, const void *value)
{
    pthread_mutex_lock(&cell->lock);
    memcpy(cell->value, value, cell->size);
    pthread_mutex_unlock(&cell->lock);
}

void davy_cell_get(struct davy_cell *cell, void *ret_value)
{
    pthread_mutex_lock(&cell->lock);
    memcpy(ret_value, cell->value, cell->size);
    pthread_mutex_unlock(&cell->lock);
}

int davy_cell_resize(struct davy_cell *cell, size_t size)
{
    void *value = calloc(1, size);
    if (!value)
        return -ENOMEM;
    pthread_mutex_lock(&cell->lock);
    void *old = cell->value;
    cell->value = value;
    cell->size = size;
    pthread_mutex_unlock(&cell->lock);
    free(old);
    return 0;
}

bool davy_cell_put_at(struct davy_cell *cell, size_t offset, const void *value, size_t size)
{
    pthread_mutex_lock(&cell->lock);
    bool inside = offset <= cell->size && size <= cell->size - offset;
    if (inside)
        memcpy((unsigned char *)cell->value + offset, value, size);
    pthread_mutex_unlock(&cell->lock);
    return inside;
}

bool davy_cell_get_at(struct davy_cell *cell, size_t offset, void *ret_value, size_t size)
{
    pthread_mutex_lock(&cell->lock);
    bool inside = offset <= cell->size && size <= cell->size - offset;
    if (inside)
        memcpy(ret_value, (unsigned char *)cell->value + offset, size);
    pthread_mutex_unlock(&cell->lock);
    return inside;
}
