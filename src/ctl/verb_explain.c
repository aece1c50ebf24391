/* SPDX-License-Identifier: Apache-2.0 */
/* explain: why an alarm is, or is not, in alarm. The reason first, then the facts that it rests on. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/ctl.h"

/* Width of the names of facts. */
#define NAME "%-13s"

static bool is_number(const json_t *object, const char *key)
{
    return json_is_number(json_object_get(object, key));
}

/* "15.2 ppm"; "-" where there is none. */
static void print_quantity(const json_t *object, const char *key, const char *unit)
{
    char *cell = davy_ctl_cell(object, key), *safe = davy_ctl_escape(unit);
    const bool plain = !is_number(object, key) || strcmp(unit, "") == 0 || strcmp(unit, "1") == 0;
    printf("%s%s%s", cell, plain ? "" : " ", plain ? "" : safe);
    free(cell);
    free(safe);
}

static void print_quality(const json_t *object)
{
    const char *quality = davy_ctl_text(object, "quality"), *reason = davy_ctl_text(object, "reason");
    printf("%s%s%s", quality, *reason ? ":" : "", reason);
}

static void print_age(const char *before, const json_t *object, const char *key, const char *behind)
{
    char *age = davy_ctl_age(json_object_get(object, key));
    printf("%s%s%s", before, age, behind);
    free(age);
}

static void print_reading(const json_t *alarm)
{
    const json_t *reading = json_object_get(alarm, "reading");
    if (!json_is_object(reading)) {
        if (!json_is_object(json_object_get(alarm, "vote")))
            printf(NAME " none yet\n", "reading");
        return;
    }
    printf(NAME " ", "reading");
    print_quantity(reading, "value", davy_ctl_text(reading, "unit"));
    fputs(", ", stdout);
    print_quality(reading);
    print_age(", ", reading, "age_s", " old\n");
}

static void print_measure(const json_t *alarm)
{
    const json_t *measure = json_object_get(alarm, "measure");
    const char *type = davy_ctl_text(measure, "type"), *unit = davy_ctl_text(alarm, "unit");
    const json_t *value = json_object_get(measure, "value"), *upper = json_object_get(measure, "upper");
    if (strcmp(type, "value") == 0)
        return;
    printf(NAME " %s", "measure", type);
    if (is_number(measure, "window_s"))
        print_age(" over ", measure, "window_s", "");
    if (json_is_object(json_object_get(alarm, "vote"))) { /* of each member, see there */
        putchar('\n');
        return;
    }
    fputs(": ", stdout);
    print_quantity(measure, "value", unit);
    if (!json_equal(value, upper)) {
        fputs(" to ", stdout);
        print_quantity(measure, "upper", unit);
    }
    if (is_number(measure, "window_s"))
        printf(", %.0f %% covered", 100 * json_number_value(json_object_get(measure, "coverage")));
    if (is_number(measure, "coverage_needed"))
        printf(" of %.0f %% needed", 100 * json_number_value(json_object_get(measure, "coverage_needed")));
    const char *lack = davy_ctl_text(measure, "lack");
    printf("%s%s\n", *lack ? ", lacks " : "", lack);
}

/* "≥ 14 ppm", "outside 1 to 2 mm/s" */
static char *condition_cell(const json_t *limit, const char *unit)
{
    static const struct {
        const char *name, *sign;
    } signs[] = {{"above", "≥"}, {"below", "≤"}, {"outside", "outside"}, {"equals", "="}};
    const char *condition = davy_ctl_text(limit, "condition"), *sign = condition;
    for (size_t i = 0; i < DAVY_LENGTH(signs); i++)
        if (strcmp(signs[i].name, condition) == 0)
            sign = signs[i].sign;
    char *bound = davy_ctl_cell(limit, "bound"), *high = davy_ctl_cell(limit, "bound_high");
    const bool range = is_number(limit, "bound_high");
    const char *shown = is_number(limit, "bound") ? bound : "the limit of each member";
    unit = is_number(limit, "bound") ? unit : "";
    char *text =
        davy_ctl_format("%s %s%s%s%s%s", sign, shown, range ? " to " : "", range ? high : "", *unit ? " " : "", unit);
    char *cell = davy_ctl_escape(text);
    free(text);
    free(bound);
    free(high);
    return cell;
}

