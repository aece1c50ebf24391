/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/device.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "davy_build.h"
#include "sim/encode.h"

#define REGISTERS_END      65536
#define READ_WORDS_MAX     125 /* Modbus application protocol V1.1b3, 6.1 to 6.12 */
#define READ_BITS_MAX      2000
#define WRITE_WORDS_MAX    123
#define WRITE_BITS_MAX     1968
#define COIL_ON            0xFF00
#define COIL_OFF           0x0000
#define READ_HEADER_LENGTH 2
#define IDENTITY_MAX       70 /* of one text; three fit a reply */
#define MEI_IDENTIFICATION 14

static struct davy_sim_area *find_area(const struct davy_sim_device *device, enum davy_table table, uint32_t first,
                                       uint32_t count)
{
    for (size_t i = 0; i < device->area_count; i++) {
        struct davy_sim_area *area = &device->areas[i];
        if (area->table == table && first >= area->first && first + count <= area->first + area->count)
            return area;
    }
    return NULL;
}

static int area_grow(struct davy_sim_area *area, uint32_t first, uint32_t end)
{
    uint32_t count = end - first;
    uint16_t *cells = calloc(count, sizeof(*cells));
    uint16_t *owners = calloc(count, sizeof(*owners));
    if (!cells || !owners) {
        free(cells);
        free(owners);
        return -ENOMEM;
    }
    if (area->count > 0) {
        memcpy(cells + (area->first - first), area->cells, area->count * sizeof(*cells));
        memcpy(owners + (area->first - first), area->owners, area->count * sizeof(*owners));
    }
    free(area->cells);
    free(area->owners);
    area->cells = cells;
    area->owners = owners;
    area->first = first;
    area->count = count;
    return 0;
}

/* Join every later area that `area` touches by now into it. */
static int absorb(struct davy_sim_device *device, size_t index)
{
    for (size_t i = 0; i < device->area_count; i++) {
        struct davy_sim_area *a = &device->areas[index];
        struct davy_sim_area other = device->areas[i];
        if (i == index || other.table != a->table || other.first > a->first + a->count ||
            a->first > other.first + other.count)
            continue;
        uint32_t first = other.first < a->first ? other.first : a->first;
        uint32_t end =
            a->first + a->count > other.first + other.count ? a->first + a->count : other.first + other.count;
        int rc = area_grow(a, first, end);
        if (rc < 0)
            return rc;
        memcpy(a->cells + (other.first - first), other.cells, other.count * sizeof(*other.cells));
        memcpy(a->owners + (other.first - first), other.owners, other.count * sizeof(*other.owners));
        free(other.cells);
        free(other.owners);
        device->areas[i] = device->areas[--device->area_count];
        return absorb(device, index == device->area_count ? i : index);
    }
    return 0;
}

int davy_sim_device_declare(struct davy_sim_device *device, enum davy_table table, uint32_t first, uint32_t count)
{
    if (first >= REGISTERS_END || count > REGISTERS_END - first)
        return -ERANGE;
    if (find_area(device, table, first, count))
        return 0;
    for (size_t i = 0; i < device->area_count; i++) {
        struct davy_sim_area *area = &device->areas[i];
        uint32_t end = first + count > area->first + area->count ? first + count : area->first + area->count;
        if (area->table != table || first > area->first + area->count || area->first > first + count)
            continue;
        int rc = area_grow(area, first < area->first ? first : area->first, end);
        return rc < 0 ? rc : absorb(device, i);
    }
    struct davy_sim_area *areas = reallocarray(device->areas, device->area_count + 1, sizeof(*areas));
    if (!areas)
        return -ENOMEM;
    device->areas = areas;
    struct davy_sim_area fresh = {.table = table};
    int rc = area_grow(&fresh, first, first + count);
    if (rc == 0)
        areas[device->area_count++] = fresh;
    return rc;
}

int davy_sim_device_claim(struct davy_sim_device *device, size_t index)
{
    const struct davy_sim_point *point = &device->points[index];
    unsigned count = davy_type_registers(point->type);
    struct davy_sim_area *area = find_area(device, point->table, point->address, count);
    if (!area)
        return -ENOENT;
    uint16_t *owners = area->owners + (point->address - area->first);
    for (unsigned i = 0; i < count; i++)
        if (owners[i] != 0)
            return -EEXIST;
    for (unsigned i = 0; i < count; i++)
        owners[i] = (uint16_t)(index + 1);
    return 0;
}

static double clamp(double value, double low, double high)
{
    return value < low ? low : value > high ? high : value;
}

double davy_sim_point_value(const struct davy_sim_point *point, double t_s)
{
    double passed = t_s - point->since_s;
    switch (point->source) {
    case DAVY_SIM_FROM_WAVE:
        return clamp(davy_sim_wave_value(&point->wave, point->seed, t_s), point->low, point->high);
    case DAVY_SIM_FROM_RAMP:
        if (passed < point->ramp_s)
            return point->from + (point->to - point->from) * (passed > 0 ? passed / point->ramp_s : 0);
        return point->to;
    case DAVY_SIM_FROM_HOLD:
    case DAVY_SIM_FROM_RAW:
        break;
    }
    return point->to;
}

