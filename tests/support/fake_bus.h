/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bus whose units answer as a test says: each register's value is its address. It moves a fake clock by what a
 * request costs, and remembers what was asked.
 */
#pragma once

#include <errno.h>

#include "acquire/bus.h"
#include "support/fake_clock.h"

#define FAKE_BUS_LOG 4096

struct fake_bus_request {
    uint8_t unit;
    uint16_t start;
    uint16_t count;
    davy_mono at;
};

struct fake_bus {
    struct fake_clock *clock;
    int open_result;
    bool is_open;
    unsigned opens, closes, frees;
    enum davy_answer answers[256]; /* by unit */
    uint8_t exception;
    davy_span open_cost;
    davy_span answer_cost;
    davy_span turn_around; /* what it says of each answer */
    uint32_t foreign;
    uint32_t late; /* reported with each reply */
    struct davy_capture *capture;
    davy_span silence_cost;
    struct fake_bus_request log[FAKE_BUS_LOG];
    size_t count;
};

static DAVY_UNUSED int fake_bus_open(void *link)
{
    struct fake_bus *bus = link;
    bus->opens++;
    fake_clock_advance(bus->clock, bus->open_cost);
    bus->is_open = bus->open_result == 0;
    return bus->open_result;
}

static DAVY_UNUSED void fake_bus_close(void *link)
{
    struct fake_bus *bus = link;
    bus->closes++;
    bus->is_open = false;
}

static DAVY_UNUSED void fake_bus_free(void *link)
{
    struct fake_bus *bus = link;
    bus->frees++;
}

static DAVY_UNUSED void fake_bus_read(void *link, const struct davy_bus_request *request,
                                      struct davy_bus_reply *ret_reply)
{
    struct fake_bus *bus = link;
    bus->log[bus->count++ % FAKE_BUS_LOG] =
        (struct fake_bus_request){request->unit, request->start, request->count, bus->clock->now.mono};
    ret_reply->answer = bus->is_open ? bus->answers[request->unit] : DAVY_ANSWER_DOWN;
    ret_reply->exception = bus->exception;
    ret_reply->turn_around = bus->turn_around;
    ret_reply->foreign = bus->foreign;
    ret_reply->late = bus->late;
    for (unsigned i = 0; i < request->count && i < DAVY_BLOCK_WORDS; i++)
        ret_reply->words[i] = (uint16_t)(request->start + i);
    bool silent = ret_reply->answer == DAVY_ANSWER_TIMEOUT || ret_reply->answer == DAVY_ANSWER_INVALID;
    fake_clock_advance(bus->clock, silent ? bus->silence_cost : bus->answer_cost);
}

static DAVY_UNUSED void fake_bus_record(void *link, struct davy_capture *capture)
{
    struct fake_bus *bus = link;
    bus->capture = capture;
}

static DAVY_UNUSED struct davy_bus_link fake_bus_init(struct fake_bus *bus, struct fake_clock *clock)
{
    static const struct davy_bus_ops ops = {.open = fake_bus_open,
                                            .close = fake_bus_close,
                                            .read = fake_bus_read,
                                            .record = fake_bus_record,
                                            .free = fake_bus_free};
    *bus = (struct fake_bus){.clock = clock, .answer_cost = davy_span_ms(30), .silence_cost = davy_span_s(1)};
    return (struct davy_bus_link){.ops = &ops, .link = bus};
}
