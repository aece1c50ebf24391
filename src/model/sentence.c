/* SPDX-License-Identifier: Apache-2.0 */
/* The `message` of an event: one sentence for people, of which nothing is parsed. */
#include <string.h>

#include "base/buf.h"
#include "base/num.h"
#include "model/alarm.h"

/* ---- numbers and times for people ---- */

/* Of `outside`: whether the bound that the event tells of is the upper one. */
static bool is_upper_bound(const struct davy_rule *rule, const struct davy_event *event)
{
    size_t place = 0;
    while (rule->per_point && place + 1 < rule->point_count && rule->points[place] != event->subject.point)
        place++;
    const struct davy_limit *limit = &davy_rule_limits(rule, place)[event->limit_index];
    return event->limit > limit->a / 2 + limit->b / 2;
}

/* How the value stands to the limit; NULL where it is not on the trip side. */
static const char *sign_of(const struct davy_rule *rule, const struct davy_event *event)
{
    if (!event->has_value)
        return NULL;
    bool reaches = event->value >= event->limit, stays_under = event->value <= event->limit;
    if (event->condition == DAVY_CONDITION_EQUALS)
        return reaches && stays_under ? "=" : NULL;
    if (event->condition == DAVY_CONDITION_ABOVE ||
        (event->condition == DAVY_CONDITION_OUTSIDE && is_upper_bound(rule, event)))
        return reaches ? "≥" : NULL;
    return stays_under ? "≤" : NULL;
}

/* Four digits are enough for people; the exact value has its own key. */
static void quantity_text(struct davy_buf *out, double value, const char *unit)
{
    davy_buf_printf(out, fabs(value) < 9999.5 ? "%.4g" : "%.0f", value);
    if (unit[0] && !(unit[0] == '1' && unit[1] == '\0'))
        davy_buf_printf(out, " %s", unit);
}

/* "10 min": as the file has it, with a space. */
static void span_text(struct davy_buf *out, davy_span span)
{
    char text[DAVY_NUM_TEXT];
    davy_span_print(span, text);
    size_t digits = strspn(text, "0123456789");
    davy_buf_bytes(out, text, digits);
    davy_buf_printf(out, " %s", text + digits);
}

/* A time that was reckoned: to the second below two minutes, else to the minute. */
static void about_text(struct davy_buf *out, davy_span span)
{
    const int64_t minute = 60 * DAVY_NS_PER_S;
    int64_t step = span.ns < 2 * minute ? DAVY_NS_PER_S : minute;
    int64_t count = span.ns / step + (span.ns % step > step / 2);
    davy_buf_printf(out, step == minute ? "%lld min" : "%lld s", (long long)count);
}

/* ---- what a rule measures ---- */

struct subject_text {
    const struct davy_config *config;
    const struct davy_event *event;
    const struct davy_rule *rule;
    const struct davy_point *point;
    const char *quantity; /* "H2S", else the point's name */
};

static void over_window(struct davy_buf *out, const struct subject_text *about, const char *what)
{
    davy_buf_printf(out, "%s over ", what);
    span_text(out, about->rule->options.window);
    davy_buf_printf(out, " of %s", about->quantity);
}

static void exposure(struct davy_buf *out, const struct subject_text *about)
{
    bool twa = about->rule->measure == DAVY_MEASURE_TWA;
    davy_buf_printf(out, "%s %s", about->quantity, twa ? "8-h exposure (TWA)" : "15-min exposure (STEL)");
    if (about->event->has_limit && about->rule->limits[about->event->limit_index].upper)
        davy_buf_text(out, ", gaps as the readings beside them,");
}

static void difference(struct davy_buf *out, const struct subject_text *about)
{
    const struct davy_rule *rule = about->rule;
    char name[DAVY_KEY_SIZE];
    davy_buf_text(out, about->quantity);
    for (size_t i = 0; rule->options.others && i < rule->point_count; i++)
        if (rule->points[i] == about->event->subject.point)
            davy_buf_printf(out, " minus %s", davy_config_point_name(about->config, rule->options.others[i], name));
}

static void occurrences(struct davy_buf *out, const struct subject_text *about)
{
    const struct davy_measure_options *options = &about->rule->options;
    const char *counted = about->config->rules[options->rule].name;
    if (options->days) {
        davy_buf_printf(out, "%s, days in a row with an alarm %s:", about->quantity, counted);
        return;
    }
    davy_buf_printf(out, "%s, alarms %s in ", about->quantity, counted);
    span_text(out, options->window);
    davy_buf_char(out, ':');
}

