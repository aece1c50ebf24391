/* SPDX-License-Identifier: Apache-2.0 */
/*
 * explain: for each alarm of a rule, or those whose point is asked for, or a built-in alarm,
 *   {"alarm","why","sentence","rule","point","state","below","level","active","acknowledged","latched","by","note",
 *    "shelved_until","inhibited_until","out_of_service","since","count","unit",
 *    "reading":{"value","unit","quality","reason","time","age_s"},
 *    "measure":{"type","window_s","value","upper","coverage","coverage_needed","lack"},
 *    "limits":[{"level","condition","bound","bound_high","needed","deadband","on_delay_s","off_delay_s","latch",
 *               "upper","tripped","held","uncertain","timer","left_s"}],
 *    "when":{"point","condition","bound","for_s","answer","value","quality","reason","left_s"},
 *    "vote":{"votes","needed","healthy","count","members":[{"point","vote","by_fault","value","quality"}]},
 *    "ladder":[{"step","after_s","unless","owner","level","done","left_s"}],"builtin":{"raised","cleared","todo"}}
 * `reading`, `when` and `vote` are null where there is none. Of a vote the limits are those of its members, `bound`
 * null where they differ, and `needed` tells how many of them; it is null elsewhere. `builtin`, only of a built-in one,
 * is what raises and what ends it, and what to do; the facts of rules are null or empty there (answer_builtin.c).
 */
#include <stdlib.h>
#include <string.h>

#include "config/nearest.h"
#include "daemon/answer.h"
#include "daemon/answer_internal.h"
#include "evaluate/explain.h"

/* Members of a vote that are told. */
#define MEMBERS 64

/* What the answers are taken from, lent for one request. */
struct source {
    const struct davy_config *config;
    const struct davy_engine *engine;
    const struct davy_decoder *decoder;
    struct davy_stamp now;
};

static double seconds(davy_span span)
{
    return (double)(span.ns / DAVY_NS_PER_MS) / 1e3;
}

static void span_or_null(struct davy_buf *out, const char *key, davy_span span)
{
    answer_number(out, key, span.ns >= 0, seconds(span));
}

static void tell_reading(struct davy_buf *out, const struct davy_config *config,
                         const struct davy_explanation *explanation, davy_mono now)
{
    const struct davy_reading *newest = &explanation->newest;
    if (!explanation->has_newest || explanation->view.subject.point == DAVY_NONE) {
        davy_json_null(out, "reading");
        return;
    }
    davy_json_key_open(out, "reading", '{');
    answer_number(out, "value", newest->has_value, newest->value);
    davy_json_text(out, "unit", config->points[newest->point].unit);
    davy_json_text(out, "quality", davy_quality_name(newest->quality));
    davy_json_text(out, "reason", davy_reason_name(newest->reason));
    davy_json_time(out, "time", newest->at.wall);
    davy_json_number(out, "age_s", seconds(davy_mono_sub(now, newest->at.mono)));
    davy_json_close(out, '}');
}

static void tell_measure(struct davy_buf *out, const struct davy_explanation *explanation)
{
    static const char *const lacks[] = {
        [DAVY_LACK_NONE] = NULL,       [DAVY_LACK_HISTORY] = "history", [DAVY_LACK_COVERAGE] = "coverage",
        [DAVY_LACK_SPREAD] = "spread", [DAVY_LACK_OTHER] = "other",
    };
    const struct davy_measure_options *options = &explanation->rule->options;
    const bool known = explanation->has_newest && explanation->lack == DAVY_LACK_NONE;
    davy_json_key_open(out, "measure", '{');
    davy_json_text(out, "type", davy_measure_name(explanation->measure));
    answer_number(out, "window_s", options->window.ns > 0, seconds(options->window));
    answer_number(out, "value", known, explanation->measured.value);
    answer_number(out, "upper", known, explanation->measured.upper);
    davy_json_number(out, "coverage", explanation->measured.coverage);
    answer_number(out, "coverage_needed", options->coverage > 0, options->coverage);
    davy_json_text(out, "lack", lacks[explanation->lack]);
    davy_json_close(out, '}');
}

/* Of a vote the condition is that of its members, null where they have different ones. */
static void tell_condition(struct davy_buf *out, const struct davy_explanation *explanation, size_t index)
{
    const struct davy_limit *limit = explanation->limits[index].limit;
    const bool vote = explanation->members > 0, one = !vote || !explanation->rule->per_point;
    if (vote)
        limit = &davy_rule_limits(explanation->rule, 0)[index];
    davy_json_text(out, "condition", davy_condition_name(limit->condition));
    answer_number(out, "bound", one, limit->a);
    answer_number(out, "bound_high", one && limit->condition == DAVY_CONDITION_OUTSIDE, limit->b);
    answer_number(out, "needed", vote,
                  explanation->limits[index].bound > 0 ? explanation->limits[index].bound : explanation->needed);
}

