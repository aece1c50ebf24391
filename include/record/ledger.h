/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ledger.db: events, their outbox, alarm memory, operator actions, configuration history (ARCHITECTURE.md, Storage).
 * WAL, synchronous=FULL. What davy_ledger_commit() returned 0 for survives a power cut on a disk that honours flushes.
 * One writer: the record stage's thread, all calls but davy_ledger_query_…. Calls block on the disk.
 * Errors are negative errno: -EIO (I/O), -ENOSPC (full), -EUCLEAN (corrupt), -EROFS, -ENOMEM, -EBUSY, -EPROTONOSUPPORT
 * (schema newer than this program), -EINVAL (out of order, not in a transaction). After an error of any call inside a
 * transaction it is rolled back already; it can be done again from memory with a new _begin, which first opens the file
 * anew where the error was of the disk. A commit that failed may turn out to be stored after all: then
 * davy_ledger_last_seq() has moved after that _begin, and appending the very same event once more does nothing.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/clock.h"
#include "model/alarm.h"

struct davy_ledger;

/*
 * Open or create DIRECTORY/ledger.db, migrate forward, check the pragmas by reading them back. A corrupt file is
 * renamed to ledger.db.corrupt-TIME and a new one begun whose first seq follows the last that could be read, or the
 * mark beside the file. A file that is empty although it was there counts as corrupt. A link in place of the file is
 * refused (-ELOOP).
 * ret_set_aside   true where one was set aside; may be NULL
 */
int davy_ledger_open(const char *directory, davy_wall now, bool *ret_set_aside,
                     struct davy_ledger **ret_ledger) DAVY_MUST_CHECK;

/* What an error of opening a database means, for people. A constant text, or that of strerror(). */
const char *davy_ledger_reason(int error);

/* Checkpoint and close. Accepts NULL, returns NULL. */
struct davy_ledger *davy_ledger_close(struct davy_ledger *ledger);

/*
 * Close the file, so that a disk that failed can be taken out and put back: the next davy_ledger_begin() opens it
 * again, and goes on where it was. What is open in a transaction is rolled back.
 */
void davy_ledger_let_go(struct davy_ledger *ledger);

/* The highest seq that is committed; 0 for none. */
int64_t davy_ledger_last_seq(const struct davy_ledger *ledger);

/* The seq that the next davy_ledger_append() of the open transaction must have. */
int64_t davy_ledger_next_seq(const struct davy_ledger *ledger);

/*
 * Outcome of davy_ledger_begin(): the transaction has begun, but in a new file, since the old one was found damaged
 * (and set aside) or was taken away. Seq and hash go on; what was pending and what alarms were, as far as that could be
 * read: store all memories again.
 */
#define DAVY_LEDGER_RENEWED 1

/* 0, DAVY_LEDGER_RENEWED or an error. */
int davy_ledger_begin(struct davy_ledger *ledger) DAVY_MUST_CHECK;
int davy_ledger_commit(struct davy_ledger *ledger) DAVY_MUST_CHECK;
void davy_ledger_rollback(struct davy_ledger *ledger);

/* A row of events; text is copied. NULL and NAN become SQL NULL. */
struct davy_ledger_event {
    int64_t seq; /* must be the next: last in this transaction + 1 */
    davy_wall time;
    const char *id;
    const char *event;
    const char *state;
    const char *level;
    const char *rule;
    const char *zone;
    const char *device;
    const char *point;
    double value;
    double limit;
    const char *by;
    const char *note;
    const char *payload; /* canonical: what is hashed and sent; not NULL */
    const char *topic;   /* NULL: not to be sent, no outbox row */
    const char *alarm;   /* key of the alarm, "RULE:DEVICE.POINT" */
    bool clear;          /* the retained message of `topic` is cleared right after it: one more outbox row */
};

/*
 * In a transaction: the event with its hash (hex SHA-256 of the hash before, 64 zeros at first, followed by payload)
 * and its outbox rows, in order. Where earlier rows of the topic wait after a refusal, they are due again at once, and
 * these rows with them. With state "normal" (or NULL) the alarm leaves the snapshot, else its payload is the alarm's in
 * there.
 */
int davy_ledger_append(struct davy_ledger *ledger, const struct davy_ledger_event *event) DAVY_MUST_CHECK;

/*
 * In a transaction: replace the memory of one alarm. One that says nothing (nil id, state normal, no timer, nothing
 * tripped, no cover, `when` true and not about to change, a member that is well) is deleted.
 */
int davy_ledger_remember(struct davy_ledger *ledger, const struct davy_alarm_memory *memory, struct davy_stamp now,
                         const char *boot_id) DAVY_MUST_CHECK;

/* In a transaction: forget the memory of an alarm that is no longer. */
int davy_ledger_forget(struct davy_ledger *ledger, const char *key) DAVY_MUST_CHECK;

/*
 * In a transaction: the occurrence of an alarm that the configuration does not know any more ends: event `retired` with
 * the next seq, made from the latest payload of the alarm, its retained message cleared, its memory forgotten. Without
 * an occurrence or a cover only the memory goes. 0 or an error.
 */
