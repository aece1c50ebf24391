/* SPDX-License-Identifier: Apache-2.0 */
/* The shell of the publisher: thread, queues, status. What it does is in outgoing.c. */
#include "publish/publisher.h"

#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "publish/outgoing.h"

#define STACK_BYTES (512 * 1024)
#define NOTICES     512 /* a few windows; an acknowledgement that is lost here is found overdue and sent again */
#define SWITCHES    4
#define COMMANDS    256 /* that wait to be judged; the rest is dropped and counted */

/* Bounds of the way out. */
#define DRAIN_MAX_MS    1500
#define FAREWELL_MAX_MS 500
#define JOIN_MAX_MS     3000

struct davy_publisher {
    struct davy_thread thread;
    struct davy_clock clock;
    struct davy_queue posted[DAVY_MESSAGE_CLASS_COUNT_];
    struct davy_queue notices;
    struct davy_queue incoming;
    uint64_t missed;            /* commands that were dropped and said so */
    struct davy_queue switches; /* of const struct davy_config *, with a reference */
    struct davy_cell status;
    atomic_int_least64_t issued_until_ns;
    char boot_id[64];
    bool foreign_client; /* given by the caller: survives a switch */
    struct davy_outgoing out;
    davy_span drain;          /* written before the stop request */
    struct davy_message last; /* likewise; topic NULL: none */
};

static int init_queues(struct davy_publisher *publisher)
{
    struct davy_waker *waker = &publisher->thread.waker;
    int rc = davy_queue_init(&publisher->notices, sizeof(struct davy_mqtt_notice), NOTICES, DAVY_QUEUE_REFUSE, waker);
    if (rc == 0)
        rc = davy_queue_init(&publisher->switches, sizeof(const struct davy_config *), SWITCHES, DAVY_QUEUE_REFUSE,
                             waker);
    if (rc == 0)
        rc =
            davy_queue_init(&publisher->incoming, sizeof(struct davy_mqtt_command), COMMANDS, DAVY_QUEUE_REFUSE, waker);
    for (size_t class = 0; rc == 0 && class < DAVY_MESSAGE_CLASS_COUNT_; class ++)
        rc = davy_queue_init(&publisher->posted[class], sizeof(struct davy_message),
                             class == DAVY_MESSAGE_STATE ? DAVY_PUBLISHER_STATE_ROOM : DAVY_PUBLISHER_ROOM,
                             DAVY_QUEUE_REFUSE, waker);
    return rc == 0 ? davy_cell_init(&publisher->status, sizeof(struct davy_publisher_status)) : rc;
}

static void free_client(struct davy_publisher *publisher)
{
    if (publisher->out.client.ops)
        publisher->out.client.ops->free(publisher->out.client.client);
    publisher->out.client.ops = NULL;
}

static void release(struct davy_publisher *publisher)
{
    const struct davy_config *config;
    struct davy_mqtt_command command;
    free_client(publisher);
    davy_outgoing_done(&publisher->out);
    while (publisher->incoming.ready && davy_queue_pop(&publisher->incoming, &command))
        davy_mqtt_command_done(&command);
    while (publisher->switches.ready && davy_queue_pop(&publisher->switches, &config))
        davy_config_unref(config);
    for (size_t class = 0; class < DAVY_MESSAGE_CLASS_COUNT_; class ++)
        davy_queue_done(&publisher->posted[class]);
    davy_queue_done(&publisher->notices);
    davy_queue_done(&publisher->incoming);
    davy_queue_done(&publisher->switches);
    davy_cell_done(&publisher->status);
    davy_message_done(&publisher->last);
    davy_config_unref(publisher->out.config);
    free(publisher);
}

