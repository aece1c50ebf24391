/* SPDX-License-Identifier: Apache-2.0 */
#include "model/alarm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

struct davy_members *davy_members_new(size_t count)
{
    struct davy_members *members = calloc(1, sizeof *members + count * sizeof members->list[0]);
    if (members) {
        atomic_init(&members->references, 1);
        members->count = count;
    }
    return members;
}

struct davy_members *davy_members_ref(struct davy_members *members)
{
    if (members)
        atomic_fetch_add(&members->references, 1);
    return members;
}

struct davy_members *davy_members_unref(struct davy_members *members)
{
    if (members && atomic_fetch_sub(&members->references, 1) == 1)
        free(members);
    return NULL;
}

const char *davy_subject_rule_name(const struct davy_config *config, const struct davy_subject *subject)
{
    if (subject->kind == DAVY_ALARM_RULE)
        return config->rules[subject->rule].name;
    if (subject->kind == DAVY_ALARM_VOTE_FAULT)
        return config->rules[subject->rule].fault_name;
    return davy_alarm_kind_name(subject->kind);
}

/* "DEVICE.POINT", "DEVICE", "BUS", "gateway", or of a vote "_". */
static const char *subject_name(const struct davy_config *config, const struct davy_subject *subject,
                                char text[DAVY_KEY_SIZE])
{
    if (subject->point != DAVY_NONE)
        return davy_config_point_name(config, subject->point, text);
    if (subject->device != DAVY_NONE)
        return config->devices[subject->device].id;
    if (subject->bus != DAVY_NONE)
        return config->buses[subject->bus].name;
    return subject->rule != DAVY_NONE ? "_" : "gateway";
}

char *davy_subject_key(const struct davy_config *config, const struct davy_subject *subject, char text[DAVY_KEY_SIZE])
{
    char name[DAVY_KEY_SIZE];
    struct davy_buf key;
    davy_buf_init(&key, text, DAVY_KEY_SIZE);
    davy_buf_text(&key, davy_subject_rule_name(config, subject));
    davy_buf_char(&key, ':');
    davy_buf_text(&key, subject_name(config, subject, name));
    return text;
}

/* "RULE:_" and "RULE.fault:_". */
static bool parse_vote(const struct davy_config *config, const char *rule, struct davy_subject *ret_subject)
{
    struct davy_subject subject = {DAVY_ALARM_RULE, DAVY_NONE, DAVY_NONE, DAVY_NONE, DAVY_NONE};
    for (uint32_t r = 0; r < config->rule_count; r++) {
        const struct davy_rule *each = &config->rules[r];
        bool fault = each->vote && strcmp(each->fault_name, rule) == 0;
        if (!each->vote || (!fault && strcmp(each->name, rule) != 0))
            continue;
        subject.kind = fault ? DAVY_ALARM_VOTE_FAULT : DAVY_ALARM_RULE;
        subject.rule = r;
        *ret_subject = subject;
        return true;
    }
    return false;
}

bool davy_subject_parse(const struct davy_config *config, const char *key, struct davy_subject *ret_subject)
{
    const char *colon = strchr(key, ':');
    char rule[DAVY_KEY_SIZE];
    if (!colon)
        return false;
    memcpy(rule, key, (size_t)(colon - key));
    rule[colon - key] = '\0';
    const char *name = colon + 1;
    if (strcmp(name, "_") == 0)
        return parse_vote(config, rule, ret_subject);
    int kind = davy_alarm_kind_find(rule);
    struct davy_subject subject = {DAVY_ALARM_RULE, DAVY_NONE, DAVY_NONE, DAVY_NONE, DAVY_NONE};
    subject.rule = davy_config_find_rule(config, rule);
    if (subject.rule == DAVY_NONE && kind <= DAVY_ALARM_RULE)
        return false;
    if (subject.rule == DAVY_NONE)
        subject.kind = (enum davy_alarm_kind)kind;
    bool of_gateway = strcmp(name, "gateway") == 0;
    if (subject.kind == DAVY_ALARM_FAULT)
        subject.bus = davy_config_find_bus(config, name);
    if (!of_gateway && subject.bus == DAVY_NONE)
        subject.device = davy_config_find_device(config, name);
    if (!of_gateway && subject.bus == DAVY_NONE && subject.device == DAVY_NONE)
        subject.point = davy_config_find_point(config, name);
    if (subject.point != DAVY_NONE)
        subject.device = config->points[subject.point].device;
    if (subject.kind == DAVY_ALARM_FAULT && subject.device != DAVY_NONE)
        subject.bus = config->devices[subject.device].bus;
    *ret_subject = subject;
    return of_gateway || subject.bus != DAVY_NONE || subject.device != DAVY_NONE;
}

