/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Due times of a fixed set of owners 0 … n-1, each at most once: an indexed binary heap. Equal times come in the order
 * of owners. Thread: one caller at a time. Nothing fails after _init.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/clock.h"

struct davy_timers {
    davy_mono *due;     /* by owner; DAVY_MONO_NEVER when not in the heap */
    uint32_t *heap;     /* owners */
    uint32_t *position; /* by owner */
    size_t count;       /* in the heap */
};

/* init: room for owners 0 to owners - 1; 0 or -ENOMEM. done may be repeated. */
int davy_timers_init(struct davy_timers *timers, size_t owners) DAVY_MUST_CHECK;
void davy_timers_done(struct davy_timers *timers);

/* Set, move or (DAVY_MONO_NEVER) remove the time of an owner. O(log n). */
void davy_timers_set(struct davy_timers *timers, uint32_t owner, davy_mono due);

/* The earliest time; DAVY_MONO_NEVER when empty. */
davy_mono davy_timers_next(const struct davy_timers *timers);

/* The owner of the earliest time. The heap must not be empty. */
uint32_t davy_timers_first(const struct davy_timers *timers);
