/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DIRECTORY/reserve: blocks of the file system that nobody else can take, given back in steps when the ledger finds it
 * full. A full disk cannot be cleaned from inside SQLite: deletes and checkpoints need space themselves.
 * Thread: the record stage's; calls block on the disk.
 */
#pragma once

#include <stdint.h>

#include "base/attr.h"

/*
 * Allocate what is missing of `bytes`; more than that is left as it is.
 * returns   0; -ENOSPC; -EOPNOTSUPP where the file system allocates nothing ahead; -ELOOP, -EINVAL no regular file; or
 * another negative errno
 */
int davy_reserve_keep(const char *directory, int64_t bytes) DAVY_MUST_CHECK;

/* Give back up to `bytes`. How many; 0: there is none left; or a negative errno. */
int64_t davy_reserve_release(const char *directory, int64_t bytes) DAVY_MUST_CHECK;
