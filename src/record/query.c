/* SPDX-License-Identifier: Apache-2.0 */
#include "record/query.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
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
