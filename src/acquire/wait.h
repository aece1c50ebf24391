/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting for a descriptor or for an instant. Each wait ends within a quarter of a second once *stop is true; `stop`
 * may be NULL. Instants are those of davy_system_clock. Thread: any.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

/* davy_system_clock's now. */
davy_mono davy_wait_now(void);

/*
 * From now on each wait of the calling thread adds to *beats, at least once a quarter of a second: who waits is not
 * stuck. *beats must outlive the thread.
 */
void davy_wait_beat_into(atomic_uint_fast64_t *beats);

/* A beat, if they are wanted, of a wait that is not one of these. */
void davy_wait_beat(void);

/* Whether a stop is asked for. */
bool davy_wait_is_stopping(const atomic_bool *stop);

/* To that instant, not a relative time later: what the caller did before costs nothing. */
void davy_wait_until(davy_mono until, const atomic_bool *stop);

/* True when poll() has something to tell of `fd` (also its end) before `until`; false after that or when stopped. */
bool davy_wait_ready(int fd, short events, davy_mono until, const atomic_bool *stop);
