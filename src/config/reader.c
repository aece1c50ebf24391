/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "config/internal.h"
#include "config/schema.h"

#define OPTIONS_MAX 48

const char *davy_setting_type_name(const config_setting_t *setting)
{
    switch (config_setting_type(setting)) {
    case CONFIG_TYPE_GROUP:
        return "a group { }";
    case CONFIG_TYPE_LIST:
    case CONFIG_TYPE_ARRAY:
        return "a list";
    case CONFIG_TYPE_STRING:
        return "a text";
    case CONFIG_TYPE_BOOL:
        return "true or false";
    case CONFIG_TYPE_FLOAT:
        return "a fraction";
    default:
        return "a whole number";
    }
}

bool davy_is_id(const char *text)
{
    size_t length = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-");
    return length >= 1 && length <= DAVY_ID_MAX && text[length] == '\0';
}

static bool wrong_type(const config_setting_t *setting, const char *expected)
{
    davy_setting_error(setting, "is %s; %s is expected", davy_setting_type_name(setting), expected);
    return false;
}

static bool is_whole(const config_setting_t *setting)
{
    int type = config_setting_type(setting);
    return type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64;
}

static int64_t whole(const config_setting_t *setting)
{
    return config_setting_type(setting) == CONFIG_TYPE_INT ? config_setting_get_int(setting)
                                                           : config_setting_get_int64(setting);
}

bool davy_read_int(config_setting_t *setting, int64_t min, int64_t max, int64_t *ret)
{
    if (davy_setting_is_poison(setting))
        return false;
    if (!is_whole(setting))
        return wrong_type(setting, "a whole number");
    int64_t value = whole(setting);
    if (min != max && (value < min || value > max)) {
        davy_setting_error(setting, "%lld is out of range; %lld to %lld are allowed", (long long)value, (long long)min,
                           (long long)max);
        return false;
    }
    *ret = value;
    return true;
}

bool davy_read_real(config_setting_t *setting, double min, double max, double *ret)
{
    if (davy_setting_is_poison(setting))
        return false;
    if (!is_whole(setting) && config_setting_type(setting) != CONFIG_TYPE_FLOAT)
        return wrong_type(setting, "a number");
    double value = is_whole(setting) ? (double)whole(setting) : config_setting_get_float(setting);
    char found[DAVY_NUM_TEXT], low[DAVY_NUM_TEXT], high[DAVY_NUM_TEXT];
    if (!isfinite(value)) {
        davy_setting_error(setting, "is not a finite number");
        return false;
    }
    if (min < max && (value < min || value > max)) {
        davy_setting_error(setting, "%s is out of range; %s to %s are allowed", davy_num_print(value, found),
                           davy_num_print(min, low), davy_num_print(max, high));
        return false;
    }
    *ret = value;
    return true;
}

/* What \n and \t in quotes make; the scanner refuses all else. */
static bool has_controls(const char *text)
{
    for (const char *p = text; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7F)
            return true;
    return false;
}

const char *davy_read_text(config_setting_t *setting, size_t max)
{
    if (davy_setting_is_poison(setting))
        return NULL;
    if (config_setting_type(setting) != CONFIG_TYPE_STRING) {
        wrong_type(setting, "a text in quotes");
        return NULL;
    }
    const char *text = config_setting_get_string(setting);
    size_t length = text ? strlen(text) : 0;
    if (length == 0)
        davy_setting_error(setting, "is empty");
    else if (length > max)
        davy_setting_error(setting, "is %zu bytes long; %zu are allowed", length, max);
    else if (has_controls(text))
        davy_setting_error(setting, "has control characters");
    else
        return text;
    return NULL;
}

bool davy_read_pair(config_setting_t *setting, double *ret_low, double *ret_high)
{
    double pair[2];
    int type = config_setting_type(setting);
    if ((type != CONFIG_TYPE_LIST && type != CONFIG_TYPE_ARRAY) || config_setting_length(setting) != 2) {
        davy_setting_error(setting, "two numbers [low, high] are expected");
        return false;
    }
    for (unsigned i = 0; i < 2; i++)
        if (!davy_read_real(config_setting_get_elem(setting, i), 0, 0, &pair[i]))
            return false;
    if (pair[0] >= pair[1]) {
        char low[DAVY_NUM_TEXT], high[DAVY_NUM_TEXT];
        davy_setting_error(setting, "[%s, %s] is empty; the first must be less than the second",
                           davy_num_print(pair[0], low), davy_num_print(pair[1], high));
        return false;
    }
    *ret_low = pair[0];
    *ret_high = pair[1];
    return true;
}

static bool read_text(config_setting_t *setting, const struct davy_option *option, void *field)
{
    const char *text = davy_read_text(setting, option->max > 0 ? (size_t)option->max : 255);
    if (!text)
        return false;
    *(const char **)field = davy_loader_text(davy_setting_loader(setting), text);
    return true;
}

