/* SPDX-License-Identifier: Apache-2.0 */
/* A disk that forgets what it could not sync, that cannot be read, that is full from the start; and no memory. */
#include "record_support.h"

#include <dirent.h>
#include <errno.h>

#include "fault_vfs.h"
#include "record/verify.h"

#define EVENTS 6

struct fixture {
    struct folder folder;
    struct fault fault;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_int_equal(fault_install(&f->fault), SQLITE_OK);
    folder_new_in(&f->folder, access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    folder_done(&f->folder);
    fault_remove(&f->fault);
    free(f);
    return 0;
}

static void another_folder(struct fixture *f)
{
    folder_done(&f->folder);
    folder_new_in(&f->folder, access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
}

static size_t count_aside(struct fixture *f)
{
    DIR *directory = opendir(f->folder.path);
    size_t count = 0;
    assert_non_null(directory);
    for (const struct dirent *entry = readdir(directory); entry; entry = readdir(directory))
        count += strstr(entry->d_name, ".corrupt-") != NULL;
    closedir(directory);
    return count;
}

/* Once, from memory, as the record stage does it each second. */
static int keep_event(struct davy_ledger *ledger, int64_t seq)
{
    struct sample_event s;
    int r = davy_ledger_begin(ledger);
    if (r == 0)
        r = davy_ledger_append(ledger, sample(&s, seq, (int)(seq % 3), "unacknowledged"));
    return r == 0 ? davy_ledger_commit(ledger) : r;
}

static void check(struct fixture *f, int64_t stored)
{
    char error[256] = "";
    struct davy_ledger_check verdict;
    const char *file = folder_file(&f->folder, "ledger.db");
    assert_int_equal(davy_ledger_verify(file, &verdict, error, sizeof(error)), 0);
    const int64_t rows = verdict.events.rows;
    assert_true(rows >= stored);
    assert_int_equal(look_number(file, "SELECT max(seq) FROM events"), rows);
}

static struct davy_ledger *open_well(struct fixture *f)
{
    struct davy_ledger *ledger = NULL;
    bool aside = true;
    assert_int_equal(davy_ledger_open(f->folder.path, wall_s(0), &aside, &ledger), 0);
    assert_false(aside);
    return ledger;
}

/* The power goes: whatever the daemon does on its way out does not reach the disk. */
static void power_cut(struct fixture *f, struct davy_ledger *ledger, struct davy_random *random)
{
    f->fault.only_syncs = false;
    f->fault.countdown = 1;
    f->fault.lasting = true;
    f->fault.result = SQLITE_IOERR_WRITE;
    f->fault.fired = 1;
    davy_ledger_close(ledger);
    fault_settle(&f->fault, NULL, random);
    f->fault.recording = f->fault.lasting = false;
    f->fault.countdown = 0;
}

/* Sync number `n`, and `times` - 1 after it, fail, then the power. False once a run has fewer syncs. */
static bool one_forgotten(struct fixture *f, int n, int times, struct davy_random *random)
{
    int64_t stored = 0;
    struct davy_ledger *ledger = open_well(f);
    f->fault.recording = f->fault.only_syncs = true;
    f->fault.result = SQLITE_IOERR_FSYNC;
    f->fault.countdown = n;
    f->fault.times = times;
    f->fault.fired = 0;
    for (int64_t seq = 1; seq <= EVENTS; seq++) {
        int r = -EIO;
        for (int i = 0; r < 0 && i < 10; i++)
            r = keep_event(ledger, seq);
        assert_int_equal(r, 0);
        stored = seq;
    }
    bool fired = f->fault.fired > 0;
    power_cut(f, ledger, random);
    ledger = open_well(f);
    assert_true(davy_ledger_last_seq(ledger) >= stored);
    davy_ledger_close(ledger);
    check(f, stored);
    another_folder(f);
    return fired;
}

static void a_sync_that_failed_is_never_believed_later(void **state)
{
    struct fixture *f = *state;
    struct davy_random random = {davy_test_seed(20261125)};
    for (int times = 1; times <= 4; times++) {
        int n = 1;
        while (one_forgotten(f, n, times, &random))
            n++;
        assert_true(n > EVENTS);
    }
}

/* Read number `n` fails while the file is opened, or opened again. */
static bool one_unreadable(struct fixture *f, int n)
{
    struct davy_ledger *ledger = open_well(f);
    for (int64_t seq = 1; seq <= EVENTS; seq++)
        assert_int_equal(keep_event(ledger, seq), 0);
    davy_ledger_close(ledger);
    ledger = NULL;
    f->fault.fired = 0;
    f->fault.read_countdown = n;
    bool aside = false;
    for (int i = 0; !ledger && i < 3; i++)
        if (davy_ledger_open(f->folder.path, wall_s(0), &aside, &ledger) < 0)
            assert_true(f->fault.fired > 0);
    assert_non_null(ledger);
    int r = -EIO;
    for (int i = 0; r < 0 && i < 3; i++)
        r = keep_event(ledger, EVENTS + 1);
    assert_int_equal(r, 0);
    f->fault.read_countdown = 0;
    assert_false(aside);
    assert_int_equal(count_aside(f), 0);
    davy_ledger_close(ledger);
    check(f, EVENTS + 1);
    another_folder(f);
    return f->fault.fired > 0;
}

static void what_cannot_be_read_now_is_not_damaged(void **state)
{
    int n = 1;
    while (one_unreadable(*state, n))
        n++;
    print_message("%d reads\n", n - 1);
    assert_true(n > 10);
}

static void a_disk_that_is_full_from_the_start_leaves_nothing_behind(void **state)
{
    struct fixture *f = *state;
    struct davy_ledger *ledger = NULL;
    bool aside = false;
    f->fault.result = SQLITE_FULL;
    f->fault.countdown = 1;
    f->fault.lasting = true;
    for (int i = 0; i < 5; i++) {
        assert_true(davy_ledger_open(f->folder.path, wall_s(i), &aside, &ledger) < 0);
        assert_false(aside);
    }
    f->fault.countdown = 0;
    ledger = open_well(f);
    assert_int_equal(keep_event(ledger, 1), 0);
    davy_ledger_close(ledger);
    assert_int_equal(count_aside(f), 0);
    check(f, 1);
}

/* A commit takes ten pages of the -wal and an event a third of one: whoever lets the -wal grow is soon at the end. */
static void on_a_full_disk_the_wal_is_used_again(void **state)
{
    struct fixture *f = *state;
    struct davy_ledger *ledger = open_well(f);
    int64_t seq = 0;
    while (seq < 10)
        assert_int_equal(keep_event(ledger, ++seq), 0);
    f->fault.bounded = true;
    for (int steps = 4, refusals = 0; steps > 0;) {
        int r = keep_event(ledger, seq + 1);
        assert_true(r == 0 || r == -ENOSPC);
        refusals = r == 0 ? 0 : refusals + 1;
        seq += r == 0;
        if (refusals == 2) { /* as the record stage gives back its reserve */
            refusals = 0;
            f->fault.space += 64 * 1024;
            steps--;
        }
    }
    print_message("%lld events\n", (long long)seq);
    assert_true(seq > 60);
    f->fault.bounded = false;
    assert_int_equal(keep_event(ledger, seq + 1), 0);
    davy_ledger_close(ledger);
    check(f, seq + 1);
}

/* ---- no memory ------------------------------------------------------------------------------------------------- */

/* SQLite's own allocator, but for the n-th call. */
static struct {
    sqlite3_mem_methods real;
    int countdown;
    int fired;
} memory;

static void *poor_malloc(int size)
{
    if (memory.countdown > 0 && --memory.countdown == 0) {
        memory.fired++;
        return NULL;
    }
    return memory.real.xMalloc(size);
}

static void *poor_realloc(void *old, int size)
{
    if (memory.countdown > 0 && --memory.countdown == 0) {
        memory.fired++;
        return NULL;
    }
    return memory.real.xRealloc(old, size);
}

static void make_poor(void)
{
    sqlite3_mem_methods poor;
    sqlite3_shutdown();
    assert_int_equal(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &memory.real), SQLITE_OK);
    poor = memory.real;
    poor.xMalloc = poor_malloc;
    poor.xRealloc = poor_realloc;
    assert_int_equal(sqlite3_config(SQLITE_CONFIG_MALLOC, &poor), SQLITE_OK);
    assert_int_equal(sqlite3_initialize(), SQLITE_OK);
}

static void count_memory(void *context, const struct davy_alarm_memory *memory_of_one)
{
    (void)memory_of_one;
    ++*(int *)context;
}

static int remember_and_keep(struct davy_ledger *ledger, int64_t seq)
{
    struct sample_event s;
    struct davy_alarm_memory one = {.key = "h2s:GT-1.h2s", .state = DAVY_STATE_UNACKNOWLEDGED, .count = (uint32_t)seq};
    int r = davy_ledger_begin(ledger);
    if (r == 0)
        r = davy_ledger_append(ledger, sample(&s, seq, (int)(seq % 3), "unacknowledged"));
    if (r == 0)
        r = davy_ledger_remember(ledger, &one, (struct davy_stamp){{1}, wall_s(seq)}, "boot");
    return r == 0 ? davy_ledger_commit(ledger) : r;
}

static int recall(struct davy_ledger *ledger)
{
    int count = 0;
    int r = davy_ledger_recall(ledger, (struct davy_stamp){{2}, wall_s(9)}, "boot", count_memory, &count);
    assert_true(r < 0 || count == 1);
    return r;
}

/* Allocation number `n` of a run fails: open, store, read the memories, close. */
static bool one_poor(struct fixture *f, int n)
{
    struct davy_ledger *ledger = NULL;
    bool aside = false;
    memory.fired = 0;
    memory.countdown = n;
    for (int i = 0; !ledger && i < 3; i++) {
        int r = davy_ledger_open(f->folder.path, wall_s(0), &aside, &ledger);
        assert_true(r == 0 || memory.fired > 0);
    }
    assert_non_null(ledger);
    for (int64_t seq = 1; seq <= 3; seq++) {
        int r = -EIO;
        for (int i = 0; r < 0 && i < 3; i++)
            r = remember_and_keep(ledger, seq);
        assert_int_equal(r, 0);
    }
    if (recall(ledger) != 0)
        assert_int_equal(recall(ledger), 0);
    davy_ledger_close(ledger);
    memory.countdown = 0;
    assert_false(aside);
    assert_int_equal(count_aside(f), 0);
    check(f, 3);
    another_folder(f);
    return memory.fired > 0;
}

static void no_allocation_that_fails_loses_or_damages_anything(void **state)
{
    struct fixture *f = *state;
    /* Each of them takes a minute and a half: without DAVY_STRIDE=1 one of five, others with other seeds. */
    const char *text = getenv("DAVY_STRIDE");
    const int stride = text ? atoi(text) : 5;
    int n = 1 + (int)(davy_test_seed(20261125) % (unsigned)stride);
    print_message("every %d from %d on\n", stride, n);
    fault_remove(&f->fault);
    make_poor();
    while (one_poor(f, n))
        n += stride;
    print_message("%d allocations\n", n);
    assert_true(n > 300);
    sqlite3_shutdown();
    sqlite3_config(SQLITE_CONFIG_MALLOC, &memory.real);
    sqlite3_initialize();
    assert_int_equal(fault_install(&f->fault), SQLITE_OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_sync_that_failed_is_never_believed_later),
        TEST(what_cannot_be_read_now_is_not_damaged),
        TEST(a_disk_that_is_full_from_the_start_leaves_nothing_behind),
        TEST(on_a_full_disk_the_wal_is_used_again),
        TEST(no_allocation_that_fails_loses_or_damages_anything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
