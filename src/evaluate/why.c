/* SPDX-License-Identifier: Apache-2.0 */
/* The answer to "why", in a sentence for people. */
#include <math.h>
#include <string.h>

#include "base/buf.h"
#include "base/num.h"
#include "evaluate/explain.h"

static const char *const why_names[] = {
    [DAVY_WHY_ACTIVE] = "active",
    [DAVY_WHY_OUT_OF_SERVICE] = "out-of-service",
    [DAVY_WHY_SHELVED] = "shelved",
    [DAVY_WHY_NOT_ENABLED] = "not-enabled",
    [DAVY_WHY_WHEN] = "when",
    [DAVY_WHY_NO_READING] = "no-reading",
    [DAVY_WHY_STALE] = "stale",
    [DAVY_WHY_COMM] = "comm",
    [DAVY_WHY_EXCEPTION] = "exception",
    [DAVY_WHY_DEVICE_FAULT] = "device-fault",
    [DAVY_WHY_BAD_VALUE] = "bad-value",
    [DAVY_WHY_UNDER_RANGE] = "under-range",
    [DAVY_WHY_WARM_UP] = "warm-up",
    [DAVY_WHY_CALIBRATION] = "calibration",
    [DAVY_WHY_NOT_IN_WINDOW] = "not-in-window",
    [DAVY_WHY_HISTORY] = "history",
    [DAVY_WHY_COVERAGE] = "coverage",
    [DAVY_WHY_SPREAD] = "spread",
    [DAVY_WHY_OTHER] = "other",
    [DAVY_WHY_ON_DELAY] = "on-delay",
    [DAVY_WHY_LATCHED] = "latched",
    [DAVY_WHY_RETURNED] = "returned",
    [DAVY_WHY_VOTES] = "votes",
    [DAVY_WHY_NOT_REACHED] = "not-reached",
};
_Static_assert(DAVY_LENGTH(why_names) == DAVY_WHY_COUNT_, "a name for each reason");

const char *davy_why_name(enum davy_why why)
{
    return (unsigned)why < DAVY_WHY_COUNT_ ? why_names[why] : NULL;
}

/* What the sentence is made of. */
struct words {
    struct davy_buf out;
    const struct davy_config *config;
    const struct davy_explanation *explanation;
};

/* "3.2 s", "40 s", "15 min", "7.5 h": what is left is never told as nothing. */
static void put_span(struct davy_buf *out, davy_span span)
{
    const double s = (double)span.ns / 1e9;
    if (s < 10)
        davy_buf_printf(out, "%.1f s", fmax(ceil(s * 10) / 10, 0.1));
    else if (s < 120)
        davy_buf_printf(out, "%.0f s", ceil(s));
    else if (s < 7200)
        davy_buf_printf(out, "%.0f min", ceil(s / 60));
    else
        davy_buf_printf(out, "%.1f h", s / 3600);
}

/* A quantity of the rule with its unit: 4 digits are enough for people. */
static void put_quantity(struct words *words, double value)
{
    const struct davy_explanation *explanation = words->explanation;
    char unit[64];
    davy_buf_printf(&words->out, fabs(value) < 9999.5 ? "%.4g" : "%.0f", value);
    if (davy_explain_unit(words->config, explanation, unit, sizeof unit)[0])
        davy_buf_printf(&words->out, " %s", unit);
}

static void put_bound(struct words *words, enum davy_condition condition, double bound)
{
    static const char *const signs[] = {
        [DAVY_CONDITION_ABOVE] = "≥",
        [DAVY_CONDITION_BELOW] = "≤",
        [DAVY_CONDITION_OUTSIDE] = "outside",
        [DAVY_CONDITION_EQUALS] = "=",
    };
    davy_buf_printf(&words->out, "%s ", condition <= DAVY_CONDITION_EQUALS ? signs[condition] : "");
    put_quantity(words, bound);
}

/* "red ≥ 14 ppm" */
static void put_limit(struct words *words, const struct davy_limit *limit)
{
    davy_buf_printf(&words->out, "%s ", davy_level_name(limit->level));
    put_bound(words, limit->condition, limit->a);
    if (limit->condition == DAVY_CONDITION_OUTSIDE) {
        davy_buf_text(&words->out, " to ");
        put_quantity(words, limit->b);
    }
}

