/* SPDX-License-Identifier: Apache-2.0 */
/* What people are told, held against the floors. Sources of each rule: false_clear_oracle.h. */
#include <stdarg.h>
#include <string.h>

#include "false_clear_oracle.h"

#define ZONE_MEMORY 60000 /* ms */

void oracle_slot_key(unsigned slot, char *text)
{
    unsigned rule = slot / (PLAN_POINTS + 1), point = slot % (PLAN_POINTS + 1);
    if (slot < SLOT_RULES && point == PLAN_POINTS)
        snprintf(text, 32, "r%u:_", rule);
    else if (slot < SLOT_RULES)
        snprintf(text, 32, "r%u:D%u.p%u", rule, point / PLAN_PER_DEVICE, point % PLAN_PER_DEVICE);
    else if (slot == SLOT_FAULT_BUS)
        snprintf(text, 32, "fault:bus");
    else if (slot < SLOT_FAULT_PT)
        snprintf(text, 32, "fault:D%u", slot - SLOT_FAULT_DEV);
    else if (slot < SLOT_INHIBIT)
        snprintf(text, 32, "fault:D%u.p%u", (slot - SLOT_FAULT_PT) / PLAN_PER_DEVICE,
                 (slot - SLOT_FAULT_PT) % PLAN_PER_DEVICE);
    else if (slot < SLOT_VOTE_FAULT)
        snprintf(text, 32, "inhibit:D%u", slot - SLOT_INHIBIT);
    else
        snprintf(text, 32, "r%u.fault:_", slot - SLOT_VOTE_FAULT);
}

void oracle_wrong(struct oracle *oracle, unsigned slot, const char *format, ...)
{
    char name[32] = "zone", text[384];
    if (oracle->wrong[0] != '\0')
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (slot < SLOTS)
        oracle_slot_key(slot, name);
    snprintf(oracle->wrong, sizeof oracle->wrong, "%.3f s, %s: %s", (double)oracle->now / 1e3, name, text);
}

static const char *level_name(enum davy_level level)
{
    return level == DAVY_LEVEL_NONE ? "none" : davy_level_name(level);
}

static bool is_cover(enum davy_state state)
{
    return state == DAVY_STATE_SHELVED || state == DAVY_STATE_OUT_OF_SERVICE;
}

static void note_zones(struct oracle *oracle, int64_t at);

/* ---- the floor of one alarm ---- */

struct floor {
    enum davy_level active; /* the highest whose condition is true; NONE */
    enum davy_level level;  /* with what latches and the ladder hold */
    bool unshelvable;
};

static enum davy_level higher(enum davy_level a, enum davy_level b)
{
    return a > b ? a : b;
}

static struct floor floor_of(const struct oracle *oracle, unsigned s)
{
    const struct rule_spec *rule = oracle_rule(oracle, s);
    const struct slot *slot = &oracle->slots[s];
    struct floor floor = {.active = DAVY_LEVEL_NONE};
    for (unsigned i = 0; i < rule->limit_count; i++) {
        const struct limit_spec *limit = &rule->limits[i];
        if (slot->limits[i].condition)
            floor.active = higher(floor.active, limit->level);
        if (!slot->limits[i].condition && !slot->limits[i].held)
            continue;
        floor.level = higher(floor.level, limit->level);
        floor.unshelvable |= !limit->shelvable;
    }
    if (floor.level != DAVY_LEVEL_NONE)
        floor.level = higher(floor.level, slot->ladder);
    return floor;
}

