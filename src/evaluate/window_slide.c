/* SPDX-License-Identifier: Apache-2.0 */
#include "evaluate/window_slide.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "evaluate/measure.h"

enum { CAPACITY_FIRST = 16 };

int64_t davy_slide_bucket(int64_t length)
{
    return length > 3600 * DAVY_NS_PER_S ? length / DAVY_SLIDE_BUCKETS : 0;
}

/* As many numbers as the kind uses. */
struct entry {
    struct davy_slide_stretch stretch;
    int64_t weight;
    double number[];
};

static size_t entry_size(const struct davy_slide_kind *kind)
{
    return sizeof(struct entry) + kind->numbers * sizeof(double);
}

static struct entry *entry_at(const struct davy_slide *window, size_t index)
{
    size_t place = (window->first + index) & (window->capacity - 1);
    return (struct entry *)(void *)(window->entries + place * entry_size(window->kind));
}

static void load(const struct davy_slide *window, const struct entry *entry, struct davy_slide_sum *sum)
{
    sum->weight = entry->weight;
    for (size_t i = 0; i < window->kind->numbers; i++)
        sum->number[i] = entry->number[i];
}

static void store(const struct davy_slide *window, struct entry *entry, const struct davy_slide_sum *sum)
{
    entry->weight = sum->weight;
    for (size_t i = 0; i < window->kind->numbers; i++)
        entry->number[i] = sum->number[i];
}

void davy_slide_merge(const struct davy_slide_kind *kind, struct davy_slide_sum *sum,
                      const struct davy_slide_sum *other)
{
    if (sum->weight == 0)
        *sum = *other;
    else if (other->weight != 0)
        kind->merge(sum, other);
}

void davy_slide_open(struct davy_slide *window, const struct davy_slide_kind *kind, int64_t length)
{
    *window = (struct davy_slide){.kind = kind, .bucket = davy_slide_bucket(length)};
}

void davy_slide_close(struct davy_slide *window)
{
    free(window->entries);
    window->entries = NULL;
}

/* The sum of one entry alone; of entries that joined several it stands in the entry. */
static void own_sum(const struct davy_slide *window, const struct entry *entry, struct davy_slide_sum *sum)
{
    if (window->bucket == 0)
        window->kind->make(sum, &entry->stretch, &window->origin);
    else
        load(window, entry, sum);
}

/* Before the sums of the entries are made anew: an origin in their middle. */
static void move_origin(struct davy_slide *window)
{
    if (!window->kind->shift)
        return;
    const struct davy_slide_stretch *newest = &entry_at(window, window->entered - 1)->stretch;
    const double mean = window->origin.value + window->back.number[window->kind->mean];
    const struct davy_slide_origin origin = {newest->to, isfinite(mean) ? mean : newest->value};
    const double time = (double)(origin.time - window->origin.time), value = origin.value - window->origin.value;
    for (size_t i = 0; i < window->count && window->bucket > 0; i++) {
        struct davy_slide_sum sum;
        load(window, entry_at(window, i), &sum);
        window->kind->shift(&sum, time, value);
        store(window, entry_at(window, i), &sum);
    }
    window->origin = origin;
}

/* Turn the newer stack over: each entry gets the sum from itself to the newest. */
static void turn_over(struct davy_slide *window)
{
    move_origin(window);
    struct davy_slide_sum sum = {0};
    for (size_t i = window->entered; i-- > 0;) {
        struct davy_slide_sum own = {0};
        own_sum(window, entry_at(window, i), &own);
        davy_slide_merge(window->kind, &own, &sum);
        store(window, entry_at(window, i), &own);
        sum = own;
    }
    window->front = window->entered;
    window->back.weight = 0;
}

static void drop_oldest(struct davy_slide *window)
{
    if (window->entered > 0) {
        if (window->front == 0)
            turn_over(window);
        window->front--;
        window->entered--;
    }
    window->first = (window->first + 1) & (window->capacity - 1);
    window->count--;
}

void davy_slide_advance(struct davy_slide *window, int64_t start, int64_t end)
{
    /* The newest is never let in, because it may still grow. */
    while (window->entered + 1 < window->count && entry_at(window, window->entered)->stretch.to <= end) {
        struct davy_slide_sum own = {0};
        own_sum(window, entry_at(window, window->entered), &own);
        davy_slide_merge(window->kind, &window->back, &own);
        window->entered++;
    }
    while (window->count > 0 && entry_at(window, 0)->stretch.to <= start)
        drop_oldest(window);
    if (window->entered > 0 && window->front == 0 && entry_at(window, 0)->stretch.from < start)
        turn_over(window);
}

size_t davy_slide_capacity(size_t count)
{
    size_t capacity = CAPACITY_FIRST;
    while (capacity < count && capacity < DAVY_WINDOW_READINGS)
        capacity *= 2;
    return capacity;
}

/* Twice the room, the entries in order from its beginning. False: it cannot be had, or may not. */
static bool grow(struct davy_slide *window)
{
    const size_t capacity = davy_slide_capacity(window->capacity + 1), size = entry_size(window->kind);
    unsigned char *entries = capacity > window->capacity ? malloc(capacity * size) : NULL;
    if (!entries)
        return false;
    const size_t tail = window->capacity - window->first;
    if (window->capacity > 0) {
        memcpy(entries, window->entries + window->first * size, tail * size);
        memcpy(entries + tail * size, window->entries, window->first * size);
    }
    free(window->entries);
    window->entries = entries;
    window->capacity = capacity;
    window->first = 0;
    return true;
}

