/* SPDX-License-Identifier: Apache-2.0 */
/* The tables themselves: every key is documented, every default is one that its own row would accept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/num.h"
#include "config/internal.h"
#include "config/schema.h"

static void each_option(void (*check)(const struct davy_group *group, const struct davy_option *option))
{
    for (size_t i = 0; davy_schema[i]; i++)
        for (size_t k = 0; k < davy_schema[i]->count; k++)
            check(davy_schema[i], &davy_schema[i]->options[k]);
}

static void check_documented(const struct davy_group *group, const struct davy_option *option)
{
    assert_non_null(option->name);
    assert_non_null(option->help);
    if (option->type == DAVY_OPTION_ENUM) {
        assert_non_null(option->allowed);
        assert_true(option->names || option->find);
    }
    for (size_t i = 0; i < group->count; i++)
        assert_true(&group->options[i] == option || strcmp(group->options[i].name, option->name) != 0);
}

static void every_key_is_documented_and_stands_once(void **state)
{
    (void)state;
    each_option(check_documented);
    for (size_t i = 0; davy_schema[i]; i++)
        assert_in_range(davy_schema[i]->count, 1, 48); /* what the search for the nearest key looks at */
}

static void check_default(const struct davy_group *group, const struct davy_option *option)
{
    (void)group;
    davy_span span = {0};
    int64_t number = 0;
    const char *text = option->fallback;
    if (!text || strcmp(text, "-1") == 0 || option->otherwise) /* stands for a default that is computed */
        return;
    if (option->type == DAVY_OPTION_SPAN) {
        assert_int_equal(davy_span_parse(text, &span), 0);
        assert_true((double)span.ns >= option->min * 1e9 && (double)span.ns <= option->max * 1e9);
    }
    if (option->type == DAVY_OPTION_INT) {
        assert_int_equal(davy_int_parse(text, &number), 0);
        assert_true((double)number >= option->min && (double)number <= option->max);
    }
    if (option->type == DAVY_OPTION_SIZE)
        assert_int_equal(davy_size_parse(text, &number), 0);
    if (option->type == DAVY_OPTION_ENUM && option->find)
        assert_true(option->find(text) >= 0);
}

static void every_default_is_allowed(void **state)
{
    (void)state;
    each_option(check_default);
}

/* Whether a line of the file, comment or not, shows the key. */
static bool shows(const char *text, const char *key)
{
    size_t length = strlen(key);
    for (const char *p = strstr(text, key); p; p = strstr(p + 1, key))
        if (p > text && strchr(" \n{(,", p[-1]) && strchr(" =,;.\n", p[length]))
            return true;
    return false;
}

static char *shipped;

static void check_shown(const struct davy_group *group, const struct davy_option *option)
{
    if (!shows(shipped, option->name))
        fail_msg("%s of a %s is in neither shipped file", option->name, group->name);
}

static size_t read_into(char *text, size_t size, const char *name)
{
    char path[1024];
    const char *source = getenv("DAVY_SOURCE");
    snprintf(path, sizeof path, "%s/conf/%s", source ? source : ".", name);
    DAVY_AUTO_FILE FILE *file = fopen(path, "r");
    assert_non_null(file);
    return fread(text, 1, size, file);
}

static void every_key_is_shown_in_the_shipped_files(void **state)
{
    (void)state;
    enum { SIZE = 65536 };
    shipped = calloc(1, SIZE);
    assert_non_null(shipped);
    size_t length = read_into(shipped, SIZE / 2, "davyd.conf");
    read_into(shipped + length, SIZE / 2 - 1, "thresholds.conf");
    each_option(check_shown);
    free(shipped);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_is_documented_and_stands_once),
        cmocka_unit_test(every_default_is_allowed),
        cmocka_unit_test(every_key_is_shown_in_the_shipped_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
