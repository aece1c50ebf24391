/* SPDX-License-Identifier: Apache-2.0 */
/* History from before the start: it fills windows and judges nothing. */
#include <stdio.h>
#include <string.h>

#include "evaluate/internal.h"

void davy_engine_past_reading(struct davy_engine *engine, const struct davy_reading *reading)
{
    for (uint32_t i = engine->point_first[reading->point]; i < engine->point_first[reading->point + 1]; i++) {
        struct alarm *alarm = &engine->alarms[engine->point_alarms[i]];
        if (!davy_engine_is_exposure(engine, alarm))
            continue;
        if (reading->at.mono.ns > alarm->window->read_at.mono.ns)
            davy_engine_take_memory(alarm); /* in order of time */
        else if (reading->at.mono.ns == alarm->window->read_at.mono.ns)
            alarm->window->waits = false; /* the history tells it too */
        davy_engine_take(engine, alarm, reading);
    }
}

davy_span davy_engine_reading_lookback(const struct davy_engine *engine, uint32_t point)
{
    davy_span most = {0};
    for (uint32_t i = engine->point_first[point]; i < engine->point_first[point + 1]; i++) {
        const struct alarm *alarm = &engine->alarms[engine->point_alarms[i]];
        if (!davy_engine_is_exposure(engine, alarm))
            continue;
        /* A reading from before the window may still hold inside it. */
        davy_span reach = {rule_of(engine, alarm)->options.window.ns +
                           engine->options.config->points[point].max_age.ns};
        if (reach.ns > most.ns)
            most = reach;
    }
    return most;
}

/* Each rule that counts this one, on the same point. */
static void count_past(struct davy_engine *engine, const struct davy_subject *raised, struct davy_stamp at)
{
    for (uint32_t i = engine->counting_first[raised->rule]; i < engine->counting_first[raised->rule + 1]; i++) {
        struct davy_subject counting = *raised;
        counting.rule = engine->counting[i];
        uint32_t index = davy_engine_find_alarm(engine, &counting);
        if (index != DAVY_NONE && engine->alarms[index].window)
            davy_measure_raised(engine->alarms[index].window->state, at);
    }
}

/* Whether a key that the configuration does not know (any more) is of a rule: a built-in alarm has its own name. */
static bool is_of_rule(const char *key)
{
    const char *colon = strchr(key, ':');
    char name[DAVY_KEY_SIZE];
    snprintf(name, sizeof name, "%.*s", colon ? (int)(colon - key) : 0, key);
    const char *dot = strrchr(name, '.');
    bool fault_of_vote = dot && strcmp(dot, ".fault") == 0 && colon && strcmp(colon, ":_") == 0;
    return colon && !fault_of_vote && davy_alarm_kind_find(name) <= DAVY_ALARM_RULE;
}

void davy_engine_past_raise(struct davy_engine *engine, const char *key, struct davy_stamp at)
{
    struct davy_subject subject;
    if (!davy_subject_parse(engine->options.config, key, &subject)) {
        if (is_of_rule(key))
            davy_engine_note_flood(engine, at.mono); /* its rule is gone, the raise was one all the same */
        return;
    }
    uint32_t index = subject.kind == DAVY_ALARM_RULE ? davy_engine_find_alarm(engine, &subject) : DAVY_NONE;
    if (subject.kind == DAVY_ALARM_RULE && (index == DAVY_NONE || is_member(engine, &engine->alarms[index])))
        davy_engine_note_flood(engine, at.mono);
    if (index == DAVY_NONE || is_member(engine, &engine->alarms[index]))
        return;
    davy_engine_note_raise(engine, &engine->alarms[index], at.mono);
    count_past(engine, &subject, at);
}

/*
 * Of flood and chatter: 10 min, and where one stands, since before it began. What came to an end while it was down then
 * ends at that time.
 */
static davy_span flood_lookback(const struct davy_engine *engine)
{
    const davy_span window = davy_span_s(600);
    davy_mono since = engine->started;
    for (int kind = DAVY_ALARM_FLOOD; kind <= DAVY_ALARM_CHATTER; kind++) {
        const struct alarm *alarm = &engine->alarms[davy_engine_kind(engine, (enum davy_alarm_kind)kind)];
        if (alarm->states[0].condition)
            since = davy_mono_min(since, alarm->raised.mono);
    }
    return (davy_span){davy_mono_sub(engine->started, since).ns + window.ns};
}

davy_span davy_engine_raise_lookback(const struct davy_engine *engine)
{
    const struct davy_config *config = engine->options.config;
    davy_span most = flood_lookback(engine);
    for (size_t i = 0; i < config->rule_count; i++) {
        const struct davy_rule *rule = &config->rules[i];
        if (rule->measure == DAVY_MEASURE_OCCURRENCES && rule->options.window.ns > most.ns)
            most = rule->options.window;
    }
    return most;
}
