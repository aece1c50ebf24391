/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "acquire/estimate.h"
#include "acquire/internal.h"
#include "base/log.h"

/* Modbus Application Protocol V1.1b3, 7: a gateway has no way to the unit, or the unit did not answer the gateway. */
#define EXCEPTION_NO_PATH     10
#define EXCEPTION_NO_RESPONSE 11

/* A request that is not answered so often though its device answers others is asked ever more rarely. */
#define MUTE_MISSES     3
#define FIRST_MUTE_NS   (10 * DAVY_NS_PER_S)
#define LONGEST_MUTE_NS (60 * DAVY_NS_PER_S)

/* Slow devices together take at most a tenth of the time while others wait. */
#define SLOW_SHARE 10

/* Who changes the settings of a port again and again is told of once, until there is peace for so long. */
#define MEDDLING_TOLD_NS (60 * DAVY_NS_PER_S)

/* ---- link ---- */

static void feed(struct davy_connection *connection, enum davy_link_input input)
{
    if (davy_link_feed(&connection->link, input, now_of(connection)) < 0)
        davy_error("poller", "%s: link input %d in state %s", bus_of(connection)->name, (int)input,
                   davy_link_state_name(connection->link.state));
}

static void log_open(const struct davy_connection *connection, int rc)
{
    char why[200] = "";
    if (rc < 0 && rc != connection->status.last_error && connection->bus_link.ops->explain)
        connection->bus_link.ops->explain(connection->bus_link.link, why, sizeof why);
    if (rc == 0 && connection->status.last_error != 0)
        davy_notice("poller", "%s: open again", bus_of(connection)->name);
    else if (rc < 0 && rc != connection->status.last_error)
        davy_warning("poller", "%s: cannot be opened: %s%s%s", bus_of(connection)->name, strerror(-rc),
                     why[0] == '\0' ? "" : ": ", why);
}

bool poll_ensure_open(struct davy_connection *connection)
{
    if (davy_link_is_open(&connection->link))
        return true;
    if (!davy_link_wants_open(&connection->link, now_of(connection)))
        return false;
    feed(connection, DAVY_LINK_OPEN);
    davy_thread_beat(&connection->thread);
    int rc = connection->bus_link.ops->open(connection->bus_link.link);
    log_open(connection, rc);
    connection->status.last_error = rc;
    connection->status.connects += rc == 0;
    feed(connection, rc == 0 ? DAVY_LINK_OPENED : DAVY_LINK_FAILED);
    return rc == 0;
}

/* What an answer means for the link: a TCP connection that lost a reply cannot be trusted with the next one. */
static enum davy_link_input input_of(const struct davy_connection *connection, enum davy_answer answer)
{
    switch (answer) {
    case DAVY_ANSWER_OK:
    case DAVY_ANSWER_EXCEPTION:
        return DAVY_LINK_ANSWER;
    case DAVY_ANSWER_TIMEOUT:
    case DAVY_ANSWER_INVALID:
        return bus_of(connection)->type == DAVY_BUS_TCP ? DAVY_LINK_RESET : DAVY_LINK_MISS;
    case DAVY_ANSWER_DOWN:
    case DAVY_ANSWER_COUNT_:
        break;
    }
    return DAVY_LINK_BROKEN;
}

/* ---- exchanges ---- */

static void count_answer(struct davy_connection *connection, const struct davy_bus_reply *reply, davy_mono now)
{
    struct davy_poller_status *status = &connection->status;
    enum davy_answer answer = reply->answer;
    bool answered = answer == DAVY_ANSWER_OK || answer == DAVY_ANSWER_EXCEPTION;
    status->requests++;
    status->answers += answered;
    status->exceptions += answer == DAVY_ANSWER_EXCEPTION;
    status->timeouts += answer == DAVY_ANSWER_TIMEOUT;
    status->invalid += answer == DAVY_ANSWER_INVALID;
    status->foreign += reply->foreign;
    status->late += reply->late;
    if (answered)
        status->last_answer = now;
}

static void tell_noise(struct davy_connection *connection, const struct davy_bus_reply *reply, davy_mono now)
{
    char text[200];
    if (davy_noise_add(&connection->noise, reply, now, text, sizeof text))
        davy_warning("poller", "%s: %s", bus_of(connection)->name, text);
}

static void tell_meddling(struct davy_connection *connection, davy_mono now)
{
    bool recent = connection->meddled_at.ns != 0 && davy_mono_sub(now, connection->meddled_at).ns < MEDDLING_TOLD_NS;
    connection->meddled_at = now;
    if (!recent)
        davy_warning("poller", "%s: another program changed the settings of the port, which is opened anew",
                     bus_of(connection)->name);
}

