/* SPDX-License-Identifier: Apache-2.0 */
#include "record_support.h"

#include <errno.h>
#include <fcntl.h>

#include "model/config.h"
#include "record/readings.h"

#define DAY_S INT64_C(86400)
#define MIB   (INT64_C(1) << 20)

/* Points of a large plant. */
#define MANY 2000

struct fixture {
    struct folder folder;
    struct davy_readings *readings;
    struct davy_device device;
    struct davy_point points[3];
    struct davy_config config;
};

static void make_config(struct fixture *f)
{
    static const char *const names[] = {"h2s", "o2", "z_rms"};
    f->device = (struct davy_device){.id = "GT-101", .name = "GT-101", .point_count = 3};
    for (size_t i = 0; i < 3; i++)
        f->points[i] = (struct davy_point){.name = names[i], .device = 0};
    f->config.devices = &f->device;
    f->config.device_count = 1;
    f->config.points = f->points;
    f->config.point_count = 3;
    f->config.storage.retention = davy_span_s(90 * DAY_S);
    f->config.storage.max_size_bytes = 256 * MIB;
}

static void reopen(struct fixture *f)
{
    bool aside = true;
    f->readings = davy_readings_close(f->readings);
    assert_int_equal(davy_readings_open(f->folder.path, wall_s(0), &aside, &f->readings), 0);
    assert_false(aside);
    assert_int_equal(davy_readings_configure(f->readings, &f->config), 0);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    folder_new_in(&f->folder, "/dev/shm");
    make_config(f);
    reopen(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    davy_readings_close(f->readings);
    folder_done(&f->folder);
    free(f);
    return 0;
}

static const char *file_of(struct fixture *f)
{
    return folder_file(&f->folder, "readings.db");
}

static struct davy_reading reading_at(int64_t second, uint32_t point, double value)
{
    return (struct davy_reading){.point = point, .has_value = true, .value = value, .at = {{second}, wall_s(second)}};
}

static void put(struct fixture *f, int64_t second, uint32_t point, double value)
{
    struct davy_reading reading = reading_at(second, point, value);
    assert_int_equal(davy_readings_append(f->readings, &reading), 0);
}

/* `count` readings, one a second, from `second` on. */
static void put_batch(struct fixture *f, int64_t second, int64_t count)
{
    assert_int_equal(davy_readings_begin(f->readings), 0);
    for (int64_t i = 0; i < count; i++)
        put(f, second + i, (uint32_t)(i % 3), (double)i);
    assert_int_equal(davy_readings_commit(f->readings), 0);
}

static int64_t partitions(struct fixture *f)
{
    return look_number(file_of(f), "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'reading\\__%' ESCAPE '\\'");
}

static void readings_come_back_through_the_view(void **state)
{
    struct fixture *f = *state;
    struct davy_reading silent = {
        .point = 1, .quality = DAVY_QUALITY_BAD, .reason = DAVY_REASON_COMM, .value = 7.0, .at = {{0}, wall_s(2)}};
    assert_int_equal(davy_readings_begin(f->readings), 0);
    put(f, 1, 0, 0.1 + 0.2);
    assert_int_equal(davy_readings_append(f->readings, &silent), 0);
    assert_int_equal(davy_readings_commit(f->readings), 0);
    char text[256];
    look(file_of(f), "SELECT group_concat(name, ' ') FROM pragma_table_info('readings')", text, sizeof(text));
    assert_string_equal(text, "time_us point value quality reason");
    assert_int_equal(look_number(file_of(f), "SELECT count(*) FROM readings WHERE time_us = 1790000001000000 AND"
                                             " point = 'GT-101.h2s' AND value = 0.1 + 0.2 AND quality = 'good' AND"
                                             " reason IS NULL"),
                     1);
    assert_int_equal(look_number(file_of(f), "SELECT count(*) FROM readings WHERE point = 'GT-101.o2' AND"
                                             " value IS NULL AND quality = 'bad' AND reason = 'comm'"),
                     1);
}

static void an_empty_store_has_an_empty_view(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(look_number(file_of(f), "SELECT count(*) FROM readings"), 0);
}

static void a_rolled_back_batch_leaves_nothing_and_the_next_one_is_whole(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(davy_readings_begin(f->readings), 0);
    put(f, 1, 0, 1.0); /* makes the partition, which is rolled back too */
    assert_int_equal(davy_readings_outbox_add(f->readings, "t", "{}"), 0);
    davy_readings_rollback(f->readings);
    assert_int_equal(davy_readings_outbox_count(f->readings), 0);
    assert_int_equal(partitions(f), 0);
    put_batch(f, 1, 10);
    assert_int_equal(look_number(file_of(f), "SELECT count(*) FROM readings"), 10);
}

static int64_t out_of_order(struct fixture *f)
{
    return look_number(file_of(f), "SELECT count(*) FROM (SELECT time_us, lag(time_us) OVER () AS before FROM readings)"
                                   " WHERE before >= time_us");
}

static void batches_of_any_size_are_whole_and_in_order(void **state)
{
    struct fixture *f = *state;
    const int64_t length = 90 * DAY_S / 64; /* of a partition, which ends within a batch */
    int64_t second = length - T0 / DAVY_NS_PER_S % length - 1003, rows = 0;
    for (int64_t count = 1; count < 70; count++) {
        put_batch(f, second, count);
        second += count;
        rows += count;
        assert_int_equal(davy_readings_begin(f->readings), 0);
        for (int64_t i = 0; i < count; i++)
            put(f, second + i, 0, -1);
        davy_readings_rollback(f->readings); /* what waited for its statement goes with the others */
    }
    assert_int_equal(partitions(f), 2);
    assert_int_equal(look_number(file_of(f), "SELECT count(*) FROM readings"), rows);
    assert_int_equal(look_number(file_of(f), "SELECT count(*) FROM readings WHERE value < 0"), 0);
    assert_int_equal(out_of_order(f), 0);
}

static void a_point_keeps_its_number_when_the_configuration_changes(void **state)
{
    struct fixture *f = *state;
    put_batch(f, 0, 3);
    struct davy_point first = f->points[0];
    f->points[0] = f->points[2];
    f->points[2] = first;
    assert_int_equal(davy_readings_configure(f->readings, &f->config), 0);
    put_batch(f, 10, 1); /* index 0 is z_rms now */
    reopen(f);
    assert_int_equal(look_number(file_of(f), "SELECT count(*) FROM readings WHERE point = 'GT-101.z_rms'"), 2);
    assert_int_equal(look_number(file_of(f), "SELECT count(*) FROM point"), 3);
}

static void a_point_that_is_not_configured_is_refused(void **state)
{
    struct fixture *f = *state;
    struct davy_reading reading = reading_at(0, 3, 1.0);
    assert_int_equal(davy_readings_append(f->readings, &reading), -EINVAL);
    assert_int_equal(davy_readings_begin(f->readings), 0);
    assert_int_equal(davy_readings_append(f->readings, &reading), -EINVAL);
    put_batch(f, 0, 1); /* rolled back, usable */
}

static void each_day_has_its_partition_and_old_ones_are_dropped_whole(void **state)
{
    struct fixture *f = *state;
    f->config.storage.retention = davy_span_s(10 * DAY_S);
    assert_int_equal(davy_readings_configure(f->readings, &f->config), 0);
    for (int day = 0; day < 20; day++)
        put_batch(f, day * DAY_S, 30);
    assert_int_equal(partitions(f), 20);
    int calls = 0;
    while (davy_readings_prune(f->readings, wall_s(20 * DAY_S)) == 1)
        calls++;
    assert_int_equal(calls, 9);
    assert_int_equal(partitions(f), 10);
    assert_int_equal(look_number(file_of(f), "SELECT count(*) FROM readings"), 300);
    assert_int_equal(look_number(file_of(f), "SELECT min(time_us) FROM readings"), wall_s(10 * DAY_S).ns / 1000);
    reopen(f);
    put_batch(f, 20 * DAY_S, 1);
    assert_int_equal(partitions(f), 11);
}

/* Of how long ago readings of before the clock was set are, what follows them says. */
static void readings_of_1970_are_as_old_as_those_behind_them(void **state)
{
    struct fixture *f = *state;
    const int64_t epoch = -wall_s(0).ns / DAVY_NS_PER_S;
    put_batch(f, epoch + 30, 30);
    while (davy_readings_prune(f->readings, wall_s(0)) == 1)
        ;
    put_batch(f, 0, 30);
    while (davy_readings_prune(f->readings, wall_s(89 * DAY_S)) == 1)
        ;
    assert_int_equal(look_number(file_of(f), "SELECT count(*) FROM readings"), 60);
    put_batch(f, 95 * DAY_S, 30);
    while (davy_readings_prune(f->readings, wall_s(95 * DAY_S)) == 1)
        ;
    assert_int_equal(look_number(file_of(f), "SELECT count(*) FROM readings"), 30);
}

/* So are those of a clock that ran ahead, once what follows them is old; and a new day begins without them. */
static void readings_of_the_future_are_as_old_as_those_behind_them(void **state)
{
    struct fixture *f = *state;
    put_batch(f, 5000 * DAY_S, 30);
    for (int day = 0; day < 100; day++) {
        while (davy_readings_prune(f->readings, wall_s(day * DAY_S)) == 1)
            ;
        put_batch(f, day * DAY_S, 30);
        if (day == 89)
            assert_int_equal(look_number(file_of(f), "SELECT count(*) FROM readings"), 91 * 30);
    }
    assert_true(look_number(file_of(f), "SELECT min(time_us) FROM readings") >= wall_s(8 * DAY_S).ns / DAVY_NS_PER_US);
    assert_true(look_number(file_of(f), "SELECT max(time_us) FROM readings") < wall_s(100 * DAY_S).ns / DAVY_NS_PER_US);
}

static void all_may_be_too_old(void **state)
{
    struct fixture *f = *state;
    put_batch(f, 0, 30);
    while (davy_readings_prune(f->readings, wall_s(1000 * DAY_S)) == 1)
        ;
    assert_int_equal(partitions(f), 0);
    assert_int_equal(look_number(file_of(f), "SELECT count(*) FROM readings_1min"), 0);
    assert_int_equal(look_number(file_of(f), "SELECT count(*) FROM readings_1h"), 0);
    assert_int_equal(look_number(file_of(f), "SELECT count(*) FROM readings"), 0);
    put_batch(f, 1000 * DAY_S, 2);
    assert_int_equal(look_number(file_of(f), "SELECT count(*) FROM readings"), 2);
}

static void a_step_of_the_clock_never_makes_more_partitions_than_the_bound(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 150; i++)
        put_batch(f, i * DAY_S, 2);
    put_batch(f, 5, 2); /* back: stays in the last one */
    assert_int_equal(partitions(f), 100);
    assert_int_equal(look_number(file_of(f), "SELECT count(*) FROM readings"), 302);
    assert_int_equal(look_number(file_of(f), "SELECT first_us FROM partition ORDER BY id DESC LIMIT 1"),
                     wall_s(5).ns / 1000);
}

