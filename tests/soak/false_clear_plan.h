/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a random schedule is made of: the plant in some versions (what reloads switch between) and a row of happenings.
 * Plain values, all from one seed; printed so that a person can read what went wrong. Instants are milliseconds.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "model/config.h"
#include "model/names.h"
#include "model/reading.h"

#define PLAN_DEVICES    3
#define PLAN_PER_DEVICE 2
#define PLAN_POINTS     (PLAN_DEVICES * PLAN_PER_DEVICE)
#define PLAN_RULES      3
#define PLAN_LIMITS     6
#define PLAN_STEPS      2
#define PLAN_VERSIONS   6
#define PLAN_OPS        160

/* The range of every point, in its unit: 10 % of it below is under-range. */
#define PLAN_LOW      0.0
#define PLAN_HIGH     100.0
#define PLAN_SENTINEL 9999.5

struct limit_spec {
    enum davy_level level;
    enum davy_condition condition;
    double a, b; /* of OUTSIDE both */
    double deadband;
    int on_ms, off_ms;
    bool latch, acknowledge, trip_on_fault, shelvable;
    bool upper;            /* stel: acts on the upper bound */
    enum davy_level named; /* in the file; `level` of an upper one is lower */
};

struct step_spec {
    int after_ms;
    bool unless_cleared;
    enum davy_level level;
};

struct rule_spec {
    bool present;
    unsigned points; /* bit set */
    enum davy_measure measure;
    int window_ms;
    int per_ms, horizon_ms;  /* rate, forecast */
    double epsilon;          /* stuck */
    unsigned other, counted; /* difference: the point that is subtracted; occurrences: an earlier rule */
    unsigned vote;           /* 0: none */
    enum davy_on_bad on_bad;
    bool has_when;
    unsigned when_point;
    enum davy_condition when_condition;
    double when_value;
    int when_hold_ms;
    unsigned limit_count;
    struct limit_spec limits[PLAN_LIMITS];
    unsigned step_count;
    struct step_spec steps[PLAN_STEPS];
};

struct device_spec {
    bool present;
    int settle;
    int max_age_ms;
    double scale;
    unsigned latches; /* bit set of its points: once over range, so until a person resets it */
    double max_rate;  /* of both, per second; 0: any */
};

struct plant_spec {
    struct device_spec devices[PLAN_DEVICES];
    struct rule_spec rules[PLAN_RULES];
    int fault_delay_ms;
};

/* What stands in the registers of a point. */
enum raw { RAW_NUMBER, RAW_NAN, RAW_INFINITE, RAW_SUBNORMAL, RAW_SENTINEL, RAW_COUNT_ };

/* Bits of the status word of a device. */
#define STATUS_FAULT       1U
#define STATUS_WARM_UP     2U
#define STATUS_CALIBRATION 4U
#define STATUS_OVER_RANGE  8U
#define STATUS_MAINTENANCE 16U

enum op_kind {
    OP_READ,    /* a device is polled */
    OP_COMMAND, /* an operator acts on an alarm */
    OP_RELEASE, /* an operator resets a point that is latched over its range */
    OP_INHIBIT, /* of a device; duration 0 ends it */
    OP_RELOAD,
    OP_CLOCK,   /* the wall clock steps */
    OP_RESTART, /* killed, and started again after a while */
    OP_LEDGER,  /* it was damaged, and is begun anew */
    OP_WAIT,
    OP_COUNT_
};

struct op {
    enum op_kind kind;
    int delay_ms; /* since the one before */
    unsigned device;
    enum davy_answer answer;
    enum raw raw[PLAN_PER_DEVICE];
    double number[PLAN_PER_DEVICE];
    unsigned status;
    int verb; /* enum davy_command_verb */
    unsigned rule;
    unsigned point; /* PLAN_POINTS: the vote of the rule; of OP_RELEASE the point */
    int duration_ms;
    unsigned version; /* of the plant, from then on */
    int down_ms;
    bool reboot;
    int64_t wall_ms; /* step of the wall clock; of a restart, while down */
    unsigned lose;   /* so many happenings before the kill were not yet on disk */
};

struct plan {
    uint64_t seed;
    struct plant_spec versions[PLAN_VERSIONS];
    unsigned op_count;
    struct op ops[PLAN_OPS];
};

/* Everything from the seed. */
void plan_make(struct plan *plan, uint64_t seed);

/*
 * The configuration of one version; to be freed with davy_config_unref(). Devices and points that are not there are
 * left out.
 */
struct davy_config *plan_config(const struct plant_spec *spec, uint32_t generation);

/* Index of a device or point in that configuration, DAVY_NONE; and back. */
uint32_t plan_device_index(const struct plant_spec *spec, unsigned device);
uint32_t plan_point_index(const struct plant_spec *spec, unsigned point);
unsigned plan_point_of(const struct plant_spec *spec, uint32_t index);
unsigned plan_device_of(const struct plant_spec *spec, uint32_t index);
unsigned plan_rule_of(const struct plant_spec *spec, uint32_t index);

/* The zone of a device: 0 or 1. */
static inline unsigned plan_zone(unsigned device)
{
    return device == PLAN_DEVICES - 1;
}

/* Two limits in one, over long times that a restart does not end. */
static inline bool plan_is_dose(const struct rule_spec *rule)
{
    return rule->measure == DAVY_MEASURE_STEL || rule->measure == DAVY_MEASURE_TWA;
}

/* Registers of a device: two per point, then the status word. */
#define PLAN_WORDS (2 * PLAN_PER_DEVICE + 1)
void plan_words(const struct op *op, uint16_t words[PLAN_WORDS]);

void plan_print_op(const struct op *op, int64_t at, FILE *out);
void plan_print(const struct plan *plan, FILE *out);
