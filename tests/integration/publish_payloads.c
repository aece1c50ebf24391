/* SPDX-License-Identifier: Apache-2.0 */
/* Prints one payload of each kind, one a line, to be held against conf/schema by an independent validator. */
#include <stdio.h>
#include <stdlib.h>

#include "publish/payload.h"
#include "publish/telemetry.h"

#define BOOT_ID "5f0c2c5e-7d5f-4b06-9a2b-0c8e6a1d2f3a"

static const struct davy_limit limits[] = {{.level = DAVY_LEVEL_RED, .condition = DAVY_CONDITION_ABOVE, .a = 14}};

static struct davy_zone zones[] = {{.id = "A1", .name = "罐区一", .owner = "zhang.wei", .risk = DAVY_LEVEL_ORANGE}};
static struct davy_bus buses[] = {{.name = "rs485-1"}};
static struct davy_device devices[] = {{.id = "GT-101", .name = "Tank farm \"H2S\"\t", .point_count = 1}};
static struct davy_point points[] = {{.name = "h2s", .kind = DAVY_KIND_GAS, .quantity = "H2S", .unit = "ppm"}};
static const uint32_t members[] = {0, 0};
static struct davy_rule rules[] = {{.name = "h2s", .limits = limits, .limit_count = 1},
                                   {.name = "any-two",
                                    .vote = 2,
                                    .fault_name = "any-two.fault",
                                    .limits = limits,
                                    .limit_count = 1,
                                    .points = members,
                                    .point_count = 2}};

static struct davy_config config = {.gateway = {.id = "edge-07", .site = "north-plant"},
                                    .mqtt = {.prefix = "davy/v1", .telemetry = DAVY_TELEMETRY_ALL},
                                    .zones = zones,
                                    .zone_count = 1,
                                    .buses = buses,
                                    .bus_count = 1,
                                    .devices = devices,
                                    .device_count = 1,
                                    .points = points,
                                    .point_count = 1,
                                    .rules = rules,
                                    .rule_count = 2};

static char text[65536];
static struct davy_buf out;

static struct davy_buf *begin(void)
{
    davy_buf_init(&out, text, sizeof text);
    return &out;
}

static struct davy_event event_of(struct davy_subject subject, enum davy_condition condition)
{
    struct davy_event event = {.subject = subject,
                               .type = DAVY_EVENT_RAISED,
                               .count = 1,
                               .state = DAVY_STATE_ACKNOWLEDGED,
                               .acknowledged = true,
                               .level = DAVY_LEVEL_YELLOW,
                               .active = true,
                               .condition = condition,
                               .at = {{1}, {1795420862345 * DAVY_NS_PER_MS}},
                               .raised_at = {1795420862345 * DAVY_NS_PER_MS}};
    event.id = davy_uuid_v7(event.at.wall, 1, 2);
    return event;
}

static void print_alarm(const struct davy_event *event, bool preview)
{
    struct davy_payload_context context = {.boot_id = BOOT_ID,
                                           .clock = "synchronized",
                                           .seq = preview ? 0 : 7,
                                           .durable = !preview,
                                           .has_latency = true,
                                           .decided_ms = 0.21234,
                                           .stored_ms = preview ? -1 : 3};
    davy_payload_alarm(begin(), &config, event, &context);
    puts(text);
}

static void print_alarms(void)
{
    struct davy_event gas = event_of((struct davy_subject){DAVY_ALARM_RULE, 0, DAVY_NONE, 0, 0}, DAVY_CONDITION_ABOVE);
    gas.level = DAVY_LEVEL_RED;
    gas.first_out = gas.has_value = gas.has_limit = true;
    gas.value = 15.2;
    gas.limit = 14;
    print_alarm(&gas, false);
    print_alarm(&gas, true);
    struct davy_event point =
        event_of((struct davy_subject){DAVY_ALARM_FAULT, DAVY_NONE, 0, 0, 0}, DAVY_CONDITION_FAULT);
    point.quality = DAVY_QUALITY_BAD;
    point.reason = DAVY_REASON_STALE;
    print_alarm(&point, false);
    struct davy_event line =
        event_of((struct davy_subject){DAVY_ALARM_FAULT, DAVY_NONE, 0, DAVY_NONE, DAVY_NONE}, DAVY_CONDITION_FAULT);
    print_alarm(&line, false);
    line.quality = DAVY_QUALITY_BAD;
    line.reason = DAVY_REASON_COMM;
    print_alarm(&line, false);
    struct davy_event self = event_of(
        (struct davy_subject){DAVY_ALARM_STORAGE, DAVY_NONE, DAVY_NONE, DAVY_NONE, DAVY_NONE}, DAVY_CONDITION_SELF);
    print_alarm(&self, false);
    struct davy_event shelved = {.subject = {DAVY_ALARM_RULE, 0, DAVY_NONE, 0, 0},
                                 .type = DAVY_EVENT_SHELVED,
                                 .state = DAVY_STATE_SHELVED,
                                 .at = gas.at,
                                 .by = "local:root"};
    print_alarm(&shelved, false);
}

