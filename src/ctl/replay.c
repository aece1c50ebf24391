/* SPDX-License-Identifier: Apache-2.0 */
/* replay: the engine of the daemon over a trace, without device, broker or clock (davyctl(1), replay). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "acquire/request.h"
#include "config/load.h"
#include "ctl/ctl.h"
#include "ctl/trace.h"
#include "decode/decode.h"
#include "evaluate/engine.h"
#include "publish/payload.h"

struct replay {
    const char *input; /* as errors name it */
    const struct davy_config *config;
    struct davy_engine *engine;
    struct roster roster;
    struct trace *trace;
    bool has_until;
    davy_wall until;
    int64_t seq;
    bool failed; /* an event that could not be printed */
};

static void on_event(void *context, const struct davy_event *event)
{
    struct replay *replay = context;
    size_t size = davy_payload_alarm_size(event);
    DAVY_AUTO_FREE char *text = malloc(size);
    struct davy_buf buf;
    if (!text) {
        replay->failed = true;
        return;
    }
    davy_buf_init(&buf, text, size);
    const struct davy_payload_context payload = {
        .clock = "replay", .seq = ++replay->seq, .durable = true, .decided_ms = -1, .stored_ms = -1};
    davy_payload_alarm(&buf, replay->config, event, &payload);
    replay->failed |= buf.overflow;
    fwrite(text, 1, buf.length, stdout);
    putchar('\n');
}

/* The random bits hold the seq of the event that raises: the same in each run. */
static struct davy_uuid on_new_id(void *context, davy_wall t)
{
    const struct replay *replay = context;
    return davy_uuid_v7(t, 0, (uint64_t)replay->seq + 1);
}

static struct davy_stamp stamp(davy_wall t)
{
    return (struct davy_stamp){.mono = {t.ns + 1}, .wall = t};
}

static void feed(struct replay *replay, struct trace_row *row)
{
    char reason[256];
    if (row->kind == TRACE_COMMAND) {
        /* a refused one gives no event, and nobody is there to be told */
        (void)!davy_engine_command(replay->engine, &row->command, row->reading.at, NULL, reason, sizeof reason);
        return;
    }
    davy_decode_judge(&replay->config->points[row->reading.point], &row->reading);
    davy_engine_reading(replay->engine, &row->reading);
}

static int complain(const struct replay *replay, const char *error)
{
    char *text = davy_ctl_escape(error);
    fflush(stdout);
    fprintf(stderr, "%s:%llu: %s\n", replay->input, (unsigned long long)davy_trace_line(replay->trace), text);
    free(text);
    return CTL_REFUSED;
}

/* Feed all rows up to `until`; time then passes to it, or stays at the last row. */
static int run(struct replay *replay)
{
    struct trace_row row;
    char error[TRACE_ERROR_SIZE];
    bool any = false;
    int rc;
    while ((rc = davy_trace_next(replay->trace, &row, error)) == 0) {
        if (replay->has_until && row.reading.at.wall.ns > replay->until.ns)
            break;
        if (!any)
            davy_engine_start(replay->engine, row.reading.at, false);
        any = true;
        feed(replay, &row);
        if (replay->failed || ferror(stdout))
            return complain(replay, replay->failed ? "an event is too long to print" : "cannot write");
    }
    if (rc < 0)
        return complain(replay, error);
    if (!any)
        return CTL_DONE;
    davy_engine_advance(replay->engine, replay->has_until ? stamp(replay->until) : row.reading.at);
    return replay->failed ? complain(replay, "an event is too long to print") : CTL_DONE;
}

static int open_input(const struct ctl *ctl, const char *input, int *ret_fd)
{
    *ret_fd = strcmp(input, "-") == 0 ? dup(STDIN_FILENO) : open(input, O_RDONLY | O_CLOEXEC);
    if (*ret_fd < 0)
        return davy_ctl_fail(ctl, CTL_REFUSED, "%s: %s", input, strerror(errno));
    return CTL_DONE;
}

static int replay_trace(struct ctl *ctl, struct replay *replay)
{
    DAVY_AUTO_FD int fd = -1;
    int code = open_input(ctl, replay->input, &fd);
    if (code != CTL_DONE)
        return code;
    const struct davy_engine_options options = {
        .config = replay->config, .event = on_event, .new_id = on_new_id, .context = replay};
    int rc = davy_roster_init(&replay->roster, &replay->config, 1);
    if (rc == 0)
        rc = davy_trace_new(fd, &replay->roster, &replay->trace);
    if (rc == 0)
        rc = davy_engine_new(&options, &replay->engine);
    code = rc == 0 ? run(replay) : davy_ctl_fail(ctl, CTL_REFUSED, "%s", strerror(-rc));
    davy_trace_free(replay->trace);
    davy_roster_done(&replay->roster);
    davy_engine_free(replay->engine);
    return code;
}

int davy_ctl_replay(struct ctl *ctl)
{
    struct replay replay = {.input = davy_ctl_option(ctl, "input")};
    const char *file = davy_ctl_option(ctl, "config"), *until = davy_ctl_option(ctl, "until");
    if (!file || !replay.input)
        return davy_ctl_fail(ctl, CTL_USAGE, "replay needs --config FILE and --input TRACE.csv");
    replay.has_until = until != NULL;
    if (until && davy_wall_parse(until, &replay.until) < 0)
        return davy_ctl_fail(ctl, CTL_USAGE, "--until: '%s' is not a time", until);
    struct davy_config *config = NULL;
    int code = davy_ctl_load_config(ctl, file, &config);
    if (code != CTL_DONE)
        return code;
    replay.config = config;
    code = replay_trace(ctl, &replay);
    davy_config_unref(config);
    return code;
}
