/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/platform.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/remote.h"
#include "publish/payload.h"

/* Who may wait for the next snapshot, and for the next commit. */
#define SNAPSHOTS_MAX 16
#define CONFIRMS_MAX  64

/* Snapshots that are asked for are made at most this often. */
#define SNAPSHOT_PAUSE DAVY_NS_PER_S

/* Events are sent again in steps, so that a broker's queue towards a slow subscriber holds them: 500 a second. */
#define RESEND_STEP  50
#define RESEND_PAUSE (100 * DAVY_NS_PER_MS)

/* A range that is being sent again. */
struct resend {
    struct davy_remote *remote; /* NULL: none */
    int64_t first;              /* sent so far; 0: none */
    int64_t last;
    int64_t count;
    davy_mono at; /* of the next step */
};

struct platform {
    struct route *route;
    struct outbox *outbox;
    struct davy_remote *snapshots[SNAPSHOTS_MAX];
    size_t snapshot_count;
    davy_mono snapshot_at; /* not before */
    struct davy_remote *confirms[CONFIRMS_MAX];
    size_t confirm_count;
    struct resend resend;
};

int platform_new(struct route *route, struct outbox *outbox, struct platform **ret_platform)
{
    struct platform *platform = calloc(1, sizeof *platform);
    if (!platform)
        return -ENOMEM;
    platform->route = route;
    platform->outbox = outbox;
    *ret_platform = platform;
    return 0;
}

struct platform *platform_free(struct platform *platform)
{
    if (!platform)
        return NULL;
    for (size_t i = 0; i < platform->snapshot_count; i++)
        free(platform->snapshots[i]);
    for (size_t i = 0; i < platform->confirm_count; i++)
        free(platform->confirms[i]);
    free(platform->resend.remote);
    free(platform);
    return NULL;
}

/* The end of one command: audit and answer. NULL: done */
static void finish(struct platform *platform, struct davy_remote *remote, const char *refusal)
{
    remote_audit(platform->route, remote, refusal ? refusal : "done");
    remote_answer(platform->route, remote, refusal);
}

/* ---- resend ---------------------------------------------------------------------------------------------------- */

static void begin_resend(struct platform *platform, struct davy_ledger *ledger, struct davy_remote *remote)
{
    char refusal[96];
    int64_t last = davy_ledger_last_seq(ledger);
    if (remote->to > last) {
        snprintf(refusal, sizeof refusal, "the last event is %lld", (long long)last);
        finish(platform, remote, refusal);
    } else if (platform->resend.remote) {
        remote_answer(platform->route, remote, "busy: another range is being sent, try again");
    } else {
        platform->resend = (struct resend){.remote = remote};
    }
}

static bool post_again(struct platform *platform, const struct davy_outbox_row *row)
{
    struct davy_message message;
    if (davy_message_new(DAVY_MESSAGE_REPLY, 0, row->topic, row->payload, &message) < 0)
        return false;
    message.schema = "davy.alarm/1";
    message.length = davy_payload_mark_replayed(message.payload);
    if (davy_publisher_post(platform->route->publisher, &message) == 0)
        return true;
    davy_message_done(&message);
    return false;
}

static void end_resend(struct platform *platform, bool readable)
{
    struct resend *resend = &platform->resend;
    struct davy_remote *remote = resend->remote;
    char refusal[96];
    if (!readable)
        snprintf(refusal, sizeof refusal, "the ledger cannot be read");
    else if (resend->count == 0)
        snprintf(refusal, sizeof refusal, "none of these events is kept any more");
    else
        snprintf(refusal, sizeof refusal, "not all are kept any more: sent again are %lld events, %lld to %lld",
                 (long long)resend->count, (long long)resend->first, (long long)resend->last);
    bool whole = readable && resend->count == remote->to - remote->from + 1;
    *resend = (struct resend){.remote = NULL};
    finish(platform, remote, whole ? NULL : refusal);
}

/* Events of the range, until a step is done or the publisher takes no more. */
static void step_resend(struct platform *platform, struct davy_ledger *ledger)
{
    struct resend *resend = &platform->resend;
    for (int i = 0; i < RESEND_STEP; i++) {
        struct davy_outbox_row row;
        int64_t after = resend->last ? resend->last : resend->remote->from - 1;
        int rc = davy_ledger_event_next(ledger, after, &row);
        if (rc != 0 || row.seq > resend->remote->to) {
            end_resend(platform, rc >= 0);
            return;
        }
        if (!post_again(platform, &row))
            return;
        resend->first = resend->first ? resend->first : row.seq;
        resend->last = row.seq;
        resend->count++;
    }
}

