/* SPDX-License-Identifier: Apache-2.0 */
/* The registers of one unit on a bus, read once each through the daemon, for whoever judges them. */
#pragma once

#include "ctl/ctl.h"
#include "ctl/verdict.h"

struct unit_words {
    struct ctl *ctl;
    const char *bus;
    int unit;
    struct word_map *map; /* malloc'ed */
    bool answered;        /* once at least */
    bool silent;          /* nothing answers: no more is asked */
    bool trial;           /* what is read is only tried: no second tries, and the first silence ends it */
    bool ended;           /* it has; whoever tries anew clears it */
    char error[256];      /* where it is silent, why */
};

void davy_unit_words_init(struct unit_words *words, struct ctl *ctl, const char *bus, int unit);
void davy_unit_words_done(struct unit_words *words);

/*
 * Read what was not asked for of them. Where the device does not give `count` at once nothing is known of the single
 * ones.
 * returns  CTL_DONE also where the device does not give them; else an exit code, told
 */
int davy_unit_words_fetch(struct unit_words *words, enum davy_table table, int start, int count) DAVY_MUST_CHECK;

/* All that the points and status words of a device of a planned configuration need. */
int davy_unit_words_device(struct unit_words *words, const struct davy_config *config, uint32_t device) DAVY_MUST_CHECK;

/* And the registers beside a point, for what it could be instead. */
int davy_unit_words_beside(struct unit_words *words, const struct davy_point *point) DAVY_MUST_CHECK;
