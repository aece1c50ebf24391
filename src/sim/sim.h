/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The running simulation: one thread, one epoll loop, plant time, and what is still to be sent later.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/clock.h"
#include "base/num.h"
#include "sim/plant.h"

struct davy_sim;
struct davy_sim_channel;

/* What epoll calls back; the first member of whatever owns the descriptor. */
struct davy_sim_handler {
    int fd;
    void (*ready)(struct davy_sim *sim, struct davy_sim_handler *handler, uint32_t events);
};

/* Something to be done with a channel later: bytes to send, or without bytes a look at what it has heard. */
struct davy_sim_pending {
    struct davy_sim_pending *next;
    struct davy_sim_channel *channel;
    davy_mono due;
    davy_mono until; /* ns > 0: these bytes begin a reply on a line with a speed, which ends then */
    size_t length;
    uint8_t bytes[];
};

struct davy_sim {
    struct davy_sim_plant plant;
    struct davy_random random; /* draws of faults and garbage */
    davy_mono started;
    davy_mono now; /* taken once per cycle */
    davy_mono end; /* of the run; DAVY_MONO_NEVER */
    double t_s;    /* plant time of `now` */
    double speed;
    int epoll;
    bool quit;
    struct davy_sim_pending *first; /* by due */
    struct davy_sim_pending *last;
    struct davy_sim_channel *channels;
    struct davy_sim_channel *dead; /* closed in this cycle */
    size_t channel_count;
    struct davy_sim_handler *listeners; /* one per line; of a pty unused */
    struct davy_sim_handler signals;
};

/* Watch or change what is watched. 0 or a negative errno. */
int davy_sim_watch(struct davy_sim *sim, struct davy_sim_handler *handler, uint32_t events) DAVY_MUST_CHECK;
int davy_sim_rewatch(struct davy_sim *sim, struct davy_sim_handler *handler, uint32_t events) DAVY_MUST_CHECK;

/*
 * Queue `length` bytes (0: a look at what was heard) for `channel` at `due`; `until` as in struct davy_sim_pending.
 * Without memory it is lost, as on a wire.
 */
void davy_sim_postpone(struct davy_sim *sim, struct davy_sim_channel *channel, davy_mono due, davy_mono until,
                       const uint8_t *bytes, size_t length);

/* Forget what is queued for `channel`. */
void davy_sim_forget(struct davy_sim *sim, const struct davy_sim_channel *channel);

/* Take the time; run what is due of the script. */
void davy_sim_tick(struct davy_sim *sim, davy_mono now);

/* Serve until quit, SIGTERM, SIGINT or the end of the run. 0 or a negative errno. */
int davy_sim_run(struct davy_sim *sim) DAVY_MUST_CHECK;