/* Of a vote "≥ 14 ppm, 2 needed". */
static char *limit_cell(const json_t *limit, const char *unit)
{
    char *condition = condition_cell(limit, unit);
    if (!is_number(limit, "needed"))
        return condition;
    char *needed = davy_ctl_cell(limit, "needed"), *cell = davy_ctl_format("%s, %s needed", condition, needed);
    free(condition);
    free(needed);
    return cell;
}

static const char *limit_state(const json_t *limit)
{
    if (json_is_true(json_object_get(limit, "held")))
        return "latched";
    if (!json_is_true(json_object_get(limit, "tripped")))
        return "calm";
    return json_is_true(json_object_get(limit, "uncertain")) ? "tripped, uncertain" : "tripped";
}

/* "on-delay, 12s left", "off-delay, waits for a good reading" */
static char *timer_cell(const json_t *limit)
{
    const char *timer = davy_ctl_text(limit, "timer");
    if (!*timer)
        return davy_ctl_copy("-");
    if (!is_number(limit, "left_s"))
        return davy_ctl_format("%s-delay, waits for a good reading", timer);
    char *left = davy_ctl_age(json_object_get(limit, "left_s"));
    char *cell = davy_ctl_format("%s-delay, %s left", timer, left);
    free(left);
    return cell;
}

static void print_limits(const struct ctl *ctl, const json_t *alarm)
{
    static const char *const heads[] = {"LIMIT", "CONDITION", ">DEADBAND", "STATE", "TIMER", NULL};
    const char *unit = davy_ctl_text(alarm, "unit");
    struct table table;
    davy_table_init(&table, heads, ctl->colour);
    size_t i;
    json_t *limit;
    json_array_foreach(json_object_get(alarm, "limits"), i, limit)
    {
        const char *level = davy_ctl_text(limit, "level");
        const bool upper = json_is_true(json_object_get(limit, "upper"));
        davy_table_add(&table, davy_ctl_format("%s%s", level, upper ? " (upper bound)" : ""), level);
        davy_table_add(&table, limit_cell(limit, unit), NULL);
        davy_table_add(&table, davy_ctl_cell(limit, "deadband"), NULL);
        davy_table_add(&table, davy_ctl_copy(limit_state(limit)), NULL);
        davy_table_add(&table, timer_cell(limit), NULL);
    }
    putchar('\n');
    davy_table_flush(&table);
    davy_table_done(&table);
}

static void print_when(const json_t *alarm)
{
    const json_t *when = json_object_get(alarm, "when");
    if (!json_is_object(when))
        return;
    char *point = davy_ctl_cell(when, "point"), *condition = condition_cell(when, "");
    printf("\n" NAME " %s %s: %s; it is ", "when", point, condition,
           json_is_true(json_object_get(when, "answer")) ? "true" : "false");
    print_quantity(when, "value", "");
    fputs(", ", stdout);
    if (*davy_ctl_text(when, "quality"))
        print_quality(when);
    else
        fputs("not read yet", stdout);
    if (is_number(when, "left_s"))
        print_age("; changes in ", when, "left_s", "");
    putchar('\n');
    free(point);
    free(condition);
}

