/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/pipeline.h"

#include <errno.h>
#include <string.h>

#include "acquire/poller.h"
#include "base/log.h"
#include "base/num.h"
#include "config/diff.h"
#include "daemon/evaluate_stage.h"
#include "daemon/judge.h"
#include "daemon/record_stage.h"
#include "daemon/write.h"

/*
 * The route of one reading, from the wire to the broker:
 *
 *   1  poller (a thread a line)     acquire/connection.c     schedule → read → stamp       → blocks
 *   2  evaluator                   daemon/evaluate_stage.c  decode → judge                → readings, records
 *   3  recorder                    daemon/record_stage.c    one transaction, seq, outbox  → messages
 *   4  publisher                   publish/publisher.c      window in flight, PUBACK      → deliveries, back to 3
 *
 * main asks (control socket, reload) and is answered by queues of its own; it never waits for a stage.
 *
 * A command over MQTT goes the other way:
 *
 *   4  publisher                   publish/incoming.c       bounds, rights, nonce         → commands, or refused
 *      main                        daemon/remote.c          who does it                   → asks, tasks
 *   2  evaluator                   daemon/evaluate_stage.c  ack
 *   3  recorder                    daemon/platform.c        snapshot, resend, confirm
 *
 * and whoever did it publishes the answer. Nothing but `ack` reaches the evaluator on this way.
 */

/* Without a sign of life for this long a thread is stuck; a poller may take the longest exchange of its bus beside. */
#define PATIENCE (6 * DAVY_NS_PER_S)

/* The publisher's: beyond what the resolver and the client's library take. While it stands nothing is heard of us. */
#define PUBLISHER_PATIENCE (120 * DAVY_NS_PER_S)

/* How long the start waits for what the ledger remembers. */
#define RECALL_PATIENCE (5 * DAVY_NS_PER_S)

struct poller_heartbeat {
    struct heartbeat pulse;
    struct heartbeat turns;
};

struct pipeline {
    struct route route;
    const char *directory; /* of the state; not owned */
    const struct davy_config *config;
    const struct davy_config *next;    /* a reload is under way */
    struct davy_poller **pollers;      /* by bus of `config` */
    struct davy_poller **next_pollers; /* by bus of `next`; kept ones are in both */
    struct davy_thread evaluator_thread;
    struct davy_thread recorder_thread;
    struct evaluate_stage *evaluator;
    struct record_stage *recorder;
    struct heartbeat evaluator_heartbeat;
    struct heartbeat publisher_heartbeat;
    struct poller_heartbeat *heartbeats; /* by bus of `config` */
};

static int create_queues(struct pipeline *pipeline, struct davy_waker *main_waker)
{
    struct route *route = &pipeline->route;
    struct davy_waker *evaluator = &pipeline->evaluator_thread.waker;
    struct davy_waker *recorder = &pipeline->recorder_thread.waker;
    const struct {
        struct davy_queue *queue;
        size_t item_size, capacity;
        enum davy_queue_full full;
        struct davy_waker *waker;
    } queues[] = {
        {&route->blocks, sizeof(struct davy_block), ROUTE_BLOCKS, DAVY_QUEUE_DROP_OLDEST, evaluator},
        {&route->asks, sizeof(struct ask), ROUTE_ASKS, DAVY_QUEUE_REFUSE, evaluator},
        {&route->replies, sizeof(struct reply), ROUTE_REPLIES, DAVY_QUEUE_REFUSE, main_waker},
        {&route->records, sizeof(struct record), ROUTE_RECORDS, DAVY_QUEUE_REFUSE, recorder},
        {&route->readings, sizeof(struct record_reading), ROUTE_READINGS, DAVY_QUEUE_REFUSE, recorder},
        {&route->deliveries, sizeof(struct davy_delivery), 4 * DAVY_PUBLISHER_ROOM, DAVY_QUEUE_REFUSE, recorder},
        {&route->notices, sizeof(enum notice), ROUTE_NOTICES, DAVY_QUEUE_DROP_OLDEST, main_waker},
        {&route->demands, sizeof(struct davy_poller_demand_reply), ROUTE_REPLIES, DAVY_QUEUE_REFUSE, main_waker},
        {&route->commands, sizeof(struct davy_remote *), ROUTE_COMMANDS, DAVY_QUEUE_REFUSE, main_waker},
        {&route->tasks, sizeof(struct davy_remote *), ROUTE_TASKS, DAVY_QUEUE_REFUSE, recorder},
    };
    _Static_assert(DAVY_LENGTH(queues) == ROUTE_QUEUES, "each queue of the route");
    for (size_t i = 0; i < DAVY_LENGTH(queues); i++) {
        int rc =
            davy_queue_init(queues[i].queue, queues[i].item_size, queues[i].capacity, queues[i].full, queues[i].waker);
        if (rc < 0)
            return rc;
    }
    davy_queue_ring_each(&route->readings, ROUTE_READINGS_RING);
    davy_queue_ring_each(&route->deliveries, ROUTE_DELIVERIES_RING);
    int rc = davy_cell_init(&route->evaluator, sizeof(struct evaluator_status));
    return rc < 0 ? rc : davy_cell_init(&route->recorder, sizeof(struct recorder_status));
}

