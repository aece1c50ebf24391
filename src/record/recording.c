/* SPDX-License-Identifier: Apache-2.0 */
#include "record/recording.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/config.h"
#include "reader.h"

/* Rows a page: some ms of one read transaction. */
#define PAGE 8192

/* Ids and codes are given from 1 up; what lies beyond is of no use to anybody. */
#define POINTS_MAX (INT64_C(1) << 20)
#define CODES_MAX  256

struct code {
    enum davy_quality quality;
    enum davy_reason reason;
};

struct davy_recording {
    struct reader reader;
    struct davy_recording_options options;
    int64_t since_us;
    int64_t until_us;
    uint32_t *numbers; /* by id of the point */
    int64_t number_count;
    struct code codes[CODES_MAX];
    sqlite3_stmt *statement; /* of the partition; NULL between two */
    int64_t partition;
    int64_t rowid; /* last one read */
    bool last_page;
    size_t page_count;
    size_t page_next;
    struct davy_reading page[PAGE];
};

static int number_point(struct davy_recording *recording, int64_t id, const char *name)
{
    if (id < 0 || id >= POINTS_MAX || !name)
        return 0;
    if (id >= recording->number_count) {
        int64_t count = 2 * id + 64;
        uint32_t *numbers = reallocarray(recording->numbers, (size_t)count, sizeof(*numbers));
        if (!numbers)
            return davy_reader_fail(&recording->reader, -ENOMEM, strerror(ENOMEM));
        memset(numbers + recording->number_count, 0xff, (size_t)(count - recording->number_count) * sizeof(*numbers));
        recording->numbers = numbers;
        recording->number_count = count;
    }
    recording->numbers[id] = recording->options.number(recording->options.context, name);
    return 0;
}

static int load_points(struct davy_recording *recording)
{
    sqlite3_stmt *statement = NULL;
    int r = davy_reader_prepare(&recording->reader, "SELECT id, name FROM point ORDER BY id", &statement);
    while (r == 0) {
        r = davy_reader_step(&recording->reader, statement);
        if (r == 0)
            r = number_point(recording, sqlite3_column_int64(statement, 0),
                             (const char *)sqlite3_column_text(statement, 1));
    }
    sqlite3_finalize(statement);
    return r < 0 ? r : 0;
}

static struct code code_of(const char *quality, const char *reason)
{
    const int q = quality ? davy_quality_find(quality) : -EINVAL;
    const int r = reason ? davy_reason_find(reason) : DAVY_REASON_NONE;
    if (q < 0 || r < 0)
        return (struct code){DAVY_QUALITY_BAD, DAVY_REASON_DEVICE_FAULT}; /* of a later version: not to be trusted */
    return (struct code){(enum davy_quality)q, (enum davy_reason)r};
}

static int load_codes(struct davy_recording *recording)
{
    sqlite3_stmt *statement = NULL;
    for (size_t i = 0; i < CODES_MAX; i++)
        recording->codes[i] = code_of(NULL, NULL);
    int r = davy_reader_prepare(&recording->reader, "SELECT code, quality, reason FROM quality", &statement);
    while (r == 0) {
        r = davy_reader_step(&recording->reader, statement);
        int64_t code = r == 0 ? sqlite3_column_int64(statement, 0) : -1;
        if (code >= 0 && code < CODES_MAX)
            recording->codes[code] = code_of((const char *)sqlite3_column_text(statement, 1),
                                             (const char *)sqlite3_column_text(statement, 2));
    }
    sqlite3_finalize(statement);
    return r < 0 ? r : 0;
}

int davy_recording_open(const struct davy_recording_options *options, char *error, size_t error_size,
                        struct davy_recording **ret_recording)
{
    struct davy_recording *recording = calloc(1, sizeof(*recording));
    if (!recording) {
        snprintf(error, error_size, "%s", strerror(ENOMEM));
        return -ENOMEM;
    }
    recording->options = *options;
    recording->since_us = options->since.ns != 0 ? options->since.ns / DAVY_NS_PER_US : INT64_MIN;
    recording->until_us = options->until.ns != 0 ? options->until.ns / DAVY_NS_PER_US : INT64_MAX;
    int r = davy_reader_open(&recording->reader, options->file, &davy_readings_schema, error, error_size);
    if (r < 0) {
        free(recording);
        return r;
    }
    r = load_points(recording);
    if (r == 0)
        r = load_codes(recording);
    if (r < 0) {
        davy_recording_close(recording);
        return r;
    }
    *ret_recording = recording;
    return 0;
}

struct davy_recording *davy_recording_close(struct davy_recording *recording)
{
    if (!recording)
        return NULL;
    sqlite3_finalize(recording->statement);
    davy_reader_close(&recording->reader);
    free(recording->numbers);
    free(recording);
    return NULL;
}

/* The id of the next partition that may have readings of the time asked for; the newest grows meanwhile. 0: none. */
static int find_partition(struct davy_recording *recording, int64_t *ret_id)
{
    sqlite3_stmt *statement = NULL;
    int r = davy_reader_prepare(&recording->reader,
                                "SELECT min(id) FROM partition WHERE id > ?1 AND"
                                " (last_us >= ?2 OR id = (SELECT max(id) FROM partition)) AND first_us < ?3",
                                &statement);
    if (r == 0)
        r = davy_db_bind(statement, "iii", recording->partition, recording->since_us, recording->until_us);
    if (r == 0)
        r = davy_reader_step(&recording->reader, statement);
    *ret_id = r == 0 ? sqlite3_column_int64(statement, 0) : 0;
    sqlite3_finalize(statement);
    return r < 0 ? r : 0;
}

