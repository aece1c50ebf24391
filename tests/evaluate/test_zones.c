/* SPDX-License-Identifier: Apache-2.0 */
#include "evaluate/zones.h"

#include "support/cmocka_all.h"
#include "support/plant.h"

struct bench {
    struct davy_config *config;
    struct davy_engine *engine;
    struct davy_zones *zones;
    struct davy_zone_view told;
    unsigned count;
};

static void on_event(void *context, const struct davy_event *event)
{
    struct bench *bench = context;
    davy_zones_event(bench->zones, event);
}

static void on_zone(void *context, uint32_t zone, const struct davy_zone_view *view)
{
    struct bench *bench = context;
    assert_int_equal(zone, 0);
    bench->told = *view;
    bench->count++;
}

static struct davy_stamp at(int64_t seconds)
{
    int64_t ns = seconds * DAVY_NS_PER_S;
    return (struct davy_stamp){.mono = {ns + 1}, .wall = {ns + 1700000000 * DAVY_NS_PER_S}};
}

static const struct davy_limit limits[] = {
    {.level = DAVY_LEVEL_ORANGE, .condition = DAVY_CONDITION_ABOVE, .a = 7},
    {.level = DAVY_LEVEL_RED, .condition = DAVY_CONDITION_ABOVE, .a = 14},
};

static void begin(struct bench *bench)
{
    *bench = (struct bench){.config = plant_new(2)};
    plant_add_rule(bench->config, "h2s", limits, 2);
    struct davy_engine_options options = {.config = bench->config, .event = on_event, .context = bench};
    assert_int_equal(davy_engine_new(&options, &bench->engine), 0);
    assert_int_equal(davy_zones_new(bench->config, NULL, &bench->zones), 0);
    davy_engine_start(bench->engine, at(0), false);
}

static void end(struct bench *bench)
{
    davy_zones_free(bench->zones);
    davy_engine_free(bench->engine);
    davy_config_unref(bench->config);
}

static void read_point(struct bench *bench, uint32_t point, int64_t seconds, double value)
{
    struct davy_reading reading = {.point = point, .has_value = true, .value = value, .at = at(seconds)};
    davy_engine_reading(bench->engine, &reading);
}

static enum davy_level judge(struct bench *bench, int64_t seconds)
{
    davy_zones_judge(bench->zones, bench->engine, at(seconds), on_zone, bench);
    return bench->told.colour;
}

static void is_yellow_until_every_point_was_read(void **unused)
{
    (void)unused;
    struct bench bench;
    begin(&bench);
    assert_int_equal(judge(&bench, 1), DAVY_LEVEL_YELLOW);
    assert_int_equal(bench.told.cause_count, 0);
    read_point(&bench, 0, 2, 1);
    assert_int_equal(judge(&bench, 2), DAVY_LEVEL_YELLOW);
    read_point(&bench, 1, 3, 1);
    assert_int_equal(judge(&bench, 61), DAVY_LEVEL_YELLOW); /* calm for less than a minute */
    assert_int_equal(judge(&bench, 63), DAVY_LEVEL_BLUE);
    end(&bench);
}

static void rises_at_once_and_falls_after_a_minute_of_calm(void **unused)
{
    (void)unused;
    struct bench bench;
    begin(&bench);
    read_point(&bench, 0, 1, 1);
    read_point(&bench, 1, 1, 1);
    judge(&bench, 100);
    read_point(&bench, 0, 101, 20);
    assert_int_equal(judge(&bench, 101), DAVY_LEVEL_RED);
    assert_int_equal(bench.told.cause_count, 1);
    assert_int_equal(bench.told.since.ns, at(101).wall.ns);
    read_point(&bench, 0, 110, 8); /* orange from here */
    assert_int_equal(judge(&bench, 110), DAVY_LEVEL_RED);
    assert_int_equal(judge(&bench, 160), DAVY_LEVEL_RED);
    assert_int_equal(judge(&bench, 170), DAVY_LEVEL_ORANGE);
    assert_int_equal(bench.told.previous, DAVY_LEVEL_RED);
    end(&bench);
}

static void tells_only_what_changed(void **unused)
{
    (void)unused;
    struct bench bench;
    begin(&bench);
    read_point(&bench, 0, 1, 1);
    read_point(&bench, 1, 1, 20);
    judge(&bench, 2);
    judge(&bench, 3);
    assert_int_equal(bench.count, 1);
    read_point(&bench, 0, 4, 20); /* one more cause of the same colour */
    judge(&bench, 4);
    assert_int_equal(bench.count, 2);
    assert_int_equal(bench.told.cause_count, 2);
    end(&bench);
}

