/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the ledger share: statements, and the state that a rollback restores. Private to this floor. */
#pragma once

#include "chain.h"
#include "db.h"
#include "mark.h"
#include "record/ledger.h"

enum ledger_statement {
    LEDGER_EVENT_INSERT,
    LEDGER_EVENT_SAME,
    LEDGER_EVENT_SENT,
    LEDGER_EVENT_NEXT,
    LEDGER_CONFIRM,
    LEDGER_DELIVER,
    LEDGER_ACKNOWLEDGED_COUNT,
    LEDGER_ACKNOWLEDGED_NEXT,
    LEDGER_TOPIC_UPSERT,
    LEDGER_TOPIC_PLACE,
    LEDGER_LATEST_UPSERT,
    LEDGER_LATEST_DELETE,
    LEDGER_LATEST_GET,
    LEDGER_SNAPSHOT,
    LEDGER_LATEST_TOPICS,
    LEDGER_LATEST_NEXT,
    LEDGER_ENDED_NEXT,
    LEDGER_OUTBOX_REVIVE,
    LEDGER_OUTBOX_INSERT,
    LEDGER_OUTBOX_NEXT,
    LEDGER_OUTBOX_DUE,
    LEDGER_OUTBOX_GET,
    LEDGER_OUTBOX_DELETE,
    LEDGER_OUTBOX_REFUSE,
    LEDGER_OUTBOX_HOLD,
    LEDGER_OUTBOX_UNPARK,
    LEDGER_OUTBOX_PARKED,
    LEDGER_OUTBOX_FIRST,
    LEDGER_OUTBOX_UNSENT,
    LEDGER_PENDING_OLDEST,
    LEDGER_MEMORY_UPSERT,
    LEDGER_MEMORY_DELETE,
    LEDGER_MEMORY_ALL,
    LEDGER_ACTION_INSERT,
    LEDGER_ACTION_ISSUED,
    LEDGER_ACTION_LOADED,
    LEDGER_LOSS_ALL,
    LEDGER_LOSS_SET,
    LEDGER_CHAIN_SET,
    LEDGER_HEAD_SET,
    LEDGER_TALLY_SET,
    LEDGER_PRUNE_EVENT_FIND,
    LEDGER_PRUNE_EVENT_DATED,
    LEDGER_PRUNE_EVENT_KEEP,
    LEDGER_PRUNE_EVENT_DELETE,
    LEDGER_PRUNE_ACTION_FIND,
    LEDGER_PRUNE_ACTION_DATED,
    LEDGER_PRUNE_ACTION_DELETE,
    LEDGER_STATEMENT_COUNT_
};

/* The end of a chain: sequence number and hash of its last row. */
struct ledger_chain {
    int64_t seq;
    uint8_t hash[DAVY_HASH_SIZE];
};

/* Bytes of the reason of a sum of losses; what does not fit is left out. */
#define LEDGER_WHY_SIZE 256

/* A sum of losses of one kind. 0: not known. */
struct ledger_loss {
    int64_t count;
    int64_t from_us;
    int64_t to_us;
    int64_t from_seq;
    int64_t to_seq;
    char why[LEDGER_WHY_SIZE];
};

/* What became of the events up to the row that the strand starts after. */
struct ledger_tally {
    int64_t delivered;
    int64_t unsent; /* were not to be sent */
    int64_t lost;
};

struct ledger_state {
    struct ledger_chain events;
    struct ledger_chain actions;
    struct ledger_tally tally;
    int64_t outbox_count;
    int64_t lost[DAVY_LOSS_COUNT_];               /* since the file began, with what waits */
    struct ledger_loss waiting[DAVY_LOSS_COUNT_]; /* in no row of the actions yet */
    int64_t confirmed_seq;                        /* the platform's watermark */
    int64_t asked_seq;                            /* up to here the platform is not asked */
    bool platform;                                /* to whom events are delivered */
    int64_t unconfirmed;                          /* acknowledged events beyond both */
};

struct davy_ledger {
    struct davy_db db;
    char directory[DAVY_DB_PATH];
    davy_wall opened;
    struct ledger_state committed;
    struct ledger_state now; /* with what the running transaction did */
    char *text;              /* topic and payload of the row handed out last */
    size_t text_size;
    struct ledger_mark mark;                       /* as it is on the disk */
    struct ledger_loss declared[DAVY_LOSS_COUNT_]; /* in no commit yet */
    int64_t attempted[DAVY_LOSS_COUNT_];           /* what of it the last commit had */
    davy_mono row_due[DAVY_LOSS_COUNT_];           /* not before this the next row of that kind */
    struct davy_stamp told;                        /* the latest time that was told */
    bool renewed;                                  /* nothing is committed in the new file yet by who has to know */
};

extern const struct davy_db_schema davy_ledger_schema;

/* An outbox row belongs to an event: the event itself, then the clearing of its topic. Never reused, ascending. */
static inline int64_t ledger_row(int64_t seq, bool clear)
{
    return 2 * seq + (clear ? 1 : 0);
}

/* Open the file and read its state. */
int davy_ledger_open_file(struct davy_ledger *ledger);

/* What the open file says of its ends, sums and outbox. 0 or an error. */
int davy_ledger_load(struct davy_ledger *ledger);

/* Note the end of a strand in head or chain; both where they moved in this transaction. */
int davy_ledger_put_end(struct davy_ledger *ledger, enum ledger_statement which, const char *name,
                        const struct ledger_chain *end);
int davy_ledger_put_heads(struct davy_ledger *ledger);

/*
 * After the first opening: a file that is damaged, or older than its mark, is set aside; in a new one the numbers go on
 * after the ledger that was set aside last, now or before. ret_renewed: so it was.
 */
int davy_ledger_found(struct davy_ledger *ledger, bool damaged, bool *ret_renewed);

/* Before a transaction: open anew or replace what does not serve any more. 0, DAVY_LEDGER_RENEWED or an error. */
int davy_ledger_repair(struct davy_ledger *ledger);

/* The sums of losses: read, carried into a new file, put with a commit, and what to do when that succeeded. */
int davy_losses_load(struct davy_ledger *ledger, struct ledger_state *state);
int davy_losses_carry(struct davy_ledger *ledger, const struct ledger_state *before);
int davy_losses_put(struct davy_ledger *ledger);
void davy_losses_done(struct davy_ledger *ledger);

/* The id of the topic, its row in the outbox being the last now. */
int davy_topic_touch(struct davy_ledger *ledger, const char *topic, int64_t last_row, int64_t *ret_id);

/* davy_ledger_act() without the rollback. */
int davy_action_append(struct davy_ledger *ledger, const struct davy_ledger_action *action);

/*
 * The platform's watermark (delivery.c): read, carried into a new file, and what the broker's acknowledgement means to
 * it.
 */
int davy_delivery_load(struct davy_ledger *ledger, struct ledger_state *state);
int davy_delivery_carry(struct davy_ledger *ledger, const struct ledger_state *before);
void davy_delivery_acknowledged(struct davy_ledger *ledger, int64_t seq);

/*
 * One step of a statement whose columns are those of an outbox row, which is copied. 0, DAVY_OUTBOX_EMPTY or an error.
 */
int davy_outbox_step(struct davy_ledger *ledger, sqlite3_stmt *statement, struct davy_outbox_row *ret_row);

/* The only number of a bound statement that gives one row, or 0 where it gives none. 0 or an error. */
int davy_ledger_number(struct davy_ledger *ledger, sqlite3_stmt *statement, int64_t *ret);

/* Roll back for `error`; returns error. */
int davy_ledger_fail(struct davy_ledger *ledger, int error);
