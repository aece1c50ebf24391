/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Votes, M of N: a member votes while its condition is true; delays run on the count. A bad or inhibited member keeps
 * the vote that it had; without one, on_bad says what it is (ARCHITECTURE.md, Votes).
 */
#include "evaluate/internal.h"

/* One whose device is switched off is never read. */
static bool is_healthy(const struct davy_engine *engine, const struct alarm *member)
{
    const struct davy_device *device = &engine->options.config->devices[member->subject.device];
    return device->enabled && !member->ill;
}

/* What the members say about one limit. */
struct tally {
    unsigned votes;
    unsigned certain; /* of them, not resting on an uncertain reading */
    unsigned bad;     /* bad or inhibited, and without a vote */
};

static struct tally count(const struct davy_engine *engine, const struct vote *vote, uint8_t limit)
{
    struct tally tally = {0};
    for (uint32_t i = 0; i < vote->count; i++) {
        const struct alarm *member = &engine->alarms[vote->first_member + i];
        const struct davy_limit_state *state = &member->states[limit];
        tally.votes += state->condition;
        tally.certain += state->condition && !state->uncertain;
        tally.bad += !state->condition && !is_healthy(engine, member);
    }
    return tally;
}

/* How many votes trip the limit; what bad members count for is added to the tally. */
static unsigned needed_of(const struct davy_rule *rule, struct tally *tally)
{
    if (rule->on_bad == DAVY_ON_BAD_TRIP) {
        tally->votes += tally->bad;
        tally->certain += tally->bad;
    }
    if (rule->on_bad != DAVY_ON_BAD_DEGRADE)
        return rule->vote;
    return rule->vote > tally->bad + 1 ? rule->vote - tally->bad : 1;
}

uint32_t davy_engine_healthy(const struct davy_engine *engine, const struct vote *vote)
{
    uint32_t healthy = 0;
    for (uint32_t i = 0; i < vote->count; i++)
        healthy += is_healthy(engine, &engine->alarms[vote->first_member + i]);
    return healthy;
}

/*
 * Count, and where the limit is to be `fed` hold the count against it; returns whether anything changed. Only a good
 * reading begins a return, or lets one go on that stood still over a restart: fewer votes than are needed may be the
 * doing of a reload, or of a member that is back with a value that proves nothing. No reading cancels one but by its
 * vote: a dead member would keep the others in alarm.
 */
static bool count_limit(struct davy_engine *engine, struct vote *vote, uint8_t limit, bool fed, enum davy_feed cause,
                        davy_mono now)
{
    struct alarm *alarm = &engine->alarms[vote->alarm];
    struct davy_limit_state *state = &alarm->states[limit];
    struct tally tally = count(engine, vote, limit);
    unsigned needed = needed_of(rule_of(engine, alarm), &tally);
    bool on = tally.votes >= needed;
    vote->votes[limit] = tally.votes;
    vote->needed[limit] = needed;
    state->crossed = needed;
    if (!fed || (!on && cause != DAVY_FEED_FULL))
        return false;
    enum davy_feed feed = cause == DAVY_FEED_RAISE ? DAVY_FEED_RAISE : DAVY_FEED_FULL;
    bool upper = davy_rule_limits(rule_of(engine, alarm), 0)[limit].upper; /* uncertain, whoever is counted */
    return davy_limit_feed(&alarm->limits[limit], state, feed, on, upper || tally.certain < needed, now);
}

void davy_engine_count_votes(struct davy_engine *engine, struct vote *vote, unsigned limits, enum davy_feed cause,
                             davy_mono now)
{
    struct alarm *alarm = &engine->alarms[vote->alarm];
    davy_engine_set_condition(engine, vote->fault, davy_engine_healthy(engine, vote) < rule_of(engine, alarm)->vote);
    if (!applies(alarm))
        return;
    bool changed = false;
    for (uint8_t i = 0; i < alarm->limit_count; i++)
        changed |= count_limit(engine, vote, i, limits & 1U << i, cause, now);
    alarm->has_value = true;
    if (changed)
        davy_engine_touch(engine, vote->alarm);
}

void davy_engine_recount_votes(struct davy_engine *engine)
{
    for (uint32_t v = 0; v < engine->vote_count; v++) {
        struct vote *vote = &engine->votes[v];
        struct alarm *alarm = &engine->alarms[vote->alarm];
        for (uint8_t i = 0; applies(alarm) && i < alarm->limit_count; i++) {
            count_limit(engine, vote, i, false, DAVY_FEED_HOLD, engine->started);
            alarm->has_value |= vote->votes[i] > 0; /* of a vote at rest only the members were remembered */
        }
    }
}

struct davy_members *davy_engine_members(const struct davy_engine *engine, const struct vote *vote, uint8_t limit)
{
    const struct davy_rule *rule = rule_of(engine, &engine->alarms[vote->alarm]);
    struct davy_members *members = davy_members_new(vote->count);
    for (uint32_t i = 0; members && i < vote->count; i++) {
        const struct alarm *member = &engine->alarms[vote->first_member + i];
        bool counted = rule->on_bad == DAVY_ON_BAD_TRIP && !is_healthy(engine, member);
        members->list[i] = (struct davy_member){
            .point = member->subject.point,
            .quality = member->quality,
            .vote = member->states[limit].condition || counted,
            .by_fault = counted && !member->states[limit].condition,
        };
        members->list[i].has_value = davy_engine_value_of(member, limit, &members->list[i].value);
    }
    return members;
}
