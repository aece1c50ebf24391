/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the service manager is told, and what it asks for: the datagrams of sd_notify(3) and the environment of
 * sd_watchdog_enabled(3), which systemd promises to keep. Without $NOTIFY_SOCKET nothing is sent. Any thread.
 *
 * The first message opens a socket that is kept: a process that runs out of descriptors later can still be heard.
 */
#pragma once

#include "base/clock.h"

/*
 * Send the state.
 * state     NAME=VALUE lines with a newline between them, such as "READY=1\nSTATUS=running"
 * returns   0: sent; -ENOTCONN: no manager listens; another negative errno
 */
int davy_notify(const char *state);

/*
 * A reload begins; READY=1 ends it. Carries the clock that Type=notify-reload compares (CLOCK_MONOTONIC). Like above.
 */
int davy_notify_reloading(void);

/* How long the manager waits for WATCHDOG=1 of this process before it restarts it; ns = 0: it does not watch. */
davy_span davy_notify_watchdog(void);
