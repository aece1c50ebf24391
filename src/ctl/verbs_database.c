/* SPDX-License-Identifier: Apache-2.0 */
/* events, history: out of the databases, read-only, with the daemon running or not. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "ctl/ctl.h"
#include "model/names.h"
#include "record/query.h"

/* Rows of a table that are held back to line them up. */
#define ROWS_AT_ONCE 500

int davy_ctl_find_database(struct ctl *ctl, const char *name, char **ret_file)
{
    const char *given = davy_ctl_option(ctl, "database");
    if (given) {
        *ret_file = davy_ctl_copy(given);
        return CTL_DONE;
    }
    json_t *reply = NULL;
    int code = davy_ctl_ask(ctl, json_pack("{s:s}", "verb", "status"), &reply);
    if (code == CTL_UNREACHABLE)
        fputs("davyctl: --database FILE reads a database without the daemon\n", stderr);
    if (code == CTL_DONE)
        *ret_file = davy_ctl_format("%s/%s", davy_ctl_text(reply, "directory"), name);
    json_decref(reply);
    return code;
}

/* An option that is a time; 0 where it was not given. */
static int take_time(const struct ctl *ctl, const char *option, davy_wall *ret_t)
{
    const char *text = davy_ctl_option(ctl, option);
    *ret_t = (davy_wall){0};
    if (text && davy_ctl_time(ctl, text, ret_t) < 0)
        return davy_ctl_fail(ctl, CTL_USAGE,
                             "--%s: '%s' is neither a time like 2026-11-23T08:01:02Z or 1795420862, nor a duration "
                             "back from now like 90min or 7d",
                             option, text);
    return CTL_DONE;
}

/* The newest `limit` payloads, or all as they come. */
struct event_list {
    const struct ctl *ctl;
    struct table table;
    char **ring; /* NULL without a limit */
    size_t limit;
    size_t seen;
    bool any;
};

static void add_event(struct event_list *list, const json_t *event)
{
    const char *level = davy_ctl_text(event, "level");
    const char *device = davy_ctl_text(event, "device"), *point = davy_ctl_text(event, "point");
    char *key =
        davy_ctl_format("%s:%s%s%s", davy_ctl_text(event, "rule"), *device ? device : "_", *point ? "." : "", point);
    davy_table_add(&list->table, davy_ctl_cell(event, "seq"), NULL);
    davy_table_add(&list->table, davy_ctl_cell(event, "time"), NULL);
    davy_table_add(&list->table, davy_ctl_cell(event, "level"), level);
    davy_table_add(&list->table, davy_ctl_cell(event, "event"), NULL);
    davy_table_add(&list->table, davy_ctl_cell(event, "state"), NULL);
    davy_table_add(&list->table, davy_ctl_escape(key), NULL);
    davy_table_add(&list->table, davy_ctl_cell(event, "by"), NULL);
    davy_table_add(&list->table, davy_ctl_cell(event, "note"), NULL);
    davy_table_add(&list->table, davy_ctl_cell(event, "message"), NULL);
    free(key);
    if (list->table.count >= ROWS_AT_ONCE * list->table.columns)
        davy_table_flush(&list->table);
}

static void print_event(struct event_list *list, const char *payload)
{
    json_t *event = json_loads(payload, 0, NULL);
    if (list->ctl->json && event)
        davy_ctl_print_json(event, false);
    else if (event)
        add_event(list, event);
    else
        fprintf(stderr, "davyctl: an event's payload is not JSON\n");
    json_decref(event);
}

static bool on_event(void *context, int64_t seq, const char *payload)
{
    (void)seq;
    struct event_list *list = context;
    list->any = true;
    if (!list->ring) {
        print_event(list, payload);
        return !ferror(stdout);
    }
    char **slot = &list->ring[list->seen++ % list->limit];
    free(*slot);
    *slot = davy_ctl_copy(payload);
    return true;
}

static void print_ring(struct event_list *list)
{
    const size_t kept = list->seen < list->limit ? list->seen : list->limit;
    for (size_t i = 0; list->ring && i < kept; i++) {
        char **slot = &list->ring[(list->seen - kept + i) % list->limit];
        print_event(list, *slot);
        free(*slot);
    }
    free(list->ring);
}

