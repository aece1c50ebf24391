/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The power is cut again and again under one writer: what was reported stored is there afterwards, whole. Of what was
 * not synced each sector is on the disk or not by chance. DAVY_CUTS: how many cuts of each store, default 300.
 */
#include "record_support.h"

#include "fault_vfs.h"
#include "model/config.h"
#include "record/readings.h"
#include "record/verify.h"

#define CUTS_OF_ONE_FILE 250 /* then a new one is begun: each check reads all of it */
#define BATCH            50

struct fixture {
    struct folder folder;
    struct fault fault;
    struct davy_random random;
    int64_t stored; /* reported stored, in this folder */
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_int_equal(fault_install(&f->fault), SQLITE_OK);
    f->random.state = davy_test_seed(20261125);
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

static int cut_count(void)
{
    const char *given = getenv("DAVY_CUTS");
    return given ? atoi(given) : 300;
}

/* The power goes at one of the next operations; from then on nothing reaches the disk. */
static void arm(struct fixture *f)
{
    f->fault.recording = true;
    f->fault.fired = 0;
    f->fault.countdown = 1 + (int)(davy_random_next(&f->random) % 60);
    f->fault.result = SQLITE_IOERR_WRITE;
    f->fault.lasting = true;
}

static void power_is_back(struct fixture *f)
{
    fault_settle(&f->fault, NULL, &f->random);
    f->fault.recording = false;
    f->fault.countdown = 0;
}

/* From now on no operation succeeds, so that closing leaves the -wal as it is. */
static void break_off(struct fixture *f)
{
    f->fault.countdown = 1;
    f->fault.lasting = true;
    f->fault.result = SQLITE_IOERR_WRITE;
}

static void begin_folder(struct fixture *f)
{
    folder_new_in(&f->folder, access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    f->stored = 0;
}

/* ---- the ledger ------------------------------------------------------------------------------------------------ */

static struct davy_ledger *open_ledger(struct fixture *f)
{
    struct davy_ledger *ledger = NULL;
    bool aside = true;
    assert_int_equal(davy_ledger_open(f->folder.path, wall_s(0), &aside, &ledger), 0);
    assert_false(aside);
    assert_true(davy_ledger_last_seq(ledger) >= f->stored);
    return ledger;
}

/* One event a transaction until the power is cut. */
static void write_events(struct fixture *f, struct davy_ledger *ledger)
{
    struct sample_event s;
    while (f->fault.fired == 0) {
        int64_t seq = davy_ledger_last_seq(ledger) + 1;
        if (davy_ledger_begin(ledger) != 0 ||
            davy_ledger_append(ledger, sample(&s, seq, (int)(seq % 3), "unacknowledged")) != 0 ||
            davy_ledger_commit(ledger) != 0)
            break;
        f->stored = seq;
    }
}

static void check_ledger(struct fixture *f)
{
    char error[256] = "";
    struct davy_ledger_check checked;
    const char *file = folder_file(&f->folder, "ledger.db");
    assert_int_equal(davy_ledger_verify(file, &checked, error, sizeof(error)), 0);
    int64_t rows = checked.events.last;
    assert_true(rows >= f->stored);
    assert_int_equal(look_number(file, "SELECT count(*) FROM events"), rows);
    assert_int_equal(look_number(file, "SELECT max(seq) FROM events"), rows);
    assert_int_equal(look_number(file, "SELECT count(*) FROM outbox"), rows);
}

static void cut_ledger(struct fixture *f, bool leave_wal)
{
    struct davy_ledger *ledger = NULL;
    bool aside = false;
    arm(f);
    if (davy_ledger_open(f->folder.path, wall_s(0), &aside, &ledger) == 0)
        write_events(f, ledger);
    davy_ledger_close(ledger);
    assert_false(aside);
    power_is_back(f);
    ledger = open_ledger(f);
    f->stored = davy_ledger_last_seq(ledger);
    if (leave_wal)
        break_off(f);
    davy_ledger_close(ledger);
    f->fault.countdown = 0;
    check_ledger(f);
}

static void events_that_were_committed_survive_power_cuts(void **state)
{
    struct fixture *f = *state;
    int64_t events = 0;
    for (int i = 0; i < cut_count(); i++) {
        if (i % CUTS_OF_ONE_FILE == 0) {
            begin_folder(f);
            davy_ledger_close(open_ledger(f));
        }
        cut_ledger(f, i % 2 == 0);
        if (i % CUTS_OF_ONE_FILE == CUTS_OF_ONE_FILE - 1 || i == cut_count() - 1) {
            events += f->stored;
            folder_done(&f->folder);
        }
    }
    print_message("%d cuts, %lld events\n", cut_count(), (long long)events);
    assert_true(events > cut_count() / 2);
}

/* ---- readings -------------------------------------------------------------------------------------------------- */

static int open_readings(struct fixture *f, const struct davy_config *config, struct davy_readings **ret)
{
    bool aside = false;
    int r = davy_readings_open(f->folder.path, wall_s(0), &aside, ret);
    assert_false(r == 0 && aside);
    if (r == 0)
        r = davy_readings_configure(*ret, config);
    if (r < 0)
        *ret = davy_readings_close(*ret);
    return r;
}

/* Readings and the telemetry that tells them: all or nothing. */
static int write_batch(struct davy_readings *readings, int64_t batch)
{
    int r = davy_readings_begin(readings);
    for (int64_t i = 0; r == 0 && i < BATCH; i++) {
        struct davy_reading reading = {.has_value = true, .value = (double)i, .at = {{0}, wall_s(60 * batch + i)}};
        r = davy_readings_append(readings, &reading);
    }
    if (r == 0)
        r = davy_readings_outbox_add(readings, "t", "{}");
    return r == 0 ? davy_readings_commit(readings) : r;
}

static void write_batches(struct fixture *f, struct davy_readings *readings)
{
    while (f->fault.fired == 0) {
        int64_t batch = davy_readings_outbox_count(readings) + 1;
        if (write_batch(readings, batch) != 0)
            break;
        f->stored = batch;
    }
}

static void check_readings(struct fixture *f)
{
    const char *file = folder_file(&f->folder, "readings.db");
    char text[64];
    int64_t batches = look_number(file, "SELECT count(*) FROM outbox");
    assert_true(batches >= f->stored);
    assert_int_equal(look_number(file, "SELECT count(*) FROM readings"), BATCH * batches);
    look(file, "PRAGMA integrity_check", text, sizeof(text));
    assert_string_equal(text, "ok");
}

static void cut_readings(struct fixture *f, const struct davy_config *config, bool leave_wal)
{
    struct davy_readings *readings = NULL;
    arm(f);
    if (open_readings(f, config, &readings) == 0)
        write_batches(f, readings);
    davy_readings_close(readings);
    power_is_back(f);
    assert_int_equal(open_readings(f, config, &readings), 0);
    assert_true(davy_readings_outbox_count(readings) >= f->stored);
    f->stored = davy_readings_outbox_count(readings);
    if (leave_wal)
        break_off(f);
    davy_readings_close(readings);
    f->fault.countdown = 0;
    check_readings(f);
}

static void readings_that_were_committed_survive_power_cuts(void **state)
{
    struct fixture *f = *state;
    struct davy_device device = {.id = "GT-1", .point_count = 1};
    struct davy_point point = {.name = "h2s"};
    struct davy_config config = {.devices = &device, .device_count = 1, .points = &point, .point_count = 1};
    config.storage.max_size_bytes = INT64_C(64) << 20;
    int64_t batches = 0;
    for (int i = 0; i < cut_count(); i++) {
        if (i % CUTS_OF_ONE_FILE == 0)
            begin_folder(f);
        cut_readings(f, &config, i % 2 == 0);
        if (i % CUTS_OF_ONE_FILE == CUTS_OF_ONE_FILE - 1 || i == cut_count() - 1) {
            batches += f->stored;
            folder_done(&f->folder);
        }
    }
    print_message("%d cuts, %lld batches\n", cut_count(), (long long)batches);
    assert_true(batches > cut_count() / 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(events_that_were_committed_survive_power_cuts),
        TEST(readings_that_were_committed_survive_power_cuts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
