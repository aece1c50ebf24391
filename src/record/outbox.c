/* SPDX-License-Identifier: Apache-2.0 */
/* The outbox of events: rows in line, and rows that a refusal took out of it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ledger_internal.h"
#include "record/delivery.h"

/* A refused row is tried again after 60 s, doubling to 10 min. */
#define PARK_FIRST_US INT64_C(60000000)
#define PARK_MOST_US  INT64_C(600000000)

static int64_t park_us(int64_t attempts)
{
    int64_t us = PARK_FIRST_US;
    for (int64_t i = 0; i < attempts && us < PARK_MOST_US; i++)
        us *= 2;
    return us < PARK_MOST_US ? us : PARK_MOST_US;
}

static int keep_text(struct davy_ledger *ledger, const char *topic, const char *payload)
{
    size_t topic_size = strlen(topic) + 1;
    size_t payload_size = strlen(payload) + 1;
    if (topic_size + payload_size > ledger->text_size) {
        char *text = realloc(ledger->text, topic_size + payload_size);
        if (!text)
            return -ENOMEM;
        ledger->text = text;
        ledger->text_size = topic_size + payload_size;
    }
    memcpy(ledger->text, topic, topic_size);
    memcpy(ledger->text + topic_size, payload, payload_size);
    return 0;
}

/* Copies: a statement that stays open would keep the -wal from being reset. */
static int take_row(struct davy_ledger *ledger, sqlite3_stmt *statement, struct davy_outbox_row *ret_row)
{
    int64_t row = sqlite3_column_int64(statement, 0);
    const char *topic = (const char *)sqlite3_column_text(statement, 1);
    const char *payload = row % 2 ? "" : (const char *)sqlite3_column_text(statement, 2);
    int r = topic && payload ? keep_text(ledger, topic, payload) : -ENOMEM;
    if (r < 0)
        return r;
    *ret_row = (struct davy_outbox_row){
        .row = row,
        .seq = davy_outbox_seq(row),
        .topic = ledger->text,
        .payload = ledger->text + strlen(ledger->text) + 1,
        .newer = sqlite3_column_int(statement, 3) != 0,
        .parked = sqlite3_column_int(statement, 4) != 0,
    };
    return 0;
}

int davy_outbox_step(struct davy_ledger *ledger, sqlite3_stmt *statement, struct davy_outbox_row *ret_row)
{
    int r = davy_db_step(&ledger->db, statement);
    if (r != 0)
        return r == DAVY_DB_DONE ? DAVY_OUTBOX_EMPTY : r;
    r = take_row(ledger, statement, ret_row);
    sqlite3_reset(statement);
    return r;
}

static int find_row(struct davy_ledger *ledger, enum ledger_statement which, int64_t after, davy_mono now,
                    struct davy_outbox_row *ret_row)
{
    if (!ledger->db.handle)
        return -EIO;
    sqlite3_stmt *statement = davy_db_use(&ledger->db, which);
    int r = which == LEDGER_OUTBOX_DUE ? davy_db_bind(statement, "ii", after, now.ns / DAVY_NS_PER_US)
                                       : davy_db_bind(statement, "i", after);
    return r == 0 ? davy_outbox_step(ledger, statement, ret_row) : r;
}

int davy_ledger_outbox_next(struct davy_ledger *ledger, int64_t after, struct davy_outbox_row *ret_row)
{
    return find_row(ledger, LEDGER_OUTBOX_NEXT, after, (davy_mono){0}, ret_row);
}

int davy_ledger_outbox_due(struct davy_ledger *ledger, int64_t after, davy_mono now, struct davy_outbox_row *ret_row)
{
    return find_row(ledger, LEDGER_OUTBOX_DUE, after, now, ret_row);
}

int davy_ledger_event_next(struct davy_ledger *ledger, int64_t after, struct davy_outbox_row *ret_row)
{
    return find_row(ledger, LEDGER_EVENT_NEXT, after, (davy_mono){0}, ret_row);
}

static int find_standing(struct davy_ledger *ledger, enum ledger_statement which, int64_t after,
                         struct davy_standing_row *ret_row)
{
    if (!ledger->db.handle)
        return -EIO;
    sqlite3_stmt *statement = davy_db_use(&ledger->db, which);
    int r = davy_db_bind(statement, "i", after);
    if (r == 0)
        r = davy_db_step(&ledger->db, statement);
    if (r != 0)
        return r == DAVY_DB_DONE ? DAVY_OUTBOX_EMPTY : r;
    const char *name = (const char *)sqlite3_column_text(statement, 1);
    const char *payload = (const char *)sqlite3_column_text(statement, 2);
    r = name && payload ? keep_text(ledger, name, payload) : -ENOMEM;
    if (r == 0)
        *ret_row = (struct davy_standing_row){
            .at = sqlite3_column_int64(statement, 0),
            .name = ledger->text,
            .payload = ledger->text + strlen(ledger->text) + 1,
            .held = sqlite3_column_int(statement, 3) != 0,
        };
    sqlite3_reset(statement);
    return r;
}

