/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Anybody whom the broker lets may publish anything as a command. The input is a verb (its first line) and a payload,
 * and the response topic is the payload's beginning. Whatever comes: bounds hold, a refusal has a reason, an answer is
 * one JSON object to a topic that is nobody's.
 */
#undef NDEBUG
#include <assert.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "publish/incoming.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct davy_config *new_config(void)
{
    struct davy_config *config = davy_config_new();
    assert(config);
    config->gateway = (struct davy_gateway){.id = "edge", .site = "site"};
    config->mqtt = (struct davy_mqtt){.enabled = true, .prefix = "davy/v1", .commands = 15};
    return config;
}

static char *text_of(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    memcpy(text, data, size);
    text[size] = '\0';
    return text;
}

static void check_answer(const struct davy_remote *remote)
{
    struct davy_message message;
    assert(davy_remote_reply(remote, remote->refusal[0] ? remote->refusal : NULL, &message) == 0);
    json_t *root = json_loads(message.payload, JSON_REJECT_DUPLICATES, NULL);
    assert(json_object_size(root) == 5 && json_is_string(json_object_get(root, "verb")));
    json_decref(root);
    assert(!message.retain && message.topic[0] && !strpbrk(message.topic, "+#"));
    assert(strncmp(message.topic, "davy/v1/site/edge", 17) != 0 || strncmp(message.topic + 17, "/reply", 6) == 0 ||
           (message.topic[17] != '\0' && message.topic[17] != '/'));
    davy_message_done(&message);
}

static void judge(struct davy_incoming *in, const struct davy_config *config, struct davy_mqtt_command *command)
{
    const struct davy_stamp now = {{100 * DAVY_NS_PER_S}, {1763884862 * DAVY_NS_PER_S}};
    struct davy_remote *remote = davy_incoming_judge(in, config, command, now);
    if (!remote)
        return;
    assert(strncmp(remote->by, "mqtt:", 5) == 0 && remote->by[5] && remote->name[0]);
    assert(remote->refusal[0] || remote->verb < DAVY_REMOTE_COUNT_);
    davy_incoming_accepted(in, remote);
    check_answer(remote);
    free(remote);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *line = memchr(data, '\n', size);
    if (!line || size > 2 * DAVY_REMOTE_PAYLOAD_MAX)
        return 0;
    davy_log_set_level(DAVY_LOG_ERROR); /* what is ignored is logged */
    struct davy_config *config = new_config();
    struct davy_incoming in;
    char topic[128];
    size_t length = size - (size_t)(line - data) - 1;
    snprintf(topic, sizeof topic, "davy/v1/site/edge/cmd/%.*s", (int)(line - data), (const char *)data);
    assert(davy_incoming_init(&in, (davy_mono){0}) == 0);
    struct davy_mqtt_command command = {.topic = topic, .payload = text_of(line + 1, length), .length = length};
    judge(&in, config, &command);
    command.response_topic = text_of(line + 1, length < 600 ? length : 600);
    command.correlation = (unsigned char *)text_of(line + 1, length);
    command.correlation_length = length;
    judge(&in, config, &command);
    free(command.payload);
    free(command.response_topic);
    free(command.correlation);
    davy_incoming_done(&in);
    davy_config_unref(config);
    return 0;
}
