/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/record_stage.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "daemon/judge.h"
#include "daemon/lock.h"
#include "daemon/outbox.h"
#include "daemon/platform.h"
#include "daemon/write.h"
#include "publish/telemetry.h"
#include "record/delivery.h"
#include "record/readings.h"

/* After a failure of the disk it is tried again this often. */
#define RETRY DAVY_NS_PER_S

/* Records of one transaction of the ledger. */
#define BATCH_MAX 256

/* Readings taken out of their queue at once. */
#define READINGS_AT_ONCE 128

/* How often the stores are trimmed and measured. */
#define HOUSEKEEPING (10 * DAVY_NS_PER_S)

/* Less free space than this, or than a twentieth of the file system, is a trouble of the storage. */
#define LEAST_FREE       (INT64_C(64) << 20)
#define LEAST_FREE_SHARE 20

struct record_stage {
    struct route *route;
    struct davy_thread *thread;
    const struct davy_config *config; /* of the records */
    const struct davy_config *reading_config;
    char *directory;
    int lock;                       /* of the directory; below 0: not ours yet, so nothing is opened */
    struct davy_ledger *ledger;     /* NULL while it cannot be opened */
    struct davy_readings *readings; /* NULL likewise */
    struct davy_telemetry_batcher *telemetry;
    struct outbox *outbox;
    struct platform *platform;
    struct record batch[BATCH_MAX];
    size_t batch_count;
    bool recalled;      /* the memories of alarms were read */
    bool readings_open; /* a transaction of readings is open */
    davy_mono commit_at;
    davy_mono retry_at;
    davy_mono housekeep_at;
    struct clock_trust trust;
    struct recorder_status status;
};

/* Say once what troubles the storage, and since when; the alarm `storage` follows from it. */
static void trouble(struct record_stage *stage, const char *what, int rc)
{
    char text[sizeof stage->status.trouble];
    snprintf(text, sizeof text, "%s: %s", what, rc < 0 ? davy_ledger_reason(rc) : "slow");
    if (strcmp(text, stage->status.trouble) != 0)
        davy_error("record", "%s", text);
    memcpy(stage->status.trouble, text, sizeof text);
    stage->status.troubled_at = davy_clock_now(stage->route->clock).mono;
}

static void open_ledger(struct record_stage *stage)
{
    bool set_aside = false;
    if (stage->lock < 0)
        stage->lock = state_lock(stage->directory);
    int rc = stage->lock;
    if (rc >= 0)
        rc = davy_ledger_open(stage->directory, davy_clock_now(stage->route->clock).wall, &set_aside, &stage->ledger);
    stage->status.failing = rc < 0;
    if (rc < 0)
        trouble(stage, "ledger.db cannot be opened", rc);
    else if (set_aside)
        trouble(stage, "ledger.db was damaged and is set aside, a new one is begun", -EUCLEAN);
    outbox_use(stage->outbox, stage->ledger, stage->readings);
}

static void open_readings(struct record_stage *stage)
{
    bool set_aside = false;
    if (stage->lock < 0)
        return;
    int rc =
        davy_readings_open(stage->directory, davy_clock_now(stage->route->clock).wall, &set_aside, &stage->readings);
    if (rc == 0)
        rc = davy_readings_configure(stage->readings, stage->reading_config);
    if (rc < 0) {
        trouble(stage, "readings.db cannot be opened", rc);
        stage->readings = davy_readings_close(stage->readings);
    } else if (set_aside) {
        trouble(stage, "readings.db was damaged and is set aside, a new one is begun", -EUCLEAN);
    }
    outbox_use(stage->outbox, stage->ledger, stage->readings);
}

static void recall(struct record_stage *stage, void (*each)(void *context, const struct davy_alarm_memory *memory),
                   void *context)
{
    struct davy_stamp now = davy_clock_now(stage->route->clock);
    int rc = davy_ledger_recall(stage->ledger, now, stage->route->boot_id, each, context);
    if (rc != 0)
        trouble(stage, "the state of alarms cannot be read whole", rc < 0 ? rc : -EUCLEAN);
    stage->recalled = true;
    outbox_clear_moved(stage->outbox, stage->config);
}

