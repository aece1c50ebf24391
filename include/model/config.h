/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration as the daemon runs it: one immutable object, built and checked whole by config/, then shared by all
 * threads through a counted reference. Arrays are indexed by the numbers that readings, requests and events carry.
 * All text is UTF-8 and owned by the object; optional text is NULL.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/clock.h"
#include "model/names.h"

/* Index that refers to nothing. */
#define DAVY_NONE UINT32_MAX

/* Ids match [A-Za-z0-9_.-]{1,64}. */
#define DAVY_ID_MAX 64

/* Enough for "RULE:DEVICE.POINT" with the end. */
#define DAVY_KEY_SIZE (3 * DAVY_ID_MAX + 3)

struct davy_gateway {
    const char *id;
    const char *site;
    const char *timezone;    /* IANA name; NULL: the machine's */
    davy_span detect_within; /* 0: not set */
};

enum davy_telemetry { DAVY_TELEMETRY_OFF, DAVY_TELEMETRY_CHANGES, DAVY_TELEMETRY_ALL };

struct davy_mqtt {
    bool enabled; /* false: no mqtt group in the file */
    const char **urls;
    size_t url_count;
    bool version_3; /* 3.1.1 instead of 5 */
    const char *client_id;
    const char *username;
    const char *password_file; /* NULL: the credential mqtt-password where there is one */
    const char *ca_file;
    const char *cert_file;
    const char *key_file;
    const char *prefix;
    davy_span keepalive;
    enum davy_telemetry telemetry;
    davy_span telemetry_interval;
    bool telemetry_per_gateway; /* one message for all devices */
    unsigned commands;          /* bit set of DAVY_MQTT_COMMAND_… */
    bool delivery_platform;
    davy_span confirm_within;
};

#define DAVY_MQTT_COMMAND_CONFIRM  1U
#define DAVY_MQTT_COMMAND_SNAPSHOT 2U
#define DAVY_MQTT_COMMAND_RESEND   4U
#define DAVY_MQTT_COMMAND_ACK      8U

struct davy_storage {
    const char *directory; /* NULL: $STATE_DIRECTORY, else /var/lib/davy */
    davy_span retention;
    int64_t max_size_bytes;
    davy_span event_retention;
    davy_span commit_interval;
    davy_span announce_within;
};

struct davy_bus {
    const char *name;
    enum davy_bus_type type;
    const char *device; /* rtu: path of the serial port */
    int baud;
    char parity; /* 'N' 'E' 'O' */
    int data_bits;
    int stop_bits;
    const char *host; /* tcp, rtu-over-tcp: name or address, IPv4 or IPv6 */
    int port;
    int connections;
    davy_span timeout; /* when we stop waiting for a reply */
    int retries;
    davy_span pause; /* added silence between requests */
    davy_span fault_delay;
    bool rs485;
    davy_span rts_delay;
    bool echo;
};

struct davy_zone {
    const char *id;
    const char *name;
    const char *owner;
    enum davy_level risk; /* DAVY_LEVEL_NONE: not assessed */
    int row;              /* -1: not on the map */
    int column;
};

/* A status word: holds when (raw & mask) == value, without a value when it is not 0. */
struct davy_status {
    enum davy_table table;
    uint16_t address; /* zero-based */
    uint16_t mask;
    uint16_t value;
    bool has_value;
    enum davy_means means;
};

struct davy_point {
    const char *name; /* without the device */
    uint32_t device;  /* index */
    uint32_t zone;    /* index or DAVY_NONE */
    enum davy_kind kind;
    const char *quantity;
    const char *unit; /* "1" by default */
    enum davy_table table;
    uint16_t address; /* zero-based */
    enum davy_type type;
    enum davy_order order;
    bool has_mask; /* part of the raw value: (raw & mask) >> shift, unsigned */
    uint64_t mask;
    unsigned shift;
    double scale; /* value = raw * scale + offset; where divisor is not 0, raw / divisor + offset */
    double divisor;
    double offset;
    bool has_range;
    double low, high;
    bool over_range_latch;
    const uint64_t *bad_values; /* raw bits, of the type's width */
    size_t bad_value_count;
    const struct davy_status *status; /* the point's own */
    size_t status_count;
    davy_span interval;
    davy_span max_age;
    double max_rate; /* unit per second; a faster change has to settle; 0: any */
    double report_deadband;
};

