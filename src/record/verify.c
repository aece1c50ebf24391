/* SPDX-License-Identifier: Apache-2.0 */
#include "record/verify.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "chain.h"
#include "reader.h"
#include "record/ledger.h"

/* Rows a page: a statement is open for some ms, and never keeps the writer's -wal from being reset for long. */
#define PAGE 1000

/* How often rows that are pruned meanwhile are read anew before all is read at one instant. */
#define ATTEMPTS 3

/* What became of an event: the last column of its row. */
enum fate {
    FATE_DELIVERED,
    FATE_PENDING,
    FATE_UNSENT,
    FATE_GONE, /* neither delivered nor pending */
    FATE_COUNT_
};

/* How an action is tied to the event before it. */
enum tie {
    TIE_NONE,
    TIE_FITS,
    TIE_PRUNED, /* the event is not kept any more */
    TIE_BAD,
    TIE_COUNT_
};

/* One walk along a strand. */
struct walk {
    struct reader *reader;
    const struct strand *strand;
    uint8_t hash[DAVY_HASH_SIZE];
    int64_t after; /* where it began */
    int64_t seq;   /* of the last row that fits */
    int64_t rows;
    int64_t counts[FATE_COUNT_]; /* by the last column */
    int64_t tally[3];            /* events up to `after`: delivered, unsent, lost */
    int64_t tied_after;          /* actions behind this one are tied */
    int64_t event;               /* that the last action names */
    struct davy_ledger_check *check;
};

struct strand {
    const char *name;
    const char *start; /* seq and hash of the row before the first, and three numbers */
    const char *rows;  /* seq, payload, hash, whether what the views show is what the payload says, and two numbers */
    bool (*row)(struct walk *walk, sqlite3_stmt *statement);
};

static int DAVY_PRINTF(4, 5)
    bad(struct davy_ledger_check *check, const char *strand, int64_t seq, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(check->reason, sizeof check->reason, format, arguments);
    va_end(arguments);
    check->bad_strand = strand;
    check->bad_seq = seq;
    return 1;
}

/* What the columns of an event repeat of its payload. A shortest decimal may be read one step beside its double. */
#define SAME_NUMBER(column, key)                                                                                       \
    "iif(json_type(p, '$." key "') IN ('integer', 'real'), coalesce(abs(json_extract(p, '$." key "') - " column        \
    ") <= 1e-12 * abs(json_extract(p, '$." key "')), 0), " column " IS NULL OR json_type(p, '$." key "') IS NULL)"
#define SAME_COLUMNS                                                                                                   \
    "NOT EXISTS (SELECT 1 FROM json_each(p) k JOIN json_each(json_object('seq', r.seq, 'id', r.id, 'event', r.event,"  \
    " 'state', r.state, 'level', r.level, 'rule', r.rule, 'zone', r.zone, 'device', r.device, 'point', r.point,"       \
    " 'by', r.\"by\", 'note', r.note)) c ON c.key = k.key WHERE c.value IS NOT k.value)"                               \
    " AND " SAME_NUMBER("value", "value") " AND " SAME_NUMBER("\"limit\"", "limit")
#define SAME_TIME                                                                                                      \
    "(json_type(p, '$.time') IS NULL OR (r.time_us + 500) / 1000 = 1000 * strftime('%s', json_extract(p, '$.time'))"   \
    " + CAST(substr(json_extract(p, '$.time'), 21, 3) AS INTEGER))"
#define VALID_PAYLOAD "CASE WHEN json_valid(payload) THEN payload ELSE '{}' END AS p"

/* Pending as in record/delivery.h; `settled`: up to there the platform has nothing to confirm. */
#define EVENT_ROWS(settled)                                                                                            \
    "SELECT seq, payload, hash, " SAME_COLUMNS " AND " SAME_TIME ", CASE WHEN topic IS NULL THEN 2"                    \
    " WHEN EXISTS (SELECT 1 FROM outbox o WHERE o.row = 2 * r.seq) THEN 1 WHEN sent_us IS NULL THEN 3"                 \
    " WHEN seq > " settled " THEN 1 ELSE 0 END, 0"                                                                     \
    " FROM (SELECT *, " VALID_PAYLOAD " FROM event WHERE seq > ?1 ORDER BY seq LIMIT ?2) r ORDER BY seq"

