/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of the evaluator to control requests, as JSON lines into the replies queue (shapes: control/request.h). */
#pragma once

#include "daemon/route.h"

/* Rows in one answer; the client asks on with `after`. */
#define ANSWER_PAGE 500

/* refusal NULL: done, with the state afterwards */
void answer_command(struct route *route, const struct ask *ask, const char *refusal, enum davy_state state);
void answer_points(struct route *route, const struct ask *ask, const struct davy_config *config,
                   const struct davy_engine *engine);
void answer_alarms(struct route *route, const struct ask *ask, const struct davy_config *config,
                   const struct davy_engine *engine);
