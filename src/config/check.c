/* SPDX-License-Identifier: Apache-2.0 */
/* What holds between objects, and what is legal but unwise. */
#include <string.h>

#include "base/buf.h"
#include "base/num.h"
#include "config/internal.h"

static bool is_taken(const char *name)
{
    return strcmp(name, "gateway") == 0 || strcmp(name, "_") == 0;
}

static bool same(const char *a, const char *b)
{
    return strcmp(a, b) == 0 && strcmp(a, "?") != 0;
}

static void check_bus_name(const struct davy_loader *loader, size_t index)
{
    const struct davy_config *config = loader->config;
    const struct davy_bus *bus = &config->buses[index];
    config_setting_t *setting = davy_setting_at(loader->bus_settings[index], "name");
    if (is_taken(bus->name))
        davy_setting_error(setting, "\"%s\" is reserved", bus->name);
    for (size_t i = 0; i < index; i++) {
        if (same(config->buses[i].name, bus->name))
            davy_setting_error(setting, "\"%s\" is already the name of buses[%zu]", bus->name, i);
        if (bus->device && config->buses[i].device && strcmp(config->buses[i].device, bus->device) == 0)
            davy_setting_error(davy_setting_at(loader->bus_settings[index], "device"),
                               "\"%s\" is already the port of %s; a line has one master", bus->device,
                               config->buses[i].name);
    }
}

static void check_device_id(const struct davy_loader *loader, size_t index)
{
    const struct davy_config *config = loader->config;
    const char *id = config->devices[index].id;
    config_setting_t *setting = davy_setting_at(loader->device_settings[index], "id");
    if (is_taken(id))
        davy_setting_error(setting, "\"%s\" is reserved", id);
    uint32_t bus = davy_config_find_bus(config, id);
    if (bus != DAVY_NONE && strcmp(id, "?") != 0)
        davy_setting_error(setting, "\"%s\" is already the name of buses[%u]; buses and devices share their names", id,
                           bus);
    if (davy_config_find_point(config, id) != DAVY_NONE)
        davy_setting_error(setting, "\"%s\" is also the name of a point of another device, DEVICE.POINT", id);
    uint32_t first = davy_config_find_device(config, id);
    if (first < index && strcmp(id, "?") != 0)
        davy_setting_error(setting, "\"%s\" is already the id of devices[%u]", id, first);
}

/* Where two answer to one address, neither can be told from the other. */
static void check_unit(const struct davy_loader *loader, size_t index)
{
    const struct davy_config *config = loader->config;
    const struct davy_device *device = &config->devices[index];
    config_setting_t *unit = config_setting_get_member(loader->device_settings[index], "unit");
    for (size_t i = 0; i < index && device->bus != DAVY_NONE && unit; i++) {
        const struct davy_device *other = &config->devices[i];
        if (other->bus != device->bus || other->unit != device->unit)
            continue;
        davy_setting_error(unit, "unit %u of bus %s is already devices[%zu] (%s)", device->unit,
                           config->buses[device->bus].name, i, other->id);
        return;
    }
}

static void warn_of_device(const struct davy_loader *loader, size_t index)
{
    const struct davy_device *device = &loader->config->devices[index];
    config_setting_t *group = loader->device_settings[index];
    char day[DAVY_WALL_TEXT];
    if (!device->enabled)
        davy_setting_warning(davy_setting_at(group, "enabled"), "the device is not enabled: nothing of it is read");
    if (device->calibration_due.ns == 0 || device->calibration_due.ns > loader->now.ns)
        return;
    davy_wall_format(device->calibration_due, day);
    davy_setting_warning(davy_setting_at(group, "calibration_due"), "%.10s is in the past", day);
}

/* What depends on a point and its device together. */
static void check_point(const struct davy_loader *loader, size_t index)
{
    const struct davy_config *config = loader->config;
    const struct davy_point *point = &config->points[index];
    const struct davy_device *device = &config->devices[point->device];
    config_setting_t *group = loader->point_settings[index];
    char age[DAVY_NUM_TEXT], interval[DAVY_NUM_TEXT];
    if ((int)davy_type_registers(point->type) > device->max_registers)
        davy_setting_error(davy_setting_at(group, "type"), "a \"%s\" needs %u registers, `max_registers` of %s is %d",
                           davy_type_name(point->type), davy_type_registers(point->type), device->id,
                           device->max_registers);
    if (point->max_age.ns < point->interval.ns)
        davy_setting_warning(davy_setting_at(group, "max_age"),
                             "%s is less than the interval, %s: the point is stale "
                             "before each reading",
                             davy_span_print(point->max_age, age), davy_span_print(point->interval, interval));
}

#define NAMES_SIZE 768

/* ", NAME" while there is room for it and for "and N more". */
static bool add_name(struct davy_buf *names, const char *name)
{
    if (names->length + strlen(name) + 32 > names->size)
        return false;
    davy_buf_printf(names, "%s%s", names->length ? ", " : "", name);
    return true;
}

/* One line, however many points its profile has. */
static void warn_of_limitless(const struct davy_loader *loader, uint32_t index)
{
    const struct davy_device *device = &loader->config->devices[index];
    char text[NAMES_SIZE];
    struct davy_buf names;
    size_t count = 0, named = 0;
    davy_buf_init(&names, text, sizeof text);
    for (uint32_t i = 0; i < device->point_count; i++) {
        uint32_t point = device->first_point + i;
        if (loader->point_used[point])
            continue;
        named += named == count && add_name(&names, loader->config->points[point].name);
        count++;
    }
    if (named < count)
        davy_buf_printf(&names, " and %zu more", count - named);
    if (count == 1)
        davy_setting_warning(loader->device_settings[index], "%s.%s has no limit at all", device->id, text);
    else if (count > 1)
        davy_setting_warning(loader->device_settings[index], "%zu points of %s have no limit at all: %s", count,
                             device->id, text);
}

void davy_config_check(struct davy_loader *loader)
{
    const struct davy_config *config = loader->config;
    for (size_t i = 0; i < config->bus_count; i++)
        check_bus_name(loader, i);
    for (size_t i = 0; i < config->device_count; i++) {
        check_device_id(loader, i);
        check_unit(loader, i);
        warn_of_device(loader, i);
        if (loader->problems->errors == 0) /* else limits may be missing only because they could not be read */
            warn_of_limitless(loader, (uint32_t)i);
    }
    for (size_t i = 0; i < config->point_count; i++)
        check_point(loader, i);
}
