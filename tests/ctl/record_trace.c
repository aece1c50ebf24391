/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usage: record_trace [--killed] CONFIG FOLDER TRACE...
 * Records the readings of the traces, one after the other, into FOLDER/readings.db as a daemon would: judged, in order
 * of arrival. Each trace may begin before the one before ended, as after a clock that was set back. --killed ends
 * without closing the database, as a daemon that runs or was killed leaves it.
 */
#undef NDEBUG
#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "config/load.h"
#include "ctl/trace.h"
#include "decode/decode.h"
#include "record/readings.h"

static void record(struct davy_readings *readings, const struct davy_config *config, const struct roster *roster,
                   const char *file)
{
    char error[TRACE_ERROR_SIZE] = "";
    struct trace_row row;
    struct trace *trace;
    DAVY_AUTO_FD int fd = open(file, O_RDONLY | O_CLOEXEC);
    int rc = davy_trace_new(fd, roster, &trace);
    assert(rc == 0 && davy_readings_begin(readings) == 0);
    while ((rc = davy_trace_next(trace, &row, error)) == 0) {
        assert(row.kind == TRACE_READING);
        davy_decode_judge(&config->points[row.reading.point], &row.reading);
        assert(davy_readings_append(readings, &row.reading) == 0);
    }
    if (rc < 0)
        fprintf(stderr, "%s: %s\n", file, error);
    assert(rc == TRACE_END && davy_readings_commit(readings) == 0);
    davy_trace_free(trace);
}

int main(int argc, char **argv)
{
    const bool killed = argc > 1 && strcmp(argv[1], "--killed") == 0;
    char **arguments = argv + killed;
    struct davy_problems problems = {0};
    struct davy_config *config;
    struct davy_readings *readings;
    struct roster roster;
    assert(argc > 3 + killed && davy_config_load(arguments[1], &problems, &config) == 0);
    assert(davy_roster_init(&roster, (const struct davy_config *const[]){config}, 1) == 0);
    assert(davy_readings_open(arguments[2], (davy_wall){1}, NULL, &readings) == 0);
    assert(davy_readings_configure(readings, config) == 0);
    for (char **file = arguments + 3; *file; file++)
        record(readings, config, &roster, *file);
    if (killed)
        _exit(0);
    davy_readings_close(readings);
    davy_roster_done(&roster);
    davy_config_unref(config);
    davy_problems_done(&problems);
    return 0;
}
