/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/recall.h"

#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "record/delivery.h"

/* Whoever leaves AWAITED first decides: the recorder that has read in time, or main that waits no longer. */
enum state { STATE_AWAITED, STATE_IN_TIME, STATE_LATE };

int recall_init(struct recall *recall, struct route *route, struct disk *disk, struct standing *standing)
{
    *recall = (struct recall){.route = route, .disk = disk, .standing = standing, .settled = DAVY_WAKER_INIT};
    recall->memories.kind = ASK_RESTORE;
    return davy_waker_init(&recall->settled);
}

static void drop_memories(struct recall *recall)
{
    free(recall->memories.memories);
    recall->memories = (struct ask){.kind = ASK_RESTORE};
}

void recall_done(struct recall *recall)
{
    if (!recall->route)
        return;
    drop_memories(recall);
    davy_waker_done(&recall->settled);
}

/* Without memory for one of them all are read again later: what an alarm was must not be forgotten. */
static void collect(void *context, const struct davy_alarm_memory *memory)
{
    struct ask *ask = context;
    struct davy_alarm_memory *grown =
        ask->kind == ASK_RESTORE ? reallocarray(ask->memories, ask->memory_count + 1, sizeof *grown) : NULL;
    if (!grown) {
        ask->kind = ASK_MEMORIES;
        return;
    }
    ask->memories = grown;
    ask->memories[ask->memory_count++] = *memory;
}

/* Nonces are not kept; which acks may have been taken before is. */
static void tell_issued(struct recall *recall, struct davy_ledger *ledger)
{
    davy_wall until;
    if (davy_ledger_issued_until(ledger, &until) < 0)
        davy_warning("record", "the acks that were taken over MQTT cannot be read");
    else if (recall->route->publisher)
        davy_publisher_issued_until(recall->route->publisher, until);
}

/* All of them, or none: then they are to be read again. */
static void read_memories(struct recall *recall, struct davy_ledger *ledger, const struct davy_config *config)
{
    struct davy_stamp now = davy_clock_now(recall->route->clock);
    int rc = davy_ledger_recall(ledger, now, recall->route->boot_id, collect, &recall->memories);
    if (rc != 0)
        disk_trouble(recall->disk, "the state of alarms cannot be read whole", rc < 0 ? rc : -EUCLEAN);
    recall->done =
        rc >= 0 && recall->memories.kind == ASK_RESTORE && standing_recall(recall->standing, ledger, config) == 0;
    if (!recall->done) {
        drop_memories(recall);
        return;
    }
    tell_issued(recall, ledger);
}

void recall_begin(struct recall *recall, struct davy_ledger *ledger, const struct davy_config *config)
{
    if (ledger)
        read_memories(recall, ledger, config);
}

/* A queue that is full takes them later: they are read again then. */
static void pass_on(struct recall *recall)
{
    recall->done = davy_queue_push(&recall->route->asks, &recall->memories) != DAVY_QUEUE_LOST;
    if (recall->done)
        recall->memories = (struct ask){.kind = ASK_RESTORE};
    else
        drop_memories(recall);
}

void recall_settle(struct recall *recall)
{
    int awaited = STATE_AWAITED;
    if (atomic_compare_exchange_strong(&recall->state, &awaited, STATE_IN_TIME))
        davy_waker_ring(&recall->settled);
    else if (recall->done)
        pass_on(recall);
}

void recall_late(struct recall *recall, struct davy_ledger *ledger, const struct davy_config *config)
{
    read_memories(recall, ledger, config);
    if (recall->done)
        pass_on(recall);
}

bool recall_await(struct recall *recall, davy_span patience,
                  void (*each)(void *context, const struct davy_alarm_memory *memory), void *context)
{
    int awaited = STATE_AWAITED;
    davy_mono now = davy_clock_now(recall->route->clock).mono;
    const davy_mono until = davy_mono_add(now, patience);
    while (atomic_load(&recall->state) == STATE_AWAITED && now.ns < until.ns) {
        davy_waker_wait(&recall->settled, davy_mono_sub(until, now));
        now = davy_clock_now(recall->route->clock).mono;
    }
    if (atomic_compare_exchange_strong(&recall->state, &awaited, STATE_LATE))
        return false;
    for (size_t i = 0; i < recall->memories.memory_count; i++)
        each(context, &recall->memories.memories[i]);
    drop_memories(recall);
    return true;
}
