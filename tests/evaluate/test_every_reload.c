/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reload in the middle of alarms (ARCHITECTURE.md, Configuration and reload): of the same configuration it is not to
 * be seen, with other things added or gone the rest does not see it, and a changed limit only raises.
 */
#include "support/bench.h"
#include "support/random_plant.h"
#include "support/seed.h"

#define INPUTS 3200
#define OFF    davy_span_s(7)
#define HOLD   davy_span_ms(4500)

static bool same_values_of_members(const struct davy_members *a, const struct davy_members *b)
{
    bool same = same_members(a, b);
    for (size_t i = 0; same && a && i < a->count; i++)
        same = a->list[i].quality == b->list[i].quality && a->list[i].has_value == b->list[i].has_value &&
               same_number(a->list[i].value, b->list[i].value);
    return same;
}

/* A device of the extra ones, or a rule on them. */
static bool is_extra(const struct kept_event *kept)
{
    return strstr(kept->key, "X-") || strstr(kept->key, "extra");
}

static void compare(const struct run *a, const struct run *b, uint64_t seed)
{
    size_t i = 0;
    for (size_t j = 0; j <= b->count; j++) {
        const struct kept_event *here = i < a->count ? &a->events[i] : NULL;
        const struct kept_event *there = j < b->count ? &b->events[j] : NULL;
        if (there && is_extra(there))
            continue;
        if (!here && !there)
            return;
        if (here && there && same_transition(here, there) && same_facts(&here->event, &there->event) &&
            same_value(&here->event, &there->event) && same_quality(&here->event, &there->event) &&
            same_values_of_members(here->event.members, there->event.members)) {
            i++;
            continue;
        }
        if (here)
            print_kept("through", here);
        if (there)
            print_kept("reloaded", there);
        fail_msg("event %zu of %zu differs, DAVY_SEED=%llu", i, a->count, (unsigned long long)seed);
    }
}

/* Other devices, points, a bus and a rule, all before those that there are. */
static void add_extras(struct davy_config *config, uint32_t extra)
{
    struct davy_device *devices = davy_config_alloc(config, config->device_count + extra, sizeof *devices);
    struct davy_point *points = davy_config_alloc(config, config->point_count + extra, sizeof *points);
    struct davy_bus *buses = davy_config_alloc(config, 2, sizeof *buses);
    buses[0] = buses[1] = config->buses[0];
    buses[0].name = "X-bus";
    for (uint32_t i = 0; i < config->device_count + extra; i++) {
        devices[i] = config->devices[i < extra ? 0 : i - extra];
        points[i] = config->points[i < extra ? 0 : i - extra];
        devices[i].bus = i >= extra;
        devices[i].first_point = points[i].device = i;
        points[i].zone = i < extra ? DAVY_NONE : points[i].zone;
        devices[i].zone = i < extra ? DAVY_NONE : devices[i].zone;
        if (i < extra)
            devices[i].id = devices[i].name = i ? "X-2" : "X-1";
    }
    config->devices = devices;
    config->points = points;
    config->buses = buses;
    config->bus_count = 2;
    config->device_count = config->point_count = config->device_count + extra;
}

static const uint32_t *moved(struct davy_config *config, const uint32_t *points, size_t count, uint32_t extra)
{
    uint32_t *copy = davy_config_alloc(config, count, sizeof *copy);
    for (size_t i = 0; i < count; i++)
        copy[i] = points[i] + extra;
    return copy;
}

static void move_rules(struct davy_config *config, uint32_t extra)
{
    struct davy_rule *rules = davy_config_alloc(config, config->rule_count + 1, sizeof *rules);
    const struct davy_limit limit = PLANT_ABOVE(RED, 50);
    for (size_t i = 0; i < config->rule_count; i++) {
        struct davy_rule *rule = &rules[i + 1];
        *rule = config->rules[i];
        rule->points = moved(config, rule->points, rule->point_count, extra);
        if (rule->when.points)
            rule->when.points = moved(config, rule->when.points, rule->point_count, extra);
        rule->options.rule += rule->measure == DAVY_MEASURE_OCCURRENCES;
    }
    plant_add_rule(config, "extra", &limit, 1);
    rules[0] = config->rules[config->rule_count - 1];
    rules[0].point_count = extra;
    config->rules = rules;
}

