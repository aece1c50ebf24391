/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a ledger that is damaged or was taken away still tells, and what of it goes on in a new file. Private to this
 * floor.
 */
#pragma once

#include "ledger_internal.h"

struct ledger_ends {
    struct ledger_chain events;
    struct ledger_chain actions;
    bool sure; /* the file notes where its events end, and nothing that it holds is beyond */
};

/*
 * The ends of both strands of a ledger that was set aside, so that no seq is ever given twice: as they are noted, else
 * of the last rows. Where its tables cannot be read, the highest "seq" of the payloads found in the bytes of file and
 * -wal, with a hash of zeros. What is not found is 0.
 * most  the highest that an event can have; what is beyond is damage, and not looked at
 */
struct ledger_ends davy_salvage_ends(const char *path, int64_t most);

/*
 * Of the ledgers that were set aside in `directory` the one that ends last, where a new one has to go on: also where
 * the power went before it did. At most the eight newest are looked at.
 * most      as above
 * ret_path  DAVY_DB_PATH bytes
 * returns   false where there is none
 */
bool davy_salvage_find(const char *directory, int64_t most, char *ret_path);

/* Read-only, and never a change of the file; NULL where it cannot be opened. To be closed with sqlite3_close_v2(). */
sqlite3 *davy_salvage_open(const char *path);

struct ledger_rescue {
    sqlite3 *old;              /* NULL: nothing can be read */
    struct ledger_state state; /* where it ended; what is not known is 0 */
    bool known;                /* the state is that of this process, not of the file */
    struct ledger_chain start; /* the row before the first event that was copied */
    int64_t lost;              /* events before that, of which it is not known that they were delivered */
};

/* All that `old` says of its state, its ends excepted. */
void davy_rescue_state(struct ledger_rescue *rescue);

/*
 * In a transaction of the new file: copy the events from the first that is pending on, as far back from the end as they
 * fit their hashes, with topics and outbox; the latest event of each alarm; memories. Sets start and lost. An error is
 * of the new file: what cannot be read of the old one is left out.
 */
int davy_rescue_rows(struct davy_ledger *ledger, struct ledger_rescue *rescue);