static void go_on_resending(struct platform *platform, struct davy_ledger *ledger, davy_mono now)
{
    struct resend *resend = &platform->resend;
    if (!resend->remote || now.ns < resend->at.ns || !outbox_connected(platform->outbox))
        return;
    resend->at = davy_mono_add(now, (davy_span){RESEND_PAUSE});
    step_resend(platform, ledger);
}

/* ---- snapshot -------------------------------------------------------------------------------------------------- */

static void want_snapshot(struct platform *platform, struct davy_remote *remote)
{
    if (platform->snapshot_count < SNAPSHOTS_MAX)
        platform->snapshots[platform->snapshot_count++] = remote;
    else
        remote_answer(platform->route, remote, "busy: try again");
}

/* One snapshot answers all that wait for it. */
static void make_snapshot(struct platform *platform, const struct davy_config *config, davy_mono now)
{
    if (platform->snapshot_count == 0 || now.ns < platform->snapshot_at.ns)
        return;
    platform->snapshot_at = davy_mono_add(now, (davy_span){SNAPSHOT_PAUSE});
    int rc = outbox_snapshot(platform->outbox, config, now);
    for (size_t i = 0; i < platform->snapshot_count; i++)
        finish(platform, platform->snapshots[i], rc < 0 ? "the snapshot cannot be published now" : NULL);
    platform->snapshot_count = 0;
}

/* ---- confirm --------------------------------------------------------------------------------------------------- */

static void want_confirm(struct platform *platform, struct davy_ledger *ledger, struct davy_remote *remote)
{
    char refusal[96];
    int64_t sent = outbox_sent_seq(platform->outbox);
    if (remote->seq > sent) {
        snprintf(refusal, sizeof refusal, "%lld is beyond what was sent: %lld", (long long)remote->seq,
                 (long long)sent);
        finish(platform, remote, refusal);
    } else if (remote->seq <= davy_ledger_confirmed_seq(ledger)) {
        remote_audit(platform->route, remote, "was confirmed before");
        remote_answer(platform->route, remote, NULL);
    } else if (platform->confirm_count == CONFIRMS_MAX) {
        remote_answer(platform->route, remote, "busy: try again");
    } else {
        platform->confirms[platform->confirm_count++] = remote;
    }
}

bool platform_waits(const struct platform *platform)
{
    return platform->confirm_count > 0;
}

int platform_settle(struct platform *platform, struct davy_ledger *ledger)
{
    davy_wall now = davy_clock_now(platform->route->clock).wall;
    int rc = 0;
    for (size_t i = 0; i < platform->confirm_count && rc == 0; i++) {
        const struct davy_remote *remote = platform->confirms[i];
        char target[REMOTE_TARGET_SIZE];
        struct davy_ledger_action action = {
            .time = now,
            .by = remote->by,
            .verb = remote->name,
            .target = remote_target(remote, target),
            .result = "done",
        };
        rc = davy_ledger_confirm(ledger, remote->seq);
        if (rc == 0)
            rc = davy_ledger_act(ledger, &action);
    }
    return rc;
}

void platform_settled(struct platform *platform)
{
    for (size_t i = 0; i < platform->confirm_count; i++)
        remote_answer(platform->route, platform->confirms[i], NULL);
    platform->confirm_count = 0;
}

/* ---- the turn -------------------------------------------------------------------------------------------------- */

static void take(struct platform *platform, struct davy_ledger *ledger, struct davy_remote *remote)
{
    if (!ledger)
        finish(platform, remote, "the ledger is away");
    else if (remote->verb == DAVY_REMOTE_RESEND)
        begin_resend(platform, ledger, remote);
    else if (remote->verb == DAVY_REMOTE_CONFIRM)
        want_confirm(platform, ledger, remote);
    else
        want_snapshot(platform, remote);
}

void platform_turn(struct platform *platform, struct davy_ledger *ledger, const struct davy_config *config,
                   davy_mono now)
{
    struct davy_remote *remote;
    while (davy_queue_pop(&platform->route->tasks, &remote))
        take(platform, ledger, remote);
    make_snapshot(platform, config, now);
    if (!ledger && platform->resend.remote)
        end_resend(platform, false);
    go_on_resending(platform, ledger, now);
}

davy_mono platform_due(const struct platform *platform)
{
    davy_mono due = DAVY_MONO_NEVER;
    if (platform->snapshot_count > 0)
        due = platform->snapshot_at;
    if (platform->resend.remote && outbox_connected(platform->outbox))
        due = davy_mono_min(due, platform->resend.at);
    return due;
}
