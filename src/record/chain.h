/* SPDX-License-Identifier: Apache-2.0 */
/* The hash chain of the ledger: hex SHA-256 of the hash before it, then the payload. Private to this floor.
 * Thread: any. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/sha256.h"

#define DAVY_HASH_SIZE DAVY_SHA256_SIZE

/* The hash as 64 hex digits and a NUL. */
void davy_chain_text(const uint8_t hash[DAVY_HASH_SIZE], char text[2 * DAVY_HASH_SIZE + 1]);

/* SHA-256 of `before` as 64 hex digits followed by `payload`. `before` and `ret_hash` may be the same. */
void davy_chain_next(const uint8_t before[DAVY_HASH_SIZE], const char *payload, size_t length,
                     uint8_t ret_hash[DAVY_HASH_SIZE]);
