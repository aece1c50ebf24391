/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is done to a ledger behind the daemon's back is found and named. A thousand seeds change, delete, swap, double,
 * cut and hash anew; the few things that nobody can find are listed, and have to stay few.
 */
#include "verify_deeds.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/buf.h"
#include "record/delivery.h"
#include "record/verify.h"

#define SEEDS 1000

struct fixture {
    struct folder folder;
    struct davy_ledger *ledger;
    struct davy_ledger_check check;
    char error[256];
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    folder_new_in(&f->folder, access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
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

static int verify(struct fixture *f)
{
    return davy_ledger_verify(file_of(f), &f->check, f->error, sizeof(f->error));
}

/* At all parts of a millisecond: the payload has the nearest one, the column microseconds. */
static davy_wall wall_of(int64_t seq)
{
    return (davy_wall){wall_s(seq).ns + seq * 7919 * DAVY_NS_PER_US + 999};
}

/* An event with all that its columns repeat, of one alarm of seven. */
static void add_event(struct fixture *f, int64_t seq)
{
    char payload[640], topic[64], alarm[32];
    struct davy_buf out;
    davy_buf_init(&out, payload, sizeof payload);
    davy_json_open(&out, '{');
    davy_json_text(&out, "schema", "davy.alarm/1");
    davy_json_integer(&out, "seq", seq);
    davy_json_text(&out, "id", "0192f3c1-7b1e-7c44-9d0a-3f6f1f0a2b11");
    davy_json_text(&out, "event", "raised");
    davy_json_text(&out, "state", "unacknowledged");
    davy_json_text(&out, "level", "red");
    davy_json_time(&out, "time", wall_of(seq));
    davy_json_text(&out, "zone", "A1");
    davy_json_text(&out, "device", "GT-101");
    davy_json_text(&out, "point", "h2s");
    davy_json_text(&out, "rule", "h2s");
    davy_json_number(&out, "value", 15.25);
    davy_json_number(&out, "limit", 14);
    davy_json_text(&out, "by", "local:wang");
    davy_json_text(&out, "note", "罐区一");
    davy_json_close(&out, '}');
    snprintf(topic, sizeof topic, "davy/v1/s/g/alarm/A1/GT-%d/h2s/h2s", (int)(seq % 7));
    snprintf(alarm, sizeof alarm, "h2s:GT-%d.h2s", (int)(seq % 7));
    const struct davy_ledger_event event = {.seq = seq,
                                            .time = wall_of(seq),
                                            .id = "0192f3c1-7b1e-7c44-9d0a-3f6f1f0a2b11",
                                            .event = "raised",
                                            .state = "unacknowledged",
                                            .level = "red",
                                            .rule = "h2s",
                                            .zone = "A1",
                                            .device = "GT-101",
                                            .point = "h2s",
                                            .value = 15.25,
                                            .limit = 14,
                                            .by = "local:wang",
                                            .note = "罐区一",
                                            .payload = payload,
                                            .topic = topic,
                                            .alarm = alarm};
    assert_int_equal(davy_ledger_append(f->ledger, &event), 0);
}

static void act(struct fixture *f, int64_t second)
{
    const struct davy_ledger_action action = {
        .time = wall_s(second), .by = "local:wang", .verb = "ack", .target = "h2s:GT-1.h2s", .result = "done"};
    assert_int_equal(davy_ledger_act(f->ledger, &action), 0);
}

static void begin(struct fixture *f)
{
    assert_int_equal(davy_ledger_begin(f->ledger), 0);
}

static void commit(struct fixture *f)
{
    assert_int_equal(davy_ledger_commit(f->ledger), 0);
}

/*
 * Events with actions in between, a loss, all but the last delivered; ends with events, then an action, then an event.
 */
static void fill(struct fixture *f)
{
    for (int64_t seq = 1; seq <= EVENTS; seq++) {
        begin(f);
        add_event(f, seq);
        if (seq % 3 == 0)
            act(f, seq);
        if (seq <= EVENTS - PENDING)
            assert_int_equal(davy_ledger_outbox_done(f->ledger, 2 * seq, wall_s(seq)), 0);
        if (seq == 20) {
            const struct davy_ledger_loss loss = {.kind = DAVY_LOSS_READINGS, .count = 7, .why = "full"};
            davy_ledger_declare(f->ledger, &loss, (struct davy_stamp){{1}, wall_s(20)});
        }
        commit(f);
    }
}

/* What is no number is null in the payload, and so it is in the column; a number put there is found. */
static void a_number_where_the_payload_has_none_is_found(void **state)
{
    struct fixture *f = *state;
    const struct davy_ledger_event event = {.seq = 1,
                                            .time = wall_s(1),
                                            .event = "raised",
                                            .value = INFINITY,
                                            .limit = NAN,
                                            .payload = "{\"seq\":1,\"value\":null,\"limit\":null}"};
    char text[16];
    begin(f);
    assert_int_equal(davy_ledger_append(f->ledger, &event), 0);
    commit(f);
    assert_int_equal(verify(f), 0);
    look(file_of(f), "UPDATE event SET value = 5", text, sizeof text);
    assert_int_equal(verify(f), 1);
    assert_int_equal(f->check.bad_seq, 1);
    look(file_of(f), "UPDATE event SET value = NULL, \"limit\" = 5", text, sizeof text);
    assert_int_equal(verify(f), 1);
}

static void an_untouched_ledger_holds_and_its_sum_is_told(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(verify(f), 0);
    assert_int_equal(f->check.decided, 0);
    fill(f);
    assert_int_equal(verify(f), 0);
    assert_int_equal(f->check.events.rows, EVENTS);
    assert_int_equal(f->check.events.last, EVENTS);
    assert_int_equal(f->check.actions.rows, EVENTS / 3 + 1);
    assert_int_equal(f->check.tied, EVENTS / 3 + 1);
    assert_int_equal(f->check.untied, 0);
    assert_int_equal(f->check.decided, EVENTS);
    assert_int_equal(f->check.delivered, EVENTS - PENDING);
    assert_int_equal(f->check.pending, PENDING);
    assert_int_equal(f->check.declared + f->check.unsent, 0);
    assert_int_equal(f->check.lost_readings, 7);
    char hash[80];
    look(file_of(f), "SELECT hash FROM actions ORDER BY seq DESC LIMIT 1", hash, sizeof hash);
    assert_string_equal(f->check.actions.hash, hash);
}

static void events_lost_before_they_had_a_number_are_in_the_sum(void **state)
{
    struct fixture *f = *state;
    fill(f);
    begin(f);
    const struct davy_ledger_loss loss = {.kind = DAVY_LOSS_EVENTS, .count = 2, .why = "too long"};
    davy_ledger_declare(f->ledger, &loss, (struct davy_stamp){{1}, wall_s(50)});
    commit(f);
    assert_int_equal(verify(f), 0);
    assert_int_equal(f->check.decided, EVENTS + 2);
    assert_int_equal(f->check.declared, 2);
}

/* ---- tampering ------------------------------------------------------------------------------------------------- */

/* What nobody can find: a beginning of the actions that looks pruned, where the tied end and losses do not tell. */
static bool unfindable(const struct deed *deed, size_t which)
{
    return deeds[which] == move_the_beginning && strcmp(deed->table, "action") == 0;
}

static void copy_file(const char *from, const char *to)
{
    char bytes[65536];
    FILE *in = fopen(from, "rbe"), *out = fopen(to, "wbe");
    size_t length;
    assert_true(in && out);
    while ((length = fread(bytes, 1, sizeof bytes, in)) > 0)
        assert_int_equal(fwrite(bytes, 1, length, out), length);
    fclose(in);
    fclose(out);
}

static void tamper(struct fixture *f, struct davy_random *random, size_t which, uint64_t seed)
{
    char copy[160];
    snprintf(copy, sizeof copy, "%s/copy.db", f->folder.path);
    copy_file(file_of(f), copy);
    bool event = davy_random_next(random) % 2;
    struct deed deed = {.random = random, .table = event ? "event" : "action", .last = event ? EVENTS : EVENTS / 3 + 1};
    deed.row = pick(&deed, 1, deed.last);
    assert_int_equal(sqlite3_open_v2(copy, &deed.base, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    deeds[which](&deed);
    assert_int_equal(sqlite3_close(deed.base), SQLITE_OK);
    int r = davy_ledger_verify(copy, &f->check, f->error, sizeof f->error);
    if (unfindable(&deed, which) && r == 0)
        return;
    if (r != 1)
        fail_msg("seed %llu: deed %zu on %s %lld: %d %s", (unsigned long long)seed, which, deed.table,
                 (long long)deed.row, r, f->error);
    assert_true(strcmp(f->check.bad_strand, "sum") == 0 || f->check.bad_seq > 0);
    bool exact = which < 5 || deeds[which] == change_a_column || deeds[which] == double_it ||
                 deeds[which] == forget_where_it_went || deeds[which] == move_only_the_checkpoint;
    if (exact && (f->check.bad_seq != deed.row || strcmp(f->check.bad_strand, deed.table) != 0))
        fail_msg("seed %llu: deed %zu on %s %lld is said to be %s %lld: %s", (unsigned long long)seed, which,
                 deed.table, (long long)deed.row, f->check.bad_strand, (long long)f->check.bad_seq, f->check.reason);
}

static void a_thousand_ways_to_tamper_are_found(void **state)
{
    struct fixture *f = *state;
    uint64_t first = davy_test_seed(20261125);
    fill(f);
    f->ledger = davy_ledger_close(f->ledger);
    for (uint64_t i = 0; i < SEEDS; i++) {
        struct davy_random random = {first + i};
        tamper(f, &random, i % DAVY_LENGTH(deeds), first + i);
    }
}

/* Said in verify.h: an end made anew with all that tells of it, and a delivery that is noted where there was none. */
static void what_nobody_can_find_is_little(void **state)
{
    struct fixture *f = *state;
    sqlite3 *base;
    char noted[DAVY_LEDGER_HASH_TEXT];
    fill(f);
    f->ledger = davy_ledger_close(f->ledger);
    assert_int_equal(verify(f), 0);
    snprintf(noted, sizeof noted, "%s", f->check.events.hash);
    assert_int_equal(sqlite3_open_v2(file_of(f), &base, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    run_sql(base, "UPDATE event SET note = 'y', payload = json_set(payload, '$.note', 'y') WHERE seq = %d", EVENTS);
    hash_anew(base, "event", EVENTS);
    move_head(base, "event");
    run_sql(base, "DELETE FROM outbox WHERE row / 2 = %d; UPDATE event SET sent_us = 1 WHERE seq = %d", EVENTS, EVENTS);
    assert_int_equal(sqlite3_close(base), SQLITE_OK);
    assert_int_equal(verify(f), 0);
    assert_string_not_equal(f->check.events.hash, noted); /* only who noted it, or holds the events, sees it */
}

/* ---- retention ------------------------------------------------------------------------------------------------- */

static void check_after_prune(struct fixture *f, int64_t decided)
{
    if (verify(f) != 0)
        fail_msg("%s %lld: %s", f->check.bad_strand, (long long)f->check.bad_seq, f->check.reason);
    assert_int_equal(f->check.decided, decided);
    assert_int_equal(f->check.events.after + f->check.events.rows, decided);
    assert_int_equal(look_number(file_of(f), "SELECT seq FROM chain WHERE name = 'event'"), f->check.events.after);
    assert_int_equal(look_number(file_of(f), "SELECT count(*) FROM action"), f->check.actions.rows);
}

/* Pruned anywhere, ever again, with what is delivered by chance: the rest holds, and the sum is that of all. */
static void whatever_is_pruned_the_rest_holds(void **state)
{
    struct fixture *f = *state;
    struct davy_random random = {davy_test_seed(20261125)};
    int64_t seq = 0, pruned = 0;
    for (int round = 0; round < 150; round++) {
        begin(f);
        for (int64_t n = 1 + (int64_t)(davy_random_next(&random) % 12); n > 0; n--) {
            add_event(f, ++seq);
            if (davy_random_next(&random) % 3 == 0)
                act(f, seq);
        }
        for (int64_t s = pruned + 1; s <= seq; s++)
            if (davy_random_next(&random) % 4)
                assert_int_equal(davy_ledger_outbox_done(f->ledger, 2 * s, wall_s(s)), 0);
        commit(f);
        int64_t before = pruned + (int64_t)(davy_random_next(&random) % (uint64_t)(seq + 2 - pruned));
        assert_int_equal(davy_ledger_prune(f->ledger, wall_s(before), wall_s(LONG_AFTER)), 0);
        check_after_prune(f, seq);
        pruned = f->check.events.after;
        if (round % 10 == 0) {
            f->ledger = davy_ledger_close(f->ledger);
            assert_int_equal(davy_ledger_open(f->folder.path, wall_s(seq), NULL, &f->ledger), 0);
        }
    }
    assert_true(pruned > 0 && f->check.actions.after > 0);
    char text[16];
    look(file_of(f), "UPDATE loss SET total = count - 1 WHERE what = 'readings'", text, sizeof text);
    assert_int_equal(verify(f), 1); /* fewer than the actions that are left declare */
    look(file_of(f), "UPDATE loss SET total = count WHERE what = 'readings'", text, sizeof text);
    assert_int_equal(verify(f), 0);
    look(file_of(f), "UPDATE event SET payload = payload || ' ' WHERE seq = (SELECT min(seq) FROM event)", text,
         sizeof text);
    assert_int_equal(verify(f), 1);
    assert_int_equal(f->check.bad_seq, pruned + 1);
}

/* Events come, are acknowledged and confirmed, and go again; a byte for each step. */
static void live_until_killed(struct fixture *f, int told)
{
    bool renewed = false;
    assert_int_equal(davy_ledger_open(f->folder.path, wall_s(0), &renewed, &f->ledger), 0);
    for (int64_t seq = davy_ledger_last_seq(f->ledger) + 1; !renewed; seq++) {
        begin(f);
        if (davy_ledger_deliver(f->ledger, seq / 200 % 2 != 0) != 0)
            _exit(1);
        add_event(f, seq);
        if (seq % 7 == 0)
            act(f, seq);
        if (seq > 10 && davy_ledger_outbox_done(f->ledger, 2 * (seq - 10), wall_s(seq)) != 0)
            _exit(1);
        if (seq > 40 && davy_ledger_confirm(f->ledger, seq - 40) != 0)
            _exit(1);
        commit(f);
        for (int i = 0; i < 2; i++) /* as a reload that shortens the retention does */
            if (write(told, "", 1) != 1 ||
                davy_ledger_prune(f->ledger, wall_s(seq - (i ? 30 : 60)), wall_s(LONG_AFTER)) < 0)
                _exit(1);
    }
    _exit(2);
}

static void a_kill_while_it_prunes_leaves_what_holds(void **state)
{
    struct fixture *f = *state;
    struct davy_random random = {davy_test_seed(20261130)};
    int64_t last = 0, after = 0;
    (void)file_of(f);
    for (int round = 0; round < 40; round++) {
        int ends[2], status = 0;
        char byte;
        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
        f->ledger = davy_ledger_close(f->ledger);
        pid_t child = fork();
        if (child == 0)
            live_until_killed(f, ends[1]);
        close(ends[1]);
        for (uint64_t steps = 20 + davy_random_next(&random) % 100; steps > 0; steps--)
            assert_int_equal(read(ends[0], &byte, 1), 1);
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        close(ends[0]);
        assert_int_equal(verify(f), 0);
        assert_true(f->check.events.last > last && f->check.events.after >= after);
        last = f->check.events.last;
        after = f->check.events.after;
    }
    assert_true(after > 500 && after < last - 20);
    assert_int_equal(davy_ledger_open(f->folder.path, wall_s(0), NULL, &f->ledger), 0);
    assert_int_equal(davy_ledger_last_seq(f->ledger), last);
}

/* In a process of its own, as davyctl is. */
static void verify_holds_beside_a_writer_that_prunes(void **state)
{
    struct fixture *f = *state;
    (void)file_of(f);
    pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < 60; i++) {
            int r = davy_ledger_verify(f->folder.file, &f->check, f->error, sizeof f->error);
            if (r == 0)
                continue;
            fprintf(stderr, "verify %d: %d, %s %lld: %s%s\n", i, r, f->check.bad_strand, (long long)f->check.bad_seq,
                    f->check.reason, f->error);
            _exit(1);
        }
        _exit(0);
    }
    int status = -1;
    for (int64_t i = 1; waitpid(child, &status, WNOHANG) == 0; i++) {
        begin(f);
        add_event(f, i);
        act(f, i);
        if (i > 10)
            assert_int_equal(davy_ledger_outbox_done(f->ledger, 2 * (i - 10), wall_s(i)), 0);
        commit(f);
        assert_true(davy_ledger_prune(f->ledger, wall_s(i - 20), wall_s(LONG_AFTER)) >= 0);
    }
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void a_file_without_its_checkpoint_is_no_ledger_that_holds(void **state)
{
    struct fixture *f = *state;
    char text[16];
    fill(f);
    look(file_of(f), "DELETE FROM chain WHERE name = 'tied'", text, sizeof text);
    assert_int_equal(verify(f), 1);
    assert_string_equal(f->check.bad_strand, "action");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_untouched_ledger_holds_and_its_sum_is_told),
        TEST(a_number_where_the_payload_has_none_is_found),
        TEST(events_lost_before_they_had_a_number_are_in_the_sum),
        TEST(a_thousand_ways_to_tamper_are_found),
        TEST(what_nobody_can_find_is_little),
        TEST(whatever_is_pruned_the_rest_holds),
        TEST(a_kill_while_it_prunes_leaves_what_holds),
        TEST(verify_holds_beside_a_writer_that_prunes),
        TEST(a_file_without_its_checkpoint_is_no_ledger_that_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
