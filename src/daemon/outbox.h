/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between the outboxes on disk and the publisher: a window of rows in order, events before telemetry, and what the
 * broker said of them on the way back. Belongs to the record stage's thread.
 */
#pragma once

#include "daemon/route.h"
#include "record/readings.h"

struct outbox;

int outbox_new(struct route *route, struct outbox **ret_outbox) DAVY_MUST_CHECK;
struct outbox *outbox_free(struct outbox *outbox);

/* The stores from now on; NULL for one that is away. */
void outbox_use_ledger(struct outbox *outbox, struct davy_ledger *ledger);
void outbox_use_readings(struct outbox *outbox, struct davy_readings *readings);

/* Give the publisher what is next and what it has room for. */
void outbox_hand_over(struct outbox *outbox);

/* Take what the publisher reports; at a new connection the snapshot is made and main is told. */
void outbox_take_deliveries(struct outbox *outbox, const struct davy_config *config, struct davy_stamp now);

/* Whether acknowledgements wait for the ledger longer than they should. */
bool outbox_due(const struct outbox *outbox, davy_mono now);

/* Inside a transaction of the ledger: write what was acknowledged or refused. Then, by its outcome, one of the two. */
int outbox_settle(struct outbox *outbox) DAVY_MUST_CHECK;
void outbox_settled(struct outbox *outbox);
void outbox_unsettled(struct outbox *outbox);

/* The same for telemetry, inside a transaction of the readings. */
bool outbox_telemetry_waits(const struct outbox *outbox);
bool outbox_telemetry_due(const struct outbox *outbox); /* so many that they should not wait for commit_interval */
int outbox_settle_telemetry(struct outbox *outbox) DAVY_MUST_CHECK;
void outbox_telemetry_settled(struct outbox *outbox);

/*
 * Publish the snapshot of alarms now. 0, -EIO without a ledger, or -EAGAIN: it cannot be read as a whole, of which
 * nothing is published then, or the publisher takes no more.
 */
int outbox_snapshot(struct outbox *outbox, const struct davy_config *config, davy_mono now) DAVY_MUST_CHECK;

/*
 * Whether a connection stands and the publisher has all committed events that no refusal holds up: what is posted as an
 * event now comes behind them.
 */
bool outbox_in_line(const struct outbox *outbox);

/* Whether a connection stands. */
bool outbox_connected(const struct outbox *outbox);

/* The highest seq up to which everything was given to the network at least once; what was refused counts. 0: unknown */
int64_t outbox_sent_seq(const struct outbox *outbox);

/* The highest seq of an event that the broker acknowledged since the start, as committed; 0: none. */
int64_t outbox_acknowledged_seq(const struct outbox *outbox);

/*
 * Publish an event once more, out of its turn: not retained, lest it hide a newer state. False: there is no room now.
 * tracked   the broker's answer is told by outbox_take_answers()
 */
bool outbox_post_again(struct outbox *outbox, const struct davy_outbox_row *row, bool tracked) DAVY_MUST_CHECK;

/* How many of these the broker has answered since the last call, and the highest seq of them. */
size_t outbox_take_answers(struct outbox *outbox, int64_t *ret_seq);

/* Refusals by the broker so far. */
uint64_t outbox_refusals(const struct outbox *outbox);
