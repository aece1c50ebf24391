/* SPDX-License-Identifier: Apache-2.0 */
/* scan: which units answer on a bus. One harmless read each, which the daemon puts between its polls. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/uuid.h"
#include "ctl/ctl.h"
#include "ctl/progress.h"
#include "ctl/units.h"
#include "model/names.h"

/* A link that is opened again needs a moment; one that stays shut ends the scan. */
#define DOWN_TRIES 5

/* From so many units on that all answer, it is one device that does not look at the number. */
#define DEAF_LEAST 4

struct finding {
    bool there;    /* answers */
    bool garbled;  /* something answers, not understandably, two times */
    char text[24]; /* "exception 2" */
};

struct scan {
    struct ctl *ctl;
    const char *bus;
    char id[DAVY_UUID_TEXT];
    enum davy_table table;
    int64_t address;
    struct units units;
    json_t *begun; /* what the daemon said at the begin */
    double polls_per_s;
    struct progress progress;
    struct finding findings[256];
    size_t done, found;
    bool stopped;
};

static json_t *request(const struct scan *scan, const char *verb)
{
    return json_pack("{s:s,s:s,s:s}", "verb", verb, "bus", scan->bus, "id", scan->id);
}

static davy_mono now(void)
{
    return davy_clock_now(&davy_system_clock).mono;
}

/* ---- before ---- */

static int take_options(struct scan *scan)
{
    const struct ctl *ctl = scan->ctl;
    const char *table = davy_ctl_option(ctl, "table"), *address = davy_ctl_option(ctl, "register");
    const int found = table ? davy_table_find(table) : DAVY_TABLE_HOLDING;
    if (found < 0)
        return davy_ctl_fail(ctl, CTL_USAGE, "'%s' is not coil, discrete, input or holding", table);
    scan->table = (enum davy_table)found;
    return address ? davy_ctl_take_number(ctl, address, 0, 65535, &scan->address) : CTL_DONE;
}

static int take_units(struct scan *scan, bool line)
{
    const char *text = davy_ctl_option(scan->ctl, "units");
    const int lowest = line ? 1 : 0, highest = line ? 247 : 255;
    davy_units_all(&scan->units);
    if (!text || davy_units_parse(text, lowest, highest, &scan->units) == 0)
        return CTL_DONE;
    return davy_ctl_fail(
        scan->ctl, CTL_USAGE, "'%s' are not units from %d to %d such as 1-32,40%s", text, lowest, highest,
        line ? "; the others are the broadcast and reserved or universal addresses, which a scan never asks" : "");
}

static bool is_configured(const struct scan *scan, int unit)
{
    size_t i;
    json_t *device;
    json_array_foreach(json_object_get(scan->begun, "devices"), i,
                       device) if (json_integer_value(json_object_get(device, "unit")) == unit) return true;
    return false;
}

/* Of those that are asked, the configured ones most likely answer at once. */
static size_t count_strangers(const struct scan *scan)
{
    size_t strangers = 0;
    for (int unit = 0; unit < 256; unit++)
        strangers += scan->units.asked[unit] && !is_configured(scan, unit);
    return strangers;
}

static void say_before(const struct scan *scan, davy_span timeout)
{
    const davy_span about = davy_scan_time(count_strangers(scan), timeout, scan->polls_per_s);
    json_t *seconds = json_integer(about.ns / DAVY_NS_PER_S + 1);
    char *age = davy_ctl_age(seconds);
    fprintf(stderr,
            "%s: %zu units, about %s where only the configured ones answer; polls go first. Speed, "
            "parity and timeout stay those of the bus: a device with others, or slower, is not seen.\n",
            scan->bus, scan->units.count, age);
    free(age);
    json_decref(seconds);
}

static int begin(struct scan *scan)
{
    int code = davy_ctl_ask(scan->ctl, request(scan, "scan-begin"), &scan->begun);
    if (code != CTL_DONE)
        return code;
    const double timeout = json_number_value(json_object_get(scan->begun, "timeout_s"));
    scan->polls_per_s = json_number_value(json_object_get(scan->begun, "polls_per_s"));
    code = take_units(scan, strcmp(davy_ctl_text(scan->begun, "type"), "tcp") != 0);
    if (code == CTL_DONE)
        say_before(scan, (davy_span){(int64_t)(timeout * 1e9)});
    return code;
}

/* ---- steps ---- */

