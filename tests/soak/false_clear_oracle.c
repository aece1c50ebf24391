/* SPDX-License-Identifier: Apache-2.0 */
/* How the floors rise and fall with readings and time. Sources of each rule: false_clear_oracle.h. */
#include "false_clear_oracle.h"

#include <math.h>
#include <string.h>

/* Sums of floating-point numbers may differ in the last digits: so near a bound both sides are right. */
#define NEAR 1e-9

const struct rule_spec *oracle_rule(const struct oracle *oracle, unsigned slot)
{
    return slot < SLOT_RULES ? &oracle->spec->rules[slot / (PLAN_POINTS + 1)] : NULL;
}

bool oracle_exists(const struct plant_spec *spec, unsigned slot)
{
    if (slot < SLOT_RULES) {
        const struct rule_spec *rule = &spec->rules[slot / (PLAN_POINTS + 1)];
        unsigned point = slot % (PLAN_POINTS + 1);
        if (!rule->present || (point == PLAN_POINTS) != (rule->vote > 0))
            return false;
        return rule->vote || (rule->points >> point & 1 && spec->devices[point / PLAN_PER_DEVICE].present);
    }
    if (slot == SLOT_FAULT_BUS)
        return true;
    if (slot < SLOT_FAULT_PT)
        return spec->devices[slot - SLOT_FAULT_DEV].present;
    if (slot < SLOT_INHIBIT)
        return spec->devices[(slot - SLOT_FAULT_PT) / PLAN_PER_DEVICE].present;
    if (slot < SLOT_VOTE_FAULT)
        return spec->devices[slot - SLOT_INHIBIT].present;
    return spec->rules[slot - SLOT_VOTE_FAULT].present && spec->rules[slot - SLOT_VOTE_FAULT].vote > 0;
}

void oracle_reset_slot(struct slot *slot)
{
    *slot = (struct slot){.when_since = NEVER};
    for (unsigned i = 0; i < PLAN_LIMITS; i++)
        slot->limits[i].hot = slot->limits[i].calm = NEVER;
}

void oracle_begin(struct oracle *oracle, const struct plant_spec *spec, int64_t now)
{
    memset(oracle, 0, sizeof *oracle);
    oracle->spec = spec;
    oracle->now = now;
    oracle->commanded = SLOT_NONE;
    for (unsigned s = 0; s < SLOTS; s++)
        oracle_reset_slot(&oracle->slots[s]);
    for (unsigned z = 0; z < 2; z++)
        for (unsigned level = 0; level < DAVY_LEVEL_COUNT_; level++)
            oracle->zone_at[z][level] = INT64_MIN / 2;
    for (unsigned p = 0; p < PLAN_POINTS; p++)
        oracle->points[p].read_at = now;
}

/* ---- evidence ---- */

/* "Where several apply, the first wins"; a warm-up that has become a fault is no better than a warm-up. */
static struct evidence worth_of(const struct oracle *oracle, const struct op *op, unsigned k, bool jumped)
{
    const struct point_past *past = &oracle->points[op->device * PLAN_PER_DEVICE + k];
    double value = op->number[k] * oracle->spec->devices[op->device].scale;
    if (op->answer != DAVY_ANSWER_OK)
        return (struct evidence){.worth = WORTH_BAD};
    if (oracle->now < oracle->inhibit_until[op->device] || op->status & (STATUS_CALIBRATION | STATUS_WARM_UP))
        return (struct evidence){.worth = WORTH_HELD};
    if (op->status & STATUS_OVER_RANGE)
        return (struct evidence){.worth = WORTH_RAISE, .value = PLAN_HIGH, .counts = true, .over = true};
    if (op->status & STATUS_FAULT || op->raw[k] != RAW_NUMBER)
        return (struct evidence){.worth = WORTH_BAD};
    if (value < PLAN_LOW - 0.1 * (PLAN_HIGH - PLAN_LOW))
        return (struct evidence){.worth = WORTH_BAD};
    if (value > PLAN_HIGH || past->latched)
        return (struct evidence){.worth = WORTH_RAISE, .value = PLAN_HIGH, .counts = true, .over = true};
    if (past->settling > 0 || jumped)
        return (struct evidence){.worth = WORTH_RAISE, .value = value};
    return (struct evidence){.worth = WORTH_GOOD, .value = value, .counts = true};
}

