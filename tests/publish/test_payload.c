/* SPDX-License-Identifier: Apache-2.0 */
#include "publish/payload.h"

#include <math.h>

#include "publish/fixture.h"

static char text[16384];

static const struct davy_payload_context live = {.boot_id = "b-1",
                                                 .clock = "synchronized",
                                                 .seq = 1842,
                                                 .durable = true,
                                                 .has_latency = true,
                                                 .decided_ms = 0.2,
                                                 .stored_ms = 3.1};

static struct davy_event raised(void)
{
    struct davy_event event = {.subject = {DAVY_ALARM_RULE, 0, DAVY_NONE, 0, POINT_H2S},
                               .type = DAVY_EVENT_RAISED,
                               .count = 1,
                               .state = DAVY_STATE_UNACKNOWLEDGED,
                               .level = DAVY_LEVEL_RED,
                               .active = true,
                               .first_out = true,
                               .has_value = true,
                               .value = 15.2,
                               .has_limit = true,
                               .limit = 14.0,
                               .limit_index = 1};
    assert_int_equal(davy_uuid_parse("0192f3c1-7b1e-7c44-9d0a-3f6f1f0a2b11", &event.id), 0);
    assert_int_equal(davy_wall_parse("2026-11-23T08:01:02.345Z", &event.at.wall), 0);
    event.raised_at = event.at.wall;
    return event;
}

static void print_alarm(const struct davy_event *event, const struct davy_payload_context *context)
{
    struct davy_buf out;
    struct davy_config *config = new_plant();
    davy_buf_init(&out, text, DAVY_PAYLOAD_ALARM_SIZE);
    davy_payload_alarm(&out, config, event, context);
    assert_false(out.overflow);
    davy_config_unref(config);
}

static void writes_a_rules_alarm_with_every_key(void **state)
{
    struct davy_event event = raised();
    print_alarm(&event, &live);
    assert_string_equal(
        text,
        "{\"schema\":\"davy.alarm/1\",\"seq\":1842,\"id\":\"0192f3c1-7b1e-7c44-9d0a-3f6f1f0a2b11\",\"count\":1,"
        "\"event\":\"raised\",\"state\":\"unacknowledged\",\"previous_state\":\"normal\",\"level\":\"red\","
        "\"previous_level\":null,\"active\":true,\"acknowledged\":false,\"latched\":false,\"uncertain\":false,"
        "\"durable\":true,\"replayed\":false,\"time\":\"2026-11-23T08:01:02.345Z\","
        "\"raised_at\":\"2026-11-23T08:01:02.345Z\",\"boot_id\":\"b-1\",\"clock\":\"synchronized\","
        "\"site\":\"north-plant\",\"gateway\":\"edge-07\",\"zone\":\"A1\",\"zone_name\":\"罐区一\","
        "\"owner\":\"wang.fang\",\"device\":\"GT-101\",\"device_name\":\"Tank farm H2S\",\"point\":\"h2s\","
        "\"rule\":\"h2s\",\"kind\":\"gas\",\"quantity\":\"H2S\",\"measure\":\"value\",\"value\":15.2,\"limit\":14,"
        "\"condition\":\"above\",\"unit\":\"ppm\",\"quality\":\"good\",\"reason\":null,\"members\":null,"
        "\"step\":null,\"first_out\":true,\"by\":null,\"note\":null,"
        "\"message\":\"Tank farm H2S: H2S 15.2 ppm ≥ 14 ppm\",\"config\":\"sha256:00ff\","
        "\"latency_ms\":{\"decided\":0.2,\"stored\":3.1}}");
    (void)state;
}

static void writes_a_lines_fault_with_nulls(void **state)
{
    struct davy_event event = {.subject = {DAVY_ALARM_FAULT, DAVY_NONE, 0, DAVY_NONE, DAVY_NONE},
                               .type = DAVY_EVENT_RAISED,
                               .level = DAVY_LEVEL_ORANGE,
                               .condition = DAVY_CONDITION_FAULT,
                               .quality = DAVY_QUALITY_BAD,
                               .reason = DAVY_REASON_COMM,
                               .has_limit = true,
                               .limit = 3};
    const struct davy_payload_context preview = {.clock = "unsynchronized"};
    print_alarm(&event, &preview);
    static const char *const parts[] = {
        "\"seq\":null,\"id\":null,", "\"durable\":false", "\"raised_at\":null,\"boot_id\":null,",
        "\"zone\":null,\"zone_name\":null,\"owner\":null,\"device\":\"rs485-1\",\"device_name\":null,\"point\":null,"
        "\"rule\":\"fault\",\"kind\":null,\"quantity\":null,\"measure\":null,\"value\":null,\"limit\":null,"
        "\"condition\":\"fault\",\"unit\":null,\"quality\":\"bad\",\"reason\":\"comm\",",
        "\"latency_ms\":null}"};
    for (size_t i = 0; i < DAVY_LENGTH(parts); i++)
        assert_non_null(strstr(text, parts[i]));
    (void)state;
}

