/* SPDX-License-Identifier: Apache-2.0 */
#include "publish/account.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "publish/reason.h"
#include "publish/session.h"

/* FNV-1a, never 0. */
static uint64_t hash_of(const char *text)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    return hash | 1;
}

void davy_account_error(struct davy_account *account, struct davy_publisher_status *status, size_t url,
                        const char *url_text, const char *what, const char *text, davy_wall now)
{
    char error[sizeof status->last_error];
    snprintf(error, sizeof error, "%s: %s", what, text[0] ? text : "no reason given");
    if (strcmp(error, status->last_error) != 0 || strcmp(url_text, status->error_url) != 0) {
        memcpy(status->last_error, error, sizeof error);
        snprintf(status->error_url, sizeof status->error_url, "%s", url_text);
        status->error_first = now;
        status->error_count = 0;
    }
    status->error_last = now;
    status->error_count++;
    uint64_t *logged = &account->errors[url < DAVY_PUBLISHER_URLS ? url : DAVY_PUBLISHER_URLS - 1];
    if (*logged != hash_of(error))
        davy_warning("mqtt", "%s (%s)", error, url_text);
    *logged = hash_of(error);
}

void davy_account_refusal(struct davy_account *account, struct davy_publisher_status *status, const char *topic,
                          uint8_t reason_code, davy_wall now)
{
    uint8_t *logged = &account->reasons[reason_code / 8], bit = (uint8_t)(1U << reason_code % 8);
    status->refused++;
    status->refusal_code = reason_code;
    status->refusal_at = now;
    snprintf(status->refusal_topic, sizeof status->refusal_topic, "%s", topic);
    if (!(*logged & bit))
        davy_warning("mqtt", "%s is refused: %s (0x%02x); tried again later", topic, davy_reason_code_name(reason_code),
                     reason_code);
    *logged |= bit;
}

/* Begin another limit of the list. */
static struct davy_buf *also(struct davy_buf *out)
{
    if (out->length > 0)
        davy_buf_text(out, "; ");
    return out;
}

static void write_limits(const struct davy_mqtt_terms *terms, char text[DAVY_PUBLISHER_LIMITS_SIZE])
{
    struct davy_buf out;
    davy_buf_init(&out, text, DAVY_PUBLISHER_LIMITS_SIZE);
    if (terms->no_qos_1)
        davy_buf_text(also(&out), "QoS 0 only: nothing is acknowledged, so events stay in the outbox");
    if (terms->no_retain)
        davy_buf_text(also(&out), "nothing is retained");
    if (terms->max_packet > 0)
        davy_buf_printf(also(&out), "packets of at most %u bytes", terms->max_packet);
    if (terms->window < DAVY_INFLIGHT_MAX)
        davy_buf_printf(also(&out), "receive maximum %u", terms->window);
    if (terms->keep_alive_s > 0)
        davy_buf_printf(also(&out), "keep alive %u s", terms->keep_alive_s);
}

void davy_account_session(struct davy_account *account, struct davy_publisher_status *status,
                          const struct davy_mqtt_terms *terms)
{
    memset(account->errors, 0, sizeof account->errors);
    memset(account->reasons, 0, sizeof account->reasons);
    write_limits(terms, status->limits);
    status->server_certificate_end = terms->certificate_end;
    if (status->limits[0] && strcmp(status->limits, account->limits) != 0)
        davy_warning("mqtt", "limits of the broker: %s", status->limits);
    memcpy(account->limits, status->limits, sizeof account->limits);
}
