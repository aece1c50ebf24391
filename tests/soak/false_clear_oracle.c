/* SPDX-License-Identifier: Apache-2.0 */
/* How the floors rise and fall: readings, time, restarts and reloads. Sources of each rule: false_clear_oracle.h. */
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

static void reset_slot(struct slot *slot)
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
        reset_slot(&oracle->slots[s]);
    for (unsigned z = 0; z < 2; z++)
        for (unsigned level = 0; level < DAVY_LEVEL_COUNT_; level++)
            oracle->zone_at[z][level] = INT64_MIN / 2;
    for (unsigned p = 0; p < PLAN_POINTS; p++)
        oracle->points[p].read_at = now;
}

/* ---- evidence ---- */

/* "Where several apply, the first wins"; a warm-up that has become a fault is no better than a warm-up. */
struct evidence oracle_evidence(const struct oracle *oracle, const struct op *op, unsigned k)
{
    unsigned point = op->device * PLAN_PER_DEVICE + k;
    double value = op->number[k] * oracle->spec->devices[op->device].scale;
    if (op->answer != DAVY_ANSWER_OK)
        return (struct evidence){.worth = WORTH_BAD};
    if (oracle->now < oracle->inhibit_until[op->device] || op->status & (STATUS_CALIBRATION | STATUS_WARM_UP))
        return (struct evidence){.worth = WORTH_HELD};
    if (op->status & STATUS_OVER_RANGE)
        return (struct evidence){.worth = WORTH_RAISE, .value = PLAN_HIGH, .counts = true};
    if (op->status & STATUS_FAULT || op->raw[k] != RAW_NUMBER)
        return (struct evidence){.worth = WORTH_BAD};
    if (value < PLAN_LOW - 0.1 * (PLAN_HIGH - PLAN_LOW))
        return (struct evidence){.worth = WORTH_BAD};
    if (value > PLAN_HIGH)
        return (struct evidence){.worth = WORTH_RAISE, .value = PLAN_HIGH, .counts = true};
    if (oracle->points[point].settling > 0)
        return (struct evidence){.worth = WORTH_RAISE, .value = value};
    return (struct evidence){.worth = WORTH_GOOD, .value = value, .counts = true};
}

/* ---- one limit ---- */

/* Sums of floating-point numbers, which may differ in the last digits. */
static bool is_average(const struct rule_spec *rule)
{
    return rule->measure == DAVY_MEASURE_MEAN || rule->measure == DAVY_MEASURE_STEL;
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
static bool trips(const struct limit_spec *limit, double value, bool computed)
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
static void expire(const struct limit_spec *limit, struct limit_floor *floor, int64_t now)
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

static void be_hot(struct limit_floor *floor, int64_t now)
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
    if (evaluated && trips(limit, evidence->value, computed))
        be_hot(floor, now);
    else if (evidence->worth == WORTH_BAD && limit->trip_on_fault)
        be_hot(floor, now);
    else if (evidence->worth == WORTH_GOOD && returns(limit, evidence->value, computed))
        be_calm(floor, now);
    else
        floor->calm = NEVER;
    if (evidence->worth == WORTH_GOOD && !trips(limit, evidence->value, computed))
        floor->hot = NEVER;
    expire(limit, floor, now);
}

/* ---- measures, from all readings each time ---- */

struct window {
    const struct point_past *past;
    unsigned from;
    int64_t begin, now, max_age;
};

static const struct sample *sample_at(const struct point_past *past, unsigned i)
{
    return &past->samples[i % SAMPLES];
}

static unsigned oldest(const struct window *window)
{
    unsigned kept = window->past->count > SAMPLES ? window->past->count - SAMPLES : 0;
    return window->from > kept ? window->from : kept;
}

