/* SPDX-License-Identifier: Apache-2.0 */
/* What can be done to a ledger behind the daemon's back, each to a row that is drawn: for test_verify.c. */
#pragma once

#include "record_support.h"

#include "src/record/chain.h"

#define EVENTS  40
#define PENDING 5 /* of the last ones */

static void run_sql(sqlite3 *base, const char *format, ...)
{
    char *error = NULL;
    va_list arguments;
    va_start(arguments, format);
    char *sql = sqlite3_vmprintf(format, arguments);
    va_end(arguments);
    if (sqlite3_exec(base, sql, NULL, NULL, &error) != SQLITE_OK)
        fail_msg("%s: %s", sql, error);
    sqlite3_free(sql);
}

/* All hashes of `table` from row `from` on are computed anew, as somebody would who knows how. */
static void hash_anew(sqlite3 *base, const char *table, int64_t from)
{
    char sql[160];
    uint8_t hash[DAVY_HASH_SIZE] = {0};
    sqlite3_stmt *read, *write;
    snprintf(sql, sizeof sql, "SELECT seq, payload, hash FROM %s WHERE seq >= %lld ORDER BY seq", table,
             (long long)from - 1);
    assert_int_equal(sqlite3_prepare_v2(base, sql, -1, &read, NULL), SQLITE_OK);
    snprintf(sql, sizeof sql, "UPDATE %s SET hash = ?2 WHERE seq = ?1", table);
    assert_int_equal(sqlite3_prepare_v2(base, sql, -1, &write, NULL), SQLITE_OK);
    while (sqlite3_step(read) == SQLITE_ROW) {
        int64_t seq = sqlite3_column_int64(read, 0);
        if (seq < from) {
            memcpy(hash, sqlite3_column_blob(read, 2), DAVY_HASH_SIZE);
            continue;
        }
        davy_chain_next(hash, (const char *)sqlite3_column_text(read, 1), (size_t)sqlite3_column_bytes(read, 1), hash);
        sqlite3_bind_int64(write, 1, seq);
        sqlite3_bind_blob(write, 2, hash, DAVY_HASH_SIZE, SQLITE_STATIC);
        assert_int_equal(sqlite3_step(write), SQLITE_DONE);
        sqlite3_reset(write);
    }
    sqlite3_finalize(read);
    sqlite3_finalize(write);
}

static void move_head(sqlite3 *base, const char *table)
{
    run_sql(base,
            "UPDATE head SET (seq, hash) = (SELECT seq, hash FROM %s ORDER BY seq DESC LIMIT 1) WHERE name = '%s'",
            table, table);
}

/* Where it was done, and how. */
struct deed {
    sqlite3 *base;
    struct davy_random *random;
    const char *table;
    int64_t last; /* of the table */
    int64_t row;  /* the first that is touched */
};

static int64_t pick(struct deed *deed, int64_t low, int64_t high)
{
    return low + (int64_t)(davy_random_next(deed->random) % (uint64_t)(high - low + 1));
}

static void change_payload(struct deed *deed)
{
    run_sql(deed->base, "UPDATE %s SET payload = replace(payload, '\"20', '\"21') WHERE seq = %lld", deed->table,
            (long long)deed->row);
}

static void change_hash(struct deed *deed)
{
    run_sql(deed->base, "UPDATE %s SET hash = randomblob(32) WHERE seq = %lld", deed->table, (long long)deed->row);
}

static void take_out(struct deed *deed)
{
    int64_t upto = pick(deed, deed->row, deed->last);
    run_sql(deed->base, "DELETE FROM %s WHERE seq BETWEEN %lld AND %lld", deed->table, (long long)deed->row,
            (long long)upto);
}

