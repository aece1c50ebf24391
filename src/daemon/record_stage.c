/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/record_stage.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/disk.h"
#include "daemon/judge.h"
#include "daemon/lock.h"
#include "daemon/outbox.h"
#include "daemon/platform.h"
#include "daemon/reading_store.h"
#include "daemon/recall.h"
#include "daemon/standing.h"
#include "daemon/write.h"
#include "record/delivery.h"

/* After a failure of the disk it is tried again this often. */
#define RETRY DAVY_NS_PER_S

/* Records of one transaction of the ledger. */
#define BATCH_MAX 256

/* The rest of a cause comes at once; it is not waited for any longer than this. */
#define TORN_MAX (100 * DAVY_NS_PER_MS)

/* How often the stores are trimmed, and how often space is looked at. */
#define HOUSEKEEPING (10 * DAVY_NS_PER_S)
#define MEASURING    (2 * DAVY_NS_PER_S)

struct record_stage {
    struct route *route;
    struct davy_thread *thread;
    const struct davy_config *config; /* of the records */
    char *directory;
    int lock;                   /* of the directory; below 0: not ours, so nothing is opened */
    dev_t device;               /* that it was on; 0: not known yet */
    struct davy_ledger *ledger; /* NULL while it cannot be opened */
    struct disk disk;
    struct reading_store *readings;
    struct outbox *outbox;
    struct platform *platform;
    struct standing *standing;
    struct record batch[BATCH_MAX];
    size_t batch_count;
    davy_mono torn_since; /* the rest of a cause is awaited; 0: no */
    struct recall recall;
    davy_mono retry_at;
    davy_mono measure_at;
    davy_mono housekeep_at;
    struct clock_trust trust;
};

static davy_mono mono_now(const struct record_stage *stage)
{
    return davy_clock_now(stage->route->clock).mono;
}

/* ---- the directory --------------------------------------------------------------------------------------------- */

/* Nothing of the file system stays open, so that it can be unmounted, mended and mounted again. */
static void let_go(struct record_stage *stage)
{
    if (stage->ledger)
        davy_ledger_let_go(stage->ledger);
    reading_store_let_go(stage->readings);
    if (stage->lock >= 0)
        close(stage->lock);
    stage->lock = -1;
    stage->disk.ours = false;
}

/*
 * The directory, locked. Where the disk was taken out, that below its mount point must not be taken for it: there is no
 * ledger in it, and it is on another file system.
 */
static int take_place(struct record_stage *stage)
{
    dev_t device = state_device(stage->directory);
    bool other = stage->device != 0 && device != stage->device;
    if (other && stage->lock >= 0)
        let_go(stage);
    if (other && !state_has_ledger(stage->directory))
        return -ENODEV;
    if (stage->lock < 0)
        stage->lock = state_lock(stage->directory);
    if (stage->lock < 0)
        return stage->lock;
    stage->device = state_device(stage->directory);
    stage->disk.ours = true;
    return 0;
}

static void open_ledger(struct record_stage *stage)
{
    bool set_aside = false;
    int rc = take_place(stage);
    if (rc == 0 && !stage->ledger)
        rc = davy_ledger_open(stage->directory, davy_clock_now(stage->route->clock).wall, &set_aside, &stage->ledger);
    if (rc < 0) {
        stage->disk.status.failing = true;
        disk_trouble(&stage->disk, "ledger.db cannot be opened", rc);
        let_go(stage);
    } else if (set_aside) {
        disk_trouble(&stage->disk, "ledger.db was damaged and is set aside, a new one is begun", -EUCLEAN);
    }
    outbox_use_ledger(stage->outbox, stage->ledger);
}

/* ---- status ---------------------------------------------------------------------------------------------------- */

