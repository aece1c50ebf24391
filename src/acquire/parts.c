/* SPDX-License-Identifier: Apache-2.0 */
#include "acquire/parts.h"

#include <stdlib.h>
#include <string.h>

/* What a device refuses as wrong will not get right by asking more often. */
#define LAST_REFUSED_EXCEPTION 3
#define FIRST_RETRY_NS         (10 * DAVY_NS_PER_S)
#define LONGEST_RETRY_NS       (600 * DAVY_NS_PER_S)

/* A merged read is worth another try: a device that was starting refuses what it reads later. */
#define FIRST_MERGE_NS   (60 * DAVY_NS_PER_S)
#define LONGEST_MERGE_NS (3600 * DAVY_NS_PER_S)

/* So many halvings a turn find one refused value among sixteen; a device that refuses all gets no storm. */
#define HALVINGS_MAX 4

/* "Acknowledge" and "device busy" (Modbus Application Protocol V1.1b3, 7): not an error until it goes on. */
#define EXCEPTION_ACKNOWLEDGE 5
#define EXCEPTION_BUSY        6
#define BUSY_MAX              3
#define FIRST_BUSY_NS         (250 * DAVY_NS_PER_MS)
#define LONGEST_BUSY_NS       (8 * DAVY_NS_PER_S)

/* ---- where values lie ---- */

#define ADDRESSES 2000

/*
 * What an address of a request is. BOUND and GROUPED: a cut behind it would split a value, or part it from its status.
 */
enum mark { WANTED = 1, BOUND = 2, GROUPED = 4, STATUS = 8 };

static bool is_bits(enum davy_table table)
{
    return table == DAVY_TABLE_COIL || table == DAVY_TABLE_DISCRETE;
}

/* Mark [from, to), given as places in the request; `inner` goes to all but the last. Those outside are ignored. */
static void mark(uint8_t marks[ADDRESSES], int from, int to, uint8_t all, uint8_t inner)
{
    for (int i = from < 0 ? 0 : from; i < to && i < ADDRESSES; i++)
        marks[i] |= (uint8_t)(all | (i < to - 1 ? inner : 0));
}

static void mark_status(uint8_t marks[ADDRESSES], const struct davy_request *request,
                        const struct davy_status *statuses, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int place = statuses[i].address - request->start;
        if (statuses[i].table == request->table && place < request->count)
            mark(marks, place, place + 1, WANTED | STATUS, 0);
    }
}

/* A value and its own status words in this request, from the first to the last of them. */
static void mark_group(uint8_t marks[ADDRESSES], const struct davy_request *request, const struct davy_point *point,
                       int from, int to)
{
    for (size_t i = 0; i < point->status_count; i++) {
        int place = point->status[i].address - request->start;
        if (point->status[i].table != request->table || place < 0 || place >= request->count)
            continue;
        from = place < from ? place : from;
        to = place + 1 > to ? place + 1 : to;
    }
    mark(marks, from, to, 0, GROUPED);
}

static void map(const struct davy_config *config, const struct davy_request *request, uint8_t marks[ADDRESSES])
{
    memset(marks, 0, ADDRESSES);
    mark_status(marks, request, config->devices[request->device].status, config->devices[request->device].status_count);
    for (size_t i = 0; i < request->point_count; i++) {
        const struct davy_point *point = &config->points[request->points[i]];
        int from = point->address - request->start;
        int to = from + (is_bits(point->table) ? 1 : (int)davy_type_registers(point->type));
        mark(marks, from, to, WANTED, BOUND);
        mark_status(marks, request, point->status, point->status_count);
        mark_group(marks, request, point, from, to);
    }
}

/* The place where a cut before it is nearest to the middle of [from, to) and hurts none of `forbidden`; 0: nowhere. */
static int find_cut(const uint8_t *marks, int from, int to, uint8_t forbidden)
{
    int best = 0;
    for (int i = from + 1; i < to; i++)
        if ((marks[i] & WANTED) && !(marks[i - 1] & forbidden) &&
            (best == 0 || abs(2 * i - from - to) < abs(2 * best - from - to)))
            best = i;
    return best;
}

static struct davy_part make_part(const struct davy_request *request, const uint8_t *marks, int from, int to)
{
    struct davy_part part = {.count = 0};
    while (to > from + 1 && !(marks[to - 1] & WANTED))
        to--;
    part.start = (uint16_t)(request->start + from);
    part.count = (uint16_t)(to - from);
    part.single = find_cut(marks, from, to, BOUND) == 0;
    for (int i = from; i < to; i++)
        part.has_status |= (marks[i] & STATUS) != 0;
    return part;
}

/* ---- parts ---- */

static const struct davy_request *request_of(const struct davy_parts *parts)
{
    return &parts->config->requests[parts->request];
}

void davy_parts_init(struct davy_parts *parts, const struct davy_config *config, uint32_t request)
{
    uint8_t marks[ADDRESSES];
    *parts = (struct davy_parts){.config = config, .request = request};
    map(config, request_of(parts), marks);
    parts->whole = make_part(request_of(parts), marks, 0, request_of(parts)->count);
    parts->whole.count = request_of(parts)->count;
}

