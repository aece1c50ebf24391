/* SPDX-License-Identifier: Apache-2.0 */
/* Devices: their own keys, what the profile adds, and the points of all in one array. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/internal.h"
#include "config/schema.h"

#define DEVICES_MAX 4096
#define POINTS_MAX  100000

/* A device on its way: what it needs until all are counted. */
struct draft {
    const struct davy_profile *profile;
    struct davy_point *points; /* its own */
    config_setting_t **settings;
    size_t count;
};

static uint32_t find_bus(struct davy_loader *loader, config_setting_t *group, const char *name)
{
    const struct davy_config *config = loader->config;
    const char *names[64] = {0};
    uint32_t found = name ? davy_config_find_bus(config, name) : DAVY_NONE;
    if (!name || found != DAVY_NONE)
        return found;
    for (size_t i = 0; i < config->bus_count && i < DAVY_LENGTH(names); i++)
        names[i] = config->buses[i].name;
    const char *nearest = davy_nearest(name, names, DAVY_LENGTH(names));
    davy_setting_error(davy_setting_at(group, "bus"), "there is no bus \"%s\"%s%s%s", name,
                       nearest ? "; did you mean \"" : "", nearest ? nearest : "", nearest ? "\"?" : "");
    return found;
}

static uint32_t find_zone(struct davy_loader *loader, config_setting_t *group, const char *id)
{
    const struct davy_config *config = loader->config;
    const char *names[64] = {0};
    uint32_t found = id ? davy_config_find_zone(config, id) : DAVY_NONE;
    if (!id || found != DAVY_NONE)
        return found;
    for (size_t i = 0; i < config->zone_count && i < DAVY_LENGTH(names); i++)
        names[i] = config->zones[i].id;
    const char *nearest = davy_nearest(id, names, DAVY_LENGTH(names));
    davy_setting_error(davy_setting_at(group, "zone"), "there is no zone \"%s\"%s%s%s", id,
                       nearest ? "; did you mean \"" : "", nearest ? nearest : "", nearest ? "\"?" : "");
    return found;
}

static void check_unit(const struct davy_loader *loader, config_setting_t *group, const struct davy_device *device)
{
    config_setting_t *setting = config_setting_get_member(group, "unit");
    if (!setting || device->bus == DAVY_NONE || loader->config->buses[device->bus].type == DAVY_BUS_TCP)
        return;
    const bool refused = device->unit == 0 && config_setting_get_int64(setting) != 0; /* that has been told */
    if (!refused && (device->unit < 1 || device->unit > 247))
        davy_setting_error(setting, "%u is out of range; 1 to 247 are allowed on a serial line", device->unit);
}

static davy_span first_of(davy_span given, davy_span profile, davy_span otherwise)
{
    if (given.ns > 0)
        return given;
    return profile.ns > 0 ? profile : otherwise;
}

static davy_span longer(davy_span a, davy_span b)
{
    return a.ns > b.ns ? a : b;
}

static int first_int(int given, int profile, int otherwise)
{
    if (given >= 0)
        return given;
    return profile >= 0 ? profile : otherwise;
}

static void apply_defaults(const struct davy_loader *loader, struct davy_device *device,
                           const struct davy_profile *profile)
{
    static const struct davy_profile none = {.settle = -1, .max_registers = 125};
    const struct davy_profile *from = profile ? profile : &none;
    davy_span timeout = device->bus == DAVY_NONE ? davy_span_s(0) : loader->config->buses[device->bus].timeout;
    device->interval = first_of(device->interval, from->interval, davy_span_s(1));
    device->max_reply = first_of(device->max_reply, from->max_reply, longer(davy_span_s(1), timeout));
    device->settle = first_int(device->settle, from->settle, 2);
    device->max_gap = first_int(device->max_gap, from->max_gap, 0);
    device->max_registers = first_int(device->max_registers, from->max_registers, 125);
    if (device->status_count == 0) {
        device->status = from->status;
        device->status_count = from->status_count;
    }
}

static void check_times(const struct davy_device *device, config_setting_t *group)
{
    if (device->alarm_interval.ns > device->interval.ns)
        davy_setting_warning(davy_setting_at(group, "alarm_interval"), "is longer than `interval`: in alarm the device "
                                                                       "is read no faster");
}

