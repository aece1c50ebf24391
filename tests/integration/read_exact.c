/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Read values through planner, libmodbus adapter and decoder, and print them bit by bit: the side of davy in tests
 * against Modbus servers that others wrote.
 *
 *   read_exact tcp PORT | rtu PATH | rtu-over-tcp PORT      points on standard input, a line each: TABLE TYPE ORDER
 * ADDRESS
 *
 * Prints a line for each point in order: 16 hex digits of the double, or the reason why there is none.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "acquire/bus.h"
#include "acquire/request.h"
#include "base/num.h"
#include "decode/decode.h"
#include "support/small_config.h"

#define UNIT 7

static bool add_point(struct davy_config *config, const char *line)
{
    char table[16], type[16], order[16];
    unsigned address;
    if (sscanf(line, "%15s %15s %15s %u", table, type, order, &address) != 4)
        return false;
    int found[] = {davy_table_find(table), davy_type_find(type), davy_order_find(order)};
    if (found[0] < 0 || found[1] < 0 || found[2] < 0 || config->point_count == SMALL_POINTS)
        return false;
    uint32_t point = small_point(config, "p", (uint16_t)address, (enum davy_type)found[1]);
    config->points[point].table = (enum davy_table)found[0];
    config->points[point].order = (enum davy_order)found[2];
    if (found[1] == DAVY_TYPE_BOOL && found[0] >= DAVY_TABLE_INPUT) {
        config->points[point].has_mask = true; /* its lowest bit */
        config->points[point].mask = 1;
    }
    return true;
}

static bool add_bus(struct davy_config *config, const char *type, const char *place)
{
    int found = davy_bus_type_find(type);
    int64_t port = 0;
    if (found < 0 || (found != DAVY_BUS_RTU && davy_int_parse(place, &port) < 0))
        return false;
    struct davy_bus *bus = &config->buses[small_bus(config, "bus", (enum davy_bus_type)found)];
    bus->device = place;
    bus->port = (int)port;
    bus->baud = 115200;
    bus->timeout = davy_span_s(5);
    return true;
}

/* All requests of the plan once; readings by point. */
static int read_all(const struct davy_config *config, struct davy_bus_link bus, struct davy_decoder *decoder,
                    struct davy_reading *ret_readings)
{
    static struct davy_reading decoded[DAVY_DECODE_MAX];
    for (uint32_t i = 0; i < config->request_count; i++) {
        const struct davy_request *planned = &config->requests[i];
        const struct davy_bus_request request = {UNIT, planned->table, planned->start, planned->count, davy_span_s(5)};
        struct davy_bus_reply reply;
        bus.ops->read(bus.link, &request, &reply);
        struct davy_block block = {.generation = config->generation, .request = i, .answer = reply.answer};
        memcpy(block.words, reply.words, sizeof block.words);
        size_t count = davy_decode_block(decoder, &block, decoded);
        for (size_t k = 0; k < count; k++)
            ret_readings[decoded[k].point] = decoded[k];
    }
    return 0;
}

static void print_all(const struct davy_config *config, const struct davy_reading *readings)
{
    for (size_t i = 0; i < config->point_count; i++) {
        uint64_t bits;
        memcpy(&bits, &readings[i].value, sizeof bits);
        if (readings[i].quality == DAVY_QUALITY_GOOD)
            printf("%016" PRIx64 "\n", bits);
        else
            printf("%s\n", davy_reason_name(readings[i].reason));
    }
}

static int run(struct davy_config *config)
{
    static struct davy_reading readings[SMALL_POINTS];
    struct davy_bus_link bus;
    struct davy_decoder *decoder;
    int rc = davy_requests_plan(config);
    if (rc < 0)
        return rc;
    rc = davy_bus_modbus_new(&config->buses[0], &bus);
    if (rc < 0)
        return rc;
    rc = bus.ops->open(bus.link);
    if (rc == 0)
        rc = davy_decoder_new(config, &decoder);
    if (rc == 0) {
        rc = read_all(config, bus, decoder, readings);
        print_all(config, readings);
        davy_decoder_free(decoder);
    }
    bus.ops->free(bus.link);
    return rc;
}

int main(int argc, char **argv)
{
    char line[128];
    struct davy_config *config = small_config_new();
    if (argc != 3 || !add_bus(config, argv[1], argv[2])) {
        fprintf(stderr, "usage: read_exact tcp PORT | rtu PATH | rtu-over-tcp PORT\n");
        return 2;
    }
    small_device(config, "D", 0, UNIT);
    config->devices[0].max_registers = 125;
    while (fgets(line, sizeof line, stdin)) {
        if (!add_point(config, line)) {
            fprintf(stderr, "read_exact: not a point: %s", line);
            return 2;
        }
    }
    int rc = run(config);
    if (rc < 0)
        fprintf(stderr, "read_exact: %s\n", strerror(-rc));
    davy_config_unref(config);
    return rc < 0 ? 1 : 0;
}