/* "the mean of 10min, 15.2 ppm": what the limits are held against. */
static void put_measure(struct words *words)
{
    const struct davy_explanation *explanation = words->explanation;
    char window[DAVY_NUM_TEXT];
    if (explanation->measure != DAVY_MEASURE_VALUE) {
        davy_buf_printf(&words->out, "%s ", davy_measure_name(explanation->measure));
        if (explanation->rule->options.window.ns > 0)
            davy_buf_printf(&words->out, "of %s ", davy_span_print(explanation->rule->options.window, window));
    }
    put_quantity(words, explanation->lack == DAVY_LACK_NONE && explanation->has_newest ? explanation->measured.value
                                                                                       : explanation->view.value);
}

static void put_point(struct words *words, uint32_t point)
{
    char name[DAVY_KEY_SIZE];
    davy_buf_text(&words->out, davy_config_point_name(words->config, point, name));
}

static void put_votes(struct words *words)
{
    const struct davy_explanation *explanation = words->explanation;
    davy_buf_printf(&words->out, "%u of %u members vote, %u needed", explanation->votes, explanation->members,
                    explanation->needed);
}

/* The highest limit with this timer; NULL. */
static const struct davy_limit_view *with_timer(const struct davy_explanation *explanation, enum davy_timer timer)
{
    for (size_t i = explanation->limit_count; i-- > 0;)
        if (explanation->limits[i].timer == timer)
            return &explanation->limits[i];
    return NULL;
}

/* Of `outside` which side of it the bound is, that is told. */
static enum davy_condition condition_told(const struct davy_explanation *explanation)
{
    const struct davy_alarm_view *view = &explanation->view;
    if (view->condition != DAVY_CONDITION_OUTSIDE || view->limit_index >= explanation->limit_count)
        return view->condition;
    const struct davy_limit *limit = explanation->limits[view->limit_index].limit;
    return view->limit > limit->a / 2 + limit->b / 2 ? DAVY_CONDITION_ABOVE : DAVY_CONDITION_BELOW;
}

/* The highest level of a limit whose condition is true, or of one that only a latch holds. */
static enum davy_level highest(const struct davy_explanation *explanation, bool held)
{
    enum davy_level level = DAVY_LEVEL_NONE;
    for (size_t i = 0; i < explanation->limit_count; i++) {
        const struct davy_limit_view *limit = &explanation->limits[i];
        if (limit->tripped && limit->held == held && limit->limit->level > level)
            level = limit->limit->level;
    }
    return level;
}

/* What keeps the level above that of the conditions which are true: a latch, or a step of the escalation. */
static void put_raised(struct words *words)
{
    const struct davy_explanation *explanation = words->explanation;
    const enum davy_level level = explanation->view.level, held = highest(explanation, true);
    if (level <= highest(explanation, false))
        return;
    if (held >= level) {
        davy_buf_printf(&words->out, "; a latch holds %s", davy_level_name(level));
        return;
    }
    for (unsigned i = 0; i < explanation->steps_done && i < explanation->rule->step_count; i++)
        if (explanation->rule->steps[i].level == level) {
            davy_buf_printf(&words->out, "; raised to %s by step %u", davy_level_name(level), i + 1);
            return;
        }
}

static void put_held(struct words *words)
{
    const struct davy_reading *newest = &words->explanation->newest;
    if (newest->quality == DAVY_QUALITY_BAD)
        davy_buf_printf(&words->out, "; the newest reading is bad (%s): limits are held",
                        davy_reason_name(newest->reason));
    else if (newest->reason == DAVY_REASON_CALIBRATION)
        davy_buf_text(&words->out, "; the device is in calibration, or inhibited: limits are held");
    else if (newest->reason == DAVY_REASON_WARM_UP)
        davy_buf_text(&words->out, "; the device warms up: limits are held");
}

