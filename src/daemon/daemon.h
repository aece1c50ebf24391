/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The main thread: signals, control socket, reload, watchdog, and what the gateway says of itself. Nothing in it waits
 * for a stage. Constructed in order, destroyed in reverse.
 */
#pragma once

#include "daemon/options.h"

/* Run until stopped. Returns an exit status of daemon/options.h. */
int daemon_run(const struct options *options);
