/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The thread of one connection of a bus: schedule → bus → block → queue. Failures travel as blocks like answers. One
 * small fixed stack. A reload hands it a new configuration; it keeps its connection.
 *
 * What a person asks for (commissioning) runs between polls: at once where it ends before the next poll is due, else
 * such exchanges take at most a tenth of the time. A poll is late by one of them at most.
 *
 * What one device costs the others: acquire/quarantine.h bounds what is lost to silence. A slow one (more than 4 times
 * as long as planned) is polled when nobody else waits, so that others are late by one of its exchanges at most; where
 * others always wait, once its deadline is over, slow ones together for at most a tenth of the time.
 */
#pragma once

#include <stdint.h>

#include "acquire/bus.h"
#include "acquire/link.h"
#include "acquire/share.h"
#include "base/attr.h"
#include "base/clock.h"
#include "base/queue.h"
#include "base/thread.h"
#include "model/config.h"
#include "model/reading.h"

/* Copied out by davy_connection_status(); all counters since its start. */
struct davy_poller_status {
    enum davy_link_state state;
    uint64_t requests;
    uint64_t answers;  /* also exceptions */
    uint64_t timeouts; /* of polls, as the next two: what a person asks for in vain is no error of the bus */
    uint64_t exceptions;
    uint64_t invalid;      /* replies that belonged to no request */
    uint64_t late;         /* replies after their device's max_reply */
    uint64_t foreign;      /* bytes on the line that no request of ours explains */
    uint64_t splits;       /* merged reads that a device refused and that are read in parts since */
    uint64_t connects;     /* links opened */
    uint64_t skipped;      /* polls left out since the bus did not keep up */
    unsigned quarantined;  /* devices that are only probed now and then */
    double utilization;    /* measured share of busy time, last 10 s or so; 0 to 1 */
    davy_mono last_answer; /* ns = 0: never */
    int last_error;        /* negative errno of the last failed open; 0 */
};

/* What is known of one of its devices; since its start or of the device. */
struct davy_poller_device {
    uint32_t generation; /* of the configuration that `device` is an index of; 0: nothing is known yet */
    uint32_t device;
    unsigned misses; /* in a row, at most 4 */
    bool slow;       /* takes more than 4 times as long as planned: its polls wait behind the others */
    bool flapping;   /* misses more than one poll in seven */
    davy_span p50;   /* turn-around: from the end of a request to the first byte of the reply; 0: not measured */
    davy_span p95;
    davy_span mean; /* of its whole exchanges with all retries; a moving mean over about eight */
};

enum davy_demand_kind {
    DAVY_DEMAND_READ,   /* davyctl read, scan */
    DAVY_DEMAND_FRAMES, /* a copy of the flight recorder */
};

/* What a person asks for. */
struct davy_poller_demand {
    uint64_t ticket; /* given back with the reply */
    enum davy_demand_kind kind;
    uint32_t connection; /* of FRAMES: whose recorder, from 0; of one that is not there that of the first */
    /* Of READ: */
    uint8_t unit;
    enum davy_table table;
    uint16_t start;
    uint16_t count;
    davy_span max_reply;
};

struct davy_poller_demand_reply {
    uint64_t ticket;
    struct davy_poller_demand demand;
    struct davy_bus_reply reply;  /* of READ */
    struct davy_capture *capture; /* of FRAMES: the receiver's, to be freed by free(); NULL without memory */
};

struct davy_connection;

struct davy_connection_options {
    const struct davy_config *config; /* a reference is taken */
    struct davy_share share;          /* the devices that it polls */
    struct davy_bus_link link;        /* ownership passes */
    const struct davy_clock *clock;
    struct davy_queue *blocks;  /* of struct davy_block */
    struct davy_queue *demands; /* replies: struct davy_poller_demand_reply; may be NULL */
    uint64_t seed;              /* of jitter and phases */
    davy_span spread;           /* the first connect, and the polls behind it, wait for a random part of this */
};

/* Create; starts no thread. 0 or -ENOMEM; on failure the link is still the caller's. */
int davy_connection_new(const struct davy_connection_options *options,
                        struct davy_connection **ret_connection) DAVY_MUST_CHECK;

/* Start its thread. 0 or a negative errno. */
int davy_connection_start(struct davy_connection *connection) DAVY_MUST_CHECK;

/* Ask to stop; returns at once. */
void davy_connection_stop(struct davy_connection *connection);

/*
 * Stop, join (blocks for at most one request) and free. Demands that wait are answered: the link is down. Accepts NULL,
 * returns NULL.
 */
struct davy_connection *davy_connection_free(struct davy_connection *connection);

/*
 * Go on with another configuration and its share of it, from the next request on. One that was not taken yet is
 * overtaken. Takes a reference. Thread: main.
 */
void davy_connection_switch(struct davy_connection *connection, const struct davy_config *config,
                            const struct davy_share *share);

/*
 * Tell it whether a device is in alarm (its alarm_interval holds). Thread: evaluator, which may be ahead of a switch:
 * then it waits for that. What is of an older configuration is forgotten, since after a switch all are told anew; until
 * then the flags of devices that stay (by id) stand. Never blocks.
 * generation  of the configuration that `device` is an index of; those of others than its devices are ignored
 */
void davy_connection_alarm(struct davy_connection *connection, uint32_t generation, uint32_t device, bool in_alarm);

/* Queue a demand. 0, or -EAGAIN when four are waiting. */
int davy_connection_demand(struct davy_connection *connection, const struct davy_poller_demand *demand) DAVY_MUST_CHECK;

/* A copy of its counters and of the state of its link. Any thread. */
void davy_connection_status(struct davy_connection *connection, struct davy_poller_status *ret_status);

/* The same for its device number `row` (0, 1, …). False behind the last. */
bool davy_connection_device(struct davy_connection *connection, size_t row, struct davy_poller_device *ret_device);

/*
 * One turn of the loop: for the thread, and for tests and simulations that have no thread. At most one request.
 * returns   how long there is nothing to do
 */
davy_span davy_connection_turn(struct davy_connection *connection);

/*
 * The longest that a turn of any connection of a bus may take: every try to its end, with all that opening, the guard
 * of a serial line and its silences may add. Pure.
 */
davy_span davy_connection_longest_turn(const struct davy_config *config, uint32_t bus);

/* The longest between two beats beyond the second that it may sleep: one opening, or one exchange, to its end. Pure. */
davy_span davy_connection_longest_beat(const struct davy_config *config, uint32_t bus);

/*
 * Beats so far, for the watchdog: one before each opening and each exchange, one after each turn, and a turn at least
 * once a second.
 */
uint64_t davy_connection_beats(const struct davy_connection *connection);

/*
 * The same with a beat at least each quarter of a second while an opening or an exchange waits for a name, a connection
 * or bytes: its thread runs, though it may be waiting for something that never comes. It stands where the kernel holds
 * it.
 */
uint64_t davy_connection_pulse(const struct davy_connection *connection);
