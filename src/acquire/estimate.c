/* SPDX-License-Identifier: Apache-2.0 */
#include "acquire/estimate.h"

#include "acquire/share.h"

static const davy_span tcp_round_trip = {1 * DAVY_NS_PER_MS};

/* Modbus over Serial Line V1.02, 2.5.1.1: 3.5 characters, above 19200 baud fixed. */
#define FAST_BAUD       19200
#define FAST_SILENCE_NS (1750 * DAVY_NS_PER_US)

/* Request, and the reply without its data, in characters: unit, function, 4 or 1 bytes, CRC. */
#define REQUEST_CHARACTERS 8
#define REPLY_CHARACTERS   5

/* Of acquire/quarantine.h: what is not answered takes one part of so many of the bus's time in the long run. */
#define PROBE_PARTS 10

/* And so often a device may miss until it is only probed. */
#define MISSES 3

/* What takes longer is said to take so long: ten years. */
#define ENDLESS_NS (10 * 366 * 86400 * DAVY_NS_PER_S)

/* So many steps, then halves, down to a thousandth. */
#define STEPS    32
#define ACCURACY 1000

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
    return (davy_span){characters * character_ns(bus) + longer(DAVY_ESTIMATE_TURN_AROUND.ns, silence) +
                       longer(bus->pause.ns, silence)};
}

static double connection_utilization(const struct davy_config *config, uint32_t bus, uint32_t connection)
{
    double used = 0;
    for (size_t i = 0; i < config->request_count; i++) {
        const struct davy_request *request = &config->requests[i];
        if (request->bus == bus && request->connection == connection && request->interval.ns > 0)
            used += (double)davy_estimate_request(config, request).ns / (double)request->interval.ns;
    }
    return used;
}

double davy_estimate_utilization(const struct davy_config *config, uint32_t bus)
{
    double busiest = 0;
    for (uint32_t i = 0; i < davy_share_connections(&config->buses[bus]); i++) {
        double used = connection_utilization(config, bus, i);
        busiest = used > busiest ? used : busiest;
    }
    return busiest;
}

/* ---- detection ---- */

