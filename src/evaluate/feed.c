/* SPDX-License-Identifier: Apache-2.0 */
/* From a reading, over the measure of the rule, to the limits of an alarm or of a member of a vote. */
#include "evaluate/internal.h"

/* Above its range a reading counts as the high end of it, also where the device has no number for that. */
static bool has_value(const struct davy_engine *engine, const struct davy_reading *reading)
{
    return reading->has_value ||
           (reading->reason == DAVY_REASON_OVER_RANGE && engine->options.config->points[reading->point].has_range);
}

bool davy_engine_evaluated(const struct davy_engine *engine, const struct davy_reading *reading)
{
    return has_value(engine, reading) && reading->quality != DAVY_QUALITY_BAD &&
           reading->reason != DAVY_REASON_WARM_UP && reading->reason != DAVY_REASON_CALIBRATION;
}

/* What a reading is worth to the limits. */
struct worth {
    enum davy_feed feed;  /* of the measure */
    enum davy_feed upper; /* of the upper bound of stel and twa */
    double value, upper_value;
    bool uncertain;
};

/* The value that limits see: above the range its high end. */
static double value_of(const struct davy_engine *engine, const struct davy_reading *reading)
{
    const struct davy_point *point = &engine->options.config->points[reading->point];
    return reading->reason == DAVY_REASON_OVER_RANGE && point->has_range ? point->high : reading->value;
}

/* Whether a reading enters windows. */
static bool counts(const struct davy_engine *engine, const struct davy_reading *reading)
{
    return davy_reading_counts(reading, engine->options.config->points[reading->point].has_range);
}

bool davy_engine_is_exposure(const struct davy_engine *engine, const struct alarm *alarm)
{
    const struct davy_rule *rule = rule_of(engine, alarm);
    return rule && alarm->window && (rule->measure == DAVY_MEASURE_STEL || rule->measure == DAVY_MEASURE_TWA);
}

static void find_other(const struct davy_engine *engine, const struct window *window, struct davy_moment *moment)
{
    if (window->other == DAVY_NONE)
        return;
    const struct davy_reading *other = &engine->newest[window->other];
    davy_span max_age = engine->options.config->points[window->other].max_age;
    moment->has_other = other->at.mono.ns != 0 && other->has_value && other->quality == DAVY_QUALITY_GOOD &&
                        davy_mono_sub(moment->now.mono, other->at.mono).ns <= max_age.ns;
    moment->other = other->value;
}

enum davy_lack davy_engine_measure(const struct davy_engine *engine, const struct alarm *alarm, struct davy_stamp now,
                                   struct davy_measured *ret_measured)
{
    const struct davy_reading *newest = &engine->newest[alarm->subject.point];
    struct davy_moment moment = {.now = now, .value = value_of(engine, newest)};
    find_other(engine, alarm->window, &moment);
    return davy_measure_value(alarm->window->state, &moment, ret_measured);
}

static enum davy_feed feed_of_quality(const struct davy_reading *reading)
{
    return reading->quality == DAVY_QUALITY_GOOD ? DAVY_FEED_FULL : DAVY_FEED_RAISE;
}

static struct worth weigh_value(const struct davy_engine *engine, const struct davy_reading *reading)
{
    return (struct worth){
        .feed = davy_engine_evaluated(engine, reading) ? feed_of_quality(reading) : DAVY_FEED_HOLD,
        .value = value_of(engine, reading),
        .uncertain = reading->quality != DAVY_QUALITY_GOOD,
    };
}

/* A measure with a window: good readings count in full, over-range ones to raise only, others hold the limits. */
static struct worth weigh_window(struct davy_engine *engine, struct alarm *alarm, const struct davy_reading *reading,
                                 struct davy_stamp now)
{
    struct worth worth = {.feed = DAVY_FEED_HOLD, .upper = DAVY_FEED_HOLD};
    bool exposure = davy_engine_is_exposure(engine, alarm);
    struct davy_measured measured;
    worth.uncertain = reading->quality != DAVY_QUALITY_GOOD;
    if (!counts(engine, reading) && !exposure)
        return worth;
    if (davy_engine_measure(engine, alarm, now, &measured) != DAVY_LACK_NONE)
        return worth;
    alarm->window->last = measured;
    alarm->window->measured = true;
    worth.value = measured.value;
    worth.upper_value = measured.upper;
    if (counts(engine, reading))
        worth.feed = feed_of_quality(reading);
    if (exposure)
        worth.upper = feed_of_quality(reading);
    return worth;
}

