/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plant with a rule of every sort, a random course of inputs to it, and runs of an engine over that course that can
 * be compared event by event. No stale readings are made: their time is that of the first reading after a restart.
 */
#pragma once

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "evaluate/engine.h"
#include "support/cmocka_all.h"
#include "support/plant.h"
#include "support/store.h"

#define PLANT_POINTS 10
#define PLANT_GATED  6 /* and the next: their rules depend on PLANT_WHEN */
#define PLANT_WHEN   8
#define PLANT_EVENTS 8192

struct input {
    bool is_command;
    struct davy_stamp at;
    struct davy_reading reading;
    struct davy_command command;
};

struct kept_event {
    struct davy_event event; /* with a reference to its members */
    char key[DAVY_KEY_SIZE];
    bool was_read; /* the run had a reading of the alarm's point, and a good one */
    bool was_evaluated;
};

struct run {
    const struct davy_config *config; /* of the events that come now; not owned */
    const struct davy_config *next;
    struct davy_engine *engine;
    struct store *store; /* NULL: nothing is kept for a restart */
    struct kept_event *events;
    size_t count;
    struct davy_stamp now;
    unsigned read, evaluated; /* points: bit sets */
    bool whole;               /* no restarts: all kinds of alarms, and stale readings are made */
    uint32_t shift;           /* of the points of the course: others come before them */
};

static inline unsigned below(struct davy_random *random, unsigned bound)
{
    return (unsigned)(davy_random_next(random) % bound);
}

static inline struct davy_stamp plant_at(int64_t ms)
{
    return (struct davy_stamp){.mono = {(ms + 1000) * DAVY_NS_PER_MS},
                               .wall = {1700000000 * DAVY_NS_PER_S + ms * DAVY_NS_PER_MS}};
}

static inline struct davy_limit plant_limit(enum davy_level level, enum davy_condition condition, double bound,
                                            double deadband)
{
    return (struct davy_limit){.level = level,
                               .condition = condition,
                               .a = bound,
                               .deadband = deadband,
                               .acknowledge = true,
                               .shelvable = level != DAVY_LEVEL_RED};
}

#define PLANT_ABOVE(level, bound) plant_limit(DAVY_LEVEL_##level, DAVY_CONDITION_ABOVE, bound, 0.5)

/* The newest rule: which points it watches. */
static inline struct davy_rule *plant_newest(struct davy_config *config, size_t first, size_t count)
{
    struct davy_rule *rule = &config->rules[config->rule_count - 1];
    rule->points += first;
    rule->point_count = count;
    return rule;
}

static inline void plant_add_h2s(struct davy_config *config)
{
    static const struct davy_step steps[] = {
        {.after = {60 * DAVY_NS_PER_S}},
        {.after = {200 * DAVY_NS_PER_S}, .unless_cleared = true, .level = DAVY_LEVEL_RED}};
    struct davy_limit limits[] = {PLANT_ABOVE(YELLOW, 3), PLANT_ABOVE(ORANGE, 7), PLANT_ABOVE(RED, 14)};
    limits[2].latch = true;
    plant_add_rule(config, "h2s", limits, 3);
    struct davy_rule *rule = plant_newest(config, 0, 3);
    rule->steps = steps;
    rule->step_count = 2;
}

static inline void plant_add_delayed(struct davy_config *config, davy_span off_delay)
{
    struct davy_limit limits[] = {plant_limit(DAVY_LEVEL_BLUE, DAVY_CONDITION_BELOW, 2, 1),
                                  plant_limit(DAVY_LEVEL_YELLOW, DAVY_CONDITION_OUTSIDE, 1, 0.5),
                                  PLANT_ABOVE(ORANGE, 10)};
    limits[1].b = 16;
    limits[0].on_delay = davy_span_s(3);
    limits[0].acknowledge = false;
    limits[2].on_delay = davy_span_ms(5500);
    for (int i = 0; i < 3; i++)
        limits[i].off_delay = off_delay;
    plant_add_rule(config, "delayed", limits, 3);
    plant_newest(config, 1, 4);
}

static inline void plant_add_votes(struct davy_config *config, davy_span off_delay)
{
    struct davy_limit limits[] = {PLANT_ABOVE(ORANGE, 8), PLANT_ABOVE(RED, 14)};
    limits[0].on_delay = davy_span_s(2);
    limits[0].off_delay = off_delay;
    plant_add_rule(config, "vote", limits, 2);
    struct davy_rule *rule = plant_newest(config, 3, 3);
    rule->vote = 2;
    rule->fault_name = "vote.fault";
    limits[1].latch = true;
    plant_add_rule(config, "strict", &limits[1], 1);
    rule = plant_newest(config, 3, 3);
    rule->vote = 2;
    rule->fault_name = "strict.fault";
    rule->on_bad = DAVY_ON_BAD_TRIP;
}

