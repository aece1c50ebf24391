/* SPDX-License-Identifier: Apache-2.0 */
/* The request planner: from points to the fewest register reads. Pure but for the memory of the configuration. */
#pragma once

#include "base/attr.h"
#include "model/config.h"

/*
 * Fill config->requests (grouped by bus in order, then device in order). Of the points of one device, table and
 * interval the cut is taken that needs the least bus time by davy_estimate_request() within the device's max_gap and
 * max_registers (bits: 16 times as many, at most 2000): a gap is read where it costs less than one request more, so
 * below (13 Tc + turn-around + silence) / 2 Tc registers. A status word of a point goes into the point's request where
 * those limits allow it, also where that costs up to one request more; one of the device where that is cheapest. Other
 * requests for status words go first. A value is never split. Devices that are not enabled get none.
 * Each gets its detection times.
 * returns   0 or -ENOMEM
 */
int davy_requests_plan(struct davy_config *config) DAVY_MUST_CHECK;
