/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a stored reading costs, through the append that davyd uses (with roll-ups) and through a bare SQLite loop beside
 * it: the same table, one prepared INSERT, one transaction a second. Rows a second of wall and of CPU time, and bytes
 * that reached the device for each (/proc/self/io: file, -wal, checkpoints). A second of readings is a commit; their
 * times are made up, so that nothing waits. Figures as JSON in the last line; exit 1 where a goal is missed.
 * usage: bench_readings [FOLDER]    on the disk that is meant: /var/tmp by default, since a tmpfs writes nothing
 */
#include <ftw.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/attr.h"
#include "record/readings.h"

#define POINTS 1000
#define BEGIN  INT64_C(1790000000)

/* Goals at one commit a second: rows a second of CPU time at `many` rows a commit, bytes at the others. */
#define GOAL_ROWS  300000.0
#define GOAL_BYTES 100.0

struct load {
    const char *name;
    int64_t rows; /* a commit */
    int64_t commits;
};

static const struct load loads[] = {
    {"1000_per_s", 1000, 900}, {"20000_per_s", 20000, 60}, {"300000_per_s", 300000, 10}};

struct figures {
    double rows_per_s;
    double rows_per_cpu_s;
    double bytes_per_row;
    double file_bytes_per_row;
};

/* ---- measuring ------------------------------------------------------------------------------------------------- */

struct mark {
    davy_mono at;
    double cpu_s;
    int64_t written;
};

static int64_t written_bytes(void)
{
    char line[128];
    long long bytes = 0;
    FILE *file = fopen("/proc/self/io", "re");
    while (file && fgets(line, sizeof line, file))
        (void)sscanf(line, "write_bytes: %lld", &bytes);
    if (file)
        fclose(file);
    return bytes;
}

