/* SPDX-License-Identifier: Apache-2.0 */
#include "evaluate/zones.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* A colour falls to the highest of this time. */
#define CALM (60 * DAVY_NS_PER_S)

struct zone {
    struct davy_zone_view told;
    bool announced;                            /* since the start */
    enum davy_level level;                     /* of now */
    bool unread, unread_now;                   /* a point has had no reading: at the last judgement, now */
    struct davy_stamp held[DAVY_LEVEL_COUNT_]; /* when the level was last at least this; mono.ns = 0: never */
    size_t cause_count;
    struct davy_uuid causes[DAVY_ZONE_CAUSES];
    enum davy_level told_colour; /* as davy_zones_tell() last said */
    bool fallen;                 /* a level was left since then */
    enum davy_level resumed;     /* it stood at this until the restart; NONE: nothing to hold from before */
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
    if (old)
        davy_zones_keep(zones, old);
    *ret_zones = zones;
    return 0;
}

void davy_zones_keep(struct davy_zones *zones, const struct davy_zones *old)
{
    for (uint32_t i = 0; i < old->config->zone_count; i++) {
        uint32_t to = davy_config_find_zone(zones->config, old->config->zones[i].id);
        if (to != DAVY_NONE)
            zones->zones[to] = old->zones[i];
    }
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

/* ---- what counts ---- */

/* Work goes on at what is covered or suppressed: it is no calm. */
static enum davy_level weight_of(enum davy_state state, enum davy_level level)
{
    switch (state) {
    case DAVY_STATE_NORMAL:
        return DAVY_LEVEL_NONE;
    case DAVY_STATE_SUPPRESSED:
    case DAVY_STATE_SHELVED:
    case DAVY_STATE_OUT_OF_SERVICE:
        return DAVY_LEVEL_YELLOW;
    case DAVY_STATE_UNACKNOWLEDGED:
    case DAVY_STATE_ACKNOWLEDGED:
    case DAVY_STATE_RETURNED:
    case DAVY_STATE_LATCHED:
    case DAVY_STATE_COUNT_:
        break;
    }
    return level;
}

static void hold(struct zone *zone, enum davy_level level, struct davy_stamp at)
{
    for (int each = DAVY_LEVEL_BLUE; each <= (int)level; each++)
        if (zone->held[each].mono.ns == 0 || zone->held[each].mono.ns < at.mono.ns)
            zone->held[each] = at;
}

/* The zone is at `level` until `at`, and may be lower from then on. */
static void hold_until(struct davy_zones *zones, uint32_t index, enum davy_level level, struct davy_stamp at)
{
    if (index == DAVY_NONE || level == DAVY_LEVEL_NONE)
        return;
    hold(&zones->zones[index], level, at);
    zones->zones[index].fallen = true;
}

/* What a zone gets of an alarm. */
struct share {
    enum davy_level level;
    struct davy_stamp until; /* of an event */
    struct davy_uuid id;     /* of an alarm that stands */
};

/*
 * The zones of an alarm, some more than once: that of its point, of a vote that of its members. Of a device or a bus
 * those of all its points, too, which may lie elsewhere than the device: nothing below its fault tells that they are
 * blind.
 */
static void each_zone(struct davy_zones *zones, const struct davy_subject *subject,
                      void (*act)(struct davy_zones *zones, uint32_t index, const struct share *share),
                      const struct share *share)
{
    const struct davy_config *config = zones->config;
    const bool of_bus = subject->kind == DAVY_ALARM_FAULT && subject->device == DAVY_NONE;
    if (!of_bus && (subject->device == DAVY_NONE || subject->point != DAVY_NONE)) {
        act(zones, davy_subject_zone(config, subject), share);
        return;
    }
    for (uint32_t d = 0; d < config->device_count; d++) {
        const struct davy_device *device = &config->devices[d];
        if (of_bus ? device->bus != subject->bus : d != subject->device)
            continue;
        act(zones, device->zone, share);
        for (uint32_t p = device->first_point; p < device->first_point + device->point_count; p++)
            act(zones, config->points[p].zone, share);
    }
}

static void hold_zone(struct davy_zones *zones, uint32_t index, const struct share *share)
{
    hold_until(zones, index, share->level, share->until);
}

void davy_zones_event(struct davy_zones *zones, const struct davy_event *event)
{
    enum davy_level before = event->previous_level != DAVY_LEVEL_NONE ? event->previous_level : event->level;
    enum davy_level was = weight_of(event->previous_state, before), is = weight_of(event->state, event->level);
    enum davy_level level = was > is ? was : is;
    each_zone(zones, &event->subject, hold_zone, &(struct share){.level = level, .until = event->at});
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

/* An alarm that stands, once in each of its zones. */
static void add_share(struct davy_zones *zones, uint32_t index, const struct share *share)
{
    if (index == DAVY_NONE)
        return;
    const struct zone *zone = &zones->zones[index];
    bool listed =
        zone->cause_count > 0 && memcmp(&zone->causes[zone->cause_count - 1], &share->id, sizeof share->id) == 0;
    if (!listed)
        add_cause(zones, index, share->level, share->id);
}

static void add_alarms(struct davy_zones *zones, const struct davy_engine *engine)
{
    for (size_t i = 0; i < davy_engine_alarm_count(engine); i++) {
        struct davy_alarm_view view;
        if (davy_engine_alarm_normal(engine, i))
            continue;
        davy_engine_alarm(engine, i, &view);
        each_zone(zones, &view.subject, add_share,
                  &(struct share){.level = weight_of(view.state, view.level), .id = view.id});
    }
}

/*
 * There is no event of a first reading: the zone was yellow for the want of it until its newest reading at the latest.
 */
static void add_unread_points(struct davy_zones *zones, const struct davy_engine *engine)
{
    const struct davy_config *config = zones->config;
    for (uint32_t p = 0; p < config->point_count; p++) {
        struct davy_stamp newest = davy_engine_newest(engine, p)->at;
        uint32_t zone = config->points[p].zone;
        if (zone == DAVY_NONE)
            continue;
        if (newest.mono.ns == 0)
            add_cause(zones, zone, DAVY_LEVEL_YELLOW, (struct davy_uuid){{0}});
        else if (zones->zones[zone].unread)
            hold(&zones->zones[zone], DAVY_LEVEL_YELLOW, newest);
        zones->zones[zone].unread_now |= newest.mono.ns == 0;
    }
}

/* ---- judgement ---- */

static bool holds_still(const struct zone *zone, int level, davy_mono now)
{
    return zone->held[level].mono.ns != 0 && davy_mono_sub(now, zone->held[level].mono).ns < CALM;
}

/* The highest level that was reached within the last minute, at least blue. */
static enum davy_level colour_of(struct zone *zone, struct davy_stamp now)
{
    enum davy_level colour = DAVY_LEVEL_BLUE;
    hold(zone, zone->level > zone->resumed ? zone->level : zone->resumed, now);
    zone->resumed = DAVY_LEVEL_NONE;
    for (int level = DAVY_LEVEL_BLUE; level < DAVY_LEVEL_COUNT_; level++)
        if (holds_still(zone, level, now.mono))
            colour = (enum davy_level)level;
    return colour;
}

/* Causes of a colour that is only kept for calm are gone: the list is then empty. */
static bool changed(const struct zone *zone, enum davy_level colour, size_t cause_count)
{
    const struct davy_zone_view *told = &zone->told;
    return !zone->announced || told->colour != colour || told->cause_count != cause_count ||
           memcmp(told->causes, zone->causes, cause_count * sizeof zone->causes[0]) != 0;
}

void davy_zones_judge(struct davy_zones *zones, const struct davy_engine *engine, struct davy_stamp now,
                      void (*tell)(void *context, uint32_t zone, const struct davy_zone_view *view), void *context)
{
    for (uint32_t i = 0; i < zones->config->zone_count; i++) {
        zones->zones[i].level = DAVY_LEVEL_BLUE;
        zones->zones[i].cause_count = 0;
        zones->zones[i].unread = zones->zones[i].unread_now;
        zones->zones[i].unread_now = false;
    }
    add_alarms(zones, engine);
    add_unread_points(zones, engine);
    for (uint32_t i = 0; i < zones->config->zone_count; i++) {
        struct zone *zone = &zones->zones[i];
        enum davy_level colour = colour_of(zone, now);
        zone->fallen |= zone->unread && !zone->unread_now;
        size_t causes = colour == zone->level ? zone->cause_count : 0;
        if (!changed(zone, colour, causes))
            continue;
        if (zone->told.colour != colour) {
            zone->told.previous = zone->told.colour;
            zone->told.since = now.wall;
        }
        zone->announced = true;
        zone->told.colour = colour;
        zone->told.cause_count = causes;
        memcpy(zone->told.causes, zone->causes, causes * sizeof zone->causes[0]);
        tell(context, i, &zone->told);
    }
}

/* ---- the restart ---- */

/*
 * The form of an alarm's memory serves: each level is a limit whose on-delay began when the level was last held, so
 * that it goes on over the restart as a delay does. The first is blue and holds nothing; it keeps the colour and its
 * time. The level that the zone is at is tripped: it is not told again while it stands, so it was held until the daemon
 * ended.
 */
bool davy_zones_tell(struct davy_zones *zones, uint32_t index, struct davy_alarm_memory *ret_memory)
{
    struct zone *zone = &zones->zones[index];
    if (!zone->announced || (zone->told.colour == zone->told_colour && !zone->fallen))
        return false;
    zone->told_colour = zone->told.colour;
    zone->fallen = false;
    *ret_memory = (struct davy_alarm_memory){
        .level = zone->told.colour, .shelved_level = zone->told.previous, .raised.wall = zone->told.since};
    for (int level = DAVY_LEVEL_BLUE; level < DAVY_LEVEL_COUNT_; level++)
        if (zone->held[level].mono.ns != 0)
            ret_memory->limits[ret_memory->limit_count++] =
                (struct davy_limit_memory){.level = (enum davy_level)level,
                                           .tripped = level == (int)zone->level,
                                           .timer = DAVY_TIMER_ON,
                                           .started = zone->held[level]};
    snprintf(ret_memory->key, sizeof ret_memory->key, "@%s", zones->config->zones[index].id);
    return true;
}

bool davy_zones_recall(struct davy_zones *zones, const struct davy_alarm_memory *memory)
{
    uint32_t index = memory->key[0] == '@' ? davy_config_find_zone(zones->config, memory->key + 1) : DAVY_NONE;
    if (index == DAVY_NONE)
        return false;
    struct zone *zone = &zones->zones[index];
    zone->told.colour = zone->told_colour = memory->level;
    zone->told.previous = memory->shelved_level;
    zone->told.since = memory->raised.wall;
    for (size_t i = 0; i < memory->limit_count; i++) {
        const struct davy_limit_memory *limit = &memory->limits[i];
        if (zone->held[limit->level].mono.ns < limit->started.mono.ns || zone->held[limit->level].mono.ns == 0)
            zone->held[limit->level] = limit->started;
        if (limit->tripped)
            zone->resumed = limit->level;
    }
    return true;
}

void davy_zones_untold(struct davy_zones *zones, uint32_t zone)
{
    zones->zones[zone].fallen = true;
}