static int64_t file_bytes(struct fixture *f)
{
    struct stat found;
    assert_int_equal(stat(file_of(f), &found), 0);
    return found.st_size;
}

static void the_file_never_grows_past_max_size_and_the_newest_stay(void **state)
{
    struct fixture *f = *state;
    f->config.storage.max_size_bytes = 4 * MIB;
    assert_int_equal(davy_readings_configure(f->readings, &f->config), 0);
    for (int64_t i = 0; i < 400; i++) {
        put_batch(f, i * 1000, 1000);
        while (davy_readings_prune(f->readings, wall_s(i * 1000)) == 1)
            ;
    }
    assert_true(file_bytes(f) <= 4 * MIB);
    assert_true(look_number(file_of(f), "SELECT count(*) FROM readings") > 80000);
    assert_int_equal(look_number(file_of(f), "SELECT max(time_us) FROM readings"), wall_s(399999).ns / 1000);
    assert_int_equal(look_number(file_of(f), "SELECT max(time_us) - min(time_us) - (count(*) - 1) * 1000000"
                                             " FROM readings"),
                     0); /* a whole piece of time, no holes */
}

static int64_t pages(struct fixture *f)
{
    return look_number(file_of(f), "PRAGMA page_count");
}

/*
 * Partitions are a 64th of max_size, of which the disk has far less. The file stays as large as it is, what is in it
 * goes.
 */
