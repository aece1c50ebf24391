/* SPDX-License-Identifier: Apache-2.0 */
/* What the process asks of the kernel before it does anything else. Main thread, before there are others. */
#pragma once

#include <signal.h>
#include <stddef.h>

#include "model/config.h"

/*
 * Memory that is not used is not kept; signals that main takes are blocked, others that would end or stop the process
 * for nothing are ignored; descriptors 0 to 2 exist, so that no database becomes standard error; no core, no debugger
 * of the same user; files are not for others; no proxy.
 */
void process_prepare(void);

/* SIGTERM, SIGINT, SIGHUP: taken by the main loop, blocked in every thread. */
sigset_t process_signals(void);

/* Descriptors that this configuration may have open at once. */
size_t process_descriptors(const struct davy_config *config);

/*
 * Set the limit of open descriptors: as high as allowed, and below what select(), which the Modbus library uses, can
 * bear. What is missing is said: it must not come up in the middle of an incident. Returns whether there are enough.
 */
bool process_limit_descriptors(const struct davy_config *config);
