/* SPDX-License-Identifier: Apache-2.0 */
/* Verbs that ask the daemon and print its answer: status, points, alarms, reload, log-level. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "ctl/ctl.h"
#include "model/names.h"

static json_t *verb_request(const char *verb)
{
    return json_pack("{s:s}", "verb", verb);
}

/* "name      a b c", without what is not there. */
static void print_field(const char *name, const json_t *object, const char *const *keys)
{
    printf("%-14s", name);
    for (; *keys; keys++) {
        char *cell = davy_ctl_cell(object, *keys);
        printf(" %s", cell);
        free(cell);
    }
    putchar('\n');
}

/* The key as people write it: log_lines are log lines. */
static void print_words(const char *key)
{
    for (; *key; key++)
        putchar(*key == '_' ? ' ' : *key);
}

/* "name      3 key, 4 key" */
static void print_counts(const char *name, const json_t *object, const char *const *keys)
{
    printf("%-14s", name);
    for (size_t i = 0; keys[i]; i++) {
        char *cell = davy_ctl_cell(object, keys[i]);
        printf("%s%s ", i == 0 ? " " : ", ", cell);
        print_words(keys[i]);
        free(cell);
    }
    putchar('\n');
}

/* "42 %"; "-" where it is no number. */
static char *percent(const json_t *share)
{
    return json_is_number(share) ? davy_ctl_format("%.0f %%", 100 * json_number_value(share)) : davy_ctl_copy("-");
}

/* `plans` of the same buses in the same order; the daemon may be older and tell none. */
static void print_buses(const struct ctl *ctl, const json_t *buses, const json_t *plans)
{
    static const char *const heads[] = {"BUS",     "STATE",    ">LOAD",   ">PLANNED", ">REQUESTS",
                                        ">ERRORS", ">SKIPPED", ">SILENT", ">AGE",     NULL};
    struct table table;
    davy_table_init(&table, heads, ctl->colour);
    size_t i;
    json_t *bus;
    json_array_foreach(buses, i, bus)
    {
        davy_table_add(&table, davy_ctl_cell(bus, "name"), NULL);
        davy_table_add(&table, davy_ctl_cell(bus, "state"), NULL);
        const json_t *plan = json_array_get(plans, i);
        davy_table_add(&table, percent(json_object_get(bus, "utilization")), NULL);
        davy_table_add(&table, percent(json_object_get(plan, "utilization")), NULL);
        davy_table_add(&table, davy_ctl_cell(bus, "requests"), NULL);
        davy_table_add(&table, davy_ctl_cell(bus, "errors"), NULL);
        davy_table_add(&table, davy_ctl_cell(bus, "skipped"), NULL);
        davy_table_add(&table, davy_ctl_cell(plan, "quarantined"), NULL);
        davy_table_add(&table, davy_ctl_age(json_object_get(bus, "age_s")), NULL);
    }
    davy_table_flush(&table);
    davy_table_done(&table);
}

/* The limits whose alarms take longest from a step at the sensor, as planned. */
static void print_slowest(const struct ctl *ctl, const json_t *plan)
{
    static const char *const heads[] = {"SLOWEST LIMITS", "LEVEL", ">WITHIN", ">1 DEAD", ">3 DEAD", NULL};
    static const char *const keys[] = {"alone_s", "one_dead_s", "some_dead_s"};
    struct table table;
    davy_table_init(&table, heads, ctl->colour);
    size_t i;
    json_t *limit;
    json_array_foreach(json_object_get(plan, "slowest"), i, limit)
    {
        davy_table_add(&table, davy_ctl_cell(limit, "rule"), NULL);
        davy_table_add(&table, davy_ctl_cell(limit, "level"), davy_ctl_text(limit, "level"));
        for (size_t k = 0; k < DAVY_LENGTH(keys); k++)
            davy_table_add(&table, davy_ctl_format("%.2f s", json_number_value(json_object_get(limit, keys[k]))), NULL);
    }
    davy_table_flush(&table);
    davy_table_done(&table);
    const json_int_t more = json_integer_value(json_object_get(plan, "more"));
    if (more > 0)
        printf("and %lld more: davyctl check\n", (long long)more);
}

