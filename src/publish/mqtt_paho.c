/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The MQTT client over paho-mqtt-c 1.3.12 (MQTTAsync). What shaped it:
 *   - callbacks run under paho's global mutex: they copy a notice into a queue and return
 *   - automaticReconnect waits on the wall clock and dies with a step of it: off; the publisher connects
 *   - paho has no deadline for acknowledgements and its own window stalls: both are the publisher's
 *   - MQTTAsync_destroy races with paho's threads: one handle for life, a drop is a disconnect that ends by callback
 *   - what was in flight comes back as a failure without a reason code when the next session begins: by then the
 * publisher has other tokens Not reachable through paho 1.3.12: the socket (TCP_USER_TIMEOUT), MQTT 5 Server Keep Alive
 * (ours is at most what the configuration allows), the second address of a host name.
 */
#include <MQTTAsync.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "publish/endpoint.h"
#include "publish/mqtt.h"
#include "publish/session.h"

/* paho gives up a connect after this. */
#define CONNECT_TIMEOUT_S 10

/* Sent and not yet called back: two windows of sessions that ended, at most. */
#define SLOTS 1024

/* Connects that were refused for business in a row before the handle is replaced: paho has lost its callback. */
#define BUSY_MAX 8

/* What a handle is doing; written by both sides. */
enum phase { PHASE_IDLE, PHASE_CONNECTING, PHASE_UP, PHASE_LEAVING };

struct slot {
    struct paho *paho;
    uint64_t token;
    bool patient; /* telemetry: that it arrived is no news */
};

/* Notices that wait at most unread. */
#define NOTICES_RING 64

/* Acknowledgements of telemetry wake the publisher when so many have come, or none is awaited any more. */
#define PATIENCE 8

struct paho {
    const struct davy_mqtt *mqtt;
    struct davy_queue *notices;
    struct davy_queue *incoming;
    struct davy_waker left; /* rung when a disconnect is done */
    MQTTAsync handle;
    MQTTAsync anchor; /* never connects: while one client follows another, the library is never torn down between */
    atomic_int phase;
    unsigned busy;
    bool tls; /* of the handle */
    struct slot slots[SLOTS];
    size_t next_slot;
    atomic_int awaited; /* of this connection, about: messages that are sent and not called back */
    /* Written by paho's threads between a connect and its answer. */
    char tls_error[128];
    char server_reason[64];
};

/* The queue itself rings only when it fills up. */
static void push_quietly(struct paho *paho, const struct davy_mqtt_notice *notice)
{
    (void)davy_queue_push(paho->notices, notice); /* sized for more than can be in flight */
}

static void push(struct paho *paho, const struct davy_mqtt_notice *notice)
{
    push_quietly(paho, notice);
    davy_queue_ring(paho->notices);
}

static void push_text(struct paho *paho, enum davy_mqtt_notice_kind kind, const char *text, const char *detail)
{
    struct davy_mqtt_notice notice = {.kind = kind};
    snprintf(notice.text, sizeof notice.text, "%s%s%s", text, detail[0] ? ": " : "", detail);
    push(paho, &notice);
}

/* ---- callbacks, on paho's threads ---- */

/*
 * The reason alone of OpenSSL's line
 * "C0E6…:error:0A000086:SSL routines:tls_post_process_server_certificate:certificate verify failed:../ssl/….c:1889:"
 */
static int on_tls_error(const char *text, size_t length, void *context)
{
    struct paho *paho = context;
    const char *reason = text, *end = text + strnlen(text, length);
    for (int field = 0; field < 5; field++) {
        const char *colon = memchr(reason, ':', (size_t)(end - reason));
        if (!colon)
            break;
        reason = colon + 1;
    }
    size_t size = (size_t)(end - reason);
    const char *stop = memchr(reason, ':', size);
    snprintf(paho->tls_error, sizeof paho->tls_error, "%.*s", (int)(stop ? (size_t)(stop - reason) : size), reason);
    return 1;
}

