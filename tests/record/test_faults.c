/* SPDX-License-Identifier: Apache-2.0 */
/* The disk fails at every single operation of a run in turn: nothing that was reported stored may be gone or changed.
 */
#include "record_support.h"

#include <errno.h>
#include <glob.h>

#include "fault_vfs.h"
#include "model/config.h"
#include "record/query.h"
#include "record/readings.h"
#include "record/verify.h"

#define EVENTS 8

struct fixture {
    struct folder folder;
    struct fault fault;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_int_equal(fault_install(&f->fault), SQLITE_OK);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    fault_remove(&f->fault);
    free(f);
    return 0;
}

/* One attempt to store events up to number `upto`; the caller repeats it, as the record stage does. */
static int attempt(struct davy_ledger *ledger, int64_t upto)
{
    struct sample_event s;
    int r = davy_ledger_begin(ledger);
    if (r < 0)
        return r;
    assert_int_equal(r, 0);
    for (int64_t seq = davy_ledger_last_seq(ledger) + 1; seq <= upto; seq++) {
        r = davy_ledger_append(ledger, sample(&s, seq, (int)(seq % 3), "unacknowledged"));
        if (r < 0)
            return r;
    }
    return davy_ledger_commit(ledger);
}

static int open_patiently(struct fixture *f, struct davy_ledger **ret_ledger, bool *ret_aside)
{
    int r = -EIO;
    for (int i = 0; r < 0 && i < 4; i++)
        r = davy_ledger_open(f->folder.path, wall_s(0), ret_aside, ret_ledger);
    return r;
}

/* The number of the last event that was reported stored. */
static int64_t run(struct fixture *f, struct davy_ledger *ledger)
{
    int64_t stored = davy_ledger_last_seq(ledger);
    for (int64_t upto = 1; upto <= EVENTS; upto += 1 + upto % 2) {
        for (int i = 0; i < 6; i++) {
            int r = attempt(ledger, upto);
            assert_true(davy_ledger_last_seq(ledger) >= stored);
            if (r == 0) {
                stored = davy_ledger_last_seq(ledger);
                break;
            }
            assert_true(r == -EIO || r == -ENOSPC);
            assert_true(f->fault.fired > 0);
        }
    }
    return stored;
}

static void check(struct fixture *f, int64_t stored)
{
    char error[256] = "";
    struct davy_ledger_check checked;
    const char *file = folder_file(&f->folder, "ledger.db");
    assert_int_equal(davy_ledger_verify(file, &checked, error, sizeof(error)), 0);
    int64_t rows = checked.events.rows;
    assert_true(rows >= stored && checked.pending == rows);
    assert_int_equal(look_number(file, "SELECT count(*) FROM events"), rows);
    assert_int_equal(look_number(file, "SELECT max(seq) FROM events"), rows);
    assert_int_equal(look_number(file, "SELECT count(*) FROM outbox"), rows);
}