/* The devices that are slowest to turn around, as measured. */
static void print_devices(const struct ctl *ctl, const json_t *plan)
{
    static const char *const heads[] = {"SLOWEST DEVICES", "BUS", ">TURN P50", ">P95", ">MISSES", "", NULL};
    struct table table;
    davy_table_init(&table, heads, ctl->colour);
    size_t i;
    json_t *device;
    json_array_foreach(json_object_get(plan, "devices"), i, device)
    {
        const bool slow = json_is_true(json_object_get(device, "slow"));
        const bool flapping = json_is_true(json_object_get(device, "flapping"));
        davy_table_add(&table, davy_ctl_cell(device, "device"), NULL);
        davy_table_add(&table, davy_ctl_cell(device, "bus"), NULL);
        davy_table_add(&table, davy_ctl_format("%.1f ms", json_number_value(json_object_get(device, "p50_ms"))), NULL);
        davy_table_add(&table, davy_ctl_format("%.1f ms", json_number_value(json_object_get(device, "p95_ms"))), NULL);
        davy_table_add(&table, davy_ctl_cell(device, "misses"), NULL);
        davy_table_add(&table, davy_ctl_copy(slow ? "slow" : flapping ? "misses often" : ""), NULL);
    }
    davy_table_flush(&table);
    davy_table_done(&table);
    const json_int_t more = json_integer_value(json_object_get(plan, "more_devices"));
    if (more > 0)
        printf("and %lld more\n", (long long)more);
}

/* "name      text", where `text` is there. Takes it. */
static void print_if(const char *name, char *text)
{
    if (text && text[0])
        printf("%-14s %s\n", name, text);
    free(text);
}

/* " (3 times since …)" */
static char *how_often(const json_t *broker)
{
    const json_int_t count = json_integer_value(json_object_get(broker, "last_error_count"));
    if (count < 2)
        return davy_ctl_copy("");
    return davy_ctl_format(", %lld times since %s", (long long)count, davy_ctl_text(broker, "last_error_since"));
}

static void print_broker_error(const json_t *broker)
{
    if (!json_is_string(json_object_get(broker, "last_error")))
        return;
    char *often = how_often(broker);
    char *text =
        davy_ctl_format("last trouble: %s (%s, at %s%s)", davy_ctl_text(broker, "last_error"),
                        davy_ctl_text(broker, "last_error_url"), davy_ctl_text(broker, "last_error_at"), often);
    print_if("", davy_ctl_escape(text));
    free(text);
    free(often);
}

static void print_refusal(const json_t *refusal)
{
    if (!json_is_object(refusal))
        return;
    char *text = davy_ctl_format("last refused %s: %s, at %s", davy_ctl_text(refusal, "topic"),
                                 davy_ctl_text(refusal, "reason"), davy_ctl_text(refusal, "at"));
    print_if("", davy_ctl_escape(text));
    free(text);
}

static void print_broker(const json_t *broker)
{
    if (!json_is_object(broker)) {
        printf("%-14s not configured\n", "broker");
        return;
    }
    const bool connected = json_is_true(json_object_get(broker, "connected"));
    const char *since = davy_ctl_text(broker, "since"); /* empty: there was no connection yet */
    char *text =
        davy_ctl_format("%s%s %s%s%s%s", connected ? "connected" : "NOT CONNECTED", connected ? " to" : ", trying",
                        davy_ctl_text(broker, "url"), *since ? " since " : ", none since the start", since,
                        json_is_true(json_object_get(broker, "unstable")) ? ", connections do not hold" : "");
    print_if("broker", davy_ctl_escape(text));
    free(text);
    print_broker_error(broker);
    if (json_is_string(json_object_get(broker, "limits"))) {
        char *limits = davy_ctl_format("limits: %s", davy_ctl_text(broker, "limits"));
        print_if("", davy_ctl_escape(limits));
        free(limits);
    }
    print_counts("deliveries", broker, (const char *[]){"acknowledged", "refused", "unheard", NULL});
    print_refusal(json_object_get(broker, "last_refusal"));
}

