/* SPDX-License-Identifier: Apache-2.0 */
/* A backup is whole and checked, or is not there; beside a writer that never stops. */
#include "record_support.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "src/record/db.h"
#include "fault_vfs.h"
#include "record/backup.h"
#include "record/verify.h"

struct fixture {
    struct folder folder;
    struct davy_ledger *ledger;
    char copy[128];
    char error[256];
    int64_t bytes;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    folder_new(&f->folder);
    snprintf(f->copy, sizeof f->copy, "%s/copy", f->folder.path);
    assert_int_equal(davy_ledger_open(f->folder.path, wall_s(0), NULL, &f->ledger), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    davy_ledger_close(f->ledger);
    folder_done(&f->folder);
    free(f);
    return 0;
}

static const char *file_of(struct fixture *f)
{
    return folder_file(&f->folder, "ledger.db");
}

static int backup(struct fixture *f, bool (*step)(void *context, int64_t pages, int64_t of), void *context)
{
    return davy_backup(DAVY_BACKUP_LEDGER, file_of(f), f->copy, step, context, &f->bytes, f->error, sizeof f->error);
}

static void assert_nothing_left(struct fixture *f)
{
    char path[160];
    static const char *const suffixes[] = {"", ".part", ".part-wal", ".part-shm", ".part-journal"};
    for (size_t i = 0; i < DAVY_LENGTH(suffixes); i++) {
        snprintf(path, sizeof path, "%s%s", f->copy, suffixes[i]);
        assert_int_equal(access(path, F_OK), -1);
    }
}

/* What is only in the -wal is in the copy, which is one file. */
static void the_copy_is_one_whole_file(void **state)
{
    struct fixture *f = *state;
    struct davy_ledger_check check;
    struct stat found;
    for (int i = 0; i < 20; i++)
        store(f->ledger, i % 3, "unacknowledged");
    assert_int_equal(backup(f, NULL, NULL), 0);
    assert_int_equal(stat(f->copy, &found), 0);
    assert_int_equal(found.st_mode & 07777, 0640);
    assert_int_equal(found.st_size, f->bytes);
    assert_int_equal(davy_ledger_verify(f->copy, &check, f->error, sizeof f->error), 0);
    assert_int_equal(check.decided, 20);
    assert_int_equal(look_number(f->copy, "SELECT count(*) FROM outbox"), 20);
    assert_int_equal(unlink(f->copy), 0);
    assert_int_equal(davy_ledger_last_seq(f->ledger), 20);
    store(f->ledger, 1, "normal"); /* the writer was not disturbed */
}

static void nothing_is_overwritten(void **state)
{
    struct fixture *f = *state;
    char text[8];
    int fd = open(f->copy, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, "theirs", 6), 6);
    close(fd);
    assert_int_equal(backup(f, NULL, NULL), -EEXIST);
    assert_non_null(strstr(f->error, "nothing is overwritten"));
    fd = open(f->copy, O_RDONLY | O_CLOEXEC);
    assert_int_equal(read(fd, text, sizeof text), 6);
    close(fd);
    assert_int_equal(unlink(f->copy), 0);
    assert_int_equal(symlink("/nonexistent/elsewhere", f->copy), 0);
    assert_int_equal(backup(f, NULL, NULL), -EEXIST);
}

