/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay: the verb. Prints the events of one configuration, or what another one would have made of the same readings.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ctl/replay.h"
#include "publish/payload.h"

/* One JSON line; what is before the period is counted and not printed. */
static void print_event(struct lane *lane, const struct davy_event *event)
{
    struct replay *replay = lane->context;
    if (event->at.wall.ns < replay->source->since.ns)
        return;
    const size_t size = davy_payload_alarm_size(event);
    DAVY_AUTO_FREE char *text = davy_ctl_grow(NULL, size, 1);
    struct davy_buf buf;
    davy_buf_init(&buf, text, size);
    const struct davy_payload_context payload = {
        .clock = "replay", .seq = lane->seq, .durable = true, .decided_ms = -1, .stored_ms = -1};
    davy_payload_alarm(&buf, lane->config, event, &payload);
    if (buf.overflow)
        replay->failed = "an event is too long to print";
    fwrite(text, 1, buf.length, stdout);
    putchar('\n');
}

static davy_span warm_up(const struct davy_config *const *configs, size_t count)
{
    davy_span longest = {0};
    for (size_t i = 0; i < count; i++) {
        const davy_span needed = davy_replay_warm_up(configs[i]);
        longest = needed.ns > longest.ns ? needed : longest;
    }
    return longest;
}

static int open_source(struct ctl *ctl, const struct roster *roster, int stop_fd, struct source **ret_source)
{
    const struct source_request request = {
        .roster = roster,
        .input = davy_ctl_option(ctl, "input"),
        .database = davy_ctl_option(ctl, "database"),
        .since = davy_ctl_option(ctl, "since"),
        .until = davy_ctl_option(ctl, "until"),
        .warm_up = warm_up(roster->configs, roster->config_count),
        .stop_fd = stop_fd,
    };
    return request.database ? davy_source_database(ctl, &request, ret_source)
                            : davy_source_trace(ctl, &request, ret_source);
}

static int run(struct ctl *ctl, const struct roster *roster)
{
    struct progress progress;
    struct replay replay = {.progress = &progress, .lane_count = roster->config_count};
    for (size_t i = 0; i < replay.lane_count; i++)
        replay.lanes[i] = (struct lane){
            .config = roster->configs[i], .points = roster->points[i], .event = print_event, .context = &replay};
    davy_progress_begin(&progress);
    int code = open_source(ctl, roster, progress.stop_fd, &replay.source);
    if (code == CTL_DONE)
        code = replay.lane_count > 1 ? davy_backtest(ctl, &replay) : davy_replay_run(ctl, &replay);
    davy_source_close(replay.source);
    davy_progress_end(&progress);
    return code;
}

/* The configurations that were asked for: --config, and --against where it is given. */
static int load(struct ctl *ctl, struct davy_config *configs[ROSTER_CONFIGS], size_t *ret_count)
{
    const char *const files[ROSTER_CONFIGS] = {davy_ctl_option(ctl, "config"), davy_ctl_option(ctl, "against")};
    *ret_count = 0;
    for (size_t i = 0; i < ROSTER_CONFIGS && files[i]; i++) {
        int code = davy_ctl_load_config(ctl, files[i], &configs[i]);
        if (code != CTL_DONE)
            return code;
        ++*ret_count;
    }
    return CTL_DONE;
}

int davy_ctl_replay(struct ctl *ctl)
{
    struct davy_config *configs[ROSTER_CONFIGS] = {NULL};
    struct roster roster;
    size_t count;
    const bool input = davy_ctl_option(ctl, "input") != NULL, database = davy_ctl_option(ctl, "database") != NULL;
    if (!davy_ctl_option(ctl, "config") || input == database)
        return davy_ctl_fail(ctl, CTL_USAGE,
                             "replay needs --config FILE and one of --input TRACE.csv and --database DB");
    int code = load(ctl, configs, &count);
    if (code == CTL_DONE) {
        davy_timezone_use(configs[0]->gateway.timezone);
        int rc = davy_roster_init(&roster, (const struct davy_config *const *)configs, count);
        code = rc < 0 ? davy_ctl_fail(ctl, CTL_REFUSED, "%s", strerror(-rc)) : run(ctl, &roster);
        davy_roster_done(&roster);
    }
    for (size_t i = 0; i < ROSTER_CONFIGS; i++)
        davy_config_unref(configs[i]);
    return code;
}
