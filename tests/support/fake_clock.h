/* SPDX-License-Identifier: Apache-2.0 */
/* A clock that stands until a test moves it. */
#pragma once

#include "base/attr.h"
#include "base/clock.h"

struct fake_clock {
    struct davy_clock clock;
    struct davy_stamp now;
};

static DAVY_UNUSED struct davy_stamp fake_clock_now(void *context)
{
    const struct fake_clock *fake = context;
    return fake->now;
}

/* Starts at 1000 s of mono and 1 700 000 000 s of wall time. */
static DAVY_UNUSED void fake_clock_init(struct fake_clock *fake)
{
    fake->clock = (struct davy_clock){.now = fake_clock_now, .context = fake};
    fake->now.mono.ns = 1000 * DAVY_NS_PER_S;
    fake->now.wall.ns = 1700000000 * DAVY_NS_PER_S;
}

static DAVY_UNUSED void fake_clock_advance(struct fake_clock *fake, davy_span span)
{
    fake->now.mono.ns += span.ns;
    fake->now.wall.ns += span.ns;
}
