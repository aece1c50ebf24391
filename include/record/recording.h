/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The recorded readings of all points, one after the other as they were recorded (replay). A read-only connection as in
 * record/query.h: works while the daemon writes, in pages, so that no read transaction lasts. Thread: one caller at a
 * time per object; calls block on the disk.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/clock.h"
#include "model/reading.h"

struct davy_recording;

struct davy_recording_options {
    const char *file; /* the readings.db */
    davy_wall since;  /* since <= time < until; ns = 0: no bound */
    davy_wall until;
    /* The number that readings of this point shall have; called once a name, also again for the same name. */
    uint32_t (*number)(void *context, const char *name);
    void *context;
};

/*
 * error    takes a sentence at each failure, of this and later calls; must outlive the object
 * returns  0 or a negative errno
 */
int davy_recording_open(const struct davy_recording_options *options, char *error, size_t error_size,
                        struct davy_recording **ret_recording) DAVY_MUST_CHECK;

/* Accepts NULL, returns NULL. */
struct davy_recording *davy_recording_close(struct davy_recording *recording);

/* Outcome of davy_recording_next(): no reading is left. Outcome of davy_recording_extent(): nothing is recorded. */
#define DAVY_RECORDING_END 1

/*
 * The next reading in the order in which they were recorded: nearly that of time, and not where the clock was set back.
 * at.mono is 0. A quality that this version does not know is bad:device-fault. The point is what options.number said;
 * DAVY_NONE where it has come into the file meanwhile.
 * returns   0, DAVY_RECORDING_END or a negative errno
 */
int davy_recording_next(struct davy_recording *recording, struct davy_reading *ret_reading) DAVY_MUST_CHECK;

/* First and last time that is recorded. 0, DAVY_RECORDING_END or a negative errno with `error` filled. */
int davy_recording_extent(const char *file, davy_wall *ret_first, davy_wall *ret_last, char *error,
                          size_t error_size) DAVY_MUST_CHECK;
