/* SPDX-License-Identifier: Apache-2.0 */
/* A seed becomes a plant, its versions, and a row of happenings. */
#include "false_clear_plan.h"

#include <math.h>
#include <string.h>

#include "base/attr.h"
#include "base/num.h"
#include "evaluate/engine.h"

/* How a schedule is in the main; drawn once. */
struct mood {
    bool slow;                          /* the quarter of an hour of stel has to pass, */
    bool days;                          /* or the eight hours of twa */
    bool still;                         /* values that are as they were, for stuck */
    unsigned faulty;                    /* of 100 polls that fail or lie */
    unsigned restarts, reloads, people; /* of 1000 happenings */
};

struct draw {
    struct davy_random random;
    struct mood mood;
    struct plan *plan;
    unsigned version;
    unsigned silent[PLAN_DEVICES]; /* polls without an answer that are still to come */
    bool high[PLAN_POINTS];
    double last[PLAN_POINTS];
};

static unsigned below(struct draw *draw, unsigned bound)
{
    return (unsigned)(davy_random_next(&draw->random) >> 33) % bound;
}

static bool chance(struct draw *draw, unsigned percent)
{
    return below(draw, 100) < percent;
}

#define BESIDE 0.0137

/* So many ms, `slow` times as many where it goes slowly. */
static int paced(const struct draw *draw, int ms, int slow)
{
    return ms * (draw->mood.slow ? slow : 1) * (draw->mood.days ? 32 : 1);
}

#define PICK(draw, list) ((list)[below((draw), DAVY_LENGTH(list))])

/* ---- the plant ---- */

static int draw_delay(struct draw *draw)
{
    static const int delays[] = {0, 0, 0, 250, 500, 1000, 2000, 3000, 5000, 10000};
    return paced(draw, PICK(draw, delays), 10);
}

static void draw_behaviour(struct draw *draw, struct limit_spec *limit)
{
    static const double deadbands[] = {0, 0, 0.5, 1, 2};
    limit->deadband = limit->condition == DAVY_CONDITION_EQUALS ? 0 : PICK(draw, deadbands);
    limit->on_ms = draw_delay(draw);
    limit->off_ms = draw_delay(draw);
    limit->latch = chance(draw, 30);
    limit->acknowledge = chance(draw, 80);
    limit->trip_on_fault = chance(draw, 15) && !limit->upper;
    limit->shelvable = limit->level == DAVY_LEVEL_RED ? chance(draw, 25) : chance(draw, 85);
}

static bool is_change(const struct rule_spec *rule)
{
    return rule->measure == DAVY_MEASURE_DIFFERENCE || rule->measure == DAVY_MEASURE_RATE;
}

/* What only `above` is asked of: the least that trips, and how far the levels lie apart. */
static bool draw_above(struct draw *draw, const struct rule_spec *rule, struct limit_spec *limit, unsigned place)
{
    switch ((int)rule->measure) {
    case DAVY_MEASURE_STEL:
    case DAVY_MEASURE_TWA:
        limit->a = (5 + 3.0 * place + 0.5 * below(draw, 6)) / 2;
        return true;
    case DAVY_MEASURE_STUCK:
        limit->a = 2 + 2.0 * place + 0.5 * below(draw, 6);
        return true;
    case DAVY_MEASURE_OCCURRENCES:
        limit->a = 1 + place + below(draw, 2);
        return true;
    default:
        return false;
    }
}

/* `place` of `count` milder to harder. */
static void draw_bound(struct draw *draw, const struct rule_spec *rule, struct limit_spec *limit, unsigned place)
{
    double step = 3.0 * place + 0.5 * below(draw, 6), zero = is_change(rule) ? 7 : 0;
    switch ((int)limit->condition) {
    case DAVY_CONDITION_BELOW:
        limit->a = 9 - step - zero;
        break;
    case DAVY_CONDITION_OUTSIDE:
        limit->a = 6 - step - zero;
        limit->b = 8 + step - zero;
        break;
    default:
        limit->a = 5 + step;
        break;
    }
}

/* No average of such numbers is on a bound. */
static void lay_beside(const struct rule_spec *rule, struct limit_spec *limit)
{
    if (plan_is_dose(rule) || rule->measure == DAVY_MEASURE_MEAN || rule->measure == DAVY_MEASURE_RATE ||
        rule->measure == DAVY_MEASURE_FORECAST) {
        limit->a += BESIDE;
        limit->b += BESIDE;
    }
}

