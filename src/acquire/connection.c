/* SPDX-License-Identifier: Apache-2.0 */
#include "acquire/connection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "acquire/internal.h"
#include "acquire/wait.h"
#include "base/log.h"

/* Name resolution is what needs most of it. */
#define STACK_BYTES (128 * 1024)

#define DEMANDS_MAX     4
#define LONGEST_TURN_NS (1 * DAVY_NS_PER_S)
#define WINDOW_NS       (10 * DAVY_NS_PER_S)

/* A name, and each of its addresses (bus.h). */
#define OPENING_TIMEOUTS 5

/*
 * A read of a unit that owes replies (guard.h): two probes, the read, a probe; silence before it, holding back until
 * three times max_reply, listening behind it. A request and a reply take half a second at 9600 baud.
 */
#define GUARD_EXCHANGES   4
#define GUARD_REPLIES     5
#define LONGEST_FRAMES_NS (1 * DAVY_NS_PER_S)

/* What people ask for takes at most a tenth of the time, where polls have to wait for it. */
#define DEMAND_SHARE 10

/* A local port is cheap to open again, and an adapter that is back must be seen within 5 s. */
#define LONGEST_PORT_BACKOFF_S   4
#define LONGEST_SOCKET_BACKOFF_S 30

/* ---- commands ---- */

static bool is_readable(const struct davy_poller_demand *demand)
{
    bool bits = demand->table == DAVY_TABLE_COIL || demand->table == DAVY_TABLE_DISCRETE;
    return demand->count >= 1 && demand->count <= (bits ? DAVY_BLOCK_WORDS * 16 : DAVY_BLOCK_WORDS) &&
           demand->start + demand->count <= 65536;
}

static void reply_demand(struct davy_connection *connection, const struct davy_poller_demand_reply *reply)
{
    bool taken = connection->demand_replies && davy_queue_push(connection->demand_replies, reply) == 0;
    if (!taken)
        free(reply->capture); /* the person asks again */
}

static void answer_frames(struct davy_connection *connection)
{
    struct davy_poller_demand_reply answer = {.ticket = connection->held.ticket, .demand = connection->held};
    answer.capture = malloc(sizeof *answer.capture);
    if (answer.capture)
        *answer.capture = connection->capture;
    reply_demand(connection, &answer);
}

/* The longest that it can take. */
static davy_span cost_of(const struct davy_connection *connection, const struct davy_poller_demand *demand)
{
    const struct davy_bus *bus = bus_of(connection);
    bool longer = bus->type != DAVY_BUS_TCP && demand->max_reply.ns > bus->timeout.ns;
    return longer ? demand->max_reply : bus->timeout;
}

/* What a person's read runs into says nothing of the bus: a scan asks units that are not there. */
static void forget_errors(struct davy_poller_status *status, const struct davy_poller_status *before)
{
    status->timeouts = before->timeouts;
    status->exceptions = before->exceptions;
    status->invalid = before->invalid;
}

static void answer_read(struct davy_connection *connection, davy_mono next)
{
    const struct davy_poller_status before = connection->status;
    struct davy_poller_demand_reply answer = {.ticket = connection->held.ticket, .demand = connection->held};
    const struct davy_poller_demand *demand = &connection->held;
    const struct davy_bus_request read = {demand->unit, demand->table, demand->start, demand->count, demand->max_reply};
    davy_span took = poll_exchange(connection, &read, &answer.reply);
    davy_mono after = now_of(connection);
    forget_errors(&connection->status, &before);
    if (after.ns > next.ns)
        connection->demand_at = davy_mono_add(after, (davy_span){(DEMAND_SHARE - 1) * took.ns});
    reply_demand(connection, &answer);
}

/* One demand, where it may be served now. Returns whether something was on the wire. */
static bool serve_demand(struct davy_connection *connection)
{
    davy_mono now = now_of(connection), next = davy_schedule_next(&connection->schedule);
    if (!connection->holds)
        connection->holds = davy_queue_pop(&connection->demands, &connection->held);
    if (!connection->holds)
        return false;
    bool read = connection->held.kind == DAVY_DEMAND_READ, readable = read && is_readable(&connection->held);
    bool fits = davy_mono_add(now, cost_of(connection, &connection->held)).ns <= next.ns;
    if (readable && davy_link_is_open(&connection->link) && !fits && now.ns < connection->demand_at.ns)
        return false;
    connection->holds = false;
    if (readable) {
        answer_read(connection, next);
    } else if (read) {
        struct davy_poller_demand_reply answer = {.ticket = connection->held.ticket, .demand = connection->held};
        answer.reply.answer = DAVY_ANSWER_INVALID;
        reply_demand(connection, &answer);
    } else {
        answer_frames(connection);
    }
    return readable;
}

