/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the readings store share. Private to this floor. */
#pragma once

#include "db.h"
#include "record/readings.h"

/* Far below SQLite's 500 terms of a compound SELECT, of which the view has one a partition. */
#define READINGS_PARTITIONS_MAX 100

enum readings_statement {
    READINGS_POINT_ADD,
    READINGS_POINT_FIND,
    READINGS_QUALITY_ADD,
    READINGS_QUALITY_FIND,
    READINGS_PARTITION_ALL,
    READINGS_PARTITION_ADD,
    READINGS_PARTITION_SET,
    READINGS_PARTITION_DELETE,
    READINGS_OUTBOX_TOTAL,
    READINGS_OUTBOX_TOTAL_SET,
    READINGS_OUTBOX_LAST,
    READINGS_OUTBOX_ADD,
    READINGS_OUTBOX_NEXT,
    READINGS_OUTBOX_OLDEST,
    READINGS_OUTBOX_SIZE,
    READINGS_OUTBOX_DELETE,
    READINGS_STATEMENT_COUNT_
};

/* A table reading_ID: rows in order of arrival. */
struct readings_partition {
    int64_t id;
    int64_t begin_us; /* readings from begin + length on go into the next one */
    int64_t first_us; /* least and greatest time in it; the clock may have been stepped */
    int64_t last_us;
    int64_t last_rowid;
};

/* A reading as it is stored. */
struct readings_row {
    int64_t time_us;
    int64_t point;
    double value; /* NaN becomes NULL */
    int64_t code;
};

/* Rows of one INSERT: measured 0.36 us a row, 0.59 us one by one, no less with 50. */
#define READINGS_ROWS 16

struct readings_outbox {
    int64_t count;
    int64_t bytes;
    int64_t dropped;
    int64_t last_row;
};

struct davy_readings {
    struct davy_db db;
    char directory[DAVY_DB_PATH];
    davy_wall opened;
    const struct davy_config *config;
    int64_t *point_ids; /* by index of the configuration's points */
    size_t point_count;
    int64_t codes[DAVY_QUALITY_COUNT_][DAVY_REASON_COUNT_];
    struct readings_partition partitions[READINGS_PARTITIONS_MAX]; /* oldest first; the last one is written */
    size_t partition_count;
    bool partition_changed;
    sqlite3_stmt *insert;                    /* into the last partition, one row; NULL: to be prepared, both */
    sqlite3_stmt *insert_many;               /* READINGS_ROWS rows */
    struct readings_row rows[READINGS_ROWS]; /* of this transaction, not inserted yet */
    size_t row_count;
    int64_t length_us;
    int64_t rows_max; /* of a partition */
    int64_t max_bytes;
    int64_t retention_us;
    struct readings_outbox committed;
    struct readings_outbox now;
    char *text;
    size_t text_size;
};

extern const struct davy_db_schema davy_readings_schema;

/* Roll back for `error`; returns error. */
int davy_readings_fail(struct davy_readings *readings, int error);

/* partition.c: read the list of partitions anew. */
int davy_partitions_load(struct davy_readings *readings) DAVY_MUST_CHECK;

/* In a transaction: make `insert` write where a reading of `time_us` belongs. */
int davy_partitions_ready(struct davy_readings *readings, int64_t time_us) DAVY_MUST_CHECK;

/* The statements are of another partition. */
void davy_partitions_forget(struct davy_readings *readings);

/* rows.c, in a transaction: insert this one, now or with those that follow; insert all that wait. */
int davy_rows_add(struct davy_readings *readings, const struct readings_row *row) DAVY_MUST_CHECK;
int davy_rows_flush(struct davy_readings *readings) DAVY_MUST_CHECK;

/* In a transaction, before its commit: store the times of the last partition. */
int davy_partitions_store(struct davy_readings *readings) DAVY_MUST_CHECK;

/* telemetry.c: read or store the totals of the outbox. */
int davy_telemetry_load(struct davy_readings *readings) DAVY_MUST_CHECK;
int davy_telemetry_store(struct davy_readings *readings) DAVY_MUST_CHECK;