static void check_rule(struct oracle *oracle, unsigned s)
{
    struct slot *slot = &oracle->slots[s];
    const struct told *told = &slot->told;
    struct floor floor = floor_of(oracle, s);
    if (slot->suppressed && !slot->when_false)
        oracle_wrong(oracle, s, "is still suppressed though nothing good says that its `when` is false");
    if (told->state == DAVY_STATE_SHELVED && slot->shelf_until <= oracle->now)
        oracle_wrong(oracle, s, "is still shelved beyond its time");
    if (slot->when_false && (slot->suppressed || told->level == DAVY_LEVEL_NONE))
        return;
    if (floor.level == DAVY_LEVEL_NONE)
        return;
    oracle->demands++;
    oracle->tallies[oracle_rule(oracle, s)->measure].demands++;
    if (told->state == DAVY_STATE_NORMAL || told->state == DAVY_STATE_RETURNED)
        oracle_wrong(oracle, s, "is %s, yet %s is tripped and nothing has cleared it", davy_state_name(told->state),
                     level_name(floor.level));
    else if (told->level < floor.level && (floor.active != DAVY_LEVEL_NONE || !slot->reloaded))
        oracle_wrong(oracle, s, "is told as %s, yet %s is tripped and nothing has lowered it", level_name(told->level),
                     level_name(floor.level));
    else if (floor.active != DAVY_LEVEL_NONE && !told->active)
        oracle_wrong(oracle, s, "is %s and not active, yet the condition of %s has not returned",
                     davy_state_name(told->state), level_name(floor.active));
    else if (told->state == DAVY_STATE_SHELVED && floor.unshelvable)
        oracle_wrong(oracle, s, "is shelved, which a limit that is tripped forbids");
}

void oracle_check(struct oracle *oracle)
{
    for (unsigned s = 0; s < SLOT_RULES; s++)
        if (oracle_exists(oracle->spec, s))
            check_rule(oracle, s);
    oracle_note_zones(oracle);
}

/* ---- events ---- */

/* Whether a point has been well for three readings in a row. */
static bool fault_may_clear(const struct oracle *oracle, unsigned s)
{
    bool may = false;
    if (s == SLOT_FAULT_BUS)
        may = oracle->answers >= 3;
    else if (s < SLOT_FAULT_PT)
        for (unsigned k = 0; k < PLAN_PER_DEVICE; k++)
            may |= oracle->points[(s - SLOT_FAULT_DEV) * PLAN_PER_DEVICE + k].run >= 3;
    else
        may = oracle->points[s - SLOT_FAULT_PT].run >= 3;
    return may;
}

static bool built_in_may_clear(const struct oracle *oracle, unsigned s)
{
    unsigned healthy = 0;
    if (s < SLOT_INHIBIT)
        return fault_may_clear(oracle, s);
    if (s < SLOT_VOTE_FAULT) {
        const struct point_past *past = &oracle->points[(s - SLOT_INHIBIT) * PLAN_PER_DEVICE];
        return !past[0].inhibited && !past[1].inhibited;
    }
    const struct rule_spec *rule = &oracle->spec->rules[s - SLOT_VOTE_FAULT];
    for (unsigned p = 0; p < PLAN_POINTS; p++)
        healthy += rule->points >> p & 1 && oracle->spec->devices[p / PLAN_PER_DEVICE].present &&
                   !oracle->out[s - SLOT_VOTE_FAULT][p];
    return healthy >= rule->vote;
}

/* What only a person does. */
static void check_person(struct oracle *oracle, unsigned s, const struct davy_event *event)
{
    static const int verbs[DAVY_EVENT_COUNT_] = {[DAVY_EVENT_ACKNOWLEDGED] = 1 + DAVY_COMMAND_ACK,
                                                 [DAVY_EVENT_RESET] = 1 + DAVY_COMMAND_RESET,
                                                 [DAVY_EVENT_SHELVED] = 1 + DAVY_COMMAND_SHELVE,
                                                 [DAVY_EVENT_IN_SERVICE] = 1 + DAVY_COMMAND_IN_SERVICE,
                                                 [DAVY_EVENT_OUT_OF_SERVICE] = 1 + DAVY_COMMAND_OUT_OF_SERVICE};
    int verb = verbs[event->type];
    if (verb != 0 && (oracle->commanded != s || oracle->verb != verb - 1))
        oracle_wrong(oracle, s, "`%s` that nobody asked for", davy_event_name(event->type));
}

static bool needs_ack(const struct oracle *oracle, unsigned s, const struct davy_event *event)
{
    const struct rule_spec *rule = oracle_rule(oracle, s);
    return rule && (event->limit_index >= rule->limit_count || rule->limits[event->limit_index].acknowledge);
}

static void check_acknowledged(struct oracle *oracle, unsigned s, const struct davy_event *event)
{
    bool by_person = event->type == DAVY_EVENT_ACKNOWLEDGED || event->type == DAVY_EVENT_RESET;
    if (event->acknowledged && !oracle->slots[s].told.acknowledged && !by_person && needs_ack(oracle, s, event))
        oracle_wrong(oracle, s, "`%s`: acknowledged by nobody", davy_event_name(event->type));
}

