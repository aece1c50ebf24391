/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/num.h"
#include "decode/decode.h"
#include "support/seed.h"
#include "support/small_config.h"

/* Register 0 is the value, register 10 the status word; both in request 0. */
#define FAULT       1U
#define WARM_UP     2U
#define CALIBRATION 4U
#define OVER        8U
#define MAINTENANCE 16U

static const struct davy_status statuses[] = {
    {.table = DAVY_TABLE_HOLDING, .address = 10, .mask = FAULT, .means = DAVY_MEANS_FAULT},
    {.table = DAVY_TABLE_HOLDING, .address = 10, .mask = WARM_UP, .means = DAVY_MEANS_WARM_UP},
    {.table = DAVY_TABLE_HOLDING, .address = 10, .mask = CALIBRATION, .means = DAVY_MEANS_CALIBRATION},
    {.table = DAVY_TABLE_HOLDING, .address = 10, .mask = OVER, .means = DAVY_MEANS_OVER_RANGE},
    {.table = DAVY_TABLE_HOLDING, .address = 10, .mask = MAINTENANCE, .means = DAVY_MEANS_MAINTENANCE},
};

static const uint64_t bad_values[] = {0x7FFF};
static const uint32_t first_points[] = {0, 1, 2, 3};

struct rig {
    struct davy_config *config;
    struct davy_point *point;
    struct davy_device *device;
    struct davy_decoder *decoder;
    struct davy_block block;
    struct davy_reading readings[DAVY_DECODE_MAX];
};

static struct davy_config *plain_config(enum davy_type type)
{
    struct davy_config *config = small_config_new();
    small_bus(config, "bus", DAVY_BUS_TCP);
    small_device(config, "D", 0, 1);
    small_point(config, "p", 0, type);
    struct davy_request *requests = small_alloc(config, 2, sizeof *requests);
    requests[0] = (struct davy_request){
        .table = DAVY_TABLE_HOLDING, .count = 20, .interval = davy_span_s(1), .points = first_points, .point_count = 1};
    requests[1] =
        (struct davy_request){.table = DAVY_TABLE_HOLDING, .start = 10, .count = 1, .interval = davy_span_s(1)};
    config->requests = requests;
    config->request_count = 1;
    return config;
}

static void rig_init(struct rig *rig, struct davy_config *config)
{
    memset(rig, 0, sizeof *rig);
    rig->config = config;
    rig->point = &config->points[0];
    rig->device = &config->devices[0];
    rig->block.generation = 1;
    rig->block.at.mono.ns = 1000 * DAVY_NS_PER_S;
    assert_int_equal(davy_decoder_new(config, &rig->decoder), 0);
}

static void rig_done(struct rig *rig)
{
    assert_null(davy_decoder_free(rig->decoder));
    davy_config_unref(rig->config);
}

static struct davy_reading *decode(struct rig *rig)
{
    assert_int_equal(davy_decode_block(rig->decoder, &rig->block, rig->readings), 1);
    return &rig->readings[0];
}

/* Poll register value and status a second later; the reason of the reading. */
static enum davy_reason poll(struct rig *rig, uint16_t value, uint16_t status)
{
    rig->block.at.mono.ns += DAVY_NS_PER_S;
    rig->block.words[0] = value;
    rig->block.words[10] = status;
    struct davy_reading *reading = decode(rig);
    assert_int_equal(reading->quality, davy_reason_quality(reading->reason));
    return reading->reason;
}

/* An int16 of range 0 to 100 with all statuses. */
static struct davy_config *full_config(void)
{
    struct davy_config *config = plain_config(DAVY_TYPE_INT16);
    config->devices[0].status = statuses;
    config->devices[0].status_count = DAVY_LENGTH(statuses);
    config->points[0].has_range = true;
    config->points[0].high = 100;
    config->points[0].bad_values = bad_values;
    config->points[0].bad_value_count = 1;
    return config;
}

static void a_good_value_is_scaled_and_stamped(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, plain_config(DAVY_TYPE_INT16));
    rig.point->scale = 0.1;
    rig.point->divisor = 10;
    rig.point->offset = -1;
    rig.block.words[0] = 13;
    struct davy_reading *reading = decode(&rig);
    assert_int_equal(reading->quality, DAVY_QUALITY_GOOD);
    assert_true(reading->has_value && reading->value == 13.0 / 10.0 - 1);
    assert_int_equal(reading->at.mono.ns, rig.block.at.mono.ns);
    rig_done(&rig);
}

static void failed_polls_are_readings_without_value(void **state)
{
    (void)state;
    static const enum davy_reason expected[DAVY_ANSWER_COUNT_] = {DAVY_REASON_NONE, DAVY_REASON_EXCEPTION,
                                                                  DAVY_REASON_COMM, DAVY_REASON_COMM, DAVY_REASON_COMM};
    struct rig rig;
    rig_init(&rig, plain_config(DAVY_TYPE_INT16));
    for (unsigned answer = 1; answer < DAVY_ANSWER_COUNT_; answer++) {
        rig.block.answer = (enum davy_answer)answer;
        rig.block.words[0] = 55;
        struct davy_reading *reading = decode(&rig);
        assert_int_equal(reading->reason, expected[answer]);
        assert_int_equal(reading->quality, DAVY_QUALITY_BAD);
        assert_false(reading->has_value);
        assert_true(reading->value == 0);
    }
    rig_done(&rig);
}

