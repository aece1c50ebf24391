/* SPDX-License-Identifier: Apache-2.0 */
/* From a configuration to alarms at rest: all memory of the engine is taken here. */
#include <errno.h>
#include <stdlib.h>

#include "evaluate/internal.h"

static const struct davy_limit builtin_limit = {
    .level = DAVY_LEVEL_YELLOW, .condition = DAVY_CONDITION_SELF, .shelvable = true};
static const struct davy_limit vote_fault_limit = {
    .level = DAVY_LEVEL_YELLOW, .condition = DAVY_CONDITION_FAULT, .shelvable = true};
static const struct davy_limit inhibit_limit = {
    .level = DAVY_LEVEL_YELLOW, .condition = DAVY_CONDITION_INHIBIT, .shelvable = true};

/* The alarms of the gateway about itself, in the order of their events. */
static const enum davy_alarm_kind self_kinds[] = {DAVY_ALARM_STORAGE, DAVY_ALARM_MQTT,     DAVY_ALARM_CLOCK,
                                                  DAVY_ALARM_CONFIG,  DAVY_ALARM_OVERLOAD, DAVY_ALARM_FLOOD,
                                                  DAVY_ALARM_CHATTER};

/* How much of each there is. */
struct sizes {
    size_t rule_alarms, members, votes, windows, states, vote_limits, counting;
};

static void add_rule(struct sizes *sizes, const struct davy_rule *rule)
{
    size_t watched = rule->vote ? 1 : rule->point_count;
    sizes->rule_alarms += watched;
    sizes->states += watched * rule->limit_count;
    if (rule->measure != DAVY_MEASURE_VALUE)
        sizes->windows += rule->point_count;
    sizes->counting += rule->measure == DAVY_MEASURE_OCCURRENCES;
    if (!rule->vote)
        return;
    sizes->votes++;
    sizes->members += rule->point_count;
    sizes->states += rule->point_count * rule->limit_count;
    sizes->vote_limits += (rule->point_count + 1) * rule->limit_count;
}

static struct sizes lay_out(struct davy_engine *engine)
{
    const struct davy_config *config = engine->options.config;
    struct sizes sizes = {0};
    for (size_t i = 0; i < config->rule_count; i++)
        add_rule(&sizes, &config->rules[i]);
    uint32_t index = (uint32_t)sizes.rule_alarms;
    engine->first.bus_fault = index;
    engine->first.device_fault = index += (uint32_t)config->bus_count;
    engine->first.point_fault = index += (uint32_t)config->device_count;
    engine->first.vote_fault = index += (uint32_t)config->point_count;
    engine->first.inhibit = index += (uint32_t)sizes.votes;
    engine->first.calibration = index += (uint32_t)config->device_count;
    engine->first.self = index += (uint32_t)config->device_count;
    engine->first.member = index += (uint32_t)DAVY_LENGTH(self_kinds);
    engine->alarm_count = index;
    engine->member_count = (uint32_t)sizes.members;
    sizes.states += engine->alarm_count - sizes.rule_alarms;
    return sizes;
}

/* Zeroed memory for `count` elements, or more: never of size 0. */
#define TAKE(array, count) ((array) = calloc((count) + 1, sizeof *(array)))

static bool take_alarms(struct davy_engine *engine, const struct sizes *sizes)
{
    size_t alarms = engine->alarm_count + sizes->members;
    return TAKE(engine->alarms, alarms) && TAKE(engine->states, sizes->states) && TAKE(engine->changed, alarms) &&
           TAKE(engine->settled, alarms) && TAKE(engine->votes, sizes->votes) &&
           TAKE(engine->windows, sizes->windows) && TAKE(engine->vote_limits, sizes->vote_limits) &&
           TAKE(engine->counting, sizes->counting) && davy_timers_init(&engine->timers, engine->alarm_count) == 0;
}

static bool take_indices(struct davy_engine *engine, const struct sizes *sizes)
{
    const struct davy_config *config = engine->options.config;
    size_t points = config->point_count, devices = config->device_count, buses = config->bus_count;
    return TAKE(engine->fault_limits, buses) && TAKE(engine->rule_first, config->rule_count) &&
           TAKE(engine->point_first, points + 1) && TAKE(engine->point_alarms, sizes->rule_alarms + sizes->members) &&
           TAKE(engine->gate_first, points + 1) && TAKE(engine->gate_alarms, sizes->rule_alarms) &&
           TAKE(engine->other_first, points + 1) && TAKE(engine->other_alarms, sizes->windows) &&
           TAKE(engine->counting_first, config->rule_count + 1) && TAKE(engine->trackers, buses + devices + points) &&
           TAKE(engine->newest, points) && TAKE(engine->seen, points) && TAKE(engine->inhibited, devices) &&
           TAKE(engine->zone_active, config->zone_count) && davy_timers_init(&engine->stale, points) == 0;
}

