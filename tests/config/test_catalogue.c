/* SPDX-License-Identifier: Apache-2.0 */
/* The profiles beside a file and the shipped ones, each of which makes a configuration of its own. */
#include <limits.h>
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
#include "config/profiles.h"

static void put(const char *folder, const char *name, const char *text)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    DAVY_AUTO_FILE FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
}

static void the_names_of_all_places_are_listed_once(void **state)
{
    const char *folder = *state;
    char file[PATH_MAX];
    char **names;
    size_t count, own = 0, generic = 0;
    snprintf(file, sizeof file, "%s/davyd.conf", folder);
    assert_int_equal(davy_profile_names(file, &names, &count), 0);
    for (size_t i = 0; i < count; i++) {
        own += strcmp(names[i], "own") == 0;
        generic += strcmp(names[i], "generic-gas-float") == 0;
        assert_null(strchr(names[i], '/'));
        if (i > 0)
            assert_true(strcmp(names[i - 1], names[i]) < 0);
    }
    assert_int_equal(own, 1);
    assert_int_equal(generic, 1);
    davy_profile_names_free(names, count);
}

static void each_profile_that_is_shipped_makes_a_device(void **state)
{
    const char *folder = *state;
    char file[PATH_MAX];
    char **names;
    size_t count;
    snprintf(file, sizeof file, "%s/davyd.conf", folder);
    assert_int_equal(davy_profile_names(file, &names, &count), 0);
    for (size_t i = 0; i < count; i++) {
        struct davy_problems problems = {0};
        struct davy_config *config = NULL;
        if (strcmp(names[i], "broken") != 0) {
            assert_int_equal(davy_profile_load(file, names[i], &problems, &config), 0);
            assert_int_equal(config->device_count, 1);
            assert_string_equal(config->devices[0].profile, names[i]);
            assert_true(config->point_count > 0);
            assert_int_equal(config->devices[0].settle, 0);
        }
        davy_config_unref(config);
        davy_problems_done(&problems);
    }
    davy_profile_names_free(names, count);
}

static void what_is_broken_or_missing_is_told(void **state)
{
    const char *folder = *state;
    static const char *const wrong[] = {"broken", "nowhere", "x\"; }; y = \"", "", "../own", "a\nb"};
    char file[PATH_MAX];
    snprintf(file, sizeof file, "%s/davyd.conf", folder);
    for (size_t i = 0; i < DAVY_LENGTH(wrong); i++) {
        struct davy_problems problems = {0};
        struct davy_config *config = NULL;
        assert_int_equal(davy_profile_load(file, wrong[i], &problems, &config), DAVY_CONFIG_BAD);
        assert_null(config);
        assert_true(problems.errors > 0);
        davy_problems_done(&problems);
    }
}

static int set_up(void **state)
{
    static char folder[64];
    char path[PATH_MAX];
    snprintf(folder, sizeof folder, "/tmp/davy-catalogue-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/profiles", folder);
    mkdir(path, 0700);
    const char *own = "name = \"own\"; points = ( { name = \"v\"; register = 3; type = \"uint16\"; } );\n";
    put(path, "own.conf", own);
    put(path, "generic-gas-float.conf",
        "name = \"generic-gas-float\"; points = ( { name = \"v\"; register = 3; type = \"uint16\"; } );\n");
    put(path, "broken.conf", "name = \"broken\"; points = ( { nam = 3; } );\n");
    put(path, "notes.txt", "not a profile");
    *state = folder;
    return 0;
}

static int tear_down(void **state)
{
    static const char *const files[] = {"profiles/own.conf",
                                        "profiles/generic-gas-float.conf",
                                        "profiles/broken.conf",
                                        "profiles/notes.txt",
                                        "profiles",
                                        ""};
    char path[PATH_MAX];
    for (size_t i = 0; i < DAVY_LENGTH(files); i++) {
        snprintf(path, sizeof path, "%s/%s", (const char *)*state, files[i]);
        remove(path);
    }
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_names_of_all_places_are_listed_once),
        cmocka_unit_test(each_profile_that_is_shipped_makes_a_device),
        cmocka_unit_test(what_is_broken_or_missing_is_told),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