static bool jumps(const struct oracle *oracle, const struct op *op, unsigned k, double number)
{
    const struct point_past *past = &oracle->points[op->device * PLAN_PER_DEVICE + k];
    double rate = oracle->spec->devices[op->device].max_rate;
    return rate > 0 && past->has_number &&
           fabs(number - past->number) > rate * (double)(oracle->now - past->number_at) / 1000;
}

struct evidence oracle_evidence(const struct oracle *oracle, const struct op *op, unsigned k)
{
    double number = op->number[k] * oracle->spec->devices[op->device].scale;
    bool has_number = op->answer == DAVY_ANSWER_OK && op->raw[k] == RAW_NUMBER;
    bool jumped = has_number && jumps(oracle, op, k, number);
    struct evidence evidence = worth_of(oracle, op, k, jumped);
    evidence.has_number = has_number;
    evidence.number = number;
    evidence.jumped = jumped;
    return evidence;
}

/* ---- one limit ---- */

bool oracle_is_average(const struct rule_spec *rule)
{
    return plan_is_dose(rule) || rule->measure == DAVY_MEASURE_MEAN || rule->measure == DAVY_MEASURE_RATE ||
           rule->measure == DAVY_MEASURE_FORECAST;
}

static bool is_on_trip_side(const struct limit_spec *limit, double value)
{
    switch ((int)limit->condition) {
    case DAVY_CONDITION_ABOVE:
        return value >= limit->a + NEAR;
    case DAVY_CONDITION_BELOW:
        return value <= limit->a - NEAR;
    case DAVY_CONDITION_OUTSIDE:
        return value <= limit->a - NEAR || value >= limit->b + NEAR;
    default:
        return value == limit->a;
    }
}

/* "Above returns when m < X - deadband", likewise. */
static bool is_in_return_region(const struct limit_spec *limit, double value)
{
    switch ((int)limit->condition) {
    case DAVY_CONDITION_ABOVE:
        return value < limit->a - limit->deadband + NEAR;
    case DAVY_CONDITION_BELOW:
        return value > limit->a + limit->deadband - NEAR;
    case DAVY_CONDITION_OUTSIDE:
        return value > limit->a + limit->deadband - NEAR && value < limit->b - limit->deadband + NEAR;
    default:
        return value != limit->a;
    }
}

/* Exactly on a bound, values that were not computed have a side: the trip side. */
bool oracle_trips(const struct limit_spec *limit, double value, bool computed)
{
    struct limit_spec exact = *limit;
    if (!computed) {
        exact.a += limit->condition == DAVY_CONDITION_ABOVE ? -NEAR : NEAR;
        exact.b -= NEAR;
    }
    return is_on_trip_side(limit->condition == DAVY_CONDITION_EQUALS ? limit : &exact, value);
}

static bool returns(const struct limit_spec *limit, double value, bool computed)
{
    struct limit_spec exact = *limit;
    if (!computed) {
        exact.a += limit->condition == DAVY_CONDITION_ABOVE ? -NEAR : NEAR;
        exact.b -= NEAR;
    }
    return is_in_return_region(limit->condition == DAVY_CONDITION_EQUALS ? limit : &exact, value);
}

/* Delays that are over. */
void oracle_expire(const struct limit_spec *limit, struct limit_floor *floor, int64_t now)
{
    if (!floor->condition && floor->hot != NEVER && floor->hot + limit->on_ms <= now) {
        floor->condition = true;
        floor->held = floor->again = false;
    }
    if (floor->condition && floor->calm != NEVER && !floor->stands && floor->calm + limit->off_ms <= now) {
        floor->condition = false;
        floor->held = limit->latch;
        floor->hot = NEVER;
    }
}

void oracle_be_hot(struct limit_floor *floor, int64_t now)
{
    floor->hot = floor->hot == NEVER ? now : floor->hot;
    floor->calm = NEVER;
}

