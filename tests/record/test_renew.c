/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ledger that is damaged, taken away or replaced goes on in a new file: no number twice, what was pending is still
 * sent, memories are kept, what cannot be read is declared. A thousand damaged copies, and every write of a renewal
 * that fails.
 */
#include "record_support.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>

#include "fault_vfs.h"
#include "record/delivery.h"
#include "record/verify.h"

#define EVENTS  60
#define PENDING 7 /* of the last ones */
#define SEEDS   1000

struct fixture {
    struct folder folder;
    struct fault fault;
    struct davy_ledger *ledger;
    struct davy_ledger_check check;
    char error[256];
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    folder_new_in(&f->folder, access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_int_equal(fault_install(&f->fault), SQLITE_OK);
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

static bool open_ledger(struct fixture *f)
{
    bool aside = false;
    assert_int_equal(davy_ledger_open(f->folder.path, wall_s(0), &aside, &f->ledger), 0);
    return aside;
}

static void remember(struct fixture *f)
{
    struct davy_alarm_memory memory = {.key = "h2s:GT-1.h2s", .state = DAVY_STATE_UNACKNOWLEDGED};
    davy_uuid_parse("0192f3c1-7b1e-7c44-9d0a-3f6f1f0a2b11", &memory.id);
    assert_int_equal(davy_ledger_remember(f->ledger, &memory, (struct davy_stamp){{1}, wall_s(1)}, "boot"), 0);
}

/* Events, of which the last wait; an action each ten; a memory. */
static void fill(struct fixture *f)
{
    struct sample_event s;
    (void)open_ledger(f);
    for (int64_t seq = 1; seq <= EVENTS; seq++) {
        assert_int_equal(davy_ledger_begin(f->ledger), 0);
        (void)sample(&s, seq, (int)(seq % 5), seq % 11 ? "unacknowledged" : "normal");
        assert_int_equal(davy_ledger_append(f->ledger, &s.event), 0);
        if (seq % 10 == 0)
            assert_int_equal(davy_ledger_act(f->ledger, &(struct davy_ledger_action){.time = wall_s(1), .verb = "ack"}),
                             0);
        for (int clear = 0; clear <= 1 && seq <= EVENTS - PENDING; clear++)
            assert_int_equal(davy_ledger_outbox_done(f->ledger, 2 * seq + clear, wall_s(seq)), 0);
        if (seq == 1)
            remember(f);
        assert_int_equal(davy_ledger_commit(f->ledger), 0);
    }
}

static void remove_all(struct fixture *f)
{
    glob_t found = {.gl_pathc = 0};
    char pattern[160];
    snprintf(pattern, sizeof pattern, "%s/ledger.*", f->folder.path);
    if (glob(pattern, 0, NULL, &found) == 0)
        for (size_t i = 0; i < found.gl_pathc; i++)
            unlink(found.gl_pathv[i]);
    globfree(&found);
}

static void verify(struct fixture *f, int64_t last, int64_t lost)
{
    if (davy_ledger_verify(file_of(f), &f->check, f->error, sizeof f->error) != 0)
        fail_msg("%s %s %lld: %s", f->error, f->check.bad_strand, (long long)f->check.bad_seq, f->check.reason);
    assert_int_equal(f->check.decided, last);
    assert_int_equal(f->check.declared, lost);
}

static int64_t first_pending(struct fixture *f)
{
    struct davy_outbox_row row;
    return davy_ledger_outbox_next(f->ledger, 0, &row) == 0 ? row.seq : 0;
}

/* All that was pending is in the new file, and the memory, and the next number. */
static void assert_all_goes_on(struct fixture *f, int64_t last)
{
    assert_int_equal(first_pending(f), EVENTS - PENDING + 1);
    assert_int_equal(look_number(file_of(f), "SELECT count(*) FROM pending"), PENDING + last - EVENTS);
    assert_int_equal(look_number(file_of(f), "SELECT count(*) FROM memory WHERE alarm = 'h2s:GT-1.h2s'"), 1);
    assert_int_equal(look_number(file_of(f), "SELECT count(*) FROM latest"), 5);
    assert_int_equal(look_number(file_of(f), "SELECT count(*) FROM actions WHERE verb = 'renewed'"), 1);
    verify(f, last, 0);
}

static void a_file_taken_away_goes_on_with_all_that_was_pending(void **state)
{
    struct fixture *f = *state;
    fill(f);
    assert_int_equal(unlink(file_of(f)), 0);
    assert_int_equal(davy_ledger_begin(f->ledger), DAVY_LEDGER_RENEWED);
    davy_ledger_rollback(f->ledger);
    assert_int_equal(davy_ledger_begin(f->ledger), DAVY_LEDGER_RENEWED); /* until somebody committed who knows */
    assert_int_equal(davy_ledger_commit(f->ledger), 0);
    store(f->ledger, 1, "unacknowledged");
    assert_all_goes_on(f, EVENTS + 1);
}

static void a_file_that_another_one_replaced_goes_on_and_the_other_is_kept(void **state)
{
    struct fixture *f = *state;
    struct folder other;
    struct davy_ledger *ledger = NULL;
    char text[160];
    fill(f);
    folder_new_in(&other, "/dev/shm");
    assert_int_equal(davy_ledger_open(other.path, wall_s(0), NULL, &ledger), 0);
    store(ledger, 1, "unacknowledged");
    davy_ledger_close(ledger);
    snprintf(text, sizeof text, "mv %s/ledger.db %s/ledger.db", other.path, f->folder.path);
    assert_int_equal(system(text), 0);
    assert_int_equal(davy_ledger_begin(f->ledger), DAVY_LEDGER_RENEWED);
    assert_int_equal(davy_ledger_commit(f->ledger), 0);
    assert_all_goes_on(f, EVENTS);
    assert_int_equal(access(folder_file(&f->folder, "ledger.db.corrupt-20260921T141320Z"), F_OK), 0);
    folder_done(&other);
}

/* No event comes: it is noticed all the same, by who tends the ledger every ten seconds. */
static void a_file_taken_away_is_noticed_without_an_event(void **state)
{
    struct fixture *f = *state;
    struct davy_stamp now = {{1}, wall_s(70)};
    fill(f);
    assert_int_equal(davy_ledger_tend(f->ledger, now), 0);
    assert_int_equal(unlink(file_of(f)), 0);
    assert_int_equal(davy_ledger_tend(f->ledger, now), 1);
    (void)!davy_ledger_prune(f->ledger, wall_s(0), wall_s(LONG_AFTER)); /* does not hide it from the next one */
    assert_int_equal(davy_ledger_begin(f->ledger), DAVY_LEDGER_RENEWED);
    assert_int_equal(davy_ledger_commit(f->ledger), 0);
    assert_int_equal(davy_ledger_tend(f->ledger, now), 0);
    assert_all_goes_on(f, EVENTS);
}

/* SQLite would write on into a file without a name, of which nothing is left after a kill, and nobody else sees it. */
static void a_wal_taken_away_costs_nothing(void **state)
{
    struct fixture *f = *state;
    struct davy_stamp now = {{1}, wall_s(70)};
    fill(f);
    assert_int_equal(davy_ledger_tend(f->ledger, now), 0);
    assert_int_equal(unlink(folder_file(&f->folder, "ledger.db-wal")), 0);
    assert_int_equal(unlink(folder_file(&f->folder, "ledger.db-shm")), 0);
    assert_int_equal(davy_ledger_tend(f->ledger, now), 1);
    assert_int_equal(davy_ledger_begin(f->ledger), 0);
    assert_int_equal(davy_ledger_commit(f->ledger), 0);
    assert_int_equal(davy_ledger_tend(f->ledger, now), 0);
    store(f->ledger, EVENTS + 1, "unacknowledged");
    assert_int_equal(look_number(file_of(f), "SELECT count(*) FROM event"), EVENTS + 1);
    assert_int_equal(look_number(file_of(f), "SELECT count(*) FROM actions WHERE verb = 'renewed'"), 0);
}

static void overwrite(const char *file, off_t at, size_t length)
{
    int fd = open(file, O_WRONLY | O_CLOEXEC);
    char bytes[4096];
    memset(bytes, 0xa5, sizeof(bytes));
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, length, at), (ssize_t)length);
    close(fd);
}

