/* SPDX-License-Identifier: Apache-2.0 */
/*
 * readings.db: readings in time order and the outbox of telemetry (ARCHITECTURE.md, Storage). WAL, one transaction per
 * commit_interval. Loss-tolerant and capped: never in the way of an alarm. One writer: the record stage's thread.
 * Errors as in record/ledger.h.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/clock.h"
#include "model/config.h"
#include "model/reading.h"
#include "record/ledger.h"

struct davy_readings;

/*
 * Open or create DIRECTORY/readings.db; a corrupt one is set aside (readings.db.corrupt-TIME), and one set aside before
 * is deleted.
 */
int davy_readings_open(const char *directory, davy_wall now, bool *ret_set_aside,
                       struct davy_readings **ret_readings) DAVY_MUST_CHECK;

/* Checkpoint and close. Accepts NULL, returns NULL. */
struct davy_readings *davy_readings_close(struct davy_readings *readings);

/* Close the file: the next davy_readings_begin() opens it again. What is open in a transaction is rolled back. */
void davy_readings_let_go(struct davy_readings *readings);

/*
 * Names and limits from now on: points are added to the table of points, retention and max_size are taken.
 * Not in a transaction. config must outlive the next call of this. Points keep their number in the file for ever.
 * Opens the file anew where that is due; that a new one was begun is what the next davy_readings_begin() says.
 * returns 0 or a negative errno: the configuration before is in effect, or the file is closed
 */
int davy_readings_configure(struct davy_readings *readings, const struct davy_config *config) DAVY_MUST_CHECK;

/* Outcome of davy_readings_begin(): it has begun, in a new file, since the old one was found damaged or taken away. */
#define DAVY_READINGS_RENEWED 1

/*
 * 0, DAVY_READINGS_RENEWED or an error; -EBUSY: another process holds the -wal, which has its part of max_size. Opens
 * the file anew where the last error was of the disk.
 */
int davy_readings_begin(struct davy_readings *readings) DAVY_MUST_CHECK;
int davy_readings_commit(struct davy_readings *readings) DAVY_MUST_CHECK;
void davy_readings_rollback(struct davy_readings *readings);

/*
 * In a transaction. With it go the roll-ups: of each point and minute, and hour, how many readings, mean, least,
 * greatest, coverage, worst quality (views readings_1min and readings_1h), which outlive the readings.
 * In order of arrival; `point` is an index of the configuration given last. An error may be of one before.
 */
int davy_readings_append(struct davy_readings *readings, const struct davy_reading *reading) DAVY_MUST_CHECK;

/*
 * Whether the open transaction has written so much that it should be committed now, before its time: a larger one would
 * need more of max_size than is the -wal's. To be asked every few hundred readings.
 */
bool davy_readings_large(const struct davy_readings *readings);

/*
 * In a transaction: one telemetry message into its outbox; past the bound (100,000 messages, a quarter of max_size) the
 * oldest go, counted.
 */
int davy_readings_outbox_add(struct davy_readings *readings, const char *topic, const char *payload) DAVY_MUST_CHECK;

/*
 * The oldest undelivered row above `after`. For "the newest first, then the backlog": note davy_readings_outbox_last()
 * at the connect, hand over what is above it as it comes, and, with a second cursor from 0, what is not above it. 0,
 * DAVY_OUTBOX_EMPTY or an error; text lives until the next call.
 */
int davy_readings_outbox_next(struct davy_readings *readings, int64_t after,
                              struct davy_outbox_row *ret_row) DAVY_MUST_CHECK;

/* The row added last that is committed; 0 for none. Rows ascend until davy_readings_close(), also over a new file. */
int64_t davy_readings_outbox_last(const struct davy_readings *readings);

/* In a transaction. A row that is no longer there is no error: it may have been dropped meanwhile. */
int davy_readings_outbox_done(struct davy_readings *readings, int64_t row) DAVY_MUST_CHECK;

/* Rows that wait; rows that the bound has dropped. */
int64_t davy_readings_outbox_count(const struct davy_readings *readings);

/* Dropped for the bound, in all the life of the file. */
uint64_t davy_readings_outbox_dropped(const struct davy_readings *readings);

enum davy_readings_kind { DAVY_READINGS_RAW, DAVY_READINGS_TELEMETRY, DAVY_READINGS_KIND_COUNT_ };

/* What the bound of the size took: readings younger than `retention`, telemetry that was not delivered. */
struct davy_readings_loss {
    uint64_t count;
    davy_wall from; /* of readings the times of the first and the last one; of telemetry 0, not known */
    davy_wall to;
};

/* The loss that is committed and was not told yet. Lives until the next call. Outlives a restart. */
const struct davy_readings_loss *davy_readings_loss(const struct davy_readings *readings, enum davy_readings_kind kind);

/*
 * In a transaction: of it, so many are declared where that is kept for good. A kill between the two declares them
 * twice, never not at all.
 */
int davy_readings_told(struct davy_readings *readings, enum davy_readings_kind kind, uint64_t count) DAVY_MUST_CHECK;

/*
 * Outside a transaction: make room by age and size, whole partitions first, of roll-ups the oldest rows. Bounded work a
 * call. To be called every 10 s and after -ENOSPC; where max_size is near, each commit makes room by itself.
 * returns   0, 1 when there is more to do, or an error
 */
int davy_readings_prune(struct davy_readings *readings, davy_wall now) DAVY_MUST_CHECK;

/*
 * Outside a transaction: the disk has room for `bytes` (more than 0) of the file and its -wal, whatever max_size says.
 * The file does not shrink: the oldest go, and what they took is used again. 0 or a negative errno.
 */
int davy_readings_room(struct davy_readings *readings, int64_t bytes) DAVY_MUST_CHECK;

struct davy_disk_usage {
    int64_t bytes;          /* of the database files of both stores */
    int64_t readings_bytes; /* of readings.db and its -wal */
    int64_t free_bytes;     /* of the file system, for us */
    int64_t total_bytes;    /* of the file system */
};

/* Measure the state directory. 0 or a negative errno. */
int davy_storage_measure(const char *directory, struct davy_disk_usage *ret_usage) DAVY_MUST_CHECK;
