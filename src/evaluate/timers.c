/* SPDX-License-Identifier: Apache-2.0 */
#include "evaluate/timers.h"

#include <errno.h>

int davy_timers_init(struct davy_timers *timers, size_t owners)
{
    size_t size = owners ? owners : 1;
    *timers = (struct davy_timers){
        .due = malloc(size * sizeof(davy_mono)),
        .heap = malloc(size * sizeof(uint32_t)),
        .position = malloc(size * sizeof(uint32_t)),
    };
    if (!timers->due || !timers->heap || !timers->position) {
        davy_timers_done(timers);
        return -ENOMEM;
    }
    for (size_t i = 0; i < owners; i++)
        timers->due[i] = DAVY_MONO_NEVER;
    return 0;
}

void davy_timers_done(struct davy_timers *timers)
{
    free(timers->due);
    free(timers->heap);
    free(timers->position);
    *timers = (struct davy_timers){0};
}

static bool before(const struct davy_timers *timers, uint32_t a, uint32_t b)
{
    return timers->due[a].ns != timers->due[b].ns ? timers->due[a].ns < timers->due[b].ns : a < b;
}

static void place(struct davy_timers *timers, size_t at, uint32_t owner)
{
    timers->heap[at] = owner;
    timers->position[owner] = (uint32_t)at;
}

static size_t sift_up(struct davy_timers *timers, size_t at)
{
    uint32_t owner = timers->heap[at];
    while (at > 0 && before(timers, owner, timers->heap[(at - 1) / 2])) {
        place(timers, at, timers->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    place(timers, at, owner);
    return at;
}

static void sift_down(struct davy_timers *timers, size_t at)
{
    uint32_t owner = timers->heap[at];
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= timers->count)
            break;
        if (child + 1 < timers->count && before(timers, timers->heap[child + 1], timers->heap[child]))
            child++;
        if (!before(timers, timers->heap[child], owner))
            break;
        place(timers, at, timers->heap[child]);
        at = child;
    }
    place(timers, at, owner);
}

static void take_out(struct davy_timers *timers, uint32_t owner)
{
    size_t at = timers->position[owner];
    uint32_t last = timers->heap[--timers->count];
    if (last == owner)
        return;
    place(timers, at, last);
    sift_down(timers, sift_up(timers, at));
}

void davy_timers_set(struct davy_timers *timers, uint32_t owner, davy_mono due)
{
    bool inside = timers->due[owner].ns != INT64_MAX;
    if (timers->due[owner].ns == due.ns)
        return;
    if (due.ns == INT64_MAX) {
        take_out(timers, owner);
        timers->due[owner] = due;
        return;
    }
    timers->due[owner] = due;
    if (!inside)
        place(timers, timers->count++, owner);
    sift_down(timers, sift_up(timers, timers->position[owner]));
}

davy_mono davy_timers_next(const struct davy_timers *timers)
{
    return timers->count ? timers->due[timers->heap[0]] : DAVY_MONO_NEVER;
}

uint32_t davy_timers_first(const struct davy_timers *timers)
{
    return timers->heap[0];
}