static void print_storage(const json_t *storage, const json_t *trouble)
{
    char *reason = davy_ctl_escape(json_is_string(trouble) ? json_string_value(trouble) : "");
    printf("%-14s %.1f MiB, %.1f MiB free%s%s\n", "storage",
           json_number_value(json_object_get(storage, "bytes")) / 1048576,
           json_number_value(json_object_get(storage, "free_bytes")) / 1048576,
           json_is_false(json_object_get(storage, "ok")) ? ", TROUBLE: " : "", reason);
    free(reason);
}

/* What is not delivered: since when, and what of it the platform has not confirmed. */
static void print_outbox(const json_t *status)
{
    const json_t *outbox = json_object_get(status, "outbox");
    print_counts("outbox", outbox, (const char *[]){"events", "unconfirmed", "telemetry", NULL});
    if (json_is_string(json_object_get(outbox, "oldest")))
        print_field("oldest event", outbox, (const char *[]){"oldest", NULL});
    if (json_is_integer(json_object_get(status, "confirmed_seq")))
        print_field("confirmed seq", status, (const char *[]){"confirmed_seq", NULL});
}

static void print_status(const struct ctl *ctl, const json_t *reply)
{
    const json_t *status = json_object_get(reply, "status");
    print_field("state", status, (const char *[]){"state", NULL});
    print_field("since", status, (const char *[]){"since", NULL});
    print_field("version", status, (const char *[]){"version", NULL});
    print_field("configuration", reply, (const char *[]){"config_file", NULL});
    print_field("", status, (const char *[]){"config", NULL});
    print_field("clock", status, (const char *[]){"clock", NULL});
    print_field("last seq", status, (const char *[]){"last_seq", NULL});
    print_outbox(status);
    print_counts(
        "alarms", json_object_get(status, "alarms"),
        (const char *[]){"red", "orange", "yellow", "blue", "unacknowledged", "shelved", "out_of_service", NULL});
    print_counts("points", json_object_get(status, "points"), (const char *[]){"good", "uncertain", "bad", NULL});
    print_broker(json_object_get(reply, "broker"));
    print_counts("lost", json_object_get(reply, "lost"),
                 (const char *[]){"blocks", "records", "readings", "telemetry", "log_lines", NULL});
    print_storage(json_object_get(status, "storage"), json_object_get(reply, "storage_trouble"));
    print_field("directory", reply, (const char *[]){"directory", NULL});
    const json_t *buses = json_object_get(status, "buses"), *plan = json_object_get(reply, "plan");
    if (json_array_size(buses) > 0) {
        putchar('\n');
        print_buses(ctl, buses, json_object_get(plan, "buses"));
    }
    if (json_array_size(json_object_get(plan, "slowest")) > 0) {
        putchar('\n');
        print_slowest(ctl, plan);
    }
    if (json_array_size(json_object_get(plan, "devices")) > 0) {
        putchar('\n');
        print_devices(ctl, plan);
    }
}

int davy_ctl_status(struct ctl *ctl)
{
    json_t *reply = NULL;
    int code = davy_ctl_ask(ctl, verb_request("status"), &reply);
    if (code != CTL_DONE)
        return code;
    if (ctl->json)
        davy_ctl_print_json(reply, true);
    else
        print_status(ctl, reply);
    json_decref(reply);
    return CTL_DONE;
}

/* Print {"ok":true,NAME:list}; takes the list. */
static void print_list(const char *name, json_t *list)
{
    json_t *document = json_pack("{s:b,s:o}", "ok", 1, name, list);
    davy_ctl_print_json(document, true);
    json_decref(document);
}

/* "bad:comm" */
static char *quality_cell(const json_t *object)
{
    const char *reason = davy_ctl_text(object, "reason");
    char *text = davy_ctl_format("%s%s%s", davy_ctl_text(object, "quality"), *reason ? ":" : "", reason);
    char *cell = davy_ctl_escape(text);
    free(text);
    return cell;
}

