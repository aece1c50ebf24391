/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Modbus server that lies, on a pty or a socket: each fault that a line, a device or a gateway was seen to have,
 * drawn at random. A register says whose it is, so that a value in the wrong place shows: 2 bits of table, 3 of unit,
 * 11 of address. A bit is the parity of that.
 *
 * One thread serves one client. What it promises even at its worst: no answer leaves later than `latest` after its
 * request, and no fault makes a frame that is whole, checked and of the right form, with another register's values:
 * nobody can tell such a frame from a true one.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/num.h"
#include "model/config.h"

#define SERVER_UNITS     8 /* 1 to 8 answer */
#define SERVER_ADDRESSES 2048

enum fault {
    FAULT_SILENT,
    FAULT_LATE, /* also behind the answers to later requests */
    FAULT_UNIT,
    FAULT_FUNCTION,
    FAULT_BYTE_COUNT,
    FAULT_SHORT,
    FAULT_LONG,
    FAULT_FLIP, /* serial: bits anywhere; TCP: in the head */
    FAULT_TWICE,
    FAULT_NOISE_BEFORE,
    FAULT_NOISE_BEHIND,
    FAULT_NOISE_ONLY,
    FAULT_EXCEPTION,
    FAULT_EXCEPTION_ODD, /* codes 0 and 255 */
    FAULT_DRIP,
    FAULT_SPLIT,
    FAULT_SECOND_MASTER, /* a request that is not ours and its answer, before the true one */
    FAULT_TRANSACTION,
    FAULT_PROTOCOL,
    FAULT_LENGTH,
    FAULT_HANG_UP,
    FAULT_HANG_UP_WITHIN,
    FAULT_HANG_UP_AT_ACCEPT,
    FAULT_COUNT_,
    FAULT_NONE = FAULT_COUNT_,
};

#define SERVER_PENDING 64
#define SERVER_BYTES   520

/* Bytes on their way. */
struct chunk {
    davy_mono due;
    davy_mono dead; /* never sent after this */
    size_t length;
    bool hang_up; /* after it */
    uint8_t bytes[SERVER_BYTES];
};

struct server {
    enum davy_bus_type type;
    davy_span timeout; /* of the client */
    davy_span latest;  /* of answers, after their requests */
    double rate;       /* of faults, 0 to 1 */
    struct davy_random random;
    atomic_bool honest; /* no new fault */
    atomic_bool stop;
    atomic_uint_fast64_t faults[FAULT_COUNT_];
    atomic_uint_fast64_t requests;
    pthread_t thread;
    int port;      /* sockets */
    char path[64]; /* pty */
    int keep;      /* holds the pty, so that it lives between two opens */
    int listener;  /* sockets; else -1 */
    int fd;        /* to the client; -1: nobody is there */
    uint8_t heard[512];
    size_t heard_length;
    struct chunk pending[SERVER_PENDING];
    size_t pending_count;
};

extern const char *const fault_names[FAULT_COUNT_];

/* What a register holds. */
uint16_t server_word(uint8_t unit, enum davy_table table, uint16_t address);

/* What a coil or discrete input is. */
bool server_bit(uint8_t unit, enum davy_table table, uint16_t address);

/* Fill and start. `server` must stay where it is. Ends the program where the system refuses. */
void server_start(struct server *server, enum davy_bus_type type, davy_span timeout, davy_span latest, double rate,
                  uint64_t seed);

/* Stop and join. */
void server_stop(struct server *server);