static void note_outbox(struct record_stage *stage)
{
    struct recorder_status *status = &stage->disk.status;
    struct davy_outbox_state state = {0};
    struct davy_readings *readings = reading_store_readings(stage->readings);
    if (stage->ledger && davy_ledger_outbox_state(stage->ledger, &state) == 0) {
        status->last_seq = davy_ledger_last_seq(stage->ledger);
        status->confirmed_seq = davy_ledger_confirmed_seq(stage->ledger);
        status->outbox_events = davy_ledger_outbox_count(stage->ledger);
        status->unconfirmed = davy_ledger_unconfirmed(stage->ledger);
        status->parked = state.parked;
        status->oldest = state.oldest;
    }
    status->outbox_telemetry = readings ? davy_readings_outbox_count(readings) : 0;
    status->refused = outbox_refusals(stage->outbox);
    status->overdue = platform_overdue(stage->platform);
    status->doubtful = platform_doubtful(stage->platform);
}

static void put_status(struct record_stage *stage)
{
    struct recorder_status *status = &stage->disk.status;
    note_outbox(stage);
    if (davy_mono_sub(mono_now(stage), status->troubled_at).ns > 60 * DAVY_NS_PER_S)
        status->trouble[0] = '\0'; /* the next one is news again */
    davy_cell_put(&stage->route->recorder, status);
}

int record_stage_new(struct route *route, struct davy_thread *thread, const struct davy_config *config,
                     const struct state_place *place, struct record_stage **ret_stage)
{
    struct record_stage *stage = calloc(1, sizeof *stage);
    if (!stage)
        return -ENOMEM;
    stage->route = route;
    stage->thread = thread;
    stage->config = davy_config_ref(config);
    stage->directory = strdup(place->directory);
    stage->lock = place->lock;
    stage->disk = (struct disk){.route = route, .directory = stage->directory};
    int rc = stage->directory ? 0 : -ENOMEM;
    if (rc == 0)
        rc = outbox_new(route, &stage->outbox);
    if (rc == 0)
        rc = platform_new(route, stage->outbox, &stage->platform);
    if (rc == 0)
        rc = standing_new(route, stage->outbox, &stage->standing);
    if (rc == 0)
        rc = recall_init(&stage->recall, route, &stage->disk, stage->standing);
    if (rc == 0)
        rc = reading_store_new(route, &stage->disk, stage->outbox, config, &stage->readings);
    if (rc < 0)
        record_stage_free(stage);
    else
        *ret_stage = stage;
    return rc;
}

/* ---- ledger ---------------------------------------------------------------------------------------------------- */

/* The ledger had to be begun anew: what it knew of the alarms is gone, the evaluator tells it again. */
static void ask_for_memories(struct record_stage *stage)
{
    const struct ask ask = {.kind = ASK_MEMORIES};
    disk_trouble(&stage->disk, "ledger.db was damaged or taken away, a new one is begun", -EUCLEAN);
    davy_queue_push(&stage->route->asks, &ask);
}

/* No other try will do better: the record must not hold up those behind it. */
static bool is_permanent(int rc)
{
    return rc == -EMSGSIZE || rc == -E2BIG || rc == -EINVAL;
}

static void give_up(struct record_stage *stage, struct record *record)
{
    char key[DAVY_KEY_SIZE] = "";
    if (record->kind == RECORD_EVENT)
        davy_subject_key(stage->config, &record->event.subject, key);
    davy_error("record", "a record cannot be written and is left out: %s", key);
    stage->disk.status.left_out++;
    disk_lose(&stage->disk, DAVY_LOSS_EVENTS, 1, record->at.wall, "cannot be written");
    if (record->kind == RECORD_EVENT)
        stage->disk.status.events = record->ordinal; /* nobody waits for it any more */
    record_done(record);
}

/* Outcome of write_batch(): one record was left out, the rest is to be written again. */
#define LEFT_OUT 1

static int write_all(struct record_stage *stage, size_t count)
{
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        rc = write_record(stage->ledger, stage->route, stage->config, &stage->batch[i]);
        if (is_permanent(rc)) {
            give_up(stage, &stage->batch[i]);
            return LEFT_OUT;
        }
    }
    if (rc == 0)
        rc = outbox_settle(stage->outbox);
    if (rc == 0)
        rc = platform_settle(stage->platform, stage->ledger);
    if (rc == 0)
        rc = standing_settle(stage->standing, stage->ledger, stage->config);
    return rc;
}

