/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The real recorder and publisher through days without a broker, at full speed: their clock is ours. Each second of it
 * one reading of each point of the configuration, and now and then an event. Looks on at memory and files; what came of
 * readings, telemetry and events is for whoever reads the databases afterwards (outage.py). Progress on standard error,
 * figures as JSON in the last line; exit 1 on a problem.
 * usage: outage CONFIG FOLDER SECONDS EVENTS      EVENTS: in 1,000 seconds
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "acquire/request.h"
#include "base/log.h"
#include "base/num.h"
#include "config/load.h"
#include "daemon/record_stage.h"

#define BEGIN_S INT64_C(1790000000)

/*
 * Memory may grow so much after the first tenth: caches fill, the heap settles. AddressSanitizer keeps what was freed.
 */
#ifdef __SANITIZE_ADDRESS__
#define GROWTH_KIB (1024 * 1024)
#else
#define GROWTH_KIB 1024
#endif

#define LOOK_EVERY_S 60

struct outage {
    struct route route;
    struct davy_clock clock;
    atomic_int_fast64_t elapsed_ns;
    struct davy_thread thread;
    struct record_stage *stage;
    struct davy_config *config;
    const char *folder;
    int64_t seconds, event_rate, event_due;
    uint64_t random;
    int64_t readings, events, refused;
    struct davy_subject subject;
    bool raised;
    int64_t rss_first_kib, rss_last_kib, rss_most_kib, file_most, ledger_bytes;
    int problems;
};

static void must(bool truth, const char *what)
{
    if (truth)
        return;
    fprintf(stderr, "outage: %s\n", what);
    exit(2);
}

static void problem(struct outage *o, const char *what, int64_t value)
{
    printf("PROBLEM: %s: %lld\n", what, (long long)value);
    o->problems++;
}

/* ---- our time, and a broker that is not there ------------------------------------------------------------------ */

static struct davy_stamp now(void *context)
{
    struct outage *o = context;
    int64_t elapsed = atomic_load(&o->elapsed_ns);
    return (struct davy_stamp){{DAVY_NS_PER_S + elapsed}, {BEGIN_S * DAVY_NS_PER_S + elapsed}};
}

static int no_connect(void *client, const char *url, const struct davy_mqtt_will *will)
{
    (void)client, (void)url, (void)will;
    return -ECONNREFUSED;
}

static int no_publish(void *client, const struct davy_message *message, uint64_t token)
{
    (void)client, (void)message, (void)token;
    return -ENOTCONN;
}

static int no_subscribe(void *client, const char *filter)
{
    (void)client, (void)filter;
    return -ENOTCONN;
}

static void no_disconnect(void *client, davy_span timeout)
{
    (void)client, (void)timeout;
}

static int all_is_well(void *client)
{
    (void)client;
    return 0;
}

static void nothing(void *client)
{
    (void)client;
}

static const struct davy_mqtt_ops no_broker = {.connect = no_connect,
                                               .publish = no_publish,
                                               .subscribe = no_subscribe,
                                               .disconnect = no_disconnect,
                                               .check = all_is_well,
                                               .drop = nothing,
                                               .free = nothing};

/* ---- the stages ------------------------------------------------------------------------------------------------ */

static void create_queues(struct outage *o)
{
    struct route *route = &o->route;
    struct davy_waker *recorder = &o->thread.waker;
    const struct {
        struct davy_queue *queue;
        size_t item_size, capacity;
        enum davy_queue_full full;
        struct davy_waker *waker;
    } queues[] = {
        {&route->asks, sizeof(struct ask), ROUTE_ASKS, DAVY_QUEUE_DROP_OLDEST, NULL},
        {&route->records, sizeof(struct record), ROUTE_RECORDS, DAVY_QUEUE_REFUSE, recorder},
        {&route->readings, sizeof(struct record_reading), ROUTE_READINGS, DAVY_QUEUE_REFUSE, recorder},
        {&route->deliveries, sizeof(struct davy_delivery), 4 * DAVY_PUBLISHER_ROOM, DAVY_QUEUE_REFUSE, recorder},
        {&route->notices, sizeof(enum notice), ROUTE_NOTICES, DAVY_QUEUE_DROP_OLDEST, NULL},
        {&route->commands, sizeof(struct davy_remote *), ROUTE_COMMANDS, DAVY_QUEUE_REFUSE, NULL},
        {&route->tasks, sizeof(struct davy_remote *), ROUTE_TASKS, DAVY_QUEUE_REFUSE, recorder},
    };
    for (size_t i = 0; i < DAVY_LENGTH(queues); i++)
        must(davy_queue_init(queues[i].queue, queues[i].item_size, queues[i].capacity, queues[i].full,
                             queues[i].waker) == 0,
             "a queue");
    davy_queue_ring_each(&route->readings, ROUTE_READINGS_RING);
    must(davy_cell_init(&route->evaluator, sizeof(struct evaluator_status)) == 0, "a cell");
    must(davy_cell_init(&route->recorder, sizeof(struct recorder_status)) == 0, "a cell");
}

