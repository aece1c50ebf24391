/* SPDX-License-Identifier: Apache-2.0 */
/* TLS as the contract wants it, and why it failed. */
#include <stdio.h>
#include <string.h>

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
