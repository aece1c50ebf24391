/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The disk thread: records → one transaction → outbox window → publisher; acknowledgements back into the outbox. It is
 * the only user of SQLite in the process, so nothing is ever locked. An event commits at once; readings each
 * commit_interval (daemon/reading_store.h). A disk that fails keeps its batch in memory and is tried again; what piles
 * up meanwhile waits in the queues.
 */
#pragma once

#include "base/thread.h"
#include "daemon/lock.h"
#include "daemon/route.h"

struct record_stage;

/*
 * Opens nothing yet: the thread does, and a store that cannot be opened is tried again by it; that never stops the
 * start.
 */
int record_stage_new(struct route *route, struct davy_thread *thread, const struct davy_config *config,
                     const struct state_place *place, struct record_stage **ret_stage) DAVY_MUST_CHECK;

int record_stage_start(struct record_stage *stage) DAVY_MUST_CHECK;

/*
 * main, once, after the start and before that of the evaluator: each memory of an alarm, as soon as the thread has read
 * them; none where it cannot.
 * returns   false where the disk took longer than `patience`: the running evaluator will get them (ASK_RESTORE)
 */
bool record_stage_recall(struct record_stage *stage, davy_span patience,
                         void (*each)(void *context, const struct davy_alarm_memory *memory),
                         void *context) DAVY_MUST_CHECK;

/* The thread must have ended. Commits what waits, closes. Accepts NULL, returns NULL. */
struct record_stage *record_stage_free(struct record_stage *stage);