static void where_the_disk_has_less_room_the_newest_stay(void **state)
{
    struct fixture *f = *state;
    for (int64_t i = 0; i < 600; i++)
        put_batch(f, i * 1000, 1000);
    int64_t before = pages(f);
    assert_true(before > 3000);
    assert_int_equal(davy_readings_room(f->readings, 6 * MIB), 0);
    for (int64_t i = 600; i < 800; i++) {
        while (davy_readings_prune(f->readings, wall_s(i * 1000)) == 1)
            ;
        put_batch(f, i * 1000, 1000);
    }
    assert_true(pages(f) <= before);
    assert_true(look_number(file_of(f), "SELECT count(*) FROM readings") < 220000);
    assert_true(look_number(file_of(f), "SELECT count(*) FROM readings") > 60000);
    assert_int_equal(look_number(file_of(f), "SELECT max(time_us) FROM readings"), wall_s(799999).ns / 1000);
    assert_int_equal(davy_readings_room(f->readings, 512 * MIB), 0);
    for (int64_t i = 800; i < 1500; i++)
        put_batch(f, i * 1000, 1000);
    assert_true(pages(f) > before);
}

static void a_transaction_larger_than_the_store_is_refused_whole(void **state)
{
    struct fixture *f = *state;
    struct davy_reading reading = reading_at(0, 0, 1.0);
    f->config.storage.max_size_bytes = 1 * MIB;
    assert_int_equal(davy_readings_configure(f->readings, &f->config), 0);
    put_batch(f, 0, 1000);
    assert_int_equal(davy_readings_begin(f->readings), 0);
    int r = 0;
    for (int i = 0; r == 0 && i < 100000; i++)
        r = davy_readings_append(f->readings, &reading);
    assert_int_equal(r, -ENOSPC);
    assert_int_equal(look_number(file_of(f), "SELECT count(*) FROM readings"), 1000);
    while (davy_readings_prune(f->readings, wall_s(0)) == 1)
        ;
    put_batch(f, 1, 1000);
    assert_true(file_bytes(f) <= 1 * MIB);
}

