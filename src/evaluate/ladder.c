/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The escalation ladder: each step is judged once per occurrence, at exactly `after` from its first raise
 * (ARCHITECTURE.md, Escalation).
 */
#include "evaluate/internal.h"

static const struct davy_step *next_step(const struct davy_engine *engine, const struct alarm *alarm)
{
    const struct davy_rule *rule = rule_of(engine, alarm);
    if (!rule || alarm->state == DAVY_STATE_NORMAL || alarm->steps_done >= rule->step_count)
        return NULL;
    return &rule->steps[alarm->steps_done];
}

davy_mono davy_engine_ladder_due(const struct davy_engine *engine, const struct alarm *alarm)
{
    const struct davy_step *step = next_step(engine, alarm);
    return step ? davy_mono_add(alarm->raised.mono, step->after) : DAVY_MONO_NEVER;
}

static bool is_needless(const struct alarm *alarm, const struct davy_step *step)
{
    return step->unless_cleared ? alarm->level == DAVY_LEVEL_NONE : alarm->acknowledged;
}

static void take_step(struct davy_engine *engine, struct alarm *alarm, const struct davy_step *step,
                      struct davy_stamp at)
{
    enum davy_level level = alarm->state == DAVY_STATE_SUPPRESSED ? alarm->shown_level : alarm->level;
    bool rises = alarm->level != DAVY_LEVEL_NONE && step->level > level;
    if (rises && alarm->shelved && davy_engine_breaks_shelf(alarm, step->level))
        davy_engine_end_shelf(engine, alarm, at);
    if (alarm->level != DAVY_LEVEL_NONE) { /* also below what is shown while suppressed: that ends */
        alarm->floor = step->level > alarm->floor ? step->level : alarm->floor;
        alarm->level = step->level > alarm->level ? step->level : alarm->level;
    }
    davy_engine_transition(engine, alarm, rises ? DAVY_INPUT_OVERDUE_RISE : DAVY_INPUT_OVERDUE, at, NULL,
                           alarm->steps_done);
}

void davy_engine_climb(struct davy_engine *engine, struct alarm *alarm, struct davy_stamp at)
{
    while (davy_engine_ladder_due(engine, alarm).ns <= at.mono.ns) {
        const struct davy_step *step = next_step(engine, alarm);
        alarm->steps_done++;
        if (!is_needless(alarm, step))
            take_step(engine, alarm, step, at);
    }
}