static int take_limit(const struct ctl *ctl, struct event_list *list)
{
    const char *text = davy_ctl_option(ctl, "limit");
    int64_t limit = 0;
    if (!text)
        return CTL_DONE;
    if (davy_int_parse(text, &limit) < 0 || limit < 1 || limit > 1000000)
        return davy_ctl_fail(ctl, CTL_USAGE, "--limit: '%s' is not a number from 1 to 1000000", text);
    list->limit = (size_t)limit;
    return CTL_DONE;
}

static int take_filter(const struct ctl *ctl, struct davy_event_filter *ret_filter)
{
    *ret_filter =
        (struct davy_event_filter){.zone = davy_ctl_option(ctl, "zone"), .level = davy_ctl_option(ctl, "level")};
    if (ret_filter->level && davy_level_find(ret_filter->level) <= DAVY_LEVEL_NONE)
        return davy_ctl_fail(ctl, CTL_USAGE, "--level: '%s' is not blue, yellow, orange or red", ret_filter->level);
    int code = take_time(ctl, "since", &ret_filter->since);
    return code == CTL_DONE ? take_time(ctl, "until", &ret_filter->until) : code;
}

static int list_events(struct event_list *list, const char *file, const struct davy_event_filter *filter)
{
    static const char *const heads[] = {">SEQ",  "TIME", "LEVEL", "EVENT",   "STATE",
                                        "ALARM", "BY",   "NOTE",  "MESSAGE", NULL};
    char error[256] = "";
    davy_table_init(&list->table, heads, list->ctl->colour);
    if (list->limit > 0) {
        list->ring = davy_ctl_grow(NULL, list->limit, sizeof *list->ring);
        memset(list->ring, 0, list->limit * sizeof *list->ring);
    }
    int rc = davy_query_events(file, filter, on_event, list, error, sizeof error);
    print_ring(list);
    if (rc == 0 && !list->ctl->json)
        davy_table_flush(&list->table);
    if (rc == 0 && !list->any)
        fprintf(stderr, "davyctl: no such event%s\n", filter->zone ? "; a zone is named by its id" : "");
    davy_table_done(&list->table);
    return rc < 0 ? davy_ctl_fail(list->ctl, CTL_REFUSED, "%s", *error ? error : strerror(-rc)) : CTL_DONE;
}

int davy_ctl_events(struct ctl *ctl)
{
    struct davy_event_filter filter;
    struct event_list list = {.ctl = ctl};
    char *file = NULL;
    int code = take_filter(ctl, &filter);
    if (code == CTL_DONE)
        code = take_limit(ctl, &list);
    if (code == CTL_DONE)
        code = davy_ctl_find_database(ctl, "ledger.db", &file);
    if (code == CTL_DONE)
        code = list_events(&list, file, &filter);
    free(file);
    return code;
}

struct history_list {
    const struct ctl *ctl;
    struct table table;
    bool steps;
    bool any;
};

static char *value_cell(bool has_value, double value)
{
    char text[DAVY_NUM_TEXT];
    return davy_ctl_copy(has_value ? davy_ctl_number(value, text) : "-");
}

static json_t *value_json(bool has_value, double value)
{
    return has_value && isfinite(value) ? json_real(value) : json_null();
}

static void print_history_json(struct history_list *list, const struct davy_history_row *row)
{
    char time[DAVY_WALL_TEXT];
    json_t *object = json_pack("{s:s,s:o,s:s,s:s?}", "time", davy_wall_format(row->time, time), "value",
                               value_json(row->has_value, row->value), "quality", row->quality, "reason", row->reason);
    if (list->steps) {
        json_object_set_new(object, "min", value_json(row->has_value, row->min));
        json_object_set_new(object, "max", value_json(row->has_value, row->max));
        json_object_set_new(object, "count", json_integer(row->count));
        json_object_set_new(object, "coverage", json_real(row->coverage));
        json_object_set_new(object, "rollup", row->rollup ? json_string(row->rollup) : json_null());
    }
    fputs(list->any ? ",\n  " : "{\"readings\": [\n  ", stdout);
    list->any = true;
    davy_ctl_write_json(object, false);
    json_decref(object);
}

