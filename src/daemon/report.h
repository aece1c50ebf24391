/* SPDX-License-Identifier: Apache-2.0 */
/* What the daemon says of itself: davy.status/1 for the platform and davyctl, davy.config/1 after each load. */
#pragma once

#include "base/buf.h"
#include "config/problems.h"
#include "daemon/pipeline.h"

/* Fill davy.status/1 from the stages' figures. */
void report_status(struct davy_buf *out, struct pipeline *pipeline, bool online);

/* {"ok":true,"status":{…},…} for davyctl status. */
void report_status_reply(struct davy_buf *out, struct pipeline *pipeline, const char *directory);

/*
 * Member "plan" of that reply: of each bus the planned utilization and the devices that are only probed; of
 * the slowest limits the detection times, and how many limits more there are, in seconds, rounded up to milliseconds;
 * of the devices that are slowest to turn around what was measured, and how many more there are.
 */
void report_plan(struct davy_buf *out, struct pipeline *pipeline);

/* Publish a retained state under P/`rest`. */
void report_publish(struct pipeline *pipeline, const char *rest, const char *schema, const char *payload);

/* The farewell of a clean stop. 0 or -ENOMEM. */
int report_farewell(struct pipeline *pipeline, struct davy_message *ret_message) DAVY_MUST_CHECK;

/*
 * Publish davy.config/1, and keep it in the ledger as an action of `by`.
 * from      the configuration before; NULL at the start
 * to        the accepted one; NULL where it was refused: then `problems` says why
 */
void report_config(struct pipeline *pipeline, const struct davy_config *from, const struct davy_config *to,
                   const struct davy_problems *problems, const char *by);
