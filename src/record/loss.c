/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Losses, declared. Three places, so that nothing is counted twice or forgotten: `declared` in memory until a commit
 * has it, table `loss` until a minute is over since the last row of that kind, then a row of the actions.
 */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "ledger_internal.h"

/* At most a row of each kind in this time. */
#define ROW_PAUSE (60 * DAVY_NS_PER_S)

static const char *const names[] = {
    [DAVY_LOSS_READINGS] = "readings",
    [DAVY_LOSS_TELEMETRY] = "telemetry",
    [DAVY_LOSS_EVENTS] = "events",
};
_Static_assert(DAVY_LENGTH(names) == DAVY_LOSS_COUNT_, "a name for each kind");

/* Of two bounds the one further out, where 0 is not known. */
static int64_t lower(int64_t a, int64_t b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

static int64_t higher(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static void add_why(char sum[LEDGER_WHY_SIZE], const char *why)
{
    size_t used = strlen(sum);
    if (strstr(sum, why) || used + strlen(why) + 3 > LEDGER_WHY_SIZE)
        return;
    snprintf(sum + used, LEDGER_WHY_SIZE - used, "%s%s", used ? "; " : "", why);
}

static void add(struct ledger_loss *sum, const struct ledger_loss *more)
{
    sum->count += more->count;
    sum->from_us = lower(sum->from_us, more->from_us);
    sum->to_us = higher(sum->to_us, more->to_us);
    sum->from_seq = lower(sum->from_seq, more->from_seq);
    sum->to_seq = higher(sum->to_seq, more->to_seq);
    add_why(sum->why, more->why);
}

void davy_ledger_declare(struct davy_ledger *ledger, const struct davy_ledger_loss *loss, struct davy_stamp now)
{
    struct ledger_loss more = {
        .count = loss->count,
        .from_us = loss->from.ns / DAVY_NS_PER_US,
        .to_us = loss->to.ns / DAVY_NS_PER_US,
        .from_seq = loss->from_seq,
        .to_seq = loss->to_seq,
    };
    snprintf(more.why, sizeof more.why, "%s", loss->why ? loss->why : "");
    add(&ledger->declared[loss->kind], &more);
    ledger->told = now;
}

bool davy_ledger_owes(const struct davy_ledger *ledger, enum davy_loss_kind kind)
{
    return ledger->declared[kind].count > 0;
}

static bool row_due(const struct davy_ledger *ledger, size_t kind)
{
    return ledger->told.mono.ns >= ledger->row_due[kind].ns;
}

int davy_ledger_tend(struct davy_ledger *ledger, struct davy_stamp now)
{
    ledger->told = now;
    if (!ledger->db.handle || davy_db_moved(&ledger->db) || davy_db_wal_moved(&ledger->db))
        return 1;
    (void)davy_db_trim_wal(&ledger->db);
    for (size_t k = 0; k < DAVY_LOSS_COUNT_; k++)
        if (ledger->declared[k].count > 0 || (ledger->committed.waiting[k].count > 0 && row_due(ledger, k)))
            return 1;
    return 0;
}

static int save(struct davy_ledger *ledger, size_t kind, int64_t total, const struct ledger_loss *waiting)
{
    return davy_db_do(&ledger->db, LEDGER_LOSS_SET, "tiiiiiit", names[kind], total, waiting->count, waiting->from_us,
                      waiting->to_us, waiting->from_seq, waiting->to_seq, waiting->why);
}

static void put_bound(struct davy_buf *out, const char *key, int64_t seq, int64_t us)
{
    if (seq != 0)
        davy_json_integer(out, key, seq);
    else if (us != 0)
        davy_json_time(out, key, (davy_wall){us * DAVY_NS_PER_US});
    else
        davy_json_null(out, key);
}

static int put_row(struct davy_ledger *ledger, size_t kind, const struct ledger_loss *loss)
{
    char detail[6 * LEDGER_WHY_SIZE + 256];
    struct davy_buf out;
    davy_buf_init(&out, detail, sizeof detail);
    davy_json_open(&out, '{');
    davy_json_integer(&out, "count", loss->count);
    put_bound(&out, "from", loss->from_seq, loss->from_us);
    put_bound(&out, "to", loss->to_seq, loss->to_us);
    davy_json_text(&out, "why", loss->why);
    davy_json_close(&out, '}');
    return davy_action_append(ledger, &(struct davy_ledger_action){.time = ledger->told.wall,
                                                                   .by = "davyd",
                                                                   .verb = "loss",
                                                                   .target = names[kind],
                                                                   .result = "done",
                                                                   .detail = detail});
}

static int put_kind(struct davy_ledger *ledger, size_t kind)
{
    struct ledger_loss *waiting = &ledger->now.waiting[kind];
    const struct ledger_loss *declared = &ledger->declared[kind];
    int r = 0;
    ledger->attempted[kind] = declared->count;
    if (declared->count > 0)
        add(waiting, declared);
    ledger->now.lost[kind] += declared->count;
    bool row = waiting->count > 0 && row_due(ledger, kind);
    if (!row && declared->count == 0)
        return 0;
    if (row) {
        r = put_row(ledger, kind, waiting);
        *waiting = (struct ledger_loss){.count = 0};
    }
    return r == 0 ? save(ledger, kind, ledger->now.lost[kind], waiting) : r;
}

int davy_losses_put(struct davy_ledger *ledger)
{
    int r = 0;
    for (size_t k = 0; r == 0 && k < DAVY_LOSS_COUNT_; k++)
        r = put_kind(ledger, k);
    return r;
}

/* What was declared is stored; where a sum is gone, its row is there. */
void davy_losses_done(struct davy_ledger *ledger)
{
    for (size_t k = 0; k < DAVY_LOSS_COUNT_; k++) {
        bool had = ledger->committed.waiting[k].count > 0 || ledger->attempted[k] > 0;
        if (had && ledger->now.waiting[k].count == 0)
            ledger->row_due[k] = davy_mono_add(ledger->told.mono, (davy_span){ROW_PAUSE});
        ledger->declared[k] = (struct ledger_loss){.count = 0};
        ledger->attempted[k] = 0;
    }
}

int davy_losses_carry(struct davy_ledger *ledger, const struct ledger_state *before)
{
    int r = 0;
    for (size_t k = 0; r == 0 && k < DAVY_LOSS_COUNT_; k++)
        r = save(ledger, k, before->lost[k], &before->waiting[k]);
    return r;
}

static void take_row(struct davy_ledger *ledger, sqlite3_stmt *statement, struct ledger_state *state)
{
    const char *what = (const char *)sqlite3_column_text(statement, 0);
    const char *why = (const char *)sqlite3_column_text(statement, 7);
    for (size_t k = 0; what && k < DAVY_LOSS_COUNT_; k++) {
        struct ledger_loss *waiting = &state->waiting[k];
        if (strcmp(what, names[k]) != 0)
            continue;
        state->lost[k] = sqlite3_column_int64(statement, 1);
        waiting->count = sqlite3_column_int64(statement, 2);
        waiting->from_us = sqlite3_column_int64(statement, 3);
        waiting->to_us = sqlite3_column_int64(statement, 4);
        waiting->from_seq = sqlite3_column_int64(statement, 5);
        waiting->to_seq = sqlite3_column_int64(statement, 6);
        snprintf(waiting->why, sizeof waiting->why, "%s", why ? why : "");
        /* A commit that failed may be stored after all: what it had is not declared once more. */
        if (ledger->attempted[k] > 0 && state->lost[k] == ledger->committed.lost[k] + ledger->attempted[k])
            ledger->declared[k].count -= ledger->attempted[k];
        if (ledger->declared[k].count == 0)
            ledger->declared[k] = (struct ledger_loss){.count = 0};
        ledger->attempted[k] = 0;
    }
}

int davy_losses_load(struct davy_ledger *ledger, struct ledger_state *state)
{
    sqlite3_stmt *statement = davy_db_use(&ledger->db, LEDGER_LOSS_ALL);
    for (;;) {
        int r = davy_db_step(&ledger->db, statement);
        if (r != 0)
            return r < 0 ? r : 0;
        take_row(ledger, statement, state);
    }
}
