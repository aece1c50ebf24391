/* SPDX-License-Identifier: Apache-2.0 */
#include "publish/incoming.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

/* What is ignored is logged at most this often. */
#define LOG_EVERY (60 * DAVY_NS_PER_S)

#define WINDOW_NS (DAVY_INCOMING_WINDOW_S * DAVY_NS_PER_S)

int davy_incoming_init(struct davy_incoming *in, davy_mono started)
{
    *in = (struct davy_incoming){
        .started = started,
        .commands = {DAVY_INCOMING_BURST, started},
        .refusals = {DAVY_INCOMING_REFUSED_BURST, started},
    };
    in->nonces = calloc(DAVY_INCOMING_NONCES, sizeof *in->nonces);
    return in->nonces ? 0 : -ENOMEM;
}

void davy_incoming_done(struct davy_incoming *in)
{
    for (size_t i = 0; in->nonces && i < DAVY_INCOMING_NONCES; i++)
        free(in->nonces[i].text);
    free(in->nonces);
    in->nonces = NULL;
}

/* ---- bounds ---------------------------------------------------------------------------------------------------- */

static bool allow(struct davy_allowance *allowance, double burst, double per_s, davy_mono now)
{
    double passed_s = (double)davy_mono_sub(now, allowance->at).ns / 1e9;
    allowance->left = fmin(burst, allowance->left + passed_s * per_s);
    allowance->at = now;
    if (allowance->left < 1)
        return false;
    allowance->left -= 1;
    return true;
}

static void ignore(struct davy_incoming *in, const struct davy_remote *remote, const char *why, davy_mono now)
{
    in->unlogged++;
    if (in->logged_at.ns != 0 && davy_mono_sub(now, in->logged_at).ns < LOG_EVERY)
        return;
    davy_warning("mqtt", "command %s is ignored: %s (%llu since the last of these lines)", remote->name, why,
                 (unsigned long long)in->unlogged);
    in->logged_at = now;
    in->unlogged = 0;
}

/* ---- nonces ---------------------------------------------------------------------------------------------------- */

/* FNV-1a, only to compare faster. */
static uint64_t hash_of(const char *text)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    return hash;
}

static bool is_used(const struct davy_incoming *in, const char *nonce)
{
    uint64_t hash = hash_of(nonce);
    for (size_t i = 0; i < in->nonce_count; i++)
        if (in->nonces[i].hash == hash && strcmp(in->nonces[i].text, nonce) == 0)
            return true;
    return false;
}

/* Whether the next place of the ring is free, or its nonce could not be used again anyway. */
static bool has_room(const struct davy_incoming *in, davy_wall now)
{
    const struct davy_nonce *oldest = &in->nonces[in->nonce_next];
    return !oldest->text || oldest->issued_at.ns < now.ns - WINDOW_NS;
}

void davy_incoming_accepted(struct davy_incoming *in, const struct davy_remote *remote)
{
    if (remote->verb != DAVY_REMOTE_ACK || remote->refusal[0])
        return;
    struct davy_nonce *place = &in->nonces[in->nonce_next];
    char *text = strdup(remote->nonce);
    if (!text)
        return;
    free(place->text);
    *place = (struct davy_nonce){text, hash_of(text), remote->issued_at};
    in->nonce_next = (in->nonce_next + 1) % DAVY_INCOMING_NONCES;
    if (in->nonce_count < DAVY_INCOMING_NONCES)
        in->nonce_count++;
}

/* ---- the judgement --------------------------------------------------------------------------------------------- */

static void refuse(struct davy_remote *remote, const char *why)
{
    snprintf(remote->refusal, sizeof remote->refusal, "%s", why);
}

/*
 * One that was taken before the start, by a sender whose clock is ahead, may come again with a time behind the start.
 * To the millisecond; what is beyond the window was issued by a clock that has been set since.
 */
static bool may_be_known(const struct davy_incoming *in, const struct davy_remote *remote, davy_wall now)
{
    return in->issued_until.ns <= now.ns + WINDOW_NS && remote->issued_at.ns <= in->issued_until.ns + DAVY_NS_PER_MS;
}

/* An ack must be fresh and never have been seen. */
static void judge_ack(struct davy_incoming *in, struct davy_remote *remote, struct davy_stamp now)
{
    double late_s = ((double)now.wall.ns - (double)remote->issued_at.ns) / 1e9;
    double age_s = (double)davy_mono_sub(now.mono, in->started).ns / 1e9;
    if (fabs(late_s) > DAVY_INCOMING_WINDOW_S)
        snprintf(remote->refusal, sizeof remote->refusal, "issued_at is %.0f s %s the gateway's clock, more than %d s",
                 fabs(late_s), late_s > 0 ? "behind" : "ahead of", DAVY_INCOMING_WINDOW_S);
    else if (late_s > age_s)
        refuse(remote, "issued before the gateway started: send a new one");
    else if (may_be_known(in, remote, now.wall))
        refuse(remote, "issued before one that was taken before the gateway started: send a new one");
    else if (is_used(in, remote->nonce))
        refuse(remote, "the nonce has been used before");
    else if (!has_room(in, now.wall))
        refuse(remote, "busy: too many acknowledgements, try again");
}

static void judge_content(struct davy_incoming *in, const struct davy_config *config,
                          const struct davy_mqtt_command *command, struct davy_remote *remote, struct davy_stamp now)
{
    if (davy_remote_parse(command->payload, command->length, remote) < 0)
        return;
    if (remote->verb == DAVY_REMOTE_COUNT_)
        refuse(remote, "not a verb that is taken over MQTT");
    else if (!(config->mqtt.commands & 1U << remote->verb))
        refuse(remote, "not allowed by `commands` of the configuration");
    else if (remote->verb == DAVY_REMOTE_ACK)
        judge_ack(in, remote, now);
}

/* Everything but the topic. What cannot be read is answered too, without its nonce: nobody is to wait in vain. */
static void judge(struct davy_incoming *in, const struct davy_config *config, const struct davy_mqtt_command *command,
                  struct davy_remote *remote, struct davy_stamp now)
{
    char unwritable[sizeof remote->refusal];
    bool few = allow(&in->commands, DAVY_INCOMING_BURST, DAVY_INCOMING_PER_S, now.mono);
    bool writable = davy_remote_address(config, command, remote) == 0;
    memcpy(unwritable, remote->refusal, sizeof unwritable);
    judge_content(in, config, command, remote, now);
    if (!writable) /* whatever the content is: the answer goes elsewhere than the sender wanted */
        memcpy(remote->refusal, unwritable, sizeof unwritable);
    if (!few)
        refuse(remote, "busy: too many commands, try again");
    else if (remote->refusal[0])
        remote->audit = allow(&in->refusals, DAVY_INCOMING_REFUSED_BURST, DAVY_INCOMING_REFUSED_PER_S, now.mono);
}

struct davy_remote *davy_incoming_judge(struct davy_incoming *in, const struct davy_config *config,
                                        const struct davy_mqtt_command *command, struct davy_stamp now)
{
    struct davy_remote *remote = calloc(1, sizeof *remote);
    if (!remote)
        return NULL;
    const char *ignored = NULL;
    if (!davy_remote_name(config, command->topic, remote))
        ignored = "not one of our topics";
    else if (command->retained)
        ignored = "it is a retained message, and would be done again at each connect";
    else
        judge(in, config, command, remote, now);
    if (!ignored)
        return remote;
    ignore(in, remote, ignored, now.mono);
    free(remote);
    return NULL;
}
