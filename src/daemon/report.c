/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/report.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "config/diff.h"
#include "publish/payload.h"
#include "publish/reason.h"
#include "publish/topic.h"

#define STATUS_SIZE (256 * 1024)

/* The storage is called well again this long after its last trouble; the alarm takes a minute. */
#define STORAGE_WELL (10 * DAVY_NS_PER_S)

/* Errors and changes that one davy.config/1 lists at most. */
#define CONFIG_ITEMS 100

static void bus_rows(struct pipeline *pipeline, struct davy_status_bus *rows, davy_mono now)
{
    const struct davy_config *config = pipeline_config(pipeline);
    for (uint32_t b = 0; b < config->bus_count; b++) {
        struct davy_poller_status status;
        davy_poller_status(pipeline_poller_at(pipeline, b), &status);
        bool answered = status.last_answer.ns != 0;
        rows[b] = (struct davy_status_bus){
            .name = config->buses[b].name,
            .state = davy_link_state_name(status.state),
            .utilization = status.utilization,
            .requests = status.requests,
            .errors = status.timeouts + status.invalid + status.exceptions,
            .skipped = status.skipped,
            .age_s = answered ? (double)(davy_mono_sub(now, status.last_answer).ns / DAVY_NS_PER_MS) / 1e3 : -1,
        };
    }
}

void report_status(struct davy_buf *out, struct pipeline *pipeline, bool online)
{
    struct route *route = pipeline_route(pipeline);
    const struct davy_config *config = pipeline_config(pipeline);
    struct davy_stamp now = davy_clock_now(route->clock);
    struct evaluator_status evaluator;
    struct recorder_status recorder;
    struct davy_publisher_status publisher = {0};
    davy_cell_get(&route->evaluator, &evaluator);
    davy_cell_get(&route->recorder, &recorder);
    if (route->publisher)
        davy_publisher_status(route->publisher, &publisher);
    DAVY_AUTO_FREE struct davy_status_bus *buses = calloc(config->bus_count + 1, sizeof *buses);
    if (!buses)
        return;
    bus_rows(pipeline, buses, now.mono);
    bool calm = recorder.troubled_at.ns == 0 || davy_mono_sub(now.mono, recorder.troubled_at).ns > STORAGE_WELL;
    struct davy_status_report report = {
        .online = online,
        .since = publisher.since.ns ? publisher.since : davy_wall_as_of(route->started, now),
        .boot_id = route->boot_id,
        .last_seq = recorder.last_seq,
        .confirmed_seq = recorder.confirmed_seq,
        .outbox_events = recorder.outbox_events,
        .outbox_unconfirmed = recorder.unconfirmed,
        .outbox_oldest = recorder.oldest,
        .outbox_telemetry = recorder.outbox_telemetry,
        .unacknowledged = evaluator.unacknowledged,
        .shelved = evaluator.shelved,
        .out_of_service = evaluator.out_of_service,
        .buses = buses,
        .bus_count = config->bus_count,
        .storage_bytes = recorder.bytes,
        .storage_free_bytes = recorder.free_bytes,
        .storage_ok = calm && !recorder.failing,
        .clock = davy_clock_synchronized() ? "synchronized" : "unsynchronized",
    };
    memcpy(report.alarms, evaluator.alarms, sizeof report.alarms);
    memcpy(report.points, evaluator.points, sizeof report.points);
    davy_payload_status(out, config, &report);
}

static void report_time(struct davy_buf *out, const char *key, davy_wall time)
{
    if (time.ns != 0)
        davy_json_time(out, key, time);
    else
        davy_json_null(out, key);
}

/* The last trouble with a connection; it stays when there is one again. */
static void error_members(struct davy_buf *out, const struct davy_publisher_status *status)
{
    davy_json_text(out, "last_error", status->last_error[0] ? status->last_error : NULL);
    davy_json_text(out, "last_error_url", status->error_url[0] ? status->error_url : NULL);
    report_time(out, "last_error_since", status->error_first);
    report_time(out, "last_error_at", status->error_last);
    davy_json_integer(out, "last_error_count", (int64_t)status->error_count);
}

