/* SPDX-License-Identifier: Apache-2.0 */
/* presets: the tables of limits and gases, with the source of each figure; offline. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/num.h"
#include "config/presets.h"
#include "ctl/ctl.h"
#include "davy_build.h"

#define TEXT_SIZE 256

static const char *yes_no(bool answer)
{
    return answer ? "yes" : "NO";
}

/* "above 2.8", "outside [19.5, 21]", with "%" where it is a share of a figure. */
static void put_condition(const struct davy_preset *preset, const struct davy_preset_limit *limit, struct davy_buf *buf)
{
    char a[DAVY_NUM_TEXT], b[DAVY_NUM_TEXT];
    const char *percent = preset->percent_of != DAVY_FIGURE_NONE ? " %" : "";
    davy_num_print(limit->a, a);
    if (limit->condition == DAVY_CONDITION_OUTSIDE)
        davy_buf_printf(buf, "outside [%s, %s]%s", a, davy_num_print(limit->b, b), percent);
    else
        davy_buf_printf(buf, "%s %s%s", davy_condition_name(limit->condition), a, percent);
}

/* "mm/s rms", or "OEL" of which its numbers are per cent. */
static const char *unit_of(const struct davy_preset *preset)
{
    return preset->percent_of != DAVY_FIGURE_NONE ? davy_figure_name(preset->percent_of) : preset->unit;
}

static char *limit_cell(const struct davy_preset *preset, enum davy_level level)
{
    char text[TEXT_SIZE];
    struct davy_buf buf;
    davy_buf_init(&buf, text, sizeof text);
    if (!preset->limits[level].given)
        return davy_ctl_copy("-");
    put_condition(preset, &preset->limits[level], &buf);
    return davy_ctl_copy(text);
}

static char *number_cell(double number)
{
    char text[DAVY_NUM_TEXT];
    return davy_ctl_copy(number > 0 ? davy_ctl_number(number, text) : "-");
}

static void print_preset_table(const struct davy_preset *presets, bool colour)
{
    static const char *const heads[] = {"PRESET", "KIND", "OF", "YELLOW", "ORANGE", "RED", "VERIFIED", NULL};
    struct table table;
    davy_table_init(&table, heads, colour);
    for (const struct davy_preset *p = presets; p; p = p->next) {
        davy_table_add(&table, davy_ctl_escape(p->name), NULL);
        davy_table_add(&table, davy_ctl_escape(p->gas ? p->gas : davy_kind_name(p->kind)), NULL);
        davy_table_add(&table, davy_ctl_escape(unit_of(p)), NULL);
        for (int level = DAVY_LEVEL_YELLOW; level < DAVY_LEVEL_COUNT_; level++)
            davy_table_add(&table, limit_cell(p, (enum davy_level)level), davy_level_name((enum davy_level)level));
        davy_table_add(&table, davy_ctl_copy(yes_no(p->verified)), NULL);
    }
    davy_table_flush(&table);
    davy_table_done(&table);
}

/* Both parts of a row that it has. */
static bool is_verified(const struct davy_gas *gas)
{
    return (gas->verified || !gas->source) && (gas->lel_verified || !gas->lel_source);
}

static void print_gas_table(const struct davy_gas *gases, bool colour)
{
    static const char *const heads[] = {"GAS",    ">G/MOL", ">MAC", ">PC-TWA",  ">PC-STEL",
                                        "OEL IS", ">IDLH",  ">LEL", "VERIFIED", NULL};
    static const enum davy_figure figures[] = {DAVY_FIGURE_MAC, DAVY_FIGURE_TWA, DAVY_FIGURE_STEL};
    struct table table;
    davy_table_init(&table, heads, colour);
    for (const struct davy_gas *gas = gases; gas; gas = gas->next) {
        davy_table_add(&table, davy_ctl_escape(gas->formula), NULL);
        davy_table_add(&table, number_cell(gas->substance.molar_mass), NULL);
        for (size_t i = 0; i < DAVY_LENGTH(figures); i++)
            davy_table_add(&table, number_cell(gas->figures[figures[i]]), NULL);
        davy_table_add(&table, davy_ctl_copy(gas->basis == DAVY_FIGURE_NONE ? "-" : davy_figure_name(gas->basis)),
                       NULL);
        davy_table_add(&table, number_cell(gas->figures[DAVY_FIGURE_IDLH]), NULL);
        davy_table_add(&table, number_cell(gas->substance.lel_vol_pct), NULL);
        davy_table_add(&table, davy_ctl_copy(gas->source || gas->lel_source ? yes_no(is_verified(gas)) : "-"), NULL);
    }
    davy_table_flush(&table);
    davy_table_done(&table);
}

