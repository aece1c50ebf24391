/* SPDX-License-Identifier: Apache-2.0 */
#include "acquire/schedule.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* First reads are spread over the interval, but none waits longer than this: values are wanted soon after a start. */
#define SPREAD_NS (5 * DAVY_NS_PER_S)

/*
 * Over TCP first reads lie on a raster of the clock, the same for all buses: a thread that wakes once for several reads,
 * all threads at about the same time, costs less than half of one that wakes for each. A line is slower than that.
 */
#define RASTER_NS (50 * DAVY_NS_PER_MS)

static size_t count_requests(const struct davy_config *config, uint32_t bus)
{
    size_t count = 0;
    for (size_t i = 0; i < config->request_count; i++)
        count += config->requests[i].bus == bus;
    return count;
}

static davy_mono first_due(davy_mono now, davy_span interval, size_t index, size_t count)
{
    int64_t spread = interval.ns < SPREAD_NS ? interval.ns : SPREAD_NS;
    return davy_mono_add(now, (davy_span){spread / (int64_t)count * (int64_t)index});
}

static davy_mono next_on_raster(davy_mono due)
{
    return (davy_mono){(due.ns + RASTER_NS - 1) / RASTER_NS * RASTER_NS};
}

int davy_schedule_init(struct davy_schedule *schedule, const struct davy_config *config, uint32_t bus, davy_mono now)
{
    size_t count = count_requests(config, bus);
    *schedule = (struct davy_schedule){.config = config};
    schedule->slots = calloc(count + 1, sizeof *schedule->slots);
    schedule->alarms = calloc(config->device_count + 1, sizeof *schedule->alarms);
    if (!schedule->slots || !schedule->alarms) {
        davy_schedule_done(schedule);
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < config->request_count; i++) {
        const struct davy_request *request = &config->requests[i];
        if (request->bus != bus)
            continue;
        davy_mono due = first_due(now, request->interval, schedule->count, count);
        if (config->buses[bus].type == DAVY_BUS_TCP)
            due = next_on_raster(due);
        schedule->slots[schedule->count] = (struct davy_slot){.request = i, .interval = request->interval, .due = due};
        schedule->count++;
    }
    return 0;
}

void davy_schedule_done(struct davy_schedule *schedule)
{
    free(schedule->slots);
    free(schedule->alarms);
    *schedule = DAVY_SCHEDULE_INIT;
}

static const struct davy_request *request_of(const struct davy_schedule *schedule, const struct davy_slot *slot)
{
    return &schedule->config->requests[slot->request];
}

static const char *device_id(const struct davy_schedule *schedule, const struct davy_slot *slot)
{
    return schedule->config->devices[request_of(schedule, slot)->device].id;
}

static bool same_read(const struct davy_request *a, const struct davy_request *b)
{
    return a->table == b->table && a->start == b->start && a->count == b->count && a->interval.ns == b->interval.ns;
}

static void keep_slot(struct davy_schedule *schedule, struct davy_slot *slot, const struct davy_schedule *old)
{
    for (size_t i = 0; i < old->count; i++) {
        const struct davy_slot *known = &old->slots[i];
        if (!same_read(request_of(schedule, slot), request_of(old, known)) ||
            strcmp(device_id(schedule, slot), device_id(old, known)) != 0)
            continue;
        slot->due = known->due;
        slot->refused_until = known->refused_until;
        slot->exception = known->exception;
        return;
    }
}

void davy_schedule_keep(struct davy_schedule *schedule, const struct davy_schedule *old)
{
    schedule->skipped = old->skipped;
    for (size_t i = 0; i < schedule->count; i++)
        keep_slot(schedule, &schedule->slots[i], old);
    for (uint32_t i = 0; i < schedule->config->device_count; i++) {
        uint32_t before = davy_config_find_device(old->config, schedule->config->devices[i].id);
        if (before != DAVY_NONE && old->alarms[before])
            davy_schedule_alarm(schedule, i, true, DAVY_MONO_NEVER);
    }
}

davy_mono davy_schedule_next(const struct davy_schedule *schedule)
{
    davy_mono next = DAVY_MONO_NEVER;
    for (size_t i = 0; i < schedule->count; i++)
        next = davy_mono_min(next, schedule->slots[i].due);
    return next;
}

/* On to the first raster point behind `now`. */
static void advance(struct davy_schedule *schedule, struct davy_slot *slot, davy_mono now)
{
    int64_t interval = slot->interval.ns > 0 ? slot->interval.ns : 1;
    int64_t missed = davy_mono_sub(now, slot->due).ns / interval;
    schedule->skipped += (uint64_t)missed;
    slot->due.ns += (missed + 1) * interval;
}

struct davy_slot *davy_schedule_take(struct davy_schedule *schedule, davy_mono now)
{
    struct davy_slot *urgent = NULL;
    davy_mono earliest = DAVY_MONO_NEVER;
    for (size_t i = 0; i < schedule->count; i++) {
        struct davy_slot *slot = &schedule->slots[i];
        davy_mono deadline = davy_mono_add(slot->due, slot->interval);
        if (slot->due.ns > now.ns || (urgent && deadline.ns >= earliest.ns))
            continue;
        urgent = slot;
        earliest = deadline;
    }
    if (urgent)
        advance(schedule, urgent, now);
    return urgent;
}

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
    for (size_t i = 0; i < schedule->count; i++) {
        struct davy_slot *slot = &schedule->slots[i];
        const struct davy_request *request = request_of(schedule, slot);
        if (request->device != device)
            continue;
        slot->interval = in_alarm ? shorter(request->interval, alarm_interval) : request->interval;
        if (in_alarm)
            slot->due = davy_mono_min(slot->due, davy_mono_add(now, slot->interval));
    }
}