/* What add_alarm has used of the arrays. */
struct used {
    size_t states, limits;
};

/* Before any limit trips, the measure itself is told of. */
static uint8_t first_plain(const struct davy_limit *limits, size_t count)
{
    uint8_t i = 0;
    while (i + 1U < count && limits[i].upper)
        i++;
    return i;
}

/* Of `outside` the lower bound is told until one is crossed (a bad reading can trip it). */
void davy_engine_clear_limits(struct alarm *alarm)
{
    for (uint8_t i = 0; i < alarm->limit_count; i++)
        alarm->states[i] = (struct davy_limit_state){.crossed = alarm->limits[i].a};
}

static void add_alarm(struct davy_engine *engine, uint32_t index, struct davy_subject subject,
                      const struct davy_limit *limits, size_t limit_count, struct used *used)
{
    engine->alarms[index] = (struct alarm){
        .subject = subject,
        .limits = limits,
        .limit_count = (uint8_t)limit_count,
        .states = &engine->states[used->states],
        .quality = DAVY_QUALITY_COUNT_,
    };
    engine->alarms[index].shown_limit = first_plain(limits, limit_count);
    davy_engine_clear_limits(&engine->alarms[index]);
    used->states += limit_count;
}

static struct davy_subject subject_of(enum davy_alarm_kind kind, uint32_t bus, uint32_t device, uint32_t point)
{
    return (struct davy_subject){.kind = kind, .rule = DAVY_NONE, .bus = bus, .device = device, .point = point};
}

struct davy_measure_setup davy_engine_setup(const struct davy_config *config, const struct davy_rule *rule,
                                            uint32_t point)
{
    return (struct davy_measure_setup){
        .type = rule->measure, .options = &rule->options, .hold = config->points[point].max_age};
}

/* The measure of a rule on its point of this place. */
static int add_window(struct davy_engine *engine, struct alarm *alarm, size_t place)
{
    const struct davy_rule *rule = rule_of(engine, alarm);
    if (rule->measure == DAVY_MEASURE_VALUE)
        return 0;
    struct davy_measure_setup setup = davy_engine_setup(engine->options.config, rule, alarm->subject.point);
    alarm->window = &engine->windows[engine->window_count++];
    alarm->window->other = rule->options.others ? rule->options.others[place] : DAVY_NONE;
    return davy_measure_new(&setup, &alarm->window->state);
}

static void add_gate(struct alarm *alarm, const struct davy_rule *rule, size_t place)
{
    if (!rule->when.points)
        return;
    alarm->gate.when = &rule->when;
    alarm->gate.point = rule->when.points[place];
}

static struct davy_subject subject_of_rule(const struct davy_config *config, uint32_t rule, uint32_t point)
{
    struct davy_subject subject =
        subject_of(DAVY_ALARM_RULE, DAVY_NONE, point == DAVY_NONE ? DAVY_NONE : config->points[point].device, point);
    subject.rule = rule;
    return subject;
}

/* The limits of a group count votes; those of its members have neither delays nor latch. */
static struct davy_limit *copy_limits(struct davy_engine *engine, const struct davy_rule *rule, size_t place,
                                      bool group, struct used *used)
{
    struct davy_limit *copies = &engine->vote_limits[used->limits];
    const struct davy_limit *from = davy_rule_limits(rule, place);
    used->limits += rule->limit_count;
    for (size_t i = 0; i < rule->limit_count; i++) {
        copies[i] = from[i];
        if (group) {
            copies[i].condition = DAVY_CONDITION_VOTE;
            copies[i].upper = copies[i].trip_on_fault = false;
        } else {
            copies[i].on_delay = copies[i].off_delay = (davy_span){0};
            copies[i].latch = false;
        }
    }
    return copies;
}

static int add_vote(struct davy_engine *engine, uint32_t r, uint32_t index, struct used *used)
{
    const struct davy_config *config = engine->options.config;
    const struct davy_rule *rule = &config->rules[r];
    uint32_t number = engine->vote_count++;
    struct vote *vote = &engine->votes[number];
    *vote = (struct vote){.alarm = index,
                          .fault = engine->first.vote_fault + number,
                          .first_member = engine->first.member,
                          .count = (uint32_t)rule->point_count};
    if (number > 0)
        vote->first_member = vote[-1].first_member + vote[-1].count;
    add_alarm(engine, index, subject_of_rule(config, r, DAVY_NONE), copy_limits(engine, rule, 0, true, used),
              rule->limit_count, used);
    engine->alarms[index].vote = vote;
    engine->alarms[index].shown_limit = first_plain(davy_rule_limits(rule, 0), rule->limit_count);
    add_gate(&engine->alarms[index], rule, 0);
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < vote->count; i++) {
        struct alarm *member = &engine->alarms[vote->first_member + i];
        add_alarm(engine, vote->first_member + i, subject_of_rule(config, r, rule->points[i]),
                  copy_limits(engine, rule, i, false, used), rule->limit_count, used);
        member->vote = vote;
        rc = add_window(engine, member, i);
    }
    for (uint8_t i = 0; i < rule->limit_count; i++)
        engine->alarms[index].states[i].crossed = vote->needed[i] = rule->vote;
    return rc;
}