static void print_line(const char *key, const char *text)
{
    if (!text)
        return;
    char *escaped = davy_ctl_escape(text);
    printf("  %-10s %s\n", key, escaped);
    free(escaped);
}

static void print_number(const char *key, double number, const char *unit)
{
    char text[DAVY_NUM_TEXT];
    if (number > 0)
        printf("  %-10s %s %s\n", key, davy_num_print(number, text), unit);
}

static void print_limit(const struct davy_preset *preset, enum davy_level level)
{
    const struct davy_preset_limit *limit = &preset->limits[level];
    const char *percent = preset->percent_of != DAVY_FIGURE_NONE ? " %" : "";
    char text[TEXT_SIZE], number[DAVY_NUM_TEXT], span[DAVY_NUM_TEXT];
    struct davy_buf buf;
    if (!limit->given)
        return;
    davy_buf_init(&buf, text, sizeof text);
    put_condition(preset, limit, &buf);
    if (limit->deadband_percent > 0)
        davy_buf_printf(&buf, "; deadband %s %% of it", davy_num_print(limit->deadband_percent, number));
    else
        davy_buf_printf(&buf, "; deadband %s%s", davy_num_print(limit->deadband, number), percent);
    if (limit->on_delay.ns > 0)
        davy_buf_printf(&buf, "; on after %s", davy_span_print(limit->on_delay, span));
    if (limit->off_delay.ns > 0)
        davy_buf_printf(&buf, "; off after %s", davy_span_print(limit->off_delay, span));
    davy_buf_text(&buf, limit->latch ? "; latches" : "");
    print_line(davy_level_name(level), text);
}

static void print_preset(const struct davy_preset *preset)
{
    char text[TEXT_SIZE], step[DAVY_NUM_TEXT], most[DAVY_NUM_TEXT];
    struct davy_buf buf;
    davy_buf_init(&buf, text, sizeof text);
    printf("%s\n", preset->name);
    print_line("is", preset->title);
    davy_buf_printf(&buf, "%s, measure %s, %s%s", preset->gas ? preset->gas : davy_kind_name(preset->kind),
                    davy_measure_name(preset->measure), preset->percent_of != DAVY_FIGURE_NONE ? "per cent of " : "",
                    unit_of(preset));
    print_line("for", text);
    print_number("zone A/B", preset->zone_ab, preset->unit);
    for (int level = DAVY_LEVEL_BLUE; level < DAVY_LEVEL_COUNT_; level++)
        print_limit(preset, (enum davy_level)level);
    davy_buf_init(&buf, text, sizeof text);
    davy_buf_printf(&buf, "orange is baseline + %s x (B/C), at most %s x (B/C)",
                    davy_num_print(preset->baseline_step, step), davy_num_print(preset->baseline_max, most));
    print_line("baseline", preset->baseline_step > 0 ? text : NULL);
    print_line("source", preset->source);
    print_line("verified", yes_no(preset->verified));
    print_line("note", preset->note);
    print_line("file", preset->file);
}

/* "20 mg/m3 = 17.2 ppm" */
static void print_figure(const struct davy_gas *gas, enum davy_figure figure)
{
    struct davy_conversion to_ppm;
    char text[TEXT_SIZE], mass[DAVY_NUM_TEXT], parts[DAVY_NUM_TEXT];
    struct davy_buf buf;
    if (gas->figures[figure] <= 0 || davy_unit_conversion("mg/m3", "ppm", &gas->substance, &to_ppm, NULL) != 0)
        return;
    davy_buf_init(&buf, text, sizeof text);
    davy_buf_printf(&buf, "%s mg/m3 = %s ppm%s", davy_num_print(gas->figures[figure], mass),
                    davy_ctl_number(davy_convert(&to_ppm, gas->figures[figure]), parts),
                    gas->basis == figure ? ", the OEL" : "");
    print_line(davy_figure_name(figure), text);
}

