/* SPDX-License-Identifier: Apache-2.0 */
/* UUID version 7 (RFC 9562, section 5.7): 48 bits of milliseconds, the rest given by the caller. Thread: any. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

struct davy_uuid {
    uint8_t bytes[16];
};

/* With its end. */
#define DAVY_UUID_TEXT 37

/* A UUIDv7 of time `t`; of `high` the lower 12 bits and of `low` the lower 62 bits fill the random fields. */
struct davy_uuid davy_uuid_v7(davy_wall t, uint16_t high, uint64_t low);

/* The same with bits from the kernel. */
struct davy_uuid davy_uuid_new(davy_wall t);

/* The usual 36 characters, in lower case. returns text */
char *davy_uuid_format(const struct davy_uuid *uuid, char text[DAVY_UUID_TEXT]);

/* 0 or -EINVAL. */
int davy_uuid_parse(const char *text, struct davy_uuid *ret);

/* All zero, as in an object that has no id yet. */
bool davy_uuid_is_nil(const struct davy_uuid *uuid);
