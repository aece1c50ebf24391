/* SPDX-License-Identifier: Apache-2.0 */
/* Tables, views and statements of readings.db. Migrations are append only. */
#include "readings_internal.h"

/*
 * No index on readings: one by point costs 25 times the writes. Points and qualities are numbers in a row, given by the
 * database itself, so that no enum of the program is stored.
 */
static const char version_1[] =
    "CREATE TABLE point (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;"
    "CREATE TABLE quality (code INTEGER PRIMARY KEY, quality TEXT NOT NULL, reason TEXT) STRICT;"
    "CREATE TABLE partition (id INTEGER PRIMARY KEY, begin_us INTEGER NOT NULL, first_us INTEGER NOT NULL,"
    " last_us INTEGER NOT NULL) STRICT;"
    "CREATE TABLE outbox (row INTEGER PRIMARY KEY, bytes INTEGER NOT NULL, topic TEXT NOT NULL, payload TEXT NOT NULL)"
    " STRICT;"
    "CREATE TABLE outbox_total (id INTEGER PRIMARY KEY, count INTEGER NOT NULL, bytes INTEGER NOT NULL,"
    " dropped INTEGER NOT NULL) STRICT;"
    "INSERT INTO outbox_total VALUES (1, 0, 0, 0);"
    "CREATE VIEW readings AS SELECT NULL AS time_us, NULL AS point, NULL AS value, NULL AS quality, NULL AS reason"
    " WHERE 0;";

/*
 * Roll-ups: a row a point and step, in order of time, so that they are appended. `count` are all readings; `worst` is 0
 * good, 1 uncertain, 2 bad; `quality` is of the first reading that was it. rollup_state holds the place up to which
 * readings are rolled up, how many rows there are, since when they hold all (a file of version 1 may be large: its
 * readings are not rolled up any more; row -1: from the end of the partition on), and since when minutes are kept. loss
 * is what the bound of the size took and nobody was told of: kind 0 readings, 1 telemetry.
 */
#define ROLLUP_TABLE(name)                                                                                             \
    "CREATE TABLE rollup_" name " (step INTEGER NOT NULL, point INTEGER NOT NULL, count INTEGER NOT NULL,"             \
    " with_value INTEGER NOT NULL, covered_us INTEGER NOT NULL, mean REAL, min REAL, max REAL,"                        \
    " worst INTEGER NOT NULL, quality INTEGER NOT NULL, PRIMARY KEY (step, point)) STRICT, WITHOUT ROWID;"

#define ROLLUP_VIEW(view, name, step_us)                                                                               \
    "CREATE VIEW " view " AS SELECT r.step * " step_us " AS time_us, p.name AS point, r.mean, r.min, r.max,"           \
    " r.with_value AS count, r.count AS readings, min(1.0, r.covered_us / " step_us ".0) AS coverage, q.quality,"      \
    " q.reason FROM rollup_" name " r JOIN point p ON p.id = r.point JOIN quality q ON q.code = r.quality;"

static const char version_2[] = "ALTER TABLE point ADD COLUMN interval_us INTEGER NOT NULL DEFAULT 0;" ROLLUP_TABLE(
    "minute") ROLLUP_TABLE("hour") ROLLUP_VIEW("readings_1min", "minute", "60000000")
    ROLLUP_VIEW(
        "readings_1h", "hour",
        "3600000000") "CREATE TABLE rollup_state (id INTEGER PRIMARY KEY, partition INTEGER NOT NULL, "
                      "row INTEGER NOT NULL,"
                      " minutes INTEGER NOT NULL, hours INTEGER NOT NULL, since_us INTEGER NOT NULL,"
                      " minutes_since_us INTEGER NOT NULL) STRICT;"
                      "CREATE TABLE loss (kind INTEGER PRIMARY KEY, count INTEGER NOT NULL, from_us INTEGER NOT NULL,"
                      " to_us INTEGER NOT NULL) STRICT;"
                      "INSERT INTO rollup_state SELECT 1, coalesce(max(id), 0), CASE WHEN max(id) IS "
                      "NULL THEN 0 ELSE -1 END, 0, 0,"
                      " coalesce((max(last_us) / 3600000000 + 1) * 3600000000, 0), 0 FROM partition;";

static const char *const migrations[] = {version_1, version_2};

#define ROLLUP_ADD(name)                                                                                               \
    "INSERT OR IGNORE INTO rollup_" name " (step, point, count, with_value, covered_us, mean, min, max, worst,"        \
    " quality) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"

/* The mean stays between the others, also where its sum is too large for a number. */
#define ROLLUP_MERGE(name)                                                                                             \
    "UPDATE rollup_" name " SET count = count + ?3, with_value = with_value + ?4, covered_us = covered_us + ?5,"       \
    " mean = CASE WHEN ?4 = 0 THEN mean WHEN with_value = 0 THEN ?6"                                                   \
    " ELSE max(min(mean + (?6 - mean) * ?4 / (with_value + ?4), max(max, ?8)), min(min, ?7)) END,"                     \
    " min = min(coalesce(min, ?7), coalesce(?7, min)), max = max(coalesce(max, ?8), coalesce(?8, max)),"               \
    " quality = CASE WHEN ?9 > worst THEN ?10 ELSE quality END, worst = max(worst, ?9)"                                \
    " WHERE step = ?1 AND point = ?2"