/* "mean over 10 min of H2S": what the number that follows is. */
static void measure_text(struct davy_buf *out, const struct subject_text *about)
{
    static const char *const windowed[DAVY_MEASURE_COUNT_] = {
        [DAVY_MEASURE_MEAN] = "mean",
        [DAVY_MEASURE_MIN] = "minimum",
        [DAVY_MEASURE_MAX] = "maximum",
        [DAVY_MEASURE_STDDEV] = "standard deviation",
        [DAVY_MEASURE_RMS] = "rms",
        [DAVY_MEASURE_RATE] = "rate",
        [DAVY_MEASURE_DEVIATION] = "deviation from the mean",
    };
    enum davy_measure measure = about->rule->measure;
    if (windowed[measure]) {
        over_window(out, about, windowed[measure]);
    } else if (measure == DAVY_MEASURE_FORECAST) {
        davy_buf_printf(out, "forecast of %s in ", about->quantity);
        span_text(out, about->rule->options.horizon);
        davy_buf_char(out, ':');
    } else if (measure == DAVY_MEASURE_STEL || measure == DAVY_MEASURE_TWA) {
        exposure(out, about);
    } else if (measure == DAVY_MEASURE_STUCK) {
        davy_buf_printf(out, "%s has not moved for", about->quantity);
    } else if (measure == DAVY_MEASURE_DIFFERENCE) {
        difference(out, about);
    } else if (measure == DAVY_MEASURE_OCCURRENCES) {
        occurrences(out, about);
    } else {
        davy_buf_text(out, about->quantity);
    }
}

/* "min", "10min": what a rate is divided by. */
static void per_text(struct davy_buf *out, davy_span per)
{
    char text[DAVY_NUM_TEXT];
    davy_span_print(per, text);
    davy_buf_text(out, text[0] == '1' && strspn(text, "0123456789") == 1 ? text + 1 : text);
}

#define UNIT_SIZE 96

static void unit_text(const struct subject_text *about, char text[UNIT_SIZE])
{
    struct davy_buf out;
    davy_buf_init(&out, text, UNIT_SIZE);
    enum davy_measure measure = about->rule->measure;
    const char *unit = about->point->unit ? about->point->unit : "1";
    if (measure == DAVY_MEASURE_DEVIATION || measure == DAVY_MEASURE_STUCK) {
        davy_buf_text(&out, measure == DAVY_MEASURE_STUCK ? "s" : "σ");
    } else if (measure == DAVY_MEASURE_RATE) {
        davy_buf_printf(&out, "%s/", unit);
        per_text(&out, about->rule->options.per);
    } else if (measure != DAVY_MEASURE_OCCURRENCES) {
        davy_buf_text(&out, unit);
    }
}

static const char *quantity_of(const struct davy_point *point)
{
    return point->quantity ? point->quantity : point->name;
}

static void limit_sentence(struct davy_buf *out, const struct davy_config *config, const struct davy_event *event)
{
    const struct davy_point *point = &config->points[event->subject.point];
    const struct subject_text about = {.config = config,
                                       .event = event,
                                       .rule = &config->rules[event->subject.rule],
                                       .point = point,
                                       .quantity = quantity_of(point)};
    char unit[UNIT_SIZE];
    unit_text(&about, unit);
    davy_buf_printf(out, "%s: ", config->devices[point->device].name);
    measure_text(out, &about);
    if (event->has_value) {
        davy_buf_char(out, ' ');
        quantity_text(out, event->value, unit);
    }
    if (event->has_limit) {
        const char *sign = sign_of(about.rule, event);
        davy_buf_text(out, sign ? " " : ", limit");
        davy_buf_printf(out, "%s ", sign ? sign : "");
        quantity_text(out, event->limit, unit);
    }
    if (about.rule->measure == DAVY_MEASURE_FORECAST && event->has_limit && event->time_to_limit.ns >= 0) {
        davy_buf_text(out, ", reached in ");
        about_text(out, event->time_to_limit);
    }
}

/* ", Tank farm (A1): H2S": the zone of a vote, which is that of all its members, and what they measure if it is one. */
static void vote_place(struct davy_buf *out, const struct davy_config *config, const struct davy_rule *rule)
{
    if (rule->point_count == 0)
        return;
    const struct davy_point *first = &config->points[rule->points[0]];
    bool one_quantity = true;
    for (size_t i = 1; i < rule->point_count; i++)
        one_quantity = one_quantity && strcmp(quantity_of(&config->points[rule->points[i]]), quantity_of(first)) == 0;
    if (first->zone < config->zone_count) {
        const struct davy_zone *zone = &config->zones[first->zone];
        const bool named = zone->name && strcmp(zone->name, zone->id) != 0;
        davy_buf_printf(out, ", %s%s%s%s", named ? zone->name : "", named ? " (" : "", zone->id, named ? ")" : "");
    }
    if (one_quantity)
        davy_buf_printf(out, ": %s", quantity_of(first));
}

/* "tank-2oo3, Tank farm (A1): H2S: 2 of 3 vote, 2 needed" */
static void vote_sentence(struct davy_buf *out, const struct davy_config *config, const struct davy_rule *rule,
                          const struct davy_event *event)
{
    davy_buf_text(out, rule->name);
    vote_place(out, config, rule);
    davy_buf_text(out, ": ");
    if (event->has_value)
        davy_buf_printf(out, "%.0f of %zu vote", event->value, rule->point_count);
    else
        davy_buf_printf(out, "vote of %zu", rule->point_count);
    if (event->has_limit)
        davy_buf_printf(out, ", %.0f needed", event->limit);
}