static void point_words(const struct davy_sim_point *point, double t_s, uint16_t words[DAVY_SIM_WORDS_MAX])
{
    double raw = (davy_sim_point_value(point, t_s) - point->offset) / point->scale;
    davy_sim_encode(raw, point->type, point->order, words);
}

/* Words of an area at plant time; each point is computed once. */
static void read_cells(const struct davy_sim_device *device, const struct davy_sim_area *area, uint32_t first,
                       uint16_t *words, uint32_t count, double t_s)
{
    uint16_t known[DAVY_SIM_WORDS_MAX];
    uint16_t owner = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t place = first - area->first + i;
        uint16_t now = area->owners[place];
        const struct davy_sim_point *point = now ? &device->points[now - 1] : NULL;
        if (!point || point->source == DAVY_SIM_FROM_RAW) {
            words[i] = area->cells[place];
            continue;
        }
        if (now != owner)
            point_words(point, t_s, known);
        owner = now;
        words[i] = known[first + i - point->address];
    }
}

int davy_sim_device_write(struct davy_sim_device *device, enum davy_table table, uint32_t address, uint16_t value,
                          double t_s)
{
    struct davy_sim_area *area = find_area(device, table, address, 1);
    if (!area)
        return -ENOENT;
    uint16_t owner = area->owners[address - area->first];
    struct davy_sim_point *point = owner ? &device->points[owner - 1] : NULL;
    if (point && point->source != DAVY_SIM_FROM_RAW) {
        uint16_t words[DAVY_SIM_WORDS_MAX];
        point_words(point, t_s, words);
        memcpy(area->cells + (point->address - area->first), words, 2 * davy_type_registers(point->type));
        point->to = davy_sim_point_value(point, t_s);
        point->source = DAVY_SIM_FROM_RAW;
    }
    area->cells[address - area->first] = value;
    return 0;
}

size_t davy_sim_exception(uint8_t function, int code, uint8_t *reply)
{
    reply[0] = function | 0x80;
    reply[1] = (uint8_t)code;
    return 2;
}