static struct davy_config *plant_with(uint32_t extra)
{
    struct davy_config *config = random_plant_new(OFF, HOLD);
    if (extra == 0)
        return config;
    add_extras(config, extra);
    move_rules(config, extra);
    return config;
}

static void on_switched(void *context)
{
    struct run *run = context;
    davy_config_unref(run->config);
    run->config = run->next;
}

static void reload(struct run *run, struct davy_stamp now, uint32_t extra)
{
    run->now = now;
    run->next = plant_with(extra);
    assert_int_equal(davy_engine_reload(run->engine, run->next, now, on_switched), 0);
    run->shift = extra;
    if (extra == 0)
        return;
    struct davy_reading harmless = {.value = 5, .has_value = true, .at = now}; /* and then it falls silent */
    davy_engine_reading(run->engine, &harmless);
}

/* Some instant after the last input and not after the next. */
static struct davy_stamp between(struct davy_random *random, const struct run *run, const struct input *next)
{
    struct davy_stamp now = run->now;
    int64_t ns = (next->at.mono.ns - now.mono.ns) * below(random, 5) / 4;
    now.mono.ns += ns;
    now.wall.ns += ns;
    return now;
}

static void run_course(struct run *run, const struct input *inputs, struct davy_random *random, uint32_t extras,
                       unsigned *ret_reloads)
{
    davy_engine_start(run->engine, plant_at(0), false);
    for (size_t i = 0; i < INPUTS; i++) {
        if (random && below(random, 3) == 0) {
            reload(run, between(random, run, &inputs[i]), extras ? below(random, extras + 1) : 0);
            ++*ret_reloads;
        }
        run_step(run, &inputs[i]);
    }
}

/* Reloads at random instants, with up to so many devices more. */
static void try_reloads(uint32_t extras)
{
    uint64_t seed = davy_test_seed(1);
    struct davy_random random = {.state = ~seed};
    struct input *inputs = random_course(seed, INPUTS);
    struct run through, reloaded;
    unsigned reloads = 0, faults = 0;
    run_init(&through, plant_with(0), NULL, true);
    run_course(&through, inputs, NULL, 0, NULL);
    run_init(&reloaded, plant_with(0), NULL, true);
    run_course(&reloaded, inputs, &random, extras, &reloads);
    print_message("%zu events, %u reloads\n", through.count, reloads);
    compare(&through, &reloaded, seed);
    for (size_t i = 0; i < through.count; i++)
        faults += through.events[i].event.subject.kind == DAVY_ALARM_FAULT;
    assert_true(through.count >= 2000);
    assert_true(reloads >= 1000 - 50);
    assert_true(faults > 10);
    davy_config_unref(through.config);
    davy_config_unref(reloaded.config);
    run_free(&through);
    run_free(&reloaded);
    free(inputs);
}

static void a_reload_of_the_same_is_not_to_be_seen(void **unused)
{
    (void)unused;
    try_reloads(0);
}

static void what_is_added_or_goes_does_not_touch_the_rest(void **unused)
{
    (void)unused;
    try_reloads(2);
}

#define ALARM "h2s:GT-101.h2s"

static struct bench bench;

static struct davy_config *plant_limits(const struct davy_limit *limits, size_t count)
{
    struct davy_config *config = plant_new(1);
    plant_add_rule(config, "h2s", limits, count);
    return config;
}

static void begin(const struct davy_limit *limits, size_t count)
{
    bench_begin(&bench, plant_limits(limits, count));
}

/* Any bound and deadband becomes any other under any value. */
static void a_changed_limit_raises_at_once_and_never_clears(void **unused)
{
    (void)unused;
    struct davy_random random = {.state = davy_test_seed(1)};
    unsigned raised = 0, kept = 0, cleared = 0;
    for (int i = 0; i < 1000; i++) {
        double value = below(&random, 10);
        struct davy_limit old = bench_above(DAVY_LEVEL_ORANGE, below(&random, 10)), new = old;
        new.a = below(&random, 10);
        new.deadband = below(&random, 3);
        begin(&old, 1);
        bench_good(&bench, 1, 0, value);
        bool was = value >= old.a;
        if (was)
            expect(&bench, 1, "raised " ALARM " unacknowledged orange");
        bench_reload(&bench, 2, plant_limits(&new, 1));
        bool trips = value >= new.a;
        if (!was && trips)
            expect(&bench, 2, "raised " ALARM " unacknowledged orange");
        expect_silence(&bench);
        bench_good(&bench, 3, 0, value);
        bool stays = was || trips;
        bool returns = stays && !trips && value < new.a - new.deadband;
        if (returns)
            expect(&bench, 3, "cleared " ALARM " returned orange");
        expect_silence(&bench);
        assert_int_equal(bench_view(&bench, ALARM).active, stays && !returns);
        raised += !was && trips;
        kept += stays && !returns && !trips;
        cleared += returns;
        bench_end(&bench);
    }
    assert_true(raised > 50 && kept > 20 && cleared > 50);
}

