/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to the client over paho: what its files share. Each operation stands with the callbacks that end it. Callbacks
 * run on paho's threads, under its mutex: they copy into a queue and return. All else is the publisher's thread.
 */
#pragma once

#include <MQTTAsync.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/queue.h"
#include "base/thread.h"
#include "publish/endpoint.h"
#include "publish/mqtt.h"

/* Sent and not yet called back: two windows of sessions that ended, at most. */
#define PAHO_SLOTS 1024

/* What a handle is doing; written by both sides. */
enum paho_phase { PAHO_IDLE, PAHO_CONNECTING, PAHO_UP, PAHO_LEAVING };

struct paho_slot {
    struct paho *paho;
    uint64_t token;
    bool patient; /* telemetry: that it arrived is no news */
};

struct paho {
    const struct davy_mqtt *mqtt;
    struct davy_queue *notices;
    struct davy_queue *incoming;
    struct davy_waker left; /* rung when a disconnect is done */
    MQTTAsync handle;
    MQTTAsync anchor; /* never connects: while one client follows another, the library is never torn down between */
    atomic_int phase;
    unsigned busy; /* connects that were refused for business in a row */
    bool tls;      /* of the handle */
    struct paho_slot slots[PAHO_SLOTS];
    size_t next_slot;
    atomic_int awaited; /* of this connection, about: messages that are sent and not called back */
    /* Written by paho's threads between a connect and its answer. */
    char tls_error[128];
    char server_reason[64];
};

/* mqtt_paho.c: a notice for the publisher; quietly: the queue itself rings only when it fills up. */
void davy_paho_push(struct paho *paho, const struct davy_mqtt_notice *notice);
void davy_paho_push_quietly(struct paho *paho, const struct davy_mqtt_notice *notice);
void davy_paho_push_text(struct paho *paho, enum davy_mqtt_notice_kind kind, const char *text, const char *detail);

/* mqtt_paho.c: what a return code of paho is as a negative errno. */
int davy_paho_errno(int rc);

/* paho_session.c: the operations of struct davy_mqtt_ops. */
int davy_paho_connect(void *client, const char *url, const struct davy_mqtt_will *will);
void davy_paho_disconnect(void *client, davy_span timeout);
void davy_paho_drop(void *client);

/* paho_session.c: the end of the handle; repeatable. */
void davy_paho_destroy(struct paho *paho);

/* paho_tls.c: options that verify chain and host name, and put the reason of a failure into tls_error. */
void davy_paho_set_tls(struct paho *paho, MQTTAsync_SSLOptions *ret_options);

/* paho_message.c: likewise. */
int davy_paho_publish(void *client, const struct davy_message *message, uint64_t token);

/* paho_message.c: what a message of MQTT 5 says about itself. Free with MQTTProperties_free(). */
MQTTProperties davy_paho_describe(const char *schema, uint32_t expiry_s, bool empty);

/* paho_command.c: likewise. */
int davy_paho_subscribe(void *client, const char *filter);

/* paho_command.c: MQTTAsync_messageArrived. */
int davy_paho_arrived(void *context, char *topic, int topic_length, MQTTAsync_message *message);
