/* SPDX-License-Identifier: Apache-2.0 */
#include "record/query.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "chain.h"
#include "model/names.h"
#include "reader.h"

/* Rows a page: a statement is open for some ms, and never keeps the writer's -wal from being reset for long. */
#define PAGE 1000

static int64_t micros(davy_wall t)
{
    return t.ns / DAVY_NS_PER_US;
}

/* "" or NULL: no filter. */
static const char *filter_text(const char *text)
{
    return text && text[0] ? text : NULL;
}

struct events {
    bool (*each)(void *context, int64_t seq, const char *payload);
    void *context;
    int64_t left; /* rows still wanted */
    int64_t after;
    bool stopped;
};

static const char events_sql[] =
    "SELECT seq, payload FROM event WHERE seq > ?1 AND (?2 = 0 OR time_us >= ?2) AND (?3 = 0 OR time_us < ?3)"
    " AND (?4 IS NULL OR zone = ?4) AND (?5 = 0 OR (CASE level WHEN 'blue' THEN 1 WHEN 'yellow' THEN 2"
    " WHEN 'orange' THEN 3 WHEN 'red' THEN 4 ELSE 0 END) >= ?5) ORDER BY seq LIMIT ?6";

static int bind_filter(sqlite3_stmt *statement, const struct davy_event_filter *filter, int level, struct events *run)
{
    int64_t page = run->left < PAGE ? run->left : PAGE;
    return davy_db_bind(statement, "iiitii", run->after, micros(filter->since), micros(filter->until),
                        filter_text(filter->zone), (int64_t)level, page);
}

/* One page. Returns the number of its rows or a negative errno. */
static int64_t events_page(struct reader *reader, sqlite3_stmt *statement, struct events *run)
{
    int64_t rows = 0;
    while (!run->stopped) {
        int r = davy_reader_step(reader, statement);
        if (r != 0)
            return r < 0 ? r : rows;
        run->after = sqlite3_column_int64(statement, 0);
        run->left--;
        rows++;
        run->stopped = !run->each(run->context, run->after, (const char *)sqlite3_column_text(statement, 1));
    }
    sqlite3_reset(statement);
    return rows;
}

static int run_events(struct reader *reader, const struct davy_event_filter *filter, int level, struct events *run)
{
    sqlite3_stmt *statement = NULL;
    int r = davy_reader_prepare(reader, events_sql, &statement);
    while (r == 0 && !run->stopped && run->left > 0) {
        r = bind_filter(statement, filter, level, run);
        int64_t rows = r < 0 ? r : events_page(reader, statement, run);
        if (rows < PAGE) {
            r = rows < 0 ? (int)rows : 0;
            break;
        }
    }
    sqlite3_finalize(statement);
    return r;
}

int davy_query_events(const char *file, const struct davy_event_filter *filter,
                      bool (*each)(void *context, int64_t seq, const char *payload), void *context, char *ret_error,
                      size_t error_size)
{
    struct reader reader = READER_INIT;
    struct events run = {.each = each,
                         .context = context,
                         .left = filter->limit > 0 ? filter->limit : INT64_MAX,
                         .after = filter->after_seq};
    int level = filter_text(filter->level) ? davy_level_find(filter->level) : 0;
    int r = davy_reader_open(&reader, file, &davy_ledger_schema, ret_error, error_size);
    if (r == 0 && level < 0)
        r = davy_reader_fail(&reader, -EINVAL, "no such level");
    if (r == 0)
        r = run_events(&reader, filter, level, &run);
    davy_reader_close(&reader);
    return r;
}

struct verify {
    struct reader *reader;
    const char *table;
    const char *sql; /* seq, payload, hash, and whether what the views show is what the payload says */
    uint8_t hash[DAVY_HASH_SIZE];
    int64_t seq; /* of the last row that fits */
    int64_t rows;
    int64_t bad_seq;
};

#define SAME(column)                                                                                                   \
    "(json_type(payload, '$." column "') IS NULL OR json_extract(payload, '$." column "') IS " column ")"

static const struct {
    const char *table;
    const char *sql;
} chains[] = {
    {"event", "SELECT seq, payload, hash, NOT json_valid(payload) OR (" SAME("seq") " AND " SAME("event") " AND " SAME(
                  "state") " AND " SAME("level") ") FROM event WHERE seq > ?1 ORDER BY seq LIMIT ?2"},
    {"action", "SELECT seq, payload, hash, json_valid(payload) AND json_extract(payload, '$.seq') = seq FROM action"
               " WHERE seq > ?1 ORDER BY seq LIMIT ?2"},
};

