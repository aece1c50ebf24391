/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/commission.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "config/nearest.h"
#include "daemon/internal.h"

/* A scan whose client is gone without a word. Longer than one waits between two steps on a slow bus. */
#define SCAN_QUIET davy_span_s(60)

/* A row of a device is some hundred bytes; a bus has 248 units. */
#define BEGIN_SIZE ((size_t)1000 * 1024)

static const char *const answers[] = {
    [DAVY_ANSWER_OK] = "ok",           [DAVY_ANSWER_EXCEPTION] = "exception", [DAVY_ANSWER_TIMEOUT] = "timeout",
    [DAVY_ANSWER_INVALID] = "invalid", [DAVY_ANSWER_DOWN] = "down",
};
_Static_assert(DAVY_LENGTH(answers) == DAVY_ANSWER_COUNT_, "a name for each answer");

/* ---- buses ---- */

static void refuse_bus(struct daemon *daemon, uint64_t ticket, const char *name)
{
    const struct davy_config *config = pipeline_config(daemon->pipeline);
    DAVY_AUTO_FREE const char **names = calloc(config->bus_count + 1, sizeof *names);
    for (size_t i = 0; names && i < config->bus_count; i++)
        names[i] = config->buses[i].name;
    const char *nearest = names ? davy_nearest(name, names, config->bus_count) : NULL;
    if (nearest)
        davy_control_refuse(daemon->control, ticket, "there is no bus %s; did you mean %s?", name, nearest);
    else
        davy_control_refuse(daemon->control, ticket, "there is no bus %s; davyctl status lists them", name);
}

/* NULL, and the client is refused, where there is none. */
static const struct davy_bus *find_bus(struct daemon *daemon, uint64_t ticket, const char *name)
{
    const struct davy_config *config = pipeline_config(daemon->pipeline);
    const uint32_t index = davy_config_find_bus(config, name);
    if (index != DAVY_NONE)
        return &config->buses[index];
    refuse_bus(daemon, ticket, name);
    return NULL;
}

/* How long a unit may take: as configured, else `otherwise`. */
static davy_span max_reply_of(const struct davy_config *config, const struct davy_bus *bus, int unit,
                              davy_span otherwise)
{
    for (size_t i = 0; i < config->device_count; i++)
        if (&config->buses[config->devices[i].bus] == bus && config->devices[i].unit == unit)
            return config->devices[i].max_reply;
    return otherwise;
}

/* False, and the client is refused, where the poller has enough to do. */
static bool demand(struct daemon *daemon, const struct davy_bus *bus, const struct davy_poller_demand *demand)
{
    struct commission *commission = &daemon->commission;
    if (davy_poller_demand(pipeline_poller(daemon->pipeline, bus->name), demand) < 0) {
        davy_control_refuse(daemon->control, demand->ticket, "the bus %s has enough reads waiting: try again",
                            bus->name);
        return false;
    }
    struct asked *asked = &commission->asked[commission->next++ % ASKED];
    asked->ticket = demand->ticket;
    snprintf(asked->bus, sizeof asked->bus, "%s", bus->name);
    return true;
}

/* The bus that a reply came from, as it is configured now; NULL where it is not any more. */
static const struct davy_bus *find_asked(const struct daemon *daemon, uint64_t ticket)
{
    const struct davy_config *config = pipeline_config(daemon->pipeline);
    uint32_t index = DAVY_NONE;
    for (size_t i = 0; i < ASKED && index == DAVY_NONE; i++)
        if (daemon->commission.asked[i].ticket == ticket)
            index = davy_config_find_bus(config, daemon->commission.asked[i].bus);
    return index == DAVY_NONE ? NULL : &config->buses[index];
}

static bool demand_read(struct daemon *daemon, uint64_t ticket, const struct davy_bus *bus,
                        const struct davy_request_line *request, davy_span otherwise)
{
    const struct davy_poller_demand read = {
        .ticket = ticket,
        .kind = DAVY_DEMAND_READ,
        .unit = (uint8_t)request->unit,
        .table = request->table,
        .start = (uint16_t)request->address,
        .count = (uint16_t)request->count,
        .max_reply = max_reply_of(pipeline_config(daemon->pipeline), bus, request->unit, otherwise),
    };
    return demand(daemon, bus, &read);
}

