/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time as a dependency. Three one-member types, so that mixing them does not compile:
 *   davy_mono  nanoseconds of CLOCK_BOOTTIME; all delays, ages, timeouts (suspend counts, clock steps do not)
 *   davy_wall  nanoseconds of UTC since 1970; only in records and messages
 *   davy_span  a length of time in nanoseconds
 * "Now" is taken once per cycle and passed down; only base/clock.c reads a clock. Arithmetic saturates.
 * Thread: any.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DAVY_NS_PER_US INT64_C(1000)
#define DAVY_NS_PER_MS INT64_C(1000000)
#define DAVY_NS_PER_S  INT64_C(1000000000)

typedef struct {
    int64_t ns;
} davy_mono;

typedef struct {
    int64_t ns;
} davy_wall;

typedef struct {
    int64_t ns;
} davy_span;

/* One instant on both clocks, taken together. */
struct davy_stamp {
    davy_mono mono;
    davy_wall wall;
};

/* A source of time. `now` never fails and never blocks. */
struct davy_clock {
    struct davy_stamp (*now)(void *context);
    void *context;
};

#define DAVY_MONO_NEVER ((davy_mono){INT64_MAX})

/* The machine's clocks. */
extern const struct davy_clock davy_system_clock;

static inline struct davy_stamp davy_clock_now(const struct davy_clock *clock)
{
    return clock->now(clock->context);
}

static inline davy_span davy_span_ms(int64_t ms)
{
    return (davy_span){ms * DAVY_NS_PER_MS};
}

static inline davy_span davy_span_s(int64_t s)
{
    return (davy_span){s * DAVY_NS_PER_S};
}

/* `t` + `span`, saturating, so that "never" plus anything stays "never". */
static inline davy_mono davy_mono_add(davy_mono t, davy_span span)
{
    int64_t sum;
    if (__builtin_add_overflow(t.ns, span.ns, &sum))
        sum = span.ns > 0 ? INT64_MAX : INT64_MIN;
    return (davy_mono){sum};
}

/* later - earlier, saturating. */
static inline davy_span davy_mono_sub(davy_mono later, davy_mono earlier)
{
    int64_t difference;
    if (__builtin_sub_overflow(later.ns, earlier.ns, &difference))
        difference = later.ns > earlier.ns ? INT64_MAX : INT64_MIN;
    return (davy_span){difference};
}

static inline davy_mono davy_mono_min(davy_mono a, davy_mono b)
{
    return a.ns < b.ns ? a : b;
}

/*
 * When `then` was, by the wall clock as it is `now`: it may have been set since, as after a boot at 1970. As it was
 * told where that is no more than a second off.
 */
davy_wall davy_wall_as_of(struct davy_stamp then, struct davy_stamp now);

/* Enough for davy_wall_format(), with the end. */
#define DAVY_WALL_TEXT 32

/*
 * RFC 3339 in UTC, to the nearest millisecond: 2026-11-23T08:01:02.345Z.
 * text      at least DAVY_WALL_TEXT bytes
 * returns   text
 */
char *davy_wall_format(davy_wall t, char text[DAVY_WALL_TEXT]);

/*
 * Read RFC 3339 (any offset, 0 to 9 decimals) or seconds since 1970 (with decimals).
 * returns   0, or -EINVAL with *ret_t untouched
 */
int davy_wall_parse(const char *text, davy_wall *ret_t);

/*
 * The local calendar day (of the process's TZ) that `t` falls on: days since 1970-01-01, a day more at each midnight of
 * the place, however long its days are.
 */
int64_t davy_wall_local_day(davy_wall t);

/*
 * Make a zone of /usr/share/zoneinfo ("Asia/Shanghai") that of local time in this process; NULL leaves the machine's.
 * Changes the environment: once, before there are threads.
 */
void davy_timezone_use(const char *name);

/* CLOCK_MONOTONIC, ns: only for a program that compares with it, as the service manager does. */
int64_t davy_clock_monotonic(void);

/* True while the kernel says that its clock is kept by NTP or the like (adjtimex). */
bool davy_clock_synchronized(void);

/* The kernel's boot id (36 characters); "unknown" where it cannot be read. */
void davy_boot_id(char text[37]);