static const char event_rows[] =
    EVENT_ROWS("(SELECT iif(platform, max(seq, asked), 9223372036854775807) FROM confirmed)");
static const char old_event_rows[] = EVENT_ROWS("9223372036854775807");

static const char action_rows[] =
    "SELECT r.seq, r.payload, r.hash, json_valid(r.payload) AND json_extract(p, '$.seq') IS r.seq AND " SAME_TIME ","
    " CASE WHEN json_type(p, '$.after_seq') IS NULL THEN 0"
    " WHEN json_extract(p, '$.after_hash') IS lower(hex(coalesce(e.hash, c.hash))) THEN 1"
    " WHEN json_extract(p, '$.after_seq') < (SELECT seq FROM chain WHERE name = 'event') THEN 2 ELSE 3 END,"
    " json_extract(p, '$.after_seq')"
    " FROM (SELECT seq, payload, hash, time_us, " VALID_PAYLOAD " FROM action WHERE seq > ?1 ORDER BY seq LIMIT ?2) r"
    " LEFT JOIN event e ON e.seq = json_extract(p, '$.after_seq')"
    " LEFT JOIN chain c ON c.name = 'event' AND c.seq = json_extract(p, '$.after_seq') ORDER BY r.seq";

static bool event_fits(struct walk *walk, sqlite3_stmt *statement)
{
    return sqlite3_column_int(statement, 4) != FATE_GONE ||
           !bad(walk->check, "event", walk->seq, "it is neither delivered nor pending");
}

static bool action_fits(struct walk *walk, sqlite3_stmt *statement)
{
    int tie = sqlite3_column_int(statement, 4);
    int64_t event = sqlite3_column_int64(statement, 5);
    bool due = walk->seq > walk->tied_after;
    bool forward = event >= walk->event;
    walk->event = event;
    if (due == (tie != TIE_NONE) && tie != TIE_BAD && forward)
        return true;
    int64_t last = walk->check->events.last;
    if (due && tie == TIE_BAD && event > last) /* cut off: that is where it begins */
        return !bad(walk->check, "event", last + 1, "it is missing: action %" PRId64 " stands behind %" PRId64,
                    walk->seq, event);
    return !bad(walk->check, "action", walk->seq,
                due ? "it does not stand behind the event that it names: %" PRId64 : "it names an event: %" PRId64,
                event);
}

static const struct strand events = {
    "event",
    "SELECT c.seq, c.hash, t.delivered, t.unsent, t.lost FROM chain c JOIN tally t WHERE c.name = 'event'",
    event_rows,
    event_fits,
};

static const struct strand actions = {
    "action",
    "SELECT c.seq, c.hash, t.seq, 0, 0 FROM chain c JOIN chain t WHERE c.name = 'action' AND t.name = 'tied'",
    action_rows,
    action_fits,
};

/* Of a schema before DAVY_LEDGER_WHOLE_SINCE: no action is tied, nothing was counted. */
static const struct strand old_events = {
    "event",
    "SELECT seq, hash, seq, 0, 0 FROM chain WHERE name = 'event'",
    old_event_rows,
    event_fits,
};

static const struct strand old_actions = {
    "action",
    "SELECT seq, hash, 9223372036854775807, 0, 0 FROM chain WHERE name = 'action'",
    action_rows,
    action_fits,
};

/* Where the strand starts: the row before the first that is kept. */
static int read_start(struct walk *walk)
{
    sqlite3_stmt *statement = NULL;
    int r = davy_reader_prepare(walk->reader, walk->strand->start, &statement);
    if (r == 0)
        r = davy_reader_step(walk->reader, statement);
    if (r == 0 && sqlite3_column_bytes(statement, 1) == DAVY_HASH_SIZE) {
        walk->after = walk->seq = sqlite3_column_int64(statement, 0);
        memcpy(walk->hash, sqlite3_column_blob(statement, 1), DAVY_HASH_SIZE);
        for (int i = 0; i < 3; i++)
            walk->tally[i] = sqlite3_column_int64(statement, 2 + i);
        walk->tied_after = walk->tally[0];
    } else if (r >= 0) {
        r = bad(walk->check, walk->strand->name, 0, "the row that says where the %ss start is gone",
                walk->strand->name);
    }
    sqlite3_finalize(statement);
    return r;
}

