/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A window over stretches of time that forgets at one end and grows at the other, with what the stretches inside add up
 * to at any instant. Two stacks: the older entries keep the sum from themselves to the newest of their stack, the newer
 * ones one sum of all of them; when the older stack is used up the newer one is turned over. So every sum is made by
 * adding only: nothing is ever taken off a running sum, and nothing drifts. Taking and asking are amortised O(1).
 * Entries enter the sum when they end at `end`, which may lie behind now (deviation leaves the newest part out).
 * A window with buckets joins neighbouring stretches into one entry of at most that length; the oldest counts whole.
 * Thread: one caller at a time per object.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DAVY_SLIDE_NUMBERS 4

/* A window of more than an hour is cut into so many buckets. */
#define DAVY_SLIDE_BUCKETS 512

/* Length of a bucket; 0: the window is exact. */
int64_t davy_slide_bucket(int64_t length);

/* What stretches add up to. */
struct davy_slide_sum {
    int64_t weight; /* 0: nothing */
    double number[DAVY_SLIDE_NUMBERS];
};

/* Large offsets cost digits: numbers of a sum are kept relative to this, which moves along with the window. */
struct davy_slide_origin {
    int64_t time;
    double value;
};

struct davy_slide_stretch {
    int64_t from;
    int64_t to;
    double value; /* of joined stretches the greatest */
};

/* How stretches add up. */
struct davy_slide_kind {
    size_t numbers; /* that are used of a sum, up to DAVY_SLIDE_NUMBERS */
    void (*make)(struct davy_slide_sum *sum, const struct davy_slide_stretch *stretch,
                 const struct davy_slide_origin *origin);
    /* Neither is empty. */
    void (*merge)(struct davy_slide_sum *sum, const struct davy_slide_sum *other);
    /* To an origin that lies so much higher; NULL: the kind has no origin. */
    void (*shift)(struct davy_slide_sum *sum, double time, double value);
    size_t mean; /* with an origin: which number is the mean value */
    bool runs;   /* values do not matter: stretches that touch are one */
};

struct davy_slide {
    const struct davy_slide_kind *kind;
    int64_t bucket; /* longest entry of more than one stretch; 0: none is joined */
    struct davy_slide_origin origin;
    unsigned char *entries; /* a ring */
    size_t capacity;        /* 0 or a power of 2 */
    size_t first;
    size_t count;
    size_t entered; /* the oldest ones that are in the sum */
    size_t front;   /* the oldest ones of these, each with the sum from itself on */
    struct davy_slide_sum back;
};

void davy_slide_open(struct davy_slide *window, const struct davy_slide_kind *kind, int64_t length);
void davy_slide_close(struct davy_slide *window);

/* A stretch that begins where the last one ended or later. Where memory cannot be had, the oldest half is forgotten. */
void davy_slide_push(struct davy_slide *window, const struct davy_slide_stretch *stretch);

/* Forget what ends at `start` or before; let in what ends at `end` or before. Neither ever goes back. */
void davy_slide_advance(struct davy_slide *window, int64_t start, int64_t end);

/*
 * What the entries between add up to; advances.
 * clip   cut the oldest entry at `start` as if its greatest value held all through it; else an entry of joined
 *        stretches counts whole. One stretch is always cut.
 */
void davy_slide_total(struct davy_slide *window, int64_t start, int64_t end, bool clip, struct davy_slide_sum *ret_sum);

/* Add a stretch that is not an entry, cut to start..end. */
void davy_slide_add(const struct davy_slide *window, const struct davy_slide_stretch *stretch, int64_t start,
                    int64_t end, struct davy_slide_sum *sum);

/* sum += other, each possibly empty. */
void davy_slide_merge(const struct davy_slide_kind *kind, struct davy_slide_sum *sum,
                      const struct davy_slide_sum *other);

/* The oldest entry; NULL where there is none. */
const struct davy_slide_stretch *davy_slide_oldest(const struct davy_slide *window);

/* Memory of the entries now, and at most for a window that takes so many stretches in its length. */
size_t davy_slide_bytes(const struct davy_slide *window);
size_t davy_slide_bytes_max(const struct davy_slide_kind *kind, int64_t length, size_t stretches);

/* Stretches of at least `interval` that touch a window of this length. */
size_t davy_slide_stretches(int64_t length, int64_t interval);

/* Room in a ring that holds `count`. */
size_t davy_slide_capacity(size_t count);

/* a - b and a + b, saturating. */
static inline int64_t davy_slide_minus(int64_t a, int64_t b)
{
    int64_t r;
    return __builtin_sub_overflow(a, b, &r) ? (b > 0 ? INT64_MIN : INT64_MAX) : r;
}

static inline int64_t davy_slide_plus(int64_t a, int64_t b)
{
    int64_t r;
    return __builtin_add_overflow(a, b, &r) ? (b > 0 ? INT64_MAX : INT64_MIN) : r;
}