static inline void plant_add_gated(struct davy_config *config, davy_span hold)
{
    struct davy_limit limits[] = {PLANT_ABOVE(ORANGE, 7), PLANT_ABOVE(RED, 14)};
    uint32_t *points = davy_config_alloc(config, 2, sizeof *points);
    points[0] = points[1] = PLANT_WHEN;
    const struct davy_when when = {.points = points, .condition = DAVY_CONDITION_EQUALS, .value = 1, .hold = hold};
    limits[1].latch = true;
    plant_add_rule(config, "gated", limits, 2);
    plant_newest(config, PLANT_GATED, 2)->when = when;
    plant_add_rule(config, "gated-vote", limits, 1);
    struct davy_rule *rule = plant_newest(config, PLANT_GATED, 2);
    rule->when = when;
    rule->vote = 2;
    rule->fault_name = "gated-vote.fault";
    /* Whether the newest reading counts when the answer changes is lost with a restart: here it never does. */
    config->points[PLANT_GATED].max_age = config->points[PLANT_GATED + 1].max_age = davy_span_ms(100);
}

static inline void plant_add_measures(struct davy_config *config)
{
    struct davy_limit limits[] = {PLANT_ABOVE(YELLOW, 6), PLANT_ABOVE(ORANGE, 6)};
    limits[0].upper = true;
    plant_add_rule(config, "dose", limits, 2);
    struct davy_rule *rule = plant_newest(config, 0, PLANT_POINTS);
    uint32_t *points = davy_config_alloc(config, 2, sizeof *points);
    points[0] = 0;
    points[1] = PLANT_POINTS - 1;
    rule->points = points;
    rule->point_count = 2;
    rule->measure = DAVY_MEASURE_STEL;
    rule->options.window = davy_span_s(120);
    /* Silence makes no stale reading here: it must not outlast the time that a value holds. */
    config->points[0].max_age = config->points[PLANT_POINTS - 1].max_age = davy_span_s(900);
    const struct davy_limit often = plant_limit(DAVY_LEVEL_YELLOW, DAVY_CONDITION_ABOVE, 4, 0);
    plant_add_rule(config, "repeat", &often, 1);
    rule = plant_newest(config, 0, 3);
    rule->measure = DAVY_MEASURE_OCCURRENCES;
    rule->options = (struct davy_measure_options){.window = davy_span_s(300), .rule = 0};
}

static inline void plant_add_trip_on_fault(struct davy_config *config)
{
    struct davy_limit limit = PLANT_ABOVE(ORANGE, 17);
    limit.trip_on_fault = true;
    limit.on_delay = davy_span_s(4);
    plant_add_rule(config, "silent", &limit, 1);
    plant_newest(config, 2, 2);
}

/* off_delay of the delayed rules, and how long `when` must hold. */
static inline struct davy_config *random_plant_new(davy_span off_delay, davy_span hold)
{
    struct davy_config *config = plant_new(PLANT_POINTS);
    for (size_t p = 0; p < PLANT_POINTS; p++)
        config->points[p].max_age = davy_span_s(20);
    plant_add_h2s(config);
    plant_add_delayed(config, off_delay);
    plant_add_votes(config, off_delay);
    plant_add_gated(config, hold);
    plant_add_measures(config);
    plant_add_trip_on_fault(config);
    return config;
}

static inline struct davy_reading random_reading(struct davy_random *random, struct davy_stamp at)
{
    static const enum davy_reason reasons[] = {DAVY_REASON_MAINTENANCE,  DAVY_REASON_SETTLING, DAVY_REASON_NO_STATUS,
                                               DAVY_REASON_OVER_RANGE,   DAVY_REASON_WARM_UP,  DAVY_REASON_CALIBRATION,
                                               DAVY_REASON_DEVICE_FAULT, DAVY_REASON_COMM};
    enum davy_reason reason = below(random, 6) ? DAVY_REASON_NONE : reasons[below(random, DAVY_LENGTH(reasons))];
    bool bad = davy_reason_quality(reason) == DAVY_QUALITY_BAD;
    uint32_t point = below(random, PLANT_POINTS);
    unsigned value = point == PLANT_WHEN ? below(random, 2) : below(random, 3) ? below(random, 20) : below(random, 5);
    return (struct davy_reading){.point = point,
                                 .quality = davy_reason_quality(reason),
                                 .reason = reason,
                                 .has_value = !bad,
                                 .value = bad ? 0 : value,
                                 .at = at};
}