static void assert_noticed(struct fixture *f)
{
    struct davy_stamp now = {{1}, wall_s(70)};
    assert_int_equal(davy_ledger_tend(f->ledger, now), 1);
    assert_int_equal(davy_ledger_begin(f->ledger), DAVY_LEDGER_RENEWED);
    assert_int_equal(davy_ledger_commit(f->ledger), 0);
    assert_int_equal(davy_ledger_tend(f->ledger, now), 0);
    assert_all_goes_on(f, EVENTS);
}

/* As by a slip in a shell: the file has its name and place, and is a database no more. */
static void a_file_emptied_in_place_is_noticed_without_an_event(void **state)
{
    struct fixture *f = *state;
    fill(f);
    assert_int_equal(truncate(file_of(f), 0), 0);
    assert_noticed(f);
}

static void a_file_overwritten_in_place_is_noticed_without_an_event(void **state)
{
    struct fixture *f = *state;
    fill(f);
    overwrite(file_of(f), 0, 100);
    assert_noticed(f);
}

static off_t page_of(struct fixture *f, const char *table)
{
    char sql[96];
    snprintf(sql, sizeof sql, "SELECT rootpage - 1 FROM sqlite_schema WHERE name = '%s'", table);
    return (off_t)(4096 * look_number(file_of(f), sql));
}

