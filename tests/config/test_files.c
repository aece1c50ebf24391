/* SPDX-License-Identifier: Apache-2.0 */
/* What only real files can do: folders, FIFOs, sizes, modes, includes and profiles. In a folder of its own. */
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "config/load.h"

static const char base[] = "gateway = { id = \"a\"; site = \"b\"; }; buses = ( { name = \"x\"; type = \"tcp\"; host = "
                           "\"h\"; } );\n";
static const char no_devices[] = "devices = ( );\n";

struct fixture {
    char folder[64];
    struct davy_problems problems;
    struct davy_config *config;
};

static const char *path_of(const struct fixture *f, const char *name, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%s/%s", f->folder, name);
    return path;
}

static void put(const struct fixture *f, const char *name, const char *text, const char *more)
{
    char path[PATH_MAX];
    DAVY_AUTO_FILE FILE *file = fopen(path_of(f, name, path), "w");
    assert_non_null(file);
    fprintf(file, "%s%s", text, more);
}

static int load(struct fixture *f, const char *name)
{
    char path[PATH_MAX];
    davy_config_unref(f->config);
    f->config = NULL;
    davy_problems_done(&f->problems);
    return davy_config_load(path_of(f, name, path), &f->problems, &f->config);
}

/* The one error of a load that is refused. */
static void assert_refused(struct fixture *f, const char *name, int line, const char *fragment)
{
    char text[1024];
    assert_int_equal(load(f, name), DAVY_CONFIG_BAD);
    for (size_t i = 0; i < f->problems.count; i++)
        if (f->problems.items[i].line == line && strstr(f->problems.items[i].message, fragment))
            return;
    for (size_t i = 0; i < f->problems.count; i++)
        print_message("    %s\n", davy_problem_format(&f->problems.items[i], text, sizeof text));
    fail_msg("%s: no error \"%s\" at line %d", name, fragment, line);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    if (!f)
        return -1;
    strcpy(f->folder, "/tmp/davy-config-XXXXXX");
    *state = f;
    return mkdtemp(f->folder) ? 0 : -1;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    char command[128];
    davy_config_unref(f->config);
    davy_problems_done(&f->problems);
    snprintf(command, sizeof command, "rm -rf '%s'", f->folder);
    int rc = system(command);
    free(f);
    return rc;
}

static void what_is_not_a_regular_file_is_refused(void **state)
{
    struct fixture *f = *state;
    char path[PATH_MAX];
    assert_int_equal(mkfifo(path_of(f, "fifo.conf", path), 0600), 0);
    assert_int_equal(mkdir(path_of(f, "folder.conf", path), 0700), 0);
    assert_refused(f, "fifo.conf", 0, "is a FIFO, not a regular file");
    assert_refused(f, "folder.conf", 0, "is a folder, not a regular file");
    assert_refused(f, "none.conf", 0, "cannot be read: No such file");
    put(f, "a.conf", base, "@include \"fifo.conf\"\n@include \"folder.conf\"\n  @include \"none.conf\" # comment\n");
    assert_refused(f, "a.conf", 2, "is a FIFO");
    assert_refused(f, "a.conf", 3, "is a folder");
    assert_refused(f, "a.conf", 4, "No such file");
}

static void a_file_of_five_megabytes_is_refused(void **state)
{
    struct fixture *f = *state;
    char path[PATH_MAX];
    put(f, "big.conf", base, no_devices);
    assert_int_equal(truncate(path_of(f, "big.conf", path), 5 << 20), 0);
    assert_refused(f, "big.conf", 0, "is larger than 4 MiB");
}

static void a_problem_names_the_included_file_and_its_line(void **state)
{
    struct fixture *f = *state;
    char path[PATH_MAX];
    put(f, "main.conf", base, "# 2\n@include \"rules.conf\"\n\ndevices = ( 5 );");
    put(f, "rules.conf", "# 1\n# 2\n", "rules = ( { nam = \"x\"; } ); # no end");
    assert_refused(f, "main.conf", 3, "did you mean \"name\"");
    assert_refused(f, "main.conf", 5, "is a whole number; a group");
    path_of(f, "rules.conf", path);
    unsigned of_rules = 0;
    for (size_t i = 0; i < f->problems.count; i++)
        of_rules += f->problems.items[i].line == 3 && strcmp(f->problems.items[i].file, path) == 0;
    assert_true(of_rules > 0);
}

