/* SPDX-License-Identifier: Apache-2.0 */
/* One request: its device answers, faults spoil the reply, the line carries it. Thread: one. Never blocks. */
#pragma once

#include "sim/channel.h"

void davy_sim_serve(struct davy_sim *sim, struct davy_sim_channel *channel, const struct davy_sim_frame *frame);
