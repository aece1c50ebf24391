/* SPDX-License-Identifier: Apache-2.0 */
/* Who owns a state directory: one davyd at a time, by a lock on the directory itself. */
#pragma once

/* A state directory and the descriptor that holds its lock; below 0: not held. */
struct state_place {
    const char *directory;
    int lock;
};

/*
 * Create the directory where it is missing, and take its lock.
 * returns   a descriptor to keep open; -EWOULDBLOCK when another process has it; or a negative errno
 */
int state_lock(const char *directory);
