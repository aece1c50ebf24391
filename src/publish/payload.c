/* SPDX-License-Identifier: Apache-2.0 */
#include "publish/payload.h"

#include <math.h>
#include <string.h>

#include "davy_build.h"
#include "publish/topic.h"

/* Enough for davy_event_message(): a limit's own text, names, numbers. */
#define MESSAGE_SIZE 1024

static void begin(struct davy_buf *out, const char *schema)
{
    davy_json_open(out, '{');
    davy_json_text(out, "schema", schema);
}

static void optional_integer(struct davy_buf *out, const char *key, int64_t value)
{
    if (value == 0)
        davy_json_null(out, key);
    else
        davy_json_integer(out, key, value);
}

static void optional_number(struct davy_buf *out, const char *key, bool has, double value)
{
    if (has)
        davy_json_number(out, key, value);
    else
        davy_json_null(out, key);
}

static void optional_time(struct davy_buf *out, const char *key, davy_wall value)
{
    if (value.ns == 0)
        davy_json_null(out, key);
    else
        davy_json_time(out, key, value);
}

/* NULL for empty text. */
static const char *filled(const char *text)
{
    return text && text[0] ? text : NULL;
}

/* Of an overdue alarm the owner is whom its step of the ladder names. */
static const char *step_owner(const struct davy_config *config, const struct davy_event *event)
{
    if (event->subject.rule == DAVY_NONE || event->step == 0)
        return NULL;
    const struct davy_rule *rule = &config->rules[event->subject.rule];
    return event->step <= rule->step_count ? filled(rule->steps[event->step - 1].owner) : NULL;
}

static const char *owner_of(const struct davy_config *config, const struct davy_event *event)
{
    const struct davy_subject *subject = &event->subject;
    uint32_t zone = davy_subject_zone(config, subject);
    const char *owner = step_owner(config, event);
    if (!owner && subject->kind == DAVY_ALARM_RULE)
        owner = filled(config->rules[subject->rule].limits[event->limit_index].owner);
    if (!owner && subject->device != DAVY_NONE)
        owner = filled(config->devices[subject->device].owner);
    if (!owner && zone != DAVY_NONE)
        owner = filled(config->zones[zone].owner);
    return owner;
}

static void alarm_state(struct davy_buf *out, const struct davy_event *event,
                        const struct davy_payload_context *context)
{
    char id[DAVY_UUID_TEXT];
    optional_integer(out, "seq", context->seq);
    davy_json_text(out, "id", davy_uuid_is_nil(&event->id) ? NULL : davy_uuid_format(&event->id, id));
    davy_json_integer(out, "count", event->count);
    davy_json_text(out, "event", davy_event_name(event->type));
    davy_json_text(out, "state", davy_state_name(event->state));
    davy_json_text(out, "previous_state", davy_state_name(event->previous_state));
    davy_json_text(out, "level", davy_level_name(event->level));
    davy_json_text(out, "previous_level", davy_level_name(event->previous_level));
    davy_json_bool(out, "active", event->active);
    davy_json_bool(out, "acknowledged", event->acknowledged);
    davy_json_bool(out, "latched", event->latched);
    davy_json_bool(out, "uncertain", event->uncertain);
    davy_json_bool(out, "durable", context->durable);
    davy_json_bool(out, "replayed", context->replayed);
    davy_json_time(out, "time", event->at.wall);
    optional_time(out, "raised_at", event->raised_at);
    davy_json_text(out, "boot_id", context->boot_id);
    davy_json_text(out, "clock", context->clock);
}

static void alarm_place(struct davy_buf *out, const struct davy_config *config, const struct davy_event *event)
{
    const struct davy_subject *subject = &event->subject;
    uint32_t zone = davy_subject_zone(config, subject);
    const struct davy_zone *place = zone != DAVY_NONE ? &config->zones[zone] : NULL;
    davy_json_text(out, "site", config->gateway.site);
    davy_json_text(out, "gateway", config->gateway.id);
    davy_json_text(out, "zone", place ? place->id : NULL);
    davy_json_text(out, "zone_name", place ? filled(place->name) : NULL);
    davy_json_text(out, "owner", owner_of(config, event));
    davy_json_text(out, "device", davy_topic_device(config, subject));
    davy_json_text(out, "device_name", subject->device != DAVY_NONE ? config->devices[subject->device].name : NULL);
    davy_json_text(out, "point", subject->point != DAVY_NONE ? config->points[subject->point].name : NULL);
    davy_json_text(out, "rule", davy_subject_rule_name(config, subject));
}

