/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shipped tables against figures typed in a second time, and what a rule makes of them: in a folder of its own that
 * stands for the plant's.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "config/load.h"
#include "config/presets.h"

struct fixture {
    char folder[64];
    struct davy_problems problems;
    struct davy_config *config;
    struct davy_tables_view view;
};

static const char plant[] =
    "gateway = { id = \"a\"; site = \"b\"; };\n"
    "buses = ( { name = \"x\"; type = \"tcp\"; host = \"h\"; } );\n"
    "devices = (\n"
    "  { id = \"GT\"; bus = \"x\"; unit = 1; points = (\n"
    "    { name = \"h2s\"; kind = \"gas\"; quantity = \"H2S\"; unit = \"ppm\"; register = 0; type = \"float32\"; },\n"
    "    { name = \"h2s2\"; kind = \"gas\"; quantity = \"硫化氢\"; unit = \"ppm\"; register = 2; type = \"float32\"; "
    "},\n"
    "    { name = \"co\"; kind = \"gas\"; quantity = \"Carbon Monoxide\"; unit = \"ppm\"; register = 4;\n"
    "      type = \"float32\"; range = [0, 500]; },\n"
    "    { name = \"co_mg\"; kind = \"gas\"; quantity = \"CO\"; unit = \"mg/m3\"; register = 6; type = \"float32\"; "
    "},\n"
    "    { name = \"o2\"; kind = \"gas\"; quantity = \"O2\"; unit = \"%vol\"; register = 8; type = \"float32\"; },\n"
    "    { name = \"ch4\"; kind = \"gas\"; quantity = \"CH4\"; unit = \"%vol\"; register = 10; type = \"float32\"; },\n"
    "    { name = \"lel\"; kind = \"gas\"; unit = \"%LEL\"; register = 12; type = \"float32\"; },\n"
    "    { name = \"t\"; kind = \"temperature\"; unit = \"degF\"; register = 14; type = \"float32\"; } ); },\n"
    "  { id = \"VT\"; bus = \"x\"; unit = 2; points = (\n"
    "    { name = \"mm\"; kind = \"vibration\"; unit = \"mm/s\"; register = 0; type = \"float32\"; },\n"
    "    { name = \"in\"; kind = \"vibration\"; unit = \"in/s\"; register = 2; type = \"float32\"; },\n"
    "    { name = \"um\"; kind = \"vibration\"; unit = \"um\"; register = 4; type = \"float32\"; } ); }\n"
    ");\n"
    "rules = (\n";

static void put(const struct fixture *f, const char *name, const char *text, const char *more)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", f->folder, name);
    DAVY_AUTO_FILE FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "%s%s", text, more);
}

static void print_all(const struct fixture *f)
{
    char text[2048];
    for (size_t i = 0; i < f->problems.count; i++)
        print_message("    %s\n", davy_problem_format(&f->problems.items[i], text, sizeof text));
}

static int load(struct fixture *f, const char *rules)
{
    char path[256];
    put(f, "davyd.conf", plant, rules);
    DAVY_AUTO_FILE FILE *file = fopen((snprintf(path, sizeof path, "%s/davyd.conf", f->folder), path), "a");
    assert_non_null(file);
    fputs(");\n", file);
    fflush(file);
    davy_config_unref(f->config);
    f->config = NULL;
    davy_problems_done(&f->problems);
    return davy_config_load(path, &f->problems, &f->config);
}

static const struct davy_rule *load_rule(struct fixture *f, const char *rule)
{
    if (load(f, rule) != 0) {
        print_all(f);
        fail_msg("is refused: %s", rule);
    }
    return &f->config->rules[0];
}

static bool says(const struct fixture *f, enum davy_severity severity, const char *fragment)
{
    for (size_t i = 0; i < f->problems.count; i++)
        if (f->problems.items[i].severity == severity && strstr(f->problems.items[i].message, fragment))
            return true;
    return false;
}

static void assert_says(const struct fixture *f, enum davy_severity severity, const char *fragment)
{
    if (says(f, severity, fragment))
        return;
    print_all(f);
    fail_msg("nothing says \"%s\"", fragment);
}

static void assert_near(double found, double expected)
{
    if (!(fabs(found - expected) <= 1e-9 * fabs(expected)))
        fail_msg("%.17g is not %.17g", found, expected);
}

/* To half a unit of the third digit; a figure that ends on 5 there may have been rounded either way. */
static void assert_3_digits(double found, double expected, const char *what)
{
    double unit = pow(10, floor(log10(expected)) - 2);
    if (!(fabs(found - expected) <= 0.51 * unit))
        fail_msg("%s: %.6g is not %.6g", what, found, expected);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    char path[1024];
    const char *source = getenv("DAVY_SOURCE");
    if (!f)
        return -1;
    snprintf(path, sizeof path, "%s/conf", source ? source : ".");
    setenv("DAVY_DATADIR", path, 1);
    strcpy(f->folder, "/tmp/davy-presets-XXXXXX");
    *state = f;
    if (!mkdtemp(f->folder))
        return -1;
    snprintf(path, sizeof path, "%s/presets", f->folder);
    return mkdir(path, 0700);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    char command[128];
    davy_config_unref(f->config);
    davy_tables_view_done(&f->view);
    davy_problems_done(&f->problems);
    snprintf(command, sizeof command, "rm -rf '%s'", f->folder);
    int rc = system(command);
    free(f);
    return rc;
}

