/* SPDX-License-Identifier: Apache-2.0 */
/* `flood` and `chatter`, the alarms about the alarms (ARCHITECTURE.md, Built-in alarms), at their exact bounds. */
#include "support/bench.h"

#define POINTS  12
#define FLOOD   "flood:gateway"
#define CHATTER "chatter:gateway"

static struct bench bench;

static struct davy_config *plant(void)
{
    struct davy_config *config = plant_new(POINTS);
    const struct davy_limit limit = bench_above(DAVY_LEVEL_ORANGE, 7);
    plant_add_rule(config, "h2s", &limit, 1);
    for (size_t i = 0; i < POINTS; i++)
        config->points[i].max_age = davy_span_s(1000000);
    return config;
}

static void begin(enum davy_alarm_kind kind)
{
    bench_begin(&bench, plant());
    bench.kinds = 1U << kind;
}

/* The alarm of a point is raised. */
static void raise(double seconds, uint32_t point)
{
    bench_good(&bench, seconds, point, 1);
    bench_good(&bench, seconds, point, 8);
}

static void ten_raises_within_ten_minutes_are_a_flood(void **unused)
{
    (void)unused;
    begin(DAVY_ALARM_FLOOD);
    for (uint32_t i = 0; i < 9; i++)
        raise(1 + 60 * i, i);
    expect_silence(&bench);
    raise(600.999, 9); /* the first, of 1 s, is not yet 600 s old */
    const struct davy_event *flood = expect(&bench, 600.999, "raised " FLOOD " acknowledged yellow");
    assert_true(flood->acknowledged && flood->active);
    expect_silence(&bench);
    bench_end(&bench);
}

static void a_raise_that_is_ten_minutes_old_does_not_count(void **unused)
{
    (void)unused;
    begin(DAVY_ALARM_FLOOD);
    for (uint32_t i = 0; i < 9; i++)
        raise(1 + 60 * i, i);
    raise(601, 9);
    expect_silence(&bench);
    raise(660.9, 10); /* from 61 s on there are ten */
    expect(&bench, 660.9, "raised " FLOOD " acknowledged yellow");
    bench_end(&bench);
}

static void a_flood_ends_when_fewer_than_five_are_left(void **unused)
{
    (void)unused;
    begin(DAVY_ALARM_FLOOD);
    for (uint32_t i = 0; i < 10; i++)
        raise(1 + i, i);
    expect(&bench, 10, "raised " FLOOD " acknowledged yellow");
    bench_advance(&bench, 605.999);
    expect_silence(&bench);
    bench_advance(&bench, 606); /* the raise of 6 s goes: those of 7 to 10 s are left */
    expect(&bench, 606, "cleared " FLOOD " normal yellow");
    expect_silence(&bench);
    bench_end(&bench);
}

static void more_raises_prolong_a_flood(void **unused)
{
    (void)unused;
    begin(DAVY_ALARM_FLOOD);
    for (uint32_t i = 0; i < 10; i++)
        raise(1 + i, i);
    expect(&bench, 10, "raised " FLOOD " acknowledged yellow");
    raise(500, 10);
    raise(501, 11);
    bench_advance(&bench, 1000);
    expect(&bench, 608, "cleared " FLOOD " normal yellow"); /* 9 s, 10 s, 500 s, 501 s are left */
    expect_silence(&bench);
    bench_end(&bench);
}

static void raises_under_covers_count_and_built_in_ones_do_not(void **unused)
{
    (void)unused;
    begin(DAVY_ALARM_FLOOD);
    for (uint32_t i = 0; i < 10; i++) {
        char alarm[DAVY_KEY_SIZE];
        snprintf(alarm, sizeof alarm, "h2s:GT-%u.h2s", 101 + i);
        bench_command(&bench, 0, i % 2 ? DAVY_COMMAND_SHELVE : DAVY_COMMAND_OUT_OF_SERVICE, alarm);
    }
    for (uint32_t i = 0; i < 9; i++)
        raise(1 + i, i);
    for (uint32_t i = 0; i < 100; i++) /* of the bus */
        bench_bad(&bench, 20 + i, i % POINTS);
    expect_silence(&bench);
    raise(200, 9);
    expect(&bench, 200, "raised " FLOOD " acknowledged yellow");
    bench_end(&bench);
}

static void one_jump_of_ten_points_is_a_flood(void **unused)
{
    (void)unused;
    begin(DAVY_ALARM_FLOOD);
    for (uint32_t i = 0; i < 10; i++)
        bench_good(&bench, 1, i, 8);
    expect(&bench, 1, "raised " FLOOD " acknowledged yellow");
    bench_advance(&bench, 601);
    expect(&bench, 601, "cleared " FLOOD " normal yellow");
    bench_end(&bench);
}

