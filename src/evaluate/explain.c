/* SPDX-License-Identifier: Apache-2.0 */
#include "evaluate/explain.h"

#include "evaluate/internal.h"

/* Of the newest reading; of reasons that hide nothing COUNT_. */
static const enum davy_why reason_whys[] = {
    [DAVY_REASON_NONE] = DAVY_WHY_COUNT_,
    [DAVY_REASON_MAINTENANCE] = DAVY_WHY_COUNT_,
    [DAVY_REASON_OVER_RANGE] = DAVY_WHY_COUNT_,
    [DAVY_REASON_SETTLING] = DAVY_WHY_NOT_IN_WINDOW,
    [DAVY_REASON_NO_STATUS] = DAVY_WHY_NOT_IN_WINDOW,
    [DAVY_REASON_WARM_UP] = DAVY_WHY_WARM_UP,
    [DAVY_REASON_CALIBRATION] = DAVY_WHY_CALIBRATION,
    [DAVY_REASON_COMM] = DAVY_WHY_COMM,
    [DAVY_REASON_EXCEPTION] = DAVY_WHY_EXCEPTION,
    [DAVY_REASON_NOT_A_NUMBER] = DAVY_WHY_BAD_VALUE,
    [DAVY_REASON_BAD_VALUE] = DAVY_WHY_BAD_VALUE,
    [DAVY_REASON_UNDER_RANGE] = DAVY_WHY_UNDER_RANGE,
    [DAVY_REASON_DEVICE_FAULT] = DAVY_WHY_DEVICE_FAULT,
    [DAVY_REASON_STALE] = DAVY_WHY_STALE,
};
_Static_assert(DAVY_LENGTH(reason_whys) == DAVY_REASON_COUNT_, "an answer for each reason");

static const enum davy_why lack_whys[] = {
    [DAVY_LACK_NONE] = DAVY_WHY_COUNT_,       [DAVY_LACK_HISTORY] = DAVY_WHY_HISTORY,
    [DAVY_LACK_COVERAGE] = DAVY_WHY_COVERAGE, [DAVY_LACK_SPREAD] = DAVY_WHY_SPREAD,
    [DAVY_LACK_OTHER] = DAVY_WHY_OTHER,
};
_Static_assert(DAVY_LENGTH(lack_whys) == DAVY_LACK_COUNT_, "an answer for each lack");

static bool covered(const struct davy_alarm_view *view)
{
    return view->out_of_service || view->shelved_until.ns != 0;
}

/* What hides the alarm or keeps its rule from being asked; COUNT_ for nothing. */
static enum davy_why why_hidden(const struct davy_explanation *facts, const struct davy_config *config)
{
    const struct davy_alarm_view *view = &facts->view;
    if (view->active && !covered(view))
        return DAVY_WHY_ACTIVE;
    if (view->out_of_service)
        return DAVY_WHY_OUT_OF_SERVICE;
    if (view->shelved_until.ns != 0)
        return DAVY_WHY_SHELVED;
    if (view->subject.device != DAVY_NONE && !config->devices[view->subject.device].enabled)
        return DAVY_WHY_NOT_ENABLED;
    return facts->when_used && !facts->when_true ? DAVY_WHY_WHEN : DAVY_WHY_COUNT_;
}

/* What is wrong with the newest reading, or with the measure that it goes into; COUNT_ for nothing. */
static enum davy_why why_not_judged(const struct davy_explanation *facts)
{
    if (!facts->has_newest)
        return DAVY_WHY_NO_READING;
    if (facts->members > 0)
        return DAVY_WHY_COUNT_;
    enum davy_why why = reason_whys[facts->newest.reason];
    if (why == DAVY_WHY_NOT_IN_WINDOW && facts->measure == DAVY_MEASURE_VALUE)
        why = DAVY_WHY_COUNT_; /* such a reading is judged by itself */
    return why == DAVY_WHY_COUNT_ ? lack_whys[facts->lack] : why;
}

/* It is judged, and is not in alarm. */
static enum davy_why why_calm(const struct davy_explanation *facts)
{
    for (size_t i = 0; i < facts->limit_count; i++)
        if (facts->limits[i].timer == DAVY_TIMER_ON)
            return DAVY_WHY_ON_DELAY;
    if (facts->view.latched)
        return DAVY_WHY_LATCHED;
    if (facts->view.below == DAVY_STATE_RETURNED)
        return DAVY_WHY_RETURNED;
    return facts->members > 0 ? DAVY_WHY_VOTES : DAVY_WHY_NOT_REACHED;
}

static enum davy_why find_why(const struct davy_explanation *facts, const struct davy_config *config)
{
    enum davy_why why = why_hidden(facts, config);
    if (why == DAVY_WHY_COUNT_)
        why = why_not_judged(facts);
    return why == DAVY_WHY_COUNT_ ? why_calm(facts) : why;
}

