/* SPDX-License-Identifier: Apache-2.0 */
#include "acquire/wait.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <time.h>

/* After so long a stop request is looked at. */
#define SLICE_NS (DAVY_NS_PER_S / 4)

static _Thread_local atomic_uint_fast64_t *wait_beats;

void davy_wait_beat_into(atomic_uint_fast64_t *beats)
{
    wait_beats = beats;
}

void davy_wait_beat(void)
{
    if (wait_beats)
        atomic_fetch_add(wait_beats, 1);
}

davy_mono davy_wait_now(void)
{
    return davy_clock_now(&davy_system_clock).mono;
}

bool davy_wait_is_stopping(const atomic_bool *stop)
{
    return stop && atomic_load(stop);
}

static struct timespec timespec_of(int64_t ns)
{
    return (struct timespec){.tv_sec = ns / DAVY_NS_PER_S, .tv_nsec = ns % DAVY_NS_PER_S};
}

void davy_wait_until(davy_mono until, const atomic_bool *stop)
{
    for (davy_mono now = davy_wait_now(); now.ns < until.ns && !davy_wait_is_stopping(stop); now = davy_wait_now()) {
        davy_wait_beat();
        int64_t next = until.ns - now.ns < SLICE_NS ? until.ns : now.ns + SLICE_NS;
        struct timespec at = timespec_of(next);
        (void)clock_nanosleep(CLOCK_BOOTTIME, TIMER_ABSTIME, &at, NULL); /* a signal only makes another round */
    }
}

bool davy_wait_ready(int fd, short events, davy_mono until, const atomic_bool *stop)
{
    struct pollfd item = {.fd = fd, .events = events};
    for (;;) {
        davy_span left = davy_mono_sub(until, davy_wait_now());
        int64_t ns = left.ns < 0 ? 0 : left.ns < SLICE_NS ? left.ns : SLICE_NS;
        struct timespec wait = timespec_of(ns);
        davy_wait_beat();
        if (ppoll(&item, 1, &wait, NULL) > 0)
            return true;
        if (left.ns <= SLICE_NS || davy_wait_is_stopping(stop))
            return false;
    }
}
