/* SPDX-License-Identifier: Apache-2.0 */
/* A point and its status words: from the keys to what the decoder uses, with all combinations that cannot be. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "config/internal.h"
#include "config/schema.h"

#define STATUS_MAX     64
#define BAD_VALUES_MAX 64

static bool has(config_setting_t *group, const char *key)
{
    return config_setting_get_member(group, key) != NULL;
}

/* First digit of a Modicon number. */
static const struct {
    char digit;
    enum davy_table table;
} modicon_tables[] = {
    {'0', DAVY_TABLE_COIL}, {'1', DAVY_TABLE_DISCRETE}, {'3', DAVY_TABLE_INPUT}, {'4', DAVY_TABLE_HOLDING}};

/* "40001" or "400001": table and one-based number. */
static bool parse_modicon(const char *text, enum davy_table *ret_table, uint16_t *ret_address)
{
    size_t length = strlen(text);
    if ((length != 5 && length != 6) || strspn(text, "0123456789") != length)
        return false;
    int64_t number;
    if (davy_int_parse(text + 1, &number) < 0 || number < 1 || number > 65536)
        return false;
    for (size_t i = 0; i < DAVY_LENGTH(modicon_tables); i++)
        if (modicon_tables[i].digit == text[0]) {
            *ret_table = modicon_tables[i].table;
            *ret_address = (uint16_t)(number - 1);
            return true;
        }
    return false;
}

/* `register` of a group, which may set its table. */
static bool read_register(config_setting_t *group, config_setting_t *setting, unsigned *table, uint16_t *ret_address)
{
    int64_t number;
    if (!setting)
        return false;
    if (config_setting_type(setting) != CONFIG_TYPE_STRING) {
        if (!davy_read_int(setting, 0, 65535, &number))
            return false;
        *ret_address = (uint16_t)number;
        return true;
    }
    enum davy_table found;
    const char *text = config_setting_get_string(setting);
    if (!parse_modicon(text, &found, ret_address)) {
        davy_setting_error(setting,
                           "\"%.64s\" is not a Modicon number like \"40001\", \"400001\", \"30001\", \"10001\", "
                           "\"00001\"; a zero-based address stands without quotes",
                           text);
        return false;
    }
    if (has(group, "table") && found != *table)
        davy_setting_error(setting, "\"%s\" is of the table \"%s\", but `table` says \"%s\"", text,
                           davy_table_name(found), davy_table_name(*table));
    *table = found;
    return true;
}

static bool is_bit_table(enum davy_table table)
{
    return table == DAVY_TABLE_COIL || table == DAVY_TABLE_DISCRETE;
}

static bool is_float(enum davy_type type)
{
    return type == DAVY_TYPE_FLOAT32 || type == DAVY_TYPE_FLOAT64;
}

static bool is_signed(enum davy_type type)
{
    return type == DAVY_TYPE_INT16 || type == DAVY_TYPE_INT32 || type == DAVY_TYPE_INT64;
}

static unsigned type_bits(enum davy_type type)
{
    return 16 * davy_type_registers(type);
}

static uint64_t all_bits(unsigned bits)
{
    return bits >= 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
}

/* What a value of this type lies in. */
static void check_place(const struct davy_point *point, config_setting_t *group)
{
    config_setting_t *type = davy_setting_at(group, "type");
    if (is_bit_table(point->table) && point->type != DAVY_TYPE_BOOL)
        davy_setting_error(type, "a value of the table \"%s\" is a \"bool\", not \"%s\"", davy_table_name(point->table),
                           davy_type_name(point->type));
    if ((unsigned)point->address + davy_type_registers(point->type) > 65536)
        davy_setting_error(davy_setting_at(group, "register"), "a \"%s\" at %u ends beyond address 65535",
                           davy_type_name(point->type), point->address);
    config_setting_t *order = config_setting_get_member(group, "order");
    const char *text = order ? config_setting_get_string(order) : NULL;
    if (!text)
        return;
    if (is_bit_table(point->table) && point->order != DAVY_ORDER_ABCD)
        davy_setting_error(order, "has no meaning in the table \"%s\"", davy_table_name(point->table));
    else if (strlen(text) == 8 && davy_type_registers(point->type) != 4)
        davy_setting_error(order, "\"%s\" is an order of 64 bits, a \"%s\" has %u", text, davy_type_name(point->type),
                           type_bits(point->type));
}

static void read_mask(struct davy_point *point, const struct davy_raw_point *raw, config_setting_t *group)
{
    unsigned bits = type_bits(point->type);
    int64_t mask;
    bool shift_in = raw->shift < (int)bits;
    if (!davy_read_int(raw->mask, bits == 64 ? INT64_MIN : 1, bits == 64 ? INT64_MAX : (int64_t)all_bits(bits), &mask))
        return;
    point->mask = (uint64_t)mask;
    point->shift = (unsigned)raw->shift;
    if (mask == 0 || !shift_in || point->mask >> point->shift == 0) {
        davy_setting_error(davy_setting_at(group, shift_in ? "mask" : "shift"), "nothing is left of a value of %u bits",
                           bits);
        return;
    }
    point->has_mask = true;
}

