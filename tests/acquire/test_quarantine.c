/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "acquire/quarantine.h"
#include "acquire/request.h"
#include "support/small_config.h"

static davy_mono at(int64_t s)
{
    return (davy_mono){s * DAVY_NS_PER_S};
}

static struct davy_config *devices(unsigned count)
{
    static const char *const ids[] = {"A", "B", "C", "D"};
    struct davy_config *config = small_config_new();
    small_bus(config, "bus", DAVY_BUS_RTU);
    for (unsigned i = 0; i < count; i++) {
        small_device(config, ids[i], 0, (uint8_t)(i + 1));
        small_point(config, "p", 0, DAVY_TYPE_UINT16);
    }
    assert_int_equal(davy_requests_plan(config), 0);
    return config;
}

static void miss(struct davy_quarantine *quarantine, uint32_t device, int64_t second, unsigned times)
{
    for (unsigned i = 0; i < times; i++)
        (void)davy_quarantine_miss(quarantine, device, davy_span_ms(100), at(second));
}

static void the_third_miss_in_a_row_begins_it_and_an_answer_ends_it(void **state)
{
    (void)state;
    struct davy_config *config = devices(2);
    struct davy_quarantine quarantine;
    assert_int_equal(davy_quarantine_init(&quarantine, config, 0), 0);
    assert_int_equal(davy_quarantine_ask(&quarantine, 0, at(0)), DAVY_QUARANTINE_READ);
    miss(&quarantine, 0, 0, 2);
    assert_int_equal(davy_quarantine_ask(&quarantine, 0, at(0)), DAVY_QUARANTINE_PROBE);
    assert_false(davy_quarantine_answer(&quarantine, 0));
    miss(&quarantine, 0, 0, 2);
    assert_int_equal(davy_quarantine_count(&quarantine), 0);
    assert_true(davy_quarantine_miss(&quarantine, 0, davy_span_ms(100), at(0)));
    assert_int_equal(davy_quarantine_count(&quarantine), 1);
    assert_int_equal(davy_quarantine_ask(&quarantine, 0, at(0)), DAVY_QUARANTINE_SILENT);
    assert_int_equal(davy_quarantine_ask(&quarantine, 1, at(0)), DAVY_QUARANTINE_READ);
    assert_true(davy_quarantine_answer(&quarantine, 0));
    assert_int_equal(davy_quarantine_ask(&quarantine, 0, at(0)), DAVY_QUARANTINE_READ);
    davy_quarantine_done(&quarantine);
    davy_config_unref(config);
}

static void periods_double_to_thirty_seconds(void **state)
{
    (void)state;
    static const int64_t periods[] = {1, 2, 4, 8, 16, 30, 30};
    struct davy_config *config = devices(2);
    struct davy_quarantine quarantine;
    assert_int_equal(davy_quarantine_init(&quarantine, config, 0), 0);
    miss(&quarantine, 0, 0, 3);
    int64_t now = 0;
    for (size_t i = 0; i < DAVY_LENGTH(periods); i++) {
        davy_mono just_before = {(now + periods[i]) * DAVY_NS_PER_S - 1};
        assert_int_equal(davy_quarantine_ask(&quarantine, 0, just_before), DAVY_QUARANTINE_SILENT);
        now += periods[i];
        assert_int_equal(davy_quarantine_ask(&quarantine, 0, at(now)), DAVY_QUARANTINE_PROBE);
        miss(&quarantine, 0, now, 1);
    }
    davy_quarantine_done(&quarantine);
    davy_config_unref(config);
}

static void a_costly_probe_waits_ten_times_its_cost(void **state)
{
    (void)state;
    struct davy_config *config = devices(2);
    struct davy_quarantine quarantine;
    assert_int_equal(davy_quarantine_init(&quarantine, config, 0), 0);
    for (int i = 0; i < 3; i++)
        (void)davy_quarantine_miss(&quarantine, 0, davy_span_ms(1500), at(0));
    assert_int_equal(davy_quarantine_ask(&quarantine, 0, at(14)), DAVY_QUARANTINE_SILENT);
    assert_int_equal(davy_quarantine_ask(&quarantine, 0, at(15)), DAVY_QUARANTINE_PROBE);
    davy_quarantine_done(&quarantine);
    davy_config_unref(config);
}

static void where_nobody_answers_each_is_asked_every_two_seconds(void **state)
{
    (void)state;
    struct davy_config *config = devices(2);
    struct davy_quarantine quarantine;
    assert_int_equal(davy_quarantine_init(&quarantine, config, 0), 0);
    miss(&quarantine, 0, 0, 20);
    miss(&quarantine, 1, 0, 20);
    assert_int_equal(davy_quarantine_ask(&quarantine, 0, at(1)), DAVY_QUARANTINE_SILENT);
    assert_int_equal(davy_quarantine_ask(&quarantine, 0, at(2)), DAVY_QUARANTINE_PROBE);
    assert_int_equal(davy_quarantine_ask(&quarantine, 1, at(2)), DAVY_QUARANTINE_PROBE);
    davy_quarantine_done(&quarantine);
    davy_config_unref(config);
}

static void a_new_plan_remembers_devices_by_id(void **state)
{
    (void)state;
    struct davy_config *before = devices(1), *after = devices(3);
    struct davy_quarantine old, quarantine;
    after->devices[0].id = "B"; /* the order changed */
    after->devices[1].id = "A";
    assert_int_equal(davy_quarantine_init(&old, before, 0), 0);
    miss(&old, 0, 0, 3);
    assert_int_equal(davy_quarantine_init(&quarantine, after, 0), 0);
    davy_quarantine_keep(&quarantine, &old);
    assert_int_equal(davy_quarantine_ask(&quarantine, 0, at(0)), DAVY_QUARANTINE_READ);
    assert_int_equal(davy_quarantine_ask(&quarantine, 1, at(0)), DAVY_QUARANTINE_SILENT);
    davy_quarantine_done(&old);
    davy_quarantine_done(&quarantine);
    davy_config_unref(before);
    davy_config_unref(after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_third_miss_in_a_row_begins_it_and_an_answer_ends_it),
        cmocka_unit_test(periods_double_to_thirty_seconds),
        cmocka_unit_test(a_costly_probe_waits_ten_times_its_cost),
        cmocka_unit_test(where_nobody_answers_each_is_asked_every_two_seconds),
        cmocka_unit_test(a_new_plan_remembers_devices_by_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
