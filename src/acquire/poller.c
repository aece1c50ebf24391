/* SPDX-License-Identifier: Apache-2.0 */
#include "acquire/poller.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "acquire/internal.h"
#include "base/log.h"

/* Name resolution is what needs most of it. */
#define STACK_BYTES (128 * 1024)

#define DEMANDS_MAX     4
#define LONGEST_TURN_NS (1 * DAVY_NS_PER_S)
#define WINDOW_NS       (10 * DAVY_NS_PER_S)

/* What people ask for takes at most a tenth of the time, where polls have to wait for it. */
#define DEMAND_SHARE 10

/* A local port is cheap to open again, and an adapter that is back must be seen within 5 s. */
#define LONGEST_PORT_BACKOFF_S   4
#define LONGEST_SOCKET_BACKOFF_S 30

/* Many connections begin at once when the daemon starts, some of them to one server. */
#define FIRST_CONNECT_NS (250 * DAVY_NS_PER_MS)

/* ---- commands ---- */

static bool is_readable(const struct davy_poller_demand *demand)
{
    bool bits = demand->table == DAVY_TABLE_COIL || demand->table == DAVY_TABLE_DISCRETE;
    return demand->count >= 1 && demand->count <= (bits ? DAVY_BLOCK_WORDS * 16 : DAVY_BLOCK_WORDS) &&
           demand->start + demand->count <= 65536;
}

static void reply_demand(struct davy_poller *poller, const struct davy_poller_demand_reply *reply)
{
    bool taken = poller->demand_replies && davy_queue_push(poller->demand_replies, reply) == 0;
    if (!taken)
        free(reply->capture); /* the person asks again */
}

static void answer_frames(struct davy_poller *poller)
{
    struct davy_poller_demand_reply answer = {.ticket = poller->held.ticket, .demand = poller->held};
    answer.capture = malloc(sizeof *answer.capture);
    if (answer.capture)
        *answer.capture = poller->capture;
    reply_demand(poller, &answer);
}

/* The longest that it can take. */
static davy_span cost_of(const struct davy_poller *poller, const struct davy_poller_demand *demand)
{
    const struct davy_bus *bus = bus_of(poller);
    bool longer = bus->type != DAVY_BUS_TCP && demand->max_reply.ns > bus->timeout.ns;
    return longer ? demand->max_reply : bus->timeout;
}

static void answer_read(struct davy_poller *poller, davy_mono next)
{
    struct davy_poller_demand_reply answer = {.ticket = poller->held.ticket, .demand = poller->held};
    const struct davy_poller_demand *demand = &poller->held;
    const struct davy_bus_request read = {demand->unit, demand->table, demand->start, demand->count, demand->max_reply};
    davy_span took = poll_exchange(poller, &read, &answer.reply);
    davy_mono after = now_of(poller);
    if (after.ns > next.ns)
        poller->demand_at = davy_mono_add(after, (davy_span){(DEMAND_SHARE - 1) * took.ns});
    reply_demand(poller, &answer);
}