/* Ask one unit; the caller's reply has an answer. */
static int ask(struct scan *scan, int unit, json_t **ret_reply)
{
    json_t *step = request(scan, "scan");
    json_object_set_new(step, "unit", json_integer(unit));
    json_object_set_new(step, "table", json_string(davy_table_name(scan->table)));
    json_object_set_new(step, "register", json_integer(scan->address));
    return davy_ctl_ask(scan->ctl, step, ret_reply);
}

static void note(struct finding *finding, const char *answer, int exception)
{
    finding->there = davy_scan_is_there(answer, exception);
    finding->garbled = strcmp(answer, "invalid") == 0;
    if (exception)
        snprintf(finding->text, sizeof finding->text, "exception %d", exception);
    else
        snprintf(finding->text, sizeof finding->text, "%s", finding->there ? "yes" : "no");
}

/* Whether to ask again: noise may pass, a link may be opened anew, and of a configured device silence is news. */
static bool is_doubtful(const struct scan *scan, int unit, const char *answer, unsigned tries)
{
    if (strcmp(answer, "down") == 0)
        return tries < DOWN_TRIES;
    return tries < 2 &&
           (strcmp(answer, "invalid") == 0 || (strcmp(answer, "timeout") == 0 && is_configured(scan, unit)));
}

static bool show(struct scan *scan, davy_mono began)
{
    const size_t left = scan->units.count - scan->done;
    const double elapsed = (double)davy_mono_sub(now(), began).ns / 1e9;
    json_t *seconds = json_integer((json_int_t)(scan->done ? elapsed / (double)scan->done * (double)left : 0) + 1);
    char *age = davy_ctl_age(seconds);
    const bool on = davy_progress_say(&scan->progress, "%zu of %zu units, %zu found, %s left", scan->done,
                                      scan->units.count, scan->found, age);
    free(age);
    json_decref(seconds);
    return on;
}

/* One unit until its answer is clear. */
static int scan_unit(struct scan *scan, int unit)
{
    struct finding *finding = &scan->findings[unit];
    for (unsigned tries = 1;; tries++) {
        json_t *reply = NULL;
        const int code = ask(scan, unit, &reply);
        if (code != CTL_DONE)
            return code;
        const char *answer = davy_ctl_text(reply, "answer");
        const bool down = strcmp(answer, "down") == 0, again = is_doubtful(scan, unit, answer, tries);
        note(finding, answer, (int)json_integer_value(json_object_get(reply, "exception")));
        json_decref(reply);
        if (down && !again)
            return davy_ctl_fail(scan->ctl, CTL_REFUSED, "the line or connection went down at unit %d", unit);
        if (!davy_progress_wait(&scan->progress, davy_span_s(down ? 1 : 0)))
            scan->stopped = true;
        if (!again || scan->stopped)
            return CTL_DONE;
    }
}

static int scan_all(struct scan *scan)
{
    const davy_mono began = now();
    int code = CTL_DONE;
    for (int unit = 0; unit < 256 && code == CTL_DONE && !scan->stopped; unit++) {
        if (!scan->units.asked[unit])
            continue;
        if (!show(scan, began)) {
            scan->stopped = true;
            break;
        }
        code = scan_unit(scan, unit);
        scan->done += code == CTL_DONE;
        scan->found += scan->findings[unit].there;
    }
    return code;
}

/* ---- after ---- */

/* "GT-1", or both of two with one number. Malloc'ed. */
static char *devices_cell(const struct scan *scan, int unit, const char *key)
{
    char *text = davy_ctl_copy("");
    size_t i;
    json_t *device;
    json_array_foreach(json_object_get(scan->begun, "devices"), i, device)
    {
        if (json_integer_value(json_object_get(device, "unit")) != unit)
            continue;
        char *longer = davy_ctl_format("%s%s%s", text, *text ? ", " : "", davy_ctl_text(device, key));
        free(text);
        text = longer;
    }
    char *cell = davy_ctl_escape(*text ? text : "-");
    free(text);
    return cell;
}

/* What the reader should do about it; "" for nothing. */
static const char *remark(const struct scan *scan, int unit)
{
    const struct finding *finding = &scan->findings[unit];
    const bool configured = is_configured(scan, unit);
    if (finding->garbled)
        return "garbled: two devices with this number, or noise";
    if (!finding->there)
        return "configured, but silent";
    if (!configured)
        return "not configured";
    return strncmp(finding->text, "exception", 9) == 0 ? "there: an exception is an answer too" : "";
}

static bool is_listed(const struct scan *scan, int unit)
{
    const struct finding *finding = &scan->findings[unit];
    return finding->text[0] && (finding->there || finding->garbled || is_configured(scan, unit));
}