/* One request on the wire, if there is one. Returns the time that it took. */
static davy_span exchange(struct davy_connection *connection, const struct davy_bus_request *request,
                          struct davy_bus_reply *reply)
{
    davy_mono begin = now_of(connection);
    *reply = (struct davy_bus_reply){.answer = DAVY_ANSWER_DOWN};
    if (!poll_ensure_open(connection))
        return davy_mono_sub(now_of(connection), begin);
    davy_mono before = now_of(connection);
    davy_thread_beat(&connection->thread);
    connection->bus_link.ops->read(connection->bus_link.link, request, reply);
    davy_mono after = now_of(connection);
    connection->window_busy.ns += davy_mono_sub(after, before).ns;
    count_answer(connection, reply, after);
    tell_noise(connection, reply, after);
    if (reply->meddled)
        tell_meddling(connection, after);
    feed(connection, input_of(connection, reply->answer));
    if (!davy_link_is_open(&connection->link))
        connection->bus_link.ops->close(connection->bus_link.link);
    return davy_mono_sub(after, begin);
}

/* The unit did not answer: us, or the gateway that says so. */
static bool is_miss(const struct davy_bus_reply *reply)
{
    return reply->answer == DAVY_ANSWER_TIMEOUT || reply->answer == DAVY_ANSWER_INVALID ||
           (reply->answer == DAVY_ANSWER_EXCEPTION &&
            (reply->exception == EXCEPTION_NO_PATH || reply->exception == EXCEPTION_NO_RESPONSE));
}

davy_span poll_exchange(struct davy_connection *connection, const struct davy_bus_request *request,
                        struct davy_bus_reply *ret_reply)
{
    davy_span took = exchange(connection, request, ret_reply);
    if (ret_reply->answer == DAVY_ANSWER_DOWN)
        took.ns += exchange(connection, request, ret_reply).ns;
    return took;
}

/* A connection that the other end closed meanwhile, in any case; a miss as far as the account pays for it. */
static bool is_worth_another(struct davy_connection *connection, uint32_t device, const struct davy_bus_reply *reply,
                             int tries, davy_mono now)
{
    if (reply->answer == DAVY_ANSWER_DOWN)
        return tries == 0;
    return is_miss(reply) && tries < bus_of(connection)->retries &&
           davy_quarantine_may_retry(&connection->quarantine, device, now);
}

/* A poll with its retries. *ret_missed: one of the tries was not answered. */
static davy_span exchange_retried(struct davy_connection *connection, const struct davy_bus_request *request,
                                  uint32_t device, struct davy_bus_reply *reply, bool *ret_missed)
{
    *ret_missed = false;
    davy_span whole = {0};
    for (int tries = 0;; tries++) {
        davy_span took = exchange(connection, request, reply);
        davy_mono now = now_of(connection);
        whole.ns += took.ns;
        *ret_missed |= is_miss(reply);
        if (is_miss(reply) && davy_quarantine_pays(&connection->quarantine, device, tries > 0))
            davy_quarantine_pay(&connection->quarantine, took, now);
        if (!is_worth_another(connection, device, reply, tries, now) || davy_thread_stopping(&connection->thread))
            return whole;
    }
}

/* ---- devices ---- */

static const struct davy_device *device_of(const struct davy_connection *connection, const struct davy_slot *slot)
{
    return &connection->config->devices[slot->device];
}

/* For others: percentiles are worth their sorting now and then only, the rest where it changed. */
static void put_row(struct davy_connection *connection, struct davy_patient *patient, bool changed)
{
    const size_t row = (size_t)(patient - connection->quarantine.patients);
    bool measure = patient->turn_around.count < 8 || patient->turn_around.count % 8 == 0;
    struct davy_poller_device device;
    if ((patient->shown && !measure && !changed) ||
        !davy_cell_get_at(&connection->devices, row * sizeof device, &device, sizeof device))
        return;
    device.generation = connection->config->generation;
    device.device = patient->device;
    device.misses = patient->misses;
    device.slow = patient->slow;
    device.flapping = patient->flapping;
    device.mean.ns = patient->mean_ns;
    if (measure || !patient->shown) {
        device.p50 = davy_pace_percentile(&patient->turn_around, 50);
        device.p95 = davy_pace_percentile(&patient->turn_around, 95);
    }
    patient->shown = davy_cell_put_at(&connection->devices, row * sizeof device, &device, sizeof device);
}