void davy_parts_done(struct davy_parts *parts)
{
    free(parts->list);
    parts->list = NULL;
    parts->count = 0;
}

void davy_parts_keep(struct davy_parts *parts, struct davy_parts *old)
{
    uint8_t marks[ADDRESSES], before[ADDRESSES];
    map(parts->config, request_of(parts), marks);
    map(old->config, request_of(old), before);
    if (memcmp(marks, before, sizeof marks) != 0)
        return;
    struct davy_parts kept = *old;
    kept.config = parts->config;
    kept.request = parts->request;
    davy_parts_done(parts);
    *parts = kept;
    old->list = NULL;
    davy_parts_done(old);
}

void davy_parts_begin(struct davy_parts *parts)
{
    parts->whole.done = false;
    for (size_t i = 0; i < parts->count; i++)
        parts->list[i].done = false;
    parts->halvings = parts->retries = 0;
    parts->merging = false;
}

static void end_turn(struct davy_parts *parts)
{
    parts->whole.done = true;
    for (size_t i = 0; i < parts->count; i++)
        parts->list[i].done = true;
}

/* The next part of this turn, those with status words first; count where none is left. */
static size_t find_part(const struct davy_parts *parts)
{
    size_t other = parts->count;
    for (size_t i = 0; i < parts->count; i++) {
        if (parts->list[i].done)
            continue;
        if (parts->list[i].has_status)
            return i;
        if (other == parts->count)
            other = i;
    }
    return other;
}

static struct davy_part *current(struct davy_parts *parts)
{
    return parts->list && !parts->merging ? &parts->list[parts->current] : &parts->whole;
}

static enum davy_parts_verdict give(struct davy_parts *parts, davy_mono now, struct davy_parts_task *ret_task)
{
    struct davy_part *part = current(parts);
    *ret_task = (struct davy_parts_task){part->start, part->count, part->exception};
    if (parts->merging || part->exception == 0)
        return DAVY_PARTS_READ;
    bool again = part->single || !parts->list ? now.ns >= part->retry_at.ns && parts->retries++ == 0
                                              : parts->halvings < HALVINGS_MAX;
    if (again)
        return DAVY_PARTS_READ;
    part->done = true;
    return DAVY_PARTS_REMEMBERED;
}

/* A busy device is left alone; while it is only that, nothing is told either. */
static enum davy_parts_verdict leave_alone(struct davy_parts *parts, struct davy_parts_task *ret_task)
{
    end_turn(parts);
    *ret_task = (struct davy_parts_task){parts->whole.start, parts->whole.count, parts->busy_exception};
    return parts->busy < BUSY_MAX ? DAVY_PARTS_NOTHING : DAVY_PARTS_REMEMBERED;
}

bool davy_parts_is_over(const struct davy_parts *parts)
{
    return parts->whole.done && (!parts->list || find_part(parts) == parts->count);
}

enum davy_parts_verdict davy_parts_next(struct davy_parts *parts, davy_mono now, struct davy_parts_task *ret_task)
{
    if (davy_parts_is_over(parts))
        return DAVY_PARTS_NOTHING;
    if (parts->busy > 0 && now.ns < parts->busy_until.ns)
        return leave_alone(parts, ret_task);
    if (!parts->list)
        return give(parts, now, ret_task);
    parts->merging = !parts->whole.done && now.ns >= parts->merge_at.ns;
    parts->whole.done = true;
    parts->current = find_part(parts);
    return give(parts, now, ret_task);
}

/* ---- answers ---- */

static davy_span doubled(davy_span wait, int64_t first, int64_t longest)
{
    int64_t ns = wait.ns == 0 ? first : 2 * wait.ns;
    return (davy_span){ns < longest ? ns : longest};
}

static size_t room_for(const struct davy_parts *parts)
{
    const struct davy_request *request = request_of(parts);
    size_t room = parts->config->devices[request->device].status_count;
    for (size_t i = 0; i < request->point_count; i++)
        room += 1 + parts->config->points[request->points[i]].status_count;
    return room < request->count ? room : request->count;
}

static bool begin_list(struct davy_parts *parts, davy_mono now)
{
    parts->list = calloc(room_for(parts) + 1, sizeof *parts->list);
    if (!parts->list)
        return false;
    parts->list[0] = parts->whole;
    parts->count = 1;
    parts->current = 0;
    parts->whole.done = true;
    parts->merge_wait.ns = FIRST_MERGE_NS;
    parts->merge_at = davy_mono_add(now, parts->merge_wait);
    return true;
}

