/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/operate.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/num.h"
#include "config/nearest.h"
#include "daemon/answer.h"

struct action {
    /* returns 0 with what the answer tells, or DAVY_REFUSED with its reason */
    int (*run)(const struct operate *operate, const struct ask *ask, struct outcome *outcome);
    enum davy_command_verb verb; /* of the engine */
};

static davy_span duration_of(const struct ask *ask)
{
    if (ask->request.duration.ns > 0)
        return ask->request.duration;
    return ask->request.verb == DAVY_VERB_SHELVE ? DAVY_SHELVE_DEFAULT : DAVY_INHIBIT_DEFAULT;
}

static int DAVY_PRINTF(2, 3) refuse(struct outcome *outcome, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(outcome->refusal, sizeof outcome->refusal, format, arguments);
    va_end(arguments);
    return DAVY_REFUSED;
}

static int no_such_device(const struct operate *operate, const char *id, struct outcome *outcome)
{
    const char *nearest = NULL;
    for (size_t d = 0; d < operate->config->device_count && !nearest; d++)
        nearest = davy_nearest(id, &operate->config->devices[d].id, 1);
    return refuse(outcome, "no such device: %s%s%s%s", id, nearest ? "; did you mean " : "", nearest ? nearest : "",
                  nearest ? "?" : "");
}

static int refuse_inhibit(const struct ask *ask, struct outcome *outcome)
{
    char longest[DAVY_NUM_TEXT];
    if (ask->request.note[0] == '\0')
        return refuse(outcome, "an inhibit needs a reason");
    return refuse(outcome, "an inhibit is for at most %s", davy_span_print(DAVY_INHIBIT_MAX, longest));
}

static int run_inhibit(const struct operate *operate, const struct ask *ask, struct outcome *outcome)
{
    uint32_t device = davy_config_find_device(operate->config, ask->request.alarm);
    if (device == DAVY_NONE)
        return no_such_device(operate, ask->request.alarm, outcome);
    if (!operate->config->devices[device].enabled)
        return refuse(outcome, "the device %s is not enabled", ask->request.alarm);
    struct davy_stamp now = davy_clock_now(operate->route->clock);
    struct davy_inhibit inhibit = {
        .until = {davy_mono_add(now.mono, duration_of(ask)), {now.wall.ns + duration_of(ask).ns}}};
    memcpy(inhibit.by, ask->by, sizeof inhibit.by);
    memcpy(inhibit.reason, ask->request.note, sizeof inhibit.reason);
    if (davy_decoder_inhibit(operate->decoder, device, &inhibit, now.mono) < 0)
        return refuse_inhibit(ask, outcome);
    outcome->until = inhibit.until.wall;
    operate->devices(operate->context);
    return 0;
}

static int run_uninhibit(const struct operate *operate, const struct ask *ask, struct outcome *outcome)
{
    uint32_t device = davy_config_find_device(operate->config, ask->request.alarm);
    if (device == DAVY_NONE)
        return no_such_device(operate, ask->request.alarm, outcome);
    if (davy_decoder_uninhibit(operate->decoder, device, davy_clock_now(operate->route->clock).mono) < 0)
        return refuse(outcome, "%s is not inhibited by an operator", ask->request.alarm);
    operate->devices(operate->context);
    return 0;
}

/*
 * Add the alarm that may have been meant to the refusal of one that there is not: the nearest name, or where only a
 * rule is named its first, as of a vote.
 */
static void hint_alarm(const struct operate *operate, const char *name, struct outcome *outcome)
{
    char key[DAVY_KEY_SIZE], nearest[DAVY_KEY_SIZE] = "";
    const char *candidate = key;
    const size_t length = strlen(name), told = strlen(outcome->refusal);
    struct davy_uuid id;
    if (davy_uuid_parse(name, &id) == 0)
        return;
    for (size_t i = 0; i < davy_engine_alarm_count(operate->engine); i++) {
        struct davy_alarm_view view;
        davy_engine_alarm(operate->engine, i, &view);
        davy_subject_key(operate->config, &view.subject, key);
        if (strcmp(key, name) == 0)
            return;
        const bool of_rule = strncmp(key, name, length) == 0 && key[length] == ':';
        if (!nearest[0] && (of_rule || davy_nearest(name, &candidate, 1)))
            memcpy(nearest, key, sizeof nearest);
    }
    if (nearest[0])
        snprintf(outcome->refusal + told, sizeof outcome->refusal - told, "; did you mean %s?", nearest);
}

static int reset_point(const struct operate *operate, const char *name, struct outcome *outcome)
{
    uint32_t point = davy_config_find_point(operate->config, name);
    if (point != DAVY_NONE && davy_decoder_reset(operate->decoder, point) == 0) {
        operate->point(operate->context, point);
        return 0;
    }
    if (point == DAVY_NONE) {
        refuse(outcome, "no such alarm or point: %s", name);
        hint_alarm(operate, name, outcome);
        return DAVY_REFUSED;
    }
    return refuse(outcome, "%s is not latched over range", name);
}