static void say_active(struct words *words)
{
    const struct davy_explanation *explanation = words->explanation;
    const struct davy_alarm_view *view = &explanation->view;
    const struct davy_limit_view *leaving = with_timer(explanation, DAVY_TIMER_OFF);
    davy_buf_printf(&words->out, "in alarm at %s: ", davy_level_name(view->level));
    if (explanation->members > 0) {
        put_votes(words);
    } else {
        if (view->has_value)
            put_quantity(words, view->value);
        davy_buf_text(&words->out, view->has_value ? ", limit " : "limit ");
        put_bound(words, condition_told(explanation), view->limit);
    }
    put_raised(words);
    if (leaving) {
        davy_buf_printf(&words->out, "; the off-delay of %s has ", davy_level_name(leaving->limit->level));
        put_span(&words->out, leaving->left);
        davy_buf_text(&words->out, " to go");
    }
    put_held(words);
}

static void put_cover(struct words *words)
{
    const struct davy_alarm_view *view = &words->explanation->view;
    if (view->by[0])
        davy_buf_printf(&words->out, " by %s", view->by);
    if (view->note[0])
        davy_buf_printf(&words->out, ": %s", view->note);
    if (view->active)
        davy_buf_printf(&words->out, "; below it is in alarm at %s", davy_level_name(view->level));
}

static void say_out_of_service(struct words *words)
{
    davy_buf_text(&words->out, "hidden: taken out of service");
    put_cover(words);
}

static void say_shelved(struct words *words)
{
    char until[DAVY_WALL_TEXT];
    davy_buf_printf(&words->out, "hidden: shelved until %s",
                    davy_wall_format(words->explanation->view.shelved_until, until));
    put_cover(words);
}

static void say_when(struct words *words)
{
    static const char *const signs[] = {[DAVY_CONDITION_ABOVE] = "≥",
                                        [DAVY_CONDITION_BELOW] = "≤",
                                        [DAVY_CONDITION_OUTSIDE] = "",
                                        [DAVY_CONDITION_EQUALS] = "="};
    const struct davy_explanation *explanation = words->explanation;
    const struct davy_when *when = &explanation->rule->when;
    davy_buf_text(&words->out, "does not apply: `when` asks for ");
    put_point(words, explanation->when_point);
    davy_buf_printf(&words->out, " %s %.4g", when->condition <= DAVY_CONDITION_EQUALS ? signs[when->condition] : "",
                    when->value);
    if (explanation->when_newest.has_value)
        davy_buf_printf(&words->out, ", it is %.4g", explanation->when_newest.value);
    if (explanation->when_left.ns >= 0) {
        davy_buf_text(&words->out, "; it applies again in ");
        put_span(&words->out, explanation->when_left);
    }
}

static void say_coverage(struct words *words)
{
    const struct davy_explanation *explanation = words->explanation;
    davy_buf_printf(&words->out, "%.0f %% of the window is covered by readings, %.0f %% is needed",
                    floor(100 * explanation->measured.coverage), 100 * explanation->rule->options.coverage);
}

static void say_on_delay(struct words *words)
{
    const struct davy_limit_view *waiting = with_timer(words->explanation, DAVY_TIMER_ON);
    davy_buf_text(&words->out, "waits: the on-delay ");
    if (waiting) {
        davy_buf_printf(&words->out, "of %s has ", davy_level_name(waiting->limit->level));
        put_span(&words->out, waiting->left);
        davy_buf_text(&words->out, " to go");
    } else {
        davy_buf_text(&words->out, "runs");
    }
}

static void say_votes(struct words *words)
{
    put_votes(words);
}

static void say_latched(struct words *words)
{
    davy_buf_printf(&words->out, "the condition is gone; a latch holds %s until it is reset",
                    davy_level_name(words->explanation->view.level) ? davy_level_name(words->explanation->view.level)
                                                                    : "it");
}

static void say_not_reached(struct words *words)
{
    const struct davy_explanation *explanation = words->explanation;
    const char *between = " reaches no limit: ";
    put_measure(words);
    for (size_t i = 0; i < explanation->limit_count; i++) {
        if (explanation->limits[i].limit->upper)
            continue;
        davy_buf_text(&words->out, between);
        put_limit(words, explanation->limits[i].limit);
        between = ", ";
    }
}

