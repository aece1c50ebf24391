/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the platform asks of the ledger over MQTT: the snapshot now, events again, its watermark; and, where events are
 * delivered to it, what it does not confirm goes again by itself (daemon/again.h). Belongs to the record stage's
 * thread.
 */
#pragma once

#include "daemon/outbox.h"

struct platform;

int platform_new(struct route *route, struct outbox *outbox, struct platform **ret_platform) DAVY_MUST_CHECK;
struct platform *platform_free(struct platform *platform);

/*
 * Take what is asked, publish what is due of it.
 * ledger    NULL while it is away: everything is refused
 */
void platform_turn(struct platform *platform, struct davy_ledger *ledger, const struct davy_config *config,
                   davy_mono now);

/* When platform_turn() has something to do though nothing arrives. */
davy_mono platform_due(const struct platform *platform);

/* Whether a watermark, or to whom events are delivered, waits for a transaction of the ledger. */
bool platform_waits(const struct platform *platform);

/* Inside a transaction: write it, a watermark with its audit. After its commit: answer. */
int platform_settle(struct platform *platform, struct davy_ledger *ledger) DAVY_MUST_CHECK;
void platform_settled(struct platform *platform);

/* The platform does not confirm in time; whether it does is not known yet after the start. */
bool platform_overdue(const struct platform *platform);
bool platform_doubtful(const struct platform *platform);