static void refusal_member(struct davy_buf *out, const struct davy_publisher_status *status)
{
    char reason[64];
    if (status->refusal_code == 0) {
        davy_json_null(out, "last_refusal");
        return;
    }
    snprintf(reason, sizeof reason, "%s (0x%02x)", davy_reason_code_name(status->refusal_code), status->refusal_code);
    davy_json_key_open(out, "last_refusal", '{');
    davy_json_integer(out, "reason_code", status->refusal_code);
    davy_json_text(out, "reason", reason);
    davy_json_text(out, "topic", status->refusal_topic);
    report_time(out, "at", status->refusal_at);
    davy_json_close(out, '}');
}

static void broker_member(struct davy_buf *out, struct route *route)
{
    if (!route->publisher) {
        davy_json_null(out, "broker");
        return;
    }
    struct davy_publisher_status status;
    davy_publisher_status(route->publisher, &status);
    davy_json_key_open(out, "broker", '{');
    davy_json_bool(out, "connected", status.connected);
    report_time(out, "since", status.since);
    davy_json_text(out, "url", status.url[0] ? status.url : NULL);
    davy_json_bool(out, "unstable", status.unstable);
    davy_json_integer(out, "connects", (int64_t)status.connects);
    davy_json_integer(out, "acknowledged", (int64_t)status.acknowledged);
    davy_json_integer(out, "refused", (int64_t)status.refused);
    davy_json_integer(out, "unheard", (int64_t)status.unheard);
    davy_json_integer(out, "commands", (int64_t)status.commands);
    error_members(out, &status);
    refusal_member(out, &status);
    davy_json_text(out, "limits", status.limits[0] ? status.limits : NULL);
    report_time(out, "server_certificate_end", status.server_certificate_end);
    davy_json_close(out, '}');
}

/* What was lost on the way; all zero on a healthy box. All but blocks are declared in the ledger as well. */
static void loss_member(struct davy_buf *out, struct route *route)
{
    struct recorder_status recorder;
    davy_cell_get(&route->recorder, &recorder);
    davy_json_key_open(out, "lost", '{');
    davy_json_integer(out, "blocks", (int64_t)davy_queue_lost(&route->blocks));
    davy_json_integer(out, "records", (int64_t)recorder.lost[DAVY_LOSS_EVENTS]);
    davy_json_integer(out, "readings", (int64_t)recorder.lost[DAVY_LOSS_READINGS]);
    davy_json_integer(out, "telemetry", (int64_t)recorder.lost[DAVY_LOSS_TELEMETRY]);
    davy_json_integer(out, "log_lines", (int64_t)davy_log_lost());
    davy_json_close(out, '}');
}

void report_status_reply(struct davy_buf *out, struct pipeline *pipeline, const char *directory)
{
    struct route *route = pipeline_route(pipeline);
    davy_buf_text(out, "{\"ok\":true,\"status\":");
    report_status(out, pipeline, true);
    davy_json_text(out, "directory", directory);
    davy_json_text(out, "config_file", pipeline_config(pipeline)->file);
    broker_member(out, route);
    loss_member(out, route);
    report_plan(out, pipeline);
    struct recorder_status recorder;
    davy_cell_get(&route->recorder, &recorder);
    davy_json_text(out, "storage_trouble", recorder.trouble[0] ? recorder.trouble : NULL);
    davy_json_close(out, '}');
}