static void tell_limit(struct davy_buf *out, const struct davy_explanation *explanation, size_t index)
{
    const struct davy_limit_view *view = &explanation->limits[index];
    static const char *const timers[] = {[DAVY_TIMER_NONE] = NULL, [DAVY_TIMER_ON] = "on", [DAVY_TIMER_OFF] = "off"};
    const struct davy_limit *limit = view->limit;
    davy_json_open(out, '{');
    davy_json_text(out, "level", davy_level_name(limit->level));
    tell_condition(out, explanation, index);
    davy_json_number(out, "deadband", limit->deadband);
    davy_json_number(out, "on_delay_s", seconds(limit->on_delay));
    davy_json_number(out, "off_delay_s", seconds(limit->off_delay));
    davy_json_bool(out, "latch", limit->latch);
    davy_json_bool(out, "upper", limit->upper);
    davy_json_bool(out, "tripped", view->tripped);
    davy_json_bool(out, "held", view->held);
    davy_json_bool(out, "uncertain", view->uncertain);
    davy_json_text(out, "timer", timers[view->timer]);
    answer_number(out, "left_s", view->timer != DAVY_TIMER_NONE && view->left.ns >= 0, seconds(view->left));
    davy_json_close(out, '}');
}

static void tell_when(struct davy_buf *out, const struct davy_config *config,
                      const struct davy_explanation *explanation)
{
    char name[DAVY_KEY_SIZE];
    if (!explanation->when_used) {
        davy_json_null(out, "when");
        return;
    }
    const struct davy_when *when = &explanation->rule->when;
    const struct davy_reading *newest = &explanation->when_newest;
    const bool any = newest->at.mono.ns != 0;
    davy_json_key_open(out, "when", '{');
    davy_json_text(out, "point", davy_config_point_name(config, explanation->when_point, name));
    davy_json_text(out, "condition", davy_condition_name(when->condition));
    davy_json_number(out, "bound", when->value);
    davy_json_number(out, "for_s", seconds(when->hold));
    davy_json_bool(out, "answer", explanation->when_true);
    answer_number(out, "value", any && newest->has_value, newest->value);
    davy_json_text(out, "quality", any ? davy_quality_name(newest->quality) : NULL);
    davy_json_text(out, "reason", davy_reason_name(newest->reason));
    span_or_null(out, "left_s", explanation->when_left);
    davy_json_close(out, '}');
}

static void tell_vote(struct davy_buf *out, const struct source *source, size_t index,
                      const struct davy_explanation *explanation)
{
    struct davy_member members[MEMBERS];
    char name[DAVY_KEY_SIZE];
    if (explanation->members == 0) {
        davy_json_null(out, "vote");
        return;
    }
    davy_json_key_open(out, "vote", '{');
    davy_json_integer(out, "votes", explanation->votes);
    davy_json_integer(out, "needed", explanation->needed);
    davy_json_integer(out, "healthy", explanation->healthy);
    davy_json_integer(out, "count", explanation->members);
    davy_json_key_open(out, "members", '[');
    const size_t count = davy_engine_explain_members(source->engine, index, members, MEMBERS);
    for (size_t i = 0; i < count; i++) {
        davy_json_open(out, '{');
        davy_json_text(out, "point", davy_config_point_name(source->config, members[i].point, name));
        davy_json_bool(out, "vote", members[i].vote);
        davy_json_bool(out, "by_fault", members[i].by_fault);
        answer_number(out, "value", members[i].has_value, members[i].value);
        davy_json_text(out, "quality", davy_quality_name(members[i].quality));
        davy_json_close(out, '}');
    }
    davy_json_close(out, ']');
    davy_json_close(out, '}');
}

static void tell_ladder(struct davy_buf *out, const struct davy_explanation *explanation)
{
    const struct davy_rule *rule = explanation->rule;
    davy_json_key_open(out, "ladder", '[');
    for (size_t i = 0; i < rule->step_count; i++) {
        const struct davy_step *step = &rule->steps[i];
        const bool done = i < explanation->steps_done, runs = !done && explanation->raised_for.ns >= 0;
        davy_json_open(out, '{');
        davy_json_integer(out, "step", (int64_t)i + 1);
        davy_json_number(out, "after_s", seconds(step->after));
        davy_json_text(out, "unless", step->unless_cleared ? "cleared" : "acknowledged");
        davy_json_text(out, "owner", step->owner);
        davy_json_text(out, "level", davy_level_name(step->level));
        davy_json_bool(out, "done", done);
        answer_number(out, "left_s", runs, seconds((davy_span){step->after.ns - explanation->raised_for.ns}));
        davy_json_close(out, '}');
    }
    davy_json_close(out, ']');
}

