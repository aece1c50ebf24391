/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a person does: acknowledge, reset, shelve, take out of service, inhibit, and back. Each action, done or refused,
 * is answered and goes into the audit. Part of the evaluator; its thread.
 */
#pragma once

#include "daemon/route.h"
#include "decode/decode.h"

/* What the actions work on, lent for one call. */
struct operate {
    struct route *route;
    const struct davy_config *config;
    struct davy_engine *engine;
    struct davy_decoder *decoder;
    void (*record)(void *context, struct record *record); /* takes what it owns */
    void (*point)(void *context, uint32_t point);         /* what the decoder keeps of a point may have changed */
    void (*devices)(void *context);                       /* likewise of a device */
    void *context;
};

/* Whether the verb is an action. */
bool operate_knows(enum davy_verb verb);

/* Do it, record it and answer. operate_knows() must hold of its verb. */
void operate_take(const struct operate *operate, const struct ask *ask);
