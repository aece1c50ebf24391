/* SPDX-License-Identifier: Apache-2.0 */
#include "evaluate/window_count.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "evaluate/measure.h"
#include "evaluate/window_slide.h"

void davy_count_open(struct davy_count *count, int64_t length, bool days)
{
    *count = (struct davy_count){.length = length, .days = days};
}

void davy_count_close(struct davy_count *count)
{
    free(count->entries);
    count->entries = NULL;
}

static struct davy_count_entry *entry_at(const struct davy_count *count, size_t index)
{
    return &count->entries[(count->first + index) & (count->capacity - 1)];
}

static void drop_oldest(struct davy_count *count)
{
    count->first = (count->first + 1) & (count->capacity - 1);
    count->count--;
}

/* Only the latest of each day is kept and time never goes back, so this leaves them in the order of time. */
static void forget(struct davy_count *count, int64_t now)
{
    while (count->count > 0 && entry_at(count, 0)->at <= davy_slide_minus(now, count->length))
        drop_oldest(count);
}

/* False: there is no memory. */
static bool grow(struct davy_count *count)
{
    const size_t capacity = davy_slide_capacity(count->capacity + 1);
    struct davy_count_entry *entries = capacity > count->capacity ? malloc(capacity * sizeof entries[0]) : NULL;
    if (!entries)
        return false;
    for (size_t i = 0; i < count->count; i++)
        entries[i] = *entry_at(count, i);
    free(count->entries);
    count->entries = entries;
    count->capacity = capacity;
    count->first = 0;
    return true;
}

static void make_room(struct davy_count *count)
{
    if (count->count < count->capacity || grow(count))
        return;
    size_t drop = count->capacity < DAVY_WINDOW_READINGS ? (count->count + 1) / 2 : 1;
    while (drop-- > 0 && count->count > 0)
        drop_oldest(count);
}

/* Take out the entry of this day: as a rule the newest one, or there is none. */
static void take_out(struct davy_count *count, int64_t day)
{
    size_t index = count->count;
    while (index > 0 && entry_at(count, index - 1)->day != day)
        index--;
    if (index == 0)
        return;
    for (; index < count->count; index++)
        *entry_at(count, index - 1) = *entry_at(count, index);
    count->count--;
}

void davy_count_take(struct davy_count *count, int64_t at, int64_t day)
{
    forget(count, at);
    if (count->days)
        take_out(count, day);
    make_room(count);
    if (count->capacity > 0)
        *entry_at(count, count->count++) = (struct davy_count_entry){at, day};
}

static int64_t latest_day(const struct davy_count *count)
{
    int64_t day = INT64_MIN;
    for (size_t i = 0; i < count->count; i++)
        day = entry_at(count, i)->day > day ? entry_at(count, i)->day : day;
    return day;
}

static bool has_day(const struct davy_count *count, int64_t day)
{
    for (size_t i = count->count; i-- > 0;)
        if (entry_at(count, i)->day == day)
            return true;
    return false;
}

/* As a rule the days ascend by one, and each is found beside the one before. */
static size_t run_of_days(const struct davy_count *count)
{
    const int64_t latest = latest_day(count);
    size_t run = 0;
    for (size_t i = count->count; i-- > 0 && entry_at(count, i)->day == latest - (int64_t)run;)
        run++;
    while (run < count->count && has_day(count, latest - (int64_t)run))
        run++;
    return run;
}

size_t davy_count_value(struct davy_count *count, int64_t now)
{
    forget(count, now);
    return count->days ? run_of_days(count) : count->count;
}

size_t davy_count_bytes(const struct davy_count *count)
{
    return count->capacity * sizeof count->entries[0];
}

size_t davy_count_bytes_max(int64_t length, bool days, int64_t interval)
{
    const int64_t least = days ? 24 * 3600 * DAVY_NS_PER_S : interval;
    return davy_slide_capacity(davy_slide_stretches(length, least)) * sizeof(struct davy_count_entry);
}
