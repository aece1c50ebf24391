/* SPDX-License-Identifier: Apache-2.0 */
#include "publish/outgoing.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "publish/payload.h"
#include "publish/reason.h"
#include "publish/topic.h"

#define STATUS_SIZE 2048

/* How often it is looked whether a broker fills memory. */
#define CHECK_MS 500

/* Connects that failed or held only briefly, in a row, from which on the broker counts as away. */
#define UNSTABLE_FROM 5

/* Fixed header, topic length, packet id, properties with expiry, content type, format and schema: at most this. */
#define PACKET_OVERHEAD 96

/* Of payloads in flight, beyond which no more telemetry is sent: four of the largest messages. */
#define TELEMETRY_BYTES (256 * 1024)

static void apply(struct davy_outgoing *out, enum davy_session_input input, struct davy_stamp now);

static void report(struct davy_outgoing *out, enum davy_delivery_kind kind, const struct davy_message *message,
                   uint8_t reason_code)
{
    struct davy_delivery delivery = {.kind = kind, .reason_code = reason_code, .at = out->now};
    if (message) {
        if (message->row == 0)
            return;
        delivery.class = message->class;
        delivery.row = message->row;
    }
    (void)davy_queue_push(out->deliveries, &delivery); /* the caller made sure of the space */
    if (kind != DAVY_DELIVERY_DONE || delivery.class != DAVY_MESSAGE_TELEMETRY)
        davy_queue_ring(out->deliveries); /* telemetry that was sent is no news: the queue says when it is too much */
}

/* Of the broker that is, or was last, connected or connected to. */
static void note_error(struct davy_outgoing *out, const char *what, const char *text, struct davy_stamp now)
{
    davy_account_error(&out->account, &out->status, out->tried, out->config->mqtt.urls[out->tried], what, text,
                       now.wall);
}

/* Take the posted states into the cache, the latest of each topic. */
static void take_states(struct davy_outgoing *out)
{
    struct davy_message message;
    while (davy_queue_pop(&out->posted[DAVY_MESSAGE_STATE], &message)) {
        if (davy_retained_put(&out->states, &message) == 0)
            continue;
        davy_warning("mqtt", "%s: too many retained topics, state is not published", message.topic);
        davy_message_done(&message);
    }
}

/* ---- sending ---- */

static bool fits(const struct davy_outgoing *out, const struct davy_message *message)
{
    return out->max_packet == 0 ||
           message->length + strlen(message->topic) + message->correlation_length + PACKET_OVERHEAD <=
               (size_t)out->max_packet;
}

static void refused(struct davy_outgoing *out, const struct davy_message *message, uint8_t reason_code,
                    struct davy_stamp now)
{
    davy_account_refusal(&out->account, &out->status, message->topic, reason_code, now.wall);
    report(out, DAVY_DELIVERY_REFUSED, message, reason_code);
}

/*
 * Give one message to the client.
 * returns   0; -EMSGSIZE when it can never be sent; another negative errno when the client takes none now
 */
static int hand_over(struct davy_outgoing *out, const struct davy_message *message, uint64_t token)
{
    if (!fits(out, message))
        return -EMSGSIZE;
    int rc = out->client.ops->publish(out->client.client, message, token);
    if (rc == 0) {
        out->status.published++;
        if (message->class == DAVY_MESSAGE_EVENT && message->row > out->status.sent_row)
            out->status.sent_row = message->row;
    }
    return rc == -EINVAL ? -EMSGSIZE : rc;
}

/* Send again what was in flight when a connection ended. False: the client takes none. */
static bool send_waiting(struct davy_outgoing *out, struct davy_flight *flight, struct davy_stamp now)
{
    if (flight->token != 0 && flight->message.class != DAVY_MESSAGE_REPLY)
        flight->message.length = davy_payload_mark_replayed(flight->message.payload);
    uint64_t token = ++out->last_id;
    int rc = hand_over(out, &flight->message, token);
    if (rc == -EMSGSIZE) {
        refused(out, &flight->message, DAVY_REASON_PACKET_TOO_LARGE, now);
        davy_inflight_remove(&out->window, flight);
    } else if (rc == 0) {
        davy_inflight_resend(&out->window, flight, token, now.mono);
    }
    return rc == 0 || rc == -EMSGSIZE;
}

