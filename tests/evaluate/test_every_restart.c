/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A restart after any event must not be seen in what comes after (ARCHITECTURE.md, Storage). One engine runs through.
 * At each of its causes that made an event a twin is begun anew from what a ledger would hold, as if the first had been
 * killed there; it goes on for the next LOOK events, every FULL-th one to the end.
 */
#include "support/random_plant.h"
#include "support/seed.h"

#define INPUTS 3200
#define LOOK   60 /* events */
#define FULL   40

static struct store store;

/* A restart right after the cause, or just before the next input, what falls due meanwhile being told at the start. */
enum moment { AT_ONCE, LATER, MOMENTS };

struct trial {
    uint64_t seed;
    struct davy_config *config;
    struct input *inputs;
    struct run through; /* all of it */
    unsigned twins;
};

static void run_through(struct trial *trial, uint64_t seed, davy_span off_delay, davy_span hold)
{
    *trial = (struct trial){.seed = seed, .config = random_plant_new(off_delay, hold)};
    trial->inputs = random_course(seed, INPUTS);
    run_init(&trial->through, trial->config, NULL, false);
    davy_engine_start(trial->through.engine, plant_at(0), false);
    for (size_t i = 0; i < INPUTS; i++)
        run_step(&trial->through, &trial->inputs[i]);
}

static void end(struct trial *trial)
{
    run_free(&trial->through);
    free(trial->inputs);
    davy_config_unref(trial->config);
}

static void fail_at(const struct trial *trial, size_t killed, const struct kept_event *a, const struct kept_event *b)
{
    print_kept("killed after", &trial->through.events[killed - 1]);
    if (a)
        print_kept("through", a);
    if (b)
        print_kept("restarted", b);
    fail_msg("restarted after event %zu of %zu, DAVY_SEED=%llu", killed, trial->through.count,
             (unsigned long long)trial->seed);
}

/*
 * What was read last is only kept with what else changes of an alarm, and not at all at rest: value, quality and reason
 * are the same once the twin has read the point.
 */
static bool same_event(const struct run *twin, const struct kept_event *a, const struct kept_event *b)
{
    const struct davy_subject *subject = &a->event.subject;
    bool of_point = subject->point != DAVY_NONE;
    bool applies = subject->kind != DAVY_ALARM_RULE || !twin->config->rules[subject->rule].when.points;
    if (!same_transition(a, b) || !same_facts(&a->event, &b->event))
        return false;
    if (!same_members(a->event.members, b->event.members))
        return false;
    if (of_point && b->was_read && !same_quality(&a->event, &b->event))
        return false;
    if (subject->kind != DAVY_ALARM_RULE || davy_uuid_is_nil(&a->event.id))
        return true;
    return (of_point && (!b->was_evaluated || !applies)) || same_value(&a->event, &b->event);
}

/* Every event of the twin is the next of the run. */
static void compare_exactly(const struct trial *trial, size_t killed, const struct run *twin)
{
    for (size_t i = 0; i < twin->count; i++) {
        const struct kept_event *a = killed + i < trial->through.count ? &trial->through.events[killed + i] : NULL;
        if (!a || !same_event(twin, a, &twin->events[i]))
            fail_at(trial, killed, a, &twin->events[i]);
    }
}

/*
 * The twin of the engine that was killed at `now`, when `killed` events were out and the timers and inputs before
 * `next` were through.
 */
static void begin_twin(struct trial *trial, struct run *twin, struct davy_stamp now)
{
    run_init(twin, trial->config, NULL, false);
    twin->now = now;
    store_restore(&store, twin->engine, now);
    davy_engine_start(twin->engine, now, false);
    trial->twins++;
}

static void try_restart(struct trial *trial, size_t next, size_t killed, struct davy_stamp now)
{
    enum moment moment = (enum moment)(killed % MOMENTS);
    size_t events = killed % FULL == 0 ? SIZE_MAX : LOOK;
    struct run twin;
    begin_twin(trial, &twin, moment == AT_ONCE || next >= INPUTS ? now : trial->inputs[next].at);
    size_t i = next;
    for (; i < INPUTS && twin.count < events; i++)
        run_step(&twin, &trial->inputs[i]);
    compare_exactly(trial, killed, &twin);
    if (i == INPUTS && twin.count != trial->through.count - killed)
        fail_at(trial, killed, &trial->through.events[killed + twin.count], NULL);
    run_free(&twin);
}

