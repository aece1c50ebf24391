/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/backtest.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BUSY_NS (600 * DAVY_NS_PER_S)

/* ---- what changes ---- */

static bool same_episode(const struct episode *a, const struct episode *b)
{
    return a->start.ns == b->start.ns && a->end.ns == b->end.ns && a->level == b->level && a->before == b->before &&
           a->open == b->open;
}

static enum change_kind kind_of(const struct backtest *test, const struct change *change)
{
    const size_t now = change->episodes[0].count, was = change->episodes[1].count;
    const struct episode *new = test->episodes.lanes[0].list + change->episodes[0].first;
    const struct episode *old = test->episodes.lanes[1].list + change->episodes[1].first;
    if (was == 0 || now == 0)
        return was == 0 ? CHANGE_APPEARS : CHANGE_VANISHES;
    for (size_t i = 0; i < now; i++)
        if (now != was || !same_episode(&new[i], &old[i]))
            return CHANGE_MOVES;
    return CHANGE_SAME;
}

/* The lane whose next episode is of the earlier alarm, and begins earlier; ROSTER_CONFIGS: none is left. */
static size_t earlier_lane(const struct backtest *test, const size_t next[ROSTER_CONFIGS])
{
    const struct episode_list *lanes = test->episodes.lanes;
    if (next[0] == lanes[0].count || next[1] == lanes[1].count)
        return next[0] < lanes[0].count ? 0 : next[1] < lanes[1].count ? 1 : ROSTER_CONFIGS;
    const struct episode *a = &lanes[0].list[next[0]], *b = &lanes[1].list[next[1]];
    if (a->alarm != b->alarm)
        return a->alarm < b->alarm ? 0 : 1;
    return a->start.ns <= b->start.ns ? 0 : 1;
}

/* The next episodes that overlap, in a chain; false: none is left. Both lists are by alarm and start. */
static bool next_change(const struct backtest *test, size_t next[ROSTER_CONFIGS], struct change *ret_change)
{
    size_t lane = earlier_lane(test, next);
    if (lane == ROSTER_CONFIGS)
        return false;
    const struct episode *first = &test->episodes.lanes[lane].list[next[lane]];
    davy_wall end = first->end;
    *ret_change = (struct change){.alarm = first->alarm, .time = first->start};
    for (size_t i = 0; i < ROSTER_CONFIGS; i++)
        ret_change->episodes[i].first = next[i];
    while (lane < ROSTER_CONFIGS) {
        const struct episode *episode = &test->episodes.lanes[lane].list[next[lane]];
        if (episode->alarm != first->alarm || episode->start.ns > end.ns)
            break;
        end.ns = episode->end.ns > end.ns ? episode->end.ns : end.ns;
        ret_change->episodes[lane].count++;
        next[lane]++;
        lane = earlier_lane(test, next);
    }
    ret_change->kind = kind_of(test, ret_change);
    return true;
}

static int compare_changes(const void *left, const void *right)
{
    const struct change *a = left, *b = right;
    if (a->time.ns != b->time.ns)
        return a->time.ns < b->time.ns ? -1 : 1;
    return a->alarm < b->alarm ? -1 : a->alarm > b->alarm;
}

static void find_changes(struct backtest *test)
{
    size_t next[ROSTER_CONFIGS] = {0}, capacity = 0;
    struct change change;
    while (next_change(test, next, &change)) {
        test->counts[change.kind]++;
        if (change.kind == CHANGE_SAME)
            continue;
        if (test->change_count == capacity) {
            capacity = capacity ? 2 * capacity : 64;
            test->changes = davy_ctl_grow(test->changes, capacity, sizeof *test->changes);
        }
        test->changes[test->change_count++] = change;
    }
    if (test->change_count > 0)
        qsort(test->changes, test->change_count, sizeof *test->changes, compare_changes);
}

/* ---- how many ---- */

/* Local midnight of the day of `t`, or of the next one. */
static davy_wall midnight(davy_wall t, int days, char name[16])
{
    struct tm local;
    time_t seconds = (time_t)(t.ns / DAVY_NS_PER_S);
    if (!localtime_r(&seconds, &local))
        return t;
    if (name)
        strftime(name, 16, "%F", &local);
    local.tm_mday += days;
    local.tm_hour = local.tm_min = local.tm_sec = 0;
    local.tm_isdst = -1;
    return (davy_wall){(int64_t)mktime(&local) * DAVY_NS_PER_S};
}

static void find_days(struct backtest *test)
{
    size_t capacity = 0;
    davy_wall t = test->since;
    do {
        if (test->day_count == capacity) {
            capacity = capacity ? 2 * capacity : 64;
            test->days = davy_ctl_grow(test->days, capacity, sizeof *test->days);
        }
        struct day *day = &test->days[test->day_count++];
        *day = (struct day){.begin = t};
        day->end = midnight(t, 1, day->name);
        if (day->end.ns <= t.ns) /* a time zone that makes no sense */
            day->end.ns = t.ns + 86400 * DAVY_NS_PER_S;
        t = day->end;
    } while (t.ns <= test->replay->last.ns);
    test->days[test->day_count - 1].end.ns = test->replay->last.ns + 1; /* the last instant belongs to it */
}

