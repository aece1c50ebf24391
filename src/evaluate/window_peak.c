/* SPDX-License-Identifier: Apache-2.0 */
#include "evaluate/window_peak.h"

#include <stdlib.h>
#include <string.h>

#include "evaluate/measure.h"
#include "evaluate/window_slide.h"

void davy_peak_open(struct davy_peak *peak, int64_t length)
{
    *peak = (struct davy_peak){.length = length, .bucket = davy_slide_bucket(length)};
}

void davy_peak_close(struct davy_peak *peak)
{
    free(peak->readings);
    peak->readings = NULL;
}

static struct davy_peak_reading *reading_at(const struct davy_peak *peak, size_t index)
{
    return &peak->readings[(peak->first + index) & (peak->capacity - 1)];
}

static void drop_oldest(struct davy_peak *peak)
{
    peak->first = (peak->first + 1) & (peak->capacity - 1);
    peak->count--;
}

static void forget(struct davy_peak *peak, int64_t now)
{
    while (peak->count > 0 && reading_at(peak, 0)->at <= davy_slide_minus(now, peak->length))
        drop_oldest(peak);
}

/* False: there is no memory. */
static bool grow(struct davy_peak *peak)
{
    const size_t capacity = davy_slide_capacity(peak->capacity + 1);
    struct davy_peak_reading *readings = capacity > peak->capacity ? malloc(capacity * sizeof readings[0]) : NULL;
    if (!readings)
        return false;
    for (size_t i = 0; i < peak->count; i++)
        readings[i] = *reading_at(peak, i);
    free(peak->readings);
    peak->readings = readings;
    peak->capacity = capacity;
    peak->first = 0;
    return true;
}

static void make_room(struct davy_peak *peak)
{
    if (peak->count < peak->capacity || grow(peak))
        return;
    size_t drop = peak->capacity < DAVY_WINDOW_READINGS ? (peak->count + 1) / 2 : 1;
    while (drop-- > 0 && peak->count > 0)
        drop_oldest(peak);
}

static bool same_bucket(const struct davy_peak *peak, int64_t a, int64_t b)
{
    return peak->bucket > 0 && a / peak->bucket == b / peak->bucket && (a < 0) == (b < 0);
}

void davy_peak_take(struct davy_peak *peak, int64_t at, double value)
{
    forget(peak, at);
    while (peak->count > 0 && reading_at(peak, peak->count - 1)->value <= value)
        peak->count--;
    if (peak->count > 0 && same_bucket(peak, reading_at(peak, peak->count - 1)->at, at)) {
        reading_at(peak, peak->count - 1)->at = at; /* stays until the last of its bucket leaves */
        return;
    }
    make_room(peak);
    if (peak->capacity > 0)
        *reading_at(peak, peak->count++) = (struct davy_peak_reading){at, value};
}

bool davy_peak_value(struct davy_peak *peak, int64_t now, double *ret_value)
{
    forget(peak, now);
    if (peak->count == 0)
        return false;
    *ret_value = reading_at(peak, 0)->value;
    return true;
}

size_t davy_peak_bytes(const struct davy_peak *peak)
{
    return peak->capacity * sizeof peak->readings[0];
}

size_t davy_peak_bytes_max(int64_t length, int64_t interval)
{
    size_t count = davy_slide_stretches(length, interval);
    if (davy_slide_bucket(length) > 0 && count > DAVY_SLIDE_BUCKETS + 3)
        count = DAVY_SLIDE_BUCKETS + 3;
    return davy_slide_capacity(count) * sizeof(struct davy_peak_reading);
}