/* Whether the row fits; else it is said which one does not, also where the row of that number is missing. */
static bool check_row(struct walk *walk, sqlite3_stmt *statement)
{
    int64_t seq = sqlite3_column_int64(statement, 0);
    const char *payload = (const char *)sqlite3_column_text(statement, 1);
    uint8_t hash[DAVY_HASH_SIZE];
    davy_chain_next(walk->hash, payload ? payload : "", (size_t)sqlite3_column_bytes(statement, 1), hash);
    bool whole = sqlite3_column_bytes(statement, 2) == DAVY_HASH_SIZE;
    bool chained = whole && memcmp(hash, sqlite3_column_blob(statement, 2), DAVY_HASH_SIZE) == 0;
    walk->seq++;
    walk->rows++;
    memcpy(walk->hash, hash, DAVY_HASH_SIZE);
    if (seq != walk->seq)
        return !bad(walk->check, walk->strand->name, walk->seq, "it is missing");
    if (!chained)
        return !bad(walk->check, walk->strand->name, seq, "it does not fit the hash chain");
    if (sqlite3_column_int(statement, 3) == 0)
        return !bad(walk->check, walk->strand->name, seq, "its columns are not what its payload says");
    int kind = sqlite3_column_int(statement, 4);
    walk->counts[kind >= 0 && kind < FATE_COUNT_ ? kind : FATE_GONE]++;
    return walk->strand->row(walk, statement);
}

/* 0, 1 where a row does not fit, or an error. */
static int check_page(struct walk *walk, sqlite3_stmt *statement, int *ret_rows)
{
    *ret_rows = 0;
    for (;;) {
        int r = davy_reader_step(walk->reader, statement);
        if (r != 0)
            return r < 0 ? r : 0;
        if (!check_row(walk, statement)) {
            sqlite3_reset(statement);
            return 1;
        }
        (*ret_rows)++;
    }
}

static int check_rows(struct walk *walk)
{
    sqlite3_stmt *statement = NULL;
    int rows = PAGE;
    int r = davy_reader_prepare(walk->reader, walk->strand->rows, &statement);
    while (r == 0 && rows == PAGE) {
        r = davy_db_bind(statement, "ii", walk->seq, (int64_t)PAGE);
        if (r == 0)
            r = check_page(walk, statement, &rows);
    }
    sqlite3_finalize(statement);
    return r;
}

/* Rows may be pruned while they are read: what does not fit is looked at again, at last as it was at one instant. */
static int check_strand(struct walk *walk)
{
    const struct walk fresh = *walk;
    for (int attempt = 0;; attempt++) {
        bool at_once = attempt == ATTEMPTS;
        *walk = fresh;
        int r = at_once ? davy_db_exec(&walk->reader->db, "BEGIN") : 0;
        if (r == 0)
            r = read_start(walk);
        if (r == 0)
            r = check_rows(walk);
        if (at_once)
            (void)!davy_db_exec(&walk->reader->db, "COMMIT"); /* nothing was written */
        if (r != 1 || at_once)
            return r;
    }
}

static void keep_strand(const struct walk *walk, struct davy_ledger_strand *ret)
{
    ret->after = walk->after;
    ret->last = walk->seq;
    ret->rows = walk->rows;
    for (size_t i = 0; i < DAVY_HASH_SIZE; i++)
        snprintf(ret->hash + 2 * i, 3, "%02x", walk->hash[i]);
}

/* ---- what is kept beside the strands -------------------------------------------------------------------------- */

struct question {
    const char *strand;
    const char *sql; /* a row for the first thing that is wrong, with the number of a row; none where all is well */
    const char *reason;
};