static void connected(struct paho *paho, uint16_t window, uint32_t max_packet)
{
    struct davy_mqtt_notice notice = {.kind = DAVY_MQTT_CONNECTED, .window = window, .max_packet = max_packet};
    atomic_store(&paho->awaited, 0);
    atomic_store(&paho->phase, PHASE_UP);
    push(paho, &notice);
}

static uint32_t property(MQTTProperties *properties, enum MQTTPropertyCodes code, uint32_t missing)
{
    if (!MQTTProperties_hasProperty(properties, code))
        return missing;
    return (uint32_t)MQTTProperties_getNumericValue(properties, code);
}

static void on_connected5(void *context, MQTTAsync_successData5 *data)
{
    uint32_t window = property(&data->properties, MQTTPROPERTY_CODE_RECEIVE_MAXIMUM, UINT16_MAX);
    connected(context, window == 0 ? 1 : (uint16_t)window,
              property(&data->properties, MQTTPROPERTY_CODE_MAXIMUM_PACKET_SIZE, 0));
}

static void on_connected3(void *context, MQTTAsync_successData *data)
{
    (void)data;
    connected(context, UINT16_MAX, 0);
}

/* CONNACK return codes of MQTT 3.1.1, section 3.2.2.3. */
static const char *const connack_texts[] = {
    [1] = "unacceptable protocol version", [2] = "client id rejected", [3] = "server unavailable",
    [4] = "bad user name or password",     [5] = "not authorized",
};

static void not_connected(struct paho *paho, const char *text)
{
    /* paho compares the host name itself and says nothing about it; an unreachable port may have the same text. */
    bool mute = paho->tls && paho->tls_error[0] == '\0' && (!text || strcmp(text, "TCP/TLS connect failure") == 0);
    push_text(paho, DAVY_MQTT_REFUSED, text ? text : "connect failed",
              mute ? "unreachable, or its certificate is for another host" : paho->tls_error);
    atomic_store(&paho->phase, PHASE_IDLE);
}

static void on_refused5(void *context, MQTTAsync_failureData5 *data)
{
    /* 1.3.12 has the reason of a CONNACK in `code`, not in `reasonCode`. */
    int reason = data->code >= 0x80 ? data->code : (int)data->reasonCode;
    const char *name = reason >= 0x80 ? MQTTReasonCode_toString((enum MQTTReasonCodes)reason) : NULL;
    not_connected(context, name ? name : data->message);
}

static void on_refused3(void *context, MQTTAsync_failureData *data)
{
    bool known = data->code > 0 && (size_t)data->code < DAVY_LENGTH(connack_texts);
    not_connected(context, known ? connack_texts[data->code] : data->message);
}

static void on_lost(void *context, char *cause)
{
    struct paho *paho = context;
    push_text(paho, DAVY_MQTT_LOST, cause ? cause : "closed", paho->server_reason);
    atomic_store(&paho->phase, PHASE_IDLE);
}

static void on_server_disconnect(void *context, MQTTProperties *properties, enum MQTTReasonCodes reason)
{
    struct paho *paho = context;
    const char *name = MQTTReasonCode_toString(reason);
    (void)properties;
    snprintf(paho->server_reason, sizeof paho->server_reason, "%s (0x%02x)", name ? name : "broker disconnects",
             (unsigned)reason);
}

static void left(struct paho *paho)
{
    atomic_store(&paho->phase, PHASE_IDLE);
    davy_waker_ring(&paho->left);
}

static void on_left5(void *context, MQTTAsync_successData5 *data)
{
    (void)data;
    left(context);
}

static void on_not_left5(void *context, MQTTAsync_failureData5 *data)
{
    (void)data;
    left(context);
}

static void on_left3(void *context, MQTTAsync_successData *data)
{
    (void)data;
    left(context);
}

