/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A new ledger after one that is damaged or was taken away. Numbers and strands go on, what can be read goes along, the
 * rest is declared. All of it is one transaction of the new file: where that fails, or the power goes, the next try
 * finds a ledger that is empty beside one that was set aside. Until then the new file is one that is begun: no reader,
 * and no backup, takes it for a ledger that never had anything.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "salvage.h"

static const char why_lost[] = "ledger.db was damaged or taken away: it is not known that these were delivered";

static int put_starts(struct davy_ledger *ledger, const struct ledger_rescue *rescue)
{
    const struct ledger_state *state = &rescue->state;
    int r = davy_ledger_put_end(ledger, LEDGER_CHAIN_SET, "event", &rescue->start);
    if (r == 0)
        r = davy_ledger_put_end(ledger, LEDGER_CHAIN_SET, "action", &state->actions);
    if (r == 0)
        r = davy_ledger_put_end(ledger, LEDGER_CHAIN_SET, "tied", &state->actions);
    if (r == 0)
        r = davy_ledger_put_end(ledger, LEDGER_HEAD_SET, "event", &state->events);
    if (r == 0)
        r = davy_ledger_put_end(ledger, LEDGER_HEAD_SET, "action", &state->actions);
    return r;
}

/* What cannot be asked for any more is not pending: the platform is asked from the first event on that is here. */
static int put_counts(struct davy_ledger *ledger, struct ledger_rescue *rescue)
{
    struct ledger_state *state = &rescue->state;
    int64_t lost = state->tally.lost + rescue->lost, unsent = state->tally.unsent;
    if (state->asked_seq < rescue->start.seq)
        state->asked_seq = rescue->start.seq;
    int r = davy_db_do(&ledger->db, LEDGER_TALLY_SET, "iii", rescue->start.seq - unsent - lost, unsent, lost);
    if (r == 0)
        r = davy_delivery_carry(ledger, state);
    return r == 0 ? davy_losses_carry(ledger, state) : r;
}

/* The first action in the new file says what happened. */
static int put_action(struct davy_ledger *ledger, const struct ledger_rescue *rescue)
{
    char detail[160];
    struct davy_buf out;
    davy_buf_init(&out, detail, sizeof detail);
    davy_json_open(&out, '{');
    davy_json_integer(&out, "after", rescue->start.seq);
    davy_json_integer(&out, "taken_over", rescue->state.events.seq - rescue->start.seq);
    davy_json_integer(&out, "lost", rescue->lost);
    davy_json_close(&out, '}');
    return davy_action_append(ledger, &(struct davy_ledger_action){.time = ledger->told.wall,
                                                                   .by = "davyd",
                                                                   .verb = "renewed",
                                                                   .target = davy_ledger_schema.file,
                                                                   .result = "done",
                                                                   .detail = detail});
}

static void declare_lost(struct davy_ledger *ledger, const struct ledger_rescue *rescue)
{
    const struct ledger_tally *tally = &rescue->state.tally;
    if (rescue->lost == 0)
        return;
    const struct davy_ledger_loss loss = {.kind = DAVY_LOSS_EVENTS,
                                          .count = rescue->lost,
                                          .from_seq = tally->delivered + tally->unsent + tally->lost + 1,
                                          .to_seq = rescue->start.seq,
                                          .why = why_lost};
    davy_ledger_declare(ledger, &loss, ledger->told);
}

static int fill(struct davy_ledger *ledger, struct ledger_rescue *rescue)
{
    int r = davy_db_begin(&ledger->db);
    if (r == 0)
        r = davy_rescue_rows(ledger, rescue);
    if (r == 0)
        r = put_starts(ledger, rescue);
    if (r == 0)
        r = put_counts(ledger, rescue);
    ledger->committed = ledger->now = rescue->state;
    if (r == 0)
        r = put_action(ledger, rescue);
    if (r < 0)
        return r;
    declare_lost(ledger, rescue);
    r = davy_losses_put(ledger);
    if (r == 0)
        r = davy_ledger_put_heads(ledger);
    if (r == 0)
        r = davy_db_commit(&ledger->db);
    if (r == 0)
        davy_losses_done(ledger);
    return r;
}

/* Into the file that is open and empty. On failure it is closed, and what this process knows stays. */
static int carry_over(struct davy_ledger *ledger, struct ledger_rescue *rescue, const struct ledger_state *known)
{
    struct ledger_loss declared[DAVY_LOSS_COUNT_];
    memcpy(declared, ledger->declared, sizeof declared);
    int r = fill(ledger, rescue);
    if (r == 0)
        r = davy_ledger_load(ledger);
    if (r < 0) {
        davy_db_close(&ledger->db);
        memcpy(ledger->declared, declared, sizeof declared);
        if (known)
            ledger->committed = ledger->now = *known;
    }
    return r;
}

static bool is_empty(const struct davy_ledger *ledger)
{
    return ledger->committed.events.seq == 0 && ledger->committed.actions.seq == 0;
}

