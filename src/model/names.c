/* SPDX-License-Identifier: Apache-2.0 */
#include "model/names.h"

#include <errno.h>
#include <string.h>

#define CHECK_LENGTH(table, count) _Static_assert(DAVY_LENGTH(table) == (count), #table " names every value")

static const char *const qualities[] = {
    [DAVY_QUALITY_GOOD] = "good",
    [DAVY_QUALITY_UNCERTAIN] = "uncertain",
    [DAVY_QUALITY_BAD] = "bad",
    [DAVY_QUALITY_COUNT_] = NULL, /* nothing was read yet */
};
CHECK_LENGTH(qualities, DAVY_QUALITY_COUNT_ + 1);

static const char *const reasons[] = {
    [DAVY_REASON_NONE] = NULL,
    [DAVY_REASON_MAINTENANCE] = "maintenance",
    [DAVY_REASON_OVER_RANGE] = "over-range",
    [DAVY_REASON_SETTLING] = "settling",
    [DAVY_REASON_NO_STATUS] = "no-status",
    [DAVY_REASON_WARM_UP] = "warm-up",
    [DAVY_REASON_CALIBRATION] = "calibration",
    [DAVY_REASON_COMM] = "comm",
    [DAVY_REASON_EXCEPTION] = "exception",
    [DAVY_REASON_NOT_A_NUMBER] = "not-a-number",
    [DAVY_REASON_BAD_VALUE] = "bad-value",
    [DAVY_REASON_UNDER_RANGE] = "under-range",
    [DAVY_REASON_DEVICE_FAULT] = "device-fault",
    [DAVY_REASON_STALE] = "stale",
};
CHECK_LENGTH(reasons, DAVY_REASON_COUNT_);

static const char *const levels[] = {[DAVY_LEVEL_NONE] = NULL,
                                     [DAVY_LEVEL_BLUE] = "blue",
                                     [DAVY_LEVEL_YELLOW] = "yellow",
                                     [DAVY_LEVEL_ORANGE] = "orange",
                                     [DAVY_LEVEL_RED] = "red"};
CHECK_LENGTH(levels, DAVY_LEVEL_COUNT_);

static const char *const conditions[] = {
    [DAVY_CONDITION_ABOVE] = "above",     [DAVY_CONDITION_BELOW] = "below", [DAVY_CONDITION_OUTSIDE] = "outside",
    [DAVY_CONDITION_EQUALS] = "equals",   [DAVY_CONDITION_VOTE] = "vote",   [DAVY_CONDITION_FAULT] = "fault",
    [DAVY_CONDITION_INHIBIT] = "inhibit", [DAVY_CONDITION_SELF] = "self",
};
CHECK_LENGTH(conditions, DAVY_CONDITION_COUNT_);

static const char *const states[] = {
    [DAVY_STATE_NORMAL] = "normal",
    [DAVY_STATE_UNACKNOWLEDGED] = "unacknowledged",
    [DAVY_STATE_ACKNOWLEDGED] = "acknowledged",
    [DAVY_STATE_RETURNED] = "returned",
    [DAVY_STATE_LATCHED] = "latched",
    [DAVY_STATE_SUPPRESSED] = "suppressed",
    [DAVY_STATE_SHELVED] = "shelved",
    [DAVY_STATE_OUT_OF_SERVICE] = "out-of-service",
};
CHECK_LENGTH(states, DAVY_STATE_COUNT_);

static const char *const events[] = {
    [DAVY_EVENT_RAISED] = "raised",
    [DAVY_EVENT_ESCALATED] = "escalated",
    [DAVY_EVENT_LOWERED] = "lowered",
    [DAVY_EVENT_CLEARED] = "cleared",
    [DAVY_EVENT_ACKNOWLEDGED] = "acknowledged",
    [DAVY_EVENT_RESET] = "reset",
    [DAVY_EVENT_LATCHED] = "latched",
    [DAVY_EVENT_SHELVED] = "shelved",
    [DAVY_EVENT_UNSHELVED] = "unshelved",
    [DAVY_EVENT_SUPPRESSED] = "suppressed",
    [DAVY_EVENT_UNSUPPRESSED] = "unsuppressed",
    [DAVY_EVENT_OUT_OF_SERVICE] = "out-of-service",
    [DAVY_EVENT_IN_SERVICE] = "in-service",
    [DAVY_EVENT_OVERDUE] = "overdue",
    [DAVY_EVENT_RETIRED] = "retired",
};
CHECK_LENGTH(events, DAVY_EVENT_COUNT_);

