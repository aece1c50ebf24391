/* SPDX-License-Identifier: Apache-2.0 */
/* Windows go on over a restart: the engine is given the history that it asks for, before its start. */
#pragma once

#include "base/clock.h"
#include "evaluate/engine.h"

/*
 * Readings of readings.db and raises of ledger.db in `directory`, brought to the monotonic clock by what it is now.
 * What cannot be read leaves the windows uncovered, and is logged.
 */
void refill(struct davy_engine *engine, const struct davy_config *config, const char *directory,
            const struct davy_clock *clock);