/* What a file says, and where it is not sure of its end the mark beside it. */
static void read_old(const struct davy_ledger *ledger, const char *path, struct ledger_rescue *rescue)
{
    const struct ledger_mark *mark = &ledger->mark;
    struct ledger_ends ends = {.sure = false};
    if (path)
        ends = davy_salvage_ends(path, davy_mark_most(mark));
    if (ends.events.seq < mark->seq && (!ends.sure || davy_mark_behind(mark, ends.events.seq)))
        ends.events = (struct ledger_chain){.seq = mark->seq};
    rescue->state.events = ends.events;
    rescue->state.actions = ends.actions;
    davy_rescue_state(rescue);
}

/* The new file is open and empty: what goes on in it. old: still open, or NULL for the one that was set aside last. */
static int go_on(struct davy_ledger *ledger, sqlite3 *old, const struct ledger_state *known, bool *ret_renewed)
{
    char path[DAVY_DB_PATH];
    struct ledger_rescue rescue = {.old = old, .known = known != NULL};
    bool found = !old && davy_salvage_find(ledger->directory, davy_mark_most(&ledger->mark), path);
    if (found)
        rescue.old = davy_salvage_open(path);
    if (known)
        rescue.state = *known;
    else
        read_old(ledger, found ? path : NULL, &rescue);
    bool any = known || rescue.state.events.seq > 0 || rescue.state.actions.seq > 0;
    int r = any ? carry_over(ledger, &rescue, known) : 0;
    if (found)
        sqlite3_close_v2(rescue.old);
    if (ret_renewed)
        *ret_renewed = any;
    return r;
}

static int set_aside(const struct davy_ledger *ledger)
{
    char aside[DAVY_DB_PATH];
    int r = davy_db_set_aside(ledger->directory, davy_ledger_schema.file, ledger->told.wall, aside);
    return r == -ENOENT ? 0 : r;
}

/*
 * Whether it lacks events that it has had, or may lack some: an old copy, or its -wal lost its end. A backup that lacks
 * none is the ledger from now on.
 */
static int look_behind(struct davy_ledger *ledger, bool *ret_behind)
{
    int64_t last = ledger->committed.events.seq, copies = 0;
    int r = davy_db_number(&ledger->db, "SELECT count(*) FROM head WHERE name = 'copy'", &copies);
    *ret_behind =
        !is_empty(ledger) && (davy_mark_behind(&ledger->mark, last) || (copies > 0 && last < ledger->mark.seq));
    if (r == 0 && copies > 0 && !*ret_behind)
        r = davy_db_exec(&ledger->db, "DELETE FROM head WHERE name = 'copy'");
    return r;
}

int davy_ledger_found(struct davy_ledger *ledger, bool damaged, bool *ret_renewed)
{
    bool behind = false;
    int r = damaged ? 0 : look_behind(ledger, &behind);
    if (r == 0 && behind) {
        davy_db_close(&ledger->db);
        damaged = true;
    }
    r = r == 0 && damaged ? set_aside(ledger) : r;
    if (r == 0 && damaged)
        r = davy_ledger_open_file(ledger);
    if (r == 0 && is_empty(ledger))
        r = go_on(ledger, NULL, NULL, ret_renewed);
    *ret_renewed = *ret_renewed || damaged;
    return r == 0 ? davy_db_finish(&ledger->db) : r;
}

/* A file that was taken away is still open, and all of it can be read. */
static int replace(struct davy_ledger *ledger, const struct ledger_state *known)
{
    struct davy_db old = DAVY_DB_INIT;
    if (ledger->db.handle && !ledger->db.corrupt && !ledger->db.broken) {
        old = ledger->db;
        ledger->db = DAVY_DB_INIT;
        sqlite3_db_config(old.handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL); /* the -wal there is another's then */
    }
    davy_db_close(&ledger->db);
    int r = set_aside(ledger);
    if (r == 0)
        r = davy_ledger_open_file(ledger);
    if (r == 0)
        r = go_on(ledger, old.handle, known, NULL);
    davy_db_close(&old);
    ledger->renewed = r == 0;
    if (r < 0)
        ledger->committed = ledger->now = *known;
    return r;
}

/* The connection that saw an I/O error is never used again. */
static int open_again(struct davy_ledger *ledger, const struct ledger_state *known)
{
    davy_db_close(&ledger->db);
    int r = davy_ledger_open_file(ledger);
    if (r == 0 && ledger->committed.events.seq >= known->events.seq)
        return 0;
    if (r == 0 && is_empty(ledger)) {
        r = go_on(ledger, NULL, known, NULL);
        ledger->renewed = r == 0;
        return r;
    }
    if (r < 0 && r != -EUCLEAN)
        return r;
    ledger->db.corrupt = true;
    return replace(ledger, known);
}

int davy_ledger_repair(struct davy_ledger *ledger)
{
    const struct ledger_state known = ledger->committed;
    struct davy_db *db = &ledger->db;
    bool gone = db->handle && davy_db_moved(db);
    int r = !gone && davy_db_wal_moved(db) ? davy_db_leave_wal(db) : 0;
    if (db->corrupt || gone)
        r = replace(ledger, &known);
    else if (!db->handle || db->broken)
        r = open_again(ledger, &known);
    if (r == 0)
        r = davy_db_finish(&ledger->db);
    return r < 0 ? r : ledger->renewed ? DAVY_LEDGER_RENEWED : 0;
}
