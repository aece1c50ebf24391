/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The requests of the control protocol, parsed strictly: one flat JSON object, known keys only, right types, bounded.
 *
 *   {"verb":"status"}                         {"ok":true,"status":{davy.status/1},"buses":[…],"directory":…,"config_file":…}
 *   {"verb":"points","glob":G,"after":KEY}    {"ok":true,"points":[…],"more":BOOL}   500 a page, after = the last name
 *   {"verb":"alarms","all":BOOL,"after":KEY}  {"ok":true,"alarms":[…],"more":BOOL}
 *   {"verb":"ack","alarm":A,"id":U,"level":L,"note":N}   {"ok":true,"alarm":KEY,"state":S}
 *   {"verb":"reset","alarm":A,"note":N}       the same; A may be DEVICE.POINT (over-range latch)
 *   {"verb":"reload"}                         {"ok":true,"changes":N} or {"ok":false,"error":…,"problems":[…]}
 *   {"verb":"read","bus":B,"unit":U,"table":T,"register":R,"count":N}   {"ok":true,"words":[…]}
 *                                             (of bit tables 0 or 1, one each)
 *   {"verb":"log-level","level":L}            {"ok":true}
 * The answer of any may be {"ok":false,"error":…}.
 *
 * ALARM is an occurrence's id or RULE:DEVICE.POINT. `id` and `level` of an ack name what the person saw: an ack of what
 * has risen since is refused. Globs are resolved by the client, which lists first.
 * A point:  {"point","name","zone","value","unit","quality","reason","time","age_s","level"}
 * An alarm: {"alarm","id","rule","zone","device","point","state","level","active","acknowledged","latched","since",
 *            "count","value","unit","limit","quality","reason","message"}
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "model/alarm.h"

enum davy_verb {
    DAVY_VERB_STATUS,
    DAVY_VERB_POINTS,
    DAVY_VERB_ALARMS,
    DAVY_VERB_ACK,
    DAVY_VERB_RESET,
    DAVY_VERB_RELOAD,
    DAVY_VERB_READ,
    DAVY_VERB_LOG_LEVEL,
    DAVY_VERB_COUNT_
};

/* Everything that a request may carry; what its verb does not use is empty or 0. Plain data, no pointers. */
struct davy_request_line {
    enum davy_verb verb;
    char alarm[DAVY_KEY_SIZE]; /* also the glob of points, and the page's `after` in `after` */
    char after[DAVY_KEY_SIZE];
    bool all;
    struct davy_uuid id; /* nil: not given */
    enum davy_level level;
    char note[DAVY_NOTE_SIZE];
    char bus[DAVY_ID_MAX + 1];
    int unit;
    enum davy_table table;
    int address; /* zero-based */
    int count;
    int log_level;
};

/*
 * Parse one request.
 * error     a sentence when the result is -EINVAL
 * returns   0 or -EINVAL
 */
int davy_request_parse(const char *line, struct davy_request_line *ret_request, char *error,
                       size_t error_size) DAVY_MUST_CHECK;

/* As in the request line. */
const char *davy_verb_name(enum davy_verb verb);
