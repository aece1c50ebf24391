/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `ledger.mark` beside ledger.db: a number that no event has passed, DAVY_MARK_AHEAD ahead and written anew when it is
 * reached; after an orderly end the last one itself, behind a "=". It is read where the ledger cannot say any more how
 * far it was, and shows that it is an old copy: a number that is given twice would be taken for an old event by who has
 * seen the first. Private to this floor. Thread: the ledger's.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"

/* Numbers that may be skipped where a damaged ledger does not tell its end; a flush more for as many events. */
#define DAVY_MARK_AHEAD 256

struct ledger_mark {
    int64_t seq; /* 0: there is none */
    bool exact;  /* the last event has it */
};

struct ledger_mark davy_mark_read(const char *directory);

/* Whether a ledger that ends with `last` lacks events that it has had. */
static inline bool davy_mark_behind(const struct ledger_mark *mark, int64_t last)
{
    return mark->exact ? last < mark->seq : last + DAVY_MARK_AHEAD < mark->seq;
}

/*
 * No event can have passed this number: the mark, and what may be stored while it cannot be written (a disk that has
 * room for the ledger and for no file more). What a damaged ledger says beyond it is damage.
 */
static inline int64_t davy_mark_most(const struct ledger_mark *mark)
{
    enum { WITHOUT_A_MARK = 1000000 };
    return mark->seq > 0 && mark->seq < INT64_MAX - WITHOUT_A_MARK ? mark->seq + WITHOUT_A_MARK : INT64_MAX;
}

/* On the disk at return, as a whole or not at all. 0 or a negative errno. */
int davy_mark_write(const char *directory, const struct ledger_mark *mark) DAVY_MUST_CHECK;
