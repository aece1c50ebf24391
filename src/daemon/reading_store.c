/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/reading_store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "publish/telemetry.h"

/* After a failure the disk is tried again this often. */
#define RETRY DAVY_NS_PER_S

/* Readings taken out of their queue at once. */
#define READINGS_AT_ONCE 128

/* Of the newest so many wait for the disk: less than half of the queue, which would be an overload. */
#define WAITING_MOST (ROUTE_READINGS / 2 - ROUTE_READINGS / 16)

struct reading_store {
    struct route *route;
    struct disk *disk;
    struct outbox *outbox;
    const struct davy_config *config; /* of the readings that come next */
    struct davy_readings *readings;   /* NULL while it cannot be opened */
    struct davy_telemetry_batcher *telemetry;
    bool open;                                   /* a transaction */
    int64_t in_it;                               /* readings of the transaction */
    int64_t messages;                            /* of telemetry likewise */
    bool trim;                                   /* the file is at its cap */
    uint64_t handed[DAVY_READINGS_KIND_COUNT_];  /* of what max_size took: told to the ledger, by way of the disk */
    uint64_t settled[DAVY_READINGS_KIND_COUNT_]; /* and noted as told by the transaction */
    davy_mono commit_at;
    davy_mono retry_at;
};

int reading_store_new(struct route *route, struct disk *disk, struct outbox *outbox, const struct davy_config *config,
                      struct reading_store **ret_store)
{
    struct reading_store *store = calloc(1, sizeof *store);
    if (!store)
        return -ENOMEM;
    store->route = route;
    store->disk = disk;
    store->outbox = outbox;
    store->config = davy_config_ref(config);
    int rc = davy_telemetry_new(config, &store->telemetry);
    if (rc < 0)
        reading_store_free(store);
    else
        *ret_store = store;
    return rc;
}

static davy_mono mono_now(const struct reading_store *store)
{
    return davy_clock_now(store->route->clock).mono;
}

static davy_wall wall_now(const struct reading_store *store)
{
    return davy_clock_now(store->route->clock).wall;
}

/* The transaction is gone, and with it what it held. */
static void lose_transaction(struct reading_store *store)
{
    disk_lose(store->disk, DAVY_LOSS_READINGS, store->in_it, wall_now(store), "the disk failed");
    disk_lose(store->disk, DAVY_LOSS_TELEMETRY, store->messages, wall_now(store), "the disk failed");
    store->open = false;
    store->in_it = store->messages = 0;
}

static void give_up(struct reading_store *store, const char *what, int rc)
{
    disk_trouble(store->disk, what, rc);
    store->retry_at = davy_mono_add(mono_now(store), (davy_span){RETRY});
    lose_transaction(store);
    store->trim |= rc == -ENOSPC;
}

static void open_readings(struct reading_store *store)
{
    bool set_aside = false;
    int rc = davy_readings_open(store->disk->directory, wall_now(store), &set_aside, &store->readings);
    if (rc == 0)
        rc = davy_readings_configure(store->readings, store->config);
    if (rc < 0) {
        give_up(store, "readings.db cannot be opened", rc);
        store->readings = davy_readings_close(store->readings);
    } else if (set_aside) {
        disk_trouble(store->disk, "readings.db was damaged and is set aside, a new one is begun", -EUCLEAN);
    }
    memset(store->handed, 0, sizeof store->handed);
    outbox_use_readings(store->outbox, store->readings);
}

/* ---- transactions ---------------------------------------------------------------------------------------------- */

static void begin(struct reading_store *store)
{
    int rc = davy_readings_begin(store->readings);
    if (rc < 0)
        give_up(store, "readings cannot be written", rc);
    if (rc == DAVY_READINGS_RENEWED) {
        disk_trouble(store->disk, "readings.db was damaged or taken away, a new one is begun", -EUCLEAN);
        memset(store->handed, 0, sizeof store->handed);
    }
    store->open = rc >= 0;
}

/* Whether the disk may be tried. */
static bool may_try(const struct reading_store *store)
{
    return !store->disk->full && store->disk->ours && mono_now(store).ns >= store->retry_at.ns;
}