static void a_newest_reading_that_is_bad_raises_nothing(void **unused)
{
    (void)unused;
    struct davy_limit limit = bench_above(DAVY_LEVEL_ORANGE, 7);
    begin(&limit, 1);
    bench_good(&bench, 1, 0, 5);
    bench_bad(&bench, 2, 0);
    limit.a = 4;
    bench_reload(&bench, 3, plant_limits(&limit, 1));
    expect_silence(&bench);
    bench_good(&bench, 4, 0, 5);
    expect(&bench, 4, "raised " ALARM " unacknowledged orange");
    bench_end(&bench);
}

static void running_delays_keep_their_start(void **unused)
{
    (void)unused;
    struct davy_limit limit = bench_above(DAVY_LEVEL_ORANGE, 7);
    limit.on_delay = limit.off_delay = davy_span_s(10);
    begin(&limit, 1);
    bench_good(&bench, 1, 0, 8);
    limit.a = 6;
    limit.on_delay = davy_span_s(20);
    bench_reload(&bench, 5, plant_limits(&limit, 1));
    bench_advance(&bench, 20.9);
    expect_silence(&bench);
    bench_advance(&bench, 22);
    expect(&bench, 21, "raised " ALARM " unacknowledged orange");
    bench_good(&bench, 30, 0, 1);
    limit.off_delay = davy_span_s(15);
    bench_reload(&bench, 35, plant_limits(&limit, 1));
    bench_advance(&bench, 44.9);
    expect_silence(&bench);
    bench_advance(&bench, 50);
    expect(&bench, 45, "cleared " ALARM " returned orange");
    bench_end(&bench);
}

/* The return is due with the shorter delay, yet the newest reading is on the trip side now. */
static void a_shorter_off_delay_clears_nothing_that_is_on_the_trip_side(void **unused)
{
    (void)unused;
    for (int trips = 0; trips < 2; trips++) {
        struct davy_limit limit = bench_above(DAVY_LEVEL_ORANGE, 7);
        limit.off_delay = davy_span_s(10);
        begin(&limit, 1);
        bench_good(&bench, 1, 0, 8);
        expect(&bench, 1, "raised " ALARM " unacknowledged orange");
        bench_good(&bench, 2, 0, 3);
        limit.off_delay = davy_span_s(0);
        limit.a = trips ? 2 : 6;
        bench_reload(&bench, 5, plant_limits(&limit, 1));
        if (!trips)
            expect(&bench, 5, "cleared " ALARM " returned orange");
        expect_silence(&bench);
        bench_end(&bench);
    }
}

static void a_tripped_limit_that_goes_retires_lowers_or_leaves(void **unused)
{
    (void)unused;
    const struct davy_limit limits[] = {bench_above(DAVY_LEVEL_YELLOW, 3), bench_above(DAVY_LEVEL_RED, 14),
                                        bench_above(DAVY_LEVEL_ORANGE, 50)};
    begin(limits, 2);
    bench_good(&bench, 1, 0, 15);
    expect(&bench, 1, "raised " ALARM " unacknowledged red");
    bench_reload(&bench, 2, plant_limits(limits, 1)); /* without red: yellow is still true */
    expect(&bench, 2, "lowered " ALARM " unacknowledged yellow");
    bench_reload(&bench, 3, plant_new(1)); /* without the rule */
    assert_true(expect(&bench, 3, "retired " ALARM " normal yellow")->ends);
    expect_silence(&bench);
    bench_end(&bench);

    begin(limits, 2);
    bench_good(&bench, 1, 0, 5);
    expect(&bench, 1, "raised " ALARM " unacknowledged yellow");
    bench_reload(&bench, 2, plant_limits(&limits[1], 1)); /* yellow goes, red was there and did not trip */
    expect(&bench, 2, "retired " ALARM " normal yellow");
    expect_silence(&bench);
    bench_end(&bench);
}

