/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ledger of the first released schemas becomes one of today: in one transaction, whatever fails in the middle of it,
 * with every event, action, outbox row and memory it had. Never back.
 */
#include "record_support.h"

#include <errno.h>

#include "base/buf.h"
#include "fault_vfs.h"
#include "record/verify.h"
#include "src/record/chain.h"
#include "src/record/reader.h"

#define EVENTS  12
#define ACTIONS 4

static const char memory_key[] = "h2s:GT-1.h2s";

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

static const char *file_of(struct fixture *f)
{
    return folder_file(&f->folder, "ledger.db");
}

static void run_sql(struct davy_db *db, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *sql = sqlite3_vmprintf(format, arguments);
    va_end(arguments);
    if (davy_db_exec(db, sql) < 0)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db->handle));
    sqlite3_free(sql);
}

/* A row as the first versions wrote it: an action names no event. */
static void add_row(struct davy_db *db, const char *table, int64_t seq, uint8_t hash[DAVY_HASH_SIZE])
{
    char payload[256], text[2 * DAVY_HASH_SIZE + 1];
    bool event = strcmp(table, "event") == 0;
    snprintf(payload, sizeof payload,
             event ? "{\"schema\":\"davy.alarm/1\",\"seq\":%lld,\"state\":\"unacknowledged\"}"
                   : "{\"seq\":%lld,\"by\":\"local:wang\",\"verb\":\"ack\"}",
             (long long)seq);
    davy_chain_next(hash, payload, strlen(payload), hash);
    davy_chain_text(hash, text);
    run_sql(db, "INSERT INTO %s (seq, time_us, hash, payload) VALUES (%lld, %lld, X'%s', '%s')", table, (long long)seq,
            (long long)(T0 / 1000 + seq), text, payload);
    if (event)
        run_sql(
            db,
            "UPDATE event SET state = 'unacknowledged', topic = 1, alarm = 'h2s:GT-1.h2s', sent_us = iif(seq < 9, 1,"
            " NULL) WHERE seq = %lld; INSERT INTO outbox (row, topic) SELECT 2 * seq, 1 FROM event WHERE seq = %lld"
            " AND sent_us IS NULL",
            (long long)seq, (long long)seq);
}