/* What the answer says of the device, and whether an earlier try of the same poll was not answered. */
static void note_device(struct davy_connection *connection, uint32_t index, const struct davy_bus_reply *reply,
                        bool missed)
{
    const char *id = connection->config->devices[index].id;
    struct davy_patient *patient = davy_quarantine_find(&connection->quarantine, index);
    if (reply->answer == DAVY_ANSWER_DOWN || !patient)
        return;
    const bool changed = is_miss(reply) || patient->misses > 0;
    if (reply->turn_around.ns > 0)
        davy_pace_add(&patient->turn_around, reply->turn_around);
    if (is_miss(reply)) {
        if (davy_quarantine_miss(&connection->quarantine, index, reply, now_of(connection)))
            davy_warning("poller", "%s: %s does not answer, is only probed from now on", bus_of(connection)->name, id);
    } else if (davy_quarantine_answer(&connection->quarantine, index, missed)) {
        davy_notice("poller", "%s: %s answers again", bus_of(connection)->name, id);
    }
    put_row(connection, patient, changed);
}

static void note_pace(struct davy_connection *connection, const struct davy_slot *slot,
                      const struct davy_bus_reply *reply, davy_span took, bool missed)
{
    const struct davy_request *request = &connection->config->requests[slot->request];
    if (reply->answer == DAVY_ANSWER_DOWN ||
        !davy_quarantine_note(&connection->quarantine, slot->device, reply->took.ns > 0 ? reply->took : took,
                              davy_estimate_request(connection->config, request), missed))
        return;
    bool slow = davy_quarantine_find(&connection->quarantine, slot->device)->slow;
    davy_schedule_slow(&connection->schedule, slot->device, slow);
    davy_notice("poller", "%s: %s %s", bus_of(connection)->name, device_of(connection, slot)->id,
                slow ? "takes more than 4 times as long as planned: what else is due is read before it"
                     : "is no longer slow");
}

/* A miss of a request whose device answers others. True when the request is to blame, not the device. */
static bool note_mute(struct davy_connection *connection, struct davy_slot *slot, const struct davy_bus_reply *reply)
{
    if (reply->answer == DAVY_ANSWER_OK || (reply->answer == DAVY_ANSWER_EXCEPTION && !is_miss(reply))) {
        slot->misses = 0;
        slot->mute_wait.ns = 0;
        return false;
    }
    /* Without an answer to another read since, it is the device. */
    const bool answers = davy_quarantine_find(&connection->quarantine, slot->device)->misses == 0;
    if (reply->answer != DAVY_ANSWER_TIMEOUT || ++slot->misses < MUTE_MISSES || !answers)
        return false;
    if (slot->mute_wait.ns == 0)
        davy_warning("poller", "%s: %s does not answer to reads of %s from %u, though it does to others",
                     bus_of(connection)->name, device_of(connection, slot)->id,
                     davy_table_name(connection->config->requests[slot->request].table),
                     connection->config->requests[slot->request].start);
    slot->mute_wait.ns = slot->mute_wait.ns == 0 ? FIRST_MUTE_NS : 2 * slot->mute_wait.ns;
    if (slot->mute_wait.ns > LONGEST_MUTE_NS)
        slot->mute_wait.ns = LONGEST_MUTE_NS;
    slot->mute_until = davy_mono_add(now_of(connection), slot->mute_wait);
    return true;
}

/* What a poll says: of the request only, where that is to blame. */
static void note_poll(struct davy_connection *connection, struct davy_slot *slot, const struct davy_bus_reply *reply,
                      davy_span took, bool missed)
{
    if (note_mute(connection, slot, reply))
        return;
    note_pace(connection, slot, reply, took, missed);
    note_device(connection, slot->device, reply, missed);
}

/* ---- blocks ---- */

/* Stamped once, when the answer is there. Nothing of a failed reply goes on. */
static void push_block(struct davy_connection *connection, const struct davy_slot *slot,
                       const struct davy_parts_task *task, const struct davy_bus_reply *reply)
{
    const struct davy_request *request = &connection->config->requests[slot->request];
    bool whole = task->start == request->start && task->count == request->count;
    struct davy_block block = {.generation = connection->config->generation,
                               .request = slot->request,
                               .start = whole ? 0 : task->start,
                               .count = whole ? 0 : task->count,
                               .answer = reply->answer,
                               .at = davy_clock_now(connection->clock)};
    if (reply->answer == DAVY_ANSWER_OK)
        memcpy(block.words, reply->words, sizeof block.words);
    if (reply->answer == DAVY_ANSWER_EXCEPTION)
        block.exception = reply->exception;
    (void)davy_queue_push(connection->blocks, &block); /* the queue counts what it drops */
}

