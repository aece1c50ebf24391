/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-256 (FIPS 180-4) by libcrypto. Its older calls are used, which OpenSSL 3 calls deprecated: the newer ones load
 * the library's providers and configuration, 1.7 MiB resident, and can fail. Thread: one caller at a time per object.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define DAVY_SHA256_SIZE 32

/* No ownership: nothing to release. */
struct davy_sha256 {
    _Alignas(8) unsigned char state[112]; /* a SHA256_CTX, private */
};

/* Begin a new sum. */
void davy_sha256_init(struct davy_sha256 *sum);

/* Add bytes. `bytes` may be NULL where length is 0. */
void davy_sha256_add(struct davy_sha256 *sum, const void *bytes, size_t length);

/* End the sum; it must be begun again before it is used again. */
void davy_sha256_done(struct davy_sha256 *sum, uint8_t ret_hash[DAVY_SHA256_SIZE]);