static void on_not_left3(void *context, MQTTAsync_failureData *data)
{
    (void)data;
    left(context);
}

/* A copy that ends with NUL; NULL for none, or without memory. Bytes behind a NUL of its own are lost. */
static char *copy_text(const void *text, size_t length)
{
    char *copy = text ? malloc(length + 1) : NULL;
    if (copy) {
        memcpy(copy, text, length);
        copy[length] = '\0';
    }
    return copy;
}

static const MQTTLenString *data_property(MQTTProperties *properties, enum MQTTPropertyCodes code)
{
    const MQTTProperty *property = MQTTProperties_getProperty(properties, code);
    return property ? &property->value.data : NULL;
}

static struct davy_mqtt_command copy_command(const char *topic, size_t topic_length, MQTTAsync_message *message)
{
    struct davy_mqtt_command command = {.length = (size_t)message->payloadlen, .retained = message->retained != 0};
    const MQTTLenString *response = data_property(&message->properties, MQTTPROPERTY_CODE_RESPONSE_TOPIC);
    const MQTTLenString *correlation = data_property(&message->properties, MQTTPROPERTY_CODE_CORRELATION_DATA);
    command.topic = copy_text(topic, topic_length);
    if (command.length <= DAVY_REMOTE_PAYLOAD_MAX)
        command.payload = copy_text(message->payload ? message->payload : "", command.length);
    if (response)
        command.response_topic = copy_text(response->data, (size_t)response->len);
    if (correlation) {
        command.correlation_length = (size_t)correlation->len;
        if (command.correlation_length <= DAVY_REMOTE_CORRELATION_MAX)
            command.correlation = (unsigned char *)copy_text(correlation->data, command.correlation_length);
    }
    return command;
}

static int on_message(void *context, char *topic, int topic_length, MQTTAsync_message *message)
{
    struct paho *paho = context;
    size_t length = topic_length > 0 ? (size_t)topic_length : strlen(topic); /* 0 where it has no NUL inside */
    struct davy_mqtt_command command = copy_command(topic, length, message);
    if (!command.topic || davy_queue_push(paho->incoming, &command) == DAVY_QUEUE_LOST)
        davy_mqtt_command_done(&command);
    MQTTAsync_freeMessage(&message);
    MQTTAsync_free(topic);
    return 1;
}

static void settled(const struct slot *slot, enum davy_mqtt_notice_kind kind, int reason, const char *text)
{
    struct davy_mqtt_notice notice = {.kind = kind, .token = slot->token, .reason_code = (uint8_t)reason};
    snprintf(notice.text, sizeof notice.text, "%s", text ? text : "");
    int awaited = atomic_fetch_sub(&slot->paho->awaited, 1) - 1;
    if (slot->patient && kind == DAVY_MQTT_ACKED && awaited > 0 && awaited % PATIENCE != 0)
        push_quietly(slot->paho, &notice);
    else
        push(slot->paho, &notice);
}

/* Only the reason code judges: paho calls the success back with refusals of some brokers, and fails with code 0. */
static void on_sent5(void *context, MQTTAsync_successData5 *data)
{
    bool refused = data->reasonCode >= 0x80;
    settled(context, refused ? DAVY_MQTT_FAILED : DAVY_MQTT_ACKED, (int)data->reasonCode, NULL);
}

static void on_not_sent5(void *context, MQTTAsync_failureData5 *data)
{
    int reason = data->reasonCode >= 0x80 ? (int)data->reasonCode : 0;
    settled(context, DAVY_MQTT_FAILED, reason, data->message);
}

static void on_sent3(void *context, MQTTAsync_successData *data)
{
    (void)data;
    settled(context, DAVY_MQTT_ACKED, 0, NULL);
}

static void on_not_sent3(void *context, MQTTAsync_failureData *data)
{
    settled(context, DAVY_MQTT_FAILED, 0, data ? data->message : NULL);
}