static void add_point(struct table *table, const json_t *point)
{
    const char *level = davy_ctl_text(point, "level");
    davy_table_add(table, davy_ctl_cell(point, "point"), NULL);
    davy_table_add(table, davy_ctl_cell(point, "zone"), NULL);
    davy_table_add(table, davy_ctl_cell(point, "value"), level);
    davy_table_add(table, davy_ctl_cell(point, "unit"), NULL);
    davy_table_add(table, quality_cell(point), davy_ctl_text(point, "quality"));
    davy_table_add(table, davy_ctl_cell(point, "level"), level);
    davy_table_add(table, davy_ctl_age(json_object_get(point, "age_s")), NULL);
    davy_table_add(table, davy_ctl_cell(point, "name"), NULL);
}

/* A name without a dot is a device: all its points. */
static char *point_glob(const char *glob)
{
    return davy_ctl_format("%s%s", glob, strpbrk(glob, ".*?[") ? "" : ".*");
}

int davy_ctl_points(struct ctl *ctl)
{
    static const char *const heads[] = {"POINT", "ZONE", ">VALUE", "UNIT", "QUALITY", "LEVEL", ">AGE", "NAME", NULL};
    json_t *request = verb_request("points"), *points = NULL;
    const char *given = davy_ctl_argument(ctl, 0);
    DAVY_AUTO_FREE char *glob = given ? point_glob(given) : NULL;
    if (glob)
        json_object_set_new(request, "glob", json_string(glob));
    int code = davy_ctl_pages(ctl, request, "points", "point", &points);
    if (code != CTL_DONE)
        return code;
    if (glob && json_array_size(points) == 0) {
        json_decref(points);
        return davy_ctl_fail(ctl, CTL_REFUSED, "no point matches '%s'", glob);
    }
    if (ctl->json) {
        print_list("points", points);
        return CTL_DONE;
    }
    struct table table;
    davy_table_init(&table, heads, ctl->colour);
    size_t i;
    json_t *point;
    json_array_foreach(points, i, point) add_point(&table, point);
    davy_table_flush(&table);
    davy_table_done(&table);
    json_decref(points);
    return CTL_DONE;
}

char *davy_ctl_state_cell(const json_t *alarm)
{
    const char *state = davy_ctl_text(alarm, "state"), *below = davy_ctl_text(alarm, "below");
    const bool covered = *below && strcmp(state, below) != 0;
    char *text = davy_ctl_format("%s%s%s%s", state, covered ? " (" : "", covered ? below : "", covered ? ")" : "");
    char *cell = davy_ctl_escape(text);
    free(text);
    return cell;
}

/* Out of service has no end, though a shelf below it has one. */
const char *davy_ctl_until(const char *state)
{
    return strcmp(state, "out-of-service") == 0 ? ", below that shelved until " : " until ";
}

static char *until_cell(const json_t *alarm)
{
    const char *until = json_is_string(json_object_get(alarm, "inhibited_until")) ? "inhibited_until" : "shelved_until";
    const bool endless = json_is_true(json_object_get(alarm, "out_of_service"));
    return endless ? davy_ctl_copy("-") : davy_ctl_cell(alarm, until);
}

static void add_alarm(struct table *table, const json_t *alarm)
{
    static const char *const behind[] = {"since", "count", "by", "note"};
    const char *level = davy_ctl_text(alarm, "level");
    davy_table_add(table, davy_ctl_cell(alarm, "alarm"), NULL);
    davy_table_add(table, davy_ctl_cell(alarm, "level"), level);
    davy_table_add(table, davy_ctl_state_cell(alarm), NULL);
    davy_table_add(table, davy_ctl_cell(alarm, "value"), NULL);
    davy_table_add(table, davy_ctl_cell(alarm, "limit"), NULL);
    davy_table_add(table, davy_ctl_cell(alarm, "unit"), NULL);
    davy_table_add(table, quality_cell(alarm), davy_ctl_text(alarm, "quality"));
    for (size_t i = 0; i < DAVY_LENGTH(behind); i++)
        davy_table_add(table, davy_ctl_cell(alarm, behind[i]), NULL);
    davy_table_add(table, until_cell(alarm), NULL);
    davy_table_add(table, davy_ctl_cell(alarm, "message"), NULL);
}

/* Place of an alarm's level in the list: the worst first, then those that are not acknowledged. */
static int urgency(const json_t *alarm)
{
    const int level = davy_level_find(davy_ctl_text(alarm, "level"));
    return 2 * (level > 0 ? level : 0) + json_is_false(json_object_get(alarm, "acknowledged"));
}

