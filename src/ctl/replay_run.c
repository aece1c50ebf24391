/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/replay.h"
#include "decode/decode.h"

/* Rows between two looks at clock and signals. */
#define ROWS_A_TICK 16384

/* The flood alarm looks that far back. */
#define LEAST_WARM_UP davy_span_s(600)

static void on_event(void *context, const struct davy_event *event)
{
    struct lane *lane = context;
    lane->seq++;
    lane->event(lane, event);
}

/* The random bits hold the seq of the event that raises: the same in each run. */
static struct davy_uuid on_new_id(void *context, davy_wall t)
{
    const struct lane *lane = context;
    return davy_uuid_v7(t, 0, (uint64_t)lane->seq + 1);
}

static davy_span longest_delay(const struct davy_rule *rule)
{
    davy_span longest = {0};
    for (size_t i = 0; i < rule->limit_count; i++) {
        const struct davy_limit *limit = &rule->limits[i];
        const int64_t delay = limit->on_delay.ns > limit->off_delay.ns ? limit->on_delay.ns : limit->off_delay.ns;
        longest.ns = delay > longest.ns ? delay : longest.ns;
    }
    return longest;
}

davy_span davy_replay_warm_up(const struct davy_config *config)
{
    davy_span longest = {0}, age = {0};
    int64_t *needs = davy_ctl_grow(NULL, config->rule_count, sizeof *needs);
    for (size_t i = 0; i < config->rule_count; i++) {
        const struct davy_rule *rule = &config->rules[i];
        needs[i] = rule->options.window.ns + longest_delay(rule).ns + rule->when.hold.ns;
        if (rule->measure == DAVY_MEASURE_OCCURRENCES && rule->options.rule < i)
            needs[i] += needs[rule->options.rule];
        longest.ns = needs[i] > longest.ns ? needs[i] : longest.ns;
    }
    free(needs);
    for (size_t i = 0; i < config->point_count; i++)
        age.ns = config->points[i].max_age.ns > age.ns ? config->points[i].max_age.ns : age.ns;
    longest.ns += age.ns;
    return longest.ns > LEAST_WARM_UP.ns ? longest : LEAST_WARM_UP;
}

static void feed_lane(struct lane *lane, const struct trace_row *row)
{
    char reason[256];
    if (row->kind == TRACE_COMMAND) {
        /* a refused one gives no event, and nobody is there to be told */
        (void)!davy_engine_command(lane->engine, &row->command, row->reading.at, NULL, reason, sizeof reason);
        return;
    }
    struct davy_reading reading = row->reading;
    reading.point = lane->points[row->reading.point];
    if (reading.point == DAVY_NONE)
        return;
    davy_decode_judge(&lane->config->points[reading.point], &reading);
    davy_engine_reading(lane->engine, &reading);
}

/* All lanes; the first row begins time. */
static void feed(struct replay *replay, const struct trace_row *row)
{
    const bool first = replay->first.ns == INT64_MIN;
    if (first)
        replay->first = row->reading.at.wall;
    for (size_t i = 0; i < replay->lane_count; i++) {
        if (first)
            davy_engine_start(replay->lanes[i].engine, row->reading.at, false);
        feed_lane(&replay->lanes[i], row);
    }
    replay->readings += row->kind == TRACE_READING;
}

/* Time passes to the end of the period, or stays at the last row. */
static void finish(struct replay *replay, struct davy_stamp at)
{
    const davy_wall until = replay->source->until;
    if (until.ns > at.wall.ns)
        at = (struct davy_stamp){davy_mono_add(at.mono, (davy_span){until.ns - at.wall.ns}), until};
    replay->last = at.wall;
    for (size_t i = 0; i < replay->lane_count; i++)
        davy_engine_advance(replay->lanes[i].engine, at);
}

static int fail(const struct ctl *ctl, struct replay *replay, const char *error)
{
    davy_progress_end(replay->progress);
    return davy_ctl_fail(ctl, CTL_REFUSED, "%s", error);
}

/* Feed all rows. 0 or a negative errno with `error` filled. */
static int feed_all(struct replay *replay, char error[SOURCE_ERROR_SIZE])
{
    struct trace_row row;
    uint64_t rows = 0;
    int rc;
    while ((rc = replay->source->next(replay->source, &row, error)) == 0) {
        feed(replay, &row);
        if (replay->failed || ferror(stdout)) {
            snprintf(error, SOURCE_ERROR_SIZE, "%s", replay->failed ? replay->failed : "cannot write");
            return -EIO;
        }
        if (++rows % ROWS_A_TICK == 0 &&
            !davy_progress_tick(replay->progress, rows, replay->source->part(replay->source)))
            return -ECANCELED;
    }
    if (rc < 0)
        return rc;
    if (rows > 0)
        finish(replay, row.reading.at);
    return 0;
}

static int run(const struct ctl *ctl, struct replay *replay)
{
    char error[SOURCE_ERROR_SIZE] = "";
    replay->first.ns = INT64_MIN;
    const int rc = feed_all(replay, error);
    if (rc == -ECANCELED)
        return fail(ctl, replay, "interrupted"); /* by a signal, which ends the program before that is said */
    if (rc == 0 && replay->failed)
        snprintf(error, sizeof error, "%s", replay->failed);
    if (*error)
        return fail(ctl, replay, error);
    davy_progress_end(replay->progress);
    return CTL_DONE;
}

int davy_replay_run(const struct ctl *ctl, struct replay *replay)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < replay->lane_count; i++) {
        struct lane *lane = &replay->lanes[i];
        const struct davy_engine_options options = {.config = lane->config,
                                                    .event = on_event,
                                                    .new_id = on_new_id,
                                                    .context = lane,
                                                    .recorded = replay->source->recorded};
        rc = davy_engine_new(&options, &lane->engine);
    }
    int code = rc == 0 ? run(ctl, replay) : davy_ctl_fail(ctl, CTL_REFUSED, "%s", strerror(-rc));
    for (size_t i = 0; i < replay->lane_count; i++)
        replay->lanes[i].engine = davy_engine_free(replay->lanes[i].engine);
    return code;
}
