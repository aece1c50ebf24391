/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/fault.h"

#include <string.h>

#include "base/attr.h"

enum where { ANYWHERE, ON_RTU, ON_TCP, ON_TCP_LINE };

static const char *const names[] = {
    [DAVY_SIM_FAULT_TIMEOUT] = "timeout",
    [DAVY_SIM_FAULT_EXCEPTION] = "exception",
    [DAVY_SIM_FAULT_GARBAGE] = "garbage",
    [DAVY_SIM_FAULT_CRC] = "crc",
    [DAVY_SIM_FAULT_WRONG_UNIT] = "wrong-unit",
    [DAVY_SIM_FAULT_WRONG_FUNCTION] = "wrong-function",
    [DAVY_SIM_FAULT_WRONG_TRANSACTION] = "wrong-transaction",
    [DAVY_SIM_FAULT_LATE] = "late",
    [DAVY_SIM_FAULT_DRIP] = "drip",
    [DAVY_SIM_FAULT_TRUNCATE] = "truncate",
    [DAVY_SIM_FAULT_DUPLICATE] = "duplicate",
    [DAVY_SIM_FAULT_DISCONNECT] = "disconnect",
    [DAVY_SIM_FAULT_REFUSE] = "refuse",
    [DAVY_SIM_FAULT_FREEZE] = "freeze",
};
_Static_assert(DAVY_LENGTH(names) == DAVY_SIM_FAULT_COUNT_, "every fault has a name");

/* Argument: least, most, default (-1: required); most 0: takes none. */
static const struct rule {
    enum where where;
    int low, high, fallback;
} rules[DAVY_SIM_FAULT_COUNT_] = {
    [DAVY_SIM_FAULT_EXCEPTION] = {ANYWHERE, 1, 255, -1},
    [DAVY_SIM_FAULT_GARBAGE] = {ANYWHERE, 1, 256, 0}, /* 0: as long as the reply */
    [DAVY_SIM_FAULT_CRC] = {ON_RTU, 0, 0, 0},
    [DAVY_SIM_FAULT_WRONG_TRANSACTION] = {ON_TCP, 0, 0, 0},
    [DAVY_SIM_FAULT_LATE] = {ANYWHERE, 1, 600000, -1},
    [DAVY_SIM_FAULT_DRIP] = {ANYWHERE, 1, 1000, 10},
    [DAVY_SIM_FAULT_TRUNCATE] = {ANYWHERE, 1, 256, 0}, /* 0: half of the reply */
    [DAVY_SIM_FAULT_DISCONNECT] = {ANYWHERE, 1, 600000, 2000},
    [DAVY_SIM_FAULT_REFUSE] = {ON_TCP_LINE, 0, 0, 0},
};

const char *davy_sim_fault_name(enum davy_sim_fault_kind kind)
{
    return names[kind];
}

int davy_sim_fault_find(const char *name)
{
    return davy_name_find(names, DAVY_LENGTH(names), name);
}

static const char *check_place(enum where where, enum davy_bus_type type, bool whole_line)
{
    switch (where) {
    case ON_RTU:
        return type == DAVY_BUS_TCP ? "this fault needs frames with a CRC" : NULL;
    case ON_TCP:
        return type != DAVY_BUS_TCP ? "this fault is for lines of type tcp" : NULL;
    case ON_TCP_LINE:
        return type == DAVY_BUS_RTU || !whole_line ? "this fault is for a whole line with connections" : NULL;
    case ANYWHERE:
        break;
    }
    return NULL;
}

const char *davy_sim_fault_check(struct davy_sim_fault *fault, enum davy_bus_type type, bool whole_line)
{
    const struct rule *rule = &rules[fault->kind];
    const char *wrong = check_place(rule->where, type, whole_line);
    if (wrong)
        return wrong;
    if (fault->arg < 0) {
        fault->arg = rule->fallback;
        return rule->fallback < 0 ? "this fault needs an argument" : NULL;
    }
    if (rule->high == 0)
        return "this fault takes no argument";
    return fault->arg < rule->low || fault->arg > rule->high ? "the argument is out of range" : NULL;
}

void davy_sim_faults_add(struct davy_sim_faults *faults, const struct davy_sim_fault *fault, double t_s)
{
    if (fault->kind == DAVY_SIM_FAULT_FREEZE && !davy_sim_faults_is_on(faults, fault->kind, t_s))
        faults->frozen_at_s = t_s;
    faults->on |= 1U << fault->kind;
    faults->of[fault->kind] = *fault;
    faults->until_s[fault->kind] = t_s + fault->duration_s;
}

void davy_sim_faults_clear(struct davy_sim_faults *faults)
{
    memset(faults, 0, sizeof(*faults));
}

bool davy_sim_faults_is_on(struct davy_sim_faults *faults, enum davy_sim_fault_kind kind, double t_s)
{
    if ((faults->on >> kind & 1) == 0)
        return false;
    if (t_s < faults->until_s[kind] && faults->of[kind].count != 0)
        return true;
    faults->on &= ~(1U << kind);
    return false;
}

bool davy_sim_faults_hit(struct davy_sim_faults *faults, enum davy_sim_fault_kind kind, double t_s,
                         struct davy_random *random)
{
    struct davy_sim_fault *fault = &faults->of[kind];
    if (!davy_sim_faults_is_on(faults, kind, t_s))
        return false;
    if (fault->probability < 1 && davy_random_unit(random) >= fault->probability)
        return false;
    if (fault->count > 0)
        fault->count--;
    return true;
}

void davy_sim_faults_draw(struct davy_sim_faults *faults, double t_s, struct davy_random *random,
                          struct davy_sim_effect *effect)
{
    for (unsigned kind = 0; faults->on >> kind != 0 && kind < DAVY_SIM_FAULT_REFUSE; kind++) {
        if (!davy_sim_faults_hit(faults, (enum davy_sim_fault_kind)kind, t_s, random))
            continue;
        effect->kinds |= 1U << kind;
        effect->arg[kind] = faults->of[kind].arg;
    }
}