static void not_subscribed(void *context, const char *why)
{
    push_text(context, DAVY_MQTT_NOT_SUBSCRIBED, why ? why : "refused", "");
}

static void on_subscribed5(void *context, MQTTAsync_successData5 *data)
{
    if (data->reasonCode >= 0x80)
        not_subscribed(context, MQTTReasonCode_toString(data->reasonCode));
}

static void on_not_subscribed5(void *context, MQTTAsync_failureData5 *data)
{
    not_subscribed(context, data->reasonCode >= 0x80 ? MQTTReasonCode_toString(data->reasonCode) : data->message);
}

static void on_subscribed3(void *context, MQTTAsync_successData *data)
{
    if (data->alt.qos >= 0x80)
        not_subscribed(context, NULL);
}

static void on_not_subscribed3(void *context, MQTTAsync_failureData *data)
{
    not_subscribed(context, data ? data->message : NULL);
}

/* ---- the publisher's side ---- */

static int errno_of(int rc)
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

static int create(struct paho *paho, const char *url)
{
    MQTTAsync_createOptions options = MQTTAsync_createOptions_initializer5;
    options.MQTTVersion = paho->mqtt->version_3 ? MQTTVERSION_3_1_1 : MQTTVERSION_5;
    options.restoreMessages = 0;
    int rc = MQTTAsync_createWithOptions(&paho->handle, url, paho->mqtt->client_id, MQTTCLIENT_PERSISTENCE_NONE, NULL,
                                         &options);
    if (rc != MQTTASYNC_SUCCESS)
        return -ENOMEM;
    MQTTAsync_setCallbacks(paho->handle, paho, on_lost, on_message, NULL);
    if (!paho->mqtt->version_3)
        MQTTAsync_setDisconnected(paho->handle, paho, on_server_disconnect);
    return 0;
}

static void destroy(struct paho *paho)
{
    if (paho->handle)
        MQTTAsync_destroy(&paho->handle);
    paho->handle = NULL;
    atomic_store(&paho->phase, PHASE_IDLE);
}

/*
 * MQTTAsync_send of 1.3.12 is not locked: a message that is handed over while the connection goes may stay behind in
 * paho's queue, and would leave at the next connect ahead of what is sent again.
 */
static bool has_leftovers(struct paho *paho)
{
    MQTTAsync_token *tokens = NULL;
    if (!paho->handle || MQTTAsync_getPendingTokens(paho->handle, &tokens) != MQTTASYNC_SUCCESS || !tokens)
        return false;
    bool any = tokens[0] >= 0; /* the list ends with -1 */
    MQTTAsync_free(tokens);
    if (any)
        davy_debug("mqtt", "the client library holds messages of the last connection: replaced");
    return any;
}

/* A handle that is free to connect. 0, -EBUSY or -ENOMEM. */
static int ready_handle(struct paho *paho, const struct davy_endpoint *endpoint)
{
    bool idle = atomic_load(&paho->phase) == PHASE_IDLE;
    if (!idle && ++paho->busy < BUSY_MAX)
        return -EBUSY;
    /* A handle that once spoke TLS goes on speaking it, also to tcp://. */
    if (!idle || paho->tls != endpoint->tls || has_leftovers(paho))
        destroy(paho);
    paho->busy = 0;
    paho->tls = endpoint->tls;
    return paho->handle ? 0 : create(paho, endpoint->url);
}

static void add_property(MQTTProperties *properties, enum MQTTPropertyCodes code, const char *text, const char *value)
{
    MQTTProperty property = {.identifier = code};
    union {
        const char *in;
        char *out; /* paho copies; its struct only lacks the const */
    } name = {text}, content = {value};
    property.value.data = (MQTTLenString){.len = (int)strlen(text), .data = name.out};
    if (value)
        property.value.value = (MQTTLenString){.len = (int)strlen(value), .data = content.out};
    MQTTProperties_add(properties, &property);
}