/* Names: Modbus Application Protocol V1.1b3, 7. */
static const char *exception_name(uint8_t exception)
{
    static const char *const names[] = {[1] = "illegal function",
                                        [2] = "illegal data address",
                                        [3] = "illegal data value",
                                        [5] = "acknowledge",
                                        [6] = "busy"};
    return exception < DAVY_LENGTH(names) && names[exception] ? names[exception] : "not known";
}

static void log_event(struct davy_connection *connection, const struct davy_slot *slot,
                      const struct davy_parts_task *task, const struct davy_bus_reply *reply,
                      enum davy_parts_event event)
{
    static const struct {
        bool warn;
        const char *text;
    } words[] = {
        [DAVY_PARTS_SPLIT] = {true, "is refused as a whole, is read in parts"},
        [DAVY_PARTS_MERGED] = {false, "is read as a whole again"},
        [DAVY_PARTS_REFUSED] = {true, "is refused: the configuration or the profile does not fit the device"},
        [DAVY_PARTS_ACCEPTED] = {false, "is answered, no longer refused"},
        [DAVY_PARTS_BUSY] = {true, "is not answered by a device that is busy"},
    };
    connection->status.splits += event == DAVY_PARTS_SPLIT;
    if ((size_t)event >= DAVY_LENGTH(words) || !words[event].text)
        return;
    char why[64] = "";
    if (reply->answer == DAVY_ANSWER_EXCEPTION)
        snprintf(why, sizeof why, " (exception %u, %s)", reply->exception, exception_name(reply->exception));
    davy_log(words[event].warn ? DAVY_LOG_WARNING : DAVY_LOG_NOTICE, "poller", "%s: %s: reading %u of %s from %u %s%s",
             bus_of(connection)->name, device_of(connection, slot)->id, task->count,
             davy_table_name(connection->config->requests[slot->request].table), task->start, words[event].text, why);
}

/* ---- polls ---- */

/*
 * True where asking is pointless, with *reply filled: the link is down, the device or the request is known not to
 * answer.
 */
static bool fails_unasked(struct davy_connection *connection, const struct davy_slot *slot,
                          struct davy_bus_reply *reply)
{
    davy_mono now = now_of(connection);
    reply->answer = DAVY_ANSWER_DOWN;
    if (!poll_ensure_open(connection))
        return true;
    reply->answer = DAVY_ANSWER_TIMEOUT;
    if (now.ns < slot->mute_until.ns)
        return true;
    if (!davy_quarantine_is_silent(&connection->quarantine, slot->device, now))
        return false;
    /* One that is not missed but waits for its turn, since it often needs a second try, has no failure to tell of. */
    const struct davy_patient *patient = davy_quarantine_find(&connection->quarantine, slot->device);
    if (patient->misses > 0 && patient->answer != DAVY_ANSWER_OK) {
        reply->answer = patient->answer;
        reply->exception = patient->exception;
    }
    return true;
}

static void ask(struct davy_connection *connection, struct davy_slot *slot, const struct davy_parts_task *task,
                struct davy_bus_reply *reply)
{
    const struct davy_device *device = device_of(connection, slot);
    const struct davy_bus_request read = {device->unit, connection->config->requests[slot->request].table, task->start,
                                          task->count, device->max_reply};
    bool missed;
    davy_span took = exchange_retried(connection, &read, slot->device, reply, &missed);
    note_poll(connection, slot, reply, took, missed);
}

/* One task of the turn of a request. Returns whether something was on the wire. */
static bool do_task(struct davy_connection *connection, struct davy_slot *slot, enum davy_parts_verdict verdict,
                    const struct davy_parts_task *task)
{
    struct davy_bus_reply reply = {.answer = DAVY_ANSWER_EXCEPTION, .exception = task->exception};
    enum davy_parts_event event = DAVY_PARTS_TOLD;
    bool asked = verdict == DAVY_PARTS_READ && !fails_unasked(connection, slot, &reply);
    if (asked)
        ask(connection, slot, task, &reply);
    if (davy_thread_stopping(&connection->thread) && reply.answer != DAVY_ANSWER_OK)
        return true; /* cut short: that says nothing about the device */
    if (verdict == DAVY_PARTS_READ)
        event = davy_parts_answer(&slot->parts, &reply, now_of(connection));
    log_event(connection, slot, task, &reply, event);
    if (davy_parts_is_told(event))
        push_block(connection, slot, task, &reply);
    return asked;
}

/*
 * When a slow device may go before others again, one having been asked since `begun`. A night's sleep was not its
 * doing.
 */