/* One demand, where it may be served now. Returns whether something was on the wire. */
static bool serve_demand(struct davy_poller *poller)
{
    davy_mono now = now_of(poller), next = davy_schedule_next(&poller->schedule);
    if (!poller->holds)
        poller->holds = davy_queue_pop(&poller->demands, &poller->held);
    if (!poller->holds)
        return false;
    bool read = poller->held.kind == DAVY_DEMAND_READ, readable = read && is_readable(&poller->held);
    bool fits = davy_mono_add(now, cost_of(poller, &poller->held)).ns <= next.ns;
    if (readable && davy_link_is_open(&poller->link) && !fits && now.ns < poller->demand_at.ns)
        return false;
    poller->holds = false;
    if (readable) {
        answer_read(poller, next);
    } else if (read) {
        struct davy_poller_demand_reply answer = {.ticket = poller->held.ticket, .demand = poller->held};
        answer.reply.answer = DAVY_ANSWER_INVALID;
        reply_demand(poller, &answer);
    } else {
        answer_frames(poller);
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

static void adopt(struct davy_poller *poller, const struct change *change, struct state *state)
{
    davy_schedule_keep(&state->schedule, &poller->schedule);
    davy_quarantine_keep(&state->quarantine, &poller->quarantine);
    davy_schedule_done(&poller->schedule);
    davy_quarantine_done(&poller->quarantine);
    davy_config_unref(poller->config);
    poller->config = change->config;
    poller->share = change->share;
    poller->schedule = state->schedule;
    poller->quarantine = state->quarantine;
}

static int resize_rows(struct davy_poller *poller, const struct davy_config *config, const struct davy_share *share)
{
    size_t rows = davy_share_count(share, config);
    return davy_cell_resize(&poller->devices, (rows + 1) * sizeof(struct davy_poller_device));
}

static void take_change(struct davy_poller *poller)
{
    struct change change;
    struct state state;
    if (!davy_queue_pop(&poller->changes, &change))
        return;
    if (prepare(change.config, &change.share, now_of(poller), &state) == 0) {
        adopt(poller, &change, &state);
        if (resize_rows(poller, poller->config, &poller->share) < 0)
            davy_error("poller", "%s: no memory for the figures of its devices", bus_of(poller)->name);
        return;
    }
    davy_error("poller", "%s: no memory for the new configuration", bus_of(poller)->name);
    davy_config_unref(change.config);
}

static void take_flags(struct davy_poller *poller)
{
    struct alarm_flag flag;
    while (davy_queue_pop(&poller->flags, &flag))
        davy_schedule_alarm(&poller->schedule, flag.device, flag.in_alarm, now_of(poller));
}

/* ---- loop ---- */

static void put_status(struct davy_poller *poller, davy_mono now)
{
    davy_span window = davy_mono_sub(now, poller->window_start);
    if (window.ns >= WINDOW_NS) {
        poller->status.utilization = (double)poller->window_busy.ns / (double)window.ns;
        poller->window_start = now;
        poller->window_busy.ns = 0;
    }
    poller->status.state = poller->link.state;
    poller->status.skipped = poller->schedule.skipped;
    poller->status.quarantined = (unsigned)poller->quarantine.isolated;
    davy_cell_put(&poller->cell, &poller->status);
}

static davy_span idle_time(struct davy_poller *poller, davy_mono now)
{
    davy_mono next = davy_schedule_next(&poller->schedule);
    if (davy_link_is_open(&poller->link))
        next = davy_mono_min(next, davy_quarantine_next(&poller->quarantine));
    else
        next = davy_mono_min(next, poller->link.retry_at);
    if (poller->holds)
        next = davy_mono_min(next, poller->demand_at);
    davy_span idle = davy_mono_sub(next, now);
    if (idle.ns > LONGEST_TURN_NS)
        idle.ns = LONGEST_TURN_NS;
    bool asked = !poller->holds && davy_queue_count(&poller->demands) > 0;
    return idle.ns > 0 && !asked ? idle : (davy_span){0};
}

davy_span davy_poller_turn(struct davy_poller *poller)
{
    take_change(poller);
    take_flags(poller);
    (void)poll_ensure_open(poller); /* also where nothing is due for long */
    if (!serve_demand(poller) && !poll_probe(poller))
        poll_due(poller);
    davy_mono now = now_of(poller);
    put_status(poller, now);
    return idle_time(poller, now);
}

static void run(struct davy_thread *thread, void *context)
{
    struct davy_poller *poller = context;
    while (!davy_thread_stopping(thread)) {
        davy_span idle = davy_poller_turn(poller);
        davy_thread_beat(thread);
        if (idle.ns > 0)
            davy_waker_wait(&thread->waker, idle);
    }
    poller->bus_link.ops->close(poller->bus_link.link);
}

/* ---- life ---- */

static int init_queues(struct davy_poller *poller, size_t devices)
{
    struct davy_waker *waker = &poller->thread.waker;
    const struct {
        struct davy_queue *queue;
        size_t item_size, capacity;
        enum davy_queue_full full;
    } queues[] = {
        {&poller->changes, sizeof(struct change), 1, DAVY_QUEUE_REFUSE},
        {&poller->flags, sizeof(struct alarm_flag), 64 + 2 * devices, DAVY_QUEUE_DROP_OLDEST},
        {&poller->demands, sizeof(struct davy_poller_demand), DEMANDS_MAX, DAVY_QUEUE_REFUSE},
    };
    for (size_t i = 0; i < DAVY_LENGTH(queues); i++) {
        int rc = davy_queue_init(queues[i].queue, queues[i].item_size, queues[i].capacity, queues[i].full, waker);
        if (rc < 0)
            return rc;
    }
    int rc = davy_cell_init(&poller->cell, sizeof poller->status);
    return rc < 0 ? rc : davy_cell_init(&poller->devices, (devices + 1) * sizeof(struct davy_poller_device));
}

/* The first connect, and all polls behind it, are late by up to a quarter of a second. */
static davy_mono first_connect(const struct davy_bus *bus, uint64_t seed, davy_mono now)
{
    struct davy_random random = {seed};
    double part = bus->type == DAVY_BUS_RTU ? 0 : davy_random_unit(&random);
    return davy_mono_add(now, (davy_span){(int64_t)(part * (double)FIRST_CONNECT_NS)});
}

static int init(struct davy_poller *poller, const struct davy_poller_options *options)
{
    char name[16];
    struct state state;
    const struct davy_bus *bus = bus_of(poller);
    snprintf(name, sizeof name, "bus %s", bus->name);
    poller->window_start = now_of(poller);
    davy_mono start = first_connect(bus, options->seed, poller->window_start);
    int64_t longest = bus->type == DAVY_BUS_RTU ? LONGEST_PORT_BACKOFF_S : LONGEST_SOCKET_BACKOFF_S;
    davy_link_init(&poller->link, davy_span_s(longest), options->seed, start);
    davy_capture_init(&poller->capture);
    int rc = davy_thread_init(&poller->thread, name);
    if (rc == 0)
        rc = init_queues(poller, davy_share_count(&poller->share, poller->config));
    if (rc == 0)
        rc = prepare(poller->config, &poller->share, start, &state);
    if (rc < 0)
        return rc;
    poller->schedule = state.schedule;
    poller->quarantine = state.quarantine;
    return 0;
}

/* Everything but the link, which after a failed start is still the caller's. */
static void release(struct davy_poller *poller)
{
    struct change change;
    davy_thread_done(&poller->thread);
    if (poller->changes.ready && davy_queue_pop(&poller->changes, &change))
        davy_config_unref(change.config);
    davy_queue_done(&poller->changes);
    davy_queue_done(&poller->flags);
    davy_queue_done(&poller->demands);
    davy_cell_done(&poller->cell);
    davy_cell_done(&poller->devices);
    davy_schedule_done(&poller->schedule);
    davy_quarantine_done(&poller->quarantine);
    davy_config_unref(poller->config);
    free(poller);
}

int davy_poller_new(const struct davy_poller_options *options, struct davy_poller **ret_poller)
{
    struct davy_poller *poller = calloc(1, sizeof *poller);
    if (!poller)
        return -ENOMEM;
    poller->thread.waker = DAVY_WAKER_INIT;
    poller->config = davy_config_ref(options->config);
    poller->share = options->share;
    poller->clock = options->clock;
    poller->blocks = options->blocks;
    poller->demand_replies = options->demands;
    int rc = init(poller, options);
    if (rc < 0) {
        release(poller);
        return rc;
    }
    poller->bus_link = options->link;
    if (poller->bus_link.ops->obey)
        poller->bus_link.ops->obey(poller->bus_link.link, &poller->thread.stop);
    if (poller->bus_link.ops->record)
        poller->bus_link.ops->record(poller->bus_link.link, &poller->capture);
    *ret_poller = poller;
    return 0;
}

int davy_poller_start(struct davy_poller *poller)
{
    return davy_thread_start(&poller->thread, STACK_BYTES, run, poller);
}

void davy_poller_stop(struct davy_poller *poller)
{
    davy_thread_stop(&poller->thread);
}

struct davy_poller *davy_poller_free(struct davy_poller *poller)
{
    if (!poller)
        return NULL;
    struct davy_bus_link link = poller->bus_link;
    release(poller);
    link.ops->free(link.link);
    return NULL;
}

void davy_poller_switch(struct davy_poller *poller, const struct davy_config *config, const struct davy_share *share)
{
    const struct change change = {.config = davy_config_ref(config), .share = *share};
    struct change overtaken;
    while (davy_queue_push(&poller->changes, &change) != 0)
        if (davy_queue_pop(&poller->changes, &overtaken))
            davy_config_unref(overtaken.config);
}

void davy_poller_alarm(struct davy_poller *poller, uint32_t device, bool in_alarm)
{
    const struct alarm_flag flag = {.device = device, .in_alarm = in_alarm};
    (void)davy_queue_push(&poller->flags, &flag); /* room for two changes of each device between two turns */
}

int davy_poller_demand(struct davy_poller *poller, const struct davy_poller_demand *demand)
{
    return davy_queue_push(&poller->demands, demand) == 0 ? 0 : -EAGAIN;
}

void davy_poller_status(struct davy_poller *poller, struct davy_poller_status *ret_status)
{
    davy_cell_get(&poller->cell, ret_status);
}

bool davy_poller_device(struct davy_poller *poller, size_t row, struct davy_poller_device *ret_device)
{
    return davy_cell_get_at(&poller->devices, row * sizeof *ret_device, ret_device, sizeof *ret_device) &&
           ret_device->generation != 0;
}

uint64_t davy_poller_beats(const struct davy_poller *poller)
{
    return atomic_load(&poller->thread.beats);
}
