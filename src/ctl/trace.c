/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/trace.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/num.h"

#define BUFFER_BYTES (1 << 20)
#define LINE_BYTES   (64 * 1024)
#define HEADER       "time,point,value,quality"
#define BY           "replay"

/* A piece of the line; the byte behind it is NUL. */
struct field {
    char *text;
    size_t length;
};

struct trace {
    int fd;
    const struct davy_config *config;
    char *buffer; /* BUFFER_BYTES + 1 */
    size_t start; /* of what is not read yet */
    size_t end;
    bool at_end; /* of the file */
    uint64_t line;
    davy_wall time; /* of the last row */
    bool any;
    char date[10]; /* "2026-11-23" whose midnight is known */
    int64_t midnight_ns;
    char (*names)[DAVY_KEY_SIZE]; /* of the points */
    uint32_t *slots;              /* open hash of the names; DAVY_NONE is empty */
    size_t mask;
};

static int DAVY_PRINTF(2, 3) complain(char error[TRACE_ERROR_SIZE], const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error, TRACE_ERROR_SIZE, format, arguments);
    va_end(arguments);
    return -EINVAL;
}

/* FNV-1a: Fowler, Noll, Vo; draft-eastlake-fnv. */
static size_t hash_of(const char *text, size_t length)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
    return (size_t)(hash ^ hash >> 32);
}

static uint32_t find_point(const struct trace *trace, const struct field *name)
{
    for (size_t slot = hash_of(name->text, name->length) & trace->mask;; slot = (slot + 1) & trace->mask) {
        const uint32_t point = trace->slots[slot];
        if (point == DAVY_NONE || strcmp(trace->names[point], name->text) == 0)
            return point;
    }
}

static void fill_slots(struct trace *trace)
{
    memset(trace->slots, 0xff, (trace->mask + 1) * sizeof *trace->slots);
    for (uint32_t p = 0; p < trace->config->point_count; p++) {
        davy_config_point_name(trace->config, p, trace->names[p]);
        size_t slot = hash_of(trace->names[p], strlen(trace->names[p])) & trace->mask;
        while (trace->slots[slot] != DAVY_NONE)
            slot = (slot + 1) & trace->mask;
        trace->slots[slot] = p;
    }
}

int davy_trace_new(int fd, const struct davy_config *config, struct trace **ret_trace)
{
    struct trace *trace = calloc(1, sizeof *trace);
    if (!trace)
        return -ENOMEM;
    size_t slots = 16;
    while (slots < 4 * config->point_count)
        slots *= 2;
    *trace = (struct trace){.fd = fd, .config = config, .mask = slots - 1};
    trace->buffer = malloc(BUFFER_BYTES + 1);
    trace->names = calloc(config->point_count + 1, sizeof *trace->names);
    trace->slots = calloc(slots, sizeof *trace->slots);
    if (!trace->buffer || !trace->names || !trace->slots) {
        davy_trace_free(trace);
        return -ENOMEM;
    }
    fill_slots(trace);
    *ret_trace = trace;
    return 0;
}

struct trace *davy_trace_free(struct trace *trace)
{
    if (trace) {
        free(trace->buffer);
        free(trace->names);
        free(trace->slots);
        free(trace);
    }
    return NULL;
}

uint64_t davy_trace_line(const struct trace *trace)
{
    return trace->line;
}

