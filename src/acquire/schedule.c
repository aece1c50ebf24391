/* SPDX-License-Identifier: Apache-2.0 */
#include "acquire/schedule.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* First reads are spread over the interval, but none waits longer than this: values are wanted soon after a start. */
#define SPREAD_NS (5 * DAVY_NS_PER_S)

/*
 * Over TCP reads lie on a raster of the clock, the same for all buses: a thread that wakes once for several reads, all
 * threads at about the same time, costs less than half of one that wakes for each. The raster is a part of the
 * interval, so that a tick carries at most that part of the reads. A line is slower than that, and has none.
 */
#define RASTERS_EACH  4
#define RASTER_MIN_NS (50 * DAVY_NS_PER_MS)
#define RASTER_MAX_NS (250 * DAVY_NS_PER_MS)

/* ---- heaps of slots, the smallest key on top ---- */

static void put(struct davy_schedule *schedule, enum davy_schedule_heap heap, uint32_t place, uint32_t slot)
{
    schedule->heaps[heap].slots[place] = slot;
    schedule->slots[slot].heap = heap;
    schedule->slots[slot].place = place;
}

/* Equals go in the order of the plan: it puts status words before the values that they qualify. */
static bool is_before(const struct davy_schedule *schedule, enum davy_schedule_heap heap, uint32_t a, uint32_t b)
{
    const uint32_t one = schedule->heaps[heap].slots[a], other = schedule->heaps[heap].slots[b];
    const int64_t key = schedule->slots[one].key, other_key = schedule->slots[other].key;
    return key != other_key ? key < other_key : one < other;
}

static void swap(struct davy_schedule *schedule, enum davy_schedule_heap heap, uint32_t a, uint32_t b)
{
    uint32_t slot = schedule->heaps[heap].slots[a];
    put(schedule, heap, a, schedule->heaps[heap].slots[b]);
    put(schedule, heap, b, slot);
}

static void rise(struct davy_schedule *schedule, enum davy_schedule_heap heap, uint32_t place)
{
    while (place > 0 && is_before(schedule, heap, place, (place - 1) / 2)) {
        swap(schedule, heap, place, (place - 1) / 2);
        place = (place - 1) / 2;
    }
}

static void sink(struct davy_schedule *schedule, enum davy_schedule_heap heap, uint32_t place)
{
    uint32_t count = schedule->heaps[heap].count;
    for (uint32_t child; (child = 2 * place + 1) < count; place = child) {
        if (child + 1 < count && is_before(schedule, heap, child + 1, child))
            child++;
        if (!is_before(schedule, heap, child, place))
            return;
        swap(schedule, heap, place, child);
    }
}

static uint32_t index_of(const struct davy_schedule *schedule, const struct davy_slot *slot)
{
    return (uint32_t)(slot - schedule->slots);
}

static void add(struct davy_schedule *schedule, struct davy_slot *slot, enum davy_schedule_heap heap, int64_t key)
{
    uint32_t place = schedule->heaps[heap].count++;
    slot->key = key;
    put(schedule, heap, place, index_of(schedule, slot));
    rise(schedule, heap, place);
}

static void take_out(struct davy_schedule *schedule, const struct davy_slot *slot)
{
    enum davy_schedule_heap heap = slot->heap;
    uint32_t place = slot->place, last = --schedule->heaps[heap].count;
    if (place == last)
        return;
    swap(schedule, heap, place, last);
    rise(schedule, heap, place);
    sink(schedule, heap, place);
}

static struct davy_slot *top(const struct davy_schedule *schedule, enum davy_schedule_heap heap)
{
    const struct davy_schedule_queue *queue = &schedule->heaps[heap];
    return queue->count > 0 ? &schedule->slots[queue->slots[0]] : NULL;
}

/* Back among those that wait, by its due time. */
static void wait_again(struct davy_schedule *schedule, struct davy_slot *slot)
{
    take_out(schedule, slot);
    add(schedule, slot, DAVY_SCHEDULE_WAITING, slot->due.ns);
}

/* The first slot of a device; NULL. Slots are in order of devices. */
static struct davy_slot *first_of(const struct davy_schedule *schedule, uint32_t device)
{
    size_t low = 0, high = schedule->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (schedule->slots[middle].device < device)
            low = middle + 1;
        else
            high = middle;
    }
    return low < schedule->count && schedule->slots[low].device == device ? &schedule->slots[low] : NULL;
}

/* The request behind it of the same device; NULL. */
static struct davy_slot *sibling(const struct davy_schedule *schedule, struct davy_slot *slot)
{
    struct davy_slot *next = slot + 1;
    return next < schedule->slots + schedule->count && next->device == slot->device ? next : NULL;
}

/* ---- life ---- */

static size_t count_requests(const struct davy_config *config, const bool *mine)
{
    size_t count = 0;
    for (size_t i = 0; i < config->request_count; i++)
        count += mine[config->requests[i].device];
    return count;
}

