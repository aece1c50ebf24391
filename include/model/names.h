/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vocabulary of the project as enums, each with its table of names. The names are what the configuration, the
 * messages and the database say; the order of levels and the worst-of order of qualities are meaningful.
 * Thread: any; constant tables.
 */
#pragma once

#include "base/attr.h"

/* Of an alarm or event COUNT_, null in messages: nothing was read yet. */
enum davy_quality { DAVY_QUALITY_GOOD, DAVY_QUALITY_UNCERTAIN, DAVY_QUALITY_BAD, DAVY_QUALITY_COUNT_ };

/* Why a reading has its quality. Each reason belongs to one quality: davy_reason_quality(). */
enum davy_reason {
    DAVY_REASON_NONE,
    DAVY_REASON_MAINTENANCE,
    DAVY_REASON_OVER_RANGE,
    DAVY_REASON_SETTLING,
    DAVY_REASON_NO_STATUS,
    DAVY_REASON_WARM_UP,
    DAVY_REASON_CALIBRATION,
    DAVY_REASON_COMM,
    DAVY_REASON_EXCEPTION,
    DAVY_REASON_NOT_A_NUMBER,
    DAVY_REASON_BAD_VALUE,
    DAVY_REASON_UNDER_RANGE,
    DAVY_REASON_DEVICE_FAULT,
    DAVY_REASON_STALE,
    DAVY_REASON_COUNT_
};

/* Ascending risk. NONE is "no limit tripped" and null in messages. */
enum davy_level {
    DAVY_LEVEL_NONE,
    DAVY_LEVEL_BLUE,
    DAVY_LEVEL_YELLOW,
    DAVY_LEVEL_ORANGE,
    DAVY_LEVEL_RED,
    DAVY_LEVEL_COUNT_
};

/* What a limit compares; the last four are the conditions of alarms that are not limits. */
enum davy_condition {
    DAVY_CONDITION_ABOVE,
    DAVY_CONDITION_BELOW,
    DAVY_CONDITION_OUTSIDE,
    DAVY_CONDITION_EQUALS,
    DAVY_CONDITION_VOTE,
    DAVY_CONDITION_FAULT,
    DAVY_CONDITION_INHIBIT,
    DAVY_CONDITION_SELF, /* an alarm of the gateway about itself or a calibration that is due */
    DAVY_CONDITION_COUNT_
};

/* ISA-18.2; ARCHITECTURE.md, States of an alarm. */
enum davy_state {
    DAVY_STATE_NORMAL,
    DAVY_STATE_UNACKNOWLEDGED,
    DAVY_STATE_ACKNOWLEDGED,
    DAVY_STATE_RETURNED,
    DAVY_STATE_LATCHED,
    DAVY_STATE_SUPPRESSED,
    DAVY_STATE_SHELVED,
    DAVY_STATE_OUT_OF_SERVICE,
    DAVY_STATE_COUNT_
};

enum davy_event_type {
    DAVY_EVENT_RAISED,
    DAVY_EVENT_ESCALATED,
    DAVY_EVENT_LOWERED,
    DAVY_EVENT_CLEARED,
    DAVY_EVENT_ACKNOWLEDGED,
    DAVY_EVENT_RESET,
    DAVY_EVENT_LATCHED,
    DAVY_EVENT_SHELVED,
    DAVY_EVENT_UNSHELVED,
    DAVY_EVENT_SUPPRESSED,
    DAVY_EVENT_UNSUPPRESSED,
    DAVY_EVENT_OUT_OF_SERVICE,
    DAVY_EVENT_IN_SERVICE,
    DAVY_EVENT_OVERDUE,
    DAVY_EVENT_RETIRED,
    DAVY_EVENT_COUNT_
};

/* The rule of an alarm, or which built-in alarm it is. Events of one cause come in this order. */
enum davy_alarm_kind {
    DAVY_ALARM_RULE,
    DAVY_ALARM_FAULT,
    DAVY_ALARM_VOTE_FAULT,
    DAVY_ALARM_INHIBIT,
    DAVY_ALARM_CALIBRATION,
    DAVY_ALARM_STORAGE,
    DAVY_ALARM_MQTT,
    DAVY_ALARM_CLOCK,
    DAVY_ALARM_CONFIG,
    DAVY_ALARM_OVERLOAD,
    DAVY_ALARM_FLOOD,
    DAVY_ALARM_CHATTER,
    DAVY_ALARM_COUNT_
};