static bool on_history(void *context, const struct davy_history_row *row)
{
    struct history_list *list = context;
    char time[DAVY_WALL_TEXT];
    if (list->ctl->json) {
        print_history_json(list, row);
        return !ferror(stdout);
    }
    list->any = true;
    davy_table_add(&list->table, davy_ctl_copy(davy_wall_format(row->time, time)), NULL);
    davy_table_add(&list->table, value_cell(row->has_value, row->value), NULL);
    if (list->steps) {
        davy_table_add(&list->table, value_cell(row->has_value, row->min), NULL);
        davy_table_add(&list->table, value_cell(row->has_value, row->max), NULL);
        davy_table_add(&list->table, davy_ctl_format("%" PRId64, row->count), NULL);
        davy_table_add(&list->table, davy_ctl_format("%d %%", (int)(100 * row->coverage)), NULL);
    }
    char *quality = davy_ctl_format("%s%s%s", row->quality, row->reason ? ":" : "", row->reason ? row->reason : "");
    davy_table_add(&list->table, davy_ctl_escape(quality), row->quality);
    free(quality);
    if (list->table.count >= ROWS_AT_ONCE * list->table.columns)
        davy_table_flush(&list->table);
    return !ferror(stdout);
}

struct history_query {
    const char *point;
    davy_wall since;
    davy_wall until;
    davy_span every;
};

static int take_history(const struct ctl *ctl, struct history_query *ret_query)
{
    const char *every = davy_ctl_option(ctl, "every");
    *ret_query = (struct history_query){.point = davy_ctl_argument(ctl, 0)};
    if (every && (davy_span_parse(every, &ret_query->every) < 0 || ret_query->every.ns < DAVY_NS_PER_MS))
        return davy_ctl_fail(ctl, CTL_USAGE, "--every: '%s' is not a duration such as 10s, 5min or 1h", every);
    int code = take_time(ctl, "since", &ret_query->since);
    return code == CTL_DONE ? take_time(ctl, "until", &ret_query->until) : code;
}

static int list_history(struct ctl *ctl, const char *file, const struct history_query *query)
{
    static const char *const plain[] = {"TIME", ">VALUE", "QUALITY", NULL};
    static const char *const steps[] = {"TIME", ">MEAN", ">MIN", ">MAX", ">COUNT", ">GOOD", "QUALITY", NULL};
    struct history_list list = {.ctl = ctl, .steps = query->every.ns > 0};
    char error[256] = "";
    davy_table_init(&list.table, list.steps ? steps : plain, ctl->colour);
    int rc = davy_query_history(file, query->point, query->since, query->until, query->every, on_history, &list, error,
                                sizeof error);
    if (rc > 0) {
        davy_table_done(&list.table);
        return davy_ctl_fail(ctl, CTL_REFUSED,
                             "'%s' has never been recorded; points are named DEVICE.POINT: see points", query->point);
    }
    if (rc == 0 && !list.any)
        fputs("davyctl: no reading in that time\n", stderr);
    if (rc == 0 && ctl->json)
        puts(list.any ? "\n], \"ok\": true}" : "{\"readings\": [], \"ok\": true}");
    else if (!ctl->json && (rc == 0 || list.any)) /* also what was read until a failure */
        davy_table_flush(&list.table);
    else if (ctl->json &&
             list.any) /* some of the document is out: it is closed, and the reason goes to standard error alone */
        puts("\n], \"ok\": false}");
    const struct ctl teller = {.json = ctl->json && !list.any};
    davy_table_done(&list.table);
    return rc < 0 ? davy_ctl_fail(&teller, CTL_REFUSED, "%s", *error ? error : strerror(-rc)) : CTL_DONE;
}

int davy_ctl_history(struct ctl *ctl)
{
    struct history_query query;
    char *file = NULL;
    int code = take_history(ctl, &query);
    if (code == CTL_DONE)
        code = davy_ctl_find_database(ctl, "readings.db", &file);
    if (code == CTL_DONE)
        code = list_history(ctl, file, &query);
    free(file);
    return code;
}
