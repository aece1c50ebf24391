/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "acquire/request.h"
#include "daemon/refill.h"
#include "publish/payload.h"
#include "publish/topic.h"

static struct gateway_record *add_record(struct gateway *gateway)
{
    assert(gateway->record_count < GATEWAY_RECORDS);
    return &gateway->records[gateway->record_count++];
}

static void on_event(void *context, const struct davy_event *event)
{
    *add_record(context) = (struct gateway_record){.kind = GATEWAY_EVENT, .event = *event};
    davy_members_ref(event->members);
}

static bool on_memory(void *context, const struct davy_alarm_memory *memory)
{
    *add_record(context) = (struct gateway_record){.kind = GATEWAY_MEMORY, .memory = *memory};
    return true;
}

static void store_reading(void *context, const struct davy_reading *reading)
{
    struct gateway *gateway = context;
    int rc = davy_readings_begin(gateway->readings_db);
    assert(rc == 0);
    rc = davy_readings_append(gateway->readings_db, reading);
    assert(rc == 0);
    rc = davy_readings_commit(gateway->readings_db);
    assert(rc == 0);
    (void)rc;
}

static void tell_of_point(struct gateway *gateway, uint32_t point)
{
    struct davy_alarm_memory memory;
    bool in_alarm = davy_engine_point_in_alarm(gateway->engine, point);
    if (davy_decoder_tell(gateway->decoder, point, in_alarm, &memory))
        (void)on_memory(gateway, &memory);
}

static void on_made(void *context, const struct davy_reading *reading)
{
    struct gateway *gateway = context;
    store_reading(gateway, reading);
    davy_decoder_stale(gateway->decoder, reading->point);
}

static void write_event(struct gateway *gateway, const struct davy_event *event)
{
    size_t size = davy_payload_alarm_size(event);
    DAVY_AUTO_FREE char *payload = malloc(size);
    assert(payload);
    char topic[DAVY_TOPIC_SIZE], key[DAVY_KEY_SIZE], id[DAVY_UUID_TEXT];
    struct davy_buf out;
    struct davy_payload_context about = {.boot_id = gateway->boot_id,
                                         .clock = "synchronized",
                                         .seq = davy_ledger_next_seq(gateway->ledger),
                                         .durable = true};
    davy_buf_init(&out, payload, size);
    davy_payload_alarm(&out, gateway->config, event, &about);
    assert(!out.overflow);
    const struct davy_subject *subject = &event->subject;
    uint32_t zone = davy_subject_zone(gateway->config, subject);
    struct davy_ledger_event row = {
        .seq = about.seq,
        .time = event->at.wall,
        .id = davy_uuid_is_nil(&event->id) ? NULL : davy_uuid_format(&event->id, id),
        .event = davy_event_name(event->type),
        .state = davy_state_name(event->state),
        .level = davy_level_name(event->level),
        .rule = davy_subject_rule_name(gateway->config, subject),
        .zone = zone == DAVY_NONE ? NULL : gateway->config->zones[zone].id,
        .device = davy_topic_device(gateway->config, subject),
        .point = subject->point == DAVY_NONE ? NULL : gateway->config->points[subject->point].name,
        .value = event->has_value ? event->value : NAN,
        .limit = event->has_limit ? event->limit : NAN,
        .by = event->by[0] ? event->by : NULL,
        .note = event->note[0] ? event->note : NULL,
        .payload = payload,
        .topic = davy_topic_alarm(gateway->config, subject, topic),
        .alarm = davy_subject_key(gateway->config, subject, key),
        .clear = event->ends,
    };
    int rc = davy_ledger_append(gateway->ledger, &row);
    assert(rc == 0);
    (void)rc;
}

static void write_record(struct gateway *gateway, const struct gateway_record *record)
{
    struct davy_stamp now = gateway->clock.now;
    int rc = 0;
    switch (record->kind) {
    case GATEWAY_EVENT:
        write_event(gateway, &record->event);
        davy_members_unref(record->event.members);
        break;
    case GATEWAY_MEMORY:
        rc = davy_ledger_remember(gateway->ledger, &record->memory, now, gateway->boot_id);
        break;
    case GATEWAY_ORPHAN:
        rc = davy_ledger_retire(gateway->ledger, &record->memory, now.wall, gateway->boot_id, gateway->config->hash);
        break;
    }
    assert(rc == 0);
    (void)rc;
}

static void commit(struct gateway *gateway)
{
    if (gateway->record_count == 0)
        return;
    int rc = davy_ledger_begin(gateway->ledger);
    assert(rc == 0);
    for (size_t i = 0; i < gateway->record_count; i++)
        write_record(gateway, &gateway->records[i]);
    rc = davy_ledger_commit(gateway->ledger);
    assert(rc == 0);
    (void)rc;
    gateway->record_count = 0;
}