static void damage_elsewhere_costs_no_event_that_was_pending(void **state)
{
    struct fixture *f = *state;
    fill(f);
    f->ledger = davy_ledger_close(f->ledger);
    overwrite(file_of(f), page_of(f, "action"), 4096);
    assert_true(open_ledger(f));
    assert_int_equal(first_pending(f), EVENTS - PENDING + 1);
    assert_int_equal(look_number(file_of(f), "SELECT count(*) FROM memory"), 1);
    store(f->ledger, 1, "unacknowledged");
    verify(f, EVENTS + 1, 0);
}

static void without_the_outbox_what_was_not_sent_is_pending(void **state)
{
    struct fixture *f = *state;
    fill(f);
    f->ledger = davy_ledger_close(f->ledger);
    overwrite(file_of(f), page_of(f, "outbox"), 4096);
    assert_true(open_ledger(f));
    assert_int_equal(first_pending(f), EVENTS - PENDING + 1);
    store(f->ledger, 1, "unacknowledged");
    verify(f, EVENTS + 1, 0);
}

static void what_cannot_be_read_is_declared_lost(void **state)
{
    struct fixture *f = *state;
    char text[256];
    fill(f);
    f->ledger = davy_ledger_close(f->ledger);
    overwrite(file_of(f), 0, 100);
    assert_true(open_ledger(f));
    store(f->ledger, 1, "unacknowledged");
    verify(f, EVENTS + 1, EVENTS); /* the file does not say where it ended: its mark does */
    look(file_of(f), "SELECT detail FROM actions WHERE verb = 'loss' AND target = 'events'", text, sizeof text);
    assert_non_null(strstr(text, "{\"count\":60,\"from\":1,\"to\":60,"));
}

