/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of config/ share: the text of the files with its origin, the loader, and the helpers that name a
 * place. Every libconfig tree is made from one davy_source, which its root setting carries as hook, so that any setting
 * leads back to file, line and loader.
 */
#pragma once

#include <libconfig.h>

#include "base/buf.h"
#include "base/sha256.h"
#include "config/nearest.h"
#include "config/problems.h"
#include "model/config.h"

#define DAVY_SOURCE_FILES_MAX 16
#define DAVY_SOURCE_DEPTH_MAX 4
#define DAVY_SOURCE_SIZE_MAX  (4U << 20)
#define DAVY_NESTING_MAX      32
#define DAVY_PATH_SIZE        256
#define DAVY_KEYS_MAX         64 /* in one group; no schema has more */

/* First byte of a text that stands for a value that is none; the message follows. */
#define DAVY_POISON '\x01'

struct davy_profile;
struct davy_tables;

/* One load. Lives on the stack of davy_config_load(). */
struct davy_loader {
    struct davy_problems *problems;
    struct davy_config *config;
    int failed;    /* 0 or -ENOMEM: sticky, asked at the end */
    bool no_files; /* text from memory: nothing is opened */
    char *folder;  /* of the main file */
    struct davy_sha256 digest;
    davy_wall now;
    struct davy_profile *profiles; /* list, in order of appearance */
    struct davy_tables *tables;    /* of gases and presets (tables.h); NULL: none was needed yet */
    char later_text[1024];         /* keys that are not in effect yet */
    struct davy_buf later;
    size_t settings_capacity;
    config_setting_t **bus_settings; /* by index, for the place of a problem */
    config_setting_t **device_settings;
    config_setting_t **point_settings;
    bool *point_used; /* a limit, `when` or `other` refers to it */
};

/* Where a line of the merged text comes from. */
struct davy_line {
    uint32_t file;
    uint32_t line;
};

/* What may come next, in a group (the first four) or in a list. */
enum davy_syntax {
    DAVY_SYNTAX_KEY,
    DAVY_SYNTAX_ASSIGN,
    DAVY_SYNTAX_VALUE,
    DAVY_SYNTAX_AFTER,
    DAVY_SYNTAX_FIRST,
    DAVY_SYNTAX_NEXT,
    DAVY_SYNTAX_ITEM,
    DAVY_SYNTAX_COUNT_
};

/* A group or list that is being scanned; its keys are places in the merged text. */
struct davy_depth {
    enum davy_syntax syntax;
    char bracket;        /* that opened it; '{' also of the whole text */
    struct davy_line at; /* of the bracket; of the whole text its latest token */
    size_t key_start[DAVY_KEYS_MAX];
    size_t key_length[DAVY_KEYS_MAX];
    size_t key_count;
};

/* The merged, rewritten text of a file and all that it includes. */
struct davy_source {
    struct davy_loader *loader;
    char *files[DAVY_SOURCE_FILES_MAX];
    size_t file_count;
    char *text;
    size_t length;
    size_t capacity;
    struct davy_line *lines;
    size_t line_count;
    size_t line_capacity;
    unsigned depth;
    bool broken;               /* not worth parsing: an error of the text itself was reported */
    struct davy_depth *depths; /* 0 to DAVY_NESTING_MAX; only while scanning */
    size_t nesting;
};

/* --- source.c --- */

/* Read `file` and its includes; problems are reported. Returns whether the text can be parsed. */
bool davy_source_read(struct davy_source *source, struct davy_loader *loader, const char *file);

/* The same from memory, called `name` in messages. */
bool davy_source_read_text(struct davy_source *source, struct davy_loader *loader, const char *name, const char *text,
                           size_t length);

/* Parse into an initialised tree, which then refers to source; a syntax error is reported. */
bool davy_source_parse(struct davy_source *source, config_t *tree);

/* Append a file that source includes at `from`. Reports. */
void davy_source_include(struct davy_source *source, struct davy_line from, const char *name);

