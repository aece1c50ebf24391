/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pollers of one bus: one thread for each of its connections (acquire/connection.h), which is one but for a tcp bus
 * with `connections`. The n-th device of the bus, of those enabled, is polled by connection n modulo their number.
 * Thread: main, but for davy_poller_alarm().
 */
#pragma once

#include "acquire/connection.h"

/* Most connections of a bus (conf/davyd.conf). */
#define DAVY_POLLER_CONNECTIONS 16

struct davy_poller;

struct davy_poller_options {
    const struct davy_config *config; /* a reference is taken by each connection */
    uint32_t bus;                     /* index */
    /* Makes the transport of one connection: davy_bus_modbus_new(). */
    int (*new_link)(const struct davy_bus *bus, struct davy_bus_link *ret_link);
    const struct davy_clock *clock;
    struct davy_queue *blocks;  /* of struct davy_block */
    struct davy_queue *demands; /* replies: struct davy_poller_demand_reply; may be NULL */
    uint64_t seed;              /* of jitter; each connection has its own */
};

/* Create; starts no thread. 0, -ENOMEM or -EINVAL (of new_link). */
int davy_poller_new(const struct davy_poller_options *options, struct davy_poller **ret_poller) DAVY_MUST_CHECK;

/* Start its threads. 0 or a negative errno; then some of them may run until davy_poller_free(). */
int davy_poller_start(struct davy_poller *poller) DAVY_MUST_CHECK;

/* Ask all to stop; returns at once. */
void davy_poller_stop(struct davy_poller *poller);

/* Stop, join (blocks for at most one request) and free. Accepts NULL, returns NULL. */
struct davy_poller *davy_poller_free(struct davy_poller *poller);

/* Go on with another configuration, in which this bus has index `bus` and as many connections as before. */
void davy_poller_switch(struct davy_poller *poller, const struct davy_config *config, uint32_t bus);

/* Tell it which devices are in alarm: davy_connection_alarm(). Thread: evaluator. Never blocks. */
void davy_poller_alarm(struct davy_poller *poller, uint32_t generation, uint32_t device, bool in_alarm);

/* Queue a demand; the first connection reads. 0, or -EAGAIN when four are waiting. */
int davy_poller_demand(struct davy_poller *poller, const struct davy_poller_demand *demand) DAVY_MUST_CHECK;

/*
 * All connections together: counters are summed, utilization is the busiest one's, the state and the last error are of
 * the connection that is worst off: backoff, closed, opening, degraded, up.
 */
void davy_poller_status(struct davy_poller *poller, struct davy_poller_status *ret_status);

/* What is known of the bus's device number `row` of those enabled. False behind the last, or while nothing is known. */
bool davy_poller_device(struct davy_poller *poller, size_t row, struct davy_poller_device *ret_device);

/*
 * For the watchdog: how often every connection was seen to have turned since the call before that counted. One that is
 * stuck stops it. Each turns at least once a second unless a request blocks it.
 */
uint64_t davy_poller_beats(struct davy_poller *poller);

/* Likewise, of all signs of life: also while a request waits, each gives one at least once a second. */
uint64_t davy_poller_pulse(struct davy_poller *poller);
