/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The thread of one bus: schedule → bus → block → queue. Failures travel as blocks like answers. One small fixed stack.
 * A reload hands it a new configuration; it keeps its connection. A read on demand (commissioning) runs between polls.
 */
#pragma once

#include <stdint.h>

#include "acquire/bus.h"
#include "acquire/link.h"
#include "base/attr.h"
#include "base/clock.h"
#include "base/queue.h"
#include "base/thread.h"
#include "model/config.h"
#include "model/reading.h"

/* Copied out by davy_poller_status(); all counters since the start of the poller. */
struct davy_poller_status {
    enum davy_link_state state;
    uint64_t requests;
    uint64_t answers; /* also exceptions */
    uint64_t timeouts;
    uint64_t exceptions;
    uint64_t invalid;      /* replies that belonged to no request */
    uint64_t connects;     /* links opened */
    uint64_t skipped;      /* polls left out since the bus did not keep up */
    unsigned quarantined;  /* devices that are only probed now and then */
    double utilization;    /* measured share of busy time, last 10 s or so; 0 to 1 */
    davy_mono last_answer; /* ns = 0: never */
    int last_error;        /* negative errno of the last failed open; 0 */
};

/* A read for a person (davyctl read). */
struct davy_poller_demand {
    uint64_t ticket; /* given back with the reply */
    uint8_t unit;
    enum davy_table table;
    uint16_t start;
    uint16_t count;
    davy_span max_reply;
};

struct davy_poller_demand_reply {
    uint64_t ticket;
    struct davy_poller_demand demand;
    struct davy_bus_reply reply;
};

struct davy_poller;

struct davy_poller_options {
    const struct davy_config *config; /* a reference is taken */
    uint32_t bus;                     /* index */
    struct davy_bus_link link;        /* ownership passes */
    const struct davy_clock *clock;
    struct davy_queue *blocks;  /* of struct davy_block */
    struct davy_queue *demands; /* replies: struct davy_poller_demand_reply; may be NULL */
    uint64_t seed;              /* of jitter and phases */
};

/* Create; starts no thread. 0 or -ENOMEM; on failure the link is still the caller's. */
int davy_poller_new(const struct davy_poller_options *options, struct davy_poller **ret_poller) DAVY_MUST_CHECK;

/* Start its thread. 0 or a negative errno. */
int davy_poller_start(struct davy_poller *poller) DAVY_MUST_CHECK;

/* Ask to stop; returns at once. */
void davy_poller_stop(struct davy_poller *poller);

/* Stop, join (blocks for at most one request) and free. Accepts NULL, returns NULL. */
struct davy_poller *davy_poller_free(struct davy_poller *poller);

/*
 * Go on with another configuration, in which this bus has index `bus`, from the next request on.
 * One that was not taken yet is overtaken. Takes a reference. Thread: main.
 */
void davy_poller_switch(struct davy_poller *poller, const struct davy_config *config, uint32_t bus);

/*
 * Tell it which devices are in alarm (their alarm_interval holds). Thread: evaluator. Never blocks.
 * device    index in the newest configuration given to this poller; a switch keeps the flags of devices that stay (by
 * id)
 */
void davy_poller_alarm(struct davy_poller *poller, uint32_t device, bool in_alarm);

/* Queue a read for a person. 0, or -EAGAIN when four are waiting. */
int davy_poller_demand(struct davy_poller *poller, const struct davy_poller_demand *demand) DAVY_MUST_CHECK;

/* A copy of its counters and of the state of its link. Any thread. */
void davy_poller_status(struct davy_poller *poller, struct davy_poller_status *ret_status);

/*
 * One turn of the loop: for the thread, and for tests and simulations that have no thread. At most one request.
 * returns   how long there is nothing to do
 */
davy_span davy_poller_turn(struct davy_poller *poller);

/* Cycles of its loop so far, for the watchdog. It turns at least once a second unless a request blocks it. */
uint64_t davy_poller_beats(const struct davy_poller *poller);
