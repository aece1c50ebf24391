/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usage: fill_databases FOLDER
 * Writes a ledger of 1200 events and the readings of one point into FOLDER, for ctl_offline.py. Second n is at
 * 1700000000 + n; every third event is red, the others yellow; reading n is 0.5 n, every tenth has no value.
 */
#undef NDEBUG
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "record/ledger.h"
#include "record/readings.h"

#define EVENTS   1200
#define READINGS 3600

static davy_wall second(int64_t n)
{
    return (davy_wall){(INT64_C(1700000000) + n) * DAVY_NS_PER_S};
}

static void add_event(struct davy_ledger *ledger, int64_t seq)
{
    char payload[512];
    struct davy_buf buf;
    const char *level = seq % 3 ? "yellow" : "red";
    davy_buf_init(&buf, payload, sizeof payload);
    davy_json_open(&buf, '{');
    davy_json_text(&buf, "schema", "davy.alarm/1");
    davy_json_integer(&buf, "seq", seq);
    davy_json_text(&buf, "event", "raised");
    davy_json_text(&buf, "state", "unacknowledged");
    davy_json_text(&buf, "level", level);
    davy_json_time(&buf, "time", second(seq));
    davy_json_text(&buf, "device", "GT-101");
    davy_json_text(&buf, "point", "h2s");
    davy_json_text(&buf, "rule", "h2s");
    davy_json_number(&buf, "value", 15.2);
    davy_json_text(&buf, "message", "罐区一 \x1b[2J 15.2 ppm");
    davy_json_close(&buf, '}');
    const struct davy_ledger_event event = {
        .seq = seq,
        .time = second(seq),
        .id = "0192f3c1-7b1e-7c44-9d0a-3f6f1f0a2b11",
        .event = "raised",
        .state = "unacknowledged",
        .level = level,
        .rule = "h2s",
        .zone = seq % 2 ? "A1" : "B2",
        .device = "GT-101",
        .point = "h2s",
        .value = 15.2,
        .limit = 14,
        .payload = payload,
        .topic = "t",
        .alarm = "h2s:GT-101.h2s",
    };
    assert(davy_ledger_append(ledger, &event) == 0);
}

static void fill_ledger(const char *folder)
{
    struct davy_ledger *ledger;
    assert(davy_ledger_open(folder, second(0), NULL, &ledger) == 0 && davy_ledger_begin(ledger) == 0);
    for (int64_t seq = 1; seq <= EVENTS; seq++)
        add_event(ledger, seq);
    assert(davy_ledger_commit(ledger) == 0);
    davy_ledger_close(ledger);
}

static void fill_readings(const char *folder)
{
    struct davy_device device = {.id = "GT-101", .point_count = 1};
    struct davy_point point = {.name = "h2s", .interval = davy_span_s(1)};
    struct davy_config config = {.devices = &device, .device_count = 1, .points = &point, .point_count = 1};
    config.storage.max_size_bytes = INT64_C(256) << 20;
    struct davy_readings *readings;
    assert(davy_readings_open(folder, second(0), NULL, &readings) == 0);
    assert(davy_readings_configure(readings, &config) == 0 && davy_readings_begin(readings) == 0);
    for (int64_t n = 0; n < READINGS; n++) {
        struct davy_reading reading = {.has_value = n % 10 != 9, .at = {.mono = {n + 1}, .wall = second(n)}};
        reading.value = reading.has_value ? 0.5 * (double)n : 0;
        reading.quality = reading.has_value ? DAVY_QUALITY_GOOD : DAVY_QUALITY_BAD;
        reading.reason = reading.has_value ? DAVY_REASON_NONE : DAVY_REASON_COMM;
        assert(davy_readings_append(readings, &reading) == 0);
    }
    assert(davy_readings_commit(readings) == 0);
    davy_readings_close(readings);
}

int main(int argc, char **argv)
{
    assert(argc == 2);
    fill_ledger(argv[1]);
    fill_readings(argv[1]);
    return 0;
}
