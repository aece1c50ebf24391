/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The points that one or two configurations know, each under one number: those of the first in its order, then what
 * only the second has. With one configuration the number is the index of the point. The configurations must outlive it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "model/config.h"

#define ROSTER_CONFIGS 2

struct roster {
    const struct davy_config *configs[ROSTER_CONFIGS];
    size_t config_count;
    size_t count;
    char (*names)[DAVY_KEY_SIZE];
    uint32_t *points[ROSTER_CONFIGS]; /* the index in that configuration; DAVY_NONE */
    uint32_t *slots;                  /* open hash of the names; DAVY_NONE is empty */
    size_t mask;
};

/* 0 or -ENOMEM. done: also of a zeroed one. */
int davy_roster_init(struct roster *roster, const struct davy_config *const *configs, size_t count) DAVY_MUST_CHECK;
void davy_roster_done(struct roster *roster);

/* The number of "DEVICE.POINT", or DAVY_NONE. `name` ends with NUL behind `length`. */
uint32_t davy_roster_find(const struct roster *roster, const char *name, size_t length);

/* What an alarm can belong to: a point, a vote's "_", a device, a bus, the gateway. */
bool davy_roster_is_subject(const struct roster *roster, const char *name);

/* FNV-1a of a text. */
size_t davy_roster_hash(const char *text, size_t length);
