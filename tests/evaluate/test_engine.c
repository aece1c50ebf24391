/* SPDX-License-Identifier: Apache-2.0 */
#include "evaluate/engine.h"

#include <string.h>

#include "support/cmocka_all.h"
#include "support/plant.h"

#define MAX_EVENTS 64

/* An engine over a plant of two devices, and what it said. */
struct bench {
    struct davy_config *config;
    struct davy_engine *engine;
    struct davy_event events[MAX_EVENTS];
    size_t count;
    struct davy_alarm_memory memory; /* the latest of any alarm of a rule that was told */
};

static void on_event(void *context, const struct davy_event *event)
{
    struct bench *bench = context;
    assert_true(bench->count < MAX_EVENTS);
    bench->events[bench->count++] = *event;
}

static bool on_memory(void *context, const struct davy_alarm_memory *memory)
{
    struct bench *bench = context;
    if (strncmp(memory->key, "h2s:", 4) == 0)
        bench->memory = *memory;
    return true;
}

static struct davy_stamp at(double seconds)
{
    int64_t ns = (int64_t)(seconds * 1e9);
    return (struct davy_stamp){.mono = {ns + 1}, .wall = {ns + 1700000000 * DAVY_NS_PER_S}};
}

static void engine_of(struct bench *bench, struct davy_config *config)
{
    struct davy_engine_options options = {.config = config, .event = on_event, .memory = on_memory, .context = bench};
    bench->config = config;
    bench->count = 0;
    assert_int_equal(davy_engine_new(&options, &bench->engine), 0);
}

static const struct davy_limit two_levels[] = {
    {.level = DAVY_LEVEL_ORANGE, .condition = DAVY_CONDITION_ABOVE, .a = 7, .deadband = 0.5, .acknowledge = true},
    {.level = DAVY_LEVEL_RED,
     .condition = DAVY_CONDITION_ABOVE,
     .a = 14,
     .deadband = 0.5,
     .acknowledge = true,
     .latch = true},
};

static void begin(struct bench *bench)
{
    struct davy_config *config = plant_new(2);
    plant_add_rule(config, "h2s", two_levels, 2);
    engine_of(bench, config);
    davy_engine_start(bench->engine, at(0), false);
}

static void end(struct bench *bench)
{
    davy_engine_free(bench->engine);
    davy_config_unref(bench->config);
}

static void read_point(struct bench *bench, uint32_t point, double seconds, double value, enum davy_reason reason)
{
    bool valued = davy_reason_quality(reason) != DAVY_QUALITY_BAD;
    struct davy_reading reading = {.point = point,
                                   .quality = davy_reason_quality(reason),
                                   .reason = reason,
                                   .has_value = valued,
                                   .value = valued ? value : 0,
                                   .at = at(seconds)};
    davy_engine_reading(bench->engine, &reading);
}

static void good(struct bench *bench, double seconds, double value)
{
    read_point(bench, 0, seconds, value, DAVY_REASON_NONE);
}

/* The only new event since `before` is of this type, state and level. */
static const struct davy_event *said(struct bench *bench, size_t before, enum davy_event_type type,
                                     enum davy_state state, enum davy_level level)
{
    assert_int_equal(bench->count, before + 1);
    const struct davy_event *event = &bench->events[before];
    assert_string_equal(davy_event_name(event->type), davy_event_name(type));
    assert_string_equal(davy_state_name(event->state), davy_state_name(state));
    assert_int_equal(event->level, level);
    return event;
}

static int command(struct bench *bench, enum davy_command_verb verb, double seconds, enum davy_level seen)
{
    struct davy_command command = {.verb = verb, .alarm = "h2s:GT-101.h2s", .level = seen, .by = "local:test"};
    char reason[160];
    return davy_engine_command(bench->engine, &command, at(seconds), NULL, reason, sizeof reason);
}

/* The date lies an hour ahead; the wall clock is stepped by `step_s`, the monotonic one goes on. */
static struct davy_stamp stepped(double seconds, double step_s)
{
    struct davy_stamp stamp = at(seconds);
    stamp.wall.ns += (int64_t)(step_s * 1e9);
    return stamp;
}