/* All combinations of status bits × value classes × lost status × settling, against the list of ARCHITECTURE.md. */
static void the_first_reason_of_the_list_wins(void **state)
{
    (void)state;
    static const struct {
        uint16_t raw;
        enum davy_reason reason;
    } values[] = {{50, DAVY_REASON_NONE},
                  {0x7FFF, DAVY_REASON_BAD_VALUE},
                  {(uint16_t)-11, DAVY_REASON_UNDER_RANGE},
                  {(uint16_t)-10, DAVY_REASON_NONE},
                  {100, DAVY_REASON_NONE},
                  {101, DAVY_REASON_OVER_RANGE}};
    static const enum davy_reason list[] = {DAVY_REASON_CALIBRATION, DAVY_REASON_WARM_UP, DAVY_REASON_OVER_RANGE,
                                            DAVY_REASON_DEVICE_FAULT};
    static const unsigned bits[] = {CALIBRATION, WARM_UP, OVER, FAULT};
    for (unsigned status = 0; status < 32; status++)
        for (size_t v = 0; v < DAVY_LENGTH(values); v++)
            for (int settling = 0; settling <= 1; settling++) {
                struct rig rig;
                rig_init(&rig, full_config());
                rig.device->settle = 1;
                rig.block.answer = settling ? DAVY_ANSWER_TIMEOUT : DAVY_ANSWER_OK;
                poll(&rig, 50, 0);
                rig.block.answer = DAVY_ANSWER_OK;
                enum davy_reason expected = values[v].reason;
                if (expected == DAVY_REASON_NONE && settling)
                    expected = DAVY_REASON_SETTLING;
                else if (expected == DAVY_REASON_NONE && (status & MAINTENANCE))
                    expected = DAVY_REASON_MAINTENANCE;
                for (size_t i = DAVY_LENGTH(list); i-- > 0;)
                    if (status & bits[i])
                        expected = list[i];
                assert_int_equal(poll(&rig, values[v].raw, (uint16_t)status), expected);
                assert_int_equal(rig.readings[0].has_value, values[v].reason != DAVY_REASON_BAD_VALUE);
                rig_done(&rig);
            }
}

static void over_range_keeps_the_value_it_measured(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, full_config());
    assert_int_equal(poll(&rig, 130, 0), DAVY_REASON_OVER_RANGE);
    assert_true(rig.readings[0].value == 130);
    assert_int_equal(poll(&rig, 3, OVER), DAVY_REASON_OVER_RANGE);
    assert_true(rig.readings[0].has_value && rig.readings[0].value == 3);
    assert_int_equal(poll(&rig, 100, 0), DAVY_REASON_NONE);
    rig_done(&rig);
}

static void a_latched_over_range_stays_until_reset(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, full_config());
    rig.point->over_range_latch = true;
    assert_int_equal(davy_decoder_reset(rig.decoder, 0), -ENOENT);
    assert_int_equal(davy_decoder_reset(rig.decoder, 999), -ENOENT);
    poll(&rig, 130, 0);
    assert_int_equal(poll(&rig, 20, 0), DAVY_REASON_OVER_RANGE);
    struct davy_decoder *next;
    assert_int_equal(davy_decoder_renew(rig.decoder, rig.config, &next), 0);
    davy_decoder_free(rig.decoder);
    rig.decoder = next;
    assert_int_equal(poll(&rig, 20, 0), DAVY_REASON_OVER_RANGE);
    assert_int_equal(davy_decoder_reset(rig.decoder, 0), 0);
    assert_int_equal(poll(&rig, 20, 0), DAVY_REASON_NONE);
    rig_done(&rig);
}

/* A reload puts another device in its place: until its own status word is read, nothing is known of it. */
static void a_status_word_is_not_that_of_another_unit_or_bus(void **state)
{
    (void)state;
    for (int change = 0; change < 4; change++) {
        struct rig rig, other;
        rig_init(&rig, full_config());
        rig_init(&other, full_config());
        if (change == 1)
            other.device->unit = 2;
        if (change == 2)
            other.config->buses[0].name = "elsewhere";
        if (change == 3)
            other.config->buses[0].host = "elsewhere";
        assert_int_equal(poll(&rig, 1, 0), DAVY_REASON_NONE);
        struct davy_decoder *next;
        assert_int_equal(davy_decoder_renew(rig.decoder, other.config, &next), 0);
        davy_decoder_free(other.decoder);
        other.decoder = next;
        other.block.count = 1; /* the value alone */
        other.block.words[0] = 1;
        assert_int_equal(decode(&other)->reason, change == 0 ? DAVY_REASON_NONE : DAVY_REASON_NO_STATUS);
        rig_done(&rig);
        rig_done(&other);
    }
}

