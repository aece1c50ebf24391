/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who judges whether an alarm may look calmer than it did. Written from the alarm contract (ARCHITECTURE.md, Readings
 * and quality, Rules and limits, When a rule applies, Votes, States of an alarm, Storage: Restart) without a look at
 * the engine, and far simpler: it does not know which events come. For each alarm it keeps a floor, the least that
 * people must see, and holds against it whatever they are told: events, views of the live alarms, colours of zones.
 *
 * The floor rises
 *   - with a limit whose trip side has held for its on-delay: "the trip condition must hold from the reading at t0 until
 *     t0 + D"; "at bad ones it goes on"; time spent down counts. So an alarm that does not come is found too.
 *   - with whatever was told: once an alarm was raised, for whatever reason, it has to be cleared for a good one.
 * It falls only
 *   - when the return region has held for the off-delay on good readings: "a reading outside the return region, or one that
 *     is not good, cancels it". What has happened on the wire decides what is good, not the decoder: no answer, an exception,
 *     NaN, infinity, a sentinel, a status bit, an inhibit, a value out of range, the first `settle` after a bad one, or
 *     silence for max_age are not; nor is a point that was over its range and has that latched, until a person resets it, or
 *     one that moved faster than `max_rate`, and the `settle` behind it. A restart makes an off-delay stand still, and it "ends no sooner than the next good
 *     reading"; lost readings were never read.
 *   - to `latched`, and no further, where the limit has a latch: "stays tripped until `reset`", which a person gives.
 *   - to `suppressed`, level kept, where good readings have said for `for` that `when` is false: "a reading of the `when`
 *     point that is not good counts as true".
 *   - to nothing, by `retired`, where a reload has removed the rule, the point or all limits that are tripped.
 *   - of a vote, when good readings have taken so many votes away that the count is below what is needed for off_delay.
 *   - of `fault`, after three in a row; of `inhibit`, when no reading is inhibited; of a vote's fault, when M are healthy.
 * And: nobody but a person acknowledges, resets, shelves or takes out of service ("acknowledged", "covers"); a shelf
 * ends by itself, or when what may not be shelved trips; nothing leaves or changes without an event; a zone is no
 * calmer than the highest of its alarms in the last 60 s.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "evaluate/engine.h"
#include "false_clear_plan.h"

/* Places of alarms: of each rule its points and its vote; then built-in ones. */
#define SLOT_RULES      (PLAN_RULES * (PLAN_POINTS + 1))
#define SLOT_FAULT_BUS  SLOT_RULES
#define SLOT_FAULT_DEV  (SLOT_FAULT_BUS + 1)
#define SLOT_FAULT_PT   (SLOT_FAULT_DEV + PLAN_DEVICES)
#define SLOT_INHIBIT    (SLOT_FAULT_PT + PLAN_POINTS)
#define SLOT_VOTE_FAULT (SLOT_INHIBIT + PLAN_DEVICES)
#define SLOTS           (SLOT_VOTE_FAULT + PLAN_RULES)
#define SLOT_NONE       SLOTS

#define NEVER (-1)

/* How far a reading is evidence. */
enum worth { WORTH_GOOD, WORTH_RAISE, WORTH_HELD, WORTH_BAD };

struct evidence {
    enum worth worth;
    double value; /* what limits are held against, of GOOD and RAISE */
    bool counts;  /* windows take it: good, or over range */
    bool over;
    bool has_number, jumped; /* a number was on the wire; faster away from the one before than can be */
    double number;
};

struct limit_floor {
    bool condition;
    bool held;         /* by a latch */
    bool again;        /* held, and perhaps its condition is true too */
    int64_t hot, calm; /* since when the trip side, the return region holds; NEVER */
    bool stands;       /* calm stood still over a restart: until a good reading */
};

/* What people were told last. */
struct told {
    enum davy_state state;
    enum davy_level level;
    bool active;
    bool acknowledged;
};

struct slot {
    struct told told;
    struct limit_floor limits[PLAN_LIMITS];
    enum davy_level ladder;
    bool was_false; /* before the latest reload */
    bool goes_on;   /* over the latest reload: a limit that was tripped is still there */
    bool reloaded;  /* and no event since: no event tells that a latch has another level now */
    bool when_false, when_stands;
    int64_t when_since; /* the other answer is given */
    bool suppressed;    /* told so; a cover may hide it */
    int64_t shelf_until;
    bool shelved, out;
    unsigned from; /* readings before this one are not in the window; of occurrences: raises */
};

struct sample {
    int64_t at;
    bool counts;
    bool cut; /* a restart came before the next one: how long it held nobody knows */
    double value;
};

#define SAMPLES 128

struct point_past {
    unsigned count; /* of samples ever; the newest are kept */
    struct sample samples[SAMPLES];
    bool known; /* read since the start */
    int64_t read_at;
    bool stale;
    struct evidence newest;
    int settling;
    bool inhibited; /* the last that was not bad */
    unsigned run;   /* not bad in a row */
    bool latched;   /* over range until a person resets it */
    bool has_number;
    double number; /* the last on the wire, of whatever quality */
    int64_t number_at;
};

#define RAISES 32

/* When an alarm was told to be raised: the newest are kept. */
struct raises {
    unsigned count;
    unsigned sure; /* those before stand at another time since, or nowhere: the wall clock has stepped */
    int64_t at[RAISES];
};

/* How much of a measure there was to find. */
struct tally {
    uint64_t demands, raised, fell;
};

