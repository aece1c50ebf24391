/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a ledger keeps of an engine: the memories that are worth it, with the time of storing, the raises of rules and
 * the readings; and how a new engine gets them back. The boot is the same, the wall clock did not go backwards.
 */
#pragma once

#include <string.h>

#include "evaluate/engine.h"
#include "support/cmocka_all.h"

#define STORE_MEMORIES 128
#define STORE_RAISES   8192
#define STORE_READINGS 16384

struct stored_memory {
    struct davy_alarm_memory memory;
    struct davy_stamp at;
};

struct stored_raise {
    char key[DAVY_KEY_SIZE];
    struct davy_stamp at;
};

struct store {
    struct stored_memory memories[STORE_MEMORIES];
    size_t memory_count;
    struct stored_raise raises[STORE_RAISES];
    size_t raise_count;
    struct davy_reading readings[STORE_READINGS];
    size_t reading_count;
    uint64_t ids; /* given so far */
};

/* As src/record/memory.c: an alarm at rest is forgotten. */
static inline bool store_keeps(const struct davy_alarm_memory *memory)
{
    bool keep = !davy_uuid_is_nil(&memory->id) || memory->state != DAVY_STATE_NORMAL || memory->unwell;
    keep = keep || memory->when_false || memory->when_since.mono.ns != 0;
    keep = keep || memory->out_of_service || memory->shelved_until.mono.ns != 0;
    keep = keep || memory->steps_done != 0 || memory->floor != DAVY_LEVEL_NONE;
    for (size_t i = 0; i < memory->limit_count; i++) {
        const struct davy_limit_memory *limit = &memory->limits[i];
        keep = keep || limit->tripped || limit->held || limit->timer != DAVY_TIMER_NONE;
    }
    return keep;
}

static inline void store_memory(struct store *store, const struct davy_alarm_memory *memory, struct davy_stamp now)
{
    size_t i = 0;
    while (i < store->memory_count && strcmp(store->memories[i].memory.key, memory->key) != 0)
        i++;
    bool keep = store_keeps(memory);
    if (!keep && i < store->memory_count)
        store->memories[i] = store->memories[--store->memory_count];
    if (!keep)
        return;
    assert_true(i < STORE_MEMORIES);
    store->memory_count += i == store->memory_count;
    store->memories[i] = (struct stored_memory){*memory, now};
}

static inline void store_event(struct store *store, const struct davy_event *event, const char *key)
{
    if (event->type != DAVY_EVENT_RAISED || event->subject.kind != DAVY_ALARM_RULE)
        return;
    assert_true(store->raise_count < STORE_RAISES);
    struct stored_raise *raise = &store->raises[store->raise_count++];
    memcpy(raise->key, key, DAVY_KEY_SIZE);
    raise->at = event->at;
}

static inline void store_reading(struct store *store, const struct davy_reading *reading)
{
    assert_true(store->reading_count < STORE_READINGS);
    store->readings[store->reading_count++] = *reading;
}

/* What stands still while nobody looks: an off-delay, and a `when` that is going false. */
static inline struct davy_stamp store_stand(struct davy_stamp start, struct davy_stamp stored, struct davy_stamp now)
{
    start.mono.ns += now.mono.ns - stored.mono.ns;
    start.wall.ns += now.wall.ns - stored.wall.ns;
    return start;
}

static inline struct davy_alarm_memory store_over(const struct stored_memory *stored, struct davy_stamp now)
{
    struct davy_alarm_memory memory = stored->memory;
    for (size_t i = 0; i < memory.limit_count; i++)
        if (memory.limits[i].timer == DAVY_TIMER_OFF)
            memory.limits[i].started = store_stand(memory.limits[i].started, stored->at, now);
    if (memory.when_since.mono.ns != 0 && !memory.when_false)
        memory.when_since = store_stand(memory.when_since, stored->at, now);
    return memory;
}

/* Into a new engine, which is then to be started at `now`. */
static inline void store_restore(const struct store *store, struct davy_engine *engine, struct davy_stamp now)
{
    for (size_t i = 0; i < store->memory_count; i++) {
        struct davy_alarm_memory memory = store_over(&store->memories[i], now);
        davy_engine_restore(engine, &memory, now);
    }
    for (size_t i = 0; i < store->reading_count; i++) {
        const struct davy_reading *reading = &store->readings[i];
        davy_span back = davy_engine_reading_lookback(engine, reading->point);
        if (davy_mono_sub(now.mono, reading->at.mono).ns <= back.ns)
            davy_engine_past_reading(engine, reading);
    }
    davy_span back = davy_engine_raise_lookback(engine);
    for (size_t i = 0; i < store->raise_count; i++)
        if (davy_mono_sub(now.mono, store->raises[i].at.mono).ns <= back.ns)
            davy_engine_past_raise(engine, store->raises[i].key, store->raises[i].at);
}
