/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of gases.conf and presets/FAMILY.conf, as those of the configuration are in schema.c. */
#include "base/attr.h"
#include "config/tables.h"

#define AT(type, field) .offset = offsetof(struct type, field)

#define DAY 86400.0

/* clang-format off */
static const char *const bases[] = {"none", "mac", "twa", "stel", NULL}; /* as enum davy_figure */
static const char *const figures[] = {"none", "mac", "twa", "stel", "idlh", "oel", "ceiling", NULL};

#define REFERENCE(raw, of)                                                                                             \
    {.name = "ref_temp_c", .type = DAVY_OPTION_REAL, AT(raw, ref_temp_c), .min = -50, .max = 100, .unit = "degC",      \
     .otherwise = of "20", .help = "what mg/m3 refers to"},                                                            \
    {.name = "ref_press_kpa", .type = DAVY_OPTION_REAL, AT(raw, ref_press_kpa), .min = 10, .max = 1000, .unit = "kPa", \
     .otherwise = of "101.325", .help = "what mg/m3 refers to"}

static const struct davy_option gas_file_options[] = {
    REFERENCE(davy_raw_gas_file, ""),
    {.name = "gases", .type = DAVY_OPTION_LIST, AT(davy_raw_gas_file, gases), .required = true, .help = "the rows"},
};

#define CONCENTRATION .type = DAVY_OPTION_REAL, .min = 1e-6, .max = 1e7, .unit = "mg/m3", .otherwise = "none"

static const struct davy_option gas_options[] = {
    {.name = "formula", .type = DAVY_OPTION_TEXT, AT(davy_raw_gas, formula), .max = 32, .required = true,
     .help = "as `quantity` of a point has it"},
    {.name = "names", .type = DAVY_OPTION_LIST, AT(davy_raw_gas, names), .otherwise = "none",
     .help = "other names, in any language"},
    {.name = "molar_mass", .type = DAVY_OPTION_REAL, AT(davy_raw_gas, molar_mass), .min = 1, .max = 1000,
     .unit = "g/mol", .required = true, .help = "for ppm and mg/m3"},
    {.name = "mac", CONCENTRATION, AT(davy_raw_gas, mac), .help = "never to be exceeded (MAC)"},
    {.name = "twa", CONCENTRATION, AT(davy_raw_gas, twa), .help = "mean over 8 h (PC-TWA)"},
    {.name = "stel", CONCENTRATION, AT(davy_raw_gas, stel), .help = "mean over 15 min (PC-STEL)"},
    {.name = "basis", .type = DAVY_OPTION_ENUM, AT(davy_raw_gas, basis), .names = bases,
     .allowed = "\"mac\", \"twa\", \"stel\"", .otherwise = "the first that there is",
     .help = "which of them is the OEL"},
    {.name = "idlh", CONCENTRATION, AT(davy_raw_gas, idlh), .help = "immediately dangerous to life or health"},
    {.name = "lel", .type = DAVY_OPTION_REAL, AT(davy_raw_gas, lel), .min = 0.1, .max = 100, .unit = "%vol",
     .otherwise = "none", .help = "lower explosive limit"},
    REFERENCE(davy_raw_gas, "the file's, else "),
    {.name = "source", .type = DAVY_OPTION_TEXT, AT(davy_raw_gas, source), .max = 511,
     .help = "the document of mac, twa, stel, idlh; required with one of them"},
    {.name = "verified", .type = DAVY_OPTION_BOOL, AT(davy_raw_gas, verified), .fallback = "false",
     .help = "whether they were compared with the document itself"},
    {.name = "lel_source", .type = DAVY_OPTION_TEXT, AT(davy_raw_gas, lel_source), .max = 511,
     .help = "the document of lel; required with it"},
    {.name = "lel_verified", .type = DAVY_OPTION_BOOL, AT(davy_raw_gas, lel_verified), .fallback = "false",
     .help = "whether it was compared with the document itself"},
    {.name = "note", .type = DAVY_OPTION_TEXT, AT(davy_raw_gas, note), .max = 1023, .otherwise = "none",
     .help = "what to know before using it"},
};

static const struct davy_option preset_file_options[] = {
    {.name = "name", .type = DAVY_OPTION_ID, AT(davy_raw_preset_file, name), .required = true,
     .help = "that of the file without .conf"},
    {.name = "title", .type = DAVY_OPTION_TEXT, AT(davy_raw_preset_file, title), .required = true,
     .help = "the document and its edition"},
    {.name = "presets", .type = DAVY_OPTION_LIST, AT(davy_raw_preset_file, presets), .required = true,
     .help = "the rows"},
};

/* Keys of a preset that a limit of it overrides; none has a fallback, or the limit's would hide the preset's. */
#define BEHAVIOUR(raw)                                                                                                 \
    {.name = "deadband", .type = DAVY_OPTION_REAL, AT(raw, behaviour.deadband), .min = 0, .max = 1e300,                \
     .otherwise = "0", .help = "in the unit of the limits"},                                                           \
    {.name = "deadband_percent", .type = DAVY_OPTION_REAL, AT(raw, behaviour.deadband_percent), .min = 0, .max = 50,   \
     .otherwise = "none", .help = "of the set-point, in place of `deadband`"},                                         \
    {.name = "on_delay", .type = DAVY_OPTION_SPAN, AT(raw, behaviour.on_delay), .min = 0, .max = 30 * DAY,             \
     .otherwise = "0s", .help = "how long the condition must hold before the limit trips"},                            \
    {.name = "off_delay", .type = DAVY_OPTION_SPAN, AT(raw, behaviour.off_delay), .min = 0, .max = 30 * DAY,           \
     .otherwise = "0s", .help = "how long it must be gone before the limit returns"},                                  \
    {.name = "latch", .type = DAVY_OPTION_BOOL, AT(raw, behaviour.latch), .otherwise = "false",                        \
     .help = "stays until `reset`"}

