/* SPDX-License-Identifier: Apache-2.0 */
/* What comes in: the subscription, and the messages that it brings. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "publish/paho.h"
#include "publish/reason.h"

/* ---- callbacks, on paho's threads ---- */

/* Longer ones than this are too long for whoever judges them: the rest is not kept. */
#define TEXT_MAX 1024

static_assert(TEXT_MAX > DAVY_REMOTE_TOPIC_MAX, "what is cut off must still be too long");

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

static size_t bounded(size_t length)
{
    return length < TEXT_MAX ? length : TEXT_MAX;
}

static struct davy_mqtt_command copy_command(const char *topic, size_t topic_length, MQTTAsync_message *message)
{
    struct davy_mqtt_command command = {.length = (size_t)message->payloadlen, .retained = message->retained != 0};
    const MQTTLenString *response = data_property(&message->properties, MQTTPROPERTY_CODE_RESPONSE_TOPIC);
    const MQTTLenString *correlation = data_property(&message->properties, MQTTPROPERTY_CODE_CORRELATION_DATA);
    command.topic = copy_text(topic, bounded(topic_length));
    if (command.length <= DAVY_REMOTE_PAYLOAD_MAX)
        command.payload = copy_text(message->payload ? message->payload : "", command.length);
    if (response)
        command.response_topic = copy_text(response->data, bounded((size_t)response->len));
    if (correlation) {
        command.correlation_length = (size_t)correlation->len;
        if (command.correlation_length <= DAVY_REMOTE_CORRELATION_MAX)
            command.correlation = (unsigned char *)copy_text(correlation->data, command.correlation_length);
    }
    return command;
}

int davy_paho_arrived(void *context, char *topic, int topic_length, MQTTAsync_message *message)
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

static void not_subscribed(void *context, const char *why)
{
    davy_paho_push_text(context, DAVY_MQTT_NOT_SUBSCRIBED, why ? why : "refused", "");
}

static void subscribed(struct paho *paho)
{
    const struct davy_mqtt_notice notice = {.kind = DAVY_MQTT_SUBSCRIBED};
    davy_paho_push(paho, &notice);
}

static void on_subscribed5(void *context, MQTTAsync_successData5 *data)
{
    if (data->reasonCode >= DAVY_REASON_FAILURE)
        not_subscribed(context, davy_reason_code_name((uint8_t)data->reasonCode));
    else
        subscribed(context);
}

static void on_not_subscribed5(void *context, MQTTAsync_failureData5 *data)
{
    const bool coded = data->reasonCode >= DAVY_REASON_FAILURE;
    not_subscribed(context, coded ? davy_reason_code_name((uint8_t)data->reasonCode) : data->message);
}

static void on_subscribed3(void *context, MQTTAsync_successData *data)
{
    if (data->alt.qos >= DAVY_REASON_FAILURE)
        not_subscribed(context, NULL);
    else
        subscribed(context);
}

static void on_not_subscribed3(void *context, MQTTAsync_failureData *data)
{
    not_subscribed(context, data ? data->message : NULL);
}

/* ---- the publisher's side ---- */

int davy_paho_subscribe(void *client, const char *filter)
{
    struct paho *paho = client;
    if (atomic_load(&paho->phase) != PAHO_UP)
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
    return davy_paho_errno(MQTTAsync_subscribe(paho->handle, filter, 1, &response));
}
