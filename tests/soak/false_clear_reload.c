/* SPDX-License-Identifier: Apache-2.0 */
/* How the floors go over a reload and a restart. Sources of each rule: false_clear_oracle.h. */
#include <string.h>

#include "false_clear_oracle.h"

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

static bool same_width(const struct rule_spec *a, const struct rule_spec *b)
{
    return a->measure == DAVY_MEASURE_VALUE || a->window_ms == b->window_ms; /* of a value the file has none */
}

static bool same_count(const struct rule_spec *a, const struct rule_spec *b)
{
    return a->vote == b->vote && a->on_bad == b->on_bad && a->measure == b->measure && same_width(a, b);
}

/*
 * "Running timers keep their start"; what a changed limit makes of the newest reading is looked at with the next one.
 */
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
                (new->vote && (!same_count(old, new) || old->points != new->points)))
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
        oracle_settle_when(oracle, s, &oracle->points[rule->when_point].newest);
    if (was_false && !slot->when_false)
        oracle_evaluate_newest(oracle, s);
}

static bool same_window(const struct plant_spec *a, const struct plant_spec *b, unsigned rule, unsigned point)
{
    const struct device_spec *x = &a->devices[point / PLAN_PER_DEVICE], *y = &b->devices[point / PLAN_PER_DEVICE];
    const struct rule_spec *before = &a->rules[rule], *after = &b->rules[rule];
    bool same = before->measure == after->measure && before->window_ms == after->window_ms &&
                before->per_ms == after->per_ms && before->horizon_ms == after->horizon_ms &&
                before->epsilon == after->epsilon;
    return same && before->present && after->present && x->present && y->present && x->scale == y->scale &&
           (before->points & after->points) >> point & 1;
}

static void carry_windows(struct oracle *oracle, const struct plant_spec *new)
{
    for (unsigned r = 0; r < PLAN_RULES; r++)
        for (unsigned p = 0; p < PLAN_POINTS; p++)
            if (!same_window(oracle->spec, new, r, p))
                oracle->slots[slot_of_rule(r, p)].from = oracle_window_end(oracle, &new->rules[r], p);
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
            past->known = past->has_number = false; /* it was of another quantity */
        if (oracle->spec->devices[d].present && new->devices[d].present)
            continue;
        past->known = past->stale = past->inhibited = past->latched = past->has_number = false;
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
            struct evidence seen = oracle_measured(oracle, r, p, rule->limits[i].upper, &oracle->points[p].newest);
            bool evaluated = seen.worth == WORTH_GOOD || seen.worth == WORTH_RAISE;
            bool trip = evaluated && oracle_trips(&rule->limits[i], seen.value, oracle_is_average(rule));
            oracle->votes[r][p][i] |= trip || (seen.worth == WORTH_BAD && rule->limits[i].trip_on_fault);
        }
        if (any) /* behind a restart that waits for a reading */
            oracle_count_votes(oracle, r, i, false);
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
            oracle_measured(oracle, s / (PLAN_POINTS + 1), p, rule->limits[i].upper, &oracle->points[p].newest);
        bool changed = matches[i] == NEVER || memcmp(&old->limits[matches[i]], &rule->limits[i], sizeof *rule->limits);
        bool evaluated = seen.worth == WORTH_GOOD || seen.worth == WORTH_RAISE;
        if (changed && evaluated && oracle_trips(&rule->limits[i], seen.value, oracle_is_average(rule)))
            oracle_be_hot(floor, oracle->now);
        oracle_expire(&rule->limits[i], floor, oracle->now);
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
        oracle_fire(oracle, s);
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
        oracle_reset_slot(&oracle->slots[s]);
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

static bool subtracts(const struct rule_spec *rule, unsigned point)
{
    return rule->measure == DAVY_MEASURE_DIFFERENCE && rule->other == point;
}

static bool votes_now(const struct oracle *oracle, unsigned rule, unsigned point)
{
    bool any = false;
    for (unsigned i = 0; i < PLAN_LIMITS; i++)
        any |= oracle->votes[rule][point][i];
    return any && oracle_exists(oracle->spec, slot_of_rule(rule, PLAN_POINTS));
}

/*
 * An alarm on the point, of its own or of a vote, or one that depends on it, is active, or it votes: it still has to
 * settle.
 */
static bool matters(const struct oracle *oracle, unsigned point)
{
    for (unsigned s = 0; s < SLOT_RULES; s++) {
        if (!oracle_exists(oracle->spec, s) || !oracle->slots[s].told.active)
            continue;
        const struct rule_spec *rule = oracle_rule(oracle, s);
        bool own = rule->vote ? rule->points >> point & 1 : s % (PLAN_POINTS + 1) == point;
        if (own || (rule->has_when && rule->when_point == point) || subtracts(rule, point))
            return true;
    }
    for (unsigned r = 0; r < PLAN_RULES; r++)
        for (unsigned p = 0; p < PLAN_POINTS; p++)
            if ((p == point || subtracts(&oracle->spec->rules[r], point)) && votes_now(oracle, r, p))
                return true;
    return false;
}

static void restart_points(struct oracle *oracle)
{
    for (unsigned p = 0; p < PLAN_POINTS; p++) {
        oracle->points[p].known = oracle->points[p].stale = oracle->points[p].has_number = false;
        if (oracle->points[p].count > 0)
            oracle->points[p].samples[(oracle->points[p].count - 1) % SAMPLES].cut = true;
        int settle = oracle->spec->devices[p / PLAN_PER_DEVICE].settle;
        oracle->points[p].settling = oracle->points[p].settling > 0 && matters(oracle, p) ? settle : 0; /* anew */
    }
}

void oracle_stepped(struct oracle *oracle)
{
    for (unsigned r = 0; r < PLAN_RULES; r++)
        for (unsigned p = 0; p < PLAN_POINTS; p++)
            oracle->raises[r][p].sure = oracle->raises[r][p].count;
}

/* Windows begin anew, but for exposure and what was raised, which are in the record. */
static void restart_windows(struct oracle *oracle)
{
    for (unsigned p = 0; p < PLAN_POINTS; p++)
        for (unsigned r = 0; r < PLAN_RULES; r++) {
            const struct rule_spec *rule = &oracle->spec->rules[r];
            unsigned *from = &oracle->slots[slot_of_rule(r, p)].from, sure = oracle->raises[rule->counted][p].sure;
            if (rule->measure == DAVY_MEASURE_OCCURRENCES)
                *from = *from > sure ? *from : sure;
            else
                *from = plan_is_dose(rule) ? 0 : oracle->points[p].count;
        }
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
