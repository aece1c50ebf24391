/* SPDX-License-Identifier: Apache-2.0 */
/*
 * THE ROUTE. Creates the queues, starts the stages in the order of the data, stops them in the same order. Start
 * reading the daemon here. All calls from the main thread.
 */
#pragma once

#include "base/thread.h"
#include "daemon/lock.h"
#include "daemon/route.h"

struct pipeline;

/*
 * config     planned (acquire/request.h); a reference is taken
 * place      of the state; its lock passes, its directory must outlive the pipeline
 * waker      of the main thread: rung for replies, notices and demands
 */
int pipeline_new(const struct davy_config *config, const struct state_place *place, const struct davy_clock *clock,
                 struct davy_waker *waker, struct pipeline **ret_pipeline) DAVY_MUST_CHECK;

int pipeline_start(struct pipeline *pipeline) DAVY_MUST_CHECK;

/*
 * Within about 4 s: all are asked to stop at once; the evaluator takes what blocks it can in one more turn, recorder
 * and publisher are drained.
 * farewell   the last status, retained; may be NULL
 * Accepts NULL, returns NULL.
 */
struct pipeline *pipeline_free(struct pipeline *pipeline, struct davy_message *farewell);

struct route *pipeline_route(struct pipeline *pipeline);

/* The configuration that the pipeline runs. */
const struct davy_config *pipeline_config(const struct pipeline *pipeline);

/* The poller of a bus by its name; NULL. */
struct davy_poller *pipeline_poller(struct pipeline *pipeline, const char *bus);
struct davy_poller *pipeline_poller_at(struct pipeline *pipeline, uint32_t bus);

/*
 * Begin to go over to another configuration: the evaluator switches first. Its notice SWITCHED or NOT_SWITCHED must be
 * answered by pipeline_switched() or pipeline_not_switched(). A reference is taken. 0, -ENOMEM, or -EBUSY while one is
 * under way.
 */
int pipeline_reload(struct pipeline *pipeline, const struct davy_config *config) DAVY_MUST_CHECK;

/* The evaluator could not switch: the old configuration runs on. */
void pipeline_not_switched(struct pipeline *pipeline);

/* The evaluator has switched: pollers and publisher follow; buses that did not change keep their connection. */
void pipeline_switched(struct pipeline *pipeline);

/*
 * Whether evaluator, pollers and, with much more patience, the publisher turn; `ret_stuck` names one that does not. The
 * recorder is not asked: a restart repairs no disk, and would be blind for as long as it hangs. To be called each
 * second.
 */
bool pipeline_turns(struct pipeline *pipeline, davy_mono now, const char **ret_stuck);
