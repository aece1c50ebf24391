/* SPDX-License-Identifier: Apache-2.0 */
#include "config/profiles.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/internal.h"
#include "config/load.h"
#include "config/tables.h"

#define SUFFIX ".conf"

struct names {
    char **list;
    size_t count;
    bool failed;
};

static void add(struct names *names, const char *name, size_t length)
{
    char **grown = reallocarray(names->list, names->count + 1, sizeof *grown);
    if (grown)
        names->list = grown;
    char *copy = grown ? strndup(name, length) : NULL;
    if (copy)
        names->list[names->count++] = copy;
    else
        names->failed = true;
}

/* What is no name of a profile would not be found either. */
static void add_folder(struct names *names, const char *folder)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    while (dir && (entry = readdir(dir))) {
        const size_t length = strlen(entry->d_name);
        if (length > strlen(SUFFIX) && entry->d_name[0] != '.' &&
            strcmp(entry->d_name + length - strlen(SUFFIX), SUFFIX) == 0)
            add(names, entry->d_name, length - strlen(SUFFIX));
    }
    if (dir)
        closedir(dir);
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sort_once(struct names *names)
{
    size_t kept = 0;
    if (names->count > 0)
        qsort(names->list, names->count, sizeof *names->list, compare);
    for (size_t i = 0; i < names->count; i++) {
        if (kept > 0 && strcmp(names->list[kept - 1], names->list[i]) == 0)
            free(names->list[i]);
        else
            names->list[kept++] = names->list[i];
    }
    names->count = kept;
}

int davy_profile_names(const char *file, char ***ret_names, size_t *ret_count)
{
    struct davy_problems problems = {0};
    struct davy_loader loader = {.problems = &problems};
    struct names names = {.count = 0};
    if (!davy_loader_init(&loader, file))
        names.failed = true;
    for (size_t place = 0; place < DAVY_PLACES && !names.failed; place++) {
        DAVY_AUTO_FREE char *folder = davy_loader_place(&loader, place, "profiles");
        if (folder)
            add_folder(&names, folder);
        else
            names.failed = true;
    }
    davy_loader_done(&loader);
    davy_problems_done(&problems);
    sort_once(&names);
    if (names.failed) {
        davy_profile_names_free(names.list, names.count);
        return -ENOMEM;
    }
    *ret_names = names.list;
    *ret_count = names.count;
    return 0;
}

void davy_profile_names_free(char **names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(names[i]);
    free(names);
}

/* Names that are no ids are refused by the text itself: the loader takes it as any other. */
int davy_profile_load(const char *file, const char *profile, struct davy_problems *problems,
                      struct davy_config **ret_config)
{
    char text[512];
    if (strpbrk(profile, "\"\\\n") || strlen(profile) > DAVY_ID_MAX) {
        davy_problems_add(problems, DAVY_PROBLEM_ERROR, NULL, 0, NULL, "%s is no name of a profile", profile);
        return DAVY_CONFIG_BAD;
    }
    snprintf(text, sizeof text,
             "gateway = { id = \"trial\"; site = \"trial\"; };\n"
             "buses = ( { name = \"bus\"; type = \"tcp\"; host = \"localhost\"; } );\n"
             "devices = ( { id = \"device\"; bus = \"bus\"; unit = 1; settle = 0; profile = \"%s\"; } );\n",
             profile);
    return davy_config_load_beside(file, text, strlen(text), problems, ret_config);
}
