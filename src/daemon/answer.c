/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/answer.h"

#include <string.h>

#include "daemon/answer_internal.h"
#include "base/buf.h"
#include "daemon/remote.h"
#include "publish/topic.h"

/* A row at its longest: an explanation of a vote of many. */
#define ROW_SIZE ((size_t)40 * 1024)

static void send(struct route *route, uint64_t ticket, const char *text)
{
    struct reply reply = {.ticket = ticket, .line = strdup(text)};
    if (reply.line && davy_queue_push(&route->replies, &reply) == DAVY_QUEUE_LOST)
        free(reply.line);
}

char *answer_room(struct route *route, const struct ask *ask)
{
    char *text = malloc(ANSWER_SIZE);
    if (!text)
        send(route, ask->ticket, "{\"ok\":false,\"error\":\"no memory\"}");
    return text;
}

void answer_time(struct davy_buf *out, const char *key, davy_wall time)
{
    if (time.ns != 0)
        davy_json_time(out, key, time);
    else
        davy_json_null(out, key);
}

static void tell_done(struct davy_buf *out, const struct ask *ask, const struct outcome *outcome)
{
    const enum davy_verb verb = ask->request.verb;
    const bool of_device = verb == DAVY_VERB_INHIBIT || verb == DAVY_VERB_UNINHIBIT;
    davy_json_text(out, of_device ? "device" : "alarm", ask->request.alarm);
    if (!of_device)
        davy_json_text(out, "state", davy_state_name(outcome->state));
    if (of_device || verb == DAVY_VERB_SHELVE)
        answer_time(out, "until", outcome->until);
}

void answer_action(struct route *route, const struct ask *ask, bool done, const struct outcome *outcome)
{
    char text[4096];
    struct davy_buf out;
    if (ask->remote) {
        remote_answer(route, ask->remote, done ? NULL : outcome->refusal);
        return;
    }
    davy_buf_init(&out, text, sizeof text);
    davy_json_open(&out, '{');
    davy_json_bool(&out, "ok", done);
    if (done)
        tell_done(&out, ask, outcome);
    else
        davy_json_text(&out, "error", outcome->refusal);
    davy_json_close(&out, '}');
    send(route, ask->ticket, text);
}

static const char *zone_id(const struct davy_config *config, uint32_t zone)
{
    return zone == DAVY_NONE ? NULL : config->zones[zone].id;
}

void answer_number(struct davy_buf *out, const char *key, bool there, double value)
{
    if (there)
        davy_json_number(out, key, value);
    else
        davy_json_null(out, key);
}

static void point_row(struct davy_buf *out, const struct davy_config *config, const struct davy_engine *engine,
                      uint32_t index, davy_mono now)
{
    char name[DAVY_KEY_SIZE];
    const struct davy_reading *newest = davy_engine_newest(engine, index);
    bool any = newest->at.mono.ns != 0;
    davy_json_open(out, '{');
    davy_json_text(out, "point", davy_config_point_name(config, index, name));
    davy_json_text(out, "name", config->devices[config->points[index].device].name);
    davy_json_text(out, "zone", zone_id(config, config->points[index].zone));
    answer_number(out, "value", newest->has_value, newest->value);
    davy_json_text(out, "unit", config->points[index].unit);
    davy_json_text(out, "quality", any ? davy_quality_name(newest->quality) : NULL);
    davy_json_text(out, "reason", davy_reason_name(newest->reason));
    answer_time(out, "time", any ? newest->at.wall : (davy_wall){0});
    answer_number(out, "age_s", any, (double)(davy_mono_sub(now, newest->at.mono).ns / DAVY_NS_PER_MS) / 1e3);
    davy_json_text(out, "level", davy_level_name(davy_engine_point_level(engine, index)));
    davy_json_close(out, '}');
}

static void alarm_limit(struct davy_buf *out, const struct davy_config *config, const struct davy_alarm_view *view)
{
    uint32_t point = view->subject.point;
    answer_number(out, "value", view->has_value, view->value);
    davy_json_text(out, "unit", point == DAVY_NONE ? NULL : config->points[point].unit);
    answer_number(out, "limit", view->has_limit, view->limit);
    const bool judged = view->subject.kind != DAVY_ALARM_RULE || view->has_limit;
    davy_json_text(out, "condition", judged ? davy_condition_name(view->condition) : NULL);
    davy_json_text(out, "quality", davy_quality_name(view->quality));
    davy_json_text(out, "reason", davy_reason_name(view->reason));
}

const char *answer_message(const struct davy_config *config, const struct davy_alarm_view *view, char *text,
                           size_t size)
{
    struct davy_event event = {
        .subject = view->subject,
        .active = view->active,
        .has_value = view->has_value,
        .value = view->value,
        .has_limit = view->has_limit,
        .limit = view->limit,
        .condition = view->condition,
        .limit_index = view->limit_index,
        .quality = view->quality,
        .reason = view->reason,
        .time_to_limit = {-1},
    };
    davy_event_message(config, &event, text, size);
    return text;
}

void answer_cover(struct davy_buf *out, const struct davy_alarm_view *view, const struct davy_inhibit *inhibit)
{
    const char *by = inhibit ? inhibit->by : view->by, *note = inhibit ? inhibit->reason : view->note;
    davy_json_text(out, "below", davy_state_name(view->below));
    davy_json_text(out, "by", by[0] ? by : NULL);
    davy_json_text(out, "note", note[0] ? note : NULL);
    answer_time(out, "shelved_until", view->shelved_until);
    answer_time(out, "inhibited_until", inhibit ? inhibit->until.wall : (davy_wall){0});
    davy_json_bool(out, "out_of_service", view->out_of_service);
}