static const struct {
    const char *text;
    void (*say)(struct words *words); /* in place of text */
} sentences[DAVY_WHY_COUNT_] = {
    [DAVY_WHY_ACTIVE] = {.say = say_active},
    [DAVY_WHY_OUT_OF_SERVICE] = {.say = say_out_of_service},
    [DAVY_WHY_SHELVED] = {.say = say_shelved},
    [DAVY_WHY_NOT_ENABLED] = {"the device is not enabled: nothing of it is read"},
    [DAVY_WHY_WHEN] = {.say = say_when},
    [DAVY_WHY_NO_READING] = {"there has been no reading yet"},
    [DAVY_WHY_STALE] = {"silence for longer than max_age: limits are held"},
    [DAVY_WHY_COMM] = {"the device does not reply: limits are held"},
    [DAVY_WHY_EXCEPTION] = {"the device answers with an exception: limits are held"},
    [DAVY_WHY_DEVICE_FAULT] = {"the device reports a fault: limits are held"},
    [DAVY_WHY_BAD_VALUE] = {"the device gives no value: limits are held"},
    [DAVY_WHY_UNDER_RANGE] = {"the value is below its range: limits are held"},
    [DAVY_WHY_WARM_UP] = {"the device warms up: limits are held"},
    [DAVY_WHY_CALIBRATION] = {"the device is in calibration, or inhibited: limits are held"},
    [DAVY_WHY_NOT_IN_WINDOW] = {"the newest reading does not count: it settles, or its status could not be read"},
    [DAVY_WHY_HISTORY] = {"too few readings yet, or they span too little of the window"},
    [DAVY_WHY_COVERAGE] = {.say = say_coverage},
    [DAVY_WHY_SPREAD] = {"the readings of the window do not differ"},
    [DAVY_WHY_OTHER] = {"the other point is not good, or its newest reading is too old"},
    [DAVY_WHY_ON_DELAY] = {.say = say_on_delay},
    [DAVY_WHY_LATCHED] = {.say = say_latched},
    [DAVY_WHY_RETURNED] = {"the condition is gone; it waits to be acknowledged"},
    [DAVY_WHY_VOTES] = {.say = say_votes},
    [DAVY_WHY_NOT_REACHED] = {.say = say_not_reached},
};

void davy_explain_sentence(const struct davy_config *config, const struct davy_explanation *explanation, char *text,
                           size_t size)
{
    struct words words = {.config = config, .explanation = explanation};
    davy_buf_init(&words.out, text, size);
    if (sentences[explanation->why].say)
        sentences[explanation->why].say(&words);
    else
        davy_buf_text(&words.out, sentences[explanation->why].text);
}

/* The point that has the unit: of a vote any of its members, where they share it. */
static uint32_t unit_point(const struct davy_config *config, const struct davy_explanation *explanation)
{
    const struct davy_rule *rule = explanation->rule;
    if (explanation->view.subject.point != DAVY_NONE || !rule || rule->point_count == 0)
        return explanation->view.subject.point;
    for (size_t i = 1; i < rule->point_count; i++)
        if (strcmp(config->points[rule->points[i]].unit, config->points[rule->points[0]].unit) != 0)
            return DAVY_NONE;
    return rule->points[0];
}

char *davy_explain_unit(const struct davy_config *config, const struct davy_explanation *explanation, char *text,
                        size_t size)
{
    const uint32_t point = unit_point(config, explanation);
    const char *unit =
        point == DAVY_NONE || strcmp(config->points[point].unit, "1") == 0 ? "" : config->points[point].unit;
    char per[DAVY_NUM_TEXT];
    struct davy_buf out;
    davy_buf_init(&out, text, size);
    switch (explanation->measure) {
    case DAVY_MEASURE_DEVIATION:
    case DAVY_MEASURE_OCCURRENCES:
        break;
    case DAVY_MEASURE_STUCK:
        davy_buf_char(&out, 's');
        break;
    case DAVY_MEASURE_RATE:
        davy_buf_printf(&out, "%s/%s", unit[0] ? unit : "1", davy_span_print(explanation->rule->options.per, per));
        break;
    case DAVY_MEASURE_VALUE:
    case DAVY_MEASURE_MEAN:
    case DAVY_MEASURE_MIN:
    case DAVY_MEASURE_MAX:
    case DAVY_MEASURE_STDDEV:
    case DAVY_MEASURE_RMS:
    case DAVY_MEASURE_FORECAST:
    case DAVY_MEASURE_STEL:
    case DAVY_MEASURE_TWA:
    case DAVY_MEASURE_DIFFERENCE:
    case DAVY_MEASURE_COUNT_:
        davy_buf_text(&out, unit);
    }
    return text;
}
