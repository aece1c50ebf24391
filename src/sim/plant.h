/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulated plant: lines, devices, points, incidents, as the plant file says, with their live state. Times are
 * plant time in seconds since the start unless a name says otherwise. Thread: one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "model/names.h"
#include "sim/fault.h"
#include "sim/wave.h"
#include "sim/wire.h"

#define DAVY_SIM_POINTS_MAX 4096 /* of one device */

/* Where the value of a point comes from at present. */
enum davy_sim_source {
    DAVY_SIM_FROM_WAVE,
    DAVY_SIM_FROM_HOLD, /* `to` */
    DAVY_SIM_FROM_RAMP, /* `from` to `to` within `ramp_s` since `since_s`, then `to` */
    DAVY_SIM_FROM_RAW,  /* registers that somebody wrote */
};

struct davy_sim_point {
    char *name;
    enum davy_table table;
    uint16_t address;
    enum davy_type type;
    enum davy_order order;
    double scale, offset; /* value = raw * scale + offset */
    double low, high;     /* the sensor's range: no waveform leaves it */
    struct davy_sim_wave wave;
    uint64_t seed;
    enum davy_sim_source source;
    double from, to;
    double since_s, ramp_s;
};

/* Registers or bits that exist, one beside the other. */
struct davy_sim_area {
    enum davy_table table;
    uint32_t first;
    uint32_t count;
    uint16_t *cells;  /* of registers that belong to no point, or were written */
    uint16_t *owners; /* 0: nobody; else index of the point + 1 */
};

struct davy_sim_stats {
    uint64_t requests;
    uint64_t replies;
    uint64_t exceptions; /* replies that are one */
    uint64_t faults;     /* replies that a fault has spoilt */
    uint64_t bad_frames;
    uint64_t connections;
    uint64_t t35_violations; /* requests that began too early after the last frame */
    uint64_t collisions;     /* requests that began during a reply, and replies during a request */
};

struct davy_sim_line {
    char *name;
    enum davy_bus_type type;
    char *host;
    int port;
    char *link;                /* NULL: only the pty's own name */
    struct davy_sim_wire wire; /* not timed: bytes take no time */
    int unknown_exception;     /* reply to a unit that is not there; 0: silence */
    char address[160];         /* where it listens, once it does */
    bool open;                 /* somebody can connect; kept by line.c */
    double unplugged_until_s;  /* not to be open before; INFINITY: until plugged */
    struct davy_sim_device *by_unit[256];
    struct davy_sim_faults faults;
    struct davy_sim_stats stats;
};

struct davy_sim_device {
    char *id;
    struct davy_sim_line *line;
    int unit;
    davy_span turnaround;
    struct davy_sim_point *points;
    size_t point_count;
    struct davy_sim_area *areas;
    size_t area_count;
    struct davy_sim_faults faults;
};

/* One command of the script. */
struct davy_sim_step {
    double at_s;
    double repeat_s; /* 0: once */
    double next_s;   /* when it runs next; INFINITY: never again */
    char *text;
};

struct davy_sim_plant {
    int64_t seed; /* -1: not given */
    struct davy_sim_line *lines;
    size_t line_count;
    struct davy_sim_device *devices;
    size_t device_count;
    struct davy_sim_step *steps;
    size_t step_count;
};

/* Release what `plant` owns. Repeatable, also for a half-built one. */
void davy_sim_plant_done(struct davy_sim_plant *plant);

/* NULL where there is none. */
struct davy_sim_line *davy_sim_plant_line(const struct davy_sim_plant *plant, const char *name);
struct davy_sim_device *davy_sim_plant_device(const struct davy_sim_plant *plant, const char *id);
struct davy_sim_point *davy_sim_plant_point(const struct davy_sim_device *device, const char *name);

/* Seeds of all points from one number, each its own. */
void davy_sim_plant_sow(struct davy_sim_plant *plant, uint64_t seed);
