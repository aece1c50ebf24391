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
        {.level = DAVY_LEVEL_RED, .condition = DAVY_CONDITION_OUTSIDE, .a = 5, .b = 25},
    };
    struct davy_config *config = plant_new(2);
    plant_add_rule(config, "h2s", limits, 3);
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
        {DAVY_CONDITION_OUTSIDE, 20, 5, "Tank farm H2S: H2S 20 ppm, limit 5 ppm"},
        {DAVY_CONDITION_OUTSIDE, 20, 25, "Tank farm H2S: H2S 20 ppm, limit 25 ppm"},
        {DAVY_CONDITION_EQUALS, 1, 1, "Tank farm H2S: H2S 1 ppm = 1 ppm"},
        {DAVY_CONDITION_EQUALS, 0, 1, "Tank farm H2S: H2S 0 ppm, limit 1 ppm"},
    };
    struct davy_config *config = plant();
    for (size_t i = 0; i < DAVY_LENGTH(cases); i++) {
        struct davy_event event = event_of_rule(cases[i].condition, cases[i].value, cases[i].limit);
        event.limit_index = cases[i].condition == DAVY_CONDITION_OUTSIDE ? 2 : 0;
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
    config->rules[0].vote = 2;
    config->rules[0].fault_name = "h2s.fault";
    for (int kind = DAVY_ALARM_FAULT; kind < DAVY_ALARM_COUNT_; kind++) {
        char text[256];
        struct davy_event event = {.subject = {(enum davy_alarm_kind)kind, NONE, NONE, NONE, NONE}, .active = true};
        if (kind == DAVY_ALARM_VOTE_FAULT)
            event.subject.rule = 0;
        davy_event_message(config, &event, text, sizeof text);
        assert_null(strstr(text, "(null)"));
        assert_true(strlen(text) > strlen("gateway: "));
    }
    davy_config_unref(config);
}

static void each_measure_says_what_its_number_is(void **unused)
{
    (void)unused;
    static const uint32_t others[] = {1, 0};
    const davy_span minute = davy_span_s(60);
    const struct {
        enum davy_measure measure;
        struct davy_measure_options options;
        double value, limit;
        const char *text;
    } cases[] = {
        {DAVY_MEASURE_MEAN, {.window = davy_span_s(600)}, 7.2, 7, "mean over 10 min of H2S 7.2 ppm ≥ 7 ppm"},
        {DAVY_MEASURE_MIN, {.window = minute}, 7.2, 7, "minimum over 1 min of H2S 7.2 ppm ≥ 7 ppm"},
        {DAVY_MEASURE_STDDEV, {.window = minute}, 2, 1, "standard deviation over 1 min of H2S 2 ppm ≥ 1 ppm"},
        {DAVY_MEASURE_RMS, {.window = davy_span_s(5400)}, 2, 1, "rms over 90 min of H2S 2 ppm ≥ 1 ppm"},
        {DAVY_MEASURE_RATE,
         {.window = minute, .per = minute},
         0.6,
         0.5,
         "rate over 1 min of H2S 0.6 ppm/min ≥ 0.5 ppm/min"},
        {DAVY_MEASURE_RATE,
         {.window = minute, .per = davy_span_s(600)},
         6,
         5,
         "rate over 1 min of H2S 6 ppm/10min ≥ 5 ppm/10min"},
        {DAVY_MEASURE_FORECAST,
         {.horizon = davy_span_s(1800)},
         16,
         14,
         "forecast of H2S in 30 min: 16 ppm ≥ 14 ppm, reached in 12 min"},
        {DAVY_MEASURE_STEL, {.window = davy_span_s(900)}, 10.3, 10, "H2S 15-min exposure (STEL) 10.3 ppm ≥ 10 ppm"},
        {DAVY_MEASURE_TWA, {.window = davy_span_s(28800)}, 9, 10, "H2S 8-h exposure (TWA) 9 ppm, limit 10 ppm"},
        {DAVY_MEASURE_DEVIATION,
         {.window = davy_span_s(3600)},
         4.5,
         4,
         "deviation from the mean over 1 h of H2S 4.5 σ ≥ 4 σ"},
        {DAVY_MEASURE_STUCK, {.epsilon = 0}, 310, 300, "H2S has not moved for 310 s ≥ 300 s"},
        {DAVY_MEASURE_DIFFERENCE, {.others = others}, 3, 2, "H2S minus GT-102.h2s 3 ppm ≥ 2 ppm"},
        {DAVY_MEASURE_OCCURRENCES, {.window = davy_span_s(259200)}, 3, 3, "H2S, alarms h2s in 3 d: 3 ≥ 3"},
        {DAVY_MEASURE_OCCURRENCES, {.days = true}, 3, 3, "H2S, days in a row with an alarm h2s: 3 ≥ 3"},
    };
    struct davy_config *config = plant();
    for (size_t i = 0; i < DAVY_LENGTH(cases); i++) {
        char text[256];
        struct davy_event event = event_of_rule(DAVY_CONDITION_ABOVE, cases[i].value, cases[i].limit);
        event.time_to_limit = davy_span_s(719);
        config->rules[0].measure = cases[i].measure;
        config->rules[0].options = cases[i].options;
        snprintf(text, sizeof text, "Tank farm H2S: %s", cases[i].text);
        check_message(config, &event, text);
    }
    davy_config_unref(config);
}