static void collect(void *context, const struct davy_alarm_memory *memory)
{
    struct ask *ask = context;
    struct davy_alarm_memory *grown = reallocarray(ask->memories, ask->memory_count + 1, sizeof *grown);
    if (!grown)
        return;
    ask->memories = grown;
    ask->memories[ask->memory_count++] = *memory;
}

/* The ledger was away at the start and is here now: what it remembers goes to the running evaluator. */
static void recall_late(struct record_stage *stage)
{
    struct ask ask = {.kind = ASK_RESTORE};
    recall(stage, collect, &ask);
    if (davy_queue_push(&stage->route->asks, &ask) == DAVY_QUEUE_LOST) {
        free(ask.memories);
        stage->recalled = false;
    }
}

static void put_status(struct record_stage *stage)
{
    struct davy_stamp now = davy_clock_now(stage->route->clock);
    struct davy_outbox_state state = {0};
    if (stage->ledger && davy_ledger_outbox_state(stage->ledger, &state) == 0) {
        stage->status.last_seq = davy_ledger_last_seq(stage->ledger);
        stage->status.confirmed_seq = davy_ledger_confirmed_seq(stage->ledger);
        stage->status.outbox_events = davy_ledger_outbox_count(stage->ledger);
        stage->status.unconfirmed = davy_ledger_unconfirmed(stage->ledger);
        stage->status.parked = state.parked;
        stage->status.oldest = state.oldest;
    }
    if (davy_mono_sub(now.mono, stage->status.troubled_at).ns > 60 * DAVY_NS_PER_S)
        stage->status.trouble[0] = '\0'; /* the next one is news again */
    stage->status.outbox_telemetry = stage->readings ? davy_readings_outbox_count(stage->readings) : 0;
    stage->status.refused = outbox_refusals(stage->outbox);
    stage->status.overdue = platform_overdue(stage->platform);
    stage->status.doubtful = platform_doubtful(stage->platform);
    davy_cell_put(&stage->route->recorder, &stage->status);
}

int record_stage_new(struct route *route, struct davy_thread *thread, const struct davy_config *config,
                     const struct state_place *place,
                     void (*recalled)(void *context, const struct davy_alarm_memory *memory), void *context,
                     struct record_stage **ret_stage)
{
    struct record_stage *stage = calloc(1, sizeof *stage);
    if (!stage)
        return -ENOMEM;
    stage->route = route;
    stage->thread = thread;
    stage->config = davy_config_ref(config);
    stage->reading_config = davy_config_ref(config);
    stage->directory = strdup(place->directory);
    stage->lock = place->lock;
    int rc = stage->directory ? outbox_new(route, &stage->outbox) : -ENOMEM;
    if (rc == 0)
        rc = platform_new(route, stage->outbox, &stage->platform);
    if (rc == 0)
        rc = davy_telemetry_new(config, &stage->telemetry);
    if (rc < 0) {
        record_stage_free(stage);
        return rc;
    }
    open_ledger(stage);
    open_readings(stage);
    if (stage->ledger)
        recall(stage, recalled, context);
    platform_turn(stage->platform, stage->ledger, config, davy_clock_now(route->clock).mono);
    put_status(stage); /* what waits is known before anybody judges it */
    *ret_stage = stage;
    return 0;
}

/* ---- ledger ---------------------------------------------------------------------------------------------------- */

/* The ledger had to be begun anew: what it knew of the alarms is gone, the evaluator tells it again. */
static void ask_for_memories(struct record_stage *stage)
{
    const struct ask ask = {.kind = ASK_MEMORIES};
    trouble(stage, "ledger.db was damaged or taken away, a new one is begun", -EUCLEAN);
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
    stage->status.left_out++;
    if (record->kind == RECORD_EVENT)
        stage->status.events++; /* nobody waits for it any more */
    record_done(record);
}

static int write_batch(struct record_stage *stage, size_t count)
{
    int rc = davy_ledger_begin(stage->ledger);
    if (rc == DAVY_LEDGER_RENEWED)
        ask_for_memories(stage);
    if (rc < 0)
        return rc;
    rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        rc = write_record(stage->ledger, stage->route, stage->config, &stage->batch[i]);
        if (is_permanent(rc))
            give_up(stage, &stage->batch[i]);
    }
    if (rc == 0)
        rc = outbox_settle(stage->outbox);
    if (rc == 0)
        rc = platform_settle(stage->platform, stage->ledger);
    if (rc < 0) {
        davy_ledger_rollback(stage->ledger);
        return rc;
    }
    return davy_ledger_commit(stage->ledger);
}