static void only_the_first_readings_after_a_bad_one_settle(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, full_config());
    rig.device->settle = 2;
    assert_int_equal(poll(&rig, 1, 0), DAVY_REASON_NONE); /* not after a start */
    assert_int_equal(poll(&rig, 0x7FFF, 0), DAVY_REASON_BAD_VALUE);
    assert_int_equal(poll(&rig, 1, 0), DAVY_REASON_SETTLING);
    assert_int_equal(poll(&rig, 0x7FFF, 0), DAVY_REASON_BAD_VALUE);
    assert_int_equal(poll(&rig, 1, 0), DAVY_REASON_SETTLING);
    assert_int_equal(poll(&rig, 1, 0), DAVY_REASON_SETTLING);
    assert_int_equal(poll(&rig, 1, 0), DAVY_REASON_NONE);
    rig_done(&rig);
}

static void readings_behind_a_silence_settle_like_those_behind_a_bad_one(void **state)
{
    (void)state;
    struct rig rig;
    struct davy_alarm_memory memory;
    rig_init(&rig, full_config());
    rig.device->settle = 2;
    assert_int_equal(poll(&rig, 1, 0), DAVY_REASON_NONE);
    davy_decoder_stale(rig.decoder, 0);
    assert_true(davy_decoder_tell(rig.decoder, 0, true, &memory)); /* a restart does not end it */
    assert_true(memory.limits[0].held);
    assert_false(davy_decoder_tell(rig.decoder, 0, true, &memory));
    davy_decoder_tell_kept(rig.decoder); /* once more */
    assert_true(davy_decoder_tell(rig.decoder, 0, true, &memory));
    assert_true(memory.limits[0].held);
    assert_int_equal(poll(&rig, 1, 0), DAVY_REASON_SETTLING);
    assert_int_equal(poll(&rig, 1, 0), DAVY_REASON_SETTLING);
    assert_int_equal(poll(&rig, 1, 0), DAVY_REASON_NONE);
    rig_done(&rig);
}

static void a_change_faster_than_possible_settles_up_and_down(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, full_config());
    rig.device->settle = 2;
    rig.point->max_rate = 10;
    assert_int_equal(poll(&rig, 1, 0), DAVY_REASON_NONE); /* nothing to compare with */
    assert_int_equal(poll(&rig, 11, 0), DAVY_REASON_NONE);
    assert_int_equal(poll(&rig, 80, 0), DAVY_REASON_SETTLING);
    assert_int_equal(poll(&rig, 80, 0), DAVY_REASON_SETTLING);
    assert_int_equal(poll(&rig, 71, 0), DAVY_REASON_SETTLING);
    assert_int_equal(poll(&rig, 80, 0), DAVY_REASON_NONE);
    assert_int_equal(poll(&rig, 0, 0), DAVY_REASON_SETTLING); /* it began anew */
    assert_int_equal(poll(&rig, 0, 0), DAVY_REASON_SETTLING);
    assert_int_equal(poll(&rig, 80, 0), DAVY_REASON_SETTLING); /* and is back: all over again */
    assert_int_equal(poll(&rig, 80, 0), DAVY_REASON_SETTLING);
    assert_int_equal(poll(&rig, 120, 0), DAVY_REASON_OVER_RANGE);   /* which hides nothing */
    assert_int_equal(poll(&rig, 0x7FFF, 0), DAVY_REASON_BAD_VALUE); /* no value, no jump */
    rig.block.at.mono.ns += 11 * DAVY_NS_PER_S;
    assert_int_equal(poll(&rig, 5, 0), DAVY_REASON_SETTLING);
    assert_int_equal(poll(&rig, 5, 0), DAVY_REASON_SETTLING);
    assert_int_equal(poll(&rig, 5, 0), DAVY_REASON_NONE);
    rig_done(&rig);
}

static void a_jump_is_remembered_over_a_reload(void **state)
{
    (void)state;
    struct rig rig;
    struct davy_decoder *next;
    rig_init(&rig, full_config());
    rig.device->settle = 0;
    rig.point->max_rate = 10;
    assert_int_equal(poll(&rig, 80, 0), DAVY_REASON_NONE);
    assert_int_equal(davy_decoder_renew(rig.decoder, rig.config, &next), 0);
    davy_decoder_free(rig.decoder);
    rig.decoder = next;
    assert_int_equal(poll(&rig, 0, 0), DAVY_REASON_SETTLING); /* itself, where none has to settle */
    assert_int_equal(poll(&rig, 0, 0), DAVY_REASON_NONE);
    rig_done(&rig);
}

/* Request 0 has point 0, request 1 point 1, of one device. */
static struct davy_config *two_requests(void)
{
    struct davy_config *config = plain_config(DAVY_TYPE_INT16);
    struct davy_request *requests = (struct davy_request *)config->requests;
    small_point(config, "q", 10, DAVY_TYPE_INT16);
    requests[1].points = &first_points[1];
    requests[1].point_count = 1;
    config->request_count = 2;
    config->devices[0].settle = 1;
    return config;
}

static enum davy_reason answer_of(struct rig *rig, uint32_t request, enum davy_answer answer)
{
    rig->block.request = request;
    rig->block.answer = answer;
    return poll(rig, 1, 1);
}

