/* SPDX-License-Identifier: Apache-2.0 */
#include "acquire/noise.h"

#include <inttypes.h>
#include <stdio.h>

#define PERIOD_NS (60 * DAVY_NS_PER_S)

/* The worst first: it explains the others. */
static void describe(const struct davy_noise *noise, char *text, size_t size)
{
    if (noise->strangers > 0)
        snprintf(text, size,
                 "another master is on the line: %" PRIu64 " requests that are not ours, %" PRIu64
                 " bytes that nobody here asked for",
                 noise->strangers, noise->foreign);
    else if (noise->late > 0)
        snprintf(text, size,
                 "%" PRIu64 " replies came later than max_reply, which is set too short; %" PRIu64
                 " bytes were thrown away",
                 noise->late, noise->foreign);
    else
        snprintf(text, size,
                 "%" PRIu64 " bytes that nobody asked for: noise, a reply in pieces, or two devices of one address",
                 noise->foreign);
}

bool davy_noise_add(struct davy_noise *noise, const struct davy_bus_reply *reply, davy_mono now, char *text,
                    size_t size)
{
    noise->foreign += reply->foreign;
    noise->strangers += reply->strangers;
    noise->late += reply->late;
    bool some = noise->foreign + noise->strangers + noise->late > 0;
    if (!some || (noise->told.ns != 0 && davy_mono_sub(now, noise->told).ns < PERIOD_NS))
        return false;
    describe(noise, text, size);
    *noise = (struct davy_noise){.told = now};
    return true;
}
