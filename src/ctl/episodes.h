/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a run of the engine has to tell of its alarms: episodes, each from when an alarm becomes active until none of
 * its conditions is true. Not occurrences: in a replay nobody acknowledges, so one occurrence may have many episodes.
 * Alarms and rules have numbers that all lanes of a run share.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "ctl/replay.h"

struct episode {
    size_t alarm;
    davy_wall start;
    davy_wall end;
    bool before;           /* it began before the period, whose begin is its start */
    bool open;             /* it went on at the end of the period, which is its end */
    enum davy_level level; /* the highest that its limits gave; not what a ladder made of it */
    bool has_value;
    double value; /* with which it began, as its limit */
    bool has_limit;
    double limit;
    enum davy_condition condition;
};

struct episode_list {
    struct episode *list;
    size_t count;
    size_t capacity;
};

struct episode_alarm {
    char *key; /* "RULE:DEVICE.POINT" */
    size_t rule;
    size_t open[ROSTER_CONFIGS]; /* its episode that goes on, in the list of the lane; SIZE_MAX */
};

struct episodes {
    struct episode_list lanes[ROSTER_CONFIGS];
    struct episode_alarm *alarms;
    size_t alarm_count;
    size_t alarm_capacity;
    size_t *slots; /* open hash of the keys; SIZE_MAX is empty */
    size_t mask;
    const char **rules; /* names, not owned: the new configuration's in its order, the current one's, built-in ones */
    size_t rule_count;
};

void davy_episodes_init(struct episodes *episodes, const struct replay *replay);
void davy_episodes_done(struct episodes *episodes);

/* An event of lane `which`. */
void davy_episodes_take(struct episodes *episodes, size_t which, const struct davy_config *config,
                        const struct davy_event *event);

/* The end of the period: leave out what ended before `since`, cut the others to the period, sort by alarm and start. */
void davy_episodes_finish(struct episodes *episodes, davy_wall since, davy_wall last);