void gateway_init(struct gateway *gateway, const char *directory)
{
    *gateway = (struct gateway){.directory = directory};
    fake_clock_init(&gateway->clock);
    gateway->epoch = gateway->clock.now.wall;
    snprintf(gateway->boot_id, sizeof gateway->boot_id, "00000000-0000-4000-8000-000000000001");
}

davy_span gateway_time(const struct gateway *gateway)
{
    return (davy_span){gateway->clock.now.wall.ns - gateway->epoch.ns};
}

void gateway_set_time(struct gateway *gateway, davy_span t)
{
    davy_span forward = {t.ns - gateway_time(gateway).ns};
    assert(forward.ns >= 0);
    fake_clock_advance(&gateway->clock, forward);
}

void gateway_reboot(struct gateway *gateway)
{
    gateway->clock.now.mono.ns = 7 * DAVY_NS_PER_S;
    gateway->boot_id[35]++;
}

struct gateway_device *gateway_device(struct gateway *gateway, const char *id)
{
    for (size_t i = 0; i < gateway->device_count; i++)
        if (strcmp(gateway->devices[i].id, id) == 0)
            return &gateway->devices[i];
    assert(gateway->device_count < GATEWAY_DEVICES);
    struct gateway_device *device = &gateway->devices[gateway->device_count++];
    snprintf(device->id, sizeof device->id, "%s", id);
    return device;
}

/* The first multiple of the interval that is not before now. */
static void plan_polls(struct gateway *gateway)
{
    int64_t now = gateway_time(gateway).ns;
    assert(gateway->config->request_count <= DAVY_LENGTH(gateway->next_poll));
    for (size_t i = 0; i < gateway->config->request_count; i++) {
        int64_t interval = gateway->config->requests[i].interval.ns;
        gateway->next_poll[i].ns = (now + interval - 1) / interval * interval;
    }
}

static void take_config(struct gateway *gateway, struct davy_config *config)
{
    int rc = davy_requests_plan(config);
    assert(rc == 0);
    (void)rc;
    config->generation = ++gateway->generation;
    gateway->config = config;
}

static void recalled(void *context, const struct davy_alarm_memory *memory)
{
    struct gateway *gateway = context;
    if (davy_decoder_recall(gateway->decoder, memory))
        return;
    if (davy_engine_knows(gateway->engine, memory->key))
        davy_engine_restore(gateway->engine, memory, gateway->clock.now);
    else
        *add_record(gateway) = (struct gateway_record){.kind = GATEWAY_ORPHAN, .memory = *memory};
}

void gateway_start(struct gateway *gateway, struct davy_config *config)
{
    take_config(gateway, config);
    struct davy_engine_options options = {
        .config = config, .event = on_event, .memory = on_memory, .made = on_made, .context = gateway};
    int rc = davy_engine_new(&options, &gateway->engine);
    assert(rc == 0);
    rc = davy_decoder_new(config, &gateway->decoder);
    assert(rc == 0);
    rc = davy_ledger_open(gateway->directory, gateway->clock.now.wall, NULL, &gateway->ledger);
    assert(rc == 0);
    rc = davy_ledger_recall(gateway->ledger, gateway->clock.now, gateway->boot_id, recalled, gateway);
    assert(rc == 0);
    rc = davy_readings_open(gateway->directory, gateway->clock.now.wall, NULL, &gateway->readings_db);
    assert(rc == 0);
    rc = davy_readings_configure(gateway->readings_db, config);
    assert(rc == 0);
    (void)rc;
    refill(gateway->engine, config, gateway->directory, &gateway->clock.clock);
    davy_engine_start(gateway->engine, gateway->clock.now, true);
    plan_polls(gateway);
    commit(gateway);
}

void gateway_kill(struct gateway *gateway)
{
    gateway->engine = davy_engine_free(gateway->engine);
    gateway->decoder = davy_decoder_free(gateway->decoder);
    gateway->ledger = davy_ledger_close(gateway->ledger);
    gateway->readings_db = davy_readings_close(gateway->readings_db);
    gateway->config = davy_config_unref(gateway->config);
    gateway->record_count = 0;
}

/* Events under the old configuration are written with its names. */
static void switched(void *context)
{
    commit(context);
}

void gateway_reload(struct gateway *gateway, struct davy_config *config)
{
    const struct davy_config *old = gateway->config;
    struct davy_decoder *decoder;
    take_config(gateway, config);
    gateway->config = old;
    int rc = davy_decoder_renew(gateway->decoder, config, &decoder);
    assert(rc == 0);
    rc = davy_engine_reload(gateway->engine, config, gateway->clock.now, switched);
    assert(rc == 0);
    (void)rc;
    gateway->config = config;
    rc = davy_readings_configure(gateway->readings_db, config);
    assert(rc == 0);
    davy_decoder_free(gateway->decoder);
    gateway->decoder = decoder;
    davy_config_unref(old);
    plan_polls(gateway);
    commit(gateway);
}