static void print_votes(void)
{
    struct davy_event vote =
        event_of((struct davy_subject){DAVY_ALARM_RULE, 1, DAVY_NONE, DAVY_NONE, DAVY_NONE}, DAVY_CONDITION_VOTE);
    vote.has_value = vote.has_limit = true;
    vote.value = vote.limit = 2;
    vote.members = davy_members_new(2);
    if (!vote.members)
        exit(2);
    vote.members->list[0] = (struct davy_member){.vote = true, .has_value = true, .value = 0.1};
    vote.members->list[1] = (struct davy_member){.vote = true, .quality = DAVY_QUALITY_BAD};
    print_alarm(&vote, false);
    vote.type = DAVY_EVENT_OVERDUE;
    vote.step = 1;
    print_alarm(&vote, false);
    struct davy_event fault = vote;
    fault.subject.kind = DAVY_ALARM_VOTE_FAULT;
    fault.condition = DAVY_CONDITION_FAULT;
    fault.type = DAVY_EVENT_RAISED;
    fault.step = 0;
    print_alarm(&fault, false);
    struct davy_event retired = {.subject = vote.subject,
                                 .type = DAVY_EVENT_RETIRED,
                                 .previous_state = DAVY_STATE_SHELVED,
                                 .at = vote.at,
                                 .members = vote.members};
    print_alarm(&retired, false);
    davy_members_unref(vote.members);
}

static void print_states(void)
{
    const struct davy_status_bus up = {
        .name = "rs485-1", .state = "up", .utilization = 0.25, .requests = 10, .errors = 1, .age_s = -1};
    struct davy_status_report report = {.online = true,
                                        .since = {1795420862345 * DAVY_NS_PER_MS},
                                        .boot_id = BOOT_ID,
                                        .buses = &up,
                                        .bus_count = 1,
                                        .clock = "synchronized"};
    const char *const causes[] = {"0192f3c1-7b1e-7c44-9d0a-3f6f1f0a2b11"}, *const errors[] = {"davyd.conf:3: no"};
    const struct davy_payload_change changes[] = {{"mqtt.keepalive", "\"15s\"", NULL}};
    davy_payload_status(begin(), &config, &report);
    puts(text);
    report.online = false;
    davy_payload_status(begin(), &config, &report);
    puts(text);
    davy_payload_will(begin(), &config, BOOT_ID, report.since);
    puts(text);
    davy_payload_zone(begin(), &config, 0, DAVY_LEVEL_RED, DAVY_LEVEL_NONE, report.since, causes, 1);
    puts(text);
    davy_payload_config(begin(), config.hash, report.since, true, NULL, 0, changes, 1);
    puts(text);
    davy_payload_config(begin(), NULL, report.since, false, errors, 1, NULL, 0);
    puts(text);
    davy_payload_snapshot_head(begin(), 7, 1, 1);
    davy_payload_snapshot_tail(&out);
    puts(text);
}

static void print_batch(void *context, const char *topic, const char *payload)
{
    (void)context;
    (void)topic;
    puts(payload);
}

static void print_telemetry(void)
{
    struct davy_telemetry_batcher *batcher;
    struct davy_reading reading = {.has_value = true, .value = 1.0 / 3};
    if (davy_telemetry_new(&config, &batcher) < 0)
        exit(2);
    for (int gateway = 0; gateway < 2; gateway++) {
        config.mqtt.telemetry_per_gateway = gateway == 1;
        davy_telemetry_add(batcher, &reading);
        davy_telemetry_flush(batcher, (davy_mono){0}, true, print_batch, NULL);
    }
    davy_telemetry_free(batcher);
}

int main(void)
{
    atomic_init(&config.references, 2); /* never freed: it is static */
    snprintf(config.hash, sizeof config.hash, "sha256:%064d", 7);
    print_alarms();
    print_votes();
    print_states();
    print_telemetry();
    return 0;
}