/* Calls `each` after every cause that made an event, with the store as it is then. */
static void at_every_event(struct trial *trial,
                           void (*each)(struct trial *trial, size_t next, size_t killed, struct davy_stamp now))
{
    struct run run;
    memset(&store, 0, sizeof store);
    run_init(&run, trial->config, &store, false);
    davy_engine_start(run.engine, plant_at(0), false);
    for (size_t i = 0; i < INPUTS; i++) {
        for (;;) {
            size_t before = run.count;
            bool timer = run_timer(&run, &trial->inputs[i]);
            if (!timer)
                run_input(&run, &trial->inputs[i]);
            if (run.count > before)
                each(trial, timer ? i : i + 1, run.count, run.now);
            if (!timer)
                break;
        }
    }
    assert_int_equal(run.count, trial->through.count);
    run_free(&run);
}

static void a_restart_after_any_event_changes_none_of_the_next(void **unused)
{
    (void)unused;
    struct trial trial;
    unsigned types = 0, kinds = 0;
    uint64_t seed = davy_test_seed(1);
    run_through(&trial, seed, davy_span_s(0), davy_span_s(0));
    print_message("%zu events\n", trial.through.count);
    at_every_event(&trial, try_restart);
    for (size_t i = 0; i < trial.through.count; i++) {
        types |= 1U << trial.through.events[i].event.type;
        kinds |= 1U << trial.through.events[i].event.subject.kind;
    }
    print_message("%u restarts\n", trial.twins);
    assert_true(trial.through.count >= 2000);
    assert_true(trial.twins >= 1000);
    assert_int_equal(types, ((1U << DAVY_EVENT_COUNT_) - 1) & ~(1U << DAVY_EVENT_RETIRED));
    assert_int_equal(kinds, 1U << DAVY_ALARM_RULE | 1U << DAVY_ALARM_VOTE_FAULT | 1U << DAVY_ALARM_FLOOD |
                                1U << DAVY_ALARM_CHATTER);
    end(&trial);
}

/*
 * What follows is of off-delays and `when` with `for`, which stand still over a restart: alarms may only last longer.
 */

#define FEW_INPUTS 1500
#define CAUSES     (8 * FEW_INPUTS)
#define LOOK_ON    300 /* causes */
#define ALARMS     96

/* How the engine that runs through stands after each of its causes. */
struct cause {
    const struct input *input; /* NULL: a timer */
    davy_mono at;
    uint8_t active[ALARMS]; /* levels; 0 where none is active */
    bool told;              /* it made an event */
};

struct history {
    struct davy_config *config;
    struct cause *causes;
    size_t count, alarms;
    uint64_t longer,
        active; /* how often an alarm of a twin was active where that of the run was not; and was in both */
    unsigned twins;
};

/* Of alarms whose level does not depend on what occurrences there were before. */
static uint8_t active_level(const struct davy_config *config, const struct davy_engine *engine, size_t alarm)
{
    struct davy_alarm_view view;
    davy_engine_alarm(engine, alarm, &view);
    if (view.subject.kind != DAVY_ALARM_RULE || !view.active)
        return 0;
    const struct davy_rule *rule = &config->rules[view.subject.rule];
    return rule->step_count == 0 && rule->measure == DAVY_MEASURE_VALUE ? (uint8_t)view.level : 0;
}

static void check_longer(struct history *history, const struct run *twin, size_t killed, size_t now, uint64_t seed)
{
    for (size_t i = 0; i < history->alarms; i++) {
        uint8_t here = history->causes[now].active[i];
        uint8_t there = active_level(history->config, twin->engine, i);
        history->longer += there > here;
        history->active += here > 0;
        if (there < here)
            fail_msg("alarm %zu is at level %u through, %u restarted; %.3f s, restarted at %.3f s, DAVY_SEED=%llu", i,
                     here, there, (double)(history->causes[now].at.ns - plant_at(0).mono.ns) / 1e9,
                     (double)(history->causes[killed].at.ns - plant_at(0).mono.ns) / 1e9, (unsigned long long)seed);
    }
}