#define LAST(table) "coalesce((SELECT max(seq) FROM " table "), (SELECT seq FROM chain WHERE name = '" table "'))"
#define LAST_HASH(table)                                                                                               \
    "coalesce((SELECT hash FROM " table " ORDER BY seq DESC LIMIT 1), (SELECT hash FROM chain WHERE name = '" table    \
    "'))"

/* All of one instant. The payloads of actions are known to be JSON by then. */
static const struct question questions[] = {
    {"event", "SELECT " LAST("event") " + 1 FROM head WHERE name = 'event' AND seq > " LAST("event"), "it is missing"},
    {"action", "SELECT " LAST("action") " + 1 FROM head WHERE name = 'action' AND seq > " LAST("action"),
     "it is missing"},
    {"event",
     "SELECT " LAST("event") " WHERE NOT EXISTS (SELECT 1 FROM head WHERE name = 'event' AND seq = " LAST(
         "event") " AND hash = " LAST_HASH("event") ")",
     "it is not the end that was noted"},
    {"action",
     "SELECT " LAST("action") " WHERE NOT EXISTS (SELECT 1 FROM head WHERE name = 'action' AND seq = " LAST(
         "action") " AND hash = " LAST_HASH("action") ")",
     "it is not the end that was noted"},
    {"event",
     "SELECT " LAST(
         "event") " + 1 FROM (SELECT max(last_row) / 2 AS seq FROM topic UNION ALL SELECT max(seq) FROM latest"
                  " UNION ALL SELECT seq FROM confirmed) WHERE seq > " LAST("event") " LIMIT 1",
     "it is missing"},
    {"event",
     "SELECT row / 2 FROM outbox WHERE NOT EXISTS (SELECT 1 FROM event WHERE seq = row / 2) ORDER BY row LIMIT 1",
     "it is to be sent, and missing"},
    {"action",
     "SELECT t.seq FROM chain t JOIN action a ON a.seq = t.seq WHERE t.name = 'tied' AND a.hash IS NOT t.hash",
     "it is not the one behind which all are tied to events"},
    {"event", "SELECT e.seq FROM chain c JOIN event e ON e.seq <= c.seq WHERE c.name = 'event' ORDER BY e.seq LIMIT 1",
     "it is kept, and stands before where the events are said to start"},
    {"action",
     "SELECT a.seq FROM chain c JOIN action a ON a.seq <= c.seq WHERE c.name = 'action' ORDER BY a.seq LIMIT 1",
     "it is kept, and stands before where the actions are said to start"},
    {"event",
     "SELECT e.seq FROM event e WHERE topic IS NULL AND (sent_us IS NOT NULL OR"
     " EXISTS (SELECT 1 FROM outbox WHERE row IN (2 * e.seq, 2 * e.seq + 1))) ORDER BY e.seq LIMIT 1",
     "it was not to be sent, and was"},
    {"sum", "SELECT 0 WHERE (SELECT count(*) FROM loss WHERE what IN ('readings', 'telemetry', 'events')) <> 3",
     "the row that counts a loss is gone"},
    {"sum", "SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM confirmed)", "the row of what is confirmed is gone"},
    {"sum",
     "SELECT c.seq FROM chain c JOIN tally t WHERE c.name = 'event' AND c.seq <> t.delivered + t.unsent + t.lost",
     "the events before the first one that is kept"},
    {"sum",
     "SELECT l.total FROM loss l JOIN (SELECT t.what, t.count + coalesce((SELECT sum(json_extract(payload,"
     " '$.detail.count')) FROM action WHERE json_extract(payload, '$.verb') = 'loss' AND json_extract(payload, '$.by')"
     " = 'davyd' AND json_extract(payload, '$.target') = t.what), 0) AS told FROM loss t) d ON d.what = l.what"
     " WHERE l.total < told OR (l.total > told AND (SELECT seq FROM chain WHERE name = 'action') = 0)",
     "the losses that actions declare"},
};

