/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An engine on the bench: readings and commands by the second, events as sentences, and a store of memories like the
 * ledger's, over which it can be restarted. Time t seconds is mono t + 1000 s.
 */
#pragma once

#include <stdio.h>
#include <string.h>

#include "evaluate/engine.h"
#include "support/cmocka_all.h"
#include "support/plant.h"
#include "support/store.h"

#define BENCH_EVENTS   512
#define BENCH_SENTENCE (DAVY_KEY_SIZE + 64)

struct bench {
    struct davy_config *config; /* the latest; owned */
    struct davy_config *next;   /* of a reload that is under way */
    struct davy_engine *engine;
    unsigned kinds; /* bit set of davy_alarm_kind whose events are kept; of rules by default */
    struct davy_event events[BENCH_EVENTS];
    char said[BENCH_EVENTS][BENCH_SENTENCE]; /* "raised h2s:GT-101.h2s unacknowledged red" */
    size_t count;
    size_t told; /* those that the case has asked for */
    struct store store;
    struct davy_stamp now;
    char refusal[192]; /* of the last command */
};

static inline struct davy_stamp bench_at(double seconds)
{
    int64_t ns = (int64_t)(seconds * 1e9);
    return (struct davy_stamp){.mono = {ns + 1000 * DAVY_NS_PER_S}, .wall = {ns + 1700000000 * DAVY_NS_PER_S}};
}

static inline void bench_on_event(void *context, const struct davy_event *event)
{
    struct bench *bench = context;
    char key[DAVY_KEY_SIZE];
    const char *level = davy_level_name(event->level);
    davy_subject_key(bench->config, &event->subject, key);
    store_event(&bench->store, event, key);
    if (!(bench->kinds & 1U << event->subject.kind))
        return;
    assert_true(bench->count < BENCH_EVENTS);
    struct davy_event *copy = &bench->events[bench->count];
    *copy = *event;
    davy_members_ref(copy->members);
    snprintf(bench->said[bench->count++], BENCH_SENTENCE, "%s %s %s %s", davy_event_name(event->type), key,
             davy_state_name(event->state), level ? level : "-");
}

static inline bool bench_on_memory(void *context, const struct davy_alarm_memory *memory)
{
    struct bench *bench = context;
    store_memory(&bench->store, memory, bench->now);
    return true;
}

static inline struct davy_uuid bench_on_id(void *context, davy_wall t)
{
    struct bench *bench = context;
    return davy_uuid_v7(t, 7, ++bench->store.ids);
}

static inline void bench_build(struct bench *bench)
{
    struct davy_engine_options options = {.config = bench->config,
                                          .event = bench_on_event,
                                          .memory = bench_on_memory,
                                          .new_id = bench_on_id,
                                          .context = bench};
    assert_int_equal(davy_engine_new(&options, &bench->engine), 0);
}

/* Takes the configuration. Starts at 0 s. */
static inline void bench_begin(struct bench *bench, struct davy_config *config)
{
    memset(bench, 0, sizeof *bench);
    bench->config = config;
    bench->kinds = 1U << DAVY_ALARM_RULE;
    bench->now = bench_at(0);
    bench_build(bench);
    davy_engine_start(bench->engine, bench->now, false);
}

static inline void bench_end(struct bench *bench)
{
    for (size_t i = 0; i < bench->count; i++)
        davy_members_unref(bench->events[i].members);
    davy_engine_free(bench->engine);
    davy_config_unref(bench->config);
}

static inline void bench_read(struct bench *bench, double seconds, uint32_t point, double value,
                              enum davy_reason reason)
{
    bool valued = davy_reason_quality(reason) != DAVY_QUALITY_BAD;
    bench->now = bench_at(seconds);
    struct davy_reading reading = {.point = point,
                                   .quality = davy_reason_quality(reason),
                                   .reason = reason,
                                   .has_value = valued,
                                   .value = valued ? value : 0,
                                   .at = bench->now};
    davy_engine_reading(bench->engine, &reading);
}

static inline void bench_good(struct bench *bench, double seconds, uint32_t point, double value)
{
    bench_read(bench, seconds, point, value, DAVY_REASON_NONE);
}

static inline void bench_bad(struct bench *bench, double seconds, uint32_t point)
{
    bench_read(bench, seconds, point, 0, DAVY_REASON_COMM);
}

static inline void bench_advance(struct bench *bench, double seconds)
{
    bench->now = bench_at(seconds);
    davy_engine_advance(bench->engine, bench->now);
}

