/* SPDX-License-Identifier: Apache-2.0 */
#include "record_support.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/sha.h>
#include <signal.h>
#include <sys/wait.h>

struct fixture {
    struct folder folder;
    struct davy_ledger *ledger;
};

static void reopen(struct fixture *f)
{
    bool aside = true;
    f->ledger = davy_ledger_close(f->ledger);
    assert_int_equal(davy_ledger_open(f->folder.path, wall_s(0), &aside, &f->ledger), 0);
    assert_false(aside);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    folder_new(&f->folder);
    reopen(f);
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

/* The chain of the view `events`, computed here anew from `before` on. Returns the number of rows. */
static int64_t check_chain(const char *file, const char *before)
{
    sqlite3 *handle = NULL;
    sqlite3_stmt *statement = NULL;
    char hash[65];
    int64_t rows = 0;
    snprintf(hash, sizeof(hash), "%s", before);
    assert_int_equal(sqlite3_open_v2(file, &handle, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(handle, "SELECT payload, hash FROM events ORDER BY seq", -1, &statement, NULL),
                     SQLITE_OK);
    while (sqlite3_step(statement) == SQLITE_ROW) {
        char text[4096];
        unsigned char digest[SHA256_DIGEST_LENGTH];
        int length = snprintf(text, sizeof(text), "%s%s", hash, (const char *)sqlite3_column_text(statement, 0));
        SHA256((unsigned char *)text, (size_t)length, digest);
        for (int i = 0; i < SHA256_DIGEST_LENGTH; i++)
            snprintf(hash + 2 * i, 3, "%02x", digest[i]);
        assert_string_equal(hash, (const char *)sqlite3_column_text(statement, 1));
        rows++;
    }
    sqlite3_finalize(statement);
    sqlite3_close(handle);
    return rows;
}

static const char zeros[] = "0000000000000000000000000000000000000000000000000000000000000000";

static void assert_gap_free(const char *file, int64_t rows)
{
    assert_int_equal(look_number(file, "SELECT count(*) FROM events"), rows);
    assert_int_equal(look_number(file, "SELECT coalesce(max(seq), 0) FROM events"), rows);
    assert_int_equal(check_chain(file, zeros), rows);
}

static void a_rolled_back_transaction_takes_no_seq(void **state)
{
    struct fixture *f = *state;
    struct sample_event s;
    store(f->ledger, 1, "unacknowledged");
    assert_int_equal(davy_ledger_begin(f->ledger), 0);
    assert_int_equal(davy_ledger_append(f->ledger, sample(&s, 2, 1, "acknowledged")), 0);
    davy_ledger_rollback(f->ledger);
    assert_int_equal(davy_ledger_last_seq(f->ledger), 1);
    assert_int_equal(davy_ledger_outbox_count(f->ledger), 1);
    store(f->ledger, 2, "unacknowledged");
    reopen(f);
    assert_int_equal(davy_ledger_last_seq(f->ledger), 2);
    assert_gap_free(file_of(f), 2);
}

static void a_seq_out_of_order_is_refused_and_rolled_back(void **state)
{
    struct fixture *f = *state;
    struct sample_event s;
    store(f->ledger, 1, "unacknowledged");
    assert_int_equal(davy_ledger_begin(f->ledger), 0);
    assert_int_equal(davy_ledger_append(f->ledger, sample(&s, 2, 1, "acknowledged")), 0);
    assert_int_equal(davy_ledger_append(f->ledger, sample(&s, 4, 1, "acknowledged")), -EINVAL);
    assert_int_equal(davy_ledger_append(f->ledger, sample(&s, 2, 1, "acknowledged")), -EINVAL); /* no transaction */
    assert_gap_free(file_of(f), 1);
}

static void the_same_event_once_more_changes_nothing(void **state)
{
    struct fixture *f = *state;
    struct sample_event s;
    store(f->ledger, 1, "unacknowledged");
    assert_int_equal(davy_ledger_begin(f->ledger), 0);
    assert_int_equal(davy_ledger_append(f->ledger, sample(&s, 1, 1, "unacknowledged")), 0);
    assert_int_equal(davy_ledger_append(f->ledger, sample(&s, 2, 1, "acknowledged")), 0);
    assert_int_equal(davy_ledger_commit(f->ledger), 0);
    assert_int_equal(davy_ledger_begin(f->ledger), 0);
    assert_int_equal(davy_ledger_append(f->ledger, sample(&s, 1, 1, "latched")), -EINVAL);
    assert_gap_free(file_of(f), 2);
    assert_int_equal(davy_ledger_outbox_count(f->ledger), 2);
}

static void the_view_of_events_has_its_public_columns(void **state)
{
    struct fixture *f = *state;
    char text[512];
    store(f->ledger, 1, "unacknowledged");
    look(file_of(f), "SELECT group_concat(name, ' ') FROM (SELECT name FROM pragma_table_info('events') ORDER BY cid)",
         text, sizeof(text));
    assert_string_equal(text, "seq time_us id event state level rule zone device point value limit by note payload "
                              "hash sent_us");
    assert_int_equal(look_number(file_of(f), "SELECT time_us FROM events"), wall_s(1).ns / 1000);
    assert_int_equal(look_number(file_of(f), "SELECT value = 15.2 AND \"limit\" IS NULL AND \"by\" IS NULL"
                                             " AND sent_us IS NULL AND length(hash) = 64 FROM events"),
                     1);
}

static void another_program_sees_the_same_chain(void **state)
{
    struct fixture *f = *state;
    char command[1024];
    for (int i = 0; i < 20; i++)
        store(f->ledger, i, i % 3 ? "unacknowledged" : "normal");
    snprintf(command, sizeof(command),
             "/usr/bin/python3 -c 'import sqlite3,hashlib,sys\n"
             "h=\"0\"*64; n=0\n"
             "for p,q in sqlite3.connect(\"file:%s?mode=ro\",uri=True).execute("
             "\"SELECT payload,hash FROM events ORDER BY seq\"):\n"
             "  h=hashlib.sha256((h+p).encode()).hexdigest(); n+=1\n"
             "  if h!=q: sys.exit(1)\n"
             "sys.exit(0 if n==20 else 2)'",
             file_of(f));
    assert_int_equal(system(command), 0);
}

static void the_outbox_gives_rows_in_order_and_marks_what_was_sent(void **state)
{
    struct fixture *f = *state;
    struct davy_outbox_row row;
    store(f->ledger, 1, "unacknowledged");
    store(f->ledger, 1, "normal"); /* two rows: the event, the clearing */
    store(f->ledger, 2, "unacknowledged");
    assert_int_equal(davy_ledger_outbox_count(f->ledger), 4);
    int64_t rows[4];
    int64_t after = 0;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(davy_ledger_outbox_next(f->ledger, after, &row), 0);
        assert_int_equal(row.seq, i < 1 ? 1 : i < 3 ? 2 : 3);
        assert_int_equal(row.payload[0], i == 2 ? '\0' : '{');
        assert_int_equal(row.newer, i < 2); /* of the clearing and of the other topic nothing is newer */
        assert_true(row.row > after);
        after = rows[i] = row.row;
    }
    assert_int_equal(davy_ledger_outbox_next(f->ledger, after, &row), DAVY_OUTBOX_EMPTY);
    assert_int_equal(davy_ledger_begin(f->ledger), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(davy_ledger_outbox_done(f->ledger, rows[i], wall_s(100)), 0);
    assert_int_equal(davy_ledger_outbox_done(f->ledger, rows[0], wall_s(200)), 0);
    assert_int_equal(davy_ledger_commit(f->ledger), 0);
    reopen(f);
    assert_int_equal(davy_ledger_outbox_count(f->ledger), 1);
    assert_int_equal(davy_ledger_outbox_next(f->ledger, 0, &row), 0);
    assert_int_equal(row.seq, 3);
    assert_int_equal(look_number(file_of(f), "SELECT count(*) FROM events WHERE sent_us = 1790000100000000"), 2);
    assert_int_equal(look_number(file_of(f), "SELECT count(*) FROM events WHERE sent_us IS NULL"), 1);
}

static void refuse(struct davy_ledger *ledger, int64_t row, int64_t second)
{
    assert_int_equal(davy_ledger_begin(ledger), 0);
    assert_int_equal(davy_ledger_outbox_refused(ledger, row, 0x87, (davy_mono){second * DAVY_NS_PER_S}), 0);
    assert_int_equal(davy_ledger_commit(ledger), 0);
}

static int64_t next_seq(struct davy_ledger *ledger, int64_t after)
{
    struct davy_outbox_row row;
    int r = davy_ledger_outbox_next(ledger, after, &row);
    return r == 0 ? row.seq : -r;
}

static int64_t due_seq(struct davy_ledger *ledger, int64_t after, int64_t second)
{
    struct davy_outbox_row row;
    int r = davy_ledger_outbox_due(ledger, after, (davy_mono){second * DAVY_NS_PER_S}, &row);
    return r == 0 ? row.seq : -r;
}

static void a_refused_row_waits_with_its_topic_and_holds_up_no_other(void **state)
{
    struct fixture *f = *state;
    store(f->ledger, 1, "unacknowledged"); /* rows 2, 4, 6 */
    store(f->ledger, 2, "unacknowledged");
    store(f->ledger, 1, "acknowledged");
    refuse(f->ledger, 2, 0);
    assert_int_equal(next_seq(f->ledger, 0), 2);
    assert_int_equal(next_seq(f->ledger, 4), -DAVY_OUTBOX_EMPTY);
    assert_int_equal(due_seq(f->ledger, 0, 59), -DAVY_OUTBOX_EMPTY);
    assert_int_equal(due_seq(f->ledger, 0, 60), 1);
    assert_int_equal(due_seq(f->ledger, 2, 60), 3);
    assert_int_equal(davy_ledger_outbox_count(f->ledger), 3);
}

static void the_wait_doubles_to_ten_minutes(void **state)
{
    struct fixture *f = *state;
    static const int64_t waits[] = {60, 120, 240, 480, 600, 600};
    int64_t now = 0;
    store(f->ledger, 1, "unacknowledged");
    for (size_t i = 0; i < DAVY_LENGTH(waits); i++) {
        refuse(f->ledger, 2, now);
        assert_int_equal(due_seq(f->ledger, 0, now + waits[i] - 1), -DAVY_OUTBOX_EMPTY);
        now += waits[i];
        assert_int_equal(due_seq(f->ledger, 0, now), 1);
    }
}

static void a_connect_makes_all_refused_rows_due(void **state)
{
    struct fixture *f = *state;
    store(f->ledger, 1, "unacknowledged");
    refuse(f->ledger, 2, 0);
    assert_int_equal(davy_ledger_begin(f->ledger), 0);
    assert_int_equal(davy_ledger_outbox_unpark(f->ledger), 0);
    assert_int_equal(davy_ledger_commit(f->ledger), 0);
    struct davy_outbox_row row;
    assert_int_equal(davy_ledger_outbox_due(f->ledger, 0, (davy_mono){DAVY_NS_PER_S}, &row), 0);
    assert_true(row.parked);
}

static void a_new_event_makes_the_refused_ones_of_its_topic_due_before_it(void **state)
{
    struct fixture *f = *state;
    store(f->ledger, 1, "unacknowledged");
    refuse(f->ledger, 2, 0);
    store(f->ledger, 1, "acknowledged");
    assert_int_equal(next_seq(f->ledger, 0), -DAVY_OUTBOX_EMPTY);
    assert_int_equal(due_seq(f->ledger, 0, 1), 1);
    assert_int_equal(due_seq(f->ledger, 2, 1), 2);
}

struct list {
    int count;
    char text[8][512];
};

static void add_to_list(void *context, const char *payload)
{
    struct list *list = context;
    assert_true(list->count < 8);
    snprintf(list->text[list->count++], sizeof(list->text[0]), "%s", payload);
}

static void the_snapshot_is_the_latest_event_of_each_alarm_that_is_not_normal(void **state)
{
    struct fixture *f = *state;
    struct list list = {.count = 0};
    store(f->ledger, 1, "unacknowledged"); /* 1 */
    store(f->ledger, 2, "unacknowledged");
    store(f->ledger, 3, "unacknowledged"); /* 3 */
    store(f->ledger, 1, "acknowledged");   /* 4 */
    store(f->ledger, 2, "normal");
    reopen(f);
    assert_int_equal(davy_ledger_snapshot(f->ledger, add_to_list, &list), 0);
    assert_int_equal(list.count, 2);
    assert_non_null(strstr(list.text[0], "\"seq\":3"));
    assert_non_null(strstr(list.text[1], "\"seq\":4"));
}

static void add_topic(void *context, const char *key, const char *topic)
{
    char line[512];
    snprintf(line, sizeof line, "%s %s", key, topic);
    add_to_list(context, line);
}

static void the_topics_are_those_of_the_latest_events(void **state)
{
    struct fixture *f = *state;
    struct list list = {.count = 0};
    store(f->ledger, 1, "unacknowledged");
    store(f->ledger, 2, "unacknowledged");
    store(f->ledger, 2, "normal");
    assert_int_equal(davy_ledger_topics(f->ledger, add_topic, &list), 0);
    assert_int_equal(list.count, 1);
    char *topic = strchr(list.text[0], ' ');
    assert_non_null(topic);
    look(file_of(f), "SELECT t.name FROM topic t JOIN event e ON e.topic = t.id WHERE e.seq = 1", list.text[1],
         sizeof list.text[1]);
    assert_string_equal(topic + 1, list.text[1]);
}

static void place(struct davy_ledger *ledger, const char *key, const char *topic)
{
    assert_int_equal(davy_ledger_begin(ledger), 0);
    assert_int_equal(davy_ledger_place(ledger, key, topic), 0);
    assert_int_equal(davy_ledger_commit(ledger), 0);
}

static void where_an_alarm_was_told_is_known_until_it_has_another_event(void **state)
{
    struct fixture *f = *state;
    struct list before = {.count = 0}, after = {.count = 0};
    struct davy_standing_row row;
    char key[512], topic[512];
    store(f->ledger, 1, "unacknowledged");
    look(file_of(f), "SELECT alarm FROM event WHERE seq = 1", key, sizeof key);
    look(file_of(f), "SELECT name FROM topic", topic, sizeof topic);
    assert_int_equal(davy_ledger_place(f->ledger, key, "b"), -EINVAL);
    place(f->ledger, key, "b");
    place(f->ledger, "not:known", "c");
    reopen(f);
    assert_int_equal(davy_ledger_topics(f->ledger, add_topic, &before), 0);
    assert_int_equal(before.count, 2); /* the one of its event, and the other */
    const bool swapped = strcmp(strchr(before.text[0], ' ') + 1, "b") == 0;
    assert_string_equal(strchr(before.text[swapped ? 0 : 1], ' ') + 1, "b");
    assert_string_equal(strchr(before.text[swapped ? 1 : 0], ' ') + 1, topic);
    assert_int_equal(davy_ledger_ended_next(f->ledger, 0, &row), DAVY_OUTBOX_EMPTY);
    store(f->ledger, 1, "acknowledged");
    assert_int_equal(davy_ledger_topics(f->ledger, add_topic, &after), 0);
    assert_int_equal(after.count, 1);
    assert_int_equal(davy_ledger_ended_next(f->ledger, 0, &row), 0); /* what is told there is not the latest any more */
    assert_string_equal(row.name, "b");
    assert_int_equal(davy_ledger_ended_next(f->ledger, row.at, &row), DAVY_OUTBOX_EMPTY);
}

static void act(struct davy_ledger *ledger, const char *verb, const char *result, const char *detail)
{
    const struct davy_ledger_action action = {
        .time = wall_s(0), .by = "mqtt:zhao", .verb = verb, .result = result, .detail = detail};
    assert_int_equal(davy_ledger_begin(ledger), 0);
    assert_int_equal(davy_ledger_act(ledger, &action), 0);
    assert_int_equal(davy_ledger_commit(ledger), 0);
}

static void the_latest_ack_and_the_last_load_are_found(void **state)
{
    struct fixture *f = *state;
    char text[DAVY_WALL_TEXT];
    davy_wall until = wall_s(1);
    assert_int_equal(davy_ledger_issued_until(f->ledger, &until), 0);
    assert_int_equal(until.ns, 0);
    assert_false(davy_ledger_loaded_before(f->ledger, "a"));
    act(f->ledger, "load", "done", "{\"hash\":\"a\"}");
    act(f->ledger, "ack", "done", "{\"nonce\":\"n\",\"issued_at\":\"2026-11-23T08:01:42.345Z\"}");
    act(f->ledger, "ack", "no such alarm", "{\"nonce\":\"m\",\"issued_at\":\"2026-11-23T08:01:02.345Z\"}");
    act(f->ledger, "ack", "done", NULL); /* at the gateway */
    act(f->ledger, "reload", "refused: the file has errors", "{\"hash\":\"a\"}");
    assert_int_equal(davy_ledger_issued_until(f->ledger, &until), 0);
    assert_string_equal(davy_wall_format(until, text), "2026-11-23T08:01:42.345Z");
    assert_true(davy_ledger_loaded_before(f->ledger, "a"));
    assert_false(davy_ledger_loaded_before(f->ledger, "b"));
    act(f->ledger, "reload", "done", "{\"hash\":\"b\"}");
    assert_false(davy_ledger_loaded_before(f->ledger, "b")); /* what it changed may not have been told to the end */
    act(f->ledger, "load", "done", "{\"hash\":\"b\"}");
    assert_true(davy_ledger_loaded_before(f->ledger, "b"));
}

static void what_stands_and_what_has_ended_come_one_by_one(void **state)
{
    struct fixture *f = *state;
    struct davy_standing_row row;
    char text[512];
    store(f->ledger, 1, "unacknowledged"); /* 1 */
    store(f->ledger, 2, "unacknowledged"); /* 2 */
    store(f->ledger, 3, "unacknowledged");
    store(f->ledger, 3, "normal");
    store(f->ledger, 1, "acknowledged"); /* 5 */
    reopen(f);
    assert_int_equal(davy_ledger_standing_next(f->ledger, 0, &row), 0);
    assert_int_equal(row.at, 2);
    assert_non_null(strstr(row.payload, "\"seq\":2"));
    assert_int_equal(davy_ledger_standing_next(f->ledger, 2, &row), 0);
    assert_int_equal(row.at, 5);
    assert_false(row.held);
    look(file_of(f), "SELECT alarm FROM event WHERE seq = 5", text, sizeof text);
    assert_string_equal(row.name, text);
    assert_int_equal(davy_ledger_standing_next(f->ledger, 5, &row), DAVY_OUTBOX_EMPTY);
    assert_int_equal(davy_ledger_ended_next(f->ledger, 0, &row), 0);
    look(file_of(f), "SELECT t.name FROM topic t JOIN event e ON e.topic = t.id WHERE e.seq = 4", text, sizeof text);
    assert_string_equal(row.name, text);
    assert_int_equal(davy_ledger_ended_next(f->ledger, row.at, &row), DAVY_OUTBOX_EMPTY);
    assert_int_equal(davy_ledger_begin(f->ledger), 0);
    assert_int_equal(davy_ledger_outbox_refused(f->ledger, 2 * 5, 0x87, (davy_mono){0}), 0);
    assert_int_equal(davy_ledger_commit(f->ledger), 0);
    assert_int_equal(davy_ledger_standing_next(f->ledger, 2, &row), 0);
    assert_true(row.held);
}

static void deliver(struct davy_ledger *ledger, int64_t seq)
{
    assert_int_equal(davy_ledger_begin(ledger), 0);
    assert_int_equal(davy_ledger_outbox_done(ledger, 2 * seq, wall_s(0)), 0);
    assert_int_equal(davy_ledger_outbox_done(ledger, 2 * seq + 1, wall_s(0)), 0);
    assert_int_equal(davy_ledger_commit(ledger), 0);
}

static void confirm(struct davy_ledger *ledger, int64_t seq)
{
    assert_int_equal(davy_ledger_begin(ledger), 0);
    assert_int_equal(davy_ledger_confirm(ledger, seq), 0);
    assert_int_equal(davy_ledger_commit(ledger), 0);
}

static void the_watermark_is_kept_and_never_goes_back(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(davy_ledger_confirmed_seq(f->ledger), 0);
    assert_int_equal(davy_ledger_confirm(f->ledger, 1), -EINVAL);
    store(f->ledger, 1, "unacknowledged");
    store(f->ledger, 2, "acknowledged");
    confirm(f->ledger, 2);
    confirm(f->ledger, 1);
    assert_int_equal(davy_ledger_confirmed_seq(f->ledger), 2);
    assert_int_equal(davy_ledger_begin(f->ledger), 0);
    assert_int_equal(davy_ledger_confirm(f->ledger, 7), 0);
    assert_int_equal(davy_ledger_confirmed_seq(f->ledger), 2); /* not yet */
    davy_ledger_rollback(f->ledger);
    reopen(f);
    assert_int_equal(davy_ledger_confirmed_seq(f->ledger), 2);
    assert_int_equal(look_number(file_of(f), "SELECT seq FROM confirmed"), 2);
}

static void events_are_read_again_in_order_whether_delivered_or_not(void **state)
{
    struct fixture *f = *state;
    struct davy_outbox_row row;
    assert_int_equal(davy_ledger_event_next(f->ledger, 0, &row), DAVY_OUTBOX_EMPTY);
    for (int seq = 1; seq <= 3; seq++)
        store(f->ledger, seq, "unacknowledged");
    deliver(f->ledger, 2);
    for (int64_t seq = 1; seq <= 3; seq++) {
        assert_int_equal(davy_ledger_event_next(f->ledger, seq - 1, &row), 0);
        assert_int_equal(row.seq, seq);
        assert_true(row.payload[0] == '{' && row.topic[0]);
    }
    assert_int_equal(davy_ledger_event_next(f->ledger, 3, &row), DAVY_OUTBOX_EMPTY);
}

static void pruning_keeps_the_undelivered_the_chain_and_the_snapshot(void **state)
{
    struct fixture *f = *state;
    struct list list = {.count = 0};
    char hash[80];
    for (int i = 1; i <= 10; i++)
        store(f->ledger, i == 2 ? 2 : 1, "unacknowledged");
    for (int i = 1; i <= 10; i++) {
        if (i != 7)
            deliver(f->ledger, i);
    }
    assert_int_equal(davy_ledger_prune(f->ledger, wall_s(4), wall_s(LONG_AFTER)), 0); /* older than second 4: 1 to 3 */
    assert_int_equal(look_number(file_of(f), "SELECT min(seq) FROM events"), 4);
    assert_int_equal(davy_ledger_prune(f->ledger, wall_s(1000), wall_s(LONG_AFTER)), 0);
    assert_int_equal(look_number(file_of(f), "SELECT min(seq) FROM events"), 7);
    look(file_of(f), "SELECT lower(hex(hash)) FROM chain WHERE name = 'event' AND seq = 6", hash, sizeof(hash));
    assert_int_equal(check_chain(file_of(f), hash), 4);
    assert_int_equal(davy_ledger_snapshot(f->ledger, add_to_list, &list), 0);
    assert_int_equal(list.count, 2);
    assert_non_null(strstr(list.text[0], "\"seq\":2"));
    deliver(f->ledger, 7);
    assert_int_equal(davy_ledger_prune(f->ledger, wall_s(1000), wall_s(LONG_AFTER)), 0);
    assert_int_equal(look_number(file_of(f), "SELECT count(*) FROM events"), 0);
    reopen(f);
    assert_int_equal(davy_ledger_last_seq(f->ledger), 10); /* nothing left, and yet the numbers go on */
}

/* Events of before the clock was set say 1970, and are as old as what follows them. */
static void store_at(struct fixture *f, davy_wall time)
{
    struct sample_event s;
    const int64_t seq = davy_ledger_last_seq(f->ledger) + 1;
    assert_int_equal(davy_ledger_begin(f->ledger), 0);
    (void)sample(&s, seq, 1, "unacknowledged");
    s.event.topic = NULL;
    s.event.time = time;
    assert_int_equal(davy_ledger_append(f->ledger, &s.event), 0);
    assert_int_equal(davy_ledger_commit(f->ledger), 0);
}

static void an_event_of_1970_is_as_old_as_the_one_behind_it(void **state)
{
    struct fixture *f = *state;
    store_at(f, (davy_wall){30 * DAVY_NS_PER_S});
    store_at(f, (davy_wall){31 * DAVY_NS_PER_S});
    assert_int_equal(davy_ledger_prune(f->ledger, wall_s(50), wall_s(LONG_AFTER)), 0);
    assert_int_equal(look_number(file_of(f), "SELECT min(seq) FROM events"), 1); /* of how long ago, nobody knows */
    store_at(f, wall_s(100));
    store_at(f, (davy_wall){20 * DAVY_NS_PER_S}); /* another boot */
    store_at(f, wall_s(200));
    assert_int_equal(davy_ledger_prune(f->ledger, wall_s(50), wall_s(LONG_AFTER)), 0);
    assert_int_equal(look_number(file_of(f), "SELECT min(seq) FROM events"), 1);
    assert_int_equal(davy_ledger_prune(f->ledger, wall_s(150), wall_s(LONG_AFTER)), 0);
    assert_int_equal(look_number(file_of(f), "SELECT min(seq) FROM events"), 4);
    assert_int_equal(davy_ledger_prune(f->ledger, wall_s(250), wall_s(LONG_AFTER)), 0);
    assert_int_equal(look_number(file_of(f), "SELECT count(*) FROM events"), 0);
}

/* Of a clock that ran ahead, so that it says a time that is still to come. */
static void an_event_of_the_future_is_as_old_as_the_one_behind_it(void **state)
{
    struct fixture *f = *state;
    store_at(f, wall_s(10));
    store_at(f, wall_s(2 * LONG_AFTER));
    assert_int_equal(davy_ledger_prune(f->ledger, wall_s(150), wall_s(LONG_AFTER)), 0);
    assert_int_equal(look_number(file_of(f), "SELECT min(seq) FROM events"), 2); /* nobody knows */
    store_at(f, wall_s(100));
    store_at(f, wall_s(200));
    assert_int_equal(davy_ledger_prune(f->ledger, wall_s(50), wall_s(LONG_AFTER)), 0);
    assert_int_equal(look_number(file_of(f), "SELECT min(seq) FROM events"), 2);
    assert_int_equal(davy_ledger_prune(f->ledger, wall_s(150), wall_s(LONG_AFTER)), 0);
    assert_int_equal(look_number(file_of(f), "SELECT min(seq) FROM events"), 4);
}

/* More of them than are looked at in one call must not stand in the way for ever. */
static void events_without_a_date_go_however_many_they_are(void **state)
{
    struct fixture *f = *state;
    struct sample_event s;
    assert_int_equal(davy_ledger_begin(f->ledger), 0);
    for (int i = 1; i <= 1202; i++) {
        (void)sample(&s, i, 1, "unacknowledged");
        s.event.topic = NULL;
        s.event.time = i <= 600 ? (davy_wall){i} : wall_s(i <= 1200 ? 2 * LONG_AFTER : i);
        assert_int_equal(davy_ledger_append(f->ledger, &s.event), 0);
    }
    assert_int_equal(davy_ledger_commit(f->ledger), 0);
    assert_int_equal(davy_ledger_prune(f->ledger, wall_s(1000), wall_s(LONG_AFTER)), 0);
    assert_int_equal(look_number(file_of(f), "SELECT min(seq) FROM events"), 1);
    assert_int_equal(davy_ledger_prune(f->ledger, (davy_wall){0}, (davy_wall){0}), 0);
    assert_int_equal(look_number(file_of(f), "SELECT min(seq) FROM events"), 1);
    while (davy_ledger_prune(f->ledger, wall_s(1202), wall_s(LONG_AFTER)) == 1)
        ;
    assert_int_equal(look_number(file_of(f), "SELECT min(seq) FROM events"), 1202);
}

static void pruning_does_a_bounded_number_a_call(void **state)
{
    struct fixture *f = *state;
    struct sample_event s;
    assert_int_equal(davy_ledger_begin(f->ledger), 0);
    for (int i = 1; i <= 1200; i++) {
        (void)sample(&s, i, 1, "unacknowledged");
        s.event.topic = NULL;
        assert_int_equal(davy_ledger_append(f->ledger, &s.event), 0);
    }
    assert_int_equal(davy_ledger_commit(f->ledger), 0);
    assert_int_equal(davy_ledger_outbox_count(f->ledger), 0);
    assert_int_equal(davy_ledger_prune(f->ledger, wall_s(5000), wall_s(LONG_AFTER)), 1);
    assert_int_equal(davy_ledger_prune(f->ledger, wall_s(5000), wall_s(LONG_AFTER)), 1);
    assert_int_equal(davy_ledger_prune(f->ledger, wall_s(5000), wall_s(LONG_AFTER)), 0);
    assert_int_equal(look_number(file_of(f), "SELECT count(*) FROM events"), 0);
}

static void actions_have_a_chain_of_their_own(void **state)
{
    struct fixture *f = *state;
    const struct davy_ledger_action action = {
        .time = wall_s(1),
        .by = "local:wang",
        .verb = "reload",
        .note = "\"quoted\"\n\x01",
        .result = "done",
        .detail = "{\"hash\":\"sha256:00\",\"accepted\":true}",
    };
    assert_int_equal(davy_ledger_begin(f->ledger), 0);
    assert_int_equal(davy_ledger_act(f->ledger, &action), 0);
    assert_int_equal(davy_ledger_act(f->ledger, &action), 0);
    assert_int_equal(davy_ledger_commit(f->ledger), 0);
    reopen(f);
    assert_int_equal(look_number(file_of(f),
                                 "SELECT count(*) FROM actions WHERE \"by\" = 'local:wang' AND target IS NULL"
                                 " AND json_extract(detail, '$.accepted') = 1 AND note LIKE '\"quoted\"%'"),
                     2);
    assert_int_equal(look_number(file_of(f), "SELECT count(DISTINCT hash) FROM actions"), 2);
    assert_int_equal(davy_ledger_last_seq(f->ledger), 0);
}

/* A child that stores events as fast as it can, and says each seq that is committed. */
static void child_stores(const char *path, int report)
{
    struct davy_ledger *ledger = NULL;
    struct sample_event s;
    if (davy_ledger_open(path, wall_s(0), NULL, &ledger) != 0)
        _exit(1);
    for (int i = 0;; i++) {
        int64_t seq = davy_ledger_last_seq(ledger) + 1;
        if (davy_ledger_begin(ledger) != 0)
            _exit(2);
        for (int k = 0; k <= i % 3; k++) {
            if (davy_ledger_append(ledger, sample(&s, seq++, i % 5, i % 7 ? "unacknowledged" : "normal")) != 0)
                _exit(3);
        }
        if (davy_ledger_commit(ledger) != 0)
            _exit(4);
        seq--;
        if (write(report, &seq, sizeof(seq)) != sizeof(seq))
            _exit(5);
    }
}

static int64_t kill_after(struct fixture *f, uint64_t commits)
{
    int ends[2];
    int64_t seq = 0;
    int64_t last = 0;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        child_stores(f->folder.path, ends[1]);
    close(ends[1]);
    for (uint64_t i = 0; i <= commits && read(ends[0], &seq, sizeof(seq)) == sizeof(seq); i++)
        last = seq;
    kill(child, SIGKILL);
    while (read(ends[0], &seq, sizeof(seq)) == sizeof(seq)) /* said before it died */
        last = seq;
    waitpid(child, NULL, 0);
    close(ends[0]);
    return last;
}

static void what_was_committed_survives_sigkill_without_a_gap(void **state)
{
    struct fixture *f = *state;
    struct davy_random random = {davy_test_seed(20261125)};
    f->ledger = davy_ledger_close(f->ledger);
    for (int round = 0; round < 50; round++) {
        int64_t said = kill_after(f, davy_random_next(&random) % 20);
        reopen(f);
        int64_t last = davy_ledger_last_seq(f->ledger);
        assert_true(last >= said);
        assert_gap_free(file_of(f), last);
        assert_int_equal(davy_ledger_outbox_count(f->ledger),
                         look_number(file_of(f), "SELECT sum(1 + (state = 'normal')) FROM events"));
        f->ledger = davy_ledger_close(f->ledger);
    }
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

static void open_damaged(struct fixture *f, int64_t expected_last)
{
    bool aside = false;
    assert_int_equal(davy_ledger_open(f->folder.path, wall_s(0), &aside, &f->ledger), 0);
    assert_true(aside);
    assert_int_equal(access(folder_file(&f->folder, "ledger.db.corrupt-20260921T141320Z"), F_OK), 0);
    assert_int_equal(davy_ledger_last_seq(f->ledger), expected_last);
    store(f->ledger, 1, "unacknowledged");
    assert_int_equal(davy_ledger_last_seq(f->ledger), expected_last + 1);
}

static void a_ledger_without_a_header_is_set_aside_and_the_numbers_go_on(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 30; i++)
        store(f->ledger, i, "unacknowledged");
    f->ledger = davy_ledger_close(f->ledger);
    overwrite(file_of(f), 0, 100);
    open_damaged(f, 30);
}

static void a_ledger_with_a_damaged_page_is_set_aside_and_the_numbers_go_on(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 60; i++)
        store(f->ledger, i, "unacknowledged");
    f->ledger = davy_ledger_close(f->ledger);
    overwrite(file_of(f), look_number(file_of(f), "SELECT rootpage - 1 FROM sqlite_schema WHERE name = 'event'") * 4096,
              4096);
    open_damaged(f, 60);
}

static void a_truncated_ledger_is_set_aside(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 60; i++)
        store(f->ledger, i, "unacknowledged");
    f->ledger = davy_ledger_close(f->ledger);
    assert_int_equal(truncate(file_of(f), 0), 0);
    open_damaged(f, 60); /* the file tells nothing, its mark does */
}

