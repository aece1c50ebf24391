/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to the floor `publish`: what becomes of a command that MQTT brought, before anybody does it. Judges retained
 * ones, sizes, verbs that are not allowed, stale and repeated acknowledgements, and how many there are. Time comes as a
 * parameter. Thread: the publisher's.
 */
#pragma once

#include "publish/command.h"

/* How far `issued_at` of an ack may be off. */
#define DAVY_INCOMING_WINDOW_S 60

/* Nonces of acks that are remembered; more within the window are refused. */
#define DAVY_INCOMING_NONCES 8192

/* Commands in a row, and how many are given back each second; refusals that are audited likewise. */
#define DAVY_INCOMING_BURST         1000
#define DAVY_INCOMING_PER_S         50
#define DAVY_INCOMING_REFUSED_BURST 30
#define DAVY_INCOMING_REFUSED_PER_S 1

/* So many at once, refilled by time. */
struct davy_allowance {
    double left;
    davy_mono at;
};

struct davy_nonce {
    char *text;
    uint64_t hash;
    davy_wall issued_at;
};

struct davy_incoming {
    davy_mono started;
    davy_wall issued_until;    /* of acks that were taken before the start; ns = 0: none */
    struct davy_nonce *nonces; /* a ring of DAVY_INCOMING_NONCES */
    size_t nonce_count;
    size_t nonce_next;
    struct davy_allowance commands;
    struct davy_allowance refusals;
    davy_mono logged_at;
    uint64_t unlogged; /* ignored since then */
};

/* started: an ack that was issued before is refused, since its nonce may have been used before a restart. */
int davy_incoming_init(struct davy_incoming *in, davy_mono started) DAVY_MUST_CHECK;
void davy_incoming_done(struct davy_incoming *in);

/*
 * Judge one message. It stays the caller's.
 * returns   a command on the heap, with `refusal` where it is only to be answered, also of one that cannot be read; NULL:
 *           ignored (retained, or not a command), and logged within bounds
 */
struct davy_remote *davy_incoming_judge(struct davy_incoming *in, const struct davy_config *config,
                                        const struct davy_mqtt_command *command, struct davy_stamp now);

/* It is on its way: its nonce is used. One that could not be handed on may come again with the same nonce. */
void davy_incoming_accepted(struct davy_incoming *in, const struct davy_remote *remote);