static void add_limit(struct rule_spec *rule, const struct limit_spec *limit)
{
    unsigned at = rule->limit_count++;
    while (at > 0 && (rule->limits[at - 1].level > limit->level ||
                      (rule->limits[at - 1].level == limit->level && limit->upper))) {
        rule->limits[at] = rule->limits[at - 1];
        at--;
    }
    rule->limits[at] = *limit;
}

/* stel: each limit a second time, on the upper bound, a level lower. */
static void add_upper(struct rule_spec *rule, struct limit_spec limit)
{
    limit.upper = true;
    limit.trip_on_fault = false;
    if (limit.level > DAVY_LEVEL_BLUE)
        limit.level--;
    add_limit(rule, &limit);
}

static void draw_limits(struct draw *draw, struct rule_spec *rule)
{
    static const enum davy_condition conditions[] = {DAVY_CONDITION_ABOVE, DAVY_CONDITION_ABOVE, DAVY_CONDITION_ABOVE,
                                                     DAVY_CONDITION_BELOW, DAVY_CONDITION_OUTSIDE};
    bool dose = plan_is_dose(rule);
    bool one_way = dose || rule->measure == DAVY_MEASURE_STUCK || rule->measure == DAVY_MEASURE_OCCURRENCES;
    enum davy_condition condition = one_way ? DAVY_CONDITION_ABOVE : PICK(draw, conditions);
    unsigned place = 0;
    rule->limit_count = 0;
    /* of exposure no blue: its upper bound would be the same limit as that of yellow */
    for (enum davy_level level = dose ? DAVY_LEVEL_YELLOW : DAVY_LEVEL_BLUE; level < DAVY_LEVEL_COUNT_; level++) {
        if (!chance(draw, 50) && !(level == DAVY_LEVEL_RED && rule->limit_count == 0))
            continue;
        struct limit_spec limit = {.level = level, .named = level, .condition = condition};
        if (!draw_above(draw, rule, &limit, place))
            draw_bound(draw, rule, &limit, place);
        place++;
        draw_behaviour(draw, &limit);
        lay_beside(rule, &limit);
        add_limit(rule, &limit);
        if (dose)
            add_upper(rule, limit);
        if (place == (dose ? 3 : 4))
            break;
    }
}

static void draw_options(struct draw *draw, struct rule_spec *rule)
{
    static const int windows[] = {4000, 10000, 20000}, long_ones[] = {20000, 60000, 200000};
    static const double epsilons[] = {0, 0, 1, 4};
    rule->window_ms = rule->measure == DAVY_MEASURE_OCCURRENCES ? PICK(draw, long_ones) : PICK(draw, windows);
    rule->per_ms = chance(draw, 50) ? 10000 : 3000;
    rule->horizon_ms = 1000 * (int)below(draw, 10);
    rule->epsilon = PICK(draw, epsilons);
    rule->other = below(draw, PLAN_POINTS - 1);
}

/* The first rule is one that is raised again and again, the second one may count how often. */
static void draw_measure(struct draw *draw, struct rule_spec *rule, unsigned r)
{
    static const enum davy_measure measures[] = {
        DAVY_MEASURE_MEAN, DAVY_MEASURE_MAX,  DAVY_MEASURE_MIN,        DAVY_MEASURE_STUCK,      DAVY_MEASURE_STUCK,
        DAVY_MEASURE_RATE, DAVY_MEASURE_RATE, DAVY_MEASURE_DIFFERENCE, DAVY_MEASURE_DIFFERENCE, DAVY_MEASURE_FORECAST};
    rule->measure = DAVY_MEASURE_VALUE;
    if (draw->mood.slow)
        rule->measure = draw->mood.days ? DAVY_MEASURE_TWA : DAVY_MEASURE_STEL;
    else if (r > 0 && chance(draw, 8))
        rule->measure = DAVY_MEASURE_OCCURRENCES;
    else if (chance(draw, r == 0 ? 30 : 55))
        rule->measure = PICK(draw, measures);
    draw_options(draw, rule);
    rule->counted = r > 0 ? below(draw, r) : 0;
    if (plan_is_dose(rule))
        rule->window_ms = draw->mood.days ? 8 * 3600000 : 15 * 60000;
}

static void draw_when(struct draw *draw, struct rule_spec *rule)
{
    static const enum davy_condition conditions[] = {DAVY_CONDITION_EQUALS, DAVY_CONDITION_ABOVE, DAVY_CONDITION_BELOW};
    rule->has_when = chance(draw, 25);
    rule->when_point = chance(draw, 70) ? PLAN_POINTS - 1 : below(draw, PLAN_POINTS);
    rule->when_condition = rule->when_point == PLAN_POINTS - 1 ? DAVY_CONDITION_EQUALS : PICK(draw, conditions);
    rule->when_value = rule->when_condition == DAVY_CONDITION_EQUALS ? 1 : 7;
    rule->when_hold_ms = chance(draw, 50) ? 0 : draw_delay(draw);
}

