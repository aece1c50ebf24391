/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands, told again: the retained message of an alarm is its latest event also where a reload has moved its
 * topic, and at a broker that has never had it. After a reload or a start that moves a topic, and at another broker
 * than before (or one that may be another: of several after a start, or where a connection came and went unseen), the
 * latest event of each alarm that is not normal is published once more, retained and marked `replayed`, then the topics
 * that were moved away from are cleared; at another broker first those of alarms that have ended or moved. The ledger
 * keeps where an alarm is told before it is, so that no start leaves it behind where no event was sent to. All in the
 * line of events, behind those that are stored, so that nothing hides a newer state; a few at a time, so that a new
 * alarm waits for few of them. Belongs to the record stage's thread.
 */
#pragma once

#include "daemon/outbox.h"

struct standing;

int standing_new(struct route *route, struct outbox *outbox, struct standing **ret_standing) DAVY_MUST_CHECK;
struct standing *standing_free(struct standing *standing);

/*
 * Another configuration is in effect from here on. Outside a transaction; a ledger that was let go is opened again. 0,
 * or a negative errno where it cannot say which topics move: to be called again, with nothing stored under the new one
 * before.
 */
int standing_switch(struct standing *standing, struct davy_ledger *ledger, const struct davy_config *from,
                    const struct davy_config *to) DAVY_MUST_CHECK;

/*
 * The ledger was read: the configuration may have moved alarms since its events, or name another broker. 0, or a
 * negative errno: to be called again.
 */
int standing_recall(struct standing *standing, struct davy_ledger *ledger,
                    const struct davy_config *config) DAVY_MUST_CHECK;

/* Whether a commit of the ledger is wanted: what moves is told elsewhere only when that is kept. */
bool standing_waits(const struct standing *standing);

/* Inside a transaction of the ledger: keep where alarms are told from now on. Then, once it is committed, _settled. */
int standing_settle(const struct standing *standing, struct davy_ledger *ledger,
                    const struct davy_config *config) DAVY_MUST_CHECK;
void standing_settled(struct standing *standing);

/* Tell what is next, once the outbox has handed over all events. */
void standing_turn(struct standing *standing, struct davy_ledger *ledger, const struct davy_config *config,
                   davy_mono now);

/* When the next turn is wanted. */
davy_mono standing_due(const struct standing *standing);