static void read_part(struct davy_point *point, const struct davy_raw_point *raw, config_setting_t *group)
{
    bool bit = has(group, "bit"), mask = has(group, "mask");
    config_setting_t *setting = davy_setting_at(group, bit ? "bit" : "mask");
    bool of_register = !is_bit_table(point->table);
    if (has(group, "shift") && !mask)
        davy_setting_error(davy_setting_at(group, "shift"), "has no meaning without `mask`");
    if (point->type == DAVY_TYPE_BOOL && of_register && !bit)
        davy_setting_error(group, "`bit` is missing: a \"bool\" of a register needs it");
    if (!bit && !mask)
        return;
    if (bit && mask)
        davy_setting_error(setting, "`bit` and `mask` exclude each other");
    else if (!of_register || is_float(point->type))
        davy_setting_error(setting, "has no meaning for a \"%s\" of the table \"%s\"", davy_type_name(point->type),
                           davy_table_name(point->table));
    else if (mask && point->type == DAVY_TYPE_BOOL)
        davy_setting_error(setting, "a \"bool\" takes `bit`");
    else if (mask && raw->mask)
        read_mask(point, raw, group);
    else if (raw->bit >= (int)type_bits(point->type))
        davy_setting_error(setting, "%d is past the last of %u bits (0 to %u)", raw->bit, type_bits(point->type),
                           type_bits(point->type) - 1);
    else if (raw->bit >= 0) {
        point->has_mask = true;
        point->mask = UINT64_C(1) << raw->bit;
        point->shift = (unsigned)raw->bit;
    }
}

/* 3 * 0.1 is not 0.3, but 3 / 10 is. */
static void read_scale(struct davy_point *point, const struct davy_raw_point *raw, config_setting_t *group)
{
    if (raw->scale == 0) {
        davy_setting_error(davy_setting_at(group, "scale"), "0 makes every value the same");
        return;
    }
    double inverse = 1 / raw->scale;
    double whole = round(inverse);
    if (fabs(whole) >= 2 && fabs(whole) <= 1e6 && fabs(inverse - whole) <= 1e-9 * fabs(whole))
        point->divisor = whole;
}

static uint64_t float_bits(enum davy_type type, double value)
{
    uint64_t wide;
    uint32_t narrow;
    float single = (float)value;
    memcpy(&wide, &value, sizeof wide);
    memcpy(&narrow, &single, sizeof narrow);
    return type == DAVY_TYPE_FLOAT32 ? narrow : wide;
}

static bool read_bad_value(config_setting_t *setting, enum davy_type type, uint64_t *ret)
{
    double real;
    int64_t number;
    bool bits_given = config_setting_get_format(setting) == CONFIG_FORMAT_HEX;
    if (is_float(type) && !bits_given) {
        if (!davy_read_real(setting, 0, 0, &real))
            return false;
        *ret = float_bits(type, real);
        return true;
    }
    unsigned bits = type_bits(type);
    int64_t max = bits == 64 ? INT64_MAX : (int64_t)all_bits(bits);
    int64_t min = bits == 64 ? INT64_MIN : is_signed(type) ? -(INT64_C(1) << (bits - 1)) : 0;
    if (!davy_read_int(setting, min, max, &number))
        return false;
    *ret = (uint64_t)number & all_bits(bits);
    return true;
}

static void read_bad_values(struct davy_loader *loader, struct davy_point *point, config_setting_t *list)
{
    if (list && point->type == DAVY_TYPE_BOOL) {
        davy_setting_error(list, "has no meaning for a \"bool\"");
        return;
    }
    size_t count = davy_list_length(list, BAD_VALUES_MAX);
    uint64_t *values = count ? davy_loader_alloc(loader, count, sizeof *values) : NULL;
    for (size_t i = 0; values && i < count; i++)
        if (read_bad_value(config_setting_get_elem(list, (unsigned)i), point->type, &values[point->bad_value_count]))
            point->bad_value_count++;
    point->bad_values = values;
}

static uint32_t find_zone(struct davy_loader *loader, config_setting_t *group, const char *zone)
{
    uint32_t found = zone ? davy_config_find_zone(loader->config, zone) : DAVY_NONE;
    if (zone && found == DAVY_NONE)
        davy_setting_error(davy_setting_at(group, "zone"), "there is no zone \"%s\"", zone);
    return found;
}

