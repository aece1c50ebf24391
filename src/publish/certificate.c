/* SPDX-License-Identifier: Apache-2.0 */
#include "publish/certificate.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <time.h>

static int end_of(const X509 *certificate, davy_wall *ret_end)
{
    struct tm tm;
    if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &tm) != 1)
        return -EINVAL;
    ret_end->ns = (int64_t)timegm(&tm) * DAVY_NS_PER_S;
    return 0;
}

int davy_certificate_end(const char *file, davy_wall *ret_end)
{
    DAVY_AUTO_FILE FILE *stream = fopen(file, "re");
    if (!stream)
        return -errno;
    davy_wall earliest = {INT64_MAX};
    X509 *certificate;
    while ((certificate = PEM_read_X509(stream, NULL, NULL, NULL))) {
        davy_wall end;
        if (end_of(certificate, &end) == 0 && end.ns < earliest.ns)
            earliest = end;
        X509_free(certificate);
    }
    ERR_clear_error(); /* the end of the file is one */
    if (earliest.ns == INT64_MAX)
        return -EINVAL;
    *ret_end = earliest;
    return 0;
}

/* A key with a passphrase cannot be used by a service; never ask a terminal for one. */
static int no_passphrase(char *text, int size, int writing, void *context)
{
    (void)text, (void)size, (void)writing, (void)context;
    return -1;
}

int davy_certificate_fits(const char *file, const char *key_file)
{
    DAVY_AUTO_FILE FILE *stream = fopen(file, "re");
    if (!stream)
        return -errno;
    DAVY_AUTO_FILE FILE *key_stream = fopen(key_file, "re");
    if (!key_stream)
        return -errno;
    X509 *certificate = PEM_read_X509(stream, NULL, NULL, NULL);
    EVP_PKEY *key = PEM_read_PrivateKey(key_stream, NULL, no_passphrase, NULL);
    int rc = certificate && key ? 0 : -EINVAL;
    if (rc == 0 && X509_check_private_key(certificate, key) != 1)
        rc = -EKEYREJECTED;
    X509_free(certificate);
    EVP_PKEY_free(key);
    ERR_clear_error();
    return rc;
}