static const char *const statements[READINGS_STATEMENT_COUNT_] = {
    [READINGS_POINT_ADD] = "INSERT INTO point (name, interval_us) VALUES (?1, ?2)",
    [READINGS_POINT_FIND] = "SELECT id, interval_us FROM point WHERE name = ?1",
    [READINGS_POINT_SET] = "UPDATE point SET interval_us = ?2 WHERE id = ?1",
    [READINGS_POINT_ALL] = "SELECT id, interval_us FROM point ORDER BY id DESC",
    [READINGS_QUALITY_ADD] = "INSERT INTO quality (quality, reason) VALUES (?1, ?2)",
    [READINGS_QUALITY_FIND] = "SELECT code FROM quality WHERE quality = ?1 AND reason IS ?2",
    [READINGS_PARTITION_ALL] = "SELECT id, begin_us, first_us, last_us FROM partition ORDER BY id LIMIT ?1",
    [READINGS_PARTITION_ADD] = "INSERT INTO partition (id, begin_us, first_us, last_us) VALUES (?1, ?2, ?3, ?4)",
    [READINGS_PARTITION_SET] = "UPDATE partition SET first_us = ?2, last_us = ?3 WHERE id = ?1",
    [READINGS_PARTITION_DELETE] = "DELETE FROM partition WHERE id = ?1",
    [READINGS_OUTBOX_TOTAL] = "SELECT count, bytes, dropped FROM outbox_total WHERE id = 1",
    [READINGS_OUTBOX_TOTAL_SET] = "UPDATE outbox_total SET count = ?1, bytes = ?2, dropped = ?3 WHERE id = 1",
    [READINGS_OUTBOX_LAST] = "SELECT coalesce(max(row), 0) FROM outbox",
    [READINGS_OUTBOX_ADD] = "INSERT INTO outbox (row, bytes, topic, payload) VALUES (?1, ?2, ?3, ?4)",
    [READINGS_OUTBOX_NEXT] = "SELECT row, topic, payload FROM outbox WHERE row > ?1 ORDER BY row LIMIT 1",
    [READINGS_OUTBOX_OLDEST] = "SELECT row, bytes FROM outbox ORDER BY row LIMIT 1",
    [READINGS_OUTBOX_SIZE] = "SELECT row, bytes FROM outbox WHERE row = ?1",
    [READINGS_OUTBOX_DELETE] = "DELETE FROM outbox WHERE row = ?1",
    [READINGS_ROLLUP_STATE] = "SELECT partition, row, minutes, hours, minutes_since_us FROM rollup_state WHERE id = 1",
    [READINGS_ROLLUP_STATE_SET] = "UPDATE rollup_state SET partition = ?1, row = ?2, minutes = ?3, hours = ?4, "
                                  "minutes_since_us = ?5 WHERE id = 1",
    [READINGS_MINUTE_ADD] = ROLLUP_ADD("minute"),
    [READINGS_MINUTE_MERGE] = ROLLUP_MERGE("minute"),
    [READINGS_MINUTE_FIRST] = "SELECT step FROM rollup_minute ORDER BY step LIMIT 1",
    [READINGS_MINUTE_AT] = "SELECT step FROM rollup_minute ORDER BY step, point LIMIT 1 OFFSET ?1",
    [READINGS_MINUTE_DELETE] = "DELETE FROM rollup_minute WHERE step < ?1",
    [READINGS_HOUR_ADD] = ROLLUP_ADD("hour"),
    [READINGS_HOUR_MERGE] = ROLLUP_MERGE("hour"),
    [READINGS_HOUR_FIRST] = "SELECT step FROM rollup_hour ORDER BY step LIMIT 1",
    [READINGS_HOUR_AT] = "SELECT step FROM rollup_hour ORDER BY step, point LIMIT 1 OFFSET ?1",
    [READINGS_LOSS_ALL] = "SELECT kind, count, from_us, to_us FROM loss",
    [READINGS_LOSS_SET] = "INSERT OR REPLACE INTO loss (kind, count, from_us, to_us) VALUES (?1, ?2, ?3, ?4)",
    [READINGS_HOUR_DELETE] = "DELETE FROM rollup_hour WHERE step < ?1",
};

const struct davy_db_schema davy_readings_schema = {
    .file = "readings.db",
    .application_id = 0x44415652, /* "DAVR" */
    .migrations = migrations,
    .version = DAVY_LENGTH(migrations),
    .statements = statements,
    .statement_count = READINGS_STATEMENT_COUNT_,
    .check_below_bytes = INT64_C(64) << 20,
};