static void takes_the_owner_of_the_device_then_of_the_zone(void **state)
{
    struct davy_event event = raised();
    event.limit_index = 0;
    print_alarm(&event, &live);
    assert_non_null(strstr(text, "\"owner\":\"zhang.wei\""));
    event.subject = (struct davy_subject){DAVY_ALARM_FAULT, DAVY_NONE, 0, 1, DAVY_NONE};
    print_alarm(&event, &live);
    assert_non_null(strstr(text, "\"owner\":\"li\",\"device\":\"VB-7\",\"device_name\":\"Pump \\\"7\\\"\","));
    (void)state;
}

static void escapes_notes_and_replaces_what_is_not_utf8(void **state)
{
    struct davy_event event = raised();
    strcpy(event.by, "local:root");
    strcpy(event.note, "line\n\"quoted\" \\ \x01 \xff 泵");
    print_alarm(&event, &live);
    assert_non_null(
        strstr(text, "\"by\":\"local:root\",\"note\":\"line\\n\\\"quoted\\\" \\\\ \\u0001 \xef\xbf\xbd 泵\""));
    (void)state;
}

static void writes_numbers_shortest_and_never_nan(void **state)
{
    static const struct {
        double value;
        const char *json;
    } vectors[] = {{0.1, "\"value\":0.1,"},
                   {1e22, "\"value\":1e+22,"},
                   {-0.30000000000000004, "\"value\":-0.30000000000000004,"},
                   {NAN, "\"value\":null,"},
                   {14, "\"value\":14,"}};
    struct davy_event event = raised();
    for (size_t i = 0; i < DAVY_LENGTH(vectors); i++) {
        event.value = vectors[i].value;
        print_alarm(&event, &live);
        assert_non_null(strstr(text, vectors[i].json));
    }
    (void)state;
}

static void the_longest_alarm_fits(void **state)
{
    struct davy_event event = raised();
    memset(event.note, '\x01', sizeof event.note - 1);
    memset(event.by, '\x01', sizeof event.by - 1);
    print_alarm(&event, &live);
    (void)state;
}

static struct davy_event voted(void)
{
    struct davy_event event = raised();
    event.subject = (struct davy_subject){DAVY_ALARM_RULE, 1, DAVY_NONE, DAVY_NONE, DAVY_NONE};
    event.condition = DAVY_CONDITION_VOTE;
    event.value = 2;
    event.limit = 2;
    event.limit_index = 0;
    event.members = davy_members_new(2);
    event.members->list[0] = (struct davy_member){
        .point = POINT_H2S, .vote = true, .has_value = true, .value = 15.2, .quality = DAVY_QUALITY_UNCERTAIN};
    event.members->list[1] = (struct davy_member){.point = POINT_O2, .quality = DAVY_QUALITY_BAD};
    return event;
}

static void lists_every_member_of_a_vote(void **state)
{
    static const char *const parts[] = {
        "\"zone\":\"A1\",", "\"owner\":\"zhang.wei\",\"device\":null,\"device_name\":null,\"point\":null,",
        "\"rule\":\"any-two\",\"kind\":\"gas\",\"quantity\":null,\"measure\":\"value\",\"value\":2,\"limit\":2,"
        "\"condition\":\"vote\",\"unit\":null,",
        "\"members\":[{\"point\":\"GT-101.h2s\",\"value\":15.2,\"vote\":true,\"quality\":\"uncertain\"},"
        "{\"point\":\"GT-101.o2\",\"value\":null,\"vote\":false,\"quality\":\"bad\"}],\"step\":null,",
        "\"message\":\"any-two, 罐区一 (A1): 2 of 2 vote, 2 needed\","};
    struct davy_event event = voted();
    print_alarm(&event, &live);
    for (size_t i = 0; i < DAVY_LENGTH(parts); i++)
        assert_non_null(strstr(text, parts[i]));
    event.subject.kind = DAVY_ALARM_VOTE_FAULT;
    event.condition = DAVY_CONDITION_FAULT;
    print_alarm(&event, &live);
    assert_non_null(strstr(text, "\"rule\":\"any-two.fault\",\"kind\":\"gas\",\"quantity\":null,\"measure\":null,"));
    davy_members_unref(event.members);
    (void)state;
}

