/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The live colour of each zone: the highest level of its alarms, built-in ones too, that are not normal; yellow at least
 * while a bus of its devices is in fault or a point has had no reading yet; else blue. It rises at once and falls to the
 * highest that it would have been in the last 60 s. Pure: time is a parameter.
 * Thread: one caller at a time per object (the evaluator).
 */
#pragma once

#include "base/attr.h"
#include "base/clock.h"
#include "base/uuid.h"
#include "evaluate/engine.h"
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

/* Accepts NULL, returns NULL. */
struct davy_zones *davy_zones_free(struct davy_zones *zones);

/* Judge all zones; tell each whose colour or causes are no longer what was told. The engine must be of the same configuration. */
void davy_zones_judge(struct davy_zones *zones, const struct davy_engine *engine, struct davy_stamp now,
                      void (*tell)(void *context, uint32_t zone, const struct davy_zone_view *view), void *context);