static int build(struct davy_publisher *publisher, const struct davy_publisher_options *options)
{
    int rc = davy_thread_init(&publisher->thread, "publisher");
    if (rc == 0)
        rc = davy_thread_bound(&publisher->thread);
    if (rc == 0)
        rc = init_queues(publisher);
    if (rc < 0)
        return rc;
    publisher->clock = *options->clock;
    publisher->foreign_client = options->client != NULL;
    snprintf(publisher->boot_id, sizeof publisher->boot_id, "%s", options->boot_id);
    publisher->out = (struct davy_outgoing){.config = davy_config_ref(options->config),
                                            .boot_id = publisher->boot_id,
                                            .posted = publisher->posted,
                                            .deliveries = options->deliveries,
                                            .commands = options->commands,
                                            .session = DAVY_SESSION_INIT,
                                            .random = {options->seed}};
    rc = davy_incoming_init(&publisher->out.incoming, davy_clock_now(options->clock).mono);
    if (rc < 0)
        return rc;
    if (!options->client)
        return davy_mqtt_paho_new(&options->config->mqtt, &publisher->notices, &publisher->incoming,
                                  &publisher->out.client);
    publisher->out.client = *options->client;
    return 0;
}

int davy_publisher_new(const struct davy_publisher_options *options, struct davy_publisher **ret)
{
    if (!options->config->mqtt.enabled || options->config->mqtt.url_count == 0)
        return -EINVAL;
    struct davy_publisher *publisher = calloc(1, sizeof *publisher);
    if (!publisher)
        return -ENOMEM;
    int rc = build(publisher, options);
    if (rc < 0) {
        davy_thread_done(&publisher->thread);
        release(publisher);
        return rc;
    }
    *ret = publisher;
    return 0;
}

int davy_publisher_post(struct davy_publisher *publisher, struct davy_message *message)
{
    return davy_queue_push(&publisher->posted[message->class], message) == 0 ? 0 : -EAGAIN;
}

size_t davy_publisher_waiting(struct davy_publisher *publisher, enum davy_message_class class)
{
    return davy_queue_count(&publisher->posted[class]);
}

int davy_publisher_switch(struct davy_publisher *publisher, const struct davy_config *config)
{
    const struct davy_config *held = davy_config_ref(config);
    if (davy_queue_push(&publisher->switches, &held) == 0)
        return 0;
    davy_config_unref(held);
    return -EAGAIN;
}

void davy_publisher_issued_until(struct davy_publisher *publisher, davy_wall until)
{
    atomic_store(&publisher->issued_until_ns, until.ns);
}

void davy_publisher_status(struct davy_publisher *publisher, struct davy_publisher_status *ret_status)
{
    davy_cell_get(&publisher->status, ret_status);
}

uint64_t davy_publisher_beats(const struct davy_publisher *publisher)
{
    return atomic_load(&publisher->thread.beats);
}

/* Go over to another configuration; when there is no client for it, the old one stays with the old settings. */
static void take_switches(struct davy_publisher *publisher, struct davy_stamp now)
{
    const struct davy_config *config;
    while (davy_queue_pop(&publisher->switches, &config)) {
        struct davy_mqtt_client before = publisher->out.client, client = before;
        const struct davy_config *old = publisher->out.config;
        if (!publisher->foreign_client &&
            davy_mqtt_paho_new(&config->mqtt, &publisher->notices, &publisher->incoming, &client) < 0) {
            davy_error("mqtt", "no memory for other settings, the old ones stay");
            davy_config_unref(config);
            continue;
        }
        davy_outgoing_switch(&publisher->out, config, &client, now);
        if (!publisher->foreign_client)
            before.ops->free(before.client);
        davy_config_unref(old);
    }
}

/* Notices wait while nobody takes the reports about them. */
static void take_notices(struct davy_publisher *publisher, struct davy_stamp now)
{
    struct davy_mqtt_notice notice;
    while (davy_queue_space(publisher->out.deliveries) >= DAVY_OUTGOING_REPORTS &&
           davy_queue_pop(&publisher->notices, &notice))
        davy_outgoing_notice(&publisher->out, &notice, now);
}

