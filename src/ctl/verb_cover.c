/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What hides an alarm or holds the limits of a device, and what ends that: shelve, unshelve, out-of-service,
 * in-service, inhibit, uninhibit.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/ctl.h"

/* "h2s:GT-101.h2s shelved until 2026-11-25T16:00:00.000Z" */
static void print_done(const json_t *reply, const char *about, const char *done)
{
    char *name = davy_ctl_cell(reply, about), *until = davy_ctl_cell(reply, "until");
    const bool bounded = json_is_string(json_object_get(reply, "until"));
    printf("%s %s%s%s\n", name, done, bounded ? davy_ctl_until(done) : "", bounded ? until : "");
    free(name);
    free(until);
}

/*
 * about    "alarm" or "device": what the argument is
 * word     that the argument takes where the reply has no state
 */
static int ask_and_print(struct ctl *ctl, json_t *request, const char *about, const char *word)
{
    json_t *reply = NULL;
    int code = davy_ctl_ask(ctl, request, &reply);
    if (code != CTL_DONE)
        return code;
    if (ctl->json) {
        davy_ctl_print_json(reply, true);
    } else {
        char *state = davy_ctl_cell(reply, "state");
        print_done(reply, about, word ? word : state);
        free(state);
    }
    json_decref(reply);
    return CTL_DONE;
}

static json_t *request_of(const struct ctl *ctl, const char *verb, const char *about)
{
    return json_pack("{s:s,s:s}", "verb", verb, about, davy_ctl_argument(ctl, 0));
}

/* Whole seconds; a finer duration is no use for what people do. */
static int add_duration(const struct ctl *ctl, json_t *request)
{
    const char *text = davy_ctl_argument(ctl, 1);
    davy_span span;
    if (!text)
        return CTL_DONE;
    if (davy_span_parse(text, &span) < 0 || span.ns < DAVY_NS_PER_S || span.ns % DAVY_NS_PER_S != 0)
        return davy_ctl_fail(ctl, CTL_USAGE, "'%s' is not a duration like 90s, 30min or 8h", text);
    json_object_set_new(request, "duration_s", json_integer(span.ns / DAVY_NS_PER_S));
    return CTL_DONE;
}

static int hide(struct ctl *ctl, const char *verb, const char *about, const char *word)
{
    const char *reason = davy_ctl_option(ctl, "reason");
    if (!reason || reason[strspn(reason, " \t")] == '\0')
        return davy_ctl_fail(ctl, CTL_USAGE, "%s needs a reason: --reason TEXT", verb);
    json_t *request = request_of(ctl, verb, about);
    json_object_set_new(request, "reason", json_string(reason));
    int code = add_duration(ctl, request);
    if (code == CTL_DONE)
        return ask_and_print(ctl, request, about, word);
    json_decref(request);
    return code;
}

static int show(struct ctl *ctl, const char *verb, const char *about, const char *word)
{
    json_t *request = request_of(ctl, verb, about);
    const char *note = davy_ctl_option(ctl, "note");
    if (note)
        json_object_set_new(request, "note", json_string(note));
    return ask_and_print(ctl, request, about, word);
}

int davy_ctl_shelve(struct ctl *ctl)
{
    return hide(ctl, "shelve", "alarm", NULL);
}

int davy_ctl_unshelve(struct ctl *ctl)
{
    return show(ctl, "unshelve", "alarm", NULL);
}

int davy_ctl_out_of_service(struct ctl *ctl)
{
    return hide(ctl, "out-of-service", "alarm", NULL);
}

int davy_ctl_in_service(struct ctl *ctl)
{
    return show(ctl, "in-service", "alarm", NULL);
}

int davy_ctl_inhibit(struct ctl *ctl)
{
    return hide(ctl, "inhibit", "device", "inhibited");
}

int davy_ctl_uninhibit(struct ctl *ctl)
{
    return show(ctl, "uninhibit", "device", "no longer inhibited");
}
