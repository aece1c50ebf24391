/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/loader.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "sim/device.h"

static const char *const device_keys[] = {"id", "line", "unit", "turnaround", "points", "ranges", "copies", NULL};
static const char *const range_keys[] = {"table", "register", "count", NULL};
static const char *const point_keys[] = {"name",   "table", "register", "type",  "order", "scale",
                                         "offset", "range", "wave",     "value", NULL};
static const char *const wave_keys[] = {"type",   "mean",  "amplitude", "low",   "high",
                                        "period", "phase", "duty",      "noise", NULL};

/* low and high, or mean and amplitude; the first are turned into the second. */
static void read_wave_span(struct davy_sim_loader *l, const config_setting_t *group, struct davy_sim_wave *wave)
{
    struct davy_sim_reader *r = &l->reader;
    bool ends = config_setting_get_member(group, "low") || config_setting_get_member(group, "high");
    bool middle = config_setting_get_member(group, "mean") || config_setting_get_member(group, "amplitude");
    if (ends && middle)
        davy_sim_reader_problem(r, group, "either low and high, or mean and amplitude");
    if (!ends) {
        wave->mean = davy_sim_reader_number(r, group, "mean", NAN);
        wave->amplitude = davy_sim_reader_number(r, group, "amplitude", wave->type == DAVY_SIM_WAVE_CONSTANT ? 0 : NAN);
        return;
    }
    double low = davy_sim_reader_number(r, group, "low", NAN);
    double high = davy_sim_reader_number(r, group, "high", NAN);
    if (low > high)
        davy_sim_reader_problem(r, group, "low is above high");
    wave->mean = (low + high) / 2;
    wave->amplitude = (high - low) / 2;
}

static double read_share(struct davy_sim_loader *l, const config_setting_t *group, const char *key, double fallback)
{
    double share = davy_sim_reader_number(&l->reader, group, key, fallback);
    if (share >= 0 && share <= 1)
        return share;
    davy_sim_reader_problem(&l->reader, config_setting_get_member(group, key), "a number from 0 to 1 is expected");
    return fallback;
}

static void read_wave(struct davy_sim_loader *l, const config_setting_t *group, struct davy_sim_wave *wave)
{
    struct davy_sim_reader *r = &l->reader;
    if (!davy_sim_reader_keys(r, group, wave_keys))
        return;
    wave->type = (enum davy_sim_wave_type)davy_sim_loader_name(l, group, "type", REQUIRED, davy_sim_wave_find);
    read_wave_span(l, group, wave);
    wave->period_s =
        davy_sim_reader_seconds(r, group, "period", wave->type == DAVY_SIM_WAVE_CONSTANT ? "1s" : REQUIRED);
    if (wave->period_s <= 0) {
        davy_sim_reader_problem(r, group, "period must be longer than nothing");
        wave->period_s = 1;
    }
    wave->phase = read_share(l, group, "phase", 0);
    wave->duty = read_share(l, group, "duty", 0.5);
    wave->noise = davy_sim_reader_number(r, group, "noise", 0);
    if (wave->noise < 0)
        davy_sim_reader_problem(r, group, "noise must not be negative");
}

static void read_range(struct davy_sim_loader *l, const config_setting_t *group, struct davy_sim_point *point)
{
    const config_setting_t *range = config_setting_get_member(group, "range");
    point->low = -INFINITY;
    point->high = INFINITY;
    if (!range)
        return;
    if (!config_setting_is_aggregate(range) || config_setting_length(range) != 2) {
        davy_sim_reader_problem(&l->reader, range, "[low, high] is expected");
        return;
    }
    point->low = davy_sim_reader_as_number(&l->reader, config_setting_get_elem(range, 0));
    point->high = davy_sim_reader_as_number(&l->reader, config_setting_get_elem(range, 1));
    if (point->low > point->high)
        davy_sim_reader_problem(&l->reader, range, "low is above high");
}