static void draw_ladder(struct draw *draw, struct rule_spec *rule)
{
    rule->step_count = chance(draw, 20) ? 1 + below(draw, 2) : 0;
    int after = 0;
    for (unsigned s = 0; s < rule->step_count; s++) {
        after += 1000 * (int)(1 + below(draw, 10));
        rule->steps[s] = (struct step_spec){.after_ms = after,
                                            .unless_cleared = chance(draw, 50),
                                            .level = chance(draw, 60) ? DAVY_LEVEL_ORANGE + below(draw, 2) : 0};
    }
}

static void draw_rule(struct draw *draw, struct plant_spec *spec, unsigned r)
{
    struct rule_spec *rule = &spec->rules[r];
    *rule = (struct rule_spec){.present = true};
    draw_measure(draw, rule, r);
    draw_limits(draw, rule);
    draw_when(draw, rule);
    draw_ladder(draw, rule);
    rule->points = 1U << below(draw, PLAN_POINTS - 1);
    if (chance(draw, 30))
        rule->points |= 1U << below(draw, PLAN_POINTS - 1);
    if (rule->measure == DAVY_MEASURE_OCCURRENCES) {
        rule->points = spec->rules[rule->counted].points;
    } else if (chance(draw, 25)) {
        rule->points = chance(draw, 50) ? 0xF : 0x7;
        rule->vote = 1 + below(draw, 3);
        rule->on_bad = (enum davy_on_bad)below(draw, DAVY_ON_BAD_COUNT_);
    }
}

static unsigned present_points(const struct plant_spec *spec)
{
    unsigned points = 0;
    for (unsigned p = 0; p < PLAN_POINTS; p++)
        if (spec->devices[p / PLAN_PER_DEVICE].present)
            points |= 1U << p;
    return points;
}

/* What is counted is an earlier rule that is no vote and watches each of the points. */
static bool has_what_it_counts(const struct plant_spec *spec, const struct rule_spec *rule)
{
    const struct rule_spec *counted = &spec->rules[rule->counted];
    return rule->measure != DAVY_MEASURE_OCCURRENCES ||
           (counted->present && counted->vote == 0 && (rule->points & ~counted->points) == 0);
}

static bool has_what_it_looks_at(const struct rule_spec *rule, unsigned points)
{
    return (!rule->has_when || points >> rule->when_point & 1) &&
           (rule->measure != DAVY_MEASURE_DIFFERENCE || points >> rule->other & 1);
}

/* What the checks of a configuration would not let pass is left out. */
static void make_valid(struct plant_spec *spec)
{
    unsigned points = present_points(spec);
    for (unsigned r = 0; r < PLAN_RULES; r++) {
        struct rule_spec *rule = &spec->rules[r];
        if (rule->vote)
            rule->points &= 0xF; /* one zone */
        unsigned left = rule->points & points;
        unsigned count = (unsigned)__builtin_popcount(left);
        if (rule->vote > count || count == 0 || !has_what_it_looks_at(rule, points) || !has_what_it_counts(spec, rule))
            rule->present = false;
    }
}

static void draw_guards(struct draw *draw, struct device_spec *device)
{
    static const double rates[] = {1, 4, 16};
    device->latches = chance(draw, 20) ? 1 + below(draw, 3) : 0;
    device->max_rate = chance(draw, 20) ? PICK(draw, rates) : 0;
}

static void draw_plant(struct draw *draw, struct plant_spec *spec)
{
    static const int ages[] = {2000, 5000, 10000, 20000, 60000};
    static const int settles[] = {0, 0, 1, 2, 3};
    spec->fault_delay_ms = 1000 * (int)(1 + below(draw, 10));
    for (unsigned d = 0; d < PLAN_DEVICES; d++) {
        spec->devices[d] = (struct device_spec){
            .present = true, .settle = PICK(draw, settles), .max_age_ms = paced(draw, PICK(draw, ages), 5), .scale = 1};
        draw_guards(draw, &spec->devices[d]);
    }
    for (unsigned r = 0; r < PLAN_RULES; r++) {
        draw_rule(draw, spec, r);
        spec->rules[r].present = r == 0 || chance(draw, 60);
    }
    make_valid(spec);
}

/* ---- what a reload changes ---- */