static uint64_t new_seed(void)
{
    uint64_t seed;
    davy_random_bytes(&seed, sizeof seed);
    return seed;
}

static int create_poller(struct pipeline *pipeline, const struct davy_config *config, uint32_t bus,
                         struct davy_poller **ret_poller)
{
    struct davy_poller_options options = {
        .config = config,
        .bus = bus,
        .new_link = davy_bus_modbus_new,
        .clock = pipeline->route.clock,
        .blocks = &pipeline->route.blocks,
        .demands = &pipeline->route.demands,
        .seed = new_seed(),
    };
    return davy_poller_new(&options, ret_poller);
}

/* The running poller of a bus that is the same in both configurations; NULL. */
static struct davy_poller *same_poller(const struct pipeline *pipeline, const struct davy_bus *bus)
{
    uint32_t old = pipeline->config ? davy_config_find_bus(pipeline->config, bus->name) : DAVY_NONE;
    bool same = old != DAVY_NONE && pipeline->pollers && davy_config_same_bus(&pipeline->config->buses[old], bus);
    return same ? pipeline->pollers[old] : NULL;
}

static bool contains(struct davy_poller *const *pollers, size_t count, const struct davy_poller *poller)
{
    for (size_t i = 0; pollers && i < count; i++)
        if (pollers[i] == poller)
            return true;
    return false;
}

/* End those of an array that are not in another one. Their addresses stay in it. */
static void end_pollers(struct davy_poller *const *pollers, size_t count, struct davy_poller *const *kept,
                        size_t kept_count)
{
    for (size_t i = 0; pollers && i < count; i++)
        if (pollers[i] && !contains(kept, kept_count, pollers[i]))
            davy_poller_stop(pollers[i]);
    for (size_t i = 0; pollers && i < count; i++)
        if (pollers[i] && !contains(kept, kept_count, pollers[i]))
            davy_poller_free(pollers[i]);
}

static void free_pollers(struct davy_poller **pollers, size_t count, struct davy_poller *const *kept, size_t kept_count)
{
    end_pollers(pollers, count, kept, kept_count);
    free(pollers);
}

static size_t bus_count(const struct davy_config *config)
{
    return config ? config->bus_count : 0;
}

/* Pollers for every bus: those that can go on, and new ones that are not started. */
static int create_pollers(struct pipeline *pipeline, const struct davy_config *config,
                          struct davy_poller ***ret_pollers)
{
    struct davy_poller **pollers = calloc(config->bus_count + 1, sizeof(struct davy_poller *));
    int rc = pollers ? 0 : -ENOMEM;
    for (uint32_t b = 0; b < config->bus_count && rc == 0; b++) {
        pollers[b] = same_poller(pipeline, &config->buses[b]);
        if (!pollers[b])
            rc = create_poller(pipeline, config, b, &pollers[b]);
    }
    if (rc < 0)
        free_pollers(pollers, config->bus_count, pipeline->pollers, bus_count(pipeline->config));
    else
        *ret_pollers = pollers;
    return rc;
}

static struct davy_poller **copy_pollers(struct davy_poller *const *pollers, size_t count)
{
    struct davy_poller **copy = calloc(count + 1, sizeof(struct davy_poller *));
    if (copy && count > 0)
        memcpy(copy, pollers, count * sizeof(struct davy_poller *));
    return copy;
}

