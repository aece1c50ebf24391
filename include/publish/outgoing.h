/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to the floor `publish`: what the publisher's thread does, without the thread. Decides when to connect, what
 * to send next, what to send again, and reports what became of each message. Time comes as a parameter, the network is
 * a davy_mqtt_client. Thread: one caller.
 */
#pragma once

#include "base/queue.h"
#include "model/config.h"
#include "publish/account.h"
#include "publish/incoming.h"
#include "publish/mqtt.h"
#include "publish/publisher.h"
#include "publish/session.h"
#include "publish/retained.h"
#include "publish/rotation.h"

/* How long an acknowledgement or the answer to a connect may take before the connection is dropped. */
#define DAVY_OUTGOING_ACK_DEADLINE_S     30
#define DAVY_OUTGOING_CONNECT_DEADLINE_S 45

struct davy_outgoing {
    const struct davy_config *config; /* held by the publisher */
    const char *boot_id;
    struct davy_mqtt_client client;
    struct davy_queue *posted; /* DAVY_MESSAGE_CLASS_COUNT_ of struct davy_message */
    struct davy_queue *deliveries;
    struct davy_queue *commands; /* of struct davy_remote *; NULL: none are taken */
    struct davy_incoming incoming;
    struct davy_session session;
    struct davy_inflight window;
    struct davy_retained_set states;
    uint64_t last_id; /* of tokens */
    uint32_t max_packet;
    size_t url;   /* to connect to next, or that is */
    size_t tried; /* connected to last */
    bool told;    /* why this connection ends */
    davy_mono check_at;
    davy_mono subscribe_by; /* when the answer to a subscription is overdue; ns = 0: none is awaited */
    struct davy_random random;
    davy_wall now; /* of the notice, or the turn, that is at work */
    struct davy_rotation rotation;
    struct davy_account account;
    struct davy_publisher_status status;
};

/* Handle one notice of the client. Reports at most DAVY_OUTGOING_REPORTS deliveries. */
void davy_outgoing_notice(struct davy_outgoing *out, const struct davy_mqtt_notice *notice, struct davy_stamp now);
#define DAVY_OUTGOING_REPORTS 2

/* Judge a command, hand it on or answer it. The message stays the caller's. */
void davy_outgoing_command(struct davy_outgoing *out, const struct davy_mqtt_command *command, struct davy_stamp now);

/* Connect when it is time, watch the deadlines, send what the window allows. */
void davy_outgoing_pump(struct davy_outgoing *out, struct davy_stamp now);

/* When davy_outgoing_pump() is needed next though nothing arrives. */
davy_mono davy_outgoing_due(const struct davy_outgoing *out);

/* Nothing waits and nothing is in flight. */
bool davy_outgoing_idle(const struct davy_outgoing *out);

/*
 * Other settings: leave, and connect with them. Cached states of other topics are forgotten, bar those that clear one.
 * client    what to use from now on; the one before is the caller's again
 */
void davy_outgoing_switch(struct davy_outgoing *out, const struct davy_config *config,
                          const struct davy_mqtt_client *client, struct davy_stamp now);

/* One input of the session by the caller: STOP or DRAINED. */
void davy_outgoing_input(struct davy_outgoing *out, enum davy_session_input input, struct davy_stamp now);

/* Free what waits; not the client. */
void davy_outgoing_done(struct davy_outgoing *out);
