/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/judge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool cause_is_news(const struct told_cause *last, enum told now, const char *why, davy_mono at)
{
    if (now == TOLD_NOTHING || now != last->told)
        return now != TOLD_NOTHING;
    const bool paused = last->at.ns != 0 && davy_mono_sub(at, last->at).ns < CAUSE_PAUSE;
    return now == TOLD_TRUE && !paused && strncmp(why, last->why, sizeof last->why - 1) != 0;
}

void cause_was_told(struct told_cause *last, enum told now, const char *why, davy_mono at)
{
    last->at = now == last->told ? at : (davy_mono){0};
    last->told = now;
    snprintf(last->why, sizeof last->why, "%s", why);
}

#define STEP           DAVY_NS_PER_S
#define UNSYNCHRONIZED (600 * DAVY_NS_PER_S)
#define CALM           (60 * DAVY_NS_PER_S)
#define FULL           (10 * DAVY_NS_PER_S)
#define RATE_WINDOW    (10 * DAVY_NS_PER_S)
#define RATE_INTERVALS 4

/* Who asks does so each second; after this long, the machine slept or the process stood. */
#define SLEPT (5 * DAVY_NS_PER_S)

/*
 * How long a clock must have been right, or at least steady, before ages are reckoned by it; what is no step to that.
 */
#define TRUST         (6 * 3600 * DAVY_NS_PER_S)
#define STEADY        (30 * 86400 * DAVY_NS_PER_S)
#define STEADY_WITHIN (60 * DAVY_NS_PER_S)

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

/* How far the wall clock has moved against the monotonic one between two looks at both; 0 where there was no first. */
static int64_t moved_between(struct davy_stamp last, struct davy_stamp now)
{
    if (last.mono.ns == 0)
        return 0;
    int64_t wall = davy_mono_sub((davy_mono){now.wall.ns}, (davy_mono){last.wall.ns}).ns;
    int64_t mono = davy_mono_sub(now.mono, last.mono).ns;
    return davy_mono_sub((davy_mono){wall}, (davy_mono){mono}).ns;
}

static bool beyond(int64_t moved_ns, int64_t most_ns)
{
    return moved_ns > most_ns || moved_ns < -most_ns;
}

enum told clock_judge(struct clock_watch *watch, bool synchronized, struct davy_stamp now)
{
    bool step = beyond(moved_between(watch->last, now), STEP); /* what slewing cannot do */
    watch->last = now;
    watch->unsynchronized_since = since(watch->unsynchronized_since, !synchronized, now.mono);
    watch->calm_since = since(step ? (davy_mono){0} : watch->calm_since, synchronized, now.mono);
    if (step || lasts(watch->unsynchronized_since, UNSYNCHRONIZED, now.mono))
        watch->state = TOLD_TRUE;
    else if (lasts(watch->calm_since, CALM, now.mono))
        watch->state = TOLD_FALSE;
    return watch->state;
}

bool clock_corrected(struct clock_corrections *corrections, bool synchronized, struct davy_stamp now,
                     int64_t *ret_moved_ns)
{
    int64_t moved = moved_between(corrections->last, now);
    corrections->begun_unsynchronized |= corrections->last.mono.ns == 0 && !synchronized;
    corrections->last = now;
    if (beyond(moved, STEP))
        corrections->pending_ns = davy_mono_add((davy_mono){corrections->pending_ns}, (davy_span){moved}).ns;
    bool first = synchronized && corrections->begun_unsynchronized;
    bool paused =
        corrections->written_at.ns != 0 && davy_mono_sub(now.mono, corrections->written_at).ns < CORRECTION_PAUSE;
    if ((corrections->pending_ns == 0 && !first) || paused)
        return false;
    *ret_moved_ns = corrections->pending_ns;
    corrections->begun_unsynchronized &= !synchronized;
    if (corrections->pending_ns != 0)
        corrections->written_at = now.mono;
    corrections->pending_ns = 0;
    return true;
}

bool clock_trusted(struct clock_trust *trust, bool synchronized, struct davy_stamp now)
{
    bool step = trust->last.mono.ns == 0 || beyond(moved_between(trust->last, now), STEADY_WITHIN);
    trust->last = now;
    trust->steady_since = since(step ? (davy_mono){0} : trust->steady_since, true, now.mono);
    trust->synchronized_since = since(step ? (davy_mono){0} : trust->synchronized_since, synchronized, now.mono);
    return lasts(trust->synchronized_since, TRUST, now.mono) || lasts(trust->steady_since, STEADY, now.mono);
}

static davy_mono later(davy_mono a, davy_mono b)
{
    return a.ns > b.ns ? a : b;
}

bool unconfirmed_judge(struct unconfirmed_watch *watch, davy_wall oldest, struct davy_stamp now)
{
    if (oldest.ns == 0) {
        *watch = (struct unconfirmed_watch){.not_before = now.mono};
        return false;
    }
    if (oldest.ns != watch->oldest.ns) {
        davy_span age = davy_mono_sub((davy_mono){now.wall.ns}, (davy_mono){oldest.ns});
        davy_mono born = davy_mono_add(now.mono, (davy_span){age.ns > 0 ? -age.ns : 0});
        watch->oldest = oldest;
        watch->since = watch->not_before.ns == 0 ? born : later(born, watch->not_before);
    }
    return davy_mono_sub(now.mono, watch->since).ns >= UNCONFIRMED;
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
    bool slept = davy_mono_sub(now, rate->judged).ns > SLEPT; /* as everything did: no point was slower than another */
    rate->judged = now;
    if (dead || slept || rate->begin.ns == 0) {
        *rate = (struct read_rate){.begin = now, .judged = now, .slow = rate->slow && !dead};
        return rate->slow;
    }
    rate->count += count;
    int64_t elapsed = davy_mono_sub(now, rate->begin).ns;
    if (elapsed >= window_of(interval)) {
        bool slow = (int64_t)rate->count < elapsed / interval.ns / 2;
        *rate = (struct read_rate){.begin = now, .judged = now, .slow = slow};
    }
    return rate->slow;
}

bool heartbeat_judge(struct heartbeat *heartbeat, uint64_t beats, davy_span patience, davy_mono now)
{
    const davy_span since = davy_mono_sub(now, heartbeat->judged);
    if (beats != heartbeat->beats || heartbeat->at.ns == 0)
        heartbeat->at = now;
    else if (since.ns > SLEPT)
        heartbeat->at = davy_mono_add(heartbeat->at, since);
    heartbeat->beats = beats;
    heartbeat->judged = now;
    return davy_mono_sub(now, heartbeat->at).ns <= patience.ns;
}
