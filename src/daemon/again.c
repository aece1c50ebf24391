/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/again.h"

#include <string.h>

/* A mark takes acknowledgements for this long; what it has is as young as its last one can be. */
static davy_span mark_span(const struct again *again)
{
    return (davy_span){again->patience.ns / 8};
}

static davy_mono mark_due(const struct again *again, const struct again_mark *mark)
{
    return davy_mono_add(mark->opened, (davy_span){again->patience.ns + mark_span(again).ns});
}

static int64_t higher(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

void again_begin(struct again *again, davy_span patience, int64_t settled, int64_t due, davy_mono now)
{
    uint64_t sent = again->sent;
    *again = (struct again){
        .patience = patience,
        .settled = settled,
        .due = due,
        .inherited = due,
        .cursor = settled,
        .window = AGAIN_WINDOW_FIRST,
        .doubles_to = AGAIN_DOUBLES_TO,
        .moved = now,
        .sent = sent,
    };
}

void again_patience(struct again *again, davy_span patience)
{
    again->patience = patience;
}

/* ---- what is due ----------------------------------------------------------------------------------------------- */

static void take_oldest_mark(struct again *again)
{
    again->due = higher(again->due, again->marks[0].seq);
    again->overdue = higher(again->overdue, again->marks[0].seq);
    again->mark_count--;
    memmove(again->marks, again->marks + 1, again->mark_count * sizeof again->marks[0]);
}

/* Late at the first that is overdue, well again only when what follows is not about to be. */
static void judge(struct again *again, davy_mono now)
{
    davy_span half = {again->patience.ns / 2};
    bool old = again->mark_count > 0 && now.ns >= davy_mono_add(again->marks[0].opened, half).ns;
    if (again->overdue > again->settled)
        again->late = true;
    else if (again->due <= again->settled && !old)
        again->late = false;
}

static void age(struct again *again, davy_mono now)
{
    while (again->mark_count > 0 &&
           (again->marks[0].seq <= again->settled || now.ns >= mark_due(again, &again->marks[0]).ns))
        take_oldest_mark(again);
    judge(again, now);
}

static void mark(struct again *again, int64_t seq, davy_mono now)
{
    age(again, now);
    if (seq <= again->settled)
        return;
    struct again_mark *newest = again->mark_count > 0 ? &again->marks[again->mark_count - 1] : NULL;
    if (newest && now.ns < davy_mono_add(newest->opened, mark_span(again)).ns) {
        newest->seq = higher(newest->seq, seq);
        return;
    }
    if (again->mark_count == AGAIN_MARKS) /* cannot be, but that patience became longer */
        take_oldest_mark(again);
    again->marks[again->mark_count++] = (struct again_mark){seq, now};
}

void again_acknowledged(struct again *again, int64_t seq, davy_mono now)
{
    mark(again, seq, now);
}

void again_answered(struct again *again, size_t count, int64_t seq, davy_mono now)
{
    mark(again, seq, now);
    again->unacknowledged -= count < again->unacknowledged ? count : again->unacknowledged;
    again->moved = now;
}

bool again_overdue(const struct again *again)
{
    return again->late;
}

bool again_doubtful(const struct again *again)
{
    return again->inherited > again->settled;
}

/* ---- the window ------------------------------------------------------------------------------------------------ */

/* Doubles with each window that is confirmed, and beyond `doubles_to` grows by one. */
static void grow(struct again *again, size_t confirmed)
{
    if (again->window < again->doubles_to) {
        again->window += confirmed;
    } else {
        again->credit += confirmed;
        if (again->credit >= again->window) {
            again->credit = 0;
            again->window++;
        }
    }
    if (again->window > AGAIN_WINDOW_MAX)
        again->window = AGAIN_WINDOW_MAX;
}

/* RFC 6298, 2. */
static void learn(struct again *again, int64_t took_ns)
{
    int64_t off = took_ns > again->took_ns ? took_ns - again->took_ns : again->took_ns - took_ns;
    bool first = again->took_ns == 0;
    again->varied_ns = first ? took_ns / 2 : again->varied_ns + (off - again->varied_ns) / 4;
    again->took_ns = first ? took_ns : again->took_ns + (took_ns - again->took_ns) / 8;
    again->took_ns = higher(again->took_ns, 1);
}

void again_confirmed(struct again *again, int64_t settled, davy_mono now)
{
    size_t confirmed = 0;
    again->silence = 0;
    if (settled <= again->settled)
        return;
    while (confirmed < again->out_count && again->out[confirmed].seq <= settled)
        confirmed++;
    if (confirmed > 0)
        learn(again, davy_mono_sub(now, again->out[confirmed - 1].at).ns);
    again->out_count -= confirmed;
    memmove(again->out, again->out + confirmed, again->out_count * sizeof again->out[0]);
    again->settled = settled;
    again->cursor = higher(again->cursor, settled);
    again->moved = now;
    grow(again, confirmed);
    age(again, now);
}

void again_connected(struct again *again)
{
    again->silence = 0;
}

/* How long a window may take. */
static int64_t usual_wait(const struct again *again)
{
    int64_t wait = higher(again->took_ns + 4 * again->varied_ns, AGAIN_WAIT_MIN);
    return again->took_ns == 0 || wait > again->patience.ns ? again->patience.ns : wait;
}

static davy_span patience_now(const struct again *again)
{
    int64_t most = higher(AGAIN_WAIT_MAX, again->patience.ns);
    int64_t wait = usual_wait(again);
    for (unsigned i = 0; i < again->silence && wait < most; i++)
        wait *= 2;
    return (davy_span){wait < most ? wait : most};
}

/* The round has nothing more to send, or may not: when it is given up. Not while the broker itself has not answered. */
static davy_mono round_ends(const struct again *again)
{
    if (again->unacknowledged > 0 || again->cursor <= again->settled)
        return DAVY_MONO_NEVER;
    return davy_mono_add(again->moved, patience_now(again));
}

/*
 * What is out was lost, or nobody is there to confirm it: from the oldest on again, half as much, after a longer time.
 */
static void give_up_round(struct again *again)
{
    again->window = again->window > 1 ? again->window / 2 : 1;
    if (again->silence == 0)
        again->doubles_to = again->window;
    again->silence += again->silence < 32;
    again->credit = 0;
    again->out_count = 0;
    again->cursor = again->settled;
}

bool again_next(struct again *again, davy_mono now, int64_t *ret_after, int64_t *ret_upto)
{
    age(again, now);
    if (now.ns >= round_ends(again).ns)
        give_up_round(again);
    if (again->due <= again->cursor || again->out_count >= again->window || again->out_count >= AGAIN_WINDOW_MAX)
        return false;
    *ret_after = again->cursor;
    *ret_upto = again->due;
    return true;
}

void again_sent(struct again *again, int64_t seq, davy_mono now)
{
    again->out[again->out_count++] = (struct again_out){seq, now};
    again->unacknowledged++;
    again->cursor = seq;
    again->moved = now;
    again->sent++;
}

/* What is due is not the broker's any more, or not yet: refused. Looked at anew like a round that was lost. */
void again_none(struct again *again, davy_mono now)
{
    again->cursor = again->due;
    if (again->out_count == 0)
        again->moved = now;
}

davy_mono again_due(const struct again *again)
{
    davy_mono due = round_ends(again);
    if (again->mark_count > 0)
        due = davy_mono_min(due, mark_due(again, &again->marks[0]));
    return due;
}
