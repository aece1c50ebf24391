/* SPDX-License-Identifier: Apache-2.0 */
/* Lines as the outside sees them: TCP listeners, ptys and their links. Thread: one. */
#pragma once

#include "base/buf.h"
#include "sim/sim.h"

/*
 * Open the line with this index and say so on standard output.
 * why       receives the reason, in words, when there is one
 * returns   0 or a negative errno
 */
int davy_sim_line_open(struct davy_sim *sim, size_t index, struct davy_buf *why) DAVY_MUST_CHECK;

/*
 * Close lines that were unplugged since, with their connections; open those whose time has come. One that does not open
 * is tried again a second later.
 */
void davy_sim_line_follow(struct davy_sim *sim);

/* Close listeners, remove links that are still ours. Channels are closed by their own module. */
void davy_sim_line_close_all(struct davy_sim *sim);
