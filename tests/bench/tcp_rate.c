/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One Modbus TCP connection, back to back, from three clients that read two registers of one of eight units in turn: a
 * bare loop over libmodbus, davy's adapter (acquire/bus_modbus.c) in the same loop, and davy's poller with its schedule
 * and its queue. And the server for them, the least that answers. tests/bench/tcp_rate.py runs them.
 *
 *   tcp_rate serve                         prints its port; serves one connection after the other until killed
 *   tcp_rate bare|adapter|poller PORT N    N requests; prints requests, seconds and CPU time of this process as JSON
 */
#include <arpa/inet.h>
#include <errno.h>
#include <modbus/modbus.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "acquire/connection.h"
#include "acquire/request.h"
#include "base/num.h"
#include "support/small_config.h"

#define UNITS     8
#define REGISTERS 2
#define REQUEST   12

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

/* ---- server ---- */

static bool receive_all(int fd, uint8_t *bytes, size_t length)
{
    for (size_t done = 0; done < length;) {
        ssize_t got = recv(fd, bytes + done, length - done, 0);
        if (got <= 0)
            return false;
        done += (size_t)got;
    }
    return true;
}

/* Any register of any unit is there, and 0. */
static void serve_one(int fd)
{
    uint8_t request[REQUEST], reply[260] = {0};
    while (receive_all(fd, request, REQUEST)) {
        size_t data = 2 * (size_t)(request[10] << 8 | request[11]);
        if (data > 250)
            return;
        memcpy(reply, request, 8);
        reply[4] = 0;
        reply[5] = (uint8_t)(3 + data);
        reply[8] = (uint8_t)data;
        if (send(fd, reply, 9 + data, MSG_NOSIGNAL) < 0)
            return;
    }
}

static void serve(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int on = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&address, size) < 0 || listen(listener, 8) < 0)
        fail("listen");
    (void)getsockname(listener, (struct sockaddr *)&address, &size);
    printf("%u\n", ntohs(address.sin_port));
    fflush(stdout);
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0)
            fail("accept");
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        serve_one(fd);
        close(fd);
    }
}

/* ---- figures ---- */

struct meter {
    davy_mono began;
    double cpu_s;
};

static double cpu_s(void)
{
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* After the first answer: a poller begins when it sees fit. */
static void start(struct meter *meter)
{
    meter->began = davy_clock_now(&davy_system_clock).mono;
    meter->cpu_s = cpu_s();
}

static void stop(const struct meter *meter, uint64_t count)
{
    double cpu = cpu_s() - meter->cpu_s;
    double took = (double)davy_mono_sub(davy_clock_now(&davy_system_clock).mono, meter->began).ns / 1e9;
    printf("{\"requests\": %llu, \"seconds\": %.6f, \"cpu_s\": %.6f}\n", (unsigned long long)count, took, cpu);
}

/* ---- clients ---- */

static void run_bare(int port, uint64_t count)
{
    uint16_t words[REGISTERS];
    modbus_t *bus = modbus_new_tcp("127.0.0.1", port);
    if (!bus || modbus_connect(bus) < 0)
        fail("bare: connect");
    struct meter meter;
    for (uint64_t i = 0; i <= count; i++) {
        modbus_set_slave(bus, (int)(1 + i % UNITS));
        if (modbus_read_registers(bus, 0, REGISTERS, words) != REGISTERS)
            fail("bare: read");
        if (i == 0)
            start(&meter);
    }
    stop(&meter, count);
    modbus_close(bus);
    modbus_free(bus);
}

/* Eight units, a float each, always due. */
static struct davy_config *plan(int port)
{
    static const char *const ids[UNITS] = {"D1", "D2", "D3", "D4", "D5", "D6", "D7", "D8"};
    struct davy_config *config = small_config_new();
    uint32_t bus = small_bus(config, "bus", DAVY_BUS_TCP);
    config->buses[bus].port = port;
    for (uint8_t unit = 1; unit <= UNITS; unit++) {
        uint32_t device = small_device(config, ids[unit - 1], bus, unit);
        config->devices[device].interval = config->devices[device].alarm_interval = (davy_span){1};
        small_point(config, "p", 0, DAVY_TYPE_FLOAT32);
    }
    if (davy_requests_plan(config) < 0)
        fail("plan");
    return config;
}

static struct davy_bus_link open_link(const struct davy_config *config)
{
    struct davy_bus_link link;
    if (davy_bus_modbus_new(&config->buses[0], &link) < 0)
        fail("link");
    return link;
}

static void run_adapter(int port, uint64_t count)
{
    static struct davy_bus_reply reply;
    struct davy_config *config = plan(port);
    struct davy_bus_link link = open_link(config);
    if (link.ops->open(link.link) < 0)
        fail("adapter: open");
    struct meter meter;
    for (uint64_t i = 0; i <= count; i++) {
        const struct davy_bus_request request = {.unit = (uint8_t)(1 + i % UNITS),
                                                 .table = DAVY_TABLE_HOLDING,
                                                 .count = REGISTERS,
                                                 .max_reply = davy_span_s(1)};
        link.ops->read(link.link, &request, &reply);
        if (reply.answer != DAVY_ANSWER_OK)
            fail("adapter: read");
        if (i == 0)
            start(&meter);
    }
    stop(&meter, count);
    link.ops->free(link.link);
    davy_config_unref(config);
}

static void run_poller(int port, uint64_t count)
{
    struct davy_config *config = plan(port);
    struct davy_queue blocks;
    struct davy_connection *connection;
    struct davy_block block;
    if (davy_queue_init(&blocks, sizeof block, 64, DAVY_QUEUE_DROP_OLDEST, NULL) < 0)
        fail("queue");
    const struct davy_connection_options options = {
        .config = config, .link = open_link(config), .clock = &davy_system_clock, .blocks = &blocks, .seed = 1};
    if (davy_connection_new(&options, &connection) < 0)
        fail("poller");
    struct meter meter;
    for (uint64_t i = 0; i <= count;) {
        (void)davy_connection_turn(connection);
        for (; davy_queue_pop(&blocks, &block); i++) {
            if (block.answer != DAVY_ANSWER_OK)
                fail("poller: read");
            if (i == 0)
                start(&meter);
        }
    }
    stop(&meter, count);
    davy_connection_free(connection);
    davy_queue_done(&blocks);
    davy_config_unref(config);
}

static int measure(const char *name, int port, uint64_t count)
{
    static const struct client {
        const char *name;
        void (*run)(int port, uint64_t count);
    } clients[] = {{"bare", run_bare}, {"adapter", run_adapter}, {"poller", run_poller}};
    for (size_t i = 0; i < DAVY_LENGTH(clients); i++) {
        if (strcmp(clients[i].name, name) != 0)
            continue;
        clients[i].run(port, count);
        return 0;
    }
    return 2;
}

int main(int argc, char **argv)
{
    int64_t port = 0, count = 0;
    if (argc == 2 && strcmp(argv[1], "serve") == 0)
        serve();
    if (argc == 4 && davy_int_parse(argv[2], &port) == 0 && davy_int_parse(argv[3], &count) == 0 && count > 0)
        return measure(argv[1], (int)port, (uint64_t)count);
    fprintf(stderr, "usage: tcp_rate serve | tcp_rate bare|adapter|poller PORT N\n");
    return 2;
}