static int add_rules(struct davy_engine *engine, struct used *used)
{
    const struct davy_config *config = engine->options.config;
    uint32_t index = 0;
    int rc = 0;
    for (uint32_t r = 0; rc == 0 && r < config->rule_count; r++) {
        const struct davy_rule *rule = &config->rules[r];
        engine->rule_first[r] = index;
        if (rule->vote)
            rc = add_vote(engine, r, index++, used);
        for (size_t i = 0; rc == 0 && !rule->vote && i < rule->point_count; i++) {
            struct alarm *alarm = &engine->alarms[index];
            add_alarm(engine, index++, subject_of_rule(config, r, rule->points[i]), davy_rule_limits(rule, i),
                      rule->limit_count, used);
            add_gate(alarm, rule, i);
            rc = add_window(engine, alarm, i);
        }
    }
    return rc;
}

static void add_builtins(struct davy_engine *engine, struct used *used)
{
    const struct davy_config *config = engine->options.config;
    uint32_t index = engine->first.bus_fault;
    for (uint32_t b = 0; b < config->bus_count; b++) {
        engine->fault_limits[b] = (struct davy_limit){.level = DAVY_LEVEL_YELLOW,
                                                      .condition = DAVY_CONDITION_FAULT,
                                                      .on_delay = config->buses[b].fault_delay,
                                                      .shelvable = true};
        add_alarm(engine, index++, subject_of(DAVY_ALARM_FAULT, b, DAVY_NONE, DAVY_NONE), &engine->fault_limits[b], 1,
                  used);
    }
    for (uint32_t d = 0; d < config->device_count; d++) {
        uint32_t bus = config->devices[d].bus;
        add_alarm(engine, index++, subject_of(DAVY_ALARM_FAULT, bus, d, DAVY_NONE), &engine->fault_limits[bus], 1,
                  used);
    }
    for (uint32_t p = 0; p < config->point_count; p++) {
        uint32_t device = config->points[p].device, bus = config->devices[device].bus;
        add_alarm(engine, index++, subject_of(DAVY_ALARM_FAULT, bus, device, p), &engine->fault_limits[bus], 1, used);
    }
    for (uint32_t v = 0; v < engine->vote_count; v++) {
        struct davy_subject subject = subject_of(DAVY_ALARM_VOTE_FAULT, DAVY_NONE, DAVY_NONE, DAVY_NONE);
        subject.rule = engine->alarms[engine->votes[v].alarm].subject.rule;
        add_alarm(engine, index++, subject, &vote_fault_limit, 1, used);
    }
    for (uint32_t d = 0; d < config->device_count; d++)
        add_alarm(engine, index++, subject_of(DAVY_ALARM_INHIBIT, DAVY_NONE, d, DAVY_NONE), &inhibit_limit, 1, used);
    for (uint32_t d = 0; d < config->device_count; d++)
        add_alarm(engine, index++, subject_of(DAVY_ALARM_CALIBRATION, DAVY_NONE, d, DAVY_NONE), &builtin_limit, 1,
                  used);
    for (size_t i = 0; i < DAVY_LENGTH(self_kinds); i++)
        add_alarm(engine, index++, subject_of(self_kinds[i], DAVY_NONE, DAVY_NONE, DAVY_NONE), &builtin_limit, 1, used);
}

/*
 * List alarms by a key of each, below `keys`, ascending: a counting sort. first has keys + 1 bounds.
 * key      DAVY_NONE: not listed
 */
static void index_by(struct davy_engine *engine, uint32_t (*key)(const struct davy_engine *engine, uint32_t index),
                     size_t keys, uint32_t *first, uint32_t *list)
{
    uint32_t all = engine->alarm_count + engine->member_count, listed = 0;
    for (uint32_t i = 0; i < all; i++) {
        uint32_t k = key(engine, i);
        if (k == DAVY_NONE)
            continue;
        first[k + 1]++;
        listed++;
    }
    for (size_t k = 0; k < keys; k++)
        first[k + 1] += first[k];
    for (uint32_t i = all; i-- > 0;) {
        uint32_t k = key(engine, i);
        if (k != DAVY_NONE)
            list[--first[k + 1]] = i;
    }
    /* Each bound now lies at the begin of its own key: shift back by one. */
    for (size_t k = 0; k < keys; k++)
        first[k] = first[k + 1];
    first[keys] = listed;
}

