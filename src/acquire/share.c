/* SPDX-License-Identifier: Apache-2.0 */
#include "acquire/share.h"

static bool is_read(const struct davy_config *config, uint32_t bus, uint32_t device)
{
    return config->devices[device].bus == bus && config->devices[device].enabled;
}

uint32_t davy_share_connections(const struct davy_bus *bus)
{
    return bus->type == DAVY_BUS_TCP && bus->connections > 1 ? (uint32_t)bus->connections : 1;
}

uint32_t davy_share_next(const struct davy_share *share, const struct davy_config *config, uint32_t from)
{
    if (from >= config->device_count)
        return DAVY_NONE;
    uint32_t before = 0, connections = share->connections > 0 ? share->connections : 1;
    for (uint32_t d = 0; d < config->device_count; d++) {
        if (!is_read(config, share->bus, d))
            continue;
        if (d >= from && before % connections == share->connection)
            return d;
        before++;
    }
    return DAVY_NONE;
}

size_t davy_share_count(const struct davy_share *share, const struct davy_config *config)
{
    size_t count = 0;
    for (uint32_t d = davy_share_next(share, config, 0); d != DAVY_NONE; d = davy_share_next(share, config, d + 1))
        count++;
    return count;
}
