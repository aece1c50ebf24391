/* SPDX-License-Identifier: Apache-2.0 */
#include "publish/certificate.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "support/cmocka_all.h"

/* Adds a certificate of our own making that ends `seconds` from now. */
static void add_certificate(FILE *file, long seconds)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    assert_non_null(key);
    assert_non_null(certificate);
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), seconds);
    X509_set_pubkey(certificate, key);
    assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
    assert_int_equal(PEM_write_X509(file, certificate), 1);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

static FILE *temporary(char path[32])
{
    snprintf(path, 32, "/tmp/davy-cert-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    return fdopen(fd, "w");
}

static void tells_the_earliest_end_of_a_chain(void **unused)
{
    (void)unused;
    char path[32];
    FILE *file = temporary(path);
    const time_t before = time(NULL);
    add_certificate(file, 90L * 24 * 3600);
    add_certificate(file, 20L * 24 * 3600);
    const time_t after = time(NULL);
    fclose(file);
    davy_wall end = {0};
    assert_int_equal(davy_certificate_end(path, &end), 0);
    const int64_t made = end.ns / DAVY_NS_PER_S - 20L * 24 * 3600;
    assert_true(made >= before && made <= after);
    unlink(path);
}

static void a_file_without_a_certificate_is_an_error(void **unused)
{
    (void)unused;
    char path[32];
    FILE *file = temporary(path);
    fputs("no certificate\n", file);
    fclose(file);
    davy_wall end = {7};
    assert_int_equal(davy_certificate_end(path, &end), -EINVAL);
    assert_int_equal(end.ns, 7);
    unlink(path);
    assert_int_equal(davy_certificate_end(path, &end), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_the_earliest_end_of_a_chain),
        cmocka_unit_test(a_file_without_a_certificate_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