/* The shipped tables, without a problem. */
static const struct davy_tables_view *view(struct fixture *f)
{
    if (davy_tables_view_read("/nonexistent/", &f->problems, &f->view) != 0 || f->problems.count > 0) {
        print_all(f);
        fail_msg("the shipped tables have problems");
    }
    return &f->view;
}

static const struct davy_preset *preset(const struct fixture *f, const char *name)
{
    for (const struct davy_preset *p = f->view.presets; p; p = p->next)
        if (strcmp(p->name, name) == 0)
            return p;
    fail_msg("there is no preset %s", name);
    return NULL;
}

/* Typed in from the survey of the field, apart from conf/gases.conf: mg/m3, and both levels in ppm at 20 degC. */
static const struct {
    const char *formula;
    double mac, twa, stel, idlh, level1, level2;
} exposures[] = {
    {"H2S", 10, 0, 0, 430, 7.06, 14.1},
    {"CO", 0, 20, 30, 1700, 17.2, 34.4},
    {"NH3", 0, 20, 30, 360, 28.3, 56.5},
    {"Cl2", 1, 0, 0, 88, 0.339, 0.679},
    {"SO2", 0, 5, 10, 270, 1.88, 3.76},
    {"NO2", 0, 5, 10, 96, 2.61, 5.23},
    {"NO", 0, 5, 10, 120, 4.01, 8.02},
    {"HCl", 7.5, 0, 0, 150, 4.95, 9.9},
    {"HF", 2, 0, 0, 0, 2.4, 4.81},
    {"HCN", 1, 0, 0, 56, 0.89, 1.78},
    {"COCl2", 0.5, 0, 0, 8, 0.122, 0.243},
    {"O3", 0.3, 0, 0, 20, 0.15, 0.301},
    {"PH3", 0.3, 0, 0, 0, 0.212, 0.424},
    {"C6H6", 0, 6, 10, 9800, 1.85, 3.7},
    {"C7H8", 0, 50, 100, 7700, 13.1, 26.1},
    {"C8H10", 0, 50, 100, 4400, 11.3, 22.7},
    {"CH3OH", 0, 25, 50, 33000, 18.8, 37.5},
    {"HCHO", 0.5, 0, 0, 37, 0.401, 0.801},
    {"C2H4O", 0, 2, 0, 1500, 1.09, 2.18},
    {"Br2", 0, 0.6, 2, 66, 0.0903, 0.181},
    {"CO2", 0, 9000, 18000, 92000, 4920, 9840},
    {"C2H3Cl", 0, 10, 25, 0, 3.85, 7.7},
    {"C3H3N", 0, 1, 2, 1100, 0.453, 0.907},
    {"H2O2", 0, 1.5, 0, 100, 1.06, 2.12},
    {"CS2", 0, 5, 10, 0, 1.58, 3.16},
};

static void exposure_limits_are_those_of_the_survey(void **state)
{
    struct fixture *f = *state;
    view(f);
    for (size_t i = 0; i < DAVY_LENGTH(exposures); i++) {
        const char *formula = exposures[i].formula;
        const struct davy_gas *gas = davy_gas_find(f->view.gases, formula);
        struct davy_conversion to_ppm;
        assert_non_null(gas);
        assert_true(gas->figures[DAVY_FIGURE_MAC] == exposures[i].mac);
        assert_true(gas->figures[DAVY_FIGURE_TWA] == exposures[i].twa);
        assert_true(gas->figures[DAVY_FIGURE_STEL] == exposures[i].stel);
        assert_true(gas->figures[DAVY_FIGURE_IDLH] == exposures[i].idlh);
        assert_int_equal(davy_unit_conversion("mg/m3", "ppm", &gas->substance, &to_ppm, NULL), 0);
        assert_3_digits(davy_convert(&to_ppm, gas->figures[DAVY_FIGURE_OEL]), exposures[i].level1, formula);
        assert_3_digits(davy_convert(&to_ppm, 2 * gas->figures[DAVY_FIGURE_OEL]), exposures[i].level2, formula);
    }
}

static void explosive_limits_are_those_of_the_survey(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *formula;
        double lel, quarter;
    } rows[] = {
        {"CH4", 4.4, 1.10},     {"C3H8", 1.7, 0.425}, {"C4H10", 1.4, 0.35},  {"H2", 4.0, 1.00},    {"C2H4", 2.3, 0.575},
        {"C2H2", 2.3, 0.575},   {"CO", 10.9, 2.725},  {"NH3", 15, 3.75},     {"H2S", 4.0, 1.00},   {"CH3OH", 6.0, 1.50},
        {"C2H5OH", 3.1, 0.775}, {"C2H4O", 2.6, 0.65}, {"C6H6", 1.2, 0.30},   {"C7H8", 1.0, 0.25},  {"C6H14", 1.0, 0.25},
        {"HCN", 5.4, 1.35},     {"HCHO", 7.0, 1.75},  {"C2H3Cl", 3.6, 0.90}, {"C3H3N", 2.8, 0.70},
    };
    view(f);
    for (size_t i = 0; i < DAVY_LENGTH(rows); i++) {
        const struct davy_gas *gas = davy_gas_find(f->view.gases, rows[i].formula);
        struct davy_conversion conversion;
        assert_non_null(gas);
        assert_true(gas->substance.lel_vol_pct == rows[i].lel);
        assert_int_equal(davy_unit_conversion("%LEL", "%vol", &gas->substance, &conversion, NULL), 0);
        assert_near(davy_convert(&conversion, 25), rows[i].quarter);
    }
}

