/* SPDX-License-Identifier: Apache-2.0 */
#include "model/alarm.h"

#include <string.h>

#include "support/cmocka_all.h"
#include "support/plant.h"

#define NONE DAVY_NONE

/* A plant of two detectors with a rule over both; the first is named for people. */
static struct davy_config *plant(void)
{
    static const struct davy_limit limits[] = {
        {.level = DAVY_LEVEL_YELLOW, .condition = DAVY_CONDITION_BELOW, .a = 1},
        {.level = DAVY_LEVEL_RED, .condition = DAVY_CONDITION_ABOVE, .a = 14, .message = "Leave the area"},
    };
    struct davy_config *config = plant_new(2);
    plant_add_rule(config, "h2s", limits, 2);
    config->devices[0].name = "Tank farm H2S";
    return config;
}

static struct davy_event event_of_rule(enum davy_condition condition, double value, double limit)
{
    return (struct davy_event){.subject = {DAVY_ALARM_RULE, 0, NONE, 0, 0},
                               .type = DAVY_EVENT_RAISED,
                               .active = true,
                               .has_value = true,
                               .value = value,
                               .has_limit = true,
                               .limit = limit,
                               .condition = condition};
}

static void check_message(const struct davy_config *config, const struct davy_event *event, const char *expected)
{
    char text[512];
    davy_event_message(config, event, text, sizeof text);
    assert_string_equal(text, expected);
}

static void says_point_value_and_limit(void **unused)
{
    (void)unused;
    struct davy_config *config = plant();
    struct davy_event event = event_of_rule(DAVY_CONDITION_ABOVE, 15.2, 14);
    check_message(config, &event, "Tank farm H2S: H2S 15.2 ppm ≥ 14 ppm");
    event.limit_index = 1;
    check_message(config, &event, "Leave the area: Tank farm H2S: H2S 15.2 ppm ≥ 14 ppm");
    davy_config_unref(config);
}

static void a_sign_only_stands_where_it_is_true(void **unused)
{
    (void)unused;
    const struct {
        enum davy_condition condition;
        double value, limit;
        const char *text;
    } cases[] = {
        {DAVY_CONDITION_ABOVE, 14, 14, "Tank farm H2S: H2S 14 ppm ≥ 14 ppm"},
        {DAVY_CONDITION_ABOVE, 13.9, 14, "Tank farm H2S: H2S 13.9 ppm, limit 14 ppm"},
        {DAVY_CONDITION_BELOW, 18, 19.5, "Tank farm H2S: H2S 18 ppm ≤ 19.5 ppm"},
        {DAVY_CONDITION_BELOW, 20, 19.5, "Tank farm H2S: H2S 20 ppm, limit 19.5 ppm"},
        {DAVY_CONDITION_OUTSIDE, 30, 25, "Tank farm H2S: H2S 30 ppm ≥ 25 ppm"},
        {DAVY_CONDITION_OUTSIDE, 3, 5, "Tank farm H2S: H2S 3 ppm ≤ 5 ppm"},
        {DAVY_CONDITION_EQUALS, 1, 1, "Tank farm H2S: H2S 1 ppm = 1 ppm"},
        {DAVY_CONDITION_EQUALS, 0, 1, "Tank farm H2S: H2S 0 ppm, limit 1 ppm"},
    };
    struct davy_config *config = plant();
    for (size_t i = 0; i < DAVY_LENGTH(cases); i++) {
        struct davy_event event = event_of_rule(cases[i].condition, cases[i].value, cases[i].limit);
        check_message(config, &event, cases[i].text);
    }
    davy_config_unref(config);
}

static void a_state_has_no_unit_and_an_unknown_quantity_its_points_name(void **unused)
{
    (void)unused;
    struct davy_config *config = plant();
    struct davy_event event = event_of_rule(DAVY_CONDITION_EQUALS, 0, 0);
    config->points[0].unit = "1";
    config->points[0].quantity = NULL;
    config->points[0].name = "running";
    check_message(config, &event, "Tank farm H2S: running 0 = 0");
    davy_config_unref(config);
}

static void numbers_have_four_digits_and_no_exponent_where_people_read(void **unused)
{
    (void)unused;
    const struct {
        double value;
        const char *text;
    } cases[] = {{15.23456, "15.23"}, {1234.5678, "1235"}, {12345.6, "12346"},      {9999.6, "10000"},
                 {9999.6, "10000"},   {-0.5, "-0.5"},      {123456789, "123456789"}};
    struct davy_config *config = plant();
    for (size_t i = 0; i < DAVY_LENGTH(cases); i++) {
        char text[128];
        struct davy_event event = event_of_rule(DAVY_CONDITION_ABOVE, cases[i].value, 1e9);
        snprintf(text, sizeof text, "Tank farm H2S: H2S %s ppm, limit 1000000000 ppm", cases[i].text);
        check_message(config, &event, text);
    }
    davy_config_unref(config);
}

static void what_is_not_known_is_left_out_and_bad_quality_is_said(void **unused)
{
    (void)unused;
    struct davy_config *config = plant();
    struct davy_event event = event_of_rule(DAVY_CONDITION_ABOVE, 15.2, 14);
    event.quality = DAVY_QUALITY_BAD;
    event.reason = DAVY_REASON_COMM;
    check_message(config, &event, "Tank farm H2S: H2S 15.2 ppm ≥ 14 ppm (bad: comm)");
    event.has_value = false;
    check_message(config, &event, "Tank farm H2S: H2S, limit 14 ppm (bad: comm)");
    event.has_limit = false;
    event.reason = DAVY_REASON_NONE;
    check_message(config, &event, "Tank farm H2S: H2S");
    davy_config_unref(config);
}

