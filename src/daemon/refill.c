/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/refill.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "record/past.h"

struct refill {
    struct davy_engine *engine;
    struct davy_stamp now;
    size_t count;
};

static struct davy_stamp brought_over(const struct refill *refill, davy_wall time)
{
    return (struct davy_stamp){{refill->now.mono.ns - (refill->now.wall.ns - time.ns)}, time};
}

static void on_reading(void *context, const struct davy_reading *past)
{
    struct refill *refill = context;
    struct davy_reading reading = *past;
    reading.at = brought_over(refill, past->at.wall);
    davy_engine_past_reading(refill->engine, &reading);
    refill->count++;
}

static void on_raise(void *context, const char *alarm, davy_wall time)
{
    struct refill *refill = context;
    davy_engine_past_raise(refill->engine, alarm, brought_over(refill, time));
}

static void refill_readings(struct refill *refill, const struct davy_config *config, const char *directory)
{
    char file[4200], error[256] = "", from_text[DAVY_WALL_TEXT];
    DAVY_AUTO_FREE davy_span *lookback = calloc(config->point_count + 1, sizeof *lookback);
    if (!lookback)
        return;
    for (uint32_t p = 0; p < config->point_count; p++)
        lookback[p] = davy_engine_reading_lookback(refill->engine, p);
    struct davy_past_readings what = {.config = config, .lookback = lookback, .now = refill->now.wall};
    davy_wall from;
    snprintf(file, sizeof file, "%s/readings.db", directory);
    int rc = davy_past_readings(file, &what, on_reading, refill, &from, error, sizeof error);
    if (rc == DAVY_PAST_CUT)
        davy_warning("evaluate", "more history than can be read at the start: windows are uncovered before %s",
                     davy_wall_format(from, from_text));
    else if (rc < 0 && rc != -ENOENT)
        davy_warning("evaluate", "windows start uncovered: %s", error);
}

static void refill_raises(struct refill *refill, const char *directory)
{
    char file[4200], error[256] = "";
    davy_span lookback = davy_engine_raise_lookback(refill->engine);
    if (lookback.ns <= 0)
        return;
    snprintf(file, sizeof file, "%s/ledger.db", directory);
    davy_wall since = {refill->now.wall.ns - lookback.ns};
    int rc = davy_past_raises(file, since, refill->now.wall, on_raise, refill, error, sizeof error);
    if (rc < 0 && rc != -ENOENT)
        davy_warning("evaluate", "earlier alarms are not counted: %s", error);
}

void refill(struct davy_engine *engine, const struct davy_config *config, const char *directory,
            const struct davy_clock *clock)
{
    struct refill refill = {.engine = engine, .now = davy_clock_now(clock)};
    refill_readings(&refill, config, directory);
    refill_raises(&refill, directory);
    int64_t ms = davy_mono_sub(davy_clock_now(clock).mono, refill.now.mono).ns / DAVY_NS_PER_MS;
    if (refill.count > 0)
        davy_notice("evaluate", "windows go on: %zu readings in %lld ms", refill.count, (long long)ms);
}