static const struct davy_option preset_options[] = {
    {.name = "name", .type = DAVY_OPTION_TEXT, AT(davy_raw_preset, name), .max = 96, .required = true,
     .help = "a rule names it as FAMILY/NAME; the name may have slashes itself"},
    {.name = "kind", .type = DAVY_OPTION_ENUM, AT(davy_raw_preset, kind), .required = true, .find = davy_kind_find,
     .allowed = "\"gas\", \"vibration\", \"temperature\", \"other\"", .help = "of the points that it is for"},
    {.name = "gas", .type = DAVY_OPTION_TEXT, AT(davy_raw_preset, gas), .max = 32, .otherwise = "any",
     .help = "formula of the only gas that it is for"},
    {.name = "unit", .type = DAVY_OPTION_TEXT, AT(davy_raw_preset, unit), .max = 16,
     .help = "of its numbers; this or `percent_of` is required"},
    {.name = "percent_of", .type = DAVY_OPTION_ENUM, AT(davy_raw_preset, percent_of), .names = figures,
     .allowed = "\"mac\", \"twa\", \"stel\", \"idlh\", \"oel\", \"ceiling\"", .otherwise = "none",
     .help = "its numbers are per cent of this figure of the gas table; oel is the `basis`, ceiling the MAC, else the "
     "STEL"},
    {.name = "measure", .type = DAVY_OPTION_ENUM, AT(davy_raw_preset, measure), .find = davy_measure_find,
     .allowed = "\"value\", \"stel\", \"twa\"", .otherwise = "\"value\"", .help = "that the rule must have"},
    {.name = "blue", .type = DAVY_OPTION_GROUP, AT(davy_raw_preset, limits[DAVY_LEVEL_BLUE]),
     .help = "a limit; a preset has one to four"},
    {.name = "yellow", .type = DAVY_OPTION_GROUP, AT(davy_raw_preset, limits[DAVY_LEVEL_YELLOW]), .help = "a limit"},
    {.name = "orange", .type = DAVY_OPTION_GROUP, AT(davy_raw_preset, limits[DAVY_LEVEL_ORANGE]), .help = "a limit"},
    {.name = "red", .type = DAVY_OPTION_GROUP, AT(davy_raw_preset, limits[DAVY_LEVEL_RED]), .help = "a limit"},
    BEHAVIOUR(davy_raw_preset),
    {.name = "zone_ab", .type = DAVY_OPTION_REAL, AT(davy_raw_preset, zone_ab), .min = 1e-6, .max = 1e6,
     .otherwise = "none", .help = "vibration: the boundary of the zones A and B, for people; makes no alarm"},
    {.name = "baseline_step", .type = DAVY_OPTION_REAL, AT(davy_raw_preset, baseline_step), .min = 0.01, .max = 10,
     .otherwise = "it takes no baseline",
     .help = "with `baseline` of the rule the orange limit is baseline + this x (B/C)"},
    {.name = "baseline_max", .type = DAVY_OPTION_REAL, AT(davy_raw_preset, baseline_max), .min = 0.01, .max = 10,
     .otherwise = "none", .help = "and at most this x (B/C); required with baseline_step"},
    {.name = "source", .type = DAVY_OPTION_TEXT, AT(davy_raw_preset, source), .max = 511, .required = true,
     .help = "the document, clause or table, and how it was seen"},
    {.name = "verified", .type = DAVY_OPTION_BOOL, AT(davy_raw_preset, verified), .required = true,
     .help = "whether the row was compared with the document itself"},
    {.name = "note", .type = DAVY_OPTION_TEXT, AT(davy_raw_preset, note), .max = 1023, .otherwise = "none",
     .help = "what to know before using it"},
};

static const struct davy_option preset_limit_options[] = {
    {.name = "above", .type = DAVY_OPTION_REAL, AT(davy_raw_preset_limit, above),
     .help = "trips at this value and over it; exactly one of above, below, outside"},
    {.name = "below", .type = DAVY_OPTION_REAL, AT(davy_raw_preset_limit, below),
     .help = "trips at this value and under it"},
    {.name = "outside", .type = DAVY_OPTION_LIST, AT(davy_raw_preset_limit, outside),
     .help = "[low, high]: trips at or below the first, at or above the second"},
    BEHAVIOUR(davy_raw_preset_limit),
};
/* clang-format on */

#define GROUP(noun, called, path)                                                                                      \
    const struct davy_group davy_schema_##noun = {                                                                     \
        .name = called, .where = path, .options = noun##_options, .count = DAVY_LENGTH(noun##_options)}

GROUP(gas_file, "gas table", "gases.conf");
GROUP(gas, "gas", "gases.conf: gases[]");
GROUP(preset_file, "file of presets", "presets/FAMILY.conf");
GROUP(preset, "preset", "presets/FAMILY.conf: presets[]");
GROUP(preset_limit, "limit of a preset", "presets/FAMILY.conf: presets[].LEVEL");

const struct davy_group *const davy_schema_tables[] = {
    &davy_schema_gas_file, &davy_schema_gas,          &davy_schema_preset_file,
    &davy_schema_preset,   &davy_schema_preset_limit, NULL,
};