static void print_gas(const struct davy_gas *gas)
{
    static const enum davy_figure figures[] = {DAVY_FIGURE_MAC, DAVY_FIGURE_TWA, DAVY_FIGURE_STEL, DAVY_FIGURE_IDLH};
    char text[TEXT_SIZE], temperature[DAVY_NUM_TEXT], pressure[DAVY_NUM_TEXT];
    struct davy_buf buf;
    davy_buf_init(&buf, text, sizeof text);
    printf("%s\n", gas->formula);
    for (size_t i = 0; i < gas->name_count; i++)
        davy_buf_printf(&buf, "%s%s", i > 0 ? ", " : "", gas->names[i]);
    print_line("names", gas->name_count > 0 ? text : NULL);
    print_number("molar mass", gas->substance.molar_mass, "g/mol");
    for (size_t i = 0; i < DAVY_LENGTH(figures); i++)
        print_figure(gas, figures[i]);
    davy_buf_init(&buf, text, sizeof text);
    davy_buf_printf(&buf, "%s degC, %s kPa", davy_num_print(gas->substance.ref_temp_c, temperature),
                    davy_num_print(gas->substance.ref_press_kpa, pressure));
    print_line("mg/m3 at", text);
    print_line("source", gas->source);
    print_line("verified", gas->source ? yes_no(gas->verified) : NULL);
    print_number("LEL", gas->substance.lel_vol_pct, "%vol");
    print_line("LEL source", gas->lel_source);
    print_line("verified", gas->lel_source ? yes_no(gas->lel_verified) : NULL);
    print_line("note", gas->note);
    print_line("file", gas->file);
}

static json_t *number_json(double number)
{
    return number > 0 ? json_real(number) : json_null();
}

static json_t *limit_json(const struct davy_preset_limit *limit)
{
    char span[DAVY_NUM_TEXT];
    if (!limit->given)
        return json_null();
    json_t *json = json_pack("{s:s}", "condition", davy_condition_name(limit->condition));
    if (limit->condition == DAVY_CONDITION_OUTSIDE)
        json_object_set_new(json, "limit", json_pack("[f,f]", limit->a, limit->b));
    else
        json_object_set_new(json, "limit", json_real(limit->a));
    if (limit->deadband_percent > 0)
        json_object_set_new(json, "deadband_percent", json_real(limit->deadband_percent));
    else
        json_object_set_new(json, "deadband", json_real(limit->deadband));
    json_object_set_new(json, "on_delay", json_string(davy_span_print(limit->on_delay, span)));
    json_object_set_new(json, "off_delay", json_string(davy_span_print(limit->off_delay, span)));
    json_object_set_new(json, "latch", json_boolean(limit->latch));
    return json;
}

static json_t *preset_json(const struct davy_preset *preset)
{
    bool share = preset->percent_of != DAVY_FIGURE_NONE;
    json_t *json =
        json_pack("{s:s,s:s?,s:s,s:s?,s:s?,s:s?,s:s}", "name", preset->name, "title", preset->title, "kind",
                  davy_kind_name(preset->kind), "gas", preset->gas, "unit", share ? NULL : preset->unit, "percent_of",
                  share ? unit_of(preset) : NULL, "measure", davy_measure_name(preset->measure));
    for (int level = DAVY_LEVEL_BLUE; level < DAVY_LEVEL_COUNT_; level++)
        json_object_set_new(json, davy_level_name((enum davy_level)level), limit_json(&preset->limits[level]));
    json_object_set_new(json, "zone_ab", number_json(preset->zone_ab));
    json_object_set_new(json, "baseline_step", number_json(preset->baseline_step));
    json_object_set_new(json, "baseline_max", number_json(preset->baseline_max));
    json_t *rest = json_pack("{s:s?,s:b,s:s?,s:s?}", "source", preset->source, "verified", preset->verified, "note",
                             preset->note, "file", preset->file);
    json_object_update_new(json, rest);
    return json;
}

