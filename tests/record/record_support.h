/* SPDX-License-Identifier: Apache-2.0 */
/* A folder of its own for each test, small events, and a second look at a database through its own connection. */
#pragma once

#undef NDEBUG
#include <assert.h>
#include <ftw.h>
#include <math.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/num.h"
#include "record/ledger.h"
#include "support/seed.h"

#define T0 INT64_C(1790000000000000000)

struct folder {
    char path[64];
    char file[128];
};

static inline void folder_new_in(struct folder *folder, const char *base)
{
    snprintf(folder->path, sizeof(folder->path), "%s/davy-record-XXXXXX", base);
    assert_non_null(mkdtemp(folder->path));
}

static inline void folder_new(struct folder *folder)
{
    folder_new_in(folder, "/tmp");
}

static inline int folder_remove_one(const char *path, const struct stat *found, int type, struct FTW *walk)
{
    (void)found;
    (void)type;
    (void)walk;
    return remove(path);
}

static inline void folder_done(struct folder *folder)
{
    nftw(folder->path, folder_remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static inline const char *folder_file(struct folder *folder, const char *name)
{
    snprintf(folder->file, sizeof(folder->file), "%s/%s", folder->path, name);
    return folder->file;
}

/* Second from which a test looks back at all that it wrote. */
#define LONG_AFTER INT64_C(1000000)

static inline davy_wall wall_s(int64_t seconds)
{
    return (davy_wall){T0 + seconds * DAVY_NS_PER_S};
}

/* The first column of the first row as text, by a connection of its own; "" for none. */
static inline void look(const char *file, const char *sql, char *text, size_t size)
{
    sqlite3 *handle = NULL;
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_open_v2(file, &handle, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    sqlite3_db_config(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    if (sqlite3_prepare_v2(handle, sql, -1, &statement, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(handle));
    text[0] = '\0';
    int result = sqlite3_step(statement);
    if (result == SQLITE_ROW && sqlite3_column_text(statement, 0))
        snprintf(text, size, "%s", (const char *)sqlite3_column_text(statement, 0));
    else if (result != SQLITE_ROW && result != SQLITE_DONE)
        fail_msg("%s: %s", sql, sqlite3_errmsg(handle));
    sqlite3_finalize(statement);
    sqlite3_close(handle);
}

static inline int64_t look_number(const char *file, const char *sql)
{
    char text[64];
    look(file, sql, text, sizeof(text));
    return strtoll(text, NULL, 10);
}

struct sample_event {
    struct davy_ledger_event event;
    char payload[512];
    char topic[64];
    char alarm[64];
};

/* Event `seq` of alarm number `alarm`. */
static inline const struct davy_ledger_event *sample(struct sample_event *s, int64_t seq, int alarm, const char *state)
{
    snprintf(s->payload, sizeof(s->payload),
             "{\"schema\":\"davy.alarm/1\",\"seq\":%lld,\"state\":\"%s\",\"name\":\"罐区一 %d\"}", (long long)seq,
             state, alarm);
    snprintf(s->topic, sizeof(s->topic), "davy/v1/s/g/alarm/A1/GT-%d/h2s/h2s", alarm);
    snprintf(s->alarm, sizeof(s->alarm), "h2s:GT-%d.h2s", alarm);
    s->event = (struct davy_ledger_event){
        .seq = seq,
        .time = wall_s(seq),
        .id = "0192f3c1-7b1e-7c44-9d0a-3f6f1f0a2b11",
        .event = strcmp(state, "normal") == 0 ? "cleared" : "raised",
        .state = state,
        .level = "red",
        .rule = "h2s",
        .zone = "A1",
        .device = "GT-101",
        .point = "h2s",
        .value = 15.2,
        .limit = NAN,
        .payload = s->payload,
        .topic = s->topic,
        .alarm = s->alarm,
        .clear = strcmp(state, "normal") == 0,
    };
    return &s->event;
}

/* One event in a transaction of its own. */
static inline void store(struct davy_ledger *ledger, int alarm, const char *state)
{
    struct sample_event s;
    assert_int_equal(davy_ledger_begin(ledger), 0);
    assert_int_equal(davy_ledger_append(ledger, sample(&s, davy_ledger_last_seq(ledger) + 1, alarm, state)), 0);
    assert_int_equal(davy_ledger_commit(ledger), 0);
}
