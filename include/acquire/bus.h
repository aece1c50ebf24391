/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a poller needs of a transport: open, close, read. One adapter stands behind it (acquire/bus_modbus.c), and fakes
 * in tests. One thread at a time per object; all calls may block for the times given.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "acquire/capture.h"
#include "base/attr.h"
#include "base/clock.h"
#include "model/config.h"
#include "model/reading.h"

/* One read. */
struct davy_bus_request {
    uint8_t unit;
    enum davy_table table;
    uint16_t start;
    uint16_t count;      /* registers, at most 125; bits, at most 2000 */
    davy_span max_reply; /* longest that this device may take to answer */
};

struct davy_bus_reply {
    enum davy_answer answer;
    uint8_t exception;     /* when answer is EXCEPTION */
    davy_span turn_around; /* from the end of the request to the first byte of the reply; 0: not measured */
    davy_span took;        /* of it alone, without what was waited or probed for before and after; 0: not measured */
    /* Of serial lines, since the last read: */
    uint32_t foreign;   /* bytes thrown away that no request of ours explains: noise, a second master, double replies */
    uint32_t strangers; /* complete requests among them: there is another master on the line */
    uint32_t late;      /* replies that came later than the device's max_reply: it is set too short */
    bool meddled;       /* DOWN since another program changed the settings of the port: opening sets it up again */
    uint16_t words[DAVY_BLOCK_WORDS];
};

struct davy_bus_ops {
    /*
     * 0, or a negative errno that says why. Blocks at most the bus's timeout for a name, and for each of 4 addresses.
     */
    int (*open)(void *link);
    /*
     * What the last open failed at, for people, as far as an errno does not say it: which port or host, who holds it.
     * May be NULL.
     */
    void (*explain)(void *link, char *text, size_t size);
    /* Repeatable. */
    void (*close)(void *link);
    /*
     * One request, one reply; never retries, never reconnects. Blocks at most the bus's timeout and the time that the
     * characters take, plus the silence that the line needs (pause, 3.5 characters) and after a failure (the device's
     * max_reply since its request). On a serial line, the read of the shape of one that failed is enclosed by two short
     * ones, or held back: src/acquire/guard.h has the rules, what they assume and what they cost. DOWN means that the
     * link must be closed and opened again.
     */
    void (*read)(void *link, const struct davy_bus_request *request, struct davy_bus_reply *ret_reply);
    /*
     * From now on every wait ends within a quarter of a second once *stop is true, as if its time were over. May be
     * NULL: then no wait is long.
     */
    void (*obey)(void *link, const atomic_bool *stop);
    /*
     * From now on all that is sent and heard goes into *capture too, which the caller owns; NULL: no more. May be NULL.
     */
    void (*record)(void *link, struct davy_capture *capture);
    /* Frees the link (closes it first). Accepts NULL. */
    void (*free)(void *link);
};

struct davy_bus_link {
    const struct davy_bus_ops *ops;
    void *link;
};

/*
 * The libmodbus adapter for a bus of any type. Opens nothing yet.
 * bus      copied as far as needed
 * returns  0, -ENOMEM or -EINVAL
 */
int davy_bus_modbus_new(const struct davy_bus *bus, struct davy_bus_link *ret_link) DAVY_MUST_CHECK;
