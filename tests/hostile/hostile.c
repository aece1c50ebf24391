/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The adapter against servers that lie (tests/hostile/server.h): whatever it calls a good reply must be what these
 * registers hold, after honest answers it must be back in step within two cycles, and neither memory nor descriptors
 * may grow.
 *
 * usage: hostile [--bus rtu|tcp|rtu-over-tcp] [--frames N] [--lanes N] [--rate R] [--timeout MS] [--late N]
 *
 * --late: an answer may come as late as N timeouts; max_reply of the units is three. Beyond that nothing is promised
 */
#include <dirent.h>
#include <getopt.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "acquire/bus.h"
#include "hostile/server.h"
#include "support/seed.h"

#ifdef __SANITIZE_ADDRESS__
size_t __sanitizer_get_current_allocated_bytes(void); /* gcc comes without the header */
#define ALLOCATED() __sanitizer_get_current_allocated_bytes()
#else
#define ALLOCATED() mallinfo2().uordblks
#endif

#define CYCLES_TO_STEP  2
#define MAX_REPLY       3   /* timeouts */
#define ROUND_FRAMES    400 /* between two checks with honest answers */
#define GROWTH_BYTES    256 /* per lane; a resolver may keep something */
#define LONGEST_DIAL_MS 5000

struct options {
    enum davy_bus_type type;
    uint64_t frames;
    unsigned lanes;
    double rate;
    int timeout_ms;
    double late; /* timeouts */
    uint64_t seed;
};

struct lane {
    const struct options *options;
    unsigned number;
    struct server server;
    struct davy_bus_link bus;
    struct davy_random random;
    uint64_t answers[DAVY_ANSWER_COUNT_];
    uint64_t dials;
    uint64_t wrong;
    uint64_t out_of_step;
    pthread_t thread;
    pthread_barrier_t *gate; /* passed twice where main measures */
};

static struct davy_bus_request draw_request(struct lane *lane)
{
    struct davy_bus_request request = {.max_reply = {MAX_REPLY * lane->server.timeout.ns}};
    request.unit = (uint8_t)(1 + davy_random_next(&lane->random) % SERVER_UNITS);
    request.table = DAVY_TABLE_HOLDING;
    request.count = 2;
    /* Mostly of one shape: that is where a late reply passes for another one. */
    if (davy_random_unit(&lane->random) < 0.3) {
        request.table = (enum davy_table)(davy_random_next(&lane->random) % DAVY_TABLE_COUNT_);
        request.count = (uint16_t)(1 + davy_random_next(&lane->random) % 60);
    }
    request.start = (uint16_t)(davy_random_next(&lane->random) % (SERVER_ADDRESSES - 64U));
    return request;
}

static bool is_bits(const struct davy_bus_request *request)
{
    return request->table == DAVY_TABLE_COIL || request->table == DAVY_TABLE_DISCRETE;
}

static bool is_word_true(const struct davy_bus_request *request, const struct davy_bus_reply *reply, unsigned i)
{
    const uint16_t address = (uint16_t)(request->start + i);
    if (!is_bits(request))
        return reply->words[i] == server_word(request->unit, request->table, address);
    const bool bit = (reply->words[i / 16] & 1U << i % 16) != 0;
    return bit == server_bit(request->unit, request->table, address);
}

static bool is_true(const struct davy_bus_request *request, const struct davy_bus_reply *reply)
{
    for (unsigned i = 0; i < request->count; i++)
        if (!is_word_true(request, reply, i))
            return false;
    return true;
}

static void tell_wrong(const struct lane *lane, const struct davy_bus_request *request,
                       const struct davy_bus_reply *reply)
{
    printf("lane %u: unit %u, table %d, %u from %u: word %04x, not %04x\n", lane->number, request->unit,
           (int)request->table, request->count, request->start, reply->words[0],
           server_word(request->unit, request->table, request->start));
}

/* Until the link is open. */
static void dial(struct lane *lane)
{
    const struct timespec pause = {.tv_sec = 0, .tv_nsec = 1000000};
    for (int tries = 0; lane->bus.ops->open(lane->bus.link) < 0; tries++) {
        if (tries == LONGEST_DIAL_MS) {
            fprintf(stderr, "lane %u: cannot be opened any more\n", lane->number);
            exit(1);
        }
        nanosleep(&pause, NULL);
    }
    lane->dials++;
}

