/* SPDX-License-Identifier: Apache-2.0 */
#include "acquire/link.h"

#include <errno.h>

#include "base/attr.h"

#define FIRST_WAIT_S 1
#define DOUBLINGS    10U

static const char *const names[] = {"closed", "opening", "up", "degraded", "backoff"};
_Static_assert(DAVY_LENGTH(names) == DAVY_LINK_STATE_COUNT_, "a name for each state");

#define NEVER (-1)

static const signed char next_state[DAVY_LINK_STATE_COUNT_][DAVY_LINK_INPUT_COUNT_] = {
    [DAVY_LINK_CLOSED] = {DAVY_LINK_OPENING, NEVER, NEVER, NEVER, NEVER, NEVER, NEVER, DAVY_LINK_CLOSED},
    [DAVY_LINK_OPENING] = {NEVER, DAVY_LINK_UP, DAVY_LINK_BACKOFF, NEVER, NEVER, NEVER, NEVER, DAVY_LINK_CLOSED},
    [DAVY_LINK_UP] = {NEVER, NEVER, NEVER, DAVY_LINK_UP, DAVY_LINK_DEGRADED, DAVY_LINK_CLOSED, DAVY_LINK_BACKOFF,
                      DAVY_LINK_CLOSED},
    [DAVY_LINK_DEGRADED] = {NEVER, NEVER, NEVER, DAVY_LINK_UP, DAVY_LINK_DEGRADED, DAVY_LINK_CLOSED, DAVY_LINK_BACKOFF,
                            DAVY_LINK_CLOSED},
    [DAVY_LINK_BACKOFF] = {DAVY_LINK_OPENING, NEVER, NEVER, NEVER, NEVER, NEVER, NEVER, DAVY_LINK_CLOSED},
};

const char *davy_link_state_name(enum davy_link_state state)
{
    return (size_t)state < DAVY_LENGTH(names) ? names[state] : "?";
}

void davy_link_init(struct davy_link *link, davy_span longest, uint64_t seed, davy_mono first)
{
    *link = (struct davy_link){.state = DAVY_LINK_CLOSED, .longest = longest, .random = {seed}, .retry_at = first};
}

/* Half of the wait is certain, half is drawn, so that gateways that lost one server do not come back together. */
static davy_span wait_for(struct davy_link *link, unsigned doublings)
{
    int64_t ns = FIRST_WAIT_S * DAVY_NS_PER_S << (doublings < DOUBLINGS ? doublings : DOUBLINGS);
    if (ns > link->longest.ns)
        ns = link->longest.ns;
    int64_t half = ns / 2;
    return (davy_span){half + (int64_t)((double)half * davy_random_unit(&link->random))};
}

static void enter_backoff(struct davy_link *link, enum davy_link_input input, davy_mono now)
{
    bool at_once = input == DAVY_LINK_BROKEN && link->failures == 0;
    unsigned doublings = link->failures > 0 ? link->failures - 1 : 0;
    link->retry_at = at_once ? now : davy_mono_add(now, wait_for(link, doublings));
    link->failures++;
}

int davy_link_feed(struct davy_link *link, enum davy_link_input input, davy_mono now)
{
    signed char next = next_state[link->state][input];
    if (next == NEVER)
        return -EINVAL;
    if (input == DAVY_LINK_ANSWER)
        link->failures = 0;
    if (next == DAVY_LINK_BACKOFF)
        enter_backoff(link, input, now);
    link->state = (enum davy_link_state)next;
    return 0;
}

bool davy_link_is_open(const struct davy_link *link)
{
    return link->state == DAVY_LINK_UP || link->state == DAVY_LINK_DEGRADED;
}

bool davy_link_wants_open(const struct davy_link *link, davy_mono now)
{
    bool closed = link->state == DAVY_LINK_CLOSED || link->state == DAVY_LINK_BACKOFF;
    return closed && now.ns >= link->retry_at.ns;
}
