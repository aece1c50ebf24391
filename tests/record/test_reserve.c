/* SPDX-License-Identifier: Apache-2.0 */
#include "record/reserve.h"

#include "record_support.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/statvfs.h>

#define MIB (INT64_C(1) << 20)

static int setup(void **state)
{
    struct folder *folder = calloc(1, sizeof *folder);
    folder_new(folder);
    *state = folder;
    return 0;
}

static int teardown(void **state)
{
    folder_done(*state);
    free(*state);
    return 0;
}

/* Bytes that its blocks take; below 0: there is none. */
static int64_t taken(struct folder *folder)
{
    struct stat found;
    return stat(folder_file(folder, "reserve"), &found) == 0 ? (int64_t)found.st_blocks * 512 : -1;
}

/* Some file systems allocate nothing ahead. */
static void keep(struct folder *folder, int64_t bytes)
{
    int r = davy_reserve_keep(folder->path, bytes);
    if (r == -EOPNOTSUPP)
        skip();
    assert_int_equal(r, 0);
}

static void what_is_kept_is_allocated(void **state)
{
    keep(*state, MIB);
    assert_true(taken(*state) >= MIB);
    keep(*state, 2 * MIB);
    assert_true(taken(*state) >= 2 * MIB);
}

static void it_is_given_back_in_steps_until_nothing_is_left(void **state)
{
    struct folder *folder = *state;
    keep(folder, MIB);
    assert_int_equal(davy_reserve_release(folder->path, MIB / 4 * 3), MIB / 4 * 3);
    assert_true(taken(folder) < MIB / 2);
    assert_int_equal(davy_reserve_release(folder->path, MIB / 4 * 3), MIB / 4);
    assert_int_equal(davy_reserve_release(folder->path, MIB), 0);
    keep(folder, MIB);
    assert_true(taken(folder) >= MIB);
}

static void one_that_is_larger_is_left_as_it_is(void **state)
{
    keep(*state, 2 * MIB);
    keep(*state, MIB);
    assert_true(taken(*state) >= 2 * MIB);
}

static void none_is_nothing_to_give_back(void **state)
{
    struct folder *folder = *state;
    assert_int_equal(davy_reserve_release(folder->path, MIB), 0);
    assert_int_equal(taken(folder), -1);
}

/* It is truncated: never what somebody has put in its place. */
static void nothing_else_is_touched(void **state)
{
    struct folder *folder = *state;
    char target[128];
    snprintf(target, sizeof target, "%s", folder_file(folder, "precious"));
    assert_true(close(open(target, O_CREAT | O_WRONLY, 0600)) == 0 && truncate(target, 100) == 0);
    assert_int_equal(symlink(target, folder_file(folder, "reserve")), 0);
    assert_int_equal(davy_reserve_keep(folder->path, MIB), -ELOOP);
    assert_int_equal(davy_reserve_release(folder->path, MIB), -ELOOP);
    assert_int_equal(unlink(folder_file(folder, "reserve")), 0);
    assert_int_equal(mkfifo(folder_file(folder, "reserve"), 0600), 0);
    assert_true(davy_reserve_keep(folder->path, MIB) < 0);
    assert_true(davy_reserve_release(folder->path, MIB) < 0);
    struct stat found;
    assert_true(stat(target, &found) == 0 && found.st_size == 100);
}

static void a_folder_that_is_not_there_is_an_error_to_keep(void **state)
{
    (void)state;
    assert_int_equal(davy_reserve_keep("/nonexistent", MIB), -ENOENT);
    assert_int_equal(davy_reserve_release("/nonexistent", MIB), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_kept_is_allocated),
        TEST(it_is_given_back_in_steps_until_nothing_is_left),
        TEST(one_that_is_larger_is_left_as_it_is),
        TEST(none_is_nothing_to_give_back),
        TEST(nothing_else_is_touched),
        TEST(a_folder_that_is_not_there_is_an_error_to_keep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
