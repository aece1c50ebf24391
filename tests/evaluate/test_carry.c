/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A restart must not be seen in what an engine says (ARCHITECTURE.md, Storage): one engine runs through, its twin
 * is thrown away at random moments and begun anew from the memories that it told.
 */
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "evaluate/engine.h"
#include "support/cmocka_all.h"
#include "support/plant.h"
#include "support/seed.h"

#define POINTS  3
#define RULES   2
#define LEVELS  3
#define KEYS    (POINTS * (RULES + 1) + POINTS + 8)
#define EVENTS  512
#define STEPS   60
#define ROUNDS  500
#define TICK_NS (DAVY_NS_PER_S / 2)

/* What a store of memories would hold. */
struct store {
    struct davy_alarm_memory memories[KEYS];
    size_t count;
};

struct twin {
    struct davy_engine *engine;
    struct store store;
    struct davy_event events[EVENTS]; /* of rules */
    size_t count;
};

struct round {
    struct davy_random random;
    struct davy_config *config;
    struct twin through, restarted;
    bool tell_all;     /* memories are asked for at the restart, not only those that were told */
    bool any_time;     /* restarts also while an off-delay runs */
    int64_t ticks;     /* now */
    unsigned restarts; /* done */
};

static unsigned below(struct round *round, unsigned bound)
{
    return (unsigned)(davy_random_next(&round->random) % bound);
}

static struct davy_stamp at_tick(int64_t tick)
{
    return (struct davy_stamp){.mono = {(tick + 10) * TICK_NS}, .wall = {1700000000 * DAVY_NS_PER_S + tick * TICK_NS}};
}

static void on_event(void *context, const struct davy_event *event)
{
    struct twin *twin = context;
    if (event->subject.kind != DAVY_ALARM_RULE)
        return;
    assert_true(twin->count < EVENTS);
    twin->events[twin->count++] = *event;
}

/* Like the ledger, which forgets an alarm at rest. */
static bool worth_keeping(const struct davy_alarm_memory *memory)
{
    bool keep = memory->state != DAVY_STATE_NORMAL;
    for (size_t l = 0; l < memory->limit_count; l++) {
        const struct davy_limit_memory *limit = &memory->limits[l];
        keep = keep || limit->tripped || limit->held || limit->timer != DAVY_TIMER_NONE;
    }
    return keep;
}

static bool on_memory(void *context, const struct davy_alarm_memory *memory)
{
    struct store *store = &((struct twin *)context)->store;
    size_t i = 0;
    while (i < store->count && strcmp(store->memories[i].key, memory->key) != 0)
        i++;
    assert_true(i < KEYS);
    if (worth_keeping(memory)) {
        store->memories[i] = *memory;
        store->count += i == store->count;
    } else if (i < store->count) {
        store->memories[i] = store->memories[--store->count];
    }
    return true;
}

/* The same id for the same instant, so that ids can be compared too. */
static struct davy_uuid on_new_id(void *context, davy_wall t)
{
    (void)context;
    return davy_uuid_v7(t, 7, 7);
}

static void new_engine(struct twin *twin, const struct davy_config *config)
{
    struct davy_engine_options options = {
        .config = config, .event = on_event, .memory = on_memory, .new_id = on_new_id, .context = twin};
    assert_int_equal(davy_engine_new(&options, &twin->engine), 0);
}

static davy_span any_delay(struct round *round)
{
    return (davy_span){below(round, 2) ? 0 : (int64_t)below(round, 12) * TICK_NS};
}

static void add_rule(struct round *round, const char *name, unsigned limit_count)
{
    struct davy_limit limits[LEVELS];
    for (unsigned i = 0; i < limit_count; i++) {
        limits[i] = (struct davy_limit){.level = (enum davy_level)(DAVY_LEVEL_YELLOW + i),
                                        .condition = DAVY_CONDITION_ABOVE,
                                        .a = 5 + 5 * i,
                                        .deadband = below(round, 3),
                                        .on_delay = any_delay(round),
                                        .off_delay = any_delay(round),
                                        .latch = below(round, 3) == 0,
                                        .acknowledge = below(round, 4) != 0,
                                        .trip_on_fault = below(round, 6) == 0};
    }
    if (below(round, 4) == 0) {
        limits[0].condition = DAVY_CONDITION_OUTSIDE;
        limits[0].a = 2;
        limits[0].b = 5;
    }
    plant_add_rule(round->config, name, limits, limit_count);
}

