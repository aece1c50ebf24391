/* SPDX-License-Identifier: Apache-2.0 */
/* From a configuration to alarms at rest: all memory of the engine is taken here. */
#include <errno.h>

#include "evaluate/internal.h"

static const struct davy_limit builtin_limit = {.level = DAVY_LEVEL_YELLOW, .condition = DAVY_CONDITION_SELF};
static const struct davy_limit inhibit_limit = {.level = DAVY_LEVEL_YELLOW, .condition = DAVY_CONDITION_INHIBIT};

/* The alarms of the gateway about itself, in the order of their events. */
static const enum davy_alarm_kind self_kinds[] = {DAVY_ALARM_STORAGE, DAVY_ALARM_MQTT, DAVY_ALARM_CONFIG};

/* Rules whose measure is not available are not watched; the loader said so. */
static bool watched(const struct davy_rule *rule)
{
    return rule->measure == DAVY_MEASURE_VALUE;
}

static void lay_out(struct davy_engine *engine, size_t *ret_limits)
{
    const struct davy_config *config = engine->options.config;
    uint32_t index = 0;
    *ret_limits = 0;
    for (size_t i = 0; i < config->rule_count; i++) {
        const struct davy_rule *rule = &config->rules[i];
        if (!watched(rule))
            continue;
        index += (uint32_t)rule->point_count;
        *ret_limits += rule->point_count * rule->limit_count;
    }
    uint32_t rules = index;
    engine->first.bus_fault = index;
    engine->first.device_fault = index += (uint32_t)config->bus_count;
    engine->first.point_fault = index += (uint32_t)config->device_count;
    engine->first.inhibit = index += (uint32_t)config->point_count;
    engine->first.calibration = index += (uint32_t)config->device_count;
    engine->first.self = index += (uint32_t)config->device_count;
    engine->alarm_count = index + (uint32_t)DAVY_LENGTH(self_kinds);
    *ret_limits += engine->alarm_count - rules;
}

static bool allocate(struct davy_engine *engine, size_t limits)
{
    const struct davy_config *config = engine->options.config;
    size_t points = config->point_count, devices = config->device_count, buses = config->bus_count;
    engine->alarms = calloc(engine->alarm_count, sizeof *engine->alarms);
    engine->states = calloc(limits, sizeof *engine->states);
    engine->fault_limits = calloc(buses + 1, sizeof *engine->fault_limits);
    engine->rule_first = calloc(config->rule_count + 1, sizeof *engine->rule_first);
    engine->point_first = calloc(points + 1, sizeof *engine->point_first);
    engine->point_alarms = calloc(engine->first.bus_fault + 1, sizeof *engine->point_alarms);
    engine->trackers = calloc(buses + devices + points + 1, sizeof *engine->trackers);
    engine->newest = calloc(points + 1, sizeof *engine->newest);
    engine->seen = calloc(points + 1, sizeof *engine->seen);
    engine->inhibited = calloc(devices + 1, sizeof *engine->inhibited);
    engine->zone_active = calloc(config->zone_count + 1, sizeof *engine->zone_active);
    engine->changed = calloc(engine->alarm_count, sizeof *engine->changed);
    return engine->alarms && engine->states && engine->fault_limits && engine->rule_first && engine->point_first &&
           engine->point_alarms && engine->trackers && engine->newest && engine->seen && engine->inhibited &&
           engine->zone_active && engine->changed && davy_timers_init(&engine->timers, engine->alarm_count) == 0 &&
           davy_timers_init(&engine->stale, points) == 0;
}

static void add_alarm(struct davy_engine *engine, uint32_t index, struct davy_subject subject,
                      const struct davy_limit *limits, size_t limit_count, size_t *next_state)
{
    engine->alarms[index] = (struct alarm){
        .subject = subject,
        .limits = limits,
        .limit_count = (uint8_t)limit_count,
        .states = &engine->states[*next_state],
    };
    *next_state += limit_count;
}

static struct davy_subject subject_of(enum davy_alarm_kind kind, uint32_t bus, uint32_t device, uint32_t point)
{
    return (struct davy_subject){.kind = kind, .rule = DAVY_NONE, .bus = bus, .device = device, .point = point};
}

static void add_rules(struct davy_engine *engine, size_t *next_state)
{
    const struct davy_config *config = engine->options.config;
    uint32_t index = 0;
    for (uint32_t r = 0; r < config->rule_count; r++) {
        const struct davy_rule *rule = &config->rules[r];
        engine->rule_first[r] = index;
        for (size_t i = 0; watched(rule) && i < rule->point_count; i++) {
            uint32_t point = rule->points[i];
            struct davy_subject subject = subject_of(DAVY_ALARM_RULE, DAVY_NONE, config->points[point].device, point);
            subject.rule = r;
            add_alarm(engine, index++, subject, rule->limits, rule->limit_count, next_state);
        }
    }
}

