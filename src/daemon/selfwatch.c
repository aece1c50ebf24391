/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The alarms of the gateway about itself: `storage`, `mqtt`, `config`, `clock`, `overload` (ARCHITECTURE.md, Built-in
 * alarms).
 */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/utf8.h"
#include "daemon/internal.h"
#include "daemon/write.h"
#include "publish/certificate.h"
#include "publish/reason.h"

/* Without a connection for this long, or after a refusal for this long. */
#define MQTT_PATIENCE (60 * DAVY_NS_PER_S)

/* A twin with our client id is a matter for somebody this long after it was last seen: both back off. */
#define TWIN_PATIENCE (600 * DAVY_NS_PER_S)

/* How often our certificate is looked at. */
#define CERTIFICATE_LOOK (3600 * DAVY_NS_PER_S)

/* The storage must be well for this long. */
#define STORAGE_CALM (60 * DAVY_NS_PER_S)

/* Of an alarm that stands another cause is no event: it is what `alarms` and `explain` show from then on. */
static void tell_why(struct daemon *daemon, enum davy_alarm_kind kind, enum told now, const char *why,
                     struct told_cause *last)
{
    const davy_mono at = davy_clock_now(daemon->clock).mono;
    if (!cause_is_news(last, now, why, at))
        return;
    struct ask ask = {.kind = ASK_SELF, .self = kind, .condition = now == TOLD_TRUE};
    snprintf(ask.request.note, sizeof ask.request.note, "%s", why);
    if (davy_queue_push(&pipeline_route(daemon->pipeline)->asks, &ask) == 0)
        cause_was_told(last, now, why, at);
}

static void tell(struct daemon *daemon, enum davy_alarm_kind kind, enum told now, struct told_cause *last)
{
    tell_why(daemon, kind, now, "", last);
}

/* What troubles the storage; NULL: all is well. */
static const char *storage_trouble(const struct recorder_status *recorder, davy_span patience, davy_mono now)
{
    bool hangs = recorder->working_since.ns != 0 && davy_mono_sub(now, recorder->working_since).ns > patience.ns;
    bool lately = recorder->troubled_at.ns != 0 && davy_mono_sub(now, recorder->troubled_at).ns < STORAGE_CALM;
    if (hangs)
        return "the disk does not answer";
    return recorder->failing || lately ? recorder->trouble : NULL;
}

/* A refusal, or an acknowledgement that says that nobody subscribed, within MQTT_PATIENCE. */
static bool refused(struct selfwatch *watch, uint64_t refusals, davy_mono now)
{
    if (refusals > watch->refused)
        watch->refused_at = now;
    watch->refused = refusals;
    return watch->refused_at.ns != 0 && davy_mono_sub(now, watch->refused_at).ns < MQTT_PATIENCE;
}

/* Connections that do not hold are none. */
static bool away(struct selfwatch *watch, const struct davy_publisher_status *publisher, davy_mono now)
{
    const bool connected = publisher->connected && !publisher->unstable;
    if (connected)
        watch->disconnected_since = (davy_mono){0};
    else if (watch->disconnected_since.ns == 0)
        watch->disconnected_since = now;
    return !connected && davy_mono_sub(now, watch->disconnected_since).ns >= MQTT_PATIENCE;
}

static bool is_about_to_end(davy_wall end, davy_wall now)
{
    return end.ns != 0 && end.ns - now.ns <= DAVY_CERTIFICATE_NOTICE.ns;
}

/* Our certificate is looked at once an hour: it may be renewed while we run. Said once for each that is due. */
static void look_at_certificate(struct daemon *daemon, struct davy_stamp now)
{
    struct selfwatch *watch = &daemon->watch;
    const char *file = pipeline_config(daemon->pipeline)->mqtt.cert_file;
    davy_wall end = {0}, before = watch->certificate_end;
    if (watch->certificate_looked_at.ns != 0 &&
        davy_mono_sub(now.mono, watch->certificate_looked_at).ns < CERTIFICATE_LOOK)
        return;
    watch->certificate_looked_at = now.mono;
    int rc = file ? davy_certificate_end(file, &end) : 0;
    if (rc < 0)
        davy_warning("mqtt", "%s: when it ends cannot be read: %s", file, strerror(-rc));
    watch->certificate_end = end;
    char text[DAVY_WALL_TEXT];
    if (end.ns != before.ns && is_about_to_end(end, now.wall))
        davy_warning("mqtt", "%s ends at %s: renew it", file, davy_wall_format(end, text));
}