/* One read, judged, and what a poller does about its outcome. */
static enum davy_answer read_one(struct lane *lane, const struct davy_bus_request *request)
{
    struct davy_bus_reply reply;
    memset(&reply, 0xA5, sizeof reply);
    lane->bus.ops->read(lane->bus.link, request, &reply);
    lane->answers[reply.answer]++;
    if (reply.answer == DAVY_ANSWER_OK && !is_true(request, &reply)) {
        lane->wrong++;
        tell_wrong(lane, request, &reply);
    }
    const bool answered = reply.answer == DAVY_ANSWER_OK || reply.answer == DAVY_ANSWER_EXCEPTION;
    if (reply.answer == DAVY_ANSWER_DOWN || (!answered && lane->options->type == DAVY_BUS_TCP)) {
        lane->bus.ops->close(lane->bus.link);
        dial(lane);
    }
    return reply.answer;
}

/* One read of each unit. Returns how many were not answered well. */
static unsigned cycle(struct lane *lane)
{
    unsigned failed = 0;
    for (unsigned unit = 1; unit <= SERVER_UNITS; unit++) {
        struct davy_bus_request request = draw_request(lane);
        request.unit = (uint8_t)unit;
        failed += read_one(lane, &request) != DAVY_ANSWER_OK;
    }
    return failed;
}

/* Honest answers from now on: two cycles may go wrong by what came before, the third may not. */
static void check_step(struct lane *lane)
{
    atomic_store(&lane->server.honest, true);
    for (int i = 0; i < CYCLES_TO_STEP; i++)
        (void)cycle(lane);
    const unsigned failed = cycle(lane);
    if (failed > 0)
        printf("lane %u: %u reads failed in the third cycle of honest answers\n", lane->number, failed);
    lane->out_of_step += failed;
    atomic_store(&lane->server.honest, false);
}

static void *run_lane(void *context)
{
    struct lane *lane = context;
    const uint64_t frames = lane->options->frames / lane->options->lanes;
    bool measured = false;
    dial(lane);
    for (uint64_t i = 0; i < frames; i++) {
        const struct davy_bus_request request = draw_request(lane);
        (void)read_one(lane, &request);
        if (i % ROUND_FRAMES == ROUND_FRAMES - 1)
            check_step(lane);
        if (!measured && i >= frames / 4) {
            pthread_barrier_wait(lane->gate);
            pthread_barrier_wait(lane->gate);
            measured = true;
        }
    }
    check_step(lane);
    pthread_barrier_wait(lane->gate);
    pthread_barrier_wait(lane->gate);
    return NULL;
}

static void start_lane(struct lane *lane, const struct options *options, unsigned number, pthread_barrier_t *gate)
{
    *lane = (struct lane){.options = options, .number = number, .gate = gate, .random = {options->seed + number}};
    const davy_span timeout = davy_span_ms(options->timeout_ms);
    server_start(&lane->server, options->type, timeout, (davy_span){(int64_t)(options->late * (double)timeout.ns)},
                 options->rate, options->seed * 1000 + number);
    const struct davy_bus bus = {.name = "hostile",
                                 .type = options->type,
                                 .device = lane->server.path,
                                 .baud = 115200,
                                 .parity = 'N',
                                 .data_bits = 8,
                                 .stop_bits = 1,
                                 .host = "127.0.0.1",
                                 .port = lane->server.port,
                                 .timeout = timeout};
    if (davy_bus_modbus_new(&bus, &lane->bus) < 0 || pthread_create(&lane->thread, NULL, run_lane, lane) != 0) {
        fprintf(stderr, "lane %u cannot be started\n", number);
        exit(1);
    }
}

static void stop_lane(struct lane *lane)
{
    pthread_join(lane->thread, NULL);
    lane->bus.ops->free(lane->bus.link);
    server_stop(&lane->server);
}

static unsigned count_descriptors(void)
{
    unsigned count = 0;
    DIR *directory = opendir("/proc/self/fd");
    while (directory && readdir(directory))
        count++;
    if (directory)
        closedir(directory);
    return count;
}

struct holding {
    size_t bytes;
    unsigned descriptors;
};

/* What the program holds while all lanes wait. */
static struct holding measure(pthread_barrier_t *gate)
{
    pthread_barrier_wait(gate);
    const struct holding holding = {ALLOCATED(), count_descriptors()};
    pthread_barrier_wait(gate);
    return holding;
}

static void print_faults(const struct lane *lanes, unsigned count)
{
    printf("faults:");
    for (unsigned fault = 0; fault < FAULT_COUNT_; fault++) {
        uint64_t sum = 0;
        for (unsigned i = 0; i < count; i++)
            sum += atomic_load(&lanes[i].server.faults[fault]);
        if (sum > 0)
            printf(" %s %llu,", fault_names[fault], (unsigned long long)sum);
    }
    printf(" no others\n");
}

