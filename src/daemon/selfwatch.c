/* SPDX-License-Identifier: Apache-2.0 */
/* The alarms of the gateway about itself: `storage`, `mqtt`, `config`, `clock`, `overload` (ARCHITECTURE.md, Built-in alarms). */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "daemon/internal.h"
#include "publish/certificate.h"

/* Without a connection for this long, or after a refusal for this long. */
#define MQTT_PATIENCE (60 * DAVY_NS_PER_S)

/* Events that nobody confirms for this long. */
#define UNCONFIRMED (600 * DAVY_NS_PER_S)

/* How often our certificate is looked at. */
#define CERTIFICATE_LOOK (3600 * DAVY_NS_PER_S)

/* The storage must be well for this long. */
#define STORAGE_CALM (60 * DAVY_NS_PER_S)

static void tell_why(struct daemon *daemon, enum davy_alarm_kind kind, enum told now, const char *why, enum told *told)
{
    if (now == TOLD_NOTHING || *told == now)
        return;
    struct ask ask = {.kind = ASK_SELF, .self = kind, .condition = now == TOLD_TRUE};
    snprintf(ask.request.note, sizeof ask.request.note, "%s", why);
    if (davy_queue_push(&pipeline_route(daemon->pipeline)->asks, &ask) == 0)
        *told = now;
}

static void tell(struct daemon *daemon, enum davy_alarm_kind kind, enum told now, enum told *told)
{
    tell_why(daemon, kind, now, "", told);
}

static bool storage_troubled(struct daemon *daemon, davy_mono now)
{
    struct recorder_status recorder;
    davy_cell_get(&pipeline_route(daemon->pipeline)->recorder, &recorder);
    davy_span patience = pipeline_config(daemon->pipeline)->storage.announce_within;
    bool hangs = recorder.committing_since.ns != 0 && davy_mono_sub(now, recorder.committing_since).ns > patience.ns;
    bool lately = recorder.troubled_at.ns != 0 && davy_mono_sub(now, recorder.troubled_at).ns < STORAGE_CALM;
    return hangs || recorder.failing || lately;
}

/* A refusal, or an acknowledgement that says that nobody subscribed, within MQTT_PATIENCE. */
static bool refused(struct selfwatch *watch, uint64_t refusals, davy_mono now)
{
    if (refusals > watch->refused)
        watch->refused_at = now;
    watch->refused = refusals;
    return watch->refused_at.ns != 0 && davy_mono_sub(now, watch->refused_at).ns < MQTT_PATIENCE;
}

static bool away(struct selfwatch *watch, bool connected, davy_mono now)
{
    if (connected)
        watch->disconnected_since = (davy_mono){0};
    else if (watch->disconnected_since.ns == 0)
        watch->disconnected_since = now;
    return !connected && davy_mono_sub(now, watch->disconnected_since).ns >= MQTT_PATIENCE;
}

static bool certificate_due(const struct daemon *daemon)
{
    davy_wall end = daemon->watch.certificate_end;
    return end.ns != 0 && end.ns - davy_clock_now(daemon->clock).wall.ns <= DAVY_CERTIFICATE_NOTICE.ns;
}

/* Our certificate is looked at once an hour: it may be renewed while we run. Said once for each that is due. */
static void look_at_certificate(struct daemon *daemon, davy_mono now)
{
    struct selfwatch *watch = &daemon->watch;
    const char *file = pipeline_config(daemon->pipeline)->mqtt.cert_file;
    davy_wall end = {0}, before = watch->certificate_end;
    if (watch->certificate_looked_at.ns != 0 && davy_mono_sub(now, watch->certificate_looked_at).ns < CERTIFICATE_LOOK)
        return;
    watch->certificate_looked_at = now;
    int rc = file ? davy_certificate_end(file, &end) : 0;
    if (rc < 0)
        davy_warning("mqtt", "%s: when it ends cannot be read: %s", file, strerror(-rc));
    watch->certificate_end = end;
    char text[DAVY_WALL_TEXT];
    if (end.ns != 0 && end.ns != before.ns && certificate_due(daemon))
        davy_warning("mqtt", "%s ends at %s: renew it", file, davy_wall_format(end, text));
}

static void add_trouble(struct davy_buf *why, bool is, const char *text)
{
    if (is)
        davy_buf_printf(why, "%s%s", why->length > 0 ? "; " : "", text);
}

