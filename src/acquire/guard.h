/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guard of a serial line: no reply is ever taken for that of another request.
 *
 * Nothing in a serial reply says which request it belongs to: only unit, function and byte count, its shape. So the
 * guard remembers, for each unit, which requests are still owed a reply. What it does about them:
 *
 *   silence   after an error nothing is sent until the device's max_reply is over, counted from the end of the request
 *             that failed, and the read that failed lasts so long; what comes meanwhile is thrown away, and where it is
 *             the very reply that was missed, the silence ends. A reply within max_reply, in any order, therefore never meets another request.
 *   probe     beyond that, a request of the shape of one that is owed is enclosed by two short ones of another shape. A
 *             device that answers in order has by the first one given away what it owed; of one that does not, the
 *             late reply shows as a second one before the answer to the last. A value is good only where none showed.
 *             This goes on until 3 times max_reply after the one that is owed.
 *   waiting   an exception proves less: a gateway may send it ahead of a reply still in the making. Then the request is
 *             held back until 3 times max_reply after the one that is owed, unless it is the very same again, whose
 *             late reply is of the same registers. For a unit that ignores probes altogether each is held back, and it is
 *             listened to for max_reply behind its answer, for a second one.
 *
 * The probe is, what is known first: another read that the unit has answered; the same with one register less (one more
 * where there is but one); another table. What a unit puts up with is learned. A unit that was heard without having
 * been asked, because another device has its address, is read between probes until none shows any more.
 *
 * What is assumed: each request is answered at most once, and within max_reply; no order. Where the device is later
 * than that, a wrong value still needs one that is out of order, and loses the very request, or answers it behind the
 * probe that follows; or that is out of order and later than 3 times max_reply; or that ignores probes and is later
 * than that. Replies later than max_reply are counted: a count above 0 says that max_reply is set too short.
 *
 * Cost of an error: max_reply less what has passed, and two short requests with each read of that shape until 3 times
 * max_reply are over; where the unit refuses probes and other registers of the same shape are read, up to 3 times
 * max_reply since the error, in which other units are asked: no read waits longer than 1.5 times; where it ignores
 * probes, max_reply in addition.
 *
 * Pure but for what its wire does. Thread: one caller at a time per object.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "acquire/bus.h"
#include "acquire/frame.h"
#include "base/clock.h"

#define DAVY_GUARD_OWED  8
#define DAVY_GUARD_KNOWN 2

/* What came of listening. */
enum davy_hush {
    DAVY_HUSH_SILENT, /* nothing until the end */
    DAVY_HUSH_HEARD,  /* bytes came, and it is quiet again; frames among them were given to davy_guard_heard() */
    DAVY_HUSH_STOPPED,
    DAVY_HUSH_GONE, /* the line is */
};

/* The line, as the guard sees it. */
struct davy_wire {
    void *context;
    davy_mono (*now)(void *context);
    /* `ret_sent`: when the last byte of the request has left, as far as is known. */
    enum davy_answer (*exchange)(void *context, const struct davy_bus_request *request,
                                 struct davy_bus_reply *ret_reply, davy_mono *ret_sent);
    enum davy_hush (*listen)(void *context, davy_mono until);
};

struct davy_guard_owed {
    davy_mono due; /* of the newest: end of the request, max_reply, and the time that the reply takes on the line */
    davy_span max_reply;
    uint16_t bytes; /* of data */
    uint16_t count; /* so many replies of this shape; 0: a free place */
    int32_t start;  /* of the registers that they are of; -1: of several */
    uint8_t table;
};

struct davy_guard_known {
    uint16_t start;
    uint16_t count; /* 0: none */
    uint8_t table;
};

struct davy_guard_unit {
    struct davy_guard_owed owed[DAVY_GUARD_OWED];
    struct davy_guard_known known[DAVY_GUARD_KNOWN]; /* of two shapes, the newest first */
    davy_mono lost_track; /* more is owed, until then, than there is room for: each shape is suspect; ns = 0: no */
    bool doubled;         /* something came that was not owed: likewise */
    uint8_t way;
    uint8_t trust; /* probes that may go unanswered before it is thought deaf */
    uint8_t deaf;  /* failures in a row that only listening has helped with */
};

struct davy_guard {
    struct davy_guard_unit units[256];
    davy_mono quiet_until;
    const struct davy_guard_owed *quiet_for; /* the silence ends with it; NULL: only with time */
    int watched;                             /* a unit; -1: none */
    uint32_t shown;                          /* frames of the watched unit that were not the answer to a request */
    davy_span character;                     /* time of one on the line; 0: not known */
    uint32_t late;                           /* replies heard after their max_reply, since they were last asked for */
    uint32_t doubles;                        /* replies heard that nobody can be owed */
};

/* Nothing owed, no silence. `guard` is all zeros before: most of its memory is never touched. */
void davy_guard_init(struct davy_guard *guard, davy_span character);

/* One read; see above. It may take three exchanges, of which the other two are not the caller's business. */
enum davy_answer davy_guard_read(struct davy_guard *guard, const struct davy_wire *wire,
                                 const struct davy_bus_request *request, struct davy_bus_reply *ret_reply);

/*
 * A complete frame was heard that is not the answer to the request under way: settle what it may be the reply to. The
 * request of another master makes its unit owe a reply.
 */
void davy_guard_heard(struct davy_guard *guard, const struct davy_frame *frame, davy_mono at, davy_span max_reply);

/* True where a reply of the shape of the one to `request` may still come from an earlier one. */
bool davy_guard_is_suspect(const struct davy_guard *guard, const struct davy_bus_request *request);