int davy_ledger_retire(struct davy_ledger *ledger, const struct davy_alarm_memory *memory, davy_wall now,
                       const char *boot_id, const char *config_hash) DAVY_MUST_CHECK;

/* Outcome of davy_ledger_recall(): some could not be read and were left out. */
#define DAVY_LEDGER_PARTLY 1

/*
 * All memories, in order of their keys, their times brought to this boot, so that `now` minus a start is what has run.
 * Down time, by the monotonic clock within one boot, else by the wall clock, 0 where that went backwards, counts for
 * on-delays, the first raise, a `when` that is going true and the end of a shelf; an off-delay and a `when` that is
 * going false stand still. Where the wall clock went backwards a shelf ends at `now`. Wall starts move only where they
 * must, so that start plus delay is the due time; that of the first raise never does.
 * returns   0, DAVY_LEDGER_PARTLY or an error
 */
int davy_ledger_recall(struct davy_ledger *ledger, struct davy_stamp now, const char *boot_id,
                       void (*each)(void *context, const struct davy_alarm_memory *memory),
                       void *context) DAVY_MUST_CHECK;

/* An operator action or a change of configuration, for the audit. In a transaction. All text copied; NULL allowed. */
struct davy_ledger_action {
    davy_wall time;
    const char *by;     /* "local:USER" */
    const char *verb;   /* "ack", "reset", "reload" … */
    const char *target; /* alarm key, file … */
    const char *note;
    const char *result; /* "done" or the reason of refusal */
    const char *detail; /* JSON or NULL: for a reload {hash, accepted, errors, changes} */
};

/* Keep one action of an operator, done or refused. 0 or a negative errno. */
int davy_ledger_act(struct davy_ledger *ledger, const struct davy_ledger_action *action) DAVY_MUST_CHECK;

/* What can be lost and has to be declared: the target of its action is "readings", "telemetry" or "events". */
enum davy_loss_kind { DAVY_LOSS_READINGS, DAVY_LOSS_TELEMETRY, DAVY_LOSS_EVENTS, DAVY_LOSS_COUNT_ };

struct davy_ledger_loss {
    enum davy_loss_kind kind;
    int64_t count;  /* 1 or more */
    davy_wall from; /* times of the first and of the last that is lost; ns = 0: not known */
    davy_wall to;
    int64_t from_seq; /* of events that had one, the first and the last; else 0 */
    int64_t to_seq;
    const char *why; /* copied: a few words, the same ones for the same cause */
};

/*
 * Something is lost. Counted at once, in a transaction or out of it, also while the disk fails; kept by the next
 * davy_ledger_commit(), which makes it an action (verb "loss", by "davyd", detail {"count","from","to","why"}, the
 * bounds as seq of events that had one, else as times, null where not known) unless the latest one of that kind is
 * younger than a minute: losses are summed until then. Cannot fail. `now` is the time of the call.
 */
void davy_ledger_declare(struct davy_ledger *ledger, const struct davy_ledger_loss *loss, struct davy_stamp now);

/* Whether something of the kind was declared that is in no commit yet. */
bool davy_ledger_owes(const struct davy_ledger *ledger, enum davy_loss_kind kind);

/*
 * Outside a transaction, every ten seconds or so. Empties the -wal where it has grown and no reader holds it. Returns 1
 * where a commit is wanted though there is no record, with nothing else in it: a sum of losses is due, or the file was
 * taken away or replaced, which davy_ledger_begin() then makes good; 0: no need.
 */
int davy_ledger_tend(struct davy_ledger *ledger, struct davy_stamp now) DAVY_MUST_CHECK;

/* One row of the outbox, as text that lives until the next call on the ledger. */
struct davy_outbox_row {
    int64_t row;
    int64_t seq;
    const char *topic;
    const char *payload; /* empty: clears the retained message */
    bool newer;          /* its topic has later rows, sent or not: a late second sending must not be retained */
    bool parked;         /* was refused before */
};

/* The event of a row. It has two numbers: that of the event itself, and that of the clearing of its topic behind it. */
static inline int64_t davy_outbox_seq(int64_t row)
{
    return row / 2;
}

/* Outcome of davy_ledger_outbox_next(): nothing left. */
#define DAVY_OUTBOX_EMPTY 1

/* The first undelivered row above `after` that no refusal holds up. 0, DAVY_OUTBOX_EMPTY or an error. */
int davy_ledger_outbox_next(struct davy_ledger *ledger, int64_t after, struct davy_outbox_row *ret_row) DAVY_MUST_CHECK;

/*
 * The first row above `after` that was refused, or waits behind a refused one of its topic, and is due again at `now`;
 * never one that davy_ledger_outbox_next() gives. 0, DAVY_OUTBOX_EMPTY or an error.
 */
int davy_ledger_outbox_due(struct davy_ledger *ledger, int64_t after, davy_mono now,
                           struct davy_outbox_row *ret_row) DAVY_MUST_CHECK;

/*
 * The first event that is kept with a seq above `after` and was to be sent, delivered or not. 0, DAVY_OUTBOX_EMPTY or
 * an error.
 */
