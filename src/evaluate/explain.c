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
    for (size_t i = 0; i < alarm->limit_count; i++) {
        const struct davy_limit_state *state = &alarm->states[i];
        facts->limits[i] = (struct davy_limit_view){
            .limit = &alarm->limits[i],
            .tripped = davy_limit_tripped(state),
            .held = state->held,
            .uncertain = state->uncertain,
            .timer = state->timer,
            .left = left_until(davy_limit_due(&alarm->limits[i], state), now),
            .bound = state->crossed,
        };
    }
}

/* The newest reading of the point; of a vote whether any member has one. */
static void take_reading(const struct davy_engine *engine, const struct alarm *alarm, struct davy_explanation *facts)
{
    if (alarm->subject.point == DAVY_NONE)
        return;
    facts->newest = engine->newest[alarm->subject.point];
    facts->has_newest = facts->newest.at.mono.ns != 0;
    facts->measured.value = facts->newest.has_value ? facts->newest.value : alarm->value;
    facts->measured.upper = facts->measured.value;
    facts->measured.coverage = 1;
}

void davy_engine_explain(const struct davy_engine *engine, size_t index, struct davy_stamp now,
                         struct davy_explanation *ret_explanation)
{
    const struct alarm *alarm = &engine->alarms[index];
    const struct davy_config *config = engine->options.config;
    struct davy_explanation facts = {
        .rule = alarm->subject.kind == DAVY_ALARM_RULE ? &config->rules[alarm->subject.rule] : NULL,
        .when_left = {-1},
        .raised_for = {-1},
    };
    davy_engine_alarm(engine, index, &facts.view);
    facts.measure = facts.rule ? facts.rule->measure : DAVY_MEASURE_VALUE;
    take_reading(engine, alarm, &facts);
    take_limits(alarm, now, &facts);
    facts.why = find_why(&facts, config);
    *ret_explanation = facts;
}

size_t davy_engine_explain_members(const struct davy_engine *engine, size_t index, struct davy_member *members,
                                   size_t size)
{
    (void)engine;
    (void)index;
    (void)members;
    (void)size;
    return 0;
}
