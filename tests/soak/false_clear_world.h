/* SPDX-License-Identifier: Apache-2.0 */
/* What a schedule runs in: the parts of a gateway, its oracle, and what it has told for a restart. Shared by the two files
 * that run it. */
#pragma once

#include <stdlib.h>

#include "base/attr.h"
#include "decode/decode.h"
#include "evaluate/zones.h"
#include "false_clear_run.h"
#include "record/ledger.h"

/* What the recorder has not been told to forget: memories since the last restart, with when and by what they came. */
struct told_memory {
    struct davy_alarm_memory memory;
    struct davy_stamp at;
    unsigned op;
};

struct kept_reading {
    struct davy_reading reading; /* its point is one of the plan */
    unsigned op;
};

struct kept_raise {
    unsigned slot;
    davy_wall at;
    unsigned op;
};

struct world {
    const struct plan *plan;
    const struct plant_spec *spec;
    const struct davy_config *config;
    struct davy_decoder *decoder;
    struct davy_engine *engine;
    struct davy_zones *zones;
    struct ledger_place *place;
    FILE *trace;
    unsigned op;
    unsigned boots;
    bool stepped;       /* the wall clock, since memories were told */
    int64_t mono_shift; /* monotonic = time of the oracle + this, in ns */
    davy_wall wall;     /* at `now` */
    int64_t now;        /* ms, of the oracle */
    struct told_memory *memories;
    size_t memory_count, memory_room;
    struct kept_reading *readings;
    size_t reading_count, reading_room;
    struct kept_raise *raises;
    size_t raise_count, raise_room;
    struct oracle oracle, kept; /* kept: before what a kill will take */
    uint64_t ids;
    uint32_t generation;
    enum davy_level colours[2]; /* as told last */
    const struct davy_config *next;
    const struct plant_spec *next_spec;
    struct davy_zones *next_zones;
    struct verdict *verdict;
};

struct ledger_place {
    char folder[64];
    struct davy_ledger *ledger;
};

#define MUST(call)                                                                                                     \
    do {                                                                                                               \
        if ((call) != 0) {                                                                                             \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #call);                                                 \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

/* An instant on both clocks; and back, of the oracle, in ms. */
struct davy_stamp world_stamp_at(const struct world *world, int64_t now);
int64_t world_time_of(const struct world *world, davy_mono mono);

/* What is due at this instant, but not the silence that ends with it. */
void world_pass_instant(struct world *world);

/* What the engine tells, with the world as context. */
unsigned world_slot_of_subject(const struct plant_spec *spec, const struct davy_subject *subject);
void world_on_event(void *context, const struct davy_event *event);
bool world_on_memory(void *context, const struct davy_alarm_memory *memory);
void world_on_made(void *context, const struct davy_reading *reading);
struct davy_uuid world_on_new_id(void *context, davy_wall t);
void world_tell_all(struct world *world);

void world_make_engine(struct world *world);
void world_drop_engine(struct world *world);
void world_begin_ledger(struct world *world);
void world_restart(struct world *world, const struct op *op);
void world_reload(struct world *world, const struct op *op);

/* How many happenings a kill takes with it: none that was before another start, or a reload, of which people know. */
unsigned world_lost_by(const struct plan *plan, unsigned kill);
