/* SPDX-License-Identifier: Apache-2.0 */
#include "model/names.h"

#include <errno.h>
#include <string.h>

#include "support/cmocka_all.h"

/* Every entry of a table is found by its name, no two are the same, and nothing else is found. */
#define CHECK_TABLE(what, type, count)                                                                                 \
    static void every_##what##_is_found_by_its_own_name(void **unused)                                                 \
    {                                                                                                                  \
        (void)unused;                                                                                                  \
        for (int i = 0; i < (int)(count); i++) {                                                                       \
            const char *name = davy_##what##_name((enum davy_##type)i);                                                \
            if (name)                                                                                                  \
                assert_int_equal(davy_##what##_find(name), i);                                                         \
        }                                                                                                              \
        assert_int_equal(davy_##what##_find("no-such-name"), -EINVAL);                                                 \
        assert_int_equal(davy_##what##_find("?"), -EINVAL);                                                            \
    }

CHECK_TABLE(quality, quality, DAVY_QUALITY_COUNT_)
CHECK_TABLE(reason, reason, DAVY_REASON_COUNT_)
CHECK_TABLE(level, level, DAVY_LEVEL_COUNT_)
CHECK_TABLE(condition, condition, DAVY_CONDITION_COUNT_)
CHECK_TABLE(state, state, DAVY_STATE_COUNT_)
CHECK_TABLE(event, event_type, DAVY_EVENT_COUNT_)
CHECK_TABLE(alarm_kind, alarm_kind, DAVY_ALARM_COUNT_)
CHECK_TABLE(table, table, DAVY_TABLE_COUNT_)
CHECK_TABLE(type, type, DAVY_TYPE_COUNT_)
CHECK_TABLE(order, order, DAVY_ORDER_COUNT_)
CHECK_TABLE(kind, kind, DAVY_KIND_COUNT_)
CHECK_TABLE(means, means, DAVY_MEANS_COUNT_)
CHECK_TABLE(measure, measure, DAVY_MEASURE_COUNT_)
CHECK_TABLE(bus_type, bus_type, DAVY_BUS_TYPE_COUNT_)

static void none_has_no_name(void **unused)
{
    (void)unused;
    assert_null(davy_level_name(DAVY_LEVEL_NONE));
    assert_null(davy_reason_name(DAVY_REASON_NONE));
    assert_int_equal(davy_reason_find(""), DAVY_REASON_NONE);
    assert_int_equal(davy_level_find(""), -EINVAL);
}

static void levels_ascend_by_risk(void **unused)
{
    (void)unused;
    const char *const ascending[] = {"blue", "yellow", "orange", "red"};
    for (size_t i = 1; i < DAVY_LENGTH(ascending); i++)
        assert_true(davy_level_find(ascending[i - 1]) < davy_level_find(ascending[i]));
    assert_true(DAVY_LEVEL_NONE < davy_level_find("blue"));
}

/* ARCHITECTURE.md, Readings and quality. */
static void every_reason_belongs_to_its_quality(void **unused)
{
    (void)unused;
    const struct {
        enum davy_quality quality;
        const char *reasons[9];
    } rows[] = {
        {DAVY_QUALITY_GOOD, {"", "maintenance"}},
        {DAVY_QUALITY_UNCERTAIN, {"over-range", "settling", "no-status", "warm-up", "calibration"}},
        {DAVY_QUALITY_BAD, {"comm", "exception", "not-a-number", "bad-value", "under-range", "device-fault", "stale"}},
    };
    int known = 0;
    for (size_t r = 0; r < DAVY_LENGTH(rows); r++) {
        for (size_t i = 0; rows[r].reasons[i]; i++, known++) {
            int reason = davy_reason_find(rows[r].reasons[i]);
            assert_true(reason >= 0);
            assert_int_equal(davy_reason_quality((enum davy_reason)reason), rows[r].quality);
        }
    }
    assert_int_equal(known, DAVY_REASON_COUNT_);
}

static void orders_of_64_bits_have_long_names_too(void **unused)
{
    (void)unused;
    assert_int_equal(davy_order_find("ABCDEFGH"), DAVY_ORDER_ABCD);
    assert_int_equal(davy_order_find("GHEFCDAB"), DAVY_ORDER_CDAB);
    assert_int_equal(davy_order_find("BADCFEHG"), DAVY_ORDER_BADC);
    assert_int_equal(davy_order_find("HGFEDCBA"), DAVY_ORDER_DCBA);
    assert_int_equal(davy_order_find("abcd"), -EINVAL);
}

static void types_occupy_registers_by_their_width(void **unused)
{
    (void)unused;
    const struct {
        const char *name;
        unsigned registers;
    } rows[] = {{"bool", 1},  {"int16", 1},  {"uint16", 1},  {"int32", 2},  {"uint32", 2},
                {"int64", 4}, {"uint64", 4}, {"float32", 2}, {"float64", 4}};
    assert_int_equal(DAVY_LENGTH(rows), DAVY_TYPE_COUNT_);
    for (size_t i = 0; i < DAVY_LENGTH(rows); i++)
        assert_int_equal(davy_type_registers((enum davy_type)davy_type_find(rows[i].name)), rows[i].registers);
}

static void a_table_with_holes_is_searched_over_them(void **unused)
{
    (void)unused;
    const char *const table[] = {NULL, "a", NULL, "b"};
    assert_int_equal(davy_name_find(table, 4, "b"), 3);
    assert_int_equal(davy_name_find(table, 3, "b"), -EINVAL);
    assert_int_equal(davy_name_find(table, 0, "a"), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_quality_is_found_by_its_own_name),
        cmocka_unit_test(every_reason_is_found_by_its_own_name),
        cmocka_unit_test(every_level_is_found_by_its_own_name),
        cmocka_unit_test(every_condition_is_found_by_its_own_name),
        cmocka_unit_test(every_state_is_found_by_its_own_name),
        cmocka_unit_test(every_event_is_found_by_its_own_name),
        cmocka_unit_test(every_alarm_kind_is_found_by_its_own_name),
        cmocka_unit_test(every_table_is_found_by_its_own_name),
        cmocka_unit_test(every_type_is_found_by_its_own_name),
        cmocka_unit_test(every_order_is_found_by_its_own_name),
        cmocka_unit_test(every_kind_is_found_by_its_own_name),
        cmocka_unit_test(every_means_is_found_by_its_own_name),
        cmocka_unit_test(every_measure_is_found_by_its_own_name),
        cmocka_unit_test(every_bus_type_is_found_by_its_own_name),
        cmocka_unit_test(none_has_no_name),
        cmocka_unit_test(levels_ascend_by_risk),
        cmocka_unit_test(every_reason_belongs_to_its_quality),
        cmocka_unit_test(orders_of_64_bits_have_long_names_too),
        cmocka_unit_test(types_occupy_registers_by_their_width),
        cmocka_unit_test(a_table_with_holes_is_searched_over_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