/* What an alarm measures; null where the members of a vote differ. */
struct measured {
    const char *kind;
    const char *quantity;
    const char *unit;
};

static struct measured of_point(const struct davy_point *point)
{
    return (struct measured){davy_kind_name(point->kind), filled(point->quantity), point->unit};
}

static const char *same_or_null(const char *a, const char *b)
{
    return a && b && strcmp(a, b) == 0 ? a : NULL;
}

static struct measured measured_of(const struct davy_config *config, const struct davy_subject *subject)
{
    struct measured measured = {NULL, NULL, NULL};
    if (subject->point != DAVY_NONE)
        return of_point(&config->points[subject->point]);
    if (subject->rule == DAVY_NONE)
        return measured;
    const struct davy_rule *rule = &config->rules[subject->rule];
    for (size_t i = 0; i < rule->point_count; i++) {
        struct measured each = of_point(&config->points[rule->points[i]]);
        if (i == 0)
            measured = each;
        measured.kind = same_or_null(measured.kind, each.kind);
        measured.quantity = same_or_null(measured.quantity, each.quantity);
        measured.unit = same_or_null(measured.unit, each.unit);
    }
    return measured;
}

static void alarm_members(struct davy_buf *out, const struct davy_config *config, const struct davy_members *members)
{
    if (!members || members->count == 0) {
        davy_json_null(out, "members");
        return;
    }
    davy_json_key_open(out, "members", '[');
    for (size_t i = 0; i < members->count; i++) {
        const struct davy_member *member = &members->list[i];
        char name[DAVY_KEY_SIZE];
        davy_json_open(out, '{');
        davy_json_text(out, "point", davy_config_point_name(config, member->point, name));
        optional_number(out, "value", member->has_value, member->value);
        davy_json_bool(out, "vote", member->vote);
        davy_json_text(out, "quality", davy_quality_name(member->quality));
        davy_json_close(out, '}');
    }
    davy_json_close(out, ']');
}

static void alarm_measurement(struct davy_buf *out, const struct davy_config *config, const struct davy_event *event)
{
    const struct davy_subject *subject = &event->subject;
    bool rule = subject->kind == DAVY_ALARM_RULE;
    struct measured measured = measured_of(config, subject);
    /* The quality is that of the newest reading: the gateway about itself has none. */
    bool judged = subject->rule != DAVY_NONE || subject->device != DAVY_NONE || subject->bus != DAVY_NONE;
    /* A rule's alarm without an occurrence, shelved say, has no limit that tripped. */
    bool tripped = !rule || event->has_limit;
    davy_json_text(out, "kind", measured.kind);
    davy_json_text(out, "quantity", measured.quantity);
    davy_json_text(out, "measure", rule ? davy_measure_name(config->rules[subject->rule].measure) : NULL);
    optional_number(out, "value", event->has_value, event->value);
    optional_number(out, "limit", rule && event->has_limit, event->limit);
    davy_json_text(out, "condition", tripped ? davy_condition_name(event->condition) : NULL);
    davy_json_text(out, "unit", measured.unit);
    davy_json_text(out, "quality", judged ? davy_quality_name(event->quality) : NULL);
    davy_json_text(out, "reason", davy_reason_name(event->reason));
    alarm_members(out, config, event->members);
    optional_integer(out, "step", event->step);
}

/* To the microsecond: more is noise. */
static double rounded_ms(double ms)
{
    return round(ms * 1000.0) / 1000.0;
}