uint32_t davy_subject_zone(const struct davy_config *config, const struct davy_subject *subject)
{
    if (subject->point != DAVY_NONE)
        return config->points[subject->point].zone;
    if (subject->rule != DAVY_NONE)
        return config->points[config->rules[subject->rule].points[0]].zone; /* a vote: all are of one zone */
    return subject->device != DAVY_NONE ? config->devices[subject->device].zone : DAVY_NONE;
}

/* How the value stands to the limit; NULL where it is not on the trip side. */
static const char *sign_of(const struct davy_event *event)
{
    if (!event->has_value)
        return NULL;
    bool reaches = event->value >= event->limit, stays_under = event->value <= event->limit;
    if (event->condition == DAVY_CONDITION_EQUALS)
        return reaches && stays_under ? "=" : NULL;
    if (reaches && event->condition != DAVY_CONDITION_BELOW)
        return "≥";
    return stays_under && event->condition != DAVY_CONDITION_ABOVE ? "≤" : NULL;
}

/* Four digits are enough for people; the exact value has its own key. */
static void quantity_text(struct davy_buf *out, double value, const char *unit)
{
    davy_buf_printf(out, fabs(value) < 9999.5 ? "%.4g" : "%.0f", value);
    if (unit && !(unit[0] == '1' && unit[1] == '\0'))
        davy_buf_printf(out, " %s", unit);
}

static void limit_sentence(struct davy_buf *out, const struct davy_config *config, const struct davy_event *event)
{
    const struct davy_point *point = &config->points[event->subject.point];
    davy_buf_printf(out, "%s: %s", config->devices[point->device].name,
                    point->quantity ? point->quantity : point->name);
    if (event->has_value) {
        davy_buf_char(out, ' ');
        quantity_text(out, event->value, point->unit);
    }
    if (event->has_limit) {
        const char *sign = sign_of(event);
        davy_buf_text(out, sign ? " " : ", limit");
        davy_buf_printf(out, "%s ", sign ? sign : "");
        quantity_text(out, event->limit, point->unit);
    }
    if (event->reason != DAVY_REASON_NONE)
        davy_buf_printf(out, " (%s: %s)", davy_quality_name(event->quality), davy_reason_name(event->reason));
}

/* Conditions of built-in alarms in words; %s is the subject. */
static const char *const builtin_sentences[DAVY_ALARM_COUNT_] = {
    [DAVY_ALARM_FAULT] = "no good reading",
    [DAVY_ALARM_VOTE_FAULT] = "fewer healthy members than votes needed",
    [DAVY_ALARM_INHIBIT] = "warm-up, calibration or inhibit: limits are held",
    [DAVY_ALARM_CALIBRATION] = "calibration is due",
    [DAVY_ALARM_STORAGE] = "storage is failing or slow",
    [DAVY_ALARM_MQTT] = "no connection to the platform, or it refuses",
    [DAVY_ALARM_CLOCK] = "clock is not synchronized",
    [DAVY_ALARM_CONFIG] = "a reload was refused, the old configuration runs on",
    [DAVY_ALARM_OVERLOAD] = "cannot keep up",
    [DAVY_ALARM_FLOOD] = "alarm flood",
    [DAVY_ALARM_CHATTER] = "chattering alarm",
};

static void builtin_sentence(struct davy_buf *out, const struct davy_config *config, const struct davy_event *event)
{
    char name[DAVY_KEY_SIZE];
    const struct davy_subject *subject = &event->subject;
    bool bus = subject->kind == DAVY_ALARM_FAULT && subject->device == DAVY_NONE;
    davy_buf_printf(out, "%s: %s%s", subject_name(config, subject, name),
                    bus ? "no answer on this line" : builtin_sentences[subject->kind], event->active ? "" : ": over");
    if (event->active && event->reason != DAVY_REASON_NONE)
        davy_buf_printf(out, " (%s)", davy_reason_name(event->reason));
}

void davy_event_message(const struct davy_config *config, const struct davy_event *event, char *text, size_t size)
{
    struct davy_buf out;
    davy_buf_init(&out, text, size);
    if (event->subject.kind != DAVY_ALARM_RULE) {
        builtin_sentence(&out, config, event);
        return;
    }
    const struct davy_limit *limit = &config->rules[event->subject.rule].limits[event->limit_index];
    if (limit->message)
        davy_buf_printf(&out, "%s: ", limit->message);
    limit_sentence(&out, config, event);
}
