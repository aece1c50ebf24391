/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "acquire/share.h"
#include "support/small_config.h"

static struct davy_config *plan(unsigned devices)
{
    struct davy_config *config = small_config_new();
    small_bus(config, "a", DAVY_BUS_TCP);
    small_bus(config, "b", DAVY_BUS_TCP);
    for (unsigned i = 0; i < devices; i++)
        small_device(config, "D", i % 3 == 0, (uint8_t)i);
    return config;
}

/* Each enabled device of the bus is in one share, which is that of its connection; sizes differ by one at most. */
static void every_device_is_served_by_one_connection(void **state)
{
    (void)state;
    for (unsigned devices = 0; devices <= SMALL_DEVICES; devices++) {
        struct davy_config *config = plan(devices);
        if (devices > 5)
            config->devices[5].enabled = false;
        config->buses[0].connections = 4;
        struct davy_share share = {.connections = davy_share_connections(&config->buses[0])};
        assert_int_equal(share.connections, 4);
        unsigned served[SMALL_DEVICES] = {0};
        size_t least = SIZE_MAX, most = 0;
        for (; share.connection < share.connections; share.connection++) {
            size_t count = davy_share_count(&share, config);
            least = count < least ? count : least;
            most = count > most ? count : most;
            uint32_t d = DAVY_NONE;
            while ((d = davy_share_next(&share, config, d + 1)) != DAVY_NONE) {
                served[d]++;
            }
        }
        assert_true(most - least <= 1);
        for (unsigned d = 0; d < devices; d++)
            assert_int_equal(served[d], config->devices[d].bus == 0 && config->devices[d].enabled);
        davy_config_unref(config);
    }
}

static void only_tcp_has_more_than_one_connection(void **state)
{
    (void)state;
    struct davy_bus bus = {.type = DAVY_BUS_TCP, .connections = 16};
    assert_int_equal(davy_share_connections(&bus), 16);
    bus.connections = 0;
    assert_int_equal(davy_share_connections(&bus), 1);
    bus = (struct davy_bus){.type = DAVY_BUS_RTU_OVER_TCP, .connections = 16};
    assert_int_equal(davy_share_connections(&bus), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_device_is_served_by_one_connection),
        cmocka_unit_test(only_tcp_has_more_than_one_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
