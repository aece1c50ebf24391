/* SPDX-License-Identifier: Apache-2.0 */
/* Commands over MQTT on their way through the stages: who does which, the answer, the audit. */
#pragma once

#include "daemon/route.h"
#include "publish/command.h"

/* main: take what the publisher brings; an ack goes to the evaluator, the rest to the recorder. Never blocks. */
void remote_dispatch(struct route *route);

/* Any thread: publish the answer; frees the command. refusal NULL: done */
void remote_answer(struct route *route, struct davy_remote *remote, const char *refusal);

/* Any thread: what was asked by whom and what became of it, for the ledger. */
void remote_audit(struct route *route, const struct davy_remote *remote, const char *result);

/* What the command is about, for the audit: an id, "from..to", a seq, or nothing. returns text */
#define REMOTE_TARGET_SIZE 64
char *remote_target(const struct davy_remote *remote, char text[REMOTE_TARGET_SIZE]);
