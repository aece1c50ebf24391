/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside of the engine, shared by its files. A cause goes this way:
 *   engine.c   inputs: time, readings            feed.c   from a reading over the measure to the limits
 *   gate.c     `when`                            vote.c   members and their group
 *   judge.c    from limits to transitions        event.c  a transition of the table and its event
 *   cover.c    shelving, out of service          ladder.c escalation
 *   fault.c    built-in alarms on sensors        flood.c  built-in alarms on the alarms themselves
 *   build.c    from a configuration to alarms    restore.c, reload.c restart and reload
 *   command.c  what a person asks and tells      memory.c what survives a restart, history.c likewise of windows
 */
#pragma once

#include "evaluate/alarm_fsm.h"
#include "evaluate/engine.h"
#include "evaluate/limit.h"
#include "evaluate/measure.h"
#include "evaluate/timers.h"

/* The `when` of one alarm. */
struct gate {
    const struct davy_when *when; /* NULL: there is none */
    uint32_t point;
    bool closed;  /* the answer that counts is false */
    bool flipped; /* in this cause: judged with it */
    bool pending; /* readings say otherwise since then */
    davy_mono since;
    davy_span credit; /* of a going false that ran before a restart; counts from the next good reading */
};

/* What a measure other than `value` needs of one alarm or member. */
struct window {
    struct davy_measure_state *state;
    struct davy_measured last;
    bool measured; /* `last` is filled */
    bool has_read; /* a reading counted: the newest that did */
    bool gap;      /* and one that did not came behind it */
    bool waits;    /* it is of before a restart and not in the window yet */
    double read_value;
    struct davy_stamp read_at;
    uint32_t other; /* difference: the point that is subtracted */
};

/* Who told the alarm something last, and why. */
struct remark {
    char by[DAVY_BY_SIZE];
    char note[DAVY_NOTE_SIZE];
};

/* Raises that chatter is judged by. */
#define CHATTER_RAISES 3
#define FLOOD_RAISES   10

/*
 * One alarm: a rule on a point, a vote, or a built-in one; its index is its place in the order of events. Behind the
 * alarms come the members of votes: the same struct, whose limits give votes instead of events.
 */
struct alarm {
    /* What each reading touches, in the first 64 bytes: many alarms are not in the cache when a thread wakes. */
    const struct davy_limit *limits;
    struct davy_limit_state *states;
    struct window *window; /* NULL: the value itself */
    struct vote *vote;     /* of a vote and of its members; else NULL */
    struct davy_subject subject;
    uint8_t limit_count;
    uint8_t shown_limit; /* the limit that gives the level; where none is tripped, the last that did */
    bool queued;         /* in engine.changed */
    bool inhibited;      /* of a point's fault: the point, by its newest reading that was not bad */
    enum davy_quality quality;
    enum davy_reason reason;
    double value; /* last evaluated */
    bool has_value;
    struct gate gate;
    enum davy_state state; /* below the covers */
    bool acknowledged;
    bool ill;        /* of a member: bad or inhibited, and no good reading since */
    bool late;       /* occurrences: a reading waits for the judgement, behind what earlier rules raise */
    bool counted;    /* likewise a raise that counts */
    bool untold;     /* its memory was not taken */
    bool remembered; /* what was told last is not "at rest" */
    bool gone;       /* a reload leaves no place for it */
    bool held;       /* a latch holds a limit; like the levels as last judged */
    bool uncertain;  /* the level rests on an uncertain reading; likewise */
    bool out_of_service;
    bool shelved;
    uint8_t steps_done;
    enum davy_level level;       /* highest tripped, at least the ladder's floor; NONE */
    enum davy_level true_level;  /* highest whose condition is true; NONE */
    enum davy_level shown_level; /* of the latest event of the occurrence */
    enum davy_level floor;       /* set by the ladder; NONE */
    struct davy_uuid id;
    uint32_t count;
    struct davy_stamp raised; /* first raise of the occurrence */
    struct davy_stamp shelved_until;
    enum davy_level shelved_level;    /* of the occurrence that was shelved; NONE: there was none yet */
    davy_mono raises[CHATTER_RAISES]; /* newest last; ns = 0: none */
    struct remark *remark;            /* NULL: none */
};

/* A vote and its members, alarms[first_member …]. */
struct vote {
    uint32_t alarm;
    uint32_t fault;
    uint32_t first_member;
    uint32_t count;
    unsigned votes[DAVY_LIMITS_MAX]; /* by limit, as last counted */
    unsigned needed[DAVY_LIMITS_MAX];
};

/* Follows the answers of a bus, or the readings of a device or a point, for its fault alarm. */
struct tracker {
    bool failing;
    davy_mono since;        /* first failure after the last success, or the end of a fault above */
    unsigned streak;        /* successes in a row */
    unsigned device_streak; /* of a point: likewise, since its device's fault was raised */
    davy_mono answered_at;  /* of a device: readings of one device at one time are one answer of the bus */
};

