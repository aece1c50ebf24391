/* SPDX-License-Identifier: Apache-2.0 */
/* Retention of the ledger: always a beginning of each chain, so that the rest can be verified from its checkpoint. */
#include <errno.h>
#include <string.h>

#include "ledger_internal.h"

/* Rows a call: a few ms of work. */
#define BATCH INT64_C(500)

struct cut {
    const char *chain;
    enum ledger_statement find;
    enum ledger_statement dated;
    enum ledger_statement remove;
    struct ledger_chain last; /* the last row to go; seq 0: none */
    int64_t rows;
    int64_t unsent; /* of them */
};

struct age {
    int64_t before_us;
    int64_t now_us;
};

/* Whether the clock was right when it was written, as far as that can be seen. */
static bool is_dated(const struct age *age, int64_t time_us)
{
    return time_us >= DAVY_CLOCK_SET_US && time_us <= age->now_us;
}

static void take_row(sqlite3_stmt *statement, struct cut *cut)
{
    cut->last.seq = sqlite3_column_int64(statement, 0);
    memcpy(cut->last.hash, sqlite3_column_blob(statement, 2), DAVY_HASH_SIZE);
    cut->rows++;
    cut->unsent += sqlite3_column_int(statement, 3);
}

/* Whether the first row behind the cut that has a date is too old, and so all those before it. */
static int is_old_behind(struct davy_ledger *ledger, const struct age *age, const struct cut *cut, bool *ret_old)
{
    sqlite3_stmt *statement = davy_db_use(&ledger->db, cut->dated);
    int r = davy_db_bind(statement, "iii", cut->last.seq, DAVY_CLOCK_SET_US, age->now_us);
    if (r == 0)
        r = davy_db_step(&ledger->db, statement);
    *ret_old = r == 0 && sqlite3_column_int64(statement, 0) < age->before_us;
    sqlite3_reset(statement);
    return r < 0 ? r : 0;
}

/*
 * Stops at the first row that is young enough: the clock may have been stepped, the chain has no holes. A row of a
 * clock that was not set, or ran ahead, is as old as the one behind it that was recorded by a clock that was right.
 */
static int find_cut(struct davy_ledger *ledger, const struct age *age, struct cut *cut)
{
    sqlite3_stmt *statement = davy_db_use(&ledger->db, cut->find);
    struct cut all = *cut; /* and those of which it is not known yet */
    bool old = true;
    int r = davy_db_bind(statement, "i", BATCH);
    while (r == 0 && old) {
        r = davy_db_step(&ledger->db, statement);
        if (r != 0)
            break;
        int64_t time_us = sqlite3_column_int64(statement, 1);
        bool dated = is_dated(age, time_us);
        old = sqlite3_column_bytes(statement, 2) == DAVY_HASH_SIZE && (!dated || time_us < age->before_us);
        if (old)
            take_row(statement, &all);
        if (old && dated)
            *cut = all;
    }
    sqlite3_reset(statement);
    if (r >= 0 && old && all.rows > cut->rows) {
        r = is_old_behind(ledger, age, &all, &old);
        *cut = r == 0 && old ? all : *cut;
    }
    return r < 0 ? r : 0;
}

/* Events go only when they were delivered, or were not to be sent. */
static int count_cut(struct davy_ledger *ledger, const struct cut *cut)
{
    struct ledger_tally *tally = &ledger->now.tally;
    tally->delivered += cut->rows - cut->unsent;
    tally->unsent += cut->unsent;
    int r = davy_db_do(&ledger->db, LEDGER_TALLY_SET, "iii", tally->delivered, tally->unsent, tally->lost);
    return r == 0 ? davy_db_do(&ledger->db, LEDGER_PRUNE_EVENT_KEEP, "i", cut->last.seq) : r;
}

static int apply_cut(struct davy_ledger *ledger, const struct cut *cut)
{
    if (cut->rows == 0)
        return 0;
    int r = davy_db_do(&ledger->db, LEDGER_CHAIN_SET, "tih", cut->chain, cut->last.seq, cut->last.hash);
    if (r == 0 && cut->find == LEDGER_PRUNE_EVENT_FIND)
        r = count_cut(ledger, cut);
    return r == 0 ? davy_db_do(&ledger->db, cut->remove, "i", cut->last.seq) : r;
}

int davy_ledger_prune(struct davy_ledger *ledger, davy_wall before, davy_wall now)
{
    struct cut events = {.chain = "event",
                         .find = LEDGER_PRUNE_EVENT_FIND,
                         .dated = LEDGER_PRUNE_EVENT_DATED,
                         .remove = LEDGER_PRUNE_EVENT_DELETE};
    struct cut actions = {.chain = "action",
                          .find = LEDGER_PRUNE_ACTION_FIND,
                          .dated = LEDGER_PRUNE_ACTION_DATED,
                          .remove = LEDGER_PRUNE_ACTION_DELETE};
    const struct age age = {before.ns / DAVY_NS_PER_US, now.ns / DAVY_NS_PER_US};
    if (!ledger->db.handle)
        return -EIO;
    if (age.before_us <= DAVY_CLOCK_SET_US) /* no date is as old */
        return 0;
    int r = find_cut(ledger, &age, &events);
    if (r == 0)
        r = find_cut(ledger, &age, &actions);
    if (r < 0 || (events.rows == 0 && actions.rows == 0))
        return r;
    r = davy_ledger_begin(ledger);
    if (r != 0) {
        davy_ledger_rollback(ledger); /* a renewed file has nothing to prune */
        return r < 0 ? r : 0;
    }
    r = apply_cut(ledger, &events);
    if (r == 0)
        r = apply_cut(ledger, &actions);
    if (r < 0)
        return davy_ledger_fail(ledger, r);
    r = davy_ledger_commit(ledger);
    return r < 0 ? r : events.rows == BATCH || actions.rows == BATCH;
}
