/* SPDX-License-Identifier: Apache-2.0 */
/* Registers read through the daemon, between its polls. */
#pragma once

#include "ctl/ctl.h"
#include "model/names.h"

/* In one request at most; bits come as one number each. */
#define READ_WORDS 125
#define READ_BITS  2000

struct read_request {
    const char *bus;
    int unit; /* 0 to 255 */
    enum davy_table table;
    int start; /* zero-based */
    int count;
};

struct read_answer {
    bool ok;
    char answer[16]; /* where it is not: exception, timeout, invalid, down; "" where the daemon did not try */
    int exception;   /* 0: none */
    char error[256];
    uint16_t words[READ_BITS]; /* count of them; of bits 0 or 1 */
};

bool davy_read_is_bits(enum davy_table table);

/* CTL_DONE also where the device or the daemon refuses; else an exit code, told. */
int davy_read_ask(struct ctl *ctl, const struct read_request *request, struct read_answer *ret_answer) DAVY_MUST_CHECK;

/*
 * What documentation calls a register: 00001, 10001, 30001 or 40001 is register 0 of coil, discrete, input or holding;
 * with a sixth digit from register 9999 on.
 */
long davy_registers_document(enum davy_table table, int address);

/* The register that somebody meant who gave such a number; -1: it cannot be one of this table. */
int davy_registers_meant(enum davy_table table, int number);