/* Which command a message answers. */
static void add_correlation(MQTTProperties *properties, const struct davy_message *message)
{
    MQTTProperty property = {.identifier = MQTTPROPERTY_CODE_CORRELATION_DATA};
    property.value.data =
        (MQTTLenString){.len = (int)message->correlation_length, .data = (char *)message->correlation};
    if (message->correlation_length > 0)
        MQTTProperties_add(properties, &property);
}

/* What a message of MQTT 5 says about itself. Free with MQTTProperties_free(). */
static MQTTProperties describe(const char *schema, uint32_t expiry_s, bool empty)
{
    MQTTProperties properties = MQTTProperties_initializer;
    if (empty)
        return properties;
    MQTTProperty format = {.identifier = MQTTPROPERTY_CODE_PAYLOAD_FORMAT_INDICATOR, .value.byte = 1};
    MQTTProperties_add(&properties, &format);
    add_property(&properties, MQTTPROPERTY_CODE_CONTENT_TYPE, "application/json", NULL);
    if (expiry_s > 0) {
        MQTTProperty expiry = {.identifier = MQTTPROPERTY_CODE_MESSAGE_EXPIRY_INTERVAL, .value.integer4 = expiry_s};
        MQTTProperties_add(&properties, &expiry);
    }
    if (schema)
        add_property(&properties, MQTTPROPERTY_CODE_USER_PROPERTY, "schema", schema);
    return properties;
}

/* Everything that a connect points to. */
struct attempt {
    struct davy_endpoint endpoint;
    char password[DAVY_ENDPOINT_SECRET_SIZE];
    char error[DAVY_ENDPOINT_ERROR_SIZE];
    char *server[1];
    MQTTAsync_willOptions will;
    MQTTProperties will_properties;
    MQTTAsync_SSLOptions tls;
    MQTTAsync_connectOptions options;
};

static void set_tls(struct paho *paho, struct attempt *attempt)
{
    const struct davy_mqtt *mqtt = paho->mqtt;
    attempt->tls = (MQTTAsync_SSLOptions)MQTTAsync_SSLOptions_initializer;
    attempt->tls.enableServerCertAuth = 1;
    attempt->tls.verify = 1; /* the host name; paho's default is not to look */
    attempt->tls.trustStore = mqtt->ca_file;
    attempt->tls.disableDefaultTrustStore = mqtt->ca_file ? 1 : 0;
    attempt->tls.keyStore = mqtt->cert_file;
    attempt->tls.privateKey = mqtt->key_file;
    attempt->tls.ssl_error_cb = on_tls_error;
    attempt->tls.ssl_error_context = paho;
    attempt->options.ssl = &attempt->tls;
}

static void set_version(struct paho *paho, struct attempt *attempt)
{
    MQTTAsync_connectOptions *options = &attempt->options;
    if (paho->mqtt->version_3) {
        *options = (MQTTAsync_connectOptions)MQTTAsync_connectOptions_initializer;
        options->MQTTVersion = MQTTVERSION_3_1_1;
        options->cleansession = 1;
        options->onSuccess = on_connected3;
        options->onFailure = on_refused3;
    } else {
        *options = (MQTTAsync_connectOptions)MQTTAsync_connectOptions_initializer5;
        options->cleanstart = 1;
        options->onSuccess5 = on_connected5;
        options->onFailure5 = on_refused5;
        attempt->will_properties = describe("davy.status/1", 0, false);
        options->willProperties = &attempt->will_properties;
    }
}