static void a_calibration_date_is_held_against_each_step_of_the_wall_clock(void **unused)
{
    (void)unused;
    struct bench bench;
    struct davy_config *config = plant_new(1);
    config->devices[0].enabled = true;
    config->devices[0].calibration_due = (davy_wall){at(3600).wall.ns};
    engine_of(&bench, config);
    davy_engine_start(bench.engine, at(0), false);
    davy_engine_advance(bench.engine, at(0.1));
    assert_int_equal(bench.count, 0);
    davy_engine_advance(bench.engine, stepped(0.2, 4000)); /* at once, not with the next look at all dates */
    said(&bench, 0, DAVY_EVENT_RAISED, DAVY_STATE_ACKNOWLEDGED, DAVY_LEVEL_YELLOW);
    davy_engine_advance(bench.engine, stepped(0.3, 0));
    said(&bench, 1, DAVY_EVENT_CLEARED, DAVY_STATE_NORMAL, DAVY_LEVEL_YELLOW);
    for (int i = 1; i <= 400; i++) /* slewed, by less than a millisecond each time */
        davy_engine_advance(bench.engine, stepped(0.3 + i * 9, i * 0.0009));
    said(&bench, 2, DAVY_EVENT_RAISED, DAVY_STATE_ACKNOWLEDGED, DAVY_LEVEL_YELLOW);
    assert_true(bench.events[2].at.mono.ns <= at(3600).mono.ns);
    end(&bench);
}

static void raises_escalates_latches_and_resets(void **unused)
{
    (void)unused;
    struct bench bench;
    begin(&bench);
    good(&bench, 1, 8);
    const struct davy_event *raised = said(&bench, 0, DAVY_EVENT_RAISED, DAVY_STATE_UNACKNOWLEDGED, DAVY_LEVEL_ORANGE);
    assert_true(raised->first_out);
    assert_int_equal(raised->previous_level, DAVY_LEVEL_NONE);
    good(&bench, 2, 15);
    said(&bench, 1, DAVY_EVENT_ESCALATED, DAVY_STATE_UNACKNOWLEDGED, DAVY_LEVEL_RED);
    assert_int_equal(command(&bench, DAVY_COMMAND_ACK, 3, DAVY_LEVEL_ORANGE), DAVY_REFUSED); /* it rose since */
    assert_int_equal(command(&bench, DAVY_COMMAND_ACK, 3, DAVY_LEVEL_RED), 0);
    said(&bench, 2, DAVY_EVENT_ACKNOWLEDGED, DAVY_STATE_ACKNOWLEDGED, DAVY_LEVEL_RED);
    assert_int_equal(command(&bench, DAVY_COMMAND_RESET, 4, DAVY_LEVEL_NONE), DAVY_REFUSED);
    good(&bench, 5, 1);
    const struct davy_event *latched = said(&bench, 3, DAVY_EVENT_LATCHED, DAVY_STATE_LATCHED, DAVY_LEVEL_RED);
    assert_false(latched->active);
    assert_true(latched->latched);
    assert_int_equal(command(&bench, DAVY_COMMAND_RESET, 6, DAVY_LEVEL_NONE), 0);
    const struct davy_event *reset = said(&bench, 4, DAVY_EVENT_RESET, DAVY_STATE_NORMAL, DAVY_LEVEL_RED);
    assert_true(reset->ends);
    assert_memory_equal(&reset->id, &raised->id, sizeof raised->id);
    end(&bench);
}

static void one_jump_over_both_limits_is_one_event(void **unused)
{
    (void)unused;
    struct bench bench;
    begin(&bench);
    good(&bench, 1, 50);
    said(&bench, 0, DAVY_EVENT_RAISED, DAVY_STATE_UNACKNOWLEDGED, DAVY_LEVEL_RED);
    end(&bench);
}

static void rises_again_under_a_latched_level(void **unused)
{
    (void)unused;
    struct bench bench;
    begin(&bench);
    good(&bench, 1, 15);
    good(&bench, 2, 8); /* red held by its latch, orange true: the level stays, no event */
    assert_int_equal(bench.count, 1);
    good(&bench, 3, 15);
    const struct davy_event *again = said(&bench, 1, DAVY_EVENT_RAISED, DAVY_STATE_UNACKNOWLEDGED, DAVY_LEVEL_RED);
    assert_int_equal(again->count, 2);
    assert_false(again->first_out);
    end(&bench);
}