static int create_publisher(struct pipeline *pipeline)
{
    struct davy_publisher_options options = {
        .config = pipeline->config,
        .clock = pipeline->route.clock,
        .deliveries = &pipeline->route.deliveries,
        .commands = &pipeline->route.commands,
        .boot_id = pipeline->route.boot_id,
        .seed = new_seed(),
    };
    return pipeline->config->mqtt.enabled ? davy_publisher_new(&options, &pipeline->route.publisher) : 0;
}

static int create_evaluator(struct pipeline *pipeline)
{
    struct davy_poller **pollers = copy_pollers(pipeline->pollers, pipeline->config->bus_count);
    int rc = pollers ? evaluate_stage_new(&pipeline->route, &pipeline->evaluator_thread, pipeline->config, pollers,
                                          &pipeline->evaluator)
                     : -ENOMEM;
    if (rc < 0)
        free(pollers);
    return rc;
}

/* What an alarm was before the restart. One that is no longer configured ends; the recorder does that by its key. */
static void recalled(void *context, const struct davy_alarm_memory *memory)
{
    struct pipeline *pipeline = context;
    struct record orphan = {.kind = RECORD_ORPHAN, .at = davy_clock_now(pipeline->route.clock), .memory = *memory};
    if (!evaluate_stage_restore(pipeline->evaluator, memory))
        davy_queue_push(&pipeline->route.records, &orphan);
}

static int create_stages(struct pipeline *pipeline, const struct state_place *place, struct davy_waker *waker)
{
    int rc = davy_thread_init(&pipeline->evaluator_thread, "evaluator");
    if (rc == 0)
        rc = davy_thread_init(&pipeline->recorder_thread, "recorder");
    if (rc == 0)
        rc = create_queues(pipeline, waker);
    if (rc == 0)
        rc = create_publisher(pipeline);
    if (rc == 0)
        rc = create_pollers(pipeline, pipeline->config, &pipeline->pollers);
    if (rc == 0)
        rc = create_evaluator(pipeline);
    if (rc == 0)
        rc = record_stage_new(&pipeline->route, &pipeline->recorder_thread, pipeline->config, place,
                              &pipeline->recorder);
    return rc;
}

int pipeline_new(const struct davy_config *config, const struct state_place *place, const struct davy_clock *clock,
                 struct davy_waker *waker, struct pipeline **ret_pipeline)
{
    struct pipeline *pipeline = calloc(1, sizeof *pipeline);
    if (!pipeline)
        return -ENOMEM;
    pipeline->evaluator_thread = pipeline->recorder_thread = DAVY_THREAD_INIT;
    pipeline->config = davy_config_ref(config);
    pipeline->directory = place->directory;
    pipeline->route.clock = clock;
    davy_boot_id(pipeline->route.boot_id);
    pipeline->route.started = davy_clock_now(clock);
    int rc = create_stages(pipeline, place, waker);
    if (rc < 0)
        pipeline_free(pipeline, NULL);
    else
        *ret_pipeline = pipeline;
    return rc;
}

/* What was before the restart, unless the disk hangs: then polling begins without, and gets it later. */
static void restore(struct pipeline *pipeline)
{
    if (record_stage_recall(pipeline->recorder, (davy_span){RECALL_PATIENCE}, recalled, pipeline))
        evaluate_stage_refill(pipeline->evaluator, pipeline->directory);
    else
        davy_error("record", "the disk is slow: alarms are what they were only when it has answered, and windows "
                             "start uncovered");
}

int pipeline_start(struct pipeline *pipeline)
{
    int rc = record_stage_start(pipeline->recorder);
    if (rc == 0)
        restore(pipeline);
    if (rc == 0 && pipeline->route.publisher)
        rc = davy_publisher_start(pipeline->route.publisher);
    if (rc == 0)
        rc = evaluate_stage_start(pipeline->evaluator);
    for (size_t b = 0; b < pipeline->config->bus_count && rc == 0; b++)
        rc = davy_poller_start(pipeline->pollers[b]);
    return rc;
}

static void free_records(struct route *route)
{
    struct record record;
    struct record_reading reading;
    struct reply reply;
    struct davy_poller_demand_reply answer;
    while (route->records.ready && davy_queue_pop(&route->records, &record))
        record_done(&record);
    while (route->readings.ready && davy_queue_pop(&route->readings, &reading))
        davy_config_unref(reading.config);
    while (route->replies.ready && davy_queue_pop(&route->replies, &reply))
        free(reply.line);
    while (route->demands.ready && davy_queue_pop(&route->demands, &answer))
        free(answer.capture);
}