/* Where each kind of alarm begins in engine.alarms. */
struct alarm_ranges {
    uint32_t bus_fault, device_fault, point_fault, vote_fault, inhibit, calibration, self, member;
};

struct davy_engine {
    struct davy_engine_options options; /* .config is our reference */
    struct alarm *alarms;
    uint32_t alarm_count; /* without members */
    uint32_t member_count;
    struct alarm_ranges first;
    struct davy_limit_state *states;
    struct davy_limit *fault_limits; /* by bus */
    struct davy_limit *vote_limits;  /* of votes and members, without delays and with */
    struct window *windows;
    uint32_t window_count;
    struct vote *votes;
    uint32_t vote_count;
    uint32_t *rule_first;   /* by rule: its first alarm */
    uint32_t *point_first;  /* by point, and one more: bounds into point_alarms */
    uint32_t *point_alarms; /* rule alarms and members of each point, ascending */
    uint32_t *gate_first;   /* likewise: alarms whose `when` looks at the point */
    uint32_t *gate_alarms;
    uint32_t *other_first; /* likewise: alarms and members whose `difference` subtracts the point */
    uint32_t *other_alarms;
    uint32_t *counting_first; /* by rule, and one more: rules of `occurrences` that count it */
    uint32_t *counting;
    struct tracker *trackers;    /* buses, devices, points */
    struct davy_reading *newest; /* by point; at.mono.ns = 0: none */
    davy_mono *seen;             /* by point: newest reading, or the start */
    uint32_t *inhibited;         /* by device: points in warm-up or calibration */
    uint32_t *zone_active;       /* by zone, then one for none: active alarms of rules */
    uint32_t *changed;           /* alarms to settle: a binary heap, lowest first */
    uint32_t changed_count;
    uint32_t *settled; /* of this cause, whose memory is to be told */
    uint32_t settled_count;
    davy_mono calibration_at;             /* when the next calibration date is reached */
    davy_mono calibration_judged;         /* when all dates were held against the wall clock; ns = 0: never */
    int64_t wall_offset_ns;               /* of the wall clock then, from the monotonic one */
    davy_mono flood_raises[FLOOD_RAISES]; /* newest last */
    davy_mono chattered_at;               /* last moment of chatter; ns = 0: never */
    struct davy_timers timers;            /* by alarm */
    struct davy_timers stale;             /* by point; may be early, checked against `seen` when it fires */
    const char *why;                      /* of the condition that is being told, of an alarm of this kind; NULL */
    enum davy_alarm_kind why_kind;
    davy_mono started;
    bool begun; /* davy_engine_start() was called: all that is remembered has been put back */
    bool live;
};

static inline bool is_member(const struct davy_engine *engine, const struct alarm *alarm)
{
    return alarm - engine->alarms >= (ptrdiff_t)engine->alarm_count;
}

static inline uint32_t index_of(const struct davy_engine *engine, const struct alarm *alarm)
{
    return (uint32_t)(alarm - engine->alarms);
}

/* The rule of a rule's alarm, a vote or a member; NULL for built-in alarms. */
static inline const struct davy_rule *rule_of(const struct davy_engine *engine, const struct alarm *alarm)
{
    return alarm->subject.kind == DAVY_ALARM_RULE ? &engine->options.config->rules[alarm->subject.rule] : NULL;
}

/* What the world sees: the state, or the cover over it. */
static inline enum davy_state shown_state(const struct alarm *alarm)
{
    if (alarm->out_of_service)
        return DAVY_STATE_OUT_OF_SERVICE;
    return alarm->shelved ? DAVY_STATE_SHELVED : alarm->state;
}

/* Whether readings are held against its limits now. */
static inline bool applies(const struct alarm *alarm)
{
    return !alarm->gate.closed && !alarm->gate.flipped;
}

/* build.c */
int davy_engine_build(const struct davy_engine_options *options, struct davy_engine **ret_engine) DAVY_MUST_CHECK;

/* Its limits are at rest, as they are at first. */
void davy_engine_clear_limits(struct alarm *alarm);

/* Index of the alarm of a subject (of a member too), or DAVY_NONE. */
uint32_t davy_engine_find_alarm(const struct davy_engine *engine, const struct davy_subject *subject);

/* Index of the gateway's alarm of this kind, or DAVY_NONE. */
uint32_t davy_engine_kind(const struct davy_engine *engine, enum davy_alarm_kind kind);

/* The setup of a rule's measure on its point of this place. */
struct davy_measure_setup davy_engine_setup(const struct davy_config *config, const struct davy_rule *rule,
                                            uint32_t point);

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

/* feed.c */

