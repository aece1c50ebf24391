/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine of the daemon over a source, without device, broker or clock: replay.c the verb, replay_run.c this,
 * backtest.c what two configurations make of the same readings.
 */
#pragma once

#include "ctl/progress.h"
#include "ctl/source.h"
#include "evaluate/engine.h"

/* One configuration that is run. */
struct lane {
    const struct davy_config *config;
    const uint32_t *points; /* index of each point of the roster; DAVY_NONE */
    struct davy_engine *engine;
    int64_t seq; /* of the newest event */
    void (*event)(struct lane *lane, const struct davy_event *event);
    void *context;
};

struct replay {
    struct source *source;
    struct progress *progress;
    struct lane lanes[ROSTER_CONFIGS];
    size_t lane_count;
    const char *failed; /* set by a lane's event(): what ends the run; NULL */
    uint64_t readings;
    davy_wall first; /* row and last instant */
    davy_wall last;
};

/* How long before a period readings are wanted for windows, delays and raises to be what they would have been. */
davy_span davy_replay_warm_up(const struct davy_config *config);

/* Run all lanes over the source. CTL_DONE, or CTL_REFUSED, told; also where a signal is to end the program. */
int davy_replay_run(const struct ctl *ctl, struct replay *replay) DAVY_MUST_CHECK;

/* Compare: lane 0 is the new, lane 1 the current configuration. An exit code. */
int davy_backtest(const struct ctl *ctl, struct replay *replay) DAVY_MUST_CHECK;