static void where_a_device_begins_to_be_silent_all_its_points_settle(void **state)
{
    (void)state;
    static const enum davy_answer silences[] = {DAVY_ANSWER_TIMEOUT, DAVY_ANSWER_DOWN};
    for (size_t i = 0; i < DAVY_LENGTH(silences); i++) {
        struct rig rig;
        rig_init(&rig, two_requests());
        assert_int_equal(answer_of(&rig, 0, DAVY_ANSWER_OK), DAVY_REASON_NONE);
        assert_int_equal(answer_of(&rig, 1, DAVY_ANSWER_OK), DAVY_REASON_NONE);
        assert_int_equal(answer_of(&rig, 0, silences[i]), DAVY_REASON_COMM);
        assert_int_equal(answer_of(&rig, 1, DAVY_ANSWER_OK), DAVY_REASON_SETTLING);
        assert_int_equal(answer_of(&rig, 0, silences[i]), DAVY_REASON_COMM); /* a read that it never answers */
        assert_int_equal(answer_of(&rig, 1, DAVY_ANSWER_OK), DAVY_REASON_NONE);
        assert_int_equal(answer_of(&rig, 0, DAVY_ANSWER_OK), DAVY_REASON_SETTLING);
        assert_int_equal(answer_of(&rig, 0, DAVY_ANSWER_INVALID), DAVY_REASON_COMM); /* noise */
        assert_int_equal(answer_of(&rig, 1, DAVY_ANSWER_OK), DAVY_REASON_NONE);
        rig_done(&rig);
    }
}

static void warm_up_beyond_its_time_is_a_fault_and_hides_no_over_range(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, full_config());
    rig.device->inhibit_max = davy_span_s(3);
    assert_int_equal(poll(&rig, 1, WARM_UP), DAVY_REASON_WARM_UP);
    assert_int_equal(poll(&rig, 1, CALIBRATION), DAVY_REASON_CALIBRATION);
    assert_int_equal(poll(&rig, 1, WARM_UP), DAVY_REASON_WARM_UP);
    assert_int_equal(poll(&rig, 1, WARM_UP), DAVY_REASON_DEVICE_FAULT);
    assert_int_equal(poll(&rig, 1, WARM_UP | OVER), DAVY_REASON_OVER_RANGE);
    rig.block.answer = DAVY_ANSWER_TIMEOUT; /* silence does not begin the time anew */
    poll(&rig, 1, 0);
    rig.block.answer = DAVY_ANSWER_OK;
    assert_int_equal(poll(&rig, 1, WARM_UP), DAVY_REASON_DEVICE_FAULT);
    assert_int_equal(poll(&rig, 1, 0), DAVY_REASON_NONE);
    assert_int_equal(poll(&rig, 1, WARM_UP), DAVY_REASON_WARM_UP);
    rig_done(&rig);
}

static void status_of_its_own_request_is_remembered_until_lost(void **state)
{
    (void)state;
    struct davy_config *config = full_config();
    config->request_count = 2;
    config->requests[0].count = 1;
    struct rig rig;
    rig_init(&rig, config);
    assert_int_equal(poll(&rig, 1, 0), DAVY_REASON_NO_STATUS);
    assert_int_equal(poll(&rig, 101, 0), DAVY_REASON_OVER_RANGE);
    struct davy_block status = {.generation = 1, .request = 1, .words = {FAULT}};
    assert_int_equal(davy_decode_block(rig.decoder, &status, rig.readings), 0);
    assert_int_equal(poll(&rig, 1, 0), DAVY_REASON_DEVICE_FAULT);
    status.words[0] = 0;
    davy_decode_block(rig.decoder, &status, rig.readings);
    assert_int_equal(poll(&rig, 1, 0), DAVY_REASON_NONE);
    status.answer = DAVY_ANSWER_TIMEOUT;
    davy_decode_block(rig.decoder, &status, rig.readings);
    assert_int_equal(poll(&rig, 1, 0), DAVY_REASON_NO_STATUS);
    rig_done(&rig);
}

/* Four values at 0, 2, 4 and 6, a status word at 10; the words of a block are 1000 + address. */
static void a_part_of_a_request_tells_only_of_what_lies_inside(void **state)
{
    (void)state;
    struct davy_config *config = plain_config(DAVY_TYPE_UINT32);
    for (uint16_t i = 1; i < 4; i++)
        small_point(config, "q", (uint16_t)(2 * i), DAVY_TYPE_UINT32);
    for (size_t i = 0; i < 4; i++) {
        config->points[i].status = statuses;
        config->points[i].status_count = 1;
    }
    config->requests[0].point_count = 4;
    struct rig rig;
    rig_init(&rig, config);
    rig.block = (struct davy_block){.generation = 1, .at = rig.block.at, .start = 10, .count = 1};
    assert_int_equal(davy_decode_block(rig.decoder, &rig.block, rig.readings), 0); /* status words only */
    rig.block =
        (struct davy_block){.generation = 1, .at = rig.block.at, .start = 2, .count = 5, .words = {0, 77, 0, 78}};
    assert_int_equal(davy_decode_block(rig.decoder, &rig.block, rig.readings), 2); /* the one at 6 is cut: not there */
    assert_int_equal(rig.readings[0].point, 1);
    assert_true(rig.readings[0].value == 77);
    assert_int_equal(rig.readings[0].reason, DAVY_REASON_NONE); /* the status stays known */
    assert_int_equal(rig.readings[1].point, 2);
    assert_true(rig.readings[1].value == 78);
    rig.block.answer = DAVY_ANSWER_EXCEPTION;
    assert_int_equal(davy_decode_block(rig.decoder, &rig.block, rig.readings), 2);
    assert_int_equal(rig.readings[1].reason, DAVY_REASON_EXCEPTION);
    rig.block = (struct davy_block){.generation = 1, .at = rig.block.at};
    assert_int_equal(davy_decode_block(rig.decoder, &rig.block, rig.readings), 4);
    rig_done(&rig);
}