static davy_mono slow_again(const struct davy_connection *connection, davy_mono begun)
{
    const davy_mono now = now_of(connection);
    const int64_t longest = davy_connection_longest_turn(connection->config, connection->share.bus).ns;
    const int64_t took = davy_mono_sub(now, begun).ns;
    return davy_mono_add(now, (davy_span){(SLOW_SHARE - 1) * (took < longest ? took : longest)});
}

void poll_due(struct davy_connection *connection)
{
    davy_mono now = now_of(connection), again;
    struct davy_slot *slot = davy_schedule_take(&connection->schedule, now, now.ns >= connection->slow_at.ns);
    struct davy_parts_task task;
    enum davy_parts_verdict verdict;
    if (!slot)
        return;
    if (!slot->begun)
        davy_parts_begin(&slot->parts);
    slot->begun = true;
    bool asked = false;
    while (!asked && (verdict = davy_parts_next(&slot->parts, now, &task)) != DAVY_PARTS_NOTHING)
        asked = do_task(connection, slot, verdict, &task);
    if (slot->slow && davy_schedule_others_wait(&connection->schedule))
        connection->slow_at = slow_again(connection, now);
    slot->begun = !davy_parts_is_over(&slot->parts);
    if (slot->begun)
        davy_schedule_again(&connection->schedule, slot, now_of(connection));
    else if (davy_parts_wants_again(&slot->parts, &again))
        davy_schedule_again(&connection->schedule, slot, again);
}

/* A device that is back is read wholly at once. What the probe read is told where the request is not split. */
static void welcome(struct davy_connection *connection, struct davy_slot *slot, const struct davy_bus_reply *reply)
{
    const struct davy_parts_task task = {slot->parts.whole.start, slot->parts.whole.count, 0};
    davy_mono now = now_of(connection);
    slot->misses = 0;
    davy_schedule_hurry(&connection->schedule, slot, now);
    if (reply->answer == DAVY_ANSWER_OK && !slot->parts.list && slot->parts.whole.exception == 0)
        push_block(connection, slot, &task, reply);
    else
        davy_schedule_again(&connection->schedule, slot, now);
}

/* Each request of the device in its turn: it may answer to some only. */
static struct davy_slot *next_to_probe(struct davy_connection *connection, uint32_t device)
{
    struct davy_patient *patient = davy_quarantine_find(&connection->quarantine, device);
    struct davy_slot *slot = davy_schedule_next_of(&connection->schedule, device, patient->probed);
    if (!slot)
        slot = davy_schedule_next_of(&connection->schedule, device, DAVY_NONE);
    patient->probed = slot ? slot->request : DAVY_NONE;
    return slot;
}

/* One that only waited for its turn has been polled by that: else it would be taken for what it was for ever. */
static void note_probe(struct davy_connection *connection, struct davy_slot *slot, const struct davy_bus_reply *reply,
                       davy_span took)
{
    struct davy_patient *patient = davy_quarantine_find(&connection->quarantine, slot->device);
    if (!patient->queued) {
        note_device(connection, slot->device, reply, false);
        return;
    }
    note_poll(connection, slot, reply, took, is_miss(reply));
    if (patient->queued)
        patient->probe_at = now_of(connection); /* the request is to blame: behind the others */
}

bool poll_probe(struct davy_connection *connection)
{
    davy_mono now = now_of(connection), next = davy_schedule_next(&connection->schedule);
    if (!davy_link_is_open(&connection->link))
        return false;
    uint32_t device = davy_quarantine_probe(&connection->quarantine, now, next);
    struct davy_slot *slot = device == DAVY_NONE ? NULL : next_to_probe(connection, device);
    if (!slot)
        return false;
    const struct davy_request *request = &connection->config->requests[slot->request];
    const struct davy_bus_request read = {device_of(connection, slot)->unit, request->table, request->start,
                                          request->count, device_of(connection, slot)->max_reply};
    struct davy_bus_reply reply = {.answer = DAVY_ANSWER_DOWN};
    davy_span took = exchange(connection, &read, &reply);
    davy_mono after = now_of(connection);
    if (davy_thread_stopping(&connection->thread) && reply.answer != DAVY_ANSWER_OK)
        return true;
    if (is_miss(&reply) && after.ns > next.ns)
        davy_quarantine_pay(&connection->quarantine, took, after);
    note_probe(connection, slot, &reply, took);
    if (reply.answer != DAVY_ANSWER_DOWN && !is_miss(&reply))
        welcome(connection, slot, &reply);
    return true;
}