static void free_asks(struct route *route)
{
    struct ask ask;
    while (route->asks.ready && davy_queue_pop(&route->asks, &ask)) {
        if (ask.kind == ASK_RELOAD)
            davy_config_unref(ask.config);
        free(ask.pollers);
        free(ask.memories);
        free(ask.remote);
    }
}

static void free_commands(struct davy_queue *queue)
{
    struct davy_remote *remote;
    while (queue->ready && davy_queue_pop(queue, &remote))
        free(remote);
}

static void free_route(struct route *route)
{
    free_records(route);
    free_asks(route);
    free_commands(&route->commands);
    free_commands(&route->tasks);
    struct davy_queue *queues[ROUTE_QUEUES];
    route_queues(route, queues);
    for (size_t i = 0; i < ROUTE_QUEUES; i++)
        davy_queue_done(queues[i]);
    davy_cell_done(&route->evaluator);
    davy_cell_done(&route->recorder);
}

struct pipeline *pipeline_free(struct pipeline *pipeline, struct davy_message *farewell)
{
    if (!pipeline)
        return NULL;
    struct davy_poller **pollers = pipeline->pollers;
    davy_thread_stop(&pipeline->evaluator_thread);
    for (size_t b = 0; pollers && b < bus_count(pipeline->config); b++)
        if (pollers[b])
            davy_poller_stop(pollers[b]);
    davy_thread_join(&pipeline->evaluator_thread);
    pipeline->evaluator = evaluate_stage_free(pipeline->evaluator);
    free_pollers(pipeline->next_pollers, bus_count(pipeline->next), pollers, bus_count(pipeline->config));
    free_pollers(pollers, bus_count(pipeline->config), NULL, 0);
    davy_thread_join(&pipeline->recorder_thread);
    pipeline->route.publisher = davy_publisher_free(pipeline->route.publisher, davy_span_s(1), farewell);
    pipeline->recorder = record_stage_free(pipeline->recorder);
    free_route(&pipeline->route);
    davy_thread_done(&pipeline->evaluator_thread);
    davy_thread_done(&pipeline->recorder_thread);
    davy_config_unref(pipeline->next);
    davy_config_unref(pipeline->config);
    free(pipeline->heartbeats);
    free(pipeline);
    return NULL;
}

struct route *pipeline_route(struct pipeline *pipeline)
{
    return &pipeline->route;
}

const struct davy_config *pipeline_config(const struct pipeline *pipeline)
{
    return pipeline->config;
}

struct davy_poller *pipeline_poller_at(struct pipeline *pipeline, uint32_t bus)
{
    return pipeline->pollers[bus];
}

struct davy_poller *pipeline_poller(struct pipeline *pipeline, const char *bus)
{
    uint32_t index = davy_config_find_bus(pipeline->config, bus);
    return index == DAVY_NONE ? NULL : pipeline->pollers[index];
}

/* ---- reload: the evaluator first, then everybody else ---------------------------------------------------------- */

int pipeline_reload(struct pipeline *pipeline, const struct davy_config *config)
{
    if (pipeline->next)
        return -EBUSY;
    int rc = create_pollers(pipeline, config, &pipeline->next_pollers);
    if (rc < 0)
        return rc;
    struct ask ask = {.kind = ASK_RELOAD, .config = davy_config_ref(config)};
    ask.pollers = copy_pollers(pipeline->next_pollers, config->bus_count);
    if (!ask.pollers || davy_queue_push(&pipeline->route.asks, &ask) == DAVY_QUEUE_LOST) {
        free(ask.pollers);
        davy_config_unref(ask.config);
        free_pollers(pipeline->next_pollers, config->bus_count, pipeline->pollers, bus_count(pipeline->config));
        pipeline->next_pollers = NULL;
        return -EBUSY;
    }
    pipeline->next = davy_config_ref(config);
    return 0;
}

/*
 * Old pollers end before new ones begin: they may want the same serial port. New ones were made while the old ones
 * lived, so that an address is of one of them. Nothing here may fail: who goes on must not be started once more.
 */
