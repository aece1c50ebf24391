/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "config/internal.h"
#include "config/presets.h"
#include "config/profiles.h"
#include "config/schema.h"
#include "davy_build.h"

#define PROFILES_MAX 1024

static struct davy_profile *find(const struct davy_loader *loader, const char *name)
{
    struct davy_profile *profile = loader->profiles;
    while (profile && strcmp(profile->name, name) != 0)
        profile = profile->next;
    return profile;
}

/* A new entry at the end of the list. */
static struct davy_profile *add(struct davy_loader *loader)
{
    struct davy_profile *profile = calloc(1, sizeof *profile);
    struct davy_profile **end = &loader->profiles;
    if (!profile) {
        loader->failed = -ENOMEM;
        return NULL;
    }
    config_init(&profile->tree);
    profile->name = "?";
    profile->settle = -1;
    while (*end)
        end = &(*end)->next;
    *end = profile;
    return profile;
}

static void read_profile(struct davy_loader *loader, struct davy_profile *profile, config_setting_t *group)
{
    struct davy_raw_profile raw = {0};
    davy_schema_read(group, &davy_schema_profile, &raw);
    if (raw.name && find(loader, raw.name))
        davy_setting_error(davy_setting_at(group, "name"), "\"%s\" is already the name of another profile", raw.name);
    profile->name = raw.name ? raw.name : "?";
    profile->interval = raw.interval;
    profile->max_reply = raw.max_reply;
    profile->settle = raw.settle;
    profile->max_gap = raw.max_gap;
    profile->max_registers = raw.max_registers;
    profile->verified = raw.verified;
    profile->count = davy_points_build(loader, raw.points, &profile->points, &profile->settings);
    profile->status_count = davy_status_build(loader, raw.status, &profile->status);
    if (raw.points && config_setting_length(raw.points) == 0)
        davy_setting_error(raw.points, "has no points");
}

void davy_profiles_read_inline(struct davy_loader *loader, config_setting_t *list)
{
    size_t count = davy_list_length(list, PROFILES_MAX);
    for (size_t i = 0; i < count && !loader->failed; i++) {
        struct davy_profile *profile = add(loader);
        if (profile)
            read_profile(loader, profile, config_setting_get_elem(list, (unsigned)i));
    }
}

/* The file of a profile in the first folder that has it, the plant's own before the shipped; NULL: none has. */
static char *find_file(const struct davy_loader *loader, const char *name)
{
    char path[DAVY_PATH_SIZE];
    snprintf(path, sizeof path, "profiles/%s.conf", name);
    for (size_t place = 0; place < DAVY_PLACES; place++) {
        char *file = davy_loader_place(loader, place, path);
        struct stat st;
        if (!file || stat(file, &st) == 0)
            return file;
        free(file);
    }
    return NULL;
}

static void read_file(struct davy_loader *loader, struct davy_profile *profile, const char *file, const char *name)
{
    size_t errors = loader->problems->errors;
    profile->from_file = true;
    if (davy_source_read(&profile->source, loader, file) && davy_source_parse(&profile->source, &profile->tree)) {
        config_setting_t *root = config_root_setting(&profile->tree);
        read_profile(loader, profile, root);
        if (strcmp(profile->name, "?") != 0 && strcmp(profile->name, name) != 0)
            davy_setting_error(davy_setting_at(root, "name"), "\"%s\" is not the name of the file", profile->name);
    }
    const char *copy = davy_loader_text(loader, name);
    profile->name = copy ? copy : "?";
    profile->bad = loader->problems->errors > errors;
}

/* The nearest name of an inline profile, else of a file; NULL: there is none. Allocated. */
static char *nearest_profile(struct davy_loader *loader, const char *name)
{
    const char *names[64] = {0};
    size_t count = 0;
    for (struct davy_profile *p = loader->profiles; p && count < DAVY_LENGTH(names); p = p->next)
        names[count++] = p->name;
    const char *nearest = davy_nearest(name, names, count);
    char **files = NULL, *copy = NULL;
    size_t file_count = 0;
    if (!nearest && !loader->no_files && davy_profile_names(loader->folder, &files, &file_count) == 0)
        nearest = davy_nearest(name, (const char *const *)files, file_count);
    if (nearest)
        copy = strdup(nearest);
    davy_profile_names_free(files, file_count);
    return copy;
}

static void not_found(struct davy_loader *loader, const config_setting_t *user, const char *name)
{
    DAVY_AUTO_FREE char *nearest = nearest_profile(loader, name);
    davy_setting_error(user,
                       "there is no profile \"%s\", neither in `profiles` nor as %sprofiles/%s.conf, nor in the "
                       "folders %s/profiles and %s/profiles%s%s%s",
                       name, loader->folder, name, DAVY_CONFDIR, davy_tables_shipped(),
                       nearest ? "; did you mean \"" : "", nearest ? nearest : "", nearest ? "\"?" : "");
}

const struct davy_profile *davy_profile_find(struct davy_loader *loader, const config_setting_t *user, const char *name)
{
    struct davy_profile *known = find(loader, name);
    if (known)
        return known->bad ? NULL : known;
    DAVY_AUTO_FREE char *file = loader->no_files ? NULL : find_file(loader, name);
    if (!file) {
        not_found(loader, user, name);
        return NULL;
    }
    struct davy_profile *profile = add(loader);
    if (!profile)
        return NULL;
    read_file(loader, profile, file, name);
    if (!profile->bad && !profile->verified) /* here, at its first use, and at no other */
        davy_setting_warning(user, "\"%s\" was not verified on a device; its `notes` in %s say what to prove", name,
                             file);
    return profile->bad ? NULL : profile;
}

void davy_profiles_done(struct davy_loader *loader)
{
    while (loader->profiles) {
        struct davy_profile *next = loader->profiles->next;
        config_destroy(&loader->profiles->tree);
        davy_source_done(&loader->profiles->source);
        free(loader->profiles);
        loader->profiles = next;
    }
}