static void bad_quality_never_clears(void **unused)
{
    (void)unused;
    struct bench bench;
    begin(&bench);
    good(&bench, 1, 8);
    for (int i = 0; i < 8; i++)
        read_point(&bench, 0, 2 + i, 0, DAVY_REASON_COMM);
    read_point(&bench, 0, 10, 0, DAVY_REASON_NO_STATUS);
    assert_int_equal(bench.count, 1);
    good(&bench, 11, 1);
    said(&bench, 1, DAVY_EVENT_CLEARED, DAVY_STATE_RETURNED, DAVY_LEVEL_ORANGE);
    end(&bench);
}

static void over_range_raises_at_the_high_end(void **unused)
{
    (void)unused;
    struct bench bench;
    begin(&bench);
    read_point(&bench, 0, 1, 3, DAVY_REASON_OVER_RANGE);
    const struct davy_event *event = said(&bench, 0, DAVY_EVENT_RAISED, DAVY_STATE_UNACKNOWLEDGED, DAVY_LEVEL_RED);
    assert_true(event->uncertain);
    assert_true(event->value >= 100);
    end(&bench);
}

/* One device after the other falls silent; the bus speaks for them all when none answers. */
static void fault_of_a_bus_stands_for_all_below(void **unused)
{
    (void)unused;
    struct bench bench;
    begin(&bench);
    for (int i = 0; i <= 12; i++) {
        read_point(&bench, 0, i, 0, DAVY_REASON_COMM);
        read_point(&bench, 1, i + 0.5, 0, DAVY_REASON_COMM);
    }
    assert_int_equal(bench.count, 1);
    assert_int_equal(bench.events[0].subject.kind, DAVY_ALARM_FAULT);
    assert_int_equal(bench.events[0].subject.device, DAVY_NONE);
    assert_int_equal(bench.events[0].at.mono.ns, at(10).mono.ns);
    for (int i = 0; i < 3; i++)
        read_point(&bench, 0, 13 + i, 1, DAVY_REASON_NONE);
    said(&bench, 1, DAVY_EVENT_CLEARED, DAVY_STATE_NORMAL, DAVY_LEVEL_YELLOW);
    read_point(&bench, 0, 26, 1, DAVY_REASON_NONE); /* the second device is silent on: its own delay runs from t = 15 */
    const struct davy_event *device = said(&bench, 2, DAVY_EVENT_RAISED, DAVY_STATE_ACKNOWLEDGED, DAVY_LEVEL_YELLOW);
    assert_int_equal(device->subject.device, 1);
    assert_int_equal(device->subject.point, DAVY_NONE);
    assert_int_equal(device->at.mono.ns, at(25).mono.ns);
    end(&bench);
}

/* What stands beside the alarm of the gateway; until the next call. */
static const char *note_of(const struct bench *bench, enum davy_alarm_kind kind)
{
    static struct davy_alarm_view view;
    for (size_t i = 0; i < davy_engine_alarm_count(bench->engine); i++) {
        davy_engine_alarm(bench->engine, i, &view);
        if (view.subject.kind == kind)
            return view.note;
    }
    return NULL;
}

static void the_event_of_a_condition_of_the_gateway_says_why(void **unused)
{
    (void)unused;
    struct bench bench;
    begin(&bench);
    davy_engine_self_because(bench.engine, DAVY_ALARM_MQTT, true, "the platform does not confirm", at(1));
    const struct davy_event *event = said(&bench, 0, DAVY_EVENT_RAISED, DAVY_STATE_ACKNOWLEDGED, DAVY_LEVEL_YELLOW);
    assert_string_equal(event->note, "the platform does not confirm");
    assert_string_equal(note_of(&bench, DAVY_ALARM_MQTT), "the platform does not confirm");
    davy_engine_self_because(bench.engine, DAVY_ALARM_MQTT, true, "no connection",
                             at(1.5)); /* no event, but the cause of now */
    assert_int_equal(bench.count, 1);
    assert_string_equal(note_of(&bench, DAVY_ALARM_MQTT), "no connection");
    davy_engine_self_because(bench.engine, DAVY_ALARM_STORAGE, true, "", at(2)); /* of another one nothing is told */
    event = said(&bench, 1, DAVY_EVENT_RAISED, DAVY_STATE_ACKNOWLEDGED, DAVY_LEVEL_YELLOW);
    assert_string_equal(event->note, "");
    davy_engine_self(bench.engine, DAVY_ALARM_MQTT, false, at(3));
    event = said(&bench, 2, DAVY_EVENT_CLEARED, DAVY_STATE_NORMAL, DAVY_LEVEL_YELLOW);
    assert_string_equal(event->note, "");
    assert_string_equal(note_of(&bench, DAVY_ALARM_MQTT), "");
    end(&bench);
}

