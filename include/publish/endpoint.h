/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to the floor `publish`: where the broker is and with which secrets, as far as it needs no MQTT library.
 * Thread: any. Blocks on the file system only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "model/config.h"

#define DAVY_ENDPOINT_URL_SIZE    512
#define DAVY_ENDPOINT_SECRET_SIZE 1024
#define DAVY_ENDPOINT_ERROR_SIZE  160

struct davy_endpoint {
    bool tls;
    char url[DAVY_ENDPOINT_URL_SIZE];  /* paho's form, tcp://HOST:PORT or ssl://HOST:PORT */
    char host[DAVY_ENDPOINT_URL_SIZE]; /* without port and brackets */
};

/*
 * Read mqtt://HOST[:PORT] or mqtts://HOST[:PORT]; an IPv6 address stands in brackets. Ports 1883 and 8883 by default.
 * returns   0 or -EINVAL, with *ret untouched
 */
int davy_endpoint_parse(const char *url, struct davy_endpoint *ret) DAVY_MUST_CHECK;

/*
 * A file with a secret must be there and be readable by its owner only, unless it is a service credential (below
 * $CREDENTIALS_DIRECTORY, where the service manager guards it).
 * error     DAVY_ENDPOINT_ERROR_SIZE bytes: a sentence with the path where the result is not 0
 * returns   0, -EACCES (others can read it, or we cannot), or the negative errno of stat(2)
 */
int davy_endpoint_check_secret(const char *path, char *error) DAVY_MUST_CHECK;

/*
 * The first line of password_file, or of the service credential mqtt-password.
 * ret_password   DAVY_ENDPOINT_SECRET_SIZE bytes; empty when there is neither
 * returns        0 or a negative errno, with a sentence in `error`
 */
int davy_endpoint_password(const struct davy_mqtt *mqtt, char *ret_password, char *error) DAVY_MUST_CHECK;

/* All files of the settings that must be there, for a clear sentence before TLS says nothing. 0 or a negative errno. */
int davy_endpoint_check_files(const struct davy_mqtt *mqtt, char *error) DAVY_MUST_CHECK;

/*
 * A number that is another one when any of the settings' files (authority, certificate, key, password) is another one
 * than before, by device, inode, size and time of change; a file that is missing counts as one.
 */
uint64_t davy_endpoint_fingerprint(const struct davy_mqtt *mqtt);
