/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/internal.h"
#include "config/load.h"

static const char head[] =
    "gateway = { id = \"g1\"; site = \"s1\"; };\n"
    "buses = ( { name = \"line\"; type = \"rtu\"; device = \"/dev/ttyS0\"; timeout = \"2s\"; },\n"
    "          { name = \"plc\"; type = \"tcp\"; host = \"h\"; } );\n"
    "zones = ( { id = \"A\"; name = \"罐区一\"; } );\n";

/* A configuration of `head` and `rest`; all problems are printed where it is refused. */
static struct davy_config *load_text(const char *rest, struct davy_problems *problems)
{
    char text[8192];
    struct davy_config *config = NULL;
    struct davy_problems local = {0};
    struct davy_problems *list = problems ? problems : &local;
    int length = snprintf(text, sizeof text, "%s%s", head, rest);
    assert_in_range(length, 1, sizeof text - 1);
    int rc = davy_config_load_text("test.conf", text, (size_t)length, list, &config);
    char line[1024];
    for (size_t i = 0; rc != 0 && !problems && i < list->count; i++)
        print_message("    %s\n", davy_problem_format(&list->items[i], line, sizeof line));
    davy_problems_done(&local);
    if (!problems)
        assert_int_equal(rc, 0);
    return config;
}

/* A point of one device "D" with these keys beside its name "p". */
static struct davy_config *load_point(const char *keys)
{
    char text[2048];
    snprintf(text, sizeof text,
             "devices = ( { id = \"D\"; bus = \"plc\"; unit = 1; points = ( { name = \"p\"; %s } ); } );", keys);
    return load_text(text, NULL);
}

static const char *data_file(const char *name, char path[1024])
{
    const char *folder = getenv("DAVY_TEST_DATA");
    snprintf(path, 1024, "%s/%s", folder ? folder : "tests/data", name);
    return path;
}

static void a_file_with_every_group_is_loaded_whole(void **state)
{
    (void)state;
    char path[1024];
    struct davy_problems problems = {0};
    struct davy_config *config = NULL;
    assert_int_equal(davy_config_load(data_file("good/full.conf", path), &problems, &config), 0);
    assert_int_equal(problems.errors, 0);
    assert_string_equal(config->file, path);
    assert_string_equal(config->gateway.timezone, "Asia/Shanghai");
    assert_int_equal(config->gateway.detect_within.ns, 10 * DAVY_NS_PER_S);
    assert_true(config->mqtt.enabled);
    assert_string_equal(config->mqtt.urls[0], "mqtts://broker.plant.example:8883");
    assert_string_equal(config->mqtt.client_id, "davy-north-plant-edge-07");
    assert_int_equal(config->mqtt.commands, 15);
    assert_int_equal(config->storage.max_size_bytes, INT64_C(2) << 30);
    assert_int_equal(config->bus_count, 3);
    assert_int_equal(config->buses[2].type, DAVY_BUS_RTU_OVER_TCP);
    assert_string_equal(config->zones[0].name, "罐区一");
    assert_int_equal(config->zones[0].risk, DAVY_LEVEL_ORANGE);
    assert_int_equal(config->device_count, 3);
    assert_int_equal(config->point_count, 4);
    assert_int_equal(config->points[2].device, 2);
    assert_int_equal(config->devices[0].max_gap, 8);
    assert_int_equal(config->devices[0].max_registers, 64);
    assert_int_equal(config->rule_count, 6);
    davy_config_unref(config);
    davy_problems_done(&problems);
}

static void limits_come_ascending_and_inherit_from_their_rule(void **state)
{
    (void)state;
    char path[1024];
    struct davy_problems problems = {0};
    struct davy_config *config = NULL;
    assert_int_equal(davy_config_load(data_file("good/full.conf", path), &problems, &config), 0);
    const struct davy_rule *rule = &config->rules[0];
    assert_int_equal(rule->limit_count, 2);
    assert_int_equal(rule->limits[0].level, DAVY_LEVEL_ORANGE);
    assert_int_equal(rule->limits[1].level, DAVY_LEVEL_RED);
    assert_true(rule->limits[1].latch && !rule->limits[0].latch);
    assert_true(rule->limits[0].shelvable && !rule->limits[1].shelvable);
    assert_true(rule->limits[0].acknowledge);
    assert_float_equal(rule->limits[1].deadband, 0.5, 0);
    assert_int_equal(rule->limits[1].off_delay.ns, 30 * DAVY_NS_PER_S);
    assert_int_equal(rule->point_count, 2);
    assert_int_equal(rule->points[1], 1);
    const struct davy_limit *stopped = &config->rules[4].limits[0];
    assert_int_equal(stopped->condition, DAVY_CONDITION_EQUALS);
    assert_float_equal(stopped->a, 0, 0);
    davy_config_unref(config);
    davy_problems_done(&problems);
}

