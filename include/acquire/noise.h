/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is heard on a line that nobody should hear: when to say so, and how. At once, then at most once a minute with
 * the counts since. Pure. Thread: one caller at a time per object.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "acquire/bus.h"
#include "base/clock.h"

struct davy_noise {
    davy_mono told; /* ns = 0: never */
    uint64_t foreign;
    uint64_t strangers;
    uint64_t late;
};

/*
 * Count what a read heard.
 * text      untouched unless there is something to say; then a sentence without the name of the bus
 * returns   true when it is to be said now
 */
bool davy_noise_add(struct davy_noise *noise, const struct davy_bus_reply *reply, davy_mono now, char *text,
                    size_t size);
