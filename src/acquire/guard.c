/* SPDX-License-Identifier: Apache-2.0 */
#include "acquire/guard.h"

#include <limits.h>

#include "base/attr.h"

/* So many times max_reply after a request its reply is not waited for any more where a probe proves nothing. */
#define HOLD_FACTOR 3

/* What is owed for so long was lost. Far beyond any device, so that one that was dead meanwhile is no special case. */
#define FORGET_NS (120 * DAVY_NS_PER_S)

/* A unit that ignores probes is sent another one after so many failures. */
#define DEAF_KNOWN 2
#define DEAF_ASK   16

/* A unit that answered a probe is thought dead, not deaf, so many times. */
#define TRUST 32

/* How a unit is probed, by what it did last time. */
enum way {
    WAY_LENGTH, /* the same read, of another length */
    WAY_TABLE,  /* a read of another table; what refuses it does so with another function code */
    WAY_LISTEN, /* not at all */
};

void davy_guard_init(struct davy_guard *guard, davy_span character)
{
    guard->watched = -1;
    guard->character = character;
}

/* ---- what is owed ---- */

static bool is_owed(const struct davy_guard_owed *owed, uint8_t table, uint16_t bytes)
{
    return owed->count != 0 && owed->table == table && owed->bytes == bytes;
}

static bool owes_shape(const struct davy_guard_unit *unit, uint8_t table, uint16_t bytes)
{
    for (unsigned i = 0; i < DAVY_GUARD_OWED; i++)
        if (is_owed(&unit->owed[i], table, bytes))
            return true;
    return false;
}

static bool owes_table(const struct davy_guard_unit *unit, uint8_t table)
{
    for (unsigned i = 0; i < DAVY_GUARD_OWED; i++)
        if (unit->owed[i].count != 0 && unit->owed[i].table == table)
            return true;
    return false;
}

static bool owes_reply_to(const struct davy_guard_unit *unit, const struct davy_bus_request *request)
{
    return owes_shape(unit, (uint8_t)request->table, (uint16_t)davy_frame_data_bytes(request));
}

static bool is_suspect(const struct davy_guard_unit *unit, const struct davy_bus_request *request)
{
    return unit->lost_track.ns != 0 || unit->doubled || owes_reply_to(unit, request);
}

bool davy_guard_is_suspect(const struct davy_guard *guard, const struct davy_bus_request *request)
{
    return is_suspect(&guard->units[request->unit], request);
}

/* From when on its reply is not waited for any more. */
static davy_mono hold_end(const struct davy_guard_owed *owed)
{
    return davy_mono_add(owed->due, (davy_span){(HOLD_FACTOR - 1) * owed->max_reply.ns});
}

/* Where to note it: with others of its shape, in a free place, or instead of the oldest. */
static struct davy_guard_owed *place_for(struct davy_guard_unit *unit, uint8_t table, uint16_t bytes)
{
    struct davy_guard_owed *best = &unit->owed[0];
    for (unsigned i = 0; i < DAVY_GUARD_OWED; i++) {
        struct davy_guard_owed *owed = &unit->owed[i];
        if (is_owed(owed, table, bytes))
            return owed;
        if (best->count != 0 && (owed->count == 0 || owed->due.ns < best->due.ns))
            best = owed;
    }
    if (best->count != 0 && hold_end(best).ns > unit->lost_track.ns)
        unit->lost_track = hold_end(best);
    best->count = 0;
    return best;
}

static struct davy_guard_owed *owe(struct davy_guard_unit *unit, const struct davy_guard_owed *one)
{
    struct davy_guard_owed *place = place_for(unit, one->table, one->bytes);
    bool first = place->count == 0;
    uint16_t count = (uint16_t)(place->count < UINT16_MAX ? place->count + 1 : UINT16_MAX);
    int32_t start = first || place->start == one->start ? one->start : -1;
    *place = *one;
    place->count = count;
    place->start = start;
    return place;
}

static davy_mono due_of(const struct davy_guard *guard, davy_mono sent, davy_span max_reply, size_t bytes)
{
    davy_span flight = {guard->character.ns * (int64_t)(5 + bytes)};
    return davy_mono_add(davy_mono_add(sent, max_reply), flight);
}

static struct davy_guard_owed *owe_reply_to(struct davy_guard *guard, const struct davy_bus_request *request,
                                            davy_mono sent)
{
    size_t bytes = davy_frame_data_bytes(request);
    const struct davy_guard_owed one = {.due = due_of(guard, sent, request->max_reply, bytes),
                                        .max_reply = request->max_reply,
                                        .bytes = (uint16_t)bytes,
                                        .start = request->start,
                                        .table = (uint8_t)request->table};
    return owe(&guard->units[request->unit], &one);
}