static void absent_keys_have_the_documented_defaults(void **state)
{
    (void)state;
    struct davy_config *config = load_text(
        "devices = ( { id = \"D\"; bus = \"line\"; unit = 1; zone = \"A\"; points = ( { name = \"p\"; register = 1; "
        "type = \"int16\"; range = [0, 200]; }, { name = \"q\"; register = 2; type = \"int16\"; interval = \"10s\"; } "
        "); } );",
        NULL);
    const struct davy_device *device = &config->devices[0];
    assert_false(config->mqtt.enabled);
    assert_int_equal(config->storage.retention.ns, 90 * INT64_C(86400) * DAVY_NS_PER_S);
    assert_int_equal(config->storage.announce_within.ns, 500 * DAVY_NS_PER_MS);
    assert_int_equal(config->buses[0].baud, 9600);
    assert_int_equal(config->buses[0].parity, 'N');
    assert_int_equal(config->buses[1].timeout.ns, DAVY_NS_PER_S);
    assert_int_equal(config->buses[1].port, 502);
    assert_string_equal(device->name, "D");
    assert_int_equal(device->interval.ns, DAVY_NS_PER_S);
    assert_int_equal(device->alarm_interval.ns, 0);
    assert_int_equal(device->max_reply.ns, 2 * DAVY_NS_PER_S); /* the timeout of its bus */
    assert_int_equal(device->settle, 2);
    assert_int_equal(device->max_registers, 125);
    assert_true(device->enabled);
    assert_int_equal(config->points[0].zone, 0);
    assert_int_equal(config->points[0].max_age.ns, 5 * DAVY_NS_PER_S);
    assert_int_equal(config->points[1].max_age.ns, 30 * DAVY_NS_PER_S);
    assert_float_equal(config->points[0].report_deadband, 1, 1e-12);
    assert_float_equal(config->points[1].report_deadband, 0, 0);
    assert_string_equal(config->points[0].unit, "1");
    davy_config_unref(config);
}

static void a_scale_of_one_nth_becomes_a_divisor(void **state)
{
    (void)state;
    static const struct {
        const char *keys;
        double divisor;
    } cases[] = {
        {"register = 0; type = \"int16\"; scale = 0.1;", 10},
        {"register = 0; type = \"int16\"; scale = -0.01;", -100},
        {"register = 0; type = \"int16\"; scale = 0.3333333333333333;", 3},
        {"register = 0; type = \"int16\"; scale = 0.3;", 0},
        {"register = 0; type = \"int16\"; scale = 2;", 0},
        {"register = 0; type = \"int16\";", 0},
    };
    for (size_t i = 0; i < DAVY_LENGTH(cases); i++) {
        struct davy_config *config = load_point(cases[i].keys);
        assert_float_equal(config->points[0].divisor, cases[i].divisor, 0);
        davy_config_unref(config);
    }
}

static void modicon_numbers_are_one_based_and_set_the_table(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum davy_table table;
        unsigned address;
    } cases[] = {
        {"\"40001\"; type = \"int16\"", DAVY_TABLE_HOLDING, 0},
        {"\"400001\"; type = \"int16\"", DAVY_TABLE_HOLDING, 0},
        {"\"30011\"; type = \"int16\"", DAVY_TABLE_INPUT, 10},
        {"\"465536\"; type = \"int16\"", DAVY_TABLE_HOLDING, 65535},
        {"\"10001\"; type = \"bool\"", DAVY_TABLE_DISCRETE, 0},
        {"\"00017\"; type = \"bool\"", DAVY_TABLE_COIL, 16},
        {"40001; type = \"int16\"", DAVY_TABLE_HOLDING, 40001},
    };
    for (size_t i = 0; i < DAVY_LENGTH(cases); i++) {
        char keys[128];
        snprintf(keys, sizeof keys, "register = %s;", cases[i].text);
        struct davy_config *config = load_point(keys);
        assert_int_equal(config->points[0].table, cases[i].table);
        assert_int_equal(config->points[0].address, cases[i].address);
        davy_config_unref(config);
    }
}