static void a_status_with_a_value_holds_only_when_equal(void **state)
{
    (void)state;
    static const struct davy_status status = {.table = DAVY_TABLE_HOLDING,
                                              .address = 10,
                                              .mask = 0x0F,
                                              .value = 0,
                                              .has_value = true,
                                              .means = DAVY_MEANS_FAULT};
    struct davy_config *config = plain_config(DAVY_TYPE_INT16);
    config->points[0].status = &status;
    config->points[0].status_count = 1;
    struct rig rig;
    rig_init(&rig, config);
    assert_int_equal(poll(&rig, 1, 0xF0), DAVY_REASON_DEVICE_FAULT);
    assert_int_equal(poll(&rig, 1, 0xF1), DAVY_REASON_NONE);
    rig_done(&rig);
}

static void nan_infinity_and_overflow_are_not_numbers(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, plain_config(DAVY_TYPE_FLOAT32));
    static const uint16_t high_words[] = {0x7FC0, 0x7F80, 0xFF80, 0x7F81};
    for (size_t i = 0; i < DAVY_LENGTH(high_words); i++) {
        rig.block.words[0] = high_words[i];
        struct davy_reading *reading = decode(&rig);
        assert_int_equal(reading->reason, DAVY_REASON_NOT_A_NUMBER);
        assert_false(reading->has_value);
        assert_true(reading->value == 0);
    }
    rig.point->scale = 1e300;
    rig.block.words[0] = 0x7F7F;
    assert_int_equal(decode(&rig)->reason, DAVY_REASON_NOT_A_NUMBER);
    rig_done(&rig);
}

/* 5.0f with its words swapped is 2.3e-41: in any range, and near enough to 0 to hide everything. */
static void floats_too_small_for_any_sensor_are_not_numbers(void **state)
{
    (void)state;
    static const struct {
        uint16_t words[4];
        enum davy_reason of_32, of_64;
    } cases[] = {
        {{0, 0, 0, 0}, DAVY_REASON_NONE, DAVY_REASON_NONE},
        {{0x8000, 0, 0, 0}, DAVY_REASON_NONE, DAVY_REASON_NONE}, /* -0 */
        {{0, 0x40A0, 0, 0}, DAVY_REASON_NOT_A_NUMBER, DAVY_REASON_NOT_A_NUMBER},
        {{0x8000, 1, 0, 0}, DAVY_REASON_NOT_A_NUMBER, DAVY_REASON_NOT_A_NUMBER},
        {{0x007F, 0xFFFF, 0, 0}, DAVY_REASON_NOT_A_NUMBER, DAVY_REASON_NONE},
        {{0x0080, 0, 0, 0}, DAVY_REASON_NONE, DAVY_REASON_NONE},
        {{0x000F, 0xFFFF, 0xFFFF, 0xFFFF}, DAVY_REASON_NOT_A_NUMBER, DAVY_REASON_NOT_A_NUMBER},
        {{0x0010, 0, 0, 0}, DAVY_REASON_NOT_A_NUMBER, DAVY_REASON_NONE},
        {{0, 0, 0, 1}, DAVY_REASON_NONE, DAVY_REASON_NOT_A_NUMBER},
    };
    for (enum davy_type type = DAVY_TYPE_FLOAT32; type <= DAVY_TYPE_FLOAT64; type++) {
        struct rig rig;
        rig_init(&rig, plain_config(type));
        rig.device->settle = 0;
        for (size_t i = 0; i < DAVY_LENGTH(cases); i++) {
            memcpy(rig.block.words, cases[i].words, sizeof cases[i].words);
            struct davy_reading *reading = decode(&rig);
            assert_int_equal(reading->reason, type == DAVY_TYPE_FLOAT32 ? cases[i].of_32 : cases[i].of_64);
        }
        rig_done(&rig);
    }
}

static void parts_of_a_register_are_unsigned(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, plain_config(DAVY_TYPE_INT16));
    rig.point->has_mask = true;
    rig.point->mask = 0xFF00;
    rig.point->shift = 8;
    poll(&rig, 0xFE12, 0);
    assert_true(rig.readings[0].value == 254);
    rig.point->type = DAVY_TYPE_BOOL;
    rig.point->mask = 0x0010;
    rig.point->shift = 4;
    poll(&rig, 0xFFEF, 0);
    assert_true(rig.readings[0].value == 0);
    poll(&rig, 0x0010, 0);
    assert_true(rig.readings[0].value == 1);
    rig_done(&rig);
}

static void bits_are_taken_from_their_place(void **state)
{
    (void)state;
    struct davy_config *config = plain_config(DAVY_TYPE_BOOL);
    config->points[0].table = DAVY_TABLE_DISCRETE;
    config->points[0].address = 117;
    config->requests[0].table = DAVY_TABLE_DISCRETE;
    config->requests[0].start = 100;
    struct rig rig;
    rig_init(&rig, config);
    rig.block.words[1] = 1U << 1;
    assert_true(decode(&rig)->value == 1);
    rig.block.words[1] = (uint16_t) ~(1U << 1);
    assert_true(decode(&rig)->value == 0);
    rig_done(&rig);
}

