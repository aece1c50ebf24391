/* SPDX-License-Identifier: Apache-2.0 */
#include "model/message.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int davy_message_new(enum davy_message_class class, int64_t row, const char *topic, const char *payload,
                     struct davy_message *ret_message)
{
    struct davy_message message = {.class = class, .row = row, .topic = strdup(topic), .payload = strdup(payload)};
    if (!message.topic || !message.payload) {
        davy_message_done(&message);
        return -ENOMEM;
    }
    message.length = strlen(payload);
    *ret_message = message;
    return 0;
}

void davy_message_done(struct davy_message *message)
{
    free(message->topic);
    free(message->payload);
    free(message->correlation);
    message->topic = NULL;
    message->payload = NULL;
    message->correlation = NULL;
}