static void print_vote(const struct ctl *ctl, const json_t *alarm)
{
    static const char *const heads[] = {"MEMBER", "VOTE", ">VALUE", "QUALITY", NULL};
    const json_t *vote = json_object_get(alarm, "vote");
    if (!json_is_object(vote))
        return;
    const long long votes = json_integer_value(json_object_get(vote, "votes"));
    const long long count = json_integer_value(json_object_get(vote, "count"));
    printf("\n" NAME " %lld of %lld, %lld needed, %lld healthy\n", "votes", votes, count,
           (long long)json_integer_value(json_object_get(vote, "needed")),
           (long long)json_integer_value(json_object_get(vote, "healthy")));
    struct table table;
    davy_table_init(&table, heads, ctl->colour);
    size_t i;
    json_t *member;
    json_array_foreach(json_object_get(vote, "members"), i, member)
    {
        const bool votes_so = json_is_true(json_object_get(member, "vote"));
        const bool by_fault = json_is_true(json_object_get(member, "by_fault"));
        davy_table_add(&table, davy_ctl_cell(member, "point"), NULL);
        davy_table_add(&table, davy_ctl_copy(by_fault ? "yes, being bad (on_bad)" : votes_so ? "yes" : "no"), NULL);
        davy_table_add(&table, davy_ctl_cell(member, "value"), NULL);
        davy_table_add(&table, davy_ctl_cell(member, "quality"), davy_ctl_text(member, "quality"));
    }
    davy_table_flush(&table);
    davy_table_done(&table);
}

/* "done", "in 12min", "-": the occurrence has not begun. */
static char *due_cell(const json_t *step)
{
    if (json_is_true(json_object_get(step, "done")))
        return davy_ctl_copy("done");
    char *left = davy_ctl_age(json_object_get(step, "left_s"));
    char *cell = is_number(step, "left_s") ? davy_ctl_format("in %s", left) : davy_ctl_copy("-");
    free(left);
    return cell;
}

static void print_ladder(const struct ctl *ctl, const json_t *alarm)
{
    static const char *const heads[] = {">STEP", ">AFTER", "UNLESS", "OWNER", "LEVEL", "DUE", NULL};
    const json_t *ladder = json_object_get(alarm, "ladder");
    if (json_array_size(ladder) == 0)
        return;
    struct table table;
    davy_table_init(&table, heads, ctl->colour);
    size_t i;
    json_t *step;
    json_array_foreach(ladder, i, step)
    {
        davy_table_add(&table, davy_ctl_cell(step, "step"), NULL);
        davy_table_add(&table, davy_ctl_age(json_object_get(step, "after_s")), NULL);
        davy_table_add(&table, davy_ctl_cell(step, "unless"), NULL);
        davy_table_add(&table, davy_ctl_cell(step, "owner"), NULL);
        davy_table_add(&table, davy_ctl_cell(step, "level"), davy_ctl_text(step, "level"));
        davy_table_add(&table, due_cell(step), NULL);
    }
    putchar('\n');
    davy_table_flush(&table);
    davy_table_done(&table);
}

/* Covers, the occurrence, and who did what. */
static void print_state(const json_t *alarm)
{
    const char *state = davy_ctl_text(alarm, "state"), *below = davy_ctl_text(alarm, "below");
    char *by = davy_ctl_cell(alarm, "by"), *note = davy_ctl_cell(alarm, "note"), *since = davy_ctl_cell(alarm, "since");
    const char *until = davy_ctl_text(alarm, "shelved_until"), *level = davy_ctl_text(alarm, "level");
    const bool covered = *below && strcmp(state, below) != 0;
    printf(NAME " %s", "state", state);
    if (covered)
        printf(" over %s", below);
    if (*until)
        printf("%s%s", davy_ctl_until(state), until);
    if (*level)
        printf(", %s, raised at %s", level, since);
    putchar('\n');
    if (*davy_ctl_text(alarm, "by"))
        printf(NAME " %s%s%s\n", "by", by, *davy_ctl_text(alarm, "note") ? ": " : "",
               *davy_ctl_text(alarm, "note") ? note : "");
    free(by);
    free(note);
    free(since);
}