static bool send_state(struct davy_outgoing *out, struct davy_retained *state, struct davy_stamp now)
{
    const struct davy_message none = {.class = DAVY_MESSAGE_STATE};
    uint64_t token = ++out->last_id;
    int rc = hand_over(out, &state->message, token);
    if (rc == 0)
        davy_inflight_add(&out->window, &none, token, now.mono)->state = state->id;
    else if (rc == -EMSGSIZE)
        refused(out, &state->message, DAVY_REASON_PACKET_TOO_LARGE, now);
    if (rc == 0 || rc == -EMSGSIZE)
        state->due = 0;
    return rc == 0 || rc == -EMSGSIZE;
}

static bool send_new(struct davy_outgoing *out, struct davy_message *message, struct davy_stamp now)
{
    uint64_t token = ++out->last_id;
    int rc = hand_over(out, message, token);
    if (rc == -EMSGSIZE) {
        refused(out, message, DAVY_REASON_PACKET_TOO_LARGE, now);
        davy_message_done(message);
        return true;
    }
    struct davy_flight *flight = davy_inflight_add(&out->window, message, token, now.mono);
    if (rc != 0)
        davy_inflight_withhold(&out->window, flight);
    return rc == 0;
}

/* Outcomes of send_one(). */
enum sending { SENDING_NOTHING, SENDING_DONE, SENDING_BLOCKED };

/* Telemetry is large and waits on disk: what of it is in memory, here and once more in the client, has a bound. */
static bool is_too_much(const struct davy_outgoing *out, enum davy_message_class class)
{
    return class == DAVY_MESSAGE_TELEMETRY && davy_inflight_bytes(&out->window) >= TELEMETRY_BYTES;
}

static bool pop_posted(struct davy_outgoing *out, enum davy_message_class class, struct davy_message *ret_message)
{
    if (!davy_queue_pop(&out->posted[class], ret_message))
        return false;
    if (class == DAVY_MESSAGE_TELEMETRY && davy_queue_count(&out->posted[class]) == 0)
        davy_queue_ring(out->deliveries); /* whoever reads them may have more to post */
    return true;
}

/* Send the next message of one class, if it has any. */
static enum sending send_one(struct davy_outgoing *out, enum davy_message_class class, struct davy_stamp now)
{
    struct davy_message message;
    bool taken;
    if (is_too_much(out, class))
        return SENDING_NOTHING;
    struct davy_flight *flight = davy_inflight_waiting(&out->window, class);
    if (flight) {
        taken = send_waiting(out, flight, now);
    } else if (class == DAVY_MESSAGE_STATE) {
        struct davy_retained *state = davy_retained_due(&out->states);
        if (!state)
            return SENDING_NOTHING;
        taken = send_state(out, state, now);
    } else if (pop_posted(out, class, &message)) {
        taken = send_new(out, &message, now);
    } else {
        return SENDING_NOTHING;
    }
    return taken ? SENDING_DONE : SENDING_BLOCKED;
}

/* The client takes nothing: mostly the connection is gone, and the notice that says why is on its way. */
static void take_back(struct davy_outgoing *out, struct davy_stamp now)
{
    const size_t url = out->url;
    apply(out, DAVY_SESSION_STUCK, now);
    if (out->session.brief <= 1)
        out->url = url;
}

/* Fill the window, the most urgent class first. */
static void send_all(struct davy_outgoing *out, struct davy_stamp now)
{
    unsigned class = 0;
    while (class < DAVY_MESSAGE_CLASS_COUNT_ && davy_inflight_open(&out->window) &&
           davy_queue_space(out->deliveries) >= DAVY_OUTGOING_REPORTS) {
        enum sending outcome = send_one(out, (enum davy_message_class) class, now);
        if (outcome == SENDING_BLOCKED) {
            take_back(out, now);
            return;
        }
        class = outcome == SENDING_DONE ? 0 : class + 1;
    }
}