/* In words, why it does not open. */
static const char *closed_text(struct daemon *daemon, const struct davy_bus *bus)
{
    struct davy_poller_status status;
    davy_poller_status(pipeline_poller(daemon->pipeline, bus->name), &status);
    return status.last_error ? strerror(-status.last_error) : "the other end breaks the connection";
}

static uint32_t connections_of(const struct davy_bus *bus)
{
    const uint32_t count = davy_share_connections(bus);
    return count < DAVY_POLLER_CONNECTIONS ? count : DAVY_POLLER_CONNECTIONS;
}

/* Why nothing can be read now; false where it can. */
static bool is_closed(struct daemon *daemon, uint64_t ticket, const struct davy_bus *bus)
{
    struct davy_poller_status status;
    davy_poller_status(pipeline_poller(daemon->pipeline, bus->name), &status);
    /* Of several connections the worst is told, and the first one reads: it says itself where it is down. */
    if (status.state != DAVY_LINK_BACKOFF || connections_of(bus) > 1)
        return false;
    davy_control_refuse(daemon->control, ticket, "the bus %s is closed: %s", bus->name, closed_text(daemon, bus));
    return true;
}

/* ---- read ---- */

void commission_read(struct daemon *daemon, uint64_t ticket, const struct davy_request_line *request)
{
    const davy_span second = davy_span_s(1);
    const struct davy_bus *bus = find_bus(daemon, ticket, request->bus);
    if (!bus)
        return;
    if (bus->type != DAVY_BUS_TCP && request->unit == 0)
        davy_control_refuse(daemon->control, ticket, "unit 0 is the broadcast of a serial line: nobody answers it");
    else if (!is_closed(daemon, ticket, bus))
        (void)demand_read(daemon, ticket, bus, request, bus->timeout.ns > second.ns ? bus->timeout : second);
}

/* Bits are packed in words; the person gets one number each. */
static unsigned nth_value(const struct davy_poller_demand_reply *reply, unsigned i)
{
    bool bits = reply->demand.table == DAVY_TABLE_COIL || reply->demand.table == DAVY_TABLE_DISCRETE;
    return bits ? (reply->reply.words[i / 16] >> (i % 16)) & 1U : reply->reply.words[i];
}

/* Modbus Application Protocol V1.1b3, 7. */
static const char *exception_text(uint8_t exception)
{
    static const char *const names[] = {
        [1] = "it does not know this table",
        [2] = "it does not have these registers",
        [3] = "it does not take this count",
        [4] = "it has failed",
        [5] = "it needs more time",
        [6] = "it is busy",
        [8] = "its memory is broken",
        [10] = "the gateway has no way to it",
        [11] = "the gateway had no reply from it",
    };
    const char *name = exception < DAVY_LENGTH(names) ? names[exception] : NULL;
    return name ? name : "a code of its maker";
}

static void failure_text(struct daemon *daemon, const struct davy_poller_demand_reply *reply, char *text, size_t size)
{
    static const char *const failures[] = {
        [DAVY_ANSWER_OK] = "it answers",
        [DAVY_ANSWER_EXCEPTION] = "exception",
        [DAVY_ANSWER_TIMEOUT] = "no reply in time",
        [DAVY_ANSWER_INVALID] = "a reply that does not belong to the request: noise, or two devices with this number",
        [DAVY_ANSWER_DOWN] = "the line or connection is down",
    };
    const struct davy_bus *bus = find_asked(daemon, reply->ticket);
    if (reply->reply.answer == DAVY_ANSWER_DOWN && bus)
        snprintf(text, size, "%s: %s", failures[DAVY_ANSWER_DOWN], closed_text(daemon, bus));
    else if (reply->reply.answer == DAVY_ANSWER_EXCEPTION)
        snprintf(text, size, "unit %u answers with exception %u: %s", reply->demand.unit, reply->reply.exception,
                 exception_text(reply->reply.exception));
    else
        snprintf(text, size, "unit %u: %s", reply->demand.unit, failures[reply->reply.answer]);
}