static void add_builtins(struct davy_engine *engine, size_t *next_state)
{
    const struct davy_config *config = engine->options.config;
    uint32_t index = engine->first.bus_fault;
    for (uint32_t b = 0; b < config->bus_count; b++) {
        engine->fault_limits[b] = (struct davy_limit){
            .level = DAVY_LEVEL_YELLOW, .condition = DAVY_CONDITION_FAULT, .on_delay = config->buses[b].fault_delay};
        add_alarm(engine, index++, subject_of(DAVY_ALARM_FAULT, b, DAVY_NONE, DAVY_NONE), &engine->fault_limits[b], 1,
                  next_state);
    }
    for (uint32_t d = 0; d < config->device_count; d++) {
        uint32_t bus = config->devices[d].bus;
        add_alarm(engine, index++, subject_of(DAVY_ALARM_FAULT, bus, d, DAVY_NONE), &engine->fault_limits[bus], 1,
                  next_state);
    }
    for (uint32_t p = 0; p < config->point_count; p++) {
        uint32_t device = config->points[p].device, bus = config->devices[device].bus;
        add_alarm(engine, index++, subject_of(DAVY_ALARM_FAULT, bus, device, p), &engine->fault_limits[bus], 1,
                  next_state);
    }
    for (uint32_t d = 0; d < config->device_count; d++)
        add_alarm(engine, index++, subject_of(DAVY_ALARM_INHIBIT, DAVY_NONE, d, DAVY_NONE), &inhibit_limit, 1,
                  next_state);
    for (uint32_t d = 0; d < config->device_count; d++)
        add_alarm(engine, index++, subject_of(DAVY_ALARM_CALIBRATION, DAVY_NONE, d, DAVY_NONE), &builtin_limit, 1,
                  next_state);
    for (size_t i = 0; i < DAVY_LENGTH(self_kinds); i++)
        add_alarm(engine, index++, subject_of(self_kinds[i], DAVY_NONE, DAVY_NONE, DAVY_NONE), &builtin_limit, 1,
                  next_state);
}

/* Lists the rule alarms of each point; a counting sort keeps them ascending. */
static void index_points(struct davy_engine *engine)
{
    const struct davy_config *config = engine->options.config;
    uint32_t *first = engine->point_first;
    for (uint32_t i = 0; i < engine->first.bus_fault; i++)
        first[engine->alarms[i].subject.point + 1]++;
    for (size_t p = 0; p < config->point_count; p++)
        first[p + 1] += first[p];
    for (uint32_t i = engine->first.bus_fault; i-- > 0;) {
        uint32_t point = engine->alarms[i].subject.point;
        engine->point_alarms[--first[point + 1]] = i;
    }
    /* Each bound now lies at the begin of its own point: shift back by one. */
    for (size_t p = 0; p < config->point_count; p++)
        first[p] = first[p + 1];
    first[config->point_count] = engine->first.bus_fault;
}

int davy_engine_build(const struct davy_engine_options *options, struct davy_engine **ret_engine)
{
    struct davy_engine *engine = calloc(1, sizeof *engine);
    if (!engine)
        return -ENOMEM;
    engine->options = *options;
    engine->calibration_at = DAVY_MONO_NEVER;
    davy_config_ref(options->config);
    size_t limits, next_state = 0;
    lay_out(engine, &limits);
    if (!allocate(engine, limits)) {
        davy_engine_free(engine);
        return -ENOMEM;
    }
    add_rules(engine, &next_state);
    add_builtins(engine, &next_state);
    index_points(engine);
    *ret_engine = engine;
    return 0;
}

int davy_engine_new(const struct davy_engine_options *options, struct davy_engine **ret_engine)
{
    return davy_engine_build(options, ret_engine);
}

struct davy_engine *davy_engine_free(struct davy_engine *engine)
{
    if (!engine)
        return NULL;
    free(engine->alarms);
    free(engine->states);
    free(engine->fault_limits);
    free(engine->rule_first);
    free(engine->point_first);
    free(engine->point_alarms);
    free(engine->trackers);
    free(engine->newest);
    free(engine->seen);
    free(engine->inhibited);
    free(engine->zone_active);
    free(engine->changed);
    davy_timers_done(&engine->timers);
    davy_timers_done(&engine->stale);
    davy_config_unref(engine->options.config);
    free(engine);
    return NULL;
}

static uint32_t find_rule_alarm(const struct davy_engine *engine, const struct davy_subject *subject)
{
    const struct davy_rule *rule = &engine->options.config->rules[subject->rule];
    for (size_t i = 0; watched(rule) && i < rule->point_count; i++)
        if (rule->points[i] == subject->point)
            return engine->rule_first[subject->rule] + (uint32_t)i;
    return DAVY_NONE;
}

static uint32_t find_fault_alarm(const struct davy_engine *engine, const struct davy_subject *subject)
{
    if (subject->point != DAVY_NONE)
        return engine->first.point_fault + subject->point;
    if (subject->device != DAVY_NONE)
        return engine->first.device_fault + subject->device;
    return engine->first.bus_fault + subject->bus;
}

uint32_t davy_engine_find_alarm(const struct davy_engine *engine, const struct davy_subject *subject)
{
    if (subject->kind == DAVY_ALARM_RULE)
        return find_rule_alarm(engine, subject);
    if (subject->kind == DAVY_ALARM_FAULT)
        return find_fault_alarm(engine, subject);
    if (subject->kind == DAVY_ALARM_INHIBIT)
        return engine->first.inhibit + subject->device;
    if (subject->kind == DAVY_ALARM_CALIBRATION)
        return engine->first.calibration + subject->device;
    for (uint32_t i = 0; i < DAVY_LENGTH(self_kinds); i++)
        if (self_kinds[i] == subject->kind)
            return engine->first.self + i;
    return DAVY_NONE;
}
