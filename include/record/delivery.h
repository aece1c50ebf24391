/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When an event of the ledger counts as delivered. To the broker: once it has acknowledged every row of the event. To
 * the platform: once moreover the platform's watermark covers it. What is not delivered is pending; the view `pending`
 * (seq, time_us) of ledger.db is the same in SQL, and the only definition of it: decided = delivered + pending +
 * declared lost. Thread and errors as in record/ledger.h.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "record/ledger.h"

/*
 * In a transaction: to whom events are delivered from now on. When that becomes the platform, what was delivered to the
 * broker before the oldest row that still waits stays delivered; from that row on the platform is asked. The same as
 * before changes nothing.
 */
int davy_ledger_deliver(struct davy_ledger *ledger, bool platform) DAVY_MUST_CHECK;

/* To whom, as committed: true the platform. */
bool davy_ledger_delivers_to_platform(const struct davy_ledger *ledger);

/*
 * Up to this seq the platform has nothing to confirm any more: its watermark, or where it was first asked. As
 * committed.
 */
int64_t davy_ledger_settled_seq(const struct davy_ledger *ledger);

/*
 * Events that the broker has acknowledged and the platform has not confirmed; 0 where the broker is whom they are
 * delivered to. As committed, kept up to date in memory.
 */
int64_t davy_ledger_unconfirmed(const struct davy_ledger *ledger);

/*
 * The first event in (after, upto] that the broker has acknowledged, confirmed or not, to be published again. 0,
 * DAVY_OUTBOX_EMPTY or an error.
 */
int davy_ledger_unconfirmed_next(struct davy_ledger *ledger, int64_t after, int64_t upto,
                                 struct davy_outbox_row *ret_row) DAVY_MUST_CHECK;

/*
 * The highest seq up to which every event was sent at least once. sent_row: of the rows in line, all up to this one
 * were given to the network. What a refusal holds up counts as sent only when it was refused itself. 0 or an error.
 */
int davy_ledger_sent_seq(struct davy_ledger *ledger, int64_t sent_row, int64_t *ret_seq) DAVY_MUST_CHECK;
