/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/units.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A read for a person has one part in so many, where polls would have to wait for it. */
#define DEMAND_PART 10

/* Modbus Application Protocol V1.1b3, 7: of a gateway, about a device that it cannot reach. */
#define EXCEPTION_NO_PATH  10
#define EXCEPTION_NO_REPLY 11

static void ask(struct units *units, int unit)
{
    units->count += !units->asked[unit];
    units->asked[unit] = true;
}

void davy_units_all(struct units *units)
{
    *units = (struct units){.count = 0};
    for (int unit = 1; unit <= 247; unit++)
        ask(units, unit);
}

/* Digits only, up to three. Returns where they end, or NULL. */
static const char *take_number(const char *text, int *ret)
{
    int number = 0, digits = 0;
    for (; *text >= '0' && *text <= '9' && digits < 4; digits++)
        number = 10 * number + (*text++ - '0');
    *ret = number;
    return digits >= 1 && digits <= 3 ? text : NULL;
}

int davy_units_parse(const char *text, int lowest, int highest, struct units *ret_units)
{
    struct units units = {.count = 0};
    for (;;) {
        int first, last;
        text = take_number(text, &first);
        last = first;
        if (text && *text == '-')
            text = take_number(text + 1, &last);
        if (!text || first < lowest || last > highest || first > last)
            return -EINVAL;
        for (int unit = first; unit <= last; unit++)
            ask(&units, unit);
        if (*text == '\0')
            break;
        if (*text++ != ',')
            return -EINVAL;
    }
    *ret_units = units;
    return 0;
}

davy_span davy_scan_time(size_t units, davy_span timeout, double polls_per_s)
{
    const double crowded = polls_per_s * (double)timeout.ns / (double)DAVY_NS_PER_S, waits = crowded < 1 ? crowded : 1;
    return (davy_span){(int64_t)((double)units * (double)timeout.ns * (1 + waits * (DEMAND_PART - 1)))};
}

bool davy_scan_is_there(const char *answer, int exception)
{
    if (strcmp(answer, "exception") == 0)
        return exception != EXCEPTION_NO_PATH && exception != EXCEPTION_NO_REPLY;
    return strcmp(answer, "ok") == 0;
}