static const char *const alarm_kinds[] = {
    [DAVY_ALARM_RULE] = "rule",
    [DAVY_ALARM_FAULT] = "fault",
    [DAVY_ALARM_VOTE_FAULT] = "vote-fault",
    [DAVY_ALARM_INHIBIT] = "inhibit",
    [DAVY_ALARM_CALIBRATION] = "calibration",
    [DAVY_ALARM_STORAGE] = "storage",
    [DAVY_ALARM_MQTT] = "mqtt",
    [DAVY_ALARM_CLOCK] = "clock",
    [DAVY_ALARM_CONFIG] = "config",
    [DAVY_ALARM_OVERLOAD] = "overload",
    [DAVY_ALARM_FLOOD] = "flood",
    [DAVY_ALARM_CHATTER] = "chatter",
};
CHECK_LENGTH(alarm_kinds, DAVY_ALARM_COUNT_);

static const char *const tables[] = {[DAVY_TABLE_COIL] = "coil",
                                     [DAVY_TABLE_DISCRETE] = "discrete",
                                     [DAVY_TABLE_INPUT] = "input",
                                     [DAVY_TABLE_HOLDING] = "holding"};
CHECK_LENGTH(tables, DAVY_TABLE_COUNT_);

static const char *const types[] = {
    [DAVY_TYPE_BOOL] = "bool",     [DAVY_TYPE_INT16] = "int16",     [DAVY_TYPE_UINT16] = "uint16",
    [DAVY_TYPE_INT32] = "int32",   [DAVY_TYPE_UINT32] = "uint32",   [DAVY_TYPE_INT64] = "int64",
    [DAVY_TYPE_UINT64] = "uint64", [DAVY_TYPE_FLOAT32] = "float32", [DAVY_TYPE_FLOAT64] = "float64",
};
CHECK_LENGTH(types, DAVY_TYPE_COUNT_);

static const unsigned char type_registers[] = {
    [DAVY_TYPE_BOOL] = 1,   [DAVY_TYPE_INT16] = 1,   [DAVY_TYPE_UINT16] = 1,
    [DAVY_TYPE_INT32] = 2,  [DAVY_TYPE_UINT32] = 2,  [DAVY_TYPE_INT64] = 4,
    [DAVY_TYPE_UINT64] = 4, [DAVY_TYPE_FLOAT32] = 2, [DAVY_TYPE_FLOAT64] = 4,
};
CHECK_LENGTH(type_registers, DAVY_TYPE_COUNT_);

static const char *const orders[] = {
    [DAVY_ORDER_ABCD] = "ABCD", [DAVY_ORDER_CDAB] = "CDAB", [DAVY_ORDER_BADC] = "BADC", [DAVY_ORDER_DCBA] = "DCBA"};
CHECK_LENGTH(orders, DAVY_ORDER_COUNT_);

static const char *const long_orders[] = {[DAVY_ORDER_ABCD] = "ABCDEFGH",
                                          [DAVY_ORDER_CDAB] = "GHEFCDAB",
                                          [DAVY_ORDER_BADC] = "BADCFEHG",
                                          [DAVY_ORDER_DCBA] = "HGFEDCBA"};
CHECK_LENGTH(long_orders, DAVY_ORDER_COUNT_);

static const char *const kinds[] = {[DAVY_KIND_OTHER] = "other",
                                    [DAVY_KIND_GAS] = "gas",
                                    [DAVY_KIND_VIBRATION] = "vibration",
                                    [DAVY_KIND_TEMPERATURE] = "temperature",
                                    [DAVY_KIND_STATE] = "state"};
CHECK_LENGTH(kinds, DAVY_KIND_COUNT_);