static void be_calm(struct limit_floor *floor, int64_t now)
{
    floor->hot = NEVER;
    floor->calm = floor->calm == NEVER ? now : floor->calm;
    floor->stands = false;
}

static void feed(const struct limit_spec *limit, struct limit_floor *floor, const struct evidence *evidence,
                 bool computed, int64_t now)
{
    bool evaluated = evidence->worth == WORTH_GOOD || evidence->worth == WORTH_RAISE;
    if (evaluated && oracle_trips(limit, evidence->value, computed))
        oracle_be_hot(floor, now);
    else if (evidence->worth == WORTH_BAD && limit->trip_on_fault)
        oracle_be_hot(floor, now);
    else if (evidence->worth == WORTH_GOOD && returns(limit, evidence->value, computed))
        be_calm(floor, now);
    else
        floor->calm = NEVER;
    if (evidence->worth == WORTH_GOOD && !oracle_trips(limit, evidence->value, computed))
        floor->hot = NEVER;
    oracle_expire(limit, floor, now);
}

/* ---- votes ---- */

static bool counts_as_bad(const struct oracle *oracle, unsigned rule, unsigned point, unsigned limit)
{
    return oracle->out[rule][point] && !oracle->votes[rule][point][limit];
}

void oracle_count_votes(struct oracle *oracle, unsigned rule, unsigned limit, bool good)
{
    const struct rule_spec *spec = &oracle->spec->rules[rule];
    struct limit_floor *floor = &oracle->slots[slot_of_rule(rule, PLAN_POINTS)].limits[limit];
    int votes = 0, bad = 0, needed = (int)spec->vote;
    for (unsigned p = 0; p < PLAN_POINTS; p++) {
        if (!(spec->points >> p & 1) || !oracle->spec->devices[p / PLAN_PER_DEVICE].present)
            continue;
        votes += oracle->votes[rule][p][limit];
        bad += counts_as_bad(oracle, rule, p, limit);
    }
    if (spec->on_bad == DAVY_ON_BAD_TRIP)
        votes += bad;
    if (spec->on_bad == DAVY_ON_BAD_DEGRADE)
        needed = needed - bad > 1 ? needed - bad : 1;
    if (votes >= needed)
        oracle_be_hot(floor, oracle->now);
    else if (good)
        be_calm(floor, oracle->now);
    oracle_expire(&spec->limits[limit], floor, oracle->now);
}

static void take_member(struct oracle *oracle, unsigned rule, unsigned point, const struct evidence *evidence)
{
    const struct rule_spec *spec = &oracle->spec->rules[rule];
    bool computed = oracle_is_average(spec);
    for (unsigned i = 0; i < spec->limit_count; i++) {
        bool *vote = &oracle->votes[rule][point][i];
        struct evidence seen = oracle_measured(oracle, rule, point, spec->limits[i].upper, evidence);
        bool evaluated = seen.worth == WORTH_GOOD || seen.worth == WORTH_RAISE;
        if (evaluated && oracle_trips(&spec->limits[i], seen.value, computed))
            *vote = true;
        else if (seen.worth == WORTH_GOOD && returns(&spec->limits[i], seen.value, computed))
            *vote = false;
        else if (seen.worth == WORTH_BAD && spec->limits[i].trip_on_fault)
            *vote = true;
        oracle_count_votes(oracle, rule, i, evidence->worth == WORTH_GOOD);
    }
}

/* ---- `when` ---- */

static bool says_true(const struct rule_spec *rule, const struct evidence *evidence)
{
    if (evidence->worth != WORTH_GOOD)
        return true;
    switch ((int)rule->when_condition) {
    case DAVY_CONDITION_ABOVE:
        return evidence->value >= rule->when_value;
    case DAVY_CONDITION_BELOW:
        return evidence->value <= rule->when_value;
    default:
        return evidence->value == rule->when_value;
    }
}

