/* SPDX-License-Identifier: Apache-2.0 */
#include "acquire/poller.h"

#include <errno.h>
#include <stdlib.h>

/* Many connections begin at once when the daemon starts, some of them to one server. */
#define FIRST_CONNECT_NS (250 * DAVY_NS_PER_MS)

/* In how many rounds every connection was seen to beat. */
struct rounds {
    uint64_t beats[DAVY_POLLER_CONNECTIONS]; /* last seen of each */
    uint32_t turned;                         /* bit set of those that beat in this round */
    uint64_t count;
};

struct davy_poller {
    uint32_t count;
    struct davy_connection *connections[DAVY_POLLER_CONNECTIONS];
    struct rounds turns;
    struct rounds pulses;
};

static int add_connection(struct davy_poller *poller, const struct davy_poller_options *options, uint32_t count)
{
    struct davy_connection_options own = {
        .config = options->config,
        .share = {.bus = options->bus, .connection = poller->count, .connections = count},
        .clock = options->clock,
        .blocks = options->blocks,
        .demands = options->demands,
        .seed = options->seed + poller->count,
    };
    if (options->config->buses[options->bus].type != DAVY_BUS_RTU)
        own.spread.ns = FIRST_CONNECT_NS;
    int rc = options->new_link(&options->config->buses[options->bus], &own.link);
    if (rc < 0)
        return rc;
    rc = davy_connection_new(&own, &poller->connections[poller->count]);
    if (rc < 0)
        own.link.ops->free(own.link.link);
    else
        poller->count++;
    return rc;
}

int davy_poller_new(const struct davy_poller_options *options, struct davy_poller **ret_poller)
{
    struct davy_poller *poller = calloc(1, sizeof *poller);
    if (!poller)
        return -ENOMEM;
    uint32_t count = davy_share_connections(&options->config->buses[options->bus]);
    if (count > DAVY_POLLER_CONNECTIONS)
        count = DAVY_POLLER_CONNECTIONS;
    int rc = 0;
    for (uint32_t i = 0; i < count && rc == 0; i++)
        rc = add_connection(poller, options, count);
    if (rc < 0)
        davy_poller_free(poller);
    else
        *ret_poller = poller;
    return rc;
}

int davy_poller_start(struct davy_poller *poller)
{
    int rc = 0;
    for (uint32_t i = 0; i < poller->count && rc == 0; i++)
        rc = davy_connection_start(poller->connections[i]);
    return rc;
}

void davy_poller_stop(struct davy_poller *poller)
{
    for (uint32_t i = 0; i < poller->count; i++)
        davy_connection_stop(poller->connections[i]);
}

struct davy_poller *davy_poller_free(struct davy_poller *poller)
{
    if (!poller)
        return NULL;
    davy_poller_stop(poller); /* all, before the first is waited for */
    for (uint32_t i = 0; i < poller->count; i++)
        davy_connection_free(poller->connections[i]);
    free(poller);
    return NULL;
}

void davy_poller_switch(struct davy_poller *poller, const struct davy_config *config, uint32_t bus)
{
    struct davy_share share = {.bus = bus, .connections = poller->count};
    for (; share.connection < poller->count; share.connection++)
        davy_connection_switch(poller->connections[share.connection], config, &share);
}

void davy_poller_alarm(struct davy_poller *poller, uint32_t generation, uint32_t device, bool in_alarm)
{
    for (uint32_t i = 0; i < poller->count; i++)
        davy_connection_alarm(poller->connections[i], generation, device, in_alarm);
}

int davy_poller_demand(struct davy_poller *poller, const struct davy_poller_demand *demand)
{
    uint32_t index = demand->kind == DAVY_DEMAND_FRAMES && demand->connection < poller->count ? demand->connection : 0;
    return davy_connection_demand(poller->connections[index], demand);
}

static int badness(enum davy_link_state state)
{
    static const int order[] = {[DAVY_LINK_UP] = 0,
                                [DAVY_LINK_DEGRADED] = 1,
                                [DAVY_LINK_OPENING] = 2,
                                [DAVY_LINK_CLOSED] = 3,
                                [DAVY_LINK_BACKOFF] = 4};
    _Static_assert(DAVY_LENGTH(order) == DAVY_LINK_STATE_COUNT_, "an order for each state");
    return order[state];
}

static void sum_up(struct davy_poller_status *sum, const struct davy_poller_status *one)
{
    sum->requests += one->requests;
    sum->answers += one->answers;
    sum->timeouts += one->timeouts;
    sum->exceptions += one->exceptions;
    sum->invalid += one->invalid;
    sum->late += one->late;
    sum->foreign += one->foreign;
    sum->splits += one->splits;
    sum->connects += one->connects;
    sum->skipped += one->skipped;
    sum->quarantined += one->quarantined;
    if (one->utilization > sum->utilization)
        sum->utilization = one->utilization;
    if (one->last_answer.ns > sum->last_answer.ns)
        sum->last_answer = one->last_answer;
}

/* A connection without devices is not opened: it is not bad either. */
void davy_poller_status(struct davy_poller *poller, struct davy_poller_status *ret_status)
{
    struct davy_poller_status one;
    davy_connection_status(poller->connections[0], ret_status);
    for (uint32_t i = 1; i < poller->count; i++) {
        davy_connection_status(poller->connections[i], &one);
        sum_up(ret_status, &one);
        if (one.state == DAVY_LINK_CLOSED || badness(one.state) <= badness(ret_status->state))
            continue;
        ret_status->state = one.state;
        ret_status->last_error = one.last_error;
    }
}

bool davy_poller_device(struct davy_poller *poller, size_t row, struct davy_poller_device *ret_device)
{
    return davy_connection_device(poller->connections[row % poller->count], row / poller->count, ret_device);
}

static uint64_t count_rounds(const struct davy_poller *poller, struct rounds *rounds,
                             uint64_t (*beats_of)(const struct davy_connection *connection))
{
    for (uint32_t i = 0; i < poller->count; i++) {
        uint64_t beats = beats_of(poller->connections[i]);
        rounds->turned |= (uint32_t)(beats != rounds->beats[i]) << i;
        rounds->beats[i] = beats;
    }
    if (rounds->turned == (UINT32_C(1) << poller->count) - 1) {
        rounds->turned = 0;
        rounds->count++;
    }
    return rounds->count;
}

uint64_t davy_poller_beats(struct davy_poller *poller)
{
    return count_rounds(poller, &poller->turns, davy_connection_beats);
}

uint64_t davy_poller_pulse(struct davy_poller *poller)
{
    return count_rounds(poller, &poller->pulses, davy_connection_pulse);
}