/* How often rows that are pruned meanwhile are read anew before all is read at one instant. */
#define VERIFY_ATTEMPTS 3

/* Where the chain starts: the row before the first that is kept. */
static int verify_start(struct verify *run)
{
    sqlite3_stmt *statement = NULL;
    int r = davy_reader_prepare(run->reader, "SELECT seq, hash FROM chain WHERE name = ?1", &statement);
    if (r == 0)
        r = davy_db_bind(statement, "t", run->table);
    if (r == 0)
        r = davy_reader_step(run->reader, statement);
    if (r == 0 && sqlite3_column_bytes(statement, 1) == DAVY_HASH_SIZE) {
        run->seq = sqlite3_column_int64(statement, 0);
        memcpy(run->hash, sqlite3_column_blob(statement, 1), DAVY_HASH_SIZE);
    }
    sqlite3_finalize(statement);
    return r < 0 ? r : 0;
}

/* 0, or 1 where the row does not fit. */
static int verify_row(struct verify *run, sqlite3_stmt *statement)
{
    int64_t seq = sqlite3_column_int64(statement, 0);
    const char *payload = (const char *)sqlite3_column_text(statement, 1);
    uint8_t hash[DAVY_HASH_SIZE];
    davy_chain_next(run->hash, payload ? payload : "", (size_t)sqlite3_column_bytes(statement, 1), hash);
    bool fits = seq == run->seq + 1 && sqlite3_column_int(statement, 3) != 0 &&
                sqlite3_column_bytes(statement, 2) == DAVY_HASH_SIZE &&
                memcmp(hash, sqlite3_column_blob(statement, 2), DAVY_HASH_SIZE) == 0;
    run->seq++;
    run->rows++;
    memcpy(run->hash, hash, DAVY_HASH_SIZE);
    if (!fits)
        run->bad_seq = run->seq; /* also where the row of that number is missing */
    return !fits;
}

/* 1 with bad_seq set; 0 with the number of rows in *ret_rows; or an error. */
static int verify_page(struct verify *run, sqlite3_stmt *statement, int *ret_rows)
{
    *ret_rows = 0;
    for (;;) {
        int r = davy_reader_step(run->reader, statement);
        if (r != 0)
            return r < 0 ? r : 0;
        r = verify_row(run, statement);
        if (r != 0) {
            sqlite3_reset(statement);
            return r;
        }
        (*ret_rows)++;
    }
}

static int verify_rows(struct verify *run)
{
    sqlite3_stmt *statement = NULL;
    int rows = PAGE;
    int r = davy_reader_prepare(run->reader, run->sql, &statement);
    while (r == 0 && rows == PAGE) {
        r = davy_db_bind(statement, "ii", run->seq, (int64_t)PAGE);
        if (r == 0)
            r = verify_page(run, statement, &rows);
    }
    sqlite3_finalize(statement);
    return r;
}

/*
 * Rows may be pruned while they are read: what does not fit is looked at again where the start of the chain has moved, the
 * last time all of it as it was at one instant.
 */
static int verify_chain(struct verify *run)
{
    for (int attempt = 0;; attempt++) {
        struct verify again = *run;
        bool at_once = attempt == VERIFY_ATTEMPTS;
        int r = at_once ? davy_db_exec(&run->reader->db, "BEGIN") : 0;
        if (r == 0)
            r = verify_start(run);
        int64_t start = run->seq;
        if (r == 0)
            r = verify_rows(run);
        if (at_once)
            (void)!davy_db_exec(&run->reader->db, "COMMIT"); /* nothing was written */
        if (r != 1 || at_once)
            return r;
        r = verify_start(&again);
        if (r < 0 || again.seq == start)
            return r < 0 ? r : 1;
        run->rows = 0;
    }
}

int davy_query_verify(const char *file, int64_t *ret_rows, int64_t *ret_bad_seq, char *ret_error, size_t error_size)
{
    struct reader reader = READER_INIT;
    int64_t rows = 0;
    int r = davy_reader_open(&reader, file, &davy_ledger_schema, ret_error, error_size);
    for (size_t i = 0; r == 0 && i < DAVY_LENGTH(chains); i++) {
        struct verify run = {.reader = &reader, .table = chains[i].table, .sql = chains[i].sql};
        r = verify_chain(&run);
        rows += run.rows;
        if (r == 1) {
            *ret_bad_seq = run.bad_seq;
            snprintf(ret_error, error_size, "%s: the row %lld of %ss does not fit the hash chain", file,
                     (long long)run.bad_seq, run.table);
        }
    }
    if (r >= 0)
        *ret_rows = rows;
    davy_reader_close(&reader);
    return r;
}
