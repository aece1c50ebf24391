/* SPDX-License-Identifier: Apache-2.0 */
#include "record/ledger.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ledger_internal.h"

static int64_t micros(davy_wall t)
{
    return t.ns / DAVY_NS_PER_US;
}

/*
 * The last row of `table`, or where there is none the row that the strand starts after; further on where the noted end
 * is: no number is given twice because rows were taken away.
 */
static int load_chain(struct davy_ledger *ledger, const char *table, struct ledger_chain *ret)
{
    char sql[320];
    sqlite3_stmt *statement = NULL;
    snprintf(sql, sizeof(sql),
             "SELECT seq, hash FROM (SELECT * FROM (SELECT seq, hash FROM %s ORDER BY seq DESC LIMIT 1) UNION ALL"
             " SELECT seq, hash FROM chain WHERE name = '%s' UNION ALL SELECT seq, hash FROM head WHERE name = '%s')"
             " ORDER BY seq DESC LIMIT 1",
             table, table, table);
    int r = davy_db_result(&ledger->db, sqlite3_prepare_v2(ledger->db.handle, sql, -1, &statement, NULL));
    if (r < 0)
        return r;
    r = davy_db_step(&ledger->db, statement);
    bool usable = r == 0 && sqlite3_column_bytes(statement, 1) == DAVY_HASH_SIZE;
    if (usable) {
        ret->seq = sqlite3_column_int64(statement, 0);
        memcpy(ret->hash, sqlite3_column_blob(statement, 1), DAVY_HASH_SIZE);
    }
    sqlite3_finalize(statement);
    return r < 0 ? r : usable ? 0 : -EUCLEAN;
}

static int load_tally(struct davy_ledger *ledger, struct ledger_tally *ret)
{
    int r = davy_db_number(&ledger->db, "SELECT delivered FROM tally", &ret->delivered);
    if (r == 0)
        r = davy_db_number(&ledger->db, "SELECT unsent FROM tally", &ret->unsent);
    return r == 0 ? davy_db_number(&ledger->db, "SELECT lost FROM tally", &ret->lost) : r;
}

int davy_ledger_load(struct davy_ledger *ledger)
{
    struct ledger_state state = {.outbox_count = 0};
    int r = load_chain(ledger, "event", &state.events);
    if (r == 0)
        r = load_chain(ledger, "action", &state.actions);
    if (r == 0)
        r = load_tally(ledger, &state.tally);
    if (r == 0)
        r = davy_db_number(&ledger->db, "SELECT count(*) FROM outbox", &state.outbox_count);
    if (r == 0)
        r = davy_delivery_load(ledger, &state);
    if (r == 0)
        r = davy_losses_load(ledger, &state);
    if (r == 0)
        ledger->committed = ledger->now = state;
    return r;
}

int davy_ledger_open_file(struct davy_ledger *ledger)
{
    int r = davy_db_open(&ledger->db, ledger->directory, &davy_ledger_schema);
    if (r == 0)
        r = davy_ledger_load(ledger);
    if (r < 0)
        davy_db_close(&ledger->db);
    return r;
}

int davy_ledger_put_end(struct davy_ledger *ledger, enum ledger_statement which, const char *name,
                        const struct ledger_chain *end)
{
    return davy_db_do(&ledger->db, which, "tih", name, end->seq, end->hash);
}

int davy_ledger_put_heads(struct davy_ledger *ledger)
{
    int r = 0;
    if (ledger->now.events.seq != ledger->committed.events.seq)
        r = davy_ledger_put_end(ledger, LEDGER_HEAD_SET, "event", &ledger->now.events);
    if (r == 0 && ledger->now.actions.seq != ledger->committed.actions.seq)
        r = davy_ledger_put_end(ledger, LEDGER_HEAD_SET, "action", &ledger->now.actions);
    return r;
}

int davy_ledger_open(const char *directory, davy_wall now, bool *ret_set_aside, struct davy_ledger **ret_ledger)
{
    struct davy_ledger *ledger = calloc(1, sizeof(*ledger));
    if (!ledger)
        return -ENOMEM;
    int length = snprintf(ledger->directory, sizeof(ledger->directory), "%s", directory);
    ledger->opened = ledger->told.wall = now;
    ledger->mark = davy_mark_read(directory);
    int r = length < 0 || (size_t)length >= sizeof(ledger->directory) ? -ENAMETOOLONG : davy_ledger_open_file(ledger);
    bool set_aside = false;
    if (r == 0 || r == -EUCLEAN)
        r = davy_ledger_found(ledger, r == -EUCLEAN, &set_aside);
    if (r < 0) {
        davy_ledger_close(ledger);
        return r;
    }
    if (ret_set_aside)
        *ret_set_aside = set_aside;
    *ret_ledger = ledger;
    return 0;
}