/* The state of a plan, of which the older one goes only when the new one is there. */
struct state {
    struct davy_schedule schedule;
    struct davy_quarantine quarantine;
};

static int prepare(const struct davy_config *config, const struct davy_share *share, davy_mono start,
                   struct state *ret_state)
{
    int rc = davy_schedule_init(&ret_state->schedule, config, share, start);
    if (rc < 0)
        return rc;
    rc = davy_quarantine_init(&ret_state->quarantine, config, share, start);
    if (rc < 0)
        davy_schedule_done(&ret_state->schedule);
    return rc;
}

static void adopt(struct davy_connection *connection, const struct change *change, struct state *state)
{
    davy_schedule_keep(&state->schedule, &connection->schedule);
    davy_quarantine_keep(&state->quarantine, &connection->quarantine);
    davy_schedule_done(&connection->schedule);
    davy_quarantine_done(&connection->quarantine);
    davy_config_unref(connection->config);
    connection->config = change->config;
    connection->share = change->share;
    connection->schedule = state->schedule;
    connection->quarantine = state->quarantine;
}

static int resize_rows(struct davy_connection *connection, const struct davy_config *config,
                       const struct davy_share *share)
{
    size_t rows = davy_share_count(share, config);
    return davy_cell_resize(&connection->devices, (rows + 1) * sizeof(struct davy_poller_device));
}

static void take_change(struct davy_connection *connection)
{
    struct change change;
    struct state state;
    if (!davy_queue_pop(&connection->changes, &change))
        return;
    if (prepare(change.config, &change.share, now_of(connection), &state) == 0) {
        adopt(connection, &change, &state);
        if (resize_rows(connection, connection->config, &connection->share) < 0)
            davy_error("poller", "%s: no memory for the figures of its devices", bus_of(connection)->name);
        return;
    }
    davy_error("poller", "%s: no memory for the new configuration", bus_of(connection)->name);
    davy_config_unref(change.config);
}

/* False where there is none, or one that is ahead of our configuration. */
static bool take_flag(struct davy_connection *connection)
{
    const struct alarm_flag *flag = &connection->flag;
    if (!connection->has_flag)
        connection->has_flag = davy_queue_pop(&connection->flags, &connection->flag);
    if (!connection->has_flag || flag->generation > connection->config->generation)
        return false;
    connection->has_flag = false;
    if (flag->generation == connection->config->generation)
        davy_schedule_alarm(&connection->schedule, flag->device, flag->in_alarm, now_of(connection));
    return true;
}

/* ---- loop ---- */

static void put_status(struct davy_connection *connection, davy_mono now)
{
    davy_span window = davy_mono_sub(now, connection->window_start);
    if (window.ns >= WINDOW_NS) {
        connection->status.utilization = (double)connection->window_busy.ns / (double)window.ns;
        connection->window_start = now;
        connection->window_busy.ns = 0;
    }
    connection->status.state = connection->link.state;
    connection->status.skipped = connection->schedule.skipped;
    connection->status.quarantined = (unsigned)connection->quarantine.isolated;
    davy_cell_put(&connection->cell, &connection->status);
}

static davy_span idle_time(struct davy_connection *connection, davy_mono now)
{
    davy_mono next = davy_schedule_next(&connection->schedule);
    if (davy_link_is_open(&connection->link))
        next = davy_mono_min(next, davy_quarantine_next(&connection->quarantine));
    else if (connection->share.connection == 0 || connection->schedule.count > 0)
        next = davy_mono_min(next, connection->link.retry_at);
    if (connection->holds)
        next = davy_mono_min(next, connection->demand_at);
    davy_span idle = davy_mono_sub(next, now);
    if (idle.ns > LONGEST_TURN_NS)
        idle.ns = LONGEST_TURN_NS;
    bool asked = !connection->holds && davy_queue_count(&connection->demands) > 0;
    return idle.ns > 0 && !asked ? idle : (davy_span){0};
}

davy_span davy_connection_turn(struct davy_connection *connection)
{
    take_change(connection);
    while (take_flag(connection))
        continue;
    if (connection->share.connection == 0 || connection->schedule.count > 0)
        (void)poll_ensure_open(connection); /* also where nothing is due for long */
    if (!serve_demand(connection) && !poll_probe(connection))
        poll_due(connection);
    davy_mono now = now_of(connection);
    put_status(connection, now);
    return idle_time(connection, now);
}