static void a_latch_holds_over_a_change_until_reset(void **unused)
{
    (void)unused;
    struct davy_limit limit = bench_above(DAVY_LEVEL_ORANGE, 7);
    limit.latch = true;
    begin(&limit, 1);
    bench_good(&bench, 1, 0, 8);
    expect(&bench, 1, "raised " ALARM " unacknowledged orange");
    bench_good(&bench, 2, 0, 1);
    expect(&bench, 2, "latched " ALARM " latched orange");
    limit.a = 50;
    limit.latch = false;
    bench_reload(&bench, 3, plant_limits(&limit, 1));
    bench_good(&bench, 4, 0, 1);
    expect_silence(&bench);
    assert_int_equal(bench_command(&bench, 5, DAVY_COMMAND_RESET, ALARM), 0);
    expect(&bench, 5, "reset " ALARM " normal orange");
    bench_end(&bench);
}

static void acknowledgement_and_count_survive_a_change(void **unused)
{
    (void)unused;
    struct davy_limit limit = bench_above(DAVY_LEVEL_ORANGE, 7);
    begin(&limit, 1);
    bench_good(&bench, 1, 0, 8);
    const struct davy_event *raised = expect(&bench, 1, "raised " ALARM " unacknowledged orange");
    bench_ack(&bench, 2, ALARM);
    expect(&bench, 2, "acknowledged " ALARM " acknowledged orange");
    limit.a = 5;
    bench_reload(&bench, 3, plant_limits(&limit, 1));
    bench_good(&bench, 4, 0, 6);
    expect_silence(&bench);
    bench_good(&bench, 5, 0, 1);
    const struct davy_event *cleared = expect(&bench, 5, "cleared " ALARM " normal orange");
    assert_memory_equal(&cleared->id, &raised->id, sizeof raised->id);
    bench_end(&bench);
}

static void a_changed_measure_empties_its_window(void **unused)
{
    (void)unused;
    const struct davy_limit limit = bench_above(DAVY_LEVEL_ORANGE, 7);
    for (int same = 0; same < 2; same++) {
        struct davy_config *configs[2];
        for (int i = 0; i < 2; i++) {
            configs[i] = plant_limits(&limit, 1);
            configs[i]->rules[0].measure = DAVY_MEASURE_MEAN;
            configs[i]->rules[0].options =
                (struct davy_measure_options){.window = davy_span_s(i && !same ? 20 : 10), .coverage = 0.75};
        }
        bench_begin(&bench, configs[0]);
        bench_good(&bench, 0, 0, 5);
        bench_good(&bench, 9, 0, 50);
        bench_reload(&bench, 9.5, configs[1]);
        bench_good(&bench, 12, 0, 50);
        if (same) /* 5 over 7 s, 50 over 3 s */
            expect(&bench, 12, "raised " ALARM " unacknowledged orange");
        expect_silence(&bench);
        bench_end(&bench);
    }
}

/*
 * What an event of nothing tripped tells: `returned` is acknowledged after the reload, or after a restart with the
 * file.
 */
static void check_limit_told(const struct davy_limit *old, size_t old_count, const struct davy_limit *new,
                             size_t new_count, double told)
{
    for (int restart = 0; restart < 2; restart++) {
        begin(old, old_count);
        bench_good(&bench, 1, 0, 60);
        bench_good(&bench, 2, 0, 0);
        bench.told = bench.count;
        struct davy_config *config = plant_limits(new, new_count);
        if (restart) {
            davy_config_unref(bench.config);
            bench.config = config;
            bench_restart(&bench, 3);
        } else {
            bench_reload(&bench, 3, config);
        }
        bench_ack(&bench, 4, ALARM);
        assert_true(same_number(expect(&bench, 4, "acknowledged " ALARM " normal red")->limit, told));
        expect_silence(&bench);
        bench_end(&bench);
    }
}

