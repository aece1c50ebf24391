/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/platform.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "daemon/again.h"
#include "daemon/remote.h"
#include "record/delivery.h"

/* Who may wait for the next snapshot, and for the next commit. */
#define SNAPSHOTS_MAX 16
#define CONFIRMS_MAX  64

/* Confirmations that change nothing are in the audit at most this often; each other one always. */
#define REPEATED_PAUSE DAVY_NS_PER_S

/* Snapshots that are asked for are made at most this often. */
#define SNAPSHOT_PAUSE DAVY_NS_PER_S

/*
 * Events are sent again in small steps, so that a broker's short queue towards a subscriber holds them: 500 a second in
 * all.
 */
#define AGAIN_STEP  5
#define AGAIN_PAUSE (10 * DAVY_NS_PER_MS)

/* A range that is being sent again since it was asked for. */
struct resend {
    struct davy_remote *remote; /* NULL: none */
    int64_t first;              /* sent so far; 0: none */
    int64_t last;
    int64_t count;
};

struct platform {
    struct route *route;
    struct outbox *outbox;
    struct davy_remote *snapshots[SNAPSHOTS_MAX];
    size_t snapshot_count;
    davy_mono snapshot_at; /* not before */
    struct davy_remote *confirms[CONFIRMS_MAX];
    size_t confirm_count;
    davy_mono repeated_at; /* of ones that change nothing: not in the audit before this */
    struct resend resend;
    struct again again; /* events that the broker has and the platform has not confirmed */
    bool asks;          /* the ledger delivers to the platform: `again` is in use */
    bool wanted;        /* the configuration says so */
    bool switching;     /* `wanted` differs from the ledger: written with the next commit */
    bool alive;         /* a confirmation came since the last turn */
    bool said;          /* the log says that none comes */
    bool connected;
    int64_t acknowledged;
    size_t budget; /* events that may be sent again in this step */
    bool more;     /* there are more: the next step follows */
    davy_mono step_at;
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

/* Events of the range, until the step is done or the publisher takes no more. */
static void step_resend(struct platform *platform, struct davy_ledger *ledger)
{
    struct resend *resend = &platform->resend;
    platform->more = resend->remote != NULL;
    for (; resend->remote && platform->budget > 0; platform->budget--) {
        struct davy_outbox_row row;
        int64_t after = resend->last ? resend->last : resend->remote->from - 1;
        int rc = davy_ledger_event_next(ledger, after, &row);
        if (rc != 0 || row.seq > resend->remote->to) {
            end_resend(platform, rc >= 0);
            return;
        }
        if (!outbox_post_again(platform->outbox, &row, false))
            return;
        resend->first = resend->first ? resend->first : row.seq;
        resend->last = row.seq;
        resend->count++;
    }
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

static void was_confirmed(struct platform *platform, struct davy_remote *remote)
{
    davy_mono now = davy_clock_now(platform->route->clock).mono;
    platform->alive = true;
    if (now.ns >= platform->repeated_at.ns) {
        remote_audit(platform->route, remote, "was confirmed before");
        platform->repeated_at = davy_mono_add(now, (davy_span){REPEATED_PAUSE});
    }
    remote_answer(platform->route, remote, NULL);
}

static void want_confirm(struct platform *platform, struct davy_ledger *ledger, struct davy_remote *remote)
{
    char refusal[96];
    int64_t sent = outbox_sent_seq(platform->outbox);
    if (remote->seq > sent) {
        snprintf(refusal, sizeof refusal, "%lld is beyond what was sent: %lld", (long long)remote->seq,
                 (long long)sent);
        finish(platform, remote, refusal);
    } else if (remote->seq <= davy_ledger_confirmed_seq(ledger)) {
        was_confirmed(platform, remote);
    } else if (platform->confirm_count == CONFIRMS_MAX) {
        remote_answer(platform->route, remote, "busy: try again");
    } else {
        platform->confirms[platform->confirm_count++] = remote;
    }
}

bool platform_waits(const struct platform *platform)
{
    return platform->confirm_count > 0 || platform->switching;
}

int platform_settle(struct platform *platform, struct davy_ledger *ledger)
{
    davy_wall now = davy_clock_now(platform->route->clock).wall;
    int rc = platform->switching ? davy_ledger_deliver(ledger, platform->wanted) : 0;
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
    platform->alive |= platform->confirm_count > 0;
    platform->confirm_count = 0;
    platform->switching = false;
}

/* ---- what it does not confirm ---------------------------------------------------------------------------------- */

bool platform_overdue(const struct platform *platform)
{
    return platform->asks && again_overdue(&platform->again);
}

bool platform_doubtful(const struct platform *platform)
{
    return platform->asks && again_doubtful(&platform->again);
}

/* To whom events are delivered, by the configuration and by the ledger. */
static void follow_delivery(struct platform *platform, struct davy_ledger *ledger, const struct davy_config *config,
                            davy_mono now)
{
    bool asks = ledger && davy_ledger_delivers_to_platform(ledger);
    platform->wanted = config->mqtt.enabled && config->mqtt.delivery_platform;
    platform->switching = ledger && platform->wanted != asks;
    if (asks && !platform->asks)
        again_begin(&platform->again, config->mqtt.confirm_within, davy_ledger_settled_seq(ledger),
                    outbox_sent_seq(platform->outbox), now);
    if (platform->wanted)
        again_patience(&platform->again, config->mqtt.confirm_within);
    platform->asks = asks;
}

/* What broker and platform have said since the last turn. */
static void hear(struct platform *platform, const struct davy_ledger *ledger, davy_mono now)
{
    int64_t answered;
    size_t answers = outbox_take_answers(platform->outbox, &answered);
    int64_t acknowledged = outbox_acknowledged_seq(platform->outbox);
    int64_t settled = davy_ledger_settled_seq(ledger);
    bool connected = outbox_connected(platform->outbox);
    if (connected && !platform->connected)
        again_connected(&platform->again);
    platform->connected = connected;
    if (acknowledged > platform->acknowledged)
        again_acknowledged(&platform->again, acknowledged, now);
    if (answers > 0)
        again_answered(&platform->again, answers, answered, now);
    if (platform->alive || settled > platform->again.settled)
        again_confirmed(&platform->again, settled, now);
    platform->acknowledged = acknowledged;
    platform->alive = false;
}

static void say(struct platform *platform, const struct davy_ledger *ledger)
{
    bool overdue = platform_overdue(platform);
    if (overdue && !platform->said)
        davy_warning("mqtt", "the platform does not confirm: %lld events, from seq %lld on; they are sent again",
                     (long long)davy_ledger_unconfirmed(ledger), (long long)platform->again.settled + 1);
    if (!overdue && platform->said)
        davy_notice("mqtt", "the platform has confirmed up to seq %lld", (long long)platform->again.settled);
    platform->said = overdue;
}

/* What is due of it, until the step is done, the window is full or the publisher takes no more. */
static void step_again(struct platform *platform, struct davy_ledger *ledger, davy_mono now)
{
    int64_t after, upto;
    struct davy_outbox_row row;
    while (platform->budget > 0 && again_next(&platform->again, now, &after, &upto)) {
        int rc = davy_ledger_unconfirmed_next(ledger, after, upto, &row);
        if (rc != 0)
            again_none(&platform->again, now);
        else if (outbox_post_again(platform->outbox, &row, true))
            again_sent(&platform->again, row.seq, now);
        else
            break;
        platform->budget--;
    }
    platform->more |= again_next(&platform->again, now, &after, &upto);
}

/* Both ranges in one pace, what was asked for first. */
static void send_again(struct platform *platform, struct davy_ledger *ledger, davy_mono now)
{
    if (!ledger)
        platform->more = false; /* nothing to wake for */
    if (!ledger || !outbox_connected(platform->outbox) || now.ns < platform->step_at.ns)
        return;
    platform->budget = AGAIN_STEP;
    step_resend(platform, ledger);
    if (platform->asks)
        step_again(platform, ledger, now);
    platform->step_at = davy_mono_add(now, (davy_span){AGAIN_PAUSE});
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
    follow_delivery(platform, ledger, config, now);
    if (platform->asks) {
        hear(platform, ledger, now);
        say(platform, ledger);
    }
    send_again(platform, ledger, now);
}

davy_mono platform_due(const struct platform *platform)
{
    davy_mono due = DAVY_MONO_NEVER;
    if (platform->snapshot_count > 0)
        due = platform->snapshot_at;
    if (!outbox_connected(platform->outbox))
        return due;
    if (platform->more || platform->resend.remote)
        return davy_mono_min(due, platform->step_at);
    return platform->asks ? davy_mono_min(due, again_due(&platform->again)) : due;
}
