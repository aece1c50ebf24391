/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to the floor `publish`: what the publisher's status tells of the broker's trouble, and what of it is logged.
 * A broker decides how often it refuses: nothing here grows, and nothing is logged twice in a session.
 * Thread: the publisher's.
 */
#pragma once

#include "base/clock.h"
#include "model/message.h"
#include "publish/mqtt.h"
#include "publish/publisher.h"

/* What was logged already. */
struct davy_account {
    uint64_t errors[DAVY_PUBLISHER_URLS]; /* hash of the text last logged of each broker; 0: none in this session */
    uint8_t reasons[32];                  /* bit set: reason codes of refusals in this session */
    char limits[DAVY_PUBLISHER_LIMITS_SIZE];
};

/*
 * A connect failed, a connection was lost, or something else went wrong with this broker.
 * url       position and text of the broker
 * what      what was tried, "cannot connect"; text why, empty: no reason is known
 */
void davy_account_error(struct davy_account *account, struct davy_publisher_status *status, size_t url,
                        const char *url_text, const char *what, const char *text, davy_wall now);

/* The broker, or we in its place, refused a message. */
void davy_account_refusal(struct davy_account *account, struct davy_publisher_status *status, const char *topic,
                          uint8_t reason_code, davy_wall now);

/* A session began: its terms, and all that happens now is news again. */
void davy_account_session(struct davy_account *account, struct davy_publisher_status *status,
                          const struct davy_mqtt_terms *terms);
