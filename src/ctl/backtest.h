/* SPDX-License-Identifier: Apache-2.0 */
/* What two configurations make of the same readings: backtest.c compares, backtest_print.c prints. */
#pragma once

#include "ctl/episodes.h"

enum change_kind { CHANGE_APPEARS, CHANGE_VANISHES, CHANGE_MOVES, CHANGE_SAME, CHANGE_COUNT_ };

/* Episodes of one alarm that overlap, of both lanes; and that they are not the same. */
struct change {
    enum change_kind kind;
    size_t alarm;
    davy_wall time; /* of the first */
    struct {
        size_t first; /* in the list of the lane */
        size_t count;
    } episodes[ROSTER_CONFIGS];
};

/* Of a rule, a day or all. */
struct tally {
    uint64_t alarms[DAVY_LEVEL_COUNT_]; /* episodes that began in the period, by level */
    int64_t in_alarm_ns;
};

/* A local calendar day, as far as it is in the period. */
struct day {
    char name[16]; /* "2026-11-23" */
    davy_wall begin;
    davy_wall end;
    struct tally tallies[ROSTER_CONFIGS];
};

struct backtest {
    struct replay *replay;
    struct episodes episodes;
    davy_wall since;
    struct change *changes; /* those that are not CHANGE_SAME, by time */
    size_t change_count;
    size_t counts[CHANGE_COUNT_];
    struct tally (*rules)[ROSTER_CONFIGS]; /* by rule */
    struct tally total[ROSTER_CONFIGS];
    uint64_t busiest[ROSTER_CONFIGS]; /* most that began in 10 minutes */
    struct day *days;
    size_t day_count;
};

/* All levels. */
uint64_t davy_backtest_alarms(const struct tally *tally);

/* Length of the period in days of 24 h. */
double davy_backtest_days(const struct backtest *test);

void davy_backtest_print(const struct ctl *ctl, const struct backtest *test);
void davy_backtest_print_json(const struct backtest *test);
