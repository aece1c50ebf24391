/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The time that bytes take on a serial line: characters of request and reply, the silence between frames, and who talks
 * into whose words (Modbus over Serial Line V1.02, 2.5.1.1). Half duplex, one master. Pure: time comes as a parameter.
 * Thread: one caller at a time per object.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/clock.h"

struct davy_sim_wire {
    davy_span character;     /* ns = 0: a line without a speed; none of the functions is asked then */
    davy_span silence;       /* 3.5 characters, above 19200 baud 1.75 ms */
    davy_mono asked_until;   /* last bit of what the master has sent; ns = 0: nothing yet */
    davy_mono replied_until; /* last bit of the reply that is on its way or was the last */
};

enum davy_sim_wire_verdict {
    DAVY_SIM_WIRE_CLEAN,
    DAVY_SIM_WIRE_EARLY,    /* a frame began before the silence after the last one was over */
    DAVY_SIM_WIRE_COLLISION /* two have talked at once: neither is understood */
};

/*
 * baud           0: the line has no speed
 * bits_per_byte  on the wire: 10 for 8N1, 11 for 8E1 and 8N2
 */
struct davy_sim_wire davy_sim_wire_make(int baud, int bits_per_byte);

static inline bool davy_sim_wire_is_timed(const struct davy_sim_wire *wire)
{
    return wire->character.ns > 0;
}

/* Time that `count` characters take. */
davy_span davy_sim_wire_time(const struct davy_sim_wire *wire, size_t count);

/*
 * The master has written `count` bytes at once: its port sends them one after the other, behind what it still has.
 * begins    they are the first of a frame
 */
enum davy_sim_wire_verdict davy_sim_wire_hear(struct davy_sim_wire *wire, davy_mono now, size_t count, bool begins);

/* Whether the last bit of the master is still to come. */
bool davy_sim_wire_is_asking(const struct davy_sim_wire *wire, davy_mono now);

/*
 * First bit of the reply to what the master has sent. No device replies before the silence that ends the request.
 * turn_around  from the last bit of the request
 */
davy_mono davy_sim_wire_turn(const struct davy_sim_wire *wire, davy_span turn_around);

/* A reply whose last bit is on the line at `until` begins. CLEAN or COLLISION. */
enum davy_sim_wire_verdict davy_sim_wire_reply(struct davy_sim_wire *wire, davy_mono now, davy_mono until);

/* How many bytes the reader gets at once: one, of a fast line what a millisecond carries, as from a UART's buffer. */
size_t davy_sim_wire_portion(const struct davy_sim_wire *wire);
