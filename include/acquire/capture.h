/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The flight recorder of one bus: what went over the wire, byte for byte, in a fixed amount of memory. The newest
 * exchanges are kept in a ring that rolls on; an exchange that went wrong, the one before it and the one after it are
 * copied into a second ring that only errors push forward. A unit that goes wrong in the same way again and again is
 * kept once, until it answers well: a dead device does not push the rare error out.
 *
 * Plain data without pointers: a copy by assignment is a whole recorder. Thread: the poller's that owns it; others are
 * given copies. Nothing here allocates, reads a clock or can fail.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "model/reading.h"

/*
 * The longest frame: MBAP header and PDU (Modbus Messaging on TCP/IP V1.0b, 4.1). Of longer noise the beginning is
 * kept.
 */
#define DAVY_CAPTURE_FRAME 260

#define DAVY_CAPTURE_RING 3712

enum davy_capture_kind {
    DAVY_CAPTURE_SENT,
    DAVY_CAPTURE_HEARD,   /* what was judged as the reply, whole or in part */
    DAVY_CAPTURE_FOREIGN, /* thrown away: noise, a second master, a double reply */
    DAVY_CAPTURE_KIND_COUNT_
};

struct davy_capture_frame {
    struct davy_stamp at; /* sent: its last byte has left; heard: it was complete, or given up */
    uint64_t number;      /* counts the frames of a bus from 1; gaps are frames that have rolled out */
    uint16_t exchange;    /* the same for a request and what was heard after it */
    uint16_t length;      /* on the wire; bytes[] has at most DAVY_CAPTURE_FRAME of them */
    enum davy_capture_kind kind;
    enum davy_answer verdict; /* of the whole exchange; COUNT_ while it is under way */
    bool kept;                /* for an error near it */
    uint8_t bytes[DAVY_CAPTURE_FRAME];
};

struct davy_capture_ring {
    uint16_t first; /* offset of the oldest byte */
    uint16_t used;
    uint16_t begun; /* offset from the oldest byte: where the exchange under way begins */
    uint8_t bytes[DAVY_CAPTURE_RING];
};

struct davy_capture {
    struct davy_capture_ring newest;
    struct davy_capture_ring errors;
    uint64_t frames;       /* written so far */
    uint64_t kept_up_to;   /* number of the newest frame in `errors` */
    uint16_t exchange;     /* the one under way */
    bool follow;           /* it is to be kept, whatever comes: the one before went wrong */
    uint8_t verdicts[256]; /* by unit: the last one, so that a repetition is not kept again */
};
_Static_assert(sizeof(struct davy_capture) <= 8192, "a few kilobytes a bus");

/* Where davy_capture_next() is; {0} before the first. */
struct davy_capture_cursor {
    uint16_t newest;
    uint16_t errors;
};

/* "sent" "heard" "foreign". */
const char *davy_capture_kind_name(enum davy_capture_kind kind);

/* Empty. The same as all zeros. */
void davy_capture_init(struct davy_capture *capture);

/* An exchange begins: what is added from now on belongs to it. */
void davy_capture_begin(struct davy_capture *capture);

/*
 * Add a frame to the exchange under way, or to none before the first.
 * length    any; nothing is added for 0
 */
void davy_capture_add(struct davy_capture *capture, enum davy_capture_kind kind, struct davy_stamp at,
                      const uint8_t *bytes, size_t length);

/*
 * The exchange under way has ended so: all its frames get the verdict. An answer that is neither OK nor EXCEPTION, and
 * foreign bytes beside any answer, are errors and kept.
 */
void davy_capture_end(struct davy_capture *capture, uint8_t unit, enum davy_answer verdict);

/*
 * The next frame in the order of its number, each once; of a recorder that does not change meanwhile.
 * returns   false behind the last, with *ret_frame untouched
 */
bool davy_capture_next(const struct davy_capture *capture, struct davy_capture_cursor *cursor,
                       struct davy_capture_frame *ret_frame);
