/* SPDX-License-Identifier: Apache-2.0 */
/* Where tables lie, and how they are read; what is in them is for gases.c and presets.c. */
#include "config/tables.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "config/load.h"
#include "davy_build.h"

const char *davy_tables_shipped(void)
{
    const char *data = secure_getenv("DAVY_DATADIR");
    return data && data[0] ? data : DAVY_DATADIR;
}

char *davy_loader_place(const struct davy_loader *loader, size_t place, const char *name)
{
    const char *const folders[DAVY_PLACES] = {loader->folder, DAVY_CONFDIR "/", davy_tables_shipped()};
    char *file;
    if (asprintf(&file, "%s%s%s", folders[place], place == DAVY_PLACES - 1 ? "/" : "", name) < 0)
        return NULL;
    return file;
}

struct davy_tables *davy_tables_of(struct davy_loader *loader)
{
    if (!loader->tables)
        loader->tables = calloc(1, sizeof *loader->tables);
    if (!loader->tables)
        loader->failed = -ENOMEM;
    return loader->tables;
}

static bool read_file(struct davy_loader *loader, const char *file,
                      void (*each)(struct davy_loader *loader, config_setting_t *root, const char *file))
{
    struct davy_table_file *table = calloc(1, sizeof *table);
    if (!table) {
        loader->failed = -ENOMEM;
        return false;
    }
    config_init(&table->tree);
    table->next = loader->tables->files;
    loader->tables->files = table;
    if (davy_source_read(&table->source, loader, file) && davy_source_parse(&table->source, &table->tree))
        each(loader, config_root_setting(&table->tree), file);
    return true;
}

bool davy_tables_read(struct davy_loader *loader, const char *name,
                      void (*each)(struct davy_loader *loader, config_setting_t *root, const char *file))
{
    bool found = false;
    struct stat seen[DAVY_PLACES] = {0};
    for (size_t place = 0; !loader->no_files && !loader->failed && place < DAVY_PLACES; place++) {
        DAVY_AUTO_FREE char *file = davy_loader_place(loader, place, name);
        bool twice = false;
        if (!file || stat(file, &seen[place]) < 0)
            continue;
        for (size_t i = 0; i < place; i++) /* where the configuration itself lies in one of the folders */
            twice = twice || (seen[i].st_ino == seen[place].st_ino && seen[i].st_dev == seen[place].st_dev);
        if (!twice)
            found = read_file(loader, file, each) || found;
    }
    return found;
}

void davy_tables_add_row(struct davy_loader *loader, const struct davy_table_row *row)
{
    struct davy_table_row *added = davy_loader_alloc(loader, 1, sizeof *added);
    if (!added)
        return;
    *added = *row;
    added->next = loader->tables->rows;
    loader->tables->rows = added;
}

void davy_tables_use_row(struct davy_loader *loader, const void *row)
{
    for (struct davy_table_row *r = loader->tables->rows; r; r = r->next)
        if (r->row == row) {
            r->used = true;
            return;
        }
}

void davy_tables_collect(struct davy_loader *loader)
{
    struct davy_table_row *row = loader->tables ? loader->tables->rows : NULL;
    for (; row && !loader->failed; row = row->next) {
        char prefix[DAVY_PATH_SIZE];
        struct davy_buf buf;
        davy_buf_init(&buf, prefix, sizeof prefix);
        davy_buf_printf(&buf, "%s.%s", row->kind, row->name);
        if (row->used)
            davy_settings_collect(loader, row->setting, prefix);
    }
}

void davy_tables_done(struct davy_loader *loader)
{
    struct davy_tables *tables = loader->tables;
    while (tables && tables->files) {
        struct davy_table_file *next = tables->files->next;
        config_destroy(&tables->files->tree);
        davy_source_done(&tables->files->source);
        free(tables->files);
        tables->files = next;
    }
    while (tables && tables->families) {
        struct davy_family *next = tables->families->next;
        free(tables->families);
        tables->families = next;
    }
    free(tables);
    loader->tables = NULL;
}

static int is_table(const struct dirent *entry)
{
    size_t length = strlen(entry->d_name);
    return length > 5 && strcmp(entry->d_name + length - 5, ".conf") == 0;
}

/* Every family of a folder, by name. */
static void read_families(struct davy_loader *loader, const char *folder)
{
    struct dirent **entries = NULL;
    int count = scandir(folder, &entries, is_table, alphasort);
    for (int i = 0; i < count; i++) {
        const char *family = entries[i]->d_name;
        entries[i]->d_name[strlen(family) - 5] = '\0';
        davy_presets_read(loader, davy_loader_text(loader, family));
        free(entries[i]);
    }
    free(entries);
}

int davy_tables_view_read(const char *folder, struct davy_problems *problems, struct davy_tables_view *ret_view)
{
    struct davy_loader loader = {.problems = problems};
    size_t errors = problems->errors;
    int rc = -ENOMEM;
    if (davy_loader_init(&loader, folder) && davy_tables_of(&loader)) {
        davy_gases(&loader);
        for (size_t place = 0; place < DAVY_PLACES; place++) {
            DAVY_AUTO_FREE char *presets = davy_loader_place(&loader, place, "presets");
            if (presets)
                read_families(&loader, presets);
        }
        rc = loader.failed ? loader.failed : problems->errors > errors ? DAVY_CONFIG_BAD : 0;
        *ret_view = (struct davy_tables_view){loader.config, loader.tables->gases, loader.tables->presets};
        loader.config = NULL;
    }
    davy_loader_done(&loader);
    return rc;
}

void davy_tables_view_done(struct davy_tables_view *view)
{
    davy_config_unref(view->owner);
    *view = (struct davy_tables_view){0};
}