/* Requests of a bus stand together, those of a device too (acquire/request.h): the first that is not before both. */
static size_t lower_bound(const struct davy_config *config, uint32_t bus, uint32_t device)
{
    size_t low = 0, high = config->request_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct davy_request *request = &config->requests[middle];
        if (request->bus < bus || (request->bus == bus && request->device < device))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct davy_request *davy_estimate_request_of(const struct davy_config *config, uint32_t point)
{
    uint32_t device = config->points[point].device;
    size_t first = lower_bound(config, config->devices[device].bus, device);
    for (size_t i = first; i < config->request_count && config->requests[i].device == device; i++)
        for (size_t k = 0; k < config->requests[i].point_count; k++)
            if (config->requests[i].points[k] == point)
                return &config->requests[i];
    return NULL;
}

/* An exchange without a reply: a connection is made anew; a line stays silent until no reply can come any more. */
static int64_t failure_ns(const struct davy_config *config, const struct davy_request *request)
{
    const struct davy_device *device = &config->devices[request->device];
    const struct davy_bus *bus = &config->buses[request->bus];
    if (bus->type == DAVY_BUS_TCP)
        return bus->timeout.ns + tcp_round_trip.ns + bus->pause.ns;
    int64_t character = is_line(bus) ? character_ns(bus) : 0;
    int64_t silence = is_line(bus) ? longer(silence_ns(bus), bus->pause.ns) : bus->pause.ns;
    int64_t late = device->max_reply.ns + (REPLY_CHARACTERS + data_bytes(request)) * character;
    return REQUEST_CHARACTERS * character + longer(bus->timeout.ns + silence, late);
}

static bool is_tcp(const struct davy_config *config, const struct davy_request *request)
{
    return config->buses[request->bus].type == DAVY_BUS_TCP;
}

/*
 * What a device that falls silent costs in any case: the first miss, that nobody can foresee. Where it is one of
 * several that have missed lately the line may seem noisy, and then nobody pays for anything before the third miss:
 * that is all three, the first with its retries. On a line, once it answers again, each read is enclosed by two short
 * ones until nothing late can come (acquire/guard.h).
 */
static int64_t misses_ns(const struct davy_config *config, const struct davy_request *request, bool noisy)
{
    struct davy_request brief = *request;
    brief.count = 1;
    int64_t enclosed = is_tcp(config, request) ? 0 : 2 * davy_estimate_request(config, &brief).ns;
    int64_t exchanges = noisy ? MISSES + config->buses[request->bus].retries : 1;
    return exchanges * failure_ns(config, request) + enclosed;
}

/*
 * What may be on the account that pays retries and probes (acquire/quarantine.h): as many misses as there are retries,
 * and one that is begun on the last of it; on a line that one may wait for two times max_reply before.
 */
static int64_t account_ns(const struct davy_config *config, const struct davy_request *request)
{
    int64_t waiting = is_tcp(config, request) ? 0 : 2 * config->devices[request->device].max_reply.ns;
    return (longer(config->buses[request->bus].retries, 1) + 1) * failure_ns(config, request) + waiting;
}

/* Keep the `size` largest, in falling order. */
static void keep_largest(int64_t *largest, size_t size, int64_t value)
{
    for (size_t i = 0; i < size; i++) {
        if (value <= largest[i])
            continue;
        int64_t smaller = largest[i];
        largest[i] = value;
        value = smaller;
    }
}

/* Other devices on the connection of `own`. */
static unsigned count_others(const struct davy_config *config, const struct davy_request *own)
{
    unsigned count = 0;
    uint32_t last = own->device;
    size_t end = lower_bound(config, own->bus + 1, 0);
    for (size_t i = lower_bound(config, own->bus, 0); i < end; i++) {
        const struct davy_request *request = &config->requests[i];
        count += request->connection == own->connection && request->device != own->device && request->device != last;
        last = request->device;
    }
    return count;
}

/*
 * Bus time of all that is not answered where `dead` devices beside that of `own` fall silent, those that hold the bus
 * longest, but for the tenth that the account grows by.
 */
static int64_t all_dead_ns(const struct davy_config *config, const struct davy_request *own, unsigned dead)
{
    int64_t largest[DAVY_ESTIMATE_DEAD_MAX] = {0}, account = 0, of_device = 0;
    const unsigned others = dead > 0 ? count_others(config, own) : 0;
    const unsigned silent = dead < others ? dead : others;
    size_t size = silent < DAVY_ESTIMATE_DEAD_MAX ? silent : DAVY_ESTIMATE_DEAD_MAX;
    size_t end = lower_bound(config, own->bus + 1, 0);
    for (size_t i = lower_bound(config, own->bus, 0); size > 0 && i < end; i++) {
        const struct davy_request *request = &config->requests[i];
        if (request->device == own->device || request->connection != own->connection)
            continue;
        account = longer(account, account_ns(config, request));
        of_device = longer(of_device, misses_ns(config, request, size > 1));
        if (i + 1 < end && request[1].device == request->device)
            continue;
        keep_largest(largest, size, of_device);
        of_device = 0;
    }
    for (size_t i = 0; i < size; i++)
        account += largest[i];
    return account;
}

/* The shortest time between two reads of it: also while its device is in alarm. */
static int64_t shortest_ns(const struct davy_config *config, const struct davy_request *request)
{
    int64_t alarm = config->devices[request->device].alarm_interval.ns;
    int64_t interval = request->interval.ns > 0 ? request->interval.ns : 1;
    return alarm > 0 && alarm < interval ? alarm : interval;
}

static int64_t divided_up(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

/*
 * Reads that may go first while `own` waits for `waiting`: as often as each is due meanwhile, but none whose deadline
 * is later than that of `own`, which is its due time and interval (acquire/schedule.h); and the read that is going on.
 */
static int64_t ahead_ns(const struct davy_config *config, const struct davy_request *own, int64_t waiting)
{
    int64_t sum = 0, going_on = 0;
    for (size_t i = lower_bound(config, own->bus, 0); i < config->request_count && config->requests[i].bus == own->bus;
         i++) {
        const struct davy_request *request = &config->requests[i];
        if (request->connection != own->connection)
            continue;
        int64_t once = davy_estimate_request(config, request).ns, interval = shortest_ns(config, request);
        int64_t by_deadline = divided_up(own->interval.ns, interval);
        int64_t due = divided_up(waiting, interval);
        sum += once * (due < by_deadline ? due : by_deadline);
        going_on = longer(going_on, once);
        if (sum >= ENDLESS_NS)
            return ENDLESS_NS;
    }
    return sum + going_on;
}

/*
 * How long `own` waits at most, where what is due while it waits for `waiting` may go before it. Never falls with that.
 */
static int64_t needed_ns(const struct davy_config *config, const struct davy_request *own, int64_t held,
                         int64_t waiting)
{
    const int64_t needed = held + ahead_ns(config, own, waiting);
    const int64_t whole = held > 0 ? divided_up(needed * PROBE_PARTS, PROBE_PARTS - 1) : needed;
    return whole < ENDLESS_NS ? whole : ENDLESS_NS;
}

/*
 * A waiting above `low` that suffices for what it needs, so that it is no shorter than the least such. A bus that is
 * all but full has it hours away, which would be millions of steps.
 */
static int64_t enough_ns(const struct davy_config *config, const struct davy_request *own, int64_t held, int64_t low)
{
    int64_t high = needed_ns(config, own, held, ENDLESS_NS);
    while (high - low > high / ACCURACY) {
        const int64_t middle = low + (high - low) / 2, needed = needed_ns(config, own, held, middle);
        if (needed <= middle)
            high = needed;
        else
            low = middle;
    }
    return high;
}

/*
 * From the due time of `own` to its reply: the least waiting that suffices, from below; or one that is a little longer.
 */
static int64_t response_ns(const struct davy_config *config, const struct davy_request *own, unsigned dead)
{
    const int64_t held = all_dead_ns(config, own, dead);
    int64_t response = 1;
    for (int step = 0; step < STEPS; step++) {
        const int64_t next = needed_ns(config, own, held, response);
        if (next <= response)
            return response;
        response = next;
    }
    return enough_ns(config, own, held, response);
}

davy_span davy_estimate_detection(const struct davy_config *config, const struct davy_request *request, unsigned dead)
{
    return (davy_span){request->interval.ns + response_ns(config, request, dead)};
}

/*
 * Of n connections the i-th has every n-th enabled device in file order (acquire/share.h); requests are in that order.
 */
static void assign_connections(struct davy_config *config, uint32_t bus)
{
    uint32_t connections = davy_share_connections(&config->buses[bus]), rank = 0;
    size_t next = lower_bound(config, bus, 0), end = lower_bound(config, bus + 1, 0);
    for (uint32_t d = 0; d < config->device_count; d++) {
        for (; next < end && config->requests[next].device == d; next++)
            config->requests[next].connection = rank % connections;
        rank += config->devices[d].bus == bus && config->devices[d].enabled;
    }
}

void davy_estimate_fill(struct davy_config *config)
{
    static const unsigned dead[DAVY_DEAD_COUNT_] = {
        [DAVY_DEAD_ONE] = 1,
        [DAVY_DEAD_SOME] = DAVY_DEAD_SOME_DEVICES,
    };
    for (uint32_t bus = 0; bus < config->bus_count; bus++)
        assign_connections(config, bus);
    for (size_t i = 0; i < config->request_count; i++) {
        struct davy_request *request = &config->requests[i], *before = i > 0 ? request - 1 : NULL;
        bool alike = before && before->device == request->device && before->interval.ns == request->interval.ns;
        for (size_t k = 0; k < DAVY_DEAD_COUNT_; k++)
            request->detection[k] = alike ? before->detection[k] : davy_estimate_detection(config, request, dead[k]);
    }
}

unsigned davy_estimate_neighbours(const struct davy_config *config, uint32_t point)
{
    const struct davy_request *own = davy_estimate_request_of(config, point);
    return own ? count_others(config, own) : 0;
}
