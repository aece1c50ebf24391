/* SPDX-License-Identifier: Apache-2.0 */
/* Presets: rows of presets/FAMILY.conf. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "config/tables.h"

#define ROWS_MAX   1000
#define ROWS_NAMED 64 /* looked at for the nearest name */

static bool has(config_setting_t *group, const char *key)
{
    return config_setting_get_member(group, key) != NULL;
}

static void copy_behaviour(const struct davy_raw_preset_behaviour *raw, struct davy_preset_limit *limit)
{
    limit->deadband = raw->deadband;
    limit->deadband_percent = raw->deadband_percent;
    limit->on_delay = raw->on_delay;
    limit->off_delay = raw->off_delay;
    limit->latch = raw->latch;
}

static bool read_bounds(const struct davy_raw_preset_limit *raw, config_setting_t *group,
                        struct davy_preset_limit *limit)
{
    bool above = has(group, "above"), below = has(group, "below"), outside = has(group, "outside");
    if (above + below + outside != 1) {
        davy_setting_error(group, "exactly one of `above`, `below`, `outside` is required");
        return false;
    }
    limit->condition = above ? DAVY_CONDITION_ABOVE : below ? DAVY_CONDITION_BELOW : DAVY_CONDITION_OUTSIDE;
    if (outside)
        return raw->outside && davy_read_pair(raw->outside, &limit->a, &limit->b);
    limit->a = above ? raw->above : raw->below;
    return !isnan(limit->a); /* a wrong one was reported when it was read */
}

static void build_limit(config_setting_t *group, const struct davy_raw_preset *row, struct davy_preset_limit *limit)
{
    struct davy_raw_preset_limit raw = {.behaviour = row->behaviour, .above = (double)NAN, .below = (double)NAN};
    if (has(group, "deadband"))
        raw.behaviour.deadband_percent = 0;
    davy_schema_read(group, &davy_schema_preset_limit, &raw);
    copy_behaviour(&raw.behaviour, limit);
    limit->given = read_bounds(&raw, group, limit);
}

/* What cannot be said by the keys one by one. */
static void check(const struct davy_preset *preset, config_setting_t *group)
{
    bool any = false;
    for (int level = DAVY_LEVEL_BLUE; level < DAVY_LEVEL_COUNT_; level++)
        any = any || preset->limits[level].given;
    if (!any)
        davy_setting_error(group, "has no limit; `blue`, `yellow`, `orange` or `red` is required");
    if (has(group, "unit") == has(group, "percent_of"))
        davy_setting_error(group, "exactly one of `unit` and `percent_of` is required");
    if (has(group, "deadband") && has(group, "deadband_percent"))
        davy_setting_error(davy_setting_at(group, "deadband"), "and `deadband_percent` exclude each other");
    if (preset->percent_of != DAVY_FIGURE_NONE && preset->kind != DAVY_KIND_GAS)
        davy_setting_error(davy_setting_at(group, "percent_of"), "has no meaning for a kind other than \"gas\"");
    if (!davy_unit_is_known(preset->unit))
        davy_setting_error(davy_setting_at(group, "unit"), "\"%s\" is not a unit that is known", preset->unit);
    if (preset->measure != DAVY_MEASURE_VALUE && preset->measure != DAVY_MEASURE_STEL &&
        preset->measure != DAVY_MEASURE_TWA)
        davy_setting_error(davy_setting_at(group, "measure"), "is \"value\", \"stel\" or \"twa\"");
    bool alarm =
        preset->limits[DAVY_LEVEL_ORANGE].given && preset->limits[DAVY_LEVEL_ORANGE].condition == DAVY_CONDITION_ABOVE;
    if (has(group, "baseline_step") != has(group, "baseline_max") || (has(group, "baseline_step") && !alarm))
        davy_setting_error(group, "`baseline_step` needs `baseline_max` and an orange limit `above`");
}

static void build(struct davy_loader *loader, const char *family, const struct davy_raw_preset *raw,
                  config_setting_t *group, struct davy_preset *preset)
{
    char name[2 * DAVY_PATH_SIZE];
    struct davy_buf buf;
    davy_buf_init(&buf, name, sizeof name);
    davy_buf_printf(&buf, "%s/%s", family, raw->name);
    preset->name = davy_loader_text(loader, name);
    preset->kind = (enum davy_kind)raw->kind;
    preset->gas = raw->gas;
    preset->percent_of = (enum davy_figure)raw->percent_of;
    preset->unit = raw->unit ? raw->unit : davy_loader_text(loader, "mg/m3");
    preset->measure = (enum davy_measure)raw->measure;
    copy_behaviour(&raw->behaviour, &preset->others);
    for (int level = DAVY_LEVEL_BLUE; level < DAVY_LEVEL_COUNT_; level++)
        if (raw->limits[level])
            build_limit(raw->limits[level], raw, &preset->limits[level]);
    preset->zone_ab = raw->zone_ab;
    preset->baseline_step = raw->baseline_step;
    preset->baseline_max = raw->baseline_max;
    preset->source = raw->source;
    preset->verified = raw->verified;
    preset->note = raw->note;
    if (preset->unit)
        check(preset, group);
}

/* At the end, unless an earlier file has it; twice in one file is an error. */
static void append(struct davy_loader *loader, struct davy_preset *preset, config_setting_t *group)
{
    struct davy_preset **end = &loader->tables->presets;
    for (; *end; end = &(*end)->next) {
        if (!preset->name || strcmp((*end)->name, preset->name) != 0)
            continue;
        if ((*end)->file == preset->file)
            davy_setting_error(davy_setting_at(group, "name"), "\"%s\" stands twice in this file", preset->name);
        return;
    }
    if (!preset->name)
        return;
    *end = preset;
    davy_tables_add_row(
        loader, &(struct davy_table_row){.row = preset, .kind = "presets", .name = preset->name, .setting = group});
}