static void a_file_taken_away_under_the_ledger_is_made_anew_and_the_numbers_go_on(void **state)
{
    struct fixture *f = *state;
    struct sample_event s;
    store(f->ledger, 1, "unacknowledged");
    store(f->ledger, 1, "acknowledged");
    assert_int_equal(unlink(file_of(f)), 0);
    assert_int_equal(davy_ledger_begin(f->ledger), DAVY_LEDGER_RENEWED);
    assert_int_equal(davy_ledger_append(f->ledger, sample(&s, 3, 1, "unacknowledged")), 0);
    assert_int_equal(davy_ledger_commit(f->ledger), 0);
    reopen(f);
    assert_int_equal(davy_ledger_last_seq(f->ledger), 3);
    assert_int_equal(look_number(file_of(f), "SELECT count(*) FROM events"), 3);
}

static void a_folder_that_is_not_there_is_an_error(void **state)
{
    (void)state;
    struct davy_ledger *ledger = NULL;
    assert_int_equal(davy_ledger_open("/nonexistent/davy", wall_s(0), NULL, &ledger), -ENOENT);
    assert_null(ledger);
    assert_null(davy_ledger_close(NULL));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_rolled_back_transaction_takes_no_seq),
        TEST(a_seq_out_of_order_is_refused_and_rolled_back),
        TEST(the_same_event_once_more_changes_nothing),
        TEST(the_view_of_events_has_its_public_columns),
        TEST(another_program_sees_the_same_chain),
        TEST(the_outbox_gives_rows_in_order_and_marks_what_was_sent),
        TEST(a_refused_row_waits_with_its_topic_and_holds_up_no_other),
        TEST(the_wait_doubles_to_ten_minutes),
        TEST(a_connect_makes_all_refused_rows_due),
        TEST(a_new_event_makes_the_refused_ones_of_its_topic_due_before_it),
        TEST(the_snapshot_is_the_latest_event_of_each_alarm_that_is_not_normal),
        TEST(the_topics_are_those_of_the_latest_events),
        TEST(where_an_alarm_was_told_is_known_until_it_has_another_event),
        TEST(what_stands_and_what_has_ended_come_one_by_one),
        TEST(the_latest_ack_and_the_last_load_are_found),
        TEST(the_watermark_is_kept_and_never_goes_back),
        TEST(events_are_read_again_in_order_whether_delivered_or_not),
        TEST(pruning_keeps_the_undelivered_the_chain_and_the_snapshot),
        TEST(an_event_of_1970_is_as_old_as_the_one_behind_it),
        TEST(an_event_of_the_future_is_as_old_as_the_one_behind_it),
        TEST(events_without_a_date_go_however_many_they_are),
        TEST(pruning_does_a_bounded_number_a_call),
        TEST(actions_have_a_chain_of_their_own),
        TEST(what_was_committed_survives_sigkill_without_a_gap),
        TEST(a_ledger_without_a_header_is_set_aside_and_the_numbers_go_on),
        TEST(a_ledger_with_a_damaged_page_is_set_aside_and_the_numbers_go_on),
        TEST(a_truncated_ledger_is_set_aside),
        TEST(a_file_taken_away_under_the_ledger_is_made_anew_and_the_numbers_go_on),
        cmocka_unit_test(a_folder_that_is_not_there_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
