/* SPDX-License-Identifier: Apache-2.0 */
#include "config/units.h"

#include <string.h>

#define GAS_CONSTANT 8.314462618 /* J/(mol K), CODATA 2018 */
#define ZERO_CELSIUS 273.15

enum dimension {
    FRACTION, /* base ppm */
    MASS,     /* mg/m3 */
    LEL,      /* %LEL */
    PATH,     /* LEL.m of an open path */
    VELOCITY, /* mm/s */
    ACCELERATION,
    DISPLACEMENT, /* um */
    TEMPERATURE,
    PRESSURE,
    SPEED,
    RATIO,
    DIMENSION_COUNT_
};

static const char *const dimension_names[] = {
    [FRACTION] = "a part by volume",
    [MASS] = "a mass per volume",
    [LEL] = "a part of the lower explosive limit",
    [PATH] = "an amount along an open path",
    [VELOCITY] = "a velocity",
    [ACCELERATION] = "an acceleration",
    [DISPLACEMENT] = "a displacement",
    [TEMPERATURE] = "a temperature",
    [PRESSURE] = "a pressure",
    [SPEED] = "a frequency",
    [RATIO] = "a plain number",
};
_Static_assert(DAVY_LENGTH(dimension_names) == DIMENSION_COUNT_, "every dimension has a name");

/* base = (value - zero) * multiplier / divisor: kept as two whole factors, so that 25.4 and 5/9 stay exact. */
struct unit {
    const char *name;
    enum dimension dimension;
    double multiplier, divisor, zero;
};

static const struct unit units[] = {
    {"ppm", FRACTION, 1, 1, 0},
    {"ppb", FRACTION, 1, 1000, 0},
    {"%vol", FRACTION, 10000, 1, 0},
    {"vol%", FRACTION, 10000, 1, 0},
    {"mg/m3", MASS, 1, 1, 0},
    {"mg/m³", MASS, 1, 1, 0},
    {"ug/m3", MASS, 1, 1000, 0},
    {"g/m3", MASS, 1000, 1, 0},
    {"%LEL", LEL, 1, 1, 0},
    {"%LFL", LEL, 1, 1, 0},
    {"LEL.m", PATH, 1, 1, 0},
    {"%LEL.m", PATH, 1, 100, 0},
    {"mm/s", VELOCITY, 1, 1, 0},
    {"cm/s", VELOCITY, 10, 1, 0},
    {"m/s", VELOCITY, 1000, 1, 0},
    {"in/s", VELOCITY, 254, 10, 0},
    {"m/s2", ACCELERATION, 1, 1, 0},
    {"m/s²", ACCELERATION, 1, 1, 0},
    {"g", ACCELERATION, 980665, 100000, 0},
    {"um", DISPLACEMENT, 1, 1, 0},
    {"µm", DISPLACEMENT, 1, 1, 0},
    {"mm", DISPLACEMENT, 1000, 1, 0},
    {"mil", DISPLACEMENT, 254, 10, 0},
    {"in", DISPLACEMENT, 25400, 1, 0},
    {"degC", TEMPERATURE, 1, 1, 0},
    {"°C", TEMPERATURE, 1, 1, 0},
    {"degF", TEMPERATURE, 5, 9, 32},
    {"°F", TEMPERATURE, 5, 9, 32},
    {"K", TEMPERATURE, 1, 1, ZERO_CELSIUS},
    {"Pa", PRESSURE, 1, 1, 0},
    {"kPa", PRESSURE, 1000, 1, 0},
    {"MPa", PRESSURE, 1000000, 1, 0},
    {"mbar", PRESSURE, 100, 1, 0},
    {"bar", PRESSURE, 100000, 1, 0},
    {"Hz", SPEED, 60, 1, 0},
    {"rpm", SPEED, 1, 1, 0},
    {"1", RATIO, 1, 1, 0},
    {"%", RATIO, 1, 100, 0},
};

/* How a vibration is measured. Without a word behind the unit it is RMS, as in the standards on severity. */
enum detector { DETECTOR_RMS, DETECTOR_PEAK, DETECTOR_PEAK_TO_PEAK };

static const struct {
    const char *word;
    enum detector detector;
} detectors[] = {{"rms", DETECTOR_RMS},  {"pk", DETECTOR_PEAK},         {"peak", DETECTOR_PEAK},
                 {"0-p", DETECTOR_PEAK}, {"pp", DETECTOR_PEAK_TO_PEAK}, {"p-p", DETECTOR_PEAK_TO_PEAK},
                 {"RMS", DETECTOR_RMS}};

struct parsed {
    const struct unit *unit;
    enum detector detector;
};

static const struct unit *find(const char *name, size_t length)
{
    for (size_t i = 0; i < DAVY_LENGTH(units); i++)
        if (strlen(units[i].name) == length && memcmp(units[i].name, name, length) == 0)
            return &units[i];
    return NULL;
}

static bool is_vibration(enum dimension dimension)
{
    return dimension == VELOCITY || dimension == ACCELERATION || dimension == DISPLACEMENT;
}

/* "mm/s", "mm/s rms", "um pp": a unit, and of a vibration how it is measured. */
static bool parse(const char *text, struct parsed *ret)
{
    *ret = (struct parsed){find(text, strlen(text)), DETECTOR_RMS};
    if (ret->unit)
        return true;
    size_t length = strcspn(text, " ");
    ret->unit = text[length] ? find(text, length) : NULL;
    if (!ret->unit || !is_vibration(ret->unit->dimension))
        return false;
    for (size_t i = 0; i < DAVY_LENGTH(detectors); i++)
        if (strcmp(detectors[i].word, text + length + 1) == 0) {
            ret->detector = detectors[i].detector;
            return true;
        }
    return false;
}

