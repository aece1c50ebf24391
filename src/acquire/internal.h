/* SPDX-License-Identifier: Apache-2.0 */
/* The state of a connection, shared by connection.c (thread, commands, demands) and poll.c (link, exchanges, polls). */
#pragma once

#include "acquire/connection.h"
#include "acquire/noise.h"
#include "acquire/quarantine.h"
#include "acquire/schedule.h"

struct change {
    const struct davy_config *config;
    struct davy_share share;
};

struct alarm_flag {
    uint32_t generation;
    uint32_t device;
    bool in_alarm;
};

struct davy_connection {
    const struct davy_config *config;
    struct davy_share share;
    struct davy_bus_link bus_link;
    const struct davy_clock *clock;
    struct davy_queue *blocks;
    struct davy_queue *demand_replies;
    struct davy_link link;
    struct davy_schedule schedule;
    struct davy_quarantine quarantine;
    struct davy_queue changes; /* of struct change, at most one */
    struct davy_queue flags;   /* of struct alarm_flag */
    struct alarm_flag flag;    /* out of the queue, waits for its configuration */
    bool has_flag;
    struct davy_queue demands; /* of struct davy_poller_demand */
    struct davy_thread thread;
    atomic_uint_fast64_t waits; /* beats of the thread's waits within an opening or an exchange */
    struct davy_cell cell;      /* the status for others */
    struct davy_cell devices;   /* rows of struct davy_poller_device */
    struct davy_poller_status status;
    davy_mono window_start;
    davy_span window_busy;
    struct davy_poller_demand held; /* out of the queue, waits until it may be served */
    bool holds;
    davy_mono slow_at;    /* a slow device does not go before others until then */
    davy_mono meddled_at; /* that the port was last found with other settings; 0: never */
    davy_mono demand_at;  /* not before, where a poll would be late for it */
    struct davy_capture capture;
    struct davy_noise noise;
};

static inline const struct davy_bus *bus_of(const struct davy_connection *connection)
{
    return &connection->config->buses[connection->share.bus];
}

static inline davy_mono now_of(const struct davy_connection *connection)
{
    return davy_clock_now(connection->clock).mono;
}

/* Open the link where that is due. True when it is open then. */
bool poll_ensure_open(struct davy_connection *connection);

/*
 * One request for a person, without retries; a connection that the other end closed meanwhile is opened again once.
 * returns   the time that it took
 */
davy_span poll_exchange(struct davy_connection *connection, const struct davy_bus_request *request,
                        struct davy_bus_reply *ret_reply);

/* One probe of a device that does not answer, where it is due. False when none is. */
bool poll_probe(struct davy_connection *connection);

/* One poll that is due, by at most one exchange; the rest of it is due at once. */
void poll_due(struct davy_connection *connection);