static void blocks_of_another_plan_or_beyond_it_give_nothing(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, plain_config(DAVY_TYPE_INT16));
    rig.block.generation = 2;
    assert_int_equal(davy_decode_block(rig.decoder, &rig.block, rig.readings), 0);
    rig.block.generation = 1;
    rig.block.request = 1;
    assert_int_equal(davy_decode_block(rig.decoder, &rig.block, rig.readings), 0);
    rig_done(&rig);
}

static void replay_judges_range_and_keeps_what_the_poll_saw(void **state)
{
    (void)state;
    const struct davy_point point = {.has_range = true, .low = 0, .high = 100};
    static const struct {
        double value;
        enum davy_reason before, after;
    } cases[] = {
        {50, DAVY_REASON_NONE, DAVY_REASON_NONE},
        {100.5, DAVY_REASON_NONE, DAVY_REASON_OVER_RANGE},
        {100.5, DAVY_REASON_SETTLING, DAVY_REASON_OVER_RANGE},
        {-10.5, DAVY_REASON_NO_STATUS, DAVY_REASON_UNDER_RANGE},
        {-9.5, DAVY_REASON_NONE, DAVY_REASON_NONE},
        {100.5, DAVY_REASON_CALIBRATION, DAVY_REASON_CALIBRATION},
        {50, DAVY_REASON_OVER_RANGE, DAVY_REASON_OVER_RANGE},
        {50, DAVY_REASON_COMM, DAVY_REASON_COMM},
        {50, DAVY_REASON_STALE, DAVY_REASON_STALE},
        {(double)INFINITY, DAVY_REASON_NONE, DAVY_REASON_NOT_A_NUMBER},
    };
    for (size_t i = 0; i < DAVY_LENGTH(cases); i++) {
        struct davy_reading reading = {.reason = cases[i].before,
                                       .quality = davy_reason_quality(cases[i].before),
                                       .has_value = true,
                                       .value = cases[i].value};
        davy_decode_judge(&point, &reading);
        assert_int_equal(reading.reason, cases[i].after);
        assert_int_equal(reading.quality, davy_reason_quality(cases[i].after));
    }
}

/* Whatever the words: a reading is finite, and without a value it is zero and not good. */
static void no_words_ever_make_a_nan_reading(void **state)
{
    (void)state;
    struct davy_random random = {.state = davy_test_seed(2)};
    for (int i = 0; i < 20000; i++) {
        struct rig rig;
        struct davy_config *config = full_config();
        config->points[0].type = (enum davy_type)(davy_random_next(&random) % DAVY_TYPE_COUNT_);
        config->points[0].order = (enum davy_order)(davy_random_next(&random) % DAVY_ORDER_COUNT_);
        rig_init(&rig, config);
        for (size_t k = 0; k < 20; k++)
            rig.block.words[k] = (uint16_t)(davy_random_next(&random) | (i % 2 ? 0x7F80U : 0U));
        const struct davy_reading *reading = decode(&rig);
        assert_true(isfinite(reading->value));
        assert_true(reading->has_value || (reading->value == 0 && reading->quality != DAVY_QUALITY_GOOD));
        rig_done(&rig);
    }
}

/* ---- an operator's inhibit ---- */

static void begin_inhibit(struct rig *rig, int64_t seconds)
{
    struct davy_inhibit inhibit = {.by = "local:li.na", .reason = "bump test"};
    inhibit.until = rig->block.at;
    inhibit.until.mono = davy_mono_add(rig->block.at.mono, davy_span_s(seconds));
    inhibit.until.wall.ns += seconds * DAVY_NS_PER_S;
    assert_int_equal(davy_decoder_inhibit(rig->decoder, 0, &inhibit, rig->block.at.mono), 0);
}

static void pass_s(struct rig *rig, int64_t seconds)
{
    rig->block.at.mono = davy_mono_add(rig->block.at.mono, davy_span_s(seconds));
    rig->block.at.wall.ns += seconds * DAVY_NS_PER_S;
}

static void an_inhibit_holds_until_its_time_and_not_at_it(void **state)
{
    struct rig rig;
    struct davy_inhibit seen;
    rig_init(&rig, plain_config(DAVY_TYPE_UINT16));
    begin_inhibit(&rig, 60);
    assert_int_equal(decode(&rig)->reason, DAVY_REASON_CALIBRATION);
    assert_int_equal(rig.readings[0].quality, DAVY_QUALITY_UNCERTAIN);
    assert_true(rig.readings[0].has_value);
    pass_s(&rig, 59);
    assert_int_equal(decode(&rig)->reason, DAVY_REASON_CALIBRATION);
    assert_true(davy_decoder_inhibited(rig.decoder, 0, rig.block.at.mono, &seen));
    assert_string_equal(seen.by, "local:li.na");
    assert_string_equal(seen.reason, "bump test");
    pass_s(&rig, 1);
    assert_int_equal(decode(&rig)->reason, DAVY_REASON_NONE);
    assert_false(davy_decoder_inhibited(rig.decoder, 0, rig.block.at.mono, &seen));
    rig_done(&rig);
    (void)state;
}

