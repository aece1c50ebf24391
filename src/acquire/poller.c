/* SPDX-License-Identifier: Apache-2.0 */
#include "acquire/poller.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "acquire/quarantine.h"
#include "acquire/schedule.h"
#include "base/log.h"

/* Name resolution is what needs most of it. */
#define STACK_BYTES (128 * 1024)

#define DEMANDS_MAX     4
#define LONGEST_TURN_NS (1 * DAVY_NS_PER_S)
#define WINDOW_NS       (10 * DAVY_NS_PER_S)

/* A local port is cheap to open again, and an adapter that is back must be seen within 5 s. */
#define LONGEST_PORT_BACKOFF_S   4
#define LONGEST_SOCKET_BACKOFF_S 30

/* What a device refuses as wrong will not get right by asking more often. */
#define REFUSED_NS             (10 * DAVY_NS_PER_S)
#define LAST_REFUSED_EXCEPTION 3

struct change {
    const struct davy_config *config;
    uint32_t bus;
};

struct alarm_flag {
    uint32_t device;
    bool in_alarm;
};

struct davy_poller {
    const struct davy_config *config;
    uint32_t bus;
    struct davy_bus_link bus_link;
    const struct davy_clock *clock;
    struct davy_queue *blocks;
    struct davy_queue *demand_replies;
    struct davy_link link;
    struct davy_schedule schedule;
    struct davy_quarantine quarantine;
    struct davy_queue changes; /* of struct change, at most one */
    struct davy_queue flags;   /* of struct alarm_flag */
    struct davy_queue demands; /* of struct davy_poller_demand */
    struct davy_thread thread;
    struct davy_cell cell; /* the status for others */
    struct davy_poller_status status;
    davy_mono window_start;
    davy_span window_busy;
};

static const struct davy_bus *bus_of(const struct davy_poller *poller)
{
    return &poller->config->buses[poller->bus];
}

static davy_mono now_of(const struct davy_poller *poller)
{
    return davy_clock_now(poller->clock).mono;
}

/* ---- link ---- */

static void feed(struct davy_poller *poller, enum davy_link_input input)
{
    if (davy_link_feed(&poller->link, input, now_of(poller)) < 0)
        davy_error("poller", "%s: link input %d in state %s", bus_of(poller)->name, (int)input,
                   davy_link_state_name(poller->link.state));
}

static void log_open(const struct davy_poller *poller, int rc)
{
    if (rc == 0 && poller->status.last_error != 0)
        davy_notice("poller", "%s: open again", bus_of(poller)->name);
    else if (rc < 0 && rc != poller->status.last_error)
        davy_warning("poller", "%s: cannot be opened: %s", bus_of(poller)->name, strerror(-rc));
}

/* Open where that is due. True when the link is open then. */
static bool ensure_open(struct davy_poller *poller)
{
    if (davy_link_is_open(&poller->link))
        return true;
    if (!davy_link_wants_open(&poller->link, now_of(poller)))
        return false;
    feed(poller, DAVY_LINK_OPEN);
    int rc = poller->bus_link.ops->open(poller->bus_link.link);
    log_open(poller, rc);
    poller->status.last_error = rc;
    poller->status.connects += rc == 0;
    feed(poller, rc == 0 ? DAVY_LINK_OPENED : DAVY_LINK_FAILED);
    return rc == 0;
}

/* What an answer means for the link: a TCP connection that lost a reply cannot be trusted with the next one. */
static enum davy_link_input input_of(const struct davy_poller *poller, enum davy_answer answer)
{
    switch (answer) {
    case DAVY_ANSWER_OK:
    case DAVY_ANSWER_EXCEPTION:
        return DAVY_LINK_ANSWER;
    case DAVY_ANSWER_TIMEOUT:
    case DAVY_ANSWER_INVALID:
        return bus_of(poller)->type == DAVY_BUS_TCP ? DAVY_LINK_RESET : DAVY_LINK_MISS;
    case DAVY_ANSWER_DOWN:
    case DAVY_ANSWER_COUNT_:
        break;
    }
    return DAVY_LINK_BROKEN;
}

static void count_answer(struct davy_poller *poller, enum davy_answer answer, davy_mono now)
{
    struct davy_poller_status *status = &poller->status;
    bool answered = answer == DAVY_ANSWER_OK || answer == DAVY_ANSWER_EXCEPTION;
    status->requests++;
    status->answers += answered;
    status->exceptions += answer == DAVY_ANSWER_EXCEPTION;
    status->timeouts += answer == DAVY_ANSWER_TIMEOUT;
    status->invalid += answer == DAVY_ANSWER_INVALID;
    if (answered)
        status->last_answer = now;
}

/* One request on the wire, if there is one. */
static void exchange(struct davy_poller *poller, const struct davy_bus_request *request, struct davy_bus_reply *reply)
{
    reply->answer = DAVY_ANSWER_DOWN;
    if (!ensure_open(poller))
        return;
    davy_mono before = now_of(poller);
    poller->bus_link.ops->read(poller->bus_link.link, request, reply);
    davy_mono after = now_of(poller);
    poller->window_busy.ns += davy_mono_sub(after, before).ns;
    count_answer(poller, reply->answer, after);
    feed(poller, input_of(poller, reply->answer));
    if (!davy_link_is_open(&poller->link))
        poller->bus_link.ops->close(poller->bus_link.link);
}

