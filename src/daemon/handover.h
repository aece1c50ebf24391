/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The evaluator's way to the recorder: records as whole causes, readings in lots. Never waits. What finds no room is
 * counted, readings before memories before events; a change of configuration always has room. Evaluator's thread.
 */
#pragma once

#include "daemon/route.h"

/* Readings that go together: those of a request or two. */
#define HANDOVER_READINGS 128

/* {.route = …} is an empty one. */
struct handover {
    struct route *route;
    struct record held; /* the newest of the records, where holds: the one before it is with the recorder */
    bool holds;
    struct record_reading kept[HANDOVER_READINGS]; /* in order, to be handed over within this turn */
    size_t kept_count;
    uint64_t lost_records;
    uint64_t lost_readings;
};

/* One behind, so that the last of a cause can say so. What the record owns passes, or goes with it. */
void handover_record(struct handover *handover, const struct record *record);

/* Likewise a memory, which leaves half of the queue to events since it can be told again. False: not taken. */
bool handover_memory(struct handover *handover, const struct record *record);

/* The cause is dealt with: what it made of alarms may be written. */
void handover_end_cause(struct handover *handover);

void handover_reading(struct handover *handover, const struct davy_reading *reading);

/* The readings that were kept. At the end of each turn. */
void handover_flush(struct handover *handover);

/* From here on the records and readings are those of `config`, of which references are taken. */
void handover_switch(struct handover *handover, const struct davy_config *config);

/* Whether the recorder has caught up with the records. */
bool handover_is_idle(struct handover *handover);

/* What is held goes. */
void handover_done(struct handover *handover);
