/* SPDX-License-Identifier: Apache-2.0 */
#include "publish/command.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>

#include "publish/fixture.h"

#define ID "0192f3c1-7b1e-7c44-9d0a-3f6f1f0a2b11"
#define HEAD                                                                                                           \
    "\"schema\":\"davy.command/1\",\"nonce\":\"n-1\",\"issued_at\":\"2026-11-23T08:01:02.345Z\",\"by\":\"zhao\""
#define ACK "{" HEAD ",\"id\":\"" ID "\",\"level\":\"orange\",\"note\":\"seen\"}"

static struct davy_remote remote;

static int parse(enum davy_remote_verb verb, const char *payload)
{
    remote = (struct davy_remote){.verb = verb};
    snprintf(remote.name, sizeof remote.name, "%s", verb < DAVY_REMOTE_COUNT_ ? davy_remote_verb_name(verb) : "reset");
    return davy_remote_parse(payload, strlen(payload), &remote);
}

static void expect_refused(enum davy_remote_verb verb, const char *payload, const char *why)
{
    assert_int_equal(parse(verb, payload), -EINVAL);
    if (!strstr(remote.refusal, why))
        fail_msg("%s: refused with '%s', not '%s'", payload, remote.refusal, why);
}

static void an_ack_names_occurrence_level_and_person(void **state)
{
    char id[DAVY_UUID_TEXT], time[DAVY_WALL_TEXT];
    (void)state;
    assert_int_equal(parse(DAVY_REMOTE_ACK, ACK), 0);
    assert_string_equal(remote.nonce, "n-1");
    assert_string_equal(remote.by, "mqtt:zhao");
    assert_string_equal(remote.note, "seen");
    assert_int_equal(remote.level, DAVY_LEVEL_ORANGE);
    assert_string_equal(davy_uuid_format(&remote.id, id), ID);
    assert_true(remote.has_issued_at);
    assert_string_equal(davy_wall_format(remote.issued_at, time), "2026-11-23T08:01:02.345Z");
    assert_int_equal(parse(DAVY_REMOTE_ACK, "{" HEAD ",\"id\":\"" ID "\",\"level\":\"red\"}"), 0); /* no note */
}

static void the_others_need_neither_nonce_nor_time(void **state)
{
    (void)state;
    assert_int_equal(parse(DAVY_REMOTE_SNAPSHOT, "{\"schema\":\"davy.command/1\"}"), 0);
    assert_string_equal(remote.nonce, "");
    assert_string_equal(remote.by, "mqtt:?");
    assert_int_equal(parse(DAVY_REMOTE_CONFIRM, "{\"schema\":\"davy.command/1\",\"nonce\":null,\"seq\":7}"), 0);
    assert_int_equal(remote.seq, 7);
    assert_int_equal(parse(DAVY_REMOTE_RESEND, "{" HEAD ",\"from\":3,\"to\":10002}"), 0);
    assert_int_equal(remote.from, 3);
    assert_int_equal(remote.to, 10002);
}

