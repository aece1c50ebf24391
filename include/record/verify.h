/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proving a ledger.db: that nothing in it was changed, taken out or put in since it was written, and that each event
 * that was decided is delivered, pending or declared lost. Read-only, from another process, beside a daemon that writes
 * and prunes, or without one; in short transactions. Thread: any.
 *
 * Without a secret no file can prove that it was not made anew as a whole: who changes a row and computes all hashes
 * behind it again, and the ends that are kept apart, is found only by comparing `hash` with one noted earlier, or with
 * the events that a subscriber holds; so is a beginning that was cut off with the checkpoint moved along, since
 * retention does no other. Of what is not hashed, `sent_us`, the outbox, topics and memories, only that is found which
 * contradicts something else.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

/* Hex digits of a hash and the NUL. */
#define DAVY_LEDGER_HASH_TEXT 65

/* The part of a strand that the file holds. */
struct davy_ledger_strand {
    int64_t
        after; /* rows up to this seq were pruned, or are in a file that was set aside: it is checked from here on */
    int64_t last;
    int64_t rows;
    char hash[DAVY_LEDGER_HASH_TEXT]; /* of the last row */
};

struct davy_ledger_check {
    struct davy_ledger_strand events;
    struct davy_ledger_strand actions;
    int64_t tied;    /* actions that name the event before them */
    int64_t untied;  /* older ones, of a schema that did not */
    int64_t decided; /* = delivered + unsent + pending + declared */
    int64_t delivered;
    int64_t unsent; /* were not to be sent */
    int64_t pending;
    int64_t declared; /* events declared lost */
    int64_t lost_readings;
    int64_t lost_telemetry;
    bool summed; /* false: the file is of a schema that cannot prove the sum */

    /* where it does not hold */
    const char *bad_strand; /* "event", "action" or "sum" */
    int64_t bad_seq;        /* the first row that does not fit, or that is missing; 0 for a sum */
    char reason[160];
};

/*
 * Check both strands and the sum.
 * returns   0: all holds; 1: it does not, said in bad_strand, bad_seq and reason; or a negative errno with a sentence in
 *           ret_error
 */
int davy_ledger_verify(const char *file, struct davy_ledger_check *ret_check, char *ret_error,
                       size_t error_size) DAVY_MUST_CHECK;
