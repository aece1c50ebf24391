/* SPDX-License-Identifier: Apache-2.0 */
#include "model/config.h"

#include <pthread.h>
#include <string.h>

#include "support/cmocka_all.h"
#include "support/plant.h"

static void the_last_reference_frees(void **unused)
{
    (void)unused;
    struct davy_config *config = davy_config_new();
    assert_non_null(config);
    const char *text = davy_config_text(config, "kept");
    assert_ptr_equal(davy_config_ref(config), config);
    assert_ptr_equal(davy_config_ref(config), config);
    assert_null(davy_config_unref(config));
    assert_null(davy_config_unref(config));
    assert_string_equal(text, "kept");
    assert_int_equal(atomic_load(&config->references), 1);
    assert_null(davy_config_unref(config)); /* a leak, or one too many, is the sanitizer's to find */
    assert_null(davy_config_unref(NULL));
}

static void *take_and_give(void *context)
{
    for (int i = 0; i < 20000; i++)
        davy_config_unref(davy_config_ref(context));
    return NULL;
}

static void references_are_counted_across_threads(void **unused)
{
    (void)unused;
    struct davy_config *config = davy_config_new();
    pthread_t threads[4];
    assert_non_null(config);
    for (size_t i = 0; i < DAVY_LENGTH(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_and_give, config), 0);
    for (size_t i = 0; i < DAVY_LENGTH(threads); i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&config->references), 1);
    davy_config_unref(config);
}

static void memory_of_a_configuration_is_zeroed_and_stays(void **unused)
{
    (void)unused;
    struct davy_config *config = davy_config_new();
    unsigned char *blocks[300];
    for (size_t i = 0; i < DAVY_LENGTH(blocks); i++) {
        blocks[i] = davy_config_alloc(config, i, 7);
        assert_non_null(blocks[i]);
        for (size_t b = 0; b < i * 7; b++)
            assert_int_equal(blocks[i][b], 0);
        memset(blocks[i], (int)(i % 251), i * 7);
    }
    for (size_t i = 1; i < DAVY_LENGTH(blocks); i++)
        assert_int_equal(blocks[i][i * 7 - 1], i % 251);
    assert_int_equal(config->owned_count, DAVY_LENGTH(blocks));
    assert_null(davy_config_text(config, NULL));
    davy_config_unref(config);
}

static void things_are_found_by_their_names_only(void **unused)
{
    (void)unused;
    const struct davy_limit limit = {.level = DAVY_LEVEL_RED, .condition = DAVY_CONDITION_ABOVE, .a = 14};
    struct davy_config *config = plant_new(3);
    plant_add_rule(config, "h2s", &limit, 1);
    assert_int_equal(davy_config_find_bus(config, "bus"), 0);
    assert_int_equal(davy_config_find_bus(config, "Bus"), DAVY_NONE);
    assert_int_equal(davy_config_find_device(config, "GT-102"), 1);
    assert_int_equal(davy_config_find_device(config, "GT-10"), DAVY_NONE);
    assert_int_equal(davy_config_find_zone(config, "A1"), 0);
    assert_int_equal(davy_config_find_zone(config, ""), DAVY_NONE);
    assert_int_equal(davy_config_find_rule(config, "h2s"), 0);
    assert_int_equal(davy_config_find_rule(config, "h2"), DAVY_NONE);
    davy_config_unref(config);
}

static void a_point_is_divided_at_the_last_dot(void **unused)
{
    (void)unused;
    char text[DAVY_KEY_SIZE], longest[2 * DAVY_KEY_SIZE];
    struct davy_config *config = plant_new(2);
    assert_int_equal(davy_config_find_point(config, "GT-102.h2s"), 1);
    config->devices[1].id = "unit.7";
    assert_int_equal(davy_config_find_point(config, "unit.7.h2s"), 1);
    assert_string_equal(davy_config_point_name(config, 1, text), "unit.7.h2s");
    assert_int_equal(davy_config_find_point(config, "unit.h2s"), DAVY_NONE);
    assert_int_equal(davy_config_find_point(config, "GT-101"), DAVY_NONE);
    assert_int_equal(davy_config_find_point(config, "GT-101."), DAVY_NONE);
    assert_int_equal(davy_config_find_point(config, ".h2s"), DAVY_NONE);
    assert_int_equal(davy_config_find_point(config, ""), DAVY_NONE);
    memset(longest, 'x', sizeof longest);
    memcpy(longest + sizeof longest - 5, ".h2s", 5);
    assert_int_equal(davy_config_find_point(config, longest), DAVY_NONE);
    davy_config_unref(config);
}

static void a_glob_matches_device_and_point_apart(void **unused)
{
    (void)unused;
    const struct {
        const char *glob, *device, *point;
        bool matches;
    } cases[] = {
        {"GT-101.h2s", "GT-101", "h2s", true},
        {"GT-1*.h2s", "GT-101", "h2s", true},
        {"GT-1*.h2s", "GT-201", "h2s", false},
        {"GT-10[1-3].h2s", "GT-103", "h2s", true},
        {"GT-10[1-3].h2s", "GT-104", "h2s", false},
        {"GT-10[!1].h2s", "GT-101", "h2s", false},
        {"GT-10?.h2s", "GT-101", "h2s", true},
        {"GT-10?.h2s", "GT-10", "h2s", false},
        {"*.h2s", "GT-101", "h2s", true},
        {"*.*", "unit.7", "h2s", true},
        {"*.*", ".hidden", ".x", true},
        {"unit.*.h2s", "unit.7", "h2s", true},
        {"unit*.h2s", "unit.7", "h2s", true},
        {"*h2s", "GT-101", "h2s", false}, /* no dot */
        {"GT*", "GT-101", "h2s", false},
        {"", "GT-101", "h2s", false},
        {"*.h2s", "GT-101", "H2S", false},
        {"*.h", "GT-101", "h2s", false},
        {"GT-101.*", "GT-101x", "h2s", false},
        {"[GT-101.h2s", "GT-101", "h2s", false},
    };
    for (size_t i = 0; i < DAVY_LENGTH(cases); i++)
        if (davy_point_glob(cases[i].glob, cases[i].device, cases[i].point) != cases[i].matches)
            fail_msg("%s over %s.%s", cases[i].glob, cases[i].device, cases[i].point);
}

static void a_glob_longer_than_any_name_matches_nothing(void **unused)
{
    (void)unused;
    char glob[2 * DAVY_KEY_SIZE];
    memset(glob, '*', sizeof glob);
    memcpy(glob + sizeof glob - 3, ".*", 3);
    assert_false(davy_point_glob(glob, "GT-101", "h2s"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_reference_frees),
        cmocka_unit_test(references_are_counted_across_threads),
        cmocka_unit_test(memory_of_a_configuration_is_zeroed_and_stays),
        cmocka_unit_test(things_are_found_by_their_names_only),
        cmocka_unit_test(a_point_is_divided_at_the_last_dot),
        cmocka_unit_test(a_glob_matches_device_and_point_apart),
        cmocka_unit_test(a_glob_longer_than_any_name_matches_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
