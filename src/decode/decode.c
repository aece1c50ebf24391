/* SPDX-License-Identifier: Apache-2.0 */
#include "decode/decode.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "decode/registers.h"
#include "decode/internal.h"

/* More than this part of the span below the range is a fault (ARCHITECTURE.md, Readings and quality). */
#define UNDER_RANGE_SHARE 0.1

/* What is known of one value before it is judged. */
struct evidence {
    unsigned means; /* bit set of enum davy_means that hold */
    bool no_status;
    bool inhibit_over; /* warm-up or calibration last too long */
    bool by_operator;  /* an operator inhibits the device */
    bool finite;
    bool bad_value;
    bool latched;
    bool settling;
    bool jumped;
    double value;
};

/* ---- construction ---- */

static size_t find_word(struct davy_decoder *decoder, uint32_t device, const struct davy_status *status)
{
    for (size_t i = decoder->word_count; i-- > 0 && decoder->words[i].device == device;) {
        const struct word *word = &decoder->words[i];
        if (word->table == status->table && word->address == status->address)
            return i;
    }
    decoder->words[decoder->word_count] =
        (struct word){.device = device, .table = status->table, .address = status->address};
    return decoder->word_count++;
}

static void add_links(struct davy_decoder *decoder, uint32_t device, const struct davy_status *statuses, size_t count)
{
    for (size_t i = 0; i < count; i++)
        decoder->links[decoder->link_count++] =
            (struct link){.status = &statuses[i], .word = find_word(decoder, device, &statuses[i])};
}

static size_t count_links(const struct davy_config *config)
{
    size_t count = 0;
    for (size_t i = 0; i < config->point_count; i++)
        count += config->points[i].status_count + config->devices[config->points[i].device].status_count;
    return count;
}

static void fill(struct davy_decoder *decoder)
{
    const struct davy_config *config = decoder->config;
    for (size_t i = 0; i < config->point_count; i++) {
        const struct davy_point *point = &config->points[i];
        const struct davy_device *device = &config->devices[point->device];
        struct memory *memory = &decoder->points[i];
        memory->first_link = decoder->link_count;
        add_links(decoder, point->device, device->status, device->status_count);
        add_links(decoder, point->device, point->status, point->status_count);
        memory->link_count = decoder->link_count - memory->first_link;
    }
}

int davy_decoder_new(const struct davy_config *config, struct davy_decoder **ret_decoder)
{
    struct davy_decoder *decoder = calloc(1, sizeof *decoder);
    if (!decoder)
        return -ENOMEM;
    size_t links = count_links(config);
    decoder->config = davy_config_ref(config);
    decoder->words = calloc(links + 1, sizeof *decoder->words);
    decoder->links = calloc(links + 1, sizeof *decoder->links);
    decoder->points = calloc(config->point_count + 1, sizeof *decoder->points);
    decoder->silent = calloc(config->request_count + 1, sizeof *decoder->silent);
    decoder->inhibits = calloc(config->device_count + 1, sizeof *decoder->inhibits);
    if (!decoder->words || !decoder->links || !decoder->points || !decoder->silent || !decoder->inhibits) {
        davy_decoder_free(decoder);
        return -ENOMEM;
    }
    fill(decoder);
    *ret_decoder = decoder;
    return 0;
}

static void keep_point(const struct memory *old, struct memory *memory)
{
    memory->settling = old->settling;
    memory->latched = old->latched;
    memory->told_latched = old->told_latched;
    memory->told_settling = old->told_settling;
    memory->untold = old->untold;
    memory->inhibited = old->inhibited;
    memory->inhibited_since = old->inhibited_since;
    memory->has_last = old->has_last;
    memory->last = old->last;
    memory->last_at = old->last_at;
}

/* `device` is the index in the old configuration. */
static void keep_word(const struct davy_decoder *old, uint32_t device, struct word *word)
{
    for (size_t i = 0; i < old->word_count; i++) {
        const struct word *known = &old->words[i];
        if (known->device != device || known->table != word->table || known->address != word->address)
            continue;
        word->known = known->known;
        word->raw = known->raw;
    }
}

static bool same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