static void a_flood_hides_no_alarm(void **unused)
{
    (void)unused;
    bench_begin(&bench, plant());
    bench.kinds = 1U << DAVY_ALARM_RULE | 1U << DAVY_ALARM_FLOOD;
    for (uint32_t i = 0; i < POINTS; i++) {
        char sentence[BENCH_SENTENCE];
        raise(1 + i, i);
        snprintf(sentence, sizeof sentence, "raised h2s:GT-%u.h2s unacknowledged orange", 101 + i);
        expect(&bench, 1 + i, sentence);
        if (i == 9)
            expect(&bench, 10, "raised " FLOOD " acknowledged yellow");
    }
    expect_silence(&bench);
    bench_end(&bench);
}

static void three_raises_of_one_alarm_in_a_minute_are_chatter(void **unused)
{
    (void)unused;
    begin(DAVY_ALARM_CHATTER);
    raise(1, 3);
    raise(30, 3);
    expect_silence(&bench);
    raise(60.999, 3);
    const struct davy_event *chatter = expect(&bench, 60.999, "raised " CHATTER " acknowledged yellow");
    assert_non_null(strstr(chatter->note, "h2s:GT-104.h2s"));
    expect_silence(&bench);
    bench_end(&bench);
}

static void three_raises_over_a_whole_minute_are_not(void **unused)
{
    (void)unused;
    begin(DAVY_ALARM_CHATTER);
    raise(1, 3);
    raise(30, 3);
    raise(61, 3);
    expect_silence(&bench);
    raise(62, 4); /* of another alarm */
    raise(63, 5);
    expect_silence(&bench);
    raise(89, 3); /* 30, 61, 89 */
    expect(&bench, 89, "raised " CHATTER " acknowledged yellow");
    bench_end(&bench);
}

static void chatter_ends_after_ten_calm_minutes(void **unused)
{
    (void)unused;
    begin(DAVY_ALARM_CHATTER);
    for (int i = 0; i < 3; i++)
        raise(1 + i, 3);
    expect(&bench, 3, "raised " CHATTER " acknowledged yellow");
    raise(400, 3); /* one raise is no chatter */
    bench_advance(&bench, 602.999);
    expect_silence(&bench);
    bench_advance(&bench, 603);
    expect(&bench, 603, "cleared " CHATTER " normal yellow");
    expect_silence(&bench);
    bench_end(&bench);
}

static void chatter_of_another_alarm_prolongs_it(void **unused)
{
    (void)unused;
    begin(DAVY_ALARM_CHATTER);
    for (int i = 0; i < 3; i++)
        raise(1 + i, 3);
    expect(&bench, 3, "raised " CHATTER " acknowledged yellow");
    for (int i = 0; i < 3; i++)
        raise(300 + i, 4);
    bench_advance(&bench, 2000);
    expect(&bench, 902, "cleared " CHATTER " normal yellow");
    expect_silence(&bench);
    bench_end(&bench);
}

static void both_go_on_over_a_restart(void **unused)
{
    (void)unused;
    bench_begin(&bench, plant());
    bench.kinds = 1U << DAVY_ALARM_FLOOD | 1U << DAVY_ALARM_CHATTER;
    for (uint32_t i = 0; i < 7; i++)
        raise(1 + i, i);
    raise(8, 0);
    bench_restart(&bench, 9);
    raise(10, 0);
    expect(&bench, 10, "raised " CHATTER " acknowledged yellow");
    bench_restart(&bench, 11);
    raise(12, 8);
    expect(&bench, 12, "raised " FLOOD " acknowledged yellow");
    bench_restart(&bench, 100);
    bench_advance(&bench, 605.999);
    expect_silence(&bench);
    bench_restart(&bench, 700);
    expect(&bench, 606, "cleared " FLOOD " normal yellow"); /* 7, 8, 10, 12 s are left */
    expect(&bench, 610, "cleared " CHATTER " normal yellow");
    expect_silence(&bench);
    bench_end(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ten_raises_within_ten_minutes_are_a_flood),
        cmocka_unit_test(a_raise_that_is_ten_minutes_old_does_not_count),
        cmocka_unit_test(a_flood_ends_when_fewer_than_five_are_left),
        cmocka_unit_test(more_raises_prolong_a_flood),
        cmocka_unit_test(raises_under_covers_count_and_built_in_ones_do_not),
        cmocka_unit_test(one_jump_of_ten_points_is_a_flood),
        cmocka_unit_test(a_flood_hides_no_alarm),
        cmocka_unit_test(three_raises_of_one_alarm_in_a_minute_are_chatter),
        cmocka_unit_test(three_raises_over_a_whole_minute_are_not),
        cmocka_unit_test(chatter_ends_after_ten_calm_minutes),
        cmocka_unit_test(chatter_of_another_alarm_prolongs_it),
        cmocka_unit_test(both_go_on_over_a_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