/* A configuration of many points, whose roll-ups of a minute take many pages. */
static void use_many_points(struct fixture *f, int64_t max_size)
{
    static struct davy_point points[MANY];
    static char names[MANY][8];
    for (size_t i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof names[i], "p%zu", i);
        points[i] = (struct davy_point){.name = names[i], .device = 0};
    }
    f->config.points = points;
    f->config.point_count = MANY;
    f->config.storage.max_size_bytes = max_size;
    assert_int_equal(davy_readings_configure(f->readings, &f->config), 0);
}

/* Nothing is pruned by the time that the first reading comes, and the minute that waits has to be written first. */
static void a_file_that_is_larger_than_a_new_max_size_goes_on(void **state)
{
    struct fixture *f = *state;
    use_many_points(f, 64 * MIB);
    for (int64_t second = 0; second < 450; second++) {
        assert_int_equal(davy_readings_begin(f->readings), 0);
        for (uint32_t point = 0; point < MANY; point++)
            put(f, second, point, 1.0);
        assert_int_equal(davy_readings_commit(f->readings), 0);
    }
    int64_t before = pages(f);
    assert_true(before > 16 * MIB / 4096);
    f->config.storage.max_size_bytes = 16 * MIB;
    assert_int_equal(davy_readings_configure(f->readings, &f->config), 0);
    for (int64_t second = 450; second < 600; second++) {
        assert_int_equal(davy_readings_begin(f->readings), 0);
        for (uint32_t point = 0; point < MANY; point++)
            put(f, second, point, 1.0);
        assert_int_equal(davy_readings_commit(f->readings), 0);
    }
    assert_true(pages(f) <= before + 16 * MIB / 4096 / 16);
    int64_t used = pages(f) - look_number(file_of(f), "PRAGMA freelist_count");
    assert_true(used <= 15 * MIB / 4096);
    int64_t rows = look_number(file_of(f), "SELECT count(*) FROM readings");
    assert_true(rows > 200000);
    assert_int_equal(rows + (int64_t)davy_readings_loss(f->readings, DAVY_READINGS_RAW)->count, 600 * MANY);
}

