/* SPDX-License-Identifier: Apache-2.0 */
/* Losses are declared in the ledger: each once, few rows, the sum right whatever fails in between. */
#include "record_support.h"

#include "fault_vfs.h"
#include "record/verify.h"

struct fixture {
    struct folder folder;
    struct fault fault;
    struct davy_ledger *ledger;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    folder_new(&f->folder);
    assert_int_equal(fault_install(&f->fault), SQLITE_OK);
    assert_int_equal(davy_ledger_open(f->folder.path, wall_s(0), NULL, &f->ledger), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    davy_ledger_close(f->ledger);
    fault_remove(&f->fault);
    folder_done(&f->folder);
    free(f);
    return 0;
}

static const char *file_of(struct fixture *f)
{
    return folder_file(&f->folder, "ledger.db");
}

static struct davy_stamp at(int64_t seconds)
{
    return (struct davy_stamp){{seconds * DAVY_NS_PER_S}, wall_s(seconds)};
}

static void lose(struct fixture *f, enum davy_loss_kind kind, int64_t count, int64_t second)
{
    const struct davy_ledger_loss loss = {
        .kind = kind, .count = count, .from = wall_s(second - 1), .to = wall_s(second), .why = "disk full"};
    davy_ledger_declare(f->ledger, &loss, at(second));
}

static void commit(struct fixture *f)
{
    assert_true(davy_ledger_begin(f->ledger) >= 0);
    assert_int_equal(davy_ledger_commit(f->ledger), 0);
}

static int64_t rows(struct fixture *f, const char *what)
{
    char sql[128];
    snprintf(sql, sizeof sql, "SELECT count(*) FROM actions WHERE verb = 'loss' AND target = '%s'", what);
    return look_number(file_of(f), sql);
}

/* In rows of the actions, and waiting for one. */
static int64_t declared(struct fixture *f, const char *what)
{
    char sql[256];
    snprintf(sql, sizeof sql,
             "SELECT (SELECT coalesce(sum(json_extract(detail, '$.count')), 0) FROM actions WHERE verb = 'loss'"
             " AND target = '%s') + (SELECT count FROM loss WHERE what = '%s')",
             what, what);
    return look_number(file_of(f), sql);
}

static int64_t total(struct fixture *f, const char *what)
{
    char sql[128];
    snprintf(sql, sizeof sql, "SELECT total FROM loss WHERE what = '%s'", what);
    return look_number(file_of(f), sql);
}

static void a_loss_is_an_action_of_the_daemon(void **state)
{
    struct fixture *f = *state;
    char text[256];
    lose(f, DAVY_LOSS_READINGS, 7, 100);
    assert_int_equal(rows(f, "readings"), 0); /* with the next commit */
    commit(f);
    look(file_of(f), "SELECT \"by\" || ' ' || verb || ' ' || target || ' ' || detail FROM actions", text, sizeof text);
    assert_string_equal(text, "davyd loss readings {\"count\":7,\"from\":\"2026-09-21T14:14:59.000Z\","
                              "\"to\":\"2026-09-21T14:15:00.000Z\",\"why\":\"disk full\"}");
    assert_int_equal(look_number(file_of(f), "SELECT time_us / 1000000 FROM actions"), wall_s(100).ns / DAVY_NS_PER_S);
}

static void events_that_had_a_number_are_named_by_it(void **state)
{
    struct fixture *f = *state;
    char text[256];
    const struct davy_ledger_loss loss = {
        .kind = DAVY_LOSS_EVENTS, .count = 3, .from_seq = 5, .to_seq = 7, .why = "set aside"};
    davy_ledger_declare(f->ledger, &loss, at(1));
    davy_ledger_declare(f->ledger, &(struct davy_ledger_loss){.kind = DAVY_LOSS_TELEMETRY, .count = 1}, at(1));
    commit(f);
    look(file_of(f), "SELECT detail FROM actions WHERE target = 'events'", text, sizeof text);
    assert_string_equal(text, "{\"count\":3,\"from\":5,\"to\":7,\"why\":\"set aside\"}");
    look(file_of(f), "SELECT detail FROM actions WHERE target = 'telemetry'", text, sizeof text);
    assert_string_equal(text, "{\"count\":1,\"from\":null,\"to\":null,\"why\":\"\"}");
}

static void there_is_a_row_a_minute_and_the_rest_is_summed(void **state)
{
    struct fixture *f = *state;
    char text[256];
    for (int64_t s = 100; s < 160; s++) {
        lose(f, DAVY_LOSS_READINGS, 2, s);
        commit(f);
    }
    assert_int_equal(rows(f, "readings"), 1);
    assert_int_equal(declared(f, "readings"), 120);
    assert_int_equal(davy_ledger_tend(f->ledger, at(159)), 0);
    assert_int_equal(davy_ledger_tend(f->ledger, at(160)), 1);
    commit(f);
    assert_int_equal(davy_ledger_tend(f->ledger, at(400)), 0);
    assert_int_equal(rows(f, "readings"), 2);
    look(file_of(f), "SELECT detail FROM actions WHERE seq = 2", text, sizeof text);
    assert_string_equal(text, "{\"count\":118,\"from\":\"2026-09-21T14:15:00.000Z\","
                              "\"to\":\"2026-09-21T14:15:59.000Z\",\"why\":\"disk full\"}");
    assert_int_equal(declared(f, "readings"), 120);
    assert_int_equal(total(f, "readings"), 120);
}

static void each_kind_has_its_own_minute_and_each_cause_is_named(void **state)
{
    struct fixture *f = *state;
    char text[256];
    lose(f, DAVY_LOSS_READINGS, 1, 100);
    commit(f);
    lose(f, DAVY_LOSS_TELEMETRY, 1, 101);
    lose(f, DAVY_LOSS_TELEMETRY, 1, 101);
    davy_ledger_declare(
        f->ledger, &(struct davy_ledger_loss){.kind = DAVY_LOSS_TELEMETRY, .count = 1, .why = "queue full"}, at(102));
    commit(f);
    assert_int_equal(rows(f, "telemetry"), 1);
    look(file_of(f), "SELECT json_extract(detail, '$.why') FROM actions WHERE target = 'telemetry'", text, sizeof text);
    assert_string_equal(text, "disk full; queue full");
}

static void what_waits_for_its_minute_survives_a_restart(void **state)
{
    struct fixture *f = *state;
    for (int64_t s = 100; s < 110; s++) {
        lose(f, DAVY_LOSS_READINGS, 1, s);
        commit(f);
    }
    f->ledger = davy_ledger_close(f->ledger);
    assert_int_equal(davy_ledger_open(f->folder.path, wall_s(200), NULL, &f->ledger), 0);
    assert_int_equal(davy_ledger_tend(f->ledger, at(5)), 1);
    commit(f);
    assert_int_equal(rows(f, "readings"), 2);
    assert_int_equal(declared(f, "readings"), 10);
    assert_int_equal(total(f, "readings"), 10);
}

static void a_loss_goes_on_into_a_new_file(void **state)
{
    struct fixture *f = *state;
    lose(f, DAVY_LOSS_READINGS, 1, 100);
    commit(f);
    lose(f, DAVY_LOSS_READINGS, 4, 101);
    commit(f);
    lose(f, DAVY_LOSS_READINGS, 5, 102);
    assert_int_equal(unlink(file_of(f)), 0);
    commit(f);
    assert_int_equal(declared(f, "readings"), 9); /* the row of the first is in the old file */
    assert_int_equal(total(f, "readings"), 10);
}

/* The n-th operation of a commit with a loss fails, for each n: the sum is right in the end. */
static void a_commit_that_fails_anywhere_counts_no_loss_twice_or_never(void **state)
{
    struct fixture *f = *state;
    int64_t sum = 0;
    for (int n = 1; n <= 24; n++) {
        int64_t second = 100 + 70 * n;
        lose(f, DAVY_LOSS_TELEMETRY, n, second);
        sum += n;
        f->fault.countdown = n;
        f->fault.result = n % 2 ? SQLITE_IOERR_WRITE : SQLITE_IOERR_FSYNC;
        int r = -1;
        for (int i = 0; r < 0 && i < 6; i++) {
            r = davy_ledger_begin(f->ledger);
            if (r >= 0)
                r = davy_ledger_commit(f->ledger);
            if (r < 0 && i == 0) { /* more is lost while it fails */
                lose(f, DAVY_LOSS_TELEMETRY, 1000, second);
                sum += 1000;
            }
        }
        f->fault.countdown = 0;
        assert_int_equal(r, 0);
        assert_int_equal(declared(f, "telemetry"), sum);
        assert_int_equal(total(f, "telemetry"), sum);
    }
    char error[256] = "";
    struct davy_ledger_check check;
    assert_int_equal(davy_ledger_verify(file_of(f), &check, error, sizeof error), 0);
    assert_int_equal(check.lost_telemetry, sum);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_loss_is_an_action_of_the_daemon),
        TEST(events_that_had_a_number_are_named_by_it),
        TEST(there_is_a_row_a_minute_and_the_rest_is_summed),
        TEST(each_kind_has_its_own_minute_and_each_cause_is_named),
        TEST(what_waits_for_its_minute_survives_a_restart),
        TEST(a_loss_goes_on_into_a_new_file),
        TEST(a_commit_that_fails_anywhere_counts_no_loss_twice_or_never),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
