/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes davyd.conf(5): its prose is a template, the keys come from the table that the daemon reads them by, so that
 * page and program cannot drift. manual TEMPLATE > davyd.conf.5
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "config/schema.h"
#include "config/tables.h"

static const char *const type_names[] = {
    [DAVY_OPTION_TEXT] = "text", [DAVY_OPTION_ID] = "id",       [DAVY_OPTION_BOOL] = "true or false",
    [DAVY_OPTION_INT] = "whole", [DAVY_OPTION_REAL] = "number", [DAVY_OPTION_SPAN] = "duration",
    [DAVY_OPTION_SIZE] = "size", [DAVY_OPTION_ENUM] = "one of", [DAVY_OPTION_DATE] = "date",
    [DAVY_OPTION_LIST] = "list", [DAVY_OPTION_GROUP] = "group", [DAVY_OPTION_SETTING] = "value",
};
_Static_assert(DAVY_LENGTH(type_names) == DAVY_OPTION_TYPE_COUNT_, "every type has a name");

static const char *const scope_names[] = {
    [DAVY_SCOPE_DEFAULT] = NULL,
    [DAVY_SCOPE_AT_ONCE] = "A reload applies changes at once.",
    [DAVY_SCOPE_BUS] = "A reload opens the bus anew where one of these changed.",
    [DAVY_SCOPE_MQTT] = "A reload connects to the broker anew where one of these changed.",
    [DAVY_SCOPE_RESTART] = "Changes need a restart.",
};

/* Text of the table as roff: `key` is bold. */
static void put_text(const char *text)
{
    bool bold = false;
    for (const char *p = text; *p; p++)
        if (*p == '`') {
            bold = !bold;
            fputs(bold ? "\\fB" : "\\fR", stdout);
        } else if (*p == '\\') {
            fputs("\\e", stdout);
        } else if (*p == '-') {
            fputs("\\-", stdout);
        } else {
            putchar(*p);
        }
}

/* A bound of a duration is in seconds, of a size in bytes. */
static void put_bound(const struct davy_option *option, double bound)
{
    char text[DAVY_NUM_TEXT];
    if (option->type == DAVY_OPTION_SPAN)
        put_text(davy_span_print((davy_span){llround(bound * (double)DAVY_NS_PER_S)}, text));
    else if (option->type == DAVY_OPTION_SIZE)
        printf(bound < 0x1p40 ? "%.0fMiB" : "%.0fTiB", bound / (bound < 0x1p40 ? 0x1p20 : 0x1p40));
    else
        put_text(davy_num_print(bound, text));
}

static void put_range(const struct davy_option *option)
{
    bool bounded = option->type == DAVY_OPTION_INT || option->type == DAVY_OPTION_REAL ||
                   option->type == DAVY_OPTION_SPAN || option->type == DAVY_OPTION_SIZE;
    if (!bounded || option->min >= option->max)
        return;
    if (option->max >= 1e300) {
        fputs(", 0 or more", stdout);
        return;
    }
    fputs(", ", stdout);
    put_bound(option, option->min);
    fputs(" to ", stdout);
    put_bound(option, option->max);
}

static bool is_quoted(enum davy_option_type type)
{
    return type == DAVY_OPTION_TEXT || type == DAVY_OPTION_ID || type == DAVY_OPTION_SPAN || type == DAVY_OPTION_SIZE ||
           type == DAVY_OPTION_ENUM;
}

static void put_default(const struct davy_option *option)
{
    const char *quote = is_quoted(option->type) ? "\"" : "";
    if (option->required) {
        puts("Required.");
        return;
    }
    if (!option->otherwise && !option->fallback)
        return;
    fputs("Default: ", stdout);
    if (option->otherwise)
        put_text(option->otherwise);
    else
        printf("%s%s%s", quote, option->fallback, quote);
    puts(".");
}

static void put_option(const struct davy_option *option)
{
    printf(".TP\n.B ");
    put_text(option->name);
    printf("\n(%s", type_names[option->type]);
    if (option->allowed) {
        fputs(option->type == DAVY_OPTION_ENUM ? " " : ": ", stdout);
        put_text(option->allowed);
    }
    put_range(option);
    fputs(option->unit ? " " : "", stdout);
    put_text(option->unit ? option->unit : "");
    puts(")");
    put_text(option->help);
    puts(".");
    put_default(option);
    if (option->later)
        puts("\\fINot in effect yet.\\fR");
    if (option->scope != DAVY_SCOPE_DEFAULT)
        puts(scope_names[option->scope]);
}

static void put_schema(const struct davy_group *const *schema)
{
    for (size_t i = 0; schema[i]; i++) {
        const struct davy_group *group = schema[i];
        fputs(".SS \"", stdout);
        put_text(group->where[0] ? group->where : "Top level");
        puts("\"");
        if (scope_names[group->scope])
            puts(scope_names[group->scope]);
        for (size_t k = 0; k < group->count; k++)
            put_option(&group->options[k]);
    }
}

int main(int argc, char **argv)
{
    char line[1024];
    FILE *template = argc == 2 ? fopen(argv[1], "r") : NULL;
    if (!template) {
        fprintf(stderr, "usage: manual TEMPLATE\n");
        return 2;
    }
    while (fgets(line, sizeof line, template))
        if (strcmp(line, "@KEYS@\n") == 0)
            put_schema(davy_schema);
        else if (strcmp(line, "@TABLES@\n") == 0)
            put_schema(davy_schema_tables);
        else
            fputs(line, stdout);
    fclose(template);
    return fflush(stdout) == 0 ? 0 : 1;
}
