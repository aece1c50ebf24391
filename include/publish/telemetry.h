/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batches of readings as davy.telemetry/1: all, or (mode `changes`) those that moved by the report deadband, or changed
 * quality or reason, since the last one that was put into a batch; a deadband of 0 means every change. A point that
 * does not move is not repeated: silence is judged by status and fault alarms. One message per device, or one for the
 * gateway, each telemetry_interval; a batch that would pass 64 KiB is split. Pure but for memory; one caller at a time
 * (the record stage).
 */
#pragma once

#include "base/attr.h"
#include "base/clock.h"
#include "model/config.h"
#include "model/reading.h"

struct davy_telemetry_batcher;

/* Readings that make a batch due early, and that fit at most; bytes of one payload with its end. */
#define DAVY_TELEMETRY_BATCH 4000
#define DAVY_TELEMETRY_ROOM  8000
#define DAVY_TELEMETRY_SIZE  65536

/* 0 or -ENOMEM; takes a reference to the configuration. With telemetry = "off" it swallows everything. */
int davy_telemetry_new(const struct davy_config *config, struct davy_telemetry_batcher **ret) DAVY_MUST_CHECK;
struct davy_telemetry_batcher *davy_telemetry_free(struct davy_telemetry_batcher *batcher);

/*
 * Add one reading. Bounded: a batch of DAVY_TELEMETRY_BATCH readings is due at once; what exceeds DAVY_TELEMETRY_ROOM
 * is not taken (the ledger of readings has it).
 */
void davy_telemetry_add(struct davy_telemetry_batcher *batcher, const struct davy_reading *reading);

/* Whether DAVY_TELEMETRY_BATCH readings wait: flush now, at the latest when DAVY_TELEMETRY_ROOM is reached. */
bool davy_telemetry_full(const struct davy_telemetry_batcher *batcher);

/* When the next batch is due; DAVY_MONO_NEVER when nothing waits. */
davy_mono davy_telemetry_due(const struct davy_telemetry_batcher *batcher);

/*
 * Hand every batch that is due at `now` (or, with `all`, every one) to `each` and begin anew.
 * topic, payload  valid during the call
 */
void davy_telemetry_flush(struct davy_telemetry_batcher *batcher, davy_mono now, bool all,
                          void (*each)(void *context, const char *topic, const char *payload), void *context);