static void alarm_latency(struct davy_buf *out, const struct davy_payload_context *context)
{
    if (!context->has_latency || context->decided_ms < 0) {
        davy_json_null(out, "latency_ms");
        return;
    }
    davy_json_key_open(out, "latency_ms", '{');
    davy_json_number(out, "decided", rounded_ms(context->decided_ms));
    optional_number(out, "stored", context->stored_ms >= 0, rounded_ms(context->stored_ms));
    davy_json_close(out, '}');
}

size_t davy_payload_alarm_size(const struct davy_event *event)
{
    size_t members = event->members ? event->members->count : 0;
    return DAVY_PAYLOAD_ALARM_SIZE + members * DAVY_PAYLOAD_MEMBER_SIZE;
}

void davy_payload_alarm(struct davy_buf *out, const struct davy_config *config, const struct davy_event *event,
                        const struct davy_payload_context *context)
{
    char message[MESSAGE_SIZE];
    davy_event_message(config, event, message, sizeof message);
    begin(out, "davy.alarm/1");
    alarm_state(out, event, context);
    alarm_place(out, config, event);
    alarm_measurement(out, config, event);
    davy_json_bool(out, "first_out", event->first_out);
    davy_json_text(out, "by", filled(event->by));
    davy_json_text(out, "note", filled(event->note));
    davy_json_text(out, "message", message);
    davy_json_text(out, "config", filled(config->hash));
    alarm_latency(out, context);
    davy_json_close(out, '}');
}

static void status_counts(struct davy_buf *out, const struct davy_status_report *report)
{
    davy_json_key_open(out, "alarms", '{');
    for (int level = DAVY_LEVEL_BLUE; level < DAVY_LEVEL_COUNT_; level++)
        davy_json_integer(out, davy_level_name((enum davy_level)level), report->alarms[level]);
    davy_json_integer(out, "unacknowledged", report->unacknowledged);
    davy_json_integer(out, "shelved", report->shelved);
    davy_json_integer(out, "out_of_service", report->out_of_service);
    davy_json_close(out, '}');
    davy_json_key_open(out, "points", '{');
    for (int quality = 0; quality < DAVY_QUALITY_COUNT_; quality++)
        davy_json_integer(out, davy_quality_name((enum davy_quality)quality), report->points[quality]);
    davy_json_close(out, '}');
}

static void status_bus(struct davy_buf *out, const struct davy_status_bus *bus)
{
    davy_json_open(out, '{');
    davy_json_text(out, "name", bus->name);
    davy_json_text(out, "state", bus->state);
    davy_json_number(out, "utilization", rounded_ms(bus->utilization));
    davy_json_integer(out, "requests", (int64_t)bus->requests);
    davy_json_integer(out, "errors", (int64_t)bus->errors);
    davy_json_integer(out, "skipped", (int64_t)bus->skipped);
    optional_number(out, "age_s", bus->age_s >= 0, rounded_ms(bus->age_s));
    davy_json_close(out, '}');
}

static void status_storage(struct davy_buf *out, const struct davy_status_report *report)
{
    davy_json_key_open(out, "storage", '{');
    davy_json_integer(out, "bytes", report->storage_bytes);
    davy_json_integer(out, "free_bytes", report->storage_free_bytes);
    davy_json_bool(out, "ok", report->storage_ok);
    davy_json_close(out, '}');
}

void davy_payload_status(struct davy_buf *out, const struct davy_config *config,
                         const struct davy_status_report *report)
{
    begin(out, "davy.status/1");
    davy_json_text(out, "state", report->online ? "online" : "offline");
    optional_time(out, "since", report->since);
    davy_json_text(out, "version", DAVY_VERSION);
    davy_json_text(out, "boot_id", report->boot_id);
    davy_json_text(out, "config", filled(config->hash));
    davy_json_integer(out, "last_seq", report->last_seq);
    davy_json_key_open(out, "outbox", '{');
    davy_json_integer(out, "events", report->outbox_events);
    davy_json_integer(out, "telemetry", report->outbox_telemetry);
    davy_json_integer(out, "unconfirmed", report->outbox_unconfirmed);
    optional_time(out, "oldest", report->outbox_oldest);
    davy_json_close(out, '}');
    optional_integer(out, "confirmed_seq", report->confirmed_seq);
    status_counts(out, report);
    davy_json_key_open(out, "buses", '[');
    for (size_t i = 0; i < report->bus_count; i++)
        status_bus(out, &report->buses[i]);
    davy_json_close(out, ']');
    status_storage(out, report);
    davy_json_text(out, "clock", report->clock);
    davy_json_close(out, '}');
}

