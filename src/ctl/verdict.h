/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether what a device's registers hold looks like what its profile says, and what else would. Pure but for the memory
 * of a decoder while it judges.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "model/config.h"
#include "model/reading.h"

#define REGISTERS 65536

enum word_state { WORD_UNREAD, WORD_KNOWN, WORD_REFUSED, WORD_SILENT };

/* What is known of one unit's registers and bits. All zero: nothing. A megabyte: for the heap. */
struct word_map {
    uint8_t state[DAVY_TABLE_COUNT_][REGISTERS]; /* enum word_state */
    uint8_t exception[DAVY_TABLE_COUNT_][REGISTERS];
    uint16_t value[DAVY_TABLE_COUNT_][REGISTERS];
};

enum verdict {
    VERDICT_RIGHT,    /* looks like a measurement, within the range where there is one */
    VERDICT_ZERO,     /* as a quiet sensor has it, and as nothing has it */
    VERDICT_DOUBTFUL, /* cannot be one, or not of this range */
    VERDICT_REFUSED,  /* the device refuses to give its registers */
    VERDICT_SILENT,   /* no reply */
    VERDICT_COUNT_
};

struct judgement {
    enum verdict verdict;
    struct davy_reading reading; /* as the daemon would make it from these registers */
    char why[160];               /* unless it looks right */
    char hint[200];              /* what would look right: keys of the configuration; "" for nothing */
};

/* "looks right" and so on. */
const char *davy_verdict_name(enum verdict verdict);

/* Registers, or bits, that a point takes. */
unsigned davy_verdict_width(const struct davy_point *point);

/* Whether a status word that is known says what `status` looks for. */
bool davy_verdict_holds(const struct davy_status *status, const struct word_map *map);

/*
 * Judge each point of a device.
 * config          planned (acquire/request.h)
 * ret_judgements  room for the point_count of the device, in its order
 * returns         0 or -ENOMEM
 */
int davy_verdict_points(const struct davy_config *config, uint32_t device, const struct word_map *map,
                        struct judgement *ret_judgements) DAVY_MUST_CHECK;

/* Every register of it that is known is zero, and one is known. */
bool davy_verdict_all_zero(const struct davy_config *config, uint32_t device, const struct word_map *map);

/*
 * How much speaks for a profile, 0 to 1. A float that looks like a measurement says much, a whole number, which any
 * register is, little; so one of many points that all fit comes before one of a few. A device that tells a fault, which
 * is how profiles tell that it is another one, has half of it.
 */
double davy_verdict_score(const struct davy_config *config, uint32_t device, const struct word_map *map,
                          const struct judgement *judgements);
