/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The recorder's part that keeps readings and telemetry: one transaction per commit_interval. Where the disk takes
 * none, readings wait in their queue, which keeps the newest; what goes for it is counted (daemon/disk.h). Never in the
 * way of the ledger. Belongs to the recorder's thread.
 */
#pragma once

#include "daemon/disk.h"
#include "daemon/outbox.h"

struct reading_store;

/* Opens nothing yet. */
int reading_store_new(struct route *route, struct disk *disk, struct outbox *outbox, const struct davy_config *config,
                      struct reading_store **ret_store) DAVY_MUST_CHECK;

/* Commits what waits, closes. Accepts NULL, returns NULL. */
struct reading_store *reading_store_free(struct reading_store *store);

/* Take readings; commit when it is time. */
void reading_store_turn(struct reading_store *store, davy_mono now);

/* Commit at the next turn. */
void reading_store_hurry(struct reading_store *store);

/* Make room by age and size, where no transaction is open. */
void reading_store_trim(struct reading_store *store, davy_wall now);

/* Close the file; it is opened again when the disk is ours. */
void reading_store_let_go(struct reading_store *store);

/* When the next commit is due. */
davy_mono reading_store_due(const struct reading_store *store);

/* NULL while it cannot be opened. */
struct davy_readings *reading_store_readings(struct reading_store *store);