static void forget_lost(struct davy_guard_unit *unit, davy_mono now)
{
    bool owing = false;
    for (unsigned i = 0; i < DAVY_GUARD_OWED; i++) {
        if (davy_mono_sub(now, unit->owed[i].due).ns > FORGET_NS)
            unit->owed[i].count = 0;
        owing = owing || unit->owed[i].count != 0;
    }
    if (!owing)
        unit->lost_track.ns = 0;
}

/* ---- what is heard ---- */

static bool could_answer(const struct davy_guard_owed *owed, const struct davy_frame *frame, uint8_t table)
{
    bool shaped = frame->kind == DAVY_FRAME_EXCEPTION || owed->bytes == frame->data;
    return owed->count != 0 && owed->table == table && shaped;
}

/* The one thing owed that the frame can be the reply to; NULL where there is none, or more than one. */
static struct davy_guard_owed *answered_by(struct davy_guard_unit *unit, const struct davy_frame *frame, uint8_t table,
                                           bool *ret_some)
{
    struct davy_guard_owed *found = NULL;
    *ret_some = unit->lost_track.ns != 0;
    for (unsigned i = 0; i < DAVY_GUARD_OWED; i++) {
        if (!could_answer(&unit->owed[i], frame, table))
            continue;
        if (found)
            return NULL;
        found = &unit->owed[i];
        *ret_some = true;
    }
    return unit->lost_track.ns != 0 ? NULL : found;
}

/* Nobody asked for it: another device has the same address, or repeats itself, and will again. */
static void heard_double(struct davy_guard *guard, uint8_t unit)
{
    guard->doubles++;
    guard->units[unit].doubled = true;
}

static void heard_reply(struct davy_guard *guard, const struct davy_frame *frame, uint8_t table, davy_mono at)
{
    struct davy_guard_unit *unit = &guard->units[frame->unit];
    bool some;
    struct davy_guard_owed *owed = answered_by(unit, frame, table, &some);
    if (!some) {
        heard_double(guard, frame->unit);
        return;
    }
    guard->late += owed && at.ns > owed->due.ns;
    if (!owed)
        return; /* whose it is cannot be known: all stay */
    owed->count--;
    if (owed->count == 0 && owed == guard->quiet_for)
        guard->quiet_until = at;
}

void davy_guard_heard(struct davy_guard *guard, const struct davy_frame *frame, davy_mono at, davy_span max_reply)
{
    enum davy_table table = davy_frame_table(frame->function);
    guard->shown += frame->unit == guard->watched;
    if (table == DAVY_TABLE_COUNT_)
        return; /* no reply to a read */
    const struct davy_guard_owed one = {.due = due_of(guard, at, max_reply, frame->data),
                                        .max_reply = max_reply,
                                        .bytes = frame->data,
                                        .start = -1,
                                        .table = (uint8_t)table};
    if (frame->kind == DAVY_FRAME_REQUEST)
        (void)owe(&guard->units[frame->unit], &one);
    else
        heard_reply(guard, frame, (uint8_t)table, at);
}

/* ---- one exchange ---- */

static bool is_reply(enum davy_answer answer)
{
    return answer == DAVY_ANSWER_OK || answer == DAVY_ANSWER_EXCEPTION;
}

/* What a wait that was cut short means for a read. */
static enum davy_answer answer_of(enum davy_hush hush)
{
    return hush == DAVY_HUSH_GONE ? DAVY_ANSWER_DOWN : hush == DAVY_HUSH_STOPPED ? DAVY_ANSWER_TIMEOUT : DAVY_ANSWER_OK;
}

/* Listen until then, or until what was waited for has come. OK, or why not. */
static enum davy_answer keep_silence(struct davy_guard *guard, const struct davy_wire *wire)
{
    enum davy_answer answer = DAVY_ANSWER_OK;
    while (answer == DAVY_ANSWER_OK && wire->now(wire->context).ns < guard->quiet_until.ns)
        answer = answer_of(wire->listen(wire->context, guard->quiet_until));
    return answer;
}

static void remember(struct davy_guard_unit *unit, const struct davy_bus_request *request)
{
    struct davy_guard_known *known = unit->known;
    const struct davy_bus_request newest = {.table = (enum davy_table)known[0].table, .count = known[0].count};
    bool same = known[0].table == request->table && davy_frame_data_bytes(&newest) == davy_frame_data_bytes(request);
    if (!same)
        known[1] = known[0];
    known[0] = (struct davy_guard_known){request->start, request->count, (uint8_t)request->table};
}