/* Hold the worth of a reading against the limits of a bit set. Returns whether any state changed. */
static bool feed_limits(struct alarm *alarm, const struct worth *worth, bool bad, unsigned limits, davy_mono now)
{
    bool changed = false;
    for (uint8_t i = 0; i < alarm->limit_count; i++) {
        const struct davy_limit *limit = &alarm->limits[i];
        bool trip = bad && limit->trip_on_fault && !limit->upper;
        enum davy_feed feed = limit->upper ? worth->upper : trip ? DAVY_FEED_TRIP : worth->feed;
        if (limits & 1U << i)
            changed |= davy_limit_feed(limit, &alarm->states[i], feed, limit->upper ? worth->upper_value : worth->value,
                                       worth->uncertain || limit->upper, now);
    }
    if (worth->feed == DAVY_FEED_FULL || worth->feed == DAVY_FEED_RAISE) {
        alarm->has_value = true;
        alarm->value = worth->value;
    }
    return changed;
}

/* A reading, new or the newest there is, against all limits of an alarm that applies or of a member. */
static void evaluate(struct davy_engine *engine, uint32_t index, const struct davy_reading *reading,
                     struct davy_stamp now)
{
    struct alarm *alarm = &engine->alarms[index];
    struct worth worth = alarm->window ? weigh_window(engine, alarm, reading, now) : weigh_value(engine, reading);
    if (feed_limits(alarm, &worth, reading->quality == DAVY_QUALITY_BAD, ALL_LIMITS, now.mono))
        davy_engine_touch(engine, index);
}

/* The alarm that events tell of: of a member its group. */
static struct alarm *group_of(struct davy_engine *engine, struct alarm *alarm)
{
    return alarm->vote ? &engine->alarms[alarm->vote->alarm] : alarm;
}

/*
 * What is counted by `occurrences` may be raised by the same reading, in an earlier rule: it waits for the judgement,
 * which comes in the order of rules.
 */
static bool waits(struct davy_engine *engine, uint32_t index)
{
    struct alarm *alarm = &engine->alarms[index];
    if (!alarm->window || rule_of(engine, alarm)->measure != DAVY_MEASURE_OCCURRENCES)
        return false;
    struct alarm *group = group_of(engine, alarm);
    alarm->late = group->late = true;
    davy_engine_touch(engine, index_of(engine, group));
    return true;
}

/* What a member says is counted at each of its readings. */
static void feed_member(struct davy_engine *engine, uint32_t index, const struct davy_reading *reading)
{
    struct vote *vote = engine->alarms[index].vote;
    struct alarm *group = &engine->alarms[vote->alarm];
    struct alarm *fault = &engine->alarms[vote->fault];
    group->quality = fault->quality = reading->quality;
    group->reason = fault->reason = reading->reason;
    if (waits(engine, index))
        return;
    if (applies(group))
        evaluate(engine, index, reading, reading->at);
    enum davy_feed cause = reading->quality == DAVY_QUALITY_GOOD ? DAVY_FEED_FULL : DAVY_FEED_HOLD;
    davy_engine_count_votes(engine, vote, ALL_LIMITS, cause, reading->at.mono);
}

void davy_engine_take_memory(struct alarm *alarm)
{
    struct window *window = alarm->window;
    if (!window || !window->waits)
        return;
    window->waits = false;
    davy_measure_take(window->state, window->read_at.mono, true, window->read_value);
}

void davy_engine_take(struct davy_engine *engine, struct alarm *alarm, const struct davy_reading *reading)
{
    struct window *window = alarm->window;
    bool count = counts(engine, reading);
    davy_measure_take(window->state, reading->at.mono, count, value_of(engine, reading));
    if (window->waits)
        return; /* what the memory tells came later */
    if (!count && window->has_read && !window->gap && davy_engine_is_exposure(engine, alarm))
        davy_engine_touch(engine, index_of(engine, alarm)); /* what a gap began with must survive a restart */
    window->gap = !count;
    if (!count)
        return;
    window->has_read = true;
    window->read_value = value_of(engine, reading);
    window->read_at = reading->at;
}