/* Contract, section 1: no reply, inhibit, calibration, warm-up, over-range status, fault status, not a number ... */
static void an_inhibit_stands_behind_no_reply_and_before_all_else(void **state)
{
    struct rig rig;
    rig_init(&rig, full_config());
    rig.device->inhibit_max = davy_span_s(10); /* of status bits: not of an operator */
    begin_inhibit(&rig, 600);
    for (unsigned bits = 0; bits < 32; bits++) {
        rig.block.words[10] = (uint16_t)bits;
        rig.block.words[0] = bits & 1U ? 0x7FFF : 9999;
        assert_int_equal(decode(&rig)->reason, DAVY_REASON_CALIBRATION);
        pass_s(&rig, 10);
    }
    rig.block.answer = DAVY_ANSWER_TIMEOUT;
    assert_int_equal(decode(&rig)->reason, DAVY_REASON_COMM);
    rig_done(&rig);
    (void)state;
}

static void test_gas_under_an_inhibit_latches_no_over_range(void **state)
{
    struct rig rig;
    struct davy_config *config = plain_config(DAVY_TYPE_UINT16);
    config->points[0].has_range = true;
    config->points[0].high = 100;
    config->points[0].over_range_latch = true;
    rig_init(&rig, config);
    begin_inhibit(&rig, 60);
    rig.block.words[0] = 500;
    decode(&rig);
    pass_s(&rig, 60);
    rig.block.words[0] = 5;
    assert_int_equal(decode(&rig)->reason, DAVY_REASON_NONE);
    rig_done(&rig);
    (void)state;
}

static void an_inhibit_is_refused_without_reason_or_beyond_eight_hours(void **state)
{
    struct rig rig;
    rig_init(&rig, plain_config(DAVY_TYPE_UINT16));
    davy_mono now = rig.block.at.mono;
    struct davy_inhibit inhibit = {.until = {davy_mono_add(now, davy_span_s(8 * 3600)), {1}}, .reason = "x"};
    assert_int_equal(davy_decoder_inhibit(rig.decoder, 1, &inhibit, now), -ENOENT);
    assert_int_equal(davy_decoder_inhibit(rig.decoder, 0, &inhibit, now), 0);
    inhibit.until.mono.ns++;
    assert_int_equal(davy_decoder_inhibit(rig.decoder, 0, &inhibit, now), -EINVAL);
    inhibit.until.mono = now;
    assert_int_equal(davy_decoder_inhibit(rig.decoder, 0, &inhibit, now), -EINVAL);
    inhibit.until.mono.ns += DAVY_NS_PER_S;
    inhibit.reason[0] = '\0';
    assert_int_equal(davy_decoder_inhibit(rig.decoder, 0, &inhibit, now), -EINVAL);
    assert_int_equal(davy_decoder_uninhibit(rig.decoder, 0, now), 0);
    assert_int_equal(davy_decoder_uninhibit(rig.decoder, 0, now), -ENOENT);
    assert_int_equal(davy_decoder_uninhibit(rig.decoder, 1, now), -ENOENT);
    assert_int_equal(decode(&rig)->reason, DAVY_REASON_NONE);
    rig_done(&rig);
    (void)state;
}

static void an_inhibit_is_told_once_and_again_when_it_ends(void **state)
{
    struct rig rig;
    struct davy_alarm_memory memory;
    rig_init(&rig, plain_config(DAVY_TYPE_UINT16));
    assert_false(davy_decoder_tell_device(rig.decoder, 0, rig.block.at.mono, &memory));
    begin_inhibit(&rig, 60);
    assert_true(davy_decoder_tell_device(rig.decoder, 0, rig.block.at.mono, &memory));
    assert_string_equal(memory.key, "~D");
    assert_int_equal(memory.shelved_until.mono.ns, rig.block.at.mono.ns + 60 * DAVY_NS_PER_S);
    assert_string_equal(memory.note, "bump test");
    pass_s(&rig, 59);
    assert_false(davy_decoder_tell_device(rig.decoder, 0, rig.block.at.mono, &memory));
    pass_s(&rig, 1);
    assert_true(davy_decoder_tell_device(rig.decoder, 0, rig.block.at.mono, &memory));
    assert_int_equal(memory.shelved_until.mono.ns, 0);
    assert_false(davy_decoder_tell_device(rig.decoder, 0, rig.block.at.mono, &memory));
    davy_decoder_untold_device(rig.decoder, 0); /* the ledger still has the old one */
    assert_true(davy_decoder_tell_device(rig.decoder, 0, rig.block.at.mono, &memory));
    assert_false(davy_decoder_tell_device(rig.decoder, 0, rig.block.at.mono, &memory));
    davy_decoder_untold(rig.decoder, 0);
    assert_true(davy_decoder_tell(rig.decoder, 0, false, &memory));
    assert_false(davy_decoder_tell(rig.decoder, 0, false, &memory));
    begin_inhibit(&rig, 60);
    assert_true(davy_decoder_tell_device(rig.decoder, 0, rig.block.at.mono, &memory));
    davy_decoder_tell_again(rig.decoder); /* the ledger is new: what is not at rest */
    assert_true(davy_decoder_tell_device(rig.decoder, 0, rig.block.at.mono, &memory));
    assert_false(davy_decoder_tell(rig.decoder, 0, false, &memory));
    rig_done(&rig);
    (void)state;
}

