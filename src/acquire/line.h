/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Modbus RTU over an open descriptor: a serial port, or a socket to a server that speaks RTU. One exchange at a time;
 * what came before a request is thrown away, what comes after it is searched for the reply until the deadline: other
 * frames and noise are dropped, counted, and do not stop the timer (Modbus over Serial Line V1.02, 2.4.1). A reply is
 * over when the line has been silent for 3.5 characters; a second one before that, or the request of another master
 * between our request and the reply, make it INVALID. Which requests may follow is the guard's business
 * (acquire/guard.h). Thread: one caller at a time per object.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "acquire/bus.h"
#include "acquire/guard.h"

/* More than two of the longest frames. */
#define DAVY_LINE_HEARD 600

struct davy_line {
    int fd;       /* non-blocking; -1: closed */
    bool is_port; /* else a socket */
    bool echo;    /* requests come back first */
    davy_span character;
    davy_span silence; /* 3.5 characters; 0 where the line is behind a socket */
    davy_span pause;   /* between a reply and the next request, if longer */
    davy_span lead;    /* that the driver waits before it sends */
    davy_span timeout;
    const atomic_bool *stop;      /* ends waits early; may be NULL */
    struct davy_capture *capture; /* may be NULL */
    /* Sends a whole request with its CRC. DOWN when the line is gone. */
    enum davy_answer (*send)(void *context, const uint8_t *frame, size_t length);
    void *context;
    struct davy_guard guard;
    davy_mono free_at;   /* no request before */
    davy_span max_reply; /* of the request under way */
    uint32_t foreign;    /* since they were last asked for, as in struct davy_bus_reply */
    uint32_t strangers;
    uint16_t length;
    uint8_t heard[DAVY_LINE_HEARD];
};

/* One read, guarded. Fills all of *ret_reply. */
void davy_line_read(struct davy_line *line, const struct davy_bus_request *request, struct davy_bus_reply *ret_reply);