int davy_ledger_event_next(struct davy_ledger *ledger, int64_t after, struct davy_outbox_row *ret_row) DAVY_MUST_CHECK;

/*
 * The platform's watermark: up to this seq it has everything. confirm: in a transaction; a lower one than there is
 * changes nothing, one beyond the last event means the last; the caller sees to it that it was sent. _confirmed_seq: as
 * committed;
 * 0 for none.
 */
int davy_ledger_confirm(struct davy_ledger *ledger, int64_t seq) DAVY_MUST_CHECK;
int64_t davy_ledger_confirmed_seq(const struct davy_ledger *ledger);

/* In a transaction: acknowledged by the broker `at` that time; sets sent_us of the event. */
int davy_ledger_outbox_done(struct davy_ledger *ledger, int64_t row, davy_wall at) DAVY_MUST_CHECK;

/*
 * In a transaction: refused; it and the later rows of its topic wait for 60 s, doubling to 10 min with each refusal, by
 * the monotonic clock. To be called _unpark at a connect, so also after a restart: all of them are due again.
 */
int davy_ledger_outbox_refused(struct davy_ledger *ledger, int64_t row, uint8_t reason_code,
                               davy_mono now) DAVY_MUST_CHECK;
int davy_ledger_outbox_unpark(struct davy_ledger *ledger) DAVY_MUST_CHECK;

/* Undelivered rows that are committed, and unconfirmed events (record/delivery.h); kept up to date in memory. */
int64_t davy_ledger_outbox_count(const struct davy_ledger *ledger);

struct davy_outbox_state {
    int64_t parked;   /* rows that wait after a refusal, or behind one */
    davy_wall oldest; /* time of the oldest event that is not delivered; ns = 0: none */
};

/* A look at the outbox as it is committed. 0 or an error. */
int davy_ledger_outbox_state(struct davy_ledger *ledger, struct davy_outbox_state *ret_state) DAVY_MUST_CHECK;

/* The payload of the latest event of each alarm that is not normal, by seq. `each` must not call the ledger. */
int davy_ledger_snapshot(struct davy_ledger *ledger, void (*each)(void *context, const char *payload),
                         void *context) DAVY_MUST_CHECK;

/*
 * Key and topic (empty: not known any more) of the latest event of each of these alarms, by seq, and one more row for
 * each place that davy_ledger_place() told of since. `each` must not call the ledger.
 */
int davy_ledger_topics(struct davy_ledger *ledger, void (*each)(void *context, const char *key, const char *topic),
                       void *context) DAVY_MUST_CHECK;

/*
 * In a transaction: the latest event of an alarm that is not normal is told under this topic, too. Nothing where the
 * alarm is normal.
 */
int davy_ledger_place(struct davy_ledger *ledger, const char *key, const char *topic) DAVY_MUST_CHECK;

/*
 * The topic that the latest event of this alarm was sent to; empty: not known any more. Texts of rows that were handed
 * out live on. returns 0, DAVY_OUTBOX_EMPTY where the alarm is normal, or an error
 */
int davy_ledger_latest_topic(struct davy_ledger *ledger, const char *key, char *topic, size_t size) DAVY_MUST_CHECK;

/*
 * The latest `issued_at`, to the millisecond, of an `ack` over MQTT among the last ten thousand actions; ns = 0: none.
 * 0 or an error.
 */
int davy_ledger_issued_until(struct davy_ledger *ledger, davy_wall *ret_until) DAVY_MUST_CHECK;

/* Whether the last start was with the configuration of this hash and nothing was reloaded since, as the actions say. */
bool davy_ledger_loaded_before(struct davy_ledger *ledger, const char *hash);

/* One alarm that stands, or one topic whose alarm has ended, as text that lives until the next call on the ledger. */
struct davy_standing_row {
    int64_t at;          /* pass it as `after` for the next one */
    const char *name;    /* key of the alarm; the topic */
    const char *payload; /* of the latest event; empty where it is not known, and for a topic */
    bool held;           /* a refusal by the broker holds that event up: it will be sent for itself */
};

/*
 * The next alarm that is not normal, by the seq of its latest event; the next topic whose last event has ended its
 * alarm, or is not the latest one of its alarm, which has moved.
 * after   0 for the first
 * returns 0, DAVY_OUTBOX_EMPTY or an error
 */
int davy_ledger_standing_next(struct davy_ledger *ledger, int64_t after,
                              struct davy_standing_row *ret_row) DAVY_MUST_CHECK;
int davy_ledger_ended_next(struct davy_ledger *ledger, int64_t after,
                           struct davy_standing_row *ret_row) DAVY_MUST_CHECK;

/*
 * Outside a transaction: drop events and actions older than `before`, a bounded number a call, leaving a checkpoint
 * hash (table `chain`) so that the rest of each chain can still be verified. Stops at the first event that is not
 * delivered. What says a time before 2020 or after `now` was recorded by a clock that was wrong, and is as old as what
 * follows it.
 * returns   0, 1 when there is more to do, or an error
 */
int davy_ledger_prune(struct davy_ledger *ledger, davy_wall before, davy_wall now) DAVY_MUST_CHECK;