/* Make room behind what is left and read more. */
static int refill(struct trace *trace)
{
    const size_t left = trace->end - trace->start;
    memmove(trace->buffer, trace->buffer + trace->start, left);
    trace->start = 0;
    trace->end = left;
    ssize_t got;
    do
        got = read(trace->fd, trace->buffer + left, BUFFER_BYTES - left);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return -errno;
    trace->end += (size_t)got;
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
            return complain(error, "the line is too long");
        }
        int rc = refill(trace);
        if (rc < 0) {
            complain(error, "%s", strerror(-rc));
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
    return memchr(text, '\0', length) ? complain(error, "the line has a NUL byte") : 0;
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

/* Digits up to the first other character. Returns how many; *value is what they say, for up to 18 of them. */
static size_t digits(const char *text, uint64_t *value)
{
    size_t count = 0;
    *value = 0;
    for (; text[count] >= '0' && text[count] <= '9' && count < 19; count++)
        *value = *value * 10 + (uint64_t)(text[count] - '0');
    return count;
}

static const int64_t powers[] = {1000000000, 100000000, 10000000, 1000000, 100000, 10000, 1000, 100, 10, 1};

/* Behind whole seconds: nothing or "." and 1 to 9 digits, then `end`. False where it is anything else. */
static bool take_fraction(const char *text, char end, int64_t *ret_ns)
{
    uint64_t fraction = 0;
    size_t count = 0;
    if (*text == '.') {
        count = digits(++text, &fraction);
        if (count == 0 || count > 9)
            return false;
    }
    if (text[count] != end || (end && text[count + 1]))
        return false;
    *ret_ns = (int64_t)fraction * powers[count];
    return true;
}

/* The common forms, fast; false leaves it to davy_wall_parse(). */
static bool take_epoch(const struct field *field, davy_wall *ret_t)
{
    uint64_t seconds;
    int64_t ns;
    const size_t count = digits(field->text, &seconds);
    if (count == 0 || count > 9 + 1 || seconds > 9000000000 || !take_fraction(field->text + count, '\0', &ns))
        return false;
    ret_t->ns = (int64_t)seconds * DAVY_NS_PER_S + ns;
    return true;
}

static int two_digits(const char *text)
{
    const int tens = text[0] - '0', ones = text[1] - '0';
    return tens < 0 || tens > 9 || ones < 0 || ones > 9 ? 1000 : 10 * tens + ones;
}

/* UTC of a day whose midnight is known, or found out. */
static bool take_rfc3339(struct trace *trace, const struct field *field, davy_wall *ret_t)
{
    const char *s = field->text;
    if (field->length < 20 || s[10] != 'T' || s[13] != ':' || s[16] != ':')
        return false;
    if (memcmp(s, trace->date, sizeof trace->date) != 0) {
        char text[32];
        davy_wall midnight;
        snprintf(text, sizeof text, "%.10sT00:00:00Z", s);
        if (davy_wall_parse(text, &midnight) < 0)
            return false;
        memcpy(trace->date, s, sizeof trace->date);
        trace->midnight_ns = midnight.ns;
    }
    const int hour = two_digits(s + 11), minute = two_digits(s + 14), second = two_digits(s + 17);
    int64_t ns;
    if (hour > 23 || minute > 59 || second > 59 || !take_fraction(s + 19, 'Z', &ns))
        return false;
    ret_t->ns = trace->midnight_ns + ((hour * 60 + minute) * 60 + second) * DAVY_NS_PER_S + ns;
    return true;
}

static int take_time(struct trace *trace, const struct field *field, char error[TRACE_ERROR_SIZE])
{
    davy_wall t;
    if (!take_epoch(field, &t) && !take_rfc3339(trace, field, &t) && davy_wall_parse(field->text, &t) < 0)
        return complain(error, "'%.80s' is not a time", field->text);
    if (trace->any && t.ns < trace->time.ns)
        return complain(error, "time goes back: '%.80s'", field->text);
    trace->any = true;
    trace->time = t;
    return 0;
}

/*
 * Up to 15 digits are exact in a double, as are the powers of ten up to 10^22: one division then rounds once (Clinger,
 * "How to read floating point numbers accurately", 1990). Everything else goes the long way.
 */
static int parse_value(const struct field *field, double *ret)
{
    static const double tens[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    const char *text = field->text + (field->text[0] == '-');
    uint64_t whole, fraction = 0;
    const size_t before = digits(text, &whole);
    size_t after = 0;
    text += before;
    if (before > 0 && *text == '.')
        text += 1 + (after = digits(text + 1, &fraction));
    if (before == 0 || before + after > 15 || *text != '\0')
        return davy_num_parse(field->text, ret);
    double value = (double)whole;
    if (after > 0)
        value = ((double)whole * tens[after] + (double)fraction) / tens[after];
    *ret = field->text[0] == '-' ? -value : value;
    return 0;
}

/* "good", "", "bad:comm", "uncertain:settling". */
static int take_quality(const struct field *field, struct davy_reading *reading, char error[TRACE_ERROR_SIZE])
{
    reading->quality = DAVY_QUALITY_GOOD;
    reading->reason = DAVY_REASON_NONE;
    if (field->length == 0 || strcmp(field->text, "good") == 0)
        return 0;
    char *colon = strchr(field->text, ':');
    if (colon)
        *colon = '\0';
    const int quality = davy_quality_find(field->text);
    const int reason = colon && colon[1] ? davy_reason_find(colon + 1) : -EINVAL;
    if (quality < 0)
        return complain(error, "'%.80s' is not a quality: good, uncertain or bad", field->text);
    if (reason < 0)
        return complain(error, "the quality %s needs a known reason behind a colon, not '%.80s'", field->text,
                        colon ? colon + 1 : "");
    if (davy_reason_quality((enum davy_reason)reason) != (enum davy_quality)quality)
        return complain(error, "the reason %s does not belong to %s", colon + 1, field->text);
    reading->quality = (enum davy_quality)quality;
    reading->reason = (enum davy_reason)reason;
    return 0;
}

static int take_reading(struct trace *trace, struct field fields[4], struct davy_reading *reading,
                        char error[TRACE_ERROR_SIZE])
{
    reading->point = find_point(trace, &fields[1]);
    if (reading->point == DAVY_NONE)
        return complain(error, "unknown point '%.200s'", fields[1].text);
    reading->has_value = fields[2].length > 0;
    reading->value = 0;
    if (reading->has_value && parse_value(&fields[2], &reading->value) < 0)
        return complain(error, "'%.80s' is not a number", fields[2].text);
    int rc = take_quality(&fields[3], reading, error);
    if (rc == 0 && !reading->has_value && reading->quality == DAVY_QUALITY_GOOD)
        return complain(error, "a good reading needs a value");
    reading->at = (struct davy_stamp){.mono = {trace->time.ns + 1}, .wall = trace->time};
    return rc;
}

static const struct {
    const char *name;
    bool available;
    enum davy_command_verb verb;
} commands[] = {
    {"!ack", true, DAVY_COMMAND_ACK},
    {"!reset", true, DAVY_COMMAND_RESET},
    {"!shelve", false, 0},
    {"!unshelve", false, 0},
};

/* What an alarm can belong to: a point, a vote's "_", a device, a bus, the gateway. */
static bool is_subject(const struct trace *trace, const char *name)
{
    const struct field field = {(char *)(uintptr_t)name, strlen(name)};
    return strcmp(name, "_") == 0 || strcmp(name, "gateway") == 0 || find_point(trace, &field) != DAVY_NONE ||
           davy_config_find_device(trace->config, name) != DAVY_NONE ||
           davy_config_find_bus(trace->config, name) != DAVY_NONE;
}

static int take_alarm(struct trace *trace, const struct field *field, struct davy_command *command,
                      char error[TRACE_ERROR_SIZE])
{
    char *blank = strchr(field->text, ' ');
    if (!blank || blank == field->text || blank[1] == '\0' || strchr(blank + 1, ' '))
        return complain(error, "expected 'RULE DEVICE.POINT', not '%.200s'", field->text);
    *blank = '\0';
    if (!is_subject(trace, blank + 1))
        return complain(error, "unknown point '%.200s'", blank + 1);
    if (field->length >= sizeof command->alarm)
        return complain(error, "the rule's name is too long");
    *command = (struct davy_command){.verb = command->verb, .by = BY};
    snprintf(command->alarm, sizeof command->alarm, "%s:%s", field->text, blank + 1);
    return 0;
}

static int take_command(struct trace *trace, struct field *fields, size_t count, struct davy_command *command,
                        char error[TRACE_ERROR_SIZE])
{
    for (size_t i = 0; i < DAVY_LENGTH(commands); i++) {
        if (strcmp(commands[i].name, fields[1].text) != 0)
            continue;
        if (!commands[i].available)
            return complain(error, "%s: not available in this version", fields[1].text);
        if (count == 4 && fields[3].length > 0)
            return complain(error, "more columns than time, command and arguments");
        command->verb = commands[i].verb;
        return take_alarm(trace, &fields[2], command, error);
    }
    return complain(error, "unknown command '%.80s'", fields[1].text);
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
    return complain(error, "the header must be " HEADER);
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
        return complain(error, "expected the columns " HEADER);
    rc = take_time(trace, &fields[0], error);
    if (rc < 0)
        return rc;
    ret_row->kind = command ? TRACE_COMMAND : TRACE_READING;
    if (!command)
        return take_reading(trace, fields, &ret_row->reading, error);
    ret_row->reading.at = (struct davy_stamp){.mono = {trace->time.ns + 1}, .wall = trace->time};
    return take_command(trace, fields, count, &ret_row->command, error);
}
