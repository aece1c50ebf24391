/* SPDX-License-Identifier: Apache-2.0 */
/* The conversions, against figures computed by hand; what must be refused is, with the reason. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/attr.h"
#include "config/units.h"

static const struct davy_substance co = {"CO", 28.01, 10.9, 20, 101.325};
static const struct davy_substance h2s = {"H2S", 34.08, 4.0, 20, 101.325};
static const struct davy_substance cl2 = {"Cl2", 70.90, 0, 20, 101.325};
static const struct davy_substance nh3 = {"NH3", 17.03, 15, 20, 101.325};
static const struct davy_substance ch4 = {"CH4", 16.04, 4.4, 20, 101.325};
static const struct davy_substance ch4_us = {"CH4", 16.04, 5.0, 20, 101.325};

static struct davy_substance at(struct davy_substance gas, double ref_temp_c)
{
    gas.ref_temp_c = ref_temp_c;
    return gas;
}

static double convert(const char *from, const char *to, const struct davy_substance *gas, double value)
{
    struct davy_conversion conversion;
    char text[256];
    struct davy_buf why;
    davy_buf_init(&why, text, sizeof text);
    if (davy_unit_conversion(from, to, gas, &conversion, &why) != 0)
        fail_msg("%s to %s: %s", from, to, text);
    return davy_convert(&conversion, value);
}

static void assert_near(double found, double expected, double relative)
{
    if (!(fabs(found - expected) <= relative * fabs(expected)))
        fail_msg("%.17g is not %.17g", found, expected);
}

/* Three digits: half a unit of the third. */
static void assert_3_digits(double found, double expected)
{
    char a[32], b[32];
    snprintf(a, sizeof a, "%.3g", found);
    snprintf(b, sizeof b, "%.3g", expected);
    assert_string_equal(a, b);
}

static void milligrams_become_ppm_at_the_reference_temperature(void **state)
{
    (void)state;
    static const struct {
        const struct davy_substance *gas;
        double milligrams, ppm[3];
    } rows[] = {{&co, 20, {16.0, 17.2, 17.5}}, {&h2s, 10, {6.58, 7.06, 7.18}}, {&cl2, 1, {0.316, 0.339, 0.345}}};
    static const double temperatures[] = {0, 20, 25};
    for (size_t i = 0; i < DAVY_LENGTH(rows); i++)
        for (size_t k = 0; k < 3; k++) {
            struct davy_substance gas = at(*rows[i].gas, temperatures[k]);
            assert_3_digits(convert("mg/m3", "ppm", &gas, rows[i].milligrams), rows[i].ppm[k]);
        }
    assert_3_digits(convert("ppm", "mg/m3", &nh3, 25), 17.7);
}

static void the_molar_volume_is_that_of_the_gas_law(void **state)
{
    (void)state;
    /* M = 1 g/mol: 1 mg/m3 is as many ppm as a mole has litres */
    struct davy_substance unit = {"?", 1, 0, 0, 101.325};
    assert_near(convert("mg/m3", "ppm", &unit, 1), 22.414, 1e-5);
    unit.ref_temp_c = 20;
    assert_near(convert("mg/m3", "ppm", &unit, 1), 24.055, 1e-5);
    unit.ref_temp_c = 25;
    assert_near(convert("mg/m3", "ppm", &unit, 1), 24.465, 2e-5);
    unit.ref_press_kpa = 2 * 101.325;
    assert_near(convert("mg/m3", "ppm", &unit, 1), 24.465 / 2, 2e-5);
}

static void no_reference_means_20_degrees_and_one_atmosphere(void **state)
{
    (void)state;
    struct davy_substance bare = {"CO", 28.01, 0, 0, 0};
    assert_true(convert("mg/m3", "ppm", &bare, 20) == convert("mg/m3", "ppm", &co, 20));
}

static void explosive_limits_become_volumes(void **state)
{
    (void)state;
    assert_near(convert("%LEL", "%vol", &ch4, 25), 1.10, 1e-12);
    assert_near(convert("%LEL", "%vol", &co, 25), 2.725, 1e-12);
    assert_near(convert("%LEL", "ppm", &h2s, 25), 10000, 1e-12);
    assert_near(convert("%vol", "%LEL", &ch4_us, 2.5), 50.0, 1e-12);
    assert_3_digits(convert("%vol", "%LEL", &ch4, 2.5), 56.8);
    assert_near(convert("%LEL", "mg/m3", &h2s, 25), 10000 * 34.08 / 24.0550, 1e-4);
}

static void plain_factors_are_exact(void **state)
{
    (void)state;
    assert_true(convert("%vol", "ppm", NULL, 23.5) == 235000);
    assert_true(convert("ppm", "%vol", NULL, 195000) == 19.5);
    assert_true(convert("ppm", "ppb", NULL, 0.5) == 500);
    assert_true(convert("in/s", "mm/s", NULL, 1) == 25.4);
    assert_true(convert("mm/s", "in/s", NULL, 25.4) == 1);
    assert_true(convert("g", "m/s2", NULL, 1) == 9.80665);
    assert_true(convert("mm", "um", NULL, 0.5) == 500);
    assert_true(convert("mil", "um", NULL, 1) == 25.4);
    assert_true(convert("in", "mil", NULL, 1) == 1000);
    assert_true(convert("m/s", "mm/s", NULL, 0.0045) == 4.5);
    assert_true(convert("µm", "um", NULL, 57) == 57);
    assert_true(convert("rpm", "Hz", NULL, 3000) == 50);
    assert_true(convert("%LEL.m", "LEL.m", NULL, 100) == 1);
}

