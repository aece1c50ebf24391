/* SPDX-License-Identifier: Apache-2.0 */
/* The connection: how it begins, how it ends, and the handle that it needs. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "publish/paho.h"
#include "publish/reason.h"
#include "publish/session.h"

/* paho gives up a connect after this. */
#define CONNECT_TIMEOUT_S 10

/* Connects that were refused for business in a row before the handle is replaced: paho has lost its callback. */
#define BUSY_MAX 8

/* Of a packet that a broker may send us, and how many of them at once. */
#define PACKET_MAX  65536
#define RECEIVE_MAX 64

static int configured_s(const struct paho *paho)
{
    return (int)(paho->mqtt->keepalive.ns / DAVY_NS_PER_S);
}

/* The keep alive of this connect. */
static int asked_s(const struct paho *paho)
{
    return paho->of_url->keep_alive_s != 0 ? paho->of_url->keep_alive_s : configured_s(paho);
}

/* ---- callbacks, on paho's threads ---- */

static void connected(struct paho *paho, const struct davy_mqtt_terms *terms)
{
    struct davy_mqtt_notice notice = {.kind = DAVY_MQTT_CONNECTED, .terms = *terms};
    notice.terms.certificate_end = paho->certificate_end;
    atomic_store(&paho->awaited, 0);
    atomic_store(&paho->window, terms->window < DAVY_INFLIGHT_MAX ? terms->window : DAVY_INFLIGHT_MAX);
    atomic_store(&paho->phase, PAHO_UP);
    davy_paho_push(paho, &notice);
}

static uint32_t property(MQTTProperties *properties, enum MQTTPropertyCodes code, uint32_t missing)
{
    if (!MQTTProperties_hasProperty(properties, code))
        return missing;
    return (uint32_t)MQTTProperties_getNumericValue(properties, code);
}

/*
 * paho 1.3.12 heeds none of these. A server's keep alive that is longer than ours may be overfulfilled; a shorter one
 * takes another connect, since paho takes it from the options of one.
 */
static void on_connected5(void *context, MQTTAsync_successData5 *data)
{
    struct paho *paho = context;
    MQTTProperties *properties = &data->properties;
    const uint32_t window = property(properties, MQTTPROPERTY_CODE_RECEIVE_MAXIMUM, UINT16_MAX);
    const uint32_t keep_alive = property(properties, MQTTPROPERTY_CODE_SERVER_KEEP_ALIVE, 0);
    struct davy_mqtt_terms terms = {
        .window = window == 0 ? 1 : (uint16_t)window,
        .max_packet = property(properties, MQTTPROPERTY_CODE_MAXIMUM_PACKET_SIZE, 0),
        .no_qos_1 = property(properties, MQTTPROPERTY_CODE_MAXIMUM_QOS, 2) == 0,
        .no_retain = property(properties, MQTTPROPERTY_CODE_RETAIN_AVAILABLE, 1) == 0,
        .keep_alive_s = keep_alive < (uint32_t)configured_s(paho) ? (uint16_t)keep_alive : 0,
    };
    terms.again = terms.keep_alive_s != 0 && terms.keep_alive_s < asked_s(paho);
    *paho->of_url = (struct paho_demands){terms.keep_alive_s, terms.no_qos_1, terms.no_retain};
    connected(paho, &terms);
}

static void on_connected3(void *context, MQTTAsync_successData *data)
{
    const struct davy_mqtt_terms terms = {.window = UINT16_MAX};
    (void)data;
    connected(context, &terms);
}

/* CONNACK return codes of MQTT 3.1.1, section 3.2.2.3, as the reason codes of MQTT 5 that say the same. */
static const uint8_t connack_codes[] = {[1] = 0x84, [2] = 0x85, [3] = 0x88, [4] = 0x86, [5] = 0x87};

static void not_connected(struct paho *paho, const char *text, uint8_t code, bool again)
{
    struct davy_mqtt_notice notice = {.kind = DAVY_MQTT_REFUSED, .reason_code = code, .terms.again = again};
    const char *why = paho->certificate_error[0] ? paho->certificate_error : paho->tls_error;
    if (code != 0)
        snprintf(notice.text, sizeof notice.text, "%s (0x%02x)", davy_reason_code_name(code), code);
    else
        snprintf(notice.text, sizeof notice.text, "%s%s%s", text ? text : "connect failed", why[0] ? ": " : "", why);
    davy_paho_push(paho, &notice);
    atomic_store(&paho->phase, PAHO_IDLE);
}

/* A will that this broker cannot take is not offered again as it was. True: that was news. */
static bool learn(struct paho *paho, int code)
{
    struct paho_demands *demands = paho->of_url;
    bool *taken = code == DAVY_REASON_QOS_NOT_SUPPORTED      ? &demands->no_qos_1
                  : code == DAVY_REASON_RETAIN_NOT_SUPPORTED ? &demands->no_retain
                                                             : NULL;
    if (!taken || *taken)
        return false;
    *taken = true;
    return true;
}

