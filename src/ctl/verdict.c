/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/verdict.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/num.h"
#include "ctl/ctl.h"
#include "ctl/guess.h"
#include "decode/decode.h"
#include "decode/registers.h"

/* As decode/ judges it: further below the range is a fault. */
#define UNDER_RANGE_SHARE 0.1

/* What a fitting point says for a profile, and what all must outweigh. */
#define WEIGHT_FLOAT   1.0
#define WEIGHT_RANGED  0.5
#define WEIGHT_WHOLE   0.25
#define WEIGHT_STATUS  0.25
#define WEIGHT_STATE   0.1
#define WEIGHT_NOTHING 0.5

const char *davy_verdict_name(enum verdict verdict)
{
    static const char *const names[] = {
        [VERDICT_RIGHT] = "looks right", [VERDICT_ZERO] = "zero",     [VERDICT_DOUBTFUL] = "doubtful",
        [VERDICT_REFUSED] = "refused",   [VERDICT_SILENT] = "silent",
    };
    _Static_assert(DAVY_LENGTH(names) == VERDICT_COUNT_, "a name for each verdict");
    return names[verdict];
}

static bool is_bits(enum davy_table table)
{
    return table == DAVY_TABLE_COIL || table == DAVY_TABLE_DISCRETE;
}

static bool is_float(enum davy_type type)
{
    return type == DAVY_TYPE_FLOAT32 || type == DAVY_TYPE_FLOAT64;
}

unsigned davy_verdict_width(const struct davy_point *point)
{
    return is_bits(point->table) ? 1 : davy_type_registers(point->type);
}

bool davy_verdict_holds(const struct davy_status *status, const struct word_map *map)
{
    const unsigned part = map->value[status->table][status->address] & status->mask;
    return map->state[status->table][status->address] == WORD_KNOWN &&
           (status->has_value ? part == status->value : part != 0);
}

/* ---- values ---- */

static bool is_known(const struct word_map *map, enum davy_table table, long address, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (address < 0 || address + i >= REGISTERS || map->state[table][address + i] != WORD_KNOWN)
            return false;
    return true;
}

/* One way to read a point: as configured, or another. */
struct way {
    long address;
    enum davy_type type;
    enum davy_order order;
};

/* Its value in that way; false where the registers are not known. *ret_raw is before scaling. */
static bool value_in(const struct davy_point *point, const struct way *way, const struct word_map *map, double *ret_raw,
                     double *ret_value)
{
    if (!is_known(map, point->table, way->address, davy_type_registers(way->type)))
        return false;
    const uint64_t raw = davy_registers_raw(&map->value[point->table][way->address], way->type, way->order);
    *ret_raw = davy_registers_number(raw, way->type);
    *ret_value = (point->divisor != 0 ? *ret_raw / point->divisor : *ret_raw * point->scale) + point->offset;
    return true;
}

static bool is_in_range(const struct davy_point *point, double value)
{
    return value >= point->low - UNDER_RANGE_SHARE * (point->high - point->low) && value <= point->high;
}

/* Like a measurement of this point: floats by their size, whole numbers only by the range. Zero says nothing. */
static bool fits(const struct davy_point *point, const struct way *way, const struct word_map *map, double *ret_value)
{
    double raw;
    if (!value_in(point, way, map, &raw, ret_value) || !isfinite(*ret_value) || raw == 0)
        return false;
    if (is_float(way->type) ? davy_guess_doubt(way->type, raw) != 0 : !point->has_range)
        return false;
    return !point->has_range || is_in_range(point, *ret_value);
}

/* ---- hints ---- */

static void put_way(struct davy_buf *buf, const struct davy_point *point, const struct way *way, double value)
{
    char text[DAVY_NUM_TEXT];
    davy_buf_text(buf, buf->length ? ", or " : "");
    if (way->address != point->address)
        davy_buf_printf(buf, "register = %ld ", way->address);
    if (way->type != point->type)
        davy_buf_printf(buf, "type = \"%s\" ", davy_type_name(way->type));
    if (way->order != point->order)
        davy_buf_printf(buf, "order = \"%s\" ", davy_order_name(way->order));
    davy_buf_printf(buf, "gives %s %s", davy_ctl_number(value, text), point->unit);
}