/* Until then; below 0 for never. */
static davy_span left_until(davy_mono due, struct davy_stamp now)
{
    if (due.ns == INT64_MAX)
        return (davy_span){-1};
    davy_span left = davy_mono_sub(due, now.mono);
    return left.ns < 0 ? (davy_span){0} : left;
}

static void take_limits(const struct alarm *alarm, struct davy_stamp now, struct davy_explanation *facts)
{
    facts->limit_count = alarm->limit_count;
    for (uint8_t i = 0; i < alarm->limit_count; i++) {
        const struct davy_limit_state *state = &alarm->states[i];
        facts->limits[i] = (struct davy_limit_view){
            .limit = &alarm->limits[i],
            .tripped = davy_limit_tripped(state),
            .held = state->held,
            .uncertain = state->uncertain,
            .timer = state->timer,
            .left = left_until(davy_limit_due(&alarm->limits[i], state), now),
            .bound = davy_engine_bound_of(alarm, i),
        };
    }
}

/* What the limits see: the newest reading, or what the measure makes of the window now. */
static void take_measure(const struct davy_engine *engine, const struct alarm *alarm, struct davy_stamp now,
                         struct davy_explanation *facts)
{
    facts->measured = (struct davy_measured){.value = alarm->value, .upper = alarm->value, .coverage = 1};
    if (alarm->subject.point == DAVY_NONE)
        return;
    facts->newest = engine->newest[alarm->subject.point];
    facts->has_newest = facts->newest.at.mono.ns != 0;
    if (alarm->window && facts->has_newest)
        facts->lack = davy_engine_measure(engine, alarm, now, &facts->measured);
    else if (facts->newest.has_value)
        facts->measured.value = facts->measured.upper = facts->newest.value;
}

static void take_gate(const struct davy_engine *engine, const struct gate *gate, struct davy_stamp now,
                      struct davy_explanation *facts)
{
    facts->when_used = gate->when != NULL;
    facts->when_true = !gate->closed;
    facts->when_left = (davy_span){-1};
    if (!gate->when)
        return;
    facts->when_point = gate->point;
    facts->when_newest = engine->newest[gate->point];
    facts->when_left = left_until(davy_engine_gate_due(gate), now);
}

/* The limit whose votes are told: the one that shows, or of those at rest the one with most. */
static uint8_t telling_limit(const struct alarm *alarm)
{
    uint8_t most = 0;
    if (alarm->level != DAVY_LEVEL_NONE)
        return alarm->shown_limit;
    for (uint8_t i = 1; i < alarm->limit_count; i++)
        if (alarm->vote->votes[i] > alarm->vote->votes[most])
            most = i;
    return most;
}

static void take_vote(const struct davy_engine *engine, const struct alarm *alarm, struct davy_explanation *facts)
{
    const struct vote *vote = alarm->vote;
    if (!vote)
        return;
    const uint8_t limit = telling_limit(alarm);
    facts->votes = vote->votes[limit];
    facts->needed = vote->needed[limit] > 0 ? vote->needed[limit] : facts->rule->vote; /* 0: nothing counted yet */
    facts->members = vote->count;
    facts->healthy = davy_engine_healthy(engine, vote);
    for (uint32_t i = 0; i < vote->count; i++)
        facts->has_newest |= engine->newest[engine->alarms[vote->first_member + i].subject.point].at.mono.ns != 0;
}

void davy_engine_explain(const struct davy_engine *engine, size_t index, struct davy_stamp now,
                         struct davy_explanation *ret_explanation)
{
    const struct alarm *alarm = &engine->alarms[index];
    struct davy_explanation facts = {.rule = rule_of(engine, alarm), .steps_done = alarm->steps_done};
    davy_engine_alarm(engine, index, &facts.view);
    facts.measure = facts.rule ? facts.rule->measure : DAVY_MEASURE_VALUE;
    facts.raised_for = davy_uuid_is_nil(&alarm->id) ? (davy_span){-1} : davy_mono_sub(now.mono, alarm->raised.mono);
    take_measure(engine, alarm, now, &facts);
    take_gate(engine, &alarm->gate, now, &facts);
    take_vote(engine, alarm, &facts);
    take_limits(alarm, now, &facts);
    facts.why = find_why(&facts, engine->options.config);
    *ret_explanation = facts;
}

size_t davy_engine_explain_members(const struct davy_engine *engine, size_t index, struct davy_member *members,
                                   size_t size)
{
    const struct alarm *alarm = &engine->alarms[index];
    struct davy_members *all = alarm->vote ? davy_engine_members(engine, alarm->vote, telling_limit(alarm)) : NULL;
    size_t count = 0;
    for (; all && count < all->count && count < size; count++)
        members[count] = all->list[count];
    davy_members_unref(all);
    return count;
}
