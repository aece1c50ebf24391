/* SPDX-License-Identifier: Apache-2.0 */
#include "chain.h"

#include "base/sha256.h"

static void hex_of(const uint8_t hash[DAVY_HASH_SIZE], char text[2 * DAVY_HASH_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < DAVY_HASH_SIZE; i++) {
        text[2 * i] = digits[hash[i] >> 4];
        text[2 * i + 1] = digits[hash[i] & 15];
    }
}

void davy_chain_text(const uint8_t hash[DAVY_HASH_SIZE], char text[2 * DAVY_HASH_SIZE + 1])
{
    hex_of(hash, text);
    text[2 * DAVY_HASH_SIZE] = '\0';
}

void davy_chain_next(const uint8_t before[DAVY_HASH_SIZE], const char *payload, size_t length,
                     uint8_t ret_hash[DAVY_HASH_SIZE])
{
    char text[2 * DAVY_HASH_SIZE];
    struct davy_sha256 sum;
    hex_of(before, text);
    davy_sha256_init(&sum);
    davy_sha256_add(&sum, text, sizeof text);
    davy_sha256_add(&sum, payload, length);
    davy_sha256_done(&sum, ret_hash);
}
