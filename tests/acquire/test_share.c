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
        struct davy_share share = {.connections = davy_share_connections(config, 0)};
        assert_in_range(share.connections, 1, 4);
        unsigned served[SMALL_DEVICES] = {0};
        size_t least = SIZE_MAX, most = 0;
        for (; share.connection < share.connections; share.connection++) {
            size_t count = davy_share_count(&share, config);
            least = count < least ? count : least;
            most = count > most ? count : most;
            uint32_t d = DAVY_NONE;
            while ((d = davy_share_next(&share, config, d + 1)) != DAVY_NONE) {
                assert_int_equal(davy_share_connection(config, d, share.connections), share.connection);
                served[d]++;
            }
        }
        assert_true(most - least <= 1);
        for (unsigned d = 0; d < devices; d++)
            assert_int_equal(served[d], config->devices[d].bus == 0 && config->devices[d].enabled);
        davy_config_unref(config);
    }
}

static void only_tcp_has_more_than_one_and_none_is_idle(void **state)
{
    (void)state;
    struct davy_config *config = plan(8);
    config->buses[0].connections = config->buses[1].connections = 16;
    assert_int_equal(davy_share_connections(config, 0), 5);
    assert_int_equal(davy_share_connections(config, 1), 3);
    config->buses[0].type = DAVY_BUS_RTU_OVER_TCP;
    assert_int_equal(davy_share_connections(config, 0), 1);
    davy_config_unref(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_device_is_served_by_one_connection),
        cmocka_unit_test(only_tcp_has_more_than_one_and_none_is_idle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
