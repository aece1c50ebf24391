/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The live colour of each zone: the highest level of its alarms, built-in ones too, that are not normal, a covered or
 * suppressed one counting as yellow; yellow at least while a bus of its devices is in fault or a point has had no
 * reading yet; else blue. It rises at once and falls to the highest that it would have been in the last 60 s, also over
 * a restart. Pure: time is a parameter. Thread: one caller at a time per object (the evaluator).
 */
#pragma once

#include "base/attr.h"
#include "base/clock.h"
#include "base/uuid.h"
#include "evaluate/engine.h"
#include "model/alarm.h"
#include "model/config.h"

/* Causes that a view lists at most. */
#define DAVY_ZONE_CAUSES 32

struct davy_zone_view {
    enum davy_level colour;
    enum davy_level previous; /* NONE: there was none */
    davy_wall since;          /* of the colour */
    size_t cause_count;
    struct davy_uuid causes[DAVY_ZONE_CAUSES]; /* occurrences at the level of the colour */
};

struct davy_zones;

/*
 * Takes a reference to the configuration.
 * old      the zones before a reload, whose colours go on by id; may be NULL; stays the caller's
 * returns  0 or -ENOMEM
 */
int davy_zones_new(const struct davy_config *config, const struct davy_zones *old,
                   struct davy_zones **ret_zones) DAVY_MUST_CHECK;

/*
 * What the old ones have learned since, from the events with which a reload ends alarms: to be called when it switches.
 * Replaces all that `zones` knows of those that there were.
 */
void davy_zones_keep(struct davy_zones *zones, const struct davy_zones *old);

/* Accepts NULL, returns NULL. */
struct davy_zones *davy_zones_free(struct davy_zones *zones);

/*
 * An event of the engine: what its alarm was until then, and is from then on, counts for the 60 s to the moment,
 * however short it was. To be called for each.
 */
void davy_zones_event(struct davy_zones *zones, const struct davy_event *event);

/*
 * Judge all zones; tell each whose colour or causes are no longer what was told. The engine must be of the same
 * configuration.
 */
void davy_zones_judge(struct davy_zones *zones, const struct davy_engine *engine, struct davy_stamp now,
                      void (*tell)(void *context, uint32_t zone, const struct davy_zone_view *view), void *context);

/*
 * What of a zone survives a restart: its colour, and when it last was each level.
 * returns   true with the memory filled when the colour is not what was last told, or a level has fallen since; its key,
 *           "@ZONE", is of no alarm
 */
bool davy_zones_tell(struct davy_zones *zones, uint32_t zone, struct davy_alarm_memory *ret_memory);

/* Put a memory back before the first judgement. Returns false when it is of no zone, or of one that is gone. */
bool davy_zones_recall(struct davy_zones *zones, const struct davy_alarm_memory *memory);

/* What was told was not taken, or is lost: tell the zone again. */
void davy_zones_untold(struct davy_zones *zones, uint32_t zone);
