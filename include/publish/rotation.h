/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to the floor `publish`: whether certificate, key, authority or password on disk are others than those that
 * the connection was made with. A change counts when it has stood from one look to the next, since a certificate and
 * its key are two files, and when key and certificate belong together: a connection that works is not given up for
 * files that cannot. Thread: the publisher's. Blocks on the file system only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "model/config.h"

/* How often the files are looked at. */
#define DAVY_ROTATION_LOOK_S 10

/* So long at most a changed file waits for a calm moment. */
#define DAVY_ROTATION_PATIENCE_S 60

struct davy_rotation {
    uint64_t used;  /* fingerprint at the connect */
    uint64_t seen;  /* at the last look */
    uint64_t unfit; /* what was complained about */
    davy_mono look_at;
    davy_mono ready_at; /* when the change was found good; ns = 0: there is none */
};

/* A connect begins, with the files as they are. */
void davy_rotation_connect(struct davy_rotation *rotation, const struct davy_mqtt *mqtt, davy_mono now);

/* Whether a new connect should be made at a calm moment; *ret_urgent: now, in any case. Looks at most each LOOK_S. */
bool davy_rotation_due(struct davy_rotation *rotation, const struct davy_mqtt *mqtt, davy_mono now, bool *ret_urgent);