/* Said once for each that is due. */
static void look_at_servers_certificate(struct selfwatch *watch, davy_wall end, davy_wall now)
{
    char text[DAVY_WALL_TEXT];
    if (is_about_to_end(end, now) && end.ns != watch->server_certificate_end.ns)
        davy_warning("mqtt", "the broker's certificate ends at %s: have it renewed", davy_wall_format(end, text));
    watch->server_certificate_end = end;
}

/* Begin another trouble of the list. */
static struct davy_buf *also(struct davy_buf *why)
{
    if (why->length > 0)
        davy_buf_text(why, "; ");
    return why;
}

/* Between us and the broker. */
static void find_broker_troubles(struct selfwatch *watch, const struct davy_publisher_status *publisher,
                                 struct davy_stamp now, struct davy_buf *why)
{
    const bool twin =
        publisher->duplicate_at.ns != 0 && davy_mono_sub(now.mono, publisher->duplicate_at).ns < TWIN_PATIENCE;
    if (away(watch, publisher, now.mono))
        davy_buf_printf(also(why), "%s %s: %s",
                        publisher->unstable ? "no connection that holds, to" : "no connection to", publisher->url,
                        publisher->last_error[0] ? publisher->last_error : "no answer yet");
    if (twin)
        davy_buf_text(also(why), "duplicate identity: another client connects with our client id");
    if (is_about_to_end(watch->server_certificate_end, now.wall))
        davy_buf_text(also(why), "the broker's certificate is about to end");
}

/* What troubles the way to the platform; nothing: all is well. */
static void find_mqtt_troubles(struct daemon *daemon, const struct davy_publisher_status *publisher,
                               const struct recorder_status *recorder, struct davy_stamp now, struct davy_buf *why)
{
    struct selfwatch *watch = &daemon->watch;
    look_at_certificate(daemon, now);
    look_at_servers_certificate(watch, publisher->server_certificate_end, now.wall);
    find_broker_troubles(watch, publisher, now, why);
    if (refused(watch, publisher->refused + publisher->unheard, now.mono) || recorder->parked > 0)
        davy_buf_printf(also(why), "the broker refuses: %s",
                        publisher->refusal_code ? davy_reason_code_name(publisher->refusal_code)
                                                : "nobody has subscribed");
    if (recorder->overdue)
        davy_buf_text(also(why), "the platform does not confirm");
    const bool late = unconfirmed_judge(&watch->unconfirmed_watch, recorder->oldest, now);
    if (!recorder->overdue && late)
        davy_buf_text(also(why), "an event is not delivered for 10 min");
    if (is_about_to_end(watch->certificate_end, now.wall))
        davy_buf_text(also(why), "our certificate is about to end");
}

/* What was so before the start may be so still: nothing is over before there is a connection, and all is confirmed. */
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
    const bool known = publisher.connected && !publisher.unstable && !recorder.doubtful;
    return daemon->watch.mqtt.told == TOLD_NOTHING && !known ? TOLD_NOTHING : TOLD_FALSE;
}