static void read_source(struct davy_sim_loader *l, const config_setting_t *group, struct davy_sim_point *point)
{
    const config_setting_t *wave = config_setting_get_member(group, "wave");
    const config_setting_t *value = config_setting_get_member(group, "value");
    point->wave = (struct davy_sim_wave){.type = DAVY_SIM_WAVE_CONSTANT, .period_s = 1};
    if (wave && value)
        davy_sim_reader_problem(&l->reader, group, "either wave or value");
    else if (wave)
        read_wave(l, wave, &point->wave);
    else if (value && config_setting_type(value) == CONFIG_TYPE_BOOL)
        point->wave.mean = config_setting_get_bool(value);
    else
        point->wave.mean = davy_sim_reader_number(&l->reader, group, "value", 0);
}

static void check_point(struct davy_sim_loader *l, const config_setting_t *group, const struct davy_sim_point *point)
{
    bool bits = point->table == DAVY_TABLE_COIL || point->table == DAVY_TABLE_DISCRETE;
    if (bits != (point->type == DAVY_TYPE_BOOL))
        davy_sim_reader_problem(&l->reader, group, "coils and discretes are bool, registers are not");
    if (point->scale == 0)
        davy_sim_reader_problem(&l->reader, group, "scale must not be 0");
}

static void read_point(struct davy_sim_loader *l, const config_setting_t *group, struct davy_sim_point *point)
{
    struct davy_sim_reader *r = &l->reader;
    if (!davy_sim_reader_keys(r, group, point_keys)) {
        point->name = davy_sim_loader_keep("");
        return;
    }
    point->name = davy_sim_loader_id(l, group, "name", false);
    point->table = (enum davy_table)davy_sim_loader_name(l, group, "table", "holding", davy_table_find);
    point->address = (uint16_t)davy_sim_reader_integer(r, group, "register", 0, UINT16_MAX, INT64_MIN);
    point->type = (enum davy_type)davy_sim_loader_name(l, group, "type", REQUIRED, davy_type_find);
    point->order = (enum davy_order)davy_sim_loader_name(l, group, "order", "ABCD", davy_order_find);
    point->scale = davy_sim_reader_number(r, group, "scale", 1);
    point->offset = davy_sim_reader_number(r, group, "offset", 0);
    read_range(l, group, point);
    read_source(l, group, point);
    check_point(l, group, point);
}

static void read_points(struct davy_sim_loader *l, const config_setting_t *group, struct davy_sim_device *device)
{
    struct davy_sim_reader *r = &l->reader;
    const config_setting_t *list = davy_sim_reader_list(r, group, "points");
    size_t count = list ? (size_t)config_setting_length(list) : 0;
    if (count > DAVY_SIM_POINTS_MAX) {
        davy_sim_reader_problem(r, list, "at most %d points", DAVY_SIM_POINTS_MAX);
        return;
    }
    device->points = davy_sim_loader_array(count, sizeof(*device->points));
    for (size_t i = 0; i < count; i++) {
        const config_setting_t *at = config_setting_get_elem(list, (unsigned)i);
        struct davy_sim_point *point = &device->points[i];
        read_point(l, at, point);
        if (davy_sim_plant_point(device, point->name))
            davy_sim_reader_problem(r, at, "there is a point \"%s\" already", point->name);
        device->point_count = i + 1;
        if (davy_sim_device_declare(device, point->table, point->address, davy_type_registers(point->type)) < 0)
            davy_sim_reader_problem(r, at, "the registers end at 65535");
        else if (davy_sim_device_claim(device, i) < 0)
            davy_sim_reader_problem(r, at, "another point has one of these registers");
    }
}

static void read_ranges(struct davy_sim_loader *l, const config_setting_t *group, struct davy_sim_device *device)
{
    const config_setting_t *list = davy_sim_reader_list(&l->reader, group, "ranges");
    for (int i = 0; list && i < config_setting_length(list); i++) {
        const config_setting_t *at = config_setting_get_elem(list, (unsigned)i);
        if (!davy_sim_reader_keys(&l->reader, at, range_keys))
            continue;
        enum davy_table table = (enum davy_table)davy_sim_loader_name(l, at, "table", "holding", davy_table_find);
        int64_t first = davy_sim_reader_integer(&l->reader, at, "register", 0, UINT16_MAX, INT64_MIN);
        int64_t count = davy_sim_reader_integer(&l->reader, at, "count", 1, 65536, INT64_MIN);
        if (davy_sim_device_declare(device, table, (uint32_t)first, (uint32_t)count) < 0)
            davy_sim_reader_problem(&l->reader, at, "the registers end at 65535");
    }
}

