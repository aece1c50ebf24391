/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One schedule through the real decoder, engine, zones and the real form of memories in a ledger, under the eyes of the
 * oracle. In process, without threads or a clock.
 */
#pragma once

#include "false_clear_oracle.h"

struct ledger_place; /* a ledger in memory that all schedules of a process use in turn */

struct ledger_place *ledger_place_new(void);
struct ledger_place *ledger_place_free(struct ledger_place *place);

struct verdict {
    char wrong[512]; /* "": nothing */
    uint64_t events, falls, demands, readings, restarts, reloads;
    uint64_t held_over, jumps;
    struct tally tallies[DAVY_MEASURE_COUNT_];
};

/* trace: events and readings as they come, for a person; may be NULL */
void schedule_run(const struct plan *plan, struct ledger_place *place, FILE *trace, struct verdict *ret_verdict);