/* A member that was bad or inhibited is so until a reading counts: one that settles ends nothing. */
static void judge_health(struct davy_engine *engine, struct alarm *member, const struct davy_reading *reading)
{
    bool held = reading->reason == DAVY_REASON_WARM_UP || reading->reason == DAVY_REASON_CALIBRATION;
    bool ill = reading->quality == DAVY_QUALITY_BAD || held || (member->ill && !counts(engine, reading));
    if (ill != member->ill)
        davy_engine_touch(engine, index_of(engine, member));
    member->ill = ill;
}

void davy_engine_feed_health(struct davy_engine *engine, const struct vote *vote)
{
    for (uint32_t i = vote->first_member; i < vote->first_member + vote->count; i++) {
        const struct davy_reading *newest = &engine->newest[engine->alarms[i].subject.point];
        if (newest->at.mono.ns != 0)
            judge_health(engine, &engine->alarms[i], newest);
    }
}

void davy_engine_feed(struct davy_engine *engine, uint32_t index, const struct davy_reading *reading)
{
    struct alarm *alarm = &engine->alarms[index];
    if (alarm->window)
        davy_engine_take(engine, alarm, reading);
    if (alarm->vote)
        judge_health(engine, alarm, reading);
    if (alarm->vote && (alarm->quality != reading->quality || alarm->reason != reading->reason))
        davy_engine_touch(engine, index); /* a member that turns bad, or is inhibited, must stay so over a restart */
    alarm->quality = reading->quality;
    alarm->reason = reading->reason;
    if (alarm->vote)
        feed_member(engine, index, reading);
    else if (!waits(engine, index) && applies(alarm))
        evaluate(engine, index, reading, reading->at);
}

/* Of a point that has not been read since a restart: what is known of the alarm that was counted. */
static void know_quality(struct davy_engine *engine, struct alarm *alarm)
{
    struct davy_subject counted = alarm->subject;
    counted.rule = rule_of(engine, alarm)->options.rule;
    uint32_t index = davy_engine_find_alarm(engine, &counted);
    if (alarm->quality != DAVY_QUALITY_COUNT_ || index == DAVY_NONE)
        return;
    struct alarm *group = group_of(engine, alarm);
    alarm->quality = group->quality = engine->alarms[index].quality;
    alarm->reason = group->reason = engine->alarms[index].reason;
}

/* To raise only, and certain: a raise is no reading. */
static void feed_count(struct davy_engine *engine, uint32_t index, davy_mono now)
{
    struct alarm *alarm = &engine->alarms[index];
    know_quality(engine, alarm);
    struct davy_stamp at = {.mono = now};
    struct davy_measured measured;
    if (davy_engine_measure(engine, alarm, at, &measured) != DAVY_LACK_NONE)
        return;
    const struct worth worth = {.feed = DAVY_FEED_RAISE, .value = measured.value};
    if (feed_limits(alarm, &worth, false, ALL_LIMITS, now))
        davy_engine_touch(engine, index);
}

void davy_engine_feed_late(struct davy_engine *engine, struct alarm *alarm, struct davy_stamp now)
{
    struct vote *vote = alarm->vote;
    uint32_t first = vote ? vote->first_member : index_of(engine, alarm), count = vote ? vote->count : 1;
    bool good = false;
    for (uint32_t i = first; i < first + count; i++) {
        struct alarm *each = &engine->alarms[i];
        const struct davy_reading *newest = &engine->newest[each->subject.point];
        if (each->counted && applies(alarm))
            feed_count(engine, i, now.mono);
        if (each->late && applies(alarm))
            evaluate(engine, i, newest, now);
        good |= each->late && newest->quality == DAVY_QUALITY_GOOD;
        each->late = each->counted = false;
    }
    alarm->late = alarm->counted = false;
    if (vote)
        davy_engine_count_votes(engine, vote, ALL_LIMITS, good ? DAVY_FEED_FULL : DAVY_FEED_HOLD, now.mono);
}