static void change_limit(struct draw *draw, struct rule_spec *rule)
{
    struct limit_spec *limit = &rule->limits[below(draw, rule->limit_count)];
    switch (below(draw, 5)) {
    case 0:
        limit->a += 0.5 * below(draw, 9) - 2;
        limit->b = limit->condition == DAVY_CONDITION_OUTSIDE && limit->b <= limit->a ? limit->a + 1 : limit->b;
        break;
    case 1:
        limit->on_ms = draw_delay(draw);
        break;
    case 2:
        limit->off_ms = draw_delay(draw);
        break;
    case 3:
        limit->latch = !limit->latch;
        break;
    default:
        draw_behaviour(draw, limit);
        break;
    }
}

static void drop_limit(struct draw *draw, struct rule_spec *rule)
{
    if (rule->limit_count < 2 || plan_is_dose(rule))
        return;
    unsigned gone = below(draw, rule->limit_count--);
    memmove(&rule->limits[gone], &rule->limits[gone + 1], (rule->limit_count - gone) * sizeof rule->limits[0]);
}

static void change_rule(struct draw *draw, struct rule_spec *rule)
{
    switch (below(draw, 10)) {
    case 0:
        rule->present = !rule->present;
        break;
    case 1:
        drop_limit(draw, rule);
        break;
    case 2:
        draw_limits(draw, rule);
        break;
    case 3:
        draw_when(draw, rule);
        break;
    case 4:
        draw_ladder(draw, rule);
        break;
    case 5:
        if (rule->vote)
            rule->vote = 1 + below(draw, 3);
        break;
    case 6:
        rule->points |= 1U << below(draw, PLAN_POINTS - 1);
        break;
    case 7:
        if (!plan_is_dose(rule))
            draw_options(draw, rule);
        break;
    default:
        change_limit(draw, rule);
        break;
    }
}

static void change_plant(struct draw *draw, struct plant_spec *spec)
{
    for (unsigned changes = 1 + below(draw, 3); changes > 0; changes--) {
        struct device_spec *device = &spec->devices[below(draw, PLAN_DEVICES)];
        static const double scales[] = {0.5, 1, 2};
        if (chance(draw, 75))
            change_rule(draw, &spec->rules[below(draw, PLAN_RULES)]);
        else if (chance(draw, 40))
            device->present = !device->present;
        else if (chance(draw, 40))
            draw_guards(draw, device);
        else
            device->scale = PICK(draw, scales);
    }
    spec->rules[0].present = true;
    make_valid(spec);
}

/* ---- what happens ---- */

static void draw_number(struct draw *draw, struct op *op, unsigned k)
{
    unsigned point = op->device * PLAN_PER_DEVICE + k;
    if (chance(draw, 15))
        draw->high[point] = !draw->high[point];
    bool high = draw->high[point];
    if (point == PLAN_POINTS - 1)
        op->number[k] = high;
    else if (chance(draw, 3))
        op->number[k] = chance(draw, 50) ? 250 : -30;
    else
        op->number[k] = 0.5 * (high ? 12 + below(draw, 30) : below(draw, 20));
    if (draw->mood.still && point != PLAN_POINTS - 1 && chance(draw, 75))
        op->number[k] = draw->last[point];
    draw->last[point] = op->number[k];
    op->raw[k] = chance(draw, draw->mood.faulty / 2) ? (enum raw)below(draw, RAW_COUNT_) : RAW_NUMBER;
}

static void draw_read(struct draw *draw, struct op *op)
{
    static const enum davy_answer failures[] = {DAVY_ANSWER_EXCEPTION, DAVY_ANSWER_TIMEOUT, DAVY_ANSWER_TIMEOUT,
                                                DAVY_ANSWER_INVALID, DAVY_ANSWER_DOWN};
    op->device = below(draw, PLAN_DEVICES);
    unsigned *silent = &draw->silent[op->device];
    if (*silent == 0 && chance(draw, draw->mood.faulty))
        *silent = 1 + below(draw, 6);
    if (*silent > 0) {
        --*silent;
        op->answer = PICK(draw, failures);
    }
    for (unsigned k = 0; k < PLAN_PER_DEVICE; k++)
        draw_number(draw, op, k);
    if (chance(draw, draw->mood.faulty / 2))
        op->status = 1U << below(draw, 5);
}

