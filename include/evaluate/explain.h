/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why an alarm is, or is not, in alarm: the first reason that holds, and the facts that it rests on. Pure, reads only.
 * Thread: the caller of the engine.
 */
#pragma once

#include "evaluate/engine.h"
#include "evaluate/measure.h"

/* In the order in which they are looked for: the first that holds is the answer. */
enum davy_why {
    DAVY_WHY_ACTIVE,         /* it is in alarm: nothing is in the way */
    DAVY_WHY_OUT_OF_SERVICE, /* hidden by a person */
    DAVY_WHY_SHELVED,        /* hidden by a person, for a time */
    DAVY_WHY_NOT_ENABLED,    /* the device is switched off */
    DAVY_WHY_WHEN,           /* `when` is false */
    DAVY_WHY_NO_READING,     /* there was none yet */
    DAVY_WHY_STALE,          /* silence for longer than max_age */
    DAVY_WHY_COMM,           /* no reply */
    DAVY_WHY_EXCEPTION,
    DAVY_WHY_DEVICE_FAULT,
    DAVY_WHY_BAD_VALUE, /* not a number, or a value that means none */
    DAVY_WHY_UNDER_RANGE,
    DAVY_WHY_WARM_UP,
    DAVY_WHY_CALIBRATION,   /* calibration, bump test or inhibit */
    DAVY_WHY_NOT_IN_WINDOW, /* settling or without status: such a reading counts for no measure but `value` */
    DAVY_WHY_HISTORY,       /* the measure has too few readings */
    DAVY_WHY_COVERAGE,      /* the window is not covered enough */
    DAVY_WHY_SPREAD,        /* the readings do not differ */
    DAVY_WHY_OTHER,         /* the other point of a difference is not good or too old */
    DAVY_WHY_ON_DELAY,      /* the condition is true, the delay runs */
    DAVY_WHY_LATCHED,       /* the condition is gone, a latch keeps it */
    DAVY_WHY_RETURNED,      /* the condition is gone, nobody has acknowledged */
    DAVY_WHY_VOTES,         /* fewer votes than are needed */
    DAVY_WHY_NOT_REACHED,   /* the value does not reach any limit */
    DAVY_WHY_COUNT_
};

/* One limit as it stands. */
struct davy_limit_view {
    const struct davy_limit *limit; /* of the configuration; in the point's unit */
    bool tripped, held, uncertain;
    enum davy_timer timer;
    davy_span left; /* until the timer fires */
    double bound;   /* that was crossed */
};

struct davy_explanation {
    enum davy_why why;
    struct davy_alarm_view view;
    const struct davy_rule *rule;
    enum davy_measure measure;
    enum davy_lack lack;           /* of the measure now */
    struct davy_measured measured; /* filled as far as `lack` says */
    bool has_newest;
    struct davy_reading newest; /* of the point */
    bool when_used;             /* the rule has a `when` */
    bool when_true;             /* its answer as it counts now */
    uint32_t when_point;
    struct davy_reading when_newest;          /* at.mono.ns = 0: none yet */
    davy_span when_left;                      /* until the answer changes; below 0: it does not */
    unsigned votes, needed, healthy, members; /* of a vote, for the limit that shows */
    unsigned steps_done;                      /* of the rule's ladder */
    davy_span raised_for; /* since the first raise, which its steps count from; below 0: there is no occurrence */
    size_t limit_count;
    struct davy_limit_view limits[DAVY_LIMITS_MAX];
};

/* ret_explanation points into the engine's configuration: valid until the next reload. 0 <= index < alarm count. */
void davy_engine_explain(const struct davy_engine *engine, size_t index, struct davy_stamp now,
                         struct davy_explanation *ret_explanation);

/*
 * The members of the alarm's vote as they stand.
 * returns   how many were written, at most `size`; 0 where the alarm is not of a vote
 */
size_t davy_engine_explain_members(const struct davy_engine *engine, size_t index, struct davy_member *members,
                                   size_t size);

/* "when", "on-delay": static text. And a sentence for people, "waits: the on-delay of red has 3 s to go". */
const char *davy_why_name(enum davy_why why);
void davy_explain_sentence(const struct davy_config *config, const struct davy_explanation *explanation, char *text,
                           size_t size);

/*
 * The unit of the measure and its limits: "ppm", of a rate "ppm/1min", of stuck "s"; "" where there is none. Returns
 * text.
 */
char *davy_explain_unit(const struct davy_config *config, const struct davy_explanation *explanation, char *text,
                        size_t size);
