/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which request of a bus is due. Pure but for its memory: time comes as a parameter. Each request has its own raster,
 * spread over the interval, without drift; of those due the one with the earliest deadline goes first; rasters that
 * were missed are skipped and counted, never made up for. Thread: one caller at a time per object.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/clock.h"
#include "model/config.h"

struct davy_slot {
    uint32_t request; /* index in the configuration */
    davy_span interval;
    davy_mono due;
    /* What the device refused as wrong (exceptions 1 to 3) is asked again only then, and answered from memory before.
     */
    davy_mono refused_until;
    uint8_t exception;
};

struct davy_schedule {
    const struct davy_config *config; /* not a reference: outlives the schedule */
    struct davy_slot *slots;
    size_t count;
    bool *alarms; /* by device */
    uint64_t skipped;
};

#define DAVY_SCHEDULE_INIT ((struct davy_schedule){.count = 0})

/*
 * The requests of `bus`, the first ones due now, all within 5 s.
 * returns   0 or -ENOMEM
 */
int davy_schedule_init(struct davy_schedule *schedule, const struct davy_config *config, uint32_t bus,
                       davy_mono now) DAVY_MUST_CHECK;

/* Take over from `old` what stayed: due times of the same reads of the same device (by id), alarm flags, the count. */
void davy_schedule_keep(struct davy_schedule *schedule, const struct davy_schedule *old);

/* Repeatable. */
void davy_schedule_done(struct davy_schedule *schedule);

/* When the next request is due; DAVY_MONO_NEVER without any. */
davy_mono davy_schedule_next(const struct davy_schedule *schedule);

/* The most urgent request that is due, moved on to its next raster point after `now`; NULL where none is. */
struct davy_slot *davy_schedule_take(struct davy_schedule *schedule, davy_mono now);

/* The device's alarm_interval holds, where it is shorter, or no more. Others than its devices are ignored. */
void davy_schedule_alarm(struct davy_schedule *schedule, uint32_t device, bool in_alarm, davy_mono now);
