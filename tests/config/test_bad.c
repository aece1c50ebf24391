/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every broken configuration of tests/data/bad is refused with the errors that its .expect names, at the right line:
 * "LINE: PATH: fragment of the message".
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "config/load.h"

#define EXPECTED_MIN 40

static const char *data_folder(void)
{
    const char *folder = getenv("DAVY_TEST_DATA");
    return folder ? folder : "tests/data";
}

static void print_all(const struct davy_problems *problems)
{
    char line[2048];
    for (size_t i = 0; i < problems->count; i++)
        print_message("    %s\n", davy_problem_format(&problems->items[i], line, sizeof line));
}

static bool is_expected(const struct davy_problem *problem, int line, const char *path, const char *fragment)
{
    const char *found = problem->path ? problem->path : "";
    return problem->severity == DAVY_PROBLEM_ERROR && problem->line == line && strcmp(found, path) == 0 &&
           strstr(problem->message, fragment);
}

/* One line of an .expect file against the list. */
static bool has_expected(const struct davy_problems *problems, const char *expectation)
{
    int line = 0, used = 0;
    assert_int_equal(sscanf(expectation, "%d: %n", &line, &used), 1);
    const char *colon = strstr(expectation + used, ": ");
    assert_non_null(colon);
    char path[256];
    snprintf(path, sizeof path, "%.*s", (int)(colon - expectation) - used, expectation + used);
    for (size_t i = 0; i < problems->count; i++)
        if (is_expected(&problems->items[i], line, path, colon + 2))
            return true;
    return false;
}

static unsigned check_expectations(const struct davy_problems *problems, const char *file)
{
    unsigned missing = 0;
    char line[1024];
    DAVY_AUTO_FILE FILE *expected = fopen(file, "r");
    assert_non_null(expected);
    while (fgets(line, sizeof line, expected)) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] && !has_expected(problems, line)) {
            print_message("%s: missing: %s\n", file, line);
            missing++;
        }
    }
    return missing;
}

static unsigned check_file(const char *name)
{
    char conf[1024], expect[1024];
    struct davy_problems problems = {0};
    struct davy_config *config = NULL;
    snprintf(conf, sizeof conf, "%s/bad/%s", data_folder(), name);
    snprintf(expect, sizeof expect, "%.*sexpect", (int)strlen(conf) - 4, conf);
    int rc = davy_config_load(conf, &problems, &config);
    unsigned wrong = check_expectations(&problems, expect);
    wrong += rc != DAVY_CONFIG_BAD || config || problems.errors == 0;
    if (wrong)
        print_all(&problems);
    davy_config_unref(config);
    davy_problems_done(&problems);
    return wrong;
}

static void every_broken_file_is_refused_with_the_documented_errors(void **state)
{
    (void)state;
    char folder[1024];
    unsigned files = 0, wrong = 0;
    snprintf(folder, sizeof folder, "%s/bad", data_folder());
    DIR *list = opendir(folder);
    assert_non_null(list);
    for (struct dirent *entry; (entry = readdir(list));) {
        size_t length = strlen(entry->d_name);
        if (length < 6 || strcmp(entry->d_name + length - 5, ".conf") != 0)
            continue;
        files++;
        wrong += check_file(entry->d_name);
    }
    closedir(list);
    assert_int_equal(wrong, 0);
    assert_true(files >= EXPECTED_MIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_broken_file_is_refused_with_the_documented_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