static void on_refused5(void *context, MQTTAsync_failureData5 *data)
{
    struct paho *paho = context;
    /* 1.3.12 has the reason of a CONNACK in `code`, not in `reasonCode`. */
    const int code = data->code >= DAVY_REASON_FAILURE ? data->code : (int)data->reasonCode;
    const bool again = learn(paho, code);
    not_connected(paho, data->message, code >= DAVY_REASON_FAILURE ? (uint8_t)code : 0, again);
}

static void on_refused3(void *context, MQTTAsync_failureData *data)
{
    bool known = data->code > 0 && (size_t)data->code < DAVY_LENGTH(connack_codes);
    not_connected(context, data->message, known ? connack_codes[data->code] : 0, false);
}

static void on_lost(void *context, char *cause)
{
    struct paho *paho = context;
    davy_paho_push_text(paho, DAVY_MQTT_LOST, cause ? cause : "closed by the broker or the network", "");
    atomic_store(&paho->phase, PAHO_IDLE);
}

/* What is in flight fails, and the connection is lost, after this. */
static void on_server_disconnect(void *context, MQTTProperties *properties, enum MQTTReasonCodes reason)
{
    struct davy_mqtt_notice notice = {.kind = DAVY_MQTT_LEAVES, .reason_code = (uint8_t)reason};
    (void)properties;
    snprintf(notice.text, sizeof notice.text, "the broker leaves, %s (0x%02x)",
             davy_reason_code_name(notice.reason_code), notice.reason_code);
    davy_paho_push(context, &notice);
}

static void left(struct paho *paho)
{
    atomic_store(&paho->phase, PAHO_IDLE);
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

/* ---- the publisher's side ---- */

static int create(struct paho *paho, const char *url)
{
    MQTTAsync_createOptions options = MQTTAsync_createOptions_initializer5;
    options.MQTTVersion = paho->mqtt->version_3 ? MQTTVERSION_3_1_1 : MQTTVERSION_5;
    options.restoreMessages = 0;
    int rc = MQTTAsync_createWithOptions(&paho->handle, url, paho->mqtt->client_id, MQTTCLIENT_PERSISTENCE_NONE, NULL,
                                         &options);
    if (rc != MQTTASYNC_SUCCESS)
        return -ENOMEM;
    MQTTAsync_setCallbacks(paho->handle, paho, on_lost, davy_paho_arrived, NULL);
    if (!paho->mqtt->version_3)
        MQTTAsync_setDisconnected(paho->handle, paho, on_server_disconnect);
    return 0;
}

void davy_paho_destroy(struct paho *paho)
{
    if (paho->handle)
        MQTTAsync_destroy(&paho->handle);
    paho->handle = NULL;
    atomic_store(&paho->phase, PAHO_IDLE);
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
    bool idle = atomic_load(&paho->phase) == PAHO_IDLE;
    if (!idle && ++paho->busy < BUSY_MAX)
        return -EBUSY;
    /* A handle that once spoke TLS goes on speaking it, also to tcp://. */
    const uint64_t files = davy_endpoint_fingerprint(paho->mqtt);
    const bool renewed = endpoint->tls && files != paho->files; /* its TLS session would go on with the old ones */
    if (!idle || paho->tls != endpoint->tls || renewed || has_leftovers(paho))
        davy_paho_destroy(paho);
    paho->busy = 0;
    paho->tls = endpoint->tls;
    paho->files = files;
    return paho->handle ? 0 : create(paho, endpoint->url);
}

/* Everything that a connect points to. */
struct attempt {
    struct davy_endpoint endpoint;
    char password[DAVY_ENDPOINT_SECRET_SIZE];
    char error[DAVY_ENDPOINT_ERROR_SIZE];
    char *server[1];
    MQTTAsync_willOptions will;
    MQTTProperties will_properties;
    MQTTProperties properties;
    MQTTAsync_SSLOptions tls;
    MQTTAsync_connectOptions options;
};

/* What a broker may send us: nothing but commands, and those are short. One that cares sends no more. */
static MQTTProperties limits_of_ours(void)
{
    MQTTProperties properties = MQTTProperties_initializer;
    MQTTProperty size = {.identifier = MQTTPROPERTY_CODE_MAXIMUM_PACKET_SIZE, .value.integer4 = PACKET_MAX};
    MQTTProperty window = {.identifier = MQTTPROPERTY_CODE_RECEIVE_MAXIMUM, .value.integer2 = RECEIVE_MAX};
    MQTTProperties_add(&properties, &size);
    MQTTProperties_add(&properties, &window);
    return properties;
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
        attempt->will_properties = davy_paho_describe("davy.status/1", 0, false);
        options->willProperties = &attempt->will_properties;
        attempt->properties = limits_of_ours();
        options->connectProperties = &attempt->properties;
    }
}