/* 0, 1 where the answer is that something is wrong, or an error. */
static int ask(struct reader *reader, const struct question *question, struct davy_ledger_check *check)
{
    sqlite3_stmt *statement = NULL;
    int r = davy_reader_prepare(reader, question->sql, &statement);
    if (r == 0)
        r = davy_reader_step(reader, statement);
    int64_t seq = r == 0 ? sqlite3_column_int64(statement, 0) : 0;
    sqlite3_finalize(statement);
    if (r != 0)
        return r < 0 ? r : 0;
    return bad(check, question->strand, seq, "%s", question->reason);
}

static int ask_all(struct reader *reader, struct davy_ledger_check *check)
{
    int r = davy_db_exec(&reader->db, "BEGIN");
    for (size_t i = 0; r == 0 && i < DAVY_LENGTH(questions); i++)
        r = ask(reader, &questions[i], check);
    (void)!davy_db_exec(&reader->db, "COMMIT"); /* nothing was written */
    return r;
}

static int read_lost(struct reader *reader, int64_t lost[DAVY_LOSS_COUNT_])
{
    static const char *const sql[] = {
        [DAVY_LOSS_READINGS] = "SELECT total FROM loss WHERE what = 'readings'",
        [DAVY_LOSS_TELEMETRY] = "SELECT total FROM loss WHERE what = 'telemetry'",
        [DAVY_LOSS_EVENTS] = "SELECT total FROM loss WHERE what = 'events'",
    };
    int r = 0;
    for (size_t k = 0; r == 0 && k < DAVY_LOSS_COUNT_; k++)
        r = davy_db_number(&reader->db, sql[k], &lost[k]);
    return r;
}

/*
 * Each event is one of the strand, or was lost before it had a number: those are in the sum of losses, and not in the
 * tally of numbered ones.
 */
static int sum_up(struct reader *reader, const struct walk *walk, struct davy_ledger_check *check)
{
    int64_t lost[DAVY_LOSS_COUNT_] = {0};
    int r = read_lost(reader, lost);
    int64_t unnumbered = lost[DAVY_LOSS_EVENTS] - walk->tally[2];
    if (r < 0)
        return r;
    check->summed = true;
    check->lost_readings = lost[DAVY_LOSS_READINGS];
    check->lost_telemetry = lost[DAVY_LOSS_TELEMETRY];
    check->decided = walk->seq + unnumbered;
    check->delivered = walk->tally[0] + walk->counts[FATE_DELIVERED];
    check->unsent = walk->tally[1] + walk->counts[FATE_UNSENT];
    check->pending = walk->counts[FATE_PENDING];
    check->declared = lost[DAVY_LOSS_EVENTS];
    if (unnumbered >= 0 && check->decided == check->delivered + check->unsent + check->pending + check->declared)
        return 0;
    return bad(check, "sum", 0, "events decided are not those delivered, pending and declared lost");
}

static int verify(struct reader *reader, struct davy_ledger_check *check)
{
    bool whole = reader->version >= DAVY_LEDGER_WHOLE_SINCE;
    struct walk event = {.reader = reader, .strand = whole ? &events : &old_events, .check = check};
    struct walk action = {.reader = reader, .strand = whole ? &actions : &old_actions, .check = check};
    int r = check_strand(&event);
    keep_strand(&event, &check->events);
    if (r != 0)
        return r;
    r = check_strand(&action);
    keep_strand(&action, &check->actions);
    check->untied = action.counts[TIE_NONE];
    check->tied = action.rows - check->untied;
    if (r != 0 || !whole)
        return r;
    r = ask_all(reader, check);
    return r == 0 ? sum_up(reader, &event, check) : r;
}

int davy_ledger_verify(const char *file, struct davy_ledger_check *ret_check, char *ret_error, size_t error_size)
{
    struct reader reader = READER_INIT;
    *ret_check = (struct davy_ledger_check){.bad_seq = 0};
    int r = davy_reader_open(&reader, file, &davy_ledger_schema, ret_error, error_size);
    if (r == 0)
        r = verify(&reader, ret_check);
    davy_reader_close(&reader);
    return r;
}