static void the_limit_told_is_what_the_last_one_has_become(void **unused)
{
    (void)unused;
    const struct davy_limit old[] = {bench_above(DAVY_LEVEL_BLUE, 10), bench_above(DAVY_LEVEL_ORANGE, 20),
                                     bench_above(DAVY_LEVEL_RED, 30)};
    const struct davy_limit fewer[] = {bench_above(DAVY_LEVEL_BLUE, 10), bench_above(DAVY_LEVEL_RED, 31)};
    const struct davy_limit more[] = {bench_above(DAVY_LEVEL_BLUE, 10), bench_above(DAVY_LEVEL_YELLOW, 15),
                                      bench_above(DAVY_LEVEL_ORANGE, 20), bench_above(DAVY_LEVEL_RED, 32)};
    check_limit_told(old, 3, fewer, 2, 31);
    check_limit_told(old, 3, more, 4, 32);
    check_limit_told(&old[2], 1, more, 4, 32);
    check_limit_told(old, 3, old, 2, 20); /* it is gone: the highest one in force */
}

/* Orange becomes red `outside`, while the newest reading is bad and holds the trip side. */
static void check_bound_told(struct davy_limit old, double value, double told)
{
    old.trip_on_fault = true;
    struct davy_limit new = bench_above(DAVY_LEVEL_RED, -4);
    new.condition = DAVY_CONDITION_OUTSIDE;
    new.b = 3;
    new.trip_on_fault = true;
    begin(&old, 1);
    bench_good(&bench, 1, 0, value);
    expect(&bench, 1, "raised " ALARM " unacknowledged orange");
    bench_bad(&bench, 2, 0);
    bench_reload(&bench, 3, plant_limits(&new, 1));
    assert_true(same_number(expect(&bench, 3, "escalated " ALARM " unacknowledged red")->limit, told));
    bench_end(&bench);
}

static void of_outside_the_bound_on_the_side_that_was_crossed_is_told(void **unused)
{
    (void)unused;
    struct davy_limit above = bench_above(DAVY_LEVEL_ORANGE, -6), below = bench_above(DAVY_LEVEL_ORANGE, 2);
    struct davy_limit outside = bench_above(DAVY_LEVEL_ORANGE, 10);
    below.condition = DAVY_CONDITION_BELOW;
    outside.condition = DAVY_CONDITION_OUTSIDE;
    outside.b = 20;
    check_bound_told(above, 50, 3);
    check_bound_told(below, 1, -4);
    check_bound_told(outside, 50, 3);
    check_bound_told(outside, 5, -4);
}

/* A bad reading that trips has crossed no bound: the lower one is told, through a reload too. */
static void of_outside_never_crossed_the_lower_bound_is_told(void **unused)
{
    (void)unused;
    struct davy_limit limit = bench_above(DAVY_LEVEL_ORANGE, -4);
    limit.condition = DAVY_CONDITION_OUTSIDE;
    limit.b = 3;
    limit.trip_on_fault = true;
    for (int reloaded = 0; reloaded < 2; reloaded++) {
        begin(&limit, 1);
        if (reloaded)
            bench_reload(&bench, 1, plant_limits(&limit, 1));
        bench_bad(&bench, 2, 0);
        assert_true(same_number(expect(&bench, 2, "raised " ALARM " unacknowledged orange")->limit, -4));
        bench_end(&bench);
    }
}

/* No event tells that a reload has taken what a latch held: what was told last stands until one tells another level. */
static void a_latched_limit_that_goes_is_told_until_an_event_tells_another(void **unused)
{
    (void)unused;
    struct davy_limit limits[] = {bench_above(DAVY_LEVEL_ORANGE, 7), bench_above(DAVY_LEVEL_RED, 14)};
    limits[0].latch = limits[1].latch = true;
    for (int shelved = 0; shelved < 2; shelved++) {
        begin(limits, 2);
        bench_good(&bench, 1, 0, 15);
        expect(&bench, 1, "raised " ALARM " unacknowledged red");
        bench_good(&bench, 2, 0, 1);
        expect(&bench, 2, "latched " ALARM " latched red");
        bench_reload(&bench, 3, plant_limits(limits, 1));
        expect_silence(&bench);
        assert_int_equal(bench_view(&bench, ALARM).level, DAVY_LEVEL_RED);
        if (shelved) { /* at orange: red ends the shelf */
            assert_int_equal(bench_command(&bench, 4, DAVY_COMMAND_SHELVE, ALARM), 0);
            expect(&bench, 4, "shelved " ALARM " shelved orange");
            bench_reload(&bench, 5, plant_limits(limits, 2));
            bench_good(&bench, 6, 0, 15);
            expect(&bench, 6, "unshelved " ALARM " latched orange");
            expect(&bench, 6, "raised " ALARM " unacknowledged red");
        } else {
            assert_int_equal(bench_command(&bench, 4, DAVY_COMMAND_RESET, ALARM), 0);
            assert_int_equal(expect(&bench, 4, "reset " ALARM " normal red")->previous_level, DAVY_LEVEL_RED);
        }
        expect_silence(&bench);
        bench_end(&bench);
    }
}