/* What the end of an exchange means for the next ones. */
static void settle(struct davy_guard *guard, const struct davy_bus_request *request, enum davy_answer answer,
                   davy_mono sent, davy_mono now)
{
    struct davy_guard_unit *unit = &guard->units[request->unit];
    guard->quiet_for = NULL;
    if (answer == DAVY_ANSWER_OK)
        remember(unit, request);
    if (answer == DAVY_ANSWER_EXCEPTION && (unit->lost_track.ns != 0 || owes_table(unit, (uint8_t)request->table)))
        (void)owe_reply_to(guard, request, sent); /* an exception has no shape: it may be that of another request */
    if (is_reply(answer) || answer == DAVY_ANSWER_DOWN)
        return;
    guard->quiet_for = owe_reply_to(guard, request, sent);
    guard->quiet_until = guard->quiet_for->due.ns > now.ns ? guard->quiet_for->due : now;
}

static enum davy_answer exchange(struct davy_guard *guard, const struct davy_wire *wire,
                                 const struct davy_bus_request *request, struct davy_bus_reply *ret_reply)
{
    enum davy_answer answer = keep_silence(guard, wire);
    if (answer != DAVY_ANSWER_OK)
        return answer;
    davy_mono sent = wire->now(wire->context);
    answer = wire->exchange(wire->context, request, ret_reply, &sent);
    settle(guard, request, answer, sent, wire->now(wire->context));
    return answer;
}

/* ---- suspect shapes ---- */

/* A longer one is no cheap probe. */
#define KNOWN_BYTES 32U

#define PROBE_LENGTHS 4U

/* Of another shape than the request, and than all that is owed. */
static bool is_apart(const struct davy_guard_unit *unit, const struct davy_bus_request *request,
                     const struct davy_bus_request *probe)
{
    bool differs = probe->table != request->table || davy_frame_data_bytes(probe) != davy_frame_data_bytes(request);
    return differs && !owes_reply_to(unit, probe);
}

static bool is_known(const struct davy_guard_unit *unit, const struct davy_bus_request *read)
{
    for (unsigned i = 0; i < DAVY_GUARD_KNOWN; i++) {
        const struct davy_guard_known *known = &unit->known[i];
        if (known->table == read->table && known->start == read->start && known->count == read->count)
            return true;
    }
    return false;
}

static bool known_probe(const struct davy_guard_unit *unit, const struct davy_bus_request *request,
                        struct davy_bus_request *ret_probe)
{
    for (unsigned i = 0; i < DAVY_GUARD_KNOWN; i++) {
        const struct davy_guard_known *known = &unit->known[i];
        *ret_probe = *request;
        ret_probe->table = (enum davy_table)known->table;
        ret_probe->start = known->start;
        ret_probe->count = known->count;
        if (known->count > 0 && davy_frame_data_bytes(ret_probe) <= KNOWN_BYTES && is_apart(unit, request, ret_probe))
            return true;
    }
    return false;
}

/* Of a table that owes nothing, if there is one: its exceptions, too, are then its own. Else of another length. */
static void table_probe(const struct davy_guard_unit *unit, const struct davy_bus_request *request,
                        struct davy_bus_request *ret_probe)
{
    static const enum davy_table order[] = {DAVY_TABLE_HOLDING, DAVY_TABLE_INPUT, DAVY_TABLE_DISCRETE, DAVY_TABLE_COIL};
    unsigned best = UINT_MAX;
    for (unsigned i = 0; i < DAVY_LENGTH(order) * PROBE_LENGTHS; i++) {
        struct davy_bus_request probe = *request;
        bool words = i % DAVY_LENGTH(order) < 2;
        probe.table = order[i % DAVY_LENGTH(order)];
        probe.count = (uint16_t)((i / DAVY_LENGTH(order) + 1) * (words ? 1 : 8));
        probe.start = (uint16_t)(request->start <= 65536 - probe.count ? request->start : 0);
        unsigned rank = (owes_table(unit, (uint8_t)probe.table) || probe.table == request->table ? 100 : 0) + i;
        if (rank >= best || !is_apart(unit, request, &probe))
            continue;
        best = rank;
        *ret_probe = probe;
    }
}

/* False where the unit is only to be listened to. */
static bool choose_probe(const struct davy_guard_unit *unit, const struct davy_bus_request *request,
                         struct davy_bus_request *ret_probe)
{
    if (known_probe(unit, request, ret_probe))
        return true;
    *ret_probe = davy_frame_probe(request);
    if (unit->way == WAY_TABLE || !is_apart(unit, request, ret_probe))
        table_probe(unit, request, ret_probe);
    return unit->way != WAY_LISTEN;
}