static void set_options(struct paho *paho, struct attempt *attempt, const struct davy_mqtt_will *will)
{
    MQTTAsync_connectOptions *options = &attempt->options;
    set_version(paho, attempt);
    attempt->will = (MQTTAsync_willOptions)MQTTAsync_willOptions_initializer;
    attempt->will.topicName = will->topic;
    attempt->will.message = will->payload;
    attempt->will.retained = 1;
    attempt->will.qos = 1;
    attempt->server[0] = attempt->endpoint.url;
    options->will = &attempt->will;
    options->serverURIcount = 1;
    options->serverURIs = attempt->server;
    options->keepAliveInterval = (int)(paho->mqtt->keepalive.ns / DAVY_NS_PER_S);
    options->connectTimeout = CONNECT_TIMEOUT_S;
    options->maxInflight = UINT16_MAX;
    options->username = paho->mqtt->username;
    if (attempt->password[0]) {
        options->binarypwd.data = attempt->password;
        options->binarypwd.len = (int)strlen(attempt->password);
    }
    options->context = paho;
    if (attempt->endpoint.tls)
        set_tls(paho, attempt);
}

/* Start the attempt, with the files as they are now. */
static int start(struct paho *paho, struct attempt *attempt, const struct davy_mqtt_will *will)
{
    int rc = ready_handle(paho, &attempt->endpoint);
    if (rc < 0)
        return rc;
    set_options(paho, attempt, will);
    paho->tls_error[0] = '\0';
    paho->server_reason[0] = '\0';
    atomic_store(&paho->phase, PHASE_CONNECTING);
    rc = MQTTAsync_connect(paho->handle, &attempt->options);
    MQTTProperties_free(&attempt->will_properties);
    if (rc != MQTTASYNC_SUCCESS)
        atomic_store(&paho->phase, PHASE_IDLE);
    return errno_of(rc);
}

static int paho_connect(void *client, const char *url, const struct davy_mqtt_will *will)
{
    struct paho *paho = client;
    struct attempt attempt = {.will_properties = MQTTProperties_initializer};
    if (davy_endpoint_parse(url, &attempt.endpoint) < 0) {
        push_text(paho, DAVY_MQTT_REFUSED, "not an address of a broker", url);
        return 0;
    }
    if (davy_endpoint_password(paho->mqtt, attempt.password, attempt.error) < 0 ||
        (attempt.endpoint.tls && davy_endpoint_check_files(paho->mqtt, attempt.error) < 0)) {
        push_text(paho, DAVY_MQTT_REFUSED, attempt.error, "");
        return 0;
    }
    int rc = start(paho, &attempt, will);
    explicit_bzero(attempt.password, sizeof attempt.password);
    return rc;
}

static struct slot *take_slot(struct paho *paho, const struct davy_message *message, uint64_t token)
{
    struct slot *slot = &paho->slots[paho->next_slot];
    paho->next_slot = (paho->next_slot + 1) % SLOTS;
    *slot = (struct slot){.paho = paho, .token = token, .patient = message->class == DAVY_MESSAGE_TELEMETRY};
    return slot;
}

static int paho_publish(void *client, const struct davy_message *message, uint64_t token)
{
    struct paho *paho = client;
    if (atomic_load(&paho->phase) != PHASE_UP)
        return -ENOTCONN;
    MQTTAsync_message out = MQTTAsync_message_initializer;
    MQTTAsync_responseOptions response = MQTTAsync_responseOptions_initializer;
    out.payload = message->payload;
    out.payloadlen = (int)message->length;
    out.qos = 1;
    out.retained = message->retain;
    response.context = take_slot(paho, message, token);
    if (paho->mqtt->version_3) {
        response.onSuccess = on_sent3;
        response.onFailure = on_not_sent3;
    } else {
        response.onSuccess5 = on_sent5;
        response.onFailure5 = on_not_sent5;
        out.properties = describe(message->schema, message->expiry_s, message->length == 0);
        add_correlation(&out.properties, message);
    }
    atomic_fetch_add(&paho->awaited, 1); /* the call back may come before the return */
    int rc = MQTTAsync_sendMessage(paho->handle, message->topic, &out, &response);
    MQTTProperties_free(&out.properties);
    if (rc != MQTTASYNC_SUCCESS)
        atomic_fetch_sub(&paho->awaited, 1);
    return errno_of(rc);
}