void davy_payload_will(struct davy_buf *out, const struct davy_config *config, const char *boot_id, davy_wall since)
{
    static const char *const unknown[] = {"last_seq", "outbox", "confirmed_seq", "alarms",
                                          "points",   "buses",  "storage",       "clock"};
    begin(out, "davy.status/1");
    davy_json_text(out, "state", "offline");
    optional_time(out, "since", since);
    davy_json_text(out, "version", DAVY_VERSION);
    davy_json_text(out, "boot_id", boot_id);
    davy_json_text(out, "config", filled(config->hash));
    for (size_t i = 0; i < DAVY_LENGTH(unknown); i++)
        davy_json_null(out, unknown[i]);
    davy_json_close(out, '}');
}

void davy_payload_zone(struct davy_buf *out, const struct davy_config *config, uint32_t zone, enum davy_level colour,
                       enum davy_level previous, davy_wall since, const char *const *causes, size_t cause_count)
{
    const struct davy_zone *place = &config->zones[zone];
    begin(out, "davy.zone/1");
    davy_json_text(out, "zone", place->id);
    davy_json_text(out, "name", filled(place->name));
    davy_json_text(out, "colour", davy_level_name(colour));
    davy_json_text(out, "previous_colour", davy_level_name(previous));
    davy_json_text(out, "risk", davy_level_name(place->risk));
    davy_json_text(out, "owner", filled(place->owner));
    optional_time(out, "since", since);
    davy_json_key_open(out, "cause", '[');
    for (size_t i = 0; i < cause_count; i++)
        davy_json_text_item(out, causes[i]);
    davy_json_close(out, ']');
    davy_json_close(out, '}');
}

void davy_payload_config(struct davy_buf *out, const char *hash, davy_wall loaded_at, bool accepted,
                         const char *const *errors, size_t error_count, const struct davy_payload_change *changes,
                         size_t change_count)
{
    begin(out, "davy.config/1");
    davy_json_text(out, "hash", filled(hash));
    optional_time(out, "loaded_at", loaded_at);
    davy_json_bool(out, "accepted", accepted);
    davy_json_key_open(out, "errors", '[');
    for (size_t i = 0; i < error_count; i++)
        davy_json_text_item(out, errors[i]);
    davy_json_close(out, ']');
    davy_json_key_open(out, "changes", '[');
    for (size_t i = 0; i < change_count; i++) {
        davy_json_open(out, '{');
        davy_json_text(out, "path", changes[i].path);
        davy_json_text(out, "old", changes[i].old);
        davy_json_text(out, "new", changes[i].new);
        davy_json_close(out, '}');
    }
    davy_json_close(out, ']');
    davy_json_close(out, '}');
}

void davy_payload_snapshot_head(struct davy_buf *out, int64_t last_seq, unsigned part, unsigned parts)
{
    begin(out, "davy.snapshot/1");
    davy_json_integer(out, "last_seq", last_seq);
    davy_json_integer(out, "part", part);
    davy_json_integer(out, "parts", parts);
    davy_json_key_open(out, "alarms", '[');
}

void davy_payload_snapshot_tail(struct davy_buf *out)
{
    davy_json_close(out, ']');
    davy_json_close(out, '}');
}

size_t davy_payload_mark_replayed(char *payload)
{
    static const char key[] = "\"replayed\":";
    char *value = strstr(payload, "\"replayed\":false");
    if (!value)
        return strlen(payload);
    value += sizeof key - 1;
    memcpy(value, "true", 4);
    memmove(value + 4, value + 5, strlen(value + 5) + 1);
    return strlen(payload);
}
