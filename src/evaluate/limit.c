/* SPDX-License-Identifier: Apache-2.0 */
#include "evaluate/limit.h"

/* Where a value lies. HOLD is the deadband: it neither trips nor returns. */
enum side { SIDE_RETURN, SIDE_HOLD, SIDE_TRIP };

static enum side side_above(double bound, double deadband, double value)
{
    if (value >= bound)
        return SIDE_TRIP;
    return value < bound - deadband ? SIDE_RETURN : SIDE_HOLD;
}

static enum side side_below(double bound, double deadband, double value)
{
    if (value <= bound)
        return SIDE_TRIP;
    return value > bound + deadband ? SIDE_RETURN : SIDE_HOLD;
}

/* The more dangerous of two sides. */
static enum side worse(enum side a, enum side b)
{
    return a > b ? a : b;
}

static enum side side_of(const struct davy_limit *limit, double value)
{
    switch (limit->condition) {
    case DAVY_CONDITION_ABOVE:
        return side_above(limit->a, limit->deadband, value);
    case DAVY_CONDITION_BELOW:
        return side_below(limit->a, limit->deadband, value);
    case DAVY_CONDITION_OUTSIDE:
        return worse(side_below(limit->a, limit->deadband, value), side_above(limit->b, limit->deadband, value));
    case DAVY_CONDITION_EQUALS:
        return value >= limit->a && value <= limit->a ? SIDE_TRIP : SIDE_RETURN;
    case DAVY_CONDITION_VOTE: /* 1: enough votes, 0: too few */
        return value > 0 ? SIDE_TRIP : SIDE_RETURN;
    case DAVY_CONDITION_FAULT:
    case DAVY_CONDITION_INHIBIT:
    case DAVY_CONDITION_SELF:
    case DAVY_CONDITION_COUNT_:
        break;
    }
    return SIDE_HOLD;
}

bool davy_limit_trips(const struct davy_limit *limit, double value)
{
    return side_of(limit, value) == SIDE_TRIP;
}

/* The bound that is crossed; for a bad reading that counts as one on the trip side the one that was, else the lower. */
static double bound_of(const struct davy_limit *limit, const struct davy_limit_state *state, enum davy_feed feed,
                       double value)
{
    if (limit->condition == DAVY_CONDITION_VOTE)
        return state->crossed; /* what is needed is the group's to say */
    if (limit->condition != DAVY_CONDITION_OUTSIDE)
        return limit->a;
    bool was_upper = state->crossed >= limit->b && state->crossed <= limit->b;
    return (feed == DAVY_FEED_TRIP ? was_upper : value >= limit->b) ? limit->b : limit->a;
}

static void start(struct davy_limit_state *state, enum davy_timer timer, davy_mono now)
{
    if (state->timer == timer)
        return;
    state->timer = timer;
    state->started = now;
}

davy_mono davy_limit_due(const struct davy_limit *limit, const struct davy_limit_state *state)
{
    if (state->timer == DAVY_TIMER_NONE)
        return DAVY_MONO_NEVER;
    return davy_mono_add(state->started, state->timer == DAVY_TIMER_ON ? limit->on_delay : limit->off_delay);
}

bool davy_limit_expire(const struct davy_limit *limit, struct davy_limit_state *state, davy_mono now)
{
    if (davy_limit_due(limit, state).ns > now.ns)
        return false;
    state->condition = state->timer == DAVY_TIMER_ON;
    state->held = !state->condition && limit->latch;
    state->timer = DAVY_TIMER_NONE;
    return true;
}

/* A reading while the condition is false. */
static void feed_resting(struct davy_limit_state *state, enum davy_feed feed, enum side side, davy_mono now)
{
    if (side == SIDE_TRIP)
        start(state, DAVY_TIMER_ON, now);
    else if (feed == DAVY_FEED_FULL)
        state->timer = DAVY_TIMER_NONE;
}

/* A reading while the condition is true: only a good one in the return region leaves it. */
static void feed_tripped(struct davy_limit_state *state, enum davy_feed feed, enum side side, davy_mono now)
{
    if (feed == DAVY_FEED_FULL && side == SIDE_RETURN)
        start(state, DAVY_TIMER_OFF, davy_mono_add(now, (davy_span){-state->credit.ns}));
    else
        state->timer = DAVY_TIMER_NONE;
    state->credit = (davy_span){0};
    state->stood = false;
}

bool davy_limit_feed(const struct davy_limit *limit, struct davy_limit_state *state, enum davy_feed feed, double value,
                     bool uncertain, davy_mono now)
{
    const struct davy_limit_state before = *state;
    enum side side = feed == DAVY_FEED_HOLD ? SIDE_HOLD : feed == DAVY_FEED_TRIP ? SIDE_TRIP : side_of(limit, value);
    if (state->condition)
        feed_tripped(state, feed, side, now);
    else if (feed != DAVY_FEED_HOLD)
        feed_resting(state, feed, side, now);

    if (side == SIDE_TRIP)
        state->crossed = bound_of(limit, state, feed, value);
    bool bears = side == SIDE_TRIP || (side == SIDE_HOLD && state->condition);
    bool evaluated = feed == DAVY_FEED_FULL || feed == DAVY_FEED_RAISE;
    if (evaluated && bears)
        state->uncertain = uncertain;
    else if (feed == DAVY_FEED_TRIP && !before.condition && before.timer == DAVY_TIMER_NONE)
        state->uncertain = false; /* a bad reading is not an uncertain one */
    davy_limit_expire(limit, state, now);
    return before.condition != state->condition || before.held != state->held || before.timer != state->timer ||
           before.uncertain != state->uncertain || before.crossed < state->crossed || before.crossed > state->crossed;
}