static void built_in_alarms_speak_of_what_they_watch(void **unused)
{
    (void)unused;
    const struct {
        struct davy_subject subject;
        bool active;
        enum davy_reason reason;
        const char *text;
    } cases[] = {
        {{DAVY_ALARM_FAULT, NONE, 0, NONE, NONE}, true, DAVY_REASON_COMM, "bus: no answer on this line (comm)"},
        {{DAVY_ALARM_FAULT, NONE, 0, 0, NONE}, true, DAVY_REASON_STALE, "GT-101: no good reading (stale)"},
        {{DAVY_ALARM_FAULT, NONE, 0, 0, 0}, false, DAVY_REASON_STALE, "GT-101.h2s: no good reading: over"},
        {{DAVY_ALARM_CONFIG, NONE, NONE, NONE, NONE},
         true,
         DAVY_REASON_NONE,
         "gateway: a reload was refused, the old configuration runs on"},
        {{DAVY_ALARM_STORAGE, NONE, NONE, NONE, NONE},
         false,
         DAVY_REASON_NONE,
         "gateway: storage is failing or slow: over"},
    };
    struct davy_config *config = plant();
    for (size_t i = 0; i < DAVY_LENGTH(cases); i++) {
        struct davy_event event = {.subject = cases[i].subject, .active = cases[i].active, .reason = cases[i].reason};
        check_message(config, &event, cases[i].text);
    }
    davy_config_unref(config);
}

static void every_built_in_alarm_has_a_sentence(void **unused)
{
    (void)unused;
    struct davy_config *config = plant();
    for (int kind = DAVY_ALARM_FAULT; kind < DAVY_ALARM_COUNT_; kind++) {
        char text[256];
        struct davy_event event = {.subject = {(enum davy_alarm_kind)kind, NONE, NONE, NONE, NONE}, .active = true};
        davy_event_message(config, &event, text, sizeof text);
        assert_null(strstr(text, "(null)"));
        assert_true(strlen(text) > strlen("gateway: "));
    }
    davy_config_unref(config);
}

static void keys_and_zones_follow_the_subject(void **unused)
{
    (void)unused;
    const struct {
        struct davy_subject subject;
        const char *key;
        uint32_t zone;
    } cases[] = {
        {{DAVY_ALARM_RULE, 0, NONE, 1, 1}, "h2s:GT-102.h2s", 0},
        {{DAVY_ALARM_FAULT, NONE, 0, NONE, NONE}, "fault:bus", NONE},
        {{DAVY_ALARM_FAULT, NONE, 0, 1, NONE}, "fault:GT-102", 0},
        {{DAVY_ALARM_FAULT, NONE, 0, 0, 0}, "fault:GT-101.h2s", 0},
        {{DAVY_ALARM_INHIBIT, NONE, NONE, 0, NONE}, "inhibit:GT-101", 0},
        {{DAVY_ALARM_MQTT, NONE, NONE, NONE, NONE}, "mqtt:gateway", NONE},
    };
    struct davy_config *config = plant();
    char key[DAVY_KEY_SIZE];
    for (size_t i = 0; i < DAVY_LENGTH(cases); i++) {
        assert_string_equal(davy_subject_key(config, &cases[i].subject, key), cases[i].key);
        assert_int_equal(davy_subject_zone(config, &cases[i].subject), cases[i].zone);
    }
    davy_config_unref(config);
}

static void the_longest_names_make_a_key_that_fits(void **unused)
{
    (void)unused;
    char id[DAVY_ID_MAX + 1], key[DAVY_KEY_SIZE];
    memset(id, 'x', DAVY_ID_MAX);
    id[DAVY_ID_MAX] = '\0';
    struct davy_config *config = plant();
    struct davy_rule rule = config->rules[0];
    rule.name = id;
    config->rules[0] = rule;
    config->devices[0].id = id;
    config->points[0].name = id;
    davy_subject_key(config, &(struct davy_subject){DAVY_ALARM_RULE, 0, NONE, 0, 0}, key);
    assert_int_equal(strlen(key), 3 * DAVY_ID_MAX + 2);
    davy_config_unref(config);
}

static void a_message_that_does_not_fit_stays_inside_its_room(void **unused)
{
    (void)unused;
    struct davy_config *config = plant();
    struct davy_event event = event_of_rule(DAVY_CONDITION_ABOVE, 15.2, 14);
    for (size_t size = 1; size < 64; size++) {
        char text[64];
        memset(text, '#', sizeof text);
        davy_event_message(config, &event, text, size);
        assert_true(strlen(text) < size);
        assert_int_equal(text[size], '#');
    }
    davy_config_unref(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_point_value_and_limit),
        cmocka_unit_test(a_sign_only_stands_where_it_is_true),
        cmocka_unit_test(a_state_has_no_unit_and_an_unknown_quantity_its_points_name),
        cmocka_unit_test(numbers_have_four_digits_and_no_exponent_where_people_read),
        cmocka_unit_test(what_is_not_known_is_left_out_and_bad_quality_is_said),
        cmocka_unit_test(built_in_alarms_speak_of_what_they_watch),
        cmocka_unit_test(every_built_in_alarm_has_a_sentence),
        cmocka_unit_test(keys_and_zones_follow_the_subject),
        cmocka_unit_test(the_longest_names_make_a_key_that_fits),
        cmocka_unit_test(a_message_that_does_not_fit_stays_inside_its_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