static void fill_words(const struct gateway_device *device, const struct davy_request *request,
                       struct davy_block *block)
{
    bool bits = request->table == DAVY_TABLE_COIL || request->table == DAVY_TABLE_DISCRETE;
    for (unsigned i = 0; i < request->count; i++) {
        assert(request->start + i < GATEWAY_WORDS);
        uint16_t word = device->words[request->table][request->start + i];
        if (!bits)
            block->words[i] = word;
        else if (word)
            block->words[i / 16] |= (uint16_t)(1U << (i % 16));
    }
}

static void poll_request(struct gateway *gateway, uint32_t index)
{
    const struct davy_request *request = &gateway->config->requests[index];
    const struct gateway_device *device = gateway_device(gateway, gateway->config->devices[request->device].id);
    struct davy_block block = {.generation = gateway->config->generation,
                               .request = index,
                               .answer = gateway->line_down ? DAVY_ANSWER_DOWN : device->answer,
                               .at = gateway->clock.now};
    if (block.answer == DAVY_ANSWER_EXCEPTION)
        block.exception = device->exception;
    if (block.answer == DAVY_ANSWER_OK)
        fill_words(device, request, &block);
    size_t count = davy_decode_block(gateway->decoder, &block, gateway->readings);
    for (size_t i = 0; i < count; i++) {
        store_reading(gateway, &gateway->readings[i]);
        davy_engine_reading(gateway->engine, &gateway->readings[i]);
        tell_of_point(gateway, gateway->readings[i].point);
    }
}

davy_span gateway_next(const struct gateway *gateway)
{
    davy_mono due = davy_engine_due(gateway->engine);
    davy_span next = {INT64_MAX};
    if (due.ns != INT64_MAX)
        next.ns = gateway_time(gateway).ns + davy_mono_sub(due, gateway->clock.now.mono).ns;
    for (size_t i = 0; i < gateway->config->request_count; i++)
        if (gateway->next_poll[i].ns < next.ns)
            next = gateway->next_poll[i];
    return next;
}

static void tell_of_devices(struct gateway *gateway)
{
    struct davy_alarm_memory memory;
    for (uint32_t p = 0; p < gateway->config->point_count; p++)
        tell_of_point(gateway, p);
    for (uint32_t d = 0; d < gateway->config->device_count; d++)
        if (davy_decoder_tell_device(gateway->decoder, d, gateway->clock.now.mono, &memory))
            (void)on_memory(gateway, &memory);
}

void gateway_turn(struct gateway *gateway)
{
    int64_t now = gateway_time(gateway).ns;
    for (uint32_t i = 0; i < gateway->config->request_count; i++) {
        if (gateway->next_poll[i].ns > now)
            continue;
        gateway->next_poll[i].ns += gateway->config->requests[i].interval.ns;
        poll_request(gateway, i);
    }
    davy_engine_advance(gateway->engine, gateway->clock.now);
    tell_of_devices(gateway);
    commit(gateway);
}

int gateway_command(struct gateway *gateway, enum davy_command_verb verb, const char *target)
{
    struct davy_command command = {.verb = verb, .by = "local:operator"};
    char reason[192];
    if (!strchr(target, ':')) {
        uint32_t point = davy_config_find_point(gateway->config, target);
        assert(point != DAVY_NONE);
        return davy_decoder_reset(gateway->decoder, point) == 0 ? 0 : DAVY_REFUSED;
    }
    snprintf(command.alarm, sizeof command.alarm, "%s", target);
    int rc = davy_engine_command(gateway->engine, &command, gateway->clock.now, NULL, reason, sizeof reason);
    commit(gateway);
    return rc;
}

int gateway_inhibit(struct gateway *gateway, const char *id, davy_span duration)
{
    uint32_t device = davy_config_find_device(gateway->config, id);
    struct davy_stamp now = gateway->clock.now;
    struct davy_inhibit inhibit = {.until = {davy_mono_add(now.mono, duration), {now.wall.ns + duration.ns}},
                                   .by = "local:operator",
                                   .reason = "bump test"};
    int rc = duration.ns > 0 ? davy_decoder_inhibit(gateway->decoder, device, &inhibit, now.mono)
                             : davy_decoder_uninhibit(gateway->decoder, device, now.mono);
    tell_of_devices(gateway);
    commit(gateway);
    return rc == 0 ? 0 : DAVY_REFUSED;
}

int gateway_cover(struct gateway *gateway, enum davy_command_verb verb, const char *alarm, davy_span duration)
{
    struct davy_command command = {.verb = verb, .duration = duration, .by = "local:operator", .note = "work"};
    char reason[192];
    snprintf(command.alarm, sizeof command.alarm, "%s", alarm);
    int rc = davy_engine_command(gateway->engine, &command, gateway->clock.now, NULL, reason, sizeof reason);
    commit(gateway);
    return rc;
}
