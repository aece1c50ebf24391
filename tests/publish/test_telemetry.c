/* SPDX-License-Identifier: Apache-2.0 */
#include "publish/telemetry.h"

#include <stdio.h>

#include "publish/fixture.h"

struct sink {
    size_t messages;
    size_t readings;
    size_t longest;
    char topics[1024];
    char last[DAVY_TELEMETRY_SIZE];
};

static struct sink sink;
static struct davy_config *config;
static struct davy_telemetry_batcher *batcher;

static void collect(void *context, const char *topic, const char *payload)
{
    struct sink *into = context;
    size_t length = strlen(payload);
    into->messages++;
    into->longest = length > into->longest ? length : into->longest;
    for (const char *found = payload; (found = strstr(found, "{\"point\"")); found++)
        into->readings++;
    snprintf(into->topics + strlen(into->topics), sizeof into->topics - strlen(into->topics), "%s;", topic);
    memcpy(into->last, payload, length + 1);
}

static int set_up(void **state)
{
    (void)state;
    sink = (struct sink){0};
    config = new_plant();
    assert_int_equal(davy_telemetry_new(config, &batcher), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    batcher = davy_telemetry_free(batcher);
    davy_config_unref(config);
    return 0;
}

static void add(uint32_t point, double value, enum davy_reason reason, int64_t second)
{
    struct davy_reading reading = {.point = point,
                                   .quality = davy_reason_quality(reason),
                                   .reason = reason,
                                   .has_value = reason != DAVY_REASON_COMM,
                                   .value = value,
                                   .at = {{second * DAVY_NS_PER_S}, {second * DAVY_NS_PER_S}}};
    davy_telemetry_add(batcher, &reading);
}

static void flush_all(void)
{
    davy_telemetry_flush(batcher, (davy_mono){0}, true, collect, &sink);
}

static void writes_a_batch_of_one_device(void **state)
{
    add(POINT_H2S, 1.5, DAVY_REASON_NONE, 1);
    add(POINT_O2, 20.9, DAVY_REASON_NO_STATUS, 2);
    flush_all();
    assert_string_equal(sink.topics, "davy/v1/north-plant/edge-07/telemetry/GT-101;");
    assert_string_equal(sink.last,
                        "{\"schema\":\"davy.telemetry/1\",\"device\":\"GT-101\",\"zone\":\"A1\",\"replayed\":false,"
                        "\"readings\":[{\"point\":\"h2s\",\"time\":\"1970-01-01T00:00:01.000Z\",\"value\":1.5,"
                        "\"quality\":\"good\",\"reason\":null},{\"point\":\"o2\",\"time\":\"1970-01-01T00:00:02.000Z\","
                        "\"value\":20.9,\"quality\":\"uncertain\",\"reason\":\"no-status\"}]}");
    (void)state;
}

static void writes_one_message_for_each_device(void **state)
{
    add(POINT_RMS, 1, DAVY_REASON_NONE, 1);
    add(POINT_H2S, 1, DAVY_REASON_NONE, 1);
    add(POINT_RMS, 2, DAVY_REASON_NONE, 2);
    flush_all();
    assert_string_equal(sink.topics, "davy/v1/north-plant/edge-07/telemetry/VB-7;"
                                     "davy/v1/north-plant/edge-07/telemetry/GT-101;");
    assert_int_equal(sink.readings, 3);
    (void)state;
}

static void writes_full_names_in_a_batch_of_the_gateway(void **state)
{
    config->mqtt.telemetry_per_gateway = true;
    add(POINT_H2S, 1, DAVY_REASON_NONE, 1);
    add(POINT_RMS, 1, DAVY_REASON_NONE, 1);
    flush_all();
    assert_string_equal(sink.topics, "davy/v1/north-plant/edge-07/telemetry;");
    assert_non_null(strstr(sink.last, "\"device\":null,\"zone\":null,"));
    assert_non_null(strstr(sink.last, "\"GT-101.h2s\""));
    assert_non_null(strstr(sink.last, "\"VB-7.rms\""));
    (void)state;
}

static void reports_changes_from_the_deadband_on(void **state)
{
    add(POINT_H2S, 1.0, DAVY_REASON_NONE, 1);
    add(POINT_H2S, 1.25, DAVY_REASON_NONE, 2);   /* less than 0.5 */
    add(POINT_H2S, 1.4375, DAVY_REASON_NONE, 3); /* creeping: still measured from 1.0 */
    flush_all();
    assert_int_equal(sink.readings, 1);
    add(POINT_H2S, 1.5, DAVY_REASON_NONE, 4); /* exactly the deadband */
    flush_all();
    assert_int_equal(sink.readings, 2);
    (void)state;
}

static void a_deadband_of_zero_reports_every_change_but_no_repetition(void **state)
{
    add(POINT_O2, 20.9, DAVY_REASON_NONE, 1);
    add(POINT_O2, 20.9, DAVY_REASON_NONE, 2);
    add(POINT_O2, 20.8, DAVY_REASON_NONE, 3);
    flush_all();
    assert_int_equal(sink.readings, 2);
    (void)state;
}

static void always_reports_a_change_of_quality_or_reason(void **state)
{
    add(POINT_H2S, 1, DAVY_REASON_NONE, 1);
    add(POINT_H2S, 1, DAVY_REASON_SETTLING, 2);
    add(POINT_H2S, 1, DAVY_REASON_WARM_UP, 3);
    add(POINT_H2S, 0, DAVY_REASON_COMM, 4);
    add(POINT_H2S, 0, DAVY_REASON_COMM, 5);
    add(POINT_H2S, 1, DAVY_REASON_NONE, 6);
    flush_all();
    assert_int_equal(sink.readings, 5);
    assert_non_null(strstr(sink.last, "\"value\":null,\"quality\":\"bad\",\"reason\":\"comm\""));
    (void)state;
}

static void mode_all_repeats_and_mode_off_swallows(void **state)
{
    config->mqtt.telemetry = DAVY_TELEMETRY_ALL;
    add(POINT_H2S, 1, DAVY_REASON_NONE, 1);
    add(POINT_H2S, 1, DAVY_REASON_NONE, 2);
    flush_all();
    assert_int_equal(sink.readings, 2);
    config->mqtt.telemetry = DAVY_TELEMETRY_OFF;
    add(POINT_H2S, 9, DAVY_REASON_NONE, 3);
    assert_true(davy_telemetry_due(batcher).ns == DAVY_MONO_NEVER.ns);
    flush_all();
    assert_int_equal(sink.readings, 2);
    (void)state;
}

static void is_due_one_interval_after_the_first_reading(void **state)
{
    assert_true(davy_telemetry_due(batcher).ns == DAVY_MONO_NEVER.ns);
    add(POINT_H2S, 1, DAVY_REASON_NONE, 100);
    add(POINT_H2S, 2, DAVY_REASON_NONE, 105);
    assert_true(davy_telemetry_due(batcher).ns == 110 * DAVY_NS_PER_S);
    davy_telemetry_flush(batcher, (davy_mono){110 * DAVY_NS_PER_S - 1}, false, collect, &sink);
    assert_int_equal(sink.messages, 0);
    davy_telemetry_flush(batcher, (davy_mono){110 * DAVY_NS_PER_S}, false, collect, &sink);
    assert_int_equal(sink.messages, 1);
    assert_true(davy_telemetry_due(batcher).ns == DAVY_MONO_NEVER.ns);
    (void)state;
}

static void is_full_before_anything_is_left_out(void **state)
{
    config->mqtt.telemetry = DAVY_TELEMETRY_ALL;
    config->mqtt.telemetry_interval = davy_span_s(1);
    for (int i = 0; i < 3 * DAVY_TELEMETRY_BATCH; i++) {
        add(i % 2 ? POINT_H2S : POINT_RMS, i, DAVY_REASON_NONE, 1);
        if (davy_telemetry_full(batcher))
            flush_all();
    }
    assert_true(davy_telemetry_due(batcher).ns == DAVY_MONO_NEVER.ns);
    assert_int_equal(sink.readings, 3 * DAVY_TELEMETRY_BATCH);
    (void)state;
}

static void splits_before_64_kib_and_loses_nothing(void **state)
{
    config->mqtt.telemetry = DAVY_TELEMETRY_ALL;
    for (int i = 0; i < DAVY_TELEMETRY_ROOM; i++)
        add(POINT_H2S, 1.0 / (i + 3), DAVY_REASON_NONE, 1000);
    assert_true(davy_telemetry_due(batcher).ns == 1000 * DAVY_NS_PER_S); /* at once */
    add(POINT_H2S, 1, DAVY_REASON_NONE, 1001);                           /* one too many */
    flush_all();
    assert_int_equal(sink.readings, DAVY_TELEMETRY_ROOM);
    assert_true(sink.messages > 1);
    assert_true(sink.longest < DAVY_TELEMETRY_SIZE && sink.longest > DAVY_TELEMETRY_SIZE - 200);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(writes_a_batch_of_one_device, set_up, tear_down),
        cmocka_unit_test_setup_teardown(writes_one_message_for_each_device, set_up, tear_down),
        cmocka_unit_test_setup_teardown(writes_full_names_in_a_batch_of_the_gateway, set_up, tear_down),
        cmocka_unit_test_setup_teardown(reports_changes_from_the_deadband_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_deadband_of_zero_reports_every_change_but_no_repetition, set_up, tear_down),
        cmocka_unit_test_setup_teardown(always_reports_a_change_of_quality_or_reason, set_up, tear_down),
        cmocka_unit_test_setup_teardown(mode_all_repeats_and_mode_off_swallows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(is_due_one_interval_after_the_first_reading, set_up, tear_down),
        cmocka_unit_test_setup_teardown(is_full_before_anything_is_left_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(splits_before_64_kib_and_loses_nothing, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
