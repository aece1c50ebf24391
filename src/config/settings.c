/* SPDX-License-Identifier: Apache-2.0 */
/* The settings as they stand in the file, flat and sorted, for what compares two configurations. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "config/internal.h"

#define VALUE_SIZE     256
#define VALUE_SIZE_MAX (VALUE_SIZE << 16)

static void put_number(const config_setting_t *setting, struct davy_buf *buf)
{
    char text[DAVY_NUM_TEXT];
    if (config_setting_type(setting) == CONFIG_TYPE_FLOAT)
        davy_buf_text(buf, davy_num_print(config_setting_get_float(setting), text));
    else if (config_setting_type(setting) == CONFIG_TYPE_INT)
        davy_buf_printf(buf, "%d", config_setting_get_int(setting));
    else
        davy_buf_printf(buf, "%lld", config_setting_get_int64(setting));
}

/* A scalar, or a list of scalars, as the file would have it. */
static void put_value(const config_setting_t *setting, struct davy_buf *buf)
{
    switch (config_setting_type(setting)) {
    case CONFIG_TYPE_STRING:
        davy_buf_printf(buf, "\"%s\"", config_setting_get_string(setting));
        return;
    case CONFIG_TYPE_BOOL:
        davy_buf_text(buf, config_setting_get_bool(setting) ? "true" : "false");
        return;
    case CONFIG_TYPE_LIST:
    case CONFIG_TYPE_ARRAY:
        davy_buf_char(buf, '[');
        for (int i = 0; i < config_setting_length(setting); i++) {
            davy_buf_text(buf, i > 0 ? ", " : "");
            put_value(config_setting_get_elem(setting, (unsigned)i), buf);
        }
        davy_buf_char(buf, ']');
        return;
    case CONFIG_TYPE_GROUP:
        davy_buf_text(buf, "{ }");
        return;
    default:
        put_number(setting, buf);
    }
}

/* The whole value, since a diff must see every change; released by the caller. NULL without memory. */
static char *value_of(const config_setting_t *setting)
{
    for (size_t size = VALUE_SIZE; size <= VALUE_SIZE_MAX; size *= 16) {
        char *text = malloc(size);
        struct davy_buf buf;
        if (!text)
            return NULL;
        davy_buf_init(&buf, text, size);
        put_value(setting, &buf);
        if (!buf.overflow || size == VALUE_SIZE_MAX)
            return text;
        free(text);
    }
    return NULL;
}

static bool reserve(struct davy_loader *loader)
{
    struct davy_config *config = loader->config;
    if (config->setting_count < loader->settings_capacity)
        return true;
    size_t capacity = 2 * loader->settings_capacity + 256;
    struct davy_setting *grown = davy_loader_alloc(loader, capacity, sizeof *grown);
    if (!grown)
        return false;
    if (config->setting_count > 0)
        memcpy(grown, config->settings, config->setting_count * sizeof *grown);
    config->settings = grown;
    loader->settings_capacity = capacity;
    return true;
}

static void add(struct davy_loader *loader, const char *path, const config_setting_t *setting)
{
    DAVY_AUTO_FREE char *value = value_of(setting);
    if (!value)
        loader->failed = -ENOMEM;
    if (!value || !reserve(loader))
        return;
    struct davy_setting *added = &loader->config->settings[loader->config->setting_count];
    added->path = davy_loader_text(loader, path);
    added->value = davy_loader_text(loader, value);
    loader->config->setting_count += added->path && added->value;
}

/* What a list's element is called: its id or name, so that an element that moved is still the same. */
static const char *id_of(const config_setting_t *setting)
{
    static const char *const keys[] = {"id", "name"};
    for (size_t i = 0; i < DAVY_LENGTH(keys); i++) {
        config_setting_t *member =
            config_setting_is_group(setting) ? config_setting_get_member(setting, keys[i]) : NULL;
        const char *id = member ? config_setting_get_string(member) : NULL;
        if (id && id[0])
            return id;
    }
    return NULL;
}

static bool has_groups(const config_setting_t *setting)
{
    int type = config_setting_type(setting);
    if (type == CONFIG_TYPE_GROUP)
        return true;
    return type == CONFIG_TYPE_LIST && config_setting_length(setting) > 0 &&
           config_setting_is_group(config_setting_get_elem(setting, 0));
}

static void put_step(struct davy_buf *path, const config_setting_t *setting)
{
    const char *name = config_setting_name(setting);
    const char *id = name ? NULL : id_of(setting);
    if (path->length > 0)
        davy_buf_char(path, '.');
    if (name || id)
        davy_buf_text(path, name ? name : id);
    else
        davy_buf_printf(path, "%d", config_setting_index(setting));
}

static void collect(struct davy_loader *loader, const config_setting_t *setting, struct davy_buf *path)
{
    size_t length = path->length;
    for (int i = 0; i < config_setting_length(setting) && !loader->failed; i++) {
        const config_setting_t *child = config_setting_get_elem(setting, (unsigned)i);
        put_step(path, child);
        if (has_groups(child))
            collect(loader, child, path);
        else
            add(loader, path->text, child);
        path->length = length;
        path->text[length] = '\0';
    }
}

void davy_settings_collect(struct davy_loader *loader, const config_setting_t *root, const char *prefix)
{
    char text[2 * DAVY_PATH_SIZE];
    struct davy_buf path;
    davy_buf_init(&path, text, sizeof text);
    davy_buf_text(&path, prefix);
    collect(loader, root, &path);
}

static int by_path(const void *a, const void *b)
{
    const struct davy_setting *left = a, *right = b;
    return strcmp(left->path, right->path);
}

void davy_settings_sort(struct davy_loader *loader)
{
    struct davy_config *config = loader->config;
    for (struct davy_profile *p = loader->profiles; p; p = p->next) {
        char prefix[DAVY_PATH_SIZE];
        struct davy_buf buf;
        davy_buf_init(&buf, prefix, sizeof prefix);
        davy_buf_printf(&buf, "profiles.%s", p->name);
        if (p->from_file && !p->bad)
            davy_settings_collect(loader, config_root_setting(&p->tree), prefix);
    }
    davy_tables_collect(loader);
    if (!loader->failed && config->setting_count > 0)
        qsort(config->settings, config->setting_count, sizeof *config->settings, by_path);
}
