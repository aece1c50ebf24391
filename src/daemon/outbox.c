/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/outbox.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "publish/payload.h"
#include "publish/topic.h"
#include "record/delivery.h"

/* Deliveries that may wait for a transaction; the publisher has no more than this in hand. */
#define SETTLE_MAX (4 * DAVY_PUBLISHER_ROOM)

/* An acknowledgement waits this long for an event's transaction to ride on. */
#define SETTLE_WITHIN DAVY_NS_PER_S

/* Events that are published again and wait in the publisher: half of its room stays with answers. */
#define AGAIN_POSTED (DAVY_PUBLISHER_ROOM / 2)

/* Telemetry expires at the broker after this. */
#define TELEMETRY_EXPIRY_S 86400

/* Telemetry that waits in the publisher's memory rather than on disk, in bytes about; one message at least. */
#define TELEMETRY_POSTED (256 * 1024)

/* Rows of the snapshot in one message. */
#define SNAPSHOT_PART 100

/* Rows that were refused before and are with the publisher again. */
#define IN_HAND_MAX 256

/* The retained snapshot is made anew after a connect and so often; after one that failed, so soon. */
#define SNAPSHOT_EVERY (600 * DAVY_NS_PER_S)
#define SNAPSHOT_AGAIN (30 * DAVY_NS_PER_S)

struct pile {
    struct davy_delivery items[SETTLE_MAX];
    size_t count;
};

struct outbox {
    struct route *route;
    struct davy_ledger *ledger;
    struct davy_readings *readings;
    int64_t event_row; /* handed over up to here */
    int64_t acknowledged_seq;
    size_t answers; /* to events that were published again, not taken yet, and the highest of them */
    int64_t answered_seq;
    int64_t live_row;    /* telemetry made since the connection stands, handed over up to here */
    int64_t backlog_row; /* older telemetry likewise, until backlog_end */
    int64_t backlog_end;
    bool connected;
    int64_t in_hand[IN_HAND_MAX];
    size_t in_hand_count;
    struct pile events;
    struct pile telemetry;
    davy_mono waiting_since; /* of the first in `events` */
    bool unpark;             /* at the next transaction: a new connection tries refused rows again */
    uint64_t refusals;
    bool snapshot_wanted;
    davy_mono snapshot_at;
};

int outbox_new(struct route *route, struct outbox **ret_outbox)
{
    *ret_outbox = calloc(1, sizeof **ret_outbox);
    if (!*ret_outbox)
        return -ENOMEM;
    (*ret_outbox)->route = route;
    (*ret_outbox)->snapshot_at = DAVY_MONO_NEVER;
    return 0;
}

struct outbox *outbox_free(struct outbox *outbox)
{
    free(outbox);
    return NULL;
}

/* ---- towards the broker ---------------------------------------------------------------------------------------- */

static bool post(struct outbox *outbox, struct davy_message *message)
{
    if (davy_publisher_post(outbox->route->publisher, message) == 0)
        return true;
    davy_message_done(message);
    return false;
}

static void pile_up(struct pile *pile, const struct davy_delivery *delivery)
{
    if (pile->count < SETTLE_MAX)
        pile->items[pile->count++] = *delivery;
    else
        davy_warning("record", "an acknowledgement is dropped: its message will be sent again after a restart");
}

static bool post_event(struct outbox *outbox, const struct davy_outbox_row *row)
{
    struct davy_message message;
    if (row->newer && row->payload[0] == '\0') { /* a later event of the topic stands: never hide it by clearing */
        pile_up(&outbox->events, &(struct davy_delivery){.kind = DAVY_DELIVERY_DONE, .row = row->row});
        return true;
    }
    if (davy_message_new(DAVY_MESSAGE_EVENT, row->row, row->topic, row->payload, &message) < 0)
        return false;
    message.retain = !row->newer; /* never leave a retained state older than the ledger */
    message.schema = "davy.alarm/1";
    if (row->parked)
        message.length = davy_payload_mark_replayed(message.payload);
    return post(outbox, &message);
}

/*
 * Outcomes wait here for a transaction. With the disk away nothing more is handed over once half of the room is used: a
 * full pile stops the publisher, and with it what is announced before it is stored.
 */
static bool has_room(const struct pile *pile)
{
    return pile->count < SETTLE_MAX / 2;
}

static void hand_over_events(struct outbox *outbox)
{
    struct davy_outbox_row row;
    while (outbox->ledger && has_room(&outbox->events) &&
           davy_ledger_outbox_next(outbox->ledger, outbox->event_row, &row) == 0) {
        if (!post_event(outbox, &row))
            return;
        outbox->event_row = row.row;
    }
}

