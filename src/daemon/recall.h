/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What alarms were before the start: the recorder reads it from the ledger, and it goes to main, which waits for it a
 * while before the evaluator starts; or, where the disk is slow or away, to the evaluator that runs by then
 * (ASK_RESTORE).
 */
#pragma once

#include <stdatomic.h>

#include "daemon/disk.h"
#include "daemon/route.h"
#include "daemon/standing.h"

struct recall {
    struct route *route;
    struct disk *disk;
    struct standing *standing;
    struct ask memories;       /* read, and not passed on yet */
    atomic_int state;          /* who passes them on: see recall.c */
    struct davy_waker settled; /* rung when that is decided */
    bool done;                 /* they were read */
};

/*
 * Keeps the pointers. returns 0 or a negative errno; recall_done() in both cases, and where it was never called and is
 * all 0
 */
int recall_init(struct recall *recall, struct route *route, struct disk *disk,
                struct standing *standing) DAVY_MUST_CHECK;
void recall_done(struct recall *recall);

/*
 * Recorder, at its start: read them. ledger: NULL while it cannot be opened. Then, with all known that main judges by,
 * settle.
 */
void recall_begin(struct recall *recall, struct davy_ledger *ledger, const struct davy_config *config);
void recall_settle(struct recall *recall);

/* Recorder, until they are read: the ledger is here now. */
void recall_late(struct recall *recall, struct davy_ledger *ledger, const struct davy_config *config);

/*
 * main, once: each memory, as soon as the recorder has read them; none where it cannot.
 * returns   false where it took longer than `patience`: the running evaluator will get them
 */
bool recall_await(struct recall *recall, davy_span patience,
                  void (*each)(void *context, const struct davy_alarm_memory *memory), void *context) DAVY_MUST_CHECK;
