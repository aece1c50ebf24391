/* SPDX-License-Identifier: Apache-2.0 */
/* Tables, views and statements of ledger.db. Migrations are append only. */
#include "ledger_internal.h"

/*
 * chain    the row before the first that is kept, of each chain: where verification starts
 * latest   the last event of each alarm that is not normal, for the snapshot; payload only once that event was pruned
 * outbox   a row per message that the broker has not acknowledged; parked_us 0: in line, 1: due again, else not before
 */
static const char version_1[] =
    "CREATE TABLE chain (name TEXT PRIMARY KEY, seq INTEGER NOT NULL, hash BLOB NOT NULL) STRICT;"
    "INSERT INTO chain VALUES ('event', 0, zeroblob(32)), ('action', 0, zeroblob(32));"
    "CREATE TABLE topic (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, last_row INTEGER NOT NULL) STRICT;"
    "CREATE TABLE event (seq INTEGER PRIMARY KEY, time_us INTEGER NOT NULL, id TEXT, event TEXT, state TEXT,"
    " level TEXT, rule TEXT, zone TEXT, device TEXT, point TEXT, value REAL, \"limit\" REAL, \"by\" TEXT, note TEXT,"
    " sent_us INTEGER, topic INTEGER, alarm TEXT, hash BLOB NOT NULL, payload TEXT NOT NULL) STRICT;"
    "CREATE TABLE latest (alarm TEXT PRIMARY KEY, seq INTEGER NOT NULL, payload TEXT) STRICT;"
    "CREATE TABLE outbox (row INTEGER PRIMARY KEY, topic INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,"
    " parked_us INTEGER NOT NULL DEFAULT 0, code INTEGER) STRICT;"
    "CREATE INDEX outbox_parked ON outbox (parked_us) WHERE parked_us > 0;"
    "CREATE TABLE memory (alarm TEXT PRIMARY KEY, mono_ns INTEGER NOT NULL, wall_ns INTEGER NOT NULL,"
    " boot_id TEXT NOT NULL, body TEXT NOT NULL) STRICT;"
    "CREATE TABLE action (seq INTEGER PRIMARY KEY, time_us INTEGER NOT NULL, hash BLOB NOT NULL,"
    " payload TEXT NOT NULL) STRICT;"
    "CREATE VIEW events AS SELECT seq, time_us, id, event, state, level, rule, zone, device, point, value, \"limit\","
    " \"by\", note, payload, lower(hex(hash)) AS hash, sent_us FROM event;"
    "CREATE VIEW actions AS SELECT seq, time_us, json_extract(payload, '$.by') AS \"by\","
    " json_extract(payload, '$.verb') AS verb, json_extract(payload, '$.target') AS target,"
    " json_extract(payload, '$.note') AS note, json_extract(payload, '$.result') AS result,"
    " json_extract(payload, '$.detail') AS detail, payload, lower(hex(hash)) AS hash FROM action;";

/* confirmed: the platform's watermark; what it has up to there it has taken over. */
static const char version_2[] = "CREATE TABLE confirmed (one INTEGER PRIMARY KEY CHECK (one = 1),"
                                " seq INTEGER NOT NULL) STRICT;"
                                "INSERT INTO confirmed VALUES (1, 0);";

/* loss: what was lost of each kind, in all, and the sum of what no row of the actions says yet. */
static const char version_3[] =
    "CREATE TABLE loss (what TEXT PRIMARY KEY, total INTEGER NOT NULL DEFAULT 0, count INTEGER NOT NULL DEFAULT 0,"
    " from_us INTEGER NOT NULL DEFAULT 0, to_us INTEGER NOT NULL DEFAULT 0, from_seq INTEGER NOT NULL DEFAULT 0,"
    " to_seq INTEGER NOT NULL DEFAULT 0, why TEXT NOT NULL DEFAULT '') STRICT;"
    "INSERT INTO loss (what) VALUES ('readings'), ('telemetry'), ('events');";

/*
 * confirmed.platform: events are delivered to the platform, not just the broker; asked: up to there it is not asked.
 * The view is what is not delivered.
 */
static const char version_4[] =
    "ALTER TABLE confirmed ADD COLUMN platform INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE confirmed ADD COLUMN asked INTEGER NOT NULL DEFAULT 0;"
    "CREATE INDEX event_silent ON event (seq) WHERE topic IS NULL;"
    "CREATE VIEW pending AS SELECT e.seq, e.time_us FROM event e JOIN outbox o ON o.row = 2 * e.seq"
    " UNION ALL SELECT e.seq, e.time_us FROM event e WHERE e.topic IS NOT NULL AND e.seq >"
    " (SELECT iif(platform, max(seq, asked), 9223372036854775807) FROM confirmed)"
    " AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.row = 2 * e.seq);";