static void alarm_row(struct davy_buf *out, const struct davy_config *config, const struct davy_alarm_view *view,
                      const struct davy_inhibit *inhibit)
{
    char key[DAVY_KEY_SIZE], id[DAVY_UUID_TEXT], message[512];
    davy_json_open(out, '{');
    davy_json_text(out, "alarm", davy_subject_key(config, &view->subject, key));
    davy_json_text(out, "id", davy_uuid_is_nil(&view->id) ? NULL : davy_uuid_format(&view->id, id));
    davy_json_text(out, "rule", davy_subject_rule_name(config, &view->subject));
    davy_json_text(out, "measure",
                   view->subject.kind == DAVY_ALARM_RULE ? davy_measure_name(config->rules[view->subject.rule].measure)
                                                         : NULL);
    davy_json_text(out, "zone", zone_id(config, davy_subject_zone(config, &view->subject)));
    davy_json_text(out, "device", davy_topic_device(config, &view->subject));
    davy_json_text(out, "point", view->subject.point == DAVY_NONE ? NULL : config->points[view->subject.point].name);
    davy_json_text(out, "state", davy_state_name(view->state));
    davy_json_text(out, "level", davy_level_name(view->level));
    davy_json_bool(out, "active", view->active);
    davy_json_bool(out, "acknowledged", view->acknowledged);
    davy_json_bool(out, "latched", view->latched);
    answer_time(out, "since", view->raised_at);
    davy_json_integer(out, "count", view->count);
    alarm_limit(out, config, view);
    davy_json_text(out, "message", answer_message(config, view, message, sizeof message));
    answer_cover(out, view, inhibit);
    davy_json_close(out, '}');
}

/* The index after the item whose name is `after`; 0 for none. A name that is gone begins anew. */
static uint32_t first_point_after(const struct davy_config *config, const char *after)
{
    uint32_t last = after[0] ? davy_config_find_point(config, after) : DAVY_NONE;
    return last == DAVY_NONE ? 0 : last + 1;
}

size_t answer_alarm_after(const struct davy_config *config, const struct davy_engine *engine, const char *after)
{
    for (size_t i = 0; after[0] && i < davy_engine_alarm_count(engine); i++) {
        struct davy_alarm_view view;
        char key[DAVY_KEY_SIZE];
        davy_engine_alarm(engine, i, &view);
        if (strcmp(davy_subject_key(config, &view.subject, key), after) == 0)
            return i + 1;
    }
    return 0;
}

bool answer_has_room(const struct davy_buf *out, size_t rows)
{
    return rows < ANSWER_PAGE && out->size - out->length > ROW_SIZE;
}

void answer_finish(struct route *route, const struct ask *ask, struct davy_buf *out, bool more)
{
    davy_json_close(out, ']');
    davy_json_bool(out, "more", more);
    davy_json_close(out, '}');
    send(route, ask->ticket, out->overflow ? "{\"ok\":false,\"error\":\"the answer is too long\"}" : out->text);
}

void answer_points(struct route *route, const struct ask *ask, const struct davy_config *config,
                   const struct davy_engine *engine)
{
    DAVY_AUTO_FREE char *text = answer_room(route, ask);
    if (!text)
        return;
    struct davy_buf out;
    davy_buf_init(&out, text, ANSWER_SIZE);
    davy_buf_text(&out, "{\"ok\":true,\"points\":[");
    davy_mono now = davy_clock_now(route->clock).mono;
    const char *glob = ask->request.alarm[0] ? ask->request.alarm : "*.*";
    uint32_t p = first_point_after(config, ask->request.after);
    size_t rows = 0;
    for (; p < config->point_count && answer_has_room(&out, rows); p++) {
        const struct davy_point *point = &config->points[p];
        if (!davy_point_glob(glob, config->devices[point->device].id, point->name))
            continue;
        point_row(&out, config, engine, p, now);
        rows++;
    }
    answer_finish(route, ask, &out, p < config->point_count);
}

const struct davy_inhibit *answer_inhibit(const struct davy_alarm_view *view, const struct davy_decoder *decoder,
                                          davy_mono now, struct davy_inhibit *inhibit)
{
    const bool known =
        view->subject.kind == DAVY_ALARM_INHIBIT && davy_decoder_inhibited(decoder, view->subject.device, now, inhibit);
    return known ? inhibit : NULL;
}

void answer_alarms(struct route *route, const struct ask *ask, const struct davy_config *config,
                   const struct davy_engine *engine, const struct davy_decoder *decoder)
{
    DAVY_AUTO_FREE char *text = answer_room(route, ask);
    if (!text)
        return;
    struct davy_buf out;
    davy_buf_init(&out, text, ANSWER_SIZE);
    davy_buf_text(&out, "{\"ok\":true,\"alarms\":[");
    const davy_mono now = davy_clock_now(route->clock).mono;
    struct davy_inhibit inhibit;
    size_t i = answer_alarm_after(config, engine, ask->request.after), rows = 0;
    for (; i < davy_engine_alarm_count(engine) && answer_has_room(&out, rows); i++) {
        struct davy_alarm_view view;
        davy_engine_alarm(engine, i, &view);
        if (view.state == DAVY_STATE_NORMAL && (!ask->request.all || view.subject.kind != DAVY_ALARM_RULE))
            continue;
        alarm_row(&out, config, &view, answer_inhibit(&view, decoder, now, &inhibit));
        rows++;
    }
    answer_finish(route, ask, &out, i < davy_engine_alarm_count(engine));
}
