/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network thread: takes messages, keeps a window of them in flight, reports what became of each. It owns the MQTT
 * client and nothing else ever calls it. Reconnects by its own monotonic clock with full jitter, 0.5 to 30 s, urls in
 * turn; an acknowledgement that does not come within 30 s drops the connection. After a reconnect, what was in flight
 * is sent again in its order before anything new of its class.
 */
#pragma once

#include <stdint.h>

#include "base/attr.h"
#include "base/clock.h"
#include "base/queue.h"
#include "base/thread.h"
#include "model/config.h"
#include "model/message.h"
#include "publish/mqtt.h"

struct davy_publisher;

struct davy_publisher_options {
    const struct davy_config *config; /* a reference is taken */
    const struct davy_clock *clock;
    const struct davy_mqtt_client *client; /* NULL: paho; else ownership passes (tests) */
    struct davy_queue *deliveries;         /* of struct davy_delivery; sized for the window and DAVY_PUBLISHER_ROOM */
    /*
     * struct davy_remote *, owned by who takes it out; NULL: no commands are taken. When it is full the answer is
     * `busy`.
     */
    struct davy_queue *commands;
    const char *boot_id;
    uint64_t seed;
};

/* Messages of each class that may wait in the publisher. */
#define DAVY_PUBLISHER_ROOM       256
#define DAVY_PUBLISHER_STATE_ROOM 1024

/* As many as a configuration may name. */
#define DAVY_PUBLISHER_URLS        8
#define DAVY_PUBLISHER_URL_SIZE    256 /* longer ones are cut off in the status */
#define DAVY_PUBLISHER_LIMITS_SIZE 256

struct davy_publisher_status {
    bool connected;
    davy_wall since; /* of `connected`, by the wall clock of now */
    davy_mono since_mono;
    char url[DAVY_PUBLISHER_URL_SIZE]; /* of the connection; else the one that is tried */
    bool unstable;                     /* five connects in a row failed, or held for less than a minute */
    uint64_t connects;
    uint64_t published;
    uint64_t acknowledged;
    uint64_t refused;
    uint64_t unheard;  /* acknowledged with 0x10: nobody subscribed */
    uint64_t commands; /* taken over MQTT, done or refused */
    int64_t sent_row;  /* the highest row of an event that was given to the network; 0: none yet */
    /* The last trouble with a connection; stays when there is one again. */
    char last_error[DAVY_MQTT_TEXT_SIZE + 64];
    char error_url[DAVY_PUBLISHER_URL_SIZE];
    davy_wall error_first; /* of the same text with the same broker, in a row */
    davy_wall error_last;
    uint64_t error_count;
    davy_mono duplicate_at; /* when another client with our id was last seen; ns = 0: never */
    /* The last message that was refused. */
    uint8_t refusal_code; /* 0: none was */
    char refusal_topic[DAVY_PUBLISHER_URL_SIZE];
    davy_wall refusal_at;
    char limits[DAVY_PUBLISHER_LIMITS_SIZE]; /* what the broker's CONNACK restricts; empty: nothing */
    davy_wall server_certificate_end;        /* ns = 0: no TLS, or not known */
};

/* new: starts no thread; 0 or a negative errno. start: its thread; 0 or a negative errno. */
int davy_publisher_new(const struct davy_publisher_options *options, struct davy_publisher **ret) DAVY_MUST_CHECK;
int davy_publisher_start(struct davy_publisher *publisher) DAVY_MUST_CHECK;

/*
 * Hand over one message; ownership passes when the result is 0. Any thread. Never blocks.
 * returns   0, or -EAGAIN when this class has no room (a STATE replaces the one of its topic as soon as the thread
 * wakes; its room of DAVY_PUBLISHER_STATE_ROOM only fills while the client's library blocks)
 */
int davy_publisher_post(struct davy_publisher *publisher, struct davy_message *message) DAVY_MUST_CHECK;

/* Messages of a class that were handed over and not sent yet. Any thread. */
size_t davy_publisher_waiting(struct davy_publisher *publisher, enum davy_message_class class);

/*
 * Other settings of the broker or another set of topics: reconnect, keep what waits. States of topics outside the new
 * prefix are no longer repeated, bar those that clear one. Any thread.
 * returns   0, or -EAGAIN when the thread has not got round to earlier ones
 */
int davy_publisher_switch(struct davy_publisher *publisher, const struct davy_config *config) DAVY_MUST_CHECK;

/*
 * Before this start acks were taken that were issued up to then: by a clock ahead of ours that may lie behind the
 * start, and their nonces are forgotten. Any thread, also before the start.
 */
void davy_publisher_issued_until(struct davy_publisher *publisher, davy_wall until);

/* A copy of its counters; how often its thread has been round, for the watchdog. Any thread. */
void davy_publisher_status(struct davy_publisher *publisher, struct davy_publisher_status *ret_status);
uint64_t davy_publisher_beats(const struct davy_publisher *publisher);

/*
 * Drain for at most `drain` (bounded to 1.5 s), publish `last` (retained; may be NULL; the clean farewell status;
 * ownership passes), disconnect, join, free: 3 s at most whatever the broker does. A thread that hangs in the resolver
 * beyond that is left behind with its memory, for the end of the process. Accepts NULL, returns NULL.
 */
struct davy_publisher *davy_publisher_free(struct davy_publisher *publisher, davy_span drain,
                                           struct davy_message *last);
