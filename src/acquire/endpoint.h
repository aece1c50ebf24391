/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A TCP connection to a host by name or address, IPv4 or IPv6. Thread: one caller at a time per object.
 *
 * getaddrinfo() has no timeout: names are looked up by the C library's own helper thread (getaddrinfo_a), waited for at
 * most `timeout`, and where that is over the last address that a connection was made to is tried. The lookup goes on
 * and is asked for its result the next time; there is never a second one beside it. An address that a resolver answers
 * with is always preferred to the remembered one: a name may have moved to another device.
 */
#pragma once

#include <netdb.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "base/attr.h"
#include "base/clock.h"

/* Addresses that are tried, so that a long list does not hold a bus up. */
#define DAVY_ENDPOINT_ADDRESSES 4

struct davy_lookup;

struct davy_endpoint {
    char *host;
    char service[8];
    davy_span timeout;            /* per address, and for the lookup */
    struct davy_lookup *lookup;   /* under way; NULL: none */
    struct sockaddr_storage last; /* connected to; ss_family = 0: none yet */
    socklen_t last_size;
};

/* 0 or -ENOMEM. */
int davy_endpoint_init(struct davy_endpoint *endpoint, const char *host, int port, davy_span timeout) DAVY_MUST_CHECK;

/* Repeatable. A lookup that cannot be ended is left to itself, with its memory. */
void davy_endpoint_done(struct davy_endpoint *endpoint);

/*
 * Connect. Blocks at most timeout * (1 + DAVY_ENDPOINT_ADDRESSES).
 * stop      ends it within a quarter of a second; may be NULL
 * returns   a socket in non-blocking mode, with TCP_NODELAY and keep-alive, or a negative errno: -EHOSTUNREACH for a
 *           name that nobody knows, -EAGAIN for one that was not answered for
 */
int davy_endpoint_open(struct davy_endpoint *endpoint, const atomic_bool *stop) DAVY_MUST_CHECK;
