/* SPDX-License-Identifier: Apache-2.0 */
#include "salvage.h"

#include <ctype.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>

static const char mark[] = "\"schema\":\"davy.alarm/1\",\"seq\":";

/* The seq and hash of a row up to ?1; false where it cannot be read. */
static bool read_end(sqlite3 *handle, const char *sql, int64_t most, struct ledger_chain *end)
{
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(handle, sql, -1, &statement, NULL) != SQLITE_OK)
        return false;
    sqlite3_bind_int64(statement, 1, most);
    int result = sqlite3_step(statement);
    bool found = result == SQLITE_ROW && sqlite3_column_bytes(statement, 1) == DAVY_HASH_SIZE &&
                 sqlite3_column_int64(statement, 0) > end->seq && sqlite3_column_int64(statement, 0) <= most;
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

static int64_t scan(const char *bytes, size_t length, int64_t most)
{
    int64_t highest = 0;
    const char *end = bytes + length;
    for (const char *p = bytes; p < end;) {
        const char *hit = memmem(p, (size_t)(end - p), mark, sizeof(mark) - 1);
        if (!hit)
            break;
        p = hit + sizeof(mark) - 1;
        int64_t seq = seq_at(p, end);
        if (seq > highest && seq <= most)
            highest = seq;
    }
    return highest;
}

/* In blocks that overlap by what a mark with its digits may take. */
static int64_t scan_file(const char *path, int64_t most)
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
        int64_t seq = scan(bytes, length, most);
        if (seq > highest)
            highest = seq;
        kept = length < OVERLAP ? length : OVERLAP;
        memmove(bytes, bytes + length - kept, kept);
    }
}

sqlite3 *davy_salvage_open(const char *path)
{
    sqlite3 *handle = NULL;
    int flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX;
    if (sqlite3_open_v2(path, &handle, flags, NULL) != SQLITE_OK) {
        sqlite3_close_v2(handle);
        return NULL;
    }
    sqlite3_db_config(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    return handle;
}

static void read_ends(sqlite3 *handle, int64_t most, struct ledger_ends *ends)
{
    read_end(handle, "SELECT seq, hash FROM event WHERE seq <= ?1 ORDER BY seq DESC LIMIT 1", most, &ends->events);
    read_end(handle, "SELECT seq, hash FROM action ORDER BY seq DESC LIMIT 1", INT64_MAX, &ends->actions);
    read_end(handle, "SELECT seq, hash FROM head WHERE name = 'action'", INT64_MAX, &ends->actions);
    struct ledger_chain noted = {.seq = 0};
    ends->sure = read_end(handle, "SELECT seq, hash FROM head WHERE name = 'event'", most, &noted) &&
                 noted.seq >= ends->events.seq;
    if (ends->sure)
        ends->events = noted;
    struct ledger_chain copied = {.seq = -1};
    ends->sure = ends->sure && !read_end(handle, "SELECT seq, hash FROM head WHERE name = 'copy'", INT64_MAX, &copied);
}

struct ledger_ends davy_salvage_ends(const char *path, int64_t most)
{
    char wal[DAVY_DB_PATH + 8];
    struct ledger_ends ends = {.sure = false};
    snprintf(wal, sizeof(wal), "%s-wal", path);
    int64_t in_file = scan_file(path, most);
    int64_t in_wal = scan_file(wal, most);
    int64_t seen = in_file > in_wal ? in_file : in_wal;
    sqlite3 *handle = davy_salvage_open(path);
    if (handle)
        read_ends(handle, most, &ends);
    sqlite3_close_v2(handle);
    if (seen > ends.events.seq) {
        ends.events = (struct ledger_chain){.seq = seen};
        ends.sure = false;
    }
    return ends;
}

/* Ascending: a time is in the name. */
static size_t list_set_aside(const char *directory, glob_t *found)
{
    char pattern[DAVY_DB_PATH + 32];
    snprintf(pattern, sizeof pattern, "%s/%s.corrupt-*Z*", directory, davy_ledger_schema.file);
    return glob(pattern, 0, NULL, found) == 0 ? found->gl_pathc : 0;
}

static bool is_companion(const char *path)
{
    size_t length = strlen(path);
    return length > 4 && (strcmp(path + length - 4, "-wal") == 0 || strcmp(path + length - 4, "-shm") == 0);
}

bool davy_salvage_find(const char *directory, int64_t most, char *ret_path)
{
    enum { MOST = 8 };
    glob_t found = {.gl_pathc = 0};
    int64_t best = 0;
    size_t looked = 0;
    for (size_t i = list_set_aside(directory, &found); i > 0 && looked < MOST; i--) {
        if (is_companion(found.gl_pathv[i - 1]))
            continue;
        looked++;
        struct ledger_ends ends = davy_salvage_ends(found.gl_pathv[i - 1], most);
        if (ends.events.seq + ends.actions.seq > best) {
            best = ends.events.seq + ends.actions.seq;
            snprintf(ret_path, DAVY_DB_PATH, "%s", found.gl_pathv[i - 1]);
        }
    }
    globfree(&found);
    return best > 0;
}
