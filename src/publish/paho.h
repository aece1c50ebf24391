/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to the client over paho: what its files share. Each operation stands with the callbacks that end it.
 * Callbacks run on paho's threads, under its mutex: they copy into a queue and return. All else is the publisher's
 * thread.
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
    bool patient;  /* telemetry: that it arrived is no news */
    bool unproven; /* sent with QoS 0: nobody says whether it arrived */
};

/* What a broker demands of a CONNECT, as far as its last answer told. */
struct paho_demands {
    uint16_t keep_alive_s; /* 0: none */
    bool no_qos_1;
    bool no_retain;
};

/* As many as a configuration may name; for more, the last one's is shared. */
#define PAHO_URLS 8

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
    atomic_int window;  /* of this connection: how many may be in flight */
    atomic_int awaited; /* of this connection, about: messages that are sent and not called back */
    size_t large;       /* bytes in large blocks of memory when the connect began */
    bool swollen;       /* the library holds a packet that nobody wanted */
    struct paho_demands demands[PAHO_URLS];
    struct paho_demands *of_url; /* of this attempt or connection; never NULL */
    int witness;                 /* OpenSSL's index of our place in a TLS connection; 0: none */
    uint64_t files;              /* fingerprint of the files that the handle's TLS session was made with */
    /* Written by the publisher before a connect, else by paho's threads between it and its answer. */
    char host[DAVY_ENDPOINT_URL_SIZE]; /* without brackets and port; empty: not TLS */
    char tls_error[128];               /* as OpenSSL says it */
    char certificate_error[160];       /* what is wrong with the server's certificate */
    davy_wall certificate_end;         /* of the server's; ns = 0: not seen */
};

/* mqtt_paho.c: a notice for the publisher; quietly: the queue itself rings only when it fills up. */
void davy_paho_push(struct paho *paho, const struct davy_mqtt_notice *notice);
void davy_paho_push_quietly(struct paho *paho, const struct davy_mqtt_notice *notice);
void davy_paho_push_text(struct paho *paho, enum davy_mqtt_notice_kind kind, const char *text, const char *detail);

/* mqtt_paho.c: what a return code of paho is as a negative errno. */
int davy_paho_errno(int rc);

/* mqtt_paho.c: the library is put away and taken out again, with all that it holds. */
void davy_paho_shed(struct paho *paho);

/* mqtt_paho.c: bytes in blocks of memory that stand alone, for they are large. */
size_t davy_paho_large(void);

/* paho_session.c: the operations of struct davy_mqtt_ops. */
int davy_paho_connect(void *client, const char *url, const struct davy_mqtt_will *will);
void davy_paho_disconnect(void *client, davy_span timeout);
void davy_paho_drop(void *client);

/* paho_session.c: the end of the handle; repeatable. */
void davy_paho_destroy(struct paho *paho);

/* paho_tls.c: options that verify chain and host name, and put the reason of a failure into tls_error. */
void davy_paho_set_tls(struct paho *paho, MQTTAsync_SSLOptions *ret_options);

/*
 * paho_tls.c: watch how OpenSSL judges the certificates of servers: certificate_error and certificate_end. The
 * judgement itself is OpenSSL's. Before the first TLS connection, since it makes OpenSSL come into being; without
 * memory the causes have poorer names. Both are repeatable.
 */
void davy_paho_watch_tls(struct paho *paho);
void davy_paho_unwatch_tls(struct paho *paho);

/* paho_message.c: likewise. */
int davy_paho_publish(void *client, const struct davy_message *message, uint64_t token);

/* paho_message.c: what a message of MQTT 5 says about itself. Free with MQTTProperties_free(). */
MQTTProperties davy_paho_describe(const char *schema, uint32_t expiry_s, bool empty);

/* paho_command.c: likewise. */
int davy_paho_subscribe(void *client, const char *filter);

/* paho_command.c: MQTTAsync_messageArrived. */
int davy_paho_arrived(void *context, char *topic, int topic_length, MQTTAsync_message *message);