static const char *const meanings[] = {
    [DAVY_MEANS_FAULT] = "fault",
    [DAVY_MEANS_WARM_UP] = "warm-up",
    [DAVY_MEANS_CALIBRATION] = "calibration",
    [DAVY_MEANS_OVER_RANGE] = "over-range",
    [DAVY_MEANS_MAINTENANCE] = "maintenance",
};
CHECK_LENGTH(meanings, DAVY_MEANS_COUNT_);

static const char *const measures[] = {
    [DAVY_MEASURE_VALUE] = "value",
    [DAVY_MEASURE_MEAN] = "mean",
    [DAVY_MEASURE_MIN] = "min",
    [DAVY_MEASURE_MAX] = "max",
    [DAVY_MEASURE_STDDEV] = "stddev",
    [DAVY_MEASURE_RMS] = "rms",
    [DAVY_MEASURE_RATE] = "rate",
    [DAVY_MEASURE_FORECAST] = "forecast",
    [DAVY_MEASURE_STEL] = "stel",
    [DAVY_MEASURE_TWA] = "twa",
    [DAVY_MEASURE_DEVIATION] = "deviation",
    [DAVY_MEASURE_STUCK] = "stuck",
    [DAVY_MEASURE_DIFFERENCE] = "difference",
    [DAVY_MEASURE_OCCURRENCES] = "occurrences",
};
CHECK_LENGTH(measures, DAVY_MEASURE_COUNT_);

static const char *const bus_types[] = {
    [DAVY_BUS_RTU] = "rtu", [DAVY_BUS_TCP] = "tcp", [DAVY_BUS_RTU_OVER_TCP] = "rtu-over-tcp"};
CHECK_LENGTH(bus_types, DAVY_BUS_TYPE_COUNT_);

int davy_name_find(const char *const *table, size_t length, const char *name)
{
    for (size_t i = 0; i < length; i++)
        if (table[i] && strcmp(table[i], name) == 0)
            return (int)i;
    return -EINVAL;
}

/* Each enum's pair of functions: value to name, name to value. */
#define NAMES(noun, type, table)                                                                                       \
    const char *davy_##noun##_name(type value)                                                                         \
    {                                                                                                                  \
        return (size_t)value < DAVY_LENGTH(table) ? table[value] : "?";                                                \
    }                                                                                                                  \
    int davy_##noun##_find(const char *name)                                                                           \
    {                                                                                                                  \
        return davy_name_find(table, DAVY_LENGTH(table), name);                                                        \
    }

NAMES(quality, enum davy_quality, qualities)
NAMES(level, enum davy_level, levels)
NAMES(condition, enum davy_condition, conditions)
NAMES(state, enum davy_state, states)
NAMES(event, enum davy_event_type, events)
NAMES(alarm_kind, enum davy_alarm_kind, alarm_kinds)
NAMES(table, enum davy_table, tables)
NAMES(type, enum davy_type, types)
NAMES(kind, enum davy_kind, kinds)
NAMES(means, enum davy_means, meanings)
NAMES(measure, enum davy_measure, measures)
NAMES(bus_type, enum davy_bus_type, bus_types)

const char *davy_reason_name(enum davy_reason reason)
{
    return (size_t)reason < DAVY_LENGTH(reasons) ? reasons[reason] : "?";
}

int davy_reason_find(const char *name)
{
    return name[0] == '\0' ? DAVY_REASON_NONE : davy_name_find(reasons, DAVY_LENGTH(reasons), name);
}

const char *davy_order_name(enum davy_order order)
{
    return (size_t)order < DAVY_LENGTH(orders) ? orders[order] : "?";
}

int davy_order_find(const char *name)
{
    int found = davy_name_find(orders, DAVY_LENGTH(orders), name);
    return found >= 0 ? found : davy_name_find(long_orders, DAVY_LENGTH(long_orders), name);
}

enum davy_quality davy_reason_quality(enum davy_reason reason)
{
    if (reason <= DAVY_REASON_MAINTENANCE)
        return DAVY_QUALITY_GOOD;
    return reason <= DAVY_REASON_CALIBRATION ? DAVY_QUALITY_UNCERTAIN : DAVY_QUALITY_BAD;
}

unsigned davy_type_registers(enum davy_type type)
{
    return type_registers[type];
}
