/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/reader.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "base/num.h"

static void write_path(FILE *out, const config_setting_t *at)
{
    const config_setting_t *parent = config_setting_parent(at);
    if (!parent)
        return;
    write_path(out, parent);
    const char *name = config_setting_name(at);
    if (name)
        fprintf(out, "%s%s", config_setting_is_root(parent) ? "" : ".", name);
    else
        fprintf(out, "[%d]", config_setting_index(at));
}

void davy_sim_reader_problem(struct davy_sim_reader *r, const config_setting_t *at, const char *format, ...)
{
    fprintf(r->problems, "%s:%u: ", r->file, config_setting_source_line(at));
    write_path(r->problems, at);
    if (!config_setting_is_root(at))
        fputs(": ", r->problems);
    va_list args;
    va_start(args, format);
    vfprintf(r->problems, format, args);
    va_end(args);
    fputc('\n', r->problems);
    r->count++;
}

static bool is_allowed(const char *name, const char *const *allowed)
{
    for (; *allowed; allowed++)
        if (strcmp(name, *allowed) == 0)
            return true;
    return false;
}

bool davy_sim_reader_keys(struct davy_sim_reader *r, const config_setting_t *group, const char *const *allowed)
{
    if (config_setting_type(group) != CONFIG_TYPE_GROUP) {
        davy_sim_reader_problem(r, group, "a group { … } is expected");
        return false;
    }
    for (int i = 0; i < config_setting_length(group); i++) {
        const config_setting_t *member = config_setting_get_elem(group, (unsigned)i);
        if (!is_allowed(config_setting_name(member), allowed))
            davy_sim_reader_problem(r, member, "there is no such key");
    }
    return true;
}

static const config_setting_t *member(struct davy_sim_reader *r, const config_setting_t *group, const char *key,
                                      bool required)
{
    const config_setting_t *setting = config_setting_get_member(group, key);
    if (!setting && required)
        davy_sim_reader_problem(r, group, "%s is missing", key);
    return setting;
}

const char *davy_sim_reader_text(struct davy_sim_reader *r, const config_setting_t *group, const char *key,
                                 const char *fallback)
{
    const config_setting_t *setting = member(r, group, key, fallback == NULL);
    if (!setting)
        return fallback ? fallback : "";
    const char *text = config_setting_get_string(setting);
    if (!text)
        davy_sim_reader_problem(r, setting, "a text in quotes is expected");
    return text ? text : "";
}

double davy_sim_reader_as_number(struct davy_sim_reader *r, const config_setting_t *setting)
{
    double value = 0;
    switch (config_setting_type(setting)) {
    case CONFIG_TYPE_INT:
    case CONFIG_TYPE_INT64:
        return (double)config_setting_get_int64(setting);
    case CONFIG_TYPE_FLOAT:
        value = config_setting_get_float(setting);
        break;
    default:
        value = NAN;
    }
    if (isfinite(value))
        return value;
    davy_sim_reader_problem(r, setting, "a finite number is expected");
    return 0;
}

double davy_sim_reader_number(struct davy_sim_reader *r, const config_setting_t *group, const char *key,
                              double fallback)
{
    const config_setting_t *setting = member(r, group, key, isnan(fallback));
    if (!setting)
        return isnan(fallback) ? 0 : fallback;
    return davy_sim_reader_as_number(r, setting);
}

int64_t davy_sim_reader_integer(struct davy_sim_reader *r, const config_setting_t *group, const char *key, int64_t low,
                                int64_t high, int64_t fallback)
{
    const config_setting_t *setting = member(r, group, key, fallback == INT64_MIN);
    if (!setting)
        return fallback == INT64_MIN ? low : fallback;
    int type = config_setting_type(setting);
    int64_t value = config_setting_get_int64(setting);
    if ((type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64) && value >= low && value <= high)
        return value;
    davy_sim_reader_problem(r, setting, "a whole number from %lld to %lld is expected", (long long)low,
                            (long long)high);
    return low;
}

double davy_sim_reader_seconds(struct davy_sim_reader *r, const config_setting_t *group, const char *key,
                               const char *fallback)
{
    const char *text = davy_sim_reader_text(r, group, key, fallback);
    const config_setting_t *setting = config_setting_get_member(group, key);
    davy_span span = {0};
    if (davy_span_parse(text, &span) < 0 && setting && config_setting_get_string(setting))
        davy_sim_reader_problem(r, setting, "\"%s\" is not a duration such as \"500ms\" or \"10s\"", text);
    return (double)span.ns / (double)DAVY_NS_PER_S;
}

const config_setting_t *davy_sim_reader_list(struct davy_sim_reader *r, const config_setting_t *group, const char *key)
{
    const config_setting_t *setting = config_setting_get_member(group, key);
    if (!setting || config_setting_is_list(setting))
        return setting;
    davy_sim_reader_problem(r, setting, "a list ( … ) is expected");
    return NULL;
}
