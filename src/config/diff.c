/* SPDX-License-Identifier: Apache-2.0 */
#include "config/diff.h"

#include <string.h>

/* -1: only in a; 1: only in b; 0: in both. */
static int order(const struct davy_config *a, size_t i, const struct davy_config *b, size_t j)
{
    if (i == a->setting_count)
        return 1;
    if (j == b->setting_count)
        return -1;
    return strcmp(a->settings[i].path, b->settings[j].path);
}

size_t davy_config_diff(const struct davy_config *from, const struct davy_config *to,
                        void (*each)(void *context, const struct davy_change *change), void *context)
{
    size_t i = 0, j = 0, count = 0;
    while (i < from->setting_count || j < to->setting_count) {
        int which = order(from, i, to, j);
        const struct davy_setting *old = which <= 0 ? &from->settings[i++] : NULL;
        const struct davy_setting *new = which >= 0 ? &to->settings[j++] : NULL;
        if (old && new &&strcmp(old->value, new->value) == 0)
            continue;
        struct davy_change change = {old ? old->path : new->path, old ? old->value : NULL, new ? new->value : NULL};
        each(context, &change);
        count++;
    }
    return count;
}

static bool begins(const char *path, const char *with)
{
    return strncmp(path, with, strlen(with)) == 0;
}

static bool has_mqtt(const struct davy_config *config)
{
    for (size_t i = 0; i < config->setting_count; i++)
        if (begins(config->settings[i].path, "mqtt."))
            return true;
    return false;
}

enum davy_effect davy_change_effect(const struct davy_config *from, const struct davy_config *to,
                                    const struct davy_change *change)
{
    static const char *const fixed[] = {"gateway.id", "gateway.site", "storage.directory"};
    for (size_t i = 0; i < DAVY_LENGTH(fixed); i++)
        if (strcmp(change->path, fixed[i]) == 0)
            return DAVY_EFFECT_RESTART;
    if (begins(change->path, "mqtt."))
        return has_mqtt(from) == has_mqtt(to) ? DAVY_EFFECT_MQTT : DAVY_EFFECT_RESTART;
    return begins(change->path, "buses.") ? DAVY_EFFECT_BUS : DAVY_EFFECT_RELOAD;
}

static bool same_text(const char *a, const char *b)
{
    if (!a || !b)
        return a == b;
    return strcmp(a, b) == 0;
}

bool davy_config_same_bus(const struct davy_bus *a, const struct davy_bus *b)
{
    return same_text(a->name, b->name) && a->type == b->type && same_text(a->device, b->device) && a->baud == b->baud &&
           a->parity == b->parity && a->data_bits == b->data_bits && a->stop_bits == b->stop_bits &&
           same_text(a->host, b->host) && a->port == b->port && a->connections == b->connections &&
           a->timeout.ns == b->timeout.ns && a->retries == b->retries && a->pause.ns == b->pause.ns &&
           a->fault_delay.ns == b->fault_delay.ns && a->rs485 == b->rs485 && a->rts_delay.ns == b->rts_delay.ns &&
           a->echo == b->echo;
}

static bool same_urls(const struct davy_mqtt *a, const struct davy_mqtt *b)
{
    if (a->url_count != b->url_count)
        return false;
    for (size_t i = 0; i < a->url_count; i++)
        if (!same_text(a->urls[i], b->urls[i]))
            return false;
    return true;
}

bool davy_config_same_mqtt(const struct davy_mqtt *a, const struct davy_mqtt *b)
{
    return a->enabled == b->enabled && same_urls(a, b) && a->version_3 == b->version_3 &&
           same_text(a->client_id, b->client_id) && same_text(a->username, b->username) &&
           same_text(a->password_file, b->password_file) && same_text(a->ca_file, b->ca_file) &&
           same_text(a->cert_file, b->cert_file) && same_text(a->key_file, b->key_file) &&
           same_text(a->prefix, b->prefix) && a->keepalive.ns == b->keepalive.ns && a->telemetry == b->telemetry &&
           a->telemetry_interval.ns == b->telemetry_interval.ns &&
           a->telemetry_per_gateway == b->telemetry_per_gateway && a->commands == b->commands &&
           a->delivery_platform == b->delivery_platform && a->confirm_within.ns == b->confirm_within.ns;
}