static void a_flash_between_two_judgements_counts(void **unused)
{
    (void)unused;
    struct bench bench;
    begin(&bench);
    read_point(&bench, 0, 1, 1);
    read_point(&bench, 1, 1, 1);
    judge(&bench, 100);
    read_point(&bench, 0, 100, 20);
    read_point(&bench, 0, 101, 1);
    assert_int_equal(judge(&bench, 105), DAVY_LEVEL_RED);
    assert_int_equal(judge(&bench, 160), DAVY_LEVEL_RED);
    assert_int_equal(judge(&bench, 161), DAVY_LEVEL_BLUE); /* to the second, however seldom it is judged */
    end(&bench);
}

static struct davy_event event_of(enum davy_state previous, enum davy_state state, int64_t seconds)
{
    return (struct davy_event){.subject = {DAVY_ALARM_RULE, 0, DAVY_NONE, 0, 0},
                               .previous_state = previous,
                               .previous_level = DAVY_LEVEL_RED,
                               .state = state,
                               .level = DAVY_LEVEL_RED,
                               .at = at(seconds)};
}

static void what_is_covered_or_suppressed_counts_as_yellow(void **unused)
{
    (void)unused;
    const enum davy_state covers[] = {DAVY_STATE_SUPPRESSED, DAVY_STATE_SHELVED, DAVY_STATE_OUT_OF_SERVICE};
    for (size_t i = 0; i < DAVY_LENGTH(covers); i++) {
        struct bench bench;
        begin(&bench);
        read_point(&bench, 0, 1, 1);
        read_point(&bench, 1, 1, 1);
        assert_int_equal(judge(&bench, 100), DAVY_LEVEL_BLUE);
        struct davy_event event = event_of(covers[i], covers[i], 101);
        davy_zones_event(bench.zones, &event);
        assert_int_equal(judge(&bench, 102), DAVY_LEVEL_YELLOW);
        event = event_of(covers[i], DAVY_STATE_UNACKNOWLEDGED, 103);
        davy_zones_event(bench.zones, &event);
        assert_int_equal(judge(&bench, 104), DAVY_LEVEL_RED);
        end(&bench);
    }
}

static void a_fault_of_the_bus_colours_the_zones_of_its_devices(void **unused)
{
    (void)unused;
    struct bench bench;
    begin(&bench);
    read_point(&bench, 0, 1, 1);
    read_point(&bench, 1, 1, 1);
    assert_int_equal(judge(&bench, 100), DAVY_LEVEL_BLUE);
    struct davy_event event = event_of(DAVY_STATE_ACKNOWLEDGED, DAVY_STATE_NORMAL, 101);
    event.subject = (struct davy_subject){DAVY_ALARM_FAULT, DAVY_NONE, 0, DAVY_NONE, DAVY_NONE};
    event.level = event.previous_level = DAVY_LEVEL_YELLOW;
    davy_zones_event(bench.zones, &event);
    assert_int_equal(judge(&bench, 160), DAVY_LEVEL_YELLOW);
    assert_int_equal(judge(&bench, 161), DAVY_LEVEL_BLUE);
    end(&bench);
}

/* Channels of a controller lie where their `zone` says: no fault of their own is raised below that of device or bus. */
static void a_fault_above_colours_the_zones_of_points_that_lie_elsewhere(void **unused)
{
    (void)unused;
    for (int of_bus = 0; of_bus <= 1; of_bus++) {
        struct bench bench;
        begin(&bench);
        for (uint32_t d = 0; d < 2; d++)
            bench.config->devices[d].zone = DAVY_NONE; /* the points are in zone 0 */
        read_point(&bench, 0, 1, 1);
        read_point(&bench, 1, 1, 1);
        assert_int_equal(judge(&bench, 100), DAVY_LEVEL_BLUE);
        for (int64_t second = 101; second <= 120; second++) {
            struct davy_reading failed = {.point = 0,
                                          .at = at(second),
                                          .quality = DAVY_QUALITY_BAD,
                                          .reason = of_bus ? DAVY_REASON_COMM : DAVY_REASON_EXCEPTION};
            davy_engine_reading(bench.engine, &failed);
        }
        assert_int_equal(judge(&bench, 121), DAVY_LEVEL_YELLOW);
        assert_int_equal(bench.told.cause_count, 1);
        end(&bench);
    }
}

/* A vote and its fault belong to the zone of their members. */
static void a_vote_counts_in_the_zone_of_its_members(void **unused)
{
    (void)unused;
    struct bench bench;
    begin(&bench);
    read_point(&bench, 0, 1, 1);
    read_point(&bench, 1, 1, 1);
    assert_int_equal(judge(&bench, 100), DAVY_LEVEL_BLUE);
    struct davy_event event = event_of(DAVY_STATE_NORMAL, DAVY_STATE_UNACKNOWLEDGED, 101);
    event.subject = (struct davy_subject){DAVY_ALARM_RULE, 0, DAVY_NONE, DAVY_NONE, DAVY_NONE};
    davy_zones_event(bench.zones, &event);
    assert_int_equal(judge(&bench, 102), DAVY_LEVEL_RED);
    event.subject.kind = DAVY_ALARM_VOTE_FAULT;
    event.level = event.previous_level = DAVY_LEVEL_YELLOW;
    event.at = at(150);
    davy_zones_event(bench.zones, &event);
    assert_int_equal(judge(&bench, 170), DAVY_LEVEL_YELLOW);
    end(&bench);
}