static void vibration_zones_are_those_of_the_survey(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *name;
        double ab, bc, cd;
    } rows[] = {
        {"iso10816-1/classI", 0.71, 1.8, 4.5},
        {"iso10816-1/classII", 1.12, 2.8, 7.1},
        {"iso10816-1/classIII", 1.8, 4.5, 11.2},
        {"iso10816-1/classIV", 2.8, 7.1, 18},
        {"iso10816-3/group1/rigid", 2.3, 4.5, 7.1},
        {"iso10816-3/group1/flexible", 3.5, 7.1, 11.0},
        {"iso10816-3/group2/rigid", 1.4, 2.8, 4.5},
        {"iso10816-3/group2/flexible", 2.3, 4.5, 7.1},
        {"iso10816-3/group3/rigid", 2.3, 4.5, 7.1},
        {"iso10816-3/group3/flexible", 3.5, 7.1, 11.0},
        {"iso10816-3/group4/rigid", 1.4, 2.8, 4.5},
        {"iso10816-3/group4/flexible", 2.3, 4.5, 7.1},
        {"iso10816-3/group1/rigid/displacement", 29, 57, 90},
        {"iso10816-3/group1/flexible/displacement", 45, 90, 140},
        {"iso10816-3/group2/rigid/displacement", 22, 45, 71},
        {"iso10816-3/group2/flexible/displacement", 37, 71, 113},
        {"iso10816-7/cat1/to200kW", 2.5, 4.0, 6.6},
        {"iso10816-7/cat1/over200kW", 3.5, 5.0, 7.6},
        {"iso10816-7/cat2/to200kW", 3.2, 5.1, 8.5},
        {"iso10816-7/cat2/over200kW", 4.2, 6.1, 9.5},
        {"iso10816-21/gearbox", 0, 3.5, 5.6},
        {"iso10816-21/generator", 0, 6.0, 10},
        {"iso10816-21/main-bearing", 0, 2.0, 3.2},
        {"iso10816-21/nacelle", 0, 60, 100},
        {"iso10816-21/nacelle/acceleration", 0, 0.3, 0.5},
    };
    size_t vibrations = 0;
    view(f);
    for (size_t i = 0; i < DAVY_LENGTH(rows); i++) {
        const struct davy_preset *p = preset(f, rows[i].name);
        assert_true(p->zone_ab == rows[i].ab);
        assert_true(p->limits[DAVY_LEVEL_ORANGE].a == rows[i].bc);
        assert_true(p->limits[DAVY_LEVEL_RED].a == rows[i].cd);
    }
    for (const struct davy_preset *p = f->view.presets; p; p = p->next)
        vibrations += p->kind == DAVY_KIND_VIBRATION;
    assert_int_equal(vibrations, DAVY_LENGTH(rows)); /* none is left untested */
}

static void every_gas_fits_itself(void **state)
{
    struct fixture *f = *state;
    size_t count = 0;
    view(f);
    for (const struct davy_gas *gas = f->view.gases; gas; gas = gas->next, count++) {
        const double *figures = gas->figures;
        bool limited = figures[DAVY_FIGURE_OEL] > 0;
        assert_true(figures[DAVY_FIGURE_STEL] == 0 || figures[DAVY_FIGURE_TWA] < figures[DAVY_FIGURE_STEL]);
        assert_true(figures[DAVY_FIGURE_IDLH] == 0 || 2 * figures[DAVY_FIGURE_OEL] < figures[DAVY_FIGURE_IDLH]);
        assert_true(figures[DAVY_FIGURE_OEL] == figures[gas->basis]);
        assert_true(!limited || gas->source);
        assert_true(gas->substance.ref_temp_c == 20 && gas->substance.ref_press_kpa == 101.325);
        assert_true(gas->name_count >= 2); /* one of them Chinese */
        for (size_t i = 0; i < gas->name_count; i++)
            assert_ptr_equal(davy_gas_find(f->view.gases, gas->names[i]), gas);
        assert_ptr_equal(davy_gas_find(f->view.gases, gas->formula), gas);
    }
    assert_int_equal(count, DAVY_LENGTH(exposures) + 9); /* CH4 C3H8 C4H10 H2 C2H4 C2H2 C2H5OH C6H14 O2 */
}