/* Lets operation `n` fail. False once a run has fewer operations. */
static bool one_run(struct fixture *f, int n, int result, bool lasting)
{
    struct davy_ledger *ledger = NULL;
    bool aside = false;
    /* the faults are the test's own: in memory there are some thousand syncs fewer to wait for */
    folder_new_in(&f->folder, access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    f->fault.countdown = n;
    f->fault.result = result;
    f->fault.lasting = lasting;
    f->fault.fired = 0;
    int64_t stored = 0;
    int opened = open_patiently(f, &ledger, &aside);
    if (opened == 0)
        stored = run(f, ledger);
    f->fault.countdown = 0; /* the disk is well again */
    if (opened < 0)
        assert_int_equal(davy_ledger_open(f->folder.path, wall_s(0), &aside, &ledger), 0);
    for (int i = 0; i < 2 && davy_ledger_last_seq(ledger) < EVENTS; i++)
        (void)attempt(ledger, EVENTS);
    assert_int_equal(davy_ledger_last_seq(ledger), EVENTS);
    davy_ledger_close(ledger);
    check(f, stored);
    folder_done(&f->folder);
    return f->fault.fired > 0;
}

static void every_operation_fails_in_turn(struct fixture *f, int result, bool lasting)
{
    int n = 1;
    while (one_run(f, n, result, lasting))
        n++;
    print_message("%d operations\n", n - 1);
    assert_true(n > 20);
}

static void a_write_or_sync_that_fails_once_loses_nothing(void **state)
{
    every_operation_fails_in_turn(*state, SQLITE_IOERR_WRITE, false);
    every_operation_fails_in_turn(*state, SQLITE_IOERR_FSYNC, false);
}

static void a_disk_that_fails_for_a_while_loses_nothing(void **state)
{
    every_operation_fails_in_turn(*state, SQLITE_IOERR_WRITE, true);
}

static void a_disk_that_is_full_for_a_while_loses_nothing(void **state)
{
    every_operation_fails_in_turn(*state, SQLITE_FULL, false);
    every_operation_fails_in_turn(*state, SQLITE_FULL, true);
}

static bool was_set_aside(struct fixture *f)
{
    glob_t found;
    char pattern[128];
    snprintf(pattern, sizeof(pattern), "%s/*.corrupt-*", f->folder.path);
    bool any = glob(pattern, 0, NULL, &found) == 0;
    globfree(&found);
    return any;
}

/* SQLite says of a read that fails that the database is malformed. */
static void a_disk_that_cannot_be_read_for_a_while_is_no_damaged_file(void **state)
{
    struct fixture *f = *state;
    struct davy_ledger *ledger = NULL;
    struct davy_outbox_row row;
    const int64_t many = 3000; /* more than SQLite keeps in memory */
    folder_new_in(&f->folder, access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_int_equal(davy_ledger_open(f->folder.path, wall_s(0), NULL, &ledger), 0);
    assert_int_equal(attempt(ledger, many), 0);
    f->fault.read_error = EIO;
    assert_int_equal(davy_ledger_outbox_next(ledger, 0, &row), -EIO);
    for (int i = 0; i < 3; i++)
        assert_int_equal(davy_ledger_begin(ledger), -EIO);
    assert_false(was_set_aside(f));
    f->fault.read_error = 0;
    assert_int_equal(attempt(ledger, many + 1), 0);
    assert_int_equal(davy_ledger_outbox_next(ledger, 0, &row), 0);
    davy_ledger_close(ledger);
    check(f, many + 1);
    folder_done(&f->folder);
}

/* One batch of readings and a message of telemetry. */
static int attempt_batch(struct davy_readings *readings, int64_t batch)
{
    int r = davy_readings_begin(readings);
    if (r < 0)
        return r;
    assert_int_equal(r, 0);
    for (int64_t i = 0; i < 50; i++) {
        struct davy_reading reading = {.has_value = true, .value = (double)i, .at = {{0}, wall_s(batch * 43200 + i)}};
        r = davy_readings_append(readings, &reading);
        if (r < 0)
            return r;
    }
    r = davy_readings_outbox_add(readings, "t", "{}");
    return r < 0 ? r : davy_readings_commit(readings);
}

static int open_readings(struct fixture *f, const struct davy_config *config, struct davy_readings **ret)
{
    struct davy_readings *readings = NULL;
    bool aside = false;
    int r = -EIO;
    for (int i = 0; r < 0 && i < 4; i++)
        r = davy_readings_open(f->folder.path, wall_s(0), &aside, &readings);
    for (int i = 0; readings && i < 4 && (i == 0 || r < 0); i++)
        r = davy_readings_configure(readings, config);
    if (r < 0)
        davy_readings_close(readings);
    else
        *ret = readings;
    return r;
}

static bool one_run_of_readings(struct fixture *f, int n, const struct davy_config *config)
{
    struct davy_readings *readings = NULL;
    int64_t stored = 0;
    folder_new_in(&f->folder, access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    f->fault.countdown = n;
    f->fault.result = SQLITE_IOERR_WRITE;
    f->fault.lasting = false;
    f->fault.fired = 0;
    assert_int_equal(open_readings(f, config, &readings), 0);
    for (int64_t batch = 0; batch < 6; batch++) {
        for (int i = 0; i < 3; i++) {
            int r = attempt_batch(readings, batch);
            stored += r == 0;
            if (r == 0)
                break;
            assert_int_equal(r, -EIO);
        }
    }
    f->fault.countdown = 0;
    assert_int_equal(stored, 6);
    assert_true(davy_readings_outbox_count(readings) >= 6); /* one that failed may be stored after all */
    int64_t count = davy_readings_outbox_count(readings);
    davy_readings_close(readings);
    const char *file = folder_file(&f->folder, "readings.db");
    assert_int_equal(look_number(file, "SELECT count(*) FROM readings"), 50 * count);
    assert_int_equal(look_number(file, "SELECT count(*) FROM outbox"), count);
    folder_done(&f->folder);
    return f->fault.fired > 0;
}

static void readings_go_on_after_any_fault(void **state)
{
    struct davy_device device = {.id = "GT-1", .point_count = 1};
    struct davy_point point = {.name = "h2s"};
    struct davy_config config = {.devices = &device, .device_count = 1, .points = &point, .point_count = 1};
    config.storage.max_size_bytes = INT64_C(64) << 20;
    int n = 1;
    while (one_run_of_readings(*state, n, &config))
        n++;
    print_message("%d operations\n", n - 1);
    assert_true(n > 30);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_write_or_sync_that_fails_once_loses_nothing),
        TEST(a_disk_that_fails_for_a_while_loses_nothing),
        TEST(a_disk_that_is_full_for_a_while_loses_nothing),
        TEST(a_disk_that_cannot_be_read_for_a_while_is_no_damaged_file),
        TEST(readings_go_on_after_any_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