static bool is_in_hand(const struct outbox *outbox, int64_t row)
{
    for (size_t i = 0; i < outbox->in_hand_count; i++)
        if (outbox->in_hand[i] == row)
            return true;
    return false;
}

/*
 * What was refused, or waits behind a refusal, oldest first; those that are with the publisher already are passed over.
 */
static void hand_over_refused(struct outbox *outbox, davy_mono now)
{
    struct davy_outbox_row row;
    int64_t after = 0;
    while (outbox->connected && outbox->ledger && outbox->in_hand_count < IN_HAND_MAX && has_room(&outbox->events) &&
           davy_ledger_outbox_due(outbox->ledger, after, now, &row) == 0) {
        after = row.row;
        if (is_in_hand(outbox, row.row))
            continue;
        if (!post_event(outbox, &row))
            return;
        outbox->in_hand[outbox->in_hand_count++] = row.row;
    }
}

/* Rows whose outcome is in the ledger are not in hand any more. */
static void let_go(struct outbox *outbox)
{
    size_t kept = 0;
    for (size_t i = 0; i < outbox->in_hand_count; i++) {
        bool settled = false;
        for (size_t d = 0; d < outbox->events.count; d++)
            settled |= outbox->events.items[d].row == outbox->in_hand[i];
        if (!settled)
            outbox->in_hand[kept++] = outbox->in_hand[i];
    }
    outbox->in_hand_count = kept;
}

/* Messages that follow each other are about as long. */
static bool is_enough(const struct outbox *outbox, const struct davy_outbox_row *row)
{
    size_t waiting = davy_publisher_waiting(outbox->route->publisher, DAVY_MESSAGE_TELEMETRY);
    return waiting > 0 && (waiting + 1) * strlen(row->payload) > TELEMETRY_POSTED;
}

static bool post_telemetry(struct outbox *outbox, const struct davy_outbox_row *row, bool backlog)
{
    struct davy_message message;
    if (is_enough(outbox, row) ||
        davy_message_new(DAVY_MESSAGE_TELEMETRY, row->row, row->topic, row->payload, &message) < 0)
        return false;
    message.expiry_s = TELEMETRY_EXPIRY_S;
    message.schema = "davy.telemetry/1";
    if (backlog)
        message.length = davy_payload_mark_replayed(message.payload);
    return post(outbox, &message);
}

/* Rows of (*cursor, end], as long as there is room. Returns false when the publisher is full. */
static bool hand_over_range(struct outbox *outbox, int64_t *cursor, int64_t end, bool backlog)
{
    struct davy_outbox_row row;
    while (davy_readings_outbox_next(outbox->readings, *cursor, &row) == 0 && row.row <= end) {
        if (!post_telemetry(outbox, &row, backlog))
            return false;
        *cursor = row.row;
    }
    return true;
}

/* The newest first: what was made since the connection stands, then what piled up before. */
static void hand_over_telemetry(struct outbox *outbox)
{
    if (!outbox->connected || !outbox->readings || !has_room(&outbox->telemetry))
        return;
    int64_t committed = davy_readings_outbox_last(outbox->readings); /* later rows may still be taken back */
    if (hand_over_range(outbox, &outbox->live_row, committed, false))
        hand_over_range(outbox, &outbox->backlog_row, outbox->backlog_end, true);
}

/* What is in the outbox of telemetry now is backlog. */
static void begin_backlog(struct outbox *outbox)
{
    outbox->backlog_end = outbox->readings ? davy_readings_outbox_last(outbox->readings) : 0;
    outbox->live_row = outbox->backlog_end;
}

void outbox_use_ledger(struct outbox *outbox, struct davy_ledger *ledger)
{
    outbox->ledger = ledger;
}

void outbox_use_readings(struct outbox *outbox, struct davy_readings *readings)
{
    bool other = outbox->readings != readings;
    outbox->readings = readings;
    if (!other)
        return;
    outbox->backlog_row = 0;
    begin_backlog(outbox);
}

void outbox_hand_over(struct outbox *outbox)
{
    if (!outbox->route->publisher)
        return;
    hand_over_events(outbox);
    hand_over_refused(outbox, davy_clock_now(outbox->route->clock).mono);
    hand_over_telemetry(outbox);
}

/* ---- the snapshot ---------------------------------------------------------------------------------------------- */

struct snapshot {
    char **payloads;
    size_t count;
    size_t room;
    bool lacks; /* an alarm, for want of memory */
};

static bool make_room(struct snapshot *snapshot)
{
    if (snapshot->count < snapshot->room)
        return true;
    size_t room = snapshot->room ? snapshot->room * 2 : 64;
    char **grown = reallocarray(snapshot->payloads, room, sizeof *grown);
    if (!grown)
        return false;
    snapshot->payloads = grown;
    snapshot->room = room;
    return true;
}