/* Whether a transaction is open now. */
static bool ready(struct reading_store *store)
{
    if (store->open)
        return true;
    if (!may_try(store))
        return false;
    disk_works(store->disk);
    if (!store->readings)
        open_readings(store);
    if (store->readings)
        begin(store);
    return store->open;
}

static void add_telemetry(void *context, const char *topic, const char *payload)
{
    struct reading_store *store = context;
    if (!ready(store)) {
        disk_lose(store->disk, DAVY_LOSS_TELEMETRY, 1, wall_now(store), "the disk failed");
        return;
    }
    store->messages++;
    int rc = davy_readings_outbox_add(store->readings, topic, payload);
    if (rc < 0)
        give_up(store, "telemetry cannot be written", rc);
}

static const enum davy_loss_kind loss_kinds[DAVY_READINGS_KIND_COUNT_] = {
    [DAVY_READINGS_RAW] = DAVY_LOSS_READINGS,
    [DAVY_READINGS_TELEMETRY] = DAVY_LOSS_TELEMETRY,
};

/* What max_size took is told to the ledger once, and forgotten here when the ledger has it on disk. */
static void tell_losses(struct reading_store *store)
{
    for (int kind = 0; kind < DAVY_READINGS_KIND_COUNT_; kind++) {
        const struct davy_readings_loss *loss = davy_readings_loss(store->readings, (enum davy_readings_kind)kind);
        bool dated = loss->to.ns != 0;
        int64_t more = (int64_t)(loss->count - store->handed[kind]);
        if (more <= 0)
            continue;
        /* twice, so that the time of the sum is from the first to the last */
        disk_lose(store->disk, loss_kinds[kind], 1, dated ? loss->from : wall_now(store), "max_size");
        disk_lose(store->disk, loss_kinds[kind], more - 1, dated ? loss->to : wall_now(store), "max_size");
        store->disk->owes[loss_kinds[kind]] = true;
        store->handed[kind] = loss->count;
    }
}

/* Losses of this kind were handed to the ledger, and it has them on disk. */
static bool is_kept(const struct reading_store *store, int kind)
{
    return store->handed[kind] > 0 && !store->disk->owes[loss_kinds[kind]];
}

static int settle_losses(struct reading_store *store)
{
    int rc = 0;
    for (int kind = 0; rc == 0 && kind < DAVY_READINGS_KIND_COUNT_; kind++) {
        store->settled[kind] = is_kept(store, kind) ? store->handed[kind] : 0;
        if (store->settled[kind] > 0)
            rc = davy_readings_told(store->readings, (enum davy_readings_kind)kind, store->handed[kind]);
    }
    return rc;
}

static void losses_settled(struct reading_store *store)
{
    for (int kind = 0; kind < DAVY_READINGS_KIND_COUNT_; kind++)
        store->handed[kind] -= store->settled[kind];
    tell_losses(store);
}

/* Losses are to be settled. */
static bool any_is_kept(const struct reading_store *store)
{
    bool kept = false;
    for (int kind = 0; kind < DAVY_READINGS_KIND_COUNT_; kind++)
        kept |= is_kept(store, kind);
    return kept;
}

static void commit(struct reading_store *store)
{
    if (outbox_telemetry_waits(store->outbox))
        (void)ready(store);
    if (!store->open)
        return;
    davy_mono begun = mono_now(store);
    disk_works(store->disk);
    int rc = outbox_settle_telemetry(store->outbox);
    if (rc == 0)
        rc = settle_losses(store);
    if (rc == 0)
        rc = davy_readings_commit(store->readings);
    if (rc < 0) {
        give_up(store, "readings cannot be committed", rc);
        return;
    }
    disk_took(store->disk, begun, store->config->storage.announce_within,
              "a commit of the readings took longer than announce_within");
    losses_settled(store);
    outbox_telemetry_settled(store->outbox);
    store->open = false;
    store->in_it = store->messages = 0;
}

/* ---- readings -------------------------------------------------------------------------------------------------- */

static void switch_config(struct reading_store *store, const struct davy_config *config)
{
    davy_telemetry_flush(store->telemetry, DAVY_MONO_NEVER, true, add_telemetry, store);
    commit(store);
    struct davy_telemetry_batcher *telemetry;
    if (davy_telemetry_new(config, &telemetry) == 0) {
        davy_telemetry_free(store->telemetry);
        store->telemetry = telemetry;
    }
    if (store->readings) {
        int rc = davy_readings_configure(store->readings, config);
        if (rc < 0)
            give_up(store, "readings.db cannot take the new configuration", rc);
    }
    davy_config_unref(store->config);
    store->config = config;
}