static void begin(struct round *round, uint64_t seed, bool any_time)
{
    memset(round, 0, sizeof *round);
    round->random.state = seed;
    round->any_time = any_time;
    round->tell_all = below(round, 2);
    round->config = plant_new(POINTS);
    add_rule(round, "one", 1 + below(round, LEVELS));
    add_rule(round, "two", 1 + below(round, LEVELS));
    new_engine(&round->through, round->config);
    new_engine(&round->restarted, round->config);
    davy_engine_start(round->through.engine, at_tick(0), false);
    davy_engine_start(round->restarted.engine, at_tick(0), false);
}

static void end(struct round *round)
{
    davy_engine_free(round->through.engine);
    davy_engine_free(round->restarted.engine);
    davy_config_unref(round->config);
}

static struct davy_reading any_reading(struct round *round)
{
    static const enum davy_reason reasons[] = {DAVY_REASON_MAINTENANCE, DAVY_REASON_SETTLING, DAVY_REASON_NO_STATUS,
                                               DAVY_REASON_OVER_RANGE,  DAVY_REASON_WARM_UP,  DAVY_REASON_CALIBRATION,
                                               DAVY_REASON_COMM,        DAVY_REASON_STALE};
    enum davy_reason reason = below(round, 4) ? DAVY_REASON_NONE : reasons[below(round, DAVY_LENGTH(reasons))];
    bool bad = davy_reason_quality(reason) == DAVY_QUALITY_BAD;
    return (struct davy_reading){.point = below(round, POINTS),
                                 .quality = davy_reason_quality(reason),
                                 .reason = reason,
                                 .has_value = !bad,
                                 .value = bad ? 0 : below(round, 18),
                                 .at = at_tick(round->ticks)};
}

static int give_command(struct twin *twin, const struct davy_command *command, struct davy_stamp now)
{
    char reason[192];
    return davy_engine_command(twin->engine, command, now, NULL, reason, sizeof reason);
}

static void any_command(struct round *round)
{
    struct davy_command command = {.verb = below(round, 2) ? DAVY_COMMAND_ACK : DAVY_COMMAND_RESET, .by = "local:test"};
    snprintf(command.alarm, sizeof command.alarm, "%s:GT-10%u.h2s", below(round, 2) ? "one" : "two",
             1 + below(round, POINTS));
    struct davy_stamp now = at_tick(round->ticks);
    int here = give_command(&round->through, &command, now);
    int there = give_command(&round->restarted, &command, now);
    if (!round->any_time)
        assert_int_equal(here, there);
}

static bool off_delay_runs(const struct store *store)
{
    for (size_t i = 0; i < store->count; i++)
        for (size_t l = 0; l < store->memories[i].limit_count; l++)
            if (store->memories[i].limits[l].timer == DAVY_TIMER_OFF)
                return true;
    return false;
}

/* A due timer may not have fired yet: the new engine fires it, at its due time. */
static void restart(struct round *round)
{
    struct twin *twin = &round->restarted;
    if (!round->any_time && off_delay_runs(&twin->store))
        return;
    if (round->tell_all)
        davy_engine_tell_all(twin->engine);
    davy_engine_free(twin->engine);
    new_engine(twin, round->config);
    struct store before = twin->store;
    for (size_t i = 0; i < before.count; i++) {
        assert_true(davy_engine_knows(twin->engine, before.memories[i].key));
        davy_engine_restore(twin->engine, &before.memories[i], at_tick(round->ticks));
    }
    davy_engine_start(twin->engine, at_tick(round->ticks), false);
    round->restarts++;
}

static void step(struct round *round)
{
    round->ticks += below(round, 5);
    if (below(round, 6) == 0)
        restart(round);
    round->ticks += below(round, 3);
    if (below(round, 6) == 0) {
        any_command(round);
        return;
    }
    struct davy_reading reading = any_reading(round);
    davy_engine_reading(round->through.engine, &reading);
    davy_engine_reading(round->restarted.engine, &reading);
}

static void say(const char *who, const struct davy_event *event)
{
    print_error("%s: tick %lld rule %u point %u %s -> %s, level %d, count %u, value %g, first out %d, quality %d %d, "
                "limit %g (%u), %s%s%s, raised %lld\n",
                who, (long long)(event->at.mono.ns / TICK_NS - 10), event->subject.rule, event->subject.point,
                davy_event_name(event->type), davy_state_name(event->state), (int)event->level, event->count,
                event->value, event->first_out, (int)event->quality, (int)event->reason, event->limit,
                event->limit_index, event->active ? "active " : "", event->latched ? "latched " : "",
                event->uncertain ? "uncertain " : "", (long long)event->raised_at.ns);
}