static void set_options(struct paho *paho, struct attempt *attempt, const struct davy_mqtt_will *will)
{
    MQTTAsync_connectOptions *options = &attempt->options;
    set_version(paho, attempt);
    attempt->will = (MQTTAsync_willOptions)MQTTAsync_willOptions_initializer;
    attempt->will.topicName = will->topic;
    attempt->will.message = will->payload;
    attempt->will.retained = !paho->of_url->no_retain;
    attempt->will.qos = paho->of_url->no_qos_1 ? 0 : 1;
    attempt->server[0] = attempt->endpoint.url;
    options->will = &attempt->will;
    options->serverURIcount = 1;
    options->serverURIs = attempt->server;
    options->keepAliveInterval = asked_s(paho);
    options->connectTimeout = CONNECT_TIMEOUT_S;
    options->maxInflight = UINT16_MAX;
    options->username = paho->mqtt->username;
    if (attempt->password[0]) {
        options->binarypwd.data = attempt->password;
        options->binarypwd.len = (int)strlen(attempt->password);
    }
    options->context = paho;
    if (attempt->endpoint.tls) {
        davy_paho_watch_tls(paho);
        davy_paho_set_tls(paho, &attempt->tls);
        options->ssl = &attempt->tls;
    }
}

/* What paho's threads find out is of this attempt. */
static void forget_last(struct paho *paho, const struct davy_endpoint *endpoint)
{
    snprintf(paho->host, sizeof paho->host, "%s", endpoint->tls ? endpoint->host : "");
    paho->tls_error[0] = '\0';
    paho->certificate_error[0] = '\0';
    paho->certificate_end = (davy_wall){0};
}

/* Start the attempt, with the files as they are now. */
static int start(struct paho *paho, struct attempt *attempt, const struct davy_mqtt_will *will)
{
    int rc = ready_handle(paho, &attempt->endpoint);
    if (rc < 0)
        return rc;
    set_options(paho, attempt, will);
    forget_last(paho, &attempt->endpoint);
    paho->large = davy_paho_large();
    atomic_store(&paho->phase, PAHO_CONNECTING);
    rc = MQTTAsync_connect(paho->handle, &attempt->options);
    MQTTProperties_free(&attempt->will_properties);
    MQTTProperties_free(&attempt->properties);
    if (rc != MQTTASYNC_SUCCESS)
        atomic_store(&paho->phase, PAHO_IDLE);
    return davy_paho_errno(rc);
}

static struct paho_demands *demands_of(struct paho *paho, const char *url)
{
    size_t i = 0;
    while (i < PAHO_URLS - 1 && i < paho->mqtt->url_count && strcmp(paho->mqtt->urls[i], url) != 0)
        i++;
    return &paho->demands[i];
}

int davy_paho_connect(void *client, const char *url, const struct davy_mqtt_will *will)
{
    struct paho *paho = client;
    struct attempt attempt = {.will_properties = MQTTProperties_initializer, .properties = MQTTProperties_initializer};
    if (davy_endpoint_parse(url, &attempt.endpoint) < 0) {
        davy_paho_push_text(paho, DAVY_MQTT_REFUSED, "not an address of a broker", url);
        return 0;
    }
    if (davy_endpoint_password(paho->mqtt, attempt.password, attempt.error) < 0 ||
        (attempt.endpoint.tls && davy_endpoint_check_files(paho->mqtt, attempt.error) < 0)) {
        davy_paho_push_text(paho, DAVY_MQTT_REFUSED, attempt.error, "");
        return 0;
    }
    paho->of_url = demands_of(paho, url);
    int rc = start(paho, &attempt, will);
    explicit_bzero(attempt.password, sizeof attempt.password);
    return rc;
}

/* Ask for the end of the connection; its end is reported by left(). */
static void leave(struct paho *paho, davy_span timeout, bool with_will)
{
    int up = PAHO_UP;
    if (!atomic_compare_exchange_strong(&paho->phase, &up, PAHO_LEAVING))
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

void davy_paho_disconnect(void *client, davy_span timeout)
{
    struct paho *paho = client;
    davy_waker_wait(&paho->left, (davy_span){0}); /* an old ring */
    leave(paho, (davy_span){timeout.ns / 2}, false);
    if (atomic_load(&paho->phase) == PAHO_LEAVING)
        davy_waker_wait(&paho->left, timeout);
}

void davy_paho_drop(void *client)
{
    struct paho *paho = client;
    leave(paho, davy_span_ms(1), true);
    if (paho->swollen)
        davy_paho_shed(paho);
}
