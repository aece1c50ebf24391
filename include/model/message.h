/* SPDX-License-Identifier: Apache-2.0 */
/* One outgoing MQTT message and what became of it, as they cross between the record stage and the publisher. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/clock.h"

/* In order of urgency: when the broker is back, a class goes only when those before it have nothing to send. */
enum davy_message_class {
    DAVY_MESSAGE_PREVIEW, /* an event that is announced before it is stored; not in the outbox, not retained */
    DAVY_MESSAGE_EVENT,   /* a row of the ledger's outbox */
    DAVY_MESSAGE_STATE,   /* retained state: the latest of a topic replaces an unsent one; repeated at each connect */
    DAVY_MESSAGE_REPLY, /* answers to commands, the snapshot, events again (with their row: to be told of); in order */
    DAVY_MESSAGE_TELEMETRY, /* a row of the readings' outbox */
    DAVY_MESSAGE_CLASS_COUNT_
};

/* Owns topic, payload and correlation; passed by value, ownership with it. */
struct davy_message {
    enum davy_message_class class;
    int64_t row; /* of the outbox; 0: none */
    char *topic;
    char *payload; /* empty and retained: clears the retained message */
    size_t length;
    bool retain;
    uint32_t expiry_s;          /* MQTT 5 message expiry; 0: none */
    const char *schema;         /* constant text: user property `schema`; NULL: none */
    unsigned char *correlation; /* MQTT 5 correlation data of an answer; NULL: none */
    size_t correlation_length;
};

/*
 * Copies topic and payload.
 * returns   0 or -ENOMEM, with *ret_message untouched
 */
int davy_message_new(enum davy_message_class class, int64_t row, const char *topic, const char *payload,
                     struct davy_message *ret_message) DAVY_MUST_CHECK;

/* Repeatable. */
void davy_message_done(struct davy_message *message);

enum davy_delivery_kind {
    DAVY_DELIVERY_CONNECTED, /* a session began: row is 0 */
    DAVY_DELIVERY_LOST,      /* the connection is gone; what was in flight will be sent again by the publisher */
    DAVY_DELIVERY_DONE,      /* acknowledged with a success reason code */
    DAVY_DELIVERY_REFUSED,   /* the broker answered with a failure reason code: parked, to be handed over again later */
};

struct davy_delivery {
    enum davy_delivery_kind kind;
    enum davy_message_class class;
    int64_t row;
    uint8_t reason_code; /* MQTT 5; 0x10: nobody subscribed */
    davy_wall at;        /* when the publisher learnt of it */
};