/* What another one writes, or what one left that was killed; its journal, which is of no use, does no harm. */
static void one_that_was_killed_is_told_and_does_no_harm(void **state)
{
    struct fixture *f = *state;
    char path[160];
    for (int i = 0; i < 300; i++)
        store(f->ledger, i % 3, "unacknowledged");
    (void)file_of(f);
    pid_t child = fork();
    if (child == 0) {
        const struct rlimit least = {40960, 40960};
        (void)setrlimit(RLIMIT_FSIZE, &least); /* killed by SIGXFSZ in the middle */
        _exit(davy_backup(DAVY_BACKUP_LEDGER, f->folder.file, f->copy, NULL, NULL, &f->bytes, f->error,
                          sizeof f->error) == 0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGXFSZ);
    assert_int_equal(access(f->copy, F_OK), -1);
    assert_int_equal(backup(f, NULL, NULL), -EEXIST);
    assert_non_null(strstr(f->error, ".part: it is there"));
    snprintf(path, sizeof path, "%s.part", f->copy);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(backup(f, NULL, NULL), 0);
    assert_int_equal(look_number(f->copy, "SELECT count(*) FROM events"), 300);
    assert_int_equal(unlink(f->copy), 0);
    assert_nothing_left(f);
}

/* More than SQLite keeps in its cache. */
static void store_many(struct fixture *f)
{
    struct sample_event s;
    assert_int_equal(davy_ledger_begin(f->ledger), 0);
    for (int i = 1; i <= 12000; i++)
        assert_int_equal(davy_ledger_append(f->ledger, sample(&s, i, i % 3, "unacknowledged")), 0);
    assert_int_equal(davy_ledger_commit(f->ledger), 0);
}

/* One write of a copy fails, or all from one on: nothing is left, or a whole copy. */
static void try_with(struct fixture *f, const struct fault *kind, int n, bool *ret_fired)
{
    struct fault fault = *kind;
    assert_int_equal(fault_install(&fault), SQLITE_OK);
    fault.countdown = n;
    int r = backup(f, NULL, NULL);
    *ret_fired = fault.fired > 0;
    fault_remove(&fault);
    assert_true(r == 0 || fault.fired > 0);
    if (r == 0)
        assert_int_equal(unlink(f->copy), 0);
    assert_nothing_left(f);
}

static void a_disk_that_fails_anywhere_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    static const struct fault kinds[] = {
        {.result = SQLITE_FULL, .lasting = true},
        {.result = SQLITE_FULL},
        {.result = SQLITE_IOERR_WRITE, .lasting = true},
        {.result = SQLITE_IOERR_FSYNC, .lasting = true, .only_syncs = true},
    };
    store_many(f);
    f->ledger = davy_ledger_close(f->ledger);
    for (size_t i = 0; i < DAVY_LENGTH(kinds); i++) {
        bool fired = true;
        for (int n = 1; fired; n *= 3)
            try_with(f, &kinds[i], n, &fired);
    }
}

/* Of a full disk SQLite leaves the journal, where its cache was too small for the copy. */
static int on_a_full_disk(struct fixture *f)
{
    char small[128];
    snprintf(small, sizeof small, "%s/small", f->folder.path);
    snprintf(f->copy, sizeof f->copy, "%s/small/copy", f->folder.path);
    if (unshare(CLONE_NEWNS) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
        return 77;
    if (mkdir(small, 0700) < 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("small", small, "tmpfs", 0, "size=1m") < 0)
        return 77;
    int r = davy_backup(DAVY_BACKUP_LEDGER, f->folder.file, f->copy, NULL, NULL, &f->bytes, f->error, sizeof f->error);
    int left = 0;
    DIR *folder = opendir(small);
    while (folder && readdir(folder))
        left++;
    if (folder)
        closedir(folder);
    return r == -ENOSPC && left == 2 ? 0 : 1; /* "." and ".." */
}

static void a_full_disk_keeps_nothing(void **state)
{
    struct fixture *f = *state;
    int status = 0;
    store_many(f);
    (void)file_of(f);
    pid_t child = fork();
    if (child == 0)
        _exit(on_a_full_disk(f));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        skip(); /* no mounts here */
    assert_int_equal(WEXITSTATUS(status), 0);
}

static bool stop(void *context, int64_t pages, int64_t of)
{
    assert_true(pages >= 0 && pages <= of);
    return ++*(int *)context < 1;
}

static void one_that_is_stopped_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    int steps = 0;
    store_many(f);
    assert_int_equal(backup(f, stop, &steps), -EINTR);
    assert_int_equal(steps, 1);
    assert_nothing_left(f);
}