/* ---- the session ---- */

static void begin_connect(struct davy_outgoing *out, struct davy_stamp now)
{
    char topic[DAVY_TOPIC_SIZE], text[STATUS_SIZE];
    struct davy_buf payload;
    davy_buf_init(&payload, text, sizeof text);
    davy_payload_will(&payload, out->config, out->boot_id, now.wall);
    struct davy_mqtt_will will = {.topic = davy_topic(out->config, "status", topic), .payload = text};
    const size_t url = out->tried = out->url;
    out->told = false;
    davy_rotation_connect(&out->rotation, &out->config->mqtt, now.mono);
    int rc = out->client.ops->connect(out->client.client, out->config->mqtt.urls[url], &will);
    if (rc == 0)
        return;
    if (rc != -EBUSY)
        note_error(out, "cannot connect", strerror(-rc), now);
    apply(out, DAVY_SESSION_REFUSED, now);
    out->url = url; /* it is not the broker's fault */
}

static void subscribe(struct davy_outgoing *out, struct davy_stamp now)
{
    char filter[DAVY_TOPIC_SIZE];
    out->subscribe_by = (davy_mono){0};
    if (out->config->mqtt.commands == 0 || !out->commands)
        return;
    int rc = out->client.ops->subscribe(out->client.client, davy_topic(out->config, "cmd/+", filter));
    if (rc < 0)
        note_error(out, "no commands until the next connect, cannot subscribe", strerror(-rc), now);
    else
        out->subscribe_by = davy_mono_add(now.mono, davy_span_s(DAVY_OUTGOING_ACK_DEADLINE_S));
}

/* A session began: report it first, then all states are due again, in the order they have. */
static void begin_session(struct davy_outgoing *out, struct davy_stamp now)
{
    davy_notice("mqtt", "connected to %s", out->config->mqtt.urls[out->url]);
    out->status.connected = true;
    out->status.since = now.wall;
    out->status.since_mono = now.mono;
    out->status.connects++;
    report(out, DAVY_DELIVERY_CONNECTED, NULL, 0);
    davy_retained_repeat(&out->states);
    subscribe(out, now);
}

static void end_session(struct davy_outgoing *out, struct davy_stamp now)
{
    out->status.connected = false;
    out->status.since = now.wall;
    out->status.since_mono = now.mono;
    davy_inflight_lose(&out->window);
    report(out, DAVY_DELIVERY_LOST, NULL, 0);
}

/* The one that worked is tried first, unless its connections do not hold. */
static bool takes_next(const struct davy_outgoing *out, unsigned actions, enum davy_session_input input)
{
    return actions & DAVY_SESSION_DO_BACKOFF && (input != DAVY_SESSION_LOST || out->session.brief > 1);
}

static void apply(struct davy_outgoing *out, enum davy_session_input input, struct davy_stamp now)
{
    unsigned actions = davy_session_step(&out->session, input, now.mono, &out->random);
    if (actions & DAVY_SESSION_DO_END)
        end_session(out, now);
    if (actions & DAVY_SESSION_DO_DROP)
        out->client.ops->drop(out->client.client);
    if (actions & DAVY_SESSION_DO_DISCONNECT)
        out->client.ops->disconnect(out->client.client, davy_span_ms(500));
    if (takes_next(out, actions, input))
        out->url = (out->url + 1) % out->config->mqtt.url_count;
    if (actions & DAVY_SESSION_DO_CONNECT)
        begin_connect(out, now);
    if (actions & DAVY_SESSION_DO_BEGIN)
        begin_session(out, now);
}