static void an_inhibit_goes_over_a_reload_and_a_restart(void **state)
{
    struct rig rig;
    struct davy_decoder *renewed, *restarted;
    struct davy_alarm_memory memory, again;
    rig_init(&rig, plain_config(DAVY_TYPE_UINT16));
    begin_inhibit(&rig, 60);
    assert_true(davy_decoder_tell_device(rig.decoder, 0, rig.block.at.mono, &memory));
    assert_int_equal(davy_decoder_renew(rig.decoder, rig.config, &renewed), 0);
    assert_int_equal(davy_decoder_new(rig.config, &restarted), 0);
    assert_true(davy_decoder_recall(restarted, &memory));
    struct davy_decoder *const after[] = {renewed, restarted};
    for (size_t i = 0; i < DAVY_LENGTH(after); i++) {
        assert_false(davy_decoder_tell_device(after[i], 0, rig.block.at.mono, &again));
        assert_int_equal(davy_decode_block(after[i], &rig.block, rig.readings), 1);
        assert_int_equal(rig.readings[0].reason, DAVY_REASON_CALIBRATION);
        davy_decoder_free(after[i]);
    }
    memcpy(memory.key, "~gone", sizeof "~gone");
    assert_false(davy_decoder_recall(rig.decoder, &memory));
    rig_done(&rig);
    (void)state;
}

static void note_gone(void *context, const struct davy_alarm_memory *memory)
{
    strcat(context, memory->key);
    assert_int_equal(memory->shelved_until.mono.ns, 0);
}

/* What was kept of a device that a reload takes away must not come back with it. */
static void of_what_is_gone_nothing_is_kept(void **state)
{
    struct rig rig;
    struct davy_alarm_memory memory;
    char gone[256] = "";
    struct davy_config *nothing = davy_config_new();
    rig_init(&rig, plain_config(DAVY_TYPE_UINT16));
    davy_decoder_tell_gone(rig.decoder, nothing, note_gone, gone);
    assert_string_equal(gone, "");
    rig.device->settle = 2;
    begin_inhibit(&rig, 60);
    davy_decoder_stale(rig.decoder, 0);
    assert_true(davy_decoder_tell_device(rig.decoder, 0, rig.block.at.mono, &memory));
    assert_true(davy_decoder_tell(rig.decoder, 0, true, &memory));
    davy_decoder_tell_gone(rig.decoder, rig.config, note_gone, gone);
    assert_string_equal(gone, "");
    davy_decoder_tell_gone(rig.decoder, nothing, note_gone, gone);
    assert_non_null(strchr(gone, '~'));
    assert_non_null(strchr(gone, '='));
    davy_config_unref(nothing);
    rig_done(&rig);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_value_is_scaled_and_stamped),
        cmocka_unit_test(failed_polls_are_readings_without_value),
        cmocka_unit_test(the_first_reason_of_the_list_wins),
        cmocka_unit_test(over_range_keeps_the_value_it_measured),
        cmocka_unit_test(a_latched_over_range_stays_until_reset),
        cmocka_unit_test(a_status_word_is_not_that_of_another_unit_or_bus),
        cmocka_unit_test(only_the_first_readings_after_a_bad_one_settle),
        cmocka_unit_test(readings_behind_a_silence_settle_like_those_behind_a_bad_one),
        cmocka_unit_test(a_change_faster_than_possible_settles_up_and_down),
        cmocka_unit_test(a_jump_is_remembered_over_a_reload),
        cmocka_unit_test(where_a_device_begins_to_be_silent_all_its_points_settle),
        cmocka_unit_test(warm_up_beyond_its_time_is_a_fault_and_hides_no_over_range),
        cmocka_unit_test(status_of_its_own_request_is_remembered_until_lost),
        cmocka_unit_test(a_part_of_a_request_tells_only_of_what_lies_inside),
        cmocka_unit_test(a_status_with_a_value_holds_only_when_equal),
        cmocka_unit_test(nan_infinity_and_overflow_are_not_numbers),
        cmocka_unit_test(floats_too_small_for_any_sensor_are_not_numbers),
        cmocka_unit_test(parts_of_a_register_are_unsigned),
        cmocka_unit_test(bits_are_taken_from_their_place),
        cmocka_unit_test(blocks_of_another_plan_or_beyond_it_give_nothing),
        cmocka_unit_test(replay_judges_range_and_keeps_what_the_poll_saw),
        cmocka_unit_test(no_words_ever_make_a_nan_reading),
        cmocka_unit_test(an_inhibit_holds_until_its_time_and_not_at_it),
        cmocka_unit_test(an_inhibit_stands_behind_no_reply_and_before_all_else),
        cmocka_unit_test(test_gas_under_an_inhibit_latches_no_over_range),
        cmocka_unit_test(an_inhibit_is_refused_without_reason_or_beyond_eight_hours),
        cmocka_unit_test(an_inhibit_is_told_once_and_again_when_it_ends),
        cmocka_unit_test(an_inhibit_goes_over_a_reload_and_a_restart),
        cmocka_unit_test(of_what_is_gone_nothing_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