static void an_overdue_alarm_belongs_to_the_owner_of_its_step(void **state)
{
    struct davy_event event = voted();
    event.type = DAVY_EVENT_OVERDUE;
    event.step = 1;
    print_alarm(&event, &live);
    assert_non_null(strstr(text, "\"owner\":\"shift-leader\""));
    assert_non_null(strstr(text, "\"step\":1,"));
    event.step = 2; /* names nobody */
    print_alarm(&event, &live);
    assert_non_null(strstr(text, "\"owner\":\"zhang.wei\""));
    davy_members_unref(event.members);
    (void)state;
}

static void a_payload_has_room_for_all_members(void **state)
{
    char name[DAVY_ID_MAX + 1] = "";
    memset(name, 'x', DAVY_ID_MAX);
    struct davy_event event = voted();
    davy_members_unref(event.members);
    event.members = davy_members_new(1000);
    for (size_t i = 0; i < 1000; i++)
        event.members->list[i] = (struct davy_member){
            .has_value = true, .value = -2.2250738585072014e-308, .quality = DAVY_QUALITY_UNCERTAIN};
    struct davy_config *config = new_plant();
    config->devices[0].id = name;
    config->points[0].name = name;
    size_t size = davy_payload_alarm_size(&event);
    char *room = malloc(size);
    struct davy_buf out;
    davy_buf_init(&out, room, size);
    davy_payload_alarm(&out, config, &event, &live);
    assert_false(out.overflow);
    assert_true(out.length > 1000 * 200);
    free(room);
    davy_members_unref(event.members);
    davy_config_unref(config);
    (void)state;
}

static void writes_the_status(void **state)
{
    struct davy_buf out;
    struct davy_config *config = new_plant();
    const struct davy_status_bus buses[] = {{"rs485-1", "up", 0.25, 10, 1, 4, 0.5}, {"tcp-1", "down", 0, 0, 3, 0, -1}};
    struct davy_status_report report = {.online = true,
                                        .since = {1},
                                        .boot_id = "b-1",
                                        .last_seq = 7,
                                        .outbox_events = 1,
                                        .outbox_unconfirmed = 1,
                                        .outbox_oldest = {INT64_C(1500) * DAVY_NS_PER_MS},
                                        .outbox_telemetry = 2,
                                        .alarms = {9, 1, 2, 3, 4},
                                        .unacknowledged = 5,
                                        .shelved = 6,
                                        .out_of_service = 7,
                                        .points = {8, 9, 10},
                                        .buses = buses,
                                        .bus_count = 2,
                                        .storage_bytes = 11,
                                        .storage_free_bytes = 12,
                                        .storage_ok = true,
                                        .clock = "synchronized"};
    davy_buf_init(&out, text, sizeof text);
    davy_payload_status(&out, config, &report);
    assert_string_equal(
        text, "{\"schema\":\"davy.status/1\",\"state\":\"online\",\"since\":\"1970-01-01T00:00:00.000Z\","
              "\"version\":\"0.1.0\",\"boot_id\":\"b-1\",\"config\":\"sha256:00ff\",\"last_seq\":7,"
              "\"outbox\":{\"events\":1,\"telemetry\":2,\"unconfirmed\":1,"
              "\"oldest\":\"1970-01-01T00:00:01.500Z\"},\"confirmed_seq\":null,"
              "\"alarms\":{\"blue\":1,\"yellow\":2,\"orange\":3,\"red\":4,\"unacknowledged\":5,\"shelved\":6,"
              "\"out_of_service\":7},\"points\":{\"good\":8,\"uncertain\":9,\"bad\":10},"
              "\"buses\":[{\"name\":\"rs485-1\",\"state\":\"up\",\"utilization\":0.25,\"requests\":10,\"errors\":1,"
              "\"skipped\":4,"
              "\"age_s\":0.5},{\"name\":\"tcp-1\",\"state\":\"down\",\"utilization\":0,\"requests\":0,\"errors\":3,"
              "\"skipped\":0,"
              "\"age_s\":null}],\"storage\":{\"bytes\":11,\"free_bytes\":12,\"ok\":true},\"clock\":\"synchronized\"}");
    davy_config_unref(config);
    (void)state;
}

static void writes_the_will_with_all_keys(void **state)
{
    struct davy_buf out;
    struct davy_config *config = new_plant();
    davy_buf_init(&out, text, sizeof text);
    davy_payload_will(&out, config, "b-1", (davy_wall){1});
    assert_string_equal(text, "{\"schema\":\"davy.status/1\",\"state\":\"offline\","
                              "\"since\":\"1970-01-01T00:00:00.000Z\",\"version\":\"0.1.0\",\"boot_id\":\"b-1\","
                              "\"config\":\"sha256:00ff\",\"last_seq\":null,\"outbox\":null,"
                              "\"confirmed_seq\":null,\"alarms\":null,\"points\":null,\"buses\":null,"
                              "\"storage\":null,\"clock\":null}");
    davy_config_unref(config);
    (void)state;
}

