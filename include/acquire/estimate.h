/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a bus will carry, before it runs: characters, turn-around and silences (Modbus over
 * Serial Line V1.02, 2.5.1.1), summed. Pure. Thread: any.
 */
#pragma once

#include "model/config.h"

/* Assumed of devices on a line until it is measured: usual of sensors. */
#define DAVY_ESTIMATE_TURN_AROUND ((davy_span){20 * DAVY_NS_PER_MS})

/*
 * Time that one request takes on its bus: characters, silences, the assumed turn-around. TCP: a round trip of 1 ms.
 */
davy_span davy_estimate_request(const struct davy_config *config, const struct davy_request *request);

/* Planned share of the time of its busiest connection, 1.0 is full: sum of request time over interval. */
double davy_estimate_utilization(const struct davy_config *config, uint32_t bus);

/* More dead devices than that are counted as so many. */
#define DAVY_ESTIMATE_DEAD_MAX 64

/* Give each request its connection and its detection times. */
void davy_estimate_fill(struct davy_config *config);

/*
 * The longest time from a step at the sensor's register to its reading, for one request. The step comes just after the
 * register was read: one interval, and from when it is due again the longest time to its reply. That is all reads of
 * the connection that earliest-deadline-first may take before it, the one that is going on, and `dead` other devices
 * (those that hold the bus longest) that fall silent at that moment: the first miss of each, of several all three until
 * they are only probed (a line where they come and go may be taken for a noisy one), what the account for retries and
 * probes holds, and the tenth of the time that it grows by (acquire/quarantine.h). Devices that answer take the assumed
 * turn-around, none is slow (acquire/quarantine.h); what people ask for meanwhile is not in it, at most one exchange
 * (acquire/poller.h). Where a bus is all but full the waiting of hours or days is rounded up; never more than ten
 * years.
 */
davy_span davy_estimate_detection(const struct davy_config *config, const struct davy_request *request, unsigned dead);

/* The request that reads this point; NULL where none does. */
const struct davy_request *davy_estimate_request_of(const struct davy_config *config, uint32_t point);

/* How many other devices are read on the connection of this point. */
unsigned davy_estimate_neighbours(const struct davy_config *config, uint32_t point);
