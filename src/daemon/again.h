/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When an event that the platform does not confirm is published again: `confirm_within` after the broker's
 * acknowledgement, oldest first, in a window that grows with what is confirmed and shrinks without. What a broker drops
 * between us and a platform that is slow or was away is always the end of a window, so each window gets something
 * through. How long a window is waited for follows from how long the platform took so far (RFC 6298), within 0.3 s and
 * `confirm_within`, and doubles without an answer. Of a fixed size, however much is unconfirmed. Pure: no ledger, no
 * publisher, no clock. Thread: one caller.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

/*
 * Events that are out again at most, the window at the start, and what it grows to by doubling before anything is lost.
 */
#define AGAIN_WINDOW_MAX   256
#define AGAIN_WINDOW_FIRST 8
#define AGAIN_DOUBLES_TO   64

/* The shortest time until a window is given up; without any confirmation it doubles up to this, or `confirm_within`. */
#define AGAIN_WAIT_MIN (300 * DAVY_NS_PER_MS)
#define AGAIN_WAIT_MAX (600 * DAVY_NS_PER_S)

/* How finely the time of acknowledgements is kept: an eighth of `confirm_within`. */
#define AGAIN_MARKS 10

/* The broker acknowledged events up to `seq`, the first of them at `opened`. */
struct again_mark {
    int64_t seq;
    davy_mono opened;
};

struct again_out {
    int64_t seq;
    davy_mono at;
};

struct again {
    davy_span patience; /* confirm_within */
    int64_t settled;    /* confirmed up to here */
    int64_t due;        /* acknowledged up to here long enough ago */
    int64_t overdue;    /* the same, of acknowledgements that this object was told of */
    bool late;
    int64_t inherited; /* `due` at the begin */
    struct again_mark marks[AGAIN_MARKS];
    size_t mark_count;
    int64_t cursor;                         /* looked at up to here in this round */
    struct again_out out[AGAIN_WINDOW_MAX]; /* what was published again in this round, ascending */
    size_t out_count;
    size_t unacknowledged; /* publishings that the broker has not answered */
    size_t window;
    size_t doubles_to;
    size_t credit;     /* confirmed since the window last grew by one */
    int64_t took_ns;   /* from a publishing to its confirmation, smoothed; 0: not known yet */
    int64_t varied_ns; /* how far that varies */
    davy_mono moved;   /* the last thing that happened to the round */
    unsigned silence;  /* rounds that ended without any confirmation, in a row */
    uint64_t sent;     /* publishings so far */
};

/*
 * From now on the platform is asked.
 * settled   nothing up to here is ever due
 * due       acknowledged before, by who knows when: due at once
 */
void again_begin(struct again *again, davy_span patience, int64_t settled, int64_t due, davy_mono now);

/* Another confirm_within. */
void again_patience(struct again *again, davy_span patience);

/* The broker has acknowledged the first publishing of `seq`. */
void again_acknowledged(struct again *again, int64_t seq, davy_mono now);

/* It has answered `count` later publishings, with success or not, the highest of `seq`. */
void again_answered(struct again *again, size_t count, int64_t seq, davy_mono now);

/* Everything up to `settled` is confirmed; the same as before is a sign of life all the same. */
void again_confirmed(struct again *again, int64_t settled, davy_mono now);

/* A connection has begun: whoever did not hear us may now, so the long wait ends. */
void again_connected(struct again *again);

/*
 * Whether another event may go out now: the first acknowledged one in (*ret_after, *ret_upto]. The caller says which it
 * was with again_sent(), or that there is none with again_none().
 */
bool again_next(struct again *again, davy_mono now, int64_t *ret_after, int64_t *ret_upto);
void again_sent(struct again *again, int64_t seq, davy_mono now);
void again_none(struct again *again, davy_mono now);

/* When again_next() may have something though nothing arrives; DAVY_MONO_NEVER. */
davy_mono again_due(const struct again *again);

/*
 * The platform does not confirm: an event is unconfirmed, `confirm_within` after an acknowledgement that we saw; until
 * nothing is that is half as old.
 */
bool again_overdue(const struct again *again);

/* Something from before the begin is unconfirmed: since when is not known. */
bool again_doubtful(const struct again *again);