static void a_faults_point_names_its_unit_but_no_limit(void **state)
{
    struct davy_event event = raised();
    event.subject = (struct davy_subject){DAVY_ALARM_FAULT, DAVY_NONE, 0, 0, POINT_H2S};
    event.condition = DAVY_CONDITION_FAULT;
    print_alarm(&event, &live);
    assert_non_null(strstr(text, "\"kind\":\"gas\",\"quantity\":\"H2S\",\"measure\":null,"));
    assert_non_null(strstr(text, "\"limit\":null,\"condition\":\"fault\",\"unit\":\"ppm\",\"quality\":\"good\""));
    (void)state;
}

static void without_an_occurrence_there_is_no_condition(void **state)
{
    struct davy_event event = raised();
    event.type = DAVY_EVENT_SHELVED;
    event.has_limit = false;
    print_alarm(&event, &live);
    assert_non_null(strstr(text, "\"limit\":null,\"condition\":null,"));
    (void)state;
}

static void writes_zone_config_and_snapshot(void **state)
{
    struct davy_buf out;
    struct davy_config *config = new_plant();
    const char *const causes[] = {"id-1", "id-2"}, *const errors[] = {"a.conf:3: x"};
    const struct davy_payload_change changes[] = {{"mqtt.keepalive", "\"15s\"", NULL}};
    davy_buf_init(&out, text, sizeof text);
    davy_payload_zone(&out, config, 0, DAVY_LEVEL_RED, DAVY_LEVEL_NONE, (davy_wall){0}, causes, 2);
    assert_string_equal(text, "{\"schema\":\"davy.zone/1\",\"zone\":\"A1\",\"name\":\"罐区一\",\"colour\":\"red\","
                              "\"previous_colour\":null,\"risk\":\"orange\",\"owner\":\"zhang.wei\",\"since\":null,"
                              "\"cause\":[\"id-1\",\"id-2\"]}");
    davy_buf_init(&out, text, sizeof text);
    davy_payload_config(&out, "sha256:1", (davy_wall){0}, false, errors, 1, changes, 1);
    assert_string_equal(text, "{\"schema\":\"davy.config/1\",\"hash\":\"sha256:1\",\"loaded_at\":null,"
                              "\"accepted\":false,\"errors\":[\"a.conf:3: x\"],"
                              "\"changes\":[{\"path\":\"mqtt.keepalive\",\"old\":\"\\\"15s\\\"\",\"new\":null}]}");
    davy_buf_init(&out, text, sizeof text);
    davy_payload_snapshot_head(&out, 9, 1, 2);
    davy_json_raw(&out, NULL, "{}");
    davy_json_raw(&out, NULL, "{}");
    davy_payload_snapshot_tail(&out);
    assert_string_equal(text, "{\"schema\":\"davy.snapshot/1\",\"last_seq\":9,\"part\":1,\"parts\":2,"
                              "\"alarms\":[{},{}]}");
    davy_config_unref(config);
    (void)state;
}

static void marks_replayed_in_place_and_nothing_else(void **state)
{
    char once[] = "{\"note\":\"\\\"replayed\\\":false\",\"replayed\":false,\"x\":1}";
    size_t before = strlen(once);
    assert_int_equal(davy_payload_mark_replayed(once), before - 1);
    assert_string_equal(once, "{\"note\":\"\\\"replayed\\\":false\",\"replayed\":true,\"x\":1}");
    char again[] = "{\"replayed\":true}", none[] = "";
    assert_int_equal(davy_payload_mark_replayed(again), 17);
    assert_string_equal(again, "{\"replayed\":true}");
    assert_int_equal(davy_payload_mark_replayed(none), 0);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_a_rules_alarm_with_every_key),
        cmocka_unit_test(writes_a_lines_fault_with_nulls),
        cmocka_unit_test(takes_the_owner_of_the_device_then_of_the_zone),
        cmocka_unit_test(escapes_notes_and_replaces_what_is_not_utf8),
        cmocka_unit_test(writes_numbers_shortest_and_never_nan),
        cmocka_unit_test(the_longest_alarm_fits),
        cmocka_unit_test(lists_every_member_of_a_vote),
        cmocka_unit_test(an_overdue_alarm_belongs_to_the_owner_of_its_step),
        cmocka_unit_test(a_payload_has_room_for_all_members),
        cmocka_unit_test(writes_the_status),
        cmocka_unit_test(writes_the_will_with_all_keys),
        cmocka_unit_test(a_faults_point_names_its_unit_but_no_limit),
        cmocka_unit_test(without_an_occurrence_there_is_no_condition),
        cmocka_unit_test(writes_zone_config_and_snapshot),
        cmocka_unit_test(marks_replayed_in_place_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
