/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The thread that never blocks: blocks → decode → evaluate → records. It owns the engine and the decoder; nobody else
 * sees them. What cannot be handed on is counted, readings before events.
 */
#pragma once

#include "base/thread.h"
#include "daemon/route.h"

struct evaluate_stage;

/*
 * config    a reference is taken
 * pollers   by bus; the array passes to the stage, the pollers outlive its thread
 */
int evaluate_stage_new(struct route *route, struct davy_thread *thread, const struct davy_config *config,
                       struct davy_poller **pollers, struct evaluate_stage **ret_stage) DAVY_MUST_CHECK;

/*
 * Before the start, from the thread that recalls: put an alarm, or what the decoder knew of a point, back. Called for
 * each.
 * returns   false when the configuration knows no such alarm or point any more
 */
bool evaluate_stage_restore(struct evaluate_stage *stage, const struct davy_alarm_memory *memory);

/* After the restores and before the start: what windows look back on is read from the databases in `directory`. */
void evaluate_stage_refill(struct evaluate_stage *stage, const char *directory);

int evaluate_stage_start(struct evaluate_stage *stage) DAVY_MUST_CHECK;

/* The thread must have ended. Accepts NULL, returns NULL. */
struct evaluate_stage *evaluate_stage_free(struct evaluate_stage *stage);