static void what_is_wrong_is_refused_with_its_name(void **state)
{
    (void)state;
    expect_refused(DAVY_REMOTE_ACK, "{" HEAD ",\"id\":\"" ID "\"}", "level: missing");
    expect_refused(DAVY_REMOTE_ACK, "{" HEAD ",\"level\":\"red\"}", "id: missing");
    expect_refused(DAVY_REMOTE_ACK, "{" HEAD ",\"id\":\"" ID "\",\"level\":\"none\"}", "level: not valid");
    expect_refused(DAVY_REMOTE_ACK, "{" HEAD ",\"id\":\"" ID "\",\"level\":\"\"}", "level: not valid");
    expect_refused(DAVY_REMOTE_ACK, "{" HEAD ",\"id\":\"00000000-0000-0000-0000-000000000000\",\"level\":\"red\"}",
                   "id: not valid");
    expect_refused(DAVY_REMOTE_ACK, "{" HEAD ",\"id\":\"gas:*\",\"level\":\"red\"}", "id: not valid");
    expect_refused(DAVY_REMOTE_ACK, "{" HEAD ",\"id\":7,\"level\":\"red\"}", "id: not valid");
    expect_refused(DAVY_REMOTE_ACK, "{" HEAD ",\"id\":\"" ID "\",\"level\":\"red\",\"limit\":1}", "a member that ack");
    expect_refused(DAVY_REMOTE_SNAPSHOT, "{}", "schema: missing");
    expect_refused(DAVY_REMOTE_SNAPSHOT, "{\"schema\":\"davy.command/2\"}", "schema: not valid");
    expect_refused(DAVY_REMOTE_SNAPSHOT, "{\"schema\":\"davy.command/1\",\"issued_at\":\"1764000000\"}", "issued_at");
    expect_refused(DAVY_REMOTE_CONFIRM, "{" HEAD ",\"seq\":0}", "seq: not valid");
    expect_refused(DAVY_REMOTE_CONFIRM, "{" HEAD ",\"seq\":1.5}", "seq: not valid");
    expect_refused(DAVY_REMOTE_CONFIRM, "{" HEAD ",\"seq\":9223372036854775808}", "seq: not valid");
    expect_refused(DAVY_REMOTE_CONFIRM, "{" HEAD ",\"seq\":99999999999999999999}", "seq: not valid");
    assert_string_equal(remote.nonce, "n-1");
    assert_string_equal(remote.by, "mqtt:zhao");
    expect_refused(DAVY_REMOTE_RESEND, "{" HEAD ",\"from\":1,\"to\":18446744073709551616}", "not valid");
    expect_refused(DAVY_REMOTE_CONFIRM, "{" HEAD ",\"seq\":1e400}", "not one flat"); /* beyond a double */
    expect_refused(DAVY_REMOTE_RESEND, "{" HEAD ",\"from\":2,\"to\":1}", "below from");
    expect_refused(DAVY_REMOTE_RESEND, "{" HEAD ",\"from\":1,\"to\":10001}", "more than 10000");
    expect_refused(DAVY_REMOTE_RESEND, "{" HEAD ",\"from\":1,\"to\":9223372036854775807}", "more than 10000");
    expect_refused(DAVY_REMOTE_RESEND, "{" HEAD ",\"from\":-9223372036854775808,\"to\":9223372036854775807}", "from:");
}

static void what_is_no_flat_object_is_refused(void **state)
{
    static const char *const payloads[] = {"",
                                           "7",
                                           "null",
                                           "[]",
                                           "{",
                                           "{\"nonce\":{}}",
                                           "{\"a\":[1]}",
                                           "{\"a\":1,\"a\":1}",
                                           "{\"nonce\":\"\xff\"}",
                                           "{\"nonce\":\"\\u0000\"}"};
    (void)state;
    for (size_t i = 0; i < DAVY_LENGTH(payloads); i++)
        expect_refused(DAVY_REMOTE_SNAPSHOT, payloads[i], "not one flat JSON object");
    remote = (struct davy_remote){.verb = DAVY_REMOTE_SNAPSHOT};
    assert_int_equal(davy_remote_parse(NULL, 20000, &remote), -EINVAL);
    assert_string_equal(remote.refusal, "longer than 16384 bytes");
}

static void the_nonce_is_read_also_where_the_rest_is_wrong(void **state)
{
    (void)state;
    expect_refused(DAVY_REMOTE_ACK, "{\"x\":1,\"nonce\":\"n-9\",\"by\":\"li\"}", "a member");
    assert_string_equal(remote.nonce, "n-9");
    assert_string_equal(remote.by, "mqtt:li");
    assert_int_equal(parse(DAVY_REMOTE_COUNT_, "{\"nonce\":\"n-9\",\"whatever\":1}"), 0);
    assert_string_equal(remote.nonce, "n-9");
}

/* A snapshot whose member `key` is `count` times `text`. */
static int parse_long(const char *key, const char *text, size_t count)
{
    static char payload[8192];
    size_t length = (size_t)sprintf(payload, "{\"schema\":\"davy.command/1\",\"%s\":\"", key);
    for (size_t i = 0; i < count; i++)
        length += (size_t)sprintf(payload + length, "%s", text);
    strcpy(payload + length, "\"}");
    return parse(DAVY_REMOTE_SNAPSHOT, payload);
}