/* The delay is the group's; what the members say now is theirs. */
static struct davy_config *plant_vote(davy_span off_delay)
{
    struct davy_limit limit = bench_above(DAVY_LEVEL_ORANGE, 7);
    limit.off_delay = off_delay;
    struct davy_config *config = plant_limits(&limit, 1);
    config->rules[0].vote = 1;
    config->rules[0].fault_name = "h2s.fault";
    config->rules[0].measure = DAVY_MEASURE_MEAN;
    config->rules[0].options = (struct davy_measure_options){.window = davy_span_s(10), .coverage = 0.75};
    return config;
}

static void a_changed_delay_of_a_vote_has_its_members_judged(void **unused)
{
    (void)unused;
    bench_begin(&bench, plant_vote(davy_span_s(0)));
    bench_good(&bench, 0, 0, 5);
    bench_good(&bench, 9, 0, 50);
    bench_reload(&bench, 12, plant_vote(davy_span_s(0))); /* the same is not judged anew */
    expect_silence(&bench);
    bench_reload(&bench, 13, plant_vote(davy_span_s(5)));
    const struct davy_event *raised = expect(&bench, 13, "raised h2s:_ unacknowledged orange");
    assert_true(same_number(raised->members->list[0].value, (5 * 6 + 50 * 4) / 10.0));
    bench_end(&bench);
}

/* A vote that a reload adds knows which of its members are bad. */
static void a_new_vote_knows_its_bad_members(void **unused)
{
    (void)unused;
    const struct davy_limit limit = bench_above(DAVY_LEVEL_ORANGE, 7);
    struct davy_config *plain = plant_new(2), *vote = plant_new(2);
    plant_add_rule(plain, "other", &limit, 1);
    plant_newest(plain, 0, 1);
    plant_add_rule(vote, "h2s", &limit, 1);
    vote->rules[0].vote = 2;
    vote->rules[0].fault_name = "h2s.fault";
    vote->rules[0].on_bad = DAVY_ON_BAD_TRIP;
    bench_begin(&bench, plain);
    bench.kinds |= 1U << DAVY_ALARM_VOTE_FAULT;
    bench_good(&bench, 1, 0, 5);
    bench_bad(&bench, 2, 1);
    bench_reload(&bench, 3, vote);
    expect(&bench, 3, "raised h2s.fault:_ acknowledged yellow");
    expect_silence(&bench);
    bench_good(&bench, 4, 0, 8);
    expect(&bench, 4, "raised h2s:_ unacknowledged orange");
    bench_end(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reload_of_the_same_is_not_to_be_seen),
        cmocka_unit_test(what_is_added_or_goes_does_not_touch_the_rest),
        cmocka_unit_test(a_changed_limit_raises_at_once_and_never_clears),
        cmocka_unit_test(a_newest_reading_that_is_bad_raises_nothing),
        cmocka_unit_test(running_delays_keep_their_start),
        cmocka_unit_test(a_shorter_off_delay_clears_nothing_that_is_on_the_trip_side),
        cmocka_unit_test(a_tripped_limit_that_goes_retires_lowers_or_leaves),
        cmocka_unit_test(a_latch_holds_over_a_change_until_reset),
        cmocka_unit_test(acknowledgement_and_count_survive_a_change),
        cmocka_unit_test(a_changed_measure_empties_its_window),
        cmocka_unit_test(the_limit_told_is_what_the_last_one_has_become),
        cmocka_unit_test(of_outside_the_bound_on_the_side_that_was_crossed_is_told),
        cmocka_unit_test(of_outside_never_crossed_the_lower_bound_is_told),
        cmocka_unit_test(a_latched_limit_that_goes_is_told_until_an_event_tells_another),
        cmocka_unit_test(a_changed_delay_of_a_vote_has_its_members_judged),
        cmocka_unit_test(a_new_vote_knows_its_bad_members),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