static void run(struct davy_thread *thread, void *context)
{
    struct davy_connection *connection = context;
    davy_wait_beat_into(&connection->waits);
    while (!davy_thread_stopping(thread)) {
        davy_span idle = davy_connection_turn(connection);
        davy_thread_beat(thread);
        if (idle.ns > 0)
            davy_waker_wait(&thread->waker, idle);
    }
    connection->bus_link.ops->close(connection->bus_link.link);
}

/* ---- life ---- */

static int init_queues(struct davy_connection *connection)
{
    const struct davy_share all = davy_share_all(connection->share.bus); /* flags are told to every connection */
    const size_t devices = davy_share_count(&connection->share, connection->config);
    const size_t flags = 64 + 2 * davy_share_count(&all, connection->config);
    struct davy_waker *waker = &connection->thread.waker;
    const struct {
        struct davy_queue *queue;
        size_t item_size, capacity;
        enum davy_queue_full full;
    } queues[] = {
        {&connection->changes, sizeof(struct change), 1, DAVY_QUEUE_REFUSE},
        {&connection->flags, sizeof(struct alarm_flag), flags, DAVY_QUEUE_DROP_OLDEST},
        {&connection->demands, sizeof(struct davy_poller_demand), DEMANDS_MAX, DAVY_QUEUE_REFUSE},
    };
    for (size_t i = 0; i < DAVY_LENGTH(queues); i++) {
        int rc = davy_queue_init(queues[i].queue, queues[i].item_size, queues[i].capacity, queues[i].full, waker);
        if (rc < 0)
            return rc;
    }
    int rc = davy_cell_init(&connection->cell, sizeof connection->status);
    return rc < 0 ? rc : davy_cell_init(&connection->devices, (devices + 1) * sizeof(struct davy_poller_device));
}

static davy_mono first_connect(const struct davy_connection_options *options, davy_mono now)
{
    struct davy_random random = {options->seed};
    return davy_mono_add(now, (davy_span){(int64_t)(davy_random_unit(&random) * (double)options->spread.ns)});
}

static int init(struct davy_connection *connection, const struct davy_connection_options *options)
{
    char name[16];
    struct state state;
    const struct davy_bus *bus = bus_of(connection);
    snprintf(name, sizeof name, "bus %s", bus->name);
    connection->window_start = now_of(connection);
    davy_mono start = first_connect(options, connection->window_start);
    int64_t longest = bus->type == DAVY_BUS_RTU ? LONGEST_PORT_BACKOFF_S : LONGEST_SOCKET_BACKOFF_S;
    davy_link_init(&connection->link, davy_span_s(longest), options->seed, start);
    davy_capture_init(&connection->capture);
    int rc = davy_thread_init(&connection->thread, name);
    if (rc == 0)
        rc = init_queues(connection);
    if (rc == 0)
        rc = prepare(connection->config, &connection->share, start, &state);
    if (rc < 0)
        return rc;
    connection->schedule = state.schedule;
    connection->quarantine = state.quarantine;
    return 0;
}

/* Who asked is told that nothing comes any more. */
static void refuse_demands(struct davy_connection *connection)
{
    while (connection->holds ||
           (connection->demands.ready && davy_queue_pop(&connection->demands, &connection->held))) {
        struct davy_poller_demand_reply answer = {.ticket = connection->held.ticket, .demand = connection->held};
        answer.reply.answer = DAVY_ANSWER_DOWN;
        connection->holds = false;
        reply_demand(connection, &answer);
    }
}

/* Everything but the link, which after a failed start is still the caller's. */
static void release(struct davy_connection *connection)
{
    struct change change;
    davy_thread_done(&connection->thread);
    refuse_demands(connection);
    if (connection->changes.ready && davy_queue_pop(&connection->changes, &change))
        davy_config_unref(change.config);
    davy_queue_done(&connection->changes);
    davy_queue_done(&connection->flags);
    davy_queue_done(&connection->demands);
    davy_cell_done(&connection->cell);
    davy_cell_done(&connection->devices);
    davy_schedule_done(&connection->schedule);
    davy_quarantine_done(&connection->quarantine);
    davy_config_unref(connection->config);
    free(connection);
}