static void a_temperature_has_a_zero_and_its_difference_has_none(void **state)
{
    (void)state;
    struct davy_conversion conversion;
    assert_true(convert("degC", "degF", NULL, 100) == 212);
    assert_true(convert("degF", "degC", NULL, -40) == -40);
    assert_true(convert("degC", "K", NULL, 0) == 273.15);
    assert_near(convert("degF", "K", NULL, 32), 273.15, 1e-15);
    assert_int_equal(davy_unit_conversion("degC", "degF", NULL, &conversion, NULL), 0);
    assert_true(davy_convert_difference(&conversion, 5) == 9);
    assert_int_equal(davy_unit_conversion("K", "degC", NULL, &conversion, NULL), 0);
    assert_true(davy_convert_difference(&conversion, 5) == 5);
}

static void there_and_back_is_the_same_number(void **state)
{
    (void)state;
    static const char *const groups[][5] = {{"ppm", "%vol", "mg/m3", "%LEL", "ug/m3"},
                                            {"mm/s", "in/s", "m/s", "cm/s", "mm/s rms"},
                                            {"um", "mm", "in", "mil", "µm"},
                                            {"degC", "degF", "K", "°C", "°F"},
                                            {"g", "m/s2", "m/s2 rms", "g rms", "m/s²"}};
    static const double values[] = {0.1, 1, 7.06, 19.5, 25, 400.25};
    for (size_t g = 0; g < DAVY_LENGTH(groups); g++)
        for (size_t i = 0; i < 25; i++)
            for (size_t k = 0; k < DAVY_LENGTH(values); k++) {
                const char *a = groups[g][i / 5], *b = groups[g][i % 5];
                double back = convert(b, a, &h2s, convert(a, b, &h2s, values[k]));
                assert_near(back, values[k], g == 3 ? 1e-12 : 1e-15);
            }
}

static void the_same_unit_is_possible_even_if_it_is_unknown(void **state)
{
    (void)state;
    assert_true(convert("widgets", "widgets", NULL, 7.1) == 7.1);
    assert_true(convert("ppm", "ppm", NULL, 0.3) == 0.3);
}

static void what_is_not_lawful_is_refused_with_the_reason(void **state)
{
    (void)state;
    static const struct davy_substance no_mass = {"X", 0, 0, 20, 101.325};
    static const struct {
        const char *from, *to;
        const struct davy_substance *gas;
        const char *reason;
    } rows[] = {
        {"ppm", "mm/s", &co, "one is a part by volume, the other a velocity"},
        {"mm/s", "um", NULL, "a known frequency"},
        {"um", "mm/s", NULL, "a known frequency"},
        {"g", "mm/s", NULL, "a known frequency"},
        {"mm/s pk", "mm/s", NULL, "only for a pure sine"},
        {"mm/s", "mm/s peak", NULL, "only for a pure sine"},
        {"um pp", "um rms", NULL, "only for a pure sine"},
        {"um pp", "um pk", NULL, "only for a pure sine"},
        {"mg/m3", "ppm", NULL, "only by the properties of a gas"},
        {"%LEL", "%vol", NULL, "only by the properties of a gas"},
        {"%LEL", "%vol", &cl2, "the lower explosive limit of Cl2 is not known"},
        {"ppm", "%LEL", &cl2, "the lower explosive limit of Cl2 is not known"},
        {"mg/m3", "ppm", &no_mass, "the molar mass of X is not known"},
        {"ppm", "widgets", &co, "the unit \"widgets\" is not known"},
        {"furlongs", "ppm", &co, "the unit \"furlongs\" is not known"},
        {"ppm rms", "ppm", &co, "the unit \"ppm rms\" is not known"},
        {"degC", "%", NULL, "one is a temperature, the other a plain number"},
    };
    for (size_t i = 0; i < DAVY_LENGTH(rows); i++) {
        char text[256];
        struct davy_buf why;
        struct davy_conversion conversion = {.multiplier = 7};
        davy_buf_init(&why, text, sizeof text);
        assert_int_equal(davy_unit_conversion(rows[i].from, rows[i].to, rows[i].gas, &conversion, &why),
                         DAVY_UNIT_REFUSED);
        if (!strstr(text, rows[i].reason))
            fail_msg("%s to %s: \"%s\" does not say \"%s\"", rows[i].from, rows[i].to, text, rows[i].reason);
        assert_true(conversion.multiplier == 7);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(milligrams_become_ppm_at_the_reference_temperature),
        cmocka_unit_test(the_molar_volume_is_that_of_the_gas_law),
        cmocka_unit_test(no_reference_means_20_degrees_and_one_atmosphere),
        cmocka_unit_test(explosive_limits_become_volumes),
        cmocka_unit_test(plain_factors_are_exact),
        cmocka_unit_test(a_temperature_has_a_zero_and_its_difference_has_none),
        cmocka_unit_test(there_and_back_is_the_same_number),
        cmocka_unit_test(the_same_unit_is_possible_even_if_it_is_unknown),
        cmocka_unit_test(what_is_not_lawful_is_refused_with_the_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