static int run_command(const struct operate *operate, const struct ask *ask, struct outcome *outcome);

/* DEVICE.POINT names the over-range latch of a point, RULE:DEVICE.POINT or an id an alarm. */
static int run_reset(const struct operate *operate, const struct ask *ask, struct outcome *outcome)
{
    struct davy_uuid id;
    if (strchr(ask->request.alarm, ':') || davy_uuid_parse(ask->request.alarm, &id) == 0)
        return run_command(operate, ask, outcome);
    return reset_point(operate, ask->request.alarm, outcome);
}

static const struct action actions[DAVY_VERB_COUNT_] = {
    [DAVY_VERB_ACK] = {run_command, DAVY_COMMAND_ACK},
    [DAVY_VERB_RESET] = {run_reset, DAVY_COMMAND_RESET},
    [DAVY_VERB_SHELVE] = {run_command, DAVY_COMMAND_SHELVE},
    [DAVY_VERB_UNSHELVE] = {run_command, DAVY_COMMAND_UNSHELVE},
    [DAVY_VERB_OUT_OF_SERVICE] = {run_command, DAVY_COMMAND_OUT_OF_SERVICE},
    [DAVY_VERB_IN_SERVICE] = {run_command, DAVY_COMMAND_IN_SERVICE},
    [DAVY_VERB_INHIBIT] = {run_inhibit, DAVY_COMMAND_COUNT_},
    [DAVY_VERB_UNINHIBIT] = {run_uninhibit, DAVY_COMMAND_COUNT_},
};

static int run_command(const struct operate *operate, const struct ask *ask, struct outcome *outcome)
{
    const struct davy_request_line *request = &ask->request;
    struct davy_command command = {
        .verb = actions[request->verb].verb,
        .duration = duration_of(ask),
        .id = request->id,
        .level = request->level,
    };
    memcpy(command.alarm, request->alarm, sizeof command.alarm);
    memcpy(command.by, ask->by, sizeof command.by);
    memcpy(command.note, request->note, sizeof command.note);
    struct davy_stamp now = davy_clock_now(operate->route->clock);
    int rc =
        davy_engine_command(operate->engine, &command, now, &outcome->state, outcome->refusal, sizeof outcome->refusal);
    if (rc == DAVY_REFUSED)
        hint_alarm(operate, request->alarm, outcome);
    if (rc == 0 && request->verb == DAVY_VERB_SHELVE)
        outcome->until.ns = now.wall.ns + command.duration.ns;
    return rc;
}

bool operate_knows(enum davy_verb verb)
{
    return (unsigned)verb < DAVY_VERB_COUNT_ && actions[verb].run;
}

/* What makes a command over MQTT once-only: after a restart the ledger alone knows it. */
static char *origin_of(const struct davy_remote *remote)
{
    char text[6 * sizeof remote->nonce + 128];
    struct davy_buf out;
    davy_buf_init(&out, text, sizeof text);
    davy_json_open(&out, '{');
    davy_json_text(&out, "nonce", remote->nonce);
    davy_json_time(&out, "issued_at", remote->issued_at);
    davy_json_close(&out, '}');
    return strdup(text);
}

/* For how long something was to be hidden, or which command over MQTT it was; NULL where that is no question. */
static char *detail_of(const struct ask *ask)
{
    char text[64];
    struct davy_buf out;
    if (ask->remote)
        return origin_of(ask->remote);
    if (ask->request.verb != DAVY_VERB_SHELVE && ask->request.verb != DAVY_VERB_INHIBIT)
        return NULL;
    davy_buf_init(&out, text, sizeof text);
    davy_json_open(&out, '{');
    davy_json_integer(&out, "duration_s", duration_of(ask).ns / DAVY_NS_PER_S);
    davy_json_close(&out, '}');
    return strdup(text);
}

static void audit(const struct operate *operate, const struct ask *ask, const char *result)
{
    struct record record = {.kind = RECORD_ACTION, .at = davy_clock_now(operate->route->clock)};
    struct record_action *action = &record.action;
    snprintf(action->by, sizeof action->by, "%s", ask->by);
    snprintf(action->verb, sizeof action->verb, "%s", davy_verb_name(ask->request.verb));
    snprintf(action->target, sizeof action->target, "%s", ask->request.alarm);
    snprintf(action->note, sizeof action->note, "%s", ask->request.note);
    snprintf(action->result, sizeof action->result, "%.191s", result);
    action->detail = detail_of(ask);
    operate->record(operate->context, &record);
}

void operate_take(const struct operate *operate, const struct ask *ask)
{
    struct outcome outcome = {.state = DAVY_STATE_NORMAL};
    bool done = actions[ask->request.verb].run(operate, ask, &outcome) == 0;
    audit(operate, ask, done ? "done" : outcome.refusal);
    answer_action(operate->route, ask, done, &outcome);
}