int davy_connection_new(const struct davy_connection_options *options, struct davy_connection **ret_connection)
{
    struct davy_connection *connection = calloc(1, sizeof *connection);
    if (!connection)
        return -ENOMEM;
    connection->thread.waker = DAVY_WAKER_INIT;
    connection->config = davy_config_ref(options->config);
    connection->share = options->share;
    connection->clock = options->clock;
    connection->blocks = options->blocks;
    connection->demand_replies = options->demands;
    int rc = init(connection, options);
    if (rc < 0) {
        release(connection);
        return rc;
    }
    connection->bus_link = options->link;
    if (connection->bus_link.ops->obey)
        connection->bus_link.ops->obey(connection->bus_link.link, &connection->thread.stop);
    if (connection->bus_link.ops->record)
        connection->bus_link.ops->record(connection->bus_link.link, &connection->capture);
    *ret_connection = connection;
    return 0;
}

int davy_connection_start(struct davy_connection *connection)
{
    return davy_thread_start(&connection->thread, STACK_BYTES, run, connection);
}

void davy_connection_stop(struct davy_connection *connection)
{
    davy_thread_stop(&connection->thread);
}

struct davy_connection *davy_connection_free(struct davy_connection *connection)
{
    if (!connection)
        return NULL;
    struct davy_bus_link link = connection->bus_link;
    release(connection);
    link.ops->free(link.link);
    return NULL;
}

void davy_connection_switch(struct davy_connection *connection, const struct davy_config *config,
                            const struct davy_share *share)
{
    const struct change change = {.config = davy_config_ref(config), .share = *share};
    struct change overtaken;
    while (davy_queue_push(&connection->changes, &change) != 0)
        if (davy_queue_pop(&connection->changes, &overtaken))
            davy_config_unref(overtaken.config);
}

void davy_connection_alarm(struct davy_connection *connection, uint32_t generation, uint32_t device, bool in_alarm)
{
    const struct alarm_flag flag = {.generation = generation, .device = device, .in_alarm = in_alarm};
    (void)davy_queue_push(&connection->flags, &flag); /* room for two changes of each device between two turns */
}

int davy_connection_demand(struct davy_connection *connection, const struct davy_poller_demand *demand)
{
    return davy_queue_push(&connection->demands, demand) == 0 ? 0 : -EAGAIN;
}

void davy_connection_status(struct davy_connection *connection, struct davy_poller_status *ret_status)
{
    davy_cell_get(&connection->cell, ret_status);
}

bool davy_connection_device(struct davy_connection *connection, size_t row, struct davy_poller_device *ret_device)
{
    return davy_cell_get_at(&connection->devices, row * sizeof *ret_device, ret_device, sizeof *ret_device) &&
           ret_device->generation != 0;
}

/* Of the devices of a bus the one that may take longest to answer. */
static int64_t longest_reply_ns(const struct davy_config *config, uint32_t bus)
{
    int64_t longest = 0;
    for (size_t d = 0; d < config->device_count; d++)
        if (config->devices[d].bus == bus && config->devices[d].max_reply.ns > longest)
            longest = config->devices[d].max_reply.ns;
    return longest;
}

static int64_t longest_opening_ns(const struct davy_bus *bus)
{
    return bus->type == DAVY_BUS_RTU ? 0 : OPENING_TIMEOUTS * bus->timeout.ns;
}

/* With the guard of a serial line around it. */
static int64_t longest_exchange_ns(const struct davy_config *config, uint32_t index)
{
    const struct davy_bus *bus = &config->buses[index];
    const int64_t one = bus->timeout.ns + bus->pause.ns;
    return bus->type == DAVY_BUS_TCP
               ? one
               : GUARD_EXCHANGES * (one + LONGEST_FRAMES_NS) + GUARD_REPLIES * longest_reply_ns(config, index);
}

davy_span davy_connection_longest_turn(const struct davy_config *config, uint32_t index)
{
    const struct davy_bus *bus = &config->buses[index];
    const int64_t opening = longest_opening_ns(bus), one = longest_exchange_ns(config, index);
    const int tries = 1 + (bus->retries > 1 ? bus->retries : 1);
    return (davy_span){opening + tries * (one + opening)};
}

davy_span davy_connection_longest_beat(const struct davy_config *config, uint32_t index)
{
    const int64_t opening = longest_opening_ns(&config->buses[index]), one = longest_exchange_ns(config, index);
    return (davy_span){opening > one ? opening : one};
}

uint64_t davy_connection_beats(const struct davy_connection *connection)
{
    return atomic_load(&connection->thread.beats);
}

uint64_t davy_connection_pulse(const struct davy_connection *connection)
{
    return atomic_load(&connection->thread.beats) + atomic_load(&connection->waits);
}
