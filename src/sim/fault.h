/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Faults of a device or a line: which are on, for how long, how often. What they do to a reply is in serve.c.
 * Times are plant time in seconds. Thread: one caller at a time per object.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/num.h"
#include "model/names.h"

enum davy_sim_fault_kind {
    DAVY_SIM_FAULT_TIMEOUT,
    DAVY_SIM_FAULT_EXCEPTION,
    DAVY_SIM_FAULT_GARBAGE,
    DAVY_SIM_FAULT_CRC,
    DAVY_SIM_FAULT_WRONG_UNIT,
    DAVY_SIM_FAULT_WRONG_FUNCTION,
    DAVY_SIM_FAULT_WRONG_TRANSACTION,
    DAVY_SIM_FAULT_LATE,
    DAVY_SIM_FAULT_DRIP,
    DAVY_SIM_FAULT_TRUNCATE,
    DAVY_SIM_FAULT_DUPLICATE,
    DAVY_SIM_FAULT_DISCONNECT,
    DAVY_SIM_FAULT_REFUSE,
    DAVY_SIM_FAULT_FREEZE,
    DAVY_SIM_FAULT_COUNT_
};

/* One fault as it is switched on. */
struct davy_sim_fault {
    enum davy_sim_fault_kind kind;
    int arg; /* exception code, milliseconds or bytes */
    double probability;
    int64_t count;     /* replies left to spoil; -1: no end */
    double duration_s; /* INFINITY: no end */
};

/* What is on at one device or line. Zeros are "nothing". */
struct davy_sim_faults {
    unsigned on; /* bit set of kinds */
    struct davy_sim_fault of[DAVY_SIM_FAULT_COUNT_];
    double until_s[DAVY_SIM_FAULT_COUNT_];
    double frozen_at_s;
};

/* What hits one reply: bit set of kinds, and their arguments. */
struct davy_sim_effect {
    unsigned kinds;
    int arg[DAVY_SIM_FAULT_COUNT_];
};

static inline bool davy_sim_effect_has(const struct davy_sim_effect *effect, enum davy_sim_fault_kind kind)
{
    return (effect->kinds >> kind & 1) != 0;
}

const char *davy_sim_fault_name(enum davy_sim_fault_kind kind);

/* Index or -EINVAL. */
int davy_sim_fault_find(const char *name);

/*
 * What is wrong with this fault there, in words; NULL when it can be switched on.
 * fault     kind and arg filled in; arg -1 is "not given" and replaced by the kind's default
 * type      of the line
 */
const char *davy_sim_fault_check(struct davy_sim_fault *fault, enum davy_bus_type type, bool whole_line);

/* Switch on; the same kind again replaces what was. */
void davy_sim_faults_add(struct davy_sim_faults *faults, const struct davy_sim_fault *fault, double t_s);
void davy_sim_faults_clear(struct davy_sim_faults *faults);

/* Whether `kind` is on now, without counting or drawing. Ends what is over. */
bool davy_sim_faults_is_on(struct davy_sim_faults *faults, enum davy_sim_fault_kind kind, double t_s);

/* Whether `kind` is on and hits this time; counts down. */
bool davy_sim_faults_hit(struct davy_sim_faults *faults, enum davy_sim_fault_kind kind, double t_s,
                         struct davy_random *random);

/*
 * Draw what hits the reply of this moment, on top of what *effect has; counts down. Refuse and freeze are not effects
 * on a reply: ask for them with the two functions above.
 */
void davy_sim_faults_draw(struct davy_sim_faults *faults, double t_s, struct davy_random *random,
                          struct davy_sim_effect *effect);