static void a_ledger_that_does_not_hold_is_not_copied_in_silence(void **state)
{
    struct fixture *f = *state;
    char text[16];
    for (int i = 0; i < 20; i++)
        store(f->ledger, i % 3, "unacknowledged");
    look(file_of(f), "UPDATE event SET payload = payload || ' ' WHERE seq = 7", text, sizeof text);
    assert_int_equal(backup(f, NULL, NULL), -EUCLEAN);
    assert_non_null(strstr(f->error, "event 7"));
    assert_nothing_left(f);
    assert_int_equal(
        davy_backup(DAVY_BACKUP_READINGS, file_of(f), f->copy, NULL, NULL, &f->bytes, f->error, sizeof f->error),
        -EPROTONOSUPPORT);
    assert_nothing_left(f);
}

/* In a process of its own, as davyctl is; each copy is one instant. */
static void copies_beside_a_writer_are_whole(void **state)
{
    struct fixture *f = *state;
    (void)file_of(f);
    pid_t child = fork();
    if (child == 0) {
        int64_t before = 0;
        for (int i = 0; i < 25; i++) {
            struct davy_ledger_check check;
            if (davy_backup(DAVY_BACKUP_LEDGER, f->folder.file, f->copy, NULL, NULL, &f->bytes, f->error,
                            sizeof f->error) != 0 ||
                davy_ledger_verify(f->copy, &check, f->error, sizeof f->error) != 0 || check.decided < before) {
                fprintf(stderr, "%d: %s\n", i, f->error);
                _exit(1);
            }
            before = check.decided;
            unlink(f->copy);
        }
        _exit(before > 0 ? 0 : 2);
    }
    int status = -1;
    for (int64_t i = 1; waitpid(child, &status, WNOHANG) == 0; i++) {
        store(f->ledger, (int)(i % 5), "unacknowledged");
        assert_int_equal(davy_ledger_begin(f->ledger), 0);
        assert_int_equal(davy_ledger_outbox_done(f->ledger, 2 * i, wall_s(i)), 0);
        assert_int_equal(davy_ledger_commit(f->ledger), 0);
    }
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---- going on from a copy --------------------------------------------------------------------------------------- */

static void run(struct fixture *f, const char *commands)
{
    char text[400];
    snprintf(text, sizeof text, "cd %s && %s", f->folder.path, commands);
    assert_int_equal(system(text), 0);
}

/* What a kill would leave: the end is not noted. */
static void kill_it(struct fixture *f)
{
    run(f, "rm -rf kept && mkdir kept && cp ledger.* kept");
    f->ledger = davy_ledger_close(f->ledger);
    run(f, "rm ledger.* && mv kept/* .");
}

static bool open_again(struct fixture *f)
{
    bool renewed = false;
    assert_int_equal(davy_ledger_open(f->folder.path, wall_s(1000), &renewed, &f->ledger), 0);
    return renewed;
}

/* The copy in place of the ledger, by hand. */
static void put_back(struct fixture *f)
{
    run(f, "rm -f ledger.db ledger.db-* && mv copy ledger.db");
}

/* The next number, by an event; what is there holds. */
static int64_t go_on(struct fixture *f)
{
    struct davy_ledger_check check;
    store(f->ledger, 1, "unacknowledged");
    assert_int_equal(davy_ledger_verify(file_of(f), &check, f->error, sizeof f->error), 0);
    return davy_ledger_last_seq(f->ledger);
}

/* However few were given since, and though a kill did not note the last: a copy says what it is. */
static void no_number_is_given_twice_behind_a_copy(void **state)
{
    struct fixture *f = *state;
    for (int since = 0; since <= 4; since++) {
        store(f->ledger, 1, "unacknowledged");
        assert_int_equal(backup(f, NULL, NULL), 0);
        for (int i = 0; i < since; i++)
            store(f->ledger, 1, "unacknowledged");
        int64_t given = davy_ledger_last_seq(f->ledger);
        kill_it(f);
        put_back(f);
        assert_true(open_again(f));
        int64_t next = go_on(f);
        assert_true(next > given);
        kill_it(f);
        assert_false(open_again(f)); /* it is the ledger now */
        assert_int_equal(go_on(f), next + 1);
    }
}

/* Where it is known that nothing was given since, or nothing at all is known, it is the ledger as it is. */
static void a_copy_that_lacks_nothing_is_gone_on_from_as_it_is(void **state)
{
    struct fixture *f = *state;
    for (int64_t last = 1; last <= 7; last += 3) {
        store(f->ledger, 1, "unacknowledged");
        assert_int_equal(backup(f, NULL, NULL), 0);
        f->ledger = davy_ledger_close(f->ledger);
        put_back(f);
        if (last == 4)
            run(f, "rm ledger.mark");
        for (int i = 0; i <= 1; i++) {
            assert_false(open_again(f));
            assert_int_equal(go_on(f), last + i + 1);
            kill_it(f);
        }
        assert_false(open_again(f));
    }
}

/* ---- a ledger that is being begun anew --------------------------------------------------------------------------- */

/* The seqs of what is copied; below 0 where it is said that there is no copy, and why. */
static int64_t seqs_in_a_copy(struct fixture *f)
{
    struct davy_ledger_check check;
    int r = backup(f, NULL, NULL);
    if (r < 0) {
        assert_true(*f->error);
        assert_nothing_left(f);
        return r;
    }
    assert_int_equal(davy_ledger_verify(f->copy, &check, f->error, sizeof f->error), 0);
    assert_int_equal(unlink(f->copy), 0);
    return check.decided;
}

/* With a ledger.db that is no database in its place the next one is begun from `kept`, which was set aside. */
static void put_damaged(struct fixture *f)
{
    f->ledger = davy_ledger_close(f->ledger);
    run(f, "rm -f ledger.* && cp kept ledger.db.corrupt-20260101T000000Z && cp kept ledger.db && echo =20 > ledger.mark"
           " && printf %8192s x | dd of=ledger.db conv=notrunc status=none");
}

/* What stands there where the n-th write of a renewal, and all after it, fail. False once it has fewer. */
static bool copy_after_write(struct fixture *f, int n)
{
    struct fault fault;
    put_damaged(f);
    assert_int_equal(fault_install(&fault), SQLITE_OK);
    fault.countdown = n;
    fault.result = SQLITE_FULL;
    fault.lasting = true;
    int opened = davy_ledger_open(f->folder.path, wall_s(1000), NULL, &f->ledger);
    f->ledger = opened < 0 ? NULL : davy_ledger_close(f->ledger);
    fault_remove(&fault);
    int64_t copied = seqs_in_a_copy(f);
    assert_true(copied == 20 || (opened < 0 && copied < 0));
    assert_int_equal(open_again(f), copied != 20);
    assert_int_equal(davy_ledger_last_seq(f->ledger), 20);
    assert_int_equal(seqs_in_a_copy(f), 20);
    return fault.fired > 0;
}

static void a_copy_amid_a_renewal_has_all_or_is_refused(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 20; i++)
        store(f->ledger, i % 3, "unacknowledged");
    f->ledger = davy_ledger_close(f->ledger);
    run(f, "cp ledger.db kept");
    int n = 1;
    while (copy_after_write(f, n))
        n++;
    assert_true(n > 5);
}