static void silence_becomes_stale_and_then_a_fault(void **unused)
{
    (void)unused;
    struct bench bench;
    struct davy_config *config = plant_new(1);
    config->points[0].max_age = davy_span_s(5);
    plant_add_rule(config, "h2s", two_levels, 2);
    engine_of(&bench, config);
    davy_engine_start(bench.engine, at(0), true);
    good(&bench, 1, 2);
    davy_engine_advance(bench.engine, at(30));
    assert_int_equal(davy_engine_newest(bench.engine, 0)->reason, DAVY_REASON_STALE);
    assert_int_equal(bench.events[0].at.mono.ns, at(16).mono.ns);
    said(&bench, 0, DAVY_EVENT_RAISED, DAVY_STATE_ACKNOWLEDGED, DAVY_LEVEL_YELLOW);
    end(&bench);
}

static void restart_goes_on_with_the_same_occurrence(void **unused)
{
    (void)unused;
    struct bench bench, after;
    begin(&bench);
    good(&bench, 1, 8);
    const struct davy_event raised = bench.events[0];
    struct davy_alarm_memory memory = bench.memory;
    end(&bench);

    struct davy_config *config = plant_new(2);
    plant_add_rule(config, "h2s", two_levels, 2);
    engine_of(&after, config);
    davy_engine_restore(after.engine, &memory, at(20));
    davy_engine_start(after.engine, at(20), true);
    assert_int_equal(after.count, 0);
    good(&after, 21, 15);
    const struct davy_event *escalated =
        said(&after, 0, DAVY_EVENT_ESCALATED, DAVY_STATE_UNACKNOWLEDGED, DAVY_LEVEL_RED);
    assert_memory_equal(&escalated->id, &raised.id, sizeof raised.id);
    end(&after);
}

/* The upper bound of 15 min of exposure, 10 ppm. */
static struct davy_config *exposed(void)
{
    const struct davy_limit limits[] = {
        {.level = DAVY_LEVEL_ORANGE, .condition = DAVY_CONDITION_ABOVE, .a = 10, .upper = true},
        {.level = DAVY_LEVEL_RED, .condition = DAVY_CONDITION_ABOVE, .a = 10}};
    struct davy_config *config = plant_new(2);
    plant_add_rule(config, "h2s", limits, 2);
    config->rules[0].measure = DAVY_MEASURE_STEL;
    config->rules[0].options = (struct davy_measure_options){.window = davy_span_s(900)};
    config->points[0].max_age = davy_span_s(20);
    return config;
}

static void past(struct bench *bench, double seconds, double value)
{
    const struct davy_reading reading = {.has_value = true, .value = value, .at = at(seconds)};
    davy_engine_past_reading(bench->engine, &reading);
}

/* The record lacks the newest reading, which the memory has: it is beside the gap. */
static void record_and_memory_fill_a_window_in_order_of_time(void **unused)
{
    (void)unused;
    struct bench bench, after;
    engine_of(&bench, exposed());
    davy_engine_start(bench.engine, at(0), false);
    good(&bench, 1, 5);
    good(&bench, 2, 60);
    read_point(&bench, 0, 3, 0, DAVY_REASON_COMM);
    struct davy_alarm_memory memory = bench.memory;
    end(&bench);

    engine_of(&after, exposed());
    davy_engine_restore(after.engine, &memory, at(100));
    past(&after, 1, 5);
    davy_engine_start(after.engine, at(100), true);
    good(&after, 902, 5); /* unread until 1 s, 1 s of 5 ppm, and a gap beside 60 ppm since */
    struct davy_alarm_view view;
    davy_engine_alarm(after.engine, 0, &view);
    assert_true(view.active && view.value > 59.99);
    end(&after);
}

/* It counted long before the window, and nothing did until the window was half over. */
static void a_gap_over_a_restart_is_beside_what_it_began_with(void **unused)
{
    (void)unused;
    struct bench bench;
    engine_of(&bench, exposed());
    past(&bench, 0, 60);
    past(&bench, 5000, 5);
    davy_engine_start(bench.engine, at(5400), false);
    good(&bench, 5450, 5);
    const struct davy_event *raised = said(&bench, 0, DAVY_EVENT_RAISED, DAVY_STATE_ACKNOWLEDGED, DAVY_LEVEL_ORANGE);
    assert_true(raised->uncertain && raised->value > (60 * 449 + 5 * 450) / 900.0);
    end(&bench);
}

