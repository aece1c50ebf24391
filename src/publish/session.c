/* SPDX-License-Identifier: Apache-2.0 */
#include "publish/session.h"

#include <assert.h>
#include <string.h>

#define END        DAVY_SESSION_DO_END
#define DROP       DAVY_SESSION_DO_DROP
#define DISCONNECT DAVY_SESSION_DO_DISCONNECT
#define BACKOFF    DAVY_SESSION_DO_BACKOFF
#define CONNECT    DAVY_SESSION_DO_CONNECT
#define BEGIN      DAVY_SESSION_DO_BEGIN

#define OFFLINE    DAVY_SESSION_OFFLINE
#define CONNECTING DAVY_SESSION_CONNECTING
#define ONLINE     DAVY_SESSION_ONLINE
#define DRAINING   DAVY_SESSION_DRAINING
#define CLOSED     DAVY_SESSION_CLOSED

/* An answer to a connect that was given up (OFFLINE or CLOSED, CONNECTED) is dropped: never two connections. */
static const struct davy_session_cell table[DAVY_SESSION_STATE_COUNT_][DAVY_SESSION_INPUT_COUNT_] = {
    [OFFLINE] = {[DAVY_SESSION_RETRY] = {CONNECTING, CONNECT},
                 [DAVY_SESSION_CONNECTED] = {OFFLINE, DROP},
                 [DAVY_SESSION_REFUSED] = {OFFLINE, 0},
                 [DAVY_SESSION_LOST] = {OFFLINE, 0},
                 [DAVY_SESSION_STUCK] = {OFFLINE, 0},
                 [DAVY_SESSION_SWITCH] = {OFFLINE, 0},
                 [DAVY_SESSION_RENEW] = {OFFLINE, 0},
                 [DAVY_SESSION_STOP] = {CLOSED, 0},
                 [DAVY_SESSION_DRAINED] = {OFFLINE, 0}},
    [CONNECTING] = {[DAVY_SESSION_RETRY] = {CONNECTING, 0},
                    [DAVY_SESSION_CONNECTED] = {ONLINE, BEGIN},
                    [DAVY_SESSION_REFUSED] = {OFFLINE, BACKOFF},
                    [DAVY_SESSION_LOST] = {OFFLINE, BACKOFF},
                    [DAVY_SESSION_STUCK] = {OFFLINE, DROP | BACKOFF},
                    [DAVY_SESSION_SWITCH] = {OFFLINE, DROP},
                    [DAVY_SESSION_RENEW] = {CONNECTING, 0},
                    [DAVY_SESSION_STOP] = {CLOSED, DROP},
                    [DAVY_SESSION_DRAINED] = {CONNECTING, 0}},
    [ONLINE] = {[DAVY_SESSION_RETRY] = {ONLINE, 0},
                [DAVY_SESSION_CONNECTED] = {ONLINE, 0},
                [DAVY_SESSION_REFUSED] = {ONLINE, 0},
                [DAVY_SESSION_LOST] = {OFFLINE, END | BACKOFF},
                [DAVY_SESSION_STUCK] = {OFFLINE, END | DROP | BACKOFF},
                [DAVY_SESSION_SWITCH] = {OFFLINE, END | DISCONNECT},
                [DAVY_SESSION_RENEW] = {OFFLINE, END | DISCONNECT},
                [DAVY_SESSION_STOP] = {DRAINING, 0},
                [DAVY_SESSION_DRAINED] = {ONLINE, 0}},
    [DRAINING] = {[DAVY_SESSION_RETRY] = {DRAINING, 0},
                  [DAVY_SESSION_CONNECTED] = {DRAINING, 0},
                  [DAVY_SESSION_REFUSED] = {DRAINING, 0},
                  [DAVY_SESSION_LOST] = {CLOSED, END},
                  [DAVY_SESSION_STUCK] = {CLOSED, END | DROP},
                  [DAVY_SESSION_SWITCH] = {DRAINING, 0},
                  [DAVY_SESSION_RENEW] = {DRAINING, 0},
                  [DAVY_SESSION_STOP] = {DRAINING, 0},
                  [DAVY_SESSION_DRAINED] = {CLOSED, END | DISCONNECT}},
    [CLOSED] = {[DAVY_SESSION_RETRY] = {CLOSED, 0},
                [DAVY_SESSION_CONNECTED] = {CLOSED, DROP},
                [DAVY_SESSION_REFUSED] = {CLOSED, 0},
                [DAVY_SESSION_LOST] = {CLOSED, 0},
                [DAVY_SESSION_STUCK] = {CLOSED, 0},
                [DAVY_SESSION_SWITCH] = {CLOSED, 0},
                [DAVY_SESSION_RENEW] = {CLOSED, 0},
                [DAVY_SESSION_STOP] = {CLOSED, 0},
                [DAVY_SESSION_DRAINED] = {CLOSED, 0}},
};