/* The newest reading of a point; NULL where there is none or it is too old to count. */
static const struct davy_reading *newest_of(const struct davy_engine *engine, uint32_t point, davy_mono now)
{
    const struct davy_reading *newest = &engine->newest[point];
    bool counts_still = newest->at.mono.ns != 0 &&
                        davy_mono_sub(now, newest->at.mono).ns <= engine->options.config->points[point].max_age.ns;
    return counts_still ? newest : NULL;
}

/* The raises that are counted are certain, also of a point that has not been read since a restart. */
static bool counts_unread(const struct davy_engine *engine, const struct alarm *alarm)
{
    return engine->newest[alarm->subject.point].at.mono.ns == 0 && alarm->window &&
           rule_of(engine, alarm)->measure == DAVY_MEASURE_OCCURRENCES;
}

void davy_engine_feed_newest(struct davy_engine *engine, struct alarm *alarm, struct davy_stamp now)
{
    struct vote *vote = alarm->vote;
    uint32_t first = vote ? vote->first_member : index_of(engine, alarm), count = vote ? vote->count : 1;
    for (uint32_t i = first; i < first + count; i++) {
        const struct davy_reading *newest = newest_of(engine, engine->alarms[i].subject.point, now.mono);
        if (newest)
            evaluate(engine, i, newest, now);
        else if (counts_unread(engine, &engine->alarms[i]))
            engine->alarms[i].counted = alarm->counted = true;
    }
    if (vote)
        davy_engine_count_votes(engine, vote, ALL_LIMITS, DAVY_FEED_FULL, now.mono);
}

/* Those of a bit set whose trip side a reading is on. */
static unsigned tripping(const struct alarm *alarm, const struct worth *worth, bool bad, unsigned limits)
{
    unsigned found = 0;
    for (uint8_t i = 0; i < alarm->limit_count; i++) {
        const struct davy_limit *limit = &alarm->limits[i];
        enum davy_feed feed = limit->upper ? worth->upper : worth->feed;
        bool trips =
            feed == DAVY_FEED_RAISE && davy_limit_trips(limit, limit->upper ? worth->upper_value : worth->value);
        if (trips || (bad && limit->trip_on_fault && !limit->upper))
            found |= limits & 1U << i;
    }
    return found;
}

bool davy_engine_feed_limits(struct davy_engine *engine, struct alarm *alarm, unsigned limits, struct davy_stamp now)
{
    const struct davy_reading *newest = &engine->newest[alarm->subject.point];
    bool bad = newest->quality == DAVY_QUALITY_BAD;
    bool seen = bad || davy_engine_evaluated(engine, newest) || davy_engine_is_exposure(engine, alarm);
    if (newest->at.mono.ns == 0 || !seen) /* an upper bound is judged at readings of any quality */
        return false;
    struct worth worth = alarm->window ? weigh_window(engine, alarm, newest, now) : weigh_value(engine, newest);
    if (worth.feed == DAVY_FEED_FULL)
        worth.feed = DAVY_FEED_RAISE;
    if (worth.upper == DAVY_FEED_FULL)
        worth.upper = DAVY_FEED_RAISE;
    feed_limits(alarm, &worth, bad, tripping(alarm, &worth, bad, limits), now.mono);
    alarm->quality = newest->quality;
    alarm->reason = newest->reason;
    return true;
}

/* A rule that counts the raises of another, on the same point. */
static void count_for(struct davy_engine *engine, const struct davy_subject *raised, uint32_t rule,
                      struct davy_stamp at)
{
    struct davy_subject subject = *raised;
    subject.rule = rule;
    uint32_t index = davy_engine_find_alarm(engine, &subject);
    struct alarm *alarm = index == DAVY_NONE ? NULL : &engine->alarms[index];
    if (!alarm || !alarm->window)
        return;
    struct alarm *group = group_of(engine, alarm);
    davy_measure_raised(alarm->window->state, at);
    alarm->counted = group->counted = true;
    if (engine->begun) /* until then its own memory may be yet to come, and it would be judged without */
        davy_engine_touch(engine, index_of(engine, group));
}

void davy_engine_count_raise(struct davy_engine *engine, const struct alarm *alarm, struct davy_stamp at)
{
    uint32_t rule = alarm->subject.rule;
    for (uint32_t i = engine->counting_first[rule]; i < engine->counting_first[rule + 1]; i++)
        count_for(engine, &alarm->subject, engine->counting[i], at);
}
