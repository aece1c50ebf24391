/* SPDX-License-Identifier: Apache-2.0 */
#include "publish/topic.h"

#include "publish/fixture.h"

static const struct {
    struct davy_subject subject;
    const char *topic;
} vectors[] = {
    {{DAVY_ALARM_RULE, 0, DAVY_NONE, 0, POINT_H2S}, "davy/v1/north-plant/edge-07/alarm/A1/GT-101/h2s/h2s"},
    {{DAVY_ALARM_FAULT, DAVY_NONE, 0, 1, POINT_RMS}, "davy/v1/north-plant/edge-07/alarm/_/VB-7/rms/fault"},
    {{DAVY_ALARM_FAULT, DAVY_NONE, 0, 0, DAVY_NONE}, "davy/v1/north-plant/edge-07/alarm/A1/GT-101/_/fault"},
    {{DAVY_ALARM_FAULT, DAVY_NONE, 0, DAVY_NONE, DAVY_NONE}, "davy/v1/north-plant/edge-07/alarm/_/rs485-1/_/fault"},
    {{DAVY_ALARM_INHIBIT, DAVY_NONE, DAVY_NONE, 0, DAVY_NONE}, "davy/v1/north-plant/edge-07/alarm/A1/GT-101/_/inhibit"},
    {{DAVY_ALARM_STORAGE, DAVY_NONE, DAVY_NONE, DAVY_NONE, DAVY_NONE},
     "davy/v1/north-plant/edge-07/alarm/_/gateway/_/storage"},
    {{DAVY_ALARM_RULE, 1, DAVY_NONE, DAVY_NONE, DAVY_NONE}, "davy/v1/north-plant/edge-07/alarm/A1/_/_/any-two"},
    {{DAVY_ALARM_VOTE_FAULT, 1, DAVY_NONE, DAVY_NONE, DAVY_NONE},
     "davy/v1/north-plant/edge-07/alarm/A1/_/_/any-two.fault"},
};

static void names_every_kind_of_alarm(void **state)
{
    struct davy_config *config = new_plant();
    char text[DAVY_TOPIC_SIZE];
    for (size_t i = 0; i < DAVY_LENGTH(vectors); i++)
        assert_string_equal(davy_topic_alarm(config, &vectors[i].subject, text), vectors[i].topic);
    davy_config_unref(config);
    (void)state;
}

static void appends_the_rest_to_the_base(void **state)
{
    struct davy_config *config = new_plant();
    char text[DAVY_TOPIC_SIZE];
    assert_string_equal(davy_topic(config, "status", text), "davy/v1/north-plant/edge-07/status");
    davy_config_unref(config);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_every_kind_of_alarm),
        cmocka_unit_test(appends_the_rest_to_the_base),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