/* A bounded number in one turn: events have the way first. */
static void take_commands(struct davy_publisher *publisher, struct davy_stamp now)
{
    struct davy_mqtt_command command;
    publisher->out.incoming.issued_until = (davy_wall){atomic_load(&publisher->issued_until_ns)};
    for (int i = 0; i < COMMANDS && davy_queue_pop(&publisher->incoming, &command); i++) {
        davy_outgoing_command(&publisher->out, &command, now);
        davy_mqtt_command_done(&command);
    }
    uint64_t missed = davy_queue_lost(&publisher->incoming);
    if (missed >= 2 * publisher->missed + 1) { /* each time that it has doubled */
        davy_warning("mqtt", "commands come faster than they are taken: %llu dropped so far",
                     (unsigned long long)missed);
        publisher->missed = missed;
    }
}

static struct davy_stamp cycle(struct davy_publisher *publisher)
{
    struct davy_stamp now = davy_clock_now(&publisher->clock);
    take_switches(publisher, now);
    take_notices(publisher, now);
    take_commands(publisher, now);
    davy_outgoing_pump(&publisher->out, now);
    davy_cell_put(&publisher->status, &publisher->out.status);
    davy_thread_beat(&publisher->thread);
    return now;
}

/* Sleep until something arrives, a deadline comes, or a second is over (for the heartbeat). */
static void rest(struct davy_publisher *publisher, davy_mono now, davy_mono until)
{
    davy_span span = davy_mono_sub(davy_mono_min(until, davy_outgoing_due(&publisher->out)), now);
    bool blocked = davy_queue_space(publisher->out.deliveries) < DAVY_OUTGOING_REPORTS;
    int64_t most = blocked ? 50 : 1000; /* ms; nobody rings when the reader has made space */
    davy_waker_wait(&publisher->thread.waker, span.ns < most * DAVY_NS_PER_MS && !blocked ? span : davy_span_ms(most));
}

/* Send what waits, until nothing does or `span` is over. */
static void run_until_idle(struct davy_publisher *publisher, davy_span span)
{
    davy_mono until = davy_mono_add(davy_clock_now(&publisher->clock).mono, span);
    for (;;) {
        davy_mono now = cycle(publisher).mono;
        if (publisher->out.session.state != DAVY_SESSION_DRAINING || davy_outgoing_idle(&publisher->out) ||
            now.ns >= until.ns)
            return;
        rest(publisher, now, until);
    }
}

/* The farewell is a message of its own class order: everything else had its time. */
static void leave(struct davy_publisher *publisher)
{
    struct davy_outgoing *out = &publisher->out;
    davy_outgoing_input(out, DAVY_SESSION_STOP, davy_clock_now(&publisher->clock));
    run_until_idle(publisher, publisher->drain);
    if (publisher->last.topic && out->session.state == DAVY_SESSION_DRAINING) {
        publisher->last.class = DAVY_MESSAGE_PREVIEW; /* the most urgent */
        if (davy_publisher_post(publisher, &publisher->last) == 0)
            publisher->last = (struct davy_message){0};
        run_until_idle(publisher, davy_span_ms(FAREWELL_MAX_MS));
    }
    davy_outgoing_input(out, DAVY_SESSION_DRAINED, davy_clock_now(&publisher->clock));
}

static void body(struct davy_thread *thread, void *context)
{
    struct davy_publisher *publisher = context;
    while (!davy_thread_stopping(thread))
        rest(publisher, cycle(publisher).mono, DAVY_MONO_NEVER);
    leave(publisher);
    free_client(publisher); /* here, since the client's threads ring our waker, which the join closes */
}

int davy_publisher_start(struct davy_publisher *publisher)
{
    return davy_thread_start(&publisher->thread, STACK_BYTES, body, publisher);
}

struct davy_publisher *davy_publisher_free(struct davy_publisher *publisher, davy_span drain, struct davy_message *last)
{
    if (!publisher) {
        if (last)
            davy_message_done(last);
        return NULL;
    }
    publisher->drain = drain.ns > DRAIN_MAX_MS * DAVY_NS_PER_MS ? davy_span_ms(DRAIN_MAX_MS) : drain;
    if (last) {
        publisher->last = *last;
        *last = (struct davy_message){0};
    }
    if (davy_thread_done_within(&publisher->thread, davy_span_ms(JOIN_MAX_MS)) == 0)
        release(publisher);
    return NULL;
}
