/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The main thread's state, shared by daemon.c (loop), commands.c and commission.c (control requests), reload.c and
 * selfwatch.c.
 */
#pragma once

#include "base/queue.h"
#include "config/problems.h"
#include "control/server.h"
#include "daemon/commission.h"
#include "daemon/judge.h"
#include "daemon/options.h"
#include "daemon/pipeline.h"

/* Conditions of the gateway that are alarms of its own. */
struct selfwatch {
    /* What the evaluator was told; nothing yet after the start, when it may remember the last run's. */
    struct told_cause storage, mqtt, config, clock, overload;
    davy_mono begun; /* when it was first looked */
    struct clock_watch clock_watch;
    struct clock_corrections corrections;
    struct unconfirmed_watch unconfirmed_watch;
    struct overload_watch overload_watch;
    char config_refused[DAVY_NOTE_SIZE]; /* why the file on disk is not in effect; empty: it is */
    davy_mono disconnected_since;        /* ns = 0: connected */
    uint64_t refused;                    /* refused, or heard by nobody, when last looked */
    davy_mono refused_at;
    davy_mono certificate_looked_at;  /* ns = 0: not yet */
    davy_wall certificate_end;        /* ns = 0: none, or not readable */
    davy_wall server_certificate_end; /* of the broker; ns = 0: not known */
};

struct daemon {
    const struct options *options;
    const struct davy_clock *clock;
    char directory[4096];
    int signals; /* a signalfd; -1: none */
    bool stopping;
    struct davy_waker waker;
    struct pipeline *pipeline;
    struct davy_control *control;
    struct selfwatch watch;
    struct commission commission;
    uint32_t generation;
    bool reload_again; /* one more was asked for while one was under way */
    bool reloading;    /* the evaluator has not switched yet */
    char reload_by[DAVY_BY_SIZE];
    uint64_t reload_ticket; /* of the control client that asked; 0: nobody */
    size_t reload_changes;
    struct davy_problems reload_problems; /* of the file, until that is told */
    davy_mono tick_at;                    /* next look at the gateway itself */
    davy_mono status_at;                  /* next davy.status/1 */
    davy_mono watchdog_at;                /* next time that systemd's watchdog is fed */
    davy_span watchdog;                   /* a sixth of systemd's; ns = 0: none */
    bool stuck;                           /* a thread does not advance, as was said */
    const char *untold;                   /* what the manager did not take yet; NULL: nothing. Not owned */
};

/* commands.c: one request of a control client; the context is the daemon. */
void daemon_request(void *context, const struct davy_control_peer *peer, const char *line);

/* commands.c: what stages answered. */
void daemon_take_replies(struct daemon *daemon);

/* reload.c; ticket 0: nobody waits for the outcome */
void daemon_reload(struct daemon *daemon, uint64_t ticket, const char *by);

/* reload.c: the evaluator has taken the new configuration, or could not. */
void daemon_switched(struct daemon *daemon, bool switched);

/* selfwatch.c: tell the evaluator what changed about the gateway itself. */
void daemon_watch_self(struct daemon *daemon, struct davy_stamp now);

/*
 * selfwatch.c: a reload was refused, for a reason, or done, NULL: told at once, since the next one may follow before
 * anybody looks.
 */
void daemon_watch_config(struct daemon *daemon, const char *refusal);

/* selfwatch.c: before the end: what is still to be written down of the clock. */
void daemon_watch_end(struct daemon *daemon, struct davy_stamp now);

/* daemon.c: tell the manager a state with READY=1, again each second until it takes it. `state` is kept: a literal. */
void daemon_tell_ready(struct daemon *daemon, const char *state);

/* daemon.c: publish davy.status/1 now. */
void daemon_publish_status(struct daemon *daemon);
