/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/trace_internal.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUFFER_BYTES (1 << 20)
#define LINE_BYTES   (64 * 1024)
#define HEADER       "time,point,value,quality"

int davy_trace_complain(char error[TRACE_ERROR_SIZE], const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error, TRACE_ERROR_SIZE, format, arguments);
    va_end(arguments);
    return -EINVAL;
}

int davy_trace_new(int fd, const struct roster *roster, struct trace **ret_trace)
{
    struct trace *trace = calloc(1, sizeof *trace);
    if (!trace)
        return -ENOMEM;
    *trace = (struct trace){.fd = fd, .stop_fd = -1, .roster = roster, .buffer = malloc(BUFFER_BYTES + 1)};
    if (!trace->buffer) {
        davy_trace_free(trace);
        return -ENOMEM;
    }
    *ret_trace = trace;
    return 0;
}

struct trace *davy_trace_free(struct trace *trace)
{
    if (trace)
        free(trace->buffer);
    free(trace);
    return NULL;
}

void davy_trace_stop_on(struct trace *trace, int fd)
{
    trace->stop_fd = fd;
}

uint64_t davy_trace_line(const struct trace *trace)
{
    return trace->line;
}

uint64_t davy_trace_bytes(const struct trace *trace)
{
    return trace->bytes - (trace->end - trace->start);
}

/* Until the file has something. False where the stop came first. */
static bool wait_for_file(const struct trace *trace)
{
    struct pollfd fds[] = {{.fd = trace->stop_fd, .events = POLLIN}, {.fd = trace->fd, .events = POLLIN}};
    while (poll(fds, DAVY_LENGTH(fds), -1) < 0 && errno == EINTR)
        continue;
    return fds[0].revents == 0;
}

/* Make room behind what is left and read more. */
static int refill(struct trace *trace)
{
    const size_t left = trace->end - trace->start;
    memmove(trace->buffer, trace->buffer + trace->start, left);
    trace->start = 0;
    trace->end = left;
    ssize_t got;
    if (!wait_for_file(trace))
        return -ECANCELED;
    do
        got = read(trace->fd, trace->buffer + left, BUFFER_BYTES - left);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return -errno;
    trace->end += (size_t)got;
    trace->bytes += (uint64_t)got;
    trace->at_end = got == 0;
    return 0;
}

/* The next line without its end. 0, TRACE_END or a negative errno. */
static int next_line(struct trace *trace, struct field *ret_line, char error[TRACE_ERROR_SIZE])
{
    char *text, *newline;
    for (;;) {
        text = trace->buffer + trace->start;
        newline = memchr(text, '\n', trace->end - trace->start);
        if (newline || trace->at_end)
            break;
        if (trace->end - trace->start > LINE_BYTES) {
            trace->line++;
            return davy_trace_complain(error, "the line is too long");
        }
        int rc = refill(trace);
        if (rc < 0) {
            davy_trace_complain(error, "%s", strerror(-rc));
            return rc;
        }
    }
    size_t length = newline ? (size_t)(newline - text) : trace->end - trace->start;
    if (!newline && length == 0)
        return TRACE_END;
    trace->line++;
    trace->start += length + (newline != NULL);
    length -= length > 0 && text[length - 1] == '\r';
    text[length] = '\0';
    *ret_line = (struct field){text, length};
    return memchr(text, '\0', length) ? davy_trace_complain(error, "the line has a NUL byte") : 0;
}

/* Divide at commas. Returns how many there are, at most `most` + 1. */
static size_t split(const struct field *line, struct field *fields, size_t most)
{
    char *text = line->text;
    char *const end = line->text + line->length;
    for (size_t count = 0; count < most; count++) {
        char *comma = memchr(text, ',', (size_t)(end - text));
        char *stop = comma ? comma : end;
        *stop = '\0';
        fields[count] = (struct field){text, (size_t)(stop - text)};
        if (!comma)
            return count + 1;
        text = comma + 1;
    }
    return most + 1;
}

static int take_reading(const struct trace *trace, const struct field fields[4], struct davy_reading *reading,
                        char error[TRACE_ERROR_SIZE])
{
    reading->point = davy_roster_find(trace->roster, fields[1].text, fields[1].length);
    if (reading->point == DAVY_NONE)
        return davy_trace_complain(error, "unknown point '%.200s'", fields[1].text);
    reading->at = (struct davy_stamp){.mono = {trace->time.ns + 1}, .wall = trace->time};
    return davy_trace_take_value(&fields[2], &fields[3], reading, error);
}

static int check_header(struct trace *trace, char error[TRACE_ERROR_SIZE])
{
    struct field line;
    int rc = next_line(trace, &line, error);
    if (rc < 0)
        return rc;
    const char *text = rc == 0 ? line.text : "";
    if (strncmp(text, "\xef\xbb\xbf", 3) == 0) /* as spreadsheets begin their files */
        text += 3;
    if (strcmp(text, HEADER) == 0)
        return 0;
    trace->line = 1;
    return davy_trace_complain(error, "the header must be " HEADER);
}

int davy_trace_next(struct trace *trace, struct trace_row *ret_row, char error[TRACE_ERROR_SIZE])
{
    struct field line, fields[4];
    int rc = trace->line == 0 ? check_header(trace, error) : 0;
    if (rc == 0)
        rc = next_line(trace, &line, error);
    if (rc != 0)
        return rc;
    const size_t count = split(&line, fields, 4);
    const bool command = count >= 2 && fields[1].text[0] == '!';
    if (count > 4 || count < (command ? 3 : 4))
        return davy_trace_complain(error, "expected the columns " HEADER);
    rc = davy_trace_take_time(trace, &fields[0], error);
    if (rc < 0)
        return rc;
    ret_row->kind = command ? TRACE_COMMAND : TRACE_READING;
    if (!command)
        return take_reading(trace, fields, &ret_row->reading, error);
    ret_row->reading.at = (struct davy_stamp){.mono = {trace->time.ns + 1}, .wall = trace->time};
    return davy_trace_take_command(trace, fields, count, &ret_row->command, error);
}
