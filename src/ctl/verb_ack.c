/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ack and reset. An ack names the occurrence and the level that were listed a moment before, so that the daemon refuses
 * it where the alarm has risen since.
 */
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/nearest.h"
#include "ctl/ctl.h"

/* What became of each alarm, for the document of --json. */
struct outcome {
    const struct ctl *ctl;
    json_t *results;
    bool refused;
};

/* Tell about one alarm; `reason` is NULL where it was done. */
static void tell(struct outcome *outcome, const char *alarm, const char *state, const char *reason)
{
    outcome->refused |= reason != NULL;
    if (outcome->ctl->json) {
        json_array_append_new(outcome->results, json_pack("{s:s,s:b,s:s}", "alarm", alarm, "ok", reason == NULL,
                                                          reason ? "error" : "state", reason ? reason : state));
        return;
    }
    char *name = davy_ctl_escape(alarm), *text = davy_ctl_escape(reason ? reason : state);
    if (reason)
        fprintf(stderr, "davyctl: %s: refused: %s\n", name, text);
    else
        printf("%s %s\n", name, text);
    free(name);
    free(text);
}

/* Takes the request. An exit code other than done ends the verb; a refusal does not. */
static int send_one(struct ctl *ctl, struct outcome *outcome, json_t *request)
{
    char *alarm = davy_ctl_copy(davy_ctl_text(request, "alarm"));
    json_t *reply = NULL;
    int code = davy_ctl_exchange(ctl, request, &reply);
    if (code == CTL_DONE) {
        const char *key = davy_ctl_text(reply, "alarm"), *reason = davy_ctl_text(reply, "error");
        const bool ok = json_is_true(json_object_get(reply, "ok"));
        tell(outcome, *key ? key : alarm, davy_ctl_text(reply, "state"),
             ok        ? NULL
             : *reason ? reason
                       : "without a reason");
    }
    json_decref(reply);
    free(alarm);
    return code;
}

static json_t *make_request(const struct ctl *ctl, const char *verb, const char *alarm)
{
    json_t *request = json_pack("{s:s,s:s}", "verb", verb, "alarm", alarm);
    const char *note = davy_ctl_option(ctl, "note");
    if (note)
        json_object_set_new(request, "note", json_string(note));
    return request;
}

static int finish(struct outcome *outcome, int code)
{
    if (code == CTL_DONE && outcome->ctl->json) {
        json_t *document = json_pack("{s:b,s:O}", "ok", !outcome->refused, "results", outcome->results);
        davy_ctl_print_json(document, true);
        json_decref(document);
    }
    json_decref(outcome->results);
    return code == CTL_DONE && outcome->refused ? CTL_REFUSED : code;
}

static bool is_text(const json_t *alarm, const char *key, const char *text)
{
    return strcmp(davy_ctl_text(alarm, key), text) == 0;
}

static int ack_listed(struct ctl *ctl, struct outcome *outcome, const json_t *alarm)
{
    json_t *request = make_request(ctl, "ack", davy_ctl_text(alarm, "alarm"));
    static const char *const seen[] = {"id", "level"};
    for (size_t i = 0; i < DAVY_LENGTH(seen); i++)
        if (json_is_string(json_object_get(alarm, seen[i])))
            json_object_set(request, seen[i], json_object_get(alarm, seen[i]));
    return send_one(ctl, outcome, request);
}

/* "there is no such alarm; did you mean tank:_?": a vote's is often called by its rule alone. */
static void tell_unknown(struct outcome *outcome, const json_t *alarms, const char *name)
{
    const size_t length = strlen(name);
    const char *nearest = NULL;
    size_t i;
    json_t *alarm;
    json_array_foreach(alarms, i, alarm)
    {
        const char *key = davy_ctl_text(alarm, "alarm");
        if (!nearest && ((strncmp(key, name, length) == 0 && key[length] == ':') || davy_nearest(name, &key, 1)))
            nearest = key;
    }
    char *reason = davy_ctl_format("there is no such alarm%s%s%s", nearest ? "; did you mean " : "",
                                   nearest ? nearest : "", nearest ? "?" : "");
    tell(outcome, name, NULL, reason);
    free(reason);
}

static int ack_exact(struct ctl *ctl, struct outcome *outcome, const json_t *alarms, const char *name)
{
    size_t i;
    json_t *alarm;
    json_array_foreach(alarms, i, alarm)
    {
        if (!is_text(alarm, "alarm", name) && strcasecmp(davy_ctl_text(alarm, "id"), name) != 0)
            continue;
        if (!is_text(alarm, "state", "normal"))
            return ack_listed(ctl, outcome, alarm);
        tell(outcome, name, NULL, "it is normal, there is nothing to acknowledge");
        return CTL_DONE;
    }
    tell_unknown(outcome, alarms, name);
    return CTL_DONE;
}

static int ack_glob(struct ctl *ctl, struct outcome *outcome, const json_t *alarms, const char *glob)
{
    size_t i, matches = 0;
    json_t *alarm;
    json_array_foreach(alarms, i, alarm)
    {
        const char *key = davy_ctl_text(alarm, "alarm");
        if (fnmatch(glob, key, 0) != 0 || is_text(alarm, "state", "normal") ||
            json_is_true(json_object_get(alarm, "acknowledged")))
            continue;
        matches++;
        if (is_text(alarm, "level", "red")) {
            tell(outcome, key, NULL, "a glob never acknowledges a red alarm; name it");
            continue;
        }
        int code = ack_listed(ctl, outcome, alarm);
        if (code != CTL_DONE)
            return code;
    }
    if (matches == 0)
        tell(outcome, glob, NULL, "no alarm that matches is unacknowledged");
    return CTL_DONE;
}

int davy_ctl_ack(struct ctl *ctl)
{
    const char *name = davy_ctl_argument(ctl, 0);
    const bool glob = strpbrk(name, "*?[") != NULL;
    json_t *alarms = NULL;
    int code = davy_ctl_pages(ctl, json_pack("{s:s,s:b}", "verb", "alarms", "all", !glob), "alarms", "alarm", &alarms);
    if (code != CTL_DONE)
        return code;
    struct outcome outcome = {.ctl = ctl, .results = json_array()};
    code = (glob ? ack_glob : ack_exact)(ctl, &outcome, alarms, name);
    json_decref(alarms);
    return finish(&outcome, code);
}

int davy_ctl_reset(struct ctl *ctl)
{
    struct outcome outcome = {.ctl = ctl, .results = json_array()};
    return finish(&outcome, send_one(ctl, &outcome, make_request(ctl, "reset", davy_ctl_argument(ctl, 0))));
}
