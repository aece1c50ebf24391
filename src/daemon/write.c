/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/write.h"

#include <errno.h>
#include <stdlib.h>

#include "publish/payload.h"
#include "publish/topic.h"

/* The texts of one event, kept while its row is written. */
struct event_text {
    char *payload;
    size_t size;
    char topic[DAVY_TOPIC_SIZE];
    char key[DAVY_KEY_SIZE];
    char id[DAVY_UUID_TEXT];
};

/*
 * The payload is stored before it is committed, so `stored` is the time until the row was written, without the flush of
 * the commit itself. A commit that failed may have reached the disk all the same: the next try must be byte for byte
 * the same row.
 */
static void number(struct davy_ledger *ledger, const struct route *route, struct record *record)
{
    if (record->seq != 0 && davy_ledger_next_seq(ledger) > record->seq)
        return;
    record->seq = davy_ledger_next_seq(ledger);
    record->stored_after = davy_mono_sub(davy_clock_now(route->clock).mono, record->event.at.mono);
    record->synchronized = davy_clock_synchronized();
}

static int encode(const struct route *route, const struct davy_config *config, const struct record *record,
                  struct event_text *text)
{
    const struct davy_event *event = &record->event;
    struct davy_payload_context about = {
        .boot_id = route->boot_id,
        .clock = record->synchronized ? "synchronized" : "unsynchronized",
        .seq = record->seq,
        .durable = true,
        .has_latency = true,
        .decided_ms = (double)event->decided_after.ns / 1e6,
        .stored_ms = (double)record->stored_after.ns / 1e6,
    };
    struct davy_buf payload;
    davy_buf_init(&payload, text->payload, text->size);
    davy_payload_alarm(&payload, config, event, &about);
    return payload.overflow ? -EMSGSIZE : 0;
}

static int append(struct davy_ledger *ledger, const struct davy_config *config, const struct record *record,
                  struct event_text *text)
{
    const struct davy_event *event = &record->event;
    uint32_t zone = davy_subject_zone(config, &event->subject);
    const struct davy_subject *subject = &event->subject;
    struct davy_ledger_event row = {
        .seq = record->seq,
        .time = event->at.wall,
        .id = davy_uuid_is_nil(&event->id) ? NULL : davy_uuid_format(&event->id, text->id),
        .event = davy_event_name(event->type),
        .state = davy_state_name(event->state),
        .level = davy_level_name(event->level),
        .rule = davy_subject_rule_name(config, subject),
        .zone = zone == DAVY_NONE ? NULL : config->zones[zone].id,
        .device = davy_topic_device(config, subject),
        .point = subject->point == DAVY_NONE ? NULL : config->points[subject->point].name,
        .value = event->has_value ? event->value : NAN,
        .limit = event->has_limit ? event->limit : NAN,
        .by = event->by[0] ? event->by : NULL,
        .note = event->note[0] ? event->note : NULL,
        .payload = text->payload,
        .topic = davy_topic_alarm(config, subject, text->topic),
        .alarm = davy_subject_key(config, subject, text->key),
        .clear = event->ends,
    };
    return davy_ledger_append(ledger, &row);
}

static int write_event(struct davy_ledger *ledger, const struct route *route, const struct davy_config *config,
                       struct record *record)
{
    struct event_text text = {.size = davy_payload_alarm_size(&record->event)};
    text.payload = malloc(text.size);
    if (!text.payload)
        return -ENOMEM;
    number(ledger, route, record);
    int rc = encode(route, config, record, &text);
    if (rc == 0)
        rc = append(ledger, config, record, &text);
    free(text.payload);
    return rc;
}

static int write_action(struct davy_ledger *ledger, const struct record *record)
{
    const struct record_action *action = &record->action;
    return davy_ledger_act(ledger, &(struct davy_ledger_action){
                                       .time = record->at.wall,
                                       .by = action->by,
                                       .verb = action->verb,
                                       .target = action->target[0] ? action->target : NULL,
                                       .note = action->note[0] ? action->note : NULL,
                                       .result = action->result,
                                       .detail = action->detail,
                                   });
}

int write_record(struct davy_ledger *ledger, const struct route *route, const struct davy_config *config,
                 struct record *record)
{
    switch (record->kind) {
    case RECORD_EVENT:
        return write_event(ledger, route, config, record);
    case RECORD_MEMORY:
        return davy_ledger_remember(ledger, &record->memory, record->at, route->boot_id);
    case RECORD_ORPHAN:
        return davy_ledger_retire(ledger, &record->memory, record->at.wall, route->boot_id, config->hash);
    case RECORD_ACTION:
        return write_action(ledger, record);
    case RECORD_SWITCH:
    case RECORD_NOTHING:
        break;
    }
    return 0;
}

size_t records_whole(const struct record *records, size_t count)
{
    size_t whole = 0;
    bool open = false;
    for (size_t i = 0; i < count; i++) {
        if (records[i].place != RECORD_ALONE)
            open = records[i].place == RECORD_MORE;
        if (!open)
            whole = i + 1;
    }
    return whole;
}

size_t records_part(const struct record *records, size_t count)
{
    for (size_t i = count; i-- > 1;)
        if (records[i].kind == RECORD_EVENT && records[i - 1].kind != RECORD_EVENT)
            return i;
    return count;
}

void record_done(struct record *record)
{
    if (record->kind == RECORD_EVENT)
        davy_members_unref(record->event.members);
    else if (record->kind == RECORD_ACTION)
        free(record->action.detail);
    else if (record->kind == RECORD_SWITCH)
        davy_config_unref(record->config);
    record->kind = RECORD_NOTHING;
}