static void put_answer(struct davy_buf *out, const struct davy_bus_reply *reply)
{
    davy_json_text(out, "answer", answers[reply->answer]);
    if (reply->answer == DAVY_ANSWER_EXCEPTION)
        davy_json_integer(out, "exception", reply->exception);
    else
        davy_json_null(out, "exception");
}

static void answer_read(struct daemon *daemon, const struct davy_poller_demand_reply *reply)
{
    char text[16384], failure[256];
    struct davy_buf out;
    const bool ok = reply->reply.answer == DAVY_ANSWER_OK;
    davy_buf_init(&out, text, sizeof text);
    davy_json_open(&out, '{');
    davy_json_bool(&out, "ok", ok);
    if (ok) {
        davy_json_key_open(&out, "words", '[');
        for (unsigned i = 0; i < reply->demand.count; i++)
            davy_buf_printf(&out, i ? ",%u" : "%u", nth_value(reply, i));
        davy_json_close(&out, ']');
    } else {
        failure_text(daemon, reply, failure, sizeof failure);
        davy_json_text(&out, "error", failure);
        put_answer(&out, &reply->reply);
    }
    davy_json_close(&out, '}');
    davy_control_reply(daemon->control, reply->ticket, text);
}

/* ---- scan ---- */

static bool is_free(const struct scan *scan, davy_mono now)
{
    return davy_uuid_is_nil(&scan->id) || now.ns >= scan->until.ns;
}

/* That of the bus, else a free place; NULL: all places are taken. */
static struct scan *scan_of(struct daemon *daemon, const char *bus, davy_mono now)
{
    struct scan *place = NULL;
    for (size_t i = 0; i < SCANS; i++) {
        struct scan *scan = &daemon->commission.scans[i];
        if (is_free(scan, now))
            place = place ? place : scan;
        else if (strcmp(scan->bus, bus) == 0)
            return scan;
    }
    return place;
}