static int64_t both_bytes(struct fixture *f)
{
    struct stat found;
    int64_t bytes = file_bytes(f);
    return bytes + (stat(folder_file(&f->folder, "readings.db-wal"), &found) == 0 ? found.st_size : 0);
}

/* Whatever the interval of commits is: one that would outgrow the -wal's part is committed before. */
static void a_long_transaction_is_told_to_end_before_it_outgrows_the_bound(void **state)
{
    struct fixture *f = *state;
    int64_t commits = 1, since = 0;
    use_many_points(f, 16 * MIB);
    assert_int_equal(davy_readings_begin(f->readings), 0);
    for (int64_t i = 0; i < 1200000; i++) {
        put(f, i / MANY, (uint32_t)(i % MANY), 1.0);
        if (++since % 128 || !davy_readings_large(f->readings))
            continue;
        assert_int_equal(davy_readings_commit(f->readings), 0);
        assert_true(both_bytes(f) <= 16 * MIB);
        assert_int_equal(davy_readings_begin(f->readings), 0);
        assert_false(davy_readings_large(f->readings));
        commits++;
        since = 0;
    }
    assert_int_equal(davy_readings_commit(f->readings), 0);
    assert_true(both_bytes(f) <= 16 * MIB);
    assert_true(commits > 20 && commits < 120);
}

static int64_t lost(struct fixture *f)
{
    return (int64_t)davy_readings_loss(f->readings, DAVY_READINGS_RAW)->count;
}

static void each_commit_makes_room_and_what_goes_is_counted(void **state)
{
    struct fixture *f = *state;
    f->config.storage.max_size_bytes = 2 * MIB;
    assert_int_equal(davy_readings_configure(f->readings, &f->config), 0);
    for (int64_t i = 0; i < 200; i++) {
        put_batch(f, i * 1000, 1000);
        assert_true(file_bytes(f) <= 2 * MIB);
    }
    const struct davy_readings_loss *loss = davy_readings_loss(f->readings, DAVY_READINGS_RAW);
    int64_t kept = look_number(file_of(f), "SELECT count(*) FROM readings");
    assert_true(kept > 10000);
    assert_int_equal(kept + lost(f), 200000);
    assert_int_equal(loss->from.ns, wall_s(0).ns);
    assert_int_equal(loss->to.ns, wall_s(lost(f) - 1).ns);
    reopen(f);
    assert_int_equal(kept + lost(f), 200000);
    assert_int_equal(davy_readings_begin(f->readings), 0);
    assert_int_equal(davy_readings_told(f->readings, DAVY_READINGS_RAW, (uint64_t)lost(f)), 0);
    davy_readings_rollback(f->readings);
    assert_int_equal(kept + lost(f), 200000);
    assert_int_equal(davy_readings_begin(f->readings), 0);
    assert_int_equal(davy_readings_told(f->readings, DAVY_READINGS_RAW, (uint64_t)lost(f)), 0);
    assert_int_equal(davy_readings_commit(f->readings), 0);
    assert_int_equal(lost(f), 0);
    reopen(f);
    assert_int_equal(lost(f), 0);
}

static void what_goes_by_age_is_no_loss(void **state)
{
    struct fixture *f = *state;
    put_batch(f, 0, 30);
    while (davy_readings_prune(f->readings, wall_s(100 * DAY_S)) == 1)
        ;
    assert_int_equal(partitions(f), 0);
    assert_int_equal(lost(f), 0);
}

static int64_t wal_bytes(struct fixture *f)
{
    struct stat found;
    return stat(folder_file(&f->folder, "readings.db-wal"), &found) == 0 ? found.st_size : 0;
}