static bool same_transition(const struct davy_event *a, const struct davy_event *b)
{
    return memcmp(&a->subject, &b->subject, sizeof a->subject) == 0 && a->type == b->type && a->state == b->state &&
           a->previous_state == b->previous_state && a->level == b->level && a->previous_level == b->previous_level &&
           a->at.mono.ns == b->at.mono.ns && a->at.wall.ns == b->at.wall.ns && a->count == b->count &&
           memcmp(&a->id, &b->id, sizeof a->id) == 0;
}

/* A bad reading that counts as a trip has crossed no bound; which one is named was lost with an alarm at rest. */
static bool same_limit(const struct davy_event *a, const struct davy_event *b)
{
    bool names_either = a->condition == DAVY_CONDITION_OUTSIDE && a->quality == DAVY_QUALITY_BAD;
    return a->limit_index == b->limit_index && a->condition == b->condition &&
           (names_either || (a->limit <= b->limit && a->limit >= b->limit));
}

static bool same_facts(const struct davy_event *a, const struct davy_event *b)
{
    return a->active == b->active && a->acknowledged == b->acknowledged && a->latched == b->latched &&
           a->uncertain == b->uncertain && a->first_out == b->first_out && a->ends == b->ends &&
           a->raised_at.ns == b->raised_at.ns && same_limit(a, b) && strcmp(a->by, b->by) == 0;
}

/* Only an alarm that is not at rest has a memory, so the last value of one at rest is lost, and nobody misses it. */
static bool same_evidence(const struct davy_event *a, const struct davy_event *b)
{
    bool same_value = !b->has_value || (a->has_value && a->value <= b->value && a->value >= b->value);
    return same_value && a->quality == b->quality && a->reason == b->reason;
}

static void compare(const struct round *round, uint64_t seed)
{
    const struct twin *a = &round->through, *b = &round->restarted;
    for (size_t i = 0; i < a->count || i < b->count; i++) {
        bool same = i < a->count && i < b->count && same_transition(&a->events[i], &b->events[i]) &&
                    same_facts(&a->events[i], &b->events[i]) &&
                    (!round->tell_all || same_evidence(&a->events[i], &b->events[i]));
        if (same)
            continue;
        if (i < a->count)
            say("through", &a->events[i]);
        if (i < b->count)
            say("restarted", &b->events[i]);
        fail_msg("event %zu differs, DAVY_SEED=%llu", i, (unsigned long long)seed);
    }
}

static void a_restart_between_readings_changes_no_event(void **unused)
{
    (void)unused;
    uint64_t first = davy_test_seed(1);
    static struct round round;
    unsigned restarts = 0;
    size_t events = 0;
    for (uint64_t seed = first; seed < first + ROUNDS; seed++) {
        begin(&round, seed, false);
        for (int i = 0; i < STEPS; i++)
            step(&round);
        davy_engine_advance(round.through.engine, at_tick(round.ticks + 1000));
        davy_engine_advance(round.restarted.engine, at_tick(round.ticks + 1000));
        compare(&round, seed);
        restarts += round.restarts;
        events += round.through.count;
        end(&round);
    }
    assert_true(restarts > ROUNDS);
    assert_true(events > 5 * ROUNDS);
}

/* The alarm of the restarted twin is never at a lower level than the one that ran through. */
static void check_level(const struct round *round, uint64_t seed)
{
    for (size_t i = 0; i < davy_engine_alarm_count(round->through.engine); i++) {
        struct davy_alarm_view a, b;
        davy_engine_alarm(round->through.engine, i, &a);
        davy_engine_alarm(round->restarted.engine, i, &b);
        if (a.subject.kind != DAVY_ALARM_RULE || (a.active <= b.active && (!a.active || a.level <= b.level)))
            continue;
        fail_msg("alarm %zu is at level %d without a restart, %d with, tick %lld, DAVY_SEED=%llu", i, (int)a.level,
                 (int)b.level, (long long)round->ticks, (unsigned long long)seed);
    }
}

static void a_restart_while_an_off_delay_runs_only_ends_it_later(void **unused)
{
    (void)unused;
    uint64_t first = davy_test_seed(1);
    static struct round round;
    unsigned during = 0;
    for (uint64_t seed = first; seed < first + ROUNDS; seed++) {
        begin(&round, seed, true);
        for (int i = 0; i < STEPS; i++) {
            during += off_delay_runs(&round.restarted.store);
            step(&round);
            davy_engine_advance(round.through.engine, at_tick(round.ticks));
            davy_engine_advance(round.restarted.engine, at_tick(round.ticks));
            check_level(&round, seed);
        }
        end(&round);
    }
    assert_true(during > ROUNDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_restart_between_readings_changes_no_event),
        cmocka_unit_test(a_restart_while_an_off_delay_runs_only_ends_it_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
