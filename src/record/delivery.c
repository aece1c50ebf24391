/* SPDX-License-Identifier: Apache-2.0 */
/* The platform's watermark, and what it leaves pending. */
#include "record/delivery.h"

#include <errno.h>

#include "ledger_internal.h"

static int64_t settled(const struct ledger_state *state)
{
    return state->confirmed_seq > state->asked_seq ? state->confirmed_seq : state->asked_seq;
}

bool davy_ledger_delivers_to_platform(const struct davy_ledger *ledger)
{
    return ledger->committed.platform;
}

int64_t davy_ledger_settled_seq(const struct davy_ledger *ledger)
{
    return settled(&ledger->committed);
}

int64_t davy_ledger_unconfirmed(const struct davy_ledger *ledger)
{
    return ledger->committed.unconfirmed;
}

int64_t davy_ledger_confirmed_seq(const struct davy_ledger *ledger)
{
    return ledger->committed.confirmed_seq;
}

/* Acknowledged events in (from, to]: all there are, less those that are not to be sent and those in the outbox. */
static int count_acknowledged(struct davy_ledger *ledger, int64_t from, int64_t to, int64_t *ret)
{
    *ret = 0;
    if (to <= from)
        return 0;
    sqlite3_stmt *statement = davy_db_use(&ledger->db, LEDGER_ACKNOWLEDGED_COUNT);
    int r = davy_db_bind(statement, "ii", from, to);
    return r == 0 ? davy_ledger_number(ledger, statement, ret) : r;
}

int davy_delivery_load(struct davy_ledger *ledger, struct ledger_state *state)
{
    int64_t platform = 0;
    int r = davy_db_number(&ledger->db, "SELECT seq FROM confirmed", &state->confirmed_seq);
    if (r == 0)
        r = davy_db_number(&ledger->db, "SELECT asked FROM confirmed", &state->asked_seq);
    if (r == 0)
        r = davy_db_number(&ledger->db, "SELECT platform FROM confirmed", &platform);
    state->platform = platform != 0;
    state->unconfirmed = 0;
    if (r == 0 && state->platform)
        r = count_acknowledged(ledger, settled(state), state->events.seq, &state->unconfirmed);
    return r;
}

/* asked_seq: put_counts() keeps it within the new file. */
int davy_delivery_carry(struct davy_ledger *ledger, const struct ledger_state *before)
{
    int r = davy_db_do(&ledger->db, LEDGER_CONFIRM, "i", before->confirmed_seq);
    return r == 0 ? davy_db_do(&ledger->db, LEDGER_DELIVER, "ii", (int64_t)before->platform, before->asked_seq) : r;
}

void davy_delivery_acknowledged(struct davy_ledger *ledger, int64_t seq)
{
    if (ledger->now.platform && seq > settled(&ledger->now))
        ledger->now.unconfirmed++;
}

static int confirm(struct davy_ledger *ledger, int64_t seq)
{
    struct ledger_state *now = &ledger->now;
    int64_t gone = 0;
    int r = now->platform ? count_acknowledged(ledger, settled(now), seq, &gone) : 0;
    if (r == 0)
        r = davy_db_do(&ledger->db, LEDGER_CONFIRM, "i", seq);
    if (r < 0)
        return r;
    now->confirmed_seq = seq;
    now->unconfirmed -= gone;
    return 0;
}

int davy_ledger_confirm(struct davy_ledger *ledger, int64_t seq)
{
    if (!davy_db_in_transaction(&ledger->db))
        return -EINVAL;
    int64_t last = ledger->now.events.seq;
    int64_t upto = seq < last ? seq : last; /* of what is not decided yet nobody can have anything */
    int r = upto > ledger->now.confirmed_seq ? confirm(ledger, upto) : 0;
    return r < 0 ? davy_ledger_fail(ledger, r) : 0;
}

/* From the oldest row that waits on; where none does, from the next event on. */
static int ask_platform(struct davy_ledger *ledger)
{
    struct ledger_state *now = &ledger->now;
    int64_t first = 0;
    int r = davy_ledger_number(ledger, davy_db_use(&ledger->db, LEDGER_OUTBOX_FIRST), &first);
    if (r < 0)
        return r;
    now->asked_seq = first > 0 ? first / 2 - 1 : now->events.seq;
    now->platform = true;
    return count_acknowledged(ledger, settled(now), now->events.seq, &now->unconfirmed);
}

int davy_ledger_deliver(struct davy_ledger *ledger, bool platform)
{
    struct ledger_state *now = &ledger->now;
    int r = 0;
    if (!davy_db_in_transaction(&ledger->db))
        return -EINVAL;
    if (now->platform == platform)
        return 0;
    now->platform = false;
    now->unconfirmed = 0;
    if (platform)
        r = ask_platform(ledger);
    if (r == 0)
        r = davy_db_do(&ledger->db, LEDGER_DELIVER, "ii", (int64_t)platform, now->asked_seq);
    return r < 0 ? davy_ledger_fail(ledger, r) : 0;
}

int davy_ledger_unconfirmed_next(struct davy_ledger *ledger, int64_t after, int64_t upto,
                                 struct davy_outbox_row *ret_row)
{
    if (!ledger->db.handle)
        return -EIO;
    sqlite3_stmt *statement = davy_db_use(&ledger->db, LEDGER_ACKNOWLEDGED_NEXT);
    int r = davy_db_bind(statement, "ii", after, upto);
    return r == 0 ? davy_outbox_step(ledger, statement, ret_row) : r;
}

int davy_ledger_sent_seq(struct davy_ledger *ledger, int64_t sent_row, int64_t *ret_seq)
{
    int64_t unsent = 0;
    if (!ledger->db.handle)
        return -EIO;
    sqlite3_stmt *statement = davy_db_use(&ledger->db, LEDGER_OUTBOX_UNSENT);
    int r = davy_db_bind(statement, "i", sent_row);
    if (r == 0)
        r = davy_ledger_number(ledger, statement, &unsent);
    if (r == 0) /* a row is of event seq * 2, or behind it the clearing of its topic */
        *ret_seq = unsent > 0 ? (unsent - 1) / 2 : ledger->committed.events.seq;
    return r;
}
