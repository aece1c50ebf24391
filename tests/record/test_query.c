/* SPDX-License-Identifier: Apache-2.0 */
#include "record_support.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "model/config.h"
#include "record/query.h"
#include "record/readings.h"

struct fixture {
    struct folder folder;
    struct davy_ledger *ledger;
    struct davy_readings *readings;
    struct davy_device device;
    struct davy_point points[2];
    struct davy_config config;
    char error[256];
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    folder_new(&f->folder);
    f->device = (struct davy_device){.id = "GT-101", .point_count = 2};
    f->points[0] = (struct davy_point){.name = "h2s"};
    f->points[1] = (struct davy_point){.name = "o2"};
    f->config.devices = &f->device;
    f->config.device_count = 1;
    f->config.points = f->points;
    f->config.point_count = 2;
    f->config.storage.max_size_bytes = INT64_C(256) << 20;
    assert_int_equal(davy_ledger_open(f->folder.path, wall_s(0), NULL, &f->ledger), 0);
    assert_int_equal(davy_readings_open(f->folder.path, wall_s(0), NULL, &f->readings), 0);
    assert_int_equal(davy_readings_configure(f->readings, &f->config), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    davy_ledger_close(f->ledger);
    davy_readings_close(f->readings);
    folder_done(&f->folder);
    free(f);
    return 0;
}

static const char *ledger_file(struct fixture *f)
{
    return folder_file(&f->folder, "ledger.db");
}

static const char *readings_file(struct fixture *f)
{
    return folder_file(&f->folder, "readings.db");
}

struct seen {
    int64_t count;
    int64_t first;
    int64_t last;
    int64_t stop_after; /* 0: never */
};

static bool see_event(void *context, int64_t seq, const char *payload)
{
    struct seen *seen = context;
    assert_non_null(strstr(payload, "davy.alarm/1"));
    if (seen->count > 0)
        assert_true(seq > seen->last);
    seen->first = seen->count ? seen->first : seq;
    seen->last = seq;
    return ++seen->count != seen->stop_after;
}

static struct seen ask_events(struct fixture *f, const struct davy_event_filter *filter)
{
    struct seen seen = {.count = 0};
    assert_int_equal(davy_query_events(ledger_file(f), filter, see_event, &seen, f->error, sizeof(f->error)), 0);
    return seen;
}

static void fill(struct fixture *f, int count)
{
    struct sample_event s;
    assert_int_equal(davy_ledger_begin(f->ledger), 0);
    for (int i = 1; i <= count; i++) {
        (void)sample(&s, i, i % 7, "unacknowledged");
        s.event.zone = i % 2 ? "A1" : "B2";
        s.event.level = i % 3 ? "yellow" : "red";
        assert_int_equal(davy_ledger_append(f->ledger, &s.event), 0);
    }
    assert_int_equal(davy_ledger_commit(f->ledger), 0);
}

static void events_are_filtered_and_paged(void **state)
{
    struct fixture *f = *state;
    fill(f, 2500);
    assert_int_equal(ask_events(f, &(struct davy_event_filter){.limit = 0}).count, 2500);
    assert_int_equal(ask_events(f, &(struct davy_event_filter){.limit = 1500}).last, 1500);
    assert_int_equal(ask_events(f, &(struct davy_event_filter){.zone = "A1"}).count, 1250);
    assert_int_equal(ask_events(f, &(struct davy_event_filter){.zone = ""}).count, 2500);
    assert_int_equal(ask_events(f, &(struct davy_event_filter){.level = "red"}).count, 833);
    assert_int_equal(ask_events(f, &(struct davy_event_filter){.level = "yellow"}).count, 2500);
    assert_int_equal(ask_events(f, &(struct davy_event_filter){.after_seq = 2000}).first, 2001);
    struct seen some = ask_events(f, &(struct davy_event_filter){.since = wall_s(100), .until = wall_s(200)});
    assert_int_equal(some.first, 100);
    assert_int_equal(some.last, 199);
}

static void the_caller_may_stop(void **state)
{
    struct fixture *f = *state;
    struct seen seen = {.stop_after = 5};
    fill(f, 20);
    assert_int_equal(davy_query_events(ledger_file(f), &(struct davy_event_filter){.limit = 0}, see_event, &seen,
                                       f->error, sizeof(f->error)),
                     0);
    assert_int_equal(seen.count, 5);
}

static void an_unknown_level_a_missing_file_and_another_database_are_told(void **state)
{
    struct fixture *f = *state;
    struct seen seen = {.count = 0};
    assert_int_equal(davy_query_events(ledger_file(f), &(struct davy_event_filter){.level = "purple"}, see_event, &seen,
                                       f->error, sizeof(f->error)),
                     -EINVAL);
    assert_non_null(strstr(f->error, "no such level"));
    assert_int_equal(davy_query_events("/nonexistent.db", &(struct davy_event_filter){.limit = 0}, see_event, &seen,
                                       f->error, sizeof(f->error)),
                     -ENOENT);
    assert_int_equal(davy_query_events(readings_file(f), &(struct davy_event_filter){.limit = 0}, see_event, &seen,
                                       f->error, sizeof(f->error)),
                     -EPROTONOSUPPORT);
    assert_int_equal(access("/nonexistent.db", F_OK), -1);
}

static void put(struct fixture *f, int64_t second, uint32_t point, double value, enum davy_reason reason)
{
    struct davy_reading reading = {.point = point,
                                   .quality = davy_reason_quality(reason),
                                   .reason = reason,
                                   .has_value = !isnan(value),
                                   .value = isnan(value) ? 0.0 : value,
                                   .at = {{0}, wall_s(second)}};
    assert_int_equal(davy_readings_append(f->readings, &reading), 0);
}

struct rows {
    int count;
    struct davy_history_row row[8];
    char reason[8][32];
};

static bool see_row(void *context, const struct davy_history_row *row)
{
    struct rows *rows = context;
    assert_true(rows->count < 8);
    snprintf(rows->reason[rows->count], sizeof(rows->reason[0]), "%s", row->reason ? row->reason : "");
    rows->row[rows->count++] = *row;
    return true;
}

static struct rows ask_history(struct fixture *f, int64_t since, int64_t until, int64_t every)
{
    struct rows rows = {.count = 0};
    assert_int_equal(davy_query_history(readings_file(f), "GT-101.h2s", since ? wall_s(since) : (davy_wall){0},
                                        until ? wall_s(until) : (davy_wall){0}, davy_span_s(every), see_row, &rows,
                                        f->error, sizeof(f->error)),
                     0);
    return rows;
}

static void history_is_that_of_one_point_between_two_times(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(davy_readings_begin(f->readings), 0);
    for (int i = 0; i < 4; i++) {
        put(f, i * 86400, 0, i + 0.5, DAVY_REASON_NONE); /* four partitions */
        put(f, i * 86400 + 1, 1, 20.9, DAVY_REASON_NONE);
    }
    put(f, 4 * 86400, 0, (double)NAN, DAVY_REASON_COMM);
    assert_int_equal(davy_readings_commit(f->readings), 0);
    struct rows all = ask_history(f, 0, 0, 0);
    assert_int_equal(all.count, 5);
    assert_true(all.row[0].has_value && !(all.row[0].value < 0.5) && !(all.row[0].value > 0.5));
    assert_int_equal(all.row[3].time.ns, wall_s(3 * 86400).ns);
    assert_false(all.row[4].has_value);
    assert_string_equal(all.row[4].quality, "bad");
    assert_string_equal(all.reason[4], "comm");
    struct rows some = ask_history(f, 86400, 3 * 86400, 0);
    assert_int_equal(some.count, 2);
    assert_int_equal(some.row[0].time.ns, wall_s(86400).ns);
}

static void steps_have_mean_min_max_and_the_worst_quality(void **state)
{
    struct fixture *f = *state;
    int64_t start = 40; /* T0 + 40 s is a whole minute */
    assert_int_equal(davy_readings_begin(f->readings), 0);
    put(f, start, 0, 1.0, DAVY_REASON_NONE);
    put(f, start + 10, 0, 4.0, DAVY_REASON_OVER_RANGE);
    put(f, start + 59, 0, 1.0, DAVY_REASON_NONE);
    put(f, start + 60, 0, (double)NAN, DAVY_REASON_COMM);
    put(f, start + 300, 0, 7.0, DAVY_REASON_NONE);
    assert_int_equal(davy_readings_commit(f->readings), 0);
    struct rows rows = ask_history(f, 0, 0, 60);
    assert_int_equal(rows.count, 3);
    assert_int_equal(rows.row[0].time.ns, wall_s(start).ns);
    assert_int_equal(rows.row[0].count, 3);
    assert_true(fabs(rows.row[0].value - 2.0) < 1e-12);
    assert_true(fabs(rows.row[0].min - 1.0) < 1e-12 && fabs(rows.row[0].max - 4.0) < 1e-12);
    assert_string_equal(rows.row[0].quality, "uncertain");
    assert_string_equal(rows.reason[0], "over-range");
    assert_false(rows.row[1].has_value);
    assert_int_equal(rows.row[1].count, 1);
    assert_string_equal(rows.row[2].quality, "good");
}

static void a_point_that_was_never_recorded_has_no_history(void **state)
{
    struct fixture *f = *state;
    struct rows rows = {.count = 0};
    assert_int_equal(davy_query_history(readings_file(f), "GT-999.h2s", (davy_wall){0}, (davy_wall){0}, davy_span_s(0),
                                        see_row, &rows, f->error, sizeof(f->error)),
                     1);
    assert_int_equal(rows.count, 0);
}

static void queries_work_without_a_daemon_and_leave_nothing_behind(void **state)
{
    struct fixture *f = *state;
    char path[160];
    fill(f, 10);
    f->ledger = davy_ledger_close(f->ledger);
    assert_int_equal(ask_events(f, &(struct davy_event_filter){.limit = 0}).count, 10);
    snprintf(path, sizeof(path), "%s/ledger.db-wal", f->folder.path);
    struct stat found;
    assert_true(stat(path, &found) < 0 || found.st_size == 0);
    assert_int_equal(davy_ledger_open(f->folder.path, wall_s(0), NULL, &f->ledger), 0);
    assert_int_equal(davy_ledger_last_seq(f->ledger), 10);
}

static int64_t wal_bytes(struct fixture *f)
{
    char path[160];
    struct stat found;
    snprintf(path, sizeof(path), "%s/ledger.db-wal", f->folder.path);
    return stat(path, &found) == 0 ? (int64_t)found.st_size : 0;
}

/* A reader that never ends holds up the -wal; once it is gone, the -wal is emptied without an event. */
static void a_wal_that_a_reader_held_is_emptied_behind_it(void **state)
{
    struct fixture *f = *state;
    sqlite3 *reader = NULL;
    struct davy_stamp now = {{1}, wall_s(1)};
    fill(f, 10);
    assert_int_equal(sqlite3_open_v2(ledger_file(f), &reader, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_exec(reader, "BEGIN; SELECT * FROM events", NULL, NULL, NULL), SQLITE_OK);
    while (wal_bytes(f) < 6 << 20) {
        assert_int_equal(davy_ledger_begin(f->ledger), 0);
        for (int i = 0; i < 200; i++)
            assert_int_equal(davy_ledger_act(f->ledger, &(struct davy_ledger_action){.verb = "ack"}), 0);
        assert_int_equal(davy_ledger_commit(f->ledger), 0);
    }
    assert_int_equal(davy_ledger_tend(f->ledger, now), 0);
    assert_true(wal_bytes(f) >= 6 << 20);
    sqlite3_close(reader);
    assert_int_equal(davy_ledger_tend(f->ledger, now), 0);
    assert_int_equal(wal_bytes(f), 0);
}

static void queries_see_what_is_committed_while_a_transaction_is_open(void **state)
{
    struct fixture *f = *state;
    struct sample_event s;
    fill(f, 10);
    assert_int_equal(davy_ledger_begin(f->ledger), 0);
    assert_int_equal(davy_ledger_append(f->ledger, sample(&s, 11, 1, "acknowledged")), 0);
    assert_int_equal(ask_events(f, &(struct davy_event_filter){.limit = 0}).count, 10);
    assert_int_equal(davy_ledger_commit(f->ledger), 0);
    assert_int_equal(ask_events(f, &(struct davy_event_filter){.limit = 0}).count, 11);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(events_are_filtered_and_paged),
        TEST(the_caller_may_stop),
        TEST(an_unknown_level_a_missing_file_and_another_database_are_told),
        TEST(history_is_that_of_one_point_between_two_times),
        TEST(steps_have_mean_min_max_and_the_worst_quality),
        TEST(a_point_that_was_never_recorded_has_no_history),
        TEST(queries_work_without_a_daemon_and_leave_nothing_behind),
        TEST(a_wal_that_a_reader_held_is_emptied_behind_it),
        TEST(queries_see_what_is_committed_while_a_transaction_is_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