static void nonces_are_bounded_in_characters(void **state)
{
    (void)state;
    assert_int_equal(parse_long("nonce", "x", 128), 0);
    assert_int_equal(parse_long("nonce", "x", 129), -EINVAL);
    assert_int_equal(parse_long("nonce", "\xf0\x9f\x94\xa5", 128), 0);
    assert_int_equal(strlen(remote.nonce), 512);
    assert_int_equal(parse_long("nonce", "\xf0\x9f\x94\xa5", 129), -EINVAL);
    assert_int_equal(parse_long("nonce", "x", 0), -EINVAL);
}

static void names_are_cut_at_a_character_and_printable(void **state)
{
    (void)state;
    assert_int_equal(parse_long("by", "\xe7\xbd\x90", 200), 0);
    assert_int_equal(strlen(remote.by), 5 + 30 * 3);
    assert_int_equal(parse_long("by", "a\\n\\u009bb", 1), 0);
    assert_string_equal(remote.by, "mqtt:a??b");
    assert_int_equal(parse_long("by", "", 1), -EINVAL);
}

static struct davy_config *config;

static int set_up(void **state)
{
    (void)state;
    config = new_plant();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    davy_config_unref(config);
    return 0;
}

static void the_verb_is_the_last_level_of_the_topic(void **state)
{
    (void)state;
    assert_true(davy_remote_name(config, "davy/v1/north-plant/edge-07/cmd/ack", &remote));
    assert_int_equal(remote.verb, DAVY_REMOTE_ACK);
    assert_true(davy_remote_name(config, "davy/v1/north-plant/edge-07/cmd/reset", &remote));
    assert_int_equal(remote.verb, DAVY_REMOTE_COUNT_);
    assert_string_equal(remote.name, "reset");
    assert_true(davy_remote_name(config, "davy/v1/north-plant/edge-07/cmd/", &remote));
    assert_string_equal(remote.name, "?");
    assert_true(davy_remote_name(config, "davy/v1/north-plant/edge-07/cmd/a\x01 \xe7 678901234567890123456789012345678",
                                 &remote));
    assert_string_equal(remote.name, "a????678901234567890123456789012");
    assert_false(davy_remote_name(config, "davy/v1/north-plant/edge-08/cmd/ack", &remote));
    assert_false(davy_remote_name(config, "davy/v1/north-plant/edge-07/cmd/ack/x", &remote));
    assert_false(davy_remote_name(config, "davy/v1/north-plant/edge-07/cmd", &remote));
}

static int address(const char *topic)
{
    char copy[1024];
    snprintf(copy, sizeof copy, "%s", topic);
    struct davy_mqtt_command command = {.response_topic = copy};
    remote = (struct davy_remote){.verb = DAVY_REMOTE_SNAPSHOT};
    return davy_remote_address(config, &command, &remote);
}

static void an_answer_goes_where_it_was_asked_for(void **state)
{
    static const char *const good[] = {"a",
                                       "platform/answers/7",
                                       "davy/v1/north-plant/edge-07/reply",
                                       "davy/v1/north-plant/edge-07/reply/desk-3",
                                       "davy/v1/platform",
                                       "davy/v1/platform/x",
                                       "davy/v1/a/b/reply",
                                       "davy/v10/a/b/status",
                                       "davy"};
    const struct davy_mqtt_command plain = {.topic = NULL};
    (void)state;
    for (size_t i = 0; i < DAVY_LENGTH(good); i++) {
        assert_int_equal(address(good[i]), 0);
        assert_string_equal(remote.reply_topic, good[i]);
    }
    remote = (struct davy_remote){.verb = DAVY_REMOTE_SNAPSHOT};
    assert_int_equal(davy_remote_address(config, &plain, &remote), 0);
    assert_string_equal(remote.reply_topic, "davy/v1/north-plant/edge-07/reply");
}