/* The same alarms, the most urgent first, else as they were. Takes the list. */
static json_t *sorted(json_t *alarms)
{
    json_t *list = json_array();
    for (int rank = 2 * DAVY_LEVEL_COUNT_ + 1; rank >= 0; rank--) {
        size_t i;
        json_t *alarm;
        json_array_foreach(alarms, i, alarm) if (urgency(alarm) == rank) json_array_append(list, alarm);
    }
    json_decref(alarms);
    return list;
}

int davy_ctl_alarms(struct ctl *ctl)
{
    static const char *const heads[] = {"ALARM", "LEVEL",  "STATE", ">VALUE", ">LIMIT", "UNIT",    "QUALITY",
                                        "SINCE", ">COUNT", "BY",    "NOTE",   "UNTIL",  "MESSAGE", NULL};
    json_t *request = verb_request("alarms"), *alarms = NULL;
    json_object_set_new(request, "all", json_boolean(davy_ctl_option(ctl, "all") != NULL));
    int code = davy_ctl_pages(ctl, request, "alarms", "alarm", &alarms);
    if (code != CTL_DONE)
        return code;
    alarms = sorted(alarms);
    if (ctl->json) {
        print_list("alarms", alarms);
        return CTL_DONE;
    }
    struct table table;
    davy_table_init(&table, heads, ctl->colour);
    size_t i;
    json_t *alarm;
    json_array_foreach(alarms, i, alarm) add_alarm(&table, alarm);
    davy_table_fit(&table, davy_ctl_screen());
    davy_table_flush(&table);
    davy_table_done(&table);
    if (json_array_size(alarms) == 0)
        fputs("davyctl: every alarm is normal\n", stderr);
    json_decref(alarms);
    return CTL_DONE;
}

/* A problem is a line of text, or an object with its parts. */
static void print_problem(const json_t *problem)
{
    if (json_is_string(problem)) {
        char *line = davy_ctl_escape(json_string_value(problem));
        fprintf(stderr, "%s\n", line);
        free(line);
        return;
    }
    char *message = davy_ctl_cell(problem, "message");
    char *file = davy_ctl_cell(problem, "file");
    char *path = davy_ctl_cell(problem, "path");
    fprintf(stderr, "%s:%lld: %s: %s\n", file, (long long)json_integer_value(json_object_get(problem, "line")), path,
            message);
    free(message);
    free(file);
    free(path);
}

static void print_outcome(const json_t *reply, bool ok)
{
    const json_int_t changes = json_integer_value(json_object_get(reply, "changes"));
    char *error = davy_ctl_cell(reply, "error");
    if (ok)
        printf("reloaded, %lld %s\n", (long long)changes, changes == 1 ? "change" : "changes");
    else
        fprintf(stderr, "davyctl: %s\n", error);
    free(error);
}

int davy_ctl_reload(struct ctl *ctl)
{
    json_t *reply = NULL;
    int code = davy_ctl_exchange(ctl, verb_request("reload"), &reply);
    if (code != CTL_DONE)
        return code;
    const bool ok = json_is_true(json_object_get(reply, "ok"));
    size_t i;
    json_t *problem;
    if (ctl->json) {
        davy_ctl_print_json(reply, true);
    } else {
        json_array_foreach(json_object_get(reply, "problems"), i, problem) print_problem(problem);
        print_outcome(reply, ok);
    }
    json_decref(reply);
    return ok ? CTL_DONE : CTL_REFUSED;
}

int davy_ctl_log_level(struct ctl *ctl)
{
    json_t *reply = NULL;
    const char *level = davy_ctl_argument(ctl, 0);
    enum davy_log_level known;
    if (davy_log_parse_level(level, &known) < 0)
        return davy_ctl_fail(ctl, CTL_USAGE, "'%s' is not error, warning, notice, info or debug", level);
    json_t *request = verb_request("log-level");
    json_object_set_new(request, "level", json_string(level));
    int code = davy_ctl_ask(ctl, request, &reply);
    if (code == CTL_DONE && ctl->json)
        davy_ctl_print_json(reply, true);
    json_decref(reply);
    return code;
}
