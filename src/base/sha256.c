/* SPDX-License-Identifier: Apache-2.0 */
#include "base/sha256.h"

#define OPENSSL_SUPPRESS_DEPRECATED /* see the header */
#include <openssl/sha.h>

_Static_assert(sizeof(SHA256_CTX) <= sizeof(struct davy_sha256), "room for libcrypto's state");

static SHA256_CTX *context_of(struct davy_sha256 *sum)
{
    return (SHA256_CTX *)(void *)sum->state;
}

void davy_sha256_init(struct davy_sha256 *sum)
{
    (void)SHA256_Init(context_of(sum)); /* none of the three can fail on a state of ours */
}

void davy_sha256_add(struct davy_sha256 *sum, const void *bytes, size_t length)
{
    if (length > 0)
        (void)SHA256_Update(context_of(sum), bytes, length);
}

void davy_sha256_done(struct davy_sha256 *sum, uint8_t ret_hash[DAVY_SHA256_SIZE])
{
    (void)SHA256_Final(ret_hash, context_of(sum));
}
