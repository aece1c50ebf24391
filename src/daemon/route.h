/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What travels between the stages of the daemon, and the queues that it travels in. pipeline.c creates them; each stage
 * sees only this. Every struct is passed by value.
 *
 *   pollers ──blocks──► evaluator ──records, readings──► recorder ──messages──► publisher ──► broker
 *                        ▲    │                            ▲                        │
 *                 asks ──┘    └──replies──► main ◄──notices┴─────── deliveries ─────┤
 *                   └─────────────────────────┤ └──tasks──► recorder                 │
 *                                             └──────────── commands over MQTT ──────┘
 */
#pragma once

#include <stdint.h>

#include "acquire/poller.h"
#include "base/queue.h"
#include "control/request.h"
#include "evaluate/engine.h"
#include "model/alarm.h"
#include "model/config.h"
#include "model/reading.h"
#include "publish/command.h"
#include "publish/publisher.h"
#include "record/ledger.h"

/* main, recorder → evaluator */
enum ask_kind {
    ASK_REQUEST,
    ASK_RELOAD,
    ASK_SELF,
    ASK_MEMORIES, /* of the recorder: the ledger was begun anew, tell all memories */
    ASK_RESTORE,  /* of the recorder: the ledger was away at the start, here is what it remembers */
};

struct ask {
    enum ask_kind kind;
    uint64_t ticket;                  /* REQUEST: of the control client */
    struct davy_remote *remote;       /* REQUEST: it came over MQTT instead, and is answered there; passes */
    struct davy_request_line request; /* REQUEST; of SELF its `note` */
    char by[DAVY_BY_SIZE];
    const struct davy_config *config;   /* RELOAD: a reference passes */
    struct davy_poller **pollers;       /* RELOAD: by bus of `config`; the array passes, the pollers stay main's */
    struct davy_alarm_memory *memories; /* RESTORE: passes */
    size_t memory_count;
    enum davy_alarm_kind self; /* SELF */
    bool condition;
};

/* evaluator → main: the answer to a request, one JSON line; ownership passes */
struct reply {
    uint64_t ticket;
    char *line;
};

/* evaluator (actions: main too) → recorder */
enum record_kind {
    RECORD_EVENT,
    RECORD_MEMORY,
    RECORD_ORPHAN, /* memory of an alarm that the configuration does not know any more: it ends with `retired` */
    RECORD_ACTION,
    RECORD_SWITCH,
    RECORD_NOTHING, /* freed, nothing is left to write */
};

/* An operator's action for the audit. */
struct record_action {
    char by[DAVY_BY_SIZE];
    char verb[16];
    char target[DAVY_KEY_SIZE];
    char note[DAVY_NOTE_SIZE];
    char result[192];
    char *detail; /* JSON or NULL; passes, freed when it is written */
};

/*
 * What one cause makes of alarms is written in one transaction: after a crash an event whose memory is missing would be
 * decided anew.
 */
enum record_place {
    RECORD_ALONE, /* an action from elsewhere; may stand between the others */
    RECORD_MORE,  /* the next of its cause follows */
    RECORD_LAST,
};

struct record {
    enum record_kind kind;
    enum record_place place;
    struct davy_stamp at;
    uint64_t ordinal; /* of an event: its number since the start, from 1 */
    /* Of an event, set at the first try to write it, so that another try writes the same row: */
    int64_t seq;
    davy_span stored_after;
    bool synchronized;
    union {
        struct davy_event event;
        struct davy_alarm_memory memory;
        struct record_action action;
        const struct davy_config *config; /* SWITCH: a reference passes; what follows is under this configuration */
    };
};

/* evaluator → recorder: a reading, or from here on another configuration (a reference passes). */
struct record_reading {
    const struct davy_config *config;
    struct davy_reading reading;
};

/* recorder → main; evaluator → main, after ASK_RELOAD */
enum notice { NOTICE_CONNECTED, NOTICE_SWITCHED, NOTICE_NOT_SWITCHED };