struct davy_session_cell davy_session_next(enum davy_session_state state, enum davy_session_input input)
{
    return table[state][input];
}

davy_span davy_session_backoff(unsigned failures, struct davy_random *random)
{
    unsigned doublings = failures > 1 ? failures - 1 : 0;
    double top = doublings < 5 ? 1000.0 * (double)(1U << doublings) : DAVY_SESSION_BACKOFF_MAX_MS;
    double ms = DAVY_SESSION_BACKOFF_MIN_MS + davy_random_unit(random) * (top - DAVY_SESSION_BACKOFF_MIN_MS);
    return (davy_span){(int64_t)(ms * (double)DAVY_NS_PER_MS)};
}

unsigned davy_session_step(struct davy_session *session, enum davy_session_input input, davy_mono now,
                           struct davy_random *random)
{
    struct davy_session_cell cell = davy_session_next(session->state, input);
    if (cell.actions & END) {
        bool held = davy_mono_sub(now, session->entered).ns >= DAVY_SESSION_STABLE_S * DAVY_NS_PER_S;
        session->failures = held ? 0 : session->failures;
        session->brief = held ? 0 : session->brief + ((cell.actions & BACKOFF) != 0);
    }
    if (cell.actions & BACKOFF) {
        session->failures++;
        session->retry_at = davy_mono_add(now, davy_session_backoff(session->failures, random));
    } else if (input == DAVY_SESSION_SWITCH && cell.next == OFFLINE) {
        session->failures = 0;
        session->brief = 0;
        session->retry_at = now;
    } else if (input == DAVY_SESSION_RENEW && cell.actions & END) {
        session->retry_at = now;
    }
    if (cell.next != session->state)
        session->entered = now;
    session->state = cell.next;
    return cell.actions;
}

bool davy_inflight_open(const struct davy_inflight *window)
{
    return window->sent < window->limit;
}

size_t davy_inflight_bytes(const struct davy_inflight *window)
{
    size_t bytes = 0;
    for (size_t i = 0; i < window->count; i++)
        bytes += window->flights[i].sent ? window->flights[i].message.length : 0;
    return bytes;
}

struct davy_flight *davy_inflight_add(struct davy_inflight *window, const struct davy_message *message, uint64_t token,
                                      davy_mono now)
{
    assert(window->count < DAVY_INFLIGHT_ROOM);
    struct davy_flight *flight = &window->flights[window->count++];
    *flight = (struct davy_flight){.message = *message, .token = token, .sent = true, .sent_at = now};
    window->sent++;
    return flight;
}

struct davy_flight *davy_inflight_find(struct davy_inflight *window, uint64_t token)
{
    for (size_t i = 0; i < window->count; i++)
        if (window->flights[i].sent && window->flights[i].token == token)
            return &window->flights[i];
    return NULL;
}

struct davy_flight *davy_inflight_waiting(struct davy_inflight *window, enum davy_message_class class)
{
    for (size_t i = 0; i < window->count; i++)
        if (!window->flights[i].sent && window->flights[i].message.class == class)
            return &window->flights[i];
    return NULL;
}

void davy_inflight_resend(struct davy_inflight *window, struct davy_flight *flight, uint64_t token, davy_mono now)
{
    assert(!flight->sent);
    flight->sent = true;
    flight->token = token;
    flight->sent_at = now;
    window->sent++;
}

void davy_inflight_hold(struct davy_inflight *window, struct davy_flight *flight)
{
    assert(flight->sent);
    flight->sent = false;
    window->sent--;
}

void davy_inflight_withhold(struct davy_inflight *window, struct davy_flight *flight)
{
    davy_inflight_hold(window, flight);
    flight->token = 0;
}

void davy_inflight_remove(struct davy_inflight *window, struct davy_flight *flight)
{
    size_t after = window->count - (size_t)(flight - window->flights) - 1;
    if (flight->sent)
        window->sent--;
    davy_message_done(&flight->message);
    memmove(flight, flight + 1, after * sizeof *flight);
    window->count--;
}

void davy_inflight_lose(struct davy_inflight *window)
{
    for (size_t i = window->count; i-- > 0;) {
        struct davy_flight *flight = &window->flights[i];
        if (flight->state != 0)
            davy_inflight_remove(window, flight);
        else if (flight->sent)
            davy_inflight_hold(window, flight);
    }
}

davy_mono davy_inflight_oldest(const struct davy_inflight *window)
{
    davy_mono oldest = DAVY_MONO_NEVER;
    for (size_t i = 0; i < window->count; i++)
        if (window->flights[i].sent)
            oldest = davy_mono_min(oldest, window->flights[i].sent_at);
    return oldest;
}

void davy_inflight_done(struct davy_inflight *window)
{
    while (window->count > 0)
        davy_inflight_remove(window, &window->flights[window->count - 1]);
}