static void read_device(struct davy_loader *loader, config_setting_t *group, struct davy_device *device,
                        struct draft *draft)
{
    struct davy_raw_device raw = {0};
    davy_schema_read(group, &davy_schema_device, &raw);
    *device = raw.device;
    device->unit = (uint8_t)raw.unit;
    device->id = device->id ? device->id : davy_loader_text(loader, "?");
    device->name = device->name ? device->name : device->id;
    device->bus = find_bus(loader, group, raw.bus);
    device->zone = find_zone(loader, group, raw.zone);
    check_unit(loader, group, device);
    if (device->profile)
        draft->profile = davy_profile_find(loader, davy_setting_at(group, "profile"), device->profile);
    draft->count = davy_points_build(loader, raw.points, &draft->points, &draft->settings);
    device->status_count = davy_status_build(loader, raw.status, &device->status);
    if (!device->profile && (!raw.points || config_setting_length(raw.points) == 0))
        davy_setting_error(group, "`profile` or `points` is missing: the device has nothing to read");
    apply_defaults(loader, device, draft->profile);
    check_times(device, group);
}

/* A point takes from its device what it does not say itself. */
static void add_point(struct davy_loader *loader, uint32_t index, const struct davy_point *from,
                      config_setting_t *setting)
{
    struct davy_config *config = loader->config;
    const struct davy_device *device = &config->devices[index];
    struct davy_point *point = &config->points[config->point_count];
    loader->point_settings[config->point_count++] = setting;
    *point = *from;
    point->device = index;
    if (point->zone == DAVY_NONE)
        point->zone = device->zone;
    if (point->interval.ns == 0)
        point->interval = device->interval;
    if (point->max_age.ns == 0)
        point->max_age = longer((davy_span){3 * point->interval.ns}, davy_span_s(5));
    if (point->report_deadband < 0)
        point->report_deadband = point->has_range ? (point->high - point->low) * 0.005 : 0;
}

static size_t find_twin(const struct davy_point *points, size_t count, const char *name)
{
    size_t i = 0;
    while (i < count && strcmp(points[i].name, name) != 0)
        i++;
    return i;
}

/* The profile's points in its order, each replaced by the device's of the same name; then the device's others. */
static void add_points(struct davy_loader *loader, uint32_t index, const struct draft *draft)
{
    struct davy_config *config = loader->config;
    const struct davy_profile *profile = draft->profile;
    config->devices[index].first_point = (uint32_t)config->point_count;
    for (size_t i = 0; profile && i < profile->count; i++) {
        size_t own = find_twin(draft->points, draft->count, profile->points[i].name);
        bool replaced = own < draft->count;
        add_point(loader, index, replaced ? &draft->points[own] : &profile->points[i],
                  replaced ? draft->settings[own] : profile->settings[i]);
    }
    for (size_t i = 0; i < draft->count; i++)
        if (!profile || find_twin(profile->points, profile->count, draft->points[i].name) == profile->count)
            add_point(loader, index, &draft->points[i], draft->settings[i]);
    config->devices[index].point_count = (uint32_t)config->point_count - config->devices[index].first_point;
}

static size_t count_points(const struct draft *drafts, size_t count)
{
    size_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += drafts[i].count + (drafts[i].profile ? drafts[i].profile->count : 0);
    return sum;
}

static bool reserve_points(struct davy_loader *loader, size_t count)
{
    struct davy_config *config = loader->config;
    config->points = davy_loader_alloc(loader, count, sizeof *config->points);
    loader->point_settings = calloc(count + 1, sizeof *loader->point_settings);
    loader->point_used = calloc(count + 1, sizeof *loader->point_used);
    if (config->points && loader->point_settings && loader->point_used)
        return true;
    loader->failed = -ENOMEM;
    return false;
}

void davy_devices_build(struct davy_loader *loader, config_setting_t *list)
{
    struct davy_config *config = loader->config;
    size_t count = davy_list_length(list, DEVICES_MAX);
    DAVY_AUTO_FREE struct draft *drafts = calloc(count + 1, sizeof *drafts);
    config->devices = davy_loader_alloc(loader, count, sizeof *config->devices);
    loader->device_settings = calloc(count + 1, sizeof *loader->device_settings);
    if (!drafts || !config->devices || !loader->device_settings) {
        loader->failed = -ENOMEM;
        return;
    }
    for (size_t i = 0; i < count && !loader->failed; i++) {
        loader->device_settings[i] = config_setting_get_elem(list, (unsigned)i);
        read_device(loader, loader->device_settings[i], &config->devices[i], &drafts[i]);
    }
    size_t points = count_points(drafts, count);
    if (points > POINTS_MAX)
        davy_setting_error(list, "have %zu points; %d are allowed", points, POINTS_MAX);
    if (loader->failed || points > POINTS_MAX || !reserve_points(loader, points))
        return;
    config->device_count = count;
    for (size_t i = 0; i < count; i++)
        add_points(loader, (uint32_t)i, &drafts[i]);
}