static int write_batch(struct record_stage *stage, size_t count)
{
    int rc = davy_ledger_begin(stage->ledger);
    if (rc == DAVY_LEDGER_RENEWED)
        ask_for_memories(stage);
    if (rc < 0)
        return rc;
    rc = write_all(stage, count);
    if (rc == 0)
        return davy_ledger_commit(stage->ledger);
    davy_ledger_rollback(stage->ledger);
    return rc;
}

/* What a record owns goes when it is out of the batch. */
static void forget_records(struct record_stage *stage, size_t count)
{
    for (size_t i = 0; i < count; i++)
        record_done(&stage->batch[i]);
    stage->batch_count -= count;
    memmove(stage->batch, stage->batch + count, stage->batch_count * sizeof *stage->batch);
}

/*
 * All up to the last ordinal count as stored: those between that the queue refused are lost, and nobody may wait for
 * them.
 */
static void note_events(struct record_stage *stage, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (stage->batch[i].kind == RECORD_EVENT)
            stage->disk.status.events = stage->batch[i].ordinal;
}

/* It passes without opening the file anew. */
static bool is_passing(int rc)
{
    return rc == -ENOSPC || rc == -ENOMEM || rc == -EBUSY;
}

static void commit_failed(struct record_stage *stage, int rc)
{
    stage->disk.status.failing = true;
    disk_trouble(&stage->disk, "the ledger cannot be written", rc);
    stage->retry_at = davy_mono_add(mono_now(stage), (davy_span){RETRY});
    outbox_unsettled(stage->outbox);
    if (!is_passing(rc))
        let_go(stage);
}

static void committed(struct record_stage *stage, size_t count)
{
    stage->disk.status.failing = false;
    outbox_settled(stage->outbox);
    platform_settled(stage->platform);
    standing_settled(stage->standing);
    note_events(stage, count);
    forget_records(stage, count);
    put_status(stage); /* before anything is sent: nobody announces any more what is stored */
}

/*
 * A full disk: once more at once, since the next transaction empties the -wal first; then from the reserve, step by
 * step.
 */
static bool is_worth_another_try(struct record_stage *stage, int rc, bool *was_full)
{
    if (rc != -ENOSPC)
        return rc == LEFT_OUT;
    const bool first = !*was_full;
    *was_full = true;
    return first || disk_give_back(&stage->disk);
}

/* Commit the first `count` of the batch and take them out of it; on failure they stay for the next try. */
static bool commit_batch(struct record_stage *stage, size_t count)
{
    int rc;
    bool was_full = false;
    davy_mono begun = mono_now(stage);
    disk_works(&stage->disk);
    do
        rc = write_batch(stage, count);
    while (is_worth_another_try(stage, rc, &was_full));
    if (rc < 0) {
        commit_failed(stage, rc);
        return false;
    }
    disk_took(&stage->disk, begun, stage->config->storage.announce_within,
              "a commit of the ledger took longer than announce_within");
    committed(stage, count);
    return true;
}

/* Leading records of the batch that are under the current configuration. */
static size_t before_switch(const struct record_stage *stage)
{
    size_t count = 0;
    while (count < stage->batch_count && stage->batch[count].kind != RECORD_SWITCH)
        count++;
    return count;
}

/*
 * The records that can be written now, as whole causes; one that is larger than a batch, or whose end is lost, in
 * parts.
 */
static size_t writable(struct record_stage *stage)
{
    size_t whole = records_whole(stage->batch, stage->batch_count);
    davy_mono now = mono_now(stage);
    bool waited = stage->torn_since.ns != 0 && davy_mono_sub(now, stage->torn_since).ns >= TORN_MAX;
    if (whole == 0 && (waited || stage->batch_count == BATCH_MAX))
        whole = records_part(stage->batch, stage->batch_count);
    if (whole > 0 || stage->torn_since.ns == 0)
        stage->torn_since = whole < stage->batch_count ? now : (davy_mono){0};
    size_t here = before_switch(stage);
    return whole < here ? whole : here;
}

