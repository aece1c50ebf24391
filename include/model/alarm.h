/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Alarm, event and what of an alarm survives a restart: plain values (ARCHITECTURE.md, States of an alarm). An event is
 * one transition of one alarm; the engine creates it, nobody changes it, the record stage gives it its seq.
 */
#pragma once

#include <math.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/uuid.h"
#include "model/config.h"
#include "model/names.h"

/* Who did it, "local:USER"; and a note, both with the end. */
#define DAVY_BY_SIZE   96
#define DAVY_NOTE_SIZE 256

/*
 * What an alarm belongs to. Of the indices only those that apply are set, the others are DAVY_NONE:
 * a rule on a point: rule, device, point; a vote or its fault: rule. fault: bus | bus, device | bus, device, point.
 * inhibit, calibration: device. self: none.
 */
struct davy_subject {
    enum davy_alarm_kind kind;
    uint32_t rule;
    uint32_t bus;
    uint32_t device;
    uint32_t point;
};

/* What a member of a vote said when the event came. */
struct davy_member {
    uint32_t point;
    enum davy_quality quality; /* of its newest reading */
    bool vote;
    bool by_fault; /* it votes because it is bad or inhibited (on_bad = "trip") */
    bool has_value;
    double value; /* of its measure, last evaluated */
};

/* The members of a vote, shared by the copies of an event through a counted reference. */
struct davy_members {
    atomic_uint references;
    size_t count;
    struct davy_member list[];
};

/* Zeroed, with one reference; NULL without memory. Thread: any. */
struct davy_members *davy_members_new(size_t count);
struct davy_members *davy_members_ref(struct davy_members *members);   /* accepts and returns NULL */
struct davy_members *davy_members_unref(struct davy_members *members); /* accepts NULL, returns NULL */

struct davy_event {
    struct davy_subject subject;
    enum davy_event_type type;
    struct davy_uuid id; /* of the occurrence; nil where there is none */
    uint32_t count;
    enum davy_state state;
    enum davy_state previous_state;
    enum davy_level level;          /* after the transition; where the occurrence clears or ends, the one it had */
    enum davy_level previous_level; /* NONE: null */
    bool active;                    /* a condition is true */
    bool acknowledged;
    bool latched;   /* a latch holds what reset would release */
    bool uncertain; /* the level rests on an uncertain reading */
    bool first_out;
    bool ends; /* the alarm is back in normal: its retained message is to be cleared */
    struct davy_stamp at;
    davy_wall raised_at;
    bool has_value;
    double value; /* last evaluated */
    bool has_limit;
    double limit; /* of OUTSIDE the bound crossed */
    enum davy_condition condition;
    uint8_t limit_index;       /* which of the rule's limits gave the level; owner and message are its */
    enum davy_quality quality; /* of the newest reading */
    enum davy_reason reason;
    char by[DAVY_BY_SIZE];        /* empty: null */
    char note[DAVY_NOTE_SIZE];    /* empty: null */
    uint8_t step;                 /* overdue: which step of the ladder, from 1; else 0 */
    davy_span time_to_limit;      /* forecast: until the line reaches the limit; below 0: not known */
    struct davy_members *members; /* of a vote, else NULL; who keeps a copy of the event takes a reference */
    davy_span decided_after;      /* from the arrival of the cause to the decision; below 0: not known */
};

/* Timer of a limit. */
enum davy_timer { DAVY_TIMER_NONE, DAVY_TIMER_ON, DAVY_TIMER_OFF };

/* What survives a restart of one limit. */
struct davy_limit_memory {
    enum davy_level level;
    enum davy_condition condition;
    bool upper;
    bool tripped;   /* its condition is true */
    bool held;      /* its condition is gone, a latch keeps it */
    bool uncertain; /* tripped by an uncertain reading */
    enum davy_timer timer;
    struct davy_stamp started; /* of the timer */
    double crossed;            /* the bound that tripped it */
};

/* What survives a restart of one alarm; stored whole whenever it changed. */
struct davy_alarm_memory {
    /*
     * "RULE:DEVICE.POINT" (also of a vote's member), "RULE:_" (a vote), "RULE.fault:_", "fault:BUS", "storage:gateway"
     */
    char key[DAVY_KEY_SIZE];
    struct davy_uuid id; /* nil: no occurrence */
    uint32_t count;
    enum davy_state state;
    enum davy_level level;
    bool acknowledged;
    struct davy_stamp raised; /* first raise of the occurrence */
    uint8_t last_limit;
    bool has_value;
    double value;
    enum davy_quality quality;
    enum davy_reason reason;
    uint8_t steps_done;           /* of the ladder */
    enum davy_level floor;        /* that the ladder has set; NONE */
    bool when_false;              /* the answer of `when` is false */
    struct davy_stamp when_since; /* since when `when` says otherwise; mono.ns = 0: it does not */
    uint64_t when_asks;           /* a number for what it asks, below 2^63; 0: nothing, or not known */
    bool has_read; /* stel, twa: the reading that a gap began with; it may be older than what a refill looks back for */
    double read_value;
    struct davy_stamp read_at;
    bool unwell; /* worth keeping alone: a vote's member that is bad or inhibited, a point's fault while inhibited */
    bool out_of_service;
    struct davy_stamp shelved_until; /* mono.ns = 0: not shelved */
    enum davy_level shelved_level;   /* of the occurrence that was shelved; NONE: there was none */
    char by[DAVY_BY_SIZE];           /* who acknowledged, shelved or took it out of service last; and why */
    char note[DAVY_NOTE_SIZE];
    size_t limit_count;
    struct davy_limit_memory limits[DAVY_LIMITS_MAX];
};

/* The name of the rule: the rule's own, or of the built-in. */
const char *davy_subject_rule_name(const struct davy_config *config, const struct davy_subject *subject);

/*
 * "RULE:DEVICE.POINT", of a vote "RULE:_", "RULE.fault:_", "fault:BUS", "fault:DEVICE", "inhibit:DEVICE",
 * "storage:gateway" into `text`; returns text.
 */
char *davy_subject_key(const struct davy_config *config, const struct davy_subject *subject, char text[DAVY_KEY_SIZE]);

/* The other way: what a key, of any length, names under this configuration. False where there is no such alarm. */
bool davy_subject_parse(const struct davy_config *config, const char *key, struct davy_subject *ret_subject);

/* Index of the zone that the alarm belongs to, or DAVY_NONE. */
uint32_t davy_subject_zone(const struct davy_config *config, const struct davy_subject *subject);

/* A sentence for people, the `message` of davy.alarm/1: "Tank farm H2S: H2S 15.2 ppm ≥ 14 ppm". */
void davy_event_message(const struct davy_config *config, const struct davy_event *event, char *text, size_t size);
