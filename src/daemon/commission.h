/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commissioning for control clients: a read or one step of a scan is asked of a bus's poller, between its polls, and
 * answered when it replies. Thread: main.
 */
#pragma once

#include "acquire/poller.h"
#include "base/uuid.h"
#include "control/request.h"
#include "control/server.h"

struct daemon;

/* One person's scan of one bus. */
struct scan {
    char bus[DAVY_ID_MAX + 1];
    char by[DAVY_BY_SIZE];
    struct davy_uuid id; /* nil: this place is free */
    uint64_t ticket;     /* of the step that waits for the poller; 0: none */
    davy_mono until;     /* forgotten then, unless it goes on */
};

/* At the same time, each of another bus. */
#define SCANS 8

/* Of which bus something was asked: the poller's reply has only the ticket. */
struct asked {
    uint64_t ticket;
    char bus[DAVY_ID_MAX + 1];
};

/* More than there are control clients; the oldest is forgotten. */
#define ASKED 64

struct commission {
    struct scan scans[SCANS];
    struct asked asked[ASKED];
    size_t next; /* place in `asked` */
};

/* Answer now, or later through commission_take(). */
void commission_read(struct daemon *daemon, uint64_t ticket, const struct davy_request_line *request);
void commission_scan(struct daemon *daemon, const struct davy_control_peer *peer,
                     const struct davy_request_line *request);

void commission_frames(struct daemon *daemon, uint64_t ticket, const struct davy_request_line *request);

/* A poller has replied; takes what the reply owns. */
void commission_take(struct daemon *daemon, const struct davy_poller_demand_reply *reply);