/* An operator puts a backup in its place: the numbers that were given since are not given again. */
static void an_older_copy_goes_on_behind_the_numbers_given_since(void **state)
{
    struct fixture *f = *state;
    char text[200];
    for (int crash = 0; crash <= 1; crash++) {
        remove_all(f);
        fill(f);
        f->ledger = davy_ledger_close(f->ledger);
        snprintf(text, sizeof text, "cp %s/ledger.db %s/keep", f->folder.path, f->folder.path);
        assert_int_equal(system(text), 0);
        (void)open_ledger(f);
        for (int i = 0; i < (crash ? 300 : 3); i++)
            store(f->ledger, 1, "unacknowledged");
        int64_t given = davy_ledger_last_seq(f->ledger);
        if (crash)
            assert_int_equal(unlink(file_of(f)), 0); /* no orderly end */
        f->ledger = davy_ledger_close(f->ledger);
        snprintf(text, sizeof text, "cd %s && rm -f ledger.db ledger.db-* && cp keep ledger.db", f->folder.path);
        assert_int_equal(system(text), 0);
        assert_true(open_ledger(f));
        assert_true(davy_ledger_last_seq(f->ledger) >= given);
        assert_int_equal(look_number(file_of(f), "SELECT count(*) FROM memory"), 1);
        store(f->ledger, 1, "unacknowledged");
        assert_int_equal(davy_ledger_verify(file_of(f), &f->check, f->error, sizeof f->error), 0);
        f->ledger = davy_ledger_close(f->ledger);
    }
}

/* ---- what is carried -------------------------------------------------------------------------------------------- */

static void refuse(struct fixture *f, int64_t seq)
{
    assert_int_equal(davy_ledger_begin(f->ledger), 0);
    assert_int_equal(davy_ledger_outbox_refused(f->ledger, 2 * seq, 0x87, (davy_mono){0}), 0);
    assert_int_equal(davy_ledger_commit(f->ledger), 0);
}

static void renew(struct fixture *f, bool at_start)
{
    if (at_start) {
        f->ledger = davy_ledger_close(f->ledger);
        overwrite(file_of(f), page_of(f, "tally"), 16);
        assert_true(open_ledger(f));
        return;
    }
    assert_int_equal(unlink(file_of(f)), 0);
    assert_int_equal(davy_ledger_begin(f->ledger), DAVY_LEDGER_RENEWED);
    assert_int_equal(davy_ledger_commit(f->ledger), 0);
}

/* Else the broker would not retain the event, or its topic would count as that of an alarm that has ended. */
static void the_last_event_of_a_topic_stays_its_last(void **state)
{
    struct fixture *f = *state;
    struct davy_outbox_row row;
    struct davy_standing_row ended;
    for (int at_start = 0; at_start <= 1; at_start++) {
        remove_all(f);
        fill(f);
        store(f->ledger, 1, "normal");
        store(f->ledger, 2, "unacknowledged");
        renew(f, at_start);
        assert_int_equal(davy_ledger_outbox_next(f->ledger, 2 * (EVENTS + 1), &row), 0);
        assert_int_equal(row.row, 2 * (EVENTS + 1) + 1);
        assert_int_equal(davy_ledger_outbox_next(f->ledger, row.row, &row), 0);
        assert_int_equal(row.seq, EVENTS + 2);
        assert_false(row.newer);
        assert_int_equal(davy_ledger_ended_next(f->ledger, 0, &ended), 0);
        assert_non_null(strstr(ended.name, "GT-1"));
        assert_int_equal(davy_ledger_ended_next(f->ledger, ended.at, &ended), DAVY_OUTBOX_EMPTY);
        f->ledger = davy_ledger_close(f->ledger);
    }
}

static void what_was_refused_is_not_in_line(void **state)
{
    struct fixture *f = *state;
    struct davy_outbox_row row;
    for (int at_start = 0; at_start <= 1; at_start++) {
        int64_t first = EVENTS - PENDING + 1, sent = 0;
        remove_all(f);
        fill(f);
        refuse(f, first);
        renew(f, at_start);
        assert_int_equal(first_pending(f), first + 1);
        assert_int_equal(davy_ledger_outbox_due(f->ledger, 0, (davy_mono){0}, &row), DAVY_OUTBOX_EMPTY);
        assert_int_equal(davy_ledger_outbox_due(f->ledger, 0, (davy_mono){DAVY_NS_PER_S}, &row), 0);
        assert_int_equal(row.seq, first);
        assert_true(row.parked);
        assert_int_equal(davy_ledger_outbox_due(f->ledger, row.row, (davy_mono){DAVY_NS_PER_S}, &row), 0);
        assert_int_equal(row.seq, first + 5); /* of the same alarm: behind it */
        assert_false(row.parked);
        assert_int_equal(davy_ledger_sent_seq(f->ledger, 2 * (first + 4), &sent), 0);
        assert_int_equal(sent, first + 4);
        f->ledger = davy_ledger_close(f->ledger);
    }
}

