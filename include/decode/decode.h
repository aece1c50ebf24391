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
 * The decoder of a new configuration that remembers what the old one knew of points that stayed (by name), and the
 * status words of devices that stayed where they were (unit number, bus and its address).
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
 * returns   how many were written: one for each point of the block's request, or of the part of it that the block
 *           speaks of, in order; status words and values outside that part stay as they were
 * A block whose request does not exist gives none.
 */
size_t davy_decode_block(struct davy_decoder *decoder, const struct davy_block *block, struct davy_reading *readings);

/*
 * The point was silent for its max_age, which the engine has made a bad reading of (`made` in evaluate/engine.h): what
 * comes next has to settle as behind any other bad one.
 */
void davy_decoder_stale(struct davy_decoder *decoder, uint32_t point);

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
 * An operator's inhibit of a device, for work on it: its readings are `uncertain`, reason `calibration`, so limits are
 * held. A failed poll stays what it is. Not subject to inhibit_max of the device, which is for status bits.
 */
#define DAVY_INHIBIT_DEFAULT davy_span_s(30LL * 60)
#define DAVY_INHIBIT_MAX     davy_span_s(8LL * 3600)

struct davy_inhibit {
    struct davy_stamp until; /* readings at and after it are as they are */
    char by[DAVY_BY_SIZE];
    char reason[DAVY_NOTE_SIZE];
};

/*
 * Inhibit a device, or set a running inhibit anew. It ends by itself and goes over to the decoder of a reload.
 * returns   0; -ENOENT: no such device; -EINVAL: not after `now`, more than DAVY_INHIBIT_MAX after it, or no reason
 */
int davy_decoder_inhibit(struct davy_decoder *decoder, uint32_t device, const struct davy_inhibit *inhibit,
                         davy_mono now) DAVY_MUST_CHECK;

/* End it now. Returns 0, or -ENOENT where the device is not inhibited by an operator. */
int davy_decoder_uninhibit(struct davy_decoder *decoder, uint32_t device, davy_mono now) DAVY_MUST_CHECK;

/* Whether an operator inhibits the device at `now`; then *ret_inhibit is a copy. */
bool davy_decoder_inhibited(const struct davy_decoder *decoder, uint32_t device, davy_mono now,
                            struct davy_inhibit *ret_inhibit);

/*
 * The inhibit of a device survives a restart too. To be asked after each of the above, and now and then for the end.
 * returns   true with the memory filled when it is no longer what was last told; its key is "~DEVICE"
 */
bool davy_decoder_tell_device(struct davy_decoder *decoder, uint32_t device, davy_mono now,
                              struct davy_alarm_memory *ret_memory);

/*
 * What of a point survives a restart: its over-range latch and, while one of its alarms is active, that readings have
 * to settle. Without it a restart could clear an alarm on the first value of a sensor that has not settled, or is
 * burnt.
 * in_alarm  whether an alarm of a rule on the point is active
 * returns   true with the memory filled when it is no longer what was last told; its key, "=DEVICE.POINT", is of no alarm
 */
bool davy_decoder_tell(struct davy_decoder *decoder, uint32_t point, bool in_alarm,
                       struct davy_alarm_memory *ret_memory);

/*
 * Before a reload takes devices and points away: an empty memory for each of which something was kept, so that nothing
 * of them comes back with a later configuration and a restart.
 */
void davy_decoder_tell_gone(const struct davy_decoder *decoder, const struct davy_config *next,
                            void (*tell)(void *context, const struct davy_alarm_memory *memory), void *context);

/* Put a memory back before the first block. False when it is of an alarm, or of a point or device that is gone. */
bool davy_decoder_recall(struct davy_decoder *decoder, const struct davy_alarm_memory *memory);

/* What was just told could not be taken: it is told again at the next asking, whatever it is then. */
void davy_decoder_untold(struct davy_decoder *decoder, uint32_t point);
void davy_decoder_untold_device(struct davy_decoder *decoder, uint32_t device);

/* What is kept is to be told once more, though it has not changed: how old it is counts from then. */
void davy_decoder_tell_kept(struct davy_decoder *decoder);

/* What was told is lost, the ledger was begun anew: tell again all that there is to tell. */
void davy_decoder_tell_again(struct davy_decoder *decoder);
