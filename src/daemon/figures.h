/* SPDX-License-Identifier: Apache-2.0 */
/* What the evaluator says of itself in figures: alarms, points, and points that are read too seldom. */
#pragma once

#include "daemon/judge.h"
#include "daemon/route.h"

/* How often a point is read. */
struct pace {
    uint32_t count; /* readings since it was last judged */
    struct read_rate rate;
};

/* paces  by point; judged and begun anew. The counts of `status` that belong to alarms and points are written. */
void figures_count(const struct davy_engine *engine, const struct davy_config *config, struct pace *paces,
                   davy_mono now, struct evaluator_status *status);
