/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `davyctl replay` with two rows more, for comparison with the model:
 *   TIME,!restart,        the process is killed and starts again at once: memories, exposure and raises come back
 *   TIME,!reload,FILE     the configuration FILE, beside the trace, takes over
 * drive --config FILE --input TRACE.csv [--until TIME]
 */
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "config/load.h"
#include "config/problems.h"
#include "ctl/trace.h"
#include "decode/decode.h"
#include "evaluate/engine.h"
#include "publish/payload.h"

#define MEMORIES 512
#define HISTORY  100000

struct raise {
    char key[DAVY_KEY_SIZE];
    struct davy_stamp at;
};

struct drive {
    char folder[4096];
    struct davy_config *config;
    struct davy_engine *engine;
    struct roster roster;
    bool started;
    int64_t seq;
    struct davy_alarm_memory memories[MEMORIES];
    size_t memory_count;
    struct raise raises[HISTORY];
    size_t raise_count;
    struct davy_reading readings[HISTORY]; /* `point` under the configuration that runs */
    size_t reading_count;
    struct davy_stamp now;
};

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "drive: %s\n", what);
    exit(1);
}

static struct davy_config *load(const char *file)
{
    struct davy_config *config = NULL;
    struct davy_problems problems = {0};
    if (davy_config_load(file, &problems, &config) != 0) {
        for (size_t i = 0; i < problems.count; i++)
            fprintf(stderr, "%s\n", problems.items[i].message);
        die("the configuration does not load");
    }
    davy_problems_done(&problems);
    return config;
}

static void on_event(void *context, const struct davy_event *event)
{
    struct drive *drive = context;
    size_t size = davy_payload_alarm_size(event);
    DAVY_AUTO_FREE char *text = malloc(size);
    if (!text)
        die("no memory");
    struct davy_buf buf;
    davy_buf_init(&buf, text, size);
    const struct davy_payload_context payload = {
        .clock = "replay", .seq = ++drive->seq, .durable = true, .decided_ms = -1, .stored_ms = -1};
    davy_payload_alarm(&buf, drive->config, event, &payload);
    puts(text);
    if (event->type != DAVY_EVENT_RAISED || event->subject.kind != DAVY_ALARM_RULE || drive->raise_count == HISTORY)
        return;
    struct raise *raise = &drive->raises[drive->raise_count++];
    davy_subject_key(drive->config, &event->subject, raise->key);
    raise->at = event->at;
}

/* Like the ledger: what is not worth keeping is forgotten. */
static bool worth_keeping(const struct davy_alarm_memory *memory)
{
    bool keep = memory->state != DAVY_STATE_NORMAL || memory->unwell || memory->when_false || memory->out_of_service ||
                memory->when_since.mono.ns != 0 || memory->shelved_until.mono.ns != 0;
    for (size_t i = 0; i < memory->limit_count; i++)
        keep =
            keep || memory->limits[i].tripped || memory->limits[i].held || memory->limits[i].timer != DAVY_TIMER_NONE;
    return keep;
}

static bool on_memory(void *context, const struct davy_alarm_memory *memory)
{
    struct drive *drive = context;
    size_t i = 0;
    while (i < drive->memory_count && strcmp(drive->memories[i].key, memory->key) != 0)
        i++;
    if (i == MEMORIES)
        die("too many alarms");
    if (worth_keeping(memory)) {
        drive->memories[i] = *memory;
        drive->memory_count += i == drive->memory_count;
    } else if (i < drive->memory_count) {
        drive->memories[i] = drive->memories[--drive->memory_count];
    }
    return true;
}

static struct davy_uuid on_new_id(void *context, davy_wall t)
{
    return davy_uuid_v7(t, 0, (uint64_t)((const struct drive *)context)->seq + 1);
}

static void make_engine(struct drive *drive)
{
    const struct davy_engine_options options = {
        .config = drive->config, .event = on_event, .memory = on_memory, .new_id = on_new_id, .context = drive};
    if (davy_engine_new(&options, &drive->engine) != 0)
        die("no memory");
}