/* The family is the one that was looked for last. */
static void read_presets(struct davy_loader *loader, config_setting_t *root, const char *file)
{
    struct davy_raw_preset_file raw = {0};
    const char *family = loader->tables->families->name, *copy = davy_loader_text(loader, file);
    davy_schema_read(root, &davy_schema_preset_file, &raw);
    if (raw.name && strcmp(raw.name, family) != 0)
        davy_setting_error(davy_setting_at(root, "name"), "\"%s\" is not the name of the file", raw.name);
    size_t count = davy_list_length(raw.presets, ROWS_MAX);
    for (size_t i = 0; i < count && !loader->failed; i++) {
        struct davy_raw_preset row = {0};
        config_setting_t *group = config_setting_get_elem(raw.presets, (unsigned)i);
        struct davy_preset *preset = davy_loader_alloc(loader, 1, sizeof *preset);
        if (!davy_schema_read(group, &davy_schema_preset, &row) || !row.name || !preset)
            continue;
        preset->title = raw.title;
        preset->file = copy;
        build(loader, family, &row, group, preset);
        append(loader, preset, group);
    }
}

bool davy_presets_read(struct davy_loader *loader, const char *family)
{
    struct davy_tables *tables = davy_tables_of(loader);
    if (!tables || !family)
        return false;
    for (struct davy_family *f = tables->families; f; f = f->next)
        if (strcmp(f->name, family) == 0)
            return f->found;
    struct davy_family *added = calloc(1, sizeof *added);
    if (!added) {
        loader->failed = -ENOMEM;
        return false;
    }
    char path[DAVY_PATH_SIZE];
    struct davy_buf buf;
    davy_buf_init(&buf, path, sizeof path);
    davy_buf_printf(&buf, "presets/%s.conf", family);
    *added = (struct davy_family){.next = tables->families, .name = family};
    tables->families = added;
    added->found = davy_tables_read(loader, path, read_presets);
    return added->found;
}

/* The nearest row of the family, and the others, for people. */
static void not_found(struct davy_loader *loader, const config_setting_t *user, const char *name, const char *family)
{
    char known[400];
    struct davy_buf buf;
    const char *rows[ROWS_NAMED];
    size_t count = 0;
    davy_buf_init(&buf, known, sizeof known);
    for (const struct davy_preset *p = loader->tables->presets; p; p = p->next) {
        if (strncmp(p->name, family, strlen(family)) != 0 || p->name[strlen(family)] != '/')
            continue;
        davy_buf_printf(&buf, "%s%s", buf.length > 0 ? ", " : "", p->name);
        if (count < ROWS_NAMED)
            rows[count++] = p->name;
    }
    const char *nearest = davy_nearest(name, rows, count);
    davy_setting_error(user, "there is no preset \"%.64s\"%s%s%s The file has %s%s", name,
                       nearest ? "; did you mean \"" : "", nearest ? nearest : "", nearest ? "\"?" : ".",
                       buf.length > 0 ? known : "none", buf.overflow ? " ..." : "");
}

static void no_family(struct davy_loader *loader, const config_setting_t *user, const char *name, const char *family)
{
    static const char *const shipped[] = {"gb50493",    "gbzt223",    "gb30871",    "gbz2.1",
                                          "iso10816-1", "iso10816-3", "iso10816-7", "iso10816-21"};
    const char *nearest = davy_nearest(family, shipped, DAVY_LENGTH(shipped));
    if (nearest && strcmp(nearest, family) == 0) /* a table that is not installed */
        nearest = NULL;
    char path[DAVY_PATH_SIZE];
    struct davy_buf buf;
    davy_buf_init(&buf, path, sizeof path);
    davy_buf_printf(&buf, "presets/%s.conf", family);
    DAVY_AUTO_FREE char *last = davy_loader_place(loader, DAVY_PLACES - 1, path);
    davy_setting_error(
        user,
        "there is no preset \"%.64s\": neither %s%s nor /etc/davy/%s nor %s exists%s%s%s; davyctl presets "
        "lists what there is",
        name, loader->folder, path, path, last ? last : path, nearest ? "; did you mean \"" : "",
        nearest ? nearest : "", nearest ? "/...\"?" : "");
}

const struct davy_preset *davy_preset_find(struct davy_loader *loader, const config_setting_t *user, const char *name)
{
    char family[DAVY_ID_MAX + 1];
    size_t length = strcspn(name, "/");
    struct davy_buf buf;
    davy_buf_init(&buf, family, sizeof family);
    davy_buf_bytes(&buf, name, length);
    if (name[length] != '/' || buf.overflow || !davy_is_id(family)) {
        davy_setting_error(user, "\"%.64s\" is not the name of a preset, like \"iso10816-3/group2/rigid\"", name);
        return NULL;
    }
    if (!davy_presets_read(loader, davy_loader_text(loader, family))) {
        if (!loader->failed)
            no_family(loader, user, name, family);
        return NULL;
    }
    for (const struct davy_preset *p = loader->tables->presets; p; p = p->next)
        if (strcmp(p->name, name) == 0) {
            davy_tables_use_row(loader, p);
            return p;
        }
    not_found(loader, user, name, family);
    return NULL;
}
