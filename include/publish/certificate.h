/* SPDX-License-Identifier: Apache-2.0 */
/* When a certificate of ours ends, and whether a key is its own. Thread: any. Reads a file: blocking. */
#pragma once

#include "base/attr.h"
#include "base/clock.h"

/* The alarm `mqtt` stands from this long before a certificate ends. */
#define DAVY_CERTIFICATE_NOTICE davy_span_s(30LL * 24 * 3600)

/*
 * The earliest end of validity of the certificates in a PEM file.
 * returns   0, a negative errno of the file, or -EINVAL where it has no certificate that can be read
 */
int davy_certificate_end(const char *file, davy_wall *ret_end) DAVY_MUST_CHECK;

/*
 * Whether the first certificate of a PEM file and a private key belong together.
 * returns   0; -EKEYREJECTED: they do not; -EINVAL where one cannot be read as such; a negative errno of a file
 */
int davy_certificate_fits(const char *file, const char *key_file) DAVY_MUST_CHECK;