/* At the most that a window holds the oldest gives way; where memory cannot be had, the oldest half. */
static void make_room(struct davy_slide *window)
{
    if (window->count < window->capacity || grow(window))
        return;
    size_t drop = window->capacity < DAVY_WINDOW_READINGS ? (window->count + 1) / 2 : 1;
    while (drop-- > 0 && window->count > 0)
        drop_oldest(window);
}

/* An entry that is one stretch grows by another of the same value that touches it. */
static bool grows(const struct davy_slide *window, const struct entry *newest, const struct davy_slide_stretch *stretch)
{
    const struct davy_slide_stretch *old = &newest->stretch;
    if (old->to != stretch->from || newest->weight != old->to - old->from)
        return false;
    const bool same = !(old->value < stretch->value) && !(old->value > stretch->value);
    return window->kind->runs || (same && window->bucket == 0);
}

/* Into the newest entry, where that is still one stretch or does not get too long. */
static bool join(struct davy_slide *window, const struct davy_slide_stretch *stretch)
{
    if (window->count == window->entered)
        return false;
    struct entry *newest = entry_at(window, window->count - 1);
    if (!grows(window, newest, stretch) &&
        (window->bucket == 0 || davy_slide_minus(stretch->to, newest->stretch.from) > window->bucket))
        return false;
    struct davy_slide_sum sum = {0}, own = {0};
    load(window, newest, &sum);
    window->kind->make(&own, stretch, &window->origin);
    davy_slide_merge(window->kind, &sum, &own);
    store(window, newest, &sum);
    newest->stretch.to = stretch->to;
    newest->stretch.value = fmax(newest->stretch.value, stretch->value);
    return true;
}

void davy_slide_push(struct davy_slide *window, const struct davy_slide_stretch *stretch)
{
    if (join(window, stretch))
        return;
    make_room(window);
    if (window->capacity == 0)
        return;
    if (window->count == 0 && window->kind->shift)
        window->origin = (struct davy_slide_origin){stretch->to, stretch->value};
    struct entry *entry = entry_at(window, window->count++);
    entry->stretch = *stretch;
    struct davy_slide_sum own = {0};
    window->kind->make(&own, stretch, &window->origin);
    store(window, entry, &own);
}

void davy_slide_add(const struct davy_slide *window, const struct davy_slide_stretch *stretch, int64_t start,
                    int64_t end, struct davy_slide_sum *sum)
{
    const struct davy_slide_stretch cut = {
        .from = stretch->from > start ? stretch->from : start,
        .to = stretch->to < end ? stretch->to : end,
        .value = stretch->value,
    };
    if (cut.to <= cut.from)
        return;
    struct davy_slide_sum own = {0};
    window->kind->make(&own, &cut, &window->origin);
    davy_slide_merge(window->kind, sum, &own);
}

/* The entries that are not in the sum: of these only the oldest can lie inside, wholly or in part. */
static void add_waiting(const struct davy_slide *window, int64_t start, int64_t end, bool clip,
                        struct davy_slide_sum *sum)
{
    if (window->count == window->entered)
        return;
    const struct entry *entry = entry_at(window, window->entered);
    const struct davy_slide_stretch *stretch = &entry->stretch;
    const bool one = stretch->to - stretch->from > window->bucket;
    const bool inside = stretch->to <= end && (stretch->from >= start || (!one && !clip));
    struct davy_slide_sum own = {0};
    if (inside)
        own_sum(window, entry, &own);
    else if (one || stretch->to <= end)
        davy_slide_add(window, stretch, start, end, &own);
    davy_slide_merge(window->kind, sum, &own);
}

void davy_slide_total(struct davy_slide *window, int64_t start, int64_t end, bool clip, struct davy_slide_sum *ret_sum)
{
    davy_slide_advance(window, start, end);
    struct davy_slide_sum sum = {0};
    if (window->front > 0) {
        const struct davy_slide_stretch *oldest = &entry_at(window, 0)->stretch;
        bool cut = oldest->from < start && (clip || oldest->to - oldest->from > window->bucket);
        if (cut)
            davy_slide_add(window, oldest, start, end, &sum);
        struct davy_slide_sum rest = {0};
        if (window->front > cut)
            load(window, entry_at(window, cut), &rest);
        davy_slide_merge(window->kind, &sum, &rest);
    }
    davy_slide_merge(window->kind, &sum, &window->back);
    add_waiting(window, start, end, clip, &sum);
    *ret_sum = sum;
}

const struct davy_slide_stretch *davy_slide_oldest(const struct davy_slide *window)
{
    return window->count > 0 ? &entry_at(window, 0)->stretch : NULL;
}

size_t davy_slide_bytes(const struct davy_slide *window)
{
    return window->capacity * entry_size(window->kind);
}

size_t davy_slide_stretches(int64_t length, int64_t interval)
{
    int64_t count = interval > 0 ? length / interval : DAVY_WINDOW_READINGS;
    return count < DAVY_WINDOW_READINGS ? (size_t)count + 3 : DAVY_WINDOW_READINGS;
}

size_t davy_slide_bytes_max(const struct davy_slide_kind *kind, int64_t length, size_t stretches)
{
    /* Two neighbours together are always longer than a bucket. */
    const size_t joined = 2 * DAVY_SLIDE_BUCKETS + 4;
    if (davy_slide_bucket(length) > 0 && stretches > joined)
        stretches = joined;
    return davy_slide_capacity(stretches) * entry_size(kind);
}
