/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One stream of bytes with a master at its other end: a TCP connection, or the one pty of a serial line. Finds requests
 * in what comes, gives them to serve.c, sends what that makes of them.
 * Thread: one. Never blocks.
 */
#pragma once

#include "sim/frame.h"
#include "sim/sim.h"

#define DAVY_SIM_IN_SIZE  4096
#define DAVY_SIM_OUT_SIZE 16384

struct davy_sim_channel {
    struct davy_sim_handler handler; /* first */
    struct davy_sim_channel *next;
    struct davy_sim_channel *previous;
    struct davy_sim_line *line;
    davy_mono heard;      /* when bytes came last; of a line with a speed, when its last bit is there */
    davy_mono deaf_until; /* a hanging serial line swallows bytes until then */
    uint32_t watched;     /* epoll events */
    bool look_pending;    /* a look at what was heard is queued for `look_at` */
    davy_mono look_at;
    bool closing; /* after what is in `out` */
    bool dead;
    size_t in_length;
    size_t out_length;
    uint8_t in[DAVY_SIM_IN_SIZE];
    uint8_t out[DAVY_SIM_OUT_SIZE];
};

/* Take over `fd`, non-blocking; it is closed in any case. 0 or a negative errno. */
int davy_sim_channel_open(struct davy_sim *sim, struct davy_sim_line *line, int fd) DAVY_MUST_CHECK;

/* Send `length` bytes (at most DAVY_SIM_ADU_MAX) after `delay`; what the other side does not take is lost. */
void davy_sim_channel_send(struct davy_sim *sim, struct davy_sim_channel *channel, const uint8_t *bytes, size_t length,
                           davy_span delay);

/* Close a connection after what is to be sent at once; a serial line hangs for `hang` instead. */
void davy_sim_channel_break(struct davy_sim *sim, struct davy_sim_channel *channel, davy_span hang);

/* Close all of a line, a serial one too: its adapter is gone. */
void davy_sim_channel_close_line(struct davy_sim *sim, const struct davy_sim_line *line);

/* What was postponed is due. */
void davy_sim_channel_due(struct davy_sim *sim, struct davy_sim_channel *channel,
                          const struct davy_sim_pending *pending);

/* Release the channels that were closed in this cycle; `sim` may still hold events for them before. */
void davy_sim_channel_bury(struct davy_sim *sim);

/* Close all. */
void davy_sim_channel_end(struct davy_sim *sim);
