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
    READINGS_POINT_SET,
    READINGS_POINT_ALL,
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
    READINGS_ROLLUP_STATE,
    READINGS_ROLLUP_STATE_SET,
    READINGS_MINUTE_ADD,
    READINGS_MINUTE_MERGE,
    READINGS_MINUTE_FIRST,
    READINGS_MINUTE_AT,
    READINGS_MINUTE_DELETE,
    READINGS_HOUR_ADD,
    READINGS_HOUR_MERGE,
    READINGS_HOUR_FIRST,
    READINGS_HOUR_AT,
    READINGS_HOUR_DELETE,
    READINGS_LOSS_ALL,
    READINGS_LOSS_SET,
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

/* The steps of roll-ups. */
enum rollup_level { ROLLUP_MINUTE, ROLLUP_HOUR, ROLLUP_LEVEL_COUNT_ };

/* What came of a point since roll-ups were written last, all within one minute. */
struct rollup_point {
    int64_t interval_us; /* between polls; a good reading covers so much time */
    int64_t covered_us;
    uint32_t count; /* readings; 0: nothing came */
    uint32_t with_value;
    double sum;
    double min;
    double max;
    int64_t code; /* of the first reading with the worst quality */
    int worst;    /* enum davy_quality */
};

/* Rows of readings are in roll-ups up to a place: partition and row. */
struct rollup_place {
    int64_t partition;
    int64_t row;
};

struct rollup_state {
    struct rollup_place written;
    int64_t rows[ROLLUP_LEVEL_COUNT_];
    int64_t minutes_since_us; /* older minutes are gone, their hours may be there; 0: none is gone */
};

struct readings_rollup {
    struct rollup_point *points; /* by id in the file */
    size_t point_count;
    int64_t begin_us; /* the minute of what waits; begin == end: nothing waits */
    int64_t end_us;
    struct rollup_place taken; /* of the last reading that waits or is written */
    struct rollup_state state; /* as in the file, with what the running transaction did */
    bool behind;               /* the file may have readings that are neither written nor wait: at the next begin */
    int64_t keep_us[ROLLUP_LEVEL_COUNT_];
    int64_t rows_max[ROLLUP_LEVEL_COUNT_];
};

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
    int64_t rows_max;   /* of a partition */
    int64_t disk_bytes; /* the disk has room for so much; 0: not known */
    int64_t max_bytes;  /* the smaller one of that and max_size */
    int64_t pages_max;
    int64_t wal_pages;    /* of the -wal, after the last commit */
    int64_t commit_pages; /* written by the last commit */
    int checkpoint_pages;
    int64_t retention_us;
    struct davy_readings_loss losses[DAVY_READINGS_KIND_COUNT_];     /* as committed */
    struct davy_readings_loss losses_now[DAVY_READINGS_KIND_COUNT_]; /* with those of the running transaction */
    struct readings_rollup rollup;
    bool renewed;                     /* begun anew, and no davy_readings_begin() has said so yet */
    struct readings_outbox committed; /* last_row never falls, whatever file is open */
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

/* One that was begun by a clock that ran ahead ends as if it was begun now. */
void davy_partitions_bring_back(struct davy_readings *readings, davy_wall now);

/* The statements are of another partition. */
void davy_partitions_forget(struct davy_readings *readings);

/* rows.c, in a transaction: insert this one, now or with those that follow; insert all that wait. */
int davy_rows_add(struct davy_readings *readings, const struct readings_row *row) DAVY_MUST_CHECK;
int davy_rows_flush(struct davy_readings *readings) DAVY_MUST_CHECK;

/* In a transaction, before its commit: store the times of the last partition. */
int davy_partitions_store(struct davy_readings *readings) DAVY_MUST_CHECK;

/* In a transaction, where there is one: the oldest partition goes, or its oldest rows; what is in it is rolled up. */
int davy_partitions_drop(struct davy_readings *readings, struct davy_readings_loss *ret_gone) DAVY_MUST_CHECK;
int davy_partitions_shorten(struct davy_readings *readings, struct davy_readings_loss *ret_gone) DAVY_MUST_CHECK;

/* readings.c: commit, and nothing else: davy_readings_commit() also makes room. */
int davy_readings_finish(struct davy_readings *readings) DAVY_MUST_CHECK;

/* room.c: take retention and max_size, and set the bounds of the file that is open. */
int davy_room_limit(struct davy_readings *readings, const struct davy_storage *storage) DAVY_MUST_CHECK;

/* Outside a transaction. -EBUSY: a reader holds the -wal, which may not grow any more. */
int davy_room_wal(struct davy_readings *readings) DAVY_MUST_CHECK;

/* A transaction has begun: what it writes is counted from here on. */
void davy_room_begun(struct davy_readings *readings);

/* Outside a transaction: where the next commits might not fit, the oldest readings go. */
void davy_room_make(struct davy_readings *readings);

/* What is lost and not told: read at open; added to; as committed again; written; committed. */
int davy_room_load(struct davy_readings *readings) DAVY_MUST_CHECK;
void davy_room_lose(struct davy_readings *readings, enum davy_readings_kind kind,
                    const struct davy_readings_loss *loss);
void davy_room_forget(struct davy_readings *readings);
int davy_room_store(struct davy_readings *readings) DAVY_MUST_CHECK;
void davy_room_stored(struct davy_readings *readings);

/* rollup.c: room for all points of the file, with their intervals. */
int davy_rollup_load_points(struct davy_readings *readings) DAVY_MUST_CHECK;

/* Ages and numbers of rows that are kept: of minutes ten times `retention` and a quarter of max_size, of hours
 * event_retention and an eighth. */
void davy_rollup_limit(struct davy_readings *readings, const struct davy_storage *storage);

/* What waits is forgotten, to be read again from the file: after a rollback. */
void davy_rollup_forget(struct davy_readings *readings);
void davy_rollup_done(struct davy_readings *readings);

/* In a transaction, before the first append: take what the file has beyond the roll-ups. */
int davy_rollup_catch_up(struct davy_readings *readings) DAVY_MUST_CHECK;

/* In a transaction: take one reading, the last one of the last partition. A new minute writes the one before. */
int davy_rollup_add(struct davy_readings *readings, const struct readings_row *row,
                    enum davy_quality quality) DAVY_MUST_CHECK;

/* In a transaction: write what waits. May be done at any time: rows of a step are merged. */
int davy_rollup_flush(struct davy_readings *readings) DAVY_MUST_CHECK;

/* The oldest rows of a level go where they are too old or too many. 0, 1 there is something to do, or an error. */
int davy_rollup_excess(struct davy_readings *readings, enum rollup_level level, davy_wall now) DAVY_MUST_CHECK;

/* In a transaction: delete some thousand of them. */
int davy_rollup_trim(struct davy_readings *readings, enum rollup_level level, davy_wall now) DAVY_MUST_CHECK;

/* telemetry.c: read or store the totals of the outbox. */
int davy_telemetry_load(struct davy_readings *readings) DAVY_MUST_CHECK;
int davy_telemetry_store(struct davy_readings *readings) DAVY_MUST_CHECK;
