/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The built-in alarms that watch the sensors: `fault` of bus, device and point, and `inhibit`
 * (ARCHITECTURE.md, Built-in alarms). Bus before device before point; none is raised below one that stands.
 */
#include "evaluate/internal.h"

/* Successes in a row that end a fault. */
#define STREAK_THAT_CLEARS 3

void davy_engine_set_condition(struct davy_engine *engine, uint32_t index, bool condition)
{
    struct davy_limit_state *state = &engine->alarms[index].states[0];
    state->timer = DAVY_TIMER_NONE;
    if (state->condition == condition)
        return;
    state->condition = condition;
    davy_engine_touch(engine, index);
}

void davy_engine_set_inhibited(struct davy_engine *engine, uint32_t point, bool inhibited)
{
    uint32_t index = engine->first.point_fault + point;
    struct alarm *alarm = &engine->alarms[index];
    if (alarm->inhibited == inhibited)
        return;
    alarm->inhibited = inhibited;
    engine->inhibited[engine->options.config->points[point].device] += inhibited ? 1U : UINT32_MAX;
    davy_engine_touch(engine, index); /* it must be so after a restart too */
}

static bool stands(const struct davy_engine *engine, uint32_t index)
{
    return engine->alarms[index].states[0].condition;
}

static bool fault_above(const struct davy_engine *engine, const struct davy_subject *subject)
{
    if (subject->device == DAVY_NONE)
        return false;
    if (stands(engine, engine->first.bus_fault + subject->bus))
        return true;
    return subject->point != DAVY_NONE && stands(engine, engine->first.device_fault + subject->device);
}

static void start_delay(struct davy_engine *engine, uint32_t index, davy_mono since)
{
    struct davy_limit_state *state = &engine->alarms[index].states[0];
    if (state->condition || fault_above(engine, &engine->alarms[index].subject))
        return;
    state->timer = DAVY_TIMER_ON;
    state->started = since;
    davy_engine_touch(engine, index);
}

static void stop_delay(struct davy_engine *engine, uint32_t index)
{
    struct davy_limit_state *state = &engine->alarms[index].states[0];
    if (state->timer == DAVY_TIMER_NONE)
        return;
    state->timer = DAVY_TIMER_NONE;
    davy_engine_touch(engine, index);
}

/* What ends the fault of a device is counted from its raise. */
static void forget_streaks(struct davy_engine *engine, const struct davy_subject *raised)
{
    if (raised->device == DAVY_NONE || raised->point != DAVY_NONE)
        return;
    const struct davy_device *device = &engine->options.config->devices[raised->device];
    for (uint32_t p = device->first_point; p < device->first_point + device->point_count; p++)
        point_tracker(engine, p)->device_streak = 0;
}

void davy_engine_expire_fault(struct davy_engine *engine, uint32_t index, davy_mono now)
{
    struct alarm *alarm = &engine->alarms[index];
    if (fault_above(engine, &alarm->subject)) {
        stop_delay(engine, index);
    } else if (davy_limit_expire(&alarm->limits[0], &alarm->states[0], now)) {
        forget_streaks(engine, &alarm->subject);
        davy_engine_touch(engine, index);
    }
}

/* Do something with every device and point below a bus or device that fails and is not in fault itself. */
static void each_failing_below(struct davy_engine *engine, const struct davy_subject *above, davy_mono now,
                               void (*act)(struct davy_engine *engine, uint32_t index, davy_mono now))
{
    const struct davy_config *config = engine->options.config;
    if (above->point != DAVY_NONE)
        return;
    for (uint32_t d = 0; d < config->device_count; d++) {
        const struct davy_device *device = &config->devices[d];
        if (device->bus != above->bus || (above->device != DAVY_NONE && above->device != d))
            continue;
        if (above->device == DAVY_NONE && device_tracker(engine, d)->failing)
            act(engine, engine->first.device_fault + d, now);
        for (uint32_t p = device->first_point; p < device->first_point + device->point_count; p++)
            if (point_tracker(engine, p)->failing)
                act(engine, engine->first.point_fault + p, now);
    }
}

