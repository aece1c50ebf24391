/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The alarm engine (ARCHITECTURE.md, Rules and limits): readings and commands in, events out. Pure: no clock, no I/O,
 * no log; time is a parameter, so replay and life run the same code. All memory is taken at _new.
 *
 * Each input is one cause at one instant. Timers that are due at or before it fire first, in order of their due time.
 * All limits of an alarm are brought to the same instant before its level is judged, so a cause gives at most one event
 * per alarm; events of one cause come in the file's order of rules and, within a rule, of points, built-in alarms last.
 * Thread: one caller at a time per object (the evaluator).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/clock.h"
#include "model/alarm.h"
#include "model/config.h"
#include "model/reading.h"

struct davy_engine;

struct davy_engine_options {
    const struct davy_config *config; /* a reference is taken */
    /* Every event, in order, during the call that causes it. */
    void (*event)(void *context, const struct davy_event *event);
    /*
     * The memory of an alarm whose memory is no longer what was last given (timers, causes without event). Called after
     * the events of a cause. Returns false when it is not taken: it is told again by davy_engine_tell_untold(). May be
     * NULL.
     */
    bool (*memory)(void *context, const struct davy_alarm_memory *memory);
    /* The id of a new occurrence, asked right before its `raised`. NULL: random UUIDv7. */
    struct davy_uuid (*new_id)(void *context, davy_wall t);
    /* A reading that the engine made itself (stale), for the record. May be NULL. */
    void (*made)(void *context, const struct davy_reading *reading);
    bool recorded; /* the readings are of a record that has the stale ones: none is made */
    void *context;
};

/* new: 0 or a negative errno. free accepts NULL and returns NULL. */
int davy_engine_new(const struct davy_engine_options *options, struct davy_engine **ret_engine) DAVY_MUST_CHECK;
struct davy_engine *davy_engine_free(struct davy_engine *engine);

/*
 * Begin: the instant from which silence counts. Call once, after the restores and before the first input.
 * live   true: a point that never has a reading becomes stale max_age after `now`; false (replay): only after its first
 */
void davy_engine_start(struct davy_engine *engine, struct davy_stamp now, bool live);

/*
 * Put back what an alarm was before a restart. One whose tripped limits are all gone ends with the event `retired` at
 * `now`. An alarm that the configuration does not know is left alone: the caller ends it (davy_engine_knows).
 */
void davy_engine_restore(struct davy_engine *engine, const struct davy_alarm_memory *memory, struct davy_stamp now);

/*
 * History from before the start, which fills windows and judges nothing: readings for stel and twa, and `raised` events
 * of rules for occurrences, flood and chatter. In order of time (readings: of each point), each not after `now` of the
 * start; between the restores and davy_engine_start(). How far back they are wanted: 0 for not at all. Where there is a
 * lookback, the last reading before it that counts is wanted too: a gap may have begun with it.
 */
void davy_engine_past_reading(struct davy_engine *engine, const struct davy_reading *reading);
void davy_engine_past_raise(struct davy_engine *engine, const char *key, struct davy_stamp at);
davy_span davy_engine_reading_lookback(const struct davy_engine *engine, uint32_t point);
davy_span davy_engine_raise_lookback(const struct davy_engine *engine);

/* Tell the memory of every alarm that is not at rest, or whose memory was not taken. */
void davy_engine_tell_all(struct davy_engine *engine);

/*
 * Only those whose memory was not taken: where all that there is does not fit at once, the next try has less to tell.
 */
void davy_engine_tell_untold(struct davy_engine *engine);

/* Whether the configuration has an alarm of this key. */
bool davy_engine_knows(const struct davy_engine *engine, const char *key);

/* One reading. `reading->at.mono` must not go backwards between inputs. */
void davy_engine_reading(struct davy_engine *engine, const struct davy_reading *reading);

/* Time passes: fire what is due at or before `now`. */
void davy_engine_advance(struct davy_engine *engine, struct davy_stamp now);

/* The next instant at which davy_engine_advance() has something to do; DAVY_MONO_NEVER. */
davy_mono davy_engine_due(const struct davy_engine *engine);

/* A condition of the gateway about itself: kind is STORAGE, MQTT, CLOCK, CONFIG or OVERLOAD. */
void davy_engine_self(struct davy_engine *engine, enum davy_alarm_kind kind, bool condition, struct davy_stamp now);