/* Add it where it would look right. */
static bool try_way(struct davy_buf *buf, const struct davy_point *point, const struct word_map *map, struct way way)
{
    double value;
    const bool own = way.address == point->address && way.type == point->type && way.order == point->order;
    if (own || !fits(point, &way, map, &value))
        return false;
    put_way(buf, point, &way, value);
    return true;
}

/* Another order, else one register beside, which of floats can look the same; else another type. */
static void hint_at(const struct davy_point *point, const struct word_map *map, struct judgement *judgement)
{
    static const struct way others[] = {{0, DAVY_TYPE_FLOAT32, DAVY_ORDER_ABCD},
                                        {0, DAVY_TYPE_FLOAT32, DAVY_ORDER_CDAB},
                                        {0, DAVY_TYPE_INT16, DAVY_ORDER_ABCD},
                                        {0, DAVY_TYPE_UINT16, DAVY_ORDER_ABCD}};
    struct davy_buf buf;
    bool found = false;
    davy_buf_init(&buf, judgement->hint, sizeof judgement->hint);
    if (is_bits(point->table) || point->has_mask || point->type == DAVY_TYPE_BOOL)
        return;
    const struct way own = {point->address, point->type, point->order};
    for (int order = 0; order < DAVY_ORDER_COUNT_ && davy_type_registers(point->type) > 1 && !found; order++)
        found = try_way(&buf, point, map, (struct way){own.address, own.type, (enum davy_order)order});
    for (long beside = -1; beside <= 1; beside += 2)
        found = try_way(&buf, point, map, (struct way){own.address + beside, own.type, own.order}) || found;
    for (size_t i = 0; i < DAVY_LENGTH(others) && !found; i++)
        found = try_way(&buf, point, map, (struct way){own.address, others[i].type, others[i].order});
}

/* ---- points ---- */

static bool is_zero(const struct davy_point *point, const struct word_map *map)
{
    for (unsigned i = 0; i < davy_verdict_width(point); i++)
        if (map->value[point->table][point->address + i] != 0)
            return false;
    return true;
}

static void DAVY_PRINTF(3, 4) say(struct judgement *judgement, enum verdict verdict, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(judgement->why, sizeof judgement->why, format, arguments);
    va_end(arguments);
    judgement->verdict = verdict;
}

/* Where not all of its registers are there. */
static bool is_missing(const struct davy_point *point, const struct word_map *map, struct judgement *judgement)
{
    for (unsigned i = 0; i < davy_verdict_width(point); i++) {
        const unsigned address = (unsigned)point->address + i;
        if (address >= REGISTERS || map->state[point->table][address] == WORD_KNOWN)
            continue;
        if (map->state[point->table][address] == WORD_REFUSED)
            say(judgement, VERDICT_REFUSED, "exception %u for %s %u", map->exception[point->table][address],
                davy_table_name(point->table), address);
        else
            say(judgement, VERDICT_SILENT, "no reply for %s %u", davy_table_name(point->table), address);
        return true;
    }
    return false;
}

static void judge_value(const struct davy_point *point, const struct word_map *map, struct judgement *judgement)
{
    const struct way own = {point->address, point->type, point->order};
    double raw = 0, value = 0;
    char text[DAVY_NUM_TEXT], low[DAVY_NUM_TEXT], high[DAVY_NUM_TEXT];
    const bool number = !is_bits(point->table) && !point->has_mask && value_in(point, &own, map, &raw, &value);
    if (number && !isfinite(value))
        say(judgement, VERDICT_DOUBTFUL, "not a number");
    else if (judgement->reading.reason == DAVY_REASON_BAD_VALUE)
        say(judgement, VERDICT_DOUBTFUL, "a value by which the device says that it has none");
    else if (number && is_float(point->type) && davy_guess_doubt(point->type, raw) > GUESS_ZERO)
        say(judgement, VERDICT_DOUBTFUL, "%s is no measurement", davy_ctl_number(raw, text));
    else if (number && point->has_range && !is_in_range(point, value))
        say(judgement, VERDICT_DOUBTFUL, "%s is out of the range %s to %s", davy_ctl_number(value, text),
            davy_ctl_number(point->low, low), davy_ctl_number(point->high, high));
    else if (number && point->type != DAVY_TYPE_BOOL && is_zero(point, map))
        say(judgement, VERDICT_ZERO, "zero: only test gas or a running machine proves it");
    else
        judgement->verdict = VERDICT_RIGHT;
}

