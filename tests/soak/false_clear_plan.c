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
    bool slow;                          /* the quarter of an hour of stel has to pass */
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

#define PICK(draw, list) ((list)[below((draw), DAVY_LENGTH(list))])

/* ---- the plant ---- */

static int draw_delay(struct draw *draw)
{
    static const int delays[] = {0, 0, 0, 250, 500, 1000, 2000, 3000, 5000, 10000};
    return PICK(draw, delays) * (draw->mood.slow ? 10 : 1);
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

/* `place` of `count` milder to harder. */
static void draw_bound(struct draw *draw, struct limit_spec *limit, unsigned place)
{
    double step = 3.0 * place + 0.5 * below(draw, 6);
    switch ((int)limit->condition) {
    case DAVY_CONDITION_BELOW:
        limit->a = 9 - step;
        break;
    case DAVY_CONDITION_OUTSIDE:
        limit->a = 6 - step;
        limit->b = 8 + step;
        break;
    default:
        limit->a = 5 + step;
        break;
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
    bool dose = rule->measure == DAVY_MEASURE_STEL;
    enum davy_condition condition = dose ? DAVY_CONDITION_ABOVE : PICK(draw, conditions);
    unsigned place = 0;
    rule->limit_count = 0;
    /* of exposure no blue: its upper bound would be the same limit as that of yellow */
    for (enum davy_level level = dose ? DAVY_LEVEL_YELLOW : DAVY_LEVEL_BLUE; level < DAVY_LEVEL_COUNT_; level++) {
        if (!chance(draw, 50) && !(level == DAVY_LEVEL_RED && rule->limit_count == 0))
            continue;
        struct limit_spec limit = {.level = level, .named = level, .condition = condition};
        draw_bound(draw, &limit, place++);
        draw_behaviour(draw, &limit);
        if (dose)
            limit.a /= 2;
        if (dose || rule->measure == DAVY_MEASURE_MEAN) { /* no average of such numbers is on a bound */
            limit.a += BESIDE;
            limit.b += BESIDE;
        }
        add_limit(rule, &limit);
        if (dose)
            add_upper(rule, limit);
        if (place == (dose ? 3 : 4))
            break;
    }
}

static void draw_measure(struct draw *draw, struct rule_spec *rule)
{
    static const enum davy_measure measures[] = {DAVY_MEASURE_MEAN, DAVY_MEASURE_MAX, DAVY_MEASURE_MIN};
    static const int windows[] = {4000, 10000, 20000};
    rule->measure = DAVY_MEASURE_VALUE;
    rule->window_ms = PICK(draw, windows);
    if (draw->mood.slow) {
        rule->measure = DAVY_MEASURE_STEL;
        rule->window_ms = 15 * 60000;
    } else if (chance(draw, 25)) {
        rule->measure = PICK(draw, measures);
    }
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

static void draw_rule(struct draw *draw, struct rule_spec *rule)
{
    *rule = (struct rule_spec){.present = true};
    draw_measure(draw, rule);
    draw_limits(draw, rule);
    draw_when(draw, rule);
    draw_ladder(draw, rule);
    rule->points = 1U << below(draw, PLAN_POINTS - 1);
    if (chance(draw, 30))
        rule->points |= 1U << below(draw, PLAN_POINTS - 1);
    if (chance(draw, 25)) {
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
        if (rule->vote > count || count == 0 || (rule->has_when && !(points >> rule->when_point & 1)))
            rule->present = false;
    }
}

static void draw_plant(struct draw *draw, struct plant_spec *spec)
{
    static const int ages[] = {2000, 5000, 10000, 20000, 60000};
    static const int settles[] = {0, 0, 1, 2, 3};
    spec->fault_delay_ms = 1000 * (int)(1 + below(draw, 10));
    for (unsigned d = 0; d < PLAN_DEVICES; d++)
        spec->devices[d] = (struct device_spec){.present = true,
                                                .settle = PICK(draw, settles),
                                                .max_age_ms = PICK(draw, ages) * (draw->mood.slow ? 5 : 1),
                                                .scale = 1};
    for (unsigned r = 0; r < PLAN_RULES; r++) {
        draw_rule(draw, &spec->rules[r]);
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
    if (rule->limit_count < 2 || rule->measure == DAVY_MEASURE_STEL)
        return;
    unsigned gone = below(draw, rule->limit_count--);
    memmove(&rule->limits[gone], &rule->limits[gone + 1], (rule->limit_count - gone) * sizeof rule->limits[0]);
}

static void change_rule(struct draw *draw, struct rule_spec *rule)
{
    switch (below(draw, 9)) {
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
    op->down_ms = PICK(draw, downs);
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
    *op = (struct op){.delay_ms = PICK(draw, delays) * (mood->slow ? 15 : 1), .version = draw->version};
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
        op->delay_ms = 1000 * (int)(1 + below(draw, 40)) * (mood->slow ? 10 : 1);
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
    draw.mood = (struct mood){.slow = chance(&draw, 8),
                              .faulty = PICK(&draw, faults),
                              .restarts = PICK(&draw, restarts),
                              .reloads = PICK(&draw, reloads),
                              .people = PICK(&draw, people)};
    draw_plant(&draw, &plan->versions[0]);
    for (unsigned v = 1; v < PLAN_VERSIONS; v++) {
        plan->versions[v] = plan->versions[v - 1];
        change_plant(&draw, &plan->versions[v]);
    }
    plan->op_count = 30 + below(&draw, draw.mood.slow ? PLAN_OPS - 30 : 60);
    for (unsigned i = 0; i < plan->op_count; i++)
        draw_op(&draw, &plan->ops[i]);
}