/* The evaluator's figures, copied out. */
struct evaluator_status {
    uint32_t alarms[DAVY_LEVEL_COUNT_]; /* not normal */
    uint32_t unacknowledged;
    uint32_t shelved;
    uint32_t out_of_service;
    uint32_t points[DAVY_QUALITY_COUNT_];
    uint32_t slow_points; /* read at less than half their rate */
    uint64_t events;      /* handed to the recorder */
    uint64_t previews;
    uint64_t lost_readings; /* the recorder could not take them */
    uint64_t lost_records;  /* likewise events and actions: the ledger's silence was longer than its queue */
};

/* The recorder's figures, copied out. */
struct recorder_status {
    uint64_t events; /* of the evaluator: all up to this one are committed, or lost and counted */
    int64_t last_seq;
    int64_t confirmed_seq; /* by the platform; 0: none */
    int64_t outbox_events; /* not delivered: in the outbox, or not confirmed by the platform where it is asked */
    int64_t unconfirmed;   /* of these, what the broker has acknowledged */
    bool overdue;          /* the platform does not confirm in time */
    bool doubtful;         /* whether it does is not known yet after the start */
    int64_t outbox_telemetry;
    uint64_t refused;                /* by the broker, so far */
    uint64_t left_out;               /* records that could not be written at all */
    int64_t parked;                  /* rows that wait after a refusal */
    davy_wall oldest;                /* time of the oldest event that is not delivered; ns = 0: none */
    davy_mono working_since;         /* it may be hanging in the disk since; ns = 0: it is not at work */
    int64_t bytes;                   /* of the databases */
    int64_t free_bytes;              /* of the file system */
    bool failing;                    /* the ledger cannot be written now */
    davy_mono troubled_at;           /* last failure, slow commit or want of space; ns = 0: never */
    char trouble[160];               /* what it was */
    uint64_t lost[DAVY_LOSS_COUNT_]; /* since the start: all that is declared, or will be */
};

/* Items that a queue holds. Blocks drop the oldest and are counted; asks are refused; records: see handover.h. */
#define ROUTE_BLOCKS   1024
#define ROUTE_ASKS     64
#define ROUTE_RECORDS  8192
#define ROUTE_READINGS 65536
#define ROUTE_REPLIES  64
#define ROUTE_NOTICES  64
#define ROUTE_COMMANDS 64
#define ROUTE_TASKS    64

/*
 * Of these the recorder takes what is there when it wakes for an event or a commit, and is woken only when so many
 * wait: early enough for the queue, and for the publisher, whose next messages wait for it. Other deliveries ring for
 * themselves.
 */
#define ROUTE_READINGS_RING   1024
#define ROUTE_DELIVERIES_RING 64

struct route {
    struct davy_queue blocks;     /* struct davy_block */
    struct davy_queue asks;       /* struct ask */
    struct davy_queue replies;    /* struct reply */
    struct davy_queue records;    /* struct record */
    struct davy_queue readings;   /* struct record_reading */
    struct davy_queue deliveries; /* struct davy_delivery */
    struct davy_queue notices;    /* enum notice */
    struct davy_queue demands;    /* struct davy_poller_demand_reply */
    struct davy_queue commands; /* struct davy_remote *, publisher → main; passes; when full the publisher says busy */
    struct davy_queue tasks;    /* struct davy_remote *, main → recorder: snapshot, resend, confirm; passes */
    struct davy_cell evaluator;       /* struct evaluator_status */
    struct davy_cell recorder;        /* struct recorder_status */
    struct davy_publisher *publisher; /* NULL: no broker configured */
    const struct davy_clock *clock;
    char boot_id[37];
    struct davy_stamp started;
};

#define ROUTE_QUEUES 10

/* All queues of the route, for who treats them alike. */
static inline void route_queues(struct route *route, struct davy_queue *ret_queues[ROUTE_QUEUES])
{
    struct davy_queue *const queues[ROUTE_QUEUES] = {
        &route->blocks,     &route->asks,    &route->replies, &route->records,  &route->readings,
        &route->deliveries, &route->notices, &route->demands, &route->commands, &route->tasks,
    };
    for (size_t i = 0; i < ROUTE_QUEUES; i++)
        ret_queues[i] = queues[i];
}