/* A connection that the other end closed meanwhile is worth a second try in any case. */
static void exchange_retried(struct davy_poller *poller, const struct davy_bus_request *request, int retries,
                             struct davy_bus_reply *reply)
{
    for (int tries = 0;; tries++) {
        exchange(poller, request, reply);
        bool again = reply->answer == DAVY_ANSWER_DOWN ? tries == 0 : tries < retries;
        if (reply->answer == DAVY_ANSWER_OK || reply->answer == DAVY_ANSWER_EXCEPTION || !again ||
            davy_thread_stopping(&poller->thread))
            return;
    }
}

/* ---- polls ---- */

static void note_device(struct davy_poller *poller, uint32_t device, enum davy_answer answer)
{
    const struct davy_device *asked = &poller->config->devices[device];
    const struct davy_bus *bus = bus_of(poller);
    if (answer == DAVY_ANSWER_DOWN)
        return;
    if (answer == DAVY_ANSWER_OK || answer == DAVY_ANSWER_EXCEPTION) {
        if (davy_quarantine_answer(&poller->quarantine, device))
            davy_notice("poller", "%s: %s answers again", bus->name, asked->id);
        return;
    }
    bool line = bus->type != DAVY_BUS_TCP;
    davy_span cost = line && asked->max_reply.ns > bus->timeout.ns ? asked->max_reply : bus->timeout;
    if (davy_quarantine_miss(&poller->quarantine, device, cost, now_of(poller)))
        davy_warning("poller", "%s: %s does not answer, is only probed from now on", bus->name, asked->id);
}

static void note_refusal(struct davy_poller *poller, struct davy_slot *slot, const struct davy_bus_reply *reply)
{
    const struct davy_request *request = &poller->config->requests[slot->request];
    bool refused = reply->answer == DAVY_ANSWER_EXCEPTION && reply->exception <= LAST_REFUSED_EXCEPTION;
    if (refused && slot->exception == 0)
        davy_warning("poller", "%s: %s refuses to read %u of %s from %u: exception %u", bus_of(poller)->name,
                     poller->config->devices[request->device].id, request->count, davy_table_name(request->table),
                     request->start, reply->exception);
    slot->exception = refused ? reply->exception : 0;
    slot->refused_until = davy_mono_add(now_of(poller), (davy_span){refused ? REFUSED_NS : 0});
}

/* Read, or say from memory what would come of it. */
static void poll_slot(struct davy_poller *poller, struct davy_slot *slot, struct davy_bus_reply *reply)
{
    const struct davy_request *request = &poller->config->requests[slot->request];
    const struct davy_device *device = &poller->config->devices[request->device];
    davy_mono now = now_of(poller);
    enum davy_quarantine_verdict verdict = davy_quarantine_ask(&poller->quarantine, request->device, now);
    if (!ensure_open(poller)) {
        reply->answer = DAVY_ANSWER_DOWN;
    } else if (slot->exception != 0 && now.ns < slot->refused_until.ns) {
        reply->answer = DAVY_ANSWER_EXCEPTION;
        reply->exception = slot->exception;
    } else if (verdict == DAVY_QUARANTINE_SILENT) {
        reply->answer = DAVY_ANSWER_TIMEOUT;
    } else {
        const struct davy_bus_request read = {device->unit, request->table, request->start, request->count,
                                              device->max_reply};
        exchange_retried(poller, &read, verdict == DAVY_QUARANTINE_READ ? bus_of(poller)->retries : 0, reply);
        note_device(poller, request->device, reply->answer);
        note_refusal(poller, slot, reply);
    }
}

/* Stamped once, when the answer is there. Nothing of a failed reply goes on. */
static void push_block(struct davy_poller *poller, const struct davy_slot *slot, const struct davy_bus_reply *reply)
{
    struct davy_block block = {.generation = poller->config->generation,
                               .request = slot->request,
                               .answer = reply->answer,
                               .at = davy_clock_now(poller->clock)};
    if (reply->answer == DAVY_ANSWER_OK)
        memcpy(block.words, reply->words, sizeof block.words);
    if (reply->answer == DAVY_ANSWER_EXCEPTION)
        block.exception = reply->exception;
    (void)davy_queue_push(poller->blocks, &block); /* the queue counts what it drops */
}

static void poll_due(struct davy_poller *poller)
{
    struct davy_slot *slot = davy_schedule_take(&poller->schedule, now_of(poller));
    if (!slot)
        return;
    struct davy_bus_reply reply = {.answer = DAVY_ANSWER_DOWN};
    poll_slot(poller, slot, &reply);
    if (davy_thread_stopping(&poller->thread) && reply.answer != DAVY_ANSWER_OK)
        return; /* cut short: that says nothing about the device */
    push_block(poller, slot, &reply);
}

/* ---- commands ---- */

