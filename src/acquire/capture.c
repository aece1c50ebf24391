/* SPDX-License-Identifier: Apache-2.0 */
#include "acquire/capture.h"

#include <string.h>

#include "base/attr.h"

/* An answer fits into the low bits of a remembered verdict. */
#define FOREIGN_BESIDE 0x80U
_Static_assert(DAVY_ANSWER_COUNT_ < FOREIGN_BESIDE, "no overlap");

/* Before its bytes in a ring; both may go around its end. */
struct record {
    struct davy_stamp at;
    uint64_t number;
    uint16_t exchange;
    uint16_t length;
    uint8_t kind;
    uint8_t verdict;
};

static const char *const names[] = {"sent", "heard", "foreign"};
_Static_assert(DAVY_LENGTH(names) == DAVY_CAPTURE_KIND_COUNT_, "a name for each kind");

const char *davy_capture_kind_name(enum davy_capture_kind kind)
{
    return (size_t)kind < DAVY_LENGTH(names) ? names[kind] : "?";
}

static size_t stored(size_t length)
{
    return length < DAVY_CAPTURE_FRAME ? length : DAVY_CAPTURE_FRAME;
}

static size_t size_of(const struct record *record)
{
    return sizeof *record + stored(record->length);
}

/* `offset` bytes behind the oldest one, in two pieces where the ring ends between. */
static void ring_get(const struct davy_capture_ring *ring, size_t offset, void *bytes, size_t length)
{
    size_t from = (ring->first + offset) % DAVY_CAPTURE_RING;
    size_t straight = length < DAVY_CAPTURE_RING - from ? length : DAVY_CAPTURE_RING - from;
    memcpy(bytes, ring->bytes + from, straight);
    memcpy((uint8_t *)bytes + straight, ring->bytes, length - straight);
}

static void ring_put(struct davy_capture_ring *ring, size_t offset, const void *bytes, size_t length)
{
    size_t from = (ring->first + offset) % DAVY_CAPTURE_RING;
    size_t straight = length < DAVY_CAPTURE_RING - from ? length : DAVY_CAPTURE_RING - from;
    memcpy(ring->bytes + from, bytes, straight);
    memcpy(ring->bytes, (const uint8_t *)bytes + straight, length - straight);
}

static void ring_drop_oldest(struct davy_capture_ring *ring)
{
    struct record record;
    ring_get(ring, 0, &record, sizeof record);
    ring->first = (uint16_t)((ring->first + size_of(&record)) % DAVY_CAPTURE_RING);
    ring->used = (uint16_t)(ring->used - size_of(&record));
    ring->begun = (uint16_t)(ring->begun > size_of(&record) ? ring->begun - size_of(&record) : 0);
}

static void ring_add(struct davy_capture_ring *ring, const struct record *record, const uint8_t *bytes)
{
    while (ring->used + size_of(record) > DAVY_CAPTURE_RING)
        ring_drop_oldest(ring);
    ring_put(ring, ring->used, record, sizeof *record);
    ring_put(ring, ring->used + sizeof *record, bytes, stored(record->length));
    ring->used = (uint16_t)(ring->used + size_of(record));
}

/* The record at `*offset`, which moves behind it. False at the end. */
static bool ring_next(const struct davy_capture_ring *ring, size_t *offset, struct record *ret_record)
{
    if (*offset >= ring->used)
        return false;
    ring_get(ring, *offset, ret_record, sizeof *ret_record);
    *offset += size_of(ret_record);
    return true;
}

void davy_capture_init(struct davy_capture *capture)
{
    memset(capture, 0, sizeof *capture);
}

void davy_capture_begin(struct davy_capture *capture)
{
    capture->exchange++;
    capture->newest.begun = capture->newest.used;
}

