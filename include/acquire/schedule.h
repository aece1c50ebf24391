/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which request of a connection is due. Pure but for its memory: time comes as a parameter. Each request has its own
 * raster, spread over the interval, without drift; of those due the one with the earliest deadline (its next raster
 * point) goes first; rasters that were missed are skipped and counted, never made up for. Requests of slow devices wait
 * behind all others that are due. Three heaps: taking is O(log n). Thread: one caller at a time per object.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "acquire/parts.h"
#include "acquire/share.h"
#include "base/attr.h"
#include "base/clock.h"
#include "model/config.h"

enum davy_schedule_heap {
    DAVY_SCHEDULE_WAITING, /* by due time */
    DAVY_SCHEDULE_READY,   /* due, by deadline */
    DAVY_SCHEDULE_SLOW,    /* likewise, of slow devices */
    DAVY_SCHEDULE_HEAPS_
};

struct davy_slot {
    uint32_t request; /* index in the configuration */
    uint32_t device;
    davy_span interval;
    davy_mono raster; /* its next regular turn */
    davy_mono due;    /* the raster, or before it where davy_schedule_again() said so */
    bool slow;
    enum davy_schedule_heap heap;
    uint32_t place; /* in that heap */
    int64_t key;
    struct davy_parts parts;
    bool begun; /* its turn is under way: parts of it are still to be read */
    /* Not answered though its device answers others: some registers are like that. Asked again only then. */
    unsigned misses;
    davy_mono mute_until;
    davy_span mute_wait;
};

struct davy_schedule_queue {
    uint32_t *slots; /* indices */
    uint32_t count;
};

struct davy_schedule {
    const struct davy_config *config; /* not a reference: outlives the schedule */
    struct davy_slot *slots;          /* in order of requests, so those of a device stand together */
    size_t count;
    struct davy_schedule_queue heaps[DAVY_SCHEDULE_HEAPS_];
    bool *alarms; /* by device */
    uint64_t skipped;
};

#define DAVY_SCHEDULE_INIT ((struct davy_schedule){.count = 0})

/*
 * The requests of a share of a bus, the first ones due at `start`, all within 5 s of it; over TCP at the next point of
 * the clock's raster behind that, at most 250 ms later.
 * returns   0 or -ENOMEM
 */
int davy_schedule_init(struct davy_schedule *schedule, const struct davy_config *config, const struct davy_share *share,
                       davy_mono start) DAVY_MUST_CHECK;

/*
 * Take over from `old` what stayed: due times, parts and misses of the same reads of the same device (by id, and behind
 * the same unit number), whether that is slow, alarm flags, the count.
 */
void davy_schedule_keep(struct davy_schedule *schedule, struct davy_schedule *old);

/* Repeatable. */
void davy_schedule_done(struct davy_schedule *schedule);

/* When the next request is due, in the past where one is waiting; DAVY_MONO_NEVER without any. */
davy_mono davy_schedule_next(const struct davy_schedule *schedule);

/*
 * The most urgent request that is due, moved on to its next raster point after `now`; NULL where none is.
 * favour    one of a slow device that has missed its deadline goes before all others
 */
struct davy_slot *davy_schedule_take(struct davy_schedule *schedule, davy_mono now, bool favour);

/* Whether requests of devices that are not slow were due when one was last taken, and still are. */
bool davy_schedule_others_wait(const struct davy_schedule *schedule);

/* One more turn of a request at `at`, where that is before its next raster point. */
void davy_schedule_again(struct davy_schedule *schedule, struct davy_slot *slot, davy_mono at);

/* The device's alarm_interval holds, where it is shorter, or no more. Others than its devices are ignored. */
void davy_schedule_alarm(struct davy_schedule *schedule, uint32_t device, bool in_alarm, davy_mono now);

/* The device is slow, or no more: where its requests wait from their next turn on. */
void davy_schedule_slow(struct davy_schedule *schedule, uint32_t device, bool slow);

/* The request of a device behind the one given, of DAVY_NONE the first; NULL where there is none. */
struct davy_slot *davy_schedule_next_of(struct davy_schedule *schedule, uint32_t device, uint32_t request);

/* All other requests of the slot's device have one more turn, now. */
void davy_schedule_hurry(struct davy_schedule *schedule, const struct davy_slot *slot, davy_mono now);