/* Less than a minute after the row before: what is declared waits for its row. */
static void a_loss_that_no_action_says_yet_is_said_in_the_new_file(void **state)
{
    struct fixture *f = *state;
    char text[256];
    const struct davy_ledger_loss loss = {
        .kind = DAVY_LOSS_READINGS, .count = 5, .from = wall_s(3), .to = wall_s(4), .why = "the disk failed"};
    for (int at_start = 0; at_start <= 1; at_start++) {
        remove_all(f);
        fill(f);
        for (int i = 0; i < 2; i++) {
            davy_ledger_declare(f->ledger, &loss, (struct davy_stamp){{1}, wall_s(5)});
            assert_int_equal(davy_ledger_begin(f->ledger), 0);
            assert_int_equal(davy_ledger_commit(f->ledger), 0);
        }
        assert_int_equal(look_number(file_of(f), "SELECT count FROM loss WHERE what = 'readings'"), 5);
        renew(f, at_start);
        assert_int_equal(davy_ledger_tend(f->ledger, (struct davy_stamp){{100 * DAVY_NS_PER_S}, wall_s(105)}),
                         !at_start);
        assert_int_equal(davy_ledger_begin(f->ledger), 0);
        assert_int_equal(davy_ledger_commit(f->ledger), 0);
        look(file_of(f), "SELECT detail FROM actions WHERE verb = 'loss' AND target = 'readings'", text, sizeof text);
        assert_non_null(strstr(text, "{\"count\":5,\"from\":\"2026-09-21T14:13:23"));
        assert_non_null(strstr(text, "the disk failed"));
        verify(f, EVENTS, 0);
        f->ledger = davy_ledger_close(f->ledger);
    }
}

/* ---- a renewal that is interrupted ------------------------------------------------------------------------------ */

static void put_back(struct fixture *f)
{
    char text[200];
    f->ledger = davy_ledger_close(f->ledger);
    snprintf(text, sizeof text, "cd %s && rm -f ledger.* && cp keep ledger.db && echo =%d > ledger.mark",
             f->folder.path, EVENTS);
    assert_int_equal(system(text), 0);
}

/* False once a renewal has fewer operations than `n`. */
static bool interrupt(struct fixture *f, int n, struct davy_random *power)
{
    put_back(f);
    f->fault.countdown = n;
    f->fault.result = SQLITE_IOERR_WRITE;
    f->fault.lasting = true;
    f->fault.fired = 0;
    f->fault.recording = power != NULL;
    int r = davy_ledger_open(f->folder.path, wall_s(0), NULL, &f->ledger);
    f->ledger = davy_ledger_close(f->ledger);
    bool struck = f->fault.fired > 0;
    assert_true(r == 0 || struck);
    f->fault.countdown = 0;
    if (power)
        fault_settle(&f->fault, NULL, power);
    f->fault.recording = false;
    f->fault.fired = 0;
    (void)open_ledger(f);
    assert_int_equal(davy_ledger_last_seq(f->ledger), EVENTS);
    store(f->ledger, 1, "unacknowledged");
    assert_all_goes_on(f, EVENTS + 1);
    return struck;
}

static void a_renewal_may_fail_or_lose_power_at_any_write(void **state)
{
    struct fixture *f = *state;
    struct davy_random random = {davy_test_seed(20261125)};
    char text[200];
    int n = 1;
    fill(f);
    f->ledger = davy_ledger_close(f->ledger);
    overwrite(file_of(f), page_of(f, "tally"), 16);
    snprintf(text, sizeof text, "cp %s/ledger.db %s/keep", f->folder.path, f->folder.path);
    assert_int_equal(system(text), 0);
    for (n = 1; interrupt(f, n, NULL); n++)
        ;
    assert_true(n > 20);
    print_message("%d operations\n", n);
    for (n = 1; interrupt(f, n, &random); n++)
        ;
}