static void follow(struct run *run, const struct cause *cause)
{
    if (cause->input)
        run_step(run, cause->input);
    else
        run_advance(run, cause->at);
}

/* Killed after this cause; restarted at once, or with the next input. */
static void try_longer(struct history *history, size_t killed, uint64_t seed)
{
    size_t next = killed + 1;
    size_t last = killed % FULL == 0 ? history->count : next + LOOK_ON;
    struct davy_stamp now = plant_at(0);
    while (killed % MOMENTS == LATER && next < history->count && !history->causes[next].input)
        next++;
    if (next >= history->count)
        return;
    davy_mono at = history->causes[killed % MOMENTS == LATER ? next : killed].at;
    now.wall.ns += at.ns - now.mono.ns;
    now.mono = at;
    struct run twin;
    run_init(&twin, history->config, NULL, false);
    twin.now = now;
    store_restore(&store, twin.engine, now);
    davy_engine_start(twin.engine, now, false);
    for (size_t i = next; i < last && i < history->count; i++) {
        follow(&twin, &history->causes[i]);
        check_longer(history, &twin, killed, i, seed);
    }
    history->twins++;
    run_free(&twin);
}

static void note_cause(struct history *history, const struct run *run, const struct input *input, bool told)
{
    assert_true(history->count < CAUSES);
    struct cause *cause = &history->causes[history->count++];
    *cause = (struct cause){.input = input, .at = run->now.mono, .told = told};
    for (size_t i = 0; i < history->alarms; i++)
        cause->active[i] = active_level(history->config, run->engine, i);
}

/* Through all causes; `each` after every one that made an event. */
static void through_causes(struct history *history, struct input *inputs,
                           void (*each)(struct history *history, size_t killed, uint64_t seed), uint64_t seed)
{
    struct run run;
    size_t cause = 0;
    memset(&store, 0, sizeof store);
    run_init(&run, history->config, &store, false);
    history->alarms = davy_engine_alarm_count(run.engine);
    assert_true(history->alarms <= ALARMS);
    davy_engine_start(run.engine, plant_at(0), false);
    for (size_t i = 0; i < FEW_INPUTS;) {
        size_t before = run.count;
        bool timer = run_timer(&run, &inputs[i]);
        if (!timer)
            run_input(&run, &inputs[i++]);
        if (!each)
            note_cause(history, &run, timer ? NULL : &inputs[i - 1], run.count > before);
        else if (run.count > before)
            each(history, cause, seed);
        cause++;
    }
    run_free(&run);
}

static void with_off_delays_and_for_alarms_only_last_longer(void **unused)
{
    (void)unused;
    uint64_t seed = davy_test_seed(1);
    struct history history = {.config = random_plant_new(davy_span_s(7), davy_span_ms(4500))};
    history.causes = calloc(CAUSES, sizeof *history.causes);
    struct input *inputs = random_course(seed, FEW_INPUTS);
    assert_non_null(history.causes);
    for (size_t i = 0; i < history.config->rule_count; i++)
        history.config->rules[i].step_count = 0;
    for (size_t i = 0; i < FEW_INPUTS; i++) /* what a reset is refused by may last longer, too */
        if (inputs[i].is_command && inputs[i].command.verb == DAVY_COMMAND_RESET)
            inputs[i].command.verb = DAVY_COMMAND_ACK;
    through_causes(&history, inputs, NULL, seed);
    through_causes(&history, inputs, try_longer, seed);
    print_message("%u restarts, %llu active, %llu longer\n", history.twins, (unsigned long long)history.active,
                  (unsigned long long)history.longer);
    assert_true(history.twins > 500);
    assert_true(history.active > 10000);
    assert_true(history.longer > 100);
    free(inputs);
    free(history.causes);
    davy_config_unref(history.config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(with_off_delays_and_for_alarms_only_last_longer),
        cmocka_unit_test(a_restart_after_any_event_changes_none_of_the_next),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
