/* SPDX-License-Identifier: Apache-2.0 */
/* What differs between two configurations, as a sorted walk over their settings. Pure. Thread: any. */
#pragma once

#include <stddef.h>

#include "model/config.h"

/* A setting that was added (old NULL), removed (new NULL) or changed. The text belongs to the configurations. */
struct davy_change {
    const char *path;
    const char *old;
    const char *new;
};

/*
 * Call `each` for every change, ascending by path.
 * returns   the number of changes
 */
size_t davy_config_diff(const struct davy_config *from, const struct davy_config *to,
                        void (*each)(void *context, const struct davy_change *change), void *context);

/* What puts a change into effect. */
enum davy_effect {
    DAVY_EFFECT_RELOAD,
    DAVY_EFFECT_BUS,     /* a reload, which opens the bus anew */
    DAVY_EFFECT_MQTT,    /* a reload, which connects to the broker anew */
    DAVY_EFFECT_RESTART, /* a reload is refused */
    DAVY_EFFECT_COUNT_
};

/* `change` is one between these two. */
enum davy_effect davy_change_effect(const struct davy_config *from, const struct davy_config *to,
                                    const struct davy_change *change);

/*
 * Whether the settings of a bus (by value, not by index) are the same, so that its connection can stay.
 */
bool davy_config_same_bus(const struct davy_bus *a, const struct davy_bus *b);

/* Whether the connection to the broker can stay. */
bool davy_config_same_mqtt(const struct davy_mqtt *a, const struct davy_mqtt *b);