uint64_t davy_backtest_alarms(const struct tally *tally)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < DAVY_LEVEL_COUNT_; i++)
        sum += tally->alarms[i];
    return sum;
}

double davy_backtest_days(const struct backtest *test)
{
    return (double)(test->replay->last.ns - test->since.ns) / 86400e9;
}

static void add(struct tally *tally, const struct episode *episode, int64_t ns)
{
    tally->alarms[episode->level] += !episode->before;
    tally->in_alarm_ns += ns;
}

/* The day with this instant. */
static size_t day_at(const struct backtest *test, davy_wall t)
{
    size_t low = 0, high = test->day_count - 1;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (t.ns < test->days[middle].end.ns)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* It counts for the day on which it begins, its time for each. */
static void add_to_days(struct backtest *test, size_t lane, const struct episode *episode)
{
    const size_t first = day_at(test, episode->start);
    add(&test->days[first].tallies[lane], episode, 0);
    for (size_t i = first; i < test->day_count && test->days[i].begin.ns < episode->end.ns; i++) {
        const struct day *day = &test->days[i];
        const int64_t from = episode->start.ns > day->begin.ns ? episode->start.ns : day->begin.ns;
        const int64_t to = episode->end.ns < day->end.ns ? episode->end.ns : day->end.ns;
        test->days[i].tallies[lane].in_alarm_ns += to > from ? to - from : 0;
    }
}

static int compare_times(const void *left, const void *right)
{
    const int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return a < b ? -1 : a > b;
}

/* The most that began within ten minutes. */
static uint64_t find_busiest(const struct episode_list *list)
{
    size_t count = 0, first = 0, most = 0;
    int64_t *starts = davy_ctl_grow(NULL, list->count, sizeof *starts);
    for (size_t i = 0; i < list->count; i++)
        if (!list->list[i].before)
            starts[count++] = list->list[i].start.ns;
    qsort(starts, count, sizeof *starts, compare_times);
    for (size_t i = 0; i < count; i++) {
        while (starts[i] - starts[first] >= BUSY_NS)
            first++;
        most = i - first + 1 > most ? i - first + 1 : most;
    }
    free(starts);
    return most;
}

static void count(struct backtest *test)
{
    test->rules = davy_ctl_grow(NULL, test->episodes.rule_count, sizeof *test->rules);
    memset(test->rules, 0, test->episodes.rule_count * sizeof *test->rules);
    find_days(test);
    for (size_t lane = 0; lane < ROSTER_CONFIGS; lane++) {
        const struct episode_list *list = &test->episodes.lanes[lane];
        for (size_t i = 0; i < list->count; i++) {
            const struct episode *episode = &list->list[i];
            const int64_t ns = episode->end.ns - episode->start.ns;
            add(&test->rules[test->episodes.alarms[episode->alarm].rule][lane], episode, ns);
            add(&test->total[lane], episode, ns);
            add_to_days(test, lane, episode);
        }
        test->busiest[lane] = find_busiest(list);
    }
}

/* ---- the run ---- */

static void on_event(struct lane *lane, const struct davy_event *event)
{
    struct backtest *test = lane->context;
    davy_episodes_take(&test->episodes, (size_t)(lane - test->replay->lanes), lane->config, event);
}

/* The period begins where it was asked for, or with the first row. */
static void evaluate(struct backtest *test)
{
    struct replay *replay = test->replay;
    test->since = replay->source->since.ns > replay->first.ns ? replay->source->since : replay->first;
    if (test->since.ns > replay->last.ns)
        test->since = replay->last;
    davy_episodes_finish(&test->episodes, test->since, replay->last);
    find_changes(test);
    count(test);
}

int davy_backtest(const struct ctl *ctl, struct replay *replay)
{
    struct backtest test = {.replay = replay};
    davy_episodes_init(&test.episodes, replay);
    for (size_t i = 0; i < replay->lane_count; i++) {
        replay->lanes[i].event = on_event;
        replay->lanes[i].context = &test;
    }
    int code = davy_replay_run(ctl, replay);
    if (code == CTL_DONE && replay->readings == 0)
        code = davy_ctl_fail(ctl, CTL_REFUSED, "there are no readings to compare");
    if (code == CTL_DONE) {
        evaluate(&test);
        if (ctl->json)
            davy_backtest_print_json(&test);
        else
            davy_backtest_print(ctl, &test);
    }
    free(test.changes);
    free(test.rules);
    free(test.days);
    davy_episodes_done(&test.episodes);
    return code;
}
