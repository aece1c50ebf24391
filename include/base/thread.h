/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A named thread with a stop request and a heartbeat. The owner starts, stops and joins; the body beats once per cycle.
 * All signals but its own faults are blocked in it: they belong to the main thread.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/queue.h"

struct davy_thread {
    pthread_t id;
    char name[16];
    void (*body)(struct davy_thread *thread, void *context);
    void *context;
    atomic_bool stop;
    atomic_bool returned;
    atomic_uint_fast64_t beats;
    struct davy_waker waker; /* the body sleeps on it; davy_thread_stop() rings it */
    struct davy_waker ended; /* made by davy_thread_bound(), rung when the body has returned */
    bool started;
};

/* Before davy_thread_init(), so that davy_thread_done() is safe. */
#define DAVY_THREAD_INIT ((struct davy_thread){.waker = DAVY_WAKER_INIT, .ended = DAVY_WAKER_INIT})

/* Prepare the waker, so that queues can refer to it before the start. 0 or a negative errno. */
int davy_thread_init(struct davy_thread *thread, const char *name) DAVY_MUST_CHECK;

/*
 * Start `body` on a stack of `stack_bytes` (at least 64 KiB).
 * thread    initialised; must stay where it is until davy_thread_done()
 */
int davy_thread_start(struct davy_thread *thread, size_t stack_bytes,
                      void (*body)(struct davy_thread *thread, void *context), void *context) DAVY_MUST_CHECK;

/* Ask the body to return; does not wait. */
void davy_thread_stop(struct davy_thread *thread);

/* Stop and join; repeatable; also for a thread that was never started. The waker stays: others may still ring it. */
void davy_thread_join(struct davy_thread *thread);

/* Join, and close the waker: nobody may ring it any more. Repeatable. Blocks until the body returns. */
void davy_thread_done(struct davy_thread *thread);

/* Before the start: prepare for davy_thread_done_within(). 0 or a negative errno. */
int davy_thread_bound(struct davy_thread *thread) DAVY_MUST_CHECK;

/*
 * Like davy_thread_done(), for a thread that is bound, but give up after `timeout`. 0 or -ETIMEDOUT (the thread runs
 * on).
 */
int davy_thread_done_within(struct davy_thread *thread, davy_span timeout) DAVY_MUST_CHECK;

/* In the body. */
static inline bool davy_thread_stopping(struct davy_thread *thread)
{
    return atomic_load(&thread->stop);
}

static inline void davy_thread_beat(struct davy_thread *thread)
{
    atomic_fetch_add(&thread->beats, 1);
}
