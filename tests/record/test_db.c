/* SPDX-License-Identifier: Apache-2.0 */
#include "record_support.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "src/record/chain.h"
#include "src/record/db.h"

static const char *const steps[] = {
    "CREATE TABLE a (x INTEGER NOT NULL) STRICT; INSERT INTO a VALUES (1)",
    "CREATE TABLE b (y TEXT) STRICT; UPDATE a SET x = x + 1",
};

static const char *const broken_steps[] = {
    "CREATE TABLE a (x INTEGER NOT NULL) STRICT; INSERT INTO a VALUES (1)",
    "UPDATE a SET x = 7; INSERT INTO no_such_table VALUES (1)",
};

static const char *const statements[] = {"INSERT INTO a VALUES (?1)"};

static struct davy_db_schema schema_of(const char *const *migrations, int version)
{
    return (struct davy_db_schema){.file = "test.db",
                                   .application_id = 0x54455354,
                                   .migrations = migrations,
                                   .version = version,
                                   .statements = statements,
                                   .statement_count = 1,
                                   .check_below_bytes = 1 << 20};
}

static int setup(void **state)
{
    struct folder *folder = calloc(1, sizeof(*folder));
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

/* Open with `version` steps and close again; the result of opening. */
static int open_once(struct folder *folder, const char *const *migrations, int version)
{
    struct davy_db db;
    struct davy_db_schema schema = schema_of(migrations, version);
    int r = davy_db_open(&db, folder->path, &schema);
    davy_db_close(&db);
    return r;
}

static void insert(struct davy_db *db, int64_t x)
{
    assert_int_equal(davy_db_begin(db), 0);
    assert_int_equal(davy_db_do(db, 0, "i", x), 0);
    assert_int_equal(davy_db_commit(db), 0);
}

static void a_new_database_has_its_ids_mode_and_pragmas(void **state)
{
    struct folder *folder = *state;
    struct davy_db db;
    struct davy_db_schema schema = schema_of(steps, 1);
    struct stat found;
    int64_t number = -1;
    assert_int_equal(davy_db_open(&db, folder->path, &schema), 0);
    assert_int_equal(stat(folder_file(folder, "test.db"), &found), 0);
    assert_int_equal(found.st_mode & 07777, 0640);
    assert_int_equal(stat(folder_file(folder, "test.db-wal"), &found), 0);
    assert_int_equal(found.st_mode & 07777, 0640);
    assert_int_equal(davy_db_number(&db, "PRAGMA synchronous", &number), 0);
    assert_int_equal(number, 2);
    assert_int_equal(davy_db_number(&db, "PRAGMA secure_delete", &number), 0);
    assert_int_equal(number, 0);
    assert_int_equal(
        davy_db_number(&db, "SELECT count(*) FROM pragma_journal_mode WHERE journal_mode = 'wal'", &number), 0);
    assert_int_equal(number, 1);
    davy_db_close(&db);
    davy_db_close(&db);
    assert_int_equal(look_number(folder_file(folder, "test.db"), "PRAGMA application_id"), 0x54455354);
    assert_int_equal(look_number(folder_file(folder, "test.db"), "PRAGMA user_version"), 1);
}

static void an_older_schema_is_migrated_in_one_transaction(void **state)
{
    struct folder *folder = *state;
    assert_int_equal(open_once(folder, steps, 1), 0);
    assert_int_equal(open_once(folder, steps, 2), 0);
    assert_int_equal(look_number(folder_file(folder, "test.db"), "PRAGMA user_version"), 2);
    assert_int_equal(look_number(folder_file(folder, "test.db"), "SELECT x FROM a"), 2);
    assert_int_equal(open_once(folder, steps, 2), 0); /* only once */
    assert_int_equal(look_number(folder_file(folder, "test.db"), "SELECT x FROM a"), 2);
}

static void a_migration_that_fails_leaves_the_old_schema(void **state)
{
    struct folder *folder = *state;
    assert_int_equal(open_once(folder, steps, 1), 0);
    assert_true(open_once(folder, broken_steps, 2) < 0);
    assert_int_equal(look_number(folder_file(folder, "test.db"), "PRAGMA user_version"), 1);
    assert_int_equal(look_number(folder_file(folder, "test.db"), "SELECT x FROM a"), 1);
    assert_int_equal(open_once(folder, steps, 2), 0);
}

static void a_newer_schema_is_refused_and_left_alone(void **state)
{
    struct folder *folder = *state;
    assert_int_equal(open_once(folder, steps, 2), 0);
    assert_int_equal(open_once(folder, steps, 1), -EPROTONOSUPPORT);
    assert_int_equal(look_number(folder_file(folder, "test.db"), "PRAGMA user_version"), 2);
}

static void the_database_of_another_program_is_refused_and_left_alone(void **state)
{
    struct folder *folder = *state;
    char text[16];
    assert_int_equal(close(open(folder_file(folder, "test.db"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600)), 0);
    look(folder_file(folder, "test.db"), "CREATE TABLE theirs (x)", text, sizeof(text));
    assert_int_equal(open_once(folder, steps, 1), -EPROTONOSUPPORT);
    assert_int_equal(look_number(folder_file(folder, "test.db"), "SELECT count(*) FROM sqlite_schema"), 1);
}

static void a_ledger_of_a_newer_program_is_not_set_aside(void **state)
{
    struct folder *folder = *state;
    struct davy_ledger *ledger = NULL;
    char text[16];
    assert_int_equal(davy_ledger_open(folder->path, wall_s(0), NULL, &ledger), 0);
    ledger = davy_ledger_close(ledger);
    look(folder_file(folder, "ledger.db"), "PRAGMA user_version=99", text, sizeof(text));
    assert_int_equal(davy_ledger_open(folder->path, wall_s(0), NULL, &ledger), -EPROTONOSUPPORT);
    assert_null(ledger);
    assert_int_equal(look_number(folder_file(folder, "ledger.db"), "PRAGMA user_version"), 99);
}

static void links_and_folders_in_place_of_the_file_are_refused(void **state)
{
    struct folder *folder = *state;
    assert_int_equal(symlink("/tmp/elsewhere.db", folder_file(folder, "test.db")), 0);
    assert_int_equal(open_once(folder, steps, 1), -ELOOP);
    assert_int_equal(access("/tmp/elsewhere.db", F_OK), -1);
    assert_int_equal(unlink(folder_file(folder, "test.db")), 0);
    assert_int_equal(mkdir(folder_file(folder, "test.db"), 0700), 0);
    assert_int_equal(open_once(folder, steps, 1), -EINVAL);
}

static void a_file_that_is_no_database_is_unclean(void **state)
{
    struct folder *folder = *state;
    int fd = open(folder_file(folder, "test.db"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    char text[8192];
    memset(text, 'x', sizeof(text));
    assert_int_equal(write(fd, text, sizeof(text)), (ssize_t)sizeof(text));
    close(fd);
    assert_int_equal(open_once(folder, steps, 1), -EUCLEAN);
    assert_int_equal(truncate(folder_file(folder, "test.db"), 0), 0);
    assert_int_equal(open_once(folder, steps, 1), -EUCLEAN);
}

/* Killed between the creation of the file and its first write: nothing was lost, so nothing is damaged. */
static void a_file_whose_creation_was_cut_off_is_begun_again(void **state)
{
    struct folder *folder = *state;
    struct stat found;
    const char *file = folder_file(folder, "test.db");
    assert_int_equal(open_once(folder, steps, 1), 0);
    assert_int_equal(stat(file, &found), 0);
    assert_int_equal(found.st_mode & 07777, 0640);
    assert_int_equal(unlink(file), 0);
    assert_int_equal(close(open(file, O_CREAT | O_WRONLY | O_CLOEXEC, DAVY_DB_BEGUN)), 0);
    assert_int_equal(open_once(folder, steps, 1), 0);
    assert_int_equal(stat(file, &found), 0);
    assert_int_equal(found.st_mode & 07777, 0640);
    assert_int_equal(truncate(file, 0), 0);
    assert_int_equal(open_once(folder, steps, 1), -EUCLEAN);
}

static void setting_aside_never_overwrites_and_takes_the_wal_along(void **state)
{
    struct folder *folder = *state;
    char first[DAVY_DB_PATH];
    char second[DAVY_DB_PATH];
    char wal[DAVY_DB_PATH + 8];
    for (int i = 0; i < 2; i++) {
        assert_int_equal(close(open(folder_file(folder, "test.db"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600)), 0);
        assert_int_equal(close(open(folder_file(folder, "test.db-wal"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600)), 0);
        assert_int_equal(davy_db_set_aside(folder->path, "test.db", wall_s(0), i ? second : first), 0);
    }
    assert_string_not_equal(first, second);
    assert_int_equal(access(first, F_OK), 0);
    assert_int_equal(access(second, F_OK), 0);
    snprintf(wal, sizeof(wal), "%s-wal", second);
    assert_int_equal(access(wal, F_OK), 0);
    assert_int_equal(davy_db_set_aside(folder->path, "test.db", wall_s(0), first), -ENOENT);
}

/* Of a file that was taken away the -wal is all there is: no other file may be read with it. */
static void setting_aside_never_joins_two_files(void **state)
{
    struct folder *folder = *state;
    char first[DAVY_DB_PATH], second[DAVY_DB_PATH], wal[DAVY_DB_PATH + 8];
    assert_int_equal(close(open(folder_file(folder, "test.db-wal"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600)), 0);
    assert_int_equal(davy_db_set_aside(folder->path, "test.db", wall_s(0), first), -ENOENT);
    assert_int_equal(close(open(folder_file(folder, "test.db"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600)), 0);
    assert_int_equal(davy_db_set_aside(folder->path, "test.db", wall_s(0), second), 0);
    snprintf(wal, sizeof(wal), "%s-wal", first);
    assert_int_equal(access(wal, F_OK), 0);
    snprintf(wal, sizeof(wal), "%s-wal", second);
    assert_int_equal(access(wal, F_OK), -1);
}

static void a_full_database_rolls_back_and_goes_on_once_there_is_room(void **state)
{
    struct folder *folder = *state;
    struct davy_db db;
    struct davy_db_schema schema = schema_of(steps, 1);
    int64_t count = 0;
    int r = 0;
    assert_int_equal(davy_db_open(&db, folder->path, &schema), 0);
    assert_int_equal(davy_db_exec(&db, "PRAGMA max_page_count=8"), 0);
    assert_int_equal(davy_db_begin(&db), 0);
    for (int64_t i = 0; r == 0 && i < 100000; i++)
        r = davy_db_do(&db, 0, "i", i);
    assert_int_equal(r, -ENOSPC);
    davy_db_rollback(&db);
    assert_int_equal(davy_db_number(&db, "SELECT count(*) FROM a", &count), 0);
    assert_int_equal(count, 1);
    insert(&db, 5);
    davy_db_close(&db);
}

/* Only where a file system may be mounted. */
static void a_full_disk_is_enospc_and_nothing_is_half_written(void **state)
{
    struct folder *folder = *state;
    struct davy_ledger *ledger = NULL;
    struct sample_event s;
    int r = 0;
    if (mount("tmpfs", folder->path, "tmpfs", 0, "size=400k") < 0)
        skip();
    assert_int_equal(davy_ledger_open(folder->path, wall_s(0), NULL, &ledger), 0);
    while (r == 0) {
        r = davy_ledger_begin(ledger);
        for (int i = 0; r == 0 && i < 10; i++)
            r = davy_ledger_append(ledger, sample(&s, davy_ledger_last_seq(ledger) + 1 + i, 1, "unacknowledged"));
        if (r == 0)
            r = davy_ledger_commit(ledger);
    }
    int64_t last = davy_ledger_last_seq(ledger);
    for (int i = 0; i < 5; i++) { /* tried again and again, as the record stage does */
        int again = davy_ledger_begin(ledger);
        if (again == 0)
            again = davy_ledger_append(ledger, sample(&s, davy_ledger_last_seq(ledger) + 1, 1, "unacknowledged"));
        if (again == 0)
            again = davy_ledger_commit(ledger);
        last = davy_ledger_last_seq(ledger);
    }
    int grown = mount("tmpfs", folder->path, "tmpfs", MS_REMOUNT, "size=4m");
    int after = davy_ledger_begin(ledger);
    if (after == 0)
        after = davy_ledger_append(ledger, sample(&s, last + 1, 1, "unacknowledged"));
    if (after == 0)
        after = davy_ledger_commit(ledger);
    davy_ledger_close(ledger);
    int64_t rows = look_number(folder_file(folder, "ledger.db"), "SELECT count(*) FROM events");
    int64_t highest = look_number(folder_file(folder, "ledger.db"), "SELECT max(seq) FROM events");
    umount(folder->path);
    assert_int_equal(r, -ENOSPC);
    assert_int_equal(grown, 0);
    assert_int_equal(after, 0);
    assert_true(last > 50);
    assert_int_equal(rows, last + 1);
    assert_int_equal(highest, last + 1);
}

/* As a user who may not write there; root may write everywhere. */
static void a_folder_that_may_not_be_written_is_an_error(void **state)
{
    struct folder *folder = *state;
    assert_int_equal(chmod(folder->path, 0555), 0);
    pid_t child = fork();
    if (child == 0) {
        struct davy_ledger *ledger = NULL;
        if (geteuid() == 0 && setuid(65534) < 0)
            _exit(99);
        _exit(davy_ledger_open(folder->path, wall_s(0), NULL, &ledger) == -EACCES && !ledger ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(chmod(folder->path, 0755), 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void the_hash_is_that_of_the_hex_digits_before_and_the_payload(void **state)
{
    (void)state;
    /* printf '%064d%s' 0 abc | sha256sum */
    static const char expected[] = "b64374d04ef9c4f39fddb1e0d6be38a0130f6c057fc0f4ee467ea0e18bc758f1";
    uint8_t hash[DAVY_HASH_SIZE] = {0};
    char text[2 * DAVY_HASH_SIZE + 1];
    davy_chain_next(hash, "abc", 3, hash);
    for (size_t i = 0; i < DAVY_HASH_SIZE; i++)
        snprintf(text + 2 * i, 3, "%02x", hash[i]);
    assert_string_equal(text, expected);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_new_database_has_its_ids_mode_and_pragmas),
        TEST(an_older_schema_is_migrated_in_one_transaction),
        TEST(a_migration_that_fails_leaves_the_old_schema),
        TEST(a_newer_schema_is_refused_and_left_alone),
        TEST(the_database_of_another_program_is_refused_and_left_alone),
        TEST(a_ledger_of_a_newer_program_is_not_set_aside),
        TEST(links_and_folders_in_place_of_the_file_are_refused),
        TEST(a_file_that_is_no_database_is_unclean),
        TEST(a_file_whose_creation_was_cut_off_is_begun_again),
        TEST(setting_aside_never_overwrites_and_takes_the_wal_along),
        TEST(setting_aside_never_joins_two_files),
        TEST(a_full_database_rolls_back_and_goes_on_once_there_is_room),
        TEST(a_full_disk_is_enospc_and_nothing_is_half_written),
        TEST(a_folder_that_may_not_be_written_is_an_error),
        cmocka_unit_test(the_hash_is_that_of_the_hex_digits_before_and_the_payload),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
