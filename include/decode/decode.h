/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a block (one Modbus answer or failure) to readings with quality and reason
 * (ARCHITECTURE.md, Readings and quality).
 * Holds what must be remembered between polls: status words, settling counters, over-range latches, how long a warm-up
 * lasts. No clock, no I/O, no allocation after _new. Thread: one caller at a time per object (the evaluator).
 */
#pragma once

#include "base/attr.h"
#include "model/alarm.h"
#include "model/config.h"
#include "model/reading.h"

struct davy_decoder;

/* 0 or -ENOMEM. Takes a reference to the configuration. */
int davy_decoder_new(const struct davy_config *config, struct davy_decoder **ret_decoder) DAVY_MUST_CHECK;

/*
 * The decoder of a new configuration that remembers what the old one knew of points that stayed (by name).
 * old      may be NULL; stays the caller's
 */
int davy_decoder_renew(const struct davy_decoder *old, const struct davy_config *config,
                       struct davy_decoder **ret_decoder) DAVY_MUST_CHECK;

/* Accepts NULL, returns NULL. */
struct davy_decoder *davy_decoder_free(struct davy_decoder *decoder);

/* Most readings that one block can give. */
#define DAVY_DECODE_MAX 2000

/*
 * readings  room for DAVY_DECODE_MAX
 * returns   how many were written: one for each point of the block's request, in order
 * A block whose request does not exist gives none.
 */
size_t davy_decode_block(struct davy_decoder *decoder, const struct davy_block *block, struct davy_reading *readings);

/*
 * Judge a value that did not come from a block (replay): the range checks of the point, the over-range latch not.
 * quality, reason  as the poll saw it; has_value false gives a reading without a value
 * Over-range gives uncertain:over-range; more than 10 % of span below the range gives bad:under-range.
 */
void davy_decode_judge(const struct davy_point *point, struct davy_reading *reading);

/*
 * Release the over-range latch of a point (`reset DEVICE.POINT`).
 * returns   0, or -ENOENT where nothing was latched
 */
int davy_decoder_reset(struct davy_decoder *decoder, uint32_t point) DAVY_MUST_CHECK;

/*
 * What of a point survives a restart: its over-range latch and, while one of its alarms is active, that readings have to
 * settle. Without it a restart could clear an alarm on the first value of a sensor that has not settled, or is burnt.
 * in_alarm  whether an alarm of a rule on the point is active
 * returns   true with the memory filled when it is no longer what was last told; its key, "=DEVICE.POINT", is of no alarm
 */
bool davy_decoder_tell(struct davy_decoder *decoder, uint32_t point, bool in_alarm,
                       struct davy_alarm_memory *ret_memory);

/* Put a memory back before the first block. Returns false when it is of an alarm, or of a point that is gone. */
bool davy_decoder_recall(struct davy_decoder *decoder, const struct davy_alarm_memory *memory);