/* Modbus: the four tables. */
enum davy_table { DAVY_TABLE_COIL, DAVY_TABLE_DISCRETE, DAVY_TABLE_INPUT, DAVY_TABLE_HOLDING, DAVY_TABLE_COUNT_ };

enum davy_type {
    DAVY_TYPE_BOOL,
    DAVY_TYPE_INT16,
    DAVY_TYPE_UINT16,
    DAVY_TYPE_INT32,
    DAVY_TYPE_UINT32,
    DAVY_TYPE_INT64,
    DAVY_TYPE_UINT64,
    DAVY_TYPE_FLOAT32,
    DAVY_TYPE_FLOAT64,
    DAVY_TYPE_COUNT_
};

/* Order of bytes on the wire: words swapped, bytes within words swapped, or both. For all widths. */
enum davy_order { DAVY_ORDER_ABCD, DAVY_ORDER_CDAB, DAVY_ORDER_BADC, DAVY_ORDER_DCBA, DAVY_ORDER_COUNT_ };

enum davy_kind {
    DAVY_KIND_OTHER,
    DAVY_KIND_GAS,
    DAVY_KIND_VIBRATION,
    DAVY_KIND_TEMPERATURE,
    DAVY_KIND_STATE,
    DAVY_KIND_COUNT_
};

/* What a status bit means. */
enum davy_means {
    DAVY_MEANS_FAULT,
    DAVY_MEANS_WARM_UP,
    DAVY_MEANS_CALIBRATION,
    DAVY_MEANS_OVER_RANGE,
    DAVY_MEANS_MAINTENANCE,
    DAVY_MEANS_COUNT_
};

enum davy_measure {
    DAVY_MEASURE_VALUE,
    DAVY_MEASURE_MEAN,
    DAVY_MEASURE_MIN,
    DAVY_MEASURE_MAX,
    DAVY_MEASURE_STDDEV,
    DAVY_MEASURE_RMS,
    DAVY_MEASURE_RATE,
    DAVY_MEASURE_FORECAST,
    DAVY_MEASURE_STEL,
    DAVY_MEASURE_TWA,
    DAVY_MEASURE_DEVIATION,
    DAVY_MEASURE_STUCK,
    DAVY_MEASURE_DIFFERENCE,
    DAVY_MEASURE_OCCURRENCES,
    DAVY_MEASURE_COUNT_
};

enum davy_bus_type { DAVY_BUS_RTU, DAVY_BUS_TCP, DAVY_BUS_RTU_OVER_TCP, DAVY_BUS_TYPE_COUNT_ };

/* Names as they stand in configuration and payloads; static text. */
const char *davy_quality_name(enum davy_quality quality);
const char *davy_reason_name(enum davy_reason reason); /* NULL for none */
const char *davy_level_name(enum davy_level level);    /* NULL for none */
const char *davy_condition_name(enum davy_condition condition);
const char *davy_state_name(enum davy_state state);
const char *davy_event_name(enum davy_event_type type);
const char *davy_alarm_kind_name(enum davy_alarm_kind kind); /* the built-in's rule name; "rule" for a rule */
const char *davy_table_name(enum davy_table table);
const char *davy_type_name(enum davy_type type);
const char *davy_order_name(enum davy_order order);
const char *davy_kind_name(enum davy_kind kind);
const char *davy_means_name(enum davy_means means);
const char *davy_measure_name(enum davy_measure measure);
const char *davy_bus_type_name(enum davy_bus_type type);

/*
 * Find `name` in a table of names; entries may be NULL.
 * returns   its index, or -EINVAL
 */
int davy_name_find(const char *const *table, size_t length, const char *name);

/* Index of a name, or -EINVAL. */
int davy_quality_find(const char *name);
int davy_reason_find(const char *name); /* "" is none */
int davy_level_find(const char *name);
int davy_condition_find(const char *name);
int davy_state_find(const char *name);
int davy_event_find(const char *name);
int davy_alarm_kind_find(const char *name);
int davy_table_find(const char *name);
int davy_type_find(const char *name);
int davy_order_find(const char *name); /* also the long names of 64 bits */
int davy_kind_find(const char *name);
int davy_means_find(const char *name);
int davy_measure_find(const char *name);
int davy_bus_type_find(const char *name);

/* The quality that a reason implies; DAVY_QUALITY_GOOD for none. */
enum davy_quality davy_reason_quality(enum davy_reason reason);

/* Registers (or bits, for bool of a bit table) that a value of this type occupies: 1, 2 or 4. */
unsigned davy_type_registers(enum davy_type type);
