/* SPDX-License-Identifier: Apache-2.0 */
/* explain, of a built-in alarm: the cause, what raises and what ends it, and what to do (davyd(8), BUILT-IN ALARMS). */
#include <fnmatch.h>
#include <string.h>

#include "daemon/answer_internal.h"
#include "evaluate/explain.h"

static const struct {
    const char *raised, *cleared, *todo;
} facts[DAVY_ALARM_COUNT_] = {
    [DAVY_ALARM_FAULT] = {"no answer (of a bus), or only bad readings, for fault_delay; none below one that stands",
                          "three answers in a row that are not bad",
                          "comm: look at power, wiring, address and speed, `davyctl status`, `davyctl frames BUS "
                          "--errors`; another reason: look at the device itself; limits are held until it gives good "
                          "readings"},
    [DAVY_ALARM_VOTE_FAULT] = {"fewer points of the vote are healthy than it needs votes", "as many are healthy again",
                               "`davyctl explain RULE _` shows which members are bad"},
    [DAVY_ALARM_INHIBIT] = {"a point is in warm-up or calibration, or a person has inhibited the device", "none is",
                            "limits are held meanwhile; `davyctl uninhibit DEVICE` ends what a person has begun"},
    [DAVY_ALARM_CALIBRATION] = {"the date calibration_due is reached", "it is moved",
                                "calibrate, write the next date into calibration_due, and `davyctl reload`"},
    [DAVY_ALARM_STORAGE] = {"a write failed or took longer than announce_within, a database was set aside, or less "
                            "than 64 MiB or 5 % are free",
                            "a minute without", "look at the disk: its space, its inodes, errors in the kernel's log"},
    [DAVY_ALARM_MQTT] = {"no connection that holds for 60 s, a refusal in the last 60 s, another client with our id in "
                         "the last 10 min, an event not delivered for 10 min, a platform that does not confirm within "
                         "confirm_within, or a certificate that ends within 30 days",
                         "none of these",
                         "look at the broker, the network, certificates and accounts; `davyctl status` says it of the "
                         "moment; events wait in the ledger until they are delivered"},
    [DAVY_ALARM_CLOCK] = {"the clock stepped by more than 1 s, or was not synchronized for 10 min",
                          "a minute synchronized", "look at the time service: `timedatectl`; no delay depends on it"},
    [DAVY_ALARM_CONFIG] = {"a reload was refused; the configuration before it runs on", "a reload is accepted",
                           "`davyctl check` names every problem; mend it, then `davyctl reload`"},
    [DAVY_ALARM_OVERLOAD] = {"a queue was more than half full for 10 s, or a point was read at less than half its rate",
                             "a minute without",
                             "`davyctl status` shows LOAD and SKIPPED of each bus; longer intervals, a faster line or "
                             "another bus help"},
    [DAVY_ALARM_FLOOD] = {"10 alarms of rules were raised in 10 min", "fewer than 5 were",
                          "`davyctl alarms` lists the worst first"},
    [DAVY_ALARM_CHATTER] = {"one alarm was raised 3 times in a minute", "none was for 10 min",
                            "look at its sensor, or give its limit a greater deadband or off_delay"},
};

bool answer_builtin_find(const struct davy_config *config, const char *name, struct davy_subject *ret_subject)
{
    const int kind = davy_alarm_kind_find(name);
    struct davy_subject subject = {DAVY_ALARM_RULE, DAVY_NONE, DAVY_NONE, DAVY_NONE, DAVY_NONE};
    if (kind > DAVY_ALARM_RULE && kind != DAVY_ALARM_VOTE_FAULT)
        subject.kind = (enum davy_alarm_kind)kind;
    for (uint32_t r = 0; r < config->rule_count; r++) {
        if (config->rules[r].vote == 0 || strcmp(config->rules[r].fault_name, name) != 0)
            continue;
        subject.kind = DAVY_ALARM_VOTE_FAULT;
        subject.rule = r;
    }
    if (subject.kind == DAVY_ALARM_RULE)
        return false;
    *ret_subject = subject;
    return true;
}

bool answer_builtin_meant(const struct davy_config *config, const struct davy_subject *asked, const char *glob,
                          const struct davy_alarm_view *view)
{
    char key[DAVY_KEY_SIZE];
    const struct davy_subject *subject = &view->subject;
    if (subject->kind != asked->kind || subject->rule != asked->rule)
        return false;
    if (glob[0])
        return fnmatch(glob, strchr(davy_subject_key(config, subject, key), ':') + 1, 0) == 0;
    const bool one = subject->device == DAVY_NONE && subject->bus == DAVY_NONE;
    return one || view->state != DAVY_STATE_NORMAL;
}

static enum davy_why why_of(const struct davy_alarm_view *view)
{
    if (view->active)
        return DAVY_WHY_ACTIVE;
    if (view->out_of_service)
        return DAVY_WHY_OUT_OF_SERVICE;
    return view->shelved_until.ns != 0 ? DAVY_WHY_SHELVED : DAVY_WHY_NOT_REACHED;
}

/* The note is the cause, unless it is that of a person who hid the alarm. */
static void put_sentence(struct davy_buf *out, const struct davy_config *config, const struct davy_alarm_view *view,
                         const struct davy_inhibit *inhibit)
{
    char time[DAVY_WALL_TEXT], message[512];
    if (!view->active) {
        davy_buf_text(out, "not in alarm");
        return;
    }
    davy_buf_printf(out, "in alarm since %s: ", davy_wall_format(view->raised_at, time));
    const char *behind = strstr(answer_message(config, view, message, sizeof message), ": ");
    if (inhibit)
        davy_buf_printf(out, "inhibited until %s by %s: %s", davy_wall_format(inhibit->until.wall, time), inhibit->by,
                        inhibit->reason);
    else if (view->note[0] && !view->by[0])
        davy_buf_text(out, view->note);
    else
        davy_buf_text(out, behind ? behind + 2 : message);
}

void answer_builtin(struct davy_buf *out, const struct davy_config *config, const struct davy_alarm_view *view,
                    const struct davy_inhibit *inhibit)
{
    char key[DAVY_KEY_SIZE], text[1024];
    struct davy_buf sentence;
    davy_buf_init(&sentence, text, sizeof text);
    put_sentence(&sentence, config, view, inhibit);
    davy_json_open(out, '{');
    davy_json_text(out, "alarm", davy_subject_key(config, &view->subject, key));
    davy_json_text(out, "why", davy_why_name(why_of(view)));
    davy_json_text(out, "sentence", text);
    answer_state(out, config, view, inhibit);
    static const char *const none[] = {"unit", "reading", "measure", "when", "vote"};
    for (size_t i = 0; i < DAVY_LENGTH(none); i++)
        davy_json_null(out, none[i]);
    davy_json_key_open(out, "limits", '[');
    davy_json_close(out, ']');
    davy_json_key_open(out, "ladder", '[');
    davy_json_close(out, ']');
    davy_json_key_open(out, "builtin", '{');
    davy_json_text(out, "raised", facts[view->subject.kind].raised);
    davy_json_text(out, "cleared", facts[view->subject.kind].cleared);
    davy_json_text(out, "todo", facts[view->subject.kind].todo);
    davy_json_close(out, '}');
    davy_json_close(out, '}');
}