static void take_out_and_close_the_gap(struct deed *deed)
{
    run_sql(deed->base, "DELETE FROM %s WHERE seq = %lld", deed->table, (long long)deed->row);
    run_sql(deed->base, "UPDATE %s SET seq = -seq + 1 WHERE seq > %lld", deed->table, (long long)deed->row);
    run_sql(deed->base, "UPDATE %s SET seq = -seq WHERE seq < 0", deed->table);
}

static void swap_payloads(struct deed *deed)
{
    deed->row = pick(deed, 1, deed->last - 1);
    int64_t other = pick(deed, deed->row + 1, deed->last);
    run_sql(deed->base,
            "UPDATE %s SET (payload, hash) = (SELECT payload, hash FROM %s o WHERE o.seq = %lld + %lld - %s.seq)"
            " WHERE seq IN (%lld, %lld)",
            deed->table, deed->table, (long long)deed->row, (long long)other, deed->table, (long long)deed->row,
            (long long)other);
}

static void double_it(struct deed *deed)
{
    run_sql(deed->base,
            "INSERT INTO %s (seq, time_us, hash, payload) SELECT %lld, time_us, hash, payload FROM %s"
            " WHERE seq = %lld",
            deed->table, (long long)deed->last + 1, deed->table, (long long)deed->row);
    deed->row = deed->last + 1;
}

static void cut_the_end(struct deed *deed)
{
    run_sql(deed->base, "DELETE FROM %s WHERE seq >= %lld", deed->table, (long long)deed->row);
}

static void cut_the_beginning(struct deed *deed)
{
    deed->row = pick(deed, 2, deed->last);
    run_sql(deed->base, "DELETE FROM %s WHERE seq < %lld", deed->table, (long long)deed->row);
    deed->row = 1;
}

static void change_and_hash_anew(struct deed *deed)
{
    change_payload(deed);
    hash_anew(deed->base, deed->table, deed->row);
    deed->row = deed->last; /* it is the end that does not fit, if no tie before */
}

static void change_a_column(struct deed *deed)
{
    static const char *const columns[] = {"time_us = time_us + 1000",
                                          "id = 'x'",
                                          "event = 'cleared'",
                                          "state = 'normal'",
                                          "level = 'yellow'",
                                          "rule = NULL",
                                          "zone = 'B2'",
                                          "device = 'GT-2'",
                                          "point = 'co'",
                                          "value = value - 1",
                                          "value = NULL",
                                          "value = 9e999",
                                          "\"limit\" = 99",
                                          "\"limit\" = -9e999",
                                          "\"by\" = 'local:li'",
                                          "note = 'nothing'"};
    bool event = strcmp(deed->table, "event") == 0;
    const char *set = columns[event ? pick(deed, 0, (int64_t)DAVY_LENGTH(columns) - 1) : 0];
    run_sql(deed->base, "UPDATE %s SET %s WHERE seq = %lld", deed->table, set, (long long)deed->row);
}

static void add_at_the_end(struct deed *deed)
{
    run_sql(deed->base,
            "INSERT INTO %s (seq, time_us, hash, payload) SELECT seq + 1, time_us, hash,"
            " replace(payload, '\"seq\":' || seq, '\"seq\":' || (seq + 1)) FROM %s WHERE seq = %lld",
            deed->table, deed->table, (long long)deed->last);
    hash_anew(deed->base, deed->table, deed->last + 1);
    deed->row = deed->last + 1;
}

static void move_the_beginning(struct deed *deed)
{
    deed->row = pick(deed, 2, deed->last);
    run_sql(deed->base, "UPDATE chain SET (seq, hash) = (SELECT seq, hash FROM %s WHERE seq = %lld) WHERE name = '%s'",
            deed->table, (long long)deed->row - 1, deed->table);
    run_sql(deed->base, "DELETE FROM %s WHERE seq < %lld", deed->table, (long long)deed->row);
    if (strcmp(deed->table, "event") == 0)
        return;
    deed->row = 0; /* actions: the sum of losses, where one was taken away; else as if pruned */
}

