/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The readings that a daemon has recorded, as a source. Points that no configuration knows are left out and told of
 * once. Stale readings are those of the record, so that time in which the daemon was down is not silence. Readings of
 * two buses cross by some milliseconds: time then stands still for them. Where the clock was set back, time goes on
 * from there.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "ctl/source.h"
#include "record/recording.h"

/* More than readings of two buses may cross: what goes back further is a clock that was set. */
#define CROSSING_NS (2 * DAVY_NS_PER_S)

struct database_source {
    struct source source;
    char *file;
    const struct roster *roster;
    struct davy_recording *recording;
    davy_wall from; /* of the first reading that is asked for */
    davy_wall end;  /* of the last one */
    davy_mono last;
    int64_t shift_ns; /* of monotonic against wall time */
    uint64_t unknown; /* readings of points that no configuration has */
    char *unknown_name;
    char error[SOURCE_ERROR_SIZE];
};

static uint32_t number(void *context, const char *name)
{
    struct database_source *self = context;
    const uint32_t found = davy_roster_find(self->roster, name, strlen(name));
    if (found == DAVY_NONE && !self->unknown_name)
        self->unknown_name = davy_ctl_copy(name);
    return found;
}

/* Monotonic time follows the wall clock, but never back. */
static void give_time(struct database_source *self, struct davy_stamp *at)
{
    int64_t ns = at->wall.ns + 1 + self->shift_ns;
    if (ns < self->last.ns - CROSSING_NS) {
        self->shift_ns += self->last.ns - ns;
        ns = self->last.ns;
    }
    if (ns > self->last.ns)
        self->last.ns = ns;
    at->mono = self->last;
}

static void tell_unknown(struct database_source *self)
{
    if (self->unknown == 0)
        return;
    char *name = davy_ctl_escape(self->unknown_name ? self->unknown_name : "?");
    fflush(stdout);
    fprintf(stderr, "davyctl: %s: %" PRIu64 " readings of points that are not configured were left out, such as %s\n",
            self->file, self->unknown, name);
    free(name);
    self->unknown = 0;
}

static int next(struct source *source, struct trace_row *ret_row, char error[SOURCE_ERROR_SIZE])
{
    struct database_source *self = (struct database_source *)source;
    int rc;
    ret_row->kind = TRACE_READING;
    while ((rc = davy_recording_next(self->recording, &ret_row->reading)) == 0) {
        struct davy_reading *reading = &ret_row->reading;
        self->unknown += reading->point == DAVY_NONE;
        if (reading->point == DAVY_NONE)
            continue;
        give_time(self, &reading->at);
        return 0;
    }
    if (rc < 0)
        snprintf(error, SOURCE_ERROR_SIZE, "%s", self->error);
    else
        tell_unknown(self);
    return rc < 0 ? rc : SOURCE_END;
}

static double part(const struct source *source)
{
    const struct database_source *self = (const struct database_source *)source;
    const double all = (double)(self->end.ns - self->from.ns);
    const double done = (double)(self->last.ns - self->shift_ns - self->from.ns);
    return all <= 0 || done <= 0 ? 0 : done < all ? done / all : 1;
}

static void close_database(struct source *source)
{
    struct database_source *self = (struct database_source *)source;
    davy_recording_close(self->recording);
    free(self->file);
    free(self->unknown_name);
    free(self);
}

/* A time, or a duration back from `end`. */
static int take_time(const struct ctl *ctl, const char *option, const char *text, davy_wall end, davy_wall *ret_t)
{
    davy_span back;
    if (!text)
        return CTL_DONE;
    if (davy_span_parse(text, &back) == 0) {
        ret_t->ns = end.ns > back.ns ? end.ns - back.ns : 1;
        return CTL_DONE;
    }
    if (davy_wall_parse(text, ret_t) < 0)
        return davy_ctl_fail(ctl, CTL_USAGE,
                             "--%s: '%s' is neither a time like 2026-11-23T08:01:02Z or 1795420862, nor a duration "
                             "back from the end like 90min or 7d",
                             option, text);
    return CTL_DONE;
}

/*
 * The period. Without --until, and behind the newest reading, time ends with the last one: nothing says it was silent.
 */
static int take_period(const struct ctl *ctl, struct database_source *self, const struct source_request *request)
{
    struct source *source = &self->source;
    const int rc = davy_recording_extent(self->file, &source->since, &self->end, self->error, sizeof self->error);
    if (rc != 0)
        return rc < 0 ? davy_ctl_fail(ctl, CTL_REFUSED, "%s", self->error)
                      : davy_ctl_fail(ctl, CTL_REFUSED, "%s: no readings are recorded", self->file);
    int code = take_time(ctl, "until", request->until, self->end, &source->until);
    if (source->until.ns != 0 && source->until.ns < self->end.ns)
        self->end = source->until;
    else
        source->until.ns = 0;
    if (code == CTL_DONE)
        code = take_time(ctl, "since", request->since, self->end, &source->since);
    if (code == CTL_DONE && source->since.ns > self->end.ns)
        return davy_ctl_fail(ctl, CTL_REFUSED, "%s: nothing is recorded in that period", self->file);
    self->from.ns = source->since.ns > request->warm_up.ns ? source->since.ns - request->warm_up.ns : 1;
    return code;
}

static char *file_of(const char *database)
{
    struct stat found;
    const bool folder = stat(database, &found) == 0 && S_ISDIR(found.st_mode);
    return folder ? davy_ctl_format("%s/readings.db", database) : davy_ctl_copy(database);
}

static int open_recording(const struct ctl *ctl, struct database_source *self)
{
    const struct davy_recording_options options = {
        .file = self->file,
        .since = self->from,
        .until = {self->end.ns + DAVY_NS_PER_US},
        .number = number,
        .context = self,
    };
    const int rc = davy_recording_open(&options, self->error, sizeof self->error, &self->recording);
    return rc < 0 ? davy_ctl_fail(ctl, CTL_REFUSED, "%s", self->error) : CTL_DONE;
}

int davy_source_database(const struct ctl *ctl, const struct source_request *request, struct source **ret_source)
{
    struct database_source *self = davy_ctl_grow(NULL, 1, sizeof *self);
    *self = (struct database_source){
        .source = {next, part, close_database, true, {0}, {0}},
        .file = file_of(request->database),
        .roster = request->roster,
    };
    int code = take_period(ctl, self, request);
    if (code == CTL_DONE)
        code = open_recording(ctl, self);
    if (code != CTL_DONE) {
        close_database(&self->source);
        return code;
    }
    *ret_source = &self->source;
    return CTL_DONE;
}
