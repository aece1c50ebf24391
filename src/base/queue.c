/* SPDX-License-Identifier: Apache-2.0 */
#include "base/queue.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>

int davy_waker_init(struct davy_waker *waker)
{
    waker->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return waker->fd < 0 ? -errno : 0;
}

void davy_waker_done(struct davy_waker *waker)
{
    if (waker->fd >= 0)
        close(waker->fd);
    waker->fd = -1;
}

void davy_waker_ring(struct davy_waker *waker)
{
    uint64_t one = 1;
    ssize_t written = write(waker->fd, &one, sizeof one);
    (void)written; /* EAGAIN: it is ringing already */
}

void davy_waker_wait(struct davy_waker *waker, davy_span timeout)
{
    const int64_t day = 86400 * DAVY_NS_PER_S;
    int64_t ns = timeout.ns < 0 ? 0 : timeout.ns > day ? day : timeout.ns;
    struct timespec wait = {.tv_sec = ns / DAVY_NS_PER_S, .tv_nsec = ns % DAVY_NS_PER_S};
    struct pollfd item = {.fd = waker->fd, .events = POLLIN};
    if (ppoll(&item, 1, &wait, NULL) > 0) {
        uint64_t rings;
        ssize_t size = read(waker->fd, &rings, sizeof rings);
        (void)size;
    }
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
    bool was_empty = queue->count == 0;
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
    if (was_empty && queue->waker)
        davy_waker_ring(queue->waker);
    return outcome;
}

bool davy_queue_pop(struct davy_queue *queue, void *ret_item)
{
    pthread_mutex_lock(&queue->lock);
    bool any = queue->count > 0;
    if (any) {
        memcpy(ret_item, slot(queue, 0), queue->item_size);
        queue->count--;
        /* Begin anew when empty: a queue that is rarely full touches few pages. */
        queue->head = queue->count == 0 ? 0 : (queue->head + 1) % queue->capacity;
    }
    pthread_mutex_unlock(&queue->lock);
    return any;
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
