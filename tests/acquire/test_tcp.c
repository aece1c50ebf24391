/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile Modbus TCP server: replies that are changed, cut, doubled, of another transaction, unit, length or
 * protocol. The value of each register tells its unit and address, so that what is good but not true shows.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <dirent.h>
#include <netinet/tcp.h>
#include <cmocka.h>

#include "acquire/bus.h"
#include "acquire/endpoint.h"
#include "base/num.h"
#include "support/seed.h"
#include "support/slave.h"

static struct davy_random source;

static unsigned below(struct davy_random *random, unsigned limit)
{
    return (unsigned)(davy_random_unit(random) * limit);
}

/* ---- the server, in a child ---- */

static size_t true_reply(const uint8_t *request, uint8_t *frame)
{
    unsigned start = (unsigned)request[8] << 8 | request[9], count = (unsigned)request[10] << 8 | request[11];
    memcpy(frame, request, 8);
    frame[4] = 0;
    frame[5] = (uint8_t)(3 + 2 * count);
    frame[8] = (uint8_t)(2 * count);
    for (unsigned i = 0; i < count; i++) {
        frame[9 + 2 * i] = request[6];
        frame[10 + 2 * i] = (uint8_t)(start + i);
    }
    return 9 + 2 * count;
}

/* The head, unit, function or byte count: not the data, which nothing on TCP but the sum of the segment guards. */
static void damage_head(struct davy_random *random, uint8_t *frame)
{
    unsigned at = below(random, 9);
    frame[at] = (uint8_t)(frame[at] + 1 + below(random, 255));
}

/* False when the connection is to be closed. */
static bool answer_badly(struct davy_random *random, int fd, const uint8_t *request)
{
    uint8_t frame[600];
    size_t length = true_reply(request, frame);
    switch (below(random, 8)) {
    case 0:
        damage_head(random, frame);
        break;
    case 1: /* an old reply in front */
        memmove(frame + length, frame, length);
        frame[1]--;
        frame[10] ^= 0x55;
        length *= 2;
        break;
    case 2: /* a second one behind */
        memcpy(frame + length, frame, length);
        frame[length + 10] ^= 0x55;
        length *= 2;
        break;
    case 3: /* cut */
        slave_put(fd, frame, 1 + below(random, (unsigned)length - 1));
        return false;
    case 4: { /* bytes of chance */
        for (unsigned i = 0; i < 20; i++)
            frame[i] = (uint8_t)below(random, 256);
        frame[0] = request[0];
        frame[1] = (uint8_t)(request[1] + 1);
        slave_put(fd, frame, 20);
        return false;
    }
    case 5: /* an exception, true or of another function */
        frame[5] = 3;
        frame[7] = (uint8_t)(0x80U | (frame[7] + below(random, 2)));
        frame[8] = (uint8_t)(1 + below(random, 12));
        length = 9;
        break;
    case 6: /* in two pieces */
        slave_put(fd, frame, 5);
        slave_put(fd, frame + 5, length - 5);
        return true;
    default:
        break;
    }
    slave_put(fd, frame, length);
    return true;
}

static void serve(int listener)
{
    struct davy_random random = source;
    for (;;) {
        int fd = accept(listener, NULL, NULL), on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* the pieces of a reply are not held back */
        uint8_t request[12];
        while (slave_get(fd, request, sizeof request) && answer_badly(&random, fd, request))
            continue;
        close(fd);
    }
}

static void start_server(struct slave *slave, int family)
{
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct sockaddr *address = family == AF_INET6 ? (struct sockaddr *)&six : (struct sockaddr *)&four;
    socklen_t size = family == AF_INET6 ? sizeof six : sizeof four;
    *slave = (struct slave){.keep = -1, .child = -1};
    int listener = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, address, size) < 0 || listen(listener, 64) < 0 ||
        getsockname(listener, address, &size) < 0) {
        if (listener >= 0)
            close(listener);
        return;
    }
    slave->port = ntohs(family == AF_INET6 ? six.sin6_port : four.sin_port);
    slave->child = fork();
    if (slave->child == 0) {
        slave_child();
        serve(listener);
    }
    close(listener);
}

/* ---- cases ---- */

