/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the publisher needs of an MQTT client; publish/mqtt_paho.c behind it, fakes in tests. The publisher's thread is
 * the only caller. What the client reports comes as items in a queue, so that nothing is called back on a foreign
 * thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/queue.h"
#include "model/config.h"
#include "model/message.h"
#include "publish/command.h"

enum davy_mqtt_notice_kind {
    DAVY_MQTT_CONNECTED, /* terms */
    DAVY_MQTT_REFUSED,   /* the connect failed; text says why, reason_code where the broker gave one, terms.again */
    DAVY_MQTT_LEAVES,    /* the broker says why it will close the connection; text, reason_code */
    DAVY_MQTT_LOST,      /* text */
    DAVY_MQTT_ACKED,     /* token; reason_code */
    DAVY_MQTT_SUBSCRIBED,
    DAVY_MQTT_NOT_SUBSCRIBED, /* the broker refuses the subscription; text */
    DAVY_MQTT_FAILED, /* token: refused with reason_code >= 0x80; below that not acknowledged, to be sent again */
};

/* What the broker's CONNACK allows. */
struct davy_mqtt_terms {
    uint16_t window;           /* how many may be in flight */
    uint32_t max_packet;       /* bytes; 0: no limit named */
    bool no_qos_1;             /* all goes with QoS 0: nothing is ever acknowledged, and fails with reason 0x9B */
    bool no_retain;            /* all goes unretained */
    uint16_t keep_alive_s;     /* of the server, where it is shorter than ours; 0: ours */
    bool again;                /* connect again at once: the next one asks for what this broker takes */
    davy_wall certificate_end; /* of the server's certificate; ns = 0: not known */
};

#define DAVY_MQTT_TEXT_SIZE 256

struct davy_mqtt_notice {
    enum davy_mqtt_notice_kind kind;
    uint64_t token;
    uint8_t reason_code;
    struct davy_mqtt_terms terms;
    char text[DAVY_MQTT_TEXT_SIZE];
};

struct davy_mqtt_will {
    const char *topic;
    const char *payload;
};

struct davy_mqtt_ops {
    /*
     * Begin to connect to one url; the outcome comes as a notice. Never waits for the network. All files are read anew.
     * What an earlier CONNACK of that url demands of a connect (will, keep alive) is heeded. Also what is wrong with a
     * file (missing, readable by others) comes as a notice, for its text.
     * 0 or a negative errno (-EBUSY: a connection that was dropped is not gone yet; -ENOMEM): then no notice follows.
     */
    int (*connect)(void *client, const char *url, const struct davy_mqtt_will *will);
    /*
     * QoS 1; the outcome comes as a notice with `token`. 0, or a negative errno: then no notice follows.
     * -EINVAL: this message can never be sent; any other: none can be sent now
     */
    int (*publish)(void *client, const struct davy_message *message, uint64_t token);
    /*
     * QoS 1; what arrives goes into the queue of incoming messages. 0 or a negative errno; a refusal comes as a notice.
     */
    int (*subscribe)(void *client, const char *filter);
    /* Leave cleanly (the will is not sent); waits at most `timeout`. */
    void (*disconnect)(void *client, davy_span timeout);
    /*
     * Whether the broker keeps to what a client can bear.
     * returns   0, or -EMSGSIZE: it sends a packet that fills memory; then drop(), which gives it back
     */
    int (*check)(void *client);
    /* Drop the connection without ceremony, so that connect may be called again. */
    void (*drop)(void *client);
    void (*free)(void *client);
};

struct davy_mqtt_client {
    const struct davy_mqtt_ops *ops;
    void *client;
};

/*
 * The paho adapter.
 * mqtt      settings; must outlive the client
 * notices   struct davy_mqtt_notice
 * incoming  struct davy_mqtt_command, owned by who takes it out; what finds no room is dropped, and counted by the queue
 */
int davy_mqtt_paho_new(const struct davy_mqtt *mqtt, struct davy_queue *notices, struct davy_queue *incoming,
                       struct davy_mqtt_client *ret_client) DAVY_MUST_CHECK;