static void judge(const struct davy_point *point, const struct word_map *map, struct judgement *judgement)
{
    judgement->why[0] = judgement->hint[0] = '\0';
    if (!is_missing(point, map, judgement))
        judge_value(point, map, judgement);
    if (judgement->verdict == VERDICT_DOUBTFUL || judgement->verdict == VERDICT_REFUSED)
        hint_at(point, map, judgement);
}

/* ---- the decoder's view ---- */

/* What is not known is 0 there; the points that it is of are judged without the reading. */
static void fill_block(const struct davy_config *config, uint32_t index, const struct word_map *map,
                       struct davy_block *block)
{
    const struct davy_request *request = &config->requests[index];
    *block = (struct davy_block){
        .generation = config->generation, .request = index, .answer = DAVY_ANSWER_OK, .at.mono.ns = DAVY_NS_PER_S};
    for (unsigned i = 0; i < request->count && (unsigned)request->start + i < REGISTERS; i++) {
        const uint16_t word = map->value[request->table][request->start + i];
        if (is_bits(request->table))
            block->words[i / 16] |= (uint16_t)((word & 1U) << (i % 16));
        else
            block->words[i] = word;
    }
}

/* Two rounds, so that each point knows its status words. */
static int decode(const struct davy_config *config, uint32_t device, const struct word_map *map,
                  struct judgement *judgements)
{
    struct davy_decoder *decoder;
    struct davy_reading *readings = calloc(DAVY_DECODE_MAX, sizeof *readings);
    int rc = readings ? davy_decoder_new(config, &decoder) : -ENOMEM;
    const uint32_t first = config->devices[device].first_point;
    for (size_t i = 0; rc == 0 && i < 2 * config->request_count; i++) {
        const uint32_t index = (uint32_t)(i % config->request_count);
        struct davy_block block;
        if (config->requests[index].device != device)
            continue;
        fill_block(config, index, map, &block);
        const size_t count = davy_decode_block(decoder, &block, readings);
        for (size_t r = 0; r < count; r++)
            judgements[readings[r].point - first].reading = readings[r];
    }
    if (rc == 0)
        davy_decoder_free(decoder);
    free(readings);
    return rc;
}

static bool has_status(const struct davy_status *statuses, size_t count, const struct word_map *map)
{
    for (size_t i = 0; i < count; i++)
        if (map->state[statuses[i].table][statuses[i].address] != WORD_KNOWN)
            return false;
    return true;
}

/* As the daemon would have it, where registers were refused or silent. */
static void spoil(const struct davy_device *device, const struct davy_point *point, const struct word_map *map,
                  struct judgement *judgement)
{
    struct davy_reading *reading = &judgement->reading;
    const bool missing = judgement->verdict == VERDICT_REFUSED || judgement->verdict == VERDICT_SILENT;
    if (missing) {
        reading->reason = judgement->verdict == VERDICT_REFUSED ? DAVY_REASON_EXCEPTION : DAVY_REASON_COMM;
        reading->has_value = false;
        reading->value = 0;
    } else if (reading->reason == DAVY_REASON_NONE && (!has_status(device->status, device->status_count, map) ||
                                                       !has_status(point->status, point->status_count, map))) {
        reading->reason = DAVY_REASON_NO_STATUS;
    }
    reading->quality = davy_reason_quality(reading->reason);
}

int davy_verdict_points(const struct davy_config *config, uint32_t device, const struct word_map *map,
                        struct judgement *ret_judgements)
{
    const struct davy_device *owner = &config->devices[device];
    memset(ret_judgements, 0, owner->point_count * sizeof *ret_judgements);
    const int rc = decode(config, device, map, ret_judgements);
    for (uint32_t i = 0; rc == 0 && i < owner->point_count; i++) {
        const struct davy_point *point = &config->points[owner->first_point + i];
        judge(point, map, &ret_judgements[i]);
        spoil(owner, point, map, &ret_judgements[i]);
    }
    return rc;
}

