/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks into readings: the input chooses points of every type, order, mask, scale, range and status, then gives
 * blocks. A reading is always finite, its quality that of its reason, and a failed or worthless poll never has a good
 * one.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "decode/decode.h"
#include "support/small_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define POINTS 8U

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            abort();                                                                                                   \
    } while (0)

/* The input as a stream; zeros behind its end. */
struct input {
    const uint8_t *data;
    size_t left;
};

static uint64_t take(struct input *input, size_t bytes)
{
    uint64_t value = 0;
    for (size_t i = 0; i < bytes && input->left > 0; i++, input->left--)
        value = value << 8 | *input->data++;
    return value;
}

static double take_number(struct input *input)
{
    static const double numbers[] = {1, 0.1, 0.001, -1, 1e300, 1e-300, 65536, 0.5};
    return numbers[take(input, 1) % 8];
}

static void take_status(struct input *input, struct davy_status *status)
{
    *status = (struct davy_status){.table = (enum davy_table)(take(input, 1) % DAVY_TABLE_COUNT_),
                                   .address = (uint16_t)(take(input, 1) % 40),
                                   .mask = (uint16_t)take(input, 2),
                                   .value = (uint16_t)take(input, 2),
                                   .has_value = take(input, 1) & 1U,
                                   .means = (enum davy_means)(take(input, 1) % DAVY_MEANS_COUNT_)};
}

static void take_point(struct input *input, struct davy_config *config, struct davy_point *point)
{
    uint64_t *bad_values = small_alloc(config, 2, sizeof *bad_values);
    struct davy_status *status = small_alloc(config, 1, sizeof *status);
    point->type = (enum davy_type)(take(input, 1) % DAVY_TYPE_COUNT_);
    point->order = (enum davy_order)(take(input, 1) % DAVY_ORDER_COUNT_);
    point->table = (enum davy_table)(take(input, 1) % DAVY_TABLE_COUNT_);
    point->address = (uint16_t)take(input, take(input, 1) & 1U ? 2 : 1);
    point->has_mask = take(input, 1) & 1U;
    point->mask = take(input, 8);
    point->shift = (unsigned)(take(input, 1) % 65);
    point->scale = take_number(input);
    point->divisor = take(input, 1) & 1U ? 10.0 : 0.0;
    point->offset = take_number(input);
    point->has_range = take(input, 1) & 1U;
    point->high = take_number(input);
    point->low = point->high - 1;
    point->over_range_latch = take(input, 1) & 1U;
    bad_values[0] = take(input, 2);
    bad_values[1] = take(input, 8);
    point->bad_values = bad_values;
    point->bad_value_count = 2;
    take_status(input, status);
    point->status = status;
    point->status_count = take(input, 1) & 1U;
}

static struct davy_config *take_config(struct input *input)
{
    struct davy_config *config = small_config_new();
    struct davy_status *status = small_alloc(config, 2, sizeof *status);
    uint32_t *points = small_alloc(config, POINTS, sizeof *points);
    struct davy_request *requests = small_alloc(config, 2, sizeof *requests);
    small_bus(config, "bus", DAVY_BUS_TCP);
    small_device(config, "D", 0, 1);
    take_status(input, &status[0]);
    take_status(input, &status[1]);
    config->devices[0].status = status;
    config->devices[0].status_count = 2;
    config->devices[0].settle = (int)(take(input, 1) % 4);
    for (uint32_t i = 0; i < POINTS; i++) {
        points[i] = small_point(config, "p", 0, DAVY_TYPE_UINT16);
        take_point(input, config, &config->points[i]);
    }
    for (size_t i = 0; i < 2; i++) {
        requests[i].table = (enum davy_table)(take(input, 1) % DAVY_TABLE_COUNT_);
        requests[i].start = (uint16_t)take(input, 1);
        requests[i].count = (uint16_t)(1 + take(input, 2) % 2000);
        requests[i].points = points;
        requests[i].point_count = i == 0 ? POINTS : 1;
    }
    config->requests = requests;
    config->request_count = 2;
    return config;
}

static void check(const struct davy_reading *reading)
{
    CHECK(isfinite(reading->value));
    CHECK(reading->quality == davy_reason_quality(reading->reason));
    CHECK(reading->has_value || (reading->value == 0 && reading->quality != DAVY_QUALITY_GOOD));
    CHECK(reading->point < POINTS);
}

static void take_block(struct input *input, struct davy_decoder *decoder, davy_mono now)
{
    static struct davy_reading readings[DAVY_DECODE_MAX];
    struct davy_block block = {.generation = 1, .at.mono = now};
    const unsigned which = (unsigned)take(input, 1);
    block.request = which % 3;
    if (which >= 128) {
        block.start = (uint16_t)take(input, 2);
        block.count = (uint16_t)take(input, 2);
    }
    block.answer = (enum davy_answer)(take(input, 1) % 8 < 4 ? 0 : take(input, 1) % DAVY_ANSWER_COUNT_);
    for (size_t i = 0; i < DAVY_BLOCK_WORDS; i++)
        block.words[i] = (uint16_t)take(input, 2);
    size_t count = davy_decode_block(decoder, &block, readings);
    CHECK(count <= POINTS);
    for (size_t i = 0; i < count; i++) {
        check(&readings[i]);
        CHECK(block.answer == DAVY_ANSWER_OK || !readings[i].has_value);
    }
    if (count > 0 && take(input, 1) & 1U)
        (void)!davy_decoder_reset(decoder, (uint32_t)take(input, 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {.data = data, .left = size};
    struct davy_config *config = take_config(&input);
    struct davy_decoder *decoder, *next;
    davy_mono now = {0};
    if (davy_decoder_new(config, &decoder) < 0)
        abort();
    for (int blocks = 0; blocks < 16 && input.left > 0; blocks++) {
        now = davy_mono_add(now, davy_span_s((int64_t)take(&input, 2)));
        take_block(&input, decoder, now);
    }
    if (davy_decoder_renew(decoder, config, &next) < 0)
        abort();
    davy_decoder_free(next);
    davy_decoder_free(decoder);
    davy_config_unref(config);
    return 0;
}
