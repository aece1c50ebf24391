/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to the floor `publish`: the latest retained message of each topic, to be sent when it changes and again at
 * each connect. Pure but for memory. Thread: the publisher's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/clock.h"
#include "model/message.h"

/* Topics at most. */
#define DAVY_RETAINED_MAX 4096

/* The latest message of one topic. */
struct davy_retained {
    uint64_t id;
    struct davy_message message;
    uint64_t due; /* order of sending; 0: sent */
    bool refused; /* and to be sent again */
};

struct davy_retained_set {
    struct davy_retained *items;
    size_t count;
    size_t room;
    uint64_t last_id;   /* of states, and of their order */
    davy_mono again_at; /* when those that were refused are due again; ns = 0: none was */
};

/*
 * The message replaces the one of its topic, in its place of the order where that waits.
 * returns   0 and the message is taken; -ENOBUFS (too many topics) or -ENOMEM: it stays the caller's
 */
int davy_retained_put(struct davy_retained_set *states, const struct davy_message *message) DAVY_MUST_CHECK;

/* The state with this id; NULL: gone. */
struct davy_retained *davy_retained_find(const struct davy_retained_set *states, uint64_t id);

/* The one that has waited longest; NULL: none waits. */
struct davy_retained *davy_retained_due(const struct davy_retained_set *states);

/* The broker did not take it: it is due again after a minute. */
void davy_retained_refuse(struct davy_retained_set *states, struct davy_retained *state, davy_mono now);

/* Those whose minute is over are to be sent. */
void davy_retained_wake(struct davy_retained_set *states, davy_mono now);

/* All are to be sent, in the order that they have. */
void davy_retained_repeat(struct davy_retained_set *states);

/* Take one out; pointers to others are void. */
void davy_retained_remove(struct davy_retained_set *states, struct davy_retained *state);

/* Forget those whose topic does not begin with `base`, bar those that clear one. */
void davy_retained_keep(struct davy_retained_set *states, const char *base);

/* Free all. Repeatable. */
void davy_retained_done(struct davy_retained_set *states);
