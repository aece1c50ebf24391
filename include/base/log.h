/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Log to standard error, one line an entry. Under systemd (JOURNAL_STREAM is set) each line has its priority prefix
 * "<3>", else time and level. Control bytes, also those of terminals beyond ASCII, and what is not UTF-8 are escaped,
 * so that a device name cannot forge a line nor move a cursor. Thread: any. Never waits: a line that standard error
 * does not take at once (a full pipe, a journal that is stopped) is lost and counted, and the next one that gets out is
 * led by how many were.
 */
#pragma once

#include <stdint.h>

#include "base/attr.h"

/* Numbers are syslog's. */
enum davy_log_level {
    DAVY_LOG_ERROR = 3,
    DAVY_LOG_WARNING = 4,
    DAVY_LOG_NOTICE = 5,
    DAVY_LOG_INFO = 6,
    DAVY_LOG_DEBUG = 7,
};

/* Entries above `level` are dropped; default DAVY_LOG_INFO. */
void davy_log_set_level(enum davy_log_level level);
enum davy_log_level davy_log_get_level(void);

/* "error" "warning" "notice" "info" "debug"; 0 or -EINVAL. */
int davy_log_parse_level(const char *name, enum davy_log_level *ret_level);

/*
 * subsystem  a short constant word: "poller", "mqtt", "config" …
 * Who *decides* logs, once, with the id of the object, value and unit.
 */
void davy_log(enum davy_log_level level, const char *subsystem, const char *format, ...) DAVY_PRINTF(3, 4);

/* Lines that nobody took, since the start. */
uint64_t davy_log_lost(void);

#define davy_error(subsystem, ...)   davy_log(DAVY_LOG_ERROR, subsystem, __VA_ARGS__)
#define davy_warning(subsystem, ...) davy_log(DAVY_LOG_WARNING, subsystem, __VA_ARGS__)
#define davy_notice(subsystem, ...)  davy_log(DAVY_LOG_NOTICE, subsystem, __VA_ARGS__)
#define davy_info(subsystem, ...)    davy_log(DAVY_LOG_INFO, subsystem, __VA_ARGS__)
#define davy_debug(subsystem, ...)   davy_log(DAVY_LOG_DEBUG, subsystem, __VA_ARGS__)
