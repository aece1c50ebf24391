/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request of the plan as the device takes it: as a whole, or in parts where it refuses the whole (exceptions 1 to
 * 3), halved between values until what is refused is found. What is refused is asked again ever more rarely and told
 * from memory meanwhile; the whole is tried again after 1 min, 2 min … 1 h, and the parts end when it is answered. A
 * busy device (5, 6) is asked again soon and only called failing at the third time in a row. Pure but for its memory,
 * which it takes when a request is split. Thread: one caller at a time per object.
 *
 * One turn of the request: davy_parts_begin(), then davy_parts_next() until there is nothing more; after each READ
 * davy_parts_answer(). Parts with status words come first, so that the values behind them are judged by new ones.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "acquire/bus.h"
#include "model/config.h"

struct davy_part {
    uint16_t start;
    uint16_t count;
    uint8_t exception;  /* 0: not refused */
    bool single;        /* one value, or values that share registers: cannot be halved */
    bool has_status;    /* holds status words */
    bool done;          /* in this turn */
    davy_mono retry_at; /* of what is refused */
    davy_span wait;
};

struct davy_parts {
    const struct davy_config *config; /* not a reference: outlives this */
    uint32_t request;
    struct davy_part whole;
    struct davy_part *list; /* NULL: not split */
    size_t count;
    size_t current; /* part that was given by davy_parts_next() */
    bool merging;   /* the whole was, though it is split */
    davy_mono merge_at;
    davy_span merge_wait;
    davy_mono split_at; /* not before: every part of it was refused last time */
    davy_span split_wait;
    unsigned busy; /* answers in a row */
    uint8_t busy_exception;
    davy_mono busy_until;
    unsigned halvings; /* in this turn */
    unsigned retries;  /* of refused parts, in this turn */
};

enum davy_parts_verdict {
    DAVY_PARTS_NOTHING,    /* the turn is over */
    DAVY_PARTS_READ,       /* ask the device for it */
    DAVY_PARTS_REMEMBERED, /* the exception is told from memory */
};

/* What to read or tell. */
struct davy_parts_task {
    uint16_t start;
    uint16_t count;
    uint8_t exception; /* of REMEMBERED */
};

/* What davy_parts_answer() makes of an answer. */
enum davy_parts_event {
    DAVY_PARTS_TOLD,     /* a block goes on, nothing new about the request */
    DAVY_PARTS_HELD,     /* no block: what was asked for is told by parts of it, or asked again */
    DAVY_PARTS_SPLIT,    /* no block: from now on it is read in parts */
    DAVY_PARTS_MERGED,   /* a block; it is read as a whole again */
    DAVY_PARTS_REFUSED,  /* a block; this is refused, from now on told from memory */
    DAVY_PARTS_ACCEPTED, /* a block; it was refused before */
    DAVY_PARTS_BUSY,     /* a block; busy for the third time in a row: failing */
};

/* As a whole. Takes no memory. */
void davy_parts_init(struct davy_parts *parts, const struct davy_config *config, uint32_t request);

/* Take over from the same read of an older configuration what is known, where its values lie at the same places. */
void davy_parts_keep(struct davy_parts *parts, struct davy_parts *old);

/* Repeatable. */
void davy_parts_done(struct davy_parts *parts);

/* A new turn of the request. */
void davy_parts_begin(struct davy_parts *parts);

/* What comes next in this turn. At most four parts are halved and one refused one is asked again in a turn. */
enum davy_parts_verdict davy_parts_next(struct davy_parts *parts, davy_mono now, struct davy_parts_task *ret_task);

/*
 * How the read that davy_parts_next() gave ended. Where there is no memory for parts it stays whole.
 * returns   whether a block goes on, and what changed
 */
enum davy_parts_event davy_parts_answer(struct davy_parts *parts, const struct davy_bus_reply *reply, davy_mono now);

/* Whether all of this turn is read or told. */
bool davy_parts_is_over(const struct davy_parts *parts);

/* Whether a busy device is to be asked again before its next turn, at *ret_at. */
bool davy_parts_wants_again(const struct davy_parts *parts, davy_mono *ret_at);

/* Whether that is a block for the evaluator. */
static inline bool davy_parts_is_told(enum davy_parts_event event)
{
    return event != DAVY_PARTS_HELD && event != DAVY_PARTS_SPLIT;
}
