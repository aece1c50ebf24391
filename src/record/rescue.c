/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a ledger that is damaged or was taken away into a new one. Events prove themselves by their hashes, from the end
 * backwards; memories and the outbox are taken as they are read. An error of the old file ends the reading of that
 * table and nothing else.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "salvage.h"

/* Events that are taken over at most: some seconds of work. */
#define EVENTS_MOST 100000

static sqlite3_stmt *prepare(sqlite3 *handle, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    return handle && sqlite3_prepare_v2(handle, sql, -1, &statement, NULL) == SQLITE_OK ? statement : NULL;
}

/* The number that the first row begins with; false where it cannot be read. NULL is 0. */
static bool number(sqlite3 *old, const char *sql, int64_t *ret)
{
    sqlite3_stmt *statement = prepare(old, sql);
    bool found = statement && sqlite3_step(statement) == SQLITE_ROW;
    if (found)
        *ret = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return found;
}

/* What no row of the actions says yet is part of the total. */
static void make_loss_plausible(int64_t *total, struct ledger_loss *waiting)
{
    if (*total < 0 || *total > INT64_MAX / 2)
        *total = 0;
    if (waiting->count < 0 || waiting->count > *total)
        *waiting = (struct ledger_loss){.count = 0};
    if (waiting->from_us < 0 || waiting->to_us < waiting->from_us || waiting->to_us > INT64_MAX / DAVY_NS_PER_US)
        waiting->from_us = waiting->to_us = 0;
}

/* Numbers out of a damaged file that cannot be are none. */
static void make_plausible(struct ledger_state *state)
{
    struct ledger_tally *tally = &state->tally;
    int64_t last = state->events.seq;
    bool can_be = tally->delivered >= 0 && tally->unsent >= 0 && tally->lost >= 0 && tally->delivered <= last &&
                  tally->unsent <= last && tally->lost <= last;
    if (!can_be || tally->delivered + tally->unsent + tally->lost > last)
        *tally = (struct ledger_tally){.delivered = 0};
    for (size_t k = 0; k < DAVY_LOSS_COUNT_; k++)
        make_loss_plausible(&state->lost[k], &state->waiting[k]);
    if (state->lost[DAVY_LOSS_EVENTS] < tally->lost)
        state->lost[DAVY_LOSS_EVENTS] = tally->lost;
    if (state->confirmed_seq > last)
        state->confirmed_seq = 0;
    if (state->asked_seq > last)
        state->asked_seq = 0;
}

static void read_loss(sqlite3 *old, const char *sql, int64_t *ret_total, struct ledger_loss *ret_waiting)
{
    sqlite3_stmt *statement = prepare(old, sql);
    if (statement && sqlite3_step(statement) == SQLITE_ROW) {
        const char *why = (const char *)sqlite3_column_text(statement, 6);
        *ret_total = sqlite3_column_int64(statement, 0);
        ret_waiting->count = sqlite3_column_int64(statement, 1);
        ret_waiting->from_us = sqlite3_column_int64(statement, 2);
        ret_waiting->to_us = sqlite3_column_int64(statement, 3);
        ret_waiting->from_seq = sqlite3_column_int64(statement, 4);
        ret_waiting->to_seq = sqlite3_column_int64(statement, 5);
        snprintf(ret_waiting->why, sizeof ret_waiting->why, "%s", why ? why : "");
    }
    sqlite3_finalize(statement);
}

void davy_rescue_state(struct ledger_rescue *rescue)
{
#define LOSS_SQL(what) "SELECT total, count, from_us, to_us, from_seq, to_seq, why FROM loss WHERE what = '" what "'"
    static const char *const losses[] = {
        [DAVY_LOSS_READINGS] = LOSS_SQL("readings"),
        [DAVY_LOSS_TELEMETRY] = LOSS_SQL("telemetry"),
        [DAVY_LOSS_EVENTS] = LOSS_SQL("events"),
    };
    struct ledger_state *state = &rescue->state;
    int64_t platform = 1; /* where it cannot be read: who is asked once too often, answers */
    number(rescue->old, "SELECT delivered FROM tally", &state->tally.delivered);
    number(rescue->old, "SELECT unsent FROM tally", &state->tally.unsent);
    number(rescue->old, "SELECT lost FROM tally", &state->tally.lost);
    for (size_t k = 0; k < DAVY_LOSS_COUNT_; k++)
        read_loss(rescue->old, losses[k], &state->lost[k], &state->waiting[k]);
    number(rescue->old, "SELECT seq FROM confirmed", &state->confirmed_seq);
    number(rescue->old, "SELECT asked FROM confirmed", &state->asked_seq);
    number(rescue->old, "SELECT platform FROM confirmed", &platform);
    state->platform = platform != 0;
    make_plausible(state);
}