/* What does not depend on the type. */
static void read_plain(struct davy_loader *loader, struct davy_point *point, const struct davy_raw_point *raw,
                       config_setting_t *group)
{
    *point = (struct davy_point){.name = raw->name,
                                 .device = DAVY_NONE,
                                 .zone = find_zone(loader, group, raw->zone),
                                 .kind = raw->kind,
                                 .quantity = raw->quantity,
                                 .unit = raw->unit,
                                 .scale = raw->scale,
                                 .offset = raw->offset,
                                 .over_range_latch = raw->over_range == 1,
                                 .interval = raw->interval,
                                 .max_age = raw->max_age,
                                 .max_rate = raw->max_rate,
                                 .report_deadband = raw->report_deadband};
    if (raw->name && strchr(raw->name, '.'))
        davy_setting_error(davy_setting_at(group, "name"),
                           "\"%s\" has a dot; the last dot of DEVICE.POINT divides them", raw->name);
    if (raw->name && strcmp(raw->name, "_") == 0) /* else its fault has the topic of that of the device */
        davy_setting_error(davy_setting_at(group, "name"), "\"_\" is reserved");
    if (!point->name || strchr(point->name, '.'))
        point->name = davy_loader_text(loader, "?");
    if (raw->range)
        point->has_range = davy_read_pair(raw->range, &point->low, &point->high);
    if (raw->over_range == 1 && !raw->range)
        davy_setting_error(davy_setting_at(group, "over_range"), "\"latch\" has no meaning without `range`");
    read_scale(point, raw, group);
    point->status_count = davy_status_build(loader, raw->status, &point->status);
}

static void build_point(struct davy_loader *loader, config_setting_t *group, struct davy_point *point)
{
    struct davy_raw_point raw = {.type = DAVY_TYPE_COUNT_};
    davy_schema_read(group, &davy_schema_point, &raw);
    read_plain(loader, point, &raw, group);
    bool placed = read_register(group, raw.reg, &raw.table, &point->address);
    point->table = raw.table;
    point->order = raw.order;
    point->type = DAVY_TYPE_UINT16;
    if (raw.type == DAVY_TYPE_COUNT_)
        return;
    point->type = raw.type;
    if (placed)
        check_place(point, group);
    read_part(point, &raw, group);
    read_bad_values(loader, point, raw.bad_values);
}

static void check_twins(const struct davy_point *points, size_t index, config_setting_t *group)
{
    for (size_t i = 0; i < index; i++)
        if (strcmp(points[i].name, points[index].name) == 0 && strcmp(points[i].name, "?") != 0) {
            davy_setting_error(davy_setting_at(group, "name"), "\"%s\" is already the name of points[%zu]",
                               points[i].name, i);
            return;
        }
}

size_t davy_points_build(struct davy_loader *loader, config_setting_t *list, struct davy_point **ret_points,
                         config_setting_t ***ret_settings)
{
    size_t count = davy_list_length(list, DAVY_POINTS_PER_DEVICE);
    struct davy_point *points = davy_loader_alloc(loader, count, sizeof *points);
    config_setting_t **settings = davy_loader_alloc(loader, count, sizeof *settings);
    if (!points || !settings)
        return 0;
    for (size_t i = 0; i < count && !loader->failed; i++) {
        settings[i] = config_setting_get_elem(list, (unsigned)i);
        build_point(loader, settings[i], &points[i]);
        if (!loader->failed)
            check_twins(points, i, settings[i]);
    }
    *ret_points = points;
    *ret_settings = settings;
    return loader->failed ? 0 : count;
}

static void build_status(config_setting_t *group, struct davy_status *status)
{
    struct davy_raw_status raw = {0};
    davy_schema_read(group, &davy_schema_status, &raw);
    read_register(group, raw.reg, &raw.table, &status->address);
    status->table = raw.table;
    status->mask = (uint16_t)raw.mask;
    status->has_value = raw.value >= 0;
    status->value = raw.value >= 0 ? (uint16_t)raw.value : 0;
    status->means = raw.means;
    bool bit = is_bit_table(status->table);
    if (bit && has(group, "mask") && raw.mask != 1)
        davy_setting_error(davy_setting_at(group, "mask"), "a value of the table \"%s\" has one bit",
                           davy_table_name(status->table));
    if (bit)
        status->mask = 1;
    if (status->has_value && (status->value & ~status->mask) != 0)
        davy_setting_error(davy_setting_at(group, "value"), "%d has bits that `mask` %u takes away: it never holds",
                           raw.value, status->mask);
}

size_t davy_status_build(struct davy_loader *loader, config_setting_t *list, const struct davy_status **ret_status)
{
    size_t count = davy_list_length(list, STATUS_MAX);
    struct davy_status *status = count ? davy_loader_alloc(loader, count, sizeof *status) : NULL;
    for (size_t i = 0; status && i < count; i++)
        build_status(config_setting_get_elem(list, (unsigned)i), &status[i]);
    *ret_status = status;
    return status ? count : 0;
}
