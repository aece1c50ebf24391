/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a replay has its readings from, one row at a time in order of time: a trace (source_trace.c) or the recorded
 * readings of a daemon (source_database.c). A reading's point is its number in the roster. One user at a time.
 */
#pragma once

#include <stdbool.h>

#include "ctl/ctl.h"
#include "ctl/roster.h"
#include "ctl/trace.h"

/* Room for what a source complains about: its name and line, and the reason. */
#define SOURCE_ERROR_SIZE 1024

/* Outcome of next(): no row is left. */
#define SOURCE_END 1

struct source {
    /* 0, SOURCE_END, -ECANCELED when stopped, or a negative errno with `error` filled. */
    int (*next)(struct source *source, struct trace_row *ret_row, char error[SOURCE_ERROR_SIZE]);
    /* Which part is done, 0 to 1; below 0: not known. */
    double (*part)(const struct source *source);
    void (*close)(struct source *source);
    bool recorded;   /* stale readings are among them, the engine makes none */
    davy_wall since; /* what comes before is for warming up */
    davy_wall until; /* time goes on to it behind the last row; ns = 0: it ends with the last row */
};

struct source_request {
    const struct roster *roster;
    const char *input;    /* a trace, "-" is standard input; or NULL */
    const char *database; /* a readings.db or its folder; or NULL */
    const char *since;    /* a time, or a duration back from the end; or NULL */
    const char *until;
    davy_span warm_up; /* how far before `since` the readings begin */
    int stop_fd;       /* readable: stop waiting for input; -1 */
};

/* CTL_DONE or an exit code, told. */
int davy_source_trace(const struct ctl *ctl, const struct source_request *request,
                      struct source **ret_source) DAVY_MUST_CHECK;
int davy_source_database(const struct ctl *ctl, const struct source_request *request,
                         struct source **ret_source) DAVY_MUST_CHECK;

/* Accepts NULL. */
static inline void davy_source_close(struct source *source)
{
    if (source)
        source->close(source);
}
