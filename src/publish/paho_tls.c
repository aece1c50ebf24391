/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS as the contract wants it, and why it failed. paho 1.3.12 hides its TLS connection and says only that a connect
 * failed. OpenSSL tells of each new connection (ex_data), and lets a caller stand around its own verification.
 */
#include <ctype.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "publish/paho.h"

/*
 * The reason alone of OpenSSL's line
 * "C0E6…:error:0A000086:SSL routines:tls_post_process_server_certificate:certificate verify failed:../ssl/….c:1889:"
 */
static int on_tls_error(const char *text, size_t length, void *context)
{
    struct paho *paho = context;
    const char *reason = text, *end = text + strnlen(text, length);
    for (int field = 0; field < 5; field++) {
        const char *colon = memchr(reason, ':', (size_t)(end - reason));
        if (!colon)
            break;
        reason = colon + 1;
    }
    size_t size = (size_t)(end - reason);
    const char *stop = memchr(reason, ':', size);
    snprintf(paho->tls_error, sizeof paho->tls_error, "%.*s", (int)(stop ? (size_t)(stop - reason) : size), reason);
    return 1;
}

/* ---- what is wrong with the server's certificate, on paho's threads ---- */

/* A name out of a stranger's certificate: printable characters only. */
static void name_of(X509_NAME *name, char *text, size_t size)
{
    int length = X509_NAME_get_text_by_NID(name, NID_commonName, text, (int)size);
    if (length <= 0)
        snprintf(text, size, "one without a name");
    for (char *c = text; *c; c++)
        if (!isprint((unsigned char)*c))
            *c = '?';
}

static davy_wall time_of(const ASN1_TIME *time)
{
    struct tm tm;
    return ASN1_TIME_to_tm(time, &tm) == 1 ? (davy_wall){(int64_t)timegm(&tm) * DAVY_NS_PER_S} : (davy_wall){0};
}

static void say_unknown(struct paho *paho, X509 *certificate)
{
    char issuer[64];
    name_of(X509_get_issuer_name(certificate), issuer, sizeof issuer);
    snprintf(paho->certificate_error, sizeof paho->certificate_error,
             "its certificate is of an unknown authority, %s: look at ca_file", issuer);
}

static void say_expired(struct paho *paho, X509 *certificate)
{
    char name[64], text[DAVY_WALL_TEXT];
    name_of(X509_get_subject_name(certificate), name, sizeof name);
    snprintf(paho->certificate_error, sizeof paho->certificate_error, "the certificate of %s has expired at %s", name,
             davy_wall_format(time_of(X509_get0_notAfter(certificate)), text));
}

static void say_early(struct paho *paho, X509 *certificate)
{
    char name[64], text[DAVY_WALL_TEXT];
    name_of(X509_get_subject_name(certificate), name, sizeof name);
    snprintf(paho->certificate_error, sizeof paho->certificate_error,
             "the certificate of %s is not yet valid, only from %s on: is our clock right?", name,
             davy_wall_format(time_of(X509_get0_notBefore(certificate)), text));
}

static void say_why(struct paho *paho, X509_STORE_CTX *store)
{
    const int error = X509_STORE_CTX_get_error(store);
    X509 *certificate = X509_STORE_CTX_get_current_cert(store);
    certificate = certificate ? certificate : X509_STORE_CTX_get0_cert(store);
    switch (error) {
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        say_unknown(paho, certificate);
        break;
    case X509_V_ERR_CERT_HAS_EXPIRED:
        say_expired(paho, certificate);
        break;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        say_early(paho, certificate);
        break;
    default:
        snprintf(paho->certificate_error, sizeof paho->certificate_error, "its certificate: %s",
                 X509_verify_cert_error_string(error));
    }
}

/* The first DNS name that a certificate is for, else its common name. */
static void first_name(X509 *certificate, char *text, size_t size)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    name_of(X509_get_subject_name(certificate), text, size);
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type != GEN_DNS)
            continue;
        snprintf(text, size, "%.*s", ASN1_STRING_length(name->d.dNSName),
                 (const char *)ASN1_STRING_get0_data(name->d.dNSName));
        break;
    }
    for (char *c = text; *c; c++)
        if (!isprint((unsigned char)*c))
            *c = '?';
    GENERAL_NAMES_free(names);
}

/* paho compares the host name itself, after the handshake, and says nothing. */
static void check_host(struct paho *paho, X509 *certificate)
{
    char name[64];
    if (!paho->host[0] || X509_check_host(certificate, paho->host, 0, 0, NULL) == 1 ||
        X509_check_ip_asc(certificate, paho->host, 0) == 1)
        return;
    first_name(certificate, name, sizeof name);
    snprintf(paho->certificate_error, sizeof paho->certificate_error, "its certificate is for %s, not for %.60s", name,
             paho->host);
}

static int judge(X509_STORE_CTX *store, void *context)
{
    struct paho *paho = context;
    const int verdict = X509_verify_cert(store);
    X509 *certificate = X509_STORE_CTX_get0_cert(store);
    ERR_set_mark(); /* what the looking around leaves behind is no error of the connection */
    if (verdict <= 0) {
        say_why(paho, store);
    } else if (certificate) {
        paho->certificate_end = time_of(X509_get0_notAfter(certificate));
        check_host(paho, certificate);
    }
    ERR_pop_to_mark();
    return verdict;
}

/* CRYPTO_EX_new: a TLS connection comes into being. */
static void on_new_tls(void *connection, void *place, CRYPTO_EX_DATA *data, int index, long number, void *context)
{
    SSL_CTX *settings = SSL_get_SSL_CTX(connection);
    (void)place, (void)data, (void)index, (void)number;
    if (settings)
        SSL_CTX_set_cert_verify_callback(settings, judge, context);
}

/* ---- the publisher's side ---- */

void davy_paho_watch_tls(struct paho *paho)
{
    if (paho->witness > 0)
        return;
    const int index = CRYPTO_get_ex_new_index(CRYPTO_EX_INDEX_SSL, 0, paho, on_new_tls, NULL, NULL);
    paho->witness = index > 0 ? index : 0;
}

void davy_paho_unwatch_tls(struct paho *paho)
{
    if (paho->witness > 0)
        CRYPTO_free_ex_index(CRYPTO_EX_INDEX_SSL, paho->witness);
    paho->witness = 0;
}

void davy_paho_set_tls(struct paho *paho, MQTTAsync_SSLOptions *ret_options)
{
    const struct davy_mqtt *mqtt = paho->mqtt;
    *ret_options = (MQTTAsync_SSLOptions)MQTTAsync_SSLOptions_initializer;
    ret_options->enableServerCertAuth = 1;
    ret_options->verify = 1; /* the host name; paho's default is not to look */
    ret_options->trustStore = mqtt->ca_file;
    ret_options->disableDefaultTrustStore = mqtt->ca_file ? 1 : 0;
    ret_options->keyStore = mqtt->cert_file;
    ret_options->privateKey = mqtt->key_file;
    ret_options->ssl_error_cb = on_tls_error;
    ret_options->ssl_error_context = paho;
}
