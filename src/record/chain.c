/* SPDX-License-Identifier: Apache-2.0 */
#include "chain.h"

#include <errno.h>
#include <openssl/evp.h>

static void hex_of(const uint8_t hash[DAVY_HASH_SIZE], char text[2 * DAVY_HASH_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < DAVY_HASH_SIZE; i++) {
        text[2 * i] = digits[hash[i] >> 4];
        text[2 * i + 1] = digits[hash[i] & 15];
    }
}

int davy_chain_next(const uint8_t before[DAVY_HASH_SIZE], const char *payload, size_t length,
                    uint8_t ret_hash[DAVY_HASH_SIZE])
{
    char text[2 * DAVY_HASH_SIZE];
    hex_of(before, text);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (!context)
        return -ENOMEM;
    bool done = EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1 &&
                EVP_DigestUpdate(context, text, sizeof(text)) == 1 && EVP_DigestUpdate(context, payload, length) == 1 &&
                EVP_DigestFinal_ex(context, ret_hash, NULL) == 1;
    EVP_MD_CTX_free(context);
    return done ? 0 : -ENOMEM;
}