static void add_payload(void *context, const char *payload)
{
    struct snapshot *snapshot = context;
    char *copy = make_room(snapshot) ? strdup(payload) : NULL;
    if (copy)
        snapshot->payloads[snapshot->count++] = copy;
    else
        snapshot->lacks = true;
}

static bool post_part(struct outbox *outbox, const struct davy_config *config, const struct snapshot *snapshot,
                      unsigned part, unsigned parts)
{
    size_t first = (size_t)(part - 1) * SNAPSHOT_PART;
    size_t size = 256;
    for (size_t i = first; i < snapshot->count && i < first + SNAPSHOT_PART; i++)
        size += strlen(snapshot->payloads[i]) + 1;
    DAVY_AUTO_FREE char *text = malloc(size);
    if (!text)
        return false;
    struct davy_buf out;
    davy_buf_init(&out, text, size);
    davy_payload_snapshot_head(&out, davy_ledger_last_seq(outbox->ledger), part, parts);
    for (size_t i = first; i < snapshot->count && i < first + SNAPSHOT_PART; i++)
        davy_json_raw(&out, NULL, snapshot->payloads[i]);
    davy_payload_snapshot_tail(&out);
    char topic[DAVY_TOPIC_SIZE];
    struct davy_message message;
    /* Not a STATE: of those only the latest of a topic is sent, and all parts have the same one. */
    if (davy_message_new(DAVY_MESSAGE_REPLY, 0, davy_topic(config, "snapshot", topic), text, &message) < 0)
        return false;
    message.retain = true;
    message.schema = "davy.snapshot/1";
    return post(outbox, &message);
}

int outbox_snapshot(struct outbox *outbox, const struct davy_config *config, davy_mono now)
{
    struct snapshot snapshot = {0};
    if (!outbox->ledger || !outbox->route->publisher)
        return -EIO;
    outbox->snapshot_wanted = false;
    bool whole = davy_ledger_snapshot(outbox->ledger, add_payload, &snapshot) == 0 && !snapshot.lacks;
    unsigned parts = (unsigned)((snapshot.count + SNAPSHOT_PART - 1) / SNAPSHOT_PART);
    parts = parts ? parts : 1;
    bool posted = whole; /* else none: what lacks alarms would look complete */
    for (unsigned part = 1; posted && part <= parts; part++)
        posted = post_part(outbox, config, &snapshot, part, parts);
    for (size_t i = 0; i < snapshot.count; i++)
        free(snapshot.payloads[i]);
    free(snapshot.payloads);
    outbox->snapshot_at = davy_mono_add(now, (davy_span){posted ? SNAPSHOT_EVERY : SNAPSHOT_AGAIN});
    return posted ? 0 : -EAGAIN;
}

static void make_snapshot(struct outbox *outbox, const struct davy_config *config, davy_mono now)
{
    bool due = outbox->snapshot_wanted || now.ns >= outbox->snapshot_at.ns;
    if (due && outbox->connected && outbox->ledger && outbox_snapshot(outbox, config, now) < 0)
        davy_warning("record", "the snapshot of alarms is not published");
}

/* ---- from the broker ------------------------------------------------------------------------------------------- */

static void take_answer(struct outbox *outbox, int64_t seq)
{
    outbox->answers++;
    if (seq > outbox->answered_seq)
        outbox->answered_seq = seq;
}

/* Of a message with a row: what becomes of that row is settled with the next transaction of its database. */
static void take_outcome(struct outbox *outbox, const struct davy_delivery *delivery, davy_mono now)
{
    outbox->refusals += delivery->kind == DAVY_DELIVERY_REFUSED;
    if (delivery->row == 0)
        return;
    if (delivery->class == DAVY_MESSAGE_REPLY) { /* an event once more: its row is done already */
        take_answer(outbox, davy_outbox_seq(delivery->row));
        return;
    }
    if (outbox->events.count == 0)
        outbox->waiting_since = now;
    if (delivery->class != DAVY_MESSAGE_TELEMETRY)
        pile_up(&outbox->events, delivery);
    else if (delivery->kind == DAVY_DELIVERY_DONE) /* refused, it stays, and is tried again at the next connect */
        pile_up(&outbox->telemetry, delivery);
}

static void take_delivery(struct outbox *outbox, const struct davy_delivery *delivery, davy_mono now)
{
    const enum notice connected = NOTICE_CONNECTED;
    switch (delivery->kind) {
    case DAVY_DELIVERY_CONNECTED:
        outbox->connected = true;
        outbox->backlog_row = 0;
        begin_backlog(outbox);
        outbox->snapshot_wanted = true;
        outbox->unpark = true;
        davy_queue_push(&outbox->route->notices, &connected);
        break;
    case DAVY_DELIVERY_LOST:
        outbox->connected = false;
        break;
    case DAVY_DELIVERY_DONE:
    case DAVY_DELIVERY_REFUSED:
        take_outcome(outbox, delivery, now);
        break;
    }
}