/* ---- damage at random ------------------------------------------------------------------------------------------- */

struct image {
    unsigned char *bytes;
    size_t size;
};

static struct image read_image(const char *path)
{
    struct stat found;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0 && fstat(fd, &found) == 0);
    struct image image = {malloc((size_t)found.st_size + 1), (size_t)found.st_size};
    assert_int_equal(read(fd, image.bytes, image.size), (ssize_t)image.size);
    close(fd);
    return image;
}

static void write_image(const char *path, const struct image *image, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, image->bytes, size), (ssize_t)size);
    close(fd);
}

static size_t below(struct davy_random *random, size_t bound)
{
    return bound == 0 ? 0 : (size_t)(davy_random_next(random) % bound);
}

/* A copy of `from` with bits turned, a stretch overwritten, pages exchanged, or its end cut off. */
static void write_damaged(const char *path, const struct image *from, struct davy_random *random)
{
    struct image image = {malloc(from->size + 1), from->size};
    memcpy(image.bytes, from->bytes, from->size);
    size_t size = from->size, at = below(random, size), page = 4096;
    switch (davy_random_next(random) % 5) {
    case 0:
        image.bytes[at] ^= (unsigned char)(1 << below(random, 8));
        break;
    case 1:
        for (size_t n = 1 + below(random, 64); n > 0; n--)
            image.bytes[below(random, size)] ^= (unsigned char)(1 << below(random, 8));
        break;
    case 2:
        memset(image.bytes + at, (int)below(random, 2) * 0xff, size - at < 512 ? size - at : 512);
        break;
    case 3:
        if (size >= 2 * page)
            memcpy(image.bytes + page * below(random, size / page), from->bytes + page * below(random, size / page),
                   page);
        break;
    default:
        size = at;
        break;
    }
    write_image(path, &image, size);
    free(image.bytes);
}

/* Store one event more, as the record stage does: again until it is stored. */
static int store_patiently(struct fixture *f)
{
    struct sample_event s;
    int r = -1;
    for (int i = 0; r != 0 && i < 5; i++) {
        r = davy_ledger_begin(f->ledger);
        if (r >= 0)
            r = davy_ledger_append(f->ledger, sample(&s, davy_ledger_next_seq(f->ledger), 1, "unacknowledged"));
        if (r == 0)
            r = davy_ledger_commit(f->ledger);
    }
    return r;
}

static void count_nothing(void *context, const struct davy_alarm_memory *memory)
{
    (void)memory;
    ++*(int *)context;
}

struct tally {
    int set_aside;
    int found_later; /* not at the start, but by verify */
    int restarted;   /* nothing told where the numbers were */
};

/* After an orderly end the mark is exact. */
static void write_mark(struct fixture *f, bool orderly)
{
    FILE *mark = fopen(folder_file(&f->folder, "ledger.mark"), "we");
    assert_non_null(mark);
    fprintf(mark, orderly ? "=%d\n" : "%d\n", orderly ? EVENTS : EVENTS + 100);
    fclose(mark);
}