/* Only the decoder knows that it is a person who holds the limits. */
static void put_sentence(const struct davy_config *config, const struct davy_explanation *explanation,
                         const struct davy_inhibit *inhibit, char *text, size_t size)
{
    char until[DAVY_WALL_TEXT], *end = text;
    if (!inhibit || explanation->why != DAVY_WHY_CALIBRATION) {
        davy_explain_sentence(config, explanation, text, size);
        end += strlen(text);
    }
    if (inhibit)
        snprintf(end, size - (size_t)(end - text), "%sthe device is inhibited until %s by %s: %s; limits are held",
                 end > text ? "; " : "", davy_wall_format(inhibit->until.wall, until), inhibit->by, inhibit->reason);
}

void answer_state(struct davy_buf *out, const struct davy_config *config, const struct davy_alarm_view *view,
                  const struct davy_inhibit *inhibit)
{
    davy_json_text(out, "rule", davy_subject_rule_name(config, &view->subject));
    davy_json_text(out, "point", view->subject.point == DAVY_NONE ? NULL : config->points[view->subject.point].name);
    davy_json_text(out, "state", davy_state_name(view->state));
    davy_json_text(out, "level", davy_level_name(view->level));
    davy_json_bool(out, "active", view->active);
    davy_json_bool(out, "acknowledged", view->acknowledged);
    davy_json_bool(out, "latched", view->latched);
    answer_time(out, "since", view->raised_at);
    davy_json_integer(out, "count", view->count);
    answer_cover(out, view, inhibit);
}

static void tell_alarm(struct davy_buf *out, const struct davy_config *config,
                       const struct davy_explanation *explanation, const struct davy_inhibit *inhibit)
{
    const struct davy_alarm_view *view = &explanation->view;
    char key[DAVY_KEY_SIZE], sentence[768], unit[64];
    put_sentence(config, explanation, inhibit, sentence, sizeof sentence);
    davy_json_text(out, "alarm", davy_subject_key(config, &view->subject, key));
    davy_json_text(out, "why", davy_why_name(explanation->why));
    davy_json_text(out, "sentence", sentence);
    answer_state(out, config, view, inhibit);
    davy_explain_unit(config, explanation, unit, sizeof unit);
    davy_json_text(out, "unit", unit[0] ? unit : NULL);
}

static void tell_all(struct davy_buf *out, const struct source *source, size_t index)
{
    const struct davy_config *config = source->config;
    const davy_mono now = source->now.mono;
    struct davy_explanation explanation;
    struct davy_inhibit inhibit;
    davy_engine_explain(source->engine, index, source->now, &explanation);
    const uint32_t device = explanation.view.subject.device;
    const bool inhibited = device != DAVY_NONE && davy_decoder_inhibited(source->decoder, device, now, &inhibit);
    davy_json_open(out, '{');
    tell_alarm(out, config, &explanation, inhibited ? &inhibit : NULL);
    tell_reading(out, config, &explanation, now);
    tell_measure(out, &explanation);
    davy_json_key_open(out, "limits", '[');
    for (size_t i = 0; i < explanation.limit_count; i++)
        tell_limit(out, &explanation, i);
    davy_json_close(out, ']');
    tell_when(out, config, &explanation);
    tell_vote(out, source, index, &explanation);
    tell_ladder(out, &explanation);
    davy_json_null(out, "builtin");
    davy_json_close(out, '}');
}

/* ---- which alarms ----------------------------------------------------------------------------------------------- */

static bool matches(const struct davy_config *config, const char *glob, uint32_t point)
{
    return !glob[0] ||
           davy_point_glob(glob, config->devices[config->points[point].device].id, config->points[point].name);
}

/* Whether the question is about this alarm: a vote's is of all its members. */
static bool is_meant(const struct davy_config *config, const struct davy_subject *asked, const char *glob,
                     const struct davy_alarm_view *view)
{
    const struct davy_subject *subject = &view->subject;
    if (asked->kind != DAVY_ALARM_RULE)
        return answer_builtin_meant(config, asked, glob, view);
    if (subject->kind != DAVY_ALARM_RULE || subject->rule != asked->rule)
        return false;
    return subject->point == DAVY_NONE || matches(config, glob, subject->point);
}

static const char *nearest_rule(const struct davy_config *config, const char *name)
{
    for (size_t r = 0; r < config->rule_count; r++)
        if (davy_nearest(name, &config->rules[r].name, 1))
            return config->rules[r].name;
    return NULL;
}

static bool is_device(const struct davy_config *config, const char *name)
{
    for (size_t i = 0; i < config->device_count; i++)
        if (strcmp(config->devices[i].id, name) == 0)
            return true;
    return false;
}

