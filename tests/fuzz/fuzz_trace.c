/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A trace comes from anywhere: a spreadsheet, another plant, a mail. The input is the file. Each row that is taken is
 * of a point that there is, with a quality that is one and a time that is one; the first that is not ends it, with a
 * sentence.
 */
#undef NDEBUG
#include <assert.h>
#include <math.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/attr.h"
#include "ctl/trace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct davy_config *new_config(void)
{
    static const char *const names[] = {"h2s", "o2", "running"};
    struct davy_config *config = davy_config_new();
    assert(config);
    config->devices = davy_config_alloc(config, 1, sizeof *config->devices);
    config->device_count = 1;
    config->devices[0].id = "GT-101";
    config->devices[0].point_count = DAVY_LENGTH(names);
    config->points = davy_config_alloc(config, DAVY_LENGTH(names), sizeof *config->points);
    config->point_count = DAVY_LENGTH(names);
    for (size_t i = 0; i < DAVY_LENGTH(names); i++)
        config->points[i].name = names[i];
    return config;
}

static void check_row(const struct trace_row *row, const struct davy_config *config)
{
    if (row->kind != TRACE_READING)
        return;
    const struct davy_reading *reading = &row->reading;
    assert(reading->point < config->point_count);
    assert(reading->quality < DAVY_QUALITY_COUNT_);
    assert(reading->quality != DAVY_QUALITY_GOOD || isfinite(reading->value));
    assert(reading->at.mono.ns != 0);
}

static void read_all(struct trace *trace, const struct davy_config *config)
{
    struct trace_row row;
    char error[TRACE_ERROR_SIZE] = "";
    int rc;
    for (uint64_t before = 0; (rc = davy_trace_next(trace, &row, error)) == 0; before = davy_trace_line(trace)) {
        assert(davy_trace_line(trace) > before);
        check_row(&row, config);
    }
    assert(rc == TRACE_END || (rc < 0 && error[0]));
    assert(memchr(error, '\0', sizeof error) && !strchr(error, '\n')); /* davy_ctl_fail() escapes what it quotes */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    if (fd < 0)
        fd = memfd_create("trace", MFD_CLOEXEC);
    assert(fd >= 0 && ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size &&
           lseek(fd, 0, SEEK_SET) == 0);
    struct davy_config *config = new_config();
    struct roster roster;
    struct trace *trace;
    assert(davy_roster_init(&roster, (const struct davy_config *const[]){config}, 1) == 0);
    assert(davy_trace_new(fd, &roster, &trace) == 0);
    read_all(trace, config);
    assert(davy_trace_bytes(trace) <= size);
    davy_trace_free(trace);
    davy_roster_done(&roster);
    davy_config_unref(config);
    return 0;
}