static void attach(struct davy_sim_loader *l, const config_setting_t *group, struct davy_sim_device *device)
{
    struct davy_sim_reader *r = &l->reader;
    const char *name = davy_sim_reader_text(r, group, "line", REQUIRED);
    const config_setting_t *at = config_setting_get_member(group, "line");
    device->line = davy_sim_plant_line(l->plant, name);
    if (!device->line) {
        if (at)
            davy_sim_reader_problem(r, at, "there is no line \"%s\"", name);
        return;
    }
    if (device->line->type != DAVY_BUS_TCP && (device->unit < 1 || device->unit > 247))
        davy_sim_reader_problem(r, group, "a unit on a serial line is 1 to 247");
    if (device->line->by_unit[device->unit])
        davy_sim_reader_problem(r, group, "unit %d of line %s is %s already", device->unit, name,
                                device->line->by_unit[device->unit]->id);
    device->line->by_unit[device->unit] = device;
}

/* copies = N: the same device N times, at unit, unit + 1, …, with the ids ID-1 to ID-N. */
static char *device_id(struct davy_sim_loader *l, const config_setting_t *group, int copies, int copy)
{
    char *id = davy_sim_loader_id(l, group, "id", true);
    char *numbered = NULL;
    if (copies == 1)
        return id;
    if (asprintf(&numbered, "%s-%d", id, copy + 1) < 0)
        abort();
    free(id);
    return numbered;
}

static void read_device(struct davy_sim_loader *l, const config_setting_t *group, int copies, int copy)
{
    struct davy_sim_reader *r = &l->reader;
    struct davy_sim_device *device = &l->plant->devices[l->plant->device_count];
    char *id = device_id(l, group, copies, copy);
    if (davy_sim_plant_device(l->plant, id) || davy_sim_plant_line(l->plant, id))
        davy_sim_reader_problem(r, group, "there is a device or line \"%s\" already", id);
    device->id = id;
    l->plant->device_count++;
    device->unit = (int)davy_sim_reader_integer(r, group, "unit", 0, 255 - (copies - 1), INT64_MIN) + copy;
    device->turnaround.ns = (int64_t)(davy_sim_reader_seconds(r, group, "turnaround", "0ms") * 1e9);
    attach(l, group, device);
    read_points(l, group, device);
    read_ranges(l, group, device);
}

static int read_copies(struct davy_sim_loader *l, const config_setting_t *group)
{
    if (config_setting_type(group) != CONFIG_TYPE_GROUP)
        return 1;
    return (int)davy_sim_reader_integer(&l->reader, group, "copies", 1, 255, 1);
}

void davy_sim_loader_devices(struct davy_sim_loader *l, const config_setting_t *root)
{
    const config_setting_t *list = davy_sim_reader_list(&l->reader, root, "devices");
    int length = list ? config_setting_length(list) : 0;
    size_t total = 0;
    for (int i = 0; i < length; i++)
        total += (size_t)read_copies(l, config_setting_get_elem(list, (unsigned)i));
    l->plant->devices = davy_sim_loader_array(total, sizeof(*l->plant->devices));
    for (int i = 0; i < length; i++) {
        const config_setting_t *group = config_setting_get_elem(list, (unsigned)i);
        if (!davy_sim_reader_keys(&l->reader, group, device_keys))
            continue;
        int problems = l->reader.count;
        int copies = read_copies(l, group);
        /* the first copy has all the complaints */
        for (int copy = 0; copy < copies && l->reader.count == problems; copy++)
            read_device(l, group, copies, copy);
    }
}
