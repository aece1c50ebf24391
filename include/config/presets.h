/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shipped tables: what is known of gases (gases.conf) and sets of limits by name (presets/FAMILY.conf), each row
 * with its source and whether it was verified. Rows of the plant's own files go before the shipped ones.
 */
#pragma once

#include "config/problems.h"
#include "config/units.h"
#include "model/config.h"

/* A figure of a gas, in mg/m3. OEL is the one that its row names as basis, CEILING the MAC, else the STEL. */
enum davy_figure {
    DAVY_FIGURE_NONE,
    DAVY_FIGURE_MAC,
    DAVY_FIGURE_TWA,
    DAVY_FIGURE_STEL,
    DAVY_FIGURE_IDLH,
    DAVY_FIGURE_OEL,
    DAVY_FIGURE_CEILING,
    DAVY_FIGURE_COUNT_
};

struct davy_gas {
    struct davy_gas *next;
    const char *formula;
    const char **names;
    size_t name_count;
    struct davy_substance substance;
    double figures[DAVY_FIGURE_COUNT_]; /* mg/m3; 0: none */
    enum davy_figure basis;             /* MAC, TWA, STEL; NONE where it has no limits */
    const char *source;                 /* of the figures; NULL where it has none */
    const char *lel_source;             /* NULL where it has no LEL */
    bool verified, lel_verified;
    const char *note; /* NULL: none */
    const char *file;
};

/* A limit of a preset, or what it says of levels that it has no limit for. */
struct davy_preset_limit {
    bool given;
    enum davy_condition condition; /* ABOVE, BELOW, OUTSIDE */
    double a, b;                   /* in the preset's unit, or per cent of its figure */
    double deadband;               /* likewise */
    double deadband_percent;       /* of the set-point; not 0: in place of deadband */
    davy_span on_delay, off_delay;
    bool latch;
};

struct davy_preset {
    struct davy_preset *next;
    const char *name; /* "FAMILY/ROW" */
    const char *title;
    enum davy_kind kind;         /* of the points that it is for */
    const char *gas;             /* NULL: any */
    const char *unit;            /* "mg/m3" where it takes a figure of the gas table */
    enum davy_figure percent_of; /* NONE: the limits are in `unit` */
    enum davy_measure measure;   /* VALUE, STEL, TWA */
    struct davy_preset_limit limits[DAVY_LEVEL_COUNT_];
    struct davy_preset_limit others; /* of levels without one; not given */
    double zone_ab;                  /* vibration: for people, no limit; 0: none */
    double baseline_step;            /* ALARM = baseline + step * (B/C); 0: takes no baseline */
    double baseline_max;             /* and at most this * (B/C) */
    const char *source;
    bool verified;
    const char *note; /* NULL: none */
    const char *file;
};

/* "MAC", "PC-TWA" …: how people call it. */
const char *davy_figure_name(enum davy_figure figure);

/* All rows, for people to look at. */
struct davy_tables_view {
    struct davy_config *owner; /* of everything below */
    const struct davy_gas *gases;
    const struct davy_preset *presets;
};

/*
 * Read all tables as a configuration in `folder` ("/etc/davy/") would see them. Blocks on the file system.
 * problems  gets what is wrong with them
 * returns   0, DAVY_CONFIG_BAD (load.h), or -ENOMEM
 */
int davy_tables_view_read(const char *folder, struct davy_problems *problems,
                          struct davy_tables_view *ret_view) DAVY_MUST_CHECK;

/* The data folder that is searched last: $DAVY_DATADIR, else the installed one. Static or of the environment. */
const char *davy_tables_shipped(void);

/* Repeatable; zeros are an empty view. */
void davy_tables_view_done(struct davy_tables_view *view);

/* The gas that is called so, by formula or name, upper and lower case alike where no case fits exactly; or NULL. */
const struct davy_gas *davy_gas_find(const struct davy_gas *gases, const char *name);
