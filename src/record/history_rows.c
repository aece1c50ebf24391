/* SPDX-License-Identifier: Apache-2.0 */
/* The readings of one point out of all partitions, in order of arrival. */
#include <errno.h>
#include <stdio.h>

#include "history.h"
#include "model/names.h"

/*
 * Rows looked at in one statement. By rowid, since there is no index by point: a page costs some ms whether the point
 * has rows in it or not.
 */
#define PAGE INT64_C(20000)

/* Columns: time_us, value, quality, reason. */
static void give(struct history *h, const struct history_rows *rows, sqlite3_stmt *statement)
{
    const char *quality = (const char *)sqlite3_column_text(statement, 2);
    struct history_piece piece = {
        .time_us = sqlite3_column_int64(statement, 0),
        .count = 1,
        .with_value = sqlite3_column_type(statement, 1) != SQLITE_NULL,
        .quality = quality,
        .reason = (const char *)sqlite3_column_text(statement, 3),
    };
    piece.sum = piece.min = piece.max = sqlite3_column_double(statement, 1);
    piece.covered_us = quality && davy_quality_find(quality) == DAVY_QUALITY_GOOD ? h->interval_us : 0;
    rows->each(rows->context, &piece);
}

static int page(struct history *h, const struct history_rows *rows, sqlite3_stmt *statement, int64_t from)
{
    int r = davy_db_bind(statement, "iiiii", from, from + PAGE, h->point, rows->since_us, rows->until_us);
    while (r == 0 && !h->stopped) {
        r = davy_reader_step(h->reader, statement);
        if (r == 0)
            give(h, rows, statement);
    }
    sqlite3_reset(statement);
    return r < 0 ? r : 0;
}

/* First and last rowid of a partition; false where it is empty or was dropped meanwhile. */
static bool extent(struct history *h, int64_t id, int64_t *ret_first, int64_t *ret_last)
{
    char sql[160];
    *ret_first = *ret_last = 0;
    snprintf(sql, sizeof(sql), "SELECT min(rowid) FROM reading_%lld", (long long)id);
    if (davy_db_number(&h->reader->db, sql, ret_first) < 0)
        return false;
    snprintf(sql, sizeof(sql), "SELECT max(rowid) FROM reading_%lld", (long long)id);
    return davy_db_number(&h->reader->db, sql, ret_last) == 0 && *ret_last > 0;
}

static int partition(struct history *h, const struct history_rows *rows, int64_t id)
{
    char sql[400];
    int64_t first = 0;
    int64_t last = 0;
    sqlite3_stmt *statement = NULL;
    if (!extent(h, id, &first, &last))
        return 0;
    if (id == rows->after_partition && rows->after_row >= first)
        first = rows->after_row + 1;
    snprintf(sql, sizeof(sql),
             "SELECT r.time_us, r.value, q.quality, q.reason FROM reading_%lld r LEFT JOIN quality q"
             " ON q.code = r.quality WHERE r.rowid >= ?1 AND r.rowid < ?2 AND r.point = ?3 AND r.time_us >= ?4"
             " AND r.time_us < ?5 ORDER BY r.rowid",
             (long long)id);
    int r = davy_reader_prepare(h->reader, sql, &statement);
    for (int64_t from = first; r == 0 && from <= last && !h->stopped; from += PAGE)
        r = page(h, rows, statement, from);
    sqlite3_finalize(statement);
    return r;
}

/* The next partition that may have readings of the time asked for: ids are read one by one, the list may change. */
static int next_partition(struct history *h, const struct history_rows *rows, int64_t after, int64_t *ret_id)
{
    sqlite3_stmt *statement = NULL;
    int r = davy_reader_prepare(h->reader,
                                "SELECT min(id) FROM partition WHERE id > ?1 AND"
                                " (last_us >= ?2 OR id = (SELECT max(id) FROM partition)) AND first_us < ?3",
                                &statement);
    if (r == 0)
        r = davy_db_bind(statement, "iii", after, rows->since_us, rows->until_us);
    if (r == 0)
        r = davy_reader_step(h->reader, statement);
    bool found = r == 0 && sqlite3_column_type(statement, 0) != SQLITE_NULL;
    *ret_id = found ? sqlite3_column_int64(statement, 0) : 0;
    sqlite3_finalize(statement);
    return r < 0 ? r : 0;
}

int davy_history_rows(struct history *h, const struct history_rows *rows)
{
    int64_t id = rows->after_partition > 0 ? rows->after_partition - 1 : 0;
    for (;;) {
        int r = next_partition(h, rows, id, &id);
        if (r < 0 || id == 0 || h->stopped)
            return r;
        r = partition(h, rows, id);
        if (r < 0)
            return r;
    }
}

int davy_history_first(struct history *h, int64_t *ret_time_us, bool *ret_whole)
{
    char sql[96];
    int64_t id = 0, first = 0;
    *ret_time_us = INT64_MAX;
    int r = davy_db_number(&h->reader->db, "SELECT min(id) FROM partition", &id);
    if (r < 0 || id == 0)
        return r;
    snprintf(sql, sizeof(sql), "SELECT min(rowid) FROM reading_%lld", (long long)id);
    r = davy_db_number(&h->reader->db, sql, &first);
    snprintf(sql, sizeof(sql), "SELECT time_us FROM reading_%lld WHERE rowid = %lld", (long long)id, (long long)first);
    *ret_whole = id == 1 && first == 1;
    return r == 0 ? davy_db_number(&h->reader->db, sql, ret_time_us) : r;
}