static void parts_of_a_register_are_mask_and_shift(void **state)
{
    (void)state;
    struct davy_config *config = load_point("register = 0; type = \"bool\"; bit = 6;");
    assert_true(config->points[0].has_mask);
    assert_int_equal(config->points[0].mask, 64);
    assert_int_equal(config->points[0].shift, 6);
    davy_config_unref(config);
    config = load_point("register = 0; type = \"uint32\"; mask = 0xFF000000; shift = 24;");
    assert_int_equal(config->points[0].mask, 0xFF000000U);
    assert_int_equal(config->points[0].shift, 24);
    davy_config_unref(config);
}

static void bad_values_are_bits_of_the_width_of_the_type(void **state)
{
    (void)state;
    struct davy_config *config = load_point("register = 0; type = \"int16\"; bad_values = [-1, 0x8000, 32767];");
    assert_int_equal(config->points[0].bad_value_count, 3);
    assert_int_equal(config->points[0].bad_values[0], 0xFFFF);
    assert_int_equal(config->points[0].bad_values[1], 0x8000);
    assert_int_equal(config->points[0].bad_values[2], 0x7FFF);
    davy_config_unref(config);
    config = load_point("register = 0; type = \"float32\"; bad_values = [9999, -1.0, 0xFFFFFFFF];");
    assert_int_equal(config->points[0].bad_values[0], 0x461C3C00);
    assert_int_equal(config->points[0].bad_values[1], 0xBF800000);
    assert_int_equal(config->points[0].bad_values[2], 0xFFFFFFFF);
    davy_config_unref(config);
}

static void a_point_of_the_device_replaces_that_of_the_profile(void **state)
{
    (void)state;
    struct davy_config *config = load_text(
        "profiles = ( { name = \"x\"; interval = \"3s\"; points = ( { name = \"a\"; register = 1; type = \"int16\"; }, "
        "{ name = \"b\"; register = 2; type = \"int16\"; } ); } );\n"
        "devices = ( { id = \"D\"; bus = \"plc\"; unit = 1; profile = \"x\"; points = ( { name = \"c\"; register = 9; "
        "type = \"int16\"; }, { name = \"a\"; register = 7; type = \"int16\"; } ); } );",
        NULL);
    assert_int_equal(config->point_count, 3);
    assert_string_equal(config->points[0].name, "a");
    assert_int_equal(config->points[0].address, 7);
    assert_int_equal(config->points[1].address, 2);
    assert_string_equal(config->points[2].name, "c");
    assert_int_equal(config->devices[0].interval.ns, 3 * DAVY_NS_PER_S);
    davy_config_unref(config);
}

/* Whoever copies a point to set its range must not lose what tells a fault. */
static void status_of_the_profile_stays_until_the_device_has_its_own(void **state)
{
    (void)state;
    static const char profile[] =
        "profiles = ( { name = \"x\"; points = ( { name = \"a\"; register = 1; type = \"int16\"; } );\n"
        "  status = ( { register = 2; mask = 1; means = \"fault\"; }, { register = 2; mask = 2; means = \"warm-up\"; } "
        "); } );\n"
        "devices = ( { id = \"D\"; bus = \"plc\"; unit = 1; profile = \"x\"; points = ( { name = \"a\"; register = 1; "
        "type = \"int16\"; range = [0, 50]; } ); %s } );";
    char text[1024];
    snprintf(text, sizeof text, profile, "");
    struct davy_config *config = load_text(text, NULL);
    assert_true(config->points[0].has_range);
    assert_int_equal(config->devices[0].status_count, 2);
    davy_config_unref(config);
    snprintf(text, sizeof text, profile, "status = ( { register = 9; means = \"fault\"; } );");
    config = load_text(text, NULL);
    assert_int_equal(config->devices[0].status_count, 1);
    assert_int_equal(config->devices[0].status[0].address, 9);
    davy_config_unref(config);
}

static void syntax_is_forgiving_where_the_manual_says_so(void **state)
{
    (void)state;
    struct davy_config *config = load_text(
        "devices : ( { id = \"D\", bus = \"pl\" \"c\"; unit = 0x0A; points = [ { name = \"p\" register = 1\r\n"
        "type = \"int16\"; scale = 20; range = [0, 100.5]; bad_values = [0x7FFF, 2]; } ]; } ) /* no semicolon */\n"
        "// a last comment without an end",
        NULL);
    assert_int_equal(config->devices[0].unit, 10);
    assert_int_equal(config->devices[0].bus, 1);
    assert_float_equal(config->points[0].scale, 20, 0);
    assert_float_equal(config->points[0].high, 100.5, 0);
    davy_config_unref(config);
}