/* The part of the window that a sample covers: "each value holds until the next reading of any quality or for max_age". */
static int64_t covers(const struct window *window, unsigned i, int64_t *ret_until)
{
    const struct sample *sample = sample_at(window->past, i);
    int64_t until = sample->at + window->max_age;
    if (i + 1 < window->past->count && sample_at(window->past, i + 1)->at < until)
        until = sample_at(window->past, i + 1)->at;
    until = until < window->now ? until : window->now;
    int64_t first = sample->at > window->begin ? sample->at : window->begin;
    *ret_until = until;
    return sample->counts && until > first ? until - first : 0;
}

static bool mean_of(const struct window *window, double *ret)
{
    double sum = 0;
    int64_t covered = 0, until;
    for (unsigned i = oldest(window); i < window->past->count; i++) {
        int64_t part = covers(window, i, &until);
        sum += (double)part * sample_at(window->past, i)->value;
        covered += part;
    }
    if (covered == 0 || (double)covered < 0.75 * (double)(window->now - window->begin))
        return false;
    *ret = sum / (double)covered;
    return true;
}

static bool extreme_of(const struct window *window, bool highest, double *ret)
{
    bool any = false;
    for (unsigned i = oldest(window); i < window->past->count; i++) {
        const struct sample *sample = sample_at(window->past, i);
        if (!sample->counts || sample->at <= window->begin)
            continue;
        if (!any || (sample->value > *ret) == highest)
            *ret = sample->value;
        any = true;
    }
    return any;
}

/* "Sum of c dt, negative readings as 0", with uncovered time as 0, or as the greater of the readings beside it. */
static bool dose_of(const struct window *window, bool upper, double *ret)
{
    double sum = 0, before = 0;
    int64_t edge = window->begin, until;
    bool any = false;
    for (unsigned i = oldest(window); i < window->past->count; i++) {
        const struct sample *sample = sample_at(window->past, i);
        if (!sample->counts)
            continue;
        double value = fmax(sample->value, 0);
        if (upper && sample->at > edge)
            sum += (double)(sample->at - edge) * fmax(before, value);
        int64_t part = covers(window, i, &until);
        sum += (double)(sample->cut && !upper ? 0 : part) * value; /* "down time is uncovered" */
        edge = until > edge ? until : edge;
        before = value;
        any = true;
    }
    if (upper && any && window->now > edge)
        sum += (double)(window->now - edge) * before;
    *ret = sum / (double)(window->now - window->begin);
    return any;
}

/* What a limit of the rule sees of a reading: the measure in place of the value, HELD where there is none. */
static struct evidence measured(const struct oracle *oracle, unsigned rule, unsigned point, bool upper,
                                const struct evidence *evidence)
{
    const struct rule_spec *spec = &oracle->spec->rules[rule];
    struct evidence seen = *evidence;
    bool done = evidence->counts;
    const struct window window = {.past = &oracle->points[point],
                                  .from = oracle->slots[slot_of_rule(rule, point)].from,
                                  .begin = oracle->now - spec->window_ms,
                                  .now = oracle->now,
                                  .max_age = oracle->spec->devices[point / PLAN_PER_DEVICE].max_age_ms};
    if (spec->measure == DAVY_MEASURE_VALUE)
        return seen;
    if (spec->measure == DAVY_MEASURE_STEL)
        done = dose_of(&window, upper, &seen.value) && (upper || done);
    else if (done && spec->measure == DAVY_MEASURE_MEAN)
        done = mean_of(&window, &seen.value);
    else if (done)
        done = extreme_of(&window, spec->measure == DAVY_MEASURE_MAX, &seen.value);
    if (!done)
        seen.worth = evidence->worth == WORTH_BAD ? WORTH_BAD : WORTH_HELD;
    else if (seen.worth != WORTH_GOOD)
        seen.worth = WORTH_RAISE;
    return seen;
}

/* ---- votes ---- */

static bool counts_as_bad(const struct oracle *oracle, unsigned rule, unsigned point, unsigned limit)
{
    return oracle->out[rule][point] && !oracle->votes[rule][point][limit];
}