static inline struct davy_command random_command(struct davy_random *random)
{
    static const char *const alarms[] = {
        "h2s:GT-101.h2s",  "h2s:GT-102.h2s",    "h2s:GT-103.h2s",    "delayed:GT-103.h2s", "delayed:GT-104.h2s",
        "vote:_",          "strict:_",          "gated:GT-107.h2s",  "gated:GT-108.h2s",   "gated-vote:_",
        "dose:GT-101.h2s", "repeat:GT-102.h2s", "silent:GT-104.h2s", "vote.fault:_"};
    static const enum davy_command_verb verbs[] = {
        DAVY_COMMAND_ACK,        DAVY_COMMAND_ACK,       DAVY_COMMAND_ACK,
        DAVY_COMMAND_RESET,      DAVY_COMMAND_RESET,     DAVY_COMMAND_RESET,
        DAVY_COMMAND_SHELVE,     DAVY_COMMAND_UNSHELVE,  DAVY_COMMAND_OUT_OF_SERVICE,
        DAVY_COMMAND_IN_SERVICE, DAVY_COMMAND_IN_SERVICE};
    struct davy_command command = {.verb = verbs[below(random, DAVY_LENGTH(verbs))],
                                   .duration = davy_span_s(1 + below(random, 200)),
                                   .by = "local:test"};
    snprintf(command.alarm, sizeof command.alarm, "%s", alarms[below(random, DAVY_LENGTH(alarms))]);
    snprintf(command.note, sizeof command.note, "note %u", below(random, 100));
    return command;
}

/* Phases of hurry and calm, so that floods and chatter begin and end. */
static inline struct input *random_course(uint64_t seed, size_t count)
{
    struct davy_random random = {.state = seed};
    struct input *inputs = calloc(count, sizeof *inputs);
    assert_non_null(inputs);
    int64_t ms = 0;
    for (size_t i = 0; i < count; i++) {
        struct input *input = &inputs[i];
        bool calm = i % 400 >= 360;
        ms += calm ? 1000 + 500 * (int64_t)below(&random, 60) : 500 * (int64_t)below(&random, 5);
        input->is_command = below(&random, 7) == 0;
        if (input->is_command)
            input->command = random_command(&random);
        else
            input->reading = random_reading(&random, plant_at(ms));
        if (!input->is_command && input->reading.point == PLANT_WHEN)
            ms += 250; /* no reading of a gated point is that new */
        input->at = input->reading.at = plant_at(ms);
        if (!input->is_command && input->reading.point == PLANT_WHEN)
            ms += 250;
    }
    return inputs;
}

static inline void run_on_event(void *context, const struct davy_event *event)
{
    struct run *run = context;
    struct kept_event *kept = &run->events[run->count];
    davy_subject_key(run->config, &event->subject, kept->key);
    if (run->store)
        store_event(run->store, event, kept->key);
    bool counts_anew = event->subject.kind == DAVY_ALARM_FAULT || event->subject.kind == DAVY_ALARM_INHIBIT;
    if (!run->whole && counts_anew)
        return; /* "3 in a row" counts anew after a restart */
    assert_true(run->count < PLANT_EVENTS);
    kept->event = *event;
    kept->was_read = event->subject.point < PLANT_POINTS && run->read & 1U << event->subject.point;
    kept->was_evaluated = event->subject.point < PLANT_POINTS && run->evaluated & 1U << event->subject.point;
    davy_members_ref(event->members);
    run->count++;
}

static inline bool run_on_memory(void *context, const struct davy_alarm_memory *memory)
{
    struct run *run = context;
    if (run->store)
        store_memory(run->store, memory, run->now);
    return true;
}

/* The id is that of the instant: it can be compared. */
static inline struct davy_uuid run_on_id(void *context, davy_wall t)
{
    (void)context;
    return davy_uuid_v7(t, 7, 7);
}

/* Not started. */
static inline void run_init(struct run *run, const struct davy_config *config, struct store *store, bool whole)
{
    *run = (struct run){.config = config, .store = store, .now = plant_at(0), .whole = whole};
    run->events = calloc(PLANT_EVENTS + 1, sizeof *run->events);
    assert_non_null(run->events);
    struct davy_engine_options options = {.config = config,
                                          .event = run_on_event,
                                          .memory = run_on_memory,
                                          .new_id = run_on_id,
                                          .recorded = !whole,
                                          .context = run};
    assert_int_equal(davy_engine_new(&options, &run->engine), 0);
}

