/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "config/diff.h"
#include "config/internal.h"

static struct davy_config *load(const char *text)
{
    struct davy_problems problems = {0};
    struct davy_config *config = NULL;
    assert_int_equal(davy_config_load_text("x", text, strlen(text), &problems, &config), 0);
    davy_problems_done(&problems);
    return config;
}

struct log {
    char text[512];
    struct davy_buf buf;
};

static void note(void *context, const struct davy_change *change)
{
    struct log *log = context;
    davy_buf_printf(&log->buf, "%s %s %s\n", change->path, change->old ? change->old : "-",
                    change->new ? change->new : "-");
}

static void changes_come_sorted_with_old_and_new(void **state)
{
    (void)state;
    struct davy_config *a =
        load("gateway={id=\"a\";site=\"b\"};buses=();zones=({id=\"Z1\";row=1;column=1;},{id=\"Z2\"});"
             "devices=();");
    struct davy_config *b =
        load("gateway={id=\"a\";site=\"c\"};buses=();zones=({id=\"Z2\";name=\"z\"},{id=\"Z1\";row=1;"
             "column=2;});devices=();");
    struct log log;
    davy_buf_init(&log.buf, log.text, sizeof log.text);
    assert_int_equal(davy_config_diff(a, b, note, &log), 3);
    assert_string_equal(log.text, "gateway.site \"b\" \"c\"\nzones.Z1.column 1 2\nzones.Z2.name - \"z\"\n");
    davy_buf_init(&log.buf, log.text, sizeof log.text);
    assert_int_equal(davy_config_diff(b, a, note, &log), 3);
    assert_string_equal(log.text, "gateway.site \"c\" \"b\"\nzones.Z1.column 2 1\nzones.Z2.name \"z\" -\n");
    assert_int_equal(davy_config_diff(a, a, note, &log), 0);
    davy_config_unref(a);
    davy_config_unref(b);
}

static void a_bus_is_the_same_by_value(void **state)
{
    (void)state;
    struct davy_config *a = load("gateway={id=\"a\";site=\"b\"};devices=();mqtt={url=\"mqtt://127.0.0.1\";};buses=("
                                 "{name=\"x\";type=\"tcp\";host=\"h\"},{name=\"y\";type=\"tcp\";host=\"h\"});");
    struct davy_config *b = load("gateway={id=\"a\";site=\"b\"};devices=();mqtt={url=\"mqtt://127.0.0.1\";"
                                 "keepalive=\"20s\";};buses=({name=\"y\";type=\"tcp\";host=\"h\"},"
                                 "{name=\"x\";type=\"tcp\";host=\"h\";retries=2;});");
    assert_true(davy_config_same_bus(&a->buses[1], &b->buses[0]));
    assert_false(davy_config_same_bus(&a->buses[0], &b->buses[0]));
    assert_false(davy_config_same_bus(&a->buses[0], &b->buses[1]));
    assert_true(davy_config_same_mqtt(&a->mqtt, &a->mqtt));
    assert_false(davy_config_same_mqtt(&a->mqtt, &b->mqtt));
    davy_config_unref(a);
    davy_config_unref(b);
}

static void note_effect(void *context, const struct davy_change *change)
{
    static const char *const names[] = {[DAVY_EFFECT_RELOAD] = "reload",
                                        [DAVY_EFFECT_BUS] = "bus",
                                        [DAVY_EFFECT_MQTT] = "mqtt",
                                        [DAVY_EFFECT_RESTART] = "restart"};
    struct log *log = ((void **)context)[0];
    const struct davy_config *const *pair = (const struct davy_config *const *)context;
    davy_buf_printf(&log->buf, "%s %s\n", change->path, names[davy_change_effect(pair[1], pair[2], change)]);
}

static void a_change_says_what_puts_it_into_effect(void **state)
{
    (void)state;
    struct davy_config *plain =
        load("gateway={id=\"a\";site=\"b\"};buses=({name=\"x\";type=\"tcp\";host=\"h\"});devices=();");
    struct davy_config *other =
        load("gateway={id=\"c\";site=\"b\";timezone=\"UTC\"};buses=({name=\"x\";type=\"tcp\";"
             "host=\"i\"});devices=();storage={directory=\"/d\";};mqtt={url=\"mqtt://127.0.0.1\";};");
    struct davy_config *faster =
        load("gateway={id=\"c\";site=\"b\";timezone=\"UTC\"};buses=({name=\"x\";type=\"tcp\";host=\"i\"});devices=();"
             "storage={directory=\"/d\";};mqtt={url=\"mqtt://127.0.0.1\";keepalive=\"20s\";};");
    struct log log;
    davy_buf_init(&log.buf, log.text, sizeof log.text);
    assert_int_equal(davy_config_diff(plain, other, note_effect, (void *[]){&log, plain, other}), 5);
    assert_string_equal(log.text, "buses.x.host bus\ngateway.id restart\ngateway.timezone reload\nmqtt.url restart\n"
                                  "storage.directory restart\n");
    davy_buf_init(&log.buf, log.text, sizeof log.text);
    assert_int_equal(davy_config_diff(other, faster, note_effect, (void *[]){&log, other, faster}), 1);
    assert_string_equal(log.text, "mqtt.keepalive mqtt\n");
    davy_config_unref(plain);
    davy_config_unref(other);
    davy_config_unref(faster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes_come_sorted_with_old_and_new),
        cmocka_unit_test(a_bus_is_the_same_by_value),
        cmocka_unit_test(a_change_says_what_puts_it_into_effect),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
