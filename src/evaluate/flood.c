/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The built-in alarms about the alarms of rules: `flood`, 10 raises in 10 min until fewer than 5 are, and `chatter`, 3
 * of one alarm in 1 min until there was none of it for 10 min (ISA-18.2; ARCHITECTURE.md, Built-in alarms).
 */
#include <string.h>

#include "evaluate/internal.h"

#define FLOOD_WINDOW   (davy_span_s(600))
#define FLOOD_ENDS     5 /* fewer are no flood any more */
#define CHATTER_WINDOW (davy_span_s(60))
#define CHATTER_CALM   (davy_span_s(600))

static void push(davy_mono *raises, size_t count, davy_mono at)
{
    memmove(raises, raises + 1, (count - 1) * sizeof *raises);
    raises[count - 1] = at;
}

/* Whether all of the ring came within (at - window, at]. */
static bool all_within(const davy_mono *raises, davy_mono at, davy_span window)
{
    return raises[0].ns != 0 && davy_mono_sub(at, raises[0]).ns < window.ns;
}

void davy_engine_note_flood(struct davy_engine *engine, davy_mono at)
{
    push(engine->flood_raises, FLOOD_RAISES, at);
}

bool davy_engine_note_raise(struct davy_engine *engine, struct alarm *alarm, davy_mono at)
{
    davy_engine_note_flood(engine, at);
    push(alarm->raises, CHATTER_RAISES, at);
    bool chatters = all_within(alarm->raises, at, CHATTER_WINDOW);
    if (chatters)
        engine->chattered_at = at;
    return chatters;
}

void davy_engine_watch_raise(struct davy_engine *engine, struct alarm *alarm, davy_mono at)
{
    uint32_t chatter = davy_engine_kind(engine, DAVY_ALARM_CHATTER), flood = davy_engine_kind(engine, DAVY_ALARM_FLOOD);
    if (davy_engine_note_raise(engine, alarm, at)) {
        char key[DAVY_KEY_SIZE];
        davy_engine_remark(&engine->alarms[chatter], "",
                           davy_subject_key(engine->options.config, &alarm->subject, key));
        davy_engine_set_condition(engine, chatter, true);
        engine->alarms[chatter].states[0].started = at; /* survives a restart, also where the rule does not */
        davy_engine_touch(engine, chatter);
    }
    if (all_within(engine->flood_raises, at, FLOOD_WINDOW))
        davy_engine_set_condition(engine, flood, true);
    if (engine->alarms[flood].states[0].condition)
        davy_engine_touch(engine, flood);
}

/* What stood before a restart and has no history is over at the start. */
davy_mono davy_engine_flood_due(const struct davy_engine *engine, const struct alarm *alarm)
{
    bool chatter = alarm->subject.kind == DAVY_ALARM_CHATTER;
    davy_mono last = chatter ? engine->chattered_at : engine->flood_raises[FLOOD_RAISES - FLOOD_ENDS];
    if (!alarm->states[0].condition)
        return DAVY_MONO_NEVER;
    return last.ns == 0 ? engine->started : davy_mono_add(last, chatter ? CHATTER_CALM : FLOOD_WINDOW);
}

void davy_engine_expire_flood(struct davy_engine *engine, uint32_t index, davy_mono now)
{
    if (davy_engine_flood_due(engine, &engine->alarms[index]).ns <= now.ns)
        davy_engine_set_condition(engine, index, false);
}
