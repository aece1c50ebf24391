/* SPDX-License-Identifier: Apache-2.0 */
#include "salvage.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static const char mark[] = "\"schema\":\"davy.alarm/1\",\"seq\":";

static bool read_end(sqlite3 *handle, const char *table, struct ledger_chain *end)
{
    char sql[128];
    sqlite3_stmt *statement = NULL;
    snprintf(sql, sizeof(sql), "SELECT seq, hash FROM %s ORDER BY seq DESC LIMIT 1", table);
    if (sqlite3_prepare_v2(handle, sql, -1, &statement, NULL) != SQLITE_OK)
        return false;
    int result = sqlite3_step(statement);
    bool found = result == SQLITE_ROW && sqlite3_column_bytes(statement, 1) == DAVY_HASH_SIZE &&
                 sqlite3_column_int64(statement, 0) > 0;
    if (found) {
        end->seq = sqlite3_column_int64(statement, 0);
        memcpy(end->hash, sqlite3_column_blob(statement, 1), DAVY_HASH_SIZE);
    }
    sqlite3_finalize(statement);
    return found;
}

/* Digits, then a comma: else it is not what we wrote. */
static int64_t seq_at(const char *text, const char *end)
{
    int64_t seq = 0;
    const char *p = text;
    while (p < end && isdigit((unsigned char)*p) && p - text < 18)
        seq = 10 * seq + (*p++ - '0');
    return p > text && p < end && *p == ',' ? seq : 0;
}

static int64_t scan(const char *bytes, size_t length)
{
    int64_t highest = 0;
    const char *end = bytes + length;
    for (const char *p = bytes; p < end;) {
        const char *hit = memmem(p, (size_t)(end - p), mark, sizeof(mark) - 1);
        if (!hit)
            break;
        p = hit + sizeof(mark) - 1;
        int64_t seq = seq_at(p, end);
        if (seq > highest)
            highest = seq;
    }
    return highest;
}

/* In blocks that overlap by what a mark with its digits may take. */
static int64_t scan_file(const char *path)
{
    enum { BLOCK = 1 << 16, OVERLAP = 64 };
    DAVY_AUTO_FILE FILE *file = fopen(path, "rbe");
    DAVY_AUTO_FREE char *bytes = malloc(BLOCK + OVERLAP);
    int64_t highest = 0;
    size_t kept = 0;
    if (!file || !bytes)
        return 0;
    for (;;) {
        size_t got = fread(bytes + kept, 1, BLOCK, file);
        if (got == 0)
            return highest;
        size_t length = kept + got;
        int64_t seq = scan(bytes, length);
        if (seq > highest)
            highest = seq;
        kept = length < OVERLAP ? length : OVERLAP;
        memmove(bytes, bytes + length - kept, kept);
    }
}

void davy_salvage_ends(const char *path, struct ledger_chain *events, struct ledger_chain *actions)
{
    char wal[DAVY_DB_PATH + 8];
    sqlite3 *handle = NULL;
    snprintf(wal, sizeof(wal), "%s-wal", path);
    int64_t in_file = scan_file(path);
    int64_t in_wal = scan_file(wal);
    int64_t seen = in_file > in_wal ? in_file : in_wal;
    if (sqlite3_open_v2(path, &handle, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL) == SQLITE_OK) {
        sqlite3_db_config(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        read_end(handle, "event", events);
        read_end(handle, "action", actions);
    }
    sqlite3_close_v2(handle);
    if (seen > events->seq)
        *events = (struct ledger_chain){.seq = seen};
}