static size_t count(const struct scan *scan, bool there, bool configured)
{
    size_t sum = 0;
    for (int unit = 0; unit < 256; unit++)
        sum += is_listed(scan, unit) && scan->findings[unit].there == there && is_configured(scan, unit) == configured;
    return sum;
}

static bool is_deaf(const struct scan *scan)
{
    return scan->done >= DEAF_LEAST && scan->found == scan->done;
}

static void print_table(const struct scan *scan)
{
    static const char *const heads[] = {">UNIT", "ANSWER", "DEVICE", "NAME", "PROFILE", "REMARK", NULL};
    struct table table;
    davy_table_init(&table, heads, scan->ctl->colour);
    for (int unit = 0; unit < 256; unit++) {
        if (!is_listed(scan, unit))
            continue;
        const char *level = scan->findings[unit].there ? NULL : "bad";
        davy_table_add(&table, davy_ctl_format("%d", unit), NULL);
        davy_table_add(&table, davy_ctl_copy(scan->findings[unit].text), level);
        davy_table_add(&table, devices_cell(scan, unit, "device"), NULL);
        davy_table_add(&table, devices_cell(scan, unit, "name"), NULL);
        davy_table_add(&table, devices_cell(scan, unit, "profile"), NULL);
        davy_table_add(&table, davy_ctl_copy(remark(scan, unit)), *remark(scan, unit) ? "yellow" : NULL);
    }
    davy_table_flush(&table);
    davy_table_done(&table);
}

static void print_text(const struct scan *scan)
{
    const size_t unknown = count(scan, true, false);
    print_table(scan);
    printf("%s%zu of %zu units asked: %zu answer, %zu of them not configured; %zu configured silent\n",
           scan->stopped ? "stopped; " : "", scan->done, scan->units.count, scan->found, unknown,
           count(scan, false, true));
    if (is_deaf(scan))
        puts("every unit answers: this is one device that does not look at the unit number");
    else if (unknown > 0)
        printf("davyctl identify %s UNIT tells which profile fits one that is not configured\n", scan->bus);
}

static json_t *row(const struct scan *scan, int unit)
{
    const struct finding *finding = &scan->findings[unit];
    json_t *names = json_array();
    size_t i;
    json_t *device;
    json_array_foreach(json_object_get(scan->begun, "devices"), i,
                       device) if (json_integer_value(json_object_get(device, "unit")) == unit)
        json_array_append(names, json_object_get(device, "device"));
    return json_pack("{s:i,s:s,s:b,s:b,s:o}", "unit", unit, "answer", finding->text, "there", finding->there, "garbled",
                     finding->garbled, "devices", names);
}

static void print_json(const struct scan *scan)
{
    json_t *units = json_array();
    for (int unit = 0; unit < 256; unit++)
        if (is_listed(scan, unit))
            json_array_append_new(units, row(scan, unit));
    json_t *document = json_pack("{s:b,s:s,s:I,s:I,s:b,s:b,s:o}", "ok", 1, "bus", scan->bus, "asked",
                                 (json_int_t)scan->done, "of", (json_int_t)scan->units.count, "stopped", scan->stopped,
                                 "every_unit_answers", is_deaf(scan), "units", units);
    davy_ctl_print_json(document, true);
    json_decref(document);
}

/* The bus is free for another scan; where this is not heard it is in a minute. */
static void end(struct scan *scan)
{
    json_t *reply = NULL;
    if (davy_ctl_exchange(scan->ctl, request(scan, "scan-end"), &reply) == CTL_DONE)
        json_decref(reply);
    json_decref(scan->begun);
}

static int run(struct scan *scan)
{
    davy_progress_begin(&scan->progress);
    const int code = scan_all(scan);
    davy_progress_clear(&scan->progress);
    if (!scan->ctl->json)
        print_text(scan);
    else if (code == CTL_DONE)
        print_json(scan);
    end(scan);
    davy_progress_end(&scan->progress);
    return code;
}

int davy_ctl_scan(struct ctl *ctl)
{
    struct scan scan = {.ctl = ctl, .bus = davy_ctl_argument(ctl, 0)};
    const struct davy_uuid id = davy_uuid_new(ctl->now);
    davy_uuid_format(&id, scan.id);
    int code = take_options(&scan);
    if (code == CTL_DONE)
        code = begin(&scan);
    if (code == CTL_DONE)
        return run(&scan);
    if (scan.begun)
        end(&scan);
    return code;
}