static bool is_same(const struct davy_uuid *a, const struct davy_uuid *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

static void put_device(struct davy_buf *out, const struct davy_device *device)
{
    davy_json_open(out, '{');
    davy_json_text(out, "device", device->id);
    davy_json_text(out, "name", device->name);
    davy_json_integer(out, "unit", device->unit);
    davy_json_text(out, "profile", device->profile);
    davy_json_bool(out, "enabled", device->enabled);
    davy_json_close(out, '}');
}

/* Requests of the bus's plan in a second, on the connection that reads for people. */
static double polls_per_s(const struct davy_config *config, const struct davy_bus *bus)
{
    double sum = 0;
    for (size_t i = 0; i < config->request_count; i++)
        if (&config->buses[config->requests[i].bus] == bus && config->requests[i].interval.ns > 0)
            sum += (double)DAVY_NS_PER_S / (double)config->requests[i].interval.ns;
    return sum / connections_of(bus);
}

static void tell_begin(struct daemon *daemon, uint64_t ticket, const struct davy_bus *bus)
{
    const struct davy_config *config = pipeline_config(daemon->pipeline);
    DAVY_AUTO_FREE char *text = malloc(BEGIN_SIZE);
    if (!text) {
        davy_control_refuse(daemon->control, ticket, "no memory");
        return;
    }
    struct davy_buf out;
    davy_buf_init(&out, text, BEGIN_SIZE);
    davy_json_open(&out, '{');
    davy_json_bool(&out, "ok", true);
    davy_json_text(&out, "bus", bus->name);
    davy_json_text(&out, "type", davy_bus_type_name(bus->type));
    davy_json_number(&out, "timeout_s", (double)bus->timeout.ns / 1e9);
    davy_json_number(&out, "polls_per_s", polls_per_s(config, bus));
    davy_json_key_open(&out, "devices", '[');
    for (size_t i = 0; i < config->device_count; i++)
        if (&config->buses[config->devices[i].bus] == bus)
            put_device(&out, &config->devices[i]);
    davy_json_close(&out, ']');
    davy_json_close(&out, '}');
    davy_control_reply(daemon->control, ticket,
                       out.overflow ? "{\"ok\":false,\"error\":\"the answer is too long\"}" : text);
}

static void scan_begin(struct daemon *daemon, struct scan *scan, const struct davy_control_peer *peer,
                       const struct davy_request_line *request, const struct davy_bus *bus)
{
    if (is_closed(daemon, peer->ticket, bus))
        return;
    *scan = (struct scan){.id = request->id, .until = davy_mono_add(davy_clock_now(daemon->clock).mono, SCAN_QUIET)};
    snprintf(scan->bus, sizeof scan->bus, "%s", bus->name);
    snprintf(scan->by, sizeof scan->by, "%s", peer->user);
    davy_notice("scan", "%s scans the bus %s", scan->by, scan->bus);
    tell_begin(daemon, peer->ticket, bus);
}

/*
 * Nobody scans with 0 or with 248 to 255 on a serial line: they are the broadcast and what all devices of a maker
 * answer.
 */
static void scan_step(struct daemon *daemon, struct scan *scan, uint64_t ticket,
                      const struct davy_request_line *request, const struct davy_bus *bus)
{
    struct davy_request_line one = *request;
    one.count = 1;
    if (scan->ticket != 0)
        davy_control_refuse(daemon->control, ticket, "one unit after the other");
    else if (bus->type != DAVY_BUS_TCP && (request->unit < 1 || request->unit > 247))
        davy_control_refuse(daemon->control, ticket, "a scan of a serial line asks units 1 to 247 only");
    else if (demand_read(daemon, ticket, bus, &one, bus->timeout))
        scan->ticket = ticket;
    scan->until = davy_mono_add(davy_clock_now(daemon->clock).mono, SCAN_QUIET);
}

void commission_scan(struct daemon *daemon, const struct davy_control_peer *peer,
                     const struct davy_request_line *request)
{
    const davy_mono now = davy_clock_now(daemon->clock).mono;
    const struct davy_bus *bus = find_bus(daemon, peer->ticket, request->bus);
    if (!bus)
        return;
    struct scan *scan = scan_of(daemon, bus->name, now);
    const bool runs = scan && !is_free(scan, now), own = runs && is_same(&scan->id, &request->id);
    if (!scan || (runs && !own))
        davy_control_refuse(daemon->control, peer->ticket, "%s scans %s: one at a time", scan ? scan->by : "somebody",
                            scan ? scan->bus : "other buses");
    else if (request->verb == DAVY_VERB_SCAN_BEGIN)
        scan_begin(daemon, scan, peer, request, bus);
    else if (!own)
        davy_control_refuse(daemon->control, peer->ticket, "this scan is over");
    else if (request->verb == DAVY_VERB_SCAN)
        scan_step(daemon, scan, peer->ticket, request, bus);
    else {
        *scan = (struct scan){.ticket = 0};
        davy_control_reply(daemon->control, peer->ticket, "{\"ok\":true}");
    }
}

static void answer_step(struct daemon *daemon, struct scan *scan, const struct davy_poller_demand_reply *reply)
{
    char text[256];
    struct davy_buf out;
    scan->ticket = 0;
    scan->until = davy_mono_add(davy_clock_now(daemon->clock).mono, SCAN_QUIET);
    davy_buf_init(&out, text, sizeof text);
    davy_json_open(&out, '{');
    davy_json_bool(&out, "ok", true);
    put_answer(&out, &reply->reply);
    davy_json_close(&out, '}');
    davy_control_reply(daemon->control, reply->ticket, text);
}

/* ---- frames ---- */

/* The frames of a recorder in hexadecimal, each with its members. */
#define FRAMES_SIZE ((size_t)256 * 1024)

void commission_frames(struct daemon *daemon, uint64_t ticket, const struct davy_request_line *request)
{
    const struct davy_bus *bus = find_bus(daemon, ticket, request->bus);
    if (!bus)
        return;
    const struct davy_poller_demand frames = {
        .ticket = ticket, .kind = DAVY_DEMAND_FRAMES, .connection = (uint32_t)request->connection};
    if (frames.connection >= connections_of(bus))
        davy_control_refuse(daemon->control, ticket, "%s has %u connections", bus->name, connections_of(bus));
    else
        (void)demand(daemon, bus, &frames);
}

static void put_bytes(struct davy_buf *out, const struct davy_capture_frame *frame)
{
    char hex[2 * DAVY_CAPTURE_FRAME + 1] = "";
    const size_t length = frame->length < DAVY_CAPTURE_FRAME ? frame->length : DAVY_CAPTURE_FRAME;
    for (size_t i = 0; i < length; i++)
        snprintf(hex + 2 * i, 3, "%02x", frame->bytes[i]);
    davy_json_text(out, "bytes", hex);
}

static void put_frame(struct davy_buf *out, const struct davy_capture_frame *frame)
{
    const bool judged = frame->verdict < DAVY_ANSWER_COUNT_;
    davy_json_open(out, '{');
    davy_json_integer(out, "number", (int64_t)frame->number);
    davy_json_integer(out, "exchange", frame->exchange);
    davy_json_time(out, "time", frame->at.wall);
    davy_json_integer(out, "mono_us", frame->at.mono.ns / DAVY_NS_PER_US);
    davy_json_text(out, "kind", davy_capture_kind_name(frame->kind));
    davy_json_text(out, "verdict", judged ? answers[frame->verdict] : NULL);
    davy_json_bool(out, "kept", frame->kept);
    davy_json_integer(out, "length", frame->length);
    put_bytes(out, frame);
    davy_json_close(out, '}');
}

/* Of a serial port; what stands behind a server that hands frames on is not known here. */
static double character_us(const struct davy_bus *bus)
{
    const int bits = 1 + bus->data_bits + (bus->parity == 'N' ? 0 : 1) + bus->stop_bits;
    return bus->type == DAVY_BUS_RTU && bus->baud > 0 ? bits * 1e6 / bus->baud : 0;
}

static void answer_frames(struct daemon *daemon, const struct davy_poller_demand_reply *reply)
{
    const struct davy_bus *bus = find_asked(daemon, reply->ticket);
    struct davy_capture_cursor cursor = {0};
    struct davy_capture_frame frame;
    DAVY_AUTO_FREE char *text = malloc(FRAMES_SIZE);
    if (!text || !reply->capture || !bus) {
        davy_control_refuse(daemon->control, reply->ticket,
                            bus ? "the recorder is gone, or no memory: try again" : "the bus is gone");
        return;
    }
    struct davy_buf out;
    davy_buf_init(&out, text, FRAMES_SIZE);
    davy_json_open(&out, '{');
    davy_json_bool(&out, "ok", true);
    davy_json_text(&out, "bus", bus->name);
    davy_json_text(&out, "type", davy_bus_type_name(bus->type));
    davy_json_integer(&out, "connection", reply->demand.connection);
    davy_json_integer(&out, "connections", connections_of(bus));
    davy_json_number(&out, "character_us", character_us(bus));
    davy_json_key_open(&out, "frames", '[');
    while (davy_capture_next(reply->capture, &cursor, &frame))
        put_frame(&out, &frame);
    davy_json_close(&out, ']');
    davy_json_close(&out, '}');
    davy_control_reply(daemon->control, reply->ticket,
                       out.overflow ? "{\"ok\":false,\"error\":\"the answer is too long\"}" : text);
}

/* ---- replies ---- */

static void take(struct daemon *daemon, const struct davy_poller_demand_reply *reply)
{
    if (reply->demand.kind == DAVY_DEMAND_FRAMES) {
        answer_frames(daemon, reply);
        return;
    }
    for (size_t i = 0; i < SCANS; i++)
        if (daemon->commission.scans[i].ticket == reply->ticket) {
            answer_step(daemon, &daemon->commission.scans[i], reply);
            return;
        }
    answer_read(daemon, reply);
}

void commission_take(struct daemon *daemon, const struct davy_poller_demand_reply *reply)
{
    if (daemon->control)
        take(daemon, reply);
    free(reply->capture);
}
