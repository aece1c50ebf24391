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
    enum ledger_statement remove;
    struct ledger_chain last; /* the last row to go; seq 0: none */
    int64_t rows;
    int64_t unsent; /* of them */
};

/* The row goes, and with it those before it of which that was not known yet. */
static void take_row(sqlite3_stmt *statement, struct cut *cut, int64_t rows, int64_t unsent)
{
    cut->last.seq = sqlite3_column_int64(statement, 0);
    memcpy(cut->last.hash, sqlite3_column_blob(statement, 2), DAVY_HASH_SIZE);
    cut->rows = rows;
    cut->unsent = unsent;
}

/*
 * Stops at the first row that is young enough: the clock may have been stepped, the chain has no holes. A row of before
 * the clock was set is as old as the one behind it that was recorded by a clock that was.
 */
static int find_cut(struct davy_ledger *ledger, int64_t before_us, struct cut *cut)
{
    sqlite3_stmt *statement = davy_db_use(&ledger->db, cut->find);
    int64_t rows = 0, unsent = 0;
    int r = davy_db_bind(statement, "i", BATCH);
    while (r == 0) {
        r = davy_db_step(&ledger->db, statement);
        if (r != 0 || sqlite3_column_int64(statement, 1) >= before_us)
            break;
        if (sqlite3_column_bytes(statement, 2) != DAVY_HASH_SIZE)
            break;
        rows++;
        unsent += sqlite3_column_int(statement, 3);
        if (sqlite3_column_int64(statement, 1) >= DAVY_CLOCK_SET_US)
            take_row(statement, cut, rows, unsent);
    }
    sqlite3_reset(statement);
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

int davy_ledger_prune(struct davy_ledger *ledger, davy_wall before)
{
    struct cut events = {.chain = "event", .find = LEDGER_PRUNE_EVENT_FIND, .remove = LEDGER_PRUNE_EVENT_DELETE};
    struct cut actions = {.chain = "action", .find = LEDGER_PRUNE_ACTION_FIND, .remove = LEDGER_PRUNE_ACTION_DELETE};
    int64_t before_us = before.ns / DAVY_NS_PER_US;
    if (!ledger->db.handle)
        return -EIO;
    int r = find_cut(ledger, before_us, &events);
    if (r == 0)
        r = find_cut(ledger, before_us, &actions);
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