static void every_preset_fits_itself(void **state)
{
    struct fixture *f = *state;
    view(f);
    for (const struct davy_preset *p = f->view.presets; p; p = p->next) {
        double last = p->zone_ab;
        for (int level = DAVY_LEVEL_BLUE; level < DAVY_LEVEL_COUNT_; level++) {
            const struct davy_preset_limit *limit = &p->limits[level];
            if (!limit->given)
                continue;
            assert_true(limit->deadband > 0 || limit->deadband_percent > 0);
            assert_true(limit->latch == (level == DAVY_LEVEL_RED));
            if (limit->condition != DAVY_CONDITION_ABOVE)
                continue;
            assert_true(limit->a > last);
            last = limit->a;
        }
        assert_true(!p->gas || davy_gas_find(f->view.gases, p->gas));
    }
}

/* To be changed, row by row, by whoever has compared it with the document itself. */
static void no_row_claims_to_be_verified(void **state)
{
    struct fixture *f = *state;
    view(f);
    for (const struct davy_gas *gas = f->view.gases; gas; gas = gas->next)
        assert_false(gas->verified || gas->lel_verified);
    for (const struct davy_preset *p = f->view.presets; p; p = p->next)
        assert_false(p->verified);
}

static void each_point_gets_the_limits_of_its_gas_in_its_unit(void **state)
{
    struct fixture *f = *state;
    const struct davy_rule *rule =
        load_rule(f, "{ name = \"t\"; points = [\"GT.h2s\", \"GT.co*\"]; preset = \"gb50493/toxic\"; }");
    static const double expected[][2] = {{7.06, 14.1}, {17.2, 34.4}, {20, 40}};
    assert_true(rule->per_point);
    assert_string_equal(rule->preset, "gb50493/toxic");
    assert_int_equal(rule->limit_count, 2);
    for (size_t i = 0; i < 3; i++) {
        const struct davy_limit *limits = davy_rule_limits(rule, i);
        for (size_t k = 0; k < 2; k++) {
            assert_int_equal(limits[k].condition, DAVY_CONDITION_ABOVE);
            assert_3_digits(limits[k].a, expected[i][k], "limit");
            assert_near(limits[k].deadband, limits[k].a / 10);
            assert_true(limits[k].on_delay.ns == 0 && limits[k].off_delay.ns == 30 * DAVY_NS_PER_S);
            assert_true(limits[k].latch == (k == 1) && limits[k].shelvable == (k == 0));
            assert_true(limits[k].acknowledge);
            assert_non_null(strstr(limits[k].source, "GB/T 50493-2019, 5.5.2"));
            assert_non_null(strstr(limits[k].source, i == 0 ? "; OEL of H2S: " : "; OEL of CO: "));
        }
        assert_int_equal(limits[0].level, DAVY_LEVEL_ORANGE);
        assert_int_equal(limits[1].level, DAVY_LEVEL_RED);
    }
}

static void points_that_come_to_the_same_share_their_limits(void **state)
{
    struct fixture *f = *state;
    const struct davy_rule *rule =
        load_rule(f, "{ name = \"t\"; points = [\"GT.h2s*\"]; preset = \"gb50493/toxic\"; }");
    assert_int_equal(rule->point_count, 2);
    assert_false(rule->per_point);
    assert_3_digits(davy_rule_limits(rule, 1)[1].a, 14.1, "red");
}

static void explosive_limits_follow_the_lel_and_need_no_gas_in_their_own_unit(void **state)
{
    struct fixture *f = *state;
    const struct davy_rule *rule =
        load_rule(f, "{ name = \"t\"; points = [\"GT.ch4\", \"GT.lel\"]; preset = \"gb50493/combustible\"; }");
    assert_near(davy_rule_limits(rule, 0)[0].a, 1.1);
    assert_near(davy_rule_limits(rule, 0)[1].a, 2.2);
    assert_near(davy_rule_limits(rule, 0)[0].deadband, 0.11);
    assert_true(davy_rule_limits(rule, 1)[0].a == 25 && davy_rule_limits(rule, 1)[1].a == 50);
    assert_true(davy_rule_limits(rule, 1)[0].deadband == 2.5);
}

static void oxygen_is_red_below_and_orange_above(void **state)
{
    struct fixture *f = *state;
    const struct davy_rule *rule = load_rule(f, "{ name = \"t\"; points = [\"GT.o2\"]; preset = \"gb50493/oxygen\"; }");
    assert_int_equal(rule->limits[0].condition, DAVY_CONDITION_ABOVE);
    assert_true(rule->limits[0].a == 23.5 && rule->limits[0].deadband == 0.2);
    assert_int_equal(rule->limits[1].condition, DAVY_CONDITION_BELOW);
    assert_true(rule->limits[1].a == 19.5 && rule->limits[1].latch);
}

static void half_and_all_of_mac_or_stel_are_yellow_and_orange(void **state)
{
    struct fixture *f = *state;
    const struct davy_rule *rule =
        load_rule(f, "{ name = \"t\"; points = [\"GT.co_mg\"]; preset = \"gbzt223/toxic\"; red = { above = 60; }; }");
    assert_int_equal(rule->limit_count, 3);
    assert_int_equal(rule->limits[0].level, DAVY_LEVEL_YELLOW);
    assert_true(rule->limits[0].a == 15 && rule->limits[1].a == 30 && rule->limits[2].a == 60);
    assert_true(rule->limits[2].deadband == 6 && !rule->limits[2].source);
}

