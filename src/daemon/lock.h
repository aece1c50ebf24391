/* SPDX-License-Identifier: Apache-2.0 */
/* Where the state is, and who owns it: one davyd at a time, by a lock on the directory itself. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

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

/* The file system that the directory is on, or would be; 0: not known. */
dev_t state_device(const char *directory);

/* Whether a ledger.db is in it. */
bool state_has_ledger(const char *directory);
