/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every key of the configuration, as tables: one per kind of group. The reader fills a C struct by them, the manual
 * page is checked against them. Computed defaults are described here and made by whoever builds the object.
 */
#pragma once

#include <libconfig.h>
#include <stddef.h>

#include "model/config.h"

enum davy_option_type {
    DAVY_OPTION_TEXT,    /* const char *; `max` bounds its length, 255 by default */
    DAVY_OPTION_ID,      /* const char *, [A-Za-z0-9_.-]{1,64} */
    DAVY_OPTION_BOOL,    /* bool */
    DAVY_OPTION_INT,     /* int, min to max */
    DAVY_OPTION_REAL,    /* double, finite, min to max where they differ */
    DAVY_OPTION_SPAN,    /* davy_span, min to max in seconds */
    DAVY_OPTION_SIZE,    /* int64_t, min to max in bytes */
    DAVY_OPTION_ENUM,    /* unsigned: index into `names`, or by `find` */
    DAVY_OPTION_DATE,    /* davy_wall: the start of that day, UTC */
    DAVY_OPTION_LIST,    /* config_setting_t *: ( … ) or [ … ] */
    DAVY_OPTION_GROUP,   /* config_setting_t *: { … } */
    DAVY_OPTION_SETTING, /* config_setting_t *: of several types, read by its builder */
    DAVY_OPTION_TYPE_COUNT_
};

/* When a changed key takes effect on reload. */
enum davy_scope { DAVY_SCOPE_DEFAULT, DAVY_SCOPE_AT_ONCE, DAVY_SCOPE_BUS, DAVY_SCOPE_MQTT, DAVY_SCOPE_RESTART };

struct davy_option {
    const char *name;
    enum davy_option_type type;
    bool required;
    bool later; /* accepted and checked, not in effect yet */
    size_t offset;
    double min, max;
    const char *const *names;      /* ENUM: ended by NULL */
    int (*find)(const char *name); /* ENUM: in place of names */
    const char *allowed;           /* what may stand there, for messages and the manual */
    const char *fallback;          /* the default, as text in quotes where the type is one */
    const char *otherwise;         /* a default that is computed, in words */
    const char *unit;              /* of a number */
    enum davy_scope scope;
    const char *help;
};

struct davy_group {
    const char *name;  /* "device" */
    const char *where; /* its path in the file: "devices[]" */
    enum davy_scope scope;
    const struct davy_option *options;
    size_t count;
};

struct davy_raw_root {
    config_setting_t *gateway, *mqtt, *storage, *buses, *zones, *profiles, *devices, *rules;
};

struct davy_raw_mqtt {
    struct davy_mqtt mqtt;
    const char *url;
    config_setting_t *urls, *commands;
    unsigned version, batch, delivery;
};

struct davy_raw_bus {
    struct davy_bus bus;
    unsigned parity;
};

/* A profile file or an element of `profiles`. Settings live as long as the tree that they come from. */
struct davy_raw_profile {
    const char *name, *description, *source, *notes;
    bool verified;
    davy_span interval, max_reply; /* 0: not given */
    int settle;                    /* below 0: not given */
    int max_gap, max_registers;
    config_setting_t *points, *status;
};

struct davy_raw_device {
    struct davy_device device;
    const char *zone, *bus;
    int unit;
    config_setting_t *points, *status;
};

struct davy_raw_point {
    const char *name, *zone;
    unsigned kind, table, type, order, over_range;
    const char *quantity, *unit;
    config_setting_t *reg, *mask, *range, *bad_values, *status;
    int bit, shift;
    double scale, offset, max_rate, report_deadband;
    davy_span interval, max_age;
};

struct davy_raw_status {
    unsigned table, means;
    config_setting_t *reg;
    int mask, value;
};

/* Keys that a rule has and a limit overrides. */
struct davy_raw_behaviour {
    double deadband;
    davy_span on_delay, off_delay;
    bool latch, acknowledge, shelvable;
    unsigned on_fault;
    const char *owner, *message, *source;
};

struct davy_preset;

struct davy_raw_rule {
    struct davy_raw_behaviour behaviour;
    double baseline;               /* NAN: none */
    const struct davy_preset *row; /* that `preset` names; NULL: none */
    const char *name, *unit, *preset;
    config_setting_t *points, *limits[DAVY_LEVEL_COUNT_], *measure, *when, *escalate;
    int vote;
    unsigned on_bad;
};

struct davy_raw_limit {
    struct davy_raw_behaviour behaviour;
    double above, below;
    config_setting_t *outside, *equals;
};

struct davy_raw_measure {
    unsigned type;
    davy_span window, per, horizon, guard;
    double coverage, epsilon;
    const char *other, *rule;
    bool days;
};

struct davy_raw_when {
    const char *point;
    config_setting_t *equals;
    double above, below;
    davy_span hold;
};

struct davy_raw_step {
    davy_span after;
    unsigned unless, level;
    const char *owner;
};

extern const struct davy_group davy_schema_root, davy_schema_gateway, davy_schema_mqtt, davy_schema_storage,
    davy_schema_bus, davy_schema_zone, davy_schema_profile, davy_schema_device, davy_schema_point, davy_schema_status,
    davy_schema_rule, davy_schema_limit, davy_schema_measure, davy_schema_when, davy_schema_step;

/* All of them, ended by NULL. */
extern const struct davy_group *const davy_schema[];

/*
 * Fill `out` from a group: defaults, then what stands there. Whatever is wrong is reported; the field then keeps its
 * default. A field that has neither is not touched.
 * returns   whether it is a group at all
 */
bool davy_schema_read(config_setting_t *setting, const struct davy_group *group, void *out);

/* A number (whole or not) of a setting; reported where it is none. `min` == `max`: any. */
bool davy_read_real(config_setting_t *setting, double min, double max, double *ret);

/* A whole number, likewise. */
bool davy_read_int(config_setting_t *setting, int64_t min, int64_t max, int64_t *ret);

/* A text without control characters, of 1 to max bytes; NULL where it is none, reported. Owned by the setting. */
const char *davy_read_text(config_setting_t *setting, size_t max);

/* [low, high], low < high. */
bool davy_read_pair(config_setting_t *setting, double *ret_low, double *ret_high);

/* "a text", "a number" …: what stands there, for messages. */
const char *davy_setting_type_name(const config_setting_t *setting);

bool davy_is_id(const char *text);
