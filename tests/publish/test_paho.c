/* SPDX-License-Identifier: Apache-2.0 */
/* What the adapter asks of the library for the whole process; sessions are the integration tests' business. */
#include <dlfcn.h>

#include "base/queue.h"
#include "model/config.h"
#include "publish/mqtt.h"
#include "support/cmocka_all.h"

static int prepared;

/* In place of the library's, which it calls. */
void MQTTAsync_global_init(void *options);
void MQTTAsync_global_init(void *options)
{
    void (*real)(void *) = (void (*)(void *))dlsym(RTLD_NEXT, "MQTTAsync_global_init");
    assert_non_null(real);
    prepared++;
    real(options);
}

/* Each preparation makes the library's locks anew, also those that threads of an earlier client are holding. */
static void the_librarys_locks_are_made_once_for_all_clients(void **unused)
{
    (void)unused;
    struct davy_mqtt mqtt = {0};
    struct davy_queue notices, incoming;
    struct davy_mqtt_client clients[3];
    assert_int_equal(davy_queue_init(&notices, sizeof(struct davy_mqtt_notice), 256, DAVY_QUEUE_REFUSE, NULL), 0);
    assert_int_equal(davy_queue_init(&incoming, sizeof(struct davy_mqtt_command), 4, DAVY_QUEUE_REFUSE, NULL), 0);
    for (size_t i = 0; i < DAVY_LENGTH(clients); i++)
        assert_int_equal(davy_mqtt_paho_new(&mqtt, &notices, &incoming, &clients[i]), 0);
    assert_int_equal(prepared, 1);
    for (size_t i = 0; i < DAVY_LENGTH(clients); i++)
        clients[i].ops->free(clients[i].client);
    davy_queue_done(&incoming);
    davy_queue_done(&notices);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_librarys_locks_are_made_once_for_all_clients)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