static unsigned open_descriptors(void)
{
    unsigned count = 0;
    DIR *folder = opendir("/proc/self/fd");
    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

static struct davy_bus bus_to(const char *host, int port)
{
    return (struct davy_bus){
        .name = "bus", .type = DAVY_BUS_TCP, .host = host, .port = port, .timeout = davy_span_ms(2000)};
}

static void check_good(const struct davy_bus_request *request, const struct davy_bus_reply *reply)
{
    for (unsigned i = 0; i < request->count; i++)
        assert_int_equal(reply->words[i], request->unit << 8 | (uint8_t)(request->start + i));
}

static void no_damage_gives_a_wrong_value(void **state)
{
    (void)state;
    struct slave server;
    struct davy_bus_link link;
    static struct davy_capture capture;
    start_server(&server, AF_INET);
    struct davy_bus bus = bus_to("127.0.0.1", server.port);
    assert_int_equal(davy_bus_modbus_new(&bus, &link), 0);
    link.ops->record(link.link, &capture);
    unsigned before = open_descriptors(), answers[DAVY_ANSWER_COUNT_] = {0};
    for (unsigned i = 0; i < 20000; i++) {
        const struct davy_bus_request request = {.unit = (uint8_t)(1 + below(&source, 200)),
                                                 .table = DAVY_TABLE_HOLDING,
                                                 .start = (uint16_t)below(&source, 200),
                                                 .count = (uint16_t)(1 + below(&source, 60))};
        struct davy_bus_reply reply;
        link.ops->read(link.link, &request, &reply);
        answers[reply.answer]++;
        if (reply.answer == DAVY_ANSWER_OK)
            check_good(&request, &reply);
        else if (reply.answer != DAVY_ANSWER_EXCEPTION)
            assert_int_equal(link.ops->open(link.link), 0);
    }
    assert_true(answers[DAVY_ANSWER_OK] > 5000);
    assert_true(answers[DAVY_ANSWER_INVALID] > 2000);
    assert_true(answers[DAVY_ANSWER_EXCEPTION] > 500);
    assert_int_equal(answers[DAVY_ANSWER_TIMEOUT], 0); /* what cannot be right is not waited for */
    link.ops->close(link.link);
    assert_int_equal(open_descriptors(), before);
    link.ops->free(link.link);
    slave_stop(&server);
}

/* ThreadSanitizer of gcc 12 knows nothing of the thread that glibc begins for getaddrinfo_a(), and dies in it. */
static void skip_under_thread_sanitizer(void)
{
#ifdef __SANITIZE_THREAD__
    skip();
#endif
}

static void a_name_and_an_address_of_version_6_are_reached(void **state)
{
    (void)state;
    skip_under_thread_sanitizer();
    struct slave server;
    static const char *const hosts[] = {"localhost", "::1"};
    for (size_t i = 0; i < 2; i++) {
        struct davy_bus_link link;
        start_server(&server, i == 0 ? AF_INET : AF_INET6);
        if (server.child < 0)
            skip(); /* no IPv6 here */
        struct davy_bus bus = bus_to(hosts[i], server.port);
        assert_int_equal(davy_bus_modbus_new(&bus, &link), 0);
        assert_int_equal(link.ops->open(link.link), 0);
        link.ops->free(link.link);
        slave_stop(&server);
    }
}

/* One that is given up while it is under way is never freed, since its thread writes to it. */
static void end_lookup(struct davy_endpoint *endpoint)
{
    const atomic_bool stop = true;
    for (int tries = 0; endpoint->lookup && tries < 300; tries++) {
        (void)usleep(100000);
        int fd = davy_endpoint_open(endpoint, &stop);
        if (fd >= 0)
            close(fd);
    }
}

static void a_name_that_nobody_knows_is_unreachable(void **state)
{
    (void)state;
    skip_under_thread_sanitizer();
    struct davy_endpoint endpoint;
    assert_int_equal(davy_endpoint_init(&endpoint, "no-such-host.invalid", 502, davy_span_ms(300)), 0);
    int rc = davy_endpoint_open(&endpoint, NULL);
    assert_true(rc == -EHOSTUNREACH || rc == -EAGAIN); /* without a resolver there is no answer at all */
    end_lookup(&endpoint);
    davy_endpoint_done(&endpoint);
    davy_endpoint_done(&endpoint);
}

/* A lookup that is not over in time must not hold the bus: the address of before serves until it is. */
static void a_slow_resolver_costs_the_timeout_once_and_the_last_address_serves(void **state)
{
    (void)state;
    skip_under_thread_sanitizer();
    struct slave server;
    struct davy_endpoint endpoint;
    start_server(&server, AF_INET);
    assert_int_equal(davy_endpoint_init(&endpoint, "no-such-host.invalid", server.port, (davy_span){0}), 0);
    int rc = davy_endpoint_open(&endpoint, NULL); /* no time at all for it */
    assert_true(rc == -EAGAIN || rc == -EHOSTUNREACH);
    struct sockaddr_in *last = (struct sockaddr_in *)&endpoint.last;
    *last = (struct sockaddr_in){
        .sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_port = htons((uint16_t)server.port)};
    endpoint.last_size = sizeof *last;
    endpoint.timeout = davy_span_s(2);
    atomic_bool stop = true;
    if (rc == -EAGAIN) {
        int fd = davy_endpoint_open(&endpoint, &stop);
        assert_true(fd >= 0 || fd == -EHOSTUNREACH); /* still under way; or just over, and unknown */
        if (fd >= 0)
            close(fd);
    }
    end_lookup(&endpoint);
    davy_endpoint_done(&endpoint);
    slave_stop(&server);
}

/*
 * The kernel would send for a quarter of an hour to a host that lost its power; nor does keep-alive look at it
 * meanwhile.
 */
static void what_nobody_acknowledges_ends_the_connection_soon(void **state)
{
    (void)state;
    struct slave server;
    struct davy_endpoint endpoint;
    start_server(&server, AF_INET);
    assert_int_equal(davy_endpoint_init(&endpoint, "127.0.0.1", server.port, davy_span_s(2)), 0);
    int fd = davy_endpoint_open(&endpoint, NULL), timeout_ms = 0;
    socklen_t size = sizeof timeout_ms;
    assert_true(fd >= 0);
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, &size), 0);
    assert_in_range(timeout_ms, 5000, 20000);
    close(fd);
    davy_endpoint_done(&endpoint);
    slave_stop(&server);
}

int main(void)
{
    source.state = davy_test_seed(20261125);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_damage_gives_a_wrong_value),
        cmocka_unit_test(a_name_and_an_address_of_version_6_are_reached),
        cmocka_unit_test(a_name_that_nobody_knows_is_unreachable),
        cmocka_unit_test(a_slow_resolver_costs_the_timeout_once_and_the_last_address_serves),
        cmocka_unit_test(what_nobody_acknowledges_ends_the_connection_soon),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