void oracle_untrip(struct oracle *oracle, unsigned slot)
{
    const struct rule_spec *rule = oracle_rule(oracle, slot);
    for (unsigned i = 0; i < rule->limit_count; i++) {
        struct limit_floor *floor = &oracle->slots[slot].limits[i];
        floor->held |= rule->limits[i].latch && floor->condition;
        floor->condition = false;
        floor->hot = floor->calm = NEVER;
    }
    if (rule->vote)
        memset(oracle->votes[slot / (PLAN_POINTS + 1)], 0, sizeof oracle->votes[0]);
}

static void evaluate(struct oracle *oracle, unsigned slot, unsigned point, const struct evidence *evidence);

/* "The newest reading, if no older than max_age, is evaluated at that instant". */
void oracle_evaluate_newest(struct oracle *oracle, unsigned slot)
{
    const struct rule_spec *rule = oracle_rule(oracle, slot);
    for (unsigned p = 0; p < PLAN_POINTS; p++) {
        const struct point_past *past = &oracle->points[p];
        bool of_alarm = rule->vote ? rule->points >> p & 1 : slot % (PLAN_POINTS + 1) == p;
        if (of_alarm && past->known &&
            oracle->now - past->read_at <= oracle->spec->devices[p / PLAN_PER_DEVICE].max_age_ms)
            evaluate(oracle, slot, p, &past->newest);
    }
}

static void flip_when(struct oracle *oracle, unsigned slot)
{
    struct slot *of = &oracle->slots[slot];
    of->when_false = !of->when_false;
    of->when_since = NEVER;
    /* where nothing tells that it was false, it may have been true all the time: a measure was not evaluated now */
    bool flips = of->suppressed ||
                 (of->told.level == DAVY_LEVEL_NONE && oracle_rule(oracle, slot)->measure == DAVY_MEASURE_VALUE);
    if (!of->when_false && flips)
        oracle_evaluate_newest(oracle, slot);
    if (of->when_false && of->told.level == DAVY_LEVEL_NONE)
        oracle_untrip(oracle, slot);
    for (unsigned i = 0; of->when_false && i < PLAN_LIMITS; i++)
        of->limits[i].hot = NEVER; /* no more to be raised; what stands is suppressed, or cleared */
}

static void expire_when(struct oracle *oracle, unsigned slot)
{
    struct slot *of = &oracle->slots[slot];
    const struct rule_spec *rule = oracle_rule(oracle, slot);
    if (of->when_since != NEVER && !of->when_stands && of->when_since + rule->when_hold_ms <= oracle->now)
        flip_when(oracle, slot);
}

void oracle_settle_when(struct oracle *oracle, unsigned slot, const struct evidence *evidence)
{
    struct slot *of = &oracle->slots[slot];
    if (says_true(oracle_rule(oracle, slot), evidence) != of->when_false) {
        of->when_since = NEVER;
    } else if (of->when_since == NEVER) {
        of->when_since = oracle->now;
        of->when_stands = false;
    }
    of->when_stands &= evidence->worth != WORTH_GOOD;
    expire_when(oracle, slot);
}

/* ---- readings ---- */

/* Whether the limits are judged: not while `when` is false, but a floor of what is still told stays. */
static bool is_judged(const struct slot *slot)
{
    return !slot->when_false || (slot->told.level != DAVY_LEVEL_NONE && !slot->suppressed);
}

static void evaluate_limits(struct oracle *oracle, unsigned slot, unsigned point, const struct evidence *evidence)
{
    const struct rule_spec *rule = oracle_rule(oracle, slot);
    unsigned r = slot / (PLAN_POINTS + 1);
    if (rule->vote) {
        take_member(oracle, r, point, evidence);
        return;
    }
    for (unsigned i = 0; i < rule->limit_count; i++) {
        struct evidence seen = oracle_measured(oracle, r, point, rule->limits[i].upper, evidence);
        feed(&rule->limits[i], &oracle->slots[slot].limits[i], &seen, oracle_is_average(rule), oracle->now);
    }
}

/* What may be suppressed by now is not to be raised; if it is not, what stands may still be cleared. */
static void evaluate(struct oracle *oracle, unsigned s, unsigned point, const struct evidence *evidence)
{
    struct slot *slot = &oracle->slots[s], before = *slot;
    if (!is_judged(slot))
        return;
    evaluate_limits(oracle, s, point, evidence);
    for (unsigned i = 0; slot->when_false && i < PLAN_LIMITS; i++)
        if (!before.limits[i].condition) {
            slot->limits[i].condition = false;
            slot->limits[i].hot = NEVER;
        }
}