const char *davy_ledger_reason(int error)
{
    switch (error) {
    case -EPROTONOSUPPORT:
        return "it is of a newer version of davy, or of another program; it is left as it is";
    case -ELOOP:
        return "it is a link";
    case -EINVAL:
        return "it is no regular file";
    default:
        return strerror(-error);
    }
}

/* An orderly end: from now on it is known exactly. */
static void end_mark(struct davy_ledger *ledger)
{
    const struct ledger_mark end = {.seq = ledger->committed.events.seq, .exact = true};
    bool sound = !ledger->db.broken && !ledger->db.corrupt && !davy_db_moved(&ledger->db);
    if (sound && end.seq > 0 && (!ledger->mark.exact || ledger->mark.seq != end.seq))
        (void)!davy_mark_write(ledger->directory, &end); /* else the one that is there goes on to hold */
}

struct davy_ledger *davy_ledger_close(struct davy_ledger *ledger)
{
    if (!ledger)
        return NULL;
    if (ledger->db.handle) {
        davy_db_rollback(&ledger->db);
        end_mark(ledger);
        (void)sqlite3_wal_checkpoint_v2(ledger->db.handle, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
        davy_db_close(&ledger->db); /* what the checkpoint could not do, the next open does */
    }
    free(ledger->text);
    free(ledger);
    return NULL;
}

void davy_ledger_let_go(struct davy_ledger *ledger)
{
    davy_db_close(&ledger->db);
    ledger->now = ledger->committed;
}

int64_t davy_ledger_last_seq(const struct davy_ledger *ledger)
{
    return ledger->committed.events.seq;
}

int64_t davy_ledger_next_seq(const struct davy_ledger *ledger)
{
    return ledger->now.events.seq + 1;
}

int davy_ledger_begin(struct davy_ledger *ledger)
{
    int outcome = davy_ledger_repair(ledger);
    if (outcome < 0)
        return outcome;
    int r = davy_db_begin(&ledger->db);
    if (r < 0)
        return r;
    ledger->now = ledger->committed;
    return outcome;
}

/* Before anything of this commit is announced. Where it fails it is tried with the next one: the ledger is whole. */
static void keep_mark(struct davy_ledger *ledger)
{
    int64_t last = ledger->committed.events.seq;
    const struct ledger_mark ahead = {.seq = last + DAVY_MARK_AHEAD};
    if (last > ledger->mark.seq && davy_mark_write(ledger->directory, &ahead) == 0)
        ledger->mark = ahead;
}

int davy_ledger_commit(struct davy_ledger *ledger)
{
    int r = davy_db_in_transaction(&ledger->db) ? davy_losses_put(ledger) : -EINVAL;
    if (r == 0)
        r = davy_ledger_put_heads(ledger);
    if (r == 0)
        r = davy_db_commit(&ledger->db);
    if (r < 0)
        return davy_ledger_fail(ledger, r);
    davy_losses_done(ledger);
    ledger->committed = ledger->now;
    ledger->renewed = false;
    keep_mark(ledger);
    return 0;
}

void davy_ledger_rollback(struct davy_ledger *ledger)
{
    davy_db_rollback(&ledger->db);
    ledger->now = ledger->committed;
}

int davy_ledger_fail(struct davy_ledger *ledger, int error)
{
    davy_ledger_rollback(ledger);
    return error;
}

int davy_topic_touch(struct davy_ledger *ledger, const char *topic, int64_t last_row, int64_t *ret_id)
{
    sqlite3_stmt *statement = davy_db_use(&ledger->db, LEDGER_TOPIC_UPSERT);
    int r = davy_db_bind(statement, "ti", topic, last_row);
    if (r == 0)
        r = davy_db_step(&ledger->db, statement);
    if (r != 0)
        return r < 0 ? r : -EUCLEAN;
    *ret_id = sqlite3_column_int64(statement, 0);
    return davy_db_run(&ledger->db, statement);
}

/* Rows of a topic that was refused go again now, so that the new event is not held up, and in order. */
static int insert_outbox(struct davy_ledger *ledger, const struct davy_ledger_event *event, int64_t topic)
{
    int r = davy_db_do(&ledger->db, LEDGER_OUTBOX_REVIVE, "i", topic);
    if (r < 0)
        return r;
    int64_t parked_us = sqlite3_changes(ledger->db.handle) > 0 ? 1 : 0;
    for (int clear = 0; r == 0 && clear <= (event->clear ? 1 : 0); clear++) {
        r = davy_db_do(&ledger->db, LEDGER_OUTBOX_INSERT, "iii", ledger_row(event->seq, clear), topic, parked_us);
        ledger->now.outbox_count++;
    }
    return r;
}

static int insert_event(struct davy_ledger *ledger, const struct davy_ledger_event *e, int64_t topic)
{
    struct ledger_chain *chain = &ledger->now.events;
    davy_chain_next(chain->hash, e->payload, strlen(e->payload), chain->hash);
    chain->seq = e->seq;
    return davy_db_do(&ledger->db, LEDGER_EVENT_INSERT, "iittttttttddttitht", e->seq, micros(e->time), e->id, e->event,
                      e->state, e->level, e->rule, e->zone, e->device, e->point, e->value, e->limit, e->by, e->note,
                      topic, e->alarm, chain->hash, e->payload);
}

static int note_latest(struct davy_ledger *ledger, const struct davy_ledger_event *event)
{
    if (!event->alarm)
        return 0;
    if (!event->state || strcmp(event->state, "normal") == 0)
        return davy_db_do(&ledger->db, LEDGER_LATEST_DELETE, "t", event->alarm);
    return davy_db_do(&ledger->db, LEDGER_LATEST_UPSERT, "ti", event->alarm, event->seq);
}

static int append(struct davy_ledger *ledger, const struct davy_ledger_event *event)
{
    int64_t topic = 0;
    int r = event->topic ? davy_topic_touch(ledger, event->topic, ledger_row(event->seq, event->clear), &topic) : 0;
    if (r == 0)
        r = insert_event(ledger, event, topic);
    if (r == 0 && event->topic)
        r = insert_outbox(ledger, event, topic);
    return r == 0 ? note_latest(ledger, event) : r;
}

/* A commit that failed may have reached the disk all the same, and its redoing then finds its events there. */
static int already_there(struct davy_ledger *ledger, const struct davy_ledger_event *event)
{
    sqlite3_stmt *statement = davy_db_use(&ledger->db, LEDGER_EVENT_SAME);
    int r = davy_db_bind(statement, "it", event->seq, event->payload);
    if (r == 0)
        r = davy_db_step(&ledger->db, statement);
    if (r == 0)
        return davy_db_run(&ledger->db, statement);
    return r < 0 ? r : -EINVAL;
}

int davy_ledger_append(struct davy_ledger *ledger, const struct davy_ledger_event *event)
{
    if (!davy_db_in_transaction(&ledger->db) || !event->payload || event->seq > ledger->now.events.seq + 1)
        return davy_ledger_fail(ledger, -EINVAL);
    int r = event->seq <= ledger->now.events.seq ? already_there(ledger, event) : append(ledger, event);
    return r < 0 ? davy_ledger_fail(ledger, r) : 0;
}

int davy_ledger_topics(struct davy_ledger *ledger, void (*each)(void *context, const char *key, const char *topic),
                       void *context)
{
    if (!ledger->db.handle)
        return -EIO;
    sqlite3_stmt *statement = davy_db_use(&ledger->db, LEDGER_LATEST_TOPICS);
    for (;;) {
        int r = davy_db_step(&ledger->db, statement);
        if (r != 0)
            return r < 0 ? r : 0;
        each(context, (const char *)sqlite3_column_text(statement, 0), (const char *)sqlite3_column_text(statement, 1));
    }
}

int davy_ledger_place(struct davy_ledger *ledger, const char *key, const char *topic)
{
    if (!davy_db_in_transaction(&ledger->db))
        return -EINVAL;
    int r = davy_db_do(&ledger->db, LEDGER_TOPIC_PLACE, "tt", key, topic);
    return r < 0 ? davy_ledger_fail(ledger, r) : 0;
}

int davy_ledger_latest_topic(struct davy_ledger *ledger, const char *key, char *topic, size_t size)
{
    if (!ledger->db.handle)
        return -EIO;
    sqlite3_stmt *statement = davy_db_use(&ledger->db, LEDGER_LATEST_GET);
    int r = davy_db_bind(statement, "t", key);
    if (r == 0)
        r = davy_db_step(&ledger->db, statement);
    if (r != 0)
        return r == DAVY_DB_DONE ? DAVY_OUTBOX_EMPTY : r;
    const char *name = (const char *)sqlite3_column_text(statement, 1);
    snprintf(topic, size, "%s", name ? name : "");
    sqlite3_reset(statement);
    return 0;
}

int davy_ledger_snapshot(struct davy_ledger *ledger, void (*each)(void *context, const char *payload), void *context)
{
    if (!ledger->db.handle)
        return -EIO;
    sqlite3_stmt *statement = davy_db_use(&ledger->db, LEDGER_SNAPSHOT);
    for (;;) {
        int r = davy_db_step(&ledger->db, statement);
        if (r != 0)
            return r < 0 ? r : 0;
        each(context, (const char *)sqlite3_column_text(statement, 0));
    }
}