/* The current part becomes two. */
static void halve(struct davy_parts *parts)
{
    uint8_t marks[ADDRESSES];
    const struct davy_request *request = request_of(parts);
    const struct davy_part old = parts->list[parts->current];
    map(parts->config, request, marks);
    int from = old.start - request->start, to = from + old.count;
    int cut = find_cut(marks, from, to, GROUPED | BOUND);
    if (cut == 0)
        cut = find_cut(marks, from, to, BOUND);
    struct davy_part *place = &parts->list[parts->current];
    memmove(place + 2, place + 1, (parts->count - parts->current - 1) * sizeof *place);
    place[0] = make_part(request, marks, from, cut);
    place[1] = make_part(request, marks, cut, to);
    parts->count++;
    parts->halvings++;
}

/* Nothing of it is answered: asking for all of it by pieces is of no use for a while. */
static void collapse(struct davy_parts *parts, davy_mono now)
{
    for (size_t i = 0; i < parts->count; i++)
        if (parts->list[i].exception == 0 || !parts->list[i].single)
            return;
    parts->whole.exception = parts->list[0].exception;
    parts->whole.wait = doubled(parts->whole.wait, FIRST_RETRY_NS, LONGEST_RETRY_NS);
    parts->whole.retry_at = davy_mono_add(now, parts->whole.wait);
    parts->split_wait = doubled(parts->split_wait, FIRST_MERGE_NS, LONGEST_MERGE_NS);
    parts->split_at = davy_mono_add(now, parts->split_wait);
    davy_parts_done(parts);
    parts->whole.done = true;
}

static enum davy_parts_event refuse(struct davy_parts *parts, uint8_t exception, davy_mono now)
{
    struct davy_part *part = current(parts);
    bool new = part->exception != exception;
    part->exception = exception;
    part->wait = doubled(part->wait, FIRST_RETRY_NS, LONGEST_RETRY_NS);
    part->retry_at = davy_mono_add(now, part->wait);
    part->done = true;
    if (parts->list)
        collapse(parts, now);
    return new ? DAVY_PARTS_REFUSED : DAVY_PARTS_TOLD;
}

static enum davy_parts_event answer_refused(struct davy_parts *parts, uint8_t exception, davy_mono now)
{
    if (parts->merging) {
        parts->merging = false;
        parts->merge_wait = doubled(parts->merge_wait, FIRST_MERGE_NS, LONGEST_MERGE_NS);
        parts->merge_at = davy_mono_add(now, parts->merge_wait);
        return DAVY_PARTS_HELD;
    }
    bool begins = !parts->list;
    if (current(parts)->single || (begins && (now.ns < parts->split_at.ns || !begin_list(parts, now))))
        return refuse(parts, exception, now);
    if (parts->halvings == HALVINGS_MAX) { /* it is halved in a later turn */
        current(parts)->exception = exception;
        current(parts)->done = true;
        return DAVY_PARTS_TOLD;
    }
    halve(parts);
    return begins ? DAVY_PARTS_SPLIT : DAVY_PARTS_HELD;
}

static enum davy_parts_event answer_busy(struct davy_parts *parts, uint8_t exception, davy_mono now)
{
    int64_t wait = FIRST_BUSY_NS << (parts->busy < 8 ? parts->busy : 8);
    parts->busy_exception = exception;
    parts->busy_until = davy_mono_add(now, (davy_span){wait < LONGEST_BUSY_NS ? wait : LONGEST_BUSY_NS});
    parts->busy++;
    end_turn(parts);
    return parts->busy < BUSY_MAX ? DAVY_PARTS_HELD : parts->busy == BUSY_MAX ? DAVY_PARTS_BUSY : DAVY_PARTS_TOLD;
}

static enum davy_parts_event answer_read(struct davy_parts *parts)
{
    struct davy_part *part = current(parts);
    bool merged = parts->merging, accepted = part->wait.ns != 0;
    part->exception = 0;
    part->wait.ns = 0;
    part->done = true;
    if (!merged)
        return accepted ? DAVY_PARTS_ACCEPTED : DAVY_PARTS_TOLD;
    parts->merging = false;
    davy_parts_done(parts);
    return DAVY_PARTS_MERGED;
}

enum davy_parts_event davy_parts_answer(struct davy_parts *parts, const struct davy_bus_reply *reply, davy_mono now)
{
    bool exception = reply->answer == DAVY_ANSWER_EXCEPTION;
    if (exception && (reply->exception == EXCEPTION_ACKNOWLEDGE || reply->exception == EXCEPTION_BUSY))
        return answer_busy(parts, reply->exception, now);
    parts->busy = 0; /* silence too ends the row: what was to be asked again soon is now told once an interval */
    if (exception && reply->exception >= 1 && reply->exception <= LAST_REFUSED_EXCEPTION)
        return answer_refused(parts, reply->exception, now);
    if (reply->answer == DAVY_ANSWER_OK) {
        if (!parts->list)
            parts->split_wait.ns = parts->split_at.ns = 0;
        return answer_read(parts);
    }
    if (parts->merging)
        end_turn(parts); /* told of the whole */
    current(parts)->done = true;
    return DAVY_PARTS_TOLD;
}

bool davy_parts_wants_again(const struct davy_parts *parts, davy_mono *ret_at)
{
    *ret_at = parts->busy_until;
    return parts->busy > 0 && parts->busy < BUSY_MAX;
}