static void rule_sentence(struct davy_buf *out, const struct davy_config *config, const struct davy_event *event)
{
    const struct davy_rule *rule = &config->rules[event->subject.rule];
    const char *message = rule->limits[event->limit_index].message;
    if (message)
        davy_buf_printf(out, "%s: ", message);
    if (event->subject.point == DAVY_NONE)
        vote_sentence(out, config, rule, event);
    else
        limit_sentence(out, config, event);
    if (event->reason != DAVY_REASON_NONE)
        davy_buf_printf(out, " (%s: %s)", davy_quality_name(event->quality), davy_reason_name(event->reason));
}

/* ---- built-in alarms ---- */

static const char *const builtin_sentences[DAVY_ALARM_COUNT_] = {
    [DAVY_ALARM_FAULT] = "no good reading",
    [DAVY_ALARM_VOTE_FAULT] = "fewer healthy members than votes needed",
    [DAVY_ALARM_INHIBIT] = "warm-up, calibration or inhibit: limits are held",
    [DAVY_ALARM_CALIBRATION] = "calibration is due",
    [DAVY_ALARM_STORAGE] = "storage is failing or slow",
    [DAVY_ALARM_MQTT] = "no connection to the platform, it refuses, or it does not confirm",
    [DAVY_ALARM_CLOCK] = "clock stepped, or is not synchronized",
    [DAVY_ALARM_CONFIG] = "a reload was refused, the old configuration runs on",
    [DAVY_ALARM_OVERLOAD] = "cannot keep up",
    [DAVY_ALARM_FLOOD] = "alarm flood",
    [DAVY_ALARM_CHATTER] = "chattering alarm",
};

static void builtin_sentence(struct davy_buf *out, const struct davy_config *config, const struct davy_event *event)
{
    char key[DAVY_KEY_SIZE];
    const struct davy_subject *subject = &event->subject;
    bool bus = subject->kind == DAVY_ALARM_FAULT && subject->device == DAVY_NONE;
    bool vote = subject->kind == DAVY_ALARM_VOTE_FAULT && subject->rule != DAVY_NONE;
    const char *name =
        vote ? config->rules[subject->rule].name : strchr(davy_subject_key(config, subject, key), ':') + 1;
    davy_buf_printf(out, "%s: %s%s", name, bus ? "no answer on this line" : builtin_sentences[subject->kind],
                    event->active ? "" : ": over");
    if (event->active && event->reason != DAVY_REASON_NONE)
        davy_buf_printf(out, " (%s)", davy_reason_name(event->reason));
}

/* ---- what has happened to it ---- */

static void overdue_text(struct davy_buf *out, const struct davy_config *config, const struct davy_event *event)
{
    uint32_t rule = event->subject.rule;
    if (rule == DAVY_NONE || event->step == 0 || event->step > config->rules[rule].step_count)
        return;
    const struct davy_step *step = &config->rules[rule].steps[event->step - 1];
    davy_buf_text(out,
                  step->unless_cleared ? "; overdue: not cleared for " : "; overdue: nobody has acknowledged for ");
    span_text(out, step->after);
}

static void transition_text(struct davy_buf *out, const struct davy_config *config, const struct davy_event *event)
{
    static const char *const of_event[DAVY_EVENT_COUNT_] = {
        [DAVY_EVENT_SHELVED] = "; shelved",
        [DAVY_EVENT_UNSHELVED] = "; not shelved any more",
        [DAVY_EVENT_SUPPRESSED] = "; suppressed: the rule does not apply now",
        [DAVY_EVENT_UNSUPPRESSED] = "; the rule applies again",
        [DAVY_EVENT_OUT_OF_SERVICE] = "; out of service",
        [DAVY_EVENT_IN_SERVICE] = "; in service again",
        [DAVY_EVENT_RETIRED] = "; retired: not in the configuration any more",
    };
    static const char *const of_state[DAVY_STATE_COUNT_] = {
        [DAVY_STATE_SUPPRESSED] = " [suppressed]",
        [DAVY_STATE_SHELVED] = " [shelved]",
        [DAVY_STATE_OUT_OF_SERVICE] = " [out of service]",
    };
    if (event->type == DAVY_EVENT_OVERDUE)
        overdue_text(out, config, event);
    if (of_event[event->type])
        davy_buf_text(out, of_event[event->type]);
    else if (of_state[event->state])
        davy_buf_text(out, of_state[event->state]);
}

void davy_event_message(const struct davy_config *config, const struct davy_event *event, char *text, size_t size)
{
    struct davy_buf out;
    davy_buf_init(&out, text, size);
    if (event->subject.kind == DAVY_ALARM_RULE)
        rule_sentence(&out, config, event);
    else
        builtin_sentence(&out, config, event);
    transition_text(&out, config, event);
}