static void exposure_presets_go_with_their_measure(void **state)
{
    struct fixture *f = *state;
    const struct davy_rule *rule = load_rule(
        f, "{ name = \"t\"; points = [\"GT.co\"]; measure = { type = \"stel\"; }; preset = \"gbz2.1/stel\"; }");
    assert_int_equal(rule->limit_count, 2); /* the upper bound, a level lower, and the lower one */
    assert_int_equal(rule->limits[0].level, DAVY_LEVEL_YELLOW);
    assert_int_equal(rule->limits[1].level, DAVY_LEVEL_ORANGE);
    assert_3_digits(rule->limits[1].a, 25.8, "PC-STEL of CO");
}

static void a_rule_in_another_unit_is_converted_for_each_point(void **state)
{
    struct fixture *f = *state;
    const struct davy_rule *rule = load_rule(
        f, "{ name = \"t\"; points = [\"GT.h2s\", \"GT.co\", \"GT.co_mg\"]; unit = \"mg/m3\"; orange = { above = 10; "
           "deadband = 1; off_delay = \"5s\"; }; red = { outside = [1, 20]; }; deadband = 2; }");
    assert_true(rule->per_point);
    assert_3_digits(davy_rule_limits(rule, 0)[0].a, 7.06, "H2S");
    assert_3_digits(davy_rule_limits(rule, 0)[0].deadband, 0.706, "H2S");
    assert_3_digits(davy_rule_limits(rule, 1)[1].a, 0.859, "CO low");
    assert_3_digits(davy_rule_limits(rule, 1)[1].b, 17.2, "CO high");
    assert_3_digits(davy_rule_limits(rule, 1)[1].deadband, 1.72, "CO");
    assert_true(davy_rule_limits(rule, 2)[0].a == 10 && davy_rule_limits(rule, 2)[0].deadband == 1);
    assert_true(davy_rule_limits(rule, 2)[0].off_delay.ns == 5 * DAVY_NS_PER_S);
}

static void a_deadband_and_a_rate_are_differences(void **state)
{
    struct fixture *f = *state;
    const struct davy_rule *rule = load_rule(
        f, "{ name = \"t\"; points = [\"GT.t\"]; unit = \"degC\"; orange = { above = 100; }; deadband = 5; }");
    assert_true(rule->limits[0].a == 212 && rule->limits[0].deadband == 9);
    rule = load_rule(f, "{ name = \"t\"; points = [\"GT.t\"]; unit = \"degC\"; orange = { above = 10; }; deadband = 5; "
                        "measure = { type = \"rate\"; window = \"10min\"; }; }");
    assert_true(rule->limits[0].a == 18 && rule->limits[0].deadband == 9);
}

static void what_the_rule_says_goes_before_the_preset(void **state)
{
    struct fixture *f = *state;
    const struct davy_rule *rule = load_rule(
        f, "{ name = \"t\"; points = [\"VT.mm\"]; preset = \"iso10816-3/group2/rigid\"; yellow = { above = 2.5; }; "
           "red = { above = 4.0; on_delay = \"1s\"; }; off_delay = \"1min\"; source = \"report 7\"; }");
    assert_int_equal(rule->limit_count, 3);
    const struct davy_limit *yellow = &rule->limits[0], *orange = &rule->limits[1], *red = &rule->limits[2];
    assert_true(yellow->a == 2.5 && orange->a == 2.8 && red->a == 4.0);
    assert_near(yellow->deadband, 0.25); /* of its own set-point */
    assert_near(red->deadband, 0.4);
    assert_true(yellow->on_delay.ns == 0);                   /* the preset has no such level */
    assert_true(orange->on_delay.ns == 10 * DAVY_NS_PER_S);  /* the preset's */
    assert_true(red->on_delay.ns == DAVY_NS_PER_S);          /* the limit's */
    assert_true(orange->off_delay.ns == 60 * DAVY_NS_PER_S); /* the rule's */
    assert_true(red->latch && !orange->latch && !yellow->latch);
    assert_string_equal(orange->source, "report 7");
    rule = load_rule(f, "{ name = \"t\"; points = [\"VT.mm\"]; preset = \"iso10816-3/group2/rigid\"; latch = false; "
                        "deadband = 0.1; shelvable = true; acknowledge = false; owner = \"me\"; }");
    assert_true(!rule->limits[1].latch && rule->limits[1].shelvable && !rule->limits[1].acknowledge);
    assert_true(rule->limits[0].deadband == 0.1 && rule->limits[1].deadband == 0.1);
    assert_string_equal(rule->limits[1].owner, "me");
}

static void numbers_of_the_rule_have_its_unit_beside_those_of_the_preset(void **state)
{
    struct fixture *f = *state;
    const struct davy_rule *rule = load_rule(
        f, "{ name = \"t\"; points = [\"VT.mm\", \"VT.in\"]; preset = \"iso10816-3/group1/rigid\"; unit = \"in/s\"; "
           "yellow = { above = 0.1; }; deadband = 0.01; }");
    assert_near(davy_rule_limits(rule, 0)[0].a, 2.54);
    assert_near(davy_rule_limits(rule, 0)[1].a, 4.5);
    assert_near(davy_rule_limits(rule, 0)[1].deadband, 0.254);
    assert_near(davy_rule_limits(rule, 1)[0].a, 0.1);
    assert_near(davy_rule_limits(rule, 1)[1].a, 4.5 / 25.4);
    assert_near(davy_rule_limits(rule, 1)[2].a, 7.1 / 25.4);
    assert_near(davy_rule_limits(rule, 1)[2].deadband, 0.01);
}

