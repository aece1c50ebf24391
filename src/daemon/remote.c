/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/remote.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

/* Room for asks that stays with the operators at the gateway. */
#define LOCAL_ASKS (ROUTE_ASKS / 2)

char *remote_target(const struct davy_remote *remote, char text[REMOTE_TARGET_SIZE])
{
    char id[DAVY_UUID_TEXT];
    text[0] = '\0';
    if (remote->verb == DAVY_REMOTE_ACK && !davy_uuid_is_nil(&remote->id))
        snprintf(text, REMOTE_TARGET_SIZE, "%s", davy_uuid_format(&remote->id, id));
    else if (remote->verb == DAVY_REMOTE_CONFIRM && remote->seq != 0)
        snprintf(text, REMOTE_TARGET_SIZE, "%lld", (long long)remote->seq);
    else if (remote->verb == DAVY_REMOTE_RESEND && remote->from != 0)
        snprintf(text, REMOTE_TARGET_SIZE, "%lld..%lld", (long long)remote->from, (long long)remote->to);
    return text;
}

void remote_audit(struct route *route, const struct davy_remote *remote, const char *result)
{
    char target[REMOTE_TARGET_SIZE];
    struct record record = {.kind = RECORD_ACTION, .at = davy_clock_now(route->clock)};
    struct record_action *action = &record.action;
    snprintf(action->by, sizeof action->by, "%s", remote->by);
    snprintf(action->verb, sizeof action->verb, "%.15s", remote->name);
    snprintf(action->target, sizeof action->target, "%s", remote_target(remote, target));
    snprintf(action->note, sizeof action->note, "%s", remote->note);
    snprintf(action->result, sizeof action->result, "%s", result);
    if (davy_queue_push(&route->records, &record) == DAVY_QUEUE_LOST)
        davy_error("mqtt", "the recorder takes nothing more: %s of %s is not audited", remote->name, remote->by);
}

void remote_answer(struct route *route, struct davy_remote *remote, const char *refusal)
{
    struct davy_message message;
    if (route->publisher && davy_remote_reply(remote, refusal, &message) == 0 &&
        davy_publisher_post(route->publisher, &message) < 0)
        davy_message_done(&message); /* hundreds of answers wait already: this one is asked for again */
    free(remote);
}

static bool ask_ack(struct route *route, struct davy_remote *remote)
{
    char id[DAVY_UUID_TEXT];
    struct ask ask = {.kind = ASK_REQUEST, .remote = remote};
    struct davy_request_line *request = &ask.request;
    request->verb = DAVY_VERB_ACK;
    request->id = remote->id;
    request->level = remote->level;
    snprintf(request->alarm, sizeof request->alarm, "%s", davy_uuid_format(&remote->id, id));
    memcpy(request->note, remote->note, sizeof request->note);
    memcpy(ask.by, remote->by, sizeof ask.by);
    return davy_queue_space(&route->asks) > LOCAL_ASKS && davy_queue_push(&route->asks, &ask) == 0;
}

static void refuse(struct route *route, struct davy_remote *remote)
{
    if (remote->audit)
        remote_audit(route, remote, remote->refusal);
    remote_answer(route, remote, remote->refusal);
}

static void dispatch(struct route *route, struct davy_remote *remote)
{
    bool taken = false;
    if (remote->refusal[0]) {
        refuse(route, remote);
        return;
    }
    switch (remote->verb) {
    case DAVY_REMOTE_ACK:
        taken = ask_ack(route, remote);
        break;
    case DAVY_REMOTE_CONFIRM:
    case DAVY_REMOTE_SNAPSHOT:
    case DAVY_REMOTE_RESEND:
        taken = davy_queue_push(&route->tasks, &remote) == 0;
        break;
    case DAVY_REMOTE_COUNT_:
        break;
    }
    if (!taken)
        remote_answer(route, remote, "busy: try again, with another nonce");
}

void remote_dispatch(struct route *route)
{
    struct davy_remote *remote;
    while (davy_queue_pop(&route->commands, &remote))
        dispatch(route, remote);
}