/* A ledger of schema `version`, closed; pruned up to event and action `pruned`. */
static void make_old(struct fixture *f, int version, int64_t pruned)
{
    struct davy_db db;
    uint8_t events[DAVY_HASH_SIZE] = {0}, actions[DAVY_HASH_SIZE] = {0};
    struct davy_db_schema schema = davy_ledger_schema;
    schema.version = version;
    schema.statement_count = 0;
    folder_new_in(&f->folder, access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    schema.filled = false;
    assert_int_equal(davy_db_open(&db, f->folder.path, &schema), 0);
    run_sql(&db, "INSERT INTO topic VALUES (1, 't', %d)", 2 * EVENTS);
    for (int64_t seq = 1; seq <= EVENTS; seq++)
        add_row(&db, "event", seq, events);
    for (int64_t seq = 1; seq <= ACTIONS; seq++)
        add_row(&db, "action", seq, actions);
    run_sql(&db, "INSERT INTO latest (alarm, seq) VALUES ('%s', %d)", memory_key, EVENTS);
    run_sql(&db, "INSERT INTO memory VALUES ('%s', 1, %lld, 'boot', 'kept as it is')", memory_key, (long long)T0);
    run_sql(&db,
            "UPDATE chain SET (seq, hash) = (SELECT seq, hash FROM event WHERE seq = %lld) WHERE name = 'event' AND "
            "%lld > 0;"
            "UPDATE chain SET (seq, hash) = (SELECT seq, hash FROM action WHERE seq = %lld) WHERE name = 'action' AND "
            "%lld > 0;"
            "DELETE FROM event WHERE seq <= %lld; DELETE FROM action WHERE seq <= %lld",
            (long long)pruned, (long long)pruned, (long long)pruned, (long long)pruned, (long long)pruned,
            (long long)pruned);
    davy_db_close(&db);
}

static void check(struct fixture *f, int64_t pruned, int64_t more)
{
    struct davy_ledger_check found;
    char error[256] = "", text[64];
    if (davy_ledger_verify(file_of(f), &found, error, sizeof error) != 0)
        fail_msg("%s %s %lld: %s", error, found.bad_strand, (long long)found.bad_seq, found.reason);
    assert_true(found.summed);
    assert_int_equal(found.events.after, pruned);
    assert_int_equal(found.events.last, EVENTS + more);
    assert_int_equal(found.actions.last, ACTIONS + more);
    assert_int_equal(found.untied, ACTIONS - pruned);
    assert_int_equal(found.tied, more);
    assert_int_equal(found.decided, EVENTS + more);
    assert_int_equal(found.delivered, 8);
    assert_int_equal(found.pending, EVENTS - 8 + more);
    look(file_of(f), "SELECT body FROM memory WHERE alarm = 'h2s:GT-1.h2s'", text, sizeof text);
    assert_string_equal(text, "kept as it is");
    assert_int_equal(look_number(file_of(f), "SELECT count(*) FROM latest"), 1);
}

static void open_and_write(struct fixture *f)
{
    struct davy_ledger *ledger = NULL;
    struct sample_event s;
    bool aside = true;
    assert_int_equal(davy_ledger_open(f->folder.path, wall_s(0), &aside, &ledger), 0);
    assert_false(aside);
    assert_int_equal(davy_ledger_last_seq(ledger), EVENTS);
    assert_int_equal(davy_ledger_outbox_count(ledger), EVENTS - 8);
    assert_int_equal(davy_ledger_begin(ledger), 0);
    assert_int_equal(davy_ledger_append(ledger, sample(&s, EVENTS + 1, 1, "unacknowledged")), 0);
    assert_int_equal(davy_ledger_act(ledger, &(struct davy_ledger_action){.time = wall_s(1), .verb = "ack"}), 0);
    assert_int_equal(davy_ledger_commit(ledger), 0);
    davy_ledger_close(ledger);
}

static void every_older_schema_becomes_that_of_today(void **state)
{
    struct fixture *f = *state;
    for (int version = 1; version < davy_ledger_schema.version; version++) {
        for (int64_t pruned = 0; pruned <= 3; pruned += 3) {
            make_old(f, version, pruned);
            open_and_write(f);
            check(f, pruned, 1);
            folder_done(&f->folder);
        }
    }
}

/* An older file verifies as far as it can: the daemon has not been there yet. */
static void an_older_file_is_verified_without_its_sum(void **state)
{
    struct fixture *f = *state;
    struct davy_ledger_check found;
    char error[256] = "";
    make_old(f, 2, 3);
    assert_int_equal(davy_ledger_verify(file_of(f), &found, error, sizeof error), 0);
    assert_false(found.summed);
    assert_int_equal(found.events.rows, EVENTS - 3);
    assert_int_equal(found.untied, ACTIONS - 3);
    folder_done(&f->folder);
}

/* Operation `n` of the migration fails, for good or once; or the power goes. False once it has fewer. */
static bool interrupt(struct fixture *f, int version, int n, int result, bool lasting, struct davy_random *power)
{
    struct davy_ledger *ledger = NULL;
    make_old(f, version, 3);
    f->fault.countdown = n;
    f->fault.result = result;
    f->fault.lasting = lasting || power;
    f->fault.fired = 0;
    f->fault.recording = power != NULL;
    int r = davy_ledger_open(f->folder.path, wall_s(0), NULL, &ledger);
    ledger = davy_ledger_close(ledger);
    bool struck = f->fault.fired > 0;
    f->fault.countdown = 0;
    if (power)
        fault_settle(&f->fault, NULL, power);
    f->fault.recording = false;
    f->fault.fired = 0;
    assert_true(r == 0 || struck);
    int64_t found = look_number(file_of(f), "PRAGMA user_version");
    assert_true(found == version || found == davy_ledger_schema.version);
    assert_int_equal(look_number(file_of(f), "SELECT count(*) FROM event"), EVENTS - 3);
    open_and_write(f);
    check(f, 3, 1);
    folder_done(&f->folder);
    return struck;
}

static void a_migration_that_fails_anywhere_changes_nothing_or_all(void **state)
{
    struct fixture *f = *state;
    static const int results[] = {SQLITE_IOERR_WRITE, SQLITE_IOERR_FSYNC, SQLITE_FULL};
    int n = 1;
    for (size_t i = 0; i < DAVY_LENGTH(results); i++) {
        for (n = 1; interrupt(f, 2, n, results[i], i % 2, NULL); n++)
            ;
        assert_true(n > 10);
    }
    print_message("%d operations\n", n);
}

static void the_power_may_go_at_any_write_of_a_migration(void **state)
{
    struct fixture *f = *state;
    struct davy_random random = {davy_test_seed(20261125)};
    for (int version = 1; version < davy_ledger_schema.version; version++)
        for (int n = 1; interrupt(f, version, n, SQLITE_IOERR_WRITE, true, &random); n++)
            ;
}

static void a_newer_schema_is_refused_with_a_reason_and_left_alone(void **state)
{
    struct fixture *f = *state;
    struct davy_ledger *ledger = NULL;
    struct davy_ledger_check found;
    char text[16], error[256] = "";
    make_old(f, 2, 0);
    look(file_of(f), "PRAGMA user_version=99", text, sizeof(text));
    assert_int_equal(davy_ledger_open(f->folder.path, wall_s(0), NULL, &ledger), -EPROTONOSUPPORT);
    assert_null(ledger);
    assert_non_null(strstr(davy_ledger_reason(-EPROTONOSUPPORT), "newer version"));
    assert_int_equal(look_number(file_of(f), "PRAGMA user_version"), 99);
    assert_int_equal(davy_ledger_verify(file_of(f), &found, error, sizeof error), -EPROTONOSUPPORT);
    assert_non_null(strstr(error, "newer schema"));
    folder_done(&f->folder);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_older_schema_becomes_that_of_today),
        TEST(an_older_file_is_verified_without_its_sum),
        TEST(a_migration_that_fails_anywhere_changes_nothing_or_all),
        TEST(the_power_may_go_at_any_write_of_a_migration),
        TEST(a_newer_schema_is_refused_with_a_reason_and_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
