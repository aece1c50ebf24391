/* SPDX-License-Identifier: Apache-2.0 */
/* Which units a scan asks, what their answers mean, and how long it takes. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/clock.h"

struct units {
    bool asked[256];
    size_t count;
};

/* 1 to 247: what Modbus gives to devices (Modbus over Serial Line V1.02, 2.2). */
void davy_units_all(struct units *units);

/*
 * "1-32,40,100-110".
 * highest   least and greatest unit that may stand in it
 * returns   0, or -EINVAL with nothing changed
 */
int davy_units_parse(const char *text, int lowest, int highest, struct units *ret_units) DAVY_MUST_CHECK;

/*
 * How long it takes as if nobody answered. Polls come first (acquire/poller): a step that fits between two of them goes
 * at once, of the others each is followed by nine times its length for the polls.
 * timeout      of one step
 * polls_per_s  requests of the bus's plan in a second; polls are taken to be spread evenly
 */
davy_span davy_scan_time(size_t units, davy_span timeout, double polls_per_s);

/*
 * Whether an answer ("ok", "exception" …, with its code) says that a device is there: a gateway answers for absent
 * ones.
 */
bool davy_scan_is_there(const char *answer, int exception);