static bool read_id(config_setting_t *setting, const struct davy_option *option, void *field)
{
    (void)option;
    const char *text = davy_read_text(setting, 255);
    if (!text)
        return false;
    if (!davy_is_id(text)) {
        davy_setting_error(setting, "\"%s\" is not an id; 1 to 64 of A-Z a-z 0-9 _ . - are allowed", text);
        return false;
    }
    *(const char **)field = davy_loader_text(davy_setting_loader(setting), text);
    return true;
}

static bool read_bool(config_setting_t *setting, const struct davy_option *option, void *field)
{
    (void)option;
    if (config_setting_type(setting) != CONFIG_TYPE_BOOL)
        return wrong_type(setting, "true or false");
    *(bool *)field = config_setting_get_bool(setting) != 0;
    return true;
}

static bool read_int(config_setting_t *setting, const struct davy_option *option, void *field)
{
    int64_t value;
    if (!davy_read_int(setting, (int64_t)option->min, (int64_t)option->max, &value))
        return false;
    *(int *)field = (int)value;
    return true;
}

static bool read_real(config_setting_t *setting, const struct davy_option *option, void *field)
{
    return davy_read_real(setting, option->min, option->max, field);
}

static bool read_span(config_setting_t *setting, const struct davy_option *option, void *field)
{
    static const char form[] = "a duration like \"250ms\", \"10s\", \"15min\", \"8h\" or \"30d\"";
    if (config_setting_type(setting) != CONFIG_TYPE_STRING)
        return wrong_type(setting, form);
    const char *text = config_setting_get_string(setting);
    davy_span span;
    if (davy_span_parse(text, &span) < 0) {
        davy_setting_error(setting, "\"%s\" is not %s", text, form);
        return false;
    }
    davy_span min = {llround(option->min * (double)DAVY_NS_PER_S)};
    davy_span max = {llround(option->max * (double)DAVY_NS_PER_S)};
    char low[DAVY_NUM_TEXT], high[DAVY_NUM_TEXT];
    if (span.ns < min.ns || span.ns > max.ns) {
        davy_setting_error(setting, "\"%s\" is out of range; \"%s\" to \"%s\" are allowed", text,
                           davy_span_print(min, low), davy_span_print(max, high));
        return false;
    }
    *(davy_span *)field = span;
    return true;
}

static bool read_size(config_setting_t *setting, const struct davy_option *option, void *field)
{
    static const char form[] = "a size like \"512MiB\" or \"2GiB\"";
    if (config_setting_type(setting) != CONFIG_TYPE_STRING)
        return wrong_type(setting, form);
    const char *text = config_setting_get_string(setting);
    int64_t bytes;
    if (davy_size_parse(text, &bytes) < 0) {
        davy_setting_error(setting, "\"%s\" is not %s", text, form);
        return false;
    }
    if ((double)bytes < option->min || (double)bytes > option->max) {
        davy_setting_error(setting, "\"%s\" is out of range; \"%.0fMiB\" to \"%.0fGiB\" are allowed", text,
                           option->min / 0x1p20, option->max / 0x1p30);
        return false;
    }
    *(int64_t *)field = bytes;
    return true;
}

static int find_name(const struct davy_option *option, const char *text)
{
    if (option->find)
        return option->find(text);
    for (int i = 0; option->names[i]; i++)
        if (strcmp(option->names[i], text) == 0)
            return i;
    return -EINVAL;
}

static bool read_enum(config_setting_t *setting, const struct davy_option *option, void *field)
{
    if (config_setting_type(setting) != CONFIG_TYPE_STRING)
        return wrong_type(setting, option->allowed);
    const char *text = config_setting_get_string(setting);
    int found = text[0] == '\0' ? -EINVAL : find_name(option, text);
    if (found < 0) {
        davy_setting_error(setting, "\"%.64s\" is not one of %s", text, option->allowed);
        return false;
    }
    *(unsigned *)field = (unsigned)found;
    return true;
}

static bool read_date(config_setting_t *setting, const struct davy_option *option, void *field)
{
    (void)option;
    static const char form[] = "a date like \"2027-03-01\"";
    if (config_setting_type(setting) != CONFIG_TYPE_STRING)
        return wrong_type(setting, form);
    const char *text = config_setting_get_string(setting);
    char full[DAVY_WALL_TEXT];
    snprintf(full, sizeof full, "%.11sT00:00:00Z", text);
    davy_wall day;
    if (strlen(text) != 10 || davy_wall_parse(full, &day) < 0 || day.ns == 0) {
        davy_setting_error(setting, "\"%.64s\" is not %s", text, form);
        return false;
    }
    *(davy_wall *)field = day;
    return true;
}

static bool read_list(config_setting_t *setting, const struct davy_option *option, void *field)
{
    (void)option;
    int type = config_setting_type(setting);
    if (type != CONFIG_TYPE_LIST && type != CONFIG_TYPE_ARRAY)
        return wrong_type(setting, "a list");
    *(config_setting_t **)field = setting;
    return true;
}

static bool read_group(config_setting_t *setting, const struct davy_option *option, void *field)
{
    (void)option;
    if (!config_setting_is_group(setting))
        return wrong_type(setting, "a group { }");
    *(config_setting_t **)field = setting;
    return true;
}

