/* SPDX-License-Identifier: Apache-2.0 */
/* The outbox of telemetry: bounded by number and size, the oldest goes first. Its totals are kept, never counted. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "readings_internal.h"

#define COUNT_MAX INT64_C(100000)

/* What a row takes besides its text, about. */
#define ROW_OVERHEAD INT64_C(32)

int davy_telemetry_load(struct davy_readings *readings)
{
    struct readings_outbox totals = {.count = 0};
    sqlite3_stmt *statement = davy_db_use(&readings->db, READINGS_OUTBOX_TOTAL);
    int r = davy_db_step(&readings->db, statement);
    if (r != 0)
        return r < 0 ? r : -EUCLEAN;
    totals.count = sqlite3_column_int64(statement, 0);
    totals.bytes = sqlite3_column_int64(statement, 1);
    totals.dropped = sqlite3_column_int64(statement, 2);
    sqlite3_reset(statement);
    statement = davy_db_use(&readings->db, READINGS_OUTBOX_LAST);
    r = davy_db_step(&readings->db, statement);
    if (r != 0)
        return r < 0 ? r : -EUCLEAN;
    totals.last_row = sqlite3_column_int64(statement, 0);
    sqlite3_reset(statement);
    if (totals.last_row < readings->committed.last_row) /* rows that are gone may be with the publisher */
        totals.last_row = readings->committed.last_row;
    readings->committed = readings->now = totals;
    return 0;
}

int davy_telemetry_store(struct davy_readings *readings)
{
    const struct readings_outbox *now = &readings->now;
    const struct readings_outbox *before = &readings->committed;
    if (now->count == before->count && now->bytes == before->bytes && now->dropped == before->dropped)
        return 0;
    return davy_db_do(&readings->db, READINGS_OUTBOX_TOTAL_SET, "iii", now->count, now->bytes, now->dropped);
}

/* Row and size as `which` finds them. 0, DAVY_OUTBOX_EMPTY or an error. */
static int find_size(struct davy_readings *readings, enum readings_statement which, int64_t row, int64_t *ret_row,
                     int64_t *ret_bytes)
{
    sqlite3_stmt *statement = davy_db_use(&readings->db, which);
    int r = which == READINGS_OUTBOX_SIZE ? davy_db_bind(statement, "i", row) : 0;
    if (r == 0)
        r = davy_db_step(&readings->db, statement);
    if (r != 0)
        return r == DAVY_DB_DONE ? DAVY_OUTBOX_EMPTY : r;
    *ret_row = sqlite3_column_int64(statement, 0);
    *ret_bytes = sqlite3_column_int64(statement, 1);
    sqlite3_reset(statement);
    return 0;
}

static int delete_row(struct davy_readings *readings, int64_t row, int64_t bytes)
{
    readings->now.count--;
    readings->now.bytes -= bytes;
    return davy_db_do(&readings->db, READINGS_OUTBOX_DELETE, "i", row);
}

static bool too_many(const struct davy_readings *readings, int64_t more)
{
    int64_t bytes_max = readings->max_bytes > 0 ? readings->max_bytes / 4 : INT64_MAX;
    return readings->now.count >= COUNT_MAX || readings->now.bytes > bytes_max - more;
}

static int make_room(struct davy_readings *readings, int64_t more)
{
    while (readings->now.count > 0 && too_many(readings, more)) {
        int64_t row = 0;
        int64_t bytes = 0;
        int r = find_size(readings, READINGS_OUTBOX_OLDEST, 0, &row, &bytes);
        if (r != 0)
            return r < 0 ? r : 0;
        r = delete_row(readings, row, bytes);
        if (r < 0)
            return r;
        readings->now.dropped++;
        davy_room_lose(readings, DAVY_READINGS_TELEMETRY, &(struct davy_readings_loss){.count = 1});
    }
    return 0;
}

int davy_readings_outbox_add(struct davy_readings *readings, const char *topic, const char *payload)
{
    if (!davy_db_in_transaction(&readings->db))
        return -EINVAL;
    int64_t bytes = (int64_t)(strlen(topic) + strlen(payload)) + ROW_OVERHEAD;
    int r = make_room(readings, bytes);
    if (r == 0)
        r = davy_db_do(&readings->db, READINGS_OUTBOX_ADD, "iitt", readings->now.last_row + 1, bytes, topic, payload);
    if (r < 0)
        return davy_readings_fail(readings, r);
    readings->now.last_row++;
    readings->now.count++;
    readings->now.bytes += bytes;
    return 0;
}

static int keep_text(struct davy_readings *readings, const char *topic, const char *payload)
{
    size_t topic_size = strlen(topic) + 1;
    size_t payload_size = strlen(payload) + 1;
    if (topic_size + payload_size > readings->text_size) {
        char *text = realloc(readings->text, topic_size + payload_size);
        if (!text)
            return -ENOMEM;
        readings->text = text;
        readings->text_size = topic_size + payload_size;
    }
    memcpy(readings->text, topic, topic_size);
    memcpy(readings->text + topic_size, payload, payload_size);
    return 0;
}

int davy_readings_outbox_next(struct davy_readings *readings, int64_t after, struct davy_outbox_row *ret_row)
{
    if (!readings->db.handle)
        return -EIO;
    sqlite3_stmt *statement = davy_db_use(&readings->db, READINGS_OUTBOX_NEXT);
    int r = davy_db_bind(statement, "i", after);
    if (r == 0)
        r = davy_db_step(&readings->db, statement);
    if (r != 0)
        return r == DAVY_DB_DONE ? DAVY_OUTBOX_EMPTY : r;
    const char *topic = (const char *)sqlite3_column_text(statement, 1);
    const char *payload = (const char *)sqlite3_column_text(statement, 2);
    r = topic && payload ? keep_text(readings, topic, payload) : -ENOMEM;
    if (r == 0)
        *ret_row = (struct davy_outbox_row){.row = sqlite3_column_int64(statement, 0),
                                            .topic = readings->text,
                                            .payload = readings->text + strlen(readings->text) + 1};
    sqlite3_reset(statement);
    return r;
}

int davy_readings_outbox_done(struct davy_readings *readings, int64_t row)
{
    if (!davy_db_in_transaction(&readings->db))
        return -EINVAL;
    int64_t bytes = 0;
    int r = find_size(readings, READINGS_OUTBOX_SIZE, row, &row, &bytes);
    if (r == DAVY_OUTBOX_EMPTY)
        return 0; /* dropped, or acknowledged twice */
    if (r == 0)
        r = delete_row(readings, row, bytes);
    return r < 0 ? davy_readings_fail(readings, r) : 0;
}

int64_t davy_readings_outbox_last(const struct davy_readings *readings)
{
    return readings->committed.last_row;
}

int64_t davy_readings_outbox_count(const struct davy_readings *readings)
{
    return readings->committed.count;
}

uint64_t davy_readings_outbox_dropped(const struct davy_readings *readings)
{
    return (uint64_t)readings->committed.dropped;
}