static void tie_to_another_event(struct deed *deed)
{
    deed->table = "action";
    deed->last = EVENTS / 3 + 1;
    deed->row = pick(deed, 2, deed->last);
    run_sql(deed->base,
            "UPDATE action SET payload = json_set(payload, '$.after_seq', 1, '$.after_hash',"
            " (SELECT hash FROM events WHERE seq = 1)) WHERE seq = %lld",
            (long long)deed->row);
    hash_anew(deed->base, "action", deed->row);
    move_head(deed->base, "action"); /* even so */
}

static void untie(struct deed *deed)
{
    tie_to_another_event(deed);
    run_sql(deed->base, "UPDATE action SET payload = json_remove(payload, '$.after_seq') WHERE seq = %lld",
            (long long)deed->row);
    hash_anew(deed->base, "action", deed->row);
    move_head(deed->base, "action");
}

static void cut_events_and_their_noted_end(struct deed *deed)
{
    deed->table = "event";
    deed->last = EVENTS;
    deed->row = pick(deed, 2, EVENTS);
    run_sql(deed->base, "DELETE FROM event WHERE seq >= %lld; DELETE FROM outbox WHERE row / 2 >= %lld",
            (long long)deed->row, (long long)deed->row);
    move_head(deed->base, "event");
}

static void forget_a_delivery(struct deed *deed)
{
    deed->table = "event";
    deed->row = pick(deed, EVENTS - PENDING + 1, EVENTS);
    run_sql(deed->base, "DELETE FROM outbox WHERE row / 2 = %lld", (long long)deed->row);
}

static void change_a_sum(struct deed *deed)
{
    static const char *const deeds[] = {"UPDATE loss SET total = total - 1 WHERE what = 'readings'",
                                        "UPDATE tally SET delivered = delivered + 1", "UPDATE tally SET lost = 1",
                                        "UPDATE loss SET total = 3 WHERE what = 'events'"};
    run_sql(deed->base, "%s", deeds[pick(deed, 0, DAVY_LENGTH(deeds) - 1)]);
    deed->row = 0;
}

/* The rows are there, but the checkpoint says that they were pruned. */
static void move_only_the_checkpoint(struct deed *deed)
{
    run_sql(deed->base, "UPDATE chain SET (seq, hash) = (SELECT seq, hash FROM %s WHERE seq = %lld) WHERE name = '%s'",
            deed->table, (long long)deed->row, deed->table);
    if (strcmp(deed->table, "event") == 0)
        run_sql(deed->base, "UPDATE tally SET delivered = %lld", (long long)deed->row);
    deed->row = 1;
}

/* As if it had never been to be sent. */
static void forget_where_it_went(struct deed *deed)
{
    deed->table = "event";
    run_sql(deed->base, "UPDATE event SET topic = NULL WHERE seq = %lld", (long long)deed->row);
}

static void forget_a_count(struct deed *deed)
{
    static const char *const deeds[] = {
        "DELETE FROM loss WHERE what = 'readings'",
        "UPDATE loss SET what = 'x' WHERE what = 'readings'",
        "DELETE FROM loss WHERE what = 'telemetry'",
        "DELETE FROM loss WHERE what = 'events'",
        "DELETE FROM confirmed",
    };
    run_sql(deed->base, "%s", deeds[pick(deed, 0, DAVY_LENGTH(deeds) - 1)]);
    deed->row = 0;
}

static void (*const deeds[])(struct deed *deed) = {
    change_payload,
    change_hash,
    take_out,
    take_out_and_close_the_gap,
    swap_payloads,
    double_it,
    cut_the_end,
    cut_the_beginning,
    change_and_hash_anew,
    change_a_column,
    add_at_the_end,
    move_the_beginning,
    tie_to_another_event,
    untie,
    cut_events_and_their_noted_end,
    forget_a_delivery,
    change_a_sum,
    move_only_the_checkpoint,
    forget_where_it_went,
    forget_a_count,
};