void outbox_take_deliveries(struct outbox *outbox, const struct davy_config *config, struct davy_stamp now)
{
    struct davy_delivery delivery;
    while (outbox->events.count < SETTLE_MAX && outbox->telemetry.count < SETTLE_MAX &&
           davy_queue_pop(&outbox->route->deliveries, &delivery))
        take_delivery(outbox, &delivery, now.mono);
    make_snapshot(outbox, config, now.mono);
}

bool outbox_due(const struct outbox *outbox, davy_mono now)
{
    if (outbox->events.count == 0)
        return outbox->unpark;
    return davy_mono_sub(now, outbox->waiting_since).ns >= SETTLE_WITHIN || outbox->events.count > SETTLE_MAX / 2;
}

int outbox_settle(struct outbox *outbox)
{
    struct davy_stamp now = davy_clock_now(outbox->route->clock);
    int rc = outbox->unpark ? davy_ledger_outbox_unpark(outbox->ledger) : 0;
    for (size_t i = 0; i < outbox->events.count && rc == 0; i++) {
        const struct davy_delivery *delivery = &outbox->events.items[i];
        rc = delivery->kind == DAVY_DELIVERY_DONE
                 ? davy_ledger_outbox_done(outbox->ledger, delivery->row, delivery->at)
                 : davy_ledger_outbox_refused(outbox->ledger, delivery->row, delivery->reason_code, now.mono);
    }
    return rc;
}

void outbox_settled(struct outbox *outbox)
{
    let_go(outbox);
    for (size_t i = 0; i < outbox->events.count; i++) {
        int64_t seq = davy_outbox_seq(outbox->events.items[i].row);
        if (outbox->events.items[i].kind == DAVY_DELIVERY_DONE && seq > outbox->acknowledged_seq)
            outbox->acknowledged_seq = seq;
    }
    outbox->events.count = 0;
    outbox->unpark = false;
}

void outbox_unsettled(struct outbox *outbox)
{
    outbox->waiting_since = davy_clock_now(outbox->route->clock).mono;
}

bool outbox_telemetry_waits(const struct outbox *outbox)
{
    return outbox->telemetry.count > 0;
}

bool outbox_telemetry_due(const struct outbox *outbox)
{
    return outbox->telemetry.count >= SETTLE_MAX / 4;
}

int outbox_settle_telemetry(struct outbox *outbox)
{
    int rc = 0;
    for (size_t i = 0; i < outbox->telemetry.count && rc == 0; i++)
        rc = davy_readings_outbox_done(outbox->readings, outbox->telemetry.items[i].row);
    return rc;
}

void outbox_telemetry_settled(struct outbox *outbox)
{
    outbox->telemetry.count = 0;
}

bool outbox_in_line(const struct outbox *outbox)
{
    struct davy_outbox_row row;
    return outbox->connected && outbox->ledger &&
           davy_ledger_outbox_next(outbox->ledger, outbox->event_row, &row) == DAVY_OUTBOX_EMPTY;
}

bool outbox_connected(const struct outbox *outbox)
{
    return outbox->connected;
}

int64_t outbox_sent_seq(const struct outbox *outbox)
{
    struct davy_publisher_status status = {.sent_row = 0};
    int64_t seq = 0;
    if (outbox->route->publisher)
        davy_publisher_status(outbox->route->publisher, &status);
    return outbox->ledger && davy_ledger_sent_seq(outbox->ledger, status.sent_row, &seq) == 0 ? seq : 0;
}

int64_t outbox_acknowledged_seq(const struct outbox *outbox)
{
    return outbox->acknowledged_seq;
}

bool outbox_post_again(struct outbox *outbox, const struct davy_outbox_row *row, bool tracked)
{
    struct davy_message message;
    if (davy_publisher_waiting(outbox->route->publisher, DAVY_MESSAGE_REPLY) > AGAIN_POSTED ||
        davy_message_new(DAVY_MESSAGE_REPLY, tracked ? row->row : 0, row->topic, row->payload, &message) < 0)
        return false;
    message.schema = "davy.alarm/1";
    message.length = davy_payload_mark_replayed(message.payload);
    return post(outbox, &message);
}

size_t outbox_take_answers(struct outbox *outbox, int64_t *ret_seq)
{
    size_t answers = outbox->answers;
    *ret_seq = outbox->answered_seq;
    outbox->answers = 0;
    outbox->answered_seq = 0;
    return answers;
}

uint64_t outbox_refusals(const struct outbox *outbox)
{
    return outbox->refusals;
}