static bool read_setting(config_setting_t *setting, const struct davy_option *option, void *field)
{
    (void)option;
    *(config_setting_t **)field = setting;
    return true;
}

/* How each type is read, and how large its field is. */
static const struct {
    bool (*read)(config_setting_t *setting, const struct davy_option *option, void *field);
    size_t size;
} types[] = {
    [DAVY_OPTION_TEXT] = {read_text, sizeof(const char *)},
    [DAVY_OPTION_ID] = {read_id, sizeof(const char *)},
    [DAVY_OPTION_BOOL] = {read_bool, sizeof(bool)},
    [DAVY_OPTION_INT] = {read_int, sizeof(int)},
    [DAVY_OPTION_REAL] = {read_real, sizeof(double)},
    [DAVY_OPTION_SPAN] = {read_span, sizeof(davy_span)},
    [DAVY_OPTION_SIZE] = {read_size, sizeof(int64_t)},
    [DAVY_OPTION_ENUM] = {read_enum, sizeof(unsigned)},
    [DAVY_OPTION_DATE] = {read_date, sizeof(davy_wall)},
    [DAVY_OPTION_LIST] = {read_list, sizeof(config_setting_t *)},
    [DAVY_OPTION_GROUP] = {read_group, sizeof(config_setting_t *)},
    [DAVY_OPTION_SETTING] = {read_setting, sizeof(config_setting_t *)},
};
_Static_assert(DAVY_LENGTH(types) == DAVY_OPTION_TYPE_COUNT_, "every type is read");

/* Defaults are ours: what they say is right. */
static void apply_fallback(struct davy_loader *loader, const struct davy_option *option, void *field)
{
    const char *text = option->fallback;
    int64_t number = 0;
    if (option->type == DAVY_OPTION_BOOL)
        *(bool *)field = strcmp(text, "true") == 0;
    else if (option->type == DAVY_OPTION_REAL)
        (void)davy_num_parse(text, field); /* a constant */
    else if (option->type == DAVY_OPTION_SPAN)
        (void)davy_span_parse(text, field);
    else if (option->type == DAVY_OPTION_SIZE)
        (void)davy_size_parse(text, field);
    else if (option->type == DAVY_OPTION_ENUM)
        *(unsigned *)field = (unsigned)find_name(option, text);
    else if (option->type == DAVY_OPTION_INT && davy_int_parse(text, &number) == 0)
        *(int *)field = (int)number;
    else if (option->type == DAVY_OPTION_TEXT || option->type == DAVY_OPTION_ID)
        *(const char **)field = davy_loader_text(loader, text);
}

static const struct davy_option *find_option(const struct davy_group *group, const char *name)
{
    for (size_t i = 0; i < group->count; i++)
        if (strcmp(group->options[i].name, name) == 0)
            return &group->options[i];
    return NULL;
}

static void unknown_key(const config_setting_t *setting, const struct davy_group *group)
{
    if (davy_setting_key(setting) != config_setting_name(setting)) {
        davy_setting_error(setting, "stands more than once in this group");
        return;
    }
    const char *names[OPTIONS_MAX] = {0};
    for (size_t i = 0; i < group->count && i < OPTIONS_MAX; i++)
        names[i] = group->options[i].name;
    const char *nearest = davy_nearest(config_setting_name(setting), names, OPTIONS_MAX);
    if (nearest)
        davy_setting_error(setting, "unknown key of a %s; did you mean \"%s\"?", group->name, nearest);
    else
        davy_setting_error(setting, "unknown key of a %s", group->name);
}

static void read_option(config_setting_t *setting, const struct davy_option *option, void *out)
{
    unsigned char before[sizeof(davy_span)] = {0};
    void *field = (char *)out + option->offset;
    size_t size = types[option->type].size;
    memcpy(before, field, size);
    if (davy_setting_is_poison(setting))
        return;
    bool changed = types[option->type].read(setting, option, field) && memcmp(before, field, size) != 0;
    bool empty = config_setting_is_aggregate(setting) && config_setting_length(setting) == 0;
    if (option->later && changed && !empty)
        davy_setting_later(setting);
}

bool davy_schema_read(config_setting_t *setting, const struct davy_group *group, void *out)
{
    if (!config_setting_is_group(setting))
        return wrong_type(setting, "a group { }");
    for (size_t i = 0; i < group->count; i++) {
        const struct davy_option *option = &group->options[i];
        if (option->fallback)
            apply_fallback(davy_setting_loader(setting), option, (char *)out + option->offset);
        if (option->required && !config_setting_get_member(setting, option->name))
            davy_setting_error(setting, "`%s` is missing: %s", option->name, option->help);
    }
    for (unsigned i = 0; i < (unsigned)config_setting_length(setting); i++) {
        config_setting_t *child = config_setting_get_elem(setting, i);
        const struct davy_option *option = find_option(group, config_setting_name(child));
        if (option)
            read_option(child, option, out);
        else
            unknown_key(child, group);
    }
    return true;
}
