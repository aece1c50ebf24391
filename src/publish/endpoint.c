/* SPDX-License-Identifier: Apache-2.0 */
#include "publish/endpoint.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/num.h"

static const struct scheme {
    const char *prefix;
    const char *paho;
    const char *port;
    bool tls;
} schemes[] = {
    {"mqtt://", "tcp://", "1883", false},
    {"mqtts://", "ssl://", "8883", true},
};

static const struct scheme *scheme_of(const char *url)
{
    for (size_t i = 0; i < DAVY_LENGTH(schemes); i++)
        if (strncmp(url, schemes[i].prefix, strlen(schemes[i].prefix)) == 0)
            return &schemes[i];
    return NULL;
}

/* Length of the host with its brackets at the start of HOST[:PORT], or 0. */
static size_t host_length(const char *address)
{
    if (address[0] != '[')
        return strcspn(address, ":");
    const char *end = strchr(address, ']');
    return end && end > address + 1 ? (size_t)(end - address) + 1 : 0;
}

int davy_endpoint_parse(const char *url, struct davy_endpoint *ret)
{
    const struct scheme *scheme = scheme_of(url);
    if (!scheme)
        return -EINVAL;
    const char *address = url + strlen(scheme->prefix);
    size_t host = host_length(address);
    const char *port = address[host] == '\0' ? scheme->port : address + host + 1;
    int64_t number;
    if (host == 0 || strpbrk(address, "/?#@ ") || (address[host] != '\0' && address[host] != ':') ||
        davy_int_parse(port, &number) < 0 || number < 1 || number > 65535)
        return -EINVAL;
    struct davy_endpoint endpoint = {.tls = scheme->tls};
    int length =
        snprintf(endpoint.url, sizeof endpoint.url, "%s%.*s:%d", scheme->paho, (int)host, address, (int)number);
    if (length < 0 || (size_t)length >= sizeof endpoint.url)
        return -EINVAL;
    const size_t brackets = address[0] == '[' ? 1 : 0;
    snprintf(endpoint.host, sizeof endpoint.host, "%.*s", (int)(host - 2 * brackets), address + brackets);
    *ret = endpoint;
    return 0;
}

static bool is_credential(const char *path)
{
    const char *directory = getenv("CREDENTIALS_DIRECTORY");
    size_t length = directory ? strlen(directory) : 0;
    return length > 0 && strncmp(path, directory, length) == 0 && path[length] == '/' && !strstr(path, "/../");
}

static int fail(char *error, const char *what, const char *path, const char *why)
{
    snprintf(error, DAVY_ENDPOINT_ERROR_SIZE, "%s %.100s: %.40s", what, path, why);
    return -EACCES;
}

static int fail_errno(char *error, const char *what, const char *path)
{
    int rc = -errno;
    (void)fail(error, what, path, strerror(-rc));
    return rc;
}

int davy_endpoint_check_secret(const char *path, char *error)
{
    struct stat status;
    if (stat(path, &status) < 0)
        return fail_errno(error, "secret", path);
    if (!is_credential(path) && (status.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        return fail(error, "secret", path, "others can read it, wants mode 0600");
    return 0;
}

static int read_first_line(const char *path, char *ret_line, char *error)
{
    char line[DAVY_ENDPOINT_SECRET_SIZE];
    DAVY_AUTO_FILE FILE *file = fopen(path, "re");
    if (!file)
        return fail_errno(error, "secret", path);
    if (!fgets(line, sizeof line, file))
        line[0] = '\0';
    line[strcspn(line, "\r\n")] = '\0';
    memcpy(ret_line, line, sizeof line);
    explicit_bzero(line, sizeof line);
    return 0;
}

/* Of the settings, else the service credential where there is one; NULL: none. */
static const char *password_path(const struct davy_mqtt *mqtt, char credential[PATH_MAX])
{
    const char *directory = getenv("CREDENTIALS_DIRECTORY");
    if (mqtt->password_file || !directory)
        return mqtt->password_file;
    snprintf(credential, PATH_MAX, "%s/mqtt-password", directory);
    return access(credential, F_OK) == 0 ? credential : NULL;
}

int davy_endpoint_password(const struct davy_mqtt *mqtt, char *ret_password, char *error)
{
    char credential[PATH_MAX];
    const char *path = password_path(mqtt, credential);
    ret_password[0] = '\0';
    if (!path)
        return 0;
    int rc = davy_endpoint_check_secret(path, error);
    return rc < 0 ? rc : read_first_line(path, ret_password, error);
}

int davy_endpoint_check_files(const struct davy_mqtt *mqtt, char *error)
{
    if (mqtt->ca_file && access(mqtt->ca_file, R_OK) < 0)
        return fail_errno(error, "ca_file", mqtt->ca_file);
    if (mqtt->cert_file && access(mqtt->cert_file, R_OK) < 0)
        return fail_errno(error, "cert_file", mqtt->cert_file);
    return mqtt->key_file ? davy_endpoint_check_secret(mqtt->key_file, error) : 0;
}

/* FNV-1a, only to tell one state of the files from another. */
static uint64_t mix(uint64_t hash, uint64_t value)
{
    for (int byte = 0; byte < 8; byte++)
        hash = (hash ^ (value >> 8 * byte & 0xFF)) * UINT64_C(0x100000001b3);
    return hash;
}

uint64_t davy_endpoint_fingerprint(const struct davy_mqtt *mqtt)
{
    char credential[PATH_MAX];
    const char *const paths[] = {mqtt->ca_file, mqtt->cert_file, mqtt->key_file, password_path(mqtt, credential)};
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < DAVY_LENGTH(paths); i++) {
        struct stat status = {0};
        if (paths[i])
            (void)!stat(paths[i], &status); /* zero where there is none */
        hash = mix(mix(hash, status.st_dev), status.st_ino);
        hash = mix(mix(hash, (uint64_t)status.st_size), (uint64_t)status.st_mtim.tv_sec);
        hash = mix(hash, (uint64_t)status.st_mtim.tv_nsec);
    }
    return hash;
}