static void a_reader_that_holds_the_wal_stops_the_writing_and_not_the_bound(void **state)
{
    struct fixture *f = *state;
    sqlite3 *handle = NULL;
    sqlite3_stmt *statement = NULL;
    f->config.storage.max_size_bytes = 16 * MIB;
    assert_int_equal(davy_readings_configure(f->readings, &f->config), 0);
    put_batch(f, 0, 1000);
    assert_int_equal(sqlite3_open_v2(file_of(f), &handle, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    sqlite3_db_config(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    assert_int_equal(sqlite3_prepare_v2(handle, "SELECT * FROM readings", -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int r = 0;
    for (int64_t i = 1; r == 0 && i < 1000; i++) {
        r = davy_readings_begin(f->readings);
        for (int64_t n = 0; r == 0 && n < 1000; n++)
            put(f, i * 1000 + n, 0, 1.0);
        if (r == 0)
            r = davy_readings_commit(f->readings);
        assert_true(file_bytes(f) + wal_bytes(f) <= 16 * MIB);
    }
    assert_int_equal(r, -EBUSY);
    sqlite3_finalize(statement);
    sqlite3_close(handle);
    put_batch(f, 1000000, 1000);
    put_batch(f, 1001000, 1000);
    assert_true(wal_bytes(f) < MIB);
}

static void a_single_partition_too_large_loses_its_oldest_rows(void **state)
{
    struct fixture *f = *state;
    put_batch(f, 0, 30000); /* within one day, below rows_max of 256 MiB */
    put_batch(f, 0, 30000);
    f->config.storage.max_size_bytes = 5 * MIB / 4;
    assert_int_equal(davy_readings_configure(f->readings, &f->config), 0);
    assert_int_equal(partitions(f), 1);
    while (davy_readings_prune(f->readings, wall_s(70000)) == 1)
        ;
    assert_int_equal(look_number(file_of(f), "SELECT count(*) FROM readings"), 40000);
    assert_int_equal(look_number(file_of(f), "SELECT min(rowid) FROM reading_1"), 20001);
}

static void the_outbox_is_first_in_first_out(void **state)
{
    struct fixture *f = *state;
    struct davy_outbox_row row;
    assert_int_equal(davy_readings_outbox_next(f->readings, 0, &row), DAVY_OUTBOX_EMPTY);
    assert_int_equal(davy_readings_begin(f->readings), 0);
    assert_int_equal(davy_readings_outbox_add(f->readings, "t/1", "{\"a\":1}"), 0);
    assert_int_equal(davy_readings_outbox_add(f->readings, "t/2", "{\"a\":2}"), 0);
    assert_int_equal(davy_readings_commit(f->readings), 0);
    assert_int_equal(davy_readings_outbox_last(f->readings), 2);
    assert_int_equal(davy_readings_outbox_next(f->readings, 0, &row), 0);
    assert_string_equal(row.topic, "t/1");
    assert_string_equal(row.payload, "{\"a\":1}");
    int64_t first = row.row;
    assert_int_equal(davy_readings_outbox_next(f->readings, first, &row), 0);
    assert_string_equal(row.payload, "{\"a\":2}");
    assert_int_equal(davy_readings_begin(f->readings), 0);
    assert_int_equal(davy_readings_outbox_done(f->readings, first), 0);
    assert_int_equal(davy_readings_outbox_done(f->readings, first), 0);
    assert_int_equal(davy_readings_commit(f->readings), 0);
    reopen(f);
    assert_int_equal(davy_readings_outbox_count(f->readings), 1);
    assert_int_equal(davy_readings_outbox_next(f->readings, 0, &row), 0);
    assert_string_equal(row.topic, "t/2");
}

static void the_outbox_drops_the_oldest_past_a_quarter_of_max_size(void **state)
{
    struct fixture *f = *state;
    struct davy_outbox_row row;
    char payload[10000];
    memset(payload, 'x', sizeof(payload) - 1);
    payload[sizeof(payload) - 1] = '\0';
    f->config.storage.max_size_bytes = 4 * MIB;
    assert_int_equal(davy_readings_configure(f->readings, &f->config), 0);
    for (int i = 0; i < 200; i++) {
        assert_int_equal(davy_readings_begin(f->readings), 0);
        assert_int_equal(davy_readings_outbox_add(f->readings, "t", payload), 0);
        assert_int_equal(davy_readings_commit(f->readings), 0);
    }
    int64_t count = davy_readings_outbox_count(f->readings);
    assert_true(count > 100 && count <= 104);
    assert_int_equal(davy_readings_outbox_dropped(f->readings), 200 - count);
    assert_int_equal(davy_readings_outbox_next(f->readings, 0, &row), 0);
    assert_int_equal(row.row, 200 - count + 1);
    assert_int_equal(look_number(file_of(f), "SELECT count FROM outbox_total"), count);
    assert_int_equal(look_number(file_of(f), "SELECT count(*) FROM outbox"), count);
}

static void the_view_is_readable_while_a_transaction_is_open(void **state)
{
    struct fixture *f = *state;
    char command[256];
    put_batch(f, 0, 30);
    assert_int_equal(davy_readings_begin(f->readings), 0);
    put(f, 100, 0, 1.0);
    snprintf(command, sizeof(command),
             "test \"$(sqlite3 -readonly %s 'SELECT count(*) FROM readings WHERE point = \"GT-101.h2s\"')\" = 10",
             file_of(f));
    assert_int_equal(system(command), 0);
    assert_int_equal(davy_readings_commit(f->readings), 0);
    assert_int_equal(look_number(file_of(f), "SELECT count(*) FROM readings"), 31);
}

static void damage_and_reopen(struct fixture *f)
{
    bool aside = false;
    f->readings = davy_readings_close(f->readings);
    int fd = open(file_of(f), O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "damaged", 7, 0), 7);
    close(fd);
    assert_int_equal(davy_readings_open(f->folder.path, wall_s(0), &aside, &f->readings), 0);
    assert_true(aside);
    assert_int_equal(davy_readings_configure(f->readings, &f->config), 0);
}

static void a_damaged_file_is_set_aside_and_only_the_newest_is_kept(void **state)
{
    struct fixture *f = *state;
    char path[160];
    put_batch(f, 0, 3000);
    damage_and_reopen(f);
    put_batch(f, 0, 3);
    assert_int_equal(look_number(file_of(f), "SELECT count(*) FROM readings"), 3);
    snprintf(path, sizeof(path), "%s/readings.db.corrupt-20260921T141320Z", f->folder.path);
    assert_int_equal(access(path, F_OK), 0);
    damage_and_reopen(f);
    assert_int_equal(access(path, F_OK), 0);
    snprintf(path, sizeof(path), "%s/readings.db.corrupt-20260921T141320Z.1", f->folder.path);
    assert_int_equal(access(path, F_OK), -1);
}

static void a_file_taken_away_is_made_anew(void **state)
{
    struct fixture *f = *state;
    put_batch(f, 0, 30);
    assert_int_equal(unlink(file_of(f)), 0);
    assert_int_equal(davy_readings_begin(f->readings), DAVY_READINGS_RENEWED);
    put(f, 31, 1, 2.0);
    assert_int_equal(davy_readings_commit(f->readings), 0);
    assert_int_equal(look_number(file_of(f), "SELECT count(*) FROM readings"), 1);
}

static void add_rows(struct fixture *f, int count, int begun)
{
    assert_int_equal(davy_readings_begin(f->readings), begun);
    for (int i = 0; i < count; i++)
        assert_int_equal(davy_readings_outbox_add(f->readings, "t", "{}"), 0);
    assert_int_equal(davy_readings_commit(f->readings), 0);
}

/* Who reloads is not who writes: that it is a new file is for the one that begins. */
static void a_file_taken_away_before_a_reload_is_told_by_the_next_begin(void **state)
{
    struct fixture *f = *state;
    put_batch(f, 0, 30);
    assert_int_equal(unlink(file_of(f)), 0);
    assert_int_equal(davy_readings_configure(f->readings, &f->config), 0);
    add_rows(f, 1, DAVY_READINGS_RENEWED);
    add_rows(f, 1, 0);
}

static void a_file_taken_away_while_it_is_closed_is_made_anew(void **state)
{
    struct fixture *f = *state;
    put_batch(f, 0, 30);
    davy_readings_let_go(f->readings);
    add_rows(f, 1, 0);
    davy_readings_let_go(f->readings);
    assert_int_equal(unlink(file_of(f)), 0);
    add_rows(f, 1, DAVY_READINGS_RENEWED);
    add_rows(f, 1, 0);
}

/* Who hands them over has a cursor, and the publisher has messages in hand: their rows must not be those of others. */
static void rows_of_the_outbox_are_given_once(void **state)
{
    struct fixture *f = *state;
    struct davy_outbox_row row;
    add_rows(f, 5, 0);
    assert_int_equal(davy_readings_begin(f->readings), 0);
    for (int64_t i = 1; i <= 5; i++)
        assert_int_equal(davy_readings_outbox_done(f->readings, i), 0);
    assert_int_equal(davy_readings_commit(f->readings), 0);
    davy_readings_let_go(f->readings);
    add_rows(f, 2, 0);
    assert_int_equal(davy_readings_outbox_next(f->readings, 5, &row), 0);
    assert_int_equal(row.row, 6);
    assert_int_equal(davy_readings_outbox_last(f->readings), 7);
    assert_int_equal(unlink(file_of(f)), 0);
    add_rows(f, 2, DAVY_READINGS_RENEWED);
    assert_int_equal(davy_readings_begin(f->readings), 0);
    assert_int_equal(davy_readings_outbox_done(f->readings, 6), 0);
    assert_int_equal(davy_readings_outbox_done(f->readings, 7), 0);
    assert_int_equal(davy_readings_commit(f->readings), 0);
    assert_int_equal(davy_readings_outbox_count(f->readings), 2);
    assert_int_equal(davy_readings_outbox_next(f->readings, 7, &row), 0);
    assert_int_equal(row.row, 8);
}

static void usage_counts_the_files_and_the_free_space(void **state)
{
    struct fixture *f = *state;
    struct davy_disk_usage usage;
    assert_int_equal(davy_storage_measure(f->folder.path, &usage), 0);
    assert_true(usage.bytes >= file_bytes(f) && usage.free_bytes > 0 && usage.total_bytes >= usage.free_bytes);
    assert_int_equal(davy_storage_measure("/nonexistent", &usage), -ENOENT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(readings_come_back_through_the_view),
        TEST(an_empty_store_has_an_empty_view),
        TEST(a_rolled_back_batch_leaves_nothing_and_the_next_one_is_whole),
        TEST(batches_of_any_size_are_whole_and_in_order),
        TEST(a_point_keeps_its_number_when_the_configuration_changes),
        TEST(a_point_that_is_not_configured_is_refused),
        TEST(each_day_has_its_partition_and_old_ones_are_dropped_whole),
        TEST(readings_of_1970_are_as_old_as_those_behind_them),
        TEST(readings_of_the_future_are_as_old_as_those_behind_them),
        TEST(all_may_be_too_old),
        TEST(a_step_of_the_clock_never_makes_more_partitions_than_the_bound),
        TEST(the_file_never_grows_past_max_size_and_the_newest_stay),
        TEST(where_the_disk_has_less_room_the_newest_stay),
        TEST(a_transaction_larger_than_the_store_is_refused_whole),
        TEST(a_file_that_is_larger_than_a_new_max_size_goes_on),
        TEST(a_long_transaction_is_told_to_end_before_it_outgrows_the_bound),
        TEST(each_commit_makes_room_and_what_goes_is_counted),
        TEST(what_goes_by_age_is_no_loss),
        TEST(a_reader_that_holds_the_wal_stops_the_writing_and_not_the_bound),
        TEST(a_single_partition_too_large_loses_its_oldest_rows),
        TEST(the_outbox_is_first_in_first_out),
        TEST(the_outbox_drops_the_oldest_past_a_quarter_of_max_size),
        TEST(the_view_is_readable_while_a_transaction_is_open),
        TEST(a_damaged_file_is_set_aside_and_only_the_newest_is_kept),
        TEST(a_file_taken_away_is_made_anew),
        TEST(a_file_taken_away_before_a_reload_is_told_by_the_next_begin),
        TEST(a_file_taken_away_while_it_is_closed_is_made_anew),
        TEST(rows_of_the_outbox_are_given_once),
        TEST(usage_counts_the_files_and_the_free_space),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