static int paho_subscribe(void *client, const char *filter)
{
    struct paho *paho = client;
    if (atomic_load(&paho->phase) != PHASE_UP)
        return -ENOTCONN;
    MQTTAsync_responseOptions response = MQTTAsync_responseOptions_initializer;
    response.context = paho;
    if (paho->mqtt->version_3) {
        response.onSuccess = on_subscribed3;
        response.onFailure = on_not_subscribed3;
    } else {
        response.onSuccess5 = on_subscribed5;
        response.onFailure5 = on_not_subscribed5;
        response.subscribeOptions.retainAsPublished = 1; /* so that a retained command is known at its first arrival */
    }
    return errno_of(MQTTAsync_subscribe(paho->handle, filter, 1, &response));
}

/* Ask for the end of the connection; its end is reported by left(). */
static void leave(struct paho *paho, davy_span timeout, bool with_will)
{
    int up = PHASE_UP;
    if (!atomic_compare_exchange_strong(&paho->phase, &up, PHASE_LEAVING))
        return;
    MQTTAsync_disconnectOptions options = MQTTAsync_disconnectOptions_initializer5;
    if (paho->mqtt->version_3) {
        options = (MQTTAsync_disconnectOptions)MQTTAsync_disconnectOptions_initializer;
        options.onSuccess = on_left3;
        options.onFailure = on_not_left3;
    } else {
        options.onSuccess5 = on_left5;
        options.onFailure5 = on_not_left5;
        if (with_will)
            options.reasonCode = MQTTREASONCODE_DISCONNECT_WITH_WILL_MESSAGE;
    }
    options.timeout = (int)(timeout.ns / DAVY_NS_PER_MS);
    options.context = paho;
    if (MQTTAsync_disconnect(paho->handle, &options) != MQTTASYNC_SUCCESS)
        left(paho);
}

static void paho_disconnect(void *client, davy_span timeout)
{
    struct paho *paho = client;
    davy_waker_wait(&paho->left, (davy_span){0}); /* an old ring */
    leave(paho, (davy_span){timeout.ns / 2}, false);
    if (atomic_load(&paho->phase) == PHASE_LEAVING)
        davy_waker_wait(&paho->left, timeout);
}

static void paho_drop(void *client)
{
    leave(client, davy_span_ms(1), true);
}

static void paho_free(void *client)
{
    struct paho *paho = client;
    destroy(paho);
    MQTTAsync_destroy(&paho->anchor);
    davy_waker_done(&paho->left);
    free(paho);
}

static const struct davy_mqtt_ops paho_ops = {.connect = paho_connect,
                                              .publish = paho_publish,
                                              .subscribe = paho_subscribe,
                                              .disconnect = paho_disconnect,
                                              .drop = paho_drop,
                                              .free = paho_free};

int davy_mqtt_paho_new(const struct davy_mqtt *mqtt, struct davy_queue *notices, struct davy_queue *incoming,
                       struct davy_mqtt_client *ret_client)
{
    MQTTAsync_init_options init = MQTTAsync_init_options_initializer;
    struct paho *paho = calloc(1, sizeof *paho);
    if (!paho)
        return -ENOMEM;
    paho->mqtt = mqtt;
    paho->notices = notices;
    paho->incoming = incoming;
    davy_queue_ring_each(notices, NOTICES_RING);
    int rc = davy_waker_init(&paho->left);
    if (rc < 0) {
        free(paho);
        return rc;
    }
    MQTTAsync_global_init(&init);
    if (MQTTAsync_create(&paho->anchor, "tcp://127.0.0.1:1", "davy-anchor", MQTTCLIENT_PERSISTENCE_NONE, NULL) !=
        MQTTASYNC_SUCCESS) {
        davy_waker_done(&paho->left);
        free(paho);
        return -ENOMEM;
    }
    *ret_client = (struct davy_mqtt_client){.ops = &paho_ops, .client = paho};
    return 0;
}
