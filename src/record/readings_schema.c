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

static const char *const migrations[] = {version_1};

static const char *const statements[READINGS_STATEMENT_COUNT_] = {
    [READINGS_POINT_ADD] = "INSERT INTO point (name) VALUES (?1) ON CONFLICT (name) DO NOTHING",
    [READINGS_POINT_FIND] = "SELECT id FROM point WHERE name = ?1",
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
