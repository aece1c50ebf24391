/* SPDX-License-Identifier: Apache-2.0 */
#include "evaluate/zones.h"

#include <errno.h>
#include <string.h>

/* A colour falls to the highest of this time. */
#define CALM (60 * DAVY_NS_PER_S)

struct zone {
    struct davy_zone_view told;
    enum davy_level level;             /* of now */
    davy_mono held[DAVY_LEVEL_COUNT_]; /* when the level was last at least this; ns = 0: never */
    size_t cause_count;
    struct davy_uuid causes[DAVY_ZONE_CAUSES];
};

struct davy_zones {
    const struct davy_config *config;
    struct zone *zones;
};

int davy_zones_new(const struct davy_config *config, const struct davy_zones *old, struct davy_zones **ret_zones)
{
    struct davy_zones *zones = calloc(1, sizeof *zones);
    if (!zones)
        return -ENOMEM;
    zones->config = davy_config_ref(config);
    zones->zones = calloc(config->zone_count + 1, sizeof *zones->zones);
    if (!zones->zones) {
        davy_zones_free(zones);
        return -ENOMEM;
    }
    for (uint32_t i = 0; old && i < old->config->zone_count; i++) {
        uint32_t to = davy_config_find_zone(config, old->config->zones[i].id);
        if (to != DAVY_NONE)
            zones->zones[to] = old->zones[i];
    }
    *ret_zones = zones;
    return 0;
}

struct davy_zones *davy_zones_free(struct davy_zones *zones)
{
    if (!zones)
        return NULL;
    davy_config_unref(zones->config);
    free(zones->zones);
    free(zones);
    return NULL;
}

/* One reason for at least this level; a nil id has no name. */
static void add_cause(struct davy_zones *zones, uint32_t index, enum davy_level level, struct davy_uuid id)
{
    if (index == DAVY_NONE)
        return;
    struct zone *zone = &zones->zones[index];
    if (level > zone->level) {
        zone->level = level;
        zone->cause_count = 0;
    }
    if (level < zone->level || davy_uuid_is_nil(&id) || zone->cause_count == DAVY_ZONE_CAUSES)
        return;
    zone->causes[zone->cause_count++] = id;
}

/* A bus in fault counts in the zone of each of its devices, once. */
static void add_bus_fault(struct davy_zones *zones, const struct davy_alarm_view *view)
{
    const struct davy_config *config = zones->config;
    for (uint32_t d = 0; d < config->device_count; d++) {
        uint32_t index = config->devices[d].zone;
        if (config->devices[d].bus != view->subject.bus || index == DAVY_NONE)
            continue;
        const struct zone *zone = &zones->zones[index];
        bool listed =
            zone->cause_count > 0 && memcmp(&zone->causes[zone->cause_count - 1], &view->id, sizeof view->id) == 0;
        if (!listed)
            add_cause(zones, index, view->level, view->id);
    }
}

static void add_alarms(struct davy_zones *zones, const struct davy_engine *engine)
{
    for (size_t i = 0; i < davy_engine_alarm_count(engine); i++) {
        struct davy_alarm_view view;
        davy_engine_alarm(engine, i, &view);
        if (view.state == DAVY_STATE_NORMAL)
            continue;
        if (view.subject.kind == DAVY_ALARM_FAULT && view.subject.device == DAVY_NONE)
            add_bus_fault(zones, &view);
        else
            add_cause(zones, davy_subject_zone(zones->config, &view.subject), view.level, view.id);
    }
}

static void add_unread_points(struct davy_zones *zones, const struct davy_engine *engine)
{
    const struct davy_config *config = zones->config;
    for (uint32_t p = 0; p < config->point_count; p++)
        if (davy_engine_newest(engine, p)->at.mono.ns == 0)
            add_cause(zones, config->points[p].zone, DAVY_LEVEL_YELLOW, (struct davy_uuid){{0}});
}

/* The highest level that was reached within the last minute, at least blue. */
static enum davy_level colour_of(struct zone *zone, davy_mono now)
{
    enum davy_level colour = DAVY_LEVEL_BLUE;
    for (int level = DAVY_LEVEL_BLUE; level < DAVY_LEVEL_COUNT_; level++) {
        if ((int)zone->level >= level)
            zone->held[level] = now;
        if (zone->held[level].ns != 0 && davy_mono_sub(now, zone->held[level]).ns < CALM)
            colour = (enum davy_level)level;
    }
    return colour;
}

/* Causes of a colour that is only kept for calm are gone: the list is then empty. */
static bool changed(const struct zone *zone, enum davy_level colour, size_t cause_count)
{
    const struct davy_zone_view *told = &zone->told;
    return told->colour != colour || told->cause_count != cause_count ||
           memcmp(told->causes, zone->causes, cause_count * sizeof zone->causes[0]) != 0;
}

void davy_zones_judge(struct davy_zones *zones, const struct davy_engine *engine, struct davy_stamp now,
                      void (*tell)(void *context, uint32_t zone, const struct davy_zone_view *view), void *context)
{
    for (uint32_t i = 0; i < zones->config->zone_count; i++) {
        zones->zones[i].level = DAVY_LEVEL_BLUE;
        zones->zones[i].cause_count = 0;
    }
    add_alarms(zones, engine);
    add_unread_points(zones, engine);
    for (uint32_t i = 0; i < zones->config->zone_count; i++) {
        struct zone *zone = &zones->zones[i];
        enum davy_level colour = colour_of(zone, now.mono);
        size_t causes = colour == zone->level ? zone->cause_count : 0;
        if (!changed(zone, colour, causes))
            continue;
        if (zone->told.colour != colour) {
            zone->told.previous = zone->told.colour;
            zone->told.since = now.wall;
        }
        zone->told.colour = colour;
        zone->told.cause_count = causes;
        memcpy(zone->told.causes, zone->causes, causes * sizeof zone->causes[0]);
        tell(context, i, &zone->told);
    }
}