void davy_capture_add(struct davy_capture *capture, enum davy_capture_kind kind, struct davy_stamp at,
                      const uint8_t *bytes, size_t length)
{
    if (length == 0)
        return;
    const struct record record = {.at = at,
                                  .number = ++capture->frames,
                                  .exchange = capture->exchange,
                                  .length = (uint16_t)(length < UINT16_MAX ? length : UINT16_MAX),
                                  .kind = (uint8_t)kind,
                                  .verdict = DAVY_ANSWER_COUNT_};
    ring_add(&capture->newest, &record, bytes);
}

/* Write the verdict to the exchange under way. Whether there are foreign bytes in it. */
static bool stamp_verdict(struct davy_capture *capture, enum davy_answer verdict)
{
    struct davy_capture_ring *ring = &capture->newest;
    struct record record;
    bool foreign = false;
    for (size_t offset = ring->begun, next = offset; ring_next(ring, &next, &record); offset = next) {
        foreign = foreign || record.kind == DAVY_CAPTURE_FOREIGN;
        record.verdict = (uint8_t)verdict;
        ring_put(ring, offset, &record, sizeof record);
    }
    return foreign;
}

/* Copy what is not kept yet of the last `exchanges`. */
static void keep(struct davy_capture *capture, unsigned exchanges)
{
    struct record record;
    uint8_t bytes[DAVY_CAPTURE_FRAME];
    for (size_t offset = 0; ring_next(&capture->newest, &offset, &record);) {
        uint16_t age = (uint16_t)(capture->exchange - record.exchange);
        if (age >= exchanges || record.number <= capture->kept_up_to)
            continue;
        ring_get(&capture->newest, offset - stored(record.length), bytes, stored(record.length));
        ring_add(&capture->errors, &record, bytes);
        capture->kept_up_to = record.number;
    }
}

void davy_capture_end(struct davy_capture *capture, uint8_t unit, enum davy_answer verdict)
{
    bool foreign = stamp_verdict(capture, verdict);
    bool bad = foreign || (verdict != DAVY_ANSWER_OK && verdict != DAVY_ANSWER_EXCEPTION);
    uint8_t state = (uint8_t)(verdict | (foreign ? FOREIGN_BESIDE : 0U));
    bool news = bad && capture->verdicts[unit] != state;
    if (news || capture->follow)
        keep(capture, news ? 2 : 1);
    capture->follow = news;
    capture->verdicts[unit] = bad ? state : DAVY_ANSWER_OK;
}

static bool fill(const struct davy_capture_ring *ring, uint16_t *offset, bool kept,
                 struct davy_capture_frame *ret_frame)
{
    struct record record;
    size_t next = *offset;
    if (!ring_next(ring, &next, &record))
        return false;
    *offset = (uint16_t)next;
    *ret_frame = (struct davy_capture_frame){.at = record.at,
                                             .number = record.number,
                                             .exchange = record.exchange,
                                             .length = record.length,
                                             .kind = (enum davy_capture_kind)record.kind,
                                             .verdict = (enum davy_answer)record.verdict,
                                             .kept = kept};
    ring_get(ring, next - stored(record.length), ret_frame->bytes, stored(record.length));
    return true;
}

/* The number of the record at `offset`; of none UINT64_MAX. */
static uint64_t number_at(const struct davy_capture_ring *ring, size_t offset)
{
    struct record record;
    return ring_next(ring, &offset, &record) ? record.number : UINT64_MAX;
}

bool davy_capture_next(const struct davy_capture *capture, struct davy_capture_cursor *cursor,
                       struct davy_capture_frame *ret_frame)
{
    uint64_t newest = number_at(&capture->newest, cursor->newest);
    uint64_t error = number_at(&capture->errors, cursor->errors);
    if (newest < error)
        return fill(&capture->newest, &cursor->newest, false, ret_frame);
    if (newest == error) {
        struct davy_capture_frame twin;
        (void)fill(&capture->newest, &cursor->newest, false, &twin);
    }
    return fill(&capture->errors, &cursor->errors, true, ret_frame);
}
