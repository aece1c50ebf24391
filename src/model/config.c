/* SPDX-License-Identifier: Apache-2.0 */
#include "model/config.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

struct davy_config *davy_config_new(void)
{
    struct davy_config *config = calloc(1, sizeof *config);
    if (config)
        atomic_store(&config->references, 1U);
    return config;
}

/* The count is the only part of a shared configuration that changes. */
static struct davy_config *writable(const struct davy_config *config)
{
    union {
        const struct davy_config *shared;
        struct davy_config *counted;
    } view = {.shared = config};
    return view.counted;
}

const struct davy_config *davy_config_ref(const struct davy_config *config)
{
    atomic_fetch_add(&writable(config)->references, 1U);
    return config;
}

const struct davy_config *davy_config_unref(const struct davy_config *config)
{
    if (!config || atomic_fetch_sub(&writable(config)->references, 1U) > 1)
        return NULL;
    struct davy_config *last = writable(config);
    for (size_t i = 0; i < last->owned_count; i++)
        free(last->owned[i]);
    free(last->owned);
    free(last);
    return NULL;
}

/* Room for one more owned pointer; the array doubles. */
static bool reserve_owned(struct davy_config *config)
{
    size_t count = config->owned_count;
    if (count > 0 && (count & (count - 1)) != 0)
        return true;
    void **grown = reallocarray(config->owned, count == 0 ? 1 : count * 2, sizeof *grown);
    if (!grown)
        return false;
    config->owned = grown;
    return true;
}

void *davy_config_alloc(struct davy_config *config, size_t count, size_t size)
{
    if (!reserve_owned(config))
        return NULL;
    void *memory = calloc(count ? count : 1, size);
    if (memory)
        config->owned[config->owned_count++] = memory;
    return memory;
}

const char *davy_config_text(struct davy_config *config, const char *text)
{
    if (!text)
        return NULL;
    size_t size = strlen(text) + 1;
    char *copy = davy_config_alloc(config, size, 1);
    return copy ? memcpy(copy, text, size) : NULL;
}

uint32_t davy_config_find_bus(const struct davy_config *config, const char *name)
{
    for (size_t i = 0; i < config->bus_count; i++)
        if (strcmp(config->buses[i].name, name) == 0)
            return (uint32_t)i;
    return DAVY_NONE;
}

uint32_t davy_config_find_device(const struct davy_config *config, const char *id)
{
    for (size_t i = 0; i < config->device_count; i++)
        if (strcmp(config->devices[i].id, id) == 0)
            return (uint32_t)i;
    return DAVY_NONE;
}

uint32_t davy_config_find_zone(const struct davy_config *config, const char *id)
{
    for (size_t i = 0; i < config->zone_count; i++)
        if (strcmp(config->zones[i].id, id) == 0)
            return (uint32_t)i;
    return DAVY_NONE;
}

uint32_t davy_config_find_rule(const struct davy_config *config, const char *name)
{
    for (size_t i = 0; i < config->rule_count; i++)
        if (strcmp(config->rules[i].name, name) == 0)
            return (uint32_t)i;
    return DAVY_NONE;
}

uint32_t davy_config_find_point(const struct davy_config *config, const char *full_name)
{
    char id[DAVY_KEY_SIZE];
    const char *dot = strrchr(full_name, '.');
    if (!dot || (size_t)(dot - full_name) >= sizeof id)
        return DAVY_NONE;
    memcpy(id, full_name, (size_t)(dot - full_name));
    id[dot - full_name] = '\0';
    uint32_t found = davy_config_find_device(config, id);
    if (found == DAVY_NONE)
        return DAVY_NONE;
    const struct davy_device *device = &config->devices[found];
    for (uint32_t i = device->first_point; i < device->first_point + device->point_count; i++)
        if (strcmp(config->points[i].name, dot + 1) == 0)
            return i;
    return DAVY_NONE;
}

char *davy_config_point_name(const struct davy_config *config, uint32_t point, char text[DAVY_KEY_SIZE])
{
    const struct davy_point *p = &config->points[point];
    struct davy_buf name;
    davy_buf_init(&name, text, DAVY_KEY_SIZE);
    davy_buf_text(&name, config->devices[p->device].id);
    davy_buf_char(&name, '.');
    davy_buf_text(&name, p->name);
    return text;
}

bool davy_point_glob(const char *glob, const char *device, const char *point)
{
    char before[DAVY_KEY_SIZE];
    const char *dot = strrchr(glob, '.');
    if (!dot || (size_t)(dot - glob) >= sizeof before)
        return false;
    memcpy(before, glob, (size_t)(dot - glob));
    before[dot - glob] = '\0';
    return fnmatch(before, device, 0) == 0 && fnmatch(dot + 1, point, 0) == 0;
}
