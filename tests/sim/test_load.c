/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sim/load.h"

#define LINES  "lines = ( { name = \"a\"; type = \"tcp\"; }, { name = \"s\"; type = \"rtu\"; } );\n"
#define DEVICE "{ id = \"D\"; line = \"a\"; unit = 1; points = ( "
#define POINT  "{ name = \"p\"; register = 0; type = \"uint16\"; "

/* All problems of a text; "" when it is good. To be freed. */
static char *problems_of(const char *text)
{
    char *problems = NULL;
    size_t size;
    FILE *out = open_memstream(&problems, &size);
    struct davy_sim_plant plant;
    int rc = davy_sim_load_text("f.conf", text, out, &plant);
    fclose(out);
    assert_int_equal(rc, *problems ? -EINVAL : 0);
    if (rc == 0)
        davy_sim_plant_done(&plant);
    return problems;
}

static void is_bad(const char *text, const char *expected)
{
    char *problems = problems_of(text);
    if (!strstr(problems, expected))
        print_error("%s\ngave: %sand not: %s\n", text, problems, expected);
    assert_non_null(strstr(problems, expected));
    free(problems);
}

static void each_mistake_is_named_with_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *text, *expected;
    } cases[] = {
        {"", "f.conf:0: lines is missing"},
        {LINES "x = 1;", "f.conf:2: x: there is no such key"},
        {LINES "devices = {};", "devices: a list ( … ) is expected"},
        {LINES "devices = ( 1 );", "devices[0]: a group { … } is expected"},
        {"lines = ( { type = \"tcp\"; } );", "f.conf:1: lines[0]: name is missing"},
        {"lines = ( { name = 1; type = \"tcp\"; } );", "lines[0].name: a text in quotes is expected"},
        {"lines = ( { name = \"a b\"; type = \"tcp\"; } );", "lines[0].name: 1 to 64 of letters"},
        {"lines = ( { name = \"a\"; type = \"tcp\"; port = 65536; } );", "port: a whole number from 0 to 65535"},
        {"lines = ( { name = \"a\"; type = \"tcp\"; link = \"x\"; } );", "lines[0].link: a line of type tcp has no"},
        {"lines = ( { name = \"a\"; type = \"rtu\"; port = 1; } );", "lines[0].port: a line of type rtu has no"},
        {"lines = ( { name = \"a\"; type = \"tcp\"; }, { name = \"a\"; type = \"tcp\"; } );",
         "lines[1]: there is a line"},
        {LINES "devices = ( { id = \"D\"; line = \"s\"; unit = 248; } );", "a unit on a serial line is 1 to 247"},
        {LINES "devices = ( { id = \"D\"; line = \"a\"; unit = 1; }, { id = \"E\"; line = \"a\"; unit = 1; } );",
         "devices[1]: unit 1 of line a is D already"},
        {LINES "devices = ( { id = \"a\"; line = \"a\"; unit = 1; } );", "there is a device or line \"a\" already"},
        {LINES "devices = ( { id = \"D\"; line = \"a\"; unit = 1; turnaround = \"5\"; } );", "\"5\" is not a duration"},
        {LINES "devices = (" DEVICE POINT "}, " POINT "} ); } );", "points[1]: there is a point \"p\" already"},
        {LINES "devices = (" DEVICE POINT "}, { name = \"q\"; register = 0; type = \"int16\"; } ); } );",
         "points[1]: another point has one of these registers"},
        {LINES "devices = (" DEVICE "{ name = \"q\"; register = 65535; type = \"int32\"; } ); } );", "end at 65535"},
        {LINES "devices = (" DEVICE "{ name = \"q\"; register = 0; type = \"bool\"; } ); } );", "coils and discretes"},
        {LINES "devices = (" DEVICE "{ name = \"q.r\"; register = 0; type = \"int16\"; } ); } );", "letters, digits"},
        {LINES "devices = (" DEVICE POINT "scale = 0; } ); } );", "scale must not be 0"},
        {LINES "devices = (" DEVICE POINT "value = 1e400; } ); } );", "points[0].value: a finite number"},
        {LINES "devices = (" DEVICE POINT "range = [3, 1]; } ); } );", "range: low is above high"},
        {LINES "devices = (" DEVICE POINT "wave = { type = \"sine\"; mean = 1; amplitude = 1; }; } ); } );",
         "points[0].wave: period is missing"},
        {LINES "devices = (" DEVICE POINT
               "wave = { type = \"ramp\"; low = 1; amplitude = 1; period = \"1s\"; }; } ); } );",
         "either low and high"},
        {LINES "devices = (" DEVICE POINT "wave = { type = \"sine\"; low = 1; high = 2; period = \"0s\"; }; } ); } );",
         "period must be longer"},
        {LINES "incidents = ( { at = \"1s\"; } );", "incidents[0]: do is missing"},
        {LINES "incidents = ( { at = \"1s\"; do = [ \"clear a\", \"clear b\" ]; } );",
         "incidents[0].do[1]: \"clear b\": no such device or line"},
        {LINES "incidents = ( { at = \"1s\"; do = \"quit\"; } );", "for the control socket only"},
        {"lines = (", "f.conf:1: syntax error"},
        {LINES "\n  @include \"x\"", "f.conf:3: @include"},
        {"\nlines = \"${DAVY_NO_SUCH}\";", "f.conf:2: ${DAVY_NO_SUCH}"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        is_bad(cases[i].text, cases[i].expected);
}

static void all_problems_are_listed_in_one_run(void **state)
{
    (void)state;
    char *problems = problems_of("lines = ( { name = \"a\"; type = \"tcp\"; colour = 1; port = -1; } );\n"
                                 "devices = ( { id = \"D\"; line = \"b\"; unit = 1; } );\n"
                                 "incidents = ( { at = \"x\"; do = \"set D.p 1\"; } );\n");
    assert_non_null(strstr(problems, "colour"));
    assert_non_null(strstr(problems, "port"));
    assert_non_null(strstr(problems, "f.conf:2: devices[0].line"));
    assert_non_null(strstr(problems, "f.conf:3: incidents[0].at"));
    free(problems);
}

static void copies_have_numbers_and_units_of_their_own(void **state)
{
    (void)state;
    struct davy_sim_plant plant;
    const char *text =
        LINES "devices = ( { id = \"M\"; line = \"a\"; unit = 10; copies = 3; points = (" POINT "} ); } );";
    assert_int_equal(davy_sim_load_text("f.conf", text, stderr, &plant), 0);
    assert_int_equal(plant.device_count, 3);
    assert_string_equal(plant.devices[2].id, "M-3");
    assert_ptr_equal(plant.lines[0].by_unit[12], &plant.devices[2]);
    davy_sim_plant_sow(&plant, 1);
    assert_true(plant.devices[0].points[0].seed != plant.devices[1].points[0].seed);
    davy_sim_plant_done(&plant);
}

static void copies_beyond_the_last_unit_are_refused(void **state)
{
    (void)state;
    is_bad(LINES "devices = ( { id = \"M\"; line = \"a\"; unit = 200; copies = 57; } );", "unit: a whole number");
}

static void example_plant_is_good(void **state)
{
    (void)state;
    char path[1024];
    struct davy_sim_plant plant;
    snprintf(path, sizeof(path), "%s/conf/examples/plant-demo.sim.conf", getenv("DAVY_SOURCE"));
    assert_int_equal(setenv("PLANT_DIR", "/tmp", 1), 0);
    assert_int_equal(davy_sim_load_file(path, stderr, &plant), 0);
    assert_true(plant.device_count >= 12);
    davy_sim_plant_done(&plant);
}

static void unreadable_file_is_its_own_error(void **state)
{
    (void)state;
    struct davy_sim_plant plant;
    assert_int_equal(davy_sim_load_file("/nowhere/at/all", stderr, &plant), -ENOENT);
    assert_int_equal(davy_sim_load_file("/dev", stderr, &plant), -EFBIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_mistake_is_named_with_its_place),
        cmocka_unit_test(all_problems_are_listed_in_one_run),
        cmocka_unit_test(copies_have_numbers_and_units_of_their_own),
        cmocka_unit_test(copies_beyond_the_last_unit_are_refused),
        cmocka_unit_test(example_plant_is_good),
        cmocka_unit_test(unreadable_file_is_its_own_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