/* A reading of the alarm's point: into its window and, where the rule applies, against its limits. */
void davy_engine_feed(struct davy_engine *engine, uint32_t index, const struct davy_reading *reading);

/* Into its window only. */
void davy_engine_take(struct davy_engine *engine, struct alarm *alarm, const struct davy_reading *reading);

/* Whether it is a measure of exposure, which is evidence that must not be lost. */
bool davy_engine_is_exposure(const struct davy_engine *engine, const struct alarm *alarm);

/* What was read before a restart, and is older than the history that there is, goes first into the window. */
void davy_engine_take_memory(struct alarm *alarm);

/* Whether limits see a reading of this quality at all, be it only to raise. */
bool davy_engine_evaluated(const struct davy_engine *engine, const struct davy_reading *reading);

/* Evaluate the newest reading (of a vote: of each member) at `now`, unless it is older than max_age. */
void davy_engine_feed_newest(struct davy_engine *engine, struct alarm *alarm, struct davy_stamp now);

/* Evaluate what was left for the judgement. */
void davy_engine_feed_late(struct davy_engine *engine, struct alarm *alarm, struct davy_stamp now);

/* Whether each member is bad or inhibited by its newest reading: what a reload has added does not know it yet. */
void davy_engine_feed_health(struct davy_engine *engine, const struct vote *vote);

/* Hold the newest reading against some limits (bit set), to raise only. Returns whether it could be evaluated. */
bool davy_engine_feed_limits(struct davy_engine *engine, struct alarm *alarm, unsigned limits, struct davy_stamp now);

/* The rule of this alarm was raised: it counts for rules of `occurrences` on the same point. */
void davy_engine_count_raise(struct davy_engine *engine, const struct alarm *alarm, struct davy_stamp at);

/* The measure of an alarm with a window at `now`, as its newest reading stands. */
enum davy_lack davy_engine_measure(const struct davy_engine *engine, const struct alarm *alarm, struct davy_stamp now,
                                   struct davy_measured *ret_measured);

/* gate.c */

/* Settle every `when` that looks at the reading's point. */
void davy_engine_settle_gates(struct davy_engine *engine, const struct davy_reading *reading);

/*
 * A number for what the `when` asks, without `for`: of another one the answer does not go on over a restart. 0:
 * nothing.
 */
uint64_t davy_engine_gate_question(const struct davy_config *config, const struct gate *gate);

/*
 * Whether there is a `when` that gets answers: of a device that is switched off there is no reading that could be
 * false.
 */
bool davy_engine_gate_asks(const struct davy_config *config, const struct gate *gate);

/* When a pending answer comes to count; DAVY_MONO_NEVER. And let it, where it is due. */
davy_mono davy_engine_gate_due(const struct gate *gate);
void davy_engine_expire_gate(struct alarm *alarm, davy_mono now);

/* The gate of an alarm of the new configuration goes on as the old one where it is the same, else it starts anew. */
void davy_engine_carry_gate(struct davy_engine *old, const struct alarm *from, struct davy_engine *new,
                            struct alarm *to, davy_mono now);

/* vote.c */

/*
 * Count the votes for the limits of a bit set and hold them against what is needed; judge the vote's fault.
 * cause   FULL: a good reading, HOLD: another, RAISE: to raise only
 */
void davy_engine_count_votes(struct davy_engine *engine, struct vote *vote, unsigned limits, enum davy_feed cause,
                             davy_mono now);

#define ALL_LIMITS (~0U)

/* After a restart: what the members say now, without holding it against any limit. */
void davy_engine_recount_votes(struct davy_engine *engine);

/* Without bad and inhibited ones. */
uint32_t davy_engine_healthy(const struct davy_engine *engine, const struct vote *vote);

/* The members as they stand, for an event; NULL without memory. */
struct davy_members *davy_engine_members(const struct davy_engine *engine, const struct vote *vote, uint8_t limit);

/* judge.c */

/* Have the alarm judged by the next davy_engine_settle(), its timer set and its memory told. */
void davy_engine_touch(struct davy_engine *engine, uint32_t index);

/* Judge all touched alarms in order. */
void davy_engine_settle(struct davy_engine *engine, struct davy_stamp at);

/* Recompute level and true_level from the limits. */
void davy_engine_measure_levels(struct alarm *alarm);

/* No condition is left: what `when` and a vote's gate do. Latches hold. */
void davy_engine_untrip(struct alarm *alarm);

bool davy_engine_any_held(const struct alarm *alarm);

/* When the alarm has something to do; DAVY_MONO_NEVER. */
void davy_engine_set_timer(struct davy_engine *engine, uint32_t index);

/* event.c */

/* It has ended. */
void davy_engine_forget_occurrence(struct alarm *alarm);

/* Take one transition of the table, with its event. step: of the ladder, else 0. */
void davy_engine_transition(struct davy_engine *engine, struct alarm *alarm, enum davy_alarm_input input,
                            struct davy_stamp at, const struct davy_command *command, uint8_t step);