void davy_source_put(struct davy_source *source, const char *bytes, size_t length);
void davy_source_newline(struct davy_source *source, struct davy_line from);
void davy_source_problem(struct davy_source *source, struct davy_line at, const char *format, ...) DAVY_PRINTF(3, 4);
void davy_source_done(struct davy_source *source);

/* --- scan.c --- */

/* Append the text of files[file] to the merged text, rewritten so that libconfig reads exactly what is written. */
void davy_scan(struct davy_source *source, uint32_t file, const char *text, size_t length);

/* --- literal.c --- */

/*
 * A number as libconfig 1.5 reads it exactly: whole ones beyond 32 bits get an L, hexadecimal ones stay so.
 * returns   NULL, or what is wrong with it
 */
const char *davy_literal_rewrite(const char *text, struct davy_buf *out);

/* --- load.c --- */

/* The same as davy_config_load() over a text in memory; includes and profile files are refused. */
int davy_config_load_text(const char *name, const char *text, size_t length, struct davy_problems *problems,
                          struct davy_config **ret_config) DAVY_MUST_CHECK;

/* A text in memory that finds profiles as the file `file` would. */
int davy_config_load_beside(const char *file, const char *text, size_t length, struct davy_problems *problems,
                            struct davy_config **ret_config) DAVY_MUST_CHECK;

/* --- place.c --- */

struct davy_loader *davy_setting_loader(const config_setting_t *setting);

/* "devices[2].points[0].scale" into text; returns text. */
char *davy_setting_path(const config_setting_t *setting, char text[DAVY_PATH_SIZE]);

/* Add an error or a warning at a setting, or at a key that it has not (`key`, may be NULL). */
void davy_setting_error(const config_setting_t *setting, const char *format, ...) DAVY_PRINTF(2, 3);
void davy_setting_warning(const config_setting_t *setting, const char *format, ...) DAVY_PRINTF(2, 3);

/* Whether the scanner found that no value stands there; reported. */
bool davy_setting_is_poison(const config_setting_t *setting);

/* The key without what the scanner put before one that stands twice; NULL in a list. */
const char *davy_setting_key(const config_setting_t *setting);

/* Note a key that is legal but not in effect yet. */
void davy_setting_later(const config_setting_t *setting);

/* The member called key, or the group itself where there is none: a place for a message. */
config_setting_t *davy_setting_at(config_setting_t *group, const char *key);

/* --- load.c --- */

/* `file` is that of the configuration. False without memory; done also then. */
bool davy_loader_init(struct davy_loader *loader, const char *file);
void davy_loader_done(struct davy_loader *loader);

/* --- load.c, memory --- */

/* Zeroed memory of the configuration; marks the load as failed where there is none. */
void *davy_loader_alloc(struct davy_loader *loader, size_t count, size_t size);
const char *davy_loader_text(struct davy_loader *loader, const char *text);

/* The length of a list, or 0 with an error where it is past `max`; 0 for NULL. */
size_t davy_list_length(config_setting_t *list, size_t max);

/* --- tables.c --- */

#define DAVY_PLACES 3

/*
 * Where a file of the plant's or the shipped data may lie: beside the configuration, in /etc/davy, in the data folder.
 * returns   the path for 0 <= place < DAVY_PLACES, malloc'ed; NULL without memory
 */
char *davy_loader_place(const struct davy_loader *loader, size_t place, const char *name);
void davy_tables_done(struct davy_loader *loader);

/* Add the settings of the rows that rules use, for what compares two configurations. */
void davy_tables_collect(struct davy_loader *loader);

/* --- profile.c --- */

/* A register map, its points made once: what a point leaves to its device is 0 (interval, max_age), below 0 or NONE. */
struct davy_profile {
    struct davy_profile *next;
    const char *name;
    config_t tree; /* of a file; owns the settings */
    struct davy_source source;
    bool from_file, verified;
    bool bad;                      /* reported; has no points */
    davy_span interval, max_reply; /* 0: not given */
    int settle;                    /* below 0: not given */
    int max_gap, max_registers;
    struct davy_point *points;
    config_setting_t **settings; /* of the points */
    size_t count;
    const struct davy_status *status;
    size_t status_count;
};

