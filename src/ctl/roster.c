/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/roster.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* FNV-1a: Fowler, Noll, Vo; draft-eastlake-fnv. */
size_t davy_roster_hash(const char *text, size_t length)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
    return (size_t)(hash ^ hash >> 32);
}

/* Where the name is, or would be. */
static uint32_t *find_slot(const struct roster *roster, const char *name, size_t length)
{
    size_t slot = davy_roster_hash(name, length) & roster->mask;
    while (roster->slots[slot] != DAVY_NONE && strcmp(roster->names[roster->slots[slot]], name) != 0)
        slot = (slot + 1) & roster->mask;
    return &roster->slots[slot];
}

static void add_config(struct roster *roster, size_t which)
{
    const struct davy_config *config = roster->configs[which];
    for (uint32_t p = 0; p < config->point_count; p++) {
        char *name = davy_config_point_name(config, p, roster->names[roster->count]);
        uint32_t *slot = find_slot(roster, name, strlen(name));
        if (*slot == DAVY_NONE)
            *slot = (uint32_t)roster->count++;
        roster->points[which][*slot] = p;
    }
}

int davy_roster_init(struct roster *roster, const struct davy_config *const *configs, size_t count)
{
    size_t most = 1, slots = 16;
    *roster = (struct roster){.config_count = count};
    for (size_t i = 0; i < count; i++)
        most += configs[i]->point_count;
    while (slots < 4 * most)
        slots *= 2;
    roster->mask = slots - 1;
    roster->names = calloc(most, sizeof *roster->names);
    roster->slots = malloc(slots * sizeof *roster->slots);
    bool complete = roster->names && roster->slots;
    for (size_t i = 0; i < count; i++) {
        roster->configs[i] = configs[i];
        roster->points[i] = malloc(most * sizeof *roster->points[i]);
        complete = complete && roster->points[i];
    }
    if (!complete) {
        davy_roster_done(roster);
        return -ENOMEM;
    }
    memset(roster->slots, 0xff, slots * sizeof *roster->slots);
    for (size_t i = 0; i < count; i++)
        memset(roster->points[i], 0xff, most * sizeof *roster->points[i]);
    for (size_t i = 0; i < count; i++)
        add_config(roster, i);
    return 0;
}

void davy_roster_done(struct roster *roster)
{
    free(roster->names);
    free(roster->slots);
    for (size_t i = 0; i < ROSTER_CONFIGS; i++)
        free(roster->points[i]);
    *roster = (struct roster){.count = 0};
}

uint32_t davy_roster_find(const struct roster *roster, const char *name, size_t length)
{
    return *find_slot(roster, name, length);
}

bool davy_roster_is_subject(const struct roster *roster, const char *name)
{
    if (strcmp(name, "_") == 0 || strcmp(name, "gateway") == 0 ||
        davy_roster_find(roster, name, strlen(name)) != DAVY_NONE)
        return true;
    for (size_t i = 0; i < roster->config_count; i++)
        if (davy_config_find_device(roster->configs[i], name) != DAVY_NONE ||
            davy_config_find_bus(roster->configs[i], name) != DAVY_NONE)
            return true;
    return false;
}