static davy_mono first_due(davy_mono now, davy_span interval, size_t index, size_t count)
{
    int64_t spread = interval.ns < SPREAD_NS ? interval.ns : SPREAD_NS;
    return davy_mono_add(now, (davy_span){spread / (int64_t)count * (int64_t)index});
}

/* Rounded down to a multiple of the smallest raster: larger ones then lie on smaller ones. */
static int64_t raster_of(davy_span interval)
{
    const int64_t part = interval.ns / RASTERS_EACH / RASTER_MIN_NS * RASTER_MIN_NS;
    return part < RASTER_MIN_NS ? RASTER_MIN_NS : part > RASTER_MAX_NS ? RASTER_MAX_NS : part;
}

static davy_mono next_on_raster(davy_mono due, davy_span interval)
{
    const int64_t raster = raster_of(interval);
    return (davy_mono){(due.ns + raster - 1) / raster * raster};
}

static int allocate(struct davy_schedule *schedule, size_t count)
{
    schedule->slots = calloc(count + 1, sizeof *schedule->slots);
    schedule->alarms = calloc(schedule->config->device_count + 1, sizeof *schedule->alarms);
    bool complete = schedule->slots && schedule->alarms;
    for (int heap = 0; heap < DAVY_SCHEDULE_HEAPS_; heap++) {
        schedule->heaps[heap].slots = calloc(count + 1, sizeof *schedule->heaps[heap].slots);
        complete = complete && schedule->heaps[heap].slots;
    }
    return complete ? 0 : -ENOMEM;
}

static void fill(struct davy_schedule *schedule, const bool *mine, size_t count, davy_mono start)
{
    for (uint32_t i = 0; i < schedule->config->request_count; i++) {
        const struct davy_request *request = &schedule->config->requests[i];
        if (!mine[request->device])
            continue;
        struct davy_slot *slot = &schedule->slots[schedule->count];
        davy_mono due = first_due(start, request->interval, schedule->count, count);
        if (schedule->config->buses[request->bus].type == DAVY_BUS_TCP)
            due = next_on_raster(due, request->interval);
        *slot = (struct davy_slot){
            .request = i, .device = request->device, .interval = request->interval, .raster = due, .due = due};
        davy_parts_init(&slot->parts, schedule->config, i);
        schedule->count++;
        add(schedule, slot, DAVY_SCHEDULE_WAITING, due.ns);
    }
}

int davy_schedule_init(struct davy_schedule *schedule, const struct davy_config *config, const struct davy_share *share,
                       davy_mono start)
{
    *schedule = (struct davy_schedule){.config = config};
    DAVY_AUTO_FREE bool *mine = calloc(config->device_count + 1, sizeof *mine);
    if (!mine)
        return -ENOMEM;
    for (uint32_t d = davy_share_next(share, config, 0); d != DAVY_NONE; d = davy_share_next(share, config, d + 1))
        mine[d] = true;
    size_t count = count_requests(config, mine);
    int rc = allocate(schedule, count);
    if (rc < 0)
        davy_schedule_done(schedule);
    else
        fill(schedule, mine, count, start);
    return rc;
}

void davy_schedule_done(struct davy_schedule *schedule)
{
    for (size_t i = 0; schedule->slots && i < schedule->count; i++)
        davy_parts_done(&schedule->slots[i].parts);
    free(schedule->slots);
    free(schedule->alarms);
    for (int heap = 0; heap < DAVY_SCHEDULE_HEAPS_; heap++)
        free(schedule->heaps[heap].slots);
    *schedule = DAVY_SCHEDULE_INIT;
}

/* ---- reload ---- */

static const struct davy_request *request_of(const struct davy_schedule *schedule, const struct davy_slot *slot)
{
    return &schedule->config->requests[slot->request];
}

static bool same_read(const struct davy_request *a, const struct davy_request *b)
{
    return a->table == b->table && a->start == b->start && a->count == b->count && a->interval.ns == b->interval.ns;
}

/* A device is slow whatever is read of it. */
static void keep_slot(struct davy_schedule *schedule, struct davy_slot *slot, struct davy_schedule *old,
                      uint32_t old_device)
{
    for (struct davy_slot *known = first_of(old, old_device); known; known = sibling(old, known)) {
        slot->slow = known->slow;
        if (!same_read(request_of(schedule, slot), request_of(old, known)))
            continue;
        slot->raster = known->raster;
        slot->due = known->due;
        slot->misses = known->misses;
        slot->mute_until = known->mute_until;
        slot->mute_wait = known->mute_wait;
        davy_parts_keep(&slot->parts, &known->parts);
        wait_again(schedule, slot);
        return;
    }
}

/* Behind another unit number is another device: what it refuses is to be found out anew. */
static bool same_unit(const struct davy_schedule *schedule, uint32_t device, const struct davy_schedule *old,
                      uint32_t before)
{
    return before != DAVY_NONE && schedule->config->devices[device].unit == old->config->devices[before].unit;
}