/* What of a value outlives its reading: a latch over the range, and from what the next one may jump. */
static void remember_number(struct oracle *oracle, unsigned point, const struct evidence *evidence)
{
    struct point_past *past = &oracle->points[point];
    const struct device_spec *device = &oracle->spec->devices[point / PLAN_PER_DEVICE];
    oracle->held_over += past->latched && evidence->over;
    oracle->jumps += evidence->jumped && evidence->worth == WORTH_RAISE && !evidence->over;
    past->latched |= evidence->over && device->latches >> point % PLAN_PER_DEVICE & 1;
    if (evidence->jumped && evidence->worth != WORTH_BAD)
        past->settling = device->settle;
    if (!evidence->has_number)
        return;
    past->has_number = true;
    past->number = evidence->number;
    past->number_at = oracle->now;
}

void oracle_release(struct oracle *oracle, unsigned point)
{
    oracle->points[point].latched = false;
}

static void remember(struct oracle *oracle, unsigned point, const struct evidence *evidence)
{
    struct point_past *past = &oracle->points[point];
    past->samples[past->count++ % SAMPLES] =
        (struct sample){.at = oracle->now, .counts = evidence->counts, .value = evidence->value};
    past->known = true;
    past->stale = false;
    past->read_at = oracle->now;
    past->newest = *evidence;
    if (evidence->worth != WORTH_BAD)
        past->inhibited = evidence->worth == WORTH_HELD;
    past->run = evidence->worth == WORTH_BAD ? 0 : past->run + 1;
    if (evidence->worth == WORTH_BAD)
        past->settling = oracle->spec->devices[point / PLAN_PER_DEVICE].settle;
    else if (past->settling > 0)
        past->settling--;
    remember_number(oracle, point, evidence);
}

void oracle_reading(struct oracle *oracle, unsigned point, const struct evidence *evidence)
{
    remember(oracle, point, evidence);
    for (unsigned s = 0; s < SLOT_RULES; s++)
        if (oracle_exists(oracle->spec, s) && oracle_rule(oracle, s)->has_when &&
            oracle_rule(oracle, s)->when_point == point)
            oracle_settle_when(oracle, s, evidence);
    for (unsigned r = 0; r < PLAN_RULES; r++) {
        unsigned slot = slot_of_rule(r, oracle->spec->rules[r].vote ? PLAN_POINTS : point);
        if (oracle_exists(oracle->spec, slot) && oracle->spec->rules[r].points >> point & 1)
            oracle->out[r][point] = evidence->worth == WORTH_BAD || evidence->worth == WORTH_HELD ||
                                    (oracle->out[r][point] && !evidence->counts);
        if (oracle_exists(oracle->spec, slot) && oracle->spec->rules[r].points >> point & 1)
            evaluate(oracle, slot, point, evidence);
    }
}

/* A raise is no reading: it can trip, and keeps nothing from returning. */
static void take_raise(struct oracle *oracle, unsigned slot, unsigned point)
{
    static const struct evidence raise = {.worth = WORTH_RAISE, .counts = true};
    const struct rule_spec *rule = oracle_rule(oracle, slot);
    for (unsigned i = 0; i < rule->limit_count && !oracle->slots[slot].when_false; i++) {
        struct limit_floor *floor = &oracle->slots[slot].limits[i];
        struct evidence seen = oracle_measured(oracle, slot / (PLAN_POINTS + 1), point, false, &raise);
        if (!oracle_trips(&rule->limits[i], seen.value, false))
            continue;
        oracle_be_hot(floor, oracle->now);
        oracle_expire(&rule->limits[i], floor, oracle->now);
    }
}

