/* SPDX-License-Identifier: Apache-2.0 */
/* Inputs of the engine: time, readings, conditions of the gateway. */
#include "evaluate/engine.h"

#include "evaluate/internal.h"

/* `at` moved to an earlier monotonic instant, on both clocks. */
static struct davy_stamp back_to(struct davy_stamp at, davy_mono mono)
{
    return (struct davy_stamp){.mono = mono, .wall = {at.wall.ns - davy_mono_sub(at.mono, mono).ns}};
}

/* All that is due of one alarm. Where `when` flips, its limits have nothing to say. */
static void expire(struct davy_engine *engine, uint32_t index, davy_mono now)
{
    struct alarm *alarm = &engine->alarms[index];
    davy_engine_expire_gate(alarm, now);
    for (uint8_t i = 0; applies(alarm) && i < alarm->limit_count; i++)
        davy_limit_expire(&alarm->limits[i], &alarm->states[i], now);
}

static void fire_timers(struct davy_engine *engine, struct davy_stamp at)
{
    while (davy_timers_next(&engine->timers).ns <= at.mono.ns) {
        uint32_t index = davy_timers_first(&engine->timers);
        enum davy_alarm_kind kind = engine->alarms[index].subject.kind;
        davy_timers_set(&engine->timers, index, DAVY_MONO_NEVER); /* the next is set when it is settled */
        if (kind == DAVY_ALARM_FAULT)
            davy_engine_expire_fault(engine, index, at.mono);
        else if (kind >= DAVY_ALARM_FLOOD)
            davy_engine_expire_flood(engine, index, at.mono);
        else
            expire(engine, index, at.mono);
        davy_engine_touch(engine, index);
    }
    davy_engine_settle(engine, at);
}

/* The cause itself: timers that were due have fired. */
static void take_reading(struct davy_engine *engine, const struct davy_reading *reading)
{
    engine->newest[reading->point] = *reading;
    davy_engine_settle_gates(engine, reading);
    for (uint32_t i = engine->point_first[reading->point]; i < engine->point_first[reading->point + 1]; i++)
        davy_engine_feed(engine, engine->point_alarms[i], reading);
    if (davy_engine_evaluated(engine, reading)) {
        const struct davy_point *point = &engine->options.config->points[reading->point];
        struct alarm *fault = &engine->alarms[engine->first.point_fault + reading->point];
        fault->has_value = true;
        fault->value = reading->reason == DAVY_REASON_OVER_RANGE && point->has_range ? point->high : reading->value;
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
    engine->calibration_judged = at.mono;
    engine->wall_offset_ns = at.wall.ns - at.mono.ns;
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

/* Dates are days: between two looks a second apart only a step of the wall clock can pass one that is not due. */
static bool calibration_is_open(const struct davy_engine *engine, struct davy_stamp at)
{
    int64_t moved = at.wall.ns - at.mono.ns - engine->wall_offset_ns;
    int64_t age = davy_mono_sub(at.mono, engine->calibration_judged).ns;
    return engine->calibration_judged.ns == 0 || age >= DAVY_NS_PER_S || age < 0 || moved > DAVY_NS_PER_MS ||
           moved < -DAVY_NS_PER_MS;
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

/* What alarms that were put back raised anew counts for others from here on. */
static void judge_counted(struct davy_engine *engine, struct davy_stamp now)
{
    for (uint32_t i = 0; i < engine->alarm_count; i++)
        if (engine->alarms[i].counted)
            davy_engine_touch(engine, i);
    davy_engine_settle(engine, now);
}

void davy_engine_start(struct davy_engine *engine, struct davy_stamp now, bool live)
{
    const struct davy_config *config = engine->options.config;
    engine->begun = true;
    engine->live = live;
    engine->started = now.mono;
    for (uint32_t i = 0; i < engine->alarm_count + engine->member_count; i++)
        davy_engine_take_memory(&engine->alarms[i]);
    davy_engine_recount_votes(engine);
    davy_engine_set_timer(engine, davy_engine_kind(engine, DAVY_ALARM_FLOOD));
    davy_engine_set_timer(engine, davy_engine_kind(engine, DAVY_ALARM_CHATTER));
    for (uint32_t p = 0; live && p < config->point_count; p++) {
        if (!config->devices[config->points[p].device].enabled || engine->seen[p].ns != 0)
            continue;
        engine->seen[p] = now.mono;
        davy_timers_set(&engine->stale, p, davy_mono_add(now.mono, config->points[p].max_age));
    }
    davy_engine_fire_due(engine, now, false);
    judge_counted(engine, now);
    check_calibration(engine, now);
}

void davy_engine_reading(struct davy_engine *engine, const struct davy_reading *reading)
{
    davy_engine_fire_due(engine, reading->at, false);
    uint32_t point = reading->point;
    engine->seen[point] = reading->at.mono;
    if (engine->stale.due[point].ns == INT64_MAX && !engine->options.recorded)
        davy_timers_set(&engine->stale, point,
                        davy_mono_add(reading->at.mono, engine->options.config->points[point].max_age));
    take_reading(engine, reading);
}

void davy_engine_advance(struct davy_engine *engine, struct davy_stamp now)
{
    davy_engine_fire_due(engine, now, true);
    if (calibration_is_open(engine, now))
        check_calibration(engine, now);
}

davy_mono davy_engine_due(const struct davy_engine *engine)
{
    davy_mono timer = davy_mono_min(davy_timers_next(&engine->timers), engine->calibration_at);
    return davy_mono_min(timer, davy_timers_next(&engine->stale));
}

void davy_engine_self(struct davy_engine *engine, enum davy_alarm_kind kind, bool condition, struct davy_stamp now)
{
    davy_engine_fire_due(engine, now, false);
    uint32_t index = davy_engine_kind(engine, kind);
    if (index == DAVY_NONE)
        return;
    davy_engine_set_condition(engine, index, condition);
    davy_engine_settle(engine, now);
}

/* It stands beside the alarm as long as that lasts, unless a person has said something of it. */
static void keep_why(struct davy_engine *engine, enum davy_alarm_kind kind, const char *why, struct davy_stamp now)
{
    const uint32_t index = davy_engine_kind(engine, kind);
    if (index == DAVY_NONE || (engine->alarms[index].remark && engine->alarms[index].remark->by[0]))
        return;
    davy_engine_remark(&engine->alarms[index], "", why);
    davy_engine_touch(engine, index);
    davy_engine_settle(engine, now);
}

void davy_engine_self_because(struct davy_engine *engine, enum davy_alarm_kind kind, bool condition, const char *why,
                              struct davy_stamp now)
{
    davy_engine_fire_due(engine, now, false);
    engine->why = why;
    engine->why_kind = kind;
    davy_engine_self(engine, kind, condition, now);
    engine->why = NULL;
    if (condition && why[0])
        keep_why(engine, kind, why, now);
}