static void acknowledged(struct davy_outgoing *out, struct davy_flight *flight, uint8_t reason_code)
{
    out->status.acknowledged++;
    if (reason_code == DAVY_REASON_NOBODY_SUBSCRIBED)
        out->status.unheard++;
    report(out, DAVY_DELIVERY_DONE, &flight->message, reason_code);
    struct davy_retained *state = flight->state ? davy_retained_find(&out->states, flight->state) : NULL;
    if (state && state->message.length == 0 && state->due == 0)
        davy_retained_remove(&out->states, state); /* a topic that is cleared needs no repetition */
    davy_inflight_remove(&out->window, flight);
}

static void not_taken(struct davy_outgoing *out, struct davy_flight *flight, uint8_t reason_code, struct davy_stamp now)
{
    struct davy_retained *state = flight->state ? davy_retained_find(&out->states, flight->state) : NULL;
    refused(out, state ? &state->message : &flight->message, reason_code, now);
    if (state)
        davy_retained_refuse(&out->states, state, now.mono);
    davy_inflight_remove(&out->window, flight);
}

/* The broker said why it leaves; what follows from that is no news. */
static void note_leave(struct davy_outgoing *out, const struct davy_mqtt_notice *notice, struct davy_stamp now)
{
    char text[DAVY_MQTT_TEXT_SIZE];
    if (notice->reason_code != DAVY_REASON_TAKEN_OVER) {
        note_error(out, "connection lost", notice->text, now);
    } else {
        out->status.duplicate_at = now.mono;
        snprintf(text, sizeof text, "another client connects with the client id %.170s (session taken over, 0x8e)",
                 out->config->mqtt.client_id);
        note_error(out, "duplicate identity", text, now);
    }
    out->told = true;
}

static void note_loss(struct davy_outgoing *out, const char *what, const char *text, struct davy_stamp now)
{
    if (!out->told)
        note_error(out, what, text, now);
}

static void settle(struct davy_outgoing *out, const struct davy_mqtt_notice *notice, struct davy_stamp now)
{
    struct davy_flight *flight = davy_inflight_find(&out->window, notice->token);
    if (!flight)
        return; /* of a connection that is over, or twice */
    if (notice->reason_code >= DAVY_REASON_FAILURE) {
        not_taken(out, flight, notice->reason_code, now);
    } else if (notice->kind == DAVY_MQTT_ACKED) {
        acknowledged(out, flight, notice->reason_code);
    } else {
        /* Only a new connection keeps the order of what follows. */
        if (notice->text[0]) /* else the connection is gone, and that is told next */
            note_loss(out, "not acknowledged", notice->text, now);
        apply(out, DAVY_SESSION_STUCK, now);
    }
}

static void ask_again(struct davy_outgoing *out, struct davy_stamp now)
{
    out->url = out->tried;
    out->session.retry_at = now.mono;
}

static void take_terms(struct davy_outgoing *out, const struct davy_mqtt_terms *terms, struct davy_stamp now)
{
    out->max_packet = terms->max_packet;
    out->window.limit = terms->window < DAVY_INFLIGHT_MAX ? terms->window : DAVY_INFLIGHT_MAX;
    if (out->session.state == DAVY_SESSION_CONNECTING)
        davy_account_session(&out->account, &out->status, terms);
    apply(out, DAVY_SESSION_CONNECTED, now);
    if (terms->again)
        apply(out, DAVY_SESSION_RENEW, now);
}

void davy_outgoing_notice(struct davy_outgoing *out, const struct davy_mqtt_notice *notice, struct davy_stamp now)
{
    out->now = now.wall;
    switch (notice->kind) {
    case DAVY_MQTT_CONNECTED:
        take_terms(out, &notice->terms, now);
        break;
    case DAVY_MQTT_REFUSED:
        if (out->session.state == DAVY_SESSION_CONNECTING)
            note_error(out, "cannot connect", notice->text, now);
        apply(out, DAVY_SESSION_REFUSED, now);
        if (notice->terms.again && out->session.state == DAVY_SESSION_OFFLINE)
            ask_again(out, now);
        break;
    case DAVY_MQTT_LEAVES:
        note_leave(out, notice, now);
        break;
    case DAVY_MQTT_LOST:
        note_loss(out, "connection lost", notice->text, now);
        apply(out, DAVY_SESSION_LOST, now);
        break;
    case DAVY_MQTT_SUBSCRIBED:
        out->subscribe_by = (davy_mono){0};
        break;
    case DAVY_MQTT_NOT_SUBSCRIBED:
        if (out->subscribe_by.ns != 0) /* else of a connection that is over */
            note_error(out, "no commands until the next connect, cannot subscribe", notice->text, now);
        out->subscribe_by = (davy_mono){0};
        break;
    case DAVY_MQTT_ACKED:
    case DAVY_MQTT_FAILED:
        settle(out, notice, now);
        break;
    }
}

