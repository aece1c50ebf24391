/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the trace: trace.c lines and rows, trace_fields.c time, value and quality, trace_command.c commands. */
#pragma once

#include "ctl/trace.h"

#define TRACE_BY "replay"

/* A piece of the line; the byte behind it is NUL. */
struct field {
    char *text;
    size_t length;
};

struct trace {
    int fd;
    int stop_fd; /* readable: give up waiting for the file; -1 */
    const struct roster *roster;
    char *buffer; /* BUFFER_BYTES + 1 */
    size_t start; /* of what is not read yet */
    size_t end;
    bool at_end; /* of the file */
    uint64_t line;
    uint64_t bytes; /* read so far */
    davy_wall time; /* of the last row */
    bool any;
    char date[10]; /* "2026-11-23" whose midnight is known */
    int64_t midnight_ns;
};

/* Fill `error`; returns -EINVAL. */
int DAVY_PRINTF(2, 3) davy_trace_complain(char error[TRACE_ERROR_SIZE], const char *format, ...);

/* The time of a row, not before that of the row before it, into trace->time. */
int davy_trace_take_time(struct trace *trace, const struct field *field, char error[TRACE_ERROR_SIZE]) DAVY_MUST_CHECK;

/* Value, quality and reason of a reading. */
int davy_trace_take_value(const struct field *value, const struct field *quality, struct davy_reading *reading,
                          char error[TRACE_ERROR_SIZE]) DAVY_MUST_CHECK;

/* A row whose second column begins with '!'; count is 3 or 4. */
int davy_trace_take_command(const struct trace *trace, const struct field *fields, size_t count,
                            struct davy_command *command, char error[TRACE_ERROR_SIZE]) DAVY_MUST_CHECK;