static unsigned warnings_with(const struct davy_problems *problems, const char *fragment)
{
    unsigned count = 0;
    for (size_t i = 0; i < problems->count; i++)
        count += problems->items[i].severity == DAVY_PROBLEM_WARNING && strstr(problems->items[i].message, fragment);
    return count;
}

/* A unit that was refused is not refused again as the 0 that stands in its place; a 0 that was written is. */
static void a_unit_is_refused_once(void **state)
{
    (void)state;
    static const char *const units[] = {"300", "-1", "0", "248", "4294967297"};
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        struct davy_problems problems = {0};
        char text[256];
        snprintf(text, sizeof text,
                 "devices = ( { id = \"D\"; bus = \"line\"; unit = %s; points = ( { name = \"p\"; register = 1; "
                 "type = \"int16\"; } ); } );",
                 units[i]);
        assert_null(load_text(text, &problems));
        assert_int_equal(problems.errors, 1);
        assert_string_equal(problems.items[0].path, "devices[0].unit");
        davy_problems_done(&problems);
    }
}

/* What a broken rule was to watch is not known: to call it unwatched would hide the errors among untruths. */
static void where_a_rule_is_broken_nothing_is_said_to_have_no_limit(void **state)
{
    (void)state;
    struct davy_problems problems = {0};
    struct davy_config *config =
        load_text("devices = ( { id = \"D\"; bus = \"plc\"; unit = 1; points = ( { name = \"p\"; register = 1; "
                  "type = \"int16\"; } ); } );\n"
                  "rules = ( { name = \"r\"; point = [\"D.p\"]; red = { above = 4; }; } );",
                  &problems);
    assert_null(config);
    assert_true(problems.errors > 0);
    assert_int_equal(warnings_with(&problems, "no limit at all"), 0);
    davy_problems_done(&problems);
}

static void a_file_of_rules_that_was_emptied_is_warned_of(void **state)
{
    (void)state;
    static const char device[] = "devices = ( { id = \"D\"; bus = \"plc\"; unit = 1; points = ( { name = \"p\"; "
                                 "register = 1; type = \"int16\"; } ); } );\n";
    static const char *const rules[] = {"", "rules = ( );\n"};
    for (size_t i = 0; i < DAVY_LENGTH(rules); i++) {
        struct davy_problems problems = {0};
        char text[256];
        snprintf(text, sizeof text, "%s%s", device, rules[i]);
        struct davy_config *config = load_text(text, &problems);
        assert_non_null(config);
        assert_int_equal(warnings_with(&problems, "there is no rule"), 1);
        davy_config_unref(config);
        davy_problems_done(&problems);
    }
}

static void what_is_unwise_is_warned_of(void **state)
{
    (void)state;
    struct davy_problems problems = {0};
    struct davy_config *config = load_text(
        "mqtt = { urls = [\"mqtt://127.0.0.1\", \"mqtt://[::1]:1883\", \"mqtt://10.0.0.1\"]; };\n"
        "devices = ( { id = \"D\"; bus = \"plc\"; unit = 1; enabled = false; calibration_due = \"2020-01-01\"; points "
        "= ( { name = \"p\"; register = 1; type = \"int16\"; }, { name = \"q\"; register = 2; type = \"int16\"; }, "
        "{ name = \"on\"; register = 3; type = \"bool\"; bit = 0; } ); } );\n"
        "rules = ( { name = \"r\"; points = [\"D.p\"]; red = { above = 4; };\n"
        "  when = { point = \"on\"; equals = true; }; measure = { type = \"mean\"; window = \"1min\"; }; },\n"
        "  { name = \"s\"; points = [\"D.p\"]; red = { above = 4; }; vote = 1; } );",
        &problems);
    assert_non_null(config);
    assert_int_equal(warnings_with(&problems, "D.q has no limit at all"), 1);
    assert_int_equal(warnings_with(&problems, "no limit at all"), 1);
    assert_int_equal(warnings_with(&problems, "there is no rule"), 0);
    assert_int_equal(warnings_with(&problems, "deadband of 0"), 2);
    assert_int_equal(warnings_with(&problems, "not enabled"), 1);
    assert_int_equal(warnings_with(&problems, "2020-01-01 is in the past"), 1);
    assert_int_equal(warnings_with(&problems, "not encrypted"), 1);
    assert_int_equal(warnings_with(&problems, "not a delivered one"), 1);
    assert_int_equal(warnings_with(&problems, "watched"), 0);
    assert_int_equal(warnings_with(&problems, "not in effect yet: rules"), 0);
    davy_config_unref(config);
    davy_problems_done(&problems);
}