/* What raises and what ends a built-in alarm, and what to do. */
static void print_builtin(const json_t *builtin)
{
    static const char *const rows[][2] = {{"raised by", "raised"}, {"cleared by", "cleared"}, {"what to do", "todo"}};
    for (size_t i = 0; i < DAVY_LENGTH(rows); i++) {
        char *cell = davy_ctl_cell(builtin, rows[i][1]);
        printf(NAME " %s\n", rows[i][0], cell);
        free(cell);
    }
}

static void print_rule(const struct ctl *ctl, const json_t *alarm)
{
    print_reading(alarm);
    print_measure(alarm);
    print_limits(ctl, alarm);
    print_when(alarm);
    print_vote(ctl, alarm);
    print_ladder(ctl, alarm);
}

static void print_whole(const struct ctl *ctl, const json_t *alarm)
{
    const json_t *builtin = json_object_get(alarm, "builtin");
    char *name = davy_ctl_cell(alarm, "alarm"), *sentence = davy_ctl_cell(alarm, "sentence");
    printf("%s: %s\n\n", name, sentence);
    print_state(alarm);
    if (json_is_object(builtin))
        print_builtin(builtin);
    else
        print_rule(ctl, alarm);
    free(name);
    free(sentence);
}

static void print_lines(const struct ctl *ctl, const json_t *alarms)
{
    static const char *const heads[] = {"ALARM", "STATE", "LEVEL", "WHY", NULL};
    static const char *const keys[] = {"alarm", "state", "level", "sentence"};
    struct table table;
    davy_table_init(&table, heads, ctl->colour);
    size_t i;
    json_t *alarm;
    json_array_foreach(alarms, i, alarm) for (size_t k = 0; k < DAVY_LENGTH(keys); k++)
        davy_table_add(&table, davy_ctl_cell(alarm, keys[k]), k == 2 ? davy_ctl_text(alarm, "level") : NULL);
    davy_table_flush(&table);
    davy_table_done(&table);
}

/* RULE and POINT, or RULE:POINT as alarms are named. */
static json_t *make_request(const struct ctl *ctl)
{
    const char *rule = davy_ctl_argument(ctl, 0), *point = davy_ctl_argument(ctl, 1);
    const char *colon = point ? NULL : strchr(rule, ':');
    json_t *request = json_pack("{s:s}", "verb", "explain");
    json_object_set_new(request, "rule", colon ? json_stringn(rule, (size_t)(colon - rule)) : json_string(rule));
    if (colon)
        point = colon + 1;
    if (point)
        json_object_set_new(request, "point", json_string(point));
    return request;
}

static void print_alarms(const struct ctl *ctl, json_t *alarms)
{
    if (ctl->json) {
        json_t *document = json_pack("{s:b,s:O}", "ok", 1, "alarms", alarms);
        davy_ctl_print_json(document, true);
        json_decref(document);
    } else if (json_array_size(alarms) == 1) {
        print_whole(ctl, json_array_get(alarms, 0));
    } else if (json_array_size(alarms) == 0) {
        puts("none of these alarms stands");
    } else {
        print_lines(ctl, alarms);
    }
}

/* ---- what watches a sensor ---- */

static bool has_member(const json_t *alarm, const char *point)
{
    size_t i;
    json_t *member;
    json_array_foreach(json_object_get(json_object_get(alarm, "vote"), "members"), i,
                       member) if (strcmp(davy_ctl_text(member, "point"), point) == 0) return true;
    return false;
}

static bool is_of(const json_t *alarm, const char *name, const char *point)
{
    if (json_is_object(json_object_get(alarm, "builtin")))
        return false;
    return strcmp(name, "_") != 0 || has_member(alarm, point);
}

/* Whether an alarm of the list may be about the point: it is named after it, or it is a vote, which is looked into. */
static bool may_watch(const json_t *alarm, const char *point)
{
    const char *key = davy_ctl_text(alarm, "alarm"), *colon = strchr(key, ':');
    return colon && (strcmp(colon + 1, point) == 0 || strcmp(colon + 1, "_") == 0);
}