static void alarm_follows_the_baseline_and_trip_does_not(void **state)
{
    struct fixture *f = *state;
    static const char form[] = "{ name = \"t\"; points = [\"VT.mm\"]; preset = \"iso10816-3/group1/rigid\"; %s }";
    static const struct {
        const char *keys;
        double alarm;
        bool warns;
    } rows[] = {{"baseline = 1.2;", 2.325, false},
                {"baseline = 0;", 1.125, false},
                {"baseline = 4.4;", 5.525, false},
                {"baseline = 6.0;", 5.625, true},
                {"baseline = 0.1; unit = \"in/s\";", 3.665, false},
                {"", 4.5, false}};
    for (size_t i = 0; i < DAVY_LENGTH(rows); i++) {
        char text[256];
        snprintf(text, sizeof text, form, rows[i].keys);
        const struct davy_rule *rule = load_rule(f, text);
        assert_near(rule->limits[0].a, rows[i].alarm);
        assert_near(rule->limits[0].deadband, rows[i].alarm / 10);
        assert_true(rule->limits[1].a == 7.1);
        assert_true(says(f, DAVY_PROBLEM_WARNING, "is in zone C of") == rows[i].warns);
    }
}

static void displacement_has_a_table_of_its_own(void **state)
{
    struct fixture *f = *state;
    const struct davy_rule *rule =
        load_rule(f, "{ name = \"t\"; points = [\"VT.um\"]; preset = \"iso10816-3/group2/flexible/displacement\"; }");
    assert_true(rule->limits[0].a == 71 && rule->limits[1].a == 113);
}

static void an_unverified_row_under_orange_or_red_is_named(void **state)
{
    struct fixture *f = *state;
    load_rule(f, "{ name = \"t\"; points = [\"GT.h2s\", \"GT.co\"]; preset = \"gb50493/toxic\"; }");
    assert_says(f, DAVY_PROBLEM_WARNING,
                "\"gb50493/toxic\" is used for orange and red and is not verified: GB/T 50493-2019, 5.5.2");
    assert_says(f, DAVY_PROBLEM_WARNING,
                "the OEL of H2S in the gas table is used for orange and red and is not verified: GB/T 50493-2019");
    assert_says(f, DAVY_PROBLEM_WARNING, "the OEL of CO in the gas table is used for orange and red");
    load_rule(f, "{ name = \"t\"; points = [\"GT.ch4\"]; preset = \"gb50493/combustible\"; orange = { above = 1; }; }");
    assert_says(f, DAVY_PROBLEM_WARNING, "the LEL of CH4 in the gas table is used for red and is not verified: IEC");
    load_rule(f, "{ name = \"t\"; points = [\"GT.ch4\"]; unit = \"%LEL\"; orange = { above = 20; deadband = 2; }; }");
    assert_says(f, DAVY_PROBLEM_WARNING, "the LEL of CH4 in the gas table is used for orange and is not verified: IEC");
}

static void yellow_alone_or_limits_of_its_own_need_no_verified_row(void **state)
{
    struct fixture *f = *state;
    load_rule(f, "{ name = \"t\"; points = [\"GT.co\"]; preset = \"gbzt223/toxic\"; orange = { above = 20; }; }");
    assert_false(says(f, DAVY_PROBLEM_WARNING, "is not verified"));
    load_rule(f, "{ name = \"t\"; points = [\"GT.co\"]; unit = \"mg/m3\"; orange = { above = 20; deadband = 2; }; }");
    assert_false(says(f, DAVY_PROBLEM_WARNING, "is not verified"));
}

static void rows_of_the_plant_go_before_the_shipped_ones(void **state)
{
    struct fixture *f = *state;
    put(f, "gases.conf",
        "ref_temp_c = 25.0; gases = ( { formula = \"H2S\"; names = [\"gas X\"]; molar_mass = 34.08; mac = 5.0;\n"
        "source = \"plant\"; verified = true; } );\n",
        "");
    put(f, "presets/gb50493.conf",
        "name = \"gb50493\"; title = \"plant\"; presets = ( { name = \"toxic\"; kind = \"gas\"; percent_of = \"mac\";\n"
        "red = { above = 100.0; deadband = 10.0; on_delay = \"4s\"; }; source = \"plant 2\"; verified = true; } );\n",
        "");
    const struct davy_rule *rule =
        load_rule(f, "{ name = \"t\"; points = [\"GT.h2s\"]; preset = \"gb50493/toxic\"; },\n"
                     "{ name = \"u\"; points = [\"GT.o2\"]; preset = \"gb50493/oxygen\"; }");
    assert_int_equal(rule->limit_count, 1);
    assert_3_digits(rule->limits[0].a, 5 * 24.465 / 34.08, "H2S at 25 degC");
    assert_near(rule->limits[0].deadband, rule->limits[0].a / 10);
    assert_true(rule->limits[0].on_delay.ns == 4 * DAVY_NS_PER_S && !rule->limits[0].latch);
    assert_string_equal(rule->limits[0].source, "plant 2; MAC of H2S: plant");
    assert_false(says(f, DAVY_PROBLEM_WARNING, "\"gb50493/toxic\" is used"));
    assert_false(says(f, DAVY_PROBLEM_WARNING, "of H2S in the gas table"));
    assert_says(f, DAVY_PROBLEM_WARNING, "\"gb50493/oxygen\" is used for orange and red and is not verified");
}

