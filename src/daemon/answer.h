/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of the evaluator to control requests, as JSON lines into the replies queue (shapes: control/request.h). */
#pragma once

#include "daemon/route.h"
#include "decode/decode.h"

/* Rows in one answer; the client asks on with `after`. */
#define ANSWER_PAGE 500

/* What became of an action. */
struct outcome {
    char refusal[512];     /* in words, where it is refused */
    enum davy_state state; /* of the alarm, afterwards */
    davy_wall until;       /* hidden until; ns = 0: not for a time */
};

/* A command over MQTT is answered there, and freed. */
void answer_action(struct route *route, const struct ask *ask, bool done, const struct outcome *outcome);
void answer_points(struct route *route, const struct ask *ask, const struct davy_config *config,
                   const struct davy_engine *engine);
/* The decoder knows which devices are inhibited, by whom and why. */
void answer_alarms(struct route *route, const struct ask *ask, const struct davy_config *config,
                   const struct davy_engine *engine, const struct davy_decoder *decoder);
void answer_explain(struct route *route, const struct ask *ask, const struct davy_config *config,
                    const struct davy_engine *engine, const struct davy_decoder *decoder);
