/* SPDX-License-Identifier: Apache-2.0 */
#include "model/alarm.h"

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
    if (!colon || (size_t)(colon - key) >= sizeof rule)
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
    if (subject.rule != DAVY_NONE)
        return subject.point != DAVY_NONE;
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
