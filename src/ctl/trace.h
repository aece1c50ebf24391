/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A trace for replay (davyctl(1), replay), one row at a time: `time,point,value,quality`, and the operator's
 * commands between. No quoting: no field of a trace needs it. Nothing is allocated after the opening.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/clock.h"
#include "ctl/roster.h"
#include "evaluate/engine.h"
#include "model/reading.h"

struct trace;

enum trace_kind { TRACE_READING, TRACE_COMMAND };

struct trace_row {
    enum trace_kind kind;
    struct davy_reading reading; /* as the poll saw it; mono follows wall, one nanosecond later so that it is never 0 */
    struct davy_command command;
};

/* Outcome of davy_trace_next(): no row is left. */
#define TRACE_END 1

/* Room for what davy_trace_next() complains about. */
#define TRACE_ERROR_SIZE 512

/*
 * fd        read from where it stands; stays the caller's
 * roster    the points that there are: a reading's `point` is its number there; must outlive the trace
 * returns   0 or -ENOMEM
 */
int davy_trace_new(int fd, const struct roster *roster, struct trace **ret_trace) DAVY_MUST_CHECK;
struct trace *davy_trace_free(struct trace *trace);

/* Where waiting for the file would block, give up with -ECANCELED as soon as `fd` is readable. */
void davy_trace_stop_on(struct trace *trace, int fd);

/*
 * The next row. The first call checks the header.
 * ret_row   untouched but for what its kind uses
 * returns   0, TRACE_END, or a negative errno with `error` filled and davy_trace_line() the line
 */
int davy_trace_next(struct trace *trace, struct trace_row *ret_row, char error[TRACE_ERROR_SIZE]) DAVY_MUST_CHECK;

/* Of the row that was read last, from 1. */
uint64_t davy_trace_line(const struct trace *trace);

/* Of the file, taken so far. */
uint64_t davy_trace_bytes(const struct trace *trace);