static bool is_readable(const struct davy_poller_demand *demand)
{
    bool bits = demand->table == DAVY_TABLE_COIL || demand->table == DAVY_TABLE_DISCRETE;
    return demand->count >= 1 && demand->count <= (bits ? DAVY_BLOCK_WORDS * 16 : DAVY_BLOCK_WORDS) &&
           demand->start + demand->count <= 65536;
}

static void serve_demand(struct davy_poller *poller)
{
    struct davy_poller_demand demand;
    if (!davy_queue_pop(&poller->demands, &demand))
        return;
    struct davy_poller_demand_reply answer = {.ticket = demand.ticket, .demand = demand};
    answer.reply.answer = DAVY_ANSWER_INVALID;
    const struct davy_bus_request read = {demand.unit, demand.table, demand.start, demand.count, demand.max_reply};
    if (is_readable(&demand))
        exchange_retried(poller, &read, 0, &answer.reply);
    if (poller->demand_replies)
        (void)davy_queue_push(poller->demand_replies, &answer); /* the person asks again */
}

/* The state of the new plan, built before the old one goes. */
static int prepare(const struct davy_config *config, uint32_t bus, davy_mono now, struct davy_schedule *ret_schedule,
                   struct davy_quarantine *ret_quarantine)
{
    int rc = davy_schedule_init(ret_schedule, config, bus, now);
    if (rc < 0)
        return rc;
    rc = davy_quarantine_init(ret_quarantine, config, bus);
    if (rc < 0)
        davy_schedule_done(ret_schedule);
    return rc;
}

static void adopt(struct davy_poller *poller, const struct change *change, struct davy_schedule schedule,
                  struct davy_quarantine quarantine)
{
    davy_schedule_keep(&schedule, &poller->schedule);
    davy_quarantine_keep(&quarantine, &poller->quarantine);
    davy_schedule_done(&poller->schedule);
    davy_quarantine_done(&poller->quarantine);
    davy_config_unref(poller->config);
    poller->config = change->config;
    poller->bus = change->bus;
    poller->schedule = schedule;
    poller->quarantine = quarantine;
}

static void take_change(struct davy_poller *poller)
{
    struct change change;
    struct davy_schedule schedule;
    struct davy_quarantine quarantine;
    if (!davy_queue_pop(&poller->changes, &change))
        return;
    if (prepare(change.config, change.bus, now_of(poller), &schedule, &quarantine) == 0) {
        adopt(poller, &change, schedule, quarantine);
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
    poller->status.quarantined = davy_quarantine_count(&poller->quarantine);
    davy_cell_put(&poller->cell, &poller->status);
}

static davy_span idle_time(struct davy_poller *poller, davy_mono now)
{
    davy_mono next = davy_schedule_next(&poller->schedule);
    if (poller->link.state == DAVY_LINK_BACKOFF)
        next = davy_mono_min(next, poller->link.retry_at);
    davy_span idle = davy_mono_sub(next, now);
    if (idle.ns > LONGEST_TURN_NS)
        idle.ns = LONGEST_TURN_NS;
    return idle.ns > 0 && davy_queue_count(&poller->demands) == 0 ? idle : (davy_span){0};
}

davy_span davy_poller_turn(struct davy_poller *poller)
{
    take_change(poller);
    take_flags(poller);
    (void)ensure_open(poller); /* also where nothing is due for long */
    serve_demand(poller);
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
    int rc = davy_queue_init(&poller->changes, sizeof(struct change), 1, DAVY_QUEUE_REFUSE, waker);
    if (rc == 0)
        rc =
            davy_queue_init(&poller->flags, sizeof(struct alarm_flag), 64 + 2 * devices, DAVY_QUEUE_DROP_OLDEST, waker);
    if (rc == 0)
        rc =
            davy_queue_init(&poller->demands, sizeof(struct davy_poller_demand), DEMANDS_MAX, DAVY_QUEUE_REFUSE, waker);
    if (rc == 0)
        rc = davy_cell_init(&poller->cell, sizeof poller->status);
    return rc;
}

static int init(struct davy_poller *poller, const struct davy_poller_options *options)
{
    char name[16];
    const struct davy_bus *bus = &options->config->buses[options->bus];
    snprintf(name, sizeof name, "bus %s", bus->name);
    int64_t longest = bus->type == DAVY_BUS_RTU ? LONGEST_PORT_BACKOFF_S : LONGEST_SOCKET_BACKOFF_S;
    davy_link_init(&poller->link, davy_span_s(longest), options->seed);
    poller->window_start = davy_clock_now(options->clock).mono;
    int rc = davy_thread_init(&poller->thread, name);
    if (rc == 0)
        rc = init_queues(poller, options->config->device_count);
    if (rc == 0)
        rc = prepare(options->config, options->bus, poller->window_start, &poller->schedule, &poller->quarantine);
    return rc;
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
    poller->bus = options->bus;
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

void davy_poller_switch(struct davy_poller *poller, const struct davy_config *config, uint32_t bus)
{
    const struct change change = {.config = davy_config_ref(config), .bus = bus};
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

uint64_t davy_poller_beats(const struct davy_poller *poller)
{
    return atomic_load(&poller->thread.beats);
}