bool davy_unit_is_known(const char *unit)
{
    struct parsed parsed;
    return parse(unit, &parsed);
}

static bool is_of_gas(enum dimension dimension)
{
    return dimension == FRACTION || dimension == MASS || dimension == LEL;
}

bool davy_unit_of_gas(const char *unit)
{
    struct parsed parsed;
    return parse(unit, &parsed) && is_of_gas(parsed.unit->dimension);
}

bool davy_unit_is_lel(const char *unit)
{
    struct parsed parsed;
    return parse(unit, &parsed) && parsed.unit->dimension == LEL;
}

/* ppm = base value of the dimension * multiplier / divisor. Returns what is missing, or NULL. */
static const char *to_ppm(enum dimension dimension, const struct davy_substance *gas, double *multiplier,
                          double *divisor)
{
    bool given = gas->ref_press_kpa > 0;
    double kelvin = ZERO_CELSIUS + (given ? gas->ref_temp_c : DAVY_REF_TEMP_C);
    double kpa = given ? gas->ref_press_kpa : DAVY_REF_PRESS_KPA;
    *multiplier = *divisor = 1;
    if (dimension == MASS) {
        *multiplier = GAS_CONSTANT * kelvin;
        *divisor = gas->molar_mass * kpa;
        return gas->molar_mass > 0 ? NULL : "molar mass";
    }
    if (dimension == LEL) {
        *multiplier = gas->lel_vol_pct * 100; /* 1 %LEL is LEL / 100 %vol, 1 %vol is 10000 ppm */
        return gas->lel_vol_pct > 0 ? NULL : "lower explosive limit";
    }
    return NULL;
}

static int refuse(struct davy_buf *why, const char *format, const char *a, const char *b)
{
    char text[256];
    struct davy_buf buf;
    davy_buf_init(&buf, text, sizeof text);
    for (const char *p = format; *p; p++)
        if (*p == '@') {
            davy_buf_text(&buf, a);
            a = b;
        } else {
            davy_buf_char(&buf, *p);
        }
    if (why)
        davy_buf_text(why, text);
    return DAVY_UNIT_REFUSED;
}

/* Between a part by volume, a mass per volume and a part of the LEL. */
static int bridge(enum dimension from, enum dimension to, const struct davy_substance *gas,
                  struct davy_conversion *conversion, struct davy_buf *why)
{
    double multiplier, divisor;
    if (!gas)
        return refuse(why, "@ and @ meet only by the properties of a gas", dimension_names[from], dimension_names[to]);
    const char *missing = to_ppm(from, gas, &multiplier, &divisor);
    if (missing)
        return refuse(why, "the @ of @ is not known", missing, gas->name);
    conversion->multiplier *= multiplier;
    conversion->divisor *= divisor;
    missing = to_ppm(to, gas, &multiplier, &divisor);
    if (missing)
        return refuse(why, "the @ of @ is not known", missing, gas->name);
    conversion->multiplier *= divisor;
    conversion->divisor *= multiplier;
    return 0;
}

static int check_dimensions(const struct parsed *from, const struct parsed *to, struct davy_buf *why)
{
    enum dimension a = from->unit->dimension, b = to->unit->dimension;
    if (is_vibration(a) && is_vibration(b) && a != b)
        return refuse(why, "@ and @ meet only at a known frequency, and a broadband value has none", dimension_names[a],
                      dimension_names[b]);
    if (a != b && !(is_of_gas(a) && is_of_gas(b)))
        return refuse(why, "one is @, the other @", dimension_names[a], dimension_names[b]);
    if (from->detector != to->detector)
        return refuse(why, "RMS, peak and peak-to-peak meet only for a pure sine, never for a broadband value", NULL,
                      NULL);
    return 0;
}

int davy_unit_conversion(const char *from, const char *to, const struct davy_substance *gas,
                         struct davy_conversion *ret, struct davy_buf *why)
{
    struct parsed a, b;
    if (strcmp(from, to) == 0) {
        *ret = DAVY_CONVERSION_NONE;
        return 0;
    }
    if (!parse(from, &a))
        return refuse(why, "the unit \"@\" is not known", from, NULL);
    if (!parse(to, &b))
        return refuse(why, "the unit \"@\" is not known", to, NULL);
    int rc = check_dimensions(&a, &b, why);
    if (rc != 0)
        return rc;
    struct davy_conversion conversion = {
        .multiplier = a.unit->multiplier * b.unit->divisor,
        .divisor = a.unit->divisor * b.unit->multiplier,
        .from_zero = a.unit->zero,
        .to_zero = b.unit->zero,
    };
    if (a.unit->dimension != b.unit->dimension)
        rc = bridge(a.unit->dimension, b.unit->dimension, gas, &conversion, why);
    if (rc == 0)
        *ret = conversion;
    return rc;
}

double davy_convert(const struct davy_conversion *conversion, double value)
{
    return davy_convert_difference(conversion, value - conversion->from_zero) + conversion->to_zero;
}

double davy_convert_difference(const struct davy_conversion *conversion, double difference)
{
    return conversion->multiplier == conversion->divisor ? difference
                                                         : difference * conversion->multiplier / conversion->divisor;
}