struct oracle {
    const struct plant_spec *spec;
    int64_t now;
    struct slot slots[SLOTS];
    struct point_past points[PLAN_POINTS];
    struct raises raises[PLAN_RULES][PLAN_POINTS];
    bool votes[PLAN_RULES][PLAN_POINTS][PLAN_LIMITS];
    bool out[PLAN_RULES][PLAN_POINTS]; /* bad or inhibited, as its votes see it */
    int64_t inhibit_until[PLAN_DEVICES];
    unsigned answers;                      /* in a row */
    int64_t zone_at[2][DAVY_LEVEL_COUNT_]; /* when it last was that high */
    unsigned commanded;                    /* the slot that a person acts on now */
    int verb;
    struct slot before; /* should it be refused */
    bool reloading;
    const struct plant_spec *before_reload;
    uint64_t demands; /* floors that were held against what is told; how much there was to find */
    uint64_t falls;
    struct tally tallies[DAVY_MEASURE_COUNT_];
    uint64_t held_over, jumps; /* readings that a latch over the range, or a jump, kept from being good */
    char wrong[512];           /* the first thing that was; "" */
};

static inline unsigned slot_of_rule(unsigned rule, unsigned point)
{
    return rule * (PLAN_POINTS + 1) + point;
}

void oracle_begin(struct oracle *oracle, const struct plant_spec *spec, int64_t now);

/* Delays that end at or before `now`, silence that becomes stale before it. */
void oracle_time(struct oracle *oracle, int64_t now);

/* What one point of a poll is worth, and then that it was read. */
struct evidence oracle_evidence(const struct oracle *oracle, const struct op *op, unsigned k);
void oracle_reading(struct oracle *oracle, unsigned point, const struct evidence *evidence);

/* A device was asked, before its points are told. */
void oracle_answer(struct oracle *oracle, bool answered);

/* A person has reset a point that was over its range. */
void oracle_release(struct oracle *oracle, unsigned point);

/* The wall clock has stepped, by which the record keeps what was raised. */
void oracle_stepped(struct oracle *oracle);

/* A person acts; between the two come the events of it. */
void oracle_command(struct oracle *oracle, unsigned slot, int verb, int64_t duration);
void oracle_commanded(struct oracle *oracle, bool done);

/* Whether the wall clock, all that tells how much time a reboot took, has stepped; or has been seen to go backwards. */
enum lost_time { LOST_NOTHING, LOST_STEPPED, LOST_BACK };

/* Between the two come the events of it. `now` of a restart is after the down time that counts. */
void oracle_reload(struct oracle *oracle, const struct plant_spec *spec);
void oracle_restart(struct oracle *oracle, const struct plant_spec *spec, int64_t now, enum lost_time lost,
                    bool rebooted);
void oracle_switched(struct oracle *oracle);

/* What people are told; `at` of an event may be in the past, of what fell due while the daemon was down. */
void oracle_event(struct oracle *oracle, unsigned slot, const struct davy_event *event, int64_t at);
void oracle_view(struct oracle *oracle, unsigned slot, const struct davy_alarm_view *view);
void oracle_colour(struct oracle *oracle, unsigned zone, enum davy_level colour);

/* The occurrence, or cover, of an alarm that the new configuration does not know is ended by the record stage. */
void oracle_retired(struct oracle *oracle, unsigned slot);
static inline bool oracle_told(const struct oracle *oracle, unsigned slot)
{
    return oracle->slots[slot].told.state != DAVY_STATE_NORMAL;
}

/* "r0:D0.p1", the key of its alarm, into `text` of at least 32 bytes. */
void oracle_slot_key(unsigned slot, char *text);

/* All floors against what is told. */
void oracle_check(struct oracle *oracle);

/* What is wrong, if it is the first; printf. */
void oracle_wrong(struct oracle *oracle, unsigned slot, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* ---- between its files ---- */

const struct rule_spec *oracle_rule(const struct oracle *oracle, unsigned slot);
bool oracle_exists(const struct plant_spec *spec, unsigned slot);
void oracle_untrip(struct oracle *oracle, unsigned slot);
void oracle_note_zones(struct oracle *oracle);

/* Sums and lines of floating-point numbers, which may differ in the last digits. */
bool oracle_is_average(const struct rule_spec *rule);

/* One limit: its trip side, the begin of a delay, and delays that are over. */
bool oracle_trips(const struct limit_spec *limit, double value, bool computed);
void oracle_be_hot(struct limit_floor *floor, int64_t now);
void oracle_expire(const struct limit_spec *limit, struct limit_floor *floor, int64_t now);

/* The measure in place of the value, HELD where there is none. */
struct evidence oracle_measured(const struct oracle *oracle, unsigned rule, unsigned point, bool upper,
                                const struct evidence *evidence);

/* Where the window of a rule on a point ends now. */
unsigned oracle_window_end(const struct oracle *oracle, const struct rule_spec *rule, unsigned point);

/* The alarm was raised: kept, and held against the limits of what counts it. */
void oracle_count_raise(struct oracle *oracle, unsigned slot, int64_t at);

void oracle_reset_slot(struct slot *slot);
void oracle_count_votes(struct oracle *oracle, unsigned rule, unsigned limit, bool good);
void oracle_evaluate_newest(struct oracle *oracle, unsigned slot);
void oracle_settle_when(struct oracle *oracle, unsigned slot, const struct evidence *evidence);
void oracle_fire(struct oracle *oracle, unsigned slot);
