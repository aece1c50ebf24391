/* SPDX-License-Identifier: Apache-2.0 */
#include "config/load.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/internal.h"
#include "config/schema.h"

void *davy_loader_alloc(struct davy_loader *loader, size_t count, size_t size)
{
    void *memory = davy_config_alloc(loader->config, count, size);
    if (!memory)
        loader->failed = -ENOMEM;
    return memory;
}

const char *davy_loader_text(struct davy_loader *loader, const char *text)
{
    const char *copy = davy_config_text(loader->config, text);
    if (!copy && text)
        loader->failed = -ENOMEM;
    return copy;
}

size_t davy_list_length(config_setting_t *list, size_t max)
{
    int length = list ? config_setting_length(list) : 0;
    if (length >= 0 && (size_t)length <= max)
        return (size_t)length;
    davy_setting_error(list, "has %d entries; %zu are allowed", length, max);
    return 0;
}

static char *folder_of(const char *file)
{
    const char *slash = strrchr(file, '/');
    return slash ? strndup(file, (size_t)(slash - file) + 1) : strdup("");
}

bool davy_loader_init(struct davy_loader *loader, const char *file)
{
    davy_buf_init(&loader->later, loader->later_text, sizeof loader->later_text);
    loader->now = davy_clock_now(&davy_system_clock).wall;
    loader->config = davy_config_new();
    loader->folder = folder_of(file);
    davy_sha256_init(&loader->digest);
    return loader->config && loader->folder;
}

void davy_loader_done(struct davy_loader *loader)
{
    davy_tables_done(loader);
    davy_profiles_done(loader);
    davy_config_unref(loader->config);
    free(loader->folder);
    free(loader->bus_settings);
    free(loader->device_settings);
    free(loader->point_settings);
    free(loader->point_used);
}

static void put_hash(struct davy_loader *loader)
{
    uint8_t bytes[DAVY_SHA256_SIZE];
    struct davy_buf buf;
    davy_buf_init(&buf, loader->config->hash, sizeof loader->config->hash);
    davy_sha256_done(&loader->digest, bytes);
    davy_buf_text(&buf, "sha256:");
    for (unsigned i = 0; i < sizeof bytes; i++)
        davy_buf_printf(&buf, "%02x", bytes[i]);
}

static void warn_later(struct davy_loader *loader, const char *file)
{
    if (loader->later.length > 0)
        davy_problems_add(loader->problems, DAVY_PROBLEM_WARNING, file, 0, NULL, "not in effect yet: %s%s",
                          loader->later.text, loader->later.overflow ? " ..." : "");
}

/* A thresholds.conf by itself: one word for it, in place of all that it lacks. */
static bool is_part(config_setting_t *root)
{
    return config_setting_get_member(root, "rules") && !config_setting_get_member(root, "gateway") &&
           !config_setting_get_member(root, "buses") && !config_setting_get_member(root, "devices");
}

/* In the order in which one refers to another. */
static void build(struct davy_loader *loader, config_setting_t *root)
{
    struct davy_raw_root raw = {0};
    if (is_part(root)) {
        davy_setting_error(root, "this file has rules only and is meant to be included: check the davyd.conf that "
                                 "includes it");
        return;
    }
    davy_schema_read(root, &davy_schema_root, &raw);
    davy_gateway_build(loader, raw.gateway);
    davy_mqtt_build(loader, raw.mqtt);
    davy_storage_build(loader, raw.storage);
    davy_buses_build(loader, raw.buses);
    davy_zones_build(loader, raw.zones);
    if (!loader->failed)
        davy_profiles_read_inline(loader, raw.profiles);
    if (!loader->failed)
        davy_devices_build(loader, raw.devices);
    if (!loader->failed)
        davy_rules_build(loader, raw.rules);
    if (!loader->failed)
        davy_config_check(loader);
    if (!loader->failed && loader->problems->errors == 0 && loader->config->rule_count == 0)
        davy_setting_warning(raw.rules ? raw.rules : root,
                             "there is no rule: nothing but faults will ever be in alarm");
    davy_settings_collect(loader, root, "");
    davy_settings_sort(loader);
}

static void read_tree(struct davy_loader *loader, struct davy_source *source)
{
    config_t tree;
    config_init(&tree);
    if (davy_source_parse(source, &tree)) {
        build(loader, config_root_setting(&tree));
        warn_later(loader, source->files[0]);
    }
    config_destroy(&tree);
}

static int by_place(const void *a, const void *b)
{
    const struct davy_problem *left = a, *right = b;
    int files = strcmp(left->file ? left->file : "", right->file ? right->file : "");
    if (files != 0)
        return files;
    if (left->line != right->line)
        return left->line < right->line ? -1 : 1;
    return strcmp(left->path ? left->path : "", right->path ? right->path : "");
}

/* The result of a load: the configuration leaves the loader only when all is well. */
static int finish(struct davy_loader *loader, const struct davy_problems *before, struct davy_config **ret_config)
{
    struct davy_problems *problems = loader->problems;
    if (problems->count > before->count) /* as one works through a file, whoever found them */
        qsort(problems->items + before->count, problems->count - before->count, sizeof *problems->items, by_place);
    if (loader->failed)
        return loader->failed;
    if (problems->errors > before->errors)
        return DAVY_CONFIG_BAD;
    put_hash(loader);
    *ret_config = loader->config;
    loader->config = NULL;
    return loader->failed;
}

int davy_config_load(const char *file, struct davy_problems *problems, struct davy_config **ret_config)
{
    struct davy_loader loader = {.problems = problems};
    struct davy_source source = {0};
    const struct davy_problems before = *problems;
    int rc = -ENOMEM;
    if (davy_loader_init(&loader, file)) {
        loader.config->file = davy_loader_text(&loader, file);
        if (davy_source_read(&source, &loader, file))
            read_tree(&loader, &source);
        rc = finish(&loader, &before, ret_config);
    }
    davy_source_done(&source);
    davy_loader_done(&loader);
    return rc;
}

static int load_text(struct davy_loader *loader, const char *name, const char *text, size_t length,
                     struct davy_config **ret_config)
{
    struct davy_source source = {0};
    const struct davy_problems before = *loader->problems;
    int rc = -ENOMEM;
    if (davy_loader_init(loader, name)) {
        loader->config->file = davy_loader_text(loader, name);
        if (davy_source_read_text(&source, loader, name, text, length))
            read_tree(loader, &source);
        rc = finish(loader, &before, ret_config);
    }
    davy_source_done(&source);
    davy_loader_done(loader);
    return rc;
}

int davy_config_load_text(const char *name, const char *text, size_t length, struct davy_problems *problems,
                          struct davy_config **ret_config)
{
    struct davy_loader loader = {.problems = problems, .no_files = true};
    return load_text(&loader, name, text, length, ret_config);
}

int davy_config_load_beside(const char *file, const char *text, size_t length, struct davy_problems *problems,
                            struct davy_config **ret_config)
{
    struct davy_loader loader = {.problems = problems};
    return load_text(&loader, file, text, length, ret_config);
}