/* The same unit number on the same line: else a status word that was read is that of another device. */
static bool is_same_unit(const struct davy_config *a, uint32_t first, const struct davy_config *b, uint32_t second)
{
    const struct davy_bus *before = &a->buses[a->devices[first].bus], *after = &b->buses[b->devices[second].bus];
    return a->devices[first].unit == b->devices[second].unit && same_text(before->name, after->name) &&
           same_text(before->device, after->device) && same_text(before->host, after->host) &&
           before->port == after->port;
}

static void keep_words(const struct davy_decoder *old, struct davy_decoder *decoder)
{
    for (size_t i = 0; i < decoder->word_count; i++) {
        struct word *word = &decoder->words[i];
        uint32_t before = davy_config_find_device(old->config, decoder->config->devices[word->device].id);
        if (before != DAVY_NONE && is_same_unit(old->config, before, decoder->config, word->device))
            keep_word(old, before, word);
    }
}

int davy_decoder_renew(const struct davy_decoder *old, const struct davy_config *config,
                       struct davy_decoder **ret_decoder)
{
    struct davy_decoder *decoder;
    int rc = davy_decoder_new(config, &decoder);
    if (rc < 0)
        return rc;
    for (uint32_t i = 0; old && i < config->point_count; i++) {
        char name[DAVY_KEY_SIZE];
        uint32_t index = davy_config_find_point(old->config, davy_config_point_name(config, i, name));
        if (index != DAVY_NONE)
            keep_point(&old->points[index], &decoder->points[i]);
    }
    if (old) {
        keep_words(old, decoder);
        inhibits_keep(old, decoder);
    }
    *ret_decoder = decoder;
    return 0;
}

struct davy_decoder *davy_decoder_free(struct davy_decoder *decoder)
{
    if (!decoder)
        return NULL;
    davy_config_unref(decoder->config);
    free(decoder->words);
    free(decoder->links);
    free(decoder->points);
    free(decoder->silent);
    free(decoder->inhibits);
    free(decoder);
    return NULL;
}

/* ---- values in a block ---- */

static bool is_bits(enum davy_table table)
{
    return table == DAVY_TABLE_COIL || table == DAVY_TABLE_DISCRETE;
}

/* The registers or bits that a block speaks of: its request, or a part of it. */
struct area {
    enum davy_table table;
    uint16_t start;
    uint16_t count;
};

static struct area area_of(const struct davy_request *request, const struct davy_block *block)
{
    bool part = block->count > 0;
    return (struct area){.table = request->table,
                         .start = part ? block->start : request->start,
                         .count = part ? block->count : request->count};
}

/* True when `count` registers or bits from `address` lie inside the area and the block's words; their place in it. */
static bool locate(const struct area *area, enum davy_table table, uint16_t address, unsigned count, size_t *ret_place)
{
    size_t room = is_bits(table) ? DAVY_BLOCK_WORDS * 16 : DAVY_BLOCK_WORDS;
    size_t end = area->count < room ? area->count : room;
    if (table != area->table || address < area->start)
        return false;
    size_t place = (size_t)address - area->start;
    if (place + count > end)
        return false;
    *ret_place = place;
    return true;
}

static unsigned width_of(const struct davy_point *point)
{
    return is_bits(point->table) ? 1 : davy_type_registers(point->type);
}

static uint16_t word_at(const struct davy_block *block, enum davy_table table, size_t place)
{
    if (is_bits(table))
        return block->words[place / 16] >> (place % 16) & 1U;
    return block->words[place];
}

