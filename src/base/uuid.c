/* SPDX-License-Identifier: Apache-2.0 */
#include "base/uuid.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"

struct davy_uuid davy_uuid_v7(davy_wall t, uint16_t high, uint64_t low)
{
    struct davy_uuid uuid;
    uint64_t ms = (uint64_t)(t.ns / DAVY_NS_PER_MS);
    for (int i = 0; i < 6; i++)
        uuid.bytes[i] = (uint8_t)(ms >> (40 - 8 * i));
    uuid.bytes[6] = (uint8_t)(0x70 | ((high >> 8) & 0x0f));
    uuid.bytes[7] = (uint8_t)high;
    for (int i = 0; i < 8; i++)
        uuid.bytes[8 + i] = (uint8_t)(low >> (56 - 8 * i));
    uuid.bytes[8] = (uint8_t)((uuid.bytes[8] & 0x3f) | 0x80);
    return uuid;
}

struct davy_uuid davy_uuid_new(davy_wall t)
{
    struct {
        uint64_t low;
        uint16_t high;
    } bits = {0};
    davy_random_bytes(&bits, sizeof bits);
    return davy_uuid_v7(t, bits.high, bits.low);
}

char *davy_uuid_format(const struct davy_uuid *uuid, char text[DAVY_UUID_TEXT])
{
    char *out = text;
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *out++ = '-';
        out += sprintf(out, "%02x", uuid->bytes[i]);
    }
    return text;
}

static int hex_digit(char c)
{
    const char *digits = "0123456789abcdef";
    const char *found = c >= '0' ? strchr(digits, c | 0x20) : NULL;
    return found ? (int)(found - digits) : -1;
}

int davy_uuid_parse(const char *text, struct davy_uuid *ret)
{
    struct davy_uuid uuid;
    if (strlen(text) != DAVY_UUID_TEXT - 1)
        return -EINVAL;
    for (int i = 0; i < 16; i++) {
        if ((i == 4 || i == 6 || i == 8 || i == 10) && *text++ != '-')
            return -EINVAL;
        int high = hex_digit(text[0]), low = hex_digit(text[1]);
        if (high < 0 || low < 0)
            return -EINVAL;
        uuid.bytes[i] = (uint8_t)(high << 4 | low);
        text += 2;
    }
    *ret = uuid;
    return 0;
}

bool davy_uuid_is_nil(const struct davy_uuid *uuid)
{
    static const struct davy_uuid nil;
    return memcmp(uuid, &nil, sizeof nil) == 0;
}
