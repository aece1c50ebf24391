/* SPDX-License-Identifier: Apache-2.0 */
#include "model/message.h"

#include <string.h>

#include "support/cmocka_all.h"

static void topic_and_payload_are_copies(void **unused)
{
    (void)unused;
    char topic[] = "davy/v1/x", payload[] = "{\"a\":\"\xe7\xbd\x90\"}";
    struct davy_message message = {.row = -7};
    assert_int_equal(davy_message_new(DAVY_MESSAGE_EVENT, 42, topic, payload, &message), 0);
    topic[0] = payload[0] = '#';
    assert_string_equal(message.topic, "davy/v1/x");
    assert_string_equal(message.payload, "{\"a\":\"\xe7\xbd\x90\"}");
    assert_int_equal(message.length, strlen(payload));
    assert_int_equal(message.class, DAVY_MESSAGE_EVENT);
    assert_int_equal(message.row, 42);
    assert_false(message.retain);
    assert_int_equal(message.expiry_s, 0);
    assert_null(message.schema);
    davy_message_done(&message);
    assert_null(message.topic);
    assert_null(message.payload);
    davy_message_done(&message); /* repeatable */
}

static void an_empty_payload_has_no_length(void **unused)
{
    (void)unused;
    struct davy_message message;
    assert_int_equal(davy_message_new(DAVY_MESSAGE_STATE, 0, "t", "", &message), 0);
    assert_int_equal(message.length, 0);
    assert_string_equal(message.payload, "");
    davy_message_done(&message);
}

static void classes_are_in_order_of_urgency(void **unused)
{
    (void)unused;
    assert_true(DAVY_MESSAGE_PREVIEW < DAVY_MESSAGE_EVENT);
    assert_true(DAVY_MESSAGE_EVENT < DAVY_MESSAGE_STATE);
    assert_true(DAVY_MESSAGE_STATE < DAVY_MESSAGE_TELEMETRY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(topic_and_payload_are_copies),
        cmocka_unit_test(an_empty_payload_has_no_length),
        cmocka_unit_test(classes_are_in_order_of_urgency),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