static void refuse_rule(const struct davy_config *config, const char *name, char *refusal, size_t size)
{
    const char *nearest = nearest_rule(config, name);
    if (is_device(config, name))
        snprintf(refusal, size, "%s is a device, not a rule: ask for one of its points, %s.POINT", name, name);
    else
        snprintf(refusal, size, "no such rule or device: %s%s%s%s", name, nearest ? "; did you mean " : "",
                 nearest ? nearest : "", nearest ? "?" : "");
}

static void refuse_point(const struct davy_config *config, const struct davy_rule *rule, const char *name,
                         char *refusal, size_t size)
{
    char full[DAVY_KEY_SIZE];
    const char *candidate = full, *nearest = NULL;
    for (size_t i = 0; i < rule->point_count && !nearest; i++) {
        davy_config_point_name(config, rule->points[i], full);
        nearest = davy_nearest(name, &candidate, 1);
    }
    if (davy_config_find_point(config, name) == DAVY_NONE && !strpbrk(name, "*?["))
        snprintf(refusal, size, "no such point: %s%s%s%s", name, nearest ? "; did you mean " : "",
                 nearest ? nearest : "", nearest ? "?" : "");
    else
        snprintf(refusal, size, "the rule %s does not watch %s", rule->name, name);
}

/* Whether the rule watches what is asked for; else why there is nothing to explain. */
static bool is_watched(const struct davy_config *config, const struct davy_rule *rule, const char *glob, char *refusal,
                       size_t size)
{
    const uint32_t point = davy_config_find_point(config, glob);
    const struct davy_device *device = point == DAVY_NONE ? NULL : &config->devices[config->points[point].device];
    if (device && !device->enabled) {
        snprintf(refusal, size, "the device %s is not enabled: nothing of it is read", device->id);
        return false;
    }
    if (rule->vote > 0 && strcmp(glob, "_") == 0)
        return true;
    for (size_t i = 0; i < rule->point_count; i++)
        if (matches(config, glob, rule->points[i]))
            return true;
    refuse_point(config, rule, glob, refusal, size);
    return false;
}

/* What is asked about: a rule, or built-in alarms; false with the refusal. */
static bool find_asked(const struct davy_config *config, const struct davy_engine *engine,
                       const struct davy_request_line *request, struct davy_subject *asked, struct outcome *outcome)
{
    const size_t size = sizeof outcome->refusal;
    *asked = (struct davy_subject){DAVY_ALARM_RULE, DAVY_NONE, DAVY_NONE, DAVY_NONE, DAVY_NONE};
    asked->rule = davy_config_find_rule(config, request->alarm);
    if (asked->rule != DAVY_NONE)
        return is_watched(config, &config->rules[asked->rule], request->point, outcome->refusal, size);
    if (!answer_builtin_find(config, request->alarm, asked)) {
        refuse_rule(config, request->alarm, outcome->refusal, size);
        return false;
    }
    bool any = !request->point[0];
    for (size_t i = 0; !any && i < davy_engine_alarm_count(engine); i++) {
        struct davy_alarm_view view;
        davy_engine_alarm(engine, i, &view);
        any = answer_builtin_meant(config, asked, request->point, &view);
    }
    if (!any)
        snprintf(outcome->refusal, size, "no such alarm: %s:%s", request->alarm, request->point);
    return any;
}

static void tell_builtin(struct davy_buf *out, const struct source *source, const struct davy_alarm_view *view)
{
    struct davy_inhibit inhibit;
    answer_builtin(out, source->config, view, answer_inhibit(view, source->decoder, source->now.mono, &inhibit));
}

void answer_explain(struct route *route, const struct ask *ask, const struct davy_config *config,
                    const struct davy_engine *engine, const struct davy_decoder *decoder)
{
    struct outcome outcome = {.state = DAVY_STATE_NORMAL};
    struct davy_subject asked;
    if (!find_asked(config, engine, &ask->request, &asked, &outcome)) {
        answer_action(route, ask, false, &outcome);
        return;
    }
    DAVY_AUTO_FREE char *text = answer_room(route, ask);
    if (!text)
        return;
    struct davy_buf out;
    davy_buf_init(&out, text, ANSWER_SIZE);
    davy_buf_text(&out, "{\"ok\":true,\"alarms\":[");
    const struct source source = {config, engine, decoder, davy_clock_now(route->clock)};
    size_t i = answer_alarm_after(config, engine, ask->request.after), rows = 0;
    for (; i < davy_engine_alarm_count(engine) && answer_has_room(&out, rows); i++) {
        struct davy_alarm_view view;
        davy_engine_alarm(engine, i, &view);
        if (!is_meant(config, &asked, ask->request.point, &view))
            continue;
        if (asked.kind == DAVY_ALARM_RULE)
            tell_all(&out, &source, i);
        else
            tell_builtin(&out, &source, &view);
        rows++;
    }
    answer_finish(route, ask, &out, i < davy_engine_alarm_count(engine));
}