/* ---- which events ---------------------------------------------------------------------------------------------- */

/* The row above, whose predecessor is looked for. */
struct above {
    int64_t seq;
    uint8_t hash[DAVY_HASH_SIZE];
    char *payload;
    size_t length;
};

static bool keep(struct above *above, sqlite3_stmt *row)
{
    size_t length = (size_t)sqlite3_column_bytes(row, 2);
    char *payload = realloc(above->payload, length + 1);
    if (!payload)
        return false;
    above->payload = payload;
    above->length = length;
    above->seq = sqlite3_column_int64(row, 0);
    memcpy(above->hash, sqlite3_column_blob(row, 1), DAVY_HASH_SIZE);
    const void *bytes = sqlite3_column_text(row, 2);
    memcpy(payload, bytes ? bytes : "", length);
    return true;
}

/* Whether the row is the one before: its hash and the payload above give the hash above. */
static bool precedes(const struct above *above, sqlite3_stmt *row)
{
    uint8_t hash[DAVY_HASH_SIZE];
    if (sqlite3_column_bytes(row, 1) != DAVY_HASH_SIZE || sqlite3_column_int64(row, 0) != above->seq - 1)
        return false;
    davy_chain_next(sqlite3_column_blob(row, 1), above->payload, above->length, hash);
    return memcmp(hash, above->hash, DAVY_HASH_SIZE) == 0;
}

static bool is_end(const struct ledger_chain *end, sqlite3_stmt *row)
{
    return sqlite3_column_int64(row, 0) == end->seq && sqlite3_column_bytes(row, 1) == DAVY_HASH_SIZE &&
           memcmp(sqlite3_column_blob(row, 1), end->hash, DAVY_HASH_SIZE) == 0;
}

/* From the end backwards, to the row before `first` or as far as it can be read and fits. */
static void find_start(struct ledger_rescue *rescue, int64_t first)
{
    struct above above = {.payload = NULL};
    sqlite3_stmt *rows =
        prepare(rescue->old, "SELECT seq, hash, payload FROM (SELECT seq, hash, payload FROM event UNION"
                             " ALL SELECT seq, hash, '' FROM chain WHERE name = 'event')"
                             " ORDER BY seq DESC");
    rescue->start = rescue->state.events;
    for (int n = 0; rows && rescue->start.seq >= first && n <= EVENTS_MOST && sqlite3_step(rows) == SQLITE_ROW; n++) {
        if (n == 0 ? !is_end(&rescue->state.events, rows) : !precedes(&above, rows))
            break;
        if (!keep(&above, rows))
            break;
        rescue->start.seq = above.seq;
        memcpy(rescue->start.hash, above.hash, DAVY_HASH_SIZE);
    }
    sqlite3_finalize(rows);
    free(above.payload);
}

/* ---- copying --------------------------------------------------------------------------------------------------- */

#define COLUMNS                                                                                                        \
    "time_us, id, event, state, level, rule, zone, device, point, value, \"limit\", \"by\", note, sent_us, alarm"
#define COLUMN_COUNT 15
#define COLUMN_FIRST 7 /* in EVENT_SQL */
#define STATE_COLUMN (COLUMN_FIRST + 3)

/* A column as the payload has it, whose hash proves it; its own value where the payload says nothing of it. */
#define PROVEN(key)                                                                                                    \
    "CASE WHEN json_valid(payload) AND json_type(payload, '$." key "') IS NOT NULL"                                    \
    " THEN json_extract(payload, '$." key "') ELSE \"" key "\" END"
/* Likewise to the millisecond, which is what a payload has. */
#define PROVEN_TIME                                                                                                    \
    "CASE WHEN json_valid(payload) AND (time_us + 500) / 1000 <> " TOLD_MS " THEN 1000 * " TOLD_MS " ELSE time_us END"
#define TOLD_MS                                                                                                        \
    "(1000 * strftime('%s', json_extract(payload, '$.time'))"                                                          \
    " + CAST(substr(json_extract(payload, '$.time'), 21, 3) AS INTEGER))"