/* Something came that nobody asked for, and more may follow. */
static enum davy_answer out_of_step(struct davy_guard *guard, const struct davy_wire *wire,
                                    const struct davy_bus_request *request)
{
    guard->quiet_until = owe_reply_to(guard, request, wire->now(wire->context))->due;
    guard->quiet_for = NULL;
    return DAVY_ANSWER_INVALID;
}

/* The end of what is held back for a reply of this shape; `other`: only to a read of other registers. */
static davy_mono held_until(const struct davy_guard_unit *unit, const struct davy_bus_request *request, bool other)
{
    davy_mono until = unit->lost_track;
    for (unsigned i = 0; i < DAVY_GUARD_OWED; i++) {
        const struct davy_guard_owed *owed = &unit->owed[i];
        if (!is_owed(owed, (uint8_t)request->table, (uint16_t)davy_frame_data_bytes(request)) ||
            (other && owed->start == request->start))
            continue;
        davy_mono end = hold_end(owed);
        until = end.ns > until.ns ? end : until;
    }
    return until;
}

/*
 * Until nothing of this shape is owed, or for as long as it may be; but others wait, too: what is left after a while is
 * for the next time. OK, or why not.
 */
static enum davy_answer hold_back(struct davy_guard *guard, const struct davy_wire *wire,
                                  const struct davy_bus_request *request, bool other)
{
    const struct davy_guard_unit *unit = &guard->units[request->unit];
    davy_mono enough = davy_mono_add(wire->now(wire->context), (davy_span){request->max_reply.ns * 3 / 2});
    enum davy_answer answer = DAVY_ANSWER_OK;
    while (answer == DAVY_ANSWER_OK) {
        davy_mono now = wire->now(wire->context), until = held_until(unit, request, other);
        if (now.ns >= until.ns)
            break;
        if (now.ns >= enough.ns)
            return DAVY_ANSWER_TIMEOUT;
        answer = answer_of(wire->listen(wire->context, davy_mono_min(until, enough)));
    }
    return answer;
}

/* The unit has been in step: what is old was lost. What it put up with is tried first the next time. */
static void learn(struct davy_guard_unit *unit, davy_mono now, bool by_listening)
{
    for (unsigned i = 0; i < DAVY_GUARD_OWED; i++)
        if (now.ns >= hold_end(&unit->owed[i]).ns)
            unit->owed[i].count = 0;
    unit->lost_track.ns = 0;
    unit->doubled = false;
    unit->deaf = by_listening ? (uint8_t)((unit->deaf + 1) % DEAF_ASK) : 0;
    if (by_listening)
        unit->way = unit->deaf >= DEAF_KNOWN ? WAY_LISTEN : WAY_LENGTH;
}

static void watch(struct davy_guard *guard, uint8_t unit)
{
    guard->watched = unit;
    guard->shown = 0;
}

/* Whether the unit was heard with anything but the answer to a request. */
static bool unwatch(struct davy_guard *guard)
{
    guard->watched = -1;
    return guard->shown != 0;
}

static enum davy_answer read_listening(struct davy_guard *guard, const struct davy_wire *wire,
                                       const struct davy_bus_request *request, struct davy_bus_reply *ret_reply)
{
    struct davy_guard_unit *unit = &guard->units[request->unit];
    enum davy_answer answer = hold_back(guard, wire, request, false);
    if (answer != DAVY_ANSWER_OK)
        return answer;
    watch(guard, request->unit);
    answer = exchange(guard, wire, request, ret_reply);
    bool shown = unwatch(guard);
    if (!is_reply(answer))
        unit->way = WAY_LENGTH; /* it may have been dead instead of deaf */
    if (!is_reply(answer) || !is_suspect(unit, request))
        return answer;
    davy_mono until = davy_mono_add(wire->now(wire->context), request->max_reply);
    enum davy_hush hush = wire->listen(wire->context, until);
    if (answer_of(hush) != DAVY_ANSWER_OK)
        return answer_of(hush);
    if (hush == DAVY_HUSH_HEARD || shown)
        return out_of_step(guard, wire, request);
    if (answer == DAVY_ANSWER_OK)
        learn(unit, wire->now(wire->context), true);
    return answer;
}