/* An occurrence ends when its condition is gone and somebody has seen it, or by `retired`. */
static void check_end(struct oracle *oracle, unsigned s, const struct davy_event *event)
{
    struct slot *slot = &oracle->slots[s];
    if (event->ends != (event->state == DAVY_STATE_NORMAL))
        oracle_wrong(oracle, s, "`%s` to %s, and the retained message is %s", davy_event_name(event->type),
                     davy_state_name(event->state), event->ends ? "cleared" : "left");
    if (event->state != DAVY_STATE_NORMAL || event->type == DAVY_EVENT_RETIRED || s >= SLOT_RULES)
        return;
    if (slot->told.level != DAVY_LEVEL_NONE && !slot->told.acknowledged && !event->acknowledged &&
        needs_ack(oracle, s, event))
        oracle_wrong(oracle, s, "`%s`: ends though nobody has acknowledged it", davy_event_name(event->type));
}

static void check_fall(struct oracle *oracle, unsigned s, const struct davy_event *event)
{
    struct slot *slot = &oracle->slots[s];
    bool falls = event->type == DAVY_EVENT_CLEARED || event->type == DAVY_EVENT_LOWERED ||
                 event->type == DAVY_EVENT_LATCHED || event->type == DAVY_EVENT_RESET;
    oracle->falls += falls;
    if (s < SLOT_RULES) {
        struct tally *tally = &oracle->tallies[oracle_rule(oracle, s)->measure];
        tally->fell += falls;
        tally->raised += event->type == DAVY_EVENT_RAISED || event->type == DAVY_EVENT_ESCALATED;
    }
    if (falls && s >= SLOT_RULES && !built_in_may_clear(oracle, s))
        oracle_wrong(oracle, s, "`%s` without three that are well, or all that are", davy_event_name(event->type));
    if (event->type == DAVY_EVENT_SUPPRESSED && !slot->when_false)
        oracle_wrong(oracle, s, "`suppressed`, yet no good readings have said for long enough that `when` is false");
    if (event->type == DAVY_EVENT_SUPPRESSED && event->level < slot->told.level)
        oracle_wrong(oracle, s, "`suppressed` lowers it");
    if (event->type == DAVY_EVENT_RESET && slot->suppressed)
        oracle_wrong(oracle, s, "`reset` while suppressed");
    if (event->type != DAVY_EVENT_RETIRED)
        return;
    if (!oracle->reloading)
        oracle_wrong(oracle, s, "`retired` without a reload");
    else if (oracle_exists(oracle->spec, s) && s < SLOT_RULES && slot->goes_on)
        oracle_wrong(oracle, s, "`retired`, yet a limit that is tripped is still in the configuration");
}

static void check_cover(struct oracle *oracle, unsigned s, const struct davy_event *event)
{
    struct slot *slot = &oracle->slots[s];
    if (event->state == DAVY_STATE_SHELVED && !slot->shelved)
        oracle_wrong(oracle, s, "`%s`: shelved by nobody", davy_event_name(event->type));
    if (event->state == DAVY_STATE_OUT_OF_SERVICE && !slot->out)
        oracle_wrong(oracle, s, "`%s`: taken out of service by nobody", davy_event_name(event->type));
}

/* Whatever was told stands until it is cleared for a good reason. */
static void adopt(struct oracle *oracle, unsigned s, const struct davy_event *event)
{
    struct slot *slot = &oracle->slots[s];
    const struct rule_spec *rule = oracle_rule(oracle, s);
    if (event->type == DAVY_EVENT_SUPPRESSED) {
        oracle_untrip(oracle, s);
        slot->suppressed = true;
    }
    if (event->type == DAVY_EVENT_UNSUPPRESSED || event->type == DAVY_EVENT_RETIRED)
        slot->suppressed = false;
    if (event->type == DAVY_EVENT_UNSHELVED)
        slot->shelved = false;
    if (event->type == DAVY_EVENT_OVERDUE && event->step > 0 && event->step <= rule->step_count &&
        (event->active || event->latched))
        slot->ladder = higher(slot->ladder, rule->steps[event->step - 1].level);
    if (floor_of(oracle, s).level == DAVY_LEVEL_NONE) /* "until it clears" */
        slot->ladder = DAVY_LEVEL_NONE;
    if (!event->active || event->limit_index >= rule->limit_count)
        return;
    struct limit_floor *floor = &slot->limits[event->limit_index];
    bool rises = event->type == DAVY_EVENT_RAISED || event->type == DAVY_EVENT_ESCALATED;
    if (rises && floor->held)
        floor->again = true; /* it, or a lower one, is tripped anew: if it has no latch now, it may be cleared */
    if (rises && floor->held && !rule->limits[event->limit_index].latch)
        floor->held = false;
    else if ((rises || event->type == DAVY_EVENT_LOWERED) && !event->latched && !floor->condition && !floor->again) {
        floor->condition = true;
        floor->calm = rises && !oracle->reloading ? NEVER : floor->calm; /* what clears it has yet to be read */
    }
}