/*
 * head    the last row of each strand, also where that row is taken away; "copy" in a backup that nobody has gone on from
 * tied    in chain: the last action of before; all behind it name the event before them, with its hash
 * tally   what became of the events before the first that is kept
 */
static const char version_5[] =
    "CREATE TABLE head (name TEXT PRIMARY KEY, seq INTEGER NOT NULL, hash BLOB NOT NULL) STRICT;"
    "INSERT INTO head SELECT 'event', seq, hash FROM (SELECT seq, hash FROM event UNION ALL SELECT seq, hash FROM chain"
    " WHERE name = 'event') ORDER BY seq DESC LIMIT 1;"
    "INSERT INTO head SELECT 'action', seq, hash FROM (SELECT seq, hash FROM action UNION ALL SELECT seq, hash FROM "
    "chain"
    " WHERE name = 'action') ORDER BY seq DESC LIMIT 1;"
    "INSERT INTO chain SELECT 'tied', seq, hash FROM head WHERE name = 'action';"
    "CREATE TABLE tally (one INTEGER PRIMARY KEY CHECK (one = 1), delivered INTEGER NOT NULL, unsent INTEGER NOT NULL,"
    " lost INTEGER NOT NULL) STRICT;"
    "INSERT INTO tally SELECT 1, seq, 0, 0 FROM chain WHERE name = 'event';"
    "DROP VIEW actions;"
    "CREATE VIEW actions AS SELECT seq, time_us, json_extract(payload, '$.by') AS \"by\","
    " json_extract(payload, '$.verb') AS verb, json_extract(payload, '$.target') AS target,"
    " json_extract(payload, '$.note') AS note, json_extract(payload, '$.result') AS result,"
    " json_extract(payload, '$.detail') AS detail, payload, lower(hex(hash)) AS hash,"
    " json_extract(payload, '$.after_seq') AS after_seq, json_extract(payload, '$.after_hash') AS after_hash"
    " FROM action;";

static const char *const migrations[] = {version_1, version_2, version_3, version_4, version_5};

#define OUTBOX_COLUMNS                                                                                                 \
    "SELECT o.row, t.name, e.payload, t.last_row > o.row, o.attempts > 0 FROM outbox o"                                \
    " JOIN event e ON e.seq = o.row / 2 JOIN topic t ON t.id = o.topic "

