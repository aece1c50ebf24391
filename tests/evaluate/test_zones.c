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
    (void)context;
    (void)event;
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_yellow_until_every_point_was_read),
        cmocka_unit_test(rises_at_once_and_falls_after_a_minute_of_calm),
        cmocka_unit_test(tells_only_what_changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