static void answer_busy(struct davy_outgoing *out, const struct davy_remote *remote)
{
    struct davy_message message;
    if (davy_remote_reply(remote, "busy: try again", &message) < 0)
        return;
    if (davy_queue_push(&out->posted[DAVY_MESSAGE_REPLY], &message) == DAVY_QUEUE_LOST)
        davy_message_done(&message);
}

void davy_outgoing_command(struct davy_outgoing *out, const struct davy_mqtt_command *command, struct davy_stamp now)
{
    struct davy_remote *remote = out->commands ? davy_incoming_judge(&out->incoming, out->config, command, now) : NULL;
    if (!remote)
        return;
    out->status.commands++;
    if (davy_queue_space(out->commands) > 0) { /* we alone fill it */
        davy_incoming_accepted(&out->incoming, remote);
        (void)davy_queue_push(out->commands, &remote);
    } else {
        answer_busy(out, remote);
        free(remote);
    }
}

static bool is_online(const struct davy_outgoing *out)
{
    return out->session.state == DAVY_SESSION_ONLINE || out->session.state == DAVY_SESSION_DRAINING;
}

/* When our patience ends with the broker. */
static davy_mono deadline(const struct davy_outgoing *out)
{
    if (out->session.state == DAVY_SESSION_CONNECTING)
        return davy_mono_add(out->session.entered, davy_span_s(DAVY_OUTGOING_CONNECT_DEADLINE_S));
    if (!is_online(out))
        return DAVY_MONO_NEVER;
    davy_mono oldest = davy_mono_add(davy_inflight_oldest(&out->window), davy_span_s(DAVY_OUTGOING_ACK_DEADLINE_S));
    return out->subscribe_by.ns != 0 ? davy_mono_min(oldest, out->subscribe_by) : oldest;
}

/* Nothing that anybody waits for is on its way. */
static bool is_calm(const struct davy_outgoing *out)
{
    bool calm = davy_queue_count(&out->posted[DAVY_MESSAGE_PREVIEW]) == 0 &&
                davy_queue_count(&out->posted[DAVY_MESSAGE_EVENT]) == 0;
    for (size_t i = 0; calm && i < out->window.count; i++)
        calm = out->window.flights[i].message.class > DAVY_MESSAGE_EVENT;
    return calm;
}

/* Other certificates, or another password, are proven while somebody is near who can mend them. */
static void follow_files(struct davy_outgoing *out, struct davy_stamp now)
{
    bool urgent;
    if (out->session.state != DAVY_SESSION_ONLINE || davy_queue_space(out->deliveries) < DAVY_OUTGOING_REPORTS ||
        !davy_rotation_due(&out->rotation, &out->config->mqtt, now.mono, &urgent) || !(urgent || is_calm(out)))
        return;
    davy_notice("mqtt", "certificate, key, authority or password has changed on disk: connect again");
    apply(out, DAVY_SESSION_RENEW, now);
}

/* A broker that fills memory is left, once it is noticed. */
static void check_broker(struct davy_outgoing *out, struct davy_stamp now)
{
    if (now.mono.ns < out->check_at.ns || davy_queue_space(out->deliveries) < DAVY_OUTGOING_REPORTS)
        return;
    out->check_at = davy_mono_add(now.mono, davy_span_ms(CHECK_MS));
    if (out->client.ops->check(out->client.client) == 0)
        return;
    note_error(out, "connection dropped", "the broker sends a packet that is far too large", now);
    apply(out, DAVY_SESSION_STUCK, now);
}