static uint32_t key_of_point(const struct davy_engine *engine, uint32_t index)
{
    const struct alarm *alarm = &engine->alarms[index];
    return alarm->subject.kind == DAVY_ALARM_RULE ? alarm->subject.point : DAVY_NONE;
}

static uint32_t key_of_gate(const struct davy_engine *engine, uint32_t index)
{
    return engine->alarms[index].gate.when ? engine->alarms[index].gate.point : DAVY_NONE;
}

static uint32_t key_of_other(const struct davy_engine *engine, uint32_t index)
{
    return engine->alarms[index].window ? engine->alarms[index].window->other : DAVY_NONE;
}

/* The rules of `occurrences` that count each rule. */
static void index_counting(struct davy_engine *engine)
{
    const struct davy_config *config = engine->options.config;
    uint32_t listed = 0;
    for (uint32_t r = 0; r < config->rule_count; r++) {
        engine->counting_first[r] = listed;
        for (uint32_t other = r + 1; other < config->rule_count; other++) {
            const struct davy_rule *rule = &config->rules[other];
            if (rule->measure == DAVY_MEASURE_OCCURRENCES && rule->options.rule == r)
                engine->counting[listed++] = other;
        }
    }
    engine->counting_first[config->rule_count] = listed;
}

int davy_engine_build(const struct davy_engine_options *options, struct davy_engine **ret_engine)
{
    struct davy_engine *engine = calloc(1, sizeof *engine);
    if (!engine)
        return -ENOMEM;
    engine->options = *options;
    engine->calibration_at = DAVY_MONO_NEVER;
    davy_config_ref(options->config);
    struct sizes sizes = lay_out(engine);
    struct used used = {0};
    int rc = take_alarms(engine, &sizes) && take_indices(engine, &sizes) ? 0 : -ENOMEM;
    if (rc == 0)
        rc = add_rules(engine, &used);
    if (rc < 0) {
        davy_engine_free(engine);
        return rc;
    }
    add_builtins(engine, &used);
    index_by(engine, key_of_point, options->config->point_count, engine->point_first, engine->point_alarms);
    index_by(engine, key_of_gate, options->config->point_count, engine->gate_first, engine->gate_alarms);
    index_by(engine, key_of_other, options->config->point_count, engine->other_first, engine->other_alarms);
    index_counting(engine);
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
    for (uint32_t i = 0; engine->alarms && i < engine->alarm_count + engine->member_count; i++)
        free(engine->alarms[i].remark);
    for (uint32_t i = 0; i < engine->window_count; i++)
        davy_measure_free(engine->windows[i].state);
    free(engine->alarms);
    free(engine->states);
    free(engine->settled);
    free(engine->votes);
    free(engine->windows);
    free(engine->vote_limits);
    free(engine->counting);
    free(engine->counting_first);
    free(engine->gate_first);
    free(engine->gate_alarms);
    free(engine->other_first);
    free(engine->other_alarms);
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

static int by_number(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    return left < right ? -1 : left > right;
}

/* Of a rule on a point, a vote, or a member of one. */
static uint32_t find_rule_alarm(const struct davy_engine *engine, const struct davy_subject *subject)
{
    const struct davy_rule *rule = &engine->options.config->rules[subject->rule];
    uint32_t first = engine->rule_first[subject->rule];
    if (subject->point == DAVY_NONE)
        return rule->vote ? first : DAVY_NONE;
    const uint32_t *found = bsearch(&subject->point, rule->points, rule->point_count, sizeof *rule->points, by_number);
    if (!found)
        return DAVY_NONE;
    return (rule->vote ? engine->alarms[first].vote->first_member : first) + (uint32_t)(found - rule->points);
}

static uint32_t find_vote_fault(const struct davy_engine *engine, const struct davy_subject *subject)
{
    bool is_vote = engine->options.config->rules[subject->rule].vote > 0;
    return is_vote ? engine->alarms[engine->rule_first[subject->rule]].vote->fault : DAVY_NONE;
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
    if (subject->kind == DAVY_ALARM_VOTE_FAULT)
        return find_vote_fault(engine, subject);
    if (subject->kind == DAVY_ALARM_INHIBIT)
        return engine->first.inhibit + subject->device;
    if (subject->kind == DAVY_ALARM_CALIBRATION)
        return engine->first.calibration + subject->device;
    return davy_engine_kind(engine, subject->kind);
}

uint32_t davy_engine_kind(const struct davy_engine *engine, enum davy_alarm_kind kind)
{
    for (uint32_t i = 0; i < DAVY_LENGTH(self_kinds); i++)
        if (self_kinds[i] == kind)
            return engine->first.self + i;
    return DAVY_NONE;
}