static const char *const statements[LEDGER_STATEMENT_COUNT_] = {
    [LEDGER_EVENT_INSERT] =
        "INSERT INTO event (seq, time_us, id, event, state, level, rule, zone, device, point, value, \"limit\", \"by\","
        " note, topic, alarm, hash, payload) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14,"
        " nullif(?15, 0), ?16, ?17, ?18)",
    [LEDGER_EVENT_SAME] = "SELECT 1 FROM event WHERE seq = ?1 AND payload = ?2",
    [LEDGER_EVENT_SENT] = "UPDATE event SET sent_us = ?2 WHERE seq = ?1",
    [LEDGER_TOPIC_UPSERT] = "INSERT INTO topic (name, last_row) VALUES (?1, ?2)"
                            " ON CONFLICT (name) DO UPDATE SET last_row = excluded.last_row RETURNING id",
    [LEDGER_TOPIC_PLACE] = "INSERT INTO topic (name, last_row) SELECT ?2, 2 * seq FROM latest WHERE alarm = ?1"
                           " ON CONFLICT (name) DO UPDATE SET last_row = excluded.last_row",
    [LEDGER_LATEST_UPSERT] = "INSERT INTO latest (alarm, seq) VALUES (?1, ?2)"
                             " ON CONFLICT (alarm) DO UPDATE SET seq = excluded.seq, payload = NULL",
    [LEDGER_LATEST_DELETE] = "DELETE FROM latest WHERE alarm = ?1",
    [LEDGER_LATEST_GET] =
        "SELECT coalesce(l.payload, e.payload), t.name FROM latest l LEFT JOIN event e ON e.seq = l.seq"
        " LEFT JOIN topic t ON t.id = e.topic WHERE l.alarm = ?1",
    [LEDGER_SNAPSHOT] = "SELECT coalesce(l.payload, e.payload) FROM latest l LEFT JOIN event e ON e.seq = l.seq"
                        " WHERE l.payload IS NOT NULL OR e.payload IS NOT NULL ORDER BY l.seq",
    [LEDGER_LATEST_TOPICS] = "SELECT l.alarm, coalesce(t.name, ''), l.seq FROM latest l LEFT JOIN event e"
                             " ON e.seq = l.seq LEFT JOIN topic t ON t.id = e.topic UNION SELECT l.alarm, t.name, l.seq"
                             " FROM latest l JOIN topic t ON t.last_row = 2 * l.seq ORDER BY 3",
    [LEDGER_LATEST_NEXT] =
        "SELECT l.seq, l.alarm, coalesce(l.payload, e.payload, ''),"
        " EXISTS (SELECT 1 FROM outbox o WHERE o.row = 2 * l.seq AND o.parked_us > 0)"
        " FROM (SELECT * FROM latest WHERE seq > ?1 ORDER BY seq LIMIT 1) l LEFT JOIN event e ON e.seq = l.seq",
    [LEDGER_ENDED_NEXT] = "SELECT id, name, '', 0 FROM topic WHERE id > ?1 AND (last_row % 2 = 1"
                          " OR last_row / 2 NOT IN (SELECT seq FROM latest)) ORDER BY id LIMIT 1",
    [LEDGER_OUTBOX_REVIVE] = "UPDATE outbox SET parked_us = 1 WHERE parked_us > 0 AND topic = ?1",
    [LEDGER_OUTBOX_INSERT] = "INSERT INTO outbox (row, topic, parked_us) VALUES (?1, ?2, ?3)",
    [LEDGER_OUTBOX_NEXT] = OUTBOX_COLUMNS "WHERE o.row > ?1 AND o.parked_us = 0 ORDER BY o.row LIMIT 1",
    [LEDGER_OUTBOX_DUE] = OUTBOX_COLUMNS "WHERE o.row > ?1 AND o.parked_us BETWEEN 1 AND ?2 AND o.parked_us > 0"
                                         " ORDER BY o.row LIMIT 1",
    [LEDGER_OUTBOX_GET] = "SELECT topic, attempts FROM outbox WHERE row = ?1",
    [LEDGER_OUTBOX_DELETE] = "DELETE FROM outbox WHERE row = ?1",
    [LEDGER_OUTBOX_REFUSE] = "UPDATE outbox SET attempts = attempts + 1, code = ?2 WHERE row = ?1",
    [LEDGER_OUTBOX_HOLD] = "UPDATE outbox SET parked_us = ?3 WHERE row >= ?1 AND topic = ?2",
    [LEDGER_OUTBOX_UNPARK] = "UPDATE outbox SET parked_us = 1 WHERE parked_us > 1",
    [LEDGER_OUTBOX_PARKED] = "SELECT count(*) FROM outbox WHERE parked_us > 0",
    [LEDGER_EVENT_NEXT] = "SELECT 2 * e.seq, t.name, e.payload, 0, 0 FROM event e JOIN topic t ON t.id = e.topic"
                          " WHERE e.seq > ?1 ORDER BY e.seq LIMIT 1",
    [LEDGER_CONFIRM] = "UPDATE confirmed SET seq = ?1",
    [LEDGER_DELIVER] = "UPDATE confirmed SET platform = ?1, asked = ?2",
    [LEDGER_ACKNOWLEDGED_COUNT] =
        "SELECT ?2 - ?1 - (SELECT count(*) FROM event INDEXED BY event_silent WHERE topic IS NULL AND seq > ?1"
        " AND seq <= ?2) - (SELECT count(*) FROM outbox WHERE row > 2 * ?1 + 1 AND row <= 2 * ?2 AND row % 2 = 0)",
    [LEDGER_ACKNOWLEDGED_NEXT] = "SELECT 2 * e.seq, t.name, e.payload, 1, 1 FROM event e JOIN topic t ON t.id = e.topic"
                                 " WHERE e.seq > ?1 AND e.seq <= ?2 AND e.sent_us IS NOT NULL ORDER BY e.seq LIMIT 1",
    [LEDGER_OUTBOX_FIRST] = "SELECT min(row) FROM outbox",
    [LEDGER_OUTBOX_UNSENT] = "SELECT min(row) FROM (SELECT min(row) AS row FROM outbox WHERE row > ?1 AND parked_us = 0"
                             " UNION ALL SELECT min(row) FROM outbox WHERE parked_us > 0 AND attempts = 0)",
    [LEDGER_PENDING_OLDEST] =
        "SELECT time_us FROM event WHERE seq = (SELECT min(seq) FROM (SELECT min(row) / 2 AS seq FROM outbox"
        " UNION ALL SELECT * FROM (SELECT seq FROM event WHERE seq > ?1 AND topic IS NOT NULL ORDER BY seq LIMIT 1)))",
    [LEDGER_MEMORY_UPSERT] = "INSERT OR REPLACE INTO memory (alarm, mono_ns, wall_ns, boot_id, body)"
                             " VALUES (?1, ?2, ?3, ?4, ?5)",
    [LEDGER_MEMORY_DELETE] = "DELETE FROM memory WHERE alarm = ?1",
    [LEDGER_MEMORY_ALL] = "SELECT mono_ns, wall_ns, boot_id, body FROM memory ORDER BY alarm",
    [LEDGER_ACTION_INSERT] = "INSERT INTO action (seq, time_us, hash, payload) VALUES (?1, ?2, ?3, ?4)",
    [LEDGER_ACTION_ISSUED] =
        "SELECT max(json_extract(payload, '$.detail.issued_at')) FROM (SELECT payload FROM action ORDER BY seq DESC"
        " LIMIT 10000) WHERE json_extract(payload, '$.verb') = 'ack'",
    [LEDGER_ACTION_LOADED] =
        "SELECT json_extract(payload, '$.detail.hash'), json_extract(payload, '$.verb') FROM action"
        " WHERE json_extract(payload, '$.verb') IN ('load', 'reload')"
        " AND json_extract(payload, '$.result') = 'done' ORDER BY seq DESC LIMIT 1",
    [LEDGER_LOSS_ALL] = "SELECT what, total, count, from_us, to_us, from_seq, to_seq, why FROM loss",
    [LEDGER_LOSS_SET] = "UPDATE loss SET total = ?2, count = ?3, from_us = ?4, to_us = ?5, from_seq = ?6, to_seq = ?7,"
                        " why = ?8 WHERE what = ?1",
    [LEDGER_CHAIN_SET] = "UPDATE chain SET seq = ?2, hash = ?3 WHERE name = ?1",
    [LEDGER_HEAD_SET] = "UPDATE head SET seq = ?2, hash = ?3 WHERE name = ?1",
    [LEDGER_TALLY_SET] = "UPDATE tally SET delivered = ?1, unsent = ?2, lost = ?3",
    [LEDGER_PRUNE_EVENT_FIND] =
        "SELECT seq, time_us, hash, topic IS NULL FROM event"
        " WHERE seq < coalesce((SELECT min(row) / 2 FROM outbox), 9223372036854775807)"
        " AND seq <= (SELECT iif(platform, max(seq, asked), 9223372036854775807) FROM confirmed)"
        " ORDER BY seq LIMIT ?1",
    [LEDGER_PRUNE_EVENT_DATED] =
        "SELECT time_us FROM event WHERE seq > ?1 AND time_us BETWEEN ?2 AND ?3 ORDER BY seq LIMIT 1",
    [LEDGER_PRUNE_EVENT_KEEP] = "UPDATE latest SET payload = (SELECT payload FROM event e WHERE e.seq = latest.seq)"
                                " WHERE seq <= ?1 AND payload IS NULL",
    [LEDGER_PRUNE_EVENT_DELETE] = "DELETE FROM event WHERE seq <= ?1",
    [LEDGER_PRUNE_ACTION_FIND] = "SELECT seq, time_us, hash FROM action ORDER BY seq LIMIT ?1",
    [LEDGER_PRUNE_ACTION_DATED] =
        "SELECT time_us FROM action WHERE seq > ?1 AND time_us BETWEEN ?2 AND ?3 ORDER BY seq LIMIT 1",
    [LEDGER_PRUNE_ACTION_DELETE] = "DELETE FROM action WHERE seq <= ?1",
};

const struct davy_db_schema davy_ledger_schema = {
    .file = "ledger.db",
    .application_id = 0x44415631, /* "DAV1" */
    .migrations = migrations,
    .version = DAVY_LENGTH(migrations),
    .statements = statements,
    .statement_count = LEDGER_STATEMENT_COUNT_,
    .check_below_bytes = INT64_C(128) << 20,
    .filled = true,
};