static void draw_command(struct draw *draw, struct op *op)
{
    static const enum davy_command_verb verbs[] = {
        DAVY_COMMAND_ACK,       DAVY_COMMAND_ACK,      DAVY_COMMAND_ACK,
        DAVY_COMMAND_RESET,     DAVY_COMMAND_RESET,    DAVY_COMMAND_SHELVE,
        DAVY_COMMAND_SHELVE,    DAVY_COMMAND_UNSHELVE, DAVY_COMMAND_OUT_OF_SERVICE,
        DAVY_COMMAND_IN_SERVICE};
    op->verb = (int)PICK(draw, verbs);
    op->rule = below(draw, PLAN_RULES);
    const struct rule_spec *rule = &draw->plan->versions[draw->version].rules[op->rule];
    op->point = PLAN_POINTS;
    if (rule->vote == 0)
        do
            op->point = below(draw, PLAN_POINTS);
        while (!(rule->points >> op->point & 1));
    op->duration_ms = 1000 * (int)(1 + below(draw, 60));
}

static void draw_restart(struct draw *draw, struct op *op)
{
    static const int downs[] = {0, 0, 250, 1000, 3000, 10000, 60000, 600000};
    op->down_ms = PICK(draw, downs) * (draw->mood.days ? 32 : 1);
    op->reboot = chance(draw, 30);
    op->lose = chance(draw, 50) ? below(draw, 5) : 0;
    op->version = chance(draw, 20) ? below(draw, PLAN_VERSIONS) : draw->version;
    if (!draw->mood.slow && chance(draw, 25)) /* exposure is kept by the wall clock */
        op->wall_ms = (int64_t)below(draw, 7200000) - 3600000;
    draw->version = op->version;
}

/* A sum of money has the same chances as a second. */
static int64_t draw_step(struct draw *draw)
{
    static const int64_t sizes[] = {1, 999, 1001, 3600000, 86400000, 31536000000, 1700000000000};
    int64_t size = PICK(draw, sizes);
    return chance(draw, 50) ? size : -size;
}

static void draw_op(struct draw *draw, struct op *op)
{
    static const int delays[] = {0, 0, 250, 250, 500, 1000, 1000, 2000, 3000};
    const struct mood *mood = &draw->mood;
    unsigned what = below(draw, 1000);
    *op = (struct op){.delay_ms = paced(draw, PICK(draw, delays), 15), .version = draw->version};
    if (what < mood->restarts) {
        op->kind = OP_RESTART;
        draw_restart(draw, op);
    } else if ((what -= mood->restarts) < mood->reloads) {
        op->kind = OP_RELOAD;
        draw->version = op->version = below(draw, PLAN_VERSIONS);
    } else if ((what -= mood->reloads) < mood->people) {
        op->kind = OP_COMMAND;
        draw_command(draw, op);
    } else if ((what -= mood->people) < 15) {
        op->kind = OP_INHIBIT;
        op->device = below(draw, PLAN_DEVICES);
        op->duration_ms = chance(draw, 70) ? 1000 * (int)(1 + below(draw, 30)) : 0;
    } else if ((what -= 15) < 30) {
        op->kind = OP_CLOCK;
        op->wall_ms = mood->slow ? 0 : draw_step(draw);
    } else if ((what -= 30) < 8) {
        op->kind = OP_LEDGER;
    } else if ((what -= 8) < 40) {
        op->kind = OP_WAIT;
        op->delay_ms = paced(draw, 1000 * (int)(1 + below(draw, 40)), 10);
    } else if ((what -= 40) < mood->people / 4) {
        op->kind = OP_RELEASE;
        op->point = below(draw, PLAN_POINTS);
    } else {
        op->kind = OP_READ;
        draw_read(draw, op);
    }
}

void plan_make(struct plan *plan, uint64_t seed)
{
    static const unsigned faults[] = {0, 5, 10, 20, 40};
    static const unsigned restarts[] = {0, 20, 50, 120};
    static const unsigned reloads[] = {0, 0, 20, 60};
    static const unsigned people[] = {0, 80, 80, 200};
    struct draw draw = {.random = {.state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1}, .plan = plan};
    memset(plan, 0, sizeof *plan);
    plan->seed = seed;
    draw.mood = (struct mood){.slow = chance(&draw, 10),
                              .still = chance(&draw, 25),
                              .faulty = PICK(&draw, faults),
                              .restarts = PICK(&draw, restarts),
                              .reloads = PICK(&draw, reloads),
                              .people = PICK(&draw, people)};
    draw.mood.days = draw.mood.slow && chance(&draw, 30);
    draw_plant(&draw, &plan->versions[0]);
    for (unsigned v = 1; v < PLAN_VERSIONS; v++) {
        plan->versions[v] = plan->versions[v - 1];
        change_plant(&draw, &plan->versions[v]);
    }
    plan->op_count = 30 + below(&draw, draw.mood.slow ? PLAN_OPS - 30 : 60);
    for (unsigned i = 0; i < plan->op_count; i++)
        draw_op(&draw, &plan->ops[i]);
}