/* A batch that is full is written at once, to be sent after the commit: more would not fit. */
static void report_reading(struct reading_store *store, const struct davy_reading *reading)
{
    davy_telemetry_add(store->telemetry, reading);
    if (davy_telemetry_full(store->telemetry))
        davy_telemetry_flush(store->telemetry, DAVY_MONO_NEVER, true, add_telemetry, store);
}

static void take_reading(struct reading_store *store, const struct davy_reading *reading)
{
    report_reading(store, reading);
    if (!ready(store)) {
        disk_lose(store->disk, DAVY_LOSS_READINGS, 1, reading->at.wall, "the disk failed");
        return;
    }
    store->in_it++;
    int rc = davy_readings_append(store->readings, reading);
    if (rc < 0)
        give_up(store, "a reading cannot be written", rc);
}

/* Returns how many there were. */
static size_t take_some(struct reading_store *store, bool keep)
{
    struct record_reading items[READINGS_AT_ONCE];
    size_t count = davy_queue_pop_some(&store->route->readings, items, READINGS_AT_ONCE);
    for (size_t i = 0; i < count; i++) {
        if (items[i].config)
            switch_config(store, items[i].config);
        else if (keep)
            take_reading(store, &items[i].reading);
        else
            disk_lose(store->disk, DAVY_LOSS_READINGS, 1, items[i].reading.at.wall,
                      store->disk->full ? "the disk is full" : "the disk failed");
    }
    return count;
}

static void take_readings(struct reading_store *store)
{
    while (davy_queue_count(&store->route->readings) > 0 && ready(store)) {
        take_some(store, true);
        if (store->open && davy_readings_large(store->readings))
            commit(store); /* before its time */
    }
    while (davy_queue_count(&store->route->readings) > WAITING_MOST)
        take_some(store, false);
}

void reading_store_turn(struct reading_store *store, davy_mono now)
{
    take_readings(store);
    if (now.ns < store->commit_at.ns) {
        if (outbox_telemetry_due(store->outbox)) /* a backlog is on its way: it goes as fast as the broker takes it */
            commit(store);
        return;
    }
    store->commit_at = davy_mono_add(now, store->config->storage.commit_interval);
    if (!store->open && !may_try(store))
        return;
    disk_works(store->disk);
    if (!store->readings)
        open_readings(store);
    /* At the commit that is next to its time: one just before it must not wait for another whole interval. */
    davy_span half = {store->config->storage.commit_interval.ns / 2};
    davy_telemetry_flush(store->telemetry, davy_mono_add(now, half), false, add_telemetry, store);
    commit(store);
    if (store->trim)
        reading_store_trim(store, (davy_wall){0}); /* for its size */
}

void reading_store_hurry(struct reading_store *store)
{
    store->commit_at = (davy_mono){0};
}

void reading_store_trim(struct reading_store *store, davy_wall now)
{
    if (store->open || !store->readings || !may_try(store)) /* on a full disk what went would help nobody */
        return;
    disk_works(store->disk);
    store->trim = false;
    int rc = store->disk->room > 0 ? davy_readings_room(store->readings, store->disk->room) : 0;
    if (rc == 0)
        rc = davy_readings_prune(store->readings, now);
    if (rc < 0)
        give_up(store, "readings.db cannot be trimmed", rc);
}

void reading_store_let_go(struct reading_store *store)
{
    lose_transaction(store);
    if (store->readings)
        davy_readings_let_go(store->readings);
}

davy_mono reading_store_due(const struct reading_store *store)
{
    return store->commit_at;
}

struct davy_readings *reading_store_readings(struct reading_store *store)
{
    return store->readings;
}

struct reading_store *reading_store_free(struct reading_store *store)
{
    if (!store)
        return NULL;
    if (store->readings && any_is_kept(store) && ready(store))
        commit(store);
    davy_telemetry_free(store->telemetry);
    davy_readings_close(store->readings);
    davy_config_unref(store->config);
    free(store);
    return NULL;
}
