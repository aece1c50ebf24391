/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A copy of a database as it is at one instant, while the daemon writes it or without one: read-only, by SQLite's
 * backup interface. A plain copy of the file alone lacks what is in its -wal. Thread: any; blocks on both disks.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

enum davy_backup_kind { DAVY_BACKUP_LEDGER, DAVY_BACKUP_READINGS };

/*
 * Copy the database `from` into the new file `to`, mode 0640. It is written beside `to`, checked (quick_check; of a
 * ledger davy_ledger_verify() besides), flushed, and only then gets its name: what is at `to` is whole. Nothing is
 * overwritten. The copy of a ledger notes that it is one, so that davy_ledger_open() gives no number twice that
 * `ledger.mark` knows of. While it runs, the daemon's -wal grows by what is written meanwhile.
 * step       each some hundred pages; false stops. May be NULL.
 * ret_bytes  of the copy
 * ret_error  a sentence, where the result is below 0
 * returns    0; -EEXIST there is a file at `to`; -EINTR stopped; -EUCLEAN the copy, so most likely `from`, is damaged;
 *            -EAGAIN `from` is begun anew or set aside at this moment, and does not have what it is to have; or another
 *            negative errno. On failure nothing is left.
 */
int davy_backup(enum davy_backup_kind kind, const char *from, const char *to,
                bool (*step)(void *context, int64_t pages, int64_t of), void *context, int64_t *ret_bytes,
                char *ret_error, size_t error_size) DAVY_MUST_CHECK;
