/* SPDX-License-Identifier: Apache-2.0 */
#include "publish/rotation.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "publish/certificate.h"
#include "support/cmocka_all.h"

#define S(seconds) ((davy_mono){(seconds)*DAVY_NS_PER_S})

static char folder[64], cert_file[96], key_file[96], password_file[96];
static struct davy_mqtt mqtt;
static struct davy_rotation rotation;

static void write_key(EVP_PKEY *key)
{
    FILE *file = fopen(key_file, "w");
    assert_non_null(file);
    assert_int_equal(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
    fclose(file);
    assert_int_equal(chmod(key_file, 0600), 0);
}

static void write_certificate(EVP_PKEY *key)
{
    X509 *certificate = X509_new();
    FILE *file = fopen(cert_file, "w");
    assert_non_null(file);
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
    assert_int_equal(PEM_write_X509(file, certificate), 1);
    fclose(file);
    X509_free(certificate);
}

static void write_password(const char *text)
{
    FILE *file = fopen(password_file, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(chmod(password_file, 0600), 0);
}

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/davy-rotation-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(cert_file, sizeof cert_file, "%s/cert.pem", folder);
    snprintf(key_file, sizeof key_file, "%s/key.pem", folder);
    snprintf(password_file, sizeof password_file, "%s/password", folder);
    EVP_PKEY *key = EVP_EC_gen("P-256");
    write_key(key);
    write_certificate(key);
    write_password("one");
    EVP_PKEY_free(key);
    mqtt = (struct davy_mqtt){.cert_file = cert_file, .key_file = key_file, .password_file = password_file};
    davy_rotation_connect(&rotation, &mqtt, S(100));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(cert_file);
    unlink(key_file);
    unlink(password_file);
    return rmdir(folder);
}

static bool is_due(int64_t second)
{
    bool urgent = false;
    return davy_rotation_due(&rotation, &mqtt, S(second), &urgent);
}

static void the_same_files_are_no_reason(void **state)
{
    (void)state;
    for (int64_t second = 100; second < 200; second++)
        assert_false(is_due(second));
}

static void a_change_counts_when_it_has_stood_for_one_look(void **state)
{
    (void)state;
    write_password("another");
    assert_false(is_due(109)); /* not looked at yet */
    assert_false(is_due(110)); /* seen for the first time */
    assert_false(is_due(119));
    assert_true(is_due(120));
    davy_rotation_connect(&rotation, &mqtt, S(121));
    assert_false(is_due(150));
    assert_false(is_due(170));
}

static void a_certificate_waits_for_its_key(void **state)
{
    (void)state;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    write_certificate(key);
    assert_int_equal(davy_certificate_fits(cert_file, key_file), -EKEYREJECTED);
    for (int64_t second = 110; second <= 200; second += 10)
        assert_false(is_due(second));
    write_key(key);
    EVP_PKEY_free(key);
    assert_int_equal(davy_certificate_fits(cert_file, key_file), 0);
    assert_false(is_due(210));
    assert_true(is_due(220));
}

static void a_key_that_others_can_read_is_not_used(void **state)
{
    (void)state;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    write_certificate(key);
    write_key(key);
    EVP_PKEY_free(key);
    chmod(key_file, 0644);
    assert_false(is_due(110));
    assert_false(is_due(120));
    chmod(key_file, 0600);
    assert_false(is_due(125));
    assert_true(is_due(130));
}

static void a_file_that_is_gone_is_not_used_either(void **state)
{
    (void)state;
    assert_int_equal(unlink(cert_file), 0);
    assert_false(is_due(110));
    assert_false(is_due(120));
    assert_false(is_due(130));
    fclose(fopen(cert_file, "w"));
    assert_int_equal(davy_certificate_fits(cert_file, key_file), -EINVAL);
    assert_false(is_due(140));
    assert_false(is_due(150));
}

static void after_a_minute_it_is_urgent(void **state)
{
    (void)state;
    bool urgent = true;
    write_password("another");
    assert_false(is_due(110));
    assert_true(davy_rotation_due(&rotation, &mqtt, S(120), &urgent));
    assert_false(urgent);
    assert_true(davy_rotation_due(&rotation, &mqtt, S(179), &urgent));
    assert_false(urgent);
    assert_true(davy_rotation_due(&rotation, &mqtt, S(180), &urgent));
    assert_true(urgent);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_same_files_are_no_reason),           CASE(a_change_counts_when_it_has_stood_for_one_look),
        CASE(a_certificate_waits_for_its_key),        CASE(a_key_that_others_can_read_is_not_used),
        CASE(a_file_that_is_gone_is_not_used_either), CASE(after_a_minute_it_is_urgent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
