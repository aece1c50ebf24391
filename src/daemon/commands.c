/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of control clients: answered here, or asked of the evaluator or a poller and answered when they reply. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "daemon/internal.h"
#include "daemon/report.h"

#define REPLY_SIZE (300 * 1024)

static void do_status(struct daemon *daemon, uint64_t ticket)
{
    DAVY_AUTO_FREE char *text = malloc(REPLY_SIZE);
    if (!text) {
        davy_control_refuse(daemon->control, ticket, "no memory");
        return;
    }
    struct davy_buf out;
    davy_buf_init(&out, text, REPLY_SIZE);
    report_status_reply(&out, daemon->pipeline, daemon->directory);
    davy_control_reply(daemon->control, ticket, text);
}

/*
 * A page of settings: a reply ends at 1 MiB (control/server.h). What a setting leaves to its end is for the rest of it.
 */
#define SETTINGS_SIZE ((size_t)1000 * 1024)
#define SETTING_ROOM  1024

/* One setting, unless the page is full. A value that is too long for any page is told as null: it differs from all. */
static bool add_setting(struct davy_buf *out, const struct davy_setting *setting, bool first)
{
    const struct davy_buf before = *out;
    davy_json_open(out, '{');
    davy_json_text(out, "path", setting->path);
    davy_json_text(out, "value", setting->value);
    davy_json_close(out, '}');
    if (!out->overflow && out->size - out->length > SETTING_ROOM)
        return true;
    *out = before;
    out->text[out->length] = '\0';
    if (!first)
        return false;
    davy_json_open(out, '{');
    davy_json_text(out, "path", setting->path);
    davy_json_null(out, "value");
    davy_json_close(out, '}');
    return true;
}

static void do_settings(struct daemon *daemon, uint64_t ticket, const struct davy_request_line *request)
{
    const struct davy_config *config = pipeline_config(daemon->pipeline);
    DAVY_AUTO_FREE char *text = malloc(SETTINGS_SIZE);
    DAVY_AUTO_FREE char *file = realpath(config->file, NULL);
    if (!text) {
        davy_control_refuse(daemon->control, ticket, "no memory");
        return;
    }
    struct davy_buf out;
    davy_buf_init(&out, text, SETTINGS_SIZE);
    davy_buf_text(&out, "{\"ok\":true");
    davy_json_text(&out, "config", config->hash);
    davy_json_text(&out, "file", file ? file : config->file);
    davy_json_key_open(&out, "settings", '[');
    const size_t from = (size_t)request->from;
    size_t i = from;
    while (i < config->setting_count && add_setting(&out, &config->settings[i], i == from))
        i++;
    davy_json_close(&out, ']');
    davy_json_bool(&out, "more", i < config->setting_count);
    davy_json_close(&out, '}');
    davy_control_reply(daemon->control, ticket, text);
}

static void do_log_level(struct daemon *daemon, uint64_t ticket, const struct davy_request_line *request)
{
    davy_log_set_level((enum davy_log_level)request->log_level);
    davy_control_reply(daemon->control, ticket, "{\"ok\":true}");
}

static void ask_evaluator(struct daemon *daemon, const struct davy_control_peer *peer,
                          const struct davy_request_line *request)
{
    struct ask ask = {.kind = ASK_REQUEST, .ticket = peer->ticket, .request = *request};
    snprintf(ask.by, sizeof ask.by, "%s", peer->user);
    if (davy_queue_push(&pipeline_route(daemon->pipeline)->asks, &ask) == DAVY_QUEUE_LOST)
        davy_control_refuse(daemon->control, peer->ticket, "busy: try again");
}

void daemon_request(void *context, const struct davy_control_peer *peer, const char *line)
{
    struct daemon *daemon = context;
    struct davy_request_line request;
    char error[256];
    if (davy_request_parse(line, &request, error, sizeof error) < 0) {
        davy_control_refuse(daemon->control, peer->ticket, "%s", error);
        return;
    }
    switch (request.verb) {
    case DAVY_VERB_STATUS:
        do_status(daemon, peer->ticket);
        break;
    case DAVY_VERB_RELOAD:
        davy_notice("reload", "asked for by %s", peer->user);
        daemon_reload(daemon, peer->ticket, peer->user);
        break;
    case DAVY_VERB_READ:
        commission_read(daemon, peer->ticket, &request);
        break;
    case DAVY_VERB_SCAN_BEGIN:
    case DAVY_VERB_SCAN:
    case DAVY_VERB_SCAN_END:
        commission_scan(daemon, peer, &request);
        break;
    case DAVY_VERB_FRAMES:
        commission_frames(daemon, peer->ticket, &request);
        break;
    case DAVY_VERB_LOG_LEVEL:
        do_log_level(daemon, peer->ticket, &request);
        break;
    case DAVY_VERB_POINTS:
    case DAVY_VERB_ALARMS:
    case DAVY_VERB_ACK:
    case DAVY_VERB_RESET:
    case DAVY_VERB_SHELVE:
    case DAVY_VERB_UNSHELVE:
    case DAVY_VERB_OUT_OF_SERVICE:
    case DAVY_VERB_IN_SERVICE:
    case DAVY_VERB_INHIBIT:
    case DAVY_VERB_UNINHIBIT:
    case DAVY_VERB_EXPLAIN:
        ask_evaluator(daemon, peer, &request);
        break;
    case DAVY_VERB_SETTINGS:
        do_settings(daemon, peer->ticket, &request);
        break;
    case DAVY_VERB_COUNT_:
        break;
    }
}

void daemon_take_replies(struct daemon *daemon)
{
    struct route *route = pipeline_route(daemon->pipeline);
    struct reply reply;
    while (davy_queue_pop(&route->replies, &reply)) {
        if (daemon->control)
            davy_control_reply(daemon->control, reply.ticket, reply.line);
        free(reply.line);
    }
    struct davy_poller_demand_reply read;
    while (davy_queue_pop(&route->demands, &read))
        commission_take(daemon, &read);
}