/* The request between two probes: no other reply of the unit may show up in between. */
static enum davy_answer read_enclosed(struct davy_guard *guard, const struct davy_wire *wire,
                                      const struct davy_bus_request *request, const struct davy_bus_request *probe,
                                      struct davy_bus_reply *ret_reply)
{
    struct davy_bus_reply closing;
    watch(guard, request->unit);
    enum davy_answer answer = exchange(guard, wire, request, ret_reply);
    enum davy_answer proof = is_reply(answer) ? exchange(guard, wire, probe, &closing) : answer;
    bool shown = unwatch(guard);
    if (!is_reply(proof))
        return proof;
    if (shown)
        return out_of_step(guard, wire, request);
    struct davy_guard_unit *unit = &guard->units[request->unit];
    if (!is_known(unit, probe)) /* that it answers what it is made for proves nothing of others */
        unit->trust = TRUST;
    learn(&guard->units[request->unit], wire->now(wire->context), false);
    return answer;
}

/* That a unit answers what it is made for proves nothing of other reads, but that it lives. */
static void judge_hearing(struct davy_guard_unit *unit, enum davy_answer to_probe, bool known)
{
    if (is_reply(to_probe) && (!known || unit->trust > 0))
        unit->trust = TRUST;
    if (known)
        return;
    if (to_probe == DAVY_ANSWER_TIMEOUT && unit->trust > 0)
        unit->trust--; /* dead, then, since it is not deaf */
    else if (to_probe == DAVY_ANSWER_TIMEOUT)
        unit->way = WAY_LISTEN;
}

/* The opening probe. It becomes another one where the unit refuses it. */
static enum davy_answer ask_probe(struct davy_guard *guard, const struct davy_wire *wire,
                                  const struct davy_bus_request *request, struct davy_bus_request *probe)
{
    struct davy_guard_unit *unit = &guard->units[request->unit];
    struct davy_bus_reply reply;
    bool known = is_known(unit, probe);
    enum davy_answer answer = exchange(guard, wire, probe, &reply);
    if (answer == DAVY_ANSWER_EXCEPTION && probe->table == request->table) {
        unit->way = WAY_TABLE; /* the exception may be that of another request of this table */
        table_probe(unit, request, probe);
        answer = exchange(guard, wire, probe, &reply);
    }
    judge_hearing(unit, answer, known);
    return answer;
}

static enum davy_answer read_suspect(struct davy_guard *guard, const struct davy_wire *wire,
                                     const struct davy_bus_request *request, struct davy_bus_reply *ret_reply)
{
    struct davy_guard_unit *unit = &guard->units[request->unit];
    struct davy_bus_request probe;
    if (!choose_probe(unit, request, &probe))
        return read_listening(guard, wire, request, ret_reply);
    enum davy_answer answer = ask_probe(guard, wire, request, &probe);
    if (!is_reply(answer))
        return answer;
    if (answer == DAVY_ANSWER_EXCEPTION && (answer = hold_back(guard, wire, request, true)) != DAVY_ANSWER_OK)
        return answer;
    if (!is_suspect(unit, request)) /* it came meanwhile */
        return exchange(guard, wire, request, ret_reply);
    return read_enclosed(guard, wire, request, &probe, ret_reply);
}

/* The common case. What came unasked from this very unit meanwhile makes its answer doubtful. */
static enum davy_answer read_plain(struct davy_guard *guard, const struct davy_wire *wire,
                                   const struct davy_bus_request *request, struct davy_bus_reply *ret_reply)
{
    enum davy_answer answer = exchange(guard, wire, request, ret_reply);
    if (is_reply(answer) && guard->units[request->unit].doubled)
        return out_of_step(guard, wire, request);
    return answer;
}

static enum davy_answer read_any(struct davy_guard *guard, const struct davy_wire *wire,
                                 const struct davy_bus_request *request, struct davy_bus_reply *ret_reply)
{
    struct davy_guard_unit *unit = &guard->units[request->unit];
    enum davy_answer answer = keep_silence(guard, wire); /* what a stop or a lost line has left of it */
    if (answer != DAVY_ANSWER_OK)
        return answer;
    forget_lost(unit, wire->now(wire->context));
    return is_suspect(unit, request) ? read_suspect(guard, wire, request, ret_reply)
                                     : read_plain(guard, wire, request, ret_reply);
}

enum davy_answer davy_guard_read(struct davy_guard *guard, const struct davy_wire *wire,
                                 const struct davy_bus_request *request, struct davy_bus_reply *ret_reply)
{
    enum davy_answer answer = read_any(guard, wire, request, ret_reply);
    if (answer == DAVY_ANSWER_TIMEOUT || answer == DAVY_ANSWER_INVALID)
        (void)keep_silence(guard, wire); /* paid for by the one that failed; a line that is lost says so next */
    return answer;
}