static void count_votes(struct oracle *oracle, unsigned rule, unsigned limit, bool good)
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
        be_hot(floor, oracle->now);
    else if (good)
        be_calm(floor, oracle->now);
    expire(&spec->limits[limit], floor, oracle->now);
}

static void take_member(struct oracle *oracle, unsigned rule, unsigned point, const struct evidence *evidence)
{
    const struct rule_spec *spec = &oracle->spec->rules[rule];
    bool computed = is_average(spec);
    for (unsigned i = 0; i < spec->limit_count; i++) {
        bool *vote = &oracle->votes[rule][point][i];
        struct evidence seen = measured(oracle, rule, point, spec->limits[i].upper, evidence);
        bool evaluated = seen.worth == WORTH_GOOD || seen.worth == WORTH_RAISE;
        if (evaluated && trips(&spec->limits[i], seen.value, computed))
            *vote = true;
        else if (seen.worth == WORTH_GOOD && returns(&spec->limits[i], seen.value, computed))
            *vote = false;
        else if (seen.worth == WORTH_BAD && spec->limits[i].trip_on_fault)
            *vote = true;
        count_votes(oracle, rule, i, evidence->worth == WORTH_GOOD);
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
static void evaluate_newest(struct oracle *oracle, unsigned slot)
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
    if (!of->when_false)
        evaluate_newest(oracle, slot);
    else if (of->told.level == DAVY_LEVEL_NONE)
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

static void settle_when(struct oracle *oracle, unsigned slot, const struct evidence *evidence)
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
        struct evidence seen = measured(oracle, r, point, rule->limits[i].upper, evidence);
        feed(&rule->limits[i], &oracle->slots[slot].limits[i], &seen, is_average(rule), oracle->now);
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
}

void oracle_reading(struct oracle *oracle, unsigned point, const struct evidence *evidence)
{
    remember(oracle, point, evidence);
    for (unsigned s = 0; s < SLOT_RULES; s++)
        if (oracle_exists(oracle->spec, s) && oracle_rule(oracle, s)->has_when &&
            oracle_rule(oracle, s)->when_point == point)
            settle_when(oracle, s, evidence);
    for (unsigned r = 0; r < PLAN_RULES; r++) {
        unsigned slot = slot_of_rule(r, oracle->spec->rules[r].vote ? PLAN_POINTS : point);
        if (oracle_exists(oracle->spec, slot) && oracle->spec->rules[r].points >> point & 1)
            oracle->out[r][point] = evidence->worth == WORTH_BAD || evidence->worth == WORTH_HELD ||
                                    (oracle->out[r][point] && !evidence->counts);
        if (oracle_exists(oracle->spec, slot) && oracle->spec->rules[r].points >> point & 1)
            evaluate(oracle, slot, point, evidence);
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

static void fire(struct oracle *oracle, unsigned s)
{
    const struct rule_spec *rule = oracle_rule(oracle, s);
    expire_when(oracle, s);
    for (unsigned i = 0; i < rule->limit_count; i++)
        expire(&rule->limits[i], &oracle->slots[s].limits[i], oracle->now);
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
                fire(oracle, s);
    }
    oracle->now = now > oracle->now ? now : oracle->now;
}

/* ---- restart and reload ---- */

static bool same_kind(const struct limit_spec *a, const struct limit_spec *b)
{
    return a->named == b->named && a->condition == b->condition && a->upper == b->upper;
}

/* "Limits are the same when level and kind of condition are, else in order": for each new one the old one, or NEVER. */
static void match_limits(const struct rule_spec *old, const struct rule_spec *new, int matches[PLAN_LIMITS])
{
    bool taken[PLAN_LIMITS] = {false};
    for (unsigned i = 0; i < new->limit_count; i++) {
        matches[i] = NEVER;
        for (unsigned j = 0; j < old->limit_count && matches[i] == NEVER; j++)
            if (!taken[j] && same_kind(&new->limits[i], &old->limits[j])) {
                matches[i] = (int)j;
                taken[j] = true;
            }
    }
    for (unsigned i = 0; i < new->limit_count; i++)
        for (unsigned j = 0; j < old->limit_count && matches[i] == NEVER; j++)
            if (!taken[j] && new->limits[i].upper == old->limits[j].upper) {
                matches[i] = (int)j;
                taken[j] = true;
            }
}

static bool same_bounds(const struct limit_spec *a, const struct limit_spec *b)
{
    return a->condition == b->condition && a->a == b->a && a->b == b->b && a->deadband == b->deadband;
}

static bool same_count(const struct rule_spec *a, const struct rule_spec *b)
{
    return a->vote == b->vote && a->on_bad == b->on_bad && a->points == b->points && a->measure == b->measure &&
           a->window_ms == b->window_ms;
}

/* "Running timers keep their start"; what a changed limit makes of the newest reading is looked at with the next one. */
static void carry_limits(struct oracle *oracle, unsigned s, const struct rule_spec *old, const struct rule_spec *new)
{
    struct slot *slot = &oracle->slots[s];
    struct limit_floor before[PLAN_LIMITS];
    bool votes[PLAN_POINTS][PLAN_LIMITS];
    unsigned r = s / (PLAN_POINTS + 1);
    int matches[PLAN_LIMITS];
    match_limits(old, new, matches);
    memcpy(before, slot->limits, sizeof before);
    memcpy(votes, oracle->votes[r], sizeof votes);
    if (new->vote)
        memset(oracle->votes[r], 0, sizeof votes);
    for (unsigned i = new->limit_count; i < PLAN_LIMITS; i++)
        slot->limits[i] = (struct limit_floor){.hot = NEVER, .calm = NEVER};
    for (unsigned i = 0; i < new->limit_count; i++) {
        struct limit_floor *floor = &slot->limits[i];
        *floor = (struct limit_floor){.hot = NEVER, .calm = NEVER};
        if (matches[i] != NEVER) {
            *floor = before[matches[i]];
            floor->again |= floor->held && !new->limits[i].latch; /* or was tripped again: nobody tells */
            floor->held &= new->limits[i].latch;
            if (!same_bounds(&new->limits[i], &old->limits[matches[i]]) || old->measure != new->measure ||
                (new->vote && !same_count(old, new)))
                floor->hot = NEVER;
        }
        for (unsigned p = 0; new->vote &&p < PLAN_POINTS; p++)
            oracle->votes[r][p][i] = matches[i] != NEVER && votes[p][matches[i]];
    }
}

static bool same_when(const struct rule_spec *a, const struct rule_spec *b)
{
    return a->has_when && b->has_when && a->when_point == b->when_point && a->when_condition == b->when_condition &&
           a->when_value == b->when_value;
}

/* "True at first"; then the newest reading settles it. */
static void begin_when(struct oracle *oracle, unsigned s)
{
    const struct rule_spec *rule = oracle_rule(oracle, s);
    struct slot *slot = &oracle->slots[s];
    slot->when_since = NEVER;
    slot->when_stands = false;
    bool was_false = slot->when_false;
    slot->when_false = false;
    if (rule->has_when && oracle->points[rule->when_point].known)
        settle_when(oracle, s, &oracle->points[rule->when_point].newest);
    if (was_false && !slot->when_false)
        evaluate_newest(oracle, s);
}

static bool same_window(const struct plant_spec *a, const struct plant_spec *b, unsigned rule, unsigned point)
{
    const struct device_spec *x = &a->devices[point / PLAN_PER_DEVICE], *y = &b->devices[point / PLAN_PER_DEVICE];
    return a->rules[rule].present && b->rules[rule].present && a->rules[rule].measure == b->rules[rule].measure &&
           a->rules[rule].window_ms == b->rules[rule].window_ms && x->present && y->present && x->scale == y->scale &&
           (a->rules[rule].points & b->rules[rule].points) >> point & 1;
}

static void carry_windows(struct oracle *oracle, const struct plant_spec *new)
{
    for (unsigned r = 0; r < PLAN_RULES; r++)
        for (unsigned p = 0; p < PLAN_POINTS; p++)
            if (!same_window(oracle->spec, new, r, p))
                oracle->slots[slot_of_rule(r, p)].from = oracle->points[p].count;
}

/* Whether a limit that is tripped goes on in the new rule. */
static bool keeps_a_tripped_one(const struct slot *slot, const struct rule_spec *old, const struct rule_spec *new)
{
    int matches[PLAN_LIMITS];
    match_limits(old, new, matches);
    for (unsigned i = 0; i < new->limit_count; i++)
        if (matches[i] != NEVER && (slot->limits[matches[i]].condition || slot->limits[matches[i]].held))
            return true;
    return false;
}

/* What goes may be retired; what was tripped and goes on must not be. `reloading` holds for both. */
static void carry_slot(struct oracle *oracle, unsigned s, const struct plant_spec *new)
{
    const struct plant_spec *old = oracle->spec;
    if (s >= SLOT_RULES || !oracle_exists(old, s) || !oracle_exists(new, s))
        return;
    const struct rule_spec *before = oracle_rule(oracle, s), *after = &new->rules[s / (PLAN_POINTS + 1)];
    oracle->slots[s].ladder = before->step_count == after->step_count ? oracle->slots[s].ladder : DAVY_LEVEL_NONE;
    oracle->slots[s].was_false = oracle->slots[s].when_false;
    oracle->slots[s].goes_on = keeps_a_tripped_one(&oracle->slots[s], before, after);
    if (!oracle->slots[s].goes_on)
        oracle->slots[s].ladder = DAVY_LEVEL_NONE;
    carry_limits(oracle, s, before, after);
    oracle->slots[s].reloaded = true;
}

/* A member that is new is bad where its newest reading is. */
static void carry_members(struct oracle *oracle, const struct plant_spec *new)
{
    for (unsigned r = 0; r < PLAN_RULES; r++) {
        const struct rule_spec *before = &oracle->spec->rules[r], *after = &new->rules[r];
        bool same = before->present && after->present && before->vote && after->vote;
        for (unsigned p = 0; p < PLAN_POINTS; p++) {
            const struct point_past *past = &oracle->points[p];
            bool stays = same && (before->points & after->points) >> p & 1 &&
                         oracle->spec->devices[p / PLAN_PER_DEVICE].present &&
                         new->devices[p / PLAN_PER_DEVICE].present;
            if (!stays)
                memset(oracle->votes[r][p], 0, sizeof oracle->votes[r][p]);
            if (!stays)
                oracle->out[r][p] =
                    past->known && (past->newest.worth == WORTH_BAD || past->newest.worth == WORTH_HELD);
        }
    }
}

static void begin_points(struct oracle *oracle, const struct plant_spec *new)
{
    for (unsigned p = 0; p < PLAN_POINTS; p++) {
        struct point_past *past = &oracle->points[p];
        unsigned d = p / PLAN_PER_DEVICE;
        if (oracle->spec->devices[d].scale != new->devices[d].scale)
            past->known = false; /* it was of another quantity */
        if (oracle->spec->devices[d].present && new->devices[d].present)
            continue;
        past->known = past->stale = past->inhibited = false;
        past->read_at = oracle->now;
        past->settling = 0;
        past->run = 0;
        oracle->inhibit_until[d] = 0;
    }
}

/* Of a vote what each member says now: to give votes, and to count them. */
static void raise_votes(struct oracle *oracle, unsigned r, const struct rule_spec *old)
{
    const struct rule_spec *rule = &oracle->spec->rules[r];
    int matches[PLAN_LIMITS];
    match_limits(old, rule, matches);
    for (unsigned i = 0; i < rule->limit_count; i++) {
        bool any = false;
        if (same_count(old, rule) && matches[i] != NEVER &&
            memcmp(&old->limits[matches[i]], &rule->limits[i], sizeof *rule->limits) == 0)
            continue;
        for (unsigned p = 0; p < PLAN_POINTS; p++) {
            if (!(rule->points >> p & 1) || !oracle->points[p].known)
                continue;
            any = true;
            struct evidence seen = measured(oracle, r, p, rule->limits[i].upper, &oracle->points[p].newest);
            bool evaluated = seen.worth == WORTH_GOOD || seen.worth == WORTH_RAISE;
            bool trip = evaluated && trips(&rule->limits[i], seen.value, is_average(rule));
            oracle->votes[r][p][i] |= trip || (seen.worth == WORTH_BAD && rule->limits[i].trip_on_fault);
        }
        if (any) /* behind a restart that waits for a reading */
            count_votes(oracle, r, i, false);
    }
}

/* "A changed limit is evaluated against the newest reading at once, to raise only." */
static void raise_changed(struct oracle *oracle, unsigned s, const struct rule_spec *old)
{
    const struct rule_spec *rule = oracle_rule(oracle, s);
    unsigned p = s % (PLAN_POINTS + 1);
    if (oracle->slots[s].when_false || oracle->slots[s].was_false)
        return;
    if (rule->vote)
        raise_votes(oracle, s / (PLAN_POINTS + 1), old);
    if (rule->vote || !oracle->points[p].known)
        return;
    int matches[PLAN_LIMITS];
    match_limits(old, rule, matches);
    for (unsigned i = 0; i < rule->limit_count; i++) {
        struct limit_floor *floor = &oracle->slots[s].limits[i];
        struct evidence seen =
            measured(oracle, s / (PLAN_POINTS + 1), p, rule->limits[i].upper, &oracle->points[p].newest);
        bool changed = matches[i] == NEVER || memcmp(&old->limits[matches[i]], &rule->limits[i], sizeof *rule->limits);
        bool evaluated = seen.worth == WORTH_GOOD || seen.worth == WORTH_RAISE;
        if (changed && evaluated && trips(&rule->limits[i], seen.value, is_average(rule)))
            be_hot(floor, oracle->now);
        expire(&rule->limits[i], floor, oracle->now);
    }
}

void oracle_reload(struct oracle *oracle, const struct plant_spec *spec)
{
    const struct plant_spec *old = oracle->spec;
    carry_windows(oracle, spec);
    for (unsigned s = 0; s < SLOTS; s++)
        carry_slot(oracle, s, spec);
    begin_points(oracle, spec);
    carry_members(oracle, spec);
    oracle->spec = spec;
    oracle->reloading = true;
    for (unsigned s = 0; s < SLOT_RULES; s++) {
        if (!oracle_exists(spec, s))
            continue;
        const struct rule_spec *before = &old->rules[s / (PLAN_POINTS + 1)];
        if (oracle_exists(old, s) && !same_when(before, oracle_rule(oracle, s))) /* of a new one it is just true */
            begin_when(oracle, s);
        fire(oracle, s);
    }
    oracle->before_reload = old;
}

/* What has no place any more, and was told to be something, must have been retired. */
void oracle_switched(struct oracle *oracle)
{
    oracle->reloading = false;
    for (unsigned s = 0; s < SLOTS; s++) {
        if (s < SLOT_RULES && oracle_exists(oracle->spec, s) && oracle_exists(oracle->before_reload, s))
            raise_changed(oracle, s, &oracle->before_reload->rules[s / (PLAN_POINTS + 1)]);
        if (oracle_exists(oracle->spec, s))
            continue;
        if (oracle->slots[s].told.state != DAVY_STATE_NORMAL)
            oracle_wrong(oracle, s, "is gone from the configuration without `retired`");
        unsigned from = oracle->slots[s].from;
        reset_slot(&oracle->slots[s]);
        oracle->slots[s].from = from;
    }
}

static void stand_still(struct slot *slot, int64_t down)
{
    for (unsigned i = 0; i < PLAN_LIMITS; i++) {
        struct limit_floor *floor = &slot->limits[i];
        floor->stands = floor->calm != NEVER;
        floor->calm += floor->stands ? down : 0;
    }
    if (slot->when_since != NEVER && !slot->when_false) {
        slot->when_since += down;
        slot->when_stands = true;
    }
}

/* How long an on-delay has run nobody knows, if a wall clock that stepped is all that tells. */
static void begin_anew(struct slot *slot, int64_t now)
{
    for (unsigned i = 0; i < PLAN_LIMITS; i++)
        if (slot->limits[i].hot != NEVER)
            slot->limits[i].hot = now;
    if (slot->when_since != NEVER && slot->when_false)
        slot->when_since = now;
}

/* An alarm on the point, of its own or of a vote, or one that depends on it, is active, or it votes: it still has to settle. */
static bool matters(const struct oracle *oracle, unsigned point)
{
    for (unsigned s = 0; s < SLOT_RULES; s++) {
        if (!oracle_exists(oracle->spec, s) || !oracle->slots[s].told.active)
            continue;
        const struct rule_spec *rule = oracle_rule(oracle, s);
        bool own = rule->vote ? rule->points >> point & 1 : s % (PLAN_POINTS + 1) == point;
        if (own || (rule->has_when && rule->when_point == point))
            return true;
    }
    for (unsigned r = 0; r < PLAN_RULES; r++)
        for (unsigned i = 0; i < PLAN_LIMITS; i++)
            if (oracle_exists(oracle->spec, slot_of_rule(r, PLAN_POINTS)) && oracle->votes[r][point][i])
                return true;
    return false;
}

static void restart_points(struct oracle *oracle)
{
    for (unsigned p = 0; p < PLAN_POINTS; p++) {
        oracle->points[p].known = oracle->points[p].stale = false;
        if (oracle->points[p].count > 0)
            oracle->points[p].samples[(oracle->points[p].count - 1) % SAMPLES].cut = true;
        int settle = oracle->spec->devices[p / PLAN_PER_DEVICE].settle;
        oracle->points[p].settling = oracle->points[p].settling > 0 && matters(oracle, p) ? settle : 0; /* anew */
    }
}

/* Windows begin anew, but for exposure, which is in the record. */
static void restart_windows(struct oracle *oracle)
{
    for (unsigned p = 0; p < PLAN_POINTS; p++)
        for (unsigned r = 0; r < PLAN_RULES; r++)
            oracle->slots[slot_of_rule(r, p)].from =
                oracle->spec->rules[r].measure == DAVY_MEASURE_STEL ? 0 : oracle->points[p].count;
}

void oracle_restart(struct oracle *oracle, const struct plant_spec *spec, int64_t now, enum lost_time lost,
                    bool rebooted)
{
    int64_t down = now - oracle->now;
    for (unsigned s = 0; s < SLOTS; s++) {
        struct slot *slot = &oracle->slots[s];
        stand_still(slot, down);
        if (lost != LOST_NOTHING)
            begin_anew(slot, now);
        if (lost == LOST_BACK && rebooted)
            slot->shelf_until = slot->shelf_until < now ? slot->shelf_until : now;
    }
    restart_points(oracle);
    oracle->now = now;
    for (unsigned d = 0; d < PLAN_DEVICES && lost == LOST_BACK; d++)
        oracle->inhibit_until[d] = 0;
    for (unsigned z = 0; z < 2 && lost != LOST_NOTHING; z++)
        for (unsigned level = 0; level < DAVY_LEVEL_COUNT_; level++)
            oracle->zone_at[z][level] = INT64_MIN / 2;
    oracle_reload(oracle, spec);
    restart_windows(oracle);
    for (unsigned p = 0; p < PLAN_POINTS; p++)
        oracle->points[p].read_at = now; /* "it makes nothing stale" */
}