static void includes_have_a_bound(void **state)
{
    struct fixture *f = *state;
    put(f, "loop.conf", base, "@include \"loop.conf\"\n");
    assert_refused(f, "loop.conf", 2, "nested too deeply");
    char text[1024] = "";
    for (int i = 0; i < 20; i++)
        strcat(text, "@include \"empty.conf\"\n");
    put(f, "empty.conf", "", "# nothing\n");
    put(f, "many.conf", base, text);
    assert_refused(f, "many.conf", 17, "is one too many");
}

static void a_profile_beside_the_file_is_found_and_checked(void **state)
{
    struct fixture *f = *state;
    char path[PATH_MAX];
    static const char device[] = "devices = ( { id = \"d\"; bus = \"x\"; unit = 1; profile = \"probe\"; } );\n";
    put(f, "main.conf", base, device);
    assert_int_equal(mkdir(path_of(f, "profiles", path), 0700), 0);
    put(f, "profiles/probe.conf", "name = \"probe\"; settle = 7;\n",
        "points = ( { name = \"p\"; register = 3; type = \"int16\"; } );\n");
    assert_int_equal(load(f, "main.conf"), 0);
    assert_int_equal(f->config->points[0].address, 3);
    assert_int_equal(f->config->devices[0].settle, 7);
    char hash[72];
    memcpy(hash, f->config->hash, sizeof hash);
    put(f, "profiles/probe.conf", "name = \"probe\"; settle = 8;\n",
        "points = ( { name = \"p\"; register = 3; type = \"int16\"; } );\n");
    assert_int_equal(load(f, "main.conf"), 0);
    assert_string_not_equal(hash, f->config->hash);
    put(f, "profiles/probe.conf", "name = \"prob\";\n", "points = ( { nam = \"p\"; } );\n");
    assert_refused(f, "main.conf", 1, "is not the name of the file");
    assert_refused(f, "main.conf", 2, "did you mean \"name\"");
}

static void a_password_that_others_can_read_is_an_error(void **state)
{
    struct fixture *f = *state;
    char path[PATH_MAX], mqtt[PATH_MAX + 128];
    put(f, "password", "secret\n", "");
    snprintf(mqtt, sizeof mqtt, "mqtt = { url = \"mqtt://127.0.0.1\"; password_file = \"%s\"; }; devices = ( );\n",
             path_of(f, "password", path));
    put(f, "main.conf", base, mqtt);
    assert_int_equal(chmod(path, 0644), 0);
    assert_refused(f, "main.conf", 2, "can be read by others (mode 0644); 0600 is required");
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(load(f, "main.conf"), 0);
}

static void the_shipped_files_are_valid(void **state)
{
    struct fixture *f = *state;
    static const char *const files[] = {"davyd.conf", "examples/rtu.conf", "examples/tcp.conf"};
    const char *source = getenv("DAVY_SOURCE");
    char path[PATH_MAX], text[1024];
    for (size_t i = 0; i < DAVY_LENGTH(files); i++) {
        davy_config_unref(f->config);
        f->config = NULL;
        davy_problems_done(&f->problems);
        snprintf(path, sizeof path, "%s/conf/%s", source ? source : ".", files[i]);
        int rc = davy_config_load(path, &f->problems, &f->config);
        for (size_t k = 0; k < f->problems.count; k++)
            print_message("    %s\n", davy_problem_format(&f->problems.items[k], text, sizeof text));
        assert_int_equal(rc, 0);
        assert_int_equal(f->problems.count, 0);
    }
}

static unsigned warnings_with(const struct fixture *f, const char *fragment)
{
    unsigned count = 0;
    for (size_t i = 0; i < f->problems.count; i++)
        count += f->problems.items[i].severity == DAVY_PROBLEM_WARNING &&
                 strstr(f->problems.items[i].message, fragment) != NULL;
    return count;
}