static void reload_keeps_what_stays_retires_what_goes_and_raises_what_changed(void **unused)
{
    (void)unused;
    struct bench bench;
    begin(&bench);
    good(&bench, 1, 8);
    read_point(&bench, 1, 1, 5, DAVY_REASON_NONE);
    const struct davy_limit lower = {
        .level = DAVY_LEVEL_ORANGE, .condition = DAVY_CONDITION_ABOVE, .a = 4, .acknowledge = true};
    struct davy_config *lowered = plant_new(2);
    plant_add_rule(lowered, "h2s", &lower, 1);
    assert_int_equal(davy_engine_reload(bench.engine, lowered, at(2), NULL), 0);
    const struct davy_event *raised = said(&bench, 1, DAVY_EVENT_RAISED, DAVY_STATE_UNACKNOWLEDGED, DAVY_LEVEL_ORANGE);
    assert_int_equal(raised->subject.point, 1);

    struct davy_config *bare = plant_new(2);
    assert_int_equal(davy_engine_reload(bench.engine, bare, at(3), NULL), 0);
    assert_int_equal(bench.count, 4);
    for (int i = 2; i < 4; i++) {
        assert_int_equal(bench.events[i].type, DAVY_EVENT_RETIRED);
        assert_true(bench.events[i].ends);
    }
    davy_config_unref(bare);
    davy_config_unref(lowered);
    end(&bench);
}

/* A recorder that takes so many memories at once, and no more. */
struct narrow {
    unsigned room, taken;
};

static void ignore_event(void *context, const struct davy_event *event)
{
    (void)context;
    (void)event;
}

static bool take_some(void *context, const struct davy_alarm_memory *memory)
{
    struct narrow *narrow = context;
    (void)memory;
    if (narrow->room == 0)
        return false;
    narrow->room--;
    narrow->taken++;
    return true;
}

/* More alarms than the recorder takes at once: each try tells what is left, so that it comes to an end. */
static void what_was_not_taken_is_told_until_all_is(void **state)
{
    (void)state;
    struct davy_config *config = plant_new(9);
    const struct davy_limit limit = {.level = DAVY_LEVEL_ORANGE, .condition = DAVY_CONDITION_ABOVE, .a = 7};
    struct narrow narrow = {.room = 0};
    struct davy_engine *engine;
    plant_add_rule(config, "h2s", &limit, 1);
    const struct davy_engine_options options = {
        .config = config, .event = ignore_event, .memory = take_some, .context = &narrow};
    assert_int_equal(davy_engine_new(&options, &engine), 0);
    davy_engine_start(engine, at(0), false);
    for (uint32_t p = 0; p < 9; p++)
        davy_engine_reading(engine, &(struct davy_reading){.point = p, .has_value = true, .value = 8, .at = at(1)});
    unsigned tries = 0;
    do {
        narrow = (struct narrow){.room = 4};
        davy_engine_tell_untold(engine);
        tries++;
    } while (narrow.taken > 0);
    assert_int_equal(tries, 4); /* 4, 4, 1, none */
    davy_engine_free(engine);
    davy_config_unref(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_not_taken_is_told_until_all_is),
        cmocka_unit_test(a_calibration_date_is_held_against_each_step_of_the_wall_clock),
        cmocka_unit_test(raises_escalates_latches_and_resets),
        cmocka_unit_test(one_jump_over_both_limits_is_one_event),
        cmocka_unit_test(rises_again_under_a_latched_level),
        cmocka_unit_test(bad_quality_never_clears),
        cmocka_unit_test(over_range_raises_at_the_high_end),
        cmocka_unit_test(fault_of_a_bus_stands_for_all_below),
        cmocka_unit_test(the_event_of_a_condition_of_the_gateway_says_why),
        cmocka_unit_test(silence_becomes_stale_and_then_a_fault),
        cmocka_unit_test(restart_goes_on_with_the_same_occurrence),
        cmocka_unit_test(record_and_memory_fill_a_window_in_order_of_time),
        cmocka_unit_test(a_gap_over_a_restart_is_beside_what_it_began_with),
        cmocka_unit_test(reload_keeps_what_stays_retires_what_goes_and_raises_what_changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