struct davy_device {
    const char *id;
    const char *name; /* the id where none is given */
    uint32_t zone;    /* index or DAVY_NONE */
    uint32_t bus;
    uint8_t unit;
    const char *profile;
    davy_span interval;
    davy_span alarm_interval; /* ns = 0: in alarm each point is read as ever */
    davy_span max_reply;
    int settle;
    davy_span inhibit_max;
    bool enabled;
    davy_wall calibration_due; /* ns = 0: none */
    const char *owner;
    int max_gap;                      /* registers that may be read for nothing to join two points */
    int max_registers;                /* per request, at most 125 */
    const struct davy_status *status; /* valid for all points of the device */
    size_t status_count;
    uint32_t first_point;
    uint32_t point_count;
};

/* One limit of a rule. */
struct davy_limit {
    enum davy_level level;
    enum davy_condition condition; /* ABOVE, BELOW, OUTSIDE, EQUALS */
    double a;                      /* the bound; of OUTSIDE the lower one */
    double b;                      /* of OUTSIDE the upper one */
    double deadband;
    davy_span on_delay;
    davy_span off_delay;
    bool latch;
    bool acknowledge;
    bool trip_on_fault;
    bool shelvable;
    bool upper; /* stel, twa: acts on the upper bound, `level` is one lower than in the file (blue stays) */
    const char *owner;
    const char *message;
    const char *source;
};

/* Four levels, and of stel and twa each a second time for the upper bound. */
#define DAVY_LIMITS_MAX 8

/* What is made of the readings before the limits see them; what a measure does not take is 0. */
struct davy_measure_options {
    davy_span window;       /* stel: 15 min, twa: 8 h */
    double coverage;        /* mean, stddev, rms: the part of the window that must be covered */
    davy_span per;          /* rate: the unit of time of the slope */
    davy_span horizon;      /* forecast: how far ahead */
    davy_span guard;        /* deviation: the newest part that is left out */
    double epsilon;         /* stuck: a move by more than this counts */
    const uint32_t *others; /* difference: for each point of the rule the point that is subtracted */
    uint32_t rule;          /* occurrences: an earlier rule, that is no vote and watches each point of this one */
    bool days;              /* occurrences: local calendar days in a row */
};

/* The rule applies only while this is true. */
struct davy_when {
    const uint32_t *points;        /* for each point of the rule (of a vote all the same); NULL: there is no `when` */
    enum davy_condition condition; /* ABOVE, BELOW, EQUALS */
    double value;
    davy_span hold; /* `for` */
};

/* What a bad or inhibited member of a vote is, that has no vote. */
enum davy_on_bad { DAVY_ON_BAD_DEGRADE, DAVY_ON_BAD_TRIP, DAVY_ON_BAD_ABSTAIN, DAVY_ON_BAD_COUNT_ };

/* A step of the escalation ladder. */
struct davy_step {
    davy_span after;     /* from the first raise of the occurrence */
    bool unless_cleared; /* else unless acknowledged */
    const char *owner;
    enum davy_level level; /* the least that the alarm has from then on; NONE: as it is */
};

#define DAVY_STEPS_MAX 16

struct davy_rule {
    const char *name;
    enum davy_measure measure;
    struct davy_measure_options options;
    struct davy_when when;
    unsigned vote;          /* M of the points; 0: one alarm per point */
    const char *fault_name; /* of a vote: "NAME.fault" */
    enum davy_on_bad on_bad;
    const struct davy_step *steps; /* ascending by `after` */
    size_t step_count;
    /*
     * Ascending by level, at the same level an `upper` one first. Where the points differ in unit or gas and the file's
     * numbers are converted, each point has its own (per_point): use davy_rule_limits().
     */
    const struct davy_limit *limits;
    size_t limit_count;
    bool per_point;
    const char *preset;     /* NULL: none */
    const uint32_t *points; /* those that match, in file order */
    size_t point_count;
};