#define PROVEN_COLUMNS                                                                                                            \
    PROVEN_TIME ", " PROVEN("id") ", " PROVEN("event") ", " PROVEN("state") ", " PROVEN("level") ", " PROVEN("rule") ", " PROVEN( \
        "zone") ", " PROVEN("device") ", " PROVEN("point") ", " PROVEN("value") ", " PROVEN("limit") ", " PROVEN("by") ", " PROVEN("note") ", sent_us, alarm"

/* seq, hash, payload, topic, whether the event and its clearing wait, whether it had a topic, and the columns. */
#define EVENT_SQL(waits, clears)                                                                                       \
    "SELECT seq, hash, payload, (SELECT name FROM topic WHERE id = event.topic), " waits ", " clears                   \
    ", topic IS NOT NULL, " PROVEN_COLUMNS " FROM event WHERE seq > ?1 AND seq <= ?2 ORDER BY seq"

/* The second one where the outbox cannot be read. An event that is sent twice is better than one that is not. */
static const char *const event_sql[] = {
    EVENT_SQL("sent_us IS NULL OR EXISTS (SELECT 1 FROM outbox WHERE row = 2 * seq)",
              "EXISTS (SELECT 1 FROM outbox WHERE row = 2 * seq + 1)"),
    EVENT_SQL("sent_us IS NULL", "sent_us IS NULL AND state IS 'normal'"),
};

/* Whether the clearing of its topic comes behind it. */
static bool ends(sqlite3_stmt *row)
{
    const char *state = (const char *)sqlite3_column_text(row, STATE_COLUMN);
    return state && strcmp(state, "normal") == 0;
}

static int put_outbox(struct davy_ledger *ledger, sqlite3_stmt *row, int64_t topic)
{
    int64_t seq = sqlite3_column_int64(row, 0);
    int r = 0;
    for (int clear = 0; r == 0 && clear <= 1; clear++)
        if (topic > 0 && sqlite3_column_int(row, 4 + clear) && (!clear || ends(row)))
            r = davy_db_do(&ledger->db, LEDGER_OUTBOX_INSERT, "iii", ledger_row(seq, clear), topic, (int64_t)0);
    return r;
}

static int put_event(struct davy_ledger *ledger, sqlite3_stmt *insert, sqlite3_stmt *row)
{
    int64_t seq = sqlite3_column_int64(row, 0), topic = 0;
    const char *name = (const char *)sqlite3_column_text(row, 3);
    if (!name && sqlite3_column_int(row, 6))
        return -EINVAL; /* where it was to go cannot be read */
    int r = name ? davy_topic_touch(ledger, name, ledger_row(seq, ends(row)), &topic) : 0;
    sqlite3_reset(insert);
    for (int i = 0; i < 3; i++)
        sqlite3_bind_value(insert, 1 + i, sqlite3_column_value(row, i));
    for (int i = 0; i < COLUMN_COUNT; i++)
        sqlite3_bind_value(insert, 5 + i, sqlite3_column_value(row, COLUMN_FIRST + i));
    sqlite3_bind_int64(insert, 4, topic);
    if (r == 0)
        r = davy_db_run(&ledger->db, insert);
    return r == 0 ? put_outbox(ledger, row, topic) : r;
}

/* 0; 1 where the old file cannot be read to the end; or an error. */
static int copy_events(struct davy_ledger *ledger, const struct ledger_rescue *rescue, const char *sql)
{
    sqlite3_stmt *rows = prepare(rescue->old, sql);
    sqlite3_stmt *insert =
        prepare(ledger->db.handle, "INSERT INTO event (seq, hash, payload, topic, " COLUMNS ") VALUES"
                                   " (?1, ?2, ?3, nullif(?4, 0), ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12,"
                                   " ?13, ?14, ?15, ?16, ?17, ?18, ?19)");
    int r = insert ? 0 : -ENOMEM, step = SQLITE_ERROR;
    if (rows && davy_db_bind(rows, "ii", rescue->start.seq, rescue->state.events.seq) == 0)
        while (r == 0 && (step = sqlite3_step(rows)) == SQLITE_ROW)
            r = put_event(ledger, insert, rows);
    sqlite3_finalize(rows);
    sqlite3_finalize(insert);
    if (r == -EINVAL) /* a damaged row that fits no column */
        return 1;
    return r < 0 ? r : step != SQLITE_DONE;
}

