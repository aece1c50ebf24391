/* SPDX-License-Identifier: Apache-2.0 */
/* Inputs of the engine: time, readings, conditions of the gateway. */
#include "evaluate/engine.h"

#include "evaluate/internal.h"

/* `at` moved to an earlier monotonic instant, on both clocks. */
static struct davy_stamp back_to(struct davy_stamp at, davy_mono mono)
{
    return (struct davy_stamp){.mono = mono, .wall = {at.wall.ns - davy_mono_sub(at.mono, mono).ns}};
}

static void fire_timers(struct davy_engine *engine, struct davy_stamp at)
{
    while (davy_timers_next(&engine->timers).ns <= at.mono.ns) {
        uint32_t index = davy_timers_first(&engine->timers);
        struct alarm *alarm = &engine->alarms[index];
        if (alarm->subject.kind == DAVY_ALARM_FAULT) {
            davy_engine_expire_fault(engine, index, at.mono);
        } else {
            for (uint8_t i = 0; i < alarm->limit_count; i++)
                davy_limit_expire(&alarm->limits[i], &alarm->states[i], at.mono);
            davy_engine_touch(engine, index);
        }
    }
    davy_engine_settle(engine, at);
}

/* How a reading counts for a limit, and the value that it counts with. */
static enum davy_feed feed_of(const struct davy_reading *reading, const struct davy_point *point, double *ret_value)
{
    *ret_value = reading->value;
    if (reading->reason == DAVY_REASON_WARM_UP || reading->reason == DAVY_REASON_CALIBRATION || !reading->has_value)
        return DAVY_FEED_HOLD;
    if (reading->reason == DAVY_REASON_OVER_RANGE && point->has_range)
        *ret_value = point->high;
    if (reading->quality == DAVY_QUALITY_GOOD)
        return DAVY_FEED_FULL;
    return reading->quality == DAVY_QUALITY_UNCERTAIN ? DAVY_FEED_RAISE : DAVY_FEED_HOLD;
}

static void feed_alarm(struct davy_engine *engine, uint32_t index, const struct davy_reading *reading,
                       enum davy_feed feed, double value)
{
    struct alarm *alarm = &engine->alarms[index];
    bool changed = false;
    for (uint8_t i = 0; i < alarm->limit_count; i++) {
        const struct davy_limit *limit = &alarm->limits[i];
        bool trip = reading->quality == DAVY_QUALITY_BAD && limit->trip_on_fault;
        changed |= davy_limit_feed(limit, &alarm->states[i], trip ? DAVY_FEED_TRIP : feed, value,
                                   reading->quality != DAVY_QUALITY_GOOD, reading->at.mono);
    }
    alarm->quality = reading->quality;
    alarm->reason = reading->reason;
    if (feed == DAVY_FEED_FULL || feed == DAVY_FEED_RAISE) {
        alarm->has_value = true;
        alarm->value = value;
    }
    if (changed)
        davy_engine_touch(engine, index);
}

/* The cause itself: timers that were due have fired. */
static void take_reading(struct davy_engine *engine, const struct davy_reading *reading)
{
    const struct davy_point *point = &engine->options.config->points[reading->point];
    engine->newest[reading->point] = *reading;
    double value;
    enum davy_feed feed = feed_of(reading, point, &value);
    for (uint32_t i = engine->point_first[reading->point]; i < engine->point_first[reading->point + 1]; i++)
        feed_alarm(engine, engine->point_alarms[i], reading, feed, value);
    if (feed == DAVY_FEED_FULL || feed == DAVY_FEED_RAISE) {
        struct alarm *fault = &engine->alarms[engine->first.point_fault + reading->point];
        fault->has_value = true;
        fault->value = value;
    }
    davy_engine_watch_reading(engine, reading);
    davy_engine_settle(engine, reading->at);
}