static bool is_late(const struct recorder_status *recorder, davy_wall now)
{
    return recorder->oldest.ns != 0 && now.ns - recorder->oldest.ns >= UNCONFIRMED;
}

/* What troubles the way to the platform; nothing: all is well. */
static void find_mqtt_troubles(struct daemon *daemon, const struct davy_publisher_status *publisher,
                               const struct recorder_status *recorder, struct davy_stamp now, struct davy_buf *why)
{
    struct selfwatch *watch = &daemon->watch;
    look_at_certificate(daemon, now.mono);
    add_trouble(why, away(watch, publisher->connected, now.mono), "no connection");
    add_trouble(why, refused(watch, publisher->refused + publisher->unheard, now.mono) || recorder->parked > 0,
                "the broker refuses, or nobody has subscribed");
    add_trouble(why, recorder->overdue, "the platform does not confirm");
    add_trouble(why, !recorder->overdue && is_late(recorder, now.wall), "an event is not delivered for 10 min");
    add_trouble(why, certificate_due(daemon), "the certificate is about to end");
}

/* What was unconfirmed before the start may have been so for long: nothing is over before it is confirmed. */
static enum told mqtt_told(struct daemon *daemon, struct davy_stamp now, struct davy_buf *why)
{
    struct route *route = pipeline_route(daemon->pipeline);
    if (!route->publisher)
        return TOLD_FALSE;
    struct davy_publisher_status publisher;
    struct recorder_status recorder;
    davy_publisher_status(route->publisher, &publisher);
    davy_cell_get(&route->recorder, &recorder);
    find_mqtt_troubles(daemon, &publisher, &recorder, now, why);
    if (why->length > 0)
        return TOLD_TRUE;
    return daemon->watch.mqtt == TOLD_NOTHING && recorder.doubtful ? TOLD_NOTHING : TOLD_FALSE;
}

/* A queue of the route that is over half full. */
static bool queue_full(struct route *route)
{
    struct davy_queue *const queues[] = {&route->blocks,   &route->asks,       &route->replies, &route->records,
                                         &route->readings, &route->deliveries, &route->notices, &route->demands};
    for (size_t i = 0; i < DAVY_LENGTH(queues); i++)
        if (davy_queue_count(queues[i]) > davy_queue_space(queues[i]))
            return true;
    return false;
}

static enum told overloaded(struct daemon *daemon, davy_mono now)
{
    struct route *route = pipeline_route(daemon->pipeline);
    struct evaluator_status evaluator;
    davy_cell_get(&route->evaluator, &evaluator);
    return overload_judge(&daemon->watch.overload_watch, queue_full(route), evaluator.slow_points > 0, now);
}

static enum told told_of(bool condition)
{
    return condition ? TOLD_TRUE : TOLD_FALSE;
}

/* What stood before the start is not over before a minute without it has passed. */
static enum told storage_told(struct daemon *daemon, davy_mono now)
{
    struct selfwatch *watch = &daemon->watch;
    if (watch->begun.ns == 0)
        watch->begun = now;
    bool troubled = storage_troubled(daemon, now);
    bool early = watch->storage == TOLD_NOTHING && davy_mono_sub(now, watch->begun).ns < STORAGE_CALM;
    return early && !troubled ? TOLD_NOTHING : told_of(troubled);
}

void daemon_watch_self(struct daemon *daemon, struct davy_stamp now)
{
    struct selfwatch *watch = &daemon->watch;
    tell(daemon, DAVY_ALARM_STORAGE, storage_told(daemon, now.mono), &watch->storage);
    char text[DAVY_NOTE_SIZE];
    struct davy_buf why;
    davy_buf_init(&why, text, sizeof text);
    enum told mqtt = mqtt_told(daemon, now, &why);
    tell_why(daemon, DAVY_ALARM_MQTT, mqtt, text, &watch->mqtt);
    tell(daemon, DAVY_ALARM_CONFIG, told_of(watch->config_refused), &watch->config);
    tell(daemon, DAVY_ALARM_CLOCK, clock_judge(&watch->clock_watch, davy_clock_synchronized(), now), &watch->clock);
    tell(daemon, DAVY_ALARM_OVERLOAD, overloaded(daemon, now.mono), &watch->overload);
}