static bool is_there(struct davy_recording *recording, int64_t id)
{
    char sql[80];
    int64_t found = 0;
    snprintf(sql, sizeof(sql), "SELECT count(*) FROM partition WHERE id = %lld", (long long)id);
    return davy_db_number(&recording->reader.db, sql, &found) == 0 && found > 0;
}

/* The statement of the next partition. 0, DAVY_RECORDING_END or an error. One that is pruned meanwhile is left out. */
static int open_partition(struct davy_recording *recording)
{
    for (;;) {
        char sql[160];
        int64_t id = 0;
        int r = find_partition(recording, &id);
        if (r < 0 || id == 0)
            return r < 0 ? r : DAVY_RECORDING_END;
        recording->partition = id;
        recording->rowid = INT64_MIN;
        recording->last_page = false;
        snprintf(
            sql, sizeof(sql),
            "SELECT rowid, time_us, point, value, quality FROM reading_%lld WHERE rowid > ?1 ORDER BY rowid LIMIT ?2",
            (long long)id);
        r = davy_reader_prepare(&recording->reader, sql, &recording->statement);
        if (r == 0 || is_there(recording, id))
            return r;
    }
}

/* Saturating: the file may say anything. */
static davy_wall wall_of(int64_t us)
{
    int64_t ns;
    if (__builtin_mul_overflow(us, DAVY_NS_PER_US, &ns))
        ns = us > 0 ? INT64_MAX : INT64_MIN;
    return (davy_wall){ns};
}

static void take_row(struct davy_recording *recording)
{
    sqlite3_stmt *statement = recording->statement;
    recording->rowid = sqlite3_column_int64(statement, 0);
    const int64_t time_us = sqlite3_column_int64(statement, 1);
    if (time_us < recording->since_us || time_us >= recording->until_us)
        return;
    const int64_t point = sqlite3_column_int64(statement, 2), code = sqlite3_column_int64(statement, 4);
    const struct code *meaning = &recording->codes[code >= 0 && code < CODES_MAX ? code : 0];
    const bool has_value = sqlite3_column_type(statement, 3) != SQLITE_NULL;
    recording->page[recording->page_count++] = (struct davy_reading){
        .point = point >= 0 && point < recording->number_count ? recording->numbers[point] : DAVY_NONE,
        .quality = meaning->quality,
        .reason = meaning->reason,
        .has_value = has_value,
        .value = has_value ? sqlite3_column_double(statement, 3) : 0,
        .at = {.wall = wall_of(time_us)},
    };
}

/* Fill the page: it may be empty where no row is of the time asked for. */
static int read_page(struct davy_recording *recording)
{
    int64_t rows = 0;
    recording->page_next = recording->page_count = 0;
    int r = davy_db_bind(recording->statement, "ii", recording->rowid, (int64_t)PAGE);
    while (r == 0) {
        r = davy_reader_step(&recording->reader, recording->statement);
        if (r == 0) {
            take_row(recording);
            rows++;
        }
    }
    recording->last_page = rows < PAGE;
    sqlite3_reset(recording->statement);
    return r < 0 ? r : 0;
}

/* More rows, or the next partition. */
static int go_on(struct davy_recording *recording)
{
    if (recording->statement && recording->last_page) {
        sqlite3_finalize(recording->statement);
        recording->statement = NULL;
    }
    int r = recording->statement ? 0 : open_partition(recording);
    if (r == 0)
        r = read_page(recording);
    if (r >= 0 || !recording->statement || is_there(recording, recording->partition))
        return r;
    recording->last_page = true; /* pruned under our feet */
    return 0;
}

int davy_recording_next(struct davy_recording *recording, struct davy_reading *ret_reading)
{
    while (recording->page_next == recording->page_count) {
        int r = go_on(recording);
        if (r != 0)
            return r;
    }
    *ret_reading = recording->page[recording->page_next++];
    return 0;
}

static int read_extent(struct reader *reader, davy_wall *ret_first, davy_wall *ret_last)
{
    sqlite3_stmt *statement = NULL;
    int r = davy_reader_prepare(reader, "SELECT min(first_us), max(last_us) FROM partition", &statement);
    if (r == 0)
        r = davy_reader_step(reader, statement);
    const bool any = r == 0 && sqlite3_column_type(statement, 0) != SQLITE_NULL;
    if (any) {
        *ret_first = wall_of(sqlite3_column_int64(statement, 0));
        *ret_last = wall_of(sqlite3_column_int64(statement, 1));
    }
    sqlite3_finalize(statement);
    return r < 0 ? r : any ? 0 : DAVY_RECORDING_END;
}

int davy_recording_extent(const char *file, davy_wall *ret_first, davy_wall *ret_last, char *error, size_t error_size)
{
    struct reader reader = READER_INIT;
    int r = davy_reader_open(&reader, file, &davy_readings_schema, error, error_size);
    if (r == 0)
        r = read_extent(&reader, ret_first, ret_last);
    davy_reader_close(&reader);
    return r;
}