/* Under a cover no state tells that the occurrence has ended. */
static bool ends_below(const struct slot *slot, const struct davy_event *event)
{
    bool may = event->type == DAVY_EVENT_CLEARED || event->type == DAVY_EVENT_UNSUPPRESSED ||
               event->type == DAVY_EVENT_ACKNOWLEDGED || event->type == DAVY_EVENT_RESET;
    return event->type == DAVY_EVENT_RETIRED ||
           (may && !event->active && !event->latched && event->acknowledged && !slot->suppressed);
}

static void retire(struct oracle *oracle, unsigned s)
{
    struct slot *slot = &oracle->slots[s];
    for (unsigned i = 0; i < PLAN_LIMITS; i++)
        slot->limits[i].condition = slot->limits[i].held = false;
    if (oracle_exists(oracle->spec, s))
        return;
    slot->shelved = slot->out = false;
}

/* A rise that follows in the same cause is looked at when all has been told; after these there is none. */
static bool is_lower(enum davy_event_type type)
{
    return type == DAVY_EVENT_CLEARED || type == DAVY_EVENT_LOWERED || type == DAVY_EVENT_LATCHED ||
           type == DAVY_EVENT_SUPPRESSED || type == DAVY_EVENT_RESET || type == DAVY_EVENT_ACKNOWLEDGED;
}

void oracle_event(struct oracle *oracle, unsigned s, const struct davy_event *event, int64_t at)
{
    struct slot *slot = &oracle->slots[s];
    note_zones(oracle, at);
    check_person(oracle, s, event);
    check_acknowledged(oracle, s, event);
    check_cover(oracle, s, event);
    check_fall(oracle, s, event);
    check_end(oracle, s, event);
    if (s < SLOT_RULES && oracle_exists(oracle->spec, s))
        adopt(oracle, s, event);
    if (event->type == DAVY_EVENT_RETIRED)
        retire(oracle, s);
    if (event->type == DAVY_EVENT_RAISED && s < SLOT_RULES)
        oracle_count_raise(oracle, s, at);
    slot->reloaded &= oracle->reloading;
    slot->told = (struct told){.state = event->state,
                               .level = event->state == DAVY_STATE_NORMAL || ends_below(slot, event) ? DAVY_LEVEL_NONE
                                                                                                     : event->level,
                               .active = event->active,
                               .acknowledged = event->acknowledged && event->state != DAVY_STATE_NORMAL};
    if (s < SLOT_RULES && oracle_exists(oracle->spec, s) && slot->when_false && slot->told.level == DAVY_LEVEL_NONE)
        oracle_untrip(oracle, s); /* it does not apply any more, as for who has no occurrence it did not before */
    if (s < SLOT_RULES && oracle_exists(oracle->spec, s) && is_lower(event->type) && !oracle->reloading)
        check_rule(oracle, s);
    note_zones(oracle, at);
}

void oracle_retired(struct oracle *oracle, unsigned s)
{
    oracle_note_zones(oracle);
    retire(oracle, s);
    oracle->slots[s].told = (struct told){.state = DAVY_STATE_NORMAL};
}

/* ---- people ---- */

