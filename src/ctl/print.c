/* SPDX-License-Identifier: Apache-2.0 */
/* Foreign text and JSON for a terminal. */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/ctl.h"
#include "base/utf8.h"

void *davy_ctl_grow(void *memory, size_t count, size_t size)
{
    void *grown = reallocarray(memory, count ? count : 1, size);
    if (!grown) {
        fputs("davyctl: out of memory\n", stderr);
        exit(CTL_REFUSED);
    }
    return grown;
}

char *davy_ctl_copy(const char *text)
{
    const size_t size = strlen(text) + 1;
    return memcpy(davy_ctl_grow(NULL, size, 1), text, size);
}

char *davy_ctl_format(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text;
    int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    return length < 0 ? davy_ctl_copy("") : text;
}

char *davy_ctl_escape(const char *text)
{
    char *escaped = davy_ctl_grow(NULL, strlen(text) + 1, 4);
    char *out = escaped;
    while (*text) {
        uint32_t code;
        const size_t length = davy_utf8_next(text, &code);
        if (code != DAVY_UTF8_BAD && !davy_utf8_is_control(code))
            out = mempcpy(out, text, length);
        else
            for (size_t i = 0; i < length; i++)
                out += sprintf(out, "\\x%02x", (unsigned char)text[i]);
        text += length;
    }
    *out = '\0';
    return escaped;
}

const char *davy_ctl_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

char *davy_ctl_cell(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    char number[DAVY_NUM_TEXT];
    if (json_is_string(value))
        return davy_ctl_escape(json_string_value(value));
    if (json_is_integer(value))
        return davy_ctl_format("%lld", (long long)json_integer_value(value));
    if (json_is_real(value))
        return davy_ctl_copy(davy_ctl_number(json_real_value(value), number));
    if (json_is_boolean(value))
        return davy_ctl_copy(json_is_true(value) ? "yes" : "no");
    return davy_ctl_copy("-");
}

char *davy_ctl_number(double value, char text[DAVY_NUM_TEXT])
{
    snprintf(text, DAVY_NUM_TEXT, fabs(value) < 1e6 ? "%.6g" : fabs(value) < 1e15 ? "%.0f" : "%.15g", value);
    return text;
}

static void print_string(const char *text)
{
    putchar('"');
    while (*text) {
        uint32_t code;
        const size_t length = davy_utf8_next(text, &code);
        if (code == DAVY_UTF8_BAD)
            fputs("\xef\xbf\xbd", stdout);
        else if (code == '"' || code == '\\')
            printf("\\%c", (char)code);
        else if (davy_utf8_is_control(code))
            printf("\\u%04x", (unsigned)code);
        else
            fwrite(text, 1, length, stdout);
        text += length;
    }
    putchar('"');
}

static void line_break(bool pretty, unsigned depth)
{
    if (pretty)
        printf("\n%*s", (int)(2 * depth), "");
}

static void print_value(const json_t *json, bool pretty, unsigned depth);

/* An object that holds no other one stays on its line: a row. */
static bool is_row(const json_t *json)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)json, key, value)
    {
        if (json_is_object(value) || json_is_array(value))
            return false;
    }
    return true;
}

static void print_object(const json_t *json, bool pretty, unsigned depth)
{
    const char *key;
    json_t *value;
    const char *comma = "";
    const bool broken = pretty && !is_row(json);
    putchar('{');
    json_object_foreach((json_t *)(uintptr_t)json, key, value)
    {
        fputs(comma, stdout);
        line_break(broken, depth + 1);
        print_string(key);
        fputs(pretty ? ": " : ":", stdout);
        print_value(value, pretty, depth + 1);
        comma = pretty && !broken ? ", " : ",";
    }
    line_break(broken, depth);
    putchar('}');
}

static void print_array(const json_t *json, bool pretty, unsigned depth)
{
    const size_t count = json_array_size(json);
    const bool broken = pretty && count > 0 && json_is_object(json_array_get(json, 0));
    putchar('[');
    for (size_t i = 0; i < count; i++) {
        fputs(i == 0 ? "" : pretty && !broken ? ", " : ",", stdout);
        line_break(broken, depth + 1);
        print_value(json_array_get(json, i), pretty, depth + 1);
    }
    line_break(broken, depth);
    putchar(']');
}

static void print_value(const json_t *json, bool pretty, unsigned depth)
{
    char number[DAVY_NUM_TEXT];
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        print_object(json, pretty, depth);
        break;
    case JSON_ARRAY:
        print_array(json, pretty, depth);
        break;
    case JSON_STRING:
        print_string(json_string_value(json));
        break;
    case JSON_INTEGER:
        printf("%lld", (long long)json_integer_value(json));
        break;
    case JSON_REAL:
        fputs(davy_num_print(json_real_value(json), number), stdout);
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        fputs(json_is_true(json) ? "true" : "false", stdout);
        break;
    case JSON_NULL:
        fputs("null", stdout);
        break;
    }
}

void davy_ctl_write_json(const json_t *json, bool pretty)
{
    print_value(json, pretty, 0);
}

void davy_ctl_print_json(const json_t *json, bool pretty)
{
    davy_ctl_write_json(json, pretty);
    putchar('\n');
}

int davy_ctl_time(const struct ctl *ctl, const char *text, davy_wall *ret_t)
{
    davy_span back;
    if (davy_span_parse(text, &back) == 0) {
        ret_t->ns = ctl->now.ns > back.ns ? ctl->now.ns - back.ns : 0;
        return 0;
    }
    return davy_wall_parse(text, ret_t);
}

char *davy_ctl_age(const json_t *seconds)
{
    static const struct {
        double from;
        double unit;
        const char *suffix;
    } steps[] = {{172800, 86400, "d"}, {7200, 3600, "h"}, {120, 60, "min"}, {0, 1, "s"}};
    const double age = json_number_value(seconds);
    for (size_t i = 0; json_is_number(seconds) && i < DAVY_LENGTH(steps); i++)
        if (age >= steps[i].from)
            return davy_ctl_format("%.*f%s", age < 10 ? 1 : 0, age / steps[i].unit, steps[i].suffix);
    return davy_ctl_copy("-");
}