/* What cannot be told from the ledger now waits, with what is behind it. */
static bool switch_records(struct record_stage *stage)
{
    const struct davy_config *from = stage->config;
    int rc = standing_switch(stage->standing, stage->ledger, from, stage->batch[0].config);
    if (rc < 0) {
        commit_failed(stage, rc);
        return false;
    }
    stage->config = davy_config_ref(stage->batch[0].config);
    davy_config_unref(from);
    forget_records(stage, 1);
    return true;
}

static void fill_batch(struct record_stage *stage)
{
    while (stage->batch_count < BATCH_MAX && davy_queue_pop(&stage->route->records, &stage->batch[stage->batch_count]))
        stage->batch_count++;
}

/* Whether the disk may be tried: it is open, or it is time to open it again. */
static bool ledger_ready(struct record_stage *stage)
{
    davy_mono now = mono_now(stage);
    if (now.ns < stage->retry_at.ns)
        return false;
    disk_works(&stage->disk);
    open_ledger(stage);
    bool open = stage->ledger && stage->disk.ours;
    if (open && !stage->recall.done)
        recall_late(&stage->recall, stage->ledger, stage->config);
    if (!open)
        stage->retry_at = davy_mono_add(now, (davy_span){RETRY});
    return open;
}

static void write_records(struct record_stage *stage)
{
    if (!ledger_ready(stage))
        return;
    for (fill_batch(stage); stage->batch_count > 0; fill_batch(stage)) {
        size_t count = writable(stage);
        bool switches = stage->batch[0].kind == RECORD_SWITCH;
        if (switches ? !switch_records(stage) : count == 0 || !commit_batch(stage, count))
            return;
        if (!switches)
            outbox_hand_over(stage->outbox);
    }
}

/* ---- the rest -------------------------------------------------------------------------------------------------- */

static davy_wall before_retention(davy_wall now, davy_span retention)
{
    return (davy_wall){now.ns > retention.ns ? now.ns - retention.ns : 0};
}

/* By a clock that may be wrong nothing is too old: readings then only go for their size. */
static void trim(struct record_stage *stage, struct davy_stamp now)
{
    const davy_wall wall = clock_trusted(&stage->trust, davy_clock_synchronized(), now) ? now.wall : (davy_wall){0};
    reading_store_trim(stage->readings, wall);
    disk_works(&stage->disk);
    if (!stage->ledger || !stage->disk.ours)
        return;
    int rc = davy_ledger_prune(stage->ledger, before_retention(wall, stage->config->storage.event_retention), wall);
    if (rc < 0)
        disk_trouble(&stage->disk, "ledger.db cannot be trimmed", rc);
}

static void housekeep(struct record_stage *stage, struct davy_stamp now)
{
    if (now.mono.ns >= stage->measure_at.ns) {
        stage->measure_at = davy_mono_add(now.mono, (davy_span){MEASURING});
        disk_measure(&stage->disk);
    }
    if (now.mono.ns < stage->housekeep_at.ns)
        return;
    stage->housekeep_at = davy_mono_add(now.mono, (davy_span){HOUSEKEEPING});
    trim(stage, now);
    if (stage->ledger && davy_ledger_tend(stage->ledger, now) > 0 && ledger_ready(stage))
        commit_batch(stage, 0);
}

/* Acknowledgements of the broker are settled with the next event, or after commit_interval; all else at once. */
static void settle(struct record_stage *stage, davy_mono now)
{
    bool due = outbox_due(stage->outbox, now) || platform_waits(stage->platform) || standing_waits(stage->standing);
    if (due && ledger_ready(stage))
        commit_batch(stage, 0);
}