void davy_schedule_keep(struct davy_schedule *schedule, struct davy_schedule *old)
{
    uint32_t device = DAVY_NONE, before = DAVY_NONE;
    schedule->skipped = old->skipped;
    for (size_t i = 0; i < schedule->count; i++) {
        struct davy_slot *slot = &schedule->slots[i];
        if (slot->device != device) {
            device = slot->device;
            before = davy_config_find_device(old->config, schedule->config->devices[device].id);
            if (before != DAVY_NONE && old->alarms[before])
                davy_schedule_alarm(schedule, device, true, DAVY_MONO_NEVER);
        }
        if (same_unit(schedule, device, old, before))
            keep_slot(schedule, slot, old, before);
    }
}

/* ---- turns ---- */

davy_mono davy_schedule_next(const struct davy_schedule *schedule)
{
    davy_mono next = DAVY_MONO_NEVER;
    for (int heap = 0; heap < DAVY_SCHEDULE_HEAPS_; heap++) {
        const struct davy_slot *slot = top(schedule, (enum davy_schedule_heap)heap);
        next = slot ? davy_mono_min(next, slot->due) : next;
    }
    return next;
}

/* The end of the raster that the turn belongs to. */
static davy_mono deadline_of(const struct davy_slot *slot)
{
    return slot->due.ns < slot->raster.ns ? slot->raster : davy_mono_add(slot->raster, slot->interval);
}

static void release_due(struct davy_schedule *schedule, davy_mono now)
{
    struct davy_slot *slot;
    while ((slot = top(schedule, DAVY_SCHEDULE_WAITING)) && slot->due.ns <= now.ns) {
        take_out(schedule, slot);
        add(schedule, slot, slot->slow ? DAVY_SCHEDULE_SLOW : DAVY_SCHEDULE_READY, deadline_of(slot).ns);
    }
}

/* On to the first raster point behind `now`. */
static void advance(struct davy_schedule *schedule, struct davy_slot *slot, davy_mono now)
{
    if (now.ns >= slot->raster.ns) {
        int64_t interval = slot->interval.ns > 0 ? slot->interval.ns : 1;
        int64_t missed = davy_mono_sub(now, slot->raster).ns / interval;
        schedule->skipped += (uint64_t)missed;
        slot->raster.ns += (missed + 1) * interval;
    }
    slot->due = slot->raster;
    wait_again(schedule, slot);
}

struct davy_slot *davy_schedule_take(struct davy_schedule *schedule, davy_mono now, bool favour)
{
    release_due(schedule, now);
    struct davy_slot *slot = top(schedule, DAVY_SCHEDULE_READY), *slow = top(schedule, DAVY_SCHEDULE_SLOW);
    if (slow && (!slot || (favour && slow->key < now.ns)))
        slot = slow;
    if (slot)
        advance(schedule, slot, now);
    return slot;
}

bool davy_schedule_others_wait(const struct davy_schedule *schedule)
{
    return schedule->heaps[DAVY_SCHEDULE_READY].count > 0;
}

void davy_schedule_again(struct davy_schedule *schedule, struct davy_slot *slot, davy_mono at)
{
    if (at.ns >= slot->due.ns)
        return;
    slot->due = at;
    wait_again(schedule, slot);
}

/* ---- devices ---- */

static davy_span shorter(davy_span a, davy_span b)
{
    return b.ns > 0 && b.ns < a.ns ? b : a;
}

void davy_schedule_alarm(struct davy_schedule *schedule, uint32_t device, bool in_alarm, davy_mono now)
{
    if (device >= schedule->config->device_count)
        return;
    schedule->alarms[device] = in_alarm;
    davy_span alarm_interval = schedule->config->devices[device].alarm_interval;
    for (struct davy_slot *slot = first_of(schedule, device); slot; slot = sibling(schedule, slot)) {
        const struct davy_request *request = request_of(schedule, slot);
        slot->interval = in_alarm ? shorter(request->interval, alarm_interval) : request->interval;
        if (!in_alarm)
            continue;
        slot->raster = davy_mono_min(slot->raster, davy_mono_add(now, slot->interval));
        davy_schedule_again(schedule, slot, slot->raster);
    }
}

void davy_schedule_slow(struct davy_schedule *schedule, uint32_t device, bool slow)
{
    for (struct davy_slot *slot = first_of(schedule, device); slot; slot = sibling(schedule, slot))
        slot->slow = slow;
}

struct davy_slot *davy_schedule_next_of(struct davy_schedule *schedule, uint32_t device, uint32_t request)
{
    struct davy_slot *slot = first_of(schedule, device);
    while (slot && request != DAVY_NONE && slot->request <= request)
        slot = sibling(schedule, slot);
    return slot;
}

void davy_schedule_hurry(struct davy_schedule *schedule, const struct davy_slot *slot, davy_mono now)
{
    for (struct davy_slot *other = first_of(schedule, slot->device); other; other = sibling(schedule, other))
        if (other != slot)
            davy_schedule_again(schedule, other, now);
}