int davy_ledger_standing_next(struct davy_ledger *ledger, int64_t after, struct davy_standing_row *ret_row)
{
    return find_standing(ledger, LEDGER_LATEST_NEXT, after, ret_row);
}

int davy_ledger_ended_next(struct davy_ledger *ledger, int64_t after, struct davy_standing_row *ret_row)
{
    return find_standing(ledger, LEDGER_ENDED_NEXT, after, ret_row);
}

int davy_ledger_outbox_done(struct davy_ledger *ledger, int64_t row, davy_wall at)
{
    if (!davy_db_in_transaction(&ledger->db))
        return -EINVAL;
    int r = davy_db_do(&ledger->db, LEDGER_OUTBOX_DELETE, "i", row);
    if (r == 0 && sqlite3_changes(ledger->db.handle) == 0)
        return 0; /* acknowledged twice */
    ledger->now.outbox_count--;
    if (r == 0 && row % 2 == 0) {
        davy_delivery_acknowledged(ledger, davy_outbox_seq(row));
        r = davy_db_do(&ledger->db, LEDGER_EVENT_SENT, "ii", davy_outbox_seq(row), at.ns / DAVY_NS_PER_US);
    }
    return r < 0 ? davy_ledger_fail(ledger, r) : 0;
}

static int get_row(struct davy_ledger *ledger, int64_t row, int64_t *ret_topic, int64_t *ret_attempts)
{
    sqlite3_stmt *statement = davy_db_use(&ledger->db, LEDGER_OUTBOX_GET);
    int r = davy_db_bind(statement, "i", row);
    if (r == 0)
        r = davy_db_step(&ledger->db, statement);
    if (r != 0)
        return r;
    *ret_topic = sqlite3_column_int64(statement, 0);
    *ret_attempts = sqlite3_column_int64(statement, 1);
    sqlite3_reset(statement);
    return 0;
}

/* The later rows of its topic wait with it: events of one alarm arrive in order. */
int davy_ledger_outbox_refused(struct davy_ledger *ledger, int64_t row, uint8_t reason_code, davy_mono now)
{
    int64_t topic = 0;
    int64_t attempts = 0;
    if (!davy_db_in_transaction(&ledger->db))
        return -EINVAL;
    int r = get_row(ledger, row, &topic, &attempts);
    if (r == DAVY_DB_DONE)
        return 0; /* acknowledged meanwhile */
    int64_t until_us = now.ns / DAVY_NS_PER_US + park_us(attempts);
    if (r == 0)
        r = davy_db_do(&ledger->db, LEDGER_OUTBOX_REFUSE, "ii", row, (int64_t)reason_code);
    if (r == 0)
        r = davy_db_do(&ledger->db, LEDGER_OUTBOX_HOLD, "iii", row, topic, until_us);
    return r < 0 ? davy_ledger_fail(ledger, r) : 0;
}

int davy_ledger_outbox_unpark(struct davy_ledger *ledger)
{
    if (!davy_db_in_transaction(&ledger->db))
        return -EINVAL;
    int r = davy_db_do(&ledger->db, LEDGER_OUTBOX_UNPARK, "");
    return r < 0 ? davy_ledger_fail(ledger, r) : 0;
}

int64_t davy_ledger_outbox_count(const struct davy_ledger *ledger)
{
    return ledger->committed.outbox_count + ledger->committed.unconfirmed;
}

int davy_ledger_number(struct davy_ledger *ledger, sqlite3_stmt *statement, int64_t *ret)
{
    int r = davy_db_step(&ledger->db, statement);
    *ret = r == 0 ? sqlite3_column_int64(statement, 0) : 0;
    sqlite3_reset(statement);
    return r < 0 ? r : 0;
}

/* The oldest event that waits in the outbox, or for the platform. */
static int find_oldest(struct davy_ledger *ledger, int64_t *ret_us)
{
    const struct ledger_state *state = &ledger->committed;
    int64_t settled = state->unconfirmed > 0 ? davy_ledger_settled_seq(ledger) : INT64_MAX;
    sqlite3_stmt *statement = davy_db_use(&ledger->db, LEDGER_PENDING_OLDEST);
    int r = davy_db_bind(statement, "i", settled);
    return r == 0 ? davy_ledger_number(ledger, statement, ret_us) : r;
}

int davy_ledger_outbox_state(struct davy_ledger *ledger, struct davy_outbox_state *ret_state)
{
    int64_t parked, oldest_us;
    if (!ledger->db.handle)
        return -EIO;
    int r = davy_ledger_number(ledger, davy_db_use(&ledger->db, LEDGER_OUTBOX_PARKED), &parked);
    if (r == 0)
        r = find_oldest(ledger, &oldest_us);
    if (r == 0)
        *ret_state = (struct davy_outbox_state){.parked = parked, .oldest = {oldest_us * DAVY_NS_PER_US}};
    return r;
}
