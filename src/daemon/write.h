/* SPDX-License-Identifier: Apache-2.0 */
/* One record of the route into the ledger, inside its transaction: events get their seq and payload here. */
#pragma once

#include "daemon/route.h"

int write_record(struct davy_ledger *ledger, const struct route *route, const struct davy_config *config,
                 struct record *record) DAVY_MUST_CHECK;

/* How many of the first records are whole causes: what follows waits for the rest of its own. */
size_t records_whole(const struct record *records, size_t count);

/* Where records of which none is the end of a cause are best divided: after memories, before the next event. */
size_t records_part(const struct record *records, size_t count);

/* What a record owns goes with it; it then is RECORD_NOTHING. */
void record_done(struct record *record);