static void a_platform_that_may_not_confirm_is_warned_of(void **state)
{
    static const struct {
        const char *more;
        size_t warnings;
    } rows[] = {
        {"", 1},
        {"commands = [\"resend\", \"snapshot\"];", 1},
        {"commands = [\"confirm\"]; confirm_within = \"5s\";", 0},
    };
    (void)state;
    for (size_t i = 0; i < DAVY_LENGTH(rows); i++) {
        char text[512];
        struct davy_problems problems = {0};
        snprintf(text, sizeof text,
                 "devices = ( { id = \"D\"; bus = \"plc\"; unit = 1; points = ( { name = \"p\"; register = 1; "
                 "type = \"int16\"; } ); } );\n"
                 "mqtt = { url = \"mqtt://127.0.0.1\"; delivery = \"platform\"; %s };\n",
                 rows[i].more);
        struct davy_config *config = load_text(text, &problems);
        assert_non_null(config);
        assert_true(config->mqtt.delivery_platform);
        assert_int_equal(warnings_with(&problems, "nothing can ever be confirmed"), rows[i].warnings);
        assert_int_equal(warnings_with(&problems, "not in effect"), 0);
        davy_config_unref(config);
        davy_problems_done(&problems);
    }
}

static void settings_are_sorted_and_named_by_id(void **state)
{
    (void)state;
    struct davy_config *config = load_point("register = 0x10; type = \"int16\"; scale = 0.1; range = [0, 1.5];");
    bool found = false;
    for (size_t i = 0; i < config->setting_count; i++) {
        assert_true(i == 0 || strcmp(config->settings[i - 1].path, config->settings[i].path) < 0);
        if (strcmp(config->settings[i].path, "devices.D.points.p.range") == 0) {
            assert_string_equal(config->settings[i].value, "[0, 1.5]");
            found = true;
        }
    }
    assert_true(found);
    davy_config_unref(config);
}

static void the_hash_is_that_of_the_bytes(void **state)
{
    (void)state;
    struct davy_problems problems = {0};
    struct davy_config *config = NULL;
    static const char text[] = "gateway={id=\"a\";site=\"b\"};buses=();devices=();";
    assert_int_equal(davy_config_load_text("x", text, sizeof text - 1, &problems, &config), 0);
    /* printf … | sha256sum */
    assert_string_equal(config->hash, "sha256:e2bd085445373d7198ff4e263ae67f147924fb7a6360ecbd4b692525a488df51");
    davy_config_unref(config);
    davy_problems_done(&problems);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_with_every_group_is_loaded_whole),
        cmocka_unit_test(limits_come_ascending_and_inherit_from_their_rule),
        cmocka_unit_test(absent_keys_have_the_documented_defaults),
        cmocka_unit_test(a_scale_of_one_nth_becomes_a_divisor),
        cmocka_unit_test(modicon_numbers_are_one_based_and_set_the_table),
        cmocka_unit_test(parts_of_a_register_are_mask_and_shift),
        cmocka_unit_test(bad_values_are_bits_of_the_width_of_the_type),
        cmocka_unit_test(a_point_of_the_device_replaces_that_of_the_profile),
        cmocka_unit_test(status_of_the_profile_stays_until_the_device_has_its_own),
        cmocka_unit_test(syntax_is_forgiving_where_the_manual_says_so),
        cmocka_unit_test(a_unit_is_refused_once),
        cmocka_unit_test(where_a_rule_is_broken_nothing_is_said_to_have_no_limit),
        cmocka_unit_test(a_file_of_rules_that_was_emptied_is_warned_of),
        cmocka_unit_test(what_is_unwise_is_warned_of),
        cmocka_unit_test(a_platform_that_may_not_confirm_is_warned_of),
        cmocka_unit_test(settings_are_sorted_and_named_by_id),
        cmocka_unit_test(the_hash_is_that_of_the_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