static void an_upper_bound_says_that_it_is_one(void **unused)
{
    (void)unused;
    static const struct davy_limit limits[] = {{.level = DAVY_LEVEL_YELLOW, .a = 10, .upper = true}};
    struct davy_config *config = plant();
    config->rules[0].measure = DAVY_MEASURE_STEL;
    config->rules[0].limits = limits;
    struct davy_event event = event_of_rule(DAVY_CONDITION_ABOVE, 10.3, 10);
    check_message(config, &event,
                  "Tank farm H2S: H2S 15-min exposure (STEL), gaps as the readings beside them, 10.3 ppm ≥ 10 ppm");
    davy_config_unref(config);
}

static void a_vote_counts_and_a_ladder_says_how_long(void **unused)
{
    (void)unused;
    static const struct davy_step steps[] = {{.after = {900 * DAVY_NS_PER_S}},
                                             {.after = {172800 * DAVY_NS_PER_S}, .unless_cleared = true}};
    struct davy_config *config = plant();
    config->rules[0].vote = 2;
    config->rules[0].steps = steps;
    config->rules[0].step_count = 2;
    struct davy_event event = event_of_rule(DAVY_CONDITION_VOTE, 2, 2);
    event.subject.device = event.subject.point = NONE;
    check_message(config, &event, "h2s, Zone one (A1): H2S: 2 of 2 vote, 2 needed");
    event.type = DAVY_EVENT_OVERDUE;
    event.step = 1;
    check_message(config, &event,
                  "h2s, Zone one (A1): H2S: 2 of 2 vote, 2 needed; overdue: nobody has acknowledged for 15 min");
    event.step = 2;
    check_message(config, &event, "h2s, Zone one (A1): H2S: 2 of 2 vote, 2 needed; overdue: not cleared for 2 d");
    event.has_value = event.has_limit = false;
    event.type = DAVY_EVENT_SHELVED;
    check_message(config, &event, "h2s, Zone one (A1): H2S: vote of 2; shelved");
    davy_config_unref(config);
}

static void what_covers_an_alarm_is_said(void **unused)
{
    (void)unused;
    const struct {
        enum davy_event_type type;
        enum davy_state state;
        const char *end;
    } cases[] = {
        {DAVY_EVENT_RAISED, DAVY_STATE_UNACKNOWLEDGED, ""},
        {DAVY_EVENT_RAISED, DAVY_STATE_SHELVED, " [shelved]"},
        {DAVY_EVENT_CLEARED, DAVY_STATE_OUT_OF_SERVICE, " [out of service]"},
        {DAVY_EVENT_ACKNOWLEDGED, DAVY_STATE_SUPPRESSED, " [suppressed]"},
        {DAVY_EVENT_SUPPRESSED, DAVY_STATE_SUPPRESSED, "; suppressed: the rule does not apply now"},
        {DAVY_EVENT_UNSUPPRESSED, DAVY_STATE_RETURNED, "; the rule applies again"},
        {DAVY_EVENT_UNSHELVED, DAVY_STATE_UNACKNOWLEDGED, "; not shelved any more"},
        {DAVY_EVENT_IN_SERVICE, DAVY_STATE_SHELVED, "; in service again"},
        {DAVY_EVENT_RETIRED, DAVY_STATE_NORMAL, "; retired: not in the configuration any more"},
    };
    struct davy_config *config = plant();
    for (size_t i = 0; i < DAVY_LENGTH(cases); i++) {
        char text[256];
        struct davy_event event = event_of_rule(DAVY_CONDITION_ABOVE, 15, 14);
        event.type = cases[i].type;
        event.state = cases[i].state;
        snprintf(text, sizeof text, "Tank farm H2S: H2S 15 ppm ≥ 14 ppm%s", cases[i].end);
        check_message(config, &event, text);
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

/* Of a ledger that anybody may have written. */
static void a_key_that_is_none_names_nothing(void **unused)
{
    (void)unused;
    char text[4096];
    struct davy_config *config = plant();
    struct davy_subject subject;
    for (size_t length = 1; length < sizeof text; length++) {
        memset(text, 'x', sizeof text);
        memcpy(text + length - 1, ":", 2);
        assert_false(davy_subject_parse(config, text, &subject));
    }
    snprintf(text, sizeof text, "h2s:%s", config->devices[0].id); /* a rule's alarm is of a point */
    assert_false(davy_subject_parse(config, text, &subject));
    assert_false(davy_subject_parse(config, "h2s:gateway", &subject));
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
        cmocka_unit_test(each_measure_says_what_its_number_is),
        cmocka_unit_test(an_upper_bound_says_that_it_is_one),
        cmocka_unit_test(a_vote_counts_and_a_ladder_says_how_long),
        cmocka_unit_test(what_covers_an_alarm_is_said),
        cmocka_unit_test(keys_and_zones_follow_the_subject),
        cmocka_unit_test(the_longest_names_make_a_key_that_fits),
        cmocka_unit_test(a_key_that_is_none_names_nothing),
        cmocka_unit_test(a_message_that_does_not_fit_stays_inside_its_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