static void create_publisher(struct outage *o)
{
    static const struct davy_mqtt_client client = {&no_broker, NULL};
    struct davy_publisher_options options = {
        .config = o->config,
        .clock = &o->clock,
        .client = &client,
        .deliveries = &o->route.deliveries,
        .commands = &o->route.commands,
        .boot_id = o->route.boot_id,
        .seed = 1,
    };
    must(davy_publisher_new(&options, &o->route.publisher) == 0 && davy_publisher_start(o->route.publisher) == 0,
         "the publisher");
}

static void recalled(void *context, const struct davy_alarm_memory *memory)
{
    (void)context, (void)memory;
}

static void start(struct outage *o)
{
    const struct state_place place = {.directory = o->folder, .lock = -1};
    o->clock = (struct davy_clock){now, o};
    o->route.clock = &o->clock;
    o->route.started = now(o);
    memcpy(o->route.boot_id, "00000000-0000-4000-8000-000000000000", sizeof o->route.boot_id);
    o->thread = DAVY_THREAD_INIT;
    must(davy_thread_init(&o->thread, "recorder") == 0, "a thread");
    create_queues(o);
    create_publisher(o);
    must(record_stage_new(&o->route, &o->thread, o->config, &place, &o->stage) == 0, "the recorder");
    must(record_stage_start(o->stage) == 0, "the recorder's thread");
    must(record_stage_recall(o->stage, davy_span_s(10), recalled, o), "the ledger");
}

static void load(struct outage *o, const char *file)
{
    struct davy_problems problems = {0};
    int rc = davy_config_load(file, &problems, &o->config);
    must(rc == 0, "the configuration is bad: davyd --check says how");
    must(davy_requests_plan(o->config) == 0, "requests");
    davy_problems_done(&problems);
    must(davy_subject_parse(o->config, "high:D-1.p0", &o->subject), "no alarm high:D-1.p0");
}

/* ---- a second -------------------------------------------------------------------------------------------------- */

static uint64_t next_random(struct outage *o)
{
    o->random ^= o->random << 13;
    o->random ^= o->random >> 7;
    o->random ^= o->random << 17;
    return o->random;
}

static void push_readings(struct outage *o)
{
    for (uint32_t p = 0; p < o->config->point_count; p++) {
        struct record_reading item = {.reading = {.point = p, .has_value = true, .at = now(o)}};
        item.reading.value = (double)(next_random(o) % 9000) / 100.0 + 1.0 / 3.0;
        item.reading.quality = DAVY_QUALITY_GOOD;
        o->refused += davy_queue_push(&o->route.readings, &item) != 0;
        o->readings++;
    }
}

static void push_event(struct outage *o)
{
    struct record record = {.kind = RECORD_EVENT, .place = RECORD_LAST, .at = now(o), .ordinal = (uint64_t)++o->events};
    o->raised = !o->raised;
    record.event = (struct davy_event){
        .subject = o->subject,
        .type = o->raised ? DAVY_EVENT_RAISED : DAVY_EVENT_CLEARED,
        .id.bytes = {1, 2, 3, 4, 5, 6, 0x70, 8, 0x80, (uint8_t)o->events},
        .count = 1,
        .state = o->raised ? DAVY_STATE_UNACKNOWLEDGED : DAVY_STATE_NORMAL,
        .previous_state = o->raised ? DAVY_STATE_NORMAL : DAVY_STATE_UNACKNOWLEDGED,
        .level = DAVY_LEVEL_ORANGE,
        .previous_level = o->raised ? DAVY_LEVEL_NONE : DAVY_LEVEL_ORANGE,
        .active = o->raised,
        .ends = !o->raised,
        .at = now(o),
        .raised_at = now(o).wall,
        .has_value = true,
        .value = 96.0,
        .has_limit = true,
        .limit = 95.0,
        .condition = DAVY_CONDITION_ABOVE,
    };
    must(davy_queue_push(&o->route.records, &record) == 0, "the queue of records is full");
}

/* Until the recorder has been round once since now: what was pushed before is done then. */
static void wait_round(struct outage *o)
{
    for (int round = 0; round < 2; round++) {
        uint64_t beats = atomic_load(&o->thread.beats);
        davy_waker_ring(&o->thread.waker);
        while (atomic_load(&o->thread.beats) == beats)
            nanosleep(&(struct timespec){.tv_nsec = 20000}, NULL);
    }
}

