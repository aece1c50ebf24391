/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which devices of a bus one of its connections serves: of n connections the i-th has every n-th enabled device in file
 * order, so that the loads are alike and each device stays on one connection. Pure. Thread: any.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/config.h"

struct davy_share {
    uint32_t bus;
    uint32_t connection;  /* 0 <= connection < connections */
    uint32_t connections; /* 0 counts as 1 */
};

/* All of a bus. */
static inline struct davy_share davy_share_all(uint32_t bus)
{
    return (struct davy_share){.bus = bus, .connections = 1};
}

/* How many connections a bus has: one, more only of type tcp. */
uint32_t davy_share_connections(const struct davy_bus *bus);

/* The first device of the share with index `from` or higher; DAVY_NONE. From 0 on it gives all, in order. */
uint32_t davy_share_next(const struct davy_share *share, const struct davy_config *config, uint32_t from);

/* How many devices are in it. */
size_t davy_share_count(const struct davy_share *share, const struct davy_config *config);