/* Its delay stands for itself now, and is worth remembering (davy_engine_tell_memory). */
static void remember(struct davy_engine *engine, uint32_t index, davy_mono now)
{
    (void)now;
    if (!engine->alarms[index].remembered)
        davy_engine_touch(engine, index);
}

static void fail(struct davy_engine *engine, uint32_t index, struct tracker *tracker, davy_mono now)
{
    tracker->streak = tracker->device_streak = 0;
    if (!tracker->failing) {
        tracker->failing = true;
        tracker->since = now;
        start_delay(engine, index, now);
    }
    if (davy_limit_due(&engine->alarms[index].limits[0], &engine->alarms[index].states[0]).ns <= now.ns)
        davy_engine_expire_fault(engine, index, now); /* a delay of zero */
}

/* `streak` is that of the tracker itself, or for a device that of the point that was read. */
static void succeed(struct davy_engine *engine, uint32_t index, struct tracker *tracker, unsigned streak, davy_mono now)
{
    const struct davy_subject *subject = &engine->alarms[index].subject;
    if (tracker->failing)
        each_failing_below(engine, subject, now, remember);
    tracker->failing = false;
    stop_delay(engine, index);
    if (!stands(engine, index) || streak < STREAK_THAT_CLEARS)
        return;
    davy_engine_set_condition(engine, index, false);
    each_failing_below(engine, subject, now, start_delay); /* what still fails counts its delay from here */
}

static void watch_bus(struct davy_engine *engine, uint32_t device, const struct davy_reading *reading)
{
    uint32_t bus = engine->options.config->devices[device].bus;
    struct tracker *tracker = bus_tracker(engine, bus);
    uint32_t index = engine->first.bus_fault + bus;
    davy_mono now = reading->at.mono;
    if (reading->reason == DAVY_REASON_COMM || reading->reason == DAVY_REASON_STALE) {
        fail(engine, index, tracker, now);
        return;
    }
    struct tracker *answering = device_tracker(engine, device);
    if (answering->answered_at.ns != now.ns)
        tracker->streak++;
    answering->answered_at = now;
    succeed(engine, index, tracker, tracker->streak, now);
}

/* A bad reading says nothing of warm-up or calibration: what was, stays. */
static void watch_inhibit(struct davy_engine *engine, uint32_t device, const struct davy_reading *reading)
{
    bool is = reading->reason == DAVY_REASON_WARM_UP || reading->reason == DAVY_REASON_CALIBRATION;
    if (reading->quality == DAVY_QUALITY_BAD)
        return;
    davy_engine_set_inhibited(engine, reading->point, is);
    davy_engine_set_condition(engine, engine->first.inhibit + device, engine->inhibited[device] > 0);
}

static void note_quality(struct davy_engine *engine, uint32_t index, const struct davy_reading *reading)
{
    engine->alarms[index].quality = reading->quality;
    engine->alarms[index].reason = reading->reason;
}

/* The streak that ends a device's fault is counted by point, since the fault was raised. */
static void watch_device_and_point(struct davy_engine *engine, uint32_t device, const struct davy_reading *reading)
{
    struct tracker *of_device = device_tracker(engine, device);
    struct tracker *of_point = point_tracker(engine, reading->point);
    uint32_t device_index = engine->first.device_fault + device;
    uint32_t point_index = engine->first.point_fault + reading->point;
    davy_mono now = reading->at.mono;
    if (reading->quality == DAVY_QUALITY_BAD) {
        fail(engine, device_index, of_device, now);
        fail(engine, point_index, of_point, now);
        return;
    }
    of_point->streak++;
    of_point->device_streak++;
    succeed(engine, device_index, of_device, of_point->device_streak, now);
    succeed(engine, point_index, of_point, of_point->streak, now);
}

void davy_engine_watch_reading(struct davy_engine *engine, const struct davy_reading *reading)
{
    uint32_t device = engine->options.config->points[reading->point].device;
    note_quality(engine, engine->first.bus_fault + engine->options.config->devices[device].bus, reading);
    note_quality(engine, engine->first.device_fault + device, reading);
    note_quality(engine, engine->first.point_fault + reading->point, reading);
    note_quality(engine, engine->first.inhibit + device, reading);
    watch_bus(engine, device, reading);
    watch_device_and_point(engine, device, reading);
    watch_inhibit(engine, device, reading);
}