static void turn(struct record_stage *stage)
{
    disk_works(&stage->disk);
    write_records(stage);
    put_status(stage);
    struct davy_stamp now = davy_clock_now(stage->route->clock);
    outbox_take_deliveries(stage->outbox, stage->config, now);
    platform_turn(stage->platform, stage->ledger, stage->config, now.mono);
    settle(stage, now.mono);
    outbox_hand_over(stage->outbox);
    standing_turn(stage->standing, stage->ledger, stage->config, now.mono);
    reading_store_turn(stage->readings, now.mono);
    housekeep(stage, now);
    disk_declare(&stage->disk, stage->ledger);
    disk_rests(&stage->disk);
}

/* Until the next commit of readings, or until the platform is due something; a second while the disk fails. */
static davy_span time_to_sleep(const struct record_stage *stage, davy_mono now)
{
    davy_mono due = davy_mono_min(reading_store_due(stage->readings), platform_due(stage->platform));
    due = davy_mono_min(due, standing_due(stage->standing));
    davy_span sleep = davy_mono_sub(due, now);
    if (stage->torn_since.ns != 0 && sleep.ns > TORN_MAX)
        return (davy_span){TORN_MAX};
    return sleep.ns < DAVY_NS_PER_S ? sleep : davy_span_s(1);
}

/* The thread's first work. main waits for it, but not for ever. */
static void begin(struct record_stage *stage)
{
    disk_works(&stage->disk);
    open_ledger(stage);
    disk_measure(&stage->disk);
    recall_begin(&stage->recall, stage->ledger, stage->config);
    platform_turn(stage->platform, stage->ledger, stage->config, mono_now(stage));
    put_status(stage); /* what waits is known before anybody judges it */
    recall_settle(&stage->recall);
}

static void run(struct davy_thread *thread, void *context)
{
    struct record_stage *stage = context;
    begin(stage);
    while (!davy_thread_stopping(thread)) {
        turn(stage);
        davy_thread_beat(thread);
        davy_waker_wait(&thread->waker, time_to_sleep(stage, mono_now(stage)));
    }
    reading_store_hurry(stage->readings);
    turn(stage);
}

int record_stage_start(struct record_stage *stage)
{
    return davy_thread_start(stage->thread, 512 * 1024, run, stage);
}

bool record_stage_recall(struct record_stage *stage, davy_span patience,
                         void (*each)(void *context, const struct davy_alarm_memory *memory), void *context)
{
    return recall_await(&stage->recall, patience, each, context);
}

/* Records that were never written are lost; what they own is freed. */
static void drop_records(struct record_stage *stage)
{
    struct record record;
    size_t lost = stage->batch_count;
    forget_records(stage, stage->batch_count);
    for (; davy_queue_pop(&stage->route->records, &record); lost++)
        record_done(&record);
    struct record_reading item;
    while (davy_queue_pop(&stage->route->readings, &item))
        davy_config_unref(item.config);
    if (lost > 0)
        davy_error("record", "the disk takes nothing to the end: %zu events and states of alarms are lost", lost);
}

/* The last of it. A directory that was let go is not written to: it may be another's by now, or the disk taken out. */
static void finish(struct record_stage *stage)
{
    outbox_take_deliveries(stage->outbox, stage->config, davy_clock_now(stage->route->clock));
    write_records(stage);
    disk_declare(&stage->disk, stage->ledger);
    if (stage->disk.ours)
        commit_batch(stage, 0);
    disk_declare(&stage->disk, stage->ledger); /* what it has now, the readings need not keep */
}

struct record_stage *record_stage_free(struct record_stage *stage)
{
    if (!stage)
        return NULL;
    if (stage->ledger && stage->outbox)
        finish(stage);
    drop_records(stage);
    platform_free(stage->platform);
    recall_done(&stage->recall);
    standing_free(stage->standing);
    reading_store_free(stage->readings);
    outbox_free(stage->outbox);
    davy_ledger_close(stage->ledger);
    if (stage->lock >= 0)
        close(stage->lock);
    davy_config_unref(stage->config);
    free(stage->directory);
    free(stage);
    return NULL;
}
