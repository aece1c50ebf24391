/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the recorder knows of its disk: what troubles it, since when it is at work on it, how much space there is and
 * who may have it, and what was lost for want of it. Belongs to the recorder's thread.
 *
 * Space, by need: readings stop at a floor, then the ledger has the rest, then the reserve in steps.
 */
#pragma once

#include "daemon/route.h"
#include "record/ledger.h"
#include "record/readings.h"

/* Lost, and not in the hands of a ledger yet. */
struct disk_loss {
    int64_t count; /* 0: none */
    davy_wall from;
    davy_wall to;
    const char *why;
};

struct disk {
    struct route *route;
    davy_mono told_at;       /* of the trouble in `status` */
    davy_mono space_told_at; /* the same, of the last that was want of space */
    const char *directory;   /* not owned */
    struct recorder_status status;
    struct disk_loss losses[DAVY_LOSS_COUNT_];
    bool owes[DAVY_LOSS_COUNT_]; /* what was lost before the last disk_declare() is in no commit of the ledger yet */
    int64_t reserve;             /* bytes that should be kept */
    int64_t floor;               /* readings stop where less is free */
    int64_t room;                /* that they may take in all; 0: not known yet */
    bool full;                   /* they have stopped */
    bool ours;                   /* the directory is locked; else nothing is opened */
    bool warned;                 /* of a directory in memory */
    uint64_t refused_before;     /* by the queues, as last seen: readings, records */
    uint64_t left_out_before;
};

/* Something is wrong; negative errno, 0: slow. Said once until it changes; the alarm `storage` follows from it. */
void disk_trouble(struct disk *disk, const char *what, int rc);

/* Begins, or goes on with, what may hang: the others see since when. disk_rests() puts the status as well. */
void disk_works(struct disk *disk);
void disk_rests(struct disk *disk);

/* What began at `since` is done: too slow is a trouble. */
void disk_took(struct disk *disk, davy_mono since, davy_span patience, const char *what);

/*
 * Where the directory is ours: space, whether it can be written, or is in memory; keeps the reserve where there is
 * room.
 */
void disk_measure(struct disk *disk);

/* The ledger found no space: whether some of the reserve could be given back, so that another try is worth it. */
bool disk_give_back(struct disk *disk);

/*
 * Count what is lost: a number of the kind, the last of them at `at`. why  a literal
 */
void disk_lose(struct disk *disk, enum davy_loss_kind kind, int64_t count, davy_wall at, const char *why);

/* What the queues refused since the last call is lost; all losses go to the ledger. `ledger` may be NULL: later. */
void disk_declare(struct disk *disk, struct davy_ledger *ledger);
