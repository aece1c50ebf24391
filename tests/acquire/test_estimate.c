/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "acquire/estimate.h"
#include "acquire/request.h"
#include "support/small_config.h"

/* By hand: turn-around 20 ms, gap 5 ms, 11 bits a character; tenths of milliseconds at N = 2, 10, 22. */
static void request_times_are_those_of_the_table(void **state)
{
    (void)state;
    static const struct {
        int baud;
        int tenths[3];
    } table[] = {{9600, {445, 628, 903}}, {19200, {347, 439, 577}}, {115200, {266, 282, 304}}};
    static const uint16_t counts[] = {2, 10, 22};
    struct davy_config *config = small_config_new();
    struct davy_bus *bus = &config->buses[small_bus(config, "bus", DAVY_BUS_RTU)];
    bus->parity = 'E';
    bus->pause = davy_span_ms(5);
    for (size_t row = 0; row < DAVY_LENGTH(table); row++)
        for (size_t i = 0; i < DAVY_LENGTH(counts); i++) {
            const struct davy_request request = {.table = DAVY_TABLE_HOLDING, .count = counts[i]};
            bus->baud = table[row].baud;
            int64_t tenths = (davy_estimate_request(config, &request).ns + 50000) / 100000;
            assert_in_range(tenths, table[row].tenths[i] - 1, table[row].tenths[i] + 1);
        }
    bus->type = DAVY_BUS_TCP;
    bus->pause.ns = 0;
    const struct davy_request request = {.count = 100};
    assert_int_equal(davy_estimate_request(config, &request).ns, DAVY_NS_PER_MS);
    davy_config_unref(config);
}

/* Four devices of one register a second on 9600 8N1: (15 characters + 20 ms + 3.5 characters) each. */
static struct davy_config *four_devices(void)
{
    struct davy_config *config = small_config_new();
    small_bus(config, "bus", DAVY_BUS_RTU);
    for (uint8_t unit = 1; unit <= 4; unit++) {
        uint32_t device = small_device(config, "D", 0, unit);
        small_point(config, "p", 0, DAVY_TYPE_UINT16);
        config->devices[device].max_reply = davy_span_ms(unit * 1000);
    }
    assert_int_equal(davy_requests_plan(config), 0);
    return config;
}

static void utilization_is_time_over_interval(void **state)
{
    (void)state;
    struct davy_config *config = four_devices();
    double one = (18.5 * 10 / 9600 + 0.020) / 1.0;
    double got = davy_estimate_utilization(config, 0);
    assert_true(got > 4 * one * 0.999 && got < 4 * one * 1.001);
    assert_true(davy_estimate_utilization(config, 1) == 0);
    davy_config_unref(config);
}

static void detection_adds_the_rest_of_the_bus_and_the_slowest_dead(void **state)
{
    (void)state;
    struct davy_config *config = four_devices();
    int64_t cycle = 4 * davy_estimate_request(config, &config->requests[0]).ns;
    assert_int_equal(davy_estimate_detection(config, 0, 0).ns, DAVY_NS_PER_S + cycle);
    assert_int_equal(davy_estimate_detection(config, 0, 1).ns, 13 * DAVY_NS_PER_S + cycle);
    assert_int_equal(davy_estimate_detection(config, 0, 2).ns, 22 * DAVY_NS_PER_S + cycle);
    assert_int_equal(davy_estimate_detection(config, 3, 1).ns, 10 * DAVY_NS_PER_S + cycle);
    assert_int_equal(davy_estimate_detection(config, 0, 99).ns, 28 * DAVY_NS_PER_S + cycle);
    config->buses[0].retries = 1;
    assert_int_equal(davy_estimate_detection(config, 0, 1).ns, 17 * DAVY_NS_PER_S + cycle);
    config->devices[1].enabled = false;
    davy_config_unref(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(request_times_are_those_of_the_table),
        cmocka_unit_test(utilization_is_time_over_interval),
        cmocka_unit_test(detection_adds_the_rest_of_the_bus_and_the_slowest_dead),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