static void switch_pollers(struct pipeline *pipeline)
{
    const struct davy_config *next = pipeline->next;
    struct davy_poller **old = pipeline->pollers;
    size_t old_count = bus_count(pipeline->config);
    end_pollers(old, old_count, pipeline->next_pollers, next->bus_count);
    pipeline->pollers = pipeline->next_pollers;
    pipeline->next_pollers = NULL;
    for (uint32_t b = 0; b < next->bus_count; b++) {
        bool kept = contains(old, old_count, pipeline->pollers[b]);
        if (kept) {
            davy_poller_switch(pipeline->pollers[b], next, b);
            continue;
        }
        int rc = davy_poller_start(pipeline->pollers[b]);
        if (rc < 0)
            davy_error("reload", "bus %s does not start: %s", next->buses[b].name, strerror(-rc));
    }
    free(old);
}

/* The evaluator stays with the old configuration: forget the next one. */
void pipeline_not_switched(struct pipeline *pipeline)
{
    free_pollers(pipeline->next_pollers, bus_count(pipeline->next), pipeline->pollers, bus_count(pipeline->config));
    pipeline->next_pollers = NULL;
    pipeline->next = davy_config_unref(pipeline->next);
}

void pipeline_switched(struct pipeline *pipeline)
{
    if (!pipeline->next)
        return;
    switch_pollers(pipeline);
    bool same_broker = davy_config_same_mqtt(&pipeline->config->mqtt, &pipeline->next->mqtt);
    if (pipeline->route.publisher && !same_broker &&
        davy_publisher_switch(pipeline->route.publisher, pipeline->next) < 0)
        davy_error("reload", "the publisher does not follow");
    davy_config_unref(pipeline->config);
    pipeline->config = pipeline->next;
    pipeline->next = NULL;
    free(pipeline->heartbeats);
    pipeline->heartbeats = NULL;
}

/* ---- watching -------------------------------------------------------------------------------------------------- */

static davy_span patience_with(const struct davy_config *config, uint32_t bus)
{
    return (davy_span){davy_connection_longest_beat(config, bus).ns + PATIENCE};
}

static bool publisher_turns(struct pipeline *pipeline, davy_mono now)
{
    const struct davy_publisher *publisher = pipeline->route.publisher;
    return !publisher || heartbeat_judge(&pipeline->publisher_heartbeat, davy_publisher_beats(publisher),
                                         (davy_span){PUBLISHER_PATIENCE}, now);
}

static bool poller_turns(struct pipeline *pipeline, uint32_t bus, davy_mono now)
{
    struct poller_heartbeat *heartbeat = &pipeline->heartbeats[bus];
    struct davy_poller *poller = pipeline->pollers[bus];
    const bool lives = heartbeat_judge(&heartbeat->pulse, davy_poller_pulse(poller), (davy_span){PATIENCE}, now);
    const bool turns =
        heartbeat_judge(&heartbeat->turns, davy_poller_beats(poller), patience_with(pipeline->config, bus), now);
    return lives && turns;
}

static bool pollers_turn(struct pipeline *pipeline, davy_mono now, const char **ret_stuck)
{
    bool advanced = true;
    if (!pipeline->heartbeats)
        pipeline->heartbeats = calloc(pipeline->config->bus_count + 1, sizeof *pipeline->heartbeats);
    for (uint32_t b = 0; pipeline->heartbeats && b < pipeline->config->bus_count; b++) {
        if (poller_turns(pipeline, b, now))
            continue;
        advanced = false;
        *ret_stuck = pipeline->config->buses[b].name;
    }
    return advanced;
}

bool pipeline_turns(struct pipeline *pipeline, davy_mono now, const char **ret_stuck)
{
    const struct {
        const char *name;
        bool turns;
    } threads[] = {
        {"publisher", publisher_turns(pipeline, now)},
        {"evaluator", heartbeat_judge(&pipeline->evaluator_heartbeat, atomic_load(&pipeline->evaluator_thread.beats),
                                      (davy_span){PATIENCE}, now)},
    };
    bool advanced = pollers_turn(pipeline, now, ret_stuck);
    for (size_t i = 0; i < DAVY_LENGTH(threads); i++) {
        advanced &= threads[i].turns;
        if (!threads[i].turns)
            *ret_stuck = threads[i].name;
    }
    return advanced;
}
