/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands that come over MQTT (davy.command/1) and the answers to them (davy.reply/1). Pure: no client, no clock, no
 * log. Anybody whom the broker lets may write anything here: every size is bounded, and what is refused says why.
 * There are four verbs and there will be no others: nothing remote silences, resets or disables an alarm or changes a
 * limit. Thread: any.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/clock.h"
#include "base/uuid.h"
#include "model/alarm.h"
#include "model/config.h"
#include "model/message.h"

/* Bounds of what comes in, in bytes; of the nonce, in characters. */
#define DAVY_REMOTE_PAYLOAD_MAX     16384
#define DAVY_REMOTE_NONCE_MAX       128
#define DAVY_REMOTE_TOPIC_MAX       512
#define DAVY_REMOTE_CORRELATION_MAX 1024

/* Events that one `resend` may ask for. */
#define DAVY_REMOTE_RESEND_MAX 10000

/* What MQTT brought, as it came. Owned by who holds it. */
struct davy_mqtt_command {
    char *topic;
    char *payload; /* NULL: longer than DAVY_REMOTE_PAYLOAD_MAX */
    size_t length;
    bool retained;
    char *response_topic; /* MQTT 5; NULL: none */
    unsigned char *correlation;
    size_t correlation_length;
};

/* Repeatable. */
void davy_mqtt_command_done(struct davy_mqtt_command *command);

/* In the order of the bits DAVY_MQTT_COMMAND_… */
enum davy_remote_verb {
    DAVY_REMOTE_CONFIRM,
    DAVY_REMOTE_SNAPSHOT,
    DAVY_REMOTE_RESEND,
    DAVY_REMOTE_ACK,
    DAVY_REMOTE_COUNT_ /* not known */
};

/* One command and where its answer goes. Plain values, on the heap: free(3). */
struct davy_remote {
    enum davy_remote_verb verb;
    char name[33]; /* the verb as it came, printable; for an answer also to what is not known */
    char nonce[4 * DAVY_REMOTE_NONCE_MAX + 1]; /* empty: none */
    bool has_issued_at;
    davy_wall issued_at;
    char by[DAVY_BY_SIZE]; /* "mqtt:NAME"; "mqtt:?" where it names nobody */
    int64_t seq;           /* of confirm */
    int64_t from, to;      /* of resend */
    struct davy_uuid id;   /* of ack: the occurrence, */
    enum davy_level level; /* the level that was seen, */
    char note[DAVY_NOTE_SIZE];
    char reply_topic[DAVY_REMOTE_TOPIC_MAX + 1];
    unsigned char correlation[DAVY_REMOTE_CORRELATION_MAX];
    size_t correlation_length;
    char refusal[192]; /* empty: to be done */
    bool audit;        /* a refusal that the ledger is to know of */
};

/*
 * Take the verb from the topic "P/cmd/VERB".
 * returns   false where the topic is not one of a command
 */
bool davy_remote_name(const struct davy_config *config, const char *topic, struct davy_remote *remote);

/*
 * Where the answer goes: the response topic that the command names, else P/reply. A response topic with wildcards, an
 * unprintable one, one of the server ($…), and one where a gateway of this prefix keeps its state or takes commands is
 * not written to: the answer, and the refusal, go to P/reply.
 * returns   0 or -EINVAL with remote->refusal
 */
int davy_remote_address(const struct davy_config *config, const struct davy_mqtt_command *command,
                        struct davy_remote *remote) DAVY_MUST_CHECK;

/*
 * Read the payload of a command whose verb is known (COUNT_: only its nonce and name are of interest). What can be read
 * is filled in also where the rest is wrong.
 * payload   NULL: longer than DAVY_REMOTE_PAYLOAD_MAX
 * returns   0 or -EINVAL with remote->refusal
 */
int davy_remote_parse(const char *payload, size_t length, struct davy_remote *remote) DAVY_MUST_CHECK;

/* "confirm" …; NULL for COUNT_. */
const char *davy_remote_verb_name(enum davy_remote_verb verb);

/*
 * The answer, davy.reply/1.
 * refusal   NULL: done
 * returns   0 or -ENOMEM
 */
int davy_remote_reply(const struct davy_remote *remote, const char *refusal,
                      struct davy_message *ret_message) DAVY_MUST_CHECK;
