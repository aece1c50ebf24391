/* SPDX-License-Identifier: Apache-2.0 */
#include "publish/rotation.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "publish/certificate.h"
#include "publish/endpoint.h"

void davy_rotation_connect(struct davy_rotation *rotation, const struct davy_mqtt *mqtt, davy_mono now)
{
    const uint64_t files = davy_endpoint_fingerprint(mqtt);
    *rotation = (struct davy_rotation){
        .used = files, .seen = files, .look_at = davy_mono_add(now, davy_span_s(DAVY_ROTATION_LOOK_S))};
}

static bool are_fit(struct davy_rotation *rotation, const struct davy_mqtt *mqtt)
{
    char error[DAVY_ENDPOINT_ERROR_SIZE];
    int rc = davy_endpoint_check_files(mqtt, error);
    if (rc == 0 && mqtt->cert_file && mqtt->key_file) {
        rc = davy_certificate_fits(mqtt->cert_file, mqtt->key_file);
        snprintf(error, sizeof error, "%.120s: %s", mqtt->cert_file, rc < 0 ? strerror(-rc) : "");
    }
    if (rc < 0 && rotation->unfit != rotation->seen)
        davy_warning("mqtt", "changed files are not used yet, the connection stays: %s", error);
    if (rc < 0)
        rotation->unfit = rotation->seen;
    return rc == 0;
}

static void look(struct davy_rotation *rotation, const struct davy_mqtt *mqtt, davy_mono now)
{
    const uint64_t files = davy_endpoint_fingerprint(mqtt);
    const bool settled = files == rotation->seen;
    rotation->look_at = davy_mono_add(now, davy_span_s(DAVY_ROTATION_LOOK_S));
    rotation->seen = files;
    if (files == rotation->used || !settled || !are_fit(rotation, mqtt))
        rotation->ready_at = (davy_mono){0};
    else if (rotation->ready_at.ns == 0)
        rotation->ready_at = now;
}

bool davy_rotation_due(struct davy_rotation *rotation, const struct davy_mqtt *mqtt, davy_mono now, bool *ret_urgent)
{
    if (now.ns >= rotation->look_at.ns)
        look(rotation, mqtt, now);
    if (rotation->ready_at.ns == 0)
        return false;
    *ret_urgent = davy_mono_sub(now, rotation->ready_at).ns >= DAVY_ROTATION_PATIENCE_S * DAVY_NS_PER_S;
    return true;
}
