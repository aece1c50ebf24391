/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to the floor `publish`: the connection to the broker as a table of states, its back-off, and the window of
 * messages in flight. Pure: no client, no clock, no queue. Thread: the publisher's.
 */
#pragma once

#include "base/clock.h"
#include "base/num.h"
#include "model/message.h"

enum davy_session_state {
    DAVY_SESSION_OFFLINE, /* waiting for retry_at */
    DAVY_SESSION_CONNECTING,
    DAVY_SESSION_ONLINE,
    DAVY_SESSION_DRAINING, /* online, asked to stop */
    DAVY_SESSION_CLOSED,
    DAVY_SESSION_STATE_COUNT_
};

enum davy_session_input {
    DAVY_SESSION_RETRY,     /* the back-off is over */
    DAVY_SESSION_CONNECTED, /* the broker accepted */
    DAVY_SESSION_REFUSED,   /* the connect failed */
    DAVY_SESSION_LOST,      /* the connection is gone */
    DAVY_SESSION_STUCK,     /* a deadline of ours passed, or the client does not take messages */
    DAVY_SESSION_SWITCH,    /* other settings */
    DAVY_SESSION_RENEW,     /* other files, or other terms of the broker: the same connection anew */
    DAVY_SESSION_STOP,      /* leave when all is sent */
    DAVY_SESSION_DRAINED,   /* all is sent, or the time for it is over */
    DAVY_SESSION_INPUT_COUNT_
};

/* What the caller is to do after a step, in this order. */
#define DAVY_SESSION_DO_END        1U  /* the connection was up and is over: what was in flight waits again */
#define DAVY_SESSION_DO_DROP       2U  /* drop the client's connection */
#define DAVY_SESSION_DO_DISCONNECT 4U  /* leave cleanly */
#define DAVY_SESSION_DO_BACKOFF    8U  /* retry_at was set with a longer delay; take the next url */
#define DAVY_SESSION_DO_CONNECT    16U /* begin to connect */
#define DAVY_SESSION_DO_BEGIN      32U /* a session began */

struct davy_session_cell {
    enum davy_session_state next;
    unsigned actions;
};

/* The cell of the table. */
struct davy_session_cell davy_session_next(enum davy_session_state state, enum davy_session_input input);

/* Bounds of the delay before another connect, and how long a connection must hold to start again from the lower one. */
#define DAVY_SESSION_BACKOFF_MIN_MS 500
#define DAVY_SESSION_BACKOFF_MAX_MS 30000
#define DAVY_SESSION_STABLE_S       60

struct davy_session {
    enum davy_session_state state;
    unsigned failures; /* connects that failed, or held only briefly, in a row */
    unsigned brief;    /* connections that held only briefly, in a row */
    davy_mono retry_at;
    davy_mono entered; /* when `state` was entered */
};

/* Offline, first connect at once. */
#define DAVY_SESSION_INIT ((struct davy_session){.state = DAVY_SESSION_OFFLINE, .retry_at = {INT64_MIN}})

/* Apply one input; returns the actions. */
unsigned davy_session_step(struct davy_session *session, enum davy_session_input input, davy_mono now,
                           struct davy_random *random);

/*
 * Full jitter: uniform between DAVY_SESSION_BACKOFF_MIN_MS and 1 s doubled with each failure after the first, at most
 * DAVY_SESSION_BACKOFF_MAX_MS.
 */
davy_span davy_session_backoff(unsigned failures, struct davy_random *random);

/* In flight at most, whatever the broker allows (beyond its Receive Maximum paho 1.3.12 stalls). */
#define DAVY_INFLIGHT_MAX 20

/* Those of each class that were in flight when a connection ended may wait beside those of another class in flight. */
#define DAVY_INFLIGHT_ROOM (DAVY_INFLIGHT_MAX * DAVY_MESSAGE_CLASS_COUNT_)

struct davy_flight {
    struct davy_message message; /* owned; a state: only class and topic are used, empty otherwise */
    uint64_t state;              /* id in the cache of states; 0: none */
    uint64_t token;              /* of the last sending; 0: never sent */
    bool sent;                   /* in flight; else it waits to be sent again */
    davy_mono sent_at;
};

/* In the order of first sending. */
struct davy_inflight {
    struct davy_flight flights[DAVY_INFLIGHT_ROOM];
    size_t count;
    size_t sent;
    size_t limit; /* at most DAVY_INFLIGHT_MAX */
};

/* May another one be sent? */
bool davy_inflight_open(const struct davy_inflight *window);

/* Bytes of payload in flight. */
size_t davy_inflight_bytes(const struct davy_inflight *window);

/*
 * A new entry that is in flight from now on. The message is taken over. There is always room while the caller adds one
 * of a class only when none of that class waits, and only while the window is open.
 */
struct davy_flight *davy_inflight_add(struct davy_inflight *window, const struct davy_message *message, uint64_t token,
                                      davy_mono now);

/* The entry in flight with this token, or NULL. */
struct davy_flight *davy_inflight_find(struct davy_inflight *window, uint64_t token);

/* The oldest one of a class that waits to be sent again, or NULL. */
struct davy_flight *davy_inflight_waiting(struct davy_inflight *window, enum davy_message_class class);

/* It is in flight again. */
void davy_inflight_resend(struct davy_inflight *window, struct davy_flight *flight, uint64_t token, davy_mono now);

/* It was in flight and waits now. */
void davy_inflight_hold(struct davy_inflight *window, struct davy_flight *flight);

/* The client did not take it: it waits, and was never sent. */
void davy_inflight_withhold(struct davy_inflight *window, struct davy_flight *flight);

/* Take one out and free its message. */
void davy_inflight_remove(struct davy_inflight *window, struct davy_flight *flight);

/* The connection ended: all wait, in their order; states leave (the cache sends the newest of each anew). */
void davy_inflight_lose(struct davy_inflight *window);

/* When the oldest in flight was sent; DAVY_MONO_NEVER when none is. */
davy_mono davy_inflight_oldest(const struct davy_inflight *window);

/* Free all. */
void davy_inflight_done(struct davy_inflight *window);