/* "Evaluated at each of them". */
void oracle_count_raise(struct oracle *oracle, unsigned slot, int64_t at)
{
    unsigned raised = slot / (PLAN_POINTS + 1), point = slot % (PLAN_POINTS + 1);
    if (point == PLAN_POINTS)
        return;
    struct raises *raises = &oracle->raises[raised][point];
    raises->at[raises->count++ % RAISES] = at;
    for (unsigned r = raised + 1; r < PLAN_RULES; r++) {
        const struct rule_spec *rule = &oracle->spec->rules[r];
        bool counts = rule->measure == DAVY_MEASURE_OCCURRENCES && rule->counted == raised && rule->points >> point & 1;
        if (counts && oracle_exists(oracle->spec, slot_of_rule(r, point)))
            take_raise(oracle, slot_of_rule(r, point), point);
    }
}

void oracle_answer(struct oracle *oracle, bool answered)
{
    oracle->answers = answered ? oracle->answers + 1 : 0;
}

/* ---- time ---- */

static int64_t sooner(int64_t a, int64_t b)
{
    return a == NEVER || (b != NEVER && b < a) ? b : a;
}

static int64_t limit_due(const struct limit_spec *limit, const struct limit_floor *floor)
{
    if (floor->condition)
        return floor->calm == NEVER || floor->stands ? NEVER : floor->calm + limit->off_ms;
    return floor->hot == NEVER ? NEVER : floor->hot + limit->on_ms;
}

static int64_t slot_due(const struct oracle *oracle, unsigned s)
{
    const struct slot *slot = &oracle->slots[s];
    const struct rule_spec *rule = oracle_rule(oracle, s);
    int64_t due = slot->when_since == NEVER || slot->when_stands ? NEVER : slot->when_since + rule->when_hold_ms;
    for (unsigned i = 0; i < rule->limit_count; i++)
        due = sooner(due, limit_due(&rule->limits[i], &slot->limits[i]));
    return due;
}

void oracle_fire(struct oracle *oracle, unsigned s)
{
    const struct rule_spec *rule = oracle_rule(oracle, s);
    expire_when(oracle, s);
    for (unsigned i = 0; i < rule->limit_count; i++)
        oracle_expire(&rule->limits[i], &oracle->slots[s].limits[i], oracle->now);
}

/* When the silence of a point becomes a reading. */
static int64_t stale_due(const struct oracle *oracle, unsigned point)
{
    const struct device_spec *device = &oracle->spec->devices[point / PLAN_PER_DEVICE];
    const struct point_past *past = &oracle->points[point];
    return !device->present || past->stale ? NEVER : past->read_at + device->max_age_ms;
}

static int64_t first_due(const struct oracle *oracle)
{
    int64_t due = NEVER;
    for (unsigned s = 0; s < SLOT_RULES; s++)
        if (oracle_exists(oracle->spec, s))
            due = sooner(due, slot_due(oracle, s));
    return due;
}

static int64_t first_stale(const struct oracle *oracle, unsigned *ret_point)
{
    int64_t due = NEVER;
    for (unsigned p = 0; p < PLAN_POINTS; p++) {
        int64_t stale = stale_due(oracle, p);
        if (stale != NEVER && (due == NEVER || stale < due)) {
            due = stale;
            *ret_point = p;
        }
    }
    return due;
}

static void become_stale(struct oracle *oracle, unsigned point)
{
    static const struct evidence silence = {.worth = WORTH_BAD};
    oracle_answer(oracle, false);
    oracle_reading(oracle, point, &silence);
    oracle->points[point].stale = true;
}

void oracle_time(struct oracle *oracle, int64_t now)
{
    for (;;) {
        unsigned point = 0;
        int64_t due = first_due(oracle), stale = first_stale(oracle, &point);
        bool by_silence = stale != NEVER && stale < now && (due == NEVER || stale < due);
        if (!by_silence && (due == NEVER || due > now))
            break;
        int64_t at = by_silence ? stale : due;
        if (at > oracle->now) {
            oracle_check(oracle); /* of what was until then, all has been told */
            oracle->now = at;
        }
        if (by_silence)
            become_stale(oracle, point);
        for (unsigned s = 0; !by_silence && s < SLOT_RULES; s++)
            if (oracle_exists(oracle->spec, s))
                oracle_fire(oracle, s);
    }
    oracle->now = now > oracle->now ? now : oracle->now;
}