static bool is_wanted(const struct drive *drive, const struct davy_reading *reading)
{
    davy_span lookback = davy_engine_reading_lookback(drive->engine, reading->point);
    return davy_mono_sub(drive->now.mono, reading->at.mono).ns <= lookback.ns;
}

/* Of each point the last one before the lookback that counts. */
static void give_earlier(struct drive *drive)
{
    size_t *last = calloc(drive->config->point_count + 1, sizeof *last);
    if (!last)
        die("no memory");
    for (size_t i = 0; i < drive->reading_count; i++) {
        const struct davy_reading *reading = &drive->readings[i];
        if (davy_reading_counts(reading, drive->config->points[reading->point].has_range) && !is_wanted(drive, reading))
            last[reading->point] = i + 1;
    }
    for (size_t p = 0; p < drive->config->point_count; p++)
        if (last[p] > 0)
            davy_engine_past_reading(drive->engine, &drive->readings[last[p] - 1]);
    free(last);
}

static void refill(struct drive *drive)
{
    give_earlier(drive);
    for (size_t i = 0; i < drive->reading_count; i++)
        if (is_wanted(drive, &drive->readings[i]))
            davy_engine_past_reading(drive->engine, &drive->readings[i]);
    for (size_t i = 0; i < drive->raise_count; i++)
        davy_engine_past_raise(drive->engine, drive->raises[i].key, drive->raises[i].at);
}

static void restart(struct drive *drive)
{
    davy_engine_free(drive->engine);
    make_engine(drive);
    static struct davy_alarm_memory memories[MEMORIES];
    size_t count = drive->memory_count;
    memcpy(memories, drive->memories, count * sizeof memories[0]);
    for (size_t i = 0; i < count; i++)
        davy_engine_restore(drive->engine, &memories[i], drive->now);
    refill(drive);
    davy_engine_start(drive->engine, drive->now, true);
}

/* What was read before is kept by name. */
static void renumber(struct drive *drive, const struct davy_config *from)
{
    size_t kept = 0;
    for (size_t i = 0; i < drive->reading_count; i++) {
        char name[DAVY_KEY_SIZE];
        struct davy_reading reading = drive->readings[i];
        reading.point = davy_config_find_point(drive->config, davy_config_point_name(from, reading.point, name));
        if (reading.point != DAVY_NONE)
            drive->readings[kept++] = reading;
    }
    drive->reading_count = kept;
}

static struct davy_config *next_config;

static void on_switched(void *context)
{
    struct drive *drive = context;
    struct davy_config *old = drive->config;
    drive->config = next_config;
    renumber(drive, old);
    davy_config_unref(old);
}

static void reload(struct drive *drive, const char *name)
{
    char path[8192];
    snprintf(path, sizeof path, "%s/%s", drive->folder, name);
    next_config = load(path);
    if (davy_engine_reload(drive->engine, next_config, drive->now, on_switched) != 0)
        die("no memory");
    davy_roster_done(&drive->roster);
    const struct davy_config *config = drive->config;
    if (davy_roster_init(&drive->roster, &config, 1) != 0)
        die("no memory");
}

static void feed(struct drive *drive, struct trace_row *row)
{
    char reason[256];
    drive->now = row->reading.at;
    if (!drive->started)
        davy_engine_start(drive->engine, drive->now, false);
    drive->started = true;
    if (row->kind == TRACE_COMMAND) {
        (void)!davy_engine_command(drive->engine, &row->command, row->reading.at, NULL, reason, sizeof reason);
        return;
    }
    davy_decode_judge(&drive->config->points[row->reading.point], &row->reading);
    if (drive->reading_count < HISTORY)
        drive->readings[drive->reading_count++] = row->reading;
    davy_engine_reading(drive->engine, &row->reading);
}

