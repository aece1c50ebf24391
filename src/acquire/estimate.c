/* SPDX-License-Identifier: Apache-2.0 */
#include "acquire/estimate.h"

/* Silence of a device between request and reply, where nothing was measured: 20 ms is usual of sensors. */
static const davy_span turn_around = {20 * DAVY_NS_PER_MS};

static const davy_span tcp_round_trip = {1 * DAVY_NS_PER_MS};

/* Modbus over Serial Line V1.02, 2.5.1.1: 3.5 characters, above 19200 baud fixed. */
#define FAST_BAUD       19200
#define FAST_SILENCE_NS (1750 * DAVY_NS_PER_US)

/* Request, and the reply without its data, in characters: unit, function, 4 or 1 bytes, CRC. */
#define REQUEST_CHARACTERS 8
#define REPLY_CHARACTERS   5

static bool is_line(const struct davy_bus *bus)
{
    return bus->type == DAVY_BUS_RTU && bus->baud > 0;
}

static int64_t character_ns(const struct davy_bus *bus)
{
    int bits = 1 + bus->data_bits + (bus->parity == 'N' ? 0 : 1) + bus->stop_bits;
    return bits * DAVY_NS_PER_S / bus->baud;
}

static int64_t longer(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t silence_ns(const struct davy_bus *bus)
{
    return bus->baud > FAST_BAUD ? FAST_SILENCE_NS : character_ns(bus) * 7 / 2;
}

static int64_t data_bytes(const struct davy_request *request)
{
    bool bits = request->table == DAVY_TABLE_COIL || request->table == DAVY_TABLE_DISCRETE;
    return bits ? (request->count + 7) / 8 : 2 * request->count;
}

davy_span davy_estimate_request(const struct davy_config *config, const struct davy_request *request)
{
    const struct davy_bus *bus = &config->buses[request->bus];
    if (!is_line(bus))
        return (davy_span){tcp_round_trip.ns + bus->pause.ns};
    int64_t characters = REQUEST_CHARACTERS + REPLY_CHARACTERS + data_bytes(request);
    int64_t silence = silence_ns(bus);
    return (davy_span){characters * character_ns(bus) + longer(turn_around.ns, silence) +
                       longer(bus->pause.ns, silence)};
}

double davy_estimate_utilization(const struct davy_config *config, uint32_t bus)
{
    double used = 0;
    for (size_t i = 0; i < config->request_count; i++) {
        const struct davy_request *request = &config->requests[i];
        if (request->bus == bus && request->interval.ns > 0)
            used += (double)davy_estimate_request(config, request).ns / (double)request->interval.ns;
    }
    return used;
}

/*
 * How long a device that has just fallen silent holds the bus: its read with the retries, and two more until the third
 * miss quarantines it (acquire/quarantine.h).
 */
static int64_t dead_ns(const struct davy_config *config, uint32_t device)
{
    const struct davy_device *dead = &config->devices[device];
    const struct davy_bus *bus = &config->buses[dead->bus];
    int64_t wait = bus->type == DAVY_BUS_TCP ? bus->timeout.ns : longer(bus->timeout.ns, dead->max_reply.ns);
    return (3 + bus->retries) * wait;
}

/* Of the devices of `bus` but `except`: the rank-th longest time without an answer, 0 where there are not so many. */
static int64_t dead_at_rank(const struct davy_config *config, uint32_t bus, uint32_t except, unsigned rank)
{
    for (uint32_t i = 0; i < config->device_count; i++) {
        if (config->devices[i].bus != bus || i == except || !config->devices[i].enabled)
            continue;
        unsigned slower = 0;
        for (uint32_t j = 0; j < config->device_count; j++) {
            bool other = config->devices[j].bus == bus && j != except && j != i && config->devices[j].enabled;
            int64_t difference = other ? dead_ns(config, j) - dead_ns(config, i) : -1;
            slower += difference > 0 || (difference == 0 && j < i);
        }
        if (slower == rank)
            return dead_ns(config, i);
    }
    return 0;
}

static const struct davy_request *request_of(const struct davy_config *config, uint32_t point)
{
    for (size_t i = 0; i < config->request_count; i++)
        for (size_t k = 0; k < config->requests[i].point_count; k++)
            if (config->requests[i].points[k] == point)
                return &config->requests[i];
    return NULL;
}

davy_span davy_estimate_detection(const struct davy_config *config, uint32_t point, unsigned dead)
{
    const struct davy_request *own = request_of(config, point);
    if (!own)
        return (davy_span){0};
    int64_t sum = own->interval.ns;
    for (size_t i = 0; i < config->request_count; i++)
        if (config->requests[i].bus == own->bus)
            sum += davy_estimate_request(config, &config->requests[i]).ns;
    for (unsigned rank = 0; rank < dead; rank++)
        sum += dead_at_rank(config, own->bus, own->device, rank);
    return (davy_span){sum};
}
