/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the disk is slower than announce_within, the missed alarm is the greater evil: the event is announced before it
 * is stored, with durable false and seq null (ARCHITECTURE.md, Degraded routes). So is an alarm before which the events
 * of an outage are on their way: it does not queue behind them. Belongs to the evaluator's thread.
 */
#pragma once

#include "daemon/route.h"

struct preview;

int preview_new(struct route *route, struct preview **ret_preview) DAVY_MUST_CHECK;
struct preview *preview_free(struct preview *preview);

/*
 * The event number `ordinal` was handed to the recorder at `now`. All that wait are announced when they are due, in
 * order, as the publisher takes them; of more than ROUTE_RECORDS the oldest come only when they are stored.
 */
void preview_add(struct preview *preview, const struct davy_event *event, uint64_t ordinal, davy_mono now);

/* What is added from now on is under this configuration. Takes a reference. */
void preview_switch(struct preview *preview, const struct davy_config *config);

/* Forget what is stored by now, announce what should be. */
void preview_turn(struct preview *preview, davy_mono now);

davy_mono preview_due(const struct preview *preview);
uint64_t preview_sent(const struct preview *preview);
