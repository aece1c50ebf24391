/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside of the engine, shared by its files:
 *   engine.c  inputs: time, readings, conditions of the gateway     build.c   from a configuration to alarms
 *   judge.c   from limits to transitions and events                 command.c what a person asks and tells
 *   fault.c   the built-in alarms that watch the sensors            carry.c   restart and reload
 */
#pragma once

#include "evaluate/alarm_fsm.h"
#include "evaluate/engine.h"
#include "evaluate/limit.h"
#include "evaluate/timers.h"

/* One alarm: a rule on a point, or a built-in one. Its index is its place in the order of events. */
struct alarm {
    struct davy_subject subject;
    const struct davy_limit *limits;
    struct davy_limit_state *states;
    uint8_t limit_count;
    uint8_t shown_limit; /* the limit that gives the level; where none is tripped, the last that did */
    enum davy_state state;
    bool acknowledged;
    bool queued;                 /* in engine.changed */
    bool untold;                 /* its memory was not taken */
    bool remembered;             /* what was told last is not "at rest" */
    enum davy_level level;       /* highest tripped; NONE */
    enum davy_level true_level;  /* highest whose condition is true; NONE */
    enum davy_level shown_level; /* of the latest event of the occurrence */
    struct davy_uuid id;
    uint32_t count;
    davy_wall raised_at;
    bool has_value;
    double value; /* last evaluated */
    enum davy_quality quality;
    enum davy_reason reason;
};

/* Follows the answers of a bus, or the readings of a device or a point, for its fault alarm. */
struct tracker {
    bool failing;
    davy_mono since;        /* first failure after the last success, or the end of a fault above */
    unsigned streak;        /* successes in a row */
    unsigned device_streak; /* of a point: likewise, since its device's fault was raised */
    davy_mono answered_at;  /* of a device: readings of one device at one time are one answer of the bus */
    bool inhibited;         /* of a point: in warm-up or calibration, by its newest reading that was not bad */
};

/* Where each kind of alarm begins in engine.alarms. */
struct alarm_ranges {
    uint32_t bus_fault, device_fault, point_fault, inhibit, calibration, self;
};

struct davy_engine {
    struct davy_engine_options options; /* .config is our reference */
    struct alarm *alarms;
    uint32_t alarm_count;
    struct alarm_ranges first;
    struct davy_limit_state *states;
    struct davy_limit *fault_limits; /* by bus */
    uint32_t *rule_first;            /* by rule: its first alarm */
    uint32_t *point_first;           /* by point, and one more: bounds into point_alarms */
    uint32_t *point_alarms;          /* rule alarms of each point, ascending */
    struct tracker *trackers;        /* buses, devices, points */
    struct davy_reading *newest;     /* by point; at.mono.ns = 0: none */
    davy_mono *seen;                 /* by point: newest reading, or the start */
    uint32_t *inhibited;             /* by device: points in warm-up or calibration */
    uint32_t *zone_active;           /* by zone, then one for none: active alarms of rules */
    uint32_t *changed;               /* alarms to settle */
    uint32_t changed_count;
    davy_mono calibration_at;  /* when the next calibration date is reached */
    struct davy_timers timers; /* by alarm */
    struct davy_timers stale;  /* by point; may be early, checked against `seen` when it fires */
    bool live;
};

/* build.c */
int davy_engine_build(const struct davy_engine_options *options, struct davy_engine **ret_engine) DAVY_MUST_CHECK;

/* Index of the alarm of a subject, or DAVY_NONE. */
uint32_t davy_engine_find_alarm(const struct davy_engine *engine, const struct davy_subject *subject);

static inline struct tracker *bus_tracker(struct davy_engine *engine, uint32_t bus)
{
    return &engine->trackers[bus];
}

static inline struct tracker *device_tracker(struct davy_engine *engine, uint32_t device)
{
    return &engine->trackers[engine->options.config->bus_count + device];
}

static inline struct tracker *point_tracker(struct davy_engine *engine, uint32_t point)
{
    return &engine->trackers[engine->options.config->bus_count + engine->options.config->device_count + point];
}

/* judge.c */

/* Have the alarm judged by the next davy_engine_settle(), its timer set and its memory told. */
void davy_engine_touch(struct davy_engine *engine, uint32_t index);

/* Judge all touched alarms in order: at most one event each. */
void davy_engine_settle(struct davy_engine *engine, struct davy_stamp at);

/* Take one transition of the table, with its event. */
void davy_engine_transition(struct davy_engine *engine, struct alarm *alarm, enum davy_alarm_input input,
                            struct davy_stamp at, const struct davy_command *command);

/* Recompute level and true_level from the limits. Returns the index of the limit that gives the level, or the last. */
void davy_engine_measure_levels(struct alarm *alarm);

/* Nothing tripped, no timer, no occurrence. */
bool davy_engine_at_rest(const struct alarm *alarm);

void davy_engine_tell_memory(struct davy_engine *engine, struct alarm *alarm);
void davy_engine_memory_of(const struct davy_engine *engine, const struct alarm *alarm,
                           struct davy_alarm_memory *ret_memory);

/* fault.c */

/* Feed the trackers of the reading's bus, device and point, and the inhibit alarm of its device. */
void davy_engine_watch_reading(struct davy_engine *engine, const struct davy_reading *reading);

/* A fault alarm's delay is over: raise it unless a fault above it stands. */
void davy_engine_expire_fault(struct davy_engine *engine, uint32_t index, davy_mono now);

/* Set the only condition of a built-in alarm. */
void davy_engine_set_condition(struct davy_engine *engine, uint32_t index, bool condition);

/* engine.c */

/* Fire what is due before `at`, and at it: timers always, staleness only where `stale_too`. */
void davy_engine_fire_due(struct davy_engine *engine, struct davy_stamp at, bool stale_too);
