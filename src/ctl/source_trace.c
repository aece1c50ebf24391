/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/source.h"

struct trace_source {
    struct source source;
    const char *input; /* as errors name it */
    int fd;
    uint64_t size; /* of a regular file; 0: not known */
    struct trace *trace;
};

static int next(struct source *source, struct trace_row *ret_row, char error[SOURCE_ERROR_SIZE])
{
    struct trace_source *self = (struct trace_source *)source;
    char what[TRACE_ERROR_SIZE] = "";
    const int rc = davy_trace_next(self->trace, ret_row, what);
    if (rc < 0)
        snprintf(error, SOURCE_ERROR_SIZE, "%.400s:%llu: %s", self->input,
                 (unsigned long long)davy_trace_line(self->trace), what);
    const bool behind = rc == 0 && source->until.ns != 0 && ret_row->reading.at.wall.ns > source->until.ns;
    return behind ? SOURCE_END : rc;
}

static double part(const struct source *source)
{
    const struct trace_source *self = (const struct trace_source *)source;
    return self->size > 0 ? (double)davy_trace_bytes(self->trace) / (double)self->size : -1;
}

static void close_trace(struct source *source)
{
    struct trace_source *self = (struct trace_source *)source;
    davy_trace_free(self->trace);
    if (self->fd >= 0)
        close(self->fd);
    free(self);
}

static int take_time(const struct ctl *ctl, const char *option, const char *text, davy_wall *ret_t)
{
    if (text && davy_wall_parse(text, ret_t) < 0)
        return davy_ctl_fail(ctl, CTL_USAGE, "--%s: '%s' is not a time like 2026-11-23T08:01:02Z or 1795420862", option,
                             text);
    return CTL_DONE;
}

static int open_input(struct trace_source *self)
{
    struct stat found;
    self->fd = strcmp(self->input, "-") == 0 ? dup(STDIN_FILENO) : open(self->input, O_RDONLY | O_CLOEXEC);
    if (self->fd < 0 || fstat(self->fd, &found) < 0)
        return -errno;
    self->size = S_ISREG(found.st_mode) && found.st_size > 0 ? (uint64_t)found.st_size : 0;
    return 0;
}

int davy_source_trace(const struct ctl *ctl, const struct source_request *request, struct source **ret_source)
{
    struct trace_source *self = davy_ctl_grow(NULL, 1, sizeof *self);
    *self =
        (struct trace_source){.source = {next, part, close_trace, false, {0}, {0}}, .input = request->input, .fd = -1};
    int code = take_time(ctl, "since", request->since, &self->source.since);
    if (code == CTL_DONE)
        code = take_time(ctl, "until", request->until, &self->source.until);
    int rc = code == CTL_DONE ? open_input(self) : 0;
    if (code == CTL_DONE && rc == 0)
        rc = davy_trace_new(self->fd, request->roster, &self->trace);
    if (rc < 0)
        code = davy_ctl_fail(ctl, CTL_REFUSED, "%s: %s", request->input, strerror(-rc));
    if (code != CTL_DONE) {
        close_trace(&self->source);
        return code;
    }
    davy_trace_stop_on(self->trace, request->stop_fd);
    *ret_source = &self->source;
    return CTL_DONE;
}