/* 0 or DAVY_REFUSED. `duration` is of a shelf. */
static inline int bench_command_for(struct bench *bench, double seconds, enum davy_command_verb verb, const char *alarm,
                                    davy_span duration, const char *note)
{
    struct davy_command command = {.verb = verb, .duration = duration, .by = "local:test"};
    char *reason = bench->refusal;
    reason[0] = '\0';
    snprintf(command.alarm, sizeof command.alarm, "%s", alarm);
    snprintf(command.note, sizeof command.note, "%s", note);
    bench->now = bench_at(seconds);
    size_t before = bench->count;
    int result = davy_engine_command(bench->engine, &command, bench->now, NULL, reason, sizeof bench->refusal);
    assert_true(result == 0 || (result == DAVY_REFUSED && reason[0]));
    for (size_t i = before; result == DAVY_REFUSED && i < bench->count; i++)
        assert_string_equal(bench->events[i].by, "");
    return result;
}

static inline int bench_command(struct bench *bench, double seconds, enum davy_command_verb verb, const char *alarm)
{
    return bench_command_for(bench, seconds, verb, alarm, davy_span_s(3600), "because");
}

static inline int bench_ack(struct bench *bench, double seconds, const char *alarm)
{
    return bench_command(bench, seconds, DAVY_COMMAND_ACK, alarm);
}

/* The next event that was not asked for yet is this one, at this instant. */
#define expect(bench, seconds, sentence) bench_expect(bench, seconds, sentence, __FILE__, __LINE__)
static inline const struct davy_event *bench_expect(struct bench *bench, double seconds, const char *sentence,
                                                    const char *file, int line)
{
    if (bench->told >= bench->count) {
        print_error("no event, where \"%s\" should be\n", sentence);
        _fail(file, line);
    }
    const struct davy_event *event = &bench->events[bench->told];
    const char *said = bench->said[bench->told++];
    if (strcmp(said, sentence) != 0 || event->at.mono.ns != bench_at(seconds).mono.ns ||
        event->at.wall.ns != bench_at(seconds).wall.ns) {
        print_error("%f s: \"%s\" where \"%s\" should be\n",
                    (double)(event->at.mono.ns - bench_at(0).mono.ns) / (double)DAVY_NS_PER_S, said, sentence);
        _fail(file, line);
    }
    return event;
}

/* Nothing more was said. */
#define expect_silence(bench) bench_expect_silence(bench, __FILE__, __LINE__)
static inline void bench_expect_silence(struct bench *bench, const char *file, int line)
{
    for (size_t i = bench->told; i < bench->count; i++)
        print_error("also said: %s\n", bench->said[i]);
    if (bench->told < bench->count)
        _fail(file, line);
}

/* What there is of an alarm. */
static inline struct davy_alarm_view bench_view(const struct bench *bench, const char *alarm)
{
    struct davy_alarm_view view;
    char key[DAVY_KEY_SIZE];
    for (size_t i = 0; i < davy_engine_alarm_count(bench->engine); i++) {
        davy_engine_alarm(bench->engine, i, &view);
        if (strcmp(davy_subject_key(bench->config, &view.subject, key), alarm) == 0)
            return view;
    }
    fail_msg("no alarm %s", alarm);
    return view;
}

/* Killed, and begun again at this time from what it had told. */
static inline void bench_restart(struct bench *bench, double seconds)
{
    static struct store before;
    davy_engine_free(bench->engine);
    bench->now = bench_at(seconds);
    bench_build(bench);
    before = bench->store;
    store_restore(&before, bench->engine, bench->now);
    davy_engine_start(bench->engine, bench->now, false);
}

static inline void bench_switched(void *context)
{
    struct bench *bench = context;
    davy_config_unref(bench->config);
    bench->config = bench->next;
}

/* Takes the configuration. */
static inline void bench_reload(struct bench *bench, double seconds, struct davy_config *config)
{
    bench->now = bench_at(seconds);
    bench->next = config;
    assert_int_equal(davy_engine_reload(bench->engine, config, bench->now, bench_switched), 0);
}

/* A limit `above` that needs an acknowledgement and may be shelved. */
static inline struct davy_limit bench_above(enum davy_level level, double bound)
{
    return (struct davy_limit){
        .level = level, .condition = DAVY_CONDITION_ABOVE, .a = bound, .acknowledge = true, .shelvable = true};
}

/* Of a configuration being built: `when` of a rule, on one point for all of the rule's. */
static inline void bench_when(struct davy_config *config, size_t rule, uint32_t point, double equals, davy_span hold)
{
    uint32_t *points = davy_config_alloc(config, config->point_count, sizeof *points);
    for (size_t i = 0; i < config->point_count; i++)
        points[i] = point;
    config->rules[rule].when =
        (struct davy_when){.points = points, .condition = DAVY_CONDITION_EQUALS, .value = equals, .hold = hold};
}

/* Of a configuration being built: a rule only watches `count` points from `first` on. */
static inline void bench_points(struct davy_config *config, size_t rule, size_t first, size_t count)
{
    config->rules[rule].points += first;
    config->rules[rule].point_count = count;
}