/* A queue of the route that is over half full. */
static bool queue_full(struct route *route)
{
    struct davy_queue *queues[ROUTE_QUEUES];
    route_queues(route, queues);
    for (size_t i = 0; i < ROUTE_QUEUES; i++)
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
static void watch_storage(struct daemon *daemon, davy_mono now)
{
    struct selfwatch *watch = &daemon->watch;
    struct recorder_status recorder;
    davy_cell_get(&pipeline_route(daemon->pipeline)->recorder, &recorder);
    if (watch->begun.ns == 0)
        watch->begun = now;
    const char *why = storage_trouble(&recorder, pipeline_config(daemon->pipeline)->storage.announce_within, now);
    if (why)
        tell_why(daemon, DAVY_ALARM_STORAGE, TOLD_TRUE, why, &watch->storage);
    else if (watch->storage.told != TOLD_NOTHING || davy_mono_sub(now, watch->begun).ns >= STORAGE_CALM)
        tell(daemon, DAVY_ALARM_STORAGE, TOLD_FALSE, &watch->storage);
}

/*
 * What was recorded keeps its times. That they were wrong, and by how much, is an action of the ledger: `before` is
 * what the clock would show now without its steps, `last_seq` the last event that was stored by then.
 */
static void record_correction(struct daemon *daemon, bool synchronized, int64_t moved_ns, struct davy_stamp now)
{
    struct route *route = pipeline_route(daemon->pipeline);
    struct recorder_status recorder;
    char text[512], before[DAVY_WALL_TEXT], after[DAVY_WALL_TEXT];
    davy_cell_get(&route->recorder, &recorder);
    davy_wall_format((davy_wall){now.wall.ns - moved_ns}, before);
    davy_wall_format(now.wall, after);
    struct davy_buf detail;
    davy_buf_init(&detail, text, sizeof text);
    davy_json_open(&detail, '{');
    davy_json_text(&detail, "boot_id", route->boot_id);
    davy_json_text(&detail, "clock", synchronized ? "synchronized" : "unsynchronized");
    davy_json_text(&detail, "before", before);
    davy_json_text(&detail, "after", after);
    davy_json_integer(&detail, "moved_ms", moved_ns / DAVY_NS_PER_MS);
    davy_json_integer(&detail, "uptime_ms", now.mono.ns / DAVY_NS_PER_MS);
    davy_json_integer(&detail, "last_seq", recorder.last_seq);
    davy_json_close(&detail, '}');
    struct record record = {.kind = RECORD_ACTION, .at = now};
    record.action = (struct record_action){
        .by = "davyd", .verb = "clock", .target = "gateway", .result = "noted", .detail = strdup(text)};
    if (davy_queue_push(&route->records, &record) == DAVY_QUEUE_LOST)
        record_done(&record);
    if (moved_ns != 0)
        davy_warning("clock", "the clock stepped from %s to %s", before, after);
    else
        davy_notice("clock", "the clock is synchronized");
}

static enum told clock_told(struct daemon *daemon, struct davy_stamp now)
{
    const bool synchronized = davy_clock_synchronized();
    int64_t moved_ns;
    if (clock_corrected(&daemon->watch.corrections, synchronized, now, &moved_ns))
        record_correction(daemon, synchronized, moved_ns, now);
    return clock_judge(&daemon->watch.clock_watch, synchronized, now);
}

void daemon_watch_end(struct daemon *daemon, struct davy_stamp now)
{
    daemon->watch.corrections.written_at = (davy_mono){0}; /* there is no later moment */
    (void)clock_told(daemon, now);
}

static void watch_config(struct daemon *daemon)
{
    struct selfwatch *watch = &daemon->watch;
    tell_why(daemon, DAVY_ALARM_CONFIG, told_of(watch->config_refused[0]), watch->config_refused, &watch->config);
}

void daemon_watch_config(struct daemon *daemon, const char *refusal)
{
    struct davy_buf why;
    davy_buf_init(&why, daemon->watch.config_refused, sizeof daemon->watch.config_refused);
    davy_utf8_escape(&why, refusal ? refusal : "");
    daemon->watch.config.told = TOLD_NOTHING; /* that it is refused may be known, but not why */
    watch_config(daemon);
}

void daemon_watch_self(struct daemon *daemon, struct davy_stamp now)
{
    struct selfwatch *watch = &daemon->watch;
    watch_storage(daemon, now.mono);
    char text[DAVY_NOTE_SIZE];
    struct davy_buf why;
    davy_buf_init(&why, text, sizeof text);
    enum told mqtt = mqtt_told(daemon, now, &why);
    tell_why(daemon, DAVY_ALARM_MQTT, mqtt, text, &watch->mqtt);
    watch_config(daemon);
    tell(daemon, DAVY_ALARM_CLOCK, clock_told(daemon, now), &watch->clock);
    tell(daemon, DAVY_ALARM_OVERLOAD, overloaded(daemon, now.mono), &watch->overload);
}