static void a_table_of_the_plant_is_checked_like_a_configuration(void **state)
{
    struct fixture *f = *state;
    static const char rule[] = "{ name = \"t\"; points = [\"GT.h2s\"]; preset = \"site/a\"; }";
    static const struct {
        const char *row, *message;
    } rows[] = {
        {"unit = \"ppm\"; red = { above = 1.0; }; verified = true;", "`source` is missing"},
        {"unit = \"ppm\"; red = { above = 1.0; }; source = \"s\";", "`verified` is missing"},
        {"unit = \"ppm\"; source = \"s\"; verified = true;", "has no limit; `blue`, `yellow`"},
        {"red = { above = 1.0; }; source = \"s\"; verified = true;", "exactly one of `unit` and `percent_of`"},
        {"unit = \"ppm\"; percent_of = \"oel\"; red = { above = 1.0; }; source = \"s\"; verified = true;",
         "exactly one of `unit` and `percent_of`"},
        {"unit = \"ppx\"; red = { above = 1.0; }; source = \"s\"; verified = true;", "\"ppx\" is not a unit"},
        {"unit = \"ppm\"; red = { above = 1.0; below = 2.0; }; source = \"s\"; verified = true;",
         "exactly one of `above`"},
        {"unit = \"ppm\"; red = { above = \"x\"; }; source = \"s\"; verified = true;", "a number is expected"},
        {"unit = \"ppm\"; red = { above = 1.0; }; deadband = 1.0; deadband_percent = 5.0; source = \"s\"; "
         "verified = true;",
         "exclude each other"},
        {"unit = \"ppm\"; red = { above = 1.0; }; baseline_step = 0.25; source = \"s\"; verified = true;",
         "`baseline_step` needs"},
        {"unit = \"ppm\"; red = { above = 1.0; }; sauce = \"s\"; verified = true;", "did you mean \"source\"?"},
        {"unit = \"ppm\"; red = { above = 1.0; }; source = \"s\"; verified = true; }, { name = \"a\"; kind = \"gas\"; "
         "unit = \"ppm\"; red = { above = 1.0; }; source = \"s\"; verified = true;",
         "stands twice in this file"},
    };
    for (size_t i = 0; i < DAVY_LENGTH(rows); i++) {
        char text[512];
        snprintf(text, sizeof text, "presets = ( { name = \"a\"; kind = \"gas\"; %s } );\n", rows[i].row);
        put(f, "presets/site.conf", "name = \"site\"; title = \"plant\"; ", text);
        assert_int_equal(load(f, rule), DAVY_CONFIG_BAD);
        assert_says(f, DAVY_PROBLEM_ERROR, rows[i].message);
    }
}

static void a_gas_without_a_source_is_refused(void **state)
{
    struct fixture *f = *state;
    static const char rule[] = "{ name = \"t\"; points = [\"GT.h2s\"]; preset = \"gb50493/toxic\"; }";
    static const struct {
        const char *row, *message;
    } rows[] = {{"mac = 5.0;", "`source` is missing"},
                {"lel = 5.0;", "`lel_source` is missing"},
                {"mac = 5.0; basis = \"twa\"; source = \"s\";", "the row has no PC-TWA"},
                {"mac = -5.0; source = \"s\";", "-5 is out of range"},
                {"}, { formula = \"H2S\"; molar_mass = 34.08;", "stands twice in this file"}};
    for (size_t i = 0; i < DAVY_LENGTH(rows); i++) {
        char text[256];
        snprintf(text, sizeof text, "gases = ( { formula = \"H2S\"; molar_mass = 34.08; %s } );\n", rows[i].row);
        put(f, "gases.conf", text, "");
        assert_int_equal(load(f, rule), DAVY_CONFIG_BAD);
        assert_says(f, DAVY_PROBLEM_ERROR, rows[i].message);
    }
}

static void a_limit_laxer_than_the_presets_is_warned_of(void **state)
{
    struct fixture *f = *state;
    load_rule(
        f, "{ name = \"t\"; points = [\"GT.co\", \"GT.h2s\"]; preset = \"gb50493/toxic\"; orange = { above = 8; }; }");
    assert_says(f, DAVY_PROBLEM_WARNING, "above 8 is laxer than what \"gb50493/toxic\" has for GT.h2s: above 7.058");
    load_rule(f, "{ name = \"t\"; points = [\"GT.o2\"]; preset = \"gb50493/oxygen\"; red = { below = 18; }; }");
    assert_says(f, DAVY_PROBLEM_WARNING,
                "below 18 is laxer than what \"gb50493/oxygen\" has for GT.o2: below 19.5 %vol");
    load_rule(f, "{ name = \"t\"; points = [\"GT.o2\"]; preset = \"gb50493/oxygen\"; red = { above = 25; }; }");
    assert_says(f, DAVY_PROBLEM_WARNING, "above 25 replaces what \"gb50493/oxygen\" has for GT.o2: below 19.5 %vol");
    load_rule(f,
              "{ name = \"t\"; points = [\"GT.h2s\"]; preset = \"gb50493/toxic\"; unit = \"mg/m3\"; orange = { above = "
              "10; }; red = { above = 15; }; }");
    assert_false(says(f, DAVY_PROBLEM_WARNING, "laxer"));
}

