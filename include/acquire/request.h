/* SPDX-License-Identifier: Apache-2.0 */
/* The request planner: from points to the fewest register reads. Pure but for the memory of the configuration. */
#pragma once

#include "base/attr.h"
#include "model/config.h"

/*
 * Fill config->requests (grouped by bus in order, then device in order). Points of one device, table and interval are
 * joined where the gap costs less than a request, within the device's max_gap and max_registers (bits: 16
 * times as many, at most 2000). Status words go into the request of the points that they qualify where they fit, else
 * into requests of their own, first. A value is never split. Devices that are not enabled get none.
 * Each gets its detection times.
 * returns   0 or -ENOMEM
 */
int davy_requests_plan(struct davy_config *config) DAVY_MUST_CHECK;
