/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The MQTT client over paho-mqtt-c 1.3.12 (MQTTAsync). What shaped it:
 *   - callbacks run under paho's global mutex: they copy a notice into a queue and return
 *   - automaticReconnect waits on the wall clock and dies with a step of it: off; the publisher connects
 *   - paho has no deadline for acknowledgements and its own window stalls: both are the publisher's
 *   - MQTTAsync_destroy races with paho's threads: a handle is replaced between two connections only (paho_session.c), or
 *     where eight connects in a row found it busy; a drop is a disconnect that ends by callback
 *   - what was in flight comes back as a failure without a reason code when the next session begins: by then the
 *     publisher has other tokens
 * Not reachable through paho 1.3.12: the socket (TCP_USER_TIMEOUT), the second address of a host name, lists of revoked
 * certificates, a bound of what is received.
 */
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <threads.h>

#include "base/log.h"
#include "publish/paho.h"

/* What a broker may make the library take at once; our own limit for packets is far below. */
#define SWELL_MAX ((size_t)32 * 1024 * 1024)

/* Notices that wait at most unread. */
#define NOTICES_RING 64

void davy_paho_push_quietly(struct paho *paho, const struct davy_mqtt_notice *notice)
{
    (void)davy_queue_push(paho->notices, notice); /* sized for more than can be in flight */
}

void davy_paho_push(struct paho *paho, const struct davy_mqtt_notice *notice)
{
    davy_paho_push_quietly(paho, notice);
    davy_queue_ring(paho->notices);
}

void davy_paho_push_text(struct paho *paho, enum davy_mqtt_notice_kind kind, const char *text, const char *detail)
{
    struct davy_mqtt_notice notice = {.kind = kind};
    snprintf(notice.text, sizeof notice.text, "%s%s%s", text, detail[0] ? ": " : "", detail);
    davy_paho_push(paho, &notice);
}

int davy_paho_errno(int rc)
{
    switch (rc) {
    case MQTTASYNC_SUCCESS:
        return 0;
    case MQTTASYNC_BAD_UTF8_STRING:
    case MQTTASYNC_NULL_PARAMETER:
    case MQTTASYNC_BAD_STRUCTURE:
    case MQTTASYNC_BAD_QOS:
        return -EINVAL;
    case MQTTASYNC_DISCONNECTED:
        return -ENOTCONN;
    default:
        return -EAGAIN;
    }
}

size_t davy_paho_large(void)
{
    return mallinfo2().hblkhd;
}

/*
 * paho makes room for a packet as soon as its length is announced, up to 256 MB, and never gives the room back. What it
 * takes shows among the large blocks, where nothing of ours grows by so much while a connection lasts.
 */
static int paho_check(void *client)
{
    struct paho *paho = client;
    if (atomic_load(&paho->phase) == PAHO_IDLE || davy_paho_large() <= paho->large + SWELL_MAX)
        return 0;
    paho->swollen = true;
    return -EMSGSIZE;
}

static int create_anchor(struct paho *paho)
{
    int rc = MQTTAsync_create(&paho->anchor, "tcp://127.0.0.1:1", "davy-anchor", MQTTCLIENT_PERSISTENCE_NONE, NULL);
    return rc == MQTTASYNC_SUCCESS ? 0 : -ENOMEM;
}

void davy_paho_shed(struct paho *paho)
{
    davy_paho_destroy(paho);
    if (paho->anchor)
        MQTTAsync_destroy(&paho->anchor); /* the last one ends the library, and with it its buffers */
    paho->anchor = NULL;
    if (create_anchor(paho) < 0)
        davy_warning("mqtt", "no memory for the client library's anchor");
    paho->swollen = false;
}

static void paho_free(void *client)
{
    struct paho *paho = client;
    davy_paho_destroy(paho);
    davy_paho_unwatch_tls(paho);
    if (paho->anchor)
        MQTTAsync_destroy(&paho->anchor);
    davy_waker_done(&paho->left);
    free(paho);
}

static const struct davy_mqtt_ops paho_ops = {.connect = davy_paho_connect,
                                              .publish = davy_paho_publish,
                                              .subscribe = davy_paho_subscribe,
                                              .disconnect = davy_paho_disconnect,
                                              .check = paho_check,
                                              .drop = davy_paho_drop,
                                              .free = paho_free};

static void prepare(void)
{
    MQTTAsync_init_options init = MQTTAsync_init_options_initializer;
    MQTTAsync_global_init(&init);
}

/* paho makes its locks anew each time that it is asked, also those that threads of another client are holding. */
static void prepare_once(void)
{
    static once_flag prepared = ONCE_FLAG_INIT;
    call_once(&prepared, prepare);
}

int davy_mqtt_paho_new(const struct davy_mqtt *mqtt, struct davy_queue *notices, struct davy_queue *incoming,
                       struct davy_mqtt_client *ret_client)
{
    struct paho *paho = calloc(1, sizeof *paho);
    if (!paho)
        return -ENOMEM;
    paho->left = (struct davy_waker)DAVY_WAKER_INIT;
    paho->mqtt = mqtt;
    paho->notices = notices;
    paho->incoming = incoming;
    davy_queue_ring_each(notices, NOTICES_RING);
    paho->of_url = &paho->demands[0];
    int rc = davy_waker_init(&paho->left);
    prepare_once();
    if (rc == 0)
        rc = create_anchor(paho);
    if (rc < 0) {
        paho_free(paho);
        return rc;
    }
    *ret_client = (struct davy_mqtt_client){.ops = &paho_ops, .client = paho};
    return 0;
}