void davy_profiles_read_inline(struct davy_loader *loader, config_setting_t *list);

/* An inline profile, else that of a file; NULL where there is none, reported at `user`. */
const struct davy_profile *davy_profile_find(struct davy_loader *loader, const config_setting_t *user,
                                             const char *name);
void davy_profiles_done(struct davy_loader *loader);

/* --- points.c --- */

#define DAVY_POINTS_PER_DEVICE 10000

/* Points of a list as templates (see struct davy_profile); entries without a usable name are called "?". */
size_t davy_points_build(struct davy_loader *loader, config_setting_t *list, struct davy_point **ret_points,
                         config_setting_t ***ret_settings);
size_t davy_status_build(struct davy_loader *loader, config_setting_t *list, const struct davy_status **ret_status);

/* --- devices.c --- */

void davy_devices_build(struct davy_loader *loader, config_setting_t *list);

/* --- buses.c --- */

void davy_gateway_build(struct davy_loader *loader, config_setting_t *group);
void davy_mqtt_build(struct davy_loader *loader, config_setting_t *group);
void davy_storage_build(struct davy_loader *loader, config_setting_t *group);
void davy_buses_build(struct davy_loader *loader, config_setting_t *list);
void davy_zones_build(struct davy_loader *loader, config_setting_t *list);

/* --- rules.c --- */

void davy_rules_build(struct davy_loader *loader, config_setting_t *list);

/* "DEVICE.POINT" that a typing error in `name` would come from, of the first 10,000 points; empty: none is near. */
void davy_nearest_point(const struct davy_config *config, const char *name, char ret_nearest[DAVY_KEY_SIZE]);

/* --- measure.c --- */

/* `measure` of a rule, which has its points; NULL is the value itself. */
void davy_measure_build(struct davy_loader *loader, config_setting_t *group, struct davy_rule *rule);

/* --- when.c --- */

/*
 * For each point of the rule the point that is called `name`: in full, or without a dot one of the same device. They
 * count as used.
 * returns   NULL where there is none, reported at `setting`
 */
const uint32_t *davy_references_build(struct davy_loader *loader, const char *name, const struct davy_rule *rule,
                                      config_setting_t *setting);

/* `when` and `escalate` of a rule, which has its points, its `vote` and its limits; NULL is none. */
void davy_when_build(struct davy_loader *loader, config_setting_t *group, struct davy_rule *rule);
void davy_escalate_build(struct davy_loader *loader, config_setting_t *list, struct davy_rule *rule);

/* --- limits.c --- */

/* Read the limits that `rule` has; what they inherit is in `raw`. */
struct davy_raw_rule;
void davy_limits_build(struct davy_loader *loader, const struct davy_raw_rule *raw, config_setting_t *setting,
                       struct davy_rule *rule);

/* Of stel and twa: each limit a second time, for the upper bound. The last that is done to a rule's limits. */
void davy_limits_double(struct davy_loader *loader, struct davy_rule *rule);

/* The value of `equals`: true, false or a number; reported where it is none. */
bool davy_read_equals(config_setting_t *setting, double *ret);

/* --- reach.c --- */

/* The limits against each other, the measure and the points. */
void davy_limits_check(struct davy_loader *loader, const struct davy_rule *rule, config_setting_t *setting);

/* The values that a point can have within its range; false where they have no bounds. */
bool davy_point_extent(const struct davy_point *point, double *ret_low, double *ret_high);

/* Whether its values can equal anything. */
bool davy_point_takes_equals(const struct davy_point *point);
#define DAVY_NO_EQUALS "%s is a \"%s\"; only a point of kind \"state\" or of whole numbers can equal"

/* --- check.c --- */

/* What two objects must not share, and what is legal but unwise. */
void davy_config_check(struct davy_loader *loader);

/* --- settings.c --- */

/* Add the settings of a tree under `prefix` ("" or "profiles.NAME"). */
void davy_settings_collect(struct davy_loader *loader, const config_setting_t *root, const char *prefix);
void davy_settings_sort(struct davy_loader *loader);