/* Sums up; returns how much was wrong. */
static uint64_t report(const struct lane *lanes, unsigned count)
{
    uint64_t answers[DAVY_ANSWER_COUNT_] = {0}, wrong = 0, out_of_step = 0, dials = 0, heard = 0;
    for (unsigned i = 0; i < count; i++) {
        for (unsigned a = 0; a < DAVY_ANSWER_COUNT_; a++)
            answers[a] += lanes[i].answers[a];
        wrong += lanes[i].wrong;
        out_of_step += lanes[i].out_of_step;
        dials += lanes[i].dials;
        heard += atomic_load(&lanes[i].server.requests);
    }
    print_faults(lanes, count);
    printf("%llu requests on the wire; reads: %llu good, %llu exceptions, %llu timeouts, %llu invalid, %llu down; "
           "%llu dials; %llu wrong values, %llu out of step\n",
           (unsigned long long)heard, (unsigned long long)answers[DAVY_ANSWER_OK],
           (unsigned long long)answers[DAVY_ANSWER_EXCEPTION], (unsigned long long)answers[DAVY_ANSWER_TIMEOUT],
           (unsigned long long)answers[DAVY_ANSWER_INVALID], (unsigned long long)answers[DAVY_ANSWER_DOWN],
           (unsigned long long)dials, (unsigned long long)wrong, (unsigned long long)out_of_step);
    return wrong + out_of_step;
}

static int run(const struct options *options)
{
    pthread_barrier_t gate;
    struct lane *lanes = calloc(options->lanes, sizeof *lanes);
    if (!lanes || pthread_barrier_init(&gate, NULL, options->lanes + 1) != 0)
        return 1;
    for (unsigned i = 0; i < options->lanes; i++)
        start_lane(&lanes[i], options, i, &gate);
    const struct holding early = measure(&gate), late = measure(&gate);
    for (unsigned i = 0; i < options->lanes; i++)
        stop_lane(&lanes[i]);
    const uint64_t bad = report(lanes, options->lanes);
    /* A server may not have noticed yet that its client closed. */
    const bool grown = late.bytes > early.bytes + (size_t)GROWTH_BYTES * options->lanes ||
                       late.descriptors > early.descriptors + options->lanes;
    printf("held: %zu bytes and %u descriptors after a quarter, %zu and %u at the end%s\n", early.bytes,
           early.descriptors, late.bytes, late.descriptors, grown ? ": GROWN" : "");
    pthread_barrier_destroy(&gate);
    free(lanes);
    return bad > 0 || grown;
}

static enum davy_bus_type type_of(const char *name)
{
    for (unsigned type = 0; type < DAVY_BUS_TYPE_COUNT_; type++)
        if (strcmp(davy_bus_type_name((enum davy_bus_type)type), name) == 0)
            return (enum davy_bus_type)type;
    fprintf(stderr, "no bus type: %s\n", name);
    exit(2);
}

int main(int argc, char **argv)
{
    static const struct option known[] = {{"bus", required_argument, NULL, 'b'},
                                          {"frames", required_argument, NULL, 'f'},
                                          {"lanes", required_argument, NULL, 'l'},
                                          {"rate", required_argument, NULL, 'r'},
                                          {"timeout", required_argument, NULL, 't'},
                                          {"late", required_argument, NULL, 'a'},
                                          {NULL, 0, NULL, 0}};
    struct options options = {DAVY_BUS_RTU, 4000, 8, 0.1, 40, MAX_REPLY, davy_test_seed(1)};
    for (int c = getopt_long(argc, argv, "", known, NULL); c != -1; c = getopt_long(argc, argv, "", known, NULL)) {
        switch (c) {
        case 'b':
            options.type = type_of(optarg);
            break;
        case 'f':
            options.frames = strtoull(optarg, NULL, 10);
            break;
        case 'l':
            options.lanes = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'r':
            options.rate = strtod(optarg, NULL);
            break;
        case 't':
            options.timeout_ms = (int)strtol(optarg, NULL, 10);
            break;
        case 'a':
            options.late = strtod(optarg, NULL);
            break;
        default:
            return 2;
        }
    }
    if (options.lanes == 0 || options.frames < 4ULL * options.lanes || options.timeout_ms < 1)
        return 2;
    signal(SIGPIPE, SIG_IGN);
    printf("%s, %llu frames on %u lanes, faults %.2f\n", davy_bus_type_name(options.type),
           (unsigned long long)options.frames, options.lanes, options.rate);
    return run(&options);
}
