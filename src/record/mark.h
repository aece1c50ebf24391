/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `ledger.mark` beside ledger.db: a number that no event has passed, a few hundred ahead and written anew when it is reached. It
 * is read where the ledger itself cannot say any more how far it was: a number that is given twice would be taken for an
 * old event by who has seen the first. Private to this floor. Thread: the ledger's.
 */
#pragma once

#include <stdint.h>

#include "base/attr.h"

/* 0 where there is none. */
int64_t davy_mark_read(const char *directory);

/* On the disk at return, as a whole or not at all. 0 or a negative errno. */
int davy_mark_write(const char *directory, int64_t seq) DAVY_MUST_CHECK;