static void a_response_topic_cannot_reach_a_state_or_a_command(void **state)
{
    static const char *const bad[] = {"",
                                      "+",
                                      "a/#",
                                      "$SYS/x",
                                      "a\nb",
                                      "a\x7f",
                                      "davy/v1/north-plant/edge-07",
                                      "davy/v1/north-plant/edge-07/",
                                      "davy/v1/north-plant/edge-07/status",
                                      "davy/v1/north-plant/edge-07/alarm/A1/GT/h2s/h2s",
                                      "davy/v1/north-plant/edge-07/cmd/ack",
                                      "davy/v1/north-plant/edge-07/replyx",
                                      "davy/v1/other/edge-1/cmd/ack",
                                      "davy/v1/other/edge-1/"};
    char topic[600];
    (void)state;
    for (size_t i = 0; i < DAVY_LENGTH(bad); i++) {
        if (address(bad[i]) == 0)
            fail_msg("'%s' is taken as a response topic", bad[i]);
        assert_string_equal(remote.reply_topic, "davy/v1/north-plant/edge-07/reply");
    }
    memset(topic, 't', sizeof topic);
    topic[513] = '\0';
    assert_int_equal(address(topic), -EINVAL);
    topic[512] = '\0';
    assert_int_equal(address(topic), 0);
}

static void correlation_data_is_bounded_and_given_back(void **state)
{
    unsigned char data[2000] = {1, 0, 2};
    struct davy_mqtt_command command = {.correlation = data, .correlation_length = 3};
    struct davy_message message;
    (void)state;
    remote = (struct davy_remote){.name = "ack", .nonce = "a\"b"};
    assert_int_equal(davy_remote_address(config, &command, &remote), 0);
    assert_int_equal(davy_remote_reply(&remote, NULL, &message), 0);
    assert_int_equal(message.correlation_length, 3);
    assert_memory_equal(message.correlation, data, 3);
    assert_string_equal(
        message.payload,
        "{\"schema\":\"davy.reply/1\",\"nonce\":\"a\\\"b\",\"verb\":\"ack\",\"ok\":true,\"reason\":null}");
    assert_string_equal(message.topic, "davy/v1/north-plant/edge-07/reply");
    assert_false(message.retain);
    davy_message_done(&message);
    command.correlation_length = 1025;
    command.correlation = NULL; /* the client does not copy it then */
    remote = (struct davy_remote){.name = "ack"};
    assert_int_equal(davy_remote_address(config, &command, &remote), -EINVAL);
    assert_int_equal(remote.correlation_length, 0);
}

static void the_longest_answer_is_whole(void **state)
{
    struct davy_message message;
    (void)state;
    remote = (struct davy_remote){.name = "ack", .reply_topic = "r"};
    memset(remote.nonce, 1, DAVY_REMOTE_NONCE_MAX);
    memset(remote.name, '"', sizeof remote.name - 1);
    memset(remote.refusal, 2, sizeof remote.refusal - 1);
    assert_int_equal(davy_remote_reply(&remote, remote.refusal, &message), 0);
    json_t *root = json_loads(message.payload, JSON_REJECT_DUPLICATES, NULL);
    assert_int_equal(json_object_size(root), 5);
    json_decref(root);
    davy_message_done(&message);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_ack_names_occurrence_level_and_person),
        cmocka_unit_test(the_others_need_neither_nonce_nor_time),
        cmocka_unit_test(what_is_wrong_is_refused_with_its_name),
        cmocka_unit_test(what_is_no_flat_object_is_refused),
        cmocka_unit_test(the_nonce_is_read_also_where_the_rest_is_wrong),
        cmocka_unit_test(nonces_are_bounded_in_characters),
        cmocka_unit_test(names_are_cut_at_a_character_and_printable),
        cmocka_unit_test_setup_teardown(the_verb_is_the_last_level_of_the_topic, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_answer_goes_where_it_was_asked_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_response_topic_cannot_reach_a_state_or_a_command, set_up, tear_down),
        cmocka_unit_test_setup_teardown(correlation_data_is_bounded_and_given_back, set_up, tear_down),
        cmocka_unit_test(the_longest_answer_is_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