static void one_second(struct outage *o)
{
    push_readings(o);
    for (o->event_due += o->event_rate; o->event_due >= 1000; o->event_due -= 1000)
        push_event(o);
    atomic_fetch_add(&o->elapsed_ns, DAVY_NS_PER_S);
    wait_round(o);
}

/* ---- looking on ------------------------------------------------------------------------------------------------ */

static int64_t size_of(const struct outage *o, const char *name)
{
    char path[4200];
    struct stat found;
    snprintf(path, sizeof path, "%s/%s", o->folder, name);
    return stat(path, &found) == 0 ? found.st_size : 0;
}

static int64_t rss_kib(void)
{
    long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    must(file && fscanf(file, "%*d %lld", &pages) == 1, "/proc/self/statm");
    fclose(file);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void look(struct outage *o, int64_t second)
{
    int64_t bytes = size_of(o, "readings.db") + size_of(o, "readings.db-wal");
    o->rss_last_kib = rss_kib();
    o->ledger_bytes = size_of(o, "ledger.db") + size_of(o, "ledger.db-wal");
    o->file_most = bytes > o->file_most ? bytes : o->file_most;
    if (bytes > o->config->storage.max_size_bytes)
        problem(o, "readings.db and its -wal are above max_size", bytes);
    if (second < o->seconds / 10)
        return;
    if (o->rss_first_kib == 0)
        o->rss_first_kib = o->rss_most_kib = o->rss_last_kib;
    o->rss_most_kib = o->rss_last_kib > o->rss_most_kib ? o->rss_last_kib : o->rss_most_kib;
}

static void tell(const struct outage *o, int64_t second, davy_mono began)
{
    double took = (double)davy_mono_sub(davy_clock_now(&davy_system_clock).mono, began).ns / 1e9;
    fprintf(stderr, "%6.2f days in %6.0f s, %.0f s to go: RSS %lld KiB, readings.db %.1f MiB, ledger.db %.1f MiB\n",
            (double)second / 86400, took, took * (double)(o->seconds - second) / (double)second,
            (long long)o->rss_last_kib, (double)size_of(o, "readings.db") / 1048576, (double)o->ledger_bytes / 1048576);
}

/* As tests/integration/plant.py says: then memory is not ours to judge. */
static bool under_an_instrument(void)
{
    return getenv("DAVY_PATIENCE") != NULL;
}

static void run(struct outage *o)
{
    davy_mono began = davy_clock_now(&davy_system_clock).mono, told = began;
    for (int64_t second = 1; second <= o->seconds && o->problems < 10; second++) {
        one_second(o);
        if (second % LOOK_EVERY_S == 0)
            look(o, second);
        davy_mono here = davy_clock_now(&davy_system_clock).mono;
        if (davy_mono_sub(here, told).ns < 10 * DAVY_NS_PER_S)
            continue;
        told = here;
        tell(o, second, began);
    }
    if (!under_an_instrument() && o->rss_most_kib > o->rss_first_kib + GROWTH_KIB)
        problem(o, "memory grew, KiB", o->rss_most_kib - o->rss_first_kib);
}

static void finish(struct outage *o)
{
    davy_thread_join(&o->thread);
    o->stage = record_stage_free(o->stage);
    davy_publisher_free(o->route.publisher, davy_span_ms(0), NULL);
    printf("{\"harness\": \"outage\", \"seconds\": %lld, \"readings\": %lld, \"events\": %lld, \"refused\": %lld,"
           " \"rss_first_kib\": %lld, \"rss_last_kib\": %lld, \"rss_most_kib\": %lld, \"readings_most_bytes\": %lld,"
           " \"ledger_bytes\": %lld, \"problems\": %d}\n",
           (long long)o->seconds, (long long)o->readings, (long long)o->events, (long long)o->refused,
           (long long)o->rss_first_kib, (long long)o->rss_last_kib, (long long)o->rss_most_kib, (long long)o->file_most,
           (long long)o->ledger_bytes, o->problems);
}

int main(int argc, char **argv)
{
    static struct outage o = {.random = 88172645463325252ULL};
    must(argc == 5, "usage: outage CONFIG FOLDER SECONDS EVENTS");
    must(davy_int_parse(argv[3], &o.seconds) == 0 && davy_int_parse(argv[4], &o.event_rate) == 0,
         "SECONDS and EVENTS are numbers");
    o.folder = argv[2];
    must(prctl(PR_SET_TIMERSLACK, 1000) == 0, "prctl"); /* ns: wait_round() sleeps for short */
    load(&o, argv[1]);
    start(&o);
    run(&o);
    finish(&o);
    return o.problems > 0;
}
