/* SPDX-License-Identifier: Apache-2.0 */
#include "acquire/endpoint.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "acquire/wait.h"

/* A connection that is silent between polls, and whose other end has gone, is noticed after 20 to 30 s. */
#define KEEPALIVE_IDLE_S     15
#define KEEPALIVE_INTERVAL_S 5
#define KEEPALIVE_PROBES     3

/*
 * Of what was sent and is not acknowledged. Of type tcp each lost reply ends the connection, but a server that hands
 * serial frames on is allowed to be silent: without this, one that lost its power is sent to in vain until the kernel
 * gives up, after a quarter of an hour or so (tcp(7), tcp_retries2), and is not called again before.
 */
#define UNACKNOWLEDGED_MS 10000

/* What the helper thread works on; it stays until that is through with it. */
struct davy_lookup {
    struct gaicb request;
    struct addrinfo hints;
    char host[256];
    char service[8];
};

int davy_endpoint_init(struct davy_endpoint *endpoint, const char *host, int port, davy_span timeout)
{
    *endpoint = (struct davy_endpoint){.timeout = timeout};
    snprintf(endpoint->service, sizeof endpoint->service, "%d", port);
    endpoint->host = strdup(host);
    return endpoint->host ? 0 : -ENOMEM;
}

/* ---- lookup ---- */

static bool is_done(struct davy_lookup *lookup)
{
    return gai_error(&lookup->request) != EAI_INPROGRESS;
}

static void lookup_free(struct davy_lookup *lookup)
{
    if (lookup->request.ar_result)
        freeaddrinfo(lookup->request.ar_result);
    free(lookup);
}

void davy_endpoint_done(struct davy_endpoint *endpoint)
{
    struct davy_lookup *lookup = endpoint->lookup;
    if (lookup && (gai_cancel(&lookup->request) != EAI_NOTCANCELED || is_done(lookup)))
        lookup_free(lookup);
    endpoint->lookup = NULL;
    free(endpoint->host);
    endpoint->host = NULL;
}

static int start_lookup(struct davy_endpoint *endpoint)
{
    struct davy_lookup *lookup = calloc(1, sizeof *lookup);
    if (!lookup)
        return -ENOMEM;
    snprintf(lookup->host, sizeof lookup->host, "%s", endpoint->host);
    snprintf(lookup->service, sizeof lookup->service, "%s", endpoint->service);
    lookup->hints = (struct addrinfo){.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV};
    lookup->request =
        (struct gaicb){.ar_name = lookup->host, .ar_service = lookup->service, .ar_request = &lookup->hints};
    struct gaicb *list[] = {&lookup->request};
    if (getaddrinfo_a(GAI_NOWAIT, list, 1, NULL) != 0) {
        free(lookup);
        return -EAGAIN;
    }
    endpoint->lookup = lookup;
    return 0;
}

static void await_lookup(struct davy_lookup *lookup, davy_mono until, const atomic_bool *stop)
{
    const struct gaicb *list[] = {&lookup->request};
    while (!is_done(lookup) && !davy_wait_is_stopping(stop)) {
        davy_span left = davy_mono_sub(until, davy_wait_now());
        if (left.ns <= 0)
            return;
        davy_wait_beat();
        const struct timespec slice = {.tv_nsec = left.ns < DAVY_NS_PER_S / 4 ? left.ns : DAVY_NS_PER_S / 4};
        (void)gai_suspend(list, 1, &slice);
    }
}

static int errno_of(int gai)
{
    return gai == EAI_SYSTEM ? -errno : gai == EAI_MEMORY ? -ENOMEM : gai == EAI_AGAIN ? -EAGAIN : -EHOSTUNREACH;
}

/* An address written as numbers asks nobody. */
static bool resolve_numeric(const struct davy_endpoint *endpoint, struct addrinfo **ret_addresses)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    return getaddrinfo(endpoint->host, endpoint->service, &hints, ret_addresses) == 0;
}

/* A lookup that was under way already is not waited for again. */
static int resolve_name(struct davy_endpoint *endpoint, const atomic_bool *stop, struct addrinfo **ret_addresses)
{
    if (!endpoint->lookup) {
        int rc = start_lookup(endpoint);
        if (rc < 0)
            return rc;
        await_lookup(endpoint->lookup, davy_mono_add(davy_wait_now(), endpoint->timeout), stop);
    }
    if (!is_done(endpoint->lookup))
        return -EAGAIN;
    int gai = gai_error(&endpoint->lookup->request);
    *ret_addresses = endpoint->lookup->request.ar_result;
    endpoint->lookup->request.ar_result = NULL;
    lookup_free(endpoint->lookup);
    endpoint->lookup = NULL;
    return gai == 0 ? 0 : errno_of(gai);
}

/* ---- connection ---- */

/* Slower or later without these, not wrong. */
static void tune(int fd)
{
    static const struct {
        int level, name, value;
    } options[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1},
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S},
        {IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S},
        {IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES},
        {IPPROTO_TCP, TCP_USER_TIMEOUT, UNACKNOWLEDGED_MS},
    };
    for (size_t i = 0; i < DAVY_LENGTH(options); i++)
        (void)setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof options[i].value);
}

/* Out of its cleanup. */
static int take(int *fd)
{
    int taken = *fd;
    *fd = -1;
    return taken;
}

/* A descriptor, or a negative errno. */
static int connect_address(const struct davy_endpoint *endpoint, const struct sockaddr *address, socklen_t size,
                           const atomic_bool *stop)
{
    DAVY_AUTO_FD int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    int error = connect(fd, address, size) < 0 ? errno : 0;
    if (error == EINPROGRESS) {
        socklen_t length = sizeof error;
        if (!davy_wait_ready(fd, POLLOUT, davy_mono_add(davy_wait_now(), endpoint->timeout), stop))
            return -ETIMEDOUT;
        if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
            return -errno;
    }
    if (error != 0)
        return -error;
    tune(fd);
    return take(&fd);
}

static int connect_any(struct davy_endpoint *endpoint, const struct addrinfo *addresses, const atomic_bool *stop)
{
    int fd = -EHOSTUNREACH, tries = 0;
    for (const struct addrinfo *address = addresses; address && fd < 0 && tries++ < DAVY_ENDPOINT_ADDRESSES;
         address = address->ai_next) {
        fd = connect_address(endpoint, address->ai_addr, address->ai_addrlen, stop);
        if (fd < 0)
            continue;
        memcpy(&endpoint->last, address->ai_addr, address->ai_addrlen);
        endpoint->last_size = address->ai_addrlen;
    }
    return fd;
}

int davy_endpoint_open(struct davy_endpoint *endpoint, const atomic_bool *stop)
{
    struct addrinfo *addresses = NULL;
    int rc = resolve_numeric(endpoint, &addresses) ? 0 : resolve_name(endpoint, stop, &addresses);
    if (rc == -EAGAIN && endpoint->last.ss_family != 0)
        return connect_address(endpoint, (const struct sockaddr *)&endpoint->last, endpoint->last_size, stop);
    if (rc < 0)
        return rc;
    int fd = connect_any(endpoint, addresses, stop);
    freeaddrinfo(addresses);
    return fd;
}
