/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of commands, with a clock that the test moves. */
#include "publish/incoming.h"

#include <stdio.h>

#include "publish/fixture.h"

#define COMMANDS "davy/v1/north-plant/edge-07/cmd/"

static struct davy_config *config;
static struct davy_incoming in;
static struct davy_stamp now;

static int set_up(void **state)
{
    (void)state;
    now = (struct davy_stamp){{1000 * DAVY_NS_PER_S}, {1763884862 * DAVY_NS_PER_S}};
    config = new_plant();
    config->mqtt.commands = DAVY_MQTT_COMMAND_ACK | DAVY_MQTT_COMMAND_SNAPSHOT;
    assert_int_equal(davy_incoming_init(&in, now.mono), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    davy_incoming_done(&in);
    davy_incoming_done(&in); /* repeatable */
    davy_config_unref(config);
    return 0;
}

static void pass(double s)
{
    now.mono.ns += (int64_t)(s * 1e9);
    now.wall.ns += (int64_t)(s * 1e9);
}

static struct davy_remote *judge(const char *verb, const char *payload, bool retained)
{
    char topic[128], copy[1024];
    snprintf(topic, sizeof topic, COMMANDS "%s", verb);
    snprintf(copy, sizeof copy, "%s", payload);
    struct davy_mqtt_command command = {
        .topic = topic, .payload = copy, .length = strlen(payload), .retained = retained};
    return davy_incoming_judge(&in, config, &command, now);
}

/* An ack that was issued `offset_s` from now; taken when nothing is against it. returns the refusal, in place */
static const char *ack(const char *nonce, double offset_s)
{
    static char refusal[256];
    char time[DAVY_WALL_TEXT], payload[512];
    davy_wall_format((davy_wall){now.wall.ns + (int64_t)(offset_s * 1e9)}, time);
    snprintf(payload, sizeof payload,
             "{\"schema\":\"davy.command/1\",\"nonce\":\"%s\",\"issued_at\":\"%s\",\"by\":\"zhao\","
             "\"id\":\"0192f3c1-7b1e-7c44-9d0a-3f6f1f0a2b11\",\"level\":\"red\",\"note\":null}",
             nonce, time);
    struct davy_remote *remote = judge("ack", payload, false);
    assert_non_null(remote);
    davy_incoming_accepted(&in, remote);
    snprintf(refusal, sizeof refusal, "%s", remote->refusal);
    free(remote);
    return refusal;
}

static void expect(const char *verb, const char *payload, const char *why)
{
    struct davy_remote *remote = judge(verb, payload, false);
    assert_non_null(remote);
    if (why ? !strstr(remote->refusal, why) : remote->refusal[0] != '\0')
        fail_msg("%s: '%s', not '%s'", verb, remote->refusal, why ? why : "");
    free(remote);
}

static void only_allowed_verbs_pass(void **state)
{
    (void)state;
    expect("snapshot", "{\"schema\":\"davy.command/1\"}", NULL);
    expect("confirm", "{\"schema\":\"davy.command/1\",\"seq\":1}", "not allowed");
    expect("resend", "{\"schema\":\"davy.command/1\",\"from\":1,\"to\":1}", "not allowed");
    static const char *const never[] = {"reset", "shelve", "silence", "reload", "inhibit", "out-of-service", "limit"};
    config->mqtt.commands = ~0U;
    for (size_t i = 0; i < DAVY_LENGTH(never); i++)
        expect(never[i], "{\"schema\":\"davy.command/1\",\"nonce\":\"n\"}", "not a verb");
}

static void an_ack_is_taken_within_a_minute_only(void **state)
{
    (void)state;
    pass(3600);
    assert_string_equal(ack("a", -59.9), "");
    assert_string_equal(ack("b", 59.9), "");
    assert_non_null(strstr(ack("c", -60.1), "behind the gateway's clock"));
    assert_non_null(strstr(ack("d", 60.1), "ahead of the gateway's clock"));
    assert_non_null(strstr(ack("e", -1e9), "behind"));
}

static void a_nonce_is_used_once(void **state)
{
    (void)state;
    pass(3600);
    assert_string_equal(ack("a", 0), "");
    assert_non_null(strstr(ack("a", 0), "used before"));
    pass(30);
    assert_non_null(strstr(ack("a", 0), "used before"));
    assert_string_equal(ack("A", 0), "");
    pass(3600);
    assert_non_null(strstr(ack("a", 0), "used before")); /* there is room to remember it for longer */
}

static void one_that_was_refused_has_not_used_its_nonce(void **state)
{
    (void)state;
    pass(3600);
    assert_non_null(strstr(ack("a", -100), "behind"));
    assert_string_equal(ack("a", 0), "");
}

static void what_was_issued_before_the_start_is_refused(void **state)
{
    (void)state;
    pass(10);
    assert_non_null(strstr(ack("a", -11), "before the gateway started"));
    assert_string_equal(ack("a", -9), "");
    now.wall.ns -= 7200 * DAVY_NS_PER_S; /* a step of the clock changes nothing of how long we run */
    assert_string_equal(ack("b", -9), "");
    assert_non_null(strstr(ack("c", -11), "before the gateway started"));
}

static void what_may_have_been_taken_before_the_start_is_refused(void **state)
{
    (void)state;
    pass(10);
    in.issued_until = (davy_wall){now.wall.ns + 30 * DAVY_NS_PER_S}; /* its clock was ahead */
    assert_non_null(strstr(ack("a", 30), "before the gateway started"));
    assert_non_null(strstr(ack("b", 0), "before the gateway started"));
    assert_string_equal(ack("c", 31), "");
    pass(31);
    assert_string_equal(ack("d", 0), "");
    in.issued_until =
        (davy_wall){now.wall.ns + 3600 * DAVY_NS_PER_S}; /* our clock was set back since: none can come again */
    assert_string_equal(ack("e", 0), "");
}

static void more_nonces_than_can_be_remembered_are_refused_not_forgotten(void **state)
{
    char nonce[16];
    (void)state;
    pass(3600);
    for (int i = 0; i < DAVY_INCOMING_NONCES; i++) {
        in.commands.left = 10;
        snprintf(nonce, sizeof nonce, "n-%d", i);
        assert_string_equal(ack(nonce, 0), "");
    }
    in.commands.left = 10;
    assert_non_null(strstr(ack("one-more", 0), "busy"));
    pass(61);
    assert_string_equal(ack("one-more", 0), "");
    assert_non_null(strstr(ack("n-1", 0), "used before"));
}

static void what_is_retained_is_ignored(void **state)
{
    (void)state;
    assert_null(judge("snapshot", "{\"schema\":\"davy.command/1\",\"nonce\":\"n\"}", true));
}

static void what_cannot_be_read_is_refused_and_audited_too(void **state)
{
    static const char *const payloads[] = {"", "{", "[]", "{\"nonce\":7}", "{\"nonce\":\"n\",\"nonce\":\"n\"}", "\xff"};
    (void)state;
    for (size_t i = 0; i < DAVY_LENGTH(payloads); i++) {
        struct davy_remote *remote = judge("ack", payloads[i], false);
        assert_non_null(remote);
        assert_string_not_equal(remote->refusal, "");
        assert_string_equal(remote->nonce, "");
        assert_string_equal(remote->reply_topic, "davy/v1/north-plant/edge-07/reply");
        assert_true(remote->audit);
        free(remote);
    }
    expect("snapshot", "{\"schema\":\"x\"}", "schema: not valid");
    expect("snapshot", "{\"schema\":\"x\",\"nonce\":\"n\"}", "schema: not valid");
}

static void what_cannot_be_read_is_answered_where_it_was_asked_for(void **state)
{
    char topic[] = COMMANDS "snapshot", response[] = "r";
    struct davy_mqtt_command command = {.topic = topic, .length = 256 * 1024, .response_topic = response};
    (void)state;
    struct davy_remote *remote = davy_incoming_judge(&in, config, &command, now);
    assert_non_null(remote);
    assert_non_null(strstr(remote->refusal, "longer than"));
    assert_string_equal(remote->reply_topic, "r");
    free(remote);
}

static void a_bad_response_topic_refuses_what_is_else_right(void **state)
{
    char topic[] = COMMANDS "snapshot", response[] = "davy/v1/north-plant/edge-07/status";
    char payload[] = "{\"schema\":\"davy.command/1\",\"nonce\":\"n\"}";
    struct davy_mqtt_command command = {
        .topic = topic, .payload = payload, .length = strlen(payload), .response_topic = response};
    (void)state;
    struct davy_remote *remote = davy_incoming_judge(&in, config, &command, now);
    assert_non_null(remote);
    assert_non_null(strstr(remote->refusal, "response topic"));
    assert_string_equal(remote->nonce, "n");
    assert_string_equal(remote->reply_topic, "davy/v1/north-plant/edge-07/reply");
    free(remote);
}

static void too_many_are_busy_until_time_has_passed(void **state)
{
    (void)state;
    for (int i = 0; i < DAVY_INCOMING_BURST; i++)
        expect("snapshot", "{\"schema\":\"davy.command/1\"}", NULL);
    expect("snapshot", "{\"schema\":\"davy.command/1\"}", "busy");
    pass(0.5);
    for (int i = 0; i < DAVY_INCOMING_PER_S / 2; i++)
        expect("snapshot", "{\"schema\":\"davy.command/1\"}", NULL);
    expect("snapshot", "{\"schema\":\"davy.command/1\"}", "busy");
}

static void refusals_are_audited_within_bounds(void **state)
{
    int audited = 0;
    (void)state;
    for (int i = 0; i < 100; i++) {
        struct davy_remote *remote = judge("reset", "{\"nonce\":\"n\"}", false);
        assert_non_null(remote);
        audited += remote->audit;
        free(remote);
    }
    assert_int_equal(audited, DAVY_INCOMING_REFUSED_BURST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(only_allowed_verbs_pass, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_ack_is_taken_within_a_minute_only, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_nonce_is_used_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_was_refused_has_not_used_its_nonce, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_issued_before_the_start_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_may_have_been_taken_before_the_start_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(more_nonces_than_can_be_remembered_are_refused_not_forgotten, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_is_retained_is_ignored, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_be_read_is_refused_and_audited_too, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_be_read_is_answered_where_it_was_asked_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_bad_response_topic_refuses_what_is_else_right, set_up, tear_down),
        cmocka_unit_test_setup_teardown(too_many_are_busy_until_time_has_passed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refusals_are_audited_within_bounds, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