/* The value that a limit of an alarm or member saw last. Returns false where it saw none yet. */
bool davy_engine_value_of(const struct alarm *alarm, uint8_t limit, double *ret_value);

/* The bound of a limit as in force; of OUTSIDE the one that was crossed, also where a reload has moved it since. */
double davy_engine_bound_of(const struct alarm *alarm, uint8_t limit);

/* Active alarms of rules in the zone of this one. */
uint32_t *davy_engine_zone_count(struct davy_engine *engine, const struct alarm *alarm);

/* cover.c */

/* Take the cover off where its time is over, or where the new level breaks it. */
void davy_engine_end_shelf(struct davy_engine *engine, struct alarm *alarm, struct davy_stamp at);
bool davy_engine_breaks_shelf(const struct alarm *alarm, enum davy_level level);

/* For how long, and what the occurrence is worth, as the event `shelved` has told. */
void davy_engine_shelve(struct alarm *alarm, const struct davy_command *command, struct davy_stamp now);

/* Why the alarm cannot be covered so; NULL: it can. */
const char *davy_engine_no_shelf(const struct alarm *alarm, const struct davy_command *command);

/* ladder.c */
davy_mono davy_engine_ladder_due(const struct davy_engine *engine, const struct alarm *alarm);
void davy_engine_climb(struct davy_engine *engine, struct alarm *alarm, struct davy_stamp at);

/* flood.c */

/* Note a raise for flood alone. */
void davy_engine_note_flood(struct davy_engine *engine, davy_mono at);

/* Note a raise for both. Returns whether the alarm chatters. */
bool davy_engine_note_raise(struct davy_engine *engine, struct alarm *alarm, davy_mono at);

/* A rule's alarm was raised: flood and chatter are judged in this cause. */
void davy_engine_watch_raise(struct davy_engine *engine, struct alarm *alarm, davy_mono at);
davy_mono davy_engine_flood_due(const struct davy_engine *engine, const struct alarm *alarm);
void davy_engine_expire_flood(struct davy_engine *engine, uint32_t index, davy_mono now);

/* restore.c */

/* Index of the alarm of a key; DAVY_NONE also for a device that is switched off: nothing is judged there. */
uint32_t davy_engine_find_key(const struct davy_engine *engine, const char *key);

/*
 * Which limit of the alarm each one of the memory is now: the same when level (as in the file) and kind of condition
 * are, else in order. DAVY_LIMITS_MAX: it is gone.
 */
void davy_engine_match_limits(const struct davy_engine *engine, const struct alarm *alarm,
                              const struct davy_alarm_memory *memory, uint8_t partners[DAVY_LIMITS_MAX]);

/*
 * The limit that the alarm's events tell of, where that of the memory gave the level last: what it has become, and
 * where it is gone the highest one in force that is not above it.
 */
uint8_t davy_engine_shown_after(const struct davy_engine *engine, const struct alarm *alarm,
                                const struct davy_alarm_memory *memory);

/*
 * Take up a memory.
 * restarted  the instant of a restart; DAVY_MONO_NEVER for a reload, over which timers run on
 * returns    false where the occurrence cannot go on: nothing that is tripped is left
 */
bool davy_engine_take_up(struct davy_engine *engine, uint32_t index, const struct davy_alarm_memory *memory,
                         davy_mono restarted);

/* memory.c */

/* Nothing tripped, no timer, no occurrence, no cover. */
bool davy_engine_at_rest(const struct alarm *alarm);

void davy_engine_tell_memory(struct davy_engine *engine, struct alarm *alarm);
void davy_engine_memory_of(const struct davy_engine *engine, const struct alarm *alarm,
                           struct davy_alarm_memory *ret_memory);

/* Keep who told the alarm something, and why. */
void davy_engine_remark(struct alarm *alarm, const char *by, const char *note);

/* fault.c */

/* Feed the trackers of the reading's bus, device and point, and the inhibit alarm of its device. */
void davy_engine_watch_reading(struct davy_engine *engine, const struct davy_reading *reading);

/* A fault alarm's delay is over: raise it unless a fault above it stands. */
void davy_engine_expire_fault(struct davy_engine *engine, uint32_t index, davy_mono now);

/* Note whether a point is in warm-up or calibration. */
void davy_engine_set_inhibited(struct davy_engine *engine, uint32_t point, bool inhibited);

/* Set the only condition of a built-in alarm. */
void davy_engine_set_condition(struct davy_engine *engine, uint32_t index, bool condition);

/* engine.c */

/* Fire what is due before `at`, and at it: timers always, staleness only where `stale_too`. */
void davy_engine_fire_due(struct davy_engine *engine, struct davy_stamp at, bool stale_too);