static uint16_t get16(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

/* One request, taken apart. */
struct query {
    struct davy_sim_device *device;
    double t_s;
    const uint8_t *request;
    size_t length;
    enum davy_table table;
};

/* 0, or an exception code. */
static int check_span(const struct query *q, uint32_t most, struct davy_sim_area **ret_area)
{
    uint32_t count = get16(q->request + 3);
    if (count == 0 || count > most)
        return DAVY_SIM_EXCEPTION_VALUE;
    *ret_area = find_area(q->device, q->table, get16(q->request + 1), count);
    return *ret_area ? 0 : DAVY_SIM_EXCEPTION_ADDRESS;
}

static int read_words(const struct query *q, uint8_t *reply, size_t *ret_length)
{
    struct davy_sim_area *area;
    int code = check_span(q, READ_WORDS_MAX, &area);
    if (code != 0)
        return code;
    uint16_t words[READ_WORDS_MAX];
    uint32_t count = get16(q->request + 3);
    read_cells(q->device, area, get16(q->request + 1), words, count, q->t_s);
    reply[1] = (uint8_t)(2 * count);
    for (uint32_t i = 0; i < count; i++) {
        reply[READ_HEADER_LENGTH + 2 * i] = (uint8_t)(words[i] >> 8);
        reply[READ_HEADER_LENGTH + 2 * i + 1] = (uint8_t)words[i];
    }
    *ret_length = READ_HEADER_LENGTH + 2 * count;
    return 0;
}

static int read_bits(const struct query *q, uint8_t *reply, size_t *ret_length)
{
    struct davy_sim_area *area;
    int code = check_span(q, READ_BITS_MAX, &area);
    if (code != 0)
        return code;
    uint16_t bits[READ_BITS_MAX];
    uint32_t count = get16(q->request + 3);
    read_cells(q->device, area, get16(q->request + 1), bits, count, q->t_s);
    uint32_t bytes = (count + 7) / 8;
    reply[1] = (uint8_t)bytes;
    memset(reply + READ_HEADER_LENGTH, 0, bytes);
    for (uint32_t i = 0; i < count; i++)
        if (bits[i])
            reply[READ_HEADER_LENGTH + i / 8] |= (uint8_t)(1U << i % 8);
    *ret_length = READ_HEADER_LENGTH + bytes;
    return 0;
}

static int write_one(const struct query *q, uint8_t *reply, size_t *ret_length)
{
    uint16_t value = get16(q->request + 3);
    bool coil = q->table == DAVY_TABLE_COIL;
    if (coil && value != COIL_ON && value != COIL_OFF)
        return DAVY_SIM_EXCEPTION_VALUE;
    uint16_t cell = coil ? value == COIL_ON : value;
    if (davy_sim_device_write(q->device, q->table, get16(q->request + 1), cell, q->t_s) < 0)
        return DAVY_SIM_EXCEPTION_ADDRESS;
    memcpy(reply, q->request, 5);
    *ret_length = 5;
    return 0;
}

static int write_many(const struct query *q, uint8_t *reply, size_t *ret_length)
{
    bool coil = q->table == DAVY_TABLE_COIL;
    struct davy_sim_area *area;
    uint32_t first = get16(q->request + 1);
    uint32_t count = get16(q->request + 3);
    uint32_t bytes = coil ? (count + 7) / 8 : 2 * count;
    int code = check_span(q, coil ? WRITE_BITS_MAX : WRITE_WORDS_MAX, &area);
    if (code == DAVY_SIM_EXCEPTION_VALUE || q->request[5] != bytes || q->length != 6 + (size_t)bytes)
        return DAVY_SIM_EXCEPTION_VALUE;
    if (code != 0)
        return code;
    const uint8_t *data = q->request + 6;
    for (uint32_t i = 0; i < count; i++) {
        uint16_t cell = coil ? data[i / 8] >> i % 8 & 1 : get16(data + 2 * (size_t)i);
        if (davy_sim_device_write(q->device, q->table, first + i, cell, q->t_s) < 0)
            return DAVY_SIM_EXCEPTION_ADDRESS;
    }
    memcpy(reply, q->request, 5);
    *ret_length = 5;
    return 0;
}

static size_t put_text(uint8_t *out, const char *text)
{
    size_t length = strnlen(text, IDENTITY_MAX);
    memcpy(out, text, length);
    return length;
}

/* Report server ID (6.13): the id, and "running". */
static int report_id(const struct query *q, uint8_t *reply, size_t *ret_length)
{
    size_t length = put_text(reply + READ_HEADER_LENGTH, q->device->id);
    reply[READ_HEADER_LENGTH + length] = 0xFF;
    reply[1] = (uint8_t)(length + 1);
    *ret_length = READ_HEADER_LENGTH + length + 1;
    return 0;
}

/* Read device identification (6.21), basic category, all objects from the wanted one, or a single one. */
static int identify(const struct query *q, uint8_t *reply, size_t *ret_length)
{
    const char *const objects[] = {"davysim", q->device->id, DAVY_VERSION}; /* vendor, product, revision */
    const uint8_t *wanted = q->request;
    bool single = wanted[2] == 4;
    if (wanted[1] != MEI_IDENTIFICATION)
        return DAVY_SIM_EXCEPTION_FUNCTION;
    if (wanted[2] < 1 || wanted[2] > 4)
        return DAVY_SIM_EXCEPTION_VALUE;
    if (wanted[3] >= DAVY_LENGTH(objects) && single)
        return DAVY_SIM_EXCEPTION_ADDRESS;
    size_t first = wanted[3] < DAVY_LENGTH(objects) ? wanted[3] : 0;
    size_t end = single ? first + 1 : DAVY_LENGTH(objects);
    const uint8_t header[] = {MEI_IDENTIFICATION, wanted[2], 0x81, 0, 0, (uint8_t)(end - first)};
    memcpy(reply + 1, header, sizeof(header));
    size_t at = 1 + sizeof(header);
    for (size_t i = first; i < end; i++) {
        size_t length = put_text(reply + at + 2, objects[i]);
        reply[at] = (uint8_t)i;
        reply[at + 1] = (uint8_t)length;
        at += 2 + length;
    }
    *ret_length = at;
    return 0;
}

static const struct function {
    uint8_t code;
    enum davy_table table;
    uint8_t least; /* bytes of a request */
    uint8_t most;
    int (*answer)(const struct query *q, uint8_t *reply, size_t *ret_length);
} functions[] = {
    {1, DAVY_TABLE_COIL, 5, 5, read_bits},     {2, DAVY_TABLE_DISCRETE, 5, 5, read_bits},
    {3, DAVY_TABLE_HOLDING, 5, 5, read_words}, {4, DAVY_TABLE_INPUT, 5, 5, read_words},
    {5, DAVY_TABLE_COIL, 5, 5, write_one},     {6, DAVY_TABLE_HOLDING, 5, 5, write_one},
    {15, DAVY_TABLE_COIL, 7, 252, write_many}, {16, DAVY_TABLE_HOLDING, 8, 252, write_many},
    {17, DAVY_TABLE_HOLDING, 1, 1, report_id}, {43, DAVY_TABLE_HOLDING, 4, 4, identify},
};

size_t davy_sim_device_answer(struct davy_sim_device *device, double t_s, const uint8_t *request, size_t length,
                              uint8_t *reply)
{
    int code = DAVY_SIM_EXCEPTION_FUNCTION;
    for (size_t i = 0; i < DAVY_LENGTH(functions); i++) {
        const struct function *f = &functions[i];
        if (f->code != request[0])
            continue;
        if (length < f->least || length > f->most)
            return davy_sim_exception(request[0], DAVY_SIM_EXCEPTION_VALUE, reply);
        struct query q = {device, t_s, request, length, f->table};
        size_t reply_length = 0;
        reply[0] = request[0];
        code = f->answer(&q, reply, &reply_length);
        if (code == 0)
            return reply_length;
    }
    return davy_sim_exception(request[0], code, reply);
}
