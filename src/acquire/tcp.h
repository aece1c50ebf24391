/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Modbus TCP over a connected socket: one request, one reply. Transaction, protocol, length, unit, function and byte
 * count of the reply must be those of the request. Whatever else comes, and however an exchange fails, the connection
 * is not to be used again: the next reply on it could be that of another request. Thread: one caller at a time per
 * object.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "acquire/bus.h"

struct davy_tcp {
    int fd; /* non-blocking; -1: closed */
    davy_span timeout;
    davy_span pause;              /* between a reply and the next request */
    const atomic_bool *stop;      /* ends waits early; may be NULL */
    struct davy_capture *capture; /* may be NULL */
    uint16_t transaction;
    davy_mono free_at;
    bool spent; /* the connection must be closed */
};

/* One read. Fills all of *ret_reply, and `spent`. Blocks at most for pause and timeout. */
void davy_tcp_read(struct davy_tcp *tcp, const struct davy_bus_request *request, struct davy_bus_reply *ret_reply);