/* The limits for the rule's point of this place, 0 <= index < point_count: limit_count of them, in the point's unit. */
static inline const struct davy_limit *davy_rule_limits(const struct davy_rule *rule, size_t index)
{
    return rule->limits + (rule->per_point ? index * rule->limit_count : 0);
}

/*
 * Beside how many devices of its bus that do not answer a detection time is told: none, one, a distribution box full.
 */
enum davy_dead {
    DAVY_DEAD_NONE,
    DAVY_DEAD_ONE,
    DAVY_DEAD_SOME,
    DAVY_DEAD_COUNT_,
};

#define DAVY_DEAD_SOME_DEVICES 3

/*
 * One Modbus request of the plan and what is read by it. Made by acquire/request.c from the configuration.
 * Points and status words of a request lie wholly inside it; a value is never split over two requests.
 */
struct davy_request {
    uint32_t bus;
    uint32_t device;
    enum davy_table table;
    uint16_t start; /* zero-based */
    uint16_t count; /* registers or bits */
    davy_span interval;
    const uint32_t *points; /* read by this request; may be none where it is for status words only */
    size_t point_count;
    uint32_t connection;                   /* of its bus, that reads its device (acquire/share.h) */
    davy_span detection[DAVY_DEAD_COUNT_]; /* from a step at the register to its reading (acquire/estimate.h) */
};

/* A setting as the file gives it, for diffs: "devices.GT-101.interval" = "\"1s\"". */
struct davy_setting {
    const char *path;
    const char *value;
};

struct davy_config {
    atomic_uint references;
    uint32_t generation; /* counts the configurations of this process */
    char hash[72];       /* "sha256:" and 64 hex digits over all files read, in order */
    const char *file;    /* as given */
    struct davy_gateway gateway;
    struct davy_mqtt mqtt;
    struct davy_storage storage;
    struct davy_bus *buses;
    size_t bus_count;
    struct davy_zone *zones;
    size_t zone_count;
    struct davy_device *devices;
    size_t device_count;
    struct davy_point *points; /* grouped by device, in file order */
    size_t point_count;
    struct davy_rule *rules;
    size_t rule_count;
    struct davy_request *requests; /* grouped by bus, then device */
    size_t request_count;
    struct davy_setting *settings; /* sorted by path */
    size_t setting_count;
    void **owned; /* everything above that was allocated */
    size_t owned_count;
};

/* An empty configuration with one reference. NULL without memory. */
struct davy_config *davy_config_new(void);

/* Another reference to the same object. Thread: any. Returns config. */
const struct davy_config *davy_config_ref(const struct davy_config *config);

/* Give a reference back; the last one frees. Accepts NULL; returns NULL. Thread: any. */
const struct davy_config *davy_config_unref(const struct davy_config *config);

/*
 * While building: zeroed memory, or a copy of `text`, that lives as long as the object.
 * returns   NULL without memory (also for a NULL text)
 */
void *davy_config_alloc(struct davy_config *config, size_t count, size_t size);
const char *davy_config_text(struct davy_config *config, const char *text);

/* Index of a bus, device, zone or rule by its name; DAVY_NONE where there is none. Linear. */
uint32_t davy_config_find_bus(const struct davy_config *config, const char *name);
uint32_t davy_config_find_device(const struct davy_config *config, const char *id);
uint32_t davy_config_find_zone(const struct davy_config *config, const char *id);
uint32_t davy_config_find_rule(const struct davy_config *config, const char *name);

/* Index of "DEVICE.POINT" (divided at the last dot), or DAVY_NONE. */
uint32_t davy_config_find_point(const struct davy_config *config, const char *full_name);

/* "DEVICE.POINT" of a point into `text`; returns text. */
char *davy_config_point_name(const struct davy_config *config, uint32_t point, char text[DAVY_KEY_SIZE]);

/*
 * A glob over "DEVICE.POINT", matched apart before and after the last dot (fnmatch(3), no special slash).
 */
bool davy_point_glob(const char *glob, const char *device, const char *point);
