/* SPDX-License-Identifier: Apache-2.0 */
/* What a damaged ledger still tells. Private to this floor. */
#pragma once

#include "ledger_internal.h"

/*
 * The ends of both chains of a ledger that was set aside, so that no seq is ever given twice. Where its tables cannot
 * be read, the highest "seq" of the payloads found in the bytes of file and -wal, with a hash of zeros. Whatever is not
 * found stays untouched.
 */
void davy_salvage_ends(const char *path, struct ledger_chain *events, struct ledger_chain *actions);
