/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside config/: the keys of the tables of gases and presets, and how a load reads them. A table is read when the
 * first rule needs it, from all places that have it, the plant's own first; the first row of a name counts.
 */
#pragma once

#include "config/internal.h"
#include "config/presets.h"
#include "config/schema.h"

struct davy_raw_gas_file {
    double ref_temp_c, ref_press_kpa;
    config_setting_t *gases;
};

struct davy_raw_gas {
    const char *formula, *source, *lel_source, *note;
    config_setting_t *names;
    double molar_mass, mac, twa, stel, idlh, lel, ref_temp_c, ref_press_kpa;
    unsigned basis;
    bool verified, lel_verified;
};

struct davy_raw_preset_file {
    const char *name, *title;
    config_setting_t *presets;
};

/* Keys that a preset has and its limits override. */
struct davy_raw_preset_behaviour {
    double deadband, deadband_percent;
    davy_span on_delay, off_delay;
    bool latch;
};

struct davy_raw_preset {
    struct davy_raw_preset_behaviour behaviour;
    const char *name, *gas, *unit, *source, *note;
    unsigned kind, percent_of, measure;
    config_setting_t *limits[DAVY_LEVEL_COUNT_];
    double zone_ab, baseline_step, baseline_max;
    bool verified;
};

struct davy_raw_preset_limit {
    struct davy_raw_preset_behaviour behaviour;
    double above, below;
    config_setting_t *outside;
};

extern const struct davy_group davy_schema_gas_file, davy_schema_gas, davy_schema_preset_file, davy_schema_preset,
    davy_schema_preset_limit;

/* Those of the tables, ended by NULL. */
extern const struct davy_group *const davy_schema_tables[];

/* A file that was read; its tree stays until the end of the load. */
struct davy_table_file {
    struct davy_table_file *next;
    config_t tree;
    struct davy_source source;
};

/* A row with its place in a file. A diff of two configurations sees the rows that are used. */
struct davy_table_row {
    struct davy_table_row *next;
    const void *row;         /* a davy_gas or davy_preset */
    const char *kind, *name; /* "gases", "H2S" */
    config_setting_t *setting;
    bool used;
};

struct davy_family {
    struct davy_family *next;
    const char *name;
    bool found; /* a file of this name exists */
};

/* What a load knows of them. */
struct davy_tables {
    struct davy_table_file *files;
    struct davy_table_row *rows;
    struct davy_gas *gases;
    bool gases_read, gases_found;
    struct davy_preset *presets;
    struct davy_family *families;
};

/* --- tables.c --- */

/* The tables of a load, made at the first call; NULL without memory. */
struct davy_tables *davy_tables_of(struct davy_loader *loader);

/*
 * Read `name` ("gases.conf") from each place that has it.
 * each     gets the root setting of each file
 * returns  whether any place has it
 */
bool davy_tables_read(struct davy_loader *loader, const char *name,
                      void (*each)(struct davy_loader *loader, config_setting_t *root, const char *file));

/* Remember where a row stands, and that it is used. */
void davy_tables_add_row(struct davy_loader *loader, const struct davy_table_row *row);
void davy_tables_use_row(struct davy_loader *loader, const void *row);

/* --- gases.c --- */

/* All gases; NULL where there is no table (or an empty one). */
const struct davy_gas *davy_gases(struct davy_loader *loader);

/* --- presets.c --- */

/* "FAMILY/ROW"; NULL where there is none, reported at `user`. */
const struct davy_preset *davy_preset_find(struct davy_loader *loader, const config_setting_t *user, const char *name);

/* Read a whole family into the list. Returns whether there is one. */
bool davy_presets_read(struct davy_loader *loader, const char *family);

/* --- convert.c --- */

/*
 * The limits of a rule, which has its points, its measure and the limits that davy_limits_build() read: from here on in
 * the unit of each point, those of the preset too. Reports what cannot be, and warns of what is unwise.
 */
void davy_limits_convert(struct davy_loader *loader, const struct davy_raw_rule *raw, config_setting_t *group,
                         struct davy_rule *rule);

/* What a preset says of a limit of this level, where the rule does not say it itself. */
void davy_preset_inherit(const struct davy_preset *preset, enum davy_level level, config_setting_t *rule,
                         struct davy_raw_behaviour *behaviour);
