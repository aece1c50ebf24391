/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/judge.h"

#include <stdlib.h>

#define STEP           DAVY_NS_PER_S
#define UNSYNCHRONIZED (600 * DAVY_NS_PER_S)
#define CALM           (60 * DAVY_NS_PER_S)
#define FULL           (10 * DAVY_NS_PER_S)
#define RATE_WINDOW    (10 * DAVY_NS_PER_S)
#define RATE_INTERVALS 4

static bool lasts(davy_mono since, int64_t least, davy_mono now)
{
    return since.ns != 0 && davy_mono_sub(now, since).ns >= least;
}

/* The begin of what is now true; ns = 0 where it is not. */
static davy_mono since(davy_mono before, bool is, davy_mono now)
{
    if (!is)
        return (davy_mono){0};
    return before.ns != 0 ? before : now;
}

/* How far the wall clock has moved against the monotonic one since it was last looked at: what slewing cannot do. */
static bool stepped(const struct clock_watch *watch, struct davy_stamp now)
{
    if (watch->last.mono.ns == 0)
        return false;
    int64_t wall = davy_mono_sub((davy_mono){now.wall.ns}, (davy_mono){watch->last.wall.ns}).ns;
    int64_t mono = davy_mono_sub(now.mono, watch->last.mono).ns;
    int64_t moved = davy_mono_sub((davy_mono){wall}, (davy_mono){mono}).ns;
    return moved > STEP || moved < -STEP;
}

enum told clock_judge(struct clock_watch *watch, bool synchronized, struct davy_stamp now)
{
    bool step = stepped(watch, now);
    watch->last = now;
    watch->unsynchronized_since = since(watch->unsynchronized_since, !synchronized, now.mono);
    watch->calm_since = since(step ? (davy_mono){0} : watch->calm_since, synchronized, now.mono);
    if (step || lasts(watch->unsynchronized_since, UNSYNCHRONIZED, now.mono))
        watch->state = TOLD_TRUE;
    else if (lasts(watch->calm_since, CALM, now.mono))
        watch->state = TOLD_FALSE;
    return watch->state;
}

enum told overload_judge(struct overload_watch *watch, bool queue_full, bool slow, davy_mono now)
{
    watch->full_since = since(watch->full_since, queue_full, now);
    watch->calm_since = since(watch->calm_since, !queue_full && !slow, now);
    if (slow || lasts(watch->full_since, FULL, now))
        watch->state = TOLD_TRUE;
    else if (lasts(watch->calm_since, CALM, now))
        watch->state = TOLD_FALSE;
    return watch->state;
}

static int64_t window_of(davy_span interval)
{
    return interval.ns > RATE_WINDOW / RATE_INTERVALS ? interval.ns * RATE_INTERVALS : RATE_WINDOW;
}

bool read_rate_judge(struct read_rate *rate, uint32_t count, davy_span interval, bool dead, davy_mono now)
{
    if (dead || rate->begin.ns == 0) {
        *rate = (struct read_rate){.begin = now};
        return false;
    }
    rate->count += count;
    int64_t elapsed = davy_mono_sub(now, rate->begin).ns;
    if (elapsed >= window_of(interval)) {
        bool slow = (int64_t)rate->count < elapsed / interval.ns / 2;
        *rate = (struct read_rate){.begin = now, .slow = slow};
    }
    return rate->slow;
}
