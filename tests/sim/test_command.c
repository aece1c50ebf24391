/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "sim/command.h"
#include "sim/load.h"

static const char text[] = "lines = ( { name = \"plc\"; type = \"tcp\"; }, { name = \"bus\"; type = \"rtu\"; } );\n"
                           "devices = ( { id = \"A.1\"; line = \"plc\"; unit = 1; points = (\n"
                           "              { name = \"v\"; register = 0; type = \"float32\"; value = 4; } ); },\n"
                           "            { id = \"B\"; line = \"bus\"; unit = 1; points = (\n"
                           "              { name = \"v\"; register = 0; type = \"uint16\"; value = 8; } ); } );\n";

static int set_up(void **state)
{
    static struct davy_sim_plant plant;
    *state = &plant;
    return davy_sim_load_text("text", text, stderr, &plant);
}

static int tear_down(void **state)
{
    davy_sim_plant_done(*state);
    return 0;
}

/* Say it at plant time 10; the reply, or the reason against it. */
static int say(void **state, const char *what, char reply[1024])
{
    struct davy_sim_command command;
    struct davy_buf buf;
    davy_buf_init(&buf, reply, 1024);
    int rc = davy_sim_command_parse(*state, what, &buf, &command);
    if (rc == 0)
        davy_sim_command_run(*state, &command, 10, &buf);
    return rc;
}

static void good(void **state, const char *what, const char *expected)
{
    char reply[1024];
    assert_int_equal(say(state, what, reply), 0);
    assert_string_equal(reply, expected);
}

static void bad(void **state, const char *what, const char *expected)
{
    char reply[1024];
    assert_int_equal(say(state, what, reply), -EINVAL);
    assert_non_null(strstr(reply, expected));
}

static void set_get_and_release_work_on_a_point(void **state)
{
    good(state, "get A.1.v", "ok 4");
    good(state, "  set  A.1.v\t7.25 \r\n", "ok");
    good(state, "get A.1.v", "ok 7.25");
    good(state, "set A.1.v nan", "ok");
    good(state, "get A.1.v", "ok nan");
    good(state, "set A.1.v -inf", "ok");
    good(state, "get A.1.v", "ok -inf");
    good(state, "release A.1.v", "ok");
    good(state, "get A.1.v", "ok 4");
}

static void ramp_starts_at_the_present_value(void **state)
{
    good(state, "ramp B.v 108 20s", "ok");
    const struct davy_sim_point *point = davy_sim_plant_point(davy_sim_plant_device(*state, "B"), "v");
    assert_true(point->source == DAVY_SIM_FROM_RAMP);
    assert_true(point->from == 8 && point->to == 108 && point->since_s == 10 && point->ramp_s == 20);
}

static void raw_writes_a_register(void **state)
{
    good(state, "raw B holding 0 0xFFFF", "ok");
    good(state, "get B.v", "ok raw");
    good(state, "raw B holding 1 1", "error the device has no such register");
}

static void fault_takes_argument_and_options(void **state)
{
    good(state, "fault B late 250ms for 1min count 3 probability 0.5", "ok");
    const struct davy_sim_faults *faults = &davy_sim_plant_device(*state, "B")->faults;
    const struct davy_sim_fault *late = &faults->of[DAVY_SIM_FAULT_LATE];
    assert_int_equal(faults->on, 1U << DAVY_SIM_FAULT_LATE);
    assert_int_equal(late->arg, 250);
    assert_int_equal(late->count, 3);
    assert_true(late->probability == 0.5);
    assert_true(faults->until_s[DAVY_SIM_FAULT_LATE] == 70);
    good(state, "clear B", "ok");
    assert_int_equal(faults->on, 0);
}

static void unplug_lasts_its_time_or_until_plugged(void **state)
{
    const struct davy_sim_line *line = davy_sim_plant_line(*state, "bus");
    good(state, "unplug bus for 5s", "ok");
    assert_true(line->unplugged_until_s == 15);
    good(state, "unplug bus", "ok");
    assert_true(isinf(line->unplugged_until_s));
    good(state, "plug bus", "ok");
    assert_true(line->unplugged_until_s == 10);
    bad(state, "unplug B", "no such line");
    bad(state, "unplug bus for", "not for DURATION");
    bad(state, "unplug bus in 5s", "not for DURATION");
}

static void fault_of_a_line_is_apart_from_its_devices(void **state)
{
    good(state, "fault bus timeout", "ok");
    assert_int_equal(davy_sim_plant_device(*state, "B")->faults.on, 0);
    assert_int_equal(davy_sim_plant_line(*state, "bus")->faults.on, 1U << DAVY_SIM_FAULT_TIMEOUT);
}

static void what_is_wrong_is_said(void **state)
{
    bad(state, "", "empty");
    bad(state, "sett A.1.v 1", "no such command");
    bad(state, "set A.1.v", "usage: set");
    bad(state, "set A.1.v 1 2", "usage: set");
    bad(state, "set v 1", "not DEVICE.POINT");
    bad(state, "set A.2.v 1", "no such device");
    bad(state, "set A.1.w 1", "no such point");
    bad(state, "set A.1.v 1x", "not a number");
    bad(state, "set A.1.v 0x10", "not a number");
    bad(state, "ramp A.1.v inf 1s", "finite");
    bad(state, "ramp A.1.v 1 5", "not a duration");
    bad(state, "raw B coils 0 1", "not holding");
    bad(state, "raw B coil 0 2", "from 0 to 1");
    bad(state, "raw B holding 65536 1", "from 0 to 65535");
    bad(state, "fault C timeout", "no such device or line");
    bad(state, "fault B hiccup", "no such fault");
    bad(state, "fault B late", "needs an argument");
    bad(state, "fault B timeout 5", "takes no argument");
    bad(state, "fault B late 5 for", "a value is missing");
    bad(state, "fault B late 5 often 1", "not for, count or probability");
    bad(state, "fault B timeout count 0", "whole number");
    bad(state, "fault B timeout probability 1.5", "probability");
    bad(state, "fault B wrong-transaction", "tcp");
    bad(state, "fault A.1 refuse", "whole line");
}

static void only_changes_are_for_scripts(void **state)
{
    struct davy_sim_command command;
    char why[64];
    struct davy_buf buf;
    davy_buf_init(&buf, why, sizeof(why));
    assert_int_equal(davy_sim_command_parse(*state, "set B.v 1", &buf, &command), 0);
    assert_true(davy_sim_command_scriptable(&command));
    assert_int_equal(davy_sim_command_parse(*state, "quit", &buf, &command), 0);
    assert_false(davy_sim_command_scriptable(&command));
}

static void overlong_commands_are_refused(void **state)
{
    char what[2000];
    memset(what, 'x', sizeof(what) - 1);
    what[sizeof(what) - 1] = '\0';
    bad(state, what, "too long");
    for (size_t i = 1; i < 500; i += 2)
        what[i] = ' ';
    what[500] = '\0';
    bad(state, what, "too many words");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(set_get_and_release_work_on_a_point),
        CASE(ramp_starts_at_the_present_value),
        CASE(raw_writes_a_register),
        CASE(fault_takes_argument_and_options),
        CASE(what_is_wrong_is_said),
        CASE(fault_of_a_line_is_apart_from_its_devices),
        CASE(unplug_lasts_its_time_or_until_plugged),
        CASE(only_changes_are_for_scripts),
        CASE(overlong_commands_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