/* The point's silence is as old as max_age, unless a reading came since the timer was set: then look again later. */
static void fire_stale(struct davy_engine *engine, struct davy_stamp at)
{
    uint32_t point = davy_timers_first(&engine->stale);
    davy_mono due = davy_mono_add(engine->seen[point], engine->options.config->points[point].max_age);
    if (due.ns > at.mono.ns) {
        davy_timers_set(&engine->stale, point, due);
        return;
    }
    davy_timers_set(&engine->stale, point, DAVY_MONO_NEVER);
    struct davy_reading reading = {.point = point, .quality = DAVY_QUALITY_BAD, .reason = DAVY_REASON_STALE, .at = at};
    if (engine->options.made)
        engine->options.made(engine->options.context, &reading);
    take_reading(engine, &reading);
}

/* Judge every calibration date, and note when the next one is reached, as far as the wall clock says now. */
static void check_calibration(struct davy_engine *engine, struct davy_stamp at)
{
    const struct davy_config *config = engine->options.config;
    engine->calibration_at = DAVY_MONO_NEVER;
    for (uint32_t d = 0; d < config->device_count; d++) {
        davy_wall due = config->devices[d].calibration_due;
        bool dated = due.ns != 0 && config->devices[d].enabled;
        davy_engine_set_condition(engine, engine->first.calibration + d, dated && at.wall.ns >= due.ns);
        if (dated && due.ns > at.wall.ns)
            engine->calibration_at =
                davy_mono_min(engine->calibration_at, davy_mono_add(at.mono, (davy_span){due.ns - at.wall.ns}));
    }
    davy_engine_settle(engine, at);
}

void davy_engine_fire_due(struct davy_engine *engine, struct davy_stamp at, bool stale_too)
{
    for (;;) {
        davy_mono timer = davy_timers_next(&engine->timers);
        davy_mono stale = davy_timers_next(&engine->stale);
        davy_mono calibration = engine->calibration_at;
        if (calibration.ns <= at.mono.ns && calibration.ns <= timer.ns && calibration.ns <= stale.ns)
            check_calibration(engine, back_to(at, calibration));
        else if (timer.ns <= at.mono.ns && timer.ns <= stale.ns)
            fire_timers(engine, back_to(at, timer));
        else if (stale.ns < at.mono.ns || (stale_too && stale.ns == at.mono.ns))
            fire_stale(engine, back_to(at, stale));
        else
            break;
    }
}

void davy_engine_start(struct davy_engine *engine, struct davy_stamp now, bool live)
{
    const struct davy_config *config = engine->options.config;
    engine->live = live;
    for (uint32_t p = 0; live && p < config->point_count; p++) {
        if (!config->devices[config->points[p].device].enabled || engine->seen[p].ns != 0)
            continue;
        engine->seen[p] = now.mono;
        davy_timers_set(&engine->stale, p, davy_mono_add(now.mono, config->points[p].max_age));
    }
    davy_engine_fire_due(engine, now, false);
    check_calibration(engine, now);
}

void davy_engine_reading(struct davy_engine *engine, const struct davy_reading *reading)
{
    davy_engine_fire_due(engine, reading->at, false);
    uint32_t point = reading->point;
    engine->seen[point] = reading->at.mono;
    if (engine->stale.due[point].ns == INT64_MAX)
        davy_timers_set(&engine->stale, point,
                        davy_mono_add(reading->at.mono, engine->options.config->points[point].max_age));
    take_reading(engine, reading);
}

void davy_engine_advance(struct davy_engine *engine, struct davy_stamp now)
{
    davy_engine_fire_due(engine, now, true);
    check_calibration(engine, now);
}

davy_mono davy_engine_due(const struct davy_engine *engine)
{
    davy_mono timer = davy_mono_min(davy_timers_next(&engine->timers), engine->calibration_at);
    return davy_mono_min(timer, davy_timers_next(&engine->stale));
}

void davy_engine_self(struct davy_engine *engine, enum davy_alarm_kind kind, bool condition, struct davy_stamp now)
{
    struct davy_subject subject = {kind, DAVY_NONE, DAVY_NONE, DAVY_NONE, DAVY_NONE};
    davy_engine_fire_due(engine, now, false);
    uint32_t index = davy_engine_find_alarm(engine, &subject);
    if (index == DAVY_NONE)
        return;
    davy_engine_set_condition(engine, index, condition);
    davy_engine_settle(engine, now);
}
