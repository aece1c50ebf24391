/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way from the wire to a reading (connection, planner's requests, guard, decoder) against servers that lie:
 * whatever is told as a good reading must be what the register holds, and when the servers are honest again every point
 * must be good again.
 *
 * usage: hostile_route BUS FRAMES LANES      BUS: rtu, tcp or rtu-over-tcp
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "acquire/connection.h"
#include "acquire/request.h"
#include "base/log.h"
#include "decode/decode.h"
#include "hostile/server.h"
#include "support/seed.h"
#include "support/small_config.h"

#define TIMEOUT_MS 40
#define RATE       0.1
#define BLOCKS     64
#define IDLE_NS    (2 * DAVY_NS_PER_MS)

/* A device that was silent is probed at least every 30 s (acquire/quarantine.h). */
#define RECOVERY_S 120

struct lane {
    struct server server;
    uint64_t frames;
    uint64_t seed;
    struct davy_config *config;
    struct davy_decoder *decoder;
    struct davy_connection *connection;
    struct davy_queue blocks;
    uint64_t good, other, wrong;
    bool fresh[SMALL_POINTS]; /* good since the servers are honest */
    pthread_t thread;
};

static void must(bool fine, const char *what)
{
    if (fine)
        return;
    fprintf(stderr, "%s failed\n", what);
    exit(1);
}

static void put_points(struct davy_config *config)
{
    static const uint16_t addresses[] = {0, 1, 3, 100, 101, 500, 2047};
    static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g"};
    for (size_t i = 0; i < DAVY_LENGTH(addresses); i++) {
        const uint32_t point = small_point(config, names[i], addresses[i], DAVY_TYPE_UINT16);
        if (i >= 5)
            config->points[point].table = DAVY_TABLE_INPUT;
    }
}

/* All units, always due. */
static struct davy_config *plan(const struct server *server)
{
    static const char *const ids[SERVER_UNITS] = {"D1", "D2", "D3", "D4", "D5", "D6", "D7", "D8"};
    struct davy_config *config = small_config_new();
    struct davy_bus *bus = &config->buses[small_bus(config, "hostile", server->type)];
    bus->device = server->path;
    bus->baud = 115200;
    bus->port = server->port;
    bus->timeout = server->timeout;
    bus->retries = 1;
    for (uint8_t unit = 1; unit <= SERVER_UNITS; unit++) {
        struct davy_device *device = &config->devices[small_device(config, ids[unit - 1], 0, unit)];
        device->interval = device->alarm_interval = davy_span_ms(1);
        device->max_reply = server->latest;
        put_points(config);
    }
    must(davy_requests_plan(config) == 0, "the plan");
    return config;
}

static void judge(struct lane *lane, const struct davy_reading *reading)
{
    const struct davy_point *point = &lane->config->points[reading->point];
    const uint8_t unit = lane->config->devices[point->device].unit;
    if (reading->quality != DAVY_QUALITY_GOOD) {
        lane->other++;
        return;
    }
    lane->good++;
    lane->fresh[reading->point] = true;
    if (reading->has_value && reading->value == server_word(unit, point->table, point->address))
        return;
    lane->wrong++;
    printf("unit %u, %s: a good %g\n", unit, point->name, reading->value);
}

static void turn(struct lane *lane)
{
    static _Thread_local struct davy_reading readings[DAVY_DECODE_MAX];
    struct davy_block block;
    const davy_span idle = davy_connection_turn(lane->connection);
    while (davy_queue_pop(&lane->blocks, &block)) {
        const size_t count = davy_decode_block(lane->decoder, &block, readings);
        for (size_t i = 0; i < count; i++)
            judge(lane, &readings[i]);
    }
    const struct timespec pause = {.tv_sec = 0, .tv_nsec = idle.ns < IDLE_NS ? idle.ns : IDLE_NS};
    if (idle.ns > 0)
        nanosleep(&pause, NULL);
}

static size_t count_stale(const struct lane *lane)
{
    size_t stale = 0;
    for (size_t i = 0; i < lane->config->point_count; i++)
        stale += !lane->fresh[i];
    return stale;
}

static davy_mono now(void)
{
    return davy_clock_now(&davy_system_clock).mono;
}

static void *run_lane(void *context)
{
    struct lane *lane = context;
    while (atomic_load(&lane->server.requests) < lane->frames)
        turn(lane);
    atomic_store(&lane->server.honest, true);
    memset(lane->fresh, 0, sizeof lane->fresh);
    const davy_mono end = davy_mono_add(now(), davy_span_s(RECOVERY_S));
    while (count_stale(lane) > 0 && now().ns < end.ns)
        turn(lane);
    return NULL;
}

static void start_lane(struct lane *lane, enum davy_bus_type type, uint64_t frames, uint64_t seed)
{
    struct davy_bus_link link;
    const davy_span timeout = davy_span_ms(TIMEOUT_MS);
    server_start(&lane->server, type, timeout, (davy_span){3 * timeout.ns}, RATE, seed);
    lane->frames = frames;
    lane->config = plan(&lane->server);
    must(davy_decoder_new(lane->config, &lane->decoder) == 0, "the decoder");
    must(davy_queue_init(&lane->blocks, sizeof(struct davy_block), BLOCKS, DAVY_QUEUE_DROP_OLDEST, NULL) == 0,
         "a queue");
    must(davy_bus_modbus_new(&lane->config->buses[0], &link) == 0, "the link");
    const struct davy_connection_options options = {
        .config = lane->config, .link = link, .clock = &davy_system_clock, .blocks = &lane->blocks, .seed = seed};
    must(davy_connection_new(&options, &lane->connection) == 0, "the connection");
    must(pthread_create(&lane->thread, NULL, run_lane, lane) == 0, "a thread");
}

/* Returns how much was wrong. */
static uint64_t stop_lane(struct lane *lane)
{
    pthread_join(lane->thread, NULL);
    const size_t stale = count_stale(lane);
    davy_connection_free(lane->connection);
    server_stop(&lane->server);
    davy_queue_done(&lane->blocks);
    davy_decoder_free(lane->decoder);
    davy_config_unref(lane->config);
    if (stale > 0)
        printf("%zu points are not good again after %d s of honest answers\n", stale, RECOVERY_S);
    return lane->wrong + stale;
}

int main(int argc, char **argv)
{
    unsigned type = 0;
    while (argc > 1 && type < DAVY_BUS_TYPE_COUNT_ && strcmp(davy_bus_type_name(type), argv[1]) != 0)
        type++;
    const uint64_t frames = argc > 2 ? strtoull(argv[2], NULL, 10) : 0,
                   lanes = argc > 3 ? strtoull(argv[3], NULL, 10) : 0;
    const uint64_t seed = davy_test_seed(1);
    if (type == DAVY_BUS_TYPE_COUNT_ || frames == 0 || lanes == 0)
        return 2;
    signal(SIGPIPE, SIG_IGN);
    davy_log_set_level(DAVY_LOG_ERROR);
    printf("%s, %llu frames on %llu lanes\n", argv[1], (unsigned long long)frames, (unsigned long long)lanes);
    struct lane *all = calloc(lanes, sizeof *all);
    must(all != NULL, "memory");
    for (uint64_t i = 0; i < lanes; i++)
        start_lane(&all[i], (enum davy_bus_type)type, frames / lanes, seed + i);
    uint64_t bad = 0, good = 0, other = 0;
    for (uint64_t i = 0; i < lanes; i++) {
        bad += stop_lane(&all[i]);
        good += all[i].good;
        other += all[i].other;
    }
    printf("%llu good readings, %llu others; %llu wrong or not good again\n", (unsigned long long)good,
           (unsigned long long)other, (unsigned long long)bad);
    free(all);
    return bad > 0;
}
