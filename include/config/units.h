/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Engineering units and the conversions between them that are lawful; what would need knowledge that a unit does not
 * carry (peak and RMS of a broadband signal, displacement and velocity without a frequency) is refused with the reason.
 * Pure. Thread: any.
 */
#pragma once

#include <stdbool.h>

#include "base/attr.h"
#include "base/buf.h"

/* Of a gas, what the conversion of its concentrations needs. */
struct davy_substance {
    const char *name;
    double molar_mass;    /* g/mol; 0: not known */
    double lel_vol_pct;   /* lower explosive limit in %vol; 0: not known, or it does not burn */
    double ref_temp_c;    /* of mg/m3 */
    double ref_press_kpa; /* of mg/m3; 0 stands for 20 degC and 101.325 kPa */
};

#define DAVY_REF_TEMP_C    20.0
#define DAVY_REF_PRESS_KPA 101.325

/* to = (from - from_zero) * multiplier / divisor + to_zero; multiplier and divisor are positive. */
struct davy_conversion {
    double multiplier, divisor;
    double from_zero, to_zero;
};

#define DAVY_CONVERSION_NONE ((struct davy_conversion){.multiplier = 1, .divisor = 1})

/* Outcome: there is no such conversion. */
#define DAVY_UNIT_REFUSED 1

/*
 * How a number in `from` becomes one in `to`. The same unit is always possible, also one that is not known here.
 * gas      may be NULL; only ppm, %vol, mg/m3 and %LEL need it, and only between a kind and another
 * ret      untouched on failure
 * why      initialised; gets the reason of a refusal, fit to stand behind "cannot be converted: "; may be NULL
 * returns  0 or DAVY_UNIT_REFUSED
 *
 * mg/m3 = ppm * M * P / (R * T), R = 8.314462618 J/(mol K), at the reference temperature and pressure of the gas.
 */
int davy_unit_conversion(const char *from, const char *to, const struct davy_substance *gas,
                         struct davy_conversion *ret, struct davy_buf *why) DAVY_MUST_CHECK;

/* A value, and the difference of two values (a deadband), converted. */
double davy_convert(const struct davy_conversion *conversion, double value);
double davy_convert_difference(const struct davy_conversion *conversion, double difference);

/* Whether the table has it. */
bool davy_unit_is_known(const char *unit);

/* Whether it is one of a gas in air, which may need a davy_substance; whether it is one of the explosive limit. */
bool davy_unit_of_gas(const char *unit);
bool davy_unit_is_lel(const char *unit);
