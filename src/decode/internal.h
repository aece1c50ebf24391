/* SPDX-License-Identifier: Apache-2.0 */
/* The decoder's state, shared by decode.c (blocks to readings) and survive.c (inhibits, restart, reset). */
#pragma once

#include "decode/decode.h"

/* One status word of a device, shared by all points that it qualifies. */
struct word {
    uint32_t device;
    enum davy_table table;
    uint16_t address;
    bool known; /* false: never read, or lost since */
    uint16_t raw;
};

/* A status of a point and the word that it looks at. */
struct link {
    const struct davy_status *status;
    size_t word;
};

struct memory {
    size_t first_link;
    size_t link_count;
    int settling;                     /* readings still to settle */
    bool latched;                     /* over-range until reset */
    bool told_latched, told_settling; /* as davy_decoder_tell() last said */
    bool untold;                      /* and it was not taken */
    bool inhibited;
    davy_mono inhibited_since; /* by status bits */
    bool has_last;             /* of points with a max_rate: */
    double last;               /* the newest value, of whatever quality */
    davy_mono last_at;
};

/* An operator's inhibit of a device. */
struct inhibit {
    struct davy_inhibit is;  /* until.mono.ns = 0: none */
    struct davy_inhibit was; /* as davy_decoder_tell_device() last said */
};

struct davy_decoder {
    const struct davy_config *config;
    struct word *words; /* grouped by device, as points are */
    size_t word_count;
    struct link *links;
    size_t link_count;
    struct memory *points;    /* by index of the point */
    bool *silent;             /* by request: its last block was without an answer */
    struct inhibit *inhibits; /* by index of the device */
};

/* Whether an operator inhibits the device at `now`. */
bool inhibit_holds(const struct davy_decoder *decoder, uint32_t device, davy_mono now);

/* What is known of the devices that stay (by id) goes over from the old decoder. */
void inhibits_keep(const struct davy_decoder *old, struct davy_decoder *decoder);