/* ---- the whole ---- */

bool davy_verdict_all_zero(const struct davy_config *config, uint32_t device, const struct word_map *map)
{
    size_t known = 0;
    for (size_t i = 0; i < config->request_count; i++) {
        const struct davy_request *request = &config->requests[i];
        for (unsigned n = 0; request->device == device && n < request->count; n++) {
            known += is_known(map, request->table, (long)request->start + n, 1);
            if (is_known(map, request->table, (long)request->start + n, 1) &&
                map->value[request->table][request->start + n] != 0)
                return false;
        }
    }
    return known > 0;
}

struct weight {
    double fits, all;
};

/* fit   0: speaks against it, 1: for it. Zeros are in every device: they count little, either way. */
static void weigh(struct weight *weight, double most, bool zero, double fit)
{
    const double part = zero ? most / 4 : most;
    weight->all += part;
    weight->fits += part * (zero ? fit / 2 : fit);
}

static void weigh_point(const struct davy_point *point, const struct word_map *map, enum verdict verdict,
                        struct weight *weight)
{
    const bool number = !is_bits(point->table) && !point->has_mask && point->type != DAVY_TYPE_BOOL;
    const double most = !number                 ? WEIGHT_STATE
                        : is_float(point->type) ? WEIGHT_FLOAT
                        : point->has_range      ? WEIGHT_RANGED
                                                : WEIGHT_WHOLE;
    const bool answered = verdict != VERDICT_REFUSED && verdict != VERDICT_SILENT;
    weigh(weight, most, answered && is_zero(point, map), verdict <= VERDICT_ZERO ? 1 : 0);
}

/* Several rows look at one word: it counts once, where the first of them stands. */
static bool is_first(const struct davy_status *statuses, size_t i)
{
    for (size_t j = 0; j < i; j++)
        if (statuses[j].table == statuses[i].table && statuses[j].address == statuses[i].address)
            return false;
    return true;
}

/*
 * What is left of a status word's weight: nothing where it is refused or tells a fault, half where it tells anything.
 */
static double status_fit(const struct davy_status *statuses, size_t count, const struct davy_status *word,
                         const struct word_map *map)
{
    double fit = map->state[word->table][word->address] == WORD_KNOWN ? 1 : 0;
    for (size_t i = 0; i < count; i++) {
        const struct davy_status *row = &statuses[i];
        if (row->table != word->table || row->address != word->address || !davy_verdict_holds(row, map))
            continue;
        fit = row->means == DAVY_MEANS_FAULT || fit == 0 ? 0 : 0.5;
    }
    return fit;
}

/* Returns whether one tells a fault. */
static bool weigh_status(const struct davy_status *statuses, size_t count, const struct word_map *map,
                         struct weight *weight)
{
    bool fault = false;
    for (size_t i = 0; i < count; i++) {
        fault = fault || (statuses[i].means == DAVY_MEANS_FAULT && davy_verdict_holds(&statuses[i], map));
        if (!is_first(statuses, i))
            continue;
        const bool known = map->state[statuses[i].table][statuses[i].address] == WORD_KNOWN;
        const bool zero = known && map->value[statuses[i].table][statuses[i].address] == 0;
        weigh(weight, WEIGHT_STATUS, zero, status_fit(statuses, count, &statuses[i], map));
    }
    return fault;
}

double davy_verdict_score(const struct davy_config *config, uint32_t device, const struct word_map *map,
                          const struct judgement *judgements)
{
    const struct davy_device *owner = &config->devices[device];
    struct weight weight = {0, WEIGHT_NOTHING};
    const bool fault = weigh_status(owner->status, owner->status_count, map, &weight);
    for (uint32_t i = 0; i < owner->point_count; i++) {
        const struct davy_point *point = &config->points[owner->first_point + i];
        weigh_point(point, map, judgements[i].verdict, &weight);
        (void)weigh_status(point->status, point->status_count, map, &weight);
    }
    return weight.fits / weight.all * (fault ? 0.5 : 1);
}