void oracle_command(struct oracle *oracle, unsigned slot, int verb, int64_t duration)
{
    oracle->commanded = slot;
    oracle->verb = verb;
    struct slot *of = &oracle->slots[slot];
    oracle->before = *of;
    for (unsigned i = 0; i < PLAN_LIMITS && verb == DAVY_COMMAND_RESET; i++)
        of->limits[i].held = of->limits[i].again = false;
    if (verb == DAVY_COMMAND_RESET && floor_of(oracle, slot).level == DAVY_LEVEL_NONE)
        of->ladder = DAVY_LEVEL_NONE;
    if (verb == DAVY_COMMAND_SHELVE) {
        of->shelved = true;
        of->shelf_until = oracle->now + duration;
    }
    of->shelved &= verb != DAVY_COMMAND_UNSHELVE;
    of->out |= verb == DAVY_COMMAND_OUT_OF_SERVICE;
    of->out &= verb != DAVY_COMMAND_IN_SERVICE;
}

void oracle_commanded(struct oracle *oracle, bool done)
{
    if (!done)
        oracle->slots[oracle->commanded] = oracle->before;
    oracle->commanded = SLOT_NONE;
}

/* ---- views and zones ---- */

/* What is live is what was told last. */
void oracle_view(struct oracle *oracle, unsigned s, const struct davy_alarm_view *view)
{
    const struct told *told = &oracle->slots[s].told;
    if (view->state != told->state)
        oracle_wrong(oracle, s, "was told as %s and is %s without an event", davy_state_name(told->state),
                     davy_state_name(view->state));
    else if (view->acknowledged && !told->acknowledged && told->state != DAVY_STATE_NORMAL)
        oracle_wrong(oracle, s, "is acknowledged without an event");
    else if (s < SLOT_RULES && view->state != DAVY_STATE_NORMAL && view->level < floor_of(oracle, s).level &&
             !oracle->slots[s].when_false && (view->active || !oracle->slots[s].reloaded))
        oracle_wrong(oracle, s, "is live at %s, yet %s is tripped", level_name(view->level),
                     level_name(floor_of(oracle, s).level));
}

static unsigned zone_of_slot(unsigned s)
{
    unsigned point = s % (PLAN_POINTS + 1);
    if (s < SLOT_RULES)
        return point == PLAN_POINTS ? 0 : plan_zone(point / PLAN_PER_DEVICE);
    if (s < SLOT_FAULT_PT)
        return s == SLOT_FAULT_BUS ? 0 : plan_zone(s - SLOT_FAULT_DEV);
    if (s < SLOT_INHIBIT)
        return plan_zone((s - SLOT_FAULT_PT) / PLAN_PER_DEVICE);
    return s < SLOT_VOTE_FAULT ? plan_zone(s - SLOT_INHIBIT) : 0;
}

/* "The highest level of its alarms that are not normal, a covered or suppressed one counting as yellow". */
static enum davy_level colour_of(const struct oracle *oracle, unsigned zone)
{
    enum davy_level colour = DAVY_LEVEL_BLUE;
    for (unsigned s = 0; s < SLOTS; s++) {
        const struct slot *slot = &oracle->slots[s];
        if (slot->told.state == DAVY_STATE_NORMAL || s == SLOT_FAULT_BUS || zone_of_slot(s) != zone)
            continue;
        bool hidden = is_cover(slot->told.state) || slot->told.state == DAVY_STATE_SUPPRESSED;
        colour = higher(colour, hidden ? DAVY_LEVEL_YELLOW : slot->told.level);
    }
    return colour;
}

static void note_zones(struct oracle *oracle, int64_t at)
{
    for (unsigned z = 0; z < 2; z++)
        for (enum davy_level level = colour_of(oracle, z); level > DAVY_LEVEL_BLUE; level--)
            if (oracle->zone_at[z][level] < at)
                oracle->zone_at[z][level] = at;
}

void oracle_note_zones(struct oracle *oracle)
{
    note_zones(oracle, oracle->now);
}

void oracle_colour(struct oracle *oracle, unsigned zone, enum davy_level colour)
{
    enum davy_level least = colour_of(oracle, zone);
    for (enum davy_level level = DAVY_LEVEL_RED; level > least; level--)
        if (oracle->now - oracle->zone_at[zone][level] < ZONE_MEMORY) {
            least = level;
            break;
        }
    oracle->demands++;
    if (colour < least)
        oracle_wrong(oracle, SLOT_NONE, "%u is %s, yet it was %s in the last 60 s", zone, level_name(colour),
                     level_name(least));
}