/* Add its explanation to the list where it is a rule's that watches the point. */
static int add_watcher(struct ctl *ctl, const json_t *alarm, const char *point, json_t *watchers)
{
    const char *key = davy_ctl_text(alarm, "alarm"), *colon = strchr(key, ':');
    json_t *reply = NULL;
    const int code = davy_ctl_exchange(
        ctl, json_pack("{s:s,s:s%,s:s}", "verb", "explain", "rule", key, (size_t)(colon - key), "point", colon + 1),
        &reply);
    if (code != CTL_DONE)
        return code;
    size_t i;
    json_t *one;
    json_array_foreach(json_object_get(reply, "alarms"), i, one) if (is_of(one, colon + 1, point))
        json_array_append(watchers, one);
    json_decref(reply);
    return CTL_DONE;
}

static int find_watchers(struct ctl *ctl, const char *point, json_t *watchers)
{
    json_t *alarms = NULL;
    int code = davy_ctl_pages(ctl, json_pack("{s:s,s:b}", "verb", "alarms", "all", 1), "alarms", "alarm", &alarms);
    for (size_t i = 0; code == CTL_DONE && i < json_array_size(alarms); i++)
        if (may_watch(json_array_get(alarms, i), point))
            code = add_watcher(ctl, json_array_get(alarms, i), point, watchers);
    json_decref(alarms);
    return code;
}

static int explain_points(struct ctl *ctl, const json_t *points)
{
    json_t *watchers = json_array(), *point;
    int code = CTL_DONE;
    size_t i;
    json_array_foreach(points, i, point)
    {
        const char *name = davy_ctl_text(point, "point");
        const size_t before = json_array_size(watchers);
        code = code == CTL_DONE ? find_watchers(ctl, name, watchers) : code;
        if (code == CTL_DONE && json_array_size(watchers) == before && !ctl->json)
            printf("no rule watches %s: only the fault of its device is an alarm\n", name);
    }
    if (code == CTL_DONE && (ctl->json || json_array_size(watchers) > 0))
        print_alarms(ctl, watchers);
    json_decref(watchers);
    return code;
}

static int is_rule(struct ctl *ctl, const char *name, bool *ret_rule)
{
    json_t *reply = NULL;
    const int code = davy_ctl_exchange(ctl, json_pack("{s:s,s:s}", "verb", "explain", "rule", name), &reply);
    if (code == CTL_DONE)
        *ret_rule = json_is_true(json_object_get(reply, "ok"));
    json_decref(reply);
    return code;
}

/* What stands in place of a rule may be a point, or a device, which is all its points: those that the daemon has. */
static int ask_points(struct ctl *ctl, const char *name, json_t **ret_points)
{
    const bool device = !strchr(name, '.');
    bool rule = false;
    *ret_points = json_array();
    if (ctl->argument_count != 1 || strpbrk(name, ":*?["))
        return CTL_DONE;
    int code = device ? is_rule(ctl, name, &rule) : CTL_DONE;
    if (code != CTL_DONE || rule)
        return code;
    char *glob = davy_ctl_format("%s%s", name, device ? ".*" : "");
    json_decref(*ret_points);
    code = davy_ctl_pages(ctl, json_pack("{s:s,s:s}", "verb", "points", "glob", glob), "points", "point", ret_points);
    free(glob);
    return code;
}

int davy_ctl_explain(struct ctl *ctl)
{
    const char *first = davy_ctl_argument(ctl, 0);
    json_t *alarms = NULL, *points = NULL;
    int code = ask_points(ctl, first, &points);
    if (code == CTL_DONE && json_array_size(points) > 0) {
        code = explain_points(ctl, points);
    } else if (code == CTL_DONE) {
        code = davy_ctl_pages(ctl, make_request(ctl), "alarms", "alarm", &alarms);
        if (code == CTL_DONE)
            print_alarms(ctl, alarms);
    }
    json_decref(alarms);
    json_decref(points);
    return code;
}