static void a_profile_that_is_not_verified_is_told_once(void **state)
{
    struct fixture *f = *state;
    char path[PATH_MAX];
    static const char points[] = "points = ( { name = \"p\"; register = 1; type = \"int16\"; } );\n";
    assert_int_equal(mkdir(path_of(f, "profiles", path), 0700), 0);
    put(f, "profiles/probe.conf", "name = \"probe\";\n", points);
    put(f, "profiles/proven.conf", "name = \"proven\"; verified = true;\n", points);
    put(f, "main.conf", base,
        "profiles = ( { name = \"own\"; points = ( { name = \"p\"; register = 1; type = \"int16\"; } ); } );\n"
        "devices = ( { id = \"a\"; bus = \"x\"; unit = 1; profile = \"probe\"; },\n"
        "            { id = \"b\"; bus = \"x\"; unit = 2; profile = \"probe\"; },\n"
        "            { id = \"c\"; bus = \"x\"; unit = 3; profile = \"proven\"; },\n"
        "            { id = \"d\"; bus = \"x\"; unit = 4; profile = \"own\"; } );\n");
    assert_int_equal(load(f, "main.conf"), 0);
    assert_int_equal(warnings_with(f, "\"probe\" was not verified on a device; its `notes` in "), 1);
    assert_int_equal(warnings_with(f, "not verified"), 1);
}

/* It decides what is an alarm. Yet a gateway that refuses to start because of it watches nothing. */
static void a_file_that_everybody_can_write_is_told_each_of_them(void **state)
{
    struct fixture *f = *state;
    char path[PATH_MAX];
    put(f, "main.conf", base, "devices = ( );\n@include \"more.conf\"\n");
    put(f, "more.conf", "rules = ( );\n", "");
    assert_int_equal(chmod(path_of(f, "main.conf", path), 0664), 0);
    assert_int_equal(chmod(path_of(f, "more.conf", path), 0644), 0);
    assert_int_equal(load(f, "main.conf"), 0);
    assert_int_equal(warnings_with(f, "everybody can write"), 0);
    assert_int_equal(chmod(path_of(f, "main.conf", path), 0666), 0);
    assert_int_equal(load(f, "main.conf"), 0);
    assert_int_equal(warnings_with(f, "everybody can write this file (mode 0666)"), 1);
    assert_int_equal(chmod(path_of(f, "more.conf", path), 0602), 0);
    assert_int_equal(load(f, "main.conf"), 0);
    assert_int_equal(warnings_with(f, "everybody can write"), 2);
}

/* A profile may have many points of which a plant needs few. */
static void points_without_a_limit_are_one_line_a_device(void **state)
{
    struct fixture *f = *state;
    char points[4096] = "", device[8192];
    for (unsigned i = 0; i < 40; i++)
        snprintf(points + strlen(points), sizeof points - strlen(points),
                 "%s{ name = \"p%u\"; register = %u; type = \"int16\"; }", i ? ", " : "", i, i);
    snprintf(device, sizeof device,
             "devices = ( { id = \"a\"; bus = \"x\"; unit = 1; points = ( %s ); },\n"
             "{ id = \"b\"; bus = \"x\"; unit = 2; points = ( { name = \"p\"; register = 1; type = \"int16\"; }, "
             "{ name = \"q\"; register = 2; type = \"int16\"; } ); } );\n"
             "rules = ( { name = \"r\"; points = [\"a.p1\", \"b.p\"]; red = { above = 4; deadband = 1; }; } );\n",
             points);
    put(f, "main.conf", base, device);
    assert_int_equal(load(f, "main.conf"), 0);
    assert_int_equal(warnings_with(f, "no limit at all"), 2);
    assert_int_equal(warnings_with(f, "b.q has no limit at all"), 1);
    assert_int_equal(warnings_with(f, "39 points of a have no limit at all: p0, p2, p3, "), 1);
    assert_int_equal(warnings_with(f, ", p39"), 1);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_is_not_a_regular_file_is_refused),
        CASE(a_file_of_five_megabytes_is_refused),
        CASE(a_problem_names_the_included_file_and_its_line),
        CASE(includes_have_a_bound),
        CASE(a_profile_beside_the_file_is_found_and_checked),
        CASE(a_password_that_others_can_read_is_an_error),
        CASE(the_shipped_files_are_valid),
        CASE(a_profile_that_is_not_verified_is_told_once),
        CASE(a_file_that_everybody_can_write_is_told_each_of_them),
        CASE(points_without_a_limit_are_one_line_a_device),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
