/* SPDX-License-Identifier: Apache-2.0 */
/* The alarms of the gateway about itself: `storage`, `mqtt`, `config` (contract alarms.md, section 1). */
#include "daemon/internal.h"

/* Without a connection for this long, or after a refusal for this long. */
#define MQTT_PATIENCE (60 * DAVY_NS_PER_S)

/* The storage must be well for this long. */
#define STORAGE_CALM (60 * DAVY_NS_PER_S)

static void tell(struct daemon *daemon, enum davy_alarm_kind kind, bool condition, bool *told)
{
    if (*told == condition)
        return;
    struct ask ask = {.kind = ASK_SELF, .self = kind, .condition = condition};
    if (davy_queue_push(&pipeline_route(daemon->pipeline)->asks, &ask) == 0)
        *told = condition;
}

static bool storage_troubled(struct daemon *daemon, davy_mono now)
{
    struct recorder_status recorder;
    davy_cell_get(&pipeline_route(daemon->pipeline)->recorder, &recorder);
    return recorder.troubled_at.ns != 0 && davy_mono_sub(now, recorder.troubled_at).ns < STORAGE_CALM;
}

static bool mqtt_troubled(struct daemon *daemon, davy_mono now)
{
    struct route *route = pipeline_route(daemon->pipeline);
    if (!route->publisher)
        return false;
    struct davy_publisher_status status;
    davy_publisher_status(route->publisher, &status);
    struct selfwatch *watch = &daemon->watch;
    if (status.connected)
        watch->disconnected_since = (davy_mono){0};
    else if (watch->disconnected_since.ns == 0)
        watch->disconnected_since = now;
    if (status.refused > watch->refused)
        watch->refused_at = now;
    watch->refused = status.refused;
    bool away = watch->disconnected_since.ns != 0 && davy_mono_sub(now, watch->disconnected_since).ns >= MQTT_PATIENCE;
    bool refused = watch->refused_at.ns != 0 && davy_mono_sub(now, watch->refused_at).ns < MQTT_PATIENCE;
    return away || refused;
}

void daemon_watch_self(struct daemon *daemon, davy_mono now)
{
    struct selfwatch *watch = &daemon->watch;
    tell(daemon, DAVY_ALARM_STORAGE, storage_troubled(daemon, now), &watch->storage);
    tell(daemon, DAVY_ALARM_MQTT, mqtt_troubled(daemon, now), &watch->mqtt);
    tell(daemon, DAVY_ALARM_CONFIG, watch->config_refused, &watch->config);
}
