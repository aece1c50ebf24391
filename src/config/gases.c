/* SPDX-License-Identifier: Apache-2.0 */
/* The gas table: rows of gases.conf. */
#include <string.h>
#include <strings.h>

#include "config/tables.h"

#define GASES_MAX 1000
#define NAMES_MAX 32

const char *davy_figure_name(enum davy_figure figure)
{
    static const char *const names[] = {
        [DAVY_FIGURE_NONE] = "no figure",         [DAVY_FIGURE_MAC] = "MAC",   [DAVY_FIGURE_TWA] = "PC-TWA",
        [DAVY_FIGURE_STEL] = "PC-STEL",           [DAVY_FIGURE_IDLH] = "IDLH", [DAVY_FIGURE_OEL] = "OEL",
        [DAVY_FIGURE_CEILING] = "MAC or PC-STEL",
    };
    _Static_assert(DAVY_LENGTH(names) == DAVY_FIGURE_COUNT_, "every figure has a name");
    return names[figure];
}

static bool is_called(const struct davy_gas *gas, const char *name, int (*compare)(const char *, const char *))
{
    if (compare(gas->formula, name) == 0)
        return true;
    for (size_t i = 0; i < gas->name_count; i++)
        if (compare(gas->names[i], name) == 0)
            return true;
    return false;
}

const struct davy_gas *davy_gas_find(const struct davy_gas *gases, const char *name)
{
    int (*const compares[])(const char *, const char *) = {strcmp, strcasecmp};
    for (size_t i = 0; i < DAVY_LENGTH(compares); i++)
        for (const struct davy_gas *gas = gases; gas; gas = gas->next)
            if (is_called(gas, name, compares[i]))
                return gas;
    return NULL;
}

static void read_names(struct davy_loader *loader, config_setting_t *list, struct davy_gas *gas)
{
    size_t count = davy_list_length(list, NAMES_MAX);
    gas->names = davy_loader_alloc(loader, count, sizeof *gas->names);
    for (size_t i = 0; gas->names && i < count; i++) {
        const char *name = davy_read_text(config_setting_get_elem(list, (unsigned)i), 64);
        const char *copy = name ? davy_loader_text(loader, name) : NULL;
        if (copy)
            gas->names[gas->name_count++] = copy;
    }
}

/* OEL and CEILING from the others. */
static void derive(const struct davy_raw_gas *raw, struct davy_gas *gas, config_setting_t *group)
{
    double *figures = gas->figures;
    gas->basis = (enum davy_figure)raw->basis;
    for (int i = DAVY_FIGURE_MAC; gas->basis == DAVY_FIGURE_NONE && i <= DAVY_FIGURE_STEL; i++)
        if (figures[i] > 0)
            gas->basis = (enum davy_figure)i;
    if (gas->basis != DAVY_FIGURE_NONE && figures[gas->basis] <= 0)
        davy_setting_error(davy_setting_at(group, "basis"), "the row has no %s", davy_figure_name(gas->basis));
    figures[DAVY_FIGURE_OEL] = figures[gas->basis];
    figures[DAVY_FIGURE_CEILING] = figures[figures[DAVY_FIGURE_MAC] > 0 ? DAVY_FIGURE_MAC : DAVY_FIGURE_STEL];
}

static void check_sources(const struct davy_gas *gas, config_setting_t *group)
{
    bool figures = gas->figures[DAVY_FIGURE_OEL] > 0 || gas->figures[DAVY_FIGURE_IDLH] > 0;
    if (figures && !gas->source)
        davy_setting_error(group, "`source` is missing: a limit that nobody can look up is not used");
    if (gas->substance.lel_vol_pct > 0 && !gas->lel_source)
        davy_setting_error(group, "`lel_source` is missing: a limit that nobody can look up is not used");
}

static void build(struct davy_loader *loader, const struct davy_raw_gas *raw, config_setting_t *group,
                  struct davy_gas *gas)
{
    gas->formula = raw->formula;
    gas->substance = (struct davy_substance){.name = raw->formula,
                                             .molar_mass = raw->molar_mass,
                                             .lel_vol_pct = raw->lel,
                                             .ref_temp_c = raw->ref_temp_c,
                                             .ref_press_kpa = raw->ref_press_kpa};
    gas->figures[DAVY_FIGURE_MAC] = raw->mac;
    gas->figures[DAVY_FIGURE_TWA] = raw->twa;
    gas->figures[DAVY_FIGURE_STEL] = raw->stel;
    gas->figures[DAVY_FIGURE_IDLH] = raw->idlh;
    gas->source = raw->source;
    gas->lel_source = raw->lel_source;
    gas->verified = raw->verified;
    gas->lel_verified = raw->lel_verified;
    gas->note = raw->note;
    read_names(loader, raw->names, gas);
    derive(raw, gas, group);
    check_sources(gas, group);
}

/* At the end, unless an earlier file has it; twice in one file is an error. */
static void append(struct davy_loader *loader, struct davy_gas *gas, config_setting_t *group)
{
    struct davy_gas **end = &loader->tables->gases;
    for (; *end; end = &(*end)->next) {
        if (strcmp((*end)->formula, gas->formula) != 0)
            continue;
        if ((*end)->file == gas->file)
            davy_setting_error(davy_setting_at(group, "formula"), "\"%s\" stands twice in this file", gas->formula);
        return;
    }
    *end = gas;
    davy_tables_add_row(loader,
                        &(struct davy_table_row){.row = gas, .kind = "gases", .name = gas->formula, .setting = group});
}

static void read_gases(struct davy_loader *loader, config_setting_t *root, const char *file)
{
    struct davy_raw_gas_file raw = {.ref_temp_c = DAVY_REF_TEMP_C, .ref_press_kpa = DAVY_REF_PRESS_KPA};
    const char *copy = davy_loader_text(loader, file);
    davy_schema_read(root, &davy_schema_gas_file, &raw);
    size_t count = davy_list_length(raw.gases, GASES_MAX);
    for (size_t i = 0; i < count && !loader->failed; i++) {
        struct davy_raw_gas row = {.ref_temp_c = raw.ref_temp_c, .ref_press_kpa = raw.ref_press_kpa};
        config_setting_t *group = config_setting_get_elem(raw.gases, (unsigned)i);
        struct davy_gas *gas = davy_loader_alloc(loader, 1, sizeof *gas);
        if (!davy_schema_read(group, &davy_schema_gas, &row) || !row.formula || !gas)
            continue;
        gas->file = copy;
        build(loader, &row, group, gas);
        append(loader, gas, group);
    }
}

const struct davy_gas *davy_gases(struct davy_loader *loader)
{
    struct davy_tables *tables = davy_tables_of(loader);
    if (tables && !tables->gases_read) {
        tables->gases_read = true;
        tables->gases_found = davy_tables_read(loader, "gases.conf", read_gases);
    }
    return tables ? tables->gases : NULL;
}