static struct mark mark_now(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (struct mark){davy_clock_now(&davy_system_clock).mono,
                         (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                             (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6,
                         written_bytes()};
}

static struct figures figures_since(const struct mark *begin, int64_t rows, const char *folder)
{
    struct mark end = mark_now();
    struct davy_disk_usage usage = {0};
    if (davy_storage_measure(folder, &usage) < 0)
        exit(1);
    double count = (double)rows;
    return (struct figures){count * 1e9 / (double)davy_mono_sub(end.at, begin->at).ns,
                            count / (end.cpu_s - begin->cpu_s), (double)(end.written - begin->written) / count,
                            (double)usage.bytes / count};
}

static void must(bool truth, const char *what)
{
    if (truth)
        return;
    fprintf(stderr, "bench_readings: %s\n", what);
    exit(1);
}

/* A value that is never a small integer, as those of sensors are. */
static double value_of(int64_t i)
{
    return (double)(i * 7919 % 100003) / 997.0;
}

static int64_t time_us(const struct load *load, int64_t second, int64_t row)
{
    return (BEGIN + second) * 1000000 + row * 1000000 / load->rows;
}

/* ---- davy ------------------------------------------------------------------------------------------------------ */

static void make_config(struct davy_config *config, struct davy_device *device, struct davy_point *points,
                        char names[POINTS][16])
{
    *device = (struct davy_device){.id = "D", .name = "D", .point_count = POINTS};
    for (int i = 0; i < POINTS; i++) {
        snprintf(names[i], 16, "p%d", i);
        points[i] = (struct davy_point){.name = names[i], .interval = davy_span_s(1)};
    }
    *config = (struct davy_config){.devices = device,
                                   .device_count = 1,
                                   .points = points,
                                   .point_count = POINTS,
                                   .storage = {.retention = davy_span_s(90 * 86400),
                                               .max_size_bytes = INT64_C(2) << 30,
                                               .event_retention = davy_span_s(1095 * INT64_C(86400))}};
}

static void append_all(struct davy_readings *readings, const struct load *load)
{
    for (int64_t second = 0; second < load->commits; second++) {
        must(davy_readings_begin(readings) == 0, "begin");
        for (int64_t row = 0; row < load->rows; row++) {
            struct davy_reading reading = {.point = (uint32_t)(row % POINTS), .has_value = true};
            reading.value = value_of(second * load->rows + row);
            reading.at.wall.ns = time_us(load, second, row) * 1000;
            must(davy_readings_append(readings, &reading) == 0, "append");
        }
        must(davy_readings_commit(readings) == 0, "commit");
    }
}

static struct figures run_davy(const char *folder, const struct load *load)
{
    static struct davy_point points[POINTS];
    static char names[POINTS][16];
    struct davy_device device;
    struct davy_config config;
    struct davy_readings *readings;
    make_config(&config, &device, points, names);
    must(davy_readings_open(folder, (davy_wall){0}, NULL, &readings) == 0, "open");
    must(davy_readings_configure(readings, &config) == 0, "configure");
    struct mark begin = mark_now();
    append_all(readings, load);
    davy_readings_close(readings);
    return figures_since(&begin, load->rows * load->commits, folder);
}

/* ---- bare SQLite ----------------------------------------------------------------------------------------------- */

static void execute(sqlite3 *handle, const char *sql)
{
    must(sqlite3_exec(handle, sql, NULL, NULL, NULL) == SQLITE_OK, sql);
}

static void insert_row(sqlite3_stmt *insert, int64_t at_us, int64_t point, double value)
{
    sqlite3_bind_int64(insert, 1, at_us);
    sqlite3_bind_int64(insert, 2, point);
    sqlite3_bind_double(insert, 3, value);
    sqlite3_bind_int64(insert, 4, 1);
    must(sqlite3_step(insert) == SQLITE_DONE && sqlite3_reset(insert) == SQLITE_OK, "insert");
}

static void insert_all(sqlite3 *handle, const struct load *load)
{
    sqlite3_stmt *insert;
    must(sqlite3_prepare_v3(handle, "INSERT INTO reading (time_us, point, value, quality) VALUES (?, ?, ?, ?)", -1,
                            SQLITE_PREPARE_PERSISTENT, &insert, NULL) == SQLITE_OK,
         "prepare");
    for (int64_t second = 0; second < load->commits; second++) {
        execute(handle, "BEGIN IMMEDIATE");
        for (int64_t row = 0; row < load->rows; row++)
            insert_row(insert, time_us(load, second, row), row % POINTS + 1, value_of(second * load->rows + row));
        execute(handle, "COMMIT");
    }
    sqlite3_finalize(insert);
}

static struct figures run_bare(const char *folder, const struct load *load)
{
    char path[4200];
    sqlite3 *handle;
    snprintf(path, sizeof path, "%s/readings.db", folder);
    must(sqlite3_open(path, &handle) == SQLITE_OK, "open");
    execute(handle, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-512;"
                    "CREATE TABLE reading (time_us INTEGER NOT NULL, point INTEGER NOT NULL, value REAL,"
                    " quality INTEGER NOT NULL) STRICT");
    struct mark begin = mark_now();
    insert_all(handle, load);
    sqlite3_close(handle);
    return figures_since(&begin, load->rows * load->commits, folder);
}

/* ---- both ------------------------------------------------------------------------------------------------------ */

static int remove_one(const char *path, const struct stat *found, int type, struct FTW *walk)
{
    (void)found;
    (void)type;
    (void)walk;
    return remove(path);
}

static struct figures run(const char *base, const struct load *load, const char *name,
                          struct figures (*what)(const char *folder, const struct load *load))
{
    char folder[4096];
    snprintf(folder, sizeof folder, "%s/bench-readings-XXXXXX", base);
    must(mkdtemp(folder) != NULL, "a folder cannot be made");
    struct figures found = what(folder, load);
    nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    printf("%-14s %-5s %10.0f rows/s %10.0f rows/s of CPU %7.1f bytes written a row %6.1f of the file\n", load->name,
           name, found.rows_per_s, found.rows_per_cpu_s, found.bytes_per_row, found.file_bytes_per_row);
    fflush(stdout);
    return found;
}

static void print_json(bool first, const struct load *load, const char *name, const struct figures *found)
{
    printf("%s\"%s_%s\": {\"rows_per_s\": %.0f, \"rows_per_cpu_s\": %.0f, \"bytes_per_row\": %.1f}", first ? "" : ", ",
           name, load->name, found->rows_per_s, found->rows_per_cpu_s, found->bytes_per_row);
}

int main(int argc, char **argv)
{
    const char *base = argc > 1 ? argv[1] : "/var/tmp";
    struct figures davy[DAVY_LENGTH(loads)], bare[DAVY_LENGTH(loads)];
    bool reached = true;
    for (size_t i = 0; i < DAVY_LENGTH(loads); i++) {
        bare[i] = run(base, &loads[i], "bare", run_bare);
        davy[i] = run(base, &loads[i], "davy", run_davy);
        reached &= davy[i].bytes_per_row <= GOAL_BYTES;
    }
    reached &= davy[DAVY_LENGTH(loads) - 1].rows_per_cpu_s >= GOAL_ROWS;
    printf("{");
    for (size_t i = 0; i < DAVY_LENGTH(loads); i++) {
        print_json(i == 0, &loads[i], "bare", &bare[i]);
        print_json(false, &loads[i], "davy", &davy[i]);
    }
    printf("}\n");
    return reached ? 0 : 1;
}