/* Rows between two restarts or reloads, behind the header. */
static void run_rows(struct drive *drive, const char *rows, size_t length)
{
    static const char header[] = "time,point,value,quality\n";
    DAVY_AUTO_FD int fd = memfd_create("rows", MFD_CLOEXEC);
    if (fd < 0 || write(fd, header, strlen(header)) < 0 || write(fd, rows, length) < 0 || lseek(fd, 0, SEEK_SET) < 0)
        die("no memory");
    struct trace *trace = NULL;
    struct trace_row row;
    char error[TRACE_ERROR_SIZE];
    if (davy_trace_new(fd, &drive->roster, &trace) != 0)
        die("no memory");
    int rc;
    while ((rc = davy_trace_next(trace, &row, error)) == 0)
        feed(drive, &row);
    davy_trace_free(trace);
    if (rc < 0)
        die(error);
}

static struct davy_stamp stamp(const char *text)
{
    davy_wall wall;
    if (davy_wall_parse(text, &wall) < 0)
        die("not a time");
    return (struct davy_stamp){.mono = {wall.ns + 1}, .wall = wall};
}

/* What is due at this time happens before the process is killed; a command that names nothing lets it. */
static void let_time_pass(struct drive *drive)
{
    char reason[256];
    const struct davy_command nothing = {.verb = DAVY_COMMAND_ACK, .alarm = "nothing"};
    (void)!davy_engine_command(drive->engine, &nothing, drive->now, NULL, reason, sizeof reason);
}

static bool is_special(const char *line)
{
    const char *verb = strchr(line, ',');
    return verb && (strncmp(verb, ",!restart", 9) == 0 || strncmp(verb, ",!reload", 8) == 0);
}

/* "TIME,!restart," or "TIME,!reload,FILE": the line is written to. */
static void take_special(struct drive *drive, char *line)
{
    char *verb = strchr(line, ','), *name = strchr(verb + 1, ',');
    *verb++ = '\0';
    drive->now = stamp(line);
    if (!drive->started)
        davy_engine_start(drive->engine, drive->now, false);
    drive->started = true;
    if (strncmp(verb, "!restart", 8) == 0) {
        let_time_pass(drive);
        restart(drive);
    } else if (name) {
        name[1 + strcspn(name + 1, ",\r\n")] = '\0';
        reload(drive, name + 1);
    }
}

static void run(struct drive *drive, FILE *input)
{
    char line[4096];
    char *rows = NULL;
    size_t size = 0;
    FILE *buffer = open_memstream(&rows, &size);
    if (!buffer || !fgets(line, sizeof line, input))
        die("no rows");
    while (fgets(line, sizeof line, input)) {
        if (!is_special(line)) {
            fputs(line, buffer);
            continue;
        }
        fflush(buffer);
        run_rows(drive, rows, (size_t)ftell(buffer));
        rewind(buffer);
        take_special(drive, line);
    }
    fflush(buffer);
    run_rows(drive, rows, (size_t)ftell(buffer));
    fclose(buffer);
    free(rows);
}

static const char *option(int argc, char **argv, const char *name)
{
    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return argv[i + 1];
    return NULL;
}

int main(int argc, char **argv)
{
    static struct drive drive;
    const char *config = option(argc, argv, "--config"), *input = option(argc, argv, "--input");
    const char *until = option(argc, argv, "--until");
    FILE *file = input ? fopen(input, "r") : NULL;
    if (!config || !file)
        die("--config FILE --input TRACE.csv [--until TIME]");
    DAVY_AUTO_FREE char *copy = strdup(input);
    snprintf(drive.folder, sizeof drive.folder, "%s", dirname(copy));
    drive.config = load(config);
    const struct davy_config *only = drive.config;
    if (davy_roster_init(&drive.roster, &only, 1) != 0)
        die("no memory");
    make_engine(&drive);
    run(&drive, file);
    fclose(file);
    if (drive.started)
        davy_engine_advance(drive.engine, until ? stamp(until) : drive.now);
    davy_roster_done(&drive.roster);
    davy_engine_free(drive.engine);
    davy_config_unref(drive.config);
    return 0;
}
