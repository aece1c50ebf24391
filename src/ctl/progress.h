/* SPDX-License-Identifier: Apache-2.0 */
/* Long work at a terminal: how far it is, on standard error after two seconds, and an orderly end at Ctrl-C. */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/clock.h"

struct progress {
    int stop_fd; /* readable at SIGINT or SIGTERM; -1 where it cannot be had */
    sigset_t old;
    bool terminal;
    bool shown;
    davy_mono began;
    davy_mono due;
};

/* SIGINT and SIGTERM are held from now on. */
void davy_progress_begin(struct progress *progress);

/*
 * To be called every some thousand rows.
 * part     0 to 1; below 0: not known
 * returns  false when the work is to stop
 */
bool davy_progress_tick(struct progress *progress, uint64_t rows, double part);

/*
 * The same for other work: a line for the terminal, at most five a second after the first two seconds.
 * returns  false when the work is to stop
 */
bool davy_progress_say(struct progress *progress, const char *format, ...) DAVY_PRINTF(2, 3);

/* Wait; false, and at once, when the work is to stop. */
bool davy_progress_wait(struct progress *progress, davy_span span);

/* Take the line off the screen. */
void davy_progress_clear(struct progress *progress);

/* The same; where a signal was held, end by it, with all output written. */
void davy_progress_end(struct progress *progress);