/* The bench goes on with zones of a new process, after `down` seconds that the ledger brings the times over. */
static void restart(struct bench *bench, const struct davy_alarm_memory *memory)
{
    davy_zones_free(bench->zones);
    assert_int_equal(davy_zones_new(bench->config, NULL, &bench->zones), 0);
    assert_true(davy_zones_recall(bench->zones, memory));
    bench->count = 0;
}

static void the_minute_of_calm_goes_on_over_a_restart(void **unused)
{
    (void)unused;
    struct bench bench;
    struct davy_alarm_memory memory, again;
    begin(&bench);
    read_point(&bench, 0, 1, 20);
    read_point(&bench, 1, 1, 1);
    assert_int_equal(judge(&bench, 100), DAVY_LEVEL_RED);
    assert_true(davy_zones_tell(bench.zones, 0, &memory));
    assert_string_equal(memory.key, "@A1");
    assert_false(davy_zones_tell(bench.zones, 0, &memory));
    read_point(&bench, 0, 110, 8); /* orange from here */
    judge(&bench, 111);
    assert_true(davy_zones_tell(bench.zones, 0, &memory)); /* the colour is the same, but its end is known */
    restart(&bench, &memory);
    assert_int_equal(judge(&bench, 169), DAVY_LEVEL_RED);
    assert_int_equal(bench.count, 1); /* told after the start, whatever it is */
    assert_int_equal(bench.told.since.ns, at(100).wall.ns);
    assert_false(davy_zones_tell(bench.zones, 0, &again));
    assert_int_equal(judge(&bench, 170), DAVY_LEVEL_ORANGE);
    assert_int_equal(bench.told.previous, DAVY_LEVEL_RED);
    end(&bench);
}

/* A colour that stood when it was kept has stood until the kill: how long ago it was kept says nothing. */
static void a_colour_that_stood_falls_a_minute_after_the_start_where_its_alarm_is_gone(void **unused)
{
    (void)unused;
    struct bench before, after;
    struct davy_alarm_memory memory;
    begin(&before);
    read_point(&before, 0, 1, 20);
    read_point(&before, 1, 1, 1);
    assert_int_equal(judge(&before, 100), DAVY_LEVEL_RED);
    assert_true(davy_zones_tell(before.zones, 0, &memory));
    assert_int_equal(judge(&before, 500), DAVY_LEVEL_RED);
    assert_false(davy_zones_tell(before.zones, 0, &memory));
    end(&before);
    begin(&after);
    assert_true(davy_zones_recall(after.zones, &memory));
    read_point(&after, 0, 500, 1);
    read_point(&after, 1, 500, 1);
    assert_int_equal(judge(&after, 500), DAVY_LEVEL_RED);
    assert_int_equal(judge(&after, 559), DAVY_LEVEL_RED);
    assert_int_equal(judge(&after, 560), DAVY_LEVEL_BLUE);
    end(&after);
}

static void a_zone_that_is_gone_has_no_memory(void **unused)
{
    (void)unused;
    struct bench bench;
    begin(&bench);
    assert_false(davy_zones_recall(bench.zones, &(struct davy_alarm_memory){.key = "@B2"}));
    assert_false(davy_zones_recall(bench.zones, &(struct davy_alarm_memory){.key = "h2s:GT-101.h2s"}));
    end(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_yellow_until_every_point_was_read),
        cmocka_unit_test(rises_at_once_and_falls_after_a_minute_of_calm),
        cmocka_unit_test(tells_only_what_changed),
        cmocka_unit_test(a_flash_between_two_judgements_counts),
        cmocka_unit_test(what_is_covered_or_suppressed_counts_as_yellow),
        cmocka_unit_test(a_fault_of_the_bus_colours_the_zones_of_its_devices),
        cmocka_unit_test(a_fault_above_colours_the_zones_of_points_that_lie_elsewhere),
        cmocka_unit_test(a_vote_counts_in_the_zone_of_its_members),
        cmocka_unit_test(the_minute_of_calm_goes_on_over_a_restart),
        cmocka_unit_test(a_colour_that_stood_falls_a_minute_after_the_start_where_its_alarm_is_gone),
        cmocka_unit_test(a_zone_that_is_gone_has_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