static bool has_setting(const struct davy_config *config, const char *path)
{
    for (size_t i = 0; i < config->setting_count; i++)
        if (strcmp(config->settings[i].path, path) == 0)
            return true;
    return false;
}

static void a_diff_sees_the_rows_that_are_used(void **state)
{
    struct fixture *f = *state;
    load_rule(f, "{ name = \"t\"; points = [\"GT.h2s\"]; preset = \"gb50493/toxic\"; }");
    assert_true(has_setting(f->config, "gases.H2S.mac"));
    assert_true(has_setting(f->config, "presets.gb50493/toxic.orange.above"));
    assert_false(has_setting(f->config, "gases.CO.twa"));
    assert_false(has_setting(f->config, "presets.gb50493/oxygen.unit"));
}

static void the_ladder_holds_for_each_point(void **state)
{
    struct fixture *f = *state;
    /* 18 ppm is stricter than the red of CO, 34.4, and milder than that of H2S, 14.1 */
    assert_int_equal(load(f, "{ name = \"t\"; points = [\"GT.co\", \"GT.h2s\"]; preset = \"gb50493/toxic\"; "
                             "orange = { above = 18; }; }"),
                     DAVY_CONFIG_BAD);
    assert_int_equal(load(f, "{ name = \"t\"; points = [\"GT.h2s\", \"GT.co\"]; preset = \"gb50493/toxic\"; "
                             "orange = { above = 18; }; }"),
                     DAVY_CONFIG_BAD);
    assert_says(f, DAVY_PROBLEM_ERROR, "is milder than the lower level's: `orange` has above 18");
}

/* The example of the manual, with a shipped profile. */
static void pump_vibration_goes_with_a_shipped_profile(void **state)
{
    struct fixture *f = *state;
    char path[256];
    put(f, "pump.conf",
        "gateway = { id = \"a\"; site = \"b\"; }; buses = ( { name = \"x\"; type = \"tcp\"; host = \"h\"; } );\n"
        "devices = ( { id = \"VT-201\"; bus = \"x\"; unit = 5; profile = \"banner-qm30vt2\"; points = ( { name = "
        "\"running\"; kind = \"state\"; table = \"discrete\"; register = 3; type = \"bool\"; } ); } );\n"
        "rules = ( { name = \"pump-vibration\"; points = [\"VT-2*.z_rms\"]; preset = \"iso10816-3/group2/rigid\";\n"
        "when = { point = \"running\"; equals = true; for = \"30s\"; }; } );\n",
        "");
    snprintf(path, sizeof path, "%s/pump.conf", f->folder);
    if (davy_config_load(path, &f->problems, &f->config) != 0)
        print_all(f);
    assert_non_null(f->config);
    assert_true(f->config->rules[0].limits[0].a == 2.8 && f->config->rules[0].limits[1].a == 4.5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(exposure_limits_are_those_of_the_survey),
        TEST(explosive_limits_are_those_of_the_survey),
        TEST(vibration_zones_are_those_of_the_survey),
        TEST(every_gas_fits_itself),
        TEST(every_preset_fits_itself),
        TEST(no_row_claims_to_be_verified),
        TEST(each_point_gets_the_limits_of_its_gas_in_its_unit),
        TEST(points_that_come_to_the_same_share_their_limits),
        TEST(explosive_limits_follow_the_lel_and_need_no_gas_in_their_own_unit),
        TEST(oxygen_is_red_below_and_orange_above),
        TEST(half_and_all_of_mac_or_stel_are_yellow_and_orange),
        TEST(exposure_presets_go_with_their_measure),
        TEST(a_rule_in_another_unit_is_converted_for_each_point),
        TEST(a_deadband_and_a_rate_are_differences),
        TEST(what_the_rule_says_goes_before_the_preset),
        TEST(numbers_of_the_rule_have_its_unit_beside_those_of_the_preset),
        TEST(alarm_follows_the_baseline_and_trip_does_not),
        TEST(displacement_has_a_table_of_its_own),
        TEST(an_unverified_row_under_orange_or_red_is_named),
        TEST(yellow_alone_or_limits_of_its_own_need_no_verified_row),
        TEST(rows_of_the_plant_go_before_the_shipped_ones),
        TEST(a_table_of_the_plant_is_checked_like_a_configuration),
        TEST(a_gas_without_a_source_is_refused),
        TEST(a_limit_laxer_than_the_presets_is_warned_of),
        TEST(a_diff_sees_the_rows_that_are_used),
        TEST(the_ladder_holds_for_each_point),
        TEST(pump_vibration_goes_with_a_shipped_profile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
