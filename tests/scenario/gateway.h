/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gateway in simulated time, without threads and sockets: the real planner, decoder, engine, ledger and payloads
 * over devices whose memory a scenario writes. Every request is polled at the multiples of its interval.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "decode/decode.h"
#include "evaluate/engine.h"
#include "model/config.h"
#include "record/ledger.h"
#include "record/readings.h"
#include "support/fake_clock.h"

#define GATEWAY_DEVICES 8
#define GATEWAY_WORDS   64

/* A device on the simulated line; bits of bit tables are words that are 0 or not. */
struct gateway_device {
    char id[DAVY_ID_MAX + 1];
    enum davy_answer answer;
    uint8_t exception;
    uint16_t words[DAVY_TABLE_COUNT_][GATEWAY_WORDS];
};

/* What the recorder is to store, in order. */
struct gateway_record {
    enum { GATEWAY_EVENT, GATEWAY_MEMORY, GATEWAY_ORPHAN } kind;
    struct davy_event event;
    struct davy_alarm_memory memory;
};

#define GATEWAY_RECORDS 256

struct gateway {
    const char *directory;
    struct fake_clock clock;
    davy_wall epoch; /* scenario time 0 */
    char boot_id[37];
    bool line_down;
    struct gateway_device devices[GATEWAY_DEVICES];
    size_t device_count;
    const struct davy_config *config;
    struct davy_decoder *decoder;
    struct davy_engine *engine;
    struct davy_ledger *ledger;
    struct davy_readings *readings_db;
    davy_span next_poll[64]; /* by request */
    uint32_t generation;
    struct gateway_record records[GATEWAY_RECORDS];
    size_t record_count;
    struct davy_reading readings[DAVY_DECODE_MAX];
};

/* All but clock and devices begins here; `config` passes to the gateway. */
void gateway_start(struct gateway *gateway, struct davy_config *config);

/* Killed: what is not in the ledger is lost. */
void gateway_kill(struct gateway *gateway);

void gateway_init(struct gateway *gateway, const char *directory);
void gateway_reload(struct gateway *gateway, struct davy_config *config);

/* Scenario time. */
davy_span gateway_time(const struct gateway *gateway);
void gateway_set_time(struct gateway *gateway, davy_span t);

/* Another boot: the monotonic clock begins anew. */
void gateway_reboot(struct gateway *gateway);

/* The device of this id, made at first. */
struct gateway_device *gateway_device(struct gateway *gateway, const char *id);

/* The next poll or timer. */
davy_span gateway_next(const struct gateway *gateway);

/* Poll what is due, let timers fire, commit what came of it. */
void gateway_turn(struct gateway *gateway);

/* An operator's inhibit; a duration of 0 ends it. 0 or DAVY_REFUSED. */
int gateway_inhibit(struct gateway *gateway, const char *device, davy_span duration);

/* A cover of an alarm; `duration` of SHELVE. 0 or DAVY_REFUSED. */
int gateway_cover(struct gateway *gateway, enum davy_command_verb verb, const char *alarm, davy_span duration);

/* `reset DEVICE.POINT` releases an over-range latch. 0 or DAVY_REFUSED. */
int gateway_command(struct gateway *gateway, enum davy_command_verb verb, const char *target);