/* This process ends where it removes a file. */
static bool die_at_unlink(void)
{
    struct sock_filter steps[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
#ifdef SYS_unlink
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_unlink, 1, 0),
#endif
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_unlinkat, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog filter = {.len = DAVY_LENGTH(steps), .filter = steps};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

/* Between the two names: the -wal, which has the events, is away, the file not yet. */
static void a_copy_amid_a_setting_aside_is_refused(void **state)
{
    struct fixture *f = *state;
    char aside[DAVY_DB_PATH];
    int status = -1;
    for (int i = 0; i < 20; i++)
        store(f->ledger, i % 3, "unacknowledged");
    kill_it(f);
    pid_t child = fork();
    if (child == 0) {
        if (!die_at_unlink())
            _exit(77);
        _exit(davy_db_set_aside(f->folder.path, "ledger.db", wall_s(0), aside) == 0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        skip(); /* no filters here, as under some instruments */
    assert_true(WIFSIGNALED(status));
    run(f, "ls ledger.db.corrupt-*-wal > where && test ! -e ledger.db-wal");
    assert_true(seqs_in_a_copy(f) < 0);
}

static struct {
    sqlite3_vfs vfs;
    sqlite3_vfs *real;
    struct fixture *fixture;
} between;

/* A renewal between the opening of the file and that of its -wal. */
static int renew_and_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out)
{
    (void)vfs;
    if ((flags & SQLITE_OPEN_WAL) && between.fixture)
        run(between.fixture, "mv ledger.db aside && mv ledger.db-wal aside-wal && mv fresh/ledger.db* .");
    if (flags & SQLITE_OPEN_WAL)
        between.fixture = NULL;
    return between.real->xOpen(between.real, name, file, flags, out);
}

static void a_copy_that_gets_the_wal_of_another_file_is_refused(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 20; i++)
        store(f->ledger, i % 3, "unacknowledged");
    kill_it(f);
    run(f, "mkdir fresh && mv ledger.* fresh");
    assert_false(open_again(f));
    f->ledger = davy_ledger_close(f->ledger);
    run(f, "mkdir new && mv ledger.* new && mv fresh/ledger.* . && rm -f ledger.db-shm && mv new/* fresh");
    between.real = sqlite3_vfs_find(NULL);
    between.vfs = *between.real;
    between.vfs.zName = "between";
    between.vfs.xOpen = renew_and_open;
    between.fixture = f;
    assert_int_equal(sqlite3_vfs_register(&between.vfs, 1), SQLITE_OK);
    int r = backup(f, NULL, NULL);
    sqlite3_vfs_unregister(&between.vfs);
    assert_null(between.fixture); /* it was renewed */
    assert_int_equal(r, -EAGAIN);
    assert_nothing_left(f);
}

/* ---- other file systems ----------------------------------------------------------------------------------------- */

/* From now on this process makes no links, as on a file system that has none: FAT, on most sticks. */
static bool without_links(void)
{
    struct sock_filter steps[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
#ifdef SYS_link
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_link, 1, 0),
#endif
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_linkat, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog filter = {.len = DAVY_LENGTH(steps), .filter = steps};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

static void a_file_system_without_links_takes_a_copy(void **state)
{
    struct fixture *f = *state;
    struct davy_ledger_check check;
    int status = -1;
    store(f->ledger, 1, "unacknowledged");
    (void)file_of(f);
    pid_t child = fork();
    if (child == 0) {
        if (!without_links())
            _exit(77);
        int r =
            davy_backup(DAVY_BACKUP_LEDGER, f->folder.file, f->copy, NULL, NULL, &f->bytes, f->error, sizeof f->error);
        if (r < 0)
            fprintf(stderr, "%s\n", f->error);
        _exit(r == 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        skip(); /* no filters here, as under some instruments */
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(davy_ledger_verify(f->copy, &check, f->error, sizeof f->error), 0);
    assert_int_equal(check.decided, 1);
    assert_int_equal(backup(f, NULL, NULL), -EEXIST);
    assert_int_equal(unlink(f->copy), 0);
    assert_nothing_left(f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_copy_is_one_whole_file),
        TEST(nothing_is_overwritten),
        TEST(a_disk_that_fails_anywhere_leaves_nothing),
        TEST(a_full_disk_keeps_nothing),
        TEST(one_that_was_killed_is_told_and_does_no_harm),
        TEST(one_that_is_stopped_leaves_nothing),
        TEST(a_ledger_that_does_not_hold_is_not_copied_in_silence),
        TEST(copies_beside_a_writer_are_whole),
        TEST(no_number_is_given_twice_behind_a_copy),
        TEST(a_copy_that_lacks_nothing_is_gone_on_from_as_it_is),
        TEST(a_copy_amid_a_renewal_has_all_or_is_refused),
        TEST(a_copy_amid_a_setting_aside_is_refused),
        TEST(a_copy_that_gets_the_wal_of_another_file_is_refused),
        TEST(a_file_system_without_links_takes_a_copy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
