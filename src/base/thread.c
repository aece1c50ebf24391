/* SPDX-License-Identifier: Apache-2.0 */
#include "base/thread.h"

#include <errno.h>
#include <signal.h>

int davy_thread_init(struct davy_thread *thread, const char *name)
{
    *thread = DAVY_THREAD_INIT;
    snprintf(thread->name, sizeof thread->name, "%s", name);
    return davy_waker_init(&thread->waker);
}

static void *run(void *argument)
{
    struct davy_thread *thread = argument;
    pthread_setname_np(pthread_self(), thread->name);
    thread->body(thread, thread->context);
    atomic_store(&thread->returned, true);
    if (thread->ended.fd >= 0)
        davy_waker_ring(&thread->ended);
    return NULL;
}

/* A thread's own faults stay open: blocked, they kill the process all the same, past any handler that says where. */
static sigset_t foreign_signals(void)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    sigset_t foreign;
    sigfillset(&foreign);
    for (size_t i = 0; i < DAVY_LENGTH(faults); i++)
        sigdelset(&foreign, faults[i]);
    return foreign;
}

/* Start with the signals blocked, so that the new thread inherits the mask without a window. */
static int start_masked(struct davy_thread *thread, const pthread_attr_t *attributes)
{
    sigset_t foreign = foreign_signals(), before;
    pthread_sigmask(SIG_SETMASK, &foreign, &before);
    int rc = pthread_create(&thread->id, attributes, run, thread);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -rc;
}

int davy_thread_start(struct davy_thread *thread, size_t stack_bytes,
                      void (*body)(struct davy_thread *thread, void *context), void *context)
{
    thread->body = body;
    thread->context = context;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    int rc = -pthread_attr_setstacksize(&attributes, stack_bytes);
    if (rc == 0)
        rc = start_masked(thread, &attributes);
    pthread_attr_destroy(&attributes);
    thread->started = rc == 0;
    return rc;
}

void davy_thread_stop(struct davy_thread *thread)
{
    atomic_store(&thread->stop, true);
    if (thread->waker.fd >= 0)
        davy_waker_ring(&thread->waker);
}

void davy_thread_join(struct davy_thread *thread)
{
    if (!thread->started)
        return;
    davy_thread_stop(thread);
    pthread_join(thread->id, NULL);
    thread->started = false;
}

void davy_thread_done(struct davy_thread *thread)
{
    davy_thread_join(thread);
    davy_waker_done(&thread->waker);
    davy_waker_done(&thread->ended);
}

int davy_thread_bound(struct davy_thread *thread)
{
    return davy_waker_init(&thread->ended);
}

int davy_thread_done_within(struct davy_thread *thread, davy_span timeout)
{
    if (thread->started) {
        davy_thread_stop(thread);
        davy_waker_wait(&thread->ended, timeout);
        if (!atomic_load(&thread->returned))
            return -ETIMEDOUT;
    }
    davy_thread_done(thread);
    return 0;
}
