/* SPDX-License-Identifier: Apache-2.0 */
/* Commands over a unix socket: a line of text each way. Both ends. Thread: one. */
#pragma once

#include "base/buf.h"
#include "sim/sim.h"

struct davy_sim_control;

/*
 * Listen at `path`; a socket that nobody serves is replaced.
 * why       receives the reason, in words
 * returns   0 or a negative errno
 */
int davy_sim_control_open(struct davy_sim *sim, const char *path, struct davy_buf *why,
                          struct davy_sim_control **ret) DAVY_MUST_CHECK;

/* Close, remove the socket. Accepts NULL. */
void davy_sim_control_free(struct davy_sim_control *control);

/*
 * The other end: send one command, wait up to 5 s for its reply, print it.
 * returns   the exit status: 0 for a reply "ok …", else 1
 */
int davy_sim_control_send(const char *path, const char *command);