/* First word of a device that has some; word_count where it has none. Words are in order of devices. */
static size_t first_word(const struct davy_decoder *decoder, uint32_t device)
{
    size_t low = 0, high = decoder->word_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (decoder->words[middle].device < device)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Status words that the block speaks of: known anew, or lost with it. */
static void learn_status(struct davy_decoder *decoder, const struct davy_request *request,
                         const struct davy_block *block)
{
    const struct area area = area_of(request, block);
    size_t count = decoder->word_count;
    for (size_t i = first_word(decoder, request->device); i < count; i++) {
        struct word *word = &decoder->words[i];
        size_t place;
        if (word->device != request->device)
            break;
        if (!locate(&area, word->table, word->address, 1, &place))
            continue;
        word->known = block->answer == DAVY_ANSWER_OK;
        if (word->known)
            word->raw = word_at(block, word->table, place);
    }
}

static double scaled(const struct davy_point *point, double number)
{
    number = point->divisor != 0 ? number / point->divisor : number * point->scale;
    return number + point->offset;
}

static bool is_bad_value(const struct davy_point *point, uint64_t raw)
{
    for (size_t i = 0; i < point->bad_value_count; i++)
        if (point->bad_values[i] == raw)
            return true;
    return false;
}

static double number_of(const struct davy_point *point, uint64_t raw)
{
    if (!point->has_mask)
        return davy_registers_number(raw, point->type);
    uint64_t part = point->shift < 64 ? (raw & point->mask) >> point->shift : 0;
    return point->type == DAVY_TYPE_BOOL ? (part != 0 ? 1.0 : 0.0) : (double)part;
}

/*
 * Bits of a float that no sensor sends: smaller than the smallest normal number, but not 0. That is what a number looks
 * like whose words or bytes are in another order than configured, or an integer that is read as a float; as a value it
 * would pass for 0, and for all is well.
 */
static bool is_subnormal(uint64_t raw, enum davy_type type)
{
    uint64_t magnitude = type == DAVY_TYPE_FLOAT32 ? raw & INT32_MAX : raw & INT64_MAX;
    uint64_t smallest = type == DAVY_TYPE_FLOAT32 ? 0x00800000 : 0x0010000000000000;
    bool is_float = type == DAVY_TYPE_FLOAT32 || type == DAVY_TYPE_FLOAT64;
    return is_float && magnitude != 0 && magnitude < smallest;
}

static void read_value(const struct davy_point *point, const struct davy_block *block, size_t place,
                       struct evidence *evidence)
{
    uint64_t raw = is_bits(point->table) ? word_at(block, point->table, place)
                                         : davy_registers_raw(block->words + place, point->type, point->order);
    evidence->bad_value = is_bad_value(point, raw);
    evidence->value = scaled(point, number_of(point, raw));
    evidence->finite = isfinite(evidence->value) && (point->has_mask || !is_subnormal(raw, point->type));
}

/* ---- judgement ---- */

static bool holds(const struct davy_status *status, uint16_t raw)
{
    unsigned part = raw & status->mask;
    return status->has_value ? part == status->value : part != 0;
}

static bool means(const struct evidence *evidence, enum davy_means what)
{
    return (evidence->means >> what & 1U) != 0;
}

static void read_status(const struct davy_decoder *decoder, const struct memory *memory, struct evidence *evidence)
{
    for (size_t i = 0; i < memory->link_count; i++) {
        const struct link *link = &decoder->links[memory->first_link + i];
        const struct word *word = &decoder->words[link->word];
        if (!word->known)
            evidence->no_status = true;
        else if (holds(link->status, word->raw))
            evidence->means |= 1U << link->status->means;
    }
}

/* How long warm-up or calibration have been going on without a break; a lost status word does not end them. */
static void time_inhibit(const struct davy_device *device, struct memory *memory, davy_mono now,
                         struct evidence *evidence)
{
    bool inhibited = means(evidence, DAVY_MEANS_WARM_UP) || means(evidence, DAVY_MEANS_CALIBRATION);
    if (inhibited && !memory->inhibited)
        memory->inhibited_since = now;
    if (inhibited || !evidence->no_status)
        memory->inhibited = inhibited;
    evidence->inhibit_over = inhibited && device->inhibit_max.ns > 0 &&
                             davy_mono_sub(now, memory->inhibited_since).ns >= device->inhibit_max.ns;
}

static bool is_under(const struct davy_point *point, double value)
{
    return point->has_range && value < point->low - UNDER_RANGE_SHARE * (point->high - point->low);
}

static bool is_over(const struct davy_point *point, double value)
{
    return point->has_range && value > point->high;
}

/*
 * The first that applies wins, in the order of ARCHITECTURE.md, Readings and quality.
 * A warm-up or calibration beyond inhibit_max is a fault and
 * ranks as one, so that it hides no over-range.
 */
static enum davy_reason judge(const struct davy_point *point, const struct evidence *evidence)
{
    const struct {
        bool applies;
        enum davy_reason reason;
    } order[] = {
        {evidence->by_operator, DAVY_REASON_CALIBRATION},
        {means(evidence, DAVY_MEANS_CALIBRATION) && !evidence->inhibit_over, DAVY_REASON_CALIBRATION},
        {means(evidence, DAVY_MEANS_WARM_UP) && !evidence->inhibit_over, DAVY_REASON_WARM_UP},
        {means(evidence, DAVY_MEANS_OVER_RANGE), DAVY_REASON_OVER_RANGE},
        {means(evidence, DAVY_MEANS_FAULT) || evidence->inhibit_over, DAVY_REASON_DEVICE_FAULT},
        {!evidence->finite && !evidence->bad_value, DAVY_REASON_NOT_A_NUMBER},
        {evidence->bad_value, DAVY_REASON_BAD_VALUE},
        {is_under(point, evidence->value), DAVY_REASON_UNDER_RANGE},
        {is_over(point, evidence->value) || evidence->latched, DAVY_REASON_OVER_RANGE},
        {evidence->no_status, DAVY_REASON_NO_STATUS},
        {evidence->settling || evidence->jumped, DAVY_REASON_SETTLING},
        {means(evidence, DAVY_MEANS_MAINTENANCE), DAVY_REASON_MAINTENANCE},
    };
    for (size_t i = 0; i < DAVY_LENGTH(order); i++)
        if (order[i].applies)
            return order[i].reason;
    return DAVY_REASON_NONE;
}

/*
 * A change that the process cannot make: the device began anew, or broke. Up or down, the reading can raise and not
 * clear, as long as it has to settle.
 */
static bool jumped(const struct davy_point *point, const struct memory *memory, double value, davy_mono now)
{
    double seconds = (double)davy_mono_sub(now, memory->last_at).ns / (double)DAVY_NS_PER_S;
    return point->max_rate > 0 && memory->has_last && fabs(value - memory->last) > point->max_rate * seconds;
}

static void remember_value(struct memory *memory, double value, davy_mono now)
{
    memory->has_last = true;
    memory->last = value;
    memory->last_at = now;
}

static void settle(const struct davy_device *device, struct memory *memory, const struct davy_reading *reading)
{
    if (reading->quality == DAVY_QUALITY_BAD)
        memory->settling = device->settle;
    else if (memory->settling > 0)
        memory->settling--;
}

static void judge_value(struct davy_decoder *decoder, const struct davy_block *block, size_t place,
                        struct davy_reading *reading)
{
    const struct davy_point *point = &decoder->config->points[reading->point];
    struct memory *memory = &decoder->points[reading->point];
    struct evidence evidence = {
        .settling = memory->settling > 0,
        .latched = memory->latched,
        .by_operator = inhibit_holds(decoder, point->device, block->at.mono),
    };
    read_value(point, block, place, &evidence);
    if (evidence.finite && !evidence.bad_value) {
        evidence.jumped = jumped(point, memory, evidence.value, block->at.mono);
        remember_value(memory, evidence.value, block->at.mono);
    }
    read_status(decoder, memory, &evidence);
    time_inhibit(&decoder->config->devices[point->device], memory, block->at.mono, &evidence);
    reading->reason = judge(point, &evidence);
    reading->has_value = evidence.finite && !evidence.bad_value;
    reading->value = reading->has_value ? evidence.value : 0.0;
    if (reading->reason == DAVY_REASON_OVER_RANGE && point->over_range_latch)
        memory->latched = true;
    if (evidence.jumped)
        memory->settling = decoder->config->devices[point->device].settle + 1; /* this reading is none of them */
}

static enum davy_reason failure_reason(enum davy_answer answer)
{
    return answer == DAVY_ANSWER_EXCEPTION ? DAVY_REASON_EXCEPTION : DAVY_REASON_COMM;
}

static void decode_point(struct davy_decoder *decoder, const struct area *area, const struct davy_block *block,
                         struct davy_reading *reading)
{
    const struct davy_point *point = &decoder->config->points[reading->point];
    size_t place;
    if (block->answer != DAVY_ANSWER_OK)
        reading->reason = failure_reason(block->answer);
    else if (!locate(area, point->table, point->address, width_of(point), &place))
        reading->reason = DAVY_REASON_NOT_A_NUMBER; /* beyond the address space: there is no such value */
    else
        judge_value(decoder, block, place, reading);
    reading->quality = davy_reason_quality(reading->reason);
    settle(&decoder->config->devices[point->device], &decoder->points[reading->point], reading);
}

/* Of a part only the points that lie wholly inside: what else the request reads has blocks of its own. */
static bool speaks_of(const struct davy_block *block, const struct area *area, const struct davy_point *point)
{
    size_t place;
    return block->count == 0 || locate(area, point->table, point->address, width_of(point), &place);
}

/*
 * A device that begins to be silent may be starting anew, and be back before its other requests are due: their first
 * values are worth no more than those of this one. Only where the silence begins: a read that the device never answers
 * says nothing of the others.
 */
static void note_silence(struct davy_decoder *decoder, const struct davy_request *request,
                         const struct davy_block *block)
{
    const struct davy_device *device = &decoder->config->devices[request->device];
    bool silent = block->answer == DAVY_ANSWER_TIMEOUT || block->answer == DAVY_ANSWER_DOWN;
    bool begins = silent && !decoder->silent[block->request];
    decoder->silent[block->request] = silent;
    for (uint32_t p = device->first_point; begins && p < device->first_point + device->point_count; p++)
        decoder->points[p].settling = device->settle;
}

size_t davy_decode_block(struct davy_decoder *decoder, const struct davy_block *block, struct davy_reading *readings)
{
    const struct davy_config *config = decoder->config;
    if (block->generation != config->generation || block->request >= config->request_count)
        return 0;
    const struct davy_request *request = &config->requests[block->request];
    const struct area area = area_of(request, block);
    size_t count = 0;
    learn_status(decoder, request, block);
    note_silence(decoder, request, block);
    for (size_t i = 0; i < request->point_count && count < DAVY_DECODE_MAX; i++) {
        if (!speaks_of(block, &area, &config->points[request->points[i]]))
            continue;
        readings[count] = (struct davy_reading){.point = request->points[i], .at = block->at};
        decode_point(decoder, &area, block, &readings[count]);
        count++;
    }
    return count;
}

void davy_decoder_stale(struct davy_decoder *decoder, uint32_t point)
{
    const struct davy_point *of = &decoder->config->points[point];
    decoder->points[point].settling = decoder->config->devices[of->device].settle;
}

/* A reason that ranks before the range checks, or that is the outcome of one. */
static bool outranks_range(const struct davy_reading *reading)
{
    switch (reading->reason) {
    case DAVY_REASON_NONE:
    case DAVY_REASON_MAINTENANCE:
    case DAVY_REASON_SETTLING:
    case DAVY_REASON_NO_STATUS:
        return false;
    case DAVY_REASON_OVER_RANGE:
    case DAVY_REASON_WARM_UP:
    case DAVY_REASON_CALIBRATION:
    case DAVY_REASON_COMM:
    case DAVY_REASON_EXCEPTION:
    case DAVY_REASON_NOT_A_NUMBER:
    case DAVY_REASON_BAD_VALUE:
    case DAVY_REASON_UNDER_RANGE:
    case DAVY_REASON_DEVICE_FAULT:
    case DAVY_REASON_STALE:
    case DAVY_REASON_COUNT_:
        break;
    }
    return true;
}

static enum davy_reason range_reason(const struct davy_point *point, const struct davy_reading *reading)
{
    if (!reading->has_value)
        return reading->quality == DAVY_QUALITY_BAD ? DAVY_REASON_COMM : DAVY_REASON_NOT_A_NUMBER;
    if (is_under(point, reading->value))
        return DAVY_REASON_UNDER_RANGE;
    return is_over(point, reading->value) ? DAVY_REASON_OVER_RANGE : reading->reason;
}

void davy_decode_judge(const struct davy_point *point, struct davy_reading *reading)
{
    if (reading->has_value && !isfinite(reading->value))
        reading->has_value = false;
    if (!reading->has_value)
        reading->value = 0.0;
    if (!outranks_range(reading))
        reading->reason = range_reason(point, reading);
    if (reading->reason != DAVY_REASON_NONE)
        reading->quality = davy_reason_quality(reading->reason);
}