static void open_damaged(struct fixture *f, uint64_t seed, const struct image *base, const struct image *wal,
                         struct tally *tally)
{
    struct davy_random random = {seed};
    struct davy_outbox_row row;
    int memories = 0;
    bool in_wal = wal->size > 0 && davy_random_next(&random) % 3 == 0;
    remove_all(f);
    write_mark(f, wal->size == 0);
    if (in_wal)
        write_image(file_of(f), base, base->size);
    else
        write_damaged(file_of(f), base, &random);
    if (in_wal)
        write_damaged(folder_file(&f->folder, "ledger.db-wal"), wal, &random);
    else if (wal->size > 0)
        write_image(folder_file(&f->folder, "ledger.db-wal"), wal, wal->size);
    bool aside = false;
    int r = davy_ledger_open(f->folder.path, wall_s(0), &aside, &f->ledger);
    if (r == -EPROTONOSUPPORT) /* the number of the schema itself: refused, as that of a newer one */
        return;
    if (r != 0)
        fail_msg("seed %llu: cannot be opened: %d", (unsigned long long)seed, r);
    (void)!davy_ledger_recall(f->ledger, (struct davy_stamp){{1}, wall_s(9)}, "boot", count_nothing, &memories);
    for (int64_t after = 0; davy_ledger_outbox_next(f->ledger, after, &row) == 0; after = row.row)
        assert_true(row.seq > 0);
    int64_t next = davy_ledger_next_seq(f->ledger);
    if (next > EVENTS + 100 + 1000001)
        fail_msg("seed %llu: goes on at %lld", (unsigned long long)seed, (long long)next);
    r = store_patiently(f);
    if (r != 0)
        fail_msg("seed %llu: nothing can be stored: %d", (unsigned long long)seed, r);
    /* of a -wal that lost its end the frames before it are all there is, and look well */
    bool restarted = davy_ledger_last_seq(f->ledger) <= EVENTS;
    f->ledger = davy_ledger_close(f->ledger);
    r = davy_ledger_verify(file_of(f), &f->check, f->error, sizeof f->error);
    bool later = !aside && (r > 0 || r == -EUCLEAN); /* behind what quick_check looks at */
    if (r != 0 && !later)
        fail_msg("seed %llu: %d %s %s %lld: %s", (unsigned long long)seed, r, f->error, f->check.bad_strand,
                 (long long)f->check.bad_seq, f->check.reason);
    tally->set_aside += aside;
    tally->found_later += later;
    tally->restarted += restarted;
    if (restarted && !in_wal)
        fail_msg("seed %llu: goes on at %lld", (unsigned long long)seed, (long long)f->check.events.last);
}

static void a_thousand_damaged_copies_are_opened_or_set_aside(void **state)
{
    struct fixture *f = *state;
    struct tally tally = {.set_aside = 0};
    uint64_t first = davy_test_seed(20261125);
    fill(f);
    struct image early = read_image(file_of(f)), wal = read_image(folder_file(&f->folder, "ledger.db-wal"));
    f->ledger = davy_ledger_close(f->ledger);
    struct image base = read_image(file_of(f)), none = {NULL, 0};
    /* Once a column was damaged and taken over, though the payload said better. */
    open_damaged(f, UINT64_C(4950020743175920383), &base, &none, &tally);
    /* And once another table was read for the one that notes the ends: times were taken for numbers. */
    open_damaged(f, UINT64_C(13462017052721803122), &base, &none, &tally);
    /* And once a schema was said to lack memory. */
    open_damaged(f, UINT64_C(13604524251288562804), &base, &none, &tally);
    for (uint64_t i = 0; i < SEEDS; i++)
        open_damaged(f, first + i, i % 2 ? &early : &base, i % 2 ? &wal : &none, &tally);
    print_message("%d set aside, %d found by verify, %d whose -wal lost its end\n", tally.set_aside, tally.found_later,
                  tally.restarted);
    free(early.bytes);
    free(wal.bytes);
    free(base.bytes);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_file_taken_away_goes_on_with_all_that_was_pending),
        TEST(a_file_taken_away_is_noticed_without_an_event),
        TEST(a_wal_taken_away_costs_nothing),
        TEST(a_file_emptied_in_place_is_noticed_without_an_event),
        TEST(a_file_overwritten_in_place_is_noticed_without_an_event),
        TEST(a_file_that_another_one_replaced_goes_on_and_the_other_is_kept),
        TEST(damage_elsewhere_costs_no_event_that_was_pending),
        TEST(without_the_outbox_what_was_not_sent_is_pending),
        TEST(what_cannot_be_read_is_declared_lost),
        TEST(an_older_copy_goes_on_behind_the_numbers_given_since),
        TEST(the_last_event_of_a_topic_stays_its_last),
        TEST(what_was_refused_is_not_in_line),
        TEST(a_loss_that_no_action_says_yet_is_said_in_the_new_file),
        TEST(a_renewal_may_fail_or_lose_power_at_any_write),
        TEST(a_thousand_damaged_copies_are_opened_or_set_aside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
