/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "config/internal.h"

static struct davy_source *source_of(const config_setting_t *setting)
{
    return config_setting_get_hook(config_root_setting(setting->config));
}

struct davy_loader *davy_setting_loader(const config_setting_t *setting)
{
    return source_of(setting)->loader;
}

const char *davy_setting_key(const config_setting_t *setting)
{
    const char *name = config_setting_name(setting);
    const char *end = name && name[0] == '*' ? strchr(name + 1, '*') : NULL;
    return end ? end + 1 : name;
}

bool davy_setting_is_poison(const config_setting_t *setting)
{
    const char *text = config_setting_type(setting) == CONFIG_TYPE_STRING ? config_setting_get_string(setting) : NULL;
    if (!text || text[0] != DAVY_POISON)
        return false;
    davy_setting_error(setting, "%s", text + 1);
    return true;
}

static void put_path(const config_setting_t *setting, struct davy_buf *buf)
{
    config_setting_t *parent = config_setting_parent(setting);
    if (!parent)
        return;
    put_path(parent, buf);
    const char *name = davy_setting_key(setting);
    if (!name)
        davy_buf_printf(buf, "[%d]", config_setting_index(setting));
    else
        davy_buf_printf(buf, "%s%s", buf->length > 0 ? "." : "", name);
}

char *davy_setting_path(const config_setting_t *setting, char text[DAVY_PATH_SIZE])
{
    struct davy_buf buf;
    davy_buf_init(&buf, text, DAVY_PATH_SIZE);
    put_path(setting, &buf);
    return text;
}

/* "GT-101.h2s": the ids and names of the groups around a setting, for people who do not count. */
static void put_ids(const config_setting_t *setting, struct davy_buf *buf)
{
    static const char *const keys[] = {"id", "name"};
    const config_setting_t *parent = config_setting_parent(setting);
    if (parent)
        put_ids(parent, buf);
    if (config_setting_name(setting) || !config_setting_is_group(setting))
        return;
    const char *id = NULL;
    for (size_t i = 0; i < DAVY_LENGTH(keys) && !id; i++) {
        config_setting_t *member = config_setting_get_member(setting, keys[i]);
        id = member ? config_setting_get_string(member) : NULL;
    }
    if (id)
        davy_buf_printf(buf, "%s%s", buf->length > 0 ? "." : "", id);
}

static struct davy_line origin(const struct davy_source *source, const config_setting_t *setting)
{
    unsigned line = config_setting_source_line(setting);
    if (line == 0 || line > source->line_count)
        return (struct davy_line){0, 1}; /* the root has no line of its own */
    return source->lines[line - 1];
}

static void report(const config_setting_t *setting, enum davy_severity severity, const char *message)
{
    struct davy_source *source = source_of(setting);
    struct davy_line at = origin(source, setting);
    char path[DAVY_PATH_SIZE];
    char ids[DAVY_KEY_SIZE];
    struct davy_buf buf;
    davy_buf_init(&buf, ids, sizeof ids);
    put_ids(setting, &buf);
    davy_setting_path(setting, path);
    davy_problems_add(source->loader->problems, severity, source->files[at.file], (int)at.line, path, "%s%s%s%s",
                      message, ids[0] ? " (" : "", ids, ids[0] ? ")" : "");
}

void davy_setting_error(const config_setting_t *setting, const char *format, ...)
{
    char message[640];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    report(setting, DAVY_PROBLEM_ERROR, message);
}

void davy_setting_warning(const config_setting_t *setting, const char *format, ...)
{
    char message[640];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    report(setting, DAVY_PROBLEM_WARNING, message);
}

void davy_setting_later(const config_setting_t *setting)
{
    struct davy_buf *later = &davy_setting_loader(setting)->later;
    char path[DAVY_PATH_SIZE];
    davy_buf_printf(later, "%s%s", later->length > 0 ? ", " : "", davy_setting_path(setting, path));
}

config_setting_t *davy_setting_at(config_setting_t *group, const char *key)
{
    config_setting_t *member = config_setting_get_member(group, key);
    return member ? member : group;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Optimal string alignment: an exchange of neighbours is one edit, as typing goes. Past 31 characters: far. */
static size_t distance(const char *a, const char *b)
{
    enum { SIZE = 32 };
    size_t rows[3][SIZE];
    size_t n = strlen(a), m = strlen(b);
    if (n >= SIZE || m >= SIZE)
        return SIZE;
    for (size_t j = 0; j <= m; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t *now = rows[i % 3];
        const size_t *last = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= m; j++) {
            now[j] = least(least(last[j], now[j - 1]) + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = least(now[j], before[j - 2] + 1);
        }
    }
    return rows[n % 3][m];
}

const char *davy_nearest(const char *name, const char *const *names, size_t count)
{
    const char *nearest = NULL;
    size_t best = strlen(name) <= 3 ? 2 : 3; /* less than this */
    for (size_t i = 0; i < count; i++) {
        size_t d = names[i] && names[i][0] != '?' ? distance(name, names[i]) : best;
        if (d < best) {
            best = d;
            nearest = names[i];
        }
    }
    return nearest;
}