static inline void run_free(struct run *run)
{
    for (size_t i = 0; i < run->count; i++)
        davy_members_unref(run->events[i].event.members);
    free(run->events);
    davy_engine_free(run->engine);
}

static inline void run_advance(struct run *run, davy_mono to)
{
    run->now.wall.ns += to.ns - run->now.mono.ns;
    run->now.mono = to;
    davy_engine_advance(run->engine, run->now);
}

/* Each timer that is due before the input, or with it, is a cause of its own. Returns whether there was one. */
static inline bool run_timer(struct run *run, const struct input *input)
{
    davy_mono due = davy_engine_due(run->engine);
    if (due.ns > input->at.mono.ns || (run->whole && due.ns == input->at.mono.ns))
        return false; /* what becomes stale at that instant does so after the input */
    run_advance(run, due);
    return true;
}

static inline void run_input(struct run *run, const struct input *input)
{
    run->now = input->at;
    if (!input->is_command) {
        if (run->store)
            store_reading(run->store, &input->reading);
        run->read |= 1U << input->reading.point;
        if (input->reading.quality == DAVY_QUALITY_GOOD)
            run->evaluated |= 1U << input->reading.point;
        struct davy_reading reading = input->reading;
        reading.point += run->shift;
        davy_engine_reading(run->engine, &reading);
        return;
    }
    char reason[192];
    int ignored = davy_engine_command(run->engine, &input->command, input->at, NULL, reason, sizeof reason);
    (void)ignored; /* many make no sense */
}

static inline void run_step(struct run *run, const struct input *input)
{
    while (run_timer(run, input))
        ;
    run_input(run, input);
}

static inline void print_kept(const char *who, const struct kept_event *kept)
{
    const struct davy_event *event = &kept->event;
    print_error("%s: %.3f s %s %s %s -> %s, level %d -> %d, count %u, value %d %.17g, limit %d %g (%u), quality %d %d, "
                "%s%s%s%s, step %u, note \"%s\", raised %lld\n",
                who, (double)(event->at.mono.ns - plant_at(0).mono.ns) / 1e9, davy_event_name(event->type), kept->key,
                davy_state_name(event->previous_state), davy_state_name(event->state), (int)event->previous_level,
                (int)event->level, event->count, event->has_value, event->value, event->has_limit, event->limit,
                event->limit_index, (int)event->quality, (int)event->reason, event->active ? "active " : "",
                event->latched ? "latched " : "", event->uncertain ? "uncertain " : "",
                event->first_out ? "first-out " : "", event->step, event->note, (long long)event->raised_at.ns);
}

static inline bool same_number(double a, double b)
{
    return fabs(a - b) <= 1e-9 * (1 + fabs(a));
}

static inline bool same_transition(const struct kept_event *left, const struct kept_event *right)
{
    const struct davy_event *a = &left->event, *b = &right->event;
    return strcmp(left->key, right->key) == 0 && a->type == b->type && a->state == b->state &&
           a->previous_state == b->previous_state && a->level == b->level && a->previous_level == b->previous_level &&
           a->at.mono.ns == b->at.mono.ns && a->at.wall.ns == b->at.wall.ns && a->count == b->count &&
           a->step == b->step && memcmp(&a->id, &b->id, sizeof a->id) == 0 && a->raised_at.ns == b->raised_at.ns;
}

static inline bool same_facts(const struct davy_event *a, const struct davy_event *b)
{
    return a->active == b->active && a->acknowledged == b->acknowledged && a->latched == b->latched &&
           a->uncertain == b->uncertain && a->first_out == b->first_out && a->ends == b->ends &&
           a->has_limit == b->has_limit && strcmp(a->by, b->by) == 0 && strcmp(a->note, b->note) == 0 &&
           (!a->has_limit ||
            (same_number(a->limit, b->limit) && a->limit_index == b->limit_index && a->condition == b->condition));
}

static inline bool same_members(const struct davy_members *a, const struct davy_members *b)
{
    if (!a || !b)
        return a == b;
    bool same = a->count == b->count;
    for (size_t i = 0; same && i < a->count; i++)
        same = a->list[i].vote == b->list[i].vote;
    return same;
}

static inline bool same_value(const struct davy_event *a, const struct davy_event *b)
{
    return a->has_value == b->has_value && (!a->has_value || same_number(a->value, b->value));
}

static inline bool same_quality(const struct davy_event *a, const struct davy_event *b)
{
    return a->quality == b->quality && a->reason == b->reason;
}