void report_publish(struct pipeline *pipeline, const char *rest, const char *schema, const char *payload)
{
    struct route *route = pipeline_route(pipeline);
    char topic[DAVY_TOPIC_SIZE];
    struct davy_message message;
    if (!route->publisher || davy_message_new(DAVY_MESSAGE_STATE, 0, davy_topic(pipeline_config(pipeline), rest, topic),
                                              payload, &message) < 0)
        return;
    message.retain = true;
    message.schema = schema;
    if (davy_publisher_post(route->publisher, &message) < 0)
        davy_message_done(&message);
}

int report_farewell(struct pipeline *pipeline, struct davy_message *ret_message)
{
    char topic[DAVY_TOPIC_SIZE];
    DAVY_AUTO_FREE char *text = malloc(STATUS_SIZE);
    if (!text)
        return -ENOMEM;
    struct davy_buf out;
    davy_buf_init(&out, text, STATUS_SIZE);
    report_status(&out, pipeline, false);
    int rc = davy_message_new(DAVY_MESSAGE_STATE, 0, davy_topic(pipeline_config(pipeline), "status", topic), text,
                              ret_message);
    if (rc == 0) {
        ret_message->retain = true;
        ret_message->schema = "davy.status/1";
    }
    return rc;
}

/* Changes and errors of one load, as the payload wants them. */
struct config_items {
    struct davy_payload_change changes[CONFIG_ITEMS];
    size_t change_count;
    char error_text[CONFIG_ITEMS][256];
    const char *errors[CONFIG_ITEMS];
    size_t error_count;
};

static void add_change(void *context, const struct davy_change *change)
{
    struct config_items *items = context;
    if (items->change_count < CONFIG_ITEMS)
        items->changes[items->change_count++] =
            (struct davy_payload_change){.path = change->path, .old = change->old, .new = change->new};
}

static void add_errors(struct config_items *items, const struct davy_problems *problems)
{
    for (size_t i = 0; i < problems->count && items->error_count < CONFIG_ITEMS; i++) {
        if (problems->items[i].severity != DAVY_PROBLEM_ERROR)
            continue;
        char *text = items->error_text[items->error_count];
        items->errors[items->error_count++] =
            davy_problem_format(&problems->items[i], text, sizeof items->error_text[0]);
    }
}

/* The configuration history of the ledger. */
static void keep_history(struct pipeline *pipeline, const char *verb, const char *file, bool accepted,
                         const char *detail, const char *by, struct davy_stamp now)
{
    struct record record = {.kind = RECORD_ACTION, .at = now};
    struct record_action *action = &record.action;
    snprintf(action->by, sizeof action->by, "%s", by);
    snprintf(action->verb, sizeof action->verb, "%s", verb);
    snprintf(action->target, sizeof action->target, "%s", file ? file : "");
    snprintf(action->result, sizeof action->result, "%s", accepted ? "done" : "refused: the file has errors");
    action->detail = strdup(detail);
    if (davy_queue_push(&pipeline_route(pipeline)->records, &record) == DAVY_QUEUE_LOST)
        free(action->detail);
}

void report_config(struct pipeline *pipeline, const struct davy_config *from, const struct davy_config *to,
                   const struct davy_problems *problems, const char *by)
{
    struct davy_stamp now = davy_clock_now(pipeline_route(pipeline)->clock);
    DAVY_AUTO_FREE struct config_items *items = calloc(1, sizeof *items);
    DAVY_AUTO_FREE char *text = malloc(STATUS_SIZE);
    if (!items || !text)
        return;
    if (from && to)
        davy_config_diff(from, to, add_change, items);
    if (problems)
        add_errors(items, problems);
    struct davy_buf out;
    davy_buf_init(&out, text, STATUS_SIZE);
    const struct davy_config *running = to ? to : pipeline_config(pipeline);
    davy_payload_config(&out, running->hash, now.wall, to != NULL, items->errors, items->error_count, items->changes,
                        items->change_count);
    if (out.overflow)
        return;
    report_publish(pipeline, "config", "davy.config/1", text);
    keep_history(pipeline, from ? "reload" : "load", running->file, to != NULL, text, by, now);
}
