/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One reading of one point: value, quality and the reason for it, stamped once, when the response arrived
 * (ARCHITECTURE.md, Readings and quality). A failed poll is a reading too, without a value.
 * NaN and infinity never get in here.
 * And the block: one Modbus answer, or failure, as it leaves a poller.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "model/names.h"

struct davy_reading {
    uint32_t point; /* index into davy_config.points */
    enum davy_quality quality;
    enum davy_reason reason;
    bool has_value; /* false: null; `value` is then 0 and means nothing */
    double value;   /* in the point's unit; finite */
    struct davy_stamp at;
};

/* Whether windows of measures take it. Above the range of its point, if that has one, it counts as the high end. */
static inline bool davy_reading_counts(const struct davy_reading *reading, bool has_range)
{
    bool over = reading->reason == DAVY_REASON_OVER_RANGE;
    return (reading->has_value || (over && has_range)) && (reading->quality == DAVY_QUALITY_GOOD || over);
}

/* How a request on the wire ended. */
enum davy_answer {
    DAVY_ANSWER_OK,
    DAVY_ANSWER_EXCEPTION, /* the device answered with a Modbus exception: the link is up, the points are bad */
    DAVY_ANSWER_TIMEOUT,   /* no reply in time */
    DAVY_ANSWER_INVALID,   /* a reply that is not of this request: unit, function, length, CRC, transaction */
    DAVY_ANSWER_DOWN,      /* the line or connection is not there */
    DAVY_ANSWER_COUNT_
};

/* Registers in one request at most: 125 (Modbus Application Protocol V1.1b3, 6.3); bits: 2000 (6.1), 16 a word here. */
#define DAVY_BLOCK_WORDS 125

struct davy_block {
    uint32_t generation; /* davy_config.generation of the plan that it belongs to */
    uint32_t request;    /* index into davy_config.requests */
    /*
     * The part of the request that was asked for: the device refused the whole, or some other part of it. Nothing is
     * said of the rest. count 0: the whole request.
     */
    uint16_t start; /* zero-based, as that of the request */
    uint16_t count; /* registers or bits */
    enum davy_answer answer;
    uint8_t exception;                /* Modbus code when answer is EXCEPTION */
    uint16_t words[DAVY_BLOCK_WORDS]; /* from `start` on; of bit tables bit i is words[i / 16] >> (i % 16) & 1 */
    struct davy_stamp at;
};
