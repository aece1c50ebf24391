/* SPDX-License-Identifier: Apache-2.0 */
/* What is written of commands that came over MQTT. */
#include "daemon/remote.h"

#include <string.h>

#include "support/cmocka_all.h"

static void the_audit_has_the_whole_refusal(void **state)
{
    (void)state;
    static struct route route;
    struct davy_waker waker;
    struct record record;
    struct davy_remote remote = {.verb = DAVY_REMOTE_SNAPSHOT, .by = "mqtt:ops"};
    route.clock = &davy_system_clock;
    memset(remote.refusal, 'x', sizeof remote.refusal - 1);
    assert_int_equal(davy_waker_init(&waker), 0);
    assert_int_equal(davy_queue_init(&route.records, sizeof record, 2, DAVY_QUEUE_REFUSE, &waker), 0);
    remote_audit(&route, &remote, remote.refusal);
    assert_true(davy_queue_pop(&route.records, &record));
    assert_string_equal(record.action.result, remote.refusal);
    assert_string_equal(record.action.by, "mqtt:ops");
    davy_queue_done(&route.records);
    davy_waker_done(&waker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_audit_has_the_whole_refusal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