/* The same; the event that follows from it has `why` as its note, and the alarm as long as it lasts. "": none */
void davy_engine_self_because(struct davy_engine *engine, enum davy_alarm_kind kind, bool condition, const char *why,
                              struct davy_stamp now);

enum davy_command_verb {
    DAVY_COMMAND_ACK,
    DAVY_COMMAND_RESET,
    DAVY_COMMAND_SHELVE, /* for `duration`; needs a note */
    DAVY_COMMAND_UNSHELVE,
    DAVY_COMMAND_OUT_OF_SERVICE, /* needs a note */
    DAVY_COMMAND_IN_SERVICE,
    DAVY_COMMAND_COUNT_
};

/* Contract, section 3: shelving is for 8 h by default, 12 h at most. */
#define DAVY_SHELVE_DEFAULT davy_span_s(8LL * 3600)
#define DAVY_SHELVE_MAX     davy_span_s(12LL * 3600)

struct davy_command {
    enum davy_command_verb verb;
    davy_span duration;        /* of SHELVE, above 0 */
    char alarm[DAVY_KEY_SIZE]; /* RULE:DEVICE.POINT, of a vote RULE:_, or the id of an occurrence */
    struct davy_uuid id;       /* the occurrence that was seen; nil: whichever */
    enum davy_level level;     /* the level that was seen; NONE: whichever */
    char by[DAVY_BY_SIZE];
    char note[DAVY_NOTE_SIZE];
};

/* Outcome of davy_engine_command(): refused, with the reason in words. */
#define DAVY_REFUSED 1

/*
 * ret_state  of the alarm afterwards, when done; may be NULL
 * returns    0 or DAVY_REFUSED with `reason` filled
 */
int davy_engine_command(struct davy_engine *engine, const struct davy_command *command, struct davy_stamp now,
                        enum davy_state *ret_state, char *reason, size_t reason_size) DAVY_MUST_CHECK;

/*
 * Go on under another configuration: alarms whose rule and point survive keep their state, id, acknowledgement and
 * timers; what is gone ends with `retired` (told under the old configuration); a changed limit is judged against the
 * newest reading at once, to raise only.
 * switched  called once between the last event under the old and the first under the new configuration; may be NULL
 * returns   0 or -ENOMEM (then nothing has changed)
 */
int davy_engine_reload(struct davy_engine *engine, const struct davy_config *config, struct davy_stamp now,
                       void (*switched)(void *context)) DAVY_MUST_CHECK;

/* What a person asks about one alarm. */
struct davy_alarm_view {
    struct davy_subject subject;
    struct davy_uuid id;
    enum davy_state state;
    enum davy_level level; /* of the occurrence; NONE in normal */
    bool active;
    bool acknowledged;
    bool latched;
    enum davy_state below;   /* the state under a cover; else the state */
    davy_wall shelved_until; /* ns = 0: not shelved */
    bool out_of_service;
    char by[DAVY_BY_SIZE];     /* who acknowledged, shelved or took it out of service last; "" */
    char note[DAVY_NOTE_SIZE]; /* and why */
    davy_wall raised_at;
    uint32_t count;
    bool has_value;
    double value;
    bool has_limit;
    double limit;
    enum davy_condition condition;
    uint8_t limit_index;
    enum davy_quality quality;
    enum davy_reason reason;
};

/* Views of the alarms by index, 0 <= index < count; *ret_view is a copy. */
size_t davy_engine_alarm_count(const struct davy_engine *engine);
void davy_engine_alarm(const struct davy_engine *engine, size_t index, struct davy_alarm_view *ret_view);

/* Whether that view would be `normal`: for those who go over all alarms. */
bool davy_engine_alarm_normal(const struct davy_engine *engine, size_t index);

/* The newest reading of a point; at.mono.ns = 0 where there was none yet. */
const struct davy_reading *davy_engine_newest(const struct davy_engine *engine, uint32_t point);

/* The highest level of the rule alarms that are active on the point, or on a vote with it; NONE. */
enum davy_level davy_engine_point_level(const struct davy_engine *engine, uint32_t point);

/*
 * Whether that is not NONE, or the point votes, or is what could end an alarm that is active elsewhere: its `when`
 * looks at the point, or its `difference` subtracts it.
 */
bool davy_engine_point_in_alarm(const struct davy_engine *engine, uint32_t point);