static void keep_status(struct davy_outgoing *out, struct davy_stamp now)
{
    const bool held =
        is_online(out) && davy_mono_sub(now.mono, out->session.entered).ns >= DAVY_SESSION_STABLE_S * DAVY_NS_PER_S;
    out->status.unstable = out->session.failures >= UNSTABLE_FROM && !held;
    if (out->status.since_mono.ns != 0)
        out->status.since = davy_wall_as_of((struct davy_stamp){out->status.since_mono, out->status.since}, now);
    snprintf(out->status.url, sizeof out->status.url, "%s", out->config->mqtt.urls[out->url]);
}

void davy_outgoing_pump(struct davy_outgoing *out, struct davy_stamp now)
{
    out->now = now.wall;
    take_states(out);
    davy_retained_wake(&out->states, now.mono);
    follow_files(out, now);
    check_broker(out, now);
    if (now.mono.ns >= deadline(out).ns && davy_queue_space(out->deliveries) >= DAVY_OUTGOING_REPORTS) {
        note_error(out, "no answer from the broker",
                   is_online(out) ? "an acknowledgement is overdue" : "to the connect, for 45 s", now);
        apply(out, DAVY_SESSION_STUCK, now);
    }
    if (out->session.state == DAVY_SESSION_OFFLINE && now.mono.ns >= out->session.retry_at.ns)
        apply(out, DAVY_SESSION_RETRY, now);
    if (is_online(out))
        send_all(out, now);
    keep_status(out, now);
}

davy_mono davy_outgoing_due(const struct davy_outgoing *out)
{
    return out->session.state == DAVY_SESSION_OFFLINE ? out->session.retry_at : deadline(out);
}

bool davy_outgoing_idle(const struct davy_outgoing *out)
{
    bool idle = out->window.count == 0 && !davy_retained_due(&out->states);
    for (size_t class = 0; class < DAVY_MESSAGE_CLASS_COUNT_; class ++)
        idle = idle && davy_queue_count(&out->posted[class]) == 0;
    return idle;
}

/* Who is left with this connection keeps the retained status: a clean end sends no will. */
static void say_offline(struct davy_outgoing *out, struct davy_stamp now)
{
    char topic[DAVY_TOPIC_SIZE], text[STATUS_SIZE];
    struct davy_buf payload;
    struct davy_message message;
    davy_buf_init(&payload, text, sizeof text);
    davy_payload_will(&payload, out->config, out->boot_id, now.wall);
    if (davy_message_new(DAVY_MESSAGE_STATE, 0, davy_topic(out->config, "status", topic), text, &message) < 0)
        return;
    message.retain = true;
    message.schema = "davy.status/1";
    if (hand_over(out, &message, ++out->last_id) < 0)
        davy_warning("mqtt", "%s still says online", topic);
    davy_message_done(&message);
}

void davy_outgoing_switch(struct davy_outgoing *out, const struct davy_config *config,
                          const struct davy_mqtt_client *client, struct davy_stamp now)
{
    char base[DAVY_TOPIC_SIZE];
    take_states(out);
    if (out->session.state == DAVY_SESSION_ONLINE)
        say_offline(out, now);
    apply(out, DAVY_SESSION_SWITCH, now);
    out->config = config;
    out->client = *client;
    out->url = 0;
    out->tried = 0;
    davy_retained_keep(&out->states, davy_topic(config, "", base)); /* others would come back at each connect */
}

void davy_outgoing_input(struct davy_outgoing *out, enum davy_session_input input, struct davy_stamp now)
{
    apply(out, input, now);
}

void davy_outgoing_done(struct davy_outgoing *out)
{
    struct davy_message message;
    davy_inflight_done(&out->window);
    davy_incoming_done(&out->incoming);
    davy_retained_done(&out->states);
    for (size_t class = 0; class < DAVY_MESSAGE_CLASS_COUNT_; class ++)
        while (davy_queue_pop(&out->posted[class], &message))
            davy_message_done(&message);
}