/* What a record owns goes when it is out of the batch. */
static void forget_records(struct record_stage *stage, size_t count)
{
    for (size_t i = 0; i < count; i++)
        record_done(&stage->batch[i]);
    stage->batch_count -= count;
    memmove(stage->batch, stage->batch + count, stage->batch_count * sizeof *stage->batch);
}

static uint64_t count_events(const struct record_stage *stage, size_t count)
{
    uint64_t events = 0;
    for (size_t i = 0; i < count; i++)
        events += stage->batch[i].kind == RECORD_EVENT;
    return events;
}

static void try_later(struct record_stage *stage, const char *what, int rc)
{
    trouble(stage, what, rc);
    stage->retry_at = davy_mono_add(davy_clock_now(stage->route->clock).mono, (davy_span){RETRY});
}

/* Commit the first `count` of the batch and take them out of it; on failure they stay for the next try. */
static bool commit_batch(struct record_stage *stage, size_t count)
{
    davy_mono begun = davy_clock_now(stage->route->clock).mono;
    stage->status.committing_since = begun;
    davy_cell_put(&stage->route->recorder, &stage->status);
    int rc = write_batch(stage, count);
    stage->status.committing_since = (davy_mono){0};
    davy_span took = davy_mono_sub(davy_clock_now(stage->route->clock).mono, begun);
    if (is_permanent(rc))
        return commit_batch(stage, count); /* without the one that was given up */
    if (rc < 0) {
        stage->status.failing = true;
        try_later(stage, "the ledger cannot be written", rc);
        outbox_unsettled(stage->outbox);
        return false;
    }
    if (took.ns > stage->config->storage.announce_within.ns)
        trouble(stage, "a commit of the ledger took longer than announce_within", 0);
    stage->status.failing = false;
    outbox_settled(stage->outbox);
    platform_settled(stage->platform);
    stage->status.events += count_events(stage, count);
    forget_records(stage, count);
    put_status(stage); /* before anything is sent: nobody announces any more what is stored */
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

static void switch_records(struct record_stage *stage)
{
    davy_config_unref(stage->config);
    stage->config = davy_config_ref(stage->batch[0].config);
    forget_records(stage, 1);
}

static void fill_batch(struct record_stage *stage)
{
    while (stage->batch_count < BATCH_MAX && davy_queue_pop(&stage->route->records, &stage->batch[stage->batch_count]))
        stage->batch_count++;
}

/* Whether the disk may be tried: it is open, or it is time to open it again. */
static bool ledger_ready(struct record_stage *stage)
{
    davy_mono now = davy_clock_now(stage->route->clock).mono;
    if (now.ns < stage->retry_at.ns)
        return false;
    if (!stage->ledger)
        open_ledger(stage);
    if (stage->ledger && !stage->recalled)
        recall_late(stage);
    if (!stage->ledger)
        stage->retry_at = davy_mono_add(now, (davy_span){RETRY});
    return stage->ledger != NULL;
}

static void write_records(struct record_stage *stage)
{
    if (!ledger_ready(stage))
        return;
    for (fill_batch(stage); stage->batch_count > 0; fill_batch(stage)) {
        size_t count = before_switch(stage);
        if (count > 0 && !commit_batch(stage, count))
            return;
        if (count == 0)
            switch_records(stage);
        else
            outbox_hand_over(stage->outbox);
    }
}

/* ---- readings -------------------------------------------------------------------------------------------------- */

static void give_up_readings(struct record_stage *stage, const char *what, int rc)
{
    try_later(stage, what, rc);
    stage->readings_open = false;
}

static void open_transaction(struct record_stage *stage)
{
    if (stage->readings_open || !stage->readings || davy_clock_now(stage->route->clock).mono.ns < stage->retry_at.ns)
        return;
    int rc = davy_readings_begin(stage->readings);
    if (rc < 0)
        give_up_readings(stage, "readings cannot be written", rc);
    if (rc == DAVY_READINGS_RENEWED) {
        trouble(stage, "readings.db was damaged or taken away, a new one is begun", -EUCLEAN);
        outbox_renewed(stage->outbox);
    }
    stage->readings_open = rc >= 0;
}

static void switch_readings(struct record_stage *stage, const struct davy_config *config);

static void add_telemetry(void *context, const char *topic, const char *payload)
{
    struct record_stage *stage = context;
    open_transaction(stage);
    if (!stage->readings_open)
        return;
    int rc = davy_readings_outbox_add(stage->readings, topic, payload);
    if (rc < 0)
        give_up_readings(stage, "telemetry cannot be written", rc);
}

/* A batch that is full is written at once, to be sent after the commit: more would not fit. */
static void report_reading(struct record_stage *stage, const struct davy_reading *reading)
{
    davy_telemetry_add(stage->telemetry, reading);
    if (davy_telemetry_full(stage->telemetry))
        davy_telemetry_flush(stage->telemetry, DAVY_MONO_NEVER, true, add_telemetry, stage);
}

static void take_reading(struct record_stage *stage, const struct davy_reading *reading)
{
    report_reading(stage, reading);
    open_transaction(stage);
    if (!stage->readings_open)
        return;
    int rc = davy_readings_append(stage->readings, reading);
    if (rc < 0)
        give_up_readings(stage, "a reading cannot be written", rc);
}

static void take_readings(struct record_stage *stage)
{
    struct record_reading items[READINGS_AT_ONCE];
    size_t count;
    while ((count = davy_queue_pop_some(&stage->route->readings, items, READINGS_AT_ONCE)) > 0) {
        for (size_t i = 0; i < count; i++) {
            if (items[i].config)
                switch_readings(stage, items[i].config);
            else
                take_reading(stage, &items[i].reading);
        }
    }
}

static void commit_readings(struct record_stage *stage)
{
    if (!stage->readings)
        return;
    if (outbox_telemetry_waits(stage->outbox))
        open_transaction(stage);
    if (!stage->readings_open)
        return;
    int rc = outbox_settle_telemetry(stage->outbox);
    if (rc == 0)
        rc = davy_readings_commit(stage->readings);
    stage->readings_open = false;
    if (rc == 0)
        outbox_telemetry_settled(stage->outbox);
    else
        give_up_readings(stage, "readings cannot be committed", rc);
}

static void switch_readings(struct record_stage *stage, const struct davy_config *config)
{
    davy_telemetry_flush(stage->telemetry, DAVY_MONO_NEVER, true, add_telemetry, stage);
    commit_readings(stage);
    struct davy_telemetry_batcher *telemetry;
    if (davy_telemetry_new(config, &telemetry) == 0) {
        davy_telemetry_free(stage->telemetry);
        stage->telemetry = telemetry;
    }
    if (stage->readings) {
        int rc = davy_readings_configure(stage->readings, config);
        if (rc < 0)
            give_up_readings(stage, "readings.db cannot take the new configuration", rc);
    }
    davy_config_unref(stage->reading_config);
    stage->reading_config = config;
}

static void write_readings(struct record_stage *stage, davy_mono now)
{
    take_readings(stage);
    if (now.ns < stage->commit_at.ns)
        return;
    stage->commit_at = davy_mono_add(now, stage->reading_config->storage.commit_interval);
    if (!stage->readings && now.ns >= stage->retry_at.ns)
        open_readings(stage);
    /* At the commit that is next to its time: one just before it must not wait for another whole interval. */
    davy_span half = {stage->reading_config->storage.commit_interval.ns / 2};
    davy_telemetry_flush(stage->telemetry, davy_mono_add(now, half), false, add_telemetry, stage);
    commit_readings(stage);
}

/* ---- the rest -------------------------------------------------------------------------------------------------- */

static davy_wall before_retention(davy_wall now, davy_span retention)
{
    return (davy_wall){now.ns > retention.ns ? now.ns - retention.ns : 0};
}

static void measure_storage(struct record_stage *stage)
{
    struct davy_disk_usage usage;
    int rc = davy_storage_measure(stage->directory, &usage);
    if (rc < 0) {
        trouble(stage, "the state directory cannot be read", rc);
        return;
    }
    stage->status.bytes = usage.bytes;
    stage->status.free_bytes = usage.free_bytes;
    if (usage.free_bytes < LEAST_FREE || usage.free_bytes < usage.total_bytes / LEAST_FREE_SHARE)
        trouble(stage, "less than 64 MiB or 5 % are free in the state directory", -ENOSPC);
}

/* By a clock that may be wrong nothing is too old: readings then only go for their size. */
static void trim(struct record_stage *stage, struct davy_stamp now)
{
    const davy_wall wall = clock_trusted(&stage->trust, davy_clock_synchronized(), now) ? now.wall : (davy_wall){0};
    int rc = stage->readings ? davy_readings_prune(stage->readings, wall) : 0;
    if (rc < 0)
        give_up_readings(stage, "readings.db cannot be trimmed", rc);
    if (stage->ledger &&
        davy_ledger_prune(stage->ledger, before_retention(wall, stage->config->storage.event_retention)) < 0)
        trouble(stage, "ledger.db cannot be trimmed", -EIO);
}

static void housekeep(struct record_stage *stage, struct davy_stamp now)
{
    if (now.mono.ns < stage->housekeep_at.ns || stage->readings_open)
        return;
    stage->housekeep_at = davy_mono_add(now.mono, (davy_span){HOUSEKEEPING});
    trim(stage, now);
    if (stage->ledger && davy_ledger_tend(stage->ledger, now) > 0 && ledger_ready(stage))
        commit_batch(stage, 0);
    measure_storage(stage);
}

/* Acknowledgements of the broker are settled with the next event, or after commit_interval; the platform's at once. */
static void settle_acknowledgements(struct record_stage *stage, davy_mono now)
{
    if ((!outbox_due(stage->outbox, now) && !platform_waits(stage->platform)) || !ledger_ready(stage))
        return;
    commit_batch(stage, 0);
}

static void turn(struct record_stage *stage)
{
    write_records(stage);
    put_status(stage);
    struct davy_stamp now = davy_clock_now(stage->route->clock);
    outbox_take_deliveries(stage->outbox, stage->config, now);
    platform_turn(stage->platform, stage->ledger, stage->config, now.mono);
    settle_acknowledgements(stage, now.mono);
    outbox_hand_over(stage->outbox);
    write_readings(stage, now.mono);
    housekeep(stage, now);
}

/* Until the next commit of readings, or until the platform is due something; a second while the disk fails. */
static davy_span time_to_sleep(const struct record_stage *stage, davy_mono now)
{
    davy_span sleep = davy_mono_sub(davy_mono_min(stage->commit_at, platform_due(stage->platform)), now);
    return sleep.ns < DAVY_NS_PER_S ? sleep : davy_span_s(1);
}

static void run(struct davy_thread *thread, void *context)
{
    struct record_stage *stage = context;
    while (!davy_thread_stopping(thread)) {
        turn(stage);
        davy_thread_beat(thread);
        davy_waker_wait(&thread->waker, time_to_sleep(stage, davy_clock_now(stage->route->clock).mono));
    }
    stage->commit_at = (davy_mono){0};
    turn(stage);
}

int record_stage_start(struct record_stage *stage)
{
    return davy_thread_start(stage->thread, 512 * 1024, run, stage);
}

/* What the ledger could not take to the end is lost: so be what it owns. */
static void drop_records(struct record_stage *stage)
{
    struct record record;
    forget_records(stage, stage->batch_count);
    while (davy_queue_pop(&stage->route->records, &record))
        record_done(&record);
    struct record_reading item;
    while (davy_queue_pop(&stage->route->readings, &item))
        davy_config_unref(item.config);
}

struct record_stage *record_stage_free(struct record_stage *stage)
{
    if (!stage)
        return NULL;
    if (stage->ledger && stage->outbox) {
        struct davy_stamp now = davy_clock_now(stage->route->clock);
        outbox_take_deliveries(stage->outbox, stage->config, now);
        write_records(stage);
        commit_batch(stage, 0);
    }
    drop_records(stage);
    platform_free(stage->platform);
    outbox_free(stage->outbox);
    davy_telemetry_free(stage->telemetry);
    davy_readings_close(stage->readings);
    davy_ledger_close(stage->ledger);
    if (stage->lock >= 0)
        close(stage->lock);
    davy_config_unref(stage->config);
    davy_config_unref(stage->reading_config);
    free(stage->directory);
    free(stage);
    return NULL;
}