static json_t *gas_json(const struct davy_gas *gas)
{
    json_t *names = json_array();
    for (size_t i = 0; i < gas->name_count; i++)
        json_array_append_new(names, json_string(gas->names[i]));
    json_t *json =
        json_pack("{s:s,s:o,s:f,s:o,s:o,s:o,s:o,s:o,s:s?}", "formula", gas->formula, "names", names, "molar_mass",
                  gas->substance.molar_mass, "mac", number_json(gas->figures[DAVY_FIGURE_MAC]), "twa",
                  number_json(gas->figures[DAVY_FIGURE_TWA]), "stel", number_json(gas->figures[DAVY_FIGURE_STEL]),
                  "oel", number_json(gas->figures[DAVY_FIGURE_OEL]), "idlh",
                  number_json(gas->figures[DAVY_FIGURE_IDLH]), "source", gas->source);
    json_t *rest = json_pack("{s:b,s:o,s:s?,s:b,s:f,s:f,s:s?,s:s?}", "verified", gas->verified, "lel",
                             number_json(gas->substance.lel_vol_pct), "lel_source", gas->lel_source, "lel_verified",
                             gas->lel_verified, "ref_temp_c", gas->substance.ref_temp_c, "ref_press_kpa",
                             gas->substance.ref_press_kpa, "note", gas->note, "file", gas->file);
    json_object_update_new(json, rest);
    return json;
}

/* A preset, all of a family, or everything where no name was given. */
static bool is_asked(const struct davy_preset *preset, const char *name)
{
    size_t length = name ? strlen(name) : 0;
    return !name ||
           (strncmp(preset->name, name, length) == 0 && (preset->name[length] == '\0' || preset->name[length] == '/'));
}

static size_t print_json(const struct davy_tables_view *view, const char *name)
{
    const struct davy_gas *asked = name ? davy_gas_find(view->gases, name) : NULL;
    json_t *presets = json_array(), *gases = json_array();
    for (const struct davy_preset *p = view->presets; p; p = p->next)
        if (is_asked(p, name))
            json_array_append_new(presets, preset_json(p));
    for (const struct davy_gas *gas = view->gases; gas; gas = gas->next)
        if (!name || gas == asked)
            json_array_append_new(gases, gas_json(gas));
    size_t count = json_array_size(presets) + json_array_size(gases);
    json_t *document = json_pack("{s:o,s:o}", "presets", presets, "gases", gases);
    if (count > 0)
        davy_ctl_print_json(document, true);
    json_decref(document);
    return count;
}

static size_t print_text(const struct davy_tables_view *view, const char *name, bool colour)
{
    const struct davy_gas *gas = name ? davy_gas_find(view->gases, name) : NULL;
    size_t count = gas ? 1 : 0;
    if (!name) {
        if (!view->presets && !view->gases)
            return 0;
        print_preset_table(view->presets, colour);
        puts("\nGases (mg/m3; LEL in %vol):");
        print_gas_table(view->gases, colour);
        return 1;
    }
    for (const struct davy_preset *p = view->presets; p; p = p->next)
        if (is_asked(p, name)) {
            print_preset(p);
            count++;
        }
    if (gas)
        print_gas(gas);
    return count;
}

static void print_problems(const struct davy_problems *problems)
{
    char line[2048];
    for (size_t i = 0; i < problems->count; i++) {
        char *text = davy_ctl_escape(davy_problem_format(&problems->items[i], line, sizeof line));
        fprintf(stderr, "%s\n", text);
        free(text);
    }
}

static int not_found(const struct ctl *ctl, const struct davy_tables_view *view, const char *name)
{
    const char *shipped = davy_tables_shipped();
    if (!view->presets && !view->gases)
        return davy_ctl_fail(ctl, CTL_REFUSED,
                             "no presets or gases found: looked for presets/*.conf and gases.conf in %s and %s; where "
                             "davy is not installed, DAVY_DATADIR names the folder conf of its source",
                             DAVY_CONFDIR, shipped);
    return davy_ctl_fail(ctl, CTL_REFUSED, "there is no preset, family of presets or gas '%s' in %s and %s", name,
                         DAVY_CONFDIR, shipped);
}

int davy_ctl_presets(struct ctl *ctl)
{
    const char *name = davy_ctl_argument(ctl, 0);
    struct davy_problems problems = {0};
    struct davy_tables_view view = {0};
    int rc = davy_tables_view_read(DAVY_CONFDIR "/", &problems, &view);
    print_problems(&problems);
    davy_problems_done(&problems);
    size_t count = 0;
    if (rc >= 0)
        count = ctl->json ? print_json(&view, name) : print_text(&view, name, ctl->colour);
    int code = rc < 0       ? davy_ctl_fail(ctl, CTL_REFUSED, "%s", strerror(-rc))
               : count == 0 ? not_found(ctl, &view, name ? name : "")
               : rc == 0    ? CTL_DONE
                            : CTL_REFUSED;
    davy_tables_view_done(&view);
    return code;
}
