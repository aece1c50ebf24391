/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The requests of the control protocol, parsed strictly: one flat JSON object, known keys only, right types, bounded.
 *
 *   {"verb":"status"}                         {"ok":true,"status":{davy.status/1},"buses":[…],"directory":…,"config_file":…}
 *   {"verb":"points","glob":G,"after":KEY}    {"ok":true,"points":[…],"more":BOOL}   500 a page, after = the last name
 *   {"verb":"alarms","all":BOOL,"after":KEY}  {"ok":true,"alarms":[…],"more":BOOL}
 *   {"verb":"ack","alarm":A,"id":U,"level":L,"note":N}   {"ok":true,"alarm":KEY,"state":S}
 *   {"verb":"reset","alarm":A,"note":N}       the same; A may be DEVICE.POINT (over-range latch)
 *   {"verb":"shelve","alarm":A,"duration_s":S,"reason":R}        {"ok":true,"alarm":KEY,"state":S,"until":TIME}
 *   {"verb":"unshelve","alarm":A,"note":N}    as of ack; likewise in-service, and out-of-service with a reason
 *   {"verb":"inhibit","device":D,"duration_s":S,"reason":R}      {"ok":true,"device":D,"until":TIME}
 *   {"verb":"uninhibit","device":D,"note":N}  {"ok":true,"device":D,"until":null}
 *   {"verb":"explain","rule":R,"point":G,"after":KEY}            {"ok":true,"alarms":[…],"more":BOOL}
 *   {"verb":"settings","from":N}              {"ok":true,"config":HASH,"file":…,"settings":[…],"more":BOOL}
 *   {"verb":"reload"}                         {"ok":true,"changes":N} or {"ok":false,"error":…,"problems":[…]}
 *   {"verb":"read","bus":B,"unit":U,"table":T,"register":R,"count":N}   {"ok":true,"words":[…]}
 *                                             (of bit tables 0 or 1, one each)
 *                                             or {"ok":false,"error":…,"answer":A,"exception":N}
 *   {"verb":"scan-begin","bus":B,"id":U}      {"ok":true,"bus":B,"type":T,"timeout_s":S,"polls_per_s":F,"devices":[
 *                                             {"device","name","unit","profile"}]}   U: of this scan, any UUID
 *   {"verb":"scan","bus":B,"id":U,"unit":N,"table":T,"register":R}   {"ok":true,"answer":A,"exception":N}
 *   {"verb":"scan-end","bus":B,"id":U}        {"ok":true}
 *   {"verb":"frames","bus":B,"connection":N}  {"ok":true,"bus":B,"type":T,"connection":N,"connections":N,
 *                                             "character_us":F,"frames":[
 *                                             {"number","exchange","time","mono_us","kind","verdict","kept","length","bytes"}]}
 *   {"verb":"log-level","level":L}            {"ok":true}
 * The answer of any may be {"ok":false,"error":…}. A, how a read ended: ok, exception (then N, else null), timeout,
 * invalid, down. Of a frame, `kind` is sent, heard or foreign, `verdict` the A of its exchange or null while it is
 * under way, `bytes` hexadecimal, at most 260 of `length`; `character_us` is 0 where the line's speed is not known.
 * Connections count from 0; without one it is the first. One scan at a time owns a bus, until it ends or asks nothing
 * for a minute.
 *
 * ALARM is an occurrence's id or RULE:DEVICE.POINT. `id` and `level` of an ack name what the person saw: an ack of what
 * has risen since is refused. Globs are resolved by the client, which lists first.
 * A point:  {"point","name","zone","value","unit","quality","reason","time","age_s","level"}
 * An alarm:
 * {"alarm","id","rule","measure","zone","device","point","state","level","active","acknowledged","latched","since",
 *            "count","value","unit","limit","condition","quality","reason","message","below","by","note",
 *            "shelved_until","inhibited_until","out_of_service"}
 * A setting: {"path","value"}, sorted; `from` counts them from 0, HASH tells when they are of another configuration.
 * An explanation: {"alarm","why","sentence", and the facts}; see daemon/answer_explain.c.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/clock.h"
#include "model/alarm.h"

enum davy_verb {
    DAVY_VERB_STATUS,
    DAVY_VERB_POINTS,
    DAVY_VERB_ALARMS,
    DAVY_VERB_ACK,
    DAVY_VERB_RESET,
    DAVY_VERB_SHELVE,
    DAVY_VERB_UNSHELVE,
    DAVY_VERB_OUT_OF_SERVICE,
    DAVY_VERB_IN_SERVICE,
    DAVY_VERB_INHIBIT,
    DAVY_VERB_UNINHIBIT,
    DAVY_VERB_EXPLAIN,
    DAVY_VERB_SETTINGS,
    DAVY_VERB_RELOAD,
    DAVY_VERB_READ,
    DAVY_VERB_SCAN_BEGIN,
    DAVY_VERB_SCAN,
    DAVY_VERB_SCAN_END,
    DAVY_VERB_FRAMES,
    DAVY_VERB_LOG_LEVEL,
    DAVY_VERB_COUNT_
};

/* Everything that a request may carry; what its verb does not use is empty or 0. Plain data, no pointers. */
struct davy_request_line {
    enum davy_verb verb;
    char alarm[DAVY_KEY_SIZE]; /* what it is about: an alarm, device, rule, or the glob of points */
    char point[DAVY_KEY_SIZE]; /* explain: a point or a glob; empty: all of the rule */
    char after[DAVY_KEY_SIZE]; /* the last name of the page before */
    int from;                  /* settings: the first of the page */
    bool all;
    struct davy_uuid id; /* of an occurrence, or of a scan; nil: not given */
    enum davy_level level;
    char note[DAVY_NOTE_SIZE]; /* `note`, or the `reason` of who hides something */
    davy_span duration;        /* ns = 0: not given */
    char bus[DAVY_ID_MAX + 1];
    int unit;
    enum davy_table table;
    int address; /* zero-based */
    int count;
    int connection; /* frames: from 0 */
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
