/* SPDX-License-Identifier: Apache-2.0 */
/* What goes out, and what became of it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "publish/paho.h"
#include "publish/reason.h"

/*
 * Acknowledgements of telemetry wake the publisher when so many have come, when none is awaited any more, and when the
 * window was full: more may wait for it, and a broker that sends without TCP_NODELAY (mosquitto by default) holds the
 * next acknowledgements back until we send something, or for the 40 ms that our kernel delays an ACK.
 */
#define PATIENCE 8

/* ---- callbacks, on paho's threads ---- */

static void settled(const struct paho_slot *slot, enum davy_mqtt_notice_kind kind, int reason, const char *text)
{
    struct davy_mqtt_notice notice = {.kind = kind, .token = slot->token, .reason_code = (uint8_t)reason};
    snprintf(notice.text, sizeof notice.text, "%s", text ? text : "");
    int awaited = atomic_fetch_sub(&slot->paho->awaited, 1) - 1;
    bool was_full = awaited + 1 >= atomic_load(&slot->paho->window);
    if (slot->patient && kind == DAVY_MQTT_ACKED && awaited > 0 && awaited % PATIENCE != 0 && !was_full)
        davy_paho_push_quietly(slot->paho, &notice);
    else
        davy_paho_push(slot->paho, &notice);
}

/* Only the reason code judges: paho calls the success back with refusals of some brokers, and fails with code 0. */
static void on_sent5(void *context, MQTTAsync_successData5 *data)
{
    const struct paho_slot *slot = context;
    const int reason = slot->unproven ? DAVY_REASON_QOS_NOT_SUPPORTED : (int)data->reasonCode;
    settled(slot, reason >= DAVY_REASON_FAILURE ? DAVY_MQTT_FAILED : DAVY_MQTT_ACKED, reason, NULL);
}

static void on_not_sent5(void *context, MQTTAsync_failureData5 *data)
{
    const int reason = data->reasonCode >= DAVY_REASON_FAILURE ? (int)data->reasonCode : 0;
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

/* ---- the publisher's side ---- */

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

MQTTProperties davy_paho_describe(const char *schema, uint32_t expiry_s, bool empty)
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

static struct paho_slot *take_slot(struct paho *paho, const struct davy_message *message, uint64_t token)
{
    struct paho_slot *slot = &paho->slots[paho->next_slot];
    paho->next_slot = (paho->next_slot + 1) % PAHO_SLOTS;
    *slot = (struct paho_slot){.paho = paho,
                               .token = token,
                               .patient = message->class == DAVY_MESSAGE_TELEMETRY,
                               .unproven = paho->of_url->no_qos_1};
    return slot;
}

/* Nothing is retained there, so nothing is to be cleared; without the retain flag it would be an empty message. */
static bool is_done_already(struct paho *paho, const struct davy_message *message, uint64_t token)
{
    const struct davy_mqtt_notice done = {.kind = DAVY_MQTT_ACKED, .token = token};
    if (!paho->of_url->no_retain || !message->retain || message->length > 0)
        return false;
    davy_paho_push(paho, &done);
    return true;
}

int davy_paho_publish(void *client, const struct davy_message *message, uint64_t token)
{
    struct paho *paho = client;
    if (atomic_load(&paho->phase) != PAHO_UP)
        return -ENOTCONN;
    if (is_done_already(paho, message, token))
        return 0;
    MQTTAsync_message out = MQTTAsync_message_initializer;
    MQTTAsync_responseOptions response = MQTTAsync_responseOptions_initializer;
    out.payload = message->payload;
    out.payloadlen = (int)message->length;
    out.qos = paho->of_url->no_qos_1 ? 0 : 1;
    out.retained = message->retain && !paho->of_url->no_retain;
    response.context = take_slot(paho, message, token);
    if (paho->mqtt->version_3) {
        response.onSuccess = on_sent3;
        response.onFailure = on_not_sent3;
    } else {
        response.onSuccess5 = on_sent5;
        response.onFailure5 = on_not_sent5;
        out.properties = davy_paho_describe(message->schema, message->expiry_s, message->length == 0);
        add_correlation(&out.properties, message);
    }
    atomic_fetch_add(&paho->awaited, 1); /* the call back may come before the return */
    int rc = MQTTAsync_sendMessage(paho->handle, message->topic, &out, &response);
    MQTTProperties_free(&out.properties);
    if (rc != MQTTASYNC_SUCCESS)
        atomic_fetch_sub(&paho->awaited, 1);
    return davy_paho_errno(rc);
}