/* Nothing or all: a strand has no holes. */
static int take_events(struct davy_ledger *ledger, struct ledger_rescue *rescue)
{
    int r = 1;
    for (size_t i = 0; r == 1 && i < DAVY_LENGTH(event_sql) && rescue->start.seq < rescue->state.events.seq; i++) {
        r = davy_db_exec(&ledger->db, "SAVEPOINT rescue");
        if (r == 0)
            r = copy_events(ledger, rescue, event_sql[i]);
        if (r == 1 && davy_db_exec(&ledger->db, "ROLLBACK TO rescue") < 0)
            r = -EIO;
        if (r >= 0 && davy_db_exec(&ledger->db, "RELEASE rescue") < 0)
            r = -EIO;
    }
    if (r == 1)
        rescue->start = rescue->state.events;
    return r < 0 ? r : 0;
}

/* The rows of a table as they are read. */
static int copy_rows(struct davy_ledger *ledger, sqlite3 *old, const char *from, const char *into)
{
    sqlite3_stmt *rows = prepare(old, from), *insert = prepare(ledger->db.handle, into);
    int r = insert ? 0 : -ENOMEM;
    while (r == 0 && rows && sqlite3_step(rows) == SQLITE_ROW) {
        sqlite3_reset(insert);
        for (int i = 0; i < sqlite3_column_count(rows); i++)
            sqlite3_bind_value(insert, i + 1, sqlite3_column_value(rows, i));
        r = davy_db_run(&ledger->db, insert);
        if (r == -EINVAL)
            r = 0; /* a damaged row that fits no column */
    }
    sqlite3_finalize(rows);
    sqlite3_finalize(insert);
    return r;
}

/*
 * What the broker refused waits apart, or nobody sends it: rows in line are handed over once. Where it cannot be read,
 * all that this process may have handed over already.
 */
static int keep_refused(struct davy_ledger *ledger, const struct ledger_rescue *rescue)
{
    int64_t count;
    if (rescue->known && !number(rescue->old, "SELECT count(*) FROM outbox WHERE parked_us > 0", &count))
        return davy_db_exec(&ledger->db, "UPDATE outbox SET parked_us = 1");
    return copy_rows(ledger, rescue->old, "SELECT row, attempts, code FROM outbox WHERE parked_us > 0",
                     "UPDATE outbox SET attempts = ?2, parked_us = 1, code = ?3 WHERE row = ?1");
}

/*
 * Of the events that are not copied those that were pending. Where that cannot be read any of the file may have been;
 * at most as many as are known to have been.
 */
static int64_t count_lost(const struct ledger_rescue *rescue)
{
    char sql[96];
    int64_t lost = 0, kept = rescue->state.tally.delivered + rescue->state.tally.unsent + rescue->state.tally.lost;
    snprintf(sql, sizeof sql, "SELECT count(*) FROM pending WHERE seq <= %lld", (long long)rescue->start.seq);
    if (number(rescue->old, sql, &lost))
        return lost;
    lost = rescue->start.seq - kept;
    int64_t pending = rescue->state.outbox_count + rescue->state.unconfirmed;
    return rescue->known && lost > pending ? pending : lost;
}

static int take_alarms(struct davy_ledger *ledger, const struct ledger_rescue *rescue)
{
    char latest[200];
    snprintf(latest, sizeof latest,
             "SELECT l.alarm, l.seq, coalesce(l.payload, e.payload) FROM latest l LEFT JOIN event e ON e.seq = l.seq"
             " WHERE l.seq <= %lld",
             (long long)rescue->state.events.seq);
    int r = copy_rows(ledger, rescue->old, latest, "INSERT OR REPLACE INTO latest VALUES (?1, ?2, ?3)");
    if (r < 0)
        return r;
    return copy_rows(ledger, rescue->old, "SELECT alarm, mono_ns, wall_ns, boot_id, body FROM memory",
                     "INSERT OR REPLACE INTO memory VALUES (?1, ?2, ?3, ?4, ?5)");
}

int davy_rescue_rows(struct davy_ledger *ledger, struct ledger_rescue *rescue)
{
    int64_t first = 0;
    if (!number(rescue->old,
                "SELECT coalesce(min(seq), 9223372036854775807) FROM (SELECT seq FROM pending UNION ALL SELECT seq FROM"
                " event WHERE topic IS NOT NULL AND sent_us IS NULL)",
                &first))
        first = 1; /* any may be */
    find_start(rescue, first);
    int r = take_events(ledger, rescue);
    if (r == 0)
        r = keep_refused(ledger, rescue);
    rescue->lost = count_lost(rescue);
    return r == 0 ? take_alarms(ledger, rescue) : r;
}
